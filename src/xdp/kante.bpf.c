/* SPDX-License-Identifier: Apache-2.0 */
/* The XDP program of an `xdp` port: frames for the cache's addresses and ports go to the AF_XDP
 * socket of their receive queue, and so does what says that a TCP segment from there was too big;
 * everything else goes on to the kernel.
 *
 * Built for the BPF target and embedded into kanted. net_af_xdp loads it and puts its sockets into
 * xsks_map; src/xdp/xdp.c fills kante_listen and reads kante_counters. */
#include "xdp/layout.h"

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define IP4_FRAGMENT_BITS 0x3fff /* more fragments, or an offset (RFC 791 3.1) */
#define ICMP4_UNREACHABLE 3
#define ICMP4_TOO_BIG     4 /* code of that type (RFC 1191 4) */
#define ICMP6_TOO_BIG     2 /* RFC 4443 3.2 */

struct vlan_tag {
	__be16 control;
	__be16 type; /* of what follows */
};

/* Of IPv4 and of IPv6. What it quotes follows. */
struct icmp {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be32 rest;
};

/* TCP and UDP begin alike. */
struct ports {
	__be16 source;
	__be16 destination;
};

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
	__type(value, __u32);
} kante_listen SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, XDP_COUNTER_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} kante_counters SEC(".maps");

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

/* Fills in the address and protocol, and returns what follows the IP header; NULL when the frame
 * is the kernel's, with *ret_counter saying why. */
static __always_inline void *parse_ip4(struct xdp_listen_key *key, struct iphdr *ip, void *end,
                                       __u32 *ret_counter)
{
	if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5) {
		*ret_counter = XDP_COUNTER_passed_malformed;
		return NULL;
	}
	if (ip->frag_off & bpf_htons(IP4_FRAGMENT_BITS)) {
		*ret_counter = XDP_COUNTER_passed_fragment;
		return NULL;
	}
	key->address[10] = 0xff;
	key->address[11] = 0xff;
	__builtin_memcpy(key->address + 12, &ip->daddr, 4);
	key->protocol = ip->protocol;
	return (void *)ip + ip->ihl * 4;
}

static __always_inline void *parse_ip6(struct xdp_listen_key *key, struct ipv6hdr *ip, void *end,
                                       __u32 *ret_counter)
{
	if ((void *)(ip + 1) > end || ip->version != 6) {
		*ret_counter = XDP_COUNTER_passed_malformed;
		return NULL;
	}
	__builtin_memcpy(key->address, &ip->daddr, 16);
	key->protocol = ip->nexthdr;
	return ip + 1;
}

/* The ports of a TCP segment that was sent from `key`'s address and is quoted because it was too
 * big; NULL when the ICMP message is another. */
static __always_inline struct ports *quoted4(struct xdp_listen_key *key, struct icmp *icmp,
                                             void *end)
{
	struct iphdr *ip = (void *)(icmp + 1);

	if ((void *)(ip + 1) > end || icmp->type != ICMP4_UNREACHABLE ||
	    icmp->code != ICMP4_TOO_BIG || ip->ihl < 5 || ip->protocol != IPPROTO_TCP ||
	    ip->saddr != *(__be32 *)(key->address + 12))
		return NULL;
	return (void *)ip + ip->ihl * 4;
}

static __always_inline struct ports *quoted6(struct xdp_listen_key *key, struct icmp *icmp,
                                             void *end)
{
	struct ipv6hdr *ip = (void *)(icmp + 1);

	if ((void *)(ip + 1) > end || icmp->type != ICMP6_TOO_BIG || ip->nexthdr != IPPROTO_TCP)
		return NULL;
	for (int i = 0; i < 4; i++)
		if (ip->saddr.in6_u.u6_addr32[i] != ((__be32 *)key->address)[i])
			return NULL;
	return (struct ports *)(ip + 1);
}

SEC("xdp")
int kante_xdp(struct xdp_md *context)
{
	void *end = (void *)(long)context->data_end;
	struct ethhdr *ethernet = (void *)(long)context->data;
	void *next = ethernet + 1;
	struct xdp_listen_key key = {};
	__u32 counter = XDP_COUNTER_passed_not_ip;
	struct ports *ports = NULL;
	__be16 type;
	__u32 redirected;
	int action;

	if (next > end)
		return pass(XDP_COUNTER_passed_malformed);
	type = ethernet->h_proto;
	if (type == bpf_htons(ETH_P_8021Q)) {
		struct vlan_tag *tag = next;

		next = tag + 1;
		if (next > end)
			return pass(XDP_COUNTER_passed_malformed);
		type = tag->type;
	}
	if (type == bpf_htons(ETH_P_IP))
		ports = parse_ip4(&key, next, end, &counter);
	else if (type == bpf_htons(ETH_P_IPV6))
		ports = parse_ip6(&key, next, end, &counter);
	if (!ports)
		return pass(counter);
	redirected =
	    key.protocol == IPPROTO_TCP ? XDP_COUNTER_redirected_tcp : XDP_COUNTER_redirected_udp;
	if (key.protocol == IPPROTO_ICMP || key.protocol == IPPROTO_ICMPV6) {
		redirected = XDP_COUNTER_redirected_icmp;
		ports = key.protocol == IPPROTO_ICMP ? quoted4(&key, (void *)ports, end)
		                                     : quoted6(&key, (void *)ports, end);
		if (!ports)
			return pass(XDP_COUNTER_passed_protocol);
		key.protocol = IPPROTO_TCP;
	} else if (key.protocol != IPPROTO_TCP && key.protocol != IPPROTO_UDP) {
		return pass(XDP_COUNTER_passed_protocol);
	}
	if ((void *)(ports + 1) > end)
		return pass(XDP_COUNTER_passed_malformed);
	/* of a quote, ours is the one it came from */
	key.port = redirected == XDP_COUNTER_redirected_icmp ? ports->source : ports->destination;
	if (!bpf_map_lookup_elem(&kante_listen, &key))
		return pass(XDP_COUNTER_passed_other);
	action = bpf_redirect_map(&xsks_map, context->rx_queue_index, XDP_PASS);
	if (action != XDP_REDIRECT)
		return pass(XDP_COUNTER_passed_no_socket);
	count(redirected);
	return action;
}

/* None of the helpers used here is for GPL programs only. */
char license_text[] SEC("license") = "Apache-2.0";
