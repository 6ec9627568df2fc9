/* SPDX-License-Identifier: Apache-2.0 */
/* Which keys are asked for most, by the get family through one worker: whosever they are, found or
 * not.
 *
 * Requests are sampled at random distances, and the samples counted by Space-Saving (Metwally,
 * Agrawal, El Abbadi 2005): a key that has more than the 128th part of the samples is always among
 * these, and what it is told to have too much is known. Counting begins anew with each
 * window, of a second, or longer where little is asked. Owner: the shard. */
#pragma once

#include "base/memory.h"
#include "base/random.h"
#include "proto/request.h"

#include <stdbool.h>

#define HOT_KEY_COUNT 128

struct hot_key {
	uint64_t count;           /* requests in the window, about: one sample stands for many */
	uint64_t count_max_error; /* at most so many of them are others' */
	uint64_t xdp_count;       /* so many of them XDP programs have answered */
	uint8_t length;
	uint8_t bytes[KEY_BYTES_MAX];
};

struct hot_window {
	uint64_t start_us; /* 0: nobody has said what time it is */
	uint64_t end_us;   /* 0: it has not ended */
	uint64_t request_count;
	uint32_t sample_count;
	uint32_t key_count;
	uint64_t hashes[HOT_KEY_COUNT];
	struct hot_key keys[HOT_KEY_COUNT];
};

struct hot {
	uint32_t countdown;  /* requests until the next sample */
	uint32_t weight_log; /* of requests that a sample stands for */
	uint64_t random;
	uint64_t next_us; /* when the window is to be looked at */
	struct hot_window *current;
	struct hot_window *last; /* whole; before there is one, empty */
};

/* Bytes of memory that hot_create() takes. */
size_t hot_bytes(void);
void hot_create(struct hot *hot, uint64_t random_seed, struct memory *memory);

void hot_sample(struct hot *hot, struct slice key, uint64_t hash);

/* Each request. */
static inline void hot_count(struct hot *hot, struct slice key, uint64_t hash)
{
	if (__builtin_expect(--hot->countdown == 0, 0))
		hot_sample(hot, key, hash);
}

/* So many requests at once, which XDP programs have answered. */
void hot_add_xdp(struct hot *hot, struct slice key, uint64_t hash, uint64_t count);

void hot_turn_window(struct hot *hot, uint64_t now_us);

/* Once a turn. */
static inline void hot_advance(struct hot *hot, uint64_t now_us)
{
	if (now_us >= hot->next_us)
		hot_turn_window(hot, now_us);
}

/* The last whole window's keys, the hottest first, as places in `keys`. Returns how many. */
uint32_t hot_rank(const struct hot *hot, uint8_t ret_places[HOT_KEY_COUNT]);
