/* SPDX-License-Identifier: Apache-2.0 */
/* Runs conversation scripts against sessions in this process.
 *
 *   >>> text     sends the text and CR LF; after \c at its end, without CR LF
 *   <<< text     the next reply is the text and CR LF
 *   <<|          the client has been closed, and nothing more was said
 *   >>|          the client half-closes
 *   >>!          the client resets its connection, unless it has been closed; another one comes
 *   ++> seconds  time passes
 *   +++ counter delta   the counter has grown so much since the script asked last
 *   shards> 1    first of all: the script is not for several shards, which number their items apart
 *   classes>     first of all: there are the classes of keys of rig_classes()
 *   login> password   first of all: who does not log in as "user" may do nothing
 *   udp> bytes   one datagram comes in, no CR LF added; udpt> from a trusted source
 *   udp< bytes   the next datagram sent
 *   # words      are for people
 *
 * \r \n \\ \xNN are bytes, \{count:text} is the text that often. In what is expected, \# is any
 * number and \? the rest of the line. At a script's end nothing may be left unread.
 *
 * Every script is run with its sends in one piece, byte by byte, and cut at random; and with other
 * workers who own a part of the keys and take their time. */
#include "rig.h"

#include <stdio.h>

#include "base/random.h"

enum cut {
	CUT_NOT,
	CUT_EVERYWHERE,
	CUT_AT_RANDOM,
	CUT_COUNT,
};

#define WILD_NUMBER 0x100
#define WILD_REST   0x101

struct pattern {
	uint16_t *codes; /* bytes, or WILD_… */
	size_t length;
	size_t capacity;
};

struct script {
	const char *path;
	uint32_t line_number;
	enum cut cut;
	struct random random;
	struct rig *rig;
	struct rig_client *client;
	struct bytes to_send;
	struct pattern pattern;
	struct stats_totals seen; /* counters when last asked for */
	struct datagram_counters datagrams_seen;
	bool failed;
};

static void fail(struct script *script, const char *what, const uint8_t *got, size_t length)
{
	static const char *cuts[] = {"in one piece", "byte by byte", "cut at random"};

	fprintf(stderr, "%s:%u (%s, %u shards): %s, got \"", script->path, script->line_number,
	        cuts[script->cut], script->rig->shard_count, what);
	for (size_t i = 0; i < length && i < 300; i++)
		fprintf(stderr, got[i] >= 0x20 && got[i] < 0x7f ? "%c" : "\\x%02x", got[i]);
	fprintf(stderr, "\"\n");
	script->failed = true;
}

static void pattern_add(struct pattern *pattern, uint16_t code)
{
	if (pattern->length == pattern->capacity) {
		pattern->capacity = 2 * pattern->capacity + 256;
		pattern->codes =
		    realloc(pattern->codes, pattern->capacity * sizeof(pattern->codes[0]));
		ASSERT(pattern->codes != NULL);
	}
	pattern->codes[pattern->length++] = code;
}

/* True: \c, no CR LF is to follow. */
static bool pattern_parse(struct pattern *pattern, const char *text, const char *end)
{
	while (text < end) {
		char c = *text++;

		if (c != '\\' || text == end) {
			pattern_add(pattern, (uint8_t)c);
			continue;
		}
		c = *text++;
		if (c == 'c')
			return true;
		if (c == 'r' || c == 'n') {
			pattern_add(pattern, c == 'r' ? '\r' : '\n');
		} else if (c == '#' || c == '?') {
			pattern_add(pattern, c == '#' ? WILD_NUMBER : WILD_REST);
		} else if (c == 'x') {
			char digits[3] = {text[0], text[1], 0};

			pattern_add(pattern, (uint8_t)strtoul(digits, NULL, 16));
			text += 2;
		} else if (c == '{') {
			char *colon;
			unsigned long count = strtoul(text, &colon, 10);
			const char *close = strchr(colon, '}');

			ASSERT(*colon == ':' && close != NULL);
			while (count-- > 0)
				pattern_parse(pattern, colon + 1, close);
			text = close + 1;
		} else {
			pattern_add(pattern, (uint8_t)c);
		}
	}
	return false;
}

/* Bytes of `text` that the pattern matches from the front, or -1. */
static int64_t pattern_match(const struct pattern *pattern, const uint8_t *text, size_t length)
{
	size_t at = 0;

	for (size_t i = 0; i < pattern->length; i++) {
		uint16_t code = pattern->codes[i];

		if (code == WILD_NUMBER) {
			if (at == length || text[at] < '0' || text[at] > '9')
				return -1;
			while (at < length && text[at] >= '0' && text[at] <= '9')
				at++;
		} else if (code == WILD_REST) {
			while (at < length && text[at] != '\r')
				at++;
		} else if (at == length || text[at++] != code) {
			return -1;
		}
	}
	return (int64_t)at;
}

