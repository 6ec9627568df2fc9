/* SPDX-License-Identifier: Apache-2.0 */
#include "config/describe.h"

#include "config_rig.h"

#include <errno.h>
#include <stdlib.h>

#define LINE_BYTES 256

/* What a writer has written; to be freed. */
static char *written(void (*write)(FILE *to))
{
	char *text = NULL;
	size_t bytes;
	FILE *to = open_memstream(&text, &bytes);

	CU_ASSERT_PTR_NOT_NULL_FATAL(to);
	write(to);
	CU_ASSERT_EQUAL(fclose(to), 0);
	return text;
}

/* NULL: there is none of that name. */
static char *help_of(const char *name, uint32_t columns)
{
	char *text = NULL;
	size_t bytes;
	FILE *to = open_memstream(&text, &bytes);
	int r;

	CU_ASSERT_PTR_NOT_NULL_FATAL(to);
	r = describe_help(to, name, columns);
	CU_ASSERT_EQUAL(fclose(to), 0);
	if (r == 0)
		return text;
	CU_ASSERT_EQUAL(r, -ENOENT);
	CU_ASSERT_EQUAL(bytes, 0);
	free(text);
	return NULL;
}

static void help_is(const char *name, uint32_t columns, const char *wanted)
{
	char *text = help_of(name, columns);

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	if (strcmp(text, wanted) != 0)
		printf("\n--- want\n%s--- got\n%s", wanted, text);
	CU_ASSERT_STRING_EQUAL(text, wanted);
	free(text);
}

struct walk {
	uint32_t count;
	uint32_t table_count;
	char before[DESCRIBE_PATH_BYTES];
	const char *wanted;
	const struct config_parameter *found;
};

static void look_at(void *context, const struct description *description)
{
	struct walk *walk = context;
	const struct config_parameter *parameter = description->parameter;
	char value[CONFIG_QUANTITY_BYTES], text[DESCRIBE_PARAGRAPH_BYTES];
	bool has_default = describe_default(value, parameter);

	CU_ASSERT_TRUE(parameter->help[0] != '\0');
	CU_ASSERT_TRUE(parameter->help[strlen(parameter->help) - 1] != '.');
	/* one of the three says what holds without it */
	CU_ASSERT_EQUAL(has_default + describe_is_needed(parameter) + (parameter->without != NULL),
	                1);
	CU_ASSERT_TRUE(has_default || parameter->example != NULL || parameter->table != NULL);
	CU_ASSERT_STRING_NOT_EQUAL(description->path, walk->before);
	describe_paragraph(text, parameter);
	CU_ASSERT_EQUAL(text[strlen(text) - 1], '.');
	CU_ASSERT_PTR_NULL(strstr(text, "(null)"));
	snprintf(walk->before, sizeof(walk->before), "%s", description->path);
	if (walk->wanted != NULL && strcmp(description->path, walk->wanted) == 0)
		walk->found = parameter;
	walk->count++;
}

static const struct config_parameter *found(const char *path)
{
	struct walk walk = {.wanted = path};

	describe_each(look_at, &walk);
	CU_ASSERT_PTR_NOT_NULL_FATAL(walk.found);
	return walk.found;
}

static uint32_t count_of(const struct config_table *table)
{
	uint32_t count = table->count;

	for (uint32_t i = 0; i < table->count; i++)
		if (table->parameters[i].table != NULL)
			count += count_of(table->parameters[i].table);
	return count;
}

static void test_every_parameter_is_told_of_with_what_holds_without_it(void)
{
	struct walk walk = {0};

	describe_each(look_at, &walk);
	CU_ASSERT_EQUAL(walk.count, config_parameter_count + count_of(&config_others));
}

static void test_paths_say_what_is_in_a_list_and_what_in_a_section(void)
{
	CU_ASSERT_STRING_EQUAL(found("memory")->name, "memory");
	CU_ASSERT_STRING_EQUAL(found("ports")->name, "ports");
	CU_ASSERT_STRING_EQUAL(found("ports[].tcp")->name, "tcp");
	CU_ASSERT_STRING_EQUAL(found("admin.audit.when_full")->name, "when_full");
	CU_ASSERT_STRING_EQUAL(found("admin.tokens.keys[].file")->name, "file");
}

