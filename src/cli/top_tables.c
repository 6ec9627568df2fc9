/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_tables.h"

#include "base/bytes.h"
#include "cli/human.h"
#include "cli/key_text.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(array)    (sizeof(array) / sizeof((array)[0]))
#define NAME_COLUMNS    8 /* a key or a class is not cut to less */
#define BAR_COLUMNS     46
#define BAR_COLUMNS_MIN 6
#define BUSY_HIGH       .9
#define TEXT_BYTES      256

/* How many of `count` are shown below a heading; where not all are, a row is left to say so. */
static uint32_t shown_count(const struct screen_area *area, uint32_t count)
{
	if (area->rows == 0 || count < area->rows)
		return area->rows == 0 ? 0 : count;
	return area->rows > 2 ? area->rows - 2 : 0;
}

/* Returns how many rows are used. */
static uint32_t draw_more(struct screen *screen, const struct screen_area *area, uint32_t shown,
                          uint32_t count)
{
	char text[TEXT_BYTES];

	if (shown == count || area->rows < shown + 2)
		return shown + 1;
	snprintf(text, sizeof(text), "%u more", count - shown);
	screen_put(screen, area->row + 1 + shown, area->column, area->columns, SCREEN_PLAIN, text);
	return shown + 2;
}

/* A column of figures at the right, from its end on. Returns where the next one ends. */
struct column {
	const char *heading;
	uint32_t columns; /* with two blanks before it */
};

/* How many of the columns there is room for behind a first one of `first_min`. Returns how wide
 * that may be. */
static uint32_t room_for(const struct screen_area *area, const struct column *columns,
                         uint32_t count, uint32_t first_min, uint32_t *ret_count)
{
	uint32_t left = area->columns;

	*ret_count = 0;
	while (*ret_count < count && left >= first_min + columns[*ret_count].columns)
		left -= columns[(*ret_count)++].columns;
	return left;
}

static void put_columns(struct screen *screen, const struct screen_area *area, uint32_t row,
                        const struct column *columns, uint32_t count,
                        const char texts[][HUMAN_BYTES])
{
	uint32_t at = area->column + area->columns;

	for (uint32_t i = 0; i < count; i++)
		at -= columns[i].columns;
	for (uint32_t i = 0; i < count; i++) {
		screen_put_right(screen, area->row + row, at, columns[i].columns,
		                 texts == NULL ? SCREEN_HEADING : SCREEN_PLAIN,
		                 texts == NULL ? columns[i].heading : texts[i]);
		at += columns[i].columns;
	}
}

static void write_rate(char ret_text[HUMAN_BYTES], const struct top_view *view, double rate)
{
	human_rate(ret_text, rate);
	if (view->difference == NULL)
		strcpy(ret_text, "-");
}

static void write_share(char ret_text[HUMAN_BYTES], const struct top_view *view, double share)
{
	human_share(ret_text, share);
	if (view->difference == NULL || share < 0)
		strcpy(ret_text, "-");
}

/* Workers. */

static const struct column worker_columns[] = {{"BUSY", 9}, {"GETs/s", 10}, {"CONNECTIONS", 13}};

static void draw_worker(struct screen *screen, const struct screen_area *area,
                        const struct top_view *view, uint32_t number)
{
	static const struct top_rates none = {.hits = -1};
	const struct top_rates *rates =
	    view->difference == NULL ? &none : &view->difference->workers[number];
	char texts[COUNT(worker_columns)][HUMAN_BYTES], name[TEXT_BYTES],
	    bar[BAR_BYTES(BAR_COLUMNS)];
	uint32_t count, left, row = 1 + number;
	struct screen_area part = *area;

	left = room_for(area, worker_columns, COUNT(worker_columns), NAME_COLUMNS, &count);
	left = min_u32(left, NAME_COLUMNS + BAR_COLUMNS);
	snprintf(name, sizeof(name), "%6u", number);
	screen_put(screen, area->row + row, area->column, NAME_COLUMNS, SCREEN_PLAIN, name);
	if (left >= NAME_COLUMNS + BAR_COLUMNS_MIN) {
		bar_write(bar, left - NAME_COLUMNS, rates->busy, 1, screen->is_utf8);
		screen_put(screen, area->row + row, area->column + NAME_COLUMNS,
		           left - NAME_COLUMNS,
		           rates->busy < BUSY_HIGH ? SCREEN_BAR : SCREEN_BAR_HIGH, bar);
	}
	write_share(texts[0], view, rates->busy);
	write_rate(texts[1], view, rates->gets);
	human_count(texts[2], view->sample->workers[number].connections);
	part.columns = left;
	for (uint32_t i = 0; i < count; i++)
		part.columns += worker_columns[i].columns;
	put_columns(screen, &part, row, worker_columns, count, texts);
}

uint32_t top_table_workers(struct screen *screen, const struct screen_area *area,
                           const struct top_view *view)
{
	uint32_t count = view->sample->worker_count, shown = shown_count(area, count), columns,
	         left;
	struct screen_area part = *area;

	if (shown == 0)
		return 0;
	left = room_for(area, worker_columns, COUNT(worker_columns), NAME_COLUMNS, &columns);
	part.columns = min_u32(left, NAME_COLUMNS + BAR_COLUMNS);
	for (uint32_t i = 0; i < columns; i++)
		part.columns += worker_columns[i].columns;
	screen_put(screen, area->row, area->column, NAME_COLUMNS, SCREEN_HEADING, "WORKER");
	put_columns(screen, &part, 0, worker_columns, columns, NULL);
	for (uint32_t i = 0; i < shown; i++)
		draw_worker(screen, area, view, i);
	return draw_more(screen, area, shown, count);
}

