/* SPDX-License-Identifier: Apache-2.0 */
/* How a store outlives its process: at the end it comes to rest, with a sum of all that is to be
 * kept; the next process looks whether that is still so, and goes on. All but pointers is kept as
 * it lies there; what only concerned those who were asking ends. */
#include "store/internal.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define STORE_MAGIC_RESTED 0x6b616e7465726573u

/* What is being written is not finished any more. */
static void drop_open_items(struct store *store, uint32_t index)
{
	struct segment *segment = store_segment(store, index);
	uint32_t offset = 0;

	while (segment->open_count > 0 && offset < segment->used_bytes) {
		struct item *item = (struct item *)(segment_data(&store->segments, index) + offset);

		offset += (uint32_t)min_u64(item_bytes(item), segment->used_bytes);
		if (item_state(item) != ITEM_OPEN)
			continue;
		item_set_state(item, ITEM_DEAD);
		segment->open_count--;
	}
	ASSERT(segment->open_count == 0);
	segment->waiting = NULL;
	segment->waiting_count = 0;
}

static void end_writes(struct store *store)
{
	for (uint32_t i = 0; i < store->segments.count; i++) {
		struct segment *segment = store_segment(store, i);

		/* relaxed: nobody else is there any more */
		atomic_store_explicit(&segment->pin_count, 0, memory_order_relaxed);
		if (segment->state == SEGMENT_OPEN) {
			segment->open_count = 0;
			store_release(store, i);
		} else if ((segment->state == SEGMENT_ACTIVE || segment->state == SEGMENT_SEALED) &&
		           segment->open_count > 0) {
			drop_open_items(store, i);
			store_release_if_empty(store, i);
		}
	}
	store->large_first = NULL;
	store->large_last = NULL;
	store->writing_segment_count = 0;
	counter_set(&store->counters.reservations, 0);
	counter_set(&store->counters.pins, 0);
	counter_set(&store->counters.segments_pinned, 0);
}

static void free_retired(struct store *store)
{
	while (store->retired.oldest != SEGMENT_NONE) {
		uint32_t index = store->retired.oldest;

		segment_list_remove(&store->segments, &store->retired, index);
		store_release(store, index);
	}
	store_collect(store);
	ASSERT(store->retired_pinned == SEGMENT_NONE);
}

/* What starts from zero in each process. */
static void forget_totals(struct store *store)
{
	static const struct counter_description all[] = {STORE_COUNTERS(COUNTER_DESCRIBE)};
	static const struct counter_description holdings[] = {CLASS_HOLDINGS(COUNTER_DESCRIBE)};
	_Atomic uint64_t *counters = (_Atomic uint64_t *)&store->counters;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].kind == COUNTER_TOTAL)
			counter_set(&counters[i], 0);
	for (uint32_t number = 0; number < CLASS_COUNT_MAX; number++) {
		counters = (_Atomic uint64_t *)&store->holdings[number];
		for (size_t i = 0; i < sizeof(holdings) / sizeof(holdings[0]); i++)
			if (holdings[i].kind == COUNTER_TOTAL)
				counter_set(&counters[i], 0);
	}
}

static void detach(struct store *store)
{
	memset(store->readers, 0, sizeof(store->readers));
	store->segments.headers = NULL;
	store->segments.arena = NULL;
	store->index.pages.arena = store->ghost_pages.arena = store->shadow_pages.arena = NULL;
	store->index.pages.numbers = store->ghost_pages.numbers = store->shadow_pages.numbers =
	    NULL;
	store->ghost.pages = NULL;
	memset(&store->shadows, 0, sizeof(store->shadows));
	store->classes = NULL;
	store->evicted = NULL;
	store->evicted_context = NULL;
	store->revoked = NULL;
	store->revoked_context = NULL;
	store->shown = (struct shown){0};
}

uint32_t store_layout_bytes(void)
{
	return (uint32_t)(sizeof(struct store) * 1024 + sizeof(struct segment) * 16 +
	                  offsetof(struct item, bytes));
}

/* How much of a segment is to be kept. */
static uint32_t kept_bytes(const struct segment *segment, uint32_t segment_bytes)
{
	switch ((enum segment_state)segment->state) {
	case SEGMENT_ACTIVE:
	case SEGMENT_SEALED: return min_u32(segment->used_bytes, segment_bytes);
	case SEGMENT_EXTENT:
	case SEGMENT_PAGE: return segment_bytes;
	default: return 0;
	}
}

