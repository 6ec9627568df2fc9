/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal that an operator sits at, if there is one: how wide it is, what may be sent to it,
 * and what is asked there. Owner: none, it is the process's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* In columns, of the terminal that this goes to; 0: it is none. */
uint32_t terminal_width(FILE *to);

/* It is a terminal, and NO_COLOR is not set. */
bool terminal_wants_colour(FILE *to);

/* What it shows is UTF-8, by the user's locale. */
bool terminal_is_utf8(void);

/* Text from elsewhere, fit for a terminal: control characters, what changes the direction of
 * writing or is not seen, and what is no UTF-8 are escaped ("\n", "\x1b", "\u202e"); with
 * `keeps_lines` newlines stay. To be free()d; NULL: no memory. */
char *terminal_text(const char *text, bool keeps_lines);

/* The same for bytes that may have a NUL among them. */
char *terminal_bytes(const char *bytes, size_t length, bool keeps_lines);

/* Columns that such text takes; of at most `columns_max` of them the bytes are in ret_bytes. */
uint32_t terminal_columns(const char *text, uint32_t columns_max, size_t *ret_bytes);

/* Asks "QUESTION? [y/N] ". True: yes, or no terminal is there to ask. */
bool terminal_confirm(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line that is not shown, from the terminal, where `prompt` is written; or from standard input
 * when that is none. Without its newline; the caller wipes it. 0; -EPIPE: there was none; -E2BIG;
 * -EINVAL: it has a NUL in it; -ECANCELED: Ctrl-C; another negative errno. */
int terminal_read_secret(char *ret_text, size_t text_bytes, const char *prompt);
