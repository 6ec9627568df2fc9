/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include "base/assert.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define INDENT_BYTES 28 /* of a help text beside an option */
#define OPTION_BYTES 128

const struct command_option command_node_options[] = {
    {"node", 'n', "URL|PATH", "https://HOST[:PORT] of a node, or the path of its admin socket"},
    {"ca", '\0', "FILE", "Certificates of the CAs that a node's may be signed by (PEM)"},
    {"cert", '\0', "FILE", "Certificate to be known by (PEM)"},
    {"key", '\0', "FILE", "Its key (PEM)"},
    {"token-file", '\0', "FILE", "File that has an API key or a token (JWT) to be known by"},
    {"json", '\0', NULL, "Print what the node says as it says it, for programs"},
    {"timeout", '\0', "TIME", "How long an answer may take: 5s, 2min"},
    {0},
};

#define NODE_OPTION_COUNT (sizeof(command_node_options) / sizeof(command_node_options[0]) - 1)

static int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int complain(const char *format, ...)
{
	va_list arguments;

	fputs("kante: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return COMMAND_USAGE;
}

static uint32_t own_option_count(const struct command *command)
{
	uint32_t count = 0;

	while (command->options != NULL && command->options[count].name != NULL)
		count++;
	ASSERT(count + NODE_OPTION_COUNT <= COMMAND_OPTION_COUNT_MAX);
	return count;
}

const struct command_option *command_option_at(const struct command *command, uint32_t index)
{
	uint32_t own_count = own_option_count(command);

	if (index < own_count)
		return &command->options[index];
	index -= own_count;
	return command_asks_node(command) && index < NODE_OPTION_COUNT
	           ? &command_node_options[index]
	           : NULL;
}

/* The index'th part of what is between separators. 0: there is none. */
static size_t part_at(const char *text, char separator, uint32_t index, const char **ret_part)
{
	const char separators[] = {separator, '\0'};

	for (; index > 0; index--) {
		text += strcspn(text, separators);
		if (*text == '\0')
			return 0;
		text++;
	}
	*ret_part = text;
	return strcspn(text, separators);
}

size_t command_choice_at(const char *argument, uint32_t index, const char **ret_word)
{
	bool is_choice = argument != NULL && argument[0] >= 'a' && strchr(argument, '|') != NULL;

	return is_choice ? part_at(argument, '|', index, ret_word) : 0;
}

size_t command_argument_at(const struct command *command, uint32_t index, const char **ret_word)
{
	size_t length = part_at(command->arguments, ' ', index, ret_word);

	for (; length > 0 && **ret_word == '['; length--)
		(*ret_word)++;
	while (length > 0 && (*ret_word)[length - 1] == ']')
		length--;
	return length;
}

void command_variable(char ret_name[COMMAND_VARIABLE_BYTES], const struct command_option *option)
{
	size_t i = 0;

	snprintf(ret_name, COMMAND_VARIABLE_BYTES, "KANTE_%s", option->name);
	for (; ret_name[i] != '\0'; i++)
		ret_name[i] = ret_name[i] == '-' ? '_' : (char)toupper(ret_name[i]);
}

/* Of an option that is not given. */
static const char *environment_value(const struct command_option *option)
{
	char name[COMMAND_VARIABLE_BYTES];
	const char *value;

	if (option < command_node_options || option >= command_node_options + NODE_OPTION_COUNT ||
	    option->argument == NULL)
		return NULL;
	command_variable(name, option);
	value = getenv(name);
	return value == NULL || value[0] == '\0' ? NULL : value;
}

const char *command_value(const struct command_call *call, const char *name)
{
	const struct command_option *option;

	for (uint32_t i = 0; (option = command_option_at(call->command, i)) != NULL; i++)
		if (strcmp(option->name, name) == 0)
			return call->values[i] != NULL ? call->values[i]
			                               : environment_value(option);
	ASSERT(!"an option that the table does not have");
	return NULL;
}

/* How many words its name has, if these begin with it; else 0. */
static uint32_t words_of_name(const struct command *command, char *const words[], uint32_t count)
{
	const char *name = command->name;

	for (uint32_t i = 0; i < count; i++) {
		size_t length = strcspn(name, " ");

		if (strlen(words[i]) != length || strncmp(words[i], name, length) != 0)
			return 0;
		if (name[length] == '\0')
			return i + 1;
		name += length + 1;
	}
	return 0;
}

const struct command *command_find(const struct commands *all, char *const words[],
                                   uint32_t word_count, uint32_t *ret_word_count)
{
	const struct command *found = NULL;

	*ret_word_count = 0;
	for (uint32_t i = 0; i < all->count; i++) {
		uint32_t used = words_of_name(&all->list[i], words, word_count);

		if (used > *ret_word_count) {
			found = &all->list[i];
			*ret_word_count = used;
		}
	}
	return found;
}

static void print_usage(const struct command *command, FILE *to)
{
	fprintf(to, "kante %s", command->name);
	for (uint32_t i = 0; i < own_option_count(command); i++) {
		const struct command_option *option = &command->options[i];

		fprintf(to, " [--%s%s%s]", option->name, option->argument == NULL ? "" : " ",
		        option->argument == NULL ? "" : option->argument);
	}
	fprintf(to, "%s%s\n", command->arguments[0] == '\0' ? "" : " ", command->arguments);
}

static void print_line(const struct commands *all, uint32_t index, FILE *to)
{
	int width = 0;

	for (uint32_t i = 0; i < all->count; i++) {
		int length = (int)strlen(all->list[i].name);

		width = length > width ? length : width;
	}
	fprintf(to, "  %-*s  %s\n", width, all->list[index].name, all->list[index].help);
}

void command_print_all(const struct commands *all, FILE *to)
{
	fputs("kante COMMAND [OPTIONS] [ARGUMENTS]\n\n", to);
	for (uint32_t i = 0; i < all->count; i++)
		print_line(all, i, to);
	fputs("\n`kante help COMMAND` says more of one.\n\n" COMMAND_EXIT_STATUS "\n", to);
}

/* Whether the words are the first of its name, and not all of them. */
static bool is_of_group(const struct command *command, char *const words[], uint32_t count)
{
	const char *name = command->name;

	for (uint32_t i = 0; i < count; i++) {
		size_t length = strlen(words[i]);

		if (length == 0 || strncmp(name, words[i], length) != 0 || name[length] != ' ')
			return false;
		name += length + 1;
	}
	return true;
}

bool command_print_group(const struct commands *all, char *const words[], uint32_t word_count,
                         FILE *to)
{
	bool found = false;

	for (uint32_t i = 0; i < all->count; i++) {
		if (!is_of_group(&all->list[i], words, word_count))
			continue;
		print_line(all, i, to);
		found = true;
	}
	return found;
}

static void print_option(const struct command_option *option, FILE *to)
{
	char text[OPTION_BYTES];
	int length = snprintf(
	    text, sizeof(text), "  %s%c%s--%s%s%s", option->letter == '\0' ? "" : "-",
	    option->letter == '\0' ? ' ' : option->letter, option->letter == '\0' ? "   " : ", ",
	    option->name, option->argument == NULL ? "" : " ",
	    option->argument == NULL ? "" : option->argument);

	if (length >= INDENT_BYTES)
		fprintf(to, "%s\n%*s%s\n", text, INDENT_BYTES, "", option->help);
	else
		fprintf(to, "%-*s%s\n", INDENT_BYTES, text, option->help);
}

void command_print_help(const struct command *command, FILE *to)
{
	uint32_t own_count = own_option_count(command);
	const struct command_option *option;

	print_usage(command, to);
	fprintf(to, "\n%s\n", command->help);
	for (uint32_t i = 0; (option = command_option_at(command, i)) != NULL; i++) {
		if (i == 0 || i == own_count)
			fputc('\n', to);
		if (i == own_count)
			fputs("Which node, and who asks (or by KANTE_NODE, KANTE_CA and so on):\n",
			      to);
		print_option(option, to);
	}
	if (command_asks_node(command))
		fprintf(to, "\nNeeds the role %s.\n", role_name(command->role));
	if (command->details != NULL)
		fprintf(to, "\n%s\n", command->details);
	if (command_asks_node(command))
		fputs("\n" COMMAND_EXIT_STATUS "\n", to);
}

static int refuse(const struct command *command, const char *what, const char *word)
{
	fprintf(stderr, "kante %s: %s%s\nusage: ", command->name, what, word);
	print_usage(command, stderr);
	return COMMAND_USAGE;
}

/* 0: it is one of the choice, or may be anything; else the exit status. */
static int check_choice(const struct command *command, const char *choice, const char *value)
{
	const char *word;
	size_t length;

	if (command_choice_at(choice, 0, &word) == 0)
		return 0;
	for (uint32_t i = 0; (length = command_choice_at(choice, i, &word)) > 0; i++)
		if (strlen(value) == length && strncmp(value, word, length) == 0)
			return 0;
	fprintf(stderr, "kante %s: \"%s\" is none of %s\n", command->name, value, choice);
	return COMMAND_USAGE;
}

/* One of these words: "--name", "--name=value", "-n". -1: it is no option of the command's. */
static int option_find(const struct command *command, const char *word, const char **ret_value)
{
	size_t length = strcspn(word, "=");

	const struct command_option *option;

	*ret_value = NULL;
	for (uint32_t i = 0; (option = command_option_at(command, i)) != NULL; i++) {
		if (word[1] != '-') {
			if (word[1] == option->letter && word[2] == '\0')
				return (int)i;
			continue;
		}
		if (strlen(option->name) != length - 2 ||
		    strncmp(word + 2, option->name, length - 2) != 0)
			continue;
		if (word[length] == '=')
			*ret_value = word + length + 1;
		return (int)i;
	}
	return -1;
}

/* 0: it is read; else the exit status. *index: of the word, moved on over its value. */
static int take_option(struct command_call *call, char *const words[], uint32_t count,
                       uint32_t *index)
{
	const struct command *command = call->command;
	const char *word = words[*index], *value;
	int found = option_find(command, word, &value);
	const struct command_option *option;

	if (found < 0)
		return refuse(command, "there is no option ", word);
	if (call->values[found] != NULL)
		return refuse(command, "given twice: ", word);
	option = command_option_at(command, (uint32_t)found);
	if (option->argument == NULL) {
		if (value != NULL)
			return refuse(command, "takes no value: ", word);
		value = "";
	} else if (value == NULL) {
		if (*index + 1 == count)
			return refuse(command, "needs a value: ", word);
		value = words[++*index];
	}
	call->values[found] = value;
	return check_choice(command, option->argument, value);
}

static bool is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* Options may stand before, behind and between the arguments; what follows "--" is none. The
 * arguments are gathered at the front of `kept`. */
static int read_words(struct command_call *call, char *const words[], uint32_t count, char **kept)
{
	bool are_options_over = false;

	for (uint32_t i = 0; i < count; i++) {
		int r;

		if (are_options_over || words[i][0] != '-' || words[i][1] == '\0') {
			kept[call->argument_count++] = words[i];
			continue;
		}
		if (strcmp(words[i], "--") == 0) {
			are_options_over = true;
			continue;
		}
		r = take_option(call, words, count, &i);
		if (r != 0)
			return r;
	}
	return 0;
}

static int check_arguments(const struct command_call *call)
{
	const struct command *command = call->command;

	if (call->argument_count < command->argument_count_min)
		return refuse(command, "an argument is missing", "");
	if (call->argument_count > command->argument_count_max)
		return refuse(command, "there is an argument too many: ",
		              call->arguments[command->argument_count_max]);
	for (uint32_t i = 0; i < call->argument_count; i++) {
		const char *word = "";
		size_t length = command_argument_at(command, i, &word);
		char choice[length + 1];
		int r;

		if (call->arguments[i][0] == '\0')
			return refuse(command, "an argument is empty", "");
		memcpy(choice, word, length);
		choice[length] = '\0';
		r = check_choice(command, choice, call->arguments[i]);
		if (r != 0)
			return r;
	}
	return 0;
}

/* How many words there are before the command's name: a node's options, and their values. */
static uint32_t words_before_name(char *const words[], uint32_t count)
{
	static const struct command any = {.name = "", .arguments = "", .role = ROLE_viewer};
	uint32_t i = 0;

	while (i < count && words[i][0] == '-') {
		const char *value;
		int found = option_find(&any, words[i], &value);

		if (found < 0)
			break;
		i += command_node_options[found].argument != NULL && value == NULL ? 2 : 1;
	}
	return i < count ? i : count;
}

static int refuse_name(const struct commands *all, char *const words[], uint32_t count)
{
	if (count == 0) {
		command_print_all(all, stderr);
		return COMMAND_USAGE;
	}
	if (!command_print_group(all, words, 1, stderr))
		return complain("there is no command \"%s\": `kante help` lists all", words[0]);
	return complain("%s is several commands: which?", words[0]);
}

/* "--" ends it: behind that there is no option. */
static bool asks_for_help(char *const words[], uint32_t count)
{
	for (uint32_t i = 0; i < count && strcmp(words[i], "--") != 0; i++)
		if (is_help(words[i]))
			return true;
	return false;
}

/* A full disk, a closed pipe. */
static int finish(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	return complain("cannot write to standard output: %s", strerror(errno));
}

int command_run(const struct commands *all, int argc, char *const argv[])
{
	uint32_t count = argc > 1 ? (uint32_t)argc - 1 : 0, before, used;
	char *const *words = argv + 1;
	char *kept[count + 1];
	struct command_call call = {.all = all, .arguments = kept};
	int r;

	if (count > 0 && is_help(words[0])) {
		command_print_all(all, stdout);
		return finish(0);
	}
	before = words_before_name(words, count);
	call.command = command_find(all, words + before, count - before, &used);
	if (call.command == NULL)
		return refuse_name(all, words + before, count - before);
	used += before;
	if (asks_for_help(words + used, count - used)) {
		command_print_help(call.command, stdout);
		return finish(0);
	}
	r = read_words(&call, words, before, kept);
	if (r == 0)
		r = read_words(&call, words + used, count - used, kept);
	if (r == 0)
		r = check_arguments(&call);
	return r != 0 ? r : finish(call.command->run(&call));
}
