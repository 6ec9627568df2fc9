/* SPDX-License-Identifier: Apache-2.0 */
/* Several workers, and clients of each who read and write the same few keys; from a seed, which
 * says who has his turn next, and in real threads, made for TSan. Each key must look like one
 * register: every history is checked for linearizability (Gibbons and Korach, 1997: values differ,
 * so each has a zone, from the first response about it to the last invocation; forward zones do not
 * overlap, and no backward zone is inside a forward one).
 * Usage: shards_history [first seed [count [seconds of threads]]]. */
#include "shard_rig.h"

#include "base/random.h"
#include "shard/call.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <time.h>
#include <x86intrin.h>

#define WORKERS_MAX  4
#define CLIENTS      8 /* of each worker */
#define CALLS        8
#define KEYS         6
#define STEPS        4000
#define OPS_MAX      STEPS /* of each worker */
#define MEMORY_BYTES (8u << 20)
#define VALUE_MAX    150000

struct op {
	bool is_write;
	bool is_over;
	uint32_t key;
	uint64_t value; /* 0: a miss, or refused */
	uint64_t invoked;
	uint64_t responded;
};

struct client {
	struct shard_call call;
	struct shard_write write;
	struct op *op; /* NULL: it does nothing */
	char key[16];
	uint64_t sent_bytes;
	uint64_t value_bytes;
	bool is_calling;
};

struct world;

/* What one worker has, and his clients. */
struct side {
	struct world *world;
	struct shard *shard;
	uint32_t number;
	uint32_t turns; /* that the thread has had */
	struct random random;
	struct client clients[CLIENTS];
	struct op ops[OPS_MAX];
	uint32_t op_count;
	uint32_t called;
	pthread_t thread;
};

struct world {
	struct shards shards;
	struct side sides[WORKERS_MAX];
	uint8_t *region;
	size_t region_bytes;
	struct random random;
	uint32_t count;
	uint64_t now; /* events so far; without threads */
	bool has_threads;
	bool is_little;              /* so little memory that items are evicted */
	_Atomic uint32_t done_count; /* threads whose clients have all been answered */
	struct op all[WORKERS_MAX * OPS_MAX];
	uint32_t all_count;
};

#define NOW_S 1

static uint64_t first_seed = 1;
static uint64_t seed_count = 150;
static double thread_seconds = 1;
static uint64_t running_seed;

/* Also in a thread. */
#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: seed %llu: %s\n", __FILE__, __LINE__,              \
			        (unsigned long long)running_seed, #condition);                     \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static uint32_t below(struct side *side, uint64_t bound)
{
	return (uint32_t)random_below(&side->random, bound);
}

/* Later than all that has happened before; of threads the processor's clock, which is one of all
 * cores and orders nothing that must be ordered by itself. */
static uint64_t tick(struct world *world)
{
	uint64_t now;

	if (!world->has_threads)
		return ++world->now;
	/* a response is a store itself, and so comes after those that it tells of */
	_mm_mfence();
	_mm_lfence();
	now = __rdtsc();
	_mm_lfence();
	return now;
}

static uint64_t value_bytes_of(uint64_t value)
{
	uint64_t state = value;
	uint64_t bits = random_splitmix64(&state);

	return 8 + (bits % 20 == 0 ? (bits >> 32) % (VALUE_MAX - 8) : (bits >> 32) % 300);
}

static uint64_t value_of(struct shard *shard, const struct reply *reply)
{
	uint8_t *bytes = malloc(reply->value_bytes);
	uint64_t value;

	CHECK(reply->value_bytes >= 8);
	shard_copy_value(shard, reply, bytes);
	memcpy(&value, bytes, sizeof(value));
	CHECK(reply->value_bytes == value_bytes_of(value));
	for (uint64_t i = 8; i < reply->value_bytes; i++)
		CHECK(bytes[i] == bytes[i - 8]);
	free(bytes);
	return value;
}

static void respond(struct side *side, struct client *client, uint64_t value)
{
	client->op->is_over = true;
	client->op->responded = tick(side->world);
	client->op->value = value;
	client->op = NULL;
	client->is_calling = false;
}

static void respond_read(struct side *side, struct client *client, const struct reply *reply)
{
	CHECK(reply->status == REPLY_HIT || side->world->is_little);
	respond(side, client, reply->status == REPLY_HIT ? value_of(side->shard, reply) : 0);
}

