/* SPDX-License-Identifier: Apache-2.0 */
#include "control/audit_walk.h"

#include "base/bytes.h"
#include "control/audit_files.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_BYTES (2 * (size_t)AUDIT_LINE_BYTES_MAX)
#define FAULT_BYTES  256

/* The lines of one file, of which each is looked at where it lies. */
struct reader {
	int fd;
	uint64_t left_bytes; /* in the file */
	char *buffer;        /* BUFFER_BYTES */
	size_t start;        /* of what was read and not yet given */
	size_t end;
};

enum reading {
	READING_LINE,
	READING_LONG, /* a line longer than any of ours; `text` is its first bytes */
	READING_CUT,  /* bytes without a newline, at the end */
	READING_END,
};

struct walk {
	const struct audit_walk_options *options;
	struct audit_walk_result result;
	struct audit_head head;
	bool has_head;
	char file[AUDIT_NAME_BYTES];
	uint64_t line_number;
	bool first_of_file;
	bool enough;
	uint64_t unknown_count;   /* lines since the last good one whose place is not known */
	uint64_t deleted_through; /* lines up to this one were deleted, says a line */
	bool head_met;
	bool ahead_whole; /* a line that was brought to the disk at once is ahead of the head */
	bool head_old;    /* and it is not the last one */
};

