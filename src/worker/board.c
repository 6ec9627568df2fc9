/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/board.h"

#include "base/assert.h"

#include <stdlib.h>

#define COLD_DECISIONS 3 /* after so many in a row a key has to go */
#define COLD_SHARE     2 /* it is cold below such a part of what makes one hot */
#define HOTTER         2 /* times as hot as one that has a slot is one that gets it */

size_t board_bytes(uint32_t worker_count)
{
	return memory_rounded(worker_count * sizeof(struct board_report)) +
	       memory_rounded(worker_count * sizeof(struct board_heard)) +
	       memory_rounded(worker_count * HOT_KEY_COUNT * sizeof(struct board_key));
}

void board_create(struct board *board, uint32_t worker_count, uint64_t hash_seed,
                  struct memory *memory)
{
	memset(board, 0, sizeof(*board));
	board->worker_count = worker_count;
	board->hash_seed = hash_seed;
	board->reports = memory_take(memory, worker_count * sizeof(struct board_report));
	board->heard = memory_take(memory, worker_count * sizeof(struct board_heard));
	board->keys = memory_take(memory, worker_count * HOT_KEY_COUNT * sizeof(struct board_key));
	for (uint32_t i = 0; i < worker_count; i++) {
		board->reports[i].is_full = false;
		board->heard[i].count = 0;
	}
}

/* Acquire: pairs with state_set() of the other one, whose writes to the slot come before it. */
static uint32_t state_of(const struct board_slot *slot)
{
	return atomic_load_explicit((_Atomic uint32_t *)&slot->state, memory_order_acquire);
}

static void state_set(struct board_slot *slot, enum board_state state)
{
	atomic_store_explicit(&slot->state, state, memory_order_release);
}

static struct slice slot_key(const struct board_slot *slot)
{
	return (struct slice){slot->bytes, slot->length};
}

void board_take(struct board *board, uint32_t number, struct shard *shard, uint32_t *version)
{
	/* Acquire: pairs with the release in board_decide(): all states are as it left them. */
	uint32_t now = atomic_load_explicit(&board->version, memory_order_acquire);

	if (now == *version)
		return;
	*version = now;
	for (uint32_t i = 0; i < XDP_SLOT_COUNT; i++) {
		struct board_slot *slot = &board->slots[i];
		uint32_t state = state_of(slot);

		if ((state != BOARD_WANTED && state != BOARD_UNWANTED) || slot->owner != number)
			continue;
		if (state == BOARD_UNWANTED)
			shard_unshow(shard, i);
		state_set(slot, state == BOARD_WANTED && shard_show(shard, slot_key(slot), i)
		                    ? BOARD_TAKEN
		                    : BOARD_FREE);
	}
}

void board_tell(struct board *board, uint32_t number, const struct hot *hot)
{
	struct board_report *report = &board->reports[number];
	const struct hot_window *window = hot->last;

	/* Acquire: pairs with the release in hear(); the keeper does not look at it any more. */
	if (atomic_load_explicit(&report->is_full, memory_order_acquire))
		return;
	report->window_us = window->end_us - window->start_us;
	report->count = window->key_count;
	memcpy(report->keys, window->keys, window->key_count * sizeof(window->keys[0]));
	/* Release: pairs with the acquire in hear(). */
	atomic_store_explicit(&report->is_full, true, memory_order_release);
}

/* What a worker has told since. Of what a key is said to have, only what it has for sure. */
static void hear(struct board *board, uint32_t number)
{
	struct board_report *report = &board->reports[number];
	struct board_heard *heard = &board->heard[number];

	if (!atomic_load_explicit(&report->is_full, memory_order_acquire))
		return;
	heard->count = 0;
	for (uint32_t i = 0; i < report->count && report->window_us > 0; i++) {
		const struct hot_key *key = &report->keys[i];
		struct board_key *to = &heard->keys[heard->count++];

		to->rate = (key->count - key->count_max_error) * 1000000 / report->window_us;
		to->length = key->length;
		memcpy(to->bytes, key->bytes, key->length);
		to->hash = slot_hash(board->hash_seed, (struct slice){to->bytes, to->length});
	}
	atomic_store_explicit(&report->is_full, false, memory_order_release);
}

static bool is_key(const struct board_key *key, uint64_t hash, struct slice bytes)
{
	return key->hash == hash && slice_equal((struct slice){key->bytes, key->length}, bytes);
}

static int compare_keys(const void *a, const void *b)
{
	const struct board_key *left = a, *right = b;
	int order = (left->hash > right->hash) - (left->hash < right->hash);

	if (order == 0)
		order = left->length - right->length;
	return order != 0 ? order : memcmp(left->bytes, right->bytes, left->length);
}

static int compare_rates(const void *a, const void *b)
{
	const struct board_key *left = a, *right = b;

	return (left->rate < right->rate) - (left->rate > right->rate);
}

