/* SPDX-License-Identifier: Apache-2.0 */
/* NewReno: RFC 5681 with appropriate byte counting (RFC 3465). */
#include "tcp/tcp_internal.h"

static void newreno_acked(struct tcp_connection *connection, uint32_t acked_bytes, uint64_t now_us)
{
	uint32_t mss = connection->mss;

	/* a window that was not used up says nothing of what the network bears (RFC 7661 1) */
	if (!connection->cwnd_limited)
		return;
	if (connection->cwnd < connection->ssthresh)
		slow_start(connection, acked_bytes);
	else
		connection->cwnd += (uint32_t)max_u64(
		    (uint64_t)mss * min_u32(acked_bytes, connection->cwnd) / connection->cwnd, 1);
}

static void newreno_lost(struct tcp_connection *connection, uint64_t now_us)
{
	/* limited transmit goes beyond cwnd, and does not count: RFC 5681 3.2 (2) */
	uint32_t in_flight = min_u32(connection->snd_nxt - connection->snd_una, connection->cwnd);

	connection->ssthresh = max_u32(in_flight / 2, 2u * connection->mss); /* RFC 5681 (4) */
	connection->cwnd = connection->ssthresh;
}

static void newreno_timed_out(struct tcp_connection *connection, uint64_t now_us)
{
	/* not again for the same segment: RFC 5681 3.1 */
	if (connection->retransmit_count == 0)
		newreno_lost(connection, now_us);
	connection->cwnd = connection->mss;
}

const struct congestion_control congestion_newreno = {
    .name = "newreno",
    .acked = newreno_acked,
    .lost = newreno_lost,
    .timed_out = newreno_timed_out,
};
