/* SPDX-License-Identifier: Apache-2.0 */
#include "control/dispatch.h"

#include "base/log.h"
#include "control/api.h"
#include "control/endpoint.h"
#include "control/who.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define VISIT_S 3600 /* who comes again within it is no new login */

void dispatch_create(struct dispatch *dispatch, struct control *control)
{
	*dispatch = (struct dispatch){.control = control};
	RAND_bytes((unsigned char *)&dispatch->key, sizeof(dispatch->key));
}

static void on_gone(struct evhttp_connection *connection, void *context)
{
	struct exchange *exchange = context;

	/* libevent has let go of a request that was not replied to, unless all of it ends */
	if (evhttp_request_get_connection(exchange->request) == NULL)
		evhttp_request_free(exchange->request);
	exchange->request = NULL;
	exchange_destroy(exchange);
}

static void audit_login(struct exchange *exchange, enum audit_result result, const char *reason)
{
	struct audit_event event = {.kind = AUDIT_login,
	                            .result = result,
	                            .action = "login",
	                            .who = &exchange->who,
	                            .reason = reason};

	audit_append(exchange->control->audit, &event, control_now_us());
}

/* Whether nobody like that has come from there lately. */
static bool is_new_visitor(struct dispatch *dispatch, const struct exchange *exchange)
{
	char text[IDENTITY_NAME_BYTES + IDENTITY_CREDENTIAL_BYTES + IDENTITY_FROM_BYTES + 8];
	const char *colon = strrchr(exchange->who.from, ':');
	int host_bytes = colon == NULL ? 0 : (int)(colon - exchange->who.from);
	uint64_t now_s = control_monotonic_s();
	struct dispatch_visitor *visitor;
	uint64_t hash;
	bool is_new;

	snprintf(text, sizeof(text), "%d %s %s %.*s", (int)exchange->who.credential,
	         exchange->who.name, exchange->who.credential_id, host_bytes, exchange->who.from);
	hash = siphash(&dispatch->key, text, strlen(text));
	visitor = &dispatch->visitors[hash % DISPATCH_VISITOR_COUNT];
	is_new = visitor->hash != hash || now_s - visitor->last_s > VISIT_S;
	*visitor = (struct dispatch_visitor){hash, is_new ? now_s : visitor->last_s};
	return is_new;
}

/* False: it was refused, and is gone. */
static bool let_in(struct dispatch *dispatch, struct exchange *exchange, const struct peer *peer)
{
	struct control_counters *counters = &dispatch->control->counters;
	char reason[WHO_REASON_BYTES];
	enum who_verdict verdict =
	    who_find(exchange, peer->source, peer->port, peer->ssl, peer->fd, reason);

	switch (verdict) {
	case WHO_KNOWN:
		if (is_new_visitor(dispatch, exchange))
			audit_login(exchange, AUDIT_OK, NULL);
		return true;
	case WHO_LOCKED:
		counter_add(&counters->refused_locked, 1);
		audit_login(exchange, AUDIT_REFUSED, "locked out");
		exchange_refuse(exchange, 429, "%s", reason);
		return false;
	default:
		counter_add(&counters->refused_credential, 1);
		audit_login(exchange, AUDIT_REFUSED, reason);
		evhttp_add_header(evhttp_request_get_output_headers(exchange->request),
		                  "WWW-Authenticate", "Bearer realm=\"kante\"");
		exchange_refuse(exchange, 401, "%s", reason);
		return false;
	}
}

static enum role role_needed(const struct exchange *exchange)
{
	const struct admin *admin = &exchange->control->config->admin;

	if (exchange->endpoint->run == api_metrics && admin->metrics == ADMIN_METRICS_open)
		return ROLE_none;
	return exchange->endpoint->role;
}

/* False: it was refused, and is gone. */
static bool check_role(struct exchange *exchange)
{
	struct evhttp_request *request = exchange->request;
	char action[EXCHANGE_ARGUMENT_BYTES + 64];
	struct audit_event event = {.kind = AUDIT_refusal,
	                            .result = AUDIT_REFUSED,
	                            .action = action,
	                            .who = &exchange->who,
	                            .reason = "the role may not"};

	if (exchange->who.role >= exchange->endpoint->role)
		return true;
	counter_add(&exchange->control->counters.refused_role, 1);
	snprintf(action, sizeof(action), "%s %s",
	         endpoint_method_name(evhttp_request_get_command(request)),
	         exchange->endpoint->path);
	audit_append(exchange->control->audit, &event, control_now_us());
	exchange_refuse(exchange, 403, "%s has the role %s, this needs %s", exchange->who.name,
	                role_name(exchange->who.role), role_name(exchange->endpoint->role));
	return false;
}

