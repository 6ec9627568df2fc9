/* SPDX-License-Identifier: Apache-2.0 */
#include "net/capture.h"

/* In the first of a frame's slots its head stands before the bytes. */
#define FIRST_BYTES (CAPTURE_SLOT_BYTES - (uint32_t)sizeof(struct captured))

/* capture.wanted: number << 32 | snap << 8 | port + 1; 0: nothing is. */
#define SNAP_SHIFT   8
#define NUMBER_SHIFT 32

_Static_assert(PORT_COUNT_MAX < 1u << SNAP_SHIFT, "a port fits");
_Static_assert(CAPTURED_SNAP_MAX < CAPTURE_SLOT_COUNT * CAPTURE_SLOT_BYTES, "any frame fits");

static uint32_t slot_count(uint32_t kept)
{
	return 1 + (kept <= FIRST_BYTES
	                ? 0
	                : (kept - FIRST_BYTES + CAPTURE_SLOT_BYTES - 1) / CAPTURE_SLOT_BYTES);
}

/* Where the next byte of a copy goes. */
struct place {
	uint8_t *at;
	uint32_t room;
	uint32_t left; /* bytes that are yet to be kept */
};

static void put(struct capture *capture, struct place *place, const uint8_t *bytes, uint32_t length)
{
	length = min_u32(length, place->left);
	place->left -= length;
	while (length > 0) {
		uint32_t part;

		if (place->room == 0) {
			spsc_commit(&capture->ring);
			place->at = spsc_reserve(&capture->ring);
			place->room = CAPTURE_SLOT_BYTES;
		}
		part = min_u32(length, place->room);
		memcpy(place->at, bytes, part);
		place->at += part;
		place->room -= part;
		bytes += part;
		length -= part;
	}
}

/* What append() has added and not copied to the head is the end of it. */
static void put_appended(struct capture *capture, struct place *place, uint32_t length)
{
	struct chain_cursor cursor = capture->appended;
	uint32_t in_head = capture->appended_bytes - length;

	ASSERT_SLOW(length <= capture->appended_bytes);
	while (in_head > 0)
		in_head -= chain_next(capture->chain, &cursor, in_head).length;
	while (length > 0 && place->left > 0) {
		struct chain_piece piece = chain_next(capture->chain, &cursor, length);

		put(capture, place, piece.data, piece.length);
		length -= piece.length;
	}
}

static void copy(struct capture *capture, const struct packet *packet, bool is_sent)
{
	uint32_t length = (uint32_t)packet->length + (is_sent ? packet->appended : 0);
	uint32_t snap = (uint32_t)capture->heeded >> SNAP_SHIFT;
	struct captured captured = {
	    .time_us = capture->now_us,
	    .length = length,
	    .kept = min_u32(length, snap),
	    .number = (uint16_t)(capture->heeded >> NUMBER_SHIFT),
	    .is_sent = is_sent,
	};
	struct place place = {.room = FIRST_BYTES, .left = captured.kept};
	uint8_t *slot;

	if (!spsc_has_room(&capture->ring, slot_count(captured.kept))) {
		counter_add(&capture->counters.missed, 1);
		return;
	}
	slot = spsc_reserve(&capture->ring);
	memcpy(slot, &captured, sizeof(captured));
	place.at = slot + sizeof(captured);
	put(capture, &place, packet->data, packet->length);
	if (length > packet->length)
		put_appended(capture, &place, packet->appended);
	spsc_commit(&capture->ring);
	counter_add(&capture->counters.frames, 1);
}

static uint32_t receive(struct netif *netif, struct packet *ret_burst, uint32_t count_max)
{
	struct capture *capture = netif->capture;
	uint32_t count = capture->ops->receive(netif, ret_burst, count_max);

	for (uint32_t i = 0; i < count; i++)
		copy(capture, &ret_burst[i], false);
	return count;
}

/* The chain stays as it is until the packet is transmitted, or is not. */
static bool append(struct netif *netif, struct packet *packet, const struct chain *chain,
                   struct chain_cursor *cursor, uint32_t length)
{
	struct capture *capture = netif->capture;

	capture->chain = chain;
	capture->appended = *cursor;
	capture->appended_bytes = length;
	return capture->ops->append(netif, packet, chain, cursor, length);
}

static void transmit(struct netif *netif, struct packet *packet)
{
	struct capture *capture = netif->capture;

	copy(capture, packet, true);
	capture->ops->transmit(netif, packet);
}

size_t capture_bytes(void)
{
	return memory_rounded(sizeof(struct capture)) +
	       spsc_bytes(CAPTURE_SLOT_BYTES, CAPTURE_SLOT_COUNT);
}

void capture_create(struct capture *capture, struct memory *memory)
{
	*capture = (struct capture){0};
	spsc_create(&capture->ring, CAPTURE_SLOT_BYTES, CAPTURE_SLOT_COUNT, memory);
}

void capture_add_netif(struct capture *capture, struct netif *netif, uint32_t port_index)
{
	ASSERT(port_index < PORT_COUNT_MAX);
	capture->netifs[port_index] = netif;
}

void capture_heed(struct capture *capture, uint64_t wanted)
{
	uint32_t port = (uint32_t)wanted & ((1u << SNAP_SHIFT) - 1);
	struct netif *netif = port == 0 ? NULL : capture->netifs[port - 1];

	capture->heeded = wanted;
	if (capture->netif != NULL)
		capture->netif->ops = capture->ops;
	capture->netif = netif;
	if (netif == NULL)
		return;
	capture->ops = netif->ops;
	capture->copying_ops = *netif->ops;
	capture->copying_ops.receive = receive;
	capture->copying_ops.append = append;
	capture->copying_ops.transmit = transmit;
	netif->capture = capture;
	netif->ops = &capture->copying_ops;
}

/* The keeper's side. */

void capture_begin(struct capture *capture, uint32_t port_index, uint32_t snap, uint16_t number)
{
	/* relaxed: the number is all there is to see */
	atomic_store_explicit(&capture->wanted,
	                      (uint64_t)number << NUMBER_SHIFT | snap << SNAP_SHIFT |
	                          (port_index + 1),
	                      memory_order_relaxed);
}

void capture_end(struct capture *capture)
{
	atomic_store_explicit(&capture->wanted, 0, memory_order_relaxed);
}

const struct captured *capture_peek(struct capture *capture, uint16_t number)
{
	const struct captured *captured;

	while ((captured = spsc_peek(&capture->ring)) != NULL) {
		/* the worker is about to add the rest */
		if (spsc_look(&capture->ring, slot_count(captured->kept) - 1) == NULL)
			return NULL;
		if (captured->number == number)
			return captured;
		capture_drop(capture);
	}
	return NULL;
}

struct slice capture_piece(struct capture *capture, const struct captured *captured, uint32_t index)
{
	const uint8_t *slot;
	uint32_t before;

	if (index >= slot_count(captured->kept))
		return (struct slice){0};
	slot = spsc_look(&capture->ring, index);
	if (index == 0)
		return (struct slice){slot + sizeof(*captured),
		                      min_u32(captured->kept, FIRST_BYTES)};
	before = FIRST_BYTES + (index - 1) * CAPTURE_SLOT_BYTES;
	return (struct slice){slot, min_u32(captured->kept - before, CAPTURE_SLOT_BYTES)};
}

void capture_drop(struct capture *capture)
{
	const struct captured *captured = spsc_peek(&capture->ring);

	for (uint32_t left = slot_count(captured->kept); left > 0; left--)
		spsc_drop(&capture->ring);
}
