/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP and ICMPv6: what is answered, and what is sent of our own accord. */
#include "net_rig.h"

#define IP_AT         ETHERNET_BYTES
#define ECHO_BYTES    64
#define QUOTE_BYTES_4 (576 - 28)  /* RFC 1812 4.3.2.3 */
#define QUOTE_BYTES_6 (1280 - 48) /* RFC 4443 2.4 (c) */

static uint32_t build_echo(uint8_t *frame, const struct frame_path *path, uint32_t l4_bytes)
{
	memset(l4_of(frame, path), 0x5a, l4_bytes);
	return build_icmp(frame, path, ip_address_is_ip4(&path->local) ? 8 : 128, 0, l4_bytes);
}

static void test_damaged_icmp_is_dropped(void)
{
	struct rig *rig = rig_new();
	struct frame_path paths[] = {path4(), path6()};
	uint8_t frame[256];

	for (uint32_t i = 0; i < 2; i++) {
		uint32_t length = build_echo(frame, &paths[i], ECHO_BYTES);

		frame[length - 1] ^= 1;
		/* devices check no such sums, whatever they say */
		rig_receive_flagged(rig, frame, length, PACKET_CHECKSUM_GOOD);
		CU_ASSERT_EQUAL(COUNT(rig, icmp_bad), 2 * i + 1);
		rig_receive(rig, frame, build_echo(frame, &paths[i], 7));
		CU_ASSERT_EQUAL(COUNT(rig, icmp_bad), 2 * i + 2);
	}
	CU_ASSERT_EQUAL(rig->sent_count, 0);
	rig_free(rig);
}

static void test_what_asks_nothing_of_a_server_is_ignored(void)
{
	static const uint8_t types4[] = {0, 3, 5, 13, 17}; /* replies, errors, redirect, … */
	static const uint8_t types6[] = {1, 2, 129, 133, 134, 137};
	struct rig *rig = rig_new();
	struct frame_path paths[] = {path4(), path6()};
	uint8_t frame[256];

	for (size_t i = 0; i < sizeof(types4); i++)
		rig_receive(rig, frame, build_icmp(frame, &paths[0], types4[i], 0, ECHO_BYTES));
	for (size_t i = 0; i < sizeof(types6); i++)
		rig_receive(rig, frame, build_icmp(frame, &paths[1], types6[i], 0, ECHO_BYTES));
	/* nor is an echo to a group answered, which would name us to whoever asks */
	paths[1] = path_from("fd00:198::9", "ff02::1");
	memcpy(paths[1].remote_mac, (uint8_t[]){0x33, 0x33, 0, 0, 0, 1}, 6);
	rig_receive(rig, frame, build_echo(frame, &paths[1], ECHO_BYTES));
	CU_ASSERT_EQUAL(COUNT(rig, icmp_ignored), sizeof(types4) + sizeof(types6) + 1);
	CU_ASSERT_EQUAL(rig->sent_count, 0);
	rig_free(rig);
}

/* The checks of the answer are by src/load or by hand, not by what made it. */
static void test_an_unknown_protocol_is_told(void)
{
	struct rig *rig = rig_new();
	struct frame_path paths[] = {path4(), path6()};
	uint8_t frame[256], *icmp;

	for (int i = 0; i < 2; i++) {
		uint32_t length = build_datagram(frame, &paths[i], SERVED_PORT);

		frame[IP_AT + (i == 0 ? 9 : 6)] = 132; /* SCTP */
		if (i == 0)
			ip4_seal(frame + IP_AT);
		rig_receive(rig, frame, length);
		CU_ASSERT_EQUAL_FATAL(rig->sent_count, (uint32_t)i + 1);
		icmp = l4_of(rig->sent[i], &paths[i]);
		CU_ASSERT_EQUAL(icmp[0], i == 0 ? 3 : 4);
		CU_ASSERT_EQUAL(icmp[1], i == 0 ? 2 : 1);
		CU_ASSERT_EQUAL(load_be32(icmp + 4), i == 0 ? 0 : 6);
		CU_ASSERT_EQUAL(memcmp(icmp + 8, frame + IP_AT, length - IP_AT), 0);
	}
	CU_ASSERT_EQUAL(COUNT(rig, ip_unknown_protocol), 2);
	CU_ASSERT_EQUAL(COUNT(rig, icmp_errors_sent), 2);
	rig_free(rig);
}

