/* SPDX-License-Identifier: Apache-2.0 */
#include "play.h"

#include "raw.h"

#define SMALL_VALUE_MAX 1400  /* a reply to it may fit a datagram, and may not */
#define LARGE_VALUE_MAX 69000 /* longer than a segment */

#define SHOWN_BYTES_MAX 400

/* A request in the log; its first bytes follow. */
struct note {
	uint32_t now_s;
	uint32_t client;
	uint32_t said_bytes;
	uint32_t all_bytes;
};

static uint32_t shown_bytes(uint32_t bytes)
{
	return min_u32(bytes, SHOWN_BYTES_MAX);
}

/* Notes the request that is over, or all that there is of it. */
static void note(struct play *play, const struct play_client *client)
{
	const struct note note = {
	    .now_s = play->rig->time.now_s,
	    .client = (uint32_t)(client - play->clients),
	    .said_bytes = (uint32_t)client->said_bytes,
	    .all_bytes = (uint32_t)client->ask.bytes.length,
	};

	if (note.said_bytes == 0)
		return;
	bytes_append(&play->log, &note, sizeof(note));
	bytes_append(&play->log, client->ask.bytes.data, shown_bytes(note.said_bytes));
}

static void print_escaped(const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length && i < SHOWN_BYTES_MAX; i++)
		if (bytes[i] >= 0x20 && bytes[i] < 0x7f && bytes[i] != '\\')
			fputc(bytes[i], stderr);
		else
			fprintf(stderr, "\\x%02x", bytes[i]);
	fputs(length > SHOWN_BYTES_MAX ? " …\n" : "\n", stderr);
}

static void print_log(const struct play *play)
{
	const uint8_t *at = play->log.data;
	struct note note;

	while (at < play->log.data + play->log.length) {
		memcpy(&note, at, sizeof(note));
		fprintf(stderr, "second %u, client %u, %u of %u bytes: ", note.now_s, note.client,
		        note.said_bytes, note.all_bytes);
		print_escaped(at + sizeof(note), shown_bytes(note.said_bytes));
		at += sizeof(note) + shown_bytes(note.said_bytes);
	}
}

/* What was told and what should have been, from a little before where they part. */
static void fail(struct play *play, const struct play_client *client, const char *what)
{
	const struct bytes *told = &client->client->replies;
	const uint8_t *expected = client->expected.data;
	size_t due = client->expected.length - client->heard_bytes;
	size_t same = 0;

	for (uint32_t i = 0; i < PLAY_CLIENT_COUNT; i++)
		note(play, &play->clients[i]);
	print_log(play);
	if (due > 0)
		expected += client->heard_bytes;
	while (same < told->length && same < due && told->data[same] == expected[same])
		same++;
	same = same > 60 ? same - 60 : 0;
	fprintf(stderr, "client %td is told, from byte %zu: ", client - play->clients, same);
	if (told->length > 0)
		print_escaped(told->data + same, told->length - same);
	fprintf(stderr, "\nexpected: ");
	if (due > 0)
		print_escaped(expected + same, due - same);
	fputc('\n', stderr);
	FUZZ_FAIL("%s", what);
}

/* Replies so far are what they should be; `all` of them have come. */
static void compare(struct play *play, struct play_client *client, bool all)
{
	struct bytes *told = &client->client->replies;
	size_t due = client->expected.length - client->heard_bytes;

	if (told->length > due)
		fail(play, client, "told more than expected");
	if (told->length > 0 &&
	    memcmp(told->data, client->expected.data + client->heard_bytes, told->length) != 0)
		fail(play, client, "told something else");
	if (all && told->length < due)
		fail(play, client, "told less than expected");
	client->heard_bytes += told->length;
	told->length = 0;
	if (client->heard_bytes == client->expected.length) {
		client->heard_bytes = 0;
		client->expected.length = 0;
	}
	if (client->client->is_aborted)
		fail(play, client, "aborted");
	if (client->client->is_closed && !client->ask.closes)
		fail(play, client, "closed");
}

