/* SPDX-License-Identifier: Apache-2.0 */
/* Segments in: RFC 9293 3.10.7, in its order. */
#include "tcp/tcp_internal.h"

#define PAWS_IDLE_MAX_MS (24u * 24 * 3600 * 1000) /* RFC 7323 5.5 */

enum parse_verdict {
	SEGMENT_GOOD,
	SEGMENT_BAD_HEADER,
	SEGMENT_BAD_OPTIONS,
	SEGMENT_BAD_CHECKSUM,
};

static enum parse_verdict segment_parse(const struct net_input *input,
                                        struct tcp_segment *ret_segment)
{
	const uint8_t *tcp = input->l4;
	uint32_t header_bytes;

	if (input->l4_length < TCP_HEADER_BYTES)
		return SEGMENT_BAD_HEADER;
	header_bytes = (tcp[12] >> 4) * 4u;
	if (header_bytes < TCP_HEADER_BYTES || header_bytes > input->l4_length)
		return SEGMENT_BAD_HEADER;
	if (!net_input_checksum_ok(input, IP_PROTOCOL_TCP, input->l4_length))
		return SEGMENT_BAD_CHECKSUM;
	*ret_segment = (struct tcp_segment){
	    .seq = load_be32(tcp + 4),
	    .ack = load_be32(tcp + 8),
	    .window = load_be16(tcp + 14),
	    .flags = tcp[13],
	    .source_port = load_be16(tcp),
	    .destination_port = load_be16(tcp + 2),
	    .payload = tcp + header_bytes,
	    .length = input->l4_length - header_bytes,
	};
	if ((tcp[13] & TCP_FLAG_SYN) && (tcp[13] & TCP_FLAG_RST))
		return SEGMENT_BAD_HEADER;
	if (!tcp_options_parse(tcp + TCP_HEADER_BYTES, header_bytes - TCP_HEADER_BYTES,
	                       ret_segment))
		return SEGMENT_BAD_OPTIONS;
	return SEGMENT_GOOD;
}

/* Bytes, and perhaps our FIN, were acknowledged for the first time: snd_una has moved on. */
static void ack_new(struct tcp_connection *connection, uint32_t acked, uint64_t now_us)
{
	uint32_t data = (uint32_t)min_u64(acked, connection->stream.out.length);
	bool fin_acked = acked > connection->stream.out.length;
	uint32_t now_ms = now_ms_from(now_us);

	chain_drop_front(&connection->stream.out, data);
	/* the cursor's block may be gone */
	if (connection->cursor.block == NULL || connection->snd_nxt == connection->snd_una)
		connection->cursor = chain_seek(&connection->stream.out,
		                                min_u64(connection->snd_nxt - connection->snd_una,
		                                        connection->stream.out.length));
	connection->retransmit_count = 0;
	connection->progress_ms = now_ms;
	connection->probe_answered = true;
	connection->drained = connection->drained || data > 0;
	if (connection->snd_una == connection->snd_nxt)
		deadline_clear(connection, DEADLINE_RETRANSMIT);
	else
		retransmit_arm(connection, now_us);
	connection_mark(connection);
	if (!fin_acked)
		return;
	switch (connection->state) {
	case TCP_FIN_WAIT_1: connection_set_state(connection, TCP_FIN_WAIT_2); break;
	case TCP_CLOSING: connection_set_state(connection, TCP_TIME_WAIT); break;
	case TCP_LAST_ACK: connection_end(connection); break;
	}
}

/* RFC 9293 3.10.7.4, and also when the acknowledgement is new: data that comes again carries an old
 * sequence number, and the window left from before would reach too far beyond it. */
