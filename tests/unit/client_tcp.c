/* SPDX-License-Identifier: Apache-2.0 */
#include "load/client_tcp.h"

#include "client_tcp_rig.h"

/* The bytes of options in a SYN, and whether one of that kind is there. */
static bool option_there(const struct seen *seen, uint8_t kind)
{
	for (uint32_t i = 0; i < seen->option_bytes;
	     i += seen->options[i] == 1 ? 1 : seen->options[i + 1])
		if (seen->options[i] == kind)
			return true;
	return false;
}

/* MSS, window scale, timestamps and the IP version, in every combination. */
static void handshake_with(unsigned choice)
{
	struct client_tcp_options options = rig_options();
	struct frame_path path = {.vlan = FRAME_NO_VLAN};
	uint32_t mss, ts_bytes = choice & 4 ? 12 : 0;
	struct seen seen = {0};
	struct rig rig;

	ip_address_parse(&path.local, choice & 8 ? "fd00::2" : "198.18.0.2");
	ip_address_parse(&path.remote, choice & 8 ? "fd00::1" : "198.18.0.1");
	options.path = &path;
	options.mss = choice & 1 ? 1400 : 0;
	options.window_scaling = (choice & 2) != 0;
	options.timestamps = (choice & 4) != 0;
	rig_connect(&rig, options);
	rig.path = path;
	CU_ASSERT_TRUE_FATAL(rig_next(&rig, &seen));
	CU_ASSERT_EQUAL(seen.flags, SYN);
	CU_ASSERT_EQUAL(seen.seq, 0);
	CU_ASSERT_EQUAL(seen.window, 4096);
	CU_ASSERT_EQUAL(option_there(&seen, 2), (choice & 1) != 0);
	CU_ASSERT_EQUAL(option_there(&seen, 3), options.window_scaling);
	CU_ASSERT_EQUAL(option_there(&seen, 8), options.timestamps);
	rig_syn_ack(&rig, 2000);
	CU_ASSERT_EQUAL(rig.tcp.state, CLIENT_TCP_OPEN);
	CU_ASSERT_TRUE_FATAL(rig_next(&rig, &seen));
	CU_ASSERT_EQUAL(seen.flags, ACK);
	CU_ASSERT_EQUAL(seen.seq, 1);
	CU_ASSERT_EQUAL(seen.ack, 1);
	CU_ASSERT_EQUAL(seen.option_bytes, ts_bytes);
	/* full segments are as long as both sides allow, options taken off */
	mss = (choice & 8 ? 1440 : 1460) - ts_bytes;
	rig_write_bytes(&rig, 1990);
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1, mss, 1));
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1 + mss, 1990 - mss, 1));
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1991, .window = 500, .text = "yes");
	CU_ASSERT_EQUAL(memcmp(rig.got, "yes", 3), 0);
	/* the window is in units of 4 bytes if so agreed: 2000 else */
	rig_write_bytes(&rig, 3000);
	CU_ASSERT_EQUAL(rig.tcp.snd_nxt - rig.tcp.snd_una,
	                options.window_scaling ? mss : min_u32(500, mss));
	CU_ASSERT_EQUAL(rig.tcp.counters.violations, 0);
}

static void test_handshake_in_every_combination(void)
{
	for (unsigned choice = 0; choice < 16; choice++)
		handshake_with(choice);
}

static void test_options_the_server_declines_are_not_used(void)
{
	struct client_tcp_options options = rig_options();
	struct seen seen = {0};
	struct rig rig;

	options.window_scaling = true;
	options.timestamps = true;
	options.receive_window_bytes = 4000;
	rig_connect(&rig, options);
	rig_forget(&rig);
	RIG_RECEIVE(&rig, .flags = SYN | ACK, .ack = 1, .window = 8000);
	CU_ASSERT_TRUE_FATAL(rig_next(&rig, &seen));
	CU_ASSERT_EQUAL(seen.option_bytes, 0);
	CU_ASSERT_EQUAL(seen.window, 4000);
	rig_write_bytes(&rig, 600);
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1, 536, 1)); /* no MSS either: RFC 9293 3.7.1 */
	CU_ASSERT_EQUAL(rig.tcp.counters.violations, 0);
}