/* RFC 8200 4.7: 59 says that nothing follows, which is no protocol to be told of. */
static void test_no_next_header_is_no_unknown_protocol(void)
{
	struct rig *rig = rig_new();
	struct frame_path path = path6();
	uint8_t frame[256];
	uint32_t length = build_datagram(frame, &path, SERVED_PORT);

	frame[IP_AT + 6] = 59;
	rig_receive(rig, frame, length);
	CU_ASSERT_EQUAL(COUNT(rig, ip_unknown_protocol), 1);
	/* behind an extension header as well */
	frame[IP_AT + 6] = 60;
	memcpy(l4_of(frame, &path), (uint8_t[8]){59, 0, 1, 4}, 8); /* PadN */
	rig_receive(rig, frame, length);
	CU_ASSERT_EQUAL(COUNT(rig, ip_unknown_protocol), 2);
	CU_ASSERT_EQUAL(rig->sent_count, 0);
	CU_ASSERT_EQUAL(COUNT(rig, icmp_errors_sent), 0);
	rig_free(rig);
}

static void test_an_error_quotes_no_more_than_fits_any_path(void)
{
	struct rig *rig = rig_new();
	struct frame_path paths[] = {path4(), path6()};
	uint8_t frame[2048], payload[1400] = "a long one";

	for (int i = 0; i < 2; i++) {
		uint32_t headers = IP_AT + (i == 0 ? 20 : 40) + 8;
		uint32_t quote = i == 0 ? QUOTE_BYTES_4 : QUOTE_BYTES_6;

		rig_receive(rig, frame,
		            frame_build_udp(frame, &paths[i], 5000, SERVED_PORT + 1,
		                            (struct slice){payload, sizeof(payload)}));
		CU_ASSERT_EQUAL_FATAL(rig->sent_count, (uint32_t)i + 1);
		CU_ASSERT_EQUAL(rig->sent_length[i], headers + quote);
		CU_ASSERT_EQUAL(memcmp(rig->sent[i] + headers, frame + IP_AT, quote), 0);
	}
	rig_free(rig);
}

static void test_errors_and_echoes_share_one_rate(void)
{
	struct rig *rig = rig_new();
	struct frame_path path = path4();
	uint8_t frame[256];
	uint32_t length = build_datagram(frame, &path, SERVED_PORT + 1);

	for (int i = 0; i < 60; i++) {
		rig_receive(rig, frame, length);
		rig->sent_count = 0;
	}
	CU_ASSERT_EQUAL(COUNT(rig, icmp_errors_sent), 50);
	rig_receive(rig, frame, build_echo(frame, &path, ECHO_BYTES));
	CU_ASSERT_EQUAL(COUNT(rig, icmp_echo_replies_sent), 0);
	CU_ASSERT_EQUAL(COUNT(rig, icmp_rate_limited), 11);
	/* 100 a second, and no more than 50 saved up */
	rig->now_us += 25000;
	for (int i = 0; i < 4; i++)
		rig_receive(rig, frame, build_echo(frame, &path, ECHO_BYTES));
	CU_ASSERT_EQUAL(COUNT(rig, icmp_echo_replies_sent), 2);
	rig_free(rig);
}

static void test_without_memory_nothing_is_sent(void)
{
	struct rig *rig = rig_new();
	struct frame_path paths[] = {path4(), path6()};
	uint8_t frame[256];

	for (uint32_t i = 0; i < 2; i++) {
		rig_receive_without_memory(rig, frame, build_echo(frame, &paths[i], ECHO_BYTES));
		rig_receive_without_memory(rig, frame,
		                           build_datagram(frame, &paths[i], SERVED_PORT + 1));
		CU_ASSERT_EQUAL(COUNT(rig, no_packet_memory), 2 * i + 2);
	}
	CU_ASSERT_EQUAL(COUNT(rig, icmp_echo_replies_sent), 0);
	CU_ASSERT_EQUAL(COUNT(rig, icmp_errors_sent), 0);
	rig_free(rig);
}

/* A device may take in what is longer than we may send. */
static void test_an_echo_longer_than_the_mtu_is_not_answered(void)
{
	struct rig *rig = rig_new(.mtu = 1280);
	struct frame_path paths[] = {path4(), path6()};
	uint8_t frame[2048];

	for (uint32_t i = 0; i < 2; i++) {
		uint32_t l4_max = 1280 - (i == 0 ? 20 : 40);

		rig_receive(rig, frame, build_echo(frame, &paths[i], l4_max + 1));
		CU_ASSERT_EQUAL(rig->sent_count, i);
		CU_ASSERT_EQUAL(COUNT(rig, icmp_ignored), i + 1);
		rig_receive(rig, frame, build_echo(frame, &paths[i], l4_max));
		CU_ASSERT_EQUAL(rig->sent_count, i + 1);
	}
	rig_free(rig);
}

