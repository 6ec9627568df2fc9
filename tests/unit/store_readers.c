/* SPDX-License-Identifier: Apache-2.0 */
/* Other workers read while the owner writes, evicts, resizes, flushes and purges: real threads,
 * made for TSan, and a checker of what each of them has seen.
 *
 * Every change of a key has a number, which is told before it (`begun`) and after it (`done`). A
 * value found must be whole, and of a change that was not over long before: no older than what was
 * done before the look, no newer than what was begun after it.
 * Usage: store_readers [seconds [seed]]. */
#include "store_rig.h"

#include "base/random.h"
#include "store/internal.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#define READERS_MAX 3
#define KEYS        30000
#define FEW_KEYS    5000
#define VALUE_MAX   200000

struct change {
	_Atomic uint64_t begun;
	_Atomic uint64_t done;
	_Atomic uint32_t expiry_s; /* of the last that was begun */
};

struct world {
	struct store *store;
	struct epoch epoch;
	uint8_t *region;
	size_t region_bytes;
	uint64_t seed;
	uint32_t key_count;
	uint32_t value_max;
	bool is_roomy; /* nothing is ever missing but what was taken away */
	_Atomic bool stop;
	_Atomic uint32_t now_s;
	_Atomic uint64_t looks;
	_Atomic uint64_t found;
	_Atomic uint64_t busy;
	struct change changes[KEYS];
};

struct thread {
	pthread_t thread;
	struct world *world;
	uint32_t number;
};

static double seconds = 1;
static uint64_t first_seed = 1;

static double clock_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct slice key_of(uint32_t number, char text[32])
{
	return (struct slice){(const uint8_t *)text, (size_t)snprintf(text, 32, "key %u", number)};
}

/* A value is the number of its change over and over, and a few bytes of it. */
static uint32_t value_bytes_of(uint64_t change, uint32_t value_max)
{
	uint64_t state = change;
	uint64_t bits = random_splitmix64(&state);

	if (bits % 64 == 0)
		return 8 + (uint32_t)(bits >> 32) % (value_max - 8);
	return 8 + (uint32_t)(bits >> 32) % min_u32(600, value_max - 8);
}

static uint32_t write_value(struct store *store, struct store_reservation *reservation,
                            uint64_t change)
{
	uint64_t words[64];

	for (uint32_t i = 0; i < 64; i++)
		words[i] = change;
	while (reservation->left_bytes > 0)
		if (!store_write(store, reservation, (const uint8_t *)words,
		                 min_u64(reservation->left_bytes, sizeof(words))))
			return false;
	return true;
}

static bool put_change(struct world *world, uint32_t key, uint64_t change, uint32_t expiry_s)
{
	struct store_reservation reservation;
	char text[32];
	struct store_item_options options = {
	    .key = key_of(key, text),
	    .value_bytes = value_bytes_of(change, world->value_max),
	    .expiry_s = expiry_s,
	};
	struct store_place place;
	enum store_verdict verdict;

	options.hash = store_hash(world->store, options.key);
	if (!store_reserve(world->store, &options, &reservation))
		return false;
	if (!write_value(world->store, &reservation, change) ||
	    !store_settle(world->store, &reservation)) {
		store_abandon(world->store, &reservation);
		return false;
	}
	verdict = store_find(world->store, options.hash, options.key, &place);
	if (verdict == STORE_EXPIRED || verdict == STORE_FLUSHED)
		store_reclaim(world->store, &place);
	store_publish(world->store, &reservation, verdict == STORE_LIVE ? &place : NULL);
	return true;
}

static void take_away(struct world *world, uint32_t key)
{
	char text[32];
	struct slice name = key_of(key, text);
	struct store_place place;

	if (store_find(world->store, store_hash(world->store, name), name, &place) != STORE_MISSING)
		store_remove(world->store, &place);
}

static void flush(struct world *world, uint64_t change)
{
	for (uint32_t i = 0; i < world->key_count; i++)
		atomic_store(&world->changes[i].begun, change);
	store_flush(world->store, 0);
	for (uint32_t i = 0; i < world->key_count; i++)
		atomic_store(&world->changes[i].done, change);
}

static bool begins_with(uint32_t key, uint32_t digit)
{
	while (key >= 10)
		key /= 10;
	return key == digit;
}

/* All keys whose number begins with a digit. */
static void purge(struct world *world, uint64_t change, uint32_t digit)
{
	char prefix[8];
	struct purge_target target = {.class = PURGE_ANY_CLASS};
	uint32_t number = 0;

	target.prefix = (struct slice){(const uint8_t *)prefix,
	                               (size_t)snprintf(prefix, sizeof(prefix), "key %u", digit)};
	while (number < PURGES_MAX && store_has_purge(world->store, number))
		number++;
	if (number == PURGES_MAX)
		return;
	for (uint32_t i = 0; i < world->key_count; i++)
		if (begins_with(i, digit))
			atomic_store(&world->changes[i].begun, change);
	store_purge(world->store, number, &target);
	for (uint32_t i = 0; i < world->key_count; i++)
		if (begins_with(i, digit))
			atomic_store(&world->changes[i].done, change);
}

