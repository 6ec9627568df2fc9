/* SPDX-License-Identifier: Apache-2.0 */
/* A latency histogram of high dynamic range: log-linear buckets, 1 ns to 100 s.
 *
 * Every power of two is cut into 128 buckets of one width, so that a percentile is at most 1/128
 * (0.8 %) above the true value, at any magnitude. Owner: whoever records; merge to add up. */
#pragma once

#include <stdint.h>

#define HISTOGRAM_LINEAR_BITS  7
#define HISTOGRAM_LINEAR_COUNT (1 << HISTOGRAM_LINEAR_BITS)
#define HISTOGRAM_NS_MAX       UINT64_C(100000000000)
#define HISTOGRAM_OCTAVE_COUNT 37 /* 2^37 ns is the first power of two over 100 s */
#define HISTOGRAM_BUCKET_COUNT                                                                     \
	((HISTOGRAM_OCTAVE_COUNT - HISTOGRAM_LINEAR_BITS + 1) * HISTOGRAM_LINEAR_COUNT)

/* All zeroes is an empty histogram. */
struct histogram {
	uint64_t count;
	uint64_t ns_max; /* exact, also over HISTOGRAM_NS_MAX */
	uint64_t bucket_counts[HISTOGRAM_BUCKET_COUNT];
};

/* What is longer than HISTOGRAM_NS_MAX counts as that in all but ns_max. */
void histogram_record(struct histogram *histogram, uint64_t ns);

void histogram_merge(struct histogram *into, const struct histogram *from);

/* The smallest time that `permille` of the records (1 … 1000; 500 is the median) do not exceed, or
 * up to 0.8 % more; never more than the longest record. 0 when there are no records. */
uint64_t histogram_percentile_ns(const struct histogram *histogram, uint32_t permille);
