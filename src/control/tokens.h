/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Web Tokens of somebody else's making (RFC 7519), checked with libjwt. A token names its key
 * by `kid`; the config says which algorithm goes with which key, and the token has no say in it:
 * so neither `none` nor an HS256 made with an RSA public key gets in. Owner: the control process's
 * loop. */
#pragma once

#include "control/identity.h"

#include <jansson.h>
#include <stdint.h>

#define TOKENS_KEY_COUNT_MAX  16
#define TOKENS_TEXT_BYTES_MAX 8192
#define TOKENS_JTI_BYTES_MAX  (IDENTITY_CREDENTIAL_BYTES - 1)

enum token_algorithm {
	TOKEN_RS256,
	TOKEN_ES256,
	TOKEN_HS256,
};

struct token_key {
	const char *id; /* kid */
	enum token_algorithm algorithm;
	const char *path; /* PEM of a public key or certificate; HS256: at least 32 secret bytes */
};

struct tokens_options {
	const char *issuer;      /* iss must be that */
	const char *audience;    /* aud must be that, or a list with it */
	const char *role_claim;  /* "role": what says viewer, operator or admin */
	uint64_t skew_s;         /* clocks may differ by so much */
	uint64_t lifetime_s_max; /* exp may lie no further after iat */
	const struct token_key *keys;
	uint32_t key_count;
	const char *revoked_path; /* of the file of revoked jti's */
};

struct tokens;

/* Reads the keys and what was revoked; copies the options. 0; a negative errno with `error` filled
 * in: a line a fault, what is wrong, and what to do (a key of another kind, RSA of less than 2048
 * bits, a curve that is not P-256, a secret that is short or readable by others, an id given
 * twice). */
int tokens_open(struct tokens **ret_tokens, const struct tokens_options *options, char *error,
                size_t error_bytes);
void tokens_close(struct tokens *tokens); /* takes NULL; wipes */

#define TOKENS_REASON_BYTES 160

/* Whose token that is. exp and iat must be there; nbf is minded; a token without jti cannot be
 * revoked alone and is taken. 0: fills in role, credential, name (sub) and credential_id (jti);
 * -EACCES, -EKEYEXPIRED, -EKEYREVOKED, each with a reason for the audit log and `kante token
 * check`: "audience is \"x\", not \"kante\"". Nothing of a reason is of the token before its
 * signature was verified, save its kid, made printable. */
int tokens_check(const struct tokens *tokens, const char *text, uint64_t now_s,
                 struct identity *ret_identity, char ret_reason[TOKENS_REASON_BYTES]);

/* expires_s: when the token will have expired anyway, and can be forgotten. 0; a negative errno
 * with `error`: -EALREADY, -EINVAL, -ENOSPC, or of the disk. */
int tokens_revoke(struct tokens *tokens, const char *jti, uint64_t expires_s, uint64_t now_s,
                  char *error, size_t error_bytes);

/* {keys: [{id, algorithm, bits, fingerprint}], revoked: [{jti, revoked, expires}]}. */
json_t *tokens_list(const struct tokens *tokens);
