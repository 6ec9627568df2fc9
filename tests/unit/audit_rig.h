/* SPDX-License-Identifier: Apache-2.0 */
/* An audit log in a folder of its own, and what tests do to its files. */
#pragma once

#include "control/audit.h"
#include "control/audit_verify.h"
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef AUDIT_RIG_OWN_DISK
/* No test waits for a disk, unless it is about that. */
int fdatasync(int fd)
{
	return 0;
}

int fsync(int fd)
{
	return 0;
}
#endif

#define START_US    1795824000000000u /* 2026-11-28T00:00:00Z */
#define SECOND_US   1000000u
#define ERROR_BYTES 1024
#define FAULT_BYTES 300

struct rig {
	char folder[32];
	struct audit_options options;
	struct audit *audit;
	uint64_t now_us;
	char error[ERROR_BYTES];
	struct audit_verdict verdict;
	char fault[FAULT_BYTES]; /* the first of the last verification */
};

static inline void rig_open_log(struct rig *rig)
{
	int r = audit_open(&rig->audit, &rig->options, rig->now_us, rig->error, sizeof(rig->error));

	if (r != 0)
		printf("\n%s\n", rig->error);
	CU_ASSERT_EQUAL_FATAL(r, 0);
	CU_ASSERT_STRING_EQUAL(rig->error, "");
}

static inline void rig_close_log(struct rig *rig)
{
	audit_close(rig->audit);
	rig->audit = NULL;
}

static inline void rig_folder(struct rig *rig)
{
	*rig = (struct rig){.folder = "/tmp/kante-audit-XXXXXX", .now_us = START_US};
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(rig->folder));
	rig->options = (struct audit_options){.directory = rig->folder, .file_bytes_max = 1 << 20};
}

static inline void rig_open(struct rig *rig)
{
	rig_folder(rig);
	rig_open_log(rig);
}

