/* SPDX-License-Identifier: Apache-2.0 */
#include "keys_rig.h"

#include "faults.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

/* What RAND_bytes() gives instead of random ones, for so many calls. */
static struct {
	uint32_t constant_count;
	uint8_t byte;
} randomness;

int RAND_bytes(unsigned char *to, int bytes)
{
	int (*next)(unsigned char *, int);

	if (fault_hits("RAND_bytes"))
		return 0;
	if (randomness.constant_count > 0) {
		randomness.constant_count--;
		memset(to, randomness.byte, (size_t)bytes);
		return 1;
	}
	*(void **)&next = dlsym(RTLD_NEXT, "RAND_bytes");
	return next(to, bytes);
}

static uint32_t digest_count; /* calls */

int EVP_Digest(const void *data, size_t bytes, unsigned char *to, unsigned int *ret_bytes,
               const EVP_MD *type, ENGINE *engine)
{
	int (*next)(const void *, size_t, unsigned char *, unsigned int *, const EVP_MD *,
	            ENGINE *);

	digest_count++;
	if (fault_hits("EVP_Digest")) {
		ERR_raise(ERR_LIB_EVP, ERR_R_MALLOC_FAILURE);
		return 0;
	}
	*(void **)&next = dlsym(RTLD_NEXT, "EVP_Digest");
	return next(data, bytes, to, ret_bytes, type, engine);
}

static uint32_t comparison_count; /* calls */

int CRYPTO_memcmp(const void *a, const void *b, size_t bytes)
{
	int (*next)(const void *, const void *, size_t);

	comparison_count++;
	*(void **)&next = dlsym(RTLD_NEXT, "CRYPTO_memcmp");
	return next(a, b, bytes);
}

/* To another digit. */
static void change(char *digit)
{
	*digit = *digit == 'a' ? 'b' : 'a';
}

static void a_key_that_was_made_lets_in(void)
{
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(create(&rig, "grafana", ROLE_viewer, 0), 0);
	CU_ASSERT_EQUAL(check(&rig, rig.made.text, NOW + 1000000000), 0);
	CU_ASSERT_EQUAL(rig.who.role, ROLE_viewer);
	CU_ASSERT_EQUAL(rig.who.credential, CREDENTIAL_key);
	CU_ASSERT_STRING_EQUAL(rig.who.name, "grafana");
	CU_ASSERT_STRING_EQUAL(rig.who.credential_id, rig.made.id);
	CU_ASSERT_EQUAL(rig.who.from[0], 0x55); /* not a key's to say */
	CU_ASSERT_EQUAL(create(&rig, "deploy", ROLE_admin, NOW + 1), 0);
	CU_ASSERT_EQUAL(check(&rig, rig.made.text, NOW), 0);
	CU_ASSERT_EQUAL(rig.who.role, ROLE_admin);
	rig_close(&rig);
}

static void a_key_has_its_form(void)
{
	static const char digits[] =
	    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	uint32_t seen_counts[128] = {0};
	char name[16];
	struct rig rig;

	rig_open(&rig);
	for (int i = 0; i < 200; i++) {
		const char *text = rig.made.text;

		snprintf(name, sizeof(name), "%d", i);
		CU_ASSERT_EQUAL(create(&rig, name, ROLE_viewer, 0), 0);
		CU_ASSERT_EQUAL(strlen(text), KEY_LENGTH);
		CU_ASSERT_EQUAL(strncmp(text, "kante_", 6), 0);
		CU_ASSERT_EQUAL(strncmp(text + 6, rig.made.id, ID_LENGTH), 0);
		CU_ASSERT_EQUAL(strspn(text + 6, digits), ID_LENGTH);
		CU_ASSERT_EQUAL(text[16], '_');
		CU_ASSERT_EQUAL(strspn(text + 17, digits), 43);
		for (size_t j = 17; j < KEY_LENGTH; j++)
			seen_counts[(unsigned char)text[j]]++;
	}
	/* 8600 digits, 139 of each and a standard deviation of 12: seven of those */
	for (size_t i = 0; digits[i] != '\0'; i++)
		CU_ASSERT_TRUE(seen_counts[(size_t)digits[i]] > 139 - 84 &&
		               seen_counts[(size_t)digits[i]] < 139 + 84);
	rig_close(&rig);
}

