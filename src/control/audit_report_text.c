/* SPDX-License-Identifier: Apache-2.0 */
/* An audit report as text. */
#include "control/audit_report.h"

#include "control/audit_lines.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS     80
#define INDENT      6  /* of what is said of a line */
#define HEAD_INDENT 12 /* of what stands behind "Node" and the like */

/* What is written paragraph by paragraph. */
struct text {
	FILE *stream;
	FILE *words; /* of the paragraph; NULL: no memory */
	char *paragraph;
	size_t length;
	bool failed; /* no memory */
};

/* The next character of UTF-8 that is known to be good. */
static uint32_t take_character(const char **at)
{
	const uint8_t *bytes = (const uint8_t *)*at;
	uint32_t length = bytes[0] < 0x80 ? 1 : bytes[0] < 0xe0 ? 2 : bytes[0] < 0xf0 ? 3 : 4;
	uint32_t character = length == 1 ? bytes[0] : bytes[0] & (0x7fu >> length);

	for (uint32_t i = 1; i < length; i++)
		character = character << 6 | (bytes[i] & 0x3f);
	*at += length;
	return character;
}

/* What a terminal does not print but obey: controls, joiners, and what turns the direction. */
static bool is_obeyed(uint32_t character)
{
	return character < 0x20 || (character >= 0x7f && character < 0xa0) || character == 0xad ||
	       character == 0x61c || (character >= 0x200b && character <= 0x200f) ||
	       (character >= 0x2028 && character <= 0x202e) ||
	       (character >= 0x2060 && character <= 0x206f) || character == 0xfeff;
}

/* At most; those of the Far East and pictures take two. */
static uint32_t columns_of(uint32_t character)
{
	return character >= 0x1100 ? 2 : 1;
}

static uint32_t word_columns(const char *word)
{
	uint32_t columns = 0;

	while (*word != '\0' && *word != ' ' && columns <= COLUMNS)
		columns += columns_of(take_character(&word));
	return columns;
}

/* Breaks between words where they let it. `indent` is of all lines but the first. */
static void wrap(FILE *stream, const char *words, uint32_t indent)
{
	uint32_t character, columns, column = 0;
	const char *next;

	for (; *words != '\0'; words = next) {
		bool is_end;

		next = words;
		character = take_character(&next);
		columns = columns_of(character);
		is_end = character == ' ' && column + 1 + word_columns(next) > COLUMNS &&
		         indent + word_columns(next) <= COLUMNS;
		if (is_end || column + columns > COLUMNS) {
			fprintf(stream, "\n%*s", (int)indent, "");
			column = indent;
		}
		if (is_end)
			continue; /* the new line stands for the space */
		if (is_obeyed(character))
			fputc('?', stream);
		else
			fwrite(words, 1, (size_t)(next - words), stream);
		column += columns;
	}
	fputc('\n', stream);
}

static void begin_paragraph(struct text *text)
{
	text->paragraph = NULL;
	text->words = open_memstream(&text->paragraph, &text->length);
	text->failed = text->failed || text->words == NULL;
}

/* And begins the next. */
static void end_paragraph(struct text *text, uint32_t indent)
{
	if (text->words == NULL)
		return;
	text->failed = text->failed || ferror(text->words) != 0;
	text->failed = fclose(text->words) != 0 || text->failed;
	if (!text->failed)
		wrap(text->stream, text->paragraph, indent);
	free(text->paragraph);
	begin_paragraph(text);
}

static void put(struct text *text, const char *words)
{
	if (text->words != NULL)
		fputs(words, text->words);
}

static void put_number(struct text *text, uint64_t number)
{
	if (text->words != NULL)
		fprintf(text->words, "%" PRIu64, number);
}

/* If there is one, with what stands before it. */
static void put_text(struct text *text, const char *before, const char *words)
{
	if (words[0] == '\0')
		return;
	put(text, before);
	put(text, words);
}

static void put_rule(struct text *text, char c)
{
	char rule[COLUMNS + 1];

	memset(rule, c, COLUMNS);
	rule[COLUMNS] = '\0';
	put(text, rule);
	end_paragraph(text, 0);
}

/* "2026-11-28 00:00:01Z" */
static void put_time(struct text *text, const char *time)
{
	char shorter[32];

	if (strlen(time) != AUDIT_TIME_BYTES - 1) {
		put(text, time);
		return;
	}
	snprintf(shorter, sizeof(shorter), "%.10s %.8sZ", time, time + strlen("2026-11-28T"));
	put(text, shorter);
}

