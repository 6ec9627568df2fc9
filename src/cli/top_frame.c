/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_frame.h"

#include "base/bytes.h"
#include "cli/human.h"
#include "cli/top_tables.h"

#include <string.h>

#define CELL_COLUMNS   20 /* of a figure, with its name, at least */
#define CELL_WIDE      28 /* and at most: else the two stand too far apart */
#define CELL_GAP       3
#define HEAD_COLUMNS   30  /* what the head line says of the node is not cut to less */
#define SIDE_BY_SIDE   160 /* columns from which on the parts stand beside each other */
#define ALARM_ROWS_MAX 3   /* of one */
#define GAP            3   /* between these */
#define TEXT_BYTES     256

/* The head, and what is wrong. */

static void draw_head(struct screen *screen, const struct top_view *view)
{
	const char *version = json_string_value(json_object_get(view->status, "version"));
	const json_t *uptime = json_object_get(view->status, "uptime_s");
	char left[TEXT_BYTES], right[TEXT_BYTES] = "", up[HUMAN_BYTES];
	uint32_t right_columns, left_columns;

	human_duration(up, (uint64_t)json_integer_value(uptime) * 1000000);
	snprintf(left, sizeof(left), "kante %s  up %s  %s", version == NULL ? "?" : version,
	         json_is_integer(uptime) ? up : "?", view->node);
	if (view->is_live)
		snprintf(right, sizeof(right), "  %severy %us  h help  q quit",
		         view->is_paused ? "paused  " : "", view->interval_s);
	right_columns = (uint32_t)strlen(right);
	if (right_columns + HEAD_COLUMNS > screen->columns)
		right_columns = 0;
	left_columns = screen->columns - right_columns;
	screen_put_filled(screen, 0, 0, left_columns, SCREEN_HEAD, left);
	if (right_columns > 0)
		screen_put(screen, 0, left_columns, right_columns, SCREEN_HEAD, right);
}

/* Returns the row below. */
static uint32_t draw_alarms(struct screen *screen, uint32_t row, const struct top_view *view)
{
	/* most of a small screen is left to the figures */
	uint32_t end = row + max_u32(1, screen->rows / 3);
	const json_t *alarms = json_object_get(view->status, "alarms"), *alarm;
	char text[2 * TEXT_BYTES];
	size_t index;

	if (view->lost[0] != '\0') {
		snprintf(text, sizeof(text), "no answer, trying again: %s", view->lost);
		row += screen_put_rows(screen, row, min_u32(ALARM_ROWS_MAX, end - row), SCREEN_LOUD,
		                       text);
	}
	json_array_foreach(alarms, index, alarm)
	{
		const char *what = json_string_value(alarm);

		snprintf(text, sizeof(text), "alarm: %s", what == NULL ? "?" : what);
		row += screen_put_rows(screen, row, min_u32(ALARM_ROWS_MAX, end - row), SCREEN_LOUD,
		                       text);
	}
	return row;
}

/* The figures of the node. */

struct cell {
	const char *name;
	char text[HUMAN_BYTES];
};

static void fill_rate(struct cell *cell, const char *name, const struct top_view *view, double rate)
{
	cell->name = name;
	human_rate(cell->text, rate);
	if (view->difference == NULL)
		strcpy(cell->text, "-");
}

static void fill_share(struct cell *cell, const char *name, double share)
{
	cell->name = name;
	human_share(cell->text, share);
	if (share < 0)
		strcpy(cell->text, "-");
}

static void fill_size(struct cell *cell, const char *name, const struct top_view *view, double rate)
{
	cell->name = name;
	human_size(cell->text, (uint64_t)rate);
	if (view->difference == NULL)
		strcpy(cell->text, "-");
}

static void fill_quantile(struct cell *cell, const char *name, const struct top_view *view,
                          double share)
{
	uint64_t us = 0;
	bool is_known =
	    view->difference != NULL && buckets_quantile(&view->difference->latency, share, &us);

	cell->name = name;
	human_latency(cell->text, us);
	if (!is_known)
		strcpy(cell->text, "-");
}

#define CELL_COUNT 12

