/* SPDX-License-Identifier: Apache-2.0 */
#include "control/private_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void add_fault(struct faults *faults, int error_number)
{
	const char *advice;

	switch (error_number) {
	case EACCES:
	case EPERM: advice = "check its owner and mode, and its folder's"; break;
	case ENOSPC:
	case EDQUOT: advice = "make room on the disk and try again"; break;
	case EROFS: advice = "put it where it can be written"; break;
	case EISDIR:
	case ENOTDIR:
	case ENAMETOOLONG:
	case ELOOP: advice = "check the path"; break;
	case ENOMEM:
	case EMFILE:
	case ENFILE: advice = "try again"; break;
	default: advice = "see what the kernel's log says of the disk"; break;
	}
	faults_add(faults, 0, "", "%s: %s", strerror(error_number), advice);
}

/* Why others could change what is in it, or NULL. */
static const char *openness(const struct stat *status, bool is_secret)
{
	mode_t writable = S_IWGRP | S_IWOTH;

	if (S_ISDIR(status->st_mode) && (status->st_mode & S_ISVTX) != 0)
		writable = 0;
	if (status->st_uid != 0 && status->st_uid != geteuid())
		return "belongs to another user: chown it to root or to Kante's user";
	if ((status->st_mode & writable) != 0)
		return "may be written by others: chmod go-w";
	if (is_secret && (status->st_mode & S_IRWXO) != 0)
		return "a secret that others may read: chmod o-rwx, and best make a new one";
	return NULL;
}

/* Opens the folder that the file of that path is in. A file descriptor or a negative errno, which
 * is then a fault, too. */
static int folder_open(const char **ret_name, const char *path, struct faults *faults)
{
	const char *slash = strrchr(path, '/'), *reason;
	size_t length = slash == NULL ? 0 : (size_t)(slash - path) + 1;
	char folder[PATH_MAX] = ".";
	struct stat status;
	int fd = -1, r;

	if (length >= sizeof(folder)) {
		r = -ENAMETOOLONG;
		goto fail;
	}
	if (length > 0) {
		memcpy(folder, path, length);
		folder[length] = '\0';
	}
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) < 0) {
		r = -errno;
		goto fail;
	}
	reason = openness(&status, false);
	if (reason != NULL) {
		faults_add(faults, 0, "", "its folder %s", reason);
		close(fd);
		return -EPERM;
	}
	*ret_name = path + length;
	return fd;
fail:
	if (fd >= 0)
		close(fd);
	/* -ENOENT is for a file that is not there */
	if (r == -ENOENT) {
		faults_add(faults, 0, "", "there is no such folder: make it, or check the path");
		return -ENOTDIR;
	}
	add_fault(faults, -r);
	return r;
}

/* 0 with its length, or a negative errno, which is then a fault, too. */
static int check(int fd, size_t *ret_length, size_t bytes_max, bool is_secret,
                 struct faults *faults)
{
	const char *reason;
	struct stat status;
	int r;

	if (fstat(fd, &status) < 0) {
		r = -errno;
		add_fault(faults, -r);
		return r;
	}
	if (!S_ISREG(status.st_mode)) {
		faults_add(faults, 0, "", "not a regular file: give the path of one");
		return -ENXIO;
	}
	reason = openness(&status, is_secret);
	if (reason != NULL) {
		faults_add(faults, 0, "", "%s", reason);
		return -EPERM;
	}
	if ((uint64_t)status.st_size > bytes_max) {
		faults_add(faults, 0, "", "larger than %zu KiB: this is no file of ours",
		           bytes_max / 1024);
		return -EFBIG;
	}
	*ret_length = (size_t)status.st_size;
	return 0;
}

static int read_whole(int fd, char **ret_text, size_t length)
{
	char *text = malloc(length + 1);
	size_t at = 0;
	ssize_t n = 1;
	int r;

	if (text == NULL)
		return -ENOMEM;
	while (at < length && n > 0) {
		n = read(fd, text + at, length - at);
		if (n > 0)
			at += (size_t)n;
	}
	if (at < length) { /* whoever has written it has cut it in the meantime */
		r = n < 0 ? -errno : -EIO;
		private_file_release(text, at);
		return r;
	}
	text[length] = '\0';
	*ret_text = text;
	return 0;
}

int private_file_read(char **ret_text, size_t *ret_length, const char *path, size_t bytes_max,
                      bool is_secret, struct faults *faults)
{
	const char *name;
	size_t length = 0;
	int folder_fd = folder_open(&name, path, faults);
	int fd, r;

	if (folder_fd < 0)
		return folder_fd;
	/* O_NONBLOCK: a FIFO without a writer must not hang the caller. */
	fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	r = fd < 0 ? -errno : 0;
	close(folder_fd);
	if (fd < 0) {
		if (r != -ENOENT)
			add_fault(faults, -r);
		return r;
	}
	r = check(fd, &length, bytes_max, is_secret, faults);
	if (r == 0) {
		r = read_whole(fd, ret_text, length);
		if (r < 0)
			add_fault(faults, -r);
		else
			*ret_length = length;
	}
	close(fd);
	return r;
}

void private_file_release(char *text, size_t length)
{
	if (text != NULL)
		explicit_bzero(text, length);
	free(text);
}

static int write_whole(int fd, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t n = write(fd, text, length);

		if (n < 0)
			return -errno;
		text += n;
		length -= (size_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

/* Writes the file `name` and nothing else. 0 or a negative errno. */
static int write_new(int folder_fd, const char *name, const char *text, size_t length)
{
	/* O_EXCL: no link of another's is followed; what a crash has left goes first */
	int fd, r;

	if (unlinkat(folder_fd, name, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(folder_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = write_whole(fd, text, length);
	if (close(fd) < 0 && r == 0)
		r = -errno;
	return r;
}

int private_file_write(const char *path, const char *text, size_t length, struct faults *faults)
{
	const char *name;
	char new_name[NAME_MAX + 1];
	int folder_fd = folder_open(&name, path, faults);
	int r;

	if (folder_fd < 0)
		return folder_fd;
	if ((size_t)snprintf(new_name, sizeof(new_name), "%s.new", name) >= sizeof(new_name)) {
		r = -ENAMETOOLONG;
		goto finish;
	}
	r = write_new(folder_fd, new_name, text, length);
	if (r == 0 && renameat(folder_fd, new_name, folder_fd, name) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(folder_fd, new_name, 0); /* or it was never made */
	else if (fsync(folder_fd) < 0)
		r = -errno;
finish:
	close(folder_fd);
	if (r < 0)
		add_fault(faults, -r);
	return r;
}
