/* SPDX-License-Identifier: Apache-2.0 */
/* How much of the memory is index. It begins as one page and gets more with the items; when memory
 * is wanted for other things and its items are few, it gives some back. */
#include "store/internal.h"

/* Of 100 slots so many are in use: when it grows while there is free memory, and when there is
 * none; when it shrinks; what it is made for. Two choices of 8 slots, and an item that may move to
 * its other bucket: at 90 a million writes all find room, at 95 one in 10,000 finds none. */
#define GROWN_OVER      85
#define GROWN_OVER_FULL 92
#define SHRUNK_UNDER    70
#define MADE_FOR        82

#define GROWTH_MAX       8  /* at once, times */
#define GROWTH_PART      8  /* and at least so large a part of what there is */
#define SHADOW_TOLERANCE 16 /* a cache that is larger or smaller by such a part is another one */

#define SHRINK_MAX 2 /* at once, so that there is room for what comes meanwhile */

/* A write moves so many buckets, and half as many as are in a page when it wants a segment: so a
 * resize is over before the next, and before a fraction of the memory has been written. */
#define MOVED_BY_WRITE 2

static uint64_t page_slots(const struct store *store)
{
	return segment_bytes(&store->segments) / sizeof(uint64_t);
}

static uint64_t slots_in_use(const struct store *store)
{
	return counter_read(&store->counters.curr_items);
}

/* Whether the items take more than so many of 100 slots. */
static bool is_over(const struct store *store, uint32_t percent)
{
	uint64_t slots = (uint64_t)index_load(&store->index.bucket_count) * BUCKET_SLOTS;

	return slots_in_use(store) * 100 > slots * percent;
}

static uint32_t pages_for(const struct store *store, uint64_t item_count)
{
	return (uint32_t)(item_count * 100 / (MADE_FOR * page_slots(store)) + 1);
}

/* The ghosts have an entry of half a slot's size for each slot. */
static uint32_t ghost_pages_for(uint32_t page_count)
{
	return (page_count + 1) / 2;
}

/* For as many items as there will be when memory is full, if they go on as they are: so many to a
 * segment, and pages for them, and for their ghosts, in the rest. */
static uint32_t foresee_pages(const struct store *store)
{
	uint32_t count = store->index.pages.count;
	uint64_t used = store_used_count(store) - store_page_count(store);
	uint64_t items = slots_in_use(store);
	uint64_t pages = items * 100 * store->segment_count_max /
	                     (used * page_slots(store) * MADE_FOR + items * 150) +
	                 1;

	return max_u32(count + count / GROWTH_PART + 1,
	               (uint32_t)min_u64(pages, count * GROWTH_MAX));
}

bool store_add_page(struct store *store, struct pages *pages)
{
	uint32_t page = store_take_segment(store, SEGMENT_PAGE);

	if (page == SEGMENT_NONE)
		return false;
	memset(segment_data(&store->segments, page), 0, segment_bytes(&store->segments));
	pages->numbers[pages->count++] = page;
	return true;
}

void store_drop_pages(struct store *store, struct pages *pages, uint32_t count)
{
	while (pages->count > count)
		store_release(store, pages->numbers[--pages->count]);
}

void store_count_ghosts(struct store *store)
{
	uint64_t bytes = pages_bytes(&store->ghost_pages);

	store->ghost.bucket_count = (uint32_t)(bytes / GHOST_BUCKET_BYTES);
	counter_set(&store->counters.ghost_bytes, bytes);
}

/* The shadows begin when all their pages are there, and anew when the cache has another size. */
static void tend_shadows(struct store *store)
{
	uint64_t cache_bytes = store_cache_bytes(store) + pages_bytes(&store->shadow_pages);
	uint64_t one_bytes = segment_bytes(&store->segments);
	uint32_t wanted = (uint32_t)((shadows_bytes(cache_bytes) + one_bytes - 1) / one_bytes);

	if (!store->eviction.is_adaptive) {
		shadows_end(&store->shadows);
		store_drop_pages(store, &store->shadow_pages, 0);
	} else if (store->shadow_pages.count < min_u32(wanted, SHADOW_PAGES_MAX)) {
		store_add_page(store, &store->shadow_pages);
	} else {
		shadows_begin(&store->shadows, &store->shadow_pages, store_cache_bytes(store),
		              store->eviction.policy);
	}
	counter_set(&store->counters.shadow_bytes, pages_bytes(&store->shadow_pages));
	store_publish_marking(store);
}

