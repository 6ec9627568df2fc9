/* SPDX-License-Identifier: Apache-2.0 */
#include "control/audit_lines.h"

#include "base/assert.h"
#include "base/bytes.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Without bytes that a terminal or a reader could take for something else. */
#define DUMP_FLAGS (JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY)

#define HASH_DIGITS     (AUDIT_HASH_BYTES - 1)
#define TIME_LENGTH     (AUDIT_TIME_BYTES - 1)
#define JSON_LEVELS_MAX 32
#define SECONDS_MAX     253402300799 /* 9999-12-31T23:59:59Z */
#define PREV_BEFORE     ",\"prev\":\""
#define HASH_BEFORE     "\",\"hash\":\""
#define HASH_BEHIND     "\"}"
#define TIME_BEFORE     ",\"time\":\""
#define KIND_BEFORE     "\",\"kind\":\""
#define LENGTH(text)    (sizeof(text) - 1)

/* Each byte of a text becomes 6 at most ("\u0000"). */
_Static_assert(2 * AUDIT_JSON_BYTES_MAX +
                       6 * (3 * AUDIT_TEXT_BYTES_MAX + IDENTITY_NAME_BYTES +
                            IDENTITY_CREDENTIAL_BYTES + IDENTITY_FROM_BYTES) +
                       1024 <=
                   AUDIT_LINE_BYTES_MAX,
               "a line fits");

#define KIND_NAME(name, help) #name,

const char *audit_kind_name(enum audit_kind kind)
{
	static const char *const names[] = {AUDIT_KINDS(KIND_NAME)};

	return names[kind];
}

const char *audit_result_name(enum audit_result result)
{
	static const char *const names[] = {"ok", "refused", "failed"};

	return names[result];
}

void audit_time_format(char ret_text[AUDIT_TIME_BYTES], uint64_t time_us)
{
	time_t seconds = (time_t)min_u64(time_us / 1000000, SECONDS_MAX);
	struct tm date;
	size_t used;

	gmtime_r(&seconds, &date);
	used = strftime(ret_text, AUDIT_TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &date);
	snprintf(ret_text + used, AUDIT_TIME_BYTES - used, ".%06uZ", (unsigned)(time_us % 1000000));
}

bool audit_time_parse(uint64_t *ret_time_us, const char *text)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd.ddddddZ";
	struct tm date = {0}, given;
	char copy[AUDIT_TIME_BYTES];
	time_t seconds;

	memcpy(copy, text, TIME_LENGTH);
	copy[TIME_LENGTH] = '\0';
	for (size_t i = 0; i < TIME_LENGTH; i++)
		if (form[i] == 'd' ? copy[i] < '0' || copy[i] > '9' : copy[i] != form[i])
			return false;
	date.tm_year = atoi(copy) - 1900;
	date.tm_mon = atoi(copy + 5) - 1;
	date.tm_mday = atoi(copy + 8);
	date.tm_hour = atoi(copy + 11);
	date.tm_min = atoi(copy + 14);
	date.tm_sec = atoi(copy + 17);
	given = date;
	seconds = timegm(&date);
	if (seconds < 0 || date.tm_mon != given.tm_mon || date.tm_mday != given.tm_mday ||
	    date.tm_hour != given.tm_hour || date.tm_min != given.tm_min ||
	    date.tm_sec != given.tm_sec)
		return false; /* the 31st of February is a day in March */
	*ret_time_us = (uint64_t)seconds * 1000000 + (uint64_t)atoi(copy + 20);
	return true;
}

void audit_source(char ret_source[IDENTITY_FROM_BYTES], const char *from)
{
	const char *colon = strrchr(from, ':');
	bool has_port =
	    colon != NULL && (from[0] == '[' ? colon[-1] == ']' : colon == strchr(from, ':'));
	size_t length = has_port ? (size_t)(colon - from) : strlen(from);

	length = min_u64(length, IDENTITY_FROM_BYTES - 1);
	memcpy(ret_source, from, length);
	ret_source[length] = '\0';
}

/* SHA-256 of the bytes and of `end` behind them. 0; -ENOMEM. */
static int hash_bytes(char ret_hash[AUDIT_HASH_BYTES], const char *bytes, size_t length,
                      const char *end)
{
	static const char digits[] = "0123456789abcdef";
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t digest[HASH_DIGITS / 2];
	bool done;

	done = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
	       EVP_DigestUpdate(context, bytes, length) == 1 &&
	       EVP_DigestUpdate(context, end, strlen(end)) == 1 &&
	       EVP_DigestFinal_ex(context, digest, NULL) == 1;
	EVP_MD_CTX_free(context);
	if (!done)
		return -ENOMEM; /* nothing else can be wrong with SHA-256 */
	for (size_t i = 0; i < sizeof(digest); i++) {
		ret_hash[2 * i] = digits[digest[i] >> 4];
		ret_hash[2 * i + 1] = digits[digest[i] & 15];
	}
	ret_hash[HASH_DIGITS] = '\0';
	return 0;
}

