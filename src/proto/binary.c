/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/binary.h"

#include "base/assert.h"

/* Where the header's fields begin; the drawing is in binary.h. */
enum field {
	FIELD_MAGIC = 0,
	FIELD_OPCODE = 1,
	FIELD_KEY_BYTES = 2,
	FIELD_EXTRAS_BYTES = 4,
	FIELD_DATA_TYPE = 5, /* never used; as memcached it is not looked at */
	FIELD_STATUS = 6,
	FIELD_BODY_BYTES = 8,
	FIELD_OPAQUE = 12,
	FIELD_CAS_UNIQUE = 16,
};

_Static_assert(FIELD_CAS_UNIQUE + sizeof(uint64_t) == BINARY_HEADER_BYTES, "a header's fields");

/* How long extras are tells what is in them. */
#define EXTRAS_EXPTIME 4  /* exptime */
#define EXTRAS_STORAGE 8  /* client flags, exptime */
#define EXTRAS_DELTA   20 /* delta, initial, vivify exptime */

_Static_assert(EXTRAS_DELTA == BINARY_EXTRAS_MAX, "a head has room for all extras");

/* The expiration of an increment or decrement that is to make no item. */
#define VIVIFY_NEVER UINT32_MAX

enum command_flag {
	KNOWN = 1u << 0,
	KEY = 1u << 1,          /* is wanted … */
	KEY_OPTIONAL = 1u << 2, /* … or may come; else it is forbidden */
	EXTRAS_OPTIONAL = 1u << 3,
	VALUE = 1u << 4,     /* what is left of the body is a value */
	QUIET = 1u << 5,     /* the client wants no word when all is as usual */
	WITH_KEY = 1u << 6,  /* replies carry the key */
	CAS_SETS = 1u << 7,  /* with a cas unique it becomes REQUEST_CAS … */
	CAS_GUARDS = 1u << 8 /* … or REQUEST_COMPARE; of all others it means nothing */
};

struct command {
	uint8_t op; /* enum request_op */
	uint8_t extras_bytes;
	uint16_t flags; /* enum command_flag */
};

#define COMMAND(op, extras_bytes, flags)                                                           \
	{                                                                                          \
		op, extras_bytes, KNOWN | (flags)                                                  \
	}

