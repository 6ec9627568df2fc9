/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of `kante`: one table, from which usage, help, errors for wrong arguments, and with
 * time completion and the manual page come. Owner: main.c has the table. */
#pragma once

#include "base/role.h"

#include <stdint.h>
#include <stdio.h>

#define COMMAND_USAGE 3 /* exit status: the arguments are wrong, or output could not be written */

#define COMMAND_OPTION_COUNT_MAX 16

struct command_option {
	const char *name;     /* without the dashes; NULL ends the list */
	char letter;          /* "-c"; '\0': none */
	const char *argument; /* "FILE"; NULL: it takes none */
	const char *help;
};

struct command_call;

struct command {
	const char *name;      /* one word or several: "doctor", "config show" */
	const char *arguments; /* besides options, as usage shows them: "[COMMAND]", "" */
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

/* What was asked for. `arguments` and values point into argv. */
struct command_call {
	const struct commands *all;
	const struct command *command;
	const char *values[COMMAND_OPTION_COUNT_MAX]; /* by option; "": given without a value */
	char *const *arguments;
	uint32_t argument_count;
};

/* The value of an option, "" if it is given and takes none; NULL: it is not given. */
const char *command_value(const struct command_call *call, const char *option);

/* Finds the command, reads its options and runs it; what is wrong goes to stderr, with how it would
 * be right. `--help` and `-h` are known everywhere. Returns the exit status: the command's, or
 * COMMAND_USAGE. */
int command_run(const struct commands *all, int argc, char *const argv[]);

/* All commands, a line each. */
void command_print_all(const struct commands *all, FILE *to);

/* One of them, with all there is to know. */
void command_print_help(const struct command *command, FILE *to);

/* The one that the words name, or begin with; NULL: none. ret_word_count: how many it has. */
const struct command *command_find(const struct commands *all, char *const words[],
                                   uint32_t word_count, uint32_t *ret_word_count);
