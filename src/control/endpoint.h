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

/* What a method at a path is. NULL: none; *ret_methods has those that the path does take, 0: there
 * is no such path. ret_argument: what stands in the place of "{name}", decoded, or "". */
const struct endpoint *endpoint_find(enum evhttp_cmd_type method, const char *path,
                                     char ret_argument[EXCHANGE_ARGUMENT_BYTES],
                                     uint32_t *ret_methods);

const char *endpoint_method_name(enum evhttp_cmd_type method);

/* "GET, POST" of such bits. */
void endpoint_methods_format(uint32_t bits, char *text, size_t text_bytes);

/* Prints "METHOD path role" of each. */
void endpoint_list(void);
