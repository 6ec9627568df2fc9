/* SPDX-License-Identifier: Apache-2.0 */
/* What a request costs in the store, with one worker and with several, without a network: each
 * worker is a thread on a core of its own, and all of them ask for the same keys, 95 % GET, by
 * Zipf's law. And what a GET costs when the store is too large for the processor's caches.
 *
 *     scaling [WORKERS [ROUNDS [KEYS [SECONDS]]]]
 *
 * Runs with one worker and with several take turns; medians are told, and their ratio. */
#include "base/random.h"
#include "load/zipf.h"
#include "shard/call.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <x86intrin.h>

#define KEY_BYTES    16
#define VALUE_BYTES  100
#define TRACE_LENGTH (1u << 21) /* requests, again and again */
#define BURST        32         /* requests a turn */
#define CALLS        1024
#define SET_PERCENT  5
#define EXPONENT     0.99
#define ROUNDS_MAX   101
#define WORKERS_MAX  64

struct world;

struct caller {
	struct shard_call call;
	struct shard_write write;
	struct caller *next;
};

struct thread {
	_Alignas(2 * CACHE_LINE_BYTES) struct world *world; /* lines are fetched in pairs */
	struct shard *shard;
	uint32_t number;
	const uint8_t *trace; /* KEY_BYTES each; the last one says what is asked */
	struct caller callers[CALLS];
	struct caller *free;
	uint64_t done; /* requests */
	uint64_t hits;
	uint64_t cycles;
	pthread_t thread;
};

struct world {
	struct shards shards;
	uint32_t count;
	uint8_t *region;
	size_t region_bytes;
	_Alignas(2 * CACHE_LINE_BYTES) _Atomic uint32_t ready_count;
	_Atomic bool go;
	_Atomic bool stop;
	struct thread threads[WORKERS_MAX];
};

static uint8_t value[VALUE_BYTES];

static void fail(const char *what)
{
	fprintf(stderr, "scaling: %s\n", what);
	exit(EXIT_FAILURE);
}

static void *map(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		fail("no memory");
	madvise(memory, bytes, MADV_HUGEPAGE);
	return memory;
}

static void write_key(uint8_t to[KEY_BYTES + 1], uint64_t rank)
{
	/* so that ranks are not neighbours */
	snprintf((char *)to, KEY_BYTES + 1, "%016llx",
	         (unsigned long long)(rank * 0x9e3779b97f4a7c15u));
}

/* The keys, with a set's last byte turned into a capital letter. */
static uint8_t *make_trace(uint64_t keys, double exponent, uint32_t set_percent, uint64_t seed)
{
	uint8_t *trace = map((size_t)TRACE_LENGTH * KEY_BYTES);
	struct random random = random_seeded(seed);
	struct zipf zipf;

	zipf_create(&zipf, keys, exponent);
	for (uint32_t i = 0; i < TRACE_LENGTH; i++) {
		uint8_t key[KEY_BYTES + 1];

		write_key(key, zipf_rank(&zipf, &random));
		memcpy(trace + (size_t)i * KEY_BYTES, key, KEY_BYTES);
		if (random_below(&random, 100) < set_percent)
			trace[(size_t)i * KEY_BYTES] |= 0x80;
	}
	return trace;
}

static void answered(void *context, struct shard_call *call)
{
	struct thread *thread = context;
	struct caller *caller = (struct caller *)call;

	shard_call_end(thread->shard, call);
	caller->next = thread->free;
	thread->free = caller;
}

/* False: too many are on their way to others. */
static bool set(struct thread *thread, struct slice key, uint64_t hash)
{
	struct request request = {
	    .op = REQUEST_SET, .key = key, .hash = hash, .value_bytes = VALUE_BYTES};
	struct caller *caller = thread->free;
	struct reply reply;

	if (caller == NULL || !shard_is_ready(thread->shard))
		return false;
	if (shard_write_begin(thread->shard, &caller->write, &request, 1) != REPLY_STORED ||
	    !shard_write_bytes(thread->shard, &caller->write, value, VALUE_BYTES))
		fail("a value was refused");
	if (!shard_write_is_staged(&caller->write)) {
		shard_write_commit(thread->shard, &caller->write, 1, &reply);
		return true;
	}
	thread->free = caller->next;
	caller->call.write = &caller->write;
	shard_call(thread->shard, &caller->call);
	return true;
}

static void get(struct thread *thread, struct slice key, uint64_t hash)
{
	struct request request = {.op = REQUEST_GET, .key = key, .hash = hash};
	uint8_t to[VALUE_BYTES];
	struct reply reply;

	if (!shard_execute(thread->shard, &request, 1, &reply) || reply.status != REPLY_HIT)
		return;
	shard_copy_value(thread->shard, &reply, to);
	__asm__ volatile("" ::"r"(to) : "memory");
	thread->hits++;
}

