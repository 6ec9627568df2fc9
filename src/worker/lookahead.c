/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/lookahead.h"

#include "base/assert.h"
#include "proto/line.h"
#include "proto/peek.h"

#define KEYS_A_LINE 8 /* at a time */

void lookahead_add(struct lookahead *lookahead, struct slice bytes, uint32_t count_max)
{
	struct peek peek;

	for (uint32_t i = 0; i < count_max && lookahead->count < LOOKAHEAD_KEYS; i++) {
		if (!request_peek(bytes, &peek))
			return;
		lookahead->keys[lookahead->count++] = (struct foreseen){
		    .key = peek.key,
		    .hash = shard_foresee(lookahead->shard, peek.key, peek.writes),
		    .request = bytes.data,
		    .request_bytes = (uint32_t)peek.bytes,
		    .is_get = peek.is_get,
		    .writes = peek.writes,
		};
		if (peek.bytes >= bytes.length)
			return;
		bytes.data += peek.bytes;
		bytes.length -= peek.bytes;
	}
}

bool lookahead_has(const struct lookahead *lookahead, struct slice bytes)
{
	const struct foreseen *next = &lookahead->keys[lookahead->next];

	return lookahead->next < lookahead->count && next->key.data >= bytes.data &&
	       next->key.data < bytes.data + bytes.length;
}

bool lookahead_keys(struct lookahead *lookahead, struct slice key, struct slice rest)
{
	if (lookahead->is_line && lookahead_has(lookahead, key))
		return false;
	lookahead_end(lookahead);
	lookahead->is_line = true;
	for (; key.length > 0 && lookahead->count < KEYS_A_LINE; key = line_next_word(&rest))
		lookahead->keys[lookahead->count++] = (struct foreseen){
		    .key = key, .hash = shard_foresee(lookahead->shard, key, false)};
	lookahead_items(lookahead);
	return true;
}

void lookahead_items(struct lookahead *lookahead)
{
	for (; lookahead->item_next < lookahead->count; lookahead->item_next++) {
		const struct foreseen *foreseen = &lookahead->keys[lookahead->item_next];

		shard_foresee_item(lookahead->shard, foreseen->hash, foreseen->writes);
	}
}

uint64_t lookahead_hash(struct lookahead *lookahead, struct slice key)
{
	for (uint32_t i = lookahead->next; i < lookahead->count; i++) {
		const struct foreseen *foreseen = &lookahead->keys[i];

		if (foreseen->key.data != key.data || foreseen->key.length != key.length)
			continue;
		ASSERT_SLOW(foreseen->hash == shard_hash(lookahead->shard, key));
		lookahead->next = i + 1;
		return foreseen->hash;
	}
	return 0;
}
