/* SPDX-License-Identifier: Apache-2.0 */
#include "control/keys.h"

#include "base/bytes.h"
#include "control/kept.h"
#include "control/printable.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#define PREFIX        "kante_"
#define BASE62        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define ID_LENGTH     (KEYS_ID_BYTES - 1)
#define SECRET_LENGTH 43 /* 62^43 > 2^256 */
#define TEXT_LENGTH   (sizeof(PREFIX) - 1 + ID_LENGTH + 1 + SECRET_LENGTH)
#define HASH_BYTES    32
#define LIST          "keys"

#define ID_ATTEMPT_COUNT 8

_Static_assert(TEXT_LENGTH < KEYS_TEXT_BYTES, "a key has room");
_Static_assert(KEYS_ID_BYTES <= IDENTITY_CREDENTIAL_BYTES, "its id has");
_Static_assert(KEYS_NAME_BYTES_MAX < IDENTITY_NAME_BYTES, "its name has");

struct key {
	char id[KEYS_ID_BYTES];
	bool is_pruned; /* to be forgotten when that is on the disk */
	uint8_t hash[HASH_BYTES];
	char name[KEYS_NAME_BYTES_MAX + 1];
	enum role role;
	uint64_t created_s;
	uint64_t expires_s; /* 0: never */
	uint64_t revoked_s; /* 0: is not */
	char creator[IDENTITY_NAME_BYTES];
};

struct keys {
	char *path;
	uint8_t nobody[HASH_BYTES]; /* random: what is compared when there is no such id */
	uint32_t count;
	struct key list[KEYS_COUNT_MAX]; /* in the order they were made; memory behind `count` is
	                                    never touched */
};

static bool is_expired(const struct key *key, uint64_t now_s)
{
	return key->expires_s != 0 && now_s >= key->expires_s;
}

static bool is_good(const struct key *key, uint64_t now_s)
{
	return key->revoked_s == 0 && !is_expired(key, now_s);
}

/* An index; `count`: there is none. Always looks at all of them. */
static uint32_t find(const struct keys *keys, const char *id)
{
	uint32_t found = keys->count;

	for (uint32_t i = 0; i < keys->count; i++)
		if (memcmp(keys->list[i].id, id, ID_LENGTH) == 0)
			found = i;
	return found;
}

static bool is_base62(const char *text, size_t length)
{
	return strspn(text, BASE62) == length;
}

static void hash_write(char ret_text[2 * HASH_BYTES + 1], const uint8_t hash[HASH_BYTES])
{
	for (size_t i = 0; i < HASH_BYTES; i++)
		snprintf(ret_text + 2 * i, 3, "%02x", hash[i]);
}

