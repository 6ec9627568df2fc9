/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of memcached's text protocol, or Redis's (RESP2), as bytes, and the check of their
 * replies, incremental and byte for byte. On purpose independent of src/proto: one error must not
 * hide in both ends.
 *
 * Pure: no sockets, no clock, no allocation. */
#pragma once

#include "base/bytes.h"
#include "load/value.h"

#define REQUEST_KEY_BYTES      20 /* "load:" and 15 decimal digits */
#define REQUEST_KEY_NUMBER_MAX UINT64_C(999999999999999)
#define REQUEST_LINE_BYTES_MAX 64

enum protocol {
	PROTOCOL_MEMCACHED,
	/* A value comes alone, without key and flags: one too short for a head of its own says
	 * little of whose it is. */
	PROTOCOL_REDIS,
	PROTOCOL_COUNT,
};

enum request_kind {
	REQUEST_GET,
	REQUEST_SET,
};

struct request {
	uint64_t key;         /* 0 … REQUEST_KEY_NUMBER_MAX */
	uint64_t intended_ns; /* when it was due to be sent: latency counts from here */
	struct value value;   /* of a SET */
	uint32_t bytes;       /* on the wire, all of it */
	uint8_t line_bytes;   /* of these, before the value: its line, or lines */
	uint8_t kind;         /* enum request_kind */
	uint8_t protocol;     /* enum protocol */
};

struct request request_get(enum protocol protocol, uint64_t key, uint64_t intended_ns);
struct request request_set(enum protocol protocol, uint64_t key, uint32_t version,
                           uint32_t value_bytes, uint64_t intended_ns);

/* Writes bytes offset … offset + count - 1 (at most request->bytes) of the request. */
void request_fill(const struct request *request, uint32_t offset, uint8_t *to, uint32_t count);

enum reply_verdict {
	REPLY_MORE, /* the input is used up, the reply is not over */
	REPLY_HIT,  /* see is_wrong */
	REPLY_MISS,
	REPLY_STORED,
	REPLY_SERVER_ERROR, /* refused, say for want of memory */
	REPLY_CLIENT_ERROR, /* any other error: our requests deserve none */
	REPLY_BROKEN,       /* not a reply to this request; where the next starts is unknown */
	REPLY_REFLECTED,    /* no reply: the request itself has come back, see datagrams.h */
};

#define REPLY_LINE_BYTES_MAX 512 /* Redis's -MISCONF has 343 */

/* One reply being checked. */
struct reply {
	uint8_t stage;        /* which part of the reply comes next */
	bool is_wrong;        /* it carries another key, flags or content than was asked for */
	uint16_t line_bytes;  /* of the line below; kept on an error, to show it */
	uint32_t offset;      /* within the value, or within what follows it */
	uint32_t value_bytes; /* as the reply says */
	uint32_t wrong_bytes; /* of the value */
	struct value value;   /* what it must be; a long one is known after its head */
	uint8_t head[VALUE_HEAD_BYTES];
	uint8_t line[REPLY_LINE_BYTES_MAX];
};

void reply_begin(struct reply *reply);

/* Checks what there is of the reply to `request` and takes it off the input. Any verdict but
 * REPLY_MORE is the last for this reply. */
enum reply_verdict reply_check(struct reply *reply, const struct request *request,
                               struct slice *input);
