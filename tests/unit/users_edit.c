/* SPDX-License-Identifier: Apache-2.0 */
#include "login/users_edit.h"

#include "login/users.h"
#include "unit.h"

#include <crypt.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define ONE   "$y$j9T$abcdefgh$1234567890123456789012345678901234567890123"
#define OTHER "$y$j9T$stuvwxyz$1234567890123456789012345678901234567890123"

static int edit(char **ret_text, bool *ret_was_there, const char *text, const char *name,
                const char *hash, char *error)
{
	size_t length = 0;
	int r;

	*ret_text = NULL;
	error[0] = '\0';
	r = users_edit(ret_text, &length, ret_was_there, "users", text, strlen(text), name, hash,
	               error, USERS_ERROR_BYTES);
	CU_ASSERT_EQUAL(r == 0, *ret_text != NULL);
	CU_ASSERT_EQUAL(r == 0, error[0] == '\0');
	if (r == 0)
		CU_ASSERT_EQUAL(strlen(*ret_text), length);
	return r;
}

static void becomes(const char *text, const char *name, const char *hash, const char *wanted,
                    bool was_there)
{
	char error[USERS_ERROR_BYTES], *got;
	bool is_told = false;
	int r = edit(&got, &is_told, text, name, hash, error);

	if (r != 0 || strcmp(got, wanted) != 0)
		printf("\n--- want\n%s--- got %d %s\n%s", wanted, r, error, got == NULL ? "" : got);
	CU_ASSERT_EQUAL_FATAL(r, 0);
	CU_ASSERT_STRING_EQUAL(got, wanted);
	CU_ASSERT_EQUAL(is_told, was_there);
	free(got);
}

static void refused(const char *text, const char *name, const char *hash, int error_number,
                    const char *said)
{
	char error[USERS_ERROR_BYTES], *got;
	bool ignored;
	int r = edit(&got, &ignored, text, name, hash, error);

	if (r != error_number || strcmp(error, said) != 0)
		printf("\nwant %d %s\ngot %d %s\n", error_number, said, r, error);
	CU_ASSERT_EQUAL(r, error_number);
	CU_ASSERT_STRING_EQUAL(error, said);
	free(got);
}

static void a_hash_is_one_that_users_are_checked_by(void)
{
	char hash[USERS_HASH_BYTES], again[USERS_HASH_BYTES], text[2 * USERS_HASH_BYTES];
	char error[USERS_ERROR_BYTES];
	const struct siphash_key key = {1, 2};
	struct users *users;

	CU_ASSERT_EQUAL_FATAL(users_hash(hash, "correct horse"), 0);
	CU_ASSERT_EQUAL_FATAL(users_hash(again, "correct horse"), 0);
	CU_ASSERT_STRING_NOT_EQUAL(hash, again); /* each has its salt */
	snprintf(text, sizeof(text), "ada:%s\n", hash);
	CU_ASSERT_EQUAL_FATAL(
	    users_parse(&users, "users", text, strlen(text), &key, error, sizeof(error)), 0);
	CU_ASSERT_EQUAL(users_check(users, SLICE_LITERAL("ada"), SLICE_LITERAL("correct horse")),
	                0);
	CU_ASSERT_EQUAL(users_check(users, SLICE_LITERAL("ada"), SLICE_LITERAL("battery")),
	                -EACCES);
	users_destroy(users);
}

static void a_password_is_neither_empty_nor_longer_than_a_client_can_send(void)
{
	char hash[USERS_HASH_BYTES], password[LOGIN_PASSWORD_BYTES_MAX + 2] = "";

	CU_ASSERT_EQUAL(users_hash(hash, ""), -EINVAL);
	memset(password, 'x', LOGIN_PASSWORD_BYTES_MAX + 1);
	CU_ASSERT_EQUAL(users_hash(hash, password), -EINVAL);
	password[LOGIN_PASSWORD_BYTES_MAX] = '\0';
	CU_ASSERT_EQUAL(users_hash(hash, password), 0);
}

