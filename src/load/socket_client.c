/* SPDX-License-Identifier: Apache-2.0 */
#include "load/socket_client.h"

#include "load/datagrams.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S           UINT64_C(1000000000)
#define BUFFER_BYTES       (128 * 1024)
#define EVENT_COUNT_MAX    256
#define CONNECT_BATCH      64 /* in progress at a time: below any server's backlog */
#define CONNECT_TIMEOUT_MS 5000
#define SWEEP_NS           (NS_PER_S / 10)
#define STALL_NS           (30 * NS_PER_S) /* TCP: no byte moves, though a reply is due */
#define DRAIN_NS           (10 * NS_PER_S) /* for the replies after the last request */
#define DATAGRAM_LOSS_NS   NS_PER_S
#define SPIN_NS            100000 /* timers may be late by about that much */
#define HELD_COUNT         4096   /* early datagrams */
#define UDP_RECEIVE_BYTES  (8 << 20)

struct connection {
	union {
		struct conversation conversation; /* TCP */
		struct datagrams datagrams;       /* UDP */
	};
	uint64_t progress_ns; /* TCP: when bytes last moved */
	int fd;               /* -1: closed */
	bool is_full;         /* TCP: the kernel takes no more until EPOLLOUT */
	bool is_ready;        /* is in the client's queue of connections with room */
};

struct socket_client {
	struct socket_client_options options;
	struct workload *workload;
	struct connection *connections;
	struct memory memory; /* all requests in flight, and the shelf */
	struct datagram_shelf shelf;
	int epoll_fd;
	uint32_t open_count;

	/* One run. */
	uint64_t requests_left;
	uint64_t in_flight_count;
	uint64_t answered_ns; /* when bytes last came */
	uint64_t cut_ns;      /* when asking was cut short, by time or otherwise; 0: was not */
	double rate;
	double arrival_ns; /* with a rate: when the next request is due */

	/* With a rate: connections with room, served in turn. */
	uint32_t *ready_ring;
	uint32_t ready_first;
	uint32_t ready_count;

