/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/text.h"

#include "proto/number.h"
#include "proto/text_admin.h"

/* All the keys in `rest`, of which there must be one unless the request may do without. */
static enum parse_verdict parse_keys(const struct line *line, struct slice rest,
                                     struct request *request, struct refusal *refusal)
{
	struct slice key;

	request->key = line_next_word(&rest);
	request->more_keys = rest;
	if (request->key.length == 0 && request->op == REQUEST_GET)
		return refusal_of(refusal, REFUSAL_UNKNOWN_COMMAND, false);
	for (key = request->key; key.length > 0; key = line_next_word(&rest))
		if (!line_key_is_good(line, key))
			return refusal_of(refusal, REFUSAL_BAD_FORMAT, false);
	return PARSE_DONE;
}

static enum parse_verdict parse_get(const struct line *line, struct request *request,
                                    struct refusal *refusal)
{
	return parse_keys(line, line->rest, request, refusal);
}

/* gat <exptime> <key>*: memcached answers END when there is no key. */
static enum parse_verdict parse_gat(const struct line *line, struct request *request,
                                    struct refusal *refusal)
{
	struct slice rest = line->rest;
	struct slice exptime = line_next_word(&rest);

	if (exptime.length == 0)
		return refusal_of(refusal, REFUSAL_UNKNOWN_COMMAND, false);
	if (!number_parse_i64(exptime, &request->exptime))
		return refusal_of(refusal, REFUSAL_BAD_EXPTIME, false);
	return parse_keys(line, rest, request, refusal);
}

/* <key> <flags> <exptime> <bytes> [<cas unique>] [noreply]. When the line is bad but its length is
 * good, the value is swallowed with it. */
static enum parse_verdict parse_storage(const struct line *line, struct request *request,
                                        struct refusal *refusal)
{
	uint32_t wanted = request->op == REQUEST_CAS ? 5 : 4;
	uint64_t client_flags;
	bool length_is_good;
	struct words words;

	line_split(line->rest, &words);
	length_is_good =
	    words.count >= 4 &&
	    number_parse_u64(words.word[3], REQUEST_VALUE_BYTES_MAX, &request->value_bytes);
	if (words.count != wanted && words.count != wanted + 1) {
		refusal_of(refusal, REFUSAL_UNKNOWN_COMMAND, false);
		goto bad;
	}
	request->noreply = words.noreply;
	request->key = words.word[0];
	if (!length_is_good || !line_key_is_good(line, request->key) ||
	    !number_parse_u64(words.word[1], UINT32_MAX, &client_flags) ||
	    !number_parse_i64(words.word[2], &request->exptime) ||
	    (request->op == REQUEST_CAS &&
	     !number_parse_u64(words.word[4], UINT64_MAX, &request->cas_unique))) {
		refusal_of(refusal, REFUSAL_BAD_FORMAT, words.noreply);
		goto bad;
	}
	request->client_flags = (uint32_t)client_flags;
	return PARSE_DONE;
bad:
	if (length_is_good)
		refusal->swallow_bytes = request->value_bytes + 2;
	return PARSE_BAD;
}

/* <key> <delta> [noreply] */
static enum parse_verdict parse_delta(const struct line *line, struct request *request,
                                      struct refusal *refusal)
{
	struct words words;

	line_split(line->rest, &words);
	if (words.count != 2 && words.count != 3)
		return refusal_of(refusal, REFUSAL_UNKNOWN_COMMAND, false);
	request->noreply = words.noreply;
	request->key = words.word[0];
	if (!line_key_is_good(line, request->key))
		return refusal_of(refusal, REFUSAL_BAD_FORMAT, words.noreply);
	if (!number_parse_u64(words.word[1], UINT64_MAX, &request->delta))
		return refusal_of(refusal, REFUSAL_BAD_DELTA, words.noreply);
	return PARSE_DONE;
}

