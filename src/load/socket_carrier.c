/* SPDX-License-Identifier: Apache-2.0 */
#include "load/socket_carrier.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define BUFFER_BYTES      (128 * 1024)
#define EVENT_COUNT_MAX   256
#define CONNECT_BATCH     64 /* in progress at a time: below any server's backlog */
#define UDP_RECEIVE_BYTES (8 << 20)

struct socket_connection {
	int fd;       /* -1: closed */
	bool is_full; /* TCP: the kernel takes no more until EPOLLOUT */
};

struct socket_carrier {
	struct carrier carrier;
	struct sockaddr_storage address;
	socklen_t address_bytes;
	struct client *client;
	struct socket_connection *connections;
	int epoll_fd; /* -1: none */
	uint8_t buffer[BUFFER_BYTES];
};

static int connection_open(struct socket_carrier *self, struct socket_connection *connection)
{
	bool is_udp = self->client->options.is_udp;
	int type = is_udp ? SOCK_DGRAM : SOCK_STREAM;
	int bytes = UDP_RECEIVE_BYTES;
	int on = 1;
	int fd = socket(self->address.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	connection->fd = fd;
	/* Replies of 1 MiB come as bursts of datagrams. Past the system's limit if we may, up to
	 * it otherwise: what overflows shows as loss. */
	if (is_udp && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (!is_udp && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&self->address, self->address_bytes) < 0 &&
	    errno != EINPROGRESS)
		return -errno;
	return 0;
}

/* Waits for the connects in progress; for UDP there is nothing to wait for. */
static int connections_await(const struct socket_connection *connections, uint32_t count)
{
	uint64_t deadline_ns = client_now_ns() + CLIENT_CONNECT_NS;

	for (uint32_t i = 0; i < count; i++) {
		struct pollfd pollfd = {.fd = connections[i].fd, .events = POLLOUT};
		uint64_t now_ns = client_now_ns();
		uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
		int r = poll(&pollfd, 1, (int)(left_ns / 1000000));
		int error;
		socklen_t error_bytes = sizeof(error);

		if (r < 0)
			return -errno;
		if (r == 0)
			return -ETIMEDOUT;
		if (getsockopt(pollfd.fd, SOL_SOCKET, SO_ERROR, &error, &error_bytes) < 0)
			return -errno;
		if (error != 0)
			return -error;
	}
	return 0;
}

static int connect_all(struct socket_carrier *self)
{
	uint32_t count = self->client->options.connection_count;
	int r;

	for (uint32_t i = 0; i < count; i++) {
		struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		                            .data.u32 = i};
		uint32_t batch_count = i % CONNECT_BATCH + 1;

		r = connection_open(self, &self->connections[i]);
		if (r < 0)
			return r;
		if (batch_count == CONNECT_BATCH || i + 1 == count) {
			r = connections_await(&self->connections[i + 1 - batch_count], batch_count);
			if (r < 0)
				return r;
		}
		if (epoll_ctl(self->epoll_fd, EPOLL_CTL_ADD, self->connections[i].fd, &event) < 0)
			return -errno;
	}
	return 0;
}

