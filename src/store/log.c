/* SPDX-License-Identifier: Apache-2.0 */
/* Segments of items: how they come into a list of their log, and out of it, and which of them takes
 * an item. */
#include "store/internal.h"

#define PARTS_LOG2_MIN 1 /* log2; parts_log2 of an octave with few segments */
#define WINDOWS_SHARE  8 /* of the segments, about one in so many may be open for a window */

static void count_free(struct store *store)
{
	counter_set(&store->counters.segments_free, store->segments.free_count);
	counter_set(&store->counters.segments_retired,
	            store->retired.count + store->retired_pinned_count);
}

static bool is_pinned(const struct segment *segment)
{
	/* Acquire: pairs with store_unpin(); what was read is done. */
	return atomic_load_explicit((_Atomic uint32_t *)&segment->pin_count, memory_order_acquire) >
	       0;
}

static void push_pinned(struct store *store, uint32_t index)
{
	struct segment *segment = store_segment(store, index);

	segment->state = SEGMENT_RETIRED;
	segment->next = store->retired_pinned;
	store->retired_pinned = index;
	store->retired_pinned_count += segment->chain_count;
}

void store_release(struct store *store, uint32_t index)
{
	struct segment *segment = store_segment(store, index);

	if (store->epoch != NULL) {
		segment->state = SEGMENT_RETIRED;
		segment->retired = epoch_retire(store->epoch);
		segment_list_append(&store->segments, &store->retired, index);
	} else if (is_pinned(segment)) {
		push_pinned(store, index);
	} else {
		segments_free(&store->segments, index);
	}
	count_free(store);
}

static void collect_passed(struct store *store)
{
	while (store->retired.oldest != SEGMENT_NONE) {
		uint32_t index = store->retired.oldest;
		const struct segment *segment = store_segment(store, index);

		if (!epoch_has_passed(store->epoch, segment->retired, store->owner))
			return;
		segment_list_remove(&store->segments, &store->retired, index);
		if (is_pinned(segment))
			push_pinned(store, index);
		else
			segments_free(&store->segments, index);
	}
}

static void collect_unpinned(struct store *store)
{
	uint32_t *at = &store->retired_pinned;

	while (*at != SEGMENT_NONE) {
		uint32_t index = *at;
		struct segment *segment = store_segment(store, index);

		if (is_pinned(segment)) {
			at = &segment->next;
			continue;
		}
		*at = segment->next;
		store->retired_pinned_count -= segment->chain_count;
		segments_free(&store->segments, index);
	}
}

bool store_collect(struct store *store)
{
	uint32_t free_count = store->segments.free_count;

	collect_passed(store);
	collect_unpinned(store);
	count_free(store);
	return store->segments.free_count > free_count;
}

void store_list(struct store *store, uint32_t index, enum log_id log, enum list_id list,
                uint32_t due_s)
{
	struct segment *segment = store_segment(store, index);

	segment->log = (uint8_t)log;
	segment->list = (uint8_t)list;
	/* relaxed, all: hints, but for the sequence, which only grows */
	atomic_store_explicit(&segment->hit_tick, (uint8_t)store->eviction.clock.tick,
	                      memory_order_relaxed);
	atomic_store_explicit(&segment->is_in_main, log == LOG_MAIN, memory_order_relaxed);
	/* a sparse one is as old as it was */
	if (list != LIST_SPARSE)
		atomic_store_explicit(&segment->sequence, ++store->sequence, memory_order_relaxed);
	segment_list_append(&store->segments, &store->logs[log].lists[list], index);
	store->listed_count++;
	segment->due_s = due_s;
	expiry_add(&store->expiry, &store->segments, index);
}

void store_unlist(struct store *store, uint32_t index)
{
	const struct segment *segment = store_segment(store, index);

	expiry_remove(&store->expiry, &store->segments, index);
	segment_list_remove(&store->segments, &store->logs[segment->log].lists[segment->list],
	                    index);
	store->listed_count--;
}

void store_release_if_empty(struct store *store, uint32_t index)
{
	const struct segment *segment = store_segment(store, index);

	if (segment->state != SEGMENT_SEALED || segment->live_count > 0 ||
	    segment->open_count > 0 || segment->is_claimed)
		return;
	store_unlist(store, index);
	if (store->published.flush_sequence != 0 && store_is_flushed(store, segment) &&
	    --store->flushed_count == 0)
		/* Release: pairs with store_look(); nothing that was flushed is found any more. */
		atomic_store_explicit(&store->published.flush_sequence, 0, memory_order_release);
	store_release(store, index);
}

/* A segment of small items that has become more than half dead is worth more as room. */
static void list_if_sparse(struct store *store, uint32_t index)
{
	const struct segment *segment = store_segment(store, index);

	if (segment->state != SEGMENT_SEALED || segment->list != LIST_SMALL ||
	    segment->live_bytes > segment_bytes(&store->segments) / 2 || segment->is_claimed)
		return;
	store_unlist(store, index);
	store_list(store, index, (enum log_id)segment->log, LIST_SPARSE, segment->due_s);
}

