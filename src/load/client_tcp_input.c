/* SPDX-License-Identifier: Apache-2.0 */
/* Segments in, and what the referee sees in their headers. */
#include "load/client_tcp_internal.h"

#include "base/assert.h"

/* False: malformed. Of options in a wrong length, the segment is. */
static bool options_parse(struct client_tcp_segment *segment, const uint8_t *option,
                          uint32_t length)
{
	segment->option_bytes = length;
	while (length > 0 && option[0] != OPTION_END) {
		uint32_t bytes;

		if (option[0] == OPTION_NOP) {
			option++;
			length--;
			continue;
		}
		if (length < 2 || option[1] < 2 || option[1] > length)
			return false;
		bytes = option[1];
		switch (option[0]) {
		case OPTION_MSS:
			if (bytes != 4)
				return false;
			segment->has_mss = true;
			segment->mss = load_be16(option + 2);
			break;
		case OPTION_SHIFT:
			if (bytes != 3 || option[2] > SHIFT_MAX)
				return false;
			segment->has_shift = true;
			segment->shift = option[2];
			break;
		case OPTION_SACK_PERMITTED:
			if (bytes != 2)
				return false;
			segment->sack_permitted = true;
			break;
		case OPTION_TIMESTAMP:
			if (bytes != 10)
				return false;
			segment->has_timestamp = true;
			segment->ts_value = load_be32(option + 2);
			segment->ts_echo = load_be32(option + 6);
			break;
		}
		option += bytes;
		length -= bytes;
	}
	return true;
}

static bool segment_parse(struct client_tcp_segment *ret_segment, struct slice l4)
{
	const uint8_t *tcp = l4.data;
	uint32_t header_bytes = (tcp[12] >> 4) * 4u; /* frame_parse() has seen 20 bytes */

	if (header_bytes < HEADER_BYTES || header_bytes > l4.length)
		return false;
	*ret_segment = (struct client_tcp_segment){
	    .seq = load_be32(tcp + 4),
	    .ack = load_be32(tcp + 8),
	    .window = load_be16(tcp + 14),
	    .flags = tcp[13],
	    .payload = tcp + header_bytes,
	    .length = (uint32_t)l4.length - header_bytes,
	};
	if ((tcp[13] & FLAG_SYN) && (tcp[13] & (FLAG_FIN | FLAG_RST)))
		return false;
	/* all but a reset acknowledge something: the server never opens */
	if (!(tcp[13] & (FLAG_ACK | FLAG_RST)))
		return false;
	return options_parse(ret_segment, tcp + HEADER_BYTES, header_bytes - HEADER_BYTES);
}

/* For no connection of ours, or one that has ended badly: RFC 9293 3.10.7.1. */
static void refuse_input(struct client_tcp *tcp, const struct client_tcp_segment *segment)
{
	if (segment->flags & FLAG_RST)
		return;
	tcp->reset_wanted = true;
	tcp->reset_with_ack = false;
	tcp->reset_sequence = segment->ack;
	tcp->output_wanted = true;
}

/* What the timestamps of a segment prove against the server. */
static void timestamp_check(struct client_tcp *tcp, const struct client_tcp_segment *segment,
                            uint64_t now_us)
{
	uint32_t value = segment->ts_value;

	if (!tcp->timestamps) {
		if (segment->has_timestamp)
			violation_add(tcp, CLIENT_TCP_VIOLATION_NOT_OFFERED, OPTION_TIMESTAMP, 0,
			              now_us);
		return;
	}
	if (!segment->has_timestamp) {
		violation_add(tcp, CLIENT_TCP_VIOLATION_TIMESTAMP_MISSING, 0, 0, now_us);
		return;
	}
	if (after(segment->ts_echo, tcp->ts_sent) || before(segment->ts_echo, tcp->ts_first))
		violation_add(tcp, CLIENT_TCP_VIOLATION_ECHO_OF_UNSENT, segment->ts_echo,
		              tcp->ts_sent, now_us);
	if (after(value, tcp->ts_max)) {
		tcp->ts_max = value;
		tcp->ts_max_ack = segment->ack;
	} else if (value == tcp->ts_max) {
		tcp->ts_max_ack = earliest(tcp->ts_max_ack, segment->ack);
	} else if (tcp->options.ordered_wire || after(segment->ack, tcp->ts_max_ack)) {
		/* a higher ACK number was sent later, whatever the wire has done to the order */
		violation_add(tcp, CLIENT_TCP_VIOLATION_TIMESTAMP_BACK, value, tcp->ts_max, now_us);
	}
	/* RFC 7323 4.3 (2) */
	if (!before(value, tcp->ts_recent) && !after(segment->seq, tcp->last_ack_sent))
		tcp->ts_recent = value;
}

