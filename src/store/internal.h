/* SPDX-License-Identifier: Apache-2.0 */
/* What the store's own files share. */
#pragma once

#include "store/desertion.h"
#include "store/ghost.h"
#include "store/index.h"
#include "store/policy.h"
#include "store/segment.h"
#include "store/shadow.h"
#include "store/store.h"

#define STORE_MAGIC 0x6b616e7465736874u

/* What an item's header has room for counts from its segment's bases. An item that is made now
 * finds room if it expires within EXPIRY_NEAR_S; or with a cas unique of its own, if that is one of
 * the last CAS_NEAR. So the active segment is given up when it is older than that. An older item
 * that comes to a new segment may have been made CAS_OLDER before that. */
#define EXPIRY_NEAR_S (ITEM_EXPIRY_MAX / 2)
#define CAS_OLDER     ((uint64_t)1 << 31)
#define CAS_NEAR      ((uint64_t)1 << 30)

/* What decides who has to go (reclaim.c). */
struct eviction {
	enum policy policy; /* never POLICY_adaptive */
	bool is_adaptive;   /* the shadows choose it */
	struct tick_clock clock;
	struct desertion desertion;
	uint32_t share;   /* of probation, in 1/65536 of the segments */
	uint32_t emptied; /* the segment that is being emptied, or SEGMENT_NONE */
	/* s3fifo: who has fewer hits goes. It rises when too many have too many. */
	uint32_t chances;
	uint64_t kept_bytes; /* since a segment was won */
	uint64_t won_bytes;
	/* the others: */
	uint64_t weights[POLICY_COUNT];    /* 0: none yet */
	uint64_t rank_bytes[POLICY_RANKS]; /* of the items in a batch */
};

/* So many segments are kept free, for copying what stays of those that are emptied. */
#define SEGMENTS_RESERVED 1

struct log {
	struct segment_list lists[LIST_COUNT];
	uint32_t active; /* the one that takes items, or SEGMENT_NONE */
};

