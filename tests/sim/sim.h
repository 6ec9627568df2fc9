/* SPDX-License-Identifier: Apache-2.0 */
/* One simulation: one worker or several, their clients and the wire between them, from one seed. */
#pragma once

#include "load/client_tcp.h"
#include "net/capture.h"
#include "net/memory_netif.h"
#include "talk.h"
#include "wire.h"
#include "worker/worker.h"

#define CLIENT_COUNT_MAX  8
#define SERVER_COUNT_MAX  3
#define SERVER_PORT       11211
#define CLIENT_MTU        1500
#define SEND_RING_BYTES   65536
#define VERIFY_RING_BYTES 65536
#define SERVER            UINT32_MAX /* a frame's destination; others are clients by index */

struct sim;

/* One host with one connection at a time. */
struct client {
	struct sim *sim;
	uint32_t index;
	struct random random;
	struct frame_path path;
	struct client_tcp tcp;
	struct loss_watch watch;
	struct talk talk;
	bool talking;
	bool closing;
	uint16_t local_port;
	uint32_t connections_left; /* how many more times it comes back */
	uint32_t requests_left;    /* of this connection */
	uint32_t pipeline;         /* requests without reply at once */
	uint32_t read_budget;      /* bytes it will take before its next pause; a slow reader */
	bool slow_reader;
	bool aborts;      /* in the middle */
	bool half_closes; /* before the replies are there */
	bool quits;       /* asks the server to close first */
	bool awaits_close;
	/* When it was blocked first since this connection was opened, or just then; 0: it was not.
	 * The reset that ends such a connection may be lost. */
	uint64_t blocked_us;
	uint64_t next_action_us;
	uint64_t udp_acknowledged; /* of udp_key, when the last question by UDP was asked */
	uint32_t udp_key;
	uint16_t udp_id;
	uint8_t *rings;
	uint8_t frame[WIRE_FRAME_MAX];
};

/* One of the workers. A connection stays with one, as a network card sees to that. */
struct server {
	struct worker *worker;
	struct memory_netif netif;
};

/* Who changes what the workers go by. */
struct operations {
	struct random random;
	struct client *blocked; /* NULL: none is */
	uint64_t end_us;        /* when it no longer is */
	uint32_t age;           /* turns of all workers since it was */
};

#define OPERATOR_BLOCKS 7 /* seeds that this divides */

struct sim {
	uint64_t seed;
	uint64_t now_us;
	struct random random;
	struct wire wire;
	struct board board;
	struct client clients[CLIENT_COUNT_MAX];
	uint32_t client_count;
	struct workers workers;
	struct server servers[SERVER_COUNT_MAX];
	uint32_t server_count;
	struct random turns; /* who has one */
	struct operations operations;
	bool has_keeper;     /* who captures, now and then */
	struct random looks; /* the keeper's */
	uint16_t capture_number;
	uint32_t capture_laziness; /* steps from one look at copies to the next, about */
	uint64_t copy_count;       /* of frames, that the keeper has taken */
	uint64_t digest;           /* of all frames that the servers have sent, and when */
	struct stats_worker published[SERVER_COUNT_MAX];
	struct port_options port;
	void *memory;
	bool packets_run_short;
	bool machine_stops;         /* now and then, for some milliseconds */
	bool connections_may_break; /* the wire is so bad that time-outs are legitimate */
	uint64_t answered_count;
	uint64_t retransmitted_count; /* by the servers */
	uint64_t call_count;          /* from worker to worker */
	uint64_t cut_count;           /* packets that its network card has cut up */
	uint64_t referred_bytes;      /* that it read from the store itself */
	uint64_t broken_count;
};

/* Runs one seed. False: sim->board.failure says what was wrong. `verbose`: says what it does.
 * has_keeper: somebody captures what the servers receive and send, now and then, which must not
 * change anything: the digest is the same. */
bool sim_run(struct sim *sim, uint64_t seed, bool verbose, bool has_keeper);

/* keeper.c: what the keeper does after a step. */
void keeper_act(struct sim *sim);

/* operator.c: what he does in a step; what the servers must not have sent then; the end. */
void operator_act(struct sim *sim);
void operator_check_sent(struct sim *sim, const uint8_t *data, uint16_t length);
void operator_leave(struct sim *sim);

/* client.c */
void client_create(struct client *client, struct sim *sim, uint32_t index);
void client_destroy(struct client *client);
/* What is due for this client; false: it is done for good. */
bool client_act(struct client *client);
void client_receive(struct client *client, const uint8_t *data, uint16_t length);
uint64_t client_next_us(const struct client *client);
