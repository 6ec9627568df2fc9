/* SPDX-License-Identifier: Apache-2.0 */
#include "control/audit_verify.h"

#include "audit_rig.h"

#include <openssl/evp.h>

#define LINES_MAX 64

/* A text cut at its newlines, which stay with their lines. */
struct lines {
	char *bytes;
	size_t length;
	size_t count;
	struct {
		const char *start;
		size_t length;
	} list[LINES_MAX];
};

static void lines_read(struct lines *lines, const char *folder, const char *name)
{
	const char *at, *newline;

	*lines = (struct lines){0};
	lines->bytes = file_bytes(folder, name, &lines->length);
	for (at = lines->bytes; *at != '\0'; at = newline + 1) {
		newline = strchr(at, '\n');
		CU_ASSERT_PTR_NOT_NULL_FATAL(newline);
		CU_ASSERT_TRUE_FATAL(lines->count < LINES_MAX);
		lines->list[lines->count].start = at;
		lines->list[lines->count++].length = (size_t)(newline + 1 - at);
	}
}

/* The lines in the order of `order`, which ends in SIZE_MAX. */
static void lines_write(const struct lines *lines, const char *folder, const char *name,
                        const size_t *order)
{
	char *bytes = malloc(2 * lines->length + 1);
	size_t length = 0;

	for (; *order != SIZE_MAX; order++) {
		memcpy(bytes + length, lines->list[*order].start, lines->list[*order].length);
		length += lines->list[*order].length;
	}
	set_file(folder, name, bytes, length);
	free(bytes);
}

static void a_log_as_it_was_written_has_no_fault(void)
{
	struct audit_state state;
	struct rig rig;

	rig_open(&rig);
	for (int i = 0; i < 10; i++)
		rig_appends(&rig, AUDIT_change, "eviction");
	audit_state(rig.audit, &state);
	rig_verifies(&rig);
	CU_ASSERT_EQUAL(rig.verdict.line_count, 11); /* the first says that it was begun */
	CU_ASSERT_EQUAL(rig.verdict.file_count, 1);
	CU_ASSERT_EQUAL(rig.verdict.first_seq, 1);
	CU_ASSERT_EQUAL(rig.verdict.last_seq, 11);
	CU_ASSERT_EQUAL(state.seq, 11);
	CU_ASSERT_STRING_EQUAL(rig.verdict.last_hash, state.hash);
	rig_close(&rig);
}

static void every_flipped_byte_is_found(void)
{
	static const uint8_t flips[] = {0x01, 0x20, 0x80, 0xff};
	static const char *const names[] = {"audit.log", "audit.head", "audit-000000000001.log"};
	struct rig rig;
	size_t length;
	char *bytes;

	rig_write_files(&rig, 0, 4);
	for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
		bytes = file_bytes(rig.folder, names[n], &length);
		for (size_t i = 0; i < length; i++)
			for (size_t j = 0; j < sizeof(flips); j++) {
				bytes[i] = (char)(bytes[i] ^ flips[j]);
				set_file(rig.folder, names[n], bytes, length);
				if (rig_verify(&rig) != -EBADMSG)
					printf("\n%s: byte %zu ^ %02x was not found\n", names[n], i,
					       flips[j]);
				CU_ASSERT_EQUAL(rig_verify(&rig), -EBADMSG);
				bytes[i] = (char)(bytes[i] ^ flips[j]);
			}
		set_file(rig.folder, names[n], bytes, length);
		free(bytes);
		rig_verifies(&rig);
	}
	rig_close(&rig);
}

static void a_changed_line_is_one_fault_at_its_place(void)
{
	struct rig rig;
	size_t length;
	char *bytes;

	rig_write(&rig, 6);
	bytes = file_bytes(rig.folder, "audit.log", &length);
	memcpy(strstr(bytes, "parameter2"), "parameter9", 10);
	set_file(rig.folder, "audit.log", bytes, length);
	free(bytes);
	found(&rig, "audit.log:4: line 4 was changed: its hash does not match");
	CU_ASSERT_EQUAL(rig.verdict.fault_count, 1);
	CU_ASSERT_EQUAL(rig.verdict.last_seq, 8);
	rig_close(&rig);
}

