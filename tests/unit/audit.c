/* SPDX-License-Identifier: Apache-2.0 */
#include "control/audit.h"

#include "audit_rig.h"
#include "control/audit_lines.h"
#include "faults.h"

#include <openssl/evp.h>

FAULTY(int, -1, unlinkat, (int fd, const char *name, int flags), (fd, name, flags))

/* The last line of audit.log without its newline, to be free()d. */
static char *last_line(const struct rig *rig)
{
	size_t length;
	char *bytes = file_bytes(rig->folder, "audit.log", &length), *newline, *line;

	CU_ASSERT_TRUE_FATAL(length > 0 && bytes[length - 1] == '\n');
	bytes[length - 1] = '\0';
	newline = strrchr(bytes, '\n');
	line = strdup(newline == NULL ? bytes : newline + 1);
	free(bytes);
	return line;
}

static void a_line_has_all_that_is_known_in_order_and_its_hash_is_over_these_bytes(void)
{
	static const char expected[] =
	    "{\"seq\":2,\"time\":\"2026-11-28T00:00:00.000123Z\",\"kind\":\"change\","
	    "\"action\":\"config.set\",\"result\":\"failed\",\"who\":\"CN=\\u00E9mile\","
	    "\"role\":\"operator\",\"credential\":\"certificate\",\"credential_id\":\"0a1b2c\","
	    "\"from\":\"[2001:db8::1]:4711\",\"target\":\"eviction\",\"before\":\"lru\","
	    "\"after\":{\"name\":\"s3fifo\"},\"reason\":\"disk "
	    "\\\"full\\\"\",\"count\":3,\"prev\":\"";
	struct identity who = somebody("CN=\xc3\xa9mile", "[2001:db8::1]:4711");
	struct audit_event event = {.kind = AUDIT_change,
	                            .result = AUDIT_FAILED,
	                            .action = "config.set",
	                            .who = &who,
	                            .target = "eviction",
	                            .reason = "disk \"full\"",
	                            .count = 3};
	struct audit_state first, second;
	char *line, *hash, hex[65];
	uint8_t digest[32];
	struct rig rig;

	rig_open(&rig);
	audit_state(rig.audit, &first);
	event.before = json_string("lru");
	event.after = json_pack("{s:s}", "name", "s3fifo");
	CU_ASSERT_EQUAL(audit_append(rig.audit, &event, START_US + 123), 0);
	audit_state(rig.audit, &second);
	line = last_line(&rig);
	CU_ASSERT_EQUAL(strncmp(line, expected, strlen(expected)), 0);
	CU_ASSERT_EQUAL(strncmp(line + strlen(expected), first.hash, 64), 0);
	hash = strstr(line, ",\"hash\":\"");
	CU_ASSERT_PTR_NOT_NULL_FATAL(hash);
	CU_ASSERT_EQUAL(strlen(hash), 9 + 64 + 2);
	CU_ASSERT_EQUAL(strncmp(hash + 9, second.hash, 64), 0);
	hash[0] = '}';
	EVP_Digest(line, (size_t)(hash + 1 - line), digest, NULL, EVP_sha256(), NULL);
	for (int i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	CU_ASSERT_STRING_EQUAL(hex, second.hash);
	json_decref((json_t *)(uintptr_t)event.before);
	json_decref((json_t *)(uintptr_t)event.after);
	free(line);
	rig_close(&rig);
}

static void what_does_not_apply_is_left_out(void)
{
	const struct audit_event event = {.kind = AUDIT_system, .action = "node.started"};
	struct identity stranger = {.role = ROLE_none};
	const struct audit_event refused = {.kind = AUDIT_login,
	                                    .result = AUDIT_REFUSED,
	                                    .action = "login",
	                                    .who = &stranger,
	                                    .target = "",
	                                    .count = 1};
	struct rig rig;
	char *line;

	rig_open(&rig);
	CU_ASSERT_EQUAL(audit_append(rig.audit, &event, START_US), 0);
	line = last_line(&rig);
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(line, "\"action\":\"node.started\",\"result\":\"ok\",\"prev\":"));
	free(line);
	snprintf(stranger.from, sizeof(stranger.from), "192.0.2.9:1");
	CU_ASSERT_EQUAL(audit_append(rig.audit, &refused, START_US), 0);
	line = last_line(&rig);
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(line, "\"result\":\"refused\",\"from\":\"192.0.2.9:1\",\"prev\":"));
	free(line);
	rig_close(&rig);
}

