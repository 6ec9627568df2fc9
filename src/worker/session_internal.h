/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of sessions. */
#pragma once

#include "proto/binary.h"
#include "proto/meta.h"
#include "proto/text.h"
#include "shard/call.h"
#include "worker/session.h"

/* How a reply is to be written. */
enum reply_form {
	FORM_NONE,
	FORM_CLASSIC,
	FORM_VALUE, /* a key of a get line, of which a miss has no word */
	FORM_META,
	FORM_BINARY,
};

/* What a reply that comes later will need. */
struct session_echo {
	enum reply_form form;
	bool noreply; /* CLASSIC */
	union {
		struct meta_echo meta;
		struct binary_echo binary;
	};
};

/* A value on its way in. */
struct session_write {
	struct shard_write shard;
	struct session_echo echo;
};

/* A request on its way to the owner of its key, and back. */
struct session_call {
	struct shard_call shard;
	struct session *session;     /* NULL: it has gone meanwhile */
	struct session_write *write; /* that it brings, or NULL */
	struct session_echo echo;
	struct block *block; /* kept for its reply */
	struct chain after;  /* replies that come after it */
	uint16_t next;       /* the place of the next one; the newest one's is the oldest one */
	bool is_back;
	bool is_general; /* it concerns all keys */
	bool is_late;    /* in sessions->late_calls */
	uint32_t number; /* among the session's, one after the other */
	uint64_t hash;   /* of the key */
	uint64_t start_us;
	struct session_call *next_late;
	uint8_t key[KEY_BYTES_MAX];
};

enum session_state {
	SESSION_HEAD,  /* a command line is wanted, or a head of the binary protocol */
	SESSION_VALUE, /* bytes for the shard */
	SESSION_CR,    /* the two bytes after them, of text */
	SESSION_LF,
	SESSION_SWALLOW, /* what belongs to a refused request */
	SESSION_LOGIN,   /* what belongs to a login, into what is held */
	SESSION_WATCH,   /* it is told what happens; what it sends is dropped */
	SESSION_DUMP,    /* nothing is taken, until the reply is made */
	SESSION_ENDED,   /* closed or aborted: all is dropped */
};

/* Why it is over, as memcached tells it. */
enum session_end {
	END_NORMAL,
	END_ERROR,
	END_IDLE_TIMEOUT,
};

enum session_wait {
	WAIT_NONE,
	WAIT_OUTPUT, /* until the client has read enough; drained() ends it */
	WAIT_BLOCKS, /* these four: in the list of sessions_advance() */
	WAIT_LINE_BUFFER,
	WAIT_CALL,
	WAIT_TURN,
	WAIT_LOGIN,  /* to be asked about: in the list of sessions_advance_logins() */
	WAIT_ANSWER, /* asked about: it has a ticket */
	WAIT_CALLS,  /* until all that are under way are back */
};

/* Where replies go: behind what is asked of others. */
static inline struct chain *session_out(struct session *session)
{
	if (session->last_call == 0)
		return &session->stream->out;
	return &session->sessions->calls[session->last_call - 1].after;
}

/* session.c: in good order, and in the middle of a reply. */
void session_close(struct session *session);
void session_abort(struct session *session);
void session_append(struct session *session, struct slice text);
void session_push(struct session *session);
void session_note_deadline(struct session *session, const struct worker_time *time);
void session_count_refusal(struct session *session, enum refusal_reason reason);
/* What it waited for is there. */
void session_go_on(struct session *session, const struct worker_time *time);
/* So many bytes will be dropped; the next head comes after them. */
void session_swallow_next(struct session *session, uint64_t bytes);
/* Begins the request's value, which `tail_bytes` follow. False: the session waits. */
bool session_begin_value(struct session *session, const struct request *request,
                         const struct session_echo *echo, uint32_t tail_bytes,
                         const struct worker_time *time);
/* All of the value has come. */
void session_commit_value(struct session *session, const struct worker_time *time);
/* Writes the reply in the form of the echo; of the request only what it asks the reply to be like
 * counts, and its key. */
void session_reply(struct session *session, const struct session_echo *echo,
                   const struct request *request, const struct reply *reply);

/* session_call.c: whether a request may be run that writes, or be sent to another worker; whether
 * nothing that was sent is still under way. False: not now, the session waits. */
bool session_may_write(struct session *session);
bool session_may_call(struct session *session);
/* The call that was kept for it is anybody's again. */
void session_give_up_promise(struct session *session);
bool session_is_up_to_date(struct session *session);

