/* SPDX-License-Identifier: Apache-2.0 */
/* When memory that others may be reading can be used again: quiescent-state reclamation.
 *
 * A reader passes when it holds on to nothing that it has read before, once a turn say. The owner
 * of some memory takes it out of where readers find it, retires it, and has it for himself when
 * all have passed since. A reader that sleeps leaves, and is not waited for. */
#pragma once

#include "base/assert.h"
#include "base/memory.h"

#include <stdatomic.h>
#include <stdbool.h>

#define EPOCH_READERS_MAX 64
#define EPOCH_AWAY        UINT64_MAX

struct epoch_reader {
	_Alignas(CACHE_LINE_BYTES) _Atomic uint64_t seen; /* EPOCH_AWAY: sleeps */
};

struct epoch {
	_Alignas(CACHE_LINE_BYTES) _Atomic uint64_t now;
	uint32_t reader_count;
	struct epoch_reader readers[EPOCH_READERS_MAX];
};

/* All of them are away. */
static inline void epoch_create(struct epoch *epoch, uint32_t reader_count)
{
	ASSERT(reader_count <= EPOCH_READERS_MAX);
	*epoch = (struct epoch){.now = 1, .reader_count = reader_count};
	for (uint32_t i = 0; i < reader_count; i++)
		epoch->readers[i].seen = EPOCH_AWAY;
}

/* The reader, who is not away, passes. */
static inline void epoch_pass(struct epoch *epoch, uint32_t reader)
{
	/* Acquire: pairs with epoch_retire(); what was taken out before is not found any more. */
	uint64_t now = atomic_load_explicit(&epoch->now, memory_order_acquire);

	/* Release: pairs with epoch_has_passed(); all reads before are done. */
	atomic_store_explicit(&epoch->readers[reader].seen, now, memory_order_release);
}

static inline void epoch_leave(struct epoch *epoch, uint32_t reader)
{
	/* Release: likewise. */
	atomic_store_explicit(&epoch->readers[reader].seen, EPOCH_AWAY, memory_order_release);
}

/* Comes back. */
static inline void epoch_enter(struct epoch *epoch, uint32_t reader)
{
	uint64_t now = atomic_load_explicit(&epoch->now, memory_order_acquire);

	atomic_store_explicit(&epoch->readers[reader].seen, now, memory_order_relaxed);
	/* Pairs with the fence in epoch_retire(): either the owner sees that the reader is there,
	 * or the reader does not find what was taken out. */
	atomic_thread_fence(memory_order_seq_cst);
}

/* What was taken out before this is free when all have passed this time. */
static inline uint64_t epoch_retire(struct epoch *epoch)
{
	/* Release: pairs with the acquires of readers. */
	uint64_t time = atomic_fetch_add_explicit(&epoch->now, 1, memory_order_release) + 1;

	/* Pairs with the fence in epoch_enter(). */
	atomic_thread_fence(memory_order_seq_cst);
	return time;
}

/* Whether all readers but one, the owner himself, have passed it. */
static inline bool epoch_has_passed(const struct epoch *epoch, uint64_t time, uint32_t owner)
{
	for (uint32_t i = 0; i < epoch->reader_count; i++) {
		_Atomic uint64_t *seen = (_Atomic uint64_t *)&epoch->readers[i].seen;

		/* Acquire: pairs with epoch_pass() and epoch_leave(); their reads are done. */
		if (i != owner && atomic_load_explicit(seen, memory_order_acquire) < time)
			return false;
	}
	return true;
}
