/* SPDX-License-Identifier: Apache-2.0 */
/* ThreadSanitizer is meant to watch. */
#include "login/login.h"

#include "login_rig.h"

#include <pthread.h>

static void test_the_right_password_logs_in_and_others_do_not(void)
{
	const struct login_counters *counters;
	struct rig rig;

	rig_open(&rig);
	counters = login_counters(rig.login);
	CU_ASSERT_TRUE(ask(&rig, 0, 1, "alice", "right"));
	CU_ASSERT_TRUE(ask(&rig, 0, 2, "alice", "wrong"));
	CU_ASSERT_TRUE(ask(&rig, 0, 3, "bob", "right"));
	CU_ASSERT_TRUE(ask(&rig, 0, UINT64_MAX, "alice", "right"));
	CU_ASSERT_TRUE(ask(&rig, 0, 4, "", ""));
	CU_ASSERT_TRUE(answered(&rig, 0, 1, true));
	CU_ASSERT_TRUE(answered(&rig, 0, 2, false));
	CU_ASSERT_TRUE(answered(&rig, 0, 3, false));
	CU_ASSERT_TRUE(answered(&rig, 0, UINT64_MAX, true));
	CU_ASSERT_TRUE(answered(&rig, 0, 4, false));
	CU_ASSERT_EQUAL(counter_read(&counters->logins_ok), 2);
	CU_ASSERT_EQUAL(counter_read(&counters->logins_failed), 3);
	CU_ASSERT_EQUAL(counter_read(&counters->users), 1);
	CU_ASSERT_EQUAL(counter_read(&login_worker_counters(rig.login, 0)->logins_asked), 5);
	rig_close(&rig);
}

/* So long that the right ones are left when only the last 8 bits of a length are looked at. */
static void test_what_is_too_long_is_answered_with_no(void)
{
	char name[256 + 5 + 1] = "alice", password[256 + 5 + 1] = "right";
	struct rig rig;

	rig_open(&rig);
	memset(name + 5, 'x', 256);
	memset(password + 5, 'x', 256);
	CU_ASSERT_TRUE(ask(&rig, 0, 1, name, "right"));
	CU_ASSERT_TRUE(ask(&rig, 0, 2, "alice", password));
	name[LOGIN_NAME_BYTES_MAX] = password[LOGIN_PASSWORD_BYTES_MAX] = '\0';
	CU_ASSERT_TRUE(ask(&rig, 0, 3, name, password));
	for (uint64_t ticket = 1; ticket <= 3; ticket++)
		CU_ASSERT_TRUE(answered(&rig, 0, ticket, false));
	/* each was checked, as any that is wrong */
	CU_ASSERT_EQUAL(counter_read(&login_counters(rig.login)->logins_failed), 3);
	CU_ASSERT_EQUAL(atomic_load(&gate.passed), 3);
	rig_close(&rig);
}

static void test_a_thread_that_rests_is_woken_to_check_and_to_end(void)
{
	const time_t start_s = time(NULL);
	struct rig rig;

	rig_prepare(&rig);
	rig_start(&rig, LOOK_NEVER);
	for (uint64_t ticket = 0; ticket < 10; ticket++) {
		CU_ASSERT_TRUE(ask(&rig, 1, ticket, "alice", "right"));
		CU_ASSERT_TRUE(answered(&rig, 1, ticket, true));
	}
	rig_close(&rig);
	CU_ASSERT_FALSE(too_late(start_s));
}

static void test_a_password_that_cannot_be_checked_is_refused_and_counted(void)
{
	struct rig rig;

	rig_open(&rig);
	fault_set("crypt_rn", ENOMEM, 0, 1);
	CU_ASSERT_FALSE(logs_in(&rig, "alice", "right"));
	CU_ASSERT_EQUAL(counter_read(&login_counters(rig.login)->logins_unchecked), 1);
	CU_ASSERT_EQUAL(counter_read(&login_counters(rig.login)->logins_failed), 0);
	CU_ASSERT_TRUE(logs_in(&rig, "alice", "right"));
	rig_close(&rig);
}

static void test_each_worker_gets_its_own_answers(void)
{
	struct rig rig;
	uint64_t ticket;
	bool ok;

	rig_open(&rig);
	for (uint32_t i = 0; i < WORKER_COUNT; i++)
		CU_ASSERT_TRUE(ask(&rig, i, 100 + i, "alice", i == 1 ? "right" : "wrong"));
	for (uint32_t i = WORKER_COUNT; i-- > 0;)
		CU_ASSERT_TRUE(answered(&rig, i, 100 + i, i == 1));
	for (uint32_t i = 0; i < WORKER_COUNT; i++)
		CU_ASSERT_FALSE(login_answer(&rig.workers[i], &ticket, &ok));
	rig_close(&rig);
}

static void test_a_full_queue_refuses_until_an_answer_is_taken(void)
{
	const struct login_worker_counters *counters;
	struct rig rig;

	rig_open(&rig);
	counters = login_worker_counters(rig.login, 0);
	for (uint32_t round = 1; round <= 3; round++) {
		for (uint64_t ticket = 0; ticket < LOGIN_WAITING_MAX; ticket++)
			CU_ASSERT_TRUE(ask(&rig, 0, ticket, "alice", "wrong"));
		CU_ASSERT_FALSE(ask(&rig, 0, 1000, "alice", "right"));
		CU_ASSERT_TRUE(ask(&rig, 1, 1001, "alice", "right")); /* another's has room */
		CU_ASSERT_TRUE(answered(&rig, 0, 0, false));
		CU_ASSERT_TRUE(ask(&rig, 0, 1002, "alice", "right"));
		CU_ASSERT_FALSE(ask(&rig, 0, 1003, "alice", "right"));
		for (uint64_t ticket = 1; ticket < LOGIN_WAITING_MAX; ticket++)
			CU_ASSERT_TRUE(answered(&rig, 0, ticket, false));
		CU_ASSERT_TRUE(answered(&rig, 0, 1002, true));
		CU_ASSERT_TRUE(answered(&rig, 1, 1001, true));
		CU_ASSERT_EQUAL(counter_read(&counters->logins_queue_full), 2 * round);
		CU_ASSERT_EQUAL(counter_read(&counters->logins_asked),
		                (LOGIN_WAITING_MAX + 1) * round);
	}
	rig_close(&rig);
}

