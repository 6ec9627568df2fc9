/* SPDX-License-Identifier: Apache-2.0 */
/* Between lines.c and lines_world.c. */
#pragma once

#include "lines.h"

/* Says what is wrong; returns false. */
bool fail(struct scenario *scenario, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What the rig has found out by itself. */
bool rig_good(struct scenario *scenario);

/* Each runs one line. False: what is wrong has been said. */
bool line_option(struct scenario *scenario, const struct words *words);
bool line_new(struct scenario *scenario, const struct words *words);
bool line_netif(struct scenario *scenario, const struct words *words);
bool line_icmp(struct scenario *scenario, const struct words *words);
bool line_pool(struct scenario *scenario, const struct words *words);
