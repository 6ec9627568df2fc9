/* SPDX-License-Identifier: Apache-2.0 */
/* Many connections (TCP) or sockets (UDP) to one server that ask, by turns and as fast as they may,
 * what the workload says. How their bytes travel is a carrier's: kernel sockets
 * (socket_carrier.h) or frames of our own over a DPDK port (link_carrier.h).
 *
 * One thread. The carrier calls back from within its own calls only. */
#pragma once

#include "load/datagrams.h"

#include <signal.h>

#define CLIENT_CONNECTIONS_MAX 10000
#define CLIENT_RATE_MAX        1e8
#define CLIENT_NS_PER_S        UINT64_C(1000000000)
#define CLIENT_CONNECT_NS      (5 * CLIENT_NS_PER_S) /* without an answer so long: -ETIMEDOUT */

struct client;
struct carrier;

struct carrier_ops {
	/* Connects all of the client's connections. 0, or a negative errno. */
	int (*connect)(struct carrier *carrier, struct client *client);
	/* Closes what is still open, after a connect() that has failed too. */
	void (*disconnect)(struct carrier *carrier);
	/* TCP: moves what conversation_peek() gives as far as there is room, and goes on by itself
	 * when there is more. */
	void (*flush)(struct carrier *carrier, uint32_t index);
	/* UDP: one datagram, now or never. */
	void (*send)(struct carrier *carrier, uint32_t index, const uint8_t *bytes, size_t length);
	/* Ends a connection; what it still has to say is lost. */
	void (*close)(struct carrier *carrier, uint32_t index);
	/* Takes what has come, or waits for it up to wait_ns. 0, or a negative errno. */
	int (*serve)(struct carrier *carrier, uint64_t wait_ns);
};

/* Carriers embed this as their first field. */
struct carrier {
	const struct carrier_ops *ops;
};

struct client_options {
	bool is_udp;
	uint32_t connection_count; /* 1 … CLIENT_CONNECTIONS_MAX */
	uint32_t pipeline;         /* 1 … CONVERSATION_PIPELINE_MAX, each connection */
};

struct client_connection {
	union {
		struct conversation conversation; /* TCP */
		struct datagrams datagrams;       /* UDP */
	};
	uint64_t progress_ns; /* TCP: when bytes last moved, either way */
	bool is_open;
	bool is_ready; /* is in the client's queue of connections with room */
};

struct client {
	struct client_options options;
	struct workload *workload;
	struct carrier *carrier;
	struct client_connection *connections;
	struct memory memory; /* all requests in flight, and the shelf */
	struct datagram_shelf shelf;
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
};

uint64_t client_now_ns(void);

/* Connects all. A negative errno of the carrier's, -ETIMEDOUT or -EINTR among them. Workload and
 * carrier are borrowed; a carrier serves one client at a time. */
int client_create(struct client **ret_client, struct workload *workload, struct carrier *carrier,
                  const struct client_options *options);

/* Takes NULL. */
void client_destroy(struct client *client);

struct client_run {
	uint64_t request_count; /* asked at most; UINT64_MAX: no limit */
	uint64_t duration_ns;   /* UINT64_MAX: no limit */
	double rate;            /* requests a second, Poisson arrivals; 0: closed loop */
	const volatile sig_atomic_t *interrupted; /* stops at once when it becomes not 0 */
};

struct client_result {
	uint64_t elapsed_ns;    /* from the first request to the last reply, or to the time limit */
	uint64_t overdue_count; /* were due (with a rate), but found no room to be sent */
};

/* Runs the workload until a limit is reached and what was asked is answered, or lost, or no
 * connection is left. What happened is in the workload's counters. 0, or a negative errno of the
 * carrier's. */
int client_run(struct client *client, const struct client_run *run,
               struct client_result *ret_result);

/* For carriers. */

/* Checks and counts what has come on a connection: bytes, or one datagram. False: they broke the
 * protocol, and the connection was closed. */
bool client_received(struct client *client, uint32_t index, const uint8_t *bytes, size_t length,
                     uint64_t now_ns);

/* UDP: a reflector has sent our own datagram back. */
void client_reflected(struct client *client, uint32_t index, const uint8_t *bytes, size_t length,
                      uint64_t now_ns);

/* There may be room on the connection: asks what is to be asked, and flushes. */
void client_refill(struct client *client, uint32_t index, uint64_t now_ns);

/* The connection has ended, not by us. */
void client_lost(struct client *client, uint32_t index, const char *reason);
