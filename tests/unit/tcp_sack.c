/* SPDX-License-Identifier: Apache-2.0 */
/* What the server's TCP says of out-of-order data, and what window it offers; segments are built by
 * hand, so that a client's view does not stand in between. */
#include "tcp/tcp.h"

#include "load/frame.h"
#include "net/memory_netif.h"
#include "unit.h"

#include <stdlib.h>

#define FRAME_COUNT  256
#define BLOCK_COUNT  4096
#define WINDOW_BYTES 65536u
#define CLIENT_ISS   0xfffff000u /* sequence numbers wrap on the way */
#define OPTION_SACK  5
#define FLAG_SYN     0x02
#define FLAG_ACK     0x10
#define SENT_MAX     64

static const uint8_t our_mac[6] = {2, 0, 0, 0, 0, 1};

struct rig {
	struct memory_netif netif;
	struct block_pool blocks;
	struct port_options port;
	struct net net;
	struct tcp *tcp;
	struct frame_path path;
	void *region;
	uint64_t now_us;
	bool refuses; /* the user takes nothing */
	bool timestamps;
	uint32_t taken_bytes;
	uint32_t server_next; /* the server's next sequence number */
	uint8_t sent[SENT_MAX][MEMORY_NETIF_FRAME_MAX];
	uint16_t sent_length[SENT_MAX];
	uint32_t sent_count;
};

static void sent(void *context, const uint8_t *frame, uint16_t length)
{
	struct rig *rig = context;

	CU_ASSERT_TRUE_FATAL(rig->sent_count < SENT_MAX);
	memcpy(rig->sent[rig->sent_count], frame, length);
	rig->sent_length[rig->sent_count++] = length;
}

static void segment(void *context, const struct net_input *input, uint64_t now_us)
{
	struct rig *rig = context;

	tcp_input(rig->tcp, input, now_us);
}

static void datagram(void *context, const struct net_input *input, uint16_t source_port,
                     struct slice payload, uint64_t now_us)
{
}

static bool opened(void *context, struct stream *stream)
{
	return true;
}

static uint32_t received(void *context, struct stream *stream, const uint8_t *bytes,
                         uint32_t length)
{
	struct rig *rig = context;
	uint32_t taken = rig->refuses ? 0 : length;

	rig->taken_bytes += taken;
	return taken;
}

static void nothing(void *context, struct stream *stream)
{
}

/* The server's last segment. */
static const uint8_t *last_header(const struct rig *rig)
{
	static struct frame frame;

	CU_ASSERT_TRUE_FATAL(rig->sent_count > 0);
	CU_ASSERT_TRUE_FATAL(frame_parse(&frame, rig->sent[rig->sent_count - 1],
	                                 rig->sent_length[rig->sent_count - 1]));
	CU_ASSERT_TRUE(frame.checksum_good);
	return frame.l4.data;
}

/* A segment of the client: `offset` counts from its first byte of data. */
static void say(struct rig *rig, uint32_t offset, uint32_t length, uint8_t flags,
                const uint8_t *options, uint32_t option_bytes)
{
	uint8_t frame[MEMORY_NETIF_FRAME_MAX];
	uint8_t *tcp = frame_begin(frame, &rig->path, FRAME_PROTOCOL_TCP);
	uint32_t seq = flags & FLAG_SYN ? CLIENT_ISS : CLIENT_ISS + 1 + offset;

	memset(tcp, 0, 20);
	store_be16(tcp, 40000);
	store_be16(tcp + 2, 11211);
	store_be32(tcp + 4, seq);
	store_be32(tcp + 8, flags & FLAG_ACK ? rig->server_next : 0);
	tcp[12] = (uint8_t)((20 + option_bytes) / 4 << 4);
	tcp[13] = flags;
	store_be16(tcp + 14, 60000);
	memcpy(tcp + 20, options, option_bytes);
	memset(tcp + 20 + option_bytes, 'x', length);
	memory_netif_inject(&rig->netif, frame,
	                    (uint16_t)frame_finish(frame, &rig->path, FRAME_PROTOCOL_TCP,
	                                           20 + option_bytes + length));
	net_poll(&rig->net, rig->now_us);
	tcp_advance(rig->tcp, rig->now_us);
	tcp_check(rig->tcp);
}

