/* SPDX-License-Identifier: Apache-2.0 */
/* Several workers, and clients of each who read and write the same few keys; from a seed, which
 * says who has his turn next. Each key must look like one register: every history is checked for
 * linearizability (Gibbons and Korach, 1997: values differ, so each has a zone, from the first
 * response about it to the last invocation; forward zones do not overlap, and no backward zone is
 * inside a forward one).
 * Usage: shards_history [first seed [count]]. */
#include "shard_rig.h"

#include "base/random.h"
#include "shard/call.h"

#include <sys/mman.h>

#define WORKERS_MAX  4
#define CLIENTS      8 /* of each worker */
#define CALLS        8
#define KEYS         6
#define STEPS        4000
#define OPS_MAX      STEPS
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

struct world {
	struct shards shards;
	struct shard *list[WORKERS_MAX];
	struct client clients[WORKERS_MAX][CLIENTS];
	uint8_t *region;
	size_t region_bytes;
	struct random random;
	uint32_t count;
	uint64_t now; /* events so far */
	uint32_t now_s;
	bool is_little; /* so little memory that items are evicted */
	struct op ops[OPS_MAX];
	uint32_t op_count;
	uint32_t called;
};

static uint64_t first_seed = 1;
static uint64_t seed_count = 150;
static uint64_t running_seed;

static uint32_t below(struct world *world, uint64_t bound)
{
	return (uint32_t)random_below(&world->random, bound);
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

	CU_ASSERT_TRUE_FATAL(reply->value_bytes >= 8);
	shard_copy_value(shard, reply, bytes);
	memcpy(&value, bytes, sizeof(value));
	CU_ASSERT_EQUAL_FATAL(reply->value_bytes, value_bytes_of(value));
	for (uint64_t i = 8; i < reply->value_bytes; i++)
		CU_ASSERT_EQUAL_FATAL(bytes[i], bytes[i - 8]);
	free(bytes);
	return value;
}

static void respond(struct world *world, struct client *client, uint64_t value)
{
	client->op->is_over = true;
	client->op->responded = ++world->now;
	client->op->value = value;
	client->op = NULL;
	client->is_calling = false;
}

static void respond_read(struct world *world, struct shard *shard, struct client *client,
                         const struct reply *reply)
{
	CU_ASSERT_TRUE_FATAL(reply->status == REPLY_HIT || world->is_little);
	respond(world, client, reply->status == REPLY_HIT ? value_of(shard, reply) : 0);
}

/* Being written, it is on its way: what it was may be read before and after. */
static void respond_write(struct world *world, struct client *client, enum reply_status status)
{
	CU_ASSERT_TRUE_FATAL(status == REPLY_STORED || world->is_little);
	respond(world, client, status == REPLY_STORED ? client->op->value : 0);
}

static void answered(void *context, struct shard_call *call)
{
	struct world *world = context;
	struct client *client = (struct client *)call;
	struct shard *shard = world->list[call->from];

	CU_ASSERT_TRUE_FATAL(client->is_calling);
	if (client->op->is_write)
		respond_write(world, client, call->reply.status);
	else
		respond_read(world, shard, client, &call->reply);
	shard_call_end(shard, call);
}

static void send_call(struct world *world, struct shard *shard, struct client *client,
                      const struct request *request)
{
	client->call = (struct shard_call){.request = *request};
	if (client->op->is_write)
		client->call.write = &client->write;
	client->is_calling = true;
	world->called++;
	shard_call(shard, &client->call);
}