/* Being written, it is on its way: what it was may be read before and after. */
static void respond_write(struct side *side, struct client *client, enum reply_status status)
{
	CHECK(status == REPLY_STORED || side->world->is_little);
	respond(side, client, status == REPLY_STORED ? client->op->value : 0);
}

static void answered(void *context, struct shard_call *call)
{
	struct side *side = context;
	struct client *client = (struct client *)call;

	CHECK(client->is_calling);
	if (client->op->is_write)
		respond_write(side, client, call->reply.status);
	else
		respond_read(side, client, &call->reply);
	shard_call_end(side->shard, call);
}

static void send_call(struct side *side, struct client *client, const struct request *request)
{
	client->call = (struct shard_call){.request = *request};
	if (client->op->is_write)
		client->call.write = &client->write;
	client->is_calling = true;
	side->called++;
	shard_call(side->shard, &client->call);
}

static void begin_write(struct side *side, struct client *client, struct request *request)
{
	/* no other write has it */
	client->op->value = (uint64_t)side->op_count << 8 | (side->number + 1);
	client->value_bytes = value_bytes_of(client->op->value);
	client->sent_bytes = 0;
	request->op = REQUEST_SET;
	request->value_bytes = client->value_bytes;
	if (shard_write_begin(side->shard, &client->write, request, NOW_S) == REPLY_STORED)
		return;
	if (shard_write_is_staged(&client->write))
		send_call(side, client, &(struct request){0});
	else
		respond_write(side, client, REPLY_NO_MEMORY);
}

static void begin_op(struct side *side, struct client *client, uint32_t key, bool is_write)
{
	struct op *op = &side->ops[side->op_count++];
	struct request request = {0};
	struct reply reply = {0};

	*op = (struct op){.is_write = is_write, .key = key};
	client->op = op;
	snprintf(client->key, sizeof(client->key), "key %u", op->key);
	request.key = rig_slice(client->key);
	op->invoked = tick(side->world);
	if (is_write) {
		begin_write(side, client, &request);
		return;
	}
	/* a gat is a read that the owner does */
	request.op = below(side, 8) == 0 ? REQUEST_GAT : REQUEST_GET;
	if (shard_execute(side->shard, &request, NOW_S, &reply))
		respond_read(side, client, &reply);
	else
		send_call(side, client, &request);
}

/* Some bytes more of a value that comes in, or its end. */
static void go_on_writing(struct side *side, struct client *client)
{
	struct shard *shard = side->shard;
	uint64_t words[512];
	uint64_t part = min_u64(client->value_bytes - client->sent_bytes, sizeof(words));
	struct reply reply = {0};

	for (uint32_t i = 0; i < 512; i++)
		words[i] = client->op->value;
	if (part > 0) {
		client->sent_bytes += part;
		if (!shard_write_bytes(shard, &client->write, (const uint8_t *)words, part)) {
			if (shard_write_is_staged(&client->write))
				send_call(side, client, &(struct request){0});
			else
				respond_write(side, client, REPLY_NO_MEMORY);
		}
		return;
	}
	if (shard_write_is_staged(&client->write)) {
		send_call(side, client, &(struct request){0});
		return;
	}
	shard_write_commit(shard, &client->write, NOW_S, &reply);
	respond_write(side, client, reply.status);
}

static void serve(struct side *side)
{
	shard_foresee_calls(side->shard);
	shard_foresee_called_items(side->shard);
	shard_serve_calls(side->shard, NOW_S);
	shard_take_answers(side->shard, answered, side);
}

static void pass(struct side *side)
{
	epoch_pass(&side->world->shards.epoch, side->number);
	shard_work(side->shard, NOW_S);
}

static void act(struct side *side)
{
	struct client *client = &side->clients[below(side, CLIENTS)];

	if (!shard_is_ready(side->shard) || client->is_calling)
		return;
	if (client->op == NULL && side->op_count < OPS_MAX)
		begin_op(side, client, below(side, KEYS), below(side, 3) == 0);
	else if (client->op != NULL)
		go_on_writing(side, client);
}

static void step(struct world *world)
{
	struct side *side = &world->sides[random_below(&world->random, world->count)];

	switch (below(side, 8)) {
	case 0: serve(side); return;
	case 1: pass(side); return;
	default: act(side); return;
	}
}

