/* SPDX-License-Identifier: Apache-2.0 */
#include "shard/hot.h"

#include "rig.h"
#include "unit.h"

struct counted {
	struct hot hot;
	struct random random;
	uint64_t now_us;
	uint64_t asked[4]; /* of the keys "hot0" … */
	void *region;
};

static struct counted *counted_create(void)
{
	struct counted *counted = calloc(1, sizeof(*counted));
	struct memory memory = {.bytes = hot_bytes()};

	memory.base = counted->region = aligned_alloc(CACHE_LINE_BYTES, memory.bytes);
	counted->random = random_seeded(1);
	counted->now_us = 1000000;
	hot_create(&counted->hot, 1, &memory);
	hot_advance(&counted->hot, counted->now_us);
	return counted;
}

static void counted_destroy(struct counted *counted)
{
	free(counted->region);
	free(counted);
}

static void ask(struct counted *counted, const char *key)
{
	size_t length = strlen(key);
	uint64_t hash = 5381;

	for (size_t i = 0; i < length; i++)
		hash = hash * 33 + (uint8_t)key[i];
	hot_count(&counted->hot, (struct slice){(const uint8_t *)key, length}, hash);
}

/* So many requests in a second, half, a quarter, an eighth and a sixteenth of them for hot0 … hot3,
 * the rest for one key each. */
static void ask_for_a_second(struct counted *counted, uint32_t count)
{
	memset(counted->asked, 0, sizeof(counted->asked));
	for (uint32_t i = 0; i < count; i++) {
		uint32_t which = (uint32_t)__builtin_ctzll(random_u64(&counted->random) | 16);
		char key[32];

		if (which < 4)
			counted->asked[which]++;
		snprintf(key, sizeof(key), which < 4 ? "hot%u" : "cold%u", which < 4 ? which : i);
		ask(counted, key);
	}
	counted->now_us += 1000000;
	hot_advance(&counted->hot, counted->now_us);
}

static bool is_called(const struct hot_key *key, const char *name)
{
	return key->length == strlen(name) && memcmp(key->bytes, name, key->length) == 0;
}

/* The hottest are in their order, and told to have what they have, within so much of it. */
static void check_hottest(const struct counted *counted, double tolerance)
{
	const struct hot_window *window = counted->hot.last;
	uint8_t places[HOT_KEY_COUNT];

	CU_ASSERT_TRUE_FATAL(hot_rank(&counted->hot, places) >= 4);
	for (uint32_t i = 0; i < 4; i++) {
		const struct hot_key *key = &window->keys[places[i]];
		double asked = (double)counted->asked[i], told = (double)key->count;
		char name[8];

		sprintf(name, "hot%u", i);
		CU_ASSERT_TRUE(is_called(key, name));
		CU_ASSERT_TRUE(told - (double)key->count_max_error <= asked * (1 + tolerance));
		CU_ASSERT_TRUE(told >= asked * (1 - tolerance));
	}
}

static void test_each_request_counts_where_little_is_asked(void)
{
	struct counted *counted = counted_create();

	for (uint32_t i = 0; i < 11; i++)
		ask_for_a_second(counted, 2000);
	CU_ASSERT_EQUAL(counted->hot.last->sample_count, 2000);
	CU_ASSERT_EQUAL(counted->hot.last->request_count, 2000);
	check_hottest(counted, 0);
	counted_destroy(counted);
}

static void test_a_window_waits_for_enough_samples_but_not_for_long(void)
{
	struct counted *counted = counted_create();

	/* the first one looked at too few of them, and is not told */
	for (uint32_t i = 0; i < 20; i++) {
		ask_for_a_second(counted, 10);
		CU_ASSERT_EQUAL(counted->hot.last->end_us, i < 10 ? 0 : 12000000);
	}
	ask_for_a_second(counted, 10);
	CU_ASSERT_EQUAL(counted->hot.last->end_us - counted->hot.last->start_us, 10000000);
	CU_ASSERT_EQUAL(counted->hot.last->request_count, 100);
	counted_destroy(counted);
}

