/* SPDX-License-Identifier: Apache-2.0 */
/* Between session.c and session_wait.c. */
#pragma once

#include "proto/meta.h"
#include "worker/session.h"

/* A value on its way in, and what its reply will need. */
struct session_write {
	struct shard_write shard;
	bool is_meta;
	struct meta_echo echo; /* of a meta command */
};

enum session_state {
	SESSION_LINE,  /* a command line is wanted */
	SESSION_VALUE, /* bytes for the shard */
	SESSION_CR,    /* the two bytes after them */
	SESSION_LF,
	SESSION_SWALLOW, /* what belongs to a refused request */
	SESSION_ENDED,   /* closed or aborted: all is dropped */
};

enum session_wait {
	WAIT_NONE,
	WAIT_OUTPUT, /* until the client has read enough; drained() ends it */
	WAIT_BLOCKS, /* these two: in the list of sessions_advance() */
	WAIT_LINE_BUFFER,
};

/* session.c: in good order, and in the middle of a reply. */
void session_close(struct session *session);
void session_abort(struct session *session);
void session_append(struct session *session, struct slice text);
void session_count_refusal(struct session *session, enum refusal_reason reason);
/* Gives session->write back. */
void session_write_end(struct session *session);

/* session_text.c: runs one line. False: the session waits, and the same line is to be run again. */
bool session_run_line(struct session *session, struct slice line, const struct worker_time *time);
/* The value is over, for better or worse: gives session->write back, tells the client. */
void session_end_value(struct session *session, const struct reply *reply);
void session_refuse(struct session *session, const struct refusal *refusal);

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
