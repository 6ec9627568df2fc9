/* SPDX-License-Identifier: Apache-2.0 */
/* Makes kanted go by the block list (blocks.h): it is told all of it after each change, one telling
 * at a time, so that what it heard last is the newest. Owner: the control process's loop. */
#pragma once

#include "control/blocks.h"
#include "control/exchange.h"

/* Reads the list, and waits until kanted goes by it: so nobody gets in while this process begins,
 * whom the list keeps out. 0; a negative errno, and the log says why. */
int blocking_start(struct control *control);
void blocking_stop(struct control *control);

/* Once a second: what has expired is taken out, and kanted is told again what it has not taken. */
void blocking_look(struct control *control);

/* The list has changed, and the exchange is replied to when kanted goes by it: 200 and `reply`,
 * which is taken; or refused when kanted has not answered within seconds. */
void blocking_reply(struct exchange *exchange, json_t *reply);

/* Whether kanted has not taken the newest list for seconds. */
bool blocking_is_behind(const struct control *control);

/* Appends the prefix to those that a line of the audit log has, unless these are enough. */
void blocking_name(json_t *names, const struct ip_prefix *prefix);
