/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/workers.h"

#include "unit.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

static void rig_create(struct workers *workers)
{
	struct memory memory = {0};

	workers_create(workers, 1, &memory, 0);
}

static struct worker_settings all_of(uint64_t value)
{
	uint64_t values[WORKER_SETTING_COUNT];
	struct worker_settings settings;

	for (uint32_t i = 0; i < WORKER_SETTING_COUNT; i++)
		values[i] = value;
	memcpy(&settings, values, sizeof(settings));
	return settings;
}

static void test_what_was_published_is_taken_once(void)
{
	struct worker_settings wanted = {.policy = 3, .udp_rate_max = 7}, got;
	static struct workers workers;
	uint32_t version = 0;

	rig_create(&workers);
	CU_ASSERT_FALSE(workers_take_settings(&workers, &version, &got));
	workers_change(&workers, &wanted);
	CU_ASSERT_TRUE_FATAL(workers_take_settings(&workers, &version, &got));
	CU_ASSERT_EQUAL(memcmp(&got, &wanted, sizeof(got)), 0);
	CU_ASSERT_FALSE(workers_take_settings(&workers, &version, &got));
}

static void test_who_was_slow_gets_the_last_ones(void)
{
	struct worker_settings first = all_of(1), last = all_of(2), got;
	static struct workers workers;
	uint32_t version = 0;

	rig_create(&workers);
	workers_change(&workers, &first);
	workers_change(&workers, &last);
	CU_ASSERT_TRUE_FATAL(workers_take_settings(&workers, &version, &got));
	CU_ASSERT_EQUAL(memcmp(&got, &last, sizeof(got)), 0);
	CU_ASSERT_FALSE(workers_take_settings(&workers, &version, &got));
}

#define CHANGE_COUNT 20000u

static void *publish(void *context)
{
	for (uint64_t i = 1; i <= CHANGE_COUNT; i++) {
		struct worker_settings settings = all_of(i);

		workers_change(context, &settings);
		if (i % 16 == 0)
			sched_yield();
	}
	return NULL;
}

/* ThreadSanitizer is meant to watch. */
static void test_changes_are_taken_whole_and_in_order(void)
{
	static struct workers workers;
	uint64_t last = 0;
	uint32_t version = 0;
	pthread_t publisher;
	bool good = true;

	rig_create(&workers);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&publisher, NULL, publish, &workers), 0);
	while (last < CHANGE_COUNT && good) {
		struct worker_settings got, wanted;

		if (!workers_take_settings(&workers, &version, &got)) {
			sched_yield();
			continue;
		}
		wanted = all_of(got.policy);
		good = got.policy > last && memcmp(&got, &wanted, sizeof(got)) == 0;
		last = got.policy;
	}
	pthread_join(publisher, NULL);
	CU_ASSERT_TRUE(good);
	CU_ASSERT_EQUAL(last, CHANGE_COUNT);
}

/* A list is given back only when no worker looks at it any more. */
static void test_a_block_list_is_kept_until_all_look_at_the_next(void)
{
	static const struct blocked first, second, third;
	static struct workers workers;
	const struct blocked *unused = &third;

	rig_create(&workers);
	workers.count = 2;
	CU_ASSERT_TRUE(workers_blocked_is(&workers, NULL));
	CU_ASSERT_TRUE(workers_block(&workers, &first, &unused));
	CU_ASSERT_PTR_NULL(unused);
	CU_ASSERT_FALSE(workers_block(&workers, &second, &unused));
	CU_ASSERT_PTR_EQUAL(workers_take_blocked(&workers, 0), &first);
	CU_ASSERT_FALSE(workers_block(&workers, &second, &unused));
	CU_ASSERT_PTR_EQUAL(workers_take_blocked(&workers, 1), &first);
	CU_ASSERT_TRUE(workers_block(&workers, &second, &unused));
	CU_ASSERT_PTR_NULL(unused);
	CU_ASSERT_FALSE(workers_blocked_is(&workers, &first));
	workers_take_blocked(&workers, 0);
	workers_take_blocked(&workers, 1);
	CU_ASSERT_TRUE(workers_block(&workers, NULL, &unused));
	CU_ASSERT_PTR_EQUAL(unused, &first);
}

/* A list of one address, whose number is the list's. */
static struct blocked *list_of(uint64_t number)
{
	struct blocked *blocked = malloc(blocked_bytes(1));
	struct ip_prefix prefix = {.length = 128};

	memcpy(prefix.address.bytes, &number, sizeof(number));
	blocked_create(blocked, &prefix, 1);
	return blocked;
}

static void *block_all(void *context)
{
	struct workers *workers = context;

	for (uint64_t i = 1; i <= CHANGE_COUNT; i++) {
		struct blocked *blocked = list_of(i);
		const struct blocked *unused;

		while (!workers_block(workers, blocked, &unused))
			sched_yield();
		free((void *)(uintptr_t)unused);
	}
	return NULL;
}

/* ThreadSanitizer is meant to watch, and AddressSanitizer. */
static void test_nobody_looks_at_a_block_list_that_is_gone(void)
{
	static struct workers workers;
	const struct blocked *blocked = NULL;
	uint64_t last = 0;
	pthread_t publisher;
	bool good = true;

	rig_create(&workers);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&publisher, NULL, block_all, &workers), 0);
	while (last < CHANGE_COUNT && good) {
		struct ip_address address = {0};

		if (workers_blocked_is(&workers, blocked)) {
			sched_yield();
			continue;
		}
		blocked = workers_take_blocked(&workers, 0);
		last++;
		memcpy(address.bytes, &last, sizeof(last));
		good = blocked_contain(blocked, &address);
	}
	pthread_join(publisher, NULL);
	CU_ASSERT_TRUE(good);
	free((void *)(uintptr_t)workers.blocked.before);
	free((void *)(uintptr_t)blocked);
}

static const struct unit_case cases[] = {
    {"what was published is taken once", test_what_was_published_is_taken_once},
    {"who was slow gets the last ones", test_who_was_slow_gets_the_last_ones},
    {"changes are taken whole and in order", test_changes_are_taken_whole_and_in_order},
    {"a block list is kept until all look at the next",
     test_a_block_list_is_kept_until_all_look_at_the_next},
    {"nobody looks at a block list that is gone", test_nobody_looks_at_a_block_list_that_is_gone},
};

int main(void)
{
	return UNIT_RUN("worker settings", cases);
}
