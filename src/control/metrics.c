/* SPDX-License-Identifier: Apache-2.0 */
#include "control/metrics.h"

#include "net/port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 128

#define LATENCY_METRIC      "kante_latency_seconds"
#define LATENCY_END_LOG_MAX 26 /* the last end, of microseconds: 67 s */

/* "busy_us" is busy_seconds: Prometheus wants base units. */
static const struct {
	const char *unit, *suffix, *base_suffix;
	double factor;
} units[] = {
    {"microseconds", "_us", "_seconds", 1e-6},
    {"milliseconds", "_ms", "_seconds", 1e-3},
    {"seconds", "_s", "_seconds", 1},
};

#define UNIT_COUNT (sizeof(units) / sizeof(units[0]))

struct metric {
	char name[NAME_BYTES]; /* without _total */
	double factor;         /* 0: a whole number */
};

static void name_of(const struct figure *figure, struct metric *ret_metric)
{
	const char *name = figure->name;
	size_t length;

	/* memcached's "total_items" */
	if (figure->kind == COUNTER_TOTAL && strncmp(name, "total_", 6) == 0)
		name += 6;
	snprintf(ret_metric->name, NAME_BYTES, "kante_%s_%s", figure->module, name);
	ret_metric->factor = 0;
	length = strlen(ret_metric->name);
	for (size_t i = 0; i < UNIT_COUNT; i++) {
		size_t suffix_bytes = strlen(units[i].suffix);

		if (strcmp(units[i].unit, figure->unit) != 0)
			continue;
		ret_metric->factor = units[i].factor;
		if (length > suffix_bytes &&
		    strcmp(ret_metric->name + length - suffix_bytes, units[i].suffix) == 0)
			length -= suffix_bytes;
		snprintf(ret_metric->name + length, NAME_BYTES - length, "%s",
		         units[i].base_suffix);
	}
}

/* Both formats escape these in a help text. */
static void write_escaped(struct evbuffer *to, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\' || *text == '\n' || *text == '"')
			evbuffer_add_printf(to, "\\%c", *text == '\n' ? 'n' : *text);
		else
			evbuffer_add(to, text, 1);
	}
}

/* In the older format a family is called as its samples are. */
static void write_family(struct evbuffer *to, bool is_open_metrics, const char *name,
                         const char *type, const char *help)
{
	const char *suffix = !is_open_metrics && strcmp(type, "counter") == 0 ? "_total" : "";

	evbuffer_add_printf(to, "# HELP %s%s ", name, suffix);
	write_escaped(to, help);
	evbuffer_add_printf(to, "\n# TYPE %s%s %s\n", name, suffix, type);
}

static void write_label(struct evbuffer *to, const char **separator, const char *name,
                        const char *value)
{
	evbuffer_add_printf(to, "%s%s=\"", *separator, name);
	write_escaped(to, value);
	evbuffer_add_printf(to, "\"");
	*separator = ",";
}

static void write_labels(struct evbuffer *to, const struct config *config,
                         const struct figure *figure)
{
	const char *separator = "{";
	char number[16];

	if (figure->class_name[0] != '\0')
		write_label(to, &separator, "class", figure->class_name);
	if (figure->port < config->port_count) {
		const struct port_options *port = &config->ports[figure->port];

		snprintf(number, sizeof(number), "%u", figure->port);
		write_label(to, &separator, "port", number);
		write_label(to, &separator, "kind", port_kind_name(port->kind));
		write_label(to, &separator, "name", port->name);
	}
	if (figure->worker != FIGURES_NONE) {
		snprintf(number, sizeof(number), "%u", figure->worker);
		write_label(to, &separator, "worker", number);
	}
	if (*separator == ',')
		evbuffer_add_printf(to, "}");
}

static void write_sample(struct evbuffer *to, const struct config *config,
                         const struct metric *metric, const struct figure *figure)
{
	evbuffer_add_printf(to, "%s%s", metric->name,
	                    figure->kind == COUNTER_TOTAL ? "_total" : "");
	write_labels(to, config, figure);
	if (metric->factor == 0)
		evbuffer_add_printf(to, " %llu\n", (unsigned long long)figure->value);
	else
		evbuffer_add_printf(to, " %.6f\n", (double)figure->value * metric->factor);
}

