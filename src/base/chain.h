/* SPDX-License-Identifier: Apache-2.0 */
/* A queue of bytes in blocks: what waits to be sent on a stream.
 *
 * Blocks come from one pool a worker, made at start. A block holds bytes of its own, or refers to
 * bytes elsewhere (a large value in the store) that must stay until the block is dropped.
 * Owner: the worker. A chain takes appends at its end, reads anywhere, and drops at its front
 * (what the peer has acknowledged). */
#pragma once

#include "base/bytes.h"
#include "base/memory.h"

#define BLOCK_CAPACITY 2048 /* bytes; the longest command line but `get` fits one block */

struct block {
	struct block *next;
	const uint8_t *data; /* own `bytes`, or what is referred to */
	uint32_t length;     /* bytes valid from data on */
	uint32_t spare;      /* bytes that can still be appended; 0 when referring */
	void *reference;     /* NULL, or what to hand to the pool's `references` */
	uint32_t sequence;   /* in a receive queue: TCP sequence number of data[0] */
	uint8_t bytes[BLOCK_CAPACITY] __attribute__((aligned(8)));
};

/* Who owns the bytes that blocks refer to. */
struct references {
	/* One more user of them, who releases the reference too. False: it must not be; the user
	 * copies the bytes. */
	bool (*retain)(void *context, void *reference);
	void (*release)(void *context, void *reference);
	void *context;
};

/* One worker's blocks. */
struct block_pool {
	struct block *free; /* given back */
	uint8_t *fresh;     /* the first block that was never taken: its memory is untouched */
	uint32_t fresh_count;
	uint32_t free_count; /* fresh ones included */
	uint32_t block_count;
	struct references references;
};

struct chain {
	struct block *first;
	struct block *last;
	uint64_t length; /* bytes */
	struct block_pool *pool;
};

/* A place in a chain, so that reading on from there need not walk from the front. It stays valid
 * while bytes are appended, and is lost when its block is dropped. */
struct chain_cursor {
	struct block *block; /* NULL: at the front, wherever that is when it is read */
	const uint8_t *at;   /* the next byte, in block */
};

/* Bytes of memory that a pool of `block_count` blocks takes. */
size_t block_pool_bytes(uint32_t block_count);

/* The reference of every referring block that is dropped is released. `references`: copied; NULL
 * when there never are any. */
void block_pool_create(struct block_pool *pool, uint32_t block_count, struct memory *memory,
                       const struct references *references);

/* A block with no bytes, or NULL when the pool is empty. */
struct block *block_take(struct block_pool *pool);
void block_drop(struct block_pool *pool, struct block *block);

void chain_create(struct chain *chain, struct block_pool *pool);

/* Room for `length` bytes (at most BLOCK_CAPACITY) in one piece at the end, or NULL when the pool
 * is empty. Nothing is added before chain_extend(). */
uint8_t *chain_reserve(struct chain *chain, uint32_t length);

/* Adds `length` bytes, written where the last chain_reserve() said. */
static inline void chain_extend(struct chain *chain, uint32_t length)
{
	ASSERT_SLOW(length <= chain->last->spare);
	chain->last->length += length;
	chain->last->spare -= length;
	chain->length += length;
}

/* Copies bytes to the end. False: the pool is empty, and nothing was added. */
bool chain_append(struct chain *chain, const void *data, size_t length);

/* Adds bytes that stay where they are until the reference is released. False: the pool is empty;
 * the reference was not taken. */
bool chain_append_reference(struct chain *chain, const uint8_t *data, uint32_t length,
                            void *reference);

/* Moves all of `from`, a chain of the same pool, to the end. */
void chain_splice(struct chain *chain, struct chain *from);

/* Drops `length` bytes (at most chain->length) at the front. */
void chain_drop_front(struct chain *chain, uint64_t length);

/* Drops everything: the chain is as created. */
void chain_clear(struct chain *chain);

/* The place `offset` bytes (at most chain->length) after the front. */
struct chain_cursor chain_seek(const struct chain *chain, uint64_t offset);

/* Bytes of a chain that lie in one piece. */
struct chain_piece {
	const uint8_t *data;
	uint32_t length;
	void *reference; /* NULL, or that of the block: whoever wants to keep it retains it */
};

/* The piece at the cursor, at most `length` bytes of it, of no length at the end; moves the cursor
 * behind it. */
struct chain_piece chain_next(const struct chain *chain, struct chain_cursor *cursor,
                              uint32_t length);

/* Copies up to `length` bytes from the cursor on, moves it, returns how many there were. */
uint32_t chain_read(const struct chain *chain, struct chain_cursor *cursor, uint8_t *to,
                    uint32_t length);
