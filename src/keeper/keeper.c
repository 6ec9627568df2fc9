/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/keeper.h"

#include "base/assert.h"
#include "base/log.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE_BYTES    257 /* as control/link.h says, and NUL */
#define START_US      15000000ull
#define MESSAGES_A_GO 16
#define ANSWERS_MAX   32 /* that the control process has not read yet */
#define ANSWER_WAIT_S 10
#define STATUS_BYTES  128

/* The service manager hears of us so many times before it would take us for dead: a worker has to
 * stand still for three quarters of that time, and its longest sleep is a tenth of a second. */
#define PINGS       4
#define PING_US_MAX 1000000ull

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD};

#define SIGNAL_COUNT (sizeof(signals) / sizeof(signals[0]))

struct keeper {
	struct keeper_options options;
	struct event_base *base;
	struct event *signal_events[SIGNAL_COUNT];
	struct event *second;
	struct event *watch;
	struct event *link; /* NULL: no control process runs */
	struct child child;
	struct relays relays;
	struct capture_relay capture_relay;
	LIST_HEAD(, answer) answers;
	uint32_t answer_count;
	uint64_t start_end_us; /* until then the control process may begin; 0: it has */
	bool ends;
	/* Of the service manager: */
	char status[STATUS_BYTES]; /* as he was told it last */
	struct event *ping;        /* NULL: he does not wait for any */
	uint64_t *turns;           /* of each worker, when he heard of us last */
	uint64_t pinged_us;
	uint32_t still; /* the worker that stands still; UINT32_MAX: none does */
};

/* On its way to the control process. */
struct answer {
	struct keeper *keeper;
	const struct keeper_question *question; /* whose text is awaited; NULL: none is */
	char rest[LINE_BYTES];                  /* of the line that has asked */
	struct bufferevent *socket;
	LIST_ENTRY(answer) others;
};

static void answer_end(struct answer *answer)
{
	LIST_REMOVE(answer, others);
	answer->keeper->answer_count--;
	bufferevent_free(answer->socket); /* closes it */
	free(answer);
}

static void on_answered(struct bufferevent *socket, void *context)
{
	answer_end(context);
}

/* All is written that there is to say. */
static void answer_written(struct answer *answer)
{
	if (evbuffer_get_length(bufferevent_get_output(answer->socket)) == 0)
		answer_end(answer);
}

/* A piece of the text that belongs to the question. */
static void on_text(struct bufferevent *socket, void *context)
{
	struct answer *answer = context;

	if (evbuffer_get_length(bufferevent_get_input(socket)) > answer->question->text_bytes_max)
		answer_end(answer);
}

/* All of it. */
static void on_text_end(struct answer *answer)
{
	struct evbuffer *from = bufferevent_get_input(answer->socket);
	const struct keeper_question *question = answer->question;
	size_t length = evbuffer_get_length(from);
	char *text = malloc(length + 1);

	if (text == NULL) {
		answer_end(answer);
		return;
	}
	evbuffer_remove(from, text, length);
	text[length] = '\0';
	answer->question = NULL;
	question->answer_text(answer->keeper->options.context, answer->rest, text,
	                      bufferevent_get_output(answer->socket));
	free(text);
	answer_written(answer);
}

static void on_answer_event(struct bufferevent *socket, short events, void *context)
{
	struct answer *answer = context;

	if (answer->question != NULL && (events & BEV_EVENT_EOF))
		on_text_end(answer);
	else
		answer_end(answer);
}

