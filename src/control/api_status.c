/* SPDX-License-Identifier: Apache-2.0 */
/* What the node is, does and counts. */
#include "control/api.h"

#include "control/blocking.h"
#include "control/gather.h"
#include "control/metrics.h"

#include <stdlib.h>
#include <string.h>

/* The linker's names for the file. */
extern const char _binary_openapi_yaml_start[], _binary_openapi_yaml_end[];

/* The control process answers, and that is all. */
void api_healthz(struct exchange *exchange)
{
	exchange_reply(exchange, HTTP_OK, json_pack("{s:s}", "status", "alive"));
}

static void add_alarm(json_t *alarms, const char *text)
{
	json_array_append_new(alarms, json_string(text));
}

/* Who answers a port's hot keys, and how or why: "xdp native", up to the line's end. */
static const char *hot_of(const char *facts, const struct fact_port *port)
{
	char name[32];
	const char *hot;

	snprintf(name, sizeof(name), "hot %u", port->index);
	hot = fact_find(facts, name);
	return hot == NULL ? "workers \n" : hot;
}

static json_t *port_json(const char *facts, const struct fact_port *port)
{
	const char *hot = hot_of(facts, port);
	size_t who_bytes = strcspn(hot, " \n");

	return json_pack("{s:s, s:s, s:s%, s:s%}", "kind", port->kind, "name", port->name,
	                 "hot_keys_by", hot, who_bytes, "hot_keys_note", hot + who_bytes + 1,
	                 strcspn(hot + who_bytes + 1, "\n"));
}

/* Ports that serve nobody. */
static void add_port_alarms(json_t *alarms, const char *facts)
{
	static const char nobody[] = "nobody ";
	struct fact_port port;

	for (const char *at = facts; fact_port_next(&at, &port);) {
		const char *hot = hot_of(facts, &port);

		if (strncmp(hot, nobody, strlen(nobody)) != 0)
			continue;
		hot += strlen(nobody);
		json_array_append_new(
		    alarms,
		    json_sprintf("the XDP program of %s is off, nobody is served there: %.*s",
		                 port.name, (int)strcspn(hot, "\n"), hot));
	}
}

/* What an operator has to see to. */
static json_t *alarms_of(const struct control *control, const struct gathered *gathered)
{
	json_t *alarms = json_array();
	const char *audit = audit_failure(control->audit);

	if (gathered->facts == NULL)
		add_alarm(alarms, "kanted does not answer the control process: see its log");
	add_port_alarms(alarms, gathered->facts);
	if (audit != NULL)
		add_alarm(alarms, audit);
	if (gathered->facts != NULL && blocking_is_behind(control))
		add_alarm(alarms, "kanted does not go by the newest block list: see its log");
	if (control->tls != NULL) {
		struct tls_lifetimes lifetimes;

		tls_lifetimes(control->tls, &lifetimes);
		if (lifetimes.certificate_expires_s < control_now_s() + 14 * 86400)
			add_alarm(alarms,
			          "the server's certificate expires within 14 days: renew it");
	}
	return alarms;
}

/* Whether clients are served, and changes can be made. */
static void ready(struct exchange *exchange, struct gathered *gathered)
{
	json_t *alarms = alarms_of(exchange->control, gathered);
	bool is_ready = gathered->facts != NULL && audit_failure(exchange->control->audit) == NULL;

	exchange_reply(
	    exchange, is_ready ? HTTP_OK : HTTP_SERVUNAVAIL,
	    json_pack("{s:s, s:o}", "status", is_ready ? "ready" : "not ready", "reasons", alarms));
}

void api_readyz(struct exchange *exchange)
{
	gather(exchange, ready);
}

static json_t *number_of(const struct gathered *gathered, const char *name)
{
	const char *text = fact_find(gathered->facts, name);

	return text == NULL ? json_null() : json_integer((json_int_t)strtoull(text, NULL, 10));
}

static json_t *text_of(const struct gathered *gathered, const char *name)
{
	const char *text = fact_find(gathered->facts, name);

	return text == NULL ? json_null() : json_stringn(text, strcspn(text, "\n"));
}

static json_t *sum_of(const struct gathered *gathered, const char *module, const char *name)
{
	return json_integer((json_int_t)gathered_sum(gathered, module, name));
}

static json_t *ports_of(const struct gathered *gathered)
{
	json_t *ports = json_array();
	struct fact_port port;

	for (const char *at = gathered->facts; fact_port_next(&at, &port);)
		json_array_append_new(ports, port_json(gathered->facts, &port));
	return ports;
}

