/* SPDX-License-Identifier: Apache-2.0 */
#include "control/guard.h"

#include "base/random.h"
#include "memory_faults.h"
#include "seed.h"
#include "unit.h"

static const uint64_t random_key[2] = {1, 2};

static struct guard *guard_new(void)
{
	struct guard *guard;

	CU_ASSERT_EQUAL_FATAL(guard_create(&guard, random_key), 0);
	return guard;
}

static struct ip_address address(const char *text)
{
	struct ip_address parsed = {0};

	CU_ASSERT_EQUAL_FATAL(ip_address_parse(&parsed, text), 0);
	return parsed;
}

/* The source of that number: every other one is an IPv4 address. */
static struct ip_address source_of(uint32_t number)
{
	struct ip_address source = {.bytes = {0x20, 0x01, 0x0d, 0xb8}};
	uint8_t ip4[4];

	store_be32(ip4, 0x0a000000 + number);
	store_be32(source.bytes + 4, number);
	store_be32(source.bytes + 12, number * 2654435761u); /* within its /64 */
	return number % 2 == 0 ? source : ip_address_from_ip4(ip4);
}

/* Fails until it is locked out: how often that took. */
static uint32_t fail_until_locked(struct guard *guard, const struct ip_address *source,
                                  uint64_t now_s)
{
	for (uint32_t i = 1; i <= 100; i++)
		if (guard_failed(guard, source, now_s))
			return i;
	return 0;
}

static void who_fails_five_times_is_locked_out(void)
{
	struct guard *guard = guard_new();
	struct ip_address source = address("192.0.2.1"), other = address("192.0.2.2");

	for (uint64_t i = 0; i < GUARD_FAILURES_MAX - 1; i++) {
		CU_ASSERT_FALSE(guard_failed(guard, &source, 1000 + i));
		CU_ASSERT_EQUAL(guard_locked_s(guard, &source, 1000 + i), 0);
	}
	CU_ASSERT_TRUE(guard_failed(guard, &source, 1004));
	CU_ASSERT_EQUAL(guard_locked_s(guard, &source, 1004), GUARD_LOCK_S_MIN);
	CU_ASSERT_EQUAL(guard_locked_s(guard, &source, 1004 + GUARD_LOCK_S_MIN - 1), 1);
	CU_ASSERT_EQUAL(guard_locked_s(guard, &source, 1004 + GUARD_LOCK_S_MIN), 0);
	CU_ASSERT_EQUAL(guard_locked_s(guard, &other, 1004), 0);
	guard_destroy(guard);
}

static void the_window_slides(void)
{
	struct guard *guard = guard_new();
	struct ip_address source = address("192.0.2.1");

	/* four within any 60 s, for an hour */
	for (uint64_t now_s = 0; now_s < 3600; now_s += 15)
		CU_ASSERT_FALSE(guard_failed(guard, &source, now_s));
	/* 3540, 3555, 3570 and 3585 count, one after another, until they are a minute old */
	CU_ASSERT_FALSE(guard_failed(guard, &source, 3600));
	CU_ASSERT_TRUE(guard_failed(guard, &source, 3614));
	guard_destroy(guard);
}

static void failures_on_a_border_of_the_window_count_exactly(void)
{
	struct ip_address source = address("192.0.2.1");

	for (uint64_t gap_s = GUARD_WINDOW_S - 1; gap_s <= GUARD_WINDOW_S; gap_s++) {
		struct guard *guard = guard_new();

		for (int i = 0; i < GUARD_FAILURES_MAX - 1; i++)
			guard_failed(guard, &source, 5000);
		CU_ASSERT_EQUAL(guard_failed(guard, &source, 5000 + gap_s), gap_s < GUARD_WINDOW_S);
		guard_destroy(guard);
	}
}