/* RFC 4443 4.2, 2.4 (e); RFC 1122 3.2.2.6: an answer to :: would go to nobody, one to a frame for
 * all would have everybody answer at once. */
static void test_an_echo_from_nobody_or_to_all_is_not_answered(void)
{
	struct rig *rig = rig_new();
	struct frame_path nobody = path_from("::", "fd00:198::2");
	struct frame_path all = path_from("198.18.0.255", "198.18.0.2");
	struct frame_path paths[] = {path4(), path6()};
	uint8_t frame[256];

	rig_receive(rig, frame, build_echo(frame, &nobody, ECHO_BYTES));
	CU_ASSERT_EQUAL(COUNT(rig, icmp_ignored), 1);
	rig_receive(rig, frame, build_echo(frame, &all, ECHO_BYTES));
	CU_ASSERT_EQUAL(COUNT(rig, ip_bad_source), 1);
	for (int i = 0; i < 2; i++) {
		memset(paths[i].remote_mac, 0xff, 6);
		rig_receive(rig, frame, build_echo(frame, &paths[i], ECHO_BYTES));
	}
	CU_ASSERT_EQUAL(COUNT(rig, ip_not_ours), 1);
	CU_ASSERT_EQUAL(COUNT(rig, icmp_ignored), 2);
	CU_ASSERT_EQUAL(rig->sent_count, 0);
	CU_ASSERT_EQUAL(COUNT(rig, icmp_echo_replies_sent), 0);
	/* the same from somebody to us alone */
	memcpy(paths[1].remote_mac, our_mac, 6);
	rig_receive(rig, frame, build_echo(frame, &paths[1], ECHO_BYTES));
	CU_ASSERT_EQUAL(rig->sent_count, 1);
	rig_free(rig);
}

/* What we sent to 203.0.113.5 or 2001:db8::5, as far as an error quotes it: the IP header and eight
 * bytes of TCP. Returns how long that is. */
static uint32_t quote_write(uint8_t *quote, const struct frame_path *path, uint16_t packet_bytes)
{
	struct ip_address remote;
	bool ip4 = ip_address_is_ip4(&path->local);
	uint32_t header_bytes = ip4 ? 20 : 40;

	ip_address_parse(&remote, ip4 ? "203.0.113.5" : "2001:db8::5");
	memset(quote, 0, header_bytes + 8);
	if (ip4) {
		quote[0] = 0x45;
		store_be16(quote + 2, packet_bytes);
		quote[9] = FRAME_PROTOCOL_TCP;
		memcpy(quote + 12, path->remote.bytes + 12, 4);
		memcpy(quote + 16, remote.bytes + 12, 4);
	} else {
		quote[0] = 0x60;
		store_be16(quote + 4, (uint16_t)(packet_bytes - 40));
		quote[6] = FRAME_PROTOCOL_TCP;
		memcpy(quote + 8, path->remote.bytes, 16);
		memcpy(quote + 24, remote.bytes, 16);
	}
	store_be16(quote + header_bytes, SERVED_PORT);
	return header_bytes + 8;
}

static uint32_t build_error(uint8_t *frame, const struct frame_path *path, uint8_t type,
                            uint8_t code, uint32_t mtu, uint16_t packet_bytes)
{
	uint8_t *icmp = l4_of(frame, path);
	uint32_t quote_bytes = quote_write(icmp + 8, path, packet_bytes);

	store_be32(icmp + 4, mtu);
	return build_icmp(frame, path, type, code, 8 + quote_bytes);
}

