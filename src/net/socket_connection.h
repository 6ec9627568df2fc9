/* SPDX-License-Identifier: Apache-2.0 */
/* The TCP connections of one struct sockets: from an accepted file descriptor to its end. */
#pragma once

#include "net/socket.h"

#include <sys/queue.h>

struct connection;

TAILQ_HEAD(connection_list, connection);

/* Owner: the struct sockets that it is a part of. */
struct connections {
	const struct stream_user *user;
	struct block_pool *pool;
	struct socket_counters *counters;
	uint64_t now_us; /* of this poll; whoever polls sets it */
	uint8_t *read_buffer;
	struct connection *places;
	struct connection *free;
	struct connection *pending;      /* have something to do at the next safe point, in order */
	struct connection **pending_end; /* where the next one goes */
	struct connection_list closing;  /* by deadline */
	struct connection_list draining; /* by deadline */
	uint32_t unread_blocks;          /* of all connections */
	uint32_t unread_blocks_max;
	uint32_t place_count;
	uint32_t connection_count_max;
	uint32_t event_base; /* a connection's epoll data: this and its place */
	int epoll_fd;
};

size_t connections_bytes(const struct socket_options *options);
void connections_create(struct connections *connections, const struct socket_options *options,
                        struct socket_counters *counters, int epoll_fd, uint32_t event_base,
                        struct memory *memory);
void connections_destroy(struct connections *connections);

/* A new connection: its user is told, or it is refused. Takes the file descriptor. Not while events
 * that epoll has reported are yet to be handled, as a place may change hands. */
void connections_admit(struct connections *connections, int fd);

/* What epoll has reported of the connection at `place`. */
void connections_handle(struct connections *connections, uint32_t place, uint32_t events);

/* The safe point: offers, sends and ends what waits for it, one round. What pends anew during the
 * round waits for the next. */
void connections_settle(struct connections *connections);

/* Marks for their end those that are past their deadline. */
void connections_expire(struct connections *connections);

/* As socket_each(). */
uint32_t connections_each(struct connections *connections, uint32_t from, uint32_t count,
                          void (*visit)(void *context, struct stream *stream), void *context);
