/* SPDX-License-Identifier: Apache-2.0 */
/* A peer: what it sends, whatever that is; and how a right one behaves. */
#include "sequence.h"

#include "frame_mend.h"

#define SYN_US        8
#define SEGMENT_BYTES 1200 /* of payload, when it behaves */

/* The initial sequence number that the segment's offsets count from. */
static uint32_t isn_of(const struct peer *peer, const struct segment *segment)
{
	uint32_t count = min_u32(peer->hello_count, HELLO_COUNT_MAX);

	if (peer->connection.stream != NULL)
		return peer->connection.hello.isn;
	for (uint32_t i = 1; i <= count; i++) {
		const struct hello *hello =
		    &peer->hellos[(peer->hello_count - i) % HELLO_COUNT_MAX];

		if (hello->iss == segment->ack - 1)
			return hello->isn;
	}
	return peer->connection.hello.isn;
}

static void note_offer(struct peer *peer, const struct segment *segment)
{
	bool raw = segment->raw_option_bytes > 0; /* may be any */
	struct offer *offer = peer->offers;

	while (offer < peer->offers + peer->offer_count && offer->isn != segment->seq)
		offer++;
	if (offer == peer->offers + peer->offer_count) {
		ASSERT(peer->offer_count < HELLO_COUNT_MAX);
		peer->offer_count++;
		*offer = (struct offer){.isn = segment->seq};
	}
	offer->ts = offer->ts || segment->has_ts || raw;
	offer->sack = offer->sack || segment->sack_permitted || raw;
	offer->scaling = offer->scaling || segment->has_wscale || raw;
	offer->mss = (uint16_t)max_u32(offer->mss, segment->has_mss ? segment->mss : 0);
	if (raw)
		offer->mss = UINT16_MAX;
	offer->shift = (uint8_t)max_u32(offer->shift, raw ? 14 : min_u32(segment->wscale, 14));
}

static void note_echo(struct peer *peer, const struct segment *segment)
{
	if (segment->raw_option_bytes > 0 || peer->echo_count == ECHO_COUNT_MAX)
		peer->echoes_unknown = true;
	/* a SYN without the option counts as 0 */
	if (!peer->echoes_unknown && (segment->has_ts || segment->flags & FLAG_SYN) &&
	    (peer->echo_count == 0 || peer->echoes[peer->echo_count - 1] != segment->ts_value))
		peer->echoes[peer->echo_count++] = segment->ts_value;
}

static void note_data(struct peer *peer, const struct utterance *utterance)
{
	struct connection *connection = &peer->connection;
	const struct segment *segment = &utterance->segment;
	uint32_t begin = peer_offset(connection, segment->seq);
	uint32_t end = begin + segment->length;
	uint8_t mark = utterance->falsely ? MARK_FALSE : MARK_TRUE;

	for (uint32_t at = begin; at != end; at++)
		if (at >= connection->acked && at < STREAM_BYTES_MAX &&
		    !(peer->marks[at] & MARK_HELD))
			peer->marks[at] |= mark;
	if ((segment->flags & FLAG_FIN) && end >= connection->acked && end < STREAM_BYTES_MAX)
		peer->marks[end++] |= MARK_FIN;
	if (end <= STREAM_BYTES_MAX)
		connection->marked_end = max_u32(connection->marked_end, end);
	else if (begin < STREAM_BYTES_MAX)
		connection->marked_end = STREAM_BYTES_MAX;
}

static void got_to(struct connection *connection, uint32_t offset)
{
	uint32_t kept = 0;

	connection->got = max_u32(connection->got, offset);
	for (uint32_t i = 0; i < connection->ahead_count; i++) {
		if (connection->ahead[i].begin <= connection->got)
			connection->got = max_u32(connection->got, connection->ahead[i].end);
		else
			connection->ahead[kept++] = connection->ahead[i];
	}
	connection->ahead_count = kept;
}

