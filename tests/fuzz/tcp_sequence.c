/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of segments, time, and an application's doings against the server's TCP, with peers that
 * behave or do not. After every step the invariants hold; whatever the server sends and delivers is
 * judged (sequence.h); in the end a peer that was always right has got and said everything, and
 * when all connections are gone nothing is left of them.
 *
 * Input: three bytes of options, then operations: a byte of enum operation (4 bits), peer (2 bits),
 * variant (2 bits), and what the operation reads besides. FUZZ_TRACE=1 tells what happens. */
#include "sequence.h"

#define OPERATIONS_MAX 200
#define ROUNDS_MAX     128 /* of good behaviour */

enum operation {
	PASS,
	HANDSHAKE,
	DATA,
	ACK,
	APPLICATION,
	BEHAVE,
	SEGMENT,
	LOSE,
	POOL,
	NETIF,
	AGAIN,
	ODD,
	ICMP,
	BURST,
	CORRUPT,
	FALSE_DATA,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct world_options options_read(struct input *input, bool *ret_by_abort)
{
	static const uint64_t clocks_us[4] = {
	    1000 * SECOND_US, (1ull << 32) - 2 * SECOND_US, /* microseconds wrap */
	    ((1ull << 32) - 3000) * 1000,                   /* milliseconds wrap */
	    ((1ull << 31) - 3000) * 1000,                   /* their sign does */
	};
	static const uint32_t blocks[4] = {BLOCK_COUNT, 32, 16, 8};
	static const uint32_t mtus[4] = {1500, 1280, 1400, 1900};
	static const uint32_t windows[8] = {2048, 4096, 8192, 16384, 32768, 65536, 3000, 65535};
	static const uint32_t isns[4] = {1000, 0u - 200, 0x7fffff00, 0xfffff000};
	static const uint64_t keepalives_us[4] = {0, SECOND_US, 60 * SECOND_US, 0};
	static const uint32_t ts_bases[4] = {1, 0u - 1000150, 0x7fffff00 - 1000000, 5000000};
	uint8_t first = input_u8(input), second = input_u8(input), third = input_u8(input);
	struct world_options options = {
	    .tcp = tcp_options_default(),
	    .block_count = blocks[first >> 4 & 3],
	    .mtu = mtus[first >> 6],
	    .clock_us = clocks_us[first >> 1 & 3],
	    .isn = isns[second >> 3 & 3],
	    .ts_base = ts_bases[second >> 5 & 3],
	};

	*ret_by_abort = (first >> 3 & 1) != 0;
	options.tcp.congestion = first % TCP_CONGESTION_COUNT;
	options.tcp.connection_count_max = third & 1 ? 2 : 6;
	options.tcp.half_open_count_max = third & 2 ? 1 : 4; /* what is beyond gets cookies */
	options.tcp.linger_count_max = third & 4 ? 1 : 4;
	options.tcp.orphan_count_max = third & 8 ? 1 : 4;
	options.tcp.source_connection_count_max = third & 16 ? 2 : 0;
	options.tcp.keepalive_us = keepalives_us[third >> 5 & 3];
	options.card = third >> 7 != 0;
	options.tcp.receive_window_bytes = windows[second & 7];
	options.tcp.user_timeout_us = 6 * SECOND_US;
	options.tcp.time_wait_us = 4 * SECOND_US;
	options.tcp.secret = (struct siphash_key){0x0706050403020100, 0x0f0e0d0c0b0a0908};
	return options;
}

/* A byte that stands for 0 … 1400 or so: small ones exactly. */
static uint32_t length_of(uint8_t code)
{
	return code < 64 ? code : (code - 63) * 7u + 64;
}

static void do_pass(struct input *input, struct world *world)
{
	static const uint64_t ms[16] = {1,   2,   5,    10,   20,   40,    100,     200,
	                                300, 500, 1000, 2000, 5000, 30000, 3600000, 2160000000};

	uint64_t us = ms[input_u8(input) & 15] * 1000;

	/* who waits for a device looks again every millisecond: days of it take too long */
	if (world->netif.withheld_count > 0)
		us = min_u64(us, 30 * SECOND_US);
	world_pass(world, us);
}

static struct segment syn_read(struct input *input)
{
	uint8_t mask = input_u8(input);
	struct segment syn = {
	    .flags = FLAG_SYN,
	    .window = (uint16_t)(input_u8(input) * 257u),
	    .has_ts = (mask & 1) != 0,
	    .sack_permitted = (mask & 2) != 0,
	    .has_wscale = (mask & 4) != 0,
	    .has_mss = (mask & 8) != 0,
	    .wscale = mask >> 4,
	    .data_offset = -1,
	    .cut = -1,
	};

