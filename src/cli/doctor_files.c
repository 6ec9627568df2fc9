/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NUMBER_BYTES 64
#define CORES_BYTES  8192 /* every other one of 1024 */

static void path_make(const struct doctor *doctor, char ret_path[DOCTOR_PATH_BYTES],
                      const char *format, va_list arguments) __attribute__((format(printf, 3, 0)));

static void path_make(const struct doctor *doctor, char ret_path[DOCTOR_PATH_BYTES],
                      const char *format, va_list arguments)
{
	int root = snprintf(ret_path, DOCTOR_PATH_BYTES, "%s", doctor->host->root);
	int rest = 0;

	if (root < DOCTOR_PATH_BYTES)
		rest = vsnprintf(ret_path + root, (size_t)(DOCTOR_PATH_BYTES - root), format,
		                 arguments);
	if (root + rest >= DOCTOR_PATH_BYTES)
		ret_path[0] = '\0';
}

void doctor_path(const struct doctor *doctor, char ret_path[DOCTOR_PATH_BYTES], const char *format,
                 ...)
{
	va_list arguments;

	va_start(arguments, format);
	path_make(doctor, ret_path, format, arguments);
	va_end(arguments);
}

bool doctor_exists(const struct doctor *doctor, const char *format, ...)
{
	char path[DOCTOR_PATH_BYTES];
	va_list arguments;

	va_start(arguments, format);
	path_make(doctor, path, format, arguments);
	va_end(arguments);
	return access(path, F_OK) == 0;
}