static void sentence_is(const char *path, const char *wanted)
{
	char text[DESCRIBE_TEXT_BYTES];

	describe_sentence(text, found(path));
	CU_ASSERT_STRING_EQUAL(text, wanted);
	if (strcmp(text, wanted) != 0)
		printf("\nwant %s\ngot  %s\n", wanted, text);
}

static void test_a_sentence_says_type_range_default_and_kinds(void)
{
	sentence_is("memory", "A size from 4MiB to 4096GiB; the default is 64MiB.");
	sentence_is("workers", "A list of cores such as [2, 3], or a whole number from 1 to 64; "
	                       "the default is 1.");
	sentence_is("eviction", "One of s3fifo, lru, lfu, size, ttl, priority or adaptive; the "
	                        "default is s3fifo.");
	sentence_is("auth_file",
	            "An absolute path of at most 255 bytes; without it: everybody is let in.");
	sentence_is("classes[].share_max", "A percentage from 1% to 100%; the default is 100%.");
	sentence_is("ports", "A list of 1 to 8 entries; needed.");
	sentence_is("ports[].device", "A text of 12 bytes; needed. Of ports of the kind pci.");
	sentence_is("ports[].mode", "The mode of a file, in octal, from 0000 to 0777; the default "
	                            "is 0700. Of ports of the kind socket.");
	sentence_is("ports[].tcp", "A whole number from 1 to 65535; without it: no TCP. Of ports "
	                           "of the kind pci, xdp, tap, memif.");
	sentence_is("ports[].allow",
	            "`any`, or a list of networks, 1 to 64 of them; without it: any source on "
	            "loopback, or with auth_file.");
	sentence_is("admin", "A section; without it: no control process, so nobody can manage the "
	                     "node.");
	sentence_is("admin.tokens.skew",
	            "A duration in whole seconds, from 0 to 10min; the default is 1min.");
}

static void test_help_is_of_one_parameter(void)
{
	help_is("eviction", 80,
	        "eviction\n"
	        "    Who has to go for want of memory.\n"
	        "    One of s3fifo, lru, lfu, size, ttl, priority or adaptive; the default is\n"
	        "    s3fifo.\n"
	        "    A change counts at once.\n");
	help_is("ports[].udp", 50,
	        "ports[].udp\n"
	        "    Port number for UDP.\n"
	        "    A whole number from 1 to 65535; without it: no\n"
	        "    UDP.\n"
	        "    A change counts from the next start.\n"
	        "    Such as: udp: 11211\n");
	help_is("admin.audit", 80,
	        "admin.audit\n"
	        "    The audit log: all changes, and all that was refused.\n"
	        "    A section; without it: each as by default.\n"
	        "    A change counts from the next start.\n"
	        "    In it:\n"
	        "    file_size_max        64MiB        A longer file of the audit log is closed,\n"
	        "                                      and the next one begun\n"
	        "    files_kept           0            Of closed files, the older ones are\n"
	        "                                      deleted; 0: none are\n"
	        "    when_full            refuse       What becomes of changes while the audit\n"
	        "                                      log cannot be written\n");
}

static void same_help(const char *name, const char *other)
{
	char *text = help_of(name, 80), *wanted = help_of(other, 80);

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_STRING_EQUAL(text, wanted);
	free(text);
	free(wanted);
}

static void test_help_is_found_by_paths_with_an_index_without_brackets_and_by_last_names(void)
{
	same_help("ports.tcp", "ports[].tcp");
	same_help("ports[3].tcp", "ports[].tcp");
	same_help("admin.tokens.keys[0].file", "admin.tokens.keys[].file");
	same_help("tcp", "ports[].tcp");
	same_help("skew", "admin.tokens.skew");
}

