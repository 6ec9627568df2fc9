/* SPDX-License-Identifier: Apache-2.0 */
/* What stays of a segment that is emptied, and how it is done. */
#include "store/internal.h"

static uint32_t rank_of(const struct store *store, enum policy policy, uint32_t mark,
                        const struct item *item)
{
	uint32_t expiry_s = store_expiry_s(store, item);
	struct policy_item known = {
	    .mark = mark,
	    .item_bytes = (uint32_t)min_u64(item_bytes(item), UINT32_MAX),
	    .left_s = expiry_s == 0 ? UINT32_MAX : expiry_s - min_u32(expiry_s, store->now_s),
	};

	return policy_rank(policy, &known, store->eviction.clock.tick,
	                   store->eviction.weights[policy]);
}

/* Of a large item: all of its segments. */
static uint64_t room_bytes(const struct store *store, const struct item *item)
{
	const struct segment *segment = store_segment_of(store, item);

	if (segment->list != LIST_LARGE)
		return item_bytes(item);
	return (uint64_t)segment->chain_count << store->segments.shift;
}

static uint32_t mark_of_kept(const struct store *store, const struct sieve *sieve, enum log_id from,
                             uint32_t mark)
{
	uint32_t hits = mark_hits(mark);

	if (from != sieve->to)
		hits = 0;
	else if (sieve->takes_chance)
		hits = min_u32(hits, CHANCES_MAX) - 1;
	return mark_kept(mark, store->eviction.clock.tick, hits);
}

static bool stays(const struct store *store, struct sieve *sieve, uint32_t mark,
                  const struct item *item, uint64_t bytes)
{
	uint32_t rank = rank_of(store, sieve->policy, mark, item);

	if (rank != sieve->rank_min || sieve->bytes == 0)
		return rank >= sieve->rank_min;
	sieve->bytes -= min_u64(sieve->bytes, bytes);
	return false;
}

/* To the newest end of the log. */
static bool move(struct store *store, _Atomic uint64_t *slot, struct item *item, enum log_id to)
{
	uint32_t index = segment_index_of(&store->segments, item);

	if (store_segment(store, index)->list != LIST_LARGE)
		return store_copy_item(store, slot, item, to);
	store_unlist(store, index);
	store_list(store, index, to, LIST_LARGE);
	return true;
}

static void sift(struct store *store, struct sieve *sieve, uint64_t hash, struct item *item)
{
	_Atomic uint64_t *slot = index_find_item(&store->index, hash, item);
	enum log_id from = (enum log_id)store_segment_of(store, item)->log;
	uint64_t bytes = room_bytes(store, item);
	bool is_live = store_judge(store, item) == STORE_LIVE;
	uint32_t mark;

	ASSERT(slot != NULL);
	mark = slot_mark(slot_load(slot));
	if (is_live && stays(store, sieve, mark, item, bytes)) {
		uint64_t kept =
		    slot_with_mark(slot_load(slot), mark_of_kept(store, sieve, from, mark));

		slot_store(slot, kept);
		if (move(store, slot, item, sieve->to)) {
			if (from != sieve->to)
				counter_add(&store->counters.promotions, 1);
			sieve->kept_bytes += bytes;
			return;
		}
	}
	if (is_live)
		ghost_put(&store->ghost, hash,
		          sieve->is_deserted ? GHOST_DESERTED : (enum ghost_kind)from,
		          item_bytes(item), store_cache_bytes(store));
	store_evict(store, slot, item);
	sieve->won_bytes += bytes;
}

/* Items are hashed and their buckets fetched some at a time: the buckets are all over memory, and
 * waiting for them one by one is what emptying a segment would cost. */
#define ITEM_BATCH 16

struct item_batch {
	struct item *items[ITEM_BATCH];
	uint64_t hashes[ITEM_BATCH];
	uint32_t count;
};

/* The next live items of a segment, of which there are `live_count` from *at on. */
static void next_items(const struct store *store, uint8_t **at, uint32_t live_count,
                       struct item_batch *ret_batch)
{
	uint32_t count = 0;

	while (count < ITEM_BATCH && count < live_count) {
		struct item *item = (struct item *)*at;

		*at += item_bytes(item);
		if (item_state(item) != ITEM_LIVE)
			continue;
		ret_batch->items[count] = item;
		ret_batch->hashes[count] = store_hash(store, item_key(item));
		store_prefetch(store, ret_batch->hashes[count]);
		count++;
	}
	ret_batch->count = count;
}

void store_empty(struct store *store, uint32_t index, struct sieve *sieve)
{
	struct segment *segment = store_segment(store, index);
	uint8_t *at = segment_data(&store->segments, index);
	uint32_t live_count = segment->live_count;
	struct item_batch batch;

	if (index == store->logs[segment->log].active)
		store_seal(store, (enum log_id)segment->log);
	store->eviction.emptied = index;
	for (; live_count > 0; live_count -= batch.count) {
		next_items(store, &at, live_count, &batch);
		for (uint32_t i = 0; i < batch.count; i++)
			sift(store, sieve, batch.hashes[i], batch.items[i]);
	}
	store->eviction.emptied = SEGMENT_NONE;
	while (segment->waiting != NULL)
		store_revoke(store, segment->waiting);
}

uint64_t store_hot_bytes(const struct store *store, uint32_t index)
{
	const struct segment *segment = store_segment(store, index);
	uint8_t *at = segment_data(&store->segments, index);
	uint32_t live_count = segment->live_count;
	struct item_batch batch;
	uint64_t bytes = 0;

	for (; live_count > 0; live_count -= batch.count) {
		next_items(store, &at, live_count, &batch);
		for (uint32_t i = 0; i < batch.count; i++) {
			const _Atomic uint64_t *slot =
			    index_find_item(&store->index, batch.hashes[i], batch.items[i]);
			uint32_t rank = rank_of(store, store->eviction.policy,
			                        slot_mark(slot_load(slot)), batch.items[i]);

			if (rank >= RANK_HOT)
				bytes += item_bytes(batch.items[i]);
		}
	}
	return bytes;
}

void store_rank_items(struct store *store, uint32_t index)
{
	struct eviction *eviction = &store->eviction;
	const struct segment *segment = store_segment(store, index);
	uint8_t *at = segment_data(&store->segments, index);
	uint32_t live_count = segment->live_count;
	struct item_batch batch;

	for (; live_count > 0; live_count -= batch.count) {
		next_items(store, &at, live_count, &batch);
		for (uint32_t i = 0; i < batch.count; i++) {
			const _Atomic uint64_t *slot =
			    index_find_item(&store->index, batch.hashes[i], batch.items[i]);
			uint32_t rank = rank_of(store, eviction->policy, slot_mark(slot_load(slot)),
			                        batch.items[i]);

			eviction->rank_bytes[rank] += room_bytes(store, batch.items[i]);
		}
	}
}