/* Takes the socket. The answer goes out as the control process reads it. */
static void answer(struct keeper *keeper, const struct keeper_question *question, const char *rest,
                   int fd)
{
	static const struct timeval patience = {.tv_sec = ANSWER_WAIT_S};
	struct answer *answer = NULL;

	if (keeper->answer_count < ANSWERS_MAX)
		answer = calloc(1, sizeof(*answer));
	if (answer == NULL)
		goto fail;
	answer->keeper = keeper;
	answer->socket = bufferevent_socket_new(keeper->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (answer->socket == NULL)
		goto fail;
	LIST_INSERT_HEAD(&keeper->answers, answer, others);
	keeper->answer_count++;
	bufferevent_setcb(answer->socket, on_text, on_answered, on_answer_event, answer);
	bufferevent_set_timeouts(answer->socket, &patience, &patience);
	if (question->answer_text == NULL) {
		question->answer(keeper->options.context, rest,
		                 bufferevent_get_output(answer->socket));
		answer_written(answer);
		return;
	}
	answer->question = question;
	snprintf(answer->rest, sizeof(answer->rest), "%s", rest);
	bufferevent_enable(answer->socket, EV_READ);
	return;
fail:
	free(answer);
	close(fd);
}

/* "worker 3" */
static void join_worker(struct keeper *keeper, const char *number, int fd)
{
	char *end;
	unsigned long worker = strtoul(number, &end, 10);

	if (end == number || *end != '\0' || worker >= keeper->options.worker_count)
		close(fd);
	else if (relays_add(&keeper->relays, fd, keeper->options.inners[worker], (uint32_t)worker) <
	         0)
		log_warning("the control process asks for more than a worker can do at once");
}

/* "capture 0 1514" */
static void join_capture(struct keeper *keeper, const char *what, int fd)
{
	uint32_t port, snap;
	char more;

	if (sscanf(what, "%u %u %c", &port, &snap, &more) != 2)
		close(fd);
	else if (capture_relay_begin(&keeper->capture_relay, fd, port, snap) < 0)
		log_warning("a capture cannot be begun: no such port, or no memory");
}

static const struct keeper_question *question_find(const struct keeper *keeper, const char *name)
{
	for (uint32_t i = 0; i < keeper->options.question_count; i++)
		if (strcmp(keeper->options.questions[i].name, name) == 0)
			return &keeper->options.questions[i];
	return NULL;
}

static void heed(struct keeper *keeper, char *line, int fd)
{
	char *rest = line + strcspn(line, " ");
	const struct keeper_question *question;

	child_is_alive(&keeper->child, keeper->options.clock_us());
	if (*rest != '\0')
		*rest++ = '\0';
	if (fd < 0) {
		if (strcmp(line, "ready") == 0) {
			keeper->child.is_ready = true;
			if (keeper->start_end_us != 0)
				event_base_loopbreak(keeper->base);
		}
		return;
	}
	question = question_find(keeper, line);
	if (strcmp(line, "worker") == 0)
		join_worker(keeper, rest, fd);
	else if (strcmp(line, "capture") == 0)
		join_capture(keeper, rest, fd);
	else if (question != NULL)
		answer(keeper, question, rest, fd);
	else
		close(fd);
}

/* One message of the link. False: there are none, or no link any more. */
static bool hear(struct keeper *keeper)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	char line[LINE_BYTES];
	struct iovec text = {.iov_base = line, .iov_len = sizeof(line) - 1};
	struct msghdr message = {.msg_iov = &text,
	                         .msg_iovlen = 1,
	                         .msg_control = &control,
	                         .msg_controllen = sizeof(control)};
	ssize_t length = recvmsg(keeper->child.link_fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	struct cmsghdr *header = length > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	int fd = -1;

	if (length <= 0) {
		/* the end of it is heard of by SIGCHLD */
		if (length == 0)
			event_del(keeper->link);
		return false;
	}
	if (header != NULL && header->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	line[length] = '\0';
	heed(keeper, line, fd);
	return true;
}

static void on_link(evutil_socket_t fd, short events, void *context)
{
	for (uint32_t i = 0; i < MESSAGES_A_GO && hear(context); i++) {
	}
}

static void link_close(struct keeper *keeper)
{
	if (keeper->link != NULL)
		event_free(keeper->link);
	keeper->link = NULL;
	if (keeper->child.link_fd >= 0)
		close(keeper->child.link_fd);
	keeper->child.link_fd = -1;
}

static int control_begin(struct keeper *keeper)
{
	int r = child_begin(&keeper->child, keeper->options.clock_us());

	if (r < 0)
		return r;
	keeper->link =
	    event_new(keeper->base, keeper->child.link_fd, EV_READ | EV_PERSIST, on_link, keeper);
	if (keeper->link != NULL)
		event_add(keeper->link, NULL);
	return 0;
}

static void control_look(struct keeper *keeper)
{
	if (!child_has_ended(&keeper->child, keeper->options.clock_us()))
		return;
	link_close(keeper);
	if (keeper->start_end_us != 0)
		event_base_loopbreak(keeper->base);
}

/* The service manager. */

static void status_format(const struct keeper *keeper, char text[STATUS_BYTES])
{
	uint32_t count = keeper->options.worker_count;

	if (keeper->still != UINT32_MAX)
		snprintf(text, STATUS_BYTES, "worker %u stands still", keeper->still);
	else
		snprintf(text, STATUS_BYTES, "%u worker%s%s", count,
		         count == 1 ? " serves" : "s serve",
		         keeper->options.child_path == NULL || keeper->child.is_ready
		             ? ""
		             : "; the control process does not");
}

static void tell_ready(struct keeper *keeper)
{
	status_format(keeper, keeper->status);
	notify_send(keeper->options.notify, "READY=1\nSTATUS=%s", keeper->status);
}

/* Once he knows that we serve. */
static void tell_status(struct keeper *keeper)
{
	char status[STATUS_BYTES];

	status_format(keeper, status);
	if (keeper->status[0] == '\0' || strcmp(status, keeper->status) == 0)
		return;
	memcpy(keeper->status, status, sizeof(status));
	notify_send(keeper->options.notify, "STATUS=%s", status);
}

/* The first worker that has had no turn since he heard of us last; UINT32_MAX: all had. */
static uint32_t find_still(struct keeper *keeper)
{
	for (uint32_t i = 0; i < keeper->options.worker_count; i++)
		if (keeper->options.turns(keeper->options.context, i) == keeper->turns[i])
			return i;
	for (uint32_t i = 0; i < keeper->options.worker_count; i++)
		keeper->turns[i] = keeper->options.turns(keeper->options.context, i);
	return UINT32_MAX;
}

static void on_ping(evutil_socket_t fd, short events, void *context)
{
	struct keeper *keeper = context;
	uint64_t now_us = keeper->options.clock_us();
	uint32_t still;

	if (keeper->status[0] == '\0')
		return; /* nobody serves yet, and he knows it */
	still = find_still(keeper);
	if (still == UINT32_MAX) {
		if (keeper->still != UINT32_MAX)
			log_info("worker %u goes on", keeper->still);
		keeper->still = UINT32_MAX;
		keeper->pinged_us = now_us;
		notify_send(keeper->options.notify, "WATCHDOG=1");
	} else if (keeper->still == UINT32_MAX &&
	           now_us - keeper->pinged_us >= keeper->options.notify->watchdog_us / 2) {
		log_error("worker %u stands still: the watchdog ends kanted if it does not go on",
		          still);
		keeper->still = still;
	}
	tell_status(keeper);
}

static int pings_create(struct keeper *keeper)
{
	uint64_t watchdog_us = keeper->options.notify->watchdog_us;
	uint64_t period_us = watchdog_us / PINGS < PING_US_MAX ? watchdog_us / PINGS : PING_US_MAX;
	const struct timeval period = {.tv_sec = (time_t)(period_us / 1000000),
	                               .tv_usec = (suseconds_t)(period_us % 1000000)};

	keeper->still = UINT32_MAX;
	if (watchdog_us == 0)
		return 0;
	keeper->turns = calloc(keeper->options.worker_count, sizeof(keeper->turns[0]));
	keeper->ping = event_new(keeper->base, -1, EV_PERSIST, on_ping, keeper);
	if (keeper->turns == NULL || keeper->ping == NULL || event_add(keeper->ping, &period) < 0)
		return -ENOMEM;
	return 0;
}

static void on_second(evutil_socket_t fd, short events, void *context)
{
	struct keeper *keeper = context;

	keeper->options.every_second(keeper->options.context);
	tell_status(keeper);
	if (keeper->options.child_path == NULL)
		return;
	control_look(keeper);
	if (keeper->start_end_us != 0) {
		if (keeper->options.clock_us() >= keeper->start_end_us)
			event_base_loopbreak(keeper->base);
		return;
	}
	if (child_watch(&keeper->child, keeper->options.clock_us()))
		control_begin(keeper);
}

static void on_watch(evutil_socket_t fd, short events, void *context)
{
	struct keeper *keeper = context;

	keeper->options.watch(keeper->options.context);
}

static void reload(struct keeper *keeper)
{
	notify_send(keeper->options.notify, "RELOADING=1\nMONOTONIC_USEC=%llu",
	            (unsigned long long)keeper->options.clock_us());
	keeper->options.reload(keeper->options.context);
	if (keeper->child.pid != 0)
		kill(keeper->child.pid, SIGHUP); /* its certificates */
	tell_ready(keeper);
}

static void on_signal(evutil_socket_t number, short events, void *context)
{
	struct keeper *keeper = context;

	if (number == SIGHUP) {
		reload(keeper);
	} else if (number == SIGCHLD) {
		control_look(keeper);
	} else {
		log_info("stopping on signal %d", (int)number);
		notify_send(keeper->options.notify, "STOPPING=1\nSTATUS=stops");
		keeper->ends = true;
		event_base_loopbreak(keeper->base);
	}
}

static int events_create(struct keeper *keeper)
{
	static const struct timeval second = {.tv_sec = 1}, watch = {.tv_usec = 250000};

	keeper->base = event_base_new();
	if (keeper->base == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < SIGNAL_COUNT; i++) {
		keeper->signal_events[i] =
		    evsignal_new(keeper->base, signals[i], on_signal, keeper);
		if (keeper->signal_events[i] == NULL ||
		    event_add(keeper->signal_events[i], NULL) < 0)
			return -ENOMEM;
	}
	keeper->second = event_new(keeper->base, -1, EV_PERSIST, on_second, keeper);
	keeper->watch = event_new(keeper->base, -1, EV_PERSIST, on_watch, keeper);
	if (keeper->second == NULL || event_add(keeper->second, &second) < 0 ||
	    keeper->watch == NULL || event_add(keeper->watch, &watch) < 0)
		return -ENOMEM;
	if (pings_create(keeper) < 0 ||
	    capture_relay_create(&keeper->capture_relay, keeper->base, keeper->options.captures,
	                         keeper->options.worker_count) < 0)
		return -ENOMEM;
	return relays_create(&keeper->relays, keeper->base, keeper->options.wake,
	                     keeper->options.context);
}

int keeper_create(struct keeper **ret_keeper, const struct keeper_options *options)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));
	sigset_t heard;
	int r = -ENOMEM;

	if (keeper == NULL)
		goto fail;
	keeper->options = *options;
	child_create(&keeper->child, options->child_path, options->child_arguments);
	r = events_create(keeper);
	if (r < 0)
		goto fail;
	sigemptyset(&heard);
	for (uint32_t i = 0; i < SIGNAL_COUNT; i++)
		sigaddset(&heard, signals[i]);
	pthread_sigmask(SIG_UNBLOCK, &heard, NULL);
	*ret_keeper = keeper;
	return 0;
