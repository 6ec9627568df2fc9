/* SPDX-License-Identifier: Apache-2.0 */
#include "control/audit.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "control/audit_disk.h"
#include "control/audit_flood.h"
#include "control/audit_walk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AUDIT_MAGIC   0x61756469
#define FAILURE_BYTES 512
#define CUT_BYTES_MAX 512 /* of a line that a crash has cut, that are told */

/* Lines that could not be written since the last one that could. */
struct lost {
	uint64_t count;
	uint64_t first_us;
	uint64_t last_us;
	int error_number; /* of the first */
};

struct audit {
	uint32_t magic; /* AUDIT_MAGIC */
	struct audit_options options;
	struct audit_disk disk;
	struct audit_flood *flood;
	struct lost lost;
	uint64_t lost_count;         /* since audit_open() */
	uint64_t now_us;             /* as last told */
	char failure[FAILURE_BYTES]; /* "": none */
	char line[AUDIT_LINE_BYTES_MAX];
};

/* Behind what is there; makes no room. */
static int put(struct audit *audit, const struct audit_event *event)
{
	struct audit_disk *disk = &audit->disk;
	char hash[AUDIT_HASH_BYTES];
	size_t length;
	int r;

	r = audit_line_make(audit->line, &length, hash, event, disk->head.seq + 1, disk->head.hash,
	                    audit->now_us);
	if (r < 0)
		return r;
	return audit_disk_add(disk, audit->line, length, hash, audit_kind_waits(event->kind));
}

static int delete_file(struct audit *audit, uint64_t first_seq, uint64_t last_seq)
{
	char name[AUDIT_NAME_BYTES];
	json_t *before = json_pack("{s:I, s:I}", "first_seq", (json_int_t)first_seq, "last_seq",
	                           (json_int_t)last_seq);
	struct audit_event event = {
	    .kind = AUDIT_system,
	    .action = "audit.deleted",
	    .target = name,
	    .before = before,
	};
	int r;

	if (before == NULL)
		return -ENOMEM;
	audit_name_format(name, first_seq);
	/* the line first: nothing goes without one */
	r = put(audit, &event);
	if (r == 0) {
		r = audit_disk_delete(&audit->disk, first_seq);
		if (r < 0) {
			event.result = AUDIT_FAILED;
			event.reason = strerror(-r);
			r = put(audit, &event);
		}
	}
	json_decref(before);
	return r;
}

static int delete_old(struct audit *audit)
{
	uint64_t *first_seqs, kept_count = audit->options.kept_count_max;
	uint32_t count;
	int r;

	if (kept_count == 0)
		return 0;
	r = audit_files_list(&first_seqs, &count, audit->disk.directory_fd);
	if (r < 0)
		return r;
	/* there is one behind each of them, as at least one is kept */
	for (uint32_t i = 0; r == 0 && i + kept_count < count; i++)
		r = delete_file(audit, first_seqs[i], first_seqs[i + 1] - 1);
	free(first_seqs);
	return r;
}

/* Room for lines: an audit.log that is not full, and says first that it is not the first one. */
static int make_room(struct audit *audit)
{
	struct audit_disk *disk = &audit->disk;
	char name[AUDIT_NAME_BYTES]; /* of the file before */
	const struct audit_event rotated = {
	    .kind = AUDIT_system, .action = "audit.rotated", .target = name};
	int r = 0;

	if (disk->log_fd >= 0 && disk->log_bytes >= audit->options.file_bytes_max)
		r = audit_disk_rotate(disk);
	if (r == 0)
		r = audit_disk_begin(disk);
	if (r < 0 || disk->log_bytes > 0 || disk->head.seq == 0)
		return r;
	audit_name_format(name, disk->last_file_seq);
	r = put(audit, &rotated);
	return r < 0 ? r : delete_old(audit);
}

/* How many lines were lost, if any were. */
static int put_lost(struct audit *audit)
{
	const struct lost *lost = &audit->lost;
	char first[AUDIT_TIME_BYTES], last[AUDIT_TIME_BYTES];
	struct audit_event event = {
	    .kind = AUDIT_system,
	    .action = "audit.lost",
	    .result = AUDIT_FAILED,
	    .reason = strerror(lost->error_number),
	    .count = lost->count,
	};
	json_t *after;
	int r = -ENOMEM;

	if (lost->count == 0)
		return 0;
	audit_time_format(first, lost->first_us);
	audit_time_format(last, lost->last_us);
	after = json_pack("{s:s, s:s}", "first", first, "last", last);
	event.after = after;
	if (after != NULL)
		r = put(audit, &event);
	json_decref(after);
	if (r == 0)
		audit->lost = (struct lost){0};
	return r;
}