static void test_an_error_about_a_segment_of_ours_is_passed_on(void)
{
	static const struct {
		uint8_t type, code;
		uint32_t field; /* the MTU, in its last bytes */
		bool ip4, too_big;
		uint16_t mtu;
	} tries[] = {
	    {3, 4, 1400, true, true, 1400},  {3, 1, 1400, true, false, 0},
	    {11, 0, 0, true, false, 0},      {12, 0, 0, true, false, 0},
	    {3, 4, 0, true, true, 1492}, /* RFC 1191 7.1 */
	    {2, 0, 1280, false, true, 1280}, {2, 0, 0x12345678, false, true, 0xffff},
	    {1, 4, 1280, false, false, 0},   {3, 0, 0, false, false, 0},
	    {4, 0, 0, false, false, 0},
	};
	struct rig *rig = rig_new();
	struct frame_path paths[] = {path6(), path4()};
	uint8_t frame[256];

	for (uint32_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		const struct frame_path *path = &paths[tries[i].ip4];

		rig_receive(
		    rig, frame,
		    build_error(frame, path, tries[i].type, tries[i].code, tries[i].field, 1500));
		CU_ASSERT_EQUAL_FATAL(rig->errors, i + 1);
		CU_ASSERT_TRUE(ip_address_equal(&rig->error.path.local, &path->remote));
		CU_ASSERT_EQUAL(rig->error.packet_bytes, 1500);
		CU_ASSERT_EQUAL(rig->error.too_big, tries[i].too_big);
		CU_ASSERT_EQUAL(rig->error.mtu, tries[i].mtu);
	}
	CU_ASSERT_EQUAL(COUNT(rig, icmp_errors_received), rig->errors);
	CU_ASSERT_EQUAL(COUNT(rig, icmp_ignored), 0);
	CU_ASSERT_EQUAL(rig->sent_count, 0); /* an error is never answered (RFC 1122 3.2.2) */
	rig_free(rig);
}

static void test_an_old_router_means_the_next_plateau(void)
{
	static const struct {
		uint16_t packet_bytes, mtu;
	} tries[] = {{65535, 17914}, {17914, 8166}, {1501, 1492},
	             {1492, 1006},   {508, 508},    {40, 508}};
	struct rig *rig = rig_new();
	struct frame_path path = path4();
	uint8_t frame[256];

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		rig_receive(rig, frame, build_error(frame, &path, 3, 4, 0, tries[i].packet_bytes));
		CU_ASSERT_EQUAL(rig->error.mtu, tries[i].mtu);
	}
	rig_free(rig);
}

static void test_an_error_that_quotes_nothing_of_ours_is_ignored(void)
{
	static const struct {
		bool ip4;
		uint32_t at; /* in the quote */
		uint8_t value;
	} tries[] = {
	    {true, 0, 0x65},  /* another version */
	    {true, 0, 0x44},  /* a header too short */
	    {true, 0, 0x46},  /* one that leaves no room for the ports */
	    {true, 6, 1},     /* a fragment that is not the first */
	    {true, 9, 17},    /* no TCP */
	    {true, 15, 7},    /* of another host */
	    {false, 0, 0x45}, /* another version */
	    {false, 6, 17},   /* no TCP */
	    {false, 23, 7},   /* of another host */
	};
	struct rig *rig = rig_new();
	struct frame_path paths[] = {path6(), path4()};
	uint32_t count = sizeof(tries) / sizeof(tries[0]);
	uint8_t frame[256];

	for (uint32_t i = 0; i < count; i++) {
		const struct frame_path *path = &paths[tries[i].ip4];
		uint8_t *icmp = l4_of(frame, path);
		uint32_t quote_bytes = quote_write(icmp + 8, path, 1500);

		icmp[8 + tries[i].at] = tries[i].value;
		rig_receive(rig, frame,
		            build_icmp(frame, path, tries[i].ip4 ? 3 : 1, 0, 8 + quote_bytes));
		/* nor is one that ends too soon */
		quote_write(icmp + 8, path, 1500);
		rig_receive(rig, frame,
		            build_icmp(frame, path, tries[i].ip4 ? 3 : 1, 0, 8 + quote_bytes - 1));
		CU_ASSERT_EQUAL(COUNT(rig, icmp_ignored), 2 * i + 2);
	}
	rig_receive(rig, frame, build_icmp(frame, &paths[1], 3, 0, 8 + 19));
	/* nor one that came to a group */
	paths[0] = path_from("fd00:198::9", "ff02::1");
	memcpy(paths[0].remote_mac, (uint8_t[]){0x33, 0x33, 0, 0, 0, 1}, 6);
	rig_receive(rig, frame, build_error(frame, &paths[0], 2, 0, 1280, 1500));
	CU_ASSERT_EQUAL(COUNT(rig, icmp_ignored), 2 * count + 2);
	CU_ASSERT_EQUAL(rig->errors, 0);
	rig_free(rig);
}

/* On xdp ports the kernel has the rest of ICMP; of errors the program passes to us what is for us.
 */
