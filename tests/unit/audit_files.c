/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to the audit log's files as a whole, and is found. */
#include "audit_rig.h"

#include <dlfcn.h>

static struct rig *meddler; /* writes a line just before audit.head is read; NULL: nobody does */

ssize_t pread(int fd, void *bytes, size_t length, off_t offset)
{
	ssize_t (*next)(int, void *, size_t, off_t);
	struct rig *rig = meddler;

	meddler = NULL;
	if (rig != NULL)
		rig_appends(rig, AUDIT_change, "x");
	*(void **)&next = dlsym(RTLD_NEXT, "pread");
	return next(fd, bytes, length, offset);
}

static void a_line_that_comes_while_the_log_is_looked_at_is_no_fault(void)
{
	struct rig rig;

	rig_open(&rig);
	meddler = &rig;
	rig_verifies(&rig);
	CU_ASSERT_PTR_NULL(meddler);
	CU_ASSERT_EQUAL(rig.verdict.last_seq, 2);
	/* and a file that gets another name meanwhile */
	rig_close_log(&rig);
	rig.options.file_bytes_max = 1;
	rig_open_log(&rig);
	meddler = &rig;
	rig_verifies(&rig);
	CU_ASSERT_PTR_NULL(meddler);
	rig_close(&rig);
}

static void an_older_copy_of_a_file_is_found(void)
{
	struct rig rig;
	char *log, *head, *newer;
	size_t log_length, head_length, newer_length;

	rig_write(&rig, 3);
	log = file_bytes(rig.folder, "audit.log", &log_length);
	head = file_bytes(rig.folder, "audit.head", &head_length);
	rig_open_log(&rig);
	rig_appends(&rig, AUDIT_change, "x");
	rig_close_log(&rig);
	newer = file_bytes(rig.folder, "audit.log", &newer_length);
	set_file(rig.folder, "audit.log", log, log_length);
	found(&rig, "lines 6 to 8 were taken off the end");
	set_file(rig.folder, "audit.log", newer, newer_length);
	rig_verifies(&rig);
	set_file(rig.folder, "audit.head", head, head_length);
	found(&rig, "audit.head: it is older than the log: it knows no line after 5");
	unlink(path_of(rig.folder, "audit.head"));
	found(&rig, "audit.head: it is missing");
	free(newer);
	free(log);
	free(head);
	rig_close(&rig);
}

static void a_missing_file_is_found(void)
{
	uint64_t first_seqs[8], last_seq;
	struct rig rig;
	size_t count, length;
	char *bytes, fault[128];

	rig_write_files(&rig, 0, 10);
	rig_verifies(&rig);
	last_seq = rig.verdict.last_seq;
	count = full_files(rig.folder, first_seqs, 7);
	CU_ASSERT_EQUAL(rig.verdict.file_count, count + 1);
	CU_ASSERT_TRUE_FATAL(count >= 2);
	for (size_t i = 0; i <= count; i++) {
		const char *name = i == count ? "audit.log" : full_name(first_seqs[i]);

		if (i == 0)
			snprintf(fault, sizeof(fault),
			         "lines 1 to %" PRIu64 " are missing, and no line",
			         first_seqs[1] - 1);
		else if (i == count)
			snprintf(fault, sizeof(fault), "to %" PRIu64 " were taken off the end",
			         last_seq);
		else
			snprintf(fault, sizeof(fault), ".log:1: lines %" PRIu64 " to ",
			         first_seqs[i]);
		bytes = file_bytes(rig.folder, name, &length);
		unlink(path_of(rig.folder, name));
		found(&rig, fault);
		CU_ASSERT_EQUAL(rig.verdict.fault_count, 1);
		set_file(rig.folder, name, bytes, length);
		free(bytes);
		rig_verifies(&rig);
	}
	rig_close(&rig);
}

