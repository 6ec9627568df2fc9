/* SPDX-License-Identifier: Apache-2.0 */
/* Segments of items: how they come into a list of their log, and out of it. */
#include "store/internal.h"

static void count_free(struct store *store)
{
	counter_set(&store->counters.segments_free, store->segments.free_count);
}

void store_release(struct store *store, uint32_t index)
{
	segments_free(&store->segments, index);
	count_free(store);
}

void store_list(struct store *store, uint32_t index, enum log_id log, enum list_id list)
{
	struct segment *segment = store_segment(store, index);

	segment->log = (uint8_t)log;
	segment->list = (uint8_t)list;
	segment->hit_tick = (uint8_t)store->eviction.clock.tick;
	/* a sparse one is as old as it was */
	if (list != LIST_SPARSE)
		segment->sequence = ++store->sequence;
	segment_list_append(&store->segments, &store->logs[log].lists[list], index);
	store->listed_count++;
}

void store_unlist(struct store *store, uint32_t index)
{
	const struct segment *segment = store_segment(store, index);

	segment_list_remove(&store->segments, &store->logs[segment->log].lists[segment->list],
	                    index);
	store->listed_count--;
}

void store_release_if_empty(struct store *store, uint32_t index)
{
	const struct segment *segment = store_segment(store, index);

	if (segment->state != SEGMENT_SEALED || segment->live_count > 0 ||
	    segment->open_count > 0 || segment->pin_count > 0)
		return;
	store_unlist(store, index);
	if (store->flush_sequence != 0 && store_is_flushed(store, segment) &&
	    --store->flushed_count == 0)
		store->flush_sequence = 0;
	store_release(store, index);
}

/* A segment of small items that has become more than half dead is worth more as room. */
static void list_if_sparse(struct store *store, uint32_t index)
{
	const struct segment *segment = store_segment(store, index);

	if (segment->state != SEGMENT_SEALED || segment->list != LIST_SMALL ||
	    segment->live_bytes > segment_bytes(&store->segments) / 2 ||
	    index == store->eviction.emptied)
		return;
	store_unlist(store, index);
	store_list(store, index, (enum log_id)segment->log, LIST_SPARSE);
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

void store_seal(struct store *store, enum log_id log)
{
	uint32_t index = store->logs[log].active;

	if (index == SEGMENT_NONE)
		return;
	store->logs[log].active = SEGMENT_NONE;
	store_segment(store, index)->state = SEGMENT_SEALED;
	if (store_segment(store, index)->live_count > 0)
		list_if_sparse(store, index);
	else
		store_release_if_empty(store, index);
}

uint32_t store_take_free(struct store *store, enum segment_state state)
{
	uint32_t index;

	if (store_used_count(store) >= store->segment_count_max)
		return SEGMENT_NONE;
	index = segments_take(&store->segments, state);
	store_segment(store, index)->expiry_base_s = store->now_s;
	store_segment(store, index)->cas_base =
	    store->cas_newest - min_u64(store->cas_newest, CAS_OLDER);
	count_free(store);
	return index;
}
