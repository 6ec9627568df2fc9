/* SPDX-License-Identifier: Apache-2.0 */
#include "store_rig.h"

#include <errno.h>

static void test_smallest_memory(void)
{
	struct rig rig;

	for (uint64_t value = 1024; value <= 1u << 30; value = value * 5 / 4 + 1) {
		uint64_t least = store_memory_bytes_min(value, 1);

		CU_ASSERT_EQUAL(rig_create(&rig, least - 1, value), -EINVAL);
		rig_destroy(&rig);
		for (uint64_t more = 0; more < least / 8; more += least / 50) {
			CU_ASSERT_EQUAL(rig_create(&rig, least + more, value), 0);
			CU_ASSERT_TRUE(COUNTER(&rig, hash_bytes) <= (least + more) / 8);
			rig_destroy(&rig);
		}
	}
}

static void test_segment_size(void)
{
	static const struct {
		uint64_t memory_bytes;
		uint64_t segment_bytes;
	} sizes[] = {
	    {8ull << 20, 64 << 10},    {64ull << 20, 64 << 10}, {127ull << 20, 64 << 10},
	    {128ull << 20, 128 << 10}, {1ull << 30, 1 << 20},   {16ull << 30, 1 << 20},
	};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct rig rig;

		CU_ASSERT_EQUAL_FATAL(rig_create(&rig, sizes[i].memory_bytes, 1 << 20), 0);
		CU_ASSERT_EQUAL(COUNTER(&rig, segment_bytes), sizes[i].segment_bytes);
		CU_ASSERT_TRUE(COUNTER(&rig, segments) * sizes[i].segment_bytes >=
		               sizes[i].memory_bytes * 88 / 100);
		rig_destroy(&rig);
	}
}

/* Memory that was given up is not used, and can be had back; items go oldest first. */
static void test_the_limit_can_be_lowered(void)
{
	struct rig rig;
	uint64_t limit_bytes = 64 << 20;
	uint64_t free_before;

	CU_ASSERT_EQUAL(rig_create(&rig, limit_bytes, 1024), 0);
	for (uint64_t i = 0; i < 300000; i++)
		put(&rig, i, 300);
	free_before = COUNTER(&rig, segments_free);
	CU_ASSERT_FALSE(store_set_limit(rig.store, limit_bytes + (1 << 20)));
	CU_ASSERT_FALSE(store_set_limit(rig.store, 1 << 19));
	CU_ASSERT_EQUAL(COUNTER(&rig, limit_maxbytes), limit_bytes);
	CU_ASSERT_TRUE(store_set_limit(rig.store, limit_bytes / 2));
	CU_ASSERT_TRUE(COUNTER(&rig, limit_maxbytes) <= limit_bytes / 2);
	CU_ASSERT_TRUE(COUNTER(&rig, limit_maxbytes) > limit_bytes / 2 - (1 << 16));
	put(&rig, 1, 300);
	store_check(rig.store);
	for (uint32_t i = 0; i < 100000; i++)
		store_work(rig.store);
	store_check(rig.store);
	CU_ASSERT_TRUE(COUNTER(&rig, segments_free) >= COUNTER(&rig, segments) / 2 - 1);
	for (uint64_t i = 0; i < 300000; i++)
		put(&rig, i, 300);
	store_check(rig.store);
	CU_ASSERT_TRUE(COUNTER(&rig, segments_free) >= COUNTER(&rig, segments) / 2 - 1);
	CU_ASSERT_TRUE(store_set_limit(rig.store, limit_bytes));
	for (uint64_t i = 0; i < 300000; i++)
		put(&rig, i, 300);
	CU_ASSERT_TRUE(COUNTER(&rig, segments_free) <= free_before + 1);
	rig_destroy(&rig);
}

static void test_emptied_segments_come_back(void)
{
	struct rig rig;
	uint64_t free_count;

	CU_ASSERT_EQUAL(rig_create(&rig, 8 << 20, 1024), 0);
	free_count = COUNTER(&rig, segments_free);
	for (uint64_t i = 0; i < 100000; i++)
		put(&rig, i % 10, 1000);
	CU_ASSERT_TRUE(COUNTER(&rig, segments_free) >= free_count - 2);
	CU_ASSERT_EQUAL(COUNTER(&rig, segments_evicted), 0);
	store_check(rig.store);
	rig_destroy(&rig);
}

static void test_abandoned_room_is_used_again(void)
{
	struct rig rig;
	struct store_reservation first, second;
	struct item *item;
	char key[32];
	struct store_item_options options;

	CU_ASSERT_EQUAL(rig_create(&rig, 8 << 20, 1024), 0);
	options = item_options(&rig, 1, 100, key);
	CU_ASSERT_TRUE(store_reserve(rig.store, &options, &first));
	CU_ASSERT_TRUE(store_reserve(rig.store, &options, &second));
	item = second.item;
	store_abandon(rig.store, &second);
	CU_ASSERT_TRUE(store_reserve(rig.store, &options, &second));
	CU_ASSERT_PTR_EQUAL(second.item, item);
	store_abandon(rig.store, &first);
	store_check(rig.store);
	store_abandon(rig.store, &second);
	store_check(rig.store);
	rig_destroy(&rig);
}

