/* SPDX-License-Identifier: Apache-2.0 */
/* A question to kanted (keeper/keeper.h), and what it answers. Owner: whoever asked, until it was
 * told of the end or has cancelled. */
#pragma once

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#define ASK_PATIENCE_S        10 /* without a byte of the answer: there will be none */
#define ASK_PATIENCE_WORKER_S 300

/* The last call: the ask is gone when it returns. is_whole: kanted has said all; else it does not
 * answer, or the answer was cut off. */
typedef void ask_ended_fn(void *context, bool is_whole, struct evbuffer *answer);

struct ask;

/* 0; a negative errno: nothing was asked, and there will be no call. */
int ask_begin(struct ask **ret_ask, struct event_base *base, int link_fd, const char *line,
              ask_ended_fn *ended, void *context);

/* The same with a text behind the line, which may be long and is copied: it is written as kanted
 * reads it, and then our half of the socket is closed. */
int ask_with_text(struct ask **ret_ask, struct event_base *base, int link_fd, const char *line,
                  const char *text, size_t length, ask_ended_fn *ended, void *context);

/* Likewise of a worker, in memcached's text protocol: the answer is what the worker replies to all
 * of `text`. Its patience is longer, as it may have to look through all items. */
int ask_worker(struct ask **ret_ask, struct event_base *base, int link_fd, uint32_t worker,
               const char *text, ask_ended_fn *ended, void *context);

/* There will be no call any more. Takes NULL. */
void ask_cancel(struct ask *ask);
