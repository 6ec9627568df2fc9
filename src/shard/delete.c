/* SPDX-License-Identifier: Apache-2.0 */
/* DELETE, and what the meta command md makes of it: an item that is marked stale, or emptied, or
 * both, instead of removed. */
#include "shard/internal.h"

/* What makes an item stale changes its cas unique, too. */
static uint64_t new_cas(struct shard *shard, const struct request *request)
{
	return request->modifiers & REQUEST_NEW_CAS ? request->new_cas
	                                            : store_next_cas(shard->store);
}

/* False: no memory, nothing has changed. */
static bool invalidate(struct shard *shard, const struct request *request,
                       struct store_place *place, uint32_t now_s)
{
	uint32_t expiry_s = request->modifiers & REQUEST_RENEW
	                        ? shard_item_expiry_s(shard, request->key, request->exptime, now_s)
	                        : store_expiry_s(shard->store, place->item);

	if (!shard_change(shard, place, expiry_s, new_cas(shard, request)))
		return false;
	item_set_marks(place->item, (item_marks(place->item) & ~ITEM_WON) | ITEM_STALE);
	return true;
}

/* Its flags and its expiry go with the value, to the letter of memcached; the cas unique does not.
 * False: no memory, nothing has changed. */
static bool empty(struct shard *shard, const struct request *request, uint64_t hash,
                  const struct store_place *place, uint32_t now_s)
{
	bool is_stale = (request->modifiers & REQUEST_INVALIDATE) != 0;
	struct store_item_options options = {
	    .key = request->key,
	    .hash = hash,
	    .client_flags = request->client_flags,
	    .expiry_s = shard_item_expiry_s(shard, request->key, request->exptime, now_s),
	    .marks = shard_key_mark(request) | (is_stale ? ITEM_STALE : 0),
	    .cas_is_given = true,
	    .cas_unique = is_stale || (request->modifiers & REQUEST_NEW_CAS)
	                      ? new_cas(shard, request)
	                      : store_cas_unique(shard->store, place->item),
	};

	return shard_store_small(shard, &options, NULL, place) != NULL;
}

/* Removes it, or what stands for that. False: no memory, nothing has changed. */
static bool take_away(struct shard *shard, const struct request *request, uint64_t hash,
                      struct store_place *place, uint32_t now_s)
{
	if (request->modifiers & REQUEST_EMPTY)
		return empty(shard, request, hash, place, now_s);
	if (request->modifiers & REQUEST_INVALIDATE)
		return invalidate(shard, request, place, now_s);
	store_remove(shard->store, place);
	return true;
}

void shard_execute_delete(struct shard *shard, const struct request *request, uint32_t now_s,
                          struct reply *ret_reply)
{
	struct shard_counters *counters = &shard->counters;
	uint64_t hash = shard_request_hash(shard, request);
	struct store_place place;

	if (!shard_find(shard, hash, request->key, &place)) {
		counter_add(&counters->delete_misses, 1);
		ret_reply->status = REPLY_NOT_FOUND;
		return;
	}
	ret_reply->value_bytes = item_value_bytes(place.item);
	if ((request->modifiers & REQUEST_COMPARE) &&
	    store_cas_unique(shard->store, place.item) != request->cas_unique) {
		counter_add(&counters->delete_misses, 1);
		ret_reply->status = REPLY_EXISTS;
		return;
	}
	if (!take_away(shard, request, hash, &place, now_s)) {
		ret_reply->status = REPLY_NO_MEMORY;
		return;
	}
	ret_reply->status = REPLY_DELETED;
	if (!(request->modifiers & REQUEST_INVALIDATE))
		counter_add(&counters->delete_hits, 1);
}
