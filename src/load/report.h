/* SPDX-License-Identifier: Apache-2.0 */
/* What a run is told as: a table for people, one JSON object for programs. */
#pragma once

#include "load/workload.h"

#include <stdio.h>

struct report {
	const char *target;    /* numeric address and port: needs no quoting */
	const char *transport; /* "tcp" … */
	uint32_t connection_count;
	uint32_t pipeline;
	double rate; /* asked for; 0: closed loop */
	uint64_t elapsed_ns;
	uint64_t overdue_count;
	uint64_t populate_ns; /* 0: was not populated */
	const struct workload_counters *populated;
	bool has_stopped_populating; /* nothing was measured: the figures are the population's */
	const struct workload *workload;
	bool is_interrupted;
	bool has_failed;
};

void report_table(const struct report *report, FILE *to);
void report_json(const struct report *report, FILE *to);
