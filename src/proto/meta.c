/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/meta.h"

#include "base/assert.h"
#include "proto/base64.h"
#include "proto/number.h"

#define WORD_COUNT_MAX 20 /* of a line, its name and key counted; as memcached 1.6.45 */

/* A line as far as it has been read. */
struct reading {
	struct request *request;
	struct meta_echo *echo;
	const char *answered; /* flags that the command's reply answers to */
	struct slice opaque;
	bool has_mode;
	uint8_t mode;
	bool has_error;
	enum refusal_reason error; /* the last: with memcached it wins */
};

static void fail(struct reading *reading, enum refusal_reason error)
{
	reading->has_error = true;
	reading->error = error;
}

static void read_exptime(struct reading *reading, struct slice token, int64_t *exptime,
                         uint32_t modifier)
{
	if (!number_parse_i64(token, exptime))
		fail(reading, REFUSAL_BAD_TOKEN);
	reading->request->modifiers |= modifier;
}

static void read_number(struct reading *reading, struct slice token, uint64_t *number,
                        uint32_t modifier, enum refusal_reason error)
{
	if (!number_parse_u64(token, UINT64_MAX, number))
		fail(reading, error);
	reading->request->modifiers |= modifier;
}

static void read_renewal(struct reading *reading, struct slice token)
{
	struct request *request = reading->request;

	read_exptime(reading, token, &request->exptime, REQUEST_RENEW);
	if (!(request->modifiers & REQUEST_VIVIFY))
		request->modifiers |= REQUEST_RENEW_BEFORE_VIVIFY;
	if (!(request->modifiers & REQUEST_RECACHE))
		request->modifiers |= REQUEST_RENEW_BEFORE_RECACHE;
}

static void read_client_flags(struct reading *reading, struct slice token)
{
	uint64_t client_flags = 0;

	if (!number_parse_u64(token, UINT32_MAX, &client_flags))
		fail(reading, REFUSAL_BAD_FORMAT);
	reading->request->client_flags = (uint32_t)client_flags;
}

static void read_mode(struct reading *reading, struct slice token)
{
	if (token.length != 1)
		fail(reading, REFUSAL_BAD_MODE_LENGTH);
	else
		reading->mode = token.data[0];
	reading->has_mode = true;
}

/* False: there is no such flag. Whether the command makes use of it does not matter. */
static bool read_flag(struct reading *reading, uint8_t letter, struct slice token)
{
	struct request *request = reading->request;

	switch (letter) {
	case 'b': request->modifiers |= REQUEST_KEY_IS_BINARY; break;
	case 'C':
		read_number(reading, token, &request->cas_unique, REQUEST_COMPARE,
		            REFUSAL_BAD_TOKEN);
		break;
	case 'D': read_number(reading, token, &request->delta, 0, REFUSAL_BAD_META_DELTA); break;
	case 'E':
		read_number(reading, token, &request->new_cas, REQUEST_NEW_CAS, REFUSAL_BAD_TOKEN);
		break;
	case 'F': read_client_flags(reading, token); break;
	case 'I': request->modifiers |= REQUEST_INVALIDATE; break;
	case 'J':
		read_number(reading, token, &request->initial, 0, REFUSAL_BAD_META_INITIAL);
		break;
	case 'M': read_mode(reading, token); break;
	case 'N': read_exptime(reading, token, &request->vivify_exptime, REQUEST_VIVIFY); break;
	case 'O': reading->opaque = token; break;
	case 'q': reading->echo->quiet = true; break;
	case 'R': read_exptime(reading, token, &request->recache_exptime, REQUEST_RECACHE); break;
	case 'T': read_renewal(reading, token); break;
	case 'u': request->modifiers |= REQUEST_NO_BUMP; break;
	case 'v': reading->echo->with_value = true; break;
	case 'x': request->modifiers |= REQUEST_EMPTY; break;
	case 'L': /* for proxies */
	case 'P':
	case 'c':
	case 'f':
	case 'h':
	case 'k':
	case 'l':
	case 's':
	case 't': break;
	default: return false;
	}
	return true;
}

static void note_answered(struct reading *reading, uint8_t letter)
{
	struct meta_echo *echo = reading->echo;

	if (strchr(reading->answered, letter) == NULL)
		return;
	ASSERT(echo->flag_count < META_FLAG_COUNT_MAX);
	echo->flags[echo->flag_count++] = letter;
}

