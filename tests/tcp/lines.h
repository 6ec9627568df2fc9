/* SPDX-License-Identifier: Apache-2.0 */
/* What each line of a scenario does. The grammar is in run.c. */
#pragma once

#include "rig.h"

#define MESSAGE_MAX 512

/* One run under way. */
struct scenario {
	struct rig *rig; /* NULL: the options are still being said */
	struct rig_options options;
	uint64_t wait_start_us; /* of the last --> */
	uint64_t later_us;      /* see struct variant */
	uint32_t server_zero;
	char message[MESSAGE_MAX];
};

/* Runs one line. False: what is wrong is in scenario->message. */
bool line_run(struct scenario *scenario, const char *line);

/* At the end: nothing may be left unexpected. */
bool line_end(struct scenario *scenario);
