/* SPDX-License-Identifier: Apache-2.0 */
/* One shard with memory of its own and a chain for its replies. Owner: the test. */
#pragma once

#include "base/chain.h"
#include "shard/shard.h"

#include "unit.h"

#include <stdlib.h>

#define RIG_UNIX_TIME_S 1700000000u

struct rig {
	struct shard *shard;
	struct block_pool pool;
	struct chain chain;
	uint32_t now_s;
	uint64_t filled_count; /* keys that rig_fill() has made up */
	uint8_t *region;
};

struct rig_options {
	uint64_t memory_bytes;
	uint32_t value_bytes_max;
	uint32_t block_count;
	uint64_t hash_seed;
};

/* In place: the block pool points at the chain's owner. Zeros are defaults. */
static inline void rig_create(struct rig *rig, struct rig_options options)
{
	struct shard_options shard_options = {
	    .memory_bytes = options.memory_bytes ? options.memory_bytes : 8u << 20,
	    .value_bytes_max = options.value_bytes_max ? options.value_bytes_max : 1u << 20,
	    .hash_seed = options.hash_seed,
	    .unix_time_at_start_s = RIG_UNIX_TIME_S,
	};
	uint32_t block_count = options.block_count ? options.block_count : 16;
	struct memory memory = {
	    .bytes = memory_rounded(shard_options.memory_bytes) + block_pool_bytes(block_count),
	};
	struct references references;
	size_t used_bytes;

	rig->region = memory.base = aligned_alloc(CACHE_LINE_BYTES, memory.bytes);
	memset(memory.base, 0, memory.bytes);
	CU_ASSERT_EQUAL_FATAL(shard_create(&rig->shard, &shard_options, &memory), 0);
	used_bytes = memory.used_bytes;
	CU_ASSERT_TRUE(used_bytes <= shard_options.memory_bytes);
	references = shard_references(rig->shard);
	block_pool_create(&rig->pool, block_count, &memory, &references);
	chain_create(&rig->chain, &rig->pool);
	rig->now_s = 1;
	rig->filled_count = 0;
}

static inline void rig_destroy(struct rig *rig)
{
	chain_clear(&rig->chain);
	shard_check(rig->shard);
	CU_ASSERT_EQUAL(counter_read(&shard_store_counters(rig->shard)->pins), 0);
	free(rig->region);
}

static inline struct slice rig_slice(const char *text)
{
	return (struct slice){(const uint8_t *)text, strlen(text)};
}

static inline struct reply rig_execute(struct rig *rig, struct request request)
{
	struct reply reply = {0};

	CU_ASSERT_TRUE_FATAL(shard_execute(rig->shard, &request, rig->now_s, &reply));
	return reply;
}

/* The whole of a storage command. */
static inline enum reply_status rig_store(struct rig *rig, struct request request,
                                          struct slice value)
{
	struct shard_write write;
	struct reply reply = {0};
	enum reply_status status;

	request.value_bytes = value.length;
	status = shard_write_begin(rig->shard, &write, &request, rig->now_s);
	if (status != REPLY_STORED)
		return status;
	if (!shard_write_bytes(rig->shard, &write, value.data, value.length))
		return REPLY_NO_MEMORY;
	CU_ASSERT_EQUAL(write.left_bytes, 0);
	shard_write_commit(rig->shard, &write, rig->now_s, &reply);
	return reply.status;
}

static inline enum reply_status rig_set(struct rig *rig, const char *key, const char *value)
{
	struct request request = {.op = REQUEST_SET, .key = rig_slice(key)};

	return rig_store(rig, request, rig_slice(value));
}

static inline struct reply rig_get(struct rig *rig, const char *key)
{
	return rig_execute(
	    rig, (struct request){.op = REQUEST_GET, .with_cas = true, .key = rig_slice(key)});
}

static inline bool rig_has(struct rig *rig, const char *key)
{
	return rig_get(rig, key).status == REPLY_HIT;
}

static inline bool rig_value_is(struct rig *rig, const char *key, struct slice value)
{
	struct reply reply = rig_get(rig, key);
	uint8_t *bytes;
	bool equal;

	if (reply.status != REPLY_HIT || reply.value_bytes != value.length)
		return false;
	bytes = malloc(value.length + 1);
	shard_copy_value(rig->shard, &reply, bytes);
	equal = memcmp(bytes, value.data, value.length) == 0;
	free(bytes);
	return equal;
}

static inline bool rig_is(struct rig *rig, const char *key, const char *value)
{
	return rig_value_is(rig, key, rig_slice(value));
}

/* Bytes that differ by seed and place. The caller frees them. */
static inline struct slice rig_pattern(uint32_t length, uint32_t seed)
{
	uint8_t *bytes = malloc(length + 1);

	for (uint32_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)((i + seed) * 2654435761u >> 24);
	return (struct slice){bytes, length};
}

/* Writes ever new keys of 1,000 bytes until so many bytes have gone by. */
static inline void rig_fill(struct rig *rig, uint64_t bytes)
{
	struct slice value = rig_pattern(1000, 7);
	char key[32];

	for (uint64_t i = 0; i < bytes / 1024; i++) {
		struct request request = {.op = REQUEST_SET};

		snprintf(key, sizeof(key), "fill-%llu", (unsigned long long)rig->filled_count++);
		request.key = rig_slice(key);
		CU_ASSERT_EQUAL(rig_store(rig, request, value), REPLY_STORED);
	}
	free((void *)(uintptr_t)value.data);
}

#define RIG_COUNTER(rig, name)       counter_read(&shard_counters((rig)->shard)->name)
#define RIG_STORE_COUNTER(rig, name) counter_read(&shard_store_counters((rig)->shard)->name)
