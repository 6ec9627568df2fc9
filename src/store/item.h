/* SPDX-License-Identifier: Apache-2.0 */
/* An item as it lies in a segment: header, key, value, padded to 4 bytes. 14 bytes of header is
 * what nearly all of them have; what does not fit there takes more, and the shape says so.
 *
 *   0        4       8       12     14
 *   | access | shape | cas   | expiry | wide parts, key, value …
 *
 *   access   31       9    8      7     0
 *           | second     | read | key    |     the second of the last read, of its birth if it was
 *           | modulo 2^23|      | bytes  |     never read
 *
 *   shape    31    30 28 27  26 25     24    23   20 19           0
 *           | has | marks| state | expiry | cas  | flags  | value bytes  |
 *           | wide|      |       | wide   | wide |        |              |
 *
 * cas unique: counted from the segment's cas_base; wide: from 0, and 4 bytes more.
 * expiry: counted from the segment's expiry_base_s, 0 is never; wide: from 0, 2 bytes more, which
 * follow at once. flags: 0 to 12 are the client's flags themselves; 13, 14, 15: they follow in 1, 2
 * or 4 bytes. value bytes: 0xfffff: they follow in 4 bytes. All that follows comes in this order:
 * expiry, flags, cas unique, value bytes.
 *
 * Written by the shard's owner before the item is published, unchanged afterwards save for what is
 * atomic; the key's length and the wide parts never change. A segment can be walked: every item
 * says how long it is, whatever became of it. An item too long for half a segment starts a segment
 * of its own, and its value goes on in the segments chained to that one. */
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

#define ITEM_ACCESS_READ    (1u << 8)
#define ITEM_SECOND_SHIFT   9
#define ITEM_SECOND_MASK    ((1u << 23) - 1)
#define ITEM_VALUE_MASK     0xfffffu
#define ITEM_FLAGS_SHIFT    20
#define ITEM_FLAGS_MASK     (0xfu << ITEM_FLAGS_SHIFT)
#define ITEM_FLAGS_PLAIN    12 /* the largest client flags that are in the shape */
#define ITEM_CAS_IS_WIDE    (1u << 24)
#define ITEM_EXPIRY_IS_WIDE (1u << 25)
#define ITEM_STATE_SHIFT    26
#define ITEM_STATE_MASK     (3u << ITEM_STATE_SHIFT)
#define ITEM_MARKS_SHIFT    28
#define ITEM_HAS_WIDE       (1u << 31) /* any of the wide parts */
#define ITEM_EXPIRY_MAX     UINT16_MAX /* above the base, if it is not wide */

struct item {
	_Atomic uint32_t access; /* readers of other workers store it too */
	_Atomic uint32_t shape;
	_Atomic uint32_t cas;
	_Atomic uint16_t expiry;
	uint8_t bytes[];
};

_Static_assert(offsetof(struct item, bytes) == 14, "the header has no holes");
_Static_assert(offsetof(struct item, expiry) % sizeof(uint32_t) == 0, "a wide expiry is atomic");

/* All loads and stores are relaxed: lone numbers and hints; the item's contents come with its
 * index slot. */

static inline uint32_t item_shape(const struct item *item)
{
	return atomic_load_explicit(&item->shape, memory_order_relaxed);
}

static inline void item_set_shape(struct item *item, uint32_t shape)
{
	atomic_store_explicit(&item->shape, shape, memory_order_relaxed);
}

static inline uint32_t shape_flags_bytes(uint32_t shape)
{
	uint32_t flags = (shape & ITEM_FLAGS_MASK) >> ITEM_FLAGS_SHIFT;

	return flags <= ITEM_FLAGS_PLAIN ? 0 : 1u << (flags - ITEM_FLAGS_PLAIN - 1);
}

