/* SPDX-License-Identifier: Apache-2.0 */
/* What every worker does in every store: he looks for items and reads them. Others than the owner
 * leave word of it for him, who decides by that who stays. */
#include "store/internal.h"

#define HEARD_TURNS    8 /* between these, what others have left word of waits */
#define GLANCES_A_TURN 256

size_t store_readers_bytes(uint32_t reader_count)
{
	if (reader_count == 1)
		return 0;
	return reader_count *
	       (memory_rounded(sizeof(struct reader)) + spsc_bytes(sizeof(struct glance), GLANCES));
}

void store_create_readers(struct store *store, struct memory *memory)
{
	if (store->epoch == NULL)
		return;
	for (uint32_t i = 0; i < store->epoch->reader_count; i++) {
		store->readers[i] = memory_take(memory, sizeof(struct reader));
		*store->readers[i] = (struct reader){0};
		spsc_create(&store->readers[i]->glances, sizeof(struct glance), GLANCES, memory);
	}
}

enum store_verdict store_look(const struct store *store, uint64_t hash, struct slice key,
                              uint32_t now_s, struct store_place *ret_place)
{
	struct condemned condemned = store_condemned(store);

	if (!index_look(&store->index, hash, key, &ret_place->slot, &ret_place->value))
		return STORE_BUSY;
	if (ret_place->slot == NULL)
		return STORE_MISSING;
	ret_place->item = index_item(&store->index, ret_place->value);
	return store_judge_at(store, condemned, now_s, ret_place->item);
}

/* A walk's cursor is a position in the index and the number of a slot there. */
#define WALK_SLOT_BITS 3
#define WALK_LOOKS_MAX 1000
_Static_assert(1 << WALK_SLOT_BITS == BUCKET_SLOTS, "a slot's number fits");

bool store_walk_is_over(uint64_t cursor)
{
	return cursor >> WALK_SLOT_BITS > UINT32_MAX;
}

/* What is in the slot at the cursor, and moves it. False: the index was being changed. */
static bool walk_once(const struct index *index, uint64_t *cursor, uint64_t *ret_slot)
{
	uint32_t position = (uint32_t)(*cursor >> WALK_SLOT_BITS);
	uint32_t in_bucket = (uint32_t)*cursor % BUCKET_SLOTS;
	uint32_t before = index_load(&index->version);
	uint64_t slot, next = *cursor + 1;

	if (before & 1)
		return false;
	slot = slot_load(&index_bucket(index, index_number(index, position))->slots[in_bucket]);
	if (in_bucket == BUCKET_SLOTS - 1)
		next = index_bucket_end(index, position) << WALK_SLOT_BITS;
	if (index_load(&index->version) != before)
		return false;
	*cursor = next;
	*ret_slot = slot;
	return true;
}

struct item *store_next(const struct store *store, uint64_t *cursor, uint32_t place_count,
                        uint32_t now_s)
{
	struct condemned condemned = store_condemned(store);
	uint32_t looks = 0;

	for (uint32_t i = 0; i < place_count && !store_walk_is_over(*cursor); i++) {
		struct item *item;
		uint64_t slot;

		while (!walk_once(&store->index, cursor, &slot))
			if (++looks == WALK_LOOKS_MAX)
				return NULL;
		if (slot == 0)
			continue;
		item = index_item(&store->index, slot);
		if (store_judge_at(store, condemned, now_s, item) == STORE_LIVE)
			return item;
	}
	return NULL;
}

/* Its first hit in this tick, most likely. The mark is lost if the owner has stored to the slot
 * meanwhile. */
