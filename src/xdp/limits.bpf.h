/* SPDX-License-Identifier: Apache-2.0 */
/* Who is answered, and how much: as the worker does (worker/datagram.c). */
#pragma once

#include "xdp/request.bpf.h"

static __always_inline bool is_allowed(const struct frame *frame)
{
	_Alignas(4) struct xdp_prefix source = {.length = 128};

	__builtin_memcpy(source.address, frame->source, 16);
	return bpf_map_lookup_elem(&kante_allow, &source) != NULL;
}

/* Counts one request more of a source; its count in this second. The address may be forged, so
 * there is room for all sources together: two places each, and the lower count is the better one.
 */
static __always_inline __u32 count_request(const struct xdp_settings *settings,
                                           const struct frame *frame)
{
	const __u64 *source = (const __u64 *)frame->source;
	__u64 hash = settings->hash_seed ^ source[0] * 0x9e3779b97f4a7c15;
	__u32 now_s = bpf_ktime_get_ns() / 1000000000, least = ~0u;

	if (frame->is_ip4) /* of IPv6, a network of 64 bits is one source */
		hash += source[1];
	hash = (hash ^ hash >> 32) * 0xd6e8feb86659fd93;
	hash ^= hash >> 32;
	for (int i = 0; i < 2; i++, hash >>= 12) {
		__u32 number = hash & (RATES_COUNT - 1);
		struct rate *rate = bpf_map_lookup_elem(&kante_rates, &number);

		if (!rate)
			continue;
		/* other processors may do so too, and some requests be missed at a second's begin
		 */
		if (rate->second != now_s) {
			rate->second = now_s;
			rate->count = 0;
		}
		__sync_fetch_and_add(&rate->count, 1);
		if (rate->count < least)
			least = rate->count;
	}
	return least;
}

static __always_inline bool is_within_limits(const struct xdp_settings *settings,
                                             const struct frame *frame,
                                             const struct request *request, __u32 payload_bytes)
{
	__u32 request_bytes = request->udp_bytes - sizeof(struct udp);

	if (payload_bytes > settings->reply_bytes_max || payload_bytes > XDP_REPLY_BYTES)
		return false;
	if (!settings->allow_any)
		return is_allowed(frame);
	if (payload_bytes > (__u64)settings->amplification_max * request_bytes)
		return false;
	return settings->rate_max == 0 || count_request(settings, frame) <= settings->rate_max;
}
