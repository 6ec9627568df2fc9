/* SPDX-License-Identifier: Apache-2.0 */
/* memcached's rules. What is expected here was read off a memcached 1.6.18. */
#include "shard/shard.h"

#include "shard_rig.h"

#include <errno.h>

#define STORE(rig, value, ...) rig_store((rig), (struct request){__VA_ARGS__}, rig_slice(value))
#define EXECUTE(rig, ...)      rig_execute((rig), (struct request){__VA_ARGS__})
#define KEY(text)              .key = SLICE_LITERAL(text)

static uint64_t cas_of(struct rig *rig, const char *key)
{
	return rig_get(rig, key).cas_unique;
}

static void test_set_add_replace(void)
{
	struct rig rig;

	rig_create(&rig, (struct rig_options){0});
	CU_ASSERT_EQUAL(STORE(&rig, "x", .op = REQUEST_REPLACE, KEY("a")), REPLY_NOT_STORED);
	CU_ASSERT_FALSE(rig_has(&rig, "a"));
	CU_ASSERT_EQUAL(STORE(&rig, "1", .op = REQUEST_ADD, KEY("a"), .client_flags = 7),
	                REPLY_STORED);
	CU_ASSERT_EQUAL(STORE(&rig, "2", .op = REQUEST_ADD, KEY("a")), REPLY_NOT_STORED);
	CU_ASSERT_TRUE(rig_is(&rig, "a", "1"));
	CU_ASSERT_EQUAL(rig_get(&rig, "a").client_flags, 7);
	CU_ASSERT_EQUAL(STORE(&rig, "3", .op = REQUEST_REPLACE, KEY("a")), REPLY_STORED);
	CU_ASSERT_TRUE(rig_is(&rig, "a", "3"));
	CU_ASSERT_EQUAL(STORE(&rig, "", .op = REQUEST_SET, KEY("a")), REPLY_STORED);
	CU_ASSERT_TRUE(rig_is(&rig, "a", ""));
	CU_ASSERT_EQUAL(RIG_COUNTER(&rig, cmd_set), 5);
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, total_items), 3);
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, curr_items), 1);
	rig_destroy(&rig);
}

static void test_keys_of_all_lengths(void)
{
	struct rig rig;
	char key[251];

	rig_create(&rig, (struct rig_options){0});
	for (int length = 1; length <= 250; length++) {
		memset(key, 'k', sizeof(key));
		key[length] = 0;
		CU_ASSERT_EQUAL(rig_set(&rig, key, key), REPLY_STORED);
	}
	for (int length = 1; length <= 250; length++) {
		memset(key, 'k', sizeof(key));
		key[length] = 0;
		CU_ASSERT_TRUE(rig_is(&rig, key, key));
	}
	rig_destroy(&rig);
}

static void test_cas(void)
{
	struct rig rig;
	uint64_t cas;

	rig_create(&rig, (struct rig_options){0});
	CU_ASSERT_EQUAL(STORE(&rig, "x", .op = REQUEST_CAS, KEY("a"), .cas_unique = 1),
	                REPLY_NOT_FOUND);
	rig_set(&rig, "a", "1");
	cas = cas_of(&rig, "a");
	CU_ASSERT_EQUAL(STORE(&rig, "2", .op = REQUEST_CAS, KEY("a"), .cas_unique = cas),
	                REPLY_STORED);
	CU_ASSERT_NOT_EQUAL(cas_of(&rig, "a"), cas);
	CU_ASSERT_EQUAL(STORE(&rig, "3", .op = REQUEST_CAS, KEY("a"), .cas_unique = cas),
	                REPLY_EXISTS);
	CU_ASSERT_TRUE(rig_is(&rig, "a", "2"));
	CU_ASSERT_EQUAL(RIG_COUNTER(&rig, cas_misses), 1);
	CU_ASSERT_EQUAL(RIG_COUNTER(&rig, cas_hits), 1);
	CU_ASSERT_EQUAL(RIG_COUNTER(&rig, cas_badval), 1);
	CU_ASSERT_EQUAL(RIG_COUNTER(&rig, cmd_set), 4);
	rig_destroy(&rig);
}

