/* SPDX-License-Identifier: Apache-2.0 */
/* What a key's class (store/classes.h) says of how long it lives and how often it is asked for. */
#include "shard/internal.h"

/* A worker takes the requests of a second from what all of them may have, so many at a time: one
 * in so many of its even share. */
#define RATE_PARTS 16

uint32_t shard_item_expiry_s(const struct shard *shard, struct slice key, int64_t exptime,
                             uint32_t now_s)
{
	uint32_t expiry_s = shard_expiry_s(shard, exptime, now_s);
	const struct class_rules *rules;

	if (shard->classes == NULL)
		return expiry_s;
	rules = &shard->classes->rules[classes_of(shard->classes, key)];
	if (expiry_s == 0 && rules->ttl_default_s != 0)
		expiry_s = now_s + rules->ttl_default_s;
	if (rules->ttl_max_s != 0 && (expiry_s == 0 || expiry_s > now_s + rules->ttl_max_s))
		expiry_s = now_s + rules->ttl_max_s;
	return expiry_s;
}

/* Some of what all may have in this second, at most `part`. */
static uint32_t take_rate(_Atomic uint64_t *granted, uint32_t rate, uint32_t part, uint32_t now_s)
{
	/* relaxed: a lone number */
	uint64_t before = atomic_load_explicit(granted, memory_order_relaxed);
	uint32_t second, count, took;

	do {
		second = max_u32((uint32_t)(before >> 32), now_s); /* others may be ahead */
		count = before >> 32 == second ? (uint32_t)before : 0;
		took = min_u32(part, rate - count);
	} while (took > 0 && !atomic_compare_exchange_weak_explicit(
	                         granted, &before, (uint64_t)second << 32 | (count + took),
	                         memory_order_relaxed, memory_order_relaxed));
	return took;
}

bool shard_admit(struct shard *shard, struct slice key, uint32_t now_s)
{
	struct shard_class *class;
	uint32_t number, rate, part;

	if (shard->classes == NULL)
		return true;
	number = classes_of(shard->classes, key);
	rate = shard->classes->rules[number].rate_max;
	if (rate == 0)
		return true;
	class = &shard->class_of[number];
	if (class->rate_s != now_s) {
		class->rate_s = now_s;
		class->rate_left = shard->shards == NULL ? rate : 0;
	}
	if (class->rate_left == 0 && shard->shards != NULL) {
		part = max_u32(rate / shard->shards->count / RATE_PARTS, 1);
		class->rate_left = take_rate(&shard->shards->granted[number], rate, part, now_s);
	}
	if (class->rate_left == 0) {
		counter_add(&class->counters.rate_limited, 1);
		return false;
	}
	class->rate_left--;
	return true;
}
