/* SPDX-License-Identifier: Apache-2.0 */
/* The reply: all up to the value is put together in `scratch`, the value comes from the slot, and
 * the headers of the frame are those of the request, turned round. */
#pragma once

#include "xdp/request.bpf.h"

#define REPLY_TEXT      48 /* where in the copy what follows the headers begins; of mg, its flags */
#define REPLY_TTL       64
#define IP4_ATOMIC      0x4000 /* DF, and no identification (RFC 6864 4.1) */
#define BINARY_REPLY    0x81
#define BINARY_EXTRAS   4 /* the client flags */
#define META_FLAGS_MAX  20
#define META_OPAQUE_MAX 32

struct reply {
	__s64 seconds_left; /* -1: it does not expire */
	__u32 from, end;    /* of UDP header, frame header and text, in the copy */
	__u32 body_at, body_bytes;
	__u32 body_sum;
	__u32 payload_bytes;
	__u8 mac[6]; /* our own */
};

/* By words: up to seven bytes more are written. */
static __always_inline void copy(__u8 *to, const __u8 *from, __u32 bytes, __u32 bytes_max)
{
	for (__u32 i = 0; i < bytes_max && i < bytes; i += 8)
		*(__u64 *)(to + i) = *(const __u64 *)(from + i);
}

static __always_inline __u8 *reply_at(struct scratch *scratch, __u32 at)
{
	BOUND(at, 511);
	return scratch->reply + at;
}

static __always_inline __u32 write_number(struct scratch *scratch, __u32 at, __u32 number)
{
	__u32 digits = 1;

	for (__u32 rest = number; digits < 10 && rest >= 10; digits++)
		rest /= 10;
	for (__u32 i = 0; i < 10 && i < digits; i++, number /= 10)
		*reply_at(scratch, at + digits - 1 - i) = '0' + number % 10;
	return at + digits;
}

/* What mg is answered from; stays as it is. */
struct meta_context {
	const struct request *request;
	const struct xdp_slot *slot;
	struct scratch *scratch;
	__s64 seconds_left;
};

static __always_inline __u8 request_at(const struct scratch *scratch, __u32 at)
{
	BOUND(at, 511);
	return at < REQUEST_BYTES + 60 ? scratch->request[at] : 0;
}

/* "O" with its token. */
static __always_inline bool write_opaque(struct scratch *scratch)
{
	struct meta *meta = &scratch->meta;

	for (__u32 i = 0; i <= META_OPAQUE_MAX; i++) {
		__u8 byte = request_at(scratch, meta->at);

		if (ends_word(byte))
			return true;
		*reply_at(scratch, meta->to) = byte;
		meta->at++;
		meta->to++;
	}
	return false;
}

/* The next flag. 1: that was the last, or there is one that is the worker's. */
static long write_flag(__attribute__((unused)) __u32 index, void *loop_context)
{
	const struct meta_context *context = loop_context;
	const struct xdp_slot *slot = context->slot;
	struct scratch *scratch = context->scratch;
	struct meta *meta = &scratch->meta;
	__u8 letter, next;
	__u32 bit, to = meta->to;

	if (request_at(scratch, meta->at) == '\r') {
		meta->is_good = request_at(scratch, meta->at + 1) == '\n' &&
		                meta->at + 2 == context->request->udp_bytes;
		return 1;
	}
	letter = request_at(scratch, meta->at + 1);
	bit = 1u << (letter & 31);
	if (request_at(scratch, meta->at) != ' ' || (meta->seen & bit))
		return 1;
	meta->seen |= bit;
	meta->at += 2;
	next = request_at(scratch, meta->at);
	if (letter != 'O' && next != ' ' && next != '\r')
		return 1;
	if (letter != 'v' && letter != 'q') {
		*reply_at(scratch, to) = ' ';
		*reply_at(scratch, to + 1) = letter;
		meta->to = to += 2;
	}
	switch (letter) {
	case 'v': meta->with_value = 1; return 0;
	case 'q': return 0;
	case 'O': return write_opaque(scratch) ? 0 : 1;
	/* the blank that comes first in the slot is written where the letter is to be */
	case 'f':
		copy(reply_at(scratch, to - 1), slot->flags_text, slot->flags_bytes, 16);
		meta->to = to - 1 + slot->flags_bytes;
		break;
	case 's':
		copy(reply_at(scratch, to - 1), slot->size_text, slot->size_bytes, 8);
		meta->to = to - 1 + slot->size_bytes;
		break;
	case 'c':
		copy(reply_at(scratch, to - 1), slot->cas_text, slot->cas_bytes, XDP_NUMBER_BYTES);
		meta->to = to - 1 + slot->cas_bytes;
		break;
	case 'k':
		copy(reply_at(scratch, to), slot->line + XDP_LINE_KEY, slot->key_bytes, 256);
		meta->to = to + slot->key_bytes;
		return 0;
	case 't':
		if (context->seconds_left >= 0) {
			meta->to = write_number(scratch, to, (__u32)context->seconds_left);
			return 0;
		}
		*reply_at(scratch, to) = '-';
		*reply_at(scratch, to + 1) = '1';
		meta->to = to + 2;
		return 0;
	default: return 1;
	}
	*reply_at(scratch, to - 1) = letter;
	return 0;
}

