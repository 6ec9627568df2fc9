/* SPDX-License-Identifier: Apache-2.0 */
/* Items that expire: in segments with others that do so at about the same time. */
#include "store_rig.h"

#include "base/random.h"
#include "store/internal.h"

#include <math.h>

#define VALUE_BYTES 1000

static bool put_until(struct rig *rig, uint64_t number, uint32_t value_bytes, uint32_t expiry_s)
{
	static const uint8_t zeros[65536];
	struct store_reservation reservation;
	char key[32];
	struct store_item_options options = item_options(rig, number, value_bytes, key);

	options.expiry_s = expiry_s;
	if (!store_reserve(rig->store, &options, &reservation))
		return false;
	while (reservation.left_bytes > 0)
		store_write(rig->store, &reservation, zeros,
		            min_u64(reservation.left_bytes, sizeof(zeros)));
	store_publish(rig->store, &reservation, NULL);
	return true;
}

/* Of all memory for items, what those take that have expired. */
static double expired_part(const struct store *store)
{
	uint64_t bytes = 0;
	uint64_t cursor = 0;

	for (uint64_t i = 0; i < LOG_COUNT * LIST_COUNT; i++) {
		uint32_t index = store->logs[i / LIST_COUNT].lists[i % LIST_COUNT].oldest;

		for (; index != SEGMENT_NONE; index = store_segment(store, index)->next) {
			const struct segment *segment = store_segment(store, index);
			const uint8_t *data = segment_data(&store->segments, index);

			for (cursor = 0; cursor < segment->used_bytes;) {
				const struct item *item = (const struct item *)(data + cursor);

				cursor += item_bytes(item);
				if (item_state(item) == ITEM_LIVE &&
				    store_judge(store, item) != STORE_LIVE)
					bytes += item_bytes(item);
			}
		}
	}
	return (double)bytes / (double)store_cache_bytes(store);
}

enum ttls {
	TTLS_LOGARITHMIC, /* as many of 10 to 20 s as of 10 to 20 h */
	TTLS_UNIFORM,
	TTLS_FIVE,
	TTLS_COUNT,
};

static uint32_t ttl_of(enum ttls ttls, uint64_t *state)
{
	static const uint32_t five[] = {10, 60, 300, 3600, 86400};
	double part = (double)(random_splitmix64(state) >> 11) * 0x1p-53;

	switch (ttls) {
	case TTLS_LOGARITHMIC: return (uint32_t)(10 * exp(part * log(8640)));
	case TTLS_UNIFORM: return 10 + (uint32_t)(part * 86390);
	default: return five[(uint32_t)(part * 5)];
	}
}

/* TTLs of 10 s to a day, with room for all, a little too little, and far too little, for a day and
 * a half. Nobody looks at items that have not expired. */
static void test_mixed_ttls(void)
{
	static const double loads[] = {0.8, 1.1, 3};

	for (uint32_t n = 0; n < 3 * TTLS_COUNT; n++) {
		enum ttls ttls = (enum ttls)(n % TTLS_COUNT);
		double load = loads[n / TTLS_COUNT];
		uint64_t state = n;
		double mean_s = 0;
		double due = 0;
		double worst = 0;
		uint64_t number = 0;
		double a_second;
		struct rig rig;

		CU_ASSERT_EQUAL_FATAL(rig_create(&rig, 64 << 20, 65536), 0);
		for (uint32_t i = 0; i < 10000; i++)
			mean_s += ttl_of(ttls, &state) / 10000.0;
		a_second = load * (double)store_cache_bytes(rig.store) /
		           ((double)item_bytes_of(7, 2 * VALUE_BYTES) * mean_s);
		for (uint32_t now_s = 2; now_s < 36 * 3600; now_s++) {
			store_tick(rig.store, now_s);
			for (due += a_second; due >= 1; due -= 1)
				CU_ASSERT_TRUE_FATAL(put_until(&rig, number++, 2 * VALUE_BYTES,
				                               now_s + ttl_of(ttls, &state)));
			store_work(rig.store);
			if (now_s > 86400 && now_s % 1000 == 0)
				worst = fmax(worst, expired_part(rig.store));
		}
		printf("TTLs %u, load %.1f: at most %.3f of memory expired, %.2f used\n", ttls,
		       load, worst,
		       (double)COUNTER(&rig, bytes) / (double)store_cache_bytes(rig.store));
		CU_ASSERT_TRUE(worst <= 0.05);
		CU_ASSERT_EQUAL(COUNTER(&rig, evictions) > 0, load > 1);
		store_check(rig.store);
		rig_destroy(&rig);
	}
}