/* Of the wide parts. */
static inline uint32_t shape_wide_bytes(uint32_t shape)
{
	if (__builtin_expect(!(shape & ITEM_HAS_WIDE), 1))
		return 0;
	return (shape & ITEM_EXPIRY_IS_WIDE ? 2 : 0) + shape_flags_bytes(shape) +
	       (shape & ITEM_CAS_IS_WIDE ? 4 : 0) +
	       ((shape & ITEM_VALUE_MASK) == ITEM_VALUE_MASK ? 4 : 0);
}

/* All of the header. */
static inline uint32_t shape_head_bytes(uint32_t shape)
{
	return (uint32_t)offsetof(struct item, bytes) + shape_wide_bytes(shape);
}

static inline enum item_state item_state(const struct item *item)
{
	return (enum item_state)((item_shape(item) & ITEM_STATE_MASK) >> ITEM_STATE_SHIFT);
}

static inline void item_set_state(struct item *item, enum item_state state)
{
	item_set_shape(item,
	               (item_shape(item) & ~ITEM_STATE_MASK) | (uint32_t)state << ITEM_STATE_SHIFT);
}

static inline uint32_t shape_marks(uint32_t shape)
{
	return shape >> ITEM_MARKS_SHIFT & 7;
}

static inline uint32_t item_marks(const struct item *item)
{
	return shape_marks(item_shape(item));
}

static inline void item_set_marks(struct item *item, uint32_t marks)
{
	item_set_shape(item,
	               (item_shape(item) & ~(7u << ITEM_MARKS_SHIFT)) | marks << ITEM_MARKS_SHIFT);
}

/* For all workers at once: *shape is what it was thought to be, and what it is if it was not that,
 * and so was not changed (false). */
static inline bool item_exchange_marks(struct item *item, uint32_t *shape, uint32_t marks)
{
	uint32_t wanted = (*shape & ~(7u << ITEM_MARKS_SHIFT)) | marks << ITEM_MARKS_SHIFT;

	return atomic_compare_exchange_strong_explicit(&item->shape, shape, wanted,
	                                               memory_order_relaxed, memory_order_relaxed);
}

static inline uint32_t item_access(const struct item *item)
{
	return atomic_load_explicit(&item->access, memory_order_relaxed);
}

static inline uint32_t item_key_bytes(const struct item *item)
{
	return item_access(item) & UINT8_MAX;
}

static inline struct slice item_key(const struct item *item)
{
	return (struct slice){(const uint8_t *)item + shape_head_bytes(item_shape(item)),
	                      item_key_bytes(item)};
}

static inline bool item_has_key(const struct item *item, struct slice key)
{
	return item_key_bytes(item) == key.length &&
	       memcmp((const uint8_t *)item + shape_head_bytes(item_shape(item)), key.data,
	              key.length) == 0;
}

static inline uint32_t item_client_flags(const struct item *item)
{
	uint32_t shape = item_shape(item);
	uint32_t flags = (shape & ITEM_FLAGS_MASK) >> ITEM_FLAGS_SHIFT;
	const uint8_t *wide = item->bytes + (shape & ITEM_EXPIRY_IS_WIDE ? 2 : 0);

	switch (shape_flags_bytes(shape)) {
	case 1: return *wide;
	case 2: return load_be16(wide);
	case 4: return load_be32(wide);
	default: return flags;
	}
}

static inline uint32_t item_value_bytes(const struct item *item)
{
	uint32_t shape = item_shape(item);

	if ((shape & ITEM_VALUE_MASK) != ITEM_VALUE_MASK)
		return shape & ITEM_VALUE_MASK;
	return load_be32((const uint8_t *)item + shape_head_bytes(shape) - sizeof(uint32_t));
}

static inline uint64_t item_padded(uint64_t bytes)
{
	return (bytes + 3) & ~(uint64_t)3;
}

/* What an item of these takes if it has no wide parts. */
static inline uint64_t item_bytes_of(uint64_t key_bytes, uint64_t value_bytes)
{
	return item_padded(offsetof(struct item, bytes) + key_bytes + value_bytes);
}

