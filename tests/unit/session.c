/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include "base/random.h"

#include "unit.h"

#include <stdio.h>

static void send_text(struct rig_client *client, const char *text)
{
	rig_send(client, text, strlen(text));
}

static bool replied(struct rig_client *client, const char *text)
{
	struct slice replies = {client->replies.data, client->replies.length};
	bool equal = slice_equal(replies, (struct slice){(const uint8_t *)text, strlen(text)});

	client->replies.length = 0;
	return equal;
}

/* A get of `count` keys named k. */
static void send_long_get(struct rig_client *client, uint32_t count)
{
	struct bytes line = {0};

	bytes_append(&line, "get", 3);
	while (count-- > 0)
		bytes_append(&line, " k", 2);
	bytes_append(&line, "\r\n", 2);
	rig_send(client, line.data, line.length);
	free(line.data);
}

static void send_value(struct rig_client *client, const char *key, uint32_t length)
{
	uint8_t *value = malloc(length + 2);
	char line[64];

	snprintf(line, sizeof(line), "set %s 0 0 %u noreply\r\n", key, length);
	memset(value, 'v', length);
	memcpy(value + length, "\r\n", 2);
	send_text(client, line);
	rig_send(client, value, length + 2);
	free(value);
}

static const char conversation[] =
    "set a 1 0 5\r\nhello\r\nget a b a\r\n\r\nset b 0 0 2 noreply\r\nhi\r\ngets a b\r\n"
    "set c x 0 9\r\nflush_all\r\nset d 0 0 1\r\nxx\nset n 0 0 1\r\n7\r\nincr n 5\nget  n\r\n"
    "cas a 0 0 0 1\r\n\r\nappend b 0 0 1\r\n!\r\ndelete c\r\ntouch b 0\r\ngat 0 b n\r\n"
    "verbosity 1\r\nfoo\r\nget \x01\r\nset e 0 0 0\r\n\r\nget e\r\nstats "
    "conns\r\nversion\r\nquit\r\n"
    "version\r\n";

/* Runs the conversation in parts of the given lengths (the last one is the rest); returns what was
 * replied. */
static struct bytes run_in_parts(const size_t *parts, size_t part_count)
{
	struct rig_options options = {
	    .block_count = 64, .value_bytes_max = 1024, .memory_bytes = 1};
	struct rig *rig = rig_create(&options);
	struct rig_client *client = rig_connect(rig);
	size_t length = sizeof(conversation) - 1;
	const char *at = conversation;
	struct bytes replies;

	for (size_t i = 0; i < part_count && length > 0; i++) {
		size_t part = parts[i] < length ? parts[i] : length;

		rig_send(client, at, part);
		at += part;
		length -= part;
	}
	if (length > 0)
		rig_send(client, at, length);
	CU_ASSERT_TRUE(client->is_closed);
	replies = client->replies;
	client->replies = (struct bytes){0};
	rig_disconnect(client);
	rig_destroy(rig);
	return replies;
}

static bool same_and_free(struct bytes *a, const struct bytes *b)
{
	bool same = a->length == b->length && memcmp(a->data, b->data, a->length) == 0;

	free(a->data);
	return same;
}

static void test_any_cut_gives_the_same_replies(void)
{
	struct random random = random_seeded(7);
	struct bytes whole = run_in_parts(NULL, 0);
	size_t ones[sizeof(conversation)];
	struct bytes cut;

	CU_ASSERT_TRUE(whole.length > 300);
	for (size_t at = 1; at < sizeof(conversation) - 1; at++) {
		cut = run_in_parts(&at, 1);
		CU_ASSERT_TRUE(same_and_free(&cut, &whole));
	}
	for (size_t i = 0; i < sizeof(conversation); i++)
		ones[i] = 1;
	cut = run_in_parts(ones, sizeof(conversation));
	CU_ASSERT_TRUE(same_and_free(&cut, &whole));
	for (int round = 0; round < 50; round++) {
		for (size_t i = 0; i < sizeof(conversation); i++)
			ones[i] = 1 + random_below(&random, 20);
		cut = run_in_parts(ones, sizeof(conversation));
		CU_ASSERT_TRUE(same_and_free(&cut, &whole));
	}
	free(whole.data);
}

static void test_a_burst_is_pushed_once(void)
{
	struct rig_options options = {0};
	struct rig *rig = rig_create(&options);
	struct rig_client *client = rig_connect(rig);

	send_text(client, "version\r\nversion\r\nversion\r\n");
	CU_ASSERT_EQUAL(client->push_count, 1);
	send_text(client, "delete a noreply\r\n");
	CU_ASSERT_EQUAL(client->push_count, 1);
	rig_disconnect(client);
	rig_destroy(rig);
}

