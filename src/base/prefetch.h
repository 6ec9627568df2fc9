/* SPDX-License-Identifier: Apache-2.0 */
/* Bringing cache lines near before they are wanted. None of these does anything that can be seen;
 * addresses need not be valid. */
#pragma once

#include "base/memory.h"

static inline void prefetch(const void *memory, uint32_t line_count)
{
	for (uint32_t i = 0; i < line_count; i++)
		__builtin_prefetch((const uint8_t *)memory + (size_t)i * CACHE_LINE_BYTES);
}

/* Takes it from the other cores' caches, too: a store to a line that others read waits for that. */
static inline void prefetch_to_write(const void *memory)
{
#ifdef __x86_64__
	/* by hand, as compilers take the instruction for an extension; processors without it pass
	 * over it */
	__asm__ volatile("prefetchw %0" : : "m"(*(const uint8_t *)memory));
#else
	__builtin_prefetch(memory, 1);
#endif
}
