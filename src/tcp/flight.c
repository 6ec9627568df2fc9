/* SPDX-License-Identifier: Apache-2.0 */
/* What a connection has in flight, as runs of sequence numbers that share one fate: the scoreboard
 * of RFC 6675, with the times of sending that RFC 8985 asks for.
 *
 * The runs cover snd_una … snd_nxt without a gap. Bytes sent in one turn are one run, so that a
 * handful is enough for a connection that loses nothing; who loses takes a block for more. When
 * there is no place for another run, less is known (two times of sending become the later one, a
 * selective acknowledgement is ignored), and nothing is wrong. */
#include "tcp/flight.h"

#include "tcp/tcp_internal.h"

#define RUN_COUNT_MAX (BLOCK_CAPACITY / sizeof(struct run))

/* Places that are kept for what matters more. */
#define KEPT_FROM_SENT   2 /* for selective acknowledgements and retransmissions */
#define KEPT_FROM_SACKED 1 /* for retransmissions */

static struct run *runs_of(struct tcp_connection *connection)
{
	struct flight *flight = &connection->flight;

	if (flight->block != NULL)
		return (struct run *)flight->block->bytes;
	return flight->few == NULL ? NULL : flight->few->runs;
}

size_t flights_bytes(uint32_t connection_count_max)
{
	return slab_bytes(sizeof(struct flight_runs), connection_count_max);
}

void flights_create(struct tcp *tcp, struct memory *memory)
{
	slab_create(&tcp->flight_runs, sizeof(struct flight_runs),
	            tcp->options.connection_count_max, memory);
}

/* Room for one more run, with `kept` places left behind it. */
static bool room_for_run(struct tcp_connection *connection, uint32_t kept)
{
	struct flight *flight = &connection->flight;

	if (flight->block != NULL)
		return flight->run_count + kept < RUN_COUNT_MAX;
	if (flight->run_count + kept < FLIGHT_RUNS_FEW)
		return true;
	flight->block = block_take(connection->tcp->pool);
	if (flight->block == NULL)
		return false;
	memcpy(flight->block->bytes, flight->few->runs, flight->run_count * sizeof(struct run));
	return true;
}

static void run_insert(struct tcp_connection *connection, uint32_t index, struct run run)
{
	struct run *runs = runs_of(connection);

	memmove(&runs[index + 1], &runs[index],
	        (connection->flight.run_count - index) * sizeof(runs[0]));
	runs[index] = run;
	connection->flight.run_count++;
}

static void runs_remove(struct tcp_connection *connection, uint32_t index, uint32_t count)
{
	struct flight *flight = &connection->flight;
	struct run *runs = runs_of(connection);

	flight->run_count -= count;
	memmove(&runs[index], &runs[index + count], (flight->run_count - index) * sizeof(runs[0]));
	if (flight->run_count > 0)
		return;
	if (flight->block != NULL)
		block_drop(connection->tcp->pool, flight->block);
	slab_give(&connection->tcp->flight_runs, flight->few);
	flight->block = NULL;
	flight->few = NULL;
}

static uint32_t run_begin(struct tcp_connection *connection, uint32_t index)
{
	return index == 0 ? connection->snd_una : runs_of(connection)[index - 1].end;
}

static uint32_t run_bytes(struct tcp_connection *connection, uint32_t index)
{
	return runs_of(connection)[index].end - run_begin(connection, index);
}

static uint32_t *bytes_of_fate(struct flight *flight, enum run_fate fate)
{
	return fate == RUN_SACKED ? &flight->sacked_bytes : &flight->lost_bytes;
}

static void run_set_fate(struct tcp_connection *connection, uint32_t index, enum run_fate fate)
{
	struct run *run = &runs_of(connection)[index];
	uint32_t bytes = run_bytes(connection, index);

	if (run->fate != RUN_SENT)
		*bytes_of_fate(&connection->flight, run->fate) -= bytes;
	if (fate != RUN_SENT)
		*bytes_of_fate(&connection->flight, fate) += bytes;
	run->fate = fate;
}

/* Neighbours that have become alike are one. */
static void runs_join(struct tcp_connection *connection)
{
	struct flight *flight = &connection->flight;
	struct run *runs = runs_of(connection);
	uint32_t kept = 0;

	for (uint32_t i = 1; i < flight->run_count; i++) {
		struct run *last = &runs[kept];

		if (last->fate == runs[i].fate &&
		    (last->fate == RUN_SACKED || last->again == runs[i].again) &&
		    (last->fate != RUN_SENT || last->sent_us == runs[i].sent_us)) {
			last->end = runs[i].end;
			continue;
		}
		runs[++kept] = runs[i];
	}
	if (flight->run_count > 0)
		flight->run_count = (uint16_t)(kept + 1);
}

/* Sees to it that a run begins at `at`, and returns its index; run_count when that is snd_nxt, and
 * -1 when there is no room. */
