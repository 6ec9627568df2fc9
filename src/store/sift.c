/* SPDX-License-Identifier: Apache-2.0 */
/* What stays of the segments that are emptied, and how it is done: some items at a time, while
 * clients go on. They keep their place and are not taken for anything else until it is done. */
#include "store/internal.h"

#define RANK_SPARED UINT32_MAX /* it stays, whatever the sieve */

#define COPIED_BYTES_AN_ITEM 2048 /* to copy so much takes as long as to look at an item */

/* Its class may have it stay, or have it go first, whatever its rank would be. */
static uint32_t rank_of(const struct store *store, const struct sieve *sieve, uint32_t mark,
                        const struct item *item)
{
	enum class_standing standing = store_standing(store, item);
	uint32_t expiry_s = store_expiry_s(store, item);
	struct policy_item known = {
	    .mark = mark,
	    .priority = store_priority(store, item),
	    .item_bytes = (uint32_t)min_u64(item_bytes(item), UINT32_MAX),
	    .left_s = expiry_s == 0 ? UINT32_MAX : expiry_s - min_u32(expiry_s, store->now_s),
	};

	if (standing != CLASS_WITHIN)
		return standing == CLASS_BELOW ? RANK_SPARED : 0;
	return policy_rank(sieve->policy, &known, sieve->tick,
	                   store->eviction.weights[sieve->policy]);
}

/* Of a large item: all of its segments. */
static uint64_t room_bytes(const struct store *store, const struct item *item)
{
	const struct segment *segment = store_segment_of(store, item);

	if (segment->list != LIST_LARGE)
		return item_bytes(item);
	return (uint64_t)segment->chain_count << store->segments.shift;
}

static enum log_id log_to(const struct sieve *sieve, enum log_id from)
{
	return sieve->stays_in_log ? from : LOG_MAIN;
}

static uint32_t mark_of_kept(const struct store *store, const struct sieve *sieve, enum log_id from,
                             uint32_t mark)
{
	uint32_t hits = mark_hits(mark);

	if (from != log_to(sieve, from))
		hits = 0;
	else if (sieve->takes_chance)
		hits = min_u32(hits, CHANCES_MAX) - min_u32(hits, 1);
	return mark_kept(mark, store->eviction.clock.tick, hits);
}

static bool stays(const struct store *store, struct sieve *sieve, uint32_t mark,
                  const struct item *item, uint64_t bytes)
{
	uint32_t rank = rank_of(store, sieve, mark, item);

	if (rank == RANK_SPARED)
		return true;
	if (rank != sieve->rank_min || sieve->bytes == 0)
		return rank >= sieve->rank_min;
	sieve->bytes -= min_u64(sieve->bytes, bytes);
	return false;
}

/* To the newest end of the log. */
static bool move(struct store *store, _Atomic uint64_t *slot, struct item *item, enum log_id to)
{
	uint32_t index = segment_index_of(&store->segments, item);
	uint32_t expiry_s = store_expiry_s(store, item);

	if (store_segment(store, index)->list != LIST_LARGE)
		return store_copy_item(store, slot, item, to);
	store_unlist(store, index);
	store_list(store, index, to, LIST_LARGE, expiry_s == 0 ? EXPIRY_NEVER : expiry_s);
	return true;
}

/* Returns what it has cost, in items looked at. */
static uint32_t sift(struct store *store, struct sieve *sieve, uint64_t hash, struct item *item)
{
	_Atomic uint64_t *slot = index_find_item(&store->index, hash, item);
	enum log_id from = (enum log_id)store_segment_of(store, item)->log;
	enum log_id to = log_to(sieve, from);
	uint64_t bytes = room_bytes(store, item);
	bool is_live = store_judge(store, item) == STORE_LIVE;
	uint32_t mark;

	ASSERT(slot != NULL);
	mark = slot_mark(slot_load(slot));
	if (is_live && stays(store, sieve, mark, item, bytes)) {
		uint64_t kept =
		    slot_with_mark(slot_load(slot), mark_of_kept(store, sieve, from, mark));
		uint32_t cost = (uint32_t)(item_bytes(item) / COPIED_BYTES_AN_ITEM) + 1;

		slot_store(slot, kept);
		if (move(store, slot, item, to)) {
			if (from != to)
				counter_add(&store->counters.promotions, 1);
			sieve->kept_bytes += bytes;
			return cost;
		}
		/* there is no memory to copy it to */
		if (store_standing(store, item) == CLASS_BELOW)
			return 1;
	}
	/* of what a class has too much of it is no loss */
	if (is_live && store_standing(store, item) != CLASS_ABOVE)
		ghost_put(&store->ghost, hash,
		          sieve->is_deserted ? GHOST_DESERTED : (enum ghost_kind)from,
		          item_bytes(item), store_cache_bytes(store));
	store_evict(store, slot, item);
	sieve->won_bytes += bytes;
	return 1;
}

