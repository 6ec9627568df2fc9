/* SPDX-License-Identifier: Apache-2.0 */
/* kante: the command line of a node. This file is the one place that knows every command. */
#include "cli/commands.h"
#include "cli/doctor_command.h"

#define OPTIONS(...) ((const struct command_option[]){__VA_ARGS__, {0}})

#define YES                                                                                        \
	{                                                                                          \
		"yes", 'y', NULL, "Do not ask first"                                               \
	}

static int help(const struct command_call *call)
{
	const struct command *command;
	uint32_t used;

	if (call->argument_count == 0) {
		command_print_all(call->all, stdout);
		return 0;
	}
	command = command_find(call->all, call->arguments, call->argument_count, &used);
	if (command != NULL && used == call->argument_count) {
		command_print_help(command, stdout);
		return 0;
	}
	if (command_print_group(call->all, call->arguments, call->argument_count, stdout))
		return 0;
	fprintf(stderr, "kante help: there is no command \"%s\": `kante help` lists all\n",
	        call->arguments[used < call->argument_count ? used : 0]);
	return COMMAND_USAGE;
}

static int version(const struct command_call *call)
{
	puts("kante " KANTE_VERSION);
	return 0;
}

static const struct command list[] = {
    {
        .name = "status",
        .arguments = "",
        .help = "Say what the node is and does, in a few figures",
        .details = "The exit status is 1, too, when there is an alarm: something that an operator\n"
                   "has to see to.",
        .role = ROLE_viewer,
        .run = status_command,
    },
    {
        .name = "stats",
        .arguments = "[PATTERN]",
        .argument_count_max = 1,
        .options = OPTIONS({"by", '\0', "worker|port", "Keep workers or ports apart"}),
        .help = "Show the node's counters, summed up over its workers and ports",
        .details =
            "PATTERN is a module, a counter, or both as MODULE:COUNTER; * and ? stand for any\n"
            "characters: session, get_hits, 'tcp:*out*'. --json has each counter of each\n"
            "worker and port, exact.",
        .role = ROLE_viewer,
        .run = stats_command,
    },
    {
        .name = "whoami",
        .arguments = "",
        .help = "Say who asks, as the node sees it, and which role that has",
        .role = ROLE_viewer,
        .run = whoami_command,
    },
    {
        .name = "key list",
        .arguments = "",
        .help = "List the API keys, without their secrets",
        .role = ROLE_admin,
        .run = key_list_command,
    },
    {
        .name = "key create",
        .arguments = "NAME viewer|operator|admin",
        .argument_count_min = 2,
        .argument_count_max = 2,
        .options = OPTIONS({"expires", '\0', "TIME", "In 30d or 12h, or on 2027-01-31; never"}),
        .help = "Make an API key, which is shown this once",
        .details = "The key alone goes to standard output.",
        .role = ROLE_admin,
        .run = key_create_command,
    },
    {
        .name = "key revoke",
        .arguments = "ID",
        .argument_count_min = 1,
        .argument_count_max = 1,
        .options = OPTIONS(YES),
        .help = "Let nobody in with an API key any more",
        .role = ROLE_admin,
        .run = key_revoke_command,
    },
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
