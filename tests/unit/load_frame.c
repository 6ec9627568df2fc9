/* SPDX-License-Identifier: Apache-2.0 */
#include "load/frame.h"

#include "unit.h"

#include <stdlib.h>

/* The expected checksums were computed apart from frame.c, by RFC 1071's definition over 16-bit
 * words in network order. */

static const uint8_t client_mac[6] = {2, 0, 0, 0, 0, 2};
static const uint8_t server_mac[6] = {2, 0, 0, 0, 0, 1};

static struct frame_path path_between(const char *local, const char *remote, uint16_t vlan)
{
	struct frame_path path = {.vlan = vlan};

	CU_ASSERT_EQUAL(ip_address_parse(&path.local, local), 0);
	CU_ASSERT_EQUAL(ip_address_parse(&path.remote, remote), 0);
	memcpy(path.local_mac, client_mac, 6);
	memcpy(path.remote_mac, server_mac, 6);
	return path;
}

static struct frame_path path_ip4(void)
{
	return path_between("198.18.0.2", "198.18.0.1", FRAME_NO_VLAN);
}

static struct frame_path path_ip6(void)
{
	return path_between("fd00::2", "fd00::1", FRAME_NO_VLAN);
}

static struct frame_path reversed(const struct frame_path *path)
{
	struct frame_path back = *path;

	back.local = path->remote;
	back.remote = path->local;
	memcpy(back.local_mac, path->remote_mac, 6);
	memcpy(back.remote_mac, path->local_mac, 6);
	return back;
}

/* Payloads of the known answers, by length: 0, 1, 9, 10, 1281. */
static struct slice payload_of(uint32_t length, uint8_t buffer[1281])
{
	if (length == 1281) {
		for (uint32_t i = 0; i < 1280; i++)
			buffer[i] = (uint8_t)i;
		buffer[1280] = 0xff;
	} else {
		memcpy(buffer, length == 10 ? "get key1\r\n" : "get key\r\n", 10);
	}
	return (struct slice){buffer, length};
}

static uint32_t tcp_build(uint8_t *to, const struct frame_path *path, struct slice payload)
{
	uint8_t *tcp = frame_begin(to, path, FRAME_PROTOCOL_TCP);

	store_be16(tcp, 0x1234);
	store_be16(tcp + 2, 11211);
	store_be32(tcp + 4, 0x01020304);
	store_be32(tcp + 8, 0xa0b0c0d0);
	tcp[12] = 0x50;
	tcp[13] = 0x18;
	store_be16(tcp + 14, 0x7fff);
	store_be16(tcp + 18, 0);
	memcpy(tcp + 20, payload.data, payload.length);
	return frame_finish(to, path, FRAME_PROTOCOL_TCP, 20 + (uint32_t)payload.length);
}

struct known_answer {
	uint32_t length;
	uint16_t tcp4, udp4, tcp6, udp6;
};

static const struct known_answer known_answers[] = {
    {0, 0x001f, 0x35b7, 0x9242, 0xc7da},    {1, 0x991d, 0xceb4, 0x2b41, 0x60d8},
    {9, 0x361d, 0x6bac, 0xc840, 0xfdcf},    {10, 0x32ee, 0x687c, 0xc511, 0xfa9f},
    {1281, 0x3ade, 0x6b75, 0xcd01, 0xfd98},
};

static void test_checksums_are_the_known_ones(void)
{
	for (size_t i = 0; i < sizeof(known_answers) / sizeof(known_answers[0]); i++) {
		const struct known_answer *known = &known_answers[i];
		struct frame_path path = path_ip4();
		uint8_t frame[1500], buffer[1281];
		struct slice payload = payload_of(known->length, buffer);

		tcp_build(frame, &path, payload);
		CU_ASSERT_EQUAL(load_be16(frame + 14 + 20 + 16), known->tcp4);
		frame_build_udp(frame, &path, 0x1234, 11211, payload);
		CU_ASSERT_EQUAL(load_be16(frame + 14 + 20 + 6), known->udp4);
		path = path_ip6();
		tcp_build(frame, &path, payload);
		CU_ASSERT_EQUAL(load_be16(frame + 14 + 40 + 16), known->tcp6);
		frame_build_udp(frame, &path, 0x1234, 11211, payload);
		CU_ASSERT_EQUAL(load_be16(frame + 14 + 40 + 6), known->udp6);
	}
}

static void test_ip4_header_checksum_is_the_known_one(void)
{
	struct frame_path path = path_between("192.168.0.1", "192.168.0.199", FRAME_NO_VLAN);
	static const uint8_t expected[20] = {0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40,
	                                     0x00, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8,
	                                     0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7};
	uint8_t frame[256], payload[87] = {0};

	CU_ASSERT_EQUAL(frame_build_udp(frame, &path, 1, 2, (struct slice){payload, 87}),
	                14 + 0x73);
	CU_ASSERT_EQUAL(memcmp(frame + 14, expected, 20), 0);
}