static bool is_quiet_side(const struct side *side)
{
	for (uint32_t j = 0; j < CLIENTS; j++)
		if (side->clients[j].op != NULL)
			return false;
	return true;
}

static bool is_quiet(const struct world *world)
{
	for (uint32_t i = 0; i < world->count; i++)
		if (!is_quiet_side(&world->sides[i]))
			return false;
	return true;
}

/* All values that come in come to their end. */
static void finish_side(struct side *side)
{
	for (uint32_t j = 0; j < CLIENTS; j++)
		if (side->clients[j].op != NULL && !side->clients[j].is_calling &&
		    shard_is_ready(side->shard))
			go_on_writing(side, &side->clients[j]);
	serve(side);
	pass(side);
}

static void finish(struct world *world)
{
	for (uint32_t turns = 0; !is_quiet(world); turns++) {
		CHECK(turns < 10000);
		for (uint32_t i = 0; i < world->count; i++)
			finish_side(&world->sides[i]);
	}
}

struct zone {
	uint64_t value;
	uint64_t first_response;
	uint64_t last_invocation;
	uint64_t written; /* when that began; 0: never */
};

static uint32_t zones_of(const struct world *world, uint32_t key, struct zone *zones)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < world->all_count; i++) {
		const struct op *op = &world->all[i];
		uint32_t z = 0;

		/* one that was refused may have been on its way, too: nobody reads it */
		if (op->key != key || op->value == 0)
			continue;
		while (z < count && zones[z].value != op->value)
			z++;
		if (z == count)
			zones[count++] = (struct zone){op->value, UINT64_MAX, 0, 0};
		zones[z].first_response = min_u64(zones[z].first_response, op->responded);
		zones[z].last_invocation = max_u64(zones[z].last_invocation, op->invoked);
		if (op->is_write)
			zones[z].written = op->invoked;
	}
	return count;
}

static bool is_forward(const struct zone *zone)
{
	return zone->first_response < zone->last_invocation;
}

static void check_pair(const struct zone *a, const struct zone *b)
{
	if (!is_forward(a))
		return;
	if (is_forward(b))
		CHECK(a->last_invocation < b->first_response ||
		      b->last_invocation < a->first_response);
	else
		CHECK(!(b->last_invocation > a->first_response &&
		        b->first_response < a->last_invocation));
}

static void check_history(struct world *world)
{
	static struct zone zones[WORKERS_MAX * OPS_MAX];

	for (uint32_t i = 0; i < world->count; i++) {
		const struct side *side = &world->sides[i];

		memcpy(&world->all[world->all_count], side->ops,
		       side->op_count * sizeof(struct op));
		world->all_count += side->op_count;
	}
	for (uint32_t key = 0; key < KEYS; key++) {
		uint32_t count = zones_of(world, key, zones);

		for (uint32_t i = 0; i < count; i++) {
			CHECK(zones[i].written > 0 && zones[i].written < zones[i].first_response);
			for (uint32_t j = 0; j < count; j++)
				if (i != j)
					check_pair(&zones[i], &zones[j]);
		}
	}
}

static struct world *world_create(uint64_t seed)
{
	struct world *world = calloc(1, sizeof(*world));
	struct memory memory = {0};
	uint32_t shard_bytes;

