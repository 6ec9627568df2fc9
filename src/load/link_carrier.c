/* SPDX-License-Identifier: Apache-2.0 */
#include "load/link_carrier.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>

#define NS_PER_MS        UINT64_C(1000000)
#define PORT_FIRST       16384 /* of our ports: the lowest */
#define CONNECT_BATCH    64    /* in progress at a time */
#define QUESTION_NS      (200 * NS_PER_MS)
#define CLOSE_NS         (1000 * NS_PER_MS) /* for the server's FINs */
#define LINGER_NS        (20 * NS_PER_MS)   /* to repeat an ACK of a FIN that was lost */
#define DEADLINES_A_POLL 64                 /* connections whose timers are looked at */
#define DELAYED_ACK_US   10000
#define RECEIVE_BYTES    (256u << 10)
/* There is no congestion control: so this is what all connections may have under way to the server
 * together, as far as the least that each gets allows. */
#define SEND_BYTES_ALL (4u << 20)
#define SEND_BYTES_MIN (4u << 10)
#define SEND_BYTES_MAX (64u << 10)
#define VERIFY_BYTES   (4u << 10)
#define BUFFER_BYTES   (16u << 10)

struct link_connection {
	struct client_tcp tcp;        /* the first field: found from it */
	struct link_connection *next; /* that waits for room to send */
	bool is_waiting;
};

struct link_carrier {
	struct carrier carrier;
	struct link_carrier_options options;
	struct client *client;
	struct frame_path path;
	bool is_resolved; /* path.remote_mac is known */
	struct random random;
	uint16_t port_first; /* connection i is at port_first + i */
	uint32_t started_count;
	uint32_t deadline_next;
	uint64_t now_ns; /* of this poll */
	struct packet reserved;
	struct client_tcp_emitter emitter;
	struct link_connection *connections; /* TCP */
	struct memory memory;                /* their rings */
	/* Who has something to send, in the order in which they found no room. */
	struct link_connection *waiting_first;
	struct link_connection **waiting_end;
	bool is_full; /* in this poll: the netif has no room */
	struct link_totals totals;
	uint8_t buffer[BUFFER_BYTES];
};

static uint64_t now_us(const struct link_carrier *self)
{
	return self->now_ns / 1000;
}

static uint8_t *frame_reserve(void *context)
{
	struct link_carrier *self = context;
	struct netif *netif = self->options.netif;

	if (self->is_full || !netif->ops->allocate(netif, &self->reserved)) {
		self->is_full = true;
		return NULL;
	}
	return self->reserved.data;
}

static void frame_send(void *context, uint32_t length)
{
	struct link_carrier *self = context;
	struct netif *netif = self->options.netif;

	self->reserved.length = (uint16_t)length;
	self->totals.link.frames_sent++;
	netif->ops->transmit(netif, &self->reserved);
}

/* Lets a connection send, in its turn. */
static void connection_output(struct link_carrier *self, struct link_connection *connection)
{
	if (connection->is_waiting)
		return;
	if (self->waiting_first == NULL)
		client_tcp_output(&connection->tcp, &self->emitter, now_us(self));
	if (!connection->tcp.output_wanted)
		return;
	connection->is_waiting = true;
	connection->next = NULL;
	*self->waiting_end = connection;
	self->waiting_end = &connection->next;
}

static void waiting_serve(struct link_carrier *self)
{
	while (self->waiting_first != NULL && !self->is_full) {
		struct link_connection *connection = self->waiting_first;

		client_tcp_output(&connection->tcp, &self->emitter, now_us(self));
		if (connection->tcp.output_wanted)
			return;
		connection->is_waiting = false;
		self->waiting_first = connection->next;
		if (self->waiting_first == NULL)
			self->waiting_end = &self->waiting_first;
	}
}

static void ask_for_mac(struct link_carrier *self)
{
	uint8_t *frame = frame_reserve(self);

	if (frame != NULL)
		frame_send(self, frame_build_question(frame, &self->path));
}

