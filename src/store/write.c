/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes into segments and out of them: reservations, pieces, pins. */
#include "store/internal.h"

static uint32_t flags_shape(uint32_t client_flags)
{
	uint32_t bytes = client_flags <= ITEM_FLAGS_PLAIN ? 0
	                 : client_flags <= UINT8_MAX      ? 1
	                 : client_flags <= UINT16_MAX     ? 2
	                                                  : 4;

	return (bytes == 0 ? client_flags : ITEM_FLAGS_PLAIN + 1 + bytes / 2) << ITEM_FLAGS_SHIFT;
}

/* Which wide parts the item must have: in this segment, or in whatever it may be put (NULL). */
static uint32_t shape_of(const struct store *store, const struct store_item_options *options,
                         const struct segment *segment)
{
	uint32_t expiry_s = options->expiry_s;
	uint32_t shape =
	    min_u32(options->value_bytes, ITEM_VALUE_MASK) | flags_shape(options->client_flags) |
	    (uint32_t)ITEM_OPEN << ITEM_STATE_SHIFT | options->marks << ITEM_MARKS_SHIFT;

	/* what is not above the base comes out above ITEM_EXPIRY_MAX, too */
	if (options->may_expire_else ||
	    (expiry_s != 0 &&
	     (segment == NULL || expiry_s - segment->expiry_base_s - 1 >= ITEM_EXPIRY_MAX)))
		shape |= ITEM_EXPIRY_IS_WIDE;
	if (options->cas_is_given && (options->cas_unique > store->cas_newest ||
	                              store->cas_newest - options->cas_unique >= CAS_NEAR))
		shape |= ITEM_CAS_IS_WIDE;
	if (shape_flags_bytes(shape) > 0 || options->value_bytes >= ITEM_VALUE_MASK ||
	    shape & (ITEM_EXPIRY_IS_WIDE | ITEM_CAS_IS_WIDE))
		shape |= ITEM_HAS_WIDE;
	return shape;
}

static uint64_t bytes_of(const struct store_item_options *options, uint32_t shape)
{
	return item_padded((uint64_t)shape_head_bytes(shape) + options->key.length +
	                   options->value_bytes);
}

static void put_wide_parts(struct item *item, uint32_t shape,
                           const struct store_item_options *options)
{
	uint8_t *at = item->bytes + (shape & ITEM_EXPIRY_IS_WIDE ? 2 : 0);

	switch (shape_flags_bytes(shape)) {
	case 1: *at = (uint8_t)options->client_flags; break;
	case 2: store_be16(at, (uint16_t)options->client_flags); break;
	case 4: store_be32(at, options->client_flags); break;
	default: break;
	}
	at += shape_flags_bytes(shape);
	if (shape & ITEM_CAS_IS_WIDE) {
		store_be32(at, (uint32_t)(options->cas_unique >> 32));
		at += sizeof(uint32_t);
	}
	if ((shape & ITEM_VALUE_MASK) == ITEM_VALUE_MASK)
		store_be32(at, options->value_bytes);
}

static struct item *put_item(struct store *store, uint32_t index, uint32_t shape,
                             const struct store_item_options *options)
{
	struct segment *segment = store_segment(store, index);
	struct item *item =
	    (struct item *)(segment_data(&store->segments, index) + segment->used_bytes);
	bool fits;

	item_set_shape(item, shape);
	put_wide_parts(item, shape, options);
	item_set_access(item, (uint32_t)options->key.length, false, store->now_s);
	fits = item_set_expiry(item, options->expiry_s, segment->expiry_base_s);
	if (options->cas_is_given)
		fits &= item_set_cas(item, options->cas_unique, segment->cas_base);
	ASSERT(fits);
	memcpy((uint8_t *)item + shape_head_bytes(shape), options->key.data, options->key.length);
	return item;
}

static struct place_in_log place_for(struct store *store, const struct store_item_options *options,
                                     uint64_t bytes)
{
	bool has_probation = policy_traits[store->eviction.policy].has_probation;

	if (options->is_staged)
		return (struct place_in_log){has_probation ? LOG_PROBATION : LOG_MAIN,
		                             ACTIVE_STAGED, EXPIRY_NEVER};
	return store_place_in(store, store_choose_log(store, options->hash, bytes),
	                      options->expiry_s);
}

bool store_reserve(struct store *store, const struct store_item_options *options,
                   struct store_reservation *ret_reservation)
{
	uint64_t bytes = bytes_of(options, shape_of(store, options, NULL));
	bool large = store_is_large(store, bytes);
	struct segment *segment;
	struct place_in_log place;
	uint32_t head_bytes;
	uint32_t shape;
	uint32_t index;
	struct item *item;

