/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include "store/internal.h"

/* What somebody may want before he asks again. */
#define READY_SEGMENTS 3

/* Of an item that may be read: head and key, and the value of a small one. */
#define PREFETCH_LINES 3

/* What is written from now on goes into new segments. The flushed ones are looked for at the next
 * want of a segment. */
static void flush_now(struct store *store)
{
	shown_hide_all(&store->shown);
	store_end_reclaim(store); /* what it puts off would come to lie in a newer segment */
	store_seal_all(store);
	store->flushed_count = store->listed_count;
	/* relaxed: who is to see it hears of the flush later */
	atomic_store_explicit(&store->published.flush_sequence,
	                      store->flushed_count > 0 ? store->sequence : 0, memory_order_relaxed);
	store->flush_due_s = 0;
}

void store_tick(struct store *store, uint32_t now_s)
{
	if (now_s == store->now_s)
		return;
	store->now_s = now_s;
	expiry_tick(&store->expiry, &store->segments, now_s);
	store_seal_passed(store);
	if (store->flush_due_s != 0 && store->flush_due_s <= now_s)
		flush_now(store);
}

static bool has_ready_segments(const struct store *store)
{
	return store_used_count(store) + SEGMENTS_RESERVED + READY_SEGMENTS <
	       store->segment_count_max;
}

/* What nobody but the owner reads comes back at once, when it is wanted. */
bool store_is_ready(struct store *store)
{
	if (store->epoch == NULL || has_ready_segments(store))
		return true;
	store_collect(store);
	while (!has_ready_segments(store) && store->retired.count < READY_SEGMENTS)
		if (!store_make_room(store))
			break;
	return has_ready_segments(store) || store->retired.count == 0;
}

bool store_set_limit(struct store *store, uint64_t memory_bytes)
{
	uint64_t all_bytes = (uint64_t)store->segments.count << store->segments.shift;
	uint64_t limit_bytes = counter_read(&store->counters.limit_maxbytes);
	uint64_t other_bytes =
	    limit_bytes - ((uint64_t)store->segment_count_max << store->segments.shift);
	uint64_t count;

	if (memory_bytes > other_bytes + all_bytes || memory_bytes < other_bytes)
		return false;
	count = (memory_bytes - other_bytes) >> store->segments.shift;
	if (count < store->segment_count_min)
		return false;
	store->segment_count_max = (uint32_t)count;
	counter_subtract(&store->counters.limit_maxbytes, limit_bytes);
	counter_add(&store->counters.limit_maxbytes,
	            other_bytes + (count << store->segments.shift));
	return true;
}

void store_flush(struct store *store, uint32_t due_s)
{
	if (due_s <= store->now_s)
		flush_now(store);
	else
		store->flush_due_s = due_s;
}

uint64_t store_hash(const struct store *store, struct slice key)
{
	return index_hash(&store->index, key);
}

void store_prefetch(const struct store *store, uint64_t hash)
{
	index_prefetch(&store->index, hash);
}

void store_prefetch_to_write(const struct store *store, uint64_t hash)
{
	index_prefetch_to_write(&store->index, hash);
}

void store_prefetch_item(const struct store *store, uint64_t hash, bool to_write)
{
	const _Atomic uint64_t *slot = index_find_tag(&store->index, hash);
	uint64_t value = slot == NULL ? 0 : slot_load(slot);

	if (value == 0)
		return; /* perhaps it has just gone */
	if (to_write)
		prefetch_to_write(index_item(&store->index, value));
	else
		prefetch(index_item(&store->index, value), PREFETCH_LINES);
}

enum store_verdict store_find(const struct store *store, uint64_t hash, struct slice key,
                              struct store_place *ret_place)
{
	_Atomic uint64_t *slot = index_find(&store->index, hash, key);

	if (slot == NULL)
		return STORE_MISSING;
	ret_place->slot = slot;
	ret_place->value = slot_load(slot);
	ret_place->item = index_item(&store->index, ret_place->value);
	return store_judge(store, ret_place->item);
}

uint32_t store_expiry_s(const struct store *store, const struct item *item)
{
	return item_expiry_s(item, store_segment_of(store, item)->expiry_base_s);
}

uint64_t store_cas_unique(const struct store *store, const struct item *item)
{
	return item_cas_unique(item, store_segment_of(store, item)->cas_base);
}

