/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include "load/frame.h"

#include <stdlib.h>
#include <string.h>

#define ETH_HEADER_BYTES 14
#define TAG_BYTES        4

#define TCP_FIN 0x01u
#define TCP_SYN 0x02u
#define TCP_RST 0x04u

void wire_create(struct wire *wire, const struct wire_options *options, uint64_t seed)
{
	*wire = (struct wire){.options = *options, .random = random_seeded(seed)};
}

void wire_destroy(struct wire *wire)
{
	for (uint32_t i = 0; i < wire->count; i++)
		free(wire->heap[i]);
	free(wire->heap);
}

static bool earlier(const struct wire_frame *a, const struct wire_frame *b)
{
	return a->due_us != b->due_us ? a->due_us < b->due_us : a->order < b->order;
}

static void heap_push(struct wire *wire, struct wire_frame *frame)
{
	uint32_t at = wire->count++;

	if (wire->count > wire->capacity) {
		wire->capacity = wire->count * 2;
		wire->heap = realloc(wire->heap, wire->capacity * sizeof(wire->heap[0]));
	}
	while (at > 0 && earlier(frame, wire->heap[(at - 1) / 2])) {
		wire->heap[at] = wire->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	wire->heap[at] = frame;
}

static struct wire_frame *heap_pop(struct wire *wire)
{
	struct wire_frame *first = wire->heap[0];
	struct wire_frame *last = wire->heap[--wire->count];
	uint32_t at = 0;

	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child >= wire->count)
			break;
		if (child + 1 < wire->count && earlier(wire->heap[child + 1], wire->heap[child]))
			child++;
		if (!earlier(wire->heap[child], last))
			break;
		wire->heap[at] = wire->heap[child];
		at = child;
	}
	wire->heap[at] = last;
	return first;
}

static bool happens(struct wire *wire, uint32_t ppm)
{
	return !wire->healed && random_below(&wire->random, 1000000) < ppm;
}

/* Up to 16 neighbouring bits, so that a 16-bit checksum must notice; never the Ethernet header,
 * which has a CRC of its own on a real wire. */
static void damage(struct wire *wire, struct wire_frame *frame)
{
	uint32_t header = ETH_HEADER_BYTES;
	uint32_t bit, pattern;

	if (frame->data[12] == 0x81 && frame->data[13] == 0)
		header += TAG_BYTES;
	bit = header * 8 + (uint32_t)random_below(&wire->random, (frame->length - header) * 8u);
	pattern = (uint32_t)random_below(&wire->random, 0xffff) | 1;
	for (uint32_t i = 0; i < 16 && bit + i < frame->length * 8u; i++)
		if (pattern >> i & 1)
			frame->data[(bit + i) / 8] ^= (uint8_t)(0x80 >> ((bit + i) % 8));
}

void wire_send(struct wire *wire, uint32_t to, const uint8_t *data, uint16_t length,
               uint64_t now_us)
{
	int copies = happens(wire, wire->options.duplicate_ppm) ? 2 : 1;

	for (; copies > 0; copies--) {
		struct wire_frame *frame;

		wire->sent_count++;
		if (happens(wire, wire->options.loss_ppm))
			continue;
		frame = malloc(sizeof(*frame));
		frame->to = to;
		frame->length = length;
		frame->order = wire->sent_count;
		frame->due_us = now_us + 1 + wire->options.delay_us;
		if (!wire->healed)
			frame->due_us +=
			    random_below(&wire->random, wire->options.jitter_us + 1ull);
		memcpy(frame->data, data, length);
		if (happens(wire, wire->options.damage_ppm))
			damage(wire, frame);
		heap_push(wire, frame);
	}
}

uint64_t wire_next_us(const struct wire *wire)
{
	return wire->count == 0 ? UINT64_MAX : wire->heap[0]->due_us;
}

struct wire_frame *wire_receive(struct wire *wire, uint64_t now_us)
{
	return wire_next_us(wire) <= now_us ? heap_pop(wire) : NULL;
}

