/* SPDX-License-Identifier: Apache-2.0 */
#include "kanted_reload.h"

#include "base/log.h"
#include "config/diff.h"

static const char *told(const char *value)
{
	return value == NULL ? "none" : value;
}

/* True: something that runs has changed. */
static bool take_over(struct config *config, const struct config *fresh,
                      const struct config_diff *diff)
{
	bool has_changed = false;

	for (uint32_t i = 0; i < diff->count; i++) {
		const struct config_difference *difference = &diff->list[i];
		const char *before = told(difference->before), *after = told(difference->after);

		if (difference->restart)
			log_warning("%s: %s counts from the next start, it is %s until then",
			            difference->path, after, before);
		else
			log_info("%s: %s from now on, %s before", difference->path, after, before);
		has_changed |= !difference->restart;
	}
	config_take_live(config, fresh);
	return has_changed;
}

bool config_reload(struct config *config, const char *path)
{
	char error[CONFIG_ERROR_BYTES];
	struct config_diff *diff = NULL;
	struct config *fresh = NULL;
	bool has_changed = false;

	if (config_load(&fresh, path, error, sizeof(error)) < 0) {
		log_lines(LOG_LEVEL_ERROR, error);
		log_error("%s is not taken over: all goes on as before", path);
	} else if (config_diff_create(&diff, config, fresh) < 0) {
		log_error("%s is not taken over for want of memory: all goes on as before", path);
	} else {
		has_changed = take_over(config, fresh, diff);
		if (!has_changed)
			log_info("%s: nothing in it changes what runs", path);
	}
	config_diff_destroy(diff);
	config_destroy(fresh);
	return has_changed;
}
