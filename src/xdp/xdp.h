/* SPDX-License-Identifier: Apache-2.0 */
/* The user side of the XDP program of one interface. net_af_xdp loads the program, attaches it and
 * puts its sockets into the program's map; this fills in what we listen on and reads counters.
 *
 * The driver's attachment would outlive a process that is killed. So it is replaced by a BPF link,
 * which the kernel takes away with the process, however it ends.
 *
 * What the program goes by lies in maps that are mapped here, so that writing to them takes neither
 * a system call nor a privilege: settings and block list are the keeper's, a slot is of the worker
 * that the keeper gives it to.
 *
 * Errors: negative errno, and one sentence in `error` (XDP_ERROR_BYTES) that says what is wrong and
 * what to do. Owner: the keeper. */
#pragma once

#include "net/blocked.h"
#include "net/port.h"
#include "xdp/layout.h"

#include <stdbool.h>
#include <stdint.h>

#define XDP_ERROR_BYTES 256

struct xdp;

/* The program's object file, as a file in memory that the driver can open by its path
 * /proc/self/fd/N. Returns its descriptor, or a negative errno. The caller closes it. */
int xdp_object_open(void);

/* Sees to it that no XDP program is on the interface. One that a kanted left behind is taken away
 * and *ret_leftover set; anybody else's is an error. */
int xdp_interface_claim(unsigned interface_index, bool *ret_leftover, char *error);

/* Takes over the program that the driver has just attached. On failure it is still the driver's to
 * detach. */
int xdp_attach(struct xdp **ret_xdp, unsigned interface_index, char *error);

/* From now on frames to this address, protocol and port are ours. The prefix: with the length of
 * its network. */
int xdp_listen(struct xdp *xdp, const struct ip_prefix *address, uint8_t protocol, uint16_t port);

/* Sources from there are answered, without the limits of others. Only with settings.allow_any 0. */
int xdp_allow(struct xdp *xdp, const struct ip_prefix *sources);

/* At first nothing is answered, and nobody blocked. */
struct xdp_settings *xdp_settings(struct xdp *xdp);

struct xdp_slot *xdp_slots(struct xdp *xdp);
const struct xdp_hits *xdp_hits(const struct xdp *xdp);

/* Of xdp_hits(), those that the program may add to here. */
uint32_t xdp_hits_count(void);

/* Frames for us from these sources are dropped; NULL: from nobody. The second does the same to a
 * list, wherever that lies. */
void xdp_block(struct xdp *xdp, const struct blocked *blocked);
void xdp_blocked_write(struct xdp_blocked *list, const struct blocked *blocked);

/* Whether the program is still where it was put; if somebody has taken it off, puts it back: the
 * sockets and all maps are as they were. 0: it is there; 1: it is there again; -EBUSY: another one
 * is in its place; else a negative errno. Of a link only who holds it, or root by its id, can take
 * it off: `ip link set … xdp off` is refused. */
int xdp_watch(struct xdp *xdp, char *error);

/* True: the program runs in the driver; false: behind it, on sk_buffs, at a fraction of the speed.
 */
bool xdp_is_native(const struct xdp *xdp);

/* Sums over all CPUs. On failure they are zero. */
void xdp_counters_read(const struct xdp *xdp, uint64_t ret_counters[XDP_COUNTER_COUNT]);

/* Takes the program off the interface. Takes NULL. */
void xdp_detach(struct xdp *xdp);
