/* SPDX-License-Identifier: Apache-2.0 */
#include "store/classes.h"

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

/* Which class a key is of, by the name that its rules have. */
static const char *class_of(const struct classes *classes, const char *key)
{
	struct slice slice = {(const uint8_t *)key, strlen(key)};

	return classes->rules[classes_of(classes, slice)].name;
}

/* Its name is its prefix. */
static void add(struct classes *classes, const char *prefix)
{
	struct class_rules rules = {.prefix_bytes = (uint8_t)strlen(prefix), .share_max = 100};

	snprintf(rules.name, sizeof(rules.name), "%s", prefix);
	memcpy(rules.prefix, prefix, rules.prefix_bytes);
	classes_add(classes, &rules);
}

static void test_at_first_there_is_class_0_for_all_keys_and_without_rules(void)
{
	struct classes classes;

	memset(&classes, 0xff, sizeof(classes));
	classes_create(&classes);
	CU_ASSERT_EQUAL(classes.count, 1);
	CU_ASSERT_STRING_EQUAL(classes.rules[0].name, "default");
	CU_ASSERT_EQUAL(classes.rules[0].prefix_bytes, 0);
	CU_ASSERT_EQUAL(classes.rules[0].priority, CLASS_PRIORITY_DEFAULT);
	CU_ASSERT_EQUAL(classes.rules[0].share_min, 0);
	CU_ASSERT_EQUAL(classes.rules[0].share_max, 100);
	CU_ASSERT_EQUAL(classes.rules[0].ttl_default_s, 0);
	CU_ASSERT_EQUAL(classes.rules[0].ttl_max_s, 0);
	CU_ASSERT_EQUAL(classes.rules[0].rate_max, 0);
	for (uint32_t byte = 0; byte <= UINT8_MAX; byte++) {
		uint8_t key[2] = {(uint8_t)byte, 'x'};

		CU_ASSERT_EQUAL(classes_of(&classes, (struct slice){key, 1}), 0);
		CU_ASSERT_EQUAL(classes_of(&classes, (struct slice){key, 2}), 0);
	}
}

static void test_an_empty_prefix_replaces_the_rules_of_class_0(void)
{
	struct class_rules rules = {.name = "rest", .priority = 1, .share_max = 30, .rate_max = 7};
	struct classes classes;

	classes_create(&classes);
	add(&classes, "a");
	classes_add(&classes, &rules);
	add(&classes, "b");
	CU_ASSERT_EQUAL(classes.count, 3);
	CU_ASSERT_STRING_EQUAL(classes.rules[0].name, "rest");
	CU_ASSERT_EQUAL(classes.rules[0].priority, 1);
	CU_ASSERT_EQUAL(classes.rules[0].share_max, 30);
	CU_ASSERT_EQUAL(classes.rules[0].rate_max, 7);
	CU_ASSERT_STRING_EQUAL(class_of(&classes, "a1"), "a");
	CU_ASSERT_STRING_EQUAL(class_of(&classes, "b1"), "b");
	CU_ASSERT_STRING_EQUAL(class_of(&classes, "c1"), "rest");
}

/* What is right, without a table: the longest of those that it begins with. */
static const char *longest(const char *const *prefixes, size_t count, const char *key)
{
	const char *best = "default";
	size_t best_length = 0;

	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(prefixes[i]);

		if (length > best_length && strncmp(prefixes[i], key, length) == 0) {
			best = prefixes[i];
			best_length = length;
		}
	}
	return best;
}

static const char *const keys[] = {"",     "a",     "ab",     "abc",  "abcd", "abcde", "abx",
                                   "abd",  "abde",  "ac",     "b",    "ba",   "bab",   "aab",
                                   "abcx", "user:", "user:1", "user", "u",    "uuser:"};

static void check_keys(const struct classes *classes, const char *const *prefixes, size_t count)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		CU_ASSERT_STRING_EQUAL(class_of(classes, keys[i]),
		                       longest(prefixes, count, keys[i]));
}

/* Every order of the last `count` prefixes, by exchanges; the others stand before them. */
static void check_orders(const char **prefixes, size_t all, size_t count)
{
	if (count <= 1) {
		struct classes classes;

		classes_create(&classes);
		for (size_t i = 0; i < all; i++)
			add(&classes, prefixes[i]);
		CU_ASSERT_EQUAL(classes.count, all + 1);
		check_keys(&classes, prefixes, all);
		return;
	}
	for (size_t i = all - count; i < all; i++) {
		const char *first = prefixes[all - count], *other = prefixes[i];

		prefixes[all - count] = other;
		prefixes[i] = first;
		check_orders(prefixes, all, count - 1);
		prefixes[all - count] = first;
		prefixes[i] = other;
	}
}

static void test_nested_prefixes_are_found_in_whatever_order_they_came(void)
{
	const char *prefixes[] = {"a", "ab", "abc", "abcd", "abd", "b"};

	check_orders(prefixes, 6, 6);
}

