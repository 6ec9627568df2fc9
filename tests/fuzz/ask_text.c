/* SPDX-License-Identifier: Apache-2.0 */
/* Classic commands of the text protocol. */
#include "ask.h"

#define BAD_FORMAT  "CLIENT_ERROR bad command line format\r\n"
#define BAD_DELETE  "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n"
#define BAD_EXPTIME "CLIENT_ERROR invalid exptime argument\r\n"
#define BAD_DELTA   "CLIENT_ERROR invalid numeric delta argument\r\n"
#define BAD_CHUNK   "CLIENT_ERROR bad data chunk\r\n"
#define NOT_NUMERIC "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
#define TOO_LARGE   "SERVER_ERROR object too large for cache\r\n"

static const char *text_of(enum model_verdict verdict)
{
	switch (verdict) {
	case MODEL_STORED: return "STORED\r\n";
	case MODEL_NOT_STORED: return "NOT_STORED\r\n";
	case MODEL_EXISTS: return "EXISTS\r\n";
	case MODEL_NOT_FOUND: return "NOT_FOUND\r\n";
	case MODEL_NOT_NUMERIC: return NOT_NUMERIC;
	case MODEL_TOO_LARGE: return TOO_LARGE;
	case MODEL_DONE: break;
	}
	return "";
}

static void tell(const struct ask *ask, struct bytes *reply, const char *text)
{
	if (!ask->noreply)
		ask_add(reply, ask_slice(text));
}

static void add_word(struct ask *ask, struct slice word)
{
	bytes_append(&ask->bytes, " ", 1);
	ask_add(&ask->bytes, word);
}

/* The line's end, and before it noreply, or a space too many. */
static void end_line(struct ask *ask, struct input *input)
{
	static const char *const ends[] = {"\r\n", "\r\n", "\r\n", "\r\n", "\n", " \r\n", "  \n"};
	uint8_t kind = input_u8(input);

	if (ask->noreply)
		add_word(ask, SLICE_LITERAL("noreply"));
	ask_add(&ask->bytes, ask_slice(ends[kind % COUNT_OF(ends)]));
}

static void answer_get(struct ask *ask, struct model *model, struct bytes *reply)
{
	size_t max = ask->reply_bytes_max == 0 ? SIZE_MAX : ask->reply_bytes_max;

	for (uint32_t i = 0; i < ask->key_count && reply->length <= max; i++) {
		struct slice key = ask->keys[i];
		struct model_item *item = model_find(model, key);

		if (item == NULL)
			continue;
		if (ask->touches)
			item->expiry_s = model_expiry_s(model, ask->exptime);
		model_mark_read(model, item);
		ask_add(reply, SLICE_LITERAL("VALUE "));
		ask_add(reply, key);
		ask_print(reply, " %u %u", item->client_flags, item->value_bytes);
		if (ask->with_cas)
			ask_print(reply, " %llu", (unsigned long long)item->cas_unique);
		ask_add(reply, SLICE_LITERAL("\r\n"));
		ask_add(reply, ask_item_value(item));
		ask_add(reply, SLICE_LITERAL("\r\n"));
	}
	ask_add(reply, SLICE_LITERAL("END\r\n"));
}

/* One key, some, or so many that the line is a long one. */
static void add_keys(struct ask *ask, struct input *input, uint32_t many)
{
	uint8_t kind = input_u8(input);
	uint32_t count = kind < 160 ? 1 : kind < 250 ? 2 + kind % 5 : many;
	uint8_t stride = input_u8(input);

	for (uint32_t i = 0; i < count; i++) {
		struct input same = {&stride, 1};

		if (count == ASK_KEYS_MAX)
			stride = (uint8_t)(stride + 3);
		ask->keys[i] = ask_key(count == ASK_KEYS_MAX ? &same : input, false);
		add_word(ask, ask->keys[i]);
	}
	ask->key_count = count;
}

void ask_text_get(struct ask *ask, struct input *input, const struct model *model)
{
	ask->with_cas = input_u8(input) % 2 == 0;
	ask_print(&ask->bytes, ask->with_cas ? "gets" : "get");
	/* of large values not as many: it is the line that is to be long */
	add_keys(ask, input, model->value_bytes_max > 4096 ? 12 : ASK_KEYS_MAX);
	end_line(ask, input);
	ask->at_end = answer_get;
}

/* A line of these may not be as long as one of get. */
static void make_gat(struct ask *ask, struct input *input, const struct model *model)
{
	ask->with_cas = input_u8(input) % 2 == 0;
	ask->exptime = ask_exptime(input, model);
	ask->touches = true;
	ask_print(&ask->bytes, ask->with_cas ? "gats %lld" : "gat %lld", (long long)ask->exptime);
	add_keys(ask, input, 7);
	end_line(ask, input);
	ask->at_end = answer_get;
}

