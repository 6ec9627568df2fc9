/* SPDX-License-Identifier: Apache-2.0 */
/* What differs between two configs: for reload, `config diff` and `config check`. */
#pragma once

#include "config/config.h"

struct config_difference {
	/* "memory", "ports[tap kante0].udp", "classes[sessions].share_max",
	 * "admin.audit.when_full"; of an entry or a section that is new or gone "ports[tap
	 * kante0]", "classes[sessions]", "admin" and "admin.audit" */
	char *path;
	/* As in the file, a single text without its quotes, an entry or a section in braces;
	 * NULL: there is none. */
	char *before;
	char *after;
	bool restart; /* it counts from the next start only */
};

/* Owner: whoever asked for it. */
struct config_diff {
	uint32_t count;
	struct config_difference *list; /* what is another or gone, then what is new */
};

/* Ports are the same when their kind and place are, classes when their name is; their order does
 * not matter. What is said of a default is no difference. 0; -ENOMEM. */
int config_diff_create(struct config_diff **ret_diff, const struct config *before,
                       const struct config *after);
void config_diff_destroy(struct config_diff *diff); /* takes NULL */