/* Their segments are looked at when the others in them have expired. */
static void test_who_is_touched_stays(void)
{
	static const uint32_t value_bytes[] = {VALUE_BYTES, 40000, 65536};

	for (uint32_t n = 0; n < 3; n++) {
		struct rig rig;
		struct store_place place;
		uint32_t missing = 0;
		uint32_t now_s = 2;

		CU_ASSERT_EQUAL_FATAL(rig_create(&rig, 16 << 20, 65536), 0);
		store_tick(rig.store, now_s);
		for (uint64_t i = 0; i < 100; i++)
			CU_ASSERT_TRUE(put_until(&rig, i, value_bytes[n], 102));
		for (; now_s < 1000; now_s += 7) {
			store_tick(rig.store, now_s);
			/* one sooner, some later, some never any more, and most not at all */
			for (uint64_t i = 0; i < 100; i += 10) {
				CU_ASSERT_TRUE_FATAL(find(&rig, i, &place));
				CU_ASSERT_TRUE(
				    store_change(rig.store, &place, i == 10 ? 0 : now_s + 50, i));
			}
			store_work(rig.store);
			store_check(rig.store);
		}
		for (uint32_t i = 0; i < 1000; i++)
			store_work(rig.store);
		for (uint64_t i = 0; i < 100; i++)
			missing += find(&rig, i, &place) ? 0 : 1;
		CU_ASSERT_EQUAL(missing, 90);
		CU_ASSERT_EQUAL(COUNTER(&rig, curr_items), 10);
		now_s += 200;
		store_tick(rig.store, now_s);
		for (uint32_t i = 0; i < 1000; i++)
			store_work(rig.store);
		CU_ASSERT_TRUE(find(&rig, 10, &place));
		CU_ASSERT_EQUAL(COUNTER(&rig, curr_items), 1);
		CU_ASSERT_EQUAL(COUNTER(&rig, evictions), 0);
		store_check(rig.store);
		rig_destroy(&rig);
	}
}

/* Bytes that are sent or come in stay where they are, and are looked at later. */
static void test_what_is_in_use_waits(void)
{
	struct rig rig;
	struct store_place place;
	struct segment *pinned;
	struct store_reservation reservation;
	char key[32];
	struct store_item_options options;

	CU_ASSERT_EQUAL_FATAL(rig_create(&rig, 16 << 20, 65536), 0);
	for (uint64_t i = 0; i < 40; i++)
		CU_ASSERT_TRUE(put_until(&rig, i, VALUE_BYTES, 5));
	for (uint64_t i = 40; i < 200; i++)
		CU_ASSERT_TRUE(put_until(&rig, i, VALUE_BYTES, 50));
	CU_ASSERT_TRUE(find(&rig, 0, &place));
	pinned = store_pin(rig.store, place.item);
	options = item_options(&rig, 200, 100, key);
	options.expiry_s = 50;
	CU_ASSERT_TRUE(store_reserve(rig.store, &options, &reservation));
	store_wait(rig.store, &reservation);
	store_tick(rig.store, 100);
	for (uint32_t i = 0; i < 100; i++)
		store_work(rig.store);
	store_check(rig.store);
	CU_ASSERT_TRUE(COUNTER(&rig, curr_items) >= 40);
	CU_ASSERT_TRUE(COUNTER(&rig, curr_items) < 200);
	CU_ASSERT_EQUAL(COUNTER(&rig, writes_revoked), 0);
	store_unpin(rig.store, pinned);
	CU_ASSERT_TRUE(store_resume(rig.store, &reservation));
	store_abandon(rig.store, &reservation);
	for (uint32_t i = 0; i < 100; i++)
		store_work(rig.store);
	CU_ASSERT_EQUAL(COUNTER(&rig, curr_items), 0);
	store_check(rig.store);
	rig_destroy(&rig);
}