uint64_t store_next_cas(struct store *store)
{
	return ++store->cas_newest;
}

void shown_look(struct shown *shown, const struct item *item)
{
	if (*shown_place(shown, item) != 0)
		shown->hide(shown->context, item);
}

struct shown *store_shown(struct store *store)
{
	return &store->shown;
}

void store_leave(struct store *store, struct item *item)
{
	counter_subtract(&store->counters.curr_items, 1);
	counter_subtract(&store->counters.bytes, item_bytes(item));
	store_count_class(store, item, false);
	store_drop(store, item);
}

void store_remove(struct store *store, const struct store_place *place)
{
	shown_hide(&store->shown, place->item);
	slot_store(place->slot, 0);
	store_leave(store, place->item);
}

void store_reclaim(struct store *store, const struct store_place *place)
{
	ASSERT_SLOW(store_judge(store, place->item) != STORE_LIVE);
	store_evict(store, place->slot, place->item);
}

void store_observe_evictions(struct store *store,
                             void (*evicted)(void *context, const struct item *item,
                                             uint32_t now_s),
                             void *context)
{
	store->evicted = evicted;
	store->evicted_context = context;
}

void store_evict(struct store *store, _Atomic uint64_t *slot, struct item *item)
{
	struct store_counters *counters = &store->counters;
	bool live = store_judge(store, item) == STORE_LIVE;

	shown_hide(&store->shown, item);
	counter_add(live ? &counters->evictions : &counters->reclaimed, 1);
	if (live && store->classes != NULL)
		counter_add(&store->holdings[classes_of(store->classes, item_key(item))].evictions,
		            1);
	if (live && store->evicted != NULL)
		store->evicted(store->evicted_context, item, store->now_s);
	if (!item_is_read(item))
		counter_add(live ? &counters->evicted_unfetched : &counters->expired_unfetched, 1);
	slot_store(slot, 0);
	store_leave(store, item);
}

/* Both buckets are full: the one of the 16 with the fewest hits goes, of several the one in the
 * oldest segment; one whose class is to be spared only if all are.
 * Ages are the segments', as their headers are few and near; the items are neither. */
static _Atomic uint64_t *evict_slot(struct store *store, uint64_t hash)
{
	struct bucket_pair pair = index_pair(&store->index, hash);
	_Atomic uint64_t *victim = NULL;
	uint32_t least = UINT32_MAX;
	uint64_t oldest = UINT64_MAX;

	for (uint32_t i = 0; i < 2 * BUCKET_SLOTS; i++) {
		_Atomic uint64_t *slot = &pair.buckets[i / BUCKET_SLOTS]->slots[i % BUCKET_SLOTS];
		struct item *item = index_item(&store->index, slot_load(slot));
		bool is_spared = store_standing(store, item) == CLASS_BELOW;
		uint32_t hits =
		    mark_hits(slot_mark(slot_load(slot))) + (is_spared ? MARK_HITS_MAX + 1 : 0);
		uint64_t age = store_segment_of(store, item)->sequence;

		if (hits > least || (hits == least && age >= oldest))
			continue;
		victim = slot;
		least = hits;
		oldest = age;
	}
	counter_add(&store->counters.index_evictions, 1);
	store_evict(store, victim, index_item(&store->index, slot_load(victim)));
	return victim;
}

_Atomic uint64_t *store_vacancy(struct store *store, uint64_t hash)
{
	_Atomic uint64_t *slot = index_vacancy(&store->index, hash);

	return slot != NULL ? slot : evict_slot(store, hash);
}

/* What is replaced may have moved since it was found, or had to leave. What replaces it goes on
 * with its mark. */
static void put_in_index(struct store *store, const struct store_reservation *reservation,
                         uint64_t location, const struct store_place *replaced)
{
	uint32_t tick = store->eviction.clock.tick;
	uint64_t hash = reservation->hash;
	_Atomic uint64_t *slot = NULL;
	uint32_t mark;

	if (replaced != NULL)
		slot = index_find_item(&store->index, hash, replaced->item);
	if (slot == NULL) {
		mark = mark_of(tick, 0);
		slot_store(store_vacancy(store, hash), slot_value(hash, mark, location));
		return;
	}
	/* before anybody may read what replaces it */
	shown_hide(&store->shown, replaced->item);
	mark = slot_mark(slot_load(slot));
	if (!reservation->is_update)
		mark = mark_hit(mark, tick);
	slot_store(slot, slot_value(hash, mark, location));
	store_leave(store, replaced->item);
}

