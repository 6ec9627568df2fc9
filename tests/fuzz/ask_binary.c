/* SPDX-License-Identifier: Apache-2.0 */
/* The binary protocol. */
#include "ask.h"

enum opcode {
	OP_GET = 0x00,
	OP_SET = 0x01,
	OP_ADD = 0x02,
	OP_REPLACE = 0x03,
	OP_DELETE = 0x04,
	OP_INCREMENT = 0x05,
	OP_DECREMENT = 0x06,
	OP_QUIT = 0x07,
	OP_FLUSH = 0x08,
	OP_GETQ = 0x09,
	OP_NOOP = 0x0a,
	OP_VERSION = 0x0b,
	OP_GETK = 0x0c,
	OP_GETKQ = 0x0d,
	OP_APPEND = 0x0e,
	OP_PREPEND = 0x0f,
	OP_SETQ = 0x11,
	OP_ADDQ = 0x12,
	OP_REPLACEQ = 0x13,
	OP_DELETEQ = 0x14,
	OP_INCREMENTQ = 0x15,
	OP_DECREMENTQ = 0x16,
	OP_QUITQ = 0x17,
	OP_FLUSHQ = 0x18,
	OP_APPENDQ = 0x19,
	OP_PREPENDQ = 0x1a,
	OP_TOUCH = 0x1c,
	OP_GAT = 0x1d,
	OP_GATQ = 0x1e,
	OP_SASL_LIST = 0x20,
	OP_SASL_AUTH = 0x21,
	OP_SASL_STEP = 0x22,
	OP_GATK = 0x23,
	OP_GATKQ = 0x24,
};

static bool is_one_of(uint8_t opcode, const uint8_t *opcodes, size_t count)
{
	return memchr(opcodes, opcode, count) != NULL;
}

