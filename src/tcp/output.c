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
static uint32_t receive_cap(const struct tcp_connection *connection)
{
	const struct tcp *tcp = connection->tcp;
	uint64_t share = (uint64_t)tcp->pool->free_count * BLOCK_CAPACITY / TCP_RECEIVE_SHARE;
	uint32_t most = tcp->options.receive_window_bytes;

	/* a SYN-ACK offers a first flight: nobody knows yet how many more will come */
	if (connection->state == TCP_SYN_RCVD)
		most = min_u32(most, TCP_RECEIVE_BYTES_FIRST);
	return (uint32_t)min_u64(max_u64(share, TCP_RECEIVE_BYTES_MIN), most);
}

/* The right edge is only ever moved forward, and not by dribbles (RFC 9293 3.8.6.2.2). */
uint32_t output_receive_window(const struct tcp_connection *connection)
{
	uint32_t cap = receive_cap(connection);
	uint32_t pending = connection->rcv_nxt - connection->read_nxt;
	uint32_t window = pending < cap ? cap - pending : 0;
	uint32_t offered = seq_after(connection->rcv_adv, connection->rcv_nxt)
	                       ? connection->rcv_adv - connection->rcv_nxt
	                       : 0;
	uint32_t step = min_u32(cap / 2, connection->mss);

	return window >= offered + step ? window : offered;
}

/* A segment in the making: the headers' place in a packet, options written. */
struct outgoing {
	struct packet packet;
	uint8_t *header;
	uint32_t header_bytes; /* options included */
};

static bool outgoing_begin(struct tcp_connection *connection, bool syn, uint32_t now_ms,
                           struct outgoing *ret_outgoing)
{
	uint8_t *header =
	    net_packet_begin(&connection->path, IP_PROTOCOL_TCP, &ret_outgoing->packet);
	uint8_t *options;

	if (header == NULL)
		return false;
	options = header + TCP_HEADER_BYTES;
	ret_outgoing->header = header;
	ret_outgoing->header_bytes =
	    TCP_HEADER_BYTES + (syn ? tcp_options_write_syn_ack(connection, options, now_ms)
	                            : tcp_options_write(connection, options, now_ms));
	return true;
}

static void header_write(uint8_t *header, uint16_t source_port, uint16_t destination_port,
                         uint32_t seq, uint32_t ack, uint32_t header_bytes, uint8_t flags,
                         uint16_t window)
{
	store_be16(header, source_port);
	store_be16(header + 2, destination_port);
	store_be32(header + 4, seq);
	store_be32(header + 8, ack);
	header[12] = (uint8_t)(header_bytes / 4 << 4);
	header[13] = flags;
	store_be16(header + 14, window);
	store_be16(header + 18, 0);
}

static void outgoing_send(struct tcp_connection *connection, struct outgoing *outgoing,
                          uint32_t seq, uint32_t length, uint8_t flags)
{
	uint32_t shift = flags & TCP_FLAG_SYN ? 0 : connection->receive_shift;
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
	deadline_clear(connection, DEADLINE_DELAYED_ACK);
	counter_add(&connection->tcp->counters.segments_sent, 1);
}

void output_syn_ack(struct tcp_connection *connection, uint64_t now_us)
{
	struct outgoing outgoing;

	if (!outgoing_begin(connection, true, now_ms_from(now_us), &outgoing))
		return;
	if (connection->retransmit_count > 0 || connection->snd_max != connection->iss)
		counter_add(&connection->tcp->counters.retransmitted, 1);
	connection->snd_nxt = connection->iss + 1;
	connection->snd_max = connection->snd_nxt;
	connection->rtt_start_us = now_us;
	outgoing_send(connection, &outgoing, connection->iss, 0, TCP_FLAG_SYN | TCP_FLAG_ACK);
}

static void pure_ack(struct tcp_connection *connection, uint64_t now_us)
{
	struct outgoing outgoing;

	if (!outgoing_begin(connection, false, now_ms_from(now_us), &outgoing)) {
		connection_mark(connection); /* try again with the next flush */
		return;
	}
	outgoing.header_bytes += tcp_options_write_sack(
	    connection, outgoing.header + outgoing.header_bytes,
	    TCP_HEADER_BYTES + TCP_OPTIONS_BYTES_MAX - outgoing.header_bytes);
	outgoing_send(connection, &outgoing, connection->snd_nxt, 0, TCP_FLAG_ACK);
}

/* True when our FIN can still be sent, or sent again. */
static bool fin_wanted(const struct tcp_connection *connection)
{
	return connection->close && connection->state != TCP_FIN_WAIT_2 &&
	       connection->state != TCP_TIME_WAIT;
}

