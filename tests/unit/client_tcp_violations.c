/* SPDX-License-Identifier: Apache-2.0 */
/* What a server must not do, one by one; and what looks like it and is allowed. */
#include "load/client_tcp.h"

#include "client_tcp_rig.h"

#include <string.h>

static struct client_tcp_options timestamped(void)
{
	struct client_tcp_options options = rig_options();

	options.timestamps = true;
	return options;
}

static void test_wrong_checksum(void)
{
	struct rig rig;

	rig_establish(&rig, rig_options());
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 8000, .text = "abc", .bad_checksum = true);
	CU_ASSERT_TRUE(rig_violated(&rig, CLIENT_TCP_VIOLATION_CHECKSUM, 1));
	CU_ASSERT_EQUAL(rig.tcp.counters.bad_checksum, 1);
	CU_ASSERT_EQUAL(rig.got_length, 0);
}

static void test_malformed_headers(void)
{
	struct rig rig;

	rig_establish(&rig, rig_options());
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .flags = SYN | FIN | ACK);
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .flags = PSH, .text = "abc"); /* no ACK */
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .options = (const uint8_t *)"\10\1\0\0",
	            .option_bytes = 4);
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .options = (const uint8_t *)"\1\1\10\12",
	            .option_bytes = 4);
	CU_ASSERT_TRUE(rig_violated(&rig, CLIENT_TCP_VIOLATION_HEADER, 4));
	CU_ASSERT_EQUAL(rig.tcp.counters.malformed, 4);
}

static void test_option_that_was_not_offered(void)
{
	struct rig rig;

	rig_connect(&rig, rig_options());
	RIG_RECEIVE(&rig, .flags = SYN | ACK, .ack = 1, .window = 8000,
	            .options = (const uint8_t *)"\1\3\3\7", .option_bytes = 4);
	CU_ASSERT_TRUE(rig_violated(&rig, CLIENT_TCP_VIOLATION_NOT_OFFERED, 1));
	CU_ASSERT_EQUAL(rig.tcp.send_shift, 0);
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 8000,
	            .options = (const uint8_t *)"\1\1\10\12\0\0\0\1\0\0\0\1", .option_bytes = 12);
	CU_ASSERT_TRUE(rig_violated(&rig, CLIENT_TCP_VIOLATION_NOT_OFFERED, 2));
}

static void test_segment_longer_than_our_mss(void)
{
	struct client_tcp_options options = timestamped();
	struct rig rig;

	options.mss = 600;
	rig_establish(&rig, options);
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 8000, .length = 588);
	CU_ASSERT_EQUAL(rig.tcp.counters.violations, 0);
	RIG_RECEIVE(&rig, .seq = 589, .ack = 1, .window = 8000, .length = 589);
	CU_ASSERT_TRUE(rig_violated(&rig, CLIENT_TCP_VIOLATION_SEGMENT_TOO_LONG, 1));
	options.mss = 0;
	rig_establish(&rig, options);
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 8000, .length = 525); /* 536 - 12 + 1 */
	CU_ASSERT_TRUE(rig_violated(&rig, CLIENT_TCP_VIOLATION_SEGMENT_TOO_LONG, 1));
}

static void test_data_beyond_the_window(void)
{
	struct client_tcp_options options = rig_options();
	struct rig rig;

	options.receive_window_bytes = 1000;
	rig_establish(&rig, options);
	rig.take_max = 0;
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 8000, .length = 1001);
	CU_ASSERT_TRUE(rig_violated(&rig, CLIENT_TCP_VIOLATION_BEYOND_WINDOW, 1));
	CU_ASSERT_EQUAL(rig.tcp.counters.received_bytes, 1000);
	RIG_RECEIVE(&rig, .seq = 1001, .ack = 1, .window = 8000, .length = 1); /* a probe */
	RIG_RECEIVE(&rig, .seq = 1001, .ack = 1, .window = 8000, .flags = FIN | ACK);
	CU_ASSERT_TRUE(rig_violated(&rig, CLIENT_TCP_VIOLATION_BEYOND_WINDOW, 1));
	RIG_RECEIVE(&rig, .seq = 1001, .ack = 1, .window = 8000, .length = 2);
	RIG_RECEIVE(&rig, .seq = 1003, .ack = 1, .window = 8000);
	CU_ASSERT_TRUE(rig_violated(&rig, CLIENT_TCP_VIOLATION_BEYOND_WINDOW, 3));
}