	syn.mss = mask & 0x80 ? 100 : 1460;
	return syn;
}

static void do_handshake(struct input *input, struct peer *peer)
{
	struct segment syn = syn_read(input);

	if (syn.has_ts)
		peer_set_timestamp(peer, &syn);
	syn.ts_echo = 0;
	peer_handshake(peer, &syn);
}

static void do_data(struct input *input, struct peer *peer, uint8_t variant)
{
	struct connection *connection = &peer->connection;
	uint32_t bytes = length_of(input_u8(input));
	uint32_t end = min_u32(connection->edge, TALK_BYTES_MAX);

	if (connection->stream == NULL)
		return;
	if (variant == 2 && !connection->fin_said) { /* lost on its way */
		bytes = min_u32(bytes, connection->said_end < end ? end - connection->said_end : 0);
		connection->said_end += bytes;
		return;
	}
	for (int times = variant == 3 ? 4 : 1; times > 0; times--)
		peer_say_data(peer, bytes, variant == 1);
}

static void do_ack(struct input *input, struct peer *peer, uint8_t variant)
{
	struct connection *connection = &peer->connection;
	struct utterance utterance;
	uint8_t argument = variant > 0 ? input_u8(input) : 0;
	int times = variant == 2 ? 3 : 1;

	if (connection->stream == NULL)
		return;
	if (variant == 1)
		peer->window = argument * 257u;
	utterance = peer_compose(peer, FLAG_ACK);
	if (variant == 3) /* not all yet */
		utterance.segment.ack -=
		    min_u32(argument * 64u,
		            connection->got - min_u32(connection->confirmed, connection->got));
	else
		peer_add_sacks(peer, &utterance.segment);
	if (variant < 2) {
		connection->answer_owed = false;
		connection->twice_known = false;
	}
	while (times-- > 0)
		peer_say(peer, &utterance);
}

static void do_application(struct input *input, struct peer *peer, uint8_t variant)
{
	struct connection *connection = &peer->connection;
	uint8_t argument = input_u8(input);
	uint32_t value = argument >> 3;

	switch (argument & 7) {
	case 0: application_reply(peer, (value + 1) * (variant + 1) * 37, false); break;
	case 1: application_reply(peer, (value + 1) * 400 * (variant + 1), false); break;
	case 2: application_reply(peer, (value + 1) * 400, true); break;
	case 3: application_close(peer); break;
	case 4: application_abort(peer); break;
	case 5: connection->accept_bytes = value * 100; break;
	case 6: application_resume(peer, value == 31 ? UINT64_MAX : value * 100); break;
	case 7:
		connection->echo_bytes = (value & 7) * 60;
		connection->in_callback_close = (value & 8) != 0;
		connection->in_callback_abort = (value & 16) != 0;
		peer->world->rejects = variant == 3;
		break;
	}
	if (!peer->world->burst)
		world_settle(peer->world);
}

static void do_behave(struct input *input, struct world *world, struct peer *peer, uint8_t variant)
{
	uint32_t rounds = 1 + input_u8(input) % 32;

	for (; rounds > 0 && world->rounds_left > 0; rounds--, world->rounds_left--) {
		for (uint32_t i = 0; i < PEER_COUNT; i++)
			if (variant == 3 || peer == &world->peers[i])
				peer_behave(&world->peers[i]);
		world_pass(world, variant == 1 ? 50000 : 4000);
	}
}

/* Anything: numbers near what matters, or any at all. */
static uint32_t number_read(struct input *input, uint8_t mode, const uint32_t bases[3])
{
	if (mode == 3)
		return bases[0] + input_u32(input);
	return bases[mode] + (uint32_t)((int32_t)input_s8(input) * (mode == 2 ? 1 : 7));
}

static void sacks_read(struct input *input, const struct connection *connection,
                       struct segment *segment)
{
	segment->has_sack = true;
	segment->sack_count = 1 + (input_u8(input) & 3);
	for (uint32_t i = 0; i < segment->sack_count; i++) {
		uint32_t begin = connection->hello.iss + 1 + connection->confirmed +
		                 (uint32_t)((int32_t)input_s8(input) * 100);

		segment->sack[i][0] = begin;
		segment->sack[i][1] = begin + (uint32_t)((int32_t)input_s8(input) * 50);
	}
}

static void do_segment(struct input *input, struct peer *peer)
{
	struct connection *connection = &peer->connection;
	const struct hello *hello = &connection->hello;
	uint8_t flags = input_u8(input), select = input_u8(input), code;
	struct utterance utterance = peer_compose(peer, flags);
	struct segment *segment = &utterance.segment;
	uint32_t seq_bases[3] = {segment->seq, hello->isn + 1 + connection->acked,
	                         hello->isn + 1 + connection->edge};
	uint32_t ack_bases[3] = {segment->ack, hello->iss + 1 + connection->confirmed,
	                         hello->iss + 1 + connection->sent_end};

	segment->seq = number_read(input, select & 3, seq_bases);
	segment->ack = number_read(input, select >> 2 & 3, ack_bases);
	code = input_u8(input);
	segment->window = (uint16_t)(code < 128 ? code : (code - 127) * 512 - 1);
	segment->length = length_of(input_u8(input));
	if (select & 0x10) {
		int32_t moved = input_s8(input);

		segment->has_ts = !segment->has_ts;
		if (moved != 0)
			peer_set_timestamp(peer, segment);
		segment->ts_value += moved == INT8_MIN ? 0x80000000u : (uint32_t)(moved * 100);
	}
	if (select & 0x20)
		sacks_read(input, connection, segment);
	if (select & 0x40) {
		struct segment syn = syn_read(input);

		segment->has_mss = syn.has_mss;
		segment->mss = syn.mss;
		segment->has_wscale = syn.has_wscale;
		segment->wscale = syn.wscale;
		segment->sack_permitted = syn.sack_permitted;
	}
	if (select & 0x80) {
		segment->raw_option_bytes = input_u8(input) % (SEGMENT_OPTIONS_MAX + 1);
		for (uint32_t i = 0; i < segment->raw_option_bytes; i++)
			segment->raw_options[i] = input_u8(input);
	}
	if ((flags & FLAG_SYN) && peer->offer_count == HELLO_COUNT_MAX)
		return;
	utterance.is_lie = true;
	peer_say(peer, &utterance);
}

static void do_again(struct input *input, struct peer *peer, uint8_t variant)
{
	uint32_t back = 1 + input_u8(input) % SAID_COUNT;
	struct utterance utterance;

	if (peer->said_count < back)
		return;
	utterance = peer->said[(peer->said_count - back) % SAID_COUNT];
	if ((utterance.segment.flags & FLAG_SYN) && peer->offer_count == HELLO_COUNT_MAX)
		return;
	/* what the network brings again may be of another connection */
	utterance.is_lie = true;
	for (int times = 1 + variant; times > 0; times--)
		peer_say(peer, &utterance);
}

/* What a stranger or a restarted host might send. */
static void do_odd(struct input *input, struct peer *peer, uint8_t variant)
{
	struct connection *connection = &peer->connection;
	struct utterance utterance = peer_compose(peer, FLAG_ACK);
	uint8_t argument = input_u8(input);

	if (peer->offer_count == HELLO_COUNT_MAX)
		return;
	switch (variant) {
	case 0:
	case 1: utterance.segment.flags = FLAG_RST; break;
	case 2: utterance.segment.flags = FLAG_SYN; break;
	case 3: utterance.segment.flags = FLAG_ACK | FLAG_FIN; break;
	}
	utterance.segment.seq = connection->hello.isn + 1 + connection->acked;
	if (variant > 0)
		utterance.segment.seq += (uint32_t)((int32_t)(int8_t)argument * 32);
	utterance.is_lie = true;
	peer_say(peer, &utterance);
}

static void do_icmp(struct input *input, struct peer *peer)
{
	static const uint8_t types4[8] = {3, 3, 3, 3, 4, 11, 12, 5};
	static const uint8_t codes4[8] = {4, 3, 2, 1, 0, 0, 0, 0};
	static const uint8_t types6[8] = {2, 1, 1, 3, 4, 2, 1, 137};
	static const uint8_t codes6[8] = {0, 4, 1, 0, 1, 0, 3, 0};
	static const uint16_t mtus[8] = {1400, 1280, 576, 68, 0, 1499, 65535, 40};
	bool ip4 = ip_address_is_ip4(&peer->path.remote);
	uint8_t argument = input_u8(input);
	int8_t moved = input_s8(input);
	uint8_t kind = argument & 7;

	peer_say_icmp(peer, ip4 ? types4[kind] : types6[kind], ip4 ? codes4[kind] : codes6[kind],
	              mtus[argument >> 3 & 7], moved * 256);
}

static void do_corrupt(struct peer *peer, uint8_t variant)
{
	struct utterance utterance = peer_compose(peer, FLAG_ACK);

	utterance.segment.length = 20;
	switch (variant) {
	case 0: utterance.segment.bad_checksum = true; break;
	case 1: utterance.segment.data_offset = 4; break;
	case 2:
		utterance.segment.data_offset = 15;
		utterance.segment.length = 0;
		break;
	case 3: utterance.segment.cut = 12; break;
	}
	peer_say(peer, &utterance);
}

/* Other bytes for what was said, or will be. */
static void do_false_data(struct input *input, struct peer *peer, uint8_t variant)
{
	struct connection *connection = &peer->connection;
	struct utterance utterance = peer_compose(peer, FLAG_ACK);
	int8_t moved = input_s8(input);

	if (connection->stream == NULL)
		return;
	utterance.is_lie = true;
	utterance.segment.seq = connection->hello.isn + 1 + connection->acked +
	                        (uint32_t)((int32_t)moved * (variant & 1 ? 16 : 1));
	utterance.segment.length = length_of(input_u8(input));
	utterance.falsely = variant < 3;
	peer_say(peer, &utterance);
}

static void do_operation(struct input *input, struct world *world)
{
	uint8_t byte = input_u8(input);
	struct peer *peer = &world->peers[byte >> 4 & 3];
	uint8_t variant = byte >> 6;

	switch ((enum operation)(byte & 15)) {
	case PASS: do_pass(input, world); break;
	case HANDSHAKE: do_handshake(input, peer); break;
	case DATA: do_data(input, peer, variant); break;
	case ACK: do_ack(input, peer, variant); break;
	case APPLICATION: do_application(input, peer, variant); break;
	case BEHAVE: do_behave(input, world, peer, variant); break;
	case SEGMENT: do_segment(input, peer); break;
	case LOSE: peer->loss = variant == 3 ? UINT16_MAX : input_u8(input) << variant; break;
	case POOL:
		if (variant == 0)
			world_give_blocks(world);
		else
			world_take_blocks(world, variant == 3 ? UINT32_MAX : input_u8(input) % 64);
		break;
	case NETIF:
		world->netif.withheld_count = variant == 0 ? 0 : FRAME_COUNT - (variant - 1) * 2;
		break;
	case AGAIN: do_again(input, peer, variant); break;
	case ODD: do_odd(input, peer, variant); break;
	case ICMP: do_icmp(input, peer); break;
	case BURST: world->burst = variant != 0; break;
	case CORRUPT: do_corrupt(peer, variant); break;
	case FALSE_DATA: do_false_data(input, peer, variant); break;
	}
	if (!world->burst)
		world_settle(world);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world *world; /* made once: the fuzzer's time is for the fuzzed */
	struct input input = {data, size};
	struct world_options options;
	bool by_abort;

	if (world == NULL)
		world = world_create();
	options = options_read(&input, &by_abort);
	world_reset(world, &options);
	world->rounds_left = ROUNDS_MAX;
	for (int count = 0; count < OPERATIONS_MAX && input.length > 0; count++)
		do_operation(&input, world);
	world_wind_up(world, by_abort);
	return 0;
}
