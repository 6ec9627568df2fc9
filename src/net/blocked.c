/* SPDX-License-Identifier: Apache-2.0 */
#include "net/blocked.h"

#include "base/assert.h"

#include <stdlib.h>

static blocked_address number_of(const struct ip_address *address)
{
	return (blocked_address)load_be64(address->bytes) << 64 | load_be64(address->bytes + 8);
}

static int compare(const void *a, const void *b)
{
	const struct blocked_range *left = a, *right = b;

	return (left->first > right->first) - (left->first < right->first);
}

void blocked_create(struct blocked *blocked, const struct ip_prefix *prefixes, uint32_t count)
{
	struct blocked_range *ranges = blocked->ranges;

	ASSERT(count <= BLOCKED_COUNT_MAX);
	for (uint32_t i = 0; i < count; i++) {
		/* the bits that tell its addresses apart */
		blocked_address hosts =
		    prefixes[i].length == 0
		        ? ~(blocked_address)0
		        : ((blocked_address)1 << (128 - prefixes[i].length)) - 1;
		blocked_address address = number_of(&prefixes[i].address);

		ranges[i] = (struct blocked_range){address & ~hosts, address | hosts};
	}
	qsort(ranges, count, sizeof(ranges[0]), compare);
	blocked->count = 0;
	for (uint32_t i = 0; i < count; i++) {
		/* prefixes lie in each other or apart; of those that begin together the widest
		 * may come last */
		if (blocked->count > 0 && ranges[i].first <= ranges[blocked->count - 1].last) {
			if (ranges[i].last > ranges[blocked->count - 1].last)
				ranges[blocked->count - 1].last = ranges[i].last;
		} else {
			ranges[blocked->count++] = ranges[i];
		}
	}
}

/* Without a branch that depends on the address: those would be foreseen half of the time. */
bool blocked_search(const struct blocked *blocked, const struct ip_address *source)
{
	blocked_address address = number_of(source);
	const struct blocked_range *range = blocked->ranges;

	for (uint32_t left = blocked->count; left > 1;) {
		uint32_t half = left / 2;

		range += range[half].first <= address ? half : 0;
		left -= half;
	}
	return blocked->count > 0 && range->first <= address && address <= range->last;
}
