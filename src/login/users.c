/* SPDX-License-Identifier: Apache-2.0 */
#include "login/users.h"

#include "base/assert.h"
#include "config/faults.h"
#include "config/file.h"

#include <crypt.h>
#include <errno.h>
#include <stdlib.h>

#define LINE_BYTES_MAX (LOGIN_NAME_BYTES_MAX + 1 + CRYPT_OUTPUT_SIZE - 1)
#define HASH_ALPHABET  "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define COST_LIMITS    "bcrypt 14, 2000000 rounds of SHA, 64 MiB for yescrypt"

_Static_assert(USERS_BCRYPT_COST_MAX == 14 && USERS_SHA_ROUNDS_MAX == 2000000 &&
                   USERS_YESCRYPT_MIB_MAX == 64,
               "COST_LIMITS says so");

struct user {
	struct slice name; /* in the text, as the hash is */
	const char *hash;
	uint32_t line;
};

struct users {
	struct siphash_key key;
	char *text; /* the file's */
	size_t text_bytes;
	uint32_t count;
	struct user list[USERS_COUNT_MAX]; /* by name; memory behind `count` is never touched */
	struct crypt_data scratch;
};

enum hash_verdict {
	HASH_GOOD,
	HASH_BROKEN, /* cut off or mistyped */
	HASH_COSTLY,
};

/* A way to hash passwords. */
struct method {
	const char *prefix;
	/* Looks at what follows the prefix. */
	enum hash_verdict (*check)(const char *rest, size_t digest_length);
	size_t digest_length; /* characters at the end of the hash */
};

/* True: `text` is `length` characters of the alphabet and nothing else. */
static bool is_digest(const char *text, size_t length)
{
	return strspn(text, HASH_ALPHABET) == length && text[length] == '\0';
}

/* "j9T$SALT$DIGEST": j is the flavour that crypt_gensalt(3) makes, then log2 N - 1 and r - 1, each
 * a character of the alphabet while below 48. It takes 128 * r * N bytes. */
static enum hash_verdict yescrypt_check(const char *rest, size_t digest_length)
{
	size_t parameters_length = strspn(rest, HASH_ALPHABET), salt_length;
	uint64_t n_log2, r;

	if (parameters_length != 3 || rest[0] != 'j' || rest[3] != '$')
		return HASH_BROKEN;
	n_log2 = (uint64_t)(strchr(HASH_ALPHABET, rest[1]) - HASH_ALPHABET) + 1;
	r = (uint64_t)(strchr(HASH_ALPHABET, rest[2]) - HASH_ALPHABET) + 1;
	salt_length = strspn(rest + 4, HASH_ALPHABET);
	if (n_log2 > 48 || r > 48 || salt_length < 1 || salt_length > 86 ||
	    rest[4 + salt_length] != '$' || !is_digest(rest + 4 + salt_length + 1, digest_length))
		return HASH_BROKEN;
	return 128 * r << n_log2 > USERS_YESCRYPT_MIB_MAX << 20 ? HASH_COSTLY : HASH_GOOD;
}

/* "10$SALT.DIGEST", the salt of 22 characters, in whose last one only two bits count: crypt(3)
 * clears the others, so a hash that has them set would never be matched. */
static enum hash_verdict bcrypt_check(const char *rest, size_t digest_length)
{
	unsigned cost;

	if (strspn(rest, "0123456789") != 2 || rest[2] != '$' ||
	    !is_digest(rest + 3, 22 + digest_length) || strchr(".Oeu", rest[3 + 21]) == NULL)
		return HASH_BROKEN;
	cost = (unsigned)(rest[0] - '0') * 10 + (unsigned)(rest[1] - '0');
	if (cost < 4)
		return HASH_BROKEN;
	return cost > USERS_BCRYPT_COST_MAX ? HASH_COSTLY : HASH_GOOD;
}

/* "SALT$DIGEST" or "rounds=5000$SALT$DIGEST" */
static enum hash_verdict sha_check(const char *rest, size_t digest_length)
{
	static const char rounds_name[] = "rounds=";
	const size_t name_length = sizeof(rounds_name) - 1;
	unsigned long rounds = 5000;
	size_t length;

	if (strncmp(rest, rounds_name, name_length) == 0) {
		rest += name_length;
		length = strspn(rest, "0123456789");
		if (length < 4 || length > 9 || rest[0] == '0' || rest[length] != '$')
			return HASH_BROKEN;
		rounds = strtoul(rest, NULL, 10);
		rest += length + 1;
	}
	length = strcspn(rest, "$:");
	if (length < 1 || length > 16 || rest[length] != '$' ||
	    !is_digest(rest + length + 1, digest_length))
		return HASH_BROKEN;
	return rounds > USERS_SHA_ROUNDS_MAX ? HASH_COSTLY : HASH_GOOD;
}

