/* SPDX-License-Identifier: Apache-2.0 */
/* Command semantics over one store: memcached's rules for every request.
 * Owner: one worker, the only caller. He also answers GETs of keys that another worker's shard has;
 * all else that is asked of these is handed to the other one. Time comes in as seconds: `now_s` on
 * the monotonic clock since start (1 at start, so that 0 is never "now"). */
#pragma once

#include "base/chain.h"
#include "base/counter.h"
#include "base/epoch.h"
#include "base/spsc.h"
#include "shard/event.h"
#include "store/classes.h"
#include "store/counters.h"
#include "store/policy.h"
#include "store/purge.h"

struct hot;
struct show;
struct show_options;
struct shard;
struct store;

/* The shards of all workers, made before them. Who owns a key says its hash. */
struct shards {
	uint32_t count;
	struct store *stores[EPOCH_READERS_MAX];
	struct epoch epoch;   /* the workers' turns */
	struct spsc *calls;   /* call.h: from each to each, … */
	struct spsc *answers; /* … and back */
	/* How many shards have not ended the purge of this number. */
	_Atomic uint32_t purges[PURGES_MAX];
	/* Of each class with a rate: a second, and how many requests workers may have in it. */
	_Alignas(CACHE_LINE_BYTES) _Atomic uint64_t granted[CLASS_COUNT_MAX];
};

/* Bytes of memory that shards_create() takes. call_count, a power of two: how many calls (call.h)
 * one worker may have under way. */
size_t shards_bytes(uint32_t count, uint32_t call_count);
void shards_create(struct shards *shards, uint32_t count, uint32_t call_count,
                   struct memory *memory);

/* Whose the key is; when all of them are there. */
uint32_t shards_owner(const struct shards *shards, struct slice key);

/* name, unit, kind, help. The names are memcached's where memcached has the counter. */
#define SHARD_COUNTERS(X)                                                                          \
	X(cmd_get, "requests", COUNTER_TOTAL, "Keys asked for by the get family")                  \
	X(cmd_set, "requests", COUNTER_TOTAL, "Storage commands that brought a whole value")       \
	X(cmd_flush, "requests", COUNTER_TOTAL, "flush_all commands")                              \
	X(cmd_purge, "requests", COUNTER_TOTAL, "purge commands")                                  \
	X(cmd_touch, "requests", COUNTER_TOTAL, "touch and gat commands, one a key")               \
	X(cmd_meta, "requests", COUNTER_TOTAL, "me commands")                                      \
	X(get_hits, "requests", COUNTER_TOTAL, "Keys asked for and found")                         \
	X(get_misses, "requests", COUNTER_TOTAL, "Keys asked for and not found")                   \
	X(get_expired, "requests", COUNTER_TOTAL, "Keys asked for and found expired")              \
	X(get_flushed, "requests", COUNTER_TOTAL, "Keys asked for and found flushed")              \
	X(delete_hits, "requests", COUNTER_TOTAL, "Keys deleted")                                  \
	X(delete_misses, "requests", COUNTER_TOTAL, "Keys to be deleted that were not there")      \
	X(incr_hits, "requests", COUNTER_TOTAL, "Keys incremented")                                \
	X(incr_misses, "requests", COUNTER_TOTAL, "Keys to be incremented that were not there")    \
	X(decr_hits, "requests", COUNTER_TOTAL, "Keys decremented")                                \
	X(decr_misses, "requests", COUNTER_TOTAL, "Keys to be decremented that were not there")    \
	X(cas_hits, "requests", COUNTER_TOTAL, "cas commands that stored")                         \
	X(cas_misses, "requests", COUNTER_TOTAL, "cas commands for keys that were not there")      \
	X(cas_badval, "requests", COUNTER_TOTAL, "cas commands whose cas unique was outdated")     \
	X(touch_hits, "requests", COUNTER_TOTAL, "Keys given a new expiry")                        \
	X(touch_misses, "requests", COUNTER_TOTAL, "Keys to be touched that were not there")       \
	X(store_too_large, "requests", COUNTER_TOTAL, "Values refused for their size")             \
	X(store_no_memory, "requests", COUNTER_TOTAL, "Values refused for want of memory")

struct shard_counters {
	SHARD_COUNTERS(COUNTER_FIELD)
};