/* What the watch wants to know of a segment. */
struct glance {
	uint32_t seq;
	uint32_t ack;
	uint32_t window;
	uint32_t length; /* SYN and FIN count */
	uint8_t flags;
	bool sack_permitted;
	bool sack_ahead; /* a selective acknowledgement of something behind a gap */
	uint16_t source_port;
	uint16_t destination_port;
};

static bool after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static void glance_at_options(struct glance *glance, const uint8_t *option, uint32_t length)
{
	while (length > 1 && option[0] != 0) {
		uint32_t bytes = option[0] == 1 ? 1 : option[1];

		if (bytes == 0 || bytes > length)
			return;
		glance->sack_permitted = glance->sack_permitted || option[0] == 4;
		for (uint32_t at = 2; option[0] == 5 && at + 8 <= bytes; at += 8)
			if (after(load_be32(option + at), glance->ack))
				glance->sack_ahead = true;
		option += bytes;
		length -= bytes;
	}
}

static bool glance_at(struct glance *ret_glance, const uint8_t *data, uint16_t length)
{
	struct frame frame;
	const uint8_t *tcp;

	if (!frame_parse(&frame, data, length) || frame.kind != FRAME_TCP || !frame.checksum_good)
		return false;
	tcp = frame.l4.data;
	*ret_glance = (struct glance){
	    .seq = load_be32(tcp + 4),
	    .ack = load_be32(tcp + 8),
	    .window = load_be16(tcp + 14),
	    .length = (uint32_t)frame.l4.length - (tcp[12] >> 4) * 4u,
	    .flags = tcp[13],
	    .source_port = frame.source_port,
	    .destination_port = frame.destination_port,
	};
	glance_at_options(ret_glance, tcp + 20, (tcp[12] >> 4) * 4u - 20);
	ret_glance->length += (tcp[13] & TCP_SYN) != 0;
	ret_glance->length += (tcp[13] & TCP_FIN) != 0;
	return true;
}

void watch_sent(struct loss_watch *watch, const uint8_t *data, uint16_t length)
{
	struct glance it;

	if (!glance_at(&it, data, length))
		return;
	if (it.flags & TCP_SYN)
		*watch = (struct loss_watch){.client_port = it.destination_port,
		                             .sack = it.sack_permitted,
		                             .acked = it.seq,
		                             .sent_end = it.seq,
		                             .recover = it.seq};
	if (it.destination_port != watch->client_port)
		return;
	if (it.flags & TCP_RST) { /* nothing will come any more */
		watch->sent_end = watch->acked;
		watch->owes = false;
		return;
	}
	watch->expected = it.ack;
	watch->taken = false;
	if (it.length == 0)
		return;
	if (after(watch->sent_end, it.seq))
		watch->recover = watch->sent_end;
	if (it.seq == watch->owed_sequence)
		watch->owes = false;
	if (after(it.seq + it.length, watch->sent_end))
		watch->sent_end = it.seq + it.length;
}

void watch_received(struct loss_watch *watch, const uint8_t *data, uint16_t length)
{
	struct glance it;

	/* what the server may find out of its window is left out */
	if (!glance_at(&it, data, length) || it.source_port != watch->client_port ||
	    it.seq != watch->expected || watch->taken || (it.flags & (TCP_SYN | TCP_RST)))
		return;
	watch->taken = it.length > 0;
	if (after(it.ack, watch->acked)) {
		watch->acked = it.ack;
		watch->duplicates = 0;
	} else if (it.ack == watch->acked && it.length == 0 && it.window == watch->window &&
	           it.window > 0 && after(watch->sent_end, watch->acked) &&
	           (it.sack_ahead || !watch->sack)) {
		watch->duplicates++;
		if (watch->duplicates == 3 && after(watch->acked, watch->recover)) {
			watch->owes = true;
			watch->owed_sequence = watch->acked;
		}
	}
	watch->window = it.window;
}
