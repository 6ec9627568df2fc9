/* SPDX-License-Identifier: Apache-2.0 */
/* The admin API: what can be asked, who may, and what does it. openapi.yaml describes the same to
 * those who use it; a test holds one against the other. */
#pragma once

#include "control/exchange.h"

#include <event2/http.h>

struct endpoint {
	enum evhttp_cmd_type method;
	const char *path; /* "{name}" at its end stands for any text without a slash */
	enum role role;   /* who may, at least */
	void (*run)(struct exchange *exchange);
};

extern const struct endpoint endpoints[];
extern const uint32_t endpoint_count;

/* What a method at a path is. NULL: none; *ret_methods has those that the path does take, 0: there
 * is no such path. ret_argument: what stands in the place of "{name}", decoded, or "". */
const struct endpoint *endpoint_find(enum evhttp_cmd_type method, const char *path,
                                     char ret_argument[EXCHANGE_ARGUMENT_BYTES],
                                     uint32_t *ret_methods);
