/* SPDX-License-Identifier: Apache-2.0 */
#include "base/siphash.h"

#include "base/random.h"
#include "unit.h"

static uint64_t left(uint64_t x, unsigned n)
{
	return x << n | x >> (64 - n);
}

static void rounds(uint64_t v[4], unsigned count)
{
	while (count-- > 0) {
		v[0] += v[1], v[1] = left(v[1], 13), v[1] ^= v[0], v[0] = left(v[0], 32);
		v[2] += v[3], v[3] = left(v[3], 16), v[3] ^= v[2];
		v[0] += v[3], v[3] = left(v[3], 21), v[3] ^= v[0];
		v[2] += v[1], v[1] = left(v[1], 17), v[1] ^= v[2], v[2] = left(v[2], 32);
	}
}

/* SipHash-c-d, by the paper's words. */
static uint64_t model(const struct siphash_key *key, unsigned c, unsigned d, const uint8_t *bytes,
                      size_t length)
{
	uint64_t v[4] = {key->k0 ^ 0x736f6d6570736575, key->k1 ^ 0x646f72616e646f6d,
	                 key->k0 ^ 0x6c7967656e657261, key->k1 ^ 0x7465646279746573};

	for (size_t block = 0; block <= length / 8; block++) {
		uint64_t word = block == length / 8 ? (uint64_t)length << 56 : 0;

		for (size_t i = 8 * block; i < length && i < 8 * block + 8; i++)
			word |= (uint64_t)bytes[i] << 8 * (i % 8);
		v[3] ^= word;
		rounds(v, c);
		v[0] ^= word;
	}
	v[2] ^= 0xff;
	rounds(v, d);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static const struct siphash_key paper_key = {0x0706050403020100, 0x0f0e0d0c0b0a0908};

static void test_the_papers_example(void)
{
	uint8_t bytes[15];

	for (uint8_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = i;
	CU_ASSERT_EQUAL(siphash(&paper_key, bytes, sizeof(bytes)), 0xa129ca6149be45e5);
	CU_ASSERT_EQUAL(model(&paper_key, 2, 4, bytes, sizeof(bytes)), 0xa129ca6149be45e5);
}

static void test_all_lengths(void)
{
	struct random random = random_seeded(1);
	uint8_t bytes[64];

	for (size_t length = 0; length <= sizeof(bytes); length++) {
		struct siphash_key key = {random_u64(&random), random_u64(&random)};

		for (size_t i = 0; i < length; i++)
			bytes[i] = (uint8_t)random_u64(&random);
		CU_ASSERT_EQUAL(siphash(&key, bytes, length), model(&key, 2, 4, bytes, length));
	}
}

static void test_twelve_bytes_with_fewer_rounds(void)
{
	struct random random = random_seeded(2);
	uint8_t bytes[12];

	for (int i = 0; i < 1000; i++) {
		struct siphash_key key = {random_u64(&random), random_u64(&random)};
		uint64_t first = random_u64(&random);
		uint32_t last = (uint32_t)random_u64(&random);

		for (size_t j = 0; j < sizeof(bytes); j++)
			bytes[j] = (uint8_t)(j < 8 ? first >> 8 * j : last >> 8 * (j - 8));
		CU_ASSERT_EQUAL(siphash13_of_12(&key, first, last), model(&key, 1, 3, bytes, 12));
	}
}

static const struct unit_case cases[] = {
    {"the paper's example", test_the_papers_example},
    {"all lengths are as the paper says", test_all_lengths},
    {"twelve bytes with fewer rounds, too", test_twelve_bytes_with_fewer_rounds},
};

int main(void)
{
	return UNIT_RUN("siphash", cases);
}
