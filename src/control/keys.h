/* SPDX-License-Identifier: Apache-2.0 */
/* API keys: made here, shown once, kept as hashes. A key is `kante_ID_SECRET`: 10 characters that
 * name it, and 43 (256 bits), all of them random, of base62. What is kept is SHA-256 of ID_SECRET
 * (of a random key nothing slower is needed).
 *
 * Kept in one JSON file, written anew whole with each change (kept.h), which is not read when
 * others could have changed it (private_file.h). Owner: the control process's loop. */
#pragma once

#include "control/identity.h"

#include <jansson.h>
#include <stdint.h>

#define KEYS_COUNT_MAX      10000 /* with the revoked and expired ones */
#define KEYS_ID_BYTES       11    /* with NUL */
#define KEYS_TEXT_BYTES     64    /* at least a whole key, with NUL */
#define KEYS_NAME_BYTES_MAX 64    /* of what an admin calls it */

struct keys;

/* Reads the file, or begins with none when there is no file yet. 0; a negative errno with `error`
 * filled in: a line a fault, what is wrong with which line of the file, and what to do; it is left
 * alone. */
int keys_open(struct keys **ret_keys, const char *path, char *error, size_t error_bytes);
void keys_close(struct keys *keys); /* takes NULL; wipes */

struct keys_made {
	char id[KEYS_ID_BYTES];
	char text[KEYS_TEXT_BYTES]; /* shown once; the caller wipes it */
};

/* `name`: printable UTF-8, 1 to KEYS_NAME_BYTES_MAX bytes, of no other key that is good; expires_s:
 * Unix time, 0: never; creator: an identity's name. 0; a negative errno with `error` filled in, and
 * nothing has changed: -EINVAL, -EEXIST (name), -ENOSPC (too many: prune), -EIO (no randomness), or
 * of the disk. */
int keys_create(struct keys *keys, const char *name, enum role role, uint64_t expires_s,
                const char *creator, uint64_t now_s, struct keys_made *ret_made, char *error,
                size_t error_bytes);

/* -ENOENT: no such id; -EALREADY: it is revoked; or of the disk. */
int keys_revoke(struct keys *keys, const char *id, uint64_t now_s, char *error, size_t error_bytes);

/* Forgets those that are revoked or have expired for longer than `older_s`. */
int keys_prune(struct keys *keys, uint64_t older_s, uint64_t now_s, uint64_t *ret_count,
               char *error, size_t error_bytes);

/* Whose key that is: fills in role, credential, name and credential_id. 0; -EACCES: no such key;
 * -EKEYEXPIRED; -EKEYREVOKED; -ENOMEM: it could not be looked at. What is refused has the role
 * none, and its id when that is known, its name when the secret is right. Takes as long for an id
 * that is not there. */
int keys_check(const struct keys *keys, const char *text, uint64_t now_s,
               struct identity *ret_identity);

/* [{id, name, role, created, creator, expires, revoked, state: good|expired|revoked}], times in
 * RFC 3339; no secrets, no hashes. NULL: no memory. */
json_t *keys_list(const struct keys *keys, uint64_t now_s);

/* Calls back for each that has expired since from_s up to and with now_s (for the audit log). */
void keys_each_expired(const struct keys *keys, uint64_t from_s, uint64_t now_s,
                       void (*each)(void *context, const char *id, const char *name),
                       void *context);
