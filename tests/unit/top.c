/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_frame.h"

#include "unit.h"

#include <stdlib.h>
#include <string.h>

/* A node of so many workers, with counters that have grown by `step` times what they grow by. */
static json_t *counters_of(uint32_t worker_count, int step)
{
	json_t *list = json_array();

	for (int i = 0; i < (int)worker_count; i++) {
		const struct {
			const char *module, *name;
			int value;
		} counters[] = {{"shard", "cmd_get", 1000 * step},
		                {"shard", "get_hits", 900 * step},
		                {"shard", "cmd_set", 100 * step},
		                {"store", "evictions", 5 * step},
		                {"session", "bytes_read", 4096 * step},
		                {"session", "bytes_written", 8192 * step},
		                {"worker", "busy_us", (250000 + 700000 * (i % 2)) * step},
		                {"session", "curr_connections", 7},
		                {"store", "curr_items", 5000},
		                {"store", "bytes", 1 << 20},
		                {"store", "limit_maxbytes", 4 << 20}};

		for (size_t j = 0; j < sizeof(counters) / sizeof(counters[0]); j++)
			json_array_append_new(list, json_pack("{s:s, s:s, s:i, s:i}", "module",
			                                      counters[j].module, "name",
			                                      counters[j].name, "value",
			                                      counters[j].value, "worker", i));
		json_array_append_new(list, json_pack("{s:s, s:s, s:[{s:i, s:i}, {s:i, s:i}], s:i}",
		                                      "module", "latency", "name", "get", "buckets",
		                                      "end", 8, "count", 980 * step, "end", 1280,
		                                      "count", 20 * step, "worker", i));
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:i, s:i}", "module",
		                                      "class", "class", "sessions", "name",
		                                      "cmd_get", "value", 10 * step, "worker", i));
	}
	return list;
}

struct rig {
	struct top_sample before, now;
	struct top_difference difference;
	json_t *status, *hot;
	struct top_view view;
};

/* A second has gone by. */
static void rig_create(struct rig *rig, uint32_t worker_count)
{
	json_t *before = counters_of(worker_count, 1), *now = counters_of(worker_count, 2);

	memset(rig, 0, sizeof(*rig));
	top_sample_read(&rig->before, before, 1000000);
	top_sample_read(&rig->now, now, 2000000);
	json_decref(before);
	json_decref(now);
	CU_ASSERT_TRUE(top_difference_read(&rig->difference, &rig->before, &rig->now));
	rig->status = json_pack("{s:s, s:i, s:[]}", "version", "1.2", "uptime_s", 3700, "alarms");
	rig->hot = json_pack("[{s:s, s:f, s:f, s:f}]", "key", "a\033[2J\n", "rate", 500.0,
	                     "rate_error", 0.5, "share", 0.25);
	rig->view = (struct top_view){.node = "/run/kante/admin.sock",
	                              .status = rig->status,
	                              .sample = &rig->now,
	                              .difference = &rig->difference,
	                              .hot = rig->hot,
	                              .hot_fault = "",
	                              .lost = "",
	                              .interval_s = 2,
	                              .is_live = true};
}

static void rig_destroy(struct rig *rig)
{
	json_decref(rig->status);
	json_decref(rig->hot);
}

/* To be free()d. */
static char *frame(const struct rig *rig, uint32_t rows, uint32_t columns, bool is_utf8)
{
	struct screen screen;
	char *text = NULL, *copy;
	size_t length;
	FILE *to = open_memstream(&text, &length);

	screen_create(&screen, rows, columns, is_utf8);
	top_frame_draw(&screen, &rig->view);
	CU_ASSERT_EQUAL(screen_print(&screen, to), 0);
	screen_destroy(&screen);
	fclose(to);
	copy = strdup(text); /* gcc takes text for a local array that is returned */
	free(text);
	return copy;
}

static void frame_is(const struct rig *rig, uint32_t rows, uint32_t columns, const char *want)
{
	char *text = frame(rig, rows, columns, true);

	if (strcmp(text, want) != 0)
		printf("\nwant:\n%sgot:\n%s", want, text);
	CU_ASSERT_STRING_EQUAL(text, want);
	free(text);
}

static void frame_has(const struct rig *rig, uint32_t rows, uint32_t columns, const char *want,
                      bool has)
{
	char *text = frame(rig, rows, columns, true);

	if ((strstr(text, want) != NULL) != has)
		printf("\n%s: %s, got:\n%s", has ? "want" : "unwanted", want, text);
	CU_ASSERT_TRUE((strstr(text, want) != NULL) == has);
	free(text);
}

