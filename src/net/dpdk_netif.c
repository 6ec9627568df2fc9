/* SPDX-License-Identifier: Apache-2.0 */
#include "net/dpdk_netif.h"

#include "net/packet_socket.h"

#include <rte_ethdev.h>

static void packet_fill(struct packet *packet, struct rte_mbuf *mbuf)
{
	packet->data = rte_pktmbuf_mtod(mbuf, uint8_t *);
	packet->length = rte_pktmbuf_data_len(mbuf);
	packet->capacity = (uint16_t)(mbuf->buf_len - mbuf->data_off);
	packet->flags = 0;
	packet->l2_length = 0;
	packet->l3_length = 0;
	packet->appended = 0;
	packet->segment_bytes = 0;
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

static void queue_drop_front(struct dpdk_netif *netif, uint16_t count)
{
	netif->queued_count -= count;
	if (unlikely(netif->queued_count > 0))
		memmove(netif->queued, netif->queued + count,
		        netif->queued_count * sizeof(netif->queued[0]));
}

/* What the driver wants changed in headers. Returns how many frames, from the front on, it takes.
 */
static uint16_t prepare(struct dpdk_netif *netif)
{
	uint16_t count =
	    rte_eth_tx_prepare(netif->device, netif->queue, netif->queued, netif->queued_count);

	if (unlikely(count == 0)) {
		rte_pktmbuf_free(netif->queued[0]);
		counter_add(&netif->netif.transmit_drops, 1);
		queue_drop_front(netif, 1);
	}
	return count;
}

static bool is_long(const struct rte_mbuf *mbuf)
{
	return mbuf->ol_flags & RTE_MBUF_F_TX_TCP_SEG;
}

/* Frames to the device and long packets to the packet socket, in order. */
static void flush_both_ways(struct dpdk_netif *netif)
{
	uint16_t count, sent, lost;

	do {
		bool is_first_long = is_long(netif->queued[0]);

		count = 1;
		while (count < netif->queued_count &&
		       is_long(netif->queued[count]) == is_first_long)
			count++;
		if (is_first_long) {
			sent =
			    packet_socket_send(netif->packet_socket, netif->queued, count, &lost);
			counter_add(&netif->netif.transmit_drops, lost);
		} else {
			sent = rte_eth_tx_burst(netif->device, netif->queue, netif->queued, count);
		}
		queue_drop_front(netif, sent);
	} while (netif->queued_count > 0 && sent > 0);
}

static void flush(struct netif *netif)
{
	struct dpdk_netif *self = (struct dpdk_netif *)netif;
	uint16_t count = self->queued_count;
	uint16_t sent;

	if (count == 0)
		return;
	if (self->packet_socket >= 0) {
		flush_both_ways(self);
		return;
	}
	if (netif->offloads & NETIF_TX_L4_CHECKSUM)
		count = prepare(self);
	sent = rte_eth_tx_burst(self->device, self->queue, self->queued, count);
	queue_drop_front(self, sent);
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

/* What an mbuf of `pieces` refers to. It stands in the mbuf's private area: no driver of hardware
 * clones an mbuf, so that nothing refers to it any more when the mbuf is back in its pool. */
struct piece {
	struct rte_mbuf_ext_shared_info shared;
	const struct references *references;
	void *reference;
};

size_t dpdk_piece_bytes(void)
{
	return rte_mempool_calc_obj_size(sizeof(struct rte_mbuf) + sizeof(struct piece), 0, NULL);
}

struct rte_mempool *dpdk_pieces_create(const char *name, uint32_t count, int socket_id)
{
	return rte_pktmbuf_pool_create(name, count, 0, sizeof(struct piece), 0, socket_id);
}

/* The device has sent it. */
static void piece_sent(void *data, void *context)
{
	const struct piece *piece = context;

	piece->references->release(piece->references->context, piece->reference);
}

/* An mbuf that refers to bytes of a chain, or NULL: they must be copied. */
static struct rte_mbuf *piece_refer(struct dpdk_netif *netif, const struct chain *chain,
                                    const struct chain_piece *bytes)
{
	const struct references *references = &chain->pool->references;
	struct rte_mbuf *mbuf;
	struct piece *piece;

	if (netif->pieces == NULL)
		return NULL;
	mbuf = rte_pktmbuf_alloc(netif->pieces);
	if (unlikely(mbuf == NULL))
		return NULL;
	if (unlikely(!references->retain(references->context, bytes->reference))) {
		rte_pktmbuf_free_seg(mbuf);
		return NULL;
	}
	piece = rte_mbuf_to_priv(mbuf);
	*piece = (struct piece){
	    .shared = {.free_cb = piece_sent, .fcb_opaque = piece},
	    .references = references,
	    .reference = bytes->reference,
	};
	rte_mbuf_ext_refcnt_set(&piece->shared, 1);
	/* addresses are virtual ones: dpdk_share_memory() has seen to it */
	rte_pktmbuf_attach_extbuf(mbuf, (void *)(uintptr_t)bytes->data, (uintptr_t)bytes->data,
	                          (uint16_t)bytes->length, &piece->shared);
	mbuf->data_off = 0;
	mbuf->data_len = (uint16_t)bytes->length;
	return mbuf;
}

/* The end of a packet in the making. */
struct tail {
	struct rte_mbuf *mbuf;
	uint8_t *at;   /* where a copied byte goes */
	uint32_t room; /* bytes from there on */
};

static void tail_link(struct packet *packet, struct tail *tail, struct rte_mbuf *mbuf)
{
	struct rte_mbuf *first = packet->handle;

	tail->mbuf->next = mbuf;
	tail->mbuf = mbuf;
	tail->room = 0;
	first->nb_segs++;
	packet->appended += mbuf->data_len;
}

static bool tail_copy(struct dpdk_netif *netif, struct packet *packet, struct tail *tail,
                      const uint8_t *data, uint32_t length)
{
	while (length > 0) {
		uint32_t part = RTE_MIN(length, tail->room);

		if (part == 0) {
			struct rte_mbuf *mbuf = rte_pktmbuf_alloc(netif->pool);

			if (unlikely(mbuf == NULL))
				return false;
			tail_link(packet, tail, mbuf);
			tail->at = rte_pktmbuf_mtod(mbuf, uint8_t *);
			tail->room = rte_pktmbuf_tailroom(mbuf);
			continue;
		}
		memcpy(tail->at, data, part);
		tail->at += part;
		tail->room -= part;
		data += part;
		length -= part;
		if (tail->mbuf == packet->handle) {
			packet->length += part;
			continue;
		}
		tail->mbuf->data_len += part;
		packet->appended += part;
	}
	return true;
}

static bool append(struct netif *netif, struct packet *packet, const struct chain *chain,
                   struct chain_cursor *cursor, uint32_t length)
{
	struct dpdk_netif *self = (struct dpdk_netif *)netif;
	struct rte_mbuf *first = packet->handle;
	struct tail tail = {first, packet->data + packet->length,
	                    packet->capacity - packet->length};

	while (length > 0) {
		struct chain_piece bytes =
		    chain_next(chain, cursor, RTE_MIN(length, DPDK_NETIF_PIECE_BYTES_MAX));
		struct rte_mbuf *mbuf = NULL;

		ASSERT_SLOW(bytes.length > 0);
		length -= bytes.length;
		if (bytes.reference != NULL && bytes.length >= self->piece_bytes_min)
			mbuf = piece_refer(self, chain, &bytes);
		if (mbuf != NULL) {
			tail_link(packet, &tail, mbuf);
		} else if (!tail_copy(self, packet, &tail, bytes.data, bytes.length)) {
			rte_pktmbuf_free(first->next);
			first->next = NULL;
			first->nb_segs = 1;
			return false;
		}
	}
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
	if (packet->segment_bytes > 0) {
		const uint8_t *tcp = packet->data + packet->l2_length + packet->l3_length;

		mbuf->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
		mbuf->l4_len = (uint16_t)(tcp[12] >> 4) * 4u;
		mbuf->tso_segsz = packet->segment_bytes;
	}
}

static void transmit(struct netif *netif, struct packet *packet)
{
	struct dpdk_netif *self = (struct dpdk_netif *)netif;
	struct rte_mbuf *mbuf = packet->handle;

	/* The mbuf may be a received one, with its flags and its place of the data. */
	mbuf->data_off = (uint16_t)(packet->data - (uint8_t *)mbuf->buf_addr);
	ASSERT_SLOW(mbuf->data_off + packet->length <= mbuf->buf_len);
	mbuf->data_len = packet->length;
	mbuf->pkt_len = (uint32_t)packet->length + packet->appended;
	mbuf->ol_flags = 0;
	if (packet->flags & (PACKET_SUM_IP4 | PACKET_SUM_TCP | PACKET_SUM_UDP))
		request_checksums(mbuf, packet);
	if (self->packet_socket >= 0 && packet->segment_bytes > 0)
		packet_socket_prepare(mbuf);
	if (unlikely(self->queued_count == DPDK_NETIF_QUEUE_MAX)) {
		rte_pktmbuf_free(mbuf);
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
    .append = append,
    .transmit = transmit,
    .flush = flush,
};

static const struct netif_ops ops_checked = {
    .receive = receive_checked,
    .release = release,
    .allocate = allocate,
    .append = append,
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
	netif->packet_socket = -1;
	netif->piece_bytes_min = DPDK_NETIF_PIECE_BYTES_MIN;
	netif->device = device;
	netif->queue = queue;
}

void dpdk_netif_use_packet_socket(struct dpdk_netif *netif, int fd, struct rte_mempool *pieces,
                                  uint16_t large_bytes)
{
	netif->packet_socket = fd;
	netif->pieces = pieces;
	/* what fits a frame is summed by the core, in one place */
	netif->piece_bytes_min = RTE_MAX(netif->netif.mtu, DPDK_NETIF_PIECE_BYTES_MIN);
	netif->netif.offloads |= NETIF_TX_PIECES;
	netif->netif.large_bytes = large_bytes;
}
