/* SPDX-License-Identifier: Apache-2.0 */
/* What the audit log does when the disk does not do what it should. */
#define AUDIT_RIG_OWN_DISK /* calls fail here */

#include "audit_rig.h"
#include "faults.h"

#include <stdarg.h>
#include <sys/wait.h>

FAULTY(ssize_t, -1, pwrite, (int fd, const void *bytes, size_t length, off_t offset),
       (fd, bytes, length, offset))
FAULTY(int, -1, fstatat, (int fd, const char *name, struct stat *status, int flags),
       (fd, name, status, flags))
FAULTY(int, -1, unlinkat, (int fd, const char *name, int flags), (fd, name, flags))
FAULTY(int, -1, renameat, (int from_fd, const char *from, int to_fd, const char *to),
       (from_fd, from, to_fd, to))

/* Half of it is written, as when a disk fills up, or nothing. */
ssize_t write(int fd, const void *bytes, size_t length)
{
	ssize_t (*next)(int, const void *, size_t);

	*(void **)&next = dlsym(RTLD_NEXT, "write");
	if (fault_hits("write"))
		return -1;
	return next(fd, bytes, fault_hits("half a write") ? length / 2 : length);
}

static unsigned stuck_count; /* of calls that fail next */

int ftruncate(int fd, off_t length)
{
	int (*next)(int, off_t);

	*(void **)&next = dlsym(RTLD_NEXT, "ftruncate");
	if (stuck_count > 0) {
		stuck_count--;
		errno = EIO;
		return -1;
	}
	return next(fd, length);
}

/* No test waits for a disk. */
int fsync(int fd)
{
	return fault_hits("fsync") ? -1 : 0;
}

/* Where what is brought to the disk is copied to; "": nowhere. */
static char disk_folder[32];
static unsigned sync_count;

int fdatasync(int fd)
{
	char link[64], path[512] = "";
	const char *slash;

	sync_count++;
	if (fault_hits("fdatasync"))
		return -1;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (disk_folder[0] == '\0' || readlink(link, path, sizeof(path) - 1) < 0)
		return 0;
	slash = strrchr(path, '/');
	path[slash - path] = '\0';
	copy_file(path, disk_folder, slash + 1);
	return 0;
}

int openat(int fd, const char *name, int flags, ...)
{
	int (*next)(int, const char *, int, ...);
	va_list arguments;
	unsigned mode;

	va_start(arguments, flags);
	mode = va_arg(arguments, unsigned);
	va_end(arguments);
	if (fault_hits("openat"))
		return -1;
	*(void **)&next = dlsym(RTLD_NEXT, "openat");
	return next(fd, name, flags, mode);
}

static void *faulty_malloc(size_t bytes)
{
	return fault_hits("malloc") ? NULL : malloc(bytes);
}

#define EVERY UINT32_MAX

