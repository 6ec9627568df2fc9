/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include "cli/key_text.h"
#include "cli/terminal.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>

static const struct table_column columns[] = {
    {"NAME", TABLE_TEXT}, {"COUNT", TABLE_NUMBER}, {"WHAT", TABLE_LONG}};

/* Cells until NULL; the result is in `printed` then. */
static char *printed;

static void print(uint32_t width, bool with_bold, const char *const cells[])
{
	struct table *table;
	size_t length;
	FILE *to;

	free(printed);
	printed = NULL;
	CU_ASSERT_EQUAL_FATAL(table_create(&table, columns, 3), 0);
	for (; *cells != NULL; cells++)
		table_add(table, *cells);
	to = open_memstream(&printed, &length);
	CU_ASSERT_PTR_NOT_NULL_FATAL(to);
	CU_ASSERT_EQUAL(table_print(table, to, width, with_bold), 0);
	fclose(to);
	table_destroy(table);
}

#define PRINT(width, with_bold, ...) print(width, with_bold, (const char *[]){__VA_ARGS__, NULL})

static void printed_is(const char *want)
{
	if (strcmp(printed, want) != 0)
		printf("\nwant:\n%sgot:\n%s", want, printed);
	CU_ASSERT_STRING_EQUAL(printed, want);
}

static void test_columns_are_aligned_and_numbers_stand_at_the_right(void)
{
	PRINT(0, false, "a", "1", "one", "longer", "100000", "many");
	printed_is("NAME     COUNT  WHAT\n"
	           "a            1  one\n"
	           "longer  100000  many\n");
}

static void test_headings_are_bold_where_that_is_wanted(void)
{
	PRINT(0, true, "a", "1", "one");
	printed_is("\033[1mNAME  COUNT  WHAT\033[0m\n"
	           "a         1  one\n");
}

static void test_a_character_takes_the_columns_that_it_has_on_a_screen(void)
{
	PRINT(0, false, "größe", "1", "x", "漢字", "2", "y", "e\xcc\x81", "3", "z");
	printed_is("NAME   COUNT  WHAT\n"
	           "größe      1  x\n"
	           "漢字       2  y\n"
	           "e\xcc\x81          3  z\n");
}

static void test_a_narrow_terminal_cuts_long_text_and_nothing_else(void)
{
	PRINT(30, false, "a name", "12", "a text that is too long for it");
	printed_is("NAME    COUNT  WHAT\n"
	           "a name     12  a text that is…\n");
	PRINT(30, false, "a name", "12", "漢字漢字漢字漢字漢字");
	printed_is("NAME    COUNT  WHAT\n"
	           "a name     12  漢字漢字漢字漢…\n");
	PRINT(31, false, "a name", "12", "漢字漢字漢字漢字漢字");
	printed_is("NAME    COUNT  WHAT\n"
	           "a name     12  漢字漢字漢字漢…\n");
	PRINT(5, false, "a name that stays", "12", "a text that is too long");
	printed_is("NAME               COUNT  WHAT\n"
	           "a name that stays     12  a text …\n");
}

static void test_what_would_change_the_screen_is_escaped(void)
{
	PRINT(0, false, "a\033[31mb", "1\n2", "x\ty\x7f\r");
	printed_is("NAME        COUNT  WHAT\n"
	           "a\\x1b[31mb   1\\n2  x\\ty\\x7f\\r\n");
	PRINT(0, false, "\xff\xc3", "\xc2\x9b", "\xe2\x80\xae");
	printed_is("NAME       COUNT  WHAT\n"
	           "\\xff\\xc3  \\u009b  \\u202e\n");
}

static void test_a_table_without_headings_has_no_line_for_them(void)
{
	static const struct table_column plain[] = {{NULL, TABLE_TEXT}, {NULL, TABLE_TEXT}};
	struct table *table;
	size_t length;
	FILE *to;

	free(printed);
	CU_ASSERT_EQUAL_FATAL(table_create(&table, plain, 2), 0);
	table_add(table, "name");
	table_add(table, "x");
	to = open_memstream(&printed, &length);
	CU_ASSERT_EQUAL(table_print(table, to, 0, true), 0);
	fclose(to);
	table_destroy(table);
	printed_is("name  x\n");
}

static void test_want_of_memory_is_told(void)
{
	struct table *table;

	CU_ASSERT_EQUAL_FATAL(table_create(&table, columns, 3), 0);
	table_add(table, NULL);
	table_add(table, "more");
	CU_ASSERT_TRUE(table_print(table, stdout, 0, false) < 0);
	table_destroy(table);
	table_destroy(NULL);
}

static void test_lines_stay_where_they_may(void)
{
	char *text = terminal_text("a\nb\033", true);

	CU_ASSERT_STRING_EQUAL(text, "a\nb\\x1b");
	free(text);
}

static void test_a_key_is_any_bytes(void)
{
	static const struct {
		const char *escaped, *text;
	} cases[] = {{"s%3Aa_b", "s:a_b"}, {"%00%1b%ff%c3%b6", "\\x00\\x1b\\xffö"},
	             {"100%", "100%"},     {"%4", "%4"},
	             {"%zz%4x", "%zz%4x"}, {"", ""}};
	json_t *entry = json_pack("{s:s%}", "key", "a\0b", (size_t)3);
	char *text;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		text = key_text_decode(cases[i].escaped, strlen(cases[i].escaped));
		CU_ASSERT_STRING_EQUAL(text, cases[i].text);
		free(text);
	}
	text = key_text_of(entry);
	CU_ASSERT_STRING_EQUAL(text, "a\\x00b");
	free(text);
	json_decref(entry);
	entry = json_pack("{s:s}", "key_escaped", "%FF");
	text = key_text_of(entry);
	CU_ASSERT_STRING_EQUAL(text, "\\xff");
	free(text);
	json_decref(entry);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"columns are aligned and numbers stand at the right",
	     test_columns_are_aligned_and_numbers_stand_at_the_right},
	    {"headings are bold where that is wanted", test_headings_are_bold_where_that_is_wanted},
	    {"a character takes the columns that it has on a screen",
	     test_a_character_takes_the_columns_that_it_has_on_a_screen},
	    {"a narrow terminal cuts long text and nothing else",
	     test_a_narrow_terminal_cuts_long_text_and_nothing_else},
	    {"what would change the screen is escaped",
	     test_what_would_change_the_screen_is_escaped},
	    {"a table without headings has no line for them",
	     test_a_table_without_headings_has_no_line_for_them},
	    {"want of memory is told", test_want_of_memory_is_told},
	    {"lines stay where they may", test_lines_stay_where_they_may},
	    {"a key is any bytes", test_a_key_is_any_bytes},
	};
	int status = UNIT_RUN("table", cases);

	free(printed);
	return status;
}
