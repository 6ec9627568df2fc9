/* SPDX-License-Identifier: Apache-2.0 */
/* Items that are told elsewhere too, where the store is not asked: whoever tells them has to stop
 * before the store changes anything about them, or lets them go. Few are; so that it costs next to
 * nothing for all others, they are looked up in a filter. Owner: the store's. */
#pragma once

#include "store/item.h"

#define SHOWN_FILTER 1024 /* a power of two */

struct shown {
	uint32_t count;
	uint16_t filter[SHOWN_FILTER]; /* how many of them fall to it */
	/* Nothing is told of this item any more, NULL: of none, when this returns. */
	void (*hide)(void *context, const struct item *item);
	void *context;
};

static inline uint16_t *shown_place(struct shown *shown, const struct item *item)
{
	uint64_t hash = (uint64_t)(uintptr_t)item * 0x9e3779b97f4a7c15u;

	return &shown->filter[hash >> 32 & (SHOWN_FILTER - 1)];
}

/* From now on it is told; until `hide` was called, or it is not any more. */
static inline void shown_add(struct shown *shown, const struct item *item)
{
	shown->count++;
	++*shown_place(shown, item);
}

static inline void shown_remove(struct shown *shown, const struct item *item)
{
	shown->count--;
	--*shown_place(shown, item);
}

/* It may be one of these: apart, so that a store that shows nothing has nothing of it. */
void shown_look(struct shown *shown, const struct item *item);

/* Before something about it changes. */
static inline void shown_hide(struct shown *shown, const struct item *item)
{
	if (__builtin_expect(shown->count != 0, 0))
		shown_look(shown, item);
}

static inline void shown_hide_all(struct shown *shown)
{
	if (__builtin_expect(shown->count != 0, 0))
		shown->hide(shown->context, NULL);
}
