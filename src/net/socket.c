/* SPDX-License-Identifier: Apache-2.0 */
#include "net/socket.h"

#include "net/socket_connection.h"
#include "net/socket_open.h"
#include "net/socket_udp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENT_COUNT_MAX      256 /* a poll */
#define ACCEPT_COUNT_MAX     64  /* a listener a poll: the others get their turn */
#define ACCEPT_PAUSE_US      100000
#define DEADLINE_INTERVAL_MS 100 /* the longest wait while something has a deadline */

/* epoll's data: listeners by port, then UDP sockets by port, then connections; and the bell. */
#define EVENT_UDP        PORT_COUNT_MAX
#define EVENT_CONNECTION (2 * PORT_COUNT_MAX)
#define EVENT_BELL       UINT32_MAX

struct listener {
	struct port_options port;
	int tcp_fd; /* -1: none */
	int udp_fd; /* -1: none */
	bool ready;
	bool owns_path;           /* of a Unix socket */
	uint64_t paused_until_us; /* 0: accepting */
};

struct sockets {
	struct socket_options options;
	struct socket_counters counters;
	struct connections connections;
	struct socket_udp *udp;
	const struct blocked *blocked;
	uint64_t now_us;
	int epoll_fd;
	int bell_fd; /* an eventfd: another worker rings */
	uint32_t port_count;
	struct listener listeners[PORT_COUNT_MAX];
};

size_t sockets_bytes(const struct socket_options *options)
{
	return memory_rounded(sizeof(struct sockets)) + socket_udp_bytes() +
	       connections_bytes(options);
}

static void listener_watch(struct sockets *sockets, uint32_t index, uint32_t events)
{
	struct epoll_event event = {.events = events, .data = {.u32 = index}};
	int r =
	    epoll_ctl(sockets->epoll_fd, EPOLL_CTL_MOD, sockets->listeners[index].tcp_fd, &event);

	ASSERT(r == 0);
}

/* Errors of accept4(2) that are about this process or machine last a while, and level-triggered
 * epoll would spin on them: then the listener rests. The others are about one connection. */
static bool accept_one(struct sockets *sockets, uint32_t index)
{
	struct listener *listener = &sockets->listeners[index];
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);
	struct ip_address source;
	uint16_t source_port;
	int fd;

	fd = accept4(listener->tcp_fd, (struct sockaddr *)&address, &length,
	             SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
		counter_add(&sockets->counters.accept_paused, 1);
		listener->paused_until_us = sockets->now_us + ACCEPT_PAUSE_US;
		listener_watch(sockets, index, 0);
		return false;
	}
	if (fd < 0)
		return errno != EAGAIN;
	source = socket_source(&address, &source_port);
	if (!listener->port.allow_any && !socket_source_listed(&listener->port, &source)) {
		counter_add(&sockets->counters.refused_source, 1);
		close(fd);
		return true;
	}
	if (!port_is_unix(&listener->port) && blocked_contain(sockets->blocked, &source)) {
		counter_add(&sockets->counters.refused_blocked, 1);
		close(fd);
		return true;
	}
	connections_admit(&sockets->connections, fd);
	return true;
}

static void accept_ready(struct sockets *sockets)
{
	for (uint32_t i = 0; i < sockets->port_count; i++) {
		uint32_t left = sockets->listeners[i].ready ? ACCEPT_COUNT_MAX : 0;

		sockets->listeners[i].ready = false;
		while (left > 0 && accept_one(sockets, i))
			left--;
	}
}

/* Lets listeners that have rested try again. True: some rest still. */
static bool wake_listeners(struct sockets *sockets)
{
	bool resting = false;

	for (uint32_t i = 0; i < sockets->port_count; i++) {
		struct listener *listener = &sockets->listeners[i];

		if (listener->paused_until_us > sockets->now_us) {
			resting = true;
		} else if (listener->paused_until_us != 0) {
			listener->paused_until_us = 0;
			listener_watch(sockets, i, EPOLLIN);
		}
	}
	return resting;
}

