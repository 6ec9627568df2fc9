/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes into segments and out of them: reservations, pieces, pins. */
#include "store/internal.h"

static struct item *item_begin(struct store *store, uint32_t index,
                               const struct store_item_options *options)
{
	struct segment *segment = store_segment(store, index);
	struct item *item =
	    (struct item *)(segment_data(&store->segments, index) + segment->used_bytes);

	item->client_flags = options->client_flags;
	item->value_bytes = options->value_bytes;
	item->key_bytes = (uint8_t)options->key.length;
	item->state = ITEM_OPEN;
	atomic_store_explicit(&item->expiry_s, options->expiry_s, memory_order_relaxed);
	store_set_marks(item, options->marks);
	memcpy(item->bytes, options->key.data, options->key.length);
	segment->open_count++;
	counter_add(&store->counters.reservations, 1);
	return item;
}

/* The active segment, with room for so many bytes; SEGMENT_NONE: no memory. */
static uint32_t active_with_room(struct store *store, uint64_t bytes)
{
	uint32_t index = store->log.active;

	if (index != SEGMENT_NONE &&
	    store_segment(store, index)->used_bytes + bytes <= segment_bytes(&store->segments))
		return index;
	store_seal(store);
	index = store_take_segment(store, SEGMENT_ACTIVE);
	if (index != SEGMENT_NONE) {
		segment_log_append(&store->segments, &store->log, index);
		store->log.active = index;
	}
	return index;
}

bool store_reserve(struct store *store, const struct store_item_options *options,
                   struct store_reservation *ret_reservation)
{
	uint64_t bytes = item_bytes_of(options->key.length, options->value_bytes);
	bool large = store_is_large(store, bytes);
	uint32_t index;
	struct item *item;

	ASSERT(options->key.length <= UINT8_MAX);
	store_tend_index(store);
	index = large ? store_take_segment(store, SEGMENT_OPEN) : active_with_room(store, bytes);
	if (index == SEGMENT_NONE)
		return false;
	item = item_begin(store, index, options);
	bytes = min_u64(bytes, segment_bytes(&store->segments));
	store_segment(store, index)->used_bytes += (uint32_t)bytes;
	*ret_reservation = (struct store_reservation){
	    .item = item,
	    .at = item->bytes + options->key.length,
	    .hash = options->hash,
	    .room_bytes = (uint32_t)(bytes - offsetof(struct item, bytes) - options->key.length),
	    .left_bytes = options->value_bytes,
	    .tail = index,
	    .segment_count = large ? 1 : 0,
	};
	store->writing_segment_count += ret_reservation->segment_count;
	return true;
}

static bool extend(struct store *store, struct store_reservation *reservation)
{
	uint32_t index = store_take_segment(store, SEGMENT_EXTENT);

	if (index == SEGMENT_NONE)
		return false;
	store_segment(store, reservation->tail)->extent_next = index;
	reservation->tail = index;
	reservation->at = segment_data(&store->segments, index);
	reservation->room_bytes = segment_bytes(&store->segments);
	reservation->segment_count++;
	store->writing_segment_count++;
	return true;
}

void store_wait(struct store *store, struct store_reservation *reservation)
{
	struct segment *segment = store_segment_of(store, reservation->item);

	ASSERT(!reservation->is_waiting);
	reservation->is_waiting = true;
	reservation->waits_since_s = store->now_s;
	reservation->next = NULL;
	if (reservation->segment_count > 0) {
		reservation->previous = store->large_last;
		if (store->large_last != NULL)
			store->large_last->next = reservation;
		else
			store->large_first = reservation;
		store->large_last = reservation;
		return;
	}
	reservation->previous = NULL;
	reservation->next = segment->waiting;
	if (segment->waiting != NULL)
		segment->waiting->previous = reservation;
	segment->waiting = reservation;
	segment->waiting_count++;
}

bool store_resume(struct store *store, struct store_reservation *reservation)
{
	struct store_reservation *next = reservation->next;
	struct store_reservation *previous = reservation->previous;
	bool is_large = reservation->segment_count > 0;
	struct segment *segment;

	if (reservation->item == NULL)
		return false;
	ASSERT(reservation->is_waiting);
	reservation->is_waiting = false;
	segment = store_segment_of(store, reservation->item);
	if (!is_large)
		segment->waiting_count--;
	if (previous != NULL)
		previous->next = next;
	else
		*(is_large ? &store->large_first : &segment->waiting) = next;
	if (next != NULL)
		next->previous = previous;
	else if (is_large)
		store->large_last = previous;
	return true;
}

void store_revoke(struct store *store, struct store_reservation *reservation)
{
	counter_add(&store->counters.writes_revoked, 1);
	if (store->revoked != NULL)
		store->revoked(store->revoked_context, reservation);
	store_resume(store, reservation);
	store_abandon(store, reservation);
}

void store_observe_revocations(struct store *store,
                               void (*revoked)(void *context,
                                               struct store_reservation *reservation),
                               void *context)
{
	store->revoked = revoked;
	store->revoked_context = context;
}

