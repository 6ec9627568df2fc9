/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of sockets share: one worker's sockets, a user that echoes, clients. */
#pragma once

#include "net/socket.h"

#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BLOCK_COUNT      2048
#define OUT_BYTES_MAX    (64 * 1024) /* the echo refuses bytes beyond that */
#define ROUND_COUNT_MAX  20000       /* polls until a test gives up */
#define CLIENT_COUNT_MAX 200

/* One worker's sockets with a user of a few manners, and clients over loopback. */
struct rig {
	struct sockets *sockets;
	struct block_pool pool;
	void *region;
	uint64_t now_us;
	int reserved_fd; /* holds the ephemeral port, listens on nothing */
	struct port_options port;
	/* How the user behaves: */
	bool refuse_opened;
	bool refuse_bytes; /* takes nothing */
	bool bye;          /* answers the first bytes with "bye" and closes */
	bool abort_at_once;
	bool one_at_a_time;      /* takes one byte and asks for more */
	bool keep_when_finished; /* does not close at the peer's end */
	bool close_when_drained;
	/* What it has seen: */
	struct stream *stream; /* the newest */
	uint32_t opened_count;
	uint32_t finished_count;
	uint32_t closed_count;
	uint64_t taken_bytes;
	uint32_t datagram_count;
	uint32_t listed_count;
	uint32_t released_count; /* references that left `out` */
};

static inline bool user_opened(void *context, struct stream *stream)
{
	struct rig *rig = context;

	if (rig->refuse_opened)
		return false;
	rig->opened_count++;
	rig->stream = stream;
	stream->user = rig;
	return true;
}

static inline uint32_t user_received(void *context, struct stream *stream, const uint8_t *bytes,
                                     uint32_t length)
{
	struct rig *rig = context;
	uint64_t room;

	CU_ASSERT_PTR_EQUAL(stream->user, rig);
	CU_ASSERT(length > 0);
	if (rig->refuse_bytes)
		return 0;
	if (rig->abort_at_once) {
		stream->ops->abort(stream);
		return length;
	}
	if (rig->bye) {
		chain_append(&stream->out, "bye", 3);
		stream->ops->push(stream);
		stream->ops->close(stream);
		return 0;
	}
	if (rig->one_at_a_time) {
		stream->ops->resume(stream);
		length = 1;
	}
	room = OUT_BYTES_MAX - min_u64(stream->out.length, OUT_BYTES_MAX);
	length = (uint32_t)min_u64(length, room);
	CU_ASSERT_TRUE(chain_append(&stream->out, bytes, length));
	stream->ops->push(stream);
	rig->taken_bytes += length;
	return length;
}

static inline void user_finished(void *context, struct stream *stream)
{
	struct rig *rig = context;

	rig->finished_count++;
	if (!rig->keep_when_finished)
		stream->ops->close(stream);
}

static inline void user_drained(void *context, struct stream *stream)
{
	if (((struct rig *)context)->close_when_drained)
		stream->ops->close(stream);
	else
		stream->ops->resume(stream);
}

static inline void user_closed(void *context, struct stream *stream)
{
	struct rig *rig = context;

	CU_ASSERT_PTR_EQUAL(stream->user, rig);
	stream->user = NULL;
	rig->closed_count++;
}

/* Echoes, and once more when the datagram begins with '2'. */
static inline void user_datagram(void *context, struct sockets *sockets,
                                 const struct socket_datagram *datagram)
{
	struct rig *rig = context;
	int times = datagram->length > 0 && datagram->payload[0] == '2' ? 2 : 1;

	rig->datagram_count++;
	rig->listed_count += datagram->source_listed ? 1 : 0;
	CU_ASSERT(datagram->source_port != 0);
	while (times-- > 0) {
		memcpy(socket_reply_reserve(sockets), datagram->payload, datagram->length);
		socket_reply(sockets, datagram->length);
	}
}

static const struct stream_user user_template = {
    .opened = user_opened,
    .received = user_received,
    .finished = user_finished,
    .drained = user_drained,
    .closed = user_closed,
};

static inline void user_release(void *context, void *reference)
{
	((struct rig *)context)->released_count++;
}

static inline socklen_t rig_address(const struct rig *rig, struct sockaddr_storage *ret_address)
{
	const uint8_t *bytes = rig->port.addresses[0].address.bytes;

	memset(ret_address, 0, sizeof(*ret_address));
	if (ip_address_is_ip4(&rig->port.addresses[0].address)) {
		struct sockaddr_in *ip4 = (struct sockaddr_in *)ret_address;

		ip4->sin_family = AF_INET;
		ip4->sin_port = htons(rig->port.tcp_port);
		memcpy(&ip4->sin_addr, bytes + 12, 4);
		return sizeof(*ip4);
	}
	struct sockaddr_in6 *ip6 = (struct sockaddr_in6 *)ret_address;

	ip6->sin6_family = AF_INET6;
	ip6->sin6_port = htons(rig->port.tcp_port);
	memcpy(&ip6->sin6_addr, bytes, 16);
	return sizeof(*ip6);
}

