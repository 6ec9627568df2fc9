/* SPDX-License-Identifier: Apache-2.0 */
/* The neutral form between parsers and the shard: what a client asks, and what it is told.
 * Parsers make requests and never see the store; the shard makes replies and never sees bytes of
 * a protocol. */
#pragma once

#include "base/bytes.h"

#define KEY_BYTES_MAX           250
#define REQUEST_VALUE_BYTES_MAX (INT32_MAX - 2) /* the longest value that can be announced */

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
	REQUEST_INSPECT, /* me: all that is known of an item */
	REQUEST_FLUSH_ALL,
	REQUEST_PURGE, /* all items whose keys begin with `key`, or are of the class `key`:
	                * `initial` is its number then, and `delta` the purge's */
	REQUEST_NOOP,
	REQUEST_VERSION,
	REQUEST_STATS,
	REQUEST_ANSWERED,     /* what has no effect here: `argument` is the reply */
	REQUEST_MEMORY_LIMIT, /* `delta` MiB */
	REQUEST_SHUTDOWN,     /* `argument`: how */
	REQUEST_DEBUG_TIME,   /* debug builds only: `debug_time`, `delta` seconds */
	REQUEST_WATCH,        /* what happens from now on: `delta` is of enum watch_kind */
	REQUEST_DUMP,         /* all items, in the `dump` form, at most `delta` of them */
	REQUEST_QUIT,
	REQUEST_SASL_LIST, /* binary only; these are the session's, as the shard knows no users */
	REQUEST_SASL_AUTH, /* `key` is the mechanism, the value what goes with it */
	REQUEST_SASL_STEP,
};

/* What the meta commands and the binary protocol add to an op. Of GET, with any of the first four
 * it is not a plain look-up any more. */
enum request_modifier {
	REQUEST_RENEW = 1u << 0,    /* GET, INCR, DECR, DELETE that invalidates: set `exptime` */
	REQUEST_VIVIFY = 1u << 1,   /* GET, INCR, DECR, APPEND, PREPEND: a miss makes an item,
	                             * with `vivify_exptime`, empty or with the number `initial` */
	REQUEST_RECACHE = 1u << 2,  /* GET: win when it expires before `recache_exptime` */
	REQUEST_NO_BUMP = 1u << 3,  /* GET: it does not count as read */
	REQUEST_DESCRIBE = 1u << 4, /* GET: the reply tells of times and marks too */
	/* where several say what the expiry is, the order in which they came counts */
	REQUEST_RENEW_BEFORE_VIVIFY = 1u << 5,
	REQUEST_RENEW_BEFORE_RECACHE = 1u << 6,
	REQUEST_COMPARE = 1u << 7,        /* DELETE, APPEND, PREPEND, INCR, DECR: only when the
	                                   * item's cas unique is `cas_unique` */
	REQUEST_NEW_CAS = 1u << 8,        /* what is written gets the cas unique `new_cas` */
	REQUEST_INVALIDATE = 1u << 9,     /* DELETE: mark it stale instead; CAS: an older cas
	                                   * unique stores too, stale */
	REQUEST_EMPTY = 1u << 10,         /* DELETE: of the item only the value goes */
	REQUEST_KEY_IS_BINARY = 1u << 11, /* the key came in base64 */
	REQUEST_PASSED_ON = 1u << 12,     /* FLUSH_ALL, MEMORY_LIMIT, PURGE: by the worker it came
	                                   * to */
	REQUEST_OF_CLASS = 1u << 13,      /* PURGE */
};

/* What can be watched. */
enum watch_kind {
	WATCH_FETCHERS = 1u << 0,
	WATCH_MUTATIONS = 1u << 1,
	WATCH_EVICTIONS = 1u << 2,
	WATCH_CONNECTIONS = 1u << 3,
	WATCH_DELETIONS = 1u << 4,
};

/* What is done to the clock that items expire by. */
enum debug_time {
	DEBUG_TIME_ADVANCE,
	DEBUG_TIME_PAUSE,
	DEBUG_TIME_RESUME,
};

/* How items are told of, one after the other. */
enum dump_form {
	DUMP_METADUMP,  /* key=… exp=… la=… … */
	DUMP_MGDUMP,    /* mg key */
	DUMP_CACHEDUMP, /* ITEM key [bytes b; expiry s] */
	DUMP_SURVEY,    /* not one by one, but what they are like */
};

