/* SPDX-License-Identifier: Apache-2.0 */
/* What a frame is, as far as it has to be known to decide whose it is. */
#pragma once

#include "xdp/maps.bpf.h"

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>

#define IP4_FRAGMENT_BITS 0x3fff /* more fragments, or an offset (RFC 791 3.1) */
#define ICMP4_UNREACHABLE 3
#define ICMP4_TOO_BIG     4 /* code of that type (RFC 1191 4) */
#define ICMP6_TOO_BIG     2 /* RFC 4443 3.2 */
#define VLAN_ID_MASK      0x0fff

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

struct frame {
	/* IPv4 addresses are IPv4-mapped, as in the key; both are looked at by words, too */
	_Alignas(8) __u8 source[16];
	struct xdp_listen_key key; /* where to */
	__u32 l3, l4;              /* where these headers begin */
	__u32 l4_bytes;            /* by the IP header */
	__be16 vlan;               /* VLAN identifier; only where l3 says that there is a tag */
	__u8 is_ip4;
	__u8 source_mac[ETH_ALEN];
};

/* Returns what follows the IP header; NULL when the frame is the kernel's, with *ret_counter saying
 * why. */
static __always_inline void *parse_ip4(struct frame *frame, struct iphdr *ip, void *end,
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
	frame->is_ip4 = 1;
	frame->key.address[10] = frame->source[10] = 0xff;
	frame->key.address[11] = frame->source[11] = 0xff;
	__builtin_memcpy(frame->key.address + 12, &ip->daddr, 4);
	__builtin_memcpy(frame->source + 12, &ip->saddr, 4);
	frame->key.protocol = ip->protocol;
	frame->l4 = frame->l3 + ip->ihl * 4;
	frame->l4_bytes = bpf_ntohs(ip->tot_len) - ip->ihl * 4; /* if less than 0: far too many */
	return (void *)ip + ip->ihl * 4;
}

static __always_inline void *parse_ip6(struct frame *frame, struct ipv6hdr *ip, void *end,
                                       __u32 *ret_counter)
{
	if ((void *)(ip + 1) > end || ip->version != 6) {
		*ret_counter = XDP_COUNTER_passed_malformed;
		return NULL;
	}
	__builtin_memcpy(frame->key.address, &ip->daddr, 16);
	__builtin_memcpy(frame->source, &ip->saddr, 16);
	frame->key.protocol = ip->nexthdr;
	frame->l4 = frame->l3 + sizeof(*ip);
	frame->l4_bytes = bpf_ntohs(ip->payload_len);
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

/* Where it is for, ports included, and *ret_redirected, what to count when that is us; false: it is
 * the kernel's, and *ret_counter says why. */
static __always_inline bool parse_frame(struct xdp_md *context, struct frame *frame,
                                        __u32 *ret_redirected, __u32 *ret_counter)
{
	void *end = (void *)(long)context->data_end;
	struct ethhdr *ethernet = (void *)(long)context->data;
	void *next = ethernet + 1;
	struct ports *ports = NULL;
	__u32 redirected;
	__be16 type;

	*ret_counter = XDP_COUNTER_passed_malformed;
	if (next > end)
		return false;
	type = ethernet->h_proto;
	if (type == bpf_htons(ETH_P_8021Q)) {
		struct vlan_tag *tag = next;

		next = tag + 1;
		if (next > end)
			return false;
		type = tag->type;
		frame->vlan = tag->control & bpf_htons(VLAN_ID_MASK);
	}
	frame->l3 = next - (void *)ethernet;
	__builtin_memcpy(frame->source_mac, ethernet->h_source, ETH_ALEN);
	*ret_counter = XDP_COUNTER_passed_not_ip;
	if (type == bpf_htons(ETH_P_IP))
		ports = parse_ip4(frame, next, end, ret_counter);
	else if (type == bpf_htons(ETH_P_IPV6))
		ports = parse_ip6(frame, next, end, ret_counter);
	if (!ports)
		return false;
	*ret_counter = XDP_COUNTER_passed_protocol;
	redirected = frame->key.protocol == IPPROTO_TCP ? XDP_COUNTER_redirected_tcp
	                                                : XDP_COUNTER_redirected_udp;
	if (frame->key.protocol == IPPROTO_ICMP || frame->key.protocol == IPPROTO_ICMPV6) {
		redirected = XDP_COUNTER_redirected_icmp;
		ports = frame->key.protocol == IPPROTO_ICMP
		            ? quoted4(&frame->key, (void *)ports, end)
		            : quoted6(&frame->key, (void *)ports, end);
		if (!ports)
			return false;
		frame->key.protocol = IPPROTO_TCP;
	} else if (frame->key.protocol != IPPROTO_TCP && frame->key.protocol != IPPROTO_UDP) {
		return false;
	}
	*ret_counter = XDP_COUNTER_passed_malformed;
	if ((void *)(ports + 1) > end)
		return false;
	/* of a quote, ours is the one it came from */
	frame->key.port =
	    redirected == XDP_COUNTER_redirected_icmp ? ports->source : ports->destination;
	*ret_redirected = redirected;
	return true;
}