void peer_note(struct peer *peer, const struct utterance *utterance)
{
	struct connection *connection = &peer->connection;
	const struct segment *segment = &utterance->segment;
	uint32_t acked = server_offset(connection, segment->ack);

	note_echo(peer, segment);
	if (segment->flags & FLAG_SYN) {
		if (!(segment->flags & (FLAG_ACK | FLAG_RST | FLAG_FIN)))
			note_offer(peer, segment);
		return;
	}
	if (!connection->known || (segment->flags & FLAG_RST) || !(segment->flags & FLAG_ACK))
		return;
	note_data(peer, utterance);
	if (acked > connection->sent_end)
		return;
	connection->confirmed = max_u32(connection->confirmed, acked);
	connection->peer_edge =
	    max_u32(connection->peer_edge,
	            acked + ((uint32_t)segment->window << connection->hello.peer_shift));
	got_to(connection, acked); /* it says so: it will not get it again */
}

static void tell(const struct peer *peer, const struct utterance *utterance)
{
	struct segment_base base = {
	    .seq = isn_of(peer, &utterance->segment),
	    .ack = peer->connection.hello.iss,
	    .ts_value = peer->ts_base,
	    .ts_echo = peer->connection.hello.ts_value,
	};
	char text[SEGMENT_TEXT_MAX];

	if (!peer->world->trace)
		return;
	segment_format(text, &utterance->segment, &base);
	fprintf(stderr, "%12.6f %u >>> %s%s\n", (double)peer->world->now_us / 1e6, peer->index,
	        text, utterance->falsely ? " (false)" : "");
}

static const uint8_t *payload_of(const struct peer *peer, const struct utterance *utterance)
{
	const struct contents *contents = &peer->world->contents;
	uint32_t at = utterance->segment.seq - isn_of(peer, &utterance->segment) - 1 + CONTENT_HEAD;

	if (at >= CONTENT_HEAD + STREAM_BYTES_MAX)
		at %= 1024; /* outside of all windows */
	return (utterance->falsely ? contents->from_peer_false : contents->from_peer) + at;
}

static void inject(struct world *world, const uint8_t *frame, uint32_t length)
{
	uint32_t withheld = world->netif.withheld_count;

	world->netif.withheld_count = 0;
	if (!memory_netif_inject(&world->netif, frame, (uint16_t)length))
		FUZZ_FAIL("the netif takes no frame: some are lost");
	world->netif.withheld_count = withheld;
	net_poll(&world->net, world->now_us);
	world->speaker = NULL;
	if (!world->burst)
		world_settle(world);
}

void peer_say(struct peer *peer, const struct utterance *utterance)
{
	struct world *world = peer->world;
	struct segment segment = utterance->segment;
	bool bad = segment.bad_checksum || segment.data_offset >= 0 || segment.cut >= 0;
	uint8_t frame[SEGMENT_FRAME_MAX];
	uint64_t sent_before = world->sent_count;
	uint32_t length;

	segment.source_port = peer->port;
	segment.destination_port = SERVER_PORT;
	segment.payload = payload_of(peer, utterance);
	length = segment_write(frame, &peer->path, &segment);
	if (length == 0)
		return;
	peer->said[peer->said_count++ % SAID_COUNT] = *utterance;
	/* by the clock of RFC 6528 no two SYN-ACKs have one number, whether they leave or not */
	if (segment.flags & FLAG_SYN)
		world->now_us += SYN_US;
	tell(peer, utterance);
	peer->connection.lied = peer->connection.lied || utterance->is_lie;
	if (!bad)
		peer_note(peer, utterance);
	world->speaker = peer;
	world->speaking = utterance;
	if (bad) {
		bool burst = world->burst;

		world->burst = true;
		inject(world, frame, length);
		world->burst = burst;
		if (world->sent_count != sent_before)
			FUZZ_FAIL("an answer to a corrupt segment");
		if (burst)
			return;
		world_settle(world);
		return;
	}
	inject(world, frame, length);
}

