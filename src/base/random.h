/* SPDX-License-Identifier: Apache-2.0 */
/* A random source as a value: whoever makes it decides whether its seed comes from the kernel or
 * from a test. xoshiro256** (Blackman, Vigna 2018), seeded by splitmix64. Not for secrets. */
#pragma once

#include <stdint.h>

struct random {
	uint64_t state[4];
};

static inline uint64_t random_splitmix64(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static inline struct random random_seeded(uint64_t seed)
{
	struct random random;

	for (int i = 0; i < 4; i++)
		random.state[i] = random_splitmix64(&seed);
	return random;
}

static inline uint64_t random_u64(struct random *random)
{
	uint64_t *s = random->state;
	uint64_t scrambled = s[1] * 5;
	uint64_t result = ((scrambled << 7) | (scrambled >> 57)) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = (s[3] << 45) | (s[3] >> 19);
	return result;
}

/* Uniform in [0, bound). The bias is below bound / 2^64. */
static inline uint64_t random_below(struct random *random, uint64_t bound)
{
	return (uint64_t)(((unsigned __int128)random_u64(random) * bound) >> 64);
}