enum session_run {
	RUN_DONE,      /* there is the reply */
	RUN_ELSEWHERE, /* session_send_request() is to be called next */
	RUN_WAITS,     /* nothing was done, and the session waits */
};

/* shard_execute(), as far as it may be. */
enum session_run session_execute(struct session *session, const struct request *request,
                                 const struct worker_time *time, struct reply *ret_reply);
/* To the owner of its key; session_reply() will be called. After session_may_call(). */
void session_send_request(struct session *session, const struct request *request,
                          const struct session_echo *echo);
/* Likewise, with a staged value: all of it, or why there is none. */
void session_send_write(struct session *session, struct session_write *write);
/* What concerns all shards: here and at all other workers. False: not now, the session waits. */
bool session_run_everywhere(struct session *session, const struct request *request,
                            const struct session_echo *echo, const struct worker_time *time);
/* Does without the replies. */
void session_leave_calls(struct session *session);
void sessions_advance_calls(struct sessions *sessions, const struct worker_time *time);

/* session_text.c: runs one line. False: the session waits, and the same line is to be run again. */
bool session_run_line(struct session *session, struct slice line, const struct worker_time *time);

/* Likewise, a plain get that was read ahead. */
bool session_run_foreseen(struct session *session, const struct foreseen *get,
                          const struct worker_time *time);
void session_refuse(struct session *session, const struct refusal *refusal);
/* The lines of `stats detail dump`, and END. False: no memory. */
bool session_append_prefixes(struct session *session);
void session_reply_classic(struct session *session, bool noreply, const struct reply *reply);
/* VALUE … of a HIT, nothing of a miss. */
void session_reply_value(struct session *session, const struct request *request,
                         const struct reply *reply);
void session_reply_meta(struct session *session, const struct meta_echo *echo,
                        const struct request *request, const struct reply *reply);

/* session_binary.c: runs one head; likewise. */
bool session_run_head(struct session *session, struct slice head, const struct worker_time *time);
void session_refuse_head(struct session *session, const struct binary_echo *echo,
                         const struct refusal *refusal);
void session_reply_binary(struct session *session, const struct binary_echo *echo, struct slice key,
                          const struct reply *reply);
/* A reply of status 0 that carries so much. */
void session_reply_carrier(struct session *session, const struct binary_echo *echo,
                           struct slice value);

/* session_login.c: what a client may do that has not logged in, and the login itself. */
bool session_is_stranger(const struct session *session);
void session_run_stranger(struct session *session, const struct text_request *text);
void session_run_sasl(struct session *session, const struct binary_request *binary,
                      struct slice head);
uint32_t session_take_login(struct session *session, const uint8_t *bytes, uint32_t length);
void sessions_advance_logins(struct sessions *sessions, const struct worker_time *time);

/* session_dump.c: begins a reply that tells of all items, goes on with it, gives it up. */
void session_begin_dump(struct session *session, const struct request *request,
                        const struct worker_time *time);
void session_go_on_dumping(struct session *session, const struct worker_time *time);
void session_dump_end(struct session *session);

/* watch.c: the session is told what happens from now on; no more. */
void session_begin_watch(struct session *session, uint32_t kinds, const struct worker_time *time);
void session_watch_end(struct session *session);
/* A client has come or gone: to be called when `watched_kinds` has WATCH_CONNECTIONS. */
void watch_connection(const struct session *session, bool is_new);
/* The shard is to be observed, or not any more: after the kinds or `stats detail` have changed. */
void sessions_observe(struct sessions *sessions);
static inline uint32_t sessions_watched_kinds(const struct sessions *sessions)
{
	return sessions->watched_kinds | sessions->others_kinds;
}

/* For shard_observer; context: the sessions. */
void watch_observe(void *context, const struct shard_event *event);

/* session_wait.c: the session takes nothing more until session_wait_end(). */
void session_wait(struct session *session, enum session_wait wait);
void session_wait_end(struct session *session);

/* The deadline runs from now on, from the beginning; not at all. */
void session_deadline_start(struct session *session, const struct worker_time *time);
void session_deadline_clear(struct session *session);

/* True when the session may begin another reply. False: it waits. */
bool session_may_reply(struct session *session);

/* The line so far; empty when nothing is held. */
struct slice session_held(const struct session *session);
/* Adds to it. False: there is no memory, the session waits and nothing was added. */
bool session_hold(struct session *session, const uint8_t *bytes, uint32_t length);
void session_held_drop(struct session *session);
/* These bytes, which may be held themselves, are held instead of all others: less than a block.
 * False: there is no memory. */
bool session_held_replace(struct session *session, struct slice bytes);