static void answer_store_begin(struct ask *ask, struct model *model, struct bytes *reply)
{
	ask->store.expiry_s = model_expiry_s(model, ask->exptime);
	ask->begun = model_store_begin(model, &ask->store, ask->value_bytes);
	if (ask->begun != MODEL_STORED)
		tell(ask, reply, text_of(ask->begun));
}

static void answer_store(struct ask *ask, struct model *model, struct bytes *reply)
{
	struct model_item *item;

	if (ask->begun != MODEL_STORED)
		return;
	if (ask->bad_value) {
		tell(ask, reply, BAD_CHUNK);
		return;
	}
	tell(ask, reply, text_of(model_store(model, &ask->store, ask_own_value(ask), &item)));
}

/* A value of which only the beginning comes; too large, or the client gives it up. */
static void make_half_value(struct ask *ask, uint64_t value_bytes)
{
	ask->value_bytes = value_bytes;
	ask->leaves = true;
	ask->at_end = NULL;
}

static void end_value(struct ask *ask, struct input *input)
{
	static const char *const bad_ends[] = {"\n\n", "\r\r", "xx", "\n\r", "x\n"};
	uint8_t kind = input_u8(input);

	ask->bad_value = kind >= 248;
	ask_add(&ask->bytes, ask_slice(ask->bad_value ? bad_ends[kind % 5] : "\r\n"));
}

static void make_store(struct ask *ask, struct input *input, const struct model *model)
{
	static const char *const words[] = {"set", "add", "replace", "append", "prepend", "cas"};
	static const uint8_t order[] = {0, 0, 0, 1, 2, 3, 4, 5, 5};
	uint8_t kind = input_u8(input);
	struct bytes *bytes = &ask->bytes;
	struct ask value = {0};

	ask->store.mode = (enum model_mode)order[kind % COUNT_OF(order)];
	ask->noreply = kind / 16 % 4 == 0;
	ask->store.key = ask_key(input, false);
	ask->store.client_flags = ask_client_flags(input);
	ask->exptime = ask_exptime(input, model);
	ask->store.expected_cas =
	    ask->store.mode == MODEL_CAS ? ask_cas(input, model, ask->store.key) : 0;
	ask_value(&value, ask->store.key, input, model);
	ask->value_bytes = value.value_bytes;
	if (kind == 255)
		make_half_value(ask, INT32_MAX - 2);
	if (kind == 254)
		make_half_value(ask, value.value_bytes + 1);
	ask_print(bytes, "%s", words[ask->store.mode]);
	add_word(ask, ask->store.key);
	ask_print(bytes, " %u %lld %llu", ask->store.client_flags, (long long)ask->exptime,
	          (unsigned long long)ask->value_bytes);
	if (ask->store.mode == MODEL_CAS)
		ask_print(bytes, " %llu", (unsigned long long)ask->store.expected_cas);
	end_line(ask, input);
	ask->head_bytes = bytes->length;
	ask->value_at = bytes->length;
	ask_add(bytes, ask_own_value(&value));
	ask_destroy(&value);
	ask->at_head = answer_store_begin;
	if (ask->leaves)
		return;
	ask->at_end = answer_store;
	end_value(ask, input);
}

static void answer_delta(struct ask *ask, struct model *model, struct bytes *reply)
{
	struct model_item *item;
	uint64_t number;
	bool is_made;
	enum model_verdict verdict = model_delta(model, &ask->delta, &item, &number, &is_made);

	if (verdict != MODEL_DONE)
		tell(ask, reply, text_of(verdict));
	else if (!ask->noreply)
		ask_print(reply, "%llu\r\n", (unsigned long long)number);
}

static void make_delta(struct ask *ask, struct input *input, const struct model *model)
{
	uint8_t kind = input_u8(input);

	ask->noreply = kind / 2 % 4 == 0;
	ask->delta.is_decrement = kind % 2 == 1;
	ask->delta.key = ask_key(input, false);
	ask->delta.delta = ask_number(input);
	ask_print(&ask->bytes, ask->delta.is_decrement ? "decr" : "incr");
	add_word(ask, ask->delta.key);
	ask_print(&ask->bytes, " %llu", (unsigned long long)ask->delta.delta);
	end_line(ask, input);
	ask->at_end = answer_delta;
}

