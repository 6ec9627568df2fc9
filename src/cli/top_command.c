/* SPDX-License-Identifier: Apache-2.0 */
/* kante top: what a node does, live. */
#include "cli/commands.h"

#include "base/bytes.h"
#include "cli/human.h"
#include "cli/show.h"
#include "cli/terminal.h"
#include "cli/top_frame.h"
#include "cli/top_terminal.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define INTERVAL_S     2
#define INTERVAL_S_MAX 3600
#define HOT_EVERY_US   5000000 /* it is written to the audit log each time */
#define HOT_COUNT      "100"   /* on a terminal; it may be high */
#define FAULT_BYTES    512
#define ROWS_ONCE      1000 /* where there is no terminal: as many as it takes */
#define COLUMNS_ONCE   80

struct top {
	struct client *client;
	struct top_terminal *terminal;
	json_t *status, *hot;
	struct top_sample samples[2]; /* the newest is [newest] */
	uint32_t newest;
	uint32_t sample_count; /* up to two: since the node has answered without a break */
	struct top_difference difference;
	bool has_difference, may_see_hot;
	uint64_t hot_us; /* when they were asked for */
	uint64_t next_us;
	uint32_t interval_s;
	bool is_once, is_paused, shows_help;
	char lost[FAULT_BYTES], hot_fault[FAULT_BYTES];
	char complaint[FAULT_BYTES]; /* the client's last */
	const char *node;
};

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* 0; -1: a key is there; else the exit status: top->complaint says why. */
static int ask(struct top *top, const char *path, enum role role, struct client_reply *ret_reply)
{
	struct client_request request = {
	    .method = "GET", .path = path, .role = role, .is_quick = true};

	return client_ask(top->client, &request, ret_reply);
}

static void ask_hot(struct top *top)
{
	struct client_reply reply;
	int r;

	if (!top->may_see_hot || (top->hot_us != 0 && now_us() - top->hot_us < HOT_EVERY_US))
		return;
	r = ask(top, top->is_once ? "/v1/hot" : "/v1/hot?limit=" HOT_COUNT, ROLE_operator, &reply);
	if (r < 0)
		return;
	top->hot_us = now_us();
	json_decref(top->hot);
	top->hot = NULL;
	top->hot_fault[0] = '\0';
	if (r == 0) {
		top->hot = json_incref(json_object_get(reply.json, "keys"));
		client_reply_release(&reply);
		return;
	}
	snprintf(top->hot_fault, sizeof(top->hot_fault), "%s", top->complaint);
	/* each refusal would be in the audit log, too */
	top->may_see_hot = r != COMMAND_NO;
}

/* As ask(). */
static int take_sample(struct top *top)
{
	struct client_reply status, counters;
	int r = ask(top, "/v1/status", ROLE_none, &status);

	if (r != 0)
		return r;
	r = ask(top, "/v1/counters", ROLE_none, &counters);
	if (r == 0) {
		json_decref(top->status);
		top->status = json_incref(status.json);
		top->newest = 1 - top->newest;
		top_sample_read(&top->samples[top->newest],
		                json_object_get(counters.json, "counters"), now_us());
		client_reply_release(&counters);
	}
	client_reply_release(&status);
	return r;
}

/* All that a frame shows. 0; -1: a key is there; else the exit status: the node does not answer. */
static int look(struct top *top)
{
	int r = take_sample(top);

	if (r < 0)
		return r;
	if (r != 0) {
		snprintf(top->lost, sizeof(top->lost), "%s", top->complaint);
		top->sample_count = 0;
		top->has_difference = false;
		return r;
	}
	if (top->lost[0] != '\0')
		top->may_see_hot = true; /* it may be another now */
	top->lost[0] = '\0';
	top->sample_count = min_u32(2, top->sample_count + 1);
	top->has_difference = top->sample_count == 2 &&
	                      top_difference_read(&top->difference, &top->samples[1 - top->newest],
	                                          &top->samples[top->newest]);
	ask_hot(top);
	return 0;
}

static void draw(const struct top *top, struct screen *screen)
{
	struct top_view view = {
	    .node = top->node,
	    .status = top->status,
	    .sample = &top->samples[top->newest],
	    .difference = top->has_difference ? &top->difference : NULL,
	    .hot = top->hot,
	    .hot_fault = top->hot_fault,
	    .lost = top->lost,
	    .interval_s = top->interval_s,
	    .is_live = top->terminal != NULL,
	    .is_paused = top->is_paused,
	    .shows_help = top->shows_help,
	};

	top_frame_draw(screen, &view);
}

static int complain(const char *what)
{
	fprintf(stderr, "kante top: %s\n", what);
	return COMMAND_USAGE;
}