	running_seed = seed;
	world->random = random_seeded(seed);
	world->count = 2 + (uint32_t)random_below(&world->random, WORKERS_MAX - 1);
	world->is_little = random_below(&world->random, 2) == 0;
	shard_bytes = world->is_little ? 2 << 20 : MEMORY_BYTES;
	memory.bytes = shards_bytes(world->count, CALLS) + world->count * (size_t)shard_bytes;
	world->region = memory.base =
	    mmap(NULL, memory.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	world->region_bytes = memory.bytes;
	shards_create(&world->shards, world->count, CALLS, &memory);
	for (uint32_t i = 0; i < world->count; i++) {
		struct side *side = &world->sides[i];
		struct shard_options options = {.memory_bytes = shard_bytes,
		                                .value_bytes_max = VALUE_MAX,
		                                .hash_seed = seed,
		                                .unix_time_at_start_s = RIG_UNIX_TIME_S,
		                                .shards = &world->shards,
		                                .number = i};

		side->world = world;
		side->number = i;
		side->random = random_seeded(random_u64(&world->random));
		CHECK(shard_create(&side->shard, &options, &memory) == 0);
		epoch_enter(&world->shards.epoch, i);
	}
	return world;
}

/* So that no read misses. */
static void write_all(struct world *world)
{
	for (uint32_t key = 0; key < KEYS; key++) {
		begin_op(&world->sides[0], &world->sides[0].clients[0], key, true);
		finish(world);
	}
}

/* Returns how many calls there were. */
static uint64_t world_end(struct world *world)
{
	uint64_t called = 0;

	check_history(world);
	for (uint32_t i = 0; i < world->count; i++) {
		const struct side *side = &world->sides[i];
		const struct store_counters *counters = shard_store_counters(side->shard);

		shard_check(side->shard);
		CHECK(counter_read(&counters->pins) == 0);
		CHECK(counter_read(&counters->reservations) == 0);
		called += side->called;
	}
	munmap(world->region, world->region_bytes);
	free(world);
	return called;
}

static void test_each_key_is_a_register(void)
{
	uint64_t called = 0;

	for (uint64_t seed = first_seed; seed < first_seed + seed_count; seed++) {
		struct world *world = world_create(seed);

		write_all(world);
		for (uint32_t i = 0; i < STEPS; i++)
			step(world);
		finish(world);
		called += world_end(world);
	}
	printf("%llu seeds, %llu calls\n", (unsigned long long)seed_count,
	       (unsigned long long)called);
	CU_ASSERT_TRUE(called > 50 * seed_count);
}

/* Until all clients of all threads have been answered. */
static void *run_side(void *context)
{
	struct side *side = context;
	struct world *world = side->world;
	bool is_done = false;

	while (atomic_load_explicit(&world->done_count, memory_order_relaxed) < world->count) {
		if (side->op_count < OPS_MAX)
			act(side);
		else
			finish_side(side);
		if (++side->turns % 4 == 0) {
			serve(side);
			pass(side);
		}
		if (side->turns % 64 == 0)
			sched_yield(); /* there may be fewer cores than workers */
		if (!is_done && side->op_count == OPS_MAX && is_quiet_side(side)) {
			is_done = true;
			atomic_fetch_add_explicit(&world->done_count, 1, memory_order_relaxed);
		}
	}
	return NULL;
}

static double clock_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void test_each_key_is_a_register_of_threads(void)
{
	double end_s = clock_s() + thread_seconds;
	uint64_t called = 0, op_count = 0, round_count = 0;

	for (uint64_t seed = first_seed; clock_s() < end_s; seed++, round_count++) {
		struct world *world = world_create(seed);

		write_all(world);
		world->has_threads = true;
		for (uint32_t i = 0; i < world->sides[0].op_count; i++) {
			/* before all that the other clock tells */
			world->sides[0].ops[i].invoked = 2 * i + 1;
			world->sides[0].ops[i].responded = 2 * i + 2;
		}
		for (uint32_t i = 0; i < world->count; i++)
			CHECK(pthread_create(&world->sides[i].thread, NULL, run_side,
			                     &world->sides[i]) == 0);
		for (uint32_t i = 0; i < world->count; i++)
			pthread_join(world->sides[i].thread, NULL);
		op_count += world->count * OPS_MAX;
		called += world_end(world);
	}
	printf("%llu rounds of threads, %llu operations, %llu calls\n",
	       (unsigned long long)round_count, (unsigned long long)op_count,
	       (unsigned long long)called);
	CU_ASSERT_TRUE(called > round_count);
}

static const struct unit_case cases[] = {
    {"each key is a register", test_each_key_is_a_register},
    {"each key is a register of threads", test_each_key_is_a_register_of_threads},
};

int main(int argument_count, char **arguments)
{
	if (argument_count > 1)
		first_seed = strtoull(arguments[1], NULL, 10);
	if (argument_count > 2)
		seed_count = strtoull(arguments[2], NULL, 10);
	if (argument_count > 3)
		thread_seconds = strtod(arguments[3], NULL);
	if (UNIT_RUN("shards history", cases) == 0)
		return 0;
	printf("it was seed %llu\n", (unsigned long long)running_seed);
	return 1;
}
