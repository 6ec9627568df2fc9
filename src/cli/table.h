/* SPDX-License-Identifier: Apache-2.0 */
/* A table for people: what was put into it, in aligned columns. Text from elsewhere is escaped
 * (terminal_text()). Owner: the command that prints it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum table_kind {
	TABLE_TEXT,
	TABLE_NUMBER, /* stands at the right */
	TABLE_LONG,   /* text that is cut where the terminal is too narrow for all */
};

struct table_column {
	const char *heading; /* of all columns or of none: NULL */
	enum table_kind kind;
};

struct table;

/* `columns` must outlive it. 0; -ENOMEM. */
int table_create(struct table **ret_table, const struct table_column *columns, uint32_t count);
void table_destroy(struct table *table); /* takes NULL */

/* The next cell, row by row. Without memory for it, or for the text (NULL), nothing more is taken,
 * and table_print() says so. */
void table_add(struct table *table, const char *text);

/* width: 0: any. With a line of headings first, unless there are none. 0; -ENOMEM. */
int table_print(const struct table *table, FILE *to, uint32_t width, bool with_bold);
