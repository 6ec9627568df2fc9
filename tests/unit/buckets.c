/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/buckets.h"

#include "cli/human.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>

static struct buckets make(uint32_t count, const struct bucket *list)
{
	struct buckets buckets = {0};

	for (uint32_t i = 0; i < count; i++)
		buckets_add(&buckets, list[i].end, list[i].count);
	return buckets;
}

#define MAKE(...)                                                                                  \
	make(sizeof((struct bucket[]){__VA_ARGS__}) / sizeof(struct bucket),                       \
	     (struct bucket[]){__VA_ARGS__})

static void quantile_is(const struct buckets *buckets, double share, uint64_t want)
{
	uint64_t end = 0;

	CU_ASSERT_TRUE(buckets_quantile(buckets, share, &end));
	CU_ASSERT_EQUAL(end, want);
}

static void test_buckets_stand_in_order_and_are_summed_up(void)
{
	struct buckets buckets = MAKE({8, 1}, {2, 5}, {4, 1}, {2, 2}), more = MAKE({4, 3}, {16, 1});

	buckets_add_all(&buckets, &more);
	CU_ASSERT_EQUAL(buckets.count, 4);
	CU_ASSERT_EQUAL(buckets.list[0].end, 2);
	CU_ASSERT_EQUAL(buckets.list[0].count, 7);
	CU_ASSERT_EQUAL(buckets.list[1].count, 4);
	CU_ASSERT_EQUAL(buckets_total(&buckets), 13);
}

static void test_too_many_buckets_lose_no_count(void)
{
	struct buckets buckets = {0};

	for (uint64_t end = 1; end <= 2 * BUCKETS_MAX; end++)
		buckets_add(&buckets, end, 1);
	buckets_add(&buckets, 0, 1);
	CU_ASSERT_EQUAL(buckets.count, BUCKETS_MAX);
	CU_ASSERT_EQUAL(buckets_total(&buckets), 2 * BUCKETS_MAX + 1);
	CU_ASSERT_EQUAL(buckets.list[0].count, 2);
}

static void test_a_quantile_is_the_end_of_the_bucket_that_it_is_in(void)
{
	struct buckets buckets = MAKE({10, 90}, {100, 9}, {1000, 1}), none = {0};
	uint64_t end;

	quantile_is(&buckets, 0, 10);
	quantile_is(&buckets, .5, 10);
	quantile_is(&buckets, .9, 10);
	quantile_is(&buckets, .901, 100);
	quantile_is(&buckets, .99, 100);
	quantile_is(&buckets, .999, 1000);
	quantile_is(&buckets, 1, 1000);
	CU_ASSERT_FALSE(buckets_quantile(&none, .5, &end));
}

static void test_what_has_come_since_is_the_difference(void)
{
	struct buckets now = MAKE({2, 5}, {4, 7}, {8, 1}), before = MAKE({2, 5}, {8, 1});

	buckets_subtract(&now, &before);
	CU_ASSERT_EQUAL(buckets_total(&now), 7);
	quantile_is(&now, .5, 4);
}

static void test_a_node_that_was_started_anew_counts_from_nothing(void)
{
	struct buckets now = MAKE({2, 5}, {4, 7}), less = MAKE({2, 6}), other = MAKE({3, 1});

	buckets_subtract(&now, &less);
	CU_ASSERT_EQUAL(buckets_total(&now), 12);
	buckets_subtract(&now, &other);
	CU_ASSERT_EQUAL(buckets_total(&now), 12);
}

static void bar_is(uint32_t columns, double part, double whole, bool is_utf8, const char *want)
{
	char text[BAR_BYTES(40)];

	bar_write(text, columns, part, whole, is_utf8);
	CU_ASSERT_STRING_EQUAL(text, want);
}

static void test_a_bar_is_as_long_as_its_part(void)
{
	bar_is(8, 0, 1, true, "");
	bar_is(8, 1, 1, true, "████████");
	bar_is(8, 2, 1, true, "████████");
	bar_is(8, 1, 2, true, "████");
	bar_is(8, 9, 64, true, "█▏");
	bar_is(8, 1, 1000000, true, "▏");
	bar_is(8, 1, 2, false, "####");
	bar_is(8, 1, 1000000, false, "#");
	bar_is(8, 1, 0, true, "▏");
	bar_is(0, 1, 1, true, "");
}

static void print_is(const struct buckets *buckets, const struct buckets_look *look,
                     const char *want)
{
	char *printed = NULL;
	size_t length;
	FILE *to = open_memstream(&printed, &length);

	buckets_print(buckets, look, to);
	fclose(to);
	if (strcmp(printed, want) != 0)
		printf("\nwant:\n%sgot:\n%s", want, printed);
	CU_ASSERT_STRING_EQUAL(printed, want);
	free(printed);
}

static void test_a_histogram_has_a_line_for_each_power_of_two(void)
{
	struct buckets buckets = MAKE({5, 1}, {6, 2}, {8, 1}, {20, 16});
	struct buckets_look look = {.form = human_latency, .width = 60, .is_utf8 = false};

	print_is(&buckets, &look,
	         "      FROM       BELOW     COUNT     SHARE\n"
	         "      4 us        8 us         4    20.0 %  ####\n"
	         "      8 us       16 us         0     0.0 %\n"
	         "     16 us       32 us        16    80.0 %  ################\n");
	look.width = 0;
	look.is_utf8 = true;
	look.apart = "never";
	look.apart_count = 20;
	print_is(&buckets, &look,
	         "      FROM       BELOW     COUNT     SHARE\n"
	         "      4 us        8 us         4    10.0 %  ██\n"
	         "      8 us       16 us         0     0.0 %\n"
	         "     16 us       32 us        16    40.0 %  ████████\n"
	         "     never                    20    50.0 %  ██████████\n");
}

static void test_any_number_has_its_line(void)
{
	struct buckets buckets = MAKE({1, 1}, {UINT64_MAX, 1}), none = {0};
	struct buckets_look look = {.form = human_size, .width = 60};
	char *printed = NULL;
	size_t length, lines = 0;
	FILE *to = open_memstream(&printed, &length);

	buckets_print(&buckets, &look, to);
	fclose(to);
	for (size_t i = 0; i < length; i++)
		lines += printed[i] == '\n';
	CU_ASSERT_EQUAL(lines, 66);
	free(printed);
	print_is(&none, &look, "      FROM       BELOW     COUNT     SHARE\n");
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"buckets stand in order and are summed up",
	     test_buckets_stand_in_order_and_are_summed_up},
	    {"too many buckets lose no count", test_too_many_buckets_lose_no_count},
	    {"a quantile is the end of the bucket that it is in",
	     test_a_quantile_is_the_end_of_the_bucket_that_it_is_in},
	    {"what has come since is the difference", test_what_has_come_since_is_the_difference},
	    {"a node that was started anew counts from nothing",
	     test_a_node_that_was_started_anew_counts_from_nothing},
	    {"a bar is as long as its part", test_a_bar_is_as_long_as_its_part},
	    {"a histogram has a line for each power of two",
	     test_a_histogram_has_a_line_for_each_power_of_two},
	    {"any number has its line", test_any_number_has_its_line},
	};

	return UNIT_RUN("buckets", cases);
}
