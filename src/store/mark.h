/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of an item's reads: 12 bits of its slot in the index.
 *
 *   11     4 3    0
 *   | tick  | hits |
 *
 * Time goes by in ticks: one is over when clients have written a 32nd of the memory (seconds say
 * nothing of how much is wanted meanwhile). `tick` is that of the last hit, or of the birth; `hits`
 * counts the ticks in which there were hits, but for that of the birth: so a burst of reads counts
 * once, and a hot item's mark is stored once a tick. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define MARK_BITS        12
#define MARK_MASK        ((1u << MARK_BITS) - 1)
#define MARK_HITS_MAX    15u
#define MARK_AGE_MAX     192u /* of an item that is kept: so that no age comes round */
#define TICKS_OF_A_CACHE 32

struct tick_clock {
	uint32_t tick;
	uint64_t left_bytes; /* of this tick */
};

/* So much more has been written by clients to a memory of so much. True: a tick is over. */
static inline bool tick_clock_pass(struct tick_clock *clock, uint64_t bytes, uint64_t cache_bytes)
{
	uint32_t before = clock->tick;

	while (bytes >= clock->left_bytes) {
		bytes -= clock->left_bytes;
		clock->tick++;
		clock->left_bytes = cache_bytes / TICKS_OF_A_CACHE;
	}
	clock->left_bytes -= bytes;
	return clock->tick != before;
}

static inline uint32_t mark_of(uint32_t tick, uint32_t hits)
{
	return (tick & UINT8_MAX) << 4 | hits;
}

static inline uint32_t mark_hits(uint32_t mark)
{
	return mark & MARK_HITS_MAX;
}

/* In ticks; 0 … 255. */
static inline uint32_t mark_age(uint32_t mark, uint32_t tick)
{
	return (tick - (mark >> 4)) & UINT8_MAX;
}

/* The mark after a hit. */
static inline uint32_t mark_hit(uint32_t mark, uint32_t tick)
{
	if (mark_age(mark, tick) == 0)
		return mark;
	return mark_of(tick, mark_hits(mark) + (mark_hits(mark) < MARK_HITS_MAX ? 1 : 0));
}

/* The mark of an item that stays for another round, with so many hits. */
static inline uint32_t mark_kept(uint32_t mark, uint32_t tick, uint32_t hits)
{
	if (mark_age(mark, tick) > MARK_AGE_MAX)
		return mark_of(tick - MARK_AGE_MAX, hits);
	return mark_of(mark >> 4, hits);
}
