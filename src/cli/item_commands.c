/* SPDX-License-Identifier: Apache-2.0 */
/* Clients' items: the hottest, the largest, having some of them go; the classes of keys. */
#include "cli/commands.h"

#include "cli/human.h"
#include "cli/key_text.h"
#include "cli/show.h"
#include "cli/terminal.h"

#include <stdlib.h>

#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))
#define BIG_COUNT     20
#define BIG_COUNT_MAX 64 /* the node tells of so many */

/* The key of an entry, as the next cell. */
static void add_key(struct table *table, const json_t *entry)
{
	char *text = key_text_of(entry);

	table_add(table, text); /* minds that there was no memory */
	free(text);
}

static double real_of(const json_t *object, const char *name)
{
	return json_number_value(json_object_get(object, name));
}

static uint64_t number_of(const json_t *object, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(object, name));
}

/* Hot keys. */

static int show_hot(const json_t *keys)
{
	static const struct table_column heads[] = {{"KEY", TABLE_LONG},
	                                            {"GETS/S", TABLE_NUMBER},
	                                            {"±", TABLE_NUMBER},
	                                            {"SHARE", TABLE_NUMBER},
	                                            {"BY XDP", TABLE_NUMBER}};
	struct table *table;
	const json_t *entry;
	size_t index;

	if (json_array_size(keys) == 0) {
		fputs("no keys that are asked for often\n", stderr);
		return 0;
	}
	if (table_create(&table, heads, COUNT(heads)) < 0)
		return show_no_memory();
	json_array_foreach(keys, index, entry)
	{
		char text[HUMAN_BYTES];

		add_key(table, entry);
		human_rate(text, real_of(entry, "rate"));
		table_add(table, text);
		human_rate(text, real_of(entry, "rate_error"));
		table_add(table, text);
		human_share(text, real_of(entry, "share"));
		table_add(table, text);
		human_share(text, real_of(entry, "xdp_rate") / real_of(entry, "rate"));
		table_add(table, real_of(entry, "xdp_rate") > 0 ? text : "-");
	}
	return show_table(table);
}

int hot_command(const struct command_call *call)
{
	char path[CLIENT_PATH_BYTES] = "/v1/hot";
	struct client_request request = {.method = "GET", .path = path};
	struct client_reply reply;
	int r;

	client_path_query(path, "limit", command_value(call, "limit"));
	r = show_or_ask(call, &request, &reply);
	if (r >= 0)
		return r;
	r = show_hot(json_object_get(reply.json, "keys"));
	client_reply_release(&reply);
	return r;
}

/* Large items. */

static int show_big(const json_t *items)
{
	static const struct table_column heads[] = {{"KEY", TABLE_LONG},
	                                            {"SIZE", TABLE_NUMBER},
	                                            {"TTL LEFT", TABLE_NUMBER},
	                                            {"NOT READ FOR", TABLE_NUMBER}};
	struct table *table;
	const json_t *entry;
	size_t index;

	if (json_array_size(items) == 0) {
		fputs("no items\n", stderr);
		return 0;
	}
	if (table_create(&table, heads, COUNT(heads)) < 0)
		return show_no_memory();
	json_array_foreach(items, index, entry)
	{
		char text[HUMAN_BYTES];

		add_key(table, entry);
		human_size(text, number_of(entry, "bytes"));
		table_add(table, text);
		human_duration(text, number_of(entry, "ttl_s") * 1000000);
		table_add(table, json_is_null(json_object_get(entry, "ttl_s")) ? "never" : text);
		human_duration(text, number_of(entry, "idle_s") * 1000000);
		table_add(table, text);
	}
	return show_table(table);
}

/* False: told. */
static bool read_limit(const struct command_call *call, size_t *ret_limit)
{
	const char *text = command_value(call, "limit");
	char *end;

	*ret_limit = BIG_COUNT;
	if (text == NULL)
		return true;
	*ret_limit = strtoul(text, &end, 10);
	if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && *ret_limit >= 1 &&
	    *ret_limit <= BIG_COUNT_MAX)
		return true;
	fprintf(stderr, "kante %s: --limit %s: not a number from 1 to %u\n", call->command->name,
	        text, BIG_COUNT_MAX);
	return false;
}

