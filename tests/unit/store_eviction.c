/* SPDX-License-Identifier: Apache-2.0 */
/* Who goes and who stays when room is wanted. */
#include "store_rig.h"

#include "base/random.h"
#include "store/internal.h"

#define VALUE_BYTES 1000

static void rig_of(struct rig *rig, uint64_t memory_bytes, enum policy policy)
{
	CU_ASSERT_EQUAL_FATAL(rig_create(rig, memory_bytes, 65536), 0);
	store_set_policy(rig->store, policy);
}

/* As a client asks. */
static bool read_item(struct rig *rig, uint64_t number)
{
	char key[32];
	struct store_item_options options = item_options(rig, number, 0, key);
	struct store_place place;

	if (store_find(rig->store, options.hash, options.key, &place) != STORE_LIVE) {
		rig_read(rig, options.hash, NULL);
		return false;
	}
	rig_read(rig, options.hash, &place);
	return true;
}

static void read_or_put(struct rig *rig, uint64_t number, uint32_t value_bytes, uint64_t *misses)
{
	if (read_item(rig, number))
		return;
	++*misses;
	put(rig, number, value_bytes);
}

static enum log_id log_of(struct rig *rig, uint64_t number)
{
	struct store_place place;

	CU_ASSERT_TRUE_FATAL(find(rig, number, &place));
	return (enum log_id)store_segment_of(rig->store, place.item)->log;
}

/* What fits into memory about once. */
static uint64_t cache_full(struct rig *rig, uint32_t value_bytes)
{
	return store_cache_bytes(rig->store) / item_bytes_of(7, value_bytes);
}

static void test_one_hit_passes_probation(void)
{
	struct rig rig;
	struct store_place place;
	uint64_t count;
	uint32_t missing = 0;

	rig_of(&rig, 16 << 20, POLICY_s3fifo);
	count = cache_full(&rig, VALUE_BYTES);
	for (uint64_t i = 0; i < count / 4; i++)
		put(&rig, i, VALUE_BYTES);
	/* in the tick of its birth a hit does not count */
	for (uint64_t i = count / 8; i < count / 4; i += 2)
		read_item(&rig, i);
	for (uint64_t i = 0; i < count / 8; i += 2)
		read_item(&rig, i);
	CU_ASSERT_EQUAL(log_of(&rig, 0), LOG_PROBATION);
	for (uint64_t i = count; i < 3 * count; i++)
		put(&rig, i, VALUE_BYTES);
	for (uint64_t i = 0; i < count / 8; i++)
		missing += find(&rig, i, &place) != (i % 2 == 0);
	CU_ASSERT_EQUAL(missing, 0);
	CU_ASSERT_EQUAL(log_of(&rig, 0), LOG_MAIN);
	CU_ASSERT_FALSE(find(&rig, count / 4 - 1, &place));
	CU_ASSERT_TRUE(COUNTER(&rig, promotions) >= count / 16);
	store_check(rig.store);
	rig_destroy(&rig);
}

static void test_who_comes_back_goes_to_main(void)
{
	struct rig rig;
	struct store_place place;
	uint64_t count;

	rig_of(&rig, 16 << 20, POLICY_s3fifo);
	count = cache_full(&rig, VALUE_BYTES);
	for (uint64_t i = 0; i < count * 5 / 4; i++)
		put(&rig, i, VALUE_BYTES);
	CU_ASSERT_FALSE(find(&rig, 3, &place));
	put(&rig, 3, VALUE_BYTES);
	CU_ASSERT_EQUAL(log_of(&rig, 3), LOG_MAIN);
	CU_ASSERT_EQUAL(COUNTER(&rig, ghost_hits), 1);
	/* a new version of it stays there, one of a new item where that is */
	put(&rig, 3, VALUE_BYTES / 2);
	CU_ASSERT_EQUAL(log_of(&rig, 3), LOG_MAIN);
	put(&rig, count * 5 / 4 - 1, VALUE_BYTES / 2);
	CU_ASSERT_EQUAL(log_of(&rig, count * 5 / 4 - 1), LOG_PROBATION);
	/* who was deleted is not known again, and what is long ago is forgotten */
	CU_ASSERT_TRUE(find(&rig, 3, &place));
	store_remove(rig.store, &place);
	put(&rig, 3, VALUE_BYTES);
	CU_ASSERT_EQUAL(log_of(&rig, 3), LOG_PROBATION);
	for (uint64_t i = 2 * count; i < 6 * count; i++)
		put(&rig, i, VALUE_BYTES);
	put(&rig, 4, VALUE_BYTES);
	CU_ASSERT_EQUAL(log_of(&rig, 4), LOG_PROBATION);
	store_check(rig.store);
	rig_destroy(&rig);
}

