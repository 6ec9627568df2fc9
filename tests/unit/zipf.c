/* SPDX-License-Identifier: Apache-2.0 */
#include "load/zipf.h"

#include "unit.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define DRAW_COUNT 400000
#define RANK_COUNT 1000

/* Draws with a fixed seed; whether the first ranks, and the tail as a whole, come as often as
 * theory says, within 5 standard deviations. */
static bool follows_theory(uint64_t rank_count, double exponent)
{
	static uint32_t counts[RANK_COUNT];
	struct random random = random_seeded(42);
	struct zipf zipf;
	double total = 0, head = 0;
	uint64_t head_count = 0;
	bool is_close = true;

	memset(counts, 0, sizeof(counts));
	zipf_create(&zipf, rank_count, exponent);
	for (uint64_t k = 1; k <= rank_count; k++)
		total += pow((double)k, -exponent);
	for (int i = 0; i < DRAW_COUNT; i++) {
		uint64_t rank = zipf_rank(&zipf, &random);

		if (rank >= rank_count)
			return false;
		counts[rank]++;
	}
	for (uint64_t k = 1; k <= 20 && k <= rank_count; k++) {
		double p = pow((double)k, -exponent) / total;
		double deviation = sqrt(DRAW_COUNT * p * (1 - p));

		is_close &= fabs(counts[k - 1] - DRAW_COUNT * p) <= 5 * deviation + 1;
		head += p;
		head_count += counts[k - 1];
	}
	head = head > 1 ? 1 : head;
	return is_close && fabs((double)head_count - DRAW_COUNT * head) <=
	                       5 * sqrt(DRAW_COUNT * head * (1 - head)) + 1;
}

static void test_uniform(void)
{
	CU_ASSERT_TRUE(follows_theory(RANK_COUNT, 0));
}

static void test_usual_skew(void)
{
	CU_ASSERT_TRUE(follows_theory(RANK_COUNT, 0.99));
	CU_ASSERT_TRUE(follows_theory(RANK_COUNT, 0.5));
}

static void test_exponent_one_and_next_to_it(void)
{
	CU_ASSERT_TRUE(follows_theory(RANK_COUNT, 1));
	CU_ASSERT_TRUE(follows_theory(RANK_COUNT, 1 + 1e-12));
	CU_ASSERT_TRUE(follows_theory(RANK_COUNT, 1 - 1e-9));
}

static void test_above_one(void)
{
	CU_ASSERT_TRUE(follows_theory(RANK_COUNT, 1.2));
	CU_ASSERT_TRUE(follows_theory(RANK_COUNT, 3));
	CU_ASSERT_TRUE(follows_theory(RANK_COUNT, ZIPF_EXPONENT_MAX));
}

static void test_few_ranks(void)
{
	CU_ASSERT_TRUE(follows_theory(1, 0.99));
	CU_ASSERT_TRUE(follows_theory(2, 0.99));
	CU_ASSERT_TRUE(follows_theory(3, 2));
}

static void test_ranks_stay_inside_the_largest_count(void)
{
	static const double exponents[] = {0, 0.01, 0.99, 1, 1.01, ZIPF_EXPONENT_MAX};
	struct random random = random_seeded(3);
	bool is_inside = true;

	for (size_t i = 0; i < sizeof(exponents) / sizeof(exponents[0]); i++) {
		struct zipf zipf;

		zipf_create(&zipf, ZIPF_COUNT_MAX, exponents[i]);
		for (int draw = 0; draw < 10000; draw++)
			is_inside &= zipf_rank(&zipf, &random) < ZIPF_COUNT_MAX;
	}
	CU_ASSERT_TRUE(is_inside);
}

static void test_one_seed_gives_one_sequence(void)
{
	struct random left = random_seeded(5), right = random_seeded(5);
	struct zipf zipf;
	bool is_same = true;

	zipf_create(&zipf, 1000000, 0.99);
	for (int i = 0; i < 1000; i++)
		is_same &= zipf_rank(&zipf, &left) == zipf_rank(&zipf, &right);
	CU_ASSERT_TRUE(is_same);
}

static const struct unit_case cases[] = {
    {"exponent 0 is uniform", test_uniform},
    {"exponents below 1 follow theory", test_usual_skew},
    {"exponent 1, and next to it, follows theory", test_exponent_one_and_next_to_it},
    {"exponents above 1 follow theory", test_above_one},
    {"one, two and three ranks follow theory", test_few_ranks},
    {"ranks stay inside the largest count", test_ranks_stay_inside_the_largest_count},
    {"one seed gives one sequence", test_one_seed_gives_one_sequence},
};

int main(void)
{
	return UNIT_RUN("zipf", cases);
}
