/* SPDX-License-Identifier: Apache-2.0 */
#include "config/write.h"

#include "faults.h"
#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

FAULTY(ssize_t, -1, write, (int fd, const void *bytes, size_t length), (fd, bytes, length))
FAULTY(int, -1, fsync, (int fd), (fd))
FAULTY(int, -1, fchown, (int fd, uid_t owner, gid_t group), (fd, owner, group))
FAULTY(int, -1, fchmod, (int fd, mode_t mode), (fd, mode))
FAULTY(int, -1, rename, (const char *from, const char *to), (from, to))
FAULTY(int, -1, mkostemp, (char *name, int flags), (name, flags))

#define OLD         "memory: 64MiB\n"
#define NEW         "memory: 1GiB # more\n"
#define TEXT_BYTES  4096
#define ERROR_BYTES 512

struct rig {
	char folder[32];
	char path[64];
	char error[ERROR_BYTES];
};

static void put(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	fputs(text, file);
	CU_ASSERT_EQUAL(fclose(file), 0);
}

static void rig_open(struct rig *rig)
{
	*rig = (struct rig){.folder = "/tmp/kante-write-XXXXXX"};
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(rig->folder));
	snprintf(rig->path, sizeof(rig->path), "%s/kante.yaml", rig->folder);
	put(rig->path, OLD);
}

static void rig_close(struct rig *rig)
{
	unlink(rig->path);
	CU_ASSERT_EQUAL(rmdir(rig->folder), 0);
}

static int write_new(struct rig *rig)
{
	rig->error[0] = '\0';
	return config_write_file(rig->path, NEW, strlen(NEW), rig->error, sizeof(rig->error));
}

static bool holds(const char *path, const char *text)
{
	char got[TEXT_BYTES] = "";
	FILE *file = fopen(path, "r");

	if (file == NULL)
		return false;
	got[fread(got, 1, sizeof(got) - 1, file)] = '\0';
	fclose(file);
	return strcmp(got, text) == 0;
}

static uint32_t files_in(const char *folder)
{
	DIR *directory = opendir(folder);
	uint32_t count = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(directory);
	for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory))
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count;
}

/* The old file is as it was, and nothing is left beside it. */
static void not_written(struct rig *rig, int r, int error_number, const char *reason)
{
	char wanted[ERROR_BYTES];

	snprintf(wanted, sizeof(wanted), "%s: not written, it is as it was: %s", rig->path, reason);
	if (r != error_number || strcmp(rig->error, wanted) != 0)
		printf("\nwant %d %s\ngot  %d %s\n", error_number, wanted, r, rig->error);
	CU_ASSERT_EQUAL(r, error_number);
	CU_ASSERT_STRING_EQUAL(rig->error, wanted);
	CU_ASSERT_TRUE(holds(rig->path, OLD));
	CU_ASSERT_EQUAL(files_in(rig->folder), 1);
}

static void test_the_new_text_is_there_whole_and_nothing_else(void)
{
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(write_new(&rig), 0);
	CU_ASSERT_STRING_EQUAL(rig.error, "");
	CU_ASSERT_TRUE(holds(rig.path, NEW));
	CU_ASSERT_EQUAL(files_in(rig.folder), 1);
	CU_ASSERT_EQUAL(config_write_file(rig.path, "", 0, rig.error, sizeof(rig.error)), 0);
	CU_ASSERT_TRUE(holds(rig.path, ""));
	rig_close(&rig);
}

static void test_a_write_that_is_cut_short_or_interrupted_goes_on(void)
{
	struct rig rig;

	rig_open(&rig);
	fault_set("write", EINTR, 0, 3);
	CU_ASSERT_EQUAL(write_new(&rig), 0);
	CU_ASSERT_TRUE(fault_over());
	fault_clear();
	CU_ASSERT_TRUE(holds(rig.path, NEW));
	rig_close(&rig);
}

static void test_mode_and_owner_stay(void)
{
	struct stat before, after;
	struct rig rig;

	rig_open(&rig);
	for (mode_t mode = 0600; mode <= 0666; mode += 022) {
		CU_ASSERT_EQUAL(chmod(rig.path, mode), 0);
		if (geteuid() == 0)
			CU_ASSERT_EQUAL(chown(rig.path, 12345, 54321), 0);
		CU_ASSERT_EQUAL(stat(rig.path, &before), 0);
		CU_ASSERT_EQUAL(write_new(&rig), 0);
		CU_ASSERT_EQUAL(stat(rig.path, &after), 0);
		CU_ASSERT_EQUAL(after.st_mode, before.st_mode);
		CU_ASSERT_EQUAL(after.st_uid, before.st_uid);
		CU_ASSERT_EQUAL(after.st_gid, before.st_gid);
		CU_ASSERT_NOT_EQUAL(after.st_ino, before.st_ino);
	}
	rig_close(&rig);
}

static void test_a_symbolic_link_stays_and_what_it_means_is_replaced(void)
{
	struct stat status;
	char link[64], target[64];
	struct rig rig;

	rig_open(&rig);
	snprintf(link, sizeof(link), "%s/link.yaml", rig.folder);
	snprintf(target, sizeof(target), "%s", rig.path);
	CU_ASSERT_EQUAL(symlink("kante.yaml", link), 0);
	snprintf(rig.path, sizeof(rig.path), "%s", link);
	CU_ASSERT_EQUAL(write_new(&rig), 0);
	CU_ASSERT_EQUAL(lstat(link, &status), 0);
	CU_ASSERT_TRUE(S_ISLNK(status.st_mode));
	CU_ASSERT_TRUE(holds(target, NEW));
	CU_ASSERT_EQUAL(files_in(rig.folder), 2);
	unlink(target);
	CU_ASSERT_EQUAL(write_new(&rig), -ENOENT);
	rig_close(&rig);
}

