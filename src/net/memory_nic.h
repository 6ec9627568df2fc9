/* SPDX-License-Identifier: Apache-2.0 */
/* What a network card takes over, for a memory_netif: it puts packets together from pieces, cuts up
 * large ones, fills in checksums, of all packets or of those alone that it cuts up. Bytes that are
 * referred to are read when the doorbell rings, not before. Owner: the test. */
#pragma once

#include "base/memory.h"
#include "net/netif.h"

#define MEMORY_NIC_PIECES_MAX 512

struct memory_nic_piece {
	const uint8_t *data;
	uint32_t length;
	const struct references *references;
	void *reference; /* NULL: the data is in a frame of the netif's */
	struct packet frame;
};

/* A packet in the transmit ring. */
struct memory_nic_packet {
	struct packet packet;
	uint32_t piece_count;
};

struct memory_nic {
	struct memory_nic_packet ring[NETIF_BURST_MAX];
	uint32_t packet_count;
	bool at_once;                                          /* it sends without the doorbell */
	struct memory_nic_piece pieces[MEMORY_NIC_PIECES_MAX]; /* of the packets, in order */
	uint32_t piece_count;
	uint32_t queued_count;          /* of those, belong to a packet in the ring */
	uint64_t referred_bytes;        /* so much was not copied */
	uint64_t cut_count;             /* so many packets were cut up */
	uint8_t whole[UINT16_MAX + 32]; /* one packet, put together; not zeroed at first */
};

struct memory_netif;

/* netif_ops: */
bool memory_nic_append(struct netif *netif, struct packet *packet, const struct chain *chain,
                       struct chain_cursor *cursor, uint32_t length);
void memory_nic_transmit(struct netif *netif, struct packet *packet);
void memory_nic_flush(struct netif *netif);