static void begin_op(struct world *world, uint32_t number, struct client *client)
{
	struct shard *shard = world->list[number];
	struct op *op = &world->ops[world->op_count++];
	struct request request = {0};
	struct reply reply = {0};

	*op = (struct op){.is_write = below(world, 3) == 0, .key = below(world, KEYS)};
	client->op = op;
	snprintf(client->key, sizeof(client->key), "key %u", op->key);
	request.key = rig_slice(client->key);
	op->invoked = ++world->now;
	if (op->is_write) {
		op->value = op->invoked;
		client->value_bytes = value_bytes_of(op->value);
		client->sent_bytes = 0;
		request.op = REQUEST_SET;
		request.value_bytes = client->value_bytes;
		if (shard_write_begin(shard, &client->write, &request, world->now_s) !=
		    REPLY_STORED)
			respond_write(world, client, REPLY_NO_MEMORY);
		return;
	}
	/* a gat is a read that the owner does */
	request.op = below(world, 8) == 0 ? REQUEST_GAT : REQUEST_GET;
	if (shard_execute(shard, &request, world->now_s, &reply))
		respond_read(world, shard, client, &reply);
	else
		send_call(world, shard, client, &request);
}

/* Some bytes more of a value that comes in, or its end. */
static void go_on_writing(struct world *world, uint32_t number, struct client *client)
{
	struct shard *shard = world->list[number];
	uint64_t words[512];
	uint64_t part = min_u64(client->value_bytes - client->sent_bytes, sizeof(words));
	struct reply reply = {0};

	for (uint32_t i = 0; i < 512; i++)
		words[i] = client->op->value;
	if (part > 0) {
		client->sent_bytes += part;
		if (!shard_write_bytes(shard, &client->write, (const uint8_t *)words, part)) {
			if (shard_write_is_staged(&client->write))
				send_call(world, shard, client, &(struct request){0});
			else
				respond_write(world, client, REPLY_NO_MEMORY);
		}
		return;
	}
	if (shard_write_is_staged(&client->write)) {
		send_call(world, shard, client, &(struct request){0});
		return;
	}
	shard_write_commit(shard, &client->write, world->now_s, &reply);
	respond_write(world, client, reply.status);
}

static void step(struct world *world)
{
	uint32_t number = below(world, world->count);
	struct client *client = &world->clients[number][below(world, CLIENTS)];
	struct shard *shard = world->list[number];

	switch (below(world, 8)) {
	case 0: shard_serve_calls(shard, world->now_s, answered, world); return;
	case 1:
		epoch_pass(&world->shards.epoch, number);
		shard_work(shard, world->now_s);
		return;
	default: break;
	}
	if (!shard_is_ready(shard) || client->is_calling)
		return;
	if (client->op == NULL && world->op_count < OPS_MAX)
		begin_op(world, number, client);
	else if (client->op != NULL)
		go_on_writing(world, number, client);
}

static bool is_quiet(const struct world *world)
{
	for (uint32_t i = 0; i < world->count; i++)
		for (uint32_t j = 0; j < CLIENTS; j++)
			if (world->clients[i][j].op != NULL)
				return false;
	return true;
}