static void window_update(struct tcp_connection *connection, const struct tcp_segment *segment,
                          uint64_t now_us)
{
	uint32_t window = segment->window << connection->send_shift;

	if (!seq_after(segment->ack, connection->snd_una) &&
	    !seq_after(segment->seq, connection->snd_wl1) &&
	    !(segment->seq == connection->snd_wl1 &&
	      !seq_before(segment->ack, connection->snd_wl2)))
		return;
	if (window > connection->snd_wnd)
		connection_mark(connection);
	/* a window that opens while we probe: go on at once, not at the next probe. What was sent
	 * into the closed one was not taken. */
	if (connection->snd_wnd == 0 && window > 0) {
		deadline_clear(connection, DEADLINE_RETRANSMIT);
		rtt_rto_reset(connection);
		flight_lose_all(connection, 0, now_us);
		connection_mark(connection);
	}
	connection->snd_wnd = window;
	connection->snd_wl1 = segment->seq;
	connection->snd_wl2 = segment->ack;
	connection->snd_wnd_max = max_u32(connection->snd_wnd_max, window);
}

/* RFC 5681 2: no data, no news of the window, something is in flight. */
static bool is_duplicate_ack(const struct tcp_connection *connection,
                             const struct tcp_segment *segment)
{
	return segment->ack == connection->snd_una && segment->length == 0 &&
	       !(segment->flags & TCP_FLAG_FIN) && connection->snd_una != connection->snd_nxt &&
	       segment->window << connection->send_shift == connection->snd_wnd;
}

/* False: the segment is not looked at any further. */
static bool ack_input(struct tcp_connection *connection, const struct tcp_segment *segment,
                      uint64_t now_us)
{
	bool duplicate = is_duplicate_ack(connection, segment);
	uint32_t acked = segment->ack - connection->snd_una;

	/* RFC 5961 5.2: neither what was never sent, nor what is older than any window */
	if (seq_after(segment->ack, connection->snd_nxt)) {
		counter_add(&connection->tcp->counters.bad_ack, 1);
		output_challenge_ack(connection, now_us);
		return false;
	}
	if (seq_before(segment->ack, connection->snd_una - connection->snd_wnd_max)) {
		counter_add(&connection->tcp->counters.old_ack, 1);
		output_challenge_ack(connection, now_us);
		return false;
	}
	if (seq_before(segment->ack, connection->snd_una))
		return true; /* old, reordered */
	if (segment->ack == connection->snd_una && connection->snd_wnd == 0 &&
	    connection->snd_una != connection->snd_nxt) {
		/* alive, only closed; but we wait for ever only while somebody still uses it */
		if (!connection->close) {
			connection->progress_ms = now_ms_from(now_us);
			connection->probe_answered = true;
		}
		duplicate = false;
	}
	if (duplicate)
		counter_add(&connection->tcp->counters.duplicate_acks, 1);
	window_update(connection, segment, now_us);
	recovery_acknowledged(connection, segment, duplicate, now_us);
	if (duplicate || segment->sack_count > 0)
		connection_mark(connection);
	if (acked > 0)
		ack_new(connection, acked, now_us);
	if (connection->state == TCP_FREE)
		return false;
	recovery_probe_arm(connection, now_us);
	return true;
}

static void data_discard(struct tcp_connection *connection, uint32_t end)
{
	counter_add(&connection->tcp->counters.after_close, 1);
	if (seq_after(end, connection->rcv_nxt))
		connection->rcv_nxt = end;
	connection->read_nxt = connection->rcv_nxt;
	connection->ack_now = true;
	connection_mark(connection);
}

/* RFC 9293 3.8.6.3: a full segment, or two of them in smaller pieces, is acknowledged at the end of
 * the burst, with all that came beside it; the rest goes along with the reply, or within 40 ms. */
static void ack_soon(struct tcp_connection *connection, uint32_t length)
{
	connection->peer_mss = (uint16_t)max_u32(connection->peer_mss, length);
	if ((length == connection->peer_mss && length >= TCP_MSS_MIN - TCP_TIMESTAMP_BYTES) ||
	    connection->rcv_nxt - connection->last_ack_sent >=
	        2 * max_u32(connection->peer_mss, TCP_MSS_MIN))
		connection->ack_now = true;
	else
		connection->ack_later = true;
	connection_mark(connection);
}

