/* SPDX-License-Identifier: Apache-2.0 */
/* CUBIC: RFC 9438. Windows in bytes; the cubic function counts in segments and seconds, as the
 * RFC does. */
#include "tcp/tcp_internal.h"

#include <math.h>

#define C     0.4 /* segments a second cubed: RFC 9438 5 */
#define BETA  0.7
#define ALPHA (3 * (1 - BETA) / (1 + BETA)) /* as fast as Reno with this BETA: 4.3 */

/* A new period of growth begins: where it comes from, and when it will be there again (4.2). */
static void epoch_start(struct tcp_connection *connection, uint32_t now_ms)
{
	struct cubic *cubic = &connection->cubic;
	double below;

	if (cubic->window_max < connection->cwnd)
		cubic->window_max = connection->cwnd;
	below = (double)(cubic->window_max - connection->cwnd) / connection->mss;
	cubic->k_ms = (uint32_t)(1000 * cbrt(below / C));
	cubic->reno_window = connection->cwnd;
	cubic->epoch_ms = now_ms;
	connection->cubic_epoch_known = true;
}

/* W_cubic(t), 4.2. */
static double window_at(const struct tcp_connection *connection, uint32_t elapsed_ms)
{
	const struct cubic *cubic = &connection->cubic;
	double distance_s = ((double)elapsed_ms - cubic->k_ms) / 1000;

	return C * distance_s * distance_s * distance_s * connection->mss + cubic->window_max;
}

/* What Reno would have grown to: 4.3. */
static void reno_window_grow(struct tcp_connection *connection, uint32_t acked_bytes)
{
	struct cubic *cubic = &connection->cubic;
	double alpha = cubic->reno_window >= cubic->window_prior ? 1 : ALPHA;

	/* rounded up: a large window would not grow at all by bytes that are cut off */
	cubic->reno_window +=
	    (uint32_t)ceil(alpha * connection->mss * acked_bytes / connection->cwnd);
}

static void cubic_acked(struct tcp_connection *connection, uint32_t acked_bytes, uint64_t now_us)
{
	struct cubic *cubic = &connection->cubic;
	uint32_t now_ms = now_ms_from(now_us);
	uint32_t elapsed_ms;
	double target;

	if (!connection->cwnd_limited) {
		connection->cubic_epoch_known =
		    false; /* 5.8: time without data is no time to grow in */
		return;
	}
	if (connection->cwnd < connection->ssthresh) {
		slow_start(connection, acked_bytes);
		return;
	}
	acked_bytes = min_u32(acked_bytes, connection->cwnd);
	if (!connection->cubic_epoch_known)
		epoch_start(connection, now_ms);
	elapsed_ms = now_ms - cubic->epoch_ms;
	reno_window_grow(connection, acked_bytes);
	if (window_at(connection, elapsed_ms) < cubic->reno_window) {
		connection->cwnd = max_u32(connection->cwnd, cubic->reno_window);
		return;
	}
	target = window_at(connection, elapsed_ms + connection->srtt_us / 1000);
	target = fmin(fmax(target, connection->cwnd), 1.5 * connection->cwnd);
	connection->cwnd +=
	    (uint32_t)((target - connection->cwnd) * acked_bytes / connection->cwnd);
}

static void cubic_lost(struct tcp_connection *connection, uint64_t now_us)
{
	struct cubic *cubic = &connection->cubic;
	/* limited transmit goes beyond cwnd, and does not count: RFC 6675 5 (4.2) */
	uint32_t in_flight = min_u32(connection->snd_nxt - connection->snd_una, connection->cwnd);

	connection->cubic_epoch_known = false;
	cubic->window_prior = connection->cwnd;
	/* 4.7: a window that has become smaller since the last loss makes room for others */
	if (connection->cwnd < cubic->window_max)
		cubic->window_max = (uint32_t)(connection->cwnd * (1 + BETA) / 2);
	else
		cubic->window_max = connection->cwnd;
	connection->ssthresh = max_u32((uint32_t)(in_flight * BETA), 2u * connection->mss);
	connection->cwnd = connection->ssthresh;
}

static void cubic_timed_out(struct tcp_connection *connection, uint64_t now_us)
{
	/* not again for the same segment: RFC 5681 3.1 */
	if (connection->retransmit_count == 0)
		cubic_lost(connection, now_us);
	connection->cwnd = connection->mss;
	connection->cubic.window_max =
	    0; /* 4.8: K is 0, growth starts from where slow start ends */
}

const struct congestion_control congestion_cubic = {
    .name = "cubic",
    .acked = cubic_acked,
    .lost = cubic_lost,
    .timed_out = cubic_timed_out,
};
