/* SPDX-License-Identifier: Apache-2.0 */
/* Purges: what is meant is gone at once, and nothing else, whatever becomes of memory meanwhile.
 * Keys are numbers, so their first digits are prefixes. */
#include "store_rig.h"

#include "base/random.h"
#include "store/internal.h"

#define MEMORY_BYTES (16u << 20)
#define VALUE_BYTES  100
#define NUMBERS      20000u /* 10000 … 29999 */
#define FIRST        10000u

static void purge(struct rig *rig, uint32_t number, const char *prefix)
{
	struct purge_target target = {.prefix = {(const uint8_t *)prefix, strlen(prefix)},
	                              .class = PURGE_ANY_CLASS};

	store_purge(rig->store, number, &target);
}

static uint32_t sweep(struct rig *rig)
{
	uint32_t turns = 0;

	while (COUNTER(rig, purges) > 0) {
		store_work(rig->store);
		turns++;
	}
	return turns;
}

static void test_it_is_gone_at_once(void)
{
	struct rig rig;
	struct store_place place;
	uint64_t items, bytes;

	CU_ASSERT_EQUAL_FATAL(rig_create(&rig, MEMORY_BYTES, 65536), 0);
	for (uint64_t i = FIRST; i < FIRST + NUMBERS; i++)
		put(&rig, i, VALUE_BYTES);
	store_work(rig.store); /* writes let it do more in the next turn */
	items = COUNTER(&rig, curr_items);
	bytes = COUNTER(&rig, bytes);
	purge(&rig, 0, "12");
	CU_ASSERT_TRUE(store_has_purge(rig.store, 0));
	CU_ASSERT_EQUAL(COUNTER(&rig, curr_items), items); /* it has cost nothing yet */
	put(&rig, 12001, VALUE_BYTES);
	for (uint64_t i = FIRST; i < FIRST + NUMBERS; i++)
		CU_ASSERT_EQUAL(find(&rig, i, &place), i / 1000 != 12 || i == 12001);
	CU_ASSERT_TRUE(sweep(&rig) > 10);
	CU_ASSERT_FALSE(store_has_purge(rig.store, 0));
	for (uint64_t i = FIRST; i < FIRST + NUMBERS; i++)
		CU_ASSERT_EQUAL(find(&rig, i, &place), i / 1000 != 12 || i == 12001);
	CU_ASSERT_EQUAL(COUNTER(&rig, curr_items), items - 999);
	CU_ASSERT_EQUAL(COUNTER(&rig, purged), 999);
	CU_ASSERT_EQUAL(COUNTER(&rig, bytes), bytes / items * (items - 999));
	CU_ASSERT_EQUAL(COUNTER(&rig, purge_segments_left), 0);
	CU_ASSERT_EQUAL(COUNTER(&rig, evictions), 0);
	store_check(rig.store);
	rig_destroy(&rig);
}

/* Half of what is full goes, and the next half comes without anything being evicted. */
static void test_memory_comes_back(void)
{
	struct rig rig;
	uint64_t count;

	CU_ASSERT_EQUAL_FATAL(rig_create(&rig, MEMORY_BYTES, 65536), 0);
	count = store_cache_bytes(rig.store) / item_bytes_of(7, VALUE_BYTES) * 8 / 10;
	for (uint64_t i = 0; i < count; i++)
		put(&rig, (i % 2 + 1) * 1000000 + i, VALUE_BYTES);
	purge(&rig, 7, "2");
	sweep(&rig);
	for (uint64_t i = 0; i < count * 4 / 10; i++) {
		put(&rig, 3000000 + i, VALUE_BYTES);
		store_work(rig.store);
	}
	CU_ASSERT_EQUAL(COUNTER(&rig, evictions), 0);
	CU_ASSERT_EQUAL(COUNTER(&rig, curr_items), count - count / 2 + count * 4 / 10);
	store_check(rig.store);
	rig_destroy(&rig);
}

