/* SPDX-License-Identifier: Apache-2.0 */
/* What the store's own files share. */
#pragma once

#include "base/spsc.h"
#include "store/classes.h"
#include "store/desertion.h"
#include "store/expiry.h"
#include "store/ghost.h"
#include "store/index.h"
#include "store/policy.h"
#include "store/purge.h"
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

/* What stays of the items that are looked at. */
struct sieve {
	enum policy policy; /* what ranks them, */
	uint32_t tick;      /* at this time */
	uint32_t rank_min;  /* lower ones go, */
	uint64_t bytes;     /* and, of those that have this very rank, so many bytes */
	bool stays_in_log;  /* the others, as they are; else they go to main, with no hits left, */
	bool takes_chance;  /* … and if they are there, one hit is used up */
	bool is_deserted;   /* so those that go are remembered */
	uint64_t won_bytes;
	uint64_t kept_bytes;
	uint64_t hot_bytes; /* of the highest ranks */
};

enum reclaim_kind {
	RECLAIM_NONE,
	RECLAIM_DUE,
	RECLAIM_SPARSE,
	RECLAIM_DESERTED,
	RECLAIM_PROBATION,
	RECLAIM_CHANCES,
	RECLAIM_RANKED,
};

#define BATCH_LARGE          64 /* the most of policy_traits */
#define RECLAIM_SEGMENTS_MAX (BATCH_SEGMENTS + BATCH_LARGE)

/* Segments that are being emptied, some items at a time. */
struct reclaim {
	enum reclaim_kind kind;
	bool is_ranking; /* what they hold is ranked first, to choose the sieve's rank_min */
	uint32_t highest_rank;
	struct sieve sieve;
	uint32_t batch[RECLAIM_SEGMENTS_MAX]; /* all claimed */
	uint32_t count;
	uint32_t next;   /* the one that is looked at, */
	uint32_t offset; /* and the next item's place in it */
};

/* What decides who has to go (reclaim.c). */
struct eviction {
	enum policy policy; /* never POLICY_adaptive */
	bool is_adaptive;   /* the shadows choose it */
	struct tick_clock clock;
	struct desertion desertion;
	uint32_t share; /* of probation, in 1/65536 of the segments */
	/* s3fifo: who has fewer hits goes. It rises when too many have too many. */
	uint32_t chances;
	uint64_t kept_bytes; /* since a segment was won */
	uint64_t won_bytes;
	/* the others: */
	uint32_t passed_over_count;
	uint32_t lowest_priority;          /* of the classes that are there */
	uint64_t weights[POLICY_COUNT];    /* 0: none yet */
	uint64_t rank_bytes[POLICY_RANKS]; /* of the items in a batch */
	struct reclaim reclaim;
};

/* So many segments are kept free, for copying what stays of those that are emptied. */
#define SEGMENTS_RESERVED 1

/* Segments of a log that take items, each for its kind of them. */
#define ACTIVE_LASTING 0 /* what never expires, or will hardly be there when it does */
#define ACTIVE_MIXED   1 /* what expires, while there is no segment for its window */
#define ACTIVE_STAGED  2 /* what is on its way to another store */
#define ACTIVE_WINDOWS 3 /* from here on: one a window (expiry.h), 32 an octave */
#define OCTAVE_ACTIVES 32
#define ACTIVE_COUNT   (ACTIVE_WINDOWS + EXPIRY_OCTAVES * OCTAVE_ACTIVES)

struct log {
	struct segment_list lists[LIST_COUNT];
	uint32_t actives[ACTIVE_COUNT];     /* or SEGMENT_NONE */
	uint8_t parts_log2[EXPIRY_OCTAVES]; /* windows in 2^octave seconds; log2 */
	uint32_t window_count;              /* active segments of windows */
	uint64_t mixed_expiries_s;          /* their sum in the mixed one */
	uint32_t mixed_count;
};

/* Where an item belongs: an active segment, and when that will be due. */
struct place_in_log {
	enum log_id log;
	uint32_t active;
	uint32_t due_s; /* EXPIRY_NEVER: lasting or mixed */
};

