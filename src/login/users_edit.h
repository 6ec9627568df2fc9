/* SPDX-License-Identifier: Apache-2.0 */
/* Changes one user in the text of a file of users (users.h), and leaves all else of it as it is:
 * comments, order. Owner: whoever calls. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define USERS_HASH_BYTES 384 /* as CRYPT_OUTPUT_SIZE */

/* The hash of a new password: yescrypt, at the cost that libcrypt has for the default. 0; -EINVAL:
 * it is empty, or longer than a client can send; -EIO: libcrypt does not do it. */
int users_hash(char ret_hash[USERS_HASH_BYTES], const char *password);

/* hash: NULL: the user is taken out. `file` stands for it in the faults. 0 with *ret_text, of
 * *ret_length bytes, to be wiped and free()d, which was read as a file of users; *ret_was_there:
 * there was such a user. A negative errno with `error` filled in: -EINVAL: the name, or the file,
 * is not good; -ENOENT: there is no such user; -EPERM: it is the last one; -ENOMEM. */
int users_edit(char **ret_text, size_t *ret_length, bool *ret_was_there, const char *file,
               const char *text, size_t length, const char *name, const char *hash, char *error,
               size_t error_bytes);
