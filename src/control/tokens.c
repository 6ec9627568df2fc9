/* SPDX-License-Identifier: Apache-2.0 */
#include "control/tokens.h"

#include "base/assert.h"
#include "control/base64url.h"
#include "control/kept.h"
#include "control/tokens_internal.h"

#include <errno.h>
#include <jwt.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum part {
	PART_HEADER,
	PART_CLAIMS,
	PART_SIGNATURE,
	PART_COUNT
};

/* A token's parts, decoded. */
struct parts {
	size_t lengths[PART_COUNT];
	uint8_t bytes[PART_COUNT][BASE64URL_DECODED_BYTES(TOKENS_TEXT_BYTES_MAX)];
};

static const struct {
	const char *name;
	jwt_alg_t of_libjwt;
} algorithms[] = {
    [TOKEN_RS256] = {"RS256", JWT_ALG_RS256},
    [TOKEN_ES256] = {"ES256", JWT_ALG_ES256},
    [TOKEN_HS256] = {"HS256", JWT_ALG_HS256},
};

const char *token_algorithm_name(enum token_algorithm algorithm)
{
	return algorithms[algorithm].name;
}

static int options_check(const struct tokens_options *options, struct faults *faults)
{
	ASSERT(options->skew_s <= KEPT_TIME_S_MAX && options->lifetime_s_max <= KEPT_TIME_S_MAX);
	if (options->issuer[0] == '\0' || options->audience[0] == '\0' ||
	    options->role_claim[0] == '\0')
		faults_add(faults, 0, "",
		           "issuer, audience or role_claim is empty: say what it must be");
	if (options->key_count < 1 || options->key_count > TOKENS_KEY_COUNT_MAX)
		faults_add(faults, 0, "", "%u keys: give 1 to %d", options->key_count,
		           TOKENS_KEY_COUNT_MAX);
	return faults->count > 0 ? -EINVAL : 0;
}

static int options_copy(struct tokens *tokens, const struct tokens_options *options,
                        struct faults *faults)
{
	tokens->skew_s = options->skew_s;
	tokens->lifetime_s_max = options->lifetime_s_max;
	tokens->issuer = strdup(options->issuer);
	tokens->audience = strdup(options->audience);
	tokens->role_claim = strdup(options->role_claim);
	tokens->revoked_path = strdup(options->revoked_path);
	if (tokens->issuer != NULL && tokens->audience != NULL && tokens->role_claim != NULL &&
	    tokens->revoked_path != NULL)
		return 0;
	faults_add(faults, 0, "", "not enough memory: try again");
	return -ENOMEM;
}

/* All of them, for all their faults. */
static int keys_read(struct tokens *tokens, const struct tokens_options *options,
                     struct faults *faults)
{
	char quoted[FAULTS_QUOTE_BYTES];
	int result = 0;

	for (uint32_t i = 0; i < options->key_count; i++) {
		int r = held_key_read(&tokens->keys[i], &options->keys[i], faults);

		tokens->key_count++;
		for (uint32_t j = 0; j < i && r == 0; j++)
			if (strcmp(options->keys[j].id, options->keys[i].id) == 0) {
				faults_quote(quoted, options->keys[i].id);
				faults_add(faults, 0, "",
				           "another key has the id \"%s\", too: give it another",
				           quoted);
				r = -EINVAL;
			}
		if (result == 0)
			result = r;
	}
	return result;
}

int tokens_open(struct tokens **ret_tokens, const struct tokens_options *options, char *error,
                size_t error_bytes)
{
	struct tokens *tokens = calloc(1, sizeof(*tokens));
	struct faults faults;
	int r, r_revoked;

	faults_create(&faults, "tokens", error, error_bytes);
	if (tokens == NULL) {
		faults_add(&faults, 0, "", "not enough memory: try again");
		return -ENOMEM;
	}
	r = options_check(options, &faults);
	if (r == 0)
		r = options_copy(tokens, options, &faults);
	if (r < 0)
		goto fail;
	r = keys_read(tokens, options, &faults);
	r_revoked = revoked_read(tokens, &faults);
	if (r == 0)
		r = r_revoked;
	if (r < 0)
		goto fail;
	*ret_tokens = tokens;
	return 0;
fail:
	faults_finish(&faults);
	tokens_close(tokens);
	return r;
}

