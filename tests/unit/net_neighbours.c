/* SPDX-License-Identifier: Apache-2.0 */
/* ARP and neighbour discovery: what neighbours ask, claim and get wrong. */
#include "net_rig.h"

#define ARP_AT        ETHERNET_BYTES
#define SOLICITATION  135
#define ADVERTISEMENT 136
#define OPTION_SOURCE 1
#define OPTION_TARGET 2
#define MESSAGE_BYTES 24 /* of neighbour discovery, without options */
#define OPTION_BYTES  8
#define HOP_LIMIT_AT  (ETHERNET_BYTES + 7)

static const uint8_t nothing[1]; /* no options */
static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};

/* A neighbour discovery message with `option_bytes` of options. */
static uint32_t build_nd(uint8_t *frame, const struct frame_path *path, uint8_t type,
                         const char *target, const uint8_t *options, uint32_t option_bytes)
{
	struct ip_address address;
	uint8_t *nd = l4_of(frame, path);

	ip_address_parse(&address, target);
	memset(nd, 0, 8);
	memcpy(nd + 8, address.bytes, 16);
	memcpy(nd + MESSAGE_BYTES, options, option_bytes);
	return build_icmp(frame, path, type, 0, MESSAGE_BYTES + option_bytes);
}

/* "May I have fd00:198::2?" (RFC 4862 5.4.2) */
static uint32_t build_detection(uint8_t *frame, uint16_t vlan, const uint8_t *options,
                                uint32_t option_bytes)
{
	struct frame_path path = path_from("::", "ff02::1:ff00:2");

	memcpy(path.remote_mac, (uint8_t[]){0x33, 0x33, 0xff, 0, 0, 2}, 6);
	path.vlan = vlan;
	return build_nd(frame, &path, SOLICITATION, "fd00:198::2", options, option_bytes);
}

static uint32_t build_arp(uint8_t *frame)
{
	struct frame_path path = path4();

	return frame_build_question(frame, &path);
}

static void test_malformed_arp_is_dropped(void)
{
	static const struct {
		uint32_t at;
		uint8_t value;
	} tries[] = {
	    {0, 9}, /* no Ethernet */
	    {2, 9}, /* no IPv4 */
	    {4, 8}, /* long hardware addresses */
	    {7, 0}, /* neither request */
	    {7, 3}, /* nor reply */
	    {8, 1}, /* from a group */
	};
	struct rig *rig = rig_new();
	uint8_t frame[64];
	uint32_t length;

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		length = build_arp(frame);
		frame[ARP_AT + tries[i].at] = tries[i].value;
		rig_receive(rig, frame, length);
		CU_ASSERT_EQUAL(COUNT(rig, arp_bad), i + 1);
	}
	length = build_arp(frame);
	rig_receive(rig, frame, length - 1);
	CU_ASSERT_EQUAL(COUNT(rig, arp_bad), 7);
	CU_ASSERT_EQUAL(rig->sent_count, 0);
	rig_free(rig);
}

static void test_an_arp_reply_is_not_answered(void)
{
	struct rig *rig = rig_new();
	uint8_t frame[64];
	uint32_t length = build_arp(frame);

	frame[ARP_AT + 7] = 2;
	rig_receive(rig, frame, length);
	CU_ASSERT_EQUAL(rig->sent_count, 0);
	CU_ASSERT_EQUAL(COUNT(rig, arp_bad), 0);
	CU_ASSERT_EQUAL(COUNT(rig, address_conflicts), 0);
	rig_free(rig);
}

static void test_our_own_frames_looped_back_are_no_conflict(void)
{
	static const uint8_t target[OPTION_BYTES] = {OPTION_TARGET, 1, 2, 0, 0, 0, 0, 1};
	struct frame_path path = path_from("198.18.0.2", "198.18.0.2");
	struct rig *rig = rig_new();
	uint8_t frame[128];

	memcpy(path.local_mac, our_mac, 6);
	rig_receive(rig, frame, frame_build_question(frame, &path));
	path = path_from("fd00:198::2", "ff02::1");
	memcpy(path.local_mac, our_mac, 6);
	memcpy(path.remote_mac, (uint8_t[]){0x33, 0x33, 0, 0, 0, 1}, 6);
	rig_receive(rig, frame,
	            build_nd(frame, &path, ADVERTISEMENT, "fd00:198::2", target, OPTION_BYTES));
	CU_ASSERT_EQUAL(COUNT(rig, address_conflicts), 0);
	CU_ASSERT_EQUAL(rig->sent_count, 0);
	rig_free(rig);
}