static void every_other_key_is_refused(void)
{
	char text[KEYS_TEXT_BYTES + 8];
	struct rig rig;
	uint32_t let_in_count = 0;

	rig_open(&rig);
	CU_ASSERT_EQUAL(create(&rig, "a", ROLE_admin, 0), 0);
	for (size_t i = 0; i <= KEY_LENGTH; i++)
		for (int byte = 0; byte < 256; byte++) {
			strcpy(text, rig.made.text);
			if (text[i] == (char)byte)
				continue;
			text[i] = (char)byte;
			text[KEY_LENGTH + 1] = '\0';
			let_in_count += check(&rig, text, NOW) != -EACCES;
			let_in_count += rig.who.role != ROLE_none;
		}
	for (size_t i = 0; i < KEY_LENGTH; i++) {
		strcpy(text, rig.made.text);
		text[i] = '\0';
		let_in_count += check(&rig, text, NOW) != -EACCES;
	}
	snprintf(text, sizeof(text), "%s ", rig.made.text);
	let_in_count += check(&rig, text, NOW) != -EACCES;
	snprintf(text, sizeof(text), " %s", rig.made.text);
	let_in_count += check(&rig, text, NOW) != -EACCES;
	CU_ASSERT_EQUAL(let_in_count, 0);
	CU_ASSERT_EQUAL(check(&rig, rig.made.text, NOW), 0);
	rig_close(&rig);
}

static void the_id_of_a_refused_key_is_told_when_it_is_known(void)
{
	struct keys_made first;
	char text[KEYS_TEXT_BYTES];
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(create(&rig, "a", ROLE_admin, 0), 0);
	first = rig.made;
	CU_ASSERT_EQUAL(create(&rig, "b", ROLE_admin, 0), 0);
	strcpy(text, rig.made.text);
	memcpy(text + 6, first.id, ID_LENGTH);
	CU_ASSERT_EQUAL(check(&rig, text, NOW), -EACCES);
	CU_ASSERT_STRING_EQUAL(rig.who.credential_id, first.id);
	CU_ASSERT_STRING_EQUAL(rig.who.name, "");
	CU_ASSERT_EQUAL(rig.who.role, ROLE_none);
	memcpy(text + 6, "0123456789", ID_LENGTH);
	CU_ASSERT_EQUAL(check(&rig, text, NOW), -EACCES);
	CU_ASSERT_STRING_EQUAL(rig.who.credential_id, "");
	CU_ASSERT_EQUAL(rig.who.credential, CREDENTIAL_key);
	rig_close(&rig);
}

static void an_unknown_id_costs_what_a_known_one_costs(void)
{
	char text[KEYS_TEXT_BYTES];
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(create(&rig, "a", ROLE_admin, 0), 0);
	for (int is_known = 0; is_known < 2; is_known++) {
		strcpy(text, rig.made.text);
		change(&text[is_known ? 30 : 10]);
		digest_count = comparison_count = 0;
		CU_ASSERT_EQUAL(check(&rig, text, NOW), -EACCES);
		CU_ASSERT_EQUAL(digest_count, 1);
		CU_ASSERT_EQUAL(comparison_count, 1);
	}
	rig_close(&rig);
}

