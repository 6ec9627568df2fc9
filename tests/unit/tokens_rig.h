/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens, made with OpenSSL and not with libjwt, so that the one checks the other; and their keys,
 * in a folder. */
#pragma once

#include "control/tokens.h"
#include "folder.h"
#include "unit.h"

#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#define NOW         1764277200ull /* 2025-11-27T21:00:00Z */
#define ISSUER      "https://issuer.example"
#define SKEW_S      60
#define LIFETIME_S  86400
#define SECRET      "0123456789abcdef0123456789ABCDEF"
#define ERROR_BYTES 4096
#define TOKEN_BYTES (2 * TOKENS_TEXT_BYTES_MAX)
#define CLAIMS_MAX  1024

/* Made once, as RSA's take a while. */
static struct {
	EVP_PKEY *rsa, *other_rsa, *ec, *other_ec;
} made_keys;

static inline void made_keys_make(void)
{
	if (made_keys.rsa != NULL)
		return;
	made_keys.rsa = EVP_RSA_gen(2048);
	made_keys.other_rsa = EVP_RSA_gen(2048);
	made_keys.ec = EVP_EC_gen("P-256");
	made_keys.other_ec = EVP_EC_gen("P-256");
}

static inline void made_keys_free(void)
{
	EVP_PKEY_free(made_keys.rsa);
	EVP_PKEY_free(made_keys.other_rsa);
	EVP_PKEY_free(made_keys.ec);
	EVP_PKEY_free(made_keys.other_ec);
}

struct rig {
	struct folder folder;
	char rsa_path[FOLDER_PATH_BYTES], ec_path[FOLDER_PATH_BYTES], hs_path[FOLDER_PATH_BYTES];
	char revoked_path[FOLDER_PATH_BYTES];
	struct token_key keys[TOKENS_KEY_COUNT_MAX + 1];
	struct tokens_options options;
	struct tokens *tokens;
	char error[ERROR_BYTES];
	char text[TOKEN_BYTES]; /* the token that was made last */
	char claims[CLAIMS_MAX];
	char reason[TOKENS_REASON_BYTES];
	struct identity who;
};

static inline void public_key_put(const char *path, EVP_PKEY *key)
{
	FILE *file = fopen(path, "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT_EQUAL(PEM_write_PUBKEY(file, key), 1);
	fclose(file);
}

static inline int tokens_read(struct rig *rig)
{
	tokens_close(rig->tokens);
	rig->tokens = NULL;
	rig->error[0] = '\0';
	return tokens_open(&rig->tokens, &rig->options, rig->error, sizeof(rig->error));
}

/* The keys "rsa", "ec" and "hs". */
static inline void rig_prepare(struct rig *rig)
{
	*rig = (struct rig){0};
	made_keys_make();
	folder_make(&rig->folder);
	folder_file(&rig->folder, rig->rsa_path, "rsa.pem");
	folder_file(&rig->folder, rig->ec_path, "ec.pem");
	folder_file(&rig->folder, rig->hs_path, "secret");
	folder_file(&rig->folder, rig->revoked_path, "revoked.json");
	public_key_put(rig->rsa_path, made_keys.rsa);
	public_key_put(rig->ec_path, made_keys.ec);
	file_put(rig->hs_path, SECRET "\n", sizeof(SECRET), 0600);
	rig->keys[0] = (struct token_key){"rsa", TOKEN_RS256, rig->rsa_path};
	rig->keys[1] = (struct token_key){"ec", TOKEN_ES256, rig->ec_path};
	rig->keys[2] = (struct token_key){"hs", TOKEN_HS256, rig->hs_path};
	rig->options = (struct tokens_options){ISSUER,     "kante",   "role", SKEW_S,
	                                       LIFETIME_S, rig->keys, 3,      rig->revoked_path};
}

static inline void rig_open(struct rig *rig)
{
	int r;

	rig_prepare(rig);
	r = tokens_read(rig);
	if (r < 0)
		printf("\n%s\n", rig->error);
	CU_ASSERT_EQUAL_FATAL(r, 0);
}

static inline void rig_close(struct rig *rig)
{
	tokens_close(rig->tokens);
	folder_remove(&rig->folder);
}

/* Returns where it ends. */
static inline char *base64url_write(char *to, const void *bytes, size_t length)
{
	int written = EVP_EncodeBlock((unsigned char *)to, bytes, (int)length);

	for (int i = 0; i < written; i++)
		to[i] = to[i] == '+' ? '-' : to[i] == '/' ? '_' : to[i];
	while (written > 0 && to[written - 1] == '=')
		written--;
	to[written] = '\0';
	return to + written;
}

/* R and S, 32 bytes each, as RFC 7518 3.4 has it; der: as OpenSSL makes it. */
static inline size_t ecdsa_flatten(uint8_t *raw, const uint8_t *der, size_t der_bytes)
{
	ECDSA_SIG *parsed = d2i_ECDSA_SIG(NULL, &der, (long)der_bytes);

	CU_ASSERT_PTR_NOT_NULL_FATAL(parsed);
	BN_bn2binpad(ECDSA_SIG_get0_r(parsed), raw, 32);
	BN_bn2binpad(ECDSA_SIG_get0_s(parsed), raw + 32, 32);
	ECDSA_SIG_free(parsed);
	return 64;
}

static inline size_t sign_by(EVP_PKEY *key, const char *text, uint8_t signature[512])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t der[512];
	size_t length = sizeof(der);

	CU_ASSERT_EQUAL_FATAL(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key), 1);
	CU_ASSERT_EQUAL_FATAL(
	    EVP_DigestSign(context, der, &length, (const uint8_t *)text, strlen(text)), 1);
	EVP_MD_CTX_free(context);
	if (EVP_PKEY_is_a(key, "EC"))
		return ecdsa_flatten(signature, der, length);
	memcpy(signature, der, length);
	return length;
}