/* RFC 5227 2.1.1: whoever else probes for it at the same time has it as little as we. */
static void test_two_that_probe_at_once_both_give_up(void)
{
	struct frame_path path = path_from("0.0.0.0", "198.18.0.2");
	struct rig *rig = rig_new(.probe = true);
	uint8_t frame[128];
	uint32_t length = build_arp(frame);

	/* a question is not yet answered, and is no claim either */
	rig_receive(rig, frame, length);
	CU_ASSERT_EQUAL(rig->net.addresses[0].state, NET_ADDRESS_PROBING);
	rig_receive(rig, frame, frame_build_question(frame, &path));
	CU_ASSERT_EQUAL(rig->net.addresses[0].state, NET_ADDRESS_DUPLICATE);
	rig_receive(rig, frame, build_detection(frame, FRAME_NO_VLAN, nothing, 0));
	CU_ASSERT_EQUAL(rig->net.addresses[1].state, NET_ADDRESS_DUPLICATE);
	CU_ASSERT_EQUAL(COUNT(rig, address_conflicts), 2);
	CU_ASSERT_EQUAL(rig->sent_count, 0);
	/* what was given up is not fought for later */
	path = path_from("198.18.0.2", "198.18.0.7");
	rig_receive(rig, frame, frame_build_question(frame, &path));
	rig_advance(rig, 5 * SECOND);
	CU_ASSERT_EQUAL(COUNT(rig, address_conflicts), 3);
	CU_ASSERT_EQUAL(rig->sent_count, 0);
	rig_free(rig);
}

static void test_an_address_given_up_is_not_served(void)
{
	struct rig *rig = rig_new(.probe = true);
	struct frame_path paths[] = {path4(), path6()};
	uint8_t frame[128];

	for (int i = 0; i < 2; i++) {
		rig_receive(rig, frame, build_datagram(frame, &paths[i], SERVED_PORT));
		rig_receive(rig, frame, frame_build_question(frame, &paths[i]));
	}
	memset(l4_of(frame, &paths[1]) + 4, 0, 4);
	rig_receive(rig, frame, build_icmp(frame, &paths[1], 128, 0, 64));
	CU_ASSERT_EQUAL(COUNT(rig, ip_not_ours), 2);
	CU_ASSERT_EQUAL(COUNT(rig, icmp_ignored), 1);
	CU_ASSERT_EQUAL(rig->datagrams, 0);
	CU_ASSERT_EQUAL(rig->sent_count, 0);
	rig_free(rig);
}

static void test_without_memory_no_answer_goes_out(void)
{
	struct rig *rig = rig_new();
	struct frame_path path = path6();
	uint8_t frame[128];
	uint32_t length = build_arp(frame);

	rig_receive_without_memory(rig, frame, length);
	rig_receive_without_memory(rig, frame, frame_build_question(frame, &path));
	CU_ASSERT_EQUAL(COUNT(rig, no_packet_memory), 2);
	CU_ASSERT_EQUAL(rig->sent_count, 0);
	rig_receive(rig, frame, frame_build_question(frame, &path));
	CU_ASSERT_EQUAL(rig->sent_count, 1);
	rig_free(rig);
}

/* RFC 4861 7.1.1 and 7.1.2. */
static void test_malformed_neighbour_discovery_is_dropped(void)
{
	static const uint8_t source[OPTION_BYTES] = {OPTION_SOURCE, 1, 2, 0, 0, 0, 0, 9};
	static const uint8_t no_length[OPTION_BYTES] = {OPTION_SOURCE, 0};
	static const uint8_t too_long[OPTION_BYTES] = {OPTION_SOURCE, 2};
	struct rig *rig = rig_new();
	struct frame_path path = path6();
	uint8_t frame[128];
	uint32_t length;

	rig_receive(rig, frame, build_nd(frame, &path, SOLICITATION, "fd00:198::2", no_length, 8));
	rig_receive(rig, frame, build_nd(frame, &path, SOLICITATION, "fd00:198::2", too_long, 8));
	rig_receive(rig, frame, build_nd(frame, &path, SOLICITATION, "fd00:198::2", source, 4));
	rig_receive(rig, frame, build_nd(frame, &path, SOLICITATION, "ff02::1", source, 8));
	rig_receive(rig, frame, build_detection(frame, FRAME_NO_VLAN, source, 8));
	CU_ASSERT_EQUAL(COUNT(rig, nd_bad), 5);
	build_nd(frame, &path, SOLICITATION, "fd00:198::2", source, 8);
	rig_receive(rig, frame, build_icmp(frame, &path, SOLICITATION, 1, MESSAGE_BYTES + 8));
	CU_ASSERT_EQUAL(COUNT(rig, nd_bad), 6);
	rig_receive(rig, frame, build_icmp(frame, &path, SOLICITATION, 0, MESSAGE_BYTES - 1));
	CU_ASSERT_EQUAL(COUNT(rig, nd_bad), 7);
	length = build_nd(frame, &path, ADVERTISEMENT, "fd00:198::2", source, 8);
	frame[HOP_LIMIT_AT] = 254;
	rig_receive(rig, frame, length);
	CU_ASSERT_EQUAL(COUNT(rig, nd_bad), 8);
	CU_ASSERT_EQUAL(rig->sent_count, 0);
	CU_ASSERT_EQUAL(COUNT(rig, address_conflicts), 0);
	rig_free(rig);
}