static void a_key_that_has_expired_or_is_revoked_lets_nobody_in(void)
{
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(create(&rig, "a", ROLE_admin, NOW + 100), 0);
	CU_ASSERT_EQUAL(check(&rig, rig.made.text, NOW + 99), 0);
	CU_ASSERT_EQUAL(check(&rig, rig.made.text, NOW + 100), -EKEYEXPIRED);
	CU_ASSERT_EQUAL(rig.who.role, ROLE_none);
	CU_ASSERT_STRING_EQUAL(rig.who.name, "a");
	CU_ASSERT_EQUAL(revoke_id(&rig, rig.made.id), 0);
	CU_ASSERT_EQUAL(check(&rig, rig.made.text, NOW + 99), -EKEYREVOKED);
	CU_ASSERT_EQUAL(check(&rig, rig.made.text, NOW + 100), -EKEYREVOKED);
	CU_ASSERT_EQUAL(rig.who.role, ROLE_none);
	CU_ASSERT_STRING_EQUAL(rig.who.credential_id, rig.made.id);
	change(&rig.made.text[20]);
	CU_ASSERT_EQUAL(check(&rig, rig.made.text, NOW + 100), -EACCES);
	rig_close(&rig);
}

static void only_what_is_good_can_be_revoked_and_once(void)
{
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(revoke_id(&rig, "0123456789"), -ENOENT);
	CU_ASSERT_STRING_EQUAL(rig.error, "there is no key of that id: see the list of keys");
	CU_ASSERT_EQUAL(create(&rig, "a", ROLE_admin, 0), 0);
	CU_ASSERT_EQUAL(revoke_id(&rig, ""), -ENOENT);
	CU_ASSERT_EQUAL(revoke_id(&rig, rig.made.text), -ENOENT);
	CU_ASSERT_EQUAL(revoke_id(&rig, rig.made.id), 0);
	CU_ASSERT_EQUAL(revoke_id(&rig, rig.made.id), -EALREADY);
	CU_ASSERT_STRING_EQUAL(rig.error, "it is revoked: nothing is left to do");
	rig_close(&rig);
}

static void a_key_needs_a_name_a_role_and_a_time(void)
{
	char longest[KEYS_NAME_BYTES_MAX + 2];
	struct rig rig;

	rig_open(&rig);
	memset(longest, 'x', sizeof(longest));
	longest[KEYS_NAME_BYTES_MAX + 1] = '\0';
	CU_ASSERT_EQUAL(create(&rig, longest, ROLE_viewer, 0), -EINVAL);
	CU_ASSERT_STRING_EQUAL(rig.error, "a name is 1 to 64 bytes of UTF-8 without control "
	                                  "characters: give such a one");
	CU_ASSERT_EQUAL(create(&rig, "", ROLE_viewer, 0), -EINVAL);
	CU_ASSERT_EQUAL(create(&rig, "a\nb", ROLE_viewer, 0), -EINVAL);
	CU_ASSERT_EQUAL(create(&rig, "\x1b[2J", ROLE_viewer, 0), -EINVAL);
	CU_ASSERT_EQUAL(create(&rig, "\xff", ROLE_viewer, 0), -EINVAL);
	CU_ASSERT_EQUAL(create(&rig, "a", ROLE_none, 0), -EINVAL);
	CU_ASSERT_STRING_EQUAL(rig.error,
	                       "a key of the role none opens nothing: give another role");
	CU_ASSERT_EQUAL(create(&rig, "a", ROLE_viewer, NOW), -EINVAL);
	CU_ASSERT_EQUAL(create(&rig, "a", ROLE_viewer, UINT64_MAX), -EINVAL);
	CU_ASSERT_EQUAL(create(&rig, "a", ROLE_viewer, 253402300800), -EINVAL);
	CU_ASSERT_STRING_EQUAL(rig.error, "it would expire in the past, or after the year 9999: "
	                                  "give another time");
	CU_ASSERT_EQUAL(list_count(&rig), 0);
	CU_ASSERT_EQUAL(rig.made.text[0], '\0');
	CU_ASSERT_EQUAL(folder_count(&rig.folder, false), 0); /* nothing was written */
	CU_ASSERT_EQUAL(create(&rig, longest + 1, ROLE_viewer, 253402300799), 0);
	CU_ASSERT_EQUAL(create(&rig, "K\xc3\xa4the \"\\", ROLE_viewer, NOW + 1), 0);
	CU_ASSERT_EQUAL_FATAL(keys_read(&rig), 0);
	CU_ASSERT_EQUAL(check(&rig, rig.made.text, NOW), 0);
	CU_ASSERT_STRING_EQUAL(rig.who.name, "K\xc3\xa4the \"\\");
	rig_close(&rig);
}

