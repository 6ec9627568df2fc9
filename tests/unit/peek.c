/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/peek.h"

#include "base/random.h"
#include "worker/lookahead.h"

#include "shard_rig.h"
#include "unit.h"

#include <stdlib.h>

/* A copy that ends where its memory does, so that a sanitizer sees who reads on. */
static struct slice copy(const char *text, size_t length)
{
	uint8_t *bytes = malloc(length + 1);

	memcpy(bytes, text, length);
	return (struct slice){realloc(bytes, length > 0 ? length : 1), length};
}

static void drop(struct slice slice)
{
	free((void *)(uintptr_t)slice.data);
}

struct wanted {
	const char *bytes;
	const char *key; /* NULL: none is seen */
	bool is_get, writes;
	uint64_t length; /* 0: all the bytes */
};

static void test_a_request_is_found_where_it_most_likely_is(void)
{
	static const struct wanted all[] = {
	    {"get a\r\n", "a", true, false, 0},
	    {"get abcdefgh\r\nget b\r\n", "abcdefgh", true, false, 14},
	    {"get a\n", "a", true, false, 0},
	    {"get a ", "a", false, false, 0},
	    {"get a b\r\nget c\r\n", "a", false, false, 0},
	    {"get a\rb\r\n", "a", false, false, 0},
	    {"get a\x7f\r\n", "a", false, false, 0},
	    {"gets key-of-16-bytes\r\n", "key-of-16-bytes", false, false, 0},
	    {"mg key v t\r\n", "key", false, false, 0},
	    {"me key\r\n", "key", false, false, 0},
	    {"set key 0 0 3\r\nabc\r\nget x\r\n", "key", false, true, 20},
	    {"set key 0 0 3 noreply\r\nabc\r\n", "key", false, true, 0},
	    {"ms key 2 T0\r\nab\r\n", "key", false, true, 0},
	    {"set key 0 0 100000\r\nab", "key", false, true, 20 + 100002},
	    {"set key 0 0 x\r\nab\r\n", "key", false, true, 15},
	    {"delete key\r\n", "key", false, true, 0},
	    {"incr key 1\r\n", "key", false, true, 0},
	    {"get a", NULL, false, false, 0},
	    {"get  a\r\n", NULL, false, false, 0},
	    {" get a\r\n", NULL, false, false, 0},
	    {"get\r\n", NULL, false, false, 0},
	    {"xx y\r\n", NULL, false, false, 0},
	    {"stats slabs\r\n", NULL, false, false, 0},
	    {"ms key 2 T0 q\r\nab\r\nmn\r\n", "key", false, true, 19},
	    {"append key 0 0 12\r\n", "key", false, true, 19 + 14},
	    {"flush_all 10\r\n", NULL, false, false, 0},
	    {"", NULL, false, false, 0},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		size_t length = strlen(all[i].bytes);
		struct slice bytes = copy(all[i].bytes, length);
		struct peek peek = {.bytes = 0};

		CU_ASSERT_EQUAL(request_peek(bytes, &peek), all[i].key != NULL);
		if (all[i].key != NULL) {
			CU_ASSERT_TRUE(
			    slice_equal(peek.key, (struct slice){(const uint8_t *)all[i].key,
			                                         strlen(all[i].key)}));
			CU_ASSERT_EQUAL(peek.is_get, all[i].is_get);
			CU_ASSERT_EQUAL(peek.writes, all[i].writes);
			CU_ASSERT_EQUAL(peek.bytes, all[i].length == 0 ? length : all[i].length);
		}
		drop(bytes);
	}
}

static void test_a_head_is_found_likewise(void)
{
	static const char get[] = "\x80\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00"
	                          "\x00\x00\x00\x00\x00\x00\x00\x00key";
	static const char keyless[] =
	    "\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	    "\x00\x00\x00\x00\x00\x00\x00\x00";
	static const char set[] = "\x80\x01\x00\x03\x08\x00\x00\x00\x00\x00\x00\x0f\x00\x00\x00\x00"
	                          "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	                          "keyfour";
	struct slice bytes = copy(get, sizeof(get) - 1);
	struct peek peek;

	CU_ASSERT_TRUE_FATAL(request_peek(bytes, &peek));
	CU_ASSERT_TRUE(slice_equal(peek.key, SLICE_LITERAL("key")));
	CU_ASSERT_FALSE(peek.writes || peek.is_get);
	CU_ASSERT_EQUAL(peek.bytes, sizeof(get) - 1);
	for (size_t length = 0; length < sizeof(get) - 1; length++) {
		struct slice part = copy(get, length);

		CU_ASSERT_FALSE(request_peek(part, &peek));
		drop(part);
	}
	drop(bytes);
	bytes = copy(keyless, sizeof(keyless) - 1);
	CU_ASSERT_FALSE(request_peek(bytes, &peek));
	drop(bytes);
	bytes = copy(set, sizeof(set) - 1);
	CU_ASSERT_TRUE_FATAL(request_peek(bytes, &peek));
	CU_ASSERT_TRUE(slice_equal(peek.key, SLICE_LITERAL("key")));
	CU_ASSERT_TRUE(peek.writes);
	CU_ASSERT_EQUAL(peek.bytes, sizeof(set) - 1);
	drop(bytes);
}

