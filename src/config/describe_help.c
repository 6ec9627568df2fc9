/* SPDX-License-Identifier: Apache-2.0 */
#include "config/describe.h"

#include <errno.h>

#define NAME_COLUMNS  24
#define VALUE_COLUMNS 12

struct help {
	FILE *to;
	const char *name; /* NULL: all */
	uint32_t columns;
	bool by_last_part; /* `name` is of the last part of a path only */
	uint32_t told_count;
};

static const char *last_part(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot == NULL ? path : dot + 1;
}

static void tell_line(void *context, const struct description *description)
{
	struct help *help = context;
	char value[CONFIG_QUANTITY_BYTES] = "", start[128], blanks[128];
	uint32_t indent = 2 + 2 * description->depth;
	const struct config_parameter *parameter = description->parameter;

	if (!describe_default(value, parameter))
		snprintf(value, sizeof(value), "%s",
		         describe_is_needed(parameter) ? "needed" : "-");
	snprintf(start, sizeof(start), "%*s%-*s %-*s ", (int)indent, "", NAME_COLUMNS - (int)indent,
	         parameter->name, VALUE_COLUMNS, value);
	snprintf(blanks, sizeof(blanks), "%*s", NAME_COLUMNS + VALUE_COLUMNS + 2, "");
	if (help->columns < 2 * strlen(blanks) || strlen(start) > strlen(blanks)) {
		fprintf(help->to, "%*s%s  %s\n", (int)indent, "", parameter->name, value);
		describe_wrap(help->to, "        ", "        ", help->columns, parameter->help);
	} else {
		describe_wrap(help->to, start, blanks, help->columns, parameter->help);
	}
}

static void tell_whole(struct help *help, const struct description *description)
{
	const struct config_parameter *parameter = description->parameter;
	char sentence[DESCRIBE_TEXT_BYTES], text[2 * DESCRIBE_TEXT_BYTES];

	if (help->told_count > 0)
		fputc('\n', help->to);
	fprintf(help->to, "%s\n", description->path);
	describe_sentence(sentence, parameter);
	snprintf(text, sizeof(text), "%s.", parameter->help);
	describe_wrap(help->to, "    ", "    ", help->columns, text);
	describe_wrap(help->to, "    ", "    ", help->columns, sentence);
	fprintf(help->to, "    A change counts %s.\n",
	        parameter->effect == CONFIG_LIVE ? "at once" : "from the next start");
	if (parameter->example != NULL) {
		snprintf(text, sizeof(text), "Such as: %s: %s", parameter->name,
		         parameter->example);
		describe_wrap(help->to, "    ", "    ", help->columns, text);
	}
	if (parameter->table == NULL)
		return;
	fprintf(help->to, "    %s:\n",
	        parameter->type == CONFIG_ENTRIES ? "In each entry" : "In it");
	for (uint32_t i = 0; i < parameter->table->count; i++) {
		struct description child = {"", &parameter->table->parameters[i], 1};

		tell_line(help, &child);
	}
}

static void tell_if_meant(void *context, const struct description *description)
{
	struct help *help = context;
	bool is_meant = help->by_last_part ? strcmp(last_part(description->path), help->name) == 0
	                                   : describe_is_path(description->path, help->name);

	if (!is_meant)
		return;
	tell_whole(help, description);
	help->told_count++;
}

int describe_help(FILE *to, const char *name, uint32_t columns)
{
	struct help help = {.to = to, .name = name, .columns = columns};

	if (columns < DESCRIBE_COLUMNS_MIN)
		help.columns = DESCRIBE_COLUMNS_MIN;
	if (name == NULL) {
		describe_each(tell_line, &help);
		return 0;
	}
	describe_each(tell_if_meant, &help);
	if (help.told_count == 0) {
		help.by_last_part = true;
		describe_each(tell_if_meant, &help);
	}
	return help.told_count == 0 ? -ENOENT : 0;
}