/* NULL: there is none. */
static void put_value(struct text *text, const json_t *value)
{
	char *dumped = value == NULL ? NULL : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

	text->failed = text->failed || (value != NULL && dumped == NULL);
	put(text, dumped == NULL ? "nothing" : dumped);
	free(dumped);
}

static void begin_detail(struct text *text, const char *word)
{
	char start[32];

	snprintf(start, sizeof(start), "%*s%s", INDENT, "", word);
	put(text, start);
}

static void put_person(struct text *text, const json_t *row)
{
	const char *who = audit_line_text(row, "who"), *role = audit_line_text(row, "role");
	const char *credential = audit_line_text(row, "credential");
	const char *id = audit_line_text(row, "credential_id"),
	           *from = audit_line_text(row, "from");

	if (who[0] == '\0' && role[0] == '\0' && credential[0] == '\0' && id[0] == '\0' &&
	    from[0] == '\0')
		return;
	begin_detail(text, "by ");
	put(text, who[0] == '\0' ? "somebody" : who);
	put_text(text, " as ", role);
	put_text(text, " with ", credential);
	put_text(text, credential[0] == '\0' ? " with " : " ", id);
	put_text(text, " from ", from);
	end_paragraph(text, INDENT);
}

static void put_what(struct text *text, const json_t *row)
{
	const json_t *before = json_object_get(row, "before"),
	             *after = json_object_get(row, "after");
	const char *target = audit_line_text(row, "target");

	if (target[0] == '\0' && before == NULL && after == NULL)
		return;
	begin_detail(text, target[0] == '\0' ? "" : "on ");
	put(text, target);
	if (before != NULL || after != NULL) {
		put(text, target[0] == '\0' ? "" : ": ");
		put_value(text, before);
		put(text, " -> ");
		put_value(text, after);
	}
	end_paragraph(text, INDENT);
}

static void put_reason(struct text *text, const json_t *row)
{
	const char *reason = audit_line_text(row, "reason");

	if (reason[0] == '\0')
		return;
	begin_detail(text, "why: ");
	put(text, reason);
	end_paragraph(text, INDENT);
}

static void put_line(struct text *text, const json_t *row)
{
	uint64_t count = audit_line_number(row, "count");

	put(text, "#");
	put_number(text, audit_line_number(row, "seq"));
	put(text, "  ");
	put_time(text, audit_line_text(row, "time"));
	put_text(text, "  ", audit_line_text(row, "action"));
	put_text(text, ": ", audit_line_text(row, "result"));
	if (count > 1) {
		put(text, ", ");
		put_number(text, count);
		put(text, " times");
	}
	end_paragraph(text, INDENT);
	put_person(text, row);
	put_what(text, row);
	put_reason(text, row);
}

static void put_group(struct text *text, const json_t *row)
{
	put_number(text, audit_line_number(row, "count"));
	put(text, " times");
	put_text(text, " ", audit_line_text(row, "kind"));
	put_text(text, " ", audit_line_text(row, "action"));
	put_text(text, ": ", audit_line_text(row, "result"));
	end_paragraph(text, INDENT);
	put_person(text, row);
	put_reason(text, row);
	begin_detail(text, "");
	put_time(text, audit_line_text(row, "first"));
	put(text, " to ");
	put_time(text, audit_line_text(row, "last"));
	put(text, ", #");
	put_number(text, audit_line_number(row, "seq"));
	put(text, " to #");
	put_number(text, audit_line_number(row, "last_seq"));
	end_paragraph(text, INDENT);
}

static void put_section(struct text *text, const json_t *section)
{
	const json_t *rows = json_object_get(section, "rows");
	bool is_list = strcmp(audit_line_text(section, "layout"), "list") == 0;
	uint64_t left_out = audit_line_number(section, "left_out_lines");

	end_paragraph(text, 0);
	put(text, audit_line_text(section, "id"));
	put_text(text, "  ", audit_line_text(section, "title"));
	put(text, "  (");
	put_number(text, audit_line_number(section, "events"));
	put(text, ")");
	end_paragraph(text, 0);
	put_rule(text, '-');
	put(text, audit_line_text(section, "asks"));
	end_paragraph(text, 0);
	end_paragraph(text, 0);
	if (json_array_size(rows) == 0) {
		put(text, "None.");
		end_paragraph(text, 0);
	}
	for (size_t i = 0; i < json_array_size(rows); i++) {
		if (is_list)
			put_line(text, json_array_get(rows, i));
		else
			put_group(text, json_array_get(rows, i));
	}
	if (left_out == 0)
		return;
	put(text, "and ");
	put_number(text, left_out);
	put(text, " more lines: ask for a shorter span of time to see them");
	end_paragraph(text, 0);
}

