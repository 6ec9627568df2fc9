/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker does with the packets that its nets take in: segments to TCP, datagrams to the
 * server of theirs, and a look ahead at a burst's keys and connections. */
#include "worker/worker_internal.h"

#include "proto/udp_frame.h"

#define KEYS_A_PACKET 8 /* that are foreseen, of its requests */

static void segment(void *context, const struct net_input *input, uint64_t now_us)
{
	struct worker *worker = context;

	tcp_input(worker->tcp, input, now_us);
}

static void segment_error(void *context, const struct net_error *error, uint64_t now_us)
{
	struct worker *worker = context;

	/* a network card spreads them by the router's address, not by the flow they are about */
	if (worker->workers->count == 1 || tcp_knows(worker->tcp, error)) {
		tcp_error(worker->tcp, error, now_us);
		return;
	}
	counter_add(&worker->counters.errors_passed, 1);
	counter_add(&worker->counters.errors_lost,
	            workers_pass_error(worker->workers, worker->number, error));
}

void worker_take_errors(struct worker *worker)
{
	struct workers_error passed;

	while (workers_take_error(worker->workers, worker->number, &passed)) {
		for (uint32_t i = 0; i < worker->net_count; i++)
			if (worker->nets[i].port == passed.error.path.net->port)
				passed.error.path.net = &worker->nets[i];
		passed.error.l4 = passed.l4;
		if (tcp_knows(worker->tcp, &passed.error)) {
			counter_add(&worker->counters.errors_taken, 1);
			tcp_error(worker->tcp, &passed.error, worker->time.now_us);
		}
	}
}

/* Its requests may be those of a frame whose checksum turns out to be wrong: nothing but time is
 * lost. */
static uint64_t packet_foresee(void *context, const struct net_path *path, uint8_t protocol,
                               struct slice l4)
{
	struct worker *worker = context;
	size_t head_bytes = UDP_HEADER_BYTES + UDP_FRAME_BYTES;

	if (protocol == IP_PROTOCOL_TCP)
		head_bytes = l4.length > 12 ? (l4.data[12] >> 4) * 4u : l4.length;
	if (l4.length > head_bytes)
		lookahead_add(&worker->sessions.lookahead,
		              (struct slice){l4.data + head_bytes, l4.length - head_bytes},
		              KEYS_A_PACKET);
	if (protocol == IP_PROTOCOL_UDP)
		return 0;
	return tcp_foresee(worker->tcp, path, load_be16(l4.data + 2), load_be16(l4.data));
}

static void burst_prefetch(void *context, const uint64_t *flows, uint32_t count, uint32_t step)
{
	struct worker *worker = context;

	if (step == 0) {
		for (uint32_t i = 0; i < count; i++)
			worker->near[i] =
			    flows[i] == 0 ? NULL : tcp_prefetch(worker->tcp, flows[i]);
		return;
	}
	for (uint32_t i = 0; i < count; i++)
		if (worker->near[i] != NULL)
			tcp_prefetch_more(worker->near[i]);
	lookahead_items(&worker->sessions.lookahead);
}

static void burst_forget(void *context)
{
	struct worker *worker = context;

	lookahead_end(&worker->sessions.lookahead);
}

/* Where the reply to a datagram from a netif goes. */
struct datagram_return {
	const struct net_path *path;
	uint16_t local_port;
	uint16_t remote_port;
	struct packet packet;
};

static uint8_t *datagram_reserve(void *context)
{
	struct datagram_return *to = context;

	return net_datagram_begin(to->path, &to->packet);
}

static void datagram_send(void *context, uint32_t length)
{
	struct datagram_return *to = context;

	net_datagram_finish(to->path, to->local_port, to->remote_port, &to->packet,
	                    (uint16_t)length);
}

static void datagram_drop(void *context)
{
	struct datagram_return *to = context;

	net_packet_drop(to->path, &to->packet);
}

static void net_datagram(void *context, const struct net_input *input, uint16_t source_port,
                         struct slice payload, uint64_t now_us)
{
	struct worker *worker = context;
	const struct port_options *port = input->path.net->port;
	struct datagram_return to;
	struct datagram_sink sink = {datagram_reserve, datagram_send, datagram_drop, &to};

	to.path = &input->path;
	to.local_port = port->udp_port;
	to.remote_port = source_port;

	/* who came in by a list is on it */
	datagram_serve(&worker->datagrams, payload, port->allow_any ? &input->path.remote : NULL,
	               worker->time.now_s, &sink);
}

static uint8_t *socket_reserve(void *context)
{
	return socket_reply_reserve(context);
}

static void socket_send(void *context, uint32_t length)
{
	socket_reply(context, length);
}

/* What was reserved is there for the next one. */
static void socket_drop(void *context)
{
}

void worker_socket_datagram(void *context, struct sockets *sockets,
                            const struct socket_datagram *datagram)
{
	struct worker *worker = context;
	struct datagram_sink sink = {socket_reserve, socket_send, socket_drop, sockets};

	datagram_serve(&worker->datagrams, (struct slice){datagram->payload, datagram->length},
	               datagram->source_listed ? NULL : &datagram->source, worker->time.now_s,
	               &sink);
}

struct net_user worker_net_user(struct worker *worker)
{
	return (struct net_user){.segment = segment,
	                         .datagram = net_datagram,
	                         .error = segment_error,
	                         .foresee = packet_foresee,
	                         .prefetch = burst_prefetch,
	                         .forget = burst_forget,
	                         .context = worker};
}