/* All flags, so that the length of a value is known whatever is wrong. `word_count` have been
 * before. */
static void read_flags(struct reading *reading, struct slice rest, uint32_t word_count)
{
	uint64_t seen[2] = {0, 0};

	for (;;) {
		struct slice word = line_next_word(&rest);
		uint8_t letter;

		if (word.length == 0)
			return;
		letter = word.data[0];
		if (++word_count > WORD_COUNT_MAX) {
			fail(reading, REFUSAL_MANY_FLAGS);
			return;
		}
		if (letter > 126 || (seen[letter / 64] >> letter % 64 & 1)) {
			fail(reading, REFUSAL_DUPLICATE_FLAG);
			return;
		}
		seen[letter / 64] |= (uint64_t)1 << letter % 64;
		if (!read_flag(reading, letter, (struct slice){word.data + 1, word.length - 1})) {
			fail(reading, REFUSAL_UNKNOWN_FLAG);
			return;
		}
		note_answered(reading, letter);
	}
}

/* Decodes the key if it is in base64, and looks whether it is a good one. */
static void read_key(struct reading *reading, const struct line *line, uint8_t key[KEY_BYTES_MAX])
{
	struct request *request = reading->request;
	size_t length;

	if (!(request->modifiers & REQUEST_KEY_IS_BINARY)) {
		if (!line_key_is_good(line, request->key))
			fail(reading, REFUSAL_BAD_FORMAT);
		return;
	}
	reading->echo->key_is_binary = true;
	if (request->key.length > BASE64_BYTES(KEY_BYTES_MAX))
		fail(reading, REFUSAL_BAD_FORMAT);
	else if (!base64_read(request->key, key, KEY_BYTES_MAX, &length))
		fail(reading, REFUSAL_BAD_BASE64);
	else
		request->key = (struct slice){key, length};
}

static void read_opaque(struct reading *reading)
{
	struct meta_echo *echo = reading->echo;

	if (reading->opaque.length > META_OPAQUE_BYTES_MAX) {
		fail(reading, REFUSAL_LONG_OPAQUE);
		return;
	}
	echo->opaque_bytes = (uint8_t)reading->opaque.length;
	if (echo->opaque_bytes > 0)
		memcpy(echo->opaque, reading->opaque.data, echo->opaque_bytes);
}

/* A cas unique of 0 is none. */
static void drop_empty_comparison(struct request *request)
{
	if (request->cas_unique == 0)
		request->modifiers &= ~(uint32_t)REQUEST_COMPARE;
}

static void choose_set_op(struct reading *reading)
{
	struct request *request = reading->request;

	switch (reading->has_mode ? reading->mode : 'S') {
	case 'S': break;
	case 'E': request->op = REQUEST_ADD; return;
	case 'A': request->op = REQUEST_APPEND; break;
	case 'P': request->op = REQUEST_PREPEND; break;
	case 'R': request->op = REQUEST_REPLACE; break;
	default: fail(reading, REFUSAL_BAD_MS_MODE); return;
	}
	if (request->op == REQUEST_APPEND || request->op == REQUEST_PREPEND)
		drop_empty_comparison(request);
	else if (request->modifiers & REQUEST_COMPARE)
		request->op = REQUEST_CAS;
}

static void choose_delta_op(struct reading *reading)
{
	switch (reading->has_mode ? reading->mode : 'I') {
	case 'I':
	case '+': break;
	case 'D':
	case '-': reading->request->op = REQUEST_DECR; break;
	default: fail(reading, REFUSAL_BAD_MA_MODE); return;
	}
	drop_empty_comparison(reading->request);
}

/* me <key> [b] */
static enum parse_verdict parse_inspect(struct reading *reading, const struct line *line,
                                        struct slice rest, uint8_t key[KEY_BYTES_MAX],
                                        struct refusal *refusal)
{
	if (slice_equal(line_next_word(&rest), SLICE_LITERAL("b")))
		reading->request->modifiers |= REQUEST_KEY_IS_BINARY;
	read_key(reading, line, key);
	return reading->has_error ? refusal_of(refusal, REFUSAL_BAD_FORMAT, false) : PARSE_DONE;
}