static void the_chain_goes_on_after_a_restart_and_says_so(void)
{
	struct audit_state before, after;
	struct rig rig;
	json_t *lines;

	rig_open(&rig);
	rig_appends(&rig, AUDIT_change, "x");
	rig_close_log(&rig);
	rig.now_us += SECOND_US;
	rig_open_log(&rig);
	audit_state(rig.audit, &before);
	rig_appends(&rig, AUDIT_change, "y");
	audit_state(rig.audit, &after);
	CU_ASSERT_EQUAL(before.seq, 4);
	CU_ASSERT_EQUAL(after.seq, 5);
	CU_ASSERT_TRUE(after.bytes > before.bytes);
	rig_verifies(&rig);
	lines = all_lines(rig.folder);
	CU_ASSERT_STRING_EQUAL(text_at(lines, 0, "action"), "audit.started");
	CU_ASSERT_STRING_EQUAL(text_at(lines, 2, "action"), "audit.stopped");
	CU_ASSERT_STRING_EQUAL(text_at(lines, 3, "action"), "audit.started");
	CU_ASSERT_STRING_EQUAL(text_at(lines, 3, "prev"), text_at(lines, 2, "hash"));
	CU_ASSERT_STRING_EQUAL(text_at(lines, 4, "prev"), before.hash);
	CU_ASSERT_STRING_EQUAL(text_at(lines, 4, "hash"), after.hash);
	CU_ASSERT_STRING_EQUAL(text_at(lines, 0, "prev"),
	                       "0000000000000000000000000000000000000000000000000000000000000000");
	json_decref(lines);
	rig_close(&rig);
}

static void files_are_for_their_owner_only(void)
{
	static const char *const names[] = {"audit.log", "audit.head"};
	struct stat status;
	struct rig rig;

	umask(0);
	rig_open(&rig);
	for (size_t i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(stat(path_of(rig.folder, names[i]), &status), 0);
		CU_ASSERT_EQUAL(status.st_mode, S_IFREG | 0600);
	}
	umask(022);
	rig_close(&rig);
}

static void any_text_makes_one_line_that_can_be_read(void)
{
	char long_text[3000], bytes[64];
	struct identity who = {.role = ROLE_admin, .credential = CREDENTIAL_key};
	struct audit_event event = {.kind = AUDIT_access, .action = "user.add", .who = &who};
	uint64_t random = 88172645463325252u;
	struct rig rig;
	json_t *lines;

	rig_open(&rig);
	for (int i = 0; i < 300; i++) {
		for (size_t j = 0; j < sizeof(bytes) - 1; j++)
			bytes[j] = (char)next_random(&random);
		bytes[sizeof(bytes) - 1] = '\0';
		snprintf(who.name, sizeof(who.name), "%s", bytes);
		event.target = event.reason = bytes;
		CU_ASSERT_EQUAL(audit_append(rig.audit, &event, START_US), 0);
	}
	/* each byte takes six */
	memset(long_text, '\x01', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	memcpy(who.name, long_text, sizeof(who.name) - 1);
	event.target = event.reason = event.action = long_text;
	CU_ASSERT_EQUAL(audit_append(rig.audit, &event, START_US), 0);
	rig_verifies(&rig);
	lines = all_lines(rig.folder);
	CU_ASSERT_EQUAL(json_array_size(lines), 302);
	CU_ASSERT_EQUAL(strlen(text_at(lines, 301, "target")), 1024);
	CU_ASSERT_STRING_EQUAL(text_at(lines, 301, "target") + 1020, "\x01...");
	json_decref(lines);
	rig_close(&rig);
}

static void a_text_is_not_cut_within_a_character(void)
{
	struct audit_event event = {.kind = AUDIT_change, .action = "x"};
	char text[1200];
	struct rig rig;
	json_t *lines;

	rig_open(&rig);
	for (size_t start = 0; start < 4; start++) {
		memset(text, 'x', start);
		for (size_t i = start; i + 4 < sizeof(text); i += 4)
			memcpy(text + i, "\xf0\x9f\x98\x80", 5);
		event.target = text;
		CU_ASSERT_EQUAL(audit_append(rig.audit, &event, START_US), 0);
	}
	lines = all_lines(rig.folder);
	for (size_t i = 1; i < json_array_size(lines); i++) {
		const char *target = text_at(lines, i, "target");

		CU_ASSERT_PTR_NULL(strchr(target, '?'));
		CU_ASSERT_TRUE(strlen(target) > 1016 && strlen(target) <= 1024);
	}
	json_decref(lines);
	rig_close(&rig);
}

static void of_values_that_are_too_long_or_too_deep_size_and_hash_are_kept(void)
{
	struct audit_event event = {.kind = AUDIT_change, .action = "config.set"};
	char text[20000];
	struct rig rig;
	json_t *lines, *deep = json_array();
	const json_t *after;

	rig_open(&rig);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	event.after = json_string(text);
	CU_ASSERT_EQUAL(audit_append(rig.audit, &event, START_US), 0);
	json_decref((json_t *)(uintptr_t)event.after);
	for (int i = 0; i < 2046; i++)
		deep = json_pack("[o]", deep);
	event.after = deep;
	CU_ASSERT_EQUAL(audit_append(rig.audit, &event, START_US), 0);
	json_decref(deep);
	event.after = json_stringn("a\0b", 3);
	CU_ASSERT_EQUAL(audit_append(rig.audit, &event, START_US), 0);
	json_decref((json_t *)(uintptr_t)event.after);
	rig_verifies(&rig);
	lines = all_lines(rig.folder);
	after = json_object_get(json_array_get(lines, 1), "after");
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(after, "left_out_bytes")), 20001);
	CU_ASSERT_EQUAL(strlen(json_string_value(json_object_get(after, "sha256"))), 64);
	after = json_object_get(json_array_get(lines, 2), "after");
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(after, "left_out_bytes")), 4094);
	CU_ASSERT_EQUAL(json_string_length(json_object_get(json_array_get(lines, 3), "after")), 3);
	json_decref(lines);
	rig_close(&rig);
}

