/* SPDX-License-Identifier: Apache-2.0 */
#include "kanted_facts.h"

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define MODE_OF_NONE 0700 /* what memcached tells without a Unix socket */

static uint64_t timeval_us(const struct timeval *time)
{
	return (uint64_t)time->tv_sec * 1000000 + (uint64_t)time->tv_usec;
}

void facts_create(struct facts *facts, const struct config *config, const struct workers *workers,
                  uint64_t now_us)
{
	*facts = (struct facts){
	    .start_us = now_us, .pid = (uint64_t)getpid(), .config = config, .workers = workers};
	if (config->ports[0].address_count > 0)
		ip_address_format(&config->ports[0].addresses[0].address, facts->interface);
	for (uint32_t i = config->port_count; i-- > 0;)
		if (port_is_unix(&config->ports[i]))
			facts->unix_port = &config->ports[i];
	snprintf(facts->unix_mode, sizeof(facts->unix_mode), "%o",
	         facts->unix_port == NULL ? MODE_OF_NONE : facts->unix_port->mode);
}

void facts_publish(struct facts *facts, uint64_t now_us)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	/* relaxed: figures for people, no other memory hangs on them */
	atomic_store_explicit(&facts->uptime_s, (now_us - facts->start_us) / 1000000,
	                      memory_order_relaxed);
	atomic_store_explicit(&facts->unix_time_s, (uint64_t)time(NULL), memory_order_relaxed);
	atomic_store_explicit(&facts->rusage_user_us, timeval_us(&usage.ru_utime),
	                      memory_order_relaxed);
	atomic_store_explicit(&facts->rusage_system_us, timeval_us(&usage.ru_stime),
	                      memory_order_relaxed);
}

static uint64_t rejected_connections(const struct workers *workers)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < workers->count; i++)
		count += counter_read(&worker_counters(workers->list[i])->rejected_connections);
	return count;
}

void facts_read(void *context, struct stats_facts *ret_facts)
{
	const struct facts *facts = context;
	const struct port_options *port = &facts->config->ports[0];

	*ret_facts = (struct stats_facts){
	    .pid = facts->pid,
	    .uptime_s = counter_read(&facts->uptime_s),
	    .unix_time_s = counter_read(&facts->unix_time_s),
	    .rusage_user_us = counter_read(&facts->rusage_user_us),
	    .rusage_system_us = counter_read(&facts->rusage_system_us),
	    .connection_count_max = facts->config->connection_count_max,
	    .rejected_connections = rejected_connections(facts->workers),
	    .value_bytes_max = facts->config->item_bytes_max,
	    .idle_timeout_s = (facts->config->idle_timeout_us + 999999) / 1000000, /* 0: off */
	    .tcp_port = port->tcp_port,
	    .udp_port = port->udp_port,
	    .version = VERSION_FOR_CLIENTS,
	    .backlog = port->backlog,
	    .interface = facts->interface,
	    .unix_path = facts->unix_port == NULL ? "NULL" : facts->unix_port->name,
	    .unix_mode = facts->unix_mode,
	    .shutdown_command = facts->config->shutdown_command ? "yes" : NULL,
	};
	if (facts->config->auth_file[0] != '\0') {
		ret_facts->auth_file = facts->config->auth_file;
		ret_facts->auth_sasl = "yes";
	}
}
