/* SPDX-License-Identifier: Apache-2.0 */
/* Which policy would miss least here: one small cache a policy, of fingerprints of some of the
 * keys, is asked what clients ask, and does by item what the store does by segment. Policies are
 * compared by what their shadows have missed lately; another one is taken when it is clearly
 * better.
 *
 * A shadow has a fixed number of entries. When they do not do, half of the keys are let out of all
 * shadows, and the memory that these play with is halved: so there are as many keys as entries can
 * hold, whatever the store's memory, and the more there are the fewer requests are looked at.
 * Owner: the store. */
#pragma once

#include "store/ghost.h"
#include "store/mark.h"
#include "store/policy.h"

#define SHADOW_COUNT       4 /* the first policies of the list */
#define SHADOW_ENTRIES_MIN 4096u
#define SHADOW_ENTRIES_MAX 65536u
#define SHADOW_PART        100 /* of the memory, if that is enough for SHADOW_ENTRIES_MIN */
#define SHADOW_PAGES_MAX   32

struct shadow_queue {
	uint32_t oldest;
	uint32_t newest;
	uint64_t bytes;
};

struct shadow {
	enum policy policy;
	uint64_t offset; /* of its entries in the pages; then come its buckets, and its ghosts */
	uint32_t free_first;
	uint32_t count;
	uint32_t sequence;
	struct shadow_queue queues[LOG_COUNT][2]; /* of small items, of large ones */
	struct ghost ghost;
	uint32_t share;
	uint64_t weight;
	struct tick_clock clock;
	uint32_t epoch_misses;
	uint64_t misses; /* times 256; the longer ago, the less they count */
};

struct shadows {
	const struct pages *pages;
	uint32_t entry_count; /* of each; 0: they are off */
	uint32_t halvings;    /* of the keys one in 2^this is looked at */
	uint64_t whole_bytes; /* of the cache there is, */
	uint64_t cache_bytes; /* and of what they play with, as much of it as of the keys */
	uint64_t batch_bytes; /* a segment's worth, likewise */
	uint32_t segment_bytes;
	bool is_full; /* something was evicted: from now on they differ */
	enum policy chosen;
	struct shadow shadows[SHADOW_COUNT];
};

/* Bytes of pages that they are to have beside a cache of so many. */
uint64_t shadows_bytes(uint64_t cache_bytes);

/* Begins, when all pages are there. `chosen` is where it starts from. */
void shadows_begin(struct shadows *shadows, const struct pages *pages, uint64_t cache_bytes,
                   enum policy chosen);

/* Off; the pages are no longer needed. */
void shadows_end(struct shadows *shadows);

/* Whether a key is among one in 2^halvings. */
static inline bool shadows_sample(uint64_t hash, uint32_t halvings)
{
	return (hash >> 16 & UINT32_MAX) >> 1 >> (31 - halvings) == 0;
}

/* Whether this key is looked at at all. */
static inline bool shadows_see(const struct shadows *shadows, uint64_t hash)
{
	return shadows->entry_count != 0 && shadows_sample(hash, shadows->halvings);
}

/* Somebody has asked for a key that they see; `bytes` of its item, 0: it is not in the store, and
 * comes with shadows_write(), if at all. Returns the policy to go by from now on. */
enum policy shadows_read(struct shadows *shadows, uint64_t hash, uint64_t bytes);
void shadows_write(struct shadows *shadows, uint64_t hash, uint64_t bytes);