static void mark_hit_there(struct store *store, uint32_t number, const struct store_place *place,
                           uint32_t tick, uint32_t mark)
{
	struct segment *segment = store_segment_of(store, place->item);
	struct reader *reader = store->readers[number];
	uint64_t expected = place->value;
	uint64_t sequence = atomic_load_explicit(&segment->sequence, memory_order_relaxed);
	uint64_t middle = atomic_load_explicit(&store->published.middle, memory_order_relaxed);
	bool is_older;

	/* Release: as slot_store(); nothing but the mark changes, and the item was seen before. */
	if (!atomic_compare_exchange_strong_explicit(place->slot, &expected,
	                                             slot_with_mark(expected, mark),
	                                             memory_order_release, memory_order_relaxed))
		return;
	segment_hit(segment, tick);
	/* relaxed: a hint */
	is_older =
	    atomic_load_explicit(&segment->is_in_main, memory_order_relaxed) && sequence <= middle;
	if (number == store->owner)
		desertion_hit(&store->eviction.desertion, is_older);
	else
		counter_add(is_older ? &reader->older_hits : &reader->other_hits, 1);
}

static void show_shadows(struct store *store, const struct glance *glance)
{
	if (store->eviction.is_adaptive && shadows_see(&store->shadows, glance->hash))
		store_follow(store, shadows_read(&store->shadows, glance->hash, glance->bytes));
}

/* The shadows see this key. */
static void tell_shadows(struct store *store, uint32_t number, struct glance glance)
{
	struct reader *reader = store->readers[number];

	if (number == store->owner)
		show_shadows(store, &glance);
	else if (!spsc_push(&reader->glances, &glance))
		counter_add(&reader->glances_lost, 1);
}

void store_mark_read(struct store *store, uint32_t number, uint64_t hash,
                     const struct store_place *place, uint32_t now_s)
{
	uint32_t tick = atomic_load_explicit(&store->published.tick, memory_order_relaxed);
	uint32_t halvings =
	    atomic_load_explicit(&store->published.glance_halvings, memory_order_relaxed);

	if (place != NULL) {
		uint32_t mark = mark_hit(slot_mark(place->value), tick);

		item_mark_read(place->item, now_s);
		if (mark != slot_mark(place->value))
			mark_hit_there(store, number, place, tick, mark);
	}
	if (halvings != GLANCES_OFF && shadows_sample(hash, halvings))
		tell_shadows(store, number,
		             (struct glance){hash, place == NULL ? 0 : item_bytes(place->item)});
}

void store_publish_marking(struct store *store)
{
	const struct shadows *shadows = &store->shadows;
	uint32_t halvings = shadows->entry_count != 0 ? shadows->halvings : GLANCES_OFF;

	/* relaxed, all: hints; it may be that the shadows see fewer keys by now */
	atomic_store_explicit(&store->published.tick, store->eviction.clock.tick,
	                      memory_order_relaxed);
	atomic_store_explicit(&store->published.middle, store->eviction.desertion.middle,
	                      memory_order_relaxed);
	atomic_store_explicit(&store->published.glance_halvings, halvings, memory_order_relaxed);
}

/* What the others have left word of. */
static void hear_reader(struct store *store, struct reader *reader)
{
	struct desertion *desertion = &store->eviction.desertion;
	uint64_t older_hits = counter_read(&reader->older_hits);
	uint64_t other_hits = counter_read(&reader->other_hits);
	uint64_t glances_lost = counter_read(&reader->glances_lost);
	struct glance glance;

	desertion->hits += older_hits - reader->older_hits_heard;
	desertion->elsewhere += other_hits - reader->other_hits_heard;
	reader->older_hits_heard = older_hits;
	reader->other_hits_heard = other_hits;
	counter_add(&store->counters.glances_lost, glances_lost - reader->glances_lost_heard);
	reader->glances_lost_heard = glances_lost;
	for (uint32_t i = 0; i < GLANCES_A_TURN && spsc_pop(&reader->glances, &glance); i++)
		show_shadows(store, &glance);
}

void store_hear_readers(struct store *store)
{
	if (store->epoch == NULL || ++store->unheard_turns < HEARD_TURNS)
		return;
	store->unheard_turns = 0;
	for (uint32_t i = 0; i < store->epoch->reader_count; i++)
		if (i != store->owner)
			hear_reader(store, store->readers[i]);
}