/* What is the command's alone, when all its flags are read. */
static void finish(struct reading *reading)
{
	switch (reading->echo->command) {
	case 's': choose_set_op(reading); break;
	case 'a': choose_delta_op(reading); break;
	case 'g': reading->request->modifiers |= REQUEST_DESCRIBE; break;
	default: break;
	}
	if (!reading->has_error)
		read_opaque(reading);
}

static const char *answered_flags(uint8_t command)
{
	switch (command) {
	case 'g': return "ONTcfhklst";
	case 's': return "Ocks";
	case 'a': return "ONTckt";
	default: return "Ok";
	}
}

enum parse_verdict meta_parse(uint8_t command, const struct line *line, uint8_t key[KEY_BYTES_MAX],
                              struct request *request, struct meta_echo *echo,
                              struct refusal *refusal)
{
	struct reading reading = {
	    .request = request, .echo = echo, .answered = answered_flags(command)};
	struct slice rest = line->rest;
	uint64_t swallow_bytes = 0;
	bool flags_are_good;

	*echo = (struct meta_echo){.command = command};
	request->delta = 1;
	request->key = line_next_word(&rest);
	if (request->key.length == 0)
		return refusal_of(refusal, REFUSAL_BAD_FORMAT, false);
	if (command == 'e')
		return parse_inspect(&reading, line, rest, key, refusal);
	if (command == 's') {
		if (!number_parse_u64(line_next_word(&rest), REQUEST_VALUE_BYTES_MAX,
		                      &request->value_bytes))
			return refusal_of(refusal, REFUSAL_BAD_FORMAT, false);
		swallow_bytes = request->value_bytes + 2;
	}
	read_flags(&reading, rest, command == 's' ? 3 : 2);
	flags_are_good = !reading.has_error;
	if (flags_are_good)
		read_key(&reading, line, key);
	if (!reading.has_error)
		finish(&reading);
	if (!reading.has_error)
		return PARSE_DONE;
	if (command == 'a' && !flags_are_good)
		reading.error = REFUSAL_BAD_MA_FLAG;
	*refusal = (struct refusal){.reason = reading.error, .swallow_bytes = swallow_bytes};
	return PARSE_BAD;
}

bool meta_sends_value(const struct meta_echo *echo, const struct request *request,
                      const struct reply *reply)
{
	/* who has it already need not be sent it again */
	return echo->with_value && reply->status == REPLY_HIT &&
	       !((request->modifiers & REQUEST_COMPARE) &&
	         reply->cas_unique == request->cas_unique);
}

static uint8_t *write_flag(uint8_t *to, char letter, uint64_t number)
{
	*to++ = ' ';
	*to++ = (uint8_t)letter;
	return number_write(to, number);
}

static uint8_t *write_key(uint8_t *to, struct slice key, bool is_binary)
{
	if (is_binary)
		return base64_write(to, key);
	memcpy(to, key.data, key.length);
	return to + key.length;
}

static uint8_t *write_ttl(uint8_t *to, int64_t ttl_s)
{
	if (ttl_s == TTL_NEVER)
		return line_write(to, " t-1");
	return write_flag(to, 't', (uint64_t)ttl_s);
}

/* What every reply answers to. */
static uint8_t *write_common_flag(uint8_t *to, uint8_t letter, const struct meta_echo *echo,
                                  struct slice key, const struct reply *reply)
{
	bool is_binary = reply->status == REPLY_HIT ? (reply->marks & REPLY_KEY_IS_BINARY) != 0
	                                            : echo->key_is_binary;

	if (letter == 'O') {
		to = line_write(to, " O");
		memcpy(to, echo->opaque, echo->opaque_bytes);
		return to + echo->opaque_bytes;
	}
	if (letter == 'k') {
		to = write_key(line_write(to, " k"), key, is_binary);
		return is_binary ? line_write(to, " b") : to;
	}
	return to;
}

