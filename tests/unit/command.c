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
	for (const struct command_option *option = call->command->options;
	     option != NULL && option->name != NULL; option++) {
		const char *value = command_value(call, option->name);

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

static void test_wrong_arguments_are_refused_with_how_it_is_right(void)
{
	refused("", "kante COMMAND");
	refused("start", "kante: there is no command \"start\": `kante help` lists all\n");
	refused("--json", "there is no command \"--json\"");
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
	CU_ASSERT_STRING_EQUAL(out, "kante config NAME\n\nOne thing of the config\n"
	                            "\nNeeds the role viewer.\n");
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
	    {"wrong arguments are refused with how it is right",
	     test_wrong_arguments_are_refused_with_how_it_is_right},
	    {"help comes from the table", test_help_comes_from_the_table},
	    {"output that is lost is an error", test_output_that_is_lost_is_an_error},
	};

	return UNIT_RUN("command", cases);
}
