/* SPDX-License-Identifier: Apache-2.0 */
/* The DPDK environment of the process, and its ports of the kinds pci, xdp, tap and memif.
 *
 * Worker i is lcore i, pinned to its core; the caller of dpdk_start(), the keeper, becomes
 * the main lcore, which is lcore `worker_count` and has the remaining cores (or shares the workers'
 * when there are none). Each worker has one receive and one transmit queue of every port; of a
 * device that has fewer, the first ones have them.
 *
 * DPDK is started once a process: after a failure or dpdk_stop() the process has to end. Nothing
 * is left behind then: no interface, XDP program, hugepage file, socket or runtime directory. Nor
 * after SIGKILL, save a memif socket's file, which the next start removes.
 *
 * Owner: the keeper; a netif is its worker's. */
#pragma once

#include "base/counter.h"
#include "net/netif.h"
#include "net/port.h"
#include "xdp/layout.h"

#include <stddef.h>

#define DPDK_ERROR_BYTES    512
#define DPDK_DESCRIBE_BYTES 512

struct dpdk;
struct xdp;

struct dpdk_options {
	/* Read while the environment lives; of xdp ports, `addresses` is filled in. Ports of the
	 * kind socket are passed over. */
	struct port_options *ports;
	uint32_t port_count;
	uint32_t worker_count;
	const uint32_t *worker_cores; /* CPU numbers, by worker: each there, each once */
};

/* What a port has counted since it was opened, beyond what the workers count themselves.
 * name, unit, kind, help */
#define DPDK_COUNTERS(X)                                                                           \
	X(link_up, "state", COUNTER_LEVEL, "Frames can come and go")                               \
	X(receive_missed, "frames", COUNTER_TOTAL, "Lost: no time or memory to take them")         \
	X(receive_errors, "frames", COUNTER_TOTAL, "Dropped: damaged, too long or in pieces")      \
	X(transmit_drops, "frames", COUNTER_TOTAL, "Dropped: the device did not take them")        \
	X(xdp_detached, "state", COUNTER_LEVEL,                                                    \
	  "Somebody has taken the XDP program off, and it cannot be put back")                     \
	X(xdp_detachments, "times", COUNTER_TOTAL, "Somebody has taken the XDP program off")       \
	XDP_COUNTERS(X)

/* Writer: the keeper. */
struct dpdk_counters {
	DPDK_COUNTERS(COUNTER_FIELD)
};

/* Brings everything up, or nothing. On failure returns a negative errno, and in `error`
 * (DPDK_ERROR_BYTES) one sentence that says what is wrong and what to do. */
int dpdk_start(struct dpdk **ret_dpdk, const struct dpdk_options *options, char *error);

/* Lets the devices read this memory, hugepages of so many bytes each, until dpdk_stop(): what
 * chains refer to in it need not be copied any more. Before a worker is launched; once. What a
 * device cannot read is copied as before: dpdk_describe() says which it is. */
void dpdk_share_memory(struct dpdk *dpdk, void *base, size_t bytes, size_t hugepage_bytes);

/* The worker's queues of a port; NULL when it has none, or the port is of the kind socket. The
 * worker must be the one lcore that uses it. */
struct netif *dpdk_netif(struct dpdk *dpdk, uint32_t port_index, uint32_t worker_index);

/* Runs `run` on the worker's core, until it returns. 0, or -EBUSY: it runs already. */
int dpdk_launch(struct dpdk *dpdk, uint32_t worker_index, int (*run)(void *context), void *context);

/* Waits until all workers have returned. */
void dpdk_join(struct dpdk *dpdk);

/* Writes one line (DPDK_DESCRIBE_BYTES) for people: driver, queues, MTU, MAC, offloads, memory. */
void dpdk_describe(struct dpdk *dpdk, uint32_t port_index, char *text);

/* The XDP program of a port, to be closed with it; NULL: it has none. */
struct xdp *dpdk_xdp(struct dpdk *dpdk, uint32_t port_index);

/* Puts a port's XDP program back if somebody has taken it off. True: that was so, or is not any
 * more, and `text` (DPDK_ERROR_BYTES) says it. */
bool dpdk_watch(struct dpdk *dpdk, uint32_t port_index, char *text);

/* Why a port serves nobody; NULL: it does. */
const char *dpdk_fault(struct dpdk *dpdk, uint32_t port_index);

/* Asks the device, the kernel and the XDP program; all zero for a port of the kind socket. */
void dpdk_counters_read(struct dpdk *dpdk, uint32_t port_index, struct dpdk_counters *counters);

/* After rte_eal_init(), which makes a directory even where nothing will ever be put into it. */
void dpdk_runtime_directory_remove(void);

/* Takes the ports down and the environment with them. The workers must have returned. Takes NULL.
 */
void dpdk_stop(struct dpdk *dpdk);
