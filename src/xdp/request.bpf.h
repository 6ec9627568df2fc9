/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a datagram is a GET of one key, and of which. */
#pragma once

#include "xdp/frame.bpf.h"

#define UDP_FRAME_BYTES 8
#define REQUEST_BODY    16 /* where in the copy: UDP header, memcached's frame header, then it */
#define BINARY_REQUEST  0x80
#define BINARY_HEADER   24
#define BINARY_GET      0x00
#define BINARY_GETQ     0x09
#define BINARY_GETK     0x0c
#define BINARY_GETKQ    0x0d

#define IP4_OPTION_END          0
#define IP4_OPTION_NOP          1
#define IP4_OPTION_LOOSE_ROUTE  131
#define IP4_OPTION_STRICT_ROUTE 137

/* So that neither compiler nor verifier can be wrong about it. */
#define BOUND(value, mask) asm volatile("%0 &= %1" : "+r"(value) : "i"(mask))
/* The same of one that is not 0: no size of 0 is taken by most helpers. */
#define BOUND_FROM_1(value, mask)                                                                  \
	do {                                                                                       \
		(value) -= 1;                                                                      \
		BOUND(value, mask);                                                                \
		(value) += 1;                                                                      \
	} while (0)

struct udp {
	__be16 source, destination;
	__be16 bytes;
	__be16 checksum;
};

struct request {
	__u64 hash_seed;
	__u64 hash; /* of the key */
	__u32 key_at, key_bytes;
	__u32 udp_bytes; /* with the UDP header */
	__u32 counter;   /* of an answer, which says the protocol */
	__u8 with_cas;   /* gets */
	__u8 opcode;     /* binary */
};

static __always_inline __u32 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* Of addresses, protocol and length, as UDP sums them; the addresses' order does not matter, nor
 * whether they are IPv4-mapped: that is a sum of -0. */
static __always_inline __u64 pseudo_sum(const struct frame *frame, __u32 udp_bytes)
{
	const __u32 *source = (const __u32 *)frame->source;
	const __u32 *destination = (const __u32 *)frame->key.address;
	__u64 sum = bpf_htons(IPPROTO_UDP) + (__u64)bpf_htons(udp_bytes);

	for (int i = frame->is_ip4 ? 3 : 0; i < 4; i++)
		sum += (__u64)source[i] + destination[i];
	return sum;
}

/* The header is right, and no option is a source route (RFC 7126 4.3, 4.4). */
PART int options_are_usual(struct xdp_md *context, const struct frame *frame,
                           struct scratch *scratch)
{
	__u32 bytes, at = 20;

	if (!frame || !scratch)
		return 0;
	bytes = frame->l4 - frame->l3;
	if (bytes < 20 || bytes > 60 || bytes % 4 != 0 ||
	    bpf_xdp_load_bytes(context, frame->l3, scratch->ip, bytes) < 0 ||
	    fold(bpf_csum_diff(NULL, 0, (__be32 *)scratch->ip, bytes, 0)) != 0xffff)
		return 0;
	for (__u32 i = 0; i < 40 && at < bytes; i++) {
		__u8 option, length;

		BOUND(at, 63);
		option = scratch->ip[at];
		length = scratch->ip[at + 1];
		if (option == IP4_OPTION_END)
			break;
		if (option == IP4_OPTION_NOP)
			length = 1;
		else if (length < 2 || length > bytes - at || option == IP4_OPTION_LOOSE_ROUTE ||
		         option == IP4_OPTION_STRICT_ROUTE)
			return 0;
		at += length;
	}
	return 1;
}

/* To this very interface, from a source that one may answer. */
static __always_inline bool is_usual(struct xdp_md *context, const struct xdp_settings *settings,
                                     const struct frame *frame, __be32 broadcast,
                                     struct scratch *scratch)
{
	void *end = (void *)(long)context->data_end;
	struct ethhdr *ethernet = (void *)(long)context->data;
	const __u8 *source = frame->source;

	if ((void *)(ethernet + 1) > end)
		return false;
	for (int i = 0; i < ETH_ALEN; i++)
		if (ethernet->h_dest[i] != settings->mac[i])
			return false;
	if (frame->source_mac[0] & 1)
		return false;
	if (frame->is_ip4)
		return source[12] != 0 && source[12] != 127 && source[12] < 224 &&
		       *(const __be32 *)(source + 12) != broadcast &&
		       options_are_usual(context, frame, scratch);
	/* neither a group nor, in the first 32 bits, unspecified, loopback or IPv4-mapped */
	return source[0] != 0xff && *(const __be32 *)source != 0;
}

/* A byte that is in no word of a line. One that is in none at all, the worker sees to. */
static __always_inline bool ends_word(__u8 byte)
{
	return byte <= ' ' || byte == 0x7f;
}

