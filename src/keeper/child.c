/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/child.h"

#include "base/assert.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHILD_LINK_FD 3 /* as control/link.h says */
#define SECOND_US     1000000ull
#define LIVED_LONG_US (60 * SECOND_US)
#define PAUSE_US_MAX  (30 * SECOND_US)
#define END_STEPS     200
#define END_STEP_NS   10000000

void child_create(struct child *child, const char *path, const char *const *arguments)
{
	*child = (struct child){.path = path, .arguments = arguments, .link_fd = -1};
}

/* With no signal blocked or ignored, and no file but stderr and the link: it must not hold on to
 * a device of ours. */
static int spawn(struct child *child, int link_fd)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, link_fd, CHILD_LINK_FD);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, STDERR_FILENO, STDOUT_FILENO);
	posix_spawn_file_actions_addclosefrom_np(&files, CHILD_LINK_FD + 1);
	r = -posix_spawn(&child->pid, child->path, &files, &attributes,
	                 (char *const *)(uintptr_t)child->arguments, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attributes);
	return r;
}

static void fail(struct child *child, uint64_t now_us)
{
	uint64_t pause_us = SECOND_US << (child->failures < 5 ? child->failures : 5);

	child->failures++;
	child->again_us = now_us + (pause_us < PAUSE_US_MAX ? pause_us : PAUSE_US_MAX);
}

int child_begin(struct child *child, uint64_t now_us)
{
	int ends[2];
	int r;

	ASSERT(child->pid == 0 && child->link_fd < 0);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0) {
		r = -errno;
		log_error("the control process has no link to kanted: %s", strerror(-r));
		fail(child, now_us);
		return r;
	}
	r = spawn(child, ends[1]);
	close(ends[1]);
	if (r < 0) {
		close(ends[0]);
		child->pid = 0;
		log_error("%s cannot be started: %s: it belongs beside kanted, where its user may "
		          "run it",
		          child->path, strerror(-r));
		fail(child, now_us);
		return r;
	}
	child->link_fd = ends[0];
	child->begun_us = now_us;
	child->alive_us = now_us;
	child->begin_count++;
	child->is_ready = false;
	return 0;
}

void child_is_alive(struct child *child, uint64_t now_us)
{
	child->alive_us = now_us;
}

static void tell(const struct child *child, int status)
{
	const char *then = child->is_ending ? "" : ": kanted serves on without it";

	if (WIFSIGNALED(status) && !(child->is_ending && WTERMSIG(status) == SIGTERM))
		log_error("the control process was ended by signal %d%s", WTERMSIG(status), then);
	else if (WIFEXITED(status) && (!child->is_ending || WEXITSTATUS(status) != 0))
		log_error("the control process has ended with status %d%s", WEXITSTATUS(status),
		          then);
}

bool child_has_ended(struct child *child, uint64_t now_us)
{
	int status;

	if (child->pid == 0 || waitpid(child->pid, &status, WNOHANG) != child->pid)
		return false;
	tell(child, status);
	child->pid = 0;
	child->is_ready = false;
	if (now_us - child->begun_us >= LIVED_LONG_US)
		child->failures = 0;
	fail(child, now_us);
	return true;
}

bool child_watch(struct child *child, uint64_t now_us)
{
	if (child->pid == 0)
		return !child->is_ending && now_us >= child->again_us;
	if (now_us - child->alive_us >= CHILD_HANG_US) {
		log_error("the control process hangs: it is killed");
		kill(child->pid, SIGKILL);
		child->alive_us = now_us;
	}
	return false;
}

void child_end(struct child *child)
{
	struct timespec step = {.tv_nsec = END_STEP_NS};

	child->is_ending = true;
	if (child->pid == 0)
		return;
	kill(child->pid, SIGTERM);
	kill(child->pid, SIGCONT); /* one that is stopped does not hear the other */
	for (uint32_t i = 0; i < END_STEPS && !child_has_ended(child, 0); i++)
		nanosleep(&step, NULL);
	if (child->pid == 0)
		return;
	log_warning("the control process does not end: it is killed");
	kill(child->pid, SIGKILL);
	while (!child_has_ended(child, 0))
		nanosleep(&step, NULL);
}