static bool shadows_are_right(const struct store *store)
{
	uint64_t bytes = store->shadows.whole_bytes;
	uint64_t cache_bytes = store_cache_bytes(store);

	if (!store->eviction.is_adaptive)
		return store->shadow_pages.count == 0;
	return store->shadows.entry_count != 0 && cache_bytes < bytes + bytes / SHADOW_TOLERANCE &&
	       cache_bytes > bytes - bytes / SHADOW_TOLERANCE;
}

static void tend_index(struct store *store)
{
	if (store->pages_wanted == 0) {
		if (!is_over(store, store_is_full(store) ? GROWN_OVER_FULL : GROWN_OVER))
			return;
		store->pages_wanted = foresee_pages(store);
	}
	if (!store_add_page(store, &store->index.pages) ||
	    store->index.pages.count < store->pages_wanted)
		return;
	store->pages_wanted = 0;
	counter_set(&store->counters.hash_bytes, pages_bytes(&store->index.pages));
	index_resize(&store->index, store->index.pages.count);
}

/* One page with each call, as each may have to be emptied first. */
void store_tend_tables(struct store *store)
{
	if (index_is_resizing(&store->index))
		return;
	if (store->pages_wanted == 0 &&
	    store->ghost_pages.count < ghost_pages_for(store->index.pages.count)) {
		store_add_page(store, &store->ghost_pages);
		store_count_ghosts(store);
	} else if (!shadows_are_right(store)) {
		tend_shadows(store);
	} else {
		tend_index(store);
	}
}

static void release_pages(struct store *store)
{
	struct index *index = &store->index;
	uint32_t count = index_load(&index->bucket_count) >> (index->pages.shift - BUCKET_SHIFT);

	store_drop_pages(store, &index->pages, count);
	store_drop_pages(store, &store->ghost_pages, ghost_pages_for(count));
	store_count_ghosts(store);
	counter_set(&store->counters.hash_bytes, pages_bytes(&index->pages));
}

static void put_slot(struct store *store, uint64_t slot)
{
	uint64_t hash;

	if (slot == 0)
		return;
	hash = store_hash(store, item_key(index_item(&store->index, slot)));
	slot_store(store_vacancy(store, hash), slot);
}

void store_move_buckets(struct store *store, uint32_t count)
{
	uint64_t slots[BUCKET_SLOTS];

	for (uint32_t i = 0; i < count && index_is_resizing(&store->index); i++) {
		bool is_over;

		index_begin_move(&store->index);
		is_over = !index_move_bucket(&store->index, slots);
		for (uint32_t j = 0; j < BUCKET_SLOTS && !is_over; j++)
			put_slot(store, slots[j]);
		index_end_move(&store->index);
		if (is_over) {
			release_pages(store);
			return;
		}
	}
}

void store_move_some(struct store *store)
{
	store_move_buckets(store, MOVED_BY_WRITE);
}

void store_move_many(struct store *store)
{
	store_move_buckets(store, segment_bytes(&store->segments) / sizeof(struct bucket) / 2);
}

bool store_shrink_index(struct store *store)
{
	uint32_t pages =
	    max_u32(pages_for(store, slots_in_use(store)), store->index.pages.count / SHRINK_MAX);

	if (index_is_resizing(&store->index) || store->pages_wanted != 0 ||
	    pages >= store->index.pages.count || is_over(store, SHRUNK_UNDER))
		return false;
	index_resize(&store->index, pages);
	return true;
}

bool store_shrink_index_now(struct store *store)
{
	uint32_t free_count = store->segments.free_count;

	store_move_buckets(store, UINT32_MAX);
	store->pages_wanted = 0;
	release_pages(store);
	while (store_shrink_index(store))
		store_move_buckets(store, UINT32_MAX);
	return store->segments.free_count > free_count;
}
