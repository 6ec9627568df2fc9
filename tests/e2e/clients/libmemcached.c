/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libmemcached's C interface against a server at 127.0.0.1:
 *
 *     libmemcached PORT text|binary          everything but what takes time
 *     libmemcached PORT text|binary NAME     that alone
 *
 * For each claim it prints `ok - NAME` or `not ok - NAME: what did not hold`.
 * Exit status 0: all held.
 */
#include <inttypes.h>
#include <libmemcached/memcached.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEY_COUNT       1000
#define MILLION         1000000
#define VALUE_BYTES_MAX (1024 * 1024)
#define TIMEOUT_MS      5000

/* Each claim has keys of its own, so none depends on another. */
struct client {
	memcached_st *memc;
	uint16_t port;
	bool is_binary;
};

/* Ends a claim with what did not hold. */
#define HOLDS(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return #condition;                                                         \
	} while (0)

#define KEY(literal) (literal), sizeof(literal) - 1

static memcached_st *connect_to(uint16_t port, bool is_binary)
{
	memcached_st *memc = memcached_create(NULL);

	if (memc == NULL)
		abort();
	memcached_behavior_set(memc, MEMCACHED_BEHAVIOR_BINARY_PROTOCOL, is_binary);
	memcached_behavior_set(memc, MEMCACHED_BEHAVIOR_POLL_TIMEOUT, TIMEOUT_MS);
	memcached_server_add(memc, "127.0.0.1", port);
	return memc;
}

static memcached_return_t set(memcached_st *memc, const char *key, const char *value)
{
	return memcached_set(memc, key, strlen(key), value, strlen(value), 0, 0);
}

/* Whether a get gives this value; NULL for a miss. */
static bool has(memcached_st *memc, const char *key, const char *value)
{
	memcached_return_t r;
	size_t length;
	uint32_t flags;
	char *got = memcached_get(memc, key, strlen(key), &length, &flags, &r);
	bool same = value == NULL ? r == MEMCACHED_NOTFOUND
	                          : r == MEMCACHED_SUCCESS && length == strlen(value) &&
	                                memcmp(got, value, length) == 0;

	free(got);
	return same;
}

static const char *get_gives_value_and_flags(struct client *client)
{
	static const char value[] = "a\r\nEND\r\n\0b";
	memcached_return_t r;
	size_t length;
	uint32_t flags;
	char *got;

	r = memcached_set(client->memc, KEY("flags"), value, sizeof(value), 0, 0xdeadbeef);
	HOLDS(r == MEMCACHED_SUCCESS);
	got = memcached_get(client->memc, KEY("flags"), &length, &flags, &r);
	HOLDS(r == MEMCACHED_SUCCESS && length == sizeof(value));
	HOLDS(memcmp(got, value, length) == 0 && flags == 0xdeadbeef);
	free(got);
	HOLDS(set(client->memc, "empty", "") == MEMCACHED_SUCCESS);
	got = memcached_get(client->memc, KEY("empty"), &length, &flags, &r);
	HOLDS(r == MEMCACHED_SUCCESS && length == 0 && flags == 0);
	free(got);
	HOLDS(has(client->memc, "missing", NULL));
	return NULL;
}

/* Keys i = 0 … KEY_COUNT - 1 hold i, with i as flags; those of the same numbers with an m do not
 * exist. Binary: a batch of GETKQ, ended by NOOP. */
