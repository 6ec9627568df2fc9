/* SPDX-License-Identifier: Apache-2.0 */
#include "control/audit_newest.h"

#include "control/audit_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct search {
	const struct audit_newest_options *options;
	struct audit_newest found;
	char *who;   /* as it is in a line, in quotes; NULL: anybody */
	bool is_old; /* no line of the file is as new as is asked for */
};

static bool is_full(const struct search *search)
{
	return json_array_size(search->found.lines) >= search->options->limit;
}

/* 0; -ENOMEM. */
static int take_line(struct search *search, const char *text, size_t length)
{
	const struct audit_newest_options *options = search->options;
	struct audit_line line;
	json_t *object = NULL;
	int r = audit_line_scan(&line, text, length);

	if (r == -ENOMEM)
		return r;
	if (r < 0 || !line.hash_matches) {
		search->found.damaged_count++;
		return 0;
	}
	/* a clock may have been set back in between: a file is done before it is known */
	search->is_old = search->is_old && line.time_us < options->from_us;
	if (line.time_us < options->from_us || line.time_us >= options->to_us ||
	    (options->kind != AUDIT_KIND_COUNT && line.kind != options->kind) ||
	    /* to parse a line takes several times as long as all else */
	    (search->who != NULL && memmem(text, length, search->who, strlen(search->who)) == NULL))
		return 0;
	object = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	if (object == NULL) {
		search->found.damaged_count++;
		return 0;
	}
	if (options->who == NULL || strcmp(audit_line_text(object, "who"), options->who) == 0)
		r = json_array_append(search->found.lines, object) < 0 ? -ENOMEM : 0;
	json_decref(object);
	return r;
}

/* `is_log`: what is behind its last newline is being written, or was cut off by a crash. */
static int take_lines(struct search *search, const char *bytes, size_t length, bool is_log)
{
	size_t end = length;
	int r = 0;

	search->is_old = true;
	if (is_log) {
		const char *newline = memrchr(bytes, '\n', length);

		end = newline == NULL ? 0 : (size_t)(newline - bytes) + 1;
	}
	while (r == 0 && end > 0 && !is_full(search)) {
		size_t line_end = end - (bytes[end - 1] == '\n');
		const char *newline = memrchr(bytes, '\n', line_end);
		size_t start = newline == NULL ? 0 : (size_t)(newline - bytes) + 1;

		r = take_line(search, bytes + start, line_end - start);
		end = start;
	}
	return r;
}

/* Of what was there when the log was looked at; it is only added to. */
static int take_file(struct search *search, int fd, uint64_t length, bool is_log)
{
	void *bytes;
	int r;

	if (length == 0)
		return 0;
	bytes = mmap(NULL, length, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return -errno;
	r = take_lines(search, bytes, length, is_log);
	munmap(bytes, length);
	return r;
}

static int take_files(struct search *search, const struct audit_files *files)
{
	char name[AUDIT_NAME_BYTES];
	int r = 0;

	if (files->log_fd >= 0)
		r = take_file(search, files->log_fd, files->log_bytes, true);
	for (uint32_t i = files->count; r == 0 && i > 0 && !is_full(search) && !search->is_old;
	     i--) {
		uint64_t length;
		int fd;

		audit_name_format(name, files->first_seqs[i - 1]);
		r = audit_file_open(&fd, &length, files->directory_fd, name);
		if (r == -ENOENT)
			return 0; /* it was deleted by now, as too old */
		if (r < 0)
			return r;
		r = take_file(search, fd, length, false);
		close(fd);
	}
	return r;
}

/* 0; -ENOMEM; -EILSEQ: what is no UTF-8 is nobody's name. */
static int encode_who(struct search *search)
{
	json_t *who = json_string(search->options->who);

	if (who == NULL)
		return -EILSEQ;
	search->who = json_dumps(who, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
	json_decref(who);
	return search->who == NULL ? -ENOMEM : 0;
}

int audit_newest(struct audit_newest *ret_newest, const struct audit_newest_options *options,
                 char *error, size_t error_bytes)
{
	struct search search = {.options = options, .found = {.lines = json_array()}};
	struct audit_files files;
	int r = search.found.lines == NULL ? -ENOMEM : 0;

	if (r == 0 && options->who != NULL)
		r = encode_who(&search);
	if (r == 0)
		r = audit_files_open(&files, options->directory);
	if (r == 0) {
		r = take_files(&search, &files);
		audit_files_close(&files);
	}
	free(search.who);
	if (r < 0 && r != -EILSEQ) {
		snprintf(error, error_bytes, "the audit log in %s cannot be read (%s): %s",
		         options->directory, strerror(-r),
		         r == -EAGAIN ? "it is written to all the time: try again"
		                      : "look at its files, or try again");
		json_decref(search.found.lines);
		return r;
	}
	*ret_newest = search.found;
	return 0;
}