/* What clients have asked for of a class of keys (store/classes.h). */
#define CLASS_REQUESTS(X)                                                                          \
	X(cmd_get, "requests", COUNTER_TOTAL, "Keys asked for by the get family")                  \
	X(get_hits, "requests", COUNTER_TOTAL, "Keys asked for and found")                         \
	X(cmd_set, "requests", COUNTER_TOTAL, "Storage commands that brought a whole value")       \
	X(rate_limited, "requests", COUNTER_TOTAL, "Requests refused as too many a second")

struct class_requests {
	CLASS_REQUESTS(COUNTER_FIELD)
};

struct shard_options {
	uint64_t memory_bytes;         /* all that items, index and book-keeping may take */
	uint32_t value_bytes_max;      /* the item limit, 1 KiB … 1 GiB */
	enum policy policy;            /* who has to go for want of memory */
	const struct classes *classes; /* of keys; of all shards the same; NULL: there are none */
	uint64_t hash_seed;    /* from a random source; keys cannot be aimed at one bucket; of all
	                        * shards the same */
	struct shards *shards; /* it becomes one of these; NULL: it is alone */
	uint32_t number;       /* among them: the worker's */
	uint64_t unix_time_at_start_s; /* wall clock when now_s was 0: for absolute exptimes */
	bool
	    goes_on; /* its memory has a shard at rest, as shard_is_rested() says: it is that one */
};

/* The smallest memory_bytes that works with the given item limit and number of shards. */
uint64_t shard_memory_bytes_min(uint32_t value_bytes_max, uint32_t shard_count);

/* Takes all its memory (memory_bytes and not more, the struct shard included) from `memory`.
 * -EINVAL: memory_bytes is too small. */
int shard_create(struct shard **ret_shard, const struct shard_options *options,
                 struct memory *memory);

/* The end, of a shard that is to go on in another process, with the same bytes of memory: no turn
 * of any worker comes any more. Returns a sum of all that is kept, and of the generation: how many
 * processes have used it. */
uint64_t shard_rest(struct shard *shard, uint64_t generation);

/* Whether the memory, from its beginning on, is that of a shard at rest with this sum, created with
 * the same memory_bytes, value_bytes_max and number of as many shards. Reads all that it holds. */
bool shard_is_rested(const struct shard_options *options, const struct memory *memory,
                     uint64_t generation, uint64_t sum);

/* Of what is kept: another number, another layout. */
uint32_t shard_layout_bytes(void);

/* Among the others. */
uint32_t shard_number(const struct shard *shard);

/* The same for the same key in all shards. */
uint64_t shard_hash(const struct shard *shard, struct slice key);

/* For several requests to come: brings near what the key is found by, in this shard or another.
 * Returns the hash for shard_foresee_item(), to be called when that is there, and for the request.
 * Neither does anything that can be seen. */
uint64_t shard_foresee(const struct shard *shard, struct slice key, bool to_write);
void shard_foresee_item(const struct shard *shard, uint64_t hash, bool to_write);

/* Whether what writes the key may be run here. */
bool shard_owns(const struct shard *shard, struct slice key);

/* Who has to go for want of memory from now on; what is known of the items stays. */
void shard_set_policy(struct shard *shard, enum policy policy);

/* Which keys are asked for most. */
struct hot *shard_hot(struct shard *shard);

/* Hot keys of this shard may be shown from now on; `show` is memory for it. */
void shard_show_to(struct shard *shard, struct show *show, const struct show_options *options);

/* The key is to be shown in this slot of each program, which nobody else writes to from now on,
 * whenever it is there and may be told as it is. False: there are too many already. */
bool shard_show(struct shard *shard, struct slice key, uint32_t slot);

/* Not any more; the slot is free. */
void shard_unshow(struct shard *shard, uint32_t slot);

/* Shows what is not shown, and counts what was answered: once a turn. clock_start_us: that of the
 * second 0 of now_s, by CLOCK_MONOTONIC; 0: the clock stands still, and nothing is shown. */
void shard_show_some(struct shard *shard, uint64_t now_us, uint64_t clock_start_us, uint32_t now_s);

/* Whether a request for the key may be run, as far as its class's rate goes; to be asked once for
 * each that brings no value, by the worker that it comes to. False: it is counted, and
 * REPLY_RATE_LIMITED is the reply. */
bool shard_admit(struct shard *shard, struct slice key, uint32_t now_s);

/* Some of what the store has to do sooner or later; once a turn. Returns whether there is more to
 * do now. */
bool shard_work(struct shard *shard, uint32_t now_s);

/* Whether a request that writes, or the next 64 KiB of a value, find room. False: they will in a
 * later turn, when the other workers have had theirs. */
bool shard_is_ready(struct shard *shard);