void store_drop(struct store *store, struct item *item)
{
	uint32_t index = segment_index_of(&store->segments, item);
	struct segment *segment = store_segment(store, index);

	item_set_state(item, ITEM_DEAD);
	segment->live_count--;
	segment->live_bytes -= (uint32_t)min_u64(item_bytes(item), segment_bytes(&store->segments));
	if (segment->live_count > 0)
		list_if_sparse(store, index);
	else
		store_release_if_empty(store, index);
}

/* By the mean of what expires, about half has. */
static void end_mixed(struct store *store, uint32_t index)
{
	struct segment *segment = store_segment(store, index);
	struct log *log = &store->logs[segment->log];

	if (log->mixed_count > 0)
		segment->due_s = (uint32_t)(log->mixed_expiries_s / log->mixed_count);
	log->mixed_expiries_s = 0;
	log->mixed_count = 0;
	expiry_add(&store->expiry, &store->segments, index);
}

void store_seal(struct store *store, uint32_t index)
{
	struct segment *segment = store_segment(store, index);

	ASSERT(segment->state == SEGMENT_ACTIVE);
	store->logs[segment->log].actives[segment->active] = SEGMENT_NONE;
	if (segment->active >= ACTIVE_WINDOWS)
		store->logs[segment->log].window_count--;
	segment->state = SEGMENT_SEALED;
	if (segment->active == ACTIVE_MIXED)
		end_mixed(store, index);
	if (segment->live_count > 0)
		list_if_sparse(store, index);
	else
		store_release_if_empty(store, index);
}

void store_seal_all(struct store *store)
{
	for (uint32_t i = 0; i < LOG_COUNT * ACTIVE_COUNT; i++) {
		uint32_t index = store->logs[i / ACTIVE_COUNT].actives[i % ACTIVE_COUNT];

		if (index != SEGMENT_NONE)
			store_seal(store, index);
	}
}

/* Of an octave whose windows are open: the end of one that can get nothing more. */
void store_seal_passed(struct store *store)
{
	for (uint32_t i = 0; i < LOG_COUNT * ACTIVE_COUNT; i++) {
		const struct log *log = &store->logs[i / ACTIVE_COUNT];
		uint32_t active = i % ACTIVE_COUNT;
		uint32_t index = log->actives[active];
		uint32_t octave = (active - ACTIVE_WINDOWS) / OCTAVE_ACTIVES;

		if (active >= ACTIVE_WINDOWS && index != SEGMENT_NONE &&
		    (uint64_t)store_segment(store, index)->due_s <
		        (uint64_t)store->now_s + (1u << octave))
			store_seal(store, index);
	}
}

/* An item with so much time left is evicted before it expires, most likely: the log's oldest
 * segment is younger than that, and there is want of room. */
static bool is_lasting(const struct store *store, enum log_id log, uint32_t left_s)
{
	uint32_t oldest = store->logs[log].lists[LIST_SMALL].oldest;

	if (left_s >= 1u << (EXPIRY_OCTAVES - 1))
		return true;
	return store_is_full(store) && oldest != SEGMENT_NONE &&
	       store->now_s - store_segment(store, oldest)->born_s < left_s;
}

/* As long as there is plenty of memory, segments that are partly full cost nothing. */
static uint32_t parts_log2_of(const struct store *store, enum log_id log, uint32_t octave)
{
	if (store_used_count(store) < store->segment_count_max / 2)
		return EXPIRY_PARTS_LOG2;
	return max_u32(store->logs[log].parts_log2[octave], PARTS_LOG2_MIN);
}

struct place_in_log store_place_in(const struct store *store, enum log_id log, uint32_t expiry_s)
{
	struct place_in_log place = {log, ACTIVE_LASTING, EXPIRY_NEVER};
	uint32_t left_s = expiry_s - min_u32(expiry_s, store->now_s);
	uint32_t octave = expiry_octave(left_s);
	uint32_t shift;

	if (left_s == 0 || is_lasting(store, log, left_s))
		return place;
	shift = octave - min_u32(octave, parts_log2_of(store, log, octave));
	place.due_s = expiry_end(expiry_s, shift);
	place.active =
	    ACTIVE_WINDOWS + octave * OCTAVE_ACTIVES + (place.due_s >> shift) % OCTAVE_ACTIVES;
	return place;
}

/* So many windows that what is lost by segments that are partly full is about what is lost by items
 * that have expired and wait for the others: the root of the number of segments. */
static void adapt_parts(struct store *store, enum log_id log, uint32_t octave)
{
	uint32_t count = store->expiry.counts[log][octave];
	uint8_t *parts_log2 = &store->logs[log].parts_log2[octave];

	while (*parts_log2 < EXPIRY_PARTS_LOG2 && count >= 2u << (2 * *parts_log2))
		++*parts_log2;
	while (*parts_log2 > PARTS_LOG2_MIN && count < 1u << (2 * (*parts_log2 - 1)))
		--*parts_log2;
}

static uint32_t active_at(const struct store *store, struct place_in_log place)
{
	return store->logs[place.log].actives[place.active];
}