static void test_where_the_kernel_answers_errors_come_through(void)
{
	struct rig *rig = rig_new(.kind = PORT_XDP);
	struct frame_path paths[] = {path4(), path6()};
	uint8_t frame[256];

	for (uint32_t i = 0; i < 2; i++) {
		rig_receive(
		    rig, frame,
		    build_error(frame, &paths[i], i == 0 ? 3 : 2, i == 0 ? 4 : 0, 1400, 1500));
		CU_ASSERT_EQUAL(COUNT(rig, icmp_ignored), 0);
		CU_ASSERT_EQUAL(COUNT(rig, icmp_errors_received), i + 1);
		CU_ASSERT_EQUAL(rig->errors, i + 1);
	}
	rig_free(rig);
}

/* Whatever it sends; its questions for our link address alone are answered still. */
static void test_a_blocked_source_gets_no_answer(void)
{
	struct frame_path in4 = path_from("198.18.0.77", "198.18.0.2");
	struct frame_path in6 = path_from("fd00:198::77", "fd00:198::2");
	const struct frame_path *paths[] = {&in4, &in6};
	struct blocked *blocked = malloc(blocked_bytes(2));
	struct ip_prefix prefixes[] = {{in4.local, 128}, {in6.local, 128}};
	struct rig *rig = rig_new();
	uint8_t frame[256];

	blocked_create(blocked, prefixes, 2);
	rig->net.blocked = blocked;
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t length = build_datagram(frame, paths[i], SERVED_PORT);

		rig_receive(rig, frame, length);
		rig_receive(rig, frame, build_datagram(frame, paths[i], SERVED_PORT + 1));
		length = build_datagram(frame, paths[i], SERVED_PORT);
		frame[ETHERNET_BYTES + (i == 0 ? 9 : 6)] = 132; /* SCTP */
		if (i == 0)
			ip4_seal(frame + ETHERNET_BYTES);
		rig_receive(rig, frame, length);
		frame_begin(frame, paths[i], FRAME_PROTOCOL_TCP)[12] = 0x50;
		rig_receive(rig, frame, frame_finish(frame, paths[i], FRAME_PROTOCOL_TCP, 20));
		memset(l4_of(frame, paths[i]), 0, 64);
		rig_receive(rig, frame, build_icmp(frame, paths[i], i == 0 ? 8 : 128, 0, 64));
		CU_ASSERT_EQUAL(COUNT(rig, ip_blocked), (i + 1) * 5);
	}
	CU_ASSERT_EQUAL(rig->segments + rig->datagrams, 0);
	CU_ASSERT_EQUAL(rig->sent_count, 0);
	in4 = path4();
	rig_receive(rig, frame, build_datagram(frame, &in4, SERVED_PORT));
	in6 = path6();
	rig_receive(rig, frame, build_datagram(frame, &in6, SERVED_PORT));
	CU_ASSERT_EQUAL(rig->datagrams, 2);
	rig->net.blocked = NULL;
	in4 = path_from("198.18.0.77", "198.18.0.2");
	rig_receive(rig, frame, build_datagram(frame, &in4, SERVED_PORT));
	CU_ASSERT_EQUAL(rig->datagrams, 3);
	free(blocked);
	rig_free(rig);
}

static const struct unit_case cases[] = {
    {"a blocked source gets no answer", test_a_blocked_source_gets_no_answer},
    {"damaged ICMP is dropped", test_damaged_icmp_is_dropped},
    {"what asks nothing of a server is ignored", test_what_asks_nothing_of_a_server_is_ignored},
    {"an unknown protocol is told", test_an_unknown_protocol_is_told},
    {"no next header is no unknown protocol", test_no_next_header_is_no_unknown_protocol},
    {"an error quotes no more than fits any path", test_an_error_quotes_no_more_than_fits_any_path},
    {"errors and echoes share one rate", test_errors_and_echoes_share_one_rate},
    {"without memory nothing is sent", test_without_memory_nothing_is_sent},
    {"an echo longer than the MTU is not answered",
     test_an_echo_longer_than_the_mtu_is_not_answered},
    {"an echo from nobody, or to all, is not answered",
     test_an_echo_from_nobody_or_to_all_is_not_answered},
    {"an error about a segment of ours is passed on",
     test_an_error_about_a_segment_of_ours_is_passed_on},
    {"an old router means the next plateau", test_an_old_router_means_the_next_plateau},
    {"an error that quotes nothing of ours is ignored",
     test_an_error_that_quotes_nothing_of_ours_is_ignored},
    {"where the kernel answers, errors come through",
     test_where_the_kernel_answers_errors_come_through},
};

int main(void)
{
	return UNIT_RUN("net_icmp", cases);
}
