/* SPDX-License-Identifier: Apache-2.0 */
/* What the XDP program and its user side share: maps and their layouts. Compiled for both, so it
 * includes nothing but types that both sides have. */
#pragma once

#include <linux/types.h>

/* Names as the kernel shows them (at most 15 characters). A program of this name is ours. The
 * driver (DPDK's net_af_xdp) looks XDP_SOCKETS_MAP up by its name. */
#define XDP_PROGRAM_NAME "kante_xdp"
#define XDP_SOCKETS_MAP  "xsks_map"       /* receive queue -> AF_XDP socket */
#define XDP_LISTEN_MAP   "kante_listen"   /* struct xdp_listen_key -> __be32, see there */
#define XDP_COUNTERS_MAP "kante_counters" /* enum xdp_counter -> __u64, one set a CPU */
#define XDP_ALLOW_MAP    "kante_allow"    /* struct xdp_prefix -> __u32, unused */
/* Arrays that user space maps, so that writing to them takes no system call: */
#define XDP_SETTINGS_MAP "kante_settings" /* struct xdp_settings, one */
#define XDP_SLOTS_MAP    "kante_slots"    /* struct xdp_slot, XDP_SLOT_COUNT of them */
#define XDP_HITS_MAP     "kante_hits"     /* struct xdp_hits, XDP_HITS_COUNT of them */
#define XDP_BLOCKED_MAP  "kante_blocked"  /* struct xdp_blocked, one */

#define XDP_QUEUE_COUNT_MAX  128
#define XDP_LISTEN_COUNT_MAX 64
#define XDP_ALLOW_COUNT_MAX  64

/* What we serve. IPv4 addresses are IPv4-mapped (RFC 4291 2.5.5.2). The value: the broadcast
 * address of an IPv4 address's network, 0 when there is none: nobody sends from there. */
struct xdp_listen_key {
	__u8 address[16];
	__be16 port;
	__u8 protocol; /* IPPROTO_TCP, IPPROTO_UDP */
	__u8 zero;
};

_Static_assert(sizeof(struct xdp_listen_key) == 20, "shared with the program");
_Static_assert(__builtin_offsetof(struct xdp_listen_key, port) == 16, "shared with the program");
_Static_assert(__builtin_offsetof(struct xdp_listen_key, protocol) == 18, "shared");

/* A key of the allow list, as the kernel's longest-prefix tries have it. */
struct xdp_prefix {
	__u32 length; /* bits of the 128; an IPv4 /24 is 120 */
	__u8 address[16];
};

/* What the program goes by. Written by the keeper. */
struct xdp_settings {
	__u64 hash_seed;
	__u8 mac[6];    /* the interface's own */
	__u8 allow_any; /* any source is served, within the limits that follow; else the allow list
	                 */
	__u8 zero;
	__u32 reply_bytes_max;   /* of UDP's payload; 0: hot keys are not answered here */
	__u32 amplification_max; /* reply bytes for a request byte, UDP's payloads */
	__u32 rate_max;          /* requests a source and second that are answered here; 0: all */
	__u32 zeros;
};

#define XDP_SLOT_COUNT     1024 /* a power of two */
#define XDP_REPLY_BYTES    1400 /* of a reply at most: its UDP payload */
#define XDP_KEY_BYTES_MAX  250
#define XDP_LINE_BYTES     304 /* "VALUE ", key, two numbers, a cas unique and blanks between */
#define XDP_LINE_KEY       6   /* where in the line the key begins */
#define XDP_NUMBER_BYTES   24  /* " 18446744073709551615", and as words */
#define XDP_BODY_BYTES     1408
#define XDP_BODY_VALUE     2 /* where in the body the value begins */
#define XDP_BODY_END_BYTES 7 /* "\r\nEND\r\n" */

/* A hot key, ready to be told. Written by the worker that owns the key, by plain stores: the
 * sequence is made odd, then the rest is changed, then the sequence is made even; to take the key
 * out the first of these is enough. The program looks at the sequence before and after and drops
 * the frame when it is another one. x86 keeps stores and loads each in order. */
struct xdp_slot {
	__u32 sequence;
	__u8 key_bytes;                          /* 0: the slot is empty */
	__u8 flags_bytes, size_bytes, cas_bytes; /* of the texts below, with their blank */
	__u64 hash;                              /* of the key */
	__u64 clock_start_ns;                    /* CLOCK_MONOTONIC of the owner's second 0 */
	__u32 expiry_s; /* that second, by the owner's clock, it has expired;
	                 * 0: it does not */
	__u32 client_flags;
	__u64 cas_unique;
	__u16 value_bytes;
	__u16 line_bytes; /* without the cas unique and its blank */
	/* Sums of 16-bit words as they lie in memory, folded: of the body; of the body without
	 * "END" and its line's end; of the value alone. */
	__u16 text_sum, meta_sum, value_sum;
	__u16 zero;
	__u32 zeros[3];
	__u8 flags_text[16]; /* " 4294967295" */
	__u8 size_text[8];   /* " 1400" */
	__u8 cas_text[XDP_NUMBER_BYTES];
	__u8 line[XDP_LINE_BYTES]; /* "VALUE key flags bytes cas" */
	__u8 body[XDP_BODY_BYTES]; /* "\r\n", the value, "\r\nEND\r\n" */
	__u8 rest[224];
};