static const struct method methods[] = {
    {"$y$", yescrypt_check, 43}, {"$2b$", bcrypt_check, 31}, {"$2y$", bcrypt_check, 31},
    {"$2a$", bcrypt_check, 31},  {"$6$", sha_check, 86},     {"$5$", sha_check, 43},
};

static const struct method *method_of(const char *hash)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strncmp(hash, methods[i].prefix, strlen(methods[i].prefix)) == 0)
			return &methods[i];
	return NULL;
}

/* What is wrong with it, or NULL. */
static const char *hash_refusal(const char *hash)
{
	const struct method *method = method_of(hash);

	if (hash[0] == '\0')
		return "no hash behind the colon: make one with `mkpasswd`";
	if (hash[0] != '$')
		return "a plain password, or a hash by DES: put a hash there that `mkpasswd` makes";
	if (method == NULL)
		return "a hash by MD5 or by another method that is weak or unknown: make one with "
		       "`mkpasswd` (yescrypt) or `htpasswd -nB` (bcrypt)";
	switch (method->check(hash + strlen(method->prefix), method->digest_length)) {
	case HASH_GOOD: break;
	case HASH_BROKEN:
		return "the hash is cut off, mistyped, or has more behind it: copy it anew";
	case HASH_COSTLY:
		return "the hash takes too long to check: lower its cost (at most " COST_LIMITS ")";
	}
	switch (crypt_checksalt(hash)) {
	case CRYPT_SALT_INVALID:
	case CRYPT_SALT_METHOD_DISABLED:
		return "a hash by a method that this host's libcrypt does not do: use another";
	default: return NULL; /* it calls SHA-256 a legacy */
	}
}

/* What is wrong with it before it is cut in two, or NULL. */
static const char *line_refusal(const char *line, size_t length, const char *colon)
{
	for (size_t i = 0; i < length; i++) {
		if (line[i] == '\0')
			return "a zero byte: this is no text file";
		if ((unsigned char)line[i] <= ' ' || line[i] == 0x7f)
			return "a space or a control byte: remove it (and end lines with LF alone)";
	}
	if (colon == NULL)
		return "no colon: write NAME:HASH";
	if (colon == line)
		return "no name before the colon: write NAME:HASH";
	if (colon - line > LOGIN_NAME_BYTES_MAX)
		return "a name of more than 255 bytes: choose a shorter one";
	if (length > LINE_BYTES_MAX)
		return "longer than any user's line: copy the hash anew";
	return NULL;
}

/* There is a NUL behind the line. */
static void add_line(struct users *users, const char *line, size_t length, uint32_t number,
                     struct faults *faults)
{
	const char *colon = memchr(line, ':', length), *refusal;

	if (length == 0 || line[0] == '#')
		return;
	refusal = line_refusal(line, length, colon);
	if (refusal == NULL)
		refusal = hash_refusal(colon + 1);
	if (refusal != NULL) {
		faults_add(faults, number, "", "%s", refusal);
		return;
	}
	if (users->count < USERS_COUNT_MAX)
		users->list[users->count] = (struct user){
		    {(const uint8_t *)line, (size_t)(colon - line)}, colon + 1, number};
	users->count++;
}

