/* SPDX-License-Identifier: Apache-2.0 */
#include "net/socket_connection.h"

#include "net/socket_open.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <unistd.h>

#define PIECE_COUNT_MAX    128  /* blocks a sendmsg */
#define BACKLOG_READ_BYTES 4096 /* a read from a peer that does not take its replies */
#define SPARE_COUNT        64   /* places, beyond the limit, for connections that are ending */
#define DRAIN_BYTES_MAX    (1024 * 1024)
#define DRAIN_US           2000000
#define CLOSING_STALL_US   10000000

static const char too_many_text[] = "ERROR Too many open connections\r\n"; /* memcached's */

enum connection_state {
	CONNECTION_FREE,
	CONNECTION_OPEN,
	CONNECTION_CLOSING,  /* close() was called: `out` is being sent, what comes is discarded */
	CONNECTION_DRAINING, /* we have sent FIN; the user is gone; what comes is discarded, as
	                        closing with unread bytes would reset, and the peer could lose the
	                        end of our reply (RFC 2525 2.17) */
	CONNECTION_DEAD,     /* to be destroyed at the next safe point */
};

struct connection {
	struct stream stream; /* first: the streams that users see are these */
	struct connections *owner;
	struct chain unread; /* what the user has refused */
	TAILQ_ENTRY(connection) ending;
	struct connection *next; /* in `free` or `pending` */
	uint64_t deadline_us;    /* closing or draining */
	uint32_t drain_bytes_left;
	uint32_t interest; /* epoll's events, as the kernel knows them */
	int fd;
	enum connection_state state;
	uint32_t unread_blocks; /* of the share of the pool that all have together */
	bool has_user;
	bool pending;
	bool wants_send;
	bool wants_offer; /* the user has called resume() */
	bool paused;      /* the user has refused bytes: no reading */
	bool blocked;     /* the send buffer is full */
	bool ended;       /* the peer has sent FIN */
	bool reset;       /* end by RST */
};

_Static_assert(sizeof(struct connection) <= 256, "an idle connection is small");

static struct connection *connection_of(struct stream *stream)
{
	return (struct connection *)stream;
}

static void connection_pend(struct connection *connection)
{
	if (connection->pending)
		return;
	connection->pending = true;
	connection->next = NULL;
	*connection->owner->pending_end = connection;
	connection->owner->pending_end = &connection->next;
}

static void connection_leave_lists(struct connection *connection)
{
	struct connections *owner = connection->owner;

	if (connection->state == CONNECTION_CLOSING)
		TAILQ_REMOVE(&owner->closing, connection, ending);
	else if (connection->state == CONNECTION_DRAINING)
		TAILQ_REMOVE(&owner->draining, connection, ending);
}

static void connection_set_closing(struct connection *connection)
{
	struct connections *owner = connection->owner;

	connection_leave_lists(connection);
	connection->state = CONNECTION_CLOSING;
	connection->deadline_us = owner->now_us + CLOSING_STALL_US;
	TAILQ_INSERT_TAIL(&owner->closing, connection, ending);
}

static void connection_set_draining(struct connection *connection)
{
	struct connections *owner = connection->owner;

	connection_leave_lists(connection);
	connection->state = CONNECTION_DRAINING;
	connection->deadline_us = owner->now_us + DRAIN_US;
	connection->drain_bytes_left = DRAIN_BYTES_MAX;
	TAILQ_INSERT_TAIL(&owner->draining, connection, ending);
}

static void connection_set_dead(struct connection *connection, bool reset)
{
	connection_leave_lists(connection);
	connection->state = CONNECTION_DEAD;
	connection->reset = reset;
	connection_pend(connection);
}

static void connection_forget_unread(struct connection *connection)
{
	connection->owner->unread_blocks -= connection->unread_blocks;
	connection->unread_blocks = 0;
	chain_clear(&connection->unread);
}

/* The user's part is over; `out` is empty for whoever has the place next. */
static void connection_release_user(struct connection *connection)
{
	struct connections *owner = connection->owner;

	if (connection->has_user) {
		connection->has_user = false;
		counter_subtract(&owner->counters->open, 1);
		owner->user->closed(owner->user->context, &connection->stream);
	}
	connection_forget_unread(connection);
	chain_clear(&connection->stream.out);
}

/* Only where no user and no event of this connection is on the stack. */
static void connection_destroy(struct connection *connection)
{
	struct connections *owner = connection->owner;

	ASSERT(!connection->pending);
	connection_leave_lists(connection);
	connection_release_user(connection);
	if (connection->reset) {
		struct linger none = {.l_onoff = 1, .l_linger = 0};

		setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	}
	close(connection->fd);
	connection->state = CONNECTION_FREE;
	connection->next = owner->free;
	owner->free = connection;
}