void peer_set_timestamp(const struct peer *peer, struct segment *segment)
{
	segment->has_ts = true;
	segment->ts_value = peer->ts_base + (uint32_t)(peer->world->now_us / 1000);
	segment->ts_echo = peer->connection.ts_last;
}

struct utterance peer_compose(const struct peer *peer, uint8_t flags)
{
	const struct connection *connection = &peer->connection;
	const struct hello *hello = &connection->hello;
	struct utterance utterance = {
	    .segment = {.flags = flags, .data_offset = -1, .cut = -1},
	};
	struct segment *segment = &utterance.segment;
	uint32_t window = min_u32(peer->window >> hello->peer_shift, UINT16_MAX);

	segment->window = (uint16_t)window;
	if (connection->stream == NULL && peer->hello_count > 0) {
		hello = &peer->hellos[(peer->hello_count - 1) % HELLO_COUNT_MAX];
		segment->seq = hello->isn + 1;
		segment->ack = hello->iss + 1;
		segment->window = (uint16_t)min_u32(peer->window >> hello->peer_shift, UINT16_MAX);
	}
	if (connection->known && connection->hello.iss == hello->iss) {
		segment->seq = hello->isn + 1 + connection->said_end + connection->fin_said;
		segment->ack = hello->iss + 1 + connection->got;
	}
	if (hello->ts)
		peer_set_timestamp(peer, segment);
	if (segment->has_ts && connection->hello.iss != hello->iss)
		segment->ts_echo = hello->ts_value;
	return utterance;
}

/* What it has got: RFC 2018 4, the first block what has come twice (RFC 2883). */
void peer_add_sacks(const struct peer *peer, struct segment *segment)
{
	const struct connection *connection = &peer->connection;
	uint32_t base = connection->hello.iss + 1;
	uint32_t most = segment->has_ts ? 3 : SEGMENT_SACK_MAX;

	if (!connection->hello.sack || !connection->known)
		return;
	if (connection->twice_known) {
		segment->sack[0][0] = base + connection->twice.begin;
		segment->sack[0][1] = base + connection->twice.end;
		segment->sack_count = 1;
	}
	for (uint32_t i = 0; i < connection->ahead_count && segment->sack_count < most; i++) {
		segment->sack[segment->sack_count][0] = base + connection->ahead[i].begin;
		segment->sack[segment->sack_count++][1] = base + connection->ahead[i].end;
	}
	segment->has_sack = segment->sack_count > 0;
}

void peer_take(struct peer *peer, uint32_t begin, uint32_t end)
{
	struct connection *connection = &peer->connection;
	struct span *ahead = connection->ahead;
	uint32_t at = 0, next;

	connection->answer_owed = true;
	if (begin < connection->got) {
		connection->twice = (struct span){begin, min_u32(end, connection->got)};
		connection->twice_known = true;
	}
	if (begin <= connection->got) {
		got_to(connection, end);
		return;
	}
	while (at < connection->ahead_count && ahead[at].end < begin)
		at++;
	for (next = at; next < connection->ahead_count && ahead[next].begin <= end; next++) {
		begin = min_u32(begin, ahead[next].begin);
		end = max_u32(end, ahead[next].end);
	}
	if (next == at && connection->ahead_count == SPAN_COUNT_MAX)
		return; /* no place to note it: lost */
	memmove(&ahead[at + 1], &ahead[next], (connection->ahead_count - next) * sizeof(ahead[0]));
	connection->ahead_count -= next - at;
	connection->ahead_count++;
	ahead[at] = (struct span){begin, end};
}

void peer_say_data(struct peer *peer, uint32_t bytes, bool fin)
{
	struct connection *connection = &peer->connection;
	struct utterance utterance = peer_compose(peer, FLAG_ACK | FLAG_PSH);
	uint32_t end = min_u32(connection->edge, TALK_BYTES_MAX);

	if (connection->fin_said || !connection->known)
		return;
	bytes = min_u32(bytes, connection->said_end < end ? end - connection->said_end : 0);
	if (bytes == 0 && !fin)
		return;
	utterance.segment.length = bytes;
	utterance.segment.flags |= fin ? FLAG_FIN : 0;
	connection->said_end += bytes;
	connection->fin_said = fin;
	connection->answer_owed = false;
	peer_say(peer, &utterance);
}

