/* SPDX-License-Identifier: Apache-2.0 */
#include "config/write.h"

#include "config/faults.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_all(int fd, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t n = write(fd, text, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		length -= (size_t)n;
	}
	return 0;
}

/* A file of root's stays root's only if it is root who writes. */
static int take_over(int fd, const struct stat *old)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return -errno;
	if ((status.st_uid != old->st_uid || status.st_gid != old->st_gid) &&
	    fchown(fd, old->st_uid, old->st_gid) < 0)
		return -errno;
	/* after the owner, a change of whom takes bits off */
	return fchmod(fd, old->st_mode & 07777) < 0 ? -errno : 0;
}

static int sync_folder(char *path)
{
	int fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 || fsync(fd) < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return r;
}

/* Into a new file, which is whole and on the disk, or not there at all. */
static int write_new(char *temporary, const struct stat *old, const char *text, size_t length)
{
	int fd = mkostemp(temporary, O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = write_all(fd, text, length);
	if (r == 0)
		r = take_over(fd, old);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r < 0)
		unlink(temporary);
	return r;
}

static const char *reason_of(int error_number)
{
	switch (error_number) {
	case ENOENT: return "there is no such file: check the path";
	case EACCES:
	case EPERM: return "no permission: kanted's user has to own it and its folder (chown)";
	case EROFS: return "the file system is read-only: mount it for writing";
	case ENOSPC:
	case EDQUOT: return "the disk is full: make room";
	case EBUSY: return "it is mounted as a single file: mount its folder instead";
	case ENXIO: return "not a regular file: give the path of one";
	default: return strerror(error_number);
	}
}

int config_write_file(const char *path, const char *text, size_t length, char *error,
                      size_t error_bytes)
{
	char real[PATH_MAX], temporary[PATH_MAX + 8];
	struct faults faults;
	struct stat status;
	int r = 0;

	faults_create(&faults, path, error, error_bytes);
	if (realpath(path, real) == NULL || stat(real, &status) < 0)
		r = -errno;
	else if (!S_ISREG(status.st_mode))
		r = -ENXIO;
	if (r < 0)
		goto fail;
	snprintf(temporary, sizeof(temporary), "%s.XXXXXX", real);
	r = write_new(temporary, &status, text, length);
	if (r < 0)
		goto fail;
	if (rename(temporary, real) < 0) {
		r = -errno;
		unlink(temporary);
		goto fail;
	}
	r = sync_folder(real);
	if (r < 0)
		faults_add(&faults, 0, "",
		           "written, but a crash may bring the old one back (%s): write it again",
		           strerror(-r));
	return r;
fail:
	faults_add(&faults, 0, "", "not written, it is as it was: %s", reason_of(-r));
	return r;
}