/* The hash of the bytes up to the first that is in no key, or of so many, and how many these are.
 */
static __always_inline void read_key(const struct scratch *scratch, struct request *request,
                                     __u32 bytes_max, bool is_text)
{
	__u64 hash = request->hash_seed;
	__u32 i;

	for (i = 0; i < XDP_KEY_BYTES_MAX && i < bytes_max; i++) {
		__u8 byte = scratch->request[(request->key_at & 63) + i];

		if (is_text && ends_word(byte))
			break;
		hash = xdp_hash_byte(hash, byte);
	}
	request->key_bytes = i;
	request->hash = xdp_hash_finish(hash);
}

static __always_inline bool read_binary(const struct scratch *scratch, struct request *request)
{
	const __u8 *head = scratch->request + REQUEST_BODY;
	__u32 key_bytes = head[2] << 8 | head[3];
	__u8 opcode = head[1];

	if (opcode != BINARY_GET && opcode != BINARY_GETQ && opcode != BINARY_GETK &&
	    opcode != BINARY_GETKQ)
		return false;
	/* no extras, no vbucket, and the key is all of the body */
	if (key_bytes == 0 || key_bytes > XDP_KEY_BYTES_MAX || head[4] != 0 || head[6] != 0 ||
	    head[7] != 0 || head[8] != 0 || head[9] != 0 || head[10] != head[2] ||
	    head[11] != head[3] || request->udp_bytes != REQUEST_BODY + BINARY_HEADER + key_bytes)
		return false;
	request->opcode = opcode;
	request->counter = XDP_COUNTER_answered_binary;
	request->key_at = REQUEST_BODY + BINARY_HEADER;
	read_key(scratch, request, key_bytes, false);
	return true;
}

/* get, gets, mg; mg's flags are read when the reply is written. */
static __always_inline bool read_text(const struct scratch *scratch, struct request *request)
{
	const __u8 *body = scratch->request + REQUEST_BODY;
	__u32 at;

	request->counter = XDP_COUNTER_answered_text;
	if (body[0] == 'g' && body[1] == 'e' && body[2] == 't' && body[3] == ' ') {
		request->key_at = REQUEST_BODY + 4;
	} else if (body[0] == 'g' && body[1] == 'e' && body[2] == 't' && body[3] == 's' &&
	           body[4] == ' ') {
		request->key_at = REQUEST_BODY + 5;
		request->with_cas = 1;
	} else if (body[0] == 'm' && body[1] == 'g' && body[2] == ' ') {
		request->key_at = REQUEST_BODY + 3;
		request->counter = XDP_COUNTER_answered_meta;
	} else {
		return false;
	}
	/* what lies behind the datagram are zeros, and in no key */
	read_key(scratch, request, XDP_KEY_BYTES_MAX, true);
	if (request->key_bytes == 0)
		return false;
	if (request->counter == XDP_COUNTER_answered_meta)
		return true;
	at = request->key_at + request->key_bytes;
	if (at + 2 != request->udp_bytes)
		return false;
	BOUND(at, 511);
	return at < REQUEST_BYTES && scratch->request[at] == '\r' &&
	       scratch->request[at + 1] == '\n';
}

/* The request's copy is in `scratch`, its hash_seed is filled. 0: it is no GET of one key, or
 * something is wrong. */
PART int read_request(struct xdp_md *context, const struct frame *frame, struct scratch *scratch,
                      struct request *request)
{
	const struct udp *udp;
	const __u8 *header;
	__u32 bytes;
	__u64 sum;

	if (!frame || !scratch || !request)
		return 0;
	udp = (const struct udp *)scratch->request;
	header = scratch->request + sizeof(*udp);
	bytes = frame->l4_bytes;

	/* a datagram that is not all of its packet is left to the worker, too */
	if (bytes < REQUEST_BODY + 4 || bytes > REQUEST_BYTES ||
	    bpf_xdp_load_bytes(context, frame->l4, scratch->request, bytes) < 0 ||
	    udp->bytes != bpf_htons(bytes))
		return 0;
	*(__u32 *)(scratch->request + bytes) = 0;
	request->udp_bytes = bytes;
	if (udp->checksum != 0) {
		sum = bpf_csum_diff(NULL, 0, (__be32 *)scratch->request, (bytes + 3) & ~3u, 0);
		if (fold(sum + pseudo_sum(frame, bytes)) != 0xffff)
			return 0;
	} else if (!frame->is_ip4) {
		return 0;
	}
	/* the first datagram, of one */
	if (header[2] != 0 || header[3] != 0 || header[4] != 0 || header[5] != 1)
		return 0;
	return scratch->request[REQUEST_BODY] == BINARY_REQUEST ? read_binary(scratch, request)
	                                                        : read_text(scratch, request);
}
