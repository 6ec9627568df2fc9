/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log's directory: its files' names, audit.head, and all of it as it is at one moment.
 * Owner of a snapshot: who took it. */
#pragma once

#include "control/audit_lines.h"

#define AUDIT_LOG        "audit.log"
#define AUDIT_HEAD       "audit.head"
#define AUDIT_NAME_BYTES 32 /* of a file, with NUL */

/* Of a full file, by the first line in it. */
void audit_name_format(char ret_name[AUDIT_NAME_BYTES], uint64_t first_seq);

/* The newest line that was brought to the disk. It is written after the line, so it may be behind
 * the log's end, and is never ahead of it. */
struct audit_head {
	uint64_t seq;
	char hash[AUDIT_HASH_BYTES];
};

#define AUDIT_HEAD_BYTES 86 /* on the disk: 20 digits, a space, 64 digits, a newline */

void audit_head_format(char ret_record[AUDIT_HEAD_BYTES + 1], const struct audit_head *head);

/* -ENOENT: there is none; -EBADMSG: it is not as it was written; another negative errno. */
int audit_head_read(struct audit_head *ret_head, int directory_fd);

struct audit_files {
	int directory_fd;
	int log_fd;         /* audit.log, to be read; -1: there is none */
	uint64_t log_bytes; /* of it */
	int head_result;    /* of audit_head_read() */
	struct audit_head head;
	uint64_t *first_seqs; /* of full files, in order */
	uint32_t count;
};

/* What is there at one moment, also while another process writes to it. 0; a negative errno:
 * -EAGAIN: it never stood still. */
int audit_files_open(struct audit_files *ret_files, const char *directory);
void audit_files_close(struct audit_files *files);

/* Full files by their first lines, in order, to be free()d; NULL when there are none. 0; a negative
 * errno. */
int audit_files_list(uint64_t **ret_first_seqs, uint32_t *ret_count, int directory_fd);

/* Opens a file of the directory for reading. -ENXIO: it is no regular file. */
int audit_file_open(int *ret_fd, uint64_t *ret_bytes, int directory_fd, const char *name);