/* Of a store at rest. */
static uint64_t sum_of(const struct parts *parts, uint64_t generation)
{
	size_t numbers_bytes = parts->segment_count * sizeof(_Atomic uint32_t);
	XXH3_state_t state;

	XXH3_64bits_reset(&state);
	XXH3_64bits_update(&state, &generation, sizeof(generation));
	XXH3_64bits_update(&state, parts->store, sizeof(*parts->store));
	XXH3_64bits_update(&state, parts->headers, parts->segment_count * sizeof(*parts->headers));
	XXH3_64bits_update(&state, parts->index_pages, numbers_bytes);
	XXH3_64bits_update(&state, parts->ghost_pages, numbers_bytes);
	for (uint32_t i = 0; i < parts->segment_count; i++)
		XXH3_64bits_update(&state, parts->arena + ((uint64_t)i << parts->segment_shift),
		                   kept_bytes(&parts->headers[i], 1u << parts->segment_shift));
	return XXH3_64bits_digest(&state);
}

/* Which prefixes there are, and in which order. */
static uint64_t classes_sum(const struct classes *classes)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; classes != NULL && i < classes->count; i++)
		sum = XXH3_64bits_withSeed(classes->rules[i].prefix, classes->rules[i].prefix_bytes,
		                           sum + 1);
	return sum;
}

uint64_t store_rest(struct store *store, uint64_t generation)
{
	struct parts parts = {.segment_shift = store->segments.shift,
	                      .segment_count = store->segments.count,
	                      .store = store,
	                      .headers = store->segments.headers,
	                      .arena = store->segments.arena,
	                      .index_pages = store->index.pages.numbers,
	                      .ghost_pages = store->ghost_pages.numbers};

	store->epoch = NULL; /* nobody reads any more: what is released is free */
	store_end_reclaim(store);
	end_writes(store);
	free_retired(store);
	store_sweep_some(store, UINT32_MAX);
	store_forget_purges(store);
	store_forget_purges(store); /* from swept to cleared, and from there */
	ASSERT(counter_read(&store->counters.purges) == 0);
	shadows_end(&store->shadows);
	store_drop_pages(store, &store->shadow_pages, 0);
	counter_set(&store->counters.shadow_bytes, 0);
	forget_totals(store);
	store->written_count = 0;
	store->unheard_turns = 0;
	store->classes_sum = classes_sum(store->classes);
	detach(store);
	store->magic = STORE_MAGIC_RESTED;
	return sum_of(&parts, generation);
}

bool store_is_rested(const struct store_options *options, const struct memory *memory,
                     uint64_t generation, uint64_t sum)
{
	struct memory rest = *memory;
	struct parts parts;

	return store_take_parts(&parts, options, &rest) == 0 &&
	       parts.store->magic == STORE_MAGIC_RESTED &&
	       parts.store->segments.count == parts.segment_count &&
	       parts.store->segments.shift == parts.segment_shift &&
	       sum_of(&parts, generation) == sum;
}

/* The classes are others than before. */
static void recount_classes(struct store *store)
{
	memset(store->holdings, 0, sizeof(store->holdings));
	for (uint32_t i = 0; i < store->segments.count; i++) {
		struct segment *segment = store_segment(store, i);
		uint32_t offset = 0;

		segment->class = SEGMENT_CLASS_NONE;
		if (segment->state != SEGMENT_ACTIVE && segment->state != SEGMENT_SEALED)
			continue;
		while (offset < segment->used_bytes) {
			struct item *item =
			    (struct item *)(segment_data(&store->segments, i) + offset);

			offset += (uint32_t)min_u64(item_bytes(item), segment->used_bytes);
			if (item_state(item) != ITEM_LIVE)
				continue;
			store_class_segment(store, segment, item);
			store_count_class(store, item, true);
		}
	}
}

int store_wake(struct store **ret_store, const struct store_options *options, struct memory *memory)
{
	struct parts parts;
	int r = store_take_parts(&parts, options, memory);
	struct store *store;

	if (r < 0)
		return r;
	store = parts.store;
	ASSERT(store->magic == STORE_MAGIC_RESTED && store->index.hash_seed == options->hash_seed);
	store->magic = STORE_MAGIC;
	store_attach(store, &parts, options);
	if (classes_sum(options->classes) != store->classes_sum)
		recount_classes(store);
	store_publish_marking(store);
	store_set_policy(store, options->policy);
	if (!store_set_limit(store, options->memory_bytes))
		ASSERT(!"it was created with that");
	*ret_store = store;
	return 0;
}
