/* SPDX-License-Identifier: Apache-2.0 */
#include "net/blocked.h"

#include "base/random.h"
#include "seed.h"
#include "unit.h"

#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct blocked *blocked_of(const char *const texts[], uint32_t count)
{
	struct blocked *blocked = malloc(blocked_bytes(count));
	struct ip_prefix *prefixes = calloc(count + 1, sizeof(*prefixes));

	for (uint32_t i = 0; i < count; i++)
		CU_ASSERT_EQUAL_FATAL(ip_prefix_parse(&prefixes[i], texts[i]), 0);
	blocked_create(blocked, prefixes, count);
	free(prefixes);
	return blocked;
}

static bool contains(const struct blocked *blocked, const char *text)
{
	struct ip_address address;

	CU_ASSERT_EQUAL_FATAL(ip_address_parse(&address, text), 0);
	return blocked_contain(blocked, &address);
}

static void test_a_prefix_goes_from_its_first_to_its_last_address(void)
{
	static const char *const list[] = {"198.18.4.0/22", "10.0.0.1", "fd00:1::/32"};
	struct blocked *blocked = blocked_of(list, COUNT(list));

	CU_ASSERT_FALSE(contains(blocked, "198.18.3.255"));
	CU_ASSERT_TRUE(contains(blocked, "198.18.4.0"));
	CU_ASSERT_TRUE(contains(blocked, "198.18.7.255"));
	CU_ASSERT_FALSE(contains(blocked, "198.18.8.0"));
	CU_ASSERT_FALSE(contains(blocked, "10.0.0.0"));
	CU_ASSERT_TRUE(contains(blocked, "10.0.0.1"));
	CU_ASSERT_FALSE(contains(blocked, "10.0.0.2"));
	CU_ASSERT_FALSE(contains(blocked, "fd00::ffff"));
	CU_ASSERT_TRUE(contains(blocked, "fd00:1::"));
	CU_ASSERT_TRUE(contains(blocked, "fd00:1:ffff:ffff:ffff:ffff:ffff:ffff"));
	CU_ASSERT_FALSE(contains(blocked, "fd00:2::"));
	CU_ASSERT_FALSE(contains(blocked, "::"));
	CU_ASSERT_FALSE(contains(blocked, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
	free(blocked);
}

static void test_nobody_is_blocked_by_no_list(void)
{
	struct blocked *blocked = blocked_of(NULL, 0);

	CU_ASSERT_FALSE(contains(NULL, "198.18.0.1"));
	CU_ASSERT_FALSE(contains(blocked, "198.18.0.1"));
	free(blocked);
}

static void test_all_addresses_are_a_prefix_too(void)
{
	static const char *const list[] = {"::/0"};
	struct blocked *blocked = blocked_of(list, 1);

	CU_ASSERT_TRUE(contains(blocked, "::"));
	CU_ASSERT_TRUE(contains(blocked, "198.18.0.1"));
	CU_ASSERT_TRUE(contains(blocked, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
	free(blocked);
}

static void test_what_lies_in_another_changes_nothing(void)
{
	static const char *const list[] = {"10.1.0.0/16", "10.0.0.0/8",  "10.0.0.0/24",
	                                   "10.0.0.0/8",  "11.0.0.0/32", "10.255.255.255"};
	struct blocked *blocked = blocked_of(list, COUNT(list));

	CU_ASSERT_EQUAL(blocked->count, 2);
	CU_ASSERT_TRUE(contains(blocked, "10.200.0.1"));
	CU_ASSERT_TRUE(contains(blocked, "10.255.255.255"));
	CU_ASSERT_TRUE(contains(blocked, "11.0.0.0"));
	CU_ASSERT_FALSE(contains(blocked, "11.0.0.1"));
	CU_ASSERT_FALSE(contains(blocked, "9.255.255.255"));
	free(blocked);
}

/* Few bits are used, so that prefixes lie close to each other and in each other. */
static void test_it_finds_what_a_look_at_each_finds(void)
{
	struct random random = random_seeded(seed_of_this_run());
	uint32_t wrong = 0;

	for (uint32_t round = 0; round < 2000; round++) {
		uint32_t count = (uint32_t)random_below(&random, 40);
		struct blocked *blocked = malloc(blocked_bytes(40));
		struct ip_prefix prefixes[40] = {0};

		for (uint32_t i = 0; i < count; i++) {
			prefixes[i].address.bytes[0] = (uint8_t)random_below(&random, 2);
			prefixes[i].address.bytes[15] = (uint8_t)random_u64(&random);
			prefixes[i].length = (uint8_t)(119 + random_below(&random, 10));
		}
		blocked_create(blocked, prefixes, count);
		for (uint32_t j = 0; j < 64; j++) {
			struct ip_address address = {
			    {(uint8_t)random_below(&random, 2), [15] =
			                                            (uint8_t)random_u64(&random)}};
			bool is_in = false;

			for (uint32_t i = 0; i < count; i++)
				is_in |= ip_prefix_contains(&prefixes[i], &address);
			wrong += is_in != blocked_contain(blocked, &address);
		}
		free(blocked);
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

static const struct unit_case cases[] = {
    {"a prefix goes from its first to its last address",
     test_a_prefix_goes_from_its_first_to_its_last_address},
    {"nobody is blocked by no list", test_nobody_is_blocked_by_no_list},
    {"all addresses are a prefix, too", test_all_addresses_are_a_prefix_too},
    {"what lies in another changes nothing", test_what_lies_in_another_changes_nothing},
    {"it finds what a look at each finds", test_it_finds_what_a_look_at_each_finds},
};

int main(void)
{
	return UNIT_RUN("blocked", cases);
}