/* A file's path, in one of two buffers. */
static inline const char *path_of(const char *folder, const char *name)
{
	static char paths[2][512];
	static unsigned next;
	char *path = paths[next++ % 2];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static inline void empty_folder(const char *folder)
{
	DIR *directory = opendir(folder);
	const struct dirent *entry;

	CU_ASSERT_PTR_NOT_NULL_FATAL(directory);
	while ((entry = readdir(directory)) != NULL)
		if (entry->d_name[0] != '.')
			unlink(path_of(folder, entry->d_name));
	closedir(directory);
}

static inline void rig_close(struct rig *rig)
{
	rig_close_log(rig);
	empty_folder(rig->folder);
	rmdir(rig->folder);
}

/* To be free()d; ends in NUL. */
static inline char *file_bytes(const char *folder, const char *name, size_t *ret_length)
{
	int fd = open(path_of(folder, name), O_RDONLY);
	struct stat status;
	char *bytes;

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL_FATAL(fstat(fd, &status), 0);
	bytes = malloc((size_t)status.st_size + 1);
	CU_ASSERT_EQUAL_FATAL(pread(fd, bytes, (size_t)status.st_size, 0), status.st_size);
	bytes[status.st_size] = '\0';
	close(fd);
	if (ret_length != NULL)
		*ret_length = (size_t)status.st_size;
	return bytes;
}

static inline void set_file(const char *folder, const char *name, const char *bytes, size_t length)
{
	int fd;

	unlink(path_of(folder, name));
	fd = open(path_of(folder, name), O_WRONLY | O_CREAT | O_EXCL, 0600);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL_FATAL(pwrite(fd, bytes, length, 0), (ssize_t)length);
	close(fd);
}

static inline void copy_file(const char *from, const char *to, const char *name)
{
	size_t length;
	char *bytes = file_bytes(from, name, &length);

	set_file(to, name, bytes, length);
	free(bytes);
}

/* `to` has what `from` has, and nothing else. */
static inline void copy_folder(const char *from, const char *to)
{
	DIR *directory = opendir(from);
	const struct dirent *entry;

	empty_folder(to);
	CU_ASSERT_PTR_NOT_NULL_FATAL(directory);
	while ((entry = readdir(directory)) != NULL)
		if (entry->d_name[0] != '.')
			copy_file(from, to, entry->d_name);
	closedir(directory);
}

/* First lines of full files, in order; returns how many there are. */
static inline size_t full_files(const char *folder, uint64_t *first_seqs, size_t count_max)
{
	struct dirent **entries;
	int count = scandir(folder, &entries, NULL, alphasort);
	size_t used = 0;

	CU_ASSERT_TRUE_FATAL(count >= 0);
	for (int i = 0; i < count; i++) {
		if (used < count_max &&
		    sscanf(entries[i]->d_name, "audit-%" SCNu64 ".log", &first_seqs[used]) == 1)
			used++;
		free(entries[i]);
	}
	free(entries);
	return used;
}

static inline const char *full_name(uint64_t first_seq)
{
	static char name[64];

	snprintf(name, sizeof(name), "audit-%012" PRIu64 ".log", first_seq);
	return name;
}

static inline bool has_file(const char *folder, const char *name)
{
	return access(path_of(folder, name), F_OK) == 0;
}

static inline void keep_first_fault(void *context, const char *fault)
{
	struct rig *rig = context;

	if (rig->fault[0] == '\0')
		snprintf(rig->fault, sizeof(rig->fault), "%s", fault);
}

static inline int rig_verify_folder(struct rig *rig, const char *folder)
{
	rig->fault[0] = '\0';
	return audit_verify(folder, &rig->verdict, keep_first_fault, rig);
}

static inline int rig_verify(struct rig *rig)
{
	return rig_verify_folder(rig, rig->folder);
}

static inline void rig_verifies(struct rig *rig)
{
	int r = rig_verify(rig);

	if (r != 0)
		printf("\n%s\n", rig->fault);
	CU_ASSERT_EQUAL(r, 0);
	CU_ASSERT_EQUAL(rig->verdict.fault_count, 0);
}

static inline struct identity somebody(const char *name, const char *from)
{
	struct identity who = {.role = ROLE_operator, .credential = CREDENTIAL_certificate};

	snprintf(who.name, sizeof(who.name), "%s", name);
	snprintf(who.credential_id, sizeof(who.credential_id), "0a1b2c");
	snprintf(who.from, sizeof(who.from), "%s", from);
	return who;
}

static inline int rig_append(struct rig *rig, enum audit_kind kind, const char *target)
{
	const struct identity who = somebody("CN=ops", "192.0.2.1:4711");
	const struct audit_event event = {
	    .kind = kind, .action = "config.set", .who = &who, .target = target};

	return audit_append(rig->audit, &event, rig->now_us);
}

static inline void rig_appends(struct rig *rig, enum audit_kind kind, const char *target)
{
	CU_ASSERT_EQUAL(rig_append(rig, kind, target), 0);
}

/* A login that was refused. */
static inline int rig_refuse(struct rig *rig, const char *from, const char *reason)
{
	struct identity who = {.credential = CREDENTIAL_key};
	const struct audit_event event = {.kind = AUDIT_login,
	                                  .result = AUDIT_REFUSED,
	                                  .action = "login",
	                                  .who = &who,
	                                  .reason = reason};

	snprintf(who.from, sizeof(who.from), "%s", from);
	return audit_append(rig->audit, &event, rig->now_us);
}

/* All lines of a folder as an array, to be json_decref()ed. */
static inline bool keep_line(void *context, const json_t *line)
{
	json_array_append(context, (json_t *)(uintptr_t)line);
	return true;
}

static inline json_t *all_lines(const char *folder)
{
	json_t *lines = json_array();

	CU_ASSERT_EQUAL(audit_each(folder, 0, UINT64_MAX, keep_line, NULL, lines), 0);
	return lines;
}

static inline const char *text_at(const json_t *lines, size_t index, const char *name)
{
	const char *text = json_string_value(json_object_get(json_array_get(lines, index), name));

	return text == NULL ? "" : text;
}

static inline uint64_t number_at(const json_t *lines, size_t index, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(json_array_get(lines, index), name));
}

/* A log of one file, closed: started, events, stopped. */
static inline void rig_write(struct rig *rig, int event_count)
{
	char target[32];

	rig_open(rig);
	for (int i = 0; i < event_count; i++) {
		snprintf(target, sizeof(target), "parameter%d", i);
		rig->now_us += SECOND_US;
		rig_appends(rig, i % 3 == 0 ? AUDIT_login : AUDIT_change, target);
	}
	rig_close_log(rig);
}

/* A log of several files. */
static inline void rig_write_files(struct rig *rig, uint64_t kept_count_max, int event_count)
{
	rig_folder(rig);
	rig->options.file_bytes_max = 1500;
	rig->options.kept_count_max = kept_count_max;
	rig_open_log(rig);
	for (int i = 0; i < event_count; i++) {
		rig->now_us += SECOND_US;
		rig_appends(rig, AUDIT_change, "x");
	}
	rig_close_log(rig);
}

/* Verification must find faults, of which the first contains `fault`. */
static inline void found(struct rig *rig, const char *fault)
{
	int r = rig_verify(rig);

	if (r != -EBADMSG || strstr(rig->fault, fault) == NULL)
		printf("\nwant %s\ngot %d: %s\n", fault, r, rig->fault);
	CU_ASSERT_EQUAL(r, -EBADMSG);
	CU_ASSERT_TRUE(rig->verdict.fault_count > 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->fault, fault));
}

/* xorshift64*, from a seed that is printed when something fails. */
static inline uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1du;
}
