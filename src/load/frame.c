/* SPDX-License-Identifier: Apache-2.0 */
#include "load/frame.h"

#define ETHERNET_BYTES    14
#define TAG_BYTES         4
#define IP4_BYTES         20
#define IP6_BYTES         40
#define UDP_BYTES         8
#define TCP_BYTES_MIN     20
#define ARP_BYTES         28
#define NEIGHBOUR_BYTES   24 /* without options */
#define LINK_OPTION_BYTES 8

#define TYPE_IP4 0x0800
#define TYPE_ARP 0x0806
#define TYPE_TAG 0x8100
#define TYPE_IP6 0x86dd

#define PROTOCOL_ICMP4 1
#define PROTOCOL_ICMP6 58

#define ARP_REQUEST             1
#define ARP_REPLY               2
#define NEIGHBOUR_SOLICITATION  135
#define NEIGHBOUR_ADVERTISEMENT 136
#define OPTION_SOURCE_LINK      1
#define OPTION_TARGET_LINK      2
#define FLAG_SOLICITED          0x40000000u
#define FLAG_OVERRIDE           0x20000000u
#define HOPS                    64
#define HOPS_NEIGHBOUR          255 /* RFC 4861 7.1: proof that no router was in between */

static const uint8_t arp_head[6] = {0, 1, 8, 0, 6, 4}; /* Ethernet, IPv4, their lengths */
static const uint8_t broadcast_mac[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const struct ip_address all_nodes = {{0xff, 2, [15] = 1}};

/* Ones' complement sum, eight bytes at a time in memory order with the carry added back (RFC 1071
 * 2). All parts of one sum but the last have an even length. */
static uint64_t sum_add(uint64_t sum, const uint8_t *data, size_t length)
{
	uint64_t word;

	for (; length >= 8; data += 8, length -= 8) {
		memcpy(&word, data, 8);
		sum += word;
		sum += sum < word;
	}
	word = 0;
	memcpy(&word, data, length);
	sum += word;
	return sum + (sum < word);
}

static uint16_t sum_fold(uint64_t sum)
{
	while (sum >> 16 != 0)
		sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)sum;
}

/* The sum of pseudo-header and transport, the checksum field as it stands (RFC 9293 3.1, RFC 768,
 * RFC 8200 8.1): all ones when a received packet is right. */
static uint16_t transport_sum(const struct ip_address *source, const struct ip_address *destination,
                              uint8_t protocol, const uint8_t *l4, size_t l4_bytes)
{
	uint8_t pseudo[40] = {0};

	if (ip_address_is_ip4(destination)) {
		memcpy(pseudo, source->bytes + 12, 4);
		memcpy(pseudo + 4, destination->bytes + 12, 4);
		pseudo[9] = protocol;
		store_be16(pseudo + 10, (uint16_t)l4_bytes);
		return sum_fold(sum_add(sum_add(0, pseudo, 12), l4, l4_bytes));
	}
	memcpy(pseudo, source->bytes, 16);
	memcpy(pseudo + 16, destination->bytes, 16);
	store_be32(pseudo + 32, (uint32_t)l4_bytes);
	pseudo[39] = protocol;
	return sum_fold(sum_add(sum_add(0, pseudo, 40), l4, l4_bytes));
}

static uint8_t *ethernet_write(uint8_t *to, const uint8_t *destination_mac,
                               const uint8_t *source_mac, uint16_t vlan, uint16_t type)
{
	memcpy(to, destination_mac, 6);
	memcpy(to + 6, source_mac, 6);
	to += 12;
	if (vlan != FRAME_NO_VLAN) {
		store_be16(to, TYPE_TAG);
		store_be16(to + 2, vlan);
		to += TAG_BYTES;
	}
	store_be16(to, type);
	return to + 2;
}

uint8_t *frame_begin(uint8_t *to, const struct frame_path *path, uint8_t protocol)
{
	bool ip4 = ip_address_is_ip4(&path->remote);
	uint8_t *ip = ethernet_write(to, path->remote_mac, path->local_mac, path->vlan,
	                             ip4 ? TYPE_IP4 : TYPE_IP6);

	if (ip4) {
		memset(ip, 0, 12);
		ip[0] = 0x45;
		ip[6] = 0x40; /* do not fragment */
		ip[8] = HOPS;
		ip[9] = protocol;
		memcpy(ip + 12, path->local.bytes + 12, 4);
		memcpy(ip + 16, path->remote.bytes + 12, 4);
		return ip + IP4_BYTES;
	}
	memset(ip, 0, 8);
	ip[0] = 0x60;
	ip[6] = protocol;
	ip[7] = protocol == PROTOCOL_ICMP6 ? HOPS_NEIGHBOUR : HOPS;
	memcpy(ip + 8, path->local.bytes, 16);
	memcpy(ip + 24, path->remote.bytes, 16);
	return ip + IP6_BYTES;
}

