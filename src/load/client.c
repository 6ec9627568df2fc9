/* SPDX-License-Identifier: Apache-2.0 */
#include "load/client.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define SWEEP_NS         (CLIENT_NS_PER_S / 10)
#define STALL_NS         (30 * CLIENT_NS_PER_S) /* TCP: no byte moves, though a reply is due */
#define DRAIN_NS         (10 * CLIENT_NS_PER_S) /* for the replies after the last request */
#define DATAGRAM_LOSS_NS CLIENT_NS_PER_S
#define SPIN_NS          100000 /* timers may be late by about that much */
#define HELD_COUNT       4096   /* early datagrams */

uint64_t client_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * CLIENT_NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Mapped rather than allocated: pages that no request reaches cost nothing. */
static int memory_map(struct client *client)
{
	const struct client_options *options = &client->options;
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

int client_create(struct client **ret_client, struct workload *workload, struct carrier *carrier,
                  const struct client_options *options)
{
	uint32_t count = options->connection_count;
	struct client *client = calloc(1, sizeof(*client));
	int r = -ENOMEM;

	if (client == NULL)
		return r;
	client->options = *options;
	client->workload = workload;
	client->connections = calloc(count, sizeof(*client->connections));
	client->ready_ring = calloc(count, sizeof(*client->ready_ring));
	if (client->connections == NULL || client->ready_ring == NULL)
		goto fail;
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
	client->carrier = carrier;
	r = carrier->ops->connect(carrier, client);
	if (r < 0)
		goto fail;
	for (uint32_t i = 0; i < count; i++)
		client->connections[i].is_open = true;
	client->open_count = count;
	*ret_client = client;
	return 0;
fail:
	client_destroy(client);
	return r;
}

void client_destroy(struct client *client)
{
	if (client == NULL)
		return;
	if (client->carrier != NULL)
		client->carrier->ops->disconnect(client->carrier);
	if (client->memory.base != NULL)
		munmap(client->memory.base, client->memory.bytes);
	free(client->ready_ring);
	free(client->connections);
	free(client);
}

static uint32_t connection_in_flight(const struct client *client,
                                     const struct client_connection *connection)
{
	return client->options.is_udp ? connection->datagrams.busy_count
	                              : conversation_unanswered(&connection->conversation);
}

static bool connection_has_room(const struct client *client,
                                const struct client_connection *connection)
{
	if (!connection->is_open)
		return false;
	return client->options.is_udp ? datagrams_have_room(&connection->datagrams)
	                              : conversation_has_room(&connection->conversation);
}

/* What is in flight on it will not be answered any more. */
static void connection_close(struct client *client, struct client_connection *connection)
{
	uint32_t in_flight = connection_in_flight(client, connection);

	if (client->options.is_udp)
		datagrams_expire(&connection->datagrams, UINT64_MAX, 0);
	else
		client->workload->counters.unanswered += in_flight;
	client->in_flight_count -= in_flight;
	client->open_count--;
	connection->is_open = false;
	client->carrier->ops->close(client->carrier, (uint32_t)(connection - client->connections));
}

void client_lost(struct client *client, uint32_t index, const char *reason)
{
	struct client_connection *connection = &client->connections[index];

	if (!connection->is_open)
		return;
	client->workload->counters.lost_connections++;
	workload_note_fault(client->workload,
	                    "connection %u was lost with %u requests in flight: %s", index,
	                    connection_in_flight(client, connection), reason);
	connection_close(client, connection);
}

static void connection_stalled(struct client *client, struct client_connection *connection)
{
	client->workload->counters.stalled_connections++;
	workload_note_fault(client->workload, "connection %u got no more replies to %u requests",
	                    (unsigned)(connection - client->connections),
	                    connection_in_flight(client, connection));
	connection_close(client, connection);
}

/* Asks one request; on TCP it still has to be flushed. */
static void connection_ask(struct client *client, struct client_connection *connection,
                           uint64_t intended_ns, uint64_t now_ns)
{
	uint8_t datagram[DATAGRAM_REQUEST_BYTES_MAX];
	size_t length;

	client->requests_left--;
	client->in_flight_count++;
	if (!client->options.is_udp) {
		if (conversation_unanswered(&connection->conversation) == 0)
			connection->progress_ns = now_ns;
		conversation_ask(&connection->conversation, intended_ns);
		return;
	}
	length = datagrams_ask(&connection->datagrams, intended_ns, now_ns, datagram);
	client->carrier->ops->send(client->carrier, (uint32_t)(connection - client->connections),
	                           datagram, length);
}

static void ready_push(struct client *client, struct client_connection *connection)
{
	uint32_t count = client->options.connection_count;

	if (connection->is_ready || !connection_has_room(client, connection))
		return;
	connection->is_ready = true;
	client->ready_ring[(client->ready_first + client->ready_count++) % count] =
	    (uint32_t)(connection - client->connections);
}

static struct client_connection *ready_pop(struct client *client)
{
	struct client_connection *connection =
	    &client->connections[client->ready_ring[client->ready_first]];

	client->ready_first = (client->ready_first + 1) % client->options.connection_count;
	client->ready_count--;
	connection->is_ready = false;
	return connection;
}

/* Closed loop: asks as much as fits. */
void client_refill(struct client *client, uint32_t index, uint64_t now_ns)
{
	struct client_connection *connection = &client->connections[index];

	if (client->rate > 0) {
		ready_push(client, connection);
	} else {
		while (client->requests_left > 0 && connection_has_room(client, connection))
			connection_ask(client, connection, now_ns, now_ns);
	}
	if (!client->options.is_udp && connection->is_open)
		client->carrier->ops->flush(client->carrier, index);
}

/* Asks what is due by now, as far as there is room; what finds none waits, its time counting. */
static void ask_due(struct client *client, uint64_t now_ns)
{
	uint32_t turns_left = client->ready_count;

	while (turns_left-- > 0 && client->requests_left > 0 &&
	       client->arrival_ns <= (double)now_ns) {
		struct client_connection *connection = ready_pop(client);

		if (!connection_has_room(client, connection))
			continue;
		connection_ask(client, connection, (uint64_t)client->arrival_ns, now_ns);
		client->arrival_ns += workload_gap_ns(client->workload, client->rate);
		client_refill(client, (uint32_t)(connection - client->connections), now_ns);
	}
}

bool client_received(struct client *client, uint32_t index, const uint8_t *bytes, size_t length,
                     uint64_t now_ns)
{
	struct client_connection *connection = &client->connections[index];
	uint32_t before = connection_in_flight(client, connection);
	bool is_good = true;

	ASSERT(connection->is_open);
	client->answered_ns = now_ns;
	if (client->options.is_udp) {
		datagrams_receive(&connection->datagrams, bytes, length, now_ns);
	} else {
		connection->progress_ns = now_ns;
		is_good = conversation_receive(&connection->conversation, bytes, length, now_ns);
	}
	client->in_flight_count -= before - connection_in_flight(client, connection);
	if (!is_good)
		connection_close(client, connection);
	return is_good;
}

void client_reflected(struct client *client, uint32_t index, const uint8_t *bytes, size_t length,
                      uint64_t now_ns)
{
	struct client_connection *connection = &client->connections[index];
	uint32_t before = connection_in_flight(client, connection);

	ASSERT(connection->is_open && client->options.is_udp);
	client->answered_ns = now_ns;
	datagrams_reflected(&connection->datagrams, bytes, length, now_ns);
	client->in_flight_count -= before - connection_in_flight(client, connection);
}

/* Time-outs. */
static void sweep(struct client *client, uint64_t now_ns)
{
	for (uint32_t i = 0; i < client->options.connection_count; i++) {
		struct client_connection *connection = &client->connections[i];
		uint32_t in_flight = connection_in_flight(client, connection);

		if (!connection->is_open || in_flight == 0)
			continue;
		if (client->options.is_udp) {
			datagrams_expire(&connection->datagrams, now_ns, DATAGRAM_LOSS_NS);
			client->in_flight_count -=
			    in_flight - connection_in_flight(client, connection);
			client_refill(client, i, now_ns);
		} else if (now_ns > connection->progress_ns + STALL_NS) {
			connection_stalled(client, connection);
		}
	}
}

/* How long nothing but a reply can make work. */
static uint64_t wait_ns_max(const struct client *client, uint64_t now_ns, uint64_t until_ns)
{
	uint64_t wait_ns = until_ns > now_ns ? until_ns - now_ns : 0;

	if (client->rate > 0 && client->requests_left > 0 && client->ready_count > 0) {
		double due_ns = client->arrival_ns - (double)now_ns - SPIN_NS;

		wait_ns = due_ns <= 0 ? 0 : min_u64(wait_ns, (uint64_t)due_ns);
	}
	return wait_ns;
}

static void run_begin(struct client *client, const struct client_run *run, uint64_t now_ns)
{
	client->requests_left = run->request_count;
	client->answered_ns = now_ns;
	client->cut_ns = 0;
	client->rate = run->rate;
	if (run->rate > 0)
		client->arrival_ns = (double)now_ns + workload_gap_ns(client->workload, run->rate);
	for (uint32_t i = 0; i < client->options.connection_count; i++) {
		if (client->connections[i].is_open)
			client_refill(client, i, client_now_ns());
	}
}

/* No more requests from here on: what was still to come is cut. */
static void run_stop_asking(struct client *client, uint64_t now_ns, struct client_result *result)
{
	if (client->requests_left == 0)
		return;
	client->cut_ns = now_ns;
	if (client->rate > 0 && client->arrival_ns < (double)now_ns)
		result->overdue_count =
		    (uint64_t)(((double)now_ns - client->arrival_ns) * client->rate / 1e9);
	client->requests_left = 0;
}

int client_run(struct client *client, const struct client_run *run,
               struct client_result *ret_result)
{
	struct client_result result = {0};
	uint64_t start_ns = client_now_ns();
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
		r = client->carrier->ops->serve(
		    client->carrier,
		    wait_ns_max(client, now_ns,
		                client->requests_left > 0 ? min_u64(end_ns, sweep_ns) : sweep_ns));
		if (r < 0)
			return r;
		now_ns = client_now_ns();
		if (now_ns >= sweep_ns) {
			sweep(client, now_ns);
			sweep_ns = now_ns + SWEEP_NS;
		}
	}
	run_stop_asking(client, min_u64(now_ns, end_ns), &result);
	for (uint32_t i = 0; now_ns >= drain_end_ns && i < client->options.connection_count; i++) {
		if (client->connections[i].is_open &&
		    connection_in_flight(client, &client->connections[i]) > 0)
			connection_stalled(client, &client->connections[i]);
	}
	result.elapsed_ns = max_u64(client->answered_ns, client->cut_ns) - start_ns;
	*ret_result = result;
	return 0;
}
