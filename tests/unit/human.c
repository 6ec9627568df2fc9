/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/human.h"

#include "unit.h"

#include <stdint.h>
#include <string.h>

typedef void form_fn(char ret_text[HUMAN_BYTES], uint64_t value);

static void is(form_fn *form, uint64_t value, const char *want)
{
	char text[HUMAN_BYTES];

	form(text, value);
	if (strcmp(text, want) != 0)
		printf("\n%llu: want %s, got %s\n", (unsigned long long)value, want, text);
	CU_ASSERT_STRING_EQUAL(text, want);
}

static void test_sizes_have_the_unit_that_makes_them_short(void)
{
	is(human_size, 0, "0 B");
	is(human_size, 1023, "1023 B");
	is(human_size, 1024, "1 KiB");
	is(human_size, 1536, "1.5 KiB");
	is(human_size, 64 << 20, "64 MiB");
	is(human_size, (64 << 20) + 1, "64.0 MiB");
	is(human_size, 1288490189, "1.2 GiB");
	is(human_size, 1048575, "1.0 MiB"); /* and not 1024 KiB */
	is(human_size, UINT64_MAX, "16 EiB");
}

static void test_counts_are_exact_up_to_four_digits(void)
{
	is(human_count, 0, "0");
	is(human_count, 9999, "9999");
	is(human_count, 10000, "10 k");
	is(human_count, 12345, "12.3 k");
	is(human_count, 123456, "123 k");
	is(human_count, 999499, "999 k");
	is(human_count, 999501, "1.0 M");
	is(human_count, 12300000, "12.3 M");
	is(human_count, UINT64_MAX, "18.4 E");
}

static void test_durations_have_two_units_at_most(void)
{
	is(human_duration, 0, "0s");
	is(human_duration, 7, "7 us");
	is(human_duration, 999999, "999 ms");
	is(human_duration, 59000000, "59s");
	is(human_duration, 61000000, "1min 1s");
	is(human_duration, 7200000000, "2h 0min");
	is(human_duration, (3 * 86400 + 4 * 3600 + 5) * 1000000ull, "3d 4h");
	is(human_duration, UINT64_MAX, "213503982d 8h");
}

static void test_a_quantity_is_told_by_its_unit(void)
{
	char text[HUMAN_BYTES];

	human_quantity(text, 2048, "bytes");
	CU_ASSERT_STRING_EQUAL(text, "2 KiB");
	human_quantity(text, 2048, "microseconds");
	CU_ASSERT_STRING_EQUAL(text, "2 ms");
	human_quantity(text, 20480, "requests");
	CU_ASSERT_STRING_EQUAL(text, "20.5 k");
}

static void test_durations_are_read_with_their_unit(void)
{
	static const struct {
		const char *text;
		uint64_t s;
	} good[] = {{"0", 0},       {"90", 90},       {"90s", 90},    {"15min", 900},
	            {"12h", 43200}, {"30d", 2592000}, {"2w", 1209600}};
	static const char *const bad[] = {"",
	                                  "d",
	                                  "-1d",
	                                  "1.5h",
	                                  "1 d",
	                                  "30days",
	                                  "1D",
	                                  "99999999999999999999s",
	                                  "18446744073709551615d"};
	uint64_t s = 7;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CU_ASSERT_TRUE(human_parse_duration(&s, good[i].text));
		CU_ASSERT_EQUAL(s, good[i].s);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_FALSE(human_parse_duration(&s, bad[i]));
}

static void test_times_are_read_and_written_in_utc(void)
{
	static const struct {
		const char *text;
		uint64_t us;
	} good[] = {{"1970-01-01", 0},
	            {"2027-01-31", 1801353600000000},
	            {"2027-01-31T12:00:00Z", 1801396800000000},
	            {"2027-01-31T12:00:00.25Z", 1801396800250000},
	            {"2028-02-29", 1835395200000000}};
	static const char *const bad[] = {"",
	                                  "2027",
	                                  "2027-02-30",
	                                  "2027-13-01",
	                                  "2027-01-31T12:00:00",
	                                  "2027-01-31T12:00Z",
	                                  "2027-01-31T25:00:00Z",
	                                  "2027-01-31T12:00:00+01:00",
	                                  "2027-01-31T12:00:00.1234567Z",
	                                  "2027-01-31 12:00:00Z",
	                                  "1969-12-31",
	                                  "2027-01-31x"};
	uint64_t us = 7;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CU_ASSERT_TRUE(human_parse_time(&us, good[i].text));
		CU_ASSERT_EQUAL(us, good[i].us);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_FALSE(human_parse_time(&us, bad[i]));
	is(human_time, 1801396800000000, "2027-01-31T12:00:00Z");
	is(human_time, 1801396800250000, "2027-01-31T12:00:00.250000Z");
	is(human_time, UINT64_MAX, "after 9999");
}

static void test_latencies_have_three_digits_or_four(void)
{
	is(human_latency, 0, "0 us");
	is(human_latency, 999, "999 us");
	is(human_latency, 1280, "1.3 ms");
	is(human_latency, 12800, "12.8 ms");
	is(human_latency, 128000, "128 ms");
	is(human_latency, 2500000, "2.5 s");
}

static void test_rates_have_a_fraction_where_they_are_small(void)
{
	static const struct {
		double rate;
		const char *text;
	} cases[] = {{0, "0"},     {0.04, "0.0"},  {9.94, "9.9"},
	             {9.95, "10"}, {812.4, "812"}, {12345.6, "12.3 k"}};
	char text[HUMAN_BYTES];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		human_rate(text, cases[i].rate);
		CU_ASSERT_STRING_EQUAL(text, cases[i].text);
	}
	human_share(text, 1);
	CU_ASSERT_STRING_EQUAL(text, "100.0 %");
	human_share(text, 0.00049);
	CU_ASSERT_STRING_EQUAL(text, "0.0 %");
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"sizes have the unit that makes them short",
	     test_sizes_have_the_unit_that_makes_them_short},
	    {"counts are exact up to four digits", test_counts_are_exact_up_to_four_digits},
	    {"durations have two units at most", test_durations_have_two_units_at_most},
	    {"a quantity is told by its unit", test_a_quantity_is_told_by_its_unit},
	    {"latencies have three digits or four", test_latencies_have_three_digits_or_four},
	    {"rates have a fraction where they are small",
	     test_rates_have_a_fraction_where_they_are_small},
	    {"durations are read with their unit", test_durations_are_read_with_their_unit},
	    {"times are read and written in UTC", test_times_are_read_and_written_in_utc},
	};

	return UNIT_RUN("human", cases);
}
