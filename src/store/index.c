/* SPDX-License-Identifier: Apache-2.0 */
#include "store/index.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t index_hash(const struct index *index, struct slice key)
{
	return XXH3_64bits_withSeed(key.data, key.length, index->hash_seed);
}

/* The slots that have the hash's tag, of both of its buckets: where the key is, hardly any else. */
struct matches {
	struct bucket_pair pair;
	uint32_t mask; /* a bit for each slot, 8 for the first bucket */
};

static inline struct matches match(const struct index *index, uint64_t hash)
{
	struct bucket_pair pair = index_pair(index, hash);
	uint32_t tag = index_tag(hash);

	return (struct matches){pair, bucket_match_tag(pair.buckets[0], tag) |
	                                  bucket_match_tag(pair.buckets[1], tag) << BUCKET_SLOTS};
}

/* The next one; NULL: there is none. */
static inline _Atomic uint64_t *next_match(struct matches *matches)
{
	uint32_t i;

	if (matches->mask == 0)
		return NULL;
	i = (uint32_t)__builtin_ctz(matches->mask);
	matches->mask &= matches->mask - 1;
	return &matches->pair.buckets[i / BUCKET_SLOTS]->slots[i % BUCKET_SLOTS];
}

_Atomic uint64_t *index_find(const struct index *index, uint64_t hash, struct slice key)
{
	struct matches matches = match(index, hash);
	_Atomic uint64_t *slot;

	while ((slot = next_match(&matches)) != NULL) {
		uint64_t value = slot_load(slot);

		if (value != 0 && item_has_key(index_item(index, value), key))
			break;
	}
	return slot;
}

/* Only what has been read while nothing moved is to be trusted, the numbers of buckets and of pages
 * too: before that no item is looked at. */
static bool look_once(const struct index *index, uint64_t hash, struct slice key,
                      _Atomic uint64_t **ret_slot, uint64_t *ret_value)
{
	uint32_t before = index_load(&index->version);
	struct matches matches;
	_Atomic uint64_t *slot;

	if (before & 1)
		return false;
	matches = match(index, hash);
	while ((slot = next_match(&matches)) != NULL) {
		uint64_t value = slot_load(slot);

		if (index_load(&index->version) != before)
			return false;
		/* it may have become another's since */
		if (value == 0 || value >> SLOT_TAG_SHIFT != index_tag(hash) ||
		    !item_has_key(index_item(index, value), key))
			continue;
		*ret_value = value;
		break;
	}
	*ret_slot = slot;
	return index_load(&index->version) == before;
}

#define LOOKS_MAX 1000

bool index_look(const struct index *index, uint64_t hash, struct slice key,
                _Atomic uint64_t **ret_slot, uint64_t *ret_value)
{
	for (uint32_t i = 0; i < LOOKS_MAX; i++)
		if (look_once(index, hash, key, ret_slot, ret_value))
			return true;
	return false;
}

_Atomic uint64_t *index_find_tag(const struct index *index, uint64_t hash)
{
	struct matches matches = match(index, hash);
	_Atomic uint64_t *slot = next_match(&matches);

	return slot == NULL || slot_load(slot) == 0 ? NULL : slot;
}

_Atomic uint64_t *index_find_item(const struct index *index, uint64_t hash, const struct item *item)
{
	struct matches matches = match(index, hash);
	uint64_t location = index_location(index, item);
	_Atomic uint64_t *slot;

	while ((slot = next_match(&matches)) != NULL)
		if (slot_location(slot_load(slot)) == location)
			break;
	return slot;
}

/* An empty slot and how many there are. */
static _Atomic uint64_t *find_empty(struct bucket *bucket, uint32_t *ret_count)
{
	uint32_t mask = bucket_match_empty(bucket);

	*ret_count = (uint32_t)__builtin_popcount(mask);
	return mask == 0 ? NULL : &bucket->slots[__builtin_ctz(mask)];
}