static void every_deleted_line_is_found(void)
{
	size_t order[LINES_MAX];
	struct lines lines;
	struct rig rig;

	rig_write(&rig, 10);
	lines_read(&lines, rig.folder, "audit.log");
	CU_ASSERT_EQUAL(lines.count, 12);
	for (size_t gone = 0; gone < lines.count; gone++) {
		size_t used = 0;
		char fault[128];

		for (size_t i = 0; i < lines.count; i++)
			if (i != gone)
				order[used++] = i;
		order[used] = SIZE_MAX;
		lines_write(&lines, rig.folder, "audit.log", order);
		if (gone == 0)
			snprintf(fault, sizeof(fault),
			         "lines 1 to 1 are missing, and no line says");
		else if (gone == lines.count - 1)
			snprintf(fault, sizeof(fault), "lines 12 to 12 were taken off the end");
		else
			snprintf(fault, sizeof(fault),
			         "audit.log:%zu: lines %zu to %zu are missing", gone + 1, gone + 1,
			         gone + 1);
		found(&rig, fault);
		CU_ASSERT_EQUAL(rig.verdict.fault_count, 1);
	}
	free(lines.bytes);
	rig_close(&rig);
}

static void every_swapped_pair_and_every_line_that_is_there_twice_is_found(void)
{
	size_t order[LINES_MAX];
	struct lines lines;
	struct rig rig;

	rig_write(&rig, 10);
	lines_read(&lines, rig.folder, "audit.log");
	for (size_t first = 0; first + 1 < lines.count; first++) {
		for (size_t i = 0; i < lines.count; i++)
			order[i] = i;
		order[first] = first + 1;
		order[first + 1] = first;
		order[lines.count] = SIZE_MAX;
		lines_write(&lines, rig.folder, "audit.log", order);
		found(&rig, first == 0 ? "line 1 stands behind line 2" : "missing before this one");
	}
	for (size_t twice = 0; twice < lines.count; twice++) {
		size_t used = 0;

		for (size_t i = 0; i < lines.count; i++) {
			order[used++] = i;
			if (i == twice)
				order[used++] = i;
		}
		order[used] = SIZE_MAX;
		lines_write(&lines, rig.folder, "audit.log", order);
		found(&rig, "it is out of order, or there twice");
		CU_ASSERT_EQUAL(rig.verdict.fault_count, 1);
	}
	free(lines.bytes);
	rig_close(&rig);
}

static void lines_taken_off_the_end_are_missed(void)
{
	size_t order[LINES_MAX];
	struct lines lines;
	struct rig rig;

	rig_write(&rig, 6);
	lines_read(&lines, rig.folder, "audit.log");
	for (size_t i = 0; i < lines.count; i++) {
		for (size_t j = 0; j < i; j++)
			order[j] = j;
		order[i] = SIZE_MAX;
		lines_write(&lines, rig.folder, "audit.log", order);
		found(&rig, "to 8 were taken off the end: audit.head knows the last of them");
	}
	unlink(path_of(rig.folder, "audit.log"));
	found(&rig, "lines 1 to 8 were taken off the end");
	/* half of the last line: a crash would have left the head behind */
	set_file(rig.folder, "audit.log", lines.bytes, lines.length - 1);
	found(&rig, "lines 8 to 8 were taken off the end");
	free(lines.bytes);
	rig_close(&rig);
}

