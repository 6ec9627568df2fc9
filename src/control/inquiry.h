/* SPDX-License-Identifier: Apache-2.0 */
/* What workers are asked for an exchange, in memcached's text protocol. Owner: the exchange. */
#pragma once

#include "control/exchange.h"

#define INQUIRY_COMMAND_BYTES 320

struct inquired {
	const char *replies; /* of all of them, without their last lines, END or OK */
	/* Else, with replies NULL: what to refuse the exchange with. */
	int status;
	const char *error;
};

/* Asks `count` workers from the first one on, one after the other, and calls `done` when all have
 * replied, or one has not, or has refused; the exchange is that function's then. The command is a
 * line without its end. */
void inquire(struct exchange *exchange, uint32_t count, const char *command,
             void (*done)(struct exchange *exchange, const struct inquired *inquired));