static void a_name_is_free_when_its_key_is_no_longer_good(void)
{
	char first_id[KEYS_ID_BYTES], expected[128];
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(create(&rig, "a", ROLE_viewer, 0), 0);
	strcpy(first_id, rig.made.id);
	CU_ASSERT_EQUAL(create(&rig, "a", ROLE_admin, 0), -EEXIST);
	snprintf(expected, sizeof(expected),
	         "the key %s has that name: choose another one, or revoke it", first_id);
	CU_ASSERT_STRING_EQUAL(rig.error, expected);
	CU_ASSERT_EQUAL(create(&rig, "A", ROLE_viewer, 0), 0);
	CU_ASSERT_EQUAL(revoke_id(&rig, first_id), 0);
	CU_ASSERT_EQUAL(create(&rig, "a", ROLE_viewer, NOW + 1), 0);
	CU_ASSERT_EQUAL(keys_create(rig.keys, "a", ROLE_viewer, 0, "CN=ops", NOW + 1, &rig.made,
	                            rig.error, sizeof(rig.error)),
	                0);
	rig_close(&rig);
}

static void two_keys_never_have_the_same_id(void)
{
	struct keys_made first;
	struct rig rig;

	rig_open(&rig);
	randomness.byte = 7;
	randomness.constant_count = 2; /* one for the id, one for the secret */
	CU_ASSERT_EQUAL(create(&rig, "a", ROLE_viewer, 0), 0);
	CU_ASSERT_STRING_EQUAL(rig.made.id, "7777777777");
	first = rig.made;
	randomness.constant_count = 3; /* a try each */
	CU_ASSERT_EQUAL(create(&rig, "b", ROLE_viewer, 0), 0);
	CU_ASSERT_EQUAL(randomness.constant_count, 0);
	CU_ASSERT_STRING_NOT_EQUAL(rig.made.id, first.id);
	CU_ASSERT_EQUAL(check(&rig, first.text, NOW), 0);
	CU_ASSERT_STRING_EQUAL(rig.who.name, "a");
	randomness.byte = 255; /* 255 % 62 is 7, but 0 to 7 would be likelier than others */
	randomness.constant_count = 1;
	CU_ASSERT_EQUAL(create(&rig, "fair", ROLE_viewer, 0), 0);
	CU_ASSERT_STRING_NOT_EQUAL(rig.made.id, "7777777777");
	randomness.byte = 7;
	randomness.constant_count = UINT32_MAX; /* a generator that is broken */
	CU_ASSERT_EQUAL(create(&rig, "c", ROLE_viewer, 0), -EIO);
	randomness.constant_count = 0;
	CU_ASSERT_EQUAL(list_count(&rig), 3);
	rig_close(&rig);
}

