/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: what stands between a client's byte stream and the shard.
 *
 * A session takes in-order bytes, runs one request after the other and appends the replies to the
 * stream's `out`. It keeps no byte that it can use at once: values go straight to the shard, and
 * only a head (a line of text, or what comes before a value in the binary protocol) that is not
 * whole yet is copied, into a block or, for long get lines, into one of a few large buffers.
 * Which protocol it is the first byte says.
 *
 * When it must not go on (too much waits to be sent, or memory is short) it takes no more bytes,
 * so that the carrier's flow control holds the client back. It stops between two replies and in
 * the middle of none: a get of many keys stops between two values.
 *
 * Owner of everything here: one worker. */
#pragma once

#include "base/counter.h"
#include "base/login.h"
#include "base/slab.h"
#include "net/stream.h"
#include "shard/shard.h"
#include "worker/latency.h"
#include "worker/lookahead.h"
#include "worker/time.h"
#include "worker/watch.h"

struct stats;

/* name, unit, kind, help. The names are memcached's where memcached has the counter. */
#define SESSION_COUNTERS(X)                                                                        \
	X(curr_connections, "connections", COUNTER_LEVEL, "Clients connected")                     \
	X(total_connections, "connections", COUNTER_TOTAL, "Clients that have connected")          \
	X(bytes_read, "bytes", COUNTER_TOTAL, "Taken from clients")                                \
	X(bytes_written, "bytes", COUNTER_TOTAL, "Replied to clients")                             \
	X(requests, "requests", COUNTER_TOTAL, "Commands, refused ones too")                       \
	X(refused_unknown_command, "requests", COUNTER_TOTAL,                                      \
	  "Refused: no such command, or a wrong number of arguments")                              \
	X(refused_bad_format, "requests", COUNTER_TOTAL,                                           \
	  "Refused: bad key, or a number malformed or out of range")                               \
	X(refused_bad_delete, "requests", COUNTER_TOTAL,                                           \
	  "Refused: delete with arguments that it does not take")                                  \
	X(refused_bad_exptime, "requests", COUNTER_TOTAL, "Refused: exptime is no number")         \
	X(refused_bad_delta, "requests", COUNTER_TOTAL,                                            \
	  "Refused: delta of incr or decr is no number")                                           \
	X(refused_bad_flag, "requests", COUNTER_TOTAL,                                             \
	  "Refused: a flag of a meta command, or its token")                                       \
	X(refused_bad_chunk, "requests", COUNTER_TOTAL,                                            \
	  "Refused: a value longer or shorter than announced")                                     \
	X(auth_cmds, "logins", COUNTER_TOTAL, "Passwords that clients have sent")                  \
	X(auth_errors, "logins", COUNTER_TOTAL, "Of those, the ones that were refused")            \
	X(refused_unauthenticated, "requests", COUNTER_TOTAL,                                      \
	  "Refused: the client has not logged in")                                                 \
	X(refused_bad_login, "requests", COUNTER_TOTAL,                                            \
	  "Refused: a login without name and password, or too long")                               \
	X(swallowed_bytes, "bytes", COUNTER_TOTAL, "Dropped: values of refused requests")          \
	X(closed_line_too_long, "connections", COUNTER_TOTAL, "Closed: a line over its cap")       \
	X(closed_http, "connections", COUNTER_TOTAL, "Closed: the client speaks HTTP")             \
	X(closed_bad_magic, "connections", COUNTER_TOTAL,                                          \
	  "Closed: no request of the binary protocol")                                             \
	X(closed_request_timeout, "connections", COUNTER_TOTAL,                                    \
	  "Closed: a request came too slowly, or its reply was not read")                          \
	X(aborted_no_blocks, "connections", COUNTER_TOTAL,                                         \
	  "Aborted: memory for replies ran out in the middle of one")                              \
	X(waits_output, "events", COUNTER_TOTAL,                                                   \
	  "Stopped reading a client that does not read its replies")                               \
	X(waits_blocks, "events", COUNTER_TOTAL, "Stopped reading a client for want of blocks")    \
	X(waits_line_buffers, "events", COUNTER_TOTAL,                                             \
	  "Stopped reading a client for want of a buffer for a long get line")                     \
	X(waits_calls, "events", COUNTER_TOTAL,                                                    \
	  "Stopped reading a client until other workers have answered")                            \
	X(calls, "requests", COUNTER_TOTAL, "Handed to the workers that own their keys")           \
	X(waits_login, "events", COUNTER_TOTAL,                                                    \
	  "Stopped reading a client until its password is checked")                                \
	X(log_watcher_sent, "lines", COUNTER_TOTAL, "Sent to clients that watch")                  \
	X(log_watcher_skipped, "lines", COUNTER_TOTAL,                                             \
	  "Not sent to clients that watch: they do not read, or memory is short")                  \
	X(detail_left_out, "requests", COUNTER_TOTAL,                                              \
	  "Not in `stats detail`: there is no room for their prefix")