static void a_call_that_fails_leaves_the_log_as_it_was_and_the_loss_is_told(void)
{
	static const struct {
		const char *call;
		int error_number;
		uint32_t count;
		const char *advice;
	} calls[] = {
	    {"write", ENOSPC, 3, "make room there"},
	    {"half a write", ENOSPC, 3, "make room there"},
	    {"fdatasync", EIO, 3, "look at the disk and the kernel's log"},
	    /* the head is tried twice, the second time with what it was */
	    {"pwrite", EDQUOT, 5, "make room there"},
	    {"malloc", ENOMEM, EVERY, "give this process more memory"},
	};
	struct audit_state before, after;
	char failure[256];
	struct rig rig;
	json_t *lines;

	json_set_alloc_funcs(faulty_malloc, free);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		rig_open(&rig);
		rig_appends(&rig, AUDIT_login, "waits for the disk");
		audit_state(rig.audit, &before);
		CU_ASSERT_PTR_NULL(audit_failure(rig.audit));
		fault_set(calls[i].call, calls[i].error_number, 0, calls[i].count);
		for (int j = 0; j < 3; j++) {
			rig.now_us += SECOND_US;
			CU_ASSERT_EQUAL(rig_append(&rig, AUDIT_change, "lost"),
			                -calls[i].error_number);
		}
		CU_ASSERT_TRUE(fault_over() || calls[i].count == EVERY);
		fault_clear();
		rig_verifies(&rig);
		audit_state(rig.audit, &after);

		CU_ASSERT_EQUAL(after.seq, before.seq);
		CU_ASSERT_EQUAL(after.bytes, before.bytes);
		CU_ASSERT_EQUAL(after.lost_count, 3);
		CU_ASSERT_STRING_EQUAL(after.hash, before.hash);
		snprintf(failure, sizeof(failure),
		         "the audit log in %s cannot be written (%s) and lacks 3 lines: %s",
		         rig.folder, strerror(calls[i].error_number), calls[i].advice);
		CU_ASSERT_PTR_NOT_NULL_FATAL(audit_failure(rig.audit));
		CU_ASSERT_STRING_EQUAL(audit_failure(rig.audit), failure);
		rig.now_us += SECOND_US;
		rig_appends(&rig, AUDIT_change, "x");
		CU_ASSERT_PTR_NULL(audit_failure(rig.audit));
		rig_verifies(&rig);
		lines = all_lines(rig.folder);
		CU_ASSERT_EQUAL(json_array_size(lines), 4);
		CU_ASSERT_STRING_EQUAL(text_at(lines, 2, "action"), "audit.lost");
		CU_ASSERT_STRING_EQUAL(text_at(lines, 2, "result"), "failed");
		CU_ASSERT_STRING_EQUAL(text_at(lines, 2, "reason"),
		                       strerror(calls[i].error_number));
		CU_ASSERT_EQUAL(number_at(lines, 2, "count"), 3);
		CU_ASSERT_STRING_EQUAL(
		    json_string_value(json_object_get(
		        json_object_get(json_array_get(lines, 2), "after"), "first")),
		    "2026-11-28T00:00:01.000000Z");
		CU_ASSERT_STRING_EQUAL(
		    json_string_value(json_object_get(
		        json_object_get(json_array_get(lines, 2), "after"), "last")),
		    "2026-11-28T00:00:03.000000Z");
		json_decref(lines);
		rig_close(&rig);
	}
	json_set_alloc_funcs(malloc, free);
}

static void without_memory_at_any_point_a_line_is_there_or_not(void)
{
	struct rig rig;
	uint64_t lost_count = 0;
	struct audit_state state;

	json_set_alloc_funcs(faulty_malloc, free);
	rig_open(&rig);
	for (uint32_t skip_count = 0; skip_count < 100; skip_count++) {
		fault_set("malloc", ENOMEM, skip_count, 1);
		if (rig_append(&rig, AUDIT_change, "x") < 0)
			lost_count++;
		fault_clear();
		rig_verifies(&rig);
	}
	CU_ASSERT_TRUE(lost_count > 10 && lost_count < 90);
	audit_state(rig.audit, &state);
	CU_ASSERT_EQUAL(state.lost_count, lost_count);
	json_set_alloc_funcs(malloc, free);
	rig_close(&rig);
}

static void half_a_line_that_cannot_be_taken_off_is_taken_off_before_the_next(void)
{
	struct audit_state state;
	struct rig rig;
	json_t *lines;
	size_t length;

	rig_open(&rig);
	rig_appends(&rig, AUDIT_change, "x");
	audit_state(rig.audit, &state);
	stuck_count = 2;
	fault_set("half a write", 0, 0, 1);
	CU_ASSERT_EQUAL(rig_append(&rig, AUDIT_change, "y"), -ENOSPC);
	free(file_bytes(rig.folder, "audit.log", &length));
	CU_ASSERT_TRUE(length > state.bytes);
	rig_verifies(&rig); /* it looks as after a crash */
	CU_ASSERT_EQUAL(rig_append(&rig, AUDIT_change, "y"), -EIO);
	CU_ASSERT_EQUAL(stuck_count, 0);
	fault_clear();
	rig_appends(&rig, AUDIT_change, "z");
	rig_verifies(&rig);
	lines = all_lines(rig.folder);
	CU_ASSERT_EQUAL(json_array_size(lines), 4);
	CU_ASSERT_EQUAL(number_at(lines, 2, "count"), 2);
	json_decref(lines);
	rig_close(&rig);
}

