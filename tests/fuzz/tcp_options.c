/* SPDX-License-Identifier: Apache-2.0 */
/* TCP options, read and written. Any bytes under any flags: what is read stands there, a second
 * reading of the same bytes says the same as one written apart, and nothing beyond them is touched.
 * What the writers write for any agreement and any receive queue is read back as it was meant, by
 * the server's own reader and by the tests'.
 *
 * Input: flags, the agreement (bits), then four bytes that shape the receive queue, then option
 * bytes. */
#include "input.h"

#include "../tcp/segment.h"
#include "tcp/tcp_internal.h"

#define BLOCKS_MAX 8

#define AGREED_TIMESTAMPS 0x01u
#define AGREED_SACK       0x02u
#define AGREED_SCALING    0x04u
#define AGREED_DUPLICATE  0x08u
#define AGREED_IP6        0x10u
#define AGREED_WRAP       0x20u /* sequence numbers near 2^32 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the bytes say, by a reader of its own. */
struct reading {
	bool malformed;
	const uint8_t *last[256]; /* of each kind; NULL: there is none */
};

static struct reading read_apart(const uint8_t *options, uint32_t length, bool syn)
{
	static const uint8_t lengths_syn[9] = {[2] = 4, [3] = 3, [4] = 2, [8] = 10};
	static const uint8_t lengths[9] = {[8] = 10};
	const uint8_t *known = syn ? lengths_syn : lengths;
	struct reading reading = {0};

	for (uint32_t at = 0; at < length && options[at] != 0;) {
		uint8_t kind = options[at];
		uint32_t bytes = kind == 1 ? 1 : at + 1 < length ? options[at + 1] : 0;

		if (kind == 1) {
			at++;
			continue;
		}
		reading.malformed = bytes < 2 || bytes > length - at ||
		                    (kind < 9 && known[kind] != 0 && bytes != known[kind]) ||
		                    (kind == 5 && (bytes < 10 || bytes % 8 != 2));
		if (reading.malformed)
			return reading;
		reading.last[kind] = options + at;
		at += bytes;
	}
	return reading;
}

static void check_parsed(const uint8_t *options, uint32_t length, uint8_t flags)
{
	/* in memory of just that size, so that whoever reads on is caught */
	uint8_t *copy = malloc(length + (length == 0));
	struct tcp_segment segment = {.flags = flags};
	bool syn = (flags & TCP_FLAG_SYN) != 0;
	struct reading reading;
	bool good;

	ASSERT(copy != NULL);
	memcpy(copy, options, length);
	reading = read_apart(copy, length, syn);
	good = tcp_options_parse(copy, length, &segment);
	ASSERT(good == !reading.malformed);
	ASSERT(segment.flags == flags);
	ASSERT(segment.sack_count <= TCP_SACK_COUNT_MAX);
	ASSERT(segment.window_shift <= TCP_WINDOW_SHIFT_MAX);
	ASSERT(memcmp(copy, options, length) == 0);
	if (good) {
		const uint8_t *const *last = reading.last;

		ASSERT(segment.has_mss == (syn && last[2] != NULL));
		ASSERT(!segment.has_mss || segment.mss == load_be16(last[2] + 2));
		ASSERT(segment.has_window_shift == (syn && last[3] != NULL));
		ASSERT(!segment.has_window_shift ||
		       segment.window_shift == min_u32(last[3][2], TCP_WINDOW_SHIFT_MAX));
		ASSERT(segment.sack_permitted == (syn && last[4] != NULL));
		ASSERT(segment.sack_count == (last[5] == NULL ? 0 : (last[5][1] - 2) / 8));
		for (uint32_t i = 0; i < segment.sack_count; i++) {
			ASSERT(segment.sacks[i].begin == load_be32(last[5] + 2 + 8 * i));
			ASSERT(segment.sacks[i].end == load_be32(last[5] + 6 + 8 * i));
		}
		ASSERT(segment.has_timestamp == (last[8] != NULL));
		ASSERT(!segment.has_timestamp || (segment.ts_value == load_be32(last[8] + 2) &&
		                                  segment.ts_echo == load_be32(last[8] + 6)));
	}
	free(copy);
}