static void test_lost_syn_is_sent_again_then_given_up(void)
{
	struct rig rig;

	rig_connect(&rig, rig_options());
	CU_ASSERT_TRUE(rig_saw(&rig, SYN, 0, 0, 0 - RIG_SERVER_SEQUENCE));
	rig_advance_us(&rig, 999999);
	CU_ASSERT_TRUE(rig_silent(&rig));
	rig_advance_us(&rig, 1);
	CU_ASSERT_TRUE(rig_saw(&rig, SYN, 0, 0, 0 - RIG_SERVER_SEQUENCE));
	rig_advance_us(&rig, 2000000);
	CU_ASSERT_EQUAL(rig.tcp.counters.retransmitted, 2);
	CU_ASSERT_EQUAL(rig.tcp.state, CLIENT_TCP_CONNECTING);
	rig_advance_us(&rig, 100000000);
	CU_ASSERT_EQUAL(rig.tcp.state, CLIENT_TCP_FAILED);
	CU_ASSERT_EQUAL(rig.tcp.counters.segments_sent, 6);
	CU_ASSERT_EQUAL(client_tcp_next_deadline_us(&rig.tcp), CLIENT_TCP_NEVER);
}

static void test_refused_connection_is_reset(void)
{
	struct rig rig;

	rig_connect(&rig, rig_options());
	RIG_RECEIVE(&rig, .flags = RST | ACK, .ack = 7);
	CU_ASSERT_EQUAL(rig.tcp.state, CLIENT_TCP_CONNECTING);
	RIG_RECEIVE(&rig, .flags = RST | ACK, .ack = 1);
	CU_ASSERT_EQUAL(rig.tcp.state, CLIENT_TCP_RESET);
}

static void test_older_connection_is_reset_and_syn_sent_again(void)
{
	struct rig rig;
	struct seen seen = {0};

	rig_connect(&rig, rig_options());
	rig_forget(&rig);
	RIG_RECEIVE(&rig, .seq = 500, .ack = 70000); /* a challenge for what was there before */
	CU_ASSERT_TRUE_FATAL(rig_next(&rig, &seen));
	CU_ASSERT_EQUAL(seen.flags, RST);
	CU_ASSERT_EQUAL(seen.seq, 70000);
	rig_advance_us(&rig, 1000000);
	CU_ASSERT_TRUE_FATAL(rig_next(&rig, &seen));
	CU_ASSERT_EQUAL(seen.flags, SYN);
	CU_ASSERT_EQUAL(rig.tcp.counters.violations, 0);
}

static void test_data_goes_both_ways(void)
{
	struct rig rig;

	rig_establish(&rig, rig_options());
	rig_write(&rig, "get a\r\n");
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1, 7, 1));
	RIG_RECEIVE(&rig, .seq = 1, .ack = 8, .window = 8000, .text = "END\r\n");
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 8, 0, 6));
	CU_ASSERT_EQUAL(rig.got_length, 5);
	CU_ASSERT_EQUAL(memcmp(rig.got, "END\r\n", 5), 0);
	CU_ASSERT_EQUAL(client_tcp_unacknowledged(&rig.tcp), 0);
	CU_ASSERT_EQUAL(rig.tcp.counters.sent_bytes, 7);
	CU_ASSERT_EQUAL(rig.tcp.counters.received_bytes, 5);
	CU_ASSERT_EQUAL(client_tcp_next_deadline_us(&rig.tcp), CLIENT_TCP_NEVER);
	CU_ASSERT_EQUAL(rig.tcp.counters.retransmitted, 0);
}

static void test_write_takes_what_the_ring_holds(void)
{
	uint8_t bytes[5000] = {0};
	struct rig rig;

	rig_establish(&rig, rig_options());
	CU_ASSERT_EQUAL(client_tcp_write(&rig.tcp, bytes, 5000), 4096);
	CU_ASSERT_EQUAL(client_tcp_write(&rig.tcp, bytes, 1), 0);
	rig_output(&rig);
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1461, .window = 8000);
	CU_ASSERT_EQUAL(client_tcp_write(&rig.tcp, bytes, 5000), 1460);
}