static void times_are_kept_to_the_microsecond(void)
{
	static const struct {
		uint64_t time_us;
		const char *text;
	} times[] = {{0, "1970-01-01T00:00:00.000000Z"},
	             {951827696000001, "2000-02-29T12:34:56.000001Z"},
	             {START_US - 1, "2026-11-27T23:59:59.999999Z"},
	             {253402300799999999, "9999-12-31T23:59:59.999999Z"}};
	static const char *const wrong[] = {
	    "2026-02-30T00:00:00.000000Z", "2026-11-28T24:00:00.000000Z",
	    "2026-11-28T00:00:60.000000Z", "2026-13-28T00:00:00.000000Z",
	    "2026-11-28 00:00:00.000000Z", "2026-11-28T00:00:00.00000aZ",
	    "1969-12-31T23:59:59.999999Z", "2026-00-01T00:00:00.000000Z"};
	char text[AUDIT_TIME_BYTES];
	uint64_t time_us;

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		audit_time_format(text, times[i].time_us);
		CU_ASSERT_STRING_EQUAL(text, times[i].text);
		CU_ASSERT_TRUE(audit_time_parse(&time_us, text));
		CU_ASSERT_EQUAL(time_us, times[i].time_us);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		CU_ASSERT_FALSE(audit_time_parse(&time_us, wrong[i]));
	audit_time_format(text, UINT64_MAX);
	CU_ASSERT_EQUAL(strncmp(text, "9999-12-31T23:59:59.", 20), 0);
}

static void a_source_is_without_its_port(void)
{
	static const char *const pairs[][2] = {{"192.0.2.1:4711", "192.0.2.1"},
	                                       {"[2001:db8::1]:4711", "[2001:db8::1]"},
	                                       {"2001:db8::1", "2001:db8::1"},
	                                       {"pid 123", "pid 123"},
	                                       {"[", "["},
	                                       {":", ""},
	                                       {"", ""}};
	char source[IDENTITY_FROM_BYTES];

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		audit_source(source, pairs[i][0]);
		CU_ASSERT_STRING_EQUAL(source, pairs[i][1]);
	}
}

