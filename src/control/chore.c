/* SPDX-License-Identifier: Apache-2.0 */
#include "control/chore.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_FD       3
#define CHILD_PRIORITY 10

struct chore {
	uint32_t *count;
	pid_t pid; /* 0: it has ended */
	struct bufferevent *socket;
	chore_ended_fn *ended;
	void *context;
};

/* Nothing of the parent is held on to: no connection stays open because of it. Ends with 0, or with
 * 1 when nothing came of it. */
static void work_and_end(int fd, chore_work_fn *work, void *context)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
	bool is_good;
	FILE *to;

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], SIG_DFL); /* libevent would tell the parent's loop */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpriority(PRIO_PROCESS, 0, CHILD_PRIORITY);
	if (dup2(fd, CHILD_FD) < 0 || close_range(CHILD_FD + 1, ~0u, 0) < 0)
		_exit(2);
	to = fdopen(CHILD_FD, "w");
	if (to == NULL)
		_exit(2);
	is_good = work(to, context);
	if (fclose(to) != 0)
		_exit(2);
	_exit(is_good ? 0 : 1);
}

/* How it has ended: its status; -1: not by itself. */
static int reap(struct chore *chore)
{
	int status;
	pid_t pid;

	do
		pid = waitpid(chore->pid, &status, 0);
	while (pid < 0 && errno == EINTR);
	chore->pid = 0;
	return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* It is gone: what it has said is all. */
static void finish(struct chore *chore, bool is_whole)
{
	struct evbuffer *text = bufferevent_get_input(chore->socket);
	int status;

	bufferevent_disable(chore->socket, EV_READ);
	if (!is_whole)
		kill(chore->pid, SIGKILL);
	status = reap(chore);
	if (!is_whole || (status != 0 && status != 1))
		evbuffer_drain(text, evbuffer_get_length(text));
	chore->ended(chore->context, is_whole && status == 0, text);
	chore_cancel(chore);
}

static void on_text(struct bufferevent *socket, void *context)
{
	if (evbuffer_get_length(bufferevent_get_input(socket)) > CHORE_BYTES_MAX)
		finish(context, false);
}

static void on_event(struct bufferevent *socket, short events, void *context)
{
	finish(context, true);
}

int chore_begin(struct chore **ret_chore, struct event_base *base, uint32_t *count,
                chore_work_fn *work, void *work_context, chore_ended_fn *ended, void *context)
{
	struct chore *chore;
	int ends[2], r;

	if (*count == CHORE_COUNT_MAX)
		return -EBUSY;
	chore = calloc(1, sizeof(*chore));
	if (chore == NULL)
		return -ENOMEM;
	chore->count = count;
	chore->ended = ended;
	chore->context = context;
	++*count;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
		r = -errno;
		goto fail;
	}
	evutil_make_socket_nonblocking(ends[0]); /* the child's waits for us */
	chore->socket = bufferevent_socket_new(base, ends[0], BEV_OPT_CLOSE_ON_FREE);
	if (chore->socket == NULL) {
		close(ends[0]);
		close(ends[1]);
		r = -ENOMEM;
		goto fail;
	}
	chore->pid = fork();
	if (chore->pid == 0)
		work_and_end(ends[1], work, work_context);
	r = chore->pid < 0 ? -errno : 0;
	close(ends[1]);
	if (r < 0) {
		chore->pid = 0;
		goto fail;
	}
	bufferevent_setcb(chore->socket, on_text, NULL, on_event, chore);
	bufferevent_enable(chore->socket, EV_READ);
	*ret_chore = chore;
	return 0;
fail:
	chore_cancel(chore);
	return r;
}

void chore_cancel(struct chore *chore)
{
	if (chore == NULL)
		return;
	if (chore->pid != 0) {
		kill(chore->pid, SIGKILL);
		reap(chore);
	}
	if (chore->socket != NULL)
		bufferevent_free(chore->socket); /* closes it */
	--*chore->count;
	free(chore);
}
