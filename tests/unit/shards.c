/* SPDX-License-Identifier: Apache-2.0 */
/* Several shards: each worker answers GETs for all of them. */
#include "shard_rig.h"

#include <sys/mman.h>

#define SHARDS       3
#define MEMORY_BYTES (8u << 20)
#define CALLS        16

struct world {
	struct shards shards;
	struct shard *list[SHARDS];
	uint8_t *region;
	struct block_pool pool;
	struct chain chain;
	uint32_t now_s;
};

static size_t world_bytes(void)
{
	return SHARDS * MEMORY_BYTES + block_pool_bytes(64) + shards_bytes(SHARDS, CALLS);
}

static void world_create(struct world *world)
{
	struct memory memory = {.bytes = world_bytes()};
	struct references references;

	world->region = memory.base =
	    mmap(NULL, memory.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_PTR_NOT_EQUAL_FATAL(memory.base, MAP_FAILED);
	shards_create(&world->shards, SHARDS, CALLS, &memory);
	for (uint32_t i = 0; i < SHARDS; i++) {
		struct shard_options options = {.memory_bytes = MEMORY_BYTES,
		                                .value_bytes_max = 1 << 20,
		                                .hash_seed = 7,
		                                .unix_time_at_start_s = RIG_UNIX_TIME_S,
		                                .shards = &world->shards,
		                                .number = i};

		CU_ASSERT_EQUAL_FATAL(shard_create(&world->list[i], &options, &memory), 0);
		epoch_enter(&world->shards.epoch, i);
	}
	references = shard_references(world->list[0]);
	block_pool_create(&world->pool, 64, &memory, &references);
	chain_create(&world->chain, &world->pool);
	world->now_s = 1;
}

static void world_destroy(struct world *world)
{
	chain_clear(&world->chain);
	for (uint32_t i = 0; i < SHARDS; i++) {
		CU_ASSERT_EQUAL(counter_read(&shard_store_counters(world->list[i])->pins), 0);
		shard_check(world->list[i]);
	}
	munmap(world->region, world_bytes());
}

/* A turn of every worker. */
static void turn(struct world *world)
{
	for (uint32_t i = 0; i < SHARDS; i++) {
		epoch_pass(&world->shards.epoch, i);
		shard_work(world->list[i], world->now_s);
	}
}

static void wait_until_ready(struct world *world, uint32_t number)
{
	uint32_t turns = 0;

	while (!shard_is_ready(world->list[number])) {
		turn(world);
		CU_ASSERT_TRUE_FATAL(++turns < 10);
	}
}

/* By the shard that has the key. */
static void set(struct world *world, const char *key, struct slice value, int64_t exptime)
{
	struct request request = {.op = REQUEST_SET,
	                          .key = {(const uint8_t *)key, strlen(key)},
	                          .value_bytes = value.length,
	                          .exptime = exptime};
	uint32_t owner = shards_owner(&world->shards, request.key);
	struct shard_write write;
	struct reply reply;

	wait_until_ready(world, owner);
	CU_ASSERT_EQUAL_FATAL(shard_write_begin(world->list[owner], &write, &request, world->now_s),
	                      REPLY_STORED);
	while (write.left_bytes > 0) {
		uint64_t part = min_u64(write.left_bytes, 65536);

		wait_until_ready(world, owner);
		CU_ASSERT_TRUE_FATAL(shard_write_bytes(world->list[owner], &write,
		                                       value.data + value.length - write.left_bytes,
		                                       part));
	}
	wait_until_ready(world, owner);
	shard_write_commit(world->list[owner], &write, world->now_s, &reply);
	CU_ASSERT_EQUAL(reply.status, REPLY_STORED);
}

static struct reply ask(struct world *world, uint32_t number, const char *key, uint32_t modifiers)
{
	struct request request = {
	    .op = REQUEST_GET, .modifiers = modifiers, .key = {(const uint8_t *)key, strlen(key)}};
	struct reply reply = {0};

	CU_ASSERT_TRUE_FATAL(shard_execute(world->list[number], &request, world->now_s, &reply));
	return reply;
}

/* All of them do it, one after the other, while others have their turns. */
static enum reply_status purge(struct world *world, uint32_t first, const char *prefix)
{
	struct request request = {.op = REQUEST_PURGE,
	                          .key = {(const uint8_t *)prefix, strlen(prefix)}};
	enum reply_status status = shard_begin_purge(world->list[first], &request);
	struct reply reply;

	for (uint32_t i = 0; i < SHARDS && status == REPLY_OK; i++) {
		uint32_t number = (first + i) % SHARDS;

		CU_ASSERT_TRUE(shard_execute(world->list[number], &request, world->now_s, &reply));
		CU_ASSERT_EQUAL(reply.status, REPLY_OK);
		request.modifiers |= REQUEST_PASSED_ON;
	}
	return status;
}

static void test_purges(void)
{
	struct world world;
	uint32_t done = 0;
	char key[32];

	world_create(&world);
	for (uint32_t round = 0; round < 200; round++) {
		for (uint32_t i = 0; i < 60; i++) {
			struct slice value = rig_pattern(i * 10, i);

			snprintf(key, sizeof(key), "%u key %u", i % 3, i);
			set(&world, key, value, 0);
			free((void *)(uintptr_t)value.data);
		}
		if (purge(&world, round % SHARDS, round % 2 == 0 ? "1" : "2 k") == REPLY_OK) {
			done++;
			for (uint32_t i = 0; i < 60; i++) {
				bool is_gone = i % 3 == (round % 2 == 0 ? 1 : 2);

				snprintf(key, sizeof(key), "%u key %u", i % 3, i);
				for (uint32_t j = 0; j < SHARDS; j++)
					CU_ASSERT_EQUAL_FATAL(ask(&world, j, key, 0).status,
					                      is_gone ? REPLY_MISS : REPLY_HIT);
			}
		} else {
			CU_ASSERT_TRUE(done >= PURGES_MAX);
		}
		if (round % 3 == 0)
			turn(&world);
	}
	CU_ASSERT_TRUE(done > 100);
	/* without any turns there is an end to it, and with them a new beginning */
	for (uint32_t i = 0; i < PURGES_MAX; i++)
		purge(&world, 0, "0");
	CU_ASSERT_EQUAL(purge(&world, 1, "0"), REPLY_MANY_PURGES);
	for (uint32_t i = 0; i < 10; i++)
		turn(&world);
	CU_ASSERT_EQUAL(purge(&world, 1, "0"), REPLY_OK);
	world_destroy(&world);
}

static void test_each_worker_answers_for_all(void)
{
	struct world world;
	uint32_t owned[SHARDS] = {0};
	uint8_t *bytes = malloc(1 << 20);
	char key[32];

	world_create(&world);
	for (uint32_t i = 0; i < 3000; i++) {
		struct slice value = rig_pattern(i % 100 == 0 ? 100000 : i % 500, i);

		snprintf(key, sizeof(key), "key %u", i);
		owned[shards_owner(&world.shards, (struct slice){(uint8_t *)key, strlen(key)})]++;
		set(&world, key, value, 0);
		for (uint32_t j = 0; j < SHARDS; j++) {
			struct reply reply = ask(&world, j, key, 0);

			CU_ASSERT_EQUAL_FATAL(reply.status, REPLY_HIT);
			CU_ASSERT_EQUAL_FATAL(reply.value_bytes, value.length);
			shard_copy_value(world.list[j], &reply, bytes);
			CU_ASSERT_EQUAL_FATAL(memcmp(bytes, value.data, value.length), 0);
		}
		free((void *)(uintptr_t)value.data);
		turn(&world);
	}
	for (uint32_t j = 0; j < SHARDS; j++) {
		CU_ASSERT_TRUE(owned[j] > 900 && owned[j] < 1100);
		CU_ASSERT_EQUAL(counter_read(&shard_counters(world.list[j])->get_hits), 3000);
		CU_ASSERT_EQUAL(ask(&world, j, "nobody", 0).status, REPLY_MISS);
		CU_ASSERT_EQUAL(counter_read(&shard_counters(world.list[j])->get_misses), 1);
	}
	free(bytes);
	world_destroy(&world);
}

/* All that is not a plain look has to be done by the owner. */
static void test_the_owner_does_the_rest(void)
{
	static const struct request requests[] = {
	    {.op = REQUEST_GET, .modifiers = REQUEST_RENEW, .exptime = 100},
	    {.op = REQUEST_GET, .modifiers = REQUEST_VIVIFY},
	    {.op = REQUEST_GET, .modifiers = REQUEST_RECACHE},
	    {.op = REQUEST_GAT, .exptime = 100},
	    {.op = REQUEST_TOUCH, .exptime = 100},
	    {.op = REQUEST_INSPECT},
	    {.op = REQUEST_INCR, .delta = 1},
	    {.op = REQUEST_DELETE},
	};
	struct world world;
	struct slice key = {(const uint8_t *)"a", 1};
	uint32_t owner;

	world_create(&world);
	set(&world, "a", (struct slice){(const uint8_t *)"1", 1}, 0);
	owner = shards_owner(&world.shards, key);
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		struct request request = requests[i];
		struct reply reply;

		request.key = key;
		for (uint32_t j = 0; j < SHARDS; j++)
			if (j != owner)
				CU_ASSERT_FALSE(shard_execute(world.list[j], &request, 1, &reply));
		CU_ASSERT_TRUE(shard_execute(world.list[owner], &request, 1, &reply));
	}
	CU_ASSERT_EQUAL(ask(&world, (owner + 1) % SHARDS, "a", 0).status, REPLY_MISS);
	world_destroy(&world);
}

