/* SPDX-License-Identifier: Apache-2.0 */
/* An audit report as an HTML page of its own. */
#include "control/audit_report.h"

#include "control/audit_lines.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char page_head[] =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<head>\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" "
    "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n";

static const char page_style[] =
    "<style>\n"
    ":root { --ground: #fff; --ink: #1a1d21; --faint: #5c6570; --line: #d5dae0; --band: #f4f6f8;\n"
    "  --good: #1a6b3c; --bad: #a3232b; }\n"
    "@media (prefers-color-scheme: dark) { :root { --ground: #15181c; --ink: #e4e7eb;\n"
    "  --faint: #9aa4af; --line: #343b44; --band: #1d2228; --good: #6fcf97; --bad: #ff8a8a; } }\n"
    "* { box-sizing: border-box; }\n"
    "body { margin: 0 auto; max-width: 84rem; padding: 2rem 1.5rem 4rem; background: "
    "var(--ground);\n"
    "  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }\n"
    "h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 1.2rem; }\n"
    "h2 { font-size: 1.1rem; margin: 2.6rem 0 .2rem; }\n"
    "h2 .id { color: var(--faint); font-weight: 400; margin-right: .4em; }\n"
    "p { margin: 0 0 .8rem; max-width: 48rem; color: var(--faint); }\n"
    "dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.5rem; margin: 0; "
    "}\n"
    "dt { color: var(--faint); }\n"
    "dd { margin: 0; overflow-wrap: anywhere; }\n"
    ".table { overflow-x: auto; }\n"
    "table { border-collapse: collapse; width: 100%; font-size: .87rem; margin: 0 0 .5rem; }\n"
    "th, td { text-align: left; vertical-align: top; padding: .35rem .7rem .35rem 0;\n"
    "  border-bottom: 1px solid var(--line); }\n"
    "th { color: var(--faint); font-weight: 600; white-space: nowrap; }\n"
    "tbody tr:hover { background: var(--band); }\n"
    "td.number, th.number { text-align: right; padding-right: 1rem; white-space: nowrap;\n"
    "  font-variant-numeric: tabular-nums; }\n"
    "td.time { white-space: nowrap; font-variant-numeric: tabular-nums; }\n"
    "td.any { overflow-wrap: anywhere; min-width: 9rem; }\n"
    "th.any { width: 24%; }\n"
    "code { font: .92em/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }\n"
    ".sub { color: var(--faint); display: block; }\n"
    ".ok, .verified { color: var(--good); }\n"
    ".refused, .failed, .broken { color: var(--bad); font-weight: 600; }\n"
    ".counts { width: auto; margin-top: 1.5rem; }\n"
    "@page { size: A4 landscape; margin: 14mm; }\n"
    "@media print { :root { --ground: #fff; --ink: #000; --faint: #444; --line: #bbb;\n"
    "  --band: #fff; --good: #000; --bad: #000; }\n"
    "  body { max-width: none; padding: 0; font-size: 9.5pt; }\n"
    "  h2, p { break-after: avoid; break-inside: avoid; } tr { break-inside: avoid; }\n"
    "  thead { display: table-header-group; } .table { overflow: visible; } }\n"
    "</style>\n";

static void put(FILE *page, const char *text)
{
	for (; *text != '\0'; text++)
		switch (*text) {
		case '&': fputs("&amp;", page); break;
		case '<': fputs("&lt;", page); break;
		case '>': fputs("&gt;", page); break;
		case '"': fputs("&quot;", page); break;
		case '\'': fputs("&#39;", page); break;
		default:
			if ((uint8_t)*text < 0x20 || *text == 0x7f)
				fputs("\xef\xbf\xbd", page); /* U+FFFD */
			else
				fputc(*text, page);
		}
}

/* If there is one, in an element that keeps its direction to itself. */
static void put_element(FILE *page, const char *start, const char *text, const char *end)
{
	if (text[0] == '\0')
		return;
	fputs(start, page);
	fputs("<bdi>", page);
	put(page, text);
	fputs("</bdi>", page);
	fputs(end, page);
}

static void put_seq(FILE *page, const json_t *row)
{
	fprintf(page, "<td class=\"number\">%" PRIu64, audit_line_number(row, "seq"));
}

static void put_seqs(FILE *page, const json_t *row)
{
	fprintf(page, "<td class=\"number\">%" PRIu64 " to %" PRIu64, audit_line_number(row, "seq"),
	        audit_line_number(row, "last_seq"));
}

static void put_count(FILE *page, const json_t *row)
{
	fprintf(page, "<td class=\"number\">%" PRIu64, audit_line_number(row, "count"));
}

static void put_time_cell(FILE *page, const char *time)
{
	char shorter[32];

	fputs("<td class=\"time\">", page);
	if (strlen(time) != AUDIT_TIME_BYTES - 1) {
		put(page, time);
		return;
	}
	snprintf(shorter, sizeof(shorter), "%.10s %.8s", time, time + strlen("2026-11-28T"));
	put(page, shorter);
}