static const char *mget_of_1000_keys_gives_each_once(struct client *client)
{
	static char names[2 * KEY_COUNT][16];
	static const char *keys[2 * KEY_COUNT];
	static size_t lengths[2 * KEY_COUNT];
	static bool seen[KEY_COUNT];
	memcached_result_st result;
	memcached_return_t r;
	uint32_t count = 0;

	for (uint32_t i = 0; i < KEY_COUNT; i++) {
		lengths[2 * i] = (size_t)sprintf(names[2 * i], "mget-%" PRIu32, i);
		lengths[2 * i + 1] = (size_t)sprintf(names[2 * i + 1], "mgetm-%" PRIu32, i);
		keys[2 * i] = names[2 * i];
		keys[2 * i + 1] = names[2 * i + 1];
		r = memcached_set(client->memc, keys[2 * i], lengths[2 * i], names[2 * i],
		                  lengths[2 * i], 0, i);
		HOLDS(r == MEMCACHED_SUCCESS);
	}
	HOLDS(memcached_mget(client->memc, keys, lengths, 2 * KEY_COUNT) == MEMCACHED_SUCCESS);
	memcached_result_create(client->memc, &result);
	while (memcached_fetch_result(client->memc, &result, &r) != NULL) {
		uint32_t i = memcached_result_flags(&result);

		HOLDS(r == MEMCACHED_SUCCESS && i < KEY_COUNT && !seen[i]);
		seen[i] = true;
		count++;
		HOLDS(memcached_result_key_length(&result) == lengths[2 * i]);
		HOLDS(memcmp(memcached_result_key_value(&result), keys[2 * i], lengths[2 * i]) ==
		      0);
		HOLDS(memcached_result_length(&result) == lengths[2 * i]);
		HOLDS(memcmp(memcached_result_value(&result), keys[2 * i], lengths[2 * i]) == 0);
	}
	HOLDS(r == MEMCACHED_END || r == MEMCACHED_NOTFOUND);
	HOLDS(count == KEY_COUNT);
	memcached_result_free(&result);
	HOLDS(has(client->memc, "mget-7", "mget-7"));
	return NULL;
}

static const char *add_and_replace_look_at_what_is_there(struct client *client)
{
	memcached_return_t r;

	memcached_delete(client->memc, KEY("add"), 0);
	r = memcached_replace(client->memc, KEY("add"), KEY("0"), 0, 0);
	HOLDS(r == MEMCACHED_NOTSTORED || r == MEMCACHED_NOTFOUND);
	HOLDS(memcached_add(client->memc, KEY("add"), KEY("1"), 0, 0) == MEMCACHED_SUCCESS);
	r = memcached_add(client->memc, KEY("add"), KEY("2"), 0, 0);
	HOLDS(r == MEMCACHED_NOTSTORED || r == MEMCACHED_DATA_EXISTS);
	HOLDS(memcached_replace(client->memc, KEY("add"), KEY("3"), 0, 0) == MEMCACHED_SUCCESS);
	HOLDS(has(client->memc, "add", "3"));
	return NULL;
}

static const char *append_and_prepend_join(struct client *client)
{
	HOLDS(set(client->memc, "joined", "-") == MEMCACHED_SUCCESS);
	HOLDS(memcached_append(client->memc, KEY("joined"), KEY("right"), 0, 0) ==
	      MEMCACHED_SUCCESS);
	HOLDS(memcached_prepend(client->memc, KEY("joined"), KEY("left"), 0, 0) ==
	      MEMCACHED_SUCCESS);
	HOLDS(has(client->memc, "joined", "left-right"));
	HOLDS(memcached_append(client->memc, KEY("joined-missing"), KEY("x"), 0, 0) ==
	      MEMCACHED_NOTSTORED);
	return NULL;
}

/* The item's cas, 0 if there is none. */
static uint64_t gets(memcached_st *memc, const char *key)
{
	const size_t length = strlen(key);
	memcached_result_st *result;
	memcached_return_t r;
	uint64_t cas = 0;

	if (memcached_mget(memc, &key, &length, 1) != MEMCACHED_SUCCESS)
		return 0;
	while ((result = memcached_fetch_result(memc, NULL, &r)) != NULL) {
		cas = memcached_result_cas(result);
		memcached_result_free(result);
	}
	return cas;
}

static const char *cas_stores_once(struct client *client)
{
	memcached_return_t r;
	uint64_t cas;

	memcached_behavior_set(client->memc, MEMCACHED_BEHAVIOR_SUPPORT_CAS, 1);
	HOLDS(set(client->memc, "cas", "old") == MEMCACHED_SUCCESS);
	cas = gets(client->memc, "cas");
	HOLDS(cas != 0);
	r = memcached_cas(client->memc, KEY("cas"), KEY("new"), 0, 0, cas);
	HOLDS(r == MEMCACHED_SUCCESS);
	r = memcached_cas(client->memc, KEY("cas"), KEY("newer"), 0, 0, cas);
	HOLDS(r == MEMCACHED_DATA_EXISTS);
	r = memcached_cas(client->memc, KEY("cas-missing"), KEY("x"), 0, 0, cas);
	HOLDS(r == MEMCACHED_NOTFOUND);
	HOLDS(has(client->memc, "cas", "new"));
	HOLDS(gets(client->memc, "cas") != cas);
	return NULL;
}