/* <key> [0] [noreply]: the 0 is from when delete took a time. */
static enum parse_verdict parse_delete(const struct line *line, struct request *request,
                                       struct refusal *refusal)
{
	struct words words;
	bool zero;

	line_split(line->rest, &words);
	if (words.count < 1 || words.count > 3)
		return refusal_of(refusal, REFUSAL_UNKNOWN_COMMAND, false);
	request->key = words.word[0];
	if (words.count > 1) {
		request->noreply = words.noreply;
		zero = slice_equal(words.word[1], SLICE_LITERAL("0"));
		if (words.count == 2 ? !(zero || words.noreply) : !(zero && words.noreply))
			return refusal_of(refusal, REFUSAL_BAD_DELETE, words.noreply);
	}
	if (!line_key_is_good(line, request->key))
		return refusal_of(refusal, REFUSAL_BAD_FORMAT, request->noreply);
	return PARSE_DONE;
}

/* <key> <exptime> [noreply] */
static enum parse_verdict parse_touch(const struct line *line, struct request *request,
                                      struct refusal *refusal)
{
	struct words words;

	line_split(line->rest, &words);
	if (words.count != 2 && words.count != 3)
		return refusal_of(refusal, REFUSAL_UNKNOWN_COMMAND, false);
	request->noreply = words.noreply;
	request->key = words.word[0];
	if (!line_key_is_good(line, request->key))
		return refusal_of(refusal, REFUSAL_BAD_FORMAT, words.noreply);
	if (!number_parse_i64(words.word[1], &request->exptime))
		return refusal_of(refusal, REFUSAL_BAD_EXPTIME, words.noreply);
	return PARSE_DONE;
}

/* [<delay>] [noreply] */
static enum parse_verdict parse_flush_all(const struct line *line, struct request *request,
                                          struct refusal *refusal)
{
	struct words words;

	line_split(line->rest, &words);
	if (words.count > 2)
		return refusal_of(refusal, REFUSAL_UNKNOWN_COMMAND, false);
	request->noreply = words.noreply;
	if (words.count == (words.noreply ? 1u : 0u))
		return PARSE_DONE;
	if (!number_parse_i64(words.word[0], &request->exptime))
		return refusal_of(refusal, REFUSAL_BAD_EXPTIME, words.noreply);
	if (request->exptime < 0)
		return refusal_of(refusal, REFUSAL_BAD_FORMAT, words.noreply);
	return PARSE_DONE;
}

/* Of what is not about figures, see text_admin.h. */
static enum parse_verdict parse_stats(const struct line *line, struct request *request,
                                      struct refusal *refusal)
{
	struct words words;

	line_split(line->rest, &words);
	if (words.count > 0 && slice_equal(words.word[0], SLICE_LITERAL("cachedump")))
		return text_parse_cachedump(&words, request, refusal);
	request->argument = line->rest;
	return PARSE_DONE;
}

/* version, quit: whatever follows. */
static enum parse_verdict parse_plain(const struct line *line, struct request *request,
                                      struct refusal *refusal)
{
	request->argument = line->rest;
	return PARSE_DONE;
}

struct command {
	char name[15];
	uint8_t name_bytes;
	uint8_t op; /* enum request_op */
	bool with_cas;
	/* NULL: a meta command */
	enum parse_verdict (*parse)(const struct line *line, struct request *request,
	                            struct refusal *refusal);
};

#define COMMAND(name, op, with_cas, parse)                                                         \
	{                                                                                          \
		name, sizeof(name) - 1, op, with_cas, parse                                        \
	}

