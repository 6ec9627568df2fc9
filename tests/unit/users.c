/* SPDX-License-Identifier: Apache-2.0 */
#include "login/users.h"

#include "faults.h"
#include "unit.h"

#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PASSWORD   "correct horse"
#define HASH_BYTES CRYPT_OUTPUT_SIZE
#define TEXT_BYTES (USERS_FILE_BYTES_MAX + 4096)

FAULTY(int, CRYPT_SALT_INVALID, crypt_checksalt, (const char *setting), (setting))

static const struct siphash_key key = {1, 2};

static char last_setting[CRYPT_OUTPUT_SIZE]; /* that crypt_rn() was called with */

char *crypt_rn(const char *phrase, const char *setting, void *data, int bytes)
{
	char *(*next)(const char *, const char *, void *, int);

	snprintf(last_setting, sizeof(last_setting), "%s", setting);
	if (fault_hits("crypt_rn"))
		return NULL;
	*(void **)&next = dlsym(RTLD_NEXT, "crypt_rn");
	return next(phrase, setting, data, bytes);
}

struct rig {
	char folder[32];
	char path[64];
	char error[USERS_ERROR_BYTES];
	struct users *users;
};

static void rig_open(struct rig *rig)
{
	*rig = (struct rig){.folder = "/tmp/kante-users-XXXXXX"};
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(rig->folder));
	snprintf(rig->path, sizeof(rig->path), "%s/users", rig->folder);
}

static void rig_close(struct rig *rig)
{
	users_destroy(rig->users);
	unlink(rig->path);
	rmdir(rig->folder);
}

static int read_bytes(struct rig *rig, const char *text, size_t length)
{
	FILE *file = fopen(rig->path, "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT_EQUAL(fwrite(text, 1, length, file), length);
	fclose(file);
	users_destroy(rig->users);
	rig->users = NULL;
	rig->error[0] = '\0';
	return users_read(&rig->users, rig->path, &key, rig->error, sizeof(rig->error));
}

static void reads(struct rig *rig, const char *text)
{
	int r = read_bytes(rig, text, strlen(text));

	if (r != 0)
		printf("\n%s\n", rig->error);
	CU_ASSERT_EQUAL_FATAL(r, 0);
	CU_ASSERT_STRING_EQUAL(rig->error, "");
}

/* The file's faults must be one line, with the number of the line (0: none) and the reason. */
static void refused_bytes(const char *text, size_t length, unsigned line, const char *reason)
{
	struct rig rig;
	char start[80];
	int r;

	rig_open(&rig);
	if (line > 0)
		snprintf(start, sizeof(start), "%s:%u: ", rig.path, line);
	else
		snprintf(start, sizeof(start), "%s: ", rig.path);
	r = read_bytes(&rig, text, length);
	if (r != -EINVAL || strncmp(rig.error, start, strlen(start)) != 0 ||
	    strcmp(rig.error + strlen(start), reason) != 0)
		printf("\n--- %.200s\nwant %u: %s\ngot %d: %s\n", text, line, reason, r, rig.error);
	CU_ASSERT_EQUAL(r, -EINVAL);
	CU_ASSERT_EQUAL(strncmp(rig.error, start, strlen(start)), 0);
	CU_ASSERT_STRING_EQUAL(rig.error + strlen(start), reason);
	CU_ASSERT_PTR_NULL(rig.users);
	rig_close(&rig);
}

static void refused(const char *text, unsigned line, const char *reason)
{
	refused_bytes(text, strlen(text), line, reason);
}

/* With a new salt. */
static void hash_make(char ret_hash[HASH_BYTES], const char *prefix, unsigned long cost,
                      const char *password)
{
	struct crypt_data data = {0};
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	const char *hash;

	CU_ASSERT_PTR_NOT_NULL_FATAL(
	    crypt_gensalt_rn(prefix, cost, NULL, 0, setting, sizeof(setting)));
	hash = crypt_rn(password, setting, &data, sizeof(data));
	CU_ASSERT_PTR_NOT_NULL_FATAL(hash);
	snprintf(ret_hash, HASH_BYTES, "%s", hash);
}

/* The cheapest there is. */
static void hash_make_cheap(char ret_hash[HASH_BYTES], const char *password)
{
	hash_make(ret_hash, "$5$", 1000, password);
}

static struct slice slice_of(const char *text)
{
	return (struct slice){(const uint8_t *)text, strlen(text)};
}

static int check(struct rig *rig, const char *name, const char *password)
{
	return users_check(rig->users, slice_of(name), slice_of(password));
}

static void test_all_methods_tell_right_from_wrong(void)
{
	static const struct {
		const char *prefix;
		unsigned long cost;
	} methods[] = {{"$y$", 1}, {"$y$", 3},    {"$2b$", 4},   {"$2y$", 4}, {"$2a$", 4},
	               {"$6$", 0}, {"$6$", 1000}, {"$5$", 1000}, {"$5$", 0},  {"$y$", 0}};
	char hash[HASH_BYTES], text[HASH_BYTES + 16];
	struct rig rig;

	rig_open(&rig);
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		hash_make(hash, methods[i].prefix, methods[i].cost, PASSWORD);
		snprintf(text, sizeof(text), "alice:%s\n", hash);
		reads(&rig, text);
		CU_ASSERT_EQUAL(users_count(rig.users), 1);
		CU_ASSERT_EQUAL(check(&rig, "alice", PASSWORD), 0);
		CU_ASSERT_EQUAL(check(&rig, "alice", "correct horsf"), -EACCES);
		CU_ASSERT_EQUAL(check(&rig, "alice", ""), -EACCES);
		CU_ASSERT_EQUAL(check(&rig, "alice", hash), -EACCES);
		CU_ASSERT_EQUAL(check(&rig, "bob", PASSWORD), -EACCES);
		CU_ASSERT_EQUAL(check(&rig, "alice", PASSWORD), 0);
	}
	rig_close(&rig);
}