static void put_time(FILE *page, const json_t *row)
{
	put_time_cell(page, audit_line_text(row, "time"));
}

static void put_first(FILE *page, const json_t *row)
{
	put_time_cell(page, audit_line_text(row, "first"));
}

static void put_last(FILE *page, const json_t *row)
{
	put_time_cell(page, audit_line_text(row, "last"));
}

static void put_credential(FILE *page, const json_t *row)
{
	put_element(page, " ", audit_line_text(row, "credential"), "");
	put_element(page, " <code>", audit_line_text(row, "credential_id"), "</code>");
}

static void put_who(FILE *page, const json_t *row)
{
	fputs("<td class=\"any\">", page);
	put_element(page, "", audit_line_text(row, "who"), "");
	fputs("<span class=\"sub\">", page);
	put_element(page, "", audit_line_text(row, "role"), "");
	put_credential(page, row);
	put_element(page, " from ", audit_line_text(row, "from"), "");
	fputs("</span>", page);
}

static void put_person(FILE *page, const json_t *row)
{
	fputs("<td class=\"any\">", page);
	put_element(page, "", audit_line_text(row, "who"), "");
	fputs("<span class=\"sub\">", page);
	put_credential(page, row);
	fputs("</span>", page);
}

static void put_named(FILE *page, const json_t *row, const char *name)
{
	put_element(page, "<td>", audit_line_text(row, name), "");
	if (audit_line_text(row, name)[0] == '\0')
		fputs("<td>", page);
}

static void put_role(FILE *page, const json_t *row)
{
	put_named(page, row, "role");
}

static void put_kind(FILE *page, const json_t *row)
{
	put_named(page, row, "kind");
}

static void put_from(FILE *page, const json_t *row)
{
	put_named(page, row, "from");
}

static void put_action(FILE *page, const json_t *row)
{
	uint64_t count = audit_line_number(row, "count");

	put_named(page, row, "action");
	if (count > 1 && json_object_get(row, "lines") == NULL)
		fprintf(page, "<span class=\"sub\">%" PRIu64 " times</span>", count);
}

static void put_result(FILE *page, const json_t *row)
{
	static const char *const results[] = {"ok", "refused", "failed"};
	const char *result = audit_line_text(row, "result");

	fputs("<td", page);
	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
		if (strcmp(result, results[i]) == 0)
			fprintf(page, " class=\"%s\"", result);
	fputs(">", page);
	put(page, result);
}

static void put_value(FILE *page, const json_t *value)
{
	char *dumped = value == NULL ? NULL : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

	if (value == NULL)
		fputs("nothing", page);
	else
		put_element(page, "<code>", dumped == NULL ? "?" : dumped, "</code>");
	free(dumped);
}

static void put_what(FILE *page, const json_t *row)
{
	const json_t *before = json_object_get(row, "before"),
	             *after = json_object_get(row, "after");

	fputs("<td class=\"any\">", page);
	put_element(page, "", audit_line_text(row, "target"), "");
	if (before == NULL && after == NULL)
		return;
	fputs("<span class=\"sub\">", page);
	put_value(page, before);
	fputs(" &rarr; ", page);
	put_value(page, after);
	fputs("</span>", page);
}

static void put_reason(FILE *page, const json_t *row)
{
	fputs("<td class=\"any\">", page);
	put_element(page, "", audit_line_text(row, "reason"), "");
}

struct column {
	const char *title;
	const char *class;                          /* of its head */
	void (*put)(FILE *page, const json_t *row); /* begins a cell; the parser ends it */
};

/* Each ends in one without a title. */
static const struct column list_columns[] = {
    {"Line", "number", put_seq}, {"Time (UTC)", "time", put_time},
    {"Who", "any", put_who},     {"Action", "", put_action},
    {"Result", "", put_result},  {"What", "any", put_what},
    {"Why", "any", put_reason},  {NULL, NULL, NULL}};
static const struct column sources_columns[] = {{"Times", "number", put_count},
                                                {"From", "", put_from},
                                                {"Action", "", put_action},
                                                {"Result", "", put_result},
                                                {"Why", "any", put_reason},
                                                {"First (UTC)", "time", put_first},
                                                {"Last (UTC)", "time", put_last},
                                                {"Lines", "number", put_seqs},
                                                {NULL, NULL, NULL}};
static const struct column people_columns[] = {
    {"Times", "number", put_count},     {"Role", "", put_role},
    {"Who", "any", put_person},         {"Kind", "", put_kind},
    {"First (UTC)", "time", put_first}, {"Last (UTC)", "time", put_last},
    {"Lines", "number", put_seqs},      {NULL, NULL, NULL}};

static const struct column *columns_of(const char *layout)
{
	if (strcmp(layout, "sources") == 0)
		return sources_columns;
	return strcmp(layout, "people") == 0 ? people_columns : list_columns;
}