static void fill_cells(struct cell cells[CELL_COUNT], const struct top_view *view)
{
	static const struct top_rates none = {.hits = -1};
	const struct top_rates *rates = view->difference == NULL ? &none : &view->difference->node;
	const struct top_figures *node = &view->sample->node;

	fill_rate(&cells[0], "GETs/s", view, rates->gets);
	fill_share(&cells[1], "hits", rates->hits);
	fill_rate(&cells[2], "SETs/s", view, rates->sets);
	fill_rate(&cells[3], "evicted/s", view, rates->evictions);
	fill_size(&cells[4], "in/s", view, rates->bytes_in);
	fill_size(&cells[5], "out/s", view, rates->bytes_out);
	cells[6].name = "connections";
	human_count(cells[6].text, node->connections);
	cells[7].name = "items";
	human_count(cells[7].text, node->items);
	fill_quantile(&cells[8], "p50", view, .5);
	fill_quantile(&cells[9], "p99", view, .99);
	fill_quantile(&cells[10], "p99.9", view, .999);
	fill_share(&cells[11], "memory",
	           node->bytes_max == 0 ? -1 : (double)node->bytes / (double)node->bytes_max);
}

/* Returns the row below. */
static uint32_t draw_figures(struct screen *screen, uint32_t row, const struct top_view *view)
{
	struct cell cells[CELL_COUNT];
	uint32_t per_row = max_u32(1, min_u32(CELL_COUNT / 2, screen->columns / CELL_COLUMNS));
	uint32_t columns;

	while (CELL_COUNT % per_row != 0)
		per_row--;
	columns = min_u32(CELL_WIDE, screen->columns / per_row);
	fill_cells(cells, view);
	for (uint32_t i = 0; i < CELL_COUNT; i++) {
		uint32_t at = i % per_row * columns;
		uint32_t gap = per_row == 1 ? 0 : CELL_GAP;
		uint32_t name_columns = screen_put(screen, row + i / per_row, at, columns - gap,
		                                   SCREEN_PLAIN, cells[i].name);

		if (name_columns + 1 + gap < columns)
			screen_put_right(screen, row + i / per_row, at + name_columns + 1,
			                 columns - name_columns - 1 - gap, SCREEN_VALUE,
			                 cells[i].text);
	}
	return row + CELL_COUNT / per_row;
}

/* The parts below. */

static void draw_help(struct screen *screen, uint32_t row)
{
	static const char *const lines[] = {
	    "q  end              p  pause, and go on",
	    "h  this help        + -  look less often, more often",
	    "",
	    "GETs/s, hits and so on are of the time between two looks. So is the latency,",
	    "which a worker measures from receiving a request to sending its reply. BUSY is",
	    "the share of the time that it has something to do. The hottest keys are",
	    "sampled; they need the role operator, and are asked for every five seconds.",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		screen_put(screen, row + (uint32_t)i, 0, screen->columns, SCREEN_PLAIN, lines[i]);
}

/* Cuts so many rows, and the gap below them, from the area's top. */
static void cut_rows(struct screen_area *area, uint32_t rows)
{
	uint32_t cut = min_u32(area->rows, rows > 0 ? rows + 1 : 0);

	area->row += cut;
	area->rows -= cut;
}

/* One of the parts, which may have so many rows of the area; it is cut from that. */
static void draw_part(top_table_draw *draw, struct screen *screen, struct screen_area *area,
                      uint32_t rows_max, const struct top_view *view)
{
	struct screen_area part = *area;

	part.rows = min_u32(area->rows, rows_max);
	cut_rows(area, draw(screen, &part, view));
}

static void draw_below_each_other(struct screen *screen, struct screen_area area,
                                  const struct top_view *view)
{
	draw_part(top_table_workers, screen, &area, max_u32(3, area.rows / 3), view);
	draw_part(top_table_classes, screen, &area, max_u32(3, area.rows / 2), view);
	draw_part(top_table_hot, screen, &area, UINT32_MAX, view);
}

static void draw_beside_each_other(struct screen *screen, struct screen_area area,
                                   const struct top_view *view)
{
	struct screen_area left = area, right = area;

	left.columns = (area.columns - GAP) / 2;
	right.column += left.columns + GAP;
	right.columns -= left.columns + GAP;
	draw_part(top_table_workers, screen, &left, max_u32(3, area.rows / 2), view);
	draw_part(top_table_latency, screen, &left, UINT32_MAX, view);
	draw_part(top_table_classes, screen, &right, max_u32(3, area.rows / 2), view);
	draw_part(top_table_hot, screen, &right, UINT32_MAX, view);
}

void top_frame_draw(struct screen *screen, const struct top_view *view)
{
	struct screen_area area = {.columns = screen->columns};
	uint32_t row;

	draw_head(screen, view);
	row = draw_alarms(screen, 1, view);
	row = draw_figures(screen, row, view) + 1;
	if (row >= screen->rows)
		return;
	area.row = row;
	area.rows = screen->rows - row;
	if (view->shows_help)
		draw_help(screen, row);
	else if (screen->columns >= SIDE_BY_SIDE)
		draw_beside_each_other(screen, area, view);
	else
		draw_below_each_other(screen, area, view);
}
