/* SPDX-License-Identifier: Apache-2.0 */
/* The control process: begun, watched over, and begun again when it has ended or hangs. kanted
 * serves on without it. Owner: the keeper. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CHILD_HANG_US (60 * 1000000ull) /* without a sign of life: it is killed */

struct child {
	const char *path; /* of its program */
	const char *const *arguments;
	pid_t pid;         /* 0: it does not run */
	int link_fd;       /* our end, or -1: then it can be begun */
	uint64_t begun_us; /* when it was begun last */
	uint64_t alive_us; /* when it was heard of last */
	uint64_t again_us; /* when it is to be begun again */
	uint32_t failures; /* ends soon after a beginning, one after the other */
	uint64_t begin_count;
	bool is_ready;  /* it has said so */
	bool is_ending; /* it was told to */
};

void child_create(struct child *child, const char *path, const char *const *arguments);

/* 0 with child->link_fd, which does not block; a negative errno, and the log says why. */
int child_begin(struct child *child, uint64_t now_us);

/* It has given a sign of life. */
void child_is_alive(struct child *child, uint64_t now_us);

/* After SIGCHLD, or now and then. True: it has ended; the link is the caller's to close. */
bool child_has_ended(struct child *child, uint64_t now_us);

/* Kills it when it hangs. True: it is to be begun again now. */
bool child_watch(struct child *child, uint64_t now_us);

/* Ends it: by SIGTERM, and by SIGKILL when that does not help within two seconds. */
void child_end(struct child *child);
