/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of logins when the file of users changes. ThreadSanitizer is meant to watch. */
#include "login/login.h"

#include "login_rig.h"

static void test_a_new_file_is_read(void)
{
	char text[TEXT_BYTES], bob[CRYPT_OUTPUT_SIZE];
	const struct login_counters *counters;
	struct rig rig;

	rig_open(&rig);
	counters = login_counters(rig.login);
	line_make(bob, "bob", "left");
	snprintf(text, sizeof(text), "%s%s", rig.alice, bob);
	CU_ASSERT_FALSE(logs_in(&rig, "bob", "left"));
	file_put(&rig, rig.path, text);
	CU_ASSERT_TRUE(reaches(&counters->reloads, 1));
	CU_ASSERT_TRUE(logs_in(&rig, "bob", "left"));
	CU_ASSERT_TRUE(logs_in(&rig, "alice", "right"));
	CU_ASSERT_EQUAL(counter_read(&counters->users), 2);
	CU_ASSERT_TRUE(logged(&rig, "/users: read again: 2 users\n"));
	/* whoever is no longer in it can no longer log in */
	file_put(&rig, rig.path, bob);
	CU_ASSERT_TRUE(reaches(&counters->reloads, 2));
	CU_ASSERT_FALSE(logs_in(&rig, "alice", "right"));
	CU_ASSERT_TRUE(logs_in(&rig, "bob", "left"));
	CU_ASSERT_EQUAL(counter_read(&counters->reloads_failed), 0);
	rig_close(&rig);
}

static void test_a_file_that_is_written_in_place_is_read(void)
{
	char bob[CRYPT_OUTPUT_SIZE];
	struct rig rig;
	FILE *file;

	rig_open(&rig);
	line_make(bob, "bob", "left");
	file = fopen(rig.path, "a");
	fputs(bob, file);
	fclose(file);
	CU_ASSERT_TRUE(reaches(&login_counters(rig.login)->reloads, 1));
	CU_ASSERT_TRUE(logs_in(&rig, "bob", "left"));
	CU_ASSERT_TRUE(logs_in(&rig, "alice", "right"));
	rig_close(&rig);
}

/* As Kubernetes does: users -> data/users, data -> one or two, and data is replaced. */
static void test_a_symbolic_link_that_turns_is_followed(void)
{
	char one[64], two[64], file[64], data[64], new_data[64], bob[CRYPT_OUTPUT_SIZE];
	struct rig rig;

	rig_prepare(&rig);
	line_make(bob, "bob", "left");
	snprintf(one, sizeof(one), "%s/one", rig.folder);
	snprintf(two, sizeof(two), "%s/two", rig.folder);
	snprintf(data, sizeof(data), "%s/data", rig.folder);
	snprintf(new_data, sizeof(new_data), "%s/new_data", rig.folder);
	mkdir(one, 0700);
	mkdir(two, 0700);
	snprintf(file, sizeof(file), "%s/two/users", rig.folder);
	file_put(&rig, file, bob);
	snprintf(file, sizeof(file), "%s/one/users", rig.folder);
	CU_ASSERT_EQUAL(rename(rig.path, file), 0);
	CU_ASSERT_EQUAL(symlink("one", data), 0);
	CU_ASSERT_EQUAL(symlink("data/users", rig.path), 0);
	rig_start(&rig, LOOK_MS);
	CU_ASSERT_TRUE(logs_in(&rig, "alice", "right"));
	CU_ASSERT_EQUAL(symlink("two", new_data), 0);
	CU_ASSERT_EQUAL(rename(new_data, data), 0);
	unlink(file);
	rmdir(one);
	CU_ASSERT_TRUE(reaches(&login_counters(rig.login)->reloads, 1));
	CU_ASSERT_TRUE(logs_in(&rig, "bob", "left"));
	CU_ASSERT_FALSE(logs_in(&rig, "alice", "right"));
	CU_ASSERT_EQUAL(counter_read(&login_counters(rig.login)->reloads_failed), 0);
	snprintf(file, sizeof(file), "%s/two/users", rig.folder);
	unlink(file);
	rmdir(two);
	unlink(data);
	rig_close(&rig);
}

static void test_a_broken_file_is_refused_and_the_users_stay(void)
{
	const struct login_counters *counters;
	char text[TEXT_BYTES];
	struct rig rig;

	rig_open(&rig);
	counters = login_counters(rig.login);
	snprintf(text, sizeof(text), "%s# and\nbob:plain\n", rig.alice);
	file_put(&rig, rig.path, text);
	CU_ASSERT_TRUE(reaches(&counters->reloads_failed, 1));
	CU_ASSERT_TRUE(logged(&rig, "/users:3: a plain password"));
	CU_ASSERT_TRUE(logged(&rig, "/users: not taken over: the 1 users read before go on\n"));
	CU_ASSERT_FALSE(logged(&rig, "bob:plain"));
	CU_ASSERT_TRUE(logs_in(&rig, "alice", "right"));
	CU_ASSERT_FALSE(logs_in(&rig, "bob", "plain"));
	CU_ASSERT_TRUE(looked(5));
	CU_ASSERT_EQUAL(counter_read(&counters->reloads_failed), 1);
	CU_ASSERT_EQUAL(counter_read(&counters->reloads), 0);
	/* mended, it is taken */
	line_make(text, "bob", "left");
	file_put(&rig, rig.path, text);
	CU_ASSERT_TRUE(reaches(&counters->reloads, 1));
	CU_ASSERT_TRUE(logs_in(&rig, "bob", "left"));
	CU_ASSERT_EQUAL(counter_read(&counters->reloads_failed), 1);
	rig_close(&rig);
}

