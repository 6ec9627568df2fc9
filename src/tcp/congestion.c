/* SPDX-License-Identifier: Apache-2.0 */
/* NewReno (RFC 5681, 6582) and the retransmission time-out (RFC 6298). All windows in bytes. */
#include "tcp/tcp_internal.h"

#define INITIAL_WINDOW_SEGMENTS 10 /* RFC 6928 */

void congestion_start(struct tcp_connection *connection)
{
	connection->cwnd = INITIAL_WINDOW_SEGMENTS * connection->mss;
	connection->ssthresh = UINT32_MAX;
}

void congestion_acked(struct tcp_connection *connection, uint32_t acked_bytes)
{
	uint32_t mss = connection->mss;

	if (connection->cwnd < connection->ssthresh) {
		connection->cwnd += min_u32(acked_bytes, 2 * mss); /* RFC 3465, L = 2 */
	} else {
		connection->cwnd += (uint32_t)max_u64((uint64_t)mss * mss / connection->cwnd, 1);
	}
	/* it need not grow beyond what the peer has ever let us use */
	connection->cwnd = min_u32(connection->cwnd, max_u32(connection->snd_wnd_max, 2 * mss) +
	                                                 INITIAL_WINDOW_SEGMENTS * mss);
}

/* RFC 5681 (4). */
static void halve(struct tcp_connection *connection)
{
	uint32_t in_flight = connection->snd_max - connection->snd_una;

	connection->ssthresh = max_u32(in_flight / 2, 2u * connection->mss);
}

void congestion_lost(struct tcp_connection *connection)
{
	halve(connection);
	connection->cwnd = connection->ssthresh + 3u * connection->mss;
}

void congestion_timed_out(struct tcp_connection *connection)
{
	/* not again for the same segment: RFC 5681 3.1 */
	if (connection->retransmit_count == 0)
		halve(connection);
	connection->cwnd = connection->mss;
	connection->recovering = false;
	connection->recover = connection->snd_max;
	connection->duplicate_acks = 0;
}

void congestion_rto_reset(struct tcp_connection *connection)
{
	/* the clock's granularity G is 1 ms: RFC 6298 (2.3) */
	uint32_t rto_us = connection->srtt_us + max_u32(4 * connection->rttvar_us, 1000);

	if (connection->srtt_us == 0) /* nothing was measured yet */
		return;
	rto_us = max_u32(rto_us, connection->tcp->options.rto_min_us);
	connection->rto_ms = min_u32((rto_us + 999) / 1000, TCP_RTO_MAX_MS);
}

void congestion_rtt_sample(struct tcp_connection *connection, uint32_t rtt_us)
{
	if (connection->srtt_us == 0) {
		connection->srtt_us = max_u32(rtt_us, 1);
		connection->rttvar_us = rtt_us / 2;
	} else {
		uint32_t difference = rtt_us > connection->srtt_us ? rtt_us - connection->srtt_us
		                                                   : connection->srtt_us - rtt_us;

		connection->rttvar_us =
		    (uint32_t)(((uint64_t)connection->rttvar_us * 3 + difference) / 4);
		connection->srtt_us =
		    (uint32_t)max_u64(((uint64_t)connection->srtt_us * 7 + rtt_us) / 8, 1);
	}
	congestion_rto_reset(connection);
}