static void test_many_users_have_a_password_each(void)
{
	static const char *const names[] = {"zoe",          "al",  "alice", "b",
	                                    "\xc3\xa9mile", "a#b", "ALICE"};
	const size_t count = sizeof(names) / sizeof(names[0]);
	char text[4096] = "# who may log in\n\n", hash[HASH_BYTES];
	struct rig rig;

	rig_open(&rig);
	for (size_t i = 0; i < count; i++) {
		size_t used = strlen(text);

		hash_make_cheap(hash, names[(i + 1) % count]);
		snprintf(text + used, sizeof(text) - used, "%s:%s\n#bob:x\n\n", names[i], hash);
	}
	text[strlen(text) - strlen("\n#bob:x\n\n")] = '\0'; /* no newline at the end */
	reads(&rig, text);
	CU_ASSERT_EQUAL(users_count(rig.users), count);
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < count; j++)
			CU_ASSERT_EQUAL(check(&rig, names[i], names[j]),
			                j == (i + 1) % count ? 0 : -EACCES);
	CU_ASSERT_EQUAL(check(&rig, "#bob", "x"), -EACCES);
	CU_ASSERT_EQUAL(check(&rig, "", names[0]), -EACCES);
	rig_close(&rig);
}

static void test_names_and_passwords_may_have_255_bytes(void)
{
	char name[257], password[257], hash[HASH_BYTES], text[HASH_BYTES + 300];
	struct rig rig;

	rig_open(&rig);
	memset(name, 'n', 256);
	memset(password, 'p', 256);
	name[255] = password[255] = '\0';
	hash_make_cheap(hash, password);
	snprintf(text, sizeof(text), "%s:%s\n", name, hash);
	reads(&rig, text);
	CU_ASSERT_EQUAL(check(&rig, name, password), 0);
	password[254] = 'q';
	CU_ASSERT_EQUAL(check(&rig, name, password), -EACCES);
	/* one more is not cut off */
	memset(password, 'p', 256);
	password[256] = '\0';
	CU_ASSERT_EQUAL(check(&rig, name, password), -EACCES);
	rig_close(&rig);
}

