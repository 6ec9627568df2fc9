/* SPDX-License-Identifier: Apache-2.0 */
#include "net/memory_nic.h"

#include "net/memory_netif.h"
#include "net/net_internal.h"

#define PIECE_BYTES_MIN 512 /* smaller ones are copied */

#define TCP_SEQ       4
#define TCP_FLAGS     13
#define TCP_CHECKSUM  16
#define UDP_CHECKSUM  6
#define TCP_LAST_ONLY 0x09 /* FIN, PSH */

static struct memory_nic *nic_of(struct netif *netif)
{
	return ((struct memory_netif *)netif)->nic;
}

static void piece_drop(struct netif *netif, struct memory_nic_piece *piece)
{
	if (piece->reference != NULL)
		piece->references->release(piece->references->context, piece->reference);
	else
		netif->ops->release(netif, &piece->frame, 1);
}

/* Where the core makes the sums, what fits a frame lies in one place. */
static uint32_t piece_bytes_min(const struct netif *netif)
{
	return netif->offloads & NETIF_TX_L4_CHECKSUM ? PIECE_BYTES_MIN : netif->mtu;
}

static bool is_to_refer(const struct netif *netif, const struct chain_piece *bytes)
{
	return bytes->reference != NULL && bytes->length >= piece_bytes_min(netif);
}

/* As much of the bytes as has room behind the headers; 0: none. */
static uint32_t head_add(struct netif *netif, struct packet *packet,
                         const struct chain_piece *bytes)
{
	struct memory_nic *nic = nic_of(netif);
	uint32_t part = min_u32(bytes->length, packet->capacity - packet->length);

	if ((netif->offloads & NETIF_TX_L4_CHECKSUM) || nic->piece_count > nic->queued_count ||
	    is_to_refer(netif, bytes))
		return 0;
	memcpy(packet->data + packet->length, bytes->data, part);
	packet->length += (uint16_t)part;
	return part;
}

/* As much of the bytes as goes into one piece; 0: no memory. */
static uint32_t piece_add(struct netif *netif, const struct references *references,
                          const struct chain_piece *bytes)
{
	struct memory_nic *nic = nic_of(netif);
	struct memory_nic_piece *piece = &nic->pieces[nic->piece_count];

	if (nic->piece_count == MEMORY_NIC_PIECES_MAX)
		return 0;
	*piece = (struct memory_nic_piece){.data = bytes->data, .length = bytes->length};
	if (is_to_refer(netif, bytes) &&
	    references->retain(references->context, bytes->reference)) {
		piece->references = references;
		piece->reference = bytes->reference;
		nic->referred_bytes += bytes->length;
	} else {
		if (!netif->ops->allocate(netif, &piece->frame))
			return 0;
		piece->length = min_u32(bytes->length, piece->frame.capacity);
		memcpy(piece->frame.data, bytes->data, piece->length);
		piece->data = piece->frame.data;
	}
	nic->piece_count++;
	return piece->length;
}

bool memory_nic_append(struct netif *netif, struct packet *packet, const struct chain *chain,
                       struct chain_cursor *cursor, uint32_t length)
{
	struct memory_nic *nic = nic_of(netif);

	while (length > 0) {
		struct chain_piece bytes = chain_next(chain, cursor, length);

		ASSERT(bytes.length > 0);
		length -= bytes.length;
		while (bytes.length > 0) {
			uint32_t added = head_add(netif, packet, &bytes);

			if (added == 0) {
				added = piece_add(netif, &chain->pool->references, &bytes);
				packet->appended += (uint16_t)added;
			}
			if (added == 0) {
				while (nic->piece_count > nic->queued_count)
					piece_drop(netif, &nic->pieces[--nic->piece_count]);
				return false;
			}
			bytes.data += added;
			bytes.length -= added;
		}
	}
	return true;
}

/* Lengths, and the sums the core has left to the device. The transport's field holds the
 * pseudo-header's sum; of a packet that is cut up, without the length. */
