/* SPDX-License-Identifier: Apache-2.0 */
/* From a key's hash to the item: buckets of one cache line, two candidates a key, so a lookup
 * touches two lines of the index at most. One writer, the shard's owner; made so that other
 * workers may read it without locks.
 *
 * A bucket is 8 slots of 8 bytes; a slot of 0 is empty:
 *
 *   63      48 47       36 35                            0
 *   |  tag    |   mark    | location: 4-byte units, + 1  |
 *
 * A key is in one slot at most: replacing an item is one store, and a reader sees the old one or
 * the new one. While items move from bucket to bucket the index's version is odd, and a reader of
 * another worker looks again.
 *
 * The buckets lie in segments of the arena, pages here, so that the index takes as much of the
 * memory as the items want. A position is 32 bits of the hash, and its bucket is that part of
 * the buckets which it is of 2^32: so the order of positions is that of buckets, whatever their
 * number, and the index is resized in place, bucket by bucket, from the end that the others move
 * towards: what has been moved is found by the new number, what has not by the old. */
#pragma once

#include "base/prefetch.h"
#include "store/bucket.h"
#include "store/item.h"
#include "store/mark.h"
#include "store/pages.h"

#define SLOT_LOCATION_BITS 36

struct index {
	struct pages pages; /* with the buckets; locations count from their arena */
	uint64_t hash_seed;
	_Atomic uint32_t version; /* odd while items are on their way from bucket to bucket */
	uint32_t moving_depth;
	_Atomic uint32_t bucket_count;
	/* while it is being resized: */
	_Atomic uint32_t bucket_count_next; /* else 0 */
	_Atomic uint32_t moved_first; /* of the buckets there were, those that have been moved */
	_Atomic uint32_t moved_count; /* 0: none */
};

static inline uint32_t index_load(const _Atomic uint32_t *field)
{
	/* Acquire: pairs with index_store(). The owner alone writes them. */
	return atomic_load_explicit((_Atomic uint32_t *)field, memory_order_acquire);
}

static inline void index_store(_Atomic uint32_t *field, uint32_t value)
{
	/* Release: who sees it sees that the version is odd, and new pages' zeros. */
	atomic_store_explicit(field, value, memory_order_release);
}

/* Between these two, which may be nested, items may be in no bucket that a reader looks at. */
static inline void index_begin_move(struct index *index)
{
	if (index->moving_depth++ > 0)
		return;
	index_store(&index->version, index_load(&index->version) + 1);
}

static inline void index_end_move(struct index *index)
{
	if (--index->moving_depth > 0)
		return;
	index_store(&index->version, index_load(&index->version) + 1);
}

static inline uint64_t slot_location(uint64_t slot)
{
	return slot & (((uint64_t)1 << SLOT_LOCATION_BITS) - 1);
}

/* A key's tag, in its slot. */
static inline uint32_t index_tag(uint64_t hash)
{
	return (uint32_t)(hash >> SLOT_TAG_SHIFT);
}

static inline uint32_t slot_mark(uint64_t slot)
{
	return (uint32_t)(slot >> SLOT_LOCATION_BITS) & MARK_MASK;
}

static inline uint64_t slot_with_mark(uint64_t slot, uint32_t mark)
{
	return (slot & ~((uint64_t)MARK_MASK << SLOT_LOCATION_BITS)) | (uint64_t)mark
	                                                                   << SLOT_LOCATION_BITS;
}

static inline uint64_t slot_value(uint64_t hash, uint32_t mark, uint64_t location)
{
	return (hash >> SLOT_TAG_SHIFT << SLOT_TAG_SHIFT) | ((uint64_t)mark << SLOT_LOCATION_BITS) |
	       location;
}

_Static_assert(MARK_BITS + SLOT_LOCATION_BITS == SLOT_TAG_SHIFT, "a slot has no holes");

static inline struct item *index_item(const struct index *index, uint64_t slot)
{
	return (struct item *)(index->pages.arena + (slot_location(slot) - 1) * 4);
}

static inline uint64_t index_location(const struct index *index, const struct item *item)
{
	return (uint64_t)((const uint8_t *)item - index->pages.arena) / 4 + 1;
}