static void test_append_prepend(void)
{
	struct rig rig;
	struct reply reply;
	uint64_t cas;

	rig_create(&rig, (struct rig_options){0});
	CU_ASSERT_EQUAL(STORE(&rig, "x", .op = REQUEST_APPEND, KEY("a")), REPLY_NOT_STORED);
	STORE(&rig, "3", .op = REQUEST_SET, KEY("a"), .client_flags = 5, .exptime = 10);
	cas = cas_of(&rig, "a");
	CU_ASSERT_EQUAL(
	    STORE(&rig, "33", .op = REQUEST_APPEND, KEY("a"), .client_flags = 7, .exptime = -1),
	    REPLY_STORED);
	CU_ASSERT_EQUAL(STORE(&rig, "44", .op = REQUEST_PREPEND, KEY("a"), .client_flags = 7),
	                REPLY_STORED);
	CU_ASSERT_TRUE(rig_is(&rig, "a", "44333"));
	reply = rig_get(&rig, "a");
	CU_ASSERT_EQUAL(reply.client_flags, 5);
	CU_ASSERT_NOT_EQUAL(reply.cas_unique, cas);
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, total_items), 3);
	rig.now_s += 10;
	CU_ASSERT_FALSE(rig_has(&rig, "a"));
	rig_destroy(&rig);
}

static void test_append_over_limit(void)
{
	struct rig rig;
	struct slice half = rig_pattern(600, 1);
	struct request request = {.op = REQUEST_SET, KEY("a")};

	rig_create(&rig, (struct rig_options){.value_bytes_max = 1024});
	rig_store(&rig, request, half);
	request.op = REQUEST_APPEND;
	CU_ASSERT_EQUAL(rig_store(&rig, request, half), REPLY_NOT_STORED);
	CU_ASSERT_TRUE(rig_value_is(&rig, "a", half));
	CU_ASSERT_EQUAL(RIG_COUNTER(&rig, cmd_set), 2);
	CU_ASSERT_EQUAL(RIG_COUNTER(&rig, store_too_large), 0);
	free((void *)(uintptr_t)half.data);
	rig_destroy(&rig);
}

static void test_too_large(void)
{
	static const enum request_op others[] = {REQUEST_ADD, REQUEST_REPLACE, REQUEST_APPEND,
	                                         REQUEST_PREPEND, REQUEST_CAS};
	struct rig rig;
	struct slice most = rig_pattern(1024, 1);
	struct slice more = rig_pattern(1025, 1);

	rig_create(&rig, (struct rig_options){.value_bytes_max = 1024});
	rig_store(&rig, (struct request){.op = REQUEST_SET, KEY("a")}, most);
	CU_ASSERT_TRUE(rig_value_is(&rig, "a", most));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct request request = {.op = others[i], KEY("a")};

		CU_ASSERT_EQUAL(rig_store(&rig, request, more), REPLY_TOO_LARGE);
		CU_ASSERT_TRUE(rig_value_is(&rig, "a", most));
	}
	CU_ASSERT_EQUAL(rig_store(&rig, (struct request){.op = REQUEST_SET, KEY("a")}, more),
	                REPLY_TOO_LARGE);
	CU_ASSERT_FALSE(rig_has(&rig, "a"));
	CU_ASSERT_EQUAL(RIG_COUNTER(&rig, store_too_large), 6);
	CU_ASSERT_EQUAL(RIG_COUNTER(&rig, cmd_set), 1);
	free((void *)(uintptr_t)most.data);
	free((void *)(uintptr_t)more.data);
	rig_destroy(&rig);
}