static void send_now(struct script *script)
{
	size_t sent = 0;

	while (sent < script->to_send.length) {
		size_t part = script->to_send.length - sent;

		if (script->cut == CUT_EVERYWHERE)
			part = 1;
		else if (script->cut == CUT_AT_RANDOM)
			part = 1 + random_below(&script->random,
			                        random_below(&script->random, part) + 1);
		rig_send(script->client, script->to_send.data + sent, part);
		sent += part;
	}
	script->to_send.length = 0;
}

static void expect_reply(struct script *script)
{
	struct bytes *replies = &script->client->replies;
	int64_t matched = pattern_match(&script->pattern, replies->data, replies->length);

	if (matched < 0)
		fail(script, "not the reply expected", replies->data, replies->length);
	else
		bytes_drop_front(replies, (size_t)matched);
}

static void expect_datagram(struct script *script)
{
	struct bytes *sent = &script->rig->datagrams_sent;
	size_t length = sent->length < 2 ? 0 : load_be16(sent->data);

	if (sent->length < 2)
		fail(script, "no datagram was sent", NULL, 0);
	else if (pattern_match(&script->pattern, sent->data + 2, length) != (int64_t)length)
		fail(script, "not the datagram expected", sent->data + 2, length);
	else
		bytes_drop_front(sent, 2 + length);
}

static void expect_silence(struct script *script)
{
	struct bytes *replies = &script->client->replies;

	if (replies->length > 0)
		fail(script, "more was said", replies->data, replies->length);
	if (script->rig->datagrams_sent.length > 0)
		fail(script, "more datagrams were sent", script->rig->datagrams_sent.data + 2,
		     script->rig->datagrams_sent.length - 2);
}

