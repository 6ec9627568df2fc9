/* SPDX-License-Identifier: Apache-2.0 */
/* The newest lines of an audit log, read from its end: so it takes no longer the longer the log is,
 * unless what is looked for is rare. Owner: the call. */
#pragma once

#include "control/audit.h"

struct audit_newest_options {
	const char *directory;
	uint64_t from_us; /* Unix time, up to before `to_us` */
	uint64_t to_us;
	enum audit_kind kind; /* AUDIT_KIND_COUNT: any */
	const char *who;      /* whole; NULL: anybody */
	uint32_t limit;       /* at least 1 */
};

struct audit_newest {
	json_t *lines;          /* as they are in the log, the newest first */
	uint64_t damaged_count; /* looked at and left out: they are not as they were written, and
	                         * audit_verify() says more */
};

/* 0 with lines to be json_decref()ed; a negative errno with `error` filled in: what is wrong, and
 * what to do. */
int audit_newest(struct audit_newest *ret_newest, const struct audit_newest_options *options,
                 char *error, size_t error_bytes);