/* The right edge of the server's window only ever moves forward (RFC 9293 3.8.6), save by less than
 * the unit that windows are said in (RFC 7323 2.4). */
static void edge_check(struct client_tcp *tcp, const struct client_tcp_segment *segment,
                       uint64_t now_us)
{
	uint32_t edge = segment->ack + (segment->window << tcp->send_shift);
	uint32_t unit = 1u << tcp->send_shift;

	if (after(edge, tcp->edge_max)) {
		tcp->edge_max = edge;
		tcp->edge_max_ack = segment->ack;
		tcp->edge_max_ts = segment->ts_value;
	} else if (edge == tcp->edge_max) {
		tcp->edge_max_ack = earliest(tcp->edge_max_ack, segment->ack);
		tcp->edge_max_ts = earliest(tcp->edge_max_ts, segment->ts_value);
	} else if (!after(edge + unit, tcp->edge_max) &&
	           (tcp->options.ordered_wire || after(segment->ack, tcp->edge_max_ack) ||
	            (tcp->timestamps && after(segment->ts_value, tcp->edge_max_ts)))) {
		violation_add(tcp, CLIENT_TCP_VIOLATION_WINDOW_BACK,
		              edge - tcp->options.initial_sequence,
		              tcp->edge_max - tcp->options.initial_sequence, now_us);
	}
}

static void round_trip_measure(struct client_tcp *tcp, uint64_t now_us)
{
	uint32_t rtt_us = (uint32_t)min_u64(now_us - tcp->round_trip_start_us, RTO_MAX_US);
	uint32_t difference = rtt_us > tcp->srtt_us ? rtt_us - tcp->srtt_us : tcp->srtt_us - rtt_us;

	tcp->round_trip_timed = false;
	if (tcp->srtt_us == 0) { /* RFC 6298 2.2, 2.3 */
		tcp->rttvar_us = rtt_us / 2;
		tcp->srtt_us = max_u32(rtt_us, 1);
		return;
	}
	tcp->rttvar_us = (3 * tcp->rttvar_us + difference) / 4;
	tcp->srtt_us = max_u32((7 * tcp->srtt_us + rtt_us) / 8, 1);
}

static void ack_new(struct client_tcp *tcp, uint32_t ack, uint64_t now_us)
{
	uint32_t unacknowledged = client_tcp_unacknowledged(tcp);

	if (tcp->round_trip_timed && !before(ack, tcp->round_trip_sequence))
		round_trip_measure(tcp, now_us);
	tcp->snd_una = ack;
	tcp->snd_nxt = latest(tcp->snd_nxt, ack);
	tcp->snd_max = latest(tcp->snd_max, ack); /* a probe was taken */
	tcp->counters.sent_bytes += unacknowledged - client_tcp_unacknowledged(tcp);
	tcp->retransmit_count = 0;
	tcp->duplicate_acks = 0;
	tcp->retransmit_first = false;
	rto_reset(tcp);
	tcp->retransmit_deadline_us =
	    tcp->snd_una == tcp->snd_max ? CLIENT_TCP_NEVER : now_us + tcp->rto_us;
	if (!tcp->recovering)
		return;
	/* a partial one: the next segment is missing too (RFC 6582 3.2) */
	tcp->recovering = before(ack, tcp->recover);
	tcp->retransmit_first = tcp->recovering;
}

static void ack_duplicate(struct client_tcp *tcp)
{
	tcp->counters.duplicate_acks++;
	if (tcp->duplicate_acks < UINT8_MAX)
		tcp->duplicate_acks++;
	/* once a loss: what is below `recover` is being repaired already */
	if (tcp->duplicate_acks != 3 || tcp->recovering || !after(tcp->snd_una, tcp->recover))
		return;
	tcp->counters.fast_retransmits++;
	tcp->recovering = true;
	tcp->recover = tcp->snd_max;
	tcp->retransmit_first = true;
}

