/* SPDX-License-Identifier: Apache-2.0 */
#include "shard/call.h"

#include "shard/internal.h"

#define SERVED_A_TURN 64    /* of the calls of one worker */
#define COPIED_A_TURN 65536 /* bytes of one value */

static size_t ring_bytes(uint32_t call_count)
{
	return memory_rounded(sizeof(struct spsc)) +
	       spsc_bytes(sizeof(struct shard_call *), call_count);
}

size_t shards_bytes(uint32_t count, uint32_t call_count)
{
	return 2 * count * count * ring_bytes(call_count);
}

static struct spsc *rings_create(uint32_t count, uint32_t call_count, struct memory *memory)
{
	struct spsc *rings = memory_take(memory, count * sizeof(struct spsc));

	for (uint32_t i = 0; i < count; i++)
		spsc_create(&rings[i], sizeof(struct shard_call *), call_count, memory);
	return rings;
}

void shards_create(struct shards *shards, uint32_t count, uint32_t call_count,
                   struct memory *memory)
{
	*shards = (struct shards){
	    .count = count,
	    .calls = rings_create(count * count, call_count, memory),
	    .answers = rings_create(count * count, call_count, memory),
	};
	epoch_create(&shards->epoch, count);
}

static struct spsc *ring(struct spsc *rings, const struct shards *shards, uint32_t from,
                         uint32_t to)
{
	return &rings[from * shards->count + to];
}

void shard_call_to(struct shard *shard, uint32_t to, struct shard_call *call)
{
	ASSERT(to != shard->number);
	call->from = shard->number;
	call->to = to;
	call->pinned = NULL;
	if (!spsc_push(ring(shard->shards->calls, shard->shards, shard->number, to), &call))
		ASSERT(!"there are no more calls than there is room for");
}

void shard_call(struct shard *shard, struct shard_call *call)
{
	struct slice key = call->request.key;

	if (call->write != NULL) {
		shard_write_hand_over(shard, call->write);
		key = shard_write_key(call->write);
	}
	shard_call_to(shard, shards_owner(shard->shards, key), call);
}

void shard_call_end(struct shard *shard, struct shard_call *call)
{
	if (call->pinned != NULL)
		store_unpin(shard->shards->list[call->to]->store, call->pinned);
	call->pinned = NULL;
	if (call->write != NULL)
		shard_write_abandon(shard, call->write);
}

static void execute(struct shard *shard, struct shard_call *call, uint32_t now_s)
{
	if (!shard_execute(shard, &call->request, now_s, &call->reply))
		ASSERT(!"it is for the key's owner");
	if (call->reply.status == REPLY_HIT)
		call->pinned = store_pin(shard->store, call->reply.item);
}

/* False: it is not over, as there is no room yet, or much to copy. */
static bool serve(struct shard *shard, struct shard_call *call, uint32_t now_s)
{
	struct serving *serving = &shard->serving[call->from];

	if (!shard_is_ready(shard))
		return false;
	if (call->write == NULL) {
		execute(shard, call, now_s);
		return true;
	}
	if (serving->call == NULL && !shard_write_take_over(shard, serving, call, now_s))
		return true; /* refused */
	if (!shard_write_go_on(shard, serving, COPIED_A_TURN, now_s))
		return false;
	serving->call = NULL;
	return true;
}

static uint32_t serve_calls_of(struct shard *shard, uint32_t from, uint32_t now_s)
{
	struct shards *shards = shard->shards;
	struct spsc *in = ring(shards->calls, shards, from, shard->number);
	struct spsc *out = ring(shards->answers, shards, shard->number, from);
	uint32_t count = 0;

	for (; count < SERVED_A_TURN; count++) {
		struct shard_call **entry = spsc_peek(in);
		struct shard_call *call;

		if (entry == NULL)
			return count;
		call = *entry;
		if (!serve(shard, call, now_s))
			return count + 1;
		spsc_drop(in);
		if (!spsc_push(out, &call))
			ASSERT(!"there are no more calls than there is room for");
	}
	return count;
}

uint32_t shard_serve_calls(struct shard *shard, uint32_t now_s,
                           void (*answered)(void *context, struct shard_call *call), void *context)
{
	struct shards *shards = shard->shards;
	struct shard_call *call;
	uint32_t count = 0;

	for (uint32_t i = 0; shards != NULL && i < shards->count; i++) {
		struct spsc *answers = ring(shards->answers, shards, i, shard->number);

		if (i == shard->number)
			continue;
		count += serve_calls_of(shard, i, now_s);
		for (; spsc_pop(answers, &call); count++)
			answered(context, call);
	}
	return count;
}

static bool has_for(const struct shard *shard, uint32_t from, uint32_t to)
{
	const struct shards *shards = shard->shards;

	return !spsc_is_empty(ring(shards->calls, shards, from, to)) ||
	       !spsc_is_empty(ring(shards->answers, shards, from, to));
}

bool shard_calls(const struct shard *shard, uint32_t to)
{
	return has_for(shard, shard->number, to);
}

bool shard_is_called(const struct shard *shard)
{
	for (uint32_t i = 0; i < shard->shards->count; i++)
		if (i != shard->number && has_for(shard, i, shard->number))
			return true;
	return false;
}
