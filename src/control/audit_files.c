/* SPDX-License-Identifier: Apache-2.0 */
#include "control/audit_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SNAPSHOT_ATTEMPTS_MAX 1000

void audit_name_format(char ret_name[AUDIT_NAME_BYTES], uint64_t first_seq)
{
	snprintf(ret_name, AUDIT_NAME_BYTES, "audit-%012" PRIu64 ".log", first_seq);
}

static bool name_parse(uint64_t *ret_first_seq, const char *name)
{
	char again[AUDIT_NAME_BYTES];
	uint64_t seq = 0;

	if (sscanf(name, "audit-%19" SCNu64 ".log", &seq) != 1)
		return false;
	audit_name_format(again, seq);
	if (strcmp(again, name) != 0)
		return false;
	*ret_first_seq = seq;
	return true;
}

void audit_head_format(char ret_record[AUDIT_HEAD_BYTES + 1], const struct audit_head *head)
{
	snprintf(ret_record, AUDIT_HEAD_BYTES + 1, "%020" PRIu64 " %64s\n", head->seq, head->hash);
}

int audit_file_open(int *ret_fd, uint64_t *ret_bytes, int directory_fd, const char *name)
{
	/* O_NONBLOCK: a FIFO without a writer must not hang the caller. */
	int fd =
	    openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat status;
	int r = 0;

	if (fd < 0)
		return errno == ELOOP ? -ENXIO : -errno;
	if (fstat(fd, &status) < 0)
		r = -errno;
	else if (!S_ISREG(status.st_mode))
		r = -ENXIO;
	if (r < 0) {
		close(fd);
		return r;
	}
	*ret_fd = fd;
	*ret_bytes = (uint64_t)status.st_size;
	return 0;
}

int audit_head_read(struct audit_head *ret_head, int directory_fd)
{
	char record[AUDIT_HEAD_BYTES + 1] = "", again[AUDIT_HEAD_BYTES + 1];
	struct audit_head head = {0};
	uint64_t bytes;
	ssize_t n;
	int fd;
	int r = audit_file_open(&fd, &bytes, directory_fd, AUDIT_HEAD);

	if (r < 0)
		return r;
	n = pread(fd, record, AUDIT_HEAD_BYTES, 0);
	r = n < 0 ? -errno : 0;
	close(fd);
	if (r < 0)
		return r;
	if (n != AUDIT_HEAD_BYTES || bytes != AUDIT_HEAD_BYTES ||
	    sscanf(record, "%20" SCNu64 " %64[0-9a-f]", &head.seq, head.hash) != 2 ||
	    head.seq > AUDIT_SEQ_MAX)
		return -EBADMSG;
	audit_head_format(again, &head);
	if (strcmp(again, record) != 0)
		return -EBADMSG;
	*ret_head = head;
	return 0;
}

static int compare_seqs(const void *a, const void *b)
{
	uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;

	return (first > second) - (first < second);
}

static int add_seq(uint64_t **seqs, uint32_t *count, uint64_t seq)
{
	uint64_t *more;

	if ((*count & (*count - 1)) == 0) { /* 0 or a power of two: it is full */
		more = realloc(*seqs, (*count == 0 ? 1 : 2 * (size_t)*count) * sizeof(**seqs));
		if (more == NULL)
			return -ENOMEM;
		*seqs = more;
	}
	(*seqs)[(*count)++] = seq;
	return 0;
}

int audit_files_list(uint64_t **ret_first_seqs, uint32_t *ret_count, int directory_fd)
{
	int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	uint64_t *seqs = NULL, seq;
	uint32_t count = 0;
	int r = 0;

	if (directory == NULL) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	while (r == 0) {
		errno = 0; /* as only it tells an error from the end */
		entry = readdir(directory);
		if (entry == NULL) {
			r = -errno;
			break;
		}
		if (name_parse(&seq, entry->d_name))
			r = add_seq(&seqs, &count, seq);
	}
	closedir(directory);
	if (r < 0) {
		free(seqs);
		return r;
	}
	if (count > 1)
		qsort(seqs, count, sizeof(*seqs), compare_seqs);
	*ret_first_seqs = seqs;
	*ret_count = count;
	return 0;
}

static void drop(struct audit_files *files)
{
	if (files->log_fd >= 0)
		close(files->log_fd);
	free(files->first_seqs);
	files->log_fd = -1;
	files->log_bytes = 0;
	files->first_seqs = NULL;
	files->count = 0;
}

/* Whether they are those that were listed. */
static bool are_same(const struct audit_files *files)
{
	uint64_t *first_seqs = NULL;
	uint32_t count = 0;
	bool same = audit_files_list(&first_seqs, &count, files->directory_fd) == 0 &&
	            count == files->count &&
	            (count == 0 ||
	             memcmp(first_seqs, files->first_seqs, count * sizeof(first_seqs[0])) == 0);

	free(first_seqs);
	return same;
}

/* True: audit.log is the file that was opened, and as long; or it was not there, and neither is
 * now nor was in between, when it would be among the full ones. */
static bool stood_still(const struct audit_files *files)
{
	struct stat named, opened;
	bool is_there = fstatat(files->directory_fd, AUDIT_LOG, &named, AT_SYMLINK_NOFOLLOW) == 0;

	if (files->log_fd < 0)
		return !is_there && are_same(files);
	if (!is_there)
		return false;
	return fstat(files->log_fd, &opened) == 0 && named.st_ino == opened.st_ino &&
	       named.st_dev == opened.st_dev && (uint64_t)opened.st_size == files->log_bytes;
}

/* -EAGAIN: something was written meanwhile. */
static int look(struct audit_files *files)
{
	int r = audit_file_open(&files->log_fd, &files->log_bytes, files->directory_fd, AUDIT_LOG);

	if (r < 0 && r != -ENOENT)
		return r;
	r = audit_files_list(&files->first_seqs, &files->count, files->directory_fd);
	if (r < 0)
		return r;
	files->head_result = audit_head_read(&files->head, files->directory_fd);
	if (files->head_result < 0 && files->head_result != -ENOENT &&
	    files->head_result != -EBADMSG)
		return files->head_result;
	return stood_still(files) ? 0 : -EAGAIN;
}

int audit_files_open(struct audit_files *ret_files, const char *directory)
{
	struct audit_files files = {.log_fd = -1};
	int r = -EAGAIN;

	files.directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (files.directory_fd < 0)
		return -errno;
	for (uint32_t i = 0; i < SNAPSHOT_ATTEMPTS_MAX && r == -EAGAIN; i++) {
		drop(&files);
		r = look(&files);
	}
	if (r < 0) {
		audit_files_close(&files);
		return r;
	}
	*ret_files = files;
	return 0;
}

void audit_files_close(struct audit_files *files)
{
	drop(files);
	if (files->directory_fd >= 0)
		close(files->directory_fd);
	files->directory_fd = -1;
}
