/* SPDX-License-Identifier: Apache-2.0 */
#include "control/running.h"

#include "base/log.h"
#include "control/ask.h"
#include "control/server.h"

#include <errno.h>
#include <string.h>

/* NULL: it is none. */
static struct config *read_config(struct evbuffer *answer)
{
	size_t length = evbuffer_get_length(answer);
	const char *text = (const char *)evbuffer_pullup(answer, -1);
	char error[CONFIG_ERROR_BYTES];
	struct config *config = NULL;

	if (text == NULL) {
		log_error("kanted does not say what it goes by");
		return NULL;
	}
	if (config_parse(&config, "kanted", text, length, error, sizeof(error)) < 0)
		log_lines(LOG_LEVEL_ERROR, error);
	return config;
}

static void started(void *context, bool is_whole, struct evbuffer *answer)
{
	struct control *control = context;

	control->config_ask = NULL;
	if (is_whole)
		control->config = read_config(answer);
	event_base_loopbreak(control->base);
}

int running_start(struct control *control)
{
	int r = ask_begin(&control->config_ask, control->base, control->link_fd, "config", started,
	                  control);

	if (r == 0)
		event_base_dispatch(control->base);
	if (control->config != NULL)
		return 0;
	log_error("the control process cannot begin: kanted does not tell it what it goes by");
	return r < 0 ? r : -EPROTO;
}

void running_stop(struct control *control)
{
	ask_cancel(control->config_ask);
	config_destroy(control->config);
}

/* What may change at once and is not read each time that it is needed. */
static void count_at_once(struct control *control)
{
	const struct admin_audit *limits = &control->config->admin.audit;

	audit_limit(control->audit, limits->file_bytes_max, limits->files_kept_max,
	            control_now_us());
	server_limit(control->server);
}

int running_take(struct control *control, const char *text, size_t length,
                 struct config_diff **ret_diff)
{
	char error[CONFIG_ERROR_BYTES];
	struct config *fresh = NULL;
	int r = config_parse(&fresh, "kanted", text, length, error, sizeof(error));

	if (r < 0)
		log_lines(LOG_LEVEL_ERROR, error);
	else
		r = config_diff_create(ret_diff, control->config, fresh);
	if (r == 0) {
		/* others keep texts of it, such as the TLS rules: they stay where they are, and
		 * what they say, as only numbers change while it runs */
		*control->config = *fresh;
		count_at_once(control);
		/* an answer that is on its way may be older */
		control->config_is_old |= control->config_ask != NULL;
	}
	config_destroy(fresh);
	return r;
}

static json_t *value_of(const char *text)
{
	return text == NULL ? json_null() : json_string(text);
}

void running_audit(struct control *control, const struct config_diff *diff, const char *except,
                   const struct identity *who)
{
	struct audit_event event = {.kind = AUDIT_change, .action = "config.reload", .who = who};
	json_t *before = json_object(), *after = json_object();

	for (uint32_t i = 0; i < diff->count; i++) {
		const struct config_difference *difference = &diff->list[i];

		if (except != NULL && strcmp(difference->path, except) == 0)
			continue;
		json_object_set_new(before, difference->path, value_of(difference->before));
		json_object_set_new(after, difference->path, value_of(difference->after));
	}
	event.before = before;
	event.after = after;
	if (except == NULL || json_object_size(after) > 0)
		audit_append(control->audit, &event, control_now_us());
	json_decref(before);
	json_decref(after);
}

static void told(void *context, bool is_whole, struct evbuffer *answer)
{
	struct control *control = context;
	size_t length = evbuffer_get_length(answer);
	struct config_diff *diff = NULL;

	control->config_ask = NULL;
	if (!is_whole || length == 0 ||
	    running_take(control, (const char *)evbuffer_pullup(answer, -1), length, &diff) < 0)
		control->config_is_old = true;
	else if (diff->count > 0)
		running_audit(control, diff, NULL, NULL);
	config_diff_destroy(diff);
}

void running_look(struct control *control, bool now)
{
	control->config_is_old |= now;
	if (!control->config_is_old || control->config_ask != NULL)
		return;
	control->config_is_old = ask_begin(&control->config_ask, control->base, control->link_fd,
	                                   "config", told, control) < 0;
}