static void test_lost_segment_is_sent_again_and_counted(void)
{
	struct rig rig;

	rig_establish(&rig, rig_options());
	rig_write_bytes(&rig, 2000);
	rig_forget(&rig);
	rig_advance_us(&rig, 199999);
	CU_ASSERT_TRUE(rig_silent(&rig));
	rig_advance_us(&rig, 1);
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1, 1460, 1));
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1461, 540, 1));
	rig_advance_us(&rig, 399999);
	CU_ASSERT_TRUE(rig_silent(&rig)); /* backed off */
	rig_advance_us(&rig, 1);
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1, 1460, 1));
	CU_ASSERT_EQUAL(rig.tcp.counters.timeouts, 2);
	CU_ASSERT_EQUAL(rig.tcp.counters.retransmitted, 4);
	RIG_RECEIVE(&rig, .seq = 1, .ack = 2001, .window = 8000);
	CU_ASSERT_EQUAL(client_tcp_next_deadline_us(&rig.tcp), CLIENT_TCP_NEVER);
}

static void test_three_duplicate_acks_repair_one_loss_at_a_time(void)
{
	struct rig rig;

	rig_establish(&rig, rig_options());
	rig_write_bytes(&rig, 4000);
	rig_forget(&rig);
	for (int i = 0; i < 3; i++)
		RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 8000);
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1, 1460, 1));
	CU_ASSERT_TRUE(rig_silent(&rig));
	for (int i = 0; i < 5; i++)
		RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 8000);
	CU_ASSERT_TRUE(rig_silent(&rig));
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1461, .window = 8000); /* the second was lost too */
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1461, 1460, 1));
	RIG_RECEIVE(&rig, .seq = 1, .ack = 4001, .window = 8000);
	CU_ASSERT_TRUE(rig_silent(&rig));
	CU_ASSERT_EQUAL(rig.tcp.counters.fast_retransmits, 1);
	CU_ASSERT_EQUAL(rig.tcp.counters.retransmitted, 2);
	CU_ASSERT_EQUAL(rig.tcp.counters.duplicate_acks, 8);
	CU_ASSERT_EQUAL(rig.tcp.counters.timeouts, 0);
}

static void test_server_that_is_gone_fails_the_connection(void)
{
	struct rig rig;
	struct seen seen = {0};

	rig_establish(&rig, rig_options());
	rig_write(&rig, "get a\r\n");
	rig_advance_us(&rig, 600000000);
	CU_ASSERT_EQUAL(rig.tcp.state, CLIENT_TCP_FAILED);
	while (rig_next(&rig, &seen))
		;
	CU_ASSERT_EQUAL(seen.flags, RST | ACK);
}

static void test_reordered_segments_are_delivered_in_order(void)
{
	struct rig rig;

	rig_establish(&rig, rig_options());
	RIG_RECEIVE(&rig, .seq = 7, .ack = 1, .window = 8000, .text = "ghi");
	RIG_RECEIVE(&rig, .seq = 4, .ack = 1, .window = 8000, .text = "def");
	RIG_RECEIVE(&rig, .seq = 4, .ack = 1, .window = 8000, .text = "def");
	for (int i = 0; i < 3; i++)
		CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1, 0, 1)); /* a duplicate ACK each */
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 8000, .text = "abcd");
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1, 0, 10));
	CU_ASSERT_TRUE(rig_silent(&rig));
	CU_ASSERT_EQUAL(rig.got_length, 9);
	CU_ASSERT_EQUAL(memcmp(rig.got, "abcdefghi", 9), 0);
	CU_ASSERT_EQUAL(rig.tcp.counters.out_of_order, 3);
	CU_ASSERT_EQUAL(rig.tcp.counters.out_of_order_dropped, 0);
	CU_ASSERT_EQUAL(rig.tcp.counters.duplicates, 1);
	CU_ASSERT_EQUAL(rig.tcp.counters.violations, 0);
}

static void test_reordered_segments_are_dropped_on_request(void)
{
	struct client_tcp_options options = rig_options();
	struct rig rig;

	options.keep_out_of_order = false;
	rig_establish(&rig, options);
	RIG_RECEIVE(&rig, .seq = 4, .ack = 1, .window = 8000, .text = "def");
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1, 0, 1));
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 8000, .text = "abc");
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1, 0, 4));
	CU_ASSERT_EQUAL(rig.tcp.counters.out_of_order_dropped, 1);
}