static void test_delete(void)
{
	struct rig rig;

	rig_create(&rig, (struct rig_options){0});
	CU_ASSERT_EQUAL(EXECUTE(&rig, .op = REQUEST_DELETE, KEY("a")).status, REPLY_NOT_FOUND);
	rig_set(&rig, "a", "1");
	CU_ASSERT_EQUAL(EXECUTE(&rig, .op = REQUEST_DELETE, KEY("a")).status, REPLY_DELETED);
	CU_ASSERT_FALSE(rig_has(&rig, "a"));
	CU_ASSERT_EQUAL(RIG_COUNTER(&rig, delete_hits), 1);
	CU_ASSERT_EQUAL(RIG_COUNTER(&rig, delete_misses), 1);
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, curr_items), 0);
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, bytes), 0);
	rig_destroy(&rig);
}

struct delta_case {
	const char *before;
	const char *after; /* NULL: not numeric */
	enum request_op op;
	uint64_t delta;
	uint64_t number;
};

static const struct delta_case delta_cases[] = {
    {"10", "11", REQUEST_INCR, 1, 11},
    {"10", "9 ", REQUEST_DECR, 1, 9},
    {"9", "10", REQUEST_INCR, 1, 10},
    {"100", "9  ", REQUEST_DECR, 91, 9},
    {"9  ", "10 ", REQUEST_INCR, 1, 10},
    {"10 ", "1001", REQUEST_INCR, 991, 1001},
    {"5", "0", REQUEST_DECR, 6, 0},
    {"0", "18446744073709551615", REQUEST_INCR, UINT64_MAX, UINT64_MAX},
    {"18446744073709551615", "0                   ", REQUEST_INCR, 1, 0},
    {"18446744073709551615", "4                   ", REQUEST_INCR, 5, 4},
    {"18446744073709551616", NULL, REQUEST_INCR, 1, 0},
    {"99999999999999999999", NULL, REQUEST_DECR, 1, 0},
    {"", NULL, REQUEST_INCR, 1, 0},
    {" ", NULL, REQUEST_INCR, 1, 0},
    {"abc", NULL, REQUEST_INCR, 1, 0},
    {"5x", NULL, REQUEST_INCR, 1, 0},
    {"-5", NULL, REQUEST_INCR, 1, 0},
    {"-0", "1 ", REQUEST_INCR, 1, 1},
    {"+5", "6 ", REQUEST_INCR, 1, 6},
    {" 5", "6 ", REQUEST_INCR, 1, 6},
    {"5\t", "4 ", REQUEST_DECR, 1, 4},
    {"5   x", "6    ", REQUEST_INCR, 1, 6},
    {"007", "8  ", REQUEST_INCR, 1, 8},
    {"0000000000000000000007", "8                     ", REQUEST_INCR, 1, 8},
};

static void test_incr_decr(void)
{
	struct rig rig;

	rig_create(&rig, (struct rig_options){0});
	for (size_t i = 0; i < sizeof(delta_cases) / sizeof(delta_cases[0]); i++) {
		const struct delta_case *c = &delta_cases[i];
		struct reply reply;

		rig_set(&rig, "n", c->before);
		reply = EXECUTE(&rig, .op = c->op, KEY("n"), .delta = c->delta);
		if (c->after == NULL) {
			CU_ASSERT_EQUAL(reply.status, REPLY_NOT_NUMERIC);
			CU_ASSERT_TRUE(rig_is(&rig, "n", c->before));
			continue;
		}
		CU_ASSERT_EQUAL(reply.status, REPLY_NUMBER);
		CU_ASSERT_EQUAL(reply.number, c->number);
		CU_ASSERT_TRUE(rig_is(&rig, "n", c->after));
	}
	CU_ASSERT_EQUAL(EXECUTE(&rig, .op = REQUEST_INCR, KEY("x")).status, REPLY_NOT_FOUND);
	CU_ASSERT_EQUAL(EXECUTE(&rig, .op = REQUEST_DECR, KEY("x")).status, REPLY_NOT_FOUND);
	CU_ASSERT_EQUAL(RIG_COUNTER(&rig, incr_misses), 1);
	CU_ASSERT_EQUAL(RIG_COUNTER(&rig, decr_misses), 1);
	CU_ASSERT_EQUAL(RIG_COUNTER(&rig, incr_hits), 13);
	CU_ASSERT_EQUAL(RIG_COUNTER(&rig, decr_hits), 4);
	rig_destroy(&rig);
}