/* A reader of another worker. */
struct reader {
	/* his: */
	_Atomic uint64_t
	    older_hits; /* of main's older half, in their tick the first (desertion.h) */
	_Atomic uint64_t other_hits;
	_Atomic uint64_t glances_lost;
	/* the owner's: */
	_Alignas(CACHE_LINE_BYTES) uint64_t older_hits_heard;
	uint64_t other_hits_heard;
	uint64_t glances_lost_heard;
	/* from him to the owner: */
	struct spsc glances;
};

/* He has asked for a key that the shadows see; 0 bytes: it was not there. */
struct glance {
	uint64_t hash;
	uint64_t bytes;
};

#define GLANCES     256 /* at a time, of one reader */
#define GLANCES_OFF UINT32_MAX

/* What readers go by; the owner's to store. */
struct published {
	_Atomic uint32_t tick;
	_Atomic uint32_t
	    glance_halvings;     /* of the keys, they tell of one in 2^this; or GLANCES_OFF */
	_Atomic uint64_t middle; /* desertion.h */
	/* Segments up to this sequence are flushed, with all that is in them; 0: none is. */
	_Atomic uint64_t flush_sequence;
	/* In segments up to this one some items may be purged; 0: none is. */
	_Atomic uint64_t purge_sequence;
};