int big_command(const struct command_call *call)
{
	struct client_request request = {.method = "GET", .path = "/v1/survey", .is_slow = true};
	struct client_reply reply;
	json_t *items;
	size_t limit;
	int r;

	if (!read_limit(call, &limit))
		return COMMAND_USAGE;
	r = client_ask_once(call, &request, &reply);
	if (r != 0)
		return r;
	items = json_object_get(reply.json, "big");
	while (json_array_size(items) > limit)
		json_array_remove(items, json_array_size(items) - 1);
	r = show_wants_json(call) ? show_json_changed(&reply) : show_big(items);
	client_reply_release(&reply);
	return r;
}

/* Purges. */

/* `what` is to go: "all items". `body` is taken; NULL: it could not be made. */
static int purge(const struct command_call *call, const char *what, json_t *body)
{
	struct client_request request = {.method = "POST", .path = "/v1/purges", .body = body};
	struct client_reply reply;
	int r;

	if (body == NULL) {
		fprintf(stderr, "kante %s: the argument is not UTF-8: write another\n",
		        call->command->name);
		return COMMAND_USAGE;
	}
	if (command_value(call, "yes") == NULL && !terminal_confirm("Have %s go", what)) {
		json_decref(body);
		return COMMAND_NO;
	}
	r = show_or_ask(call, &request, &reply);
	if (r >= 0)
		return r;
	printf("%s are gone; their memory comes back in the background\n", what);
	client_reply_release(&reply);
	return 0;
}

/* The same, and what goes is said by the first argument: `format` has one %s for it. */
static int purge_named(const struct command_call *call, const char *format, const char *member)
{
	char *shown = terminal_text(call->arguments[0], false), *what = NULL;
	int r;

	if (shown == NULL || asprintf(&what, format, shown) < 0) {
		free(shown);
		return show_no_memory();
	}
	r = purge(call, what, json_pack("{s:s}", member, call->arguments[0]));
	free(what);
	free(shown);
	return r;
}

int purge_prefix_command(const struct command_call *call)
{
	return purge_named(call, "all items whose keys begin with %s", "prefix");
}

int purge_class_command(const struct command_call *call)
{
	return purge_named(call, "all items of the class %s", "class");
}

int purge_all_command(const struct command_call *call)
{
	return purge(call, "all items", json_pack("{s:b}", "all", 1));
}

/* Classes. */

static const struct show_column class_columns[] = {
    {"CLASS", "name", SHOW_LONG},         {"ITEMS", "items", SHOW_COUNT},
    {"SIZE", "bytes", SHOW_SIZE},         {"GETS", "cmd_get", SHOW_COUNT},
    {"HITS", "hit_ratio", SHOW_COUNT},    {"SETS", "cmd_set", SHOW_COUNT},
    {"EVICTED", "evictions", SHOW_COUNT}, {"REFUSED", "rate_limited", SHOW_COUNT},
};

/* {"name": …, "counters": {…}} as one object, with the share of hits. */
static json_t *class_row(const json_t *entry)
{
	const json_t *counters = json_object_get(entry, "counters");
	uint64_t gets = number_of(counters, "cmd_get");
	json_t *row = json_copy((json_t *)counters);
	char text[HUMAN_BYTES];

	json_object_set(row, "name", json_object_get(entry, "name"));
	if (gets == 0)
		return row;
	human_share(text, (double)number_of(counters, "get_hits") / (double)gets);
	json_object_set_new(row, "hit_ratio", json_string(text));
	return row;
}

int class_list_command(const struct command_call *call)
{
	struct client_request request = {.method = "GET", .path = "/v1/classes"};
	struct client_reply reply;
	json_t *rows, *entry;
	size_t index;
	int r = show_or_ask(call, &request, &reply);

	if (r >= 0)
		return r;
	rows = json_array();
	json_array_foreach(json_object_get(reply.json, "classes"), index, entry)
	    json_array_append_new(rows, class_row(entry));
	r = show_list(rows, class_columns, COUNT(class_columns), "classes of keys");
	json_decref(rows);
	client_reply_release(&reply);
	return r;
}