static void a_second_writer_is_refused(void)
{
	struct audit *second = NULL;
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(audit_open(&second, &rig.options, START_US, rig.error, sizeof(rig.error)),
	                -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(rig.error, "another process writes it): stop that one first"));
	CU_ASSERT_PTR_NULL(second);
	rig_appends(&rig, AUDIT_change, "x");
	rig_verifies(&rig);
	rig_close(&rig);
}

static void a_directory_that_is_not_there_or_not_ours_is_told(void)
{
	struct rig rig;

	rig_folder(&rig);
	rig.options.directory = "/tmp/kante-nowhere";
	CU_ASSERT_EQUAL(
	    audit_open(&rig.audit, &rig.options, START_US, rig.error, sizeof(rig.error)), -ENOENT);
	CU_ASSERT_STRING_EQUAL(
	    rig.error, "the audit log in /tmp/kante-nowhere cannot be opened (No such file or "
	               "directory): make the directory, or name another");
	rig.options.directory = rig.folder;
	if (geteuid() == 0) { /* who may write everywhere */
		CU_ASSERT_EQUAL(chmod(rig.folder, 0555), 0);
		CU_ASSERT_EQUAL(seteuid(65534), 0);
		CU_ASSERT_EQUAL(
		    audit_open(&rig.audit, &rig.options, START_US, rig.error, sizeof(rig.error)),
		    -EACCES);
		CU_ASSERT_EQUAL(seteuid(0), 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(rig.error, "let this process write there"));
	}
	rig_close(&rig);
}

static void a_broken_chain_is_not_gone_on_with_and_left_alone(void)
{
	struct rig rig;
	char *bytes, *again;
	size_t length, again_length;

	rig_open(&rig);
	for (int i = 0; i < 5; i++)
		rig_appends(&rig, AUDIT_change, "eviction");
	rig_close_log(&rig);
	bytes = file_bytes(rig.folder, "audit.log", &length);
	memcpy(strstr(bytes, "eviction"), "evictiom", 8);
	bytes[length - 1] = ' '; /* what looks cut is not cut off either */
	set_file(rig.folder, "audit.log", bytes, length);
	CU_ASSERT_EQUAL(
	    audit_open(&rig.audit, &rig.options, START_US, rig.error, sizeof(rig.error)), -EBADMSG);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.error,
	                              "is not as it was written (2 faults, the first: "
	                              "audit.log:2: line 2 was changed: its hash does not "
	                              "match): keep it"));
	again = file_bytes(rig.folder, "audit.log", &again_length);
	CU_ASSERT_EQUAL(again_length, length);
	CU_ASSERT_EQUAL(memcmp(again, bytes, length), 0);
	free(bytes);
	free(again);
	rig_close(&rig);
}

static void a_line_that_a_crash_has_cut_is_taken_off_and_that_is_a_line(void)
{
	struct rig rig, copy;
	size_t length, start;
	char *bytes;
	json_t *lines;

	rig_open(&rig);
	rig_folder(&copy);
	rig_appends(&rig, AUDIT_change, "x");
	copy_folder(rig.folder, copy.folder);
	rig_appends(&rig, AUDIT_change, "eviction");
	bytes = file_bytes(rig.folder, "audit.log", &length);
	free(file_bytes(copy.folder, "audit.log", &start));
	rig_close(&rig);
	for (size_t i = start + 1; i < length; i += 7) {
		struct rig one;

		rig_folder(&one);
		copy_file(copy.folder, one.folder, "audit.head");
		set_file(one.folder, "audit.log", bytes, i);
		rig_open_log(&one);
		rig_verifies(&one);
		CU_ASSERT_EQUAL(one.verdict.last_seq, 4);
		lines = all_lines(one.folder);
		CU_ASSERT_STRING_EQUAL(text_at(lines, 2, "action"), "audit.recovered");
		CU_ASSERT_EQUAL(strncmp(text_at(lines, 2, "before"), "{\"seq\":3,\"time\"",
		                        i - start < 15 ? i - start : 15),
		                0);
		CU_ASSERT_EQUAL(strlen(text_at(lines, 2, "before")), i - start);
		json_decref(lines);
		rig_close(&one);
	}
	free(bytes);
	rig_close(&copy);
}