static void say_data(struct rig *rig, uint32_t offset, uint32_t length)
{
	uint8_t timestamp[12] = {1, 1, 8, 10, 0, 0, 0, 9};

	say(rig, offset, length, FLAG_ACK, timestamp, rig->timestamps ? 12 : 0);
}

static struct rig *rig_established(bool timestamps)
{
	/* MSS 1460; SACK permitted; window scale 7; padding, or timestamps */
	static const uint8_t syn[24] = {2, 4, 5, 180, 4, 2,  3, 3, 7, 1,
	                                1, 1, 1, 1,   8, 10, 0, 0, 0, 9};
	struct rig *rig = calloc(1, sizeof(*rig));
	struct tcp_options options = tcp_options_default();
	struct net_user net_user = {.segment = segment, .datagram = datagram, .context = rig};
	struct net_options net_options = {.port = &rig->port};
	struct stream_user user = {opened, received, nothing, nothing, nothing, rig};
	struct memory memory;

	options.connection_count_max = 4;
	options.receive_window_bytes = WINDOW_BYTES;
	memory =
	    (struct memory){.bytes = memory_netif_bytes(FRAME_COUNT) +
	                             block_pool_bytes(BLOCK_COUNT) + tcp_memory_bytes(&options)};
	rig->region = aligned_alloc(CACHE_LINE_BYTES, memory_rounded(memory.bytes));
	memset(rig->region, 0, memory_rounded(memory.bytes));
	memory.base = rig->region;
	rig->now_us = 1000000;
	rig->timestamps = timestamps;
	rig->port = (struct port_options){
	    .kind = PORT_TAP, .address_count = 1, .tcp_port = 11211, .allow_any = true};
	ip_prefix_parse(&rig->port.addresses[0], "198.18.0.2/24");
	ip_address_parse(&rig->path.local, "198.18.0.9");
	ip_address_parse(&rig->path.remote, "198.18.0.2");
	rig->path.vlan = FRAME_NO_VLAN;
	rig->path.local_mac[0] = 2;
	memcpy(rig->path.remote_mac, our_mac, 6);
	memory_netif_create(&rig->netif, FRAME_COUNT, &memory, our_mac, 1500, sent, rig);
	net_create(&rig->net, &rig->netif.netif, &net_options, &net_user, rig->now_us);
	block_pool_create(&rig->blocks, BLOCK_COUNT, &memory, NULL);
	tcp_create(&rig->tcp, &options, &user, &rig->blocks, &memory, rig->now_us);
	say(rig, 0, 0, FLAG_SYN, syn, timestamps ? 24 : 12);
	rig->server_next = load_be32(last_header(rig) + 4) + 1;
	say_data(rig, 0, 0);
	rig->sent_count = 0;
	return rig;
}

static void rig_free(struct rig *rig)
{
	free(rig->region);
	free(rig);
}

/* The last segment's SACK blocks, as offsets of data. Returns how many; options must be sound. */
static uint32_t sack_blocks(const struct rig *rig, uint32_t blocks[4][2])
{
	const uint8_t *tcp = last_header(rig);
	uint32_t end = (tcp[12] >> 4) * 4u;
	uint32_t count = 0;

	for (uint32_t at = 20; at < end;) {
		if (tcp[at] == 1) {
			at++;
			continue;
		}
		CU_ASSERT_TRUE_FATAL(at + 1 < end && tcp[at + 1] >= 2 && at + tcp[at + 1] <= end);
		if (tcp[at] == OPTION_SACK) {
			count = (tcp[at + 1] - 2u) / 8;
			for (uint32_t i = 0; i < 2 * count; i++)
				blocks[i / 2][i % 2] =
				    load_be32(tcp + at + 2 + 4 * i) - (CLIENT_ISS + 1);
		}
		at += tcp[at + 1];
	}
	return count;
}

