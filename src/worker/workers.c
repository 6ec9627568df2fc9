/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/workers.h"

#include "shard/call.h"
#include "worker/worker.h"

#define ERROR_COUNT 64 /* that one worker may have for another */

/* One that is alone calls nobody. */
size_t workers_bytes(uint32_t count)
{
	if (count == 1)
		return 0;
	return shards_bytes(count, WORKER_CALL_COUNT) + watch_exchange_bytes(count) +
	       memory_rounded(count * count * sizeof(struct spsc)) +
	       count * count * spsc_bytes(sizeof(struct workers_error), ERROR_COUNT);
}

void workers_create(struct workers *workers, uint32_t count, struct memory *memory, uint64_t now_us)
{
	ASSERT(count > 0 && count <= WORKER_COUNT_MAX);
	*workers = (struct workers){.count = count, .start_us = now_us};
	if (count == 1)
		return;
	shards_create(&workers->shards, count, WORKER_CALL_COUNT, memory);
	watch_exchange_create(&workers->watch, count, memory);
	workers->errors = memory_take(memory, count * count * sizeof(struct spsc));
	for (uint32_t i = 0; i < count * count; i++)
		spsc_create(&workers->errors[i], sizeof(struct workers_error), ERROR_COUNT, memory);
}

void workers_change(struct workers *workers, const struct worker_settings *settings)
{
	struct workers_settings *published = &workers->settings;
	/* relaxed: nobody else writes it */
	uint32_t version = atomic_load_explicit(&published->version, memory_order_relaxed);
	uint64_t values[WORKER_SETTING_COUNT];

	memcpy(values, settings, sizeof(values));
	atomic_store_explicit(&published->version, version + 1, memory_order_relaxed);
	/* Release: pairs with the acquire of the values: who has a new value sees the odd version.
	 */
	for (uint32_t i = 0; i < WORKER_SETTING_COUNT; i++)
		atomic_store_explicit(&published->values[i], values[i], memory_order_release);
	/* Release: pairs with the acquire of the version: who sees it has these values, or newer.
	 */
	atomic_store_explicit(&published->version, version + 2, memory_order_release);
}

bool workers_take_settings(const struct workers *workers, uint32_t *version,
                           struct worker_settings *ret_settings)
{
	const struct workers_settings *published = &workers->settings;
	uint64_t values[WORKER_SETTING_COUNT];
	uint32_t before;

	/* relaxed: it is hardly ever another, and then it is looked at properly */
	if (atomic_load_explicit(&published->version, memory_order_relaxed) == *version)
		return false;
	before = atomic_load_explicit(&published->version, memory_order_acquire);
	for (uint32_t i = 0; i < WORKER_SETTING_COUNT; i++)
		values[i] = atomic_load_explicit(&published->values[i], memory_order_acquire);
	/* relaxed: the loads above have come before it */
	if (before % 2 != 0 ||
	    atomic_load_explicit(&published->version, memory_order_relaxed) != before)
		return false;
	*version = before;
	memcpy(ret_settings, values, sizeof(values));
	return true;
}

bool workers_block(struct workers *workers, const struct blocked *blocked,
                   const struct blocked **ret_unused)
{
	struct workers_blocked *published = &workers->blocked;
	/* relaxed: nobody else writes it */
	const struct blocked *current =
	    atomic_load_explicit(&published->current, memory_order_relaxed);

	/* Acquire: pairs with the release in workers_take_blocked(): whoever has taken it does not
	 * look at the one before it any more. */
	for (uint32_t i = 0; i < workers->count; i++)
		if (atomic_load_explicit(&published->taken[i], memory_order_acquire) != current)
			return false;
	*ret_unused = published->before;
	published->before = current;
	/* Release: pairs with the acquire in workers_take_blocked(): who sees it sees its ranges.
	 */
	atomic_store_explicit(&published->current, blocked, memory_order_release);
	return true;
}

