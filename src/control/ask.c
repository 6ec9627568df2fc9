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

static void on_written(struct bufferevent *socket, void *context)
{
	shutdown(bufferevent_getfd(socket), SHUT_WR);
}

/* Takes the socket, also when it fails. text: NULL: there is none, and our half stays open. */
static int begin(struct ask *ask, struct event_base *base, int fd, uint32_t patience_s,
                 const char *text, size_t length)
{
	const struct timeval patience = {.tv_sec = patience_s};

	ask->socket = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (ask->socket == NULL) {
		evutil_closesocket(fd);
		return -ENOMEM;
	}
	bufferevent_setcb(ask->socket, NULL, text == NULL ? NULL : on_written, on_event, ask);
	bufferevent_set_timeouts(ask->socket, &patience, &patience);
	if (bufferevent_enable(ask->socket, EV_READ) < 0)
		return -ENOMEM;
	if (text != NULL && length == 0)
		on_written(ask->socket, ask); /* nobody would call it */
	return text == NULL ? 0 : bufferevent_write(ask->socket, text, length) < 0 ? -ENOMEM : 0;
}

static int ask_create(struct ask **ret_ask, struct event_base *base, int link_fd, const char *line,
                      uint32_t patience_s, const char *text, size_t length, ask_ended_fn *ended,
                      void *context)
{
	struct ask *fresh = calloc(1, sizeof(*fresh));
	int fd, r;

	if (fresh == NULL)
		return -ENOMEM;
	fresh->ended = ended;
	fresh->context = context;
	r = link_ask(link_fd, line, &fd);
	if (r == 0)
		r = begin(fresh, base, fd, patience_s, text, length);
	if (r == 0)
		*ret_ask = fresh;
	else
		ask_cancel(fresh);
	return r;
}

int ask_begin(struct ask **ret_ask, struct event_base *base, int link_fd, const char *line,
              ask_ended_fn *ended, void *context)
{
	return ask_create(ret_ask, base, link_fd, line, ASK_PATIENCE_S, NULL, 0, ended, context);
}

int ask_with_text(struct ask **ret_ask, struct event_base *base, int link_fd, const char *line,
                  const char *text, size_t length, ask_ended_fn *ended, void *context)
{
	return ask_create(ret_ask, base, link_fd, line, ASK_PATIENCE_S, text, length, ended,
	                  context);
}

int ask_worker(struct ask **ret_ask, struct event_base *base, int link_fd, uint32_t worker,
               const char *text, ask_ended_fn *ended, void *context)
{
	char line[32];

	snprintf(line, sizeof(line), "worker %u", worker);
	return ask_create(ret_ask, base, link_fd, line, ASK_PATIENCE_WORKER_S, text, strlen(text),
	                  ended, context);
}

void ask_cancel(struct ask *ask)
{
	if (ask == NULL)
		return;
	if (ask->socket != NULL)
		bufferevent_free(ask->socket); /* closes it */
	free(ask);
}
