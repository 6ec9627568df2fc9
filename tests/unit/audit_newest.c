/* SPDX-License-Identifier: Apache-2.0 */
#include "control/audit_newest.h"

#include "audit_rig.h"

/* All lines of all kinds, up to a limit, unless changed. */
static struct audit_newest_options all_of(const struct rig *rig, uint32_t limit)
{
	return (struct audit_newest_options){.directory = rig->folder,
	                                     .to_us = UINT64_MAX,
	                                     .kind = AUDIT_KIND_COUNT,
	                                     .limit = limit};
}

static struct audit_newest search(const struct audit_newest_options *options)
{
	struct audit_newest newest = {0};
	char error[ERROR_BYTES] = "";

	CU_ASSERT_EQUAL_FATAL(audit_newest(&newest, options, error, sizeof(error)), 0);
	CU_ASSERT_STRING_EQUAL(error, "");
	return newest;
}

static void found_all_but(struct rig *rig, const struct audit_newest_options *options, size_t count,
                          uint64_t first_seq, uint64_t damaged_count)
{
	struct audit_newest newest = search(options);

	CU_ASSERT_EQUAL(json_array_size(newest.lines), count);
	for (size_t i = 0; i < count; i++)
		CU_ASSERT_EQUAL(number_at(newest.lines, i, "seq"), first_seq - i);
	CU_ASSERT_EQUAL(newest.damaged_count, damaged_count);
	json_decref(newest.lines);
}

static void the_newest_lines_come_first_from_all_files(void)
{
	struct audit_newest_options options;
	struct audit_verdict *verdict;
	struct rig rig;

	rig_write_files(&rig, 0, 30);
	rig_verifies(&rig);
	verdict = &rig.verdict;
	CU_ASSERT_TRUE(verdict->file_count > 3);
	options = all_of(&rig, 1);
	found_all_but(&rig, &options, 1, verdict->last_seq, 0);
	options.limit = 17;
	found_all_but(&rig, &options, 17, verdict->last_seq, 0);
	options.limit = 1000;
	found_all_but(&rig, &options, verdict->last_seq, verdict->last_seq, 0);
	rig_close(&rig);
}

static void only_what_is_asked_for_is_found(void)
{
	struct audit_newest_options options;
	struct audit_newest newest;
	struct rig rig;

	rig_write(&rig, 9);
	options = all_of(&rig, 100);
	options.kind = AUDIT_login;
	newest = search(&options);
	CU_ASSERT_EQUAL(json_array_size(newest.lines), 3);
	CU_ASSERT_STRING_EQUAL(text_at(newest.lines, 0, "target"), "parameter6");
	CU_ASSERT_STRING_EQUAL(text_at(newest.lines, 2, "target"), "parameter0");
	json_decref(newest.lines);
	options = all_of(&rig, 100);
	options.who = "CN=ops";
	newest = search(&options);
	CU_ASSERT_EQUAL(json_array_size(newest.lines), 9);
	json_decref(newest.lines);
	options.who = "CN=op";
	newest = search(&options);
	CU_ASSERT_EQUAL(json_array_size(newest.lines), 0);
	json_decref(newest.lines);
	options.who = "\xff";
	newest = search(&options);
	CU_ASSERT_EQUAL(json_array_size(newest.lines), 0);
	json_decref(newest.lines);
	options.who = "192.0.2.1:4711"; /* it is there, but as something else */
	newest = search(&options);
	CU_ASSERT_EQUAL(json_array_size(newest.lines), 0);
	json_decref(newest.lines);
	options = all_of(&rig, 100);
	options.from_us = START_US + 3 * SECOND_US;
	options.to_us = START_US + 5 * SECOND_US;
	newest = search(&options);
	CU_ASSERT_EQUAL(json_array_size(newest.lines), 2);
	CU_ASSERT_STRING_EQUAL(text_at(newest.lines, 0, "target"), "parameter3");
	CU_ASSERT_STRING_EQUAL(text_at(newest.lines, 1, "target"), "parameter2");
	json_decref(newest.lines);
	rig_close(&rig);
}