static void test_fin_beyond_the_window(void)
{
	struct client_tcp_options options = rig_options();
	struct rig rig;

	options.receive_window_bytes = 1000;
	rig_establish(&rig, options);
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 8000, .length = 1000, .flags = FIN | ACK);
	CU_ASSERT_TRUE(rig_violated(&rig, CLIENT_TCP_VIOLATION_BEYOND_WINDOW, 1));
	CU_ASSERT_EQUAL(rig.tcp.state, CLIENT_TCP_OPEN);
}

static void test_data_behind_the_fin(void)
{
	struct rig rig;

	rig_establish(&rig, rig_options());
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 8000, .text = "ab", .flags = FIN | ACK);
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 8000, .text = "ab", .flags = FIN | ACK);
	CU_ASSERT_EQUAL(rig.tcp.counters.violations, 0);
	RIG_RECEIVE(&rig, .seq = 3, .ack = 1, .window = 8000, .text = "c");
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 8000, .text = "a", .flags = FIN | ACK);
	CU_ASSERT_TRUE(rig_violated(&rig, CLIENT_TCP_VIOLATION_AFTER_FIN, 2));
	rig_establish(&rig, rig_options());
	RIG_RECEIVE(&rig, .seq = 5, .ack = 1, .window = 8000, .text = "late");
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 8000, .text = "ab", .flags = FIN | ACK);
	CU_ASSERT_TRUE(rig_violated(&rig, CLIENT_TCP_VIOLATION_AFTER_FIN, 1));
}

static void test_retransmission_that_differs(void)
{
	struct rig rig;

	rig_establish(&rig, rig_options());
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 8000, .text = "abcdef");
	RIG_RECEIVE(&rig, .seq = 4, .ack = 1, .window = 8000, .text = "defghi"); /* overlaps */
	CU_ASSERT_EQUAL(rig.tcp.counters.violations, 0);
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 8000, .text = "abXdef");
	CU_ASSERT_TRUE(rig_violated(&rig, CLIENT_TCP_VIOLATION_DIFFERENT_BYTES, 1));
	CU_ASSERT_EQUAL(rig.tcp.first_got, 3);
	CU_ASSERT_EQUAL(memcmp(rig.got, "abcdefghi", 9), 0);
}

static void test_out_of_order_retransmission_that_differs(void)
{
	struct rig rig;

	rig_establish(&rig, rig_options());
	RIG_RECEIVE(&rig, .seq = 4, .ack = 1, .window = 8000, .text = "def");
	RIG_RECEIVE(&rig, .seq = 3, .ack = 1, .window = 8000, .text = "cdXf");
	CU_ASSERT_TRUE(rig_violated(&rig, CLIENT_TCP_VIOLATION_DIFFERENT_BYTES, 1));
}

static void test_bytes_older_than_the_record_are_not_compared(void)
{
	struct rig rig;

	rig_establish(&rig, rig_options());
	for (uint32_t i = 0; i < 5; i++)
		RIG_RECEIVE(&rig, .seq = 1 + 1000 * i, .ack = 1, .window = 8000, .length = 1000);
	RIG_RECEIVE(&rig, .seq = 904, .ack = 1, .window = 8000, .text = "?"); /* 4097 back */
	CU_ASSERT_EQUAL(rig.tcp.counters.violations, 0);
	RIG_RECEIVE(&rig, .seq = 905, .ack = 1, .window = 8000, .text = "?");
	CU_ASSERT_TRUE(rig_violated(&rig, CLIENT_TCP_VIOLATION_DIFFERENT_BYTES, 1));
}