static void what_a_crash_leaves_is_no_fault(void)
{
	char *head, *bytes;
	struct rig rig;
	size_t length;

	rig_write(&rig, 6);
	rig_open_log(&rig);
	head = file_bytes(rig.folder, "audit.head", NULL);
	/* the head is behind by logins, and by one other line, which is not whole at first */
	rig_appends(&rig, AUDIT_login, "a");
	rig_appends(&rig, AUDIT_read, "b");
	rig_appends(&rig, AUDIT_change, "c");
	bytes = file_bytes(rig.folder, "audit.log", &length);
	set_file(rig.folder, "audit.head", head, strlen(head));
	for (size_t i = length - 1; bytes[i - 1] != '\n'; i--) {
		set_file(rig.folder, "audit.log", bytes, i);
		rig_verifies(&rig);
		CU_ASSERT_EQUAL(rig.verdict.last_seq, 11);
	}
	set_file(rig.folder, "audit.log", bytes, length);
	rig_verifies(&rig);
	CU_ASSERT_EQUAL(rig.verdict.last_seq, 12);
	free(bytes);
	free(head);
	rig_close(&rig);
}

static void what_is_no_line_is_found_wherever_it_is(void)
{
	static const char *const junk[] = {"\n", "{}\n", "x\n", "{\"seq\":1}\n", "null\n"};
	struct lines lines;
	struct rig rig;
	char *bytes;

	rig_write(&rig, 3);
	lines_read(&lines, rig.folder, "audit.log");
	for (size_t i = 0; i < sizeof(junk) / sizeof(junk[0]); i++)
		for (size_t place = 0; place <= lines.count; place++) {
			size_t before = place == lines.count
			                    ? lines.length
			                    : (size_t)(lines.list[place].start - lines.bytes);
			char fault[128];

			bytes = malloc(lines.length + 64);
			memcpy(bytes, lines.bytes, before);
			memcpy(bytes + before, junk[i], strlen(junk[i]));
			memcpy(bytes + before + strlen(junk[i]), lines.bytes + before,
			       lines.length - before);
			set_file(rig.folder, "audit.log", bytes, lines.length + strlen(junk[i]));
			free(bytes);
			snprintf(fault, sizeof(fault), "audit.log:%zu: no line of an audit log",
			         place + 1);
			found(&rig, fault);
			CU_ASSERT_EQUAL(rig.verdict.fault_count, 1);
		}
	free(lines.bytes);
	rig_close(&rig);
}

static void a_line_longer_than_any_is_found_and_gone_on_behind(void)
{
	struct lines lines;
	struct rig rig;
	char *bytes;

	rig_write(&rig, 3);
	lines_read(&lines, rig.folder, "audit.log");
	for (size_t extra = 65535; extra < 400000; extra += 66667) {
		size_t before = lines.list[0].length;

		bytes = malloc(lines.length + extra + 1);
		memcpy(bytes, lines.bytes, before);
		memset(bytes + before, 'x', extra);
		bytes[before + extra] = '\n';
		memcpy(bytes + before + extra + 1, lines.bytes + before, lines.length - before);
		set_file(rig.folder, "audit.log", bytes, lines.length + extra + 1);
		free(bytes);
		found(&rig, "audit.log:2: no line of an audit log");
		CU_ASSERT_EQUAL(rig.verdict.fault_count, 1);
		CU_ASSERT_EQUAL(rig.verdict.last_seq, 5);
	}
	free(lines.bytes);
	rig_close(&rig);
}

static void a_chain_that_was_forged_from_a_line_on_does_not_fit_the_head(void)
{
	struct rig rig, other;
	char *bytes;
	size_t length;

	/* the same events with another target: all hashes are right among themselves */
	rig_write(&rig, 3);
	rig_folder(&other);
	rig_open_log(&other);
	for (int i = 0; i < 3; i++)
		rig_appends(&other, AUDIT_change, "y");
	rig_close_log(&other);
	bytes = file_bytes(other.folder, "audit.log", &length);
	set_file(rig.folder, "audit.log", bytes, length);
	found(&rig, "line 5 is not the one that audit.head knows: one of the two was replaced");
	free(bytes);
	rig_close(&other);
	rig_close(&rig);
}