static int cut(struct tcp_connection *connection, uint32_t at, uint32_t kept)
{
	struct run *runs = runs_of(connection);
	struct run front;
	int index = 0;

	if (at == connection->snd_una)
		return 0;
	while (seq_before(runs[index].end, at))
		index++;
	ASSERT_SLOW((uint32_t)index < connection->flight.run_count);
	if (runs[index].end == at)
		return index + 1;
	if (!room_for_run(connection, kept))
		return -1;
	front = runs_of(connection)[index];
	front.end = at;
	run_insert(connection, (uint32_t)index, front);
	return index + 1;
}

/* True when new data can go on in the last run. */
static bool last_is_new(struct tcp_connection *connection)
{
	const struct run *last = &runs_of(connection)[connection->flight.run_count - 1];

	return last->fate == RUN_SENT && !last->again;
}

/* The run that `at`, not the beginning of one, lies in. */
static int run_at(struct tcp_connection *connection, uint32_t at)
{
	const struct run *runs = runs_of(connection);
	int index = 0;

	while (!seq_after(runs[index].end, at))
		index++;
	return index;
}

bool flight_takes(struct tcp_connection *connection)
{
	return connection->flight.run_count == 0 || last_is_new(connection) ||
	       room_for_run(connection, KEPT_FROM_SENT);
}

void flight_sent(struct tcp_connection *connection, uint32_t end, uint64_t now_us)
{
	struct flight *flight = &connection->flight;
	struct run run = {.end = end, .sent_us = (uint32_t)now_us};

	if (flight->run_count > 0 && last_is_new(connection)) {
		struct run *last = &runs_of(connection)[flight->run_count - 1];

		if (last->sent_us == run.sent_us || !room_for_run(connection, KEPT_FROM_SENT)) {
			last->end = end;
			last->sent_us = run.sent_us;
			return;
		}
	}
	if (flight->few == NULL)
		flight->few = slab_take(&connection->tcp->flight_runs);
	run_insert(connection, flight->run_count, run);
}

void flight_sent_again(struct tcp_connection *connection, uint32_t seq, uint32_t length,
                       uint64_t now_us)
{
	int first = cut(connection, seq, 0);
	int end = first < 0 ? -1 : cut(connection, seq + length, 0);

	/* No room: then all of the run counts as sent, and what was not is found out like any loss.
	 * To leave it lost would be to send its beginning again and again. */
	if (first < 0)
		return;
	if (end < 0)
		end = run_at(connection, seq + length) + 1;
	for (int i = first; i < end; i++) {
		struct run *run = &runs_of(connection)[i];

		if (run->fate == RUN_SACKED)
			continue;
		run_set_fate(connection, (uint32_t)i, RUN_SENT);
		run->again = true;
		run->sent_us = (uint32_t)now_us;
	}
	runs_join(connection);
}

bool flight_first_lost(struct tcp_connection *connection, uint32_t *ret_seq, uint32_t *ret_length)
{
	const struct run *runs = runs_of(connection);

	if (connection->flight.lost_bytes == 0)
		return false;
	for (uint32_t i = 0; i < connection->flight.run_count; i++) {
		if (runs[i].fate != RUN_LOST)
			continue;
		*ret_seq = run_begin(connection, i);
		*ret_length = run_bytes(connection, i);
		return true;
	}
	ASSERT(false);
	return false;
}

/* RFC 8985 4: by time, and what was sent in one turn by its number. */
static bool sent_after(uint32_t sent_us, uint32_t end, uint32_t other_sent_us, uint32_t other_end)
{
	return sent_us != other_sent_us ? seq_after(sent_us, other_sent_us)
	                                : seq_after(end, other_end);
}

/* One run, or the front of one, has arrived. RFC 8985 6.2, steps 1 to 3. */
static void run_arrived(struct tcp_connection *connection, struct run run, uint32_t begin,
                        struct arrivals *arrivals)
{
	struct flight *flight = &connection->flight;
	uint32_t rtt_us = arrivals->now_us - run.sent_us;

	if (run.fate == RUN_SACKED)
		return;
	arrivals->bytes += run.end - begin;
	if (!run.again) {
		if (seq_before(run.end, arrivals->highest_before))
			arrivals->reordered = true;
		arrivals->rtt_us = arrivals->rtt_known ? min_u32(arrivals->rtt_us, rtt_us) : rtt_us;
		arrivals->rtt_known = true;
	} else if (rtt_us < flight->rtt_us_min ||
	           (arrivals->echo_known && arrivals->echo_age_ms > rtt_us / 1000 + 1)) {
		return; /* what has arrived was sent earlier */
	}
	if (!flight->newest_known ||
	    sent_after(run.sent_us, run.end, flight->newest_sent_us, flight->newest_end)) {
		flight->newest_known = true;
		flight->newest_sent_us = run.sent_us;
		flight->newest_end = run.end;
		flight->newest_rtt_us = rtt_us;
	}
}