static void test_prefixes_with_the_same_first_byte_and_length_are_told_apart(void)
{
	const char *prefixes[] = {"user:", "uuser", "ubs", "ubt", "uc"};
	struct classes classes;

	check_orders(prefixes, 5, 5);
	classes_create(&classes);
	for (size_t i = 0; i < 5; i++)
		add(&classes, prefixes[i]);
	CU_ASSERT_STRING_EQUAL(class_of(&classes, "ubs1"), "ubs");
	CU_ASSERT_STRING_EQUAL(class_of(&classes, "ubt1"), "ubt");
	CU_ASSERT_STRING_EQUAL(class_of(&classes, "ubu1"), "default");
}

static void test_a_key_that_is_the_prefix_is_of_its_class_and_a_shorter_one_is_not(void)
{
	struct classes classes;

	classes_create(&classes);
	add(&classes, "sess:");
	add(&classes, "se");
	CU_ASSERT_STRING_EQUAL(class_of(&classes, "sess:"), "sess:");
	CU_ASSERT_STRING_EQUAL(class_of(&classes, "sess"), "se");
	CU_ASSERT_STRING_EQUAL(class_of(&classes, "se"), "se");
	CU_ASSERT_STRING_EQUAL(class_of(&classes, "s"), "default");
}

/* No byte after the key's end is looked at: the sanitizers see it here. */
static void test_of_a_key_only_its_own_bytes_count(void)
{
	struct slice sess = SLICE_LITERAL("sess:1");
	struct classes classes;

	classes_create(&classes);
	add(&classes, "sess:");
	for (size_t length = 0; length <= sess.length; length++) {
		uint8_t *key = malloc(length);

		CU_ASSERT_TRUE_FATAL(key != NULL || length == 0);
		if (length > 0)
			memcpy(key, sess.data, length);
		CU_ASSERT_EQUAL(classes_of(&classes, (struct slice){key, length}),
		                length < 5 ? 0 : 1);
		free(key);
	}
	CU_ASSERT_EQUAL(classes_of(&classes, (struct slice){NULL, 0}), 0);
}

static void test_a_prefix_may_be_of_any_bytes_and_as_long_as_a_key(void)
{
	struct class_rules rules = {.name = "long", .prefix_bytes = CLASS_PREFIX_BYTES};
	struct class_rules zero = {.name = "zero", .prefix_bytes = 1};
	uint8_t key[CLASS_PREFIX_BYTES];
	struct classes classes;

	memset(rules.prefix, 0xff, sizeof(rules.prefix));
	memset(key, 0xff, sizeof(key));
	classes_create(&classes);
	classes_add(&classes, &rules);
	classes_add(&classes, &zero);
	CU_ASSERT_EQUAL(classes_of(&classes, (struct slice){key, sizeof(key)}), 1);
	CU_ASSERT_EQUAL(classes_of(&classes, (struct slice){key, sizeof(key) - 1}), 0);
	key[sizeof(key) - 1] = 0xfe;
	CU_ASSERT_EQUAL(classes_of(&classes, (struct slice){key, sizeof(key)}), 0);
	key[0] = 0;
	CU_ASSERT_EQUAL(classes_of(&classes, (struct slice){key, sizeof(key)}), 2);
}

static void test_all_the_classes_there_may_be_are_found(void)
{
	struct classes classes;
	char text[4];

	classes_create(&classes);
	for (int i = CLASS_COUNT_MAX - 1; i > 0; i--) {
		snprintf(text, sizeof(text), "k%02d", i);
		add(&classes, text);
	}
	CU_ASSERT_EQUAL(classes.count, CLASS_COUNT_MAX);
	for (int i = CLASS_COUNT_MAX - 1; i > 0; i--) {
		snprintf(text, sizeof(text), "k%02d", i);
		CU_ASSERT_STRING_EQUAL(class_of(&classes, text), text);
	}
	CU_ASSERT_STRING_EQUAL(class_of(&classes, "k00"), "default");
}

static const struct unit_case cases[] = {
    {"at first there is class 0, for all keys and without rules",
     test_at_first_there_is_class_0_for_all_keys_and_without_rules},
    {"an empty prefix replaces the rules of class 0",
     test_an_empty_prefix_replaces_the_rules_of_class_0},
    {"nested prefixes are found in whatever order they came",
     test_nested_prefixes_are_found_in_whatever_order_they_came},
    {"prefixes with the same first byte and length are told apart",
     test_prefixes_with_the_same_first_byte_and_length_are_told_apart},
    {"a key that is the prefix is of its class, and a shorter one is not",
     test_a_key_that_is_the_prefix_is_of_its_class_and_a_shorter_one_is_not},
    {"of a key only its own bytes count", test_of_a_key_only_its_own_bytes_count},
    {"a prefix may be of any bytes, and as long as a key",
     test_a_prefix_may_be_of_any_bytes_and_as_long_as_a_key},
    {"all the classes there may be are found", test_all_the_classes_there_may_be_are_found},
};

int main(void)
{
	return UNIT_RUN("classes", cases);
}
