/* SPDX-License-Identifier: Apache-2.0 */
/* Work that takes longer than the loop may stand still: done by a child of this process, at a lower
 * priority, which knows what this one knew and hands back text. It reads files; nothing it does to
 * memory counts. Owner: whoever has begun it, until it was told of the end or has cancelled. */
#pragma once

#include <event2/buffer.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdio.h>

#define CHORE_COUNT_MAX 2                  /* at once */
#define CHORE_BYTES_MAX (64 * 1024 * 1024) /* of what comes of one */

struct chore;

/* In the child: writes what comes of it; or, and returns false, why nothing does. */
typedef bool chore_work_fn(FILE *to, void *context);

/* The last call: the chore is gone when it returns. is_good: the text is what came of it; else why
 * nothing did; empty: it was ended by somebody, or for want of memory, or more came of it than
 * CHORE_BYTES_MAX. */
typedef void chore_ended_fn(void *context, bool is_good, struct evbuffer *text);

/* `count`: of those under way, the caller's. work_context: what `work` is given. 0; a negative
 * errno, and there will be no call: -EBUSY: there are enough. */
int chore_begin(struct chore **ret_chore, struct event_base *base, uint32_t *count,
                chore_work_fn *work, void *work_context, chore_ended_fn *ended, void *context);

/* Ends it; there will be no call any more. Takes NULL. */
void chore_cancel(struct chore *chore);