/* A connection as the writers look at it, and blocks behind gaps by the bits of `shape`. */
struct scene {
	struct net net;
	struct netif netif;
	struct handshake agreed;
	struct tcp_connection connection;
	struct block blocks[BLOCKS_MAX];
};

static void scene_create(struct scene *scene, uint8_t agreed, const uint8_t shape[4])
{
	static const uint8_t local4[4] = {198, 18, 0, 2};
	struct tcp_connection *connection = &scene->connection;
	uint32_t seq = agreed & AGREED_WRAP ? 0u - 700 : 70000;
	struct block **link = &connection->queue;

	memset(scene, 0, offsetof(struct scene, blocks));
	scene->netif.mtu = (uint16_t)(1280 + shape[3]);
	scene->net.netif = &scene->netif;
	connection->path.net = &scene->net;
	if (!(agreed & AGREED_IP6))
		connection->path.local = ip_address_from_ip4(local4);
	connection->timestamps = (agreed & AGREED_TIMESTAMPS) != 0;
	connection->sack_permitted = (agreed & AGREED_SACK) != 0;
	connection->receive_shift = agreed & AGREED_SCALING ? shape[3] % 15 : 0;
	connection->ts_offset = 0x01020304u * shape[2];
	connection->ts_recent = 0xfefdfcfbu * shape[1];
	connection->rcv_nxt = seq;
	connection->read_nxt = seq;
	scene->agreed = (struct handshake){
	    .ts_recent = connection->ts_recent,
	    .timestamps = connection->timestamps,
	    .sack_permitted = connection->sack_permitted,
	    .window_scaling = (agreed & AGREED_SCALING) != 0,
	};
	for (uint32_t i = 0; i < BLOCKS_MAX && (shape[0] >> i) != 0; i++) {
		struct block *block = &scene->blocks[i];
		bool gap = (shape[0] >> i & 1) != 0;

		if (gap && (seq == connection->rcv_nxt || i % 2 == 0))
			seq += 100;
		else if (gap)
			seq += 1;
		block->sequence = seq;
		block->length = 100 + (shape[1] >> i & 1);
		block->next = NULL;
		*link = block;
		link = &block->next;
		if (seq == connection->rcv_nxt)
			connection->rcv_nxt += block->length;
		else
			connection->range_count += gap;
		seq += block->length;
		if (i == shape[2] % BLOCKS_MAX)
			connection->newest_sequence = block->sequence;
	}
	connection->duplicate_known =
	    connection->sack_permitted && (agreed & AGREED_DUPLICATE) != 0;
	connection->duplicate = (struct sack_block){connection->rcv_nxt - 50, connection->rcv_nxt};
}

/* Each block of `sacks` is a whole run of the queue, and none comes twice. */
static void check_sacks(const struct scene *scene, const struct tcp_segment *segment,
                        uint32_t room_bytes)
{
	const struct tcp_connection *connection = &scene->connection;
	uint32_t first = connection->duplicate_known;
	uint32_t wanted = min_u32(connection->range_count + first, (room_bytes - 4) / 8);

	ASSERT(segment->sack_count == (connection->sack_permitted ? wanted : 0));
	if (segment->sack_count == 0)
		return;
	ASSERT(first == 0 || (segment->sacks[0].begin == connection->duplicate.begin &&
	                      segment->sacks[0].end == connection->duplicate.end));
	for (uint32_t i = first; i < segment->sack_count; i++) {
		const struct block *block = connection->queue;
		uint32_t end;

		while (block != NULL && block->sequence != segment->sacks[i].begin)
			block = block->next;
		ASSERT(block != NULL);
		ASSERT(seq_after(block->sequence, connection->rcv_nxt));
		for (end = block->sequence; block != NULL && block->sequence == end;
		     block = block->next)
			end += block->length;
		ASSERT(segment->sacks[i].end == end);
		for (uint32_t k = first; k < i; k++)
			ASSERT(segment->sacks[k].begin != segment->sacks[i].begin);
	}
	/* RFC 2018 4: the newest first */
	for (uint32_t i = first + 1; i < segment->sack_count; i++)
		ASSERT(seq_before(connection->newest_sequence, segment->sacks[i].begin) ||
		       !seq_before(connection->newest_sequence, segment->sacks[i].end));
}

