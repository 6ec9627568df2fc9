/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORD_COUNT_MAX 16
#define TEXT_BYTES     4096

/* What the command that ran was given. */
static struct {
	const char *name;
	char arguments[256];
	char values[256];
	uint32_t count;
} ran;

static int run(const struct command_call *call)
{
	memset(&ran, 0, sizeof(ran));
	ran.name = call->command->name;
	ran.count = call->argument_count;
	for (uint32_t i = 0; i < call->argument_count; i++) {
		strcat(ran.arguments, call->arguments[i]);
		strcat(ran.arguments, "|");
	}
	for (uint32_t i = 0; command_option_at(call->command, i) != NULL; i++) {
		const char *value = command_value(call, command_option_at(call->command, i)->name);

		strcat(ran.values, value == NULL ? "-" : value);
		strcat(ran.values, "|");
	}
	puts("ran");
	return 7;
}

static const struct command_option options[] = {
    {"config", 'c', "FILE", "The config"},
    {"json", '\0', NULL, "Print JSON"},
    {"a-name-that-is-very-long", '\0', "VALUE", "Something"},
    {0},
};

static const struct command_option choices[] = {
    {"by", '\0', "worker|port", "Apart"},
    {0},
};

static const struct command list[] = {
    {.name = "config",
     .arguments = "NAME",
     .argument_count_min = 1,
     .argument_count_max = 1,
     .help = "One thing of the config",
     .role = ROLE_viewer,
     .run = run},
    {.name = "config show",
     .arguments = "",
     .options = options,
     .help = "All of the config",
     .details = "More of it.",
     .run = run},
    {.name = "stop", .arguments = "[A [B]]", .argument_count_max = 2, .help = "Stop", .run = run},
    {.name = "key make",
     .arguments = "NAME viewer|admin",
     .argument_count_min = 2,
     .argument_count_max = 2,
     .options = choices,
     .help = "Make one",
     .role = ROLE_admin,
     .run = run},
    {.name = "key list", .arguments = "", .help = "List them", .run = run},
};

static const struct commands all = {list, sizeof(list) / sizeof(list[0])};

static char out[TEXT_BYTES], err[TEXT_BYTES];

static int redirect(int fd, const char *path)
{
	int saved = dup(fd);
	int new = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CU_ASSERT_TRUE_FATAL(saved >= 0 && new >= 0);
	dup2(new, fd);
	close(new);
	return saved;
}

static void restore(int fd, int saved)
{
	dup2(saved, fd);
	close(saved);
}

static void read_file(char text[TEXT_BYTES], const char *path)
{
	FILE *file = fopen(path, "re");

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	text[fread(text, 1, TEXT_BYTES - 1, file)] = '\0';
	fclose(file);
	unlink(path);
}

/* Runs a line of words; its output is in `out` and `err` then. out_path: NULL, or where it goes. */
static int command_to(const char *line, const char *out_path)
{
	char folder[] = "/tmp/kante-command-XXXXXX", paths[2][64], words[256];
	char program[] = "kante", *argv[WORD_COUNT_MAX + 2] = {program};
	int argc = 1, saved_out, saved_err, status;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	snprintf(paths[0], sizeof(paths[0]), "%s/out", folder);
	snprintf(paths[1], sizeof(paths[1]), "%s/err", folder);
	snprintf(words, sizeof(words), "%s", line);
	for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " "))
		argv[argc++] = word;
	ran.name = NULL;
	fflush(stdout);
	saved_out = redirect(STDOUT_FILENO, out_path == NULL ? paths[0] : out_path);
	saved_err = redirect(STDERR_FILENO, paths[1]);
	status = command_run(&all, argc, argv);
	fflush(stdout);
	clearerr(stdout);
	restore(STDOUT_FILENO, saved_out);
	restore(STDERR_FILENO, saved_err);
	out[0] = '\0';
	if (out_path == NULL)
		read_file(out, paths[0]);
	read_file(err, paths[1]);
	rmdir(folder);
	return status;
}

static int command(const char *line)
{
	return command_to(line, NULL);
}

