/* SPDX-License-Identifier: Apache-2.0 */
/* Ethernet, IPv4, IPv6 and UDP: what is let in, what is not, and what is sent. */
#include "net_rig.h"

#include <errno.h>

#define IP_AT ETHERNET_BYTES

static void test_frames_of_other_kinds_are_dropped(void)
{
	struct rig *rig = rig_new();
	struct frame_path path = path4();
	uint8_t frame[256];
	uint32_t length;

	path.vlan = 7;
	length = build_datagram(frame, &path, SERVED_PORT);
	rig_receive(rig, frame, ETHERNET_BYTES + 3);
	CU_ASSERT_EQUAL(COUNT(rig, eth_short), 1);
	store_be16(frame + 16, 0x8100); /* two tags */
	rig_receive(rig, frame, length);
	store_be16(frame + 16, 0x88cc); /* LLDP */
	rig_receive(rig, frame, length);
	CU_ASSERT_EQUAL(COUNT(rig, eth_unknown_type), 2);
	/* the priority in a tag is none of our business, the identifier is kept for the answer */
	length = build_datagram(frame, &path, SERVED_PORT);
	frame[14] |= 0xe0;
	rig_receive(rig, frame, length);
	CU_ASSERT_EQUAL(rig->datagrams, 1);
	CU_ASSERT_EQUAL(rig->path.vlan, 7);
	rig_free(rig);
}

static void test_a_bad_ip4_header_is_dropped(void)
{
	static const struct {
		uint32_t at;
		uint8_t value;
	} tries[] = {
	    {0, 0x65}, /* version 6 */
	    {0, 0x44}, /* a header of 16 bytes */
	    {0, 0x4f}, /* of more than the packet */
	    {2, 1},    /* longer than its frame */
	};
	struct rig *rig = rig_new();
	struct frame_path path = path4();
	uint8_t frame[256];

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		uint32_t length = build_datagram(frame, &path, SERVED_PORT);

		frame[IP_AT + tries[i].at] = tries[i].value;
		rig_receive(rig, frame, length);
		CU_ASSERT_EQUAL(COUNT(rig, ip4_bad_header), i + 1);
	}
	CU_ASSERT_EQUAL(rig->datagrams, 0);
	rig_free(rig);
}

/* RFC 791 3.1, RFC 7126. */
static void test_ip4_options_stay_within_the_header(void)
{
	static const struct {
		uint8_t options[8];
		bool good;
	} tries[] = {
	    {{68, 7, 1, 0, 0, 0, 0, 0}, true},   /* an option, then the end */
	    {{1, 1, 1, 68, 4, 0, 0, 1}, true},   /* to the last byte */
	    {{68, 7, 1, 0, 0, 0, 0, 68}, false}, /* no room for a length */
	    {{68, 9, 1, 0, 0, 0, 0, 0}, false},  /* beyond the header */
	    {{131, 7, 4, 0, 0, 0, 0, 0}, false}, /* loose source route */
	    {{137, 7, 4, 0, 0, 0, 0, 0}, false}, /* strict source route */
	};
	struct rig *rig = rig_new();
	struct frame_path path = path4();
	uint8_t frame[256], *ip = frame + IP_AT;
	uint32_t good_count = 0;

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		uint32_t length = build_datagram(frame, &path, SERVED_PORT);

		good_count += tries[i].good;
		memmove(ip + 28, ip + 20, length - IP_AT - 20);
		memcpy(ip + 20, tries[i].options, 8);
		ip[0] = 0x47;
		store_be16(ip + 2, (uint16_t)(load_be16(ip + 2) + 8));
		ip4_seal(ip);
		rig_receive(rig, frame, length + 8);
		CU_ASSERT_EQUAL(rig->datagrams, good_count);
	}
	CU_ASSERT_EQUAL(COUNT(rig, ip4_bad_header), 4);
	rig_free(rig);
}

