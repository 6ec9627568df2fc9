/* SPDX-License-Identifier: Apache-2.0 */
/* What each standard asks for, and which lines of the audit log answer it. Constant. */
#pragma once

#include "control/audit_report.h"

/* How a section's lines are shown. name */
#define AUDIT_LAYOUTS(X)                                                                           \
	X(list)    /* each by itself */                                                            \
	X(sources) /* those of one source, action and reason together */                           \
	X(people)  /* those of one person, credential and kind together */

#define AUDIT_LAYOUT_ENUM(name) AUDIT_LAYOUT_##name,

enum audit_layout {
	AUDIT_LAYOUTS(AUDIT_LAYOUT_ENUM) AUDIT_LAYOUT_COUNT
};

const char *audit_layout_name(enum audit_layout layout);

/* What a section looks at in a line; never NULL, "" when the line has none. */
struct audit_entry {
	const json_t *line;
	const char *kind;
	const char *action;
	const char *result;
	const char *who;
	const char *role;
};

struct audit_section {
	enum audit_standard standard;
	enum audit_layout layout;
	bool (*takes)(const struct audit_entry *entry);
	const char *id; /* of the requirement */
	const char *title;
	const char *asks;
};

extern const struct audit_section audit_sections[];
extern const uint32_t audit_section_count;

const char *audit_standard_name(enum audit_standard standard);
const char *audit_standard_title(enum audit_standard standard);
