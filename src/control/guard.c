/* SPDX-License-Identifier: Apache-2.0 */
#include "control/guard.h"

#include "base/siphash.h"

#include <errno.h>
#include <stdlib.h>

#define BUCKET_COUNT 8192 /* a power of two */
#define MEMORY_S     3600 /* after a lock-out's end: another one within it is twice as long */
#define NONE         0    /* as an index: records count from 1, so that cleared memory is right */

struct record {
	struct ip_address source;
	uint64_t failed_s[GUARD_FAILURES_MAX - 1]; /* the newest failures, oldest first */
	uint64_t locked_until_s;                   /* 0: never was */
	uint32_t lock_s;                           /* how long that lock-out was to last */
	uint16_t failure_count;
	uint16_t next;           /* in its bucket, or of those that are free */
	uint16_t older, younger; /* in the order of their last failures */
};

_Static_assert(GUARD_SOURCE_COUNT_MAX < UINT16_MAX, "an index is a uint16_t");

struct guard {
	struct siphash_key key;
	uint16_t buckets[BUCKET_COUNT];
	uint16_t free;       /* the first record that was used once and is not now */
	uint16_t used_count; /* records that were ever used; those behind are not touched yet */
	uint16_t oldest, youngest;
	struct record records[GUARD_SOURCE_COUNT_MAX + 1];
};

int guard_create(struct guard **ret_guard, const uint64_t random_key[2])
{
	struct guard *guard = calloc(1, sizeof(*guard));

	if (guard == NULL)
		return -ENOMEM;
	guard->key = (struct siphash_key){random_key[0], random_key[1]};
	*ret_guard = guard;
	return 0;
}

void guard_destroy(struct guard *guard)
{
	free(guard);
}

/* `source` is what ip_address_source() makes, here and below. */
static size_t bucket_of(const struct guard *guard, const struct ip_address *source)
{
	return siphash(&guard->key, source->bytes, sizeof(source->bytes)) % BUCKET_COUNT;
}

static uint16_t find(const struct guard *guard, const struct ip_address *source)
{
	uint16_t index = guard->buckets[bucket_of(guard, source)];

	while (index != NONE && !ip_address_equal(&guard->records[index].source, source))
		index = guard->records[index].next;
	return index;
}

static bool is_locked(const struct record *record, uint64_t now_s)
{
	return now_s < record->locked_until_s;
}

/* True: another lock-out now would be a longer one. */
static bool is_remembered(const struct record *record, uint64_t now_s)
{
	return record->locked_until_s != 0 && now_s < record->locked_until_s + MEMORY_S;
}

static void age_leave(struct guard *guard, uint16_t index)
{
	struct record *record = &guard->records[index];

	if (record->older == NONE)
		guard->oldest = record->younger;
	else
		guard->records[record->older].younger = record->younger;
	if (record->younger == NONE)
		guard->youngest = record->older;
	else
		guard->records[record->younger].older = record->older;
}

static void age_join_youngest(struct guard *guard, uint16_t index)
{
	struct record *record = &guard->records[index];

	record->older = guard->youngest;
	record->younger = NONE;
	if (guard->youngest == NONE)
		guard->oldest = index;
	else
		guard->records[guard->youngest].younger = index;
	guard->youngest = index;
}

static void forget(struct guard *guard, uint16_t index)
{
	struct record *record = &guard->records[index];
	uint16_t *link = &guard->buckets[bucket_of(guard, &record->source)];

	while (*link != index)
		link = &guard->records[*link].next;
	*link = record->next;
	age_leave(guard, index);
	record->next = guard->free;
	guard->free = index;
}

/* Makes room: all records are in use. Passes over those that are locked out, at most all of them
 * once. */
static void forget_one(struct guard *guard, uint64_t now_s)
{
	uint16_t index = guard->oldest;

	while (index != NONE && is_locked(&guard->records[index], now_s))
		index = guard->records[index].younger;
	forget(guard, index == NONE ? guard->oldest : index);
}

static uint16_t add(struct guard *guard, const struct ip_address *source, uint64_t now_s)
{
	uint16_t *bucket = &guard->buckets[bucket_of(guard, source)];
	uint16_t index;

	if (guard->free == NONE && guard->used_count == GUARD_SOURCE_COUNT_MAX)
		forget_one(guard, now_s);
	index = guard->free;
	if (index != NONE)
		guard->free = guard->records[index].next;
	else
		index = ++guard->used_count;
	guard->records[index] = (struct record){.source = *source, .next = *bucket};
	*bucket = index;
	age_join_youngest(guard, index);
	return index;
}

uint64_t guard_locked_s(const struct guard *guard, const struct ip_address *source, uint64_t now_s)
{
	const struct ip_address whole = ip_address_source(source);
	const struct record *record = &guard->records[find(guard, &whole)];

	/* the record of NONE is never locked */
	return is_locked(record, now_s) ? record->locked_until_s - now_s : 0;
}

/* True: with this failure there are GUARD_FAILURES_MAX within the window, and it is not noted. */
static bool is_one_too_many(struct record *record, uint64_t now_s)
{
	uint16_t gone = 0;

	while (gone < record->failure_count && now_s >= record->failed_s[gone] + GUARD_WINDOW_S)
		gone++;
	record->failure_count -= gone;
	memmove(record->failed_s, record->failed_s + gone,
	        record->failure_count * sizeof(record->failed_s[0]));
	if (record->failure_count == GUARD_FAILURES_MAX - 1)
		return true;
	record->failed_s[record->failure_count++] = now_s;
	return false;
}

bool guard_failed(struct guard *guard, const struct ip_address *source, uint64_t now_s)
{
	const struct ip_address whole = ip_address_source(source);
	uint16_t index = find(guard, &whole);
	struct record *record;

	if (index == NONE) {
		index = add(guard, &whole, now_s);
	} else {
		age_leave(guard, index);
		age_join_youngest(guard, index);
	}
	record = &guard->records[index];
	if (is_locked(record, now_s) || !is_one_too_many(record, now_s))
		return false;
	record->lock_s = is_remembered(record, now_s)
	                     ? min_u32(2 * record->lock_s, GUARD_LOCK_S_MAX)
	                     : GUARD_LOCK_S_MIN;
	record->locked_until_s = now_s + record->lock_s;
	record->failure_count = 0;
	return true;
}

void guard_passed(struct guard *guard, const struct ip_address *source, uint64_t now_s)
{
	const struct ip_address whole = ip_address_source(source);
	uint16_t index = find(guard, &whole);

	if (index == NONE)
		return;
	if (is_remembered(&guard->records[index], now_s))
		guard->records[index].failure_count = 0;
	else
		forget(guard, index);
}

uint64_t guard_locked_count(const struct guard *guard, uint64_t now_s)
{
	uint64_t count = 0;

	for (uint16_t i = guard->oldest; i != NONE; i = guard->records[i].younger)
		count += is_locked(&guard->records[i], now_s);
	return count;
}