static int compare_names(struct slice a, struct slice b)
{
	size_t length = min_u64(a.length, b.length);
	int order = length == 0 ? 0 : memcmp(a.data, b.data, length);

	return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

static int compare_users(const void *a, const void *b)
{
	return compare_names(((const struct user *)a)->name, ((const struct user *)b)->name);
}

static int compare_lines(const void *a, const void *b)
{
	const struct user *first = a, *second = b;
	int order = compare_names(first->name, second->name);

	return order != 0 ? order : (first->line > second->line) - (first->line < second->line);
}

static void check_twice(const struct users *users, struct faults *faults)
{
	for (uint32_t i = 1; i < users->count; i++) {
		const struct user *user = &users->list[i], *before = user - 1;
		char name[LOGIN_NAME_BYTES_MAX + 1], quoted[FAULTS_QUOTE_BYTES];

		if (!slice_equal(before->name, user->name))
			continue;
		memcpy(name, user->name.data, user->name.length);
		name[user->name.length] = '\0';
		faults_quote(quoted, name);
		faults_add(faults, user->line, quoted,
		           "given twice, before this in line %u: remove one", before->line);
	}
}

static void add_lines(struct users *users, struct faults *faults)
{
	char *at = users->text, *end = users->text + users->text_bytes;

	for (uint32_t number = 1; at < end; number++) {
		char *newline = memchr(at, '\n', (size_t)(end - at));
		char *line_end = newline == NULL ? end : newline;

		*line_end = '\0'; /* at the end there is one */
		add_line(users, at, (size_t)(line_end - at), number, faults);
		at = line_end + 1;
	}
	if (users->count > USERS_COUNT_MAX) {
		faults_add(faults, 0, "", "%u users: at most %u can be served", users->count,
		           USERS_COUNT_MAX);
		users->count = USERS_COUNT_MAX;
	} else if (users->count == 0 && faults->count == 0) {
		faults_add(faults, 0, "", "no user in it: add lines of NAME:HASH");
	}
	qsort(users->list, users->count, sizeof(users->list[0]), compare_lines);
	check_twice(users, faults);
}

/* `text` is taken; NULL: there was no memory for it. */
static int create(struct users **ret_users, struct faults *faults, char *text, size_t length,
                  const struct siphash_key *key)
{
	struct users *users = calloc(1, sizeof(*users));
	int r = -ENOMEM;

	if (users == NULL || text == NULL) {
		faults_add(faults, 0, "", "not enough memory to read it");
		if (users == NULL && text != NULL) {
			explicit_bzero(text, length);
			free(text);
		}
		goto fail;
	}
	users->key = *key;
	users->text = text;
	users->text_bytes = length;
	add_lines(users, faults);
	if (faults->count > 0) {
		r = -EINVAL;
		goto fail;
	}
	*ret_users = users;
	return 0;
fail:
	faults_finish(faults);
	users_destroy(users);
	return r;
}

int users_read(struct users **ret_users, const char *path, const struct siphash_key *key,
               char *error, size_t error_bytes)
{
	struct faults faults;
	char *text = NULL;
	size_t length = 0;
	int r;

	faults_create(&faults, path, error, error_bytes);
	r = file_read(&text, &length, path, USERS_FILE_BYTES_MAX, &faults);
	return r < 0 ? r : create(ret_users, &faults, text, length, key);
}

int users_parse(struct users **ret_users, const char *name, const char *text, size_t length,
                const struct siphash_key *key, char *error, size_t error_bytes)
{
	struct faults faults;
	char *copy;

	faults_create(&faults, name, error, error_bytes);
	if (length > USERS_FILE_BYTES_MAX) {
		faults_add(&faults, 0, "", "larger than %d MiB: this is no file of ours",
		           USERS_FILE_BYTES_MAX >> 20);
		return -EFBIG;
	}
	copy = malloc(length + 1);
	if (copy != NULL) {
		memcpy(copy, text, length);
		copy[length] = '\0';
	}
	return create(ret_users, &faults, copy, length, key);
}

void users_destroy(struct users *users)
{
	if (users == NULL)
		return;
	if (users->text != NULL)
		explicit_bzero(users->text, users->text_bytes);
	free(users->text);
	free(users);
}

int users_read_check(const char *path, char *error, size_t error_bytes)
{
	const struct siphash_key any_key = {0};
	struct users *users;
	int r = users_read(&users, path, &any_key, error, error_bytes);

	if (r == 0)
		users_destroy(users);
	return r;
}

uint32_t users_count(const struct users *users)
{
	return users->count;
}

struct slice users_name(const struct users *users, uint32_t index)
{
	ASSERT(index < users->count);
	return users->list[index].name;
}

/* Takes as long wherever the two differ. There are CRYPT_OUTPUT_SIZE bytes of `got`. */
static bool equal_in_constant_time(const char *got, const char *expected)
{
	size_t length = strlen(expected);
	unsigned difference = 0;

	ASSERT(length < CRYPT_OUTPUT_SIZE);
	for (size_t i = 0; i <= length; i++) /* the NUL, too */
		difference |= (unsigned)(got[i] ^ expected[i]);
	return difference == 0;
}

int users_check(struct users *users, struct slice name, struct slice password)
{
	const struct user wanted = {.name = name};
	const struct user *user =
	    bsearch(&wanted, users->list, users->count, sizeof(users->list[0]), compare_users);
	size_t length = min_u64(password.length, LOGIN_PASSWORD_BYTES_MAX);
	char phrase[LOGIN_PASSWORD_BYTES_MAX + 1] = "";
	bool possible = user != NULL && length == password.length;
	const char *output;
	bool equal;

	if (user == NULL)
		user = &users->list[siphash(&users->key, name.data, name.length) % users->count];
	if (length > 0)
		memcpy(phrase, password.data, length);
	possible = possible && strlen(phrase) == length; /* no zero byte in it */
	output = crypt_rn(phrase, user->hash, &users->scratch, sizeof(users->scratch));
	explicit_bzero(phrase, sizeof(phrase));
	if (output == NULL)
		return -EIO;
	equal = equal_in_constant_time(output, user->hash);
	explicit_bzero(&users->scratch, sizeof(users->scratch));
	return equal && possible ? 0 : -EACCES;
}
