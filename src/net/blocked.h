/* SPDX-License-Identifier: Apache-2.0 */
/* Sources that nobody answers: the block list, as the datapath looks at it. Made once and not
 * changed any more: a change is another one. Owner: whoever gave its memory; any thread reads. */
#pragma once

#include "net/address.h"

#include <stddef.h>

#define BLOCKED_COUNT_MAX 16384 /* prefixes */

/* An address as a number. */
__extension__ typedef unsigned __int128 blocked_address;

struct blocked_range {
	blocked_address first;
	blocked_address last;
};

struct blocked {
	uint32_t count;
	struct blocked_range ranges[]; /* sorted, apart from each other */
};

/* Bytes that blocked_create() takes, for so many prefixes. */
static inline size_t blocked_bytes(uint32_t count)
{
	return sizeof(struct blocked) + count * sizeof(struct blocked_range);
}

/* In any order, and over each other as they may be; their bits beyond the length do not matter. */
void blocked_create(struct blocked *blocked, const struct ip_prefix *prefixes, uint32_t count);

/* For blocked_contain(). */
bool blocked_search(const struct blocked *blocked, const struct ip_address *source);

/* NULL: nobody is blocked. */
static inline bool blocked_contain(const struct blocked *blocked, const struct ip_address *source)
{
	return __builtin_expect(blocked != NULL, 0) && blocked_search(blocked, source);
}
