/* SPDX-License-Identifier: Apache-2.0 */
/* A question to kanted (keeper/keeper.h), and what it answers. Owner: whoever asked, until it was
 * told of the end or has cancelled. */
#pragma once

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdbool.h>

#define ASK_PATIENCE_S 10 /* without a byte of the answer: there will be none */

/* The last call: the ask is gone when it returns. is_whole: kanted has said all; else it does not
 * answer, or the answer was cut off. */
typedef void ask_ended_fn(void *context, bool is_whole, struct evbuffer *answer);

struct ask;

/* 0; a negative errno: nothing was asked, and there will be no call. */
int ask_begin(struct ask **ret_ask, struct event_base *base, int link_fd, const char *line,
              ask_ended_fn *ended, void *context);

/* There will be no call any more. Takes NULL. */
void ask_cancel(struct ask *ask);
