/* SPDX-License-Identifier: Apache-2.0 */
/* A folder for a test's files, which goes with all that is in it. */
#pragma once

#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_PATH_BYTES 128

struct folder {
	char path[32];
	bool is_mounted;
};

static inline void folder_make(struct folder *folder)
{
	*folder = (struct folder){.path = "/tmp/kante-test-XXXXXX"};
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder->path));
}

/* Files that are there; removes them, too, if that is wanted. */
static inline uint32_t folder_count(const struct folder *folder, bool remove_them)
{
	DIR *directory = opendir(folder->path);
	struct dirent *entry;
	uint32_t count = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(directory);
	while ((entry = readdir(directory)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (remove_them)
			unlinkat(dirfd(directory), entry->d_name, 0);
		count++;
	}
	closedir(directory);
	return count;
}

static inline void folder_remove(struct folder *folder)
{
	if (folder->is_mounted)
		umount(folder->path);
	folder_count(folder, true);
	rmdir(folder->path);
}

/* Mounts a file system of its own there, which nobody else sees. False: this user may not. */
static inline bool folder_mount(struct folder *folder, const char *options)
{
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", folder->path, "tmpfs", 0, options) < 0) {
		printf("(not looked at: no mounts for this user) ");
		return false;
	}
	folder->is_mounted = true;
	return true;
}

static inline void folder_file(const struct folder *folder, char ret_path[FOLDER_PATH_BYTES],
                               const char *name)
{
	snprintf(ret_path, FOLDER_PATH_BYTES, "%s/%s", folder->path, name);
}

static inline void file_put(const char *path, const void *bytes, size_t length, mode_t mode)
{
	FILE *file = fopen(path, "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT_EQUAL(fwrite(bytes, 1, length, file), length);
	fclose(file);
	CU_ASSERT_EQUAL(chmod(path, mode), 0);
}

/* A NUL behind its end; the caller's to free. Empty when there is no such file. */
static inline char *file_get(const char *path, size_t *ret_length)
{
	FILE *file = fopen(path, "r");
	long bytes = 0;
	char *text;

	if (file != NULL) {
		fseek(file, 0, SEEK_END);
		bytes = ftell(file);
		rewind(file);
	}
	text = calloc(1, (size_t)bytes + 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	if (file != NULL) {
		CU_ASSERT_EQUAL(fread(text, 1, (size_t)bytes, file), (size_t)bytes);
		fclose(file);
	}
	if (ret_length != NULL)
		*ret_length = (size_t)bytes;
	return text;
}
