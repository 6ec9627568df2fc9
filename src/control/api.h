/* SPDX-License-Identifier: Apache-2.0 */
/* The endpoints, which endpoint.c lists; each takes the exchange and sees to its reply. */
#pragma once

#include "control/exchange.h"

/* api_status.c */
void api_healthz(struct exchange *exchange);
void api_readyz(struct exchange *exchange);
void api_status(struct exchange *exchange);
void api_counters(struct exchange *exchange);
void api_metrics(struct exchange *exchange);
void api_whoami(struct exchange *exchange);
void api_openapi(struct exchange *exchange);

/* api_keys.c */
void api_keys_list(struct exchange *exchange);
void api_keys_create(struct exchange *exchange);
void api_keys_revoke(struct exchange *exchange);
