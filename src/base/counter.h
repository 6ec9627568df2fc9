/* SPDX-License-Identifier: Apache-2.0 */
/* Counters with one writer each, declared once.
 *
 * A module lists its counters in one X-macro table: X(name, unit, kind, help). The struct's fields
 * and the descriptions that stats, metrics and manual are made from both come from that table. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum counter_kind {
	COUNTER_TOTAL, /* only grows */
	COUNTER_LEVEL, /* goes up and down */
};

struct counter_description {
	const char *name;
	const char *unit;
	enum counter_kind kind;
	const char *help;
	size_t offset; /* of its _Atomic uint64_t in the module's struct */
};

#define COUNTER_FIELD(name, unit, kind, help) _Atomic uint64_t name;

/* Only the owning worker writes, so load and store need no locked add. */
static inline void counter_add(_Atomic uint64_t *counter, uint64_t n)
{
	uint64_t v = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, v + n, memory_order_relaxed);
}

static inline void counter_subtract(_Atomic uint64_t *counter, uint64_t n)
{
	counter_add(counter, (uint64_t)0 - n);
}

static inline uint64_t counter_read(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit((_Atomic uint64_t *)counter, memory_order_relaxed);
}
