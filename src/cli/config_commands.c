/* SPDX-License-Identifier: Apache-2.0 */
/* The config: what runs, what the file says, one setting changed. */
#include "cli/commands.h"

#include "cli/show.h"
#include "cli/terminal.h"
#include "config/describe.h"
#include "config/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define HELP_COLUMNS 100 /* where no terminal is */

static int get_one(const struct command_call *call, const char *name)
{
	struct client_request request = {.method = "GET"};
	char path[CLIENT_PATH_BYTES];
	struct client_reply reply;
	const char *value;
	int r;

	client_path(path, "/v1/config/", name);
	request.path = path;
	r = show_or_ask(call, &request, &reply);
	if (r >= 0)
		return r;
	value = json_string_value(json_object_get(reply.json, "value"));
	printf("%s\n", value == NULL ? "" : value);
	client_reply_release(&reply);
	return 0;
}

int config_get_command(const struct command_call *call)
{
	static const struct show_column columns[] = {
	    {"NAME", "name", SHOW_TEXT},
	    {"VALUE", "value", SHOW_LONG},
	    {"A CHANGE COUNTS", "effect", SHOW_EFFECT},
	};
	static const struct show_listing listing = {"settings", "settings", columns,
	                                            COUNT(columns)};

	if (call->argument_count > 0)
		return get_one(call, call->arguments[0]);
	return show_listing(call, "/v1/config", &listing);
}

static const char *when(const char *effect)
{
	return effect != NULL && strcmp(effect, "live") == 0 ? "it counts now"
	                                                     : "it counts from the next start";
}

int config_set_command(const struct command_call *call)
{
	bool to_default = command_value(call, "default") != NULL;
	struct client_request request = {.method = "PUT"};
	struct client_reply reply;
	char path[CLIENT_PATH_BYTES], *before, *after, *line, *shown;
	int r;

	if (to_default == (call->argument_count == 2)) {
		fputs("kante config set: give a value, or --default to take it out of the file\n",
		      stderr);
		return COMMAND_USAGE;
	}
	client_path(path, "/v1/config/", call->arguments[0]);
	request.path = path;
	request.body = json_pack("{s:s?}", "value", to_default ? NULL : call->arguments[1]);
	if (request.body == NULL) {
		fputs("kante config set: the value is not UTF-8: write another\n", stderr);
		return COMMAND_USAGE;
	}
	r = show_or_ask(call, &request, &reply);
	if (r >= 0)
		return r;
	before = show_value(json_object_get(reply.json, "before"), SHOW_TEXT);
	after = show_value(json_object_get(reply.json, "after"), SHOW_TEXT);
	if (asprintf(&line, "%s: %s -> %s: %s", call->arguments[0], before, after,
	             when(json_string_value(json_object_get(reply.json, "effect")))) < 0)
		line = NULL;
	shown = line == NULL ? NULL : terminal_text(line, false);
	puts(shown == NULL ? "done" : shown);
	free(before);
	free(after);
	free(line);
	free(shown);
	client_reply_release(&reply);
	return 0;
}

static int show_differences(const json_t *diff, const char *empty)
{
	static const struct show_column columns[] = {
	    {"WHAT", "path", SHOW_TEXT},
	    {"BEFORE", "before", SHOW_LONG},
	    {"AFTER", "after", SHOW_LONG},
	    {"COUNTS", "effect", SHOW_EFFECT},
	};

	return show_list(diff, columns, COUNT(columns), empty);
}

/* text: NULL: the node's own file. name: of the file, for people. */
static int ask_check(const struct command_call *call, const char *name, const char *text)
{
	struct client_request request = {.method = "POST", .path = "/v1/config/check"};
	struct client_reply reply;
	int r;

	request.body = text == NULL ? json_object() : json_pack("{s:s}", "text", text);
	if (request.body == NULL) {
		fputs("kante config check: the file is not UTF-8, or there is no memory\n", stderr);
		return COMMAND_NO;
	}
	r = show_or_ask(call, &request, &reply);
	if (r >= 0)
		return r;
	printf("%s: good\n", name);
	fflush(stdout);
	r = show_differences(json_object_get(reply.json, "diff"), "differences from what runs");
	client_reply_release(&reply);
	return r;
}

/* Whether a node was named, or there is one on this machine. */
static bool has_node(const struct command_call *call)
{
	const struct config_parameter *socket = config_table_find(&config_admin_fields, "socket");

	return command_value(call, "node") != NULL || access(socket->default_text, W_OK) == 0;
}

int config_check_command(const struct command_call *call)
{
	const char *path = call->argument_count > 0 ? call->arguments[0] : NULL;
	char error[CONFIG_ERROR_BYTES] = "", *text = NULL;
	struct config *config = NULL;
	struct faults faults;
	size_t length;
	int r;

	if (path == NULL)
		return ask_check(call, "the node's file", NULL);
	faults_create(&faults, path, error, sizeof(error));
	r = file_read(&text, &length, path, CONFIG_FILE_BYTES_MAX, &faults);
	if (r == 0)
		r = config_parse(&config, path, text, length, error, sizeof(error));
	config_destroy(config);
	if (r < 0)
		fprintf(stderr, "%s\n", error);
	if (r == 0 && has_node(call)) {
		r = ask_check(call, path, text);
	} else if (r == 0 && show_wants_json(call)) {
		puts("{\"good\":true}");
	} else if (r == 0) {
		printf("%s: good\n", path);
	}
	free(text);
	return r < 0 ? COMMAND_NO : r;
}

int config_diff_command(const struct command_call *call)
{
	struct client_request request = {.method = "GET", .path = "/v1/config/diff"};
	struct client_reply reply;
	int r = show_or_ask(call, &request, &reply);

	if (r >= 0)
		return r;
	r = show_differences(json_object_get(reply.json, "diff"),
	                     "differences: what runs is what the file says");
	client_reply_release(&reply);
	return r;
}

int config_reload_command(const struct command_call *call)
{
	static const struct show_column lines[] = {
	    {"counts now", "applied", SHOW_TEXT},
	    {"counts from the next start", "restart", SHOW_TEXT},
	};
	struct client_request request = {
	    .method = "POST", .path = "/v1/config/reload", .body = json_object()};
	struct client_reply reply;
	int r = show_or_ask(call, &request, &reply);

	if (r >= 0)
		return r;
	r = show_object(reply.json, lines, COUNT(lines));
	client_reply_release(&reply);
	return r;
}

int config_help_command(const struct command_call *call)
{
	const char *name = call->argument_count > 0 ? call->arguments[0] : NULL;
	uint32_t width = terminal_width(stdout);

	if (describe_help(stdout, name, width == 0 ? HELP_COLUMNS : width) == 0)
		return 0;
	fprintf(stderr,
	        "kante config help: no parameter is called %s: `kante config help` lists "
	        "all\n",
	        name);
	return COMMAND_NO;
}