/* ARP and neighbour discovery. */
static void neighbour_input(struct link_carrier *self, const struct frame *frame)
{
	uint8_t *answer;
	uint32_t length;

	if (frame_resolves(frame, &self->path, self->path.remote_mac)) {
		self->is_resolved = true;
		return;
	}
	answer = frame_reserve(self);
	if (answer == NULL)
		return;
	length = frame_build_answer(answer, frame, &self->path);
	if (length > 0)
		frame_send(self, length);
	else
		self->options.netif->ops->release(self->options.netif, &self->reserved, 1);
}

static uint32_t connection_index(const struct link_carrier *self, const struct client_tcp *tcp)
{
	return (uint32_t)((const struct link_connection *)tcp - self->connections);
}

static uint32_t tcp_received(void *context, struct client_tcp *tcp, const uint8_t *bytes,
                             uint32_t length)
{
	struct link_carrier *self = context;
	uint32_t index = connection_index(self, tcp);

	/* Before all are connected nothing was asked: it is a refusal, and the end will follow. */
	if (self->client->connections[index].is_open)
		(void)client_received(self->client, index, bytes, length, self->now_ns);
	return length;
}

/* Of a connection: a power of two. */
static uint32_t send_bytes(const struct link_carrier *self)
{
	uint32_t request_bytes =
	    self->client->workload->options.value_bytes_max + REQUEST_LINE_BYTES_MAX;
	uint32_t share = SEND_BYTES_ALL / self->client->options.connection_count;
	uint32_t bytes = SEND_BYTES_MIN;

	while (2 * bytes <= min_u32(share, SEND_BYTES_MAX) && bytes < 2 * request_bytes)
		bytes *= 2;
	return bytes;
}

static void tcp_start(struct link_carrier *self, uint32_t index)
{
	bool is_ip4 = ip_address_is_ip4(&self->path.remote);
	uint16_t mtu = self->options.netif->mtu;
	struct client_tcp_options options = {
	    .path = &self->path,
	    .local_port = (uint16_t)(self->port_first + index),
	    .remote_port = self->options.remote_port,
	    .initial_sequence = (uint32_t)random_u64(&self->random),
	    .mtu = mtu,
	    .mss = (uint16_t)(mtu - (is_ip4 ? 40 : 60)),
	    .window_scaling = true,
	    .timestamps = true,
	    .keep_out_of_order = true,
	    .ordered_wire = self->options.is_ordered,
	    .delayed_ack_us = DELAYED_ACK_US,
	    .receive_window_bytes = RECEIVE_BYTES,
	    .received = tcp_received,
	    .context = self,
	};

	options.send.capacity = send_bytes(self);
	options.send.bytes = memory_take(&self->memory, options.send.capacity);
	options.receive =
	    (struct client_tcp_ring){memory_take(&self->memory, RECEIVE_BYTES), RECEIVE_BYTES};
	options.verify =
	    (struct client_tcp_ring){memory_take(&self->memory, VERIFY_BYTES), VERIFY_BYTES};
	client_tcp_open(&self->connections[index].tcp, &options);
	connection_output(self, &self->connections[index]);
}

static void violations_note(struct link_carrier *self, const struct client_tcp *tcp, uint64_t count)
{
	char text[CLIENT_TCP_VIOLATION_TEXT_MAX];

	client_tcp_format_violation(tcp, text);
	workload_note_fault(self->client->workload, "the server's TCP on connection %u: %s",
	                    connection_index(self, tcp), text);
	self->client->workload->counters.protocol_errors += count;
}

/* The server has ended it, though we were not done. */
static void loss_check(struct link_carrier *self, uint32_t index)
{
	const struct client_tcp *tcp = &self->connections[index].tcp;

	if (self->client->connections[index].is_open && tcp->state >= CLIENT_TCP_PEER_CLOSED)
		client_lost(self->client, index, client_tcp_state_name(tcp->state));
}