static void answer_delete(struct ask *ask, struct model *model, struct bytes *reply)
{
	bool done = model_delete(model, &ask->delete) == MODEL_DONE;

	tell(ask, reply, done ? "DELETED\r\n" : "NOT_FOUND\r\n");
}

static void make_delete(struct ask *ask, struct input *input, const struct model *model)
{
	uint8_t kind = input_u8(input);

	ask->noreply = kind % 4 == 0;
	ask->delete.key = ask_key(input, false);
	ask_print(&ask->bytes, "delete");
	add_word(ask, ask->delete.key);
	if (kind / 4 % 4 == 0) /* old clients say so */
		add_word(ask, SLICE_LITERAL("0"));
	end_line(ask, input);
	ask->at_end = answer_delete;
}

static void answer_touch(struct ask *ask, struct model *model, struct bytes *reply)
{
	struct model_item *item;
	bool done = model_touch(model, ask->keys[0], model_expiry_s(model, ask->exptime), &item) ==
	            MODEL_DONE;

	tell(ask, reply, done ? "TOUCHED\r\n" : "NOT_FOUND\r\n");
}

static void make_touch(struct ask *ask, struct input *input, const struct model *model)
{
	ask->noreply = input_u8(input) % 4 == 0;
	ask->keys[0] = ask_key(input, false);
	ask->exptime = ask_exptime(input, model);
	ask_print(&ask->bytes, "touch");
	add_word(ask, ask->keys[0]);
	ask_print(&ask->bytes, " %lld", (long long)ask->exptime);
	end_line(ask, input);
	ask->at_end = answer_touch;
}

static void answer_flush(struct ask *ask, struct model *model, struct bytes *reply)
{
	model_flush(model, ask->exptime);
	tell(ask, reply, "OK\r\n");
}

static void make_flush(struct ask *ask, struct input *input, const struct model *model)
{
	uint8_t kind = input_u8(input);

	ask->noreply = kind % 4 == 0;
	ask_print(&ask->bytes, "flush_all");
	if (kind % 8 < 6) {
		int64_t exptime = ask_exptime(input, model);

		ask->exptime = exptime < 0 ? 0 : exptime;
		ask_print(&ask->bytes, " %lld", (long long)ask->exptime);
	}
	end_line(ask, input);
	ask->at_end = answer_flush;
}

static void answer_text(struct ask *ask, struct model *model, struct bytes *reply)
{
	tell(ask, reply, ask->text);
}

/* Lines whose reply does not depend on what is stored, as HARDENING.md has them: stricter than
 * memcached, and where 1.6.45 has other words for a wrong number of arguments, 1.6.18's. */
struct known_line {
	const char *line;
	const char *reply;
	uint32_t value_bytes; /* that follow, and are dropped */
	bool closes;
};

#define KEY_251                                                                                    \
	"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"     \
	"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"     \
	"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"

_Static_assert(sizeof(KEY_251) - 1 == 251, "one too many");

