/* SPDX-License-Identifier: Apache-2.0 */
/* The client's carrier on frames of our own, over a netif that it polls: ARP or neighbour
 * discovery, and client_tcp.h or UDP on top. Nothing that goes wrong on the way is hidden: it is
 * counted, and what the server must not do (enum client_tcp_violation) is a protocol error. */
#pragma once

#include "load/client.h"
#include "load/client_tcp.h"
#include "net/netif.h"

struct link_carrier_options {
	struct netif *netif;
	struct ip_address local;
	struct ip_address remote;
	uint16_t remote_port;
	/* Who answers is no server, but sends every frame back with the MAC addresses swapped: UDP
	 * only. */
	bool is_reflected;
	bool is_ordered; /* the netif neither reorders nor duplicates: see client_tcp_options */
	const volatile sig_atomic_t *interrupted; /* connecting stops at once when not 0 */
};

/* name, help. Frames. */
#define LINK_COUNTERS(X)                                                                           \
	X(frames_sent, "frames sent")                                                              \
	X(frames_received, "frames received")                                                      \
	X(frames_unsent, "datagrams unsent: no room")                                              \
	X(frames_unread, "frames not understood")                                                  \
	X(frames_stray, "frames for nobody here")

#define LINK_COUNTER_FIELD(name, help) uint64_t name;

struct link_counters {
	LINK_COUNTERS(LINK_COUNTER_FIELD)
};

/* What all connections that there have been have counted together. */
struct link_totals {
	struct link_counters link;
	struct client_tcp_counters tcp;
	uint64_t violations[CLIENT_TCP_VIOLATION_COUNT];
};

/* 0, or a negative errno. The netif is borrowed. */
int link_carrier_create(struct carrier **ret_carrier, const struct link_carrier_options *options);

/* Of connections that are closed: complete after client_destroy(). */
const struct link_totals *link_carrier_totals(const struct carrier *carrier);

/* The client must be destroyed. Takes NULL. */
void link_carrier_destroy(struct carrier *carrier);