static void without_randomness_or_hashes_there_is_no_key(void)
{
	struct rig rig;

	rig_open(&rig);
	for (uint32_t skip = 0; skip < 2; skip++) {
		fault_set("RAND_bytes", 0, skip, 1);
		CU_ASSERT_EQUAL(create(&rig, "a", ROLE_viewer, 0), -EIO);
		CU_ASSERT_STRING_EQUAL(rig.error, "OpenSSL has no random bytes: try again");
	}
	fault_set("EVP_Digest", 0, 0, 1);
	CU_ASSERT_EQUAL(create(&rig, "a", ROLE_viewer, 0), -ENOMEM);
	CU_ASSERT_EQUAL(list_count(&rig), 0);
	CU_ASSERT_EQUAL(create(&rig, "a", ROLE_viewer, 0), 0);
	fault_set("EVP_Digest", 0, 0, 1);
	CU_ASSERT_EQUAL(check(&rig, rig.made.text, NOW), -ENOMEM);
	CU_ASSERT_EQUAL(rig.who.role, ROLE_none);
	CU_ASSERT_EQUAL(ERR_peek_error(), 0); /* TLS would stumble over it */
	fault_set("RAND_bytes", 0, 0, 1);
	CU_ASSERT_EQUAL(keys_read(&rig), -EIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.error, "keys.json: OpenSSL has no random bytes: try"));
	fault_clear();
	rig_close(&rig);
}

static void what_has_ended_long_ago_is_pruned(void)
{
	struct keys_made good, revoked, expired;
	struct rig rig;
	uint64_t count = 77;

	rig_open(&rig);
	CU_ASSERT_EQUAL(create(&rig, "expired", ROLE_viewer, NOW + 100), 0);
	expired = rig.made;
	CU_ASSERT_EQUAL(create(&rig, "good", ROLE_viewer, 0), 0);
	good = rig.made;
	CU_ASSERT_EQUAL(create(&rig, "revoked", ROLE_viewer, NOW + 1000), 0);
	revoked = rig.made;
	CU_ASSERT_EQUAL(revoke_id(&rig, revoked.id), 0); /* at NOW + 10 */
	CU_ASSERT_EQUAL(keys_prune(rig.keys, 50, NOW + 60, &count, rig.error, ERROR_BYTES), 0);
	CU_ASSERT_EQUAL(count, 0);
	CU_ASSERT_EQUAL(keys_prune(rig.keys, 50, NOW + 61, &count, rig.error, ERROR_BYTES), 0);
	CU_ASSERT_EQUAL(count, 1);
	CU_ASSERT_EQUAL(check(&rig, revoked.text, NOW), -EACCES);
	CU_ASSERT_EQUAL(keys_prune(rig.keys, 0, NOW + 100, &count, rig.error, ERROR_BYTES), 0);
	CU_ASSERT_EQUAL(count, 0);
	CU_ASSERT_EQUAL(keys_prune(rig.keys, UINT64_MAX, NOW + 999, &count, rig.error, ERROR_BYTES),
	                0);
	CU_ASSERT_EQUAL(count, 0);
	CU_ASSERT_EQUAL(keys_prune(rig.keys, 0, NOW + 101, &count, rig.error, ERROR_BYTES), 0);
	CU_ASSERT_EQUAL(count, 1);
	for (int again = 0; again < 2; again++) {
		CU_ASSERT_EQUAL(check(&rig, expired.text, NOW), -EACCES);
		CU_ASSERT_EQUAL(check(&rig, good.text, NOW), 0);
		CU_ASSERT_STRING_EQUAL(rig.who.name, "good");
		CU_ASSERT_EQUAL(list_count(&rig), 1);
		CU_ASSERT_EQUAL_FATAL(keys_read(&rig), 0);
	}
	rig_close(&rig);
}