/* All that has begun comes to its end. */
static void finish(struct world *world)
{
	for (uint32_t turns = 0; !is_quiet(world); turns++) {
		CU_ASSERT_TRUE_FATAL(turns < 10000);
		for (uint32_t i = 0; i < world->count; i++) {
			for (uint32_t j = 0; j < CLIENTS; j++)
				if (world->clients[i][j].op != NULL &&
				    !world->clients[i][j].is_calling &&
				    shard_is_ready(world->list[i]))
					go_on_writing(world, i, &world->clients[i][j]);
			shard_serve_calls(world->list[i], world->now_s, answered, world);
			epoch_pass(&world->shards.epoch, i);
			shard_work(world->list[i], world->now_s);
		}
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

	for (uint32_t i = 0; i < world->op_count; i++) {
		const struct op *op = &world->ops[i];
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
		CU_ASSERT_TRUE_FATAL(a->last_invocation < b->first_response ||
		                     b->last_invocation < a->first_response)
	else
		CU_ASSERT_FALSE_FATAL(b->last_invocation > a->first_response &&
		                      b->first_response < a->last_invocation);
}

static void check_history(const struct world *world)
{
	static struct zone zones[OPS_MAX];

	for (uint32_t key = 0; key < KEYS; key++) {
		uint32_t count = zones_of(world, key, zones);

		for (uint32_t i = 0; i < count; i++) {
			CU_ASSERT_TRUE_FATAL(zones[i].written > 0 &&
			                     zones[i].written < zones[i].first_response);
			for (uint32_t j = 0; j < count; j++)
				if (i != j)
					check_pair(&zones[i], &zones[j]);
		}
	}
}

static void world_create(struct world *world, uint64_t seed)
{
	struct memory memory = {0};
	uint32_t shard_bytes;

	world->random = random_seeded(seed);
	world->count = 2 + below(world, WORKERS_MAX - 1);
	world->is_little = below(world, 2) == 0;
	world->now_s = 1;
	shard_bytes = world->is_little ? 2 << 20 : MEMORY_BYTES;
	memory.bytes = shards_bytes(world->count, CALLS) + world->count * (size_t)shard_bytes;
	world->region = memory.base =
	    mmap(NULL, memory.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	world->region_bytes = memory.bytes;
	shards_create(&world->shards, world->count, CALLS, &memory);
	for (uint32_t i = 0; i < world->count; i++) {
		struct shard_options options = {.memory_bytes = shard_bytes,
		                                .value_bytes_max = VALUE_MAX,
		                                .hash_seed = seed,
		                                .unix_time_at_start_s = RIG_UNIX_TIME_S,
		                                .shards = &world->shards,
		                                .number = i};

		CU_ASSERT_EQUAL_FATAL(shard_create(&world->list[i], &options, &memory), 0);
		epoch_enter(&world->shards.epoch, i);
	}
}

/* So that no read misses. */
static void write_all(struct world *world)
{
	for (uint32_t key = 0; key < KEYS; key++) {
		struct client *client = &world->clients[0][0];
		struct request request = {.op = REQUEST_SET};

		client->op = &world->ops[world->op_count++];
		*client->op = (struct op){.is_write = true, .key = key, .invoked = ++world->now};
		client->op->value = client->op->invoked;
		client->value_bytes = value_bytes_of(client->op->value);
		client->sent_bytes = 0;
		snprintf(client->key, sizeof(client->key), "key %u", key);
		request.key = rig_slice(client->key);
		request.value_bytes = client->value_bytes;
		CU_ASSERT_EQUAL_FATAL(
		    shard_write_begin(world->list[0], &client->write, &request, 1), REPLY_STORED);
		finish(world);
	}
}

static void test_each_key_is_a_register(void)
{
	uint64_t called = 0;

	for (uint64_t seed = first_seed; seed < first_seed + seed_count; seed++) {
		struct world *world = calloc(1, sizeof(*world));

		running_seed = seed;
		world_create(world, seed);
		write_all(world);
		for (uint32_t i = 0; i < STEPS; i++)
			step(world);
		finish(world);
		check_history(world);
		for (uint32_t i = 0; i < world->count; i++) {
			const struct store_counters *counters =
			    shard_store_counters(world->list[i]);

			shard_check(world->list[i]);
			CU_ASSERT_EQUAL(counter_read(&counters->pins), 0);
			CU_ASSERT_EQUAL(counter_read(&counters->reservations), 0);
		}
		called += world->called;
		munmap(world->region, world->region_bytes);
		free(world);
	}
	printf("%llu seeds, %llu calls\n", (unsigned long long)seed_count,
	       (unsigned long long)called);
	CU_ASSERT_TRUE(called > 50 * seed_count);
}

static const struct unit_case cases[] = {
    {"each key is a register", test_each_key_is_a_register},
};

int main(int argument_count, char **arguments)
{
	if (argument_count > 1)
		first_seed = strtoull(arguments[1], NULL, 10);
	if (argument_count > 2)
		seed_count = strtoull(arguments[2], NULL, 10);
	if (UNIT_RUN("shards history", cases) == 0)
		return 0;
	printf("it was seed %llu\n", (unsigned long long)running_seed);
	return 1;
}
