/* SPDX-License-Identifier: Apache-2.0 */
/* How a store lies in its memory, whether it is made there or is there already (rest.c). */
#include "store/internal.h"

#include <errno.h>

static void lay_out(struct parts *parts, uint64_t memory_bytes, uint64_t other_bytes)
{
	uint64_t left_bytes = memory_bytes - memory_rounded(sizeof(struct store)) - other_bytes;
	uint64_t one_bytes;

	parts->segment_shift = 16;
	while ((uint64_t)2 << parts->segment_shift <= memory_bytes / 1024 &&
	       2u << parts->segment_shift <= SEGMENT_BYTES_MAX)
		parts->segment_shift++;
	one_bytes = ((uint64_t)1 << parts->segment_shift) + sizeof(struct segment) +
	            2 * sizeof(uint32_t); /* in the directories of the index and of the ghosts */
	left_bytes -= (uint64_t)1 << parts->segment_shift; /* for their alignment */
	left_bytes -= 3 * CACHE_LINE_BYTES +
	              SHADOW_PAGES_MAX * sizeof(uint32_t); /* for those of the directories */
	parts->segment_count = (uint32_t)(left_bytes / one_bytes);
}

/* Two longest values, each with a partly filled segment, 12 segments besides, two of them of the
 * index, one of the ghosts and one reserved, and as much as one for their alignment. A segment is
 * at most 64 KiB + memory / 1024, and headers take less than 0.3 %, so what is asked for is (2 ×
 * value
 * + 15 × 64 KiB) / (1 − 0.003 − 15 / 1024) with some to spare. */
uint64_t store_memory_bytes_min(uint64_t value_bytes_max, uint32_t reader_count)
{
	return (2 * value_bytes_max + ((uint64_t)9 << 17)) / 7 * 8 +
	       store_readers_bytes(reader_count);
}

/* Always in the same order, so that each is found again. */
int store_take_parts(struct parts *ret_parts, const struct store_options *options,
                     struct memory *memory)
{
	uint64_t location_bytes_max = (uint64_t)4 << SLOT_LOCATION_BITS;
	uint32_t reader_count = options->epoch == NULL ? 1 : options->epoch->reader_count;
	size_t numbers_bytes;

	if (options->memory_bytes <
	        store_memory_bytes_min(options->value_bytes_max, reader_count) ||
	    options->memory_bytes >= location_bytes_max)
		return -EINVAL;
	lay_out(ret_parts, options->memory_bytes, store_readers_bytes(reader_count));
	numbers_bytes = ret_parts->segment_count * sizeof(_Atomic uint32_t);
	ret_parts->store = memory_take(memory, sizeof(struct store));
	ret_parts->readers = (struct memory){.bytes = store_readers_bytes(reader_count)};
	ret_parts->readers.base = memory_take(memory, ret_parts->readers.bytes);
	ret_parts->headers = memory_take(memory, ret_parts->segment_count * sizeof(struct segment));
	/* no segment crosses a huge page: so a card can read any part of it at one address */
	ret_parts->arena = memory_take_aligned(
	    memory, (size_t)ret_parts->segment_count << ret_parts->segment_shift,
	    (size_t)1 << ret_parts->segment_shift);
	ret_parts->index_pages = memory_take(memory, numbers_bytes);
	ret_parts->ghost_pages = memory_take(memory, numbers_bytes);
	ret_parts->shadow_pages = memory_take(memory, SHADOW_PAGES_MAX * sizeof(_Atomic uint32_t));
	return 0;
}

static void attach_pages(struct pages *pages, const struct store *store, _Atomic uint32_t *numbers)
{
	pages->arena = store->segments.arena;
	pages->numbers = numbers;
	pages->shift = store->segments.shift;
}

void store_attach(struct store *store, struct parts *parts, const struct store_options *options)
{
	store->classes = options->classes;
	store->epoch = options->epoch;
	store->owner = options->owner;
	store_create_readers(store, &parts->readers);
	store->segments.headers = parts->headers;
	store->segments.arena = parts->arena;
	attach_pages(&store->index.pages, store, parts->index_pages);
	attach_pages(&store->ghost_pages, store, parts->ghost_pages);
	attach_pages(&store->shadow_pages, store, parts->shadow_pages);
	store->ghost.pages = &store->ghost_pages;
}

int store_create(struct store **ret_store, const struct store_options *options,
                 struct memory *memory)
{
	struct parts parts;
	int r = store_take_parts(&parts, options, memory);
	struct store *store;

	if (r < 0)
		return r;
	store = parts.store;
	*store = (struct store){
	    .magic = STORE_MAGIC,
	    .index = {.hash_seed = options->hash_seed},
	    .segments = {.count = parts.segment_count, .shift = parts.segment_shift},
	    .retired = {SEGMENT_NONE, SEGMENT_NONE, 0},
	    .retired_pinned = SEGMENT_NONE,
	    .segment_count_min =
	        2 * ((uint32_t)(options->value_bytes_max >> parts.segment_shift) + 2) + 8,
	    .segment_count_max = parts.segment_count,
	};
	ASSERT(store->segment_count_max >= store->segment_count_min);
	expiry_create(&store->expiry);
	store_attach(store, &parts, options);
	segments_create(&store->segments);
	for (uint32_t i = 0; i < LOG_COUNT; i++) {
		memset(store->logs[i].actives, 0xff, sizeof(store->logs[i].actives));
		for (uint32_t j = 0; j < LIST_COUNT; j++)
			store->logs[i].lists[j] =
			    (struct segment_list){SEGMENT_NONE, SEGMENT_NONE, 0};
	}
	store_add_page(store, &store->index.pages);
	store_add_page(store, &store->ghost_pages);
	store_count_ghosts(store);
	counter_set(&store->counters.hash_bytes, pages_bytes(&store->index.pages));
	store->index.bucket_count = segment_bytes(&store->segments) / sizeof(struct bucket);
	store_begin_eviction(store, options->policy);
	counter_add(&store->counters.limit_maxbytes, options->memory_bytes);
	counter_add(&store->counters.segment_bytes, segment_bytes(&store->segments));
	counter_add(&store->counters.segments, parts.segment_count);
	*ret_store = store;
	return 0;
}