static void test_a_device_that_checks_sums_is_believed(void)
{
	struct rig *rig = rig_new();
	struct frame_path paths[] = {path4(), path6()};
	uint8_t frame[256];

	for (int i = 0; i < 2; i++) {
		uint32_t length = build_datagram(frame, &paths[i], SERVED_PORT);

		l4_of(frame, &paths[i])[6] ^= 1;
		rig_receive_flagged(rig, frame, length, PACKET_CHECKSUM_GOOD);
		CU_ASSERT_EQUAL(rig->datagrams, (uint32_t)i + 1);
		rig_receive(rig, frame, length);
		CU_ASSERT_EQUAL(COUNT(rig, udp_bad_checksum), (uint64_t)i + 1);
	}
	rig_receive_flagged(rig, frame, build_datagram(frame, &paths[0], SERVED_PORT),
	                    PACKET_CHECKSUM_BAD);
	CU_ASSERT_EQUAL(COUNT(rig, ip4_bad_checksum), 1);
	/* for IPv6 the device may have meant any sum: ours decides */
	rig_receive_flagged(rig, frame, build_datagram(frame, &paths[1], SERVED_PORT),
	                    PACKET_CHECKSUM_BAD);
	CU_ASSERT_EQUAL(rig->datagrams, 3);
	rig_free(rig);
}

static void test_sources_that_are_no_host_are_dropped(void)
{
	static const char *const sources[] = {
	    "0.1.2.3", "127.0.0.1", "224.0.0.1", "255.255.255.255", "ff02::1", "::1", "::"};
	struct rig *rig = rig_new();
	uint8_t frame[256];
	size_t count = sizeof(sources) / sizeof(sources[0]);

	for (size_t i = 0; i < count; i++) {
		struct frame_path path =
		    path_from(sources[i], i < 4 ? "198.18.0.2" : "fd00:198::2");

		rig_receive(rig, frame, build_datagram(frame, &path, SERVED_PORT));
		CU_ASSERT_EQUAL(COUNT(rig, ip_bad_source), i + 1);
	}
	/* an IPv4 address in an IPv6 header would be taken for the real one */
	struct frame_path path = path6();
	uint32_t length = build_datagram(frame, &path, SERVED_PORT);

	memcpy(frame + IP_AT + 8, ip4_mapped_prefix, 12);
	rig_receive(rig, frame, length);
	CU_ASSERT_EQUAL(COUNT(rig, ip_bad_source), count + 1);
	CU_ASSERT_EQUAL(rig->datagrams, 0);
	rig_free(rig);
}

static void test_a_bad_ip6_header_is_dropped(void)
{
	struct rig *rig = rig_new();
	struct frame_path path = path6();
	uint8_t frame[256];
	uint32_t length = build_datagram(frame, &path, SERVED_PORT);

	rig_receive(rig, frame, IP_AT + 39);
	frame[IP_AT] = 0x40;
	rig_receive(rig, frame, length);
	frame[IP_AT] = 0x60;
	frame[IP_AT + 5]++;
	rig_receive(rig, frame, length);
	CU_ASSERT_EQUAL(COUNT(rig, ip6_bad_header), 3);
	path = path_from("fd00:198::9", "fd00:198::7");
	rig_receive(rig, frame, build_datagram(frame, &path, SERVED_PORT));
	path = path6();
	memset(path.remote_mac, 0xff, 6);
	rig_receive(rig, frame, build_datagram(frame, &path, SERVED_PORT));
	CU_ASSERT_EQUAL(COUNT(rig, ip_not_ours), 2);
	CU_ASSERT_EQUAL(rig->datagrams, 0);
	rig_free(rig);
}

/* Puts extension headers of `kinds`, all of one form, in front of the payload. */
static uint32_t insert_extensions(uint8_t *frame, uint32_t length, const uint8_t *kinds,
                                  uint32_t count, const uint8_t form[8])
{
	uint8_t *ip = frame + IP_AT;
	uint8_t transport = ip[6];

	memmove(ip + 40 + count * 8, ip + 40, length - IP_AT - 40);
	for (uint32_t i = 0; i < count; i++) {
		memcpy(ip + 40 + i * 8, form, 8);
		ip[40 + i * 8] = i + 1 < count ? kinds[i + 1] : transport;
	}
	ip[6] = kinds[0];
	store_be16(ip + 4, (uint16_t)(load_be16(ip + 4) + count * 8));
	return length + count * 8;
}