static void test_a_client_that_does_not_read_is_not_read(void)
{
	struct rig_options options = {.output_bytes_max = 4096};
	struct rig *rig = rig_create(&options);
	struct rig_client *client = rig_connect(rig);
	uint64_t waiting;

	client->reads_not = true;
	for (int i = 0; i < 1000; i++)
		send_text(client, "version\r\n");
	waiting = client->stream.out.length;
	CU_ASSERT_TRUE(waiting >= 4096 && waiting < 4096 + 64);
	CU_ASSERT_TRUE(client->unsent.length > 0);
	CU_ASSERT_EQUAL(counter_read(&rig->sessions.counters.waits_output), 1);
	/* A little read is not enough, half of it is. */
	rig_read(client, 15);
	CU_ASSERT_FALSE(client->is_resumed);
	rig_read(client, 2048);
	CU_ASSERT_TRUE(client->is_resumed);
	client->reads_not = false;
	rig_run(client);
	CU_ASSERT_EQUAL(client->unsent.length, 0);
	CU_ASSERT_EQUAL(client->replies.length, 1000 * strlen("VERSION 1.6.45\r\n"));
	rig_disconnect(client);
	rig_destroy(rig);
}

static void test_a_client_that_hardly_reads_expires(void)
{
	struct rig_options options = {.output_bytes_max = 256 << 10};
	struct rig *rig = rig_create(&options);
	struct rig_client *client = rig_connect(rig);

	send_value(client, "k", 300000);
	client->reads_not = true;
	send_text(client, "get k\r\nget k\r\n");
	CU_ASSERT_TRUE(client->unsent.length > 0);
	rig_advance_s(rig, 9);
	rig_read(client, 65536);
	rig_advance_s(rig, 9);
	rig_read(client, 1);
	CU_ASSERT_FALSE(session_expired(&client->session, &rig->time));
	rig_advance_s(rig, 2);
	CU_ASSERT_TRUE(session_expired(&client->session, &rig->time));
	sessions_expire(&rig->sessions, &rig->time);
	CU_ASSERT_TRUE(client->is_aborted);
	CU_ASSERT_FALSE(session_expired(&client->session, &rig->time));
	CU_ASSERT_EQUAL(counter_read(&rig->sessions.counters.closed_request_timeout), 1);
	rig_disconnect(client);
	rig_destroy(rig);
}

/* The reply of one get is not held in memory as a whole. */
static void test_a_get_of_many_keys_stops_between_values(void)
{
	struct rig_options options = {.output_bytes_max = 4096};
	struct rig *rig = rig_create(&options);
	struct rig_client *client = rig_connect(rig);
	const uint32_t hit_bytes = sizeof("VALUE k 0 1000\r\n\r\n") - 1 + 1000;

	send_value(client, "k", 1000);
	for (int whole = 0; whole < 2; whole++) {
		client->reads_not = true;
		if (whole == 0) {
			for (const char *at = "get k k"; *at != 0; at++)
				rig_send(client, at, 1);
			for (int i = 2; i < 2000; i++)
				rig_send(client, " k", 2);
			rig_send(client, "\n", 1);
		} else {
			send_long_get(client, 2000);
		}
		CU_ASSERT_TRUE(client->stream.out.length <= 4096 + hit_bytes);
		CU_ASSERT_TRUE(client->unsent.length > 0);
		client->reads_not = false;
		rig_read(client, UINT64_MAX);
		rig_run(client);
		CU_ASSERT_EQUAL(client->unsent.length, 0);
		CU_ASSERT_EQUAL(client->replies.length, 2000 * hit_bytes + 5);
		client->replies.length = 0;
	}
	CU_ASSERT_EQUAL(counter_read(&shard_counters(rig->shard)->get_hits), 4000);
	rig_disconnect(client);
	rig_destroy(rig);
}

