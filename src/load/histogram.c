/* SPDX-License-Identifier: Apache-2.0 */
#include "load/histogram.h"

#include "base/assert.h"
#include "base/bytes.h"

_Static_assert(HISTOGRAM_NS_MAX >> HISTOGRAM_OCTAVE_COUNT == 0, "the last octave holds 100 s");

/* Below 128 ns a bucket is one value. Above, the shift leaves the 8 highest bits: a one and the
 * bucket within the octave. */
static uint32_t bucket_index(uint64_t ns)
{
	uint32_t shift;

	if (ns < HISTOGRAM_LINEAR_COUNT)
		return (uint32_t)ns;
	shift = (uint32_t)(63 - __builtin_clzll(ns)) - HISTOGRAM_LINEAR_BITS;
	return shift * HISTOGRAM_LINEAR_COUNT + (uint32_t)(ns >> shift);
}

/* The longest time that falls into the bucket. */
static uint64_t bucket_ns_max(uint32_t index)
{
	uint32_t shift;

	if (index < HISTOGRAM_LINEAR_COUNT)
		return index;
	shift = index / HISTOGRAM_LINEAR_COUNT - 1;
	return ((uint64_t)(index - shift * HISTOGRAM_LINEAR_COUNT + 1) << shift) - 1;
}

void histogram_record(struct histogram *histogram, uint64_t ns)
{
	histogram->count++;
	histogram->ns_max = max_u64(histogram->ns_max, ns);
	histogram->bucket_counts[bucket_index(min_u64(ns, HISTOGRAM_NS_MAX))]++;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	into->count += from->count;
	into->ns_max = max_u64(into->ns_max, from->ns_max);
	for (uint32_t i = 0; i < HISTOGRAM_BUCKET_COUNT; i++)
		into->bucket_counts[i] += from->bucket_counts[i];
}

uint64_t histogram_percentile_ns(const struct histogram *histogram, uint32_t permille)
{
	unsigned __int128 scaled = (unsigned __int128)histogram->count * permille;
	uint64_t rank = (uint64_t)((scaled + 999) / 1000);
	uint64_t seen_count = 0;

	ASSERT(permille >= 1 && permille <= 1000);
	if (rank == histogram->count)
		return histogram->ns_max;
	for (uint32_t i = 0; i < HISTOGRAM_BUCKET_COUNT; i++) {
		seen_count += histogram->bucket_counts[i];
		if (seen_count >= rank)
			return min_u64(bucket_ns_max(i), histogram->ns_max);
	}
	return histogram->ns_max;
}
