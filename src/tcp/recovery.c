/* SPDX-License-Identifier: Apache-2.0 */
/* What acknowledgements and their absence say about loss, and what follows.
 *
 * With selective acknowledgements loss is found by time (RACK-TLP, RFC 8985) and what is under way
 * is counted byte by byte (RFC 6675); from a peer that has none, by its third duplicate
 * acknowledgement (RFC 5681, 6582). How much may be under way is congestion control's. */
#include "tcp/tcp_internal.h"

#define DUPLICATE_ACKS_MAX     3       /* RFC 5681 3.2, RFC 6675 DupThresh */
#define PROBE_FIRST_US         1000000 /* RFC 8985 7.2: before a round trip was measured */
#define PROBE_SLACK_US         2000    /* the timer's two ticks */
#define PROBE_DELAYED_ACK_US   200000  /* RFC 8985 7.2: a lone segment's acknowledgement may wait */
#define REORDER_PERSIST_ROUNDS 16      /* RFC 8985 6.2 step 4 */

uint32_t recovery_pipe(const struct tcp_connection *connection)
{
	const struct flight *flight = &connection->flight;
	uint32_t under_way = connection->snd_nxt - connection->snd_una - flight->lost_bytes;

	/* each duplicate acknowledgement stands for a segment that has arrived */
	if (!connection->sack_permitted)
		return under_way - min_u32(under_way, connection->duplicate_acks * connection->mss);
	return under_way - flight->sacked_bytes;
}

/* RFC 2883 4: the first block tells of a duplicate when it is acknowledged already, or lies within
 * the second. */
static bool is_duplicate_report(const struct tcp_segment *segment)
{
	const struct sack_block *sacks = segment->sacks;

	return seq_before(sacks[0].begin, segment->ack) ||
	       (segment->sack_count > 1 && !seq_before(sacks[0].begin, sacks[1].begin) &&
	        !seq_after(sacks[0].end, sacks[1].end));
}

/* Returns true when the peer reports that something has come twice. */
static bool sacks_read(struct tcp_connection *connection, const struct tcp_segment *segment,
                       struct arrivals *arrivals)
{
	bool duplicate = is_duplicate_report(segment);

	for (uint32_t i = duplicate; i < segment->sack_count; i++) {
		const struct sack_block *sack = &segment->sacks[i];

		/* what cannot be true is not believed */
		if (seq_before(sack->begin, connection->snd_una) ||
		    seq_after(sack->end, connection->snd_nxt) ||
		    !seq_before(sack->begin, sack->end)) {
			counter_add(&connection->tcp->counters.bad_sack, 1);
			continue;
		}
		flight_sacked(connection, sack->begin, sack->end, arrivals);
	}
	if (duplicate)
		counter_add(&connection->tcp->counters.duplicates_reported, 1);
	return duplicate;
}

static void rtt_measure(struct tcp_connection *connection, const struct arrivals *arrivals,
                        uint32_t acked_bytes)
{
	struct flight *flight = &connection->flight;

	if (arrivals->rtt_known) {
		flight->rtt_us_min = min_u32(flight->rtt_us_min, arrivals->rtt_us);
		/* once a round trip, as RFC 6298's gains take it */
		if (seq_after(connection->snd_una, connection->rtt_sequence)) {
			connection->rtt_sequence = connection->snd_nxt;
			rtt_sample(connection, arrivals->rtt_us);
		}
	} else if (connection->retransmit_count > 0 && arrivals->echo_known && acked_bytes > 0) {
		/* Karn forbids timing what was sent twice; the echo says which one arrived
		 * (RFC 7323 4.1) */
		rtt_sample(connection, arrivals->echo_age_ms * 1000);
	}
}

/* RFC 8985 6.2 step 4: how much the network may change the order of segments. */
static uint32_t reorder_us(const struct tcp_connection *connection)
{
	const struct flight *flight = &connection->flight;

	if (!flight->reordered &&
	    (connection->recovery != RECOVERY_NONE ||
	     connection->duplicate_acks >= DUPLICATE_ACKS_MAX ||
	     flight->sacked_bytes > (DUPLICATE_ACKS_MAX - 1u) * connection->mss))
		return 0;
	return (uint32_t)min_u64((uint64_t)flight->rtt_us_min / 4 * connection->reorder_factor,
	                         connection->srtt_us);
}