/* A whole command without the value's bytes; slices point into the parsed input. */
struct request {
	enum request_op op;
	uint32_t modifiers; /* enum request_modifier */
	bool noreply;       /* the client wants no word when all is as usual */
	bool with_cas;      /* gets, gats, binary: replies carry the cas unique */
	struct slice key;
	uint64_t hash;          /* of the key, from shard_foresee(); 0: it is not known */
	struct slice more_keys; /* GET, GAT: what follows the first key, up to the line's end */
	struct slice argument;  /* STATS, SHUTDOWN: the rest of the line; ANSWERED: the reply */
	uint32_t client_flags;
	/* as memcached: 0 never, < 0 at once, ≤ 30 days relative, else absolute */
	int64_t exptime;
	int64_t vivify_exptime;
	int64_t recache_exptime;
	uint64_t value_bytes; /* SET … CAS: how many bytes follow the line, without CR LF */
	uint64_t cas_unique;  /* CAS; of no item is it 0 */
	uint64_t new_cas;
	uint64_t delta;   /* INCR, DECR, MEMORY_LIMIT, WATCH, DUMP, DEBUG_TIME */
	uint64_t initial; /* INCR, DECR */
	enum dump_form dump;
	enum debug_time debug_time;
};

/* True for the commands that a value follows. */
static inline bool request_has_value(enum request_op op)
{
	return op >= REQUEST_SET && op <= REQUEST_CAS;
}

/* False for those that surely take no room in a store. */
static inline bool request_writes(const struct request *request)
{
	return request->op != REQUEST_GET ||
	       (request->modifiers & (REQUEST_RENEW | REQUEST_VIVIFY)) != 0;
}

enum reply_status {
	REPLY_HIT,  /* GET, GAT, INSPECT: `item` is filled */
	REPLY_MISS, /* GET, GAT, INSPECT */
	REPLY_STORED,
	REPLY_NOT_STORED,
	REPLY_EXISTS, /* somebody else has written: the cas unique is another */
	REPLY_NOT_FOUND,
	REPLY_DELETED,
	REPLY_TOUCHED,
	REPLY_NUMBER,      /* INCR, DECR: `number` */
	REPLY_NOT_NUMERIC, /* INCR, DECR of a value that is no decimal number below 2^64 */
	REPLY_TOO_LARGE,   /* the value is over the item limit */
	REPLY_NO_MEMORY,
	REPLY_RATE_LIMITED, /* the key's class has had as many requests in this second as it may */
	REPLY_OK,           /* FLUSH_ALL, MEMORY_LIMIT, PURGE */
	REPLY_NO_CLASS,     /* PURGE */
	REPLY_MANY_PURGES,  /* PURGE: they have to end first */
	REPLY_BAD_LIMIT,    /* MEMORY_LIMIT: too little, or more than there is */
};

/* Of DESCRIBE and INSPECT. */
enum reply_mark {
	REPLY_FETCHED = 1u << 0,       /* somebody has read it before */
	REPLY_STALE = 1u << 1,         /* its value is outdated */
	REPLY_WON = 1u << 2,           /* this client is to store a new value … */
	REPLY_WON_BEFORE = 1u << 3,    /* … or another one is */
	REPLY_KEY_IS_BINARY = 1u << 4, /* the item was made with a key in base64 */
	REPLY_CREATED = 1u << 5,       /* there was none: VIVIFY has made it */
};

#define TTL_NEVER (-1)

struct reply {
	enum reply_status status;
	uint32_t client_flags; /* HIT */
	uint64_t value_bytes;  /* HIT, STORED */
	uint64_t cas_unique;   /* HIT of a GET `with_cas`; HIT of others, TOUCHED, STORED, NUMBER */
	uint64_t number;       /* NUMBER */
	const void *item;      /* HIT: the shard's own, for shard_append_value(), */
	const void *home;      /* … and the store that it is in */
	struct slice key;      /* DESCRIBE, INSPECT: the item's */
	uint32_t marks;        /* enum reply_mark */
	/* DESCRIBE, INSPECT, NUMBER, in seconds */
	uint32_t idle_s;     /* since it was last read, before now */
	int64_t ttl_s;       /* left, before RENEW and VIVIFY; TTL_NEVER */
	int64_t renewed_s;   /* after them */
	uint64_t item_bytes; /* INSPECT: of memory */
};
