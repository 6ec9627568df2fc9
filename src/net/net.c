/* SPDX-License-Identifier: Apache-2.0 */
#include "net/net.h"

#include "net/net_internal.h"

/* What one turn takes from a netif, by bursts, before it sends. A turn that sends through a slow
 * device (a system call and the peer's receive path for each frame of a veth) is long: with one
 * burst of 32 a turn, 8 % of a thousand clients' frames were lost to a full receive ring. */
#define IP6_NO_NEXT_HEADER 59 /* RFC 8200 4.7 */
#define PREFETCH_COUNT_MIN 4  /* frames: with fewer there is nothing to overlap */
#define NET_POLL_FRAMES    (8 * NETIF_BURST_MAX)

#define IP_TTL               64
#define PROBE_INTERVAL_US    100000   /* shorter than RFC 5227's: a server should start soon */
#define ANNOUNCE_INTERVAL_US 2000000  /* RFC 5227 ANNOUNCE_INTERVAL */
#define DEFEND_INTERVAL_US   10000000 /* RFC 5227 DEFEND_INTERVAL */

void net_create(struct net *net, struct netif *netif, const struct net_options *options,
                const struct net_user *user, uint64_t now_us)
{
	*net = (struct net){
	    .netif = netif,
	    .user = *user,
	    .port = options->port,
	    .random = random_seeded(options->random_seed),
	    .address_count = options->port->address_count,
	    .kernel_answers = options->port->kind == PORT_XDP,
	    .next_us = UINT64_MAX,
	    .icmp_tokens = ICMP_BURST,
	    .icmp_refill_us = now_us,
	};
	net->identification = (uint16_t)random_u64(&net->random);
	for (uint32_t i = 0; i < net->address_count; i++) {
		struct net_address *address = &net->addresses[i];

		address->address = options->port->addresses[i].address;
		address->next_us = UINT64_MAX;
		address->state = NET_ADDRESS_READY;
		if (!options->probe || net->kernel_answers)
			continue;
		address->state = NET_ADDRESS_PROBING;
		address->next_us = now_us;
		net->next_us = now_us;
	}
}

struct net_address *net_address_find(struct net *net, const struct ip_address *address)
{
	for (uint32_t i = 0; i < net->address_count; i++)
		if (ip_address_equal(&net->addresses[i].address, address))
			return &net->addresses[i];
	return NULL;
}

void net_address_conflict(struct net *net, struct net_address *address, uint64_t now_us)
{
	counter_add(&net->counters.address_conflicts, 1);
	if (address->state == NET_ADDRESS_PROBING) {
		address->state = NET_ADDRESS_DUPLICATE;
		address->next_us = UINT64_MAX;
		return;
	}
	if (address->state != NET_ADDRESS_READY ||
	    (address->defended_us != 0 && now_us - address->defended_us < DEFEND_INTERVAL_US))
		return;
	address->defended_us = now_us;
	address->sent_count = ANNOUNCE_COUNT - 1;
	address->next_us = now_us;
	net->next_us = now_us;
}

static void address_advance(struct net *net, struct net_address *address, uint64_t now_us)
{
	bool ip4 = ip_address_is_ip4(&address->address);
	uint32_t probe_count = ip4 ? ARP_PROBE_COUNT : ND_PROBE_COUNT;

	if (address->state == NET_ADDRESS_PROBING && address->sent_count < probe_count) {
		if (ip4)
			arp_send_probe(net, &address->address);
		else
			nd_send_probe(net, &address->address);
		address->sent_count++;
		address->next_us = now_us + PROBE_INTERVAL_US * (ip4 ? 1 : ARP_PROBE_COUNT);
		return;
	}
	if (address->state == NET_ADDRESS_PROBING) {
		address->state = NET_ADDRESS_READY;
		address->sent_count = 0;
	}
	if (ip4)
		arp_send_announcement(net, &address->address);
	else
		nd_send_announcement(net, &address->address);
	address->sent_count++;
	address->next_us =
	    address->sent_count < ANNOUNCE_COUNT ? now_us + ANNOUNCE_INTERVAL_US : UINT64_MAX;
}

