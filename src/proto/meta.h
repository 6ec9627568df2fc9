/* SPDX-License-Identifier: Apache-2.0 */
/* memcached's meta commands (mg ms md ma me): lines → requests, replies → bytes.
 *
 *     mg key flag flag …      a flag is a letter, with a token right behind it or without
 *
 * A part of the text protocol: text_parse_line() calls meta_parse(). */
#pragma once

#include "proto/line.h"

#define META_OPAQUE_BYTES_MAX 32
#define META_FLAG_COUNT_MAX   16 /* that a reply may have to answer to */

/* What a reply needs of its request. Small: it is kept while a value comes in. */
struct meta_echo {
	uint8_t command; /* the second letter: g s d a e */
	bool quiet;
	bool with_value;    /* v */
	bool key_is_binary; /* b */
	uint8_t flag_count;
	uint8_t opaque_bytes;
	uint8_t flags[META_FLAG_COUNT_MAX]; /* those to be answered to, in their order */
	uint8_t opaque[META_OPAQUE_BYTES_MAX];
};

/* Reads what follows "mg", "ms", … (`command` is its second letter) into `request`, whose op is set
 * and whose other fields are zero. A key in base64 is decoded to `key`, which must live as long as
 * the request. PARSE_DONE: request and echo are filled. PARSE_BAD: refusal is. */
enum parse_verdict meta_parse(uint8_t command, const struct line *line, uint8_t key[KEY_BYTES_MAX],
                              struct request *request, struct meta_echo *echo,
                              struct refusal *refusal);

/* Command, value bytes, all flags with their numbers, opaque and key, in base64 if need be. */
#define META_REPLY_BYTES_MAX 640

/* True when the value of a HIT follows the reply. */
bool meta_sends_value(const struct meta_echo *echo, const struct request *request,
                      const struct reply *reply);

/* Writes the reply line, at most META_REPLY_BYTES_MAX bytes, and a number that was asked for, but
 * not the value of a HIT. Returns where it ends: at `to` when this client wants no word of it.
 * `key`: the request's. */
uint8_t *meta_write_reply(uint8_t *to, const struct meta_echo *echo, struct slice key,
                          bool sends_value, const struct reply *reply);