static int carrier_connect(struct carrier *carrier, struct client *client)
{
	struct socket_carrier *self = (struct socket_carrier *)carrier;
	uint32_t count = client->options.connection_count;

	self->client = client;
	self->connections = calloc(count, sizeof(*self->connections));
	if (self->connections == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		self->connections[i].fd = -1;
	self->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (self->epoll_fd < 0)
		return -errno;
	return connect_all(self);
}

static void carrier_close(struct carrier *carrier, uint32_t index)
{
	struct socket_carrier *self = (struct socket_carrier *)carrier;

	if (self->connections[index].fd >= 0)
		close(self->connections[index].fd);
	self->connections[index].fd = -1;
}

static void carrier_disconnect(struct carrier *carrier)
{
	struct socket_carrier *self = (struct socket_carrier *)carrier;

	for (uint32_t i = 0;
	     self->connections != NULL && i < self->client->options.connection_count; i++)
		carrier_close(carrier, i);
	if (self->epoll_fd >= 0)
		close(self->epoll_fd);
	self->epoll_fd = -1;
	free(self->connections);
	self->connections = NULL;
}

/* error: an errno, or 0 when the server has closed it. */
static void connection_lost(struct socket_carrier *self, uint32_t index, int error)
{
	client_lost(self->client, index, error == 0 ? "closed by the server" : strerror(error));
}

/* Sends what the kernel takes. */
static void carrier_flush(struct carrier *carrier, uint32_t index)
{
	struct socket_carrier *self = (struct socket_carrier *)carrier;
	struct socket_connection *connection = &self->connections[index];
	struct client_connection *asker = &self->client->connections[index];

	while (!connection->is_full) {
		size_t length =
		    conversation_peek(&asker->conversation, self->buffer, sizeof(self->buffer));
		ssize_t sent;

		if (length == 0)
			return;
		sent = send(connection->fd, self->buffer, length, MSG_NOSIGNAL);
		if (sent < 0 && errno != EAGAIN) {
			connection_lost(self, index, errno);
			return;
		}
		if (sent > 0) {
			conversation_sent(&asker->conversation, (size_t)sent);
			asker->progress_ns = client_now_ns();
		}
		/* Less than all: the edge comes when there is space (epoll(7), question 9). */
		connection->is_full = sent < (ssize_t)length;
	}
}

static void carrier_send(struct carrier *carrier, uint32_t index, const uint8_t *bytes,
                         size_t length)
{
	struct socket_carrier *self = (struct socket_carrier *)carrier;

	if (send(self->connections[index].fd, bytes, length, MSG_NOSIGNAL) < 0 &&
	    errno == ECONNREFUSED)
		connection_lost(self, index, errno);
}

/* Receives all there is. On TCP less than was asked for is the last (epoll(7), question 9), unless
 * the server has closed: that edge does not come again. */
static void connection_receive(struct socket_carrier *self, uint32_t index, bool is_ending)
{
	bool is_udp = self->client->options.is_udp;

	while (self->connections[index].fd >= 0) {
		ssize_t length = recv(self->connections[index].fd, self->buffer,
		                      sizeof(self->buffer), MSG_DONTWAIT);

		if (length < 0 && errno == EAGAIN)
			return;
		if (length < 0 || (length == 0 && !is_udp)) {
			connection_lost(self, index, length < 0 ? errno : 0);
			return;
		}
		if (!client_received(self->client, index, self->buffer, (size_t)length,
		                     client_now_ns()))
			return;
		if (!is_udp && !is_ending && length < (ssize_t)sizeof(self->buffer))
			return;
	}
}

static void connection_event(struct socket_carrier *self, const struct epoll_event *event)
{
	const uint32_t ending = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
	uint32_t index = event->data.u32;

	if (self->connections[index].fd < 0)
		return;
	if (event->events & EPOLLOUT)
		self->connections[index].is_full = false;
	if (event->events & (EPOLLIN | ending))
		connection_receive(self, index, (event->events & ending) != 0);
	if (self->connections[index].fd >= 0)
		client_refill(self->client, index, client_now_ns());
}

static int carrier_serve(struct carrier *carrier, uint64_t wait_ns)
{
	struct socket_carrier *self = (struct socket_carrier *)carrier;
	struct epoll_event events[EVENT_COUNT_MAX];
	struct timespec timeout = {.tv_sec = (time_t)(wait_ns / CLIENT_NS_PER_S),
	                           .tv_nsec = (long)(wait_ns % CLIENT_NS_PER_S)};
	int count = epoll_pwait2(self->epoll_fd, events, EVENT_COUNT_MAX, &timeout, NULL);

	if (count < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < count; i++)
		connection_event(self, &events[i]);
	return 0;
}

static const struct carrier_ops ops = {
    .connect = carrier_connect,
    .disconnect = carrier_disconnect,
    .flush = carrier_flush,
    .send = carrier_send,
    .close = carrier_close,
    .serve = carrier_serve,
};

int socket_carrier_create(struct carrier **ret_carrier, const struct sockaddr *address,
                          socklen_t address_bytes)
{
	struct socket_carrier *self = calloc(1, sizeof(*self));

	if (self == NULL)
		return -ENOMEM;
	self->carrier.ops = &ops;
	memcpy(&self->address, address, address_bytes);
	self->address_bytes = address_bytes;
	self->epoll_fd = -1;
	*ret_carrier = &self->carrier;
	return 0;
}

void socket_carrier_destroy(struct carrier *carrier)
{
	free(carrier);
}