/* By opcode. */
static const struct command commands[] = {
    [0x00] = COMMAND(REQUEST_GET, 0, KEY),
    [0x01] = COMMAND(REQUEST_SET, EXTRAS_STORAGE, KEY | VALUE | CAS_SETS),
    [0x02] = COMMAND(REQUEST_ADD, EXTRAS_STORAGE, KEY | VALUE | CAS_SETS),
    [0x03] = COMMAND(REQUEST_REPLACE, EXTRAS_STORAGE, KEY | VALUE | CAS_SETS),
    [0x04] = COMMAND(REQUEST_DELETE, 0, KEY | CAS_GUARDS),
    [0x05] = COMMAND(REQUEST_INCR, EXTRAS_DELTA, KEY | CAS_GUARDS),
    [0x06] = COMMAND(REQUEST_DECR, EXTRAS_DELTA, KEY | CAS_GUARDS),
    [0x07] = COMMAND(REQUEST_QUIT, 0, 0),
    [0x08] = COMMAND(REQUEST_FLUSH_ALL, EXTRAS_EXPTIME, EXTRAS_OPTIONAL),
    [0x09] = COMMAND(REQUEST_GET, 0, KEY | QUIET),
    [0x0a] = COMMAND(REQUEST_NOOP, 0, 0),
    [0x0b] = COMMAND(REQUEST_VERSION, 0, 0),
    [0x0c] = COMMAND(REQUEST_GET, 0, KEY | WITH_KEY),
    [0x0d] = COMMAND(REQUEST_GET, 0, KEY | WITH_KEY | QUIET),
    [0x0e] = COMMAND(REQUEST_APPEND, 0, KEY | VALUE | CAS_GUARDS),
    [0x0f] = COMMAND(REQUEST_PREPEND, 0, KEY | VALUE | CAS_GUARDS),
    [0x10] = COMMAND(REQUEST_STATS, 0, KEY_OPTIONAL),
    [0x11] = COMMAND(REQUEST_SET, EXTRAS_STORAGE, KEY | VALUE | CAS_SETS | QUIET),
    [0x12] = COMMAND(REQUEST_ADD, EXTRAS_STORAGE, KEY | VALUE | CAS_SETS | QUIET),
    [0x13] = COMMAND(REQUEST_REPLACE, EXTRAS_STORAGE, KEY | VALUE | CAS_SETS | QUIET),
    [0x14] = COMMAND(REQUEST_DELETE, 0, KEY | CAS_GUARDS | QUIET),
    [0x15] = COMMAND(REQUEST_INCR, EXTRAS_DELTA, KEY | CAS_GUARDS | QUIET),
    [0x16] = COMMAND(REQUEST_DECR, EXTRAS_DELTA, KEY | CAS_GUARDS | QUIET),
    [0x17] = COMMAND(REQUEST_QUIT, 0, QUIET),
    [0x18] = COMMAND(REQUEST_FLUSH_ALL, EXTRAS_EXPTIME, EXTRAS_OPTIONAL | QUIET),
    [0x19] = COMMAND(REQUEST_APPEND, 0, KEY | VALUE | CAS_GUARDS | QUIET),
    [0x1a] = COMMAND(REQUEST_PREPEND, 0, KEY | VALUE | CAS_GUARDS | QUIET),
    [0x1c] = COMMAND(REQUEST_TOUCH, EXTRAS_EXPTIME, KEY),
    [0x1d] = COMMAND(REQUEST_GAT, EXTRAS_EXPTIME, KEY),
    [0x1e] = COMMAND(REQUEST_GAT, EXTRAS_EXPTIME, KEY | QUIET),
    [0x20] = COMMAND(REQUEST_SASL_LIST, 0, 0),
    [0x21] = COMMAND(REQUEST_SASL_AUTH, 0, KEY | VALUE),
    [0x22] = COMMAND(REQUEST_SASL_STEP, 0, KEY | VALUE),
    [0x23] = COMMAND(REQUEST_GAT, EXTRAS_EXPTIME, KEY | WITH_KEY),
    [0x24] = COMMAND(REQUEST_GAT, EXTRAS_EXPTIME, KEY | WITH_KEY | QUIET),
};

/* NULL: no such opcode. */
static const struct command *find_command(uint8_t opcode)
{
	if (opcode >= sizeof(commands) / sizeof(commands[0]) || !(commands[opcode].flags & KNOWN))
		return NULL;
	return &commands[opcode];
}

bool binary_find_op(uint8_t opcode, enum request_op *ret_op)
{
	const struct command *command = find_command(opcode);

	if (command == NULL)
		return false;
	*ret_op = (enum request_op)command->op;
	return true;
}

/* What a good header says of the body. */
struct header {
	const struct command *command;
	uint32_t extras_bytes;
	uint32_t key_bytes;
	uint32_t value_bytes;
};

static bool command_takes(const struct command *command, const struct header *header)
{
	uint32_t flags = command->flags;

	if (header->extras_bytes != command->extras_bytes &&
	    !(header->extras_bytes == 0 && (flags & EXTRAS_OPTIONAL)))
		return false;
	if (header->key_bytes == 0 && (flags & KEY))
		return false;
	if (header->key_bytes > 0 && !(flags & (KEY | KEY_OPTIONAL)))
		return false;
	return header->value_bytes == 0 || (flags & VALUE);
}

static enum parse_verdict close_for(enum refusal_reason reason, struct refusal *refusal)
{
	*refusal = (struct refusal){.reason = reason};
	return PARSE_CLOSE;
}

/* All that can be wrong with a request is wrong in its header. */
static enum parse_verdict read_header(const uint8_t *bytes, struct header *header,
                                      struct refusal *refusal)
{
	uint32_t body_bytes = load_be32(bytes + FIELD_BODY_BYTES);

