/* SPDX-License-Identifier: Apache-2.0 */
/* Items in logs of segments, found by an index: one shard's memory. Knows keys, values, expiry
 * and eviction; knows nothing of commands.
 * Owner: one shard of one worker, the only caller, but for what says that other workers may call
 * it: they look for items and read them, without a lock. What they have found stays as it is until
 * they pass (base/epoch.h), so an emptied segment is used again only then.
 *
 * Memory comes back by whole segments: one whose items are all gone is free at once, and one whose
 * items have expired soon after (expiry.h); when hardly any is free, one that is mostly dead room,
 * else one of the oldest, of which what is worth most stays (reclaim.c). A segment with a pin is
 * passed over. That is done a little in each turn, ahead of want, or at once when it is wanted. A
 * large item (longer than half a segment) has a segment of its own in a list of its log and further
 * ones chained to that; it stays by going to that list's end.
 *
 * Whoever writes an item and waits for its bytes says so; then its room can be taken away, so that
 * nobody keeps memory by sending half a value. It is when its segment is the oldest, and, of large
 * ones, the one that has waited longest: when nothing else is left, or when together they hold half
 * of all segments, or a quarter and its bytes have not come for a second or two. */
#pragma once

#include "base/epoch.h"
#include "base/memory.h"
#include "store/classes.h"
#include "store/counters.h"
#include "store/item.h"
#include "store/policy.h"
#include "store/purge.h"
#include "store/shown.h"

struct store;
struct segment;

struct store_options {
	uint64_t memory_bytes;    /* index, segments and book-keeping together; below 256 GiB */
	uint64_t value_bytes_max; /* the longest value that must fit */
	uint64_t hash_seed;
	enum policy policy;
	const struct classes *classes; /* of keys; they outlive the store; NULL: there are none */
	struct epoch *epoch;           /* of all that read here; NULL: nobody but the owner does */
	uint32_t owner;                /* his number there */
};

/* The smallest memory_bytes that can hold two of the longest values, as append wants, with so many
 * workers; 1: the owner alone. */
uint64_t store_memory_bytes_min(uint64_t value_bytes_max, uint32_t reader_count);

/* Takes memory_bytes from `memory` and not more. -EINVAL: memory_bytes is out of range. */
int store_create(struct store **ret_store, const struct store_options *options,
                 struct memory *memory);

/* The end, of a store that is to go on in another process: nobody writes, reads or holds a pin any
 * more, and from now on nothing is called but these. Returns a sum of all that is kept, and of how
 * many processes have used it. */
uint64_t store_rest(struct store *store, uint64_t generation);

/* Whether what lies at the beginning of the memory, all of it there is, is a store at rest that was
 * created with the same memory_bytes, value_bytes_max, owner and readers, and has this sum. Reads
 * all of it. */
bool store_is_rested(const struct store_options *options, const struct memory *memory,
                     uint64_t generation, uint64_t sum);

/* Of what is kept: another number, another layout. */
uint32_t store_layout_bytes(void);

/* Goes on with it, instead of store_create(): with the same hash_seed, else as the options say.
 * Time goes on from where it was. */
int store_wake(struct store **ret_store, const struct store_options *options,
               struct memory *memory);

/* Of the items that are told elsewhere; with `hide` and `context` empty there must be none. */
struct shown *store_shown(struct store *store);

/* Sets the time that everything below goes by, and carries out a flush that has come due. Before
 * other calls whenever the second may have changed; never backwards. */
void store_tick(struct store *store, uint32_t now_s);

/* Some of what is to be done sooner or later: room is made ahead of want, what has expired or was
 * flushed comes back, tables are resized. Little at a time: to be called once a turn. Whoever wants
 * room that is not there does the rest himself. Returns whether there is more to do now. */
bool store_work(struct store *store);

/* Changes how much memory the store may take: at most what it was created with. It gives up what
 * is over little by little, with store_work(). False: too little, or too much. */
bool store_set_limit(struct store *store, uint64_t memory_bytes);

/* Who is evicted first from now on. What is known of the items stays. */
void store_set_policy(struct store *store, enum policy policy);

/* Whether there is room for what comes next, up to two segments of it. False: what has been emptied
 * will be free as soon as others have passed; whoever is about to write had better wait for his
 * next turn. */
bool store_is_ready(struct store *store);

/* Other workers may call it, too. */
uint64_t store_hash(const struct store *store, struct slice key);

/* Fetches the hash's buckets into the cache, for a store_find() or store_look() soon after. Other
 * workers may call it, too. */