static void test_too_many_ranges_are_dropped_and_counted(void)
{
	struct rig rig;

	rig_establish(&rig, rig_options());
	for (uint32_t i = 0; i <= CLIENT_TCP_RANGE_COUNT_MAX; i++)
		RIG_RECEIVE(&rig, .seq = 3 + 2 * i, .ack = 1, .window = 8000, .text = "x");
	CU_ASSERT_EQUAL(rig.tcp.counters.out_of_order, CLIENT_TCP_RANGE_COUNT_MAX + 1);
	CU_ASSERT_EQUAL(rig.tcp.counters.out_of_order_dropped, 1);
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 8000, .length = 17);
	CU_ASSERT_EQUAL(rig.got_length, 17);
}

static void test_received_again_is_acknowledged_and_counted(void)
{
	struct rig rig;

	rig_establish(&rig, rig_options());
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 8000, .text = "abc");
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 8000, .text = "abc");
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1, 0, 4));
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1, 0, 4));
	CU_ASSERT_EQUAL(rig.tcp.counters.duplicates, 1);
	CU_ASSERT_EQUAL(rig.got_length, 3);
	CU_ASSERT_EQUAL(rig.tcp.counters.violations, 0);
}

static void test_refused_bytes_close_the_receive_window(void)
{
	struct rig rig;
	struct seen seen = {0};

	rig_establish(&rig, rig_options());
	rig.take_max = 100;
	for (uint32_t i = 0; i < 4; i++)
		RIG_RECEIVE(&rig, .seq = 1 + 1024 * i, .ack = 1, .window = 8000, .length = 1024);
	CU_ASSERT_EQUAL(rig.got_length, 100);
	while (rig_next(&rig, &seen))
		;
	CU_ASSERT_EQUAL(seen.ack, 4097);
	CU_ASSERT_EQUAL(seen.window, 0);
	/* a probe is refused and answered, and no violation */
	RIG_RECEIVE(&rig, .seq = 4097, .ack = 1, .window = 8000, .text = "p");
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1, 0, 4097));
	CU_ASSERT_EQUAL(rig.tcp.counters.beyond_window, 1);
	/* a dribble is not worth an update, half the buffer or a segment is */
	rig.take_max = 200;
	client_tcp_resume(&rig.tcp);
	rig_output(&rig);
	CU_ASSERT_TRUE(rig_silent(&rig));
	rig.take_max = 3000;
	client_tcp_resume(&rig.tcp);
	rig_output(&rig);
	CU_ASSERT_TRUE_FATAL(rig_next(&rig, &seen));
	CU_ASSERT_EQUAL(seen.window, 3000);
	RIG_RECEIVE(&rig, .seq = 4097, .ack = 1, .window = 8000, .length = 1000);
	rig.take_max = 10000;
	client_tcp_resume(&rig.tcp);
	CU_ASSERT_EQUAL(rig.got_length, 5096);
	CU_ASSERT_EQUAL(rig.tcp.counters.violations, 0);
}

static void test_window_of_the_server_is_respected_to_the_byte(void)
{
	struct rig rig;

	rig_connect(&rig, rig_options());
	rig_syn_ack(&rig, 2000);
	rig_forget(&rig);
	rig_write_bytes(&rig, 3000);
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1, 1460, 1));
	CU_ASSERT_TRUE(rig_silent(&rig)); /* 540 more would be silly: RFC 9293 3.8.6.2.1 */
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1461, .window = 540);
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1461, 540, 1));
	RIG_RECEIVE(&rig, .seq = 1, .ack = 2001, .window = 0);
	CU_ASSERT_TRUE(rig_silent(&rig));
	client_tcp_close(&rig.tcp);
	RIG_RECEIVE(&rig, .seq = 1, .ack = 2001, .window = 1000);
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 2001, 1000, 1)); /* there is no room for the FIN */
	RIG_RECEIVE(&rig, .seq = 1, .ack = 3001, .window = 1);
	CU_ASSERT_TRUE(rig_saw(&rig, FIN | ACK, 3001, 0, 1));
	CU_ASSERT_EQUAL(rig.tcp.counters.retransmitted, 0);
	CU_ASSERT_EQUAL(rig.tcp.counters.violations, 0);
}