/* What a GET says of the item, and that of all who ask for a stale one, wherever, one has won. */
static void test_looks_tell_as_much(void)
{
	struct world world;
	struct slice key = {(const uint8_t *)"a", 1};
	struct request invalidate = {
	    .op = REQUEST_DELETE, .modifiers = REQUEST_INVALIDATE, .key = key};
	uint32_t wins = 0;
	struct reply reply;
	uint32_t owner;

	world_create(&world);
	set(&world, "a", (struct slice){(const uint8_t *)"1", 1}, 100);
	owner = shards_owner(&world.shards, key);
	world.now_s += 10;
	for (uint32_t j = 0; j < SHARDS; j++) {
		reply = ask(&world, j, "a", REQUEST_DESCRIBE | REQUEST_NO_BUMP);
		CU_ASSERT_EQUAL(reply.ttl_s, 90);
		CU_ASSERT_EQUAL(reply.idle_s, 10);
		CU_ASSERT_EQUAL(reply.marks, 0);
	}
	ask(&world, (owner + 1) % SHARDS, "a", 0);
	for (uint32_t j = 0; j < SHARDS; j++) {
		reply = ask(&world, j, "a", REQUEST_DESCRIBE);
		CU_ASSERT_EQUAL(reply.idle_s, 0);
		CU_ASSERT_EQUAL(reply.marks, REPLY_FETCHED);
	}
	CU_ASSERT_TRUE(shard_execute(world.list[owner], &invalidate, world.now_s, &reply));
	for (uint32_t i = 1; i <= 2 * SHARDS; i++) {
		reply = ask(&world, (owner + i) % SHARDS, "a", REQUEST_DESCRIBE);
		CU_ASSERT_TRUE((reply.marks & REPLY_STALE) != 0);
		wins += (reply.marks & REPLY_WON) != 0;
		CU_ASSERT_EQUAL((reply.marks & REPLY_WON_BEFORE) != 0, i > 1);
	}
	CU_ASSERT_EQUAL(wins, 1);
	world.now_s += 90;
	for (uint32_t j = 0; j < SHARDS; j++)
		CU_ASSERT_EQUAL(ask(&world, j, "a", 0).status, REPLY_MISS);
	world_destroy(&world);
}