void tokens_close(struct tokens *tokens)
{
	if (tokens == NULL)
		return;
	for (uint32_t i = 0; i < tokens->key_count; i++)
		held_key_release(&tokens->keys[i]);
	free(tokens->issuer);
	free(tokens->audience);
	free(tokens->role_claim);
	free(tokens->revoked_path);
	free(tokens);
}

int token_refuse(int r, char ret_reason[TOKENS_REASON_BYTES], const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(ret_reason, TOKENS_REASON_BYTES, format, arguments);
	va_end(arguments);
	return r;
}

static int parts_read(struct parts *ret_parts, const char *text, char *ret_reason)
{
	if (strnlen(text, TOKENS_TEXT_BYTES_MAX + 1) > TOKENS_TEXT_BYTES_MAX)
		return token_refuse(-EACCES, ret_reason, "longer than %d bytes",
		                    TOKENS_TEXT_BYTES_MAX);
	for (int i = 0; i < PART_COUNT; i++) {
		size_t length = strcspn(text, ".");
		const struct slice part = {(const uint8_t *)text, length};
		bool is_last = i == PART_COUNT - 1;

		if (text[length] != (is_last ? '\0' : '.') ||
		    !base64url_read(part, ret_parts->bytes[i], &ret_parts->lengths[i]))
			return token_refuse(-EACCES, ret_reason,
			                    "not a token: three parts in base64url without "
			                    "padding, with dots between them");
		text += length + 1;
	}
	return 0;
}

/* NULL: it is no JSON object, or there was no memory. */
static json_t *object_parse(const struct parts *parts, enum part part)
{
	json_t *object = json_loadb((const char *)parts->bytes[part], parts->lengths[part],
	                            JSON_REJECT_DUPLICATES, NULL);

	if (json_is_object(object))
		return object;
	json_decref(object);
	return NULL;
}

/* Which key it has to be checked with: by the header's kid, and by nothing else that it says. */
static int header_check(const struct held_key **ret_key, const struct tokens *tokens,
                        const json_t *header, char *ret_reason)
{
	const char *kid = json_string_value(json_object_get(header, "kid"));
	const char *algorithm = json_string_value(json_object_get(header, "alg"));
	const json_t *type = json_object_get(header, "typ");
	char quoted[FAULTS_QUOTE_BYTES];
	uint32_t i = 0;

	if (json_object_get(header, "crit") != NULL)
		return token_refuse(-EACCES, ret_reason,
		                    "its header has a crit, of which nothing is known here");
	/* libjwt would not take another either */
	if (type != NULL && (!json_is_string(type) || strcasecmp(json_string_value(type), "JWT")))
		return token_refuse(-EACCES, ret_reason, "its header's typ is not JWT");
	if (kid == NULL)
		return token_refuse(-EACCES, ret_reason,
		                    "its header has no kid: let the issuer say which key it is by");
	while (i < tokens->key_count && strcmp(tokens->keys[i].id, kid) != 0)
		i++;
	faults_quote(quoted, kid);
	if (i == tokens->key_count)
		return token_refuse(-EACCES, ret_reason, "no key has the id \"%s\" (kid)", quoted);
	if (algorithm == NULL ||
	    strcmp(algorithm, token_algorithm_name(tokens->keys[i].algorithm)) != 0)
		return token_refuse(-EACCES, ret_reason,
		                    "the key \"%s\" is for %s, and the token (alg) for another "
		                    "algorithm",
		                    quoted, token_algorithm_name(tokens->keys[i].algorithm));
	*ret_key = &tokens->keys[i];
	return 0;
}

