/* SPDX-License-Identifier: Apache-2.0 */
/* What every parser (text, meta, binary) says about the bytes it was given, and why a
 * request is refused. Texts and counters of refusals both come from the table here. */
#pragma once

#include "base/bytes.h"

enum parse_verdict {
	PARSE_DONE,  /* a whole request */
	PARSE_MORE,  /* not whole yet: nothing was consumed */
	PARSE_BAD,   /* refused, and the client goes on: see struct refusal */
	PARSE_CLOSE, /* refused, and the client is to be closed */
};

/* reason, counter (session.h says what it counts), what a text client is told */
#define REFUSALS(X)                                                                                \
	X(REFUSAL_UNKNOWN_COMMAND, refused_unknown_command, "ERROR\r\n")                           \
	X(REFUSAL_BAD_FORMAT, refused_bad_format, "CLIENT_ERROR bad command line format\r\n")      \
	X(REFUSAL_BAD_DELETE, refused_bad_delete,                                                  \
	  "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n")              \
	X(REFUSAL_BAD_EXPTIME, refused_bad_exptime, "CLIENT_ERROR invalid exptime argument\r\n")   \
	X(REFUSAL_BAD_DELTA, refused_bad_delta, "CLIENT_ERROR invalid numeric delta argument\r\n") \
	X(REFUSAL_BAD_PURGE, refused_bad_format,                                                   \
	  "CLIENT_ERROR usage: purge prefix <prefix>, or purge class <name>\r\n")                  \
	X(REFUSAL_BAD_CHUNK, refused_bad_chunk, "CLIENT_ERROR bad data chunk\r\n")                 \
	X(REFUSAL_MANY_FLAGS, refused_bad_flag, "CLIENT_ERROR options flags are too long\r\n")     \
	X(REFUSAL_DUPLICATE_FLAG, refused_bad_flag, "CLIENT_ERROR duplicate flag\r\n")             \
	X(REFUSAL_UNKNOWN_FLAG, refused_bad_flag, "CLIENT_ERROR invalid flag\r\n")                 \
	X(REFUSAL_BAD_MA_FLAG, refused_bad_flag, "CLIENT_ERROR invalid or duplicate flag\r\n")     \
	X(REFUSAL_BAD_TOKEN, refused_bad_flag,                                                     \
	  "CLIENT_ERROR bad token in command line format\r\n")                                     \
	X(REFUSAL_BAD_MODE_LENGTH, refused_bad_flag,                                               \
	  "CLIENT_ERROR incorrect length for M token\r\n")                                         \
	X(REFUSAL_BAD_MS_MODE, refused_bad_flag, "CLIENT_ERROR invalid mode for ms M token\r\n")   \
	X(REFUSAL_BAD_MA_MODE, refused_bad_flag, "CLIENT_ERROR invalid mode for ma M token\r\n")   \
	X(REFUSAL_BAD_META_INITIAL, refused_bad_flag,                                              \
	  "CLIENT_ERROR invalid numeric initial value\r\n")                                        \
	X(REFUSAL_BAD_META_DELTA, refused_bad_flag,                                                \
	  "CLIENT_ERROR invalid numeric delta value\r\n")                                          \
	X(REFUSAL_LONG_OPAQUE, refused_bad_flag, "CLIENT_ERROR opaque token too long\r\n")         \
	X(REFUSAL_BAD_BASE64, refused_bad_flag, "CLIENT_ERROR error decoding key\r\n")             \
	X(REFUSAL_UNAUTHENTICATED, refused_unauthenticated, "CLIENT_ERROR unauthenticated\r\n")    \
	X(REFUSAL_LONG_LOGIN, refused_bad_login, "CLIENT_ERROR auth token too long\r\n")           \
	X(REFUSAL_BAD_LOGIN_END, refused_bad_login,                                                \
	  "CLIENT_ERROR bad command line termination\r\n")                                         \
	X(REFUSAL_BAD_LOGIN, refused_bad_login,                                                    \
	  "CLIENT_ERROR bad authentication token format\r\n")                                      \
	X(REFUSAL_LOGIN_FAILED, auth_errors, "CLIENT_ERROR authentication failure\r\n")            \
	X(REFUSAL_LINE_TOO_LONG, closed_line_too_long, "")                                         \
	X(REFUSAL_HTTP, closed_http, "")                                                           \
	X(REFUSAL_BAD_MAGIC, closed_bad_magic, "")

#define REFUSAL_REASON(reason, counter, text) reason,

enum refusal_reason {
	REFUSALS(REFUSAL_REASON)
};

struct refusal {
	enum refusal_reason reason;
	bool noreply; /* the client asked not to be told */
	/* The bytes that follow are the refused request's value: they are dropped, never run. */
	uint64_t swallow_bytes;
};

static inline enum parse_verdict refusal_of(struct refusal *refusal, enum refusal_reason reason,
                                            bool noreply)
{
	*refusal = (struct refusal){.reason = reason, .noreply = noreply};
	return PARSE_BAD;
}
