/* SPDX-License-Identifier: Apache-2.0 */
#include "load/reply.h"

#include "base/assert.h"

static const char key_prefix[] = "load:";

#define KEY_PREFIX_BYTES (sizeof(key_prefix) - 1)

#define REDIS_GET "*2\r\n$3\r\nGET\r\n$20\r\n"
#define REDIS_SET "*3\r\n$3\r\nSET\r\n$20\r\n"

_Static_assert(sizeof("set  4294967295 0 1048576\r\n") - 1 + REQUEST_KEY_BYTES <=
                   REQUEST_LINE_BYTES_MAX,
               "the longest request line fits");
_Static_assert(sizeof(REDIS_SET "\r\n$1048576\r\n") - 1 + REQUEST_KEY_BYTES <=
                       REQUEST_LINE_BYTES_MAX &&
                   REQUEST_KEY_BYTES == 20,
               "Redis's longest request lines fit, and say the key's length");

#define TEXT(text)                                                                                 \
	{                                                                                          \
		(const uint8_t *)(text), sizeof(text) - 1                                          \
	}

static const struct phrases {
	struct slice miss;
	struct slice stored;
	struct slice after_value;
} phrases[PROTOCOL_COUNT] = {
    [PROTOCOL_MEMCACHED] = {TEXT("END\r\n"), TEXT("STORED\r\n"), TEXT("\r\nEND\r\n")},
    [PROTOCOL_REDIS] = {TEXT("$-1\r\n"), TEXT("+OK\r\n"), TEXT("\r\n")},
};

enum reply_stage {
	STAGE_LINE,
	STAGE_VALUE,
	STAGE_AFTER_VALUE,
};

static char *put_text(char *to, const char *text)
{
	size_t length = strlen(text);

	memcpy(to, text, length);
	return to + length;
}

static char *put_key(char *to, uint64_t key)
{
	memcpy(to, key_prefix, KEY_PREFIX_BYTES);
	for (size_t i = REQUEST_KEY_BYTES; i > KEY_PREFIX_BYTES; i--) {
		to[i - 1] = (char)('0' + key % 10);
		key /= 10;
	}
	return to + REQUEST_KEY_BYTES;
}

