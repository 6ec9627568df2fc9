/* SPDX-License-Identifier: Apache-2.0 */
/* kante: the command line of a node. This file is the one place that knows every command. */
#include "cli/commands.h"
#include "cli/completion.h"
#include "cli/doctor_command.h"
#include "cli/manual.h"
#include "control/audit.h"
#include "net/blocked.h"

#define OPTIONS(...) ((const struct command_option[]){__VA_ARGS__, {0}})

#define YES                                                                                        \
	{                                                                                          \
		"yes", 'y', NULL, "Do not ask first"                                               \
	}

/* "login|refusal|…" */
#define KIND_WORD(name, help) "|" #name
#define KIND_CHOICE           &(AUDIT_KINDS(KIND_WORD))[1]

#define FROM_TO                                                                                    \
	{"from", '\0', "TIME", "Not before: 2026-11-27, 2026-11-27T21:08:23Z, or 12h, 30d ago"},   \
	{                                                                                          \
		"to", '\0', "TIME", "Before that time"                                             \
	}

static int help(const struct command_call *call)
{
	const struct command *command;
	uint32_t used;

	if (command_value(call, "manual") != NULL) {
		manual_write(call->all, stdout);
		return 0;
	}
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

static int completion(const struct command_call *call)
{
	if (call->arguments[0][0] == 'b')
		completion_write_bash(call->all, stdout);
	else
		completion_write_zsh(call->all, stdout);
	return 0;
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
        .name = "top",
        .arguments = "",
        .options = OPTIONS({"interval", '\0', "TIME", "How often the node is asked; 2s"},
                           {"once", '\0', NULL, "Write one frame as text, and end"}),
        .help = "Show what the node does, live, on the whole terminal",
        .details = "Keys: q ends it, p pauses, + and - ask less and more often, h says more. A\n"
                   "node that does not answer is waited for. The hottest keys are shown to whom\n"
                   "has the role operator; they are asked for every five seconds at most.",
        .role = ROLE_viewer,
        .run = top_command,
    },
    {
        .name = "hot",
        .arguments = "",
        .options = OPTIONS({"limit", '\0', "NUMBER", "So many of them, up to 1000; 20"}),
        .help = "Show the keys that are asked for most",
        .details = "Sampled in the last second, or longer where little is asked. A rate is too\n"
                   "high by what stands behind it at most. BY XDP: so much of it the XDP\n"
                   "programs have answered, the rest the workers.",
        .role = ROLE_operator,
        .run = hot_command,
    },
    {
        .name = "big",
        .arguments = "",
        .options = OPTIONS({"limit", '\0', "NUMBER", "So many of them, up to 64; 20"}),
        .help = "Show the largest items",
        .details = "The node goes through all items: the more there are, the longer it takes.",
        .role = ROLE_operator,
        .run = big_command,
    },
    {
        .name = "hist",
        .arguments = "[latency|size|ttl|idle]",
        .argument_count_max = 1,
        .help = "Show how long requests take, or what the items are like, as a histogram",
        .details =
            "latency, which is shown without an argument, is of all requests since the start;\n"
            "it is measured in the workers, from receiving to sending, and no percentile is\n"
            "told too low, nor more than a quarter too high. The others are of the items that\n"
            "there are: how large, how long to live, how long not read. For these the node goes\n"
            "through all of them, and asks for the role operator.",
        .role = ROLE_viewer,
        .run = hist_command,
    },
    {
        .name = "watch",
        .arguments = "",
        .options = OPTIONS({"kinds", '\0', "KIND,...", "What is told of; all but connevents"},
                           {"prefix", '\0', "PREFIX", "How the keys begin that are told of"}),
        .help = "Tell what happens in the cache, as it happens",
        .details = "KIND is fetchers, mutations, deletions, evictions or connevents. Ctrl-C ends\n"
                   "it. What comes too fast is left out, and how much that was is said. With\n"
                   "--json each line is an object.",
        .role = ROLE_operator,
        .run = watch_command,
    },
    {
        .name = "capture",
        .arguments = "",
        .options = OPTIONS({"port", '\0', "NAME", "Which; or its place in the config, from 0 on"},
                           {"filter", '\0', "EXPRESSION", "Which packets, by pcap-filter(7); all"},
                           {"seconds", '\0', "NUMBER", "For how long at most; 10"},
                           {"packets", '\0', "NUMBER", "How many at most; 1000"},
                           {"snap", '\0', "NUMBER", "Bytes of each that are kept; 1518"},
                           {"out", 'o', "FILE", "Where to; -: standard output"}),
        .help = "Record what goes over a port of the kinds pci, xdp, tap and memif",
        .details = "FILE is a new one, of mode 0600, in the format pcapng. Ctrl-C ends it before\n"
                   "its time. To see it as it comes:\n"
                   "\n"
                   "  kante capture --port kante0 --out - | tcpdump -n -r -",
        .role = ROLE_admin,
        .run = capture_command,
    },
    {
        .name = "purge prefix",
        .arguments = "PREFIX",
        .argument_count_min = 1,
        .argument_count_max = 1,
        .options = OPTIONS(YES),
        .help = "Have all items go whose keys begin like that",
        .role = ROLE_operator,
        .run = purge_prefix_command,
    },
    {
        .name = "purge class",
        .arguments = "NAME",
        .argument_count_min = 1,
        .argument_count_max = 1,
        .options = OPTIONS(YES),
        .help = "Have all items of a class of keys go",
        .role = ROLE_operator,
        .run = purge_class_command,
    },
    {
        .name = "purge all",
        .arguments = "",
        .options = OPTIONS(YES),
        .help = "Have all items go",
        .role = ROLE_operator,
        .run = purge_all_command,
    },
    {
        .name = "class list",
        .arguments = "",
        .help = "Show what each class of keys has, and what was asked of it",
        .role = ROLE_viewer,
        .run = class_list_command,
    },
    {
        .name = "block list",
        .arguments = "",
        .help = "List the sources whose packets the cache's ports ignore",
        .role = ROLE_viewer,
        .run = block_list_command,
    },
    {
        .name = "block add",
        .arguments = "PREFIX...",
        .argument_count_min = 1,
        .argument_count_max = BLOCKED_COUNT_MAX,
        .options = OPTIONS({"expires", '\0', "TIME", "In 30d or 12h, or on 2027-01-31; never"},
                           {"reason", '\0', "TEXT", "Why, for who reads the list"}),
        .help = "Have the cache's ports ignore what comes from these sources",
        .details =
            "PREFIX is a network or an address: 198.18.0.0/24, fd00::/64, 198.18.0.2; or -:\n"
            "one a line from standard input, without empty lines and what follows a #.\n"
            "When one is wrong, none is blocked. It concerns the cache's ports, not the\n"
            "admin API, nor Unix sockets; connections that are open end. A PREFIX that is\n"
            "on the list already gets this expiry and reason.",
        .role = ROLE_operator,
        .run = block_add_command,
    },
    {
        .name = "block remove",
        .arguments = "PREFIX",
        .argument_count_min = 1,
        .argument_count_max = 1,
        .options = OPTIONS(YES),
        .help = "Have a source on the block list served again",
        .details = "PREFIX is as `kante block list` has it.",
        .role = ROLE_operator,
        .run = block_remove_command,
    },
    {
        .name = "whoami",
        .arguments = "",
        .help = "Say who asks, as the node sees it, and which role that has",
        .role = ROLE_viewer,
        .run = whoami_command,
    },
    {
        .name = "config get",
        .arguments = "[NAME]",
        .argument_count_max = 1,
        .help = "Show what the node goes by: all settings, or the value of one",
        .details = "NAME is a parameter, or a class's: memory, 'classes[sessions].share_max'.",
        .role = ROLE_viewer,
        .run = config_get_command,
    },
    {
        .name = "config set",
        .arguments = "NAME [VALUE]",
        .argument_count_min = 1,
        .argument_count_max = 2,
        .options = OPTIONS({"default", '\0', NULL, "Take it out of the file: the default holds"}),
        .help = "Change one setting in the node's file, and have it read again",
        .details = "All else in the file stays as it is. What it would become is checked whole\n"
                   "before anything is written.",
        .role = ROLE_admin,
        .run = config_set_command,
    },
    {
        .name = "config check",
        .arguments = "[FILE]",
        .argument_count_max = 1,
        .help = "Say whether a config is good, and what it would change",
        .details =
            "Without FILE it is the node's own. A FILE is checked on this machine, without a\n"
            "node; what it would change is said when there is one.",
        .role = ROLE_viewer,
        .run = config_check_command,
    },
    {
        .name = "config diff",
        .arguments = "",
        .help = "Show where the node's file is not what runs",
        .role = ROLE_viewer,
        .run = config_diff_command,
    },
    {
        .name = "config reload",
        .arguments = "",
        .help = "Have the node's file read again",
        .details = "With a fault in the file, all goes on as before.",
        .role = ROLE_admin,
        .run = config_reload_command,
    },
    {
        .name = "config help",
        .arguments = "[NAME]",
        .argument_count_max = 1,
        .help = "Say what a parameter of the config is, or list all",
        .role = ROLE_none,
        .run = config_help_command,
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
        .name = "cert list",
        .arguments = "",
        .help = "List the certificates that the node's CA has issued",
        .role = ROLE_admin,
        .run = cert_list_command,
    },
    {
        .name = "cert issue",
        .arguments = "NAME viewer|operator|admin",
        .argument_count_min = 2,
        .argument_count_max = 2,
        .options = OPTIONS({"days", '\0', "NUMBER", "How long it is good"},
                           {"out", 'o', "DIR", "Where to put NAME.crt and NAME.key; here"}),
        .help = "Issue a client certificate",
        .details = "NAME.crt and NAME.key are new files of mode 0600; none is replaced.",
        .role = ROLE_admin,
        .run = cert_issue_command,
    },
    {
        .name = "cert revoke",
        .arguments = "SERIAL",
        .argument_count_min = 1,
        .argument_count_max = 1,
        .options = OPTIONS(YES),
        .help = "Let nobody in with a certificate any more",
        .role = ROLE_admin,
        .run = cert_revoke_command,
    },
    {
        .name = "cert renew",
        .arguments = "",
        .help = "Give the node's server a new certificate by its CA",
        .role = ROLE_admin,
        .run = cert_renew_command,
    },
    {
        .name = "token list",
        .arguments = "",
        .help = "List the tokens (JWT) that were revoked",
        .role = ROLE_admin,
        .run = token_list_command,
    },
    {
        .name = "token revoke",
        .arguments = "ID",
        .argument_count_min = 1,
        .argument_count_max = 1,
        .options = OPTIONS({"expires", '\0', "TIME", "When it expires, if that is known"}, YES),
        .help = "Let nobody in with a token (JWT) any more; ID is its jti",
        .role = ROLE_admin,
        .run = token_revoke_command,
    },
    {
        .name = "user list",
        .arguments = "",
        .help = "List the users that memcached clients log in as",
        .role = ROLE_admin,
        .run = user_list_command,
    },
    {
        .name = "user set",
        .arguments = "NAME",
        .argument_count_min = 1,
        .argument_count_max = 1,
        .help = "Make a user for memcached clients, or change a password",
        .details = "The password is asked for on the terminal, or is the first line of standard\n"
                   "input.",
        .role = ROLE_admin,
        .run = user_set_command,
    },
    {
        .name = "user remove",
        .arguments = "NAME",
        .argument_count_min = 1,
        .argument_count_max = 1,
        .options = OPTIONS(YES),
        .help = "Remove a user of memcached clients",
        .role = ROLE_admin,
        .run = user_remove_command,
    },
    {
        .name = "audit log",
        .arguments = "",
        .options = OPTIONS(FROM_TO, {"kind", '\0', KIND_CHOICE, "What it is about"},
                           {"who", '\0', "NAME", "Only what this one has done"},
                           {"limit", '\0', "NUMBER", "The newest so many lines; 100"}),
        .help = "Show what was done to the node, by whom and from where",
        .details = "The newest comes first.",
        .role = ROLE_admin,
        .run = audit_log_command,
    },
    {
        .name = "audit verify",
        .arguments = "[DIR]",
        .argument_count_max = 1,
        .help = "Say whether the audit log is as it was written",
        .details =
            "With DIR it is a copy of a log that lies there, and no node is asked. The exit\n"
            "status is 1 when anything was changed, removed or reordered.",
        .role = ROLE_admin,
        .run = audit_verify_command,
    },
    {
        .name = "audit report",
        .arguments = "",
        .options = OPTIONS({"standard", '\0', "sox|gdpr|pci-dss", "Whose questions it answers"},
                           FROM_TO, {"format", '\0', "text|json|html", "text"}),
        .help = "Write a report about a span of time for an auditor",
        .role = ROLE_admin,
        .run = audit_report_command,
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
        .name = "completion",
        .arguments = "bash|zsh",
        .argument_count_min = 1,
        .argument_count_max = 1,
        .help = "Write a script that lets a shell complete these commands",
        .details = "Into a shell that runs:\n"
                   "\n"
                   "  source <(kante completion bash)\n"
                   "  source <(kante completion zsh)",
        .role = ROLE_none,
        .run = completion,
    },
    {
        .name = "help",
        .arguments = "[COMMAND]",
        .argument_count_max = 3,
        .options = OPTIONS({"manual", '\0', NULL, "Write the manual page kante(1), in mdoc(7)"}),
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
