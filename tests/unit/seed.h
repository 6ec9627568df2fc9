/* SPDX-License-Identifier: Apache-2.0 */
/* Where a test of random input begins: another seed in each run, which is printed, and taken from
 * the environment to play it again: KANTE_SEED=123 unit-tokens. */
#pragma once

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

static inline uint64_t seed_of_this_run(void)
{
	const char *wanted = getenv("KANTE_SEED");
	uint64_t seed = 1;

	if (wanted != NULL)
		seed = strtoull(wanted, NULL, 0);
	else if (getrandom(&seed, sizeof(seed), 0) < 0)
		perror("getrandom");
	printf("(KANTE_SEED=%" PRIu64 ") ", seed);
	return seed;
}
