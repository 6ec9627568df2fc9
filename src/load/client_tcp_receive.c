/* SPDX-License-Identifier: Apache-2.0 */
/* Payload and FIN: compared with what came before, kept, delivered in order. */
#include "load/client_tcp_internal.h"

#include "base/assert.h"

/* Bytes from `sequence` on are in order now: kept for comparing. */
static void verify_record(struct client_tcp *tcp, uint32_t sequence, const uint8_t *bytes,
                          uint32_t length)
{
	uint32_t capacity = tcp->options.verify.capacity;
	uint32_t skipped = length > capacity ? length - capacity : 0;

	if (capacity > 0)
		ring_write(&tcp->options.verify, sequence + skipped, bytes + skipped,
		           length - skipped);
}

/* The part of the segment that `ring` holds from `start` to `end` is the same there. */
static void compare(struct client_tcp *tcp, const struct client_tcp_segment *segment,
                    const struct client_tcp_ring *ring, uint32_t start, uint32_t end,
                    uint64_t now_us)
{
	start = latest(start, segment->seq);
	end = earliest(end, segment->seq + segment->length);
	while (before(start, end)) {
		struct slice kept = ring_piece(ring, start, end - start);
		const uint8_t *came = segment->payload + (start - segment->seq);

		for (uint32_t i = 0; i < kept.length; i++) {
			if (came[i] == kept.data[i])
				continue;
			violation_add(tcp, CLIENT_TCP_VIOLATION_DIFFERENT_BYTES,
			              start + i - tcp->irs, tcp->rcv_nxt - tcp->irs, now_us);
			return;
		}
		start += (uint32_t)kept.length;
	}
}

static void retransmission_verify(struct client_tcp *tcp, const struct client_tcp_segment *segment,
                                  uint64_t now_us)
{
	uint32_t held = min_u32(tcp->options.verify.capacity, tcp->rcv_nxt - (tcp->irs + 1));

	if (tcp->options.verify.capacity == 0 || segment->length == 0)
		return;
	compare(tcp, segment, &tcp->options.verify, tcp->rcv_nxt - held, tcp->rcv_nxt, now_us);
	for (uint32_t i = 0; i < tcp->range_count; i++)
		compare(tcp, segment, &tcp->options.receive, tcp->ranges[i].start,
		        tcp->ranges[i].end, now_us);
}

void receive_state_update(struct client_tcp *tcp)
{
	if (tcp->state == CLIENT_TCP_OPEN && tcp->fin_taken && tcp->read_nxt == tcp->rcv_nxt)
		tcp->state = CLIENT_TCP_PEER_CLOSED;
	if (tcp->state == CLIENT_TCP_PEER_CLOSED && fin_acknowledged(tcp))
		tcp->state = CLIENT_TCP_CLOSED;
}

static uint32_t offer(struct client_tcp *tcp, const uint8_t *bytes, uint32_t length)
{
	uint32_t taken = tcp->options.received(tcp->options.context, tcp, bytes, length);

	ASSERT(taken <= length);
	return taken;
}

void receive_deliver(struct client_tcp *tcp)
{
	while (tcp->state <= CLIENT_TCP_CLOSED && tcp->read_nxt != tcp->rcv_nxt) {
		struct slice piece =
		    ring_piece(&tcp->options.receive, tcp->read_nxt, tcp->rcv_nxt - tcp->read_nxt);
		uint32_t taken = offer(tcp, piece.data, (uint32_t)piece.length);

		tcp->read_nxt += taken;
		if (taken < piece.length)
			return;
	}
}

