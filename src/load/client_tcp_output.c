/* SPDX-License-Identifier: Apache-2.0 */
/* Segments out, and the timers that call for them. */
#include "load/client_tcp_internal.h"

#include "base/assert.h"

/* A segment in the making. */
struct outgoing {
	uint32_t seq;
	uint32_t length; /* bytes of payload, from the send ring */
	uint8_t flags;
};

static uint32_t options_write(struct client_tcp *tcp, uint8_t *to, bool syn, uint32_t now)
{
	uint32_t bytes = 0;

	if (syn && tcp->options.mss != 0) {
		to[0] = OPTION_MSS;
		to[1] = 4;
		store_be16(to + 2, tcp->options.mss);
		bytes += OPTION_MSS_BYTES;
	}
	if (syn && tcp->options.window_scaling) {
		to[bytes] = OPTION_NOP;
		to[bytes + 1] = OPTION_SHIFT;
		to[bytes + 2] = 3;
		to[bytes + 3] = tcp->receive_shift;
		bytes += OPTION_SHIFT_BYTES;
	}
	if (syn && tcp->options.sack) {
		to[bytes] = OPTION_NOP;
		to[bytes + 1] = OPTION_NOP;
		to[bytes + 2] = OPTION_SACK_PERMITTED;
		to[bytes + 3] = 2;
		bytes += 4;
	}
	if (syn ? tcp->options.timestamps : tcp->timestamps) {
		to[bytes] = OPTION_NOP;
		to[bytes + 1] = OPTION_NOP;
		to[bytes + 2] = OPTION_TIMESTAMP;
		to[bytes + 3] = 10;
		store_be32(to + bytes + 4, now);
		store_be32(to + bytes + 8, tcp->ts_recent);
		bytes += OPTION_TIMESTAMP_BYTES;
		tcp->ts_sent = now;
	}
	return bytes;
}

/* Of `range`, behind the blocks that are there already; returns the bytes of the option. */
static uint32_t sack_add(uint8_t *to, uint32_t bytes, const struct client_tcp_range *range)
{
	bytes = bytes == 0 ? 4 : bytes;
	to[0] = OPTION_NOP;
	to[1] = OPTION_NOP;
	to[2] = OPTION_SACK;
	to[3] = (uint8_t)(bytes - 2 + 8);
	store_be32(to + bytes, range->start);
	store_be32(to + bytes + 4, range->end);
	return bytes + 8;
}

/* What came twice (RFC 2883), the range that has just grown, then the others (RFC 2018 4). */
static uint32_t sack_write(struct client_tcp *tcp, uint8_t *to)
{
	const struct client_tcp_range *newest = NULL;
	uint32_t bytes = 0;

	if (!tcp->sack)
		return 0;
	if (tcp->duplicate)
		bytes = sack_add(to, bytes, &tcp->repeated);
	tcp->duplicate = false;
	for (uint32_t i = 0; i < tcp->range_count; i++)
		if (!before(tcp->newest_sequence, tcp->ranges[i].start) &&
		    before(tcp->newest_sequence, tcp->ranges[i].end))
			newest = &tcp->ranges[i];
	if (newest != NULL)
		bytes = sack_add(to, bytes, newest);
	for (uint32_t i = 0; i < tcp->range_count && bytes < 4 + 8 * OPTION_SACK_COUNT_MAX; i++)
		if (&tcp->ranges[i] != newest && tcp->ranges[i].start != tcp->ranges[i].end)
			bytes = sack_add(to, bytes, &tcp->ranges[i]);
	return bytes;
}

/* The window field; what it says is remembered as advertised. Rounded down: what was advertised
 * before is accepted all the same (RFC 7323 2.4). */
static uint16_t window_advertise(struct client_tcp *tcp, bool syn)
{
	uint32_t shift = syn ? 0 : tcp->receive_shift;
	uint32_t window;

	if (syn) /* nothing is known of the server's numbers yet */
		return (uint16_t)min_u32(tcp->options.receive_window_bytes, UINT16_MAX);
	window = receive_edge(tcp) - tcp->rcv_nxt;
	window = min_u32(window >> shift, UINT16_MAX);
	tcp->rcv_edge = latest(tcp->rcv_edge, tcp->rcv_nxt + (window << shift));
	return (uint16_t)window;
}