static void a_line_of_another_chain_in_its_place_is_found(void)
{
	const size_t order[] = {0, 1, 2, 3, 4, SIZE_MAX};
	struct lines lines, others;
	struct rig rig, other;

	rig_write(&rig, 3);
	rig_folder(&other);
	rig_open_log(&other);
	for (int i = 0; i < 3; i++)
		rig_appends(&other, AUDIT_change, "y");
	rig_close_log(&other);
	lines_read(&lines, rig.folder, "audit.log");
	lines_read(&others, other.folder, "audit.log");
	lines.list[2].start = others.list[2].start;
	lines.list[2].length = others.list[2].length;
	lines_write(&lines, rig.folder, "audit.log", order);
	found(&rig, "audit.log:3: line 3 does not follow from line 2");
	free(lines.bytes);
	free(others.bytes);
	rig_close(&other);
	rig_close(&rig);
}

static bool count_line(void *context, const json_t *line)
{
	uint64_t *counts = context;

	counts[0]++;
	counts[1] = (uint64_t)json_integer_value(json_object_get(line, "seq"));
	return counts[0] != counts[2];
}

/* A log of one line, with a hash that is right, and a head that knows it. */
static void set_line(const struct rig *rig, const char *start)
{
	char line[1024], head[128];
	uint8_t digest[32];
	size_t length, hash_at;

	length = (size_t)snprintf(line, sizeof(line), "%s,\"prev\":\"%064d\"}", start, 0);
	EVP_Digest(line, length, digest, NULL, EVP_sha256(), NULL);
	hash_at = length - 1 + strlen(",\"hash\":\"");
	length = (size_t)snprintf(line + length - 1, sizeof(line) - length,
	                          ",\"hash\":\"%064d\"}\n", 0) +
	         length - 1;
	for (size_t i = 0; i < 32; i++) {
		char hex[3];

		snprintf(hex, sizeof(hex), "%02x", digest[i]);
		memcpy(line + hash_at + 2 * i, hex, 2);
	}
	set_file(rig->folder, "audit.log", line, length);
	snprintf(head, sizeof(head), "%020d %.64s\n", 1, line + hash_at);
	set_file(rig->folder, "audit.head", head, strlen(head));
}

static void a_line_of_right_hash_that_is_none_of_ours_is_found(void)
{
	static const char *const wrong[] = {
	    "{\"seq\":01,\"time\":\"2026-11-28T00:00:00.000000Z\",\"kind\":\"login\"",
	    "{\"seq\":0,\"time\":\"2026-11-28T00:00:00.000000Z\",\"kind\":\"login\"",
	    ("{\"seq\":1000000000000000001,\"time\":\"2026-11-28T00:00:00.000000Z\","
	     "\"kind\":\"login\""),
	    "{\"seq\":,\"time\":\"2026-11-28T00:00:00.000000Z\",\"kind\":\"login\"",
	    "{\"seq\":1,\"time\":\"2026-11-31T00:00:00.000000Z\",\"kind\":\"login\"",
	    "{\"seq\":1,\"kind\":\"login\"",
	    "{\"seq\":1,\"time\":\"2026-11-28T00:00:00.000000Z\",\"kind\":login",
	    "{\"seq\":1,\"time\":\"2026", "{\"seq\":1", "",
	    /* no JSON, or a name twice, which two readers would not read alike */
	    "{\"seq\":1,\"time\":\"2026-11-28T00:00:00.000000Z\",\"kind\":\"system\",x",
	    "{\"seq\":1,\"time\":\"2026-11-28T00:00:00.000000Z\",\"kind\":\"system\",\"seq\":2"};
	struct rig rig;
	uint64_t counts[3] = {0};

	rig_folder(&rig);
	set_line(&rig, "{\"seq\":1,\"time\":\"2026-11-28T00:00:00.000000Z\",\"kind\":\"system\"");
	rig_verifies(&rig);
	set_line(&rig, "{\"seq\":1,\"time\":\"2026-11-28T00:00:00.000000Z\",\"kind\":\"later\"");
	rig_verifies(&rig); /* a kind that a later version has */
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		set_line(&rig, wrong[i]);
		found(&rig, "audit.log:1: no line of an audit log");
	}
	/* lines that are not asked for are not parsed: what has the right hash is as it was */
	set_line(&rig, "{\"seq\":1,\"time\":\"2026-11-28T00:00:00.000000Z\",\"kind\":\"login\",x");
	rig_verifies(&rig);
	CU_ASSERT_EQUAL(audit_each(rig.folder, 0, UINT64_MAX, count_line, NULL, counts), -EBADMSG);
	CU_ASSERT_EQUAL(counts[0], 0);
	rig_close(&rig);
}

