/* SPDX-License-Identifier: Apache-2.0 */
#include "shard/shard.h"

#include "shard/internal.h"

#include <errno.h>

#define ITEM_LIMIT_BYTES_MIN 1024u
#define ITEM_LIMIT_BYTES_MAX (1u << 30)

/* Longer exptimes are points in time (memcached's protocol.txt). */
#define RELATIVE_EXPTIME_MAX_S (60 * 60 * 24 * 30)

static size_t serving_bytes(uint32_t shard_count)
{
	return shard_count == 1 ? 0 : memory_rounded(shard_count * sizeof(struct serving));
}

/* Besides the store's. */
static size_t own_bytes(uint32_t shard_count)
{
	return memory_rounded(sizeof(struct shard)) + serving_bytes(shard_count) + hot_bytes();
}

uint64_t shard_memory_bytes_min(uint32_t value_bytes_max, uint32_t shard_count)
{
	return own_bytes(shard_count) + store_memory_bytes_min(value_bytes_max, shard_count);
}

uint32_t shards_owner(const struct shards *shards, struct slice key)
{
	return shards_number(shards, store_hash(shards->stores[0], key));
}

static struct store_options store_options_of(const struct shard_options *options)
{
	uint32_t shard_count = options->shards == NULL ? 1 : options->shards->count;

	return (struct store_options){
	    .memory_bytes = options->memory_bytes - own_bytes(shard_count),
	    .value_bytes_max = options->value_bytes_max,
	    .hash_seed = options->hash_seed,
	    .policy = options->policy,
	    .classes = options->classes,
	    .epoch = options->shards != NULL ? &options->shards->epoch : NULL,
	    .owner = options->number,
	};
}

int shard_create(struct shard **ret_shard, const struct shard_options *options,
                 struct memory *memory)
{
	uint32_t shard_count = options->shards == NULL ? 1 : options->shards->count;
	struct store_options store_options = store_options_of(options);
	struct shard *shard;
	struct store *store;
	int r;

	if (options->value_bytes_max < ITEM_LIMIT_BYTES_MIN ||
	    options->value_bytes_max > ITEM_LIMIT_BYTES_MAX ||
	    options->memory_bytes < shard_memory_bytes_min(options->value_bytes_max, shard_count))
		return -EINVAL;
	r = options->goes_on ? store_wake(&store, &store_options, memory)
	                     : store_create(&store, &store_options, memory);
	if (r < 0)
		return r;
	shard = memory_take(memory, sizeof(*shard));
	*shard = (struct shard){
	    .magic = SHARD_MAGIC,
	    .serving = memory_take(memory, serving_bytes(shard_count)),
	    .store = store,
	    .shards = options->shards,
	    .classes = options->classes,
	    .number = options->number,
	    .unix_time_at_start_s = options->unix_time_at_start_s,
	    .value_bytes_max = options->value_bytes_max,
	    .memory_bytes_max = store_options.memory_bytes,
	};
	memset(shard->serving, 0, serving_bytes(shard_count));
	hot_create(&shard->hot, options->hash_seed, memory);
	store_observe_revocations(store, shard_write_revoked, shard);
	if (options->shards != NULL)
		options->shards->stores[options->number] = store;
	*ret_shard = shard;
	return 0;
}

uint64_t shard_rest(struct shard *shard, uint64_t generation)
{
	return store_rest(shard->store, generation);
}

uint32_t shard_layout_bytes(void)
{
	return store_layout_bytes();
}

bool shard_is_rested(const struct shard_options *options, const struct memory *memory,
                     uint64_t generation, uint64_t sum)
{
	struct store_options store_options = store_options_of(options);

	return store_is_rested(&store_options, memory, generation, sum);
}

uint32_t shard_number(const struct shard *shard)
{
	return shard->number;
}

uint64_t shard_hash(const struct shard *shard, struct slice key)
{
	return store_hash(shard->store, key);
}

uint64_t shard_foresee(const struct shard *shard, struct slice key, bool to_write)
{
	uint64_t hash = store_hash(shard->store, key);
	const struct store *home = shard_home(shard, hash);

	if (!to_write)
		store_prefetch(home, hash);
	else if (home == shard->store) /* else it is handed over */
		store_prefetch_to_write(home, hash);
	return hash;
}

void shard_foresee_item(const struct shard *shard, uint64_t hash, bool to_write)
{
	const struct store *home = shard_home(shard, hash);

	if (!to_write || home == shard->store)
		store_prefetch_item(home, hash, to_write);
}

bool shard_owns(const struct shard *shard, struct slice key)
{
	return shard->shards == NULL ||
	       shards_number(shard->shards, store_hash(shard->store, key)) == shard->number;
}

void shard_set_policy(struct shard *shard, enum policy policy)
{
	store_set_policy(shard->store, policy);
}

struct hot *shard_hot(struct shard *shard)
{
	return &shard->hot;
}

