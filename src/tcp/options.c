/* SPDX-License-Identifier: Apache-2.0 */
/* TCP options: MSS (RFC 9293 3.7.1), window scale and timestamps (RFC 7323), selective
 * acknowledgements of what we hold out of order (RFC 2018). */
#include "tcp/tcp_internal.h"

#define OPTION_END            0
#define OPTION_NOP            1
#define OPTION_MSS            2
#define OPTION_WINDOW_SCALE   3
#define OPTION_SACK_PERMITTED 4
#define OPTION_SACK           5
#define OPTION_TIMESTAMP      8
#define SACK_BLOCK_BYTES      8

/* A timestamp as RFC 7323 A lays it out: behind two that do nothing. */
#define TIMESTAMP_HEAD                                                                             \
	((uint32_t)OPTION_NOP << 24 | OPTION_NOP << 16 | OPTION_TIMESTAMP << 8 |                   \
	 (TCP_TIMESTAMP_BYTES - 2))

static void read_timestamp(const uint8_t *values, struct tcp_segment *segment)
{
	segment->has_timestamp = true;
	segment->ts_value = load_be32(values);
	segment->ts_echo = load_be32(values + 4);
}

bool tcp_options_parse(const uint8_t *options, uint32_t length, struct tcp_segment *ret_segment)
{
	struct tcp_segment *segment = ret_segment;

	/* what nearly all segments have */
	if (length == TCP_TIMESTAMP_BYTES && load_be32(options) == TIMESTAMP_HEAD) {
		read_timestamp(options + 4, segment);
		return true;
	}
	while (length > 0) {
		uint32_t bytes;

		if (options[0] == OPTION_END)
			return true;
		if (options[0] == OPTION_NOP) {
			options++;
			length--;
			continue;
		}
		if (length < 2)
			return false;
		bytes = options[1];
		if (bytes < 2 || bytes > length)
			return false;
		/* MSS and window scale count in a SYN only; of a wrong length they are malformed */
		if (options[0] == OPTION_MSS && (segment->flags & TCP_FLAG_SYN)) {
			if (bytes != 4)
				return false;
			segment->has_mss = true;
			segment->mss = load_be16(options + 2);
		} else if (options[0] == OPTION_WINDOW_SCALE && (segment->flags & TCP_FLAG_SYN)) {
			if (bytes != 3)
				return false;
			segment->has_window_shift = true;
			/* RFC 7323 2.3: a larger one is taken as 14 */
			segment->window_shift = (uint8_t)min_u32(options[2], TCP_WINDOW_SHIFT_MAX);
		} else if (options[0] == OPTION_SACK_PERMITTED && (segment->flags & TCP_FLAG_SYN)) {
			if (bytes != 2)
				return false;
			segment->sack_permitted = true;
		} else if (options[0] == OPTION_SACK) {
			if (bytes == 2 || (bytes - 2) % SACK_BLOCK_BYTES != 0)
				return false;
			segment->sack_count = (uint8_t)((bytes - 2) / SACK_BLOCK_BYTES);
			for (uint32_t i = 0; i < segment->sack_count; i++) {
				const uint8_t *at = options + 2 + i * SACK_BLOCK_BYTES;

				segment->sacks[i] =
				    (struct sack_block){load_be32(at), load_be32(at + 4)};
			}
		} else if (options[0] == OPTION_TIMESTAMP) {
			if (bytes != 10)
				return false;
			read_timestamp(options + 2, segment);
		}
		options += bytes;
		length -= bytes;
	}
	return true;
}

uint32_t tcp_options_write_timestamp(uint32_t value, uint32_t echo, uint8_t *to)
{
	store_be32(to, TIMESTAMP_HEAD);
	store_be32(to + 4, value);
	store_be32(to + 8, echo);
	return TCP_TIMESTAMP_BYTES;
}

uint16_t tcp_options_receive_mss(const struct net_path *path)
{
	return net_path_l4_max(path) - TCP_HEADER_BYTES;
}

