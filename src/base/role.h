/* SPDX-License-Identifier: Apache-2.0 */
/* What those who manage a node may do. */
#pragma once

#include <stdbool.h>
#include <string.h>

/* Each may what the ones before it may, too. name, help */
#define ROLES(X)                                                                                   \
	X(none, "Nothing but /healthz and /readyz")                                                \
	X(viewer, "Look at everything but secrets")                                                \
	X(operator, "Change what runs: config, purges, blocks")                                    \
	X(admin, "Say who may what, and see the audit log")

#define ROLE_ENUM(name, help) ROLE_##name,
#define ROLE_NAME(name, help) #name,

enum role {
	ROLES(ROLE_ENUM) ROLE_COUNT
};

static inline const char *role_name(enum role role)
{
	static const char *const names[] = {ROLES(ROLE_NAME)};

	return names[role];
}

/* False: there is no such role, and nothing was written. */
static inline bool role_parse(enum role *ret_role, const char *name)
{
	for (int i = 0; i < ROLE_COUNT; i++)
		if (strcmp(role_name((enum role)i), name) == 0) {
			*ret_role = (enum role)i;
			return true;
		}
	return false;
}