static inline size_t sign_by_secret(const void *secret, size_t secret_bytes, const char *text,
                                    uint8_t signature[512])
{
	unsigned length = 0;

	HMAC(EVP_sha256(), secret, (int)secret_bytes, (const uint8_t *)text, strlen(text),
	     signature, &length);
	return length;
}

/* Writes the first two parts, and a dot behind them, which is yet to be signed: where it is. */
static inline char *unsigned_make(struct rig *rig, const char *header, const char *claims)
{
	char *end = base64url_write(rig->text, header, strlen(header));

	*end++ = '.';
	return base64url_write(end, claims, strlen(claims));
}

/* key NULL: by the secret. */
static inline void token_make(struct rig *rig, const char *header, const char *claims,
                              EVP_PKEY *key)
{
	char *end = unsigned_make(rig, header, claims);
	uint8_t signature[512];
	size_t length = key != NULL ? sign_by(key, rig->text, signature)
	                            : sign_by_secret(SECRET, strlen(SECRET), rig->text, signature);

	*end++ = '.';
	base64url_write(end, signature, length);
}

/* Claims that are good, but for the one of that name: NULL: it is not there. Takes the value. */
static inline const char *claims_but(struct rig *rig, const char *name, json_t *value)
{
	json_t *claims = json_pack("{s:s,s:s,s:s,s:s,s:s,s:I,s:I}", "iss", ISSUER, "aud", "kante",
	                           "sub", "alice", "role", "operator", "jti", "id-1", "iat",
	                           (json_int_t)NOW - 10, "exp", (json_int_t)NOW + 600);
	size_t length;

	json_object_del(claims, name);
	if (value != NULL)
		json_object_set_new(claims, name, value);
	length = json_dumpb(claims, rig->claims, CLAIMS_MAX - 1, JSON_COMPACT);
	CU_ASSERT_TRUE_FATAL(length < CLAIMS_MAX);
	rig->claims[length] = '\0';
	json_decref(claims);
	return rig->claims;
}

static inline const char *good_claims(struct rig *rig)
{
	return claims_but(rig, "nothing", NULL);
}

#define HEADER(algorithm, kid) "{\"alg\":\"" algorithm "\",\"kid\":\"" kid "\",\"typ\":\"JWT\"}"

/* A good one by that key: "rsa", "ec" or "hs". */
static inline void good_token_make(struct rig *rig, const char *kid)
{
	if (strcmp(kid, "rsa") == 0)
		token_make(rig, HEADER("RS256", "rsa"), good_claims(rig), made_keys.rsa);
	else if (strcmp(kid, "ec") == 0)
		token_make(rig, HEADER("ES256", "ec"), good_claims(rig), made_keys.ec);
	else
		token_make(rig, HEADER("HS256", "hs"), good_claims(rig), NULL);
}

static inline int check_at(struct rig *rig, const char *text, uint64_t now_s)
{
	int r;

	memset(&rig->who, 0x55, sizeof(rig->who));
	memset(rig->reason, 0x55, sizeof(rig->reason));
	r = tokens_check(rig->tokens, text, now_s, &rig->who, rig->reason);
	CU_ASSERT_TRUE((r == 0) == (rig->who.role != ROLE_none));
	CU_ASSERT_TRUE((r == 0) == (rig->reason[0] == '\0'));
	return r;
}

static inline int check(struct rig *rig)
{
	return check_at(rig, rig->text, NOW);
}

/* True: it is refused for that reason. */
static inline bool refused(struct rig *rig, const char *reason)
{
	int r = check(rig);
	bool is_so = r == -EACCES && strcmp(rig->reason, reason) == 0;

	if (!is_so)
		printf("\nwant %s\ngot  %d %s\n", reason, r, rig->reason);
	return is_so;
}

static const char *const kids[] = {"rsa", "ec", "hs"};
