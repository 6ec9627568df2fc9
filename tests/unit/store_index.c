/* SPDX-License-Identifier: Apache-2.0 */
/* The index finds items, and grows and shrinks with them. */
#include "store_rig.h"

#include "base/random.h"
#include "store/index.h"

#include <stdlib.h>

/* Whatever bits stand beside those that are compared. */
static void test_a_bucket_is_matched_as_slot_by_slot(void)
{
	static const uint64_t tags[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xff, 0xff00, 0xffff};
	static const uint64_t rests[] = {0, 1, 0xffffffff, 0x100000000, 0xffffffffffff, 0x80000000};
	struct random random = random_seeded(1);
	struct bucket bucket;

	for (uint32_t n = 0; n < 100000; n++) {
		uint64_t tag = tags[random_below(&random, 8)];
		uint32_t with_tag = 0;
		uint32_t empty = 0;

		for (uint32_t i = 0; i < BUCKET_SLOTS; i++) {
			uint64_t slot = tags[random_below(&random, 8)] << SLOT_TAG_SHIFT |
			                rests[random_below(&random, 6)];

			slot_store(&bucket.slots[i], slot);
			with_tag |= (uint32_t)(slot >> SLOT_TAG_SHIFT == tag) << i;
			empty |= (uint32_t)(slot == 0) << i;
		}
		CU_ASSERT_EQUAL_FATAL(bucket_match_tag(&bucket, (uint32_t)tag), with_tag);
		CU_ASSERT_EQUAL_FATAL(bucket_match_empty(&bucket), empty);
	}
}

static uint64_t used_bytes(struct rig *rig)
{
	return (COUNTER(rig, segments) - COUNTER(rig, segments_free)) * COUNTER(rig, segment_bytes);
}

/* Memory is full, and the newest items are there. */
static void check_full(struct rig *rig, uint64_t first, uint64_t next)
{
	uint64_t slots = COUNTER(rig, hash_bytes) / 8;
	struct store_place place;
	uint64_t newest = 0;

	store_check(rig->store);
	CU_ASSERT_TRUE(COUNTER(rig, evictions) > 0);
	CU_ASSERT_TRUE(COUNTER(rig, curr_items) < slots * 93 / 100);
	CU_ASSERT_TRUE(COUNTER(rig, curr_items) > slots * 68 / 100 ||
	               COUNTER(rig, hash_bytes) <= 4 * COUNTER(rig, segment_bytes));
	/* but for the active one, and what segments have no item for at their ends */
	CU_ASSERT_TRUE(COUNTER(rig, bytes) + COUNTER(rig, hash_bytes) + COUNTER(rig, ghost_bytes) >
	               used_bytes(rig) * 91 / 100);
	/* and but for the one that is reserved, and one for their alignment */
	CU_ASSERT_TRUE(used_bytes(rig) >
	               COUNTER(rig, limit_maxbytes) - 5 * COUNTER(rig, segment_bytes));
	first = max_u64(first, next - COUNTER(rig, curr_items) * 9 / 10);
	for (uint64_t i = first; i < next; i++)
		newest += find(rig, i, &place);
	CU_ASSERT_TRUE(newest >= (next - first) * 9999 / 10000);
}

/* Three times what there is memory for. */
static uint64_t fill(struct rig *rig, uint64_t next, uint32_t value_bytes)
{
	uint64_t end = next + 3 * COUNTER(rig, limit_maxbytes) / item_bytes_of(6, value_bytes);

	for (; next < end; next++)
		put(rig, next, value_bytes);
	return next;
}

static void test_any_size_has_the_index_that_it_wants(void)
{
	static const uint32_t value_bytes[] = {0, 10, 100, 1000, 10000};

	for (uint32_t i = 0; i < 5; i++) {
		struct rig rig;

		CU_ASSERT_EQUAL_FATAL(rig_create(&rig, 16 << 20, 65536), 0);
		check_full(&rig, 0, fill(&rig, 0, value_bytes[i]));
		CU_ASSERT_TRUE(COUNTER(&rig, index_evictions) <= COUNTER(&rig, evictions) / 1000);
		rig_destroy(&rig);
	}
}

static void test_the_sizes_change(void)
{
	struct rig rig;
	uint64_t next, small, hash_bytes;

	CU_ASSERT_EQUAL_FATAL(rig_create(&rig, 16 << 20, 65536), 0);
	next = fill(&rig, 0, 10);
	small = COUNTER(&rig, curr_items);
	hash_bytes = COUNTER(&rig, hash_bytes);
	check_full(&rig, next, fill(&rig, next, 1000));
	CU_ASSERT_TRUE(COUNTER(&rig, hash_bytes) < hash_bytes / 4);
	next = fill(&rig, 1000000, 10);
	check_full(&rig, 1000000, next);
	CU_ASSERT_TRUE(COUNTER(&rig, curr_items) > small * 97 / 100);
	CU_ASSERT_TRUE(COUNTER(&rig, index_evictions) <= COUNTER(&rig, evictions) / 1000);
	rig_destroy(&rig);
}

