/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of the store's own: segments of the arena, one after another. What lies in it is aligned
 * to its size, a power of two, so that it is in one of them. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

struct pages {
	uint8_t *arena;
	_Atomic uint32_t *numbers; /* of the segments, in order */
	uint32_t count;
	uint32_t shift; /* log2 of a segment's bytes */
};

static inline uint64_t pages_bytes(const struct pages *pages)
{
	return (uint64_t)pages->count << pages->shift;
}

static inline void *pages_at(const struct pages *pages, uint64_t offset)
{
	/* relaxed: others may see it change, and find out that by the index's version */
	uint64_t segment =
	    atomic_load_explicit(&pages->numbers[offset >> pages->shift], memory_order_relaxed);

	return pages->arena + (segment << pages->shift) +
	       (offset & (((uint64_t)1 << pages->shift) - 1));
}
