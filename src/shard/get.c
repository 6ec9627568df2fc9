/* SPDX-License-Identifier: Apache-2.0 */
/* GET, GAT, TOUCH and INSPECT. */
#include "shard/internal.h"

#define WALK_PLACES      256 /* looked at in one step of shard_walk() */
#define WALK_CURSOR_BITS 40  /* of the store's own cursor; above it, which shard */

int64_t shard_ttl_s(const struct store *store, const struct item *item, uint32_t now_s)
{
	uint32_t expiry_s = store_expiry_s(store, item);

	if (expiry_s == 0)
		return TTL_NEVER;
	return expiry_s > now_s ? expiry_s - now_s : 0;
}

/* A plain GET has no use for the cas unique, whose base is in one more cache line. */
static void reply_plain(const struct store *store, const struct item *item, struct reply *ret_reply)
{
	ret_reply->status = REPLY_HIT;
	ret_reply->client_flags = item_client_flags(item);
	ret_reply->value_bytes = item_value_bytes(item);
	ret_reply->item = item;
	ret_reply->home = store;
}

static void reply_hit(const struct store *store, const struct item *item, struct reply *ret_reply)
{
	reply_plain(store, item, ret_reply);
	ret_reply->cas_unique = store_cas_unique(store, item);
}

static void reply_get(const struct store *store, const struct request *request,
                      const struct item *item, struct reply *ret_reply)
{
	if (request->with_cas)
		reply_hit(store, item, ret_reply);
	else
		reply_plain(store, item, ret_reply);
}

static void describe(const struct store *store, const struct item *item, uint32_t now_s,
                     struct reply *ret_reply)
{
	reply_hit(store, item, ret_reply);
	ret_reply->key = item_key(item);
	ret_reply->marks = item_is_read(item) ? REPLY_FETCHED : 0;
	if (item_marks(item) & ITEM_KEY_IS_BINARY)
		ret_reply->marks |= REPLY_KEY_IS_BINARY;
	ret_reply->idle_s = item_idle_s(item, now_s);
	ret_reply->ttl_s = shard_ttl_s(store, item, now_s);
	ret_reply->renewed_s = ret_reply->ttl_s;
}

/* Who asks first for an item that is stale, or nearly expired, or was just made for him, has won:
 * he is told to store a new value, the others that somebody does. Any worker may ask. */
static void settle_win(struct item *item, bool won, struct reply *ret_reply)
{
	uint32_t shape = item_shape(item);
	uint32_t marks;

	do {
		marks = shape_marks(shape);
		if ((marks & ITEM_WON) || (!won && !(marks & ITEM_STALE)))
			break;
	} while (!item_exchange_marks(item, &shape, marks | ITEM_WON));
	if (marks & ITEM_STALE)
		ret_reply->marks |= REPLY_STALE;
	if (marks & ITEM_WON)
		ret_reply->marks |= REPLY_WON_BEFORE;
	else if (won || (marks & ITEM_STALE))
		ret_reply->marks |= REPLY_WON;
}

static bool is_recache_due(const struct shard *shard, const struct request *request,
                           uint32_t expiry_s, uint32_t now_s)
{
	return (request->modifiers & REQUEST_RECACHE) && expiry_s != 0 &&
	       expiry_s < shard_expiry_s(shard, request->recache_exptime, now_s);
}

/* False: no memory, nothing has changed. */
static bool renew(struct shard *shard, const struct request *request, struct store_place *place,
                  uint32_t now_s)
{
	return shard_change(shard, place,
	                    shard_item_expiry_s(shard, request->key, request->exptime, now_s),
	                    store_cas_unique(shard->store, place->item));
}

static void modified_hit(struct shard *shard, const struct request *request, uint64_t hash,
                         struct store_place *place, uint32_t now_s, struct reply *ret_reply)
{
	uint32_t expiry_s = store_expiry_s(shard->store, place->item);
	int64_t ttl_s = shard_ttl_s(shard->store, place->item, now_s);
	bool won;

