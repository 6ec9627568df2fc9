/* SPDX-License-Identifier: Apache-2.0 */
/* memcached's classic text protocol: lines → requests, replies → bytes.
 *
 * Finding the end of a line and reading the line are apart, so that a line which comes in pieces
 * is scanned once. Nothing is copied: a request's slices point into the line. */
#pragma once

#include "base/chain.h"
#include "proto/parse.h"
#include "proto/request.h"

/* Bytes that may come without a line feed. Over the cap the client is closed. */
#define TEXT_LINE_BYTES_MAX     2048
#define TEXT_GET_LINE_BYTES_MAX 65536 /* lines that begin with "get " or "gets " */

#define TEXT_VALUE_BYTES_MAX (INT32_MAX - 2) /* the longest value that can be announced */

_Static_assert(TEXT_LINE_BYTES_MAX == BLOCK_CAPACITY, "a line fits a block");

/* Looks for the end of the line that is `held` (bytes seen before, known to hold no line feed)
 * followed by `fresh`. PARSE_DONE: *ret_fresh_bytes is how many of `fresh` belong to the line, with
 * its line feed. PARSE_MORE: all of `fresh` belongs to it. PARSE_CLOSE: it is over its cap. */
enum parse_verdict text_find_line(struct slice held, struct slice fresh, uint32_t *ret_fresh_bytes);

/* Reads one line, given without its line feed (a CR before that is ignored). PARSE_DONE: `request`
 * is filled. PARSE_BAD, PARSE_CLOSE: `refusal` is filled; of `request` nothing is but, when the
 * command is known, `op`.
 * A get with many keys is done only when all of them are good. */
enum parse_verdict text_parse_line(struct slice line, struct request *request,
                                   struct refusal *refusal);

/* Takes the next word off the front of `rest`, words being set apart by spaces. Empty: there is
 * none. Walks request->more_keys and request->argument. */
struct slice text_next_word(struct slice *rest);

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