static void change_key(struct world *world, uint64_t change, uint64_t bits)
{
	uint32_t key = (uint32_t)(bits >> 8) % world->key_count;
	struct change *known = &world->changes[key];
	uint32_t kind = bits & 255;
	uint32_t expiry_s = 0;

	if (kind < 60 && !world->is_roomy)
		expiry_s = atomic_load(&world->now_s) + 1 + (uint32_t)(bits >> 60);
	atomic_store(&known->begun, change);
	atomic_store(&known->expiry_s, expiry_s);
	if (kind < 10 && !world->is_roomy)
		take_away(world, key);
	else if (!put_change(world, key, change, expiry_s))
		return; /* no room: the old one is there yet */
	atomic_store(&known->done, change);
}

static uint64_t evictions_of(const struct world *world)
{
	return counter_read(&store_counters(world->store)->evictions);
}

/* For as long as the test takes, and until memory is full; everybody else reads. */
static void own(struct world *world)
{
	double end_s = clock_s() + seconds;
	uint64_t state = world->seed;
	uint64_t change = 0;

	epoch_enter(&world->epoch, 0);
	while (clock_s() < end_s || (!world->is_roomy && evictions_of(world) == 0))
		for (uint32_t i = 0; i < 100; i++) {
			uint64_t bits = random_splitmix64(&state);

			if (!store_is_ready(world->store))
				sched_yield(); /* the others have to have their turns */
			else
				change_key(world, ++change, bits);
			if (!world->is_roomy && bits >> 48 == 0)
				flush(world, ++change);
			if (!world->is_roomy && bits >> 52 == 1)
				purge(world, ++change, (uint32_t)(bits >> 8) % 10);
			if (bits >> 54 == 0) {
				atomic_fetch_add(&world->now_s, 1);
				store_tick(world->store, atomic_load(&world->now_s));
			}
			store_work(world->store);
			epoch_pass(&world->epoch, 0);
		}
	atomic_store(&world->stop, true);
}

/* Which change it is of; aborts if it is not whole. */
static uint64_t change_of(const struct store *store, const struct item *item, uint32_t value_max)
{
	struct store_piece piece = store_value(store, item);
	uint8_t bytes[8];
	uint32_t count = 0;
	uint64_t change;

	for (uint32_t i = 0; i < 8; i++, count++) {
		while (count == piece.length && store_value_next(store, &piece))
			count = 0;
		bytes[i] = piece.data[count];
	}
	memcpy(&change, bytes, sizeof(change));
	ASSERT(item_value_bytes(item) == value_bytes_of(change, value_max));
	piece = store_value(store, item);
	count = 0;
	do {
		for (uint32_t i = 0; i < piece.length; i++)
			ASSERT(piece.data[i] == bytes[count++ % 8]);
	} while (store_value_next(store, &piece));
	ASSERT(count == item_value_bytes(item));
	return change;
}

static void look_at(struct world *world, uint32_t reader, uint32_t key, uint64_t bits,
                    struct segment **pinned)
{
	struct change *known = &world->changes[key];
	char text[32];
	struct slice name = key_of(key, text);
	uint64_t hash = store_hash(world->store, name);
	uint64_t done = atomic_load(&known->done);
	uint32_t now_s = atomic_load(&world->now_s);
	struct store_place place;
	enum store_verdict verdict = store_look(world->store, hash, name, now_s, &place);
	uint32_t expiry_s;
	uint64_t change;

	atomic_fetch_add_explicit(&world->looks, 1, memory_order_relaxed);
	ASSERT(!world->is_roomy || verdict == STORE_LIVE || verdict == STORE_BUSY || done == 0);
	if (verdict == STORE_BUSY)
		atomic_fetch_add_explicit(&world->busy, 1, memory_order_relaxed);
	store_mark_read(world->store, reader, hash, verdict == STORE_LIVE ? &place : NULL, now_s);
	if (verdict != STORE_LIVE)
		return;
	atomic_fetch_add_explicit(&world->found, 1, memory_order_relaxed);
	change = change_of(world->store, place.item, world->value_max);
	ASSERT(change >= done && change <= atomic_load(&known->begun));
	expiry_s = atomic_load(&known->expiry_s);
	if (change == done && change == atomic_load(&known->begun))
		ASSERT(expiry_s == 0 || expiry_s > now_s);
	if (bits >> 56 == 0 && *pinned == NULL)
		*pinned = store_pin(world->store, place.item);
}

