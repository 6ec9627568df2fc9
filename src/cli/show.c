/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/show.h"

#include "base/assert.h"
#include "cli/human.h"
#include "cli/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

int show_no_memory(void)
{
	fputs("kante: not enough memory\n", stderr);
	return COMMAND_USAGE;
}

bool show_wants_json(const struct command_call *call)
{
	return command_value(call, "json") != NULL;
}

int show_json(const struct client_reply *reply)
{
	if (isatty(STDOUT_FILENO)) {
		if (json_dumpf(reply->json, stdout, JSON_INDENT(2) | JSON_SORT_KEYS) < 0)
			return show_no_memory();
	} else {
		fwrite(reply->text, 1, reply->length, stdout);
	}
	if (isatty(STDOUT_FILENO) || reply->length == 0 || reply->text[reply->length - 1] != '\n')
		putchar('\n');
	return 0;
}

int show_json_changed(struct client_reply *reply)
{
	char *text = json_dumps(reply->json, JSON_COMPACT);

	if (text == NULL)
		return show_no_memory();
	free(reply->text);
	reply->text = text;
	reply->length = strlen(text);
	return show_json(reply);
}

static char *number_text(uint64_t number, enum show_as as)
{
	char text[HUMAN_BYTES];

	switch (as) {
	case SHOW_COUNT: human_count(text, number); break;
	case SHOW_SIZE: human_size(text, number); break;
	case SHOW_SECONDS: human_duration(text, number * 1000000); break;
	default: snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	}
	return strdup(text);
}

/* "a, b" */
static char *words_text(const json_t *list)
{
	char *text = NULL;
	size_t length, index;
	FILE *to = open_memstream(&text, &length);
	json_t *word;

	if (to == NULL)
		return NULL;
	json_array_foreach(list, index, word)
	    fprintf(to, "%s%s", index == 0 ? "" : ", ",
	            json_is_string(word) ? json_string_value(word) : "?");
	if (json_array_size(list) == 0)
		fputc('-', to);
	fclose(to);
	return text;
}

char *show_value(const json_t *value, enum show_as as)
{
	if (value == NULL || json_is_null(value))
		return strdup("-");
	if (as == SHOW_EFFECT)
		return strdup(json_string_length(value) == 4 ? "at once" : "next start");
	if (json_is_string(value))
		return strdup(json_string_length(value) == 0 ? "-" : json_string_value(value));
	if (json_is_integer(value))
		return number_text((uint64_t)json_integer_value(value), as);
	if (json_is_boolean(value))
		return strdup(json_is_true(value) ? "yes" : "no");
	if (json_is_array(value) && json_is_string(json_array_get(value, 0)))
		return words_text(value);
	return json_is_array(value) && json_array_size(value) == 0
	           ? strdup("-")
	           : json_dumps(value, JSON_COMPACT);
}

int show_table(struct table *table)
{
	int r = table_print(table, stdout, terminal_width(stdout), terminal_wants_colour(stdout));

	table_destroy(table);
	return r < 0 ? show_no_memory() : 0;
}

static void add_value(struct table *table, const json_t *value, enum show_as as)
{
	char *text = show_value(value, as);

	table_add(table, text); /* minds that there was no memory */
	free(text);
}

static enum table_kind kind_of(enum show_as as)
{
	switch (as) {
	case SHOW_TEXT:
	case SHOW_EFFECT: return TABLE_TEXT;
	case SHOW_LONG: return TABLE_LONG;
	default: return TABLE_NUMBER;
	}
}

int show_list(const json_t *list, const struct show_column *columns, uint32_t count,
              const char *empty)
{
	struct table_column heads[SHOW_COLUMN_COUNT_MAX];
	struct table *table;
	size_t index;
	json_t *row;

	ASSERT(count <= SHOW_COLUMN_COUNT_MAX);
	if (json_array_size(list) == 0) {
		fprintf(stderr, "no %s\n", empty);
		return 0;
	}
	for (uint32_t i = 0; i < count; i++)
		heads[i] = (struct table_column){columns[i].heading, kind_of(columns[i].as)};
	if (table_create(&table, heads, count) < 0)
		return show_no_memory();
	json_array_foreach(list, index, row) for (uint32_t i = 0; i < count; i++)
	    add_value(table, json_object_get(row, columns[i].member), columns[i].as);
	return show_table(table);
}

static void add_each(struct table *table, const char *heading, const json_t *list)
{
	size_t index;
	json_t *value;

	json_array_foreach(list, index, value)
	{
		table_add(table, heading);
		add_value(table, value, SHOW_TEXT);
	}
}

int show_object(const json_t *object, const struct show_column *lines, uint32_t count)
{
	static const struct table_column heads[] = {{NULL, TABLE_TEXT}, {NULL, TABLE_TEXT}};
	struct table *table;

	if (table_create(&table, heads, COUNT(heads)) < 0)
		return show_no_memory();
	for (uint32_t i = 0; i < count; i++) {
		const json_t *value = json_object_get(object, lines[i].member);

		if (lines[i].as == SHOW_EACH) {
			add_each(table, lines[i].heading, value);
			continue;
		}
		table_add(table, lines[i].heading);
		add_value(table, value, lines[i].as);
	}
	return show_table(table);
}

int show_or_ask(const struct command_call *call, const struct client_request *request,
                struct client_reply *ret_reply)
{
	int r = client_ask_once(call, request, ret_reply);

	if (r != 0)
		return r;
	if (!show_wants_json(call))
		return -1;
	r = show_json(ret_reply);
	client_reply_release(ret_reply);
	return r;
}

int show_listing(const struct command_call *call, const char *path,
                 const struct show_listing *listing)
{
	struct client_request request = {.method = "GET", .path = path};
	struct client_reply reply;
	int r = show_or_ask(call, &request, &reply);

	if (r >= 0)
		return r;
	r = show_list(json_object_get(reply.json, listing->member), listing->columns,
	              listing->column_count, listing->empty);
	client_reply_release(&reply);
	return r;
}

int show_change(const struct command_call *call, const struct client_request *request,
                const char *done)
{
	struct client_reply reply;
	int r = show_or_ask(call, request, &reply);

	if (r >= 0)
		return r;
	printf("%s %s\n", call->arguments[0], done);
	client_reply_release(&reply);
	return 0;
}

int show_removal(const struct command_call *call, const char *question, const char *folder,
                 const char *done)
{
	struct client_request request = {.method = "DELETE"};
	char path[CLIENT_PATH_BYTES];

	if (command_value(call, "yes") == NULL &&
	    !terminal_confirm("%s %s", question, call->arguments[0]))
		return COMMAND_NO;
	client_path(path, folder, call->arguments[0]);
	request.path = path;
	return show_change(call, &request, done);
}
