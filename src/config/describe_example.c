/* SPDX-License-Identifier: Apache-2.0 */
#include "config/describe.h"

#define COLUMNS 100

struct example {
	FILE *to;
	uint32_t told_fields; /* bits: of a port's, the help is there already */
};

static void write_fields(struct example *example, const struct config_table *table, uint32_t indent,
                         uint32_t kind, bool is_entry, bool is_on);

static void write_help(struct example *example, const struct config_parameter *parameter,
                       uint32_t indent, bool is_on)
{
	char start[64], text[DESCRIBE_PARAGRAPH_BYTES];

	/* at the top a line of help is none that is commented out */
	snprintf(start, sizeof(start), "%s%*s# ", is_on || indent == 0 ? "" : "#", (int)indent, "");
	describe_paragraph(text, parameter);
	describe_wrap(example->to, start, start, COLUMNS, text);
}

static bool is_of_port(const struct config_parameter *parameter)
{
	return parameter->kinds != 0;
}

static const char *value_of(const struct config_parameter *parameter, uint32_t kind,
                            char room[CONFIG_QUANTITY_BYTES])
{
	if (parameter->type == CONFIG_PORT_KIND)
		return config_words(CONFIG_PORT_KIND)[kind];
	if (describe_default(room, parameter))
		return room;
	return parameter->example;
}

static void write_list(struct example *example, const struct config_parameter *parameter,
                       uint32_t indent, bool is_on)
{
	if (parameter->table != &config_port_fields) {
		write_fields(example, parameter->table, indent + 4, 0, true, is_on);
		return;
	}
	/* only kernel sockets work on every host */
	for (uint32_t kind = PORT_SOCKET + 1; kind-- > 0;)
		write_fields(example, parameter->table, indent + 4, kind, true,
		             kind == PORT_SOCKET);
}

static void write_parameter(struct example *example, const struct config_parameter *parameter,
                            uint32_t indent, uint32_t kind, bool has_dash, bool is_on)
{
	char room[CONFIG_QUANTITY_BYTES];
	const char *dash = has_dash ? "- " : "";

	fprintf(example->to, "%s%*s%s%s:", is_on ? "" : "#", (int)(indent - strlen(dash)), "", dash,
	        parameter->name);
	if (parameter->table == NULL) {
		fprintf(example->to, " %s\n", value_of(parameter, kind, room));
		return;
	}
	fputc('\n', example->to);
	if (parameter->type == CONFIG_ENTRIES)
		write_list(example, parameter, indent, is_on);
	else
		write_fields(example, parameter->table, indent + 2, 0, false, is_on);
}

/* is_entry: the first of them has the dash of a list's entry. */
static void write_fields(struct example *example, const struct config_table *table, uint32_t indent,
                         uint32_t kind, bool is_entry, bool is_on)
{
	uint32_t kind_bit = 1u << kind;
	bool has_dash = is_entry;

	for (uint32_t i = 0; i < table->count; i++) {
		const struct config_parameter *field = &table->parameters[i];
		bool is_needed = field->is_required || (field->required_kinds & kind_bit) != 0;

		if (is_of_port(field) && (field->kinds & kind_bit) == 0)
			continue;
		if (!is_of_port(field) || (example->told_fields & (1u << i)) == 0)
			write_help(example, field, indent, is_on);
		if (is_of_port(field))
			example->told_fields |= 1u << i;
		write_parameter(example, field, indent, kind, has_dash, is_on && is_needed);
		has_dash = false;
	}
}

static void write_top(struct example *example, const struct config_table *table)
{
	for (uint32_t i = 0; i < table->count; i++) {
		const struct config_parameter *parameter = &table->parameters[i];

		fputc('\n', example->to);
		write_help(example, parameter, 0, parameter->is_required);
		write_parameter(example, parameter, 0, 0, false, parameter->is_required);
	}
}

void describe_example(FILE *to)
{
	const struct config_table top = {config_parameters, config_parameter_count, NULL, 0};
	struct example example = {.to = to};

	fputs("# Every parameter of kanted. What is commented out is the default, or an example "
	      "where there is none.\n"
	      "# A change counts from the next start, where nothing else is said.\n"
	      "# `kanted --check -c FILE` says what is wrong with a file; kante.yaml(5) is the "
	      "manual.\n",
	      to);
	write_top(&example, &top);
	write_top(&example, &config_others);
}
