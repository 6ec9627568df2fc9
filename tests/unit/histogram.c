/* SPDX-License-Identifier: Apache-2.0 */
#include "load/histogram.h"

#include "base/random.h"
#include "unit.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static void test_every_magnitude_within_one_percent(void)
{
	static struct histogram histogram;
	bool is_close = true;

	for (double exact = 1; exact <= 1e11; exact *= 1.0137) {
		uint64_t ns = (uint64_t)exact;
		uint64_t told;

		memset(&histogram, 0, sizeof(histogram));
		histogram_record(&histogram, ns);
		histogram_record(&histogram, HISTOGRAM_NS_MAX); /* or the maximum would cap it */
		told = histogram_percentile_ns(&histogram, 500);
		is_close = is_close && told >= ns && (double)(told - ns) <= 0.01 * (double)ns;
	}
	CU_ASSERT_TRUE(is_close);
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

static void test_percentiles_follow_the_sorted_records(void)
{
	static struct histogram histogram;
	static uint64_t records[10000];
	static const uint32_t permilles[] = {1, 10, 250, 500, 900, 990, 999, 1000};
	struct random random = random_seeded(7);
	size_t count = sizeof(records) / sizeof(records[0]);

	for (size_t i = 0; i < count; i++) {
		/* Over all magnitudes alike. */
		records[i] = random_u64(&random) >> (28 + random_below(&random, 30));
		histogram_record(&histogram, records[i]);
	}
	qsort(records, count, sizeof(records[0]), compare_u64);
	for (size_t i = 0; i < sizeof(permilles) / sizeof(permilles[0]); i++) {
		uint64_t exact = records[(count * permilles[i] + 999) / 1000 - 1];
		uint64_t told = histogram_percentile_ns(&histogram, permilles[i]);

		CU_ASSERT_TRUE(told >= exact);
		CU_ASSERT_TRUE((double)(told - exact) <= 0.01 * (double)exact);
	}
	CU_ASSERT_EQUAL(histogram.count, count);
}

static void test_small_counts_have_exact_ranks(void)
{
	static struct histogram histogram;

	CU_ASSERT_EQUAL(histogram_percentile_ns(&histogram, 999), 0);
	for (uint64_t ns = 1; ns <= 100; ns++)
		histogram_record(&histogram, ns);
	CU_ASSERT_EQUAL(histogram_percentile_ns(&histogram, 10), 1);
	CU_ASSERT_EQUAL(histogram_percentile_ns(&histogram, 500), 50);
	CU_ASSERT_EQUAL(histogram_percentile_ns(&histogram, 990), 99);
	CU_ASSERT_EQUAL(histogram_percentile_ns(&histogram, 999), 100);
}

static void test_maximum_is_exact_even_beyond_the_range(void)
{
	static struct histogram histogram;

	histogram_record(&histogram, 0);
	histogram_record(&histogram, 123456789);
	CU_ASSERT_EQUAL(histogram_percentile_ns(&histogram, 1000), 123456789);
	CU_ASSERT_EQUAL(histogram_percentile_ns(&histogram, 1), 0);
	histogram_record(&histogram, UINT64_MAX);
	CU_ASSERT_EQUAL(histogram_percentile_ns(&histogram, 1000), UINT64_MAX);
	CU_ASSERT_EQUAL(histogram.count, 3);
}

static void test_merge_is_as_if_recorded_in_one(void)
{
	static struct histogram halves[2], whole;
	struct random random = random_seeded(11);

	for (int i = 0; i < 5000; i++) {
		uint64_t ns = random_u64(&random) >> (28 + random_below(&random, 30));

		histogram_record(&halves[i % 2], ns);
		histogram_record(&whole, ns);
	}
	histogram_merge(&halves[0], &halves[1]);
	CU_ASSERT_EQUAL(memcmp(&halves[0], &whole, sizeof(whole)), 0);
}

static const struct unit_case cases[] = {
    {"a time of any magnitude is told within 1 %", test_every_magnitude_within_one_percent},
    {"percentiles follow the sorted records", test_percentiles_follow_the_sorted_records},
    {"small counts have exact ranks, none gives 0", test_small_counts_have_exact_ranks},
    {"the maximum is exact even beyond the range", test_maximum_is_exact_even_beyond_the_range},
    {"a merge is as if all were recorded in one", test_merge_is_as_if_recorded_in_one},
};

int main(void)
{
	return UNIT_RUN("histogram", cases);
}