static void a_full_file_is_put_aside_and_the_chain_goes_on_in_a_new_one(void)
{
	uint64_t first_seqs[64];
	struct audit_state state;
	struct rig rig;
	size_t count, length;
	uint64_t bytes = 0;
	json_t *lines;

	rig_folder(&rig);
	rig.options.file_bytes_max = 2000;
	rig_open_log(&rig);
	for (int i = 0; i < 100; i++)
		rig_appends(&rig, i % 2 == 0 ? AUDIT_change : AUDIT_login, "x");
	rig_verifies(&rig);
	count = full_files(rig.folder, first_seqs, 64);
	CU_ASSERT_TRUE(count > 10);
	CU_ASSERT_EQUAL(rig.verdict.file_count, count + 1);
	lines = all_lines(rig.folder);
	for (size_t i = 0; i < count; i++) {
		free(file_bytes(rig.folder, full_name(first_seqs[i]), &length));
		CU_ASSERT_TRUE(length >= 2000 && length < 2500);
		bytes += length;
		if (i == 0)
			continue;
		CU_ASSERT_STRING_EQUAL(text_at(lines, first_seqs[i] - 1, "action"),
		                       "audit.rotated");
		CU_ASSERT_STRING_EQUAL(text_at(lines, first_seqs[i] - 1, "target"),
		                       full_name(first_seqs[i - 1]));
	}
	free(file_bytes(rig.folder, "audit.log", &length));
	audit_state(rig.audit, &state);
	CU_ASSERT_EQUAL(state.bytes, bytes + length);
	json_decref(lines);
	rig_close_log(&rig);
	rig_open_log(&rig);
	rig_verifies(&rig);
	rig_close(&rig);
}

static void a_crash_at_any_point_of_a_rotation_is_gone_on_from(void)
{
	static const char *const points[] = {"renamed", "new file", "cut line", "whole line"};
	struct rig rig;
	char *rotated, *head;
	uint64_t first_seqs[4];
	size_t length;
	json_t *lines;

	for (size_t point = 0; point < 4; point++) {
		rig_folder(&rig);
		rig.options.file_bytes_max = 1000;
		rig_open_log(&rig);
		do
			rig_appends(&rig, AUDIT_change, "x");
		while (free(file_bytes(rig.folder, "audit.log", &length)), length < 1000);
		head = file_bytes(rig.folder, "audit.head", NULL);
		rig_appends(&rig, AUDIT_change, "y");
		CU_ASSERT_EQUAL_FATAL(full_files(rig.folder, first_seqs, 4), 1);
		/* back to what was there before the first line in the new file was known */
		audit_close(rig.audit);
		rig.audit = NULL;
		rotated = file_bytes(rig.folder, "audit.log", NULL);
		length = (size_t)(strchr(rotated, '\n') + 1 - rotated);
		set_file(rig.folder, "audit.head", head, strlen(head));
		if (point == 0)
			unlink(path_of(rig.folder, "audit.log"));
		else
			set_file(rig.folder, "audit.log", rotated,
			         point == 1   ? 0
			         : point == 2 ? length / 2
			                      : length);
		rig_verifies(&rig);
		rig_open_log(&rig);
		rig_appends(&rig, AUDIT_change, "z");
		rig_verifies(&rig);
		lines = all_lines(rig.folder);
		for (size_t i = 0; i < json_array_size(lines); i++)
			if (strcmp(text_at(lines, i, "target"), full_name(1)) == 0)
				length = i;
		if (strcmp(text_at(lines, length, "action"), "audit.rotated") != 0)
			printf("\nat %s\n", points[point]);
		CU_ASSERT_STRING_EQUAL(text_at(lines, length, "action"), "audit.rotated");
		json_decref(lines);
		free(rotated);
		free(head);
		rig_close(&rig);
	}
}

