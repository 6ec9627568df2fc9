/* SPDX-License-Identifier: Apache-2.0 */
/* A DPDK queue pair as a netif, over a device whose bursts are a test's, and what is sent by it. */
#pragma once

#include "net/dpdk_netif.h"

#include "dpdk_rig.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#define MBUF_COUNT  1535
#define PIECE_COUNT 1023
#define BLOCK_COUNT 32

static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};

struct rig {
	struct dpdk_netif *netif;
	struct rte_mempool *pool;
	struct rte_mbuf *arrived[NETIF_BURST_MAX];
	uint16_t arrived_count;
	uint16_t accepted_max; /* of what is to be sent, a burst */
	int refused_at;        /* of a burst, the driver refuses to prepare this one; -1: none */
	struct rte_mbuf *sent[MBUF_COUNT];
	uint32_t sent_count;
	void *queue;
	void *no_callback;
	/* what is sent in pieces: */
	struct block_pool blocks;
	struct chain chain;
	void *region;
	uint8_t value[20000]; /* what the chain refers to */
	int references;       /* to it that are held */
	bool retains;         /* it may be referred to once more */
};

static inline uint16_t burst_arrives(void *queue, struct rte_mbuf **ret_mbufs, uint16_t count_max)
{
	struct rig *rig = queue;
	uint16_t count = RTE_MIN(rig->arrived_count, count_max);

	memcpy(ret_mbufs, rig->arrived, count * sizeof(ret_mbufs[0]));
	rig->arrived_count = 0;
	return count;
}

static inline uint16_t burst_leaves(void *queue, struct rte_mbuf **mbufs, uint16_t count)
{
	struct rig *rig = queue;

	count = RTE_MIN(count, rig->accepted_max);
	memcpy(rig->sent + rig->sent_count, mbufs, count * sizeof(mbufs[0]));
	rig->sent_count += count;
	return count;
}

static inline uint16_t burst_prepares(void *queue, struct rte_mbuf **mbufs, uint16_t count)
{
	struct rig *rig = queue;

	return rig->refused_at < 0 ? count : RTE_MIN(count, (uint16_t)rig->refused_at);
}

static inline bool value_retain(void *context, void *reference)
{
	struct rig *rig = context;

	CU_ASSERT_PTR_EQUAL(reference, rig->value);
	rig->references += rig->retains;
	return rig->retains;
}

static inline void value_release(void *context, void *reference)
{
	struct rig *rig = context;

	CU_ASSERT_PTR_EQUAL(reference, rig->value);
	CU_ASSERT(rig->references > 0);
	rig->references--;
}

static inline void chain_new(struct rig *rig)
{
	struct memory memory = {.bytes = block_pool_bytes(BLOCK_COUNT)};

	rig->region = memory.base = aligned_alloc(CACHE_LINE_BYTES, memory.bytes);
	memset(memory.base, 0, memory.bytes);
	block_pool_create(&rig->blocks, BLOCK_COUNT, &memory,
	                  &(struct references){value_retain, value_release, rig});
	chain_create(&rig->chain, &rig->blocks);
	for (size_t i = 0; i < sizeof(rig->value); i++)
		rig->value[i] = (uint8_t)(i * 7 + i / 256);
	rig->retains = true;
}

static inline struct rig *rig_new(uint16_t offloads)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct rte_eth_fp_ops *ops = &rte_eth_fp_ops[DEVICE];

	rig_reset();
	rig->pool =
	    rte_pktmbuf_pool_create("netif", MBUF_COUNT, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(rig->pool);
	rig->netif = rte_zmalloc("netif", sizeof(*rig->netif), RTE_CACHE_LINE_SIZE);
	rig->accepted_max = UINT16_MAX;
	rig->refused_at = -1;
	rig->queue = rig;
	chain_new(rig);
	ops->rx_pkt_burst = burst_arrives;
	ops->tx_pkt_burst = burst_leaves;
	ops->tx_pkt_prepare = burst_prepares;
	ops->rxq.data = ops->txq.data = &rig->queue;
	ops->rxq.clbk = ops->txq.clbk = &rig->no_callback;
	dpdk_netif_create(rig->netif, DEVICE, 0, rig->pool, 1500, mac, offloads);
	if (offloads & NETIF_TX_PIECES) {
		rig->netif->pieces = dpdk_pieces_create("pieces", PIECE_COUNT, 0);
		CU_ASSERT_PTR_NOT_NULL_FATAL(rig->netif->pieces);
	}
	return rig;
}

static inline void device_completes(struct rig *rig)
{
	rte_pktmbuf_free_bulk(rig->sent, rig->sent_count);
	rig->sent_count = 0;
}

/* No mbuf is lost, no reference held for ever. */
static inline void rig_free(struct rig *rig)
{
	device_completes(rig);
	chain_clear(&rig->chain);
	CU_ASSERT_EQUAL(rig->references, 0);
	if (rig->netif->pieces != NULL)
		CU_ASSERT_EQUAL(rte_mempool_avail_count(rig->netif->pieces), PIECE_COUNT);
	rte_mempool_free(rig->netif->pieces);
	free(rig->region);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(rig->pool), MBUF_COUNT);
	rte_mempool_free(rig->pool);
	rte_free(rig->netif);
	free(rig);
}

static inline struct netif *netif_of(struct rig *rig)
{
	return &rig->netif->netif;
}

static inline void send_frame(struct rig *rig, uint8_t ip_version, uint16_t flags)
{
	struct packet packet;

	CU_ASSERT_TRUE_FATAL(netif_of(rig)->ops->allocate(netif_of(rig), &packet));
	packet.length = 60;
	packet.l2_length = 14;
	packet.l3_length = ip_version == 4 ? 20 : 40;
	packet.data[14] = (uint8_t)(ip_version << 4);
	packet.flags = flags;
	netif_of(rig)->ops->transmit(netif_of(rig), &packet);
}

/* Text, as many bytes of the value by reference, text. */
static inline void chain_fill(struct rig *rig, uint32_t value_bytes)
{
	CU_ASSERT_TRUE_FATAL(chain_append(&rig->chain, "VALUE k 0 n\r\n", 13));
	CU_ASSERT_TRUE_FATAL(
	    chain_append_reference(&rig->chain, rig->value, value_bytes, rig->value));
	rig->references++;
	CU_ASSERT_TRUE_FATAL(chain_append(&rig->chain, "\r\nEND\r\n", 7));
}

#define HEADER_BYTES 66 /* Ethernet, IPv4, TCP with timestamps */

/* The chain from the cursor on, behind headers. */
static inline bool send_chain(struct rig *rig, struct chain_cursor *cursor, uint32_t length,
                              uint16_t segment_bytes)
{
	struct packet packet;

	CU_ASSERT_TRUE_FATAL(netif_of(rig)->ops->allocate(netif_of(rig), &packet));
	memset(packet.data, 0xee, HEADER_BYTES);
	packet.data[14] = 0x45;
	packet.data[14 + 20 + 12] = 8 << 4;
	packet.length = HEADER_BYTES;
	packet.l2_length = 14;
	packet.l3_length = 20;
	packet.flags = PACKET_SUM_IP4 | PACKET_SUM_TCP;
	packet.segment_bytes = segment_bytes;
	if (!netif_of(rig)->ops->append(netif_of(rig), &packet, &rig->chain, cursor, length)) {
		netif_of(rig)->ops->release(netif_of(rig), &packet, 1);
		return false;
	}
	netif_of(rig)->ops->transmit(netif_of(rig), &packet);
	netif_of(rig)->ops->flush(netif_of(rig));
	return true;
}
