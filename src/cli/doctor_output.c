/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor.h"

#include "base/bytes.h"

#include <string.h>

#define WIDTH_MIN        60 /* a narrower terminal breaks the lines itself */
#define LEVEL_WIDTH      9  /* "warning" and two blanks */
#define GAP              2
#define NAME_COLUMNS_MAX 28 /* a longer name has a line of its own */
#define NAME_BYTES       (DOCTOR_ABOUT_BYTES + 64)

struct page {
	FILE *to;
	uint32_t width; /* 0: any */
	uint32_t name_width;
	bool with_colour;
};

/* Characters of UTF-8 up to there. */
static uint32_t columns_of(const char *text, size_t length)
{
	uint32_t columns = 0;

	for (size_t i = 0; i < length; i++)
		columns += ((unsigned char)text[i] & 0xc0) != 0x80;
	return columns;
}

static const char *colour_of(enum doctor_level level)
{
	static const char *const colours[] = {
	    [DOCTOR_GOOD] = "\033[32m",    [DOCTOR_SKIPPED] = "\033[2m",
	    [DOCTOR_NOTE] = "\033[36m",    [DOCTOR_WARNING] = "\033[33m",
	    [DOCTOR_FAULT] = "\033[1;31m",
	};

	return colours[level];
}

/* Text that begins at a column, and goes on there on further lines. A word that is longer than a
 * line stays whole: it may be a path. */
static void print_text(const struct page *page, const char *text, uint32_t column)
{
	uint32_t at = column;

	while (*text != '\0') {
		size_t length = strcspn(text, " ");
		uint32_t columns = columns_of(text, length);

		if (at > column && page->width > 0 && at + 1 + columns > page->width) {
			fprintf(page->to, "\n%*s", (int)column, "");
			at = column;
		} else if (at > column) {
			fputc(' ', page->to);
			at++;
		}
		fwrite(text, 1, length, page->to);
		at += columns;
		text += length;
		text += strspn(text, " ");
	}
	fputc('\n', page->to);
}

static void name_of(char ret_name[NAME_BYTES], const char *check, const char *about)
{
	snprintf(ret_name, NAME_BYTES, "%s%s%s", check, about[0] == '\0' ? "" : ", ", about);
}

/* "LEVEL    NAME    TEXT" */
static void print_line(const struct page *page, const char *level, const char *colour,
                       const char *check, const char *about, const char *text)
{
	uint32_t column = LEVEL_WIDTH + page->name_width + GAP, name_columns;
	char name[NAME_BYTES];

	name_of(name, check, about);
	name_columns = columns_of(name, strlen(name));
	fprintf(page->to, "%s%-*s%s%s", page->with_colour ? colour : "", LEVEL_WIDTH, level,
	        page->with_colour ? "\033[0m" : "", name);
	if (name_columns > page->name_width)
		fprintf(page->to, "\n%*s", (int)column, "");
	else
		fprintf(page->to, "%*s", (int)(page->name_width - name_columns + GAP), "");
	print_text(page, text, column);
}

static void print_finding(const struct page *page, const struct doctor_finding *finding)
{
	uint32_t column = LEVEL_WIDTH + page->name_width + GAP;

	print_line(page, doctor_level_name(finding->level), colour_of(finding->level),
	           finding->check, finding->about, finding->found);
	if (finding->mend[0] == '\0')
		return;
	fprintf(page->to, "%*s%s", (int)column, "", "-> ");
	print_text(page, finding->mend, column + 3);
}

static void print_deeds(const struct page *page, const struct doctor_report *report)
{
	for (uint32_t i = 0; i < report->deed_count; i++) {
		const struct doctor_deed *deed = &report->deeds[i];

		print_line(page, deed->result < 0 ? "failed" : "fixed",
		           colour_of(deed->result < 0 ? DOCTOR_FAULT : DOCTOR_GOOD), deed->check,
		           deed->about, deed->text);
	}
	if (report->deed_count > 0)
		fputc('\n', page->to);
}

