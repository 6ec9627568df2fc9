/* SPDX-License-Identifier: Apache-2.0 */
/* How a worker has done what only the owner of a key may do: it hands the owner a call, over a ring
 * with the owner at its other end, and gets it back with the reply. The calls of one worker to
 * another are served in their order.
 *
 * A value that comes with a call lies in the caller's own shard, staged, until the call is over;
 * the owner copies it, a large one a part in each turn.
 *
 * Owner of a call: the caller, but while it is on its way. */
#pragma once

#include "shard/shard.h"

struct shard_call {
	/* their own: */
	uint32_t to;
	struct segment *pinned; /* of reply.item, or NULL */
	/* the caller's to fill in: one of the two */
	struct shard_write *write; /* all of a staged value, or why there is none; or NULL */
	struct request request;    /* its slices stay until the call is over */
	/* the owner's */
	struct reply reply; /* what it points to stays until shard_call_end() */
};

/* Hands it to the key's owner; if the request has no key, to that shard. */
void shard_call(struct shard *shard, struct shard_call *call);
void shard_call_to(struct shard *shard, uint32_t to, struct shard_call *call);

/* Finds the calls of others that are to be served in this turn, and brings near what they need: at
 * its beginning. And, when that is there, what is found by it. What comes later waits for the next
 * turn: to serve it at once, with all still far, takes some 300 cycles more. */
void shard_foresee_calls(struct shard *shard);
void shard_foresee_called_items(const struct shard *shard);

/* Serves those calls of others. Once a turn. Returns how many there were. */
uint32_t shard_serve_calls(struct shard *shard, uint32_t now_s);

/* Takes in one's own calls that have come back: `answered` is told of each, and may make new ones.
 * Once a turn. Returns how many there were. */
uint32_t shard_take_answers(struct shard *shard,
                            void (*answered)(void *context, struct shard_call *call),
                            void *context);

/* Whether the one has calls for the other, or replies. */
bool shards_call(const struct shards *shards, uint32_t from, uint32_t to);

/* The reply has been made use of. */
void shard_call_end(struct shard *shard, struct shard_call *call);
