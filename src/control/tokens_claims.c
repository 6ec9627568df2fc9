/* SPDX-License-Identifier: Apache-2.0 */
/* What a token says (RFC 7519, 4.1), and whether that is enough. */
#include "control/tokens_internal.h"

#include "control/printable.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* What is to be judged, and by what. */
struct judgement {
	const struct tokens *tokens;
	const json_t *claims;
	uint64_t now_s;
	struct identity *identity;
	char *reason; /* TOKENS_REASON_BYTES */
};

/* A text that is shown to people; "" when there is none and none is needed. */
static int text_read(const struct judgement *judgement, const char *claim, bool is_needed,
                     char *ret_text, size_t text_bytes)
{
	const json_t *value = json_object_get(judgement->claims, claim);

	ret_text[0] = '\0';
	if (value == NULL && !is_needed)
		return 0;
	if (!json_is_string(value) || !printable(json_string_value(value), text_bytes - 1))
		return token_refuse(-EACCES, judgement->reason,
		                    "%s is not 1 to %zu printable bytes", claim, text_bytes - 1);
	strcpy(ret_text, json_string_value(value));
	return 0;
}

/* Seconds of Unix time: a whole number, which RFC 7519 does not ask for, but who would make others?
 * jansson takes none beyond 2^63 - 1. *ret_s is not touched when there is none and none is needed.
 */
static int time_read(const struct judgement *judgement, const char *claim, bool is_needed,
                     uint64_t *ret_s)
{
	const json_t *value = json_object_get(judgement->claims, claim);

	if (value == NULL && !is_needed)
		return 0;
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return token_refuse(-EACCES, judgement->reason,
		                    "%s is not a whole number of seconds since 1970", claim);
	*ret_s = (uint64_t)json_integer_value(value);
	return 0;
}

static int check_who(const struct judgement *judgement)
{
	struct identity *identity = judgement->identity;
	int r = text_read(judgement, "sub", true, identity->name, sizeof(identity->name));

	if (r == 0)
		r = text_read(judgement, "jti", false, identity->credential_id,
		              sizeof(identity->credential_id));
	return r;
}

static int check_issuer(const struct judgement *judgement)
{
	const json_t *issuer = json_object_get(judgement->claims, "iss");
	char got[FAULTS_QUOTE_BYTES], wanted[FAULTS_QUOTE_BYTES];

	faults_quote(wanted, judgement->tokens->issuer);
	if (!json_is_string(issuer))
		return token_refuse(-EACCES, judgement->reason, "no issuer, and not \"%s\"",
		                    wanted);
	if (strcmp(json_string_value(issuer), judgement->tokens->issuer) == 0)
		return 0;
	faults_quote(got, json_string_value(issuer));
	return token_refuse(-EACCES, judgement->reason, "issuer is \"%s\", not \"%s\"", got,
	                    wanted);
}

static bool is_text(const json_t *value, const char *text)
{
	return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

static int check_audience(const struct judgement *judgement)
{
	const json_t *audience = json_object_get(judgement->claims, "aud");
	const char *us = judgement->tokens->audience;
	char got[FAULTS_QUOTE_BYTES], wanted[FAULTS_QUOTE_BYTES];

	if (is_text(audience, us))
		return 0;
	for (size_t i = 0; i < json_array_size(audience); i++)
		if (is_text(json_array_get(audience, i), us))
			return 0;
	faults_quote(wanted, us);
	if (!json_is_string(audience))
		return token_refuse(-EACCES, judgement->reason,
		                    json_is_array(audience) ? "audience is a list without \"%s\""
		                                            : "no audience, and not \"%s\"",
		                    wanted);
	faults_quote(got, json_string_value(audience));
	return token_refuse(-EACCES, judgement->reason, "audience is \"%s\", not \"%s\"", got,
	                    wanted);
}

/* By how much a is after b. */
static uint64_t after(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static int check_times(const struct judgement *judgement)
{
	uint64_t skew_s = judgement->tokens->skew_s, now_s = judgement->now_s;
	uint64_t issued_s = 0, begins_s = 0, expires_s = 0;
	int r = time_read(judgement, "exp", true, &expires_s);

	if (r == 0)
		r = time_read(judgement, "iat", true, &issued_s);
	if (r == 0)
		r = time_read(judgement, "nbf", false, &begins_s);
	if (r < 0)
		return r;
	if (after(issued_s, now_s) > skew_s)
		return token_refuse(-EACCES, judgement->reason,
		                    "issued %" PRIu64 " s in the future (iat): compare the clocks",
		                    after(issued_s, now_s));
	if (after(begins_s, now_s) > skew_s)
		return token_refuse(-EACCES, judgement->reason,
		                    "not good for another %" PRIu64 " s (nbf)",
		                    after(begins_s, now_s));
	if (after(expires_s, issued_s) > judgement->tokens->lifetime_s_max)
		return token_refuse(-EACCES, judgement->reason,
		                    "made for %" PRIu64 " s (exp - iat), and at most %" PRIu64
		                    " are taken",
		                    after(expires_s, issued_s), judgement->tokens->lifetime_s_max);
	if (now_s >= expires_s && now_s - expires_s >= skew_s)
		return token_refuse(-EKEYEXPIRED, judgement->reason, "expired %" PRIu64 " s ago",
		                    now_s - expires_s);
	return 0;
}

static int check_revoked(const struct judgement *judgement)
{
	if (!revoked_contain(judgement->tokens, judgement->identity->credential_id))
		return 0;
	return token_refuse(-EKEYREVOKED, judgement->reason, "revoked by its jti");
}

static int check_role(const struct judgement *judgement)
{
	const char *claim = judgement->tokens->role_claim;
	const json_t *value = json_object_get(judgement->claims, claim);
	char quoted_claim[FAULTS_QUOTE_BYTES], quoted[FAULTS_QUOTE_BYTES];
	enum role role = ROLE_none;

	if (json_is_string(value) && role_parse(&role, json_string_value(value)) &&
	    role != ROLE_none) {
		judgement->identity->role = role;
		return 0;
	}
	faults_quote(quoted_claim, claim);
	faults_quote(quoted, json_is_string(value) ? json_string_value(value) : "");
	return token_refuse(-EACCES, judgement->reason,
	                    "%s is %s%s%s, and not viewer, operator or admin", quoted_claim,
	                    json_is_string(value) ? "\"" : "no text", quoted,
	                    json_is_string(value) ? "\"" : "");
}

int claims_check(const struct tokens *tokens, const json_t *claims, uint64_t now_s,
                 struct identity *ret_identity, char ret_reason[TOKENS_REASON_BYTES])
{
	/* the role last: it is what lets in */
	static int (*const checks[])(const struct judgement *judgement) = {
	    check_who, check_issuer, check_audience, check_times, check_revoked, check_role};
	const struct judgement judgement = {tokens, claims, now_s, ret_identity, ret_reason};
	int r = 0;

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]) && r == 0; i++)
		r = checks[i](&judgement);
	return r;
}
