/* SPDX-License-Identifier: Apache-2.0 */
/* What a SYN leads to, seen from inside: sequence numbers, timestamps, cookies, options; and the
 * clock, where its 32 bits wrap. */
#include "unit.h"

#include "load/frame.h"
#include "net/memory_netif.h"
#include "tcp/tcp_internal.h"

#include <stdlib.h>

#define FRAME_COUNT  64
#define BLOCK_COUNT  1024
#define PORT         11211
#define CLIENT_PORT  40000
#define CLIENT_ISS   0xfffffff0u
#define NOW_US       1000000ull
#define SECOND_US    1000000ull
#define WRAP_US      ((1ull << 32) * 1000) /* 2^32 ms: 49.7 days */
#define PERIOD_US    (1ull << 26)          /* of cookies */
#define TUPLE_COUNT  64
#define OPTION_BYTES 40
#define OTHER_COUNT  6

static const uint8_t our_mac[6] = {2, 0, 0, 0, 0, 1};

struct rig {
	struct memory_netif netif;
	struct block_pool blocks;
	struct port_options port;
	struct net net;
	struct tcp *tcp;
	struct net_path path;
	struct tuple tuple;
	struct stream *stream; /* the newest */
	void *region;
	uint64_t now_us;
	uint8_t sent[MEMORY_NETIF_FRAME_MAX]; /* the newest frame */
	uint32_t sent_length;
	uint32_t sent_count;
};

/* Two ends and what is between them; the rest is as it always is. */
struct setup {
	struct siphash_key secret;
	const char *local;
	const char *remote;
	uint16_t local_port;
	uint16_t remote_port;
	uint64_t now_us;
};

static struct setup setup_of(bool ip6)
{
	return (struct setup){
	    .secret = {1, 2},
	    .local = ip6 ? "fd00:198::2" : "198.18.0.2",
	    .remote = ip6 ? "fd00:198::9" : "198.18.0.9",
	    .local_port = PORT,
	    .remote_port = CLIENT_PORT,
	    .now_us = NOW_US,
	};
}

static void sent(void *context, const uint8_t *frame, uint16_t length)
{
	struct rig *rig = context;

	memcpy(rig->sent, frame, length);
	rig->sent_length = length;
	rig->sent_count++;
}

static bool opened(void *context, struct stream *stream)
{
	struct rig *rig = context;

	rig->stream = stream;
	return true;
}

static uint32_t received(void *context, struct stream *stream, const uint8_t *bytes,
                         uint32_t length)
{
	return length;
}

static void nothing(void *context, struct stream *stream)
{
}

static struct rig *rig_new(const struct setup *setup)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct tcp_options options = tcp_options_default();
	struct stream_user user = {opened, received, nothing, nothing, nothing, rig};
	struct net_options net_options = {.port = &rig->port};
	struct net_user net_user = {.context = rig};
	struct memory memory;

	options.connection_count_max = 4;
	options.half_open_count_max = 4;
	options.linger_count_max = 4;
	options.secret = setup->secret;
	memory =
	    (struct memory){.bytes = memory_netif_bytes(FRAME_COUNT) +
	                             block_pool_bytes(BLOCK_COUNT) + tcp_memory_bytes(&options)};
	rig->region = aligned_alloc(CACHE_LINE_BYTES, memory_rounded(memory.bytes));
	memset(rig->region, 0, memory_rounded(memory.bytes));
	memory.base = rig->region;
	rig->now_us = setup->now_us;
	rig->port = (struct port_options){
	    .kind = PORT_TAP, .address_count = 1, .tcp_port = setup->local_port, .allow_any = true};
	ip_address_parse(&rig->port.addresses[0].address, setup->local);
	memory_netif_create(&rig->netif, FRAME_COUNT, &memory, our_mac, 1500, sent, rig);
	net_create(&rig->net, &rig->netif.netif, &net_options, &net_user, rig->now_us);
	block_pool_create(&rig->blocks, BLOCK_COUNT, &memory, NULL);
	tcp_create(&rig->tcp, &options, &user, &rig->blocks, &memory, rig->now_us);
	rig->path = (struct net_path){.net = &rig->net, .vlan = NET_NO_VLAN};
	ip_address_parse(&rig->path.local, setup->local);
	ip_address_parse(&rig->path.remote, setup->remote);
	rig->tuple = tuple_of(rig->tcp, &rig->path, setup->local_port, setup->remote_port);
	return rig;
}