static void test_closed_window_is_probed_until_it_opens(void)
{
	struct rig rig;

	rig_connect(&rig, rig_options());
	rig_syn_ack(&rig, 0);
	rig_forget(&rig);
	rig_write_bytes(&rig, 100);
	CU_ASSERT_TRUE(rig_silent(&rig));
	rig_advance_us(&rig, 200000);
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1, 1, 1));
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 0);
	rig_advance_us(&rig, 400000);
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1, 1, 1));
	CU_ASSERT_EQUAL(rig.tcp.counters.window_probes, 2);
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 50);
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1, 50, 1));
	RIG_RECEIVE(&rig, .seq = 1, .ack = 51, .window = 50);
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 51, 50, 1));
	CU_ASSERT_EQUAL(rig.tcp.counters.retransmitted, 0);
	CU_ASSERT_EQUAL(rig.tcp.counters.violations, 0);
}

static void test_probe_that_is_taken_counts_as_sent(void)
{
	struct rig rig;

	rig_connect(&rig, rig_options());
	rig_syn_ack(&rig, 0);
	rig_write_bytes(&rig, 100);
	rig_advance_us(&rig, 200000);
	rig_forget(&rig);
	RIG_RECEIVE(&rig, .seq = 1, .ack = 2, .window = 8000);
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 2, 99, 1));
	CU_ASSERT_EQUAL(rig.tcp.counters.violations, 0);
}

static void test_closed_window_never_fails_while_it_is_answered(void)
{
	struct rig rig;

	rig_connect(&rig, rig_options());
	rig_syn_ack(&rig, 0);
	rig_write_bytes(&rig, 100);
	for (int i = 0; i < 40; i++) {
		rig_forget(&rig);
		rig_advance_us(&rig, 60000000);
		RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 0);
	}
	CU_ASSERT_EQUAL(rig.tcp.state, CLIENT_TCP_OPEN);
}

static void test_ack_waits_for_a_second_segment_or_its_time(void)
{
	struct client_tcp_options options = rig_options();
	struct rig rig;

	options.delayed_ack_us = 40000;
	rig_establish(&rig, options);
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 8000, .text = "a");
	CU_ASSERT_TRUE(rig_silent(&rig));
	RIG_RECEIVE(&rig, .seq = 2, .ack = 1, .window = 8000, .text = "b");
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1, 0, 3));
	RIG_RECEIVE(&rig, .seq = 3, .ack = 1, .window = 8000, .text = "c");
	rig_advance_us(&rig, 39999);
	CU_ASSERT_TRUE(rig_silent(&rig));
	rig_advance_us(&rig, 1);
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1, 0, 4));
	RIG_RECEIVE(&rig, .seq = 4, .ack = 1, .window = 8000, .text = "d");
	rig_write(&rig, "e");
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1, 1, 5)); /* along with data */
	RIG_RECEIVE(&rig, .seq = 6, .ack = 2, .window = 8000, .text = "f");
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 2, 0, 5)); /* a gap is told at once */
}

static void test_fin_goes_out_behind_the_last_byte(void)
{
	struct rig rig;

	rig_establish(&rig, rig_options());
	rig_write(&rig, "quit\r\n");
	client_tcp_close(&rig.tcp);
	rig_output(&rig);
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1, 6, 1));
	CU_ASSERT_TRUE(rig_saw(&rig, FIN | ACK, 7, 0, 1));
	CU_ASSERT_EQUAL(client_tcp_write(&rig.tcp, "x", 1), 0);
	/* half closed: what the server still says is taken */
	RIG_RECEIVE(&rig, .seq = 1, .ack = 8, .window = 8000, .text = "bye");
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 8, 0, 4));
	CU_ASSERT_EQUAL(rig.tcp.state, CLIENT_TCP_OPEN);
	CU_ASSERT_EQUAL(rig.got_length, 3);
	RIG_RECEIVE(&rig, .seq = 4, .ack = 8, .flags = FIN | ACK, .window = 8000);
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 8, 0, 5));
	CU_ASSERT_EQUAL(rig.tcp.state, CLIENT_TCP_CLOSED);
	/* our last ACK was lost */
	RIG_RECEIVE(&rig, .seq = 4, .ack = 8, .flags = FIN | ACK, .window = 8000);
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 8, 0, 5));
	CU_ASSERT_EQUAL(rig.tcp.counters.duplicates, 1);
	CU_ASSERT_EQUAL(client_tcp_next_deadline_us(&rig.tcp), CLIENT_TCP_NEVER);
}

