/* SPDX-License-Identifier: Apache-2.0 */
/* How fast the core is just now. A virtual machine's core is half of a real one: while its
 * neighbour computes on the other half, everything takes nearly twice as long, and the time-stamp
 * counter goes on as before. That comes and goes within a fraction of a millisecond, so what is
 * measured in cycles is measured in small parts, each between two looks at this. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <x86intrin.h>

#define PACE_STEPS   4000
#define PACE_LOOKS   20000
#define PACE_PERCENT 115 /* of the best: above it, the core is disturbed */

/* Cycles of a piece of work that keeps the core's adders busy: a microsecond or two. */
static inline uint64_t pace_look(void)
{
	uint64_t a = 1, b = 2, c = 3, d = 4, start = __rdtsc();

	/* so that it is not the branch that is waited for */
#pragma GCC unroll 16
	for (uint32_t i = 0; i < PACE_STEPS; i++) {
		a += b;
		c += d;
		b += 7;
		d ^= 9;
		__asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d));
	}
	return __rdtsc() - start;
}

/* The best there is: even a busy neighbour rests for a microsecond now and then. */
static inline uint64_t pace_best(void)
{
	uint64_t best = UINT64_MAX;

	for (uint32_t i = 0; i < PACE_LOOKS; i++) {
		uint64_t pace = pace_look();

		best = pace < best ? pace : best;
	}
	return best;
}

static inline bool pace_is_good(uint64_t pace, uint64_t best)
{
	return pace * 100 <= best * PACE_PERCENT;
}
