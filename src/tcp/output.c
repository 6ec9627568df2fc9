/* SPDX-License-Identifier: Apache-2.0 */
#include "tcp/tcp_internal.h"

void connection_mark(struct tcp_connection *connection)
{
	struct tcp *tcp = connection->tcp;

	if (connection->queued)
		return;
	connection->queued = true;
	connection->next_to_flush = NULL;
	*tcp->flush_end = connection;
	tcp->flush_end = &connection->next_to_flush;
}

/* What a connection may have under way to us. In-order bytes are consumed at once, so most of it
 * never needs a block; as blocks get scarce all connections are held back, long before the last one
 * is gone (a dynamic threshold, Choudhury and Hahne 1998). */
uint32_t output_receive_cap(const struct tcp *tcp)
{
	uint64_t share = (uint64_t)tcp->pool->free_count * BLOCK_CAPACITY / TCP_RECEIVE_SHARE;

	return (uint32_t)min_u64(max_u64(share, TCP_RECEIVE_BYTES_MIN),
	                         tcp->options.receive_window_bytes);
}

/* The right edge is only ever moved forward, and not by dribbles (RFC 9293 3.8.6.2.2). */
uint32_t output_receive_window(const struct tcp_connection *connection)
{
	uint32_t cap = min_u32(output_receive_cap(connection->tcp),
	                       (uint32_t)UINT16_MAX << connection->receive_shift);
	uint32_t pending = connection->rcv_nxt - connection->read_nxt;
	uint32_t window = pending < cap ? cap - pending : 0;
	uint32_t offered = seq_after(connection->rcv_adv, connection->rcv_nxt)
	                       ? connection->rcv_adv - connection->rcv_nxt
	                       : 0;
	uint32_t step = min_u32(cap / 2, connection->mss);

	return window >= offered + step ? window : offered;
}

/* How many segments carry so many bytes, perhaps none. */
static uint32_t segments_of(const struct tcp_connection *connection, uint32_t length)
{
	return length <= connection->mss ? 1 : (length + connection->mss - 1) / connection->mss;
}

/* A segment in the making: the headers' place in a packet, options written. */
struct outgoing {
	struct packet packet;
	uint8_t *header;
	uint32_t header_bytes; /* options included */
};

static bool outgoing_begin(struct tcp_connection *connection, uint32_t now_ms,
                           struct outgoing *ret_outgoing)
{
	uint8_t *header =
	    net_packet_begin(&connection->path, IP_PROTOCOL_TCP, &ret_outgoing->packet);

	if (header == NULL)
		return false;
	ret_outgoing->header = header;
	ret_outgoing->header_bytes =
	    TCP_HEADER_BYTES + tcp_options_write(connection, header + TCP_HEADER_BYTES, now_ms);
	return true;
}

static void header_write(uint8_t *header, uint16_t source_port, uint16_t destination_port,
                         uint32_t seq, uint32_t ack, uint32_t header_bytes, uint8_t flags,
                         uint16_t window)
{
	store_be32(header, (uint32_t)source_port << 16 | destination_port);
	store_be32(header + 4, seq);
	store_be32(header + 8, ack);
	store_be32(header + 12, header_bytes / 4 << 28 | (uint32_t)flags << 16 | window);
	store_be32(header + 16, 0);
}

static void outgoing_send(struct tcp_connection *connection, struct outgoing *outgoing,
                          uint32_t seq, uint32_t length, uint8_t flags)
{
	uint32_t shift = connection->receive_shift;
	uint32_t window = output_receive_window(connection);
	/* rounding down may take back less than one unit, which RFC 7323 2.4 allows; rounding up
	 * would offer what cannot be kept */
	uint32_t scaled = min_u32(window >> shift, UINT16_MAX);
	uint32_t edge = connection->rcv_nxt + (scaled << shift);

	header_write(outgoing->header, connection->local_port, connection->remote_port, seq,
	             connection->rcv_nxt, outgoing->header_bytes, flags, (uint16_t)scaled);
	net_packet_finish(&connection->path, IP_PROTOCOL_TCP, &outgoing->packet,
	                  (uint16_t)(outgoing->header_bytes + length), TCP_CHECKSUM_OFFSET);
	if (seq_after(edge, connection->rcv_adv))
		connection->rcv_adv = edge;
	connection->last_ack_sent = connection->rcv_nxt;
	connection->ack_now = false;
	connection->ack_later = false;
	deadline_clear(connection, DEADLINE_DELAYED_ACK);
	counter_add(&connection->tcp->counters.segments_sent, segments_of(connection, length));
}

