/* SPDX-License-Identifier: Apache-2.0 */
/* API keys: who has one, a new one, no more of one. */
#include "control/api.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#define ERROR_BYTES 512

void api_keys_list(struct exchange *exchange)
{
	exchange_reply(
	    exchange, HTTP_OK,
	    json_pack("{s:o}", "keys", keys_list(exchange->control->keys, control_now_s())));
}

static int status_of(int error)
{
	switch (error) {
	case -EINVAL: return 400;
	case -ENOENT: return 404;
	case -EEXIST:
	case -EALREADY: return 409;
	default: return 503;
	}
}

/* Writes down what comes of it, and replies. */
static void finish(struct exchange *exchange, struct audit_event *event, int r, const char *error,
                   json_t *reply)
{
	event->kind = AUDIT_credential;
	event->who = &exchange->who;
	event->result = r < 0 ? AUDIT_FAILED : AUDIT_OK;
	event->reason = r < 0 ? error : NULL;
	audit_append(exchange->control->audit, event, control_now_us());
	if (r < 0) {
		json_decref(reply);
		exchange_refuse(exchange, status_of(r), "%s", error);
	} else {
		exchange_reply(exchange, event->before == NULL ? 201 : HTTP_OK, reply);
	}
}

void api_keys_create(struct exchange *exchange)
{
	struct audit_event event = {.action = "key.create"};
	const char *name = NULL, *role = NULL;
	json_int_t expires_s = 0;
	struct keys_made made = {0};
	enum role granted;
	char error[ERROR_BYTES];
	json_error_t wrong;
	json_t *after;
	int r;

	if (json_unpack_ex(exchange->body, &wrong, JSON_STRICT, "{s:s, s:s, s?:I}", "name", &name,
	                   "role", &role, "expires", &expires_s) < 0) {
		exchange_refuse(exchange, 400,
		                "not a key to be made: %s: give \"name\", \"role\" and perhaps "
		                "\"expires\" (Unix time)",
		                exchange->body == NULL ? "there is no body" : wrong.text);
		return;
	}
	if (!role_parse(&granted, role) || granted == ROLE_none || expires_s < 0) {
		exchange_refuse(exchange, 400,
		                "no such role, or expiry: roles are viewer, operator "
		                "and admin");
		return;
	}
	r = keys_create(exchange->control->keys, name, granted, (uint64_t)expires_s,
	                exchange->who.name, control_now_s(), &made, error, sizeof(error));
	after = json_pack("{s:s, s:s, s:s, s:I}", "id", made.id, "name", name, "role", role,
	                  "expires", expires_s);
	event.target = made.id;
	event.after = after;
	finish(exchange, &event, r, error,
	       json_pack("{s:s, s:s, s:s, s:s}", "id", made.id, "name", name, "role", role, "key",
	                 made.text));
	json_decref(after);
	OPENSSL_cleanse(&made, sizeof(made));
}

void api_keys_revoke(struct exchange *exchange)
{
	struct audit_event event = {.action = "key.revoke", .target = exchange->argument};
	char error[ERROR_BYTES];
	int r = keys_revoke(exchange->control->keys, exchange->argument, control_now_s(), error,
	                    sizeof(error));
	json_t *before = json_pack("{s:s}", "state", "good");
	json_t *after = json_pack("{s:s}", "state", "revoked");

	event.before = before;
	event.after = after;
	finish(exchange, &event, r, error,
	       json_pack("{s:s, s:s}", "id", exchange->argument, "state", "revoked"));
	json_decref(before);
	json_decref(after);
}