static void test_a_command_is_found_by_its_words(void)
{
	CU_ASSERT_EQUAL(command("config memory"), 7);
	CU_ASSERT_STRING_EQUAL(ran.name, "config");
	CU_ASSERT_STRING_EQUAL(ran.arguments, "memory|");
	CU_ASSERT_EQUAL(command("config show"), 7);
	CU_ASSERT_STRING_EQUAL(ran.name, "config show");
	CU_ASSERT_EQUAL(ran.count, 0);
	CU_ASSERT_EQUAL(command("config shows"), 7);
	CU_ASSERT_STRING_EQUAL(ran.name, "config");
	CU_ASSERT_STRING_EQUAL(out, "ran\n");
	CU_ASSERT_STRING_EQUAL(err, "");
	CU_ASSERT_EQUAL(command("stop"), 7);
	CU_ASSERT_EQUAL(ran.count, 0);
}

static void test_options_are_read_in_all_their_forms(void)
{
	CU_ASSERT_EQUAL(command("config show --config a --json"), 7);
	CU_ASSERT_STRING_EQUAL(ran.values, "a||-|");
	CU_ASSERT_EQUAL(command("config show --config=a=b"), 7);
	CU_ASSERT_STRING_EQUAL(ran.values, "a=b|-|-|");
	CU_ASSERT_EQUAL(command("config show -c --json"), 7); /* a value may begin like that */
	CU_ASSERT_STRING_EQUAL(ran.values, "--json|-|-|");
	CU_ASSERT_EQUAL(command("config show --config="), 7);
	CU_ASSERT_STRING_EQUAL(ran.values, "|-|-|");
	CU_ASSERT_EQUAL(command("stop -- --json -h"), 7);
	CU_ASSERT_STRING_EQUAL(ran.arguments, "--json|-h|");
	CU_ASSERT_EQUAL(command("stop - a"), 7);
	CU_ASSERT_STRING_EQUAL(ran.arguments, "-|a|");
}

static void refused(const char *line, const char *reason)
{
	CU_ASSERT_EQUAL(command(line), COMMAND_USAGE);
	CU_ASSERT_PTR_NULL(ran.name);
	CU_ASSERT_STRING_EQUAL(out, "");
	if (strstr(err, reason) == NULL)
		printf("\n%s\nwant: %s\ngot: %s\n", line, reason, err);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, reason));
}

static void test_a_command_that_asks_a_node_knows_which(void)
{
	CU_ASSERT_EQUAL(command("key make a viewer --node /n --json"), 7);
	CU_ASSERT_STRING_EQUAL(ran.values, "-|/n|-|-|-|-||-|");
	CU_ASSERT_EQUAL(command("--json --node /n key make --by=port a viewer --timeout 3"), 7);
	CU_ASSERT_STRING_EQUAL(ran.name, "key make");
	CU_ASSERT_STRING_EQUAL(ran.values, "port|/n|-|-|-|-||3|");
	CU_ASSERT_EQUAL(command("-n /n config memory"), 7);
	CU_ASSERT_STRING_EQUAL(ran.values, "/n|-|-|-|-|-|-|");
	refused("--node /n stop", "kante stop: there is no option --node");
	refused("--node /n config a --node /m", "given twice: --node");
	refused("--node", "kante COMMAND");
	refused("--node /n", "kante COMMAND");
	refused("--nod /n stop", "there is no command \"--nod\"");
}

static void test_the_environment_says_which_node_where_no_option_does(void)
{
	setenv("KANTE_NODE", "/e", 1);
	setenv("KANTE_TOKEN_FILE", "/t", 1);
	setenv("KANTE_CA", "", 1);
	setenv("KANTE_JSON", "1", 1);
	setenv("KANTE_BY", "port", 1);
	CU_ASSERT_EQUAL(command("key make a admin"), 7);
	CU_ASSERT_STRING_EQUAL(ran.values, "-|/e|-|-|-|/t|-|-|");
	CU_ASSERT_EQUAL(command("key make a admin --node /n"), 7);
	CU_ASSERT_STRING_EQUAL(ran.values, "-|/n|-|-|-|/t|-|-|");
	for (int i = 0; i < 5; i++)
		unsetenv((const char *[]){"KANTE_NODE", "KANTE_TOKEN_FILE", "KANTE_CA",
		                          "KANTE_JSON", "KANTE_BY"}[i]);
}