static struct rig *rig_usual(bool ip6)
{
	struct setup setup = setup_of(ip6);

	return rig_new(&setup);
}

static void rig_free(struct rig *rig)
{
	free(rig->region);
	free(rig);
}

/* A turn of the worker. */
static void rig_turn(struct rig *rig)
{
	tcp_advance(rig->tcp, rig->now_us);
	rig->netif.netif.ops->flush(&rig->netif.netif);
	tcp_check(rig->tcp);
}

/* A segment of the client without data; `reserved`: what stands behind the data offset. */
static void say(struct rig *rig, uint32_t seq, uint32_t ack, uint8_t flags, uint8_t reserved)
{
	uint8_t tcp[TCP_HEADER_BYTES] = {[12] = (uint8_t)(5 << 4 | reserved), [13] = flags};
	struct net_input input = {
	    .path = rig->path, .l4 = tcp, .l4_length = sizeof(tcp), .checksum_known = true};

	store_be16(tcp, CLIENT_PORT);
	store_be16(tcp + 2, rig->port.tcp_port);
	store_be32(tcp + 4, seq);
	store_be32(tcp + 8, ack);
	store_be16(tcp + 14, 60000);
	tcp_input(rig->tcp, &input, rig->now_us);
	rig_turn(rig);
}

/* The header of the server's newest segment. */
static const uint8_t *said(const struct rig *rig)
{
	static struct frame frame;

	CU_ASSERT_TRUE_FATAL(frame_parse(&frame, rig->sent, rig->sent_length));
	CU_ASSERT_TRUE(frame.checksum_good);
	return frame.l4.data;
}

/* What a SYN between these two agrees on. `before`: as for listen_input(). */
static struct handshake shaken(const struct setup *setup, const uint32_t *before)
{
	struct rig *rig = rig_new(setup);
	struct tcp_segment syn = {.seq = CLIENT_ISS, .flags = TCP_FLAG_SYN};
	struct half_open *half_open;
	struct handshake agreed;

	listen_input(rig->tcp, &rig->tuple, &syn, before, rig->now_us);
	half_open = half_open_find(rig->tcp, &rig->tuple);
	CU_ASSERT_PTR_NOT_NULL_FATAL(half_open);
	agreed = half_open->agreed;
	rig_free(rig);
	return agreed;
}

static uint32_t sequence_hash(const struct setup *setup)
{
	return shaken(setup, NULL).iss - (uint32_t)(setup->now_us / 4);
}

/* Of what makes two connections different, each once. */
static void others_than(const struct setup *one, struct setup others[OTHER_COUNT])
{
	bool ip6 = strchr(one->local, ':') != NULL;

	for (int i = 0; i < OTHER_COUNT; i++)
		others[i] = *one;
	others[0].remote_port ^= 1;
	others[1].local_port ^= 1;
	others[2].remote = ip6 ? "fd00:198::8" : "198.18.0.8";
	others[3].local = ip6 ? "fd00:198::3" : "198.18.0.3";
	others[4].secret.k0 ^= 1;
	others[5].secret.k1 ^= 1;
}

static void test_initial_numbers_tick_each_4_us(void)
{
	static const struct {
		uint64_t later_us;
		uint32_t more;
	} tries[] = {{3, 0},          {4, 1},
	             {7, 1},          {SECOND_US, 250000},
	             {4ull << 32, 0}, {(4ull << 32) - 4, UINT32_MAX}};
	struct setup setup = setup_of(false);
	uint32_t first = shaken(&setup, NULL).iss;

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		setup.now_us = NOW_US + tries[i].later_us;
		CU_ASSERT_EQUAL(shaken(&setup, NULL).iss - first, tries[i].more);
	}
}

/* Timestamps of the next connection of the same two go on, so that they are later (RFC 6191 2). */
static void test_numbers_differ_by_who_talks_to_whom(void)
{
	for (int ip6 = 0; ip6 < 2; ip6++) {
		struct setup one = setup_of(ip6 != 0), others[OTHER_COUNT];
		uint32_t sequence = sequence_hash(&one), offset = shaken(&one, NULL).ts_offset;

		others_than(&one, others);
		for (int i = 0; i < OTHER_COUNT; i++) {
			CU_ASSERT_NOT_EQUAL(sequence_hash(&others[i]), sequence);
			CU_ASSERT_NOT_EQUAL(shaken(&others[i], NULL).ts_offset, offset);
		}
		one.now_us += 3600 * SECOND_US;
		CU_ASSERT_EQUAL(sequence_hash(&one), sequence);
		CU_ASSERT_EQUAL(shaken(&one, NULL).ts_offset, offset);
	}
}