static const char *increment_and_decrement_count(struct client *client)
{
	memcached_return_t r;
	uint64_t value;

	HOLDS(set(client->memc, "counter", "10") == MEMCACHED_SUCCESS);
	r = memcached_increment(client->memc, KEY("counter"), 32, &value);
	HOLDS(r == MEMCACHED_SUCCESS && value == 42);
	r = memcached_decrement(client->memc, KEY("counter"), 2, &value);
	HOLDS(r == MEMCACHED_SUCCESS && value == 40);
	r = memcached_decrement(client->memc, KEY("counter"), 100, &value);
	HOLDS(r == MEMCACHED_SUCCESS && value == 0);
	HOLDS(memcached_increment(client->memc, KEY("counter-missing"), 1, &value) ==
	      MEMCACHED_NOTFOUND);
	HOLDS(set(client->memc, "counter", "18446744073709551615") == MEMCACHED_SUCCESS);
	r = memcached_increment(client->memc, KEY("counter"), 2, &value);
	HOLDS(r == MEMCACHED_SUCCESS && value == 1);
	HOLDS(set(client->memc, "counter", "words") == MEMCACHED_SUCCESS);
	HOLDS(memcached_increment(client->memc, KEY("counter"), 1, &value) != MEMCACHED_SUCCESS);
	HOLDS(has(client->memc, "counter", "words"));
	return NULL;
}

static const char *increment_with_initial_creates(struct client *client)
{
	memcached_return_t r;
	uint64_t value;

	memcached_delete(client->memc, KEY("initial"), 0);
	r = memcached_increment_with_initial(client->memc, KEY("initial"), 5, 100, 0, &value);
	HOLDS(r == MEMCACHED_SUCCESS && value == 100);
	r = memcached_increment_with_initial(client->memc, KEY("initial"), 5, 100, 0, &value);
	HOLDS(r == MEMCACHED_SUCCESS && value == 105);
	r = memcached_decrement_with_initial(client->memc, KEY("initial"), 6, 100, 0, &value);
	HOLDS(r == MEMCACHED_SUCCESS && value == 99);
	HOLDS(has(client->memc, "initial", "99 ") || has(client->memc, "initial", "99"));
	r = memcached_increment_with_initial(client->memc, KEY("initial-missing"), 5, 100,
	                                     MEMCACHED_EXPIRATION_NOT_ADD, &value);
	HOLDS(r == MEMCACHED_NOTFOUND);
	return NULL;
}

static const char *touch_and_exist_look_without_getting(struct client *client)
{
	HOLDS(set(client->memc, "touched", "x") == MEMCACHED_SUCCESS);
	HOLDS(memcached_touch(client->memc, KEY("touched"), 100) == MEMCACHED_SUCCESS);
	HOLDS(memcached_touch(client->memc, KEY("touch-missing"), 100) == MEMCACHED_NOTFOUND);
	HOLDS(memcached_exist(client->memc, KEY("touched")) == MEMCACHED_SUCCESS);
	HOLDS(memcached_exist(client->memc, KEY("exist-missing")) == MEMCACHED_NOTFOUND);
	HOLDS(
	    has(client->memc, "exist-missing", NULL)); /* it asks by an add that is long expired */
	HOLDS(has(client->memc, "touched", "x"));
	return NULL;
}

static const char *delete_says_whether_the_key_was_there(struct client *client)
{
	HOLDS(set(client->memc, "deleted", "x") == MEMCACHED_SUCCESS);
	HOLDS(memcached_delete(client->memc, KEY("deleted"), 0) == MEMCACHED_SUCCESS);
	HOLDS(memcached_delete(client->memc, KEY("deleted"), 0) == MEMCACHED_NOTFOUND);
	HOLDS(has(client->memc, "deleted", NULL));
	return NULL;
}

static const char *a_million_bytes_come_back(struct client *client)
{
	char *value = malloc(MILLION), *got;
	memcached_return_t r;
	size_t length;
	uint32_t flags;

	for (size_t i = 0; i < MILLION; i++)
		value[i] = (char)(i * 7 + i / 251);
	r = memcached_set(client->memc, KEY("million"), value, MILLION, 0, 0);
	HOLDS(r == MEMCACHED_SUCCESS);
	got = memcached_get(client->memc, KEY("million"), &length, &flags, &r);
	HOLDS(r == MEMCACHED_SUCCESS && length == MILLION && memcmp(got, value, MILLION) == 0);
	free(got);
	free(value);
	return NULL;
}

