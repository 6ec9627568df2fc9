/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens of somebody else's making that are not to let anybody in any more. */
#include "control/api.h"

#include <errno.h>

#define ERROR_BYTES 512

/* False: it was refused, and is gone. */
static bool check_taken(struct exchange *exchange)
{
	if (exchange->control->tokens != NULL)
		return true;
	exchange_refuse(exchange, 409,
	                "tokens are not taken here: write `tokens` into `admin:` in the config, "
	                "which counts from the next start");
	return false;
}

void api_tokens_list(struct exchange *exchange)
{
	json_t *list;

	if (!check_taken(exchange))
		return;
	list = tokens_list(exchange->control->tokens);
	exchange_reply(exchange, HTTP_OK,
	               json_pack("{s:O}", "revoked", json_object_get(list, "revoked")));
	json_decref(list);
}

static int status_of(int error)
{
	return error == -EINVAL ? 400 : error == -EALREADY ? 409 : HTTP_SERVUNAVAIL;
}

void api_tokens_revoke(struct exchange *exchange)
{
	struct audit_event event = {.kind = AUDIT_credential, .action = "token.revoke"};
	json_t *before = json_pack("{s:s}", "state", "good"), *after;
	char error[ERROR_BYTES];
	json_int_t expires_s = 0;
	json_error_t wrong;
	const char *id = NULL;
	int r;

	if (json_unpack_ex(exchange->body, &wrong, JSON_STRICT, "{s:s, s?:I}", "id", &id, "expires",
	                   &expires_s) < 0 ||
	    expires_s < 0) {
		exchange_refuse(exchange, 400,
		                "not a token to be revoked: %s: give \"id\", its jti, and perhaps "
		                "\"expires\" (Unix time)",
		                exchange->body == NULL ? "there is no body"
		                : expires_s < 0        ? "`expires` is below 0"
		                                       : wrong.text);
		goto finish;
	}
	if (!check_taken(exchange))
		goto finish;
	r = tokens_revoke(exchange->control->tokens, id, (uint64_t)expires_s, control_now_s(),
	                  error, sizeof(error));
	after = json_pack("{s:s, s:I}", "state", "revoked", "expires", expires_s);
	event.target = id;
	event.who = &exchange->who;
	event.before = before;
	event.after = after;
	event.result = r < 0 ? AUDIT_FAILED : AUDIT_OK;
	event.reason = r < 0 ? error : NULL;
	audit_append(exchange->control->audit, &event, control_now_us());
	json_decref(after);
	if (r < 0)
		exchange_refuse(exchange, status_of(r), "%s", error);
	else
		exchange_reply(exchange, HTTP_OK,
		               json_pack("{s:s, s:s}", "id", id, "state", "revoked"));
finish:
	json_decref(before);
}