static void test_udp_sum_of_zero_is_sent_as_ones(void)
{
	struct frame_path ip4 = path_ip4(), ip6 = path_ip6();
	struct frame frame;
	uint8_t bytes[128];
	uint32_t length = frame_build_udp(bytes, &ip4, 53224, 11211, SLICE_LITERAL("x"));

	CU_ASSERT_EQUAL(load_be16(bytes + 14 + 20 + 6), 0xffff);
	CU_ASSERT_TRUE(frame_parse(&frame, bytes, length) && frame.checksum_good);
	length = frame_build_udp(bytes, &ip6, 25100, 11211, SLICE_LITERAL("x"));
	CU_ASSERT_EQUAL(load_be16(bytes + 14 + 40 + 6), 0xffff);
	CU_ASSERT_TRUE(frame_parse(&frame, bytes, length) && frame.checksum_good);
}

static void test_frames_are_read_as_built(void)
{
	for (int i = 0; i < 4; i++) {
		struct frame_path path = i & 1 ? path_ip6() : path_ip4();
		struct frame frame;
		uint8_t bytes[256];
		uint32_t length;

		path.vlan = i & 2 ? 7 : FRAME_NO_VLAN;
		length = frame_build_udp(bytes, &path, 1234, 11211, SLICE_LITERAL("get k\r\n"));
		memset(bytes + length, 0xaa, 20); /* Ethernet pads */
		CU_ASSERT_TRUE_FATAL(frame_parse(&frame, bytes, length + 20));
		CU_ASSERT_EQUAL(frame.kind, FRAME_UDP);
		CU_ASSERT_TRUE(frame.checksum_good);
		CU_ASSERT_EQUAL(frame.vlan, path.vlan);
		CU_ASSERT_EQUAL(frame.source_port, 1234);
		CU_ASSERT_EQUAL(frame.destination_port, 11211);
		CU_ASSERT_TRUE(ip_address_equal(&frame.source, &path.local));
		CU_ASSERT_TRUE(ip_address_equal(&frame.destination, &path.remote));
		CU_ASSERT_TRUE(slice_equal(frame.payload, SLICE_LITERAL("get k\r\n")));
	}
}

