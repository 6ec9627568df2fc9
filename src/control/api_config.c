/* SPDX-License-Identifier: Apache-2.0 */
/* What the node goes by, and what a file would change of it. */
#include "control/api.h"

#include "config/describe.h"
#include "config/diff.h"
#include "config/faults.h"
#include "config/settings.h"
#include "login/users.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *effect_name(bool restart)
{
	return restart ? "restart" : "live";
}

static json_t *text_or_null(const char *text)
{
	return text == NULL ? json_null() : json_string(text);
}

/* The settings of what runs. NULL: it was refused, and is gone. */
static struct config_settings *settings_of(struct exchange *exchange)
{
	struct config_settings *settings = NULL;

	if (config_settings_create(&settings, exchange->control->config) < 0)
		exchange_refuse(exchange, HTTP_SERVUNAVAIL, "no memory is left: try again");
	return settings;
}

void api_config_list(struct exchange *exchange)
{
	struct config_settings *settings = settings_of(exchange);
	json_t *list = json_array();

	if (settings == NULL) {
		json_decref(list);
		return;
	}
	for (uint32_t i = 0; i < settings->count; i++) {
		const struct config_setting *setting = &settings->list[i];

		json_array_append_new(
		    list, json_pack("{s:s++, s:s, s:s}", "name", setting->group,
		                    setting->group[0] == '\0' ? "" : ".", setting->parameter->name,
		                    "value", setting->value, "effect",
		                    effect_name(setting->parameter->effect == CONFIG_RESTART)));
	}
	config_settings_destroy(settings);
	exchange_reply(
	    exchange, HTTP_OK,
	    json_pack("{s:s, s:o}", "file", exchange->control->config_path, "settings", list));
}

/* "GiB, MiB, KiB"; NULL: it has none. */
static json_t *units_of(const struct config_parameter *parameter)
{
	char text[CONFIG_QUANTITY_BYTES] = "";
	size_t used = 0;

	if (parameter->type < CONFIG_TEXT && config_words(parameter->type) == NULL) {
		for (const struct config_unit *unit = config_units(parameter->type);
		     unit->suffix != NULL; unit++)
			if (unit->suffix[0] != '\0')
				used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s",
				                         used == 0 ? "" : ", ", unit->suffix);
	}
	return used == 0 ? json_null() : json_string(text);
}

/* Whether something has that name, but for its last part: a class, a port, a section. */
static bool has_group(const struct config_settings *settings, const char *name)
{
	const char *dot = strrchr(name, '.');
	size_t length = dot == NULL ? 0 : (size_t)(dot - name);

	if (length == 0)
		return false;
	for (uint32_t i = 0; i < settings->count; i++)
		if (strlen(settings->list[i].group) == length &&
		    strncmp(settings->list[i].group, name, length) == 0)
			return true;
	return false;
}

static void tell_one(struct exchange *exchange, const struct config_parameter *parameter,
                     const char *value)
{
	char sentence[DESCRIBE_TEXT_BYTES], standard[CONFIG_QUANTITY_BYTES];
	bool has_default = describe_default(standard, parameter);

	describe_sentence(sentence, parameter);
	exchange_reply(exchange, HTTP_OK,
	               json_pack("{s:s, s:o, s:s, s:o, s:o, s:s, s:s}", "name", exchange->argument,
	                         "value", text_or_null(value), "effect",
	                         effect_name(parameter->effect == CONFIG_RESTART), "default",
	                         text_or_null(has_default ? standard : NULL), "unit",
	                         units_of(parameter), "range", sentence, "help", parameter->help));
}

void api_config_get(struct exchange *exchange)
{
	const char *name = exchange->argument;
	struct config_settings *settings = settings_of(exchange);
	const struct config_setting *setting;
	const struct config_parameter *parameter;
	char quoted[FAULTS_QUOTE_BYTES];

	if (settings == NULL)
		return;
	faults_quote(quoted, name);
	setting = config_settings_find(settings, name);
	parameter = setting != NULL ? setting->parameter : describe_find(name);
	if (parameter == NULL ||
	    (setting == NULL && strchr(name, '[') != NULL && !has_group(settings, name)))
		exchange_refuse(exchange, HTTP_NOTFOUND,
		                "nothing has the name %s: see those that GET /v1/config lists",
		                quoted);
	else if (setting == NULL && parameter->table != NULL)
		exchange_refuse(exchange, HTTP_NOTFOUND,
		                "%s is not a single value: see GET /v1/config for what is in it",
		                name);
	else
		tell_one(exchange, parameter, setting == NULL ? NULL : setting->value);
	config_settings_destroy(settings);
}

/* What a config would change of what runs; NULL: no memory. */
static json_t *diff_with(const struct control *control, const struct config *fresh)
{
	struct config_diff *diff = NULL;
	json_t *list;

	if (config_diff_create(&diff, control->config, fresh) < 0)
		return NULL;
	list = json_array();
	for (uint32_t i = 0; i < diff->count; i++) {
		const struct config_difference *difference = &diff->list[i];

		json_array_append_new(list,
		                      json_pack("{s:s, s:o, s:o, s:s}", "path", difference->path,
		                                "before", text_or_null(difference->before), "after",
		                                text_or_null(difference->after), "effect",
		                                effect_name(difference->restart)));
	}
	config_diff_destroy(diff);
	return list;
}

/* Replies with the diff, in `format`, or with the faults. `fresh` is taken. */
static void tell_diff(struct exchange *exchange, struct config *fresh, int r, const char *error,
                      bool is_check)
{
	json_t *diff = r < 0 ? NULL : diff_with(exchange->control, fresh);

	config_destroy(fresh);
	if (r < 0)
		exchange_refuse(exchange, r == -EINVAL ? 422 : HTTP_SERVUNAVAIL, "%s", error);
	else if (is_check)
		exchange_reply(exchange, HTTP_OK, json_pack("{s:b, s:o}", "good", 1, "diff", diff));
	else
		exchange_reply(exchange, HTTP_OK, json_pack("{s:o}", "diff", diff));
}

void api_config_diff(struct exchange *exchange)
{
	char error[CONFIG_ERROR_BYTES] = "";
	struct config *fresh = NULL;
	int r = config_load(&fresh, exchange->control->config_path, error, sizeof(error));

	tell_diff(exchange, fresh, r, error, false);
}

/* A text is looked at alone: whoever may ask for this is not to find out by it which files there
 * are on the node. The users of the file itself are looked at, as by `kanted --check`. */
void api_config_check(struct exchange *exchange)
{
	const char *path = exchange->control->config_path, *text = NULL;
	char error[CONFIG_ERROR_BYTES] = "";
	struct config *fresh = NULL;
	json_error_t wrong;
	int r;

	if (json_unpack_ex(exchange->body, &wrong, JSON_STRICT, "{s?:s}", "text", &text) < 0) {
		exchange_refuse(exchange, 400,
		                "nothing to check: %s: give \"text\", or {} for the node's file",
		                exchange->body == NULL ? "there is no body" : wrong.text);
		return;
	}
	if (text != NULL) {
		r = config_parse(&fresh, "text", text, strlen(text), error, sizeof(error));
	} else {
		r = config_load(&fresh, path, error, sizeof(error));
		if (r == 0 && fresh->auth_file[0] != '\0' &&
		    users_read_check(fresh->auth_file, error, sizeof(error)) < 0)
			r = -EINVAL;
	}
	tell_diff(exchange, fresh, r, error, true);
}