/* What is seen of some connections says nothing of others: neither by a fixed distance from port to
 * port, nor by a fixed distance between a connection's two numbers. */
static void test_neighbours_have_nothing_in_common(void)
{
	uint32_t sequence[TUPLE_COUNT], offset[TUPLE_COUNT];
	struct setup setup = setup_of(false);

	for (uint16_t i = 0; i < TUPLE_COUNT; i++) {
		setup.remote_port = CLIENT_PORT + i;
		sequence[i] = sequence_hash(&setup);
		offset[i] = shaken(&setup, NULL).ts_offset;
	}
	for (int i = 1; i < TUPLE_COUNT; i++) {
		for (int k = i + 1; k < TUPLE_COUNT; k++) {
			CU_ASSERT_NOT_EQUAL(sequence[i] - sequence[i - 1],
			                    sequence[k] - sequence[k - 1]);
			CU_ASSERT_NOT_EQUAL(offset[i] - offset[i - 1], offset[k] - offset[k - 1]);
			CU_ASSERT_NOT_EQUAL(sequence[i] - offset[i], sequence[k] - offset[k]);
			CU_ASSERT_NOT_EQUAL(sequence[i] ^ offset[i], sequence[k] ^ offset[k]);
		}
	}
}

/* RFC 9293 3.6.1 MAY-2 (1). */
static void test_numbers_begin_above_the_old_ones(void)
{
	struct setup setup = setup_of(false);
	uint32_t iss = shaken(&setup, NULL).iss;
	uint32_t far_behind = iss - 0x40000000, ahead = iss + 0x10000000;

	CU_ASSERT_EQUAL(shaken(&setup, &far_behind).iss, iss);
	CU_ASSERT_TRUE(seq_after(shaken(&setup, &iss).iss, iss));
	CU_ASSERT_TRUE(seq_after(shaken(&setup, &ahead).iss, ahead));
}

/* RFC 9293 3.1: reserved bits are zero when sent, and not looked at when received. */
static void test_reserved_bits_are_not_looked_at(void)
{
	for (uint8_t reserved = 0; reserved < 16; reserved++) {
		struct rig *rig = rig_usual(false);

		say(rig, CLIENT_ISS, 0, TCP_FLAG_SYN, reserved);
		CU_ASSERT_EQUAL_FATAL(rig->sent_count, 1);
		CU_ASSERT_EQUAL(said(rig)[12] & 0x0f, 0);
		CU_ASSERT_EQUAL(said(rig)[13], TCP_FLAG_SYN | TCP_FLAG_ACK);
		rig_free(rig);
	}
}

/* Cookies. */

struct cookie {
	struct handshake agreed;
	struct tcp_segment answer; /* that brings it back */
};

static struct cookie cookie_of(const struct rig *rig, const struct handshake *offered)
{
	struct cookie cookie = {.agreed = *offered};
	uint32_t ts_value = cookie_make(rig->tcp, &rig->tuple, &cookie.agreed, rig->now_us);

	cookie.answer = (struct tcp_segment){
	    .seq = offered->irs + 1,
	    .ack = cookie.agreed.iss + 1,
	    .flags = TCP_FLAG_ACK,
	    .has_timestamp = offered->timestamps,
	    .ts_value = 300,
	    .ts_echo = ts_value,
	};
	return cookie;
}

static bool is_good(const struct rig *rig, const struct tuple *tuple,
                    const struct tcp_segment *answer)
{
	struct handshake agreed;

	return cookie_read(rig->tcp, tuple, answer, rig->now_us, &agreed);
}

static void test_a_cookie_holds_an_mss(void)
{
	static const uint16_t sizes[] = {536, 1024, 1220, 1340, 1400, 1440, 1460, 8940};
	struct rig *rig = rig_usual(false);
	size_t at = 0;

	for (uint16_t mss = 536; mss < 9000; mss++) {
		struct handshake offered = {.irs = CLIENT_ISS, .mss = mss}, agreed;
		struct cookie cookie = cookie_of(rig, &offered);

		if (at + 1 < sizeof(sizes) / sizeof(sizes[0]) && mss == sizes[at + 1])
			at++;
		CU_ASSERT_TRUE_FATAL(
		    cookie_read(rig->tcp, &rig->tuple, &cookie.answer, rig->now_us, &agreed));
		CU_ASSERT_EQUAL(agreed.mss, sizes[at]);
		CU_ASSERT_EQUAL(cookie.agreed.mss, sizes[at]);
		CU_ASSERT_EQUAL(agreed.irs, offered.irs);
		CU_ASSERT_EQUAL(agreed.iss, cookie.agreed.iss);
	}
	rig_free(rig);
}

