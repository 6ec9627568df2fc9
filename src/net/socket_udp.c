/* SPDX-License-Identifier: Apache-2.0 */
#include "net/socket_udp.h"

#include "net/socket_open.h"

#include <errno.h>

#define BATCH 32 /* datagrams a system call */

/* One direction: what the kernel reads or fills in for one batch. */
struct batch {
	struct mmsghdr messages[BATCH];
	struct iovec pieces[BATCH];
	struct sockaddr_storage addresses[BATCH];
	uint8_t buffers[BATCH][SOCKET_DATAGRAM_BYTES_MAX];
};

struct socket_udp {
	struct batch in;
	struct batch out;
	uint32_t out_count;
	/* Of the datagram that is being handled: */
	struct mmsghdr *current; /* NULL: none is */
	struct socket_counters *counters;
	int fd;
};

size_t socket_udp_bytes(void)
{
	return memory_rounded(sizeof(struct socket_udp));
}

static void batch_create(struct batch *batch)
{
	for (uint32_t i = 0; i < BATCH; i++) {
		batch->pieces[i].iov_base = batch->buffers[i];
		batch->pieces[i].iov_len = SOCKET_DATAGRAM_BYTES_MAX;
		batch->messages[i].msg_hdr = (struct msghdr){
		    .msg_name = &batch->addresses[i],
		    .msg_namelen = sizeof(batch->addresses[i]),
		    .msg_iov = &batch->pieces[i],
		    .msg_iovlen = 1,
		};
	}
}

struct socket_udp *socket_udp_create(struct memory *memory)
{
	struct socket_udp *udp = memory_take(memory, sizeof(*udp));

	udp->current = NULL;
	udp->out_count = 0;
	batch_create(&udp->in);
	batch_create(&udp->out);
	return udp;
}

static void flush(struct socket_udp *udp)
{
	uint32_t sent = 0;

	while (sent < udp->out_count) {
		int n = sendmmsg(udp->fd, udp->out.messages + sent, udp->out_count - sent,
		                 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0) {
			counter_add(&udp->counters->udp_sent, (uint64_t)n);
			sent += (uint32_t)n;
		} else if (errno == EINTR) {
			continue;
		} else if (errno != EAGAIN && errno != ENOBUFS) {
			/* This one's destination is at fault: the others have their own. */
			counter_add(&udp->counters->udp_send_drops, 1);
			sent++;
		} else {
			counter_add(&udp->counters->udp_send_drops, udp->out_count - sent);
			break;
		}
	}
	udp->out_count = 0;
}

uint8_t *socket_udp_reserve(struct socket_udp *udp)
{
	ASSERT(udp->current != NULL);
	if (udp->out_count == BATCH)
		flush(udp);
	return udp->out.buffers[udp->out_count];
}

void socket_udp_reply(struct socket_udp *udp, uint32_t length)
{
	struct msghdr *from = &udp->current->msg_hdr;
	struct msghdr *to = &udp->out.messages[udp->out_count].msg_hdr;

	ASSERT(length <= SOCKET_DATAGRAM_BYTES_MAX);
	ASSERT(udp->out_count < BATCH);
	memcpy(to->msg_name, from->msg_name, from->msg_namelen);
	to->msg_namelen = from->msg_namelen;
	to->msg_iov->iov_len = length;
	udp->out_count++;
}

static void handle(struct socket_udp *udp, struct mmsghdr *message, const struct port_options *port,
                   const struct blocked *blocked, struct sockets *sockets,
                   const struct socket_options *options)
{
	struct socket_datagram datagram = {
	    .payload = message->msg_hdr.msg_iov->iov_base,
	    .length = message->msg_len,
	};

	datagram.source = socket_source(message->msg_hdr.msg_name, &datagram.source_port);
	datagram.source_listed = socket_source_listed(port, &datagram.source);
	if (!datagram.source_listed && !port->allow_any) {
		counter_add(&udp->counters->udp_refused_source, 1);
		return;
	}
	if (blocked_contain(blocked, &datagram.source)) {
		counter_add(&udp->counters->udp_blocked, 1);
		return;
	}
	if ((message->msg_hdr.msg_flags & MSG_TRUNC) != 0) {
		counter_add(&udp->counters->udp_too_long, 1);
		return;
	}
	counter_add(&udp->counters->udp_received, 1);
	udp->current = message;
	options->datagram(options->datagram_context, sockets, &datagram);
	udp->current = NULL;
}

void socket_udp_poll(struct socket_udp *udp, int fd, const struct port_options *port,
                     const struct blocked *blocked, struct sockets *sockets,
                     const struct socket_options *options, struct socket_counters *counters)
{
	int count = recvmmsg(fd, udp->in.messages, BATCH, MSG_DONTWAIT, NULL);

	udp->fd = fd;
	udp->counters = counters;
	for (int i = 0; i < count; i++) {
		handle(udp, &udp->in.messages[i], port, blocked, sockets, options);
		udp->in.messages[i].msg_hdr.msg_namelen = sizeof(udp->in.addresses[i]);
	}
	flush(udp);
}