static void stream_push(struct stream *stream)
{
	struct connection *connection = connection_of(stream);

	if (connection->state != CONNECTION_OPEN)
		return;
	connection->wants_send = true;
	if (!connection->blocked)
		connection_pend(connection);
}

static void stream_close(struct stream *stream)
{
	struct connection *connection = connection_of(stream);

	if (connection->state != CONNECTION_OPEN)
		return;
	connection_set_closing(connection);
	connection->wants_send = true;
	connection_pend(connection);
}

static void stream_abort(struct stream *stream)
{
	struct connection *connection = connection_of(stream);

	if (connection->state == CONNECTION_OPEN || connection->state == CONNECTION_CLOSING)
		connection_set_dead(connection, true);
}

static void stream_resume(struct stream *stream)
{
	struct connection *connection = connection_of(stream);

	if (connection->state != CONNECTION_OPEN)
		return;
	connection->wants_offer = true;
	connection_pend(connection);
}

/* What the kernel does not tell is left zero: a client that has gone. */
static void stream_describe(const struct stream *stream, struct stream_ends *ret_ends)
{
	const struct connection *connection = (const struct connection *)stream;
	struct sockaddr_storage local = {0}, remote = {0};
	socklen_t local_bytes = sizeof(local), remote_bytes = sizeof(remote);

	*ret_ends = (struct stream_ends){.id = (uint32_t)connection->fd};
	if (getsockname(connection->fd, (struct sockaddr *)&local, &local_bytes) < 0 ||
	    getpeername(connection->fd, (struct sockaddr *)&remote, &remote_bytes) < 0)
		return;
	ret_ends->is_unix = local.ss_family == AF_UNIX;
	if (ret_ends->is_unix)
		return;
	ret_ends->local = socket_source(&local, &ret_ends->local_port);
	ret_ends->remote = socket_source(&remote, &ret_ends->remote_port);
}

static const struct stream_ops stream_ops = {
    .push = stream_push,
    .close = stream_close,
    .abort = stream_abort,
    .resume = stream_resume,
    .describe = stream_describe,
};

static bool connection_reads(const struct connection *connection)
{
	return !connection->ended && !(connection->state == CONNECTION_OPEN && connection->paused);
}

static int connection_watch(struct connection *connection, int operation, uint32_t events)
{
	struct connections *owner = connection->owner;
	struct epoll_event event = {.events = events};

	connection->interest = events;
	event.data.u32 = owner->event_base + (uint32_t)(connection - owner->places);
	return epoll_ctl(owner->epoll_fd, operation, connection->fd, &event) < 0 ? -errno : 0;
}

static void connection_update_interest(struct connection *connection)
{
	uint32_t events = (connection_reads(connection) ? (uint32_t)EPOLLIN : 0) |
	                  (connection->blocked ? (uint32_t)EPOLLOUT : 0);
	int r;

	if (events == connection->interest)
		return;
	r = connection_watch(connection, EPOLL_CTL_MOD, events);
	ASSERT(r == 0);
}

/* In whole blocks, as that is what it costs. */
static void connection_keep(struct connection *connection, const uint8_t *bytes, uint32_t length)
{
	struct connections *owner = connection->owner;
	uint32_t blocks = (length + BLOCK_CAPACITY - 1) / BLOCK_CAPACITY;

	if (owner->unread_blocks + blocks > owner->unread_blocks_max ||
	    !chain_append(&connection->unread, bytes, length)) {
		counter_add(&owner->counters->reset_no_memory, 1);
		connection_set_dead(connection, true);
		return;
	}
	owner->unread_blocks += blocks;
	connection->unread_blocks = blocks;
	connection->paused = true;
	connection_pend(connection);
}

/* A peer that leaves its replies unread is likely to be refused soon: small reads keep small what
 * must then be kept. */
static void connection_read(struct connection *connection)
{
	struct connections *owner = connection->owner;
	const struct stream_user *user = owner->user;
	ssize_t n = recv(connection->fd, owner->read_buffer,
	                 connection->blocked ? BACKLOG_READ_BYTES : SOCKET_READ_BYTES, 0);
	uint32_t taken;

	if (n < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return;
		counter_add(&owner->counters->reset_by_peer, 1);
		connection_set_dead(connection, false);
		return;
	}
	if (n == 0) {
		connection->ended = true;
		connection_pend(connection);
		user->finished(user->context, &connection->stream);
		return;
	}
	counter_add(&owner->counters->received_bytes, (uint64_t)n);
	taken = user->received(user->context, &connection->stream, owner->read_buffer, (uint32_t)n);
	ASSERT(taken <= (uint64_t)n);
	if (taken < (uint64_t)n && connection->state == CONNECTION_OPEN)
		connection_keep(connection, owner->read_buffer + taken, (uint32_t)n - taken);
}

