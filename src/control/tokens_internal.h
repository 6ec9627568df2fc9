/* SPDX-License-Identifier: Apache-2.0 */
/* What the files tokens*.c share. Owner: struct tokens. */
#pragma once

#include "config/faults.h"
#include "control/tokens.h"

#include <stdbool.h>

#define TOKENS_FINGERPRINT_BYTES 96 /* SHA-256, hex with colons, with NUL */

/* A key as it is held. */
struct held_key {
	char *id;
	enum token_algorithm algorithm;
	char *material; /* a public key as PEM, as libjwt wants it, or the secret; no NUL counts */
	size_t material_bytes;
	uint32_t bits;
	char fingerprint[TOKENS_FINGERPRINT_BYTES]; /* of its DER; "": of a secret none is told */
};

struct revoked_token {
	char jti[TOKENS_JTI_BYTES_MAX + 1];
	uint64_t revoked_s;
	uint64_t expires_s;
};

struct tokens {
	char *issuer;
	char *audience;
	char *role_claim;
	char *revoked_path;
	uint64_t skew_s;
	uint64_t lifetime_s_max;
	uint32_t key_count;
	uint32_t revoked_count;
	struct held_key keys[TOKENS_KEY_COUNT_MAX];
	/* memory behind revoked_count is never touched */
	struct revoked_token revoked[TOKENS_REVOKED_COUNT_MAX];
};

const char *token_algorithm_name(enum token_algorithm algorithm);

/* tokens_keys.c: 0; a negative errno, which is then a fault, too. What is half read, is released,
 * too. */
int held_key_read(struct held_key *key, const struct token_key *wanted, struct faults *faults);
void held_key_release(struct held_key *key);

/* tokens_revoked.c: likewise. */
int revoked_read(struct tokens *tokens, struct faults *faults);
bool revoked_contain(const struct tokens *tokens, const char *jti);

/* Writes why it is refused, and returns r. */
int token_refuse(int r, char ret_reason[TOKENS_REASON_BYTES], const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* tokens_claims.c: judges what a token says whose signature is good. As tokens_check(). */
int claims_check(const struct tokens *tokens, const json_t *claims, uint64_t now_s,
                 struct identity *ret_identity, char ret_reason[TOKENS_REASON_BYTES]);
