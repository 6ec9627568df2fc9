/* SPDX-License-Identifier: Apache-2.0 */
/* What the shard's own files share. */
#pragma once

#include "shard/call.h"
#include "shard/hot.h"
#include "shard/show.h"
#include "store/store.h"

#define SHARD_MAGIC 0x6b616e7465736864u

/* What struct shard_write's `state` is. */
struct write_state {
	struct store_reservation reservation; /* item NULL: over, nothing is reserved */
	uint64_t cas_unique;
	enum request_op op;
	uint32_t modifiers;
	bool is_staged;
	bool is_handed_over;
	enum reply_status refusal; /* of a staged one; else REPLY_STORED */
	/* of one that was revoked, and of a staged one that is refused: */
	uint64_t hash;
	uint8_t key_bytes;
	uint8_t key[KEY_BYTES_MAX];
};

/* A call on its way to the owner: with all that he needs for a short value but the item, so that
 * this is the one cache line of the caller's that he looks at. */
struct call_out {
	struct shard_call *call;
	struct store_original original; /* what is staged; item NULL: nothing, or it was refused */
	uint64_t cas_unique;            /* of a write, as its state has it; and so are these: */
	uint32_t modifiers;
	uint8_t op;      /* enum request_op */
	uint8_t refusal; /* enum reply_status */
};

/* And on its way back: the reply to a write. Of others call->reply has it. */
struct call_back {
	struct shard_call *call;
	uint64_t value_bytes;
	uint64_t cas_unique;
	enum reply_status status;
};

_Static_assert(sizeof(struct call_out) == 56 && sizeof(struct call_back) <= 56,
               "with what the ring needs it is a cache line");

/* One of the others, whose calls are served. */
struct serving {
	uint32_t foreseen_count; /* of his calls: to be served in this turn */
	/* a value that he has handed over, being copied: */
	bool is_under_way;
	struct write_state state; /* of its own */
	struct store_piece piece; /* what comes next of the staged one, */
	uint32_t piece_bytes;     /* … of which so much is done */
};

/* Of one class of keys. */
struct shard_class {
	uint32_t rate_s;    /* in this second … */
	uint32_t rate_left; /* … so many requests may come yet */
	struct class_requests counters;
};

struct shard {
	uint64_t magic; /* SHARD_MAGIC */
	struct store *store;
	struct shards *shards;         /* NULL: it is alone */
	const struct classes *classes; /* NULL: there are none */
	uint32_t number;               /* among them */
	uint64_t unix_time_at_start_s;
	uint32_t value_bytes_max;
	uint64_t memory_bytes_max;             /* that the store was created with */
	const struct shard_observer *observer; /* NULL: nobody watches */
	struct serving *serving;               /* of each of the others */
	uint32_t purges;                       /* bits: those that it has not ended */
	struct shard_counters counters;
	struct hot hot;
	struct show *show; /* NULL: nothing is shown */
	struct shard_class class_of[CLASS_COUNT_MAX];
};

/* Tells the observer, whom there must be. */
static inline void shard_tell(const struct shard *shard, const struct shard_event *event)
{
	shard->observer->observe(shard->observer->context, event);
}

/* memcached's exptime as the second in which the item is gone; 0: never. */
uint32_t shard_expiry_s(const struct shard *shard, int64_t exptime, uint32_t now_s);

/* Likewise, as the key's class will have it: of what is written. */
uint32_t shard_item_expiry_s(const struct shard *shard, struct slice key, int64_t exptime,
                             uint32_t now_s);

/* One more of what the class of the key has been asked for: CLASS_COUNTER(cmd_get) say. */
static inline void shard_count_class(struct shard *shard, struct slice key, size_t counter)
{
	struct class_requests *requests;

	if (shard->classes == NULL)
		return;
	requests = &shard->class_of[classes_of(shard->classes, key)].counters;
	counter_add((_Atomic uint64_t *)requests + counter, 1);
}

#define CLASS_COUNTER(name) (offsetof(struct class_requests, name) / sizeof(uint64_t))