static const char *a_value_over_the_limit_is_too_big_and_no_more(struct client *client)
{
	char *value = calloc(1, 2 * VALUE_BYTES_MAX);
	memcached_return_t r;

	HOLDS(set(client->memc, "beside", "x") == MEMCACHED_SUCCESS);
	HOLDS(set(client->memc, "over", "old") == MEMCACHED_SUCCESS);
	r = memcached_set(client->memc, KEY("over"), value, VALUE_BYTES_MAX + 1, 0, 0);
	HOLDS(r == MEMCACHED_E2BIG);
	HOLDS(has(client->memc, "beside", "x"));
	HOLDS(has(client->memc, "over", NULL)); /* the old value is not left as if current */
	r = memcached_set(client->memc, KEY("over"), value, 2 * VALUE_BYTES_MAX, 0, 0);
	HOLDS(r == MEMCACHED_E2BIG);
	HOLDS(has(client->memc, "beside", "x"));
	free(value);
	return NULL;
}

static const char *a_key_of_250_bytes_is_good(struct client *client)
{
	char key[252];

	memset(key, 'k', sizeof(key));
	key[250] = '\0';
	HOLDS(set(client->memc, key, "x") == MEMCACHED_SUCCESS);
	HOLDS(has(client->memc, key, "x"));
	key[250] = 'k';
	key[251] = '\0';
	HOLDS(set(client->memc, key, "x") == MEMCACHED_BAD_KEY_PROVIDED);
	return NULL;
}

static const char *buffered_requests_are_sent_at_the_flush(struct client *client)
{
	memcached_st *other = connect_to(client->port, client->is_binary);
	char key[16];

	memcached_behavior_set(client->memc, MEMCACHED_BEHAVIOR_BUFFER_REQUESTS, 1);
	for (int i = 0; i < 100; i++) {
		sprintf(key, "buffered-%d", i);
		HOLDS(set(client->memc, key, key) == MEMCACHED_BUFFERED);
	}
	HOLDS(memcached_flush_buffers(client->memc) == MEMCACHED_SUCCESS);
	for (int i = 0; i < 100; i++) {
		sprintf(key, "buffered-%d", i);
		HOLDS(has(client->memc, key, key));
	}
	memcached_delete(client->memc, KEY("buffered-1"), 0);
	HOLDS(has(client->memc, "buffered-2", "buffered-2")); /* a get sends what waits */
	HOLDS(has(other, "buffered-1", NULL));
	memcached_free(other);
	return NULL;
}

static const char *without_replies_all_is_the_same(struct client *client)
{
	uint64_t value;
	char key[16];

	memcached_behavior_set(client->memc, MEMCACHED_BEHAVIOR_NOREPLY, 1);
	for (int i = 0; i < 100; i++) {
		sprintf(key, "noreply-%d", i);
		HOLDS(set(client->memc, key, "10") == MEMCACHED_SUCCESS);
	}
	if (!client->is_binary) {
		/* Binary: errors come all the same, and libmemcached takes them for what a get
		 * gave. */
		memcached_add(client->memc, KEY("noreply-1"), KEY("refused"), 0, 0);
		memcached_delete(client->memc, KEY("noreply-missing"), 0);
	}
	memcached_replace(client->memc, KEY("noreply-2"), KEY("new"), 0, 0);
	memcached_append(client->memc, KEY("noreply-3"), KEY(">"), 0, 0);
	memcached_prepend(client->memc, KEY("noreply-3"), KEY("<"), 0, 0);
	memcached_delete(client->memc, KEY("noreply-4"), 0);
	memcached_increment(client->memc, KEY("noreply-5"), 5, &value);
	memcached_decrement(client->memc, KEY("noreply-6"), 1, &value);
	HOLDS(has(client->memc, "noreply-0", "10"));
	HOLDS(has(client->memc, "noreply-1", "10"));
	HOLDS(has(client->memc, "noreply-2", "new"));
	HOLDS(has(client->memc, "noreply-3", "<10>"));
	HOLDS(has(client->memc, "noreply-4", NULL));
	HOLDS(has(client->memc, "noreply-5", "15"));
	HOLDS(has(client->memc, "noreply-6", "9 ") || has(client->memc, "noreply-6", "9"));
	HOLDS(has(client->memc, "noreply-99", "10"));
	return NULL;
}

