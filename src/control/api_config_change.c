/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of the config: in the file, and of what runs. */
#include "control/api.h"

#include "config/edit.h"
#include "config/file.h"
#include "config/settings.h"
#include "config/write.h"
#include "control/running.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Under way: kanted is asked to read its config again. It goes on when its client has gone, so that
 * nothing is half done. Owner: control->change. */
struct config_change {
	struct control *control;
	struct exchange *exchange; /* NULL: the client has gone */
	struct identity who;
	struct ask *ask;
	json_t *applied; /* paths */
	json_t *restart;
	char error[CONFIG_ERROR_BYTES]; /* what is wrong, a line each */
	/* Of one of the file; "": it is only read again. */
	char name[EXCHANGE_ARGUMENT_BYTES];
	json_t *before; /* what the file said, or null */
	json_t *after;
	char *old_text; /* of the file; NULL: it is as it was */
	size_t old_length;
	char *new_text;
	size_t new_length;
};

static void change_free(struct config_change *change)
{
	ask_cancel(change->ask);
	json_decref(change->applied);
	json_decref(change->restart);
	json_decref(change->before);
	json_decref(change->after);
	free(change->old_text);
	free(change->new_text);
	free(change);
}

static void forget(void *data)
{
	struct config_change *change = data;

	change->exchange = NULL;
}

static void add_error(struct config_change *change, const char *text)
{
	size_t used = strlen(change->error);

	snprintf(change->error + used, sizeof(change->error) - used, "%s%s", used == 0 ? "" : "\n",
	         text);
}

/* What a config says of the name. */
static json_t *value_in(const struct config *config, const char *name)
{
	struct config_settings *settings = NULL;
	const struct config_setting *setting = NULL;
	json_t *value;

	if (config != NULL && config_settings_create(&settings, config) == 0)
		setting = config_settings_find(settings, name);
	value = setting == NULL ? json_null() : json_string(setting->value);
	config_settings_destroy(settings);
	return value;
}

/* It counts already when that is what runs. */
static json_t *set_reply(const struct config_change *change)
{
	json_t *running = value_in(change->control->config, change->name);
	bool is_live = json_equal(running, change->after);

	json_decref(running);
	return json_pack("{s:s, s:O, s:O, s:s}", "name", change->name, "before", change->before,
	                 "after", change->after, "effect", is_live ? "live" : "restart");
}

/* Says what has come of it, to the audit log and to the client, and frees it. */
static void finish(struct config_change *change, int status)
{
	const bool is_set = change->name[0] != '\0', is_good = status == HTTP_OK;
	struct exchange *exchange = change->exchange;
	json_t *before = json_pack("{s:O}", "value", change->before);
	json_t *after = json_pack("{s:O}", "value", change->after);
	const struct audit_event event = {
	    .kind = AUDIT_change,
	    .action = is_set ? "config.set" : "config.reload",
	    .result = is_good ? AUDIT_OK : AUDIT_FAILED,
	    .who = &change->who,
	    .target = is_set ? change->name : NULL,
	    .before = is_set ? before : NULL,
	    .after = is_set ? after : NULL,
	    .reason = is_good ? NULL : change->error,
	};

	/* of a reload that is good, running_audit() has told already */
	if (is_set || !is_good)
		audit_append(change->control->audit, &event, control_now_us());
	json_decref(before);
	json_decref(after);
	if (change->control->change == change)
		change->control->change = NULL;
	if (exchange != NULL) {
		exchange->data = NULL;
		exchange->forget = NULL;
		if (!is_good)
			exchange_refuse(exchange, status, "%s", change->error);
		else if (is_set)
			exchange_reply(exchange, HTTP_OK, set_reply(change));
		else
			exchange_reply(exchange, HTTP_OK,
			               json_pack("{s:O, s:O}", "applied", change->applied,
			                         "restart", change->restart));
	}
	change_free(change);
}