static void a_rotation_that_fails_is_tried_again(void)
{
	static const char *const calls[] = {"renameat", "fdatasync", "openat", "fsync", "write"};
	uint64_t first_seqs[4];
	struct rig rig;

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		rig_folder(&rig);
		rig.options.file_bytes_max = 1000;
		rig_open_log(&rig);
		do
			rig_appends(&rig, AUDIT_login, "x");
		while (rig_verify(&rig), rig.verdict.line_count < 4);
		fault_set(calls[i], EIO, 0, 2);
		CU_ASSERT_EQUAL(rig_append(&rig, AUDIT_change, "y"), -EIO);
		CU_ASSERT_EQUAL(rig_append(&rig, AUDIT_change, "y"), -EIO);
		CU_ASSERT_TRUE(fault_over());
		fault_clear();
		/* a file gets its new name when it is on the disk */
		if (i < 2)
			CU_ASSERT_EQUAL(full_files(rig.folder, first_seqs, 4), 0);
		rig_verifies(&rig);
		rig_appends(&rig, AUDIT_change, "z");
		rig_verifies(&rig);
		CU_ASSERT_EQUAL(full_files(rig.folder, first_seqs, 4), 1);
		rig_close(&rig);
	}
}

static void a_log_that_cannot_be_begun_is_refused_and_leaves_nothing_half_made(void)
{
	static const char *const calls[] = {"pwrite", "fdatasync", "renameat", "fsync"};
	struct rig rig;

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		rig_folder(&rig);
		fault_set(calls[i], ENOSPC, 0, 1);
		CU_ASSERT_EQUAL(
		    audit_open(&rig.audit, &rig.options, START_US, rig.error, sizeof(rig.error)),
		    -ENOSPC);
		fault_clear();
		CU_ASSERT_PTR_NOT_NULL(strstr(rig.error,
		                              "cannot be opened (No space left on device)"
		                              ": make room there"));
		CU_ASSERT_FALSE(has_file(rig.folder, "audit.log"));
		CU_ASSERT_FALSE(has_file(rig.folder, "audit.head.new"));
		rig_open_log(&rig);
		rig_verifies(&rig);
		rig_close(&rig);
	}
}

static void a_log_that_never_stands_still_is_not_verified(void)
{
	struct rig rig;

	rig_write(&rig, 3);
	fault_set("fstatat", ENOENT, 0, 3);
	rig_verifies(&rig);
	fault_set("fstatat", ENOENT, 0, EVERY);
	CU_ASSERT_EQUAL(rig_verify(&rig), -EAGAIN);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.fault, "it is written to all the time"));
	fault_clear();
	rig_close(&rig);
}

static void a_file_that_goes_while_it_is_looked_for_is_no_beginning(void)
{
	struct rig rig;

	rig_write_files(&rig, 0, 10);
	fault_set("openat", ENOENT, 3, 1); /* after audit.log, the directory and audit.head */
	CU_ASSERT_EQUAL(rig_verify(&rig), -ESTALE);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.fault, "it was deleted while the log was read"));
	fault_set("openat", ENOENT, 3, 1);
	CU_ASSERT_EQUAL(
	    audit_open(&rig.audit, &rig.options, START_US, rig.error, sizeof(rig.error)), -ESTALE);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.error, "do it again"));
	fault_clear();
	rig_open_log(&rig);
	rig_verifies(&rig);
	rig_close(&rig);
}

static void a_log_opens_on_a_full_disk_and_says_that_it_is(void)
{
	struct rig rig;
	json_t *lines;

	rig_open(&rig);
	rig_close_log(&rig);
	fault_set("write", ENOSPC, 0, 2);
	rig_open_log(&rig);
	CU_ASSERT_PTR_NOT_NULL(audit_failure(rig.audit));
	sync_count = 0;
	audit_tick(rig.audit, rig.now_us);
	CU_ASSERT_PTR_NOT_NULL(audit_failure(rig.audit));
	CU_ASSERT_EQUAL(sync_count, 2); /* of lines that the process before may have left */
	CU_ASSERT_TRUE(fault_over());
	fault_clear();
	/* nobody has to do anything for it to be noticed that there is room */
	audit_tick(rig.audit, rig.now_us);
	CU_ASSERT_PTR_NULL(audit_failure(rig.audit));
	lines = all_lines(rig.folder);
	CU_ASSERT_STRING_EQUAL(text_at(lines, 2, "action"), "audit.lost");
	CU_ASSERT_EQUAL(json_array_size(lines), 3);
	json_decref(lines);
	rig_close(&rig);
}