static void test_ack_of_what_was_never_sent(void)
{
	struct rig rig;

	rig_establish(&rig, rig_options());
	rig_write(&rig, "abc");
	rig_forget(&rig);
	RIG_RECEIVE(&rig, .seq = 1, .ack = 5, .window = 8000, .text = "x");
	CU_ASSERT_TRUE(rig_violated(&rig, CLIENT_TCP_VIOLATION_ACK_OF_UNSENT, 1));
	CU_ASSERT_EQUAL(rig.got_length, 0); /* dropped, and answered: RFC 9293 3.10.7.4 */
	CU_ASSERT_TRUE(rig_saw(&rig, ACK, 4, 0, 1));
	RIG_RECEIVE(&rig, .seq = 1, .ack = 4, .window = 8000);
	CU_ASSERT_EQUAL(rig.tcp.counters.violations, 1);
	rig_connect(&rig, rig_options());
	RIG_RECEIVE(&rig, .flags = SYN | ACK, .ack = 2);
	CU_ASSERT_TRUE(rig_violated(&rig, CLIENT_TCP_VIOLATION_ACK_OF_UNSENT, 1));
}

static void test_window_that_moves_back(void)
{
	struct rig rig;

	rig_establish(&rig, rig_options());
	rig_write(&rig, "abc");
	/* without more to go by, an old segment may just have come late */
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 7000);
	CU_ASSERT_EQUAL(rig.tcp.counters.violations, 0);
	RIG_RECEIVE(&rig, .seq = 1, .ack = 4, .window = 7997);
	CU_ASSERT_EQUAL(rig.tcp.counters.violations, 0);
	rig_write(&rig, "d");
	RIG_RECEIVE(&rig, .seq = 1, .ack = 5, .window = 7995);
	CU_ASSERT_TRUE(rig_violated(&rig, CLIENT_TCP_VIOLATION_WINDOW_BACK, 1));
}

static void test_window_that_moves_back_is_seen_by_its_timestamp(void)
{
	struct rig rig;

	rig_establish(&rig, timestamped());
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 7000);
	CU_ASSERT_EQUAL(rig.tcp.counters.violations, 0);
	rig.now_us += 1000;
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 7000);
	CU_ASSERT_TRUE(rig_violated(&rig, CLIENT_TCP_VIOLATION_WINDOW_BACK, 1));
}

static void test_ordered_wire_proves_every_step_back(void)
{
	struct client_tcp_options options = timestamped();
	struct rig rig;

	options.ordered_wire = true;
	rig_establish(&rig, options);
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 7999);
	CU_ASSERT_TRUE(rig_violated(&rig, CLIENT_TCP_VIOLATION_WINDOW_BACK, 1));
	rig_establish(&rig, options);
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 8000, .ts_back = 1);
	CU_ASSERT_TRUE(rig_violated(&rig, CLIENT_TCP_VIOLATION_TIMESTAMP_BACK, 1));
}

static void test_scaled_window_may_step_back_by_less_than_its_unit(void)
{
	struct client_tcp_options options = rig_options();
	struct rig rig;

	options.window_scaling = true;
	options.ordered_wire = true;
	rig_establish(&rig, options); /* the edge is at 8001 */
	rig_write(&rig, "abc");
	RIG_RECEIVE(&rig, .seq = 1, .ack = 2, .window = 1999); /* 7998: RFC 7323 2.4 */
	CU_ASSERT_EQUAL(rig.tcp.counters.violations, 0);
	RIG_RECEIVE(&rig, .seq = 1, .ack = 2, .window = 1998);
	CU_ASSERT_TRUE(rig_violated(&rig, CLIENT_TCP_VIOLATION_WINDOW_BACK, 1));
}

