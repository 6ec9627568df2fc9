/* SPDX-License-Identifier: Apache-2.0 */
/* DELETE, and what the meta command md makes of it: an item that is marked stale, or emptied, or
 * both, instead of removed. */
#include "shard/internal.h"

static void invalidate(struct shard *shard, const struct request *request, struct item *item,
                       uint32_t now_s)
{
	if (request->modifiers & REQUEST_RENEW)
		store_set_expiry(shard->store, item,
		                 shard_expiry_s(shard, request->exptime, now_s));
	store_set_marks(item, (item_marks(item) & ~ITEM_WON) | ITEM_STALE);
	store_set_cas(item, request->modifiers & REQUEST_NEW_CAS ? request->new_cas
	                                                         : store_next_cas(shard->store));
}

/* Its flags and its expiry go with the value, to the letter of memcached; the cas unique does not.
 * NULL: no memory, nothing has changed. */
static struct item *empty(struct shard *shard, const struct request *request, uint64_t hash,
                          const struct store_place *place, uint32_t now_s)
{
	struct store_item_options options = {
	    .key = request->key,
	    .hash = hash,
	    .client_flags = request->client_flags,
	    .expiry_s = shard_expiry_s(shard, request->exptime, now_s),
	};
	uint64_t cas_unique = item_cas_unique(place->item);
	struct item *item = shard_store_small(shard, &options, NULL, request, place);

	if (item != NULL && !(request->modifiers & REQUEST_NEW_CAS))
		store_set_cas(item, cas_unique);
	return item;
}

void shard_execute_delete(struct shard *shard, const struct request *request, uint32_t now_s,
                          struct reply *ret_reply)
{
	struct shard_counters *counters = &shard->counters;
	uint64_t hash = store_hash(shard->store, request->key);
	struct store_place place;
	struct item *item;

	if (!shard_find(shard, hash, request->key, &place)) {
		counter_add(&counters->delete_misses, 1);
		ret_reply->status = REPLY_NOT_FOUND;
		return;
	}
	item = place.item;
	ret_reply->value_bytes = item->value_bytes;
	if ((request->modifiers & REQUEST_COMPARE) &&
	    item_cas_unique(item) != request->cas_unique) {
		counter_add(&counters->delete_misses, 1);
		ret_reply->status = REPLY_EXISTS;
		return;
	}
	if (request->modifiers & REQUEST_EMPTY) {
		item = empty(shard, request, hash, &place, now_s);
		if (item == NULL) {
			ret_reply->status = REPLY_NO_MEMORY;
			return;
		}
	}
	ret_reply->status = REPLY_DELETED;
	if (request->modifiers & REQUEST_INVALIDATE) {
		invalidate(shard, request, item, now_s);
		return;
	}
	counter_add(&counters->delete_hits, 1);
	if (!(request->modifiers & REQUEST_EMPTY))
		store_remove(shard->store, &place);
}