struct counts {
	uint32_t levels[DOCTOR_LEVEL_COUNT];
	uint32_t fixable;
};

static struct counts count(const struct doctor_report *report)
{
	struct counts counts = {0};

	for (uint32_t i = 0; i < report->finding_count; i++) {
		counts.levels[report->findings[i].level]++;
		counts.fixable += report->findings[i].fix != NULL;
	}
	return counts;
}

static void print_summary(const struct page *page, const struct doctor_report *report)
{
	struct counts counts = count(report);

	fprintf(page->to, "\n%u fault%s, %u warning%s, %u note%s, %u good, %u skipped\n",
	        counts.levels[DOCTOR_FAULT], counts.levels[DOCTOR_FAULT] == 1 ? "" : "s",
	        counts.levels[DOCTOR_WARNING], counts.levels[DOCTOR_WARNING] == 1 ? "" : "s",
	        counts.levels[DOCTOR_NOTE], counts.levels[DOCTOR_NOTE] == 1 ? "" : "s",
	        counts.levels[DOCTOR_GOOD], counts.levels[DOCTOR_SKIPPED]);
	if (counts.fixable > 0 && report->deed_count == 0)
		fprintf(page->to, "%u of these can be mended by kante doctor --fix\n",
		        counts.fixable);
}

void doctor_print(const struct doctor_report *report, FILE *to, uint32_t width, bool with_colour)
{
	struct page page = {.to = to, .with_colour = with_colour};
	char name[NAME_BYTES];

	page.width = width == 0 ? 0 : max_u32(width, WIDTH_MIN);
	for (uint32_t i = 0; i < report->finding_count; i++) {
		uint32_t columns;

		name_of(name, report->findings[i].check, report->findings[i].about);
		columns = columns_of(name, strlen(name));
		if (columns <= NAME_COLUMNS_MAX)
			page.name_width = max_u32(page.name_width, columns);
	}
	print_deeds(&page, report);
	for (uint32_t i = 0; i < report->finding_count; i++)
		print_finding(&page, &report->findings[i]);
	print_summary(&page, report);
}

void doctor_print_checks(FILE *to)
{
	for (uint32_t i = 0; i < doctor_check_count; i++)
		fprintf(to, "%-18s %s\n", doctor_checks[i].name, doctor_checks[i].help);
}

static json_t *finding_json(const struct doctor_finding *finding)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:b}", "check", finding->check, "about",
	                 finding->about, "level", doctor_level_name(finding->level), "found",
	                 finding->found, "mend", finding->mend, "fixable", finding->fix != NULL);
}

static json_t *deed_json(const struct doctor_deed *deed)
{
	return json_pack("{s:s, s:s, s:b, s:s}", "check", deed->check, "about", deed->about, "done",
	                 deed->result >= 0, "text", deed->text);
}

json_t *doctor_report_json(const struct doctor_report *report, const struct doctor_options *options)
{
	struct counts counts = count(report);
	json_t *findings = json_array(), *fixes = json_array();
	json_t *levels = json_object();
	int r = findings == NULL || fixes == NULL || levels == NULL ? -1 : 0;

	for (uint32_t i = 0; i < report->finding_count; i++)
		r |= json_array_append_new(findings, finding_json(&report->findings[i]));
	for (uint32_t i = 0; i < report->deed_count; i++)
		r |= json_array_append_new(fixes, deed_json(&report->deeds[i]));
	for (uint32_t i = 0; i < DOCTOR_LEVEL_COUNT; i++)
		r |= json_object_set_new(levels, doctor_level_name((enum doctor_level)i),
		                         json_integer(counts.levels[i]));
	if (r != 0) {
		json_decref(findings);
		json_decref(fixes);
		json_decref(levels);
		return NULL;
	}
	/* takes the three, and frees them when it fails */
	return json_pack("{s:i, s:s?, s:o, s:o, s:o}", "status", doctor_exit_status(report),
	                 "config", options->config_path, "counts", levels, "findings", findings,
	                 "fixes", fixes);
}