/* A needless retransmission: be slower to take something for lost. */
static void reorder_adapt(struct tcp_connection *connection, bool duplicate)
{
	if (connection->reorder_round_known &&
	    !seq_before(connection->snd_una, connection->reorder_round))
		connection->reorder_round_known = false;
	if (!duplicate || connection->reorder_round_known)
		return;
	connection->reorder_round_known = true;
	connection->reorder_round = connection->snd_nxt;
	if (connection->reorder_factor < UINT8_MAX)
		connection->reorder_factor++;
	connection->reorder_persist = REORDER_PERSIST_ROUNDS;
}

static void window_lower(struct tcp_connection *connection, uint64_t now_us)
{
	connection->lowered_us = (uint32_t)now_us;
	connection->tcp->congestion->lost(connection, now_us);
}

static void recovery_enter(struct tcp_connection *connection, uint64_t now_us)
{
	counter_add(&connection->tcp->counters.fast_retransmits, 1);
	connection->recovery = RECOVERY_FAST;
	connection->recover = connection->snd_nxt;
	connection->retransmit_owed = true; /* RFC 6675 5 (4.3): whatever the window says */
	connection->probed = false;         /* RFC 8985 7.1 */
	window_lower(connection, now_us);
}

static void recovery_leave(struct tcp_connection *connection)
{
	connection->recovery = RECOVERY_NONE;
	connection->retransmit_owed = false;
	if (connection->reorder_persist > 0 && --connection->reorder_persist == 0)
		connection->reorder_factor = 1;
}

static void losses_find(struct tcp_connection *connection, uint64_t now_us)
{
	bool again;
	uint32_t settle_us = flight_lose_late(connection, reorder_us(connection),
	                                      connection->lowered_us, now_us, &again);

	if (settle_us > 0)
		deadline_set(connection, DEADLINE_REORDER, now_ms_from(now_us + settle_us + 999));
	else
		deadline_clear(connection, DEADLINE_REORDER);
	if (connection->flight.lost_bytes > 0) {
		connection_mark(connection);
		if (connection->recovery == RECOVERY_NONE)
			recovery_enter(connection, now_us);
		else if (connection->recovery == RECOVERY_FAST && again)
			window_lower(connection, now_us); /* RFC 5681 4.3, RFC 8985 9.3 */
	}
}

/* RFC 6582, for a peer without selective acknowledgements. */
static void duplicate_acks_count(struct tcp_connection *connection, uint32_t acked_bytes,
                                 bool duplicate, uint64_t now_us)
{
	uint32_t mss = connection->mss;

	if (duplicate && connection->duplicate_acks < UINT16_MAX)
		connection->duplicate_acks++;
	if (acked_bytes > 0 && connection->recovery != RECOVERY_NONE) {
		/* the retransmission, for which no duplicate stands, and what duplicates stood for
		 */
		connection->duplicate_acks -=
		    min_u32(connection->duplicate_acks, max_u32(acked_bytes / mss, 1) - 1);
		if (connection->recovery == RECOVERY_FAST)
			flight_lose_first(connection,
			                  min_u32(mss, connection->snd_nxt - connection->snd_una));
	} else if (acked_bytes > 0) {
		connection->duplicate_acks = 0;
	} else if (duplicate && connection->duplicate_acks == DUPLICATE_ACKS_MAX &&
	           connection->recovery == RECOVERY_NONE &&
	           seq_after(connection->snd_una, connection->recover)) {
		/* 3.2 step 2; `recover` keeps one loss from being counted twice */
		flight_lose_first(connection,
		                  min_u32(mss, connection->snd_nxt - connection->snd_una));
		recovery_enter(connection, now_us);
	}
}

/* RFC 8985 7.4.2: a tail-loss probe that was a retransmission, and that nobody has reported as a
 * duplicate, has repaired a loss. */
static void probe_judge(struct tcp_connection *connection, bool duplicate_ack,
                        bool duplicate_report, uint64_t now_us)
{
	if (!connection->probed || seq_before(connection->snd_una, connection->probe_end))
		return;
	if (connection->probe_again && !duplicate_report &&
	    !seq_after(connection->snd_una, connection->probe_end) && !duplicate_ack)
		return; /* the next acknowledgement will tell */
	connection->probed = false;
	if (connection->probe_again && !duplicate_report && !duplicate_ack &&
	    connection->recovery == RECOVERY_NONE)
		connection->tcp->congestion->lost(connection, now_us);
}