static void test_incr_keeps(void)
{
	struct rig rig;
	struct reply before, after;

	rig_create(&rig, (struct rig_options){0});
	STORE(&rig, "10", .op = REQUEST_SET, KEY("n"), .client_flags = 3, .exptime = 5);
	before = rig_get(&rig, "n");
	EXECUTE(&rig, .op = REQUEST_INCR, KEY("n"), .delta = 1);
	after = rig_get(&rig, "n");
	CU_ASSERT_EQUAL(after.client_flags, 3);
	CU_ASSERT_NOT_EQUAL(after.cas_unique, before.cas_unique);
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, total_items), 1);
	EXECUTE(&rig, .op = REQUEST_INCR, KEY("n"), .delta = 100);
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, total_items), 2);
	CU_ASSERT_EQUAL(RIG_COUNTER(&rig, cmd_set), 1);
	rig.now_s += 5;
	CU_ASSERT_FALSE(rig_has(&rig, "n"));
	rig_destroy(&rig);
}

static void test_touch_and_gat(void)
{
	struct rig rig;
	struct reply reply;
	uint64_t cas;

	rig_create(&rig, (struct rig_options){0});
	CU_ASSERT_EQUAL(EXECUTE(&rig, .op = REQUEST_TOUCH, KEY("a")).status, REPLY_NOT_FOUND);
	CU_ASSERT_EQUAL(EXECUTE(&rig, .op = REQUEST_GAT, KEY("a")).status, REPLY_MISS);
	STORE(&rig, "1", .op = REQUEST_SET, KEY("a"), .client_flags = 9, .exptime = 5);
	cas = cas_of(&rig, "a");
	CU_ASSERT_EQUAL(EXECUTE(&rig, .op = REQUEST_TOUCH, KEY("a"), .exptime = 10).status,
	                REPLY_TOUCHED);
	rig.now_s += 9;
	reply = EXECUTE(&rig, .op = REQUEST_GAT, KEY("a"), .exptime = 100);
	CU_ASSERT_EQUAL(reply.status, REPLY_HIT);
	CU_ASSERT_EQUAL(reply.client_flags, 9);
	CU_ASSERT_EQUAL(reply.cas_unique, cas);
	rig.now_s += 99;
	CU_ASSERT_TRUE(rig_is(&rig, "a", "1"));
	EXECUTE(&rig, .op = REQUEST_TOUCH, KEY("a"), .exptime = 0);
	rig.now_s += 1000000;
	CU_ASSERT_EQUAL(cas_of(&rig, "a"), cas);
	CU_ASSERT_EQUAL(EXECUTE(&rig, .op = REQUEST_GAT, KEY("a"), .exptime = -1).status,
	                REPLY_HIT);
	CU_ASSERT_FALSE(rig_has(&rig, "a"));
	CU_ASSERT_EQUAL(RIG_COUNTER(&rig, cmd_touch), 6);
	CU_ASSERT_EQUAL(RIG_COUNTER(&rig, touch_hits), 4);
	CU_ASSERT_EQUAL(RIG_COUNTER(&rig, touch_misses), 2);
	CU_ASSERT_EQUAL(RIG_COUNTER(&rig, get_hits), 3);
	CU_ASSERT_EQUAL(RIG_COUNTER(&rig, get_expired), 1);
	CU_ASSERT_EQUAL(RIG_COUNTER(&rig, cmd_get), 4);
	rig_destroy(&rig);
}

/* Seconds from now on that a key with this exptime can be read in. */
static uint32_t lifetime_s(struct rig *rig, int64_t exptime)
{
	uint32_t start_s = rig->now_s;

	STORE(rig, "1", .op = REQUEST_SET, KEY("e"), .exptime = exptime);
	while (rig->now_s - start_s < 100 && rig_has(rig, "e"))
		rig->now_s++;
	return rig->now_s - start_s;
}