/* The live item with this key, or false. A dead one is removed on the way and counted as
 * get_expired or get_flushed, which memcached does for every command but the storage ones. */
bool shard_find(struct shard *shard, uint64_t hash, struct slice key,
                struct store_place *ret_place);

/* A staged write goes to its owner, with what has come of it. */
void shard_write_hand_over(struct shard *shard, struct shard_write *write,
                           struct call_out *ret_out);

/* Begins to copy the staged value that has come from another. False: it was refused, and that is
 * the reply. */
bool shard_write_take_over(struct shard *shard, uint32_t from, const struct call_out *out,
                           uint32_t now_s, struct call_back *ret_back);

/* Goes on with it, and commits it at the end. False: that is not reached. */
bool shard_write_go_on(struct shard *shard, uint32_t from, uint64_t bytes, uint32_t now_s,
                       struct call_back *ret_back);

/* Tells the others of purges that have ended here. */
void shard_end_purges(struct shard *shard);

/* For store_observe_revocations(). */
void shard_write_revoked(void *context, struct store_reservation *reservation);

/* The number of the shard that has keys of this hash. */
static inline uint32_t shards_number(const struct shards *shards, uint64_t hash)
{
	/* by other bits than those that say where in the index it is */
	return (uint32_t)((uint64_t)((uint32_t)(hash >> 32) * 0x85ebca6bu) * shards->count >> 32);
}

/* The store that has them. */
static inline struct store *shard_home(const struct shard *shard, uint64_t hash)
{
	if (shard->shards == NULL)
		return shard->store;
	return shard->shards->stores[shards_number(shard->shards, hash)];
}

static inline uint64_t shard_request_hash(const struct shard *shard, const struct request *request)
{
	return request->hash != 0 ? request->hash : store_hash(shard->store, request->key);
}

/* Seconds that are left to an item; TTL_NEVER. */
int64_t shard_ttl_s(const struct store *store, const struct item *item, uint32_t now_s);

/* An item of these few bytes in `replaced`'s place, or in a new one; NULL: no memory. `replaced`
 * may be NULL, and is not valid any more. */
struct item *shard_store_small(struct shard *shard, const struct store_item_options *options,
                               const uint8_t *value, const struct store_place *replaced);

/* store_change(); a refusal is counted. */
bool shard_change(struct shard *shard, struct store_place *place, uint32_t expiry_s,
                  uint64_t cas_unique);

/* ITEM_KEY_IS_BINARY or 0. */
static inline uint32_t shard_key_mark(const struct request *request)
{
	return request->modifiers & REQUEST_KEY_IS_BINARY ? ITEM_KEY_IS_BINARY : 0;
}

/* What is to be stored gets the cas unique that the client has chosen, if he has. */
static inline void shard_choose_cas(struct store_item_options *options,
                                    const struct request *request)
{
	options->cas_is_given = (request->modifiers & REQUEST_NEW_CAS) != 0;
	options->cas_unique = request->new_cas;
}

/* The ops, one or a few a file. */
void shard_execute_modified_get(struct shard *shard, const struct request *request, uint32_t now_s,
                                struct reply *ret_reply);
/* One that is a look-up and no more, of any shard's key. False: its owner has to answer it. */
bool shard_execute_get(struct shard *shard, const struct request *request, uint32_t now_s,
                       struct reply *ret_reply);
void shard_execute_purge(struct shard *shard, const struct request *request,
                         struct reply *ret_reply);
void shard_execute_touch(struct shard *shard, const struct request *request, uint32_t now_s,
                         struct reply *ret_reply);
void shard_execute_inspect(struct shard *shard, const struct request *request, uint32_t now_s,
                           struct reply *ret_reply);
void shard_execute_delete(struct shard *shard, const struct request *request, uint32_t now_s,
                          struct reply *ret_reply);
void shard_execute_delta(struct shard *shard, const struct request *request, uint32_t now_s,
                         struct reply *ret_reply);