/* What was there comes back, unless somebody has written something else by now. */
static void put_back(struct config_change *change)
{
	const char *path = change->control->config_path;
	char *text = NULL, error[CONFIG_ERROR_BYTES];
	struct faults faults;
	size_t length = 0;

	if (change->old_text == NULL)
		return;
	faults_create(&faults, path, error, sizeof(error));
	if (file_read(&text, &length, path, CONFIG_FILE_BYTES_MAX, &faults) == 0 &&
	    length == change->new_length && memcmp(text, change->new_text, length) == 0 &&
	    config_write_file(path, change->old_text, change->old_length, error, sizeof(error)) ==
	        0)
		add_error(change, "the file is as it was");
	else
		add_error(change, "the file has the change and could not be put back: look at it");
	free(text);
}

/* The lines of the answer up to an empty one. False: there is something else, or no end. */
static bool read_lines(struct config_change *change, struct evbuffer *answer)
{
	char *line;
	bool is_good = true;

	while ((line = evbuffer_readln(answer, NULL, EVBUFFER_EOL_LF)) != NULL && line[0] != '\0') {
		const char *text = line + strcspn(line, " ");

		text += *text == ' ';
		if (strncmp(line, "applied ", 8) == 0)
			json_array_append_new(change->applied, json_string(text));
		else if (strncmp(line, "restart ", 8) == 0)
			json_array_append_new(change->restart, json_string(text));
		else if (strncmp(line, "error ", 6) == 0)
			add_error(change, text);
		else
			is_good = false;
		free(line);
	}
	is_good = is_good && line != NULL;
	free(line);
	return is_good;
}

/* What runs now. False: kanted does not say it. */
static bool take_over(struct config_change *change, struct evbuffer *answer)
{
	struct control *control = change->control;
	const bool is_set = change->name[0] != '\0';
	size_t length = evbuffer_get_length(answer);
	const char *text = (const char *)evbuffer_pullup(answer, -1);
	struct config_diff *diff = NULL;

	if (text == NULL || running_take(control, text, length, &diff) < 0)
		return false;
	/* of a change in the file that alone: somebody may have written others before */
	if (change->error[0] == '\0')
		running_audit(control, diff, is_set ? change->name : NULL, &change->who);
	config_diff_destroy(diff);
	return true;
}

static void answered(void *context, bool is_whole, struct evbuffer *answer)
{
	struct config_change *change = context;
	int status = HTTP_OK;

	change->ask = NULL;
	if (!is_whole || !read_lines(change, answer) || !take_over(change, answer)) {
		add_error(change, "kanted does not answer the control process: see its log");
		status = HTTP_SERVUNAVAIL;
		/* it may have read it all the same */
		change->control->config_is_old = true;
	} else if (change->error[0] != '\0') {
		status = 422;
	}
	if (status != HTTP_OK)
		put_back(change);
	finish(change, status);
}

/* NULL: it was refused, and is gone. */
static struct config_change *begin(struct exchange *exchange)
{
	struct control *control = exchange->control;
	struct config_change *change = NULL;

	if (control->change != NULL) {
		exchange_refuse(exchange, HTTP_SERVUNAVAIL,
		                "another change of the config is under way: try again");
		return NULL;
	}
	change = calloc(1, sizeof(*change));
	if (change == NULL) {
		exchange_refuse(exchange, HTTP_SERVUNAVAIL, "no memory is left: try again");
		return NULL;
	}
	change->control = control;
	change->exchange = exchange;
	change->who = exchange->who;
	change->applied = json_array();
	change->restart = json_array();
	change->before = json_null();
	change->after = json_null();
	exchange->data = change;
	exchange->forget = forget;
	return change;
}

/* Has kanted read its config again. */
static void reload(struct config_change *change)
{
	struct control *control = change->control;

	control->change = change;
	if (ask_begin(&change->ask, control->base, control->link_fd, "reload", answered, change) <
	    0)
		answered(change, false, NULL);
}

void api_config_reload(struct exchange *exchange)
{
	struct config_change *change;
	json_error_t wrong;

	if (exchange->body != NULL &&
	    json_unpack_ex(exchange->body, &wrong, JSON_STRICT, "{}") < 0) {
		exchange_refuse(exchange, 400, "a reload takes nothing: %s: send {}", wrong.text);
		return;
	}
	change = begin(exchange);
	if (change != NULL)
		reload(change);
}

