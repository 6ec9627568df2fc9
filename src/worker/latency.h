/* SPDX-License-Identifier: Apache-2.0 */
/* How long one worker's requests take: from the turn that has found them, whose beginning is read
 * off the clock just before the ports are, to the end of the turn that has sent their replies.
 *
 * What a turn answers takes as long as the turn: so the clock is read once a turn and not twice a
 * request, and a burst's first request counts like its last. What other workers had to do counts
 * from call to answer. What has waited for memory (session:waits_*) counts from its last turn only.
 *
 * Log-linear buckets: each power of two of microseconds is cut into four, so that what is read off
 * them is at most a quarter over. Owner: the worker; counters may be read by anybody. */
#pragma once

#include "shard/shard.h"

/* name, what one of it is */
#define LATENCY_COMMANDS(X)                                                                        \
	X(get, "a key asked for")                                                                  \
	X(set, "a value brought")                                                                  \
	X(delete, "a key deleted")                                                                 \
	X(touch, "a key touched")                                                                  \
	X(arithmetic, "a key incremented or decremented")

#define LATENCY_ENUM(name, what) LATENCY_##name,
#define LATENCY_TEXT(name, what) {#name, what},

enum latency_command {
	LATENCY_COMMANDS(LATENCY_ENUM) LATENCY_COMMAND_COUNT
};

#define LATENCY_PARTS_LOG    2 /* of a power of two */
#define LATENCY_OCTAVE_COUNT 27
#define LATENCY_BUCKET_COUNT ((LATENCY_OCTAVE_COUNT - 1) << LATENCY_PARTS_LOG)

struct latency_histogram {
	_Atomic uint64_t us_sum;
	_Atomic uint64_t counts[LATENCY_BUCKET_COUNT]; /* the last one's has all that is longer */
};

struct latency_counts {
	uint64_t of[LATENCY_COMMAND_COUNT];
};

#define LATENCY_CALL_COUNT 64

struct latency_call {
	uint64_t start_us;
	enum latency_command command;
};

struct latency {
	struct latency_histogram list[LATENCY_COMMAND_COUNT];
	struct latency_call calls[LATENCY_CALL_COUNT]; /* answered in this turn */
	uint32_t call_count;
	struct latency_counts seen; /* the shard's counters say so many, and no more are left */
};

/* A bucket has what took less than this, and was too long for the one before. */
uint64_t latency_bucket_end_us(uint32_t bucket);

void latency_record(struct latency *latency, enum latency_command command, uint64_t us,
                    uint64_t count);

/* A call that was begun then is answered in this turn, which has begun at now_us. */
void latency_answer(struct latency *latency, enum latency_command command, uint64_t start_us,
                    uint64_t now_us);

/* All that the shard has counted since the last turn took as long as the turn, and what other
 * workers have answered until its end. */
void latency_record_turn(struct latency *latency, const struct shard_counters *counters,
                         uint64_t start_us, uint64_t end_us);

/* What the shard has counted. Between two of these it was other workers' requests: they are not
 * recorded here. */
struct latency_counts latency_look(const struct shard_counters *counters);
void latency_leave_out(struct latency *latency, const struct latency_counts *before,
                       const struct latency_counts *after);
