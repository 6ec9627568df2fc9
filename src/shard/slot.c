/* SPDX-License-Identifier: Apache-2.0 */
#include "shard/slot.h"

#include "base/assert.h"
#include "base/checksum.h"
#include "proto/number.h"

#include <stdatomic.h>

#ifndef __x86_64__
#error "the XDP program relies on loads in order, and has no fence to ask for it: x86 only"
#endif

static _Atomic uint32_t *sequence_of(struct xdp_slot *slot)
{
	return (_Atomic uint32_t *)&slot->sequence;
}

uint64_t slot_hash(uint64_t seed, struct slice key)
{
	uint64_t hash = seed;

	for (size_t i = 0; i < key.length; i++)
		hash = xdp_hash_byte(hash, key.data[i]);
	return xdp_hash_finish(hash);
}

void slot_retract(struct xdp_slot *slot)
{
	/* relaxed: the owner alone writes it */
	uint32_t sequence = atomic_load_explicit(sequence_of(slot), memory_order_relaxed);

	/* Relaxed, and the fence: what is stored afterwards, to the slot or as an acknowledgement,
	 * is not seen before this. Pairs with the program's looks before and after it reads. */
	atomic_store_explicit(sequence_of(slot), sequence | 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}

static uint8_t *append(uint8_t *to, struct slice bytes)
{
	if (bytes.length > 0)
		memcpy(to, bytes.data, bytes.length);
	return to + bytes.length;
}

/* " 123"; returns how long it is. */
static uint8_t write_number(uint8_t *to, uint64_t number)
{
	*to = ' ';
	return (uint8_t)(number_write(to + 1, number) - to);
}

static void write_line(struct xdp_slot *slot, struct slice key)
{
	uint8_t *at = append(slot->line, SLICE_LITERAL("VALUE "));

	at = append(at, key);
	at = append(at, (struct slice){slot->flags_text, slot->flags_bytes});
	at = append(at, (struct slice){slot->size_text, slot->size_bytes});
	slot->line_bytes = (uint16_t)(at - slot->line);
	append(at, (struct slice){slot->cas_text, slot->cas_bytes});
}

static void write_body(struct xdp_slot *slot, struct slice value)
{
	uint8_t *end = append(slot->body, SLICE_LITERAL("\r\n"));
	size_t meta_bytes = XDP_BODY_VALUE + value.length + 2;

	end = append(end, value);
	append(end, SLICE_LITERAL("\r\nEND\r\n"));
	slot->value_bytes = (uint16_t)value.length;
	slot->value_sum = checksum_fold(checksum_add(0, slot->body + XDP_BODY_VALUE, value.length));
	slot->meta_sum = checksum_fold(checksum_add(0, slot->body, meta_bytes));
	slot->text_sum = checksum_fold(
	    checksum_add(0, slot->body, XDP_BODY_VALUE + value.length + XDP_BODY_END_BYTES));
}

void slot_show(struct xdp_slot *slot, uint64_t hash_seed, const struct slot_item *item)
{
	ASSERT(item->key.length > 0 && item->key.length <= XDP_KEY_BYTES_MAX);
	ASSERT(item->value.length <= SLOT_VALUE_BYTES_MAX);
	slot_retract(slot);
	slot->hash = slot_hash(hash_seed, item->key);
	slot->key_bytes = (uint8_t)item->key.length;
	slot->client_flags = item->client_flags;
	slot->expiry_s = item->expiry_s;
	slot->clock_start_ns = item->clock_start_ns;
	slot->cas_unique = item->cas_unique;
	slot->flags_bytes = write_number(slot->flags_text, item->client_flags);
	slot->size_bytes = write_number(slot->size_text, item->value.length);
	slot->cas_bytes = write_number(slot->cas_text, item->cas_unique);
	write_line(slot, item->key);
	write_body(slot, item->value);
	/* Release: who sees it sees all of the above. Pairs as in slot_retract(). */
	atomic_store_explicit(sequence_of(slot),
	                      atomic_load_explicit(sequence_of(slot), memory_order_relaxed) + 1,
	                      memory_order_release);
}
