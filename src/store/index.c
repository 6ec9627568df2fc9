/* SPDX-License-Identifier: Apache-2.0 */
#include "store/index.h"

static _Atomic uint64_t *bucket_find(const struct index *index, struct bucket *bucket,
                                     uint64_t hash, struct slice key)
{
	for (uint32_t i = 0; i < BUCKET_SLOTS; i++) {
		uint64_t slot = slot_load(&bucket->slots[i]);
		struct item *item;

		if (slot >> 48 != hash >> 48 || slot_location(slot) == 0)
			continue;
		item = index_item(index, slot);
		if (item->key_bytes == key.length && memcmp(item->bytes, key.data, key.length) == 0)
			return &bucket->slots[i];
	}
	return NULL;
}

_Atomic uint64_t *index_find(const struct index *index, uint64_t hash, struct slice key)
{
	struct bucket *second = index_second(index, hash);
	_Atomic uint64_t *slot;

	/* Half of the keys are there: better to wait for both lines at once. */
	__builtin_prefetch(second);
	slot = bucket_find(index, index_first(index, hash), hash, key);
	if (slot == NULL)
		slot = bucket_find(index, second, hash, key);
	return slot;
}

_Atomic uint64_t *index_find_item(const struct index *index, uint64_t hash, const struct item *item)
{
	struct bucket *buckets[2] = {index_first(index, hash), index_second(index, hash)};
	uint64_t location = index_location(index, item);

	for (uint32_t b = 0; b < 2; b++)
		for (uint32_t i = 0; i < BUCKET_SLOTS; i++)
			if (slot_location(slot_load(&buckets[b]->slots[i])) == location)
				return &buckets[b]->slots[i];
	return NULL;
}

_Atomic uint64_t *index_vacancy(const struct index *index, uint64_t hash)
{
	struct bucket *buckets[2] = {index_first(index, hash), index_second(index, hash)};
	_Atomic uint64_t *empty[2] = {NULL, NULL};
	uint32_t empty_count[2] = {0, 0};

	for (uint32_t b = 0; b < 2; b++)
		for (uint32_t i = 0; i < BUCKET_SLOTS; i++)
			if (slot_load(&buckets[b]->slots[i]) == 0) {
				empty[b] = &buckets[b]->slots[i];
				empty_count[b]++;
			}
	return empty_count[0] >= empty_count[1] ? empty[0] : empty[1];
}
