/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ask.h"

#include "control/link.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <stdlib.h>
#include <string.h>

struct ask {
	struct ask_options options;
	struct bufferevent *socket;
};

static void end(struct ask *ask, enum ask_end how)
{
	bufferevent_disable(ask->socket, EV_READ | EV_WRITE);
	ask->options.ended(ask->options.context, how, bufferevent_get_input(ask->socket));
	ask_cancel(ask);
}

static void on_bytes(struct bufferevent *socket, void *context)
{
	struct ask *ask = context;

	if (ask->options.came != NULL &&
	    !ask->options.came(ask->options.context, bufferevent_get_input(socket)))
		end(ask, ASK_ANSWERED);
}

static void on_event(struct bufferevent *socket, short events, void *context)
{
	end(context, events & BEV_EVENT_EOF ? ASK_ANSWERED : ASK_NO_ANSWER);
}

int ask_begin(struct ask **ret_ask, struct event_base *base, int link_fd,
              const struct ask_options *options)
{
	struct timeval patience = {.tv_sec = ASK_PATIENCE_S};
	struct ask *ask = calloc(1, sizeof(*ask));
	int fd, r;

	if (ask == NULL)
		return -ENOMEM;
	r = link_ask(link_fd, options->line, &fd);
	if (r < 0)
		goto fail;
	r = -ENOMEM;
	ask->options = *options;
	ask->socket = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (ask->socket == NULL) {
		evutil_closesocket(fd);
		goto fail;
	}
	bufferevent_setcb(ask->socket, on_bytes, NULL, on_event, ask);
	if (options->patience_s != 0)
		patience.tv_sec = (time_t)options->patience_s;
	bufferevent_set_timeouts(ask->socket, &patience, NULL);
	if (options->input != NULL &&
	    bufferevent_write(ask->socket, options->input, strlen(options->input)) < 0)
		goto fail;
	bufferevent_enable(ask->socket, EV_READ | EV_WRITE);
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

void ask_hold(struct ask *ask, bool hold)
{
	if (hold)
		bufferevent_disable(ask->socket, EV_READ);
	else
		bufferevent_enable(ask->socket, EV_READ);
}
