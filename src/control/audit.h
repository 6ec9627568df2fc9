/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log: what was done to this node, by whom and from where, one JSON object a line, each
 * with the hash of the one before it: who changes, takes out or moves a line breaks the chain.
 *
 * A line has, in this order: seq (from 1, goes on over files and restarts), time (UTC, RFC 3339,
 * microseconds), kind, action, result, who, role, credential, credential_id, from, target, before,
 * after, reason, count, prev and hash. What does not apply is left out; seq, time, kind, action,
 * result, prev and hash are always there. hash is SHA-256 in hex over the line's bytes up to
 * `,"hash"`, closed with `}`; prev is the hash of the line before, 64 zeros for the first.
 *
 * The directory has audit.log, which is written, audit-<first seq, 12 digits>.log, which are full,
 * and audit.head: seq and hash of the newest line that was brought to the disk, so that lines taken
 * off the end are missed, too. Writing there is for one process at a time (flock of the directory).
 *
 * Actions that begin with "audit." are about the log itself. Those of kind system are its own:
 * audit.started and audit.stopped, audit.recovered (a cut line was taken off), audit.rotated (the
 * first line of a new file), audit.deleted (an old file; before: first_seq and last_seq of it) and
 * audit.lost. Owner: the control process's loop. */
#pragma once

#include "control/identity.h"

#include <jansson.h>
#include <stdint.h>

/* name, help: what a report counts it as */
#define AUDIT_KINDS(X)                                                                             \
	X(login, "Somebody was let in, or was not")                                                \
	X(refusal, "Somebody who is known wanted what he may not")                                 \
	X(read, "Somebody has seen keys or values of clients: watch, big, hot, capture")           \
	X(change, "What runs was changed: config, classes, blocks")                                \
	X(erasure, "Clients' data was erased: purges")                                             \
	X(access, "Who may what was changed: users, roles")                                        \
	X(credential, "Life of a key, token or certificate: made, rotated, revoked, expired")      \
	X(system, "The node itself: started, stopped, crashed, an alarm, the log's own rotation")

#define AUDIT_KIND_ENUM(name, help) AUDIT_##name,

enum audit_kind {
	AUDIT_KINDS(AUDIT_KIND_ENUM) AUDIT_KIND_COUNT
};

enum audit_result {
	AUDIT_OK,
	AUDIT_REFUSED, /* it was not allowed */
	AUDIT_FAILED,  /* it was allowed and could not be done */
};

struct audit_event {
	enum audit_kind kind;
	enum audit_result result;
	const char *action;         /* "config.set", "login", "purge"; never NULL */
	const struct identity *who; /* NULL: the node itself */
	const char *target;         /* what was changed: "eviction"; NULL: nothing to name */
	const json_t *before;       /* NULL: there was none; of what is over 16 KiB */
	const json_t *after;        /* or 32 levels, size and hash are written instead */
	const char *reason; /* of what was refused or has failed, or why; NULL. As the target, it
	                     * is cut at 1024 bytes */
	uint64_t count;     /* that one line stands for; 0: 1 */
};

struct audit_options {
	const char *directory;   /* exists; outlives it */
	uint64_t file_bytes_max; /* a file that is longer is full */
	uint64_t
	    kept_count_max; /* full files; older ones are deleted, and that is a line; 0: all */
};

struct audit;

/* Takes up the chain that is there, or begins one; a line says so. A last line that a crash has cut
 * is taken off, and that is a line, too. When these lines cannot be written (the disk is full), it
 * is open nevertheless and audit_failure() says why. 0; a negative errno with `error` filled in:
 * what is wrong, and what to do. -EBADMSG: the chain that is there is broken (where, is in
 * `error`): it is not gone on with; the files are left alone. Of the full files only the newest is
 * looked at, so that a start takes no longer the more is kept; audit_verify() looks at all. */
int audit_open(struct audit **ret_audit, const struct audit_options *options, uint64_t now_us,
               char *error, size_t error_bytes);
void audit_close(struct audit *audit); /* writes a last line; takes NULL */

/* Adds a line; now_us: Unix time. What can be flooded by strangers (refused logins) is summed up:
 * from the tenth within a second on, same action, reason and source without its port, one line with
 * `count` stands for them, at the latest after a second (audit_tick()).
 *
 * 0: it is written and on the disk (fdatasync), save logins and reads, which audit_tick() brings
 * there. A negative errno: it is not in the log, which is as it was before: what could be written
 * of it was taken off. The failure is kept (audit_failure()) until a line can be written again,
 * which then comes after one that says how many were lost, from when to when. */
int audit_append(struct audit *audit, const struct audit_event *event, uint64_t now_us);

/* Once a second. */
void audit_tick(struct audit *audit, uint64_t now_us);

/* Other limits from now on, as in the options: what is too much for them goes at once. */
void audit_limit(struct audit *audit, uint64_t file_bytes_max, uint64_t kept_count_max,
                 uint64_t now_us);

/* Why nothing can be written at the moment: what is wrong, and what to do; NULL: it can. */
const char *audit_failure(const struct audit *audit);

struct audit_state {
	uint64_t seq; /* of the newest line */
	char hash[65];
	uint64_t lost_count; /* lines, since audit_open() */
	uint64_t bytes;      /* of all files */
};

void audit_state(const struct audit *audit, struct audit_state *ret_state);