static const char *without_blocking_all_is_the_same(struct client *client)
{
	memcached_behavior_set(client->memc, MEMCACHED_BEHAVIOR_NO_BLOCK, 1);
	memcached_behavior_set(client->memc, MEMCACHED_BEHAVIOR_TCP_NODELAY, 1);
	HOLDS(set(client->memc, "no-block", "x") == MEMCACHED_SUCCESS);
	HOLDS(has(client->memc, "no-block", "x"));
	return a_million_bytes_come_back(client);
}

static memcached_return_t count_settings(const memcached_instance_st *server, const char *key,
                                         size_t key_length, const char *value, size_t value_length,
                                         void *context)
{
	uint32_t *count = context;

	(void)server;
	(void)value;
	(void)value_length;
	if ((key_length == 8 && memcmp(key, "maxbytes", 8) == 0) ||
	    (key_length == 13 && memcmp(key, "item_size_max", 13) == 0))
		*count += 1;
	return MEMCACHED_SUCCESS;
}

static const char *stat_gives_numbers(struct client *client)
{
	static const char *const names[] = {"pid",         "uptime",   "time",
	                                    "curr_items",  "get_hits", "limit_maxbytes",
	                                    "bytes_read",  "threads",  "curr_connections",
	                                    "pointer_size"};
	memcached_return_t r;
	memcached_stat_st *stat;
	uint32_t count = 0;

	HOLDS(set(client->memc, "counted", "x") == MEMCACHED_SUCCESS);
	HOLDS(has(client->memc, "counted", "x"));
	stat = memcached_stat(client->memc, NULL, &r);
	HOLDS(stat != NULL && r == MEMCACHED_SUCCESS);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *value = memcached_stat_get_value(client->memc, stat, names[i], &r);

		HOLDS(value != NULL && r == MEMCACHED_SUCCESS);
		HOLDS(strtoull(value, NULL, 10) > 0 || strcmp(names[i], "uptime") == 0);
		free(value);
	}
	memcached_stat_free(client->memc, stat);
	r = memcached_stat_execute(client->memc, "settings", count_settings, &count);
	HOLDS(r == MEMCACHED_SUCCESS && count == 2);
	HOLDS(has(client->memc, "counted", "x"));
	return NULL;
}

static const char *version_is_read(struct client *client)
{
	const memcached_instance_st *server;

	HOLDS(memcached_version(client->memc) == MEMCACHED_SUCCESS);
	server = memcached_server_instance_by_position(client->memc, 0);
	HOLDS(memcached_server_major_version(server) + memcached_server_minor_version(server) > 0);
	HOLDS(memcached_server_major_version(server) != UINT8_MAX);
	return NULL;
}

static memcached_return_t count_dumped(const memcached_st *memc, const char *key, size_t key_length,
                                       void *context)
{
	uint32_t *count = context;

	(void)memc;
	if (strlen(key) == key_length && key_length > 0)
		*count += 1;
	return MEMCACHED_SUCCESS;
}

/* `stats cachedump`, class by class, as getAllKeys of php-memcached does it. memcached shows there
 * only what it has moved to the cold end of its lists, which takes a moment. */
static const char *dump_walks_keys(struct client *client)
{
	memcached_dump_fn functions[] = {count_dumped};
	uint32_t count = 0;
	char key[16];

	for (int i = 0; i < KEY_COUNT; i++) {
		sprintf(key, "dump-%d", i);
		HOLDS(set(client->memc, key, key) == MEMCACHED_SUCCESS);
	}
	for (int i = 0; i < 50 && count == 0; i++) {
		HOLDS(memcached_dump(client->memc, functions, &count, 1) == MEMCACHED_SUCCESS);
		if (count == 0)
			usleep(100000);
	}
	HOLDS(count > 0);
	HOLDS(has(client->memc, "dump-7", "dump-7"));
	return NULL;
}

static const char *verbosity_is_accepted(struct client *client)
{
	HOLDS(memcached_verbosity(client->memc, 0) == MEMCACHED_SUCCESS);
	HOLDS(has(client->memc, "missing", NULL));
	return NULL;
}

static const char *after_quit_it_connects_again(struct client *client)
{
	HOLDS(set(client->memc, "quit", "x") == MEMCACHED_SUCCESS);
	memcached_quit(client->memc);
	HOLDS(has(client->memc, "quit", "x"));
	return NULL;
}

static const char *flush_leaves_nothing(struct client *client)
{
	HOLDS(set(client->memc, "flushed", "x") == MEMCACHED_SUCCESS);
	HOLDS(memcached_flush(client->memc, 0) == MEMCACHED_SUCCESS);
	HOLDS(has(client->memc, "flushed", NULL));
	HOLDS(set(client->memc, "flushed", "y") == MEMCACHED_SUCCESS);
	HOLDS(has(client->memc, "flushed", "y"));
	return NULL;
}

