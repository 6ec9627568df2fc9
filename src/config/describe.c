/* SPDX-License-Identifier: Apache-2.0 */
#include "config/describe.h"

#include "base/assert.h"
#include "config/document.h"

static void describe_table(const struct config_table *table, const char *path, uint32_t depth,
                           describe_fn *each, void *context)
{
	for (uint32_t i = 0; i < table->count; i++) {
		const struct config_parameter *parameter = &table->parameters[i];
		char child[DESCRIBE_PATH_BYTES];
		struct description description = {child, parameter, depth};
		int length = snprintf(child, sizeof(child), "%s%s%s", path,
		                      path[0] == '\0' ? "" : ".", parameter->name);

		ASSERT(length + 2 < DESCRIBE_PATH_BYTES);
		each(context, &description);
		if (parameter->table == NULL)
			continue;
		if (parameter->type == CONFIG_ENTRIES)
			memcpy(child + length, "[]", 3);
		describe_table(parameter->table, child, depth + 1, each, context);
	}
}

void describe_each(describe_fn *each, void *context)
{
	const struct config_table top = {config_parameters, config_parameter_count, NULL, 0};

	describe_table(&top, "", 0, each, context);
	describe_table(&config_others, "", 0, each, context);
}

bool describe_is_path(const char *path, const char *name)
{
	for (;;) {
		if (*path == '[')
			path += strcspn(path, "]") + 1;
		if (*name == '[' && strchr(name, ']') != NULL)
			name = strchr(name, ']') + 1;
		if (*path != *name)
			return false;
		if (*path == '\0')
			return true;
		path++;
		name++;
	}
}

struct search {
	const char *name;
	const struct config_parameter *found;
};

static void note_if_meant(void *context, const struct description *description)
{
	struct search *search = context;

	if (describe_is_path(description->path, search->name))
		search->found = description->parameter;
}

const struct config_parameter *describe_find(const char *name)
{
	struct search search = {.name = name};

	describe_each(note_if_meant, &search);
	return search.found;
}

static const char *type_words(enum config_type type)
{
	switch (type) {
	case CONFIG_COUNT: return "A whole number";
	case CONFIG_SIZE: return "A size";
	case CONFIG_DURATION: return "A duration";
	case CONFIG_SECONDS: return "A duration in whole seconds,";
	case CONFIG_PERCENT: return "A percentage";
	case CONFIG_MODE: return "The mode of a file, in octal,";
	case CONFIG_WORKERS: return "A list of cores such as [2, 3], or a whole number";
	case CONFIG_PATH: return "An absolute path";
	case CONFIG_LISTEN: return "An address with a port number, or an absolute path,";
	case CONFIG_HOSTS: return "A list of addresses,";
	case CONFIG_PREFIXES: return "A list of addresses with the lengths of their networks,";
	case CONFIG_NETWORKS: return "`any`, or a list of networks,";
	case CONFIG_ENTRIES: return "A list";
	case CONFIG_SECTION: return "A section";
	default: return "A text";
	}
}

/* "One of a, b or c" */
static size_t append_words(char *to, size_t used, const char *const *words)
{
	used += (size_t)snprintf(to + used, DESCRIBE_TEXT_BYTES - used, "One of ");
	for (uint32_t i = 0; words[i] != NULL; i++)
		used += (size_t)snprintf(to + used, DESCRIBE_TEXT_BYTES - used, "%s%s",
		                         i == 0                 ? ""
		                         : words[i + 1] == NULL ? " or "
		                                                : ", ",
		                         words[i]);
	return used;
}

/* " from 4MiB to 4096GiB", " of 1 to 32 bytes", " of 1 to 8 entries", " 1 to 8 of them" */
static size_t append_range(char *to, size_t used, const struct config_parameter *parameter)
{
	char from[CONFIG_QUANTITY_BYTES], until[CONFIG_QUANTITY_BYTES];
	unsigned low = (unsigned)parameter->minimum, high = (unsigned)parameter->maximum;
	size_t room = DESCRIBE_TEXT_BYTES - used;

	to += used;
	if (parameter->type == CONFIG_SECTION)
		return used;
	if (parameter->type < CONFIG_TEXT) {
		config_format_quantity(from, parameter->type, parameter->minimum);
		config_format_quantity(until, parameter->type, parameter->maximum);
		return used + (size_t)snprintf(to, room, " from %s to %s", from, until);
	}
	if (parameter->type == CONFIG_ENTRIES)
		return used + (size_t)snprintf(to, room, " of %u to %u entries", low, high);
	if (parameter->type >= CONFIG_HOSTS)
		return used + (size_t)snprintf(to, room, " %u to %u of them", low, high);
	if (high > DOCUMENT_SCALAR_BYTES_MAX)
		high = DOCUMENT_SCALAR_BYTES_MAX;
	if (low == high)
		return used + (size_t)snprintf(to, room, " of %u bytes", high);
	return used + (size_t)snprintf(to, room, " of at most %u bytes", high);
}

