/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions whose keys belong to several workers. */
#include "rig.h"

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

	if (!equal)
		printf("\nreplied: %.*s\n", (int)replies.length, replies.data);
	client->replies.length = 0;
	return equal;
}

/* Offers what the client has to the session once; nobody else does anything. */
static void offer(struct rig_client *client, const void *data, size_t length)
{
	uint32_t taken;

	bytes_append(&client->unsent, data, length);
	taken = session_received(&client->session, client->unsent.data,
	                         (uint32_t)client->unsent.length, &client->rig->time);
	bytes_drop_front(&client->unsent, taken);
}

static void offer_text(struct rig_client *client, const char *text)
{
	offer(client, text, strlen(text));
}

/* A key that another worker owns, the number-th; or one of its own. */
static void choose_key(const struct rig *rig, char key[32], uint32_t number, bool own)
{
	for (uint32_t i = 0; number != UINT32_MAX; i++) {
		int length = snprintf(key, 32, "key%u", i);

		if (shard_owns(rig->shard, (struct slice){(uint8_t *)key, (size_t)length}) == own)
			number--;
	}
}

/* Random pipelines. */

#define LINE_BYTES 2048

static void write_value_command(struct random *random, char *to, const char *key)
{
	static const char *const names[] = {"set", "add", "replace", "append", "prepend"};
	uint32_t length = (uint32_t)random_below(random, 40);
	char value[1200];

	if (random_below(random, 30) == 0)
		length = 1025 + length; /* more than is allowed */
	for (uint32_t i = 0; i < length; i++)
		value[i] = (char)('0' + random_below(random, 10));
	value[length] = 0;
	if (random_below(random, 3) == 0)
		sprintf(to, "ms %s %u T0 %s%s\r\n%s\r\n", key, length,
		        random_below(random, 2) ? "q " : "",
		        random_below(random, 2) ? "MA" : "k O12", value);
	else
		sprintf(to, "%s %s %u 0 %u%s\r\n%s\r\n", names[random_below(random, 5)], key,
		        (uint32_t)random_below(random, 9), length,
		        random_below(random, 3) ? "" : " noreply", value);
}

static void write_command(struct random *random, char *to)
{
	uint32_t number = (uint32_t)random_below(random, 12);
	char key[32];

	snprintf(key, sizeof(key), "k%u", number);
	switch (random_below(random, 16)) {
	case 0:
	case 1:
	case 2:
	case 3: write_value_command(random, to, key); return;
	case 4: sprintf(to, "get %s k1 k2 nothing k7\r\n", key); return;
	case 5: sprintf(to, "get %s\r\n", key); return;
	case 6: sprintf(to, "gat 0 %s k3\r\n", key); return;
	case 7: sprintf(to, "incr %s %u\r\n", key, number); return;
	case 8: sprintf(to, "decr %s 1 noreply\r\n", key); return;
	case 9: sprintf(to, "delete %s%s\r\n", key, number & 1 ? " noreply" : ""); return;
	case 10: sprintf(to, "touch %s 0\r\n", key); return;
	case 11: sprintf(to, "mg %s v f k s t q\r\nmn\r\n", key); return;
	case 12: sprintf(to, "mg %s v N0 R30\r\n", key); return;
	case 13: sprintf(to, "ma %s N0 J%u D2 v\r\n", key, number); return;
	case 14:
		sprintf(to, "%s",
		        number == 0  ? "flush_all\r\n"
		        : number < 4 ? "foo\r\n"
		                     : "mn\r\n");
		return;
	default: sprintf(to, "md %s q I T30\r\n", key); return;
	}
}

/* What the conversation of this seed is replied with so many shards. */
static struct bytes replies_with(uint32_t shard_count, uint64_t seed)
{
	struct rig_options options = {.shard_count = shard_count,
	                              .seed = seed,
	                              .value_bytes_max = 1024,
	                              .block_count = 600,
	                              .memory_bytes = 1};
	struct rig *rig = rig_create(&options);
	struct rig_client *client = rig_connect(rig);
	struct random random = random_seeded(seed), cuts = random_seeded(seed + 1);
	struct bytes replies;
	char line[LINE_BYTES];

