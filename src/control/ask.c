/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ask.h"

#include "control/link.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct ask {
	struct bufferevent *socket;
	ask_ended_fn *ended;
	void *context;
};

static void on_event(struct bufferevent *socket, short events, void *context)
{
	struct ask *ask = context;

	bufferevent_disable(socket, EV_READ | EV_WRITE);
	ask->ended(ask->context, events & BEV_EVENT_EOF, bufferevent_get_input(socket));
	ask_cancel(ask);
}

/* Takes the socket, also when it fails. */
static int begin(struct ask **ret_ask, struct event_base *base, int fd, uint32_t patience_s,
                 ask_ended_fn *ended, void *context)
{
	const struct timeval patience = {.tv_sec = patience_s};
	struct ask *ask = calloc(1, sizeof(*ask));

	if (ask == NULL)
		goto fail;
	ask->ended = ended;
	ask->context = context;
	ask->socket = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (ask->socket == NULL)
		goto fail;
	bufferevent_setcb(ask->socket, NULL, NULL, on_event, ask);
	bufferevent_set_timeouts(ask->socket, &patience, NULL);
	bufferevent_enable(ask->socket, EV_READ);
	*ret_ask = ask;
	return 0;
fail:
	evutil_closesocket(fd);
	free(ask);
	return -ENOMEM;
}

int ask_begin(struct ask **ret_ask, struct event_base *base, int link_fd, const char *line,
              ask_ended_fn *ended, void *context)
{
	int fd, r = link_ask(link_fd, line, &fd);

	return r < 0 ? r : begin(ret_ask, base, fd, ASK_PATIENCE_S, ended, context);
}

int ask_worker(struct ask **ret_ask, struct event_base *base, int link_fd, uint32_t worker,
               const char *text, ask_ended_fn *ended, void *context)
{
	size_t length = strlen(text);
	char line[32];
	int fd, r;

	snprintf(line, sizeof(line), "worker %u", worker);
	r = link_ask(link_fd, line, &fd);
	if (r < 0)
		return r;
	/* the socket is new, and has room for much more than any text */
	if (send(fd, text, length, MSG_NOSIGNAL) != (ssize_t)length || shutdown(fd, SHUT_WR) < 0) {
		evutil_closesocket(fd);
		return -EPIPE;
	}
	return begin(ret_ask, base, fd, ASK_PATIENCE_WORKER_S, ended, context);
}

void ask_cancel(struct ask *ask)
{
	if (ask == NULL)
		return;
	if (ask->socket != NULL)
		bufferevent_free(ask->socket); /* closes it */
	free(ask);
}
