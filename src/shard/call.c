/* SPDX-License-Identifier: Apache-2.0 */
#include "shard/call.h"

#include "base/prefetch.h"
#include "shard/internal.h"

#define SERVED_A_TURN 64    /* of the calls of one worker */
#define COPIED_A_TURN 65536 /* bytes of one value */

#define CALL_LINES 3 /* of a call that brings no value */
#define ITEM_LINES 3 /* of what is staged */

static size_t ring_bytes(size_t entry_bytes, uint32_t call_count)
{
	return memory_rounded(sizeof(struct spsc)) + spsc_bytes(entry_bytes, call_count);
}

size_t shards_bytes(uint32_t count, uint32_t call_count)
{
	return count * count *
	       (ring_bytes(sizeof(struct call_out), call_count) +
	        ring_bytes(sizeof(struct call_back), call_count));
}

static struct spsc *rings_create(uint32_t count, size_t entry_bytes, uint32_t call_count,
                                 struct memory *memory)
{
	struct spsc *rings = memory_take(memory, count * sizeof(struct spsc));

	for (uint32_t i = 0; i < count; i++)
		spsc_create(&rings[i], entry_bytes, call_count, memory);
	return rings;
}

void shards_create(struct shards *shards, uint32_t count, uint32_t call_count,
                   struct memory *memory)
{
	*shards = (struct shards){
	    .count = count,
	    .calls = rings_create(count * count, sizeof(struct call_out), call_count, memory),
	    .answers = rings_create(count * count, sizeof(struct call_back), call_count, memory),
	};
	epoch_create(&shards->epoch, count);
}

static struct spsc *ring(struct spsc *rings, const struct shards *shards, uint32_t from,
                         uint32_t to)
{
	return &rings[from * shards->count + to];
}

static void hand_over(struct shard *shard, uint32_t to, const struct call_out *out)
{
	ASSERT(to != shard->number);
	out->call->to = to;
	out->call->pinned = NULL;
	if (!spsc_push(ring(shard->shards->calls, shard->shards, shard->number, to), out))
		ASSERT(!"there are no more calls than there is room for");
}

void shard_call_to(struct shard *shard, uint32_t to, struct shard_call *call)
{
	hand_over(shard, to, &(struct call_out){.call = call, .op = (uint8_t)call->request.op});
}

void shard_call(struct shard *shard, struct shard_call *call)
{
	struct call_out out = {.call = call};

	if (call->write != NULL) {
		shard_write_hand_over(shard, call->write, &out);
	} else {
		call->request.hash = shard_request_hash(shard, &call->request);
		out.original.hash = call->request.hash;
		out.op = (uint8_t)call->request.op;
	}
	hand_over(shard, shards_number(shard->shards, out.original.hash), &out);
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
static bool serve(struct shard *shard, uint32_t from, const struct call_out *out, uint32_t now_s,
                  struct call_back *ret_back)
{
	if (!shard_is_ready(shard))
		return false;
	if (!request_has_value((enum request_op)out->op)) {
		execute(shard, out->call, now_s);
		return true;
	}
	if (!shard->serving[from].is_under_way &&
	    !shard_write_take_over(shard, from, out, now_s, ret_back))
		return true; /* refused */
	return shard_write_go_on(shard, from, COPIED_A_TURN, now_s, ret_back);
}

/* The call that comes so many after the oldest one of that worker; NULL: there is none. */
static const struct call_out *call_at(const struct shard *shard, uint32_t from, uint32_t behind)
{
	return spsc_look(ring(shard->shards->calls, shard->shards, from, shard->number), behind);
}

static void foresee(const struct shard *shard, const struct call_out *out)
{
	if (out->original.item != NULL)
		prefetch(out->original.item, ITEM_LINES);
	else
		prefetch(out->call, CALL_LINES);
	if (out->original.hash != 0)
		store_prefetch_to_write(shard->store, out->original.hash);
}

void shard_foresee_calls(struct shard *shard)
{
	uint32_t shard_count = shard->shards == NULL ? 0 : shard->shards->count;

	for (uint32_t i = 0; i < shard_count; i++) {
		uint32_t *count = &shard->serving[i].foreseen_count;
		const struct call_out *out;

		for (*count = 0; *count < SERVED_A_TURN; (*count)++) {
			out = i == shard->number ? NULL : call_at(shard, i, *count);
			if (out == NULL)
				break;
			foresee(shard, out);
		}
	}
}

void shard_foresee_called_items(const struct shard *shard)
{
	uint32_t shard_count = shard->shards == NULL ? 0 : shard->shards->count;

	for (uint32_t i = 0; i < shard_count; i++)
		for (uint32_t j = 0; j < shard->serving[i].foreseen_count; j++) {
			const struct call_out *out = call_at(shard, i, j);

			if (out->original.hash != 0)
				store_prefetch_item(shard->store, out->original.hash, true);
		}
}

static uint32_t serve_calls_of(struct shard *shard, uint32_t from, uint32_t now_s)
{
	struct shards *shards = shard->shards;
	struct spsc *in = ring(shards->calls, shards, from, shard->number);
	struct spsc *answers = ring(shards->answers, shards, shard->number, from);
	uint32_t count = 0;

	for (; count < shard->serving[from].foreseen_count; count++) {
		const struct call_out *out = spsc_peek(in);
		struct call_back back = {.call = out->call};

		if (!serve(shard, from, out, now_s, &back)) {
			count++;
			break;
		}
		spsc_drop(in);
		if (!spsc_push(answers, &back))
			ASSERT(!"there are no more calls than there is room for");
	}
	shard->serving[from].foreseen_count = 0;
	return count;
}

/* It has come back. */
static struct shard_call *take_back(const struct call_back *back)
{
	struct shard_call *call = back->call;

	if (call->write != NULL)
		call->reply = (struct reply){.status = back->status,
		                             .value_bytes = back->value_bytes,
		                             .cas_unique = back->cas_unique,
		                             .key = shard_write_key(call->write)};
	return call;
}

uint32_t shard_serve_calls(struct shard *shard, uint32_t now_s)
{
	uint32_t shard_count = shard->shards == NULL ? 0 : shard->shards->count;
	uint32_t count = 0;

	for (uint32_t i = 0; i < shard_count; i++)
		if (i != shard->number)
			count += serve_calls_of(shard, i, now_s);
	return count;
}

uint32_t shard_take_answers(struct shard *shard,
                            void (*answered)(void *context, struct shard_call *call), void *context)
{
	struct shards *shards = shard->shards;
	struct call_back back;
	uint32_t count = 0;

	for (uint32_t i = 0; shards != NULL && i < shards->count; i++) {
		struct spsc *answers = ring(shards->answers, shards, i, shard->number);

		if (i == shard->number)
			continue;
		for (; spsc_pop(answers, &back); count++)
			answered(context, take_back(&back));
	}
	return count;
}

bool shards_call(const struct shards *shards, uint32_t from, uint32_t to)
{
	return !spsc_is_empty(ring(shards->calls, shards, from, to)) ||
	       !spsc_is_empty(ring(shards->answers, shards, from, to));
}