	for (uint32_t i = 0; i < 300; i++) {
		write_command(&random, line);
		bytes_append(&client->unsent, line, strlen(line));
		if (random_below(&cuts, 8) == 0) {
			size_t whole = client->unsent.length;
			size_t part = random_below(&cuts, whole + 1);
			struct bytes rest = {0};

			bytes_append(&rest, client->unsent.data + part, whole - part);
			client->unsent.length = part;
			rig_run(client);
			rig_send(client, rest.data, rest.length);
			free(rest.data);
		}
	}
	rig_send(client, "version\r\nquit\r\n", 15);
	CU_ASSERT_TRUE(client->is_closed);
	CU_ASSERT_EQUAL(client->unsent.length, 0);
	replies = client->replies;
	client->replies = (struct bytes){0};
	rig_disconnect(client);
	rig_destroy(rig);
	return replies;
}

static void test_replies_are_those_of_one_worker(void)
{
	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct bytes alone = replies_with(1, seed);
		struct bytes several = replies_with(2 + (uint32_t)(seed % 3), seed);
		bool same = alone.length == several.length &&
		            memcmp(alone.data, several.data, alone.length) == 0;

		if (!same)
			printf("\nseed %llu\n--- one worker:\n%.*s\n--- several:\n%.*s\n",
			       (unsigned long long)seed, (int)alone.length, alone.data,
			       (int)several.length, several.data);
		CU_ASSERT_TRUE_FATAL(same);
		free(alone.data);
		free(several.data);
	}
}

static void test_replies_wait_for_those_before(void)
{
	struct rig *rig = rig_create(&(struct rig_options){.shard_count = 2});
	struct rig_client *client = rig_connect(rig);
	char far[32], near[32], text[256];

	choose_key(rig, far, 0, false);
	choose_key(rig, near, 0, true);
	snprintf(text, sizeof(text),
	         "set %s 0 0 1\r\na\r\nset %s 0 0 1\r\nb\r\nget %s %s\r\nmn\r\n", far, near, near,
	         far);
	offer_text(client, text);
	/* all of it was taken, and nothing can be said before the first is answered */
	CU_ASSERT_EQUAL(client->unsent.length, 0);
	CU_ASSERT_EQUAL(client->stream.out.length, 0);
	rig_run(client);
	snprintf(text, sizeof(text),
	         "STORED\r\nSTORED\r\nVALUE %s 0 1\r\nb\r\nVALUE %s 0 1\r\na\r\nEND\r\nMN\r\n",
	         near, far);
	CU_ASSERT_TRUE(replied(client, text));
	rig_disconnect(client);
	rig_destroy(rig);
}

static void test_who_leaves_leaves_nothing(void)
{
	static const char *const ends[] = {"", "quit\r\n", "\x80 half a head", "GET / HTTP"};

	for (uint32_t served = 0; served < 2; served++)
		for (uint32_t end = 0; end < 4; end++) {
			struct rig *rig = rig_create(&(struct rig_options){.shard_count = 2});
			struct rig_client *client = rig_connect(rig);
			char key[32], text[256];

			choose_key(rig, key, end, false);
			snprintf(text, sizeof(text),
			         "set %s 0 0 1\r\na\r\ngat 0 %s\r\nset %s 0 0 100\r\nhalf", key,
			         key, key);
			offer_text(client, text);
			offer_text(client, ends[end]);
			if (served == 1)
				rig_turn(rig);
			rig_disconnect(client); /* the connection was reset */
			rig_destroy(rig);
		}
}

static void test_who_quits_is_answered_first(void)
{
	struct rig *rig = rig_create(&(struct rig_options){.shard_count = 2});
	struct rig_client *client = rig_connect(rig);
	char key[32], text[128];

	choose_key(rig, key, 0, false);
	snprintf(text, sizeof(text), "set %s 0 0 1\r\na\r\nget %s\r\nquit\r\nget %s\r\n", key, key,
	         key);
	offer_text(client, text);
	CU_ASSERT_FALSE(client->is_closed);
	rig_run(client);
	snprintf(text, sizeof(text), "STORED\r\nVALUE %s 0 1\r\na\r\nEND\r\n", key);
	CU_ASSERT_TRUE(replied(client, text));
	CU_ASSERT_TRUE(client->is_closed);
	CU_ASSERT_FALSE(client->is_aborted);
	rig_disconnect(client);
	/* and who half-closes */
	client = rig_connect(rig);
	snprintf(text, sizeof(text), "touch %s 0\r\n", key);
	offer_text(client, text);
	session_finished(&client->session);
	CU_ASSERT_FALSE(client->is_closed);
	rig_run(client);
	CU_ASSERT_TRUE(replied(client, "TOUCHED\r\n"));
	CU_ASSERT_TRUE(client->is_closed);
	rig_disconnect(client);
	rig_destroy(rig);
}