static void fin_sent(struct tcp_connection *connection)
{
	if (connection->state == TCP_ESTABLISHED)
		connection_set_state(connection, TCP_FIN_WAIT_1);
	else if (connection->state == TCP_CLOSE_WAIT)
		connection_set_state(connection, TCP_LAST_ACK);
}

/* What may go out at snd_nxt: how many bytes, and whether the FIN goes along. */
struct allowance {
	uint32_t length;
	bool fin;
};

static struct allowance allowance_now(const struct tcp_connection *connection)
{
	struct allowance none = {0};
	struct allowance allowance = {0};
	uint32_t in_flight = connection->snd_nxt - connection->snd_una;
	uint32_t unsent = (uint32_t)connection->stream.out.length - in_flight;
	uint32_t window = connection->cwnd;
	uint32_t wanted;

	if (in_flight > connection->stream.out.length) /* all, and the FIN */
		return none;
	/* limited transmit, RFC 3042 */
	if (!connection->recovering && connection->duplicate_acks < 3)
		window += connection->duplicate_acks * connection->mss;
	window = min_u32(window, connection->snd_wnd);
	wanted = min_u32(unsent, connection->mss);
	allowance.length = min_u32(wanted, window > in_flight ? window - in_flight : 0);
	/* RFC 9293 3.8.6.2.1: no silly windows. With nothing in flight the persist timer sends it
	 * in the end. */
	if (allowance.length < wanted && allowance.length < connection->snd_wnd_max / 2)
		allowance.length = 0;
	/* the FIN takes a place in the window too; alone it is a legal probe */
	allowance.fin = fin_wanted(connection) && allowance.length == unsent &&
	                (in_flight + unsent < connection->snd_wnd || in_flight + unsent == 0);
	return allowance;
}

static bool output_one(struct tcp_connection *connection, uint64_t now_us)
{
	struct allowance allowance = allowance_now(connection);
	uint32_t seq = connection->snd_nxt;
	uint32_t now_ms = now_ms_from(now_us);
	uint32_t end = seq + allowance.length + allowance.fin;
	uint8_t flags = TCP_FLAG_ACK;
	struct outgoing outgoing;

	if (allowance.length == 0 && !allowance.fin)
		return false;
	if (!outgoing_begin(connection, false, now_ms, &outgoing)) {
		connection_mark(connection);
		return false;
	}
	chain_read(&connection->stream.out, &connection->cursor,
	           outgoing.header + outgoing.header_bytes, allowance.length);
	if (seq + allowance.length == connection->snd_una + connection->stream.out.length)
		flags |= TCP_FLAG_PSH;
	if (allowance.fin)
		flags |= TCP_FLAG_FIN;
	if (connection->snd_una == connection->snd_max)
		connection->progress_ms = now_ms;
	if (seq_before(seq, connection->snd_max)) {
		counter_add(&connection->tcp->counters.retransmitted, 1);
	} else if (!connection->rtt_timed) {
		connection->rtt_timed = true;
		connection->rtt_sequence = end;
		connection->rtt_start_us = now_us;
	}
	connection->snd_nxt = end;
	if (seq_after(end, connection->snd_max))
		connection->snd_max = end;
	outgoing_send(connection, &outgoing, seq, allowance.length, flags);
	/* RFC 6298 5.1; with nothing in flight, what runs is the persist timer's time */
	if (connection->deadlines_ms[DEADLINE_RETRANSMIT] == 0 || seq == connection->snd_una)
		deadline_set(connection, DEADLINE_RETRANSMIT, now_ms + connection->rto_ms);
	if (allowance.fin)
		fin_sent(connection);
	return true;
}

void connection_output(struct tcp_connection *connection, uint64_t now_us)
{
	/* a duplicate acknowledgement is one without data (RFC 5681 2), and has room for SACK */
	if (connection->ack_now && connection->range_count > 0)
		pure_ack(connection, now_us);
	for (int sent = 0; output_one(connection, now_us);) {
		if (++sent == TCP_QUANTUM_SEGMENTS) {
			connection_mark(connection); /* the others first */
			break;
		}
	}
	if (connection->ack_now)
		pure_ack(connection, now_us);
	/* what waits for the peer's window is probed for (RFC 9293 3.8.6.1) */
	if (connection->deadlines_ms[DEADLINE_RETRANSMIT] == 0 &&
	    (connection->stream.out.length > 0 || connection->snd_una != connection->snd_max)) {
		if (connection->snd_una == connection->snd_max)
			connection->progress_ms = now_ms_from(now_us);
		deadline_set(connection, DEADLINE_RETRANSMIT,
		             now_ms_from(now_us) + connection->rto_ms);
	}
}

