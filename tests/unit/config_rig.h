/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of a config, and what becomes of them. */
#pragma once

#include "config/config.h"

#include "unit.h"

#include <stdio.h>

#define LISTEN "- {kind: socket, listen: \"127.0.0.1:11211\"}\n"
#define PORTS  "ports:\n" LISTEN

/* Of a text without faults; the caller destroys it. */
static inline struct config *parsed(const char *text)
{
	struct config *config = NULL;
	char error[CONFIG_ERROR_BYTES] = "";
	int r = config_parse(&config, "kante.yaml", text, strlen(text), error, sizeof(error));

	if (r != 0)
		printf("\n%s\n", error);
	CU_ASSERT_EQUAL_FATAL(r, 0);
	CU_ASSERT_STRING_EQUAL(error, "");
	return config;
}
