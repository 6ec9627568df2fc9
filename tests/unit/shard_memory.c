/* SPDX-License-Identifier: Apache-2.0 */
/* Large values, references from chains, and running out. */
#include "shard/shard.h"

#include "shard_rig.h"

#define KEY(text) .key = SLICE_LITERAL(text)

static void drop(struct slice slice)
{
	free((void *)(uintptr_t)slice.data);
}

static void test_values_of_all_sizes(void)
{
	static const uint32_t sizes[] = {0,     1,     2,      7,      8,      9,       2048,
	                                 2049,  32700, 32768,  65000,  65400,  65513,   65514,
	                                 65512, 65536, 131048, 131049, 131050, 1048575, 1048576};
	struct rig rig;

	rig_create(&rig, (struct rig_options){0});
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct slice value = rig_pattern(sizes[i], (uint32_t)i);

		CU_ASSERT_EQUAL(
		    rig_store(&rig, (struct request){.op = REQUEST_SET, KEY("a")}, value),
		    REPLY_STORED);
		CU_ASSERT_TRUE(rig_value_is(&rig, "a", value));
		shard_check(rig.shard);
		drop(value);
	}
	rig_destroy(&rig);
}

static void test_large_value_comes_back(void)
{
	struct rig rig;
	struct slice value = rig_pattern(1000000, 1);
	uint64_t free_before;

	rig_create(&rig, (struct rig_options){0});
	free_before = RIG_STORE_COUNTER(&rig, segments_free);
	rig_store(&rig, (struct request){.op = REQUEST_SET, KEY("a")}, value);
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, segments_free), free_before - 16);
	rig_store(&rig, (struct request){.op = REQUEST_SET, KEY("a")}, value);
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, segments_free), free_before - 16);
	rig_execute(&rig, (struct request){.op = REQUEST_DELETE, KEY("a")});
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, segments_free), free_before);
	drop(value);
	rig_destroy(&rig);
}

static void test_memory_is_taken_as_bytes_come(void)
{
	struct rig rig;
	struct slice value = rig_pattern(1000000, 1);
	struct request request = {.op = REQUEST_SET, KEY("a"), .value_bytes = 1000000};
	struct shard_write write;
	uint64_t free_before;

	rig_create(&rig, (struct rig_options){0});
	free_before = RIG_STORE_COUNTER(&rig, segments_free);
	shard_write_begin(rig.shard, &write, &request, 1);
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, segments_free), free_before - 1);
	shard_write_bytes(rig.shard, &write, value.data, 100000);
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, segments_free), free_before - 2);
	shard_write_abandon(rig.shard, &write);
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, segments_free), free_before);
	drop(value);
	rig_destroy(&rig);
}

static void test_append_to_large(void)
{
	struct rig rig;
	struct slice value = rig_pattern(500000, 1);
	struct slice first = {value.data, 200000};
	struct slice middle = {value.data + 200000, 100};
	struct slice last = {value.data + 200100, 299900};

	rig_create(&rig, (struct rig_options){0});
	rig_store(&rig, (struct request){.op = REQUEST_SET, KEY("a")}, middle);
	CU_ASSERT_EQUAL(rig_store(&rig, (struct request){.op = REQUEST_APPEND, KEY("a")}, last),
	                REPLY_STORED);
	CU_ASSERT_EQUAL(rig_store(&rig, (struct request){.op = REQUEST_PREPEND, KEY("a")}, first),
	                REPLY_STORED);
	CU_ASSERT_TRUE(rig_value_is(&rig, "a", value));
	drop(value);
	rig_destroy(&rig);
}

