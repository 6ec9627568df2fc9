/* SPDX-License-Identifier: Apache-2.0 */
/* A list that the control process keeps on disk: JSON, {"version": 1, "NAME": [RECORDS]}, a record
 * a line, written anew whole with each change. Owner: whoever keeps it. */
#pragma once

#include "config/faults.h"

#include <jansson.h>

#define KEPT_FILE_BYTES_MAX (32 * 1024 * 1024)
#define KEPT_TIME_S_MAX     253402300799 /* the year 9999 ends: RFC 3339 has no later */

struct kept {
	json_t *records; /* an array of objects */
	char *text;
	size_t length;
};

/* No file: no records. 0; a negative errno, which is then a fault, too. */
int kept_read(struct kept *ret_kept, const char *path, const char *name, size_t count_max,
              struct faults *faults);
void kept_release(struct kept *kept);

/* Where a record of that index begins. */
uint32_t kept_line(const struct kept *kept, size_t index);

/* 0; a negative errno, which is then a fault, too, and what is on the disk is as it was (see
 * private_file.h). */
int kept_write(const char *path, const char *name, json_t *records, struct faults *faults);

/* Unix time as RFC 3339 writes it; 0: null. NULL: no memory. */
json_t *kept_time(uint64_t unix_s);