/* The next acknowledgement tells the sender that this has come twice (RFC 2883 4). */
static void duplicate_note(struct tcp_connection *connection, uint32_t begin, uint32_t end)
{
	counter_add(&connection->tcp->counters.duplicate_data, 1);
	connection->duplicate_known = connection->sack_permitted;
	connection->duplicate = (struct sack_block){begin, end};
	connection->ack_now = true;
	connection_mark(connection);
}

/* What is dropped is not acknowledged, so it comes again. */
static void queue_add_counted(struct tcp_connection *connection, uint32_t seq, const uint8_t *data,
                              uint32_t length)
{
	struct tcp_counters *counters = &connection->tcp->counters;

	switch (queue_add(connection, seq, data, length)) {
	case QUEUE_TAKEN: break;
	case QUEUE_HAD_IT: duplicate_note(connection, seq, seq + length); break;
	case QUEUE_OVER_LIMIT: counter_add(&counters->receive_over_limit, 1); break;
	case QUEUE_NO_MEMORY: counter_add(&counters->receive_no_memory, 1); break;
	}
}

static void data_in_order(struct tcp_connection *connection, const uint8_t *data, uint32_t length)
{
	struct tcp *tcp = connection->tcp;
	uint32_t seq = connection->rcv_nxt;
	uint32_t taken = tcp->user.received(tcp->user.context, &connection->stream, data, length);

	ASSERT(taken <= length);
	if (connection->close || taken == length) {
		connection->rcv_nxt = seq + length;
		connection->read_nxt = connection->rcv_nxt;
		return;
	}
	connection->rcv_nxt = seq + taken;
	connection->read_nxt = connection->rcv_nxt;
	queue_add_counted(connection, seq + taken, data + taken, length - taken);
}

static void data_input(struct tcp_connection *connection, const struct tcp_segment *segment)
{
	struct tcp *tcp = connection->tcp;
	uint32_t skipped =
	    seq_before(segment->seq, connection->rcv_nxt) ? connection->rcv_nxt - segment->seq : 0;
	const uint8_t *data = segment->payload + skipped;
	uint32_t seq = segment->seq + skipped;
	uint32_t length = segment->length - skipped;

	if (segment->length == 0)
		return;
	if (skipped >= segment->length) {
		duplicate_note(connection, segment->seq, segment->seq + segment->length);
		return;
	}
	if (skipped > 0 && connection->sack_permitted)
		duplicate_note(connection, segment->seq, connection->rcv_nxt);
	length = min_u32(length, connection->rcv_adv - seq);
	/* behind the FIN there is nothing */
	if (connection->fin_received) {
		if (!seq_before(seq, connection->fin_sequence)) {
			counter_add(&tcp->counters.beyond_fin, 1);
			return;
		}
		length = min_u32(length, connection->fin_sequence - seq);
	}
	if (connection->close || connection->abort) {
		if (seq == connection->rcv_nxt)
			data_discard(connection, seq + length);
		connection->ack_now = true; /* ahead of a gap too (RFC 5681 4.2) */
		connection_mark(connection);
		return;
	}
	if (seq == connection->rcv_nxt && connection->queue == NULL) {
		data_in_order(connection, data, length);
		ack_soon(connection, segment->length);
		return;
	}
	/* a gap, or the filling of one: the sender learns of it at once (RFC 5681 4.2) */
	connection->ack_now = true;
	connection_mark(connection);
	if (seq != connection->rcv_nxt) {
		counter_add(&tcp->counters.out_of_order, 1);
		connection->newest_sequence = seq;
	} else if (connection->read_nxt == connection->rcv_nxt) {
		/* up to what is held already it needs no block */
		uint32_t missing = min_u32(length, connection->queue->sequence - seq);

		data_in_order(connection, data, missing);
		queue_reached(connection);
		seq += missing;
		data += missing;
		length -= missing;
	}
	if (length > 0 && !connection->close && !connection->abort)
		queue_add_counted(connection, seq, data, length);
	queue_deliver(connection);
}