static void publish(struct store *store, struct store_reservation *reservation,
                    const struct store_place *replaced)
{
	struct item *item = reservation->item;
	struct segment *segment = store_segment_of(store, item);
	bool is_read = reservation->is_update && item_is_read(replaced->item);
	uint32_t expiry_s = store_expiry_s(store, item);

	ASSERT(reservation->left_bytes == 0 && item_state(item) == ITEM_OPEN);
	ASSERT(!reservation->is_waiting);
	ASSERT(segment->state == SEGMENT_OPEN || !store_is_condemned(store, segment));
	if (!reservation->cas_is_given &&
	    !item_set_cas(item, store_next_cas(store), segment->cas_base))
		ASSERT(!"store_settle() and store_reserve() see to that");
	item_set_access(item, item_key_bytes(item), is_read, store->now_s);
	item_set_state(item, ITEM_LIVE);
	segment->open_count--;
	store_count_live(store, item);
	store->written_count++;
	store->writing_segment_count -= reservation->segment_count;
	if (segment->state == SEGMENT_OPEN) {
		segment->state = SEGMENT_SEALED;
		store_list(store, segment_index_of(&store->segments, item),
		           (enum log_id)segment->log, LIST_LARGE,
		           expiry_s == 0 ? EXPIRY_NEVER : expiry_s);
	}
	store_cover_expiry(store, segment_index_of(&store->segments, item), expiry_s);
	counter_subtract(&store->counters.reservations, 1);
	counter_add(&store->counters.curr_items, 1);
	counter_add(&store->counters.bytes, item_bytes(item));
	store_count_class(store, item, true);
	if (!reservation->is_update) {
		counter_add(&store->counters.total_items, 1);
		store_count_written(store, item_bytes(item));
		if (shadows_see(&store->shadows, reservation->hash))
			shadows_write(&store->shadows, reservation->hash, item_bytes(item));
	}
	reservation->item = NULL;
	put_in_index(store, reservation, index_location(&store->index, item), replaced);
}

void store_publish(struct store *store, struct store_reservation *reservation,
                   const struct store_place *replaced)
{
	publish(store, reservation, replaced);
	store_move_some(store);
}

/* It stays the same item to all who know it, but for what is said here. */
static bool move_item(struct store *store, struct store_place *place, uint32_t expiry_s,
                      uint64_t cas_unique)
{
	struct item *old = place->item;
	struct store_item_options options = {
	    .key = item_key(old),
	    .hash = index_hash(&store->index, item_key(old)),
	    .value_bytes = item_value_bytes(old),
	    .client_flags = item_client_flags(old),
	    .expiry_s = expiry_s,
	    .marks = item_marks(old),
	    .cas_is_given = true,
	    .cas_unique = cas_unique,
	};
	struct store_reservation reservation = {0};
	struct segment *pinned = store_pin(store, old);
	bool moved = store_reserve(store, &options, &reservation) &&
	             store_write_value(store, &reservation, old);

	if (moved) {
		struct item *item = reservation.item;

		reservation.is_update = true;
		publish(store, &reservation, place);
		atomic_store_explicit(&item->access, item_access(old), memory_order_relaxed);
		place->item = item;
		place->slot = index_find_item(&store->index, options.hash, item);
		place->value = slot_load(place->slot);
	} else if (reservation.item != NULL) {
		store_abandon(store, &reservation);
	}
	store_unpin(store, pinned);
	return moved;
}

bool store_change(struct store *store, struct store_place *place, uint32_t expiry_s,
                  uint64_t cas_unique)
{
	struct item *item = place->item;
	struct segment *segment = store_segment_of(store, item);
	uint32_t expiry_before_s = store_expiry_s(store, item);

	shown_hide(&store->shown, item);
	if (item_set_expiry(item, expiry_s, segment->expiry_base_s) &&
	    item_set_cas(item, cas_unique, segment->cas_base))
		return true;
	if (move_item(store, place, expiry_s, cas_unique))
		return true;
	item_set_expiry(item, expiry_before_s, segment->expiry_base_s);
	return false;
}

const struct store_counters *store_counters(const struct store *store)
{
	return &store->counters;
}

const struct class_holding *store_holdings(const struct store *store)
{
	return store->holdings;
}
