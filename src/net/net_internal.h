/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of src/net only. */
#pragma once

#include "net/checksum.h"
#include "net/net.h"

#define ETH_HEADER_BYTES  14
#define ETH_TYPE_IP4      0x0800
#define ETH_TYPE_ARP      0x0806
#define ETH_TYPE_VLAN     0x8100
#define ETH_TYPE_IP6      0x86dd
#define ICMP_HEADER_BYTES 8
#define ICMP4_UNREACHABLE 3
#define ICMP6_UNREACHABLE 1
#define ICMP6_PARAMETER   4
#define ICMP_RATE_PER_S   100
#define ICMP_BURST        50

#define ARP_PROBE_COUNT 3
#define ANNOUNCE_COUNT  2
#define ND_PROBE_COUNT  1

/* A frame whose Ethernet header has been read. */
struct net_frame {
	const uint8_t *l3;
	uint32_t l3_length; /* to the end of the frame: padding included */
	const uint8_t *source_mac;
	uint16_t vlan;
	uint16_t flags; /* PACKET_… */
	bool multicast; /* sent to a group or to all */
	uint64_t flow;  /* as in struct net_input */
};

/* ip4.c, ip6.c, arp.c, nd.c, icmp.c: one frame of their kind. */
void ip4_input(struct net *net, const struct net_frame *frame, uint64_t now_us);
void ip6_input(struct net *net, const struct net_frame *frame, uint64_t now_us);
void arp_input(struct net *net, const struct net_frame *frame, uint64_t now_us);
void icmp4_input(struct net *net, const struct net_input *input, uint64_t now_us);
void icmp6_input(struct net *net, const struct net_frame *frame, const struct net_input *input,
                 uint8_t hop_limit, uint64_t now_us);
void nd_input(struct net *net, const struct net_frame *frame, const struct net_input *input,
              uint8_t hop_limit, uint64_t now_us);

/* net.c: a validated packet for one of our addresses goes to its transport. `packet` is the IP
 * header to the end of the packet, for quoting in an ICMP error. */
void net_deliver(struct net *net, const struct net_input *input, uint8_t protocol,
                 struct slice packet, uint64_t now_us);

/* Our address of that value, in any state, or NULL. */
struct net_address *net_address_find(struct net *net, const struct ip_address *address);

/* Somebody else uses this address of ours: gives it up when it was still being probed, else
 * defends it by at most one announcement in ten seconds (RFC 5227 2.4 (b)). */
void net_address_conflict(struct net *net, struct net_address *address, uint64_t now_us);

/* udp.c */
void udp_input(struct net *net, const struct net_input *input, struct slice packet,
               uint64_t now_us);

/* arp.c, nd.c: ask whether anybody has the address; say that it is ours. */
void arp_send_probe(struct net *net, const struct ip_address *address);
void arp_send_announcement(struct net *net, const struct ip_address *address);
void nd_send_probe(struct net *net, const struct ip_address *address);
void nd_send_announcement(struct net *net, const struct ip_address *address);

/* icmp.c: an unreachable message that quotes the packet: port, or protocol. */
void icmp_send_unreachable(struct net *net, const struct net_path *path, struct slice packet,
                           bool protocol_unknown, uint64_t now_us);

/* icmp_error.c: a checked ICMP or ICMPv6 message. False: it is no error about a TCP segment. */
bool icmp_error_input(struct net *net, const struct net_input *input, uint64_t now_us);

/* True when one more ICMP message may be sent now. */
bool icmp_take_token(struct net *net, uint64_t now_us);