/* Carries what was said, in one piece, in some, or byte by byte. */
static void carry(struct play *play, struct play_client *client)
{
	struct bytes *outbox = &client->outbox;
	uint64_t style = random_below(&play->random, 8);
	size_t at = 0;

	client->client->reads_not = client->reads_not;
	while (at < outbox->length) {
		size_t left = outbox->length - at;
		size_t part = left;

		if (style >= 4)
			part =
			    1 + random_below(&play->random, random_below(&play->random, left) + 1);
		if (style == 7 && left < 600)
			part = 1;
		part = min_u64(part, left);
		rig_send(client->client, outbox->data + at, part);
		at += part;
	}
	outbox->length = 0;
	compare(play, client, false);
}

static void read_all(struct play *play, struct play_client *client)
{
	client->client->reads_not = false;
	rig_read(client->client, UINT64_MAX);
	rig_run(client->client);
	if (!client->client->is_closed && client->client->unsent.length > 0)
		fail(play, client, "not all was taken");
	compare(play, client, true);
}

/* Who reads not goes on so, unless the server waits for him. */
void play_settle(struct play *play, struct play_client *client)
{
	carry(play, client);
	if (!client->reads_not || client->client->unsent.length > 0)
		read_all(play, client);
}

static void leave(struct play *play, struct play_client *client)
{
	note(play, client);
	rig_disconnect(client->client);
	client->client = NULL;
	client->said_bytes = 0;
	client->expected.length = 0;
	client->heard_bytes = 0;
	ask_reset(&client->ask);
}

static void join(struct play *play, struct play_client *client)
{
	client->client = rig_connect(play->rig);
	client->reads_not = false;
}

/* Says more of the request at hand, up to `end`; the model is told as soon as the server can act.
 */
static void say(struct play *play, struct play_client *client, size_t end)
{
	struct ask *ask = &client->ask;
	size_t before = client->said_bytes;

	if (end <= before)
		return;
	bytes_append(&client->outbox, ask->bytes.data + before, end - before);
	client->said_bytes = end;
	if (ask->at_head != NULL && before < ask->head_bytes && end >= ask->head_bytes)
		ask->at_head(ask, &play->model, &client->expected);
	if (ask->at_end != NULL && end == ask->bytes.length)
		ask->at_end(ask, &play->model, &client->expected);
}

/* A request that was the client's last has its end. */
static void part(struct play *play, struct play_client *client)
{
	carry(play, client);
	read_all(play, client);
	if (client->ask.closes && !client->client->is_closed)
		fail(play, client, "not closed");
	leave(play, client);
	join(play, client);
}

static void say_all(struct play *play, struct play_client *client)
{
	say(play, client, client->ask.bytes.length);
	if (client->ask.closes || client->ask.leaves)
		part(play, client);
}

/* The next request; some are said later, some are left half said for now. */
static void step_ask(struct play *play, struct play_client *client, struct input *input,
                     uint8_t kind)
{
	uint8_t how;

	say_all(play, client);
	note(play, client);
	ask_reset(&client->ask);
	client->said_bytes = 0;
	client->make[kind % 4 == 0](&client->ask, input, &play->model);
	how = input_u8(input);
	if (how >= 224) {
		say(play, client, client->ask.bytes.length * (how - 224) / 32);
		return;
	}
	say_all(play, client);
	if (how >= 96)
		carry(play, client);
}

/* Time passes for server and model. */
static void step_time(struct play *play, struct input *input)
{
	static const uint32_t jumps[] = {1, 1, 1, 2, 3, 5, 59, 60, 99, 100, 3600, 2592000};

	for (uint32_t i = 0; i < PLAY_CLIENT_COUNT; i++)
		play_settle(play, &play->clients[i]);
	rig_advance_s(play->rig, jumps[input_u8(input) % COUNT_OF(jumps)]);
	model_set_time(&play->model, play->rig->time.now_s);
}