/* With large items, too, and without a copy. */
static void test_what_is_hot_stays_whatever_comes(void)
{
	static const uint32_t value_bytes[] = {100, 1000, 20000, 60000, 200000};

	for (uint32_t n = 0; n < 5 * 4; n++) {
		struct rig rig;
		struct store_place place;
		uint64_t count;
		uint32_t missing = 0;

		rig_of(&rig, 16 << 20, (enum policy)(n % 4));
		count = cache_full(&rig, value_bytes[n / 4]);
		for (uint64_t i = 0; i < 6 * count; i++) {
			put(&rig, i, value_bytes[n / 4]);
			/* a fiftieth of memory, again and again */
			if (i > count / 50)
				read_item(&rig, i % (count / 50 + 1));
		}
		for (uint64_t i = 0; i < count / 50; i++)
			missing += find(&rig, i, &place) ? 0 : 1;
		CU_ASSERT_TRUE(missing <= count / 50 / 100);
		if (value_bytes[n / 4] > 32768)
			CU_ASSERT_EQUAL(COUNTER(&rig, copied_bytes), 0);
		store_check(rig.store);
		rig_destroy(&rig);
	}
}

/* Recency for lru, and its order. */
static void test_lru(void)
{
	struct rig rig;
	struct store_place place;
	uint64_t count;
	uint64_t first = 0;
	uint64_t last = 0;

	rig_of(&rig, 16 << 20, POLICY_lru);
	count = cache_full(&rig, VALUE_BYTES);
	for (uint64_t i = 0; i < 2 * count; i++)
		put(&rig, i, VALUE_BYTES);
	for (uint64_t i = 0; i < count; i++)
		first += find(&rig, i, &place);
	for (uint64_t i = count; i < 2 * count; i++)
		last += find(&rig, i, &place);
	/* it may keep a few from a batch longer than is due */
	CU_ASSERT_TRUE(first < count / 100);
	CU_ASSERT_TRUE(last > count * 9 / 10);
	CU_ASSERT_EQUAL(log_of(&rig, 2 * count - 1), LOG_MAIN);
	CU_ASSERT_EQUAL(COUNTER(&rig, probation_bytes), 0);
	rig_destroy(&rig);
}

/* The large ones go, and the many small ones stay. */
static void test_size(void)
{
	struct rig rig;
	uint64_t misses[2] = {0, 0};

	for (uint32_t n = 0; n < 2; n++) {
		uint64_t state = 1;

		rig_of(&rig, 16 << 20, n == 0 ? POLICY_size : POLICY_lru);
		for (uint64_t i = 0; i < 300000; i++) {
			uint64_t number = random_splitmix64(&state) % 20000;

			read_or_put(&rig, number, number % 20 == 0 ? 20000 : 200, &misses[n]);
		}
		store_check(rig.store);
		rig_destroy(&rig);
	}
	CU_ASSERT_TRUE(misses[0] < misses[1] * 2 / 3);
}