/* An ephemeral port that stays ours: a bound socket that shares it and does not listen. */
static inline void rig_reserve_port(struct rig *rig)
{
	struct sockaddr_storage address;
	socklen_t length = rig_address(rig, &address);
	int on = 1;

	rig->reserved_fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(rig->reserved_fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	CU_ASSERT_EQUAL_FATAL(bind(rig->reserved_fd, (struct sockaddr *)&address, length), 0);
	CU_ASSERT_EQUAL_FATAL(getsockname(rig->reserved_fd, (struct sockaddr *)&address, &length),
	                      0);
	rig->port.tcp_port = ntohs(((struct sockaddr_in *)&address)->sin_port);
	rig->port.udp_port = rig->port.tcp_port;
}

/* `allow` may be NULL: any. */
static inline struct rig *rig_create(const char *address, uint32_t connection_count_max,
                                     const char *allow)
{
	static struct stream_user user; /* one rig at a time */
	struct rig *rig = calloc(1, sizeof(*rig));
	struct socket_options options = {
	    .connection_count_max = connection_count_max,
	    .pool = &rig->pool,
	    .user = &user,
	    .datagram = user_datagram,
	    .datagram_context = rig,
	};
	struct memory memory = {.bytes = block_pool_bytes(BLOCK_COUNT) + sockets_bytes(&options)};
	char error[200];

	user = user_template;
	user.context = rig;
	rig->now_us = 1000000;
	rig->region = aligned_alloc(CACHE_LINE_BYTES, memory.bytes);
	memory.base = rig->region;
	memset(rig->region, 0, memory.bytes);
	block_pool_create(&rig->pool, BLOCK_COUNT, &memory,
	                  &(struct references){.release = user_release, .context = rig});
	CU_ASSERT_EQUAL_FATAL(sockets_create(&rig->sockets, &options, &memory), 0);
	CU_ASSERT_EQUAL(memory.used_bytes, memory.bytes);
	rig->port.kind = PORT_SOCKET;
	rig->port.backlog = 128;
	rig->port.address_count = 1;
	rig->port.addresses[0].length = 128;
	CU_ASSERT_EQUAL(ip_address_parse(&rig->port.addresses[0].address, address), 0);
	rig->port.allow_any = allow == NULL;
	if (allow != NULL)
		CU_ASSERT_EQUAL(ip_prefix_parse(&rig->port.allow[rig->port.allow_count++], allow),
		                0);
	rig_reserve_port(rig);
	CU_ASSERT_EQUAL_FATAL(socket_listen(rig->sockets, &rig->port, NULL, error, sizeof(error)),
	                      0);
	return rig;
}

static const struct socket_counters *rig_counters(const struct rig *rig)
{
	return socket_counters(rig->sockets);
}

/* Everything has come back when the sockets are gone. */
static inline void rig_destroy(struct rig *rig)
{
	sockets_destroy(rig->sockets);
	CU_ASSERT_EQUAL(rig->closed_count, rig->opened_count);
	CU_ASSERT_EQUAL(rig->pool.free_count, rig->pool.block_count);
	close(rig->reserved_fd);
	free(rig->region);
	free(rig);
}

static inline void rig_poll(struct rig *rig)
{
	socket_poll(rig->sockets, rig->now_us, 1);
}

static inline int rig_connect_with(struct rig *rig, int receive_buffer_bytes)
{
	struct sockaddr_storage address;
	socklen_t length = rig_address(rig, &address);
	int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (receive_buffer_bytes > 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes,
		           sizeof(receive_buffer_bytes));
	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&address, length), 0);
	return fd;
}

/* Loopback completes the handshake within connect(), so a poll finds the connection. */
static inline int rig_connect(struct rig *rig)
{
	int fd = rig_connect_with(rig, 0);

	rig_poll(rig);
	return fd;
}

/* With nothing to do a poll waits: neither epoll nor work of our own keeps it busy. */
static inline bool rig_is_idle(struct rig *rig)
{
	struct timespec before, after;
	uint32_t count;

	for (int i = 0; i < 5; i++)
		socket_poll(rig->sockets, rig->now_us, 0);
	clock_gettime(CLOCK_MONOTONIC, &before);
	count = socket_poll(rig->sockets, rig->now_us, 3);
	clock_gettime(CLOCK_MONOTONIC, &after);
	return count == 0 &&
	       (after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec >
	           2000000;
}

/* The next bytes for the client while the worker polls. As recv(), but waits. */
static inline ssize_t rig_receive(struct rig *rig, int fd, void *to, size_t length)
{
	ssize_t n = -1;

	for (int i = 0; i < ROUND_COUNT_MAX; i++) {
		n = recv(fd, to, length, MSG_DONTWAIT);
		if (n >= 0 || errno != EAGAIN)
			return n;
		rig_poll(rig);
	}
	return n;
}

/* The client gets exactly this. */
static inline bool rig_gets(struct rig *rig, int fd, const char *text)
{
	char got[256];
	size_t used = 0;

	while (used < strlen(text)) {
		ssize_t n = rig_receive(rig, fd, got + used, strlen(text) - used);

		if (n <= 0)
			return false;
		used += (size_t)n;
	}
	return memcmp(got, text, used) == 0;
}

static inline bool rig_gets_end(struct rig *rig, int fd)
{
	char byte;

	return rig_receive(rig, fd, &byte, 1) == 0;
}

static inline bool rig_gets_reset(struct rig *rig, int fd)
{
	char byte;

	return rig_receive(rig, fd, &byte, 1) < 0 && errno == ECONNRESET;
}

static inline void send_text(int fd, const char *text)
{
	CU_ASSERT_EQUAL(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static inline void poll_until(struct rig *rig, const uint32_t *count, uint32_t wanted)
{
	for (int i = 0; i < ROUND_COUNT_MAX && *count < wanted; i++)
		rig_poll(rig);
	CU_ASSERT_EQUAL(*count, wanted);
}

/* A block list of one; to be free()d. */
static inline struct blocked *rig_block(struct rig *rig, const char *text)
{
	struct blocked *blocked = malloc(blocked_bytes(1));
	struct ip_prefix prefix;

	CU_ASSERT_EQUAL_FATAL(ip_prefix_parse(&prefix, text), 0);
	blocked_create(blocked, &prefix, 1);
	sockets_block(rig->sockets, blocked);
	return blocked;
}