struct session_counters {
	SESSION_COUNTERS(COUNTER_FIELD)
};

struct sessions_options {
	uint32_t value_bytes_max;  /* the shard's */
	uint32_t output_bytes_max; /* waiting to be sent, before a client is read no further */
	uint32_t session_count_max;
	uint32_t line_buffer_count;   /* long get lines that can be on their way in at once */
	uint64_t request_timeout_us;  /* for a request to come in, or for replies to be read */
	uint32_t other_count;         /* workers besides this one */
	uint32_t call_count;          /* that may be under way to them, as in shards_create() */
	struct watch_exchange *watch; /* with them; NULL: there are none */
	const char *version;          /* "0.1.0" */
	struct login_worker *login;   /* who checks passwords; NULL: nobody has to log in */
	bool can_shut_down;           /* whether the command shutdown is enabled: */
	/* Asks for the process to end. */
	void (*shut_down)(void *context);
	void *shut_down_context;
	/* debugtime: changes the clock that items expire by, from the next turn on. False: its
	 * seconds, of 32 bits, would come to their end. */
	bool (*debug_time)(void *context, enum debug_time change, uint32_t seconds);
	void *debug_time_context;
};

struct session_line_buffer;
struct session_write;
struct session_call;
struct session;

struct session_list {
	struct session *first;
	struct session *last;
};

struct session_call_list {
	struct session_call *first;
	struct session_call *last;
};

#define SESSION_WATCHER_COUNT_MAX 20 /* as with memcached */

/* Who is told of what happens. */
struct session_watcher {
	struct session *session; /* NULL: it is free */
	uint32_t kinds;          /* enum watch_kind */
	uint64_t skipped_count;  /* not told, as it has not read what it was told before */
};

#define SESSION_DUMP_COUNT 4 /* that one worker makes at once */

/* A reply that tells of all items. */
struct session_dump {
	struct session *session; /* NULL: it is free */
	uint64_t cursor;         /* of shard_walk() */
	uint64_t left_count;     /* items that may still be told of */
	enum dump_form form;
};

/* What all sessions of one worker share. */
struct sessions {
	struct sessions_options options;
	struct shard *shard;
	struct lookahead lookahead; /* of the frames at hand, or of the bytes of one session */
	bool looks_ahead;           /* the latter */
	struct block_pool *blocks;
	struct stats *stats;
	struct latency latency;
	uint32_t reply_block_count; /* a reply is begun only when so many blocks are free */
	struct session_line_buffer *free_line_buffers;
	uint32_t free_line_buffer_count;
	struct slab writes; /* struct session_write */
	struct session_list
	    waiting; /* for blocks, line buffers, calls or the next turn, the oldest first */
	uint32_t turn_wait_count;   /* those that wait for the next turn */
	uint32_t free_call_count;   /* that are promised to nobody */
	struct session_call *calls; /* all of them, by place - 1 */
	struct slab free_calls;
	struct session_call_list late_calls; /* back, but there were no blocks for their replies */
	struct session_dump dumps[SESSION_DUMP_COUNT];
	struct survey *survey; /* of the dump of that form: one at a time */
	struct session_watcher watchers[SESSION_WATCHER_COUNT_MAX];
	uint32_t watched_kinds;                 /* by any of them */
	uint32_t others_kinds;                  /* by clients of other workers */
	uint64_t lost_heard[EPOCH_READERS_MAX]; /* lines of theirs that we know to be lost */
	uint64_t watch_sequence;                /* of what was told last */
	const struct worker_time *watch_time;
	struct shard_observer observer;
	const struct session *at_work; /* whose requests are run; NULL: a datagram's, or nobody's */
	struct session_list logging_in;            /* those whose password is not asked about yet */
	struct session *logins[LOGIN_WAITING_MAX]; /* by ticket; NULL: free, or gone meanwhile */
	uint64_t free_tickets;                     /* a bit each */
	struct session_list deadlines;             /* half received or unread, the oldest first */
	struct session_counters counters;
};

