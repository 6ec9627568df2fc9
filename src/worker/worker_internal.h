/* SPDX-License-Identifier: Apache-2.0 */
/* What worker.c and worker_packets.c share. Nobody else includes this. */
#pragma once

#include "net/capture.h"
#include "net/inner.h"
#include "worker/seats.h"
#include "worker/worker.h"

#define GROUP_COUNT_MAX (10 + 2 * PORT_COUNT_MAX + 2 * CLASS_COUNT_MAX)
#define CLASS_MODULE    "class:" /* and its name: so its counters are called in stats */

struct worker {
	uint32_t magic;
	uint32_t net_count;
	struct worker_time time;
	struct workers *workers;
	uint32_t number; /* among them */
	uint64_t (*clock_us)(void);
	bool was_busy;      /* its last turn has found something to do */
	bool store_is_busy; /* it has something to do that nobody waits for yet */
	struct tcp *tcp;
	struct shard *shard;
	struct sockets *sockets; /* NULL: no port of that kind */
	struct inners *inners;   /* NULL: there is no keeper */
	struct capture *capture; /* NULL likewise */
	struct seats seats;
	uint32_t client_count_max; /* of all workers; the seats are some more, for the keeper */
	uint32_t settings_version; /* of those it has taken over */
	const struct blocked *blocked;
	uint32_t blocked_index; /* of the seat that is looked at next for it */
	uint32_t blocked_left;  /* seats that are still to be looked at */
	uint32_t board_version; /* of the board, as it has seen it */
	uint64_t told_us;       /* the end of the window of hot keys that it has told of */
	struct net nets[PORT_COUNT_MAX];
	struct block_pool blocks;
	struct sessions sessions;
	const struct tcp_connection *near[NETIF_BURST_MAX]; /* of a burst's frames */
	struct stats stats;
	struct datagram_server datagrams;
	struct worker_counters counters;
	struct counter_group groups[GROUP_COUNT_MAX];
	char class_modules[CLASS_COUNT_MAX][sizeof(CLASS_MODULE) + CLASS_NAME_BYTES];
	uint32_t group_count;
};

/* What its nets hand to it. */
struct net_user worker_net_user(struct worker *worker);

/* For struct socket_options. */
void worker_socket_datagram(void *context, struct sockets *sockets,
                            const struct socket_datagram *datagram);

/* Takes ICMP errors that came in at other workers. */
void worker_take_errors(struct worker *worker);
