/* SPDX-License-Identifier: Apache-2.0 */
#include "shard/hot.h"

#include <string.h>

#define WINDOW_US      1000000 /* at least; */
#define WINDOW_US_MAX  10000000
#define SAMPLES_WANTED 1024 /* of a window, if it is not to be longer */
#define SAMPLES_MAX    8192 /* more are not worth their time */
#define WEIGHT_LOG_MAX 16

/* So that a burst before anything is known costs little. */
#define WEIGHT_LOG_AT_FIRST 6

/* At a distance that is `weight` on average, so that no pattern of the clients' is in step. */
static void draw(struct hot *hot)
{
	uint32_t bound = 2u << hot->weight_log;

	hot->countdown = 1;
	if (hot->weight_log > 0)
		hot->countdown += (uint32_t)(random_splitmix64(&hot->random) % (bound - 1));
}

static void begin(struct hot_window *window, uint64_t now_us)
{
	window->start_us = now_us;
	window->end_us = 0;
	window->request_count = 0;
	window->sample_count = 0;
	window->key_count = 0;
}

size_t hot_bytes(void)
{
	return 2 * memory_rounded(sizeof(struct hot_window));
}

void hot_create(struct hot *hot, uint64_t random_seed, struct memory *memory)
{
	*hot = (struct hot){
	    .random = random_seed,
	    .weight_log = WEIGHT_LOG_AT_FIRST,
	    .current = memory_take(memory, sizeof(struct hot_window)),
	    .last = memory_take(memory, sizeof(struct hot_window)),
	};
	begin(hot->current, 0);
	begin(hot->last, 0);
	draw(hot);
}

static uint32_t find(const struct hot_window *window, struct slice key, uint64_t hash)
{
	for (uint32_t i = 0; i < window->key_count; i++)
		if (window->hashes[i] == hash && window->keys[i].length == key.length &&
		    memcmp(window->keys[i].bytes, key.data, key.length) == 0)
			return i;
	return HOT_KEY_COUNT;
}

static uint32_t find_coldest(const struct hot_window *window)
{
	uint32_t coldest = 0;

	for (uint32_t i = 1; i < HOT_KEY_COUNT; i++)
		if (window->keys[i].count < window->keys[coldest].count)
			coldest = i;
	return coldest;
}

/* In the place of the coldest one, when there is no other; whose count it takes over. */
static uint32_t add(struct hot_window *window, struct slice key, uint64_t hash)
{
	uint64_t error = 0;
	uint32_t at;

	if (window->key_count < HOT_KEY_COUNT) {
		at = window->key_count++;
	} else {
		at = find_coldest(window);
		error = window->keys[at].count;
	}
	window->hashes[at] = hash;
	window->keys[at].count = error;
	window->keys[at].count_max_error = error;
	window->keys[at].xdp_count = 0;
	window->keys[at].length = (uint8_t)key.length;
	memcpy(window->keys[at].bytes, key.data, key.length);
	return at;
}

static struct hot_key *count_in(struct hot_window *window, struct slice key, uint64_t hash,
                                uint64_t count)
{
	uint32_t at = find(window, key, hash);

	if (at == HOT_KEY_COUNT)
		at = add(window, key, hash);
	window->keys[at].count += count;
	window->request_count += count;
	return &window->keys[at];
}

void hot_add_xdp(struct hot *hot, struct slice key, uint64_t hash, uint64_t count)
{
	count_in(hot->current, key, hash, count)->xdp_count += count;
	/* as many as it would have been */
	hot->current->sample_count += (uint32_t)min_u64(count >> hot->weight_log, SAMPLES_MAX);
}

void hot_sample(struct hot *hot, struct slice key, uint64_t hash)
{
	struct hot_window *window = hot->current;

	count_in(window, key, hash, UINT64_C(1) << hot->weight_log);
	window->sample_count++;
	/* it is suddenly busy */
	if (window->sample_count % SAMPLES_MAX == 0 && hot->weight_log < WEIGHT_LOG_MAX)
		hot->weight_log++;
	draw(hot);
}

/* So that the next window has enough samples in a second, and no more than are worth their time. */
static void weigh(struct hot *hot, uint64_t sample_count, uint64_t age_us)
{
	uint64_t rate = sample_count * WINDOW_US / age_us;

	for (; rate < SAMPLES_WANTED && hot->weight_log > 0; rate *= 2)
		hot->weight_log--;
	for (; rate > SAMPLES_MAX && hot->weight_log < WEIGHT_LOG_MAX; rate /= 2)
		hot->weight_log++;
}

void hot_turn_window(struct hot *hot, uint64_t now_us)
{
	struct hot_window *window = hot->current;
	uint64_t age_us = now_us - window->start_us;

	hot->next_us = now_us + WINDOW_US;
	if (window->start_us == 0) {
		window->start_us = now_us;
		return;
	}
	if (window->sample_count < SAMPLES_WANTED && hot->weight_log > 0) {
		/* more samples could be had: again, before anybody is told of so few */
		weigh(hot, window->sample_count, age_us);
		begin(window, now_us);
		draw(hot);
		return;
	}
	if (window->sample_count < SAMPLES_WANTED && age_us < WINDOW_US_MAX)
		return;
	weigh(hot, window->sample_count, age_us);
	window->end_us = now_us;
	hot->current = hot->last;
	hot->last = window;
	begin(hot->current, now_us);
	draw(hot);
}

uint32_t hot_rank(const struct hot *hot, uint8_t ret_places[HOT_KEY_COUNT])
{
	const struct hot_window *window = hot->last;

	for (uint32_t i = 0; i < window->key_count; i++) {
		uint32_t at = i;

		for (; at > 0 && window->keys[ret_places[at - 1]].count < window->keys[i].count;
		     at--)
			ret_places[at] = ret_places[at - 1];
		ret_places[at] = (uint8_t)i;
	}
	return window->key_count;
}