static void test_we_go_on_after_the_peer_has_closed(void)
{
	struct rig rig;

	rig_establish(&rig, rig_options());
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .flags = FIN | ACK, .window = 8000, .text = "bye");
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1, 0, 5));
	CU_ASSERT_EQUAL(rig.tcp.state, CLIENT_TCP_PEER_CLOSED);
	rig_write(&rig, "more");
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1, 4, 5));
	client_tcp_close(&rig.tcp);
	rig_output(&rig);
	CU_ASSERT_TRUE(rig_saw(&rig, FIN | ACK, 5, 0, 5));
	rig_advance_us(&rig, 200000);
	CU_ASSERT_TRUE(rig_saw(&rig, FIN | ACK, 1, 4, 5)); /* both again */
	CU_ASSERT_EQUAL(rig.tcp.state, CLIENT_TCP_PEER_CLOSED);
	RIG_RECEIVE(&rig, .seq = 5, .ack = 6, .window = 8000);
	CU_ASSERT_EQUAL(rig.tcp.state, CLIENT_TCP_CLOSED);
	CU_ASSERT_EQUAL(rig.tcp.counters.violations, 0);
}

static void test_peer_has_closed_once_its_bytes_are_taken(void)
{
	struct rig rig;

	rig_establish(&rig, rig_options());
	rig.take_max = 1;
	RIG_RECEIVE(&rig, .seq = 2, .ack = 1, .flags = FIN | ACK, .window = 8000, .text = "bc");
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 8000, .text = "a");
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1, 0, 1));
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1, 0, 5)); /* with the FIN that came before its turn */
	CU_ASSERT_EQUAL(rig.tcp.state, CLIENT_TCP_OPEN);
	rig.take_max = 3;
	client_tcp_resume(&rig.tcp);
	CU_ASSERT_EQUAL(rig.tcp.state, CLIENT_TCP_PEER_CLOSED);
	CU_ASSERT_EQUAL(memcmp(rig.got, "abc", 3), 0);
}

static void test_reset_counts_only_where_it_is_expected(void)
{
	struct rig rig;

	rig_establish(&rig, rig_options());
	RIG_RECEIVE(&rig, .seq = 100000, .flags = RST);
	CU_ASSERT_TRUE(rig_silent(&rig));
	RIG_RECEIVE(&rig, .seq = 2, .flags = RST); /* RFC 5961 3.2: a challenge */
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1, 0, 1));
	CU_ASSERT_EQUAL(rig.tcp.state, CLIENT_TCP_OPEN);
	RIG_RECEIVE(&rig, .seq = 1, .flags = RST);
	CU_ASSERT_EQUAL(rig.tcp.state, CLIENT_TCP_RESET);
	CU_ASSERT_EQUAL(rig.tcp.counters.resets_received, 1);
	CU_ASSERT_EQUAL(client_tcp_next_deadline_us(&rig.tcp), CLIENT_TCP_NEVER);
}

static void test_abort_sends_resets(void)
{
	struct rig rig;
	struct seen seen = {0};

	rig_establish(&rig, rig_options());
	rig_write(&rig, "get a\r\n");
	rig_forget(&rig);
	client_tcp_abort(&rig.tcp);
	CU_ASSERT_EQUAL(rig.tcp.state, CLIENT_TCP_ABORTED);
	rig_output(&rig);
	CU_ASSERT_TRUE(rig_saw(&rig, RST | ACK, 8, 0, 1));
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 8000, .text = "late");
	CU_ASSERT_TRUE_FATAL(rig_next(&rig, &seen));
	CU_ASSERT_EQUAL(seen.flags, RST);
	CU_ASSERT_EQUAL(seen.seq, 1);
	CU_ASSERT_EQUAL(rig.got_length, 0);
}

