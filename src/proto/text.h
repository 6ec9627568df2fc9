/* SPDX-License-Identifier: Apache-2.0 */
/* memcached's text protocol: lines → requests, replies → bytes; the classic commands here, the meta
 * commands in meta.h. Nothing is copied: a request's slices point into the line. */
#pragma once

#include "base/chain.h"
#include "proto/line.h"
#include "proto/meta.h"

/* All that a line says. */
struct text_request {
	struct request request;
	bool is_meta;
	struct meta_echo echo;      /* of a meta command */
	uint8_t key[KEY_BYTES_MAX]; /* the request's, when it came in base64 */
};

/* What the command of this name does. False: there is none. */
bool text_find_op(struct slice name, enum request_op *ret_op);

/* Reads one line, given without its line feed (a CR before that is ignored). PARSE_DONE: `text` is
 * filled. PARSE_BAD, PARSE_CLOSE: `refusal` is filled; of `text` nothing is but, when the command
 * is known, `op`.
 * A get with many keys is done only when all of them are good. */
enum parse_verdict text_parse_line(struct slice line, struct text_request *text,
                                   struct refusal *refusal);

/* What a client is told about a refusal. */
struct slice text_refusal(enum refusal_reason reason);

/* The reply to a status that has a fixed text: all but HIT, MISS and NUMBER. */
struct slice text_status(enum reply_status status);

#define TEXT_VALUE_HEAD_BYTES_MAX (6 + KEY_BYTES_MAX + 1 + 10 + 1 + 20 + 1 + 20 + 2)

/* Writes "VALUE key flags bytes[ cas]\r\n" of a HIT, at most TEXT_VALUE_HEAD_BYTES_MAX bytes.
 * Returns where it ends. */
uint8_t *text_write_value_head(uint8_t *to, struct slice key, const struct reply *reply,
                               bool with_cas);

/* Appends the head of a HIT, or "number\r\n". False: the chain's pool is empty. */
bool text_append_value_head(struct chain *out, struct slice key, const struct reply *reply,
                            bool with_cas);
bool text_append_number(struct chain *out, uint64_t number);

static inline bool text_append(struct chain *out, struct slice text)
{
	return chain_append(out, text.data, text.length);
}
