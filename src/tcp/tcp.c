/* SPDX-License-Identifier: Apache-2.0 */
#include "tcp/tcp.h"

#include "tcp/tcp_internal.h"

struct tcp_options tcp_options_default(void)
{
	return (struct tcp_options){
	    .connection_count_max = 16384,
	    .half_open_count_max = 4096,
	    .linger_count_max = 16384,
	    .orphan_count_max = 1024,
	    .receive_window_bytes = 256 * 1024,
	    .rto_min_us = 200000,
	    .user_timeout_us = 120000000,
	    .time_wait_us = 60000000,
	};
}

/* The smallest shift that lets the whole window be said in 16 bits, rounding up included. */
static uint8_t window_shift(uint32_t window_bytes)
{
	uint8_t shift = 0;

	while (shift < TCP_WINDOW_SHIFT_MAX && (window_bytes >> shift) >= UINT16_MAX)
		shift++;
	return shift;
}

static struct siphash_key key_derive(const struct siphash_key *secret, uint64_t purpose)
{
	uint64_t halves[2] = {2 * purpose, 2 * purpose + 1};

	return (struct siphash_key){siphash(secret, &halves[0], sizeof(halves[0])),
	                            siphash(secret, &halves[1], sizeof(halves[1]))};
}

static void secrets_derive(struct tcp *tcp)
{
	const struct siphash_key *secret = &tcp->options.secret;

	tcp->secrets = (struct tcp_secrets){
	    .table = key_derive(secret, 1),
	    .sequence = key_derive(secret, 2),
	    .timestamp = key_derive(secret, 3),
	    .cookie = key_derive(secret, 4),
	};
}

#define CONGESTION_CONTROL(name) &congestion_##name,

void tcp_create(struct tcp **ret_tcp, const struct tcp_options *options,
                const struct stream_user *user, struct block_pool *pool, struct memory *memory,
                uint64_t now_us)
{
	static const struct congestion_control *const controls[] = {
	    TCP_CONGESTION_CONTROLS(CONGESTION_CONTROL)};
	struct tcp *tcp = memory_take(memory, sizeof(*tcp));

	*tcp = (struct tcp){
	    .options = *options,
	    .congestion = controls[options->congestion],
	    .user = *user,
	    .pool = pool,
	    .flush_end = &tcp->flush_first,
	    .receive_shift = window_shift(options->receive_window_bytes),
	};
	secrets_derive(tcp);
	table_create(tcp, memory);
	flights_create(tcp, memory);
	half_opens_create(tcp, memory);
	lingers_create(tcp, memory);
	sources_create(tcp, memory);
	timer_wheel_create(&tcp->wheel, now_ms_from(now_us));
	*ret_tcp = tcp;
}

const struct tcp_counters *tcp_counters(const struct tcp *tcp)
{
	return &tcp->counters;
}

void connection_set_state(struct tcp_connection *connection, enum tcp_state state)
{
	struct tcp_counters *counters = &connection->tcp->counters;

	if (connection->state == TCP_FREE)
		counter_add(&counters->connections, 1);
	if (state == TCP_FREE)
		counter_subtract(&counters->connections, 1);
	connection->state = (uint8_t)state;
}

void connection_open(struct tcp_connection *connection, const struct handshake *agreed,
                     uint8_t receive_shift, uint32_t lost_count, uint64_t now_us)
{
	uint32_t mss = min_u32(agreed->mss, tcp_options_receive_mss(&connection->path));
	uint32_t first = agreed->iss + 1;

	connection->stream.ops = &tcp_stream_ops;
	chain_create(&connection->stream.out, connection->tcp->pool);
	connection->timestamps = agreed->timestamps;
	connection->sack_permitted = agreed->sack_permitted;
	connection->send_shift = agreed->send_shift;
	connection->receive_shift = receive_shift;
	/* the timestamp takes its bytes from every segment */
	connection->mss = (uint16_t)(mss - (agreed->timestamps ? TCP_TIMESTAMP_BYTES : 0));
	connection->mss_full = connection->mss;
	connection->snd_una = first;
	connection->snd_nxt = first;
	connection->recover = agreed->iss;
	connection->rtt_sequence = first;
	connection->flight.highest_arrived = first;
	connection->flight.rtt_us_min = UINT32_MAX;
	connection->rcv_nxt = agreed->irs + 1;
	connection->read_nxt = connection->rcv_nxt;
	connection->rcv_adv = connection->rcv_nxt + agreed->window;
	connection->last_ack_sent = connection->rcv_nxt;
	/* the segment that completes the handshake brings the window: it is newer than the SYN */
	connection->snd_wl1 = agreed->irs;
	connection->ts_offset = agreed->ts_offset;
	connection->ts_recent = agreed->ts_recent;
	heard_set(connection, now_us);
	connection->sent_ms = now_ms_from(now_us);
	/* RFC 6298 5.7 */
	connection->rto_ms = lost_count == 0 ? TCP_RTO_INITIAL_MS : TCP_RTO_SYN_LOST_MS;
	connection->reorder_factor = 1;
	/* RFC 6928 2 */
	connection->cwnd = lost_count > 1 ? connection->mss : congestion_initial_window(connection);
	connection->ssthresh = UINT32_MAX;
	connection->source = source_take(connection->tcp, &connection->path.remote);
	keepalive_arm(connection);
	connection_set_state(connection, TCP_ESTABLISHED);
	counter_add(&connection->tcp->counters.accepted, 1);
}