bool store_write(struct store *store, struct store_reservation *reservation, const uint8_t *bytes,
                 uint64_t length)
{
	ASSERT(length <= reservation->left_bytes);
	while (length > 0) {
		uint32_t part;

		if (reservation->room_bytes == 0 && !extend(store, reservation))
			return false;
		part = (uint32_t)min_u64(length, reservation->room_bytes);
		memcpy(reservation->at, bytes, part);
		reservation->at += part;
		reservation->room_bytes -= part;
		reservation->left_bytes -= part;
		bytes += part;
		length -= part;
	}
	return true;
}

bool store_settle(struct store *store, struct store_reservation *reservation)
{
	struct item *old = reservation->item;
	const struct segment *segment = store_segment_of(store, old);
	struct store_item_options options = {
	    .key = item_key(old),
	    .hash = reservation->hash,
	    .value_bytes = old->value_bytes,
	    .client_flags = old->client_flags,
	    .expiry_s = item_expiry_s(old),
	    .marks = item_marks(old),
	};
	struct store_reservation settled;
	struct store_piece piece;

	ASSERT(reservation->left_bytes == 0);
	/* a large item's own segment is in the log, and can be flushed, only when it is published
	 */
	if (segment->state == SEGMENT_OPEN || !store_is_flushed(store, segment))
		return true;
	/* what is being written keeps its segment, so `old` stays */
	if (!store_reserve(store, &options, &settled))
		return false;
	piece = store_value(store, old);
	ASSERT(piece.left_bytes == 0);
	store_write(store, &settled, piece.data, piece.length);
	settled.cas_is_given = reservation->cas_is_given;
	settled.cas_unique = reservation->cas_unique;
	store_abandon(store, reservation);
	*reservation = settled;
	return true;
}

void store_abandon(struct store *store, struct store_reservation *reservation)
{
	struct item *item = reservation->item;
	uint32_t index = segment_index_of(&store->segments, item);
	struct segment *segment = store_segment(store, index);
	uint8_t *end = segment_data(&store->segments, index) + segment->used_bytes;

	ASSERT(item->state == ITEM_OPEN && !reservation->is_waiting);
	item->state = ITEM_DEAD;
	store->writing_segment_count -= reservation->segment_count;
	segment->open_count--;
	counter_subtract(&store->counters.reservations, 1);
	reservation->item = NULL;
	if (segment->state == SEGMENT_OPEN) {
		store_release(store, index);
		return;
	}
	if (segment->state == SEGMENT_ACTIVE && (uint8_t *)item + item_bytes(item) == end)
		segment->used_bytes -= (uint32_t)item_bytes(item);
	store_release_if_empty(store, index);
}

struct store_piece store_value(const struct store *store, const struct item *item)
{
	uint32_t index = segment_index_of(&store->segments, item);
	const uint8_t *data = item->bytes + item->key_bytes;
	const uint8_t *end =
	    segment_data(&store->segments, index) + segment_bytes(&store->segments);
	uint32_t length = (uint32_t)min_u64(item->value_bytes, (uint64_t)(end - data));

	return (struct store_piece){
	    .data = data,
	    .length = length,
	    .left_bytes = item->value_bytes - length,
	    .tail = index,
	};
}

bool store_value_next(const struct store *store, struct store_piece *piece)
{
	if (piece->left_bytes == 0)
		return false;
	piece->tail = store_segment(store, piece->tail)->extent_next;
	piece->data = segment_data(&store->segments, piece->tail);
	piece->length = min_u32(piece->left_bytes, segment_bytes(&store->segments));
	piece->left_bytes -= piece->length;
	return true;
}

/* A segment and its extents. */
static uint32_t segments_held(const struct store *store, const struct segment *segment)
{
	uint32_t count = 1;

	for (; segment->extent_next != SEGMENT_NONE; count++)
		segment = store_segment(store, segment->extent_next);
	return count;
}

static void pin(struct store *store, struct segment *segment)
{
	if (segment->pin_count++ == 0)
		counter_add(&store->counters.segments_pinned, segments_held(store, segment));
	counter_add(&store->counters.pins, 1);
}

struct segment *store_pin(struct store *store, const struct item *item)
{
	struct segment *segment = store_segment_of(store, item);

	pin(store, segment);
	return segment;
}

bool store_pin_again(struct store *store, struct segment *segment)
{
	ASSERT_SLOW(segment->pin_count > 0);
	if (counter_read(&store->counters.segments_pinned) > store->segment_count_max / 4)
		return false;
	pin(store, segment);
	return true;
}

void store_unpin(struct store *store, struct segment *segment)
{
	ASSERT(segment->pin_count > 0);
	if (--segment->pin_count == 0)
		counter_subtract(&store->counters.segments_pinned, segments_held(store, segment));
	counter_subtract(&store->counters.pins, 1);
	store_release_if_empty(store, (uint32_t)(segment - store->segments.headers));
}