static void each_lock_out_that_follows_is_twice_as_long(void)
{
	struct guard *guard = guard_new();
	struct ip_address source = address("2001:db8::1");
	uint64_t now_s = 100, expected_s = GUARD_LOCK_S_MIN;

	for (int i = 0; i < 12; i++) {
		CU_ASSERT_EQUAL(fail_until_locked(guard, &source, now_s), GUARD_FAILURES_MAX);
		CU_ASSERT_EQUAL(guard_locked_s(guard, &source, now_s), expected_s);
		now_s += expected_s + 3599; /* within an hour of its end, by a second */
		expected_s = min_u64(2 * expected_s, GUARD_LOCK_S_MAX);
	}
	CU_ASSERT_EQUAL(expected_s, GUARD_LOCK_S_MAX);
	guard_destroy(guard);
}

static void an_hour_after_a_lock_out_all_is_forgotten(void)
{
	struct guard *guard = guard_new();
	struct ip_address source = address("2001:db8::1");

	fail_until_locked(guard, &source, 100);
	fail_until_locked(guard, &source, 130);
	CU_ASSERT_EQUAL(guard_locked_s(guard, &source, 130), 60);
	fail_until_locked(guard, &source, 190 + 3600);
	CU_ASSERT_EQUAL(guard_locked_s(guard, &source, 190 + 3600), GUARD_LOCK_S_MIN);
	guard_destroy(guard);
}

static void failures_while_locked_out_change_nothing(void)
{
	struct guard *guard = guard_new();
	struct ip_address source = address("192.0.2.1");

	fail_until_locked(guard, &source, 100);
	for (int i = 0; i < 50; i++)
		CU_ASSERT_FALSE(guard_failed(guard, &source, 129));
	CU_ASSERT_EQUAL(guard_locked_s(guard, &source, 129), 1);
	CU_ASSERT_EQUAL(fail_until_locked(guard, &source, 130), GUARD_FAILURES_MAX);
	guard_destroy(guard);
}

static void who_passes_has_his_failures_forgotten(void)
{
	struct guard *guard = guard_new();
	struct ip_address source = address("192.0.2.1");

	guard_passed(guard, &source, 99); /* nobody knows it */
	for (int i = 0; i < GUARD_FAILURES_MAX - 1; i++)
		guard_failed(guard, &source, 100);
	guard_passed(guard, &source, 100);
	CU_ASSERT_EQUAL(fail_until_locked(guard, &source, 100), GUARD_FAILURES_MAX);
	guard_destroy(guard);
}

static void who_passes_has_his_lock_outs_remembered(void)
{
	struct guard *guard = guard_new();
	struct ip_address source = address("192.0.2.1");

	fail_until_locked(guard, &source, 100);
	guard_passed(guard, &source, 100); /* by a connection that was in before */
	CU_ASSERT_EQUAL(guard_locked_s(guard, &source, 100), GUARD_LOCK_S_MIN);
	guard_failed(guard, &source, 200);
	guard_passed(guard, &source, 200);
	CU_ASSERT_EQUAL(fail_until_locked(guard, &source, 200), GUARD_FAILURES_MAX);
	CU_ASSERT_EQUAL(guard_locked_s(guard, &source, 200), 60);
	guard_destroy(guard);
}

static void a_network_of_64_bits_is_one_source(void)
{
	struct guard *guard = guard_new();
	struct ip_address source = address("2001:db8:0:1::"), next = address("2001:db8:0:2::");
	uint32_t lock_out_count = 0;

	for (uint32_t i = 0; i < 20000; i++) {
		store_be32(source.bytes + 12, i);
		store_be32(source.bytes + 8, ~i);
		lock_out_count += guard_failed(guard, &source, 100);
	}
	CU_ASSERT_EQUAL(lock_out_count, 1);
	CU_ASSERT_EQUAL(guard_locked_count(guard, 100), 1);
	CU_ASSERT_EQUAL(guard_locked_s(guard, &source, 100), GUARD_LOCK_S_MIN);
	CU_ASSERT_EQUAL(guard_locked_s(guard, &next, 100), 0);
	guard_destroy(guard);
}