_Static_assert(sizeof(struct xdp_slot) == 2048, "a slot takes whole cache lines");
_Static_assert(__builtin_offsetof(struct xdp_slot, flags_text) == 64, "the head is a cache line");
_Static_assert(__builtin_offsetof(struct xdp_slot, line) % 8 == 0, "is copied by words");

/* The two slots that a key may be in. */
static inline __u32 xdp_slot_number(__u64 hash, int second)
{
	return (__u32)(second ? hash >> 32 : hash) & (XDP_SLOT_COUNT - 1);
}

static inline __u64 xdp_hash_byte(__u64 hash, __u8 byte)
{
	return (hash ^ byte) * 0x100000001b3; /* FNV-1a */
}

static inline __u64 xdp_hash_finish(__u64 hash)
{
	return hash ^ hash >> 29;
}

/* Answers, by processor and slot; the program adds, user space reads. */
#define XDP_HITS_COUNT 64 /* processors beyond share them; a power of two */

struct xdp_hits {
	__u64 counts[XDP_SLOT_COUNT];
};

/* The block list: ranges of addresses that are apart from each other, in order, as net/blocked.h
 * has them. They are looked at only where the filter has the address's bit set. Written by the
 * keeper, under a sequence number as slots are: a frame that is looked at meanwhile is given to the
 * worker, who has a list of his own. */
#define XDP_BLOCKED_RANGES 16384 /* a power of two */
#define XDP_BLOCKED_FILTER 65536 /* bits */

struct xdp_blocked_range {
	__u64 first[2]; /* the higher half comes first */
	__u64 last[2];
};

struct xdp_blocked {
	__u32 sequence;
	__u32 count; /* of ranges */
	__u8 filter[XDP_BLOCKED_FILTER / 8];
	struct xdp_blocked_range ranges[XDP_BLOCKED_RANGES];
};

/* Which bit of the filter is an address's: of IPv4 by its first 16 bits, of IPv6 by 32. */
static inline __u32 xdp_blocked_bit(__u64 high, __u64 low)
{
	if (high == 0 && low >> 32 == 0xffff)
		return (__u32)low >> 16;
	return ((__u32)(high >> 32) * 0x9e3779b1u) >> 16;
}

/* Every frame is counted once, at the place where its way is decided.
 * X(name, unit, kind, help) */
#define XDP_COUNTERS(X)                                                                            \
	X(answered_text, "frames", COUNTER_TOTAL, "Hot keys, asked for by get and gets, answered") \
	X(answered_meta, "frames", COUNTER_TOTAL, "Hot keys, asked for by mg, answered")           \
	X(answered_binary, "frames", COUNTER_TOTAL,                                                \
	  "Hot keys, asked for by the binary protocol, answered")                                  \
	X(dropped_blocked, "frames", COUNTER_TOTAL, "From a source on the block list")             \
	X(dropped_changed, "frames", COUNTER_TOTAL,                                                \
	  "The hot key was written just while it was answered")                                    \
	X(redirected_tcp, "frames", COUNTER_TOTAL, "TCP for us, given to the worker")              \
	X(redirected_udp, "frames", COUNTER_TOTAL, "UDP for us, given to the worker")              \
	X(redirected_key, "frames", COUNTER_TOTAL,                                                 \
	  "A key by UDP that is not hot, or just written, given to the worker")                    \
	X(redirected_limit, "frames", COUNTER_TOTAL,                                               \
	  "A hot key by UDP, beyond a limit of its source, given to the worker")                   \
	X(redirected_room, "frames", COUNTER_TOTAL,                                                \
	  "A hot key by UDP whose reply does not fit the frame, given to the worker")              \
	X(redirected_icmp, "frames", COUNTER_TOTAL,                                                \
	  "What we sent was too big, given to the worker")                                         \
	X(passed_no_socket, "frames", COUNTER_TOTAL, "For us, on a queue that no worker has")      \
	X(passed_other, "frames", COUNTER_TOTAL, "TCP and UDP that is not for us")                 \
	X(passed_fragment, "frames", COUNTER_TOTAL, "IPv4 fragments")                              \
	X(passed_protocol, "frames", COUNTER_TOTAL,                                                \
	  "Neither TCP nor UDP right behind the IP header")                                        \
	X(passed_not_ip, "frames", COUNTER_TOTAL, "Neither IPv4 nor IPv6")                         \
	X(passed_malformed, "frames", COUNTER_TOTAL, "Cut short, or a bad IP header")

#define XDP_COUNTER_ENUM(name, unit, kind, help) XDP_COUNTER_##name,
enum xdp_counter {
	XDP_COUNTERS(XDP_COUNTER_ENUM) XDP_COUNTER_COUNT
};
#undef XDP_COUNTER_ENUM

_Static_assert(sizeof(XDP_PROGRAM_NAME) <= 16, "the kernel's limit");
_Static_assert(sizeof(XDP_COUNTERS_MAP) <= 16, "the kernel's limit");