/* What is being sent stays, whoever sends it, and whatever its owner does meanwhile. */
static void test_sent_values_stay(void)
{
	struct world world;
	struct slice value = rig_pattern(200000, 3);
	uint8_t *bytes = malloc(value.length);
	struct chain_cursor cursor = {0};
	struct reply reply;
	char key[32];
	uint32_t n = 0;

	world_create(&world);
	do /* one that is not of worker 0, who sends it */
		snprintf(key, sizeof(key), "key %u", n++);
	while (shards_owner(&world.shards, (struct slice){(uint8_t *)key, strlen(key)}) == 0);
	set(&world, key, value, 0);
	reply = ask(&world, 0, key, 0);
	CU_ASSERT_TRUE_FATAL(shard_append_value(world.list[0], &reply, &world.chain));
	for (uint32_t i = 0; i < 400; i++) {
		char other[32];

		snprintf(other, sizeof(other), "other %u", i);
		set(&world, other, value, 0);
		turn(&world);
	}
	CU_ASSERT_EQUAL(chain_read(&world.chain, &cursor, bytes, (uint32_t)value.length),
	                value.length);
	CU_ASSERT_EQUAL(memcmp(bytes, value.data, value.length), 0);
	free(bytes);
	free((void *)(uintptr_t)value.data);
	world_destroy(&world);
}

static const struct unit_case cases[] = {
    {"each worker answers for all", test_each_worker_answers_for_all},
    {"purges", test_purges},
    {"the owner does the rest", test_the_owner_does_the_rest},
    {"looks tell as much", test_looks_tell_as_much},
    {"sent values stay", test_sent_values_stay},
};

int main(void)
{
	return UNIT_RUN("shards", cases);
}
