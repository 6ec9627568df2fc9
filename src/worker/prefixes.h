/* SPDX-License-Identifier: Apache-2.0 */
/* What `stats detail` tells: requests by the prefix of their key, which is what stands before its
 * first colon. Keys without one are not counted. There is room for so many prefixes; those that
 * come later are not listed. Owner: one worker. */
#pragma once

#include "base/counter.h"
#include "base/memory.h"
#include "base/siphash.h"
#include "shard/event.h"

#define PREFIX_COUNT_MAX  4096
#define PREFIX_BYTES_MAX  (32 * PREFIX_COUNT_MAX) /* of all of them together */
#define PREFIX_DELIMITER  ':'
#define PREFIX_LINE_BYTES (KEY_BYTES_MAX + 128)

/* "PREFIX name get 1 hit 1 set 1 del 1" */
struct prefix {
	uint64_t gets;
	uint64_t hits;
	uint64_t sets;
	uint64_t deletes;
	uint32_t text_at;
	uint32_t text_bytes;
};

struct prefixes {
	bool is_on;
	struct siphash_key key; /* so that nobody can choose names which fall together */
	struct prefix *prefixes;
	uint32_t count;
	uint16_t *slots; /* by hash, open addressing: 1 + the index of a prefix; 0: free */
	uint8_t *text;
	uint32_t text_bytes;
};

/* Bytes of memory that prefixes_create() takes. */
size_t prefixes_bytes(void);
void prefixes_create(struct prefixes *prefixes, const struct siphash_key *key,
                     struct memory *memory);

void prefixes_reset(struct prefixes *prefixes);

/* Counts it, when it is on. False: there is no room for its prefix. */
bool prefixes_count(struct prefixes *prefixes, const struct shard_event *event);

/* Writes the line of the prefix number `index`, with CR LF: at most PREFIX_LINE_BYTES. Returns how
 * long it is. */
uint32_t prefixes_write_line(const struct prefixes *prefixes, uint32_t index, uint8_t *to);
