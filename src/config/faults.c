/* SPDX-License-Identifier: Apache-2.0 */
#include "config/faults.h"

#include "base/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FAULT_BYTES_MAX 768

void faults_create(struct faults *faults, const char *file, char *text, size_t text_bytes)
{
	ASSERT(text_bytes > 0);
	*faults = (struct faults){.file = file, .text = text, .text_bytes = text_bytes};
	text[0] = '\0';
}

/* Whole lines only; the first one is cut rather than left out. */
static void faults_append(struct faults *faults, const char *line)
{
	size_t length = strlen(line);
	size_t separator = faults->used_bytes > 0 ? 1 : 0;
	size_t room = faults->text_bytes - faults->used_bytes - 1;

	if (length + separator > room) {
		if (separator > 0) {
			faults->left_out_count++;
			return;
		}
		length = room;
	}
	if (separator > 0)
		faults->text[faults->used_bytes++] = '\n';
	memcpy(faults->text + faults->used_bytes, line, length);
	faults->used_bytes += length;
	faults->text[faults->used_bytes] = '\0';
}

void faults_add(struct faults *faults, uint32_t line, const char *path, const char *format, ...)
{
	char reason[FAULT_BYTES_MAX / 2], place[16] = "", whole[FAULT_BYTES_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	if (line > 0)
		snprintf(place, sizeof(place), ":%u", line);
	snprintf(whole, sizeof(whole), "%s%s: %s%s%s", faults->file, place, path,
	         path[0] == '\0' ? "" : ": ", reason);
	faults->count++;
	faults_append(faults, whole);
}

void faults_finish(struct faults *faults)
{
	char line[64];

	if (faults->left_out_count == 0)
		return;
	snprintf(line, sizeof(line), "and %u more", faults->left_out_count);
	/* The last line gives way when there is no room for this one. */
	while (faults->used_bytes + 1 + strlen(line) + 1 > faults->text_bytes) {
		char *newline = strrchr(faults->text, '\n');

		if (newline == NULL)
			return;
		*newline = '\0';
		faults->used_bytes = (size_t)(newline - faults->text);
		snprintf(line, sizeof(line), "and %u more", ++faults->left_out_count);
	}
	faults_append(faults, line);
}

void faults_quote(char ret_quoted[FAULTS_QUOTE_BYTES], const char *text)
{
	size_t length = 0;

	for (; text[length] != '\0' && length < FAULTS_QUOTE_BYTES - 1; length++) {
		char c = text[length];

		ret_quoted[length] = c >= 0x20 && c < 0x7f ? c : '?';
	}
	if (text[length] != '\0')
		memcpy(ret_quoted + FAULTS_QUOTE_BYTES - 4, "...", 3);
	ret_quoted[length] = '\0';
}
