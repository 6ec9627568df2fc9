/* SPDX-License-Identifier: Apache-2.0 */
/* Who was evicted lately, and from which log: a fingerprint of the key, so that one who comes back
 * is known again. Buckets of 8 entries of 4 bytes, 0 is empty; as many entries as the index has
 * slots, in segments of their own:
 *
 *   31          16 15   14 13       0
 *   | fingerprint | kind  |   time  |
 *
 * Time goes by in 1/1024 of the memory evicted for that reason, modulo 2^14. */
#pragma once

#include "store/pages.h"
#include "store/segment.h"

#define GHOST_BUCKET_ENTRIES  8
#define GHOST_BUCKET_BYTES    (GHOST_BUCKET_ENTRIES * sizeof(uint32_t))
#define GHOST_TIME_OF_A_CACHE 1024u

/* Why it was evicted. An entry of probation is good for as long as a memory's worth is evicted
 * there; one of main only tells that its end was near. */
enum ghost_kind {
	GHOST_PROBATION, /* enum log_id, too */
	GHOST_MAIN,
	GHOST_DESERTED, /* from main, as if nobody asked for it any more */
	GHOST_KIND_COUNT,
};

#define GHOST_LIMIT_PROBATION GHOST_TIME_OF_A_CACHE
#define GHOST_LIMIT_MAIN      GHOST_NEAR
#define GHOST_LIMIT_DESERTED  GHOST_TIME_OF_A_CACHE
#define GHOST_NEAR            (GHOST_TIME_OF_A_CACHE / 20)

struct ghost {
	const struct pages *pages;
	uint64_t offset;       /* of the first bucket in them */
	uint32_t bucket_count; /* 0: nobody is remembered */
	uint64_t evicted_bytes[GHOST_KIND_COUNT];
};

/* cache_bytes: what the items' segments hold at most. */
void ghost_put(struct ghost *ghost, uint64_t hash, enum ghost_kind kind, uint64_t item_bytes,
               uint64_t cache_bytes);

/* What is remembered of a key that was evicted. */
struct ghost_memory {
	bool is_known;
	bool is_near; /* a little more room in its log, and it would be there yet */
	enum ghost_kind kind;
};

/* And forgets it. */
struct ghost_memory ghost_take(struct ghost *ghost, uint64_t hash, uint64_t cache_bytes);