/* Ranges that have become contiguous are in order now. */
static void ranges_absorb(struct client_tcp *tcp)
{
	uint32_t gone = 0;

	while (gone < tcp->range_count && !after(tcp->ranges[gone].start, tcp->rcv_nxt)) {
		while (after(tcp->ranges[gone].end, tcp->rcv_nxt)) {
			struct slice piece = ring_piece(&tcp->options.receive, tcp->rcv_nxt,
			                                tcp->ranges[gone].end - tcp->rcv_nxt);

			verify_record(tcp, tcp->rcv_nxt, piece.data, (uint32_t)piece.length);
			tcp->counters.received_bytes += piece.length;
			tcp->rcv_nxt += (uint32_t)piece.length;
		}
		gone++;
	}
	tcp->range_count -= gone;
	memmove(tcp->ranges, tcp->ranges + gone, tcp->range_count * sizeof(tcp->ranges[0]));
}

static void take_in_order(struct client_tcp *tcp, const uint8_t *bytes, uint32_t length)
{
	uint32_t seq = tcp->rcv_nxt;
	uint32_t taken = 0;

	verify_record(tcp, seq, bytes, length);
	tcp->counters.received_bytes += length;
	tcp->rcv_nxt += length;
	tcp->duplicate_acks_owed = 0; /* the ACK that follows says more */
	if (tcp->read_nxt == seq) {
		taken = offer(tcp, bytes, length);
		tcp->read_nxt += taken;
	}
	ring_write(&tcp->options.receive, seq + taken, bytes + taken, length - taken);
	ranges_absorb(tcp);
	if (taken == length)
		receive_deliver(tcp);
}

/* Merges [start, end) into the ranges. False: they are too many. */
static bool range_add(struct client_tcp *tcp, uint32_t start, uint32_t end)
{
	struct client_tcp_range *ranges = tcp->ranges;
	uint32_t first = 0, last;

	while (first < tcp->range_count && before(ranges[first].end, start))
		first++;
	last = first;
	while (last < tcp->range_count && !after(ranges[last].start, end))
		last++;
	if (first == last) { /* touches none */
		if (tcp->range_count == CLIENT_TCP_RANGE_COUNT_MAX)
			return false;
		memmove(&ranges[first + 1], &ranges[first],
		        (tcp->range_count - first) * sizeof(ranges[0]));
		ranges[first] = (struct client_tcp_range){start, end};
		tcp->range_count++;
		return true;
	}
	ranges[first].start = earliest(ranges[first].start, start);
	ranges[first].end = latest(ranges[last - 1].end, end);
	memmove(&ranges[first + 1], &ranges[last], (tcp->range_count - last) * sizeof(ranges[0]));
	tcp->range_count -= last - first - 1;
	return true;
}

/* True when every byte was received out of order before. */
static bool in_ranges(const struct client_tcp *tcp, uint32_t start, uint32_t end)
{
	for (uint32_t i = 0; i < tcp->range_count; i++)
		if (!before(start, tcp->ranges[i].start) && !after(end, tcp->ranges[i].end))
			return start != end;
	return false;
}

/* The next ACK tells the server (RFC 2883). */
static void duplicate_note(struct client_tcp *tcp, uint32_t start, uint32_t end)
{
	tcp->counters.duplicates++;
	if (start == end) /* a FIN */
		return;
	tcp->duplicate = true;
	tcp->repeated = (struct client_tcp_range){start, end};
}

/* A gap is before it. The sender learns of it at once, by one ACK each (RFC 5681 4.2). */
static void take_out_of_order(struct client_tcp *tcp, const struct client_tcp_segment *segment)
{
	uint32_t end = segment->seq + segment->length;

	tcp->counters.out_of_order++;
	tcp->duplicate_acks_owed++;
	tcp->output_wanted = true;
	if (in_ranges(tcp, segment->seq, end)) {
		duplicate_note(tcp, segment->seq, end);
		return;
	}
	if (!tcp->options.keep_out_of_order ||
	    (segment->length > 0 && !range_add(tcp, segment->seq, end))) {
		tcp->counters.out_of_order_dropped++;
		return;
	}
	tcp->newest_sequence = segment->seq;
	ring_write(&tcp->options.receive, segment->seq, segment->payload, segment->length);
	if (segment->flags & FLAG_FIN) {
		tcp->fin_known = true;
		tcp->fin_sequence = end;
	}
}