uint32_t tcp_options_write_syn_ack(const struct handshake *agreed, uint16_t receive_mss,
                                   uint8_t receive_shift, uint32_t ts_value, uint8_t *to)
{
	uint32_t bytes = 4;

	to[0] = OPTION_MSS;
	to[1] = 4;
	store_be16(to + 2, receive_mss);
	if (agreed->window_scaling) {
		to[bytes] = OPTION_NOP;
		to[bytes + 1] = OPTION_WINDOW_SCALE;
		to[bytes + 2] = 3;
		to[bytes + 3] = receive_shift;
		bytes += 4;
	}
	if (agreed->timestamps)
		bytes += tcp_options_write_timestamp(ts_value, agreed->ts_recent, to + bytes);
	if (agreed->sack_permitted) {
		to[bytes] = OPTION_NOP;
		to[bytes + 1] = OPTION_NOP;
		to[bytes + 2] = OPTION_SACK_PERMITTED;
		to[bytes + 3] = 2;
		bytes += 4;
	}
	return bytes;
}

/* The contiguous run that begins with `block`: its end, and the block behind it. */
static const struct block *run_end(const struct block *block, uint32_t *ret_end)
{
	uint32_t end = block->sequence + block->length;

	for (block = block->next; block != NULL && block->sequence == end; block = block->next)
		end += block->length;
	*ret_end = end;
	return block;
}

static void sack_block_write(uint8_t *to, uint32_t index, uint32_t begin, uint32_t end)
{
	store_be32(to + 4 + index * SACK_BLOCK_BYTES, begin);
	store_be32(to + 4 + index * SACK_BLOCK_BYTES + 4, end);
}

uint32_t tcp_options_write_sack(const struct tcp_connection *connection, uint8_t *to,
                                uint32_t room_bytes)
{
	uint32_t count_max = (room_bytes - 4) / SACK_BLOCK_BYTES;
	uint32_t first = connection->duplicate_known; /* of the ranges */
	uint32_t count = first;
	const struct block *block = connection->queue;
	uint32_t newest_sequence = connection->newest_sequence;
	bool newest_seen = false;

	if (!connection->sack_permitted || connection->range_count + first == 0)
		return 0;
	/* what has come twice goes before everything else, then the range it lies in: RFC 2883 4 */
	if (connection->duplicate_known) {
		sack_block_write(to, 0, connection->duplicate.begin, connection->duplicate.end);
		if (seq_after(connection->duplicate.begin, connection->rcv_nxt))
			newest_sequence = connection->duplicate.begin;
	}
	while (block != NULL) {
		uint32_t begin = block->sequence, end, at;
		bool newest;

		block = run_end(block, &end);
		if (!seq_after(begin, connection->rcv_nxt))
			continue; /* in order: it only waits to be read */
		newest = !seq_before(newest_sequence, begin) && seq_before(newest_sequence, end);
		/* the one that has just grown comes first, then the highest, which as a rule came
		 * last: so each is said three times (RFC 2018 4) */
		at = newest ? first : first + newest_seen;
		newest_seen = newest_seen || newest;
		if (at == count_max)
			continue;
		count = min_u32(count, count_max - 1);
		memmove(to + 4 + (at + 1) * SACK_BLOCK_BYTES, to + 4 + at * SACK_BLOCK_BYTES,
		        (count - at) * SACK_BLOCK_BYTES);
		sack_block_write(to, at, begin, end);
		count++;
	}
	to[0] = OPTION_NOP;
	to[1] = OPTION_NOP;
	to[2] = OPTION_SACK;
	to[3] = (uint8_t)(2 + count * SACK_BLOCK_BYTES);
	return 4 + count * SACK_BLOCK_BYTES;
}

uint32_t tcp_options_write(const struct tcp_connection *connection, uint8_t *to, uint32_t now_ms)
{
	if (!connection->timestamps)
		return 0;
	return tcp_options_write_timestamp(now_ms + connection->ts_offset, connection->ts_recent,
	                                   to);
}
