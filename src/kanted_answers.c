/* SPDX-License-Identifier: Apache-2.0 */
#include "kanted_answers.h"

#include "config/settings.h"

#include <stdlib.h>

static const char *kind_name(enum counter_kind kind)
{
	return kind == COUNTER_LEVEL ? "level" : "total";
}

static void number_format(char *to, size_t bytes, uint32_t number)
{
	if (number == COUNTER_NO_INDEX)
		snprintf(to, bytes, "-");
	else
		snprintf(to, bytes, "%u", number);
}

static void add_group(struct evbuffer *answer, uint32_t worker, const struct counter_group *group)
{
	char of_worker[16], of_port[16];

	number_format(of_worker, sizeof(of_worker), group->is_common ? COUNTER_NO_INDEX : worker);
	number_format(of_port, sizeof(of_port), group->index);
	for (size_t i = 0; i < group->count; i++) {
		const struct counter_description *counter = &group->descriptions[i];

		evbuffer_add_printf(answer, "%s %s %s %s %s %s %llu %s\n", of_worker, group->module,
		                    of_port, kind_name(counter->kind), counter->unit, counter->name,
		                    (unsigned long long)counter_read(&group->counters[i]),
		                    counter->help);
	}
}

static void add_buckets(struct evbuffer *answer, const struct latency_histogram *histogram)
{
	const char *separator = " ";

	for (uint32_t i = 0; i < LATENCY_BUCKET_COUNT; i++) {
		uint64_t count = counter_read(&histogram->counts[i]);

		if (count == 0)
			continue;
		evbuffer_add_printf(answer, "%s%llu:%llu", separator,
		                    (unsigned long long)latency_bucket_end_us(i),
		                    (unsigned long long)count);
		separator = ",";
	}
	if (*separator == ' ')
		evbuffer_add_printf(answer, " -");
}

static void add_latency(struct evbuffer *answer, uint32_t worker, const struct latency *latency)
{
	static const char *const names[][2] = {LATENCY_COMMANDS(LATENCY_TEXT)};

	for (uint32_t i = 0; i < LATENCY_COMMAND_COUNT; i++) {
		const struct latency_histogram *histogram = &latency->list[i];

		evbuffer_add_printf(answer, "%u latency - histogram microseconds %s %llu", worker,
		                    names[i][0],
		                    (unsigned long long)counter_read(&histogram->us_sum));
		add_buckets(answer, histogram);
		evbuffer_add_printf(answer, " %s\n", names[i][1]);
	}
}

void answer_counters(const struct kanted_workers *workers, struct evbuffer *answer)
{
	for (uint32_t i = 0; i < workers->shared.count; i++) {
		const struct stats_worker *published = &workers->published[i];

		for (uint32_t j = 0; j < published->group_count; j++)
			if (i == 0 || !published->groups[j].is_common)
				add_group(answer, i, &published->groups[j]);
		add_latency(answer, i, published->latency);
	}
}

/* One on kernel sockets is called as in the config: by where it listens. */
static void add_port(struct evbuffer *answer, uint32_t index, const struct port_options *port)
{
	char address[IP_ADDRESS_TEXT_MAX];

	evbuffer_add_printf(answer, "port %u %s ", index, port_kind_name(port->kind));
	if (port->name[0] != '\0') {
		evbuffer_add_printf(answer, "%s\n", port->name);
		return;
	}
	ip_address_format(&port->addresses[0].address, address);
	evbuffer_add_printf(answer, strchr(address, ':') == NULL ? "%s:%u\n" : "[%s]:%u\n", address,
	                    port->tcp_port);
}

void answer_facts(const struct kanted_workers *workers, const struct facts *facts,
                  const char *config_path, struct evbuffer *answer)
{
	const struct config *config = workers->config;
	uint64_t uptime_s = counter_read(&facts->uptime_s);

	evbuffer_add_printf(answer, "version %s\npid %llu\nstart %llu\nuptime %llu\nconfig %s\n",
	                    KANTE_VERSION, (unsigned long long)facts->pid,
	                    (unsigned long long)(counter_read(&facts->unix_time_s) - uptime_s),
	                    (unsigned long long)uptime_s, config_path);
	evbuffer_add_printf(answer, "memory %llu\nhugepages %s\nworkers %u\n",
	                    (unsigned long long)config->memory_bytes,
	                    workers->memory.is_huge ? "true" : "false", workers->shared.count);
	for (uint32_t i = 0; i < workers->shared.count; i++)
		evbuffer_add_printf(answer, "core %u %u\n", i, workers->list[i].core);
	for (uint32_t i = 0; i < config->port_count; i++)
		add_port(answer, i, &config->ports[i]);
}

void answer_config(const struct config *config, struct evbuffer *answer)
{
	struct config_settings *settings = NULL;
	char *text = NULL;
	size_t length = 0;
	FILE *to = open_memstream(&text, &length);

	if (to == NULL)
		return;
	if (config_settings_create(&settings, config) == 0)
		config_settings_write_file(to, settings);
	if (fclose(to) == 0)
		evbuffer_add(answer, text, length);
	config_settings_destroy(settings);
	free(text);
}
