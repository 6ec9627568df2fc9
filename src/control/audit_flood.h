/* SPDX-License-Identifier: Apache-2.0 */
/* Refused logins of strangers that come too often, summed up: from the tenth within a second on,
 * those of the same action, reason and source (without its port) are counted and become one line.
 * Bounded memory: what comes from more sources than there is room for is summed up together.
 * Owner: an audit log. */
#pragma once

#include "control/audit_lines.h"

#define AUDIT_FLOOD_FREE_COUNT   9   /* lines of one sort within a second that are written */
#define AUDIT_FLOOD_SOURCE_COUNT 256 /* sorts at the same time */
#define AUDIT_FLOOD_WINDOW_US    1000000
#define AUDIT_FLOOD_REASON_BYTES                                                                   \
	256 /* of a reason, with NUL; what is longer counts as the same                            \
	     */
#define AUDIT_FLOOD_ACTION_BYTES 64

struct audit_flood;

int audit_flood_create(struct audit_flood **ret_flood); /* 0; -ENOMEM */
void audit_flood_destroy(struct audit_flood *flood);    /* takes NULL */

/* True: it was counted, and is not to be written by itself. */
bool audit_flood_takes(struct audit_flood *flood, const struct audit_event *event, uint64_t now_us);

/* Calls `write` for each sum. 0; the negative errno of the first that it could not write: that one
 * and those behind it stay. */
int audit_flood_flush(struct audit_flood *flood,
                      int (*write)(void *context, const struct audit_event *event), void *context);