static void test_one_of_several_words_is_taken_and_no_other(void)
{
	refused("key make a root", "kante key make: \"root\" is none of viewer|admin\n");
	refused("key make a view", "is none of viewer|admin");
	refused("key make a viewers", "is none of viewer|admin");
	refused("key make a viewer|admin", "is none of viewer|admin");
	refused("key make a admin --by core", "\"core\" is none of worker|port");
	refused("key make a admin --by=", "\"\" is none of worker|port");
	CU_ASSERT_EQUAL(command("key make root admin"), 7);
}

static void test_what_begins_several_commands_is_refused_with_these(void)
{
	refused("key", "  key make     Make one\n  key list     List them\n"
	               "kante: key is several commands: which?\n");
	refused("key drop", "  key list     List them\n");
	refused("ke", "there is no command \"ke\"");
}

static void test_wrong_arguments_are_refused_with_how_it_is_right(void)
{
	refused("", "kante COMMAND");
	refused("start", "kante: there is no command \"start\": `kante help` lists all\n");
	refused("--jso", "there is no command \"--jso\"");
	refused("--json", "kante COMMAND");
	refused("config", "kante config: an argument is missing\nusage: kante config NAME\n");
	refused("config a b", "there is an argument too many: b\nusage: kante config NAME\n");
	refused("config show --jso",
	        "there is no option --jso\nusage: kante config show "
	        "[--config FILE] [--json] [--a-name-that-is-very-long VALUE]\n");
	refused("config show --jsons", "there is no option --jsons");
	refused("config show -cfile", "there is no option -cfile");
	refused("config show -x", "there is no option -x");
	refused("config show --json=1", "takes no value: --json=1");
	refused("config show --config", "needs a value: --config");
	refused("config show --json --json", "given twice: --json");
	refused("config show x", "there is an argument too many: x");
	refused("stop --json", "there is no option --json\nusage: kante stop [A [B]]\n");
}

static void test_help_comes_from_the_table(void)
{
	CU_ASSERT_EQUAL(command("--help"), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "  config       One thing of the config\n"
	                                   "  config show  All of the config\n"
	                                   "  stop         Stop\n"));
	CU_ASSERT_EQUAL(command("config show --json -h"), 0);
	CU_ASSERT_PTR_NULL(ran.name);
	CU_ASSERT_STRING_EQUAL(
	    out, "kante config show [--config FILE] [--json] [--a-name-that-is-very-long VALUE]\n"
	         "\nAll of the config\n\n"
	         "  -c, --config FILE         The config\n"
	         "      --json                Print JSON\n"
	         "      --a-name-that-is-very-long VALUE\n"
	         "                            Something\n"
	         "\nMore of it.\n");
	CU_ASSERT_EQUAL(command("config --help"), 0);
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(out, "kante config NAME\n\nOne thing of the config\n\nWhich"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "\n  -n, --node URL|PATH       "));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "\nNeeds the role viewer.\n\nExit status: 0 good;"));
}

static void test_output_that_is_lost_is_an_error(void)
{
	CU_ASSERT_EQUAL(command_to("--help", "/dev/full"), COMMAND_USAGE);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "cannot write to standard output: No space left"));
	CU_ASSERT_EQUAL(command_to("stop", "/dev/full"), COMMAND_USAGE);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "cannot write to standard output"));
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"a command is found by its words", test_a_command_is_found_by_its_words},
	    {"options are read in all their forms", test_options_are_read_in_all_their_forms},
	    {"a command that asks a node knows which", test_a_command_that_asks_a_node_knows_which},
	    {"the environment says which node where no option does",
	     test_the_environment_says_which_node_where_no_option_does},
	    {"one of several words is taken and no other",
	     test_one_of_several_words_is_taken_and_no_other},
	    {"what begins several commands is refused with these",
	     test_what_begins_several_commands_is_refused_with_these},
	    {"wrong arguments are refused with how it is right",
	     test_wrong_arguments_are_refused_with_how_it_is_right},
	    {"help comes from the table", test_help_comes_from_the_table},
	    {"output that is lost is an error", test_output_that_is_lost_is_an_error},
	};

	return UNIT_RUN("command", cases);
}
