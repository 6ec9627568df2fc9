/* SPDX-License-Identifier: Apache-2.0 */
/* What edit.c and edit_find.c share. Nobody else includes this. */
#pragma once

#include "config/document.h"
#include "config/edit.h"

/* What is taken out of the text, and what comes in its place. */
struct splice {
	size_t from;
	size_t until;
	char *with; /* owned */
};

#define SPLICE_COUNT_MAX 2

/* One config_edit(). Places in the text are in bytes. */
struct editor {
	const struct config_edit *edit;
	const char *text;
	size_t length;
	struct faults *faults;
	struct document *document;
	const struct node *mapping; /* where the parameter is, or is to be; NULL: the file is empty
	                             */
	char *value;                /* as it is written, or NULL */
	struct splice splices[SPLICE_COUNT_MAX]; /* in the text's order */
	uint32_t splice_count;
};

/* The fault is about the parameter. Returns error_number. */
int edit_refuse(struct editor *editor, int error_number, const char *reason);

/* Whether there is such a parameter, and it is a single value. 0, or as config_edit(). */
int edit_find_parameter(struct editor *editor);

/* Sets editor->mapping, in its document. 0, or as config_edit(). */
int edit_find_mapping(struct editor *editor);
