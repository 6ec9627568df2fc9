/* SPDX-License-Identifier: Apache-2.0 */
#include "store/ghost.h"

#define TIME_MASK  0x3fffu
#define KIND_SHIFT 14

static const uint32_t limits[GHOST_KIND_COUNT] = {GHOST_LIMIT_PROBATION, GHOST_LIMIT_MAIN,
                                                  GHOST_LIMIT_DESERTED};

/* From other bits of the hash than the bucket's number, and never 0. */
static uint32_t fingerprint_of(uint64_t hash)
{
	return (uint32_t)(hash >> 40 & UINT16_MAX) | 1;
}

static uint32_t *bucket_of(const struct ghost *ghost, uint64_t hash)
{
	uint64_t number = (hash & UINT32_MAX) * ghost->bucket_count >> 32;

	return pages_at(ghost->pages, ghost->offset + number * GHOST_BUCKET_BYTES);
}

static uint32_t now_of(const struct ghost *ghost, enum ghost_kind kind, uint64_t cache_bytes)
{
	return (uint32_t)(ghost->evicted_bytes[kind] / (cache_bytes / GHOST_TIME_OF_A_CACHE + 1)) &
	       TIME_MASK;
}

static enum ghost_kind kind_of(uint32_t entry)
{
	return (enum ghost_kind)(entry >> KIND_SHIFT & 3);
}

void ghost_put(struct ghost *ghost, uint64_t hash, enum ghost_kind kind, uint64_t item_bytes,
               uint64_t cache_bytes)
{
	uint32_t now[GHOST_KIND_COUNT];
	uint32_t most_over = 0;
	uint32_t *bucket;
	uint32_t *best;

	ghost->evicted_bytes[kind] += item_bytes;
	if (ghost->bucket_count == 0)
		return;
	for (uint32_t i = 0; i < GHOST_KIND_COUNT; i++)
		now[i] = now_of(ghost, (enum ghost_kind)i, cache_bytes);
	bucket = bucket_of(ghost, hash);
	best = bucket;
	for (uint32_t i = 0; i < GHOST_BUCKET_ENTRIES; i++) {
		uint32_t age = (now[kind_of(bucket[i])] - bucket[i]) & TIME_MASK;
		uint32_t over = age * 256 / limits[kind_of(bucket[i])];

		if (bucket[i] == 0 || bucket[i] >> 16 == fingerprint_of(hash)) {
			best = &bucket[i];
			break;
		}
		if (over >= most_over) {
			most_over = over;
			best = &bucket[i];
		}
	}
	*best = fingerprint_of(hash) << 16 | (uint32_t)kind << KIND_SHIFT | now[kind];
}

struct ghost_memory ghost_take(struct ghost *ghost, uint64_t hash, uint64_t cache_bytes)
{
	struct ghost_memory memory = {0};
	uint32_t *bucket;

	if (ghost->bucket_count == 0)
		return memory;
	bucket = bucket_of(ghost, hash);
	for (uint32_t i = 0; i < GHOST_BUCKET_ENTRIES; i++) {
		uint32_t age;

		if (bucket[i] == 0 || bucket[i] >> 16 != fingerprint_of(hash))
			continue;
		memory.kind = kind_of(bucket[i]);
		age = (now_of(ghost, memory.kind, cache_bytes) - bucket[i]) & TIME_MASK;
		memory.is_known = age <= limits[memory.kind];
		memory.is_near = age <= GHOST_NEAR;
		bucket[i] = 0;
		break;
	}
	return memory;
}
