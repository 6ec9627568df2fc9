/* SPDX-License-Identifier: Apache-2.0 */
/* A region of memory that is handed out once, at start, and never taken back piece by piece.
 * The core allocates nothing itself: each module says how much it needs and takes it from here. */
#pragma once

#include "base/assert.h"

#include <stddef.h>
#include <stdint.h>

#define CACHE_LINE_BYTES 64

struct memory {
	uint8_t *base; /* zeroed by whoever made the region */
	size_t bytes;
	size_t used_bytes;
};

static inline size_t memory_rounded(size_t bytes)
{
	return (bytes + CACHE_LINE_BYTES - 1) & ~(size_t)(CACHE_LINE_BYTES - 1);
}

/* Takes `bytes`, aligned to a cache line. Running out is a sizing error of ours. */
static inline void *memory_take(struct memory *memory, size_t bytes)
{
	uint8_t *taken = memory->base + memory->used_bytes;

	ASSERT(((uintptr_t)taken & (CACHE_LINE_BYTES - 1)) == 0);
	ASSERT(memory_rounded(bytes) <= memory->bytes - memory->used_bytes);
	memory->used_bytes += memory_rounded(bytes);
	return taken;
}

/* Likewise, aligned to a power of two; up to that much less a cache line is passed over. */
static inline void *memory_take_aligned(struct memory *memory, size_t bytes, size_t alignment)
{
	uintptr_t next = (uintptr_t)(memory->base + memory->used_bytes);

	(void)memory_take(memory, -next & (alignment - 1));
	return memory_take(memory, bytes);
}
