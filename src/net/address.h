/* SPDX-License-Identifier: Apache-2.0 */
/* IP addresses and prefixes. IPv4 is held as an IPv4-mapped IPv6 address (RFC 4291 2.5.5.2), so
 * that tables have one kind of key. */
#pragma once

#include "base/bytes.h"

struct ip_address {
	uint8_t bytes[16];
};

struct ip_prefix {
	struct ip_address address;
	uint8_t length; /* bits of the 128; an IPv4 /24 is 120 */
};

static const uint8_t ip4_mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static inline struct ip_address ip_address_from_ip4(const uint8_t *four_bytes)
{
	struct ip_address address;

	memcpy(address.bytes, ip4_mapped_prefix, 12);
	memcpy(address.bytes + 12, four_bytes, 4);
	return address;
}

static inline struct ip_address ip_address_from_ip6(const uint8_t *sixteen_bytes)
{
	struct ip_address address;

	memcpy(address.bytes, sixteen_bytes, 16);
	return address;
}

static inline bool ip_address_is_ip4(const struct ip_address *address)
{
	return memcmp(address->bytes, ip4_mapped_prefix, 12) == 0;
}

/* What is one source when sources are counted: an IPv4 address, or an IPv6 network of 64 bits, as
 * one host may have any number of addresses in its own. */
static inline struct ip_address ip_address_source(const struct ip_address *address)
{
	struct ip_address source = *address;

	if (!ip_address_is_ip4(address))
		memset(source.bytes + 8, 0, 8);
	return source;
}

static inline bool ip_address_equal(const struct ip_address *a, const struct ip_address *b)
{
	return memcmp(a->bytes, b->bytes, 16) == 0;
}

static inline bool ip_prefix_contains(const struct ip_prefix *prefix,
                                      const struct ip_address *address)
{
	unsigned whole = prefix->length / 8;
	unsigned rest = prefix->length % 8;

	if (memcmp(prefix->address.bytes, address->bytes, whole) != 0)
		return false;
	return rest == 0 ||
	       ((prefix->address.bytes[whole] ^ address->bytes[whole]) >> (8 - rest)) == 0;
}

/* "198.18.0.2", "fd00::1". 0, or -EINVAL. */
int ip_address_parse(struct ip_address *ret_address, const char *text);

/* "198.18.0.0/24", "fd00::/64", or an address alone (its whole length). The bits beyond the length
 * are kept: "198.18.0.2/24" is an address with its network. 0, or -EINVAL. */
int ip_prefix_parse(struct ip_prefix *ret_prefix, const char *text);

#define IP_ADDRESS_TEXT_MAX 46 /* bytes with the final NUL */

/* Writes the usual text form, IPv4 dotted. */
void ip_address_format(const struct ip_address *address, char text[IP_ADDRESS_TEXT_MAX]);

#define IP_PREFIX_TEXT_MAX (IP_ADDRESS_TEXT_MAX + 4)

/* As ip_prefix_parse() reads it; one address alone is written without its length. */
void ip_prefix_format(const struct ip_prefix *prefix, char text[IP_PREFIX_TEXT_MAX]);