const struct blocked *workers_take_blocked(struct workers *workers, uint32_t number)
{
	struct workers_blocked *published = &workers->blocked;
	const struct blocked *current =
	    atomic_load_explicit(&published->current, memory_order_acquire);

	atomic_store_explicit(&published->taken[number], current, memory_order_release);
	return current;
}

static struct epoch_reader *reader(struct workers *workers, uint32_t number)
{
	return &workers->shards.epoch.readers[number];
}

/* One that is alone keeps nobody from anything. */
void workers_pass(struct workers *workers, uint32_t number)
{
	if (workers->count == 1)
		return;
	/* relaxed: it is this worker's own */
	if (atomic_load_explicit(&reader(workers, number)->seen, memory_order_relaxed) ==
	    EPOCH_AWAY)
		epoch_enter(&workers->shards.epoch, number);
	else
		epoch_pass(&workers->shards.epoch, number);
}

void workers_leave(struct workers *workers, uint32_t number)
{
	if (workers->count > 1)
		epoch_leave(&workers->shards.epoch, number);
}

bool workers_call(const struct workers *workers, uint32_t number)
{
	for (uint32_t i = 0; i < workers->count; i++)
		if (i != number && shards_call(&workers->shards, i, number))
			return true;
	return false;
}

uint32_t workers_wake(struct workers *workers, uint32_t number)
{
	uint32_t count = 0;

	if (workers->count == 1)
		return 0;
	/* Pairs with the one in workers_fall_asleep(): either we see that the other sleeps, or he
	 * sees what we have for him. */
	atomic_thread_fence(memory_order_seq_cst);
	for (uint32_t i = 0; i < workers->count; i++) {
		if (i == number ||
		    !atomic_load_explicit(&workers->bells[i].sleeps, memory_order_relaxed) ||
		    !shards_call(&workers->shards, number, i))
			continue;
		sockets_wake(worker_sockets(workers->list[i]));
		count++;
	}
	return count;
}

bool workers_fall_asleep(struct workers *workers, uint32_t number)
{
	if (workers->count == 1)
		return true;
	workers_leave(workers, number);
	atomic_store_explicit(&workers->bells[number].sleeps, true, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst); /* pairs with the one in workers_wake() */
	return !workers_call(workers, number);
}

void workers_wake_up(struct workers *workers, uint32_t number)
{
	atomic_store_explicit(&workers->bells[number].sleeps, false, memory_order_relaxed);
	workers_pass(workers, number);
}

uint32_t workers_pass_error(struct workers *workers, uint32_t number, const struct net_error *error)
{
	struct workers_error passed = {.error = *error};
	uint32_t lost = 0;

	memcpy(passed.l4, error->l4, sizeof(passed.l4));
	for (uint32_t i = 0; i < workers->count; i++)
		if (i != number)
			lost += !spsc_push(&workers->errors[number * workers->count + i], &passed);
	return lost;
}

bool workers_take_error(struct workers *workers, uint32_t number, struct workers_error *ret_passed)
{
	for (uint32_t i = 0; i < workers->count; i++)
		if (i != number &&
		    spsc_pop(&workers->errors[i * workers->count + number], ret_passed))
			return true;
	return false;
}

bool workers_debug_time(struct workers *workers, uint64_t now_us, enum debug_time change,
                        uint32_t seconds)
{
	uint64_t now_s = workers_now_s(workers, now_us);

	switch (change) {
	case DEBUG_TIME_PAUSE: workers->paused_s = (uint32_t)now_s; return true;
	case DEBUG_TIME_RESUME:
		if (workers->paused_s != 0)
			workers->start_us = now_us - (now_s - 1) * 1000000;
		workers->paused_s = 0;
		return true;
	case DEBUG_TIME_ADVANCE:
		if (now_s + seconds > INT32_MAX)
			return false;
		workers->start_us -= seconds * 1000000ull;
		if (workers->paused_s != 0)
			workers->paused_s += seconds;
		return true;
	}
	return false;
}
