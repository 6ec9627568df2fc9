/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that fails when a test says so. */
#pragma once

#include "memory_faults.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

FAULTY(int, -1, close, (int fd), (fd))
FAULTY(int, -1, renameat, (int from_fd, const char *from, int to_fd, const char *to),
       (from_fd, from, to_fd, to))
FAULTY(ssize_t, -1, read, (int fd, void *to, size_t bytes), (fd, to, bytes))

/* Does nothing else: no test can tell, and disks are slow. */
int fsync(int fd)
{
	return fault_hits("fsync") ? -1 : 0;
}

int openat(int folder_fd, const char *path, int flags, ...)
{
	int (*next)(int, const char *, int, ...);
	va_list arguments;
	unsigned mode;

	va_start(arguments, flags);
	mode = flags & O_CREAT ? va_arg(arguments, unsigned) : 0;
	va_end(arguments);
	if (fault_hits("openat"))
		return -1;
	*(void **)&next = dlsym(RTLD_NEXT, "openat");
	return next(folder_fd, path, flags, mode);
}

/* Takes half of what it is given before it fails for good. */
ssize_t write(int fd, const void *bytes, size_t length)
{
	ssize_t (*next)(int, const void *, size_t);

	*(void **)&next = dlsym(RTLD_NEXT, "write");
	if (fault_hits("write"))
		return -1;
	return next(fd, bytes, fault_hits("short write") ? length / 2 : length);
}

/* The steps of writing a file that can fail before it is there. */
static const char *const disk_steps[] = {"openat", "write", "fsync", "close", "renameat"};

#define DISK_STEP_COUNT (sizeof(disk_steps) / sizeof(disk_steps[0]))
