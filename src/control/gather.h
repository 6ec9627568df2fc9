/* SPDX-License-Identifier: Apache-2.0 */
/* What kanted is and counts, asked for an exchange. Owner: the exchange. */
#pragma once

#include "control/exchange.h"
#include "control/figures.h"

struct gathered {
	char *facts; /* NULL: kanted does not answer; then the figures are this process's alone */
	struct figures figures;
};

/* Calls `done` when both are there; `gathered` is gone when it returns. When kanted cannot be asked
 * at all, before gather() returns. */
void gather(struct exchange *exchange,
            void (*done)(struct exchange *exchange, struct gathered *gathered));

/* False: kanted does not answer: the exchange was refused, and is gone. */
bool gathered_check(struct exchange *exchange, const struct gathered *gathered);

/* The sum over all workers, ports and classes. */
uint64_t gathered_sum(const struct gathered *gathered, const char *module, const char *name);