static void tcp_input(struct link_carrier *self, uint32_t index, const struct frame *frame)
{
	struct client_connection *asker = &self->client->connections[index];
	struct client_tcp *tcp = &self->connections[index].tcp;
	uint64_t violations = tcp->counters.violations;
	uint64_t sent_bytes = tcp->counters.sent_bytes;

	client_tcp_input(tcp, frame, now_us(self));
	if (tcp->counters.violations != violations)
		violations_note(self, tcp, tcp->counters.violations - violations);
	if (tcp->counters.sent_bytes != sent_bytes)
		asker->progress_ns = self->now_ns;
	loss_check(self, index);
	if (asker->is_open)
		client_refill(self->client, index, self->now_ns);
	if (tcp->output_wanted)
		connection_output(self, &self->connections[index]);
}

static void udp_input(struct link_carrier *self, uint32_t index, const struct frame *frame)
{
	struct workload *workload = self->client->workload;

	if (!frame->checksum_good) {
		workload->counters.protocol_errors++;
		workload_note_fault(workload, "a datagram with a wrong checksum");
		return;
	}
	if (!self->client->connections[index].is_open)
		return;
	if (self->options.is_reflected)
		client_reflected(self->client, index, frame->payload.data, frame->payload.length,
		                 self->now_ns);
	else
		(void)client_received(self->client, index, frame->payload.data,
		                      frame->payload.length, self->now_ns);
	client_refill(self->client, index, self->now_ns);
}

/* Which connection a TCP segment or datagram is for. False: none. */
static bool connection_find(const struct link_carrier *self, const struct frame *frame,
                            uint32_t *ret_index)
{
	bool is_reflected = self->options.is_reflected;
	const struct ip_address *ours = is_reflected ? &frame->source : &frame->destination;
	const struct ip_address *theirs = is_reflected ? &frame->destination : &frame->source;
	uint16_t our_port = is_reflected ? frame->source_port : frame->destination_port;
	uint16_t their_port = is_reflected ? frame->destination_port : frame->source_port;

	if (self->client == NULL || (frame->kind == FRAME_UDP) != self->client->options.is_udp ||
	    their_port != self->options.remote_port || our_port < self->port_first ||
	    !ip_address_equal(ours, &self->path.local) ||
	    !ip_address_equal(theirs, &self->path.remote))
		return false;
	*ret_index = (uint32_t)(our_port - self->port_first);
	return *ret_index < self->started_count;
}

static void frame_input(struct link_carrier *self, const struct packet *packet)
{
	struct frame frame;
	uint32_t index;

	if (!frame_parse(&frame, packet->data, packet->length)) {
		self->totals.link.frames_unread++;
		return;
	}
	if (frame.kind == FRAME_ARP || frame.kind == FRAME_NEIGHBOUR)
		neighbour_input(self, &frame);
	else if (frame.vlan != self->path.vlan || !connection_find(self, &frame, &index))
		self->totals.link.frames_stray++;
	else if (frame.kind == FRAME_TCP)
		tcp_input(self, index, &frame);
	else
		udp_input(self, index, &frame);
}

/* Of the next few connections, so that all have their turn within a moment. */
static void deadlines_serve(struct link_carrier *self)
{
	uint32_t count = self->connections == NULL ? 0 : self->started_count;

	for (uint32_t turn = 0; turn < min_u32(count, DEADLINES_A_POLL); turn++) {
		uint32_t index = self->deadline_next < count ? self->deadline_next : 0;

		self->deadline_next = index + 1;
		if (client_tcp_next_deadline_us(&self->connections[index].tcp) <= now_us(self))
			connection_output(self, &self->connections[index]);
		loss_check(self, index);
	}
}

static void poll_once(struct link_carrier *self)
{
	struct netif *netif = self->options.netif;
	struct packet burst[NETIF_BURST_MAX];
	uint32_t count = netif->ops->receive(netif, burst, NETIF_BURST_MAX);

	self->now_ns = client_now_ns();
	self->is_full = false;
	self->totals.link.frames_received += count;
	waiting_serve(self);
	for (uint32_t i = 0; i < count; i++)
		frame_input(self, &burst[i]);
	if (count > 0)
		netif->ops->release(netif, burst, count);
	deadlines_serve(self);
	netif->ops->flush(netif);
}

static int carrier_serve(struct carrier *carrier, uint64_t wait_ns)
{
	(void)wait_ns; /* it polls, and never sleeps */
	poll_once((struct link_carrier *)carrier);
	return 0;
}