static void files_that_rotation_deleted_are_not_missed_and_others_are(void)
{
	struct rig rig;

	rig_write_files(&rig, 2, 30);
	rig_verifies(&rig);
	CU_ASSERT_EQUAL(rig.verdict.file_count, 3);
	CU_ASSERT_TRUE(rig.verdict.first_seq > 10);
	CU_ASSERT_EQUAL(rig.verdict.line_count, rig.verdict.last_seq - rig.verdict.first_seq + 1);
	unlink(path_of(rig.folder, full_name(rig.verdict.first_seq)));
	found(&rig, "are missing, and no line says that they were deleted");
	rig_close(&rig);
}

/* Flips a bit in the middle of a full file. */
static void spoil(const struct rig *rig, uint64_t first_seq)
{
	size_t length;
	char *bytes = file_bytes(rig->folder, full_name(first_seq), &length);

	bytes[length / 2] ^= 1;
	set_file(rig->folder, full_name(first_seq), bytes, length);
	free(bytes);
}

static int take_up(struct rig *rig)
{
	char error[512];

	return audit_open(&rig->audit, &rig->options, rig->now_us, error, sizeof(error));
}

static void a_start_looks_at_the_newest_files_alone(void)
{
	uint64_t first_seqs[64];
	struct rig rig;
	size_t count;

	rig_write_files(&rig, 0, 60);
	count = full_files(rig.folder, first_seqs, 64);
	CU_ASSERT_TRUE_FATAL(count >= 3);
	spoil(&rig, first_seqs[0]);
	CU_ASSERT_EQUAL(take_up(&rig), 0);
	rig_close_log(&rig);
	CU_ASSERT_EQUAL(rig_verify(&rig), -EBADMSG);
	spoil(&rig, first_seqs[count - 1]);
	CU_ASSERT_EQUAL(take_up(&rig), -EBADMSG);
	rig.audit = NULL;
	rig_close(&rig);
}

static void other_files_are_not_minded(void)
{
	struct rig rig;

	rig_write(&rig, 3);
	set_file(rig.folder, "audit.log.bak", "x", 1);
	set_file(rig.folder, "audit-1.log", "x", 1);
	set_file(rig.folder, "audit-000000000001.log.gz", "x", 1);
	set_file(rig.folder, "audit-00000000000x.log", "x", 1);
	set_file(rig.folder, "audit.head.new", "x", 1);
	rig_verifies(&rig);
	rig_close(&rig);
}

static void what_cannot_be_read_is_told(void)
{
	struct rig rig;

	rig_folder(&rig);
	CU_ASSERT_EQUAL(rig_verify(&rig), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.fault, ": there is no"));
	CU_ASSERT_EQUAL(rig.verdict.fault_count, 1);
	CU_ASSERT_EQUAL(rig_verify_folder(&rig, "/tmp/kante-nowhere"), -ENOENT);
	CU_ASSERT_EQUAL(rig_verify_folder(&rig, "/dev/null"), -ENOTDIR);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.fault, "not a directory"));
	CU_ASSERT_EQUAL(audit_verify("/dev/null", &rig.verdict, NULL, NULL), -ENOTDIR);
	mkfifo(path_of(rig.folder, "audit.log"), 0600);
	CU_ASSERT_EQUAL(rig_verify(&rig), -ENXIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.fault, "not a regular file"));
	unlink(path_of(rig.folder, "audit.log"));
	CU_ASSERT_EQUAL(symlink("/etc/passwd", path_of(rig.folder, "audit.log")), 0);
	CU_ASSERT_EQUAL(rig_verify(&rig), -ENXIO);
	unlink(path_of(rig.folder, "audit.log"));
	rig_open_log(&rig);
	rig_close_log(&rig);
	CU_ASSERT_EQUAL(chmod(rig.folder, 0755), 0);
	if (geteuid() == 0) { /* who may read everything */
		CU_ASSERT_EQUAL(seteuid(65534), 0);
		CU_ASSERT_EQUAL(rig_verify(&rig), -EACCES);
		CU_ASSERT_EQUAL(seteuid(0), 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(rig.fault, "no permission to read it"));
	}
	rig_close(&rig);
}