void net_advance(struct net *net, uint64_t now_us)
{
	if (now_us < net->next_us)
		return;
	net->next_us = UINT64_MAX;
	for (uint32_t i = 0; i < net->address_count; i++) {
		struct net_address *address = &net->addresses[i];

		if (now_us >= address->next_us)
			address_advance(net, address, now_us);
		net->next_us = min_u64(net->next_us, address->next_us);
	}
	net->netif->ops->flush(net->netif);
}

static bool is_transport(uint8_t protocol)
{
	return protocol == IP_PROTOCOL_TCP || protocol == IP_PROTOCOL_UDP;
}

/* What net_user.foresee() says of a frame; 0: it is nothing usual. */
static uint64_t frame_foresee(struct net *net, const struct packet *packet)
{
	const uint8_t *ip = packet->data + ETH_HEADER_BYTES;
	const uint8_t *end = packet->data + packet->length;
	struct net_path path = {.net = net};
	uint8_t protocol;
	struct slice l4;

	if (packet->length < ETH_HEADER_BYTES + 20 + 8)
		return 0;
	if (load_be16(packet->data + 12) == ETH_TYPE_VLAN)
		ip += 4;
	if (ip[0] == 0x45 && is_transport(ip[9])) {
		protocol = ip[9];
		path.local = ip_address_from_ip4(ip + 16);
		path.remote = ip_address_from_ip4(ip + 12);
		l4.data = ip + 20;
	} else if (ip[0] >> 4 == 6 && is_transport(ip[6]) &&
	           packet->length >= ETH_HEADER_BYTES + 4 + 40) {
		protocol = ip[6];
		path.local = ip_address_from_ip6(ip + 24);
		path.remote = ip_address_from_ip6(ip + 8);
		l4.data = ip + 40;
	} else {
		return 0;
	}
	if (l4.data + 4 > end)
		return 0;
	l4.length = (size_t)(end - l4.data);
	return net->user.foresee(net->user.context, &path, protocol, l4);
}

/* The memory that a burst needs is asked for all at once, and then there when it is used: with many
 * connections, and many keys, most of it is in no cache. */
static void burst_prefetch(struct net *net, const struct packet *burst, uint32_t count,
                           uint64_t *ret_flows)
{
	for (uint32_t i = 0; i < count; i++)
		ret_flows[i] = frame_foresee(net, &burst[i]);
	for (uint32_t step = 0; step < 2; step++)
		net->user.prefetch(net->user.context, ret_flows, count, step);
}

static void frame_input(struct net *net, const struct packet *packet, uint64_t flow,
                        uint64_t now_us)
{
	const uint8_t *eth = packet->data;
	struct net_frame frame = {.vlan = NET_NO_VLAN, .flags = packet->flags, .flow = flow};
	uint32_t header_bytes = ETH_HEADER_BYTES;
	uint16_t type;

	if (packet->length < ETH_HEADER_BYTES + 4) {
		counter_add(&net->counters.eth_short, 1);
		return;
	}
	frame.multicast = (eth[0] & 1) != 0;
	if (!frame.multicast && memcmp(eth, net->netif->mac, 6) != 0) {
		counter_add(&net->counters.eth_not_ours, 1);
		return;
	}
	type = load_be16(eth + 12);
	if (type == ETH_TYPE_VLAN) {
		frame.vlan = load_be16(eth + 14) & 0x0fff;
		type = load_be16(eth + 16);
		header_bytes += 4;
	}
	frame.l3 = eth + header_bytes;
	frame.l3_length = packet->length - header_bytes;
	frame.source_mac = eth + 6;
	if (type == ETH_TYPE_IP4)
		ip4_input(net, &frame, now_us);
	else if (type == ETH_TYPE_IP6)
		ip6_input(net, &frame, now_us);
	else if (type == ETH_TYPE_ARP && !net->kernel_answers)
		arp_input(net, &frame, now_us);
	else
		counter_add(&net->counters.eth_unknown_type, 1);
}

/* The frames of one receive(). */
static void burst_input(struct net *net, const struct packet *burst, uint32_t count,
                        uint64_t now_us)
{
	bool is_foreseen = count >= PREFETCH_COUNT_MIN && net->user.foresee != NULL;
	uint64_t flows[NETIF_BURST_MAX] = {0};

	if (is_foreseen)
		burst_prefetch(net, burst, count, flows);
	for (uint32_t i = 0; i < count; i++)
		frame_input(net, &burst[i], flows[i], now_us);
	if (is_foreseen)
		net->user.forget(net->user.context);
}