/* What is known only of an item that is there. */
static uint8_t *write_item_flag(uint8_t *to, uint8_t letter, bool is_renewed,
                                const struct reply *reply)
{
	switch (letter) {
	case 'c': return write_flag(to, 'c', reply->cas_unique);
	case 'f': return write_flag(to, 'f', reply->client_flags);
	case 'h': return write_flag(to, 'h', (reply->marks & REPLY_FETCHED) != 0);
	case 'l': return write_flag(to, 'l', reply->idle_s);
	case 's': return write_flag(to, 's', reply->value_bytes);
	case 't': return write_ttl(to, is_renewed ? reply->renewed_s : reply->ttl_s);
	default: return to;
	}
}

static uint8_t *write_flags(uint8_t *to, const struct meta_echo *echo, struct slice key,
                            const struct reply *reply)
{
	bool has_item =
	    reply->status == REPLY_HIT || reply->status == REPLY_NUMBER || echo->command == 's';
	bool is_renewed = false;

	for (uint32_t i = 0; i < echo->flag_count; i++) {
		uint8_t letter = echo->flags[i];

		/* a `t` before the flag that sets the expiry tells of the old one */
		if (letter == 'T' || (letter == 'N' && has_item && reply->marks & REPLY_CREATED))
			is_renewed = true;
		to = write_common_flag(to, letter, echo, key, reply);
		if (has_item)
			to = write_item_flag(to, letter, is_renewed, reply);
	}
	return to;
}

/* The reply's two letters. */
static const char *code_of(enum reply_status status, bool with_value)
{
	switch (status) {
	case REPLY_HIT:
	case REPLY_NUMBER: return with_value ? "VA " : "HD";
	case REPLY_MISS: return "EN";
	case REPLY_NOT_FOUND: return "NF";
	case REPLY_EXISTS: return "EX";
	case REPLY_NOT_STORED: return "NS";
	default: return "HD"; /* STORED, DELETED */
	}
}

/* "All is as usual": for mg that the key is not there, for the others that it is done. */
static bool is_usual(uint8_t command, enum reply_status status)
{
	if (command == 'g')
		return status == REPLY_MISS;
	return status == REPLY_STORED || status == REPLY_DELETED || status == REPLY_NUMBER;
}

/* ME <key> exp=… la=… cas=… fetch=… cls=… size=… */
static uint8_t *write_inspection(uint8_t *to, const struct reply *reply)
{
	if (reply->status == REPLY_MISS)
		return line_write(to, "EN\r\n");
	to =
	    write_key(line_write(to, "ME "), reply->key, (reply->marks & REPLY_KEY_IS_BINARY) != 0);
	to = line_write(to, " exp=");
	if (reply->ttl_s == TTL_NEVER)
		to = line_write(to, "-1");
	else
		to = number_write(to, (uint64_t)reply->ttl_s);
	to = number_write(line_write(to, " la="), reply->idle_s);
	to = number_write(line_write(to, " cas="), reply->cas_unique);
	to = line_write(to, reply->marks & REPLY_FETCHED ? " fetch=yes" : " fetch=no");
	to = number_write(line_write(to, " cls=1 size="), reply->item_bytes);
	return line_write(to, "\r\n");
}

uint8_t *meta_write_reply(uint8_t *to, const struct meta_echo *echo, struct slice key,
                          bool sends_value, const struct reply *reply)
{
	uint8_t digits[NUMBER_TEXT_MAX];
	uint32_t digit_count = 0;
	bool with_number = reply->status == REPLY_NUMBER && echo->with_value;

	if (echo->command == 'e')
		return write_inspection(to, reply);
	if (echo->quiet && is_usual(echo->command, reply->status))
		return to;
	to = line_write(to, code_of(reply->status, sends_value || with_number));
	if (with_number) {
		digit_count = (uint32_t)(number_write(digits, reply->number) - digits);
		to = number_write(to, digit_count);
	} else if (sends_value) {
		to = number_write(to, reply->value_bytes);
	}
	to = write_flags(to, echo, key, reply);
	if (reply->status == REPLY_HIT) {
		if (reply->marks & REPLY_WON_BEFORE)
			to = line_write(to, " Z");
		if (reply->marks & REPLY_STALE)
			to = line_write(to, " X");
		if (reply->marks & REPLY_WON)
			to = line_write(to, " W");
	}
	to = line_write(to, "\r\n");
	if (!with_number)
		return to;
	memcpy(to, digits, digit_count);
	return line_write(to + digit_count, "\r\n");
}
