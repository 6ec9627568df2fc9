/* SPDX-License-Identifier: Apache-2.0 */
/* kante: the command line of a node. This file is the one place that knows every command. */
#include "cli/command.h"
#include "cli/doctor_command.h"

static int help(const struct command_call *call)
{
	const struct command *command;
	uint32_t used;

	if (call->argument_count == 0) {
		command_print_all(call->all, stdout);
		return 0;
	}
	command = command_find(call->all, call->arguments, call->argument_count, &used);
	if (command == NULL || used != call->argument_count) {
		fprintf(stderr, "kante help: there is no command \"%s\": `kante help` lists all\n",
		        call->arguments[used < call->argument_count ? used : 0]);
		return COMMAND_USAGE;
	}
	command_print_help(command, stdout);
	return 0;
}

static int version(const struct command_call *call)
{
	puts("kante " KANTE_VERSION);
	return 0;
}

static const struct command list[] = {
    {
        .name = "doctor",
        .arguments = "",
        .options = doctor_command_options,
        .help = "Say what is wrong with this machine as a host for kanted, and how to mend it",
        .details = DOCTOR_COMMAND_DETAILS,
        .role = ROLE_none,
        .run = doctor_command,
    },
    {
        .name = "help",
        .arguments = "[COMMAND]",
        .argument_count_max = 3,
        .help = "List all commands, or say more of one",
        .role = ROLE_none,
        .run = help,
    },
    {
        .name = "version",
        .arguments = "",
        .help = "Say which version this is",
        .role = ROLE_none,
        .run = version,
    },
};

int main(int argc, char **argv)
{
	static const struct commands all = {list, sizeof(list) / sizeof(list[0])};

	return command_run(&all, argc, argv);
}
