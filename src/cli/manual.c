/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/manual.h"

#include "config/config.h"
#include "config/describe.h"

#include <string.h>

/* Each sentence begins a line. */
static void write_sentences(FILE *to, char *text)
{
	char *end;

	while ((end = strstr(text, ". ")) != NULL) {
		end[1] = '\0';
		describe_manual_text(to, text);
		text = end + 2;
	}
	describe_manual_text(to, text);
}

/* Paragraphs: one that begins with a blank is shown as it stands. */
static void write_paragraphs(FILE *to, const char *text)
{
	bool is_literal = false, is_first = true;

	while (*text != '\0') {
		size_t length = strcspn(text, "\n");
		char line[length + 1];

		memcpy(line, text, length);
		line[length] = '\0';
		if (is_first) {
			is_literal = line[0] == ' ';
			fputs(is_literal ? ".Bd -literal\n" : ".Pp\n", to);
		}
		is_first = length == 0;
		if (is_first && is_literal)
			fputs(".Ed\n", to);
		if (!is_first && is_literal)
			describe_manual_text(to, line);
		else if (!is_first)
			write_sentences(to, line);
		text += length + (text[length] == '\n');
	}
	if (is_literal && !is_first)
		fputs(".Ed\n", to);
}

static void write_option(FILE *to, const struct command_option *option)
{
	fputs(".It ", to);
	if (option->letter != '\0')
		fprintf(to, "Fl %c , ", option->letter);
	fprintf(to, "Fl -%s", option->name);
	if (option->argument != NULL)
		fprintf(to, " Ar %s", option->argument);
	fputc('\n', to);
	describe_manual_text(to, option->help);
}

/* The name, and what may stand behind it. */
static void write_synopsis(FILE *to, const struct command *command)
{
	const struct command_option *option = command->options;
	const char *word;
	size_t length;

	fprintf(to, ".It Ic %s", command->name);
	for (; option != NULL && option->name != NULL; option++)
		fprintf(to, " Oo Fl -%s%s%s Oc", option->name,
		        option->argument == NULL ? "" : " Ar ",
		        option->argument == NULL ? "" : option->argument);
	for (uint32_t i = 0; (length = command_argument_at(command, i, &word)) > 0; i++)
		fprintf(to, i < command->argument_count_min ? " Ar %.*s" : " Oo Ar %.*s Oc",
		        (int)length, word);
	fputc('\n', to);
}

static void write_command(FILE *to, const struct command *command)
{
	const struct command_option *option = command->options;
	char text[256];

	write_synopsis(to, command);
	snprintf(text, sizeof(text), "%s.", command->help);
	describe_manual_text(to, text);
	if (command_asks_node(command))
		fprintf(to, "Needs the role\n.Em %s .\n", role_name(command->role));
	if (command->details != NULL)
		write_paragraphs(to, command->details);
	if (option == NULL || option->name == NULL)
		return;
	fputs(".Bl -tag -width Ds\n", to);
	for (; option->name != NULL; option++)
		write_option(to, option);
	fputs(".El\n", to);
}

static const char head[] =
    ".\\\" SPDX-License-Identifier: Apache-2.0\n"
    ".\\\" Made from the table of commands by `kante help --manual`: not to be changed here.\n"
    ".Dd November 28, 2026\n"
    ".Dt KANTE 1\n"
    ".Os Kante\n"
    ".Sh NAME\n"
    ".Nm kante\n"
    ".Nd command line of a Kante node\n"
    ".Sh SYNOPSIS\n"
    ".Nm\n"
    ".Ar COMMAND\n"
    ".Op Ar OPTIONS\n"
    ".Op Ar ARGUMENTS\n"
    ".Sh DESCRIPTION\n"
    ".Nm\n"
    "asks a node, a running\n"
    ".Xr kanted 8\n"
    "with a section\n"
    ".Ic admin\n"
    "in its config, and changes it: by its Unix socket when it runs on the node itself, else\n"
    "by HTTPS.\n"
    "On the node, as root, no option is needed to be let in.\n"
    "Options may stand before, behind and between arguments; what follows\n"
    ".Fl -\n"
    "is none.\n"
    ".Pp\n"
    "What people read is in tables, with numbers rounded; control characters in it are escaped.\n"
    "Headings are bold on a terminal only.\n"
    "While an answer takes more than a second, a line on the terminal says so.\n"
    "What cannot be undone is asked about on a terminal, unless\n"
    ".Fl -yes\n"
    "is given.\n";

static const char node_head[] = ".Sh WHICH NODE, AND WHO ASKS\n"
                                "Each command that asks a node takes these, before its name, too.\n"
                                ".Bl -tag -width Ds\n";

static const char environment_tail[] =
    ".It Ev NO_COLOR\n"
    "Where it is set, and not empty, nothing is bold or in colour.\n"
    ".El\n"
    ".Sh FILES\n"
    ".Bl -tag -width Ds\n";

static const char tail[] =
    "The node that is asked without\n"
    ".Fl -node .\n"
    ".El\n"
    ".Sh EXIT STATUS\n"
    ".Bl -tag -width Ds\n"
    ".It 0\n"
    "Good.\n"
    ".It 1\n"
    "The node says no, or something is wrong.\n"
    ".It 2\n"
    "No node was reached.\n"
    ".It 3\n"
    "The arguments are wrong, or output could not be written.\n"
    ".El\n"
    ".Pp\n"
    ".Ic doctor\n"
    "has its own.\n"
    ".Sh EXAMPLES\n"
    "A key for a monitoring system, and the same node asked with it from elsewhere:\n"
    ".Bd -literal -offset indent\n"
    "(umask 077; kante key create monitoring viewer --expires 365d > key)\n"
    "kante status --node https://cache1.example.org --ca ca.crt --token-file key\n"
    ".Ed\n"
    ".Sh SEE ALSO\n"
    ".Xr kante.yaml 5 ,\n"
    ".Xr kante-memcached 7 ,\n"
    ".Xr kanted 8\n";

void manual_write(const struct commands *all, FILE *to)
{
	const struct command_option *option;

	fputs(head, to);
	fputs(".Sh COMMANDS\n.Bl -tag -width Ds\n", to);
	for (uint32_t i = 0; i < all->count; i++)
		write_command(to, &all->list[i]);
	fputs(".El\n", to);
	fputs(node_head, to);
	for (option = command_node_options; option->name != NULL; option++)
		write_option(to, option);
	fputs(".El\n.Sh ENVIRONMENT\n.Bl -tag -width Ds\n", to);
	for (option = command_node_options; option->name != NULL; option++) {
		char name[COMMAND_VARIABLE_BYTES];

		if (option->argument == NULL)
			continue;
		command_variable(name, option);
		fprintf(to, ".It Ev %s\nStands for\n.Fl -%s\nwhere that is not given.\n", name,
		        option->name);
	}
	fputs(environment_tail, to);
	fprintf(to, ".It Pa %s\n", config_table_find(&config_admin_fields, "socket")->default_text);
	fputs(tail, to);
}