static void test_sessions_wait_for_blocks_and_go_on(void)
{
	struct rig_options options = {.block_count = 64};
	struct rig *rig = rig_create(&options);
	struct rig_client *glutton = rig_connect(rig);
	struct rig_client *client = rig_connect(rig);

	send_value(glutton, "k", 2000);
	glutton->reads_not = true;
	send_long_get(glutton, 500);
	CU_ASSERT_TRUE(glutton->unsent.length > 0);
	send_text(client, "version\r\n");
	send_text(client, "get half");
	CU_ASSERT_TRUE(replied(client, ""));
	CU_ASSERT_TRUE(counter_read(&rig->sessions.counters.waits_blocks) >= 2);
	/* That memory is short is not the client's fault. */
	rig_advance_s(rig, 100);
	CU_ASSERT_FALSE(session_expired(&client->session, &rig->time));
	glutton->reads_not = false;
	rig_read(glutton, UINT64_MAX);
	sessions_advance(&rig->sessions, &rig->time);
	CU_ASSERT_TRUE(client->is_resumed);
	rig_run(client);
	CU_ASSERT_TRUE(replied(client, "VERSION 1.6.45\r\n"));
	rig_run(glutton);
	CU_ASSERT_EQUAL(glutton->replies.length, 500 * (2000 + 18) + 5);
	CU_ASSERT_EQUAL(counter_read(&rig->sessions.counters.aborted_no_blocks), 0);
	rig_disconnect(glutton);
	rig_disconnect(client);
	rig_destroy(rig);
}

#define DUMPED_COUNT 20000

static uint32_t line_count(const struct bytes *text)
{
	uint32_t count = 0;

	for (size_t i = 0; i < text->length; i++)
		count += text->data[i] == '\n';
	return count;
}

static void test_a_dump_goes_as_fast_as_it_is_read(void)
{
	struct rig_options options = {.output_bytes_max = 4096};
	struct rig *rig = rig_create(&options);
	struct rig_client *client = rig_connect(rig);
	char key[16];

	for (uint32_t i = 0; i < DUMPED_COUNT; i++) {
		snprintf(key, sizeof(key), "%u", i);
		send_value(client, key, 1);
	}
	client->reads_not = true;
	send_text(client, "lru_crawler metadump all\r\nversion\r\n");
	CU_ASSERT_TRUE(client->stream.out.length > 0);
	CU_ASSERT_TRUE(client->unsent.length > 0);
	while (client->unsent.length > 0 || client->stream.out.length > 0) {
		CU_ASSERT_TRUE(client->stream.out.length <= 4096 + 1024);
		rig_read(client, 1000);
		rig_run(client);
	}
	CU_ASSERT_EQUAL(line_count(&client->replies), DUMPED_COUNT + 2);
	CU_ASSERT_EQUAL(memcmp(client->replies.data + client->replies.length - 21,
	                       "END\r\nVERSION 1.6.45\r\n", 21),
	                0);
	rig_disconnect(client);
	rig_destroy(rig);
}

static void test_dumps_are_few_and_may_be_left(void)
{
	struct rig_options options = {.output_bytes_max = 4096};
	struct rig *rig = rig_create(&options);
	struct rig_client *dumping[SESSION_DUMP_COUNT], *client;
	char key[16];

	client = rig_connect(rig);
	for (uint32_t i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "%u", i);
		send_value(client, key, 1);
	}
	for (uint32_t i = 0; i < SESSION_DUMP_COUNT; i++) {
		dumping[i] = rig_connect(rig);
		dumping[i]->reads_not = true;
		send_text(dumping[i], "lru_crawler metadump all\r\n");
	}
	send_text(client, "lru_crawler metadump all\r\n");
	CU_ASSERT_TRUE(replied(client, "BUSY currently processing crawler request\r\n"));
	rig_disconnect(dumping[0]);
	send_text(client, "stats cachedump 1 1\r\n");
	CU_ASSERT_EQUAL(line_count(&client->replies), 2);
	/* one that has said its last word gets all of it, and then the end */
	rig_finish(dumping[1]);
	while (!dumping[1]->is_closed) {
		rig_read(dumping[1], 1000);
		rig_run(dumping[1]);
	}
	rig_read(dumping[1], UINT64_MAX);
	CU_ASSERT_EQUAL(line_count(&dumping[1]->replies), 1001);
	for (uint32_t i = 1; i < SESSION_DUMP_COUNT; i++)
		rig_disconnect(dumping[i]);
	rig_disconnect(client);
	rig_destroy(rig);
}

static void test_half_a_reply_is_never_sent(void)
{
	/* The value wants a block for each segment it lies in: more than there are. */
	struct rig_options options = {.block_count = 16, .value_bytes_max = 4 << 20};
	struct rig *rig = rig_create(&options);
	struct rig_client *client = rig_connect(rig);

	send_value(client, "k", 3 << 20);
	send_text(client, "get k\r\n");
	CU_ASSERT_TRUE(client->is_aborted);
	CU_ASSERT_EQUAL(counter_read(&rig->sessions.counters.aborted_no_blocks), 1);
	rig_disconnect(client);
	rig_destroy(rig);
}

