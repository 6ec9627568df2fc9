/* SPDX-License-Identifier: Apache-2.0 */
/* Everything at once from one seed, against a model that is one struct a key.
 *
 * A miss is fine unless memory was plainly enough; a wrong byte, flag or cas unique never is.
 * Usage: shard_random [seed [steps]]. */
#include "base/random.h"
#include "shard/shard.h"

#include "shard_rig.h"

#include <stdio.h>

#define KEY_COUNT_MAX 20000
#define WRITE_COUNT   48
#define READER_COUNT  8
#define VALUE_MAX     (3u << 19) /* 1.5 MiB */

struct model_item {
	uint8_t *value; /* NULL: surely not there */
	uint32_t value_bytes;
	uint32_t client_flags;
	uint32_t expiry_s;
	uint64_t cas_unique; /* 0: not seen yet */
};

struct open_write {
	bool active;
	bool failed; /* refused or out of memory */
	enum request_op op;
	uint32_t key;
	uint32_t client_flags;
	uint32_t expiry_s;
	uint32_t sent_bytes;
	uint32_t value_bytes;
	uint64_t cas_unique;
	uint8_t *value;
	struct shard_write write;
};

/* Somebody who receives slowly. */
struct reader {
	struct chain chain;
	uint8_t *expected;
};

struct world {
	struct rig rig;
	struct random random;
	uint32_t key_count;
	uint32_t value_bytes_max;
	bool is_roomy; /* memory is plainly enough: no miss is excused */
	uint32_t flush_due_s;
	struct model_item items[KEY_COUNT_MAX];
	struct open_write writes[WRITE_COUNT];
	struct reader readers[READER_COUNT];
	uint64_t hits, misses, refusals;
	bool in_turns; /* tiny values and others; and time stands still */
	bool is_tiny;
	uint64_t index_bytes;
	uint32_t resizes;
};

static uint32_t below(struct world *world, uint64_t bound)
{
	return (uint32_t)random_below(&world->random, bound);
}

static struct slice key_of(uint32_t key, char text[251])
{
	int length = snprintf(text, 251, "key-%u-", key);
	int wanted = length + (key % 37 == 0 ? 250 - length : (int)(key % 23));

	while (length < wanted)
		text[length++] = (char)('a' + key % 26);
	return (struct slice){(const uint8_t *)text, (size_t)length};
}

/* Mostly small, now and then up to the largest. */
static uint32_t random_length(struct world *world)
{
	static const uint32_t bounds[] = {8, 64, 64, 300, 3000, 40000, 140000, VALUE_MAX + 1};
	uint32_t kind = world->is_tiny ? 0 : below(world, 64);
	uint32_t bound = kind < 16   ? bounds[0]
	                 : kind < 60 ? bounds[1 + below(world, 4)]
	                             : bounds[5 + below(world, 3)];

	return below(world, min_u32(bound, world->value_bytes_max + 1));
}

static uint8_t *random_value(struct world *world, uint32_t length)
{
	uint8_t *value = malloc((size_t)length + 8);

	if (length <= 20 && below(world, 2) == 0) {
		memset(value, '0' + (int)below(world, 10), length);
		return value;
	}
	for (uint32_t i = 0; i < length; i += 8) {
		uint64_t bits = random_u64(&world->random);

		memcpy(value + i, &bits, sizeof(bits));
	}
	return value;
}

static void forget(struct model_item *item)
{
	free(item->value);
	*item = (struct model_item){0};
}

/* What the clock has done to the model. */
static struct model_item *model_at(struct world *world, uint32_t key)
{
	struct model_item *item = &world->items[key];

	if (item->value != NULL && item->expiry_s != 0 && item->expiry_s <= world->rig.now_s)
		forget(item);
	return item;
}

/* The shard says that the key is not there. */
static void expect_miss(struct world *world, uint32_t key)
{
	struct model_item *item = model_at(world, key);

	if (item->value == NULL)
		return;
	world->misses++;
	CU_ASSERT_FALSE_FATAL(world->is_roomy);
	forget(item);
}

