/* SPDX-License-Identifier: Apache-2.0 */
/* The asking half of a talk. */
#include "talk_internal.h"

#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const say_words[] = {
    [SAY_GET] = "get",        [SAY_GETS] = "gets",       [SAY_GET_MANY] = "get",
    [SAY_SET] = "set",        [SAY_ADD] = "add",         [SAY_REPLACE] = "replace",
    [SAY_APPEND] = "append",  [SAY_PREPEND] = "prepend", [SAY_CAS] = "cas",
    [SAY_INCR] = "incr",      [SAY_DECR] = "decr",       [SAY_DELETE] = "delete",
    [SAY_TOUCH] = "touch",    [SAY_GAT] = "gat",         [SAY_VERSION] = "version",
    [SAY_SHARED_SET] = "set", [SAY_SHARED_GET] = "get",  [SAY_FLUSH] = "flush_all",
    [SAY_KINDS] = NULL,
};

/* How often each is said, in hundredths. */
static const uint8_t say_weights[SAY_KINDS] = {
    [SAY_GET] = 16,       [SAY_GETS] = 4,        [SAY_GET_MANY] = 8, [SAY_SET] = 20,
    [SAY_ADD] = 4,        [SAY_REPLACE] = 3,     [SAY_APPEND] = 3,   [SAY_PREPEND] = 3,
    [SAY_CAS] = 4,        [SAY_INCR] = 5,        [SAY_DECR] = 3,     [SAY_DELETE] = 3,
    [SAY_TOUCH] = 2,      [SAY_GAT] = 2,         [SAY_VERSION] = 1,  [SAY_BAD] = 3,
    [SAY_SHARED_SET] = 6, [SAY_SHARED_GET] = 10,
};

const struct bad_line bad_lines[BAD_LINE_COUNT] = {
    {"nonsense\r\n", "ERROR"},
    {"get\r\n", "ERROR"},
    {"set a 0 0 -1\r\n", "CLIENT_ERROR bad command line format"},
    {"set a b 0 1\r\nx\r\n", "CLIENT_ERROR bad command line format"},
    {"incr a x\r\n", "CLIENT_ERROR invalid numeric delta argument"},
    {"touch a x\r\n", "CLIENT_ERROR invalid exptime argument"},
    {"delete a 5\r\n", "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]"},
};

void board_fail(struct board *board, const char *format, ...)
{
	va_list arguments;

	if (board->failure[0] != '\0')
		return;
	va_start(arguments, format);
	vsnprintf(board->failure, sizeof(board->failure), format, arguments);
	va_end(arguments);
}

uint32_t shared_value(uint32_t key, uint64_t version, char *to)
{
	uint64_t seed = key * 1000003ull + version;
	struct random random = random_seeded(seed);
	uint32_t length = (uint32_t)random_below(&random, SHARED_VALUE_MAX - 64);
	int head = sprintf(to, "s%u:%llu:", key, (unsigned long long)version);

	for (uint32_t i = 0; i < length; i++)
		to[head + (int)i] = (char)('a' + random_below(&random, 26));
	return (uint32_t)head + length;
}

bool shared_check(struct board *board, uint32_t key, const uint8_t *data, uint32_t length,
                  uint64_t acknowledged_when_asked)
{
	char expected[SHARED_VALUE_MAX];
	char head[64] = {0};
	unsigned long long version = 0;
	unsigned found_key = 0;

	memcpy(head, data, length < 63 ? length : 63);
	if (sscanf(head, "s%u:%llu:", &found_key, &version) != 2 || found_key != key) {
		board_fail(board, "shared key %u holds somebody else's value", key);
		return false;
	}
	if (version < acknowledged_when_asked || version > board->shared_sent[key]) {
		board_fail(board,
		           "stale or invented: shared key %u read as version %llu, %llu was "
		           "acknowledged, %llu sent",
		           key, version, (unsigned long long)acknowledged_when_asked,
		           (unsigned long long)board->shared_sent[key]);
		return false;
	}
	if (shared_value(key, version, expected) != length || memcmp(expected, data, length) != 0) {
		board_fail(board, "shared key %u version %llu: wrong bytes", key, version);
		return false;
	}
	return true;
}