uint32_t net_poll(struct net *net, uint64_t now_us)
{
	struct packet burst[NETIF_BURST_MAX];
	uint32_t polled = 0;
	uint32_t count;

	net->is_full = false;
	do {
		count = net->netif->ops->receive(net->netif, burst, NETIF_BURST_MAX);
		if (count > 0)
			burst_input(net, burst, count, now_us);
		net->netif->ops->release(net->netif, burst, count);
		polled += count;
	} while (count == NETIF_BURST_MAX && polled < NET_POLL_FRAMES);
	counter_add(&net->counters.frames_received, polled);
	return polled;
}

bool net_blocks(struct net *net, const struct ip_address *source)
{
	if (!blocked_contain(net->blocked, source))
		return false;
	counter_add(&net->counters.ip_blocked, 1);
	return true;
}

void net_deliver(struct net *net, const struct net_input *input, uint8_t protocol,
                 struct slice packet, uint64_t now_us)
{
	if (net_blocks(net, &input->path.remote))
		return;
	switch (protocol) {
	case IP_PROTOCOL_TCP: net->user.segment(net->user.context, input, now_us); return;
	case IP_PROTOCOL_UDP: udp_input(net, input, packet, now_us); return;
	default:
		counter_add(&net->counters.ip_unknown_protocol, 1);
		if (protocol != IP6_NO_NEXT_HEADER)
			icmp_send_unreachable(net, &input->path, packet, true, now_us);
	}
}

bool net_allows(const struct net *net, const struct ip_address *source)
{
	const struct port_options *port = net->port;

	if (port->allow_any)
		return true;
	for (uint32_t i = 0; i < port->allow_count; i++)
		if (ip_prefix_contains(&port->allow[i], source))
			return true;
	return false;
}

uint16_t net_path_l4_max(const struct net_path *path)
{
	return path->net->netif->mtu -
	       (ip_address_is_ip4(&path->local) ? IP4_HEADER_BYTES : IP6_HEADER_BYTES);
}

uint32_t net_path_large_bytes(const struct net_path *path)
{
	/* a device counts up the identification of what it cuts up; where the pieces may be cut up
	 * further, each has one of ours */
	return path->may_fragment ? 0 : path->net->netif->large_bytes;
}

static void no_packet_memory(struct net *net)
{
	counter_add(&net->counters.no_packet_memory, 1);
	net->is_full = true;
}

/* RFC 791; DF and identification 0: an atomic datagram (RFC 6864 4.1), when it may not be cut up.
 */
static const uint8_t ip4_head[10] = {0x45, 0, 0, 0, 0, 0, 0x40, 0, IP_TTL, 0};

uint8_t *net_packet_begin(const struct net_path *path, uint8_t protocol, struct packet *ret_packet)
{
	struct net *net = path->net;
	bool ip4 = ip_address_is_ip4(&path->local);
	uint8_t *at;

	if (!net->netif->ops->allocate(net->netif, ret_packet)) {
		no_packet_memory(net);
		return NULL;
	}
	at = ret_packet->data;
	memcpy(at, path->peer_mac, 6);
	memcpy(at + 6, net->netif->mac, 6);
	at += 12;
	if (path->vlan != NET_NO_VLAN) {
		store_be16(at, ETH_TYPE_VLAN);
		store_be16(at + 2, path->vlan);
		at += 4;
	}
	store_be16(at, ip4 ? ETH_TYPE_IP4 : ETH_TYPE_IP6);
	at += 2;
	ret_packet->l2_length = (uint8_t)(at - ret_packet->data);
	ret_packet->l3_length = ip4 ? 20 : 40;
	if (ip4) {
		memcpy(at, ip4_head, sizeof(ip4_head));
		if (path->may_fragment) {
			store_be16(at + 4, net->identification++);
			at[6] = 0;
		}
		at[9] = protocol;
		store_be16(at + 10, 0);
		memcpy(at + 12, path->local.bytes + 12, 4);
		memcpy(at + 16, path->remote.bytes + 12, 4);
		return at + 20;
	}
	store_be32(at, 0x60000000); /* RFC 8200: version 6, no class, no flow label */
	at[6] = protocol;
	at[7] = IP_TTL;
	memcpy(at + 8, path->local.bytes, 16);
	memcpy(at + 24, path->remote.bytes, 16);
	return at + 40;
}

