/* SPDX-License-Identifier: Apache-2.0 */
/* Hot keys on their way between the workers, who see which these are, and the keeper, who decides
 * which of them the XDP programs answer. Each field is written by one of them, at a time that the
 * other one grants. */
#pragma once

#include "shard/hot.h"
#include "shard/shard.h"
#include "shard/show.h"

/* FREE: the keeper may write the key and say WANTED. WANTED: its owner is to show it, and says
 * TAKEN, or FREE if it cannot. TAKEN: the keeper may say UNWANTED. Then its owner gives it up and
 * says FREE. */
enum board_state {
	BOARD_FREE,
	BOARD_WANTED,
	BOARD_TAKEN,
	BOARD_UNWANTED,
};

struct board_slot {
	_Atomic uint32_t state;
	uint32_t owner; /* the worker */
	uint8_t length;
	uint8_t bytes[KEY_BYTES_MAX];
	/* the keeper's own: */
	uint64_t hash;
	uint64_t rate;       /* requests a second, by the last reports */
	uint32_t cold_count; /* decisions in which that was too low */
};

/* Of a worker's last window. */
struct board_report {
	_Alignas(CACHE_LINE_BYTES) _Atomic bool is_full; /* the keeper's to read, and to empty */
	uint64_t window_us;
	uint32_t count;
	struct hot_key keys[HOT_KEY_COUNT];
};

/* name, unit, kind, help */
#define BOARD_COUNTERS(X)                                                                          \
	X(keys, "keys", COUNTER_LEVEL, "Hot keys that XDP answers when they are there")            \
	X(promotions, "times", COUNTER_TOTAL, "A key has become one of these")                     \
	X(demotions, "times", COUNTER_TOTAL, "A key is not one of these any more")                 \
	X(no_slot, "times", COUNTER_TOTAL,                                                         \
	  "A key was hot, but both places that it may have were others'")

/* Writer: the keeper. */
struct board_counters {
	BOARD_COUNTERS(COUNTER_FIELD)
};

/* What a worker has told of a key last. */
struct board_key {
	uint64_t hash;
	uint64_t rate;
	uint8_t length;
	uint8_t bytes[KEY_BYTES_MAX];
};

struct board_heard {
	uint32_t count;
	struct board_key keys[HOT_KEY_COUNT];
};

struct board {
	uint32_t worker_count;
	_Atomic uint32_t version; /* another one whenever the keeper has changed a slot's state */
	struct board_slot slots[XDP_SLOT_COUNT];
	struct board_report *reports; /* by worker */
	/* the keeper's own: */
	uint64_t hash_seed;        /* of xdp_hash_byte(), for all programs */
	struct board_heard *heard; /* by worker */
	struct board_key *keys;    /* of all workers: room to sort them in */
	struct board_counters counters;
};

struct board_limits {
	uint32_t count_max; /* keys; at most SHOW_KEYS_MAX */
	uint64_t rate_min;  /* requests a second of a key that is to be shown */
};

/* Bytes of memory that board_create() takes. */
size_t board_bytes(uint32_t worker_count);
void board_create(struct board *board, uint32_t worker_count, uint64_t hash_seed,
                  struct memory *memory);

/* The worker's, once a turn: takes what the keeper wants of it. *version: what it has seen, 0 at
 * first. */
void board_take(struct board *board, uint32_t number, struct shard *shard, uint32_t *version);

/* The worker's, when a window has ended: tells which keys were hot, unless the keeper has not yet
 * read what it has told before. */
void board_tell(struct board *board, uint32_t number, const struct hot *hot);

/* The keeper's, about once a second. owner_of: the number of the worker that has the key. */
void board_decide(struct board *board, const struct board_limits *limits,
                  uint32_t (*owner_of)(void *context, struct slice key), void *context);