/* False: it would change something that could not be written down: it was refused, and is gone.
 * What a viewer may changes nothing, even with a body. */
static bool check_audit(struct exchange *exchange)
{
	const struct control *control = exchange->control;
	const char *failure = audit_failure(control->audit);

	if (failure == NULL || exchange->endpoint->role <= ROLE_viewer ||
	    evhttp_request_get_command(exchange->request) == EVHTTP_REQ_GET ||
	    control->config->admin.audit.when_full != ADMIN_WHEN_FULL_refuse)
		return true;
	counter_add(&exchange->control->counters.refused_audit, 1);
	exchange_refuse(exchange, HTTP_SERVUNAVAIL,
	                "the audit log cannot be written, and nothing is changed without it: %s",
	                failure);
	return false;
}

/* What the request says beside its method and path. False: it was refused, and is gone. */
static bool read_request(struct exchange *exchange)
{
	struct evhttp_request *request = exchange->request;
	struct evbuffer *body = evhttp_request_get_input_buffer(request);
	const char *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(request));
	const char *type =
	    evhttp_find_header(evhttp_request_get_input_headers(request), "Content-Type");
	bool has_body = evhttp_request_get_command(request) &
	                (EVHTTP_REQ_POST | EVHTTP_REQ_PUT | EVHTTP_REQ_PATCH);
	size_t length = evbuffer_get_length(body);
	json_error_t error;

	if (query != NULL && evhttp_parse_query_str(query, &exchange->query) < 0) {
		exchange_refuse(exchange, 400, "the query is not name=value&…: mend it");
		return false;
	}
	/* a page of another site cannot send that without asking first: so no browser is made to
	 * change something by its owner's certificate */
	if (has_body && (type == NULL || strncasecmp(type, "application/json", 16) != 0)) {
		exchange_refuse(exchange, 415, "send JSON, with `Content-Type: application/json`");
		return false;
	}
	if (!has_body || length == 0)
		return true;
	exchange->body = json_loadb((const char *)evbuffer_pullup(body, -1), length,
	                            JSON_REJECT_DUPLICATES, &error);
	if (exchange->body == NULL || !json_is_object(exchange->body)) {
		exchange_refuse(exchange, 400, "the body is no JSON object: line %d, column %d: %s",
		                exchange->body != NULL ? 1 : error.line,
		                exchange->body != NULL ? 1 : error.column,
		                exchange->body != NULL ? "not an object" : error.text);
		return false;
	}
	return true;
}

/* False: there is no such endpoint: it was refused, and is gone. */
static bool find_endpoint(struct exchange *exchange)
{
	struct evhttp_request *request = exchange->request;
	enum evhttp_cmd_type method = evhttp_request_get_command(request);
	const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));
	char allow[64];
	uint32_t others;

	exchange->endpoint =
	    endpoint_find(method, path == NULL ? "" : path, exchange->argument, &others);
	if (exchange->endpoint != NULL)
		return true;
	if (others == 0) {
		exchange_refuse(exchange, 404,
		                "no such path: see /v1/openapi.yaml for those there are");
		return false;
	}
	endpoint_methods_format(others, allow, sizeof(allow));
	evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", allow);
	exchange_refuse(exchange, 405, "%s is not for this path: it takes %s",
	                endpoint_method_name(method), allow);
	return false;
}

void dispatch(struct dispatch *dispatch, struct evhttp_request *request, const struct peer *peer)
{
	struct control_counters *counters = &dispatch->control->counters;
	struct exchange *exchange = exchange_create(dispatch->control, request);

	counter_add(&counters->requests, 1);
	if (exchange == NULL) {
		evhttp_send_error(request, HTTP_SERVUNAVAIL, NULL);
		return;
	}
	evhttp_connection_set_closecb(evhttp_request_get_connection(request), on_gone, exchange);
	if (!find_endpoint(exchange)) {
		counter_add(&counters->refused_request, 1);
		return;
	}
	if (role_needed(exchange) > ROLE_none &&
	    (!let_in(dispatch, exchange, peer) || !check_role(exchange) || !check_audit(exchange)))
		return;
	if (!read_request(exchange)) {
		counter_add(&counters->refused_request, 1);
		return;
	}
	exchange->endpoint->run(exchange);
}
