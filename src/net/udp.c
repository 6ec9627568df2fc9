/* SPDX-License-Identifier: Apache-2.0 */
/* UDP (RFC 768, RFC 8200 8.1). */
#include "net/net_internal.h"

#define UDP_HEADER_BYTES    8
#define UDP_CHECKSUM_OFFSET 6

void udp_input(struct net *net, const struct net_input *input, struct slice packet, uint64_t now_us)
{
	const uint8_t *udp = input->l4;
	struct net_input datagram = *input;
	uint16_t udp_bytes;
	bool no_checksum;

	if (input->l4_length < UDP_HEADER_BYTES)
		goto bad_length;
	udp_bytes = load_be16(udp + 4);
	if (udp_bytes < UDP_HEADER_BYTES || udp_bytes > input->l4_length)
		goto bad_length;
	/* IPv4 lets a sender leave the checksum out; IPv6 does not */
	no_checksum = load_be16(udp + UDP_CHECKSUM_OFFSET) == 0;
	datagram.l4_length = udp_bytes;
	if (no_checksum ? !ip_address_is_ip4(&input->path.local)
	                : !net_input_checksum_ok(&datagram, IP_PROTOCOL_UDP)) {
		counter_add(&net->counters.udp_bad_checksum, 1);
		return;
	}
	if (net->port->udp_port == 0 || load_be16(udp + 2) != net->port->udp_port) {
		counter_add(&net->counters.udp_no_port, 1);
		icmp_send_unreachable(net, &input->path, packet, false, now_us);
		return;
	}
	if (!net_allows(net, &input->path.remote)) {
		counter_add(&net->counters.udp_not_allowed, 1);
		return;
	}
	net->user.datagram(net->user.context, &datagram, load_be16(udp),
	                   (struct slice){udp + UDP_HEADER_BYTES, udp_bytes - UDP_HEADER_BYTES},
	                   now_us);
	return;

bad_length:
	counter_add(&net->counters.udp_bad_length, 1);
}

bool net_send_datagram(const struct net_path *path, uint16_t source_port, uint16_t destination_port,
                       struct slice head, struct slice body)
{
	uint16_t udp_bytes = (uint16_t)(UDP_HEADER_BYTES + head.length + body.length);
	struct packet packet;
	uint8_t *udp;

	ASSERT(udp_bytes <= net_path_l4_max(path));
	udp = net_packet_begin(path, IP_PROTOCOL_UDP, &packet);
	if (udp == NULL)
		return false;
	store_be16(udp, source_port);
	store_be16(udp + 2, destination_port);
	store_be16(udp + 4, udp_bytes);
	memcpy(udp + UDP_HEADER_BYTES, head.data, head.length);
	memcpy(udp + UDP_HEADER_BYTES + head.length, body.data, body.length);
	net_packet_finish(path, IP_PROTOCOL_UDP, &packet, udp_bytes, UDP_CHECKSUM_OFFSET);
	return true;
}