	ASSERT(options->key.length <= UINT8_MAX);
	store_tend_tables(store);
	place = place_for(store, options, bytes);
	index = large ? store_take_segment(store, SEGMENT_OPEN)
	              : store_active_for(store, place, bytes, false);
	if (index == SEGMENT_NONE)
		return false;
	segment = store_segment(store, index);
	if (large)
		segment->log = (uint8_t)place.log;
	shape = shape_of(store, options, segment);
	item = put_item(store, index, shape, options);
	segment->open_count++;
	counter_add(&store->counters.reservations, 1);
	head_bytes = shape_head_bytes(shape) + (uint32_t)options->key.length;
	bytes = min_u64(bytes_of(options, shape), segment_bytes(&store->segments));
	segment->used_bytes += (uint32_t)bytes;
	*ret_reservation = (struct store_reservation){
	    .item = item,
	    .at = (uint8_t *)item + head_bytes,
	    .hash = options->hash,
	    .room_bytes = (uint32_t)bytes - head_bytes,
	    .left_bytes = options->value_bytes,
	    .tail = index,
	    .segment_count = large ? 1 : 0,
	    .cas_is_given = options->cas_is_given,
	};
	store->writing_segment_count += ret_reservation->segment_count;
	return true;
}

void store_expire_else(struct store_reservation *reservation, uint32_t expiry_s)
{
	if (!item_set_expiry(reservation->item, expiry_s, 0))
		ASSERT(!"it was made with may_expire_else");
}