bool shard_work(struct shard *shard, uint32_t now_s)
{
	bool has_more;

	store_tick(shard->store, now_s);
	has_more = store_work(shard->store);
	if (shard->purges != 0)
		shard_end_purges(shard);
	return has_more;
}

bool shard_is_ready(struct shard *shard)
{
	return store_is_ready(shard->store);
}

uint32_t shard_expiry_s(const struct shard *shard, int64_t exptime, uint32_t now_s)
{
	uint64_t expiry_s;

	if (exptime == 0)
		return 0;
	if (exptime < 0)
		return 1; /* not after any second there is */
	if (exptime <= RELATIVE_EXPTIME_MAX_S)
		expiry_s = (uint64_t)now_s + (uint64_t)exptime;
	else if ((uint64_t)exptime <= shard->unix_time_at_start_s)
		return 1;
	else
		expiry_s = (uint64_t)exptime - shard->unix_time_at_start_s;
	/* A hundred and thirty-six years on: never, but for the store's own "never". */
	return (uint32_t)min_u64(expiry_s, UINT32_MAX - 1);
}

bool shard_find(struct shard *shard, uint64_t hash, struct slice key, struct store_place *ret_place)
{
	struct store_place place;

	switch (store_find(shard->store, hash, key, &place)) {
	case STORE_LIVE: *ret_place = place; return true;
	case STORE_MISSING:
	case STORE_BUSY: return false;
	case STORE_EXPIRED: counter_add(&shard->counters.get_expired, 1); break;
	case STORE_FLUSHED: counter_add(&shard->counters.get_flushed, 1); break;
	}
	store_remove(shard->store, &place);
	return false;
}

struct item *shard_store_small(struct shard *shard, const struct store_item_options *options,
                               const uint8_t *value, const struct store_place *replaced)
{
	struct store_reservation reservation;
	struct segment *pinned = NULL;
	struct item *item = NULL;

	if (replaced != NULL)
		pinned = store_pin(shard->store, replaced->item);
	if (store_reserve(shard->store, options, &reservation)) {
		store_write(shard->store, &reservation, value, options->value_bytes);
		item = reservation.item;
		store_publish(shard->store, &reservation, replaced);
	} else {
		counter_add(&shard->counters.store_no_memory, 1);
	}
	if (replaced != NULL)
		store_unpin(shard->store, pinned);
	return item;
}

bool shard_change(struct shard *shard, struct store_place *place, uint32_t expiry_s,
                  uint64_t cas_unique)
{
	if (store_change(shard->store, place, expiry_s, cas_unique))
		return true;
	counter_add(&shard->counters.store_no_memory, 1);
	return false;
}

static void execute_flush(struct shard *shard, const struct request *request, uint32_t now_s,
                          struct reply *ret_reply)
{
	if (!(request->modifiers & REQUEST_PASSED_ON))
		counter_add(&shard->counters.cmd_flush, 1);
	/* "Never" is "now" here, and so is the past. */
	store_flush(shard->store, shard_expiry_s(shard, request->exptime, now_s));
	ret_reply->status = REPLY_OK;
}

/* In MiB, of all shards together, of which the last one they were started with need not be whole.
 */
static void execute_memory_limit(struct shard *shard, const struct request *request,
                                 struct reply *ret_reply)
{
	uint32_t count = shard->shards == NULL ? 1 : shard->shards->count;
	uint64_t bytes = (request->delta << 20) / count;

	if (bytes > shard->memory_bytes_max && bytes - shard->memory_bytes_max < (1u << 20) / count)
		bytes = shard->memory_bytes_max;
	ret_reply->status = store_set_limit(shard->store, bytes) ? REPLY_OK : REPLY_BAD_LIMIT;
}

static void execute(struct shard *shard, const struct request *request, uint32_t now_s,
                    struct reply *ret_reply)
{
	switch (request->op) {
	case REQUEST_GET: shard_execute_modified_get(shard, request, now_s, ret_reply); return;
	case REQUEST_GAT:
	case REQUEST_TOUCH: shard_execute_touch(shard, request, now_s, ret_reply); return;
	case REQUEST_INSPECT: shard_execute_inspect(shard, request, now_s, ret_reply); return;
	case REQUEST_INCR:
	case REQUEST_DECR: shard_execute_delta(shard, request, now_s, ret_reply); return;
	case REQUEST_DELETE: shard_execute_delete(shard, request, now_s, ret_reply); return;
	case REQUEST_MEMORY_LIMIT: execute_memory_limit(shard, request, ret_reply); return;
	case REQUEST_PURGE: shard_execute_purge(shard, request, ret_reply); return;
	case REQUEST_FLUSH_ALL: execute_flush(shard, request, now_s, ret_reply); return;
	default: ASSERT(!"a request for shard_execute()");
	}
}

