/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/latency.h"

#include "base/assert.h"

#define PARTS (1u << LATENCY_PARTS_LOG)

static uint32_t bucket_of(uint64_t us)
{
	uint32_t octave, bucket;

	if (us < PARTS)
		return (uint32_t)us;
	octave = 63 - (uint32_t)__builtin_clzll(us);
	if (octave >= LATENCY_OCTAVE_COUNT)
		return LATENCY_BUCKET_COUNT - 1;
	bucket = ((octave - 1) << LATENCY_PARTS_LOG) +
	         (uint32_t)(us >> (octave - LATENCY_PARTS_LOG)) % PARTS;
	ASSERT(bucket < LATENCY_BUCKET_COUNT);
	return bucket;
}

uint64_t latency_bucket_end_us(uint32_t bucket)
{
	uint32_t octave = (bucket >> LATENCY_PARTS_LOG) + 1;

	if (bucket < PARTS)
		return bucket + 1;
	return (uint64_t)(PARTS + bucket % PARTS + 1) << (octave - LATENCY_PARTS_LOG);
}

void latency_record(struct latency *latency, enum latency_command command, uint64_t us,
                    uint64_t count)
{
	struct latency_histogram *histogram = &latency->list[command];

	counter_add(&histogram->us_sum, us * count);
	counter_add(&histogram->counts[bucket_of(us)], count);
}

struct latency_counts latency_look(const struct shard_counters *counters)
{
	return (struct latency_counts){
	    .of = {
	        [LATENCY_get] = counter_read(&counters->cmd_get),
	        [LATENCY_set] = counter_read(&counters->cmd_set),
	        [LATENCY_delete] =
	            counter_read(&counters->delete_hits) + counter_read(&counters->delete_misses),
	        [LATENCY_touch] = counter_read(&counters->cmd_touch),
	        [LATENCY_arithmetic] =
	            counter_read(&counters->incr_hits) + counter_read(&counters->incr_misses) +
	            counter_read(&counters->decr_hits) + counter_read(&counters->decr_misses),
	    }};
}

static void record_calls(struct latency *latency, uint64_t end_us)
{
	for (uint32_t i = 0; i < latency->call_count; i++)
		latency_record(latency, latency->calls[i].command,
		               end_us - latency->calls[i].start_us, 1);
	latency->call_count = 0;
}

/* When there are too many to wait for the turn's end, they are taken for answered before it. */
void latency_answer(struct latency *latency, enum latency_command command, uint64_t start_us,
                    uint64_t now_us)
{
	if (latency->call_count == LATENCY_CALL_COUNT)
		record_calls(latency, now_us);
	latency->calls[latency->call_count++] =
	    (struct latency_call){.start_us = start_us, .command = command};
}

void latency_record_turn(struct latency *latency, const struct shard_counters *counters,
                         uint64_t start_us, uint64_t end_us)
{
	struct latency_counts now = latency_look(counters);

	for (uint32_t i = 0; i < LATENCY_COMMAND_COUNT; i++)
		if (now.of[i] != latency->seen.of[i])
			latency_record(latency, i, end_us - start_us,
			               now.of[i] - latency->seen.of[i]);
	latency->seen = now;
	if (latency->call_count > 0)
		record_calls(latency, end_us);
}

void latency_leave_out(struct latency *latency, const struct latency_counts *before,
                       const struct latency_counts *after)
{
	for (uint32_t i = 0; i < LATENCY_COMMAND_COUNT; i++)
		latency->seen.of[i] += after->of[i] - before->of[i];
}