bool peer_behave(struct peer *peer)
{
	struct connection *connection = &peer->connection;
	uint32_t acked = connection->acked;
	struct utterance utterance;
	uint32_t bytes;

	if (connection->stream == NULL)
		return false;
	if (connection->answer_owed) {
		connection->answer_owed = false;
		utterance = peer_compose(peer, FLAG_ACK);
		peer_add_sacks(peer, &utterance.segment);
		connection->twice_known = false;
		peer_say(peer, &utterance);
		return true;
	}
	if (acked >= connection->said_end + connection->fin_said)
		return false;
	bytes = min_u32(min_u32(connection->said_end - acked, SEGMENT_BYTES),
	                connection->edge > acked ? connection->edge - acked : 0);
	utterance = peer_compose(peer, FLAG_ACK);
	utterance.segment.seq = connection->hello.isn + 1 + acked;
	utterance.segment.length = bytes;
	if (connection->fin_said && acked + bytes == connection->said_end)
		utterance.segment.flags |= FLAG_FIN;
	if (bytes == 0 && connection->edge <= acked && connection->said_end > acked)
		utterance.segment.length = 1; /* a probe */
	peer_say(peer, &utterance);
	return true;
}

void peer_handshake(struct peer *peer, const struct segment *syn)
{
	struct connection *connection = &peer->connection;
	bool burst = peer->world->burst;
	struct utterance utterance = peer_compose(peer, FLAG_RST);

	if (peer->offer_count == HELLO_COUNT_MAX)
		return;
	peer->world->burst = false;
	if (connection->stream != NULL) { /* it has died, and come back */
		utterance.segment.seq = connection->hello.isn + 1 + connection->acked;
		peer_say(peer, &utterance);
	}
	utterance = (struct utterance){.segment = *syn};
	utterance.segment.seq = peer->next_isn;
	peer->next_isn += 0x20000;
	peer_say(peer, &utterance);
	if (connection->stream == NULL && peer->hello_count > 0 &&
	    peer->hellos[(peer->hello_count - 1) % HELLO_COUNT_MAX].isn == utterance.segment.seq) {
		utterance = peer_compose(peer, FLAG_ACK);
		peer_say(peer, &utterance);
	}
	peer->world->burst = burst;
}

void peer_say_icmp(struct peer *peer, uint8_t type, uint8_t code, uint16_t mtu, int32_t seq_moved)
{
	bool ip4 = ip_address_is_ip4(&peer->path.remote);
	uint32_t tcp = ip4 ? 20 : 40;
	uint8_t frame[512];
	uint8_t *icmp = frame_begin(frame, &peer->path, ip4 ? 1 : 58);
	struct mend_view view;
	uint32_t length;

	if (peer->quote_bytes < tcp + 8)
		return;
	memset(icmp, 0, 8);
	icmp[0] = type;
	icmp[1] = code;
	store_be16(icmp + 6, mtu);
	memcpy(icmp + 8, peer->quote, peer->quote_bytes);
	store_be32(icmp + 8 + tcp + 4, load_be32(icmp + 8 + tcp + 4) + (uint32_t)seq_moved);
	length = frame_finish(frame, &peer->path, ip4 ? 1 : 58, 8 + peer->quote_bytes);
	if (!mend_find(&view, frame, length))
		FUZZ_FAIL("the target's own frame is malformed");
	mend_checksums(&view, frame); /* ICMP has no pseudo-header, and load/frame.h no ICMP */
	if (peer->world->trace)
		fprintf(stderr, "%12.6f %u >>> ICMP %u %u mtu %u\n",
		        (double)peer->world->now_us / 1e6, peer->index, type, code, mtu);
	inject(peer->world, frame, length);
}