static void addresses_of_ip4_are_sources_each(void)
{
	struct guard *guard = guard_new();
	struct ip_address a = address("192.0.2.1"), b = address("192.0.2.2");
	struct ip_address mapped = address("::ffff:192.0.2.1");

	fail_until_locked(guard, &a, 100);
	CU_ASSERT_NOT_EQUAL(guard_locked_s(guard, &mapped, 100), 0);
	CU_ASSERT_EQUAL(guard_locked_s(guard, &b, 100), 0);
	guard_destroy(guard);
}

static void when_it_is_full_the_oldest_failures_are_forgotten(void)
{
	struct guard *guard = guard_new();
	struct ip_address source;

	for (uint32_t i = 0; i < GUARD_SOURCE_COUNT_MAX; i++) {
		source = source_of(i);
		for (int j = 0; j < GUARD_FAILURES_MAX - 2; j++)
			guard_failed(guard, &source, 100);
	}
	source = source_of(0); /* its last failure is now the youngest */
	CU_ASSERT_FALSE(guard_failed(guard, &source, 101));
	source = source_of(GUARD_SOURCE_COUNT_MAX); /* takes the place of 1 */
	CU_ASSERT_FALSE(guard_failed(guard, &source, 101));
	source = source_of(0);
	CU_ASSERT_TRUE(guard_failed(guard, &source, 101));
	source = source_of(1); /* takes the place of 2 */
	CU_ASSERT_EQUAL(fail_until_locked(guard, &source, 101), GUARD_FAILURES_MAX);
	source = source_of(3);
	CU_ASSERT_EQUAL(fail_until_locked(guard, &source, 101), 2);
	source = source_of(2);
	CU_ASSERT_EQUAL(fail_until_locked(guard, &source, 101), GUARD_FAILURES_MAX);
	guard_destroy(guard);
}

static void a_flood_of_sources_frees_none_that_is_locked_out(void)
{
	struct guard *guard = guard_new();
	const uint32_t locked_count = 1000;
	struct ip_address source;

	for (uint32_t i = 0; i < locked_count; i++) {
		source = source_of(i);
		fail_until_locked(guard, &source, 100);
	}
	for (uint32_t i = locked_count; i < 200000; i++) {
		source = source_of(i);
		CU_ASSERT_FALSE(guard_failed(guard, &source, 101));
	}
	CU_ASSERT_EQUAL(guard_locked_count(guard, 101), locked_count);
	for (uint32_t i = 0; i < locked_count; i++) {
		source = source_of(i);
		CU_ASSERT_EQUAL(guard_locked_s(guard, &source, 101), GUARD_LOCK_S_MIN - 1);
	}
	CU_ASSERT_EQUAL(guard_locked_count(guard, 100 + GUARD_LOCK_S_MIN), 0);
	guard_destroy(guard);
}

static void when_all_are_locked_out_the_oldest_goes(void)
{
	struct guard *guard = guard_new();
	struct ip_address source;

	for (uint32_t i = 0; i < GUARD_SOURCE_COUNT_MAX; i++) {
		source = source_of(i);
		fail_until_locked(guard, &source, 100);
	}
	CU_ASSERT_EQUAL(guard_locked_count(guard, 101), GUARD_SOURCE_COUNT_MAX);
	source = source_of(GUARD_SOURCE_COUNT_MAX);
	CU_ASSERT_FALSE(guard_failed(guard, &source, 101));
	CU_ASSERT_EQUAL(guard_locked_count(guard, 101), GUARD_SOURCE_COUNT_MAX - 1);
	source = source_of(0);
	CU_ASSERT_EQUAL(guard_locked_s(guard, &source, 101), 0);
	source = source_of(1);
	CU_ASSERT_NOT_EQUAL(guard_locked_s(guard, &source, 101), 0);
	/* the new one is the only one that may go for the next */
	source = source_of(GUARD_SOURCE_COUNT_MAX + 1);
	for (int i = 0; i < 3; i++)
		guard_failed(guard, &source, 102);
	CU_ASSERT_EQUAL(guard_locked_count(guard, 102), GUARD_SOURCE_COUNT_MAX - 1);
	guard_destroy(guard);
}