fail:
	log_error("not enough memory for the keeper's events");
	keeper_destroy(keeper);
	return r;
}

void keeper_destroy(struct keeper *keeper)
{
	if (keeper == NULL)
		return;
	child_end(&keeper->child);
	link_close(keeper);
	while (!LIST_EMPTY(&keeper->answers))
		answer_end(LIST_FIRST(&keeper->answers));
	relays_destroy(&keeper->relays);
	capture_relay_destroy(&keeper->capture_relay);
	for (uint32_t i = 0; i < SIGNAL_COUNT; i++)
		if (keeper->signal_events[i] != NULL)
			event_free(keeper->signal_events[i]);
	if (keeper->second != NULL)
		event_free(keeper->second);
	if (keeper->watch != NULL)
		event_free(keeper->watch);
	if (keeper->ping != NULL)
		event_free(keeper->ping);
	free(keeper->turns);
	if (keeper->base != NULL)
		event_base_free(keeper->base);
	free(keeper);
}

int keeper_start_control(struct keeper *keeper)
{
	int r = control_begin(keeper);

	if (r < 0)
		return r;
	keeper->start_end_us = keeper->options.clock_us() + START_US;
	event_base_loop(keeper->base, 0);
	keeper->start_end_us = 0;
	if (keeper->child.is_ready || keeper->ends)
		return 0;
	if (keeper->child.pid == 0) {
		log_error("the control process cannot serve: see what it says above");
		return -ECHILD;
	}
	log_error("the control process is not ready after %llu s", START_US / 1000000);
	return -ETIMEDOUT;
}

const struct child *keeper_child(const struct keeper *keeper)
{
	return &keeper->child;
}

void keeper_run(struct keeper *keeper)
{
	keeper->pinged_us = keeper->options.clock_us();
	if (!keeper->ends)
		tell_ready(keeper);
	while (!keeper->ends && event_base_loop(keeper->base, 0) == 0) {
	}
}