	if ((request->modifiers & REQUEST_RENEW) && !renew(shard, request, place, now_s)) {
		ret_reply->status = REPLY_NO_MEMORY;
		return;
	}
	describe(shard->store, place->item, now_s, ret_reply);
	ret_reply->ttl_s = ttl_s;
	if (request->modifiers & REQUEST_RENEW_BEFORE_RECACHE)
		expiry_s = store_expiry_s(shard->store, place->item);
	won = is_recache_due(shard, request, expiry_s, now_s);
	if (won)
		shown_hide(store_shown(shard->store), place->item);
	settle_win(place->item, won, ret_reply);
	if (!(request->modifiers & REQUEST_NO_BUMP))
		store_mark_read(shard->store, shard->number, hash, place, now_s);
}

/* A miss, and VIVIFY: the item is empty, and whoever made it has won. */
static void vivify(struct shard *shard, const struct request *request, uint64_t hash,
                   uint32_t now_s, struct reply *ret_reply)
{
	bool renew_last = (request->modifiers & REQUEST_RENEW) != 0 &&
	                  !(request->modifiers & REQUEST_RENEW_BEFORE_VIVIFY);
	struct store_item_options options = {
	    .key = request->key,
	    .hash = hash,
	    .expiry_s =
	        shard_item_expiry_s(shard, request->key,
	                            renew_last ? request->exptime : request->vivify_exptime, now_s),
	    .marks = shard_key_mark(request),
	};
	struct item *item;

	shard_choose_cas(&options, request);
	item = shard_store_small(shard, &options, NULL, NULL);
	if (item == NULL) {
		ret_reply->status = REPLY_MISS;
		return;
	}
	describe(shard->store, item, now_s, ret_reply);
	ret_reply->ttl_s = TTL_NEVER;
	ret_reply->marks |= REPLY_CREATED;
	settle_win(item, true, ret_reply);
	/* as memcached: who made it has read it */
	if (!(request->modifiers & REQUEST_NO_BUMP))
		item_mark_read(item, now_s);
}

static void count_get(struct shard *shard, struct slice key, uint64_t hash)
{
	counter_add(&shard->counters.cmd_get, 1);
	shard_count_class(shard, key, CLASS_COUNTER(cmd_get));
	hot_count(&shard->hot, key, hash);
}

void shard_execute_modified_get(struct shard *shard, const struct request *request, uint32_t now_s,
                                struct reply *ret_reply)
{
	struct shard_counters *counters = &shard->counters;
	uint64_t hash = shard_request_hash(shard, request);
	bool touch = (request->modifiers & REQUEST_RENEW) != 0;
	struct store_place place;
	bool is_there = shard_find(shard, hash, request->key, &place);

	if (touch)
		counter_add(&counters->cmd_touch, 1);
	else
		count_get(shard, request->key, hash);
	if (!is_there)
		store_mark_read(shard->store, shard->number, hash, NULL, now_s);
	if (is_there)
		modified_hit(shard, request, hash, &place, now_s, ret_reply);
	else if (request->modifiers & REQUEST_VIVIFY)
		vivify(shard, request, hash, now_s, ret_reply);
	else
		ret_reply->status = REPLY_MISS;
	/* as memcached: what was vivified is a hit */
	if (ret_reply->status == REPLY_HIT && !touch)
		shard_count_class(shard, request->key, CLASS_COUNTER(get_hits));
	if (ret_reply->status == REPLY_HIT)
		counter_add(touch ? &counters->touch_hits : &counters->get_hits, 1);
	else if (ret_reply->status == REPLY_MISS)
		counter_add(touch ? &counters->touch_misses : &counters->get_misses, 1);
}

static void reply_missed(struct shard *shard, struct store *home, uint64_t hash,
                         enum store_verdict verdict, const struct store_place *place,
                         uint32_t now_s, struct reply *ret_reply)
{
	struct shard_counters *counters = &shard->counters;

	if (verdict == STORE_EXPIRED)
		counter_add(&counters->get_expired, 1);
	if (verdict == STORE_FLUSHED)
		counter_add(&counters->get_flushed, 1);
	if (verdict != STORE_MISSING && home == shard->store)
		store_remove(home, place);
	counter_add(&counters->get_misses, 1);
	store_mark_read(home, shard->number, hash, NULL, now_s);
	ret_reply->status = REPLY_MISS;
}

