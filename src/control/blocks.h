/* SPDX-License-Identifier: Apache-2.0 */
/* The block list: sources whose packets the cache's ports ignore. What makes kanted go by it is
 * blocking.h; here it is a list, sorted by address, then by length, with no prefix twice.
 *
 * Kept in one JSON file, written anew whole with each change (kept.h), which is not read when
 * others could have changed it (private_file.h). Owner: the control process's loop. */
#pragma once

#include "control/identity.h"
#include "net/blocked.h"

#include <stdint.h>

#define BLOCKS_REASON_BYTES_MAX 127

struct block_entry {
	struct ip_prefix prefix; /* comes first: it is what the list is sorted by */
	uint64_t created_s;      /* Unix time, as all here */
	uint64_t expires_s;      /* from then on it is not blocked any more; 0: never */
	char by[IDENTITY_NAME_BYTES];
	char reason[BLOCKS_REASON_BYTES_MAX + 1]; /* "": none */
};

struct blocks;

/* Reads the file, or begins with none when there is no file yet. 0; a negative errno with `error`
 * filled in: a line a fault, what is wrong with which line of the file, and what to do; it is left
 * alone. */
int blocks_open(struct blocks **ret_blocks, const char *path, char *error, size_t error_bytes);
void blocks_close(struct blocks *blocks); /* takes NULL */

/* "198.18.0.0/24", "fd00::/64", or an address alone. 0; -EINVAL with `error` filled in: it is none,
 * or has bits beyond its length that are not zero. */
int blocks_parse(struct ip_prefix *ret_prefix, const char *text, char *error, size_t error_bytes);

/* Puts them into the order of the list, and each once. Returns how many these are. */
uint32_t blocks_sort(struct ip_prefix *prefixes, uint32_t count);

struct blocks_wanted {
	const struct ip_prefix *prefixes; /* as blocks_parse() reads them, sorted as above */
	uint32_t count;
	uint64_t expires_s; /* 0: never */
	const char *by;     /* an identity's name */
	const char *reason; /* printable UTF-8 of up to BLOCKS_REASON_BYTES_MAX bytes; "": none */
};

struct blocks_added {
	uint32_t fresh;
	uint32_t changed; /* were on the list: expiry, reason and so on were replaced */
};

/* All of them, or none. 0; a negative errno with `error` filled in, and nothing has changed:
 * -EINVAL (also a prefix that has every IPv4 address in it), -ENOSPC (too many), -ENOMEM, or of the
 * disk. */
int blocks_add(struct blocks *blocks, const struct blocks_wanted *wanted, uint64_t now_s,
               struct blocks_added *ret_added, char *error, size_t error_bytes);

/* -ENOENT: it is not on the list, but perhaps in another, or has others in it, which `error` says;
 * or of the disk. */
int blocks_remove(struct blocks *blocks, const struct ip_prefix *prefix, char *error,
                  size_t error_bytes);

/* Takes out those that have expired, after a call for each. They are out whatever becomes of the
 * file: nobody is kept out longer than was said, and who reads the file later sees that they have
 * expired. ret_count: how many. 0; a negative errno with `error` filled in: the file has them
 * still, until the next change. */
int blocks_expire(struct blocks *blocks, uint64_t now_s,
                  void (*each)(void *context, const struct block_entry *entry), void *context,
                  uint32_t *ret_count, char *error, size_t error_bytes);

/* NULL: it is not on the list. Good until the next change, as below. */
const struct block_entry *blocks_find(const struct blocks *blocks, const struct ip_prefix *prefix);

/* All of them, in their order. */
const struct block_entry *blocks_list(const struct blocks *blocks, uint32_t *ret_count);