/* "Node        " */
static void put_head(struct text *text, const char *name)
{
	char head[HEAD_INDENT + 1];

	snprintf(head, sizeof(head), "%-*s", HEAD_INDENT, name);
	put(text, head);
}

static void put_chain(struct text *text, const json_t *chain)
{
	const json_t *faults = json_object_get(chain, "faults");
	bool verified = json_is_true(json_object_get(chain, "verified"));

	put_head(text, "Log");
	put(text, verified ? "verified: as it was written, " : "NOT as it was written, ");
	put_number(text, audit_line_number(chain, "lines"));
	put(text, " lines, #");
	put_number(text, audit_line_number(chain, "first_seq"));
	put(text, " to #");
	put_number(text, audit_line_number(chain, "last_seq"));
	put(text, ", files: ");
	put_number(text, audit_line_number(chain, "files"));
	end_paragraph(text, HEAD_INDENT);
	put_head(text, "Last hash");
	put(text, audit_line_text(chain, "hash"));
	end_paragraph(text, HEAD_INDENT);
	if (audit_line_number(chain, "fault_count") == 0)
		return;
	put_head(text, "Faults");
	put_number(text, audit_line_number(chain, "fault_count"));
	end_paragraph(text, HEAD_INDENT);
	for (size_t i = 0; i < json_array_size(faults); i++) {
		put_head(text, "");
		put(text, audit_string(json_array_get(faults, i)));
		end_paragraph(text, HEAD_INDENT);
	}
}

static void put_counts(struct text *text, const json_t *counts)
{
	json_t *kinds = json_object_get(counts, "kinds"), *results, *number;
	const char *kind, *result;

	put_head(text, "Events");
	put_number(text, audit_line_number(counts, "events"));
	put(text, " in ");
	put_number(text, audit_line_number(counts, "lines"));
	put(text, " lines");
	end_paragraph(text, HEAD_INDENT);
	json_object_foreach(kinds, kind, results)
	{
		bool is_first = true;

		json_object_foreach(results, result, number)
		{
			if (audit_line_number(results, result) == 0)
				continue;
			if (is_first)
				put_head(text, "");
			put(text, is_first ? kind : "");
			put(text, is_first ? ": " : ", ");
			put_number(text, audit_line_number(results, result));
			put_text(text, " ", result);
			is_first = false;
		}
		if (!is_first)
			end_paragraph(text, HEAD_INDENT);
	}
}

static void put_report(struct text *text, const json_t *report)
{
	static const char *const heads[][2] = {
	    {"Node", "node"}, {"From", "from"}, {"To", "to"}, {"Made", "made"}};
	const json_t *sections = json_object_get(report, "sections");

	put(text, audit_line_text(report, "title"));
	end_paragraph(text, 0);
	put_rule(text, '=');
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		put_head(text, heads[i][0]);
		put(text, audit_line_text(report, heads[i][1]));
		end_paragraph(text, HEAD_INDENT);
	}
	put_chain(text, json_object_get(report, "chain"));
	put_counts(text, json_object_get(report, "counts"));
	for (size_t i = 0; i < json_array_size(sections); i++)
		put_section(text, json_array_get(sections, i));
}

char *audit_report_text(const json_t *report)
{
	char *bytes = NULL;
	size_t length;
	struct text text = {.stream = open_memstream(&bytes, &length)};

	if (text.stream == NULL)
		return NULL;
	begin_paragraph(&text);
	put_report(&text, report);
	if (text.words != NULL)
		fclose(text.words); /* nothing is in it */
	free(text.paragraph);
	text.failed = text.failed || ferror(text.stream) != 0;
	text.failed = fclose(text.stream) != 0 || text.failed;
	if (!text.failed)
		return bytes;
	free(bytes);
	return NULL;
}
