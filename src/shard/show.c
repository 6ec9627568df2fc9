/* SPDX-License-Identifier: Apache-2.0 */
#include "shard/show.h"

#include "shard/internal.h"

static struct slice key_of(const struct show_key *key)
{
	return (struct slice){key->bytes, key->length};
}

static void hide(struct shard *shard, struct show_key *key)
{
	const struct show_options *options = &shard->show->options;

	if (key->item == NULL)
		return;
	for (uint32_t i = 0; i < options->program_count; i++)
		slot_retract(&options->programs[i].slots[key->slot]);
	shown_remove(store_shown(shard->store), key->item);
	key->item = NULL;
}

/* For struct shown. */
static void item_changes(void *context, const struct item *item)
{
	struct shard *shard = context;
	struct show *show = shard->show;

	for (uint32_t i = 0; i < show->count; i++)
		if (item == NULL || show->keys[i].item == item)
			hide(shard, &show->keys[i]);
}

void shard_show_to(struct shard *shard, struct show *show, const struct show_options *options)
{
	struct shown *shown = store_shown(shard->store);

	show->options = *options;
	show->clock_start_us = 0;
	show->next_us = 0;
	show->next = 0;
	show->count = 0;
	shard->show = show;
	shown->hide = item_changes;
	shown->context = shard;
}

static struct show_key *find_slot(struct show *show, uint32_t slot)
{
	for (uint32_t i = 0; i < show->count; i++)
		if (show->keys[i].slot == slot)
			return &show->keys[i];
	return NULL;
}

/* Of all programs and processors. */
static uint64_t count_hits(const struct show *show, uint32_t slot)
{
	uint64_t hits = 0;

	for (uint32_t i = 0; i < show->options.program_count; i++)
		for (uint32_t j = 0; j < show->options.hits_count; j++)
			/* relaxed: a number; the program adds to it */
			hits += atomic_load_explicit(
			    (_Atomic uint64_t *)&show->options.programs[i].hits[j].counts[slot],
			    memory_order_relaxed);
	return hits;
}

bool shard_show(struct shard *shard, struct slice key, uint32_t slot)
{
	struct show *show = shard->show;
	struct show_key *new;

	ASSERT(slot < XDP_SLOT_COUNT && key.length > 0 && key.length <= XDP_KEY_BYTES_MAX);
	ASSERT(find_slot(show, slot) == NULL);
	if (show->count == SHOW_KEYS_MAX)
		return false;
	new = &show->keys[show->count++];
	new->hash = store_hash(shard->store, key);
	new->item = NULL;
	new->hits = count_hits(show, slot);
	new->slot = (uint16_t)slot;
	new->length = (uint8_t)key.length;
	memcpy(new->bytes, key.data, key.length);
	return true;
}

/* What the program has answered since is as if it had been asked here. */
static void count_answers(struct shard *shard, struct show_key *key, uint32_t now_s)
{
	uint64_t hits = count_hits(shard->show, key->slot);
	uint64_t more = hits - key->hits;
	struct shard_counters *counters = &shard->counters;
	struct class_requests *requests;
	struct store_place place;

	if (more == 0)
		return;
	key->hits = hits;
	counter_add(&counters->cmd_get, more);
	counter_add(&counters->get_hits, more);
	if (shard->classes != NULL) {
		requests = &shard->class_of[classes_of(shard->classes, key_of(key))].counters;
		counter_add(&requests->cmd_get, more);
		counter_add(&requests->get_hits, more);
	}
	hot_add_xdp(&shard->hot, key_of(key), key->hash, more);
	if (key->item != NULL &&
	    store_find(shard->store, key->hash, key_of(key), &place) == STORE_LIVE)
		store_mark_read(shard->store, shard->number, key->hash, &place, now_s);
}

void shard_unshow(struct shard *shard, uint32_t slot)
{
	struct show *show = shard->show;
	struct show_key *key = find_slot(show, slot);

	ASSERT(key != NULL);
	hide(shard, key);
	count_answers(shard, key, 0); /* there is no item to be marked now */
	*key = show->keys[--show->count];
}

static bool has_rate(const struct shard *shard, struct slice key)
{
	return shard->classes != NULL &&
	       shard->classes->rules[classes_of(shard->classes, key)].rate_max > 0;
}

static void try_to_show(struct shard *shard, struct show_key *key)
{
	const struct show *show = shard->show;
	struct store_piece piece;
	struct store_place place;
	struct slot_item item;

	if (store_find(shard->store, key->hash, key_of(key), &place) != STORE_LIVE ||
	    item_marks(place.item) != 0 ||
	    item_value_bytes(place.item) > show->options.value_bytes_max ||
	    has_rate(shard, key_of(key)))
		return;
	piece = store_value(shard->store, place.item);
	if (piece.left_bytes > 0)
		return;
	item = (struct slot_item){
	    .key = key_of(key),
	    .value = {piece.data, piece.length},
	    .client_flags = item_client_flags(place.item),
	    .expiry_s = store_expiry_s(shard->store, place.item),
	    .cas_unique = store_cas_unique(shard->store, place.item),
	    .clock_start_ns = show->clock_start_us * 1000,
	};
	for (uint32_t i = 0; i < show->options.program_count; i++)
		slot_show(&show->options.programs[i].slots[key->slot], show->options.hash_seed,
		          &item);
	key->item = place.item;
	shown_add(store_shown(shard->store), place.item);
}

void shard_show_some(struct shard *shard, uint64_t now_us, uint64_t clock_start_us, uint32_t now_s)
{
	struct show *show = shard->show;

	if (show == NULL || (now_us < show->next_us && show->clock_start_us == clock_start_us))
		return;
	if (show->clock_start_us != clock_start_us) {
		item_changes(shard, NULL);
		show->clock_start_us = clock_start_us;
	}
	for (uint32_t i = 0; i < SHOW_KEYS_A_TURN && show->next < show->count; i++) {
		struct show_key *key = &show->keys[show->next++];

		count_answers(shard, key, now_s);
		if (key->item == NULL && clock_start_us != 0)
			try_to_show(shard, key);
	}
	if (show->next < show->count)
		return;
	show->next = 0;
	show->next_us = now_us + SHOW_INTERVAL_US;
}