/* "VA size" or "HD", the flags, and with "HD" the line's end. */
static __always_inline bool write_meta(const struct request *request, const struct xdp_slot *slot,
                                       struct scratch *scratch, struct reply *reply)
{
	struct meta_context context = {.request = request,
	                               .slot = slot,
	                               .scratch = scratch,
	                               .seconds_left = reply->seconds_left};
	struct meta *meta = &scratch->meta;
	__u32 start = REPLY_TEXT - 2, size_bytes = slot->size_bytes;

	*meta = (struct meta){.at = request->key_at + request->key_bytes, .to = REPLY_TEXT};
	bpf_loop(META_FLAGS_MAX, write_flag, &context, 0);
	if (!meta->is_good)
		return false;
	if (meta->with_value) {
		start -= size_bytes;
		for (__u32 i = 0; i < 8 && i < size_bytes; i++)
			*reply_at(scratch, start + 2 + i) = slot->size_text[i];
		reply->body_bytes = XDP_BODY_VALUE + slot->value_bytes + 2;
		reply->body_sum = slot->meta_sum;
	} else {
		*reply_at(scratch, meta->to) = '\r';
		*reply_at(scratch, meta->to + 1) = '\n';
		meta->to += 2;
	}
	*reply_at(scratch, start) = meta->with_value ? 'V' : 'H';
	*reply_at(scratch, start + 1) = meta->with_value ? 'A' : 'D';
	reply->from = start - REQUEST_BODY;
	reply->end = meta->to;
	return true;
}

static __always_inline void write_binary(const struct request *request, const struct xdp_slot *slot,
                                         struct scratch *scratch, struct reply *reply)
{
	__u8 *head = scratch->reply + REPLY_TEXT;
	const __u8 *asked = scratch->request + REQUEST_BODY;
	__u32 key_bytes = request->opcode == BINARY_GETK || request->opcode == BINARY_GETKQ
	                      ? request->key_bytes
	                      : 0;

	*(__u64 *)head = 0;
	head[0] = BINARY_REPLY;
	head[1] = request->opcode;
	*(__be16 *)(head + 2) = bpf_htons(key_bytes);
	head[4] = BINARY_EXTRAS;
	*(__be32 *)(head + 8) = bpf_htonl(BINARY_EXTRAS + key_bytes + slot->value_bytes);
	*(__be32 *)(head + 12) = *(const __be32 *)(asked + 12);
	*(__be64 *)(head + 16) = bpf_cpu_to_be64(slot->cas_unique);
	*(__be32 *)(head + BINARY_HEADER) = bpf_htonl(slot->client_flags);
	copy(head + BINARY_HEADER + BINARY_EXTRAS, slot->line + XDP_LINE_KEY, key_bytes, 256);
	reply->from = REPLY_TEXT - REQUEST_BODY;
	reply->end = REPLY_TEXT + BINARY_HEADER + BINARY_EXTRAS + key_bytes;
	reply->body_at = XDP_BODY_VALUE;
	reply->body_bytes = slot->value_bytes;
	reply->body_sum = slot->value_sum;
}

static __always_inline void write_value(const struct request *request, const struct xdp_slot *slot,
                                        struct scratch *scratch, struct reply *reply)
{
	__u32 bytes = slot->line_bytes + (request->with_cas ? slot->cas_bytes : 0);

	copy(scratch->reply + REPLY_TEXT, slot->line, bytes, XDP_LINE_BYTES);
	reply->from = REPLY_TEXT - REQUEST_BODY;
	reply->end = REPLY_TEXT + bytes;
	reply->body_bytes = XDP_BODY_VALUE + slot->value_bytes + XDP_BODY_END_BYTES;
	reply->body_sum = slot->text_sum;
}

/* All but the headers. 0: it is the worker's. */
PART int write_text(const struct request *request, const struct xdp_slot *slot,
                    struct scratch *scratch, struct reply *reply)
{
	if (!request || !slot || !scratch || !reply)
		return 0;
	if (request->counter == XDP_COUNTER_answered_meta) {
		if (!write_meta(request, slot, scratch, reply))
			return 0;
	} else if (request->counter == XDP_COUNTER_answered_binary) {
		write_binary(request, slot, scratch, reply);
	} else {
		write_value(request, slot, scratch, reply);
	}
	reply->payload_bytes = reply->end - reply->from - sizeof(struct udp) + reply->body_bytes;
	return 1;
}

static __always_inline __u32 ip_bytes(const struct frame *frame)
{
	return frame->is_ip4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
}

/* Behind the frame, or else before it: whatever is there is written anew. A driver that has a page
 * a frame has room behind it for any reply; one that works on the kernel's own buffers, as veth
 * does, has little there, and some 200 bytes before it. */
