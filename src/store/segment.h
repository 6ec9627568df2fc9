/* SPDX-License-Identifier: Apache-2.0 */
/* The arena, cut into segments at start. A segment is free, or in the log with items appended to
 * it, or holds a part of a large value or of the index. Headers lie in an array of their own.
 * Owner: the store. */
#pragma once

#include "base/memory.h"
#include "store/item.h"

#define SEGMENT_NONE      UINT32_MAX
#define SEGMENT_BYTES_MIN (64u << 10)
#define SEGMENT_BYTES_MAX (1u << 20)
#define EXPIRY_NEVER      UINT32_MAX /* later than every item's expiry */

enum segment_state {
	SEGMENT_FREE,   /* in the free list */
	SEGMENT_ACTIVE, /* in the log, newest items go here */
	SEGMENT_SEALED, /* in the log, takes no more items; or a large item's first, published */
	SEGMENT_OPEN,   /* a large item's first, being written: not in the log yet */
	SEGMENT_EXTENT, /* a further part of a large value */
	SEGMENT_INDEX,  /* a page of the index */
};

struct store_reservation;

struct segment {
	/* what readers look at */
	uint64_t cas_base;      /* the cas uniques of its items count from here, */
	uint32_t expiry_base_s; /* and their expiries from here */
	uint32_t extent_next;   /* a large value's next part */
	uint64_t sequence;      /* in the log: larger than that of any older one */
	/* the owner's */
	uint32_t state __attribute__((aligned(CACHE_LINE_BYTES)));
	uint32_t next;          /* in the free list; in the log, the next newer */
	uint32_t previous;      /* in the log, the next older */
	uint32_t used_bytes;    /* where the next item goes */
	uint32_t live_count;    /* items the index points at */
	uint32_t open_count;    /* items being written */
	uint32_t waiting_count; /* of these, the ones that wait for bytes */
	uint32_t pin_count;     /* references to bytes of this segment, or of its extents */
	uint32_t expiry_max_s;  /* no live item expires later; EXPIRY_NEVER when one never does */
	struct store_reservation *waiting; /* those that do, unless it is OPEN */
};

_Static_assert(sizeof(struct segment) == 2 * CACHE_LINE_BYTES, "readers have a line to themselves");

/* Segments from oldest to newest. */
struct segment_log {
	uint32_t oldest;
	uint32_t newest;
	uint32_t active;   /* the one that takes items, or SEGMENT_NONE */
	uint64_t sequence; /* of the one that was appended last, gone or not */
};

struct segments {
	struct segment *headers;
	uint8_t *arena;
	uint32_t count;
	uint32_t shift; /* log2 of the segment size */
	uint32_t free_first;
	uint32_t free_count;
};

void segments_create(struct segments *segments, uint32_t count, uint32_t shift,
                     struct memory *memory);

/* A segment off the free list in the given state, with nothing in it, or SEGMENT_NONE. */
uint32_t segments_take(struct segments *segments, enum segment_state state);

/* Frees a segment that is in no list, and all its extents. */
void segments_free(struct segments *segments, uint32_t index);

void segment_log_append(struct segments *segments, struct segment_log *log, uint32_t index);
void segment_log_remove(struct segments *segments, struct segment_log *log, uint32_t index);

static inline uint32_t segment_bytes(const struct segments *segments)
{
	return (uint32_t)1 << segments->shift;
}

static inline uint8_t *segment_data(const struct segments *segments, uint32_t index)
{
	return segments->arena + ((uint64_t)index << segments->shift);
}

static inline uint32_t segment_index_of(const struct segments *segments, const void *inside)
{
	return (uint32_t)((uint64_t)((const uint8_t *)inside - segments->arena) >> segments->shift);
}