static void test_a_frame_shows_what_happened_in_the_last_interval(void)
{
	struct rig rig;

	rig_create(&rig, 2);
	frame_is(
	    &rig, 24, 80,
	    "kante 1.2  up 1h 1min  /run/kante/admin.sock            every 2s  h help  q quit\n"
	    "GETs/s       2000   hits       90.0 %   SETs/s        200   evicted/s      10\n"
	    "in/s        8 KiB   out/s      16 KiB   connections    14   items        10 k\n"
	    "p50          8 us   p99        1.3 ms   p99.9      1.3 ms   memory     25.0 %\n"
	    "\n"
	    "WORKER                                               BUSY    GETs/s  CONNECTIONS\n"
	    "     0  ██████████                                 25.0 %      1000            7\n"
	    "     1  ██████████████████████████████████████     95.0 %      1000            7\n"
	    "\n"
	    "CLASS                   GETs/s     HITS     ITEMS      SIZE    SETs/s  EVICTED/s\n"
	    "sessions                    20    0.0 %         0       0 B         0          0\n"
	    "\n"
	    "HOTTEST KEY                                            GETs/s    SHARE         ±\n"
	    "a\\x1b[2J\\n                                                500   25.0 %       0.5\n");
	rig_destroy(&rig);
}

static void test_a_small_screen_shows_the_first_figures(void)
{
	struct rig rig;

	rig_create(&rig, 2);
	frame_is(&rig, 5, 20,
	         "kante 1.2  up 1h 1m…\n"
	         "GETs/s          2000\n"
	         "hits          90.0 %\n"
	         "SETs/s           200\n"
	         "evicted/s         10\n");
	rig_destroy(&rig);
}

static void test_a_wide_screen_has_parts_beside_each_other(void)
{
	const char *line, *beside;
	struct rig rig;
	char *text;

	rig_create(&rig, 2);
	text = frame(&rig, 50, 200, true);
	line = strstr(text, "WORKER");
	CU_ASSERT_PTR_NOT_NULL_FATAL(line);
	beside = strstr(line, "CLASS");
	CU_ASSERT_TRUE(beside != NULL && beside < strchr(line, '\n'));
	free(text);
	frame_has(&rig, 50, 200, "     4 us        8 us      1960    98.0 %", true);
	rig_destroy(&rig);
}

/* Pieces are on the screen, and none is over another. */
static void check_pieces(const struct screen *screen)
{
	uint32_t ends[screen->rows];

	memset(ends, 0, sizeof(ends));
	for (uint32_t i = 0; i < screen->count; i++) {
		const struct screen_piece *piece = &screen->pieces[i];

		CU_ASSERT_TRUE_FATAL(piece->row < screen->rows);
		CU_ASSERT_TRUE(piece->column >= ends[piece->row]);
		ends[piece->row] = piece->column + piece->columns;
		CU_ASSERT_TRUE(ends[piece->row] <= screen->columns);
		CU_ASSERT_PTR_NULL(strpbrk(piece->text, "\033\n\t"));
	}
}

static void test_any_size_of_screen_is_kept_to(void)
{
	static const uint32_t worker_counts[] = {1, 2, TOP_WORKER_COUNT_MAX};
	struct rig rig;

	for (uint32_t i = 0; i < 3; i++) {
		rig_create(&rig, worker_counts[i]);
		json_array_append_new(
		    json_object_get(rig.status, "alarms"),
		    json_string("the disk is full, and that is not all there is"));
		for (uint32_t j = 0; j < 8; j++) {
			rig.view.difference = j & 1 ? &rig.difference : NULL;
			rig.view.lost = j & 2 ? "größte Not: ein langer Satz ohne ein Ende" : "";
			rig.view.shows_help = (j & 4) != 0;
			for (uint32_t rows = 1; rows < 60; rows += 1 + rows / 10)
				for (uint32_t columns = 1; columns < 230;
				     columns += 1 + columns / 16) {
					struct screen screen;

					screen_create(&screen, rows, columns, true);
					top_frame_draw(&screen, &rig.view);
					check_pieces(&screen);
					screen_destroy(&screen);
				}
		}
		rig_destroy(&rig);
	}
}