static void carrier_flush(struct carrier *carrier, uint32_t index)
{
	struct link_carrier *self = (struct link_carrier *)carrier;
	struct conversation *conversation = &self->client->connections[index].conversation;
	struct client_tcp *tcp = &self->connections[index].tcp;

	for (;;) {
		uint32_t room = tcp->options.send.capacity - client_tcp_unacknowledged(tcp);
		uint32_t length = (uint32_t)conversation_peek(conversation, self->buffer,
		                                              min_u32(room, BUFFER_BYTES));

		if (length == 0)
			break;
		length = client_tcp_write(tcp, self->buffer, length);
		if (length == 0)
			break;
		conversation_sent(conversation, length);
	}
	if (tcp->output_wanted)
		connection_output(self, &self->connections[index]);
}

static void carrier_send(struct carrier *carrier, uint32_t index, const uint8_t *bytes,
                         size_t length)
{
	struct link_carrier *self = (struct link_carrier *)carrier;
	uint8_t *frame = frame_reserve(self);

	if (frame == NULL) {
		self->totals.link.frames_unsent++;
		return;
	}
	frame_send(self, frame_build_udp(frame, &self->path, (uint16_t)(self->port_first + index),
	                                 self->options.remote_port, (struct slice){bytes, length}));
}

static void carrier_close(struct carrier *carrier, uint32_t index)
{
	struct link_carrier *self = (struct link_carrier *)carrier;

	if (self->client->options.is_udp)
		return;
	client_tcp_abort(&self->connections[index].tcp);
	connection_output(self, &self->connections[index]);
}

/* Finds out the server's MAC address. */
static int resolve(struct link_carrier *self)
{
	uint64_t end_ns = self->now_ns + CLIENT_CONNECT_NS;
	uint64_t question_ns = 0;

	while (!self->is_resolved) {
		if (*self->options.interrupted)
			return -EINTR;
		if (self->now_ns >= end_ns)
			return -EHOSTUNREACH;
		if (self->now_ns >= question_ns) {
			ask_for_mac(self);
			question_ns = self->now_ns + QUESTION_NS;
		}
		poll_once(self);
	}
	return 0;
}

/* 1: is connected, 0: not yet, or a negative errno. */
static int tcp_connected(const struct client_tcp *tcp)
{
	switch (tcp->state) {
	case CLIENT_TCP_CONNECTING: return 0;
	case CLIENT_TCP_OPEN: return 1;
	case CLIENT_TCP_RESET:
		return tcp->snd_una == tcp->options.initial_sequence ? -ECONNREFUSED : -ECONNRESET;
	case CLIENT_TCP_FAILED: return -ETIMEDOUT;
	default: return -ECONNRESET;
	}
}

static int connect_all(struct link_carrier *self)
{
	uint32_t count = self->client->options.connection_count;
	uint32_t done_count = 0;
	uint64_t end_ns = self->now_ns + CLIENT_CONNECT_NS;

	while (done_count < count) {
		int r;

		if (*self->options.interrupted)
			return -EINTR;
		if (self->now_ns >= end_ns)
			return -ETIMEDOUT;
		while (self->started_count < min_u32(count, done_count + CONNECT_BATCH))
			tcp_start(self, self->started_count++);
		poll_once(self);
		r = tcp_connected(&self->connections[done_count].tcp);
		if (r < 0)
			return r;
		if (r > 0)
			end_ns = self->now_ns + CLIENT_CONNECT_NS;
		done_count += (uint32_t)r;
	}
	for (uint32_t i = 0; i < count; i++) {
		int r = tcp_connected(&self->connections[i].tcp);

		if (r < 0)
			return r;
	}
	return 0;
}

static int rings_map(struct link_carrier *self, uint32_t count)
{
	size_t bytes = (size_t)count * (SEND_BYTES_MAX + RECEIVE_BYTES + VERIFY_BYTES);
	void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		return -errno;
	self->memory = (struct memory){.base = base, .bytes = bytes};
	return 0;
}