static void test_exptime(void)
{
	struct rig rig;
	int64_t now;

	rig_create(&rig, (struct rig_options){0});
	CU_ASSERT_EQUAL(lifetime_s(&rig, -1), 0);
	CU_ASSERT_EQUAL(lifetime_s(&rig, INT64_MIN), 0);
	CU_ASSERT_EQUAL(lifetime_s(&rig, 0), 100);
	CU_ASSERT_EQUAL(lifetime_s(&rig, 1), 1);
	CU_ASSERT_EQUAL(lifetime_s(&rig, 60), 60);
	CU_ASSERT_EQUAL(lifetime_s(&rig, 60 * 60 * 24 * 30), 100);
	CU_ASSERT_EQUAL(lifetime_s(&rig, 60 * 60 * 24 * 30 + 1), 0);
	CU_ASSERT_EQUAL(lifetime_s(&rig, RIG_UNIX_TIME_S), 0);
	now = (int64_t)RIG_UNIX_TIME_S + rig.now_s;
	CU_ASSERT_EQUAL(lifetime_s(&rig, now + 7), 7);
	now = (int64_t)RIG_UNIX_TIME_S + rig.now_s;
	CU_ASSERT_EQUAL(lifetime_s(&rig, now - 1), 0);
	CU_ASSERT_EQUAL(lifetime_s(&rig, INT64_MAX), 100);
	rig_destroy(&rig);
}

static void test_expired_is_counted(void)
{
	struct rig rig;

	rig_create(&rig, (struct rig_options){0});
	STORE(&rig, "1", .op = REQUEST_SET, KEY("e"), .exptime = -1);
	CU_ASSERT_EQUAL(EXECUTE(&rig, .op = REQUEST_DELETE, KEY("e")).status, REPLY_NOT_FOUND);
	CU_ASSERT_EQUAL(RIG_COUNTER(&rig, get_expired), 1);
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, reclaimed), 0);
	STORE(&rig, "1", .op = REQUEST_SET, KEY("e"), .exptime = -1);
	CU_ASSERT_EQUAL(STORE(&rig, "1", .op = REQUEST_REPLACE, KEY("e")), REPLY_NOT_STORED);
	CU_ASSERT_EQUAL(RIG_COUNTER(&rig, get_expired), 1);
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, reclaimed), 1);
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, expired_unfetched), 1);
	STORE(&rig, "1", .op = REQUEST_SET, KEY("e"));
	rig_get(&rig, "e");
	EXECUTE(&rig, .op = REQUEST_TOUCH, KEY("e"), .exptime = -1);
	CU_ASSERT_EQUAL(STORE(&rig, "2", .op = REQUEST_ADD, KEY("e")), REPLY_STORED);
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, reclaimed), 2);
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, expired_unfetched), 1);
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, evictions), 0);
	rig_destroy(&rig);
}

static void test_flush_now(void)
{
	struct rig rig;

	rig_create(&rig, (struct rig_options){0});
	rig_set(&rig, "a", "1");
	rig_set(&rig, "b", "1");
	CU_ASSERT_EQUAL(EXECUTE(&rig, .op = REQUEST_FLUSH_ALL).status, REPLY_OK);
	rig_set(&rig, "c", "1");
	CU_ASSERT_FALSE(rig_has(&rig, "a"));
	CU_ASSERT_TRUE(rig_has(&rig, "c"));
	CU_ASSERT_EQUAL(STORE(&rig, "2", .op = REQUEST_ADD, KEY("b")), REPLY_STORED);
	CU_ASSERT_TRUE(rig_is(&rig, "b", "2"));
	CU_ASSERT_EQUAL(RIG_COUNTER(&rig, get_flushed), 1);
	CU_ASSERT_EQUAL(RIG_COUNTER(&rig, cmd_flush), 1);
	rig_destroy(&rig);
}