/* Where a segment without data stands: not behind the peer's window, into which a probe may have
 * gone, or it would be dropped there (RFC 9293 3.10.7.4). */
static uint32_t acceptable_sequence(const struct tcp_connection *connection)
{
	uint32_t window_end = connection->snd_una + connection->snd_wnd;

	return seq_before(window_end, connection->snd_nxt) ? window_end : connection->snd_nxt;
}

void output_ack(struct tcp_connection *connection, uint64_t now_us)
{
	struct outgoing outgoing;

	if (!outgoing_begin(connection, now_ms_from(now_us), &outgoing)) {
		connection_mark(connection); /* try again with the next flush */
		return;
	}
	outgoing.header_bytes += tcp_options_write_sack(
	    connection, outgoing.header + outgoing.header_bytes,
	    TCP_HEADER_BYTES + TCP_OPTIONS_BYTES_MAX - outgoing.header_bytes);
	connection->duplicate_known = false;
	outgoing_send(connection, &outgoing, acceptable_sequence(connection), 0, TCP_FLAG_ACK);
}

static void fin_sent(struct tcp_connection *connection)
{
	if (connection->state == TCP_ESTABLISHED)
		connection_set_state(connection, TCP_FIN_WAIT_1);
	else if (connection->state == TCP_CLOSE_WAIT)
		connection_set_state(connection, TCP_LAST_ACK);
}

/* What goes into one segment, or into one packet that the device cuts into segments. */
struct extent {
	uint32_t seq;
	uint32_t length; /* bytes of data */
	bool fin;
};

/* Sequence number behind the last byte of `out`; the FIN's. */
static uint32_t data_end(const struct tcp_connection *connection)
{
	return connection->snd_una + (uint32_t)connection->stream.out.length;
}

/* False: there is no packet memory now; the next flush tries again. */
static bool extent_send(struct tcp_connection *connection, const struct extent *extent,
                        struct chain_cursor *cursor, uint64_t now_us)
{
	uint32_t first = min_u32(extent->length, connection->mss);
	uint8_t flags = TCP_FLAG_ACK;
	struct outgoing outgoing;
	uint32_t room;

	if (!outgoing_begin(connection, now_ms_from(now_us), &outgoing)) {
		connection_mark(connection);
		return false;
	}
	/* RFC 2018 4: in every acknowledgement, where there is room beside the data */
	room = min_u32(TCP_HEADER_BYTES + TCP_OPTIONS_BYTES_MAX - outgoing.header_bytes,
	               connection->mss - first);
	if (connection->range_count > 0 && !connection->duplicate_known && room >= 12)
		outgoing.header_bytes += tcp_options_write_sack(
		    connection, outgoing.header + outgoing.header_bytes, room);
	if (!net_packet_append(&connection->path, &outgoing.packet,
	                       outgoing.header + outgoing.header_bytes, &connection->stream.out,
	                       cursor, extent->length)) {
		connection_mark(connection);
		return false;
	}
	if (extent->length > first)
		outgoing.packet.segment_bytes = connection->mss;
	if (extent->seq + extent->length == data_end(connection))
		flags |= TCP_FLAG_PSH;
	if (extent->fin)
		flags |= TCP_FLAG_FIN;
	outgoing_send(connection, &outgoing, extent->seq, extent->length, flags);
	/* RFC 6298 5.1 */
	if (connection->deadlines_ms[DEADLINE_RETRANSMIT] == 0 ||
	    extent->seq == connection->snd_una)
		retransmit_arm(connection, now_us);
	return true;
}