static void test_every_flipped_bit_is_seen(void)
{
	for (int ip6 = 0; ip6 < 2; ip6++) {
		struct frame_path path = ip6 ? path_ip6() : path_ip4();
		uint8_t bytes[256], payload[1281];
		uint32_t length = tcp_build(bytes, &path, payload_of(9, payload));
		/* IPv6 has no sum over class, flow label and hop limit */
		uint32_t first = ip6 ? 14 + 8 : 14;

		for (uint32_t bit = first * 8; bit < length * 8; bit++) {
			struct frame frame;

			bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			CU_ASSERT_FALSE(frame_parse(&frame, bytes, length) &&
			                frame.kind == FRAME_TCP && frame.checksum_good);
			bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
}

static void test_no_cut_off_frame_is_read(void)
{
	for (int i = 0; i < 4; i++) {
		struct frame_path path = i & 1 ? path_ip6() : path_ip4();
		uint8_t bytes[256];
		struct frame frame;
		uint32_t length;

		path.vlan = i & 2 ? 7 : FRAME_NO_VLAN;
		length = i & 2 ? frame_build_question(bytes, &path)
		               : frame_build_udp(bytes, &path, 1, 2, SLICE_LITERAL("x"));
		CU_ASSERT_TRUE(frame_parse(&frame, bytes, length));
		for (uint32_t cut = 0; cut < length; cut++) {
			uint8_t *exact = malloc(cut + 1); /* so that a sanitizer sees every step */

			memcpy(exact, bytes, cut);
			CU_ASSERT_FALSE(frame_parse(&frame, exact, cut));
			free(exact);
		}
	}
}

static void test_fragments_and_other_protocols_are_not_read(void)
{
	struct frame_path path = path_ip4();
	struct frame frame;
	uint8_t bytes[256];
	uint32_t length = frame_build_udp(bytes, &path, 1, 2, SLICE_LITERAL("x"));

	bytes[14 + 6] = 0x20;
	CU_ASSERT_FALSE(frame_parse(&frame, bytes, length));
	bytes[14 + 6] = 0x40;
	bytes[14 + 9] = 1;
	CU_ASSERT_FALSE(frame_parse(&frame, bytes, length));
	bytes[12] = 0x88;
	CU_ASSERT_FALSE(frame_parse(&frame, bytes, length));
}

/* Question from one side, answer from the other, on both kinds of address and with a tag. */
static void test_questions_are_answered_and_answers_understood(void)
{
	for (int i = 0; i < 4; i++) {
		struct frame_path client = i & 1 ? path_ip6() : path_ip4();
		struct frame_path server;
		uint8_t question[FRAME_QUESTION_BYTES], answer[FRAME_QUESTION_BYTES], mac[6] = {0};
		struct frame frame;
		uint32_t length;

		client.vlan = i & 2 ? 7 : FRAME_NO_VLAN;
		server = reversed(&client);
		memset(client.remote_mac, 0, 6); /* not known yet */
		length = frame_build_question(question, &client);
		CU_ASSERT_TRUE_FATAL(frame_parse(&frame, question, length));
		CU_ASSERT_TRUE(frame.checksum_good);
		CU_ASSERT_EQUAL(frame.destination_mac[0] & 1, 1); /* to a group */
		CU_ASSERT_FALSE(frame_resolves(&frame, &client, mac));
		CU_ASSERT_EQUAL(frame_build_answer(answer, &frame, &client), 0);
		length = frame_build_answer(answer, &frame, &server);
		CU_ASSERT_NOT_EQUAL_FATAL(length, 0);
		CU_ASSERT_TRUE_FATAL(frame_parse(&frame, answer, length));
		CU_ASSERT_TRUE(frame.checksum_good);
		CU_ASSERT_EQUAL(memcmp(frame.destination_mac, client_mac, 6), 0);
		CU_ASSERT_FALSE(frame_resolves(&frame, &server, mac));
		CU_ASSERT_TRUE(frame_resolves(&frame, &client, mac));
		CU_ASSERT_EQUAL(memcmp(mac, server_mac, 6), 0);
		client.vlan = 9;
		CU_ASSERT_FALSE(frame_resolves(&frame, &client, mac));
	}
}

static void test_arp_request_is_the_known_one(void)
{
	static const uint8_t expected[42] = {
	    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,   0,  0, 0, 0, 2, 8, 6, /* to all */
	    0,    1,    8,    0,    6,    4,    0,   1,                    /* request */
	    2,    0,    0,    0,    0,    2,    198, 18, 0, 2,             /* from */
	    0,    0,    0,    0,    0,    0,    198, 18, 0, 1,             /* whose */
	};
	struct frame_path path = path_ip4();
	uint8_t question[FRAME_QUESTION_BYTES];

	CU_ASSERT_EQUAL(frame_build_question(question, &path), sizeof(expected));
	CU_ASSERT_EQUAL(memcmp(question, expected, sizeof(expected)), 0);
}

static void test_solicitation_goes_to_its_group(void)
{
	struct frame_path path = path_between("fd00::2", "fd00::a1:b2c3", FRAME_NO_VLAN);
	static const uint8_t group_mac[6] = {0x33, 0x33, 0xff, 0xa1, 0xb2, 0xc3};
	uint8_t question[FRAME_QUESTION_BYTES];
	struct ip_address group;
	struct frame frame;
	uint32_t length = frame_build_question(question, &path);

	ip_address_parse(&group, "ff02::1:ffa1:b2c3");
	CU_ASSERT_TRUE_FATAL(frame_parse(&frame, question, length));
	CU_ASSERT_TRUE(ip_address_equal(&frame.destination, &group));
	CU_ASSERT_EQUAL(memcmp(frame.destination_mac, group_mac, 6), 0);
	CU_ASSERT_EQUAL(question[14 + 7], 255);
	question[14 + 7] = 254; /* came over a router: RFC 4861 7.1.1 */
	CU_ASSERT_FALSE(frame_parse(&frame, question, length));
}

static void test_duplicate_detection_is_answered_to_all(void)
{
	struct frame_path server = path_ip6(), prober = path_ip6();
	uint8_t question[FRAME_QUESTION_BYTES], answer[FRAME_QUESTION_BYTES];
	struct ip_address all_nodes;
	struct frame frame;
	uint32_t length;

	memset(&prober.local, 0, 16);
	prober.remote = server.local;
	length = frame_build_question(question, &prober);
	CU_ASSERT_TRUE_FATAL(frame_parse(&frame, question, length));
	length = frame_build_answer(answer, &frame, &server);
	CU_ASSERT_TRUE_FATAL(frame_parse(&frame, answer, length));
	ip_address_parse(&all_nodes, "ff02::1");
	CU_ASSERT_TRUE(ip_address_equal(&frame.destination, &all_nodes));
}

static const struct unit_case cases[] = {
    {"checksums are the known ones, odd lengths too", test_checksums_are_the_known_ones},
    {"the IPv4 header checksum is the known one", test_ip4_header_checksum_is_the_known_one},
    {"a UDP sum of zero is sent as ones", test_udp_sum_of_zero_is_sent_as_ones},
    {"frames are read as they were built", test_frames_are_read_as_built},
    {"every flipped bit is seen", test_every_flipped_bit_is_seen},
    {"no frame that is cut off is read", test_no_cut_off_frame_is_read},
    {"fragments and other protocols are not read", test_fragments_and_other_protocols_are_not_read},
    {"questions are answered and answers understood",
     test_questions_are_answered_and_answers_understood},
    {"an ARP request is the known one", test_arp_request_is_the_known_one},
    {"a solicitation goes to its group, over no router", test_solicitation_goes_to_its_group},
    {"duplicate address detection is answered to all", test_duplicate_detection_is_answered_to_all},
};

int main(void)
{
	return UNIT_RUN("load_frame", cases);
}