/* Offers again what was refused; all taken means that reading goes on. */
static void connection_offer(struct connection *connection)
{
	const struct stream_user *user = connection->owner->user;

	connection->wants_offer = false;
	while (connection->state == CONNECTION_OPEN && connection->unread.length > 0) {
		struct block *block = connection->unread.first;
		uint32_t length = block->length;
		uint32_t taken =
		    user->received(user->context, &connection->stream, block->data, length);

		ASSERT(taken <= length);
		chain_drop_front(&connection->unread, taken);
		if (taken < length)
			return;
	}
	connection_forget_unread(connection);
	connection->paused = false;
}

static void connection_discard(struct connection *connection)
{
	ssize_t n = recv(connection->fd, connection->owner->read_buffer, SOCKET_READ_BYTES, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		connection->ended = true;
	if (n < 0) {
		counter_add(&connection->owner->counters->reset_by_peer, 1);
		connection_set_dead(connection, false);
	} else if (connection->state == CONNECTION_DRAINING) {
		if (n == 0 || (uint64_t)n > connection->drain_bytes_left)
			connection_set_dead(connection, false);
		else
			connection->drain_bytes_left -= (uint32_t)n;
	} else if (n == 0) {
		connection_pend(connection); /* for its interest */
	}
}

static uint32_t gather(const struct chain *chain, struct iovec *pieces, size_t *ret_bytes)
{
	uint32_t count = 0;
	size_t bytes = 0;

	for (struct block *block = chain->first; block != NULL && count < PIECE_COUNT_MAX;
	     block = block->next) {
		pieces[count].iov_base = (void *)(uintptr_t)block->data;
		pieces[count++].iov_len = block->length;
		bytes += block->length;
	}
	*ret_bytes = bytes;
	return count;
}

/* Sends `out` until it is empty or the kernel has enough. */
static void connection_send(struct connection *connection)
{
	struct connections *owner = connection->owner;
	const struct stream_user *user = owner->user;
	struct chain *out = &connection->stream.out;
	struct iovec pieces[PIECE_COUNT_MAX];
	uint64_t before = out->length;

	connection->wants_send = false;
	while (out->length > 0 && !connection->blocked) {
		struct msghdr message = {.msg_iov = pieces};
		size_t bytes;
		ssize_t n;

		message.msg_iovlen = gather(out, pieces, &bytes);
		n = sendmsg(connection->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			counter_add(&owner->counters->reset_by_peer, 1);
			connection_set_dead(connection, false);
			return;
		}
		if (n > 0)
			chain_drop_front(out, (uint64_t)n);
		connection->blocked = n < (ssize_t)bytes;
	}
	if (out->length == before)
		return;
	counter_add(&owner->counters->sent_bytes, before - out->length);
	if (connection->state == CONNECTION_CLOSING)
		connection_set_closing(connection); /* progress moves the deadline */
	else
		user->drained(user->context, &connection->stream);
}

/* All of `out` is in the kernel's hands: our FIN follows it. */
static void connection_end_sending(struct connection *connection)
{
	shutdown(connection->fd, SHUT_WR);
	connection->wants_offer = false;
	connection->wants_send = false;
	connection_set_draining(connection);
	connection_release_user(connection);
	if (connection->ended)
		connection_set_dead(connection, false);
}

/* A safe point for this connection. */
static void connection_settle(struct connection *connection)
{
	if (connection->wants_offer)
		connection_offer(connection);
	if (connection->wants_send && !connection->blocked &&
	    (connection->state == CONNECTION_OPEN || connection->state == CONNECTION_CLOSING))
		connection_send(connection);
	if (connection->state == CONNECTION_CLOSING && connection->stream.out.length == 0)
		connection_end_sending(connection);
	connection->pending = false;
	if (connection->state == CONNECTION_DEAD) {
		connection_destroy(connection);
		return;
	}
	connection_update_interest(connection);
	/* What was asked for from within offer and send: in the next round. */
	if (connection->wants_offer || (connection->wants_send && !connection->blocked))
		connection_pend(connection);
}

void connections_settle(struct connections *owner)
{
	struct connection *connection = owner->pending;

	owner->pending = NULL;
	owner->pending_end = &owner->pending;
	while (connection != NULL) {
		struct connection *next = connection->next;

		connection_settle(connection);
		connection = next;
	}
}

void connections_handle(struct connections *owner, uint32_t place, uint32_t events)
{
	struct connection *connection = &owner->places[place];

	if (connection->state == CONNECTION_FREE || connection->state == CONNECTION_DEAD)
		return;
	if ((events & EPOLLOUT) != 0) {
		connection->blocked = false;
		connection->wants_send = true;
		connection_pend(connection);
	}
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0)
		return;
	if (!connection_reads(connection)) {
		if ((events & (EPOLLHUP | EPOLLERR)) == 0)
			return;
		counter_add(&owner->counters->reset_by_peer, 1);
		connection_set_dead(connection, false);
	} else if (connection->state == CONNECTION_OPEN) {
		connection_read(connection);
	} else {
		connection_discard(connection);
	}
}

