/* SPDX-License-Identifier: Apache-2.0 */
#include "net/dpdk_netif.h"

#include "base/assert.h"
#include "base/bytes.h"

#include <rte_ethdev.h>

static void packet_fill(struct packet *packet, struct rte_mbuf *mbuf)
{
	packet->data = rte_pktmbuf_mtod(mbuf, uint8_t *);
	packet->length = rte_pktmbuf_data_len(mbuf);
	packet->capacity = (uint16_t)(mbuf->buf_len - mbuf->data_off);
	packet->flags = 0;
	packet->l2_length = 0;
	packet->l3_length = 0;
	packet->handle = mbuf;
}

/* Good only if both sums were verified; what the device does not know is left to the core. */
static uint16_t checksum_flags(uint64_t offload_flags)
{
	uint64_t ip = offload_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;
	uint64_t l4 = offload_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;

	if (ip == RTE_MBUF_F_RX_IP_CKSUM_BAD || l4 == RTE_MBUF_F_RX_L4_CKSUM_BAD)
		return PACKET_CHECKSUM_BAD;
	if (ip == RTE_MBUF_F_RX_IP_CKSUM_GOOD && l4 == RTE_MBUF_F_RX_L4_CKSUM_GOOD)
		return PACKET_CHECKSUM_GOOD;
	return 0;
}

/* `checksums` is a constant where this is inlined. */
static inline uint32_t receive(struct dpdk_netif *netif, struct packet *ret_burst,
                               uint32_t count_max, bool checksums)
{
	struct rte_mbuf *mbufs[NETIF_BURST_MAX];
	uint32_t count = 0;
	uint16_t arrived;

	ASSERT_SLOW(count_max <= NETIF_BURST_MAX);
	arrived = rte_eth_rx_burst(netif->device, netif->queue, mbufs, (uint16_t)count_max);
	for (uint16_t i = 0; i < arrived; i++)
		rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void *));
	for (uint16_t i = 0; i < arrived; i++) {
		struct rte_mbuf *mbuf = mbufs[i];

		if (unlikely(mbuf->nb_segs != 1)) {
			rte_pktmbuf_free(mbuf);
			counter_add(&netif->chained_drops, 1);
			continue;
		}
		packet_fill(&ret_burst[count], mbuf);
		if (checksums)
			ret_burst[count].flags = checksum_flags(mbuf->ol_flags);
		count++;
	}
	return count;
}

static uint32_t receive_checked(struct netif *netif, struct packet *ret_burst, uint32_t count_max)
{
	return receive((struct dpdk_netif *)netif, ret_burst, count_max, true);
}

static uint32_t receive_plain(struct netif *netif, struct packet *ret_burst, uint32_t count_max)
{
	return receive((struct dpdk_netif *)netif, ret_burst, count_max, false);
}

static void release(struct netif *netif, struct packet *burst, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		rte_pktmbuf_free_seg(burst[i].handle);
}

static void flush(struct netif *netif)
{
	struct dpdk_netif *self = (struct dpdk_netif *)netif;
	uint16_t count = self->queued_count;
	uint16_t sent;

	if (count == 0)
		return;
	sent = rte_eth_tx_burst(self->device, self->queue, self->queued, count);
	if (unlikely(sent < count))
		memmove(self->queued, self->queued + sent,
		        (count - sent) * sizeof(self->queued[0]));
	self->queued_count = count - sent;
}

static bool allocate(struct netif *netif, struct packet *ret_packet)
{
	struct dpdk_netif *self = (struct dpdk_netif *)netif;
	struct rte_mbuf *mbuf;

	if (unlikely(self->queued_count == DPDK_NETIF_QUEUE_MAX)) {
		flush(netif);
		if (self->queued_count == DPDK_NETIF_QUEUE_MAX)
			return false;
	}
	mbuf = rte_pktmbuf_alloc(self->pool);
	if (unlikely(mbuf == NULL))
		return false;
	packet_fill(ret_packet, mbuf);
	return true;
}

static void request_checksums(struct rte_mbuf *mbuf, const struct packet *packet)
{
	bool ip4 = packet->data[packet->l2_length] >> 4 == 4;

	mbuf->ol_flags = ip4 ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6;
	if (packet->flags & PACKET_SUM_IP4)
		mbuf->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM;
	if (packet->flags & PACKET_SUM_TCP)
		mbuf->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM;
	else if (packet->flags & PACKET_SUM_UDP)
		mbuf->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM;
	mbuf->tx_offload = 0;
	mbuf->l2_len = packet->l2_length;
	mbuf->l3_len = packet->l3_length;
}

static void transmit(struct netif *netif, struct packet *packet)
{
	struct dpdk_netif *self = (struct dpdk_netif *)netif;
	struct rte_mbuf *mbuf = packet->handle;

	/* The mbuf may be a received one, with its flags and its place of the data. */
	mbuf->data_off = (uint16_t)(packet->data - (uint8_t *)mbuf->buf_addr);
	ASSERT_SLOW(mbuf->data_off + packet->length <= mbuf->buf_len);
	mbuf->data_len = packet->length;
	mbuf->pkt_len = packet->length;
	mbuf->ol_flags = 0;
	if (packet->flags & (PACKET_SUM_IP4 | PACKET_SUM_TCP | PACKET_SUM_UDP))
		request_checksums(mbuf, packet);
	if (unlikely(self->queued_count == DPDK_NETIF_QUEUE_MAX)) {
		rte_pktmbuf_free_seg(mbuf);
		counter_add(&netif->transmit_drops, 1);
		return;
	}
	self->queued[self->queued_count++] = mbuf;
	if (self->queued_count % NETIF_BURST_MAX == 0)
		flush(netif);
}

static const struct netif_ops ops_plain = {
    .receive = receive_plain,
    .release = release,
    .allocate = allocate,
    .transmit = transmit,
    .flush = flush,
};

static const struct netif_ops ops_checked = {
    .receive = receive_checked,
    .release = release,
    .allocate = allocate,
    .transmit = transmit,
    .flush = flush,
};

void dpdk_netif_create(struct dpdk_netif *netif, uint16_t device, uint16_t queue,
                       struct rte_mempool *pool, uint16_t mtu, const uint8_t mac[6],
                       uint16_t offloads)
{
	netif->netif.ops = offloads & NETIF_RX_CHECKSUM ? &ops_checked : &ops_plain;
	netif->netif.mtu = mtu;
	netif->netif.offloads = offloads;
	memcpy(netif->netif.mac, mac, sizeof(netif->netif.mac));
	netif->pool = pool;
	netif->device = device;
	netif->queue = queue;
}
