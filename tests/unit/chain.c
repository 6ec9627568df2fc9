/* SPDX-License-Identifier: Apache-2.0 */
#include "base/chain.h"

#include "unit.h"

static int released;

static void release(void *context, void *reference)
{
	CU_ASSERT_PTR_EQUAL(context, &released);
	CU_ASSERT_PTR_NOT_NULL(reference);
	released++;
}

struct rig {
	struct block_pool pool;
	struct chain chain;
	void *region;
};

static struct rig rig_with_blocks(uint32_t block_count)
{
	struct rig rig;
	size_t bytes = block_pool_bytes(block_count);
	struct memory memory = {.bytes = bytes};

	rig.region = aligned_alloc(CACHE_LINE_BYTES, bytes);
	memory.base = rig.region;
	memset(rig.region, 0, bytes);
	block_pool_create(&rig.pool, block_count, &memory,
	                  &(struct references){.release = release, .context = &released});
	released = 0;
	return rig;
}

static void fill_pattern(uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)(i * 131 >> 3);
}

static void test_bytes_come_out_as_appended(void)
{
	struct rig rig = rig_with_blocks(8);
	uint8_t in[5000], out[5000];
	struct chain_cursor cursor = {0};

	fill_pattern(in, sizeof(in));
	chain_create(&rig.chain, &rig.pool);
	CU_ASSERT_TRUE(chain_append(&rig.chain, in, 100));
	CU_ASSERT_TRUE(chain_append_reference(&rig.chain, in + 100, 1900, &rig));
	CU_ASSERT_TRUE(chain_append(&rig.chain, in + 2000, 3000));
	CU_ASSERT_EQUAL(rig.chain.length, 5000);
	CU_ASSERT_EQUAL(chain_read(&rig.chain, &cursor, out, 1), 1);
	CU_ASSERT_EQUAL(chain_read(&rig.chain, &cursor, out + 1, 9999), 4999);
	CU_ASSERT_EQUAL(memcmp(in, out, 5000), 0);
	chain_clear(&rig.chain);
	CU_ASSERT_EQUAL(released, 1);
	CU_ASSERT_EQUAL(rig.pool.free_count, 8);
	free(rig.region);
}

static void test_cursor_survives_drop_and_append(void)
{
	struct rig rig = rig_with_blocks(4);
	uint8_t out[64];
	struct chain_cursor cursor;

	chain_create(&rig.chain, &rig.pool);
	chain_append(&rig.chain, "abcdef", 6);
	cursor = chain_seek(&rig.chain, 4);
	chain_drop_front(&rig.chain, 3);
	chain_append(&rig.chain, "ghi", 3);
	CU_ASSERT_EQUAL(chain_read(&rig.chain, &cursor, out, 64), 5);
	CU_ASSERT_EQUAL(memcmp(out, "efghi", 5), 0);
	chain_append_reference(&rig.chain, (const uint8_t *)"jk", 2, &rig);
	CU_ASSERT_EQUAL(chain_read(&rig.chain, &cursor, out, 64), 2);
	CU_ASSERT_EQUAL(memcmp(out, "jk", 2), 0);
	chain_drop_front(&rig.chain, rig.chain.length);
	CU_ASSERT_EQUAL(released, 1);
	CU_ASSERT_EQUAL(rig.pool.free_count, 4);
	free(rig.region);
}

static void test_spliced_bytes_follow_in_order(void)
{
	static const uint32_t lengths[] = {0, 3, 2000, 2048, 100, 5000, 1, 0, 700};
	struct rig rig = rig_with_blocks(16);
	uint8_t in[16384], out[16384];
	struct chain_cursor cursor = {0};
	struct chain part;
	uint32_t total = 0;

	fill_pattern(in, sizeof(in));
	chain_create(&rig.chain, &rig.pool);
	chain_create(&part, &rig.pool);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		if (lengths[i] == 100) {
			CU_ASSERT_TRUE(chain_append_reference(&part, in + total, 100, &rig));
		} else if (lengths[i] == 0) {
			CU_ASSERT_PTR_NOT_NULL(chain_reserve(&part, 10));
		} else {
			CU_ASSERT_TRUE(chain_append(&part, in + total, lengths[i]));
		}
		chain_splice(&rig.chain, &part);
		CU_ASSERT_EQUAL(part.length, 0);
		CU_ASSERT_PTR_NULL(part.first);
		total += lengths[i];
	}
	CU_ASSERT_EQUAL(rig.chain.length, total);
	CU_ASSERT_EQUAL(chain_read(&rig.chain, &cursor, out, sizeof(out)), total);
	CU_ASSERT_EQUAL(memcmp(in, out, total), 0);
	/* what fits is copied, so that short ones take no block each */
	CU_ASSERT_TRUE(rig.pool.free_count >= 16 - total / BLOCK_CAPACITY - 3);
	chain_clear(&rig.chain);
	CU_ASSERT_EQUAL(released, 1);
	CU_ASSERT_EQUAL(rig.pool.free_count, 16);
	free(rig.region);
}

static void test_append_is_whole_or_not_at_all(void)
{
	struct rig rig = rig_with_blocks(2);
	uint8_t in[2 * BLOCK_CAPACITY + 1];

	fill_pattern(in, sizeof(in));
	chain_create(&rig.chain, &rig.pool);
	CU_ASSERT_FALSE(chain_append(&rig.chain, in, sizeof(in)));
	CU_ASSERT_EQUAL(rig.chain.length, 0);
	CU_ASSERT_EQUAL(rig.pool.free_count, 2);
	CU_ASSERT_TRUE(chain_append(&rig.chain, in, sizeof(in) - 1));
	CU_ASSERT_PTR_NULL(chain_reserve(&rig.chain, 1));
	CU_ASSERT_FALSE(chain_append_reference(&rig.chain, in, 1, &rig));
	chain_clear(&rig.chain);
	CU_ASSERT_EQUAL(released, 0);
	free(rig.region);
}

static const struct unit_case cases[] = {
    {"bytes come out as appended, own and referred to", test_bytes_come_out_as_appended},
    {"a cursor survives drops in front of it and appends", test_cursor_survives_drop_and_append},
    {"spliced bytes follow in order", test_spliced_bytes_follow_in_order},
    {"an append is whole or not at all", test_append_is_whole_or_not_at_all},
};

int main(void)
{
	return UNIT_RUN("chain", cases);
}