static void test_newest_range_comes_first(void)
{
	for (int timestamps = 0; timestamps < 2; timestamps++) {
		struct rig *rig = rig_established(timestamps != 0);
		uint32_t count_max = timestamps ? 3 : 4; /* 40 bytes of options hold no more */
		uint32_t blocks[4][2];

		for (uint32_t i = 1; i <= 6; i++) {
			say_data(rig, i * 3000, 1000);
			CU_ASSERT_EQUAL(sack_blocks(rig, blocks), min_u32(i, count_max));
			CU_ASSERT_EQUAL(blocks[0][0], i * 3000);
			CU_ASSERT_EQUAL(blocks[0][1], i * 3000 + 1000);
		}
		say_data(rig, 10000, 500); /* one in the middle grows */
		CU_ASSERT_EQUAL(sack_blocks(rig, blocks), count_max);
		CU_ASSERT_EQUAL(blocks[0][0], 9000);
		CU_ASSERT_EQUAL(blocks[0][1], 10500);
		/* the others are other ranges that are really there, each once */
		for (uint32_t i = 1; i < count_max; i++) {
			CU_ASSERT_EQUAL(blocks[i][0] % 3000, 0);
			CU_ASSERT_TRUE(blocks[i][0] >= 3000 && blocks[i][0] <= 18000 &&
			               blocks[i][0] != 9000);
			CU_ASSERT_EQUAL(blocks[i][1], blocks[i][0] + 1000);
			for (uint32_t k = 1; k < i; k++)
				CU_ASSERT_NOT_EQUAL(blocks[i][0], blocks[k][0]);
		}
		rig_free(rig);
	}
}

static void test_filled_gap_ends_it(void)
{
	struct rig *rig = rig_established(true);
	uint32_t blocks[4][2];

	say_data(rig, 1000, 1000);
	CU_ASSERT_EQUAL(sack_blocks(rig, blocks), 1);
	CU_ASSERT_EQUAL(load_be32(last_header(rig) + 8), CLIENT_ISS + 1);
	say_data(rig, 0, 1000);
	CU_ASSERT_EQUAL(sack_blocks(rig, blocks), 0);
	CU_ASSERT_EQUAL(load_be32(last_header(rig) + 8), CLIENT_ISS + 1 + 2000);
	CU_ASSERT_EQUAL(rig->taken_bytes, 2000);
	rig_free(rig);
}

static void test_what_only_waits_to_be_read_is_not_reported(void)
{
	struct rig *rig = rig_established(false);
	uint32_t blocks[4][2];

	rig->refuses = true;
	say_data(rig, 0, 1000); /* acknowledged, held for the user */
	say_data(rig, 2000, 1000);
	CU_ASSERT_EQUAL(sack_blocks(rig, blocks), 1);
	CU_ASSERT_EQUAL(blocks[0][0], 2000);
	CU_ASSERT_EQUAL(blocks[0][1], 3000);
	rig_free(rig);
}

static void test_window_never_offers_more_than_its_cap(void)
{
	struct rig *rig = rig_established(false);
	uint32_t edge_max = 0;

	rig->refuses = true;
	/* pieces of 3 bytes, nobody reads: the edge must not creep with each of them */
	for (uint32_t offset = 0; offset < 60000; offset += 3) {
		const uint8_t *tcp;
		uint32_t edge;

		rig->now_us += 50000; /* the delayed acknowledgement goes out each time */
		say_data(rig, offset, 3);
		tcp_advance(rig->tcp, rig->now_us + 45000);
		tcp = last_header(rig);
		edge = load_be32(tcp + 8) - (CLIENT_ISS + 1) +
		       ((uint32_t)load_be16(tcp + 14) << 1); /* our scale for 64 KiB */
		edge_max = max_u32(edge_max, edge);
		rig->sent_count = 0;
	}
	CU_ASSERT_TRUE(edge_max <= WINDOW_BYTES);
	CU_ASSERT_EQUAL(counter_read(&tcp_counters(rig->tcp)->receive_over_limit), 0);
	rig_free(rig);
}

static const struct unit_case cases[] = {
    {"the range that has just grown comes first, as many as there is room for",
     test_newest_range_comes_first},
    {"a filled gap ends the report", test_filled_gap_ends_it},
    {"what is in order and only waits to be read is not reported",
     test_what_only_waits_to_be_read_is_not_reported},
    {"the window never offers more than its cap", test_window_never_offers_more_than_its_cap},
};

int main(void)
{
	return UNIT_RUN("tcp_sack", cases);
}
