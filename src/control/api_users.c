/* SPDX-License-Identifier: Apache-2.0 */
/* The users that clients of the cache log in as: in the file that kanted reads again by itself when
 * it changes. */
#include "control/api.h"

#include "config/file.h"
#include "config/write.h"
#include "control/printable.h"
#include "login/users.h"
#include "login/users_edit.h"

#include <errno.h>
#include <event2/buffer.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* NULL: it was refused, and is gone. */
static const char *file_of(struct exchange *exchange)
{
	const char *path = exchange->control->config->auth_file;

	if (path[0] != '\0')
		return path;
	exchange_refuse(
	    exchange, 409,
	    "clients need not log in here: set `auth_file` in the config to the path of "
	    "a file with a first user, which counts from the next start");
	return NULL;
}

/* What is no UTF-8 is shown with question marks. */
static json_t *name_json(struct slice name)
{
	char copy[LOGIN_NAME_BYTES_MAX];
	json_t *json = json_stringn((const char *)name.data, name.length);

	if (json != NULL)
		return json;
	for (size_t i = 0; i < name.length; i++)
		copy[i] = name.data[i] < 0x80 ? (char)name.data[i] : '?';
	return json_stringn(copy, name.length);
}

void api_users_list(struct exchange *exchange)
{
	const char *path = file_of(exchange);
	const struct siphash_key any_key = {0};
	char error[USERS_ERROR_BYTES];
	struct users *users;
	json_t *list;

	if (path == NULL)
		return;
	if (users_read(&users, path, &any_key, error, sizeof(error)) < 0) {
		exchange_refuse(exchange, HTTP_SERVUNAVAIL, "%s", error);
		return;
	}
	list = json_array();
	for (uint32_t i = 0; i < users_count(users); i++)
		json_array_append_new(list,
		                      json_pack("{s:o}", "name", name_json(users_name(users, i))));
	users_destroy(users);
	exchange_reply(exchange, HTTP_OK, json_pack("{s:o}", "users", list));
}

static int status_of(int error)
{
	switch (error) {
	case -EINVAL: return 422;
	case -ENOENT: return HTTP_NOTFOUND;
	case -EPERM: return 409;
	default: return HTTP_SERVUNAVAIL;
	}
}

static void wipe(char *text, size_t length)
{
	if (text != NULL)
		OPENSSL_cleanse(text, length);
	free(text);
}

/* hash: NULL: the user is taken out. 0 with *ret_was_there, or an HTTP status with `error`. */
static int change(const char *path, const char *name, const char *hash, bool *ret_was_there,
                  char *error, size_t error_bytes)
{
	char *old = NULL, *fresh = NULL;
	size_t old_length = 0, fresh_length = 0;
	struct faults faults;
	int status = HTTP_SERVUNAVAIL, r;

	faults_create(&faults, path, error, error_bytes);
	if (file_read(&old, &old_length, path, USERS_FILE_BYTES_MAX, &faults) < 0)
		goto finish;
	r = users_edit(&fresh, &fresh_length, ret_was_there, path, old, old_length, name, hash,
	               error, error_bytes);
	if (r < 0)
		status = status_of(r);
	else if (config_write_file(path, fresh, fresh_length, error, error_bytes) == 0)
		status = 0;
finish:
	wipe(old, old_length);
	wipe(fresh, fresh_length);
	return status;
}

static void write_down(struct exchange *exchange, const char *action, bool was_there, bool is_there,
                       int status, const char *error)
{
	json_t *there = json_pack("{s:s}", "name", exchange->argument);
	const struct audit_event event = {
	    .kind = AUDIT_access,
	    .result = status == 0 ? AUDIT_OK : AUDIT_FAILED,
	    .action = action,
	    .who = &exchange->who,
	    .target = exchange->argument,
	    .before = was_there ? there : NULL,
	    .after = is_there ? there : NULL,
	    .reason = status == 0 ? NULL : error,
	};

	audit_append(exchange->control->audit, &event, control_now_us());
	json_decref(there);
}

/* The password that was sent lies in the request, and in what was read of it. */
static void wipe_body(struct exchange *exchange, const char *password)
{
	struct evbuffer *body = evhttp_request_get_input_buffer(exchange->request);

	OPENSSL_cleanse((char *)(uintptr_t)password, strlen(password));
	OPENSSL_cleanse(evbuffer_pullup(body, -1), evbuffer_get_length(body));
}

void api_users_set(struct exchange *exchange)
{
	const char *path = file_of(exchange), *password = NULL;
	char hash[USERS_HASH_BYTES] = "", error[USERS_ERROR_BYTES] = "";
	bool was_there = false;
	json_error_t wrong;
	int status = 0, r;

	if (path == NULL)
		return;
	if (json_unpack_ex(exchange->body, &wrong, JSON_STRICT, "{s:s}", "password", &password) <
	    0) {
		exchange_refuse(exchange, 400, "not a user to be set: %s: give \"password\"",
		                exchange->body == NULL ? "there is no body" : wrong.text);
		return;
	}
	r = users_hash(hash, password);
	wipe_body(exchange, password);
	if (r == -EINVAL) {
		exchange_refuse(exchange, 400, "a password has 1 to %d bytes: choose another",
		                LOGIN_PASSWORD_BYTES_MAX);
		return;
	}
	if (!printable(exchange->argument, LOGIN_NAME_BYTES_MAX)) {
		exchange_refuse(
		    exchange, 400,
		    "a user's name is UTF-8 without control characters: choose another");
		return;
	}
	if (r < 0) {
		status = HTTP_SERVUNAVAIL;
		snprintf(error, sizeof(error), "the password could not be hashed: %s: try again",
		         strerror(-r));
	} else {
		status = change(path, exchange->argument, hash, &was_there, error, sizeof(error));
	}
	OPENSSL_cleanse(hash, sizeof(hash));
	write_down(exchange, "user.set", was_there, true, status, error);
	if (status != 0)
		exchange_refuse(exchange, status, "%s", error);
	else
		exchange_reply(exchange, was_there ? HTTP_OK : 201,
		               json_pack("{s:s, s:s}", "name", exchange->argument, "state",
		                         was_there ? "changed" : "created"));
}

void api_users_remove(struct exchange *exchange)
{
	const char *path = file_of(exchange);
	char error[USERS_ERROR_BYTES] = "";
	bool was_there = false;
	int status;

	if (path == NULL)
		return;
	status = change(path, exchange->argument, NULL, &was_there, error, sizeof(error));
	write_down(exchange, "user.remove", was_there, false, status, error);
	if (status != 0)
		exchange_refuse(exchange, status, "%s", error);
	else
		exchange_reply(
		    exchange, HTTP_OK,
		    json_pack("{s:s, s:s}", "name", exchange->argument, "state", "removed"));
}
