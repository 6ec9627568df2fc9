/* SPDX-License-Identifier: Apache-2.0 */
/* The listening half of a talk: what the reply must be, and what is true after it. */
#include "talk_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The key may have gone by itself. */
static bool may_be_gone(const struct talk *talk, const struct private_key *key, uint64_t now_s)
{
	return talk->board->keys_may_vanish ||
	       (key->expires_until_s != 0 && now_s >= key->expires_from_s);
}

/* The key must have gone by itself before the request was made. */
static bool must_be_gone(const struct private_key *key, const struct said *said)
{
	return key->expires_until_s != 0 && said->said_s > key->expires_until_s;
}

static void key_forget(struct private_key *key)
{
	free(key->data);
	key->data = NULL;
	key->length = 0;
	key->present = false;
	key->expires_from_s = 0;
	key->expires_until_s = 0;
}

static void key_expiry(struct private_key *key, const struct said *said, uint64_t now_s)
{
	key->expires_from_s = said->exptime_s == 0 ? 0 : said->said_s + said->exptime_s - 1;
	key->expires_until_s = said->exptime_s == 0 ? 0 : now_s + said->exptime_s + 2;
}

static void key_changed(struct talk *talk, struct private_key *key)
{
	key->version = ++talk->last_version;
}

static void key_store(struct talk *talk, struct private_key *key, const struct said *said,
                      uint64_t now_s)
{
	key_forget(key);
	key->present = true;
	key->flags = said->flags;
	key->length = said->length;
	key->data = malloc(said->length + 1);
	memcpy(key->data, said->data, said->length);
	key_expiry(key, said, now_s);
	key_changed(talk, key);
}

static void key_join(struct talk *talk, struct private_key *key, const struct said *said)
{
	uint8_t *joined = malloc(key->length + said->length + 1);
	uint32_t old_at = said->say == SAY_APPEND ? 0 : said->length;
	uint32_t new_at = said->say == SAY_APPEND ? key->length : 0;

	memcpy(joined + old_at, key->data, key->length);
	memcpy(joined + new_at, said->data, said->length);
	free(key->data);
	key->data = joined;
	key->length += said->length;
	key_changed(talk, key);
}

/* As memcached does: strtoull(), then white space or the end; what follows that is not looked at,
 * so a decr to fewer digits may leave spaces. */
static bool key_number(const struct private_key *key, uint64_t *ret_number)
{
	char *text, *end;
	bool good;

	if (key->length > NUMBER_VALUE_BYTES_MAX)
		return false;
	text = strndup((const char *)key->data, key->length);
	errno = 0;
	*ret_number = strtoull(text, &end, 10);
	good = errno == 0 && end != text && (*end == '\0' || isspace((unsigned char)*end)) &&
	       ((int64_t)*ret_number >= 0 || memchr(text, '-', (size_t)(end - text)) == NULL);
	free(text);
	return good;
}

static void key_count(struct talk *talk, struct private_key *key, const struct said *said,
                      uint64_t number, char *reply)
{
	uint64_t result = said->say == SAY_INCR  ? number + said->delta
	                  : number < said->delta ? 0
	                                         : number - said->delta;
	uint32_t digits = (uint32_t)sprintf(reply, "%llu", (unsigned long long)result);

	if (digits > key->length) {
		key->data = realloc(key->data, digits + 1);
		key->length = digits;
	}
	memset(key->data, ' ', key->length);
	memcpy(key->data, reply, digits);
	key_changed(talk, key);
}

/* What the reply to a request with a one-line reply is, when the key is `here` or not; changes the
 * key only when `apply`. */
static void outcome(struct talk *talk, const struct said *said, bool here, bool apply,
                    uint64_t now_s, char *reply)
{
	struct private_key *key = &talk->keys[said->key];
	uint64_t number;

	switch (said->say) {
	case SAY_SET: strcpy(reply, "STORED"); break;
	case SAY_ADD: strcpy(reply, here ? "NOT_STORED" : "STORED"); break;
	case SAY_REPLACE:
	case SAY_APPEND:
	case SAY_PREPEND: strcpy(reply, here ? "STORED" : "NOT_STORED"); break;
	case SAY_CAS:
		strcpy(reply, !here                               ? "NOT_FOUND"
		              : said->cas_version == key->version ? "STORED"
		                                                  : "EXISTS");
		break;
	case SAY_DELETE: strcpy(reply, here ? "DELETED" : "NOT_FOUND"); break;
	case SAY_TOUCH: strcpy(reply, here ? "TOUCHED" : "NOT_FOUND"); break;
	case SAY_INCR:
	case SAY_DECR:
		if (!here)
			strcpy(reply, "NOT_FOUND");
		else if (!key_number(key, &number))
			strcpy(reply,
			       "CLIENT_ERROR cannot increment or decrement non-numeric value");
		else if (apply)
			key_count(talk, key, said, number, reply);
		else
			sprintf(reply, "%llu",
			        (unsigned long long)(said->say == SAY_INCR ? number + said->delta
			                             : number < said->delta
			                                 ? 0
			                                 : number - said->delta));
		break;
	default: abort();
	}
	if (!apply)
		return;
	if (!here)
		key_forget(key);
	if (strcmp(reply, "STORED") == 0 && (said->say == SAY_APPEND || said->say == SAY_PREPEND))
		key_join(talk, key, said);
	else if (strcmp(reply, "STORED") == 0)
		key_store(talk, key, said, now_s);
	else if (strcmp(reply, "DELETED") == 0)
		key_forget(key);
	else if (strcmp(reply, "TOUCHED") == 0)
		key_expiry(key, said, now_s);
}