/* Up to `length` bytes from snd_una on, without moving snd_nxt; with the FIN when they reach it and
 * it was sent. Returns the sequence number behind what was sent (snd_una: no packet memory). */
static uint32_t output_from_una(struct tcp_connection *connection, uint32_t length, uint64_t now_us)
{
	struct chain_cursor cursor = {0};
	uint32_t data_end = connection->snd_una + (uint32_t)connection->stream.out.length;
	uint8_t flags = TCP_FLAG_ACK;
	struct outgoing outgoing;
	uint32_t end;

	if (!outgoing_begin(connection, false, now_ms_from(now_us), &outgoing))
		return connection->snd_una;
	length = chain_read(&connection->stream.out, &cursor,
	                    outgoing.header + outgoing.header_bytes, length);
	end = connection->snd_una + length;
	if (end == data_end)
		flags |= TCP_FLAG_PSH;
	if (end == data_end && seq_after(connection->snd_max, data_end)) {
		flags |= TCP_FLAG_FIN;
		end++;
	}
	outgoing_send(connection, &outgoing, connection->snd_una, length, flags);
	return end;
}

uint32_t output_retransmit_first(struct tcp_connection *connection, uint64_t now_us)
{
	uint32_t sent = connection->snd_max - connection->snd_una;
	uint32_t end = output_from_una(connection, min_u32(sent, connection->mss), now_us);

	connection->rtt_timed = false; /* Karn: RFC 6298 3 */
	if (end != connection->snd_una)
		counter_add(&connection->tcp->counters.retransmitted, 1);
	return end;
}

void output_window_probe(struct tcp_connection *connection, uint64_t now_us)
{
	/* one byte beyond the window; when the window is open by now, what fits */
	uint32_t length = max_u32(min_u32(connection->snd_wnd, connection->mss), 1);
	uint32_t end = output_from_una(connection, length, now_us);

	if (end == connection->snd_una)
		return;
	counter_add(&connection->tcp->counters.window_probes, 1);
	/* snd_nxt stays: a probe that is not taken is sent again */
	if (seq_after(end, connection->snd_max))
		connection->snd_max = end;
}

void output_reset(struct tcp_connection *connection, uint64_t now_us)
{
	struct outgoing outgoing;

	if (!outgoing_begin(connection, false, now_ms_from(now_us), &outgoing))
		return;
	outgoing_send(connection, &outgoing, connection->snd_nxt, 0, TCP_FLAG_RST | TCP_FLAG_ACK);
	counter_add(&connection->tcp->counters.resets_sent, 1);
}

void output_reset_for(struct tcp *tcp, const struct net_input *input,
                      const struct tcp_segment *segment)
{
	uint32_t sequence_length = segment->length + ((segment->flags & TCP_FLAG_SYN) != 0) +
	                           ((segment->flags & TCP_FLAG_FIN) != 0);
	struct packet packet;
	uint8_t *header;

	if (segment->flags & TCP_FLAG_RST)
		return;
	header = net_packet_begin(&input->path, IP_PROTOCOL_TCP, &packet);
	if (header == NULL)
		return;
	if (segment->flags & TCP_FLAG_ACK)
		header_write(header, segment->destination_port, segment->source_port, segment->ack,
		             0, TCP_HEADER_BYTES, TCP_FLAG_RST, 0);
	else
		header_write(header, segment->destination_port, segment->source_port, 0,
		             segment->seq + sequence_length, TCP_HEADER_BYTES,
		             TCP_FLAG_RST | TCP_FLAG_ACK, 0);
	net_packet_finish(&input->path, IP_PROTOCOL_TCP, &packet, TCP_HEADER_BYTES,
	                  TCP_CHECKSUM_OFFSET);
	counter_add(&tcp->counters.segments_sent, 1);
	counter_add(&tcp->counters.resets_sent, 1);
}

void output_challenge_ack(struct tcp_connection *connection, uint64_t now_us)
{
	uint32_t now_ms = now_ms_from(now_us);

	if (now_ms - connection->challenge_ms >= 1000) {
		connection->challenge_ms = now_ms;
		connection->challenge_count = 0;
	}
	if (connection->challenge_count >= TCP_CHALLENGE_MAX) {
		counter_add(&connection->tcp->counters.challenge_limited, 1);
		return;
	}
	connection->challenge_count++;
	counter_add(&connection->tcp->counters.challenge_acks, 1);
	connection->ack_now = true;
	connection_mark(connection);
}
