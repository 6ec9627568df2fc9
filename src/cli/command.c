/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include "base/assert.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#define INDENT_BYTES 28 /* of a help text beside an option */

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

static uint32_t option_count(const struct command *command)
{
	uint32_t count = 0;

	while (command->options != NULL && command->options[count].name != NULL)
		count++;
	ASSERT(count <= COMMAND_OPTION_COUNT_MAX);
	return count;
}

const char *command_value(const struct command_call *call, const char *option)
{
	for (uint32_t i = 0; i < option_count(call->command); i++)
		if (strcmp(call->command->options[i].name, option) == 0)
			return call->values[i];
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
	for (uint32_t i = 0; i < option_count(command); i++) {
		const struct command_option *option = &command->options[i];

		fprintf(to, " [--%s%s%s]", option->name, option->argument == NULL ? "" : " ",
		        option->argument == NULL ? "" : option->argument);
	}
	fprintf(to, "%s%s\n", command->arguments[0] == '\0' ? "" : " ", command->arguments);
}

void command_print_all(const struct commands *all, FILE *to)
{
	int width = 0;

	for (uint32_t i = 0; i < all->count; i++) {
		int length = (int)strlen(all->list[i].name);

		width = length > width ? length : width;
	}
	fputs("kante COMMAND [OPTIONS] [ARGUMENTS]\n\n", to);
	for (uint32_t i = 0; i < all->count; i++)
		fprintf(to, "  %-*s  %s\n", width, all->list[i].name, all->list[i].help);
	fputs("\n`kante help COMMAND` says more of one.\n", to);
}

static void print_option(const struct command_option *option, FILE *to)
{
	char text[INDENT_BYTES * 2];
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
	print_usage(command, to);
	fprintf(to, "\n%s\n", command->help);
	if (option_count(command) > 0)
		fputc('\n', to);
	for (uint32_t i = 0; i < option_count(command); i++)
		print_option(&command->options[i], to);
	if (command->role != ROLE_none)
		fprintf(to, "\nNeeds the role %s.\n", role_name(command->role));
	if (command->details != NULL)
		fprintf(to, "\n%s\n", command->details);
}

static int refuse(const struct command *command, const char *what, const char *word)
{
	fprintf(stderr, "kante %s: %s%s\nusage: ", command->name, what, word);
	print_usage(command, stderr);
	return COMMAND_USAGE;
}

/* One of these words: "--name", "--name=value", "-n". -1: it is no option of the command's. */
static int option_find(const struct command *command, const char *word, const char **ret_value)
{
	size_t length = strcspn(word, "=");

	*ret_value = NULL;
	for (uint32_t i = 0; i < option_count(command); i++) {
		const struct command_option *option = &command->options[i];

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

	if (found < 0)
		return refuse(command, "there is no option ", word);
	if (call->values[found] != NULL)
		return refuse(command, "given twice: ", word);
	if (command->options[found].argument == NULL) {
		if (value != NULL)
			return refuse(command, "takes no value: ", word);
		value = "";
	} else if (value == NULL) {
		if (*index + 1 == count)
			return refuse(command, "needs a value: ", word);
		value = words[++*index];
	}
	call->values[found] = value;
	return 0;
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
	if (call->argument_count < call->command->argument_count_min)
		return refuse(call->command, "an argument is missing", "");
	if (call->argument_count > call->command->argument_count_max)
		return refuse(call->command, "there is an argument too many: ",
		              kept[call->command->argument_count_max]);
	return 0;
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
	uint32_t count = argc > 1 ? (uint32_t)argc - 1 : 0, used;
	char *const *words = argv + 1;
	char *kept[count + 1];
	struct command_call call = {.all = all, .arguments = kept};
	int r;

	if (count > 0 && is_help(words[0])) {
		command_print_all(all, stdout);
		return finish(0);
	}
	call.command = command_find(all, words, count, &used);
	if (call.command == NULL) {
		if (count > 0)
			return complain("there is no command \"%s\": `kante help` lists all",
			                words[0]);
		command_print_all(all, stderr);
		return COMMAND_USAGE;
	}
	if (asks_for_help(words + used, count - used)) {
		command_print_help(call.command, stdout);
		return finish(0);
	}
	r = read_words(&call, words + used, count - used, kept);
	return r != 0 ? r : finish(call.command->run(&call));
}