static void expect_hit(struct world *world, uint32_t key, const struct reply *reply)
{
	struct model_item *item = model_at(world, key);
	uint8_t *value;

	CU_ASSERT_PTR_NOT_NULL_FATAL(item->value);
	CU_ASSERT_EQUAL_FATAL(reply->value_bytes, item->value_bytes);
	CU_ASSERT_EQUAL_FATAL(reply->client_flags, item->client_flags);
	CU_ASSERT_TRUE_FATAL(item->cas_unique == 0 || item->cas_unique == reply->cas_unique);
	item->cas_unique = reply->cas_unique;
	value = malloc(item->value_bytes + 1);
	shard_copy_value(world->rig.shard, reply, value);
	CU_ASSERT_EQUAL_FATAL(memcmp(value, item->value, item->value_bytes), 0);
	free(value);
	world->hits++;
}

static struct reply execute(struct world *world, struct request request, uint32_t key)
{
	char text[251];

	request.key = key_of(key, text);
	return rig_execute(&world->rig, request);
}

/* An exptime and what it means; a third of them never expire. */
static int64_t random_exptime(struct world *world, uint32_t *ret_expiry_s)
{
	uint32_t kind = world->is_roomy ? below(world, 3) : below(world, 12);
	uint32_t in_s = 1 + below(world, 200);

	*ret_expiry_s = world->rig.now_s + in_s;
	if (kind == 0)
		return in_s;
	if (kind == 1)
		return (int64_t)RIG_UNIX_TIME_S + world->rig.now_s + in_s;
	*ret_expiry_s = kind == 2 ? 1 : 0;
	return kind == 2 ? -1 : 0;
}

static void step_begin(struct world *world, struct open_write *open)
{
	struct request request = {0};
	enum reply_status status;
	char text[251];
	uint32_t op = below(world, 12);

	*open = (struct open_write){
	    .active = true,
	    .op = op < 6 ? REQUEST_SET : (enum request_op)(REQUEST_ADD + op % 5),
	    .key = below(world, world->key_count),
	    .client_flags = (uint32_t)random_u64(&world->random),
	    .value_bytes = random_length(world),
	};
	open->value = random_value(world, open->value_bytes);
	if (open->op == REQUEST_CAS && below(world, 8) > 0)
		open->cas_unique = world->items[open->key].cas_unique;
	request.op = open->op;
	request.key = key_of(open->key, text);
	request.client_flags = open->client_flags;
	request.exptime = random_exptime(world, &open->expiry_s);
	request.value_bytes = open->value_bytes;
	request.cas_unique = open->cas_unique;
	if (below(world, 200) == 0)
		request.value_bytes = (uint64_t)world->value_bytes_max + 1 + below(world, 1u << 31);
	status = shard_write_begin(world->rig.shard, &open->write, &request, world->rig.now_s);
	memset(text, 0xee, sizeof(text)); /* the request need not outlive the call */
	if (status == REPLY_STORED)
		return;
	open->failed = true;
	if (request.value_bytes > world->value_bytes_max)
		CU_ASSERT_EQUAL_FATAL(status, REPLY_TOO_LARGE)
	else
		CU_ASSERT_TRUE_FATAL(status == REPLY_NO_MEMORY && !world->is_roomy);
	if (open->op == REQUEST_SET)
		forget(&world->items[open->key]);
}

static void model_put(struct world *world, struct open_write *open)
{
	struct model_item *item = &world->items[open->key];

	free(item->value);
	*item = (struct model_item){
	    .value = open->value,
	    .value_bytes = open->value_bytes,
	    .client_flags = open->client_flags,
	    .expiry_s = open->expiry_s,
	};
	open->value = NULL;
}

static void model_join(struct model_item *item, const struct open_write *open)
{
	uint32_t length = item->value_bytes + open->value_bytes;
	uint8_t *value = malloc((size_t)length + 1);
	bool append = open->op == REQUEST_APPEND;

	memcpy(value + (append ? 0 : open->value_bytes), item->value, item->value_bytes);
	memcpy(value + (append ? item->value_bytes : 0), open->value, open->value_bytes);
	free(item->value);
	item->value = value;
	item->value_bytes = length;
	item->cas_unique = 0;
}