static void test_workers_are_served_in_turn(void)
{
	struct rig rig;

	rig_open(&rig);
	atomic_store(&gate.closed, true);
	for (uint32_t i = 0; i < LOGIN_WAITING_MAX; i++)
		CU_ASSERT_TRUE(ask(&rig, 0, i, "alice", "zero"));
	for (uint32_t i = 0; i < 2; i++) {
		CU_ASSERT_TRUE(ask(&rig, 1, i, "alice", "one"));
		CU_ASSERT_TRUE(ask(&rig, 2, i, "alice", "two"));
	}
	CU_ASSERT_TRUE(gate_reached(1));
	atomic_store(&gate.closed, false);
	for (uint32_t i = 0; i < LOGIN_WAITING_MAX; i++)
		CU_ASSERT_TRUE(answered(&rig, 0, i, false));
	for (uint32_t i = 0; i < 7; i++) {
		static const char *const turns[] = {"zero", "one", "two", "zero",
		                                    "one",  "two", "zero"};

		CU_ASSERT_STRING_EQUAL(gate.phrases[i], turns[i]);
	}
	rig_close(&rig);
}

struct asker {
	struct rig *rig;
	uint32_t worker;
	bool good; /* read when it is joined */
};

static void *asker_run(void *context)
{
	struct asker *asker = context;

	asker->good = true;
	for (uint64_t ticket = 0; ticket < 200 && asker->good; ticket++) {
		bool right = (ticket + asker->worker) % 3 == 0;

		asker->good =
		    ask(asker->rig, asker->worker, ticket, "alice", right ? "right" : "wrong") &&
		    answered(asker->rig, asker->worker, ticket, right);
	}
	return NULL;
}

static void test_workers_on_their_own_threads_are_served(void)
{
	struct asker askers[WORKER_COUNT];
	pthread_t threads[WORKER_COUNT];
	struct rig rig;

	rig_open(&rig);
	for (uint32_t i = 0; i < WORKER_COUNT; i++) {
		askers[i] = (struct asker){.rig = &rig, .worker = i};
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, asker_run, &askers[i]), 0);
	}
	for (uint32_t i = 0; i < WORKER_COUNT; i++) {
		pthread_join(threads[i], NULL);
		CU_ASSERT_TRUE(askers[i].good);
	}
	rig_close(&rig);
}

/* A password takes so long that all of them would take far longer than the test waits. */
static void test_it_ends_with_full_queues_after_the_password_at_hand(void)
{
	char slow[CRYPT_OUTPUT_SIZE];
	struct rig rig;

	rig_prepare(&rig);
	line_make_by("$2b$", 10, slow, "alice", "right");
	file_put(&rig, rig.path, slow);
	rig_start(&rig, LOOK_MS);
	for (uint32_t i = 0; i < WORKER_COUNT; i++)
		while (ask(&rig, i, 1, "alice", "right"))
			;
	CU_ASSERT_TRUE(gate_reached(1));
	rig_close(&rig);
	CU_ASSERT_TRUE(atomic_load(&gate.passed) < LOGIN_WAITING_MAX);
}

static void test_what_cannot_start_says_why(void)
{
	char error[USERS_ERROR_BYTES];
	struct login *login = NULL;
	struct login_options options = {.worker_count = 1, .look_ms = LOOK_MS};
	struct rig rig;

	rig_prepare(&rig);
	options.path = rig.path;
	file_put(&rig, rig.path, "alice:secret\n");
	CU_ASSERT_EQUAL(login_create(&login, &options, error, sizeof(error)), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "/users:1: a plain password"));
	unlink(rig.path);
	CU_ASSERT_EQUAL(login_create(&login, &options, error, sizeof(error)), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "/users: there is no such file"));
	CU_ASSERT_PTR_NULL(login);
	rig_close(&rig);
}

static const struct unit_case cases[] = {
    {"the right password logs in, and others do not",
     test_the_right_password_logs_in_and_others_do_not},
    {"what is too long is answered with no", test_what_is_too_long_is_answered_with_no},
    {"a thread that rests is woken, to check and to end",
     test_a_thread_that_rests_is_woken_to_check_and_to_end},
    {"a password that cannot be checked is refused and counted",
     test_a_password_that_cannot_be_checked_is_refused_and_counted},
    {"each worker gets its own answers", test_each_worker_gets_its_own_answers},
    {"a full queue refuses until an answer is taken",
     test_a_full_queue_refuses_until_an_answer_is_taken},
    {"workers are served in turn", test_workers_are_served_in_turn},
    {"workers on their own threads are served", test_workers_on_their_own_threads_are_served},
    {"it ends with full queues, after the password at hand",
     test_it_ends_with_full_queues_after_the_password_at_hand},
    {"what cannot start says why", test_what_cannot_start_says_why},
};

int main(void)
{
	return UNIT_RUN("login", cases);
}