/* A PURGE that has come in: finds what it is to be called and which class it means, before it is
 * run by this shard and handed to the others. REPLY_OK: either all of them run it, or it is given
 * back.
 */
enum reply_status shard_begin_purge(struct shard *shard, struct request *request);
void shard_give_back_purge(struct shard *shard, const struct request *request);

/* Runs one request that brings no value: GET and GAT for request->key alone (the session walks
 * more_keys), INCR, DECR, DELETE, TOUCH, INSPECT, FLUSH_ALL, MEMORY_LIMIT, PURGE: the last three of
 * this shard's own part. A reply's `item` and `key` are valid
 * until the next call on this shard, and until the worker's turn is over. False: nothing was done,
 * as the key's owner has to do it. */
bool shard_execute(struct shard *shard, const struct request *request, uint32_t now_s,
                   struct reply *ret_reply);

/* Appends the value of a HIT to `out`: copied when small, by reference when large (the memory it
 * lies in is not reused before the reference is released). False: `out` has no blocks left, and
 * nothing that was appended may be sent: the session ends the stream. */
bool shard_append_value(struct shard *shard, const struct reply *reply, struct chain *out);

/* Copies the value of a HIT (ret_reply->value_bytes of it) to `to`: for datagrams. */
void shard_copy_value(struct shard *shard, const struct reply *reply, uint8_t *to);

/* Walks all items of all shards: the next one behind *cursor, which begins at 0, as INSPECT tells
 * of it, or REPLY_MISS when there is none near. False: that was all. For as long as the walk takes,
 * others may be served in between. */
bool shard_walk(struct shard *shard, uint64_t *cursor, uint32_t now_s, struct reply *ret_reply);

/* The wall clock's seconds at `now_s`. */
uint64_t shard_unix_time_s(const struct shard *shard, uint32_t now_s);

/* For the block pool of chains that values are appended to. */
struct references shard_references(struct shard *shard);

/* A value on its way in. Owner: the session; the contents are the shard's. */
struct shard_write {
	uint64_t left_bytes; /* that the value still wants */
	void *state[52];
};

/* Begins a request with a value. REPLY_STORED: go on with shard_write_bytes(); any other status
 * (REPLY_RATE_LIMITED, TOO_LARGE, NO_MEMORY) is the reply: the session swallows the value's bytes.
 * Of one that is staged it is the owner's to refuse: it is to be handed over nevertheless.
 * request->key is copied; the request need not outlive the call. As with memcached a set that is
 * refused for its size removes the old value. */
enum reply_status shard_write_begin(struct shard *shard, struct shard_write *write,
                                    const struct request *request, uint32_t now_s);

/* The next bytes of the value, at most write->left_bytes. Memory is taken as the bytes come, not as
 * they are announced; and it is taken away from a write whose bytes do not come when others want it
 * (store.h). False: memory ran out, or was taken away; the write is abandoned, REPLY_NO_MEMORY is
 * the reply, the session swallows the rest. `write` stays where it is from beginning to end. */
bool shard_write_bytes(struct shard *shard, struct shard_write *write, const uint8_t *bytes,
                       uint64_t length);

/* All bytes are there: decides (add, replace, cas, append …) and publishes, whole or not at all. */
void shard_write_commit(struct shard *shard, struct shard_write *write, uint32_t now_s,
                        struct reply *ret_reply);

/* Whether what has begun is another shard's, and is to be handed over in a call, whole or refused,
 * instead of shard_write_commit(). */
bool shard_write_is_staged(const struct shard_write *write);

/* Its key; until it is over. */
struct slice shard_write_key(const struct shard_write *write);

/* The bytes were bad or the client went away: nothing happened. */
void shard_write_abandon(struct shard *shard, struct shard_write *write);

/* From now on the observer, which outlives the shard, is told of all that happens; NULL: nobody
 * any more. */
void shard_observe(struct shard *shard, const struct shard_observer *observer);

const struct shard_counters *shard_counters(const struct shard *shard);

/* Of each class; CLASS_COUNT_MAX of them. What they hold is the shard's part, what clients have
 * asked for is what came to this worker, but for what it has written. */
const struct class_requests *shard_class_requests(const struct shard *shard, uint32_t class);
const struct class_holding *shard_class_holding(const struct shard *shard, uint32_t class);

/* What the store behind it holds and has evicted; limit_maxbytes, bytes, curr_items … */
const struct store_counters *shard_store_counters(const struct shard *shard);

/* Asserts what must hold between any two calls. Walks all memory: for tests and simulation. */
void shard_check(const struct shard *shard);
