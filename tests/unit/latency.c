/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/latency.h"

#include "rig.h"
#include "unit.h"

/* The bucket that one request of so many microseconds is in. */
static uint32_t bucket_of(uint64_t us)
{
	struct latency latency = {0};
	uint32_t found = LATENCY_BUCKET_COUNT;

	latency_record(&latency, LATENCY_set, us, 1);
	for (uint32_t i = 0; i < LATENCY_BUCKET_COUNT; i++)
		if (counter_read(&latency.list[LATENCY_set].counts[i]) != 0)
			found = i;
	CU_ASSERT_EQUAL(counter_read(&latency.list[LATENCY_set].us_sum), us);
	CU_ASSERT_EQUAL(counter_read(&latency.list[LATENCY_get].us_sum), 0);
	return found;
}

static void test_a_bucket_has_what_is_below_its_end(void)
{
	for (uint32_t i = 0; i + 1 < LATENCY_BUCKET_COUNT; i++) {
		uint64_t end = latency_bucket_end_us(i);

		CU_ASSERT_EQUAL(bucket_of(end - 1), i);
		CU_ASSERT_EQUAL(bucket_of(end), i + 1);
	}
}

static void test_a_bucket_is_at_most_a_quarter_wide(void)
{
	for (uint32_t i = 4; i < LATENCY_BUCKET_COUNT; i++) {
		uint64_t begin = latency_bucket_end_us(i - 1), end = latency_bucket_end_us(i);

		CU_ASSERT_TRUE(end > begin && (end - begin) * 4 <= begin);
	}
}

static void test_what_is_too_long_is_in_the_last(void)
{
	CU_ASSERT_EQUAL(bucket_of(1ull << 27), LATENCY_BUCKET_COUNT - 1);
	CU_ASSERT_EQUAL(bucket_of(1ull << 50), LATENCY_BUCKET_COUNT - 1);
}

static uint64_t recorded(const struct latency *latency, enum latency_command command, uint64_t us)
{
	return counter_read(&latency->list[command].counts[bucket_of(us)]);
}

static void test_a_turns_requests_take_as_long_as_it(void)
{
	struct shard_counters counters = {0};
	struct latency latency = {0};

	counter_add(&counters.cmd_get, 32);
	counter_add(&counters.delete_misses, 1);
	latency_record_turn(&latency, &counters, 1000, 1007);
	CU_ASSERT_EQUAL(recorded(&latency, LATENCY_get, 7), 32);
	CU_ASSERT_EQUAL(recorded(&latency, LATENCY_delete, 7), 1);
	CU_ASSERT_EQUAL(recorded(&latency, LATENCY_set, 7), 0);
	counter_add(&counters.cmd_get, 1);
	latency_record_turn(&latency, &counters, 1000, 1100);
	CU_ASSERT_EQUAL(recorded(&latency, LATENCY_get, 7), 32);
	CU_ASSERT_EQUAL(recorded(&latency, LATENCY_get, 100), 1);
	CU_ASSERT_EQUAL(counter_read(&latency.list[LATENCY_get].us_sum), 32 * 7 + 100);
}

static void test_others_requests_are_not_ones_own(void)
{
	struct shard_counters counters = {0};
	struct latency latency = {0};
	struct latency_counts before, after;

	counter_add(&counters.cmd_set, 2);
	before = latency_look(&counters);
	counter_add(&counters.cmd_set, 5);
	after = latency_look(&counters);
	latency_leave_out(&latency, &before, &after);
	counter_add(&counters.cmd_set, 1);
	latency_record_turn(&latency, &counters, 1000, 1003);
	CU_ASSERT_EQUAL(recorded(&latency, LATENCY_set, 3), 3);
}

/* Half of the keys are another worker's. */
static void test_a_call_takes_until_it_is_back(void)
{
	struct rig_options options = {.shard_count = 2, .seed = 7};
	struct rig *rig = rig_create(&options);
	struct rig_client *client = rig_connect(rig);
	const struct latency *latency = &rig->sessions.latency;
	uint64_t own, called, sum = 0;

	rig->time.now_us = 1000000;
	for (uint32_t i = 0; i < 64; i++) {
		char line[32];

		sprintf(line, "set key%u 0 0 1\r\nx\r\n", i);
		session_received(&client->session, (const uint8_t *)line, (uint32_t)strlen(line),
		                 &rig->time);
		while (rig_has_calls(rig)) {
			rig->time.now_us += 500;
			rig_turn(rig);
		}
		rig_read(client, UINT64_MAX);
	}
	CU_ASSERT_EQUAL(client->replies.length, 64 * 8);
	latency_record_turn(&rig->sessions.latency, shard_counters(rig->shard), rig->time.now_us,
	                    rig->time.now_us + 7);
	own = counter_read(&shard_counters(rig->shard)->cmd_set);
	called = 64 - own;
	CU_ASSERT_TRUE(called > 16 && called < 48);
	CU_ASSERT_EQUAL(recorded(latency, LATENCY_set, 7), own);
	CU_ASSERT_TRUE(counter_read(&latency->list[LATENCY_set].us_sum) >= called * 507);
	for (uint32_t i = 0; i < LATENCY_BUCKET_COUNT; i++)
		sum += counter_read(&latency->list[LATENCY_set].counts[i]);
	CU_ASSERT_EQUAL(sum, 64);
	rig_disconnect(client);
	rig_destroy(rig);
}

static const struct unit_case cases[] = {
    {"a bucket has what is below its end", test_a_bucket_has_what_is_below_its_end},
    {"a bucket is at most a quarter wide", test_a_bucket_is_at_most_a_quarter_wide},
    {"what is too long is in the last", test_what_is_too_long_is_in_the_last},
    {"a turn's requests take as long as it", test_a_turns_requests_take_as_long_as_it},
    {"others' requests are not one's own", test_others_requests_are_not_ones_own},
    {"a call takes until it is back", test_a_call_takes_until_it_is_back},
};

int main(void)
{
	return UNIT_RUN("latency", cases);
}