	if (bytes[FIELD_MAGIC] != BINARY_MAGIC_REQUEST)
		return close_for(REFUSAL_BAD_MAGIC, refusal);
	header->command = find_command(bytes[FIELD_OPCODE]);
	header->extras_bytes = bytes[FIELD_EXTRAS_BYTES];
	header->key_bytes = load_be16(bytes + FIELD_KEY_BYTES);
	if (body_bytes > BINARY_BODY_BYTES_MAX || header->key_bytes > KEY_BYTES_MAX ||
	    header->extras_bytes + header->key_bytes > body_bytes)
		return close_for(REFUSAL_BAD_FORMAT, refusal);
	header->value_bytes = body_bytes - header->extras_bytes - header->key_bytes;
	if (header->command == NULL) {
		*refusal = (struct refusal){.reason = REFUSAL_UNKNOWN_COMMAND,
		                            .swallow_bytes = body_bytes};
		return PARSE_BAD;
	}
	if (!command_takes(header->command, header))
		return close_for(REFUSAL_BAD_FORMAT, refusal);
	return PARSE_DONE;
}

/* The header where it lies, or put together in `joined` when it is in two pieces. */
static const uint8_t *join_header(struct slice held, struct slice fresh,
                                  uint8_t joined[BINARY_HEADER_BYTES])
{
	if (held.length == 0)
		return fresh.data;
	if (held.length >= BINARY_HEADER_BYTES)
		return held.data;
	memcpy(joined, held.data, held.length);
	memcpy(joined + held.length, fresh.data, BINARY_HEADER_BYTES - held.length);
	return joined;
}

enum parse_verdict binary_find_head(struct slice held, struct slice fresh,
                                    uint32_t *ret_fresh_bytes)
{
	size_t total = held.length + fresh.length;
	size_t head_bytes = BINARY_HEADER_BYTES;
	uint8_t joined[BINARY_HEADER_BYTES];
	struct refusal ignored;
	struct header header;

	if (total < BINARY_HEADER_BYTES)
		return PARSE_MORE;
	if (read_header(join_header(held, fresh, joined), &header, &ignored) == PARSE_DONE)
		head_bytes += header.extras_bytes + header.key_bytes;
	if (total < head_bytes)
		return PARSE_MORE;
	ASSERT(held.length < head_bytes);
	*ret_fresh_bytes = (uint32_t)(head_bytes - held.length);
	return PARSE_DONE;
}

static void read_extras(const uint8_t *extras, uint32_t extras_bytes, struct request *request)
{
	uint32_t expiration;

	switch (extras_bytes) {
	case EXTRAS_EXPTIME: request->exptime = load_be32(extras); return;
	case EXTRAS_STORAGE:
		request->client_flags = load_be32(extras);
		request->exptime = load_be32(extras + 4);
		return;
	case EXTRAS_DELTA:
		request->delta = load_be64(extras);
		request->initial = load_be64(extras + 8);
		expiration = load_be32(extras + 16);
		if (expiration == VIVIFY_NEVER)
			return;
		request->modifiers |= REQUEST_VIVIFY;
		request->vivify_exptime = expiration;
		return;
	default: return;
	}
}

static void read_cas_unique(uint64_t cas_unique, uint32_t flags, struct request *request)
{
	if (cas_unique == 0 || !(flags & (CAS_SETS | CAS_GUARDS)))
		return;
	request->cas_unique = cas_unique;
	if (flags & CAS_SETS)
		request->op = REQUEST_CAS;
	else
		request->modifiers |= REQUEST_COMPARE;
}

struct binary_echo binary_echo_of(const uint8_t header[BINARY_HEADER_BYTES])
{
	struct binary_echo echo = {.opcode = header[FIELD_OPCODE]};

	memcpy(&echo.opaque, header + FIELD_OPAQUE, sizeof(echo.opaque));
	return echo;
}

enum parse_verdict binary_parse_head(struct slice head, struct binary_request *request,
                                     struct refusal *refusal)
{
	struct request *plain = &request->request;
	enum parse_verdict verdict;
	const uint8_t *extras;
	struct header header;
	uint32_t flags;

