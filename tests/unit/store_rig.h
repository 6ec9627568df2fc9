/* SPDX-License-Identifier: Apache-2.0 */
/* A store with memory of its own. Owner: the test. */
#pragma once

#include "store/internal.h"

#include "unit.h"

#include <stdio.h>
#include <sys/mman.h>

struct rig {
	struct store *store;
	uint8_t *region;
	size_t region_bytes;
};

/* Untouched memory costs nothing here, so sizes may be real ones. */
static inline int rig_create_with(struct rig *rig, const struct store_options *options)
{
	struct memory memory = {.bytes = options->memory_bytes};
	int r;

	rig->region_bytes = options->memory_bytes;
	rig->region = mmap(NULL, rig->region_bytes, PROT_READ | PROT_WRITE,
	                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CU_ASSERT_PTR_NOT_EQUAL_FATAL(rig->region, MAP_FAILED);
	memory.base = rig->region;
	r = store_create(&rig->store, options, &memory);
	if (r == 0)
		store_tick(rig->store, 1);
	return r;
}

static inline int rig_create(struct rig *rig, uint64_t memory_bytes, uint64_t value_bytes_max)
{
	struct store_options options = {.memory_bytes = memory_bytes,
	                                .value_bytes_max = value_bytes_max};

	return rig_create_with(rig, &options);
}

static inline void rig_destroy(struct rig *rig)
{
	munmap(rig->region, rig->region_bytes);
}

static inline struct store_item_options item_options(struct rig *rig, uint64_t number,
                                                     uint32_t value_bytes, char key[32])
{
	struct store_item_options options = {.value_bytes = value_bytes};

	options.key.length = (size_t)snprintf(key, 32, "%llu", (unsigned long long)number);
	options.key.data = (const uint8_t *)key;
	options.hash = store_hash(rig->store, options.key);
	return options;
}

static inline void put(struct rig *rig, uint64_t number, uint32_t value_bytes)
{
	static const uint8_t zeros[65536];
	struct store_reservation reservation;
	char key[32];
	struct store_item_options options = item_options(rig, number, value_bytes, key);
	struct store_place place;
	enum store_verdict verdict;

	CU_ASSERT_TRUE_FATAL(store_reserve(rig->store, &options, &reservation));
	while (reservation.left_bytes > 0)
		CU_ASSERT_TRUE_FATAL(store_write(rig->store, &reservation, zeros,
		                                 min_u64(reservation.left_bytes, sizeof(zeros))));
	verdict = store_find(rig->store, options.hash, options.key, &place);
	store_publish(rig->store, &reservation, verdict == STORE_MISSING ? NULL : &place);
}

/* The owner reads it, or what is missing (NULL). */
static inline void rig_read(struct rig *rig, uint64_t hash, const struct store_place *place)
{
	store_mark_read(rig->store, 0, hash, place, rig->store->now_s);
}

static inline bool find(struct rig *rig, uint64_t number, struct store_place *ret_place)
{
	char key[32];
	struct store_item_options options = item_options(rig, number, 0, key);

	return store_find(rig->store, options.hash, options.key, ret_place) == STORE_LIVE;
}

#define COUNTER(rig, name) counter_read(&store_counters((rig)->store)->name)
