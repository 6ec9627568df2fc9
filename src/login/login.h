/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that checks the passwords of clients, as that takes milliseconds to a second each.
 *
 * Each worker has a ring to it and one back (base/login.h). The thread serves the workers in turn,
 * one password at a time, so guessing goes no faster than it checks, however many clients guess;
 * what does not fit in a worker's ring is refused and counted.
 *
 * It looks at the file of users once a second. One that has changed and then stayed as it is from
 * one look to the next is read, also when it was replaced by renaming or by turning a symbolic
 * link. If it is wrong in any line, or gone, that is logged and the users read before go on.
 * Whoever is logged in stays so when his line goes or changes (as with memcached): to be rid of
 * him, close his connection, too. Owner: the keeper. */
#pragma once

#include "base/counter.h"
#include "base/login.h"

#define LOGIN_LOOK_MS 1000

/* Written by the thread. name, unit, kind, help */
#define LOGIN_COUNTERS(X)                                                                          \
	X(logins_ok, "logins", COUNTER_TOTAL, "Passwords that were right")                         \
	X(logins_failed, "logins", COUNTER_TOTAL, "Passwords that were wrong, or unknown users")   \
	X(logins_unchecked, "logins", COUNTER_TOTAL,                                               \
	  "Refused: the password could not be checked, for want of memory or for a bad salt")      \
	X(users, "users", COUNTER_LEVEL, "Who may log in")                                         \
	X(reloads, "reloads", COUNTER_TOTAL, "Times that the users were read anew")                \
	X(reloads_failed, "reloads", COUNTER_TOTAL,                                                \
	  "Times that the file of users was wrong or gone, and those read before went on")

/* Written by each worker. */
#define LOGIN_WORKER_COUNTERS(X)                                                                   \
	X(logins_asked, "logins", COUNTER_TOTAL, "Passwords to be checked")                        \
	X(logins_queue_full, "logins", COUNTER_TOTAL, "Refused: too many logins wait already")

struct login_counters {
	LOGIN_COUNTERS(COUNTER_FIELD)
};

struct login_worker_counters {
	LOGIN_WORKER_COUNTERS(COUNTER_FIELD)
};

struct login_options {
	const char *path; /* of the users (login/users.h); outlives the thread */
	uint32_t worker_count;
	uint32_t look_ms; /* LOGIN_LOOK_MS, or less in a test */
};

struct login;

/* Reads the users and starts the thread. 0; a negative errno with `error` filled in (of
 * USERS_ERROR_BYTES at best): one line a fault. */
int login_create(struct login **ret_login, const struct login_options *options, char *error,
                 size_t error_bytes);

/* Ends the thread after the password at hand; what waits is not answered. No worker may call any
 * more. Takes NULL. */
void login_destroy(struct login *login);

/* A worker's side; worker: below worker_count. Valid until login_destroy(). */
struct login_worker login_worker(struct login *login, uint32_t worker);

const struct login_counters *login_counters(const struct login *login);
const struct login_worker_counters *login_worker_counters(const struct login *login,
                                                          uint32_t worker);
