/* SPDX-License-Identifier: Apache-2.0 */
/* Counters with one writer each, declared once.
 *
 * A module lists its counters in one X-macro table: X(name, unit, kind, help). The struct's fields
 * and the descriptions that stats, metrics and manual are made from both come from that table, in
 * the same order: the struct is an array of counters, description i is that of counter i. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
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
};

#define COUNTER_FIELD(name, unit, kind, help)    _Atomic uint64_t name;
#define COUNTER_DESCRIBE(name, unit, kind, help) {#name, unit, kind, help},

#define COUNTER_NO_INDEX UINT32_MAX

/* One module's counters, as they are listed: "tcp", or of a port "net0". */
struct counter_group {
	const char *module;
	uint32_t index; /* of the port, by the config's order; or COUNTER_NO_INDEX */
	const struct counter_description *descriptions;
	size_t count;
	const _Atomic uint64_t *counters;
	bool is_common; /* of the process, and not of the worker that lists them */
};

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

static inline void counter_set(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, n, memory_order_relaxed);
}

static inline uint64_t counter_read(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit((_Atomic uint64_t *)counter, memory_order_relaxed);
}
