/* SPDX-License-Identifier: Apache-2.0 */
#include "kanted_reload.h"

#include "base/log.h"

static uint64_t *value_of(struct config *config, const struct config_parameter *parameter)
{
	return (uint64_t *)(void *)((char *)config + parameter->offset);
}

static bool take_over(struct config *config, struct config *fresh)
{
	bool has_changed = config->eviction != fresh->eviction;

	for (uint32_t i = 0; i < config_parameter_count; i++) {
		const struct config_parameter *parameter = &config_parameters[i];
		uint64_t *value = value_of(config, parameter);
		uint64_t wanted = *value_of(fresh, parameter);
		char before[CONFIG_QUANTITY_BYTES], after[CONFIG_QUANTITY_BYTES];

		if (*value == wanted)
			continue;
		config_format_quantity(before, parameter->type, *value);
		config_format_quantity(after, parameter->type, wanted);
		if (value == &config->eviction) {
			*value = wanted;
			log_info("%s: %s from now on, %s before", parameter->name, after, before);
		} else {
			log_warning("%s: %s counts from the next start, it is %s until then",
			            parameter->name, after, before);
		}
	}
	if (memcmp(&config->classes, &fresh->classes, sizeof(config->classes)) != 0)
		log_warning("classes: what has changed counts from the next start");
	return has_changed;
}

bool config_reload(struct config *config, const char *path)
{
	char error[CONFIG_ERROR_BYTES];
	struct config *fresh;
	bool has_changed;

	if (config_load(&fresh, path, error, sizeof(error)) < 0) {
		log_lines(LOG_LEVEL_ERROR, error);
		log_error("%s is not taken over: all goes on as before", path);
		return false;
	}
	has_changed = take_over(config, fresh);
	if (!has_changed)
		log_info("%s: nothing in it changes what runs", path);
	config_destroy(fresh);
	return has_changed;
}
