/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of frames (net/capture.h) on their way from all workers to a socket of the control
 * process, which ends it by closing the socket, or by its own end. One at a time. Who does not read
 * misses frames, and is told how many. Owner: the keeper. */
#pragma once

#include "net/capture.h"

#include <event2/event.h>

struct capture_relay {
	struct event_base *base;
	struct event *tick;         /* while something is captured: rings have no file descriptor */
	struct bufferevent *socket; /* NULL: nothing is captured */
	struct capture *const *captures; /* of each worker */
	uint32_t worker_count;
	uint16_t number;
	uint64_t missed; /* as the workers count, that the control process was told of */
};

/* 0; -ENOMEM. */
int capture_relay_create(struct capture_relay *relay, struct event_base *base,
                         struct capture *const *captures, uint32_t worker_count);
/* Takes what was never created. */
void capture_relay_destroy(struct capture_relay *relay);

/* Takes the socket, also when it fails. Into it come struct captured, each with its bytes behind
 * it: the first one at once, of no frame. Ends the one before it: whoever asks is done with that.
 * 0; -EINVAL: no such port, or snap; -ENOMEM. */
int capture_relay_begin(struct capture_relay *relay, int fd, uint32_t port_index, uint32_t snap);