static void test_flush_later(void)
{
	struct rig rig;

	rig_create(&rig, (struct rig_options){0});
	rig_set(&rig, "a", "1");
	EXECUTE(&rig, .op = REQUEST_FLUSH_ALL, .exptime = 3);
	rig.now_s += 2;
	rig_set(&rig, "b", "1");
	CU_ASSERT_TRUE(rig_has(&rig, "a"));
	CU_ASSERT_TRUE(rig_has(&rig, "b"));
	rig.now_s += 1;
	rig_set(&rig, "c", "1");
	CU_ASSERT_FALSE(rig_has(&rig, "a"));
	CU_ASSERT_FALSE(rig_has(&rig, "b"));
	CU_ASSERT_TRUE(rig_has(&rig, "c"));
	EXECUTE(&rig, .op = REQUEST_FLUSH_ALL, .exptime = 3);
	EXECUTE(&rig, .op = REQUEST_FLUSH_ALL, .exptime = 30);
	rig.now_s += 29;
	CU_ASSERT_TRUE(rig_has(&rig, "c"));
	rig.now_s += 1;
	CU_ASSERT_FALSE(rig_has(&rig, "c"));
	rig_destroy(&rig);
}

static void test_value_commits_late(void)
{
	struct rig rig;
	struct shard_write writes[2];
	struct request request = {.op = REQUEST_SET, KEY("a"), .value_bytes = 4};
	struct reply reply;

	rig_create(&rig, (struct rig_options){0});
	rig_set(&rig, "a", "old");
	shard_write_begin(rig.shard, &writes[0], &request, rig.now_s);
	shard_write_bytes(rig.shard, &writes[0], (const uint8_t *)"fi", 2);
	request.op = REQUEST_ADD;
	shard_write_begin(rig.shard, &writes[1], &request, rig.now_s);
	CU_ASSERT_EQUAL(writes[0].left_bytes, 2);
	shard_write_bytes(rig.shard, &writes[1], (const uint8_t *)"last", 4);
	CU_ASSERT_TRUE(rig_is(&rig, "a", "old"));
	shard_check(rig.shard);
	shard_write_bytes(rig.shard, &writes[0], (const uint8_t *)"ve", 2);
	shard_write_commit(rig.shard, &writes[0], rig.now_s, &reply);
	CU_ASSERT_EQUAL(reply.status, REPLY_STORED);
	shard_write_commit(rig.shard, &writes[1], rig.now_s, &reply);
	CU_ASSERT_EQUAL(reply.status, REPLY_NOT_STORED);
	CU_ASSERT_TRUE(rig_is(&rig, "a", "five"));
	rig_destroy(&rig);
}

/* A flush condemns the segments there are, and this one is being written to. */
static void test_value_outlives_a_flush(void)
{
	struct rig rig;
	struct shard_write writes[2];
	struct request request = {.op = REQUEST_SET,
	                          KEY("a"),
	                          .client_flags = 7,
	                          .exptime = 100,
	                          .modifiers = REQUEST_NEW_CAS,
	                          .new_cas = 77};
	struct slice value = rig_pattern(300000, 3);
	struct reply reply;

	rig_create(&rig, (struct rig_options){0});
	rig_set(&rig, "old", "old");
	request.value_bytes = 4;
	shard_write_begin(rig.shard, &writes[0], &request, rig.now_s);
	shard_write_bytes(rig.shard, &writes[0], (const uint8_t *)"fi", 2);
	request.key = rig_slice("large");
	request.value_bytes = value.length;
	shard_write_begin(rig.shard, &writes[1], &request, rig.now_s);
	CU_ASSERT_EQUAL(EXECUTE(&rig, .op = REQUEST_FLUSH_ALL).status, REPLY_OK);
	CU_ASSERT_FALSE(rig_has(&rig, "old"));
	shard_check(rig.shard);
	shard_write_bytes(rig.shard, &writes[0], (const uint8_t *)"ve", 2);
	shard_write_commit(rig.shard, &writes[0], rig.now_s, &reply);
	CU_ASSERT_EQUAL(reply.status, REPLY_STORED);
	shard_write_bytes(rig.shard, &writes[1], value.data, value.length);
	shard_write_commit(rig.shard, &writes[1], rig.now_s, &reply);
	CU_ASSERT_EQUAL(reply.status, REPLY_STORED);
	shard_check(rig.shard);
	CU_ASSERT_TRUE(rig_is(&rig, "a", "five"));
	CU_ASSERT_TRUE(rig_has(&rig, "large"));
	CU_ASSERT_EQUAL(rig_get(&rig, "a").client_flags, 7);
	CU_ASSERT_EQUAL(rig_get(&rig, "a").cas_unique, 77);
	CU_ASSERT_EQUAL(EXECUTE(&rig, .op = REQUEST_FLUSH_ALL).status, REPLY_OK);
	CU_ASSERT_FALSE(rig_has(&rig, "a"));
	CU_ASSERT_FALSE(rig_has(&rig, "large"));
	free((void *)(uintptr_t)value.data);
	rig_destroy(&rig);
}