void api_config_stop(struct control *control)
{
	struct config_change *change = control->change;

	if (change == NULL)
		return;
	ask_cancel(change->ask);
	answered(change, false, NULL);
}

/* "classes[NAME].FIELD", "admin.audit.when_full", "memory"; cuts the name in pieces. */
static void split(char *name, struct config_edit *edit)
{
	static const char of_class[] = "classes[";
	const size_t length = sizeof(of_class) - 1;
	char *end = strstr(name, "].");
	char *dot = strrchr(name, '.');

	edit->parameter = name;
	if (strncmp(name, of_class, length) == 0 && end != NULL) {
		*end = '\0';
		edit->class_name = name + length;
		edit->parameter = end + 2;
	} else if (dot != NULL) {
		*dot = '\0';
		edit->section = name;
		edit->parameter = dot + 1;
	}
}

/* Before and after are what the file says; when it was faulty, before is what runs. */
static void compare(struct config_change *change)
{
	char ignored[CONFIG_ERROR_BYTES];
	struct config *before = NULL, *after = NULL;

	(void)config_parse(&before, "", change->old_text, change->old_length, ignored,
	                   sizeof(ignored));
	(void)config_parse(&after, "", change->new_text, change->new_length, ignored,
	                   sizeof(ignored));
	change->before = value_in(before == NULL ? change->control->config : before, change->name);
	change->after = value_in(after, change->name);
	config_destroy(before);
	config_destroy(after);
}

/* Writes the file. A status of HTTP. */
static int write_change(struct config_change *change, const char *value)
{
	const char *path = change->control->config_path;
	char name[EXCHANGE_ARGUMENT_BYTES], error[CONFIG_ERROR_BYTES];
	struct config_edit edit = {.value = value};
	struct faults faults;
	int r;

	faults_create(&faults, path, change->error, sizeof(change->error));
	if (file_read(&change->old_text, &change->old_length, path, CONFIG_FILE_BYTES_MAX,
	              &faults) < 0)
		return HTTP_SERVUNAVAIL;
	memcpy(name, change->name, sizeof(name));
	split(name, &edit);
	r = config_edit(&change->new_text, &change->new_length, path, change->old_text,
	                change->old_length, &edit, change->error, sizeof(change->error));
	if (r == -EINVAL) {
		struct config *config = NULL;

		/* of faults that are there already the lines are those of the file */
		if (config_parse(&config, path, change->old_text, change->old_length, error,
		                 sizeof(error)) < 0)
			memcpy(change->error, error, sizeof(error));
		config_destroy(config);
	}
	if (r < 0)
		return r == -ENOENT ? HTTP_NOTFOUND : r == -ENOMEM ? HTTP_SERVUNAVAIL : 422;
	compare(change);
	if (change->old_length != change->new_length ||
	    memcmp(change->old_text, change->new_text, change->new_length) != 0)
		return config_write_file(path, change->new_text, change->new_length, change->error,
		                         sizeof(change->error)) < 0
		           ? HTTP_SERVUNAVAIL
		           : HTTP_OK;
	free(change->old_text); /* there is nothing to be put back */
	change->old_text = NULL;
	return HTTP_OK;
}

void api_config_set(struct exchange *exchange)
{
	const json_t *value = json_object_get(exchange->body, "value");
	struct config_change *change;
	int status;

	if (value == NULL || json_object_size(exchange->body) != 1 ||
	    (!json_is_string(value) && !json_is_null(value))) {
		exchange_refuse(exchange, 400,
		                "not a value: give {\"value\": \"…\"}, a text as in the file, or "
		                "{\"value\": null} to take it out");
		return;
	}
	change = begin(exchange);
	if (change == NULL)
		return;
	snprintf(change->name, sizeof(change->name), "%s", exchange->argument);
	status = write_change(change, json_string_value(value));
	if (status == HTTP_OK)
		reload(change);
	else
		finish(change, status);
}
