/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded ring of entries of one size, from one thread, the producer, to one other, the consumer.
 * Neither side ever waits for the other, and an entry is read and written where it lies. It says
 * itself that it is there: one cache line less goes from core to core than if the consumer looked
 * at the producer's index.
 * (DPDK's rte_ring would do, but base includes libc only.)
 *
 * Owner: each side of its own half; a line that one side writes is never written by the other. */
#pragma once

#include "base/memory.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

/* An entry's place. */
struct spsc_place {
	_Atomic uint32_t count; /* entries pushed up to the one that is in it; 0: none yet */
	_Alignas(uint64_t) uint8_t entry[];
};

struct spsc {
	/* Both read these. */
	uint8_t *places;
	uint32_t entry_bytes;
	uint32_t place_bytes;
	uint32_t mask;
	/* The producer's. */
	__attribute__((aligned(CACHE_LINE_BYTES))) _Atomic uint32_t head; /* entries ever pushed */
	uint32_t tail_seen; /* what `tail` was when last looked at */
	/* The consumer's. */
	__attribute__((aligned(CACHE_LINE_BYTES))) _Atomic uint32_t tail; /* entries ever dropped */
};

_Static_assert(offsetof(struct spsc, tail) - offsetof(struct spsc, head) == CACHE_LINE_BYTES &&
                   offsetof(struct spsc, head) == CACHE_LINE_BYTES,
               "the two sides share no cache line");

static inline size_t spsc_place_bytes(size_t entry_bytes)
{
	return sizeof(struct spsc_place) + ((entry_bytes + 7) & ~(size_t)7);
}

/* Bytes of memory that spsc_create() takes. */
static inline size_t spsc_bytes(size_t entry_bytes, uint32_t capacity)
{
	return memory_rounded(spsc_place_bytes(entry_bytes) * capacity);
}

static inline struct spsc_place *spsc_place(const struct spsc *spsc, uint32_t index)
{
	return (struct spsc_place *)(void *)(spsc->places +
	                                     (size_t)(index & spsc->mask) * spsc->place_bytes);
}

/* capacity: in entries, a power of two. Entries are aligned to 8 bytes; one of 56 bytes is all of
 * a cache line. */
static inline void spsc_create(struct spsc *spsc, size_t entry_bytes, uint32_t capacity,
                               struct memory *memory)
{
	size_t place_bytes = spsc_place_bytes(entry_bytes);

	ASSERT(capacity > 0 && (capacity & (capacity - 1)) == 0);
	*spsc = (struct spsc){.places = memory_take(memory, place_bytes * capacity),
	                      .entry_bytes = (uint32_t)entry_bytes,
	                      .place_bytes = (uint32_t)place_bytes,
	                      .mask = capacity - 1};
	/* relaxed: the other thread hears of the ring later */
	for (uint32_t i = 0; i < capacity; i++)
		atomic_store_explicit(&spsc_place(spsc, i)->count, 0, memory_order_relaxed);
}

/* Producer: room for one entry, which nobody sees before spsc_commit(); NULL: the ring is full. */
static inline void *spsc_reserve(struct spsc *spsc)
{
	/* relaxed: only this side writes it */
	uint32_t head = atomic_load_explicit(&spsc->head, memory_order_relaxed);

	if (head - spsc->tail_seen > spsc->mask) {
		/* Acquire: pairs with the release in spsc_drop(); the consumer is done with it. */
		spsc->tail_seen = atomic_load_explicit(&spsc->tail, memory_order_acquire);
		if (head - spsc->tail_seen > spsc->mask)
			return NULL;
	}
	return spsc_place(spsc, head)->entry;
}

/* Producer: whether there is room for so many entries, at most the capacity. */
static inline bool spsc_has_room(struct spsc *spsc, uint32_t count)
{
	/* relaxed: only this side writes it */
	uint32_t after = atomic_load_explicit(&spsc->head, memory_order_relaxed) + count;

	if (after - spsc->tail_seen > spsc->mask + 1)
		/* Acquire: pairs with the release in spsc_drop(), as in spsc_reserve(). */
		spsc->tail_seen = atomic_load_explicit(&spsc->tail, memory_order_acquire);
	return after - spsc->tail_seen <= spsc->mask + 1;
}

/* Producer: pushes the entry written where the last spsc_reserve() said. */
static inline void spsc_commit(struct spsc *spsc)
{
	uint32_t head = atomic_load_explicit(&spsc->head, memory_order_relaxed);

	ASSERT_SLOW(head - spsc->tail_seen <= spsc->mask);
	/* Release: pairs with the acquire in spsc_look(); the entry is written. */
	atomic_store_explicit(&spsc_place(spsc, head)->count, head + 1, memory_order_release);
	/* relaxed: for spsc_is_empty() */
	atomic_store_explicit(&spsc->head, head + 1, memory_order_relaxed);
}

/* Consumer: the entry that comes so many after the oldest one; NULL: there is none. `behind` is at
 * most the capacity. */
static inline void *spsc_look(struct spsc *spsc, uint32_t behind)
{
	/* relaxed: only this side writes it */
	uint32_t index = atomic_load_explicit(&spsc->tail, memory_order_relaxed) + behind;
	struct spsc_place *place = spsc_place(spsc, index);

	/* Acquire: pairs with the release in spsc_commit(); the entry can be read. */
	if (atomic_load_explicit(&place->count, memory_order_acquire) != index + 1)
		return NULL;
	return place->entry;
}

/* Consumer: the oldest entry, which stays until spsc_drop(); NULL: the ring is empty. */
static inline void *spsc_peek(struct spsc *spsc)
{
	return spsc_look(spsc, 0);
}

/* Consumer: gives back the entry that the last spsc_peek() returned. */
static inline void spsc_drop(struct spsc *spsc)
{
	uint32_t tail = atomic_load_explicit(&spsc->tail, memory_order_relaxed);

	ASSERT_SLOW(spsc_peek(spsc) != NULL);
	/* Release: pairs with the acquire in spsc_reserve(); the entry may be written again. */
	atomic_store_explicit(&spsc->tail, tail + 1, memory_order_release);
}

/* Any thread: whether there is nothing in it, as far as that can be seen. */
static inline bool spsc_is_empty(const struct spsc *spsc)
{
	/* relaxed: who must not miss an entry has a fence of his own before */
	return atomic_load_explicit(&spsc->head, memory_order_relaxed) ==
	       atomic_load_explicit(&spsc->tail, memory_order_relaxed);
}

/* Producer: copies an entry in. False: the ring is full. */
static inline bool spsc_push(struct spsc *spsc, const void *entry)
{
	void *room = spsc_reserve(spsc);

	if (room == NULL)
		return false;
	memcpy(room, entry, spsc->entry_bytes);
	spsc_commit(spsc);
	return true;
}

/* Consumer: copies the oldest entry out. False: the ring is empty, and nothing was written. */
static inline bool spsc_pop(struct spsc *spsc, void *ret_entry)
{
	const void *entry = spsc_peek(spsc);

	if (entry == NULL)
		return false;
	memcpy(ret_entry, entry, spsc->entry_bytes);
	spsc_drop(spsc);
	return true;
}
