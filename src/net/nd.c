/* SPDX-License-Identifier: Apache-2.0 */
/* Neighbour discovery for our own addresses (RFC 4861 7, RFC 4862 5.4). */
#include "net/net_internal.h"

#define ND_SOLICITATION       135
#define ND_ADVERTISEMENT      136
#define ND_MESSAGE_BYTES      24 /* without options */
#define ND_LINK_OPTION_BYTES  8
#define ND_OPTION_SOURCE_LINK 1
#define ND_OPTION_TARGET_LINK 2
#define ND_CHECKSUM_OFFSET    2
#define ND_FLAG_SOLICITED     0x40000000u
#define ND_FLAG_OVERRIDE      0x20000000u
#define ND_HOP_LIMIT          255

static const struct ip_address unspecified;
static const struct ip_address all_nodes = {{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};

/* RFC 4291 2.7.1: the group that a solicitation for this address is sent to. */
static struct ip_address solicited_node(const struct ip_address *address)
{
	struct ip_address group = {{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff}};

	memcpy(group.bytes + 13, address->bytes + 13, 3);
	return group;
}

static struct net_path multicast_path(struct net *net, const struct ip_address *source,
                                      const struct ip_address *group)
{
	struct net_path path = {
	    .net = net,
	    .local = *source,
	    .remote = *group,
	    .peer_mac = {0x33, 0x33},
	    .vlan = NET_NO_VLAN,
	};

	memcpy(path.peer_mac + 2, group->bytes + 12, 4); /* RFC 2464 7 */
	return path;
}

static void nd_send(const struct net_path *path, uint8_t type, uint32_t flags,
                    const struct ip_address *target, uint8_t option)
{
	uint16_t bytes = ND_MESSAGE_BYTES + (option == 0 ? 0 : ND_LINK_OPTION_BYTES);
	struct packet packet;
	uint8_t *nd = net_packet_begin(path, IP_PROTOCOL_ICMP6, &packet);

	if (nd == NULL)
		return;
	packet.data[packet.l2_length + 7] = ND_HOP_LIMIT;
	nd[0] = type;
	nd[1] = 0;
	store_be16(nd + ND_CHECKSUM_OFFSET, 0);
	store_be32(nd + 4, flags);
	memcpy(nd + 8, target->bytes, 16);
	if (option != 0) {
		nd[24] = option;
		nd[25] = 1; /* in units of 8 bytes */
		memcpy(nd + 26, path->net->netif->mac, 6);
	}
	net_packet_finish(path, IP_PROTOCOL_ICMP6, &packet, bytes, ND_CHECKSUM_OFFSET);
}

void nd_send_probe(struct net *net, const struct ip_address *address)
{
	struct ip_address group = solicited_node(address);
	struct net_path path = multicast_path(net, &unspecified, &group);

	nd_send(&path, ND_SOLICITATION, 0, address, 0);
}

void nd_send_announcement(struct net *net, const struct ip_address *address)
{
	struct net_path path = multicast_path(net, address, &all_nodes);

	nd_send(&path, ND_ADVERTISEMENT, ND_FLAG_OVERRIDE, address, ND_OPTION_TARGET_LINK);
}

/* RFC 4861 7.1.1, 7.1.2: options have lengths above zero that stay inside the message. Finds the
 * link-layer address of the wanted kind, or NULL. */
static bool options_read(const uint8_t *option, uint32_t length, uint8_t wanted,
                         const uint8_t **ret_mac)
{
	const uint8_t *mac = NULL;

	while (length > 0) {
		uint32_t bytes;

		if (length < 8)
			return false;
		bytes = option[1] * 8u;
		if (bytes == 0 || bytes > length)
			return false;
		if (option[0] == wanted)
			mac = option + 2;
		option += bytes;
		length -= bytes;
	}
	*ret_mac = mac;
	return true;
}

static void solicitation_input(struct net *net, const struct net_input *input,
                               struct net_address *ours, const uint8_t *source_mac, uint64_t now_us)
{
	bool detection = ip_address_equal(&input->path.remote, &unspecified);
	struct net_path path = input->path;
	uint32_t flags = ND_FLAG_OVERRIDE;

	if (ours->state == NET_ADDRESS_PROBING && detection)
		net_address_conflict(net, ours, now_us);
	if (ours->state != NET_ADDRESS_READY)
		return;
	if (detection) {
		path = multicast_path(net, &ours->address, &all_nodes);
		path.vlan = input->path.vlan;
	} else {
		flags |= ND_FLAG_SOLICITED;
		path.local = ours->address;
		if (source_mac != NULL)
			memcpy(path.peer_mac, source_mac, 6);
	}
	nd_send(&path, ND_ADVERTISEMENT, flags, &ours->address, ND_OPTION_TARGET_LINK);
	counter_add(&net->counters.nd_replies_sent, 1);
}

/* RFC 4861 7.1.1: to the target itself or to its group; duplicate address detection to the group.
 */
static bool solicitation_is_for(const struct ip_address *target, const struct net_input *input)
{
	struct ip_address group = solicited_node(target);

	if (ip_address_equal(&input->path.local, &group))
		return true;
	return ip_address_equal(&input->path.local, target) &&
	       !ip_address_equal(&input->path.remote, &unspecified);
}

/* RFC 4861 7.1.2: nobody has solicited what goes to a group. */
static bool advertisement_is_odd(const uint8_t *nd, const struct net_input *input)
{
	return input->path.local.bytes[0] == 0xff && (load_be32(nd + 4) & ND_FLAG_SOLICITED) != 0;
}

void nd_input(struct net *net, const struct net_frame *frame, const struct net_input *input,
              uint8_t hop_limit, uint64_t now_us)
{
	const uint8_t *nd = input->l4;
	bool solicitation = nd[0] == ND_SOLICITATION;
	struct ip_address target;
	struct net_address *ours;
	const uint8_t *mac;

	if (hop_limit != ND_HOP_LIMIT || nd[1] != 0 || input->l4_length < ND_MESSAGE_BYTES ||
	    nd[8] == 0xff || memcmp(nd + 8, ip4_mapped_prefix, 12) == 0 ||
	    !options_read(nd + ND_MESSAGE_BYTES, input->l4_length - ND_MESSAGE_BYTES,
	                  solicitation ? ND_OPTION_SOURCE_LINK : ND_OPTION_TARGET_LINK, &mac) ||
	    (solicitation && mac != NULL && ip_address_equal(&input->path.remote, &unspecified))) {
		counter_add(&net->counters.nd_bad, 1);
		return;
	}
	if (memcmp(frame->source_mac, net->netif->mac, 6) == 0)
		return; /* our own, looped back */
	target = ip_address_from_ip6(nd + 8);
	if (solicitation ? !solicitation_is_for(&target, input) : advertisement_is_odd(nd, input)) {
		counter_add(&net->counters.nd_bad, 1);
		return;
	}
	ours = net_address_find(net, &target);
	if (ours == NULL)
		return;
	if (solicitation)
		solicitation_input(net, input, ours, mac, now_us);
	else
		net_address_conflict(net, ours, now_us);
}