static void test_append_in_the_smallest_memory(void)
{
	struct rig rig;
	struct slice value = rig_pattern(1 << 20, 1);
	struct slice first = {value.data, (1 << 20) - 1};
	struct slice last = {value.data + (1 << 20) - 1, 1};

	rig_create(&rig, (struct rig_options){.memory_bytes = shard_memory_bytes_min(1 << 20, 1)});
	for (int i = 0; i < 3; i++) {
		rig_fill(&rig, 8 << 20);
		CU_ASSERT_EQUAL(
		    rig_store(&rig, (struct request){.op = REQUEST_SET, KEY("a")}, first),
		    REPLY_STORED);
		CU_ASSERT_EQUAL(
		    rig_store(&rig, (struct request){.op = REQUEST_APPEND, KEY("a")}, last),
		    REPLY_STORED);
		CU_ASSERT_TRUE(rig_value_is(&rig, "a", value));
		shard_check(rig.shard);
	}
	drop(value);
	rig_destroy(&rig);
}

/* Appends the value, then lets everything happen to it that could disturb it. */
static void check_pinned(uint32_t value_bytes, bool referenced)
{
	struct rig rig;
	struct slice value = rig_pattern(value_bytes, 1);
	uint8_t *out = malloc(value_bytes);
	struct chain_cursor cursor = {0};
	struct reply reply;

	rig_create(&rig, (struct rig_options){.block_count = 64});
	rig_store(&rig, (struct request){.op = REQUEST_SET, KEY("a")}, value);
	reply = rig_get(&rig, "a");
	CU_ASSERT_TRUE(shard_append_value(rig.shard, &reply, &rig.chain));
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, pins) > 0, referenced);
	rig_set(&rig, "a", "new");
	rig_fill(&rig, 20 << 20);
	shard_check(rig.shard);
	CU_ASSERT_EQUAL(rig.chain.length, value_bytes);
	CU_ASSERT_EQUAL(chain_read(&rig.chain, &cursor, out, value_bytes), value_bytes);
	CU_ASSERT_EQUAL(memcmp(out, value.data, value_bytes), 0);
	chain_clear(&rig.chain);
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, pins), 0);
	shard_check(rig.shard);
	free(out);
	drop(value);
	rig_destroy(&rig);
}

static void test_sent_values_stay(void)
{
	check_pinned(100, false);
	check_pinned(BLOCK_CAPACITY, false);
	check_pinned(BLOCK_CAPACITY + 1, true);
	check_pinned(40000, true);
	check_pinned(1000000, true);
}

static void test_no_blocks(void)
{
	struct rig rig;
	struct slice value = rig_pattern(200000, 1);
	struct reply reply;

	rig_create(&rig, (struct rig_options){.block_count = 3});
	rig_store(&rig, (struct request){.op = REQUEST_SET, KEY("a")}, value);
	reply = rig_get(&rig, "a");
	CU_ASSERT_FALSE(shard_append_value(rig.shard, &reply, &rig.chain));
	chain_clear(&rig.chain);
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, pins), 0);
	drop(value);
	rig_destroy(&rig);
}

static void test_oldest_goes_first(void)
{
	struct rig rig;

	rig_create(&rig, (struct rig_options){0});
	rig_set(&rig, "first", "1");
	rig_set(&rig, "first-read", "1");
	rig_get(&rig, "first-read");
	rig_fill(&rig, 6 << 20);
	rig_set(&rig, "later", "1");
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, evictions), 0);
	rig_fill(&rig, 4 << 20);
	CU_ASSERT_FALSE(rig_has(&rig, "first"));
	CU_ASSERT_FALSE(rig_has(&rig, "first-read"));
	CU_ASSERT_TRUE(rig_has(&rig, "later"));
	CU_ASSERT_TRUE(RIG_STORE_COUNTER(&rig, evictions) > 1000);
	/* rig_fill() reads nothing, so the one that was read makes the difference. */
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, evicted_unfetched),
	                RIG_STORE_COUNTER(&rig, evictions) - 1);
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, reclaimed), 0);
	rig_destroy(&rig);
}