void store_prefetch(const struct store *store, uint64_t hash);

/* Likewise, to store there: the owner's. */
void store_prefetch_to_write(const struct store *store, uint64_t hash);

/* When those are there: likewise the item that most likely has the key, to be read or, by the
 * owner, to be taken away. */
void store_prefetch_item(const struct store *store, uint64_t hash, bool to_write);

enum store_verdict {
	STORE_MISSING,
	STORE_LIVE,
	STORE_EXPIRED, /* found, still in the index, but its time is over */
	STORE_FLUSHED, /* likewise, for a flush */
	STORE_BUSY,    /* store_look(): only the owner can tell now */
};

/* Where an item is in the index. Valid until the next call that reserves, publishes, abandons,
 * removes or unpins; but with its segment pinned it may be replaced even after reserving. */
struct store_place {
	_Atomic uint64_t *slot;
	uint64_t value; /* what the slot held */
	struct item *item;
};

/* The owner's. Fills *ret_place unless the verdict is STORE_MISSING. */
enum store_verdict store_find(const struct store *store, uint64_t hash, struct slice key,
                              struct store_place *ret_place);

/* Any worker's: likewise, at `now_s` of his. The item stays until he passes. To the owner the store
 * is never busy. */
enum store_verdict store_look(const struct store *store, uint64_t hash, struct slice key,
                              uint32_t now_s, struct store_place *ret_place);

/* This worker reads the item, or wants to read what is not there (NULL): eviction and the
 * *_unfetched counters go by it. */
void store_mark_read(struct store *store, uint32_t worker, uint64_t hash,
                     const struct store_place *place, uint32_t now_s);

/* The first second that it is gone in; 0: never. */
uint32_t store_expiry_s(const struct store *store, const struct item *item);
uint64_t store_cas_unique(const struct store *store, const struct item *item);

/* Changes both, mostly in place: readers of other workers see the old ones or the new ones. An item
 * whose header has no room for them moves, and place->item is it then. False: there is no memory to
 * move it to, and nothing has changed. */
bool store_change(struct store *store, struct store_place *place, uint32_t expiry_s,
                  uint64_t cas_unique);

/* A cas unique that no item has had but by a client's own choice. */
uint64_t store_next_cas(struct store *store);

/* Takes the item out of the index: a delete, or a reader has come upon a dead item. */
void store_remove(struct store *store, const struct store_place *place);

/* Takes a dead item out because its key is being written; counts it as reclaimed. */
void store_reclaim(struct store *store, const struct store_place *place);

/* All items published until `due_s` are gone from then on; at once when that is not in the future.
 * The newest flush replaces one that is still to come. */
void store_flush(struct store *store, uint32_t due_s);

/* All items that are meant (purge.h) and published until now are gone from now on; their memory
 * comes back with store_work(). `number` is one of PURGES_MAX, and not under way. */
void store_purge(struct store *store, uint32_t number, const struct purge_target *target);
bool store_has_purge(const struct store *store, uint32_t number);

/* From now on `evicted` is told of each item that has to go for want of memory, before it goes; it
 * calls nothing of the store. NULL: nobody any more. */
void store_observe_evictions(struct store *store,
                             void (*evicted)(void *context, const struct item *item,
                                             uint32_t now_s),
                             void *context);

/* An item being written. Owner: the caller, who ends it by store_publish() or store_abandon(). */
struct store_reservation {
	struct item *item;
	uint8_t *at;            /* where the next byte of the value goes */
	uint64_t hash;          /* of its key */
	uint32_t room_bytes;    /* from `at` on in this segment */
	uint32_t left_bytes;    /* of the value, still to be written */
	uint32_t tail;          /* segment that `at` is in */
	uint32_t segment_count; /* that it holds for itself: of a large item, else 0 */
	/* while it waits for bytes: */
	bool is_waiting;
	uint32_t waits_since_s;
	struct store_reservation *next;
	struct store_reservation *previous;
	bool cas_is_given; /* else it gets the next one when it is published */
	bool is_update;    /* set before that: is counted as the same item, changed */
};

struct store_item_options {
	struct slice key; /* copied; at most 255 bytes */
	uint64_t hash;    /* store_hash() of it */
	uint32_t value_bytes;
	uint32_t client_flags;
	uint32_t expiry_s;
	uint32_t marks;    /* ITEM_… */
	bool cas_is_given; /* it gets this cas unique: */
	uint64_t cas_unique;
	bool may_expire_else; /* it may be given another expiry before it is published */
	bool is_staged;       /* it is on its way to another store, and never published here */
};

