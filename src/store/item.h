/* SPDX-License-Identifier: Apache-2.0 */
/* An item as it lies in a segment: header, key, value, padded to 8 bytes.
 *
 *   0        8        12      16      20    21     22       23
 *   | cas    | expiry | flags | value | key | state| fetched| key bytes, value bytes …
 *   | unique | s      |       | bytes |bytes|      |        |
 *
 * Written by the shard's owner before the item is published, unchanged afterwards save for the
 * relaxed atomic marks. A segment can be walked: every item says how long it is, whatever became
 * of it. An item too long for half a segment starts a segment of its own, and its value goes on in
 * the segments chained to that one. */
#pragma once

#include "base/bytes.h"

#include <stdatomic.h>

enum item_state {
	ITEM_OPEN = 1, /* reserved; its bytes are coming in */
	ITEM_LIVE,     /* the index points at it */
	ITEM_DEAD,     /* replaced, removed or abandoned; the room comes back with the segment */
};

struct item {
	uint64_t cas_unique;
	_Atomic uint32_t expiry_s; /* first second it is gone in; 0: never. touch stores it */
	uint32_t client_flags;
	uint32_t value_bytes;
	uint8_t key_bytes;
	uint8_t state;           /* enum item_state; for the owner only */
	_Atomic uint8_t fetched; /* somebody has read it; only ever set, so no locked or */
	uint8_t bytes[];         /* the key, then the value */
};

_Static_assert(offsetof(struct item, bytes) == 23, "the header has no holes before the key");

static inline uint64_t item_bytes_of(uint64_t key_bytes, uint64_t value_bytes)
{
	return (offsetof(struct item, bytes) + key_bytes + value_bytes + 7) & ~(uint64_t)7;
}

static inline uint64_t item_bytes(const struct item *item)
{
	return item_bytes_of(item->key_bytes, item->value_bytes);
}

static inline struct slice item_key(const struct item *item)
{
	return (struct slice){item->bytes, item->key_bytes};
}

/* Relaxed: a lone number and a lone hint; the item's contents come with its index slot. */
static inline uint32_t item_expiry_s(const struct item *item)
{
	return atomic_load_explicit(&item->expiry_s, memory_order_relaxed);
}

static inline bool item_fetched(const struct item *item)
{
	return atomic_load_explicit(&item->fetched, memory_order_relaxed) != 0;
}

/* Looks first, so that a hot item's line stays shared among its readers. */
static inline void item_mark_fetched(struct item *item)
{
	if (!item_fetched(item))
		atomic_store_explicit(&item->fetched, 1, memory_order_relaxed);
}