/* Every reply to a commit says whether the key was there; the model must agree. */
static void expect_committed(struct world *world, struct open_write *open, enum reply_status status)
{
	struct model_item *item = model_at(world, open->key);
	bool join = open->op == REQUEST_APPEND || open->op == REQUEST_PREPEND;

	switch (status) {
	case REPLY_STORED:
		if (open->op == REQUEST_ADD)
			expect_miss(world, open->key);
		else
			CU_ASSERT_TRUE_FATAL(open->op == REQUEST_SET || item->value != NULL);
		if (open->op == REQUEST_CAS)
			CU_ASSERT_TRUE_FATAL(item->cas_unique == 0 ||
			                     item->cas_unique == open->cas_unique);
		if (join)
			model_join(item, open);
		else
			model_put(world, open);
		return;
	case REPLY_EXISTS:
		CU_ASSERT_TRUE_FATAL(
		    open->op == REQUEST_CAS && item->value != NULL &&
		    (item->cas_unique == 0 || item->cas_unique != open->cas_unique));
		return;
	case REPLY_NOT_STORED:
		if (open->op == REQUEST_ADD)
			CU_ASSERT_PTR_NOT_NULL_FATAL(item->value)
		else if (!join || item->value == NULL ||
		         item->value_bytes + open->value_bytes <= world->value_bytes_max)
			expect_miss(world, open->key);
		return;
	case REPLY_NOT_FOUND:
		CU_ASSERT_EQUAL_FATAL(open->op, REQUEST_CAS);
		expect_miss(world, open->key);
		return;
	default: CU_ASSERT_TRUE_FATAL(status == REPLY_NO_MEMORY && join && !world->is_roomy);
	}
}

/* Some bytes more, the end, or a connection that breaks. */
static void step_write(struct world *world, struct open_write *open)
{
	uint32_t left = open->value_bytes - open->sent_bytes;
	uint32_t part = below(world, 3) == 0 ? below(world, (uint64_t)left + 1) : left;
	struct reply reply = {0};

	if (!open->failed && below(world, 100) == 0) {
		shard_write_abandon(world->rig.shard, &open->write);
		open->failed = true;
	}
	if (!open->failed && !shard_write_bytes(world->rig.shard, &open->write,
	                                        open->value + open->sent_bytes, part)) {
		open->failed = true;
		CU_ASSERT_FALSE_FATAL(world->is_roomy);
		if (open->op == REQUEST_SET)
			forget(&world->items[open->key]);
	}
	if (!open->failed) {
		open->sent_bytes += part;
		CU_ASSERT_EQUAL_FATAL(open->write.left_bytes, left - part);
		if (part < left)
			return;
		shard_write_commit(world->rig.shard, &open->write, world->rig.now_s, &reply);
		expect_committed(world, open, reply.status);
	} else {
		world->refusals++;
	}
	free(open->value);
	open->active = false;
}

static void reader_finish(struct reader *reader)
{
	uint64_t length = reader->chain.length;
	struct chain_cursor cursor = {0};
	uint8_t *bytes;

	if (reader->expected == NULL)
		return;
	bytes = malloc(length + 1);
	CU_ASSERT_EQUAL_FATAL(chain_read(&reader->chain, &cursor, bytes, (uint32_t)length), length);
	CU_ASSERT_EQUAL_FATAL(memcmp(bytes, reader->expected, length), 0);
	chain_clear(&reader->chain);
	free(bytes);
	free(reader->expected);
	reader->expected = NULL;
}

/* A GET whose value stays in a chain for long. */
static void step_read(struct world *world, uint32_t key)
{
	struct reply reply =
	    execute(world, (struct request){.op = REQUEST_GET, .with_cas = true}, key);
	struct reader *reader = &world->readers[below(world, READER_COUNT)];

	if (reply.status == REPLY_MISS) {
		expect_miss(world, key);
		return;
	}
	CU_ASSERT_EQUAL_FATAL(reply.status, REPLY_HIT);
	expect_hit(world, key, &reply);
	reader_finish(reader);
	if (!shard_append_value(world->rig.shard, &reply, &reader->chain)) {
		chain_clear(&reader->chain);
		return;
	}
	reader->expected = malloc(reply.value_bytes + 1);
	shard_copy_value(world->rig.shard, &reply, reader->expected);
}