/* RFC 4861 7.1.1: to the target's group or to the target itself; who has no address yet asks the
 * group (RFC 4862 5.4.2). RFC 4861 7.1.2: what goes to a group nobody has solicited. */
static void test_neighbour_discovery_to_the_wrong_address_is_dropped(void)
{
	static const uint8_t source[OPTION_BYTES] = {OPTION_SOURCE, 1, 2, 0, 0, 0, 0, 9};
	static const uint8_t target[OPTION_BYTES] = {OPTION_TARGET, 1, 2, 0, 0, 0, 0, 9};
	static const uint8_t group_mac[6] = {0x33, 0x33, 0xff, 0, 0, 3};
	struct frame_path other = path_from("fd00:198::9", "ff02::1:ff00:3");
	struct frame_path all = path_from("fd00:198::9", "ff02::1");
	struct frame_path nobody = path_from("::", "fd00:198::2");
	struct rig *rig = rig_new();
	uint8_t frame[128];

	memcpy(other.remote_mac, group_mac, 6);
	rig_receive(rig, frame, build_nd(frame, &other, SOLICITATION, "fd00:198::2", source, 8));
	CU_ASSERT_EQUAL(COUNT(rig, nd_bad), 1);
	memcpy(all.remote_mac, (uint8_t[]){0x33, 0x33, 0, 0, 0, 1}, 6);
	rig_receive(rig, frame, build_nd(frame, &all, SOLICITATION, "fd00:198::2", source, 8));
	CU_ASSERT_EQUAL(COUNT(rig, nd_bad), 2);
	rig_receive(rig, frame, build_nd(frame, &nobody, SOLICITATION, "fd00:198::2", nothing, 0));
	CU_ASSERT_EQUAL(COUNT(rig, nd_bad), 3);
	build_nd(frame, &all, ADVERTISEMENT, "fd00:198::2", target, 8);
	l4_of(frame, &all)[4] = 0x40; /* solicited */
	rig_receive(rig, frame, build_icmp(frame, &all, ADVERTISEMENT, 0, MESSAGE_BYTES + 8));
	CU_ASSERT_EQUAL(COUNT(rig, nd_bad), 4);
	CU_ASSERT_EQUAL(COUNT(rig, address_conflicts), 0);
	CU_ASSERT_EQUAL(rig->sent_count, 0);
	rig_free(rig);
}

/* Without the option the answer goes where the frame came from; what else is in there is skipped.
 */
static void test_a_solicitation_need_not_name_its_sender(void)
{
	static const uint8_t nonce[OPTION_BYTES] = {14, 1, 1, 2, 3, 4, 5, 6}; /* RFC 3971 5.3.2 */
	static const uint8_t both[2 * OPTION_BYTES] = {14, 1, 0, 0, 0, 0, 0, 0, OPTION_SOURCE,
	                                               1,  2, 0, 0, 0, 0, 7};
	struct rig *rig = rig_new();
	struct frame_path path = path6();
	uint8_t frame[128], mac[6];
	struct frame answer;

	rig_receive(rig, frame, build_nd(frame, &path, SOLICITATION, "fd00:198::2", nonce, 8));
	CU_ASSERT_EQUAL_FATAL(rig->sent_count, 1);
	CU_ASSERT_TRUE(frame_parse(&answer, rig->sent[0], rig->sent_length[0]));
	CU_ASSERT_TRUE(frame_resolves(&answer, &path, mac));
	CU_ASSERT_EQUAL(memcmp(mac, our_mac, 6), 0);
	rig_receive(rig, frame, build_nd(frame, &path, SOLICITATION, "fd00:198::2", both, 16));
	CU_ASSERT_EQUAL_FATAL(rig->sent_count, 2);
	CU_ASSERT_EQUAL(memcmp(rig->sent[1], both + 10, 6), 0);
	rig_receive(rig, frame, build_nd(frame, &path, SOLICITATION, "fd00:198::7", nonce, 8));
	CU_ASSERT_EQUAL(rig->sent_count, 2); /* not ours */
	rig_free(rig);
}

