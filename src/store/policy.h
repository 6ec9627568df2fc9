/* SPDX-License-Identifier: Apache-2.0 */
/* Which items stay when room is wanted. An eviction policy is a rank, and whether new items are on
 * probation first; all else is reclaim.c's. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define POLICIES(X)                                                                                \
	X(s3fifo)   /* a hit is a chance to stay for one more round */                             \
	X(lru)      /* the longer since the last hit, the sooner out */                            \
	X(lfu)      /* every hit earns some time; after it, out */                                 \
	X(size)     /* likewise, and the larger the less time */                                   \
	X(ttl)      /* what expires soonest goes first */                                          \
	X(priority) /* what has a lower one (classes.h), of that what was hit longest ago */       \
	X(adaptive) /* that of the first four which misses least (shadow.h) */

#define POLICY_VALUE(name) POLICY_##name,

enum policy {
	POLICIES(POLICY_VALUE) POLICY_COUNT
};

struct policy_traits {
	bool has_probation;      /* new items start there; else in main */
	bool gives_chances;      /* a round costs a hit, and without hits an item goes */
	bool earns_time;         /* an item's time is by the weight, which is adapted */
	uint32_t large_batch;    /* large items looked at in a reclaim */
	bool looks_at_all_large; /* … whatever came in between */
};

extern const struct policy_traits policy_traits[POLICY_COUNT];

/* What is known of an item when it is ranked. */
struct policy_item {
	uint32_t mark;       /* mark.h */
	uint32_t item_bytes; /* at most UINT32_MAX */
	uint32_t left_s;     /* until it expires; UINT32_MAX: never */
	uint32_t priority;   /* of its class; 0 … 9 */
};

#define POLICY_RANKS 4096

/* With those that earn time: of an item whose time is over now, and of one that has time yet. */
#define RANK_NOW (POLICY_RANKS / 2)
#define RANK_HOT (RANK_NOW + 8 * 4) /* 8 ticks */

/* Of s3fifo: more hits than these are worth no more. */
#define CHANCES_MAX 3

/* Of what ranks: that of so many segments of small items, one's worth goes. */
#define BATCH_SEGMENTS 3

/* How long an item lives for a hit, in 1/256 of a tick; with `size`, an item of one byte. To begin
 * with: with the mean size of those there are. */
uint64_t policy_first_weight(enum policy policy, uint64_t mean_bytes);

/* 0 … POLICY_RANKS - 1, the higher the longer it stays. `tick` is the time now (mark.h). */
uint32_t policy_rank(enum policy policy, const struct policy_item *item, uint32_t tick,
                     uint64_t weight);

/* The weight is right when what is evicted has just used up the time that it has earned. `rank` is
 * the highest that was evicted. */
uint64_t policy_weigh(uint64_t weight, uint32_t rank);

/* Probation's share of the memory, in 1/65536. */
#define SHARE_START 6554  /* 10 % */
#define SHARE_MIN   1311  /* 2 % */
#define SHARE_MAX   26214 /* 40 % */

/* An item of so many bytes, stored anew soon after it was evicted near its log's end, would be
 * there yet if that log had been a little larger. Where both logs have as many of these, room is
 * worth the same in both. */
uint32_t policy_move_share(uint32_t share, bool to_probation, uint64_t bytes, uint64_t cache_bytes);
