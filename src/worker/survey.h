/* SPDX-License-Identifier: Apache-2.0 */
/* What the items are like, found by going through all of them: how large, how long they have to
 * live, when they were read last, and the largest ones by name. Owner: one worker's sessions. */
#pragma once

#include "proto/request.h"

#define SURVEY_OCTAVE_COUNT 41 /* powers of two of bytes and of seconds */
#define SURVEY_BIG_COUNT    64

struct survey_item {
	uint64_t bytes; /* of memory */
	int64_t ttl_s;  /* TTL_NEVER */
	uint32_t idle_s;
	uint8_t length; /* of the key */
	uint8_t key[KEY_BYTES_MAX];
};

/* At [n], what is at least 2^(n - 1) and below 2^n; at [0] what is 0. */
struct survey {
	uint64_t item_count;
	uint64_t byte_count;
	uint64_t fetched_count; /* items that were ever read */
	uint64_t never_count;   /* items that do not expire */
	uint64_t sizes[SURVEY_OCTAVE_COUNT];
	uint64_t ttls[SURVEY_OCTAVE_COUNT];
	uint64_t idles[SURVEY_OCTAVE_COUNT];
	uint32_t big_count;
	uint32_t told_count;                      /* lines of it */
	uint64_t big_bytes_min;                   /* what is not above it is not among: */
	struct survey_item big[SURVEY_BIG_COUNT]; /* until the end in no order */
};

void survey_begin(struct survey *survey);
void survey_add(struct survey *survey, const struct reply *reply);

/* Nothing is added any more. */
void survey_finish(struct survey *survey);

#define SURVEY_LINE_BYTES_MAX 1024

/* The next line, as of stats: "STAT size:4096 7", that is 7 items of 2048 bytes at least and less
 * than 4096. Returns where it ends; NULL: there are no more. */
uint8_t *survey_tell(struct survey *survey, uint8_t *to);
