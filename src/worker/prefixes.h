/* SPDX-License-Identifier: Apache-2.0 */
/* What `stats detail` tells: requests by the prefix of their key, which is what stands before its
 * first colon. Keys without one are not counted. There is room for so many prefixes; those that
 * come later are not listed. Owner: one worker; the others read it, too, to list all of them. */
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
	_Atomic uint64_t gets;
	_Atomic uint64_t hits;
	_Atomic uint64_t sets;
	_Atomic uint64_t deletes;
	uint32_t text_at;
	uint32_t text_bytes;
};

struct prefixes {
	bool is_on;
	atomic_flag is_held;    /* nobody else empties it, or reads it while it is emptied */
	struct siphash_key key; /* so that nobody can choose names which fall together */
	struct prefix *prefixes;
	_Atomic uint32_t count;
	_Atomic uint16_t *slots; /* by hash, open addressing: 1 + the index of a prefix; 0: free */
	uint8_t *text;
	uint32_t text_bytes;
};

/* Bytes of memory that prefixes_create() takes. */
size_t prefixes_bytes(void);
void prefixes_create(struct prefixes *prefixes, const struct siphash_key *key,
                     struct memory *memory);

/* False: somebody reads it now. */
bool prefixes_reset(struct prefixes *prefixes);

/* Counts it, when it is on. False: there is no room for its prefix. */
bool prefixes_count(struct prefixes *prefixes, const struct shard_event *event);

/* Lists the sums over these, a line with CR LF (at most PREFIX_LINE_BYTES) a prefix. False: `line`
 * has returned false. */
bool prefixes_list(struct prefixes *const all[], uint32_t count,
                   bool (*line)(void *context, struct slice line), void *context);