static bool extent_send_new(struct tcp_connection *connection, const struct extent *extent,
                            uint64_t now_us)
{
	uint32_t end = extent->seq + extent->length + extent->fin;

	if (connection->snd_una == connection->snd_nxt)
		connection->progress_ms = now_ms_from(now_us);
	if (!extent_send(connection, extent, &connection->cursor, now_us))
		return false;
	flight_sent(connection, end, now_us);
	connection->snd_nxt = end;
	connection->sent_ms = now_ms_from(now_us);
	if (extent->fin)
		fin_sent(connection);
	return true;
}

static bool extent_send_again(struct tcp_connection *connection, const struct extent *extent,
                              uint64_t now_us)
{
	struct chain_cursor cursor =
	    chain_seek(&connection->stream.out, extent->seq - connection->snd_una);

	if (!extent_send(connection, extent, &cursor, now_us))
		return false;
	flight_sent_again(connection, extent->seq, extent->length + extent->fin, now_us);
	connection->sent_ms = now_ms_from(now_us);
	counter_add(&connection->tcp->counters.retransmitted, 1);
	return true;
}

/* Of `count` sequence numbers from seq on that were sent before, what fits one segment. */
static struct extent extent_again(const struct tcp_connection *connection, uint32_t seq,
                                  uint32_t count)
{
	struct extent extent = {.seq = seq};

	extent.length = min_u32(min_u32(count, connection->mss), data_end(connection) - seq);
	extent.fin = extent.length < count && seq + extent.length == data_end(connection);
	return extent;
}

/* New data as far as the peer's window goes, at most `most` bytes; and the FIN. More than one
 * segment are whole ones, save for the last of all data. */
static struct extent extent_new(const struct tcp_connection *connection, uint32_t most)
{
	uint32_t in_flight = connection->snd_nxt - connection->snd_una;
	uint32_t unsent = (uint32_t)connection->stream.out.length - in_flight;
	uint32_t wanted = min_u32(unsent, connection->mss);
	struct extent extent = {.seq = connection->snd_nxt};

	if (in_flight > connection->stream.out.length) /* all is sent, and the FIN */
		return extent;
	most = min_u32(most, connection->snd_wnd > in_flight ? connection->snd_wnd - in_flight : 0);
	extent.length = min_u32(unsent, most);
	if (extent.length > connection->mss && extent.length < unsent)
		extent.length = extent.length / connection->mss * connection->mss;
	/* RFC 9293 3.8.6.2.1: no silly windows. With nothing in flight the persist timer sends it
	 * in the end. */
	if (extent.length < wanted && extent.length < connection->snd_wnd_max / 2)
		extent.length = 0;
	/* the FIN takes a place in the window too; alone it is a legal probe */
	extent.fin = connection->close && extent.length == unsent &&
	             (in_flight + unsent < connection->snd_wnd || in_flight + unsent == 0);
	return extent;
}

/* RFC 5681 4.1: what was learnt of the network is worth nothing after a pause. */
static void restart_after_idle(struct tcp_connection *connection, uint64_t now_us)
{
	if (connection->snd_una == connection->snd_nxt &&
	    now_ms_from(now_us) - connection->sent_ms > connection->rto_ms) {
		connection->cwnd = min_u32(connection->cwnd, congestion_initial_window(connection));
		connection->cwnd_limited = false;
		connection->cubic_epoch_known = false; /* RFC 9438 4.2 */
	}
}

/* These two send one extent and return of how many segments; 0: nothing is to be sent. */

