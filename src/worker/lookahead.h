/* SPDX-License-Identifier: Apache-2.0 */
/* What the requests of a burst will need of the store, brought near before the first of them runs:
 * each waits for memory otherwise, one after the other. Keys are looked for where they most likely
 * are (proto/peek.h), so what is foreseen wrongly costs time and nothing else.
 *
 * Owner: one worker. */
#pragma once

#include "shard/shard.h"

#define LOOKAHEAD_KEYS 64 /* at a time */

struct foreseen {
	struct slice key; /* where it lies, until lookahead_end() */
	uint64_t hash;
	const uint8_t *request; /* where the request begins; NULL: it is one more key of a line */
	uint32_t request_bytes;
	bool is_get; /* as struct peek says */
	bool writes;
};

struct lookahead {
	struct shard *shard;
	struct foreseen keys[LOOKAHEAD_KEYS]; /* in the order in which they are asked for */
	uint32_t count;
	uint32_t next;      /* the first that has not been asked for */
	uint32_t item_next; /* the first whose item has not been brought near */
	bool is_line;       /* they are keys of one get line */
};

/* What has come from one client, up to so many requests of it: brings near what their keys are
 * found by. */
void lookahead_add(struct lookahead *lookahead, struct slice bytes, uint32_t count_max);

/* Some time later, the items. */
void lookahead_items(struct lookahead *lookahead);

/* Whether a key that has not been asked for lies in there. */
bool lookahead_has(const struct lookahead *lookahead, struct slice bytes);

/* The keys of a get line, this one and some of the rest, unless it was foreseen with others of its
 * line: all else is forgotten, and they are brought near. True: it was so. */
bool lookahead_keys(struct lookahead *lookahead, struct slice key, struct slice rest);

/* The plain get that begins there, if that is what was foreseen next; else NULL. All of it lies
 * there, but perhaps the last bytes are not the client's. */
static inline const struct foreseen *lookahead_get(const struct lookahead *lookahead,
                                                   const uint8_t *bytes)
{
	const struct foreseen *next = &lookahead->keys[lookahead->next];

	if (lookahead->next == lookahead->count || next->request != bytes || !next->is_get)
		return NULL;
	return next;
}

/* The hash of the key that lies there; 0: it was not foreseen. */
uint64_t lookahead_hash(struct lookahead *lookahead, struct slice key);

/* The bytes are gone. */
static inline void lookahead_end(struct lookahead *lookahead)
{
	lookahead->count = 0;
	lookahead->next = 0;
	lookahead->item_next = 0;
	lookahead->is_line = false;
}
