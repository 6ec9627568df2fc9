/* SPDX-License-Identifier: Apache-2.0 */
/* Records of one size, as many as can ever be wanted, so that taking one never fails. Memory of
 * records that were never taken is never touched. Owner: one worker. */
#pragma once

#include "base/memory.h"

struct slab {
	void *free;     /* given back: each begins with the next one's address */
	uint8_t *fresh; /* the first record that was never taken */
	size_t record_bytes;
	uint32_t fresh_count;
};

static inline size_t slab_bytes(size_t record_bytes, uint32_t count)
{
	return memory_rounded(record_bytes * count);
}

/* record_bytes: at least a pointer's, a multiple of it. */
static inline void slab_create(struct slab *slab, size_t record_bytes, uint32_t count,
                               struct memory *memory)
{
	*slab = (struct slab){
	    .fresh = memory_take(memory, record_bytes * count),
	    .record_bytes = record_bytes,
	    .fresh_count = count,
	};
}

/* The newest one given back: it is still in the cache. Its contents are undefined. */
static inline void *slab_take(struct slab *slab)
{
	void *record = slab->free;

	if (record != NULL) {
		slab->free = *(void **)record;
		return record;
	}
	ASSERT(slab->fresh_count > 0);
	record = slab->fresh;
	slab->fresh += slab->record_bytes;
	slab->fresh_count--;
	return record;
}

static inline void slab_give(struct slab *slab, void *record)
{
	*(void **)record = slab->free;
	slab->free = record;
}