static void test_abandoned_value(void)
{
	struct rig rig;
	struct shard_write write;
	struct request request = {.op = REQUEST_SET, KEY("a"), .value_bytes = 300000};
	struct slice value = rig_pattern(300000, 3);

	rig_create(&rig, (struct rig_options){0});
	rig_set(&rig, "a", "old");
	for (uint32_t length = 0; length <= 300000; length += 100000) {
		shard_write_begin(rig.shard, &write, &request, rig.now_s);
		shard_write_bytes(rig.shard, &write, value.data, length);
		shard_check(rig.shard);
		shard_write_abandon(rig.shard, &write);
		CU_ASSERT_TRUE(rig_is(&rig, "a", "old"));
		shard_check(rig.shard);
	}
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&rig, reservations), 0);
	/* The first set, and the one that all bytes came for. */
	CU_ASSERT_EQUAL(RIG_COUNTER(&rig, cmd_set), 2);
	free((void *)(uintptr_t)value.data);
	rig_destroy(&rig);
}

static void test_create_refuses(void)
{
	struct shard_options options = {.value_bytes_max = 1 << 20};
	struct memory memory = {0};
	struct shard *shard = NULL;

	options.memory_bytes = shard_memory_bytes_min(options.value_bytes_max, 1) - 1;
	CU_ASSERT_EQUAL(shard_create(&shard, &options, &memory), -EINVAL);
	options.memory_bytes = 0;
	CU_ASSERT_EQUAL(shard_create(&shard, &options, &memory), -EINVAL);
	options = (struct shard_options){.memory_bytes = 8 << 20, .value_bytes_max = 1023};
	CU_ASSERT_EQUAL(shard_create(&shard, &options, &memory), -EINVAL);
	options =
	    (struct shard_options){.memory_bytes = 8ull << 30, .value_bytes_max = (1u << 30) + 1};
	CU_ASSERT_EQUAL(shard_create(&shard, &options, &memory), -EINVAL);
	CU_ASSERT_PTR_NULL(shard);
}

static const struct unit_case cases[] = {
    {"set always stores, add when there is none, replace when there is one", test_set_add_replace},
    {"keys of 1 to 250 bytes that are prefixes of each other are told apart",
     test_keys_of_all_lengths},
    {"cas stores only what nobody has changed", test_cas},
    {"append and prepend keep flags and expiry", test_append_prepend},
    {"append over the limit is not stored and keeps the old value", test_append_over_limit},
    {"a set over the limit removes the old value, others keep it", test_too_large},
    {"delete", test_delete},
    {"incr and decr wrap, stop and pad as memcached does", test_incr_decr},
    {"incr keeps flags and expiry, and is a new item only when longer", test_incr_keeps},
    {"touch and gat change the expiry alone", test_touch_and_gat},
    {"exptime is never, at once, relative or absolute", test_exptime},
    {"expired items are counted where memcached counts them", test_expired_is_counted},
    {"flush_all spares what is set in the same second", test_flush_now},
    {"a value on its way in outlives a flush_all", test_value_outlives_a_flush},
    {"a delayed flush_all takes what was stored until it is due", test_flush_later},
    {"a value decides when it is whole, not when it begins", test_value_commits_late},
    {"an abandoned value leaves nothing", test_abandoned_value},
    {"creation refuses memory or limits out of range", test_create_refuses},
};

int main(void)
{
	return UNIT_RUN("shard", cases);
}
