/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include "base/bytes.h"
#include "cli/terminal.h"

#include <errno.h>
#include <stdlib.h>

#define GAP             2
#define CUT             "…"
#define LONG_COLUMN_MIN 8 /* it is not cut to less */

struct table {
	const struct table_column *columns;
	uint32_t column_count;
	uint32_t cell_count;
	uint32_t cells_allocated;
	char **cells;
	bool is_cut_off; /* no memory was left for a cell */
};

int table_create(struct table **ret_table, const struct table_column *columns, uint32_t count)
{
	struct table *table = calloc(1, sizeof(*table));

	if (table == NULL)
		return -ENOMEM;
	table->columns = columns;
	table->column_count = count;
	*ret_table = table;
	return 0;
}

void table_destroy(struct table *table)
{
	if (table == NULL)
		return;
	for (uint32_t i = 0; i < table->cell_count; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table);
}

void table_add(struct table *table, const char *text)
{
	char *shown = table->is_cut_off || text == NULL ? NULL : terminal_text(text, false);

	if (shown != NULL && table->cell_count == table->cells_allocated) {
		uint32_t count = max_u32(64, 2 * table->cells_allocated);
		char **cells = reallocarray(table->cells, count, sizeof(*cells));

		if (cells == NULL) {
			free(shown);
			shown = NULL;
		} else {
			table->cells = cells;
			table->cells_allocated = count;
		}
	}
	if (shown == NULL)
		table->is_cut_off = true;
	else
		table->cells[table->cell_count++] = shown;
}

static uint32_t columns_of(const char *text)
{
	size_t bytes;

	return terminal_columns(text, UINT32_MAX, &bytes);
}

static void measure(const struct table *table, uint32_t *ret_widths)
{
	for (uint32_t i = 0; i < table->column_count; i++)
		ret_widths[i] =
		    table->columns[i].heading == NULL ? 0 : columns_of(table->columns[i].heading);
	for (uint32_t i = 0; i < table->cell_count; i++) {
		uint32_t *width = &ret_widths[i % table->column_count];

		*width = max_u32(*width, columns_of(table->cells[i]));
	}
}

/* Takes from the widest long column, one column of the screen at a time, until all fit. */
static void fit(const struct table *table, uint32_t *widths, uint32_t width)
{
	uint32_t total = (table->column_count - 1) * GAP;

	for (uint32_t i = 0; i < table->column_count; i++)
		total += widths[i];
	for (; width > 0 && total > width; total--) {
		uint32_t widest = UINT32_MAX;

		for (uint32_t i = 0; i < table->column_count; i++)
			if (table->columns[i].kind == TABLE_LONG && widths[i] > LONG_COLUMN_MIN &&
			    (widest == UINT32_MAX || widths[i] > widths[widest]))
				widest = i;
		if (widest == UINT32_MAX)
			return;
		widths[widest]--;
	}
}

/* is_last: nothing stands behind it, so no blanks follow. */
static void print_cell(FILE *to, const char *text, uint32_t width, enum table_kind kind,
                       bool is_last)
{
	uint32_t columns = columns_of(text);
	int gap = is_last ? 0 : GAP;
	size_t bytes;

	if (columns > width) {
		columns = terminal_columns(text, width - 1, &bytes);
		fprintf(to, "%.*s" CUT "%*s", (int)bytes, text,
		        is_last ? 0 : (int)(width - 1 - columns) + gap, "");
	} else if (kind == TABLE_NUMBER) {
		fprintf(to, "%*s%s%*s", (int)(width - columns), "", text, gap, "");
	} else {
		fprintf(to, "%s%*s", text, is_last ? 0 : (int)(width - columns) + gap, "");
	}
}

static void print_headings(const struct table *table, FILE *to, const uint32_t *widths,
                           bool with_bold)
{
	fputs(with_bold ? "\033[1m" : "", to);
	for (uint32_t i = 0; i < table->column_count; i++)
		print_cell(to, table->columns[i].heading, widths[i], table->columns[i].kind,
		           i + 1 == table->column_count);
	fputs(with_bold ? "\033[0m\n" : "\n", to);
}

int table_print(const struct table *table, FILE *to, uint32_t width, bool with_bold)
{
	uint32_t count = table->column_count;
	uint32_t widths[count];

	if (table->is_cut_off)
		return -ENOMEM;
	measure(table, widths);
	fit(table, widths, width);
	if (table->columns[0].heading != NULL)
		print_headings(table, to, widths, with_bold);
	for (uint32_t i = 0; i < table->cell_count; i++) {
		bool is_last = i % count + 1 == count;

		print_cell(to, table->cells[i], widths[i % count], table->columns[i % count].kind,
		           is_last);
		if (is_last)
			fputc('\n', to);
	}
	return 0;
}
