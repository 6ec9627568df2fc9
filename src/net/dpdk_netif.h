/* SPDX-License-Identifier: Apache-2.0 */
/* A queue pair of a DPDK device as a netif. Inside the DPDK part of net only. */
#pragma once

#include "net/netif.h"

#include <rte_mbuf.h>

/* Frames that wait for room in the device's ring. */
#define DPDK_NETIF_QUEUE_MAX (8 * NETIF_BURST_MAX)

/* Bytes from which on a piece is sent from where it lies. That costs some 300 cycles: as much as
 * to copy 2 KiB that are in the processor's cache, or a line or two that are not, as most values
 * (tests/perf/pieces). */
#define DPDK_NETIF_PIECE_BYTES_MIN 512

/* A piece that is referred to. Some devices' descriptors hold no more than 16 KiB - 1, and their
 * drivers do not look. */
#define DPDK_NETIF_PIECE_BYTES_MAX 8192u

struct dpdk_netif {
	struct netif netif;
	struct rte_mempool *pool;   /* this queue's own */
	struct rte_mempool *pieces; /* mbufs for memory of others; NULL: all is copied */
	int packet_socket;          /* long packets go there; -1: to the device */
	uint32_t piece_bytes_min;   /* shorter ones are copied: DPDK_NETIF_PIECE_BYTES_MIN */
	uint16_t device;            /* DPDK's port id */
	uint16_t queue;
	uint16_t queued_count;
	_Atomic uint64_t chained_drops; /* frames in several pieces, which never should come */
	struct rte_mbuf *queued[DPDK_NETIF_QUEUE_MAX];
};

/* Memory of one mbuf that refers to memory of others. */
size_t dpdk_piece_bytes(void);

/* Mbufs that refer to memory of others, `count` of them. NULL: no memory, or that name is taken. */
struct rte_mempool *dpdk_pieces_create(const char *name, uint32_t count, int socket_id);

/* From here on the kernel cuts up long TCP packets (packet_socket.h), of `large_bytes` at most, and
 * reads what they refer to by mbufs of `pieces`. The netif owns both. */
void dpdk_netif_use_packet_socket(struct dpdk_netif *netif, int fd, struct rte_mempool *pieces,
                                  uint16_t large_bytes);

/* `netif` is zeroed, cache-line aligned memory of the caller's. The caller sets `pieces` once the
 * device can reach what they will refer to. */
void dpdk_netif_create(struct dpdk_netif *netif, uint16_t device, uint16_t queue,
                       struct rte_mempool *pool, uint16_t mtu, const uint8_t mac[6],
                       uint16_t offloads);
