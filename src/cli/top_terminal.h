/* SPDX-License-Identifier: Apache-2.0 */
/* The whole terminal, by ncurses: screens are shown on it, and keys come from it. Owner: the
 * command that runs; there is one at a time. */
#pragma once

#include "cli/screen.h"

enum top_key {
	TOP_KEY_NONE, /* the time is over, or the key means nothing */
	TOP_KEY_QUIT,
	TOP_KEY_PAUSE,
	TOP_KEY_HELP,
	TOP_KEY_SLOWER,
	TOP_KEY_FASTER,
	TOP_KEY_RESIZED,
};

struct top_terminal;

/* 0; -ENOTTY: the terminal is of a kind that is not known, or there is none. */
int top_terminal_open(struct top_terminal **ret_terminal);
void top_terminal_close(struct top_terminal *terminal); /* as it was before; takes NULL */

void top_terminal_size(const struct top_terminal *terminal, uint32_t *ret_rows,
                       uint32_t *ret_columns);
void top_terminal_show(struct top_terminal *terminal, const struct screen *screen);

/* Waits so long at most. */
enum top_key top_terminal_key(struct top_terminal *terminal, uint32_t wait_ms);