static void headers_finish(const struct packet *packet, uint8_t *frame, uint32_t length)
{
	uint8_t *ip = frame + packet->l2_length;
	uint8_t *l4 = ip + packet->l3_length;
	uint32_t l4_length = length - packet->l2_length - packet->l3_length;
	uint8_t *field = l4 + (packet->flags & PACKET_SUM_TCP ? TCP_CHECKSUM : UDP_CHECKSUM);
	uint64_t sum = packet->segment_bytes > 0 ? __builtin_bswap32(l4_length) : 0;
	uint16_t folded;

	if (packet->segment_bytes > 0 && packet->l3_length == IP4_HEADER_BYTES)
		store_be16(ip + 2, (uint16_t)(length - packet->l2_length));
	else if (packet->segment_bytes > 0)
		store_be16(ip + 4, (uint16_t)l4_length);
	if ((packet->flags & PACKET_SUM_IP4) ||
	    (packet->segment_bytes > 0 && packet->l3_length == IP4_HEADER_BYTES)) {
		checksum_store(ip + 10, 0);
		checksum_store(ip + 10,
		               (uint16_t)~checksum_fold(checksum_add(0, ip, IP4_HEADER_BYTES)));
	}
	if (!(packet->flags & (PACKET_SUM_TCP | PACKET_SUM_UDP)))
		return;
	folded = (uint16_t)~checksum_fold(checksum_add(sum, l4, l4_length));
	if (folded == 0 && (packet->flags & PACKET_SUM_UDP))
		folded = 0xffff;
	checksum_store(field, folded);
}

/* TCP segmentation offload, as every card does it. */
static void packet_cut_up(struct memory_netif *netif, const struct packet *packet, uint32_t length)
{
	struct memory_nic *nic = netif->nic;
	uint8_t *whole = nic->whole;
	uint8_t *whole_tcp = whole + packet->l2_length + packet->l3_length;
	uint32_t tcp_offset = (uint32_t)(whole_tcp - whole);
	uint32_t header_bytes = tcp_offset + (whole_tcp[12] >> 4) * 4u;
	uint32_t payload_bytes = length - header_bytes;
	uint8_t frame[MEMORY_NETIF_FRAME_MAX];

	for (uint32_t done = 0; done < payload_bytes; done += packet->segment_bytes) {
		uint32_t part = min_u32(packet->segment_bytes, payload_bytes - done);
		uint8_t *tcp = frame + tcp_offset;

		ASSERT(header_bytes - packet->l2_length + part <= netif->netif.mtu);
		memcpy(frame, whole, header_bytes);
		memcpy(frame + header_bytes, whole + header_bytes + done, part);
		store_be32(tcp + TCP_SEQ, load_be32(tcp + TCP_SEQ) + done);
		if (done + part < payload_bytes)
			tcp[TCP_FLAGS] &= (uint8_t)~TCP_LAST_ONLY;
		headers_finish(packet, frame, header_bytes + part);
		netif->sent(netif->context, frame, (uint16_t)(header_bytes + part));
	}
	nic->cut_count++;
}

/* One packet of the ring; its pieces are the next of all. */
static void packet_send(struct netif *netif, struct memory_nic_packet *queued,
                        struct memory_nic_piece *pieces)
{
	struct memory_netif *memory_netif = (struct memory_netif *)netif;
	struct memory_nic *nic = memory_netif->nic;
	struct packet *packet = &queued->packet;
	uint32_t length = packet->length;

	memcpy(nic->whole, packet->data, length);
	for (uint32_t i = 0; i < queued->piece_count; i++) {
		memcpy(nic->whole + length, pieces[i].data, pieces[i].length);
		length += pieces[i].length;
		piece_drop(netif, &pieces[i]);
	}
	ASSERT(length == (uint32_t)packet->length + packet->appended);
	netif->ops->release(netif, packet, 1);
	if (packet->segment_bytes > 0) {
		packet_cut_up(memory_netif, packet, length);
		return;
	}
	ASSERT(length - packet->l2_length <= netif->mtu || packet->flags == 0);
	ASSERT((netif->offloads & NETIF_TX_L4_CHECKSUM) || packet->appended == 0);
	headers_finish(packet, nic->whole, length);
	memory_netif->sent(memory_netif->context, nic->whole, (uint16_t)length);
}

void memory_nic_flush(struct netif *netif)
{
	struct memory_nic *nic = nic_of(netif);
	uint32_t first = 0;

	for (uint32_t i = 0; i < nic->packet_count; i++) {
		packet_send(netif, &nic->ring[i], &nic->pieces[first]);
		first += nic->ring[i].piece_count;
	}
	ASSERT(first == nic->piece_count);
	nic->packet_count = 0;
	nic->piece_count = 0;
	nic->queued_count = 0;
}

void memory_nic_transmit(struct netif *netif, struct packet *packet)
{
	struct memory_nic *nic = nic_of(netif);

	nic->ring[nic->packet_count++] =
	    (struct memory_nic_packet){*packet, nic->piece_count - nic->queued_count};
	nic->queued_count = nic->piece_count;
	if (nic->packet_count == NETIF_BURST_MAX || nic->at_once)
		memory_nic_flush(netif);
}
