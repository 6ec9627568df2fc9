/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of `kante`: one table, from which usage, help, errors for wrong arguments, and with
 * time completion and the manual page come. Owner: main.c has the table. */
#pragma once

#include "base/role.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Exit status; doctor has its own for 1 and 2. */
#define COMMAND_NO      1 /* the node says no, or something is wrong */
#define COMMAND_NO_NODE 2 /* no node was reached */
#define COMMAND_USAGE   3 /* the arguments are wrong, or output could not be written */

#define COMMAND_EXIT_STATUS                                                                        \
	"Exit status: 0 good; 1 the node says no, or something is wrong; 2 no node was reached;\n" \
	"3 wrong arguments."

#define COMMAND_OPTION_COUNT_MAX 24

struct command_option {
	const char *name;     /* without the dashes; NULL ends the list */
	char letter;          /* "-c"; '\0': none */
	const char *argument; /* "FILE", "worker|port": one of these words; NULL: it takes none */
	const char *help;
};

struct command_call;

struct command {
	const char *name; /* one word or several: "doctor", "config show" */
	/* besides options, as usage shows them: "[COMMAND]", "NAME viewer|operator|admin", "" */
	const char *arguments;
	uint32_t argument_count_min, argument_count_max;
	const struct command_option *options; /* NULL: none */
	const char *help;                     /* one line */
	const char *details;                  /* paragraphs, after the options; NULL: none */
	enum role role; /* what the node asks of who calls it; none: no node is asked */
	int (*run)(const struct command_call *call); /* returns the exit status */
};

struct commands {
	const struct command *list;
	uint32_t count;
};

/* Known by every command that asks a node, before its name, too. Those that take a value can be
 * given by the environment: "token-file" as KANTE_TOKEN_FILE. */
extern const struct command_option command_node_options[];

/* What was asked for. `arguments` and values point into argv. */
struct command_call {
	const struct commands *all;
	const struct command *command;
	const char *values[COMMAND_OPTION_COUNT_MAX]; /* by option; "": given without a value */
	char *const *arguments;
	uint32_t argument_count;
};

static inline bool command_asks_node(const struct command *command)
{
	return command->role != ROLE_none;
}

/* The options that a command knows, by number: its own, then those above; NULL: no more. */
const struct command_option *command_option_at(const struct command *command, uint32_t index);

/* The words that "worker|port" is a choice of, one after the other; 0: no more, or it is none. The
 * word begins at *ret_word. */
size_t command_choice_at(const char *argument, uint32_t index, const char **ret_word);

/* One word of `arguments`, without its brackets. 0: there are no more. */
size_t command_argument_at(const struct command *command, uint32_t index, const char **ret_word);

#define COMMAND_VARIABLE_BYTES 32

/* Of the environment, that such an option is given by. */
void command_variable(char ret_name[COMMAND_VARIABLE_BYTES], const struct command_option *option);

/* The value of an option, "" if it is given and takes none; NULL: it is not given. */
const char *command_value(const struct command_call *call, const char *option);

/* Finds the command, reads its options and runs it; what is wrong goes to stderr, with how it would
 * be right. `--help` and `-h` are known everywhere. Returns the exit status: the command's, or
 * COMMAND_USAGE. */
int command_run(const struct commands *all, int argc, char *const argv[]);

/* All commands, a line each. */
void command_print_all(const struct commands *all, FILE *to);

/* Those whose name begins with these words and goes on, a line each. False: there are none. */
bool command_print_group(const struct commands *all, char *const words[], uint32_t word_count,
                         FILE *to);

/* One of them, with all there is to know. */
void command_print_help(const struct command *command, FILE *to);

/* The one that the words name, or begin with; NULL: none. ret_word_count: how many it has. */
const struct command *command_find(const struct commands *all, char *const words[],
                                   uint32_t word_count, uint32_t *ret_word_count);
