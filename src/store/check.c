/* SPDX-License-Identifier: Apache-2.0 */
/* Invariants of the whole store, asserted one by one so that a failure names itself. */
#include "store/internal.h"

struct totals {
	uint64_t items;
	uint64_t item_bytes;
	uint64_t open_count;
	uint64_t pin_count;
	uint64_t segments_pinned;
	uint32_t listed;
	uint32_t flushed;
	uint32_t in_windows;
	uint32_t segments; /* accounted for: free, in a list, or a part of a large value */
	uint64_t class_items[CLASS_COUNT_MAX];
	uint64_t class_bytes[CLASS_COUNT_MAX];
};

/* Every slot points at a live item whose key belongs there, and at no other slot's. */
static void check_index(const struct store *store, uint64_t *ret_slot_count)
{
	const struct index *index = &store->index;
	uint64_t bucket_count = (uint64_t)index->pages.count << (index->pages.shift - BUCKET_SHIFT);
	uint64_t slot_count = 0;

	ASSERT(index->bucket_count <= bucket_count && index->bucket_count_next <= bucket_count);
	for (uint64_t i = 0; i < bucket_count * BUCKET_SLOTS; i++) {
		struct bucket *bucket = index_bucket(index, (uint32_t)(i / BUCKET_SLOTS));
		_Atomic uint64_t *slot = &bucket->slots[i % BUCKET_SLOTS];
		uint64_t value = slot_load(slot);
		struct segment *segment;
		struct bucket_pair pair;
		struct item *item;
		uint64_t hash;

		if (value == 0)
			continue;
		slot_count++;
		item = index_item(index, value);
		ASSERT((uint8_t *)item >= store->segments.arena);
		ASSERT(segment_index_of(&store->segments, item) < store->segments.count);
		segment = store_segment_of(store, item);
		ASSERT(segment->state == SEGMENT_ACTIVE || segment->state == SEGMENT_SEALED);
		ASSERT(item_state(item) == ITEM_LIVE);
		hash = store_hash(store, item_key(item));
		ASSERT(value >> 48 == hash >> 48);
		pair = index_pair(index, hash);
		ASSERT(bucket == pair.buckets[0] || bucket == pair.buckets[1]);
		ASSERT(index_find(index, hash, item_key(item)) == slot);
	}
	*ret_slot_count = slot_count;
}

static void check_pages(const struct store *store, const struct pages *pages)
{
	for (uint32_t i = 0; i < pages->count; i++)
		ASSERT(store_segment(store, pages->numbers[i])->state == SEGMENT_PAGE);
}

/* The parts of a large value are chained, and as many as its length wants. While it is being
 * written there may be fewer. */
static uint32_t check_extents(const struct store *store, uint32_t first, const struct item *item,
                              bool whole)
{
	uint64_t bytes = (uint64_t)shape_head_bytes(item_shape(item)) + item_key_bytes(item) +
	                 item_value_bytes(item);
	uint32_t wanted =
	    (uint32_t)((bytes + segment_bytes(&store->segments) - 1) >> store->segments.shift);
	uint32_t count = 1;
	uint32_t i = store_segment(store, first)->extent_next;

	for (; i != SEGMENT_NONE; i = store_segment(store, i)->extent_next) {
		ASSERT(store_segment(store, i)->state == SEGMENT_EXTENT);
		ASSERT(store_segment(store, i)->pin_count == 0); /* its head has them */
		count++;
		ASSERT(count <= wanted);
	}
	ASSERT(!whole || count == wanted);
	return count;
}

static void check_live_item(const struct store *store, const struct item *item)
{
	uint64_t hash = store_hash(store, item_key(item));

	ASSERT(index_find_item(&store->index, hash, item) != NULL);
}

static void check_waiting(const struct segment *segment)
{
	uint32_t count = 0;

	for (const struct store_reservation *i = segment->waiting; i != NULL; i = i->next) {
		ASSERT(i->is_waiting && i->segment_count == 0 && item_state(i->item) == ITEM_OPEN);
		ASSERT(i->next == NULL || i->next->previous == i);
		count++;
	}
	ASSERT(count == segment->waiting_count && count <= segment->open_count);
}

static void check_large_waiting(const struct store *store)
{
	const struct store_reservation *previous = NULL;
	const struct store_reservation *i = store->large_first;

	for (; i != NULL; previous = i, i = i->next) {
		ASSERT(i->is_waiting && i->segment_count > 0 && i->previous == previous);
		ASSERT(store_segment_of(store, i->item)->state == SEGMENT_OPEN);
		ASSERT(previous == NULL || previous->waits_since_s <= i->waits_since_s);
	}
	ASSERT(store->large_last == previous);
}