	uint8_t buffer[BUFFER_BYTES];
};

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static int connection_open(struct socket_client *client, struct connection *connection)
{
	int type = client->options.is_udp ? SOCK_DGRAM : SOCK_STREAM;
	int bytes = UDP_RECEIVE_BYTES;
	int on = 1;
	int fd = socket(client->options.address.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	connection->fd = fd;
	client->open_count++;
	/* Replies of 1 MiB come as bursts of datagrams. Past the system's limit if we may, up to
	 * it otherwise: what overflows shows as loss. */
	if (client->options.is_udp &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (!client->options.is_udp &&
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&client->options.address,
	            client->options.address_bytes) < 0 &&
	    errno != EINPROGRESS)
		return -errno;
	return 0;
}

/* Waits for the connects in progress; for UDP there is nothing to wait for. */
static int connections_await(const struct connection *connections, uint32_t count)
{
	uint64_t deadline_ns = clock_ns() + CONNECT_TIMEOUT_MS * UINT64_C(1000000);

	for (uint32_t i = 0; i < count; i++) {
		struct pollfd pollfd = {.fd = connections[i].fd, .events = POLLOUT};
		uint64_t now_ns = clock_ns();
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

static int connect_all(struct socket_client *client)
{
	uint32_t count = client->options.connection_count;
	int r;

	for (uint32_t i = 0; i < count; i++) {
		struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
		uint32_t batch_count = i % CONNECT_BATCH + 1;

		r = connection_open(client, &client->connections[i]);
		if (r < 0)
			return r;
		if (batch_count == CONNECT_BATCH || i + 1 == count) {
			r = connections_await(&client->connections[i + 1 - batch_count],
			                      batch_count);
			if (r < 0)
				return r;
		}
		event.data.ptr = &client->connections[i];
		if (epoll_ctl(client->epoll_fd, EPOLL_CTL_ADD, client->connections[i].fd, &event) <
		    0)
			return -errno;
	}
	return 0;
}

/* Mapped rather than allocated: pages that no request reaches cost nothing. */
static int memory_map(struct socket_client *client)
{
	const struct socket_client_options *options = &client->options;
	size_t one = options->is_udp ? datagrams_bytes(options->pipeline)
	                             : conversation_bytes(options->pipeline);
	void *base;

	client->memory.bytes = one * options->connection_count;
	if (options->is_udp)
		client->memory.bytes += datagram_shelf_bytes(HELD_COUNT);
	base = mmap(NULL, client->memory.bytes, PROT_READ | PROT_WRITE,
	            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return -errno;
	client->memory.base = base;
	return 0;
}

int socket_client_create(struct socket_client **ret_client, struct workload *workload,
                         const struct socket_client_options *options)
{
	uint32_t count = options->connection_count;
	struct socket_client *client = calloc(1, sizeof(*client));
	int r = -ENOMEM;

	if (client == NULL)
		return r;
	client->options = *options;
	client->workload = workload;
	client->epoll_fd = -1;
	client->connections = calloc(count, sizeof(*client->connections));
	client->ready_ring = calloc(count, sizeof(*client->ready_ring));
	if (client->connections == NULL || client->ready_ring == NULL)
		goto fail;
	for (uint32_t i = 0; i < count; i++)
		client->connections[i].fd = -1;
	r = memory_map(client);
	if (r < 0)
		goto fail;
	if (options->is_udp)
		datagram_shelf_create(&client->shelf, HELD_COUNT, &client->memory);
	for (uint32_t i = 0; i < count; i++) {
		if (options->is_udp)
			datagrams_create(&client->connections[i].datagrams, workload,
			                 &client->shelf, options->pipeline, &client->memory);
		else
			conversation_create(&client->connections[i].conversation, workload,
			                    options->pipeline, &client->memory);
	}
	client->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (client->epoll_fd < 0) {
		r = -errno;
		goto fail;
	}
	r = connect_all(client);
	if (r < 0)
		goto fail;
	*ret_client = client;
	return 0;
fail:
	socket_client_destroy(client);
	return r;
}

void socket_client_destroy(struct socket_client *client)
{
	if (client == NULL)
		return;
	for (uint32_t i = 0; client->connections != NULL && i < client->options.connection_count;
	     i++) {
		if (client->connections[i].fd >= 0)
			close(client->connections[i].fd);
	}
	if (client->epoll_fd >= 0)
		close(client->epoll_fd);
	if (client->memory.base != NULL)
		munmap(client->memory.base, client->memory.bytes);
	free(client->ready_ring);
	free(client->connections);
	free(client);
}

static uint32_t connection_in_flight(const struct socket_client *client,
                                     const struct connection *connection)
{
	return client->options.is_udp ? connection->datagrams.busy_count
	                              : conversation_unanswered(&connection->conversation);
}

static bool connection_has_room(const struct socket_client *client,
                                const struct connection *connection)
{
	if (connection->fd < 0)
		return false;
	return client->options.is_udp ? datagrams_have_room(&connection->datagrams)
	                              : conversation_has_room(&connection->conversation);
}

/* What is in flight on it will not be answered any more. */
static void connection_close(struct socket_client *client, struct connection *connection)
{
	uint32_t in_flight = connection_in_flight(client, connection);

	if (client->options.is_udp)
		datagrams_expire(&connection->datagrams, UINT64_MAX, 0);
	else
		client->workload->counters.unanswered += in_flight;
	client->in_flight_count -= in_flight;
	client->open_count--;
	close(connection->fd);
	connection->fd = -1;
}

/* error: an errno, or 0 when the server has closed it. */
static void connection_lost(struct socket_client *client, struct connection *connection, int error)
{
	client->workload->counters.lost_connections++;
	workload_note_fault(
	    client->workload, "connection %u was lost with %u requests in flight: %s",
	    (unsigned)(connection - client->connections), connection_in_flight(client, connection),
	    error == 0 ? "closed by the server" : strerror(error));
	connection_close(client, connection);
}

static void connection_stalled(struct socket_client *client, struct connection *connection)
{
	client->workload->counters.stalled_connections++;
	workload_note_fault(client->workload, "connection %u got no more replies to %u requests",
	                    (unsigned)(connection - client->connections),
	                    connection_in_flight(client, connection));
	connection_close(client, connection);
}

/* Sends what the kernel takes. */
static void connection_flush(struct socket_client *client, struct connection *connection)
{
	while (!connection->is_full) {
		size_t length = conversation_peek(&connection->conversation, client->buffer,
		                                  sizeof(client->buffer));
		ssize_t sent;

		if (length == 0)
			return;
		sent = send(connection->fd, client->buffer, length, MSG_NOSIGNAL);
		if (sent < 0 && errno != EAGAIN) {
			connection_lost(client, connection, errno);
			return;
		}
		if (sent > 0) {
			conversation_sent(&connection->conversation, (size_t)sent);
			connection->progress_ns = clock_ns();
		}
		/* Less than all: the edge comes when there is space (epoll(7), question 9). */
		connection->is_full = sent < (ssize_t)length;
	}
}

/* Asks one request; on TCP it still has to be flushed. */
static void connection_ask(struct socket_client *client, struct connection *connection,
                           uint64_t intended_ns)
{
	uint8_t datagram[DATAGRAM_REQUEST_BYTES_MAX];
	size_t length;

	client->requests_left--;
	client->in_flight_count++;
	if (!client->options.is_udp) {
		if (conversation_unanswered(&connection->conversation) == 0)
			connection->progress_ns = clock_ns();
		conversation_ask(&connection->conversation, intended_ns);
		return;
	}
	length = datagrams_ask(&connection->datagrams, intended_ns, clock_ns(), datagram);
	if (send(connection->fd, datagram, length, MSG_NOSIGNAL) < 0 && errno == ECONNREFUSED)
		connection_lost(client, connection, errno);
}

static void ready_push(struct socket_client *client, struct connection *connection)
{
	uint32_t count = client->options.connection_count;

	if (connection->is_ready || !connection_has_room(client, connection))
		return;
	connection->is_ready = true;
	client->ready_ring[(client->ready_first + client->ready_count++) % count] =
	    (uint32_t)(connection - client->connections);
}

static struct connection *ready_pop(struct socket_client *client)
{
	struct connection *connection =
	    &client->connections[client->ready_ring[client->ready_first]];

	client->ready_first = (client->ready_first + 1) % client->options.connection_count;
	client->ready_count--;
	connection->is_ready = false;
	return connection;
}

/* After room may have come about. Closed loop: asks as much as fits. */
static void connection_refill(struct socket_client *client, struct connection *connection)
{
	if (client->rate > 0) {
		ready_push(client, connection);
	} else if (client->requests_left > 0 && connection_has_room(client, connection)) {
		uint64_t now_ns = clock_ns();

		while (client->requests_left > 0 && connection_has_room(client, connection))
			connection_ask(client, connection, now_ns);
	}
	if (!client->options.is_udp && connection->fd >= 0)
		connection_flush(client, connection);
}

/* Asks what is due by now, as far as there is room; what finds none waits, its time counting. */
static void ask_due(struct socket_client *client, uint64_t now_ns)
{
	uint32_t turns_left = client->ready_count;

	while (turns_left-- > 0 && client->requests_left > 0 &&
	       client->arrival_ns <= (double)now_ns) {
		struct connection *connection = ready_pop(client);

		if (!connection_has_room(client, connection))
			continue;
		connection_ask(client, connection, (uint64_t)client->arrival_ns);
		client->arrival_ns += workload_gap_ns(client->workload, client->rate);
		connection_refill(client, connection);
	}
}

/* Receives all there is. On TCP less than was asked for is the last (epoll(7), question 9), unless
 * the server has closed: that edge does not come again. */
static void connection_receive(struct socket_client *client, struct connection *connection,
                               bool is_ending)
{
	while (connection->fd >= 0) {
		uint32_t before = connection_in_flight(client, connection);
		ssize_t length =
		    recv(connection->fd, client->buffer, sizeof(client->buffer), MSG_DONTWAIT);
		bool is_good = true;

		if (length < 0 && errno == EAGAIN)
			return;
		if (length < 0 || (length == 0 && !client->options.is_udp)) {
			connection_lost(client, connection, length < 0 ? errno : 0);
			return;
		}
		client->answered_ns = clock_ns();
		if (client->options.is_udp) {
			datagrams_receive(&connection->datagrams, client->buffer, (size_t)length,
			                  client->answered_ns);
		} else {
			connection->progress_ns = client->answered_ns;
			is_good = conversation_receive(&connection->conversation, client->buffer,
			                               (size_t)length, client->answered_ns);
		}
		client->in_flight_count -= before - connection_in_flight(client, connection);
		if (!is_good)
			connection_close(client, connection);
		else if (!client->options.is_udp && !is_ending &&
		         length < (ssize_t)sizeof(client->buffer))
			return;
	}
}

static void connection_event(struct socket_client *client, const struct epoll_event *event)
{
	const uint32_t ending = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
	struct connection *connection = event->data.ptr;

	if (connection->fd < 0)
		return;
	if (event->events & EPOLLOUT)
		connection->is_full = false;
	if (event->events & (EPOLLIN | ending))
		connection_receive(client, connection, (event->events & ending) != 0);
	if (connection->fd >= 0)
		connection_refill(client, connection);
}

/* Time-outs. */
static void sweep(struct socket_client *client, uint64_t now_ns)
{
	for (uint32_t i = 0; i < client->options.connection_count; i++) {
		struct connection *connection = &client->connections[i];
		uint32_t in_flight = connection_in_flight(client, connection);

		if (connection->fd < 0 || in_flight == 0)
			continue;
		if (client->options.is_udp) {
			datagrams_expire(&connection->datagrams, now_ns, DATAGRAM_LOSS_NS);
			client->in_flight_count -=
			    in_flight - connection_in_flight(client, connection);
			connection_refill(client, connection);
		} else if (now_ns > connection->progress_ns + STALL_NS) {
			connection_stalled(client, connection);
		}
	}
}

static int wait_and_serve(struct socket_client *client, uint64_t wait_ns)
{
	struct epoll_event events[EVENT_COUNT_MAX];
	struct timespec timeout = {.tv_sec = (time_t)(wait_ns / NS_PER_S),
	                           .tv_nsec = (long)(wait_ns % NS_PER_S)};
	int count = epoll_pwait2(client->epoll_fd, events, EVENT_COUNT_MAX, &timeout, NULL);

	if (count < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < count; i++)
		connection_event(client, &events[i]);
	return 0;
}

/* How long nothing but a reply can make work. */
static uint64_t wait_ns_max(const struct socket_client *client, uint64_t now_ns, uint64_t until_ns)
{
	uint64_t wait_ns = until_ns > now_ns ? until_ns - now_ns : 0;

	if (client->rate > 0 && client->requests_left > 0 && client->ready_count > 0) {
		double due_ns = client->arrival_ns - (double)now_ns - SPIN_NS;

		wait_ns = due_ns <= 0 ? 0 : min_u64(wait_ns, (uint64_t)due_ns);
	}
	return wait_ns;
}

static void run_begin(struct socket_client *client, const struct socket_client_run *run,
                      uint64_t now_ns)
{
	client->requests_left = run->request_count;
	client->answered_ns = now_ns;
	client->cut_ns = 0;
	client->rate = run->rate;
	if (run->rate > 0)
		client->arrival_ns = (double)now_ns + workload_gap_ns(client->workload, run->rate);
	for (uint32_t i = 0; i < client->options.connection_count; i++) {
		if (client->connections[i].fd >= 0)
			connection_refill(client, &client->connections[i]);
	}
}

/* No more requests from here on: what was still to come is cut. */
static void run_stop_asking(struct socket_client *client, uint64_t now_ns,
                            struct socket_client_result *result)
{
	if (client->requests_left == 0)
		return;
	client->cut_ns = now_ns;
	if (client->rate > 0 && client->arrival_ns < (double)now_ns)
		result->overdue_count =
		    (uint64_t)(((double)now_ns - client->arrival_ns) * client->rate / 1e9);
	client->requests_left = 0;
}

int socket_client_run(struct socket_client *client, const struct socket_client_run *run,
                      struct socket_client_result *ret_result)
{
	struct socket_client_result result = {0};
	uint64_t start_ns = clock_ns();
	uint64_t now_ns = start_ns;
	uint64_t sweep_ns = start_ns + SWEEP_NS;
	uint64_t end_ns =
	    run->duration_ns > UINT64_MAX - start_ns ? UINT64_MAX : start_ns + run->duration_ns;
	uint64_t drain_end_ns = UINT64_MAX;
	int r;

	run_begin(client, run, start_ns);
	while (client->open_count > 0 && !*run->interrupted && now_ns < drain_end_ns) {
		if (now_ns >= end_ns)
			run_stop_asking(client, end_ns, &result);
		if (client->requests_left == 0 && client->in_flight_count == 0)
			break;
		if (client->requests_left == 0 && drain_end_ns == UINT64_MAX)
			drain_end_ns = now_ns + DRAIN_NS;
		if (client->rate > 0)
			ask_due(client, now_ns);
		r = wait_and_serve(
		    client,
		    wait_ns_max(client, now_ns,
		                client->requests_left > 0 ? min_u64(end_ns, sweep_ns) : sweep_ns));
		if (r < 0)
			return r;
		now_ns = clock_ns();
		if (now_ns >= sweep_ns) {
			sweep(client, now_ns);
			sweep_ns = now_ns + SWEEP_NS;
		}
	}
	run_stop_asking(client, min_u64(now_ns, end_ns), &result);
	for (uint32_t i = 0; now_ns >= drain_end_ns && i < client->options.connection_count; i++) {
		if (client->connections[i].fd >= 0 &&
		    connection_in_flight(client, &client->connections[i]) > 0)
			connection_stalled(client, &client->connections[i]);
	}
	result.elapsed_ns = max_u64(client->answered_ns, client->cut_ns) - start_ns;
	*ret_result = result;
	return 0;
}