static void put_until(struct rig *rig, uint64_t number, uint32_t expiry_s)
{
	static const uint8_t zeros[VALUE_BYTES];
	char key[32];
	struct store_item_options options = item_options(rig, number, VALUE_BYTES, key);
	struct store_reservation reservation;

	options.expiry_s = expiry_s;
	CU_ASSERT_TRUE_FATAL(store_reserve(rig->store, &options, &reservation));
	store_write(rig->store, &reservation, zeros, VALUE_BYTES);
	store_publish(rig->store, &reservation, NULL);
}

static void test_ttl(void)
{
	struct rig rig;
	struct store_place place;
	uint64_t count;
	uint64_t soon = 0;
	uint64_t late = 0;
	uint64_t never = 0;

	rig_of(&rig, 16 << 20, POLICY_ttl);
	count = cache_full(&rig, VALUE_BYTES);
	for (uint64_t i = 0; i < 2 * count; i++)
		put_until(&rig, i, i % 4 == 0 ? 0 : i % 4 == 1 ? 100000 : 1000);
	for (uint64_t i = 0; i < 2 * count; i++) {
		uint64_t *kind = i % 4 == 0 ? &never : i % 4 == 1 ? &late : &soon;

		*kind += find(&rig, i, &place);
	}
	CU_ASSERT_TRUE(never > 2 * count / 4 * 95 / 100);
	CU_ASSERT_TRUE(late > 2 * count / 4 / 2);
	CU_ASSERT_TRUE(soon < 2 * count / 2 / 4); /* it looks at a few segments at a time */
	store_check(rig.store);
	rig_destroy(&rig);
}

/* Each version dies with the next. Live items are less than three quarters of memory: none may go.
 */
static void test_dead_room_comes_back_before_anything_goes(void)
{
	for (uint32_t n = 0; n < POLICY_COUNT; n++) {
		struct rig rig;
		uint64_t state = n;
		uint64_t count;

		rig_of(&rig, 16 << 20, (enum policy)n);
		count = cache_full(&rig, VALUE_BYTES) * 45 / 100;
		for (uint64_t i = 0; i < 20 * count; i++)
			put(&rig, i < count ? i : random_splitmix64(&state) % count, VALUE_BYTES);
		CU_ASSERT_EQUAL(COUNTER(&rig, evictions), 0);
		CU_ASSERT_EQUAL(COUNTER(&rig, curr_items), count);
		store_check(rig.store);
		rig_destroy(&rig);
	}
}

/* Nothing is lost by that, and what is known of the items stays. */
static void test_the_policy_changes(void)
{
	struct rig rig;
	uint64_t state = 1;
	uint64_t misses = 0;
	uint64_t count;

	rig_of(&rig, 16 << 20, POLICY_s3fifo);
	count = cache_full(&rig, VALUE_BYTES);
	for (uint64_t i = 0; i < 60 * count; i++) {
		uint64_t items = COUNTER(&rig, curr_items);

		if (i % 1000 == 0)
			store_set_policy(rig.store, (enum policy)(i / 1000 % POLICY_COUNT));
		CU_ASSERT_EQUAL_FATAL(COUNTER(&rig, curr_items), items);
		read_or_put(&rig, random_splitmix64(&state) % (2 * count), VALUE_BYTES, &misses);
		CU_ASSERT_TRUE_FATAL(COUNTER(&rig, segments_free) > 0);
	}
	store_check(rig.store);
	CU_ASSERT_TRUE(misses < 33 * count);
	CU_ASSERT_TRUE(COUNTER(&rig, policy_changes) > 30);
	rig_destroy(&rig);
}