/* It goes away, whatever it is at. */
static void step_leave(struct play *play, struct play_client *client, uint8_t kind)
{
	play_settle(play, client);
	if (kind % 2 == 1) {
		read_all(play, client);
		rig_finish(client->client);
		ASSERT(client->client->is_closed && client->client->replies.length == 0);
	}
	leave(play, client);
	join(play, client);
}

void play_step(struct play *play, struct input *input)
{
	uint8_t kind = input_u8(input);
	struct play_client *client = &play->clients[kind % 8 < 5 ? 0 : 1];
	struct play_client *other = &play->clients[kind % 8 < 5 ? 1 : 0];

	play->step++;
	play_settle(play, other);
	kind /= 8;
	if (kind < 25)
		step_ask(play, client, input, kind);
	else if (kind < 29)
		step_time(play, input);
	else if (kind < 31)
		client->reads_not = !client->reads_not;
	else
		step_leave(play, client, input_u8(input));
}

void play_create(struct play *play, struct input *input)
{
	uint8_t kind = input_u8(input);
	bool large = kind % 4 == 0;
	struct rig_options options = {
	    .block_count = 512,
	    .session_count_max = PLAY_CLIENT_COUNT,
	    .line_buffer_count = PLAY_CLIENT_COUNT,
	    .output_bytes_max = kind / 4 % 2 == 0 ? 512 : 16384,
	    .value_bytes_max = large ? LARGE_VALUE_MAX : SMALL_VALUE_MAX,
	    .datagram_reply_bytes_max = kind / 8 % 2 == 0 ? 0 : 6000,
	    .memory_bytes = large ? 3 << 20 : 3 << 19,
	};

	*play = (struct play){.random = random_seeded(input_u8(input))};
	play->rig = rig_create(&options);
	play->model = (struct model){
	    .unix_start_s = RIG_UNIX_TIME_S,
	    .value_bytes_max = options.value_bytes_max,
	};
	model_set_time(&play->model, play->rig->time.now_s);
	for (uint32_t i = 0; i < PLAY_CLIENT_COUNT; i++)
		join(play, &play->clients[i]);
}

void play_check(struct play *play)
{
	const struct store_counters *counters = shard_store_counters(play->rig->shard);
	struct play_client *client = &play->clients[0];

	for (uint32_t i = 0; i < PLAY_CLIENT_COUNT; i++) {
		carry(play, &play->clients[i]);
		read_all(play, &play->clients[i]);
	}
	leave(play, client);
	join(play, client);
	for (uint32_t i = 0; i < ASK_KEY_COUNT; i++) {
		ask_reset(&client->ask);
		client->said_bytes = 0;
		ask_all_of(&client->ask, i);
		say_all(play, client);
		play_settle(play, client);
	}
	/* else the model would not be right */
	ASSERT(counter_read(&counters->evictions) == 0);
	ASSERT(counter_read(&counters->index_evictions) == 0);
}

void play_destroy(struct play *play)
{
	for (uint32_t i = 0; i < PLAY_CLIENT_COUNT; i++) {
		struct play_client *client = &play->clients[i];

		leave(play, client);
		ask_destroy(&client->ask);
		free(client->outbox.data);
		free(client->expected.data);
	}
	free(play->log.data);
	rig_destroy(play->rig);
	model_destroy(&play->model);
}

static void run(struct input *input, const play_make first[2], const play_make second[2])
{
	struct play play;

	play_create(&play, input);
	memcpy(play.clients[0].make, first, sizeof(play.clients[0].make));
	memcpy(play.clients[1].make, second, sizeof(play.clients[1].make));
	while (input->length > 0 && play.step < PLAY_STEPS_MAX)
		play_step(&play, input);
	play_check(&play);
	play_destroy(&play);
}

void play_input(const uint8_t *data, size_t size, const play_make first[2],
                const play_make second[2])
{
	struct input input = {data, size};

	if (input_u8(&input) % 2 == 0)
		raw_stream(&input);
	else
		run(&input, first, second);
}