static void logins_and_reads_wait_for_the_disk_and_all_else_does_not(void)
{
	struct rig rig;

	rig_open(&rig);
	for (int kind = 0; kind < AUDIT_KIND_COUNT; kind++) {
		bool waits = kind == AUDIT_login || kind == AUDIT_read;

		sync_count = 0;
		rig_appends(&rig, (enum audit_kind)kind, "x");
		CU_ASSERT_EQUAL(sync_count, waits ? 0 : 2); /* the line, and the head */
		sync_count = 0;
		audit_tick(rig.audit, rig.now_us);
		CU_ASSERT_EQUAL(sync_count, waits ? 2 : 0);
	}
	rig_appends(&rig, AUDIT_login, "x");
	fault_set("fdatasync", EIO, 0, 1);
	audit_tick(rig.audit, rig.now_us);
	CU_ASSERT_PTR_NOT_NULL_FATAL(audit_failure(rig.audit));
	CU_ASSERT_PTR_NOT_NULL(strstr(audit_failure(rig.audit), "may lack its newest lines"));
	audit_tick(rig.audit, rig.now_us);
	CU_ASSERT_PTR_NULL(audit_failure(rig.audit));
	fault_clear();
	rig_close(&rig);
}

/* What was brought to the disk is there, and of the rest any part. */
static void after_a_power_cut_the_log_is_as_it_was_written(void)
{
	uint64_t random = 4711;
	struct rig rig, cut;

	rig_folder(&cut);
	rig_folder(&rig);
	snprintf(disk_folder, sizeof(disk_folder), "%s", cut.folder);
	rig_open_log(&rig);
	for (int i = 0; i < 200; i++) {
		uint64_t acknowledged;
		struct rig after;
		struct audit_state state;

		if (next_random(&random) % 8 == 0)
			audit_tick(rig.audit, rig.now_us);
		rig_appends(&rig, next_random(&random) % 3 == 0 ? AUDIT_change : AUDIT_login, "x");
		rig_verify_folder(&cut, cut.folder);
		acknowledged = cut.verdict.last_seq;
		rig_folder(&after);
		copy_folder(cut.folder, after.folder);
		if (next_random(&random) % 2 == 0) {
			size_t least, length;
			char *bytes;

			free(file_bytes(cut.folder, "audit.log", &least));
			bytes = file_bytes(rig.folder, "audit.log", &length);
			length = least + next_random(&random) % (length - least + 1);
			set_file(after.folder, "audit.log", bytes, length);
			free(bytes);
		}
		disk_folder[0] = '\0';
		rig_verifies(&after);
		CU_ASSERT_TRUE(after.verdict.last_seq >= acknowledged);
		rig_open_log(&after);
		audit_state(after.audit, &state);
		CU_ASSERT_TRUE(state.seq > acknowledged);
		rig_verifies(&after);
		rig_close(&after);
		snprintf(disk_folder, sizeof(disk_folder), "%s", cut.folder);
	}
	disk_folder[0] = '\0';
	rig_close(&rig);
	rig_close(&cut);
}

/* Appends, ticks, restarts, and copies as a crash leaves them, while calls fail at random: in the
 * log is what was said to be there, once and in order, and nothing else. */