/* Every key is asked for twice, further apart than probation lasts: only lru hits, and is found. */
static void test_adaptive_finds_the_one(void)
{
	struct rig rig;
	uint64_t count;
	uint64_t misses = 0;
	uint64_t late_misses = 0;
	uint64_t free_before;

	rig_of(&rig, 64 << 20, POLICY_adaptive);
	count = cache_full(&rig, VALUE_BYTES);
	for (uint64_t i = 0; i < 30 * count; i++) {
		read_or_put(&rig, i, VALUE_BYTES, &misses);
		if (i >= count * 4 / 10)
			read_or_put(&rig, i - count * 4 / 10, VALUE_BYTES,
			            i > 20 * count ? &late_misses : &misses);
	}
	CU_ASSERT_EQUAL(COUNTER(&rig, policy), POLICY_lru);
	CU_ASSERT_TRUE(late_misses < count / 10);
	CU_ASSERT_TRUE(COUNTER(&rig, shadow_bytes) >= 640 << 10);
	CU_ASSERT_TRUE(COUNTER(&rig, shadow_bytes) <= (64 << 20) / 64);
	store_check(rig.store);
	free_before = COUNTER(&rig, segments_free);
	store_set_policy(rig.store, POLICY_size);
	for (uint64_t i = 0; i < count; i++) /* the shadows are still there, and have no say */
		read_item(&rig, 29 * count + i);
	CU_ASSERT_EQUAL(COUNTER(&rig, policy), POLICY_size);
	put(&rig, 1, VALUE_BYTES);
	CU_ASSERT_EQUAL(COUNTER(&rig, shadow_bytes), 0);
	CU_ASSERT_TRUE(COUNTER(&rig, segments_free) > free_before);
	store_check(rig.store);
	rig_destroy(&rig);
}

/* memcached's old wound: small values, then large ones of other keys, and small ones again. When
 * memory has been written once, the hits are those of a fresh instance but for 2 %. */
static void test_no_calcification(void)
{
	static const uint32_t value_bytes[] = {100, 10000, 100};
	struct rig rig;

	rig_of(&rig, 32 << 20, POLICY_s3fifo);
	for (uint32_t n = 0; n < 3; n++) {
		uint64_t count = cache_full(&rig, value_bytes[n]);
		uint64_t written = 0;
		uint64_t hits[2] = {0, 0};
		uint64_t asked = 0;
		uint64_t state = n;
		struct rig fresh;

		rig_of(&fresh, 32 << 20, POLICY_s3fifo);
		while (written < 5 * count) {
			/* a product of uniform numbers: few keys are asked for often, of four
			 * memories' worth */
			uint64_t number = random_splitmix64(&state) % (4 * count);
			uint64_t misses = 0;

			for (uint32_t i = 0; i < 2; i++)
				number = number * (random_splitmix64(&state) >> 32) >> 32;
			number += (uint64_t)(n + 1) * 100000000;
			read_or_put(&rig, number, value_bytes[n], &misses);
			written += misses;
			if (written >= count && written < 2 * count) {
				asked++;
				hits[0] += 1 - misses;
			}
			misses = 0;
			read_or_put(&fresh, number, value_bytes[n], &misses);
			if (written >= count && written < 2 * count)
				hits[1] += 1 - misses;
		}
		CU_ASSERT_TRUE(hits[0] + asked / 50 >= hits[1]);
		CU_ASSERT_TRUE(hits[1] > asked / 2);
		CU_ASSERT_EQUAL(COUNTER(&rig, segments_deserted) > 0, n > 0);
		store_check(rig.store);
		rig_destroy(&fresh);
	}
	rig_destroy(&rig);
}

/* Who only writes, and reads nothing meanwhile, has not turned away from what is hot. */
static void test_a_bulk_load_drives_out_nothing(void)
{
	struct rig rig;
	struct store_place place;
	uint64_t misses = 0;
	uint64_t missing = 0;
	uint64_t state = 1;
	uint64_t count;

	rig_of(&rig, 32 << 20, POLICY_s3fifo);
	count = cache_full(&rig, VALUE_BYTES);
	for (uint64_t i = 0; i < 20 * count; i++) {
		read_or_put(&rig, random_splitmix64(&state) % (count / 2), VALUE_BYTES, &misses);
		read_or_put(&rig, 10 * count + i, VALUE_BYTES, &misses);
	}
	for (uint64_t i = 0; i < 2 * count; i++)
		put(&rig, 40 * count + i, VALUE_BYTES);
	for (uint64_t i = 0; i < count / 2; i++)
		missing += find(&rig, i, &place) ? 0 : 1;
	CU_ASSERT_TRUE(missing < count / 2 / 50);
	CU_ASSERT_EQUAL(COUNTER(&rig, segments_deserted), 0);
	store_check(rig.store);
	rig_destroy(&rig);
}

