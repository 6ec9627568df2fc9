/* SPDX-License-Identifier: Apache-2.0 */
/* The rules for every segment that the server sends: those of tests/tcp/run.c, and what may be said
 * of a conversation with a peer that keeps to no rule. */
#include "sequence.h"

#define MSS_MIN         536 /* RFC 9293 3.7.1 */
#define MSS_DEFAULT_IP6 1220
#define TIMESTAMP_BYTES 12

static void tell(const struct peer *peer, const struct segment *segment)
{
	const struct connection *connection = &peer->connection;
	char text[SEGMENT_TEXT_MAX];
	struct segment_base base = {
	    .seq = connection->hello.iss,
	    .ack = connection->hello.isn,
	    .ts_value = connection->hello.ts_value,
	    .ts_echo = peer->ts_base,
	};

	if (!peer->world->trace)
		return;
	segment_format(text, segment, &base);
	fprintf(stderr, "%12.6f %u <<< %s\n", (double)peer->world->now_us / 1e6, peer->index, text);
}

static const struct offer *offer_find(const struct peer *peer, uint32_t isn)
{
	for (uint32_t i = 0; i < peer->offer_count; i++)
		if (peer->offers[i].isn == isn)
			return &peer->offers[i];
	return NULL;
}

/* The same SYN-ACK once more, or a place for a new one. */
static struct hello *hello_place(struct peer *peer, const struct segment *segment)
{
	uint32_t count = min_u32(peer->hello_count, HELLO_COUNT_MAX);

	for (uint32_t i = 0; i < count; i++) {
		struct hello *hello = &peer->hellos[i];

		if (hello->isn == segment->ack - 1 && hello->iss == segment->seq)
			return hello;
	}
	peer->hellos[peer->hello_count % HELLO_COUNT_MAX] = (struct hello){0};
	return &peer->hellos[peer->hello_count++ % HELLO_COUNT_MAX];
}

/* RFC 9293 3.2, RFC 7323 2.2 and 3.2: only what the SYN has offered. */
static void judge_hello(struct peer *peer, const struct segment *segment)
{
	const struct offer *offer = offer_find(peer, segment->ack - 1);
	struct hello *hello;

	if (peer->connection.stream != NULL)
		FUZZ_FAIL("a SYN-ACK on a connection that is open");
	if (offer == NULL)
		FUZZ_FAIL("a SYN-ACK for a SYN that nobody sent");
	if (segment->length > 0)
		FUZZ_FAIL("a SYN-ACK with data");
	if ((segment->has_ts && !offer->ts) || (segment->sack_permitted && !offer->sack) ||
	    (segment->has_wscale && !offer->scaling))
		FUZZ_FAIL("the SYN-ACK has an option that the SYN had not");
	hello = hello_place(peer, segment);
	hello->isn = segment->ack - 1;
	hello->iss = segment->seq;
	hello->ts = segment->has_ts;
	hello->sack = segment->sack_permitted;
	hello->scaling = segment->has_wscale;
	hello->server_shift = segment->wscale;
	hello->peer_shift = segment->has_wscale ? offer->shift : 0;
	hello->edge = max_u32(hello->edge, segment->window);
	hello->mss = ip_address_is_ip4(&peer->path.local) ? MSS_MIN : MSS_DEFAULT_IP6;
	if (offer->mss > 0)
		hello->mss = (uint16_t)max_u32(offer->mss, MSS_MIN);
	hello->ts_value = segment->ts_value;
	hello->time_us = peer->world->now_us;
}

/* In SYN_RCVD; its SYN-ACK may never have left, for want of packet memory. */
static bool answers_syn(const struct peer *peer, const struct segment *segment)
{
	return segment->length == 0 && !(segment->flags & FLAG_FIN) &&
	       offer_find(peer, segment->ack - 1) != NULL;
}

/* Replied bytes and no others, and not beyond the peer's window, a probe's byte aside (RFC 9293
 * 3.8.6.1). */