#define CROWD 20

/* More than there are calls for: each gets on, however much the others want. */
static void test_calls_go_round(void)
{
	struct rig *rig = rig_create(
	    &(struct rig_options){.shard_count = 2, .session_count_max = CROWD, .seed = 3});
	struct rig_client *clients[CROWD];
	uint32_t answered[CROWD] = {0}, most = 0;
	char key[32], text[128];

	choose_key(rig, key, 0, false);
	snprintf(text, sizeof(text), "incr %s 1\r\n", key);
	for (uint32_t i = 0; i < CROWD; i++)
		clients[i] = rig_connect(rig);
	for (uint32_t turn = 0; turn < 400; turn++) {
		/* the first of them always come first, and fill all that there is */
		for (uint32_t i = 0; i < CROWD; i++) {
			while (clients[i]->unsent.length < 40 * strlen(text))
				bytes_append(&clients[i]->unsent, text, strlen(text));
			offer(clients[i], "", 0);
		}
		rig_turn(rig);
		for (uint32_t i = 0; i < CROWD; i++) {
			rig_read(clients[i], UINT64_MAX);
			answered[i] +=
			    (uint32_t)(clients[i]->replies.length / strlen("NOT_FOUND\r\n"));
			clients[i]->replies.length = 0;
		}
	}
	CU_ASSERT_TRUE(counter_read(&rig->sessions.counters.waits_calls) > 0);
	for (uint32_t i = 0; i < CROWD; i++)
		most = answered[i] > most ? answered[i] : most;
	/* the first take 16 at once, the others one or more */
	for (uint32_t i = 0; i < CROWD; i++)
		CU_ASSERT_TRUE(answered[i] >= most / 17);
	for (uint32_t i = 0; i < CROWD; i++)
		rig_disconnect(clients[i]);
	rig_destroy(rig);
}

/* A value that comes back finds no memory: it waits, and so does all behind it. */
static void test_a_value_waits_for_blocks(void)
{
	struct rig *rig = rig_create(&(struct rig_options){
	    .shard_count = 2, .block_count = 100, .value_bytes_max = 1024, .memory_bytes = 1});
	struct rig_client *client = rig_connect(rig);
	struct block *taken[100];
	char key[32], text[128];
	uint32_t count = 0;

	choose_key(rig, key, 0, false);
	snprintf(text, sizeof(text), "set %s 0 0 1\r\na\r\n", key);
	send_text(client, text);
	CU_ASSERT_TRUE(replied(client, "STORED\r\n"));
	snprintf(text, sizeof(text), "touch %s 0\r\ngat 0 %s\r\ntouch %s 0\r\n", key, key, key);
	offer_text(client, text);
	while (rig->blocks.free_count > 0)
		taken[count++] = block_take(&rig->blocks);
	for (uint32_t turn = 0; turn < 50; turn++)
		rig_turn(rig);
	rig_read(client, UINT64_MAX);
	CU_ASSERT_TRUE(replied(client, "TOUCHED\r\n"));
	while (count > 0)
		block_drop(&rig->blocks, taken[--count]);
	rig_run(client);
	snprintf(text, sizeof(text), "VALUE %s 0 1\r\na\r\nEND\r\nTOUCHED\r\n", key);
	CU_ASSERT_TRUE(replied(client, text));
	CU_ASSERT_EQUAL(client->session.deadline_start_us, 0);
	rig_disconnect(client);
	rig_destroy(rig);
}

static const struct unit_case cases[] = {
    {"replies are those of one worker, whoever owns the keys",
     test_replies_are_those_of_one_worker},
    {"replies wait for those before them", test_replies_wait_for_those_before},
    {"who leaves leaves nothing behind", test_who_leaves_leaves_nothing},
    {"who quits or half-closes is answered first", test_who_quits_is_answered_first},
    {"calls go round", test_calls_go_round},
    {"a value waits for blocks", test_a_value_waits_for_blocks},
};

int main(void)
{
	return UNIT_RUN("session_calls", cases);
}
