/* SPDX-License-Identifier: Apache-2.0 */
/* A queue pair of a DPDK device as a netif. Inside the DPDK part of net only. */
#pragma once

#include "net/netif.h"

#include <rte_mbuf.h>

/* Frames that wait for room in the device's ring. */
#define DPDK_NETIF_QUEUE_MAX (8 * NETIF_BURST_MAX)

struct dpdk_netif {
	struct netif netif;
	struct rte_mempool *pool; /* this queue's own */
	uint16_t device;          /* DPDK's port id */
	uint16_t queue;
	uint16_t queued_count;
	_Atomic uint64_t chained_drops; /* frames in several pieces, which never should come */
	struct rte_mbuf *queued[DPDK_NETIF_QUEUE_MAX];
};

/* `netif` is zeroed, cache-line aligned memory of the caller's. */
void dpdk_netif_create(struct dpdk_netif *netif, uint16_t device, uint16_t queue,
                       struct rte_mempool *pool, uint16_t mtu, const uint8_t mac[6],
                       uint16_t offloads);
