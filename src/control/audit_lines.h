/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log's lines as bytes: how they are made and how they are read. What the writer, the
 * verifier and the reports share; plain data, nobody's. */
#pragma once

#include "control/audit.h"

#define AUDIT_LINE_BYTES_MAX 65536 /* with its newline */
#define AUDIT_TEXT_BYTES_MAX 1024  /* of a target or a reason; what is longer is cut */
#define AUDIT_JSON_BYTES_MAX                                                                       \
	16384               /* of before or after; of what is longer, size and hash are kept */
#define AUDIT_HASH_BYTES 65 /* in hex, with NUL */
#define AUDIT_TIME_BYTES 28 /* "2026-11-27T21:08:23.000123Z", with NUL */

/* Stands for the hash of the line before the first. */
#define AUDIT_HASH_NONE "0000000000000000000000000000000000000000000000000000000000000000"

#define AUDIT_SEQ_MAX 1000000000000000000u

const char *audit_kind_name(enum audit_kind kind);
const char *audit_result_name(enum audit_result result);

/* Unix time in microseconds; what lies behind the year 9999 becomes its end. */
void audit_time_format(char ret_text[AUDIT_TIME_BYTES], uint64_t time_us);

/* `text` has AUDIT_TIME_BYTES - 1 bytes at least. False: no time as it is written above. */
bool audit_time_parse(uint64_t *ret_time_us, const char *text);

/* Where somebody came from, without the port. */
void audit_source(char ret_source[IDENTITY_FROM_BYTES], const char *from);

/* Lines of these kinds come in numbers and are brought to the disk once a second; all others at
 * once. */
static inline bool audit_kind_waits(enum audit_kind kind)
{
	return kind == AUDIT_login || kind == AUDIT_read;
}

/* Writes a line with its newline into `ret_line`, of AUDIT_LINE_BYTES_MAX. 0; -ENOMEM. */
int audit_line_make(char *ret_line, size_t *ret_length, char ret_hash[AUDIT_HASH_BYTES],
                    const struct audit_event *event, uint64_t seq, const char *prev,
                    uint64_t now_us);

/* What a line says of itself. */
struct audit_line {
	uint64_t seq;
	uint64_t time_us;
	enum audit_kind kind; /* AUDIT_KIND_COUNT: of a later version's kinds */
	bool hash_matches;    /* with the line's bytes */
	char prev[AUDIT_HASH_BYTES];
	char hash[AUDIT_HASH_BYTES];
};

/* Without the newline. 0; -EBADMSG: no line of an audit log; -ENOMEM. That what lies between time
 * and prev is JSON is not looked at: when the hash matches, it is what was written. */
int audit_line_scan(struct audit_line *ret_line, const char *text, size_t length);

/* What it says; "" when it is no string. */
const char *audit_string(const json_t *value);

/* Strings and numbers of an object that was read; "" and 0 when it has none of that name. */
const char *audit_line_text(const json_t *object, const char *name);
uint64_t audit_line_number(const json_t *object, const char *name);