/* The often used first. */
static const struct command commands[] = {
    COMMAND("get", REQUEST_GET, false, parse_get),
    COMMAND("set", REQUEST_SET, false, parse_storage),
    COMMAND("gets", REQUEST_GET, true, parse_get),
    COMMAND("mg", REQUEST_GET, false, NULL),
    COMMAND("ms", REQUEST_SET, false, NULL),
    COMMAND("md", REQUEST_DELETE, false, NULL),
    COMMAND("ma", REQUEST_INCR, false, NULL),
    COMMAND("mn", REQUEST_NOOP, false, parse_plain),
    COMMAND("delete", REQUEST_DELETE, false, parse_delete),
    COMMAND("incr", REQUEST_INCR, false, parse_delta),
    COMMAND("decr", REQUEST_DECR, false, parse_delta),
    COMMAND("add", REQUEST_ADD, false, parse_storage),
    COMMAND("cas", REQUEST_CAS, false, parse_storage),
    COMMAND("gat", REQUEST_GAT, false, parse_gat),
    COMMAND("gats", REQUEST_GAT, true, parse_gat),
    COMMAND("touch", REQUEST_TOUCH, false, parse_touch),
    COMMAND("replace", REQUEST_REPLACE, false, parse_storage),
    COMMAND("append", REQUEST_APPEND, false, parse_storage),
    COMMAND("prepend", REQUEST_PREPEND, false, parse_storage),
    COMMAND("flush_all", REQUEST_FLUSH_ALL, false, parse_flush_all),
    COMMAND("version", REQUEST_VERSION, false, parse_plain),
    COMMAND("stats", REQUEST_STATS, false, parse_stats),
    COMMAND("verbosity", REQUEST_ANSWERED, false, text_parse_verbosity),
    COMMAND("quit", REQUEST_QUIT, false, parse_plain),
    COMMAND("me", REQUEST_INSPECT, false, NULL),
    COMMAND("bget", REQUEST_GET, false, parse_get), /* old clients' */
    COMMAND("cache_memlimit", REQUEST_MEMORY_LIMIT, false, text_parse_cache_memlimit),
    COMMAND("shutdown", REQUEST_SHUTDOWN, false, parse_plain),
    COMMAND("purge", REQUEST_PURGE, false, text_parse_purge),
    COMMAND("slabs", REQUEST_ANSWERED, false, text_parse_slabs),
    COMMAND("lru", REQUEST_ANSWERED, false, text_parse_lru),
    COMMAND("lru_crawler", REQUEST_ANSWERED, false, text_parse_lru_crawler),
    COMMAND("watch", REQUEST_WATCH, false, text_parse_watch),
#ifdef KANTE_DEBUG_TIME
    COMMAND("debugtime", REQUEST_DEBUG_TIME, false, text_parse_debugtime),
#endif
};

static const struct command *find_command(struct slice name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct command *command = &commands[i];

		if (command->name_bytes == name.length && command->name[0] == (char)name.data[0] &&
		    memcmp(command->name, name.data, name.length) == 0)
			return command;
	}
	return NULL;
}

bool text_find_op(struct slice name, enum request_op *ret_op)
{
	const struct command *command = find_command(name);

	if (command == NULL)
		return false;
	*ret_op = (enum request_op)command->op;
	return true;
}

/* A browser, or a page that makes one talk to us: its last word is "HTTP/1.1". */
static bool is_http(struct slice name, struct slice rest)
{
	struct slice last = name;

	for (;;) {
		struct slice word = line_next_word(&rest);

		if (word.length == 0)
			break;
		last = word;
	}
	return last.length >= 5 && memcmp(last.data, "HTTP/", 5) == 0;
}

enum parse_verdict text_parse_line(struct slice line, struct text_request *text,
                                   struct refusal *refusal)
{
	const struct command *command = NULL;
	struct line rest;
	struct slice name;

	if (line.length > 0 && line.data[line.length - 1] == '\r')
		line.length--;
	rest.rest = line;
	name = line_next_word(&rest.rest);
	if (name.length > 0)
		command = find_command(name);
	if (command == NULL) {
		refusal_of(refusal, REFUSAL_UNKNOWN_COMMAND, false);
		if (!is_http(name, rest.rest))
			return PARSE_BAD;
		refusal->reason = REFUSAL_HTTP;
		return PARSE_CLOSE;
	}
	rest.has_control = line_has_control(rest.rest);
	text->request = (struct request){.op = command->op, .with_cas = command->with_cas};
	text->is_meta = command->parse == NULL;
	if (text->is_meta)
		return meta_parse((uint8_t)command->name[1], &rest, text->key, &text->request,
		                  &text->echo, refusal);
	return command->parse(&rest, &text->request, refusal);
}