static void test_a_cookie_holds_scale_and_sack(void)
{
	struct rig *rig = rig_usual(true);

	for (int shift = -1; shift <= 14; shift++) {
		for (int bits = 0; bits < 4; bits++) {
			struct handshake offered = {
			    .irs = CLIENT_ISS,
			    .mss = 1440,
			    .timestamps = (bits & 1) != 0,
			    .sack_permitted = (bits & 2) != 0,
			    .window_scaling = shift >= 0,
			    .send_shift = shift >= 0 ? (uint8_t)shift : 0,
			};
			struct cookie cookie = cookie_of(rig, &offered);
			bool held = offered.timestamps; /* else there is no room for it */
			struct handshake agreed;

			CU_ASSERT_TRUE_FATAL(cookie_read(rig->tcp, &rig->tuple, &cookie.answer,
			                                 rig->now_us, &agreed));
			CU_ASSERT_EQUAL(agreed.timestamps, offered.timestamps);
			CU_ASSERT_EQUAL(agreed.sack_permitted, held && offered.sack_permitted);
			CU_ASSERT_EQUAL(agreed.window_scaling, held && offered.window_scaling);
			CU_ASSERT_EQUAL(agreed.send_shift, held ? offered.send_shift : 0);
			/* and the SYN-ACK has said no more than that */
			CU_ASSERT_EQUAL(cookie.agreed.sack_permitted, agreed.sack_permitted);
			CU_ASSERT_EQUAL(cookie.agreed.window_scaling, agreed.window_scaling);
		}
	}
	rig_free(rig);
}

/* The peer would drop what follows with an earlier one (PAWS). */
static void test_a_cookie_is_never_ahead_of_the_clock(void)
{
	struct rig *rig = rig_usual(false);

	for (uint32_t ms = 0; ms < 256; ms++) {
		/* from before the timestamps wrap to after it */
		struct handshake offered = {
		    .timestamps = true,
		    .sack_permitted = true,
		    .window_scaling = true,
		    .send_shift = (uint8_t)(ms % 15),
		    .ts_offset = 0u - (uint32_t)(NOW_US / 1000) - 128 + ms,
		};
		uint32_t now_ts = (uint32_t)(NOW_US / 1000) + offered.ts_offset;
		uint32_t late = now_ts - cookie_of(rig, &offered).answer.ts_echo;

		CU_ASSERT_TRUE(late < 128);
	}
	rig_free(rig);
}

/* Of numbers, ports, addresses and secret. What the timestamp holds is not covered: a client can
 * only spoil its own connection by it. */
static void test_a_flipped_bit_is_refused(void)
{
	for (int ip6 = 0; ip6 < 2; ip6++) {
		struct setup setup = setup_of(ip6 != 0);
		struct rig *rig = rig_new(&setup), *other_rig;
		struct handshake offered = {.irs = CLIENT_ISS, .mss = 1460};
		struct cookie cookie = cookie_of(rig, &offered);

		CU_ASSERT_TRUE(is_good(rig, &rig->tuple, &cookie.answer));
		for (int bit = 0; bit < 32; bit++) {
			struct tcp_segment answer = cookie.answer;
			struct tuple other = rig->tuple;

			answer.ack ^= 1u << bit;
			CU_ASSERT_FALSE(is_good(rig, &rig->tuple, &answer));
			answer = cookie.answer;
			answer.seq ^= 1u << bit;
			CU_ASSERT_FALSE(is_good(rig, &rig->tuple, &answer));
			*(bit < 16 ? &other.local_port : &other.remote_port) ^=
			    (uint16_t)(1u << bit % 16);
			CU_ASSERT_FALSE(is_good(rig, &other, &cookie.answer));
		}
		for (int bit = 0; bit < 2 * 128; bit++) {
			struct net_path path = rig->path;
			struct tuple other = {&path, PORT, CLIENT_PORT, rig->tuple.hash};
			struct ip_address *address = bit < 128 ? &path.local : &path.remote;

			address->bytes[bit % 128 / 8] ^= (uint8_t)(1u << bit % 8);
			CU_ASSERT_FALSE(is_good(rig, &other, &cookie.answer));
		}
		setup.secret.k1 ^= 1;
		other_rig = rig_new(&setup);
		CU_ASSERT_FALSE(is_good(other_rig, &rig->tuple, &cookie.answer));
		rig_free(other_rig);
		rig_free(rig);
	}
}