static bool extend(struct store *store, struct store_reservation *reservation)
{
	uint32_t index = store_take_segment(store, SEGMENT_EXTENT);

	if (index == SEGMENT_NONE)
		return false;
	store_segment(store, reservation->tail)->extent_next = index;
	store_segment_of(store, reservation->item)->chain_count++;
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

bool store_write_value(struct store *store, struct store_reservation *reservation,
                       const struct item *from)
{
	struct store_piece piece = store_value(store, from);

	do {
		if (!store_write(store, reservation, piece.data, piece.length))
			return false;
	} while (store_value_next(store, &piece));
	return true;
}

struct store_original store_original(const struct store *store,
                                     const struct store_reservation *reservation)
{
	return (struct store_original){
	    .item = reservation->item,
	    .hash = reservation->hash,
	    .cas_unique = store_cas_unique(store, reservation->item),
	    .expiry_s = store_expiry_s(store, reservation->item),
	    .cas_is_given = reservation->cas_is_given,
	};
}

bool store_reserve_like(struct store *store, const struct store_original *original,
                        struct store_reservation *ret_reservation)
{
	const struct item *item = original->item;
	struct store_item_options options = {
	    .key = item_key(item),
	    .hash = original->hash,
	    .value_bytes = item_value_bytes(item),
	    .client_flags = item_client_flags(item),
	    .expiry_s = original->expiry_s,
	    .marks = item_marks(item),
	    .cas_is_given = original->cas_is_given,
	    .cas_unique = original->cas_unique,
	    .may_expire_else = (item_shape(item) & ITEM_EXPIRY_IS_WIDE) != 0,
	};

	return store_reserve(store, &options, ret_reservation);
}

bool store_settle(struct store *store, struct store_reservation *reservation)
{
	struct item *old = reservation->item;
	const struct segment *segment = store_segment_of(store, old);
	struct store_original original;
	struct store_reservation settled;

	ASSERT(reservation->left_bytes == 0);
	/* a large item's own segment is in the log, and can be flushed, only when it is published
	 */
	if (segment->state == SEGMENT_OPEN ||
	    (!store_is_condemned(store, segment) && !store_is_outdated(store, segment)))
		return true;
	/* what is being written keeps its segment, so `old` stays */
	original = store_original(store, reservation);
	if (!store_reserve_like(store, &original, &settled))
		return false;
	if (!store_write_value(store, &settled, old))
		ASSERT(!"it was in one segment, and is little larger than half of one now");
	store_abandon(store, reservation);
	*reservation = settled;
	return true;
}

bool store_copy_item(struct store *store, _Atomic uint64_t *slot, struct item *item, enum log_id to)
{
	const struct segment *from = store_segment_of(store, item);
	struct store_item_options options = {
	    .key = item_key(item),
	    .value_bytes = item_value_bytes(item),
	    .client_flags = item_client_flags(item),
	    .expiry_s = item_expiry_s(item, from->expiry_base_s),
	    .marks = item_marks(item),
	    .cas_is_given = true,
	    .cas_unique = item_cas_unique(item, from->cas_base),
	};
	uint64_t bytes = bytes_of(&options, shape_of(store, &options, NULL));
	uint32_t index = SEGMENT_NONE;
	struct item *copy;
	uint32_t shape;

	if (bytes <= segment_bytes(&store->segments))
		index = store_active_for(store, store_place_in(store, to, options.expiry_s), bytes,
		                         true);
	if (index == SEGMENT_NONE)
		return false;
	shape = shape_of(store, &options, store_segment(store, index));
	bytes = bytes_of(&options, shape);
	copy = put_item(store, index, shape, &options);
	store_segment(store, index)->used_bytes += (uint32_t)bytes;
	shown_hide(&store->shown, item); /* it is another one now */
	memcpy((uint8_t *)copy + shape_head_bytes(shape) + options.key.length,
	       options.key.data + options.key.length, options.value_bytes);
	atomic_store_explicit(&copy->access, item_access(item), memory_order_relaxed);
	item_set_state(copy, ITEM_LIVE);
	store_count_live(store, copy);
	store_cover_expiry(store, index, options.expiry_s);
	counter_add(&store->counters.bytes, bytes - item_bytes(item));
	counter_add(&store->counters.copied_bytes, bytes);
	slot_store(slot, slot_value(slot_load(slot), slot_mark(slot_load(slot)),
	                            index_location(&store->index, copy)));
	store_drop(store, item);
	return true;
}

/* Nothing was ever published there, so nobody reads it; what comes next is new. */
static void begin_anew(struct store *store, uint32_t index)
{
	struct segment *segment = store_segment(store, index);
	enum log_id log = (enum log_id)segment->log;

	segment->used_bytes = 0;
	if (segment->next == SEGMENT_NONE)
		return;
	store_unlist(store, index);
	store_list(store, index, log, LIST_SMALL, EXPIRY_NEVER);
}

void store_abandon(struct store *store, struct store_reservation *reservation)
{
	struct item *item = reservation->item;
	uint32_t index = segment_index_of(&store->segments, item);
	struct segment *segment = store_segment(store, index);
	uint8_t *end = segment_data(&store->segments, index) + segment->used_bytes;

	ASSERT(item_state(item) == ITEM_OPEN && !reservation->is_waiting);
	item_set_state(item, ITEM_DEAD);
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
	if (segment->state == SEGMENT_ACTIVE && segment->active == ACTIVE_STAGED &&
	    segment->open_count == 0)
		begin_anew(store, index);
	store_release_if_empty(store, index);
}

struct store_piece store_value(const struct store *store, const struct item *item)
{
	struct slice key = item_key(item);
	const uint8_t *data = key.data + key.length;
	uint32_t value_bytes = item_value_bytes(item);
	const uint8_t *end;
	uint32_t length;
	uint32_t index;

	if (value_bytes <= SEGMENT_BYTES_MIN / 4) /* nothing that is large */
		return (struct store_piece){.data = data, .length = value_bytes};
	index = segment_index_of(&store->segments, item);
	end = segment_data(&store->segments, index) + segment_bytes(&store->segments);
	length = (uint32_t)min_u64(value_bytes, (uint64_t)(end - data));
	return (struct store_piece){
	    .data = data,
	    .length = length,
	    .left_bytes = value_bytes - length,
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

static void pin(struct store *store, struct segment *segment)
{
	/* relaxed: whoever pins it has it already */
	if (atomic_fetch_add_explicit(&segment->pin_count, 1, memory_order_relaxed) == 0)
		atomic_fetch_add_explicit(&store->counters.segments_pinned, segment->chain_count,
		                          memory_order_relaxed);
	atomic_fetch_add_explicit(&store->counters.pins, 1, memory_order_relaxed);
}

struct segment *store_pin(struct store *store, const struct item *item)
{
	struct segment *segment = store_segment_of(store, item);

	pin(store, segment);
	return segment;
}

bool store_has(const struct store *store, const struct segment *segment)
{
	return segment >= store->segments.headers &&
	       segment < store->segments.headers + store->segments.count;
}

bool store_pin_again(struct store *store, struct segment *segment)
{
	ASSERT_SLOW(segment->pin_count > 0);
	if (counter_read(&store->counters.segments_pinned) > store->segments.count / 4)
		return false;
	pin(store, segment);
	return true;
}

void store_unpin(struct store *store, struct segment *segment)
{
	uint32_t chain_count = segment->chain_count;
	/* Release: pairs with store_collect(); what was read is done, and so is this. */
	uint32_t before;

	atomic_fetch_sub_explicit(&store->counters.pins, 1, memory_order_relaxed);
	before = atomic_fetch_sub_explicit(&segment->pin_count, 1, memory_order_release);
	ASSERT(before > 0);
	if (before == 1)
		atomic_fetch_sub_explicit(&store->counters.segments_pinned, chain_count,
		                          memory_order_relaxed);
}