/* For the choice of the lowest rank that stays. */
static void rank(struct store *store, struct sieve *sieve, uint64_t hash, const struct item *item)
{
	const _Atomic uint64_t *slot = index_find_item(&store->index, hash, item);
	uint32_t rank = rank_of(store, sieve, slot_mark(slot_load(slot)), item);
	uint64_t bytes = room_bytes(store, item);

	store->eviction.rank_bytes[min_u32(rank, POLICY_RANKS - 1)] += bytes;
	if (rank >= RANK_HOT)
		sieve->hot_bytes += bytes;
}

void store_next_items(const struct store *store, uint32_t index, uint32_t *offset,
                      struct item_batch *ret_batch)
{
	const struct segment *segment = store_segment(store, index);
	uint32_t count = 0;

	while (count < ITEM_BATCH && *offset < segment->used_bytes) {
		struct item *item =
		    (struct item *)(segment_data(&store->segments, index) + *offset);

		*offset += (uint32_t)min_u64(item_bytes(item), segment->used_bytes);
		if (item_state(item) != ITEM_LIVE)
			continue;
		ret_batch->items[count] = item;
		ret_batch->hashes[count] = store_hash(store, item_key(item));
		store_prefetch_to_write(store, ret_batch->hashes[count]);
		count++;
	}
	ret_batch->count = count;
}

void store_claim(struct store *store, uint32_t index)
{
	struct reclaim *reclaim = &store->eviction.reclaim;
	struct segment *segment = store_segment(store, index);

	ASSERT(reclaim->count < RECLAIM_SEGMENTS_MAX && !segment->is_claimed);
	segment->is_claimed = true;
	if (segment->state == SEGMENT_ACTIVE)
		store_seal(store, index);
	reclaim->batch[reclaim->count++] = index;
}

void store_unclaim(struct store *store, uint32_t index)
{
	store_segment(store, index)->is_claimed = false;
	store_release_if_empty(store, index);
}

/* What waits for bytes in a segment that is emptied has lost its room. What could not be copied
 * stays, as if the segment were a new one: the others go before it. */
static void leave_segment(struct store *store, uint32_t index)
{
	struct segment *segment = store_segment(store, index);

	while (segment->waiting != NULL)
		store_revoke(store, segment->waiting);
	if (segment->live_count > 0 && segment->list != LIST_LARGE) {
		store_unlist(store, index);
		store_list(store, index, (enum log_id)segment->log, LIST_SMALL, EXPIRY_NEVER);
	}
	store_unclaim(store, index);
}

bool store_sift_some(struct store *store, uint32_t item_count)
{
	struct reclaim *reclaim = &store->eviction.reclaim;
	struct item_batch batch;
	uint32_t cost = 0;

	while (reclaim->next < reclaim->count) {
		uint32_t index = reclaim->batch[reclaim->next];

		if (cost >= item_count)
			return false;
		store_next_items(store, index, &reclaim->offset, &batch);
		cost++;
		for (uint32_t i = 0; i < batch.count; i++) {
			struct item *item = batch.items[i];

			if (reclaim->is_ranking)
				rank(store, &reclaim->sieve, batch.hashes[i], item);
			else
				cost += sift(store, &reclaim->sieve, batch.hashes[i], item);
		}
		if (reclaim->is_ranking)
			cost += batch.count;
		if (reclaim->offset < store_segment(store, index)->used_bytes)
			continue;
		if (!reclaim->is_ranking)
			leave_segment(store, index);
		reclaim->offset = 0;
		reclaim->next++;
	}
	return true;
}
