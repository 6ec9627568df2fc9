/* SPDX-License-Identifier: Apache-2.0 */
#include "config/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_kind(int fd, size_t bytes_max)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return -errno;
	if (S_ISDIR(status.st_mode))
		return -EISDIR;
	if (!S_ISREG(status.st_mode))
		return -ENXIO;
	return (uint64_t)status.st_size > bytes_max ? -EFBIG : 0;
}

/* Room for one byte more than is allowed shows a file that grew after fstat(). */
static int read_whole(int fd, char **ret_text, size_t *ret_length, size_t bytes_max)
{
	char *text = malloc(bytes_max + 2);
	size_t length = 0;
	ssize_t n = 1;
	int r;

	if (text == NULL)
		return -ENOMEM;
	while (n > 0 && length <= bytes_max) {
		n = read(fd, text + length, bytes_max + 1 - length);
		if (n > 0)
			length += (size_t)n;
	}
	if (n < 0) {
		r = -errno;
		goto fail;
	}
	if (length > bytes_max) {
		r = -EFBIG;
		goto fail;
	}
	text[length] = '\0';
	*ret_text = text;
	*ret_length = length;
	return 0;
fail:
	free(text);
	return r;
}

static void add_fault(struct faults *faults, int error_number, size_t bytes_max)
{
	const char *reason = strerror(error_number);

	switch (error_number) {
	case ENOENT: reason = "there is no such file: check the path"; break;
	case EACCES:
	case EPERM: reason = "no permission to read it: check its owner and mode"; break;
	case EISDIR: reason = "a directory: give the path of a file"; break;
	case ENXIO: reason = "not a regular file: give the path of one"; break;
	case EFBIG:
		faults_add(faults, 0, "", "larger than %zu MiB: this is no file of ours",
		           bytes_max >> 20);
		return;
	}
	faults_add(faults, 0, "", "%s", reason);
}

int file_read(char **ret_text, size_t *ret_length, const char *path, size_t bytes_max,
              struct faults *faults)
{
	/* O_NONBLOCK: a FIFO without a writer must not hang the caller. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int r = fd < 0 ? -errno : check_kind(fd, bytes_max);

	if (r == 0)
		r = read_whole(fd, ret_text, ret_length, bytes_max);
	if (fd >= 0)
		close(fd);
	if (r < 0)
		add_fault(faults, -r, bytes_max);
	return r;
}
