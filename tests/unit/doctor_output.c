/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor.h"

#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int fix_nothing(const struct doctor *doctor, const struct doctor_finding *finding,
                       char *text, size_t text_bytes)
{
	return 0;
}

static const struct doctor_finding findings[] = {
    {.check = "hugepages",
     .level = DOCTOR_NOTE,
     .found = "0 pages of 2 MiB are free of 0, the config needs 79",
     .mend = "sysctl -w vm.nr_hugepages=79",
     .fix = fix_nothing},
    {.check = "mtu", .about = "xdp eth1", .level = DOCTOR_GOOD, .found = "1500"},
    {.check = "path",
     .about = "socket /run/kante/a/very/long/name/of/a/socket.sock",
     .level = DOCTOR_FAULT,
     .found = "no socket can be made in /run/kante/a/very/long/name/of/a",
     .mend = "mkdir -p /run"},
};

static void report_fill(struct doctor_report *report)
{
	memset(report, 0, sizeof(*report));
	memcpy(report->findings, findings, sizeof(findings));
	report->finding_count = sizeof(findings) / sizeof(findings[0]);
}

/* The caller frees it. */
static char *printed(const struct doctor_report *report, uint32_t width, bool with_colour)
{
	char *text = NULL;
	size_t bytes;
	FILE *file = open_memstream(&text, &bytes);

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	doctor_print(report, file, width, with_colour);
	fclose(file);
	return text;
}

static void expect_printed(const struct doctor_report *report, uint32_t width, bool with_colour,
                           const char *expected)
{
	char *text = printed(report, width, with_colour);

	if (strcmp(text, expected) != 0)
		printf("\nwant:\n%s\ngot:\n%s\n", expected, text);
	CU_ASSERT_STRING_EQUAL(text, expected);
	free(text);
}

static void test_columns_are_aligned(void)
{
	static struct doctor_report report;

	report_fill(&report);
	expect_printed(
	    &report, 0, false,
	    "note     hugepages      0 pages of 2 MiB are free of 0, the config needs 79\n"
	    "                        -> sysctl -w vm.nr_hugepages=79\n"
	    "good     mtu, xdp eth1  1500\n"
	    "fault    path, socket /run/kante/a/very/long/name/of/a/socket.sock\n"
	    "                        no socket can be made in /run/kante/a/very/long/name/of/a\n"
	    "                        -> mkdir -p /run\n"
	    "\n1 fault, 0 warnings, 1 note, 1 good, 0 skipped\n"
	    "1 of these can be mended by kante doctor --fix\n");
}

static void test_lines_are_broken_at_the_terminals_width(void)
{
	static struct doctor_report report;

	report_fill(&report);
	report.finding_count = 1;
	expect_printed(&report, 60, false,
	               "note     hugepages  0 pages of 2 MiB are free of 0, the\n"
	               "                    config needs 79\n"
	               "                    -> sysctl -w vm.nr_hugepages=79\n"
	               "\n0 faults, 0 warnings, 1 note, 0 good, 0 skipped\n"
	               "1 of these can be mended by kante doctor --fix\n");
}

/* Of any width, whatever the text: no line is longer but one with a single word, none is lost. */
static void test_lines_keep_to_any_width(void)
{
	static struct doctor_report report;
	char *text, *broken, *a, *b;

	report_fill(&report);
	text = printed(&report, 0, false);
	for (uint32_t width = 1; width < 200; width++) {
		broken = printed(&report, width, false);
		a = text;
		b = broken;
		for (;;) { /* the same but for blanks */
			a += strspn(a, " \n");
			b += strspn(b, " \n");
			if (*a == '\0' || *a != *b)
				break;
			a++;
			b++;
		}
		CU_ASSERT_TRUE(*a == '\0' && *b == '\0');
		for (const char *line = broken; *line != '\0'; line += strcspn(line, "\n") + 1) {
			size_t length = strcspn(line, "\n");
			const char *start = line + strspn(line, " ");

			CU_ASSERT_TRUE(length <= 60 || length <= width ||
			               line[0] != ' ' || /* a name, or the summary */
			               memchr(start, ' ', length - (size_t)(start - line)) == NULL);
		}
		free(broken);
	}
	free(text);
}

static void test_colour_is_only_about_levels(void)
{
	static struct doctor_report report;
	char *text;

	report_fill(&report);
	text = printed(&report, 0, true);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\033[1;31mfault    \033[0mpath"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\033[32mgood     \033[0mmtu"));
	free(text);
	text = printed(&report, 0, false);
	CU_ASSERT_PTR_NULL(strchr(text, '\033'));
	free(text);
}