#define REFUSAL_TEXT(reason, counter, text) [reason] = {(const uint8_t *)(text), sizeof(text) - 1},

struct slice text_refusal(enum refusal_reason reason)
{
	static const struct slice texts[] = {REFUSALS(REFUSAL_TEXT)};

	return texts[reason];
}

#define STATUS_TEXT(text)                                                                          \
	{                                                                                          \
		(const uint8_t *)(text "\r\n"), sizeof(text "\r\n") - 1                            \
	}

struct slice text_status(enum reply_status status)
{
	static const struct slice texts[] = {
	    [REPLY_STORED] = STATUS_TEXT("STORED"),
	    [REPLY_NOT_STORED] = STATUS_TEXT("NOT_STORED"),
	    [REPLY_EXISTS] = STATUS_TEXT("EXISTS"),
	    [REPLY_NOT_FOUND] = STATUS_TEXT("NOT_FOUND"),
	    [REPLY_DELETED] = STATUS_TEXT("DELETED"),
	    [REPLY_TOUCHED] = STATUS_TEXT("TOUCHED"),
	    [REPLY_NOT_NUMERIC] =
	        STATUS_TEXT("CLIENT_ERROR cannot increment or decrement non-numeric value"),
	    [REPLY_TOO_LARGE] = STATUS_TEXT("SERVER_ERROR object too large for cache"),
	    [REPLY_NO_MEMORY] = STATUS_TEXT("SERVER_ERROR out of memory storing object"),
	    [REPLY_RATE_LIMITED] =
	        STATUS_TEXT("SERVER_ERROR too many requests of this class of keys"),
	    [REPLY_OK] = STATUS_TEXT("OK"),
	    [REPLY_NO_CLASS] = STATUS_TEXT("CLIENT_ERROR no such class of keys"),
	    [REPLY_MANY_PURGES] =
	        STATUS_TEXT("SERVER_ERROR too many purges under way: see store:purges in "
	                    "stats kante"),
	    [REPLY_BAD_LIMIT] =
	        STATUS_TEXT("MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust"),
	};

	ASSERT(texts[status].length > 0);
	return texts[status];
}

static uint8_t *write_bytes(uint8_t *to, const void *bytes, size_t length)
{
	memcpy(to, bytes, length);
	return to + length;
}

uint8_t *text_write_value_head(uint8_t *to, struct slice key, const struct reply *reply,
                               bool with_cas)
{
	to = write_bytes(to, "VALUE ", 6);
	to = write_bytes(to, key.data, key.length);
	*to++ = ' ';
	to = number_write(to, reply->client_flags);
	*to++ = ' ';
	to = number_write(to, reply->value_bytes);
	if (with_cas) {
		*to++ = ' ';
		to = number_write(to, reply->cas_unique);
	}
	return write_bytes(to, "\r\n", 2);
}

bool text_append_value_head(struct chain *out, struct slice key, const struct reply *reply,
                            bool with_cas)
{
	uint8_t *to = chain_reserve(out, TEXT_VALUE_HEAD_BYTES_MAX);

	if (to == NULL)
		return false;
	chain_extend(out, (uint32_t)(text_write_value_head(to, key, reply, with_cas) - to));
	return true;
}

bool text_append_number(struct chain *out, uint64_t number)
{
	uint8_t *to = chain_reserve(out, NUMBER_TEXT_MAX + 2);
	uint8_t *end;

	if (to == NULL)
		return false;
	end = write_bytes(number_write(to, number), "\r\n", 2);
	chain_extend(out, (uint32_t)(end - to));
	return true;
}
