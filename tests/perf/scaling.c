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
#include "store/item.h"

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

/* What starts and stops all threads at once. */
struct run {
	_Alignas(2 * CACHE_LINE_BYTES) _Atomic uint32_t ready_count;
	_Atomic bool go;
	_Atomic bool stop;
};

/* What is asked for. */
struct trace {
	uint8_t keys[TRACE_LENGTH][KEY_BYTES];
	bool is_set[TRACE_LENGTH];
};

struct caller {
	struct shard_call call;
	struct shard_write write;
	struct caller *next;
};

struct thread {
	_Alignas(2 * CACHE_LINE_BYTES) struct world *world; /* lines are fetched in pairs */
	struct shard *shard;
	uint32_t number; /* in its world */
	uint32_t core;
	struct run *run;
	const struct trace *trace;
	struct caller callers[CALLS];
	struct caller *free;
	uint32_t at;   /* in the trace */
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
	struct thread threads[]; /* `count` of them */
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

static struct trace *make_trace(uint64_t keys, double exponent, uint32_t set_percent, uint64_t seed)
{
	struct trace *trace = map(sizeof(*trace));
	struct random random = random_seeded(seed);
	struct zipf zipf;

	zipf_create(&zipf, keys, exponent);
	for (uint32_t i = 0; i < TRACE_LENGTH; i++) {
		uint8_t key[KEY_BYTES + 1];

		write_key(key, zipf_rank(&zipf, &random));
		memcpy(trace->keys[i], key, KEY_BYTES);
		trace->is_set[i] = random_below(&random, 100) < set_percent;
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
	const uint8_t(*keys)[KEY_BYTES] = &thread->trace->keys[at];
	const bool *is_set = &thread->trace->is_set[at];
	uint64_t hashes[BURST];
	uint32_t i;

	if (thread->world->count > 1)
		epoch_pass(&thread->world->shards.epoch, thread->number);
	shard_foresee_calls(thread->shard);
	for (i = 0; i < BURST; i++)
		hashes[i] =
		    shard_foresee(thread->shard, (struct slice){keys[i], KEY_BYTES}, is_set[i]);
	shard_foresee_called_items(thread->shard);
	for (i = 0; i < BURST; i++)
		shard_foresee_item(thread->shard, hashes[i], is_set[i]);
	for (i = 0; i < BURST; i++) {
		struct slice key = {keys[i], KEY_BYTES};

		if (!is_set[i])
			get(thread, key, hashes[i]);
		else if (!set(thread, key, hashes[i]))
			break;
	}
	if (thread->world->count > 1) {
		shard_serve_calls(thread->shard, 1);
		shard_take_answers(thread->shard, answered, thread);
	}
	shard_work(thread->shard, 1);
	return i;
}

static void pin(uint32_t core)
{
	cpu_set_t cores;

	CPU_ZERO(&cores);
	CPU_SET(core, &cores);
	pthread_setaffinity_np(pthread_self(), sizeof(cores), &cores);
}

static void *run(void *context)
{
	struct thread *thread = context;
	struct run *run = thread->run;
	uint64_t start;

	pin(thread->core);
	thread->done = 0;
	thread->hits = 0;
	run->ready_count++;
	while (!run->go)
		;
	start = __rdtsc();
	/* relaxed: the flag is all there is to see */
	while (!atomic_load_explicit(&run->stop, memory_order_relaxed)) {
		uint32_t done = turn(thread, thread->at);

		thread->done += done;
		thread->at += done;
		if (thread->at > TRACE_LENGTH - BURST)
			thread->at = 0;
	}
	thread->cycles = __rdtsc() - start;
	return NULL;
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

/* With room for all keys, twice, so that nothing has to go. */
static struct world *world_create(uint32_t count, uint64_t keys)
{
	size_t bytes = sizeof(struct world) + count * sizeof(struct thread);
	struct world *world = aligned_alloc(_Alignof(struct world), bytes);
	uint64_t shard_bytes = keys * 320 / count + (16ull << 20);
	struct memory memory;

	memset(world, 0, bytes);
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
	fill(world, keys);
	return world;
}

static void world_free(struct world *world)
{
	munmap(world->region, world->region_bytes);
	free(world);
}

struct figures {
	double requests_s; /* of all workers together */
	double cycles;     /* of a request of one worker */
	double hit_ratio;  /* of gets */
};

static void start_threads(struct world *world, uint32_t core, struct run *together)
{
	for (uint32_t i = 0; i < world->count; i++) {
		world->threads[i].core = core + i;
		world->threads[i].run = together;
		if (pthread_create(&world->threads[i].thread, NULL, run, &world->threads[i]) != 0)
			fail("no thread");
	}
}

/* All workers of these worlds run for so long, beside each other, and go on where they were. */
static struct figures measure(struct world *const worlds[], uint32_t world_count, double seconds)
{
	struct timespec wait = {.tv_sec = (time_t)seconds,
	                        .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};
	uint64_t done = 0, hits = 0, cycles = 0;
	struct run run = {0};
	struct timespec start, end;
	uint32_t count = 0;
	double passed_s;

	for (uint32_t i = 0; i < world_count; i++) {
		start_threads(worlds[i], count, &run);
		count += worlds[i]->count;
	}
	while (run.ready_count < count)
		sched_yield();
	clock_gettime(CLOCK_MONOTONIC, &start);
	run.go = true;
	nanosleep(&wait, NULL);
	run.stop = true;
	clock_gettime(CLOCK_MONOTONIC, &end);
	for (uint32_t i = 0; i < world_count; i++)
		for (uint32_t j = 0; j < worlds[i]->count; j++) {
			struct thread *thread = &worlds[i]->threads[j];

			pthread_join(thread->thread, NULL);
			done += thread->done;
			hits += thread->hits;
			cycles += thread->cycles;
		}
	passed_s =
	    (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
	return (struct figures){(double)done / passed_s, (double)cycles / (double)done,
	                        (double)hits / (double)done};
}

#define PASSES 100000

struct passed {
	_Alignas(2 * CACHE_LINE_BYTES) _Atomic uint32_t number;
};

static void *pass_back(void *context)
{
	struct passed *passed = context;

	pin(1);
	for (uint32_t i = 0; i < PASSES; i++) {
		while (passed->number != 2 * i + 1)
			;
		passed->number = 2 * i + 2;
	}
	return NULL;
}

static void *pass(void *context)
{
	struct passed *passed = context;
	uint64_t start;

	pin(0);
	start = __rdtsc();
	for (uint32_t i = 0; i < PASSES; i++) {
		passed->number = 2 * i + 1;
		while (passed->number != 2 * i + 2)
			;
	}
	return (void *)(uintptr_t)((__rdtsc() - start) / PASSES);
}

/* Cycles that a cache line takes from the first core to the second and back. Where the two share no
 * cache, or a virtual machine's have just been put so, it is some six times as many, and so are the
 * cycles of all that workers have in common. */
static uint64_t round_trip(void)
{
	struct passed passed = {0};
	pthread_t threads[2];
	void *cycles;

	if (pthread_create(&threads[0], NULL, pass, &passed) != 0 ||
	    pthread_create(&threads[1], NULL, pass_back, &passed) != 0)
		fail("no thread");
	pthread_join(threads[0], &cycles);
	pthread_join(threads[1], NULL);
	return (uintptr_t)cycles;
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

/* All worlds are there all the time and run by turns, so that whatever else the machine does
 * happens to all. As many workers that have a world each are what the machine can do. */
static void scaling(uint32_t count, uint32_t rounds, uint64_t keys, double seconds)
{
	double one[ROUNDS_MAX], several[ROUNDS_MAX], apart[ROUNDS_MAX], trips[ROUNDS_MAX];
	struct world *together = world_create(count, keys);
	struct world *alone[WORKERS_MAX];

	for (uint32_t i = 0; i < count; i++) {
		alone[i] = world_create(1, keys);
		alone[i]->threads[0].trace = make_trace(keys, EXPONENT, SET_PERCENT, i + 1);
		together->threads[i].trace = alone[i]->threads[0].trace;
	}
	for (uint32_t i = 0; i < rounds; i++) {
		struct figures a = measure(alone, 1, seconds);
		struct figures b = measure(&together, 1, seconds);
		struct figures c = measure(alone, count, seconds);

		one[i] = a.requests_s;
		several[i] = b.requests_s / a.requests_s;
		apart[i] = c.requests_s / a.requests_s;
		trips[i] = count > 1 ? (double)round_trip() : 0;
		printf(
		    "round %u: one worker %.2f M/s (%.0f cycles), %u workers %.2f M/s (%.0f), "
		    "with a store each %.2f M/s (%.0f), hits %.3f, %.3f, %.3f, round trip %.0f\n",
		    i + 1, a.requests_s / 1e6, a.cycles, count, b.requests_s / 1e6, b.cycles,
		    c.requests_s / 1e6, c.cycles, a.hit_ratio, b.hit_ratio, c.hit_ratio, trips[i]);
		fflush(stdout);
	}
	printf("95%% GET, Zipf %.2f over %llu keys: one worker %.2f M requests/s, %u workers %.2f "
	       "times as many, with a store each %.2f times; round trip of a line %.0f cycles\n",
	       EXPONENT, (unsigned long long)keys, median(one, rounds) / 1e6, count,
	       median(several, rounds), median(apart, rounds), median(trips, rounds));
	for (uint32_t i = 0; i < count; i++) {
		munmap((void *)(uintptr_t)alone[i]->threads[0].trace, sizeof(struct trace));
		world_free(alone[i]);
	}
	world_free(together);
}

#define INDEX_LINES 2 /* that a GET looks at */
#define ITEM_LINES    /* likewise, side by side */                                                 \
	((offsetof(struct item, bytes) + KEY_BYTES + VALUE_BYTES + CACHE_LINE_BYTES - 1) /         \
	 CACHE_LINE_BYTES)
#define FETCHES 20000

static uint8_t fetch(const uint8_t *line)
{
	return *(const volatile uint8_t *)line;
}

/* Cycles that this machine takes to bring as many lines near as a GET looks at, from random places
 * of the memory, those of a burst asked for at once and then read: the least that a GET can
 * cost that finds nothing in the caches. */
static double bare_memory(const uint8_t *memory, uint64_t line_count, struct random *random)
{
	const uint8_t *at[BURST][INDEX_LINES + ITEM_LINES];
	uint64_t cycles = 0;

	for (uint32_t i = 0; i < FETCHES; i++) {
		uint64_t start;

		for (uint32_t j = 0; j < BURST; j++)
			for (uint32_t k = 0; k < INDEX_LINES + ITEM_LINES; k++)
				at[j][k] =
				    k <= INDEX_LINES
				        ? memory + random_below(random, line_count - ITEM_LINES) *
				                       CACHE_LINE_BYTES
				        : at[j][k - 1] + CACHE_LINE_BYTES;
		start = __rdtsc();
		for (uint32_t j = 0; j < BURST; j++)
			for (uint32_t k = 0; k < INDEX_LINES + ITEM_LINES; k++)
				__builtin_prefetch(at[j][k]);
		for (uint32_t j = 0; j < BURST; j++)
			for (uint32_t k = 0; k < INDEX_LINES + ITEM_LINES; k++)
				fetch(at[j][k]);
		cycles += __rdtsc() - start;
	}
	return (double)cycles / (FETCHES * (double)BURST);
}

static void residence(uint32_t rounds, uint64_t few, uint64_t many, double seconds)
{
	double small[ROUNDS_MAX], large[ROUNDS_MAX], ratio[ROUNDS_MAX], bare[ROUNDS_MAX];
	struct random random = random_seeded(1);
	uint64_t line_count = many * (INDEX_LINES + ITEM_LINES) / 2;
	uint8_t *memory = map(line_count * CACHE_LINE_BYTES);
	struct world *worlds[2] = {world_create(1, few), world_create(1, many)};
	struct trace *traces[2] = {make_trace(few, 0, 0, 1), make_trace(many, 0, 0, 2)};

	memset(memory, 1, line_count * CACHE_LINE_BYTES);
	for (uint32_t i = 0; i < 2; i++)
		worlds[i]->threads[0].trace = traces[i];
	for (uint32_t i = 0; i < rounds; i++) {
		small[i] = measure(&worlds[0], 1, seconds).cycles;
		large[i] = measure(&worlds[1], 1, seconds).cycles;
		ratio[i] = large[i] / small[i];
		bare[i] = bare_memory(memory, line_count, &random);
		printf("round %u: %.0f and %.0f cycles, bare memory %.0f\n", i + 1, small[i],
		       large[i], bare[i]);
		fflush(stdout);
	}
	printf("GET hits of all keys alike: %llu keys %.0f cycles, %llu keys %.0f: %.2f times as "
	       "many; to bring the lines of a GET near takes this machine %.0f\n",
	       (unsigned long long)few, median(small, rounds), (unsigned long long)many,
	       median(large, rounds), median(ratio, rounds), median(bare, rounds));
	for (uint32_t i = 0; i < 2; i++) {
		munmap(traces[i], sizeof(struct trace));
		world_free(worlds[i]);
	}
	munmap(memory, line_count * CACHE_LINE_BYTES);
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