static void test_a_zero_byte_makes_name_and_password_wrong(void)
{
	const struct slice name_longer = {(const uint8_t *)"alice\0b", 7};
	const struct slice password_longer = {(const uint8_t *)PASSWORD "\0x",
	                                      sizeof(PASSWORD) + 1};
	const struct slice none = {0};
	char hash[HASH_BYTES], text[HASH_BYTES + 16];
	struct rig rig;

	rig_open(&rig);
	hash_make_cheap(hash, PASSWORD);
	snprintf(text, sizeof(text), "alice:%s\n", hash);
	reads(&rig, text);
	CU_ASSERT_EQUAL(users_check(rig.users, name_longer, slice_of(PASSWORD)), -EACCES);
	CU_ASSERT_EQUAL(users_check(rig.users, slice_of("alice"), password_longer), -EACCES);
	CU_ASSERT_EQUAL(users_check(rig.users, none, none), -EACCES);
	CU_ASSERT_EQUAL(users_check(rig.users, slice_of("alice"), none), -EACCES);
	rig_close(&rig);
}

/* With one user, who is checked in the place of all that are not there. */
static void test_an_unknown_user_with_the_right_password_stays_out(void)
{
	char hash[HASH_BYTES], text[HASH_BYTES + 16], name[16];
	struct rig rig;

	rig_open(&rig);
	hash_make_cheap(hash, PASSWORD);
	snprintf(text, sizeof(text), "alice:%s\n", hash);
	reads(&rig, text);
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "user%d", i);
		CU_ASSERT_EQUAL(check(&rig, name, PASSWORD), -EACCES);
	}
	rig_close(&rig);
}

static void test_an_unknown_user_costs_what_one_of_the_users_costs(void)
{
	char cheap[HASH_BYTES], costly[HASH_BYTES], text[2 * HASH_BYTES + 32], name[16];
	uint32_t cheap_count = 0;
	struct rig rig;

	rig_open(&rig);
	hash_make_cheap(cheap, PASSWORD);
	hash_make(costly, "$6$", 5000, PASSWORD);
	snprintf(text, sizeof(text), "alice:%s\nbob:%s\n", cheap, costly);
	for (int i = 0; i < 40; i++) {
		bool was_cheap;

		reads(&rig, text);
		snprintf(name, sizeof(name), "user%d", i);
		CU_ASSERT_EQUAL(check(&rig, name, PASSWORD), -EACCES);
		was_cheap = strcmp(last_setting, cheap) == 0;
		CU_ASSERT_TRUE(was_cheap || strcmp(last_setting, costly) == 0);
		cheap_count += was_cheap;
		/* always the same one, also when the file was read again */
		reads(&rig, text);
		CU_ASSERT_EQUAL(check(&rig, name, "x"), -EACCES);
		CU_ASSERT_STRING_EQUAL(last_setting, was_cheap ? cheap : costly);
	}
	CU_ASSERT_TRUE(cheap_count > 5 && cheap_count < 35);
	rig_close(&rig);
}

static void test_a_check_that_fails_is_no_login(void)
{
	char hash[HASH_BYTES], text[HASH_BYTES + 16];
	struct rig rig;

	rig_open(&rig);
	hash_make_cheap(hash, PASSWORD);
	snprintf(text, sizeof(text), "alice:%s\n", hash);
	reads(&rig, text);
	fault_set("crypt_rn", ENOMEM, 0, 1);
	CU_ASSERT_EQUAL(check(&rig, "alice", PASSWORD), -EIO);
	fault_set("crypt_rn", 0, 0, 1);
	CU_ASSERT_EQUAL(check(&rig, "alice", PASSWORD), -EIO);
	fault_clear();
	CU_ASSERT_EQUAL(check(&rig, "alice", PASSWORD), 0);
	rig_close(&rig);
}

#define DIGEST_43 "0123456789012345678901234567890123456789012"
#define DIGEST_86 DIGEST_43 DIGEST_43
#define BCRYPT_53 "012345678901234567890.0123456789012345678901234567890"

#define PLAIN "a plain password, or a hash by DES: put a hash there that `mkpasswd` makes"
#define UNKNOWN                                                                                    \
	"a hash by MD5 or by another method that is weak or unknown: make one with `mkpasswd` "    \
	"(yescrypt) or `htpasswd -nB` (bcrypt)"