static void step_touch(struct world *world, uint32_t key)
{
	struct request request = {.op = below(world, 2) ? REQUEST_TOUCH : REQUEST_GAT};
	uint32_t expiry_s;
	struct reply reply;

	request.exptime = random_exptime(world, &expiry_s);
	reply = execute(world, request, key);
	if (reply.status == REPLY_MISS || reply.status == REPLY_NOT_FOUND) {
		expect_miss(world, key);
		return;
	}
	if (reply.status == REPLY_HIT)
		expect_hit(world, key, &reply);
	CU_ASSERT_PTR_NOT_NULL_FATAL(model_at(world, key)->value);
	world->items[key].expiry_s = expiry_s;
}

/* The model knows only plain digits; what else is a number is shard.c's to test. */
static void step_delta(struct world *world, uint32_t key)
{
	bool incr = below(world, 2);
	uint64_t delta = below(world, 3) ? below(world, 20) : random_u64(&world->random);
	struct request request = {.op = incr ? REQUEST_INCR : REQUEST_DECR, .delta = delta};
	struct reply reply = execute(world, request, key);
	struct model_item *item = model_at(world, key);
	char text[24];
	uint32_t length;
	uint8_t *value;

	if (reply.status == REPLY_NOT_FOUND) {
		expect_miss(world, key);
		return;
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(item->value);
	if (reply.status != REPLY_NUMBER)
		return;
	if (item->value[0] >= '0' && item->value[0] <= '9' && item->value_bytes <= 19) {
		uint64_t before;

		item->value[item->value_bytes] = 0;
		before = strtoull((char *)item->value, NULL, 10);
		CU_ASSERT_EQUAL_FATAL(reply.number, incr             ? before + delta
		                                    : before > delta ? before - delta
		                                                     : 0);
	}
	length = (uint32_t)snprintf(text, sizeof(text), "%llu", (unsigned long long)reply.number);
	value = malloc(max_u32(length, item->value_bytes) + 8);
	memset(value, ' ', max_u32(length, item->value_bytes));
	memcpy(value, text, length);
	free(item->value);
	item->value = value;
	item->value_bytes = max_u32(length, item->value_bytes);
	item->cas_unique = 0;
}

static void step_delete(struct world *world, uint32_t key)
{
	struct reply reply = execute(world, (struct request){.op = REQUEST_DELETE}, key);

	if (reply.status == REPLY_DELETED)
		CU_ASSERT_PTR_NOT_NULL_FATAL(model_at(world, key)->value)
	else
		expect_miss(world, key);
	forget(&world->items[key]);
}

static void model_flush(struct world *world)
{
	world->flush_due_s = 0;
	for (uint32_t i = 0; i < world->key_count; i++)
		forget(&world->items[i]);
}

static void step_flush(struct world *world)
{
	uint32_t delay_s = below(world, 3);

	rig_execute(&world->rig, (struct request){.op = REQUEST_FLUSH_ALL, .exptime = delay_s});
	if (delay_s == 0)
		model_flush(world);
	else
		world->flush_due_s = world->rig.now_s + delay_s;
}

static void step_time(struct world *world)
{
	world->rig.now_s += 1 + below(world, 3);
	if (world->flush_due_s != 0 && world->flush_due_s <= world->rig.now_s)
		model_flush(world);
}

static void step(struct world *world)
{
	struct open_write *open = &world->writes[below(world, WRITE_COUNT)];
	uint32_t key = below(world, world->key_count);
	uint32_t kind = below(world, world->in_turns ? 975 : 1000);

	if (kind < 550)
		open->active ? step_write(world, open) : step_begin(world, open);
	else if (kind < 850)
		step_read(world, key);
	else if (kind < 900)
		step_touch(world, key);
	else if (kind < 950)
		step_delta(world, key);
	else if (kind < 975)
		step_delete(world, key);
	else if (kind < 981)
		step_time(world);
	else if (below(world, 100) == 0)
		step_flush(world);
	else
		step_read(world, key);
}

static void count_resizes(struct world *world)
{
	uint64_t bytes = RIG_STORE_COUNTER(&world->rig, hash_bytes);

	world->resizes += bytes != world->index_bytes;
	world->index_bytes = bytes;
}

static void world_destroy(struct world *world)
{
	for (uint32_t i = 0; i < WRITE_COUNT; i++) {
		struct open_write *open = &world->writes[i];

		if (open->active && !open->failed)
			shard_write_abandon(world->rig.shard, &open->write);
		if (open->active)
			free(open->value);
	}
	for (uint32_t i = 0; i < READER_COUNT; i++)
		reader_finish(&world->readers[i]);
	for (uint32_t i = 0; i < KEY_COUNT_MAX; i++)
		forget(&world->items[i]);
	CU_ASSERT_EQUAL(RIG_STORE_COUNTER(&world->rig, reservations), 0);
	rig_destroy(&world->rig);
	free(world);
}

static void run(uint64_t seed, uint64_t step_count, struct rig_options options, uint32_t key_count,
                bool is_roomy, bool in_turns)
{
	struct world *world = calloc(1, sizeof(*world));

	options.hash_seed = seed;
	options.block_count = 256;
	world->random = random_seeded(seed);
	world->key_count = key_count;
	world->value_bytes_max = options.value_bytes_max;
	world->is_roomy = is_roomy;
	world->in_turns = in_turns;
	rig_create(&world->rig, options);
	for (uint32_t i = 0; i < READER_COUNT; i++)
		chain_create(&world->readers[i].chain, &world->rig.pool);
	for (uint64_t i = 0; i < step_count; i++) {
		world->is_tiny = in_turns && i * 3 / step_count % 2 == 0;
		step(world);
		count_resizes(world);
		if (i % 1024 == 0)
			shard_check(world->rig.shard);
	}
	/* its first page, one more, one less, one more */
	if (in_turns)
		CU_ASSERT_TRUE(world->resizes >= 4);
	if (!is_roomy)
		CU_ASSERT_TRUE(RIG_STORE_COUNTER(&world->rig, evictions) > 0);
	printf(
	    "seed %llu: %llu hits, %llu misses, %llu refused, %llu evictions, %llu by the index, "
	    "%llu reclaimed\n",
	    (unsigned long long)seed, (unsigned long long)world->hits,
	    (unsigned long long)world->misses, (unsigned long long)world->refusals,
	    (unsigned long long)RIG_STORE_COUNTER(&world->rig, evictions),
	    (unsigned long long)RIG_STORE_COUNTER(&world->rig, index_evictions),
	    (unsigned long long)RIG_STORE_COUNTER(&world->rig, reclaimed));
	world_destroy(world);
}

/* Set by main() alone: a CUnit case takes no arguments. */
static uint64_t seed_from_user = 1;
static uint64_t step_count_from_user = 60000;

static void test_little_memory(void)
{
	run(seed_from_user, step_count_from_user,
	    (struct rig_options){.memory_bytes = shard_memory_bytes_min(VALUE_MAX, 1),
	                         .value_bytes_max = VALUE_MAX},
	    600, false, false);
}

static void test_very_little_memory(void)
{
	run(seed_from_user, step_count_from_user,
	    (struct rig_options){.memory_bytes = shard_memory_bytes_min(4096, 1),
	                         .value_bytes_max = 4096},
	    4096, false, false);
}

static void test_plenty_of_memory(void)
{
	run(seed_from_user, step_count_from_user,
	    (struct rig_options){.memory_bytes = 64u << 20, .value_bytes_max = 8192}, 300, true,
	    false);
}

/* So that the index grows, has to make way, and grows again. */
static void test_sizes_in_turns(void)
{
	run(seed_from_user, 12 * step_count_from_user,
	    (struct rig_options){.memory_bytes = 2u << 20, .value_bytes_max = 8192}, KEY_COUNT_MAX,
	    false, true);
}

static const struct unit_case cases[] = {
    {"with little memory nothing is ever wrong", test_little_memory},
    {"with very little memory nothing is ever wrong", test_very_little_memory},
    {"with plenty of memory nothing is ever lost", test_plenty_of_memory},
    {"when tiny and larger values take turns nothing is ever wrong", test_sizes_in_turns},
};

int main(int argument_count, char **arguments)
{
	if (argument_count > 1)
		seed_from_user = strtoull(arguments[1], NULL, 10);
	if (argument_count > 2)
		step_count_from_user = strtoull(arguments[2], NULL, 10);
	return UNIT_RUN("shard random", cases);
}