bool net_packet_append(const struct net_path *path, struct packet *packet, uint8_t *payload,
                       const struct chain *chain, struct chain_cursor *cursor, uint32_t length)
{
	struct netif *netif = path->net->netif;
	const struct chain_cursor before = *cursor;

	if (!(netif->offloads & NETIF_TX_PIECES)) {
		chain_read(chain, cursor, payload, length);
		return true;
	}
	packet->length = (uint16_t)(payload - packet->data);
	if (netif->ops->append(netif, packet, chain, cursor, length))
		return true;
	*cursor = before;
	netif->ops->release(netif, packet, 1);
	no_packet_memory(path->net);
	return false;
}

/* Of the header that net_packet_begin() has written. It is not read, as what was just stored in
 * parts has to reach the cache first. */
static uint16_t ip4_checksum(const struct net_path *path, uint64_t addresses, uint8_t protocol,
                             const uint8_t *l3, uint16_t l4_length)
{
	uint64_t sum = addresses + __builtin_bswap16((uint16_t)(IP4_HEADER_BYTES + l4_length));

	sum += checksum_word(ip4_head, 2) + __builtin_bswap16((uint16_t)(IP_TTL << 8 | protocol));
	/* the identification, or that it may not be cut up */
	sum += path->may_fragment ? checksum_word(l3 + 4, 2) : checksum_word(ip4_head + 6, 2);
	return (uint16_t)~checksum_fold(sum);
}

void net_packet_finish(const struct net_path *path, uint8_t protocol, struct packet *packet,
                       uint16_t l4_length, uint16_t checksum_offset)
{
	struct net *net = path->net;
	uint8_t *l3 = packet->data + packet->l2_length;
	uint8_t *l4 = l3 + packet->l3_length;
	uint64_t addresses = checksum_addresses(&path->local, &path->remote);
	uint64_t sum = 0;

	if (packet->l3_length == IP4_HEADER_BYTES) {
		store_be16(l3 + 2, IP4_HEADER_BYTES + l4_length);
		if (net->netif->offloads & NETIF_TX_IP4_CHECKSUM)
			packet->flags |= PACKET_SUM_IP4;
		else
			checksum_store(l3 + 10,
			               ip4_checksum(path, addresses, protocol, l3, l4_length));
	} else {
		store_be16(l3 + 4, l4_length);
	}
	if (protocol != IP_PROTOCOL_ICMP)
		/* each segment's length is for the device to add */
		sum = checksum_add_pseudo(addresses, protocol,
		                          packet->segment_bytes > 0 ? 0 : l4_length);
	if (packet->segment_bytes > 0 ||
	    ((net->netif->offloads & NETIF_TX_L4_CHECKSUM) &&
	     (protocol == IP_PROTOCOL_TCP || protocol == IP_PROTOCOL_UDP))) {
		packet->flags |= protocol == IP_PROTOCOL_TCP ? PACKET_SUM_TCP : PACKET_SUM_UDP;
		checksum_store(l4 + checksum_offset, checksum_fold(sum));
	} else {
		uint16_t folded = (uint16_t)~checksum_fold(checksum_add_fresh(sum, l4, l4_length));

		/* RFC 768: zero means "none", so a computed zero is sent as its other form */
		if (folded == 0 && protocol == IP_PROTOCOL_UDP)
			folded = 0xffff;
		checksum_store(l4 + checksum_offset, folded);
	}
	packet->length = packet->l2_length + packet->l3_length + l4_length - packet->appended;
	counter_add(&net->counters.frames_sent, 1);
	net->netif->ops->transmit(net->netif, packet);
}

void net_packet_drop(const struct net_path *path, struct packet *packet)
{
	path->net->netif->ops->release(path->net->netif, packet, 1);
}

bool net_input_checksum_ok(const struct net_input *input, uint8_t protocol, uint16_t l4_length)
{
	uint64_t sum = 0;

	if (input->checksum_known)
		return true;
	if (protocol != IP_PROTOCOL_ICMP)
		sum =
		    checksum_add_pseudo(checksum_addresses(&input->path.local, &input->path.remote),
		                        protocol, l4_length);
	return checksum_fold(checksum_add(sum, input->l4, l4_length)) == 0xffff;
}
