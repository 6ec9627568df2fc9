/* SPDX-License-Identifier: Apache-2.0 */
#include "store/purge.h"

#include "store/internal.h"

static bool is_meant(const struct store *store, const struct purge *purge, struct slice key)
{
	if (key.length < purge->prefix_bytes ||
	    memcmp(purge->prefix, key.data, purge->prefix_bytes) != 0)
		return false;
	return purge->class == PURGE_ANY_CLASS ||
	       (store->classes != NULL && classes_of(store->classes, key) == purge->class);
}

bool store_is_purged(const struct store *store, uint64_t segment_sequence, const struct item *item)
{
	for (uint32_t i = 0; i < PURGES_MAX; i++) {
		const struct purge *purge = &store->purges.list[i];
		/* Acquire: pairs with store_purge(); the rest is written. */
		uint64_t sequence = atomic_load_explicit((_Atomic uint64_t *)&purge->sequence,
		                                         memory_order_acquire);

		if (segment_sequence <= sequence && is_meant(store, purge, item_key(item)))
			return true;
	}
	return false;
}

/* Release: whoever sees that it is 0 finds nothing that was meant. */
static void publish_highest(struct store *store)
{
	uint64_t highest = 0;

	for (uint32_t i = 0; i < PURGES_MAX; i++)
		highest = max_u64(highest, atomic_load_explicit(&store->purges.list[i].sequence,
		                                                memory_order_relaxed));
	atomic_store_explicit(&store->published.purge_sequence, highest, memory_order_release);
}

void store_purge(struct store *store, uint32_t number, const struct purge_target *target)
{
	struct purge *purge = &store->purges.list[number];

	ASSERT(number < PURGES_MAX && purge->state == PURGE_FREE);
	ASSERT(target->prefix.length <= CLASS_PREFIX_BYTES);
	/* What is copied or put off in a reclaim would come to lie in a segment that is newer. */
	store_end_reclaim(store);
	store_seal_all(store);
	shown_hide_all(&store->shown);
	purge->class = target->class;
	purge->prefix_bytes = (uint32_t)target->prefix.length;
	if (target->prefix.length > 0)
		memcpy(purge->prefix, target->prefix.data, target->prefix.length);
	purge->state = PURGE_SWEEPING;
	/* a pass that has begun is too late for it */
	purge->pass = store->purges.pass + (store->purges.sweeping_count > 0 ? 2 : 1);
	store->purges.sweeping_count++;
	/* Release: pairs with store_is_purged(). */
	atomic_store_explicit(&purge->sequence, store->sequence, memory_order_release);
	publish_highest(store);
	counter_add(&store->counters.purges, 1);
}

bool store_has_purge(const struct store *store, uint32_t number)
{
	return store->purges.list[number].state != PURGE_FREE;
}

static void enter_state(struct store *store, struct purge *purge, enum purge_state state)
{
	purge->state = (uint8_t)state;
	if (store->epoch != NULL)
		purge->retired = epoch_retire(store->epoch);
}

/* Those that have been swept are forgotten, as soon as no reader can be looking at them. */
void store_forget_purges(struct store *store)
{
	for (uint32_t i = 0; i < PURGES_MAX; i++) {
		struct purge *purge = &store->purges.list[i];

		if (purge->state != PURGE_SWEPT && purge->state != PURGE_CLEARED)
			continue;
		if (store->epoch != NULL &&
		    !epoch_has_passed(store->epoch, purge->retired, store->owner))
			continue;
		if (purge->state == PURGE_CLEARED) {
			purge->state = PURGE_FREE;
			counter_subtract(&store->counters.purges, 1);
			continue;
		}
		/* relaxed: who does not see it yet judges alike, as there is nothing left */
		atomic_store_explicit(&purge->sequence, 0, memory_order_relaxed);
		publish_highest(store);
		enter_state(store, purge, PURGE_CLEARED);
	}
}

static void end_pass(struct store *store)
{
	struct purges *purges = &store->purges;

	purges->pass++;
	purges->segment = 0;
	purges->segment_sequence = 0;
	for (uint32_t i = 0; i < PURGES_MAX; i++)
		if (purges->list[i].state == PURGE_SWEEPING &&
		    purges->list[i].pass <= purges->pass) {
			purges->sweeping_count--;
			enter_state(store, &purges->list[i], PURGE_SWEPT);
		}
}

static void sweep_batch(struct store *store, struct item_batch *batch)
{
	for (uint32_t i = 0; i < batch->count; i++) {
		struct item *item = batch->items[i];
		_Atomic uint64_t *slot;

		if (store_judge(store, item) != STORE_FLUSHED)
			continue;
		slot = index_find_item(&store->index, batch->hashes[i], item);
		ASSERT(slot != NULL);
		counter_add(&store->counters.purged, 1);
		store_evict(store, slot, item);
	}
}

/* Moves on to a segment in which there may be something. False: the pass is over. */
static bool find_segment(struct store *store, uint32_t *cost)
{
	struct purges *purges = &store->purges;

	for (; purges->segment < store->segments.count; purges->segment++) {
		const struct segment *segment = store_segment(store, purges->segment);

		++*cost;
		if (segment->state != SEGMENT_SEALED ||
		    segment->sequence > store->published.purge_sequence)
			continue;
		purges->segment_sequence = segment->sequence;
		purges->offset = 0;
		return true;
	}
	return false;
}

bool store_sweep_some(struct store *store, uint32_t item_count)
{
	struct purges *purges = &store->purges;
	struct item_batch batch;
	uint32_t cost = 0;

	while (cost < item_count && purges->sweeping_count > 0) {
		const struct segment *segment;

		if (purges->segment_sequence == 0 && !find_segment(store, &cost)) {
			end_pass(store);
			continue;
		}
		segment = store_segment(store, purges->segment);
		/* what has become of it since */
		if (segment->state == SEGMENT_SEALED &&
		    segment->sequence == purges->segment_sequence &&
		    purges->offset < segment->used_bytes) {
			store_next_items(store, purges->segment, &purges->offset, &batch);
			sweep_batch(store, &batch);
			cost += batch.count + 1;
			continue;
		}
		purges->segment++;
		purges->segment_sequence = 0;
	}
	counter_set(&store->counters.purge_segments_left,
	            purges->sweeping_count == 0 ? 0 : store->segments.count - purges->segment);
	return purges->sweeping_count > 0;
}
