/* SPDX-License-Identifier: Apache-2.0 */
/* Who may log in: a file with a user a line, NAME:HASH, the hash by crypt(5) as `mkpasswd` and
 * `htpasswd -nB` print it. Empty lines and those that begin with # are passed over.
 *
 * Methods: yescrypt ($y$), bcrypt ($2b$, $2y$, $2a$; it looks at 72 bytes of a password), SHA-512
 * ($6$), SHA-256 ($5$). A name has no colon, no space and no control byte in it. The file's owner
 * and mode are not looked at: a secret mounted into a container is often readable by all.
 * Owner: whoever read it; one thread at a time. */
#pragma once

#include "base/bytes.h"
#include "base/login.h"
#include "base/siphash.h"

#define USERS_COUNT_MAX      10000
#define USERS_FILE_BYTES_MAX (8 * 1024 * 1024)
#define USERS_ERROR_BYTES    4096

/* The most that checking one password may cost: 0.2 to 2 seconds of one core. */
#define USERS_BCRYPT_COST_MAX  14
#define USERS_SHA_ROUNDS_MAX   2000000
#define USERS_YESCRYPT_MIB_MAX 64 /* of memory, while it is checked */

struct users;

/* Reads a file, whole or not at all; one without a user is refused, too. `key`: secret and random,
 * the same whenever a file is read again; see users_check(). 0; a negative errno with `error`
 * filled in: one line a fault, "users:4: what is wrong: what to do". -EINVAL: it is read, but
 * wrong. No error repeats a hash or a password. */
int users_read(struct users **ret_users, const char *path, const struct siphash_key *key,
               char *error, size_t error_bytes);
/* The same of a text that is there; `name` stands for the file in the faults. */
int users_parse(struct users **ret_users, const char *name, const char *text, size_t length,
                const struct siphash_key *key, char *error, size_t error_bytes);

void users_destroy(struct users *users); /* takes NULL */

/* The same to find out only whether it is good. */
int users_read_check(const char *path, char *error, size_t error_bytes);

uint32_t users_count(const struct users *users);

/* Of those, in the order of their names; of the users'. */
struct slice users_name(const struct users *users, uint32_t index);

/* Whether the password is this user's. 0: it is; -EACCES: it is not, or there is no such user;
 * -EIO: it could not be checked (there was no memory, or the salt is none that crypt(3) takes).
 *
 * A name that is not there costs what a name costs that is: a user is checked in its place, always
 * the same one for a name, but which one only the key tells. So time tells nothing where the
 * methods or costs of the users differ, either. */
int users_check(struct users *users, struct slice name, struct slice password);