static uint32_t checksum_offset(uint8_t protocol)
{
	switch (protocol) {
	case FRAME_PROTOCOL_TCP: return 16;
	case FRAME_PROTOCOL_UDP: return 6;
	default: return 2; /* ICMP and ICMPv6 */
	}
}

uint32_t frame_finish(uint8_t *to, const struct frame_path *path, uint8_t protocol,
                      uint32_t l4_bytes)
{
	bool ip4 = ip_address_is_ip4(&path->remote);
	uint8_t *ip = to + ETHERNET_BYTES + (path->vlan == FRAME_NO_VLAN ? 0 : TAG_BYTES);
	uint8_t *l4 = ip + (ip4 ? IP4_BYTES : IP6_BYTES);
	uint8_t *field = l4 + checksum_offset(protocol);
	uint16_t sum;

	memset(field, 0, 2);
	if (protocol == PROTOCOL_ICMP4) /* without a pseudo-header: RFC 792 */
		sum = (uint16_t)~sum_fold(sum_add(0, l4, l4_bytes));
	else
		sum = (uint16_t)~transport_sum(&path->local, &path->remote, protocol, l4, l4_bytes);
	if (sum == 0 && protocol == FRAME_PROTOCOL_UDP) /* zero would say "no checksum" */
		sum = 0xffff;
	memcpy(field, &sum, 2);
	if (ip4) {
		store_be16(ip + 2, (uint16_t)(IP4_BYTES + l4_bytes));
		memset(ip + 10, 0, 2);
		sum = (uint16_t)~sum_fold(sum_add(0, ip, IP4_BYTES));
		memcpy(ip + 10, &sum, 2);
	} else {
		store_be16(ip + 4, (uint16_t)l4_bytes);
	}
	return (uint32_t)(l4 - to) + l4_bytes;
}

uint32_t frame_build_udp(uint8_t *to, const struct frame_path *path, uint16_t source_port,
                         uint16_t destination_port, struct slice payload)
{
	uint8_t *udp = frame_begin(to, path, FRAME_PROTOCOL_UDP);

	store_be16(udp, source_port);
	store_be16(udp + 2, destination_port);
	store_be16(udp + 4, (uint16_t)(UDP_BYTES + payload.length));
	memcpy(udp + UDP_BYTES, payload.data, payload.length);
	return frame_finish(to, path, FRAME_PROTOCOL_UDP, UDP_BYTES + (uint32_t)payload.length);
}

/* The sender is always us. */
static uint32_t arp_write(uint8_t *to, const struct frame_path *path, uint16_t operation,
                          const uint8_t *destination_mac, const uint8_t *target_mac,
                          const uint8_t *target_ip)
{
	uint8_t *arp = ethernet_write(to, destination_mac, path->local_mac, path->vlan, TYPE_ARP);

	memcpy(arp, arp_head, 6);
	store_be16(arp + 6, operation);
	memcpy(arp + 8, path->local_mac, 6);
	memcpy(arp + 14, path->local.bytes + 12, 4);
	memcpy(arp + 18, target_mac, 6);
	memcpy(arp + 24, target_ip, 4);
	return (uint32_t)(arp + ARP_BYTES - to);
}

/* `path` goes from us to whoever is to hear it. */
static uint32_t neighbour_write(uint8_t *to, const struct frame_path *path, uint8_t type,
                                uint32_t flags, const struct ip_address *target)
{
	uint8_t *message = frame_begin(to, path, PROTOCOL_ICMP6);

	message[0] = type;
	message[1] = 0;
	store_be32(message + 4, flags);
	memcpy(message + 8, target->bytes, 16);
	message[24] = type == NEIGHBOUR_SOLICITATION ? OPTION_SOURCE_LINK : OPTION_TARGET_LINK;
	message[25] = 1; /* in units of eight bytes */
	memcpy(message + 26, path->local_mac, 6);
	return frame_finish(to, path, PROTOCOL_ICMP6, NEIGHBOUR_BYTES + LINK_OPTION_BYTES);
}

static void group_set(struct frame_path *path, const struct ip_address *group)
{
	path->remote = *group;
	path->remote_mac[0] = 0x33; /* RFC 2464 7 */
	path->remote_mac[1] = 0x33;
	memcpy(path->remote_mac + 2, group->bytes + 12, 4);
}

