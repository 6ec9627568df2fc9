/* SPDX-License-Identifier: Apache-2.0 */
/* What the process publishes for `stats`: what a worker cannot know without asking the system.
 * Owner: the main thread writes, workers read. */
#pragma once

#include "config/config.h"
#include "worker/worker.h"

/* Clients go by memcached's version to tell what a server can do. Some take the first numbers, some
 * the last, so there is nothing else in it. */
#define VERSION_FOR_CLIENTS "1.6.45"

struct facts {
	_Atomic uint64_t uptime_s;
	_Atomic uint64_t unix_time_s;
	_Atomic uint64_t rusage_user_us;
	_Atomic uint64_t rusage_system_us;
	uint64_t start_us;
	uint64_t pid;
	const struct config *config;
	const struct workers *workers;
	const struct port_options *unix_port; /* the first one; NULL: none */
	char interface[IP_ADDRESS_TEXT_MAX];
	char unix_mode[8];
};

void facts_create(struct facts *facts, const struct config *config, const struct workers *workers,
                  uint64_t now_us);

/* Asks the system anew. now_us: monotonic */
void facts_publish(struct facts *facts, uint64_t now_us);

/* For stats_options.read_facts; context: the facts. */
void facts_read(void *context, struct stats_facts *ret_facts);