/* Work that is left must not wait, and deadlines not for long. */
static int wait_ms(const struct sockets *sockets, bool listeners_rest, int timeout_ms)
{
	const struct connections *connections = &sockets->connections;

	if (connections->pending != NULL)
		return 0;
	if ((listeners_rest || !TAILQ_EMPTY(&connections->closing) ||
	     !TAILQ_EMPTY(&connections->draining)) &&
	    (timeout_ms < 0 || timeout_ms > DEADLINE_INTERVAL_MS))
		return DEADLINE_INTERVAL_MS;
	return timeout_ms;
}

static void dispatch(struct sockets *sockets, const struct epoll_event *event)
{
	uint32_t index = event->data.u32;
	struct listener *listener;

	if (index == EVENT_BELL) {
		uint64_t count;

		(void)!read(sockets->bell_fd, &count, sizeof(count));
	} else if (index >= EVENT_CONNECTION) {
		connections_handle(&sockets->connections, index - EVENT_CONNECTION, event->events);
	} else if (index >= EVENT_UDP) {
		listener = &sockets->listeners[index - EVENT_UDP];
		socket_udp_poll(sockets->udp, listener->udp_fd, &listener->port, sockets->blocked,
		                sockets, &sockets->options, &sockets->counters);
	} else {
		sockets->listeners[index].ready = true;
	}
}

static int wait_for(struct sockets *sockets, struct epoll_event events[EVENT_COUNT_MAX],
                    int timeout_ms)
{
	const struct socket_options *options = &sockets->options;
	bool sleeps = timeout_ms != 0 && options->fall_asleep != NULL;
	int count;

	if (sleeps && !options->fall_asleep(options->sleep_context))
		timeout_ms = 0;
	count = epoll_wait(sockets->epoll_fd, events, EVENT_COUNT_MAX, timeout_ms);
	ASSERT(count >= 0 || errno == EINTR);
	if (sleeps) {
		sockets->now_us = options->wake_up_us(options->sleep_context);
		sockets->connections.now_us = sockets->now_us;
	}
	return count;
}

/* New connections come last: a place is never reused while events of this poll are outstanding. */
uint32_t socket_poll(struct sockets *sockets, uint64_t now_us, int timeout_ms)
{
	struct epoll_event events[EVENT_COUNT_MAX];
	bool listeners_rest;
	int count;

	sockets->now_us = now_us;
	sockets->connections.now_us = now_us;
	listeners_rest = wake_listeners(sockets);
	connections_expire(&sockets->connections);
	connections_settle(&sockets->connections);
	count = wait_for(sockets, events, wait_ms(sockets, listeners_rest, timeout_ms));
	for (int i = 0; i < count; i++)
		dispatch(sockets, &events[i]);
	connections_settle(&sockets->connections);
	accept_ready(sockets);
	return count > 0 ? (uint32_t)count : 0;
}

uint32_t socket_each(struct sockets *sockets, uint32_t from, uint32_t count,
                     void (*visit)(void *context, struct stream *stream), void *context)
{
	return connections_each(&sockets->connections, from, count, visit, context);
}

void sockets_wake(struct sockets *sockets)
{
	uint64_t one = 1;

	(void)!write(sockets->bell_fd, &one, sizeof(one)); /* full: it is awake already */
}

void sockets_block(struct sockets *sockets, const struct blocked *blocked)
{
	sockets->blocked = blocked;
}

uint8_t *socket_reply_reserve(struct sockets *sockets)
{
	return socket_udp_reserve(sockets->udp);
}

void socket_reply(struct sockets *sockets, uint32_t length)
{
	socket_udp_reply(sockets->udp, length);
}

const struct socket_counters *socket_counters(const struct sockets *sockets)
{
	return &sockets->counters;
}

