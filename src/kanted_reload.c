/* SPDX-License-Identifier: Apache-2.0 */
#include "kanted_reload.h"

#include "base/log.h"
#include "config/diff.h"

static const char *told(const char *value)
{
	return value == NULL ? "none" : value;
}

static void say(struct evbuffer *answer, const char *what, const char *text)
{
	if (answer != NULL)
		evbuffer_add_printf(answer, "%s %s\n", what, text);
}

/* `error`: a fault a line; it is changed. */
static void refuse(const char *path, struct evbuffer *answer, char *error)
{
	char *line, *rest = error;

	log_lines(LOG_LEVEL_ERROR, error);
	log_error("%s is not taken over: all goes on as before", path);
	while ((line = strsep(&rest, "\n")) != NULL)
		say(answer, "error", line);
}

/* True: something that runs has changed. */
static bool take_over(struct config *config, const struct config *fresh,
                      const struct config_diff *diff, struct evbuffer *answer)
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
		say(answer, difference->restart ? "restart" : "applied", difference->path);
		has_changed |= !difference->restart;
	}
	config_take_live(config, fresh);
	return has_changed;
}

bool config_reload(struct config *config, const char *path, struct evbuffer *answer)
{
	char error[CONFIG_ERROR_BYTES];
	struct config_diff *diff = NULL;
	struct config *fresh = NULL;
	bool has_changed = false;

	if (config_load(&fresh, path, error, sizeof(error)) < 0) {
		refuse(path, answer, error);
	} else if (config_diff_create(&diff, config, fresh) < 0) {
		snprintf(error, sizeof(error), "no memory is left to read it: try again");
		refuse(path, answer, error);
	} else {
		has_changed = take_over(config, fresh, diff, answer);
		if (!has_changed)
			log_info("%s: nothing in it changes what runs", path);
	}
	config_diff_destroy(diff);
	config_destroy(fresh);
	return has_changed;
}