static void test_what_an_operator_has_to_see_to_is_loud(void)
{
	struct rig rig;
	struct screen screen;

	rig_create(&rig, 1);
	json_array_append_new(json_object_get(rig.status, "alarms"),
	                      json_string("the disk is full"));
	rig.view.lost = "nothing listens there";
	screen_create(&screen, 24, 80, true);
	top_frame_draw(&screen, &rig.view);
	CU_ASSERT_EQUAL(screen.pieces[3].style, SCREEN_LOUD);
	screen_destroy(&screen);
	frame_has(&rig, 24, 80, "\nno answer, trying again: nothing listens there ", true);
	frame_has(&rig, 24, 80, "\nalarm: the disk is full ", true);
	rig_destroy(&rig);
}

static void test_what_is_not_known_is_not_made_up(void)
{
	struct rig rig;

	rig_create(&rig, 1);
	rig.view.difference = NULL;
	rig.view.hot = NULL;
	rig.view.hot_fault = "this needs the role operator";
	frame_has(&rig, 24, 80, "GETs/s          -   hits            -   ", true);
	frame_has(&rig, 24, 80, "p50             -   ", true);
	frame_has(&rig, 24, 80, "\nthis needs the role operator\n", true);
	rig.view.hot_fault = "";
	frame_has(&rig, 24, 80, "\nnone is asked for often\n", true);
	rig.view.is_live = false;
	frame_has(&rig, 24, 80, "q quit", false);
	rig_destroy(&rig);
}

static void test_workers_that_there_is_no_room_for_are_counted(void)
{
	struct rig rig;

	rig_create(&rig, TOP_WORKER_COUNT_MAX);
	frame_has(&rig, 24, 80, "\n60 more\n", true);
	frame_has(&rig, 24, 80, "\nHOTTEST KEY", true);
	rig_destroy(&rig);
}

static void test_a_terminal_without_utf8_gets_none(void)
{
	struct rig rig;
	char *text;

	rig_create(&rig, 2);
	json_array_append_new(rig.hot, json_pack("{s:s, s:f}", "key", "größe", "rate", 1.0));
	text = frame(&rig, 50, 200, false);
	for (const char *at = text; *at != '\0'; at++)
		CU_ASSERT_TRUE((*at & 0x80) == 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "gr??e"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "  ####"));
	free(text);
	rig_destroy(&rig);
}

static void test_a_node_that_was_started_anew_has_no_rates_yet(void)
{
	struct rig rig;
	struct top_difference difference;

	rig_create(&rig, 2);
	CU_ASSERT_FALSE(top_difference_read(&difference, &rig.now, &rig.before));
	rig.before.now_us = 3000000;
	CU_ASSERT_FALSE(top_difference_read(&difference, &rig.now, &rig.before));
	CU_ASSERT_FALSE(top_difference_read(&difference, &rig.now, &rig.now));
	rig.now.worker_count = 1;
	rig.before.now_us = 0;
	CU_ASSERT_FALSE(top_difference_read(&difference, &rig.before, &rig.now));
	rig_destroy(&rig);
}

static void test_shares_are_never_above_all(void)
{
	struct rig rig;
	struct top_difference difference;

	rig_create(&rig, 2);
	rig.now.node.hits += 1000000;
	rig.now.workers[0].busy_us += 10000000;
	CU_ASSERT_TRUE(top_difference_read(&difference, &rig.before, &rig.now));
	CU_ASSERT_TRUE(difference.node.hits <= 1);
	CU_ASSERT_TRUE(difference.workers[0].busy <= 1);
	rig_destroy(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"a frame shows what happened in the last interval",
	     test_a_frame_shows_what_happened_in_the_last_interval},
	    {"a small screen shows the first figures", test_a_small_screen_shows_the_first_figures},
	    {"a wide screen has parts beside each other",
	     test_a_wide_screen_has_parts_beside_each_other},
	    {"any size of screen is kept to", test_any_size_of_screen_is_kept_to},
	    {"what an operator has to see to is loud", test_what_an_operator_has_to_see_to_is_loud},
	    {"what is not known is not made up", test_what_is_not_known_is_not_made_up},
	    {"workers that there is no room for are counted",
	     test_workers_that_there_is_no_room_for_are_counted},
	    {"a terminal without UTF-8 gets none", test_a_terminal_without_utf8_gets_none},
	    {"a node that was started anew has no rates yet",
	     test_a_node_that_was_started_anew_has_no_rates_yet},
	    {"shares are never above all", test_shares_are_never_above_all},
	};

	return UNIT_RUN("top", cases);
}
