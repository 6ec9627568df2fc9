/* SPDX-License-Identifier: Apache-2.0 */
#include "shard/call.h"

#include "base/prefetch.h"
#include "shard/internal.h"

#define SERVED_A_TURN 64    /* of the calls of one worker */
#define COPIED_A_TURN 65536 /* bytes of one value */

#define FORESEEN    16 /* calls of one worker, at the beginning of a turn */
#define CALL_LINES  3  /* of a call, those that a write wants */
#define WRITE_LINES 2  /* … of its struct shard_write */
#define ITEM_LINES  3  /* … of what is staged */

/* A call as it goes over the ring: with all that has to be brought near for it, at once. */
struct entry {
	struct shard_call *call;
	uint64_t hash; /* of the key; 0: none */
	const struct shard_write *write;
	const void *item;
};

static size_t ring_bytes(uint32_t call_count)
{
	return memory_rounded(sizeof(struct spsc)) + spsc_bytes(sizeof(struct entry), call_count);
}

size_t shards_bytes(uint32_t count, uint32_t call_count)
{
	return 2 * count * count * ring_bytes(call_count);
}

static struct spsc *rings_create(uint32_t count, uint32_t call_count, struct memory *memory)
{
	struct spsc *rings = memory_take(memory, count * sizeof(struct spsc));

	for (uint32_t i = 0; i < count; i++)
		spsc_create(&rings[i], sizeof(struct entry), call_count, memory);
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

static void hand_over(struct shard *shard, uint32_t to, struct shard_call *call, uint64_t hash)
{
	struct entry entry = {call, hash, call->write, NULL};

	ASSERT(to != shard->number);
	if (call->write != NULL)
		entry.item = shard_write_item(call->write);
	call->from = shard->number;
	call->to = to;
	call->pinned = NULL;
	if (!spsc_push(ring(shard->shards->calls, shard->shards, shard->number, to), &entry))
		ASSERT(!"there are no more calls than there is room for");
}

void shard_call_to(struct shard *shard, uint32_t to, struct shard_call *call)
{
	hand_over(shard, to, call, 0);
}

void shard_call(struct shard *shard, struct shard_call *call)
{
	uint64_t hash;

	if (call->write != NULL)
		hash = shard_write_hand_over(shard, call->write);
	else
		hash = shard_request_hash(shard, &call->request);
	call->request.hash = hash;
	hand_over(shard, shards_number(shard->shards, hash), call, hash);
}

void shard_call_end(struct shard *shard, struct shard_call *call)
{
	if (call->pinned != NULL)
		store_unpin(shard->shards->stores[call->to], call->pinned);
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

static const struct entry *entry_at(struct spsc *rings, const struct shard *shard, uint32_t from,
                                    uint32_t behind)
{
	if (from == shard->number || behind == FORESEEN)
		return NULL;
	return spsc_look(ring(rings, shard->shards, from, shard->number), behind);
}

void shard_foresee_calls(const struct shard *shard)
{
	struct shards *shards = shard->shards;
	const struct entry *entry;

	for (uint32_t i = 0; shards != NULL && i < shards->count; i++) {
		for (uint32_t j = 0; (entry = entry_at(shards->calls, shard, i, j)) != NULL; j++) {
			prefetch(entry->call, CALL_LINES);
			prefetch(entry->write, entry->write == NULL ? 0 : WRITE_LINES);
			prefetch(entry->item, entry->item == NULL ? 0 : ITEM_LINES);
			if (entry->hash != 0)
				store_prefetch_to_write(shard->store, entry->hash);
		}
		for (uint32_t j = 0; (entry = entry_at(shards->answers, shard, i, j)) != NULL; j++)
			prefetch(entry->call, CALL_LINES);
	}
}

void shard_foresee_called_items(const struct shard *shard)
{
	struct shards *shards = shard->shards;
	const struct entry *entry;

	for (uint32_t i = 0; shards != NULL && i < shards->count; i++)
		for (uint32_t j = 0; (entry = entry_at(shards->calls, shard, i, j)) != NULL; j++)
			if (entry->hash != 0)
				store_prefetch_item(shard->store, entry->hash, true);
}

static uint32_t serve_calls_of(struct shard *shard, uint32_t from, uint32_t now_s)
{
	struct shards *shards = shard->shards;
	struct spsc *in = ring(shards->calls, shards, from, shard->number);
	struct spsc *out = ring(shards->answers, shards, shard->number, from);
	uint32_t count = 0;

	for (; count < SERVED_A_TURN; count++) {
		struct entry *at = spsc_peek(in);
		struct entry entry;

		if (at == NULL)
			return count;
		entry = *at;
		if (!serve(shard, entry.call, now_s))
			return count + 1;
		spsc_drop(in);
		if (!spsc_push(out, &entry))
			ASSERT(!"there are no more calls than there is room for");
	}
	return count;
}

uint32_t shard_serve_calls(struct shard *shard, uint32_t now_s,
                           void (*answered)(void *context, struct shard_call *call), void *context)
{
	struct shards *shards = shard->shards;
	struct entry entry;
	uint32_t count = 0;

	for (uint32_t i = 0; shards != NULL && i < shards->count; i++) {
		struct spsc *answers = ring(shards->answers, shards, i, shard->number);

		if (i == shard->number)
			continue;
		count += serve_calls_of(shard, i, now_s);
		for (; spsc_pop(answers, &entry); count++)
			answered(context, entry.call);
	}
	return count;
}

bool shards_call(const struct shards *shards, uint32_t from, uint32_t to)
{
	return !spsc_is_empty(ring(shards->calls, shards, from, to)) ||
	       !spsc_is_empty(ring(shards->answers, shards, from, to));
}