static void tell_executed(const struct shard *shard, const struct request *request,
                          const struct reply *reply)
{
	bool is_there = reply->status == REPLY_HIT || reply->status == REPLY_DELETED;
	struct shard_event event = {
	    .kind = request->op == REQUEST_DELETE ? SHARD_DELETED : SHARD_FETCHED,
	    .op = request->op,
	    .status = reply->status,
	    .key = request->key,
	    .value_bytes = is_there ? reply->value_bytes : 0,
	};

	if (request->op == REQUEST_GET || request->op == REQUEST_GAT ||
	    request->op == REQUEST_DELETE)
		shard_tell(shard, &event);
}

static bool is_mine(struct shard *shard, const struct request *request)
{
	if (shard->shards == NULL || request->key.length == 0 || request->op == REQUEST_PURGE)
		return true;
	return shard_home(shard, shard_request_hash(shard, request)) == shard->store;
}

/* With one of these a GET is more than a look-up. */
#define GET_WRITES (REQUEST_RENEW | REQUEST_VIVIFY | REQUEST_RECACHE)

bool shard_execute(struct shard *shard, const struct request *request, uint32_t now_s,
                   struct reply *ret_reply)
{
	store_tick(shard->store, now_s);
	if (request->op == REQUEST_GET && !(request->modifiers & GET_WRITES)) {
		if (!shard_execute_get(shard, request, now_s, ret_reply))
			return false;
	} else if (is_mine(shard, request)) {
		execute(shard, request, now_s, ret_reply);
	} else {
		return false;
	}
	if (shard->observer != NULL)
		tell_executed(shard, request, ret_reply);
	return true;
}

static void tell_evicted(void *context, const struct item *item, uint32_t now_s)
{
	const struct shard *shard = context;
	struct shard_event event = {
	    .kind = SHARD_EVICTED,
	    .key = item_key(item),
	    .value_bytes = item_value_bytes(item),
	    .ttl_s = shard_ttl_s(shard->store, item, now_s),
	    .idle_s = item_idle_s(item, now_s),
	    .was_fetched = item_is_read(item),
	};

	shard_tell(shard, &event);
}

void shard_observe(struct shard *shard, const struct shard_observer *observer)
{
	shard->observer = observer;
	store_observe_evictions(shard->store, observer == NULL ? NULL : tell_evicted, shard);
}

bool shard_append_value(struct shard *shard, const struct reply *reply, struct chain *out)
{
	const struct item *item = reply->item;
	struct store *store = (struct store *)(uintptr_t)reply->home;
	struct store_piece piece = store_value(store, item);

	/* A reference costs no more cycles than a copy, whatever the size (tests/perf/pieces), but
	 * two blocks of memory a value, and it holds up a segment: it is not for small ones. Such
	 * an item is never large: it is all in one piece. */
	if (item_value_bytes(item) <= BLOCK_CAPACITY)
		return chain_append(out, piece.data, piece.length);
	do {
		struct segment *pinned = store_pin(store, item);

		if (!chain_append_reference(out, piece.data, piece.length, pinned)) {
			store_unpin(store, pinned);
			return false;
		}
	} while (store_value_next(store, &piece));
	return true;
}

void shard_copy_value(struct shard *shard, const struct reply *reply, uint8_t *to)
{
	const struct store *store = reply->home;
	struct store_piece piece = store_value(store, reply->item);

	do {
		memcpy(to, piece.data, piece.length);
		to += piece.length;
	} while (store_value_next(store, &piece));
}

/* Of which of the shards the segment is. */
static struct store *store_of(const struct shard *shard, const struct segment *segment)
{
	ASSERT_SLOW(shard->magic == SHARD_MAGIC);
	if (shard->shards == NULL || store_has(shard->store, segment))
		return shard->store;
	for (uint32_t i = 0; i < shard->shards->count; i++)
		if (store_has(shard->shards->stores[i], segment))
			return shard->shards->stores[i];
	ASSERT(!"a reference to one of our segments");
	return NULL;
}

static bool retain(void *context, void *reference)
{
	return store_pin_again(store_of(context, reference), reference);
}

static void release(void *context, void *reference)
{
	store_unpin(store_of(context, reference), reference);
}

struct references shard_references(struct shard *shard)
{
	return (struct references){retain, release, shard};
}

const struct shard_counters *shard_counters(const struct shard *shard)
{
	return &shard->counters;
}

const struct store_counters *shard_store_counters(const struct shard *shard)
{
	return store_counters(shard->store);
}

const struct class_requests *shard_class_requests(const struct shard *shard, uint32_t class)
{
	return &shard->class_of[class].counters;
}

const struct class_holding *shard_class_holding(const struct shard *shard, uint32_t class)
{
	return &store_holdings(shard->store)[class];
}

void shard_check(const struct shard *shard)
{
	ASSERT(shard->magic == SHARD_MAGIC);
	store_check(shard->store);
}