static void test_ip6_extension_headers_come_in_order_and_in_bounds(void)
{
	static const uint8_t padding[8] = {0, 0, 0, 0, 1, 2, 0, 0}; /* Pad1, Pad1, PadN */
	static const uint8_t skipped[8] = {0, 0, 0x1e, 4, 0, 0, 0, 0};
	static const uint8_t cut[8] = {0, 0, 1, 3, 0, 0, 0, 1};      /* no room for a length */
	static const uint8_t long_way[8] = {0, 4, 0, 0, 0, 0, 0, 0}; /* longer than the packet */
	static const uint8_t arrived[8] = {0, 0, 0, 0, 0, 0, 0, 0};  /* routing, none left */
	static const struct {
		const uint8_t *form;
		uint8_t kinds[9];
		uint32_t count;
		bool good;
	} tries[] = {
	    {padding, {0}, 1, true},
	    {skipped, {60}, 1, true},
	    {padding, {0, 60, 60}, 3, true},
	    {padding, {60, 0}, 2, false}, /* hop-by-hop is the first or none */
	    {cut, {60}, 1, false},
	    {long_way, {60}, 1, false},
	    {arrived, {43}, 1, true},
	    {padding, {60, 60, 60, 60, 60, 60, 60, 60}, 8, true},
	    {padding, {60, 60, 60, 60, 60, 60, 60, 60, 60}, 9, false}, /* whoever sends that? */
	};
	struct rig *rig = rig_new();
	struct frame_path path = path6();
	uint32_t good_count = 0, count = sizeof(tries) / sizeof(tries[0]);
	uint8_t frame[256];

	for (uint32_t i = 0; i < count; i++) {
		uint32_t length = build_datagram(frame, &path, SERVED_PORT);

		good_count += tries[i].good;
		length =
		    insert_extensions(frame, length, tries[i].kinds, tries[i].count, tries[i].form);
		rig_receive(rig, frame, length);
		CU_ASSERT_EQUAL(rig->datagrams, good_count);
	}
	CU_ASSERT_EQUAL(COUNT(rig, ip6_bad_header), count - good_count);
	/* the packet ends within a header */
	build_datagram(frame, &path, SERVED_PORT);
	frame[IP_AT + 6] = 60;
	store_be16(frame + IP_AT + 4, 7);
	rig_receive(rig, frame, IP_AT + 47);
	CU_ASSERT_EQUAL(COUNT(rig, ip6_bad_header), count - good_count + 1);
	rig_free(rig);
}

static void test_udp_lengths_and_sums_are_checked(void)
{
	struct rig *rig = rig_new();
	struct frame_path paths[] = {path4(), path6()};
	uint8_t frame[256];

	for (uint32_t i = 0; i < 2; i++) {
		uint32_t length = build_datagram(frame, &paths[i], SERVED_PORT);
		uint8_t *udp = l4_of(frame, &paths[i]);

		store_be16(udp + 4, 7); /* shorter than its header */
		rig_receive(rig, frame, length);
		store_be16(udp + 4, 19); /* longer than its packet */
		rig_receive(rig, frame, length);
		CU_ASSERT_EQUAL(COUNT(rig, udp_bad_length), 3 * i + 2);
		frame_finish(frame, &paths[i], FRAME_PROTOCOL_UDP, 7); /* no whole header */
		rig_receive(rig, frame, length - 11);
		CU_ASSERT_EQUAL(COUNT(rig, udp_bad_length), 3 * i + 3);
		/* only IPv4 does without a checksum (RFC 8200 8.1) */
		build_datagram(frame, &paths[i], SERVED_PORT);
		store_be16(udp + 6, 0);
		rig_receive(rig, frame, length);
		CU_ASSERT_EQUAL(rig->datagrams, 1);
		CU_ASSERT_EQUAL(COUNT(rig, udp_bad_checksum), i);
	}
	rig_free(rig);
}

/* RFC 1122 4.1.3.4: dropped silently, whatever port the damage has left in it. */
static void test_a_damaged_datagram_draws_no_answer(void)
{
	struct rig *rig = rig_new();
	struct frame_path paths[] = {path4(), path6()};
	uint8_t frame[256];

	for (uint32_t i = 0; i < 2; i++) {
		uint32_t length = build_datagram(frame, &paths[i], SERVED_PORT + 1);

		frame[length - 1] ^= 1;
		rig_receive(rig, frame, length);
		CU_ASSERT_EQUAL(COUNT(rig, udp_bad_checksum), i + 1);
		CU_ASSERT_EQUAL(COUNT(rig, udp_no_port), i);
		CU_ASSERT_EQUAL(rig->sent_count, i);
		frame[length - 1] ^= 1; /* whole it does */
		rig_receive(rig, frame, length);
		CU_ASSERT_EQUAL(rig->sent_count, i + 1);
	}
	rig_free(rig);
}