/* Whatever the step. */
static void test_time_jumps(void)
{
	uint64_t state = 1;

	for (uint32_t step_s = 1; step_s < 1u << 27; step_s *= 3) {
		uint32_t now_s = 1;
		struct rig rig;

		CU_ASSERT_EQUAL_FATAL(rig_create(&rig, 16 << 20, 65536), 0);
		for (uint32_t i = 0; i < 20; i++) {
			for (uint64_t j = 0; j < 40; j++)
				CU_ASSERT_TRUE(
				    put_until(&rig, i * 40 + j, VALUE_BYTES,
				              now_s + (uint32_t)(random_splitmix64(&state) >>
				                                 (36 + j % 28))));
			store_check(rig.store);
			now_s += step_s;
			store_tick(rig.store, now_s);
			store_check(rig.store);
			store_work(rig.store);
			store_check(rig.store);
		}
		store_tick(rig.store, UINT32_MAX - 1);
		for (uint32_t i = 0; i < 1000; i++)
			store_work(rig.store);
		store_check(rig.store);
		rig_destroy(&rig);
	}
}

/* Emptying a segment takes many turns. */
static void test_work_is_done_a_little_at_a_time(void)
{
	struct rig rig;
	uint64_t before;
	uint32_t turns = 0;

	CU_ASSERT_EQUAL_FATAL(rig_create(&rig, 16 << 20, 65536), 0);
	for (uint64_t i = 0; i < 100000; i++)
		CU_ASSERT_TRUE(put_until(&rig, i, 10, 50));
	store_work(rig.store);
	store_tick(rig.store, 100);
	do {
		before = COUNTER(&rig, curr_items);
		store_work(rig.store);
		CU_ASSERT_TRUE_FATAL(before - COUNTER(&rig, curr_items) <= 64);
		turns++;
	} while (COUNTER(&rig, curr_items) > 0);
	CU_ASSERT_TRUE(turns > 100000 / 64);
	/* a want of room does the rest at once: none is evicted while there is something that has
	 * expired */
	for (uint64_t i = 0; i < 80000; i++)
		CU_ASSERT_TRUE(put_until(&rig, i, 100, 150));
	store_tick(rig.store, 300);
	for (uint64_t i = 80000; i < 160000; i++)
		CU_ASSERT_TRUE(put_until(&rig, i, 100, 0));
	CU_ASSERT_EQUAL(COUNTER(&rig, evictions), 0);
	store_check(rig.store);
	rig_destroy(&rig);
}

/* There is room ahead of want, if somebody gives the store its turns. */
static void test_room_is_made_ahead(void)
{
	for (uint32_t n = 0; n < POLICY_COUNT; n++) {
		struct rig rig;
		uint32_t waits = 0;

		CU_ASSERT_EQUAL_FATAL(rig_create(&rig, 64 << 20, 65536), 0);
		store_set_policy(rig.store, (enum policy)n);
		for (uint64_t i = 0; i < 200000; i++) {
			CU_ASSERT_TRUE(put_until(&rig, i, VALUE_BYTES, 0));
			if (i % 8 == 0)
				store_work(rig.store);
			if (i > 100000 && store_is_full(rig.store))
				waits++;
		}
		CU_ASSERT_EQUAL(waits, 0);
		CU_ASSERT_TRUE(COUNTER(&rig, segments_free) < 16);
		store_check(rig.store);
		rig_destroy(&rig);
	}
}

static const struct unit_case cases[] = {
    {"of mixed TTLs hardly anything that has expired stays", test_mixed_ttls},
    {"who is touched stays", test_who_is_touched_stays},
    {"what is in use waits", test_what_is_in_use_waits},
    {"time jumps", test_time_jumps},
    {"work is done a little at a time", test_work_is_done_a_little_at_a_time},
    {"room is made ahead", test_room_is_made_ahead},
};

int main(void)
{
	return UNIT_RUN("store expiry", cases);
}
