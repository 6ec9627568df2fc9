/* SPDX-License-Identifier: Apache-2.0 */
/* What the load generator stores: bytes that follow from (key number, version, length) alone, so
 * that nothing need be remembered to check a value byte for byte, wherever a read is split.
 *
 *     0         8           12          16
 *     +---------+-----------+-----------+------------------------------
 *     | key     | length    | version   | stream of (key, version, length)
 *     +---------+-----------+-----------+------------------------------
 *
 * A value shorter than VALUE_HEAD_BYTES is all stream, of (key, 0, length): a head that is cut off
 * would let a value of another length, or a flipped bit in the version, pass. The first 8 stream
 * bytes vouch for the head. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define VALUE_HEAD_BYTES 24
#define VALUE_BYTES_MAX  (1u << 20)

struct value {
	uint64_t key;
	uint64_t seed; /* of the stream */
	uint32_t length;
	uint32_t version; /* 0 when the value is shorter than its head */
};

struct value value_of(uint64_t key, uint32_t version, uint32_t length);

/* The client flags stored with the value: they guard key and length too. */
uint32_t value_flags(uint64_t key, uint32_t length);

/* The version that the first VALUE_HEAD_BYTES of a value claim. */
uint32_t value_head_version(const uint8_t head[VALUE_HEAD_BYTES]);

/* Writes bytes offset … offset + count - 1 of the value. */
void value_fill(const struct value *value, uint32_t offset, uint8_t *to, uint32_t count);

/* How many of these bytes are not the value's. */
uint32_t value_wrong_bytes(const struct value *value, uint32_t offset, const uint8_t *bytes,
                           uint32_t count);