static void test_deeds_come_first(void)
{
	static struct doctor_report report;

	report_fill(&report);
	report.finding_count = 1;
	report.deeds[0] = (struct doctor_deed){.check = "somaxconn", .text = "set it"};
	report.deeds[1] = (struct doctor_deed){
	    .check = "link", .about = "xdp eth1", .result = -EPERM, .text = "cannot"};
	report.deed_count = 2;
	expect_printed(&report, 0, false,
	               "fixed    somaxconn  set it\n"
	               "failed   link, xdp eth1\n"
	               "                    cannot\n\n"
	               "note     hugepages  0 pages of 2 MiB are free of 0, the config needs 79\n"
	               "                    -> sysctl -w vm.nr_hugepages=79\n"
	               "\n0 faults, 0 warnings, 1 note, 0 good, 0 skipped\n");
}

static void test_the_exit_status_is_the_worst(void)
{
	static struct doctor_report report;

	report_fill(&report);
	CU_ASSERT_EQUAL(doctor_exit_status(&report), 2);
	report.findings[2].level = DOCTOR_WARNING;
	CU_ASSERT_EQUAL(doctor_exit_status(&report), 1);
	report.findings[2].level = DOCTOR_SKIPPED;
	CU_ASSERT_EQUAL(doctor_exit_status(&report), 0);
	report.deed_count = 1;
	CU_ASSERT_EQUAL(doctor_exit_status(&report), 0);
	report.deeds[0].result = -EPERM; /* what was asked for was not done */
	CU_ASSERT_EQUAL(doctor_exit_status(&report), 2);
}

static void test_json_has_all_fields(void)
{
	static struct doctor_report report;
	struct doctor_options options = {.config_path = "kante.yaml"};
	json_t *json, *first;

	report_fill(&report);
	report.deeds[0] = (struct doctor_deed){.check = "link", .result = -EPERM, .text = "no"};
	report.deed_count = 1;
	json = doctor_report_json(&report, &options);
	CU_ASSERT_PTR_NOT_NULL_FATAL(json);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(json, "status")), 2);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(json, "config")), "kante.yaml");
	CU_ASSERT_EQUAL(json_array_size(json_object_get(json, "findings")), 3);
	CU_ASSERT_EQUAL(
	    json_integer_value(json_object_get(json_object_get(json, "counts"), "fault")), 1);
	CU_ASSERT_EQUAL(
	    json_integer_value(json_object_get(json_object_get(json, "counts"), "warning")), 0);
	first = json_array_get(json_object_get(json, "findings"), 0);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(first, "check")), "hugepages");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(first, "about")), "");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(first, "level")), "note");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(first, "found")),
	                       findings[0].found);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(first, "mend")), findings[0].mend);
	CU_ASSERT_TRUE(json_is_true(json_object_get(first, "fixable")));
	first = json_array_get(json_object_get(json, "fixes"), 0);
	CU_ASSERT_TRUE(json_is_false(json_object_get(first, "done")));
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(first, "text")), "no");
	json_decref(json);
	options.config_path = NULL;
	json = doctor_report_json(&report, &options);
	CU_ASSERT_TRUE(json_is_null(json_object_get(json, "config")));
	json_decref(json);
}

static uint32_t allocations_left;

static void *scarce_malloc(size_t bytes)
{
	if (allocations_left == 0)
		return NULL;
	allocations_left--;
	return malloc(bytes);
}

static void test_without_memory_there_is_no_json(void)
{
	static struct doctor_report report;
	struct doctor_options options = {.config_path = "kante.yaml"};
	json_t *json = NULL;

	report_fill(&report);
	report.deed_count = 1;
	report.deeds[0].check = "link";
	json_set_alloc_funcs(scarce_malloc, free);
	for (uint32_t count = 0; json == NULL; count++) {
		CU_ASSERT_TRUE_FATAL(count < 1000);
		allocations_left = count;
		json = doctor_report_json(&report, &options);
	}
	CU_ASSERT_EQUAL(json_array_size(json_object_get(json, "findings")), 3);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(json, "fixes")), 1);
	json_decref(json);
	json_set_alloc_funcs(malloc, free);
}

static void test_every_check_has_a_name_and_help(void)
{
	for (uint32_t i = 0; i < doctor_check_count; i++) {
		CU_ASSERT_TRUE(strlen(doctor_checks[i].name) > 1);
		CU_ASSERT_TRUE(strlen(doctor_checks[i].help) > 5);
		for (uint32_t j = 0; j < i; j++)
			CU_ASSERT_STRING_NOT_EQUAL(doctor_checks[i].name, doctor_checks[j].name);
	}
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"columns are aligned", test_columns_are_aligned},
	    {"lines are broken at the terminal's width",
	     test_lines_are_broken_at_the_terminals_width},
	    {"lines keep to any width, and lose no word", test_lines_keep_to_any_width},
	    {"colour is only about levels", test_colour_is_only_about_levels},
	    {"deeds come first", test_deeds_come_first},
	    {"the exit status is the worst", test_the_exit_status_is_the_worst},
	    {"JSON has all fields", test_json_has_all_fields},
	    {"without memory there is no JSON", test_without_memory_there_is_no_json},
	    {"every check has a name and help", test_every_check_has_a_name_and_help},
	};

	return UNIT_RUN("doctor_output", cases);
}
