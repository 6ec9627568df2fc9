/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a source is on the block list. */
#pragma once

#include "xdp/frame.bpf.h"

static __always_inline bool is_blocked(const struct xdp_settings *settings,
                                       const struct frame *frame)
{
	const __be64 *source = (const __be64 *)frame->source;
	__u64 high = bpf_be64_to_cpu(source[0]), low = bpf_be64_to_cpu(source[1]);
	__u32 number = settings->blocked,
	      bit = xdp_blocked_bit(high, low) & (XDP_BLOCKED_FILTER - 1);
	const struct xdp_blocked_range *range;
	const struct xdp_blocked *blocked;
	__u32 at = 0, left;

	if (number >= XDP_BLOCKED_COUNT)
		return false;
	blocked = bpf_map_lookup_elem(&kante_blocked, &number);
	if (!blocked || !(blocked->filter[bit / 8] & 1 << bit % 8))
		return false;
	left = blocked->count;
	/* as blocked_search() */
	for (__u32 i = 0; i < 15 && left > 1; i++) {
		__u32 half = left / 2;
		__u32 middle = (at + half) & (XDP_BLOCKED_RANGES - 1);

		range = &blocked->ranges[middle];
		if (range->first[0] < high || (range->first[0] == high && range->first[1] <= low))
			at = middle;
		left -= half;
	}
	range = &blocked->ranges[at & (XDP_BLOCKED_RANGES - 1)];
	return blocked->count > 0 &&
	       (range->first[0] < high || (range->first[0] == high && range->first[1] <= low)) &&
	       (high < range->last[0] || (high == range->last[0] && low <= range->last[1]));
}
