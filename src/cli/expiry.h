/* SPDX-License-Identifier: Apache-2.0 */
/* When something is to end by itself, as its option says. Owner: the command that runs. */
#pragma once

#include "cli/command.h"

/* The option --expires: "30d" from now, or a date; what it says is Unix time, 0 is never: it is not
 * given. False: it is no time to come, which was told. */
bool expiry_read(const struct command_call *call, uint64_t *ret_s);
