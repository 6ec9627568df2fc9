/* SPDX-License-Identifier: Apache-2.0 */
/* The program's maps, and what is counted. */
#pragma once

#include "xdp/layout.h"

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, XDP_QUEUE_COUNT_MAX);
	__type(key, __u32);
	__type(value, __u32);
} xsks_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, XDP_LISTEN_COUNT_MAX);
	__type(key, struct xdp_listen_key);
	__type(value, __be32);
} kante_listen SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, XDP_ALLOW_COUNT_MAX);
	__type(key, struct xdp_prefix);
	__type(value, __u32);
} kante_allow SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, XDP_COUNTER_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} kante_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct xdp_settings);
} kante_settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, XDP_SLOT_COUNT);
	__type(key, __u32);
	__type(value, struct xdp_slot);
} kante_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, XDP_HITS_COUNT);
	__type(key, __u32);
	__type(value, struct xdp_hits);
} kante_hits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct xdp_blocked);
} kante_blocked SEC(".maps");

/* Requests of a source, by a hash of it. */
#define RATES_COUNT 4096

struct rate {
	__u32 second;
	__u32 count; /* in it */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RATES_COUNT);
	__type(key, __u32);
	__type(value, struct rate);
} kante_rates SEC(".maps");

/* Where a request is copied to and its reply is made, one a processor: what lies in a map can be
 * looked at anywhere, a frame only where the verifier has seen that it is so long. */
#define REQUEST_BYTES 384 /* of UDP header, payload and zeros */
#define REPLY_BYTES   768 /* of UDP header and all up to the slot's body */

/* How far the flags of mg have been read. Linux 6.1 looks at a callback of bpf_loop() for one round
 * only, and takes out what cannot be reached by what that round leaves on the stack; of what lies
 * in a map it assumes nothing. */
struct meta {
	__u32 at;   /* in the request: behind the last flag */
	__u32 to;   /* in the reply */
	__u32 seen; /* a bit a letter */
	__u8 with_value;
	__u8 is_good; /* all was read, and can be answered */
};

struct scratch {
	__u8 ip[64]; /* an IPv4 header that has options */
	__u8 request[REQUEST_BYTES + 64];
	__u8 reply[REPLY_BYTES + XDP_LINE_BYTES];
	struct meta meta;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} kante_scratch SEC(".maps");

/* A part of the program that the verifier looks at once and for itself, however many ways lead
 * there; it knows nothing of what it is given but the types. */
#define PART __attribute__((noinline))

/* What comes before or after it in the program is read before or after it: x86 keeps loads in
 * order. Pairs with the stores of slot_retract(), slot_show() and xdp_block(). */
static __always_inline __u32 read_sequence(const __u32 *sequence)
{
	__u32 value;

	asm volatile("" ::: "memory");
	value = *(const volatile __u32 *)sequence;
	asm volatile("" ::: "memory");
	return value;
}

static __always_inline void count(__u32 counter)
{
	__u64 *value = bpf_map_lookup_elem(&kante_counters, &counter);

	if (value)
		*value += 1;
}

static __always_inline int pass(__u32 counter)
{
	count(counter);
	return XDP_PASS;
}

static __always_inline int drop(__u32 counter)
{
	count(counter);
	return XDP_DROP;
}
