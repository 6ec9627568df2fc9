/* SPDX-License-Identifier: Apache-2.0 */
/* The load generator's back-end on kernel sockets: many connections (TCP) or sockets (UDP) to one
 * server, one thread, one edge-triggered epoll. */
#pragma once

#include "load/workload.h"

#include <signal.h>
#include <sys/socket.h>

#define SOCKET_CLIENT_CONNECTIONS_MAX 10000
#define SOCKET_CLIENT_RATE_MAX        1e8

struct socket_client;

struct socket_client_options {
	struct sockaddr_storage address;
	socklen_t address_bytes;
	bool is_udp;
	uint32_t connection_count; /* 1 … SOCKET_CLIENT_CONNECTIONS_MAX */
	uint32_t pipeline;         /* 1 … CONVERSATION_PIPELINE_MAX, each connection */
};

/* Connects all. -ETIMEDOUT when the server does not answer within 5 s, -EINTR on a signal, or what
 * socket(2), connect(2) and mmap(2) say. The workload is borrowed. */
int socket_client_create(struct socket_client **ret_client, struct workload *workload,
                         const struct socket_client_options *options);

/* Takes NULL. */
void socket_client_destroy(struct socket_client *client);

struct socket_client_run {
	uint64_t request_count; /* asked at most; UINT64_MAX: no limit */
	uint64_t duration_ns;   /* UINT64_MAX: no limit */
	double rate;            /* requests a second, Poisson arrivals; 0: closed loop */
	const volatile sig_atomic_t *interrupted; /* stops at once when it becomes not 0 */
};

struct socket_client_result {
	uint64_t elapsed_ns;    /* from the first request to the last reply, or to the time limit */
	uint64_t overdue_count; /* were due (with a rate), but found no room to be sent */
};

/* Runs the workload until a limit is reached and what was asked is answered, or lost, or no
 * connection is left. What happened is in the workload's counters. 0, or what epoll(7) says. */
int socket_client_run(struct socket_client *client, const struct socket_client_run *run,
                      struct socket_client_result *ret_result);
