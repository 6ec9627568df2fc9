/* SPDX-License-Identifier: Apache-2.0 */
/* A bucket of the index: one cache line of slots, all compared at once. Which of them is the right
 * one is as good as random, so there is no branch on that: it could not be foreseen. */
#pragma once

#include "base/memory.h"

#include <stdatomic.h>

/* ThreadSanitizer knows of single loads only. */
#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__)
#if defined(__has_feature)
#define BUCKET_IS_VECTOR !__has_feature(thread_sanitizer)
#else
#define BUCKET_IS_VECTOR 1
#endif
#else
#define BUCKET_IS_VECTOR 0
#endif

#if BUCKET_IS_VECTOR
#include <emmintrin.h>
#endif

#define BUCKET_SLOTS   8
#define BUCKET_SHIFT   6  /* log2 of its bytes */
#define SLOT_TAG_SHIFT 48 /* the slot's highest 16 bits: the tag */

struct bucket {
	_Atomic uint64_t slots[BUCKET_SLOTS];
} __attribute__((aligned(CACHE_LINE_BYTES)));

_Static_assert(sizeof(struct bucket) == CACHE_LINE_BYTES, "a bucket is one cache line");
_Static_assert(sizeof(struct bucket) == 1 << BUCKET_SHIFT, "and that is its size");

/* Pairs with slot_store(): whoever sees a location sees the item's bytes. */
static inline uint64_t slot_load(const _Atomic uint64_t *slot)
{
	return atomic_load_explicit(slot, memory_order_acquire);
}

/* Publishes: pairs with slot_load(). Marks go this way too, as they store the location anew. Only
 * the owner stores; others may exchange a mark. */
static inline void slot_store(_Atomic uint64_t *slot, uint64_t value)
{
	atomic_store_explicit(slot, value, memory_order_release);
}

/* The slots with the tag, and the empty ones: a bit for each slot. These are hints, as the slots
 * may be stored to meanwhile: what is said to match is to be loaded by slot_load(). What a slot is
 * said to be, it was, and before any load that comes later. */

#if BUCKET_IS_VECTOR

/* Slots 4 × half to 4 × half + 3; their low or high 4 bytes. x86 loads each slot whole, as it is
 * aligned; volatile, so that it is loaded here, and once. */
static inline void bucket_load_half(const struct bucket *bucket, uint32_t half, __m128i *ret_low,
                                    __m128i *ret_high)
{
	const volatile __m128i *at = (const volatile __m128i *)(const void *)bucket->slots;
	__m128 a = _mm_castsi128_ps(at[2 * half]);
	__m128 b = _mm_castsi128_ps(at[2 * half + 1]);

	*ret_low = _mm_castps_si128(_mm_shuffle_ps(a, b, 0x88));
	*ret_high = _mm_castps_si128(_mm_shuffle_ps(a, b, 0xdd));
}

static inline uint32_t bucket_match_tag(const struct bucket *bucket, uint32_t tag)
{
	__m128i low, high[2], tags, equal;

	bucket_load_half(bucket, 0, &low, &high[0]);
	bucket_load_half(bucket, 1, &low, &high[1]);
	/* Acquire, a compiler's fence here: later loads stay behind these. */
	atomic_thread_fence(memory_order_acquire);
	/* with their signs, so that packing keeps all 16 bits */
	tags = _mm_packs_epi32(_mm_srai_epi32(high[0], 16), _mm_srai_epi32(high[1], 16));
	equal = _mm_cmpeq_epi16(tags, _mm_set1_epi16((short)tag));
	return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(equal, _mm_setzero_si128()));
}

static inline uint32_t bucket_match_empty(const struct bucket *bucket)
{
	const __m128i zero = _mm_setzero_si128();
	__m128i low[2], high[2], equal[2];

	for (uint32_t i = 0; i < 2; i++) {
		bucket_load_half(bucket, i, &low[i], &high[i]);
		equal[i] = _mm_cmpeq_epi32(_mm_or_si128(low[i], high[i]), zero);
	}
	return (uint32_t)_mm_movemask_epi8(
	    _mm_packs_epi16(_mm_packs_epi32(equal[0], equal[1]), zero));
}

#else

static inline uint32_t bucket_match_tag(const struct bucket *bucket, uint32_t tag)
{
	uint32_t mask = 0;

	for (uint32_t i = 0; i < BUCKET_SLOTS; i++)
		mask |= (uint32_t)(slot_load(&bucket->slots[i]) >> SLOT_TAG_SHIFT == tag) << i;
	return mask;
}

static inline uint32_t bucket_match_empty(const struct bucket *bucket)
{
	uint32_t mask = 0;

	for (uint32_t i = 0; i < BUCKET_SLOTS; i++)
		mask |= (uint32_t)(slot_load(&bucket->slots[i]) == 0) << i;
	return mask;
}

#endif