static void judge_payload(struct peer *peer, const struct segment *segment)
{
	struct connection *connection = &peer->connection;
	bool fin = (segment->flags & FLAG_FIN) != 0;
	uint32_t begin = server_offset(connection, segment->seq);
	uint32_t end = begin + segment->length + fin;
	const uint8_t *right = peer->world->contents.from_server + CONTENT_HEAD;

	/* a question whether the peer is there stands one before (RFC 9293 3.8.4) */
	if (begin + 1 == connection->sent_end && end == begin) {
		/* what the peer has to send again answers as well */
		if (connection->acked == connection->said_end + connection->fin_said)
			connection->answer_owed = true;
		return;
	}
	if (begin > connection->replied + connection->closing)
		FUZZ_FAIL("a sequence number of nothing that was ever replied: %u", begin);
	if (begin + segment->length > connection->replied)
		if (segment->length > 0)
			FUZZ_FAIL("bytes behind what was replied");
	if (segment->length > 0 && memcmp(segment->payload, right + begin, segment->length) != 0)
		FUZZ_FAIL("bytes that were not replied");
	if (fin && (!connection->closing || begin + segment->length != connection->replied))
		FUZZ_FAIL("a FIN at %u that the application has not asked for", end - 1);
	if (segment->length > 0 && begin + segment->length > connection->peer_edge + 1)
		FUZZ_FAIL("bytes to %u, and the peer's window ended at %u", end,
		          connection->peer_edge);
	if (segment->length + (segment->has_ts ? TIMESTAMP_BYTES : 0) > connection->hello.mss)
		FUZZ_FAIL("%u bytes in one segment, and the peer takes %u", segment->length,
		          connection->hello.mss);
	connection->sent_end = max_u32(connection->sent_end, end);
	if (end > begin) {
		bool lost = (peer->loss & 1) != 0;

		peer->loss >>= 1;
		if (!lost)
			peer_take(peer, begin, end);
	}
}

/* Only what was sent, and never less than before. */
static void judge_ack(struct peer *peer, const struct segment *segment)
{
	struct connection *connection = &peer->connection;
	uint32_t offset = peer_offset(connection, segment->ack);

	if ((int32_t)(offset - connection->acked) < 0)
		FUZZ_FAIL("the acknowledgement went back from %u to %u", connection->acked, offset);
	for (uint32_t at = connection->acked; at < offset; at++) {
		if (at >= STREAM_BYTES_MAX || !(peer->marks[at] & (MARK_DATA | MARK_FIN)))
			FUZZ_FAIL("%u is acknowledged and was never sent", at);
		if (!(peer->marks[at] & MARK_DATA) && at + 1 < offset)
			FUZZ_FAIL("%u is acknowledged, behind the end", at + 1);
		connection->fin_acked = (peer->marks[at] & MARK_FIN) != 0;
	}
	connection->acked = offset;
}

/* The right edge does not move back, by rounding at most (RFC 9293 3.8.6, RFC 7323 2.4). Behind the
 * peer's FIN it means nothing, and what lingers in FIN_WAIT_2 only discards. */
static void judge_window(struct peer *peer, const struct segment *segment)
{
	struct connection *connection = &peer->connection;
	uint32_t edge = peer_offset(connection, segment->ack) +
	                ((uint32_t)segment->window << connection->hello.server_shift);

	if (connection->hello.is_guess || connection->stream == NULL)
		return;
	if (edge > STREAM_BYTES_MAX)
		FUZZ_FAIL("a window to %u", edge);
	if ((int32_t)(edge - connection->edge) > 0)
		connection->edge = edge;
	else if (connection->edge - edge >= 1u << connection->hello.server_shift &&
	         !connection->fin_acked)
		FUZZ_FAIL("the window's right edge moved back from %u to %u", connection->edge,
		          edge);
}

/* RFC 7323 3.2, 4: in all segments or none, not back, an echo of what was sent. */
static void judge_timestamp(struct peer *peer, const struct segment *segment)
{
	struct connection *connection = &peer->connection;
	uint64_t half_space_us = 24ull * 24 * 3600 * SECOND_US;
	uint64_t now_us = peer->world->now_us;
	bool known = peer->echoes_unknown;

	if (connection->hello.is_guess)
		return;
	if (segment->has_ts != connection->hello.ts)
		FUZZ_FAIL("timestamps were%s agreed on", connection->hello.ts ? "" : " not");
	if (!segment->has_ts)
		return;
	if ((int32_t)(segment->ts_value - connection->ts_last) < 0 &&
	    now_us - connection->ts_last_us < half_space_us)
		FUZZ_FAIL("the timestamp went back");
	connection->ts_last = segment->ts_value;
	connection->ts_last_us = now_us;
	for (uint32_t i = peer->echo_count; i > 0 && !known; i--)
		known = peer->echoes[i - 1] == segment->ts_echo;
	if (!known)
		FUZZ_FAIL("an echo of a timestamp that nobody sent: %u", segment->ts_echo);
}

static bool within(const struct span *inner, const struct span *outer)
{
	return (int32_t)(inner->begin - outer->begin) >= 0 &&
	       (int32_t)(inner->end - outer->end) <= 0;
}

/* RFC 2018 4, RFC 2883 4: what lies behind a gap and was sent, each once; before it, perhaps, what
 * came twice. What is told stays. */
