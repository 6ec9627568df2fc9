/* SPDX-License-Identifier: Apache-2.0 */
/* Where free segments come from. What decides which segment goes is all here. */
#include "store/internal.h"

static void count_free(struct store *store)
{
	atomic_store_explicit(&store->counters.segments_free, store->segments.free_count,
	                      memory_order_relaxed);
}

/* Of the segments, one in so many is for large items being written; for those whose bytes have not
 * come for a while it is one in more. */
#define WRITING_SHARE       2
#define WRITING_SHARE_STALE 4
#define WRITING_STALE_S     2 /* whole seconds of the clock: at least one of time */

/* Bytes that are being written or read keep their segment. */
static bool is_held(const struct segment *segment)
{
	return segment->open_count > 0 || segment->pin_count > 0;
}

/* … but for those that are not there yet. */
static bool is_held_for_good(const struct segment *segment)
{
	return segment->open_count > segment->waiting_count || segment->pin_count > 0;
}

void store_release(struct store *store, uint32_t index)
{
	segments_free(&store->segments, index);
	count_free(store);
}

void store_release_if_empty(struct store *store, uint32_t index)
{
	struct segment *segment = store_segment(store, index);

	if (segment->state != SEGMENT_SEALED || segment->live_count > 0 || is_held(segment))
		return;
	segment_log_remove(&store->segments, &store->log, index);
	store_release(store, index);
	if (store->log.oldest == SEGMENT_NONE ||
	    !store_is_flushed(store, store_segment(store, store->log.oldest)))
		store->flush_sequence = 0;
}

void store_seal(struct store *store)
{
	uint32_t index = store->log.active;

	if (index == SEGMENT_NONE)
		return;
	store->log.active = SEGMENT_NONE;
	store_segment(store, index)->state = SEGMENT_SEALED;
	store_release_if_empty(store, index);
}

/* Items are hashed and their buckets fetched some at a time: the buckets are all over memory, and
 * waiting for them one by one is what emptying a segment would cost. */
#define EVICT_BATCH 16

/* Empties a segment that is not held for good. Its last item frees it. */
static void evict_segment(struct store *store, uint32_t index)
{
	uint8_t *at = segment_data(&store->segments, index);
	struct segment *segment = store_segment(store, index);
	uint32_t live_count = segment->live_count;
	struct item *items[EVICT_BATCH];
	uint64_t hashes[EVICT_BATCH];

	if (index == store->log.active)
		store_seal(store);
	while (live_count > 0) {
		uint32_t count = 0;

		while (count < EVICT_BATCH && count < live_count) {
			struct item *item = (struct item *)at;

			at += item_bytes(item);
			if (item_state(item) != ITEM_LIVE)
				continue;
			items[count] = item;
			hashes[count] = store_hash(store, item_key(item));
			store_prefetch(store, hashes[count]);
			count++;
		}
		live_count -= count;
		for (uint32_t i = 0; i < count; i++) {
			_Atomic uint64_t *slot =
			    index_find_item(&store->index, hashes[i], items[i]);

			ASSERT(slot != NULL);
			store_evict(store, slot, items[i]);
		}
	}
	while (segment->waiting != NULL)
		store_revoke(store, segment->waiting);
}

/* A segment all of whose items have expired or were flushed. expiry_soonest_s keeps this from
 * looking when there is none: a search that finds nothing sets it to the next that will come. */
static uint32_t find_expired(struct store *store)
{
	uint32_t soonest_s = EXPIRY_NEVER;

	if (store->now_s < store->expiry_soonest_s)
		return SEGMENT_NONE;
	for (uint32_t i = store->log.oldest; i != SEGMENT_NONE; i = store_segment(store, i)->next) {
		struct segment *segment = store_segment(store, i);
		bool expired =
		    segment->expiry_max_s <= store->now_s || store_is_flushed(store, segment);

		if (expired && !is_held(segment))
			return i;
		soonest_s = min_u32(soonest_s, expired ? store->now_s + 1 : segment->expiry_max_s);
	}
	store->expiry_soonest_s = soonest_s;
	return SEGMENT_NONE;
}

static uint32_t find_oldest(struct store *store)
{
	uint32_t i = store->log.oldest;

	while (i != SEGMENT_NONE && is_held_for_good(store_segment(store, i)))
		i = store_segment(store, i)->next;
	return i;
}

bool store_make_room(struct store *store)
{
	uint32_t index = find_expired(store);

	if (index != SEGMENT_NONE) {
		counter_add(&store->counters.segments_expired, 1);
	} else {
		store_shrink_index(store);
		index = find_oldest(store);
		if (index == SEGMENT_NONE && store->large_first != NULL) {
			store_revoke(store, store->large_first);
			return true;
		}
		if (index == SEGMENT_NONE)
			return store_shrink_index_now(store);
		counter_add(&store->counters.segments_evicted, 1);
	}
	evict_segment(store, index);
	return true;
}

/* Large items that wait for bytes do not drive out what is there. */
static void limit_writing(struct store *store)
{
	struct store_reservation *first = store->large_first;
	uint32_t share = WRITING_SHARE;

	if (first == NULL)
		return;
	if (store->now_s - first->waits_since_s >= WRITING_STALE_S)
		share = WRITING_SHARE_STALE;
	if (store->writing_segment_count >= store->segment_count_max / share)
		store_revoke(store, first);
}

uint32_t store_take_segment(struct store *store, enum segment_state state)
{
	uint32_t index;

	if (state == SEGMENT_OPEN || state == SEGMENT_EXTENT)
		limit_writing(store);
	if (state != SEGMENT_INDEX)
		store_move_many(store);
	if (store_used_count(store) >= store->segment_count_max && !store_make_room(store))
		return SEGMENT_NONE;
	index = segments_take(&store->segments, state);
	store_segment(store, index)->expiry_base_s = store->now_s;
	store_segment(store, index)->cas_base =
	    store->cas_newest - min_u64(store->cas_newest, CAS_OLDER);
	count_free(store);
	return index;
}
