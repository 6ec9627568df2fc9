/* SPDX-License-Identifier: Apache-2.0 */
/* Slices of bytes, and numbers in network byte order at any alignment. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes that somebody else owns. */
struct slice {
	const uint8_t *data;
	size_t length;
};

#define SLICE_LITERAL(text) ((struct slice){(const uint8_t *)(text), sizeof(text) - 1})

static inline bool slice_equal(struct slice a, struct slice b)
{
	return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

static inline uint16_t load_be16(const uint8_t *from)
{
	return (uint16_t)((from[0] << 8) | from[1]);
}

static inline uint32_t load_be32(const uint8_t *from)
{
	uint32_t v;

	memcpy(&v, from, sizeof(v));
	return __builtin_bswap32(v);
}

static inline uint64_t load_be64(const uint8_t *from)
{
	uint64_t v;

	memcpy(&v, from, sizeof(v));
	return __builtin_bswap64(v);
}

static inline void store_be16(uint8_t *to, uint16_t v)
{
	to[0] = (uint8_t)(v >> 8);
	to[1] = (uint8_t)v;
}

static inline void store_be32(uint8_t *to, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(to, &v, sizeof(v));
}

static inline void store_be64(uint8_t *to, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(to, &v, sizeof(v));
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static inline uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* A high bit for the lowest byte up to 0x20, or 0x7f, if there is one; those above it tell nothing.
 */
static inline uint64_t bytes_blank_mask(const uint8_t from[8])
{
	const uint64_t ones = 0x0101010101010101u;
	uint64_t v, deletes;

	memcpy(&v, from, sizeof(v));
	deletes = v ^ (ones * 0x7f);
	return (((v - ones * 0x21) & ~v) | ((deletes - ones) & ~deletes)) & (ones * 0x80);
}

/* Bytes before the first space or control character (0x00 … 0x20, 0x7f); `length` if there is
 * none. */
static inline size_t bytes_before_blank(const uint8_t *bytes, size_t length)
{
	uint64_t mask;
	size_t i = 0;

	for (; i + 8 <= length; i += 8) {
		mask = bytes_blank_mask(bytes + i);
		if (mask != 0)
			return i + (size_t)__builtin_ctzll(mask) / 8;
	}
	if (length < 8) {
		while (i < length && bytes[i] > ' ' && bytes[i] != 0x7f)
			i++;
		return i;
	}
	/* the rest, with some of those before it, which are known */
	mask = bytes_blank_mask(bytes + length - 8);
	return mask == 0 ? length : length - 8 + (size_t)__builtin_ctzll(mask) / 8;
}