static void count_class(const struct store *store, const struct segment *segment,
                        const struct item *item, struct totals *totals)
{
	uint32_t class;

	if (store->classes == NULL)
		return;
	class = classes_of(store->classes, item_key(item));
	ASSERT(segment->class == class || segment->class == SEGMENT_CLASS_MIXED);
	totals->class_items[class]++;
	totals->class_bytes[class] += item_bytes(item);
}

static void check_classes(const struct store *store, const struct totals *totals)
{
	for (uint32_t i = 0; i < CLASS_COUNT_MAX; i++) {
		ASSERT(totals->class_items[i] == counter_read(&store->holdings[i].items));
		ASSERT(totals->class_bytes[i] == counter_read(&store->holdings[i].bytes));
	}
}

/* Walks the items of a segment in a list, or of a large item's first that is being written. */
static void check_segment(const struct store *store, uint32_t index, struct totals *totals)
{
	const struct segment *segment = store_segment(store, index);
	const uint8_t *data = segment_data(&store->segments, index);
	uint64_t offset = 0;
	uint32_t live_count = 0;
	uint32_t live_bytes = 0;
	uint32_t open_count = 0;
	uint32_t segment_count = 1;

	ASSERT(segment->used_bytes <= segment_bytes(&store->segments));
	while (offset < segment->used_bytes) {
		const struct item *item = (const struct item *)(data + offset);

		if (item_state(item) == ITEM_LIVE) {
			check_live_item(store, item);
			live_count++;
			live_bytes += (uint32_t)min_u64(item_bytes(item), segment->used_bytes);
			totals->items++;
			totals->item_bytes += item_bytes(item);
			count_class(store, segment, item, totals);
		} else if (item_state(item) == ITEM_OPEN) {
			open_count++;
		} else {
			ASSERT(item_state(item) == ITEM_DEAD);
		}
		if (segment->state == SEGMENT_OPEN || segment->list == LIST_LARGE) {
			ASSERT(offset == 0);
			segment_count =
			    check_extents(store, index, item, item_state(item) != ITEM_OPEN);
			offset = segment->used_bytes;
		} else {
			ASSERT(segment->extent_next == SEGMENT_NONE);
			offset += item_bytes(item);
		}
	}
	ASSERT(offset == segment->used_bytes);
	ASSERT(live_count == segment->live_count);
	ASSERT(live_bytes == segment->live_bytes);
	ASSERT(segment_count == segment->chain_count);
	ASSERT(open_count == segment->open_count);
	check_waiting(segment);
	ASSERT(segment->state != SEGMENT_SEALED || segment->is_claimed ||
	       live_count + open_count > 0);
	ASSERT(!segment->is_claimed || segment->state == SEGMENT_SEALED);
	totals->open_count += open_count;
	totals->pin_count += segment->pin_count;
	totals->segments += segment_count;
	if (segment->pin_count > 0)
		totals->segments_pinned += segment_count;
}

/* What is known to expire is in the window of that second, or due. */
static void check_window(const struct store *store, uint32_t index, struct totals *totals)
{
	const struct segment *segment = store_segment(store, index);

	ASSERT(segment->window != EXPIRY_WINDOW_DUE || segment->due_s <= store->now_s);
	ASSERT((segment->window == EXPIRY_WINDOW_NONE) == (segment->due_s == EXPIRY_NEVER));
	totals->in_windows += segment->window != EXPIRY_WINDOW_NONE ? 1 : 0;
}

static void check_windows(const struct store *store, const struct totals *totals)
{
	uint32_t count = 0;

	for (uint32_t i = store->expiry.due_first; i != SEGMENT_NONE;
	     i = store_segment(store, i)->expiry_next)
		count++;
	for (uint32_t octave = 0; octave < EXPIRY_OCTAVES; octave++) {
		uint32_t in_octave = 0;

		for (uint32_t j = 0; j < EXPIRY_PLACES; j++)
			for (uint32_t i = store->expiry.first[octave][j]; i != SEGMENT_NONE;
			     i = store_segment(store, i)->expiry_next)
				in_octave++;
		ASSERT(in_octave == store->expiry.counts[LOG_PROBATION][octave] +
		                        store->expiry.counts[LOG_MAIN][octave]);
		count += in_octave;
	}
	ASSERT(count == totals->in_windows);
}

static void check_list(const struct store *store, enum log_id log, enum list_id list,
                       struct totals *totals)
{
	const struct segment_list *segments = &store->logs[log].lists[list];
	uint32_t before = totals->segments;
	uint32_t previous = SEGMENT_NONE;
	uint32_t i = segments->oldest;