/* RFC 9293 3.10.7.4; a higher ACK number is newer even in a segment that was sent again. */
static void window_update(struct client_tcp *tcp, const struct client_tcp_segment *segment,
                          uint64_t now_us)
{
	uint32_t edge = segment->ack + (segment->window << tcp->send_shift);
	bool newer = after(segment->ack, tcp->snd_wl2) ||
	             (segment->ack == tcp->snd_wl2 && !before(segment->seq, tcp->snd_wl1));

	if (!newer)
		return;
	/* it opens while we probe: go on now */
	if (!after(tcp->snd_edge, tcp->snd_una) && after(edge, tcp->snd_una)) {
		tcp->retransmit_deadline_us = CLIENT_TCP_NEVER;
		tcp->probe_wanted = false;
		rto_reset(tcp);
		if (tcp->snd_una != tcp->snd_max)
			tcp->retransmit_deadline_us = now_us + tcp->rto_us;
	}
	tcp->snd_edge = edge;
	tcp->snd_wl1 = segment->seq;
	tcp->snd_wl2 = segment->ack;
}

/* False: the segment is not looked at any further. */
static bool ack_input(struct client_tcp *tcp, const struct client_tcp_segment *segment,
                      uint64_t now_us)
{
	uint32_t edge = segment->ack + (segment->window << tcp->send_shift);

	if (after(segment->ack, tcp->probe_max)) {
		violation_add(tcp, CLIENT_TCP_VIOLATION_ACK_OF_UNSENT,
		              segment->ack - tcp->options.initial_sequence,
		              tcp->probe_max - tcp->options.initial_sequence, now_us);
		tcp->ack_now = true;
		return false;
	}
	edge_check(tcp, segment, now_us);
	if (!after(tcp->snd_edge, tcp->snd_una)) /* alive, only closed */
		tcp->retransmit_count = 0;
	if (after(segment->ack, tcp->snd_una))
		ack_new(tcp, segment->ack, now_us);
	else if (segment->ack == tcp->snd_una && segment->length == 0 &&
	         !(segment->flags & FLAG_FIN) && tcp->snd_una != tcp->snd_max &&
	         edge == tcp->snd_edge && edge != segment->ack)
		ack_duplicate(tcp);
	window_update(tcp, segment, now_us);
	return true;
}

/* What the SYN-ACK says of the connection: numbers, options, windows. */
static void syn_ack_input(struct client_tcp *tcp, const struct client_tcp_segment *segment,
                          uint64_t now_us)
{
	const struct client_tcp_options *options = &tcp->options;
	bool ip4 = ip_address_is_ip4(&options->path->remote);
	uint32_t headers = (ip4 ? 20 : 40) + HEADER_BYTES;
	uint32_t mss = ip4 ? MSS_DEFAULT_IP4 : MSS_DEFAULT_IP6;

	ASSERT(options->mtu > headers + OPTION_TIMESTAMP_BYTES);
	if (segment->has_shift && !options->window_scaling)
		violation_add(tcp, CLIENT_TCP_VIOLATION_NOT_OFFERED, OPTION_SHIFT, 0, now_us);
	if (segment->has_shift && options->window_scaling)
		tcp->send_shift = segment->shift;
	else
		tcp->receive_shift = 0;
	if (segment->sack_permitted && !options->sack)
		violation_add(tcp, CLIENT_TCP_VIOLATION_NOT_OFFERED, OPTION_SACK_PERMITTED, 0,
		              now_us);
	tcp->sack = segment->sack_permitted && options->sack;
	tcp->timestamps = segment->has_timestamp && options->timestamps;
	if (segment->has_mss) /* what is below the least MTU of IPv4 is a joke: RFC 791 */
		mss = max_u32(segment->mss, OPTION_TIMESTAMP_BYTES + 8);
	tcp->mss = (uint16_t)(min_u32(mss, options->mtu - headers) -
	                      (tcp->timestamps ? OPTION_TIMESTAMP_BYTES : 0));
	tcp->irs = segment->seq;
	tcp->rcv_nxt = segment->seq + 1;
	tcp->read_nxt = tcp->rcv_nxt;
	tcp->rcv_edge = tcp->rcv_nxt + min_u32(options->receive_window_bytes, UINT16_MAX);
	tcp->ts_recent = segment->ts_value;
	tcp->ts_max = segment->ts_value;
	tcp->ts_max_ack = segment->ack;
	timestamp_check(tcp, segment, now_us);
	tcp->snd_edge = segment->ack + segment->window; /* never scaled in a SYN */
	tcp->snd_wl1 = segment->seq;
	tcp->snd_wl2 = segment->ack;
	tcp->edge_max = tcp->snd_edge;
	tcp->edge_max_ack = segment->ack;
	tcp->edge_max_ts = segment->ts_value;
	tcp->recover = segment->ack - 1;
}

