/* SPDX-License-Identifier: Apache-2.0 */
/* The receive queue: bytes in order that the user has refused for now, and behind them what came
 * ahead of a gap. Blocks sorted by sequence number, without overlap; bytes that are there already
 * win over bytes that come again. */
#include "tcp/tcp_internal.h"

#define OUT_OF_ORDER_POOL_SHARE                                                                    \
	16                 /* below a sixteenth of the blocks nothing ahead of a gap is kept */
#define QUEUE_POOL_SHARE 4 /* nor when a quarter of them is in receive queues */

static uint32_t block_end(const struct block *block)
{
	return block->sequence + block->length;
}

/* What is ahead of a gap can be sent again; so it is given up before what everybody needs. */
static bool out_of_order_is_too_much(const struct tcp *tcp)
{
	const struct block_pool *pool = tcp->pool;

	return pool->free_count < pool->block_count / OUT_OF_ORDER_POOL_SHARE ||
	       tcp->queue_block_count >= pool->block_count / QUEUE_POOL_SHARE;
}

/* One whole piece between `previous` (or NULL: it is to be first) and its successor, overlapping
 * neither. */
static enum queue_verdict piece_add(struct tcp_connection *connection, struct block *previous,
                                    uint32_t seq, const uint8_t *data, uint32_t length)
{
	/* segments that come in the wrong order fill their blocks by half and more */
	uint32_t blocks_max = connection->tcp->options.receive_window_bytes / (BLOCK_CAPACITY / 2) +
	                      TCP_RANGE_COUNT_MAX;
	struct block *next = previous == NULL ? connection->queue : previous->next;
	bool joins_previous =
	    previous == NULL ? seq == connection->rcv_nxt : block_end(previous) == seq;
	bool joins_next = next != NULL && next->sequence == seq + length;

	if (!joins_previous && !joins_next && connection->range_count >= TCP_RANGE_COUNT_MAX)
		return QUEUE_OVER_LIMIT;
	if (seq != connection->rcv_nxt && out_of_order_is_too_much(connection->tcp))
		return QUEUE_NO_MEMORY;
	while (length > 0) {
		uint32_t part;

		if (previous == NULL || block_end(previous) != seq || previous->spare == 0) {
			struct block *block;

			if (connection->queue_block_count >= blocks_max)
				return QUEUE_OVER_LIMIT;
			block = block_take(connection->tcp->pool);
			if (block == NULL)
				return QUEUE_NO_MEMORY;
			block->sequence = seq;
			block->next = next;
			if (previous == NULL)
				connection->queue = block;
			else
				previous->next = block;
			connection->queue_block_count++;
			connection->tcp->queue_block_count++;
			previous = block;
			if (!joins_previous)
				connection->range_count++;
			joins_previous = true;
		}
		part = min_u32(length, previous->spare);
		memcpy(previous->bytes + (BLOCK_CAPACITY - previous->spare), data, part);
		previous->length += part;
		previous->spare -= part;
		seq += part;
		data += part;
		length -= part;
	}
	/* the gap to what follows is closed: one range less (what is in order is no range) */
	if (joins_next)
		connection->range_count--;
	return QUEUE_TAKEN;
}

/* Moves rcv_nxt over everything that has become contiguous. */
static void advance(struct tcp_connection *connection)
{
	for (struct block *block = connection->queue; block != NULL; block = block->next) {
		if (seq_after(block->sequence, connection->rcv_nxt))
			return;
		if (seq_after(block_end(block), connection->rcv_nxt))
			connection->rcv_nxt = block_end(block);
	}
}

uint32_t queue_end(const struct tcp_connection *connection)
{
	uint32_t end = connection->rcv_nxt;

	for (const struct block *block = connection->queue; block != NULL; block = block->next)
		if (seq_after(block_end(block), end))
			end = block_end(block);
	return end;
}

void queue_reached(struct tcp_connection *connection)
{
	if (connection->queue == NULL || connection->queue->sequence != connection->rcv_nxt)
		return;
	connection->range_count--;
	advance(connection);
}

enum queue_verdict queue_add(struct tcp_connection *connection, uint32_t seq, const uint8_t *data,
                             uint32_t length)
{
	struct block *previous = NULL;
	struct block *next = connection->queue;
	enum queue_verdict verdict = QUEUE_TAKEN;
	uint32_t end = seq + length;
	bool had_all = true;

	while (verdict == QUEUE_TAKEN && seq_before(seq, end)) {
		uint32_t part = end - seq;

		while (next != NULL && !seq_after(next->sequence, seq)) {
			previous = next;
			next = next->next;
		}
		if (previous != NULL && seq_after(block_end(previous), seq)) {
			part = min_u32(part, block_end(previous) - seq);
		} else {
			if (next != NULL)
				part = min_u32(part, next->sequence - seq);
			had_all = false;
			verdict = piece_add(connection, previous, seq, data, part);
		}
		seq += part;
		data += part;
	}
	advance(connection);
	return had_all ? QUEUE_HAD_IT : verdict;
}

void queue_deliver(struct tcp_connection *connection)
{
	struct tcp *tcp = connection->tcp;

	while (connection->queue != NULL && !connection->close && !connection->abort &&
	       connection->queue->sequence == connection->read_nxt &&
	       seq_before(connection->read_nxt, connection->rcv_nxt)) {
		struct block *block = connection->queue;
		uint32_t taken = tcp->user.received(tcp->user.context, &connection->stream,
		                                    block->data, block->length);

		ASSERT(taken <= block->length);
		if (connection->close) /* the user has had enough: what is left is gone already */
			return;
		connection->read_nxt += taken;
		block->sequence += taken;
		block->data += taken;
		block->length -= taken;
		if (block->length > 0)
			return;
		connection->queue = block->next;
		connection->queue_block_count--;
		tcp->queue_block_count--;
		block_drop(tcp->pool, block);
	}
}

void queue_clear(struct tcp_connection *connection)
{
	while (connection->queue != NULL) {
		struct block *block = connection->queue;

		connection->queue = block->next;
		block_drop(connection->tcp->pool, block);
	}
	connection->tcp->queue_block_count -= connection->queue_block_count;
	connection->queue_block_count = 0;
	connection->range_count = 0;
	/* of what is held no more nothing is said */
	if (!seq_before(connection->duplicate.begin, connection->rcv_nxt))
		connection->duplicate_known = false;
}
