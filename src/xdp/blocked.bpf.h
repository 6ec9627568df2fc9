/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a source is on the block list. */
#pragma once

#include "xdp/frame.bpf.h"

static __always_inline bool is_at_most(const __u64 left[2], __u64 high, __u64 low)
{
	return left[0] < high || (left[0] == high && left[1] <= low);
}

/* As blocked_search(). */
static __always_inline bool search(const struct xdp_blocked *blocked, __u64 high, __u64 low)
{
	const struct xdp_blocked_range *range;
	__u32 at = 0, left = blocked->count;

	for (__u32 i = 0; i < 15 && left > 1; i++) {
		__u32 half = left / 2;
		__u32 middle = (at + half) & (XDP_BLOCKED_RANGES - 1);

		if (is_at_most(blocked->ranges[middle].first, high, low))
			at = middle;
		left -= half;
	}
	range = &blocked->ranges[at & (XDP_BLOCKED_RANGES - 1)];
	return left > 0 && is_at_most(range->first, high, low) &&
	       !(range->last[0] < high || (range->last[0] == high && range->last[1] < low));
}

/* False, too, while the list is being written: then the worker looks at his. */
static __always_inline bool is_blocked(const struct frame *frame)
{
	const __be64 *source = (const __be64 *)frame->source;
	__u64 high = bpf_be64_to_cpu(source[0]), low = bpf_be64_to_cpu(source[1]);
	__u32 zero = 0, sequence, bit = xdp_blocked_bit(high, low) & (XDP_BLOCKED_FILTER - 1);
	const struct xdp_blocked *blocked = bpf_map_lookup_elem(&kante_blocked, &zero);

	if (!blocked || blocked->count == 0)
		return false;
	sequence = read_sequence(&blocked->sequence);
	return !(sequence & 1) && (blocked->filter[bit / 8] & 1 << bit % 8) &&
	       search(blocked, high, low) && read_sequence(&blocked->sequence) == sequence;
}
