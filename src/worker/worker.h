/* SPDX-License-Identifier: Apache-2.0 */
/* All that one core owns: its ports' queues, its TCP, its sessions and its shard.
 *
 * A turn takes what has come in, answers it and sends the answers. Time comes in as an argument, so
 * that a whole worker runs in a test under a simulated clock; all memory is taken at creation.
 * Owner: the thread that calls worker_turn(); nobody else may touch it but to read counters. */
#pragma once

#include "net/socket.h"
#include "tcp/tcp.h"
#include "worker/datagram.h"
#include "worker/session.h"
#include "worker/stats.h"
#include "worker/workers.h"

/* name, unit, kind, help */
#define WORKER_COUNTERS(X)                                                                         \
	X(turns, "turns", COUNTER_TOTAL, "Turns of the loop")                                      \
	X(turns_busy, "turns", COUNTER_TOTAL, "Turns that found something to do")                  \
	X(busy_us, "microseconds", COUNTER_TOTAL,                                                  \
	  "Length of those turns: its share of the "                                               \
	  "time is how busy the core is")                                                          \
	X(rejected_connections, "connections", COUNTER_TOTAL,                                      \
	  "Refused: too many open connections")                                                    \
	X(idle_kicks, "connections", COUNTER_TOTAL, "Closed: no request for idle_timeout")         \
	X(blocked_kicks, "connections", COUNTER_TOTAL,                                             \
	  "Ended: their source has come onto the block list")                                      \
	X(calls, "requests", COUNTER_TOTAL,                                                        \
	  "Served for other workers, and replies taken from them")                                 \
	X(errors_passed, "messages", COUNTER_TOTAL,                                                \
	  "ICMP errors about no connection of its own, told to all other workers")                 \
	X(errors_taken, "messages", COUNTER_TOTAL,                                                 \
	  "ICMP errors about own connections that came in at other workers")                       \
	X(errors_lost, "messages", COUNTER_TOTAL,                                                  \
	  "ICMP errors that other workers had no room for")                                        \
	X(wakes, "times", COUNTER_TOTAL, "Woke another worker, to serve a call or take a reply")

struct worker_counters {
	WORKER_COUNTERS(COUNTER_FIELD)
};

struct worker_options {
	struct workers *workers;    /* outlives it */
	uint32_t number;            /* among them */
	struct shard_options shard; /* its memory is this worker's share */
	struct memory *items;       /* where that is taken from; NULL: where all else is */
	struct sessions_options sessions;
	struct datagram_options datagrams;
	struct tcp_options tcp;
	struct stats_options stats;
	uint32_t connection_count_max; /* clients of all workers */
	uint32_t block_count;     /* of BLOCK_CAPACITY bytes: all that waits to be sent or read */
	uint64_t idle_timeout_us; /* 0: idle connections stay */
	bool with_sockets;        /* a port of the kind socket will be opened */
	bool with_inners; /* there is a keeper that asks things (net/inner.h, net/capture.h) */
	uint64_t (*clock_us)(void); /* monotonic: asked after a sleep; with sockets only */
};

struct worker;

/* Bytes of zeroed memory that worker_create() takes, for one of so many. */
size_t worker_memory_bytes(const struct worker_options *options, uint32_t worker_count);

/* All of them are created before the first one's first turn. 0; -EINVAL: the shard's memory is too
 * small; another negative errno: epoll could not be made. */
int worker_create(struct worker **ret_worker, const struct worker_options *options,
                  struct memory *memory, uint64_t now_us);

/* Ends kernel sockets; the memory is whoever gave it. Takes NULL. */
void worker_destroy(struct worker *worker);

/* After that, and when no device refers to its items any more: shard_rest(). */
uint64_t worker_rest(struct worker *worker, uint64_t generation);

/* Gives it a queue of a port, whose place in the config is port_index. `probe`: this worker looks
 * for duplicates of the port's addresses and announces them. What the arguments point to must
 * outlive the worker. At most PORT_COUNT_MAX. */
void worker_add_netif(struct worker *worker, struct netif *netif, const struct port_options *port,
                      uint32_t port_index, bool probe, uint64_t random_seed, uint64_t now_us);

/* Lists counters that somebody else writes in `stats kante`, too: at most PORT_COUNT_MAX + 3
 * groups. */
void worker_add_counters(struct worker *worker, const struct counter_group *group);

/* The XDP programs that answer hot keys; `show`: memory for it. Before its first turn. */
void worker_show_to(struct worker *worker, struct show *show, const struct show_options *options);

/* Its kernel sockets, to listen on more ports; NULL without with_sockets. */
struct sockets *worker_sockets(struct worker *worker);

/* What the keeper opens streams by; NULL without with_inners. */
struct inners *worker_inners(struct worker *worker);

/* What the keeper looks at its ports by; NULL likewise. */
struct capture *worker_capture(struct worker *worker);

/* It will have no more turns: the others do not wait for it. */
void worker_leave(struct worker *worker);

/* One turn. wait_ms: how long it may sleep in the kernel when it has nothing but sockets. Returns
 * how many frames and sockets had something: 0 when it may rest. */
uint32_t worker_turn(struct worker *worker, uint64_t now_us, int wait_ms);

/* When it has something to do by itself, at the latest (simulation). */
uint64_t worker_next_deadline_us(const struct worker *worker);

/* Once all its netifs and counters were added. */
struct stats_worker worker_published(struct worker *worker);
const struct worker_counters *worker_counters(const struct worker *worker);
const struct tcp *worker_tcp(const struct worker *worker);
const struct block_pool *worker_blocks(const struct worker *worker);
const struct net *worker_net(const struct worker *worker, uint32_t index);
const struct datagram_counters *worker_datagram_counters(const struct worker *worker);

/* Asserts every invariant of the whole worker (slow: tests and simulation). */
void worker_check(struct worker *worker);