/* Who goes through his keys in order has turned away from nothing either: it is learned once. */
static void test_a_loop_is_no_desertion(void)
{
	static const uint32_t percents[] = {30, 50, 80};

	for (uint32_t n = 0; n < 3; n++) {
		uint64_t misses[9] = {0}; /* in each round */
		uint64_t learning = 0;
		uint64_t others = 0;
		uint64_t ignored = 0;
		struct rig rig;
		uint64_t count;
		uint64_t length;

		rig_of(&rig, 16 << 20, POLICY_s3fifo);
		count = cache_full(&rig, VALUE_BYTES);
		length = count * percents[n] / 100;
		for (uint32_t round = 0; round < 9; round++) {
			for (uint64_t i = 0; i < length; i++) {
				read_or_put(&rig, i, VALUE_BYTES, &misses[round]);
				read_or_put(&rig, 10 * count + others++, VALUE_BYTES, &ignored);
			}
			if (round >= 2) /* by then it is all in main */
				learning += misses[round];
		}
		CU_ASSERT_TRUE(learning < length / 2);
		for (uint32_t round = 6; round < 9; round++)
			CU_ASSERT_TRUE(misses[round] < length / 50);
		store_check(rig.store);
		rig_destroy(&rig);
	}
}

static void test_ranks(void)
{
	struct policy_item item = {.left_s = UINT32_MAX, .item_bytes = 100};
	uint32_t before = 0;

	/* the more hits and the younger the higher, whatever the weight */
	for (uint64_t weight = 256; weight < (uint64_t)1 << 44; weight *= 7)
		for (uint32_t hits = 0; hits < MARK_HITS_MAX; hits++)
			for (uint32_t age = 0; age < 255; age++)
				for (uint32_t n = POLICY_lfu; n <= POLICY_size; n++) {
					uint32_t one, older, more;

					item.mark = mark_of(1000 - age, hits);
					one = policy_rank((enum policy)n, &item, 1000, weight);
					item.mark = mark_of(999 - age, hits);
					older = policy_rank((enum policy)n, &item, 1000, weight);
					item.mark = mark_of(1000 - age, hits + 1);
					more = policy_rank((enum policy)n, &item, 1000, weight);
					CU_ASSERT_TRUE_FATAL(one < POLICY_RANKS && older <= one &&
					                     more >= one);
				}
	/* the longer it has left the higher; what never expires is the highest */
	for (uint64_t left_s = 0; left_s < UINT32_MAX; left_s += left_s / 100 + 1) {
		item.left_s = (uint32_t)left_s;
		CU_ASSERT_TRUE_FATAL(policy_rank(POLICY_ttl, &item, 0, 0) >= before);
		before = policy_rank(POLICY_ttl, &item, 0, 0);
		CU_ASSERT_TRUE_FATAL(before < POLICY_RANKS);
	}
}

static const struct unit_case cases[] = {
    {"one hit passes probation", test_one_hit_passes_probation},
    {"who comes back goes to main", test_who_comes_back_goes_to_main},
    {"what is hot stays, whatever comes", test_what_is_hot_stays_whatever_comes},
    {"lru", test_lru},
    {"size", test_size},
    {"ttl", test_ttl},
    {"dead room comes back before anything goes", test_dead_room_comes_back_before_anything_goes},
    {"the policy changes", test_the_policy_changes},
    {"adaptive finds the one", test_adaptive_finds_the_one},
    {"no calcification", test_no_calcification},
    {"a bulk load drives out nothing", test_a_bulk_load_drives_out_nothing},
    {"a loop is no desertion", test_a_loop_is_no_desertion},
    {"ranks", test_ranks},
};

int main(void)
{
	return UNIT_RUN("store eviction", cases);
}