static void test_a_cookie_lasts_two_periods(void)
{
	struct rig *rig = rig_usual(false);
	struct handshake offered = {.irs = CLIENT_ISS, .mss = 1460};

	/* also where the period's five bits begin anew */
	for (uint64_t period = 30; period < 34; period++) {
		struct cookie cookie;

		rig->now_us = (period + 1) * PERIOD_US - 1;
		cookie = cookie_of(rig, &offered);
		CU_ASSERT_TRUE(is_good(rig, &rig->tuple, &cookie.answer));
		rig->now_us = (period + 2) * PERIOD_US - 1;
		CU_ASSERT_TRUE(is_good(rig, &rig->tuple, &cookie.answer));
		rig->now_us = (period + 2) * PERIOD_US;
		CU_ASSERT_FALSE(is_good(rig, &rig->tuple, &cookie.answer));
		rig->now_us = (period + 32) * PERIOD_US;
		CU_ASSERT_FALSE(is_good(rig, &rig->tuple, &cookie.answer));
		rig->now_us = (period - 1) * PERIOD_US; /* nobody can have it yet */
		CU_ASSERT_FALSE(is_good(rig, &rig->tuple, &cookie.answer));
	}
	rig_free(rig);
}

static bool length_is_right(uint8_t kind, uint32_t bytes, bool syn)
{
	switch (kind) {
	case 2: return !syn || bytes == 4;
	case 3: return !syn || bytes == 3;
	case 4: return !syn || bytes == 2;
	case 5: return bytes == 10 || bytes == 18 || bytes == 26 || bytes == 34;
	case 8: return bytes == 10;
	default: return true;
	}
}

/* RFC 9293 3.1 MUST-7: MSS, window scale, SACK-permitted, SACK, timestamps and one nobody knows, of
 * every length, in every header: on the heap, so that a sanitizer sees what is read beyond it. */
static void test_broken_option_lengths_are_refused(void)
{
	static const uint8_t kinds[] = {2, 3, 4, 5, 8, 254};

	for (uint32_t header = 1; header <= OPTION_BYTES; header++) {
		uint8_t *options = malloc(header);

		for (uint32_t i = 0; i < sizeof(kinds) * 256 * 2; i++) {
			uint8_t kind = kinds[i % sizeof(kinds)];
			uint32_t bytes = i / sizeof(kinds) % 256;
			bool syn = i >= sizeof(kinds) * 256;
			struct tcp_segment segment = {.flags = syn ? TCP_FLAG_SYN : TCP_FLAG_ACK};
			bool fits = header >= 2 && bytes >= 2 && bytes <= header;

			memset(options, 1, header); /* NOP */
			options[0] = kind;
			if (header > 1)
				options[1] = (uint8_t)bytes;
			CU_ASSERT_EQUAL(tcp_options_parse(options, header, &segment),
			                fits && length_is_right(kind, bytes, syn));
		}
		free(options);
	}
}

/* RFC 5681 3.1: "if the above formula yields 0, the result SHOULD be rounded up to 1 byte". */
static void test_an_increment_of_zero_is_a_byte(void)
{
	struct tcp_connection connection = {
	    .mss = 536, .cwnd = 1u << 30, .ssthresh = 1u << 20, .cwnd_limited = true};

	congestion_newreno.acked(&connection, 1, NOW_US);
	CU_ASSERT_EQUAL(connection.cwnd, (1u << 30) + 1);
	congestion_newreno.acked(&connection, 536, NOW_US);
	CU_ASSERT_EQUAL(connection.cwnd, (1u << 30) + 2);
}

/* RFC 5681 3.1. */
static void test_newreno_halves_once(void)
{
	struct tcp_connection connection = {
	    .mss = 1000, .cwnd = 10000, .ssthresh = UINT32_MAX, .snd_nxt = 10000};

	congestion_newreno.timed_out(&connection, NOW_US);
	CU_ASSERT_EQUAL(connection.ssthresh, 5000);
	connection.retransmit_count = 1;
	connection.snd_una = 6000; /* what is in flight has become less, which is no reason */
	congestion_newreno.timed_out(&connection, NOW_US);
	CU_ASSERT_EQUAL(connection.ssthresh, 5000);
}