/* Two values as long as may be are to be written where all was small. */
static void test_the_index_makes_way(void)
{
	static uint8_t zeros[4 << 20];
	struct rig rig;
	struct store_reservation reservations[2];
	uint64_t memory_bytes = store_memory_bytes_min(sizeof(zeros), 1);
	char key[32];

	CU_ASSERT_EQUAL_FATAL(rig_create(&rig, memory_bytes, sizeof(zeros)), 0);
	fill(&rig, 0, 0);
	CU_ASSERT_TRUE(COUNTER(&rig, hash_bytes) > memory_bytes / 8);
	for (uint32_t i = 0; i < 2; i++) {
		struct store_item_options options = item_options(&rig, i, sizeof(zeros), key);

		CU_ASSERT_TRUE_FATAL(store_reserve(rig.store, &options, &reservations[i]));
		CU_ASSERT_TRUE_FATAL(
		    store_write(rig.store, &reservations[i], zeros, sizeof(zeros)));
		store_check(rig.store);
	}
	for (uint32_t i = 0; i < 2; i++)
		store_abandon(rig.store, &reservations[i]);
	fill(&rig, 0, 0);
	store_check(rig.store);
	rig_destroy(&rig);
}

static uint64_t number_of(const struct item *item)
{
	char key[32] = "";

	memcpy(key, item_key(item).data, item_key_bytes(item));
	return strtoul(key, NULL, 10);
}

/* At any time in between everything is found, and a walk comes by nearly all of it once. */
static void test_all_is_found_meanwhile(void)
{
	struct rig rig;
	struct store_place place;
	uint32_t *seen = calloc(400000, sizeof(*seen));
	uint64_t cursor = 0, next = 0, once = 0, wrong = 0;

	CU_ASSERT_EQUAL_FATAL(rig_create(&rig, 64 << 20, 65536), 0);
	for (; next < 100000; next++)
		put(&rig, next, 0);
	while (!store_walk_is_over(cursor)) {
		struct item *item = store_next(rig.store, &cursor, 8, 1);

		if (item != NULL)
			seen[number_of(item)]++;
		for (uint32_t i = 0; i < 4 && next < 400000; i++)
			put(&rig, next++, 0);
		wrong += !find(&rig, next * 7 % 100000, &place);
	}
	store_check(rig.store);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(next, 400000);
	for (uint64_t i = 0; i < 100000; i++)
		once += seen[i] == 1;
	CU_ASSERT_TRUE(once > 97000);
	free(seen);
	rig_destroy(&rig);
}

static void test_a_walk_comes_by_all_once(void)
{
	struct rig rig;
	uint8_t *seen = calloc(300000, 1);
	uint64_t cursor = 0, count = 0;

	CU_ASSERT_EQUAL_FATAL(rig_create(&rig, 64 << 20, 65536), 0);
	for (uint64_t i = 0; i < 300000; i++)
		put(&rig, i, 0);
	while (!store_walk_is_over(cursor)) {
		struct item *item = store_next(rig.store, &cursor, 3, 1);
		uint64_t number;

		if (item == NULL)
			continue;
		number = number_of(item);
		CU_ASSERT_EQUAL_FATAL(seen[number], 0);
		seen[number] = 1;
		count++;
	}
	CU_ASSERT_EQUAL(count, 300000);
	free(seen);
	rig_destroy(&rig);
}

/* Keys that have the same two buckets of 1024, from `number` on. */
static uint64_t next_in_bucket(struct rig *rig, uint64_t number)
{
	char key[32];

	for (;; number++) {
		uint64_t hash = item_options(rig, number, 0, key).hash;
		uint32_t first = index_scale(index_first_position(hash), 1024);
		uint32_t second = index_scale(index_second_position(hash), 1024);

		if ((first == 1 && second == 2) || (first == 2 && second == 1))
			return number;
	}
}

static void test_full_buckets_evict_what_has_the_fewest_hits_then_the_oldest(void)
{
	struct rig rig;
	struct store_place place;
	uint64_t numbers[19];

	CU_ASSERT_EQUAL_FATAL(rig_create(&rig, 8 << 20, 65536), 0);
	CU_ASSERT_EQUAL(COUNTER(&rig, hash_bytes), 1024 * sizeof(struct bucket));
	for (uint32_t i = 0; i < 19; i++) {
		numbers[i] = next_in_bucket(&rig, i == 0 ? 0 : numbers[i - 1] + 1);
		put(&rig, numbers[i], 40000); /* a segment each */
		CU_ASSERT_TRUE(find(&rig, numbers[i], &place));
		if (i == 0 || i == 2)
			slot_store(place.slot,
			           slot_with_mark(slot_load(place.slot), mark_of(0, 1)));
	}
	store_check(rig.store);
	CU_ASSERT_EQUAL(COUNTER(&rig, index_evictions), 3);
	CU_ASSERT_EQUAL(COUNTER(&rig, evictions), 3);
	for (uint32_t i = 0; i < 19; i++)
		CU_ASSERT_EQUAL(find(&rig, numbers[i], &place), i != 1 && i != 3 && i != 4);
	rig_destroy(&rig);
}

static const struct unit_case cases[] = {
    {"a bucket is matched as slot by slot", test_a_bucket_is_matched_as_slot_by_slot},
    {"items of any size have the index that they want", test_any_size_has_the_index_that_it_wants},
    {"when the sizes change it follows", test_the_sizes_change},
    {"it makes way for large values", test_the_index_makes_way},
    {"while it is resized everything is found", test_all_is_found_meanwhile},
    {"a walk comes by everything once", test_a_walk_comes_by_all_once},
    {"full buckets evict what has the fewest hits, then the oldest",
     test_full_buckets_evict_what_has_the_fewest_hits_then_the_oldest},
};

int main(void)
{
	return UNIT_RUN("store index", cases);
}