static const char *advice(int error_number)
{
	switch (error_number) {
	case ENOSPC:
	case EDQUOT: return "make room there";
	case EACCES:
	case EPERM:
	case EROFS: return "let this process write there";
	case ENOENT:
	case ENOTDIR: return "make the directory, or name another";
	case EBUSY: return "stop that one first";
	case ENOMEM: return "give this process more memory";
	default: return "look at the disk and the kernel's log";
	}
}

/* Notes how writing went. */
static void note(struct audit *audit, int r)
{
	char missing[64];

	if (r == 0) {
		audit->failure[0] = '\0';
		return;
	}
	if (audit->lost.count > 0)
		snprintf(missing, sizeof(missing), "lacks %" PRIu64 " lines", audit->lost.count);
	else
		snprintf(missing, sizeof(missing), "may lack its newest lines");
	snprintf(audit->failure, sizeof(audit->failure),
	         "the audit log in %s cannot be written (%s) and %s: %s", audit->options.directory,
	         strerror(-r), missing, advice(-r));
}

/* What has to come before a line. */
static int prepare(struct audit *audit)
{
	int r = make_room(audit);

	return r < 0 ? r : put_lost(audit);
}

static int write_line(struct audit *audit, const struct audit_event *event)
{
	int r = prepare(audit);

	return r < 0 ? r : put(audit, event);
}

static int append(struct audit *audit, const struct audit_event *event)
{
	struct lost *lost = &audit->lost;
	int r = write_line(audit, event);

	if (r < 0 && lost->count == 0) {
		lost->first_us = audit->now_us;
		lost->error_number = -r;
	}
	if (r < 0) {
		lost->last_us = audit->now_us;
		lost->count++;
		audit->lost_count++;
	}
	note(audit, r);
	return r;
}

/* A sum that cannot be written is not lost: it grows on. */
static int write_sum(void *context, const struct audit_event *event)
{
	return write_line(context, event);
}

static void destroy(struct audit *audit)
{
	if (audit == NULL)
		return;
	audit_disk_close(&audit->disk);
	audit_flood_destroy(audit->flood);
	audit->magic = 0;
	free(audit);
}

struct faults_told {
	char first[FAILURE_BYTES];
	uint64_t count;
};

static void tell_fault(void *context, const char *fault)
{
	struct faults_told *told = context;

	if (told->count++ == 0)
		snprintf(told->first, sizeof(told->first), "%s", fault);
}

/* Finds the end of the chain that is there. 0; a negative errno with `error` filled in. */
static int find_end(struct audit *audit, struct audit_walk_result *ret_result, char *error,
                    size_t error_bytes)
{
	struct faults_told told = {0};
	const struct audit_walk_options options = {
	    .directory = audit->options.directory,
	    .fault = tell_fault,
	    .context = &told,
	    .newest_only = true,
	};
	struct audit_disk *disk = &audit->disk;
	const struct audit_verdict *verdict = &ret_result->verdict;
	int r = audit_walk(ret_result, &options);

	if (r == -EBADMSG)
		snprintf(
		    error, error_bytes,
		    "the audit log in %s is not as it was written (%" PRIu64 " faults, the "
		    "first: %s): keep it as evidence elsewhere, and begin with an empty directory",
		    audit->options.directory, told.count, told.first);
	else if (r < 0 && r != -ENOENT)
		snprintf(error, error_bytes, "the audit log cannot be read: %s", told.first);
	if (r < 0 && r != -ENOENT)
		return r;
	disk->head.seq = verdict->last_seq;
	memcpy(disk->head.hash, verdict->last_hash, sizeof(disk->head.hash));
	disk->last_file_seq = ret_result->last_file_seq;
	disk->log_bytes = ret_result->log_bytes;
	disk->full_bytes = ret_result->full_bytes;
	return 0;
}

/* The beginning of what a crash has left of a line, made fit to be printed. NULL: it cannot be
 * told. */
static json_t *cut_text(const struct audit *audit)
{
	char text[CUT_BYTES_MAX];
	uint64_t bytes;
	ssize_t n;
	int fd;

	if (audit_file_open(&fd, &bytes, audit->disk.directory_fd, AUDIT_LOG) < 0)
		return NULL;
	n = pread(fd, text, sizeof(text), (off_t)audit->disk.log_bytes);
	close(fd);
	for (ssize_t i = 0; i < n; i++)
		if (text[i] < ' ' || text[i] > '~')
			text[i] = '?';
	return n < 0 ? NULL : json_stringn(text, (size_t)n);
}