static inline struct bucket *index_bucket(const struct index *index, uint32_t number)
{
	return pages_at(&index->pages, (uint64_t)number << BUCKET_SHIFT);
}

/* Where a key's candidates are: what each tells, and what the tag does, is hardly the same. */
static inline uint32_t index_first_position(uint64_t hash)
{
	return (uint32_t)hash;
}

static inline uint32_t index_second_position(uint64_t hash)
{
	return (uint32_t)(hash >> 16) * 0x9e3779b1u;
}

static inline uint32_t index_scale(uint32_t position, uint32_t bucket_count)
{
	return (uint32_t)(((uint64_t)position * bucket_count) >> 32);
}

/* The number of a position's bucket. */
static inline uint32_t index_number(const struct index *index, uint32_t position)
{
	uint32_t number = index_scale(position, index_load(&index->bucket_count));

	if (number - index_load(&index->moved_first) < index_load(&index->moved_count))
		number = index_scale(position, index_load(&index->bucket_count_next));
	return number;
}

/* Both buckets of a key; now and then the same. */
struct bucket_pair {
	struct bucket *buckets[2];
};

static inline struct bucket_pair index_pair(const struct index *index, uint64_t hash)
{
	uint32_t first = index_first_position(hash);
	uint32_t second = index_second_position(hash);
	uint32_t bucket_count = index_load(&index->bucket_count);

	if (__builtin_expect(index_load(&index->moved_count) != 0, 0))
		return (struct bucket_pair){{index_bucket(index, index_number(index, first)),
		                             index_bucket(index, index_number(index, second))}};
	return (struct bucket_pair){{index_bucket(index, index_scale(first, bucket_count)),
	                             index_bucket(index, index_scale(second, bucket_count))}};
}

static inline void index_prefetch(const struct index *index, uint64_t hash)
{
	struct bucket_pair pair = index_pair(index, hash);

	__builtin_prefetch(pair.buckets[0]);
	__builtin_prefetch(pair.buckets[1]);
}

static inline void index_prefetch_to_write(const struct index *index, uint64_t hash)
{
	struct bucket_pair pair = index_pair(index, hash);

	prefetch_to_write(pair.buckets[0]);
	prefetch_to_write(pair.buckets[1]);
}

uint64_t index_hash(const struct index *index, struct slice key);

/* The slot of the item with this key, or NULL. */
_Atomic uint64_t *index_find(const struct index *index, uint64_t hash, struct slice key);

/* For other workers than the owner: the slot of the item with this key and what it holds; the item
 * stays what it is until the caller passes (base/epoch.h). *ret_slot NULL: there is none. False:
 * the index was being changed each time that it was looked at. */
bool index_look(const struct index *index, uint64_t hash, struct slice key,
                _Atomic uint64_t **ret_slot, uint64_t *ret_value);

/* A slot that has the hash's tag, most likely that of its key, or NULL. Looks at no item. */
_Atomic uint64_t *index_find_tag(const struct index *index, uint64_t hash);

/* The slot that points at this very item, or NULL. */
_Atomic uint64_t *index_find_item(const struct index *index, uint64_t hash,
                                  const struct item *item);

/* An empty slot for the hash, in the emptier of its buckets; if both are full, one of their items
 * may move to its other bucket. NULL: none can. */
_Atomic uint64_t *index_vacancy(struct index *index, uint64_t hash);

static inline bool index_is_resizing(const struct index *index)
{
	return index_load(&index->bucket_count_next) != 0;
}

/* As many buckets as go into a number of pages. Those that are more have been put into `pages`
 * before, zeroed. */
void index_resize(struct index *index, uint32_t page_count);

/* Takes the next bucket's items out; to be put in again by index_vacancy(), all of it as one move.
 * False: there is none
 * left, and the index has its new size. Pages that are too many are behind the others, empty. */
bool index_move_bucket(struct index *index, uint64_t ret_slots[BUCKET_SLOTS]);

/* A walk over the buckets goes by position, as that stays the same. The first position that is not
 * in the bucket of this one; 2^32: it is the last. */
uint64_t index_bucket_end(const struct index *index, uint32_t position);