static void test_what_finds_no_room_is_sent_later(void)
{
	struct rig rig;

	rig_establish(&rig, rig_options());
	rig.no_frames = true;
	rig_write(&rig, "get a\r\n");
	RIG_RECEIVE(&rig, .seq = 2, .ack = 1, .window = 8000, .text = "x");
	CU_ASSERT_EQUAL(client_tcp_next_deadline_us(&rig.tcp), 0);
	rig.no_frames = false;
	rig_output(&rig);
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1, 0, 1));
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 1, 7, 1));
	CU_ASSERT_TRUE(rig_silent(&rig));
	CU_ASSERT_EQUAL(rig.tcp.counters.retransmitted, 0);
}

static void test_long_streams_wrap_rings_and_sequence_numbers(void)
{
	struct client_tcp_options options = rig_options();
	struct rig rig;

	options.timestamps = true;
	rig_establish(&rig, options);
	for (uint32_t i = 0; i < 10; i++) {
		rig_write_bytes(&rig, 1000);
		RIG_RECEIVE(&rig, .seq = 1 + 1000 * i, .ack = 1001 + 1000 * i, .window = 8000,
		            .length = 1000);
		RIG_RECEIVE(&rig, .seq = 1 + 1000 * i, .ack = 1001 + 1000 * i, .window = 8000,
		            .length = 1000);
	}
	CU_ASSERT_EQUAL(rig.got_length, 10000);
	CU_ASSERT_EQUAL(rig.tcp.counters.sent_bytes, 10000);
	CU_ASSERT_EQUAL(rig.tcp.counters.violations, 0);
}

static const struct unit_case cases[] = {
    {"a handshake works in every combination", test_handshake_in_every_combination},
    {"options the server declines are not used", test_options_the_server_declines_are_not_used},
    {"a lost SYN is sent again, then given up", test_lost_syn_is_sent_again_then_given_up},
    {"a refused connection is reset", test_refused_connection_is_reset},
    {"an older connection is reset and the SYN sent again",
     test_older_connection_is_reset_and_syn_sent_again},
    {"data goes both ways", test_data_goes_both_ways},
    {"a write takes what the ring holds", test_write_takes_what_the_ring_holds},
    {"a lost segment is sent again and counted", test_lost_segment_is_sent_again_and_counted},
    {"three duplicate ACKs repair one loss at a time",
     test_three_duplicate_acks_repair_one_loss_at_a_time},
    {"a server that is gone fails the connection", test_server_that_is_gone_fails_the_connection},
    {"reordered segments are delivered in order", test_reordered_segments_are_delivered_in_order},
    {"reordered segments are dropped on request", test_reordered_segments_are_dropped_on_request},
    {"too many ranges are dropped and counted", test_too_many_ranges_are_dropped_and_counted},
    {"what is received again is acknowledged and counted",
     test_received_again_is_acknowledged_and_counted},
    {"refused bytes close the receive window", test_refused_bytes_close_the_receive_window},
    {"the server's window is respected to the byte",
     test_window_of_the_server_is_respected_to_the_byte},
    {"a closed window is probed until it opens", test_closed_window_is_probed_until_it_opens},
    {"a probe that is taken counts as sent", test_probe_that_is_taken_counts_as_sent},
    {"a closed window never fails while it is answered",
     test_closed_window_never_fails_while_it_is_answered},
    {"an ACK waits for a second segment or its time",
     test_ack_waits_for_a_second_segment_or_its_time},
    {"the FIN goes out behind the last byte", test_fin_goes_out_behind_the_last_byte},
    {"we go on after the peer has closed", test_we_go_on_after_the_peer_has_closed},
    {"the peer has closed once its bytes are taken", test_peer_has_closed_once_its_bytes_are_taken},
    {"a reset counts only where it is expected", test_reset_counts_only_where_it_is_expected},
    {"an abort sends resets", test_abort_sends_resets},
    {"what finds no room is sent later", test_what_finds_no_room_is_sent_later},
    {"long streams wrap rings and sequence numbers",
     test_long_streams_wrap_rings_and_sequence_numbers},
};

int main(void)
{
	return UNIT_RUN("client_tcp", cases);
}