static void fin_input(struct tcp_connection *connection, const struct tcp_segment *segment)
{
	uint32_t sequence = segment->seq + segment->length;
	bool noted = (segment->flags & TCP_FLAG_FIN) && !connection->fin_received &&
	             !seq_after(sequence, connection->rcv_adv);

	if (noted && seq_before(sequence, queue_end(connection))) {
		/* in front of data that is there: who has sent that is no peer of ours */
		counter_add(&connection->tcp->counters.beyond_fin, 1);
	} else if (noted) {
		connection->fin_received = true;
		connection->fin_sequence = sequence;
		/* ahead of a gap too (RFC 5681 4.2) */
		connection->ack_now = true;
		connection_mark(connection);
	}
	if (!connection->fin_received || connection->rcv_nxt != connection->fin_sequence ||
	    !state_receives(connection->state))
		return;
	connection->rcv_nxt++;
	if (connection->close)
		connection->read_nxt = connection->rcv_nxt;
	connection->ack_now = true;
	connection_mark(connection);
	switch (connection->state) {
	case TCP_ESTABLISHED: connection_set_state(connection, TCP_CLOSE_WAIT); break;
	case TCP_FIN_WAIT_1: connection_set_state(connection, TCP_CLOSING); break;
	case TCP_FIN_WAIT_2: connection_set_state(connection, TCP_TIME_WAIT); break;
	}
}

/* RFC 7323 5.3 R1. False: an old duplicate. */
static bool paws_ok(struct tcp_connection *connection, const struct tcp_segment *segment,
                    uint64_t now_us)
{
	if (!connection->timestamps || (segment->flags & TCP_FLAG_RST))
		return true;
	/* RFC 7323 3.2: agreed on, so it must be there; but who has restarted may know none */
	if (!segment->has_timestamp)
		return (segment->flags & TCP_FLAG_SYN) != 0;
	if (!seq_before(segment->ts_value, connection->ts_recent) ||
	    heard_ms_ago(connection, now_us) > PAWS_IDLE_MAX_MS)
		return true;
	return false;
}

/* RFC 9293 3.10.7.4, first: some part of the segment is in the window. */
static bool in_window(const struct tcp_connection *connection, const struct tcp_segment *segment)
{
	uint32_t length = segment->length + ((segment->flags & TCP_FLAG_FIN) != 0) +
	                  ((segment->flags & TCP_FLAG_SYN) != 0);
	uint32_t window = connection->rcv_adv - connection->rcv_nxt;

	/* the right edge too: where a sender stands that has filled the window */
	if (length == 0)
		return segment->seq - connection->rcv_nxt <= window;
	return window > 0 && (segment->seq - connection->rcv_nxt < window ||
	                      segment->seq + length - 1 - connection->rcv_nxt < window);
}

/* What takes no sequence number is answered within limits: two ends that both find the other's ACK
 * unacceptable would go on for ever. */
static void acknowledge_unacceptable(struct tcp_connection *connection,
                                     const struct tcp_segment *segment, uint64_t now_us)
{
	if (segment->length == 0 && !(segment->flags & TCP_FLAG_FIN)) {
		output_challenge_ack(connection, now_us);
		return;
	}
	connection->ack_now = true;
	connection_mark(connection);
}

/* Outside the window. True: its acknowledgement counts nevertheless, as when the window is closed
 * (RFC 9293 3.10.7.4). */
static bool unacceptable_input(struct tcp_connection *connection, const struct tcp_segment *segment,
                               uint64_t now_us)
{
	struct tcp *tcp = connection->tcp;

	counter_add(&tcp->counters.out_of_window, 1);
	acknowledge_unacceptable(connection, segment, now_us);
	/* not what is only far away */
	if (segment->length > 0 &&
	    !seq_after(segment->seq + segment->length, connection->rcv_nxt) &&
	    connection->rcv_nxt - segment->seq <= tcp->options.receive_window_bytes)
		duplicate_note(connection, segment->seq, segment->seq + segment->length);
	return segment->seq == connection->rcv_nxt;
}

