/* SPDX-License-Identifier: Apache-2.0 */
/* What happens in a shard, for somebody who watches it. */
#pragma once

#include "proto/request.h"

enum shard_event_kind {
	SHARD_FETCHED, /* a key was looked for: HIT or MISS */
	SHARD_STORED,  /* a value was to be stored: STORED, NOT_STORED, EXISTS … */
	SHARD_DELETED, /* a key was to be deleted: DELETED, NOT_FOUND, EXISTS */
	SHARD_EVICTED, /* an item had to go for want of memory: no client has asked for it */
};

struct shard_event {
	enum shard_event_kind kind;
	enum request_op op;       /* of the request; not EVICTED */
	enum reply_status status; /* not EVICTED */
	struct slice key;         /* valid for as long as one is told of it */
	uint64_t value_bytes;     /* of what is there, or was; 0: nothing */
	int64_t ttl_s;            /* STORED, EVICTED: left to the item; TTL_NEVER */
	uint32_t idle_s;          /* EVICTED: since it was last read */
	bool was_fetched;         /* EVICTED: by anybody */
};

/* Is told of each event as it happens; calls nothing of the shard. */
struct shard_observer {
	void (*observe)(void *context, const struct shard_event *event);
	void *context;
};