#define IS_ONE_OF(opcode, ...)                                                                     \
	is_one_of(opcode, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static bool is_quiet(uint8_t opcode)
{
	return IS_ONE_OF(opcode, OP_GETQ, OP_GETKQ, OP_SETQ, OP_ADDQ, OP_REPLACEQ, OP_DELETEQ,
	                 OP_INCREMENTQ, OP_DECREMENTQ, OP_QUITQ, OP_FLUSHQ, OP_APPENDQ, OP_PREPENDQ,
	                 OP_GATQ, OP_GATKQ);
}

static void add_u16(struct bytes *bytes, uint16_t v)
{
	uint8_t to[2];

	store_be16(to, v);
	bytes_append(bytes, to, sizeof(to));
}

static void add_u32(struct bytes *bytes, uint32_t v)
{
	uint8_t to[4];

	store_be32(to, v);
	bytes_append(bytes, to, sizeof(to));
}

static void add_u64(struct bytes *bytes, uint64_t v)
{
	add_u32(bytes, (uint32_t)(v >> 32));
	add_u32(bytes, (uint32_t)v);
}

/* What a header says, of a request and of a reply. */
struct header {
	uint8_t magic;
	uint8_t extras_bytes;
	uint16_t key_bytes;
	uint16_t status;
	uint32_t body_bytes;
	uint64_t cas;
};

static void add_header(struct bytes *bytes, const struct ask *ask, const struct header *header)
{
	const uint8_t first[2] = {header->magic, ask->binary.opcode};

	bytes_append(bytes, first, 2);
	add_u16(bytes, header->key_bytes);
	bytes_append(bytes, &header->extras_bytes, 1);
	bytes_append(bytes, "", 1); /* data type */
	add_u16(bytes, header->status);
	add_u32(bytes, header->body_bytes);
	add_u32(bytes, ask->binary.opaque);
	add_u64(bytes, header->cas);
}

static void tell_error(const struct ask *ask, struct bytes *reply, uint16_t status,
                       const char *text)
{
	struct header header = {
	    .magic = 0x81, .status = status, .body_bytes = (uint32_t)strlen(text)};

	add_header(reply, ask, &header);
	ask_add(reply, ask_slice(text));
}

void ask_binary_too_large(const struct ask *ask, struct bytes *reply)
{
	tell_error(ask, reply, 0x03, "Too large.");
}

static void tell_not_found(const struct ask *ask, struct bytes *reply)
{
	tell_error(ask, reply, 0x01, "Not found");
}

/* Success, which the quiet are not told. */
static void tell_done(const struct ask *ask, struct bytes *reply, uint64_t cas, struct slice body)
{
	struct header header = {.magic = 0x81, .body_bytes = (uint32_t)body.length, .cas = cas};

	if (is_quiet(ask->binary.opcode))
		return;
	add_header(reply, ask, &header);
	ask_add(reply, body);
}

/* One that is told to a quiet client too: there is an item. */
static void tell_item(const struct ask *ask, const struct model_item *item, struct bytes *reply)
{
	struct slice value = ask_item_value(item);
	struct header header = {.magic = 0x81, .extras_bytes = 4, .cas = item->cas_unique};
	struct slice key = ask->keys[0];

	if (!IS_ONE_OF(ask->binary.opcode, OP_GETK, OP_GETKQ, OP_GATK, OP_GATKQ))
		key.length = 0;
	if (ask->binary.opcode == OP_TOUCH)
		value.length = 0;
	header.key_bytes = (uint16_t)key.length;
	header.body_bytes = (uint32_t)(4 + key.length + value.length);
	add_header(reply, ask, &header);
	add_u32(reply, item->client_flags);
	ask_add(reply, key);
	ask_add(reply, value);
}

static void tell_miss(const struct ask *ask, struct bytes *reply)
{
	struct header header = {.magic = 0x81,
	                        .status = 0x01,
	                        .key_bytes = (uint16_t)ask->keys[0].length,
	                        .body_bytes = (uint32_t)ask->keys[0].length};

	if (is_quiet(ask->binary.opcode))
		return;
	if (!IS_ONE_OF(ask->binary.opcode, OP_GETK, OP_GATK)) {
		tell_not_found(ask, reply);
		return;
	}
	/* with a key, and without words */
	add_header(reply, ask, &header);
	ask_add(reply, ask->keys[0]);
}

static void answer_get(struct ask *ask, struct model *model, struct bytes *reply)
{
	struct model_item *item = model_find(model, ask->keys[0]);

	if (item == NULL) {
		tell_miss(ask, reply);
		return;
	}
	if (ask->touches)
		item->expiry_s = model_expiry_s(model, ask->exptime);
	model_mark_read(model, item);
	tell_item(ask, item, reply);
}

static void answer_store_begin(struct ask *ask, struct model *model, struct bytes *reply)
{
	ask->store.expiry_s = model_expiry_s(model, ask->exptime);
	ask->begun = model_store_begin(model, &ask->store, ask->value_bytes);
	if (ask->begun != MODEL_STORED)
		ask_binary_too_large(ask, reply);
}

static void answer_store(struct ask *ask, struct model *model, struct bytes *reply)
{
	uint8_t opcode = ask->binary.opcode;
	struct model_item *item;

	if (ask->begun != MODEL_STORED)
		return;
	switch (model_store(model, &ask->store, ask_own_value(ask), &item)) {
	case MODEL_STORED: tell_done(ask, reply, item->cas_unique, (struct slice){0}); return;
	case MODEL_NOT_STORED:
		/* add and replace say why, append and prepend do not */
		if (IS_ONE_OF(opcode, OP_ADD, OP_ADDQ))
			tell_error(ask, reply, 0x02, "Data exists for key.");
		else if (IS_ONE_OF(opcode, OP_REPLACE, OP_REPLACEQ))
			tell_not_found(ask, reply);
		else
			tell_error(ask, reply, 0x05, "Not stored.");
		return;
	case MODEL_EXISTS: tell_error(ask, reply, 0x02, "Data exists for key."); return;
	default: tell_not_found(ask, reply); return;
	}
}

static void answer_delta(struct ask *ask, struct model *model, struct bytes *reply)
{
	struct model_item *item;
	struct bytes body = {0};
	uint64_t number;
	bool is_made;

	ask->delta.expiry_s = model_expiry_s(model, ask->exptime);
	switch (model_delta(model, &ask->delta, &item, &number, &is_made)) {
	case MODEL_DONE:
		add_u64(&body, number);
		tell_done(ask, reply, item->cas_unique, (struct slice){body.data, body.length});
		free(body.data);
		return;
	case MODEL_EXISTS: tell_error(ask, reply, 0x02, "Data exists for key."); return;
	case MODEL_NOT_NUMERIC:
		tell_error(ask, reply, 0x06, "Non-numeric server-side value for incr or decr");
		return;
	default: tell_not_found(ask, reply); return;
	}
}

static void answer_delete(struct ask *ask, struct model *model, struct bytes *reply)
{
	switch (model_delete(model, &ask->delete)) {
	case MODEL_DONE: tell_done(ask, reply, 0, (struct slice){0}); return;
	case MODEL_EXISTS: tell_error(ask, reply, 0x02, "Data exists for key."); return;
	default: tell_not_found(ask, reply); return;
	}
}

static void answer_touch(struct ask *ask, struct model *model, struct bytes *reply)
{
	struct model_item *item;

	if (model_touch(model, ask->keys[0], model_expiry_s(model, ask->exptime), &item) ==
	    MODEL_DONE)
		tell_item(ask, item, reply);
	else
		tell_not_found(ask, reply);
}

static void answer_flush(struct ask *ask, struct model *model, struct bytes *reply)
{
	model_flush(model, ask->exptime);
	tell_done(ask, reply, 0, (struct slice){0});
}

static void answer_plain(struct ask *ask, struct model *model, struct bytes *reply)
{
	tell_done(ask, reply, 0,
	          ask->binary.opcode == OP_VERSION ? SLICE_LITERAL(ASK_VERSION)
	                                           : (struct slice){0});
}

static void answer_unknown(struct ask *ask, struct model *model, struct bytes *reply)
{
	tell_error(ask, reply, 0x81, "Unknown command");
}

static void answer_invalid(struct ask *ask, struct model *model, struct bytes *reply)
{
	tell_error(ask, reply, 0x04, "Invalid arguments");
}

/* What a request is put together from. */
struct parts {
	struct bytes extras;
	struct slice key;
	struct slice value;
	uint64_t cas;
};

static void put_together(struct ask *ask, const struct parts *parts)
{
	struct header header = {
	    .magic = 0x80,
	    .extras_bytes = (uint8_t)parts->extras.length,
	    .key_bytes = (uint16_t)parts->key.length,
	    .body_bytes =
	        (uint32_t)(parts->extras.length + parts->key.length + parts->value.length),
	    .cas = parts->cas,
	};

	add_header(&ask->bytes, ask, &header);
	ask_add(&ask->bytes, (struct slice){parts->extras.data, parts->extras.length});
	ask_add(&ask->bytes, parts->key);
	ask->head_bytes = ask->bytes.length;
	ask->value_at = ask->bytes.length;
	ask_add(&ask->bytes, parts->value);
	ask->value_bytes = parts->value.length;
	free(parts->extras.data);
}

static void choose(struct ask *ask, struct input *input, const uint8_t *opcodes, size_t count,
                   struct parts *parts)
{
	uint8_t kind = input_u8(input);

	*parts = (struct parts){0};
	ask->binary.opcode = opcodes[kind % count];
	ask->binary.opaque = kind / 16 % 2 == 0 ? kind : 0xdeadbeef;
	if (!IS_ONE_OF(ask->binary.opcode, OP_FLUSH, OP_FLUSHQ, OP_NOOP, OP_VERSION, OP_QUIT,
	               OP_QUITQ)) {
		ask->keys[0] = ask_key(input, true);
		parts->key = ask->keys[0];
	}
}

#define CHOOSE(ask, input, parts, ...)                                                             \
	choose(ask, input, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}), \
	       parts)