int sockets_create(struct sockets **ret_sockets, const struct socket_options *options,
                   struct memory *memory)
{
	struct epoll_event bell = {.events = EPOLLIN, .data = {.u32 = EVENT_BELL}};
	struct sockets *sockets;
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	int bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (epoll_fd < 0 || bell_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, bell_fd, &bell) < 0) {
		int r = -errno;

		if (epoll_fd >= 0)
			close(epoll_fd);
		if (bell_fd >= 0)
			close(bell_fd);
		return r;
	}
	sockets = memory_take(memory, sizeof(*sockets));
	*sockets = (struct sockets){.options = *options, .epoll_fd = epoll_fd, .bell_fd = bell_fd};
	sockets->udp = socket_udp_create(memory);
	connections_create(&sockets->connections, options, &sockets->counters, epoll_fd,
	                   EVENT_CONNECTION, memory);
	*ret_sockets = sockets;
	return 0;
}

void sockets_destroy(struct sockets *sockets)
{
	if (sockets == NULL)
		return;
	connections_destroy(&sockets->connections);
	for (uint32_t i = 0; i < sockets->port_count; i++) {
		if (sockets->listeners[i].owns_path)
			(void)unlink(sockets->listeners[i].port.name);
		if (sockets->listeners[i].tcp_fd >= 0)
			close(sockets->listeners[i].tcp_fd);
		if (sockets->listeners[i].udp_fd >= 0)
			close(sockets->listeners[i].udp_fd);
	}
	close(sockets->epoll_fd);
	close(sockets->bell_fd);
}

/* shared_fd: another worker's socket, to be used too; -1: there is none. */
static int listener_add(struct sockets *sockets, const struct port_options *port, int type,
                        int shared_fd, uint32_t event_index, int *ret_fd, char *error,
                        size_t error_bytes)
{
	struct epoll_event event = {.events = EPOLLIN, .data = {.u32 = event_index}};
	int fd = -1;
	int r = 0;

	if (shared_fd < 0) {
		r = socket_open(&fd, port, type, true, error, error_bytes);
	} else {
		fd = fcntl(shared_fd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0) {
			r = -errno;
			snprintf(error, error_bytes, "port socket %s: %s", port->name,
			         strerror(-r));
		}
	}
	if (r < 0)
		return r;
	if (epoll_ctl(sockets->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		r = -errno;
		snprintf(error, error_bytes, "port socket: epoll: %s", strerror(-r));
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

int socket_listen(struct sockets *sockets, const struct port_options *port,
                  const struct sockets *first, char *error, size_t error_bytes)
{
	uint32_t index = sockets->port_count;
	struct listener *listener = &sockets->listeners[index];
	bool shares = first != NULL && port_is_unix(port);
	int r = 0;

	ASSERT(port->kind == PORT_SOCKET);
	ASSERT(index < PORT_COUNT_MAX);
	*listener = (struct listener){.port = *port, .tcp_fd = -1, .udp_fd = -1};
	if (port->tcp_port != 0 || port_is_unix(port))
		r = listener_add(sockets, port, SOCK_STREAM,
		                 shares ? first->listeners[index].tcp_fd : -1, index,
		                 &listener->tcp_fd, error, error_bytes);
	if (r == 0 && port->udp_port != 0)
		r = listener_add(sockets, port, SOCK_DGRAM, -1, EVENT_UDP + index,
		                 &listener->udp_fd, error, error_bytes);
	if (r < 0) {
		if (listener->tcp_fd >= 0)
			close(listener->tcp_fd);
		return r;
	}
	listener->owns_path = port_is_unix(port) && !shares;
	sockets->port_count++;
	return 0;
}

int socket_check_free(const struct port_options *port, char *error, size_t error_bytes)
{
	int r = 0;
	int fd;

	if (port_is_unix(port))
		return socket_check_path(port, error, error_bytes);
	if (port->tcp_port != 0) {
		r = socket_open(&fd, port, SOCK_STREAM, false, error, error_bytes);
		if (r < 0)
			return r;
		close(fd);
	}
	if (port->udp_port != 0) {
		r = socket_open(&fd, port, SOCK_DGRAM, false, error, error_bytes);
		if (r < 0)
			return r;
		close(fd);
	}
	return 0;
}