static void add_fault(struct walk *walk, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add_fault(struct walk *walk, const char *format, ...)
{
	char fault[FAULT_BYTES];
	va_list arguments;

	walk->result.verdict.fault_count++;
	if (walk->options->fault == NULL)
		return;
	va_start(arguments, format);
	vsnprintf(fault, sizeof(fault), format, arguments);
	va_end(arguments);
	walk->options->fault(walk->options->context, fault);
}

#define ADD_LINE_FAULT(walk, format, ...)                                                          \
	add_fault(walk, "%s:%" PRIu64 ": " format, (walk)->file,                                   \
	          (walk)->line_number __VA_OPT__(, ) __VA_ARGS__)

/* Fills the buffer behind what is in it. 0; a negative errno. */
static int fill(struct reader *reader)
{
	size_t room;
	ssize_t n;

	memmove(reader->buffer, reader->buffer + reader->start, reader->end - reader->start);
	reader->end -= reader->start;
	reader->start = 0;
	room = min_u64(BUFFER_BYTES - reader->end, reader->left_bytes);
	n = read(reader->fd, reader->buffer + reader->end, room);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	reader->end += (size_t)n;
	/* shorter than it was: somebody took off a line that he could not finish */
	reader->left_bytes = n == 0 ? 0 : reader->left_bytes - (uint64_t)n;
	return 0;
}

/* What is left of a line that is too long is dropped. */
static int skip_line(struct reader *reader)
{
	char *newline = NULL;
	int r = 0;

	while (r == 0 && newline == NULL &&
	       (reader->end > reader->start || reader->left_bytes > 0)) {
		newline = memchr(reader->buffer + reader->start, '\n', reader->end - reader->start);
		reader->start =
		    newline == NULL ? reader->end : (size_t)(newline + 1 - reader->buffer);
		if (newline == NULL)
			r = fill(reader);
	}
	return r;
}

/* A value of enum reading; a negative errno. */
static int next_line(struct reader *reader, const char **ret_text, size_t *ret_length)
{
	const char *start, *newline;
	int r;

	for (;;) {
		size_t length = reader->end - reader->start;

		start = reader->buffer + reader->start;
		newline = memchr(start, '\n', length);
		if (newline != NULL)
			length = (size_t)(newline - start);
		*ret_text = start;
		*ret_length = length;
		if (length >= AUDIT_LINE_BYTES_MAX) {
			r = skip_line(reader);
			return r < 0 ? r : READING_LONG;
		}
		if (newline != NULL) {
			reader->start += length + 1;
			return READING_LINE;
		}
		if (reader->left_bytes == 0) {
			reader->start = reader->end;
			return length > 0 ? READING_CUT : READING_END;
		}
		r = fill(reader);
		if (r < 0)
			return r;
	}
}

/* Where the line stands to those before it. False: it is not where it belongs. */
static bool check_place(struct walk *walk, const struct audit_line *line)
{
	struct audit_verdict *verdict = &walk->result.verdict;
	uint64_t expected = verdict->last_seq + 1;

	if (verdict->first_seq == 0) {
		verdict->first_seq = line->seq - min_u64(walk->unknown_count, line->seq - 1);
		if (line->seq == 1 && strcmp(line->prev, AUDIT_HASH_NONE) != 0)
			ADD_LINE_FAULT(walk,
			               "line 1 follows another line: those before it are missing");
		return true;
	}
	if (line->seq < expected) {
		ADD_LINE_FAULT(walk,
		               "line %" PRIu64 " stands behind line %" PRIu64
		               ": it is out of order, or there twice",
		               line->seq, verdict->last_seq);
		return false;
	}
	if (line->seq > expected + walk->unknown_count)
		ADD_LINE_FAULT(walk, "lines %" PRIu64 " to %" PRIu64 " are missing before this one",
		               expected + walk->unknown_count, line->seq - 1);
	else if (line->seq == expected && strcmp(line->prev, verdict->last_hash) != 0)
		ADD_LINE_FAULT(walk,
		               "line %" PRIu64 " does not follow from line %" PRIu64
		               ": one of them is not the one that was written",
		               line->seq, verdict->last_seq);
	return true;
}

static void check_head(struct walk *walk, const struct audit_line *line)
{
	if (line->seq == walk->head.seq) {
		walk->head_met = true;
		if (strcmp(line->hash, walk->head.hash) != 0)
			ADD_LINE_FAULT(walk,
			               "line %" PRIu64 " is not the one that " AUDIT_HEAD
			               " knows: one of the two was replaced",
			               line->seq);
	} else if (line->seq > walk->head.seq) {
		walk->head_old = walk->head_old || walk->ahead_whole;
		walk->ahead_whole = walk->ahead_whole || !audit_kind_waits(line->kind);
	}
}

/* How far lines were deleted by rotation, when this line of kind system says so. */
static void note_deletion(struct walk *walk, const json_t *object)
{
	const json_t *before = json_object_get(object, "before");

	if (strcmp(audit_line_text(object, "action"), "audit.deleted") == 0 &&
	    strcmp(audit_line_text(object, "result"), "ok") == 0)
		walk->deleted_through =
		    max_u64(walk->deleted_through, audit_line_number(before, "last_seq"));
}

/* Its hash is right: it is what was written. Only lines that somebody asks for are parsed, which
 * takes several times as long as all else. 0; -ENOMEM. */
static int take_line(struct walk *walk, const struct audit_line *line, const char *text,
                     size_t length)
{
	const struct audit_walk_options *options = walk->options;
	struct audit_verdict *verdict = &walk->result.verdict;
	bool is_asked_for = options->line != NULL && line->time_us >= options->from_us &&
	                    line->time_us < options->to_us;
	json_t *object = NULL;
	json_error_t error;

	if (is_asked_for || line->kind == AUDIT_system) {
		object = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
		if (object == NULL && json_error_code(&error) == json_error_out_of_memory)
			return -ENOMEM;
		if (object == NULL) {
			ADD_LINE_FAULT(walk, "no line of an audit log");
			walk->unknown_count++;
			return 0;
		}
	}
	if (check_place(walk, line)) {
		verdict->last_seq = line->seq;
		memcpy(verdict->last_hash, line->hash, sizeof(verdict->last_hash));
		walk->unknown_count = 0;
		if (walk->first_of_file)
			walk->result.last_file_seq = line->seq;
		walk->first_of_file = false;
		check_head(walk, line);
		if (line->kind == AUDIT_system)
			note_deletion(walk, object);
		if (is_asked_for)
			walk->enough = !options->line(options->context, object);
	}
	json_decref(object);
	return 0;
}

static int check_line(struct walk *walk, int reading, const char *text, size_t length)
{
	struct audit_line line;
	int r = reading == READING_LINE ? audit_line_scan(&line, text, length) : -EBADMSG;

	walk->result.verdict.line_count++;
	if (r == 0 && line.hash_matches)
		return take_line(walk, &line, text, length);
	if (r == 0)
		ADD_LINE_FAULT(walk, "line %" PRIu64 " was changed: its hash does not match",
		               line.seq);
	else if (r == -EBADMSG)
		ADD_LINE_FAULT(walk, "no line of an audit log");
	else
		return r;
	walk->unknown_count++;
	return 0;
}

/* is_log: it is audit.log, whose last line a crash may have cut. */
static int walk_lines(struct walk *walk, struct reader *reader, bool is_log)
{
	const char *text;
	size_t length;
	int r;

	walk->line_number = 0;
	walk->first_of_file = true;
	walk->result.verdict.file_count++;
	while (!walk->enough) {
		r = next_line(reader, &text, &length);
		if (r < 0 || r == READING_END)
			return r < 0 ? r : 0;
		walk->line_number++;
		if (r == READING_CUT && is_log) {
			walk->result.cut_bytes = length;
			return 0;
		}
		r = check_line(walk, r, text, length);
		if (r < 0)
			return r;
	}
	return 0;
}

/* What is wrong with a file that cannot be read, and what to do. */
static const char *reason_of(int error_number)
{
	switch (error_number) {
	case ENOENT: return "there is no audit log: check the path";
	case ESTALE: return "it was deleted while the log was read: do it again";
	case EACCES:
	case EPERM: return "no permission to read it: do it as its owner";
	case ENXIO: return "not a regular file: put back the one that was written";
	case ENOTDIR: return "not a directory: give the one that the audit log is in";
	case EAGAIN: return "it is written to all the time: do it again later";
	default: return strerror(error_number);
	}
}

/* `skip`: nothing but how long it is. */
static int walk_file(struct walk *walk, const struct audit_files *files, char *buffer,
                     uint64_t first_seq, bool skip)
{
	struct reader reader = {.buffer = buffer};
	uint64_t bytes;
	int r;

	audit_name_format(walk->file, first_seq);
	r = audit_file_open(&reader.fd, &reader.left_bytes, files->directory_fd, walk->file);
	if (r < 0) /* it was there a moment ago; ENOENT says that there is no log at all */
		return r == -ENOENT ? -ESTALE : r;
	bytes = reader.left_bytes;
	r = skip ? 0 : walk_lines(walk, &reader, false);
	close(reader.fd);
	walk->result.full_bytes += bytes;
	return r;
}

static int walk_log(struct walk *walk, const struct audit_files *files, char *buffer)
{
	struct reader reader = {
	    .fd = files->log_fd, .left_bytes = files->log_bytes, .buffer = buffer};
	int r;

	if (files->log_fd < 0)
		return 0;
	snprintf(walk->file, sizeof(walk->file), AUDIT_LOG);
	r = walk_lines(walk, &reader, true);
	walk->result.log_bytes = files->log_bytes - walk->result.cut_bytes;
	return r;
}

/* What only the whole of the log shows. */
static void check_ends(struct walk *walk)
{
	const struct audit_verdict *verdict = &walk->result.verdict;
	uint64_t head_seq = walk->head.seq;

	if (!walk->options->newest_only && verdict->first_seq > walk->deleted_through + 1)
		add_fault(walk,
		          "lines 1 to %" PRIu64 " are missing, and no line says that they were "
		          "deleted: put back the files that they were in",
		          verdict->first_seq - 1);
	if (!walk->has_head)
		return;
	if (head_seq > verdict->last_seq + walk->unknown_count)
		add_fault(walk,
		          "lines %" PRIu64 " to %" PRIu64 " were taken off the end: " AUDIT_HEAD
		          " knows the last of them",
		          verdict->last_seq + walk->unknown_count + 1, head_seq);
	else if (walk->head_old)
		add_fault(walk,
		          AUDIT_HEAD ": it is older than the log: it knows no line after %" PRIu64,
		          head_seq);
	else if (head_seq > 0 && !walk->head_met && verdict->fault_count == 0)
		add_fault(walk, AUDIT_HEAD ": it knows line %" PRIu64 ", which is not there",
		          head_seq);
}

static int walk_all(struct walk *walk, const struct audit_files *files)
{
	char *buffer;
	int r = 0;

	if (files->count == 0 && files->log_fd < 0 && files->head_result == -ENOENT)
		return -ENOENT;
	buffer = malloc(BUFFER_BYTES);
	if (buffer == NULL)
		return -ENOMEM;
	walk->head = files->head;
	walk->has_head = files->head_result == 0;
	if (files->head_result == -ENOENT)
		add_fault(walk,
		          AUDIT_HEAD ": it is missing: nothing tells what was taken off the end");
	else if (files->head_result == -EBADMSG)
		add_fault(walk, AUDIT_HEAD ": it is not as it was written");
	for (uint32_t i = 0; r == 0 && i < files->count && !walk->enough; i++)
		r = walk_file(walk, files, buffer, files->first_seqs[i],
		              walk->options->newest_only && i + 1 < files->count);
	if (r == 0 && !walk->enough)
		r = walk_log(walk, files, buffer);
	if (r == 0 && !walk->enough)
		check_ends(walk);
	free(buffer);
	return r;
}

int audit_walk(struct audit_walk_result *ret_result, const struct audit_walk_options *options)
{
	struct walk walk = {.options = options};
	struct audit_files files;
	int r;

	memcpy(walk.result.verdict.last_hash, AUDIT_HASH_NONE, AUDIT_HASH_BYTES);
	r = audit_files_open(&files, options->directory);
	if (r == 0) {
		r = walk_all(&walk, &files);
		audit_files_close(&files);
	}
	if (r < 0)
		add_fault(&walk, "%s%s%s: %s", options->directory, walk.file[0] == '\0' ? "" : "/",
		          walk.file, reason_of(-r));
	*ret_result = walk.result;
	return r == 0 && walk.result.verdict.fault_count > 0 ? -EBADMSG : r;
}