static uint32_t exptime_of(struct input *input, const struct model *model)
{
	return (uint32_t)ask_exptime(input, model);
}

void ask_binary_get(struct ask *ask, struct input *input, const struct model *model)
{
	struct parts parts;

	CHOOSE(ask, input, &parts, OP_GET, OP_GETQ, OP_GETK, OP_GETKQ);
	/* a cas unique means nothing here */
	parts.cas = ask->binary.opaque % 4 == 0 ? ask_cas(input, model, parts.key) : 0;
	put_together(ask, &parts);
	ask->at_end = answer_get;
}

bool ask_binary_reads(const struct ask *ask)
{
	return ask->at_end == answer_get && !ask->touches;
}

static void make_touch(struct ask *ask, struct input *input, const struct model *model)
{
	struct parts parts;

	CHOOSE(ask, input, &parts, OP_TOUCH, OP_GAT, OP_GATQ, OP_GATK, OP_GATKQ);
	ask->exptime = exptime_of(input, model);
	ask->touches = true;
	add_u32(&parts.extras, (uint32_t)ask->exptime);
	put_together(ask, &parts);
	ask->at_end = ask->binary.opcode == OP_TOUCH ? answer_touch : answer_get;
}

static void put_store_together(struct ask *ask, struct input *input, const struct model *model,
                               struct parts *parts)
{
	struct ask value = {0};

