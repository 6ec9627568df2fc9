/* SPDX-License-Identifier: Apache-2.0 */
/* The block list on its way from the control process to the workers. Owner: the keeper. */
#pragma once

#include "worker/workers.h"

#include <event2/buffer.h>

/* Each a line: its end is where the text of one has its NUL. */
#define KANTED_BLOCK_BYTES_MAX (BLOCKED_COUNT_MAX * IP_PREFIX_TEXT_MAX)

/* text: all prefixes, each on a line of its own; wanted: how many, in digits. Answers "blocked
 * COUNT": they count from each worker's next turn on; "busy": those before them do not yet, so they
 * can be given again soon; or "error TEXT": nothing has changed. True: they count. */
bool kanted_block(struct workers *workers, const char *wanted, const char *text,
                  struct evbuffer *answer);

/* The workers have ended. */
void kanted_block_forget(struct workers *workers);