/* What follows the datagram within its packet is not of it. */
static void test_a_datagram_ends_where_it_says(void)
{
	struct rig *rig = rig_new();
	struct frame_path path = path4();
	uint8_t frame[256] = {0};
	uint32_t length = build_datagram(frame, &path, SERVED_PORT);

	store_be16(frame + IP_AT + 2, (uint16_t)(length - IP_AT + 6));
	ip4_seal(frame + IP_AT);
	rig_receive(rig, frame, length + 6);
	CU_ASSERT_EQUAL(rig->datagrams, 1);
	CU_ASSERT_EQUAL(rig->payload_bytes, 10);
	rig_free(rig);
}

static void test_without_a_udp_port_nobody_serves_datagrams(void)
{
	struct rig *rig = rig_new();
	struct frame_path path = path4();
	uint8_t frame[256];

	rig->port.udp_port = 0;
	rig_receive(rig, frame, build_datagram(frame, &path, 0));
	rig_receive(rig, frame, build_datagram(frame, &path, SERVED_PORT));
	CU_ASSERT_EQUAL(COUNT(rig, udp_no_port), 2);
	CU_ASSERT_EQUAL(rig->datagrams, 0);
	rig_free(rig);
}

static void test_the_allow_list_goes_by_the_bit(void)
{
	struct rig *rig = rig_new();
	struct frame_path inside = path_from("198.18.15.255", "198.18.0.2");
	struct frame_path outside = path_from("198.18.16.0", "198.18.0.2");
	uint8_t frame[256];

	rig->port.allow_any = false;
	rig->port.allow_count = 1;
	CU_ASSERT_EQUAL(ip_prefix_parse(&rig->port.allow[0], "198.18.0.0/20"), 0);
	rig_receive(rig, frame, build_datagram(frame, &inside, SERVED_PORT));
	rig_receive(rig, frame, build_datagram(frame, &outside, SERVED_PORT));
	CU_ASSERT_EQUAL(rig->datagrams, 1);
	CU_ASSERT_EQUAL(COUNT(rig, udp_not_allowed), 1);
	rig_free(rig);
}

/* RFC 1122 3.2.1.3; RFC 3021: networks of two addresses have no such one. */
static void test_a_broadcast_address_is_no_client(void)
{
	struct rig *rig = rig_new();
	struct frame_path all = path_from("198.18.0.255", "198.18.0.2");
	struct frame_path pair = path_from("198.18.0.3", "198.18.0.2");
	uint8_t frame[256];

	rig_receive(rig, frame, build_datagram(frame, &all, SERVED_PORT));
	CU_ASSERT_EQUAL(COUNT(rig, ip_bad_source), 1);
	rig->port.addresses[0].length = 96 + 31;
	rig_receive(rig, frame, build_datagram(frame, &pair, SERVED_PORT));
	rig_receive(rig, frame, build_datagram(frame, &all, SERVED_PORT));
	CU_ASSERT_EQUAL(rig->datagrams, 2);
	rig->port.addresses[0].length = 96 + 30;
	rig_receive(rig, frame, build_datagram(frame, &pair, SERVED_PORT));
	CU_ASSERT_EQUAL(COUNT(rig, ip_bad_source), 2);
	rig_free(rig);
}

static uint32_t build_segment(uint8_t *frame, const struct frame_path *path)
{
	uint8_t *tcp = frame_begin(frame, path, FRAME_PROTOCOL_TCP);

	memset(tcp, 0, 20);
	store_be16(tcp + 2, SERVED_PORT);
	tcp[12] = 5 << 4;
	tcp[13] = 0x02; /* SYN */
	return frame_finish(frame, path, FRAME_PROTOCOL_TCP, 20);
}

/* RFC 9293 3.9.2.3 MUST-57, MUST-63: dropped silently; in a frame to us alone, too. */
static void test_segments_from_or_to_all_or_a_group_are_dropped(void)
{
	static const char *const pairs[][2] = {
	    {"198.18.0.9", "255.255.255.255"}, {"198.18.0.9", "198.18.0.255"},
	    {"198.18.0.9", "224.0.0.1"},       {"fd00:198::9", "ff02::1"},
	    {"255.255.255.255", "198.18.0.2"}, {"198.18.0.255", "198.18.0.2"},
	    {"224.0.0.1", "198.18.0.2"},       {"0.0.0.0", "198.18.0.2"},
	    {"ff02::1", "fd00:198::2"},        {"::", "fd00:198::2"},
	};
	struct frame_path good[] = {path4(), path6()};
	struct rig *rig = rig_new();
	uint8_t frame[256];

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct frame_path path = path_from(pairs[i][0], pairs[i][1]);

		rig_receive(rig, frame, build_segment(frame, &path));
		memset(path.remote_mac, 0xff, 6);
		rig_receive(rig, frame, build_segment(frame, &path));
	}
	for (int i = 0; i < 2; i++) {
		memset(good[i].remote_mac, 0xff, 6);
		rig_receive(rig, frame, build_segment(frame, &good[i]));
	}
	CU_ASSERT_EQUAL(COUNT(rig, ip_not_ours), 2 * 4 + 2);
	CU_ASSERT_EQUAL(COUNT(rig, ip_bad_source), 2 * 6);
	CU_ASSERT_EQUAL(rig->segments, 0);
	CU_ASSERT_EQUAL(rig->sent_count, 0);
	memcpy(good[0].remote_mac, our_mac, 6);
	rig_receive(rig, frame, build_segment(frame, &good[0]));
	CU_ASSERT_EQUAL(rig->segments, 1);
	rig_free(rig);
}