/* Goes from deadline to deadline until something is sent. Returns when. */
static uint64_t sent_at(struct rig *rig)
{
	uint32_t before = rig->sent_count;

	while (rig->sent_count == before) {
		uint64_t next_us = tcp_next_deadline_us(rig->tcp);

		CU_ASSERT_TRUE_FATAL(next_us > rig->now_us &&
		                     next_us <= rig->now_us + 2 * SECOND_US);
		rig->now_us = next_us;
		rig_turn(rig);
	}
	return rig->now_us;
}

static void test_deadlines_pass_the_wrap(void)
{
	struct setup setup = setup_of(false);
	struct rig *rig;
	uint32_t iss;

	/* a SYN-ACK that comes again */
	setup.now_us = WRAP_US - SECOND_US / 2;
	rig = rig_new(&setup);
	say(rig, CLIENT_ISS, 0, TCP_FLAG_SYN, 0);
	CU_ASSERT_EQUAL(tcp_next_deadline_us(rig->tcp), setup.now_us + SECOND_US);
	CU_ASSERT_EQUAL(sent_at(rig), setup.now_us + SECOND_US);
	CU_ASSERT_EQUAL(tcp_next_deadline_us(rig->tcp), setup.now_us + 3 * SECOND_US);
	rig_free(rig);
	/* a reply and a FIN, lost once, and a TIME_WAIT that lasts beyond the wrap */
	setup.now_us = WRAP_US - 30 * SECOND_US;
	rig = rig_new(&setup);
	say(rig, CLIENT_ISS, 0, TCP_FLAG_SYN, 0);
	iss = load_be32(said(rig) + 4);
	say(rig, CLIENT_ISS + 1, iss + 1, TCP_FLAG_ACK, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(rig->stream);
	CU_ASSERT_EQUAL(tcp_next_deadline_us(rig->tcp), UINT64_MAX);
	CU_ASSERT_TRUE(chain_append(&rig->stream->out, "ERROR\r\n", 7));
	rig->stream->ops->close(rig->stream);
	CU_ASSERT_EQUAL(tcp_next_deadline_us(rig->tcp), 0); /* now */
	rig_turn(rig);
	CU_ASSERT_EQUAL(sent_at(rig), setup.now_us + SECOND_US / 5);
	say(rig, CLIENT_ISS + 1, iss + 9, TCP_FLAG_ACK | TCP_FLAG_FIN, 0);
	CU_ASSERT_EQUAL(tcp_next_deadline_us(rig->tcp), rig->now_us + 60 * SECOND_US);
	rig->now_us += 60 * SECOND_US;
	rig_turn(rig);
	CU_ASSERT_EQUAL(tcp_next_deadline_us(rig->tcp), UINT64_MAX);
	rig_free(rig);
}

static const struct unit_case cases[] = {
    {"initial sequence numbers tick each 4 us", test_initial_numbers_tick_each_4_us},
    {"numbers differ by who talks to whom", test_numbers_differ_by_who_talks_to_whom},
    {"numbers of neighbours have nothing in common", test_neighbours_have_nothing_in_common},
    {"numbers begin above those of TIME_WAIT", test_numbers_begin_above_the_old_ones},
    {"reserved bits are not looked at, and not sent", test_reserved_bits_are_not_looked_at},
    {"a cookie holds the next smaller MSS", test_a_cookie_holds_an_mss},
    {"a cookie holds window scale and SACK", test_a_cookie_holds_scale_and_sack},
    {"a cookie is never ahead of the clock", test_a_cookie_is_never_ahead_of_the_clock},
    {"a cookie with a flipped bit is refused", test_a_flipped_bit_is_refused},
    {"a cookie lasts two periods", test_a_cookie_lasts_two_periods},
    {"options of every broken length are refused", test_broken_option_lengths_are_refused},
    {"an increment that rounds to zero is a byte", test_an_increment_of_zero_is_a_byte},
    {"NewReno halves once, however often it times out", test_newreno_halves_once},
    {"deadlines stay ahead where the clock wraps", test_deadlines_pass_the_wrap},
};

int main(void)
{
	return UNIT_RUN("tcp_handshake", cases);
}