static void put_table(FILE *page, const json_t *rows, const struct column *columns)
{
	fputs("<div class=\"table\"><table>\n<thead><tr>", page);
	for (const struct column *column = columns; column->title != NULL; column++)
		fprintf(page, "<th class=\"%s\">%s", column->class, column->title);
	fputs("\n<tbody>\n", page);
	for (size_t i = 0; i < json_array_size(rows); i++) {
		fputs("<tr>", page);
		for (const struct column *column = columns; column->title != NULL; column++)
			column->put(page, json_array_get(rows, i));
		fputs("\n", page);
	}
	fputs("</table></div>\n", page);
}

static void put_section(FILE *page, const json_t *section)
{
	const json_t *rows = json_object_get(section, "rows");
	uint64_t left_out = audit_line_number(section, "left_out_lines");

	fputs("<section>\n", page);
	put_element(page, "<h2><span class=\"id\">", audit_line_text(section, "id"), "</span> ");
	put(page, audit_line_text(section, "title"));
	fprintf(page, " (%" PRIu64 ")</h2>\n", audit_line_number(section, "events"));
	put_element(page, "<p>", audit_line_text(section, "asks"), "</p>\n");
	if (json_array_size(rows) == 0)
		fputs("<div>None.</div>\n", page);
	else
		put_table(page, rows, columns_of(audit_line_text(section, "layout")));
	if (left_out > 0)
		fprintf(page,
		        "<p>and %" PRIu64
		        " more lines: ask for a shorter span of time to see them.</p>\n",
		        left_out);
	fputs("</section>\n", page);
}

static void put_chain(FILE *page, const json_t *chain)
{
	const json_t *faults = json_object_get(chain, "faults");
	uint64_t fault_count = audit_line_number(chain, "fault_count");

	fputs("<dt>Log<dd>", page);
	fputs(json_is_true(json_object_get(chain, "verified"))
	          ? "<span class=\"verified\">verified: as it was written</span>"
	          : "<span class=\"broken\">not as it was written</span>",
	      page);
	fprintf(page, ", %" PRIu64 " lines, %" PRIu64 " to %" PRIu64 ", files: %" PRIu64 "\n",
	        audit_line_number(chain, "lines"), audit_line_number(chain, "first_seq"),
	        audit_line_number(chain, "last_seq"), audit_line_number(chain, "files"));
	put_element(page, "<dt>Last hash<dd><code>", audit_line_text(chain, "hash"), "</code>\n");
	if (fault_count == 0)
		return;
	fprintf(page, "<dt>Faults<dd><span class=\"broken\">%" PRIu64 "</span>\n", fault_count);
	for (size_t i = 0; i < json_array_size(faults); i++)
		put_element(page, "<span class=\"sub\">", audit_string(json_array_get(faults, i)),
		            "</span>\n");
}

static void put_counts(FILE *page, const json_t *counts)
{
	json_t *kinds = json_object_get(counts, "kinds"), *results;
	const char *kind;

	fputs("<div class=\"table\"><table class=\"counts\">\n<thead><tr><th>Events<th "
	      "class=\"number\">Done<th class=\"number\">Refused<th "
	      "class=\"number\">Failed\n<tbody>\n",
	      page);
	json_object_foreach(kinds, kind, results)
	{
		fputs("<tr><td>", page);
		put(page, kind);
		fprintf(page,
		        "<td class=\"number\">%" PRIu64 "<td class=\"number\">%" PRIu64
		        "<td class=\"number\">%" PRIu64 "\n",
		        audit_line_number(results, "ok"), audit_line_number(results, "refused"),
		        audit_line_number(results, "failed"));
	}
	fputs("</table></div>\n", page);
}

static void put_report(FILE *page, const json_t *report)
{
	static const char *const heads[][2] = {{"<dt>Node<dd>", "node"},
	                                       {"<dt>From<dd>", "from"},
	                                       {"<dt>To<dd>", "to"},
	                                       {"<dt>Made<dd>", "made"}};
	const json_t *sections = json_object_get(report, "sections");

	fputs(page_head, page);
	fputs("<title>", page);
	put(page, audit_line_text(report, "title"));
	fputs("</title>\n", page);
	fputs(page_style, page);
	fputs("</head>\n<body>\n", page);
	put_element(page, "<h1>", audit_line_text(report, "title"), "</h1>\n");
	fputs("<dl>\n", page);
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		put_element(page, heads[i][0], audit_line_text(report, heads[i][1]), "\n");
	put_chain(page, json_object_get(report, "chain"));
	fputs("</dl>\n", page);
	put_counts(page, json_object_get(report, "counts"));
	for (size_t i = 0; i < json_array_size(sections); i++)
		put_section(page, json_array_get(sections, i));
	fputs("</body>\n</html>\n", page);
}

char *audit_report_html(const json_t *report)
{
	char *bytes = NULL;
	size_t length;
	FILE *page = open_memstream(&bytes, &length);
	bool failed;

	if (page == NULL)
		return NULL;
	put_report(page, report);
	failed = ferror(page) != 0;
	if (fclose(page) != 0 || failed) {
		free(bytes);
		return NULL;
	}
	return bytes;
}
