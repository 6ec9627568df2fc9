/* SPDX-License-Identifier: Apache-2.0 */
/* memcached's binary protocol: heads → requests, replies → bytes. All numbers are big-endian.
 *
 *      0       1       2       4       5       6           8        12        16       24
 *     +-------+-------+-------+-------+-------+-----------+--------+---------+--------+
 *     | magic | opcode| key   | extras| data  | reserved, | body   | opaque  | cas    |
 *     |       |       | bytes | bytes | type  | or status | bytes  |         | unique |
 *     +-------+-------+-------+-------+-------+-----------+--------+---------+--------+
 *
 * then the body: extras, key, value. A head is the header with its extras and key: what comes
 * before a value. Finding its end and reading it are apart, as with text. Nothing is copied: a
 * request's slices point into the head. */
#pragma once

#include "proto/parse.h"
#include "proto/request.h"

#define BINARY_MAGIC_REQUEST  0x80
#define BINARY_MAGIC_RESPONSE 0x81
#define BINARY_HEADER_BYTES   24
#define BINARY_EXTRAS_MAX     20 /* bytes: of increment and decrement */
#define BINARY_HEAD_BYTES_MAX (BINARY_HEADER_BYTES + BINARY_EXTRAS_MAX + KEY_BYTES_MAX)
#define BINARY_BODY_BYTES_MAX                                                                      \
	(1u << 31) /* that are said to come; beyond it the client is closed                        \
	            */

/* What a reply needs of its request. */
struct binary_echo {
	uint32_t opaque; /* as it came: in network byte order */
	uint8_t opcode;  /* as it came: a quiet one too */
};

/* All that a head says. */
struct binary_request {
	struct request request;
	struct binary_echo echo;
};

/* What the opcode does. False: it is none. */
bool binary_find_op(uint8_t opcode, enum request_op *ret_op);

/* Looks for the end of the head that is `held` (bytes seen before, not a whole head) followed by
 * `fresh`. PARSE_DONE: *ret_fresh_bytes is how many of `fresh` belong to it. PARSE_MORE: all of
 * `fresh` does. Of a header that is wrong in itself, the header alone is the head. */
enum parse_verdict binary_find_head(struct slice held, struct slice fresh,
                                    uint32_t *ret_fresh_bytes);

/* Reads a head that binary_find_head() has found. PARSE_DONE: all is filled, `value_bytes` too.
 * PARSE_BAD: refusal is filled, and echo. PARSE_CLOSE: the same, and the client is to be told, if
 * binary_write_refusal() has something to tell, and then closed. */
enum parse_verdict binary_parse_head(struct slice head, struct binary_request *request,
                                     struct refusal *refusal);

#define BINARY_REPLY_BYTES_MAX (BINARY_HEADER_BYTES + 8 + KEY_BYTES_MAX)

/* Writes the reply (at most BINARY_REPLY_BYTES_MAX bytes), all of it but the value of a HIT, which
 * follows. Returns where it ends: at `to` when this client wants no word of it. `key`: the
 * request's. */
uint8_t *binary_write_reply(uint8_t *to, const struct binary_echo *echo, struct slice key,
                            const struct reply *reply);

/* The echo of a head, or of its header alone. */
struct binary_echo binary_echo_of(const uint8_t header[BINARY_HEADER_BYTES]);

/* Writes what the client is told of a refusal (at most BINARY_REPLY_BYTES_MAX bytes). */
uint8_t *binary_write_refusal(uint8_t *to, const struct binary_echo *echo,
                              enum refusal_reason reason);

/* Writes that SASL wants a step more. Returns where it ends. */
uint8_t *binary_write_continue(uint8_t *to, const struct binary_echo *echo);

/* Writes a reply of status 0 with key and value bytes to follow: of version, noop, quit, SASL, and
 * of each statistic. Returns where the header ends. */
uint8_t *binary_write_header(uint8_t *to, const struct binary_echo *echo, uint16_t key_bytes,
                             uint32_t value_bytes);
