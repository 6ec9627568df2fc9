/* SPDX-License-Identifier: Apache-2.0 */
/* Counters: those that are asked for, summed up. */
#include "cli/commands.h"

#include "cli/human.h"
#include "cli/show.h"

#include <fnmatch.h>
#include <stdlib.h>

#define NAME_BYTES 256
#define NONE       (-1)

/* What stands for all of one name, and of one worker or port if these are kept apart. */
struct sum {
	char name[NAME_BYTES]; /* "session:requests", "class:sessions:hits" */
	json_int_t index;      /* of the worker or port; NONE */
	uint64_t value;
	const json_t *first;
};

static const char *text_of(const json_t *counter, const char *member)
{
	const char *text = json_string_value(json_object_get(counter, member));

	return text == NULL ? "" : text;
}

static void name_of(char ret_name[NAME_BYTES], const json_t *counter)
{
	const char *class_name = text_of(counter, "class");

	snprintf(ret_name, NAME_BYTES, "%s:%s%s%s", text_of(counter, "module"), class_name,
	         class_name[0] == '\0' ? "" : ":", text_of(counter, "name"));
}

static bool is_meant(const json_t *counter, const char *pattern)
{
	char name[NAME_BYTES];

	name_of(name, counter);
	return fnmatch(pattern, text_of(counter, "module"), 0) == 0 ||
	       fnmatch(pattern, text_of(counter, "name"), 0) == 0 || fnmatch(pattern, name, 0) == 0;
}

/* Leaves only those that are meant. */
static void filter(json_t *counters, const char *pattern)
{
	for (size_t i = json_array_size(counters); i-- > 0;)
		if (!is_meant(json_array_get(counters, i), pattern))
			json_array_remove(counters, i);
}

static json_int_t index_of(const json_t *counter, const char *by)
{
	const json_t *index = by == NULL ? NULL : json_object_get(counter, by);

	return index == NULL ? NONE : json_integer_value(index);
}

static int compare(const void *a, const void *b)
{
	const struct sum *left = a, *right = b;
	int r = strcmp(left->name, right->name);

	return r != 0 ? r : (left->index > right->index) - (left->index < right->index);
}

/* Returns how many sums there are. */
static size_t sum_up(struct sum *sums, const json_t *counters, const char *by)
{
	size_t index, count = json_array_size(counters), last = 0;
	const json_t *counter;

	json_array_foreach(counters, index, counter)
	{
		sums[index] = (struct sum){
		    .index = index_of(counter, by),
		    .value = (uint64_t)json_integer_value(json_object_get(counter, "value")),
		    .first = counter,
		};
		name_of(sums[index].name, counter);
	}
	qsort(sums, count, sizeof(*sums), compare);
	for (size_t i = 1; i < count; i++) {
		if (compare(&sums[last], &sums[i]) == 0)
			sums[last].value += sums[i].value;
		else
			sums[++last] = sums[i];
	}
	return last + 1;
}

static int print(const struct sum *sums, size_t count, const char *by)
{
	bool is_by_port = by != NULL && strcmp(by, "port") == 0;
	static const struct table_column heads[] = {{"NAME", TABLE_TEXT},
	                                            {"VALUE", TABLE_NUMBER},
	                                            {"UNIT", TABLE_TEXT},
	                                            {"MEANING", TABLE_LONG}};
	struct table_column heads_apart[] = {
	    heads[0], {is_by_port ? "PORT" : "WORKER", TABLE_NUMBER}, heads[1], heads[2], heads[3]};
	struct table *table;

	if (table_create(&table, by == NULL ? heads : heads_apart, by == NULL ? 4 : 5) < 0) {
		fputs("kante stats: not enough memory\n", stderr);
		return COMMAND_USAGE;
	}
	for (size_t i = 0; i < count; i++) {
		const char *unit = text_of(sums[i].first, "unit");
		char text[HUMAN_BYTES];

		table_add(table, sums[i].name);
		if (by != NULL) {
			snprintf(text, sizeof(text), "%lld", (long long)sums[i].index);
			table_add(table, sums[i].index == NONE ? "-" : text);
		}
		human_quantity(text, sums[i].value, unit);
		table_add(table, text);
		/* these are in the value */
		table_add(table, strcmp(unit, "bytes") == 0 || strcmp(unit, "microseconds") == 0
		                     ? ""
		                     : unit);
		table_add(table, text_of(sums[i].first, "help"));
	}
	return show_table(table);
}

static int show(const struct command_call *call, struct client_reply *reply)
{
	json_t *counters = json_object_get(reply->json, "counters");
	const char *pattern = call->argument_count > 0 ? call->arguments[0] : NULL;
	struct sum *sums;
	int r;

	if (pattern != NULL)
		filter(counters, pattern);
	if (json_array_size(counters) == 0) {
		fprintf(
		    stderr,
		    "kante stats: no counter is like %s: `kante stats` lists all; * and ? stand "
		    "for any characters\n",
		    pattern == NULL ? "that" : pattern);
		return COMMAND_NO;
	}
	if (show_wants_json(call))
		return show_json_changed(reply);
	sums = calloc(json_array_size(counters), sizeof(*sums));
	if (sums == NULL) {
		fputs("kante stats: not enough memory\n", stderr);
		return COMMAND_USAGE;
	}
	r = print(sums, sum_up(sums, counters, command_value(call, "by")),
	          command_value(call, "by"));
	free(sums);
	return r;
}

int stats_command(const struct command_call *call)
{
	struct client_request request = {.method = "GET", .path = "/v1/counters"};
	struct client_reply reply;
	int r = client_ask_once(call, &request, &reply);

	if (r != 0)
		return r;
	r = show(call, &reply);
	client_reply_release(&reply);
	return r;
}
