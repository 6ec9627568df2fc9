/* SPDX-License-Identifier: Apache-2.0 */
/* What classes of keys may have of the memory, and who of them goes. Keys are numbers; those of one
 * class begin with the same digit. */
#include "store_rig.h"

#include "base/random.h"
#include "store/internal.h"

#define MEMORY_BYTES (16u << 20)
#define VALUE_BYTES  1000
#define CLASS_SPAN   1000000u /* numbers of a class */

struct world {
	struct rig rig;
	struct classes classes;
	uint64_t evicted[CLASS_COUNT_MAX];
	uint64_t wronged; /* evictions of a class that had less than its minimum share */
};

static uint64_t percent_of(const struct world *world, uint32_t class)
{
	const struct class_holding *holding = &store_holdings(world->rig.store)[class];

	return counter_read(&holding->bytes) * 100 /
	       max_u64(1, counter_read(&store_counters(world->rig.store)->bytes));
}

static void evicted(void *context, const struct item *item, uint32_t now_s)
{
	struct world *world = context;
	uint32_t class = classes_of(&world->classes, item_key(item));
	const struct class_holding *holding = &store_holdings(world->rig.store)[class];

	world->evicted[class]++;
	if (counter_read(&holding->bytes) * 100 <
	    world->classes.rules[class].share_min * COUNTER(&world->rig, bytes))
		world->wronged++;
}

static void world_create(struct world *world, enum policy policy, const struct class_rules *rules,
                         uint32_t count)
{
	struct store_options options = {.memory_bytes = MEMORY_BYTES,
	                                .value_bytes_max = 1 << 20,
	                                .policy = policy,
	                                .classes = &world->classes};

	*world = (struct world){0};
	classes_create(&world->classes);
	for (uint32_t i = 0; i < count; i++) {
		struct class_rules one = rules[i];

		one.prefix_bytes = 1;
		one.prefix[0] = (uint8_t)('1' + i);
		one.share_max = one.share_max == 0 ? 100 : one.share_max;
		classes_add(&world->classes, &one);
	}
	CU_ASSERT_EQUAL_FATAL(rig_create_with(&world->rig, &options), 0);
	store_observe_evictions(world->rig.store, evicted, world);
}

static void world_destroy(struct world *world)
{
	store_check(world->rig.store);
	rig_destroy(&world->rig);
}

static uint64_t number_of(uint32_t class, uint64_t i)
{
	return class * CLASS_SPAN + i;
}

static bool ask(struct world *world, uint64_t number, uint32_t value_bytes)
{
	struct store_place place;
	char key[32];
	struct store_item_options options = item_options(&world->rig, number, 0, key);

	if (store_find(world->rig.store, options.hash, options.key, &place) == STORE_LIVE) {
		rig_read(&world->rig, options.hash, &place);
		return true;
	}
	rig_read(&world->rig, options.hash, NULL);
	put(&world->rig, number, value_bytes);
	return false;
}

static uint64_t cache_full(const struct world *world)
{
	return store_cache_bytes(world->rig.store) / item_bytes_of(7, VALUE_BYTES);
}

/* Class 1 lies there and is never asked for again, class 2 is asked for all the time. */
static void test_below_its_minimum_nothing_goes(void)
{
	static const struct class_rules rules[] = {{.name = "cold", .share_min = 40},
	                                           {.name = "hot"}};

	for (uint32_t n = 0; n < POLICY_COUNT; n++) {
		struct world world;
		uint64_t state = n;
		uint64_t count;

		world_create(&world, (enum policy)n, rules, 2);
		count = cache_full(&world);
		for (uint64_t i = 0; i < count / 2; i++)
			put(&world.rig, number_of(1, i), VALUE_BYTES);
		for (uint64_t i = 0; i < 20 * count; i++)
			ask(&world, number_of(2, random_splitmix64(&state) % (2 * count)),
			    VALUE_BYTES);
		CU_ASSERT_EQUAL(world.wronged, 0);
		CU_ASSERT_TRUE(world.evicted[1] > 0 && world.evicted[2] > count);
		CU_ASSERT_TRUE(percent_of(&world, 1) >= 39 && percent_of(&world, 1) <= 41);
		world_destroy(&world);
	}
}

/* What must stay is not copied again and again: it lies in segments of its own. */
static void test_what_is_spared_is_not_copied(void)
{
	static const struct class_rules rules[] = {{.name = "cold", .share_min = 60},
	                                           {.name = "passing"}};
	struct world world;
	uint64_t count;

	world_create(&world, POLICY_s3fifo, rules, 2);
	count = cache_full(&world);
	for (uint64_t i = 0; i < count / 2; i++)
		put(&world.rig, number_of(1, i), VALUE_BYTES);
	for (uint64_t i = 0; i < 20 * count; i++)
		put(&world.rig, number_of(2, i), VALUE_BYTES);
	CU_ASSERT_EQUAL(world.evicted[1], 0);
	CU_ASSERT_TRUE(COUNTER(&world.rig, copied_bytes) < MEMORY_BYTES);
	world_destroy(&world);
}