struct store {
	uint64_t magic; /* STORE_MAGIC */
	struct index index;
	uint32_t pages_wanted; /* by the index; 0: it has what it wants */
	struct pages ghost_pages;
	struct ghost ghost;
	struct pages shadow_pages;
	struct shadows shadows;
	struct segments segments;
	struct log logs[LOG_COUNT];
	uint64_t sequence;          /* of the segment that was listed last, gone or not */
	uint32_t listed_count;      /* segments in lists, without extents */
	uint32_t segment_count_min; /* what two of the longest values want */
	uint32_t segment_count_max; /* that may be in use: the memory limit */
	uint64_t cas_newest;        /* the cas unique given out last */
	struct eviction eviction;
	/* Segments up to this sequence are flushed, with all that is in them; 0: none is. */
	uint64_t flush_sequence;
	uint32_t flushed_count; /* these, as long as there are any */
	uint32_t flush_due_s;   /* when the next flush is to come; 0: none */
	uint32_t now_s;
	uint32_t expiry_soonest_s; /* no listed segment expires whole before */
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

/* A live item in the segment expires at expiry_s (0: never). */
void store_cover_expiry(struct store *store, struct segment *segment, uint32_t expiry_s);

/* The item is in the index now, or about to be: its segment counts it. */
static inline void store_count_live(struct store *store, const struct item *item)
{
	struct segment *segment = store_segment_of(store, item);

	segment->live_count++;
	segment->live_bytes += (uint32_t)min_u64(item_bytes(item), segment_bytes(&store->segments));
}

/* The item is out of the index: accounts for it, frees its segment if that was the last. */
void store_leave(struct store *store, struct item *item);

/* Takes an item out of the index to make room, and counts why. */
void store_evict(struct store *store, _Atomic uint64_t *slot, struct item *item);

/* No more items go into the log's active segment. */
void store_seal(struct store *store, enum log_id log);

void store_list(struct store *store, uint32_t index, enum log_id log, enum list_id list);
void store_unlist(struct store *store, uint32_t index);

/* An item in the segment is dead from now on, and of no account. May free the segment. */
void store_drop(struct store *store, struct item *item);

/* Frees a listed segment when nothing in it matters any more. */
void store_release_if_empty(struct store *store, uint32_t index);

/* Frees a segment that is in no list, and its extents. */
void store_release(struct store *store, uint32_t index);

static inline uint32_t store_used_count(const struct store *store)
{
	return store->segments.count - store->segments.free_count;
}

/* Whether the next segment has to be won from the others. */
static inline bool store_is_full(const struct store *store)
{
	return store_used_count(store) + SEGMENTS_RESERVED >= store->segment_count_max;
}

static inline uint32_t store_page_count(const struct store *store)
{
	return store->index.pages.count + store->ghost_pages.count + store->shadow_pages.count;
}

/* What the segments that there are for items hold. */
static inline uint64_t store_cache_bytes(const struct store *store)
{
	uint32_t pages = store_page_count(store);
	uint32_t count = max_u32(store->segment_count_max, pages + 1) - pages;

	return (uint64_t)count << store->segments.shift;
}

/* Goes by this policy, which the shadows may have chosen. */
void store_follow(struct store *store, enum policy policy);

void store_begin_eviction(struct store *store, enum policy policy);

/* An item of the segment has got a hit, its first in this tick. */
static inline void store_count_hit(struct store *store, struct segment *segment)
{
	struct desertion *desertion = &store->eviction.desertion;

	segment->hit_tick = (uint8_t)store->eviction.clock.tick;
	desertion_hit(desertion,
	              segment->log == LOG_MAIN && segment->sequence <= desertion->middle);
}

/* Where an item of these many bytes, new to the index or not, is to go. */
enum log_id store_choose_log(struct store *store, uint64_t hash, uint64_t bytes);

/* Clients have written so much. */
void store_count_written(struct store *store, uint64_t bytes);

/* What stays of the items that are looked at. */
struct sieve {
	enum policy policy; /* what ranks them */
	uint32_t rank_min;  /* lower ones go, */
	uint64_t bytes;     /* and, of those that have this very rank, so many bytes */
	enum log_id to;     /* where the others go; if to another log, their hits are used up */
	bool takes_chance;  /* … else one of them is */
	bool is_deserted;   /* so those that go are remembered */
	uint64_t won_bytes;
	uint64_t kept_bytes;
};

/* Bytes that are being written or read keep their segment, but for those that are not there yet. */
static inline bool store_is_held(const struct segment *segment)
{
	return segment->open_count > segment->waiting_count || segment->pin_count > 0;
}

/* Empties a segment that is not held, but for a large item that stays. Its last item frees it. */
void store_empty(struct store *store, uint32_t index, struct sieve *sieve);

/* Of a segment of small items: of those that have time yet. */
uint64_t store_hot_bytes(const struct store *store, uint32_t index);

/* Adds the segment's items to eviction.rank_bytes. */
void store_rank_items(struct store *store, uint32_t index);

/* Takes the room away from one that waits. */
void store_revoke(struct store *store, struct store_reservation *reservation);

/* Copies a small item that stays, with its slot, to the log. False: there is no memory. */
bool store_copy_item(struct store *store, _Atomic uint64_t *slot, struct item *item,
                     enum log_id to);

/* Goes a step towards a free segment: the last resort is the index. False: nothing can go. */
bool store_make_room(struct store *store);

/* Sees to it that there is a segment for those who are not reclaiming. False: all are in use. */
bool store_free_one(struct store *store);

/* That one, in the given state; SEGMENT_NONE: all are in use. */
uint32_t store_take_segment(struct store *store, enum segment_state state);

/* Likewise, at any cost but that of others: for those who are reclaiming. */
uint32_t store_take_free(struct store *store, enum segment_state state);

/* An empty slot for the hash; an item has to leave if there is none. */
_Atomic uint64_t *store_vacancy(struct store *store, uint64_t hash);

/* resize.c: */

/* A segment more of zeros, or only so many segments. False: there is none. */
bool store_add_page(struct store *store, struct pages *pages);
void store_drop_pages(struct store *store, struct pages *pages, uint32_t count);

/* When the ghosts have got or lost pages. */
void store_count_ghosts(struct store *store);

/* Lets the index grow when it is full, and gives the ghosts and the shadows what they want. To be
 * called where segments may be taken. */
void store_tend_tables(struct store *store);

/* Go on with a resize; slots move. */
void store_move_some(struct store *store);
void store_move_many(struct store *store);

/* Memory is wanted: begins to make the index smaller if it is much too large. */
bool store_shrink_index(struct store *store);

/* Likewise, at once; slots move. False: it does not help. */
bool store_shrink_index_now(struct store *store);