static void lines_of_a_span_are_given_in_order(void)
{
	uint64_t counts[3] = {0}, from;
	struct rig rig;

	rig_write_files(&rig, 0, 20); /* a second apart */
	from = START_US + 5 * SECOND_US;
	CU_ASSERT_EQUAL(
	    audit_each(rig.folder, from, from + 7 * SECOND_US, count_line, NULL, counts), 0);
	CU_ASSERT_EQUAL(counts[0], 9); /* events, and two lines about a new file */
	memset(counts, 0, sizeof(counts));
	CU_ASSERT_EQUAL(audit_each(rig.folder, from, from, count_line, NULL, counts), 0);
	CU_ASSERT_EQUAL(counts[0], 0);
	counts[2] = 3; /* is enough */
	CU_ASSERT_EQUAL(audit_each(rig.folder, 0, UINT64_MAX, count_line, NULL, counts), 0);
	CU_ASSERT_EQUAL(counts[0], 3);
	CU_ASSERT_EQUAL(counts[1], 3);
	rig_close(&rig);
}

static void a_line_that_was_changed_is_not_given(void)
{
	uint64_t counts[3] = {0};
	struct rig rig;
	size_t length;
	char *bytes;

	rig_write(&rig, 4);
	bytes = file_bytes(rig.folder, "audit.log", &length);
	memcpy(strstr(bytes, "parameter2"), "parameter9", 10);
	set_file(rig.folder, "audit.log", bytes, length);
	free(bytes);
	CU_ASSERT_EQUAL(audit_each(rig.folder, 0, UINT64_MAX, count_line, NULL, counts), -EBADMSG);
	CU_ASSERT_EQUAL(counts[0], 5);
	rig_close(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"a log as it was written has no fault", a_log_as_it_was_written_has_no_fault},
	    {"every flipped byte is found", every_flipped_byte_is_found},
	    {"a changed line is one fault, at its place", a_changed_line_is_one_fault_at_its_place},
	    {"every deleted line is found", every_deleted_line_is_found},
	    {"every swapped pair, and every line that is there twice, is found",
	     every_swapped_pair_and_every_line_that_is_there_twice_is_found},
	    {"lines taken off the end are missed", lines_taken_off_the_end_are_missed},
	    {"what a crash leaves is no fault", what_a_crash_leaves_is_no_fault},
	    {"what is no line is found wherever it is", what_is_no_line_is_found_wherever_it_is},
	    {"a line longer than any is found, and gone on behind",
	     a_line_longer_than_any_is_found_and_gone_on_behind},
	    {"a whole chain that was forged does not fit the head",
	     a_chain_that_was_forged_from_a_line_on_does_not_fit_the_head},
	    {"a line of another chain in its place is found",
	     a_line_of_another_chain_in_its_place_is_found},
	    {"a line of right hash that is none of ours is found",
	     a_line_of_right_hash_that_is_none_of_ours_is_found},
	    {"lines of a span are given in order", lines_of_a_span_are_given_in_order},
	    {"a line that was changed is not given", a_line_that_was_changed_is_not_given},
	};

	return UNIT_RUN("audit_verify", cases);
}
