/* SPDX-License-Identifier: Apache-2.0 */
/* When segments are due: a timing wheel. Items that expire within the same window of time share
 * segments, so that these expire whole; the less time is left to an item, the narrower its window.
 *
 * What has 2^n to 2^(n+1) seconds left is of octave n. Its windows end at multiples of 2^(n-4), or
 * of 2, 4, 8 or 16 times that, where its segments are too few to part them so finely. An octave's
 * segments stand in 64 places by the end of their windows, rounded up to 2^(n-4): at most 33 of
 * these are to come, so each place holds one end only. */
#pragma once

#include "store/segment.h"

#define EXPIRY_OCTAVES    28 /* what has 2^27 seconds left, 4 years, is not expected to expire */
#define EXPIRY_PLACES     64
#define EXPIRY_PARTS_LOG2 4 /* the narrowest window is that part of the octave's first second */
#define EXPIRY_WINDOW_DUE (UINT16_MAX - 1)

struct expiry {
	uint32_t now_s;
	uint32_t due_first; /* those whose time is over */
	uint32_t first[EXPIRY_OCTAVES][EXPIRY_PLACES];
	uint32_t counts[LOG_COUNT][EXPIRY_OCTAVES]; /* segments in them, of each log */
};

void expiry_create(struct expiry *expiry);

static inline uint32_t expiry_octave(uint32_t left_s)
{
	return 31 - (uint32_t)__builtin_clz(left_s | 1);
}

/* log2 of the narrowest window's seconds. */
static inline uint32_t expiry_shift(uint32_t octave)
{
	return octave > EXPIRY_PARTS_LOG2 ? octave - EXPIRY_PARTS_LOG2 : 0;
}

/* The end of the window, of so many seconds (log2), that a second is in. */
static inline uint32_t expiry_end(uint32_t expiry_s, uint32_t shift)
{
	uint64_t end = ((((uint64_t)expiry_s - 1) >> shift) + 1) << shift;

	return (uint32_t)min_u64(end, EXPIRY_NEVER - 1);
}

/* A listed segment, by its due_s, unless that is never; and out again. */
void expiry_add(struct expiry *expiry, struct segments *segments, uint32_t index);
void expiry_remove(struct expiry *expiry, struct segments *segments, uint32_t index);

/* Time goes on, never backwards: which segments are due. */
void expiry_tick(struct expiry *expiry, struct segments *segments, uint32_t now_s);
