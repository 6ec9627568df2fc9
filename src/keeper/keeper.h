/* SPDX-License-Identifier: Apache-2.0 */
/* What kanted's main thread does while the workers serve: it heeds signals, publishes figures once
 * a second, watches over the control process, answers what that asks, and tells the service manager
 * how all of it does.
 *
 * The control process sends a line with a socket (control/link.h), and what it asked for goes into
 * the socket:
 *
 *	worker N      the socket is a client of worker N, let in without a password: memcached's
 *	              text protocol, both ways
 *	capture P S   into the socket come copies of the frames of port P of the config, up to S
 *	              bytes of each (keeper/capture_relay.h), until it is closed
 *	ready         (no socket) the control process serves
 *	alive         (no socket) a sign of life, at least every few seconds
 *	NAME [REST]   one of the questions in the options: text, then the end:
 *	              facts, counters, config (what kanted goes by, as a file), reload (the
 *	              config is read again, as on SIGHUP: lines "applied PATH" and "restart
 *	              PATH", or "error TEXT", then an empty one, then as `config`),
 *	              block COUNT (by the socket come so many lines first, and then an end: the
 *	              block list, kanted_block.h)
 *
 * Owner: the thread that calls keeper_run(). */
#pragma once

#include "keeper/capture_relay.h"
#include "keeper/child.h"
#include "keeper/notify.h"
#include "keeper/relay.h"

#include <event2/buffer.h>

struct keeper_question {
	const char *name;
	/* Writes the answer. `rest` is what follows the name in the line. */
	void (*answer)(void *context, const char *rest, struct evbuffer *answer);
	/* Likewise, when a text comes by the socket first; NULL: none does. It may have been cut
	 * off, as the end of who has sent it looks like the text's. */
	void (*answer_text)(void *context, const char *rest, const char *text,
	                    struct evbuffer *answer);
	uint32_t text_bytes_max;
};

struct keeper_options {
	const char *child_path; /* the control process's program; NULL: there is none */
	const char *const *child_arguments;
	uint32_t worker_count;
	struct inners *const *inners;    /* of each worker */
	struct capture *const *captures; /* likewise */
	void (*wake)(void *context, uint32_t worker);
	/* Of its loop, ever more: a worker whose number stays is taken for one that hangs. */
	uint64_t (*turns)(void *context, uint32_t worker);
	const struct notify *notify;
	const struct keeper_question *questions;
	uint32_t question_count;
	void (*every_second)(void *context);
	void (*watch)(void *context);  /* four times a second: over what has to be mended soon */
	void (*reload)(void *context); /* SIGHUP */
	uint64_t (*clock_us)(void);    /* monotonic */
	void *context;
};

struct keeper;

/* 0; a negative errno, and the log says why. SIGINT, SIGTERM, SIGHUP and SIGCHLD are blocked in all
 * threads. */
int keeper_create(struct keeper **ret_keeper, const struct keeper_options *options);

/* Ends the control process. The workers have ended. Takes NULL. */
void keeper_destroy(struct keeper *keeper);

/* Begins the control process and waits until it serves. 0; a negative errno, and the log says why:
 * -ETIMEDOUT, or -ECHILD: it has ended. */
int keeper_start_control(struct keeper *keeper);

/* What is known of the control process. */
const struct child *keeper_child(const struct keeper *keeper);

/* Until SIGINT or SIGTERM. */
void keeper_run(struct keeper *keeper);