void talk_create(struct talk *talk, struct board *board, uint64_t seed)
{
	memset(talk, 0, sizeof(*talk));
	talk->board = board;
	talk->random = random_seeded(seed);
	talk->number = board->talk_count++;
	talk->shared_key =
	    board->shared_count < SHARED_KEY_MAX ? board->shared_count++ : UINT32_MAX;
}

void said_free(struct said *said)
{
	free(said->data);
	free(said);
}

void talk_destroy(struct talk *talk)
{
	while (talk->said_first != NULL) {
		struct said *said = talk->said_first;

		talk->said_first = said->next;
		said_free(said);
	}
	for (int i = 0; i < PRIVATE_KEY_COUNT; i++)
		free(talk->keys[i].data);
	free(talk->out);
	free(talk->data);
	memset(talk, 0, sizeof(*talk));
}

static void out_append(struct talk *talk, const void *bytes, size_t length)
{
	if (talk->out_length + length > talk->out_capacity) {
		talk->out_capacity = (talk->out_length + length) * 2;
		talk->out = realloc(talk->out, talk->out_capacity);
	}
	memcpy(talk->out + talk->out_length, bytes, length);
	talk->out_length += length;
}

void talk_took(struct talk *talk, size_t length)
{
	memmove(talk->out, talk->out + length, talk->out_length - length);
	talk->out_length -= length;
}

void talk_quit(struct talk *talk)
{
	out_append(talk, "quit\r\n", 6);
}

void key_name(const struct talk *talk, uint32_t key, char *to)
{
	sprintf(to, "p%u:%u", talk->number, key);
}

/* A number of any length. */
static uint64_t random_magnitude(struct random *random)
{
	uint64_t shift = random_below(random, 64);

	return random_u64(random) >> shift;
}

/* The first four keys hold numbers, the others anything. */
static void value_make(struct talk *talk, struct said *said)
{
	struct random *random = &talk->random;
	uint32_t max = talk->board->value_bytes_max;

	if (said->key < 4 && said->say != SAY_APPEND && said->say != SAY_PREPEND) {
		said->data = malloc(32);
		said->length = (uint32_t)sprintf((char *)said->data, "%llu",
		                                 (unsigned long long)random_magnitude(random));
		return;
	}
	if (random_below(random, talk->board->memory_is_short ? 2 : 40) != 0)
		max = min_u32(max, 600);
	said->length = (uint32_t)random_below(random, max + 1);
	if ((said->say == SAY_APPEND || said->say == SAY_PREPEND) && said->length > 100)
		said->length = 100;
	said->data = malloc(said->length + 1);
	for (uint32_t i = 0; i < said->length; i++)
		said->data[i] = (uint8_t)random_u64(random);
}

static enum say say_choose(struct talk *talk)
{
	uint64_t at = random_below(&talk->random, 100);
	int say = 0;

	if (talk->board->flushes && random_below(&talk->random, 30) == 0)
		return SAY_FLUSH;
	while (at >= say_weights[say]) {
		at -= say_weights[say];
		say++;
	}
	if (say == SAY_SHARED_SET && talk->shared_key == UINT32_MAX)
		return SAY_SHARED_GET;
	return (enum say)say;
}

static void say_storage(struct talk *talk, struct said *said, const char *name)
{
	char line[256];
	int length;
	char cas[32] = "";

	value_make(talk, said);
	said->flags = (uint32_t)random_u64(&talk->random);
	if (!said->noreply && random_below(&talk->random, 6) == 0)
		said->exptime_s = 1 + (uint32_t)random_below(&talk->random, 5);
	if (said->say == SAY_CAS) {
		struct private_key *key = &talk->keys[said->key];

		said->cas_version = key->cas_seen == 0 ? 0 : key->cas_version;
		sprintf(cas, " %llu",
		        (unsigned long long)(key->cas_seen == 0 ? UINT64_MAX : key->cas_seen));
	}
	length = sprintf(line, "%s %s %u %u %u%s%s\r\n", say_words[said->say], name, said->flags,
	                 said->exptime_s, said->length, cas, said->noreply ? " noreply" : "");
	out_append(talk, line, (size_t)length);
	out_append(talk, said->data, said->length);
	out_append(talk, "\r\n", 2);
}

