/* SPDX-License-Identifier: Apache-2.0 */
/* IP over one netif: Ethernet, ARP, neighbour discovery, IPv4, IPv6, ICMP and UDP, server side
 * only.
 *
 * There is no routing table: a reply goes to the MAC address that the request came from.
 * Owner: one worker. Time comes in; nothing is kept of a received frame. */
#pragma once

#include "base/assert.h"
#include "base/counter.h"
#include "base/random.h"
#include "net/blocked.h"
#include "net/netif.h"
#include "net/port.h"

#define NET_NO_VLAN       0x7fffu
#define IP4_HEADER_BYTES  20
#define IP6_HEADER_BYTES  40
#define UDP_HEADER_BYTES  8
#define NET_HEADERS_MAX   58 /* Ethernet 14, tag 4, IPv6 40 */
#define IP_PROTOCOL_ICMP  1
#define IP_PROTOCOL_TCP   6
#define IP_PROTOCOL_UDP   17
#define IP_PROTOCOL_ICMP6 58

/* name, unit, kind, help */
#define NET_COUNTERS(X)                                                                            \
	X(frames_received, "frames", COUNTER_TOTAL, "Frames that came in")                         \
	X(frames_sent, "frames", COUNTER_TOTAL, "Frames given to the device")                      \
	X(no_packet_memory, "frames", COUNTER_TOTAL, "Not sent now: no memory, or device behind")  \
	X(eth_short, "frames", COUNTER_TOTAL, "Dropped: shorter than its headers")                 \
	X(eth_not_ours, "frames", COUNTER_TOTAL, "Dropped: for another MAC address")               \
	X(eth_unknown_type, "frames", COUNTER_TOTAL, "Dropped: neither IP nor ARP, or two tags")   \
	X(arp_bad, "frames", COUNTER_TOTAL, "Dropped: malformed ARP")                              \
	X(arp_replies_sent, "frames", COUNTER_TOTAL, "ARP requests answered")                      \
	X(address_conflicts, "frames", COUNTER_TOTAL, "Another node claimed an address of ours")   \
	X(ip4_bad_header, "packets", COUNTER_TOTAL, "Dropped: IPv4 version, lengths or options")   \
	X(ip4_bad_checksum, "packets", COUNTER_TOTAL, "Dropped: IPv4 header checksum")             \
	X(ip6_bad_header, "packets", COUNTER_TOTAL,                                                \
	  "Dropped: IPv6 version, lengths or extensions")                                          \
	X(ip_bad_source, "packets", COUNTER_TOTAL, "Dropped: source is no unicast address")        \
	X(ip_not_ours, "packets", COUNTER_TOTAL, "Dropped: for another IP address")                \
	X(ip_fragments, "packets", COUNTER_TOTAL, "Dropped: fragments")                            \
	X(ip_blocked, "packets", COUNTER_TOTAL, "Dropped: the source is on the block list")        \
	X(ip_unknown_protocol, "packets", COUNTER_TOTAL, "Dropped: neither TCP, UDP nor ICMP")     \
	X(icmp_bad, "packets", COUNTER_TOTAL, "Dropped: malformed ICMP")                           \
	X(icmp_echo_replies_sent, "packets", COUNTER_TOTAL, "Echo requests answered")              \
	X(icmp_errors_sent, "packets", COUNTER_TOTAL, "Unreachable messages sent")                 \
	X(icmp_errors_received, "packets", COUNTER_TOTAL, "ICMP errors about TCP segments")        \
	X(icmp_rate_limited, "packets", COUNTER_TOTAL, "ICMP not sent: over the rate limit")       \
	X(icmp_ignored, "packets", COUNTER_TOTAL, "Dropped: ICMP that asks nothing of a server")   \
	X(nd_bad, "packets", COUNTER_TOTAL, "Dropped: malformed neighbour discovery")              \
	X(nd_replies_sent, "packets", COUNTER_TOTAL, "Neighbour solicitations answered")           \
	X(udp_bad_length, "packets", COUNTER_TOTAL, "Dropped: UDP length")                         \
	X(udp_bad_checksum, "packets", COUNTER_TOTAL, "Dropped: UDP checksum")                     \
	X(udp_no_port, "packets", COUNTER_TOTAL, "Dropped: UDP to a port nobody serves")           \
	X(udp_not_allowed, "packets", COUNTER_TOTAL, "Dropped: UDP source not in `allow`")

struct net_counters {
	NET_COUNTERS(COUNTER_FIELD)
};

struct net;

/* Between which two addresses, and over which wire: enough to answer. */
struct net_path {
	struct net *net;
	struct ip_address local;
	struct ip_address remote;
	uint8_t peer_mac[6];
	uint16_t vlan : 15;        /* VLAN identifier, or NET_NO_VLAN */
	uint16_t may_fragment : 1; /* routers may cut up what is sent (IPv4) */
};

/* One packet for a transport, its IP header validated. Valid during the call only. */
struct net_input {
	struct net_path path;
	const uint8_t *l4;   /* the transport header */
	uint16_t l4_length;  /* bytes of header and payload */
	bool checksum_known; /* the device has verified the transport checksum */
	uint64_t flow;       /* what net_user.foresee() has returned for it, or 0 */
};

/* Somebody on the way says that a TCP segment of ours did not get through. Valid during the call
 * only, and not to be believed: anybody can have sent it. */