/* RFC 4862 5.4.4: all have to hear it, as the one that asks has no address yet. */
static void test_who_wants_our_address_is_told_before_all(void)
{
	struct rig *rig = rig_new();
	uint8_t frame[128];
	struct frame answer;

	rig_receive(rig, frame, build_detection(frame, 7, nothing, 0));
	CU_ASSERT_EQUAL_FATAL(rig->sent_count, 1);
	CU_ASSERT_TRUE_FATAL(frame_parse(&answer, rig->sent[0], rig->sent_length[0]));
	CU_ASSERT_EQUAL(answer.kind, FRAME_NEIGHBOUR);
	CU_ASSERT_TRUE(answer.checksum_good);
	CU_ASSERT_EQUAL(answer.vlan, 7);
	CU_ASSERT_EQUAL(answer.l4.data[0], ADVERTISEMENT);
	CU_ASSERT_EQUAL(load_be32(answer.l4.data + 4), 0x20000000); /* override, not solicited */
	CU_ASSERT_EQUAL(memcmp(answer.destination.bytes, all_nodes, 16), 0);
	CU_ASSERT_EQUAL(answer.destination_mac[0], 0x33);
	CU_ASSERT_EQUAL(rig->net.addresses[1].state, NET_ADDRESS_READY);
	rig_free(rig);
}

static void test_an_advertisement_of_our_address_is_a_conflict(void)
{
	static const uint8_t target[OPTION_BYTES] = {OPTION_TARGET, 1, 2, 0, 0, 0, 0, 9};
	struct frame_path path = path_from("fd00:198::2", "ff02::1");
	struct rig *rig = rig_new();
	uint8_t frame[128];
	uint32_t length;

	memcpy(path.remote_mac, (uint8_t[]){0x33, 0x33, 0, 0, 0, 1}, 6);
	length = build_nd(frame, &path, ADVERTISEMENT, "fd00:198::2", target, 8);
	rig_receive(rig, frame, length);
	rig_receive(rig, frame, length);
	rig_advance(rig, SECOND);
	CU_ASSERT_EQUAL(COUNT(rig, address_conflicts), 2);
	CU_ASSERT_EQUAL(rig->sent_count, 1); /* defended once */
	CU_ASSERT_EQUAL(rig->net.addresses[1].state, NET_ADDRESS_READY);
	rig_free(rig);
	/* while it is probed for, it is given up (RFC 4862 5.4.4) */
	rig = rig_new(.probe = true);
	rig_receive(rig, frame, length);
	CU_ASSERT_EQUAL(rig->net.addresses[1].state, NET_ADDRESS_DUPLICATE);
	rig_free(rig);
}

/* On xdp ports the kernel does all of this. */
static void test_where_the_kernel_answers_we_do_not(void)
{
	struct rig *rig = rig_new(.kind = PORT_XDP, .probe = true);
	struct frame_path paths[] = {path4(), path6()};
	uint8_t frame[128];

	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(rig->net.addresses[i].state, NET_ADDRESS_READY);
		rig_receive(rig, frame, frame_build_question(frame, &paths[i]));
		memset(l4_of(frame, &paths[i]), 0, 64);
		rig_receive(rig, frame, build_icmp(frame, &paths[i], i == 0 ? 8 : 128, 0, 64));
		rig_receive(rig, frame, build_datagram(frame, &paths[i], SERVED_PORT + 1));
	}
	rig_advance(rig, SECOND);
	CU_ASSERT_EQUAL(COUNT(rig, eth_unknown_type), 1);
	CU_ASSERT_EQUAL(COUNT(rig, icmp_ignored), 3);
	CU_ASSERT_EQUAL(COUNT(rig, udp_no_port), 2);
	CU_ASSERT_EQUAL(rig->sent_count, 0);
	rig_free(rig);
}

static const struct unit_case cases[] = {
    {"malformed ARP is dropped", test_malformed_arp_is_dropped},
    {"an ARP reply is not answered", test_an_arp_reply_is_not_answered},
    {"our own frames looped back are no conflict", test_our_own_frames_looped_back_are_no_conflict},
    {"two that probe at once both give up", test_two_that_probe_at_once_both_give_up},
    {"an address given up is not served", test_an_address_given_up_is_not_served},
    {"without memory no answer goes out", test_without_memory_no_answer_goes_out},
    {"malformed neighbour discovery is dropped", test_malformed_neighbour_discovery_is_dropped},
    {"neighbour discovery to the wrong address is dropped",
     test_neighbour_discovery_to_the_wrong_address_is_dropped},
    {"a solicitation need not name its sender", test_a_solicitation_need_not_name_its_sender},
    {"who wants our address is told, before all", test_who_wants_our_address_is_told_before_all},
    {"an advertisement of our address is a conflict",
     test_an_advertisement_of_our_address_is_a_conflict},
    {"where the kernel answers we do not", test_where_the_kernel_answers_we_do_not},
};

int main(void)
{
	return UNIT_RUN("net_neighbours", cases);
}
