/* SPDX-License-Identifier: Apache-2.0 */
/* A worker's way to whoever checks the passwords of its clients: it asks, goes on, and looks for
 * the answer later. Here and not in worker/ or login/, as each has one side of it and neither
 * may include the other. Owner: the worker; the two calls are for its thread alone. */
#pragma once

#include "base/bytes.h"

/* Of one worker: asked, and the answer not taken yet; a power of two. */
#define LOGIN_WAITING_MAX        64
#define LOGIN_NAME_BYTES_MAX     255
#define LOGIN_PASSWORD_BYTES_MAX 255

struct login_worker {
	bool (*ask)(void *context, uint64_t ticket, struct slice name, struct slice password);
	bool (*answer)(void *context, uint64_t *ret_ticket, bool *ret_ok);
	void *context;
};

/* Asks whether the password is this user's. Copies both; whoever holds them wipes them. Those that
 * are too long, or have a zero byte in them, are answered with no, like any that are wrong.
 *
 * The ticket comes back with the answer and means what the worker wants it to mean. There is no
 * taking back: when a client goes, its answer comes all the same, so a ticket must not be used
 * again before that.
 *
 * False: too many wait, and nothing was asked. Does not block; makes a system call, as a login is
 * no request on the hot path. */
static inline bool login_ask(struct login_worker *worker, uint64_t ticket, struct slice name,
                             struct slice password)
{
	return worker->ask(worker->context, ticket, name, password);
}

/* The next answer; they come in the order asked. False: there is none yet, and nothing was
 * written. Neither blocks nor makes a system call. */
static inline bool login_answer(struct login_worker *worker, uint64_t *ret_ticket, bool *ret_ok)
{
	return worker->answer(worker->context, ret_ticket, ret_ok);
}
