/* SPDX-License-Identifier: Apache-2.0 */
/* What the XDP program and its user side share: maps and their layouts. Compiled for both, so it
 * includes nothing but types that both sides have. */
#pragma once

#include <linux/types.h>

/* Names as the kernel shows them (at most 15 characters). A program of this name is ours. The
 * driver (DPDK's net_af_xdp) looks XDP_SOCKETS_MAP up by its name. */
#define XDP_PROGRAM_NAME "kante_xdp"
#define XDP_SOCKETS_MAP  "xsks_map"       /* receive queue -> AF_XDP socket */
#define XDP_LISTEN_MAP   "kante_listen"   /* struct xdp_listen_key -> __u32, unused */
#define XDP_COUNTERS_MAP "kante_counters" /* enum xdp_counter -> __u64, one set a CPU */

#define XDP_QUEUE_COUNT_MAX  128
#define XDP_LISTEN_COUNT_MAX 64

/* What we serve. IPv4 addresses are IPv4-mapped (RFC 4291 2.5.5.2). */
struct xdp_listen_key {
	__u8 address[16];
	__be16 port;
	__u8 protocol; /* IPPROTO_TCP, IPPROTO_UDP */
	__u8 zero;
};

_Static_assert(sizeof(struct xdp_listen_key) == 20, "shared with the program");
_Static_assert(__builtin_offsetof(struct xdp_listen_key, port) == 16, "shared with the program");
_Static_assert(__builtin_offsetof(struct xdp_listen_key, protocol) == 18, "shared");

/* Every frame is counted once, at the place where its way is decided.
 * X(name, unit, kind, help) */
#define XDP_COUNTERS(X)                                                                            \
	X(redirected_tcp, "frames", COUNTER_TOTAL, "TCP for us, given to the worker")              \
	X(redirected_udp, "frames", COUNTER_TOTAL, "UDP for us, given to the worker")              \
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
