/* SPDX-License-Identifier: Apache-2.0 */
/* The arena, cut into segments at start. A segment is free, or in one of the lists with items
 * appended to it, or holds a part of a large value or of the store's own tables. Headers lie in an
 * array of their own.
 * Owner: the store. */
#pragma once

#include "base/memory.h"
#include "store/item.h"

#define SEGMENT_NONE      UINT32_MAX
#define SEGMENT_BYTES_MIN (64u << 10)
#define SEGMENT_BYTES_MAX (1u << 20)
#define EXPIRY_NEVER      UINT32_MAX /* later than every item's expiry */

#define EXPIRY_WINDOW_NONE UINT16_MAX /* the segment is in none (expiry.h) */

#define SEGMENT_CLASS_MIXED 254
#define SEGMENT_CLASS_NONE  255 /* there are no items, or no classes */

enum segment_state {
	SEGMENT_FREE,    /* in the free list */
	SEGMENT_ACTIVE,  /* in a list, newest items go here */
	SEGMENT_SEALED,  /* in a list, takes no more items; or a large item's first, published */
	SEGMENT_OPEN,    /* a large item's first, being written: not in a list yet */
	SEGMENT_EXTENT,  /* a further part of a large value */
	SEGMENT_PAGE,    /* memory of the store's own: index, ghosts, shadows */
	SEGMENT_RETIRED, /* empty, but others may be reading what was there */
};

/* Which log a segment belongs to, and of which list of the log it is. */
enum log_id {
	LOG_PROBATION, /* what is new */
	LOG_MAIN,      /* what has proved itself */
	LOG_COUNT,
};

enum list_id {
	LIST_SMALL,  /* segments of many items */
	LIST_LARGE,  /* one large item each */
	LIST_SPARSE, /* segments of many items, most of which is dead room */
	LIST_COUNT,
};

struct store_reservation;

struct segment {
	/* what readers of other workers look at; all but what is atomic is set before its first
	 * item is published */
	uint64_t cas_base;          /* the cas uniques of its items count from here, */
	uint32_t expiry_base_s;     /* and their expiries from here */
	uint32_t extent_next;       /* a large value's next part */
	_Atomic uint64_t sequence;  /* larger than that of any that is older in its list */
	_Atomic uint32_t pin_count; /* references to bytes of it, or of its extents */
	_Atomic uint8_t hit_tick;   /* when an item of it was hit last, or it was listed */
	_Atomic bool is_in_main;    /* its log is */
	/* the owner's: seldom, */
	uint32_t born_s; /* when it was taken */
	uint32_t due_s;  /* when it is looked at, as its items have expired; EXPIRY_NEVER */
	union {
		struct {
			uint32_t expiry_next; /* of its window (expiry.h) */
			uint32_t expiry_previous;
		};
		uint64_t retired; /* of a retired one: when (base/epoch.h) */
	};
	uint16_t window;
	uint16_t active; /* of an active one: its place among those of its log */
	/* and often */
	_Alignas(CACHE_LINE_BYTES) uint32_t next; /* in the free list; in a list, the next newer */
	uint32_t previous;                        /* in a list, the next older */
	uint32_t used_bytes;                      /* where the next item goes */
	uint32_t live_bytes;    /* of items the index points at; of a large one, what is here */
	uint32_t live_count;    /* how many */
	uint32_t open_count;    /* items being written */
	uint32_t waiting_count; /* of these, the ones that wait for bytes */
	uint32_t chain_count;   /* the segment and its extents */
	uint8_t state;          /* enum segment_state */
	uint8_t log;            /* enum log_id */
	uint8_t list;           /* enum list_id */
	uint8_t class;          /* of all its items, or one of SEGMENT_CLASS_… */
	bool is_claimed;        /* it is being emptied (sift.c) */
	struct store_reservation *waiting; /* those that do, unless it is OPEN */
};

_Static_assert(sizeof(struct segment) == 2 * CACHE_LINE_BYTES, "readers have a line to themselves");

/* Segments from oldest to newest. */
struct segment_list {
	uint32_t oldest;
	uint32_t newest;
	uint32_t count; /* extents included */
};

struct segments {
	struct segment *headers;
	uint8_t *arena;
	uint32_t count;
	uint32_t shift; /* log2 of the segment size */
	uint32_t free_first;
	uint32_t free_count;
};

/* All of them are free. */
void segments_create(struct segments *segments);

/* A segment off the free list in the given state, with nothing in it, or SEGMENT_NONE. */
uint32_t segments_take(struct segments *segments, enum segment_state state);

/* Frees a segment that is in no list, and all its extents. */
void segments_free(struct segments *segments, uint32_t index);

void segment_list_append(struct segments *segments, struct segment_list *list, uint32_t index);
void segment_list_remove(struct segments *segments, struct segment_list *list, uint32_t index);

/* An item of it was hit. */
static inline void segment_hit(struct segment *segment, uint32_t tick)
{
	/* relaxed: a hint; what has not changed is not written, as others read the line */
	if (atomic_load_explicit(&segment->hit_tick, memory_order_relaxed) != (uint8_t)tick)
		atomic_store_explicit(&segment->hit_tick, (uint8_t)tick, memory_order_relaxed);
}

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
