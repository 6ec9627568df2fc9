/* SPDX-License-Identifier: Apache-2.0 */
/* What the shard's own files share. */
#pragma once

#include "shard/shard.h"
#include "store/store.h"

#define SHARD_MAGIC 0x6b616e7465736864u

struct shard {
	uint64_t magic; /* SHARD_MAGIC */
	struct store *store;
	uint64_t unix_time_at_start_s;
	uint32_t value_bytes_max;
	struct shard_counters counters;
};

/* memcached's exptime as the second in which the item is gone; 0: never. */
uint32_t shard_expiry_s(const struct shard *shard, int64_t exptime, uint32_t now_s);

/* The live item with this key, or false. A dead one is removed on the way and counted as
 * get_expired or get_flushed, which memcached does for every command but the storage ones. */
bool shard_find(struct shard *shard, uint64_t hash, struct slice key,
                struct store_place *ret_place);

/* INCR and DECR. */
void shard_execute_delta(struct shard *shard, const struct request *request,
                         struct reply *ret_reply);