static void test_timestamp_that_goes_back(void)
{
	struct rig rig;

	rig_establish(&rig, timestamped());
	rig_write(&rig, "abc");
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 8000, .ts_back = 5); /* late, perhaps */
	CU_ASSERT_EQUAL(rig.tcp.counters.violations, 0);
	RIG_RECEIVE(&rig, .seq = 1, .ack = 4, .window = 8000, .ts_back = 1);
	CU_ASSERT_TRUE(rig_violated(&rig, CLIENT_TCP_VIOLATION_TIMESTAMP_BACK, 1));
}

static void test_timestamp_that_is_missing(void)
{
	struct rig rig;

	rig_establish(&rig, timestamped());
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 8000, .no_timestamp = true);
	CU_ASSERT_TRUE(rig_violated(&rig, CLIENT_TCP_VIOLATION_TIMESTAMP_MISSING, 1));
	RIG_RECEIVE(&rig, .seq = 1, .flags = RST, .no_timestamp = true); /* RFC 7323 3.2 */
	CU_ASSERT_EQUAL(rig.tcp.counters.violations, 1);
	CU_ASSERT_EQUAL(rig.tcp.state, CLIENT_TCP_RESET);
}

static void test_echo_of_a_timestamp_never_sent(void)
{
	struct rig rig;

	rig_establish(&rig, timestamped());
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 8000, .ts_echo_ahead = 1);
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .window = 8000, .ts_echo_ahead = 0u - 1000000);
	CU_ASSERT_TRUE(rig_violated(&rig, CLIENT_TCP_VIOLATION_ECHO_OF_UNSENT, 2));
}

static void test_first_violation_is_told(void)
{
	char text[CLIENT_TCP_VIOLATION_TEXT_MAX];
	struct rig rig;

	rig_establish(&rig, rig_options());
	client_tcp_format_violation(&rig.tcp, text);
	CU_ASSERT_STRING_EQUAL(text, "");
	RIG_RECEIVE(&rig, .seq = 1, .ack = 77, .window = 8000);
	RIG_RECEIVE(&rig, .seq = 1, .ack = 1, .flags = PSH);
	client_tcp_format_violation(&rig.tcp, text);
	CU_ASSERT_STRING_EQUAL(text, "ACK of what was never sent: 77, limit 1, at 5000000 us");
	CU_ASSERT_EQUAL(rig.tcp.counters.violations, 2);
}

static const struct unit_case cases[] = {
    {"a wrong checksum is a violation", test_wrong_checksum},
    {"a malformed header is a violation", test_malformed_headers},
    {"an option that was not offered is a violation", test_option_that_was_not_offered},
    {"a segment longer than our MSS is a violation", test_segment_longer_than_our_mss},
    {"data beyond the window is a violation, a probe is not", test_data_beyond_the_window},
    {"a FIN beyond the window is a violation and not taken", test_fin_beyond_the_window},
    {"data behind the FIN is a violation", test_data_behind_the_fin},
    {"a retransmission that differs is a violation", test_retransmission_that_differs},
    {"so it is out of order", test_out_of_order_retransmission_that_differs},
    {"bytes older than the record are not compared",
     test_bytes_older_than_the_record_are_not_compared},
    {"an ACK of what was never sent is a violation", test_ack_of_what_was_never_sent},
    {"a window that provably moves back is a violation", test_window_that_moves_back},
    {"its timestamp proves it too", test_window_that_moves_back_is_seen_by_its_timestamp},
    {"an ordered wire proves every step back", test_ordered_wire_proves_every_step_back},
    {"a scaled window may step back by less than its unit",
     test_scaled_window_may_step_back_by_less_than_its_unit},
    {"a timestamp that provably goes back is a violation", test_timestamp_that_goes_back},
    {"a timestamp that is missing is a violation, in a reset it is not",
     test_timestamp_that_is_missing},
    {"an echo of a timestamp never sent is a violation", test_echo_of_a_timestamp_never_sent},
    {"the first violation is told", test_first_violation_is_told},
};

int main(void)
{
	return UNIT_RUN("client_tcp_violations", cases);
}