/* At most AUDIT_TEXT_BYTES_MAX of it, and '?' for what is no UTF-8. NULL: no memory. */
static json_t *text_value(const char *text)
{
	char copy[AUDIT_TEXT_BYTES_MAX + 1];
	size_t length = strnlen(text, sizeof(copy));
	json_t *value;

	if (length > AUDIT_TEXT_BYTES_MAX) {
		length = AUDIT_TEXT_BYTES_MAX - LENGTH("...");
		while (length > 0 && ((uint8_t)text[length] & 0xc0) == 0x80)
			length--; /* no half characters */
		memcpy(copy, text, length);
		memcpy(copy + length, "...", LENGTH("..."));
		length += LENGTH("...");
	} else {
		memcpy(copy, text, length);
	}
	value = json_stringn(copy, length);
	if (value != NULL)
		return value;
	for (size_t i = 0; i < length; i++)
		if ((uint8_t)copy[i] >= 0x7f)
			copy[i] = '?';
	return json_stringn(copy, length);
}

/* True: it has more than `levels` levels; so one can be written that cannot be read again. */
static bool is_deeper(const json_t *value, uint32_t levels)
{
	json_t *object = (json_t *)(uintptr_t)value, *member;
	const char *name;
	size_t i;

	if (levels == 0)
		return true;
	json_object_foreach(object, name, member) if (is_deeper(member, levels - 1)) return true;
	json_array_foreach(object, i, member) if (is_deeper(member, levels - 1)) return true;
	return false;
}

/* The value itself, or, when it is too long or too deep, how long it is and what it hashes to.
 * NULL: no memory. */
static json_t *json_value(const json_t *value)
{
	char hash[AUDIT_HASH_BYTES];
	json_t *instead = NULL;
	char *text;
	size_t length = json_dumpb(value, NULL, 0, DUMP_FLAGS);

	if (length > 0 && length <= AUDIT_JSON_BYTES_MAX && !is_deeper(value, JSON_LEVELS_MAX))
		return json_incref((json_t *)(uintptr_t)value);
	text = json_dumps(value, DUMP_FLAGS);
	if (text != NULL && hash_bytes(hash, text, strlen(text), "") == 0)
		instead =
		    json_pack("{s:I, s:s}", "left_out_bytes", (json_int_t)length, "sha256", hash);
	free(text);
	return instead;
}

/* Adds a text, if there is one. False: no memory. */
static bool add_text(json_t *line, const char *name, const char *text)
{
	if (text == NULL || text[0] == '\0')
		return true;
	return json_object_set_new(line, name, text_value(text)) == 0;
}

static bool add_value(json_t *line, const char *name, const json_t *value)
{
	return value == NULL || json_object_set_new(line, name, json_value(value)) == 0;
}

static bool add_number(json_t *line, const char *name, uint64_t number)
{
	return json_object_set_new(line, name, json_integer((json_int_t)number)) == 0;
}

static bool add_identity(json_t *line, const struct identity *who)
{
	if (who == NULL)
		return true;
	return add_text(line, "who", who->name) &&
	       add_text(line, "role",
	                who->role == ROLE_none && who->name[0] == '\0' ? ""
	                                                               : role_name(who->role)) &&
	       add_text(line, "credential",
	                who->credential == CREDENTIAL_none ? ""
	                                                   : credential_name(who->credential)) &&
	       add_text(line, "credential_id", who->credential_id) &&
	       add_text(line, "from", who->from);
}

/* All but the hash; keys stay in the order in which they are added. NULL: no memory. */
static json_t *line_object(const struct audit_event *event, uint64_t seq, const char *prev,
                           uint64_t now_us)
{
	json_t *line = json_object();
	char time[AUDIT_TIME_BYTES];

	audit_time_format(time, now_us);
	if (line != NULL && add_number(line, "seq", seq) && add_text(line, "time", time) &&
	    add_text(line, "kind", audit_kind_name(event->kind)) &&
	    add_text(line, "action", event->action) &&
	    add_text(line, "result", audit_result_name(event->result)) &&
	    add_identity(line, event->who) && add_text(line, "target", event->target) &&
	    add_value(line, "before", event->before) && add_value(line, "after", event->after) &&
	    add_text(line, "reason", event->reason) &&
	    (event->count <= 1 || add_number(line, "count", event->count)) &&
	    add_text(line, "prev", prev))
		return line;
	json_decref(line);
	return NULL;
}