#define FIND(name, unit, kind, help)                                                               \
	if (strcmp(counter, #name) == 0) {                                                         \
		uint64_t now = counter_read(&current->name);                                       \
		uint64_t delta = now - counter_read(&seen->name);                                  \
		seen->name = now;                                                                  \
		return (int64_t)delta;                                                             \
	}

/* Likewise, of all shards together. */
#define FIND_SUM(name, unit, kind, help)                                                           \
	if (strcmp(counter, #name) == 0) {                                                         \
		uint64_t now = 0, delta;                                                           \
		for (uint32_t i = 0; i < script->rig->shard_count; i++)                            \
			now += counter_read(&FIND_COUNTERS(script->rig->all[i])->name);            \
		delta = now - counter_read(&seen->name);                                           \
		seen->name = now;                                                                  \
		return (int64_t)delta;                                                             \
	}

static int64_t counter_delta(struct script *script, const char *counter)
{
	{
		const struct session_counters *current = &script->rig->sessions.counters;
		struct session_counters *seen = &script->seen.sessions;

		SESSION_COUNTERS(FIND)
	}
	{
		struct shard_counters *seen = &script->seen.shard;

#define FIND_COUNTERS shard_counters
		SHARD_COUNTERS(FIND_SUM)
#undef FIND_COUNTERS
	}
	{
		const struct datagram_counters *current = &script->rig->datagrams.counters;
		struct datagram_counters *seen = &script->datagrams_seen;

		DATAGRAM_COUNTERS(FIND)
	}
	{
		struct store_counters *seen = &script->seen.store;

#define FIND_COUNTERS shard_store_counters
		STORE_COUNTERS(FIND_SUM)
#undef FIND_COUNTERS
	}
	return -1;
}

static void expect_counter(struct script *script, const char *text)
{
	char name[64], message[256];
	long long wanted;
	int64_t delta;

	if (sscanf(text, "%63s %lld", name, &wanted) != 2) {
		fail(script, "a counter and a number are wanted", NULL, 0);
		return;
	}
	delta = counter_delta(script, name);
	snprintf(message, sizeof(message), "%s grew by %lld", name, (long long)delta);
	if (delta != wanted)
		fail(script, message, NULL, 0);
}

static void pass_time(struct script *script, uint32_t seconds)
{
	rig_advance_s(script->rig, seconds);
	sessions_expire(&script->rig->sessions, &script->rig->time);
}

static void replace_client(struct script *script)
{
	expect_silence(script);
	rig_disconnect(script->client);
	script->client = rig_connect(script->rig);
}

static void run_udp(struct script *script, bool trusted)
{
	uint8_t *datagram = malloc(script->pattern.length + 1);

	for (size_t i = 0; i < script->pattern.length; i++)
		datagram[i] = (uint8_t)script->pattern.codes[i];
	rig_send_datagram(script->rig, (struct slice){datagram, script->pattern.length}, trusted);
	free(datagram);
}

static void run_line(struct script *script, const char *line, const char *end)
{
	const char *text = line + 4 < end ? line + 4 : end;
	bool is_datagram = strncmp(line, "udp", 3) == 0;

	script->pattern.length = 0;
	if (is_datagram)
		text = strchr(line, ' ') + 1;
	if (!pattern_parse(&script->pattern, text, end) && !is_datagram) {
		pattern_add(&script->pattern, '\r');
		pattern_add(&script->pattern, '\n');
	}
	if (strncmp(line, ">>> ", 4) == 0 || strcmp(line, ">>>") == 0) {
		for (size_t i = 0; i < script->pattern.length; i++)
			bytes_append(&script->to_send,
			             &(uint8_t){(uint8_t)script->pattern.codes[i]}, 1);
		return;
	}
	send_now(script);
	if (strncmp(line, "<<< ", 4) == 0 || strcmp(line, "<<<") == 0) {
		expect_reply(script);
	} else if (strcmp(line, "<<|") == 0) {
		expect_silence(script);
		if (!script->client->is_closed)
			fail(script, "the client was not closed", NULL, 0);
	} else if (strcmp(line, ">>|") == 0) {
		rig_finish(script->client);
	} else if (strcmp(line, ">>!") == 0) {
		replace_client(script);
	} else if (strncmp(line, "+++ ", 4) == 0) {
		expect_counter(script, text);
	} else if (strncmp(line, "++> ", 4) == 0) {
		pass_time(script, (uint32_t)strtoul(text, NULL, 10));
	} else if (strncmp(line, "udp> ", 5) == 0 || strncmp(line, "udpt> ", 6) == 0) {
		run_udp(script, line[3] == 't');
	} else if (strncmp(line, "udp< ", 5) == 0) {
		expect_datagram(script);
	} else if (line[0] != '#' && line[0] != 0 && strncmp(line, "login> ", 7) != 0 &&
	           strcmp(line, "shards> 1") != 0 && strcmp(line, "classes>") != 0) {
		fail(script, "a line that says nothing", (const uint8_t *)line, strlen(line));
	}
}

/* What comes behind `word` in the script's first line that is no comment; NULL: it begins with
 * something else. */
static char *read_first(FILE *file, const char *word)
{
	char *line = NULL, *text = NULL;
	size_t capacity = 0;
	ssize_t length;

	while ((length = getline(&line, &capacity, file)) > 0 && line[0] == '#')
		;
	if (length > 0 && strncmp(line, word, strlen(word)) == 0) {
		line[length - 1] = 0;
		text = strdup(line + strlen(word));
	}
	free(line);
	rewind(file);
	return text;
}

static bool run_script(const char *path, enum cut cut, uint64_t seed, uint32_t shard_count)
{
	struct rig_options options = {.shard_count = shard_count, .seed = seed};
	struct script script = {.path = path, .cut = cut, .random = random_seeded(seed)};
	FILE *file = fopen(path, "r");
	char *line = NULL, *password, *classes;
	size_t capacity = 0;
	ssize_t length;

	if (file == NULL) {
		fprintf(stderr, "%s: %m\n", path);
		return false;
	}
	password = read_first(file, "login> ");
	options.password = password;
	classes = read_first(file, "classes>");
	options.with_classes = classes != NULL;
	script.rig = rig_create(&options);
	script.client = rig_connect(script.rig);
	while (!script.failed && (length = getline(&line, &capacity, file)) >= 0) {
		script.line_number++;
		if (length > 0 && line[length - 1] == '\n')
			line[--length] = 0;
		run_line(&script, line, line + length);
	}
	send_now(&script);
	if (!script.failed)
		expect_silence(&script);
	fclose(file);
	free(line);
	free(script.to_send.data);
	free(script.pattern.codes);
	rig_disconnect(script.client);
	rig_destroy(script.rig);
	free(password);
	free(classes);
	return !script.failed;
}

static bool is_for_one_shard(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = file == NULL ? NULL : read_first(file, "shards> ");

	if (file != NULL)
		fclose(file);
	free(text);
	return text != NULL;
}

int main(int argc, char **argv)
{
	uint32_t failed_count = 0;

	for (int i = 1; i < argc; i++) {
		bool passed =
		    run_script(argv[i], CUT_NOT, 0, 1) && run_script(argv[i], CUT_EVERYWHERE, 0, 1);

		for (uint64_t seed = 1; passed && seed <= 8; seed++)
			passed = run_script(argv[i], CUT_AT_RANDOM, seed, 1);
		for (uint32_t count = 2;
		     passed && !is_for_one_shard(argv[i]) && count <= RIG_SHARD_COUNT_MAX; count++)
			for (uint64_t seed = 1; passed && seed <= 4; seed++)
				passed = run_script(argv[i], CUT_NOT, seed, count) &&
				         run_script(argv[i], CUT_AT_RANDOM, seed, count);
		failed_count += !passed;
		printf("%s %s\n", passed ? "ok  " : "FAIL", argv[i]);
	}
	return failed_count == 0 && argc > 1 ? 0 : 1;
}