void recovery_acknowledged(struct tcp_connection *connection, const struct tcp_segment *segment,
                           bool duplicate, uint64_t now_us)
{
	uint32_t acked_bytes = segment->ack - connection->snd_una;
	uint32_t round = connection->rtt_sequence;
	bool repeated = false;
	struct arrivals arrivals = {
	    .now_us = (uint32_t)now_us,
	    .highest_before = connection->flight.highest_arrived,
	    .echo_age_ms = now_ms_from(now_us) + connection->ts_offset - segment->ts_echo,
	};

	arrivals.echo_known = connection->timestamps && segment->ts_echo != 0 &&
	                      arrivals.echo_age_ms < TCP_RTO_MAX_MS;
	if (segment->sack_count > 0 && connection->sack_permitted)
		repeated = sacks_read(connection, segment, &arrivals);
	if (acked_bytes > 0)
		flight_acked(connection, segment->ack, &arrivals);
	rtt_measure(connection, &arrivals, acked_bytes);
	connection->flight.reordered = connection->flight.reordered || arrivals.reordered;
	if (acked_bytes > 0 && connection->recovery != RECOVERY_NONE &&
	    !seq_before(segment->ack, connection->recover))
		recovery_leave(connection);
	else if (acked_bytes > 0 && connection->recovery != RECOVERY_FAST)
		connection->tcp->congestion->acked(connection, acked_bytes, now_us);
	if (connection->rtt_sequence != round)
		connection->cwnd_limited = false;
	/* it stays right behind, so that 2 GiB later it does not seem to be ahead */
	if (connection->recovery == RECOVERY_NONE &&
	    seq_after(connection->snd_una, connection->recover))
		connection->recover = connection->snd_una - 1;
	if (!connection->sack_permitted) {
		duplicate_acks_count(connection, acked_bytes, duplicate, now_us);
		return;
	}
	if (acked_bytes > 0)
		connection->duplicate_acks = 0;
	else if (duplicate && connection->duplicate_acks < UINT16_MAX)
		connection->duplicate_acks++;
	reorder_adapt(connection, repeated);
	probe_judge(connection, duplicate && segment->sack_count == 0, repeated, now_us);
	if (connection->flight.sacked_bytes > 0 || connection->recovery != RECOVERY_NONE)
		losses_find(connection, now_us);
}

void recovery_reorder_expired(struct tcp_connection *connection, uint64_t now_us)
{
	losses_find(connection, now_us);
}

void recovery_timed_out(struct tcp_connection *connection, uint64_t now_us)
{
	counter_add(&connection->tcp->counters.retransmit_timeouts, 1);
	connection->tcp->congestion->timed_out(connection, now_us);
	/* RFC 8985 6.3: not what may well be on its way */
	flight_lose_all(connection,
	                connection->sack_permitted && connection->flight.newest_known
	                    ? connection->flight.newest_rtt_us + (uint32_t)reorder_us(connection)
	                    : 0,
	                now_us);
	connection->recovery = RECOVERY_TIMEOUT;
	connection->retransmit_owed = true; /* RFC 6298 5.4: whatever is under way */
	connection->recover = connection->snd_nxt;
	connection->duplicate_acks = 0;
	connection->probed = false;
	deadline_clear(connection, DEADLINE_REORDER);
	deadline_clear(connection, DEADLINE_PROBE);
	connection_mark(connection);
}

/* RFC 8985 7.2: a probe that comes before the time-out, or at the latest in its place, when the end
 * of what was sent may be lost. */
void recovery_probe_arm(struct tcp_connection *connection, uint64_t now_us)
{
	uint32_t in_flight = connection->snd_nxt - connection->snd_una;
	uint32_t time_out_ms = connection->deadlines_ms[DEADLINE_RETRANSMIT];
	uint64_t wait_us;
	uint32_t due_ms;

	if (!connection->sack_permitted || in_flight == 0 || time_out_ms == 0 ||
	    connection->recovery != RECOVERY_NONE || connection->flight.sacked_bytes > 0 ||
	    connection->probed || connection->probe_spent || connection->snd_wnd == 0) {
		deadline_clear(connection, DEADLINE_PROBE);
		return;
	}
	wait_us = 2ull * connection->srtt_us + PROBE_SLACK_US +
	          (in_flight <= connection->mss ? PROBE_DELAYED_ACK_US : 0);
	due_ms = now_ms_from(now_us + (connection->srtt_us == 0 ? PROBE_FIRST_US : wait_us));
	deadline_set(connection, DEADLINE_PROBE,
	             seq_after(due_ms, time_out_ms) ? time_out_ms : due_ms);
}

void recovery_probe_expired(struct tcp_connection *connection, uint64_t now_us)
{
	bool again;

	if (!output_tail_probe(connection, now_us, &again))
		return; /* no packet memory: the time-out remains */
	counter_add(&connection->tcp->counters.tail_probes, 1);
	connection->probed = true;
	connection->probe_spent = true; /* RFC 8985 7.3 */
	connection->probe_again = again;
	connection->probe_end = connection->snd_nxt;
	retransmit_arm(connection, now_us);
}