static const char *items_expire(struct client *client)
{
	memcached_return_t r;
	bool gone = false;

	r = memcached_set(client->memc, KEY("expires"), KEY("x"), 2, 0);
	HOLDS(r == MEMCACHED_SUCCESS);
	HOLDS(set(client->memc, "touched-to-expire", "x") == MEMCACHED_SUCCESS);
	HOLDS(memcached_touch(client->memc, KEY("touched-to-expire"), 2) == MEMCACHED_SUCCESS);
	HOLDS(set(client->memc, "stays", "x") == MEMCACHED_SUCCESS);
	HOLDS(has(client->memc, "expires", "x") && has(client->memc, "touched-to-expire", "x"));
	for (int i = 0; i < 50 && !gone; i++) {
		usleep(100000);
		gone = has(client->memc, "expires", NULL) &&
		       has(client->memc, "touched-to-expire", NULL);
	}
	HOLDS(gone);
	HOLDS(has(client->memc, "stays", "x"));
	return NULL;
}

enum when {
	ALWAYS,
	IN_TEXT,
	IN_BINARY,
	WHEN_NAMED,
};

#define CLAIM(name, when)                                                                          \
	{                                                                                          \
#name, name, when                                                                  \
	}
static const struct claim {
	const char *name;
	const char *(*try)(struct client *client);
	enum when when;
} claims[] = {
    CLAIM(get_gives_value_and_flags, ALWAYS),
    CLAIM(mget_of_1000_keys_gives_each_once, ALWAYS),
    CLAIM(add_and_replace_look_at_what_is_there, ALWAYS),
    CLAIM(append_and_prepend_join, ALWAYS),
    CLAIM(cas_stores_once, ALWAYS),
    CLAIM(increment_and_decrement_count, ALWAYS),
    CLAIM(increment_with_initial_creates, IN_BINARY),
    CLAIM(touch_and_exist_look_without_getting, ALWAYS),
    CLAIM(delete_says_whether_the_key_was_there, ALWAYS),
    CLAIM(a_million_bytes_come_back, ALWAYS),
    CLAIM(a_value_over_the_limit_is_too_big_and_no_more, ALWAYS),
    CLAIM(a_key_of_250_bytes_is_good, ALWAYS),
    CLAIM(buffered_requests_are_sent_at_the_flush, ALWAYS),
    CLAIM(without_replies_all_is_the_same, ALWAYS),
    CLAIM(without_blocking_all_is_the_same, ALWAYS),
    CLAIM(stat_gives_numbers, ALWAYS),
    CLAIM(version_is_read, ALWAYS),
    CLAIM(dump_walks_keys, IN_TEXT),
    CLAIM(verbosity_is_accepted, IN_TEXT),
    CLAIM(after_quit_it_connects_again, ALWAYS),
    CLAIM(flush_leaves_nothing, ALWAYS),
    CLAIM(items_expire, WHEN_NAMED),
};

/* Tries it on a connection of its own; true if it holds. */
static bool try_claim(const struct claim *claim, uint16_t port, bool is_binary)
{
	struct client client = {connect_to(port, is_binary), port, is_binary};
	const char *failure = claim->try(&client);

	if (failure == NULL)
		printf("ok - %s\n", claim->name);
	else
		printf("not ok - %s: %s (%s)\n", claim->name, failure,
		       memcached_last_error_message(client.memc));
	fflush(stdout);
	memcached_free(client.memc);
	return failure == NULL;
}

int main(int argc, char **argv)
{
	bool is_binary, all_held = true;
	uint16_t port;

	if (argc < 3) {
		fprintf(stderr, "usage: libmemcached PORT text|binary [NAME]\n");
		return 2;
	}
	port = (uint16_t)atoi(argv[1]);
	is_binary = strcmp(argv[2], "binary") == 0;
	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
		const struct claim *claim = &claims[i];
		bool wanted = argc > 3 ? strcmp(argv[3], claim->name) == 0
		                       : claim->when == ALWAYS ||
		                             claim->when == (is_binary ? IN_BINARY : IN_TEXT);

		if (wanted)
			all_held = try_claim(claim, port, is_binary) && all_held;
	}
	return all_held ? 0 : 1;
}
