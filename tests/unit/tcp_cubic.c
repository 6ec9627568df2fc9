/* SPDX-License-Identifier: Apache-2.0 */
/* CUBIC beside the formulas of RFC 9438, in segments and seconds. */
#include "unit.h"

#include "tcp/tcp_internal.h"

#include <math.h>

#define MSS    1448
#define RTT_MS 100
#define C      0.4
#define BETA   0.7

static struct tcp_connection limited(uint32_t segments)
{
	return (struct tcp_connection){
	    .mss = MSS,
	    .cwnd = segments * MSS,
	    .ssthresh = segments * MSS,
	    .snd_nxt = segments * MSS,
	    .srtt_us = RTT_MS * 1000,
	    .cwnd_limited = true,
	};
}

/* A round trip in which the whole window is acknowledged, a segment at a time. */
static void round_trip(struct tcp_connection *connection, uint64_t *now_us)
{
	uint32_t segments = connection->cwnd / MSS;

	for (uint32_t i = 0; i < segments; i++) {
		*now_us += RTT_MS * 1000 / segments;
		congestion_cubic.acked(connection, MSS, *now_us);
	}
	connection->snd_nxt = connection->cwnd;
}

static double segments_of(const struct tcp_connection *connection)
{
	return (double)connection->cwnd / MSS;
}

static void test_a_loss_takes_three_tenths(void)
{
	struct tcp_connection connection = limited(100);

	congestion_cubic.lost(&connection, 0);
	CU_ASSERT_DOUBLE_EQUAL(segments_of(&connection), 70, 0.1);
	CU_ASSERT_EQUAL(connection.ssthresh, connection.cwnd);
}

static void test_it_is_back_after_k_and_goes_beyond(void)
{
	struct tcp_connection connection = limited(1000);
	double k_s = cbrt(1000 * (1 - BETA) / C);
	uint64_t now_us = 1000000, start_us;

	congestion_cubic.lost(&connection, now_us);
	start_us = now_us;
	while (now_us < start_us + (uint64_t)(k_s * 1e6))
		round_trip(&connection, &now_us);
	/* at K it is where it was; steep before, flat around there */
	CU_ASSERT_DOUBLE_EQUAL(segments_of(&connection), 1000, 10);
	while (now_us < start_us + (uint64_t)(k_s * 1.5 * 1e6))
		round_trip(&connection, &now_us);
	CU_ASSERT_DOUBLE_EQUAL(segments_of(&connection), 1000 + C * pow(k_s / 2, 3), 10);
}

static void test_it_is_no_slower_than_reno_on_a_short_path(void)
{
	struct tcp_connection connection = limited(20);
	uint64_t now_us = 1000000;
	double before;

	congestion_cubic.lost(&connection, now_us);
	before = segments_of(&connection);
	for (int i = 0; i < 10; i++) /* ten round trips of a millisecond */
		for (uint32_t left = connection.cwnd / MSS; left > 0; left--) {
			now_us += 1000 / (connection.cwnd / MSS);
			congestion_cubic.acked(&connection, MSS, now_us);
		}
	/* alpha = 3 (1 - beta) / (1 + beta) segments a round trip */
	CU_ASSERT_DOUBLE_EQUAL(segments_of(&connection) - before, 10 * 3 * (1 - BETA) / (1 + BETA),
	                       1);
}

static void test_a_smaller_window_at_the_next_loss_makes_room(void)
{
	struct tcp_connection connection = limited(100);

	congestion_cubic.lost(&connection, 0);
	connection.snd_nxt = connection.cwnd;
	congestion_cubic.lost(&connection, 1000);
	CU_ASSERT_DOUBLE_EQUAL((double)connection.cubic.window_max / MSS, 70 * (1 + BETA) / 2, 0.1);
}

static void test_a_window_that_is_not_used_does_not_grow(void)
{
	struct tcp_connection connection = limited(100);

	connection.cwnd_limited = false;
	congestion_cubic.acked(&connection, 100 * MSS, 1000000);
	CU_ASSERT_EQUAL(connection.cwnd, 100u * MSS);
	congestion_newreno.acked(&connection, 100 * MSS, 1000000);
	CU_ASSERT_EQUAL(connection.cwnd, 100u * MSS);
}

static void test_a_time_out_starts_from_one_segment_and_halves_once(void)
{
	struct tcp_connection connection = limited(100);

	congestion_cubic.timed_out(&connection, 0);
	CU_ASSERT_EQUAL(connection.cwnd, MSS);
	CU_ASSERT_DOUBLE_EQUAL((double)connection.ssthresh / MSS, 70, 0.1);
	connection.retransmit_count = 1;
	congestion_cubic.timed_out(&connection, 0);
	CU_ASSERT_DOUBLE_EQUAL((double)connection.ssthresh / MSS, 70, 0.1);
}

static void test_newreno_grows_a_segment_a_round_trip_however_few_acks_come(void)
{
	struct tcp_connection connection = limited(100);

	congestion_newreno.acked(&connection, 100 * MSS, 0);
	CU_ASSERT_DOUBLE_EQUAL(segments_of(&connection), 101, 0.05);
	connection = limited(100);
	for (int i = 0; i < 100; i++)
		congestion_newreno.acked(&connection, MSS, 0);
	CU_ASSERT_DOUBLE_EQUAL(segments_of(&connection), 101, 0.05);
}

static const struct unit_case cases[] = {
    {"a loss takes three tenths of the window", test_a_loss_takes_three_tenths},
    {"after K the window is back, and goes beyond", test_it_is_back_after_k_and_goes_beyond},
    {"on a short path it is no slower than Reno", test_it_is_no_slower_than_reno_on_a_short_path},
    {"a smaller window at the next loss makes room for others",
     test_a_smaller_window_at_the_next_loss_makes_room},
    {"a window that is not used does not grow", test_a_window_that_is_not_used_does_not_grow},
    {"a time-out starts from one segment, and reduces ssthresh once",
     test_a_time_out_starts_from_one_segment_and_halves_once},
    {"NewReno grows a segment a round trip, however few acknowledgements come",
     test_newreno_grows_a_segment_a_round_trip_however_few_acks_come},
};

int main(void)
{
	return UNIT_RUN("tcp_cubic", cases);
}
