/* SPDX-License-Identifier: Apache-2.0 */
#include "config/edit.h"

#include "config_rig.h"
#include "faults.h"

#include <errno.h>
#include <stdlib.h>

FAULTY(char *, NULL, strdup, (const char *text), (text))

static int edit(char **ret_text, const char *text, const struct config_edit *wanted, char *error)
{
	size_t length = 0;
	int r;

	*ret_text = NULL;
	error[0] = '\0';
	r = config_edit(ret_text, &length, "f", text, strlen(text), wanted, error,
	                CONFIG_ERROR_BYTES);
	CU_ASSERT_EQUAL(r == 0, *ret_text != NULL);
	CU_ASSERT_EQUAL(r == 0, error[0] == '\0');
	if (r == 0)
		CU_ASSERT_EQUAL(strlen(*ret_text), length);
	return r;
}

static void becomes_by(const char *text, const struct config_edit *wanted, const char *result)
{
	char error[CONFIG_ERROR_BYTES], *got;
	int r = edit(&got, text, wanted, error);

	if (r != 0 || strcmp(got, result) != 0)
		printf("\n--- text\n%s--- want\n%s--- got %d %s\n%s", text, result, r, error,
		       got == NULL ? "" : got);
	CU_ASSERT_EQUAL(r, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(got);
	CU_ASSERT_STRING_EQUAL(got, result);
	free(got);
}

static void becomes(const char *text, const char *parameter, const char *value, const char *result)
{
	struct config_edit wanted = {.parameter = parameter, .value = value};

	becomes_by(text, &wanted, result);
}

static void class_becomes(const char *text, const char *parameter, const char *value,
                          const char *result)
{
	struct config_edit wanted = {.class_name = "b", .parameter = parameter, .value = value};

	becomes_by(text, &wanted, result);
}

static void refused_by(const char *text, const struct config_edit *wanted, int error_number,
                       const char *said)
{
	char error[CONFIG_ERROR_BYTES], *got;
	int r = edit(&got, text, wanted, error);

	if (r != error_number || strcmp(error, said) != 0)
		printf("\n--- %s\nwant %d %s\ngot  %d %s\n", text, error_number, said, r, error);
	CU_ASSERT_EQUAL(r, error_number);
	CU_ASSERT_STRING_EQUAL(error, said);
	free(got);
}

static void refused(const char *text, const char *parameter, const char *value, int error_number,
                    const char *said)
{
	struct config_edit wanted = {.parameter = parameter, .value = value};

	refused_by(text, &wanted, error_number, said);
}

static void test_a_value_is_replaced_where_it_stands(void)
{
	becomes("# a\nmemory: 64MiB # b\n\n" PORTS, "memory", "1GiB",
	        "# a\nmemory: 1GiB # b\n\n" PORTS);
	becomes("memory:   64MiB\t# b\n" PORTS, "memory", "1GiB", "memory:   1GiB\t# b\n" PORTS);
	becomes("memory : 64MiB\n" PORTS, "memory", "1GiB", "memory : 1GiB\n" PORTS);
	becomes(PORTS "memory: 64MiB", "memory", "1GiB", PORTS "memory: 1GiB");
	becomes("memory:\n  64MiB # b\n" PORTS, "memory", "1GiB", "memory:\n  1GiB # b\n" PORTS);
	becomes("memory: >-\n  64MiB\n\n" PORTS, "memory", "1GiB", "memory: 1GiB\n\n" PORTS);
	becomes("memory: 64MiB\n" PORTS, "memory", "64MiB", "memory: 64MiB\n" PORTS);
}

static void test_quotes_go_with_the_value_that_they_are_about(void)
{
	becomes("memory: \"64MiB\" # b\n" PORTS, "memory", "1GiB", "memory: 1GiB # b\n" PORTS);
	becomes("memory: '64MiB'# b\n" PORTS, "memory", "1GiB", "memory: 1GiB # b\n" PORTS);
	becomes("auth_file: '/it''s' # b\n" PORTS, "auth_file", "/a", "auth_file: /a # b\n" PORTS);
	becomes("\"memory\": 64MiB\n" PORTS, "memory", "1GiB", "\"memory\": 1GiB\n" PORTS);
	becomes("'memory' : \"64MiB\"\n" PORTS, "memory", "1GiB", "'memory' : 1GiB\n" PORTS);
	becomes("\"mem\\u006fry\": 64MiB\n" PORTS, "memory", NULL, PORTS);
}

static void test_a_value_has_quotes_where_it_needs_them(void)
{
	becomes("auth_file: /a\n" PORTS, "auth_file", "/b c#d: e",
	        "auth_file: \"/b c#d: e\"\n" PORTS);
	becomes("auth_file: /a\n" PORTS, "auth_file", "/b\"c\\d",
	        "auth_file: \"/b\\\"c\\\\d\"\n" PORTS);
	becomes("auth_file: /a\n" PORTS, "auth_file", "/\xc3\xa4",
	        "auth_file: \"/\xc3\xa4\"\n" PORTS);
	becomes("auth_file: /a\n" PORTS, "auth_file", "/a-b_c.d%", "auth_file: /a-b_c.d%\n" PORTS);
}

static void test_what_is_not_there_comes_behind_what_stands_before_the_first_section(void)
{
	becomes("workers: 1\nmemory: 64MiB # b\n\n# In:\n" PORTS, "eviction", "lru",
	        "workers: 1\nmemory: 64MiB # b\neviction: lru\n\n# In:\n" PORTS);
	becomes("workers:\n- 2\n- 3\n" PORTS, "eviction", "lru",
	        "workers:\n- 2\n- 3\neviction: lru\n" PORTS);
	becomes("memory: 64MiB # what is\n               # long\n# In:\n" PORTS, "eviction", "lru",
	        "memory: 64MiB # what is\n               # long\neviction: lru\n# In:\n" PORTS);
	becomes("memory: 64MiB\n" PORTS "workers: 1\n", "eviction", "lru",
	        "memory: 64MiB\neviction: lru\n" PORTS "workers: 1\n");
	becomes("memory: |-\n  64MiB\n\n" PORTS, "eviction", "lru",
	        "memory: |-\n  64MiB\neviction: lru\n\n" PORTS);
}

static void test_what_is_not_there_comes_above_a_section_that_is_the_first(void)
{
	becomes(PORTS, "eviction", "lru", "eviction: lru\n" PORTS);
	becomes(PORTS "memory: 64MiB\n", "eviction", "lru",
	        "eviction: lru\n" PORTS "memory: 64MiB\n");
	/* the first comment is on the whole of the file, the second on what stands below it */
	becomes("# Kante's.\n\n# In:\n" PORTS, "eviction", "lru",
	        "# Kante's.\n\neviction: lru\n# In:\n" PORTS);
	becomes("# Kante's.\n" PORTS, "eviction", "lru", "# Kante's.\neviction: lru\n" PORTS);
	becomes("---\n# In:\n" PORTS "...\n", "eviction", "lru",
	        "---\neviction: lru\n# In:\n" PORTS "...\n");
}

static void test_what_is_taken_out_goes_with_its_line(void)
{
	becomes("# a\nmemory: 1GiB # b\n# c\n" PORTS, "memory", NULL, "# a\n# c\n" PORTS);
	becomes("memory:\n  1GiB # b\n# c\n" PORTS, "memory", NULL, "# c\n" PORTS);
	becomes("memory: |-\n  1GiB\n\n# c\n" PORTS, "memory", NULL, "\n# c\n" PORTS);
	becomes(PORTS "memory: 1GiB", "memory", NULL, PORTS);
	becomes(PORTS "memory: 1GiB\nworkers: 2\n", "memory", NULL, PORTS "workers: 2\n");
	becomes("workers: # b\n- 2 # c\n\n- 3\n" PORTS, "workers", NULL, PORTS);
	becomes("memory: 5GiB # was\n" PORTS, "workers", NULL, "memory: 5GiB # was\n" PORTS);
}

static void test_workers_are_a_count_or_a_list_however_they_stand_there(void)
{
	becomes("workers: 2\n" PORTS, "workers", "[2, 3]", "workers: [2, 3]\n" PORTS);
	becomes("workers: [2,\n  3] # b\n" PORTS, "workers", "2", "workers: 2 # b\n" PORTS);
	becomes("workers: [2, 3]\n" PORTS, "workers", "[4]", "workers: [4]\n" PORTS);
	becomes("workers: # b\n  # c\n  - 2 # d\n  - 3\n# e\n" PORTS, "workers", "4",
	        "workers: 4 # b\n  # c\n# e\n" PORTS);
	becomes("workers:\n- 2\n- 3\n" PORTS, "workers", "[0]", "workers: [0]\n" PORTS);
	becomes(PORTS, "workers", "[2]", "workers: [2]\n" PORTS);
}

static void test_ends_of_lines_stay_as_they_are(void)
{
#define CRLF_PORTS "ports:\r\n- {kind: socket, listen: \"127.0.0.1:11211\"}"
	becomes("memory: 64MiB # b\r\n" CRLF_PORTS "\r\n", "memory", "1GiB",
	        "memory: 1GiB # b\r\n" CRLF_PORTS "\r\n");
	becomes("memory: 64MiB # b\r\n" CRLF_PORTS, "eviction", "lru",
	        "memory: 64MiB # b\r\neviction: lru\r\n" CRLF_PORTS);
	becomes("memory: 64MiB # b\r\n" CRLF_PORTS "\r\n", "memory", NULL, CRLF_PORTS "\r\n");
	becomes("# \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\nmemory: 64MiB # \xc3\xa4\n" PORTS,
	        "memory", "1GiB",
	        "# \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\nmemory: 1GiB # \xc3\xa4\n" PORTS);
}

static void test_a_file_may_be_indented_as_a_whole(void)
{
#define INDENTED "  ports:\n  - {kind: socket, listen: /k}\n"
	becomes("  memory: 64MiB\n" INDENTED, "eviction", "lru",
	        "  memory: 64MiB\n  eviction: lru\n" INDENTED);
	becomes(INDENTED, "eviction", "lru", "  eviction: lru\n" INDENTED);
	becomes("  memory: 64MiB\n" INDENTED, "memory", NULL, INDENTED);
}

static void test_a_last_line_without_an_end_gets_one_only_if_something_follows(void)
{
#define OPEN_PORTS "ports: [{kind: socket, listen: /k}]"
	becomes(OPEN_PORTS "\nclasses:\n- name: b\n  prefix: b", "memory", "1GiB",
	        "memory: 1GiB\n" OPEN_PORTS "\nclasses:\n- name: b\n  prefix: b");
	class_becomes(OPEN_PORTS "\nclasses:\n- name: b\n  prefix: b", "priority", "1",
	              OPEN_PORTS "\nclasses:\n- name: b\n  prefix: b\n  priority: 1");
}

#define CLASSES PORTS "classes:\n"

static void test_a_class_that_is_a_block_is_changed_in_its_lines(void)
{
	static const char block[] = CLASSES "  - name: a\n    prefix: a\n    priority: 1\n"
	                                    "  - name: b # the b\n    prefix: b\n"
	                                    "  # the c\n  - name: c\n    prefix: c\n";

	class_becomes(block, "priority", "7",
	              CLASSES "  - name: a\n    prefix: a\n    priority: 1\n"
	                      "  - name: b # the b\n    prefix: b\n    priority: 7\n"
	                      "  # the c\n  - name: c\n    prefix: c\n");
	class_becomes(block, "prefix", "b:",
	              CLASSES "  - name: a\n    prefix: a\n    priority: 1\n"
	                      "  - name: b # the b\n    prefix: \"b:\"\n"
	                      "  # the c\n  - name: c\n    prefix: c\n");
	class_becomes(CLASSES "- name: b\n  prefix: b\n  priority: 3 # d\n", "priority", NULL,
	              CLASSES "- name: b\n  prefix: b\n");
	class_becomes(CLASSES "- priority: 3 # d\n  name: b\n  prefix: b\n", "priority", NULL,
	              CLASSES "- name: b\n  prefix: b\n");
	class_becomes(CLASSES "-   priority: 3 # d\n    # c\n    name: b\n    prefix: b\n",
	              "priority", NULL, CLASSES "-    # d\n    # c\n    name: b\n    prefix: b\n");
	class_becomes(CLASSES "-   name: b\n    prefix: b\n", "share_max", "5%",
	              CLASSES "-   name: b\n    prefix: b\n    share_max: 5%\n");
	class_becomes(CLASSES "-\n  name: b\n  prefix: b\n", "share_max", "5%",
	              CLASSES "-\n  name: b\n  prefix: b\n  share_max: 5%\n");
}

static void test_a_class_in_braces_is_changed_between_them(void)
{
	class_becomes(CLASSES "- {name: b, prefix: \"b:\"} # c\n", "priority", "7",
	              CLASSES "- {name: b, prefix: \"b:\", priority: 7} # c\n");
	class_becomes(CLASSES "- {name: b, prefix: b, }\n", "priority", "7",
	              CLASSES "- {name: b, prefix: b, priority: 7, }\n");
	class_becomes(CLASSES "- {name: b, priority: 7, prefix: b}\n", "priority", "1",
	              CLASSES "- {name: b, priority: 1, prefix: b}\n");
	class_becomes(CLASSES "- {priority: 7, name: b, prefix: b}\n", "priority", NULL,
	              CLASSES "- {name: b, prefix: b}\n");
	class_becomes(CLASSES "- {name: b, priority: 7, prefix: b}\n", "priority", NULL,
	              CLASSES "- {name: b, prefix: b}\n");
	class_becomes(CLASSES "- {name: b, prefix: b, priority: 7}\n", "priority", NULL,
	              CLASSES "- {name: b, prefix: b}\n");
	class_becomes(CLASSES "- {name: b, prefix: b, priority: 7 , }\n", "priority", NULL,
	              CLASSES "- {name: b, prefix: b,  }\n");
	class_becomes(CLASSES "- {name: b, # n, m\n   prefix: b, # p\n   priority: 7 # q\n  }\n",
	              "priority", NULL,
	              CLASSES "- {name: b, # n, m\n   prefix: b # p\n    # q\n  }\n");
	class_becomes(PORTS "classes: [{name: a, prefix: a}, {name: b, prefix: b}]\n", "rate_max",
	              "5",
	              PORTS "classes: [{name: a, prefix: a}, {name: b, prefix: b, rate_max: 5}]\n");
}

static void test_what_is_no_parameter_or_no_single_value_is_refused(void)
{
	struct config_edit field = {.class_name = "b", .parameter = "memory", .value = "1GiB"};
	struct config_edit name = {.class_name = "x\n", .parameter = "priority", .value = "1"};

	refused(PORTS, "memroy", "1GiB", -ENOENT,
	        "f: memroy: no such parameter: see `kante config help`");
	refused(PORTS, "\x01", "1GiB", -ENOENT, "f: ?: no such parameter: see `kante config help`");
	refused(PORTS, "ports", "x", -ENOTSUP, "f: ports: not a single value: change it by hand");
	refused(PORTS, "admin", NULL, -ENOTSUP, "f: admin: not a single value: change it by hand");
	refused_by(PORTS, &field, -ENOENT,
	           "f: memory: a class has no such field: see `kante config help classes`");
	refused_by(PORTS, &name, -ENOENT,
	           "f: classes: there is no class \"x?\": write it into the file first");
	refused_by(CLASSES "- {name: b, prefix: b}\n", &name, -ENOENT,
	           "f: classes: there is no class \"x?\": write it into the file first");
}

static void section_becomes(const char *text, const char *section, const char *parameter,
                            const char *value, const char *result)
{
	struct config_edit wanted = {.section = section, .parameter = parameter, .value = value};

	becomes_by(text, &wanted, result);
}

static void test_a_field_of_a_section_is_changed_in_it(void)
{
	const char block[] = PORTS "admin:\n  directory: /d # d\n  audit:\n    files_kept: 3\n";

	section_becomes(block, "admin", "directory", "/e",
	                PORTS "admin:\n  directory: /e # d\n  audit:\n    files_kept: 3\n");
	section_becomes(block, "admin", "metrics", "open",
	                PORTS "admin:\n  directory: /d # d\n  audit:\n    files_kept: 3\n"
	                      "  metrics: open\n");
	section_becomes(block, "admin.audit", "files_kept", "4",
	                PORTS "admin:\n  directory: /d # d\n  audit:\n    files_kept: 4\n");
	section_becomes(block, "admin.audit", "when_full", "allow",
	                PORTS "admin:\n  directory: /d # d\n  audit:\n    files_kept: 3\n"
	                      "    when_full: allow\n");
	section_becomes(PORTS "admin: {directory: /d, audit: {files_kept: 3, when_full: allow}}\n",
	                "admin.audit", "files_kept", NULL,
	                PORTS "admin: {directory: /d, audit: {when_full: allow}}\n");
	section_becomes(PORTS "admin: {directory: /d}\n", "admin", "metrics", "open",
	                PORTS "admin: {directory: /d, metrics: open}\n");
}

static void test_a_field_of_no_section_is_refused(void)
{
	struct config_edit edit = {
	    .section = "admin.audit", .parameter = "files_kept", .value = "1"};

#define NO_SECTION ": its section is not in the file: write it there by hand first"
	refused_by(PORTS, &edit, -ENOTSUP, "f: files_kept" NO_SECTION);
	refused_by(PORTS "admin: {directory: /d}\n", &edit, -ENOTSUP, "f: files_kept" NO_SECTION);
	refused_by(PORTS "admin: {directory: /d, audit: {}}\n", &edit, -ENOTSUP,
	           "f: files_kept" NO_SECTION);
	edit.parameter = "files";
	refused_by(PORTS, &edit, -ENOENT, "f: files: no such parameter: see `kante config help`");
	edit.section = "admin.x";
	refused_by(PORTS, &edit, -ENOENT, "f: files: no such parameter: see `kante config help`");
	edit = (struct config_edit){.section = "admin", .parameter = "audit", .value = "1"};
	refused_by(PORTS, &edit, -ENOTSUP, "f: audit: not a single value: change it by hand");
	edit.parameter = "listen";
	refused_by(PORTS, &edit, -ENOTSUP, "f: listen: not a single value: change it by hand");
	edit = (struct config_edit){.section = "ports[0]", .parameter = "udp", .value = "1"};
	refused_by(PORTS, &edit, -ENOTSUP, "f: udp: not a single value: change it by hand");
}

static void test_a_file_in_braces_is_refused(void)
{
	refused("{memory: 64MiB, ports: [{kind: socket, listen: /k}]}\n", "memory", "1GiB",
	        -ENOTSUP,
	        "f: memory: the whole file is in braces: write each parameter in a line of its own "
	        "first");
}

static void test_what_would_become_a_bad_config_is_refused_with_its_faults(void)
{
	struct config_edit name = {.class_name = "b", .parameter = "name", .value = NULL};

	refused("memory: 64MiB\n" PORTS, "memory", "1MiB", -EINVAL,
	        "f:1: memory: 1MiB is out of range: choose a value from 4MiB to 4096GiB");
	refused(
	    "item_size_max: 32MiB\n" PORTS, "memory", "32MiB", -EINVAL,
	    "f:1: item_size_max: a value may have 32MiB (item_size_max), but half of a worker's "
	    "share of memory is 16MiB: give more memory or lower item_size_max");
	refused("memory: 1\n" PORTS, "eviction", "lru", -EINVAL,
	        "f:1: memory: 1 is out of range: choose a value from 4MiB to 4096GiB");
	refused("auth_file: /a\n" PORTS, "auth_file", "", -EINVAL,
	        "f:1: auth_file: no value given: give one or remove the line");
	refused_by(CLASSES "- name: b\n  prefix: b\n", &name, -EINVAL,
	           "f:4: classes[0].name: missing, a class needs it: What it is called: letters, "
	           "digits, '_', '.' or '-'");
	refused_by(CLASSES "- {name: b}\n", &name, -EINVAL,
	           "f:4: classes[0].name: missing, a class needs it: What it is called: letters, "
	           "digits, '_', '.' or '-'\n"
	           "f:4: classes[0].prefix: missing, a class needs it: What its keys begin with; "
	           "\"\": all keys that no other class has");
	refused_by(
	    CLASSES "- name: b\n", &name, -ENOTSUP,
	    "f: name: the file is written in a way that cannot be changed here: change it by "
	    "hand");
	refused("", "memory", "1GiB", -EINVAL,
	        "f:1: ports: missing: say where clients come in, such as `ports: [{kind: socket, "
	        "listen: \"127.0.0.1:11211\"}]`");
	refused("- a\n", "memory", "1GiB", -EINVAL,
	        "f: memory: the file is not a list of parameters: write lines such as `memory: "
	        "64MiB`");
	refused(
	    "a: [\n", "memory", "1GiB", -EINVAL,
	    "f:2: not YAML: while parsing a flow node (from line 2), did not find expected node "
	    "content: check brackets, quotes and indents");
}

static void test_a_fault_can_be_mended(void)
{
	becomes("memory: 1\n" PORTS, "memory", "64MiB", "memory: 64MiB\n" PORTS);
	becomes("memory: # b\n" PORTS, "memory", "64MiB", "memory: 64MiB # b\n" PORTS);
	becomes("memory:\n" PORTS, "memory", NULL, PORTS);
	becomes("memory: {a: b}\n" PORTS, "memory", "64MiB", "memory: 64MiB\n" PORTS);
	becomes("memory:\n  a: b\n" PORTS, "memory", "64MiB", "memory: 64MiB\n" PORTS);
}

static void test_a_value_cannot_bring_more_than_itself(void)
{
	char text[300];

	refused(PORTS, "auth_file", "/a\nmemory: 4GiB", -EINVAL,
	        "f: auth_file: a text with control characters: remove them");
	refused(PORTS, "workers", "[2]\nmemory: 4GiB", -EINVAL,
	        "f: workers: a text with control characters: remove them");
	refused(PORTS, "workers", "[2] # a", -EINVAL,
	        "f: workers: not a list of cores: write one such as [2, 3], or a count");
	refused(
	    PORTS, "workers", "[2] [3]", -ENOTSUP,
	    "f: workers: the file is written in a way that cannot be changed here: change it by "
	    "hand");
	refused(
	    PORTS, "memory", "1GiB # a", -EINVAL,
	    "f:1: memory: \"1GiB # a\" is not a size: write a number of bytes, or one with KiB, "
	    "MiB or GiB, such as 64MiB");
	refused(
	    PORTS, "memory", "\"", -EINVAL,
	    "f:1: memory: \"\"\" is not a size: write a number of bytes, or one with KiB, MiB or "
	    "GiB, such as 64MiB");
	becomes(PORTS, "auth_file", "/\"\\, #: {}[]&*!|>'%@`",
	        "auth_file: \"/\\\"\\\\, #: {}[]&*!|>'%@`\"\n" PORTS);
	memset(text, '/', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	refused(PORTS, "auth_file", text, -EINVAL,
	        "f: auth_file: a text of more than 255 bytes: no parameter takes one so long");
}

#define BY_HAND ": the file is written in a way that cannot be changed here: change it by hand"

static void test_what_is_written_in_another_way_is_left_alone(void)
{
	refused("? memory\n: 64MiB\n" PORTS, "memory", NULL, -ENOTSUP, "f: memory" BY_HAND);
	refused("? workers\n: - 2\n" PORTS, "workers", "1", -ENOTSUP, "f: workers" BY_HAND);
	refused("? memory\n: 64MiB\n" PORTS, "workers", "1", -ENOTSUP, "f: workers" BY_HAND);
	/* ends of lines that only YAML takes for some */
	refused("memory: 64MiB\rworkers: 1\rports: [{kind: socket, listen: /k}]\r", "memory", NULL,
	        -ENOTSUP, "f: memory" BY_HAND);
	/* but where it stands alone in its place, it can be replaced */
	becomes("? memory\n: 64MiB\n" PORTS, "memory", "1GiB", "? memory\n: 1GiB\n" PORTS);
	becomes("memory: 64MiB\rports: [{kind: socket, listen: /k}]\r", "memory", "1GiB",
	        "memory: 1GiB\rports: [{kind: socket, listen: /k}]\r");
}

static void test_without_memory_nothing_is_changed(void)
{
	struct config_edit wanted = {.parameter = "memory"};
	uint32_t tries = 0;
	int r = -ENOMEM;

	for (; r == -ENOMEM && tries < 1000; tries++) {
		char error[CONFIG_ERROR_BYTES], *got;

		/* each time it gets a little further */
		fault_set("strdup", ENOMEM, tries, 1);
		r = edit(&got, "memory: 1GiB\n" PORTS, &wanted, error);
		fault_clear();
		if (r == -ENOMEM)
			CU_ASSERT_PTR_NOT_NULL(strstr(error, "f: not enough memory"));
		free(got);
	}
	CU_ASSERT_EQUAL(r, 0);
	CU_ASSERT_TRUE(tries > 10);
}

static const struct unit_case cases[] = {
    {"a value is replaced where it stands", test_a_value_is_replaced_where_it_stands},
    {"quotes go with the value that they are about",
     test_quotes_go_with_the_value_that_they_are_about},
    {"a value has quotes where it needs them", test_a_value_has_quotes_where_it_needs_them},
    {"what is not there comes behind what stands before the first section",
     test_what_is_not_there_comes_behind_what_stands_before_the_first_section},
    {"what is not there comes above a section that is the first",
     test_what_is_not_there_comes_above_a_section_that_is_the_first},
    {"what is taken out goes with its line", test_what_is_taken_out_goes_with_its_line},
    {"workers are a count or a list, however they stand there",
     test_workers_are_a_count_or_a_list_however_they_stand_there},
    {"ends of lines stay as they are", test_ends_of_lines_stay_as_they_are},
    {"a file may be indented as a whole", test_a_file_may_be_indented_as_a_whole},
    {"a last line without an end gets one only if something follows",
     test_a_last_line_without_an_end_gets_one_only_if_something_follows},
    {"a class that is a block is changed in its lines",
     test_a_class_that_is_a_block_is_changed_in_its_lines},
    {"a class in braces is changed between them", test_a_class_in_braces_is_changed_between_them},
    {"what is no parameter or no single value is refused",
     test_what_is_no_parameter_or_no_single_value_is_refused},
    {"a field of a section is changed in it", test_a_field_of_a_section_is_changed_in_it},
    {"a field of no section is refused", test_a_field_of_no_section_is_refused},
    {"a file in braces is refused", test_a_file_in_braces_is_refused},
    {"what would become a bad config is refused with its faults",
     test_what_would_become_a_bad_config_is_refused_with_its_faults},
    {"a fault can be mended", test_a_fault_can_be_mended},
    {"a value cannot bring more than itself", test_a_value_cannot_bring_more_than_itself},
    {"what is written in another way is left alone",
     test_what_is_written_in_another_way_is_left_alone},
    {"without memory nothing is changed", test_without_memory_nothing_is_changed},
};

int main(void)
{
	return UNIT_RUN("edit", cases);
}