static void test_help_by_a_last_name_is_of_all_that_have_it(void)
{
	char *text = help_of("name", 80);

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_EQUAL(strncmp(text, "classes[].name\n", 15), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\n\nports[].name\n"));
	free(text);
	/* at the top there is one: that is meant */
	text = help_of("request_timeout", 80);
	CU_ASSERT_PTR_NULL(strstr(text, "admin"));
	free(text);
}

static void test_of_what_is_no_parameter_there_is_no_help(void)
{
	static const char *const names[] = {
	    "",          "memroy", "ports[].memory", "ports[", "[]", "memory.",
	    "memory[]x", ".",      "ports[].tcp.x",  "]"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		CU_ASSERT_PTR_NULL(help_of(names[i], 80));
}

static void test_help_fits_the_terminal(void)
{
	for (uint32_t columns = 0; columns <= 200; columns++) {
		uint32_t limit = columns < DESCRIBE_COLUMNS_MIN ? DESCRIBE_COLUMNS_MIN : columns;
		char *text = help_of(NULL, columns);
		uint32_t long_count = 0;

		CU_ASSERT_PTR_NOT_NULL_FATAL(text);
		for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
			long_count += strlen(line) > limit;
		CU_ASSERT_EQUAL(long_count, 0);
		free(text);
	}
}

static struct config *parsed_quietly(const char *text, char *error)
{
	struct config *config = NULL;

	config_parse(&config, "f", text, strlen(text), error, CONFIG_ERROR_BYTES);
	return config;
}

/* A line that is commented out, and no help: no blank behind the #, or several. */
static bool is_off(const char *line)
{
	return line[0] == '#' && (line[1] != ' ' || line[2] == ' ');
}

/* The example with what is commented out from one line on, which ends before the next that is at
 * the top, put in. Lines that are so: `*ret_end`. */
static char *with_lines(const char *example, const char *from, const char **ret_end)
{
	char *text = malloc(strlen(example) + 1), *to = text;
	const char *at = example;

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	*ret_end = from;
	while (*at != '\0') {
		size_t length = strcspn(at, "\n") + 1;
		bool is_in = at == from || (at == *ret_end && is_off(at) && at[1] == ' ');

		if (is_in)
			*ret_end = at + length;
		memcpy(to, at + is_in, length - is_in);
		to += length - is_in;
		at += length;
	}
	*to = '\0';
	return text;
}

static void test_the_example_is_a_good_config_of_all_defaults(void)
{
	char *example = written(describe_example), error[CONFIG_ERROR_BYTES] = "";
	struct config *config = parsed_quietly(example, error), *defaults = parsed(PORTS);

	CU_ASSERT_STRING_EQUAL(error, "");
	CU_ASSERT_PTR_NOT_NULL_FATAL(config);
	CU_ASSERT_EQUAL(memcmp(config, defaults, sizeof(*config)), 0);
	config_destroy(config);
	config_destroy(defaults);
	free(example);
}

/* One of the top level, or a field of the socket that is there. */
static void check_taken_in(const char *example, const struct config *defaults, const char *line,
                           const char **ret_end)
{
	char *text = with_lines(example, line, ret_end), error[CONFIG_ERROR_BYTES] = "";
	struct config *config = parsed_quietly(text, error);
	const char *name = line + 1 + strspn(line + 1, " -");
	bool is_default = true;

	for (uint32_t i = 0; i < config_others.count; i++)
		is_default &= strncmp(name, config_others.parameters[i].name,
		                      strlen(config_others.parameters[i].name)) != 0;
	if (strncmp(name, "mode:", 5) == 0) {
		CU_ASSERT_PTR_NOT_NULL(strstr(error, "only for a Unix socket"));
	} else {
		CU_ASSERT_STRING_EQUAL(error, "");
		CU_ASSERT_PTR_NOT_NULL_FATAL(config);
		if (is_default && line[1] != ' ')
			CU_ASSERT_EQUAL(memcmp(config, defaults, sizeof(*config)), 0);
	}
	config_destroy(config);
	free(text);
}

static void test_what_the_example_has_commented_out_is_the_default_and_can_be_taken_in(void)
{
	char *example = written(describe_example);
	struct config *defaults = parsed(PORTS);
	const char *at = example;
	uint32_t count = 0;

	while (*at != '\0') {
		const char *end = at + strcspn(at, "\n") + 1;

		if (is_off(at)) {
			/* within a port one line at a time, but a port whole */
			check_taken_in(example, defaults, at, &end);
			count++;
		}
		at = end;
	}
	/* all of the top but `ports`, and of a socket's fields one or more */
	CU_ASSERT_TRUE(count > config_parameter_count + config_others.count - 1);
	config_destroy(defaults);
	free(example);
}

static void names_are_in(const struct config_table *table, const char *example)
{
	for (uint32_t i = 0; i < table->count; i++) {
		char line[LINE_BYTES];

		snprintf(line, sizeof(line), "%s:", table->parameters[i].name);
		CU_ASSERT_PTR_NOT_NULL(strstr(example, line));
		if (table->parameters[i].table != NULL)
			names_are_in(table->parameters[i].table, example);
	}
}

static void test_the_example_and_the_manual_have_every_parameter(void)
{
	char *example = written(describe_example), *manual = written(describe_manual);
	const struct config_table top = {config_parameters, config_parameter_count, NULL, 0};

	names_are_in(&top, example);
	names_are_in(&config_others, example);
	CU_ASSERT_PTR_NOT_NULL(strstr(manual, "\n.It Ic memory\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(manual, "\n.It Ic tokens.keys[].file\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(manual, "\n.Sh SECTION admin\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(manual, "0: never.\nFor kernel sockets"));
	CU_ASSERT_PTR_NOT_NULL(strstr(manual, "that \\(oqallow\\(cq lists"));
	free(manual);
	free(example);
}

static uint32_t allocations_left;

static void *allocate(size_t bytes)
{
	if (allocations_left == 0)
		return NULL;
	allocations_left--;
	return malloc(bytes);
}

static void test_without_memory_there_is_no_schema(void)
{
	json_t *schema = NULL;
	uint32_t tries = 0;

	json_set_alloc_funcs(allocate, free);
	/* each time it gets a little further */
	for (; schema == NULL && tries < 100000; tries += 1 + tries / 16) {
		allocations_left = tries;
		schema = describe_schema();
	}
	json_set_alloc_funcs(malloc, free);
	CU_ASSERT_PTR_NOT_NULL_FATAL(schema);
	CU_ASSERT_TRUE(tries > 1000);
	CU_ASSERT_PTR_NOT_NULL(json_object_get(json_object_get(schema, "properties"), "memory"));
	json_decref(schema);
}

static void test_a_full_disk_is_seen_in_the_stream(void)
{
	FILE *to = fopen("/dev/full", "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(to);
	describe_example(to);
	CU_ASSERT_NOT_EQUAL(fflush(to), 0);
	CU_ASSERT_TRUE(ferror(to));
	fclose(to);
}

static const struct unit_case cases[] = {
    {"every parameter is told of, with what holds without it",
     test_every_parameter_is_told_of_with_what_holds_without_it},
    {"paths say what is in a list and what in a section",
     test_paths_say_what_is_in_a_list_and_what_in_a_section},
    {"a sentence says type, range, default and kinds",
     test_a_sentence_says_type_range_default_and_kinds},
    {"help is of one parameter", test_help_is_of_one_parameter},
    {"help is found by paths with an index, without brackets and by last names",
     test_help_is_found_by_paths_with_an_index_without_brackets_and_by_last_names},
    {"help by a last name is of all that have it", test_help_by_a_last_name_is_of_all_that_have_it},
    {"of what is no parameter there is no help", test_of_what_is_no_parameter_there_is_no_help},
    {"help fits the terminal", test_help_fits_the_terminal},
    {"the example is a good config of all defaults",
     test_the_example_is_a_good_config_of_all_defaults},
    {"what the example has commented out is the default, and can be taken in",
     test_what_the_example_has_commented_out_is_the_default_and_can_be_taken_in},
    {"the example and the manual have every parameter",
     test_the_example_and_the_manual_have_every_parameter},
    {"without memory there is no schema", test_without_memory_there_is_no_schema},
    {"a full disk is seen in the stream", test_a_full_disk_is_seen_in_the_stream},
};

int main(void)
{
	return UNIT_RUN("describe", cases);
}