static void a_clock_that_was_set_back_hides_nothing_of_the_same_file(void)
{
	struct audit_newest_options options;
	struct rig rig;

	rig_open(&rig);
	rig.now_us = START_US + 100 * SECOND_US;
	rig_appends(&rig, AUDIT_change, "before");
	rig.now_us = START_US + 10 * SECOND_US;
	rig_appends(&rig, AUDIT_change, "after");
	options = all_of(&rig, 100);
	options.from_us = START_US + 50 * SECOND_US;
	found_all_but(&rig, &options, 1, 2, 0);
	rig_close(&rig);
}

static void files_that_are_too_old_are_not_looked_at(void)
{
	struct audit_newest_options options;
	uint64_t first_seqs[8];
	struct rig rig;

	rig_write_files(&rig, 0, 30);
	CU_ASSERT_TRUE_FATAL(full_files(rig.folder, first_seqs, 8) > 2);
	options = all_of(&rig, 100);
	options.from_us = rig.now_us;
	/* it would be damage */
	set_file(rig.folder, full_name(first_seqs[0]), "x\n", 2);
	CU_ASSERT_EQUAL(rig_verify(&rig), -EBADMSG);
	found_all_but(&rig, &options, 2, rig.verdict.last_seq, 0);
	rig_close(&rig);
}

static void damaged_lines_are_counted_and_left_out(void)
{
	struct audit_newest_options options;
	struct audit_newest newest;
	struct rig rig;
	size_t length;
	char *bytes;

	rig_write(&rig, 5);
	bytes = file_bytes(rig.folder, "audit.log", &length);
	memcpy(strstr(bytes, "parameter2"), "Parameter2", 10);
	memcpy(strstr(bytes, "\n"), "x", 1); /* two in one */
	set_file(rig.folder, "audit.log", bytes, length);
	options = all_of(&rig, 100);
	newest = search(&options);
	CU_ASSERT_EQUAL(json_array_size(newest.lines), 4);
	CU_ASSERT_EQUAL(newest.damaged_count, 2);
	json_decref(newest.lines);
	/* behind the last newline is what is just being written */
	bytes[length - 1] = 'x';
	set_file(rig.folder, "audit.log", bytes, length);
	newest = search(&options);
	CU_ASSERT_EQUAL(json_array_size(newest.lines), 3);
	CU_ASSERT_EQUAL(newest.damaged_count, 2);
	json_decref(newest.lines);
	set_file(rig.folder, "audit.log", "", 0);
	found_all_but(&rig, &options, 0, 0, 0);
	set_file(rig.folder, "audit.log", "x", 1);
	found_all_but(&rig, &options, 0, 0, 0);
	set_file(rig.folder, "audit.log", "\n\nx\n", 4);
	found_all_but(&rig, &options, 0, 0, 3);
	free(bytes);
	rig_close(&rig);
}

static void what_cannot_be_read_is_said(void)
{
	struct audit_newest_options options;
	struct audit_newest newest;
	char error[ERROR_BYTES];
	struct rig rig;

	rig_folder(&rig);
	options = all_of(&rig, 100);
	options.directory = "/nowhere";
	CU_ASSERT_EQUAL(audit_newest(&newest, &options, error, sizeof(error)), -ENOENT);
	CU_ASSERT_STRING_EQUAL(error, "the audit log in /nowhere cannot be read (No such file or "
	                              "directory): look at its files, or try again");
	rig_close(&rig);
}

static const struct unit_case cases[] = {
    {"the newest lines come first, from all files", the_newest_lines_come_first_from_all_files},
    {"only what is asked for is found", only_what_is_asked_for_is_found},
    {"a clock that was set back hides nothing of the same file",
     a_clock_that_was_set_back_hides_nothing_of_the_same_file},
    {"files that are too old are not looked at", files_that_are_too_old_are_not_looked_at},
    {"damaged lines are counted and left out", damaged_lines_are_counted_and_left_out},
    {"what cannot be read is said", what_cannot_be_read_is_said},
};

int main(void)
{
	return UNIT_RUN("audit_newest", cases);
}