static uint32_t output_new(struct tcp_connection *connection, uint64_t now_us)
{
	uint32_t in_flight = connection->snd_nxt - connection->snd_una;
	uint32_t pipe, room, most;
	struct extent extent;

	/* all is sent, and there is no FIN to come: what nearly every reply ends with */
	if (in_flight > connection->stream.out.length ||
	    (in_flight == connection->stream.out.length && !connection->close))
		return 0;
	pipe = recovery_pipe(connection);
	room = connection->cwnd > pipe ? connection->cwnd - pipe : 0;
	most = max_u32(net_path_large_bytes(&connection->path), connection->mss);
	extent = extent_new(connection, min_u32(room, most));
	if (room < connection->mss &&
	    extent_new(connection, connection->mss).length > extent.length)
		connection->cwnd_limited = true;
	if ((extent.length == 0 && !extent.fin) || !flight_takes(connection) ||
	    !extent_send_new(connection, &extent, now_us))
		return 0;
	return segments_of(connection, extent.length);
}

/* RFC 6675 4, NextSeg() (1): the first that is lost goes before anything new. */
static uint32_t output_lost(struct tcp_connection *connection, uint64_t now_us)
{
	uint32_t pipe = recovery_pipe(connection);
	uint32_t window_end = connection->snd_una + connection->snd_wnd;
	struct extent extent;
	uint32_t seq, count;

	if (!flight_first_lost(connection, &seq, &count) || !seq_before(seq, window_end))
		return 0;
	extent = extent_again(connection, seq, min_u32(count, window_end - seq));
	if (pipe > 0 && pipe + extent.length > connection->cwnd && !connection->retransmit_owed) {
		connection->cwnd_limited = true;
		return 0;
	}
	if (!extent_send_again(connection, &extent, now_us))
		return 0;
	connection->retransmit_owed = false;
	return 1;
}

void connection_output(struct tcp_connection *connection, uint64_t now_us)
{
	uint32_t total = 0, sent;

	if (connection->mss < connection->mss_full)
		path_mtu_raise(connection, now_us);
	restart_after_idle(connection, now_us);
	/* a duplicate acknowledgement is one without data (RFC 5681 2), and has room for SACK */
	if (connection->ack_now && (connection->range_count > 0 || connection->duplicate_known))
		output_ack(connection, now_us);
	do {
		sent = connection->flight.lost_bytes > 0 ? output_lost(connection, now_us)
		                                         : output_new(connection, now_us);
		total += sent;
	} while (sent > 0 && total < TCP_QUANTUM_SEGMENTS);
	if (sent > 0)
		connection_mark(connection); /* the others first */
	if (total > 0)
		recovery_probe_arm(connection, now_us);
	if (connection->ack_now)
		output_ack(connection, now_us);
	if (connection->ack_later && connection->deadlines_ms[DEADLINE_DELAYED_ACK] == 0)
		deadline_set(connection, DEADLINE_DELAYED_ACK,
		             now_ms_from(now_us) + TCP_DELAYED_ACK_MS);
	connection->ack_later = false;
	/* what waits for the peer's window is probed for (RFC 9293 3.8.6.1) */
	if (connection->deadlines_ms[DEADLINE_RETRANSMIT] == 0 &&
	    (connection->stream.out.length > 0 || connection->snd_una != connection->snd_nxt)) {
		if (connection->snd_una == connection->snd_nxt)
			connection->progress_ms = now_ms_from(now_us);
		retransmit_arm(connection, now_us);
	}
}

bool output_tail_probe(struct tcp_connection *connection, uint64_t now_us, bool *ret_again)
{
	uint32_t in_flight = connection->snd_nxt - connection->snd_una;
	uint32_t last = min_u32(in_flight, connection->mss);
	struct extent extent = extent_new(connection, connection->mss);

	*ret_again = (extent.length == 0 && !extent.fin) || !flight_takes(connection);
	if (!*ret_again)
		return extent_send_new(connection, &extent, now_us);
	extent = extent_again(connection, connection->snd_nxt - last, last);
	return extent_send_again(connection, &extent, now_us);
}