/* Returns how many of the burst were done. */
static uint32_t turn(struct thread *thread, uint32_t at)
{
	const uint8_t *trace = thread->trace + (size_t)at * KEY_BYTES;
	uint8_t keys[BURST][KEY_BYTES];
	uint64_t hashes[BURST];
	bool is_set[BURST];
	uint32_t i;

	if (thread->world->count > 1)
		epoch_pass(&thread->world->shards.epoch, thread->number);
	shard_foresee_calls(thread->shard);
	memcpy(keys, trace, sizeof(keys));
	for (i = 0; i < BURST; i++) {
		is_set[i] = (keys[i][0] & 0x80) != 0;
		keys[i][0] &= 0x7f;
		hashes[i] =
		    shard_foresee(thread->shard, (struct slice){keys[i], KEY_BYTES}, is_set[i]);
	}
	for (i = 0; i < BURST; i++)
		shard_foresee_item(thread->shard, hashes[i], is_set[i]);
	for (i = 0; i < BURST; i++) {
		struct slice key = {keys[i], KEY_BYTES};

		if (!is_set[i])
			get(thread, key, hashes[i]);
		else if (!set(thread, key, hashes[i]))
			break;
	}
	if (thread->world->count > 1)
		shard_serve_calls(thread->shard, 1, answered, thread);
	shard_work(thread->shard, 1);
	return i;
}

static void *run(void *context)
{
	struct thread *thread = context;
	struct world *world = thread->world;
	uint64_t start;
	uint32_t at = 0;
	cpu_set_t core;

	CPU_ZERO(&core);
	CPU_SET(thread->number, &core);
	pthread_setaffinity_np(pthread_self(), sizeof(core), &core);
	world->ready_count++;
	while (!world->go)
		;
	start = __rdtsc();
	/* relaxed: the flag is all there is to see */
	while (!atomic_load_explicit(&world->stop, memory_order_relaxed)) {
		uint32_t done = turn(thread, at);

		thread->done += done;
		at = at + done > TRACE_LENGTH - BURST ? 0 : at + done;
	}
	thread->cycles = __rdtsc() - start;
	return NULL;
}

static struct world *world_create(uint32_t count, uint64_t memory_bytes)
{
	struct world *world = aligned_alloc(_Alignof(struct world), sizeof(*world));
	uint64_t shard_bytes = memory_bytes / count;
	struct memory memory;

	memset(world, 0, sizeof(*world));
	world->count = count;
	world->region_bytes = shards_bytes(count, CALLS) + count * memory_rounded(shard_bytes);
	world->region = map(world->region_bytes);
	memory = (struct memory){.base = world->region, .bytes = world->region_bytes};
	shards_create(&world->shards, count, CALLS, &memory);
	for (uint32_t i = 0; i < count; i++) {
		struct thread *thread = &world->threads[i];
		struct shard_options options = {.memory_bytes = shard_bytes,
		                                .value_bytes_max = 1 << 20,
		                                .hash_seed = 42,
		                                .shards = count > 1 ? &world->shards : NULL,
		                                .number = i,
		                                .unix_time_at_start_s = 1};

		if (shard_create(&thread->shard, &options, &memory) < 0)
			fail("too little memory");
		thread->world = world;
		thread->number = i;
		for (uint32_t j = 0; j < CALLS; j++)
			answered(thread, &thread->callers[j].call);
		if (count > 1)
			epoch_enter(&world->shards.epoch, i);
	}
	return world;
}

static void world_free(struct world *world)
{
	munmap(world->region, world->region_bytes);
	free(world);
}

/* Every key by its owner. */
static void fill(struct world *world, uint64_t keys)
{
	for (uint64_t rank = 0; rank < keys; rank++) {
		uint8_t text[KEY_BYTES + 1];
		struct slice key = {text, KEY_BYTES};
		uint32_t owner = 0;

		write_key(text, rank);
		if (world->count > 1)
			owner = shards_owner(&world->shards, key);
		for (uint32_t i = 0; world->count > 1 && i < world->count; i++)
			epoch_pass(&world->shards.epoch, i);
		shard_work(world->threads[owner].shard, 1);
		if (!set(&world->threads[owner], key, 0))
			fail("no room");
	}
}

struct figures {
	double requests_s; /* of all workers together */
	double cycles;     /* of a request of one worker */
	double hit_ratio;  /* of gets */
};