/* Classes. */

static const struct column class_columns[] = {{"GETs/s", 10}, {"HITS", 9},    {"ITEMS", 10},
                                              {"SIZE", 10},   {"SETs/s", 10}, {"EVICTED/s", 11}};

static void draw_class(struct screen *screen, const struct screen_area *area,
                       const struct top_view *view, uint32_t number)
{
	static const struct top_rates none = {.hits = -1};
	const struct top_class *class = &view->sample->classes[number];
	const struct top_rates *rates =
	    view->difference == NULL ? &none : &view->difference->classes[number];
	char texts[COUNT(class_columns)][HUMAN_BYTES];
	uint32_t count,
	    left = room_for(area, class_columns, COUNT(class_columns), NAME_COLUMNS, &count);

	write_rate(texts[0], view, rates->gets);
	write_share(texts[1], view, rates->hits);
	human_count(texts[2], class->figures.items);
	human_size(texts[3], class->figures.bytes);
	write_rate(texts[4], view, rates->sets);
	write_rate(texts[5], view, rates->evictions);
	screen_put_cut(screen, area->row + 1 + number, area->column, left, SCREEN_PLAIN,
	               class->name);
	put_columns(screen, area, 1 + number, class_columns, count, texts);
}

uint32_t top_table_classes(struct screen *screen, const struct screen_area *area,
                           const struct top_view *view)
{
	uint32_t count = view->sample->class_count, shown = shown_count(area, count), columns, left;

	if (shown == 0)
		return 0;
	left = room_for(area, class_columns, COUNT(class_columns), NAME_COLUMNS, &columns);
	screen_put(screen, area->row, area->column, left, SCREEN_HEADING, "CLASS");
	put_columns(screen, area, 0, class_columns, columns, NULL);
	for (uint32_t i = 0; i < shown; i++)
		draw_class(screen, area, view, i);
	return draw_more(screen, area, shown, count);
}

/* Hot keys. */

static const struct column hot_columns[] = {{"GETs/s", 10}, {"SHARE", 9}, {"±", 10}};

static void draw_hot_key(struct screen *screen, const struct screen_area *area, const json_t *entry,
                         uint32_t row)
{
	char texts[COUNT(hot_columns)][HUMAN_BYTES], *key = key_text_of(entry);
	uint32_t count,
	    left = room_for(area, hot_columns, COUNT(hot_columns), NAME_COLUMNS, &count);

	human_rate(texts[0], json_number_value(json_object_get(entry, "rate")));
	human_share(texts[1], json_number_value(json_object_get(entry, "share")));
	human_rate(texts[2], json_number_value(json_object_get(entry, "rate_error")));
	screen_put_cut(screen, area->row + row, area->column, left, SCREEN_PLAIN,
	               key == NULL ? "?" : key);
	put_columns(screen, area, row, hot_columns, count, texts);
	free(key);
}

uint32_t top_table_hot(struct screen *screen, const struct screen_area *area,
                       const struct top_view *view)
{
	uint32_t count = (uint32_t)json_array_size(view->hot), columns, left;

	if (area->rows < 2)
		return 0;
	left = room_for(area, hot_columns, COUNT(hot_columns), NAME_COLUMNS, &columns);
	screen_put(screen, area->row, area->column, left, SCREEN_HEADING, "HOTTEST KEY");
	put_columns(screen, area, 0, hot_columns, columns, NULL);
	count = min_u32(count, area->rows - 1);
	for (uint32_t i = 0; i < count; i++)
		draw_hot_key(screen, area, json_array_get(view->hot, i), 1 + i);
	if (count > 0)
		return 1 + count;
	screen_put_cut(screen, area->row + 1, area->column, area->columns, SCREEN_PLAIN,
	               view->hot_fault[0] != '\0' ? view->hot_fault : "none is asked for often");
	return 2;
}

/* Latency. */

uint32_t top_table_latency(struct screen *screen, const struct screen_area *area,
                           const struct top_view *view)
{
	struct buckets_look look = {
	    .form = human_latency, .width = area->columns, .is_utf8 = screen->is_utf8};
	char *text = NULL, *rest = NULL, *line;
	uint32_t row = 0;
	size_t length;
	FILE *to;

	if (view->difference == NULL || buckets_total(&view->difference->latency) == 0)
		return 0;
	to = open_memstream(&text, &length);
	if (to == NULL)
		return 0;
	buckets_print(&view->difference->latency, &look, to);
	fclose(to);
	for (line = strtok_r(text, "\n", &rest); line != NULL && row < area->rows; row++) {
		screen_put(screen, area->row + row, area->column, area->columns,
		           row == 0 ? SCREEN_HEADING : SCREEN_PLAIN, line);
		line = strtok_r(NULL, "\n", &rest);
	}
	free(text);
	return row;
}