/* All keys alike, one's own as those of others: whose it is could not be foreseen. */
bool shard_execute_get(struct shard *shard, const struct request *request, uint32_t now_s,
                       struct reply *ret_reply)
{
	struct shard_counters *counters = &shard->counters;
	uint64_t hash = shard_request_hash(shard, request);
	struct store *home = shard_home(shard, hash);
	struct store_place place;
	enum store_verdict verdict;

	verdict = store_look(home, hash, request->key, now_s, &place);
	if (verdict == STORE_BUSY)
		return false;
	count_get(shard, request->key, hash);
	if (verdict != STORE_LIVE) {
		reply_missed(shard, home, hash, verdict, &place, now_s, ret_reply);
		return true;
	}
	counter_add(&counters->get_hits, 1);
	shard_count_class(shard, request->key, CLASS_COUNTER(get_hits));
	if (request->modifiers & REQUEST_DESCRIBE) {
		describe(home, place.item, now_s, ret_reply);
		settle_win(place.item, false, ret_reply);
	} else {
		reply_get(home, request, place.item, ret_reply);
	}
	if (!(request->modifiers & REQUEST_NO_BUMP))
		store_mark_read(home, shard->number, hash, &place, now_s);
	return true;
}

/* memcached counts a gat as no get. */
void shard_execute_touch(struct shard *shard, const struct request *request, uint32_t now_s,
                         struct reply *ret_reply)
{
	uint64_t hash = shard_request_hash(shard, request);
	bool is_gat = request->op == REQUEST_GAT;
	struct store_place place;

	counter_add(&shard->counters.cmd_touch, 1);
	if (!shard_find(shard, hash, request->key, &place)) {
		store_mark_read(shard->store, shard->number, hash, NULL, now_s);
		counter_add(&shard->counters.touch_misses, 1);
		ret_reply->status = is_gat ? REPLY_MISS : REPLY_NOT_FOUND;
		return;
	}
	/* to a gat of the text protocol it is a miss, as there is no line for it in the midst of
	 * others */
	if (!renew(shard, request, &place, now_s)) {
		ret_reply->status = REPLY_NO_MEMORY;
		return;
	}
	counter_add(&shard->counters.touch_hits, 1);
	reply_hit(shard->store, place.item, ret_reply);
	store_mark_read(shard->store, shard->number, hash, &place, now_s);
	if (!is_gat)
		ret_reply->status = REPLY_TOUCHED;
}

/* Told to clients: the same for all that are alike to them, so wide parts do not count. */
static uint64_t size_of(const struct item *item)
{
	return item_bytes_of(item_key_bytes(item), item_value_bytes(item));
}

void shard_execute_inspect(struct shard *shard, const struct request *request, uint32_t now_s,
                           struct reply *ret_reply)
{
	uint64_t hash = shard_request_hash(shard, request);
	struct store_place place;

	counter_add(&shard->counters.cmd_meta, 1);
	if (!shard_find(shard, hash, request->key, &place)) {
		ret_reply->status = REPLY_MISS;
		return;
	}
	describe(shard->store, place.item, now_s, ret_reply);
	ret_reply->item_bytes = size_of(place.item);
}

bool shard_walk(struct shard *shard, uint64_t *cursor, uint32_t now_s, struct reply *ret_reply)
{
	uint32_t count = shard->shards == NULL ? 1 : shard->shards->count;
	uint32_t number = (uint32_t)(*cursor >> WALK_CURSOR_BITS);
	uint64_t place = *cursor & (((uint64_t)1 << WALK_CURSOR_BITS) - 1);
	const struct store *home;
	struct item *item;

	ret_reply->status = REPLY_MISS;
	if (number == count)
		return false;
	store_tick(shard->store, now_s);
	home = shard->shards == NULL ? shard->store : shard->shards->stores[number];
	item = store_next(home, &place, WALK_PLACES, now_s);
	if (item != NULL) {
		describe(home, item, now_s, ret_reply);
		ret_reply->item_bytes = size_of(item);
	}
	if (store_walk_is_over(place)) {
		number++;
		place = 0;
	}
	*cursor = (uint64_t)number << WALK_CURSOR_BITS | place;
	return item != NULL || number < count;
}

uint64_t shard_unix_time_s(const struct shard *shard, uint32_t now_s)
{
	return shard->unix_time_at_start_s + now_s;
}