/* "pci, xdp" */
static size_t append_kinds(char *to, size_t used, uint32_t kinds)
{
	const char *separator = "";

	for (uint32_t kind = 0; kind <= PORT_SOCKET; kind++) {
		if ((kinds & (1u << kind)) == 0)
			continue;
		used += (size_t)snprintf(to + used, DESCRIBE_TEXT_BYTES - used, "%s%s", separator,
		                         config_words(CONFIG_PORT_KIND)[kind]);
		separator = ", ";
	}
	return used;
}

static bool is_of_all_kinds(uint32_t kinds)
{
	return kinds == (1u << (PORT_SOCKET + 1)) - 1;
}

bool describe_is_needed(const struct config_parameter *parameter)
{
	return parameter->is_required ||
	       (parameter->kinds != 0 && parameter->required_kinds == parameter->kinds);
}

static size_t append_needed(char *to, size_t used, const struct config_parameter *parameter)
{
	char value[CONFIG_QUANTITY_BYTES];
	size_t room = DESCRIBE_TEXT_BYTES - used;

	if (describe_is_needed(parameter))
		return used + (size_t)snprintf(to + used, room, "; needed");
	if (describe_default(value, parameter))
		return used + (size_t)snprintf(to + used, room, "; the default is %s", value);
	return used + (size_t)snprintf(to + used, room, "; without it: %s", parameter->without);
}

void describe_sentence(char ret_text[DESCRIBE_TEXT_BYTES], const struct config_parameter *parameter)
{
	const char *const *words = config_words(parameter->type);
	size_t used = 0;

	if (words != NULL) {
		used = append_words(ret_text, used, words);
	} else {
		used = (size_t)snprintf(ret_text, DESCRIBE_TEXT_BYTES, "%s",
		                        type_words(parameter->type));
		used = append_range(ret_text, used, parameter);
	}
	used = append_needed(ret_text, used, parameter);
	if (parameter->kinds != 0 && !is_of_all_kinds(parameter->kinds)) {
		used += (size_t)snprintf(ret_text + used, DESCRIBE_TEXT_BYTES - used,
		                         ". Of ports of the kind ");
		used = append_kinds(ret_text, used, parameter->kinds);
	}
	used += (size_t)snprintf(ret_text + used, DESCRIBE_TEXT_BYTES - used, ".");
	ASSERT(used < DESCRIBE_TEXT_BYTES);
}

void describe_paragraph(char ret_text[DESCRIBE_PARAGRAPH_BYTES],
                        const struct config_parameter *parameter)
{
	char sentence[DESCRIBE_TEXT_BYTES];
	int length;

	describe_sentence(sentence, parameter);
	length = snprintf(ret_text, DESCRIBE_PARAGRAPH_BYTES, "%s. %s%s", parameter->help, sentence,
	                  parameter->effect == CONFIG_LIVE ? " A change counts at once." : "");
	ASSERT(length < DESCRIBE_PARAGRAPH_BYTES);
}

bool describe_default(char ret_text[CONFIG_QUANTITY_BYTES],
                      const struct config_parameter *parameter)
{
	if (parameter->default_text != NULL) {
		ASSERT(strlen(parameter->default_text) < CONFIG_QUANTITY_BYTES);
		memcpy(ret_text, parameter->default_text, strlen(parameter->default_text) + 1);
		return true;
	}
	if (parameter->type >= CONFIG_TEXT || parameter->is_required ||
	    parameter->required_kinds != 0 || parameter->without != NULL)
		return false;
	config_format_quantity(ret_text, parameter->type, parameter->default_value);
	return true;
}

void describe_wrap(FILE *to, const char *first, const char *other, uint32_t columns,
                   const char *text)
{
	size_t used = strlen(first);
	bool is_first = true;

	fputs(first, to);
	while (*text != '\0') {
		size_t length = strcspn(text, " ");

		if (!is_first && used + 1 + length > columns) {
			fprintf(to, "\n%s", other);
			used = strlen(other);
		} else if (!is_first) {
			fputc(' ', to);
			used++;
		}
		fwrite(text, 1, length, to);
		used += length;
		text += length + strspn(text + length, " ");
		is_first = false;
	}
	fputc('\n', to);
}