struct net_error {
	struct net_path path;  /* of the quoted packet; without a MAC address */
	const uint8_t *l4;     /* 8 bytes of the segment */
	uint16_t packet_bytes; /* how long the packet was, IP header included */
	bool too_big;
	uint16_t mtu; /* when too big: what would have passed */
};

/* Who gets what is for us. */
struct net_user {
	/* A TCP segment; its checksum is not verified unless checksum_known. */
	void (*segment)(void *context, const struct net_input *input, uint64_t now_us);
	/* A UDP datagram to the port we serve, from an allowed source, checksum verified. */
	void (*datagram)(void *context, const struct net_input *input, uint16_t source_port,
	                 struct slice payload, uint64_t now_us);
	/* An ICMP error about a TCP segment. */
	void (*error)(void *context, const struct net_error *error, uint64_t now_us);
	/* A segment or datagram, its headers unchecked, is in the burst that comes next. Returns
	 * what stands for the two it goes between; 0: nothing does. NULL: nobody wants to know. */
	uint64_t (*foresee)(void *context, const struct net_path *path, uint8_t protocol,
	                    struct slice l4);
	/* Brings what will be needed for the burst near, some of the flows 0. Called with step 0,
	 * then with 1: what the calls before have asked for is there by then. */
	void (*prefetch)(void *context, const uint64_t *flows, uint32_t count, uint32_t step);
	/* The burst is over, and its bytes are gone. */
	void (*forget)(void *context);
	void *context;
};

enum net_address_state {
	NET_ADDRESS_PROBING,   /* asked whether anybody has it (RFC 5227 2.1, RFC 4862 5.4) */
	NET_ADDRESS_READY,     /* ours */
	NET_ADDRESS_DUPLICATE, /* somebody else has it: not used */
};

struct net_address {
	struct ip_address address;
	uint8_t state;
	uint8_t sent_count; /* of the current state's probes or announcements */
	uint64_t next_us;   /* when to send the next one */
	uint64_t defended_us;
};

struct net {
	struct netif *netif;
	struct net_user user;
	const struct port_options *port;
	const struct blocked *blocked; /* the user's to change; NULL: nobody is */
	struct random random;
	struct net_address addresses[PORT_ADDRESS_COUNT_MAX];
	uint32_t address_count;
	bool kernel_answers;     /* xdp: the kernel does ARP, neighbour discovery and echoes */
	bool is_full;            /* in this turn: no packet memory, or the device is behind */
	uint64_t next_us;        /* earliest next_us of the addresses */
	uint16_t identification; /* of the next IPv4 packet that may be cut up (RFC 6864 4.2) */
	uint64_t icmp_tokens;
	uint64_t icmp_refill_us;
	struct net_counters counters;
};

struct net_options {
	const struct port_options *port; /* stays where it is */
	bool probe; /* look for duplicates first: one worker a port does, and announces */
	uint64_t random_seed;
};

void net_create(struct net *net, struct netif *netif, const struct net_options *options,
                const struct net_user *user, uint64_t now_us);

/* Whether this source is on the block list; counted if it is. */
bool net_blocks(struct net *net, const struct ip_address *source);

/* Begins a turn: takes in one burst. Gives the frames back to the netif. Returns how many there
 * were. */
uint32_t net_poll(struct net *net, uint64_t now_us);

/* Sends what is due: probes, announcements. */
void net_advance(struct net *net, uint64_t now_us);

/* True when the port's allow list lets this source in. */
bool net_allows(const struct net *net, const struct ip_address *source);

/* Bytes of transport header and payload that one packet on this path can carry. */
uint16_t net_path_l4_max(const struct net_path *path);

/* Starts a packet: Ethernet and IP headers are written, save for lengths and checksums. Returns
 * where the transport header goes, or NULL (counted) when there is no packet memory. */
uint8_t *net_packet_begin(const struct net_path *path, uint8_t protocol, struct packet *ret_packet);

/* TCP payload that one packet on this path may carry beyond what net_path_l4_max() lets through:
 * the device cuts it up into packet->segment_bytes each. 0: it does not. */
uint32_t net_path_large_bytes(const struct net_path *path);

/* Adds payload to a packet whose headers end at `payload`: `length` bytes of a chain from the
 * cursor on, which moves. Copied, or left where they are, as the device can and as is the cheaper.
 * False: no packet memory (counted); the packet is given back, the cursor has not moved. */
bool net_packet_append(const struct net_path *path, struct packet *packet, uint8_t *payload,
                       const struct chain *chain, struct chain_cursor *cursor, uint32_t length);

/* Completes and queues it: lengths, IP and transport checksums (`checksum_offset` is where the
 * transport keeps its own, zero so far). l4_length: bytes of transport header and payload. Headers
 * are best stored in words of four bytes: as they are read again here, right away. */
void net_packet_finish(const struct net_path *path, uint8_t protocol, struct packet *packet,
                       uint16_t l4_length, uint16_t checksum_offset);

/* It is not to be sent. */
void net_packet_drop(const struct net_path *path, struct packet *packet);

/* Room for the payload of a UDP datagram, as much as the path's MTU lets it be. NULL: no packet
 * memory (counted). */
uint8_t *net_datagram_begin(const struct net_path *path, struct packet *ret_packet);

/* Completes and queues it. */
void net_datagram_finish(const struct net_path *path, uint16_t source_port,
                         uint16_t destination_port, struct packet *packet, uint16_t payload_bytes);

/* True when the L4 checksum of a received packet, whose header and payload have so many bytes, is
 * right. */
bool net_input_checksum_ok(const struct net_input *input, uint8_t protocol, uint16_t l4_length);
