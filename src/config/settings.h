/* SPDX-License-Identifier: Apache-2.0 */
/* All that a config says, as a flat list of texts: to be shown, and to be compared. */
#pragma once

#include "config/config.h"

#include <stdio.h>

struct config_setting {
	/* Where it is: "" at the top level, "ports[tap kante0]", "ports[socket 127.0.0.1:11211]",
	 * "classes[sessions]", "admin", "admin.audit". Those of a group are next to each other. */
	char *group;
	const struct config_parameter *parameter;
	/* As it is written in the file, a single text without its quotes; lists in brackets. */
	char *value;
};

/* Owner: whoever asked for it. */
struct config_settings {
	uint32_t count;
	struct config_setting *list;
};

/* What was not given has its default; what has none is left out. 0; -ENOMEM. */
int config_settings_create(struct config_settings **ret_settings, const struct config *config);
void config_settings_destroy(struct config_settings *settings); /* takes NULL */

/* "{kind: tap, name: kante0, udp: 11211}", of `count` settings from `first` on. */
void config_settings_write(FILE *to, const struct config_settings *settings, uint32_t first,
                           uint32_t count);

/* By its whole name: "memory", "classes[sessions].share_max". NULL: it says nothing of that. */
const struct config_setting *config_settings_find(const struct config_settings *settings,
                                                  const char *name);

/* How many of them, from `first` on, are of its group. */
uint32_t config_settings_group(const struct config_settings *settings, uint32_t first);

/* All of them as a file, which is read as the same config. */
void config_settings_write_file(FILE *to, const struct config_settings *settings);