static const struct known_line known_lines[] = {
    {"", "ERROR\r\n", 0, false},
    {"  ", "ERROR\r\n", 0, false},
    {"nonsense", "ERROR\r\n", 0, false},
    {"SET a 0 0 1", "ERROR\r\n", 0, false},
    {"get", "ERROR\r\n", 0, false},
    {"gets ", "ERROR\r\n", 0, false},
    {"get " KEY_251, BAD_FORMAT, 0, false},
    {"get b " KEY_251 " b", BAD_FORMAT, 0, false},
    {"gets a\x01", BAD_FORMAT, 0, false},
    {"get a \x7f", BAD_FORMAT, 0, false},
    {"gat", "ERROR\r\n", 0, false},
    {"gat 0", "END\r\n", 0, false},
    {"gat x a", BAD_EXPTIME, 0, false},
    {"gats 1x a", BAD_EXPTIME, 0, false},
    {"incr a", "ERROR\r\n", 0, false},
    {"incr a 1 noreply noreply", "ERROR\r\n", 0, false},
    {"incr a x", BAD_DELTA, 0, false},
    {"incr a -1", BAD_DELTA, 0, false},
    {"decr a 18446744073709551616", BAD_DELTA, 0, false},
    {"decr a 1x noreply", "", 0, false},
    {"incr " KEY_251 " 1", BAD_FORMAT, 0, false},
    {"touch a", "ERROR\r\n", 0, false},
    {"touch a x", BAD_EXPTIME, 0, false},
    {"touch a 9223372036854775808", BAD_EXPTIME, 0, false},
    {"touch " KEY_251 " 0", BAD_FORMAT, 0, false},
    {"delete", "ERROR\r\n", 0, false},
    {"delete a 5", BAD_DELETE, 0, false},
    {"delete a 0 0", BAD_DELETE, 0, false},
    {"delete a 5 noreply", "", 0, false},
    {"delete " KEY_251, BAD_FORMAT, 0, false},
    {"flush_all x", BAD_EXPTIME, 0, false},
    {"flush_all -5", BAD_FORMAT, 0, false},
    {"flush_all 0 0 0", "ERROR\r\n", 0, false},
    {"flush_all x noreply", "", 0, false},
    {"version", "VERSION " ASK_VERSION "\r\n", 0, false},
    {"verbosity", "ERROR\r\n", 0, false},
    {"verbosity 1", "OK\r\n", 0, false},
    {"verbosity 1 noreply", "", 0, false},
    {"verbosity x", BAD_FORMAT, 0, false},
    {"slabs reassign 1 1", "SAME src and dst class are identical\r\n", 0, false},
    {"lru mode flat", "OK\r\n", 0, false},
    {"lru_crawler enable", "OK\r\n", 0, false},
    {"cache_memlimit 1", "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n", 0, false},
    {"shutdown", "ERROR: shutdown not enabled\r\n", 0, false},
    {"set a 0 0", "ERROR\r\n", 0, false},
    {"set a 0 0 -1", BAD_FORMAT, 0, false},
    {"set a 0 0 1x", BAD_FORMAT, 0, false},
    {"set a 0 0 2147483646", BAD_FORMAT, 0, false},
    {"add a 0 0 4294967296", BAD_FORMAT, 0, false},
    {"set a x 0 9", BAD_FORMAT, 11, false},
    {"set a -1 0 9", BAD_FORMAT, 11, false},
    {"set a 4294967296 0 9", BAD_FORMAT, 11, false},
    {"set a 0 x 9", BAD_FORMAT, 11, false},
    {"replace a 0 1x 0", BAD_FORMAT, 2, false},
    {"append a 0 x 9 noreply", "", 11, false},
    {"set " KEY_251 " 0 0 9", BAD_FORMAT, 11, false},
    {"set a\x01 0 0 9", BAD_FORMAT, 11, false},
    {"set a\x7f 0 0 9 noreply", "", 11, false},
    {"cas a 0 0 9", "ERROR\r\n", 11, false},
    {"cas a 0 0 9 x", BAD_FORMAT, 11, false},
    {"cas a 0 0 9 18446744073709551616", BAD_FORMAT, 11, false},
    {"set a 0 0 9 noreply noreply", "ERROR\r\n", 11, false},
    {"quit", "", 0, true},
    {"GET / HTTP/1.1", "", 0, true},
    {"POST /a HTTP/1.0", "", 0, true},
};

static void make_known(struct ask *ask, struct input *input, const struct model *model)
{
	const struct known_line *known = &known_lines[input_u8(input) % COUNT_OF(known_lines)];

	ask_add(&ask->bytes, ask_slice(known->line));
	end_line(ask, input);
	ask->text = known->reply;
	ask->closes = known->closes;
	ask->at_end = answer_text;
	if (known->value_bytes == 0)
		return;
	/* the error is told at once; what looks like a command is none */
	ask->head_bytes = ask->bytes.length;
	ask->at_head = answer_text;
	ask->at_end = NULL;
	ask_add(&ask->bytes, (struct slice){(const uint8_t *)"delete a\r\n\n", known->value_bytes});
}

/* Over the cap, with a line feed or without, the client is closed. */
static void make_long_line(struct ask *ask, struct input *input, const struct model *model)
{
	uint8_t kind = input_u8(input);
	size_t length = 2048 + (kind % 2);

	for (size_t i = 0; i < length; i++)
		bytes_append(&ask->bytes, "x", 1);
	ask->closes = length > 2048;
	ask->at_end = answer_text;
	ask->text = ask->closes ? "" : "ERROR\r\n";
	if (!ask->closes)
		bytes_append(&ask->bytes, "\n", 1);
}

void ask_text(struct ask *ask, struct input *input, const struct model *model)
{
	uint8_t kind = input_u8(input);

	if (kind < 72)
		ask_text_get(ask, input, model);
	else if (kind < 88)
		make_gat(ask, input, model);
	else if (kind < 168)
		make_store(ask, input, model);
	else if (kind < 200)
		make_delta(ask, input, model);
	else if (kind < 212)
		make_delete(ask, input, model);
	else if (kind < 226)
		make_touch(ask, input, model);
	else if (kind < 232)
		make_flush(ask, input, model);
	else if (kind < 255)
		make_known(ask, input, model);
	else
		make_long_line(ask, input, model);
}