static void test_what_is_no_file_is_not_written(void)
{
	struct rig rig;

	rig_open(&rig);
	unlink(rig.path);
	CU_ASSERT_EQUAL(write_new(&rig), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.error, "there is no such file: check the path"));
	CU_ASSERT_EQUAL(files_in(rig.folder), 0);
	CU_ASSERT_EQUAL(mkdir(rig.path, 0700), 0);
	CU_ASSERT_EQUAL(write_new(&rig), -ENXIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.error, "not a regular file: give the path of one"));
	rmdir(rig.path);
	CU_ASSERT_EQUAL(mkfifo(rig.path, 0600), 0);
	CU_ASSERT_EQUAL(write_new(&rig), -ENXIO);
	rig_close(&rig);
}

static void test_whatever_goes_wrong_leaves_the_old_file_and_no_other(void)
{
	static const struct {
		const char *call;
		int error_number;
		const char *reason;
	} faults[] = {
	    {"mkostemp", EACCES,
	     "no permission: kanted's user has to own it and its folder (chown)"},
	    {"mkostemp", EROFS, "the file system is read-only: mount it for writing"},
	    {"write", ENOSPC, "the disk is full: make room"},
	    {"write", EDQUOT, "the disk is full: make room"},
	    {"write", EIO, "Input/output error"},
	    {"fchmod", EPERM, "no permission: kanted's user has to own it and its folder (chown)"},
	    {"fsync", EIO, "Input/output error"},
	    {"rename", EBUSY, "it is mounted as a single file: mount its folder instead"},
	};
	struct rig rig;

	rig_open(&rig);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		int r;

		fault_set(faults[i].call, faults[i].error_number, 0, 1);
		r = write_new(&rig);
		CU_ASSERT_TRUE(fault_over());
		fault_clear();
		not_written(&rig, r, -faults[i].error_number, faults[i].reason);
	}
	rig_close(&rig);
}

static void test_who_cannot_keep_the_owner_does_not_write(void)
{
	struct rig rig;
	int r;

	if (geteuid() != 0)
		return;
	rig_open(&rig);
	CU_ASSERT_EQUAL(chown(rig.path, 12345, 54321), 0);
	fault_set("fchown", EPERM, 0, 1);
	r = write_new(&rig);
	fault_clear();
	not_written(&rig, r, -EPERM,
	            "no permission: kanted's user has to own it and its folder (chown)");
	rig_close(&rig);
}

static void test_a_folder_that_is_not_on_the_disk_is_told(void)
{
	struct rig rig;

	rig_open(&rig);
	fault_set("fsync", EIO, 1, 1);
	CU_ASSERT_EQUAL(write_new(&rig), -EIO);
	fault_clear();
	CU_ASSERT_TRUE(holds(rig.path, NEW));
	CU_ASSERT_PTR_NOT_NULL(strstr(rig.error, ": written, but a crash may bring the old one "
	                                         "back (Input/output error): write it again"));
	rig_close(&rig);
}

/* In a mount namespace of its own; exits with 0 if all was as it is to be. */
static void write_to_full_disk(const char *folder)
{
	char path[64], error[ERROR_BYTES], *text = calloc(1, 64 * 1024 + 1);
	size_t length = 64 * 1024;
	bool is_good;

	if (unshare(CLONE_NEWNS) < 0 || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", folder, "tmpfs", 0, "size=32k") < 0)
		_exit(2);
	snprintf(path, sizeof(path), "%s/kante.yaml", folder);
	put(path, OLD);
	memset(text, '#', length);
	is_good = config_write_file(path, text, length, error, sizeof(error)) == -ENOSPC &&
	          strstr(error, "the disk is full: make room") != NULL && holds(path, OLD) &&
	          files_in(folder) == 1;
	if (mount("", folder, NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
		_exit(2);
	is_good &= config_write_file(path, NEW, strlen(NEW), error, sizeof(error)) == -EROFS &&
	           strstr(error, "read-only: mount it for writing") != NULL && holds(path, OLD);
	free(text);
	_exit(is_good ? 0 : 1);
}

static void test_a_disk_that_is_full_or_read_only_keeps_the_old_file(void)
{
	struct rig rig;
	pid_t child;
	int status;

	if (geteuid() != 0)
		return; /* no namespaces of one's own */
	rig_open(&rig);
	child = fork();
	CU_ASSERT_TRUE_FATAL(child >= 0);
	if (child == 0)
		write_to_full_disk(rig.folder);
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT_TRUE(WIFEXITED(status));
	CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
	rig_close(&rig);
}

static const struct unit_case cases[] = {
    {"the new text is there whole and nothing else",
     test_the_new_text_is_there_whole_and_nothing_else},
    {"a write that is cut short or interrupted goes on",
     test_a_write_that_is_cut_short_or_interrupted_goes_on},
    {"mode and owner stay", test_mode_and_owner_stay},
    {"a symbolic link stays, and what it means is replaced",
     test_a_symbolic_link_stays_and_what_it_means_is_replaced},
    {"what is no file is not written", test_what_is_no_file_is_not_written},
    {"whatever goes wrong leaves the old file and no other",
     test_whatever_goes_wrong_leaves_the_old_file_and_no_other},
    {"who cannot keep the owner does not write", test_who_cannot_keep_the_owner_does_not_write},
    {"a folder that is not on the disk is told", test_a_folder_that_is_not_on_the_disk_is_told},
    {"a disk that is full or read-only keeps the old file",
     test_a_disk_that_is_full_or_read_only_keeps_the_old_file},
};

int main(void)
{
	return UNIT_RUN("write", cases);
}