static void test_expired_go_before_oldest(void)
{
	struct rig rig;
	struct slice value = rig_pattern(1000, 1);
	char key[16];

	rig_create(&rig, (struct rig_options){0});
	rig_set(&rig, "oldest", "1");
	rig_fill(&rig, 2 << 20);
	for (int i = 0; i < 2000; i++) {
		struct request request = {.op = REQUEST_SET, .exptime = 10};

		snprintf(key, sizeof(key), "%d", i);
		request.key = rig_slice(key);
		rig_store(&rig, request, value);
	}
	rig.now_s += 12; /* when their windows are over, but for the first */
	rig_fill(&rig, 5 << 20);
	CU_ASSERT_TRUE(rig_has(&rig, "oldest"));
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, evictions), 0);
	CU_ASSERT_TRUE(RIG_STORE_COUNTER(&rig, reclaimed) > 500);
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, reclaimed),
	                RIG_STORE_COUNTER(&rig, expired_unfetched));
	drop(value);
	rig_destroy(&rig);
}

static void test_flushed_go_before_oldest(void)
{
	struct rig rig;

	rig_create(&rig, (struct rig_options){0});
	rig_fill(&rig, 7 << 20);
	rig_execute(&rig, (struct request){.op = REQUEST_FLUSH_ALL});
	rig_set(&rig, "kept", "1");
	rig_fill(&rig, 6 << 20);
	CU_ASSERT_TRUE(rig_has(&rig, "kept"));
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, evictions), 0);
	rig_destroy(&rig);
}

static void test_touched_outlives_its_segment(void)
{
	struct rig rig;
	struct slice value = rig_pattern(1000, 1);
	char key[16];

	rig_create(&rig, (struct rig_options){0});
	for (int i = 0; i < 4000; i++) {
		struct request request = {.op = REQUEST_SET, .exptime = 10};

		snprintf(key, sizeof(key), "%d", i);
		request.key = rig_slice(key);
		rig_store(&rig, request, value);
	}
	rig_execute(&rig, (struct request){.op = REQUEST_TOUCH, KEY("2000"), .exptime = 1000});
	rig.now_s += 10;
	rig_fill(&rig, 6 << 20);
	CU_ASSERT_TRUE(rig_value_is(&rig, "2000", value));
	CU_ASSERT_FALSE(rig_has(&rig, "2001"));
	drop(value);
	rig_destroy(&rig);
}

/* Announces large values and sends one byte of each. */
static void begin_many(struct rig *rig, struct shard_write *writes, uint32_t count)
{
	struct request request = {.op = REQUEST_ADD, KEY("slow"), .value_bytes = 60000};

	for (uint32_t i = 0; i < count; i++) {
		CU_ASSERT_EQUAL(shard_write_begin(rig->shard, &writes[i], &request, rig->now_s),
		                REPLY_STORED);
		CU_ASSERT_TRUE(shard_write_bytes(rig->shard, &writes[i], (const uint8_t *)"x", 1));
	}
}

static void abandon_all(struct rig *rig, struct shard_write *writes, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		shard_write_abandon(rig->shard, &writes[i]);
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(rig, reservations), 0);
	shard_check(rig->shard);
}

/* There are some 150 segments. */
static void test_half_sent_values_keep_nobody_out(void)
{
	struct rig rig;
	struct shard_write writes[300];
	struct slice value = rig_pattern(100000, 1);
	uint8_t rest[60000] = {0};

	rig_create(&rig, (struct rig_options){0});
	begin_many(&rig, writes, 300);
	shard_check(rig.shard);
	CU_ASSERT_TRUE(RIG_STORE_COUNTER(&rig, writes_revoked) > 100);
	CU_ASSERT_EQUAL(rig_set(&rig, "a", "small"), REPLY_STORED);
	CU_ASSERT_EQUAL(rig_store(&rig, (struct request){.op = REQUEST_SET, KEY("b")}, value),
	                REPLY_STORED);
	CU_ASSERT_TRUE(rig_has(&rig, "a"));
	/* the first to wait were the first to go */
	CU_ASSERT_FALSE(shard_write_bytes(rig.shard, &writes[0], rest, 59999));
	CU_ASSERT_EQUAL(writes[0].left_bytes, 0);
	CU_ASSERT_TRUE(shard_write_bytes(rig.shard, &writes[299], rest, 59999));
	CU_ASSERT_EQUAL(RIG_COUNTER(&rig, store_no_memory), 1);
	abandon_all(&rig, writes, 300);
	drop(value);
	rig_destroy(&rig);
}