void output_window_probe(struct tcp_connection *connection, uint64_t now_us)
{
	uint32_t in_flight = connection->snd_nxt - connection->snd_una;
	/* one byte beyond the window; when the window is open by now, what fits */
	uint32_t most = max_u32(min_u32(connection->snd_wnd, connection->mss), 1);
	struct extent extent = {.seq = connection->snd_una};
	bool sent;

	if (in_flight > 0) {
		extent = extent_again(connection, connection->snd_una, min_u32(most, in_flight));
		sent = extent_send_again(connection, &extent, now_us);
	} else {
		extent.length = min_u32(most, (uint32_t)connection->stream.out.length);
		extent.fin = connection->close && extent.length < most &&
		             extent.length == connection->stream.out.length;
		sent = extent_send_new(connection, &extent, now_us);
	}
	if (!sent)
		return;
	connection->probe_answered = false;
	counter_add(&connection->tcp->counters.window_probes, 1);
}

void output_keepalive(struct tcp_connection *connection, uint64_t now_us)
{
	struct outgoing outgoing;

	if (!outgoing_begin(connection, now_ms_from(now_us), &outgoing))
		return;
	outgoing_send(connection, &outgoing, connection->snd_nxt - 1, 0, TCP_FLAG_ACK);
	counter_add(&connection->tcp->counters.keepalive_probes, 1);
}

void output_reset(struct tcp_connection *connection, uint64_t now_us)
{
	struct outgoing outgoing;

	if (!outgoing_begin(connection, now_ms_from(now_us), &outgoing))
		return;
	outgoing_send(connection, &outgoing, acceptable_sequence(connection), 0,
	              TCP_FLAG_RST | TCP_FLAG_ACK);
	counter_add(&connection->tcp->counters.resets_sent, 1);
}

bool output_bare(struct tcp *tcp, const struct tuple *tuple, const struct bare_segment *bare)
{
	uint32_t header_bytes = TCP_HEADER_BYTES + bare->option_bytes;
	struct packet packet;
	uint8_t *header = net_packet_begin(tuple->path, IP_PROTOCOL_TCP, &packet);

	if (header == NULL)
		return false;
	header_write(header, tuple->local_port, tuple->remote_port, bare->seq, bare->ack,
	             header_bytes, bare->flags, bare->window);
	memcpy(header + TCP_HEADER_BYTES, bare->options, bare->option_bytes);
	net_packet_finish(tuple->path, IP_PROTOCOL_TCP, &packet, (uint16_t)header_bytes,
	                  TCP_CHECKSUM_OFFSET);
	counter_add(&tcp->counters.segments_sent, 1);
	return true;
}

void output_reset_for(struct tcp *tcp, const struct tuple *tuple, const struct tcp_segment *segment)
{
	struct bare_segment reset = {.seq = segment->ack, .flags = TCP_FLAG_RST};

	if (segment->flags & TCP_FLAG_RST)
		return;
	if (!(segment->flags & TCP_FLAG_ACK)) {
		reset.seq = 0;
		reset.ack = segment->seq + segment->length +
		            ((segment->flags & TCP_FLAG_SYN) != 0) +
		            ((segment->flags & TCP_FLAG_FIN) != 0);
		reset.flags = TCP_FLAG_RST | TCP_FLAG_ACK;
	}
	if (segment->has_timestamp) /* RFC 7323 5.2 */
		reset.option_bytes =
		    (uint8_t)tcp_options_write_timestamp(0, segment->ts_value, reset.options);
	if (output_bare(tcp, tuple, &reset))
		counter_add(&tcp->counters.resets_sent, 1);
}

bool challenge_take(struct tcp *tcp, struct challenges *challenges, uint64_t now_us)
{
	uint32_t second = (uint32_t)(now_us / 1000000) & 0xffffff;

	if (challenges->second != second)
		*challenges = (struct challenges){.second = second & 0xffffff, .count = 0};
	if (challenges->count >= TCP_CHALLENGE_MAX) {
		counter_add(&tcp->counters.challenge_limited, 1);
		return false;
	}
	challenges->count++;
	counter_add(&tcp->counters.challenge_acks, 1);
	return true;
}

void output_challenge_ack(struct tcp_connection *connection, uint64_t now_us)
{
	if (!challenge_take(connection->tcp, &connection->challenges, now_us))
		return;
	connection->ack_now = true;
	connection_mark(connection);
}
