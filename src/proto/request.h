/* SPDX-License-Identifier: Apache-2.0 */
/* The neutral form between parsers and the shard: what a client asks, and what it is told.
 * Parsers make requests and never see the store; the shard makes replies and never sees bytes of
 * a protocol. */
#pragma once

#include "base/bytes.h"

#define KEY_BYTES_MAX 250

enum request_op {
	REQUEST_GET, /* one or many keys: `key` is the first, `more_keys` the rest of the line */
	REQUEST_SET,
	REQUEST_ADD,
	REQUEST_REPLACE,
	REQUEST_APPEND,
	REQUEST_PREPEND,
	REQUEST_CAS,
	REQUEST_INCR,
	REQUEST_DECR,
	REQUEST_DELETE,
	REQUEST_TOUCH,
	REQUEST_GAT,
	REQUEST_FLUSH_ALL,
	REQUEST_VERSION,
	REQUEST_STATS,
	REQUEST_VERBOSITY,
	REQUEST_QUIT,
};

/* A whole command without the value's bytes; slices point into the parsed input. */
struct request {
	enum request_op op;
	bool noreply;
	bool with_cas; /* gets, gats: replies carry the cas unique */
	struct slice key;
	struct slice more_keys; /* GET, GAT: what follows the first key, up to the line's end */
	struct slice argument;  /* STATS: the sub-command, or empty */
	uint32_t client_flags;
	int64_t exptime; /* as memcached: 0 never, < 0 at once, ≤ 30 days relative, else absolute */
	uint64_t value_bytes; /* SET … CAS: how many bytes follow the line, without CR LF */
	uint64_t cas_unique;  /* CAS */
	uint64_t delta;       /* INCR, DECR */
};

/* True for the commands that a value follows. */
static inline bool request_has_value(enum request_op op)
{
	return op >= REQUEST_SET && op <= REQUEST_CAS;
}

enum reply_status {
	REPLY_HIT,  /* GET, GAT: `item` is filled */
	REPLY_MISS, /* GET, GAT */
	REPLY_STORED,
	REPLY_NOT_STORED,
	REPLY_EXISTS, /* CAS: somebody else has written */
	REPLY_NOT_FOUND,
	REPLY_DELETED,
	REPLY_TOUCHED,
	REPLY_NUMBER,      /* INCR, DECR: `number` */
	REPLY_NOT_NUMERIC, /* INCR, DECR of a value that is no decimal number below 2^64 */
	REPLY_TOO_LARGE,   /* the value is over the item limit */
	REPLY_NO_MEMORY,
	REPLY_OK, /* FLUSH_ALL */
};

struct reply {
	enum reply_status status;
	uint32_t client_flags; /* HIT */
	uint64_t value_bytes;  /* HIT */
	uint64_t cas_unique;   /* HIT */
	uint64_t number;       /* NUMBER */
	const void *item;      /* HIT: the shard's own, for shard_append_value() */
};