static bool hash_parse(uint8_t ret_hash[HASH_BYTES], const char *text)
{
	if (strspn(text, "0123456789abcdef") != 2 * HASH_BYTES || text[2 * HASH_BYTES] != '\0')
		return false;
	for (size_t i = 0; i < HASH_BYTES; i++) {
		const char digits[3] = {text[2 * i], text[2 * i + 1]};

		ret_hash[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return true;
}

static bool is_time(json_int_t value)
{
	return value >= 0 && value <= KEPT_TIME_S_MAX;
}

/* What is wrong with the record, or NULL. */
static const char *record_read(struct key *ret_key, json_t *record)
{
	const char *id, *hash, *name, *role, *creator;
	json_int_t created, expires, revoked;

	if (json_unpack_ex(record, NULL, JSON_STRICT, "{s:s,s:s,s:s,s:s,s:I,s:s,s:I,s:I}", "id",
	                   &id, "hash", &hash, "name", &name, "role", &role, "created", &created,
	                   "creator", &creator, "expires", &expires, "revoked", &revoked) < 0)
		return "has not exactly id, hash, name, role, created, creator, expires and "
		       "revoked";
	if (!is_base62(id, ID_LENGTH) || id[ID_LENGTH] != '\0')
		return "its id is not 10 letters and digits";
	if (!hash_parse(ret_key->hash, hash))
		return "its hash is not 64 hexadecimal digits";
	if (!printable(name, KEYS_NAME_BYTES_MAX))
		return "its name is not 1 to 64 printable bytes";
	if (!role_parse(&ret_key->role, role) || ret_key->role == ROLE_none)
		return "its role is not viewer, operator or admin";
	if (!printable(creator, IDENTITY_NAME_BYTES - 1))
		return "its creator is not 1 to 255 printable bytes";
	if (!is_time(created) || !is_time(expires) || !is_time(revoked))
		return "one of its times is before 1970 or after 9999";
	strcpy(ret_key->id, id);
	strcpy(ret_key->name, name);
	strcpy(ret_key->creator, creator);
	ret_key->created_s = (uint64_t)created;
	ret_key->expires_s = (uint64_t)expires;
	ret_key->revoked_s = (uint64_t)revoked;
	return NULL;
}

static json_t *record_make(const struct key *key)
{
	char hash[2 * HASH_BYTES + 1];

	hash_write(hash, key->hash);
	return json_pack("{s:s,s:s,s:s,s:s,s:I,s:s,s:I,s:I}", "id", key->id, "hash", hash, "name",
	                 key->name, "role", role_name(key->role), "created",
	                 (json_int_t)key->created_s, "creator", key->creator, "expires",
	                 (json_int_t)key->expires_s, "revoked", (json_int_t)key->revoked_s);
}

static int records_read(struct keys *keys, const struct kept *kept, struct faults *faults)
{
	json_t *seen = json_object(), *record; /* ids */
	size_t index;
	int r = seen == NULL ? -ENOMEM : 0;

	json_array_foreach(kept->records, index, record)
	{
		struct key *key = &keys->list[index];
		const char *reason = record_read(key, record);

		if (reason == NULL && json_object_get(seen, key->id) != NULL)
			reason = "its id is given twice";
		if (reason != NULL)
			faults_add(faults, kept_line(kept, index), "", "%s: put a copy back",
			           reason);
		else if (json_object_set(seen, key->id, json_true()) < 0)
			r = -ENOMEM;
	}
	json_decref(seen);
	if (r < 0)
		faults_add(faults, 0, "", "not enough memory: try again");
	else if (faults->count > 0)
		r = -EINVAL;
	else
		keys->count = (uint32_t)index;
	return r;
}

int keys_open(struct keys **ret_keys, const char *path, char *error, size_t error_bytes)
{
	struct keys *keys = calloc(1, sizeof(*keys));
	struct kept kept = {0};
	struct faults faults;
	int r = 0;

	faults_create(&faults, path, error, error_bytes);
	if (keys != NULL)
		keys->path = strdup(path);
	if (keys == NULL || keys->path == NULL) {
		faults_add(&faults, 0, "", "not enough memory: try again");
		r = -ENOMEM;
		goto fail;
	}
	if (RAND_bytes(keys->nobody, sizeof(keys->nobody)) != 1) {
		faults_add(&faults, 0, "", "OpenSSL has no random bytes: try again");
		r = -EIO;
		goto fail;
	}
	r = kept_read(&kept, path, LIST, KEYS_COUNT_MAX, &faults);
	if (r == 0)
		r = records_read(keys, &kept, &faults);
	if (r < 0)
		goto fail;
	kept_release(&kept);
	*ret_keys = keys;
	return 0;
fail:
	ERR_clear_error();
	kept_release(&kept);
	faults_finish(&faults);
	keys_close(keys);
	return r;
}

void keys_close(struct keys *keys)
{
	if (keys == NULL)
		return;
	free(keys->path);
	OPENSSL_cleanse(keys->list, keys->count * sizeof(keys->list[0]));
	free(keys);
}

/* Writes those that are not pruned. 0; a negative errno with `error` filled in. */
static int save(const struct keys *keys, uint32_t count, char *error, size_t error_bytes)
{
	json_t *records = json_array();
	struct faults faults;
	bool good = records != NULL;
	int r;

	faults_create(&faults, keys->path, error, error_bytes);
	for (uint32_t i = 0; i < count && good; i++)
		if (!keys->list[i].is_pruned)
			good = json_array_append_new(records, record_make(&keys->list[i])) == 0;
	if (good) {
		r = kept_write(keys->path, LIST, records, &faults);
	} else {
		faults_add(&faults, 0, "", "not enough memory: try again");
		r = -ENOMEM;
	}
	json_decref(records);
	return r;
}

static int creation_refusal(const struct keys *keys, const struct key *key, uint64_t now_s,
                            char *error, size_t error_bytes)
{
	if (key->expires_s != 0 && (is_expired(key, now_s) || key->expires_s > KEPT_TIME_S_MAX)) {
		snprintf(error, error_bytes,
		         "it would expire in the past, or after the year 9999: give another time");
		return -EINVAL;
	}
	for (uint32_t i = 0; i < keys->count; i++)
		if (is_good(&keys->list[i], now_s) && strcmp(keys->list[i].name, key->name) == 0) {
			snprintf(error, error_bytes,
			         "the key %s has that name: choose another one, or revoke it",
			         keys->list[i].id);
			return -EEXIST;
		}
	if (keys->count == KEYS_COUNT_MAX) {
		snprintf(error, error_bytes,
		         "%d keys, with the revoked and expired ones: prune those first",
		         KEYS_COUNT_MAX);
		return -ENOSPC;
	}
	return 0;
}

/* That many random characters of base62, without a NUL. */
static bool random_write(char *ret_text, size_t length)
{
	uint8_t bytes[64];
	size_t at = 0;
	bool good = true;

	while (at < length && good) {
		good = RAND_bytes(bytes, sizeof(bytes)) == 1;
		for (size_t i = 0; i < sizeof(bytes) && at < length && good; i++)
			if (bytes[i] < 4 * 62) /* else the first 8 were likelier */
				ret_text[at++] = BASE62[bytes[i] % 62];
	}
	OPENSSL_cleanse(bytes, sizeof(bytes));
	return good;
}

/* Of a key's text, whatever it is: 0 or -ENOMEM. */
static int hash_of(uint8_t ret_hash[HASH_BYTES], const char *text)
{
	const char *hashed = text + sizeof(PREFIX) - 1;

	if (EVP_Digest(hashed, TEXT_LENGTH - (sizeof(PREFIX) - 1), ret_hash, NULL, EVP_sha256(),
	               NULL) == 1)
		return 0;
	ERR_clear_error();
	return -ENOMEM;
}

/* An id that no other key has, and the key's text. */
static bool text_make(const struct keys *keys, struct keys_made *ret_made)
{
	char secret[SECRET_LENGTH + 1] = "";
	bool good = false;

	/* that even two are alike in a row has a chance of 1 to 10^13: so it is no chance */
	for (int i = 0; i < ID_ATTEMPT_COUNT && !good; i++) {
		if (!random_write(ret_made->id, ID_LENGTH))
			break;
		good = find(keys, ret_made->id) == keys->count;
	}
	good = good && random_write(secret, SECRET_LENGTH);
	snprintf(ret_made->text, sizeof(ret_made->text), PREFIX "%s_%s", ret_made->id, secret);
	OPENSSL_cleanse(secret, sizeof(secret));
	return good;
}

static int text_make_with_hash(const struct keys *keys, struct keys_made *ret_made, struct key *key,
                               char *error, size_t error_bytes)
{
	if (!text_make(keys, ret_made)) {
		ERR_clear_error();
		snprintf(error, error_bytes, "OpenSSL has no random bytes: try again");
		return -EIO;
	}
	if (hash_of(key->hash, ret_made->text) < 0) {
		snprintf(error, error_bytes, "not enough memory: try again");
		return -ENOMEM;
	}
	memcpy(key->id, ret_made->id, KEYS_ID_BYTES);
	return 0;
}

int keys_create(struct keys *keys, const char *name, enum role role, uint64_t expires_s,
                const char *creator, uint64_t now_s, struct keys_made *ret_made, char *error,
                size_t error_bytes)
{
	struct key key = {.role = role, .created_s = now_s, .expires_s = expires_s};
	struct keys_made made = {0};
	int r;

	if (!printable(name, KEYS_NAME_BYTES_MAX) || !printable(creator, IDENTITY_NAME_BYTES - 1)) {
		snprintf(error, error_bytes,
		         "a name is 1 to %d bytes of UTF-8 without control characters: "
		         "give such a one",
		         KEYS_NAME_BYTES_MAX);
		return -EINVAL;
	}
	if (role == ROLE_none) {
		snprintf(error, error_bytes,
		         "a key of the role none opens nothing: give another role");
		return -EINVAL;
	}
	strcpy(key.name, name);
	strcpy(key.creator, creator);
	r = creation_refusal(keys, &key, now_s, error, error_bytes);
	if (r < 0)
		return r;
	r = text_make_with_hash(keys, &made, &key, error, error_bytes);
	if (r == 0) {
		keys->list[keys->count] = key;
		r = save(keys, keys->count + 1, error, error_bytes);
	}
	if (r == 0) {
		keys->count++;
		*ret_made = made;
	}
	OPENSSL_cleanse(&made, sizeof(made));
	return r;
}

int keys_revoke(struct keys *keys, const char *id, uint64_t now_s, char *error, size_t error_bytes)
{
	uint32_t index = strlen(id) == ID_LENGTH ? find(keys, id) : keys->count;
	struct key *key = &keys->list[index];
	int r;

	if (index == keys->count) {
		snprintf(error, error_bytes, "there is no key of that id: see the list of keys");
		return -ENOENT;
	}
	if (key->revoked_s != 0) {
		snprintf(error, error_bytes, "it is revoked: nothing is left to do");
		return -EALREADY;
	}
	key->revoked_s = max_u64(now_s, 1);
	r = save(keys, keys->count, error, error_bytes);
	if (r < 0)
		key->revoked_s = 0;
	return r;
}

/* When it ceased to be good; 0: it is. */
static uint64_t ended_s(const struct key *key, uint64_t now_s)
{
	if (key->revoked_s != 0)
		return key->revoked_s;
	return is_expired(key, now_s) ? key->expires_s : 0;
}

int keys_prune(struct keys *keys, uint64_t older_s, uint64_t now_s, uint64_t *ret_count,
               char *error, size_t error_bytes)
{
	uint32_t pruned_count = 0, kept_count = 0;
	int r = 0;

	for (uint32_t i = 0; i < keys->count; i++) {
		uint64_t end_s = ended_s(&keys->list[i], now_s);

		keys->list[i].is_pruned = end_s != 0 && now_s > end_s && now_s - end_s > older_s;
		pruned_count += keys->list[i].is_pruned;
	}
	if (pruned_count > 0)
		r = save(keys, keys->count, error, error_bytes);
	for (uint32_t i = 0; i < keys->count; i++) {
		bool goes = keys->list[i].is_pruned && r == 0;

		keys->list[i].is_pruned = false;
		if (!goes)
			keys->list[kept_count++] = keys->list[i];
	}
	keys->count = kept_count;
	if (r == 0)
		*ret_count = pruned_count;
	return r;
}

static bool is_well_formed(const char *text)
{
	const char *id = text + sizeof(PREFIX) - 1, *secret = id + ID_LENGTH + 1;

	return strncmp(text, PREFIX, sizeof(PREFIX) - 1) == 0 && is_base62(id, ID_LENGTH) &&
	       id[ID_LENGTH] == '_' && is_base62(secret, SECRET_LENGTH) &&
	       secret[SECRET_LENGTH] == '\0';
}

int keys_check(const struct keys *keys, const char *text, uint64_t now_s,
               struct identity *ret_identity)
{
	uint8_t hash[HASH_BYTES];
	const struct key *key;
	uint32_t index;
	bool is_right;

	ret_identity->role = ROLE_none;
	ret_identity->credential = CREDENTIAL_key;
	ret_identity->name[0] = ret_identity->credential_id[0] = '\0';
	if (!is_well_formed(text))
		return -EACCES;
	index = find(keys, text + sizeof(PREFIX) - 1);
	key = index < keys->count ? &keys->list[index] : NULL;
	if (hash_of(hash, text) < 0)
		return -ENOMEM;
	is_right = CRYPTO_memcmp(hash, key == NULL ? keys->nobody : key->hash, HASH_BYTES) == 0;
	OPENSSL_cleanse(hash, sizeof(hash));
	if (key == NULL)
		return -EACCES;
	memcpy(ret_identity->credential_id, key->id, KEYS_ID_BYTES);
	if (!is_right)
		return -EACCES;
	strcpy(ret_identity->name, key->name);
	if (key->revoked_s != 0)
		return -EKEYREVOKED;
	if (is_expired(key, now_s))
		return -EKEYEXPIRED;
	ret_identity->role = key->role;
	return 0;
}

static json_t *shown(const struct key *key, uint64_t now_s)
{
	const char *state = key->revoked_s != 0      ? "revoked"
	                    : is_expired(key, now_s) ? "expired"
	                                             : "good";

	return json_pack("{s:s,s:s,s:s,s:o,s:s,s:o,s:o,s:s}", "id", key->id, "name", key->name,
	                 "role", role_name(key->role), "created", kept_time(key->created_s),
	                 "creator", key->creator, "expires", kept_time(key->expires_s), "revoked",
	                 kept_time(key->revoked_s), "state", state);
}

json_t *keys_list(const struct keys *keys, uint64_t now_s)
{
	json_t *list = json_array();
	bool good = list != NULL;

	for (uint32_t i = 0; i < keys->count && good; i++)
		good = json_array_append_new(list, shown(&keys->list[i], now_s)) == 0;
	if (!good) {
		json_decref(list);
		list = NULL;
	}
	return list;
}

void keys_each_expired(const struct keys *keys, uint64_t from_s, uint64_t now_s,
                       void (*each)(void *context, const char *id, const char *name), void *context)
{
	for (uint32_t i = 0; i < keys->count; i++) {
		const struct key *key = &keys->list[i];

		if (key->revoked_s == 0 && is_expired(key, now_s) && key->expires_s > from_s)
			each(context, key->id, key->name);
	}
}
