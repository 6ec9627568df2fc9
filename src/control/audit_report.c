/* SPDX-License-Identifier: Apache-2.0 */
#include "control/audit_report.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "control/audit_lines.h"
#include "control/audit_sections.h"
#include "control/audit_walk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARTS_MAX  16  /* sections of one standard */
#define FAULTS_MAX 100 /* that are told one by one */

struct part {
	const struct audit_section *section;
	json_t *rows;
	json_t *index; /* a group's fields as JSON → its row */
	uint64_t line_count;
	uint64_t event_count;
	uint64_t left_out_count; /* lines that no row tells of */
};

struct making {
	struct part parts[PARTS_MAX];
	uint32_t part_count;
	json_t *kinds; /* name of a kind → name of a result → events */
	json_t *faults;
	uint64_t line_count;
	uint64_t event_count;
	char trouble[256]; /* the first fault */
	bool no_memory;
};

/* NULL-terminated; from is without its port. */
static const char *const *fields_of(enum audit_layout layout)
{
	static const char *const sources[] = {"from", "action", "result", "reason", NULL};
	static const char *const people[] = {"role",          "who",  "credential",
	                                     "credential_id", "kind", NULL};

	return layout == AUDIT_LAYOUT_sources ? sources : people;
}

static bool set_number(json_t *object, const char *name, uint64_t number)
{
	return json_object_set_new(object, name, json_integer((json_int_t)number)) == 0;
}

/* The fields that a line is grouped by. NULL: no memory. */
static json_t *group_of(const json_t *line, enum audit_layout layout)
{
	const char *const *fields = fields_of(layout);
	char source[IDENTITY_FROM_BYTES];
	json_t *group = json_object();

	for (; group != NULL && *fields != NULL; fields++) {
		const char *text = audit_line_text(line, *fields);

		if (strcmp(*fields, "from") == 0 && strlen(text) < sizeof(source)) {
			audit_source(source, text);
			text = source;
		}
		if (text[0] != '\0' && json_object_set_new(group, *fields, json_string(text)) < 0) {
			json_decref(group);
			return NULL;
		}
	}
	return group;
}

/* A row of its own. False: no memory. */
static bool add_line(struct part *part, const json_t *line)
{
	json_t *row = json_copy((json_t *)(uintptr_t)line);

	if (row == NULL)
		return false;
	(void)json_object_del(row, "prev");
	(void)json_object_del(row, "hash");
	return json_array_append_new(part->rows, row) == 0;
}

/* Begins a row for the group. False: no memory. */
static bool begin_group(struct part *part, const char *key, json_t *row, const json_t *line)
{
	return set_number(row, "count", 0) && set_number(row, "lines", 0) &&
	       set_number(row, "seq", audit_line_number(line, "seq")) &&
	       json_object_set_new(row, "first", json_string(audit_line_text(line, "time"))) == 0 &&
	       json_object_set(part->index, key, row) == 0 &&
	       json_array_append(part->rows, row) == 0;
}

/* Adds the line to its group's row. False: no memory. */
static bool add_to_group(struct part *part, const json_t *line, uint64_t count)
{
	json_t *group = group_of(line, part->section->layout), *row;
	char *key = group == NULL ? NULL : json_dumps(group, JSON_COMPACT);
	bool done = false;

	if (key == NULL)
		goto finish;
	row = json_object_get(part->index, key);
	if (row == NULL && json_array_size(part->rows) >= AUDIT_REPORT_ROWS_MAX) {
		part->left_out_count++;
		done = true;
		goto finish;
	}
	if (row == NULL) {
		row = group;
		if (!begin_group(part, key, row, line))
			goto finish;
	}
	done = set_number(row, "count", audit_line_number(row, "count") + count) &&
	       set_number(row, "lines", audit_line_number(row, "lines") + 1) &&
	       set_number(row, "last_seq", audit_line_number(line, "seq")) &&
	       json_object_set_new(row, "last", json_string(audit_line_text(line, "time"))) == 0;
finish:
	free(key);
	json_decref(group);
	return done;
}

static bool add_to_part(struct part *part, const json_t *line, uint64_t count)
{
	part->line_count++;
	part->event_count += count;
	if (part->section->layout != AUDIT_LAYOUT_list)
		return add_to_group(part, line, count);
	if (json_array_size(part->rows) < AUDIT_REPORT_ROWS_MAX)
		return add_line(part, line);
	part->left_out_count++;
	return true;
}

/* Kinds and results of a later version are counted by their names, too. */
static bool count_kind(json_t *kinds, const char *kind, const char *result, uint64_t count)
{
	json_t *results = json_object_get(kinds, kind);

	if (results == NULL) {
		results = json_object();
		if (json_object_set_new(kinds, kind, results) < 0)
			return false;
	}
	return set_number(results, result, audit_line_number(results, result) + count);
}

static bool take_line(void *context, const json_t *line)
{
	struct making *making = context;
	const struct audit_entry entry = {
	    .line = line,
	    .kind = audit_line_text(line, "kind"),
	    .action = audit_line_text(line, "action"),
	    .result = audit_line_text(line, "result"),
	    .who = audit_line_text(line, "who"),
	    .role = audit_line_text(line, "role"),
	};
	uint64_t count = max_u64(audit_line_number(line, "count"), 1);

	making->line_count++;
	making->event_count += count;
	making->no_memory = !count_kind(making->kinds, entry.kind, entry.result, count);
	for (uint32_t i = 0; !making->no_memory && i < making->part_count; i++)
		if (making->parts[i].section->takes(&entry))
			making->no_memory = !add_to_part(&making->parts[i], line, count);
	return !making->no_memory;
}