uint32_t frame_build_question(uint8_t *to, const struct frame_path *path)
{
	static const uint8_t unknown_mac[6];
	/* RFC 4291 2.7.1: the solicited-node group */
	struct ip_address group = {{0xff, 2, [11] = 1, [12] = 0xff}};
	struct frame_path to_group = *path;

	if (ip_address_is_ip4(&path->remote))
		return arp_write(to, path, ARP_REQUEST, broadcast_mac, unknown_mac,
		                 path->remote.bytes + 12);
	memcpy(group.bytes + 13, path->remote.bytes + 13, 3);
	group_set(&to_group, &group);
	return neighbour_write(to, &to_group, NEIGHBOUR_SOLICITATION, 0, &path->remote);
}

/* The link-layer address option of that kind, or NULL: none, or options malformed. */
static const uint8_t *link_option(const struct frame *frame, uint8_t kind)
{
	struct slice rest = {frame->l4.data + NEIGHBOUR_BYTES, frame->l4.length - NEIGHBOUR_BYTES};

	while (rest.length >= LINK_OPTION_BYTES) {
		size_t bytes = rest.data[1] * 8u;

		if (bytes == 0 || bytes > rest.length)
			return NULL;
		if (rest.data[0] == kind)
			return rest.data + 2;
		rest.data += bytes;
		rest.length -= bytes;
	}
	return NULL;
}

bool frame_resolves(const struct frame *frame, const struct frame_path *path, uint8_t ret_mac[6])
{
	const uint8_t *message = frame->l4.data;
	const uint8_t *mac;

	if (!frame->checksum_good || frame->vlan != path->vlan ||
	    memcmp(frame->destination_mac, path->local_mac, 6) != 0)
		return false;
	if (frame->kind == FRAME_ARP) {
		if (load_be16(message + 6) != ARP_REPLY ||
		    !ip_address_equal(&frame->source, &path->remote))
			return false;
		memcpy(ret_mac, message + 8, 6);
		return true;
	}
	if (frame->kind != FRAME_NEIGHBOUR || message[0] != NEIGHBOUR_ADVERTISEMENT ||
	    memcmp(message + 8, path->remote.bytes, 16) != 0)
		return false;
	mac = link_option(frame, OPTION_TARGET_LINK);
	if (mac == NULL)
		return false;
	memcpy(ret_mac, mac, 6);
	return true;
}

uint32_t frame_build_answer(uint8_t *to, const struct frame *question,
                            const struct frame_path *path)
{
	static const struct ip_address unspecified;
	const uint8_t *message = question->l4.data;
	struct frame_path back = *path;
	const uint8_t *mac;

	if (!question->checksum_good || question->vlan != path->vlan)
		return 0;
	if (question->kind == FRAME_ARP) {
		if (load_be16(message + 6) != ARP_REQUEST ||
		    !ip_address_equal(&question->destination, &path->local))
			return 0;
		return arp_write(to, path, ARP_REPLY, question->source_mac, message + 8,
		                 message + 14);
	}
	if (question->kind != FRAME_NEIGHBOUR || message[0] != NEIGHBOUR_SOLICITATION ||
	    memcmp(message + 8, path->local.bytes, 16) != 0)
		return 0;
	if (ip_address_equal(&question->source, &unspecified)) {
		/* somebody wants our address for itself: tell everybody (RFC 4862 5.4.4) */
		group_set(&back, &all_nodes);
		return neighbour_write(to, &back, NEIGHBOUR_ADVERTISEMENT, FLAG_OVERRIDE,
		                       &path->local);
	}
	mac = link_option(question, OPTION_SOURCE_LINK);
	back.remote = question->source;
	memcpy(back.remote_mac, mac == NULL ? question->source_mac : mac, 6);
	return neighbour_write(to, &back, NEIGHBOUR_ADVERTISEMENT, FLAG_SOLICITED | FLAG_OVERRIDE,
	                       &path->local);
}

static bool arp_parse(struct frame *frame, struct slice arp)
{
	if (arp.length < ARP_BYTES || memcmp(arp.data, arp_head, 6) != 0)
		return false;
	frame->kind = FRAME_ARP;
	frame->checksum_good = true; /* it has none */
	frame->source = ip_address_from_ip4(arp.data + 14);
	frame->destination = ip_address_from_ip4(arp.data + 24);
	frame->l4 = (struct slice){arp.data, ARP_BYTES};
	return true;
}