#define BROKEN "the hash is cut off, mistyped, or has more behind it: copy it anew"
#define COSTLY                                                                                     \
	"the hash takes too long to check: lower its cost (at most bcrypt 14, 2000000 rounds of "  \
	"SHA, 64 MiB for yescrypt)"
#define SPACE "a space or a control byte: remove it (and end lines with LF alone)"

static void test_what_is_no_hash_is_refused(void)
{
	refused("alice:secret\n", 1, PLAIN);
	refused("# comment\n\nalice:secret", 3, PLAIN);
	refused("alice:9kZ1wENGwXsok\n", 1, PLAIN);
	refused("alice:_J9..Bk/uNxL1KHG5iR6\n", 1, PLAIN);
	refused("alice:{SHA}0DPiKuNIrrVmD8IUCuw1hQxNqZc=\n", 1, PLAIN);
	refused("alice:!$6$salt$" DIGEST_86 "\n", 1, PLAIN);
	refused("alice:$1$0hi2hNMV$XQXHIuTu8D2zvq.XeKODa/\n", 1, UNKNOWN);
	refused("alice:$apr1$0hi2hNMV$XQXHIuTu8D2zvq.XeKODa/\n", 1, UNKNOWN);
	refused("alice:$2x$05$" BCRYPT_53 "\n", 1, UNKNOWN);
	refused("alice:$9$abc\n", 1, UNKNOWN);
	refused("alice:$\n", 1, UNKNOWN);
	refused("alice:\n", 1, "no hash behind the colon: make one with `mkpasswd`");
}

static void test_a_broken_hash_is_refused(void)
{
	static const char *const broken[] = {
	    "$y$",
	    "$y$j9T",
	    "$y$j9T$",
	    "$y$j9T$salt",
	    "$y$j9T$salt$",
	    "$y$j9T$$" DIGEST_43,
	    "$y$j9T$salt$" DIGEST_43 "0",
	    "$y$j9$salt$" DIGEST_43,
	    "$y$k9T$salt$" DIGEST_43,
	    "$y$jzT$salt$" DIGEST_43,
	    "$y$j9z$salt$" DIGEST_43,
	    "$y$j9T.$salt$" DIGEST_43,
	    "$y$j9T$sa_lt$" DIGEST_43,
	    "$y$j9T$salt$" DIGEST_43 ":19000:0:99999:7:::",
	    "$y$j9T$" DIGEST_43 DIGEST_43 "0$" DIGEST_43,
	    "$2b$",
	    "$2b$05$",
	    "$2b$5$" BCRYPT_53,
	    "$2b$05" BCRYPT_53,
	    "$2b$05$" BCRYPT_53 "0",
	    "$2b$03$" BCRYPT_53,
	    "$2b$00$" BCRYPT_53,
	    "$2b$0a$" BCRYPT_53,
	    "$2b$05$" DIGEST_43,
	    "$2b$05$0123456789012345678901" DIGEST_43,
	    "$2b$05$012345678901234567890P0123456789012345678901234567890",
	    "$6$",
	    "$6$salt",
	    "$6$salt$",
	    "$6$salt$" DIGEST_43,
	    "$6$salt$" DIGEST_86 "0",
	    "$6$$" DIGEST_86,
	    "$6$0123456789abcdefg$" DIGEST_86,
	    "$6$rounds=999$salt$" DIGEST_86,
	    "$6$rounds=01000$salt$" DIGEST_86,
	    "$6$rounds=$salt$" DIGEST_86,
	    "$6$rounds=1000salt$" DIGEST_86,
	    "$6$rounds=1000$" DIGEST_86,
	    "$6$rounds=10000000000$salt$" DIGEST_86,
	    "$6$salt$" DIGEST_86 "$",
	    "$5$salt$" DIGEST_86,
	    "$5$salt$" DIGEST_43 ":",
	};
	char text[512];

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		snprintf(text, sizeof(text), "alice:%s\n", broken[i]);
		refused(text, 1, BROKEN);
	}
}

