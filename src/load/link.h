/* SPDX-License-Identifier: Apache-2.0 */
/* A DPDK device with one queue pair, all for the load generator, in a DPDK environment of its own.
 * It is polled from the one thread that opened it.
 *
 * DPDK starts once a process: link_open() is called once. */
#pragma once

#include "net/netif.h"

struct link;

/* device: the arguments of a virtual device ("net_memif0,role=client,socket=/run/…"); the machine's
 * own devices are not touched. Waits until the link is up, 5 s at most. 0, or a negative errno;
 * DPDK has then said on stderr what it had to say. */
int link_open(struct link **ret_link, const char *device);

struct netif *link_netif(struct link *link);

/* Frames that the device has lost or dropped on the way in. */
uint64_t link_receive_drops(const struct link *link);

/* Takes NULL. */
void link_close(struct link *link);