	ASSERT(head.length >= BINARY_HEADER_BYTES);
	request->echo = binary_echo_of(head.data);
	verdict = read_header(head.data, &header, refusal);
	if (verdict != PARSE_DONE)
		return verdict;
	ASSERT(head.length == BINARY_HEADER_BYTES + header.extras_bytes + header.key_bytes);
	extras = head.data + BINARY_HEADER_BYTES;
	flags = header.command->flags;
	*plain = (struct request){
	    .op = header.command->op,
	    .noreply = (flags & QUIET) != 0,
	    .with_cas = true,
	    .key = {extras + header.extras_bytes, header.key_bytes},
	    .value_bytes = header.value_bytes,
	};
	read_extras(extras, header.extras_bytes, plain);
	read_cas_unique(load_be64(head.data + FIELD_CAS_UNIQUE), flags, plain);
	if (plain->op == REQUEST_STATS)
		plain->argument = plain->key;
	return PARSE_DONE;
}

/* The fields of a reply's header that are not the request's. */
struct response {
	uint16_t status;
	uint8_t extras_bytes;
	uint16_t key_bytes;
	uint32_t body_bytes;
	uint64_t cas_unique;
};

static uint8_t *write_response(uint8_t *to, const struct binary_echo *echo,
                               const struct response *response)
{
	to[FIELD_MAGIC] = BINARY_MAGIC_RESPONSE;
	to[FIELD_OPCODE] = echo->opcode;
	store_be16(to + FIELD_KEY_BYTES, response->key_bytes);
	to[FIELD_EXTRAS_BYTES] = response->extras_bytes;
	to[FIELD_DATA_TYPE] = 0;
	store_be16(to + FIELD_STATUS, response->status);
	store_be32(to + FIELD_BODY_BYTES, response->body_bytes);
	memcpy(to + FIELD_OPAQUE, &echo->opaque, sizeof(echo->opaque));
	store_be64(to + FIELD_CAS_UNIQUE, response->cas_unique);
	return to + BINARY_HEADER_BYTES;
}

static uint8_t *write_slice(uint8_t *to, struct slice slice)
{
	if (slice.length > 0)
		memcpy(to, slice.data, slice.length);
	return to + slice.length;
}

struct error {
	uint16_t status;
	struct slice text;
};

#define ERROR(status, text)                                                                        \
	{                                                                                          \
		status,                                                                            \
		{                                                                                  \
			(const uint8_t *)(text), sizeof(text) - 1                                  \
		}                                                                                  \
	}

#define STATUS_NOT_FOUND     0x01
#define STATUS_AUTH_CONTINUE 0x21

static const struct error reply_errors[] = {
    [REPLY_MISS] = ERROR(STATUS_NOT_FOUND, "Not found"),
    [REPLY_NOT_FOUND] = ERROR(STATUS_NOT_FOUND, "Not found"),
    [REPLY_EXISTS] = ERROR(0x02, "Data exists for key."),
    [REPLY_TOO_LARGE] = ERROR(0x03, "Too large."),
    [REPLY_NOT_STORED] = ERROR(0x05, "Not stored."),
    [REPLY_NOT_NUMERIC] = ERROR(0x06, "Non-numeric server-side value for incr or decr"),
    [REPLY_NO_MEMORY] = ERROR(0x82, "Out of memory"),
    [REPLY_RATE_LIMITED] = ERROR(0x85, "Too many requests of this class of keys"),
};

static const struct error bad_format = ERROR(0x04, "Invalid arguments");
static const struct error auth_failed = ERROR(0x20, "Auth failure.");
static const struct error unknown_command = ERROR(0x81, "Unknown command");

static uint8_t *write_error(uint8_t *to, const struct binary_echo *echo, const struct error *error)
{
	struct response response = {
	    .status = error->status,
	    .body_bytes = (uint32_t)error->text.length,
	};

	return write_slice(write_response(to, echo, &response), error->text);
}

/* A key that is there, and what is known of it; `value_bytes` are to follow. */
static uint8_t *write_item(uint8_t *to, const struct binary_echo *echo, struct slice key,
                           uint64_t value_bytes, const struct reply *reply)
{
	struct response response = {
	    .extras_bytes = sizeof(reply->client_flags),
	    .key_bytes = (uint16_t)key.length,
	    .body_bytes = (uint32_t)(sizeof(reply->client_flags) + key.length + value_bytes),
	    .cas_unique = reply->cas_unique,
	};

	ASSERT(key.length <= KEY_BYTES_MAX);
	ASSERT(value_bytes <= BINARY_BODY_BYTES_MAX);
	to = write_response(to, echo, &response);
	store_be32(to, reply->client_flags);
	return write_slice(to + sizeof(reply->client_flags), key);
}

