/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes between a socket of the control process and an inner stream of a worker (net/inner.h): the
 * control process speaks memcached's protocol with a worker, and neither can harm the other by
 * being slow. Owner: the keeper. */
#pragma once

#include "net/inner.h"

#include <event2/event.h>

#define RELAY_COUNT_MAX 32 /* at once */

struct relays {
	struct event_base *base;
	struct event *tick; /* while there are any: rings have no file descriptor to wait for */
	struct relay *first;
	uint32_t count;
	uint32_t quiet_ticks; /* since something went one way or the other */
	/* Wakes a worker that sleeps in the kernel. */
	void (*wake)(void *context, uint32_t worker);
	void *context;
};

/* 0; -ENOMEM. */
int relays_create(struct relays *relays, struct event_base *base,
                  void (*wake)(void *context, uint32_t worker), void *context);
/* Workers have ended: the streams are forgotten. Takes what was never created. */
void relays_destroy(struct relays *relays);

/* Takes the socket, also when it fails: 0; -EBUSY: too many at once; -ENOMEM. */
int relays_add(struct relays *relays, int fd, struct inners *inners, uint32_t worker);