static __always_inline bool make_room(struct xdp_md *context, const struct frame *frame,
                                      const struct reply *reply)
{
	__u32 bytes = frame->l3 + ip_bytes(frame) + sizeof(struct udp) + reply->payload_bytes;
	__u64 end = (__u64)context->data_end, start = (__u64)context->data;
	int more;

	asm volatile("%0 -= %1" : "+r"(end) : "r"(start)); /* with all their bits */
	more = (int)bytes - (int)end;
	return bpf_xdp_adjust_tail(context, more) == 0 || bpf_xdp_adjust_head(context, -more) == 0;
}

static __always_inline bool write_frame(struct xdp_md *context, const struct frame *frame,
                                        const struct reply *reply, __u32 udp_bytes)
{
	void *end = (void *)(long)context->data_end;
	struct ethhdr *ethernet = (void *)(long)context->data;
	struct vlan_tag *tag = (void *)(ethernet + 1);
	__be16 type = frame->is_ip4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	void *l3 = tag;

	if ((void *)(tag + 1) > end)
		return false;
	__builtin_memcpy(ethernet->h_dest, frame->source_mac, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, reply->mac, ETH_ALEN);
	ethernet->h_proto = type;
	if (frame->l3 != sizeof(*ethernet)) {
		ethernet->h_proto = bpf_htons(ETH_P_8021Q);
		tag->control = frame->vlan;
		tag->type = type;
		l3 = tag + 1;
	}
	if (frame->is_ip4) {
		struct iphdr *ip = l3;
		const __u16 *words = l3;
		__u32 sum = 0;

		if ((void *)(ip + 1) > end)
			return false;
		*(__be16 *)l3 = bpf_htons(0x4500);
		ip->tot_len = bpf_htons(sizeof(*ip) + udp_bytes);
		ip->id = 0;
		ip->frag_off = bpf_htons(IP4_ATOMIC);
		ip->ttl = REPLY_TTL;
		ip->protocol = IPPROTO_UDP;
		ip->check = 0;
		__builtin_memcpy(&ip->saddr, frame->key.address + 12, 4);
		__builtin_memcpy(&ip->daddr, frame->source + 12, 4);
		for (int i = 0; i < 10; i++)
			sum += words[i];
		ip->check = ~fold(sum);
	} else {
		struct ipv6hdr *ip = l3;

		if ((void *)(ip + 1) > end)
			return false;
		*(__be32 *)l3 = bpf_htonl(0x60000000);
		ip->payload_len = bpf_htons(udp_bytes);
		ip->nexthdr = IPPROTO_UDP;
		ip->hop_limit = REPLY_TTL;
		__builtin_memcpy(&ip->saddr, frame->key.address, 16);
		__builtin_memcpy(&ip->daddr, frame->source, 16);
	}
	return true;
}

/* 0: the slot was changed while it was read, so that nothing of it can be relied on. */
PART int write_reply(struct xdp_md *context, const struct frame *frame, const struct xdp_slot *slot,
                     struct scratch *scratch, const struct reply *reply)
{
	__u32 udp_bytes, from, bytes, body_bytes, at;
	const struct udp *asked;
	struct udp *udp;
	__u64 sum;

	if (!frame || !slot || !scratch || !reply)
		return 0;
	asked = (const struct udp *)scratch->request;
	udp_bytes = sizeof(struct udp) + reply->payload_bytes;
	from = reply->from;
	bytes = reply->end - from;
	at = frame->l3 + ip_bytes(frame);
	BOUND(from, 63);
	udp = (struct udp *)(scratch->reply + from);
	udp->source = asked->destination;
	udp->destination = asked->source;
	udp->bytes = bpf_htons(udp_bytes);
	udp->checksum = 0;
	*(__u64 *)(udp + 1) = 0;
	*(__be16 *)(udp + 1) = *(const __be16 *)(asked + 1);
	((__u8 *)(udp + 1))[5] = 1;
	if (bytes < REQUEST_BODY || bytes > 480)
		return 0;
	BOUND_FROM_1(bytes, 511);
	*(__u32 *)(scratch->reply + from + bytes) = 0;
	sum = bpf_csum_diff(NULL, 0, (__be32 *)udp, (bytes + 3) & ~3u, 0);
	sum += bytes & 1 ? __builtin_bswap16(reply->body_sum) : reply->body_sum;
	sum = ~fold(sum + pseudo_sum(frame, udp_bytes)) & 0xffff;
	udp->checksum = sum == 0 ? 0xffff : sum;
	if (!write_frame(context, frame, reply, udp_bytes) ||
	    bpf_xdp_store_bytes(context, at, udp, bytes) < 0)
		return 0;
	body_bytes = reply->body_bytes;
	if (body_bytes == 0)
		return 1;
	BOUND_FROM_1(body_bytes, 2047);
	return body_bytes <= XDP_BODY_BYTES - XDP_BODY_VALUE &&
	       bpf_xdp_store_bytes(context, at + bytes, (void *)(slot->body + (reply->body_at & 3)),
	                           body_bytes) == 0;
}
