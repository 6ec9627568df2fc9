/* SPDX-License-Identifier: Apache-2.0 */
/* Hot keys that the XDP programs of kanted's ports answer. Owner: the keeper. */
#pragma once

#include "kanted_workers.h"
#include "worker/board.h"

#include <event2/buffer.h>

/* Zeroed at first. */
struct kanted_hot {
	struct kanted_workers *workers;
	struct board *board; /* NULL: no program could answer any */
	void *board_memory;
	struct show *shows; /* by worker */
	struct xdp *programs[PORT_COUNT_MAX];
	uint32_t program_count;
};

/* Between the workers' creation and their launch. 0; a negative errno, and the log says why. */
int kanted_hot_create(struct kanted_hot *hot, struct kanted_workers *workers);

/* Once a second: decides which keys they are. */
void kanted_hot_decide(struct kanted_hot *hot);

/* What the config says that may change counts from now on. */
void kanted_hot_change(struct kanted_hot *hot);

/* A line a port: who answers its hot keys, and how or why: "hot N xdp TEXT", "hot N workers TEXT",
 * and where nobody is served "hot N nobody TEXT". */
void kanted_hot_tell(const struct kanted_hot *hot, struct evbuffer *answer);

/* When the workers have ended. */
void kanted_hot_destroy(struct kanted_hot *hot);
