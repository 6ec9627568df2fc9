/* SPDX-License-Identifier: Apache-2.0 */
#include "base/siphash.h"

#include <string.h>

struct sip_state {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate_left(uint64_t x, unsigned n)
{
	return (x << n) | (x >> (64 - n));
}

static inline void sip_round(struct sip_state *s)
{
	s->v0 += s->v1;
	s->v1 = rotate_left(s->v1, 13) ^ s->v0;
	s->v0 = rotate_left(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotate_left(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotate_left(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotate_left(s->v1, 17) ^ s->v2;
	s->v2 = rotate_left(s->v2, 32);
}

static inline void sip_absorb(struct sip_state *s, uint64_t word)
{
	s->v3 ^= word;
	sip_round(s);
	sip_round(s);
	s->v0 ^= word;
}

static struct sip_state sip_begin(const struct siphash_key *key)
{
	return (struct sip_state){
	    .v0 = key->k0 ^ 0x736f6d6570736575u,
	    .v1 = key->k1 ^ 0x646f72616e646f6du,
	    .v2 = key->k0 ^ 0x6c7967656e657261u,
	    .v3 = key->k1 ^ 0x7465646279746573u,
	};
}

uint64_t siphash(const struct siphash_key *key, const void *data, size_t length)
{
	const uint8_t *bytes = data;
	struct sip_state s = sip_begin(key);
	uint64_t last = (uint64_t)length << 56;
	size_t i = 0;

	for (; i + 8 <= length; i += 8) {
		uint64_t word;

		memcpy(&word, bytes + i, sizeof(word));
		sip_absorb(&s, word);
	}
	for (size_t shift = 0; i < length; i++, shift += 8)
		last |= (uint64_t)bytes[i] << shift;
	sip_absorb(&s, last);
	s.v2 ^= 0xff;
	for (int i_round = 0; i_round < 4; i_round++)
		sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t siphash13_of_12(const struct siphash_key *key, uint64_t first_8, uint32_t last_4)
{
	struct sip_state s = sip_begin(key);
	uint64_t last = (uint64_t)12 << 56 | last_4;

	s.v3 ^= first_8;
	sip_round(&s);
	s.v0 ^= first_8;
	s.v3 ^= last;
	sip_round(&s);
	s.v0 ^= last;
	s.v2 ^= 0xff;
	sip_round(&s);
	sip_round(&s);
	sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