/* All of a small file, with a NUL behind it. */
static int read_text(const char *path, char *ret_text, size_t text_bytes)
{
	/* O_NONBLOCK: a FIFO without a writer must not hang the caller. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	size_t used = 0;
	ssize_t n = 1;
	int r = 0;

	ret_text[0] = '\0';
	if (fd < 0)
		return -errno;
	while (n > 0 && used < text_bytes - 1) {
		n = read(fd, ret_text + used, text_bytes - 1 - used);
		if (n < 0)
			r = -errno;
		else
			used += (size_t)n;
	}
	close(fd);
	ret_text[r < 0 ? 0 : used] = '\0';
	return r;
}

static int read_line(const char *path, char *ret_text, size_t text_bytes)
{
	int r = read_text(path, ret_text, text_bytes);

	ret_text[strcspn(ret_text, "\n")] = '\0';
	return r;
}

int doctor_read(const struct doctor *doctor, char *ret_text, size_t text_bytes, const char *format,
                ...)
{
	char path[DOCTOR_PATH_BYTES];
	va_list arguments;

	va_start(arguments, format);
	path_make(doctor, path, format, arguments);
	va_end(arguments);
	return read_line(path, ret_text, text_bytes);
}

/* Digits and nothing else but blanks around them. */
static bool parse_number(uint64_t *ret_number, const char *text, const char **ret_end)
{
	char *end;

	text += strspn(text, " \t");
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*ret_number = strtoull(text, &end, 10);
	*ret_end = end + strspn(end, " \t");
	return errno == 0;
}

int doctor_read_number(const struct doctor *doctor, uint64_t *ret_number, const char *format, ...)
{
	char path[DOCTOR_PATH_BYTES], text[NUMBER_BYTES];
	const char *end;
	uint64_t number;
	va_list arguments;
	int r;

	va_start(arguments, format);
	path_make(doctor, path, format, arguments);
	va_end(arguments);
	r = read_line(path, text, sizeof(text));
	if (r < 0)
		return r;
	if (!parse_number(&number, text, &end) || *end != '\0')
		return -EINVAL;
	*ret_number = number;
	return 0;
}

struct field {
	const char *name;
	uint64_t bytes;
	bool is_found;
};

static bool take_field(void *context, char *line)
{
	struct field *field = context;
	size_t length = strlen(field->name);
	const char *end;
	uint64_t number;

	if (strncmp(line, field->name, length) != 0 || line[length] != ':')
		return true;
	if (!parse_number(&number, line + length + 1, &end))
		return false;
	field->is_found = true;
	field->bytes = number;
	if (strcmp(end, "kB") == 0)
		field->bytes = number > UINT64_MAX / 1024 ? UINT64_MAX : number * 1024;
	return false;
}

int doctor_read_field(const struct doctor *doctor, uint64_t *ret_bytes, const char *name,
                      const char *format, ...)
{
	struct field field = {.name = name};
	char path[DOCTOR_PATH_BYTES];
	va_list arguments;
	int r;

	va_start(arguments, format);
	vsnprintf(path, sizeof(path), format, arguments);
	va_end(arguments);
	r = doctor_read_lines(doctor, path, take_field, &field);
	if (r < 0)
		return r;
	if (!field.is_found)
		return -ENOENT;
	*ret_bytes = field.bytes;
	return 0;
}

void doctor_read_link(const struct doctor *doctor, char *ret_name, size_t name_bytes,
                      const char *format, ...)
{
	char path[DOCTOR_PATH_BYTES], target[DOCTOR_PATH_BYTES];
	const char *slash;
	va_list arguments;
	ssize_t length;

	va_start(arguments, format);
	path_make(doctor, path, format, arguments);
	va_end(arguments);
	ret_name[0] = '\0';
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return;
	target[length] = '\0';
	slash = strrchr(target, '/');
	slash = slash == NULL ? target : slash + 1;
	if (strlen(slash) < name_bytes)
		memcpy(ret_name, slash, strlen(slash) + 1);
}

int doctor_read_lines(const struct doctor *doctor, const char *path,
                      bool (*take)(void *context, char *line), void *context)
{
	char whole[DOCTOR_PATH_BYTES];
	char *line = NULL;
	size_t line_bytes = 0;
	ssize_t length;
	FILE *file;
	int fd, r;

	doctor_path(doctor, whole, "%s", path);
	fd = open(whole, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	file = fdopen(fd, "r");
	if (file == NULL) {
		r = -errno;
		close(fd);
		return r;
	}
	errno = 0;
	while ((length = getline(&line, &line_bytes, file)) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (!take(context, line))
			break;
		errno = 0;
	}
	r = length < 0 && !feof(file) ? -(errno != 0 ? errno : EIO) : 0;
	free(line);
	fclose(file);
	return r;
}

int doctor_read_directory(const struct doctor *doctor, const char *path,
                          bool (*take)(void *context, const char *name), void *context)
{
	char whole[DOCTOR_PATH_BYTES];
	struct dirent *entry;
	DIR *directory;
	int r;

	doctor_path(doctor, whole, "%s", path);
	directory = opendir(whole);
	if (directory == NULL)
		return -errno;
	errno = 0;
	while ((entry = readdir(directory)) != NULL) {
		if (entry->d_name[0] != '.' && !take(context, entry->d_name))
			break;
		errno = 0;
	}
	r = entry == NULL ? -errno : 0;
	closedir(directory);
	return r;
}

int doctor_write(const struct doctor *doctor, const char *text, const char *format, ...)
{
	char path[DOCTOR_PATH_BYTES];
	va_list arguments;
	ssize_t written;
	int fd, r = 0;

	va_start(arguments, format);
	path_make(doctor, path, format, arguments);
	va_end(arguments);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	written = write(fd, text, strlen(text));
	if (written != (ssize_t)strlen(text))
		r = written < 0 ? -errno : -EIO;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	return r;
}

void doctor_format_size(char ret_text[DOCTOR_SIZE_BYTES], uint64_t bytes)
{
	if (bytes >= 10 * CONFIG_GIB)
		snprintf(ret_text, DOCTOR_SIZE_BYTES, "%.1f GiB",
		         (double)bytes / (double)CONFIG_GIB);
	else if (bytes >= 10 * CONFIG_MIB || bytes % CONFIG_MIB == 0)
		snprintf(ret_text, DOCTOR_SIZE_BYTES, "%llu MiB",
		         (unsigned long long)(bytes / CONFIG_MIB));
	else
		snprintf(ret_text, DOCTOR_SIZE_BYTES, "%llu KiB",
		         (unsigned long long)(bytes / CONFIG_KIB));
}

bool doctor_parse_cores(cpu_set_t *ret_cores, const char *text)
{
	cpu_set_t cores;

	CPU_ZERO(&cores);
	text += strspn(text, " \t");
	while (*text != '\0') {
		const char *end;
		uint64_t first, last;

		if (!parse_number(&first, text, &end))
			return false;
		last = first;
		if (*end == '-' && !parse_number(&last, end + 1, &end))
			return false;
		if (last < first || last >= CPU_SETSIZE)
			return false;
		for (uint64_t core = first; core <= last; core++)
			CPU_SET(core, &cores);
		if (*end == ',' && end[1] != '\0')
			end++;
		else if (*end != '\0')
			return false;
		text = end;
	}
	*ret_cores = cores;
	return true;
}

int doctor_read_cores(const struct doctor *doctor, cpu_set_t *ret_cores, const char *format, ...)
{
	char path[DOCTOR_PATH_BYTES], text[CORES_BYTES];
	va_list arguments;
	int r;

	CPU_ZERO(ret_cores);
	va_start(arguments, format);
	path_make(doctor, path, format, arguments);
	va_end(arguments);
	r = read_line(path, text, sizeof(text));
	return r == 0 && !doctor_parse_cores(ret_cores, text) ? -EINVAL : r;
}

void doctor_format_cores(char ret_text[DOCTOR_LIST_BYTES], const cpu_set_t *cores)
{
	size_t used = 0;

	ret_text[0] = '\0';
	for (int first = 0; first < CPU_SETSIZE; first++) {
		int last = first;

		if (!CPU_ISSET(first, cores))
			continue;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, cores))
			last++;
		if (used > DOCTOR_LIST_BYTES - 16) { /* "1020-1023" and more has no room */
			snprintf(ret_text + used, DOCTOR_LIST_BYTES - used, ",…");
			return;
		}
		used += (size_t)snprintf(ret_text + used, DOCTOR_LIST_BYTES - used,
		                         first == last ? "%s%d" : "%s%d-%d", used == 0 ? "" : ",",
		                         first, last);
		first = last;
	}
}

int doctor_fix_failed(char *text, size_t text_bytes, int r, const char *what)
{
	snprintf(text, text_bytes, "%s: %s%s", what, strerror(-r),
	         r == -EACCES || r == -EPERM ? ": run it as root" : "");
	return r;
}