/* Of the windows that are open, the first that is not over before this one would be. */
static struct place_in_log find_later(const struct store *store, struct place_in_log place)
{
	struct place_in_log later = {place.log, place.active, EXPIRY_NEVER};
	uint32_t octave = (place.active - ACTIVE_WINDOWS) / OCTAVE_ACTIVES;

	for (; octave < EXPIRY_OCTAVES && later.due_s == EXPIRY_NEVER; octave++) {
		for (uint32_t i = 0; i < OCTAVE_ACTIVES; i++) {
			struct place_in_log other = {
			    place.log, ACTIVE_WINDOWS + octave * OCTAVE_ACTIVES + i, 0};
			uint32_t index = active_at(store, other);

			if (index == SEGMENT_NONE)
				continue;
			other.due_s = store_segment(store, index)->due_s;
			if (other.due_s >= place.due_s && other.due_s < later.due_s)
				later = other;
		}
	}
	return later;
}

/* Segments that are only partly full are to be few. */
static struct place_in_log within_limits(const struct store *store, struct place_in_log place)
{
	uint32_t most = store_log_share(store, place.log) / WINDOWS_SHARE;
	struct place_in_log later;

	if (place.active < ACTIVE_WINDOWS || store->logs[place.log].window_count < most)
		return place;
	later = find_later(store, place);
	if (later.due_s == EXPIRY_NEVER)
		later.active = ACTIVE_MIXED;
	return later;
}

static bool has_room(const struct store *store, struct place_in_log place, uint64_t bytes)
{
	uint32_t index = active_at(store, place);
	const struct segment *segment;

	if (index == SEGMENT_NONE)
		return false;
	segment = store_segment(store, index);
	return segment->used_bytes + bytes <= segment_bytes(&store->segments) &&
	       (place.active < ACTIVE_WINDOWS || segment->due_s == place.due_s) &&
	       !store_is_outdated(store, segment);
}

static uint32_t open_active(struct store *store, struct place_in_log place)
{
	uint32_t *active = &store->logs[place.log].actives[place.active];
	uint32_t index = store_take_free(store, SEGMENT_ACTIVE);
	struct segment *segment;

	if (index == SEGMENT_NONE)
		return SEGMENT_NONE;
	if (*active != SEGMENT_NONE)
		store_seal(store, *active);
	*active = index;
	segment = store_segment(store, index);
	segment->active = (uint16_t)place.active;
	store_list(store, index, place.log, LIST_SMALL, place.due_s);
	if (place.active >= ACTIVE_WINDOWS) {
		/* so that what expires in a day finds room for that in its header, too */
		segment->expiry_base_s =
		    max_u32(store->now_s, place.due_s - min_u32(place.due_s, EXPIRY_NEAR_S));
		store->logs[place.log].window_count++;
		adapt_parts(store, place.log, (place.active - ACTIVE_WINDOWS) / OCTAVE_ACTIVES);
	}
	return index;
}

/* Whoever is reclaiming may have one segment only, which comes back when he is done: so the windows
 * have to do with what there is. */
static uint32_t active_for_reclaiming(struct store *store, struct place_in_log place,
                                      uint64_t bytes)
{
	struct place_in_log others[2] = {{place.log, ACTIVE_MIXED, EXPIRY_NEVER},
	                                 {place.log, ACTIVE_LASTING, EXPIRY_NEVER}};
	uint32_t index;

	if (place.active >= ACTIVE_WINDOWS && store_is_full(store))
		place = others[0];
	if (has_room(store, place, bytes))
		return active_at(store, place);
	index = open_active(store, place);
	for (uint32_t i = 0; i < 2 && index == SEGMENT_NONE; i++)
		if (has_room(store, others[i], bytes))
			index = active_at(store, others[i]);
	return index;
}

uint32_t store_active_for(struct store *store, struct place_in_log place, uint64_t bytes,
                          bool is_reclaiming)
{
	if (has_room(store, place, bytes))
		return active_at(store, place);
	place = within_limits(store, place);
	if (is_reclaiming)
		return active_for_reclaiming(store, place, bytes);
	if (has_room(store, place, bytes))
		return active_at(store, place);
	if (!store_free_one(store))
		return SEGMENT_NONE;
	/* reclaiming may have brought another one */
	if (has_room(store, place, bytes))
		return active_at(store, place);
	return open_active(store, place);
}

void store_cover_expiry(struct store *store, uint32_t index, uint32_t expiry_s)
{
	const struct segment *segment = store_segment(store, index);
	struct log *log = &store->logs[segment->log];

	if (expiry_s == 0 || segment->state != SEGMENT_ACTIVE || segment->active != ACTIVE_MIXED)
		return;
	log->mixed_expiries_s += expiry_s;
	log->mixed_count++;
}

uint32_t store_take_free(struct store *store, enum segment_state state)
{
	uint32_t index;

	if (store_used_count(store) >= store->segment_count_max)
		return SEGMENT_NONE;
	index = segments_take(&store->segments, state);
	store_segment(store, index)->born_s = store->now_s;
	store_segment(store, index)->expiry_base_s = store->now_s;
	store_segment(store, index)->cas_base =
	    store->cas_newest - min_u64(store->cas_newest, CAS_OLDER);
	count_free(store);
	return index;
}