static void test_half_sent_values_drive_out_no_more_than_a_quarter(void)
{
	struct rig rig;
	struct shard_write writes[300];

	rig_create(&rig, (struct rig_options){0});
	rig_set(&rig, "a", "old");
	rig_fill(&rig, 5 << 20);
	for (uint32_t i = 0; i < 300; i += 10) {
		begin_many(&rig, &writes[i], 10);
		rig.now_s++;
		shard_check(rig.shard);
	}
	CU_ASSERT_TRUE(rig_has(&rig, "a"));
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, evictions), 0);
	abandon_all(&rig, writes, 300);
	rig_destroy(&rig);
}

/* One small value on its way in holds no more than its own room: its segment goes in its turn. */
static void test_a_half_sent_value_goes_with_its_segment(void)
{
	struct rig rig;
	struct shard_write writes[2];
	struct request request = {.op = REQUEST_SET, KEY("half"), .value_bytes = 10};
	struct reply reply;

	rig_create(&rig, (struct rig_options){0});
	rig_set(&rig, "old", "1");
	shard_write_begin(rig.shard, &writes[0], &request, rig.now_s);
	shard_write_begin(rig.shard, &writes[1], &request, rig.now_s);
	shard_write_bytes(rig.shard, &writes[1], (const uint8_t *)"0123456789", 10);
	rig_fill(&rig, 20 << 20);
	CU_ASSERT_FALSE(rig_has(&rig, "old"));
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, writes_revoked), 2);
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, reservations), 0);
	/* all bytes were there, but not what ends them */
	shard_write_commit(rig.shard, &writes[1], rig.now_s, &reply);
	CU_ASSERT_EQUAL(reply.status, REPLY_NO_MEMORY);
	CU_ASSERT_FALSE(rig_has(&rig, "half"));
	abandon_all(&rig, writes, 1);
	rig_destroy(&rig);
}

static void test_set_that_runs_out_removes_the_old(void)
{
	struct rig rig;
	struct shard_write writes[40], write;
	struct slice value = rig_pattern(200000, 1);
	struct request request = {.op = REQUEST_SET, KEY("a"), .value_bytes = 200000};

	rig_create(&rig, (struct rig_options){0});
	rig_set(&rig, "a", "old");
	shard_write_begin(rig.shard, &write, &request, rig.now_s);
	rig.now_s += 2;
	begin_many(&rig, writes, 40);
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, writes_revoked), 1);
	CU_ASSERT_TRUE(rig_has(&rig, "a"));
	CU_ASSERT_FALSE(shard_write_bytes(rig.shard, &write, value.data, 200000));
	CU_ASSERT_FALSE(rig_has(&rig, "a"));
	abandon_all(&rig, writes, 40);
	drop(value);
	rig_destroy(&rig);
}

static const struct unit_case cases[] = {
    {"values of all sizes come out as they went in", test_values_of_all_sizes},
    {"a large value's segments come back when it dies", test_large_value_comes_back},
    {"a large value takes memory as its bytes come", test_memory_is_taken_as_bytes_come},
    {"large values can be appended and prepended to", test_append_to_large},
    {"the longest append works in the smallest memory", test_append_in_the_smallest_memory},
    {"a value that is being sent stays as it is", test_sent_values_stay},
    {"running out of blocks leaves no reference behind", test_no_blocks},
    {"the oldest segment goes first", test_oldest_goes_first},
    {"expired segments go before the oldest", test_expired_go_before_oldest},
    {"flushed segments go before the oldest", test_flushed_go_before_oldest},
    {"a touched item outlives the rest of its segment", test_touched_outlives_its_segment},
    {"half-sent values keep nobody out", test_half_sent_values_keep_nobody_out},
    {"half-sent values drive out no more than a quarter",
     test_half_sent_values_drive_out_no_more_than_a_quarter},
    {"a half-sent value goes with its segment", test_a_half_sent_value_goes_with_its_segment},
    {"a set that runs out of memory removes the old value", test_set_that_runs_out_removes_the_old},
};

int main(void)
{
	return UNIT_RUN("shard memory", cases);
}
