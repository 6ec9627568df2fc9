/* SPDX-License-Identifier: Apache-2.0 */
/* UDP (RFC 768, RFC 8200 8.1). */
#include "net/net_internal.h"

#define UDP_CHECKSUM_OFFSET 6

void udp_input(struct net *net, const struct net_input *input, struct slice packet, uint64_t now_us)
{
	const uint8_t *udp = input->l4;
	uint16_t udp_bytes;
	bool no_checksum;

	if (input->l4_length < UDP_HEADER_BYTES)
		goto bad_length;
	udp_bytes = load_be16(udp + 4);
	if (udp_bytes < UDP_HEADER_BYTES || udp_bytes > input->l4_length)
		goto bad_length;
	/* IPv4 lets a sender leave the checksum out; IPv6 does not */
	no_checksum = load_be16(udp + UDP_CHECKSUM_OFFSET) == 0;
	if (no_checksum ? !ip_address_is_ip4(&input->path.local)
	                : !net_input_checksum_ok(input, IP_PROTOCOL_UDP, udp_bytes)) {
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
	net->user.datagram(net->user.context, input, load_be16(udp),
	                   (struct slice){udp + UDP_HEADER_BYTES, udp_bytes - UDP_HEADER_BYTES},
	                   now_us);
	return;

bad_length:
	counter_add(&net->counters.udp_bad_length, 1);
}

uint8_t *net_datagram_begin(const struct net_path *path, struct packet *ret_packet)
{
	uint8_t *udp = net_packet_begin(path, IP_PROTOCOL_UDP, ret_packet);

	return udp == NULL ? NULL : udp + UDP_HEADER_BYTES;
}

void net_datagram_finish(const struct net_path *path, uint16_t source_port,
                         uint16_t destination_port, struct packet *packet, uint16_t payload_bytes)
{
	uint8_t *udp = packet->data + packet->l2_length + packet->l3_length;
	uint16_t udp_bytes = UDP_HEADER_BYTES + payload_bytes;

	ASSERT(udp_bytes <= net_path_l4_max(path));
	store_be32(udp, (uint32_t)source_port << 16 | destination_port);
	store_be32(udp + 4, (uint32_t)udp_bytes << 16);
	net_packet_finish(path, IP_PROTOCOL_UDP, packet, udp_bytes, UDP_CHECKSUM_OFFSET);
}