static void said_done(struct talk *talk)
{
	struct said *said = talk->said_first;

	talk->said_first = said->next;
	if (talk->said_first == NULL)
		talk->said_last = NULL;
	talk->said_count--;
	talk->answered_count++;
	talk->piece_index = 0;
	said_free(said);
}

/* Requests that get no reply happen when their turn comes. */
static void noreplies_run(struct talk *talk, uint64_t now_s)
{
	while (talk->said_first != NULL && talk->said_first->noreply) {
		const struct said *said = talk->said_first;
		char reply[128];

		outcome(talk, said, talk->keys[said->key].present, true, now_s, reply);
		said_done(talk);
	}
}

static bool wrong(struct talk *talk, const char *expected)
{
	const struct said *said = talk->said_first;

	board_fail(talk->board, "talk %u, request %llu (%s key %u): told \"%s\", expected \"%s\"",
	           talk->number, (unsigned long long)talk->answered_count,
	           said->say == SAY_BAD ? "bad line" : say_words[said->say], said->key, talk->line,
	           expected);
	return false;
}

static bool hear_simple(struct talk *talk, uint64_t now_s)
{
	const struct said *said = talk->said_first;
	struct private_key *key = &talk->keys[said->key];
	bool present = key->present && !must_be_gone(key, said);
	char expected[128], absent[128];

	/* a store that is too small may also be too full: a set takes the old value with it */
	if (talk->board->memory_is_short && said->say >= SAY_SET && said->say <= SAY_DECR &&
	    strcmp(talk->line, "SERVER_ERROR out of memory storing object") == 0) {
		if (said->say == SAY_SET)
			key_forget(key);
		said_done(talk);
		return true;
	}
	outcome(talk, said, present, false, now_s, expected);
	if (strcmp(talk->line, expected) == 0) {
		outcome(talk, said, present, true, now_s, expected);
		said_done(talk);
		return true;
	}
	outcome(talk, said, false, false, now_s, absent);
	if (present && may_be_gone(talk, key, now_s) && strcmp(talk->line, absent) == 0) {
		outcome(talk, said, false, true, now_s, absent);
		said_done(talk);
		return true;
	}
	return wrong(talk, expected);
}

static uint32_t said_key(const struct said *said, uint32_t index)
{
	return said->say == SAY_GET_MANY ? said->keys[index] : said->key;
}

static void expect_data(struct talk *talk, const uint8_t *data, uint32_t length)
{
	free(talk->data);
	talk->data = malloc(length + 3);
	memcpy(talk->data, data, length);
	memcpy(talk->data + length, "\r\n", 2);
	talk->data_length = length + 2;
	talk->data_matched = 0;
	talk->in_data = true;
}

/* A line of the reply to get, gets, gat with private keys. */
static bool hear_get(struct talk *talk, uint64_t now_s)
{
	const struct said *said = talk->said_first;
	uint32_t count = said->say == SAY_GET_MANY ? said->key_count : 1;
	bool end = strcmp(talk->line, "END") == 0;

	for (; talk->piece_index < count; talk->piece_index++) {
		struct private_key *key = &talk->keys[said_key(said, talk->piece_index)];
		char expected[300], name[64];
		int length;

		if (!key->present)
			continue;
		if (must_be_gone(key, said)) {
			key_forget(key);
			continue;
		}
		key_name(talk, said_key(said, talk->piece_index), name);
		length = sprintf(expected, "VALUE %s %u %u", name, key->flags, key->length);
		if (!end && strncmp(talk->line, expected, (size_t)length) == 0) {
			const char *rest = talk->line + length;

			if (said->say == SAY_GETS && rest[0] == ' ') {
				key->cas_seen = strtoull(rest + 1, NULL, 10);
				key->cas_version = key->version;
			} else if (rest[0] != '\0') {
				return wrong(talk, expected);
			}
			if (said->say == SAY_GAT)
				key_expiry(key, said, now_s);
			expect_data(talk, key->data, key->length);
			talk->piece_index++;
			return true;
		}
		if (!may_be_gone(talk, key, now_s))
			return wrong(talk, expected);
		key_forget(key);
	}
	if (!end)
		return wrong(talk, "END");
	said_done(talk);
	return true;
}

