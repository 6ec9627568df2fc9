/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log's files as they are written: a line is in audit.log whole or not at all, and
 * audit.head follows. Knows nothing of events. Owner: an audit log. */
#pragma once

#include "control/audit_files.h"

struct audit_disk {
	const char *directory; /* its path, not owned */
	int directory_fd;
	int head_fd;
	int log_fd;             /* -1: there is no audit.log at the moment */
	struct audit_head head; /* the newest line, also when it is not on the disk yet */
	uint64_t last_file_seq; /* of the first line of audit.log, or of the last full file */
	uint64_t log_bytes;     /* of the whole lines of audit.log */
	uint64_t full_bytes;
	bool tail_to_cut; /* behind them there is what could not be taken off */
	bool waiting;     /* lines are written that are not on the disk yet */
};

/* Opens the directory for this process alone. 0; a negative errno: -EBUSY: another process writes
 * this log. Whatever comes of it, audit_disk_close() gives it back. */
int audit_disk_open(struct audit_disk *disk, const char *directory);
void audit_disk_close(struct audit_disk *disk);

/* Takes up what is there: makes audit.head if there is none, and takes off what is behind the last
 * whole line. `head`, last_file_seq, log_bytes and full_bytes are set as they were found. 0; a
 * negative errno. */
int audit_disk_take_up(struct audit_disk *disk);

/* Makes an audit.log if there is none. */
int audit_disk_begin(struct audit_disk *disk);

/* Adds a line whose hash is `hash`. `waits`: audit_disk_sync() will bring it to the disk. 0; a
 * negative errno, and it is not there. */
int audit_disk_add(struct audit_disk *disk, const char *line, size_t length, const char *hash,
                   bool waits);

/* Brings to the disk what waits for it. */
int audit_disk_sync(struct audit_disk *disk);

/* audit.log gets the name of a full file; there is none behind it. */
int audit_disk_rotate(struct audit_disk *disk);

/* Deletes a full file. */
int audit_disk_delete(struct audit_disk *disk, uint64_t first_seq);