/* What lies behind the right edge that we have advertised is cut off. A lone octet or FIN there is
 * a probe (RFC 9293 3.8.6.1), everything else wrong. */
static void window_trim(struct client_tcp *tcp, struct client_tcp_segment *segment, uint64_t now_us)
{
	bool fin = (segment->flags & FLAG_FIN) != 0;
	uint32_t end = segment->seq + segment->length + fin;

	if (!after(end, tcp->rcv_edge))
		return;
	if (end != tcp->rcv_edge + 1 || segment->length + fin > 1)
		violation_add(tcp, CLIENT_TCP_VIOLATION_BEYOND_WINDOW, end - tcp->irs,
		              tcp->rcv_edge - tcp->irs, now_us);
	if (segment->length + fin == 0)
		return;
	tcp->counters.beyond_window++;
	tcp->ack_now = true;
	tcp->output_wanted = true;
	segment->flags &= ~FLAG_FIN;
	segment->length = min_u32(
	    segment->length, after(tcp->rcv_edge, segment->seq) ? tcp->rcv_edge - segment->seq : 0);
}

/* False: data behind the FIN, or a FIN elsewhere. */
static bool fin_check(struct client_tcp *tcp, const struct client_tcp_segment *segment,
                      uint64_t now_us)
{
	bool fin = (segment->flags & FLAG_FIN) != 0;
	uint32_t end = segment->seq + segment->length;
	uint32_t received_end =
	    tcp->range_count > 0 ? tcp->ranges[tcp->range_count - 1].end : tcp->rcv_nxt;
	bool good = true;

	if (tcp->fin_known)
		good = !after(end, tcp->fin_sequence) && (!fin || end == tcp->fin_sequence);
	else if (fin)
		good = !before(end, received_end);
	if (!good)
		violation_add(tcp, CLIENT_TCP_VIOLATION_AFTER_FIN, end - tcp->irs,
		              (tcp->fin_known ? tcp->fin_sequence : received_end) - tcp->irs,
		              now_us);
	return good;
}

static void ack_soon(struct client_tcp *tcp, bool had_gap, uint64_t now_us)
{
	tcp->output_wanted = true;
	if (++tcp->unacked_segments >= 2 || had_gap || tcp->options.delayed_ack_us == 0)
		tcp->ack_now = true;
	else if (tcp->ack_deadline_us == CLIENT_TCP_NEVER)
		tcp->ack_deadline_us = now_us + tcp->options.delayed_ack_us;
}

void receive_segment(struct client_tcp *tcp, struct client_tcp_segment *segment, uint64_t now_us)
{
	bool fin, had_gap = tcp->range_count > 0;
	uint32_t end;

	window_trim(tcp, segment, now_us);
	fin = (segment->flags & FLAG_FIN) != 0;
	end = segment->seq + segment->length;
	if ((segment->length == 0 && !fin) || !fin_check(tcp, segment, now_us))
		return;
	retransmission_verify(tcp, segment, now_us);
	if (after(segment->seq, tcp->rcv_nxt)) {
		take_out_of_order(tcp, segment);
		return;
	}
	if (before(segment->seq, tcp->rcv_nxt) || tcp->fin_taken)
		duplicate_note(tcp, segment->seq, earliest(end, tcp->rcv_nxt));
	if (after(end, tcp->rcv_nxt)) {
		uint32_t skipped = tcp->rcv_nxt - segment->seq;

		take_in_order(tcp, segment->payload + skipped, segment->length - skipped);
		ack_soon(tcp, had_gap, now_us);
	} else if (!fin || tcp->fin_taken) {
		tcp->ack_now = true; /* nothing new: our ACK was lost */
		tcp->output_wanted = true;
	}
	if (fin && !tcp->fin_known) {
		tcp->fin_known = true;
		tcp->fin_sequence = end;
	}
	if (tcp->fin_known && !tcp->fin_taken && tcp->rcv_nxt == tcp->fin_sequence) {
		tcp->fin_taken = true;
		tcp->ack_now = true;
		tcp->output_wanted = true;
	}
}