	parts->cas = input_u8(input) % 3 == 0 ? ask_cas(input, model, parts->key) : 0;
	ask_value(&value, parts->key, input, model);
	parts->value = ask_own_value(&value);
	put_together(ask, parts);
	ask_destroy(&value);
	ask->store.key = parts->key;
	ask->store.expected_cas = parts->cas;
	ask->at_head = answer_store_begin;
	ask->at_end = answer_store;
}

static void make_set(struct ask *ask, struct input *input, const struct model *model)
{
	struct parts parts;

	CHOOSE(ask, input, &parts, OP_SET, OP_SETQ, OP_SET, OP_SETQ, OP_ADD, OP_ADDQ, OP_REPLACE,
	       OP_REPLACEQ);
	ask->store.client_flags = ask_client_flags(input);
	ask->exptime = exptime_of(input, model);
	add_u32(&parts.extras, ask->store.client_flags);
	add_u32(&parts.extras, (uint32_t)ask->exptime);
	put_store_together(ask, input, model, &parts);
	if (IS_ONE_OF(ask->binary.opcode, OP_ADD, OP_ADDQ))
		ask->store.mode = MODEL_ADD;
	else if (IS_ONE_OF(ask->binary.opcode, OP_REPLACE, OP_REPLACEQ))
		ask->store.mode = MODEL_REPLACE;
	/* whatever it was */
	if (parts.cas != 0)
		ask->store.mode = MODEL_CAS;
}

static void make_append(struct ask *ask, struct input *input, const struct model *model)
{
	struct parts parts;

	CHOOSE(ask, input, &parts, OP_APPEND, OP_APPENDQ, OP_PREPEND, OP_PREPENDQ);
	put_store_together(ask, input, model, &parts);
	ask->store.mode =
	    IS_ONE_OF(ask->binary.opcode, OP_APPEND, OP_APPENDQ) ? MODEL_APPEND : MODEL_PREPEND;
}

static void make_delta(struct ask *ask, struct input *input, const struct model *model)
{
	struct parts parts;
	uint8_t kind = input_u8(input);
	uint32_t exptime;

	CHOOSE(ask, input, &parts, OP_INCREMENT, OP_INCREMENTQ, OP_DECREMENT, OP_DECREMENTQ);
	parts.cas = kind % 4 == 0 ? ask_cas(input, model, parts.key) : 0;
	exptime = kind / 4 % 2 == 0 ? UINT32_MAX : exptime_of(input, model);
	ask->exptime = exptime;
	ask->delta = (struct model_delta){
	    .key = parts.key,
	    .delta = ask_number(input),
	    .expected_cas = parts.cas,
	    .is_decrement = IS_ONE_OF(ask->binary.opcode, OP_DECREMENT, OP_DECREMENTQ),
	    .makes = exptime != UINT32_MAX,
	    .initial = ask_number(input),
	};
	add_u64(&parts.extras, ask->delta.delta);
	add_u64(&parts.extras, ask->delta.initial);
	add_u32(&parts.extras, exptime);
	put_together(ask, &parts);
	ask->at_end = answer_delta;
}

static void make_delete(struct ask *ask, struct input *input, const struct model *model)
{
	struct parts parts;

	CHOOSE(ask, input, &parts, OP_DELETE, OP_DELETEQ);
	parts.cas = input_u8(input) % 3 == 0 ? ask_cas(input, model, parts.key) : 0;
	ask->delete.key = parts.key;
	ask->delete.compares = parts.cas != 0;
	ask->delete.expected_cas = parts.cas;
	put_together(ask, &parts);
	ask->at_end = answer_delete;
}

