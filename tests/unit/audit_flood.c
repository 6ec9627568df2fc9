/* SPDX-License-Identifier: Apache-2.0 */
/* Refused logins that come in floods. */
#include "audit_rig.h"
#include "faults.h"

ssize_t write(int fd, const void *bytes, size_t length)
{
	ssize_t (*next)(int, const void *, size_t);

	*(void **)&next = dlsym(RTLD_NEXT, "write");
	return fault_hits("write") ? -1 : next(fd, bytes, length);
}

/* Refused logins that the log tells of, by source. */
static uint64_t refused_count(const json_t *lines, const char *from)
{
	uint64_t count = 0;

	for (size_t i = 0; i < json_array_size(lines); i++)
		if (strcmp(text_at(lines, i, "kind"), "login") == 0 &&
		    strncmp(text_at(lines, i, "from"), from, strlen(from)) == 0)
			count +=
			    number_at(lines, i, "count") == 0 ? 1 : number_at(lines, i, "count");
	return count;
}

static void a_flood_makes_few_lines_and_their_counts_are_right(void)
{
	static const char *const sources[] = {"192.0.2.1", "192.0.3.1", "[2001:db8::1]"};
	uint64_t counts[3] = {0}, random = 1;
	char from[64];
	struct rig rig;
	json_t *lines;

	rig_open(&rig);
	for (uint32_t i = 0; i < 100000; i++) {
		size_t source = next_random(&random) % 3;

		snprintf(from, sizeof(from), "%s:%u", sources[source], 1024 + i % 60000);
		CU_ASSERT_EQUAL(rig_refuse(&rig, from, source == 2 ? "no such key" : "bad key"), 0);
		counts[source]++;
		rig.now_us += 50; /* five seconds in all */
		if (i % 20000 == 19999)
			audit_tick(rig.audit, rig.now_us);
	}
	audit_tick(rig.audit, rig.now_us);
	rig_verifies(&rig);
	lines = all_lines(rig.folder);
	CU_ASSERT_TRUE(json_array_size(lines) <= 1 + 6 * 3 * 10);
	for (size_t i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(refused_count(lines, sources[i]), counts[i]);
	json_decref(lines);
	rig_close(&rig);
}

static void nine_within_a_second_are_lines_and_the_rest_is_a_sum(void)
{
	struct rig rig;
	json_t *lines;

	rig_open(&rig);
	for (int i = 0; i < 12; i++)
		rig_refuse(&rig, "192.0.2.1:1", "bad key");
	lines = all_lines(rig.folder);
	CU_ASSERT_EQUAL(json_array_size(lines), 1 + 9);
	json_decref(lines);
	audit_tick(rig.audit, rig.now_us);
	lines = all_lines(rig.folder);
	CU_ASSERT_EQUAL(json_array_size(lines), 1 + 9 + 1);
	CU_ASSERT_EQUAL(number_at(lines, 10, "count"), 3);
	CU_ASSERT_STRING_EQUAL(text_at(lines, 10, "from"), "192.0.2.1");
	CU_ASSERT_STRING_EQUAL(text_at(lines, 10, "kind"), "login");
	CU_ASSERT_STRING_EQUAL(text_at(lines, 10, "action"), "login");
	CU_ASSERT_STRING_EQUAL(text_at(lines, 10, "result"), "refused");
	CU_ASSERT_STRING_EQUAL(text_at(lines, 10, "reason"), "bad key");
	json_decref(lines);
	/* the same second: a tick begins no new one */
	rig_refuse(&rig, "192.0.2.1:1", "bad key");
	rig_verifies(&rig);
	CU_ASSERT_EQUAL(rig.verdict.line_count, 11);
	rig.now_us += SECOND_US;
	audit_tick(rig.audit, rig.now_us);
	for (int i = 0; i < 9; i++)
		rig_refuse(&rig, "192.0.2.1:1", "bad key");
	rig_verifies(&rig);
	CU_ASSERT_EQUAL(rig.verdict.line_count, 11 + 1 + 9);
	rig_close(&rig);
}

static void other_sorts_are_not_summed_with_it(void)
{
	const struct identity who = somebody("CN=ops", "192.0.2.1:1");
	const struct audit_event good = {.kind = AUDIT_login, .action = "login", .who = &who};
	struct audit_event refusal = {
	    .kind = AUDIT_refusal, .result = AUDIT_REFUSED, .action = "config.set", .who = &who};
	struct rig rig;

	rig_open(&rig);
	for (int i = 0; i < 9; i++) {
		rig_refuse(&rig, "192.0.2.1:1", "bad key");
		rig_refuse(&rig, "192.0.2.1:1", "expired");
		rig_refuse(&rig, "192.0.2.2:1", "bad key");
	}
	for (int i = 0; i < 20; i++) {
		CU_ASSERT_EQUAL(audit_append(rig.audit, &good, rig.now_us), 0);
		CU_ASSERT_EQUAL(audit_append(rig.audit, &refusal, rig.now_us), 0);
	}
	rig_verifies(&rig);
	CU_ASSERT_EQUAL(rig.verdict.line_count, 1 + 27 + 40);
	rig_close(&rig);
}

static void from_very_many_sources_at_once_memory_and_lines_are_bounded(void)
{
	char from[64];
	struct rig rig;
	json_t *lines;

	rig_open(&rig);
	for (uint32_t i = 0; i < 20000; i++) {
		snprintf(from, sizeof(from), "10.%u.%u.%u:7", i % 7, i / 200, i % 200);
		CU_ASSERT_EQUAL(rig_refuse(&rig, from, "bad key"), 0);
	}
	audit_tick(rig.audit, rig.now_us);
	rig_verifies(&rig);
	lines = all_lines(rig.folder);
	CU_ASSERT_TRUE(json_array_size(lines) < 3000);
	CU_ASSERT_EQUAL(refused_count(lines, ""), 20000);
	CU_ASSERT_STRING_EQUAL(text_at(lines, json_array_size(lines) - 1, "reason"),
	                       "from too many sources at once to tell them apart");
	CU_ASSERT_STRING_EQUAL(text_at(lines, json_array_size(lines) - 1, "from"), "");
	json_decref(lines);
	/* a second later there is room for others */
	rig.now_us += SECOND_US;
	rig_refuse(&rig, "192.0.2.1:1", "bad key");
	lines = all_lines(rig.folder);
	CU_ASSERT_STRING_EQUAL(text_at(lines, json_array_size(lines) - 1, "from"), "192.0.2.1:1");
	json_decref(lines);
	rig_close(&rig);
}

static void a_sum_that_cannot_be_written_grows_on(void)
{
	struct rig rig;
	json_t *lines;

	rig_open(&rig);
	for (int i = 0; i < 30; i++)
		rig_refuse(&rig, "192.0.2.1:1", "bad key");
	fault_set("write", ENOSPC, 0, 1);
	audit_tick(rig.audit, rig.now_us);
	CU_ASSERT_PTR_NOT_NULL(audit_failure(rig.audit));
	fault_clear();
	rig.now_us += 3 * SECOND_US;
	for (int i = 0; i < 30; i++)
		rig_refuse(&rig, "192.0.2.1:1", "bad key");
	audit_tick(rig.audit, rig.now_us);
	CU_ASSERT_PTR_NULL(audit_failure(rig.audit));
	lines = all_lines(rig.folder);
	CU_ASSERT_EQUAL(refused_count(lines, "192.0.2.1"), 60);
	json_decref(lines);
	rig_close(&rig);
}

static void what_is_summed_is_written_when_the_log_is_closed(void)
{
	struct rig rig;
	json_t *lines;

	rig_open(&rig);
	for (int i = 0; i < 30; i++)
		rig_refuse(&rig, "192.0.2.1:1", "bad key");
	rig_close_log(&rig);
	lines = all_lines(rig.folder);
	CU_ASSERT_EQUAL(refused_count(lines, "192.0.2.1"), 30);
	CU_ASSERT_STRING_EQUAL(text_at(lines, 11, "action"), "audit.stopped");
	json_decref(lines);
	rig_close(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"a flood makes few lines, and their counts are right",
	     a_flood_makes_few_lines_and_their_counts_are_right},
	    {"nine within a second are lines, and the rest is a sum",
	     nine_within_a_second_are_lines_and_the_rest_is_a_sum},
	    {"other sorts are not summed with it", other_sorts_are_not_summed_with_it},
	    {"from very many sources at once, memory and lines are bounded",
	     from_very_many_sources_at_once_memory_and_lines_are_bounded},
	    {"a sum that cannot be written grows on", a_sum_that_cannot_be_written_grows_on},
	    {"what is summed is written when the log is closed",
	     what_is_summed_is_written_when_the_log_is_closed},
	};

	return UNIT_RUN("audit_flood", cases);
}