static void user_closed(struct tcp_connection *connection)
{
	struct tcp *tcp = connection->tcp;

	if (connection->open) {
		connection->open = false;
		tcp->user.closed(tcp->user.context, &connection->stream);
	}
	chain_clear(&connection->stream.out);
	connection->cursor.block = NULL;
	flight_clear(connection);
	queue_clear(connection);
}

static void flush_unlink(struct tcp_connection *connection)
{
	struct tcp *tcp = connection->tcp;
	struct tcp_connection **link = &tcp->flush_first;

	while (*link != connection)
		link = &(*link)->next_to_flush;
	*link = connection->next_to_flush;
	if (tcp->flush_end == &connection->next_to_flush)
		tcp->flush_end = link;
	connection->queued = false;
}

void connection_end(struct tcp_connection *connection)
{
	struct tcp *tcp = connection->tcp;

	user_closed(connection);
	if (connection->queued)
		flush_unlink(connection);
	timer_cancel(&tcp->wheel, &connection->timer);
	if (connection->close)
		counter_subtract(&tcp->counters.orphans, 1);
	source_give(tcp, connection->source);
	connection_set_state(connection, TCP_FREE);
	table_remove(tcp, connection);
}

void connection_linger(struct tcp_connection *connection, const struct tuple *tuple,
                       uint64_t now_us)
{
	/* the answer to the peer's FIN; lost, it is asked for again */
	if (connection->ack_now)
		output_ack(connection, now_us);
	linger_add(connection, tuple, now_us);
	connection_end(connection);
}

static void stream_push(struct stream *stream)
{
	connection_mark(connection_from(stream));
}

static void stream_close(struct stream *stream)
{
	struct tcp_connection *connection = connection_from(stream);

	if (!connection->close)
		counter_add(&connection->tcp->counters.orphans, 1);
	connection->close = true;
	/* nothing is received any more: what had come in order counts as read */
	queue_clear(connection);
	connection->read_nxt = connection->rcv_nxt;
	connection_mark(connection);
}

static void stream_abort(struct stream *stream)
{
	connection_from(stream)->abort = true;
	connection_mark(connection_from(stream));
}

static void stream_resume(struct stream *stream)
{
	connection_from(stream)->resume = true;
	connection_mark(connection_from(stream));
}

static void stream_describe(const struct stream *stream, struct stream_ends *ret_ends)
{
	const struct tcp_connection *connection = (const struct tcp_connection *)stream;

	*ret_ends = (struct stream_ends){
	    .id = (uint32_t)(connection - connection->tcp->connections),
	    .local = connection->path.local,
	    .remote = connection->path.remote,
	    .local_port = connection->local_port,
	    .remote_port = connection->remote_port,
	};
}

const struct stream_ops tcp_stream_ops = {
    .push = stream_push,
    .close = stream_close,
    .abort = stream_abort,
    .resume = stream_resume,
    .describe = stream_describe,
};

/* Tells the user that its peer is done, once it has taken all that the peer sent. */
static void tell_finished(struct tcp_connection *connection)
{
	struct tcp *tcp = connection->tcp;

	if (!connection->fin_received || connection->finished || connection->close ||
	    connection->abort || connection->read_nxt != connection->fin_sequence ||
	    connection->rcv_nxt == connection->fin_sequence)
		return;
	connection->finished = true;
	connection->read_nxt++;
	tcp->user.finished(tcp->user.context, &connection->stream);
}

static void connection_flush(struct tcp_connection *connection, uint64_t now_us)
{
	struct tcp *tcp = connection->tcp;

	if (connection->open && connection->drained) {
		connection->drained = false;
		tcp->user.drained(tcp->user.context, &connection->stream);
	}
	if (connection->open && connection->resume) {
		connection->resume = false;
		queue_deliver(connection);
		/* the window has opened by so much that the peer should know (RFC 9293 3.8.6.2.2)
		 */
		if (output_receive_window(connection) > connection->rcv_adv - connection->rcv_nxt)
			connection->ack_now = true;
	}
	if (connection->open)
		tell_finished(connection);
	if (connection->abort) {
		output_reset(connection, now_us);
		connection_end(connection);
		return;
	}
	if (connection->path.net->is_full) { /* one has found out; no need for all to */
		connection_mark(connection);
		return;
	}
	connection_output(connection, now_us);
}