static void *read_on(void *argument)
{
	struct thread *thread = argument;
	struct world *world = thread->world;
	struct segment *pinned = NULL;
	uint64_t state = world->seed * 100 + thread->number;

	epoch_enter(&world->epoch, thread->number);
	while (!atomic_load(&world->stop)) {
		uint64_t bits = random_splitmix64(&state);

		/* some keys more than others */
		look_at(world, thread->number,
		        (uint32_t)(bits >> 8) % ((uint32_t)(bits >> 32) % world->key_count + 1),
		        bits, &pinned);
		if (bits % 16 == 0) {
			epoch_pass(&world->epoch, thread->number);
		} else if (bits % 1024 == 1) {
			epoch_leave(&world->epoch, thread->number);
			sched_yield();
			epoch_enter(&world->epoch, thread->number);
		}
		if (bits >> 55 == 1 && pinned != NULL) {
			store_unpin(world->store, pinned);
			pinned = NULL;
		}
	}
	if (pinned != NULL)
		store_unpin(world->store, pinned);
	epoch_leave(&world->epoch, thread->number);
	return NULL;
}

static void run(uint64_t seed, uint64_t memory_bytes, uint32_t key_count, uint32_t value_max,
                bool is_roomy, enum policy policy)
{
	struct world *world = calloc(1, sizeof(*world));
	struct store_options options = {.memory_bytes = memory_bytes,
	                                .value_bytes_max = value_max,
	                                .hash_seed = seed,
	                                .policy = policy,
	                                .epoch = &world->epoch};
	struct memory memory = {.bytes = memory_bytes};
	struct thread threads[READERS_MAX];

	world->seed = seed;
	world->key_count = key_count;
	world->value_max = value_max;
	world->is_roomy = is_roomy;
	world->now_s = 1;
	epoch_create(&world->epoch, READERS_MAX + 1);
	world->region = memory.base = mmap(NULL, memory_bytes, PROT_READ | PROT_WRITE,
	                                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CU_ASSERT_EQUAL_FATAL(store_create(&world->store, &options, &memory), 0);
	store_tick(world->store, 1);
	for (uint32_t i = 0; i < READERS_MAX; i++) {
		threads[i] = (struct thread){.world = world, .number = i + 1};
		CU_ASSERT_EQUAL_FATAL(
		    pthread_create(&threads[i].thread, NULL, read_on, &threads[i]), 0);
	}
	own(world);
	for (uint32_t i = 0; i < READERS_MAX; i++)
		pthread_join(threads[i].thread, NULL);
	store_collect(world->store);
	store_check(world->store);
	CU_ASSERT_EQUAL(counter_read(&store_counters(world->store)->pins), 0);
	CU_ASSERT_EQUAL(counter_read(&store_counters(world->store)->segments_retired), 0);
	printf("seed %llu: %llu looks, %llu found, %llu busy; %llu stored, %llu evictions, %llu "
	       "purged\n",
	       (unsigned long long)world->seed, (unsigned long long)world->looks,
	       (unsigned long long)world->found, (unsigned long long)world->busy,
	       (unsigned long long)counter_read(&store_counters(world->store)->total_items),
	       (unsigned long long)evictions_of(world),
	       (unsigned long long)counter_read(&store_counters(world->store)->purged));
	CU_ASSERT_TRUE(world->found > 0);
	CU_ASSERT_EQUAL(evictions_of(world) == 0, is_roomy);
	munmap(world->region, memory_bytes);
	free(world);
}

static void test_little_memory(void)
{
	run(first_seed, 2 << 20, FEW_KEYS, VALUE_MAX, false, POLICY_s3fifo);
	run(first_seed + 1, 2 << 20, FEW_KEYS, VALUE_MAX, false, POLICY_lru);
	run(first_seed + 2, 3 << 20, FEW_KEYS, 8000, false, POLICY_adaptive);
}

/* Anew and anew, as the index grows to its size and stays there. */
static void test_plenty_of_memory(void)
{
	for (uint32_t i = 0; i < 6; i++)
		run(first_seed + i, 64 << 20, KEYS, 600, true, POLICY_s3fifo);
}

static const struct unit_case cases[] = {
    {"with little memory nothing is stale or torn", test_little_memory},
    {"with plenty of memory nothing is missing", test_plenty_of_memory},
};

int main(int argument_count, char **arguments)
{
	if (argument_count > 1)
		seconds = strtod(arguments[1], NULL);
	if (argument_count > 2)
		first_seed = strtoull(arguments[2], NULL, 10);
	return UNIT_RUN("store readers", cases);
}
