/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/screen.h"

#include "base/bytes.h"
#include "cli/terminal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void screen_create(struct screen *screen, uint32_t rows, uint32_t columns, bool is_utf8)
{
	*screen = (struct screen){.rows = rows, .columns = columns, .is_utf8 = is_utf8};
}

void screen_destroy(struct screen *screen)
{
	for (uint32_t i = 0; i < screen->count; i++)
		free(screen->pieces[i].text);
	free(screen->pieces);
}

/* A character that is not ASCII becomes one "?". */
static void make_ascii(char *text)
{
	char *to = text;

	for (; *text != '\0'; text++) {
		if ((*text & 0xc0) == 0x80)
			continue;
		*to++ = *text & 0x80 ? '?' : *text;
	}
	*to = '\0';
}

/* Takes its text. */
static void add_piece(struct screen *screen, const struct screen_piece *piece)
{
	if (screen->count == screen->allocated) {
		uint32_t count = max_u32(64, 2 * screen->allocated);
		struct screen_piece *pieces = reallocarray(screen->pieces, count, sizeof(*pieces));

		if (pieces == NULL) {
			screen->is_cut_off = true;
			free(piece->text);
			return;
		}
		screen->pieces = pieces;
		screen->allocated = count;
	}
	screen->pieces[screen->count++] = *piece;
	screen->row_used = max_u32(screen->row_used, piece->row + 1);
}

uint32_t screen_put(struct screen *screen, uint32_t row, uint32_t column, uint32_t columns,
                    enum screen_style style, const char *text)
{
	struct screen_piece piece = {.row = row, .column = column, .style = style};
	size_t bytes;

	if (row >= screen->rows || column >= screen->columns)
		return 0;
	piece.text = terminal_text(text, false);
	if (piece.text == NULL) {
		screen->is_cut_off = true;
		return 0;
	}
	if (!screen->is_utf8)
		make_ascii(piece.text);
	piece.columns =
	    terminal_columns(piece.text, min_u32(columns, screen->columns - column), &bytes);
	piece.text[bytes] = '\0';
	add_piece(screen, &piece);
	return piece.columns;
}

void screen_put_right(struct screen *screen, uint32_t row, uint32_t column, uint32_t columns,
                      enum screen_style style, const char *text)
{
	size_t bytes;
	uint32_t width = terminal_columns(text, columns, &bytes);

	screen_put(screen, row, column + columns - width, width, style, text);
}

/* Returns the columns that are used. */
static uint32_t put_cut(struct screen *screen, uint32_t row, uint32_t column, uint32_t columns,
                        enum screen_style style, const char *text)
{
	char *shown = terminal_text(text, false);
	uint32_t used = 0;
	size_t bytes;

	if (shown == NULL || columns == 0) {
		screen->is_cut_off |= shown == NULL;
	} else if (terminal_columns(shown, columns + 1, &bytes) <= columns) {
		used = screen_put(screen, row, column, columns, style, shown);
	} else {
		used = screen_put(screen, row, column, columns - 1, style, shown);
		used +=
		    screen_put(screen, row, column + used, 1, style, screen->is_utf8 ? "…" : "~");
	}
	free(shown);
	return used;
}

void screen_put_cut(struct screen *screen, uint32_t row, uint32_t column, uint32_t columns,
                    enum screen_style style, const char *text)
{
	put_cut(screen, row, column, columns, style, text);
}

void screen_put_filled(struct screen *screen, uint32_t row, uint32_t column, uint32_t columns,
                       enum screen_style style, const char *text)
{
	uint32_t used = put_cut(screen, row, column, columns, style, text);
	char blanks[columns + 1];

	memset(blanks, ' ', columns);
	blanks[columns - used] = '\0';
	if (used < columns)
		screen_put(screen, row, column + used, columns - used, style, blanks);
}

/* Bytes of text that fit on so many columns, up to a blank if there is one. */
static size_t fit(const char *text, uint32_t columns)
{
	size_t bytes, end;

	terminal_columns(text, columns, &bytes);
	if (text[bytes] == '\0')
		return bytes;
	for (end = bytes; end > bytes / 2; end--)
		if (text[end] == ' ')
			return end;
	return bytes;
}

uint32_t screen_put_rows(struct screen *screen, uint32_t row, uint32_t rows,
                         enum screen_style style, const char *text)
{
	char *shown = terminal_text(text, false), *at = shown;
	uint32_t used = 0;

	while (shown != NULL && used < rows && *at != '\0') {
		size_t bytes = fit(at, screen->columns);
		char line[bytes + 1];

		if (bytes == 0)
			break; /* not even one character fits */
		memcpy(line, at, bytes);
		line[bytes] = '\0';
		screen_put_filled(screen, row + used, 0, screen->columns, style, line);
		at += bytes;
		at += strspn(at, " ");
		used++;
	}
	free(shown);
	return used;
}

/* One row; its pieces are in order. */
static void print_row(const struct screen *screen, uint32_t row, FILE *to)
{
	uint32_t column = 0;

	for (uint32_t i = 0; i < screen->count; i++) {
		const struct screen_piece *piece = &screen->pieces[i];

		if (piece->row != row)
			continue;
		if (piece->column > column)
			fprintf(to, "%*s", (int)(piece->column - column), "");
		fputs(piece->text, to);
		column = piece->column + piece->columns;
	}
	fputc('\n', to);
}

int screen_print(const struct screen *screen, FILE *to)
{
	for (uint32_t row = 0; row < screen->row_used; row++)
		print_row(screen, row, to);
	return screen->is_cut_off ? -ENOMEM : 0;
}
