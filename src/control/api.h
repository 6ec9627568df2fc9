/* SPDX-License-Identifier: Apache-2.0 */
/* The endpoints, which endpoint.c lists; each takes the exchange and sees to its reply. */
#pragma once

#include "control/exchange.h"

#define API_KEY_BYTES_MAX 250 /* of a client's key, as memcached has it */

/* api_status.c */
void api_healthz(struct exchange *exchange);
void api_readyz(struct exchange *exchange);
void api_status(struct exchange *exchange);
void api_counters(struct exchange *exchange);
void api_metrics(struct exchange *exchange);
void api_whoami(struct exchange *exchange);
void api_openapi(struct exchange *exchange);

/* api_certificates.c */
void api_certificates_list(struct exchange *exchange);
void api_certificates_issue(struct exchange *exchange);
void api_certificates_revoke(struct exchange *exchange);
void api_certificates_renew_server(struct exchange *exchange);

/* api_config.c */
void api_config_list(struct exchange *exchange);
void api_config_get(struct exchange *exchange);
void api_config_check(struct exchange *exchange);
void api_config_diff(struct exchange *exchange);

/* api_config_change.c */
void api_config_set(struct exchange *exchange);
void api_config_reload(struct exchange *exchange);
void api_config_stop(struct control *control); /* gives up a change that is under way */

/* api_audit.c */
void api_audit_lines(struct exchange *exchange);
void api_audit_verify(struct exchange *exchange);
void api_audit_report(struct exchange *exchange);

/* api_blocks.c */
void api_blocks_list(struct exchange *exchange);
void api_blocks_add(struct exchange *exchange);
void api_blocks_remove(struct exchange *exchange);

/* api_capture.c */
void api_capture(struct exchange *exchange);

/* api_keys.c */
void api_keys_list(struct exchange *exchange);
void api_keys_create(struct exchange *exchange);
void api_keys_revoke(struct exchange *exchange);

/* api_items.c */
void api_classes(struct exchange *exchange);
void api_hot(struct exchange *exchange);
void api_survey(struct exchange *exchange);
void api_purge(struct exchange *exchange);

/* api_watch.c */
void api_watch(struct exchange *exchange);
/* api_tokens.c */
void api_tokens_list(struct exchange *exchange);
void api_tokens_revoke(struct exchange *exchange);

/* api_users.c */
void api_users_list(struct exchange *exchange);
void api_users_set(struct exchange *exchange);
void api_users_remove(struct exchange *exchange);