static struct figures measure(uint32_t count, uint64_t keys, const uint8_t *const traces[],
                              double seconds)
{
	/* room for all, twice, so that nothing has to go */
	struct world *world = world_create(count, (keys * 320) + count * (16ull << 20));
	struct timespec wait = {.tv_sec = (time_t)seconds,
	                        .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
	struct figures figures = {0};
	uint64_t done = 0, hits = 0, cycles = 0;
	struct timespec start, end;

	fill(world, keys);
	for (uint32_t i = 0; i < count; i++) {
		world->threads[i].trace = traces[i];
		if (pthread_create(&world->threads[i].thread, NULL, run, &world->threads[i]) != 0)
			fail("no thread");
	}
	while (world->ready_count < count)
		sched_yield();
	clock_gettime(CLOCK_MONOTONIC, &start);
	world->go = true;
	nanosleep(&wait, NULL);
	world->stop = true;
	clock_gettime(CLOCK_MONOTONIC, &end);
	for (uint32_t i = 0; i < count; i++) {
		pthread_join(world->threads[i].thread, NULL);
		done += world->threads[i].done;
		hits += world->threads[i].hits;
		cycles += world->threads[i].cycles;
	}
	figures.requests_s = (double)done / ((double)(end.tv_sec - start.tv_sec) +
	                                     (double)(end.tv_nsec - start.tv_nsec) / 1e9);
	figures.cycles = (double)cycles / (double)done;
	figures.hit_ratio = (double)hits / (double)done;
	world_free(world);
	return figures;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, uint32_t count)
{
	qsort(values, count, sizeof(*values), compare);
	return values[count / 2];
}

static void scaling(uint32_t count, uint32_t rounds, uint64_t keys, double seconds)
{
	double one[ROUNDS_MAX], several[ROUNDS_MAX], ratio[ROUNDS_MAX];
	uint8_t *traces[WORKERS_MAX];

	for (uint32_t i = 0; i < count; i++)
		traces[i] = make_trace(keys, EXPONENT, SET_PERCENT, i + 1);
	for (uint32_t i = 0; i < rounds; i++) {
		struct figures a = measure(1, keys, (const uint8_t *const *)traces, seconds);
		struct figures b = measure(count, keys, (const uint8_t *const *)traces, seconds);

		one[i] = a.requests_s;
		several[i] = b.requests_s;
		ratio[i] = b.requests_s / a.requests_s;
		printf("round %u: %.2f M/s (%.0f cycles), %u workers %.2f M/s (%.0f cycles), hits "
		       "%.3f and %.3f\n",
		       i + 1, a.requests_s / 1e6, a.cycles, count, b.requests_s / 1e6, b.cycles,
		       a.hit_ratio, b.hit_ratio);
		fflush(stdout);
	}
	printf("95%% GET, Zipf %.2f over %llu keys: one worker %.2f M requests/s, %u workers %.2f "
	       "M/s: %.2f times as many\n",
	       EXPONENT, (unsigned long long)keys, median(one, rounds) / 1e6, count,
	       median(several, rounds) / 1e6, median(ratio, rounds));
	for (uint32_t i = 0; i < count; i++)
		munmap(traces[i], (size_t)TRACE_LENGTH * KEY_BYTES);
}

static void residence(uint32_t rounds, uint64_t few, uint64_t many, double seconds)
{
	uint8_t *traces[2] = {make_trace(few, 0, 0, 1), make_trace(many, 0, 0, 2)};
	double small[ROUNDS_MAX], large[ROUNDS_MAX], ratio[ROUNDS_MAX];

	for (uint32_t i = 0; i < rounds; i++) {
		small[i] = measure(1, few, (const uint8_t *const *)&traces[0], seconds).cycles;
		large[i] = measure(1, many, (const uint8_t *const *)&traces[1], seconds).cycles;
		ratio[i] = large[i] / small[i];
		printf("round %u: %.0f and %.0f cycles\n", i + 1, small[i], large[i]);
		fflush(stdout);
	}
	printf("GET hits of all keys alike: %llu keys %.0f cycles, %llu keys %.0f: %.2f times as "
	       "many\n",
	       (unsigned long long)few, median(small, rounds), (unsigned long long)many,
	       median(large, rounds), median(ratio, rounds));
	for (uint32_t i = 0; i < 2; i++)
		munmap(traces[i], (size_t)TRACE_LENGTH * KEY_BYTES);
}

int main(int argc, char **argv)
{
	uint32_t count = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 2;
	uint32_t rounds = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 5;
	uint64_t keys = argc > 3 ? strtoull(argv[3], NULL, 10) : 10000000;
	double seconds = argc > 4 ? strtod(argv[4], NULL) : 2;

	if (count < 1 || count > WORKERS_MAX || rounds < 1 || rounds > ROUNDS_MAX || keys < 1000)
		fail("usage: scaling [WORKERS [ROUNDS [KEYS [SECONDS]]]]");
	memset(value, 'v', sizeof(value));
	scaling(count, rounds, keys / 10, seconds);
	residence(rounds, keys / 1000, keys, seconds);
	return EXIT_SUCCESS;
}
