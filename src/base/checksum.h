/* SPDX-License-Identifier: Apache-2.0 */
/* The Internet checksum (RFC 1071): ones' complement sums of 16-bit words. */
#pragma once

#include "base/bytes.h"

/* A carry out of the top comes in again at the bottom: all of RFC 1071 holds for words of any even
 * length. */
static inline uint64_t checksum_add_word(uint64_t sum, uint64_t word)
{
	sum += word;
	return sum + (sum < word);
}

/* `length` bytes, at most eight, the rest zeros. */
static inline uint64_t checksum_word(const uint8_t *data, size_t length)
{
	uint64_t word = 0;

	memcpy(&word, data, length);
	return word;
}

/* Adds bytes to a running sum. Every part but the last must have an even length. The sum is of
 * words in memory order, so that it is the same on any machine (RFC 1071 2.B). */
static inline uint64_t checksum_add(uint64_t sum, const uint8_t *data, size_t length)
{
	uint64_t other = 0;

	/* two sums, as each addition has to wait for the one before */
	for (; length >= 32; length -= 32, data += 32) {
		sum = checksum_add_word(sum, checksum_word(data, 8));
		other = checksum_add_word(other, checksum_word(data + 8, 8));
		sum = checksum_add_word(sum, checksum_word(data + 16, 8));
		other = checksum_add_word(other, checksum_word(data + 24, 8));
	}
	for (; length >= 8; length -= 8, data += 8)
		sum = checksum_add_word(sum, checksum_word(data, 8));
	if (length >= 4) {
		sum = checksum_add_word(sum, checksum_word(data, 4));
		length -= 4;
		data += 4;
	}
	if (length >= 2) {
		sum = checksum_add_word(sum, checksum_word(data, 2));
		length -= 2;
		data += 2;
	}
	if (length > 0)
		sum = checksum_add_word(sum, checksum_word(data, 1));
	return checksum_add_word(sum, other);
}

#define FRESH_BYTES 32

/* Likewise, of a packet whose first bytes, the headers, have just been stored in words of four
 * bytes: a load of more than one such store has to wait until they have reached the cache. */
static inline uint64_t checksum_add_fresh(uint64_t sum, const uint8_t *data, size_t length)
{
	uint64_t fresh = 0;

	if (length < FRESH_BYTES) {
		for (; length >= 4; length -= 4, data += 4)
			fresh += checksum_word(data, 4);
		return checksum_add(checksum_add_word(sum, fresh), data, length);
	}
	for (size_t i = 0; i < FRESH_BYTES; i += 4)
		fresh += checksum_word(data + i, 4);
	return checksum_add(checksum_add_word(sum, fresh), data + FRESH_BYTES,
	                    length - FRESH_BYTES);
}

/* To 16 bits, not complemented. */
static inline uint16_t checksum_fold(uint64_t sum)
{
	uint32_t half = (uint32_t)sum;
	uint32_t folded = (uint32_t)(sum >> 32) + half;

	folded += folded < half;
	folded = (folded >> 16) + (folded & 0xffff);
	return (uint16_t)(folded + (folded >> 16));
}

/* What the pseudo-header of TCP, UDP and ICMPv6 (RFC 9293 3.1, RFC 8200 8.1) has beside the
 * addresses. */
static inline uint64_t checksum_add_pseudo(uint64_t sum, uint8_t protocol, uint32_t l4_length)
{
	return checksum_add_word(sum, (uint64_t)__builtin_bswap32(l4_length) +
	                                  __builtin_bswap32(protocol));
}

/* As it goes into a header field, in memory order. */
static inline void checksum_store(uint8_t *field, uint16_t value)
{
	memcpy(field, &value, 2);
}