/* RFC 9293 3.10.7.3. */
static void connecting_input(struct client_tcp *tcp, const struct client_tcp_segment *segment,
                             uint64_t now_us)
{
	uint32_t iss = tcp->options.initial_sequence;

	if ((segment->flags & FLAG_ACK) && segment->ack != iss + 1) {
		if (segment->flags & FLAG_SYN)
			violation_add(tcp, CLIENT_TCP_VIOLATION_ACK_OF_UNSENT, segment->ack - iss,
			              1, now_us);
		refuse_input(tcp, segment); /* of an older connection: RFC 9293 3.5.1 */
		return;
	}
	if (tcp->snd_nxt == iss && tcp->snd_max == iss) /* nothing was sent yet */
		return;
	if ((segment->flags & FLAG_RST) && (segment->flags & FLAG_ACK)) {
		tcp->counters.resets_received++;
		tcp->state = CLIENT_TCP_RESET;
	}
	if ((segment->flags & FLAG_RST) || !(segment->flags & FLAG_SYN))
		return;
	syn_ack_input(tcp, segment, now_us);
	ack_new(tcp, segment->ack, now_us);
	tcp->state = CLIENT_TCP_OPEN;
	tcp->ack_now = true;
	tcp->output_wanted = true;
}

static void reset_input(struct client_tcp *tcp, const struct client_tcp_segment *segment)
{
	uint32_t expected = ack_number(tcp);

	if (segment->seq == expected) {
		tcp->counters.resets_received++;
		/* when both have said all, only the caller's taking of it is missing */
		if (!tcp->fin_taken || !fin_acknowledged(tcp))
			tcp->state = CLIENT_TCP_RESET;
	} else if (after(segment->seq, expected) && !after(segment->seq, tcp->rcv_edge)) {
		tcp->ack_now = true; /* a challenge: RFC 5961 3.2 */
		tcp->output_wanted = true;
	}
}

static void open_input(struct client_tcp *tcp, struct client_tcp_segment *segment, uint64_t now_us)
{
	if (segment->flags & FLAG_RST) {
		reset_input(tcp, segment);
		return;
	}
	if (segment->flags & FLAG_SYN) { /* sent again, or a challenge is due: RFC 5961 4.2 */
		tcp->counters.duplicates++;
		tcp->ack_now = true;
		tcp->output_wanted = true;
		return;
	}
	timestamp_check(tcp, segment, now_us);
	if (segment->length + segment->option_bytes > tcp->receive_mss)
		violation_add(tcp, CLIENT_TCP_VIOLATION_SEGMENT_TOO_LONG,
		              segment->length + segment->option_bytes, tcp->receive_mss, now_us);
	tcp->output_wanted = true;
	if (!ack_input(tcp, segment, now_us))
		return;
	receive_segment(tcp, segment, now_us);
	if (!client_tcp_ended(tcp))
		receive_state_update(tcp);
}

void client_tcp_input(struct client_tcp *tcp, const struct frame *frame, uint64_t now_us)
{
	struct client_tcp_segment segment;

	tcp->counters.segments_received++;
	if (!frame->checksum_good) {
		tcp->counters.bad_checksum++;
		violation_add(tcp, CLIENT_TCP_VIOLATION_CHECKSUM, load_be16(frame->l4.data + 16), 0,
		              now_us);
		return;
	}
	if (!segment_parse(&segment, frame->l4)) {
		tcp->counters.malformed++;
		violation_add(tcp, CLIENT_TCP_VIOLATION_HEADER, frame->l4.data[13],
		              (uint32_t)frame->l4.length, now_us);
		return;
	}
	if (tcp->state == CLIENT_TCP_CONNECTING)
		connecting_input(tcp, &segment, now_us);
	else if (tcp->state > CLIENT_TCP_CLOSED)
		refuse_input(tcp, &segment);
	else
		open_input(tcp, &segment, now_us);
}