static void reset_input(struct tcp_connection *connection, const struct tcp_segment *segment,
                        uint64_t now_us)
{
	struct tcp_counters *counters = &connection->tcp->counters;

	if (segment->seq == connection->rcv_nxt) {
		counter_add(&counters->resets_received, 1);
		connection_end(connection);
	} else if (segment->seq - connection->rcv_nxt <
	           connection->rcv_adv - connection->rcv_nxt) { /* RFC 5961 3.2 */
		output_challenge_ack(connection, now_us);
	} else {
		counter_add(&counters->out_of_window, 1);
	}
}

void connection_input(struct tcp_connection *connection, const struct tuple *tuple,
                      const struct tcp_segment *segment, uint64_t now_us)
{
	bool acceptable = in_window(connection, segment);

	if (!paws_ok(connection, segment, now_us)) {
		counter_add(&connection->tcp->counters.old_timestamp, 1);
		if (segment->has_timestamp)
			acknowledge_unacceptable(connection, segment, now_us);
		return;
	}
	if (segment->flags & TCP_FLAG_RST) {
		reset_input(connection, segment, now_us);
		return;
	}
	if (segment->flags & TCP_FLAG_SYN) {
		output_challenge_ack(connection, now_us); /* RFC 5961 4.2 */
		return;
	}
	if (!acceptable && !unacceptable_input(connection, segment, now_us))
		return;
	if (!(segment->flags & TCP_FLAG_ACK)) {
		counter_add(&connection->tcp->counters.bad_header, 1);
		return;
	}
	if (!ack_input(connection, segment, now_us))
		return;
	/* RFC 7323 4.3 (2); not of a segment whose acknowledgement tells that it is forged */
	if (!connection->timestamps || !seq_after(segment->seq, connection->last_ack_sent)) {
		connection->ts_recent = segment->ts_value;
		heard_set(connection, now_us);
	}
	/* the sender may have moved: answer to where the newest valid segment came from */
	memcpy(connection->path.peer_mac, tuple->path->peer_mac, 6);
	if (acceptable && state_receives(connection->state)) {
		data_input(connection, segment);
		fin_input(connection, segment);
	} else if (acceptable && (segment->length > 0 || (segment->flags & TCP_FLAG_FIN))) {
		connection->ack_now = true;
		connection_mark(connection);
	}
	if (connection->state == TCP_FIN_WAIT_2 || connection->state == TCP_TIME_WAIT)
		connection_linger(connection, tuple, now_us);
}

/* What is no connection: half open, lingering, or nothing yet. */
static void other_input(struct tcp *tcp, const struct tuple *tuple,
                        const struct tcp_segment *segment, uint64_t now_us)
{
	struct half_open *half_open = half_open_find(tcp, tuple);
	struct linger *linger;

	if (half_open != NULL) {
		half_open_input(tcp, half_open, tuple, segment, now_us);
		return;
	}
	linger = linger_find(tcp, tuple);
	if (linger == NULL)
		listen_input(tcp, tuple, segment, NULL, now_us);
	else if (linger_input(tcp, linger, tuple, segment, now_us))
		listen_input(tcp, tuple, segment, &linger->snd_nxt, now_us);
}

void tcp_input(struct tcp *tcp, const struct net_input *input, uint64_t now_us)
{
	struct tcp_connection *connection;
	struct tcp_segment segment;
	struct tuple tuple;

	counter_add(&tcp->counters.segments_received, 1);
	switch (segment_parse(input, &segment)) {
	case SEGMENT_GOOD: break;
	case SEGMENT_BAD_HEADER: counter_add(&tcp->counters.bad_header, 1); return;
	case SEGMENT_BAD_OPTIONS: counter_add(&tcp->counters.bad_options, 1); return;
	case SEGMENT_BAD_CHECKSUM: counter_add(&tcp->counters.bad_checksum, 1); return;
	}
	if (input->flow != 0)
		tuple = (struct tuple){&input->path, segment.destination_port, segment.source_port,
		                       input->flow};
	else
		tuple = tuple_of(tcp, &input->path, segment.destination_port, segment.source_port);
	connection = table_find(tcp, &tuple);
	if (connection != NULL)
		connection_input(connection, &tuple, &segment, now_us);
	else
		other_input(tcp, &tuple, &segment, now_us);
}