/* Room for the item; for a large one, for the first part only, so that what is announced takes one
 * segment at most before its bytes come. False: no segment can be freed. */
bool store_reserve(struct store *store, const struct store_item_options *options,
                   struct store_reservation *ret_reservation);

/* The next bytes of the value, at most left_bytes. False: no segment can be freed, and the caller
 * is left with abandoning. */
bool store_write(struct store *store, struct store_reservation *reservation, const uint8_t *bytes,
                 uint64_t length);

/* The next bytes are awaited: until store_resume() the room may be taken away, and the struct stays
 * where it is. */
void store_wait(struct store *store, struct store_reservation *reservation);

/* The wait is over. False: the room was taken away; the reservation is over, too. */
bool store_resume(struct store *store, struct store_reservation *reservation);

/* From now on `revoked` is told when room is about to be taken away; it calls nothing of the store.
 */
void store_observe_revocations(struct store *store,
                               void (*revoked)(void *context,
                                               struct store_reservation *reservation),
                               void *context);

/* Gives it another expiry; it was made with may_expire_else. */
void store_expire_else(struct store_reservation *reservation, uint32_t expiry_s);

/* All of the item's value. False: like store_write(). */
bool store_write_value(struct store *store, struct store_reservation *reservation,
                       const struct item *from);

/* An item that is to have its like in another place, with what it does not say itself without the
 * segment that it is in. */
struct store_original {
	const struct item *item;
	uint64_t hash;
	uint64_t cas_unique; /* if it is given */
	uint32_t expiry_s;
	bool cas_is_given;
};

/* Of what is reserved: valid until that is over. */
struct store_original store_original(const struct store *store,
                                     const struct store_reservation *reservation);

/* Room for the like of an item, maybe of another store; its value is to be written. False: like
 * store_reserve(). */
bool store_reserve_like(struct store *store, const struct store_original *original,
                        struct store_reservation *ret_reservation);

/* To be called when all bytes are there, before store_find() for publishing: what was begun before
 * a flush moves on into a segment that is not flushed. False: there is none, and the caller is left
 * with abandoning. */
bool store_settle(struct store *store, struct store_reservation *reservation);

/* Puts a whole item into the index, in `replaced`'s place or in a new one.
 * `replaced` is what store_find() for its key says now, NULL for STORE_MISSING. */
void store_publish(struct store *store, struct store_reservation *reservation,
                   const struct store_place *replaced);

void store_abandon(struct store *store, struct store_reservation *reservation);

/* One piece of a value in one segment. */
struct store_piece {
	const uint8_t *data;
	uint32_t length;
	uint32_t left_bytes; /* of the value, after this piece */
	uint32_t tail;       /* segment that the piece is in */
};

/* The first piece; an empty value has one of no length. Other workers may call these two, too. */
struct store_piece store_value(const struct store *store, const struct item *item);

/* Moves on to the next piece. False: there is none. */
bool store_value_next(const struct store *store, struct store_piece *piece);

/* While pinned, the memory of the segment that the item starts in, and of all its value, stays as
 * it is, even when the item is replaced, removed or outlived. The result is for store_unpin().
 * Other workers may call these three, too. */
struct segment *store_pin(struct store *store, const struct item *item);
void store_unpin(struct store *store, struct segment *segment);

/* Whether the segment is one of this store's. */
bool store_has(const struct store *store, const struct segment *segment);

/* One more pin on what is pinned already, for somebody who may be long in coming back. False: more
 * than a quarter of all segments is pinned, and writers would be left without. */
bool store_pin_again(struct store *store, struct segment *segment);

/* The next live item at or behind *cursor, which begins at 0; moves the cursor behind it. Looks at
 * `place_count` places of the index at most. NULL: there is none among them, and none at all when
 * store_walk_is_over(). Items that are there all the while are found once each, but for those that
 * move in the index in between: when it is resized, or when another needs the place. Other workers
 * may call it, too; the item stays until they pass. */
struct item *store_next(const struct store *store, uint64_t *cursor, uint32_t place_count,
                        uint32_t now_s);
bool store_walk_is_over(uint64_t cursor);

const struct store_counters *store_counters(const struct store *store);

/* What each class has; CLASS_COUNT_MAX of them. */
const struct class_holding *store_holdings(const struct store *store);

/* Asserts what must hold between any two calls. Walks everything: for tests and simulation. */
void store_check(const struct store *store);
