/* SPDX-License-Identifier: Apache-2.0 */
/* What runs: the config that kanted goes by, of which control->config is a copy. This process does
 * not read the file for that, which may have been changed since, or be faulty by now: it asks
 * kanted, at its start, when that has heard SIGHUP, and with each reload. So both go by the same,
 * and so does a control process that was begun anew. Owner: the control process's loop. */
#pragma once

#include "config/diff.h"
#include "control/control.h"

/* Waits for what kanted answers. 0; a negative errno, and the log says why. */
int running_start(struct control *control);
void running_stop(struct control *control);

/* Once a second, which asks again when there was no answer. now: kanted may go by another one. */
void running_look(struct control *control, bool now);

/* Takes over what kanted says; what may change while it runs counts at once. ret_diff: what has
 * changed, to be destroyed. 0; a negative errno, and all is as it was. */
int running_take(struct control *control, const char *text, size_t length,
                 struct config_diff **ret_diff);

/* Writes to the audit log that these have changed, save the one called `except`. who: NULL: by
 * SIGHUP. `except`: or NULL. */
void running_audit(struct control *control, const struct config_diff *diff, const char *except,
                   const struct identity *who);