static void test_a_method_that_libcrypt_does_not_do_is_refused(void)
{
	fault_set("crypt_checksalt", 0, 0, 1);
	refused("alice:$y$j9T$salt$" DIGEST_43, 1,
	        "a hash by a method that this host's libcrypt does not do: use another");
	fault_clear();
}

/* A hash of that form, with a digest that is none's. */
static void accepted(const char *hash)
{
	char text[512];
	struct rig rig;

	rig_open(&rig);
	snprintf(text, sizeof(text), "alice:%s\n", hash);
	reads(&rig, text);
	rig_close(&rig);
}

static void test_costs_have_their_limits(void)
{
	accepted("$2b$14$" BCRYPT_53);
	refused("alice:$2b$15$" BCRYPT_53, 1, COSTLY);
	refused("alice:$2y$31$" BCRYPT_53, 1, COSTLY);
	accepted("$6$rounds=2000000$salt$" DIGEST_86);
	refused("alice:$6$rounds=2000001$salt$" DIGEST_86, 1, COSTLY);
	refused("alice:$5$rounds=999999999$salt$" DIGEST_43, 1, COSTLY);
	accepted("$y$jBT$salt$" DIGEST_43);
	refused("alice:$y$jCT$salt$" DIGEST_43, 1, COSTLY);
	refused("alice:$y$jj.$salt$" DIGEST_43, 1, COSTLY);
}

static void test_a_line_of_another_form_is_refused(void)
{
	char text[1024], name[300], hash[700];

	memset(name, 'n', sizeof(name));
	name[256] = '\0';
	memset(hash, 'h', sizeof(hash));
	hash[640] = '\0';
	refused("alice\n", 1, "no colon: write NAME:HASH");
	refused(":$6$salt$" DIGEST_86 "\n", 1, "no name before the colon: write NAME:HASH");
	refused("alice: $6$salt$" DIGEST_86 "\n", 1, SPACE);
	refused(" alice:$6$salt$" DIGEST_86 "\n", 1, SPACE);
	refused("alice:$6$salt$" DIGEST_86 "\r\n", 1, SPACE);
	refused("\n \n", 2, SPACE);
	refused("ali\x7f"
	        "ce:$6$salt$" DIGEST_86 "\n",
	        1, SPACE);
	refused_bytes("ali\0ce:x\n", 9, 1, "a zero byte: this is no text file");
	refused_bytes("alice:x\0", 8, 1, "a zero byte: this is no text file");
	snprintf(text, sizeof(text), "%s:$6$salt$" DIGEST_86 "\n", name);
	refused(text, 1, "a name of more than 255 bytes: choose a shorter one");
	snprintf(text, sizeof(text), "alice:%s\n", hash);
	refused(text, 1, "longer than any user's line: copy the hash anew");
}

static void test_a_name_given_twice_is_refused(void)
{
	refused("alice:$6$salt$" DIGEST_86 "\nbob:$6$salt$" DIGEST_86
	        "\n# no\nalice:$5$salt$" DIGEST_43,
	        4, "alice: given twice, before this in line 1: remove one");
}

static void test_a_file_without_users_is_refused(void)
{
	refused("", 0, "no user in it: add lines of NAME:HASH");
	refused("# nobody\n\n", 0, "no user in it: add lines of NAME:HASH");
}

static void test_every_fault_has_its_line_and_none_repeats_a_password(void)
{
	struct rig rig;
	char wanted[512];

	rig_open(&rig);
	snprintf(wanted, sizeof(wanted),
	         "%s:1: " PLAIN "\n%s:3: no colon: write NAME:HASH\n%s:4: " SPACE, rig.path,
	         rig.path, rig.path);
	CU_ASSERT_EQUAL(
	    read_bytes(&rig, "alice:secret\nbob:$6$salt$" DIGEST_86 "\nsecret\ncarol:my secret",
	               strlen("alice:secret\nbob:$6$salt$" DIGEST_86 "\nsecret\ncarol:my secret")),
	    -EINVAL);
	CU_ASSERT_STRING_EQUAL(rig.error, wanted);
	CU_ASSERT_PTR_NULL(strstr(rig.error, "secret"));
	rig_close(&rig);
}

