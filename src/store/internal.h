/* SPDX-License-Identifier: Apache-2.0 */
/* What the store's own files share. */
#pragma once

#include "store/index.h"
#include "store/segment.h"
#include "store/store.h"

#define STORE_MAGIC 0x6b616e7465736874u

/* What an item's header has room for counts from its segment's bases. An item that is made now
 * finds room if it expires within EXPIRY_NEAR_S; or with a cas unique of its own, if that is one of
 * the last CAS_NEAR. So the active segment is given up when it is older than that. An older item
 * that comes to a new segment may have been made CAS_OLDER before that. */
#define EXPIRY_NEAR_S (ITEM_EXPIRY_MAX / 2)
#define CAS_OLDER     ((uint64_t)1 << 31)
#define CAS_NEAR      ((uint64_t)1 << 30)

struct store {
	uint64_t magic; /* STORE_MAGIC */
	struct index index;
	uint32_t pages_wanted; /* by the index; 0: it has what it wants */
	struct segments segments;
	struct segment_log log;
	uint32_t segment_count_min; /* what two of the longest values want */
	uint32_t segment_count_max; /* that may be in use: the memory limit */
	uint64_t cas_newest;        /* the cas unique given out last */
	/* Segments up to this sequence are flushed, with all that is in them; 0: none is. */
	uint64_t flush_sequence;
	uint32_t flush_due_s; /* when the next flush is to come; 0: none */
	uint32_t now_s;
	uint32_t expiry_soonest_s; /* no segment in the log expires whole before */
	void (*evicted)(void *context, const struct item *item, uint32_t now_s); /* or NULL */
	void *evicted_context;
	void (*revoked)(void *context, struct store_reservation *reservation); /* or NULL */
	void *revoked_context;
	/* Large items being written: the segments they hold, and those that wait for bytes, in the
	 * order in which they have begun to. */
	uint32_t writing_segment_count;
	struct store_reservation *large_first;
	struct store_reservation *large_last;
	struct store_counters counters;
};

static inline struct segment *store_segment(const struct store *store, uint32_t index)
{
	return &store->segments.headers[index];
}

static inline struct segment *store_segment_of(const struct store *store, const struct item *item)
{
	return store_segment(store, segment_index_of(&store->segments, item));
}

/* Items over half a segment would waste up to as much again at a segment's end. */
static inline bool store_is_large(const struct store *store, uint64_t item_bytes)
{
	return item_bytes > segment_bytes(&store->segments) / 2;
}

static inline bool store_is_flushed(const struct store *store, const struct segment *segment)
{
	return segment->sequence <= store->flush_sequence;
}

static inline enum store_verdict store_judge(const struct store *store, const struct item *item)
{
	const struct segment *segment = store_segment_of(store, item);
	uint32_t expiry_s;

	/* the segment's header, one more cache line, is looked at only if it must be */
	if (store->flush_sequence != 0 && store_is_flushed(store, segment))
		return STORE_FLUSHED;
	if (item_expiry(item) == 0)
		return STORE_LIVE;
	expiry_s = item_expiry_s(item, segment->expiry_base_s);
	return expiry_s <= store->now_s ? STORE_EXPIRED : STORE_LIVE;
}

/* The item is out of the index: accounts for it, frees its segment if that was the last. */
void store_leave(struct store *store, struct item *item);

/* Takes an item out of the index to make room, and counts why. */
void store_evict(struct store *store, _Atomic uint64_t *slot, struct item *item);

/* No more items go into the active segment. */
void store_seal(struct store *store);

/* Frees a segment of the log when nothing in it matters any more. */
void store_release_if_empty(struct store *store, uint32_t index);

/* Frees a segment that is in no list, and its extents. */
void store_release(struct store *store, uint32_t index);

static inline uint32_t store_used_count(const struct store *store)
{
	return store->segments.count - store->segments.free_count;
}

/* Takes the room away from one that waits. */
void store_revoke(struct store *store, struct store_reservation *reservation);

/* Empties one segment, if there is one that is not held; the last resort is the index. */
bool store_make_room(struct store *store);

/* A segment in the given state, emptied if none is free; SEGMENT_NONE: all are in use. */
uint32_t store_take_segment(struct store *store, enum segment_state state);

/* An empty slot for the hash; an item has to leave if there is none. */
_Atomic uint64_t *store_vacancy(struct store *store, uint64_t hash);

/* resize.c: */

/* Gives the index a segment. False: there is none. */
bool store_add_page(struct store *store);

/* Lets the index grow when it is full. To be called where segments may be taken. */
void store_tend_index(struct store *store);

/* Go on with a resize; slots move. */
void store_move_some(struct store *store);
void store_move_many(struct store *store);

/* Memory is wanted: begins to make the index smaller if it is much too large. */
bool store_shrink_index(struct store *store);

/* Likewise, at once; slots move. False: it does not help. */
bool store_shrink_index_now(struct store *store);