/* Class 1 comes in all the time, and is asked for again soon; what class 2 has is asked for, too,
 * and more rarely. */
static void test_above_its_maximum_it_goes_first(void)
{
	static const struct class_rules limited[] = {{.name = "flood", .share_max = 20},
	                                             {.name = "slow"}};
	static const struct class_rules free[] = {{.name = "flood"}, {.name = "slow"}};

	for (uint32_t n = 0; n < POLICY_adaptive; n++) {
		uint64_t misses[2] = {0};

		for (uint32_t k = 0; k < 2; k++) {
			struct world world;
			uint64_t state = n;
			uint64_t count;

			world_create(&world, (enum policy)n, k == 0 ? limited : free, 2);
			count = cache_full(&world);
			for (uint64_t i = 0; i < 10 * count; i++) {
				uint64_t random = random_splitmix64(&state);

				ask(&world, number_of(1, i), VALUE_BYTES);
				if (i >= count / 50)
					ask(&world, number_of(1, i - count / 50), VALUE_BYTES);
				if (!ask(&world, number_of(2, random % (count * 6 / 10)),
				         VALUE_BYTES) &&
				    i > 5 * count)
					misses[k]++;
			}
			if (k == 0)
				CU_ASSERT_TRUE(percent_of(&world, 1) <= 45);
			world_destroy(&world);
		}
		CU_ASSERT_TRUE(misses[0] <= misses[1]);
	}
}

/* Three classes, half as much of each as there is memory, asked for alike. Of what is looked at
 * together the lowest goes: so one that comes in again and again has some room yet. */
static void test_the_lowest_priority_goes_first(void)
{
	static const struct class_rules rules[] = {{.name = "low", .priority = 1},
	                                           {.name = "middle", .priority = 5},
	                                           {.name = "high", .priority = 9}};
	struct world world;
	uint64_t state = 1;
	uint64_t count;

	world_create(&world, POLICY_priority, rules, 3);
	count = cache_full(&world);
	for (uint64_t i = 0; i < 60 * count; i++) {
		uint64_t random = random_splitmix64(&state);

		ask(&world, number_of(1 + (random >> 32) % 3, (random & UINT32_MAX) % (count / 2)),
		    VALUE_BYTES);
	}
	CU_ASSERT_EQUAL(world.evicted[3], 0);
	CU_ASSERT_TRUE(percent_of(&world, 1) < 22 && percent_of(&world, 2) > 27);
	world_destroy(&world);
}

/* All sizes, large ones too, expiries, removals, flushes, policies, three classes with shares. */
static void test_whatever_happens(void)
{
	static const struct class_rules rules[] = {{.name = "a", .priority = 2, .share_min = 30},
	                                           {.name = "b", .priority = 7, .share_max = 20},
	                                           {.name = "c", .priority = 5, .share_min = 20}};

	for (uint64_t seed = 0; seed < 12; seed++) {
		struct world world;
		uint64_t state = seed;

		world_create(&world, (enum policy)(seed % POLICY_COUNT), rules, 3);
		for (uint64_t i = 0; i < 60000; i++) {
			uint64_t random = random_splitmix64(&state);
			uint64_t number = number_of(random % 5, (random >> 8) % 9000);
			uint32_t octave = (random >> 32) % (random >> 60 == 0 ? 20 : 13);
			struct store_place place;

			store_tick(world.rig.store, (uint32_t)(1 + i / 100));
			if ((random >> 40) % 50 == 0) {
				if (find(&world.rig, number, &place))
					store_remove(world.rig.store, &place);
			} else {
				ask(&world, number, 1u << octave);
			}
			if (i % 20000 == 19999)
				store_flush(world.rig.store, 0);
			if (i % 10000 == 0)
				store_set_policy(world.rig.store,
				                 (enum policy)(random >> 50) % POLICY_COUNT);
			store_work(world.rig.store);
			if (i % 5000 == 0)
				store_check(world.rig.store);
		}
		CU_ASSERT_EQUAL(world.wronged, 0);
		world_destroy(&world);
	}
}

static const struct unit_case cases[] = {
    {"below its minimum nothing goes", test_below_its_minimum_nothing_goes},
    {"what is spared is not copied", test_what_is_spared_is_not_copied},
    {"above its maximum it goes first", test_above_its_maximum_it_goes_first},
    {"the lowest priority goes first", test_the_lowest_priority_goes_first},
    {"whatever happens", test_whatever_happens},
};

int main(void)
{
	return UNIT_RUN("store classes", cases);
}
