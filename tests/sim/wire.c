/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <stdlib.h>
#include <string.h>

#define ETH_HEADER_BYTES 14
#define TAG_BYTES        4

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