void flight_acked(struct tcp_connection *connection, uint32_t ack, struct arrivals *arrivals)
{
	struct flight *flight = &connection->flight;
	struct run *runs = runs_of(connection);
	uint32_t gone = 0;

	for (; gone < flight->run_count && connection->snd_una != ack; gone++) {
		struct run run = runs[gone];
		uint32_t begin = connection->snd_una;
		bool whole = !seq_after(run.end, ack);

		run.end = whole ? run.end : ack;
		run_arrived(connection, run, begin, arrivals);
		if (run.fate != RUN_SENT)
			*bytes_of_fate(flight, run.fate) -= run.end - begin;
		connection->snd_una = run.end;
		if (!whole)
			break;
	}
	if (gone > 0)
		runs_remove(connection, 0, gone);
	/* its time says nothing of what is sent after a pause, in which 32 bits may have wrapped */
	if (flight->run_count == 0)
		flight->newest_known = false;
	ASSERT(connection->snd_una == ack);
	if (seq_after(ack, flight->highest_arrived))
		flight->highest_arrived = ack;
}

void flight_sacked(struct tcp_connection *connection, uint32_t begin, uint32_t end,
                   struct arrivals *arrivals)
{
	struct flight *flight = &connection->flight;
	int first = cut(connection, begin, KEPT_FROM_SACKED);
	int behind = first < 0 ? -1 : cut(connection, end, KEPT_FROM_SACKED);

	for (int i = first; i < behind; i++) {
		run_arrived(connection, runs_of(connection)[i], run_begin(connection, (uint32_t)i),
		            arrivals);
		run_set_fate(connection, (uint32_t)i, RUN_SACKED);
	}
	if (behind >= 0 && seq_after(end, flight->highest_arrived))
		flight->highest_arrived = end;
	runs_join(connection);
}

uint32_t flight_lose_late(struct tcp_connection *connection, uint32_t reorder_us, uint32_t since_us,
                          uint64_t now_us, bool *ret_again)
{
	struct flight *flight = &connection->flight;
	struct run *runs = runs_of(connection);
	uint32_t settle_us = 0;

	*ret_again = false;
	for (uint32_t i = 0; i < flight->run_count && flight->newest_known; i++) {
		int32_t left_us;

		if (runs[i].fate != RUN_SENT ||
		    !sent_after(flight->newest_sent_us, flight->newest_end, runs[i].sent_us,
		                runs[i].end))
			continue;
		left_us = (int32_t)(runs[i].sent_us + flight->newest_rtt_us + reorder_us -
		                    (uint32_t)now_us);
		if (left_us > 0) {
			settle_us = max_u32(settle_us, (uint32_t)left_us);
			continue;
		}
		run_set_fate(connection, i, RUN_LOST);
		if (runs[i].again && !seq_before(runs[i].sent_us, since_us))
			*ret_again = true;
	}
	runs_join(connection);
	return settle_us;
}

void flight_lose_first(struct tcp_connection *connection, uint32_t length)
{
	int end = cut(connection, connection->snd_una + length, 0);

	/* no room: then the whole run, of which no more is sent than congestion control lets */
	end = end < 0 ? 1 : end;
	for (int i = 0; i < end; i++)
		if (runs_of(connection)[i].fate == RUN_SENT)
			run_set_fate(connection, (uint32_t)i, RUN_LOST);
	runs_join(connection);
}

void flight_lose_all(struct tcp_connection *connection, uint32_t age_us, uint64_t now_us)
{
	struct flight *flight = &connection->flight;
	/* A peer that holds the first byte acknowledges it: this one has dropped what it held
	 * (RFC 2018 8), so that nothing it said counts any more. */
	bool reneged = flight->run_count > 0 && runs_of(connection)[0].fate == RUN_SACKED;

	for (uint32_t i = 0; i < flight->run_count; i++) {
		const struct run *run = &runs_of(connection)[i];

		if (reneged || (run->fate == RUN_SENT &&
		                (i == 0 || (uint32_t)now_us - run->sent_us >= age_us)))
			run_set_fate(connection, i, RUN_LOST);
	}
	runs_join(connection);
}

void flight_clear(struct tcp_connection *connection)
{
	if (connection->flight.run_count > 0)
		runs_remove(connection, 0, connection->flight.run_count);
	connection->flight.sacked_bytes = 0;
	connection->flight.lost_bytes = 0;
}

void flight_check(const struct tcp_connection *connection)
{
	const struct flight *flight = &connection->flight;
	const struct run *runs = runs_of((struct tcp_connection *)connection);
	uint32_t begin = connection->snd_una, sacked = 0, lost = 0;

	ASSERT(flight->run_count <= (flight->block == NULL ? FLIGHT_RUNS_FEW : RUN_COUNT_MAX));
	ASSERT((flight->run_count > 0) == (flight->few != NULL));
	ASSERT(flight->run_count > 0 || flight->block == NULL);
	for (uint32_t i = 0; i < flight->run_count; i++) {
		ASSERT(seq_after(runs[i].end, begin));
		if (runs[i].fate == RUN_SACKED)
			sacked += runs[i].end - begin;
		if (runs[i].fate == RUN_LOST)
			lost += runs[i].end - begin;
		begin = runs[i].end;
	}
	ASSERT(begin == connection->snd_nxt);
	ASSERT(sacked == flight->sacked_bytes);
	ASSERT(lost == flight->lost_bytes);
}
