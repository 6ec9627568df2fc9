/* SPDX-License-Identifier: Apache-2.0 */
/* A scenario file, and one run of it. The grammar is in run.c. */
#pragma once

#include "rig.h"

#define WRAP_COUNT_MAX    8
#define VARIANT_NAME_MAX  80
#define SCENARIO_ISN      1000000 /* of clients, unless the file says another */
#define SCENARIO_CLOCK_MS 1000000 /* when scenarios start, unless the file says another */

/* Its lines, and what they say of how it is to be run. */
struct scenario_file {
	const char *path;
	char **lines;
	uint32_t line_count;
	uint32_t isn;
	bool only_ip4;
	bool only_ip6;
	uint32_t client_wraps[WRAP_COUNT_MAX];
	uint32_t client_wrap_count;
	uint32_t server_wraps[WRAP_COUNT_MAX];
	uint32_t server_wrap_count;
};

/* One way to run it. */
struct variant {
	char name[VARIANT_NAME_MAX]; /* for people */
	bool ip6;
	bool card; /* the server has a network card that cuts up segments */
	uint32_t isn;
	uint32_t ts_base;
	uint64_t later_us;    /* than the file's clock */
	uint32_t server_zero; /* this relative number of the server must be 0; 0: any may be */
};

/* How far a run has come. */
struct progress {
	uint32_t line_number;
	uint32_t iss; /* of connection a, its first */
	bool iss_known;
};

/* False: told on stderr. */
bool scenario_read(struct scenario_file *ret_file, const char *path);
void scenario_free(struct scenario_file *file);

/* True: it passed; else it was told on stderr why not. */
bool scenario_run(const struct scenario_file *file, const struct variant *variant,
                  struct progress *progress);
