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

#define GROWTH_MAX  8 /* at once, times */
#define GROWTH_PART 8 /* and at least so large a part of what there is */
#define SHRINK_MAX  2 /* at once, so that there is room for what comes meanwhile */

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
	uint64_t slots = (uint64_t)store->index.bucket_count * BUCKET_SLOTS;

	return slots_in_use(store) * 100 > slots * percent;
}

static uint32_t pages_for(const struct store *store, uint64_t item_count)
{
	return (uint32_t)(item_count * 100 / (MADE_FOR * page_slots(store)) + 1);
}

/* For as many items as there will be when memory is full, if they go on as they are: so many to a
 * segment, and pages for them in the rest. */
static uint32_t foresee_pages(const struct store *store)
{
	uint32_t count = store->index.page_count;
	uint64_t used = store_used_count(store) - count;
	uint64_t items = slots_in_use(store);
	uint64_t pages = items * 100 * store->segment_count_max /
	                     (used * page_slots(store) * MADE_FOR + items * 100) +
	                 1;

	return max_u32(count + count / GROWTH_PART + 1,
	               (uint32_t)min_u64(pages, count * GROWTH_MAX));
}

static void count_pages(struct store *store)
{
	atomic_store_explicit(&store->counters.hash_bytes,
	                      (uint64_t)store->index.page_count << store->segments.shift,
	                      memory_order_relaxed);
}

bool store_add_page(struct store *store)
{
	uint32_t page = store_take_segment(store, SEGMENT_INDEX);

	if (page == SEGMENT_NONE)
		return false;
	memset(segment_data(&store->segments, page), 0, segment_bytes(&store->segments));
	store->index.pages[store->index.page_count++] = page;
	count_pages(store);
	return true;
}

/* One page with each call, as each may have to be emptied first. */
void store_tend_index(struct store *store)
{
	if (index_is_resizing(&store->index))
		return;
	if (store->pages_wanted == 0) {
		bool full = store_used_count(store) >= store->segment_count_max;

		if (!is_over(store, full ? GROWN_OVER_FULL : GROWN_OVER))
			return;
		store->pages_wanted = foresee_pages(store);
	}
	if (!store_add_page(store) || store->index.page_count < store->pages_wanted)
		return;
	store->pages_wanted = 0;
	index_resize(&store->index, store->index.page_count);
}

static void release_pages(struct store *store)
{
	struct index *index = &store->index;
	uint32_t count = index->bucket_count >> (index->page_shift - BUCKET_SHIFT);

	while (index->page_count > count)
		store_release(store, index->pages[--index->page_count]);
	count_pages(store);
}

static void move_buckets(struct store *store, uint32_t count)
{
	uint64_t slots[BUCKET_SLOTS];

	for (uint32_t i = 0; i < count && index_is_resizing(&store->index); i++) {
		if (!index_move_bucket(&store->index, slots)) {
			release_pages(store);
			return;
		}
		for (uint32_t j = 0; j < BUCKET_SLOTS; j++)
			if (slots[j] != 0) {
				struct item *item = index_item(&store->index, slots[j]);
				uint64_t hash = store_hash(store, item_key(item));

				slot_store(store_vacancy(store, hash), slots[j]);
			}
	}
}

void store_move_some(struct store *store)
{
	move_buckets(store, MOVED_BY_WRITE);
}

void store_move_many(struct store *store)
{
	move_buckets(store, segment_bytes(&store->segments) / sizeof(struct bucket) / 2);
}

bool store_shrink_index(struct store *store)
{
	uint32_t pages =
	    max_u32(pages_for(store, slots_in_use(store)), store->index.page_count / SHRINK_MAX);

	if (index_is_resizing(&store->index) || store->pages_wanted != 0 ||
	    pages >= store->index.page_count || is_over(store, SHRUNK_UNDER))
		return false;
	index_resize(&store->index, pages);
	return true;
}

bool store_shrink_index_now(struct store *store)
{
	uint32_t free_count = store->segments.free_count;

	move_buckets(store, UINT32_MAX);
	store->pages_wanted = 0;
	release_pages(store);
	while (store_shrink_index(store))
		move_buckets(store, UINT32_MAX);
	return store->segments.free_count > free_count;
}