/* A place for a new connection; the oldest that only waits for its peer's FIN gives way. */
static struct connection *connection_take(struct connections *owner, int fd)
{
	struct connection *connection = owner->free;

	if (connection == NULL) {
		connection = TAILQ_FIRST(&owner->draining);
		if (connection == NULL || connection->pending)
			return NULL;
		connection_destroy(connection);
	}
	owner->free = connection->next;
	*connection = (struct connection){
	    .stream = {.ops = &stream_ops},
	    .owner = owner,
	    .state = CONNECTION_OPEN,
	    .fd = fd,
	};
	chain_create(&connection->stream.out, owner->pool);
	chain_create(&connection->unread, owner->pool);
	return connection;
}

static void refuse_full(struct connections *owner, struct connection *connection, int fd)
{
	counter_add(&owner->counters->refused_full, 1);
	/* An empty send buffer takes it whole. */
	send(fd, too_many_text, sizeof(too_many_text) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	shutdown(fd, SHUT_WR);
	if (connection == NULL)
		close(fd);
	else
		connection_set_draining(connection);
}

static bool is_full(const struct connections *owner)
{
	return counter_read(&owner->counters->open) >= owner->connection_count_max;
}

void connections_admit(struct connections *owner, int fd)
{
	const struct stream_user *user = owner->user;
	struct connection *connection = connection_take(owner, fd);

	if (connection == NULL) {
		refuse_full(owner, NULL, fd);
		return;
	}
	if (connection_watch(connection, EPOLL_CTL_ADD, EPOLLIN) < 0) {
		connection_set_dead(connection, true);
		counter_add(&owner->counters->refused_full, 1);
	} else if (is_full(owner) || !user->opened(user->context, &connection->stream)) {
		refuse_full(owner, connection, fd);
	} else {
		connection->has_user = true;
		counter_add(&owner->counters->accepted, 1);
		counter_add(&owner->counters->open, 1);
	}
}

void connections_expire(struct connections *owner)
{
	struct connection *connection;

	while ((connection = TAILQ_FIRST(&owner->closing)) != NULL &&
	       connection->deadline_us <= owner->now_us) {
		counter_add(&owner->counters->reset_overdue, 1);
		connection_set_dead(connection, true);
	}
	while ((connection = TAILQ_FIRST(&owner->draining)) != NULL &&
	       connection->deadline_us <= owner->now_us)
		connection_set_dead(connection, false);
}

uint32_t connections_each(struct connections *owner, uint32_t from, uint32_t count,
                          void (*visit)(void *context, struct stream *stream), void *context)
{
	uint32_t end = (uint32_t)min_u64((uint64_t)from + count, owner->place_count);

	for (uint32_t i = from; i < end; i++) {
		if (owner->places[i].has_user)
			visit(context, &owner->places[i].stream);
	}
	return end == owner->place_count ? 0 : end;
}

static uint32_t place_count(const struct socket_options *options)
{
	return options->connection_count_max + SPARE_COUNT;
}

size_t connections_bytes(const struct socket_options *options)
{
	return memory_rounded(SOCKET_READ_BYTES) +
	       memory_rounded((size_t)place_count(options) * sizeof(struct connection));
}

void connections_create(struct connections *owner, const struct socket_options *options,
                        struct socket_counters *counters, int epoll_fd, uint32_t event_base,
                        struct memory *memory)
{
	*owner = (struct connections){
	    .user = options->user,
	    .pool = options->pool,
	    .counters = counters,
	    .unread_blocks_max = options->pool->block_count / 4,
	    .place_count = place_count(options),
	    .connection_count_max = options->connection_count_max,
	    .event_base = event_base,
	    .epoll_fd = epoll_fd,
	};
	owner->pending_end = &owner->pending;
	TAILQ_INIT(&owner->closing);
	TAILQ_INIT(&owner->draining);
	owner->read_buffer = memory_take(memory, SOCKET_READ_BYTES);
	owner->places = memory_take(memory, (size_t)owner->place_count * sizeof(struct connection));
	for (uint32_t i = owner->place_count; i > 0; i--) {
		struct connection *connection = &owner->places[i - 1];

		*connection = (struct connection){.next = owner->free};
		owner->free = connection;
	}
}

void connections_destroy(struct connections *owner)
{
	for (uint32_t i = 0; i < owner->place_count; i++) {
		struct connection *connection = &owner->places[i];

		connection->pending = false;
		if (connection->state != CONNECTION_FREE)
			connection_destroy(connection);
	}
}