static void make_flush(struct ask *ask, struct input *input, const struct model *model)
{
	struct parts parts;

	CHOOSE(ask, input, &parts, OP_FLUSH, OP_FLUSHQ);
	if (input_u8(input) % 4 > 0) {
		ask->exptime = exptime_of(input, model);
		add_u32(&parts.extras, (uint32_t)ask->exptime);
	}
	put_together(ask, &parts);
	ask->at_end = answer_flush;
}

static void make_plain(struct ask *ask, struct input *input, const struct model *model)
{
	struct parts parts;

	CHOOSE(ask, input, &parts, OP_NOOP, OP_NOOP, OP_VERSION, OP_NOOP, OP_VERSION, OP_QUIT,
	       OP_NOOP, OP_QUITQ);
	put_together(ask, &parts);
	ask->closes = IS_ONE_OF(ask->binary.opcode, OP_QUIT, OP_QUITQ);
	ask->at_end = answer_plain;
}

/* No such command, or one for users when there are none: told at once, and its value is dropped. */
static void make_unknown(struct ask *ask, struct input *input, const struct model *model)
{
	struct ask value = {0};
	struct parts parts;
	uint8_t kind = input_u8(input);

	CHOOSE(ask, input, &parts, 0x1b, 0x1f, 0x25, 0x30, 0x7f, 0xff, OP_SASL_AUTH, OP_SASL_STEP,
	       OP_SASL_LIST);
	if (ask->binary.opcode == OP_SASL_LIST) {
		parts.key.length = 0;
	} else {
		ask_value(&value, parts.key, input, model);
		parts.value = ask_own_value(&value);
	}
	if (kind % 2 == 0 && !IS_ONE_OF(ask->binary.opcode, OP_SASL_AUTH, OP_SASL_STEP))
		parts.key.length = 0;
	put_together(ask, &parts);
	ask_destroy(&value);
	/* of what it does not know it takes the header alone */
	if (!IS_ONE_OF(ask->binary.opcode, OP_SASL_AUTH, OP_SASL_STEP))
		ask->head_bytes = 24;
	ask->at_head = answer_unknown;
}

/* Headers that no client sends: with words, and closed; or, when it is not even a request, closed
 * without any. */
static void make_invalid(struct ask *ask, struct input *input, const struct model *model)
{
	static const uint8_t opcodes[] = {OP_GET,    OP_GETQ,      OP_SET,   OP_ADDQ, OP_APPEND,
	                                  OP_DELETE, OP_INCREMENT, OP_TOUCH, OP_GATKQ};
	uint8_t kind = input_u8(input);
	struct header header = {.magic = 0x80, .key_bytes = 1, .extras_bytes = 3, .body_bytes = 9};

	ask->binary.opcode = opcodes[kind % COUNT_OF(opcodes)];
	ask->binary.opaque = kind;
	switch (input_u8(input) % 6) {
	case 0: break;
	case 1: header = (struct header){.magic = 0x80}; break;
	case 2: header = (struct header){.magic = 0x80, .key_bytes = 2, .body_bytes = 1}; break;
	case 3: header = (struct header){.magic = 0x80, .key_bytes = 251, .body_bytes = 251}; break;
	case 4: header = (struct header){.magic = 0x80, .body_bytes = UINT32_MAX}; break;
	default: header.magic = kind % 2 == 0 ? 0x81 : 'g'; break;
	}
	ask->closes = true;
	ask->at_end = answer_invalid;
	if (header.magic != 0x80) { /* which the first byte of all may be: that would be text */
		ask->binary.opcode = OP_NOOP;
		put_together(ask, &(struct parts){0});
		ask->at_head = answer_plain;
		ask->at_end = NULL;
	}
	add_header(&ask->bytes, ask, &header);
}

void ask_binary(struct ask *ask, struct input *input, const struct model *model)
{
	uint8_t kind = input_u8(input);

	if (kind < 72)
		ask_binary_get(ask, input, model);
	else if (kind < 100)
		make_touch(ask, input, model);
	else if (kind < 150)
		make_set(ask, input, model);
	else if (kind < 174)
		make_append(ask, input, model);
	else if (kind < 214)
		make_delta(ask, input, model);
	else if (kind < 228)
		make_delete(ask, input, model);
	else if (kind < 234)
		make_flush(ask, input, model);
	else if (kind < 246)
		make_plain(ask, input, model);
	else if (kind < 253)
		make_unknown(ask, input, model);
	else
		make_invalid(ask, input, model);
}
