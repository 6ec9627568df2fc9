/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ask.h"

#include "control/link.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <stdlib.h>

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

int ask_begin(struct ask **ret_ask, struct event_base *base, int link_fd, const char *line,
              ask_ended_fn *ended, void *context)
{
	static const struct timeval patience = {.tv_sec = ASK_PATIENCE_S};
	struct ask *ask = calloc(1, sizeof(*ask));
	int fd, r;

	if (ask == NULL)
		return -ENOMEM;
	r = link_ask(link_fd, line, &fd);
	if (r < 0)
		goto fail;
	ask->ended = ended;
	ask->context = context;
	ask->socket = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (ask->socket == NULL) {
		evutil_closesocket(fd);
		r = -ENOMEM;
		goto fail;
	}
	bufferevent_setcb(ask->socket, NULL, NULL, on_event, ask);
	bufferevent_set_timeouts(ask->socket, &patience, NULL);
	bufferevent_enable(ask->socket, EV_READ);
	*ret_ask = ask;
	return 0;
fail:
	ask_cancel(ask);
	return r;
}

void ask_cancel(struct ask *ask)
{
	if (ask == NULL)
		return;
	if (ask->socket != NULL)
		bufferevent_free(ask->socket); /* closes it */
	free(ask);
}
