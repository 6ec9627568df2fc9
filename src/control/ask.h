/* SPDX-License-Identifier: Apache-2.0 */
/* A question to kanted (keeper/keeper.h), and what it answers, as it comes. Owner: whoever asked,
 * until it was told of the end or has cancelled. */
#pragma once

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#define ASK_PATIENCE_S 10 /* without a byte of the answer: there will be none */

enum ask_end {
	ASK_ANSWERED,  /* kanted has said all */
	ASK_NO_ANSWER, /* it does not answer, or the answer was cut off */
};

struct ask_options {
	const char *line;  /* the question */
	const char *input; /* what is sent after it (`worker N`: commands); NULL: nothing */
	/* Takes what has come out of `answer`, or leaves it there for later. False: no more is
	 * wanted: ended() comes next. NULL: all of it is left until the end. */
	bool (*came)(void *context, struct evbuffer *answer);
	/* The last call: the ask is gone when it returns. */
	void (*ended)(void *context, enum ask_end end, struct evbuffer *answer);
	void *context;
	uint64_t patience_s; /* 0: ASK_PATIENCE_S */
};

struct ask;

/* 0; a negative errno: nothing was asked, and there will be no call. */
int ask_begin(struct ask **ret_ask, struct event_base *base, int link_fd,
              const struct ask_options *options);

/* There will be no call any more. Takes NULL. */
void ask_cancel(struct ask *ask);

/* Holds the answer back while whoever wants it is behind. */
void ask_hold(struct ask *ask, bool hold);