static void say_get_many(struct talk *talk, struct said *said)
{
	char name[64];

	out_append(talk, "get", 3);
	for (uint32_t key = 0; key < PRIVATE_KEY_COUNT; key++) {
		if (random_below(&talk->random, 2) == 0)
			continue;
		key_name(talk, key, name);
		out_append(talk, " ", 1);
		out_append(talk, name, strlen(name));
		said->keys[said->key_count++] = key;
	}
	if (said->key_count == 0) {
		out_append(talk, " absent", 7);
	}
	out_append(talk, "\r\n", 2);
}

static void say_shared(struct talk *talk, struct said *said)
{
	struct board *board = talk->board;
	char line[128], value[SHARED_VALUE_MAX];
	int length;

	if (said->say == SAY_SHARED_GET) {
		said->key = (uint32_t)random_below(&talk->random, board->shared_count);
		said->acknowledged = board->shared_acknowledged[said->key];
		length = sprintf(line, "get s%u\r\n", said->key);
		out_append(talk, line, (size_t)length);
		return;
	}
	said->key = talk->shared_key;
	said->shared_version = ++board->shared_sent[said->key];
	said->length = shared_value(said->key, said->shared_version, value);
	length = sprintf(line, "set s%u 0 0 %u\r\n", said->key, said->length);
	out_append(talk, line, (size_t)length);
	out_append(talk, value, said->length);
	out_append(talk, "\r\n", 2);
}

static void say_small(struct talk *talk, struct said *said, const char *name)
{
	const char *noreply = said->noreply ? " noreply" : "";
	char line[256];
	int length;

	switch (said->say) {
	case SAY_INCR:
	case SAY_DECR:
		said->delta = random_magnitude(&talk->random);
		length = sprintf(line, "%s %s %llu%s\r\n", say_words[said->say], name,
		                 (unsigned long long)said->delta, noreply);
		break;
	case SAY_DELETE: length = sprintf(line, "delete %s%s\r\n", name, noreply); break;
	case SAY_TOUCH:
	case SAY_GAT:
		said->exptime_s = said->noreply ? 0 : (uint32_t)random_below(&talk->random, 5);
		if (said->say == SAY_GAT)
			length = sprintf(line, "gat %u %s\r\n", said->exptime_s, name);
		else
			length = sprintf(line, "touch %s %u%s\r\n", name, said->exptime_s, noreply);
		break;
	case SAY_VERSION: length = sprintf(line, "version\r\n"); break;
	case SAY_FLUSH: length = sprintf(line, "flush_all\r\n"); break;
	case SAY_BAD:
		said->key = (uint32_t)random_below(&talk->random, BAD_LINE_COUNT);
		length = sprintf(line, "%s", bad_lines[said->key].line);
		break;
	default: length = sprintf(line, "%s %s\r\n", say_words[said->say], name); break;
	}
	out_append(talk, line, (size_t)length);
}

void talk_say(struct talk *talk, uint64_t now_us)
{
	struct said *said = calloc(1, sizeof(*said));
	char name[64];

	said->say = say_choose(talk);
	said->key = (uint32_t)random_below(&talk->random, PRIVATE_KEY_COUNT);
	if (said->say == SAY_INCR || said->say == SAY_DECR)
		said->key = (uint32_t)random_below(&talk->random, 5);
	said->said_s = now_us / 1000000;
	key_name(talk, said->key, name);
	/* without a reply the model must be sure of the outcome */
	said->noreply = !talk->board->keys_may_vanish && !talk->keys[said->key].expires &&
	                said->say >= SAY_SET && said->say <= SAY_TOUCH &&
	                random_below(&talk->random, 8) == 0;
	switch (said->say) {
	case SAY_SET:
	case SAY_ADD:
	case SAY_REPLACE:
	case SAY_APPEND:
	case SAY_PREPEND:
	case SAY_CAS: say_storage(talk, said, name); break;
	case SAY_GET_MANY: say_get_many(talk, said); break;
	case SAY_SHARED_GET:
	case SAY_SHARED_SET: say_shared(talk, said); break;
	default: say_small(talk, said, name); break;
	}
	if (said->exptime_s != 0) /* from now on nobody is sure of this key */
		talk->keys[said->key].expires = true;
	if (talk->said_last == NULL)
		talk->said_first = said;
	else
		talk->said_last->next = said;
	talk->said_last = said;
	talk->said_count++;
}