static void test_classes(void)
{
	static const char *prefixes[] = {"1", "11", "2"};
	struct classes classes;
	struct rig rig;
	struct store_options options = {
	    .memory_bytes = MEMORY_BYTES, .value_bytes_max = 65536, .classes = &classes};
	struct purge_target target = {0};
	struct store_place place;

	classes_create(&classes);
	for (uint32_t i = 0; i < 3; i++) {
		struct class_rules rules = {.share_max = 100,
		                            .prefix_bytes = (uint8_t)strlen(prefixes[i])};

		memcpy(rules.prefix, prefixes[i], rules.prefix_bytes);
		classes_add(&classes, &rules);
	}
	CU_ASSERT_EQUAL_FATAL(rig_create_with(&rig, &options), 0);
	for (uint64_t i = 1; i < 40000; i++)
		put(&rig, i, VALUE_BYTES);
	/* of the class with the prefix 1, what 11 does not have */
	target.class = 1;
	store_purge(rig.store, 3, &target);
	for (uint32_t n = 0; n < 2; n++) {
		CU_ASSERT_FALSE(find(&rig, 1, &place));
		CU_ASSERT_FALSE(find(&rig, 10000, &place));
		CU_ASSERT_FALSE(find(&rig, 12345, &place));
		CU_ASSERT_TRUE(find(&rig, 11, &place));
		CU_ASSERT_TRUE(find(&rig, 11999, &place));
		CU_ASSERT_TRUE(find(&rig, 21000, &place));
		CU_ASSERT_TRUE(find(&rig, 31000, &place));
		sweep(&rig);
	}
	/* those of no class */
	target.class = 0;
	store_purge(rig.store, 3, &target);
	CU_ASSERT_FALSE(find(&rig, 31000, &place));
	CU_ASSERT_TRUE(find(&rig, 21000, &place));
	sweep(&rig);
	CU_ASSERT_EQUAL(counter_read(&store_holdings(rig.store)[0].items), 0);
	CU_ASSERT_EQUAL(counter_read(&store_holdings(rig.store)[1].items), 0);
	store_check(rig.store);
	rig_destroy(&rig);
}

/* What was begun before and is published after is new. */
static void test_a_value_on_its_way(void)
{
	struct rig rig;
	struct store_reservation reservation;
	struct store_place place;
	char key[32];
	struct store_item_options options;

	CU_ASSERT_EQUAL_FATAL(rig_create(&rig, MEMORY_BYTES, 65536), 0);
	options = item_options(&rig, 12, 3, key);
	put(&rig, 12, 5);
	CU_ASSERT_TRUE_FATAL(store_reserve(rig.store, &options, &reservation));
	CU_ASSERT_TRUE_FATAL(store_write(rig.store, &reservation, (const uint8_t *)"abc", 3));
	purge(&rig, 0, "1");
	CU_ASSERT_TRUE_FATAL(store_settle(rig.store, &reservation));
	CU_ASSERT_EQUAL_FATAL(store_find(rig.store, options.hash, options.key, &place),
	                      STORE_FLUSHED);
	store_reclaim(rig.store, &place);
	store_publish(rig.store, &reservation, NULL);
	CU_ASSERT_TRUE(find(&rig, 12, &place));
	sweep(&rig);
	CU_ASSERT_TRUE(find(&rig, 12, &place));
	CU_ASSERT_EQUAL(COUNTER(&rig, curr_items), 1);
	store_check(rig.store);
	rig_destroy(&rig);
}

