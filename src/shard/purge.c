/* SPDX-License-Identifier: Apache-2.0 */
/* PURGE: each shard does its own part; a number is all the shards', until the last one has ended.
 */
#include "shard/internal.h"

_Static_assert(PURGES_MAX <= 32, "each has a bit");

static bool find_class(const struct shard *shard, struct slice name, uint64_t *ret_number)
{
	for (uint32_t i = 0; shard->classes != NULL && i < shard->classes->count; i++) {
		const char *text = shard->classes->rules[i].name;

		if (slice_equal(name, (struct slice){(const uint8_t *)text, strlen(text)})) {
			*ret_number = i;
			return true;
		}
	}
	return false;
}

static bool take_number(struct shard *shard, uint32_t number)
{
	uint32_t none = 0;

	if (shard->shards == NULL)
		return !store_has_purge(shard->store, number);
	/* relaxed: each shard has ended it in a turn of its own before it is asked again */
	return atomic_compare_exchange_strong_explicit(&shard->shards->purges[number], &none,
	                                               shard->shards->count, memory_order_relaxed,
	                                               memory_order_relaxed);
}

enum reply_status shard_begin_purge(struct shard *shard, struct request *request)
{
	if ((request->modifiers & REQUEST_OF_CLASS) &&
	    !find_class(shard, request->key, &request->initial))
		return REPLY_NO_CLASS;
	for (uint32_t i = 0; i < PURGES_MAX; i++)
		if (take_number(shard, i)) {
			request->delta = i;
			return REPLY_OK;
		}
	return REPLY_MANY_PURGES;
}

void shard_give_back_purge(struct shard *shard, const struct request *request)
{
	if (shard->shards != NULL)
		atomic_store_explicit(&shard->shards->purges[request->delta], 0,
		                      memory_order_relaxed);
}

void shard_execute_purge(struct shard *shard, const struct request *request,
                         struct reply *ret_reply)
{
	struct purge_target target = {.prefix = request->key, .class = PURGE_ANY_CLASS};

	if (request->modifiers & REQUEST_OF_CLASS)
		target = (struct purge_target){.class = (uint32_t)request->initial};
	if (!(request->modifiers & REQUEST_PASSED_ON))
		counter_add(&shard->counters.cmd_purge, 1);
	store_purge(shard->store, (uint32_t)request->delta, &target);
	shard->purges |= 1u << request->delta;
	ret_reply->status = REPLY_OK;
}

void shard_end_purges(struct shard *shard)
{
	for (uint32_t i = 0; i < PURGES_MAX; i++) {
		if (!(shard->purges & 1u << i) || store_has_purge(shard->store, i))
			continue;
		shard->purges &= ~(1u << i);
		if (shard->shards != NULL)
			/* relaxed: as in take_number() */
			atomic_fetch_sub_explicit(&shard->shards->purges[i], 1,
			                          memory_order_relaxed);
	}
}