static void test_a_file_that_goes_is_told_of_once_and_may_come_back(void)
{
	const struct login_counters *counters;
	char bob[CRYPT_OUTPUT_SIZE];
	struct rig rig;

	rig_open(&rig);
	counters = login_counters(rig.login);
	unlink(rig.path);
	CU_ASSERT_TRUE(reaches(&counters->reloads_failed, 1));
	CU_ASSERT_TRUE(logged(&rig, "/users: there is no such file"));
	CU_ASSERT_TRUE(looked(5));
	CU_ASSERT_EQUAL(counter_read(&counters->reloads_failed), 1);
	CU_ASSERT_TRUE(logs_in(&rig, "alice", "right"));
	line_make(bob, "bob", "left");
	file_put(&rig, rig.path, bob);
	CU_ASSERT_TRUE(reaches(&counters->reloads, 1));
	CU_ASSERT_TRUE(logs_in(&rig, "bob", "left"));
	CU_ASSERT_EQUAL(counter_read(&counters->reloads_failed), 1);
	rig_close(&rig);
}

static void test_a_file_that_goes_on_changing_is_read_when_it_stays(void)
{
	const struct login_counters *counters;
	char bob[CRYPT_OUTPUT_SIZE];
	struct rig rig;

	rig_open(&rig);
	counters = login_counters(rig.login);
	line_make(bob, "bob", "left");
	atomic_store(&looks.restless, true);
	file_put(&rig, rig.path, bob);
	CU_ASSERT_TRUE(looked(5));
	CU_ASSERT_EQUAL(counter_read(&counters->reloads), 0);
	CU_ASSERT_TRUE(logs_in(&rig, "alice", "right"));
	atomic_store(&looks.restless, false);
	CU_ASSERT_TRUE(reaches(&counters->reloads, 1));
	CU_ASSERT_TRUE(logs_in(&rig, "bob", "left"));
	/* and not again while it stays */
	CU_ASSERT_TRUE(looked(5));
	CU_ASSERT_EQUAL(counter_read(&counters->reloads), 1);
	rig_close(&rig);
}

static void test_what_the_system_refuses_is_tried_again(void)
{
	const struct login_counters *counters;
	char bob[CRYPT_OUTPUT_SIZE];
	struct rig rig;

	rig_open(&rig);
	counters = login_counters(rig.login);
	line_make(bob, "bob", "left");
	fault_set("open", EMFILE, 0, 3);
	file_put(&rig, rig.path, bob);
	CU_ASSERT_TRUE(reaches(&counters->reloads, 1));
	CU_ASSERT_TRUE(fault_over());
	CU_ASSERT_TRUE(logs_in(&rig, "bob", "left"));
	CU_ASSERT_EQUAL(counter_read(&counters->reloads_failed), 1);
	CU_ASSERT_TRUE(logged(&rig, "/users: Too many open files\n"));
	rig_close(&rig);
}

static void test_files_are_read_while_logins_run(void)
{
	char bob[CRYPT_OUTPUT_SIZE], carol[CRYPT_OUTPUT_SIZE], text[TEXT_BYTES];
	const struct login_counters *counters;
	struct rig rig;

	rig_open(&rig);
	counters = login_counters(rig.login);
	line_make(bob, "bob", "left");
	line_make(carol, "carol", "middle");
	for (uint64_t reload = 1; reload <= 20; reload++) {
		const time_t start_s = time(NULL);

		snprintf(text, sizeof(text), "%s%s", reload % 2 == 0 ? bob : carol, rig.alice);
		file_put(&rig, rig.path, text);
		do {
			CU_ASSERT_TRUE(ask(&rig, 0, 1, "alice", "right"));
			CU_ASSERT_TRUE(ask(&rig, 1, 2, "alice", "wrong"));
			CU_ASSERT_TRUE(answered(&rig, 0, 1, true));
			CU_ASSERT_TRUE(answered(&rig, 1, 2, false));
		} while (counter_read(&counters->reloads) < reload && !too_late(start_s));
		CU_ASSERT_EQUAL(counter_read(&counters->reloads), reload);
		CU_ASSERT_EQUAL(logs_in(&rig, "bob", "left"), reload % 2 == 0);
	}
	CU_ASSERT_EQUAL(counter_read(&counters->reloads_failed), 0);
	rig_close(&rig);
}

static const struct unit_case cases[] = {
    {"a new file is read", test_a_new_file_is_read},
    {"a file that is written in place is read", test_a_file_that_is_written_in_place_is_read},
    {"a symbolic link that turns is followed", test_a_symbolic_link_that_turns_is_followed},
    {"a broken file is refused, and the users stay",
     test_a_broken_file_is_refused_and_the_users_stay},
    {"a file that goes is told of once, and may come back",
     test_a_file_that_goes_is_told_of_once_and_may_come_back},
    {"a file that goes on changing is read when it stays",
     test_a_file_that_goes_on_changing_is_read_when_it_stays},
    {"what the system refuses is tried again", test_what_the_system_refuses_is_tried_again},
    {"files are read while logins run", test_files_are_read_while_logins_run},
};

int main(void)
{
	return UNIT_RUN("login_reload", cases);
}