struct store {
	uint64_t magic; /* STORE_MAGIC */
	/* What other workers look at, seldom written: */
	_Alignas(CACHE_LINE_BYTES) struct published published;
	_Alignas(CACHE_LINE_BYTES) struct index index;
	struct segments segments;
	struct reader *readers[EPOCH_READERS_MAX];
	struct purges purges;
	/* The owner's alone: */
	_Alignas(CACHE_LINE_BYTES) uint32_t
	    pages_wanted; /* by the index; 0: it has what it wants */
	struct pages ghost_pages;
	struct ghost ghost;
	struct pages shadow_pages;
	struct shadows shadows;
	struct epoch *epoch; /* or NULL */
	uint32_t owner;
	/* Emptied segments that others may read, in the order in which they were, … */
	struct segment_list retired;
	uint32_t retired_pinned; /* … and those that have been passed, but are pinned: a stack */
	uint32_t retired_pinned_count;
	struct log logs[LOG_COUNT];
	const struct classes *classes; /* NULL: there are none */
	struct class_holding holdings[CLASS_COUNT_MAX];
	uint64_t classes_sum;       /* of a store at rest */
	uint64_t sequence;          /* of the segment that was listed last, gone or not */
	uint32_t listed_count;      /* segments in lists, without extents */
	uint32_t segment_count_min; /* what two of the longest values want */
	uint32_t segment_count_max; /* that may be in use: the memory limit */
	uint64_t cas_newest;        /* the cas unique given out last */
	struct eviction eviction;
	uint32_t flushed_count; /* segments, as long as there are any */
	uint32_t flush_due_s;   /* when the next flush is to come; 0: none */
	uint32_t now_s;
	uint32_t written_count; /* items published since the last store_work() */
	uint32_t unheard_turns; /* since others were listened to */
	struct expiry expiry;
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
	struct shown shown;
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

/* What is put into the segment now finds room for its numbers, and what is being written when it is
 * done. */
static inline bool store_is_outdated(const struct store *store, const struct segment *segment)
{
	uint32_t base_s = segment->expiry_base_s;

	return (store->now_s > base_s && store->now_s - base_s > EXPIRY_NEAR_S) ||
	       store->cas_newest - segment->cas_base > UINT32_MAX - CAS_NEAR;
}

static inline bool store_is_flushed(const struct store *store, const struct segment *segment)
{
	/* relaxed, both: others look at store_look() */
	return atomic_load_explicit(&segment->sequence, memory_order_relaxed) <=
	       atomic_load_explicit(&store->published.flush_sequence, memory_order_relaxed);
}

/* purge.c: whether an item that lies in a segment of this sequence is meant by a purge. */
bool store_is_purged(const struct store *store, uint64_t segment_sequence, const struct item *item);

/* Whether something in the segment may be flushed or purged: so it does not become a newer one. */
static inline bool store_is_condemned(const struct store *store, const struct segment *segment)
{
	/* relaxed, both: the owner's own */
	return store_is_flushed(store, segment) ||
	       atomic_load_explicit(&segment->sequence, memory_order_relaxed) <=
	           atomic_load_explicit(&store->published.purge_sequence, memory_order_relaxed);
}

/* What of the store is flushed or purged: who looks for an item takes this first of all. */
struct condemned {
	uint64_t flush_sequence;
	uint64_t purge_sequence;
};

static inline struct condemned store_condemned(const struct store *store)
{
	const struct published *published = &store->published;

	/* Acquire: pairs with the end of a flush in store_release_if_empty(), and of a purge: who
	 * sees that it is over does not find what it has taken. */
	return (struct condemned){
	    atomic_load_explicit(&published->flush_sequence, memory_order_acquire),
	    atomic_load_explicit(&published->purge_sequence, memory_order_acquire),
	};
}

/* Any worker's. The segment's header is one more line, and is looked at only if it must be. */
static inline enum store_verdict store_judge_at(const struct store *store,
                                                struct condemned condemned, uint32_t now_s,
                                                const struct item *item)
{
	const struct segment *segment = store_segment_of(store, item);
	uint32_t expiry_s;

	if (condemned.flush_sequence != 0 || condemned.purge_sequence != 0) {
		/* relaxed: it only grows, and of what is condemned it does not */
		uint64_t sequence = atomic_load_explicit(&segment->sequence, memory_order_relaxed);

		if (sequence <= condemned.flush_sequence ||
		    (sequence <= condemned.purge_sequence &&
		     store_is_purged(store, sequence, item)))
			return STORE_FLUSHED;
	}
	if (item_expiry(item) == 0)
		return STORE_LIVE;
	expiry_s = item_expiry_s(item, segment->expiry_base_s);
	return expiry_s <= now_s ? STORE_EXPIRED : STORE_LIVE;
}

/* The owner's. */
static inline enum store_verdict store_judge(const struct store *store, const struct item *item)
{
	return store_judge_at(store, store_condemned(store), store->now_s, item);
}

/* create.c: */

/* How a store lies in its memory. */
struct parts {
	uint32_t segment_shift;
	uint32_t segment_count;
	struct store *store;
	struct memory readers;
	struct segment *headers;
	uint8_t *arena;
	_Atomic uint32_t *index_pages; /* the numbers of the segments */
	_Atomic uint32_t *ghost_pages;
	_Atomic uint32_t *shadow_pages;
};

/* -EINVAL: memory_bytes is out of range. */
int store_take_parts(struct parts *ret_parts, const struct store_options *options,
                     struct memory *memory);

/* Sets all pointers to its parts and to what is not its own. */
void store_attach(struct store *store, struct parts *parts, const struct store_options *options);

/* standing.c: */

enum class_standing {
	CLASS_WITHIN,
	CLASS_BELOW, /* its minimum share: none of it goes for want of memory */
	CLASS_ABOVE, /* its maximum share: it goes first */
};

enum class_standing store_standing(const struct store *store, const struct item *item);
uint32_t store_priority(const struct store *store, const struct item *item);

/* The item's class has it, or has it no more. */
void store_count_class(struct store *store, const struct item *item, bool is_there);

/* The segment has an item of this class, too. */
void store_class_segment(struct store *store, struct segment *segment, const struct item *item);

/* Finds out which priority goes first; once a tick. */
void store_settle_lowest(struct store *store);

/* Of the log's oldest segments, those of which nothing may go are taken for main's newest. */
void store_spare(struct store *store, enum log_id log);

/* The item is in the index now, or about to be: its segment counts it. */
static inline void store_count_live(struct store *store, const struct item *item)
{
	struct segment *segment = store_segment_of(store, item);

	segment->live_count++;
	segment->live_bytes += (uint32_t)min_u64(item_bytes(item), segment_bytes(&store->segments));
	store_class_segment(store, segment, item);
}

/* The item is out of the index: accounts for it, frees its segment if that was the last. */
void store_leave(struct store *store, struct item *item);

/* Takes an item out of the index to make room, and counts why. */
void store_evict(struct store *store, _Atomic uint64_t *slot, struct item *item);

/* An item of the log that expires then (0: never). */
struct place_in_log store_place_in(const struct store *store, enum log_id log, uint32_t expiry_s);

/* The active segment for it, with room for so many bytes; SEGMENT_NONE: no memory. Whoever is
 * reclaiming takes what is free, or another place where there is room. */
uint32_t store_active_for(struct store *store, struct place_in_log place, uint64_t bytes,
                          bool is_reclaiming);

/* An item in the segment expires then (0: never). */
void store_cover_expiry(struct store *store, uint32_t index, uint32_t expiry_s);

/* No more items go into this active segment, or into any. */
void store_seal(struct store *store, uint32_t index);
void store_seal_all(struct store *store);

/* What expires has moved on: seals the windows that nothing comes to any more. */
void store_seal_passed(struct store *store);

/* due_s: when its items have expired, EXPIRY_NEVER if it is not known. */
void store_list(struct store *store, uint32_t index, enum log_id log, enum list_id list,
                uint32_t due_s);
void store_unlist(struct store *store, uint32_t index);

/* An item in the segment is dead from now on, and of no account. May free the segment. */
void store_drop(struct store *store, struct item *item);

/* Frees a listed segment when nothing in it matters any more. */
void store_release_if_empty(struct store *store, uint32_t index);

/* Frees a segment that is in no list, and its extents: at once, if nobody can be reading it. */
void store_release(struct store *store, uint32_t index);

/* Frees those that nobody reads any more. False: none has been. */
bool store_collect(struct store *store);

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

/* Segments that the log may have when memory is full; before that, all of them. */
uint32_t store_log_share(const struct store *store, enum log_id log);

/* Where an item of these many bytes, new to the index or not, is to go. */
enum log_id store_choose_log(struct store *store, uint64_t hash, uint64_t bytes);

/* Clients have written so much. */
void store_count_written(struct store *store, uint64_t bytes);

/* Bytes that are being written or read keep their segment, but for those that are not there yet. */
static inline bool store_is_held(const struct segment *segment)
{
	return segment->open_count > segment->waiting_count || segment->pin_count > 0;
}

/* A segment of a list is to be emptied next; or is not any more. */
void store_claim(struct store *store, uint32_t index);
void store_unclaim(struct store *store, uint32_t index);

/* Items are hashed and their buckets fetched some at a time: the buckets are all over memory, and
 * waiting for them one by one is what emptying a segment would cost. */
#define ITEM_BATCH 16

struct item_batch {
	struct item *items[ITEM_BATCH];
	uint64_t hashes[ITEM_BATCH];
	uint32_t count;
};

/* The next live items of a segment, from *offset on. Of a large item's there is one. */
void store_next_items(const struct store *store, uint32_t index, uint32_t *offset,
                      struct item_batch *ret_batch);

/* Goes on with what is claimed, for about so many items. False: it is not over. */
bool store_sift_some(struct store *store, uint32_t item_count);

/* Takes the room away from one that waits. */
void store_revoke(struct store *store, struct store_reservation *reservation);

/* Copies a small item that stays, with its slot, to the log. False: there is no memory. */
bool store_copy_item(struct store *store, _Atomic uint64_t *slot, struct item *item,
                     enum log_id to);

/* Goes a step towards a free segment: the last resort is the index. False: nothing can go. */
bool store_make_room(struct store *store);

/* Goes on with what was begun to its end; nothing is claimed then. */
void store_end_reclaim(struct store *store);

/* purge.c: goes on with the sweep, for about so many items. False: it is over. */
bool store_sweep_some(struct store *store, uint32_t item_count);
void store_forget_purges(struct store *store);

/* Sees to it that there is a segment for those who are not reclaiming. False: all are in use. */
bool store_free_one(struct store *store);

/* That one, in the given state; SEGMENT_NONE: all are in use. */
uint32_t store_take_segment(struct store *store, enum segment_state state);

/* Likewise, at any cost but that of others: for those who are reclaiming. */
uint32_t store_take_free(struct store *store, enum segment_state state);

/* An empty slot for the hash; an item has to leave if there is none. */
_Atomic uint64_t *store_vacancy(struct store *store, uint64_t hash);

/* look.c: */

size_t store_readers_bytes(uint32_t reader_count);
void store_create_readers(struct store *store, struct memory *memory);

/* Takes in what readers of other workers have left word of. */
void store_hear_readers(struct store *store);

/* Tells readers what they go by; when it has changed. */
void store_publish_marking(struct store *store);

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
void store_move_buckets(struct store *store, uint32_t count);
void store_move_some(struct store *store);
void store_move_many(struct store *store);

/* Memory is wanted: begins to make the index smaller if it is much too large. */
bool store_shrink_index(struct store *store);

/* Likewise, at once; slots move. False: it does not help. */
bool store_shrink_index_now(struct store *store);