static bool transport_parse(struct frame *frame, uint8_t protocol)
{
	const uint8_t *l4 = frame->l4.data;
	size_t minimum = protocol == FRAME_PROTOCOL_TCP   ? TCP_BYTES_MIN
	                 : protocol == FRAME_PROTOCOL_UDP ? UDP_BYTES
	                                                  : NEIGHBOUR_BYTES;

	if (frame->l4.length < minimum)
		return false;
	frame->checksum_good =
	    frame->checksum_good && transport_sum(&frame->source, &frame->destination, protocol, l4,
	                                          frame->l4.length) == 0xffff;
	if (protocol == PROTOCOL_ICMP6) {
		frame->kind = FRAME_NEIGHBOUR;
		return (l4[0] == NEIGHBOUR_SOLICITATION || l4[0] == NEIGHBOUR_ADVERTISEMENT) &&
		       l4[1] == 0;
	}
	frame->kind = protocol == FRAME_PROTOCOL_TCP ? FRAME_TCP : FRAME_UDP;
	frame->source_port = load_be16(l4);
	frame->destination_port = load_be16(l4 + 2);
	if (protocol == FRAME_PROTOCOL_TCP)
		return true;
	if (load_be16(l4 + 4) != frame->l4.length)
		return false;
	/* our server always sends one, so "no checksum" is wrong here on IPv4 too */
	frame->checksum_good = frame->checksum_good && load_be16(l4 + 6) != 0;
	frame->payload = (struct slice){l4 + UDP_BYTES, frame->l4.length - UDP_BYTES};
	return true;
}

/* No options: no server of ours sends any. */
static bool ip4_parse(struct frame *frame, struct slice packet)
{
	const uint8_t *ip = packet.data;
	size_t total_bytes;

	if (packet.length < IP4_BYTES || ip[0] != 0x45)
		return false;
	total_bytes = load_be16(ip + 2);
	if (total_bytes < IP4_BYTES || total_bytes > packet.length ||
	    (load_be16(ip + 6) & 0x3fff) != 0 || ip[8] == 0)
		return false;
	frame->checksum_good = sum_fold(sum_add(0, ip, IP4_BYTES)) == 0xffff;
	frame->source = ip_address_from_ip4(ip + 12);
	frame->destination = ip_address_from_ip4(ip + 16);
	frame->l4 = (struct slice){ip + IP4_BYTES, total_bytes - IP4_BYTES};
	if (ip[9] != FRAME_PROTOCOL_TCP && ip[9] != FRAME_PROTOCOL_UDP)
		return false;
	return transport_parse(frame, ip[9]);
}

static bool ip6_parse(struct frame *frame, struct slice packet)
{
	const uint8_t *ip = packet.data;
	uint8_t protocol;

	if (packet.length < IP6_BYTES || ip[0] >> 4 != 6)
		return false;
	frame->l4 = (struct slice){ip + IP6_BYTES, load_be16(ip + 4)};
	if (frame->l4.length > packet.length - IP6_BYTES)
		return false;
	protocol = ip[6];
	if (protocol != FRAME_PROTOCOL_TCP && protocol != FRAME_PROTOCOL_UDP &&
	    protocol != PROTOCOL_ICMP6)
		return false;
	if (protocol == PROTOCOL_ICMP6 ? ip[7] != HOPS_NEIGHBOUR : ip[7] == 0)
		return false;
	frame->checksum_good = true;
	frame->source = ip_address_from_ip6(ip + 8);
	frame->destination = ip_address_from_ip6(ip + 24);
	return transport_parse(frame, protocol);
}

bool frame_parse(struct frame *ret_frame, const uint8_t *data, size_t length)
{
	struct frame frame = {.vlan = FRAME_NO_VLAN};
	struct slice packet;
	uint16_t type;
	bool good = false;

	if (length < ETHERNET_BYTES + TAG_BYTES)
		return false;
	frame.destination_mac = data;
	frame.source_mac = data + 6;
	packet = (struct slice){data + ETHERNET_BYTES, length - ETHERNET_BYTES};
	type = load_be16(data + 12);
	if (type == TYPE_TAG) {
		frame.vlan = load_be16(packet.data) & 0x0fff;
		type = load_be16(packet.data + 2);
		packet.data += TAG_BYTES;
		packet.length -= TAG_BYTES;
	}
	if (type == TYPE_IP4)
		good = ip4_parse(&frame, packet);
	else if (type == TYPE_IP6)
		good = ip6_parse(&frame, packet);
	else if (type == TYPE_ARP)
		good = arp_parse(&frame, packet);
	if (good)
		*ret_frame = frame;
	return good;
}