static char *put_number(char *to, uint32_t number)
{
	char digits[10];
	size_t count = 0;

	do {
		digits[sizeof(digits) - ++count] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	memcpy(to, digits + sizeof(digits) - count, count);
	return to + count;
}

/* Not inline commands, which no client sends and which cost Redis more. */
static char *put_redis_lines(char *at, const struct request *request)
{
	bool is_get = request->kind == REQUEST_GET;

	at = put_text(at, is_get ? REDIS_GET : REDIS_SET);
	at = put_key(at, request->key);
	if (is_get)
		return at;
	at = put_text(at, "\r\n$");
	return put_number(at, request->value.length);
}

static char *put_memcached_line(char *at, const struct request *request)
{
	at = put_text(at, request->kind == REQUEST_GET ? "get " : "set ");
	at = put_key(at, request->key);
	if (request->kind == REQUEST_SET) {
		at = put_text(at, " ");
		at = put_number(at, value_flags(request->key, request->value.length));
		at = put_text(at, " 0 ");
		at = put_number(at, request->value.length);
	}
	return at;
}

static uint8_t put_line(const struct request *request, char line[REQUEST_LINE_BYTES_MAX])
{
	char *at = request->protocol == PROTOCOL_REDIS ? put_redis_lines(line, request)
	                                               : put_memcached_line(line, request);

	at = put_text(at, "\r\n");
	return (uint8_t)(at - line);
}

struct request request_get(enum protocol protocol, uint64_t key, uint64_t intended_ns)
{
	struct request request = {.kind = REQUEST_GET,
	                          .protocol = (uint8_t)protocol,
	                          .key = key,
	                          .intended_ns = intended_ns};

	ASSERT(key <= REQUEST_KEY_NUMBER_MAX);
	request.line_bytes = (protocol == PROTOCOL_REDIS ? sizeof(REDIS_GET) : sizeof("get ")) - 1 +
	                     REQUEST_KEY_BYTES + 2;
	request.bytes = request.line_bytes;
	return request;
}

struct request request_set(enum protocol protocol, uint64_t key, uint32_t version,
                           uint32_t value_bytes, uint64_t intended_ns)
{
	struct request request = {.kind = REQUEST_SET,
	                          .protocol = (uint8_t)protocol,
	                          .key = key,
	                          .intended_ns = intended_ns};
	char line[REQUEST_LINE_BYTES_MAX];

	ASSERT(key <= REQUEST_KEY_NUMBER_MAX);
	ASSERT(value_bytes <= VALUE_BYTES_MAX);
	request.value = value_of(key, version, value_bytes);
	request.line_bytes = put_line(&request, line);
	request.bytes = request.line_bytes + value_bytes + 2;
	return request;
}

/* Copies what of the part (part_bytes long, at part_start in the request) is asked for, and moves
 * on. */
static void fill_from(const void *part, uint32_t part_start, uint32_t part_bytes, uint32_t *offset,
                      uint8_t **to, uint32_t *count)
{
	uint32_t piece;

	if (*count == 0 || *offset >= part_start + part_bytes)
		return;
	piece = min_u32(part_start + part_bytes - *offset, *count);
	memcpy(*to, (const uint8_t *)part + (*offset - part_start), piece);
	*offset += piece;
	*to += piece;
	*count -= piece;
}

void request_fill(const struct request *request, uint32_t offset, uint8_t *to, uint32_t count)
{
	uint32_t value_end = request->bytes - 2;

	ASSERT(offset <= request->bytes && count <= request->bytes - offset);
	if (offset < request->line_bytes) {
		char line[REQUEST_LINE_BYTES_MAX];

		put_line(request, line);
		fill_from(line, 0, request->line_bytes, &offset, &to, &count);
	}
	if (request->kind == REQUEST_GET || count == 0)
		return;
	if (offset < value_end) {
		uint32_t piece = min_u32(value_end - offset, count);

		value_fill(&request->value, offset - request->line_bytes, to, piece);
		offset += piece;
		to += piece;
		count -= piece;
	}
	fill_from("\r\n", value_end, 2, &offset, &to, &count);
}

void reply_begin(struct reply *reply)
{
	reply->stage = STAGE_LINE;
	reply->is_wrong = false;
	reply->line_bytes = 0;
	reply->offset = 0;
	reply->wrong_bytes = 0;
}

static bool take_text(struct slice *line, const char *text)
{
	size_t length = strlen(text);

	if (line->length < length || memcmp(line->data, text, length) != 0)
		return false;
	line->data += length;
	line->length -= length;
	return true;
}

/* A decimal number without leading zeroes or sign. */
static bool take_number(struct slice *line, uint64_t max, uint32_t *ret_number)
{
	uint64_t number = 0;
	size_t count = 0;

	while (count < line->length && line->data[count] >= '0' && line->data[count] <= '9') {
		number = number * 10 + (uint64_t)(line->data[count++] - '0');
		if (number > max)
			return false;
	}
	if (count == 0 || (count > 1 && line->data[0] == '0'))
		return false;
	line->data += count;
	line->length -= count;
	*ret_number = (uint32_t)number;
	return true;
}

/* The length ends the line. */
static bool take_length(struct slice line, uint32_t *ret_length)
{
	uint32_t length;

	if (!take_number(&line, VALUE_BYTES_MAX, &length) ||
	    !slice_equal(line, SLICE_LITERAL("\r\n")))
		return false;
	*ret_length = length;
	return true;
}

static bool take_redis_value(struct reply *reply, struct slice line)
{
	return take_text(&line, "$") && take_length(line, &reply->value_bytes);
}

/* "VALUE ", a key of our form, flags, length. */
static bool take_memcached_value(struct reply *reply, const struct request *request,
                                 struct slice line)
{
	char key[REQUEST_KEY_BYTES];
	bool is_key_right;
	uint32_t flags;

	if (!take_text(&line, "VALUE ") || line.length < REQUEST_KEY_BYTES ||
	    memchr(line.data, ' ', REQUEST_KEY_BYTES) != NULL)
		return false;
	put_key(key, request->key);
	is_key_right = memcmp(line.data, key, REQUEST_KEY_BYTES) == 0;
	line.data += REQUEST_KEY_BYTES;
	line.length -= REQUEST_KEY_BYTES;
	if (!take_text(&line, " ") || !take_number(&line, UINT32_MAX, &flags) ||
	    !take_text(&line, " ") || !take_length(line, &reply->value_bytes))
		return false;
	reply->is_wrong = !is_key_right || flags != value_flags(request->key, reply->value_bytes);
	return true;
}

static bool begin_value(struct reply *reply, const struct request *request, struct slice line)
{
	if (request->protocol == PROTOCOL_REDIS ? !take_redis_value(reply, line)
	                                        : !take_memcached_value(reply, request, line))
		return false;
	reply->stage = STAGE_VALUE;
	if (reply->value_bytes < VALUE_HEAD_BYTES)
		reply->value = value_of(request->key, 0, reply->value_bytes);
	return true;
}

/* By how the line begins. */
static enum reply_verdict check_error(const struct request *request, struct slice line)
{
	if (request->protocol == PROTOCOL_REDIS) {
		if (!take_text(&line, "-"))
			return REPLY_BROKEN;
		return take_text(&line, "OOM") || take_text(&line, "BUSY") ||
		               take_text(&line, "LOADING") || take_text(&line, "MISCONF")
		           ? REPLY_SERVER_ERROR
		           : REPLY_CLIENT_ERROR;
	}
	if (take_text(&line, "SERVER_ERROR"))
		return REPLY_SERVER_ERROR;
	if (take_text(&line, "CLIENT_ERROR") || take_text(&line, "ERROR"))
		return REPLY_CLIENT_ERROR;
	return REPLY_BROKEN;
}

static enum reply_verdict check_line(struct reply *reply, const struct request *request,
                                     struct slice line)
{
	const struct phrases *expected = &phrases[request->protocol];

	if (request->kind == REQUEST_GET && begin_value(reply, request, line))
		return REPLY_MORE;
	if (request->kind == REQUEST_GET && slice_equal(line, expected->miss))
		return REPLY_MISS;
	if (request->kind == REQUEST_SET && slice_equal(line, expected->stored))
		return REPLY_STORED;
	/* The rest is rare: keep the line to show it. */
	if (line.data != reply->line) {
		memcpy(reply->line, line.data, line.length);
		reply->line_bytes = (uint16_t)line.length;
	}
	if (line.length < 2 || line.data[line.length - 2] != '\r')
		return REPLY_BROKEN;
	return check_error(request, line);
}

/* A line in one piece is checked where it is; one that is split is put together first. */
static enum reply_verdict check_line_stage(struct reply *reply, const struct request *request,
                                           struct slice *input)
{
	size_t room = REPLY_LINE_BYTES_MAX - reply->line_bytes;
	size_t reach = min_u64(input->length, room);
	const uint8_t *newline = memchr(input->data, '\n', reach);
	size_t taken = newline != NULL ? (size_t)(newline - input->data) + 1 : reach;
	struct slice line = {input->data, taken};

	input->data += taken;
	input->length -= taken;
	if (reply->line_bytes > 0 || newline == NULL) {
		memcpy(reply->line + reply->line_bytes, line.data, taken);
		reply->line_bytes += (uint16_t)taken;
		line = (struct slice){reply->line, reply->line_bytes};
	}
	if (newline == NULL)
		return reply->line_bytes == REPLY_LINE_BYTES_MAX ? REPLY_BROKEN : REPLY_MORE;
	return check_line(reply, request, line);
}

static void check_value_stage(struct reply *reply, const struct request *request,
                              struct slice *input)
{
	uint32_t piece;

	if (reply->offset < VALUE_HEAD_BYTES && reply->value_bytes >= VALUE_HEAD_BYTES) {
		piece = (uint32_t)min_u64(VALUE_HEAD_BYTES - reply->offset, input->length);
		memcpy(reply->head + reply->offset, input->data, piece);
		input->data += piece;
		input->length -= piece;
		reply->offset += piece;
		if (reply->offset < VALUE_HEAD_BYTES)
			return;
		reply->value =
		    value_of(request->key, value_head_version(reply->head), reply->value_bytes);
		reply->wrong_bytes +=
		    value_wrong_bytes(&reply->value, 0, reply->head, VALUE_HEAD_BYTES);
	}
	piece = (uint32_t)min_u64(reply->value_bytes - reply->offset, input->length);
	reply->wrong_bytes += value_wrong_bytes(&reply->value, reply->offset, input->data, piece);
	input->data += piece;
	input->length -= piece;
	reply->offset += piece;
	if (reply->offset < reply->value_bytes)
		return;
	reply->is_wrong |= reply->wrong_bytes > 0;
	reply->stage = STAGE_AFTER_VALUE;
	reply->offset = 0;
}

static enum reply_verdict check_after_value(struct reply *reply, const struct request *request,
                                            struct slice *input)
{
	struct slice expected = phrases[request->protocol].after_value;
	uint32_t piece = (uint32_t)min_u64(expected.length - reply->offset, input->length);

	if (memcmp(input->data, expected.data + reply->offset, piece) != 0) {
		memcpy(reply->line, input->data, piece);
		reply->line_bytes = (uint16_t)piece;
		return REPLY_BROKEN;
	}
	input->data += piece;
	input->length -= piece;
	reply->offset += piece;
	return reply->offset < expected.length ? REPLY_MORE : REPLY_HIT;
}

enum reply_verdict reply_check(struct reply *reply, const struct request *request,
                               struct slice *input)
{
	enum reply_verdict verdict = REPLY_MORE;

	while (verdict == REPLY_MORE && input->length > 0) {
		switch ((enum reply_stage)reply->stage) {
		case STAGE_LINE: verdict = check_line_stage(reply, request, input); break;
		case STAGE_VALUE: check_value_stage(reply, request, input); break;
		case STAGE_AFTER_VALUE: verdict = check_after_value(reply, request, input); break;
		}
	}
	return verdict;
}
