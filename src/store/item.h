/* SPDX-License-Identifier: Apache-2.0 */
/* An item as it lies in a segment: header, key, value, padded to 8 bytes.
 *
 *   0        8        12         16      20      24    25      26      27
 *   | cas    | expiry | accessed | flags | value | key | state | marks | key bytes, value bytes …
 *   | unique | s      |          |       | bytes |bytes|       |       |
 *
 * Written by the shard's owner before the item is published, unchanged afterwards save for what is
 * atomic. A segment can be walked: every item says how long it is, whatever became of it. An item
 * too long for half a segment starts a segment of its own, and its value goes on in the segments
 * chained to that one. */
#pragma once

#include "base/bytes.h"

#include <stdatomic.h>

enum item_state {
	ITEM_OPEN = 1, /* reserved; its bytes are coming in */
	ITEM_LIVE,     /* the index points at it */
	ITEM_DEAD,     /* replaced, removed or abandoned; the room comes back with the segment */
};

/* Marks: what meta commands say of an item. */
#define ITEM_STALE         0x01u /* its value is outdated, and somebody is to store a new one … */
#define ITEM_WON           0x02u /* … and somebody was told that it is he */
#define ITEM_KEY_IS_BINARY 0x04u /* was given in base64, and is shown so; never changes */

#define ITEM_FETCHED (1u << 31)

struct item {
	_Atomic uint64_t cas_unique; /* what makes an item stale changes it too */
	_Atomic uint32_t expiry_s;   /* first second it is gone in; 0: never. touch stores it */
	_Atomic uint32_t accessed;   /* ITEM_FETCHED: it was read; and the second of the last time,
	                              * of its birth if it never was */
	uint32_t client_flags;
	uint32_t value_bytes;
	uint8_t key_bytes;
	uint8_t state;         /* enum item_state; for the owner only */
	_Atomic uint8_t marks; /* the owner's; others read them */
	uint8_t bytes[];       /* the key, then the value */
};

_Static_assert(offsetof(struct item, bytes) == 27, "the header has no holes before the key");

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

/* All relaxed: lone numbers and hints; the item's contents come with its index slot. */

static inline uint64_t item_cas_unique(const struct item *item)
{
	return atomic_load_explicit(&item->cas_unique, memory_order_relaxed);
}

static inline uint32_t item_expiry_s(const struct item *item)
{
	return atomic_load_explicit(&item->expiry_s, memory_order_relaxed);
}

static inline uint32_t item_accessed(const struct item *item)
{
	return atomic_load_explicit(&item->accessed, memory_order_relaxed);
}

static inline bool item_fetched(const struct item *item)
{
	return (item_accessed(item) & ITEM_FETCHED) != 0;
}

static inline uint32_t item_accessed_s(const struct item *item)
{
	return item_accessed(item) & ~ITEM_FETCHED;
}

static inline uint32_t item_marks(const struct item *item)
{
	return atomic_load_explicit(&item->marks, memory_order_relaxed);
}

/* Looks first: a hot item's line stays shared among its readers for a second at a time. */
static inline void item_mark_read(struct item *item, uint32_t now_s)
{
	if (item_accessed(item) != (now_s | ITEM_FETCHED))
		atomic_store_explicit(&item->accessed, now_s | ITEM_FETCHED, memory_order_relaxed);
}