/* Goes on behind the chain's end. What cannot be written of these lines is lost as any other. */
static int take_up(struct audit *audit, uint64_t cut_bytes)
{
	json_t *before = cut_bytes == 0 ? NULL : cut_text(audit);
	const struct audit_event recovered = {
	    .kind = AUDIT_system,
	    .action = "audit.recovered",
	    .target = AUDIT_LOG,
	    .before = before,
	    .reason = "a crash has cut the last line: what was left of it was taken off",
	};
	const struct audit_event started = {.kind = AUDIT_system, .action = "audit.started"};
	int r = audit_disk_take_up(&audit->disk);

	if (r == 0 && cut_bytes > 0)
		(void)append(audit, &recovered);
	if (r == 0)
		(void)append(audit, &started);
	json_decref(before);
	return r;
}

int audit_open(struct audit **ret_audit, const struct audit_options *options, uint64_t now_us,
               char *error, size_t error_bytes)
{
	struct audit *audit = calloc(1, sizeof(*audit));
	struct audit_walk_result found;
	int r = -ENOMEM;

	ASSERT(options->file_bytes_max > 0);
	error[0] = '\0';
	if (audit == NULL)
		goto fail;
	audit->magic = AUDIT_MAGIC;
	audit->options = *options;
	audit->now_us = now_us;
	r = audit_disk_open(&audit->disk, options->directory);
	if (r == 0)
		r = audit_flood_create(&audit->flood);
	if (r == 0)
		r = find_end(audit, &found, error, error_bytes);
	if (r == 0)
		r = take_up(audit, found.cut_bytes);
	if (r < 0)
		goto fail;
	*ret_audit = audit;
	return 0;
fail:
	if (error[0] == '\0')
		snprintf(error, error_bytes, "the audit log in %s cannot be opened (%s): %s",
		         options->directory,
		         r == -EBUSY ? "another process writes it" : strerror(-r), advice(-r));
	destroy(audit);
	return r;
}

void audit_close(struct audit *audit)
{
	const struct audit_event stopped = {.kind = AUDIT_system, .action = "audit.stopped"};

	if (audit == NULL)
		return;
	ASSERT(audit->magic == AUDIT_MAGIC);
	(void)audit_flood_flush(audit->flood, write_sum, audit);
	(void)append(audit, &stopped);
	destroy(audit);
}

int audit_append(struct audit *audit, const struct audit_event *event, uint64_t now_us)
{
	ASSERT(audit->magic == AUDIT_MAGIC);
	ASSERT(event->action != NULL);
	ASSERT(event->kind < AUDIT_KIND_COUNT);
	audit->now_us = now_us;
	if (audit_flood_takes(audit->flood, event, now_us))
		return 0;
	return append(audit, event);
}

void audit_tick(struct audit *audit, uint64_t now_us)
{
	int r, r_sync;

	ASSERT(audit->magic == AUDIT_MAGIC);
	audit->now_us = now_us;
	r = audit_flood_flush(audit->flood, write_sum, audit);
	if (r == 0 && audit->lost.count > 0)
		r = prepare(audit);
	r_sync = audit_disk_sync(&audit->disk);
	note(audit, r < 0 ? r : r_sync);
}

void audit_limit(struct audit *audit, uint64_t file_bytes_max, uint64_t kept_count_max,
                 uint64_t now_us)
{
	int r;

	ASSERT(audit->magic == AUDIT_MAGIC);
	ASSERT(file_bytes_max > 0);
	audit->options.file_bytes_max = file_bytes_max;
	audit->options.kept_count_max = kept_count_max;
	audit->now_us = now_us;
	r = prepare(audit);
	if (r == 0)
		r = delete_old(audit);
	note(audit, r);
}

const char *audit_failure(const struct audit *audit)
{
	return audit->failure[0] == '\0' ? NULL : audit->failure;
}

void audit_state(const struct audit *audit, struct audit_state *ret_state)
{
	const struct audit_disk *disk = &audit->disk;

	*ret_state = (struct audit_state){
	    .seq = disk->head.seq,
	    .lost_count = audit->lost_count,
	    .bytes = disk->full_bytes + disk->log_bytes,
	};
	memcpy(ret_state->hash, disk->head.hash, sizeof(ret_state->hash));
}