/* Nothing is read behind the end, and a key lies in the bytes, whatever they are. */
static void test_any_bytes_can_be_looked_at(void)
{
	static const char *const parts[] = {"get ", "set ", "mg ", "key",    " ",
	                                    "\r\n", "0",    "10",  "\x80",   "\x01",
	                                    "\x7f", "\r",   "\n",  "noreply"};
	struct random random = random_seeded(1);

	for (uint32_t i = 0; i < 100000; i++) {
		struct peek peek;
		struct slice bytes;
		char text[256];
		size_t length = 0;

		for (uint64_t count = random_below(&random, 12); count > 0; count--) {
			const char *part = parts[random_below(&random, 14)];

			memcpy(text + length, part, strlen(part));
			length += strlen(part);
		}
		bytes = copy(text, length);
		if (request_peek(bytes, &peek)) {
			CU_ASSERT_TRUE(peek.key.data > bytes.data &&
			               peek.key.data + peek.key.length <= bytes.data + length);
			CU_ASSERT_TRUE(peek.key.length > 0 && peek.bytes > peek.key.length);
			CU_ASSERT_TRUE(!peek.is_get || peek.bytes <= length);
		}
		drop(bytes);
	}
}

static void test_what_is_foreseen_is_told_once_and_until_it_is_gone(void)
{
	struct rig rig;
	struct lookahead lookahead = {0};
	struct slice bytes =
	    SLICE_LITERAL("get one\r\nset two 0 0 1\r\nx\r\nget three four\r\nget five\r\n");
	struct slice one = {bytes.data + 4, 3}, two = {bytes.data + 13, 3};
	struct slice three = {bytes.data + 31, 5}, four = {bytes.data + 37, 4};

	rig_create(&rig, (struct rig_options){0});
	lookahead.shard = rig.shard;
	lookahead_add(&lookahead, bytes, 3);
	lookahead_items(&lookahead);
	CU_ASSERT_EQUAL(lookahead.count, 3);
	CU_ASSERT_TRUE(lookahead_has(&lookahead, bytes));
	CU_ASSERT_PTR_NOT_NULL(lookahead_get(&lookahead, bytes.data));
	CU_ASSERT_PTR_NULL(lookahead_get(&lookahead, bytes.data + 9));
	CU_ASSERT_EQUAL(lookahead_hash(&lookahead, one), shard_hash(rig.shard, one));
	CU_ASSERT_EQUAL(lookahead_hash(&lookahead, one), 0);
	CU_ASSERT_EQUAL(lookahead_hash(&lookahead, (struct slice){two.data, 2}), 0);
	/* a request that did not come to be run is passed over */
	CU_ASSERT_EQUAL(lookahead_hash(&lookahead, three), shard_hash(rig.shard, three));
	CU_ASSERT_EQUAL(lookahead_hash(&lookahead, two), 0);
	CU_ASSERT_FALSE(lookahead_has(&lookahead, bytes));
	CU_ASSERT_TRUE(lookahead_keys(&lookahead, three, (struct slice){four.data - 1, 5}));
	CU_ASSERT_FALSE(lookahead_keys(&lookahead, three, (struct slice){four.data - 1, 5}));
	CU_ASSERT_EQUAL(lookahead_hash(&lookahead, three), shard_hash(rig.shard, three));
	CU_ASSERT_EQUAL(lookahead_hash(&lookahead, four), shard_hash(rig.shard, four));
	lookahead_add(&lookahead, bytes, 1);
	lookahead_end(&lookahead);
	CU_ASSERT_EQUAL(lookahead_hash(&lookahead, one), 0);
	CU_ASSERT_PTR_NULL(lookahead_get(&lookahead, bytes.data));
	rig_destroy(&rig);
}

static void test_no_more_is_foreseen_than_there_is_room_for(void)
{
	struct rig rig;
	struct lookahead lookahead = {0};
	uint8_t bytes[200 * 7];

	rig_create(&rig, (struct rig_options){0});
	lookahead.shard = rig.shard;
	for (uint32_t i = 0; i < 200; i++)
		memcpy(bytes + i * 7, "get a\r\n", 7);
	lookahead_add(&lookahead, (struct slice){bytes, sizeof(bytes)}, 200);
	CU_ASSERT_EQUAL(lookahead.count, LOOKAHEAD_KEYS);
	for (uint32_t i = 0; i < LOOKAHEAD_KEYS; i++)
		CU_ASSERT_TRUE(lookahead_hash(&lookahead, (struct slice){bytes + i * 7 + 4, 1}) !=
		               0);
	CU_ASSERT_EQUAL(
	    lookahead_hash(&lookahead, (struct slice){bytes + LOOKAHEAD_KEYS * 7 + 4, 1}), 0);
	CU_ASSERT_PTR_NULL(lookahead_get(&lookahead, bytes + LOOKAHEAD_KEYS * 7));
	rig_destroy(&rig);
}

static const struct unit_case cases[] = {
    {"a request is found where it most likely is", test_a_request_is_found_where_it_most_likely_is},
    {"a head is found likewise", test_a_head_is_found_likewise},
    {"any bytes can be looked at", test_any_bytes_can_be_looked_at},
    {"what is foreseen is told once, and until it is gone",
     test_what_is_foreseen_is_told_once_and_until_it_is_gone},
    {"no more is foreseen than there is room for", test_no_more_is_foreseen_than_there_is_room_for},
};

int main(void)
{
	return UNIT_RUN("peek", cases);
}