static void test_pinned_segment_is_passed_over(void)
{
	struct rig rig;
	struct store_place place;
	struct segment *pinned;

	CU_ASSERT_EQUAL(rig_create(&rig, 8 << 20, 1024), 0);
	for (uint64_t i = 0; i < 100; i++)
		put(&rig, i, 1000);
	CU_ASSERT_TRUE(find(&rig, 0, &place));
	pinned = store_pin(rig.store, place.item);
	for (uint64_t i = 100; i < 50000; i++)
		put(&rig, i, 1000);
	CU_ASSERT_TRUE(find(&rig, 0, &place));
	CU_ASSERT_FALSE(find(&rig, 99, &place));
	store_unpin(rig.store, pinned);
	for (uint64_t i = 50000; i < 50100; i++)
		put(&rig, i, 1000);
	CU_ASSERT_FALSE(find(&rig, 0, &place));
	store_check(rig.store);
	rig_destroy(&rig);
}

/* Items that have a segment each, and such as have two. */
static void test_pins_leave_writers_three_quarters(void)
{
	static const uint32_t value_bytes[] = {40000, 65536};

	for (uint32_t i = 0; i < 2; i++) {
		struct rig rig;
		struct segment *pinned[128];
		struct store_place place;
		uint32_t count = 0;

		CU_ASSERT_EQUAL(rig_create(&rig, 8 << 20, 65536), 0);
		CU_ASSERT_EQUAL(COUNTER(&rig, segment_bytes), 65536);
		do {
			put(&rig, count, value_bytes[i]);
			put(&rig, 1000 + count, value_bytes[i]);
			CU_ASSERT_TRUE_FATAL(find(&rig, count, &place));
			pinned[count] = store_pin(rig.store, place.item);
			store_check(rig.store);
		} while (store_pin_again(rig.store, pinned[count++]));
		CU_ASSERT_EQUAL(COUNTER(&rig, segments_pinned), (i + 1) * count);
		CU_ASSERT_TRUE((i + 1) * count > COUNTER(&rig, segments) / 4);
		CU_ASSERT_TRUE((i + 1) * (count - 1) <= COUNTER(&rig, segments) / 4);
		CU_ASSERT_EQUAL(COUNTER(&rig, pins), 2 * count - 1);
		/* one goes: there is room for another, and it is no new segment */
		store_unpin(rig.store, pinned[count - 1]);
		CU_ASSERT_TRUE(store_pin_again(rig.store, pinned[0]));
		CU_ASSERT_EQUAL(COUNTER(&rig, segments_pinned), (i + 1) * (count - 1));
		store_unpin(rig.store, pinned[0]);
		for (uint32_t k = 0; k + 1 < count; k++) {
			store_unpin(rig.store, pinned[k]);
			store_unpin(rig.store, pinned[k]);
		}
		CU_ASSERT_EQUAL(COUNTER(&rig, segments_pinned), 0);
		store_check(rig.store);
		rig_destroy(&rig);
	}
}

/* What is on its way to another store takes its room for so long, and no more. */
static void test_staged_values_leave_no_trace(void)
{
	static const uint8_t zeros[65536];
	struct store_reservation staged[100];
	struct rig rig;
	uint64_t free_count;
	char key[32];

	CU_ASSERT_EQUAL(rig_create(&rig, 8 << 20, 65536), 0);
	free_count = COUNTER(&rig, segments_free);
	for (uint64_t i = 0; i < 100000; i++) {
		struct store_reservation *one = &staged[i % 100];
		uint32_t value_bytes = i % 1000 == 7 ? 65536 : 100;
		struct store_item_options options = item_options(&rig, i, value_bytes, key);

		if (i >= 100)
			store_abandon(rig.store, one);
		options.is_staged = true;
		CU_ASSERT_TRUE_FATAL(store_reserve(rig.store, &options, one));
		CU_ASSERT_TRUE_FATAL(store_write(rig.store, one, zeros, value_bytes));
	}
	CU_ASSERT_EQUAL(COUNTER(&rig, reservations), 100);
	CU_ASSERT_TRUE(COUNTER(&rig, segments_free) + 4 >= free_count);
	store_check(rig.store);
	for (uint32_t i = 0; i < 100; i++)
		store_abandon(rig.store, &staged[i]);
	CU_ASSERT_TRUE(COUNTER(&rig, segments_free) + 1 >= free_count);
	CU_ASSERT_EQUAL(COUNTER(&rig, curr_items), 0);
	/* whoever is slow loses his room in its turn, as with others */
	for (uint32_t i = 0; i < 100; i++) {
		struct store_item_options options = item_options(&rig, i, 100, key);

		options.is_staged = true;
		CU_ASSERT_TRUE_FATAL(store_reserve(rig.store, &options, &staged[i]));
		store_wait(rig.store, &staged[i]);
	}
	for (uint64_t i = 0; i < 100000; i++)
		put(&rig, i, 300);
	CU_ASSERT_EQUAL(COUNTER(&rig, writes_revoked), 100);
	CU_ASSERT_EQUAL(COUNTER(&rig, reservations), 0);
	store_check(rig.store);
	rig_destroy(&rig);
}

static const struct unit_case cases[] = {
    {"the smallest memory for every limit holds what it must", test_smallest_memory},
    {"segments are a thousandth of the memory, within bounds", test_segment_size},
    {"the memory limit can be lowered and raised again", test_the_limit_can_be_lowered},
    {"segments whose items were all replaced come back by themselves",
     test_emptied_segments_come_back},
    {"the room of an abandoned newest item is used again", test_abandoned_room_is_used_again},
    {"a pinned segment is passed over until it is unpinned", test_pinned_segment_is_passed_over},
    {"pins leave writers three quarters", test_pins_leave_writers_three_quarters},
    {"staged values leave no trace", test_staged_values_leave_no_trace},
};

int main(void)
{
	return UNIT_RUN("store", cases);
}
