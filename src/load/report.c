/* SPDX-License-Identifier: Apache-2.0 */
#include "load/report.h"

#include <inttypes.h>

/* name in JSON, permille, label */
static const struct percentile {
	const char *name;
	uint32_t permille;
	const char *label;
} percentiles[] = {
    {"p50_ns", 500, "latency p50"},
    {"p99_ns", 990, "latency p99"},
    {"p999_ns", 999, "latency p99.9"},
    {"max_ns", 1000, "latency max"},
};

#define PERCENTILE_COUNT (sizeof(percentiles) / sizeof(percentiles[0]))

static double per_second(uint64_t count, uint64_t ns)
{
	return ns == 0 ? 0 : (double)count * 1e9 / (double)ns;
}

static void table_number(FILE *to, const char *label, uint64_t number)
{
	fprintf(to, "%-28s %18" PRIu64 "\n", label, number);
}

static void table_microseconds(FILE *to, const char *label, uint64_t ns)
{
	fprintf(to, "%-28s %18.1f us\n", label, (double)ns / 1000);
}

static void table_populated(const struct report *report, FILE *to)
{
	if (report->populate_ns == 0)
		return;
	fprintf(to, "%-28s %18" PRIu64 " in %.1f s (%.0f/s, %" PRIu64 " refused)\n",
	        "keys populated", report->populated->stored, (double)report->populate_ns / 1e9,
	        per_second(report->populated->stored, report->populate_ns),
	        report->populated->server_errors + report->populated->client_errors);
}

#define TABLE_COUNTER(name, failure, always, label)                                                \
	if ((always) || counters->name > 0)                                                        \
		table_number(to, label, counters->name);

#define TABLE_LINK(name, help) table_number(to, help, report->link->link.name);
#define TABLE_TCP(name, help)                                                                      \
	if (report->link->tcp.name > 0)                                                            \
		fprintf(to, "  %-26s %18" PRIu64 "\n", #name, report->link->tcp.name);

/* Of the whole run, populating too. */
static void table_link(const struct report *report, FILE *to)
{
	LINK_COUNTERS(TABLE_LINK)
	table_number(to, "frames dropped, incoming", report->receive_drops);
	table_number(to, "frames dropped, outgoing", report->transmit_drops);
	if (report->link->tcp.segments_sent > 0)
		fprintf(to, "TCP\n");
	CLIENT_TCP_COUNTERS(TABLE_TCP)
	for (uint32_t i = 0; i < CLIENT_TCP_VIOLATION_COUNT; i++) {
		if (report->link->violations[i] > 0)
			fprintf(to, "  the server: %s: %" PRIu64 " times\n",
			        client_tcp_violation_text(i), report->link->violations[i]);
	}
}

void report_table(const struct report *report, FILE *to)
{
	const struct workload_counters *counters = &report->workload->counters;
	const struct histogram *latency = &report->workload->latency;

	fprintf(to, "%s %s, %u connections, %u in flight each, ", report->transport, report->target,
	        report->connection_count, report->pipeline);
	if (report->rate > 0)
		fprintf(to, "%.0f requests/s asked for\n", report->rate);
	else
		fprintf(to, "closed loop\n");
	table_populated(report, to);
	fprintf(to, "%-28s %18.0f in %.2f s\n", "requests/s",
	        per_second(counters->requests, report->elapsed_ns),
	        (double)report->elapsed_ns / 1e9);
	WORKLOAD_COUNTERS(TABLE_COUNTER)
	if (report->overdue_count > 0)
		table_number(to, "requests due, never sent", report->overdue_count);
	for (size_t i = 0; i < PERCENTILE_COUNT; i++)
		table_microseconds(to, percentiles[i].label,
		                   histogram_percentile_ns(latency, percentiles[i].permille));
	if (report->link != NULL)
		table_link(report, to);
	if (report->workload->first_fault[0] != '\0')
		fprintf(to, "first fault: %s\n", report->workload->first_fault);
	if (report->has_stopped_populating)
		fprintf(to, "stopped while populating: the figures are those of that\n");
	if (report->is_interrupted)
		fprintf(to, "interrupted: the results so far\n");
	fprintf(to, "%s\n", report->has_failed ? "FAILED" : "ok");
}

#define JSON_COUNTER(name, failure, always, label)                                                 \
	fprintf(to, "%s\"" #name "\":%" PRIu64, separator, counters->name);                        \
	separator = ",";

static void json_counters(FILE *to, const struct workload_counters *counters)
{
	const char *separator = "";

	fputc('{', to);
	WORKLOAD_COUNTERS(JSON_COUNTER)
	fputc('}', to);
}

#define JSON_LINK(name, help) fprintf(to, "\"" #name "\":%" PRIu64 ",", report->link->link.name);
#define JSON_TCP(name, help)                                                                       \
	fprintf(to, "%s\"" #name "\":%" PRIu64, separator, report->link->tcp.name);                \
	separator = ",";

static void json_link(const struct report *report, FILE *to)
{
	const char *separator = "";

	fputs(",\"link\":{", to);
	LINK_COUNTERS(JSON_LINK)
	fprintf(to, "\"receive_drops\":%" PRIu64 ",\"transmit_drops\":%" PRIu64 "},\"tcp\":{",
	        report->receive_drops, report->transmit_drops);
	CLIENT_TCP_COUNTERS(JSON_TCP)
	fputc('}', to);
}

/* The text is printable ASCII (workload_note_fault() sees to it). */
static void json_text(FILE *to, const char *text)
{
	fputc('"', to);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', to);
		fputc(*text, to);
	}
	fputc('"', to);
}

void report_json(const struct report *report, FILE *to)
{
	const struct workload *workload = report->workload;

	fprintf(to,
	        "{\"transport\":\"%s\",\"target\":\"%s\",\"connections\":%u,\"pipeline\":%u,"
	        "\"rate\":%.0f,\"elapsed_ns\":%" PRIu64 ",\"requests_per_second\":%.1f,"
	        "\"overdue\":%" PRIu64,
	        report->transport, report->target, report->connection_count, report->pipeline,
	        report->rate, report->elapsed_ns,
	        per_second(workload->counters.requests, report->elapsed_ns), report->overdue_count);
	fputs(",\"counters\":", to);
	json_counters(to, &workload->counters);
	if (report->populate_ns > 0) {
		fprintf(to, ",\"populate_ns\":%" PRIu64 ",\"populated\":", report->populate_ns);
		json_counters(to, report->populated);
	}
	fputs(",\"latency\":{", to);
	for (size_t i = 0; i < PERCENTILE_COUNT; i++)
		fprintf(to, "%s\"%s\":%" PRIu64, i == 0 ? "" : ",", percentiles[i].name,
		        histogram_percentile_ns(&workload->latency, percentiles[i].permille));
	fputc('}', to);
	if (report->link != NULL)
		json_link(report, to);
	fputs(",\"first_fault\":", to);
	json_text(to, workload->first_fault);
	fprintf(to, ",\"stopped_populating\":%s",
	        report->has_stopped_populating ? "true" : "false");
	fprintf(to, ",\"interrupted\":%s,\"failed\":%s}\n",
	        report->is_interrupted ? "true" : "false", report->has_failed ? "true" : "false");
}