static void judge_sacks(struct peer *peer, const struct segment *segment)
{
	struct connection *connection = &peer->connection;
	struct span spans[SEGMENT_SACK_MAX];
	uint32_t first = 0;

	if (!segment->has_sack)
		return;
	if (!connection->hello.sack && !connection->hello.is_guess)
		FUZZ_FAIL("SACK was not agreed on");
	for (uint32_t i = 0; i < segment->sack_count; i++) {
		spans[i].begin = peer_offset(connection, segment->sack[i][0]);
		spans[i].end = peer_offset(connection, segment->sack[i][1]);
		if ((int32_t)(spans[i].end - spans[i].begin) <= 0)
			FUZZ_FAIL("an empty block");
	}
	/* RFC 2883 wants the block that it lies in to be the next one; any other will do here */
	first = (int32_t)(spans[0].begin - connection->acked) < 0;
	for (uint32_t i = 1; i < segment->sack_count && first == 0; i++)
		first = within(&spans[0], &spans[i]);
	for (uint32_t i = first; i < segment->sack_count; i++) {
		const struct span *span = &spans[i];

		if ((int32_t)(span->begin - connection->acked) <= 0)
			FUZZ_FAIL("a block at %u, and all to %u is acknowledged", span->begin,
			          connection->acked);
		for (uint32_t k = first; k < i; k++)
			if (span->begin < spans[k].end && spans[k].begin < span->end)
				FUZZ_FAIL("blocks overlap");
		for (uint32_t at = span->begin; at < span->end; at++) {
			if (at >= STREAM_BYTES_MAX || !(peer->marks[at] & MARK_DATA))
				FUZZ_FAIL("%u is acknowledged and was never sent", at);
			peer->marks[at] |= MARK_HELD;
		}
	}
}

static void judge_segment(struct peer *peer, const struct segment *segment)
{
	struct connection *connection = &peer->connection;

	if (connection->stream == NULL && answers_syn(peer, segment))
		return;
	if (!connection->known)
		FUZZ_FAIL("a segment of no connection");
	judge_payload(peer, segment);
	judge_ack(peer, segment);
	judge_window(peer, segment);
	judge_timestamp(peer, segment);
	judge_sacks(peer, segment);
}

static struct peer *peer_find(struct world *world, const struct frame *frame)
{
	uint32_t index = (uint32_t)frame->destination_port - PEER_PORT;
	struct peer *peer = &world->peers[index % PEER_COUNT];

	if (index >= PEER_COUNT || !ip_address_equal(&peer->path.local, &frame->destination) ||
	    frame->vlan != peer->path.vlan || frame->source_port != SERVER_PORT ||
	    memcmp(frame->destination_mac, peer->path.local_mac, 6) != 0)
		FUZZ_FAIL("a frame to nobody");
	return peer;
}

static void quote_keep(struct peer *peer, const uint8_t *frame, uint16_t length)
{
	uint32_t ip = peer->path.vlan == FRAME_NO_VLAN ? 14 : 18;

	peer->quote_bytes = min_u32(length - ip, QUOTE_BYTES_MAX);
	memcpy(peer->quote, frame + ip, peer->quote_bytes);
}

void judge_sent(void *context, const uint8_t *data, uint16_t length)
{
	struct world *world = context;
	char error[SEGMENT_ERROR_MAX];
	struct segment segment;
	struct frame frame;
	struct peer *peer;
	uint8_t flags;

	world->sent_count++;
	if (!frame_parse(&frame, data, length) || frame.kind != FRAME_TCP)
		FUZZ_FAIL("a frame that is malformed, or not TCP");
	peer = peer_find(world, &frame);
	if (!segment_read(&segment, &peer->path, data, length, error))
		FUZZ_FAIL("the server sent %s", error);
	if (length > world->netif.netif.mtu + 18)
		FUZZ_FAIL("a frame of %u bytes", length);
	tell(peer, &segment);
	quote_keep(peer, data, length);
	flags = segment.flags & ~FLAG_PSH;
	if (flags & FLAG_RST) {
		if ((flags & ~FLAG_ACK) != FLAG_RST || segment.length > 0)
			FUZZ_FAIL("a reset with flags 0x%02x", segment.flags);
		if (world->speaker == peer && (world->speaking->segment.flags & FLAG_RST))
			FUZZ_FAIL("a reset in answer to one");
	} else if (flags == (FLAG_SYN | FLAG_ACK)) {
		judge_hello(peer, &segment);
	} else if (flags == FLAG_ACK || flags == (FLAG_FIN | FLAG_ACK)) {
		judge_segment(peer, &segment);
	} else {
		FUZZ_FAIL("flags 0x%02x", segment.flags);
	}
}
