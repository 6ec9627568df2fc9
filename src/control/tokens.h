/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Web Tokens of somebody else's making (RFC 7519), checked with libjwt. A token names its key
 * by `kid`; the config says which algorithm goes with which key, and the token has no say in it:
 * so neither `none` nor an HS256 made with an RSA public key gets in. Owner: the control process's
 * loop. */
#pragma once

#include "control/identity.h"

#include <jansson.h>
#include <stdint.h>

#define TOKENS_KEY_COUNT_MAX     16
#define TOKENS_KEY_ID_BYTES_MAX  128
#define TOKENS_TEXT_BYTES_MAX    8192
#define TOKENS_JTI_BYTES_MAX     (IDENTITY_CREDENTIAL_BYTES - 1)
#define TOKENS_REVOKED_COUNT_MAX 10000

enum token_algorithm {
	TOKEN_RS256,
	TOKEN_ES256,
	TOKEN_HS256,
};

struct token_key {
	const char *id; /* kid */
	enum token_algorithm algorithm;
	/* PEM of one public key or certificate (of which only the key counts); HS256: at least 32
	 * secret bytes. A newline at the end of a secret that is text is no part of it. */
	const char *path;
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

/* Whose token that is. kid, exp, iat and sub must be there; nbf is minded; a token without jti
 * cannot be revoked alone and is taken. 0: fills in role, credential, name (sub) and credential_id
 * (jti); -EACCES, -EKEYEXPIRED, -EKEYREVOKED, -ENOMEM (it could not be looked at), each with a
 * reason for the audit log and `kante token check`: "audience is \"x\", not \"kante\"". What is
 * refused has the role none, and sub and jti when its signature is good. Nothing of a reason is of
 * the token before its signature was verified, save its kid, made printable.
 *
 * Any bytes are written in one way only (RFC 4648, 3.5), but whoever has an ES256 token can make
 * another signature of it (r, -s). That is no harm: it says the same, and what is revoked is what
 * it says. */
int tokens_check(const struct tokens *tokens, const char *text, uint64_t now_s,
                 struct identity *ret_identity, char ret_reason[TOKENS_REASON_BYTES]);

/* expires_s: the token's exp, after which (and the skew) this can be forgotten; 0: not known, so
 * as late as it can be of one that was issued by now. 0; a negative errno with `error`, and nothing
 * has changed: -EALREADY, -EINVAL, -ENOSPC, or of the disk. */
int tokens_revoke(struct tokens *tokens, const char *jti, uint64_t expires_s, uint64_t now_s,
                  char *error, size_t error_bytes);

/* {keys: [{id, algorithm, bits, fingerprint}], revoked: [{jti, revoked, expires}]}, times in
 * RFC 3339, the fingerprint SHA-256 of the public key (null of a secret). NULL: no memory. */
json_t *tokens_list(const struct tokens *tokens);
