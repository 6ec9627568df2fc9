/* SPDX-License-Identifier: Apache-2.0 */
/* What a run is told as: a table for people, one JSON object for programs. */
#pragma once

#include "load/link_carrier.h"

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
	const struct link_totals *link; /* NULL with kernel sockets, as the next two are 0 */
	uint64_t receive_drops;         /* frames, by the device, not taken from or … */
	uint64_t transmit_drops;        /* … by it */
	bool is_interrupted;
	bool has_failed;
};

void report_table(const struct report *report, FILE *to);
void report_json(const struct report *report, FILE *to);