static void a_head_of_any_other_form_is_found(void)
{
	struct rig rig;
	size_t length;
	char *head, longer[128];

	rig_write(&rig, 3);
	head = file_bytes(rig.folder, "audit.head", &length);
	CU_ASSERT_EQUAL(length, 86);
	for (size_t i = 0; i < length; i++) {
		set_file(rig.folder, "audit.head", head, i);
		found(&rig, "audit.head: it is not as it was written");
	}
	snprintf(longer, sizeof(longer), "%s\n", head);
	set_file(rig.folder, "audit.head", longer, length + 1);
	found(&rig, "audit.head: it is not as it was written");
	free(head);
	rig_close(&rig);
}

/* Replaces, inserts or takes out bytes. *ret_length: at most 64 more. */
static void change_bytes(char *bytes, size_t *length, uint64_t *random)
{
	size_t at = next_random(random) % *length;
	size_t count = 1 + next_random(random) % (next_random(random) % 4 == 0 ? 600 : 8);

	if (count > *length - at)
		count = *length - at;
	switch (next_random(random) % 3) {
	case 0:
		for (size_t i = 0; i < count; i++)
			bytes[at + i] = (char)next_random(random);
		break;
	case 1:
		memmove(bytes + at, bytes + at + count, *length - at - count);
		*length -= count;
		break;
	default:
		count = count > 64 ? 64 : count;
		memmove(bytes + at + count, bytes + at, *length - at);
		/* of its own bytes: so newlines and quotes come, too */
		for (size_t i = 0; i < count; i++)
			bytes[at + i] = bytes[next_random(random) % *length];
		*length += count;
	}
}

static void any_change_at_random_is_found(void)
{
	uint64_t first_seqs[8];
	struct rig rig;
	char *bytes, *changed;
	size_t length, changed_length;

	rig_write_files(&rig, 0, 10);
	CU_ASSERT_TRUE_FATAL(full_files(rig.folder, first_seqs, 8) >= 2);
	for (uint64_t seed = 1; seed <= 4000; seed++) {
		const char *name = seed % 3 == 2 ? "audit.log" : full_name(first_seqs[seed % 3]);
		uint64_t random = seed * 0x9e3779b97f4a7c15u;

		bytes = file_bytes(rig.folder, name, &length);
		changed = malloc(length + 64);
		memcpy(changed, bytes, length);
		changed_length = length;
		change_bytes(changed, &changed_length, &random);
		if (changed_length != length || memcmp(changed, bytes, length) != 0) {
			set_file(rig.folder, name, changed, changed_length);
			if (rig_verify(&rig) != -EBADMSG)
				printf("\nseed %" PRIu64 " was not found\n", seed);
			CU_ASSERT_EQUAL(rig_verify(&rig), -EBADMSG);
			set_file(rig.folder, name, bytes, length);
		}
		free(changed);
		free(bytes);
	}
	rig_verifies(&rig);
	rig_close(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"an older copy of a file is found", an_older_copy_of_a_file_is_found},
	    {"a missing file is found", a_missing_file_is_found},
	    {"a start looks at the newest files alone", a_start_looks_at_the_newest_files_alone},
	    {"files that rotation deleted are not missed, and others are",
	     files_that_rotation_deleted_are_not_missed_and_others_are},
	    {"other files are not minded", other_files_are_not_minded},
	    {"what cannot be read is told", what_cannot_be_read_is_told},
	    {"a head of any other form is found", a_head_of_any_other_form_is_found},
	    {"a line that comes while the log is looked at is no fault",
	     a_line_that_comes_while_the_log_is_looked_at_is_no_fault},
	    {"any change at random is found", any_change_at_random_is_found},
	};

	return UNIT_RUN("audit_files", cases);
}