static void the_list_has_all_but_secrets(void)
{
	static const char expected_format[] =
	    "[{s:s,s:s,s:s,s:s,s:s,s:n,s:n,s:s},{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s},"
	    "{s:s,s:s,s:s,s:s,s:s,s:s,s:n,s:s}]";
	static const char created[] = "2025-11-27T21:00:00Z";
	struct keys_made made[3];
	struct rig rig;
	json_t *list, *expected;
	char *text;

	rig_open(&rig);
	CU_ASSERT_EQUAL(create(&rig, "a", ROLE_viewer, 0), 0);
	made[0] = rig.made;
	CU_ASSERT_EQUAL(create(&rig, "b", ROLE_operator, NOW + 60), 0);
	made[1] = rig.made;
	CU_ASSERT_EQUAL(create(&rig, "c", ROLE_admin, NOW + 60), 0);
	made[2] = rig.made;
	CU_ASSERT_EQUAL(revoke_id(&rig, made[1].id), 0);
	list = keys_list(rig.keys, NOW + 60);
	expected =
	    json_pack(expected_format, "id", made[0].id, "name", "a", "role", "viewer", "created",
	              created, "creator", "CN=ops", "expires", "revoked", "state", "good", /**/
	              "id", made[1].id, "name", "b", "role", "operator", "created", created,
	              "creator", "CN=ops", "expires", "2025-11-27T21:01:00Z", "revoked",
	              "2025-11-27T21:00:10Z", "state", "revoked", /**/
	              "id", made[2].id, "name", "c", "role", "admin", "created", created, "creator",
	              "CN=ops", "expires", "2025-11-27T21:01:00Z", "revoked", "state", "expired");
	CU_ASSERT_PTR_NOT_NULL_FATAL(expected);
	CU_ASSERT_TRUE(json_equal(list, expected));
	json_decref(list);
	json_decref(expected);
	text = file_get(rig.path, NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, made[0].id));
	for (int i = 0; i < 3; i++)
		CU_ASSERT_PTR_NULL(strstr(text, made[i].text + 17));
	free(text);
	rig_close(&rig);
}

static void note(void *context, const char *id, const char *name)
{
	strcat(context, name);
	CU_ASSERT_EQUAL(strlen(id), ID_LENGTH);
}

static void each_that_expires_is_told_once(void)
{
	char told[16] = "";
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(create(&rig, "n", ROLE_viewer, 0), 0);
	CU_ASSERT_EQUAL(create(&rig, "a", ROLE_viewer, NOW + 10), 0);
	CU_ASSERT_EQUAL(create(&rig, "b", ROLE_viewer, NOW + 11), 0);
	CU_ASSERT_EQUAL(create(&rig, "r", ROLE_viewer, NOW + 11), 0);
	CU_ASSERT_EQUAL(revoke_id(&rig, rig.made.id), 0);
	for (uint64_t s = NOW; s < NOW + 20; s++) {
		keys_each_expired(rig.keys, s, s + 1, note, told);
		CU_ASSERT_STRING_EQUAL(told, s + 1 < NOW + 10 ? "" : s + 1 < NOW + 11 ? "a" : "ab");
	}
	rig_close(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"a key that was made lets in", a_key_that_was_made_lets_in},
	    {"a key has its form", a_key_has_its_form},
	    {"every other key is refused", every_other_key_is_refused},
	    {"the id of a refused key is told when it is known",
	     the_id_of_a_refused_key_is_told_when_it_is_known},
	    {"an unknown id costs what a known one costs",
	     an_unknown_id_costs_what_a_known_one_costs},
	    {"a key that has expired or is revoked lets nobody in",
	     a_key_that_has_expired_or_is_revoked_lets_nobody_in},
	    {"only what is good can be revoked, and once",
	     only_what_is_good_can_be_revoked_and_once},
	    {"a key needs a name, a role and a time", a_key_needs_a_name_a_role_and_a_time},
	    {"a name is free when its key is no longer good",
	     a_name_is_free_when_its_key_is_no_longer_good},
	    {"two keys never have the same id", two_keys_never_have_the_same_id},
	    {"without randomness or hashes there is no key",
	     without_randomness_or_hashes_there_is_no_key},
	    {"what has ended long ago is pruned", what_has_ended_long_ago_is_pruned},
	    {"the list has all but secrets", the_list_has_all_but_secrets},
	    {"each that expires is told once", each_that_expires_is_told_once},
	};

	return UNIT_RUN("keys", cases);
}
