/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_BYTES_MAX 1024

/* The variable is inherited by children whose stderr is another: only device and inode tell. Asked
 * each time, as log lines are rare and this keeps no state. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat status;

	return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device &&
	       status.st_ino == inode;
}

void log_message(enum log_level level, const char *format, ...)
{
	int errno_before = errno;
	char line[LINE_BYTES_MAX];
	size_t start, length;
	va_list arguments;

	if (stderr_is_journal())
		snprintf(line, sizeof(line), "<%d>", (int)level);
	else
		snprintf(line, sizeof(line), "%s: ", program_invocation_short_name);
	start = strlen(line);
	va_start(arguments, format);
	vsnprintf(line + start, sizeof(line) - start, format, arguments);
	va_end(arguments);
	length = strlen(line);
	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	}
	line[length] = '\n'; /* in the place of the final NUL */
	if (write(STDERR_FILENO, line, length + 1) < 0) {
		/* There is nobody left to tell. */
	}
	errno = errno_before;
}

void log_lines(enum log_level level, const char *text)
{
	while (*text != '\0') {
		size_t length = strcspn(text, "\n");

		log_message(level, "%.*s", (int)length, text);
		text += length;
		if (*text == '\n')
			text++;
	}
}