/* False: no room for a frame now. */
static bool emit(struct client_tcp *tcp, const struct client_tcp_emitter *emitter,
                 const struct outgoing *outgoing, uint64_t now_us)
{
	const struct frame_path *path = tcp->options.path;
	bool syn = (outgoing->flags & FLAG_SYN) != 0;
	bool ack = (outgoing->flags & FLAG_ACK) != 0;
	uint8_t *frame = emitter->reserve(emitter->context);
	uint32_t header_bytes;
	uint8_t *header;

	if (frame == NULL) {
		tcp->output_wanted = true;
		return false;
	}
	header = frame_begin(frame, path, FRAME_PROTOCOL_TCP);
	header_bytes = HEADER_BYTES +
	               options_write(tcp, header + HEADER_BYTES, syn, timestamp_at(tcp, now_us));
	if (!syn && outgoing->length == 0)
		header_bytes += sack_write(tcp, header + header_bytes);
	store_be16(header, tcp->options.local_port);
	store_be16(header + 2, tcp->options.remote_port);
	store_be32(header + 4, outgoing->seq);
	store_be32(header + 8, ack ? ack_number(tcp) : 0);
	header[12] = (uint8_t)(header_bytes / 4 << 4);
	header[13] = outgoing->flags;
	store_be16(header + 14, ack || syn ? window_advertise(tcp, syn) : 0);
	store_be16(header + 18, 0); /* no urgent data */
	ring_read(&tcp->options.send, outgoing->seq, header + header_bytes, outgoing->length);
	emitter->send(emitter->context, frame_finish(frame, path, FRAME_PROTOCOL_TCP,
	                                             header_bytes + outgoing->length));
	tcp->counters.segments_sent++;
	if (ack) {
		tcp->last_ack_sent = ack_number(tcp);
		tcp->ack_now = false;
		tcp->unacked_segments = 0;
		tcp->ack_deadline_us = CLIENT_TCP_NEVER;
	}
	return true;
}

static bool pure_ack(struct client_tcp *tcp, const struct client_tcp_emitter *emitter,
                     uint64_t now_us)
{
	return emit(tcp, emitter, &(struct outgoing){.seq = tcp->snd_nxt, .flags = FLAG_ACK},
	            now_us);
}

/* Of `length` bytes and perhaps the FIN at `seq`: sends, and keeps the books. */
static bool emit_data(struct client_tcp *tcp, const struct client_tcp_emitter *emitter,
                      uint32_t seq, uint32_t length, bool fin, uint64_t now_us)
{
	struct outgoing outgoing = {.seq = seq, .length = length, .flags = FLAG_ACK};
	uint32_t end = seq + length + fin;

	if (seq + length == tcp->write_end && length > 0)
		outgoing.flags |= FLAG_PSH;
	if (fin)
		outgoing.flags |= FLAG_FIN;
	if (!emit(tcp, emitter, &outgoing, now_us))
		return false;
	if (before(seq, tcp->snd_max)) {
		tcp->counters.retransmitted++;
		tcp->round_trip_timed = false; /* Karn: RFC 6298 3 */
	} else if (!tcp->round_trip_timed) {
		tcp->round_trip_timed = true;
		tcp->round_trip_sequence = end;
		tcp->round_trip_start_us = now_us;
	}
	tcp->snd_max = latest(tcp->snd_max, end);
	tcp->probe_max = latest(tcp->probe_max, end);
	return true;
}

/* Bytes of the window that are free at `seq`. */
static uint32_t window_left(const struct client_tcp *tcp, uint32_t seq)
{
	return after(tcp->snd_edge, seq) ? tcp->snd_edge - seq : 0;
}

/* The next segment at snd_nxt. False: nothing may be sent, or there is no room for a frame. */
static bool segment_output(struct client_tcp *tcp, const struct client_tcp_emitter *emitter,
                           uint64_t now_us)
{
	uint32_t left = window_left(tcp, tcp->snd_nxt);
	uint32_t wanted, length;
	bool fin;

	if (after(tcp->snd_nxt, tcp->write_end)) /* the FIN is out */
		return false;
	wanted = min_u32(tcp->write_end - tcp->snd_nxt, tcp->mss);
	length = min_u32(wanted, left);
	if (length < wanted && tcp->snd_una != tcp->snd_nxt)
		return false; /* no silly windows while an ACK is to come */
	fin = tcp->fin_wanted && tcp->snd_nxt + length == tcp->write_end && left > length;
	if (length == 0 && !fin)
		return false;
	if (!emit_data(tcp, emitter, tcp->snd_nxt, length, fin, now_us))
		return false;
	tcp->snd_nxt += length + fin;
	return true;
}

static void first_retransmit(struct client_tcp *tcp, const struct client_tcp_emitter *emitter,
                             uint64_t now_us)
{
	uint32_t sent = min_u32(tcp->snd_max - tcp->snd_una, window_left(tcp, tcp->snd_una));
	uint32_t data = min_u32(sent, tcp->write_end - earliest(tcp->snd_una, tcp->write_end));
	uint32_t length = min_u32(data, tcp->mss);
	bool fin = sent > data && length == data;

	if ((length > 0 || fin) && !emit_data(tcp, emitter, tcp->snd_una, length, fin, now_us))
		return;
	tcp->retransmit_first = false;
	tcp->snd_nxt = latest(tcp->snd_nxt, tcp->snd_una + length + fin);
}

