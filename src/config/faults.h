/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a file, one line a fault: "FILE:LINE: PATH: what is wrong: what to do".
 * Owner: whoever loads the file; the text is the caller's buffer. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct faults {
	const char *file;
	char *text; /* always ends in NUL; lines are separated, not ended, by newlines */
	size_t text_bytes;
	size_t used_bytes;
	uint32_t count;
	uint32_t left_out_count; /* had no room in text */
};

/* `file` and `text` must outlive the faults. */
void faults_create(struct faults *faults, const char *file, char *text, size_t text_bytes);

/* `line` counts from 1; 0: the file as a whole. `path` is the place in the document
 * ("ports[0].allow") and may be "". */
void faults_add(struct faults *faults, uint32_t line, const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Says how many were left out, if any were. */
void faults_finish(struct faults *faults);

#define FAULTS_QUOTE_BYTES 48

/* What the file says, made fit to be printed: cut, and '?' for all but printable ASCII. */
void faults_quote(char ret_quoted[FAULTS_QUOTE_BYTES], const char *text);
