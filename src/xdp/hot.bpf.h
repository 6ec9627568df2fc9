/* SPDX-License-Identifier: Apache-2.0 */
/* A hot key's GET by UDP, answered where it came in: the request is read from a copy, the slot that
 * has the key is told in the reply, and the frame goes back. Whatever is not just so is left to the
 * worker, who has the last word on it: what is answered here he would answer with the same
 * bytes. */
#pragma once

#include "xdp/limits.bpf.h"
#include "xdp/reply.bpf.h"
#include "xdp/request.bpf.h"

static __always_inline struct xdp_slot *find_in(const struct request *request, int second,
                                                __u32 *ret_number)
{
	struct xdp_slot *slot;

	*ret_number = xdp_slot_number(request->hash, second);
	slot = bpf_map_lookup_elem(&kante_slots, ret_number);
	return slot && slot->hash == request->hash ? slot : NULL;
}

/* The key's slot, and its sequence; negative: none has the key, or it is just being changed. */
PART int find(const struct request *request, const struct scratch *scratch, __u32 *ret_sequence)
{
	const struct xdp_slot *slot;
	__u32 number, at, bytes;

	if (!request || !scratch || !ret_sequence)
		return -1;
	slot = find_in(request, 0, &number);
	if (!slot)
		slot = find_in(request, 1, &number);
	if (!slot)
		return -1;
	*ret_sequence = read_sequence(&slot->sequence);
	at = request->key_at;
	bytes = request->key_bytes;
	BOUND(at, 63);
	if (*ret_sequence & 1 || slot->hash != request->hash || slot->key_bytes != bytes)
		return -1;
	for (__u32 i = 0; i < XDP_KEY_BYTES_MAX && i < bytes; i++)
		if (slot->line[XDP_LINE_KEY + i] != scratch->request[at + i])
			return -1;
	return number;
}

/* Seconds until it expires, by the owner's clock; 0: it has; -1: it does not. */
static __always_inline __s64 time_left(const struct xdp_slot *slot)
{
	__u32 expiry_s = slot->expiry_s;
	__u32 now_s;

	if (expiry_s == 0)
		return -1;
	now_s = (bpf_ktime_get_ns() - slot->clock_start_ns) / 1000000000;
	return expiry_s <= now_s ? 0 : expiry_s - now_s;
}

static __always_inline void count_hit(__u32 number)
{
	__u32 processor = bpf_get_smp_processor_id() & (XDP_HITS_COUNT - 1);
	struct xdp_hits *hits = bpf_map_lookup_elem(&kante_hits, &processor);

	BOUND(number, XDP_SLOT_COUNT - 1);
	if (hits)
		__sync_fetch_and_add(&hits->counts[number], 1);
}

/* XDP_PASS: it is the worker's, and *ret_redirected says what to count. */
static __always_inline int answer_hot(struct xdp_md *context, const struct xdp_settings *settings,
                                      const struct frame *frame, __be32 broadcast,
                                      __u32 *ret_redirected)
{
	struct request request = {.hash_seed = settings->hash_seed};
	struct scratch *scratch;
	struct reply reply = {};
	struct xdp_slot *slot;
	__u32 zero = 0, sequence = 0;
	int number;

	scratch = bpf_map_lookup_elem(&kante_scratch, &zero);
	if (!scratch || !is_usual(context, settings, frame, broadcast, scratch) ||
	    !read_request(context, frame, scratch, &request))
		return XDP_PASS;
	*ret_redirected = XDP_COUNTER_redirected_key;
	number = find(&request, scratch, &sequence);
	slot = bpf_map_lookup_elem(&kante_slots, &number);
	if (!slot) /* there is none with a negative number */
		return XDP_PASS;
	reply.seconds_left = time_left(slot);
	if (reply.seconds_left == 0)
		return XDP_PASS;
	if (!write_text(&request, slot, scratch, &reply)) {
		*ret_redirected = XDP_COUNTER_redirected_udp;
		return XDP_PASS;
	}
	*ret_redirected = XDP_COUNTER_redirected_limit;
	if (!is_within_limits(settings, frame, &request, reply.payload_bytes))
		return XDP_PASS;
	*ret_redirected = XDP_COUNTER_redirected_room;
	if (!make_room(context, frame, &reply))
		return XDP_PASS;
	__builtin_memcpy(reply.mac, settings->mac, ETH_ALEN);
	if (!write_reply(context, frame, slot, scratch, &reply))
		return drop(XDP_COUNTER_dropped_changed);
	if (read_sequence(&slot->sequence) != sequence)
		return drop(XDP_COUNTER_dropped_changed);
	count_hit(number);
	count(request.counter);
	return XDP_TX;
}
