/* SPDX-License-Identifier: Apache-2.0 */
/* From a key's hash to the item: buckets of one cache line, two candidates a key, so a lookup
 * touches two lines of the index at most. One writer, the shard's owner; made so that other
 * workers may read it without locks.
 *
 * A bucket is 8 slots of 8 bytes; a slot of 0 is empty:
 *
 *   63      48 47       40 39                            0
 *   |  tag    | frequency | location: 8-byte units, + 1  |
 *
 * The first bucket and the tag come from separate halves of the hash, so that a tag tells apart
 * what the bucket does not. The second bucket follows from the first and the tag. A key is in one
 * slot at most and slots never move: replacing an item is one store, and a reader sees the old one
 * or the new one. */
#pragma once

#include "base/memory.h"
#include "store/item.h"

#define BUCKET_SLOTS       8
#define SLOT_LOCATION_BITS 40
#define SLOT_FREQUENCY_MAX 255

struct bucket {
	_Atomic uint64_t slots[BUCKET_SLOTS];
} __attribute__((aligned(CACHE_LINE_BYTES)));

_Static_assert(sizeof(struct bucket) == CACHE_LINE_BYTES, "a bucket is one cache line");

struct index {
	struct bucket *buckets;
	uint8_t *arena; /* what locations count from */
	uint32_t bucket_count;
};

/* Pairs with slot_store(): whoever sees a location sees the item's bytes. */
static inline uint64_t slot_load(const _Atomic uint64_t *slot)
{
	return atomic_load_explicit(slot, memory_order_acquire);
}

/* Publishes: pairs with slot_load(). Frequency updates go this way too, as they store the location
 * anew. Only the owner stores. */
static inline void slot_store(_Atomic uint64_t *slot, uint64_t value)
{
	atomic_store_explicit(slot, value, memory_order_release);
}

static inline uint64_t slot_location(uint64_t slot)
{
	return slot & (((uint64_t)1 << SLOT_LOCATION_BITS) - 1);
}

static inline uint32_t slot_frequency(uint64_t slot)
{
	return (uint8_t)(slot >> SLOT_LOCATION_BITS);
}

static inline uint64_t slot_value(uint64_t hash, uint32_t frequency, uint64_t location)
{
	return (hash >> 48 << 48) | ((uint64_t)frequency << SLOT_LOCATION_BITS) | location;
}

static inline struct item *index_item(const struct index *index, uint64_t slot)
{
	return (struct item *)(index->arena + (slot_location(slot) - 1) * 8);
}

static inline uint64_t index_location(const struct index *index, const struct item *item)
{
	return (uint64_t)((const uint8_t *)item - index->arena) / 8 + 1;
}

/* Maps 32 bits onto [0, bucket_count) by their high end. */
static inline uint32_t index_scale(const struct index *index, uint32_t bits)
{
	return (uint32_t)(((uint64_t)bits * index->bucket_count) >> 32);
}

static inline struct bucket *index_first(const struct index *index, uint64_t hash)
{
	return &index->buckets[index_scale(index, (uint32_t)hash)];
}

/* Symmetric: the second's second is the first. Now and then they are the same. */
static inline struct bucket *index_second(const struct index *index, uint64_t hash)
{
	uint32_t first = index_scale(index, (uint32_t)hash);
	uint32_t mixed = index_scale(index, (uint32_t)(hash >> 48) * 0x9e3779b1u);

	return &index->buckets[mixed >= first ? mixed - first
	                                      : mixed + (index->bucket_count - first)];
}

static inline void index_prefetch(const struct index *index, uint64_t hash)
{
	__builtin_prefetch(index_first(index, hash));
	__builtin_prefetch(index_second(index, hash));
}

/* The slot of the item with this key, or NULL. */
_Atomic uint64_t *index_find(const struct index *index, uint64_t hash, struct slice key);

/* The slot that points at this very item, or NULL. */
_Atomic uint64_t *index_find_item(const struct index *index, uint64_t hash,
                                  const struct item *item);

/* An empty slot for the hash, in the emptier of its buckets; NULL when both are full. */
_Atomic uint64_t *index_vacancy(const struct index *index, uint64_t hash);
