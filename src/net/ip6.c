/* SPDX-License-Identifier: Apache-2.0 */
/* IPv6 in (RFC 8200). */
#include "net/net_internal.h"

#define IP6_HOP_BY_HOP    0
#define IP6_ROUTING       43
#define IP6_FRAGMENT      44
#define IP6_DESTINATION   60
#define IP6_EXTENSION_MAX 8 /* headers in one packet; real ones have one or two */

enum extension_verdict {
	EXTENSIONS_DONE,
	EXTENSIONS_BAD,
	EXTENSIONS_FRAGMENT,
};

/* Options of hop-by-hop and destination headers: each inside its header; one that we do not know
 * and that says "discard" (its two highest bits are not 00, RFC 8200 4.2) refuses the packet. */
static bool options_valid(const uint8_t *option, uint32_t length)
{
	while (length > 0) {
		if (option[0] == 0) { /* Pad1 */
			option++;
			length--;
			continue;
		}
		if (length < 2 || option[1] + 2u > length)
			return false;
		if (option[0] != 1 && (option[0] >> 6) != 0)
			return false;
		length -= option[1] + 2u;
		option += option[1] + 2u;
	}
	return true;
}

/* Walks to the transport header. */
static enum extension_verdict extensions_skip(struct slice *rest, uint8_t *next_header)
{
	for (int count = 0; count <= IP6_EXTENSION_MAX; count++) {
		uint8_t kind = *next_header;
		uint32_t bytes;

		if (kind != IP6_HOP_BY_HOP && kind != IP6_ROUTING && kind != IP6_FRAGMENT &&
		    kind != IP6_DESTINATION)
			return EXTENSIONS_DONE;
		if (rest->length < 8 || (kind == IP6_HOP_BY_HOP && count > 0))
			return EXTENSIONS_BAD;
		bytes = kind == IP6_FRAGMENT ? 8 : (rest->data[1] + 1u) * 8;
		if (bytes > rest->length)
			return EXTENSIONS_BAD;
		/* an atomic fragment is whole (RFC 6946) */
		if (kind == IP6_FRAGMENT && (load_be16(rest->data + 2) & 0xfff9) != 0)
			return EXTENSIONS_FRAGMENT;
		if (kind == IP6_ROUTING && rest->data[3] != 0) /* segments left: not for a host */
			return EXTENSIONS_BAD;
		if ((kind == IP6_HOP_BY_HOP || kind == IP6_DESTINATION) &&
		    !options_valid(rest->data + 2, bytes - 2))
			return EXTENSIONS_BAD;
		*next_header = rest->data[0];
		rest->data += bytes;
		rest->length -= bytes;
	}
	return EXTENSIONS_BAD;
}

static bool is_unspecified(const uint8_t *address)
{
	static const uint8_t zero[16];

	return memcmp(address, zero, 16) == 0;
}

/* Neither a group, nor loopback, nor a mapped IPv4 address (which would be taken for one). The
 * unspecified address is good for ICMPv6 alone: duplicate address detection. */
static bool source_is_valid(const uint8_t *source, uint8_t protocol)
{
	static const uint8_t loopback[16] = {[15] = 1};

	if (source[0] == 0xff || memcmp(source, loopback, 16) == 0 ||
	    memcmp(source, ip4_mapped_prefix, 12) == 0)
		return false;
	return protocol == IP_PROTOCOL_ICMP6 || !is_unspecified(source);
}

void ip6_input(struct net *net, const struct net_frame *frame, uint64_t now_us)
{
	const uint8_t *ip = frame->l3;
	struct net_address *address;
	struct net_input input;
	struct slice rest, packet;
	uint8_t protocol;

	if (frame->l3_length < IP6_HEADER_BYTES || (ip[0] >> 4) != 6)
		goto bad_header;
	rest = (struct slice){ip + IP6_HEADER_BYTES, load_be16(ip + 4)};
	if (rest.length > frame->l3_length - IP6_HEADER_BYTES)
		goto bad_header;
	packet = (struct slice){ip, IP6_HEADER_BYTES + rest.length};
	protocol = ip[6];
	switch (extensions_skip(&rest, &protocol)) {
	case EXTENSIONS_DONE: break;
	case EXTENSIONS_BAD: goto bad_header;
	case EXTENSIONS_FRAGMENT: counter_add(&net->counters.ip_fragments, 1); return;
	}
	/* a mapped IPv4 address would be taken for one */
	if (memcmp(ip + 24, ip4_mapped_prefix, 12) == 0) {
		counter_add(&net->counters.ip_not_ours, 1);
		return;
	}
	if (!source_is_valid(ip + 8, protocol)) {
		counter_add(&net->counters.ip_bad_source, 1);
		return;
	}
	input = (struct net_input){
	    .path = {.net = net,
	             .local = ip_address_from_ip6(ip + 24),
	             .remote = ip_address_from_ip6(ip + 8),
	             .vlan = frame->vlan},
	    .l4 = rest.data,
	    .l4_length = (uint16_t)rest.length,
	    .flow = frame->flow,
	    .checksum_known = (frame->flags & PACKET_CHECKSUM_GOOD) != 0,
	};
	memcpy(input.path.peer_mac, frame->source_mac, 6);
	if (protocol == IP_PROTOCOL_ICMP6) {
		icmp6_input(net, frame, &input, ip[7], now_us);
		return;
	}
	address = net_address_find(net, &input.path.local);
	if (address == NULL || address->state != NET_ADDRESS_READY || frame->multicast) {
		counter_add(&net->counters.ip_not_ours, 1);
		return;
	}
	net_deliver(net, &input, protocol, packet, now_us);
	return;

bad_header:
	counter_add(&net->counters.ip6_bad_header, 1);
}
