/* SPDX-License-Identifier: Apache-2.0 */
/* What a screen is to show, as pieces of text: made without a terminal, so that it can be looked at
 * without one. Owner: the command that fills it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum screen_style {
	SCREEN_PLAIN,
	SCREEN_HEAD,    /* the line above all */
	SCREEN_HEADING, /* of columns */
	SCREEN_VALUE,
	SCREEN_BAR,
	SCREEN_BAR_HIGH,
	SCREEN_LOUD, /* somebody has to see to it */
	SCREEN_STYLE_COUNT
};

struct screen_piece {
	uint32_t row, column, columns;
	enum screen_style style;
	char *text;
};

struct screen {
	uint32_t rows, columns;
	bool is_utf8;      /* else what is not ASCII is shown as "?" */
	bool is_cut_off;   /* no memory was left for a piece */
	uint32_t row_used; /* rows that have something */
	uint32_t count, allocated;
	struct screen_piece *pieces;
};

/* Some rows and columns of it. */
struct screen_area {
	uint32_t row, column, rows, columns;
};

void screen_create(struct screen *screen, uint32_t rows, uint32_t columns, bool is_utf8);
void screen_destroy(struct screen *screen);

/* Text on so many columns at most; what is outside of the screen is not shown. It is escaped
 * (terminal_text()). The pieces of a row are put from left to right. Returns how many columns it
 * takes. */
uint32_t screen_put(struct screen *screen, uint32_t row, uint32_t column, uint32_t columns,
                    enum screen_style style, const char *text);

/* The same, with its end at that column, if it is as short as that. */
void screen_put_right(struct screen *screen, uint32_t row, uint32_t column, uint32_t columns,
                      enum screen_style style, const char *text);

/* The same; what is longer ends with a mark. */
void screen_put_cut(struct screen *screen, uint32_t row, uint32_t column, uint32_t columns,
                    enum screen_style style, const char *text);

/* The same, with blanks behind it up to so many columns. */
void screen_put_filled(struct screen *screen, uint32_t row, uint32_t column, uint32_t columns,
                       enum screen_style style, const char *text);

/* Text on as many rows as it takes, up to `rows`, each of them filled. Returns how many. */
uint32_t screen_put_rows(struct screen *screen, uint32_t row, uint32_t rows,
                         enum screen_style style, const char *text);

/* As text, without what it looks like; up to the last row that has something. 0; -ENOMEM. */
int screen_print(const struct screen *screen, FILE *to);
