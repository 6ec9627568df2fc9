/* SPDX-License-Identifier: Apache-2.0 */
/* SipHash (Aumasson, Bernstein 2012): keyed hashes that a peer cannot predict. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
	uint64_t k0, k1;
};

/* SipHash-2-4. */
uint64_t siphash(const struct siphash_key *key, const void *data, size_t length);

/* SipHash-1-3 of twelve bytes, which are given in the machine's order: five rounds instead of
 * eight, for tables, where all that a peer sees of a hash is time. */
uint64_t siphash13_of_12(const struct siphash_key *key, uint64_t first_8, uint32_t last_4);
