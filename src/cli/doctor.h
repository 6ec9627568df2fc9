/* SPDX-License-Identifier: Apache-2.0 */
/* `kante doctor`: what is wrong with this node as a host for kanted, and how to mend it. Each check
 * looks at one thing of the system (and the config, where there is one), and says what it found.
 * Owner: the command. */
#pragma once

#include "config/config.h"

#include <jansson.h>

enum doctor_level {
	DOCTOR_GOOD,
	DOCTOR_NOTE,    /* works; could be faster or safer */
	DOCTOR_WARNING, /* works now; something will go wrong */
	DOCTOR_FAULT,   /* kanted will not start, or not serve, like that */
	DOCTOR_SKIPPED, /* could not be looked at: `found` says why */
};

#define DOCTOR_TEXT_BYTES 512

struct doctor_finding {
	const char *check; /* "hugepages", "memory lock limit" */
	enum doctor_level level;
	char found[DOCTOR_TEXT_BYTES];
	char mend[DOCTOR_TEXT_BYTES]; /* a command or a sentence; "": nothing to do */
	/* What --fix does: the same, run; safe: it takes nothing away from anybody, and can be
	 * undone. NULL: it is not for a program to do. 0; a negative errno with `error` filled in.
	 */
	int (*fix)(const struct doctor_finding *finding, char *error, size_t error_bytes);
	uint64_t fix_value; /* for fix */
};