static void tell_status(struct exchange *exchange, struct gathered *gathered)
{
	exchange_reply(
	    exchange, HTTP_OK,
	    json_pack(
	        "{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "version",
	        KANTE_VERSION, "pid", number_of(gathered, "pid"), "uptime_s",
	        number_of(gathered, "uptime"), "config", text_of(gathered, "config"), "workers",
	        number_of(gathered, "workers"), "memory_bytes", number_of(gathered, "memory"),
	        "items", sum_of(gathered, "store", "curr_items"), "connections",
	        sum_of(gathered, "session", "curr_connections"), "requests",
	        sum_of(gathered, "session", "requests"), "gets",
	        sum_of(gathered, "shard", "cmd_get"), "hits", sum_of(gathered, "shard", "get_hits"),
	        "evictions", sum_of(gathered, "store", "evictions"), "ports", ports_of(gathered),
	        "alarms", alarms_of(exchange->control, gathered)));
}

void api_status(struct exchange *exchange)
{
	gather(exchange, tell_status);
}

static const char *kind_of(const struct figure *figure)
{
	if (figure->buckets != NULL)
		return "histogram";
	return figure->kind == COUNTER_LEVEL ? "level" : "total";
}

static json_t *buckets_json(const struct figure *figure)
{
	const char *at = figure->buckets;
	struct figure_bucket bucket;
	json_t *list = json_array();

	while (figure_bucket_next(&at, &bucket))
		json_array_append_new(list, json_pack("{s:I, s:I}", "end", (json_int_t)bucket.end,
		                                      "count", (json_int_t)bucket.count));
	return list;
}

static json_t *figure_json(const struct figure *figure)
{
	json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:I, s:s}", "module", figure->module, "name",
	                         figure->name, "kind", kind_of(figure), "unit", figure->unit,
	                         "value", (json_int_t)figure->value, "help", figure->help);

	if (figure->buckets != NULL)
		json_object_set_new(json, "buckets", buckets_json(figure));
	if (figure->class_name[0] != '\0')
		json_object_set_new(json, "class", json_string(figure->class_name));
	if (figure->port != FIGURES_NONE)
		json_object_set_new(json, "port", json_integer(figure->port));
	if (figure->worker != FIGURES_NONE)
		json_object_set_new(json, "worker", json_integer(figure->worker));
	return json;
}

static void tell_counters(struct exchange *exchange, struct gathered *gathered)
{
	json_t *list;

	if (!gathered_check(exchange, gathered))
		return;
	list = json_array();
	for (uint32_t i = 0; i < gathered->figures.count; i++)
		json_array_append_new(list, figure_json(&gathered->figures.list[i]));
	exchange_reply(exchange, HTTP_OK, json_pack("{s:o}", "counters", list));
}

void api_counters(struct exchange *exchange)
{
	gather(exchange, tell_counters);
}

static void tell_metrics(struct exchange *exchange, struct gathered *gathered)
{
	const char *accept =
	    evhttp_find_header(evhttp_request_get_input_headers(exchange->request), "Accept");
	bool is_open = accept != NULL && strstr(accept, "application/openmetrics-text") != NULL;
	struct evbuffer *text = evbuffer_new();

	if (text == NULL) {
		exchange_refuse(exchange, HTTP_SERVUNAVAIL, "no memory is left: try again");
		return;
	}
	metrics_write(text, is_open, exchange->control, &gathered->figures, gathered->facts);
	exchange_reply_text(exchange, HTTP_OK, is_open ? METRICS_OPEN_TYPE : METRICS_TEXT_TYPE,
	                    text);
	evbuffer_free(text);
}

void api_metrics(struct exchange *exchange)
{
	gather(exchange, tell_metrics);
}

/* openapi.yaml, carried inside the program. */
void api_openapi(struct exchange *exchange)
{
	struct evbuffer *text = evbuffer_new();

	if (text == NULL) {
		exchange_refuse(exchange, HTTP_SERVUNAVAIL, "no memory is left: try again");
		return;
	}
	evbuffer_add_reference(text, _binary_openapi_yaml_start,
	                       (size_t)(_binary_openapi_yaml_end - _binary_openapi_yaml_start),
	                       NULL, NULL);
	exchange_reply_text(exchange, HTTP_OK, "application/yaml", text);
	evbuffer_free(text);
}

void api_whoami(struct exchange *exchange)
{
	const struct identity *who = &exchange->who;

	exchange_reply(exchange, HTTP_OK,
	               json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", who->name, "role",
	                         role_name(who->role), "credential",
	                         credential_name(who->credential), "credential_id",
	                         who->credential_id, "from", who->from));
}