static void test_ten_thousand_users_are_the_limit(void)
{
	char *text = malloc(TEXT_BYTES), hash[HASH_BYTES], name[16];
	size_t used = 0;
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	hash_make_cheap(hash, PASSWORD);
	for (uint32_t i = 0; i < USERS_COUNT_MAX; i++)
		used += (size_t)snprintf(text + used, TEXT_BYTES - used, "u%u:%s\n",
		                         i * 7919 % 10007, hash);
	CU_ASSERT_EQUAL(read_bytes(&rig, text, used), 0);
	CU_ASSERT_EQUAL(users_count(rig.users), USERS_COUNT_MAX);
	for (uint32_t i = 0; i < USERS_COUNT_MAX; i += 997) {
		snprintf(name, sizeof(name), "u%u", i * 7919 % 10007);
		CU_ASSERT_EQUAL(check(&rig, name, PASSWORD), 0);
	}
	used += (size_t)snprintf(text + used, TEXT_BYTES - used, "one:%s\ntwo:%s\n", hash, hash);
	CU_ASSERT_EQUAL(read_bytes(&rig, text, used), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(rig.error, "users: 10002 users: at most 10000 can be served"));
	rig_close(&rig);
	free(text);
}

static void test_a_file_that_cannot_be_read_says_why(void)
{
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(users_read(&rig.users, rig.path, &key, rig.error, sizeof(rig.error)),
	                -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.error, "users: there is no such file: check the path"));
	CU_ASSERT_EQUAL(users_read(&rig.users, rig.folder, &key, rig.error, sizeof(rig.error)),
	                -EISDIR);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.error, ": a directory: give the path of a file"));
	CU_ASSERT_EQUAL(mkfifo(rig.path, 0600), 0);
	CU_ASSERT_EQUAL(users_read(&rig.users, rig.path, &key, rig.error, sizeof(rig.error)),
	                -ENXIO);
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(rig.error, "users: not a regular file: give the path of one"));
	unlink(rig.path);
	CU_ASSERT_EQUAL(read_bytes(&rig, "#", 1), -EINVAL);
	CU_ASSERT_EQUAL(truncate(rig.path, USERS_FILE_BYTES_MAX + 1), 0);
	CU_ASSERT_EQUAL(users_read(&rig.users, rig.path, &key, rig.error, sizeof(rig.error)),
	                -EFBIG);
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(rig.error, "users: larger than 8 MiB: this is no file of ours"));
	rig_close(&rig);
}

static const struct unit_case cases[] = {
    {"all methods tell right from wrong", test_all_methods_tell_right_from_wrong},
    {"many users have a password each", test_many_users_have_a_password_each},
    {"names and passwords may have 255 bytes", test_names_and_passwords_may_have_255_bytes},
    {"a zero byte makes name and password wrong", test_a_zero_byte_makes_name_and_password_wrong},
    {"an unknown user with the right password stays out",
     test_an_unknown_user_with_the_right_password_stays_out},
    {"an unknown user costs what one of the users costs",
     test_an_unknown_user_costs_what_one_of_the_users_costs},
    {"a check that fails is no login", test_a_check_that_fails_is_no_login},
    {"what is no hash is refused", test_what_is_no_hash_is_refused},
    {"a broken hash is refused", test_a_broken_hash_is_refused},
    {"a method that libcrypt does not do is refused",
     test_a_method_that_libcrypt_does_not_do_is_refused},
    {"costs have their limits", test_costs_have_their_limits},
    {"a line of another form is refused", test_a_line_of_another_form_is_refused},
    {"a name given twice is refused", test_a_name_given_twice_is_refused},
    {"a file without users is refused", test_a_file_without_users_is_refused},
    {"every fault has its line, and none repeats a password",
     test_every_fault_has_its_line_and_none_repeats_a_password},
    {"ten thousand users are the limit", test_ten_thousand_users_are_the_limit},
    {"a file that cannot be read says why", test_a_file_that_cannot_be_read_says_why},
};

int main(void)
{
	return UNIT_RUN("users", cases);
}