/* All keys that were told, each once with the sum of its rates, the hottest first. */
static uint32_t gather(struct board *board)
{
	uint32_t count = 0, kept = 0;

	for (uint32_t i = 0; i < board->worker_count; i++) {
		const struct board_heard *heard = &board->heard[i];

		memcpy(&board->keys[count], heard->keys, heard->count * sizeof(heard->keys[0]));
		count += heard->count;
	}
	qsort(board->keys, count, sizeof(board->keys[0]), compare_keys);
	for (uint32_t i = 0; i < count; i++) {
		if (kept > 0 && compare_keys(&board->keys[kept - 1], &board->keys[i]) == 0)
			board->keys[kept - 1].rate += board->keys[i].rate;
		else
			board->keys[kept++] = board->keys[i];
	}
	qsort(board->keys, kept, sizeof(board->keys[0]), compare_rates);
	return kept;
}

static void set_rate(struct board *board, struct board_slot *slot, uint32_t key_count)
{
	slot->rate = 0;
	for (uint32_t i = 0; i < key_count; i++)
		if (is_key(&board->keys[i], slot->hash, slot_key(slot)))
			slot->rate = board->keys[i].rate;
}

static void demote(struct board *board, struct board_slot *slot)
{
	state_set(slot, BOARD_UNWANTED);
	counter_add(&board->counters.demotions, 1);
}

/* Whose time is over goes. Returns how many are left, those included that are on their way. */
static uint32_t demote_cold(struct board *board, const struct board_limits *limits,
                            uint32_t key_count)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < XDP_SLOT_COUNT; i++) {
		struct board_slot *slot = &board->slots[i];
		uint32_t state = state_of(slot);

		if (state == BOARD_FREE || state == BOARD_UNWANTED)
			continue;
		count++;
		if (state != BOARD_TAKEN)
			continue;
		set_rate(board, slot, key_count);
		slot->cold_count =
		    slot->rate < limits->rate_min / COLD_SHARE ? slot->cold_count + 1 : 0;
		if (slot->cold_count < COLD_DECISIONS && count <= limits->count_max)
			continue;
		demote(board, slot);
		count--;
	}
	return count;
}

static struct board_slot *slot_of(struct board *board, const struct board_key *key,
                                  struct board_slot **ret_free)
{
	*ret_free = NULL;
	for (int second = 1; second >= 0; second--) {
		struct board_slot *slot = &board->slots[xdp_slot_number(key->hash, second)];

		if (state_of(slot) == BOARD_FREE)
			*ret_free = slot;
		else if (is_key(key, slot->hash, slot_key(slot)))
			return slot;
	}
	return NULL;
}

static void promote(struct board *board, struct board_slot *slot, const struct board_key *key,
                    uint32_t owner)
{
	slot->owner = owner;
	slot->length = key->length;
	memcpy(slot->bytes, key->bytes, key->length);
	slot->hash = key->hash;
	slot->rate = key->rate;
	slot->cold_count = 0;
	state_set(slot, BOARD_WANTED);
	counter_add(&board->counters.promotions, 1);
}

/* One that is far colder than this makes room: the key gets in with the next decision. */
static void make_room(struct board *board, const struct board_key *key)
{
	struct board_slot *coldest = NULL;

	for (uint32_t i = 0; i < XDP_SLOT_COUNT; i++) {
		struct board_slot *slot = &board->slots[i];

		if (state_of(slot) == BOARD_TAKEN &&
		    (coldest == NULL || slot->rate < coldest->rate))
			coldest = slot;
	}
	if (coldest != NULL && coldest->rate < key->rate / HOTTER)
		demote(board, coldest);
}

void board_decide(struct board *board, const struct board_limits *limits,
                  uint32_t (*owner_of)(void *context, struct slice key), void *context)
{
	uint32_t key_count, count;

	ASSERT(limits->count_max <= SHOW_KEYS_MAX);
	for (uint32_t i = 0; i < board->worker_count; i++)
		hear(board, i);
	key_count = gather(board);
	count = demote_cold(board, limits, key_count);
	for (uint32_t i = 0; i < key_count && board->keys[i].rate >= limits->rate_min; i++) {
		const struct board_key *key = &board->keys[i];
		struct board_slot *free;

		if (slot_of(board, key, &free) != NULL)
			continue;
		if (limits->count_max == 0)
			break;
		if (count >= limits->count_max) {
			make_room(board, key);
		} else if (free == NULL) {
			counter_add(&board->counters.no_slot, 1);
		} else {
			promote(board, free, key,
			        owner_of(context, (struct slice){key->bytes, key->length}));
			count++;
		}
	}
	counter_set(&board->counters.keys, count);
	/* Release: pairs with the acquire in board_take(). */
	atomic_fetch_add_explicit(&board->version, 1, memory_order_release);
}