/* What it takes in segments. */
static inline uint64_t item_bytes(const struct item *item)
{
	return item_padded((uint64_t)shape_head_bytes(item_shape(item)) + item_key_bytes(item) +
	                   item_value_bytes(item));
}

static inline uint64_t item_cas_unique(const struct item *item, uint64_t cas_base)
{
	uint32_t shape = item_shape(item);
	uint32_t low = atomic_load_explicit(&item->cas, memory_order_relaxed);
	const uint8_t *wide = item->bytes + (shape & ITEM_EXPIRY_IS_WIDE ? 2 : 0);

	if (!(shape & ITEM_CAS_IS_WIDE))
		return cas_base + low;
	return (uint64_t)load_be32(wide + shape_flags_bytes(shape)) << 32 | low;
}

/* False: it has no room for that one. */
static inline bool item_set_cas(struct item *item, uint64_t cas_unique, uint64_t cas_base)
{
	bool is_wide = (item_shape(item) & ITEM_CAS_IS_WIDE) != 0;
	uint64_t high = is_wide ? item_cas_unique(item, 0) >> 32 << 32 : cas_base;

	if (cas_unique < high || cas_unique - high > UINT32_MAX)
		return false;
	atomic_store_explicit(&item->cas, (uint32_t)(cas_unique - high), memory_order_relaxed);
	return true;
}

static inline _Atomic uint32_t *item_wide_expiry(struct item *item)
{
	return (_Atomic uint32_t *)(void *)&item->expiry;
}

/* As it stands there; 0: it never expires, whatever the base. */
static inline uint32_t item_expiry(const struct item *item)
{
	if (item_shape(item) & ITEM_EXPIRY_IS_WIDE)
		return atomic_load_explicit(item_wide_expiry((struct item *)(uintptr_t)item),
		                            memory_order_relaxed);
	return atomic_load_explicit(&item->expiry, memory_order_relaxed);
}

/* First second that it is gone in; 0: never. */
static inline uint32_t item_expiry_s(const struct item *item, uint32_t expiry_base_s)
{
	uint32_t expiry = item_expiry(item);

	return expiry == 0 || (item_shape(item) & ITEM_EXPIRY_IS_WIDE) ? expiry
	                                                               : expiry_base_s + expiry;
}

/* False: it has no room for that one. */
static inline bool item_set_expiry(struct item *item, uint32_t expiry_s, uint32_t expiry_base_s)
{
	if (item_shape(item) & ITEM_EXPIRY_IS_WIDE) {
		atomic_store_explicit(item_wide_expiry(item), expiry_s, memory_order_relaxed);
		return true;
	}
	if (expiry_s != 0 &&
	    (expiry_s <= expiry_base_s || expiry_s - expiry_base_s > ITEM_EXPIRY_MAX))
		return false;
	atomic_store_explicit(&item->expiry,
	                      (uint16_t)(expiry_s == 0 ? 0 : expiry_s - expiry_base_s),
	                      memory_order_relaxed);
	return true;
}

static inline bool item_is_read(const struct item *item)
{
	return (item_access(item) & ITEM_ACCESS_READ) != 0;
}

/* Seconds since it was read, or made; of what has been idle for 97 days one cannot tell. */
static inline uint32_t item_idle_s(const struct item *item, uint32_t now_s)
{
	return (now_s - (item_access(item) >> ITEM_SECOND_SHIFT)) & ITEM_SECOND_MASK;
}

static inline void item_set_access(struct item *item, uint32_t key_bytes, bool is_read,
                                   uint32_t now_s)
{
	uint32_t access = now_s << ITEM_SECOND_SHIFT | (is_read ? ITEM_ACCESS_READ : 0) | key_bytes;

	/* looks first: a hot item's line stays shared among its readers for a second at a time */
	if (item_access(item) != access)
		atomic_store_explicit(&item->access, access, memory_order_relaxed);
}

static inline void item_mark_read(struct item *item, uint32_t now_s)
{
	item_set_access(item, item_key_bytes(item), true, now_s);
}
