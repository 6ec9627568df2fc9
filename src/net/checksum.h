/* SPDX-License-Identifier: Apache-2.0 */
/* The Internet checksum (RFC 1071): ones' complement sums of 16-bit words. */
#pragma once

#include "net/address.h"

/* Adds bytes to a running sum. Every part but the last must have an even length. The sum is of
 * words in memory order, so that it is the same on any machine (RFC 1071 2.B). */
static inline uint64_t checksum_add(uint64_t sum, const uint8_t *data, size_t length)
{
	uint32_t word;

	for (; length >= 4; length -= 4, data += 4) {
		memcpy(&word, data, 4);
		sum += word;
	}
	if (length > 0) {
		word = 0;
		memcpy(&word, data, length);
		sum += word;
	}
	return sum;
}

/* To 16 bits, not complemented. */
static inline uint16_t checksum_fold(uint64_t sum)
{
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)((sum >> 16) + (sum & 0xffff));
}

/* The pseudo-header of TCP, UDP and ICMPv6 (RFC 9293 3.1, RFC 8200 8.1). For IPv4 the mapped
 * prefix must not count, so only the last four bytes do. */
static inline uint64_t checksum_pseudo_header(const struct ip_address *source,
                                              const struct ip_address *destination,
                                              uint8_t protocol, uint32_t l4_length)
{
	uint64_t sum;

	if (ip_address_is_ip4(destination)) {
		sum = checksum_add(0, source->bytes + 12, 4);
		sum = checksum_add(sum, destination->bytes + 12, 4);
	} else {
		sum = checksum_add(0, source->bytes, 16);
		sum = checksum_add(sum, destination->bytes, 16);
	}
	return sum + __builtin_bswap32(l4_length) + __builtin_bswap32(protocol);
}

/* As it goes into a header field, in memory order. */
static inline void checksum_store(uint8_t *field, uint16_t value)
{
	memcpy(field, &value, 2);
}
