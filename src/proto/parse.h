/* SPDX-License-Identifier: Apache-2.0 */
/* What every parser (text, and later meta and binary) says about the bytes it was given, and why a
 * request is refused. Texts and counters of refusals both come from the table here. */
#pragma once

#include "base/bytes.h"

enum parse_verdict {
	PARSE_DONE,  /* a whole request */
	PARSE_MORE,  /* not whole yet: nothing was consumed */
	PARSE_BAD,   /* refused, and the client goes on: see struct refusal */
	PARSE_CLOSE, /* refused without a word: the client is to be closed */
};

/* reason, counter, what a text client is told, help */
#define REFUSALS(X)                                                                                \
	X(REFUSAL_UNKNOWN_COMMAND, refused_unknown_command, "ERROR\r\n",                           \
	  "Refused: no such command, or a wrong number of arguments")                              \
	X(REFUSAL_BAD_FORMAT, refused_bad_format, "CLIENT_ERROR bad command line format\r\n",      \
	  "Refused: bad key, or a number malformed or out of range")                               \
	X(REFUSAL_BAD_DELETE, refused_bad_delete,                                                  \
	  "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n",              \
	  "Refused: delete with arguments that it does not take")                                  \
	X(REFUSAL_BAD_EXPTIME, refused_bad_exptime, "CLIENT_ERROR invalid exptime argument\r\n",   \
	  "Refused: exptime is no number")                                                         \
	X(REFUSAL_BAD_DELTA, refused_bad_delta, "CLIENT_ERROR invalid numeric delta argument\r\n", \
	  "Refused: delta of incr or decr is no number")                                           \
	X(REFUSAL_BAD_CHUNK, refused_bad_chunk, "CLIENT_ERROR bad data chunk\r\n",                 \
	  "Refused: a value longer or shorter than announced")                                     \
	X(REFUSAL_LINE_TOO_LONG, closed_line_too_long, "", "Closed: a line over its cap")          \
	X(REFUSAL_HTTP, closed_http, "", "Closed: the client speaks HTTP")

#define REFUSAL_REASON(reason, counter, text, help) reason,

enum refusal_reason {
	REFUSALS(REFUSAL_REASON)
};

struct refusal {
	enum refusal_reason reason;
	bool noreply; /* the client asked not to be told */
	/* The bytes that follow are the refused request's value: they are dropped, never run. */
	uint64_t swallow_bytes;
};
