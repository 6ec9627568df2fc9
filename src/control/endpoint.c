/* SPDX-License-Identifier: Apache-2.0 */
#include "control/endpoint.h"

#include "control/api.h"

#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct endpoint endpoints[] = {
    {EVHTTP_REQ_GET, "/healthz", ROLE_none, api_healthz},
    {EVHTTP_REQ_GET, "/readyz", ROLE_none, api_readyz},
    {EVHTTP_REQ_GET, "/metrics", ROLE_viewer, api_metrics},
    {EVHTTP_REQ_GET, "/v1/openapi.yaml", ROLE_none, api_openapi},
    {EVHTTP_REQ_GET, "/v1/status", ROLE_viewer, api_status},
    {EVHTTP_REQ_GET, "/v1/counters", ROLE_viewer, api_counters},
    {EVHTTP_REQ_GET, "/v1/whoami", ROLE_viewer, api_whoami},
    {EVHTTP_REQ_GET, "/v1/audit", ROLE_admin, api_audit_lines},
    {EVHTTP_REQ_GET, "/v1/audit/verify", ROLE_admin, api_audit_verify},
    {EVHTTP_REQ_GET, "/v1/audit/report", ROLE_admin, api_audit_report},
    {EVHTTP_REQ_GET, "/v1/blocks", ROLE_viewer, api_blocks_list},
    {EVHTTP_REQ_POST, "/v1/blocks", ROLE_operator, api_blocks_add},
    {EVHTTP_REQ_DELETE, "/v1/blocks/{prefix}", ROLE_operator, api_blocks_remove},
    {EVHTTP_REQ_GET, "/v1/certificates", ROLE_admin, api_certificates_list},
    {EVHTTP_REQ_POST, "/v1/certificates", ROLE_admin, api_certificates_issue},
    {EVHTTP_REQ_POST, "/v1/certificates/renew-server", ROLE_admin, api_certificates_renew_server},
    {EVHTTP_REQ_DELETE, "/v1/certificates/{serial}", ROLE_admin, api_certificates_revoke},
    {EVHTTP_REQ_GET, "/v1/config", ROLE_viewer, api_config_list},
    {EVHTTP_REQ_GET, "/v1/config/diff", ROLE_viewer, api_config_diff},
    {EVHTTP_REQ_POST, "/v1/config/check", ROLE_viewer, api_config_check},
    {EVHTTP_REQ_POST, "/v1/config/reload", ROLE_admin, api_config_reload},
    {EVHTTP_REQ_GET, "/v1/config/{name}", ROLE_viewer, api_config_get},
    {EVHTTP_REQ_PUT, "/v1/config/{name}", ROLE_admin, api_config_set},
    {EVHTTP_REQ_POST, "/v1/capture", ROLE_admin, api_capture},
    {EVHTTP_REQ_GET, "/v1/keys", ROLE_admin, api_keys_list},
    {EVHTTP_REQ_POST, "/v1/keys", ROLE_admin, api_keys_create},
    {EVHTTP_REQ_DELETE, "/v1/keys/{id}", ROLE_admin, api_keys_revoke},
    {EVHTTP_REQ_GET, "/v1/classes", ROLE_viewer, api_classes},
    {EVHTTP_REQ_GET, "/v1/hot", ROLE_operator, api_hot},
    {EVHTTP_REQ_GET, "/v1/survey", ROLE_operator, api_survey},
    {EVHTTP_REQ_POST, "/v1/purges", ROLE_operator, api_purge},
    {EVHTTP_REQ_GET, "/v1/watch", ROLE_operator, api_watch},
    {EVHTTP_REQ_GET, "/v1/tokens/revoked", ROLE_admin, api_tokens_list},
    {EVHTTP_REQ_POST, "/v1/tokens/revoked", ROLE_admin, api_tokens_revoke},
    {EVHTTP_REQ_GET, "/v1/users", ROLE_admin, api_users_list},
    {EVHTTP_REQ_PUT, "/v1/users/{name}", ROLE_admin, api_users_set},
    {EVHTTP_REQ_DELETE, "/v1/users/{name}", ROLE_admin, api_users_remove},
};

#define ENDPOINT_COUNT (sizeof(endpoints) / sizeof(endpoints[0]))

static const struct {
	enum evhttp_cmd_type method;
	const char *name;
} methods[] = {
    {EVHTTP_REQ_GET, "GET"},       {EVHTTP_REQ_POST, "POST"},   {EVHTTP_REQ_PUT, "PUT"},
    {EVHTTP_REQ_DELETE, "DELETE"}, {EVHTTP_REQ_PATCH, "PATCH"},
};

#define METHOD_COUNT (sizeof(methods) / sizeof(methods[0]))

const char *endpoint_method_name(enum evhttp_cmd_type method)
{
	for (size_t i = 0; i < METHOD_COUNT; i++)
		if (methods[i].method == method)
			return methods[i].name;
	return "?";
}

void endpoint_methods_format(uint32_t bits, char *text, size_t text_bytes)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < METHOD_COUNT && used < text_bytes; i++)
		if (bits & (uint32_t)methods[i].method)
			used += (size_t)snprintf(text + used, text_bytes - used, "%s%s",
			                         used == 0 ? "" : ", ", methods[i].name);
}

void endpoint_list(void)
{
	for (size_t i = 0; i < ENDPOINT_COUNT; i++)
		printf("%s %s %s\n", endpoint_method_name(endpoints[i].method), endpoints[i].path,
		       role_name(endpoints[i].role));
}

/* Decodes what stands for "{name}". False: it is none. */
static bool argument_read(const char *text, char ret_argument[EXCHANGE_ARGUMENT_BYTES])
{
	size_t length;
	char *decoded;
	bool fits;

	if (*text == '\0' || strchr(text, '/') != NULL)
		return false;
	decoded = evhttp_uridecode(text, 0, &length);
	if (decoded == NULL)
		return false;
	fits = length < EXCHANGE_ARGUMENT_BYTES && strlen(decoded) == length;
	if (fits)
		memcpy(ret_argument, decoded, length + 1);
	free(decoded);
	return fits;
}

static bool matches(const struct endpoint *endpoint, const char *path,
                    char ret_argument[EXCHANGE_ARGUMENT_BYTES])
{
	size_t fixed = strcspn(endpoint->path, "{");

	ret_argument[0] = '\0';
	if (endpoint->path[fixed] == '\0')
		return strcmp(endpoint->path, path) == 0;
	return strncmp(endpoint->path, path, fixed) == 0 &&
	       argument_read(path + fixed, ret_argument);
}

const struct endpoint *endpoint_find(enum evhttp_cmd_type method, const char *path,
                                     char ret_argument[EXCHANGE_ARGUMENT_BYTES],
                                     uint32_t *ret_methods)
{
	*ret_methods = 0;
	for (uint32_t i = 0; i < ENDPOINT_COUNT; i++) {
		if (!matches(&endpoints[i], path, ret_argument))
			continue;
		if (endpoints[i].method == method)
			return &endpoints[i];
		*ret_methods |= (uint32_t)endpoints[i].method;
	}
	return NULL;
}