/* What the header says, in the plainest way. */
struct model {
	bool known;
	uint64_t failed_s[GUARD_FAILURES_MAX];
	uint32_t failure_count;
	uint64_t locked_until_s, lock_s;
};

static bool model_failed(struct model *model, uint64_t now_s)
{
	uint32_t within = 0;

	if (now_s < model->locked_until_s)
		return false;
	for (uint32_t i = 0; i < model->failure_count; i++)
		if (model->failed_s[i] + GUARD_WINDOW_S > now_s)
			model->failed_s[within++] = model->failed_s[i];
	model->failed_s[within++] = now_s;
	model->failure_count = within;
	if (within < GUARD_FAILURES_MAX)
		return false;
	if (!model->known || now_s >= model->locked_until_s + 3600)
		model->lock_s = GUARD_LOCK_S_MIN;
	else
		model->lock_s = min_u64(model->lock_s * 2, GUARD_LOCK_S_MAX);
	model->known = true;
	model->locked_until_s = now_s + model->lock_s;
	model->failure_count = 0;
	return true;
}

static void random_histories_go_as_the_header_says(void)
{
	static struct model models[64];
	struct random random = random_seeded(seed_of_this_run());
	struct guard *guard = guard_new();
	uint64_t now_s = 1;
	uint32_t wrong_count = 0;

	for (uint32_t i = 0; i < 300000; i++) {
		uint32_t number = (uint32_t)random_below(&random, 64);
		struct ip_address source = source_of(number);
		struct model *model = &models[number];
		uint64_t locked_s =
		    now_s < model->locked_until_s ? model->locked_until_s - now_s : 0;

		wrong_count += guard_locked_s(guard, &source, now_s) != locked_s;
		if (random_below(&random, 20) == 0) {
			guard_passed(guard, &source, now_s);
			model->failure_count = 0;
		} else {
			wrong_count +=
			    guard_failed(guard, &source, now_s) != model_failed(model, now_s);
		}
		if (random_below(&random, 4) == 0)
			now_s += random_below(&random, random_below(&random, 200) == 0 ? 4000 : 3);
	}
	CU_ASSERT_EQUAL(wrong_count, 0);
	guard_destroy(guard);
}

static void without_memory_there_is_none(void)
{
	struct guard *guard = NULL;
	int r;

	guard_destroy(NULL);
	if (!MEMORY_CAN_FAIL)
		return;
	fault_set("memory", ENOMEM, 0, 1);
	r = guard_create(&guard, random_key);
	fault_clear();
	CU_ASSERT_EQUAL(r, -ENOMEM);
	CU_ASSERT_PTR_NULL(guard);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"who fails five times is locked out", who_fails_five_times_is_locked_out},
	    {"the window slides", the_window_slides},
	    {"failures on a border of the window count exactly",
	     failures_on_a_border_of_the_window_count_exactly},
	    {"each lock-out that follows is twice as long",
	     each_lock_out_that_follows_is_twice_as_long},
	    {"an hour after a lock-out all is forgotten",
	     an_hour_after_a_lock_out_all_is_forgotten},
	    {"failures while locked out change nothing", failures_while_locked_out_change_nothing},
	    {"who passes has his failures forgotten", who_passes_has_his_failures_forgotten},
	    {"who passes has his lock-outs remembered", who_passes_has_his_lock_outs_remembered},
	    {"a network of 64 bits is one source", a_network_of_64_bits_is_one_source},
	    {"addresses of IPv4 are sources each", addresses_of_ip4_are_sources_each},
	    {"when it is full the oldest failures are forgotten",
	     when_it_is_full_the_oldest_failures_are_forgotten},
	    {"a flood of sources frees none that is locked out",
	     a_flood_of_sources_frees_none_that_is_locked_out},
	    {"when all are locked out the oldest goes", when_all_are_locked_out_the_oldest_goes},
	    {"random histories go as the header says", random_histories_go_as_the_header_says},
	    {"without memory there is none", without_memory_there_is_none},
	};

	return UNIT_RUN("guard", cases);
}