int audit_line_make(char *ret_line, size_t *ret_length, char ret_hash[AUDIT_HASH_BYTES],
                    const struct audit_event *event, uint64_t seq, const char *prev,
                    uint64_t now_us)
{
	json_t *line = line_object(event, seq, prev, now_us);
	size_t length;
	int r = -ENOMEM;

	if (line == NULL)
		return r;
	length = json_dumpb(line, ret_line, AUDIT_LINE_BYTES_MAX, DUMP_FLAGS);
	json_decref(line);
	ASSERT(length + LENGTH(",\"hash\":\"") + HASH_DIGITS + LENGTH("\"}\n") <=
	       AUDIT_LINE_BYTES_MAX);
	if (length == 0)
		return r;
	length--; /* the } comes behind the hash */
	r = hash_bytes(ret_hash, ret_line, length, "}");
	if (r < 0)
		return r;
	length += (size_t)snprintf(ret_line + length, AUDIT_LINE_BYTES_MAX - length,
	                           ",\"hash\":\"%s\"}\n", ret_hash);
	*ret_length = length;
	return 0;
}

struct cursor {
	const char *at;
	const char *end;
};

static bool skip(struct cursor *cursor, const char *text)
{
	size_t length = strlen(text);

	if ((size_t)(cursor->end - cursor->at) < length || memcmp(cursor->at, text, length) != 0)
		return false;
	cursor->at += length;
	return true;
}

static bool take_seq(struct cursor *cursor, uint64_t *ret_seq)
{
	const char *start = cursor->at;
	uint64_t seq = 0;

	for (; cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9'; cursor->at++) {
		seq = seq * 10 + (uint64_t)(*cursor->at - '0');
		if (seq > AUDIT_SEQ_MAX)
			return false;
	}
	*ret_seq = seq;
	return cursor->at > start && *start != '0';
}

static bool take_kind(struct cursor *cursor, enum audit_kind *ret_kind)
{
	const char *quote = memchr(cursor->at, '"', (size_t)(cursor->end - cursor->at));
	size_t length;
	int kind = 0;

	if (quote == NULL)
		return false;
	length = (size_t)(quote - cursor->at);
	while (kind < AUDIT_KIND_COUNT &&
	       (strlen(audit_kind_name((enum audit_kind)kind)) != length ||
	        memcmp(audit_kind_name((enum audit_kind)kind), cursor->at, length) != 0))
		kind++;
	*ret_kind = (enum audit_kind)kind;
	return true;
}

static bool take_hash(struct cursor *cursor, char ret_hash[AUDIT_HASH_BYTES])
{
	if (cursor->end - cursor->at < HASH_DIGITS)
		return false;
	memcpy(ret_hash, cursor->at, HASH_DIGITS);
	ret_hash[HASH_DIGITS] = '\0';
	cursor->at += HASH_DIGITS;
	return strspn(ret_hash, "0123456789abcdef") == HASH_DIGITS;
}

int audit_line_scan(struct audit_line *ret_line, const char *text, size_t length)
{
	const size_t tail_length = LENGTH(PREV_BEFORE) + HASH_DIGITS + LENGTH(HASH_BEFORE) +
	                           HASH_DIGITS + LENGTH(HASH_BEHIND);
	const size_t hash_length = LENGTH(HASH_BEFORE) - 1 + HASH_DIGITS + LENGTH(HASH_BEHIND);
	char expected[AUDIT_HASH_BYTES];
	struct audit_line line = {0};
	struct cursor head, tail;
	int r;

	if (length < tail_length)
		return -EBADMSG;
	head = (struct cursor){text, text + length - tail_length};
	tail = (struct cursor){head.end, text + length};
	if (!skip(&head, "{\"seq\":") || !take_seq(&head, &line.seq) || !skip(&head, TIME_BEFORE) ||
	    head.end - head.at < TIME_LENGTH || !audit_time_parse(&line.time_us, head.at))
		return -EBADMSG;
	head.at += TIME_LENGTH;
	if (!skip(&head, KIND_BEFORE) || !take_kind(&head, &line.kind) ||
	    !skip(&tail, PREV_BEFORE) || !take_hash(&tail, line.prev) ||
	    !skip(&tail, HASH_BEFORE) || !take_hash(&tail, line.hash) || !skip(&tail, HASH_BEHIND))
		return -EBADMSG;
	r = hash_bytes(expected, text, length - hash_length, "}");
	if (r < 0)
		return r;
	line.hash_matches = strcmp(expected, line.hash) == 0;
	*ret_line = line;
	return 0;
}

const char *audit_string(const json_t *value)
{
	const char *text = json_string_value(value);

	return text == NULL ? "" : text;
}

const char *audit_line_text(const json_t *object, const char *name)
{
	return audit_string(json_object_get(object, name));
}

uint64_t audit_line_number(const json_t *object, const char *name)
{
	json_int_t number = json_integer_value(json_object_get(object, name));

	return number < 0 ? 0 : (uint64_t)number;
}
