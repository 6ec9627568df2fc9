/* SPDX-License-Identifier: Apache-2.0 */
/* What the Internet checksum (base/checksum.h) counts of addresses. */
#pragma once

#include "base/checksum.h"
#include "net/address.h"

/* Of both, which may be in any order. For IPv4 the mapped prefix must not count, so only the last
 * four bytes do. */
static inline uint64_t checksum_addresses(const struct ip_address *one,
                                          const struct ip_address *other)
{
	if (ip_address_is_ip4(one))
		return checksum_word(one->bytes + 12, 4) + checksum_word(other->bytes + 12, 4);
	return checksum_add(checksum_add(0, one->bytes, 16), other->bytes, 16);
}