/* Within a few percent of three and a half million requests, by a few thousand samples. */
static void test_samples_stand_for_many_where_much_is_asked(void)
{
	struct counted *counted = counted_create();

	for (uint32_t i = 0; i < 12; i++)
		ask_for_a_second(counted, 300000);
	CU_ASSERT_TRUE(counted->hot.last->sample_count <= 8192);
	CU_ASSERT_TRUE(counted->hot.last->sample_count >= 1024);
	check_hottest(counted, .2);
	counted_destroy(counted);
}

static void test_a_key_that_is_hot_is_found_among_many_that_are_not(void)
{
	struct counted *counted = counted_create();
	uint8_t places[HOT_KEY_COUNT];
	char key[32];

	for (uint32_t i = 0; i < 15 * 4000; i++) {
		sprintf(key, "cold%u", i);
		ask(counted, i % 50 == 0 ? "warm" : key);
		if (i % 4000 == 3999)
			hot_advance(&counted->hot, counted->now_us += 1000000);
	}
	CU_ASSERT_EQUAL(hot_rank(&counted->hot, places), HOT_KEY_COUNT);
	CU_ASSERT_TRUE(is_called(&counted->hot.last->keys[places[0]], "warm"));
	CU_ASSERT_TRUE(counted->hot.last->keys[places[0]].count >= 40);
	counted_destroy(counted);
}

/* It is random which request is sampled: who asks in step with it is not overlooked. */
static void test_no_pattern_is_in_step(void)
{
	struct counted *counted = counted_create();
	uint8_t places[HOT_KEY_COUNT];
	uint64_t least = UINT64_MAX;
	char key[32];

	for (uint32_t second = 0; second < 12; second++) {
		for (uint32_t i = 0; i < 512000; i++) {
			sprintf(key, "key%u", i % 64);
			ask(counted, key);
		}
		counted->now_us += 1000000;
		hot_advance(&counted->hot, counted->now_us);
	}
	CU_ASSERT_TRUE(counted->hot.weight_log >= 5);
	CU_ASSERT_EQUAL(hot_rank(&counted->hot, places), 64);
	for (uint32_t i = 0; i < 64; i++)
		least = min_u64(least, counted->hot.last->keys[places[i]].count);
	CU_ASSERT_TRUE(least >= 4000);
	counted_destroy(counted);
}

static void test_clients_are_told(void)
{
	struct rig_options options = {0};
	struct rig *rig = rig_create(&options);
	struct rig_client *client = rig_connect(rig);
	static const char wanted[] = "STAT window_us 2000000\r\nSTAT requests 1150\r\n"
	                             "STAT samples 1150\r\nSTAT key:a 850 0 50\r\n"
	                             "STAT key:%25b 300 0 0\r\nEND\r\n";

	hot_advance(shard_hot(rig->shard), 1000000);
	hot_advance(shard_hot(rig->shard), 11000000);
	for (uint32_t i = 0; i < 1100; i++)
		rig_send(client, i % 11 < 3 ? "get %b\r\n" : "mg a v\r\n", 8);
	hot_add_xdp(shard_hot(rig->shard), SLICE_LITERAL("a"),
	            shard_hash(rig->shard, SLICE_LITERAL("a")), 50);
	hot_advance(shard_hot(rig->shard), 13000000);
	client->replies.length = 0;
	rig_send(client, "stats hot\r\n", 11);
	CU_ASSERT_EQUAL(client->replies.length, strlen(wanted));
	CU_ASSERT_EQUAL(memcmp(client->replies.data, wanted, strlen(wanted)), 0);
	rig_disconnect(client);
	rig_destroy(rig);
}

static const struct unit_case cases[] = {
    {"each request counts where little is asked", test_each_request_counts_where_little_is_asked},
    {"a window waits for enough samples, but not for long",
     test_a_window_waits_for_enough_samples_but_not_for_long},
    {"samples stand for many where much is asked", test_samples_stand_for_many_where_much_is_asked},
    {"a key that is hot is found among many that are not",
     test_a_key_that_is_hot_is_found_among_many_that_are_not},
    {"no pattern is in step", test_no_pattern_is_in_step},
    {"clients are told", test_clients_are_told},
};

int main(void)
{
	return UNIT_RUN("hot", cases);
}
