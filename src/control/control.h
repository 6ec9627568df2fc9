/* SPDX-License-Identifier: Apache-2.0 */
/* All that the control process owns. Owner: its one thread. */
#pragma once

#include "base/counter.h"
#include "config/config.h"
#include "control/audit.h"
#include "control/guard.h"
#include "control/keys.h"
#include "control/tls.h"
#include "control/tokens.h"

#include <event2/event.h>

/* name, unit, kind, help */
#define CONTROL_COUNTERS(X)                                                                        \
	X(connections, "connections", COUNTER_LEVEL, "To the admin server, open")                  \
	X(connections_total, "connections", COUNTER_TOTAL, "To the admin server, taken")           \
	X(connections_refused, "connections", COUNTER_TOTAL, "Closed: too many of one source")     \
	X(connections_expired, "connections", COUNTER_TOTAL,                                       \
	  "Closed: no whole request within request_timeout")                                       \
	X(requests, "requests", COUNTER_TOTAL, "Of the admin API")                                 \
	X(refused_credential, "requests", COUNTER_TOTAL,                                           \
	  "Refused: no credential, or one that is not good")                                       \
	X(refused_role, "requests", COUNTER_TOTAL, "Refused: the role may not")                    \
	X(refused_handshake, "connections", COUNTER_TOTAL,                                         \
	  "Refused: the TLS handshake has failed, for the certificate shown or what is spoken")    \
	X(refused_locked, "requests", COUNTER_TOTAL,                                               \
	  "Refused: the source has failed too often, and is locked out")                           \
	X(refused_request, "requests", COUNTER_TOTAL, "Refused: malformed, too large, or unknown") \
	X(refused_audit, "requests", COUNTER_TOTAL,                                                \
	  "Refused: a change, while the audit log cannot be written")                              \
	X(capture_behind, "packets", COUNTER_TOTAL,                                                \
	  "Left out of a capture: its client did not read")                                        \
	X(certificates_read, "times", COUNTER_TOTAL, "Certificates were read anew")                \
	X(certificates_refused, "times", COUNTER_TOTAL,                                            \
	  "Certificates had changed and were wrong: those before went on")                         \
	X(audit_seq, "lines", COUNTER_TOTAL, "In the audit log")                                   \
	X(audit_lost, "lines", COUNTER_TOTAL, "That could not be written to the audit log")        \
	X(audit_fails, "times", COUNTER_LEVEL, "1: the audit log cannot be written")               \
	X(blocks, "prefixes", COUNTER_LEVEL, "On the block list")                                  \
	X(blocks_expired, "prefixes", COUNTER_TOTAL, "Left the block list as their time was over") \
	X(blocks_behind, "times", COUNTER_LEVEL, "1: kanted does not go by the newest block list")

struct control_counters {
	CONTROL_COUNTERS(COUNTER_FIELD)
};

struct ask;
struct blocking;
struct blocks;
struct config_change;
struct exchange;
struct server;

struct control {
	struct event_base *base;
	int link_fd;
	const char *config_path;
	struct config *config;        /* what runs: running.h */
	struct ask *config_ask;       /* kanted is asked for it; NULL: it is not */
	bool config_is_old;           /* kanted may go by another */
	uint32_t chore_count;         /* under way: chore.h */
	uint32_t watch_count;         /* under way: api_watch.c */
	struct config_change *change; /* under way: api_config_change.c; NULL: none */
	struct audit *audit;
	struct keys *keys;
	struct blocks *blocks;
	struct blocking *blocking; /* has kanted go by them: blocking.h */
	struct tokens *tokens;     /* NULL: the config has no `tokens` */
	struct guard *guard;
	struct tls *tls; /* NULL: no HTTPS */
	struct server *server;
	const struct exchange *capture; /* that is under way; NULL: none is */
	struct control_counters counters;
};

/* Unix time. */
uint64_t control_now_us(void);
uint64_t control_now_s(void);

/* Monotonic: for what lasts, whatever is done to the clock. */
uint64_t control_monotonic_s(void);