	while (i != SEGMENT_NONE) {
		const struct segment *segment = store_segment(store, i);

		ASSERT(segment->previous == previous);
		ASSERT(segment->log == log && segment->list == list);
		ASSERT(segment->sequence <= store->sequence);
		ASSERT(previous == SEGMENT_NONE || list == LIST_SPARSE ||
		       segment->sequence > store_segment(store, previous)->sequence);
		ASSERT(segment->state == SEGMENT_SEALED || segment->state == SEGMENT_ACTIVE);
		ASSERT((segment->state == SEGMENT_ACTIVE) ==
		       (i == store->logs[log].actives[segment->active]));
		check_window(store, i, totals);
		ASSERT(list != LIST_SPARSE || segment->state == SEGMENT_SEALED);
		totals->flushed += store_is_flushed(store, segment) ? 1 : 0;
		totals->listed++;
		check_segment(store, i, totals);
		ASSERT(totals->segments <= store->segments.count);
		previous = i;
		i = segment->next;
	}
	ASSERT(previous == segments->newest);
	ASSERT(totals->segments - before == segments->count);
}

static void check_logs(const struct store *store, struct totals *totals)
{
	for (uint32_t i = 0; i < LOG_COUNT; i++) {
		uint32_t window_count = 0;

		for (uint32_t j = 0; j < ACTIVE_COUNT; j++) {
			uint32_t active = store->logs[i].actives[j];

			if (active == SEGMENT_NONE)
				continue;
			ASSERT(store_segment(store, active)->state == SEGMENT_ACTIVE);
			ASSERT(store_segment(store, active)->log == i);
			ASSERT(store_segment(store, active)->list == LIST_SMALL);
			ASSERT(store_segment(store, active)->active == j);
			window_count += j >= ACTIVE_WINDOWS ? 1 : 0;
		}
		for (uint32_t j = 0; j < LIST_COUNT; j++)
			check_list(store, (enum log_id)i, (enum list_id)j, totals);
		ASSERT(window_count == store->logs[i].window_count);
	}
	check_windows(store, totals);
	ASSERT(totals->listed == store->listed_count);
	ASSERT(store->published.flush_sequence == 0 ||
	       (store->flushed_count > 0 && totals->flushed == store->flushed_count));
}

static void check_retired(const struct store *store, struct totals *totals)
{
	uint32_t first[] = {store->retired.oldest, store->retired_pinned};
	uint32_t before = totals->segments;

	for (uint32_t n = 0; n < 2; n++)
		for (uint32_t i = first[n]; i != SEGMENT_NONE; i = store_segment(store, i)->next) {
			const struct segment *segment = store_segment(store, i);

			ASSERT(segment->state == SEGMENT_RETIRED);
			ASSERT(segment->live_count == 0 && segment->open_count == 0);
			totals->segments += segment->chain_count;
			totals->pin_count += segment->pin_count;
			if (segment->pin_count > 0)
				totals->segments_pinned += segment->chain_count;
		}
	ASSERT(totals->segments - before == store->retired.count + store->retired_pinned_count);
	ASSERT(totals->segments - before == counter_read(&store->counters.segments_retired));
}

static uint32_t count_free_list(const struct store *store)
{
	uint32_t count = 0;
	uint32_t i = store->segments.free_first;

	for (; i != SEGMENT_NONE; i = store_segment(store, i)->next) {
		ASSERT(store_segment(store, i)->state == SEGMENT_FREE);
		count++;
		ASSERT(count <= store->segments.free_count);
	}
	ASSERT(count == store->segments.free_count);
	ASSERT(count == counter_read(&store->counters.segments_free));
	return count;
}

void store_check(const struct store *store)
{
	struct totals totals = {0};
	uint32_t writing_segment_count = 0;
	uint64_t slot_count;

	ASSERT(store->magic == STORE_MAGIC);
	check_index(store, &slot_count);
	check_pages(store, &store->index.pages);
	check_pages(store, &store->ghost_pages);
	check_pages(store, &store->shadow_pages);
	check_logs(store, &totals);
	check_large_waiting(store);
	for (uint32_t i = 0; i < store->segments.count; i++) {
		uint32_t before = totals.segments;

		if (store_segment(store, i)->state != SEGMENT_OPEN)
			continue;
		check_segment(store, i, &totals);
		writing_segment_count += totals.segments - before;
	}
	ASSERT(writing_segment_count == store->writing_segment_count);
	check_retired(store, &totals);
	totals.segments += count_free_list(store) + store_page_count(store);
	ASSERT(totals.segments == store->segments.count);
	ASSERT(totals.items == slot_count);
	ASSERT(totals.items == counter_read(&store->counters.curr_items));
	ASSERT(totals.item_bytes == counter_read(&store->counters.bytes));
	check_classes(store, &totals);
	ASSERT(totals.open_count == counter_read(&store->counters.reservations));
	ASSERT(totals.pin_count == counter_read(&store->counters.pins));
	ASSERT(totals.segments_pinned == counter_read(&store->counters.segments_pinned));
}