static void check_timestamp(const struct tcp_connection *connection,
                            const struct tcp_segment *segment, uint32_t now_ms)
{
	ASSERT(segment->has_timestamp == connection->timestamps);
	if (!segment->has_timestamp)
		return;
	ASSERT(segment->ts_value == now_ms + connection->ts_offset);
	ASSERT(segment->ts_echo == connection->ts_recent);
}

static void check_written(uint8_t agreed, const uint8_t shape[4], uint32_t now_ms)
{
	struct scene *scene = malloc(sizeof(*scene));
	uint8_t *options = malloc(TCP_OPTIONS_BYTES_MAX);
	struct tcp_segment syn_ack = {.flags = TCP_FLAG_SYN | TCP_FLAG_ACK};
	struct tcp_segment ack = {.flags = TCP_FLAG_ACK};
	struct tcp_connection *connection = &scene->connection;
	uint32_t bytes, room_bytes;
	uint16_t mss;

	ASSERT(scene != NULL && options != NULL);
	scene_create(scene, agreed, shape);
	mss = tcp_options_receive_mss(&connection->path);
	bytes = tcp_options_write_syn_ack(&scene->agreed, mss, connection->receive_shift,
	                                  now_ms + connection->ts_offset, options);
	ASSERT(bytes % 4 == 0 && bytes <= TCP_OPTIONS_BYTES_MAX);
	ASSERT(tcp_options_parse(options, bytes, &syn_ack));
	ASSERT(syn_ack.has_mss && syn_ack.mss == mss);
	ASSERT(syn_ack.has_window_shift == scene->agreed.window_scaling);
	ASSERT(syn_ack.window_shift == connection->receive_shift);
	ASSERT(syn_ack.sack_permitted == connection->sack_permitted);
	check_timestamp(connection, &syn_ack, now_ms);
	ASSERT(syn_ack.sack_count == 0);

	bytes = tcp_options_write(connection, options, now_ms);
	ASSERT(bytes % 4 == 0 && bytes <= TCP_TIMESTAMP_BYTES);
	room_bytes = TCP_OPTIONS_BYTES_MAX - bytes;
	bytes += tcp_options_write_sack(connection, options + bytes, room_bytes);
	ASSERT(bytes % 4 == 0 && bytes <= TCP_OPTIONS_BYTES_MAX);
	ASSERT(tcp_options_parse(options, bytes, &ack));
	ASSERT(!ack.has_mss && !ack.has_window_shift && !ack.sack_permitted);
	check_timestamp(connection, &ack, now_ms);
	check_sacks(scene, &ack, room_bytes);
	free(options);
	free(scene);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};
	uint8_t flags = input_u8(&input);
	uint8_t agreed = input_u8(&input);
	uint8_t shape[4];

	for (int i = 0; i < 4; i++)
		shape[i] = input_u8(&input);
	check_written(agreed, shape, input.length >= 4 ? load_be32(input.data) : 0);
	input.length = min_u64(input.length, TCP_OPTIONS_BYTES_MAX);
	check_parsed(input.data, (uint32_t)input.length, flags);
	check_parsed(input.data, (uint32_t)input.length, flags ^ TCP_FLAG_SYN);
	return 0;
}
