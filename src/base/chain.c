/* SPDX-License-Identifier: Apache-2.0 */
#include "base/chain.h"

size_t block_pool_bytes(uint32_t block_count)
{
	return memory_rounded(sizeof(struct block)) * block_count;
}

void block_pool_create(struct block_pool *pool, uint32_t block_count, struct memory *memory,
                       const struct references *references)
{
	*pool = (struct block_pool){
	    .fresh = memory_take(memory, block_pool_bytes(block_count)),
	    .fresh_count = block_count,
	    .free_count = block_count,
	    .block_count = block_count,
	};
	if (references != NULL)
		pool->references = *references;
}

struct block *block_take(struct block_pool *pool)
{
	struct block *block = pool->free;

	if (block != NULL) {
		pool->free = block->next;
	} else if (pool->fresh_count > 0) {
		block = (struct block *)pool->fresh;
		pool->fresh += memory_rounded(sizeof(*block));
		pool->fresh_count--;
	} else {
		return NULL;
	}
	pool->free_count--;
	block->next = NULL;
	block->data = block->bytes;
	block->length = 0;
	block->spare = BLOCK_CAPACITY;
	block->reference = NULL;
	return block;
}

void block_drop(struct block_pool *pool, struct block *block)
{
	if (block->reference != NULL)
		pool->references.release(pool->references.context, block->reference);
	block->next = pool->free;
	pool->free = block;
	pool->free_count++;
	ASSERT_SLOW(pool->free_count <= pool->block_count);
}

void chain_create(struct chain *chain, struct block_pool *pool)
{
	*chain = (struct chain){.pool = pool};
}

static void chain_link(struct chain *chain, struct block *block)
{
	if (chain->last == NULL)
		chain->first = block;
	else
		chain->last->next = block;
	chain->last = block;
}

uint8_t *chain_reserve(struct chain *chain, uint32_t length)
{
	struct block *block = chain->last;

	ASSERT(length <= BLOCK_CAPACITY);
	if (block == NULL || block->spare < length) {
		block = block_take(chain->pool);
		if (block == NULL)
			return NULL;
		chain_link(chain, block);
	}
	return block->bytes + (BLOCK_CAPACITY - block->spare);
}

bool chain_append(struct chain *chain, const void *data, size_t length)
{
	const uint8_t *from = data;
	uint32_t spare = chain->last == NULL ? 0 : chain->last->spare;

	if (length <= spare && length > 0) {
		memcpy(chain->last->bytes + (BLOCK_CAPACITY - spare), data, length);
		chain_extend(chain, (uint32_t)length);
		return true;
	}
	if ((length - spare + BLOCK_CAPACITY - 1) / BLOCK_CAPACITY > chain->pool->free_count)
		return false;
	while (length > 0) {
		uint32_t part = (uint32_t)min_u64(length, BLOCK_CAPACITY);

		if (chain->last != NULL && chain->last->spare > 0)
			part = min_u32(part, chain->last->spare);
		memcpy(chain_reserve(chain, part), from, part);
		chain_extend(chain, part);
		from += part;
		length -= part;
	}
	return true;
}

bool chain_append_reference(struct chain *chain, const uint8_t *data, uint32_t length,
                            void *reference)
{
	struct block *block = block_take(chain->pool);

	if (block == NULL)
		return false;
	block->data = data;
	block->length = length;
	block->spare = 0;
	block->reference = reference;
	chain_link(chain, block);
	chain->length += length;
	return true;
}

void chain_splice(struct chain *chain, struct chain *from)
{
	ASSERT(from->pool == chain->pool);
	/* many short ones would take a block each */
	if (from->length == 0 || (chain->last != NULL && from->length <= chain->last->spare)) {
		struct chain_cursor cursor = {0};

		if (from->length > 0)
			chain_extend(chain, chain_read(from, &cursor,
			                               chain_reserve(chain, (uint32_t)from->length),
			                               (uint32_t)from->length));
		chain_clear(from);
		return;
	}
	if (chain->last == NULL)
		chain->first = from->first;
	else
		chain->last->next = from->first;
	chain->last = from->last;
	chain->length += from->length;
	chain_create(from, from->pool);
}

void chain_drop_front(struct chain *chain, uint64_t length)
{
	ASSERT(length <= chain->length);
	chain->length -= length;
	while (length > 0) {
		struct block *block = chain->first;

		if (length < block->length) {
			block->data += length;
			block->length -= (uint32_t)length;
			return;
		}
		length -= block->length;
		chain->first = block->next;
		if (chain->first == NULL)
			chain->last = NULL;
		block_drop(chain->pool, block);
	}
}

void chain_clear(struct chain *chain)
{
	while (chain->first != NULL) {
		struct block *block = chain->first;

		chain->first = block->next;
		block_drop(chain->pool, block);
	}
	chain->last = NULL;
	chain->length = 0;
}

struct chain_cursor chain_seek(const struct chain *chain, uint64_t offset)
{
	struct block *block = chain->first;

	ASSERT(offset <= chain->length);
	if (block == NULL)
		return (struct chain_cursor){0};
	while (offset > block->length || (offset == block->length && block->next != NULL)) {
		offset -= block->length;
		block = block->next;
	}
	return (struct chain_cursor){.block = block, .at = block->data + offset};
}

struct chain_piece chain_next(const struct chain *chain, struct chain_cursor *cursor,
                              uint32_t length)
{
	struct chain_piece piece = {0};
	struct block *block;

	if (cursor->block == NULL)
		*cursor = chain_seek(chain, 0);
	block = cursor->block;
	if (block == NULL)
		return piece;
	/* it stays at a block's end until there is a next one */
	while (cursor->at == block->data + block->length && block->next != NULL) {
		block = block->next;
		*cursor = (struct chain_cursor){block, block->data};
	}
	piece.data = cursor->at;
	piece.length = min_u32(length, (uint32_t)(block->data + block->length - cursor->at));
	piece.reference = block->reference;
	cursor->at += piece.length;
	return piece;
}

uint32_t chain_read(const struct chain *chain, struct chain_cursor *cursor, uint8_t *to,
                    uint32_t length)
{
	struct chain_piece piece;
	uint32_t total = 0;

	for (; total < length; total += piece.length) {
		piece = chain_next(chain, cursor, length - total);
		if (piece.length == 0)
			break;
		memcpy(to + total, piece.data, piece.length);
	}
	return total;
}
