/* SPDX-License-Identifier: Apache-2.0 */
#include "login/users_edit.h"

#include "base/assert.h"
#include "login/users.h"

#include <crypt.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert(USERS_HASH_BYTES == CRYPT_OUTPUT_SIZE, "it holds any hash");

int users_hash(char ret_hash[USERS_HASH_BYTES], const char *password)
{
	struct crypt_data *scratch;
	char salt[CRYPT_GENSALT_OUTPUT_SIZE];
	const char *hash = NULL;
	size_t length = strlen(password);

	if (length == 0 || length > LOGIN_PASSWORD_BYTES_MAX)
		return -EINVAL;
	scratch = calloc(1, sizeof(*scratch));
	if (scratch == NULL)
		return -ENOMEM;
	/* the kernel's randomness */
	if (crypt_gensalt_rn("$y$", 0, NULL, 0, salt, sizeof(salt)) != NULL)
		hash = crypt_rn(password, salt, scratch, sizeof(*scratch));
	if (hash != NULL)
		memcpy(ret_hash, hash, strlen(hash) + 1);
	explicit_bzero(scratch, sizeof(*scratch));
	free(scratch);
	return hash == NULL ? -EIO : 0;
}

/* What is wrong with a name, or NULL. */
static const char *name_refusal(const char *name)
{
	if (name[0] == '\0' || strlen(name) > LOGIN_NAME_BYTES_MAX)
		return "a user's name has 1 to 255 bytes: choose another";
	if (name[0] == '#')
		return "a line that begins with # is a comment: choose another name";
	for (const char *at = name; *at != '\0'; at++)
		if ((unsigned char)*at <= ' ' || *at == 0x7f || *at == ':')
			return "a user's name has no space, colon or control byte in it: choose "
			       "another";
	return NULL;
}

/* Where the line of that user is. False: it is not there, and *ret_start is the text's end. */
static bool find_line(const char *text, size_t length, const char *name, size_t *ret_start,
                      size_t *ret_end)
{
	size_t name_length = strlen(name), start = 0;

	while (start < length) {
		const char *newline = memchr(text + start, '\n', length - start);
		size_t end = newline == NULL ? length : (size_t)(newline - text);

		if (end - start > name_length && memcmp(text + start, name, name_length) == 0 &&
		    text[start + name_length] == ':') {
			*ret_start = start;
			*ret_end = end;
			return true;
		}
		start = end + 1;
	}
	*ret_start = *ret_end = length;
	return false;
}

/* With the line from start to end (without its newline) replaced, or one added at the end. */
static char *replaced(const char *text, size_t length, size_t start, size_t end, const char *name,
                      const char *hash, size_t *ret_length)
{
	bool is_added = start == length, is_open = length > 0 && text[length - 1] != '\n';
	char *result = NULL;
	FILE *to = open_memstream(&result, ret_length);

	if (to == NULL)
		return NULL;
	fwrite(text, 1, start, to);
	if (is_added && is_open)
		fputc('\n', to);
	if (hash != NULL)
		fprintf(to, "%s:%s%s", name, hash, is_added ? "\n" : "");
	else if (end < length)
		end++; /* with its newline */
	fwrite(text + end, 1, length - end, to);
	if (fclose(to) == 0)
		return result;
	free(result);
	return NULL;
}

/* Whether it is a file of users. */
static int check(const char *file, const char *text, size_t length, uint32_t *ret_count,
                 char *error, size_t error_bytes)
{
	const struct siphash_key any_key = {0};
	struct users *users;
	int r = users_parse(&users, file, text, length, &any_key, error, error_bytes);

	if (r < 0)
		return r;
	*ret_count = users_count(users);
	users_destroy(users);
	return 0;
}

int users_edit(char **ret_text, size_t *ret_length, bool *ret_was_there, const char *file,
               const char *text, size_t length, const char *name, const char *hash, char *error,
               size_t error_bytes)
{
	const char *refusal = name_refusal(name);
	uint32_t count = 0;
	size_t start, end, result_length = 0;
	char *result;
	bool is_there;
	int r;

	if (refusal != NULL) {
		snprintf(error, error_bytes, "%s", refusal);
		return -EINVAL;
	}
	is_there = find_line(text, length, name, &start, &end);
	if (hash == NULL && !is_there) {
		snprintf(error, error_bytes, "there is no user of that name: see the list");
		return -ENOENT;
	}
	if (hash == NULL) {
		r = check(file, text, length, &count, error, error_bytes);
		if (r < 0)
			return r;
	}
	if (count == 1) {
		snprintf(error, error_bytes,
		         "the last user: without one nobody can log in: add another first, or take "
		         "auth_file out of the config");
		return -EPERM;
	}
	result = replaced(text, length, start, end, name, hash, &result_length);
	if (result == NULL) {
		snprintf(error, error_bytes, "not enough memory to change it: try again");
		return -ENOMEM;
	}
	r = check(file, result, result_length, &count, error, error_bytes);
	if (r < 0) {
		explicit_bzero(result, result_length);
		free(result);
		return r;
	}
	*ret_text = result;
	*ret_length = result_length;
	*ret_was_there = is_there;
	return 0;
}