static void a_user_is_changed_where_he_stands(void)
{
	becomes("# who\nada:" ONE "\n\nbob:" ONE "\n", "ada", OTHER,
	        "# who\nada:" OTHER "\n\nbob:" ONE "\n", true);
	becomes("ada:" ONE "\nbob:" ONE, "bob", OTHER, "ada:" ONE "\nbob:" OTHER, true);
	becomes("adam:" ONE "\nada:" ONE "\n", "ada", OTHER, "adam:" ONE "\nada:" OTHER "\n", true);
	/* what is wrong with him is mended */
	becomes("ada:plain\n", "ada", ONE, "ada:" ONE "\n", true);
}

static void a_new_user_comes_last(void)
{
	becomes("ada:" ONE "\n", "bob", OTHER, "ada:" ONE "\nbob:" OTHER "\n", false);
	becomes("ada:" ONE, "bob", OTHER, "ada:" ONE "\nbob:" OTHER "\n", false);
	becomes("", "bob", OTHER, "bob:" OTHER "\n", false);
	becomes("#bob:" ONE "\n", "bob", OTHER, "#bob:" ONE "\nbob:" OTHER "\n", false);
	becomes("ada:" ONE "\n", "ad", OTHER, "ada:" ONE "\nad:" OTHER "\n", false);
}

static void a_user_goes_with_his_line(void)
{
	becomes("ada:" ONE "\n# b\nbob:" ONE "\n", "ada", NULL, "# b\nbob:" ONE "\n", true);
	becomes("ada:" ONE "\nbob:" ONE, "bob", NULL, "ada:" ONE "\n", true);
}

static void what_is_no_change_of_a_user_is_refused(void)
{
	char name[LOGIN_NAME_BYTES_MAX + 2] = "";

	refused("ada:" ONE "\n", "bob", NULL, -ENOENT,
	        "there is no user of that name: see the list");
	refused(
	    "ada:" ONE "\n", "ada", NULL, -EPERM,
	    "the last user: without one nobody can log in: add another first, or take auth_file "
	    "out of the config");
	refused("ada:" ONE "\n", "", ONE, -EINVAL,
	        "a user's name has 1 to 255 bytes: choose another");
	memset(name, 'x', sizeof(name) - 1);
	refused("ada:" ONE "\n", name, ONE, -EINVAL,
	        "a user's name has 1 to 255 bytes: choose another");
	refused("ada:" ONE "\n", "#ada", ONE, -EINVAL,
	        "a line that begins with # is a comment: choose another name");
#define NAME_BYTES_SAID "a user's name has no space, colon or control byte in it: choose another"
	refused("ada:" ONE "\n", "a:b", ONE, -EINVAL, NAME_BYTES_SAID);
	refused("ada:" ONE "\n", "a b", ONE, -EINVAL, NAME_BYTES_SAID);
	refused("ada:" ONE "\n", "a\nb", ONE, -EINVAL, NAME_BYTES_SAID);
}

static void a_file_that_is_faulty_is_not_changed(void)
{
	const char *said = "users:2: a plain password, or a hash by DES: put a hash there that "
	                   "`mkpasswd` makes";

	refused("ada:" ONE "\nbob:plain\n", "ada", OTHER, -EINVAL, said);
	refused("ada:" ONE "\nbob:plain\n", "ada", NULL, -EINVAL, said);
	refused("ada:" ONE "\nada:" ONE "\n", "ada", OTHER, -EINVAL,
	        "users:2: ada: given twice, before this in line 1: remove one");
}

static const struct unit_case cases[] = {
    {"a hash is one that users are checked by", a_hash_is_one_that_users_are_checked_by},
    {"a password is neither empty nor longer than a client can send",
     a_password_is_neither_empty_nor_longer_than_a_client_can_send},
    {"a user is changed where he stands", a_user_is_changed_where_he_stands},
    {"a new user comes last", a_new_user_comes_last},
    {"a user goes with his line", a_user_goes_with_his_line},
    {"what is no change of a user is refused", what_is_no_change_of_a_user_is_refused},
    {"a file that is faulty is not changed", a_file_that_is_faulty_is_not_changed},
};

int main(void)
{
	return UNIT_RUN("users_edit", cases);
}