static void old_files_are_deleted_with_a_line_each(void)
{
	uint64_t first_seqs[64], deleted_count = 0;
	struct audit_state state;
	struct rig rig;
	json_t *lines;
	size_t length;
	uint64_t bytes = 0;

	rig_folder(&rig);
	rig.options.file_bytes_max = 2000;
	rig.options.kept_count_max = 3;
	rig_open_log(&rig);
	for (int i = 0; i < 100; i++)
		rig_appends(&rig, AUDIT_change, "x");
	CU_ASSERT_EQUAL(full_files(rig.folder, first_seqs, 64), 3);
	rig_verifies(&rig);
	CU_ASSERT_EQUAL(rig.verdict.first_seq, first_seqs[0]);
	lines = all_lines(rig.folder);
	for (size_t i = 0; i < json_array_size(lines); i++)
		if (strcmp(text_at(lines, i, "action"), "audit.deleted") == 0) {
			const json_t *before = json_object_get(json_array_get(lines, i), "before");

			deleted_count++;
			CU_ASSERT_FALSE(has_file(rig.folder, text_at(lines, i, "target")));
			CU_ASSERT_TRUE(json_integer_value(json_object_get(before, "last_seq")) <
			               (json_int_t)first_seqs[0]);
		}
	CU_ASSERT_EQUAL(deleted_count, 4); /* one a file; those before are gone with theirs */
	json_decref(lines);
	for (size_t i = 0; i < 3; i++) {
		free(file_bytes(rig.folder, full_name(first_seqs[i]), &length));
		bytes += length;
	}
	free(file_bytes(rig.folder, "audit.log", &length));
	audit_state(rig.audit, &state);
	CU_ASSERT_EQUAL(state.bytes, bytes + length);
	rig_close(&rig);
}

static void an_old_file_that_cannot_be_deleted_is_a_line_and_deleted_later(void)
{
	uint64_t first_seqs[16];
	struct rig rig;
	json_t *lines;
	bool told = false;

	rig_folder(&rig);
	rig.options.file_bytes_max = 1000;
	rig.options.kept_count_max = 1;
	rig_open_log(&rig);
	fault_set("unlinkat", EPERM, 0, 1);
	while (!fault_over())
		rig_appends(&rig, AUDIT_change, "x");
	fault_clear();
	CU_ASSERT_EQUAL(full_files(rig.folder, first_seqs, 16), 2);
	rig_verifies(&rig);
	lines = all_lines(rig.folder);
	for (size_t i = 0; i < json_array_size(lines); i++)
		if (strcmp(text_at(lines, i, "action"), "audit.deleted") == 0 &&
		    strcmp(text_at(lines, i, "result"), "failed") == 0)
			told = strcmp(text_at(lines, i, "reason"), "Operation not permitted") == 0;
	CU_ASSERT_TRUE(told);
	json_decref(lines);
	for (int i = 0; i < 10; i++)
		rig_appends(&rig, AUDIT_change, "x");
	CU_ASSERT_EQUAL(full_files(rig.folder, first_seqs, 16), 1);
	rig_verifies(&rig);
	rig_close(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"a line has all that is known, in order, and its hash is over these bytes",
	     a_line_has_all_that_is_known_in_order_and_its_hash_is_over_these_bytes},
	    {"what does not apply is left out", what_does_not_apply_is_left_out},
	    {"the chain goes on after a restart, and says so",
	     the_chain_goes_on_after_a_restart_and_says_so},
	    {"files are for their owner only", files_are_for_their_owner_only},
	    {"any text makes one line that can be read", any_text_makes_one_line_that_can_be_read},
	    {"a text is not cut within a character", a_text_is_not_cut_within_a_character},
	    {"of values that are too long or too deep, size and hash are kept",
	     of_values_that_are_too_long_or_too_deep_size_and_hash_are_kept},
	    {"times are kept to the microsecond", times_are_kept_to_the_microsecond},
	    {"a source is without its port", a_source_is_without_its_port},
	    {"a second writer is refused", a_second_writer_is_refused},
	    {"a directory that is not there, or not ours, is told",
	     a_directory_that_is_not_there_or_not_ours_is_told},
	    {"a broken chain is not gone on with, and left alone",
	     a_broken_chain_is_not_gone_on_with_and_left_alone},
	    {"a line that a crash has cut is taken off, and that is a line",
	     a_line_that_a_crash_has_cut_is_taken_off_and_that_is_a_line},
	    {"a full file is put aside, and the chain goes on in a new one",
	     a_full_file_is_put_aside_and_the_chain_goes_on_in_a_new_one},
	    {"a crash at any point of a rotation is gone on from",
	     a_crash_at_any_point_of_a_rotation_is_gone_on_from},
	    {"old files are deleted with a line each", old_files_are_deleted_with_a_line_each},
	    {"an old file that cannot be deleted is a line, and deleted later",
	     an_old_file_that_cannot_be_deleted_is_a_line_and_deleted_later},
	};

	return UNIT_RUN("audit", cases);
}