static bool hear_shared_get(struct talk *talk)
{
	const struct said *said = talk->said_first;
	unsigned key, flags, length;

	if (strcmp(talk->line, "END") == 0) {
		if (talk->piece_index == 0 && said->acknowledged > 0 &&
		    !talk->board->keys_may_vanish)
			return wrong(talk, "VALUE: it was acknowledged");
		said_done(talk);
		return true;
	}
	if (talk->piece_index > 0 ||
	    sscanf(talk->line, "VALUE s%u %u %u", &key, &flags, &length) != 3 || key != said->key ||
	    flags != 0 || length > SHARED_VALUE_MAX)
		return wrong(talk, "VALUE or END");
	talk->piece_index = 1;
	free(talk->data);
	talk->data = malloc(length + 3);
	talk->data_length = length + 2;
	talk->data_matched = 0;
	talk->in_data = true;
	return true;
}

static bool hear_line(struct talk *talk, uint64_t now_s)
{
	const struct said *said = talk->said_first;

	if (said == NULL) {
		board_fail(talk->board, "talk %u was told \"%s\" and had asked nothing",
		           talk->number, talk->line);
		return false;
	}
	switch (said->say) {
	case SAY_GET:
	case SAY_GETS:
	case SAY_GAT:
	case SAY_GET_MANY: return hear_get(talk, now_s);
	case SAY_SHARED_GET: return hear_shared_get(talk);
	case SAY_SHARED_SET:
		if (talk->board->memory_is_short &&
		    strcmp(talk->line, "SERVER_ERROR out of memory storing object") == 0) {
			said_done(talk);
			return true;
		}
		if (strcmp(talk->line, "STORED") != 0)
			return wrong(talk, "STORED");
		talk->board->shared_acknowledged[said->key] = said->shared_version;
		said_done(talk);
		return true;
	case SAY_FLUSH:
		if (strcmp(talk->line, "OK") != 0)
			return wrong(talk, "OK");
		for (int i = 0; i < PRIVATE_KEY_COUNT; i++)
			key_forget(&talk->keys[i]);
		said_done(talk);
		return true;
	case SAY_VERSION:
		if (strncmp(talk->line, "VERSION ", 8) != 0)
			return wrong(talk, "VERSION");
		said_done(talk);
		return true;
	case SAY_BAD:
		if (strcmp(talk->line, bad_lines[said->key].reply) != 0)
			return wrong(talk, bad_lines[said->key].reply);
		said_done(talk);
		return true;
	default: return hear_simple(talk, now_s);
	}
}

static bool hear_data(struct talk *talk, const uint8_t *bytes, uint32_t length)
{
	const struct said *said = talk->said_first;
	uint8_t *at = talk->data + talk->data_matched;

	if (said->say == SAY_SHARED_GET) {
		memcpy(at, bytes, length);
	} else if (memcmp(at, bytes, length) != 0) {
		board_fail(talk->board, "talk %u, request %llu: wrong value bytes for key %u",
		           talk->number, (unsigned long long)talk->answered_count,
		           said_key(said, talk->piece_index - 1));
		return false;
	}
	talk->data_matched += length;
	if (talk->data_matched < talk->data_length)
		return true;
	talk->in_data = false;
	return said->say != SAY_SHARED_GET ||
	       shared_check(talk->board, said->key, talk->data, talk->data_length - 2,
	                    said->acknowledged);
}

bool talk_hear(struct talk *talk, const uint8_t *bytes, uint32_t length, uint64_t now_us)
{
	uint64_t now_s = now_us / 1000000 + 1;

	while (length > 0) {
		uint32_t part = 1;

		noreplies_run(talk, now_s);
		if (talk->in_data) {
			part = talk->data_length - talk->data_matched;
			part = part < length ? part : length;
			if (!hear_data(talk, bytes, part))
				return false;
		} else if (bytes[0] == '\n' && talk->line_length > 0 &&
		           talk->line[talk->line_length - 1] == '\r') {
			talk->line[talk->line_length - 1] = '\0';
			talk->line_length = 0;
			if (!hear_line(talk, now_s))
				return false;
		} else if (talk->line_length + 1 < sizeof(talk->line)) {
			talk->line[talk->line_length++] = (char)bytes[0];
		} else {
			board_fail(talk->board, "talk %u: a reply line without end", talk->number);
			return false;
		}
		bytes += part;
		length -= part;
	}
	noreplies_run(talk, now_s);
	return true;
}