/* Bytes of memory that sessions_create() takes. */
size_t sessions_bytes(const struct sessions_options *options);
void sessions_create(struct sessions *sessions, const struct sessions_options *options,
                     struct shard *shard, struct block_pool *blocks, struct stats *stats,
                     struct memory *memory);

/* Does what was asked of other workers and concerns all, and tells those who watch what has
 * happened there. Once a turn, before anything else. */
void sessions_follow(struct sessions *sessions, const struct worker_time *time);

/* Serves the other workers' calls, and takes in the replies to those of these sessions. Once a
 * turn. Returns how many there were. */
uint32_t sessions_serve_calls(struct sessions *sessions, const struct worker_time *time);

/* Lets sessions go on that waited for memory, as far as there is some, or for their turn. Once a
 * turn of the loop; when some wait for the next one, there should be one soon. */
void sessions_advance(struct sessions *sessions, const struct worker_time *time);

/* One client. The fields are session.c's own; the struct is here so that the worker can keep
 * sessions in a table. */
struct session {
	struct stream *stream;
	struct sessions *sessions;
	struct session *next; /* of those that wait, or of those with a deadline */
	struct session *previous;
	void *held;                 /* struct block or session_line_buffer with the line so far */
	uint64_t deadline_start_us; /* 0: nothing is half received or unread */
	uint32_t held_bytes;
	uint32_t answered_bytes; /* of the get line at hand: the keys in these are answered */
	uint8_t state;           /* enum session_state */
	uint8_t wait;            /* enum session_wait */
	bool held_is_large : 1;
	bool noreply : 1;
	bool cr_is_bad : 1;
	bool has_begun : 1;    /* the first byte was there, and has said that … */
	bool is_binary : 1;    /* … it is the binary protocol */
	bool is_logged_in : 1; /* where that is wanted */
	bool has_asked : 1;    /* for a step of SASL */
	bool is_finished : 1;  /* it has sent its last byte, and is closed after the reply */
	uint8_t end : 2;       /* enum session_end */
	bool is_aborted : 1;
	bool is_promised : 1;     /* a call, as it has waited for one */
	bool is_rate_limited : 1; /* a key of the get that is being answered was */
	uint16_t unread_units;    /* of 64 KiB, in `out` when the deadline started */
	uint16_t last_call;       /* the place of its newest call; 0: none is under way */
	union {
		struct session_write *write; /* while a value comes in */
		struct session_dump *dump;
		struct session_watcher *watcher;
		uint64_t left_bytes; /* to be swallowed, or of a login */
		uint64_t ticket;     /* of a login that was asked about */
	};
};

_Static_assert(sizeof(struct session) <= 72, "idle connections are many");

/* The carrier's calls; see struct stream_user. session_create() is for opened(). */
void session_create(struct session *session, struct sessions *sessions, struct stream *stream);
uint32_t session_received(struct session *session, const uint8_t *bytes, uint32_t length,
                          const struct worker_time *time);
void session_finished(struct session *session);
void session_drained(struct session *session, const struct worker_time *time);
void session_closed(struct session *session);

/* True when it is not idle though it sends nothing: it watches, or waits for something long. */
bool session_is_served(const struct session *session);

/* Ends it because it was idle. */
void session_close_idle(struct session *session);

/* Ends it at once: what it has not sent, its client does not get. */
void session_cut(struct session *session);

/* What it is at, by memcached's names: conn_read, conn_nread … */
const char *session_state_name(const struct session *session);

/* True when the client has let request_timeout pass with a request half sent, or with replies
 * unread that it is held back for. The clock starts anew with every 64 KiB sent or read. */
static inline bool session_expired(const struct session *session, const struct worker_time *time)
{
	return session->deadline_start_us != 0 &&
	       time->now_us >
	           session->deadline_start_us + session->sessions->options.request_timeout_us;
}

/* Ends all expired sessions. */
void sessions_expire(struct sessions *sessions, const struct worker_time *time);

/* When the next one expires; UINT64_MAX: never. */
uint64_t sessions_next_us(const struct sessions *sessions);