static void test_long_lines_wait_for_a_buffer(void)
{
	struct rig_options options = {.line_buffer_count = 1};
	struct rig *rig = rig_create(&options);
	struct rig_client *first = rig_connect(rig);
	struct rig_client *second = rig_connect(rig);

	for (int i = 0; i < 3000; i++) {
		send_text(first, i == 0 ? "get a" : " a");
		send_text(second, i == 0 ? "get a" : " a");
	}
	CU_ASSERT_EQUAL(first->unsent.length, 0);
	CU_ASSERT_TRUE(second->unsent.length > 0);
	CU_ASSERT_EQUAL(counter_read(&rig->sessions.counters.waits_line_buffers), 1);
	send_text(first, "\r\n");
	CU_ASSERT_TRUE(replied(first, "END\r\n"));
	CU_ASSERT_TRUE(second->is_resumed);
	rig_run(second);
	CU_ASSERT_EQUAL(second->unsent.length, 0);
	send_text(second, "\r\n");
	CU_ASSERT_TRUE(replied(second, "END\r\n"));
	rig_disconnect(first);
	rig_disconnect(second);
	rig_destroy(rig);
}

/* A client that goes leaves nothing behind: rig_destroy() asserts that. */
static void test_leaving_at_any_moment_frees_all(void)
{
	for (size_t length = 0; length < sizeof(conversation); length++) {
		struct rig_options options = {
		    .block_count = 64, .value_bytes_max = 1024, .memory_bytes = 1};
		struct rig *rig = rig_create(&options);
		struct rig_client *client = rig_connect(rig);

		client->reads_not = length % 2 == 0;
		rig_send(client, conversation, length);
		rig_disconnect(client);
		rig_destroy(rig);
	}
	CU_PASS("all freed");
}

static void test_waiting_clients_may_leave(void)
{
	struct rig_options options = {.line_buffer_count = 1};
	struct rig *rig = rig_create(&options);
	struct rig_client *clients[4];

	for (int i = 0; i < 4; i++) {
		clients[i] = rig_connect(rig);
		for (int part = 0; part < 1500; part++)
			send_text(clients[i], part == 0 ? "get a" : " a");
	}
	rig_disconnect(clients[2]);
	rig_disconnect(clients[1]);
	rig_disconnect(clients[3]);
	CU_ASSERT_PTR_NULL(rig->sessions.waiting.first);
	rig_disconnect(clients[0]);
	rig_destroy(rig);
}

static void test_bytes_are_counted(void)
{
	struct rig_options options = {0};
	struct rig *rig = rig_create(&options);
	struct rig_client *client = rig_connect(rig);

	send_text(client, "version\r\nversion");
	CU_ASSERT_EQUAL(counter_read(&rig->sessions.counters.bytes_read), 16);
	CU_ASSERT_EQUAL(counter_read(&rig->sessions.counters.bytes_written), 16);
	CU_ASSERT_EQUAL(counter_read(&rig->sessions.counters.requests), 1);
	rig_disconnect(client);
	rig_destroy(rig);
}

static const struct unit_case cases[] = {
    {"any cut of the input gives the same replies", test_any_cut_gives_the_same_replies},
    {"a burst is pushed once", test_a_burst_is_pushed_once},
    {"a client that does not read is not read", test_a_client_that_does_not_read_is_not_read},
    {"a client that hardly reads expires", test_a_client_that_hardly_reads_expires},
    {"a get of many keys stops between values", test_a_get_of_many_keys_stops_between_values},
    {"sessions wait for blocks and go on", test_sessions_wait_for_blocks_and_go_on},
    {"a dump goes as fast as it is read", test_a_dump_goes_as_fast_as_it_is_read},
    {"dumps are few, and may be left", test_dumps_are_few_and_may_be_left},
    {"half a reply is never sent", test_half_a_reply_is_never_sent},
    {"long lines wait for a buffer", test_long_lines_wait_for_a_buffer},
    {"leaving at any moment frees all", test_leaving_at_any_moment_frees_all},
    {"waiting clients may leave", test_waiting_clients_may_leave},
    {"bytes are counted", test_bytes_are_counted},
};

int main(void)
{
	return UNIT_RUN("session", cases);
}
