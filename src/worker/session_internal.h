/* SPDX-License-Identifier: Apache-2.0 */
/* Between session.c and session_wait.c. */
#pragma once

#include "worker/session.h"

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

/* The session takes nothing more until session_wait_end(). */
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