static void what_was_acknowledged_is_there_whatever_fails(uint64_t seed)
{
	static const char *const calls[] = {"write",    "half a write", "fdatasync", "pwrite",
	                                    "renameat", "openat",       "fsync",     "unlinkat"};
	uint64_t random = seed * 0x9e3779b97f4a7c15u, acknowledged[200];
	size_t count = 0, found = 0;
	struct rig rig;
	char target[32];
	json_t *lines;

	rig_folder(&rig);
	rig.options.file_bytes_max = 500 + next_random(&random) % 5000;
	rig_open_log(&rig);
	for (uint64_t i = 0; i < 200; i++) {
		uint64_t dice = next_random(&random);

		if (dice % 4 == 0)
			fault_set(calls[(dice >> 8) % 8], EIO, (uint32_t)(dice >> 16) % 3,
			          (uint32_t)(dice >> 24) % 5);
		if (dice % 5 == 0)
			audit_tick(rig.audit, rig.now_us);
		snprintf(target, sizeof(target), "%" PRIu64, i);
		if (rig_append(&rig, dice % 3 == 0 ? AUDIT_change : AUDIT_login, target) == 0)
			acknowledged[count++] = i;
		if ((dice >> 32) % 16 == 0) {
			fault_clear();
			rig_verifies(&rig);
			rig_close_log(&rig);
			rig_open_log(&rig);
		}
	}
	fault_clear();
	rig_verifies(&rig);
	lines = all_lines(rig.folder);
	for (size_t i = 0; i < json_array_size(lines); i++)
		if (strcmp(text_at(lines, i, "action"), "config.set") == 0) {
			uint64_t id = strtoull(text_at(lines, i, "target"), NULL, 10);

			if (found >= count || acknowledged[found] != id)
				printf("\nseed %" PRIu64 ": line %zu\n", seed, i);
			CU_ASSERT_TRUE_FATAL(found < count);
			CU_ASSERT_EQUAL(acknowledged[found], id);
			found++;
		}
	CU_ASSERT_EQUAL(found, count);
	json_decref(lines);
	rig_close(&rig);
}

static void what_was_acknowledged_is_there_for_many_seeds(void)
{
	for (uint64_t seed = 1; seed <= 60; seed++)
		what_was_acknowledged_is_there_whatever_fails(seed);
}

static void a_log_that_is_written_to_verifies_at_any_moment(void)
{
	struct rig rig;
	int status;
	pid_t child;

	rig_folder(&rig);
	rig.options.file_bytes_max = 10000;
	rig_open_log(&rig);
	child = fork();
	CU_ASSERT_TRUE_FATAL(child >= 0);
	if (child == 0) {
		for (uint64_t i = 0; i < 1000; i++)
			if (rig_append(&rig, i % 3 == 0 ? AUDIT_change : AUDIT_login, "x") < 0)
				_exit(1);
		_exit(0);
	}
	do
		rig_verifies(&rig);
	while (waitpid(child, &status, WNOHANG) == 0);
	CU_ASSERT_EQUAL(status, 0);
	rig_verifies(&rig);
	CU_ASSERT_TRUE(rig.verdict.last_seq > 1000);
	/* the child's */
	empty_folder(rig.folder);
	rig_close(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"a call that fails leaves the log as it was, and the loss is told",
	     a_call_that_fails_leaves_the_log_as_it_was_and_the_loss_is_told},
	    {"without memory at any point, a line is there or not",
	     without_memory_at_any_point_a_line_is_there_or_not},
	    {"half a line that cannot be taken off is taken off before the next",
	     half_a_line_that_cannot_be_taken_off_is_taken_off_before_the_next},
	    {"a rotation that fails is tried again", a_rotation_that_fails_is_tried_again},
	    {"a log that cannot be begun is refused, and leaves nothing half made",
	     a_log_that_cannot_be_begun_is_refused_and_leaves_nothing_half_made},
	    {"a log that never stands still is not verified",
	     a_log_that_never_stands_still_is_not_verified},
	    {"a file that goes while it is looked for is no beginning",
	     a_file_that_goes_while_it_is_looked_for_is_no_beginning},
	    {"a log opens on a full disk, and says that it is",
	     a_log_opens_on_a_full_disk_and_says_that_it_is},
	    {"logins and reads wait for the disk, and all else does not",
	     logins_and_reads_wait_for_the_disk_and_all_else_does_not},
	    {"after a power cut the log is as it was written",
	     after_a_power_cut_the_log_is_as_it_was_written},
	    {"what was acknowledged is there, whatever fails",
	     what_was_acknowledged_is_there_for_many_seeds},
	    {"a log that is written to verifies at any moment",
	     a_log_that_is_written_to_verifies_at_any_moment},
	};

	return UNIT_RUN("audit_disk", cases);
}
