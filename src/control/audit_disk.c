/* SPDX-License-Identifier: Apache-2.0 */
#include "control/audit_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD_NEW  AUDIT_HEAD ".new"
#define FILE_MODE 0600

/* It lies in one sector, so a power cut leaves the old record or the new one. */
static int put_head(int head_fd, const struct audit_head *head)
{
	char record[AUDIT_HEAD_BYTES + 1];
	ssize_t n;

	audit_head_format(record, head);
	n = pwrite(head_fd, record, AUDIT_HEAD_BYTES, 0);
	if (n < 0)
		return -errno;
	if (n != AUDIT_HEAD_BYTES)
		return -ENOSPC;
	return fdatasync(head_fd) < 0 ? -errno : 0;
}

/* Under another name first: a crash must not leave one that says nothing. */
static int make_head(const struct audit_disk *disk)
{
	int fd = openat(disk->directory_fd, HEAD_NEW,
	                O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	int r;

	if (fd < 0)
		return -errno;
	r = put_head(fd, &disk->head);
	close(fd);
	if (r == 0 && renameat(disk->directory_fd, HEAD_NEW, disk->directory_fd, AUDIT_HEAD) < 0)
		r = -errno;
	if (r == 0 && fsync(disk->directory_fd) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(disk->directory_fd, HEAD_NEW, 0);
	return r;
}

static int open_head(struct audit_disk *disk)
{
	const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW;
	int r;

	disk->head_fd = openat(disk->directory_fd, AUDIT_HEAD, flags);
	if (disk->head_fd < 0 && errno == ENOENT) {
		r = make_head(disk);
		if (r < 0)
			return r;
		disk->head_fd = openat(disk->directory_fd, AUDIT_HEAD, flags);
	}
	return disk->head_fd < 0 ? -errno : 0;
}

static int open_log(struct audit_disk *disk, int flags)
{
	disk->log_fd = openat(disk->directory_fd, AUDIT_LOG,
	                      O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW | flags, FILE_MODE);
	return disk->log_fd < 0 ? -errno : 0;
}

/* Takes off what is behind the last whole line. */
static int cut_tail(struct audit_disk *disk)
{
	if (ftruncate(disk->log_fd, (off_t)disk->log_bytes) < 0)
		return -errno;
	disk->tail_to_cut = false;
	return 0;
}

int audit_disk_open(struct audit_disk *disk, const char *directory)
{
	*disk = (struct audit_disk){.directory = directory, .log_fd = -1, .head_fd = -1};
	disk->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (disk->directory_fd < 0)
		return -errno;
	if (flock(disk->directory_fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return 0;
}

int audit_disk_take_up(struct audit_disk *disk)
{
	int r = open_head(disk);

	if (r < 0)
		return r;
	r = open_log(disk, 0);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	/* the head may be behind, and what it is behind of may not be on the disk */
	disk->waiting = true;
	return cut_tail(disk);
}

void audit_disk_close(struct audit_disk *disk)
{
	if (disk->log_fd >= 0)
		close(disk->log_fd);
	if (disk->head_fd >= 0)
		close(disk->head_fd);
	if (disk->directory_fd >= 0)
		close(disk->directory_fd);
	disk->log_fd = disk->head_fd = disk->directory_fd = -1;
}

int audit_disk_begin(struct audit_disk *disk)
{
	int r;

	if (disk->log_fd >= 0)
		return 0;
	r = open_log(disk, O_CREAT);
	if (r < 0)
		return r;
	if (fsync(disk->directory_fd) < 0) {
		r = -errno;
		close(disk->log_fd);
		disk->log_fd = -1;
	}
	return r;
}

static int write_whole(int fd, const char *line, size_t length)
{
	ssize_t n;

	do
		n = write(fd, line, length);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == length ? 0 : -ENOSPC;
}

/* The log before the head, which must never know a line that a power cut has taken. */
static int sync_both(struct audit_disk *disk, const struct audit_head *head)
{
	int r;

	if (fdatasync(disk->log_fd) < 0)
		return -errno;
	r = put_head(disk->head_fd, head);
	if (r < 0) /* if that cannot be helped, the next line's will */
		(void)put_head(disk->head_fd, &disk->head);
	else
		disk->waiting = false;
	return r;
}

int audit_disk_add(struct audit_disk *disk, const char *line, size_t length, const char *hash,
                   bool waits)
{
	struct audit_head head = {.seq = disk->head.seq + 1};
	int r = disk->tail_to_cut ? cut_tail(disk) : 0;

	if (r < 0)
		return r;
	memcpy(head.hash, hash, sizeof(head.hash));
	r = write_whole(disk->log_fd, line, length);
	if (r == 0 && !waits)
		r = sync_both(disk, &head);
	if (r < 0) {
		disk->tail_to_cut = true;
		(void)cut_tail(disk); /* or before the next line is written */
		return r;
	}
	if (disk->log_bytes == 0)
		disk->last_file_seq = head.seq;
	disk->log_bytes += length;
	disk->head = head;
	disk->waiting = waits; /* when it does not, nothing else does either */
	return 0;
}

int audit_disk_sync(struct audit_disk *disk)
{
	return disk->waiting ? sync_both(disk, &disk->head) : 0;
}

int audit_disk_rotate(struct audit_disk *disk)
{
	char name[AUDIT_NAME_BYTES];
	int r = disk->tail_to_cut ? cut_tail(disk) : 0;

	if (r == 0)
		r = audit_disk_sync(disk);
	if (r < 0)
		return r;
	audit_name_format(name, disk->last_file_seq);
	if (renameat(disk->directory_fd, AUDIT_LOG, disk->directory_fd, name) < 0)
		return -errno;
	close(disk->log_fd);
	disk->log_fd = -1;
	disk->full_bytes += disk->log_bytes;
	disk->log_bytes = 0;
	return 0;
}

int audit_disk_delete(struct audit_disk *disk, uint64_t first_seq)
{
	char name[AUDIT_NAME_BYTES];
	struct stat status;

	audit_name_format(name, first_seq);
	if (fstatat(disk->directory_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
	    unlinkat(disk->directory_fd, name, 0) < 0)
		return -errno;
	disk->full_bytes -= (uint64_t)status.st_size;
	return 0;
}
