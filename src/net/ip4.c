/* SPDX-License-Identifier: Apache-2.0 */
/* IPv4 in (RFC 791, host rules of RFC 1122 3.2). */
#include "net/net_internal.h"

#define IP4_OPTION_END          0
#define IP4_OPTION_NOP          1
#define IP4_OPTION_LOOSE_ROUTE  131
#define IP4_OPTION_STRICT_ROUTE 137

/* Every option has a length that stays inside the header; source routes are refused (RFC 7126
 * 4.3, 4.4). What the options ask for is otherwise ignored. */
static bool options_valid(const uint8_t *option, uint32_t length)
{
	while (length > 0) {
		uint32_t option_length;

		if (option[0] == IP4_OPTION_END)
			return true;
		if (option[0] == IP4_OPTION_NOP) {
			option++;
			length--;
			continue;
		}
		if (length < 2)
			return false;
		option_length = option[1];
		if (option_length < 2 || option_length > length ||
		    option[0] == IP4_OPTION_LOOSE_ROUTE || option[0] == IP4_OPTION_STRICT_ROUTE)
			return false;
		option += option_length;
		length -= option_length;
	}
	return true;
}

/* The broadcast address of a network of ours. */
static bool is_broadcast(const struct port_options *port, uint32_t source)
{
	for (uint32_t i = 0; i < port->address_count; i++) {
		const struct ip_prefix *ours = &port->addresses[i];
		uint32_t host_bits = 128u - ours->length;

		if (ip_address_is_ip4(&ours->address) && host_bits >= 2 &&
		    source ==
		        (load_be32(ours->address.bytes + 12) | (uint32_t)((1ull << host_bits) - 1)))
			return true;
	}
	return false;
}

/* Not 0/8, loopback, a group, reserved, or a broadcast (RFC 1122 3.2.1.3). */
static bool source_is_unicast(const struct port_options *port, const uint8_t *source)
{
	if (source[0] == 0 || source[0] == 127 || source[0] >= 224)
		return false;
	return (source[3] & 1) == 0 || !is_broadcast(port, load_be32(source));
}

void ip4_input(struct net *net, const struct net_frame *frame, uint64_t now_us)
{
	const uint8_t *ip = frame->l3;
	struct net_input input;
	struct net_address *address;
	uint32_t header_bytes, total_bytes;

	if (frame->l3_length < 20 || (ip[0] >> 4) != 4)
		goto bad_header;
	header_bytes = (ip[0] & 0x0f) * 4u;
	total_bytes = load_be16(ip + 2);
	if (header_bytes < 20 || total_bytes < header_bytes || total_bytes > frame->l3_length)
		goto bad_header;
	if ((frame->flags & PACKET_CHECKSUM_BAD) ||
	    (!(frame->flags & PACKET_CHECKSUM_GOOD) &&
	     checksum_fold(header_bytes == 20 ? checksum_add(0, ip, 20) /* unrolled */
	                                      : checksum_add(0, ip, header_bytes)) != 0xffff)) {
		counter_add(&net->counters.ip4_bad_checksum, 1);
		return;
	}
	if (!options_valid(ip + 20, header_bytes - 20))
		goto bad_header;
	if (!source_is_unicast(net->port, ip + 12)) {
		counter_add(&net->counters.ip_bad_source, 1);
		return;
	}
	input = (struct net_input){
	    .path = {.net = net,
	             .local = ip_address_from_ip4(ip + 16),
	             .remote = ip_address_from_ip4(ip + 12),
	             .vlan = frame->vlan},
	    .l4 = ip + header_bytes,
	    .l4_length = (uint16_t)(total_bytes - header_bytes),
	    .flow = frame->flow,
	    .checksum_known = (frame->flags & PACKET_CHECKSUM_GOOD) != 0,
	};
	address = net_address_find(net, &input.path.local);
	if (address == NULL || address->state != NET_ADDRESS_READY || frame->multicast) {
		counter_add(&net->counters.ip_not_ours, 1);
		return;
	}
	if ((load_be16(ip + 6) & 0x3fff) != 0) { /* more to come, or an offset */
		counter_add(&net->counters.ip_fragments, 1);
		return;
	}
	memcpy(input.path.peer_mac, frame->source_mac, 6);
	if (ip[9] == IP_PROTOCOL_ICMP)
		icmp4_input(net, &input, now_us);
	else
		net_deliver(net, &input, ip[9], (struct slice){ip, total_bytes}, now_us);
	return;

bad_header:
	counter_add(&net->counters.ip4_bad_header, 1);
}