static void take_fault(void *context, const char *fault)
{
	struct making *making = context;

	if (making->trouble[0] == '\0')
		snprintf(making->trouble, sizeof(making->trouble), "%s", fault);
	/* what there is no memory for, or is too much, is in the number of faults */
	if (json_array_size(making->faults) < FAULTS_MAX)
		(void)json_array_append_new(making->faults, json_string(fault));
}

/* All kinds with all results, so that a report says of none that there were none. */
static bool begin_counts(struct making *making)
{
	making->kinds = json_object();
	making->faults = json_array();
	if (making->kinds == NULL || making->faults == NULL)
		return false;
	for (int kind = 0; kind < AUDIT_KIND_COUNT; kind++)
		for (int result = AUDIT_OK; result <= AUDIT_FAILED; result++)
			if (!count_kind(making->kinds, audit_kind_name((enum audit_kind)kind),
			                audit_result_name((enum audit_result)result), 0))
				return false;
	return true;
}

static bool begin(struct making *making, enum audit_standard standard)
{
	*making = (struct making){0};
	for (uint32_t i = 0; i < audit_section_count; i++) {
		struct part *part = &making->parts[making->part_count];

		if (audit_sections[i].standard != standard)
			continue;
		ASSERT(making->part_count < PARTS_MAX);
		making->part_count++;
		part->section = &audit_sections[i];
		part->rows = json_array();
		part->index = json_object();
		if (part->rows == NULL || part->index == NULL)
			return false;
	}
	return begin_counts(making);
}

static void end(struct making *making)
{
	for (uint32_t i = 0; i < making->part_count; i++) {
		json_decref(making->parts[i].rows);
		json_decref(making->parts[i].index);
	}
	json_decref(making->kinds);
	json_decref(making->faults);
}

/* NULL: no memory. */
static json_t *sections_of(const struct making *making)
{
	json_t *sections = json_array(), *section;

	for (uint32_t i = 0; sections != NULL && i < making->part_count; i++) {
		const struct part *part = &making->parts[i];

		section = json_pack(
		    "{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:O}", "id", part->section->id, "title",
		    part->section->title, "asks", part->section->asks, "layout",
		    audit_layout_name(part->section->layout), "lines", (json_int_t)part->line_count,
		    "events", (json_int_t)part->event_count, "left_out_lines",
		    (json_int_t)part->left_out_count, "rows", part->rows);
		if (json_array_append_new(sections, section) < 0) {
			json_decref(sections);
			return NULL;
		}
	}
	return sections;
}

static json_t *chain_of(const struct making *making, const struct audit_verdict *verdict)
{
	return json_pack("{s:b, s:I, s:I, s:I, s:I, s:s, s:I, s:O}", "verified",
	                 verdict->fault_count == 0, "lines", (json_int_t)verdict->line_count,
	                 "files", (json_int_t)verdict->file_count, "first_seq",
	                 (json_int_t)verdict->first_seq, "last_seq", (json_int_t)verdict->last_seq,
	                 "hash", verdict->last_hash, "fault_count",
	                 (json_int_t)verdict->fault_count, "faults", making->faults);
}

/* Names may be of any bytes. NULL: no memory. */
static json_t *name_value(const char *name)
{
	json_t *value = json_string(name);

	return value != NULL ? value : json_string("?");
}

struct span {
	uint64_t from_us;
	uint64_t to_us;
	uint64_t made_us;
};

/* NULL: no memory. */
static json_t *report_of(const struct making *making, const struct audit_verdict *verdict,
                         enum audit_standard standard, const char *node, const struct span *span)
{
	char from[AUDIT_TIME_BYTES], to[AUDIT_TIME_BYTES], made[AUDIT_TIME_BYTES];
	json_t *counts =
	    json_pack("{s:I, s:I, s:O}", "lines", (json_int_t)making->line_count, "events",
	              (json_int_t)making->event_count, "kinds", making->kinds);

	audit_time_format(from, span->from_us);
	audit_time_format(to, span->to_us);
	audit_time_format(made, span->made_us);
	/* o: given away in any case */
	return json_pack("{s:s, s:s, s:o, s:s, s:s, s:s, s:o, s:o, s:o}", "standard",
	                 audit_standard_name(standard), "title", audit_standard_title(standard),
	                 "node", name_value(node), "from", from, "to", to, "made", made, "chain",
	                 chain_of(making, verdict), "counts", counts, "sections",
	                 sections_of(making));
}

int audit_report_make(json_t **ret_report, const char *directory, const char *node,
                      enum audit_standard standard, uint64_t from_us, uint64_t to_us,
                      uint64_t now_us, char *error, size_t error_bytes)
{
	const struct span span = {from_us, to_us, now_us};
	struct making making;
	const struct audit_walk_options options = {
	    .directory = directory,
	    .fault = take_fault,
	    .line = take_line,
	    .from_us = from_us,
	    .to_us = to_us,
	    .context = &making,
	};
	struct audit_walk_result walked;
	json_t *report = NULL;
	int r = -ENOMEM;

	error[0] = '\0';
	if (begin(&making, standard)) {
		r = audit_walk(&walked, &options);
		if (making.no_memory)
			r = -ENOMEM;
		else if (r == 0 || r == -EBADMSG)
			report = report_of(&making, &walked.verdict, standard, node, &span);
		else
			snprintf(error, error_bytes, "%s", making.trouble);
	}
	end(&making);
	if (report != NULL) {
		*ret_report = report;
		return 0;
	}
	if (r == 0 || r == -EBADMSG)
		r = -ENOMEM;
	if (error[0] == '\0')
		snprintf(error, error_bytes,
		         "no memory for the report: ask for a shorter span of time");
	return r;
}