/* Moves one of the items of a full bucket to its other one, if that has room. */
static _Atomic uint64_t *make_vacancy(struct index *index, struct bucket *full)
{
	for (uint32_t i = 0; i < BUCKET_SLOTS; i++) {
		uint64_t slot = slot_load(&full->slots[i]);
		uint64_t hash = index_hash(index, item_key(index_item(index, slot)));
		struct bucket_pair pair = index_pair(index, hash);
		struct bucket *other = pair.buckets[pair.buckets[0] == full ? 1 : 0];
		_Atomic uint64_t *empty;
		uint32_t count;

		empty = find_empty(other, &count);
		if (empty == NULL)
			continue;
		index_begin_move(index);
		slot_store(empty, slot);
		slot_store(&full->slots[i], 0);
		index_end_move(index);
		return &full->slots[i];
	}
	return NULL;
}

_Atomic uint64_t *index_vacancy(struct index *index, uint64_t hash)
{
	struct bucket_pair pair = index_pair(index, hash);
	uint32_t counts[2];
	_Atomic uint64_t *empty[2] = {find_empty(pair.buckets[0], &counts[0]),
	                              find_empty(pair.buckets[1], &counts[1])};

	if (counts[0] + counts[1] > 0)
		return counts[0] >= counts[1] ? empty[0] : empty[1];
	empty[0] = make_vacancy(index, pair.buckets[0]);
	return empty[0] != NULL ? empty[0] : make_vacancy(index, pair.buckets[1]);
}

void index_resize(struct index *index, uint32_t page_count)
{
	uint32_t count = page_count << (index->pages.shift - BUCKET_SHIFT);

	uint32_t before = index_load(&index->bucket_count);

	ASSERT(!index_is_resizing(index) && count > 0 && count != before);
	index_begin_move(index);
	index_store(&index->bucket_count_next, count);
	index_store(&index->moved_first, count > before ? before : 0);
	index_store(&index->moved_count, 0);
	index_end_move(index);
}

static void finish(struct index *index)
{
	index_begin_move(index);
	index_store(&index->bucket_count, index_load(&index->bucket_count_next));
	index_store(&index->bucket_count_next, 0);
	index_store(&index->moved_first, 0);
	index_store(&index->moved_count, 0);
	index_end_move(index);
}

bool index_move_bucket(struct index *index, uint64_t ret_slots[BUCKET_SLOTS])
{
	bool grows = index_load(&index->bucket_count_next) > index_load(&index->bucket_count);
	uint32_t first = index_load(&index->moved_first);
	uint32_t count = index_load(&index->moved_count);
	struct bucket *bucket;

	if (count == index_load(&index->bucket_count)) {
		finish(index);
		return false;
	}
	/* a larger size takes the last first, a smaller one the first: so a bucket is never put
	 * where one is that has still to be moved */
	bucket = index_bucket(index, grows ? first - 1 : count);
	index_store(&index->moved_first, first - (grows ? 1 : 0));
	index_store(&index->moved_count, count + 1);
	for (uint32_t i = 0; i < BUCKET_SLOTS; i++) {
		ret_slots[i] = slot_load(&bucket->slots[i]);
		slot_store(&bucket->slots[i], 0);
	}
	return true;
}

/* The first position of a bucket of so many. */
static uint64_t bucket_start(uint64_t number, uint32_t bucket_count)
{
	return ((number << 32) + bucket_count - 1) / bucket_count;
}

uint64_t index_bucket_end(const struct index *index, uint32_t position)
{
	uint32_t bucket_count = index_load(&index->bucket_count);
	uint32_t next_count = index_load(&index->bucket_count_next);
	uint32_t first = index_load(&index->moved_first);
	uint32_t moved = index_load(&index->moved_count);
	uint32_t number = index_scale(position, bucket_count);
	uint64_t end;

	if (number - first >= moved)
		return bucket_start((uint64_t)number + 1, bucket_count);
	number = index_scale(position, next_count);
	end = bucket_start((uint64_t)number + 1, next_count);
	/* one that will get more of those that follow ends where they begin for now */
	return min_u64(end, bucket_start((uint64_t)first + moved, bucket_count));
}
