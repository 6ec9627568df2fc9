/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/prefixes.h"

#include "base/epoch.h"
#include "proto/line.h"
#include "proto/number.h"

#define SLOT_COUNT  (2 * PREFIX_COUNT_MAX)
#define WORKERS_MAX EPOCH_READERS_MAX

_Static_assert((SLOT_COUNT & (SLOT_COUNT - 1)) == 0, "slots are found by a mask");
_Static_assert(PREFIX_COUNT_MAX < UINT16_MAX, "a slot holds an index");

size_t prefixes_bytes(void)
{
	return memory_rounded(sizeof(struct prefix) * PREFIX_COUNT_MAX) +
	       memory_rounded(sizeof(uint16_t) * SLOT_COUNT) + memory_rounded(PREFIX_BYTES_MAX);
}

void prefixes_create(struct prefixes *prefixes, const struct siphash_key *key,
                     struct memory *memory)
{
	*prefixes = (struct prefixes){
	    .is_held = ATOMIC_FLAG_INIT,
	    .key = *key,
	    .prefixes = memory_take(memory, sizeof(struct prefix) * PREFIX_COUNT_MAX),
	    .slots = memory_take(memory, sizeof(uint16_t) * SLOT_COUNT),
	    .text = memory_take(memory, PREFIX_BYTES_MAX),
	};
}

/* Acquire and release: who holds it sees all that was done to it by who held it before. */
static bool hold(struct prefixes *prefixes)
{
	return !atomic_flag_test_and_set_explicit(&prefixes->is_held, memory_order_acquire);
}

static void let_go(struct prefixes *prefixes)
{
	atomic_flag_clear_explicit(&prefixes->is_held, memory_order_release);
}

bool prefixes_reset(struct prefixes *prefixes)
{
	if (!hold(prefixes))
		return false;
	if (prefixes->count > 0) { /* otherwise its memory was never touched */
		prefixes->count = 0;
		prefixes->text_bytes = 0;
		memset((void *)prefixes->slots, 0, sizeof(uint16_t) * SLOT_COUNT);
	}
	let_go(prefixes);
	return true;
}

static struct slice name_of(const struct prefixes *prefixes, const struct prefix *prefix)
{
	return (struct slice){prefixes->text + prefix->text_at, prefix->text_bytes};
}

static struct prefix *add(struct prefixes *prefixes, struct slice name, _Atomic uint16_t *slot)
{
	struct prefix *prefix = &prefixes->prefixes[prefixes->count];

	if (prefixes->count == PREFIX_COUNT_MAX ||
	    prefixes->text_bytes + name.length > PREFIX_BYTES_MAX)
		return NULL;
	*prefix =
	    (struct prefix){.text_at = prefixes->text_bytes, .text_bytes = (uint32_t)name.length};
	if (name.length > 0)
		memcpy(prefixes->text + prefix->text_at, name.data, name.length);
	prefixes->text_bytes += (uint32_t)name.length;
	/* Release: pairs with the acquires in look_for() and prefixes_list(). */
	atomic_store_explicit(slot, (uint16_t)(prefixes->count + 1), memory_order_release);
	atomic_store_explicit(&prefixes->count, prefixes->count + 1, memory_order_release);
	return prefix;
}

/* Where it is, or would be. */
static _Atomic uint16_t *look_for(struct prefixes *prefixes, struct slice name,
                                  struct prefix **ret_prefix)
{
	uint64_t hash = siphash(&prefixes->key, name.data, name.length);

	*ret_prefix = NULL;
	for (;; hash++) { /* half of the slots are free at the least */
		_Atomic uint16_t *slot = &prefixes->slots[hash & (SLOT_COUNT - 1)];
		uint16_t number = atomic_load_explicit(slot, memory_order_acquire);
		struct prefix *prefix = &prefixes->prefixes[number - 1];

		if (number == 0)
			return slot;
		if (!slice_equal(name_of(prefixes, prefix), name))
			continue;
		*ret_prefix = prefix;
		return slot;
	}
}

/* NULL: there is no room for it. */
static struct prefix *find(struct prefixes *prefixes, struct slice name)
{
	struct prefix *prefix;
	_Atomic uint16_t *slot = look_for(prefixes, name, &prefix);

	return prefix != NULL ? prefix : add(prefixes, name, slot);
}

bool prefixes_count(struct prefixes *prefixes, const struct shard_event *event)
{
	const uint8_t *delimiter;
	struct prefix *prefix;

	if (!prefixes->is_on || event->kind == SHARD_EVICTED || event->key.length == 0)
		return true;
	delimiter = memchr(event->key.data, PREFIX_DELIMITER, event->key.length);
	if (delimiter == NULL)
		return true;
	prefix =
	    find(prefixes, (struct slice){event->key.data, (size_t)(delimiter - event->key.data)});
	if (prefix == NULL)
		return false;
	counter_add(&prefix->gets, event->kind == SHARD_FETCHED);
	counter_add(&prefix->hits, event->kind == SHARD_FETCHED && event->status == REPLY_HIT);
	counter_add(&prefix->sets, event->kind == SHARD_STORED);
	counter_add(&prefix->deletes, event->kind == SHARD_DELETED);
	return true;
}

static void add_up(struct prefix *sum, const struct prefix *prefix)
{
	counter_add(&sum->gets, counter_read(&prefix->gets));
	counter_add(&sum->hits, counter_read(&prefix->hits));
	counter_add(&sum->sets, counter_read(&prefix->sets));
	counter_add(&sum->deletes, counter_read(&prefix->deletes));
}

static struct slice write_line(uint8_t *to, struct slice name, const struct prefix *sum)
{
	uint8_t *end = line_write(to, "PREFIX ");

	if (name.length > 0)
		memcpy(end, name.data, name.length);
	end += name.length;
	end = number_write(line_write(end, " get "), counter_read(&sum->gets));
	end = number_write(line_write(end, " hit "), counter_read(&sum->hits));
	end = number_write(line_write(end, " set "), counter_read(&sum->sets));
	end = number_write(line_write(end, " del "), counter_read(&sum->deletes));
	end = line_write(end, "\r\n");
	return (struct slice){to, (size_t)(end - to)};
}

/* The line of a prefix, unless it is in one of those before all[at]. */
static bool list_one(struct prefixes *const all[], uint32_t count, uint32_t at, struct slice name,
                     bool (*line)(void *context, struct slice line), void *context)
{
	uint8_t text[PREFIX_LINE_BYTES];
	struct prefix sum = {0};

	for (uint32_t i = 0; i < count; i++) {
		struct prefix *prefix;

		look_for(all[i], name, &prefix);
		if (prefix != NULL && i < at)
			return true;
		if (prefix != NULL)
			add_up(&sum, prefix);
	}
	return line(context, write_line(text, name, &sum));
}

/* One that is being emptied has nothing. */
bool prefixes_list(struct prefixes *const all[], uint32_t count,
                   bool (*line)(void *context, struct slice line), void *context)
{
	struct prefixes *held[WORKERS_MAX];
	uint32_t held_count = 0;
	bool done = true;

	for (uint32_t i = 0; i < count; i++)
		if (hold(all[i]))
			held[held_count++] = all[i];
	for (uint32_t i = 0; i < held_count; i++) {
		uint32_t prefix_count = atomic_load_explicit(&held[i]->count, memory_order_acquire);

		for (uint32_t p = 0; done && p < prefix_count; p++)
			done = list_one(held, held_count, i,
			                name_of(held[i], &held[i]->prefixes[p]), line, context);
	}
	for (uint32_t i = 0; i < held_count; i++)
		let_go(held[i]);
	return done;
}