static void write_gauge(struct evbuffer *to, const char *name, const char *help, double value)
{
	write_family(to, true, name, "gauge", help);
	evbuffer_add_printf(to, "%s %.17g\n", name, value);
}

static void write_process(struct evbuffer *to, const struct control *control, const char *facts)
{
	const char *start = fact_find(facts, "start");

	write_gauge(to, "kante_up", "Whether kanted answers the control process", facts != NULL);
	write_family(to, true, "kante_build_info", "gauge", "1; the label is what runs");
	evbuffer_add_printf(to, "kante_build_info{version=\"%s\"} 1\n", KANTE_VERSION);
	if (start != NULL)
		write_gauge(to, "kante_start_timestamp_seconds",
		            "When kanted was started, Unix time",
		            (double)strtoull(start, NULL, 10));
	if (control->tls != NULL) {
		struct tls_lifetimes lifetimes;

		tls_lifetimes(control->tls, &lifetimes);
		write_gauge(to, "kante_admin_certificate_expires_timestamp_seconds",
		            "When the admin server's certificate expires, Unix time",
		            (double)lifetimes.certificate_expires_s);
	}
}

/* How many are below 2, 4, 8 … microseconds: the same ends at any time, as Prometheus wants them.
 */
static void write_histogram(struct evbuffer *to, const struct figure *figure)
{
	const char *at = figure->buckets;
	struct figure_bucket bucket = {0};
	uint64_t count = 0;
	char labels[NAME_BYTES];
	bool has_more = figure_bucket_next(&at, &bucket);

	snprintf(labels, sizeof(labels), "command=\"%s\",worker=\"%u\"", figure->name,
	         figure->worker);
	for (uint32_t i = 1; i <= LATENCY_END_LOG_MAX; i++) {
		uint64_t end = UINT64_C(1) << i;

		for (; has_more && bucket.end <= end; has_more = figure_bucket_next(&at, &bucket))
			count += bucket.count;
		evbuffer_add_printf(to, LATENCY_METRIC "_bucket{%s,le=\"%.6f\"} %llu\n", labels,
		                    (double)end * 1e-6, (unsigned long long)count);
	}
	for (; has_more; has_more = figure_bucket_next(&at, &bucket))
		count += bucket.count;
	evbuffer_add_printf(to, LATENCY_METRIC "_bucket{%s,le=\"+Inf\"} %llu\n", labels,
	                    (unsigned long long)count);
	evbuffer_add_printf(to, LATENCY_METRIC "_count{%s} %llu\n", labels,
	                    (unsigned long long)count);
	evbuffer_add_printf(to, LATENCY_METRIC "_sum{%s} %.6f\n", labels,
	                    (double)figure->value * 1e-6);
}

static void write_latency(struct evbuffer *to, bool is_open_metrics, const struct figures *figures)
{
	bool has_family = false;

	for (uint32_t i = 0; i < figures->count; i++) {
		if (figures->list[i].buckets == NULL)
			continue;
		if (!has_family)
			write_family(to, is_open_metrics, LATENCY_METRIC, "histogram",
			             "From the turn of a worker that has found a request to the "
			             "end of the turn that has sent its reply");
		has_family = true;
		write_histogram(to, &figures->list[i]);
	}
}

void metrics_write(struct evbuffer *to, bool is_open_metrics, const struct control *control,
                   struct figures *figures, const char *facts)
{
	char last[NAME_BYTES] = "";

	write_process(to, control, facts);
	figures_sort(figures);
	for (uint32_t i = 0; i < figures->count; i++) {
		const struct figure *figure = &figures->list[i];
		struct metric metric;

		if (figure->buckets != NULL)
			continue;
		name_of(figure, &metric);
		if (strcmp(metric.name, last) != 0)
			write_family(to, is_open_metrics, metric.name,
			             figure->kind == COUNTER_TOTAL ? "counter" : "gauge",
			             figure->help);
		snprintf(last, sizeof(last), "%s", metric.name);
		write_sample(to, control->config, &metric, figure);
	}
	write_latency(to, is_open_metrics, figures);
	if (is_open_metrics)
		evbuffer_add_printf(to, "# EOF\n");
}