/* Before there is a screen: without a node there will be none. */
static int look_first(struct top *top)
{
	int r = look(top);

	if (r != 0)
		complain(top->lost);
	return r;
}

/* One frame. */

static int run_once(struct top *top)
{
	struct timespec interval = {.tv_sec = top->interval_s};
	uint32_t columns = terminal_width(stdout);
	struct screen screen;
	int r = look_first(top);

	if (r != 0)
		return r;
	nanosleep(&interval, NULL);
	r = look_first(top);
	if (r != 0)
		return r;
	screen_create(&screen, ROWS_ONCE, columns == 0 ? COLUMNS_ONCE : columns,
	              terminal_is_utf8());
	draw(top, &screen);
	r = screen_print(&screen, stdout) < 0 ? show_no_memory() : 0;
	screen_destroy(&screen);
	return r;
}

/* Live. */

static void show(struct top *top)
{
	uint32_t rows, columns;
	struct screen screen;

	top_terminal_size(top->terminal, &rows, &columns);
	screen_create(&screen, rows, columns, terminal_is_utf8());
	draw(top, &screen);
	top_terminal_show(top->terminal, &screen);
	screen_destroy(&screen);
}

/* While the node is asked: a key is more urgent. */
static bool is_key_there(void)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

	return poll(&input, 1, 0) > 0;
}

static void take_key(struct top *top, enum top_key key)
{
	uint32_t before_s = top->interval_s;

	switch (key) {
	case TOP_KEY_PAUSE: top->is_paused = !top->is_paused; break;
	case TOP_KEY_HELP: top->shows_help = !top->shows_help; break;
	case TOP_KEY_SLOWER: top->interval_s = min_u32(INTERVAL_S_MAX, before_s + 1); break;
	case TOP_KEY_FASTER: top->interval_s = max_u32(1, before_s - 1); break;
	default: break;
	}
	top->next_us += ((uint64_t)top->interval_s - before_s) * 1000000;
}

static int run_live(struct top *top)
{
	for (;;) {
		uint64_t now = now_us();
		enum top_key key;

		if (now >= top->next_us && !top->is_paused) {
			if (look(top) >= 0)
				top->next_us = now + (uint64_t)top->interval_s * 1000000;
		}
		show(top);
		now = now_us();
		key = top_terminal_key(top->terminal,
		                       now >= top->next_us
		                           ? top->is_paused ? 1000 : 0
		                           : (uint32_t)((top->next_us - now) / 1000) + 1);
		if (key == TOP_KEY_QUIT)
			return 0;
		take_key(top, key);
	}
}

/* The command. */

/* 0; else the exit status. */
static int check(const struct command_call *call, uint32_t *ret_interval_s)
{
	const char *text = command_value(call, "interval");
	uint64_t interval_s = INTERVAL_S;

	if (show_wants_json(call))
		return complain("it is for people: `kante stats --json` is for programs");
	if (text != NULL && (!human_parse_duration(&interval_s, text) || interval_s == 0 ||
	                     interval_s > INTERVAL_S_MAX))
		return complain("--interval: not a time from 1s to 1h: write 2s or 1min");
	if (command_value(call, "once") == NULL &&
	    (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO)))
		return complain("no terminal is here: --once writes one frame as text");
	*ret_interval_s = (uint32_t)interval_s;
	return 0;
}

static int run(struct top *top)
{
	int r = look_first(top);

	if (r != 0)
		return r;
	r = top_terminal_open(&top->terminal);
	if (r < 0)
		return complain(
		    "this terminal is not known: set TERM to what it is, or write one frame "
		    "as text by --once");
	client_be_quiet(top->client, top->complaint, sizeof(top->complaint), is_key_there);
	top->next_us = now_us() + 1000000;
	r = run_live(top);
	top_terminal_close(top->terminal);
	return r;
}

int top_command(const struct command_call *call)
{
	struct top *top;
	uint32_t interval_s = 0;
	int r = check(call, &interval_s);

	if (r != 0)
		return r;
	top = calloc(1, sizeof(*top));
	if (top == NULL)
		return show_no_memory();
	top->interval_s = interval_s;
	top->is_once = command_value(call, "once") != NULL;
	top->may_see_hot = true;
	r = client_create(&top->client, call);
	if (r == 0) {
		top->node = client_node(top->client);
		client_be_quiet(top->client, top->complaint, sizeof(top->complaint), NULL);
		r = top->is_once ? run_once(top) : run(top);
		client_destroy(top->client);
	}
	json_decref(top->status);
	json_decref(top->hot);
	free(top);
	return r;
}