static int carrier_connect(struct carrier *carrier, struct client *client)
{
	struct link_carrier *self = (struct link_carrier *)carrier;
	uint32_t count = client->options.connection_count;
	int r;

	self->client = client;
	self->started_count = 0;
	self->now_ns = client_now_ns();
	self->port_first =
	    (uint16_t)(PORT_FIRST + random_below(&self->random, 65536 - PORT_FIRST - count));
	r = resolve(self);
	if (r < 0)
		return r;
	if (client->options.is_udp) {
		self->started_count = count;
		return 0;
	}
	self->connections = calloc(count, sizeof(*self->connections));
	if (self->connections == NULL)
		return -ENOMEM;
	r = rings_map(self, count);
	if (r < 0)
		return r;
	return connect_all(self);
}

#define ADD_COUNTER(name, help) totals->tcp.name += tcp->counters.name;

static void totals_add(struct link_totals *totals, const struct client_tcp *tcp)
{
	CLIENT_TCP_COUNTERS(ADD_COUNTER)
	for (uint32_t i = 0; i < CLIENT_TCP_VIOLATION_COUNT; i++)
		totals->violations[i] += tcp->violations[i];
}

static bool all_ended(const struct link_carrier *self)
{
	for (uint32_t i = 0; i < self->started_count; i++) {
		if (!client_tcp_ended(&self->connections[i].tcp))
			return false;
	}
	return true;
}

static void carrier_disconnect(struct carrier *carrier)
{
	struct link_carrier *self = (struct link_carrier *)carrier;
	uint64_t end_ns = client_now_ns() + CLOSE_NS;

	for (uint32_t i = 0; self->connections != NULL && i < self->started_count; i++) {
		self->client->connections[i].is_open = false;
		client_tcp_close(&self->connections[i].tcp);
		connection_output(self, &self->connections[i]);
	}
	if (self->connections != NULL) {
		while (!all_ended(self) && self->now_ns < end_ns)
			poll_once(self);
		end_ns = self->now_ns + LINGER_NS;
		for (uint32_t i = 0; i < self->started_count; i++)
			carrier_close(carrier, i); /* what has not ended */
		while (self->now_ns < end_ns)
			poll_once(self);
		for (uint32_t i = 0; i < self->started_count; i++)
			totals_add(&self->totals, &self->connections[i].tcp);
	}
	free(self->connections);
	self->connections = NULL;
	self->waiting_first = NULL;
	self->waiting_end = &self->waiting_first;
	if (self->memory.base != NULL)
		munmap(self->memory.base, self->memory.bytes);
	self->memory = (struct memory){0};
	self->started_count = 0;
	self->client = NULL;
}

static const struct carrier_ops ops = {
    .connect = carrier_connect,
    .disconnect = carrier_disconnect,
    .flush = carrier_flush,
    .send = carrier_send,
    .close = carrier_close,
    .serve = carrier_serve,
};

int link_carrier_create(struct carrier **ret_carrier, const struct link_carrier_options *options)
{
	struct link_carrier *self = calloc(1, sizeof(*self));
	uint64_t seed;

	if (self == NULL)
		return -ENOMEM;
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) {
		free(self);
		return -EIO;
	}
	self->carrier.ops = &ops;
	self->options = *options;
	self->random = random_seeded(seed);
	self->waiting_end = &self->waiting_first;
	self->path = (struct frame_path){
	    .local = options->local, .remote = options->remote, .vlan = FRAME_NO_VLAN};
	memcpy(self->path.local_mac, options->netif->mac, sizeof(self->path.local_mac));
	/* A reflector answers no questions, and takes any address. */
	if (options->is_reflected) {
		self->path.remote_mac[0] = 2; /* locally administered */
		self->is_resolved = true;
	}
	self->emitter = (struct client_tcp_emitter){
	    .reserve = frame_reserve, .send = frame_send, .context = self};
	*ret_carrier = &self->carrier;
	return 0;
}

const struct link_totals *link_carrier_totals(const struct carrier *carrier)
{
	return &((const struct link_carrier *)carrier)->totals;
}

void link_carrier_destroy(struct carrier *carrier)
{
	free(carrier);
}