/* One octet beyond the window, or the FIN (RFC 9293 3.8.6.1). */
static void probe_output(struct client_tcp *tcp, const struct client_tcp_emitter *emitter,
                         uint64_t now_us)
{
	struct outgoing outgoing = {.seq = tcp->snd_una, .flags = FLAG_ACK};

	if (before(tcp->snd_una, tcp->write_end))
		outgoing.length = 1;
	else
		outgoing.flags |= FLAG_FIN;
	if (!emit(tcp, emitter, &outgoing, now_us))
		return;
	tcp->counters.window_probes++;
	tcp->probe_wanted = false;
	tcp->probe_max = latest(tcp->probe_max, tcp->snd_una + 1);
}

static void syn_output(struct client_tcp *tcp, const struct client_tcp_emitter *emitter,
                       uint64_t now_us)
{
	uint32_t iss = tcp->options.initial_sequence;

	if (tcp->snd_nxt != iss)
		return;
	if (!emit(tcp, emitter, &(struct outgoing){.seq = iss, .flags = FLAG_SYN}, now_us))
		return;
	if (tcp->snd_max != iss) {
		tcp->counters.retransmitted++;
	} else {
		tcp->round_trip_timed = true;
		tcp->ts_first = tcp->ts_sent;
	}
	tcp->round_trip_sequence = iss + 1;
	tcp->round_trip_start_us = now_us;
	tcp->snd_nxt = iss + 1;
	tcp->snd_max = tcp->snd_nxt;
	tcp->probe_max = tcp->snd_nxt;
	tcp->retransmit_deadline_us = now_us + tcp->rto_us;
}

static void reset_output(struct client_tcp *tcp, const struct client_tcp_emitter *emitter,
                         uint64_t now_us)
{
	uint8_t flags = FLAG_RST | (tcp->reset_with_ack ? FLAG_ACK : 0);

	if (tcp->reset_wanted &&
	    emit(tcp, emitter, &(struct outgoing){.seq = tcp->reset_sequence, .flags = flags},
	         now_us))
		tcp->reset_wanted = false;
}

/* True when something waits for an ACK or for the window. */
static bool unfinished(const struct client_tcp *tcp)
{
	return tcp->snd_una != tcp->snd_max || before(tcp->snd_una, tcp->write_end) ||
	       (tcp->fin_wanted && tcp->snd_una == tcp->write_end);
}

static void retransmit_expired(struct client_tcp *tcp, uint64_t now_us)
{
	bool connecting = tcp->state == CLIENT_TCP_CONNECTING;

	tcp->retransmit_deadline_us = CLIENT_TCP_NEVER;
	tcp->retransmit_count++;
	tcp->rto_us = min_u32(tcp->rto_us * 2, RTO_MAX_US);
	if (tcp->retransmit_count >= (connecting ? SYN_COUNT_MAX : RETRANSMIT_COUNT_MAX)) {
		tcp->state = CLIENT_TCP_FAILED;
		tcp->reset_wanted = !connecting;
		tcp->reset_with_ack = true;
		tcp->reset_sequence = tcp->snd_max;
		return;
	}
	tcp->round_trip_timed = false;
	if (!connecting && window_left(tcp, tcp->snd_una) == 0) {
		tcp->probe_wanted = true;
		return;
	}
	tcp->counters.timeouts++;
	tcp->snd_nxt = tcp->snd_una; /* go back N; of a SYN too */
	tcp->recover = tcp->snd_max;
	tcp->recovering = false;
	tcp->retransmit_first = false;
	tcp->duplicate_acks = 0;
}

void client_tcp_output(struct client_tcp *tcp, const struct client_tcp_emitter *emitter,
                       uint64_t now_us)
{
	tcp->output_wanted = false;
	if (tcp->state <= CLIENT_TCP_CLOSED && now_us >= tcp->retransmit_deadline_us)
		retransmit_expired(tcp, now_us);
	reset_output(tcp, emitter, now_us);
	if (tcp->state == CLIENT_TCP_CONNECTING)
		syn_output(tcp, emitter, now_us);
	if (tcp->state == CLIENT_TCP_CONNECTING || tcp->state > CLIENT_TCP_CLOSED)
		return;
	if (now_us >= tcp->ack_deadline_us)
		tcp->ack_now = true;
	while (tcp->duplicate_acks_owed > 0 && pure_ack(tcp, emitter, now_us))
		tcp->duplicate_acks_owed--;
	if (tcp->retransmit_first)
		first_retransmit(tcp, emitter, now_us);
	if (tcp->probe_wanted)
		probe_output(tcp, emitter, now_us);
	while (segment_output(tcp, emitter, now_us))
		;
	if (tcp->ack_now)
		pure_ack(tcp, emitter, now_us);
	/* what had no room to be sent will be, and has nothing to wait for until then */
	if (tcp->output_wanted && tcp->snd_una == tcp->snd_max)
		return;
	if (tcp->retransmit_deadline_us == CLIENT_TCP_NEVER && unfinished(tcp))
		tcp->retransmit_deadline_us = now_us + tcp->rto_us;
}