void tcp_flush(struct tcp *tcp, uint64_t now_us)
{
	/* only those that are there now: one that marks itself again waits for the next flush */
	struct tcp_connection **end = tcp->flush_end;
	uint64_t budget_end = counter_read(&tcp->counters.segments_sent) + TCP_FLUSH_SEGMENTS;

	while (tcp->flush_first != NULL &&
	       counter_read(&tcp->counters.segments_sent) < budget_end) {
		struct tcp_connection *connection = tcp->flush_first;
		bool last = end == &connection->next_to_flush;

		tcp->flush_first = connection->next_to_flush;
		if (tcp->flush_first == NULL)
			tcp->flush_end = &tcp->flush_first;
		connection->queued = false;
		connection_flush(connection, now_us);
		if (last)
			return;
	}
}

void tcp_advance(struct tcp *tcp, uint64_t now_us)
{
	struct timer *timer;

	tcp->now_us = now_us;
	while ((timer = timer_expire(&tcp->wheel, now_ms_from(now_us))) != NULL) {
		size_t offset = offsetof(struct tcp_connection, timer);

		deadlines_run((struct tcp_connection *)((uint8_t *)timer - offset), now_us);
	}
	half_opens_advance(tcp, now_us);
	lingers_advance(tcp, now_us);
	tcp_flush(tcp, now_us);
}

uint64_t tcp_next_deadline_us(const struct tcp *tcp)
{
	static bool (*const next[])(const struct tcp *tcp, uint32_t *ret_ms) = {
	    timers_next_ms, half_opens_next_ms, lingers_next_ms};
	uint64_t next_us = UINT64_MAX;

	if (tcp->flush_first != NULL)
		return 0;
	for (size_t i = 0; i < sizeof(next) / sizeof(next[0]); i++) {
		uint32_t due_ms;

		/* of 64 bits, the clock's last known time tells the upper ones */
		if (next[i](tcp, &due_ms))
			next_us = min_u64(next_us, (tcp->now_us / 1000 +
			                            (int32_t)(due_ms - now_ms_from(tcp->now_us))) *
			                               1000);
	}
	return next_us;
}

static void connection_check(const struct tcp_connection *connection)
{
	const struct stream *stream = &connection->stream;
	uint32_t ranges = 0, blocks = 0;
	uint32_t expected = connection->read_nxt;
	struct tuple tuple = tuple_of(connection->tcp, &connection->path, connection->local_port,
	                              connection->remote_port);

	ASSERT(connection->magic == TCP_MAGIC);
	ASSERT(table_find(connection->tcp, &tuple) == connection);
	ASSERT(!seq_after(connection->snd_una, connection->snd_nxt));
	ASSERT(!seq_after(connection->read_nxt, connection->rcv_nxt));
	ASSERT(connection->state != TCP_FIN_WAIT_2 && connection->state != TCP_TIME_WAIT);
	ASSERT(connection->cwnd >= connection->mss);
	/* nothing is in flight that is not in `out`, the FIN aside */
	ASSERT(connection->snd_nxt - connection->snd_una <= stream->out.length + 1);
	flight_check(connection);
	/* nobody waits for ever: what is unacknowledged, or waits for a window, has a timer */
	ASSERT((connection->snd_una == connection->snd_nxt && stream->out.length == 0) ||
	       connection->deadlines_ms[DEADLINE_RETRANSMIT] != 0 || connection->queued);
	for (const struct block *block = connection->queue; block != NULL; block = block->next) {
		ASSERT(!seq_before(block->sequence, expected));
		ASSERT(block->length > 0);
		if (block->sequence != expected && seq_after(block->sequence, connection->rcv_nxt))
			ranges++;
		expected = block->sequence + block->length;
		blocks++;
	}
	ASSERT(blocks == connection->queue_block_count);
	ASSERT(ranges == connection->range_count);
}

void tcp_check(const struct tcp *tcp)
{
	uint64_t live = 0, queued = 0;

	for (uint32_t i = 0; i < tcp->used_count; i++) {
		if (tcp->connections[i].state == TCP_FREE)
			continue;
		live++;
		queued += tcp->connections[i].queue_block_count;
		connection_check(&tcp->connections[i]);
	}
	ASSERT(live == counter_read(&tcp->counters.connections));
	ASSERT(queued == tcp->queue_block_count);
	half_opens_check(tcp);
	lingers_check(tcp);
}
