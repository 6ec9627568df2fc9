/* SPDX-License-Identifier: Apache-2.0 */
/* Whether an audit log is as it was written: `kante audit verify`. Needs nothing but the files, so
 * a copy can be verified elsewhere. */
#pragma once

#include "control/audit.h"

struct audit_verdict {
	uint64_t line_count;
	uint64_t file_count;
	uint64_t first_seq; /* above 1: older files were deleted by rotation */
	uint64_t last_seq;
	char last_hash[65];
	uint64_t fault_count;
};

/* Told of each fault: "audit.log:17: line 1234 was changed: its hash does not match". A changed
 * line, lines that are missing (between which), out of order, there twice, taken off the end, that
 * are no line of an audit log; a missing file. Goes on behind a fault where it can. */
typedef void audit_fault_fn(void *context, const char *fault);

/* 0: every line is as it was written; -EBADMSG: there were faults; another negative errno, told as
 * a fault, too: the files cannot be read (-ENOENT also when there are none). A last line without
 * its end, as a crash leaves it, is a fault only when audit.head says that it was whole; audit.head
 * may be behind by logins and reads and one other line. `fault`: NULL: nobody is told. */
int audit_verify(const char *directory, struct audit_verdict *ret_verdict, audit_fault_fn *fault,
                 void *context);

/* Calls `line` for all lines from a Unix time in microseconds up to before another, in order, as
 * they are verified; those that were changed or are out of order are faults and left out. Ends when
 * it returns false. Results as audit_verify(). */
int audit_each(const char *directory, uint64_t from_us, uint64_t to_us,
               bool (*line)(void *context, const json_t *line), audit_fault_fn *fault,
               void *context);