static struct net_path path_of(struct rig *rig, const struct frame_path *seen)
{
	struct net_path path = {
	    .net = &rig->net, .local = seen->remote, .remote = seen->local, .vlan = NET_NO_VLAN};

	memcpy(path.peer_mac, peer_mac, 6);
	return path;
}

static bool send_datagram(const struct net_path *path, struct slice payload)
{
	struct packet packet;
	uint8_t *to = net_datagram_begin(path, &packet);

	if (to == NULL)
		return false;
	memcpy(to, payload.data, payload.length);
	net_datagram_finish(path, SERVED_PORT, 5000, &packet, (uint16_t)payload.length);
	return true;
}

/* RFC 768: zero would say that there is none. */
static void test_a_udp_checksum_of_zero_is_sent_as_ones(void)
{
	struct rig *rig = rig_new();
	struct frame_path seen = path4();
	struct net_path path = path_of(rig, &seen);
	uint8_t *udp = rig->sent[0] + IP_AT + 20;
	uint8_t payload[2] = {0};
	struct frame frame;

	/* the sum with this payload added is all ones */
	CU_ASSERT_TRUE(send_datagram(&path, (struct slice){payload, 2}));
	memcpy(payload, udp + 6, 2);
	rig->sent_count = 0;
	CU_ASSERT_TRUE(send_datagram(&path, (struct slice){payload, 2}));
	CU_ASSERT_EQUAL(load_be16(udp + 6), 0xffff);
	CU_ASSERT_TRUE(frame_parse(&frame, rig->sent[0], rig->sent_length[0]));
	CU_ASSERT_TRUE(frame.checksum_good);
	rig->netif.withheld_count = FRAME_COUNT;
	CU_ASSERT_FALSE(send_datagram(&path, SLICE_LITERAL("xy")));
	CU_ASSERT_TRUE(rig->net.is_full);
	rig_free(rig);
}

static void send_segment(struct net_path *path)
{
	struct packet packet;
	uint8_t *tcp = net_packet_begin(path, IP_PROTOCOL_TCP, &packet);

	CU_ASSERT_PTR_NOT_NULL_FATAL(tcp);
	memset(tcp, 0, 20);
	net_packet_finish(path, IP_PROTOCOL_TCP, &packet, 20, 16);
}

/* A device finishes the sum over what the pseudo-header's sum stands in for. */
static void test_what_the_device_sums_is_left_to_it(void)
{
	struct rig *rig = rig_new(.offloads = NETIF_TX_IP4_CHECKSUM | NETIF_TX_L4_CHECKSUM);
	struct frame_path seen[] = {path4(), path6()};
	uint8_t frame[256];

	for (int i = 0; i < 2; i++) {
		struct net_path path = path_of(rig, &seen[i]);
		uint16_t ip4 = i == 0 ? PACKET_SUM_IP4 : 0;
		uint8_t *udp = rig->sent[0] + IP_AT + (i == 0 ? 20 : 40);

		rig->sent_count = 0;
		CU_ASSERT_TRUE(send_datagram(&path, SLICE_LITERAL("ab")));
		CU_ASSERT_EQUAL(rig->sent_flags, PACKET_SUM_UDP | ip4);
		checksum_store(udp + 6, (uint16_t)~checksum_fold(checksum_add(0, udp, 10)));
		if (i == 0)
			ip4_seal(rig->sent[0] + IP_AT);
		struct frame parsed;

		CU_ASSERT_TRUE(frame_parse(&parsed, rig->sent[0], rig->sent_length[0]));
		CU_ASSERT_TRUE(parsed.checksum_good);
		send_segment(&path);
		CU_ASSERT_EQUAL(rig->sent_flags, PACKET_SUM_TCP | ip4);
		/* no device knows ICMP */
		memset(l4_of(frame, &seen[i]), 0, 32);
		rig_receive(rig, frame, build_icmp(frame, &seen[i], i == 0 ? 8 : 128, 0, 32));
		CU_ASSERT_EQUAL(rig->sent_count, 3);
		CU_ASSERT_EQUAL(rig->sent_flags, ip4);
	}
	rig_free(rig);
}

