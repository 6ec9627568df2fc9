/* SPDX-License-Identifier: Apache-2.0 */
/* One worker's kernel sockets: ports of kind `socket`. The one carrier that makes system calls.
 *
 * TCP comes as streams (net/stream.h), UDP as datagrams in batches. Every worker has listeners of
 * its own on the same address by SO_REUSEPORT, so the kernel spreads the clients and nothing is
 * shared. Level-triggered epoll: a socket that was not read empty is simply reported again, which
 * keeps the turns fair without a list of our own; interest changes only when a user refuses bytes
 * or a send buffer is full.
 *
 * Owner: the worker; nobody else calls. Streams end at a safe point only, when no user is on the
 * stack: at the beginning or the end of socket_poll(), and in sockets_destroy(). */
#pragma once

#include "base/counter.h"
#include "net/blocked.h"
#include "net/port.h"
#include "net/stream.h"

#define SOCKET_READ_BYTES         65536 /* one read, and the most that a user can refuse at once */
#define SOCKET_DATAGRAM_BYTES_MAX 2048  /* longer ones are dropped and counted */

struct sockets;

/* name, unit, kind, help */
#define SOCKET_COUNTERS(X)                                                                         \
	X(accepted, "connections", COUNTER_TOTAL, "Connections that a session was opened for")     \
	X(open, "connections", COUNTER_LEVEL, "Connections that a session has now")                \
	X(refused_full, "connections", COUNTER_TOTAL, "Refused: too many open connections")        \
	X(refused_source, "connections", COUNTER_TOTAL, "Refused: not in the port's allow list")   \
	X(refused_blocked, "connections", COUNTER_TOTAL,                                           \
	  "Refused: the source is on the block list")                                              \
	X(accept_paused, "times", COUNTER_TOTAL,                                                   \
	  "Accepting paused for want of file descriptors or kernel memory")                        \
	X(reset_by_peer, "connections", COUNTER_TOTAL, "Ended by an error or a reset of the peer") \
	X(reset_no_memory, "connections", COUNTER_TOTAL,                                           \
	  "Reset: no memory to keep bytes that wait for their session")                            \
	X(reset_overdue, "connections", COUNTER_TOTAL,                                             \
	  "Reset: the peer did not take the last reply in time")                                   \
	X(received_bytes, "bytes", COUNTER_TOTAL, "Received by TCP")                               \
	X(sent_bytes, "bytes", COUNTER_TOTAL, "Sent by TCP")                                       \
	X(udp_received, "datagrams", COUNTER_TOTAL, "Received by UDP and handed on")               \
	X(udp_sent, "datagrams", COUNTER_TOTAL, "Sent by UDP")                                     \
	X(udp_refused_source, "datagrams", COUNTER_TOTAL, "Dropped: not in the port's allow list") \
	X(udp_blocked, "datagrams", COUNTER_TOTAL, "Dropped: the source is on the block list")     \
	X(udp_too_long, "datagrams", COUNTER_TOTAL, "Dropped: longer than any request")            \
	X(udp_send_drops, "datagrams", COUNTER_TOTAL, "Replies that the kernel did not take")

struct socket_counters {
	SOCKET_COUNTERS(COUNTER_FIELD)
};

/* A datagram as it is given to the worker; valid during the call. */
struct socket_datagram {
	struct ip_address source;
	uint16_t source_port;
	bool source_listed; /* in the port's allow list, not just let in by `allow: any` */
	const uint8_t *payload;
	uint32_t length; /* bytes */
};

struct socket_options {
	uint32_t connection_count_max;
	struct block_pool *pool; /* for `out`, and for bytes that users refuse: at most 1/4 of it */
	const struct stream_user *user;
	/* Answers, if it wants, with socket_reply_reserve() and socket_reply(). */
	void (*datagram)(void *context, struct sockets *sockets,
	                 const struct socket_datagram *datagram);
	void *datagram_context;
	/* Before it sleeps: false when it must not, as sockets_wake() may have been called just
	 * before. And after that, whether it has slept or not: what time it is, monotonic. */
	bool (*fall_asleep)(void *context);
	uint64_t (*wake_up_us)(void *context);
	void *sleep_context;
};

/* Bytes of memory that sockets_create() takes. */
size_t sockets_bytes(const struct socket_options *options);

/* 0, or a negative errno (epoll or eventfd could not be made). What `options` points to must
 * outlive it. */
int sockets_create(struct sockets **ret_sockets, const struct socket_options *options,
                   struct memory *memory);

/* Ends all streams (closed() is called) and closes everything. Takes NULL. */
void sockets_destroy(struct sockets *sockets);

/* Opens this worker's sockets for a port of kind `socket`: TCP and UDP as port_options say.
 * `first`: those of a worker that has opened its own already, NULL for the first one; a Unix
 * socket, of which a path has but one, is shared with it. 0; a negative errno with one sentence in
 * `error`. At most PORT_COUNT_MAX ports, the same ones in the same order. */
int socket_listen(struct sockets *sockets, const struct port_options *port,
                  const struct sockets *first, char *error, size_t error_bytes);

/* Is the port's address free? SO_REUSEPORT would let a second process of the same user in, and
 * clients would get one or the other: so this is asked once a port, before any worker listens.
 * Results as socket_listen(). */
int socket_check_free(const struct port_options *port, char *error, size_t error_bytes);

/* Refuses sources from now on; connections that are open stay. NULL: nobody is blocked. What it
 * points to stays until the next call. */
void sockets_block(struct sockets *sockets, const struct blocked *blocked);

/* Sends what users have pushed since, waits for at most timeout_ms (0: not at all; when there is
 * work left it does not wait), and handles what has come. now_us: monotonic clock. Returns the
 * number of sockets that had something, which is 0 when the worker may rest. */
uint32_t socket_poll(struct sockets *sockets, uint64_t now_us, int timeout_ms);

/* Ends the sleep of a worker that has said that it falls asleep, or its next one. Any thread may
 * call it. */
void sockets_wake(struct sockets *sockets);

/* Visits the streams that have a user among `count` places from `from` on, and returns where to go
 * on: 0 when the round is complete. The visitor may call the stream's operations: this is how a
 * worker closes what is past its deadline, a few at a time. */
uint32_t socket_each(struct sockets *sockets, uint32_t from, uint32_t count,
                     void (*visit)(void *context, struct stream *stream), void *context);

/* During datagram() only: room for a reply of up to SOCKET_DATAGRAM_BYTES_MAX bytes, and sending
 * `length` bytes of it to the datagram's source. Several replies to one datagram are fine. */
uint8_t *socket_reply_reserve(struct sockets *sockets);
void socket_reply(struct sockets *sockets, uint32_t length);

const struct socket_counters *socket_counters(const struct sockets *sockets);
