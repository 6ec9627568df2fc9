/* SPDX-License-Identifier: Apache-2.0 */
/* Goes through an audit log from its first line to its last and checks the chain: what verifying,
 * reporting and taking up a log share. Owner: the call. */
#pragma once

#include "control/audit_verify.h"

struct audit_walk_options {
	const char *directory;
	audit_fault_fn *fault; /* NULL: nobody is told */
	/* NULL, or told of each line that is as it was written and in its place, of times from
	 * from_us up to before to_us; false: that is enough. */
	bool (*line)(void *context, const json_t *line);
	uint64_t from_us;
	uint64_t to_us;
	void *context;
	/* Only audit.log and the newest full file: a start must not take the longer the more there
	 * is to keep. */
	bool newest_only;
};

struct audit_walk_result {
	struct audit_verdict verdict;
	uint64_t last_file_seq; /* of the first line of the last file that has lines */
	uint64_t log_bytes;     /* of the whole lines of audit.log */
	uint64_t cut_bytes;     /* what is behind them: a line that a crash has cut */
	uint64_t full_bytes;    /* of full files */
};

/* As audit_verify(), whose verdict is part of the result. -ENOENT also when there is no log. */
int audit_walk(struct audit_walk_result *ret_result, const struct audit_walk_options *options);