/* Without a turn of work: whatever reclaiming does with what was hot, it is not there again. */
static void test_it_stays_gone(void)
{
	for (uint32_t n = 0; n < POLICY_COUNT; n++) {
		struct rig rig;
		struct store_place place;
		uint64_t count, found = 0;

		CU_ASSERT_EQUAL_FATAL(rig_create(&rig, MEMORY_BYTES, 65536), 0);
		store_set_policy(rig.store, (enum policy)n);
		count = store_cache_bytes(rig.store) / item_bytes_of(7, VALUE_BYTES);
		for (uint64_t i = 0; i < count / 4; i++)
			put(&rig, 1000000 + i, VALUE_BYTES);
		for (uint64_t i = 0; i < 4 * count; i++) {
			if (i == count)
				purge(&rig, 0, "1");
			put(&rig, 2000000 + i, VALUE_BYTES);
			if (!find(&rig, 1000000 + i % (count / 4), &place))
				continue;
			found++;
			CU_ASSERT_TRUE_FATAL(i < count);
			rig_read(&rig, store_hash(rig.store, item_key(place.item)), &place);
		}
		CU_ASSERT_TRUE(found > count / 4);
		CU_ASSERT_EQUAL(COUNTER(&rig, purges), 1);
		store_check(rig.store);
		rig_destroy(&rig);
	}
}

struct model {
	uint8_t is_dead[FIRST + NUMBERS]; /* it was purged, and not stored since */
};

static bool has_prefix(uint32_t number, const char *prefix)
{
	char key[32];

	snprintf(key, sizeof(key), "%u", number);
	return strncmp(key, prefix, strlen(prefix)) == 0;
}

/* All sizes and policies, expiry and flushes, too little memory, several purges under way. */
static void test_whatever_happens(void)
{
	for (uint64_t seed = 0; seed < 2 * POLICY_COUNT; seed++) {
		struct model *model = calloc(1, sizeof(*model));
		struct random random = random_seeded(seed);
		uint64_t found = 0, purges = 0;
		struct rig rig;

		CU_ASSERT_EQUAL_FATAL(rig_create(&rig, MEMORY_BYTES, 1 << 20), 0);
		store_set_policy(rig.store, (enum policy)(seed % POLICY_COUNT));
		for (uint32_t i = 0; i < 150000; i++) {
			uint32_t number = FIRST + (uint32_t)random_below(&random, NUMBERS);
			struct store_place place;

			if (i % 64 == 0)
				store_tick(rig.store, 1 + i / 64);
			if (find(&rig, number, &place)) {
				found++;
				CU_ASSERT_FALSE_FATAL(model->is_dead[number]);
				if (random_below(&random, 2) == 0)
					rig_read(&rig, store_hash(rig.store, item_key(place.item)),
					         &place);
				if (random_below(&random, 16) == 0)
					store_change(rig.store, &place,
					             1 + i / 64 +
					                 (uint32_t)random_below(&random, 1000),
					             store_next_cas(rig.store));
			} else {
				uint32_t bits = random_below(&random, 500) == 0 ? 18 : 12;

				put(&rig, number,
				    (uint32_t)random_below(&random,
				                           1u << random_below(&random, bits)));
				model->is_dead[number] = false;
			}
			if (random_below(&random, 3000) == 0) {
				uint32_t free = 0;
				char prefix[8];

				while (free < PURGES_MAX && store_has_purge(rig.store, free))
					free++;
				snprintf(prefix, sizeof(prefix), "%.*s",
				         (int)random_below(&random, 4) + 1,
				         i % 2 == 0 ? "13579" : "24680");
				if (free < PURGES_MAX) {
					purge(&rig, free, prefix);
					purges++;
					for (uint32_t j = FIRST; j < FIRST + NUMBERS; j++)
						if (has_prefix(j, prefix))
							model->is_dead[j] = true;
				}
			}
			if (random_below(&random, 4) == 0)
				store_work(rig.store);
			if (random_below(&random, 40000) == 0)
				store_flush(rig.store, 0);
			if (i % 15000 == 0)
				store_check(rig.store);
		}
		CU_ASSERT_TRUE(purges > 20 && found > 10000);
		sweep(&rig);
		store_check(rig.store);
		rig_destroy(&rig);
		free(model);
	}
}

static const struct unit_case cases[] = {
    {"it is gone at once", test_it_is_gone_at_once},
    {"memory comes back", test_memory_comes_back},
    {"classes", test_classes},
    {"a value on its way", test_a_value_on_its_way},
    {"it stays gone", test_it_stays_gone},
    {"whatever happens", test_whatever_happens},
};

int main(void)
{
	return UNIT_RUN("store purge", cases);
}