static int signature_check(const struct held_key *key, const char *text, char *ret_reason)
{
	jwt_t *jwt = NULL;
	int error_number =
	    jwt_decode(&jwt, text, (const unsigned char *)key->material, (int)key->material_bytes);
	char quoted[FAULTS_QUOTE_BYTES];

	/* Having no memory for its copy of the key, libjwt 1.10 returns 0 and has looked at
	 * nothing: the algorithm is still that of an empty token. */
	if (error_number == 0 && jwt_get_alg(jwt) != algorithms[key->algorithm].of_libjwt)
		error_number = ENOMEM;
	jwt_free(jwt);
	ERR_clear_error(); /* or TLS takes it for its own */
	if (error_number == 0)
		return 0;
	if (error_number == ENOMEM)
		return token_refuse(-ENOMEM, ret_reason, "not enough memory to look at it");
	faults_quote(quoted, key->id);
	/* it reads the claims before it looks at the signature */
	return token_refuse(-EACCES, ret_reason,
	                    "not signed by the key \"%s\", or its claims are not JSON", quoted);
}

/* What it says, when it has a good signature; the caller's to let go. */
static int claims_read(json_t **ret_claims, const struct tokens *tokens, const char *text,
                       char *ret_reason)
{
	const struct held_key *key = NULL;
	struct parts parts;
	json_t *header = NULL;
	int r = parts_read(&parts, text, ret_reason);

	if (r < 0)
		return r;
	header = object_parse(&parts, PART_HEADER);
	r = header == NULL ? token_refuse(-EACCES, ret_reason, "its header is not a JSON object")
	                   : header_check(&key, tokens, header, ret_reason);
	json_decref(header);
	if (r == 0)
		r = signature_check(key, text, ret_reason);
	if (r < 0)
		return r;
	/* not libjwt's: that takes the last of two claims of one name */
	*ret_claims = object_parse(&parts, PART_CLAIMS);
	if (*ret_claims == NULL)
		return token_refuse(-EACCES, ret_reason,
		                    "its claims are not a JSON object, or one is there twice");
	return 0;
}

int tokens_check(const struct tokens *tokens, const char *text, uint64_t now_s,
                 struct identity *ret_identity, char ret_reason[TOKENS_REASON_BYTES])
{
	json_t *claims = NULL;
	int r;

	ret_identity->role = ROLE_none;
	ret_identity->credential = CREDENTIAL_token;
	ret_identity->name[0] = ret_identity->credential_id[0] = '\0';
	ret_reason[0] = '\0';
	r = claims_read(&claims, tokens, text, ret_reason);
	if (r == 0)
		r = claims_check(tokens, claims, now_s, ret_identity, ret_reason);
	json_decref(claims);
	return r;
}

static json_t *keys_shown(const struct tokens *tokens)
{
	json_t *list = json_array();
	bool good = list != NULL;

	for (uint32_t i = 0; i < tokens->key_count && good; i++) {
		const struct held_key *key = &tokens->keys[i];

		good = json_array_append_new(
		           list,
		           json_pack("{s:s,s:s,s:i,s:s?}", "id", key->id, "algorithm",
		                     token_algorithm_name(key->algorithm), "bits", (int)key->bits,
		                     "fingerprint",
		                     key->fingerprint[0] == '\0' ? NULL : key->fingerprint)) == 0;
	}
	if (good)
		return list;
	json_decref(list);
	return NULL;
}

static json_t *revoked_shown(const struct tokens *tokens)
{
	json_t *list = json_array();
	bool good = list != NULL;

	for (uint32_t i = 0; i < tokens->revoked_count && good; i++) {
		const struct revoked_token *token = &tokens->revoked[i];

		good = json_array_append_new(list, json_pack("{s:s,s:o,s:o}", "jti", token->jti,
		                                             "revoked", kept_time(token->revoked_s),
		                                             "expires",
		                                             kept_time(token->expires_s))) == 0;
	}
	if (good)
		return list;
	json_decref(list);
	return NULL;
}

json_t *tokens_list(const struct tokens *tokens)
{
	/* lets go of both when it fails */
	return json_pack("{s:o,s:o}", "keys", keys_shown(tokens), "revoked", revoked_shown(tokens));
}