/* As memcached, a miss that carries the key carries no text. */
static uint8_t *write_miss(uint8_t *to, const struct binary_echo *echo, struct slice key)
{
	struct response response = {
	    .status = STATUS_NOT_FOUND,
	    .key_bytes = (uint16_t)key.length,
	    .body_bytes = (uint32_t)key.length,
	};

	ASSERT(key.length <= KEY_BYTES_MAX);
	if (key.length == 0)
		return write_error(to, echo, &reply_errors[REPLY_MISS]);
	return write_slice(write_response(to, echo, &response), key);
}

static uint8_t *write_number(uint8_t *to, const struct binary_echo *echo, const struct reply *reply)
{
	struct response response = {
	    .body_bytes = sizeof(reply->number),
	    .cas_unique = reply->cas_unique,
	};

	to = write_response(to, echo, &response);
	store_be64(to, reply->number);
	return to + sizeof(reply->number);
}

/* memcached tells why a value was not stored when the command alone says it. */
static enum reply_status told_status(const struct command *command, enum reply_status status)
{
	if (status == REPLY_NOT_STORED && command->op == REQUEST_ADD)
		return REPLY_EXISTS;
	if (status == REPLY_NOT_STORED && command->op == REQUEST_REPLACE)
		return REPLY_NOT_FOUND;
	return status;
}

/* What quiet requests are not told. */
#define QUIET_STATUSES                                                                             \
	(1u << REPLY_MISS | 1u << REPLY_STORED | 1u << REPLY_DELETED | 1u << REPLY_TOUCHED |       \
	 1u << REPLY_NUMBER | 1u << REPLY_OK)

uint8_t *binary_write_reply(uint8_t *to, const struct binary_echo *echo, struct slice key,
                            const struct reply *reply)
{
	const struct command *command = find_command(echo->opcode);
	enum reply_status status = reply->status;
	struct slice no_key = {0};

	ASSERT(command != NULL);
	if ((command->flags & QUIET) && (QUIET_STATUSES & (1u << status)))
		return to;
	if (!(command->flags & WITH_KEY))
		key = no_key;
	switch (status) {
	case REPLY_HIT: return write_item(to, echo, key, reply->value_bytes, reply);
	case REPLY_TOUCHED: return write_item(to, echo, no_key, 0, reply);
	case REPLY_MISS: return write_miss(to, echo, key);
	case REPLY_NUMBER: return write_number(to, echo, reply);
	case REPLY_STORED:
		return write_response(to, echo,
		                      &(struct response){.cas_unique = reply->cas_unique});
	case REPLY_DELETED:
	case REPLY_OK: return write_response(to, echo, &(struct response){0});
	default: return write_error(to, echo, &reply_errors[told_status(command, status)]);
	}
}

uint8_t *binary_write_refusal(uint8_t *to, const struct binary_echo *echo,
                              enum refusal_reason reason)
{
	switch (reason) {
	case REFUSAL_UNKNOWN_COMMAND: return write_error(to, echo, &unknown_command);
	case REFUSAL_BAD_FORMAT: return write_error(to, echo, &bad_format);
	case REFUSAL_UNAUTHENTICATED:
	case REFUSAL_LOGIN_FAILED: return write_error(to, echo, &auth_failed);
	default: return to;
	}
}

uint8_t *binary_write_continue(uint8_t *to, const struct binary_echo *echo)
{
	return write_response(to, echo, &(struct response){.status = STATUS_AUTH_CONTINUE});
}

uint8_t *binary_write_header(uint8_t *to, const struct binary_echo *echo, uint16_t key_bytes,
                             uint32_t value_bytes)
{
	struct response response = {
	    .key_bytes = key_bytes,
	    .body_bytes = key_bytes + value_bytes,
	};

	return write_response(to, echo, &response);
}