static void test_a_turn_takes_several_bursts_but_not_all_there_is(void)
{
	struct rig *rig = rig_new();
	struct frame_path path = path4();
	uint8_t frame[256];
	uint32_t length = build_datagram(frame, &path, SERVED_PORT);

	for (int i = 0; i < MEMORY_NETIF_RING_MAX; i++)
		CU_ASSERT_TRUE(memory_netif_inject(&rig->netif, frame, (uint16_t)length));
	CU_ASSERT_FALSE(memory_netif_inject(&rig->netif, frame, (uint16_t)length));
	CU_ASSERT_EQUAL(net_poll(&rig->net, rig->now_us), MEMORY_NETIF_RING_MAX);
	CU_ASSERT_EQUAL(rig->datagrams, MEMORY_NETIF_RING_MAX);
	CU_ASSERT_EQUAL(net_poll(&rig->net, rig->now_us), 0);
	rig_free(rig);
}

static void test_addresses_are_written_one_way(void)
{
	static const char *const bad[] = {
	    "198.18.0.2/",
	    "198.18.0.2/x",
	    "198.18.0.2/24x",
	    "198.18.0.2/33",
	    "198.18.0.2/-1",
	    "198.18.0.2/:",
	    "fd00::/129",
	    "fd00::/1e1",
	    "198.18.0",
	    "",
	    "/24",
	    "198.18.0.2 /24",
	    "1111:2222:3333:4444:5555:6666:7777:8888:9999:0000",
	};
	struct ip_prefix prefix;
	char text[IP_ADDRESS_TEXT_MAX];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(ip_prefix_parse(&prefix, bad[i]), -EINVAL);
	CU_ASSERT_EQUAL(ip_prefix_parse(&prefix, "198.18.0.2/0"), 0);
	CU_ASSERT_EQUAL(prefix.length, 96);
	CU_ASSERT_EQUAL(ip_prefix_parse(&prefix, "fd00:0::2"), 0);
	CU_ASSERT_EQUAL(prefix.length, 128);
	ip_address_format(&prefix.address, text);
	CU_ASSERT_STRING_EQUAL(text, "fd00::2");
}

static const struct unit_case cases[] = {
    {"frames of other kinds are dropped", test_frames_of_other_kinds_are_dropped},
    {"a bad IPv4 header is dropped", test_a_bad_ip4_header_is_dropped},
    {"IPv4 options stay within the header", test_ip4_options_stay_within_the_header},
    {"a device that checks sums is believed", test_a_device_that_checks_sums_is_believed},
    {"sources that are no host are dropped", test_sources_that_are_no_host_are_dropped},
    {"a bad IPv6 header is dropped", test_a_bad_ip6_header_is_dropped},
    {"IPv6 extension headers come in order and in bounds",
     test_ip6_extension_headers_come_in_order_and_in_bounds},
    {"UDP lengths and sums are checked", test_udp_lengths_and_sums_are_checked},
    {"a damaged datagram draws no answer", test_a_damaged_datagram_draws_no_answer},
    {"a datagram ends where it says", test_a_datagram_ends_where_it_says},
    {"without a UDP port nobody serves datagrams", test_without_a_udp_port_nobody_serves_datagrams},
    {"the allow list goes by the bit", test_the_allow_list_goes_by_the_bit},
    {"a broadcast address is no client", test_a_broadcast_address_is_no_client},
    {"segments from or to all, or a group, are dropped",
     test_segments_from_or_to_all_or_a_group_are_dropped},
    {"a UDP checksum of zero is sent as ones", test_a_udp_checksum_of_zero_is_sent_as_ones},
    {"what the device sums is left to it", test_what_the_device_sums_is_left_to_it},
    {"a turn takes several bursts", test_a_turn_takes_several_bursts_but_not_all_there_is},
    {"addresses are written one way", test_addresses_are_written_one_way},
};

int main(void)
{
	return UNIT_RUN("net_ip", cases);
}
