/* SPDX-License-Identifier: Apache-2.0 */
#include "tokens_rig.h"

#include "base/bytes.h"
#include "base/random.h"
#include "faults.h"
#include "seed.h"

#include <jwt.h>

/* jwt_decode() that finds no memory: it says so, or it does not and gives an empty token. */
int jwt_decode(jwt_t **jwt, const char *token, const unsigned char *key, int key_bytes)
{
	int (*next)(jwt_t **, const char *, const unsigned char *, int);

	if (fault_hits("jwt_decode"))
		return fault.error_number == 0 ? jwt_new(jwt) : fault.error_number;
	*(void **)&next = dlsym(RTLD_NEXT, "jwt_decode");
	return next(jwt, token, key, key_bytes);
}

static void a_good_token_of_each_algorithm_lets_in(void)
{
	struct rig rig;

	rig_open(&rig);
	for (size_t i = 0; i < 3; i++) {
		good_token_make(&rig, kids[i]);
		CU_ASSERT_EQUAL(check(&rig), 0);
		CU_ASSERT_EQUAL(rig.who.role, ROLE_operator);
		CU_ASSERT_EQUAL(rig.who.credential, CREDENTIAL_token);
		CU_ASSERT_STRING_EQUAL(rig.who.name, "alice");
		CU_ASSERT_STRING_EQUAL(rig.who.credential_id, "id-1");
		CU_ASSERT_EQUAL(rig.who.from[0], 0x55); /* not a token's to say */
	}
	rig_close(&rig);
}

static void without_a_signature_nobody_gets_in(void)
{
	char header[128];
	struct rig rig;

	rig_open(&rig);
	for (unsigned spelling = 0; spelling < 16; spelling++)
		for (size_t i = 0; i < 4; i++) {
			char none[] = "none";

			for (int j = 0; j < 4; j++)
				none[j] = (char)(none[j] & ~(spelling >> j & 1 ? 0x20 : 0));
			if (i < 3)
				snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"kid\":\"%s\"}",
				         none, kids[i]);
			else
				snprintf(header, sizeof(header), "{\"alg\":\"%s\"}", none);
			unsigned_make(&rig, header, good_claims(&rig));
			CU_ASSERT_EQUAL(check(&rig), -EACCES);
			strcat(rig.text, ".");
			CU_ASSERT_EQUAL(check(&rig), -EACCES);
			strcat(rig.text, "AA");
			CU_ASSERT_EQUAL(check(&rig), -EACCES);
			token_make(&rig, header, good_claims(&rig),
			           i == 0   ? made_keys.rsa
			           : i == 1 ? made_keys.ec
			                    : NULL);
			CU_ASSERT_EQUAL(check(&rig), -EACCES);
		}
	rig_close(&rig);
}

static void sign_with_secret(struct rig *rig, const char *header, const void *secret, size_t bytes)
{
	char *end = unsigned_make(rig, header, good_claims(rig));
	uint8_t signature[512];
	size_t length = sign_by_secret(secret, bytes, rig->text, signature);

	*end++ = '.';
	base64url_write(end, signature, length);
}

static void a_public_key_is_no_secret(void)
{
	uint8_t *der = NULL;
	int der_bytes = i2d_PUBKEY(made_keys.rsa, &der);
	size_t pem_bytes;
	struct rig rig;
	char *pem;

	rig_open(&rig);
	pem = file_get(rig.rsa_path, &pem_bytes);
	CU_ASSERT_TRUE(pem_bytes > 400 && der_bytes > 200);
	for (int i = 0; i < 2; i++) {
		const char *header = i == 0 ? HEADER("HS256", "rsa") : HEADER("HS256", "hs");
		const char *reason =
		    i == 0 ? "the key \"rsa\" is for RS256, and the token (alg) for another "
		             "algorithm"
		           : "not signed by the key \"hs\", or its claims are not JSON";

		sign_with_secret(&rig, header, pem, pem_bytes);
		CU_ASSERT_TRUE(refused(&rig, reason));
		sign_with_secret(&rig, header, pem, pem_bytes - 1); /* without its newline */
		CU_ASSERT_TRUE(refused(&rig, reason));
		sign_with_secret(&rig, header, der, (size_t)der_bytes);
		CU_ASSERT_TRUE(refused(&rig, reason));
		sign_with_secret(&rig, header, "", 0);
		CU_ASSERT_TRUE(refused(&rig, reason));
	}
	OPENSSL_free(der);
	free(pem);
	rig_close(&rig);
}

static void a_token_has_no_say_in_the_algorithm(void)
{
	static const char *const algorithms[] = {
	    "\"HS256\"", "\"HS384\"",   "\"ES256\"", "\"RS384\"", "\"RS512\"",
	    "\"PS256\"", "\"EdDSA\"",   "\"rs256\"", "\"\"",      "\"RS256 \"",
	    "null",      "[\"RS256\"]", "256",       "true"};
	struct rig rig;
	char header[128];

	rig_open(&rig);
	for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
		snprintf(header, sizeof(header), "{\"alg\":%s,\"kid\":\"rsa\"}", algorithms[i]);
		token_make(&rig, header, good_claims(&rig), made_keys.rsa);
		CU_ASSERT_TRUE(refused(&rig, "the key \"rsa\" is for RS256, and the token (alg) "
		                             "for another algorithm"));
	}
	token_make(&rig, "{\"kid\":\"rsa\"}", good_claims(&rig), made_keys.rsa);
	CU_ASSERT_TRUE(refused(&rig, "the key \"rsa\" is for RS256, and the token (alg) for "
	                             "another algorithm"));
	rig_close(&rig);
}

static void the_signature_has_to_be_by_the_key_that_it_names(void)
{
	struct rig rig;

	rig_open(&rig);
	token_make(&rig, HEADER("RS256", "rsa"), good_claims(&rig), made_keys.other_rsa);
	CU_ASSERT_TRUE(refused(&rig, "not signed by the key \"rsa\", or its claims are not JSON"));
	token_make(&rig, HEADER("ES256", "ec"), good_claims(&rig), made_keys.other_ec);
	CU_ASSERT_TRUE(refused(&rig, "not signed by the key \"ec\", or its claims are not JSON"));
	token_make(&rig, HEADER("RS256", "rsa"), good_claims(&rig), made_keys.ec);
	CU_ASSERT_TRUE(refused(&rig, "not signed by the key \"rsa\", or its claims are not JSON"));
	token_make(&rig, HEADER("ES256", "ec"), good_claims(&rig), made_keys.rsa);
	CU_ASSERT_TRUE(refused(&rig, "not signed by the key \"ec\", or its claims are not JSON"));
	sign_with_secret(&rig, HEADER("HS256", "hs"), SECRET "\n", sizeof(SECRET));
	CU_ASSERT_TRUE(refused(&rig, "not signed by the key \"hs\", or its claims are not JSON"));
	/* two keys of one algorithm */
	public_key_put(rig.ec_path, made_keys.other_rsa);
	rig.keys[1].algorithm = TOKEN_RS256;
	CU_ASSERT_EQUAL_FATAL(tokens_read(&rig), 0);
	token_make(&rig, HEADER("RS256", "ec"), good_claims(&rig), made_keys.other_rsa);
	CU_ASSERT_EQUAL(check(&rig), 0);
	token_make(&rig, HEADER("RS256", "ec"), good_claims(&rig), made_keys.rsa);
	CU_ASSERT_TRUE(refused(&rig, "not signed by the key \"ec\", or its claims are not JSON"));
	rig_close(&rig);
}

static void a_signature_is_whole_and_written_in_one_way(void)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	struct rig rig;

	rig_open(&rig);
	for (size_t i = 0; i < 3; i++) {
		uint32_t let_in_count = 0;
		size_t length;
		char last;

		good_token_make(&rig, kids[i]);
		CU_ASSERT_EQUAL(check(&rig), 0);
		length = strlen(rig.text);
		strcat(rig.text, "=");
		CU_ASSERT_EQUAL(check(&rig), -EACCES);
		strcat(rig.text, "=");
		CU_ASSERT_EQUAL(check(&rig), -EACCES);
		strcpy(rig.text + length, "AAAA");
		CU_ASSERT_EQUAL(check(&rig), -EACCES);
		strcpy(rig.text + length, ".AAAA");
		CU_ASSERT_EQUAL(check(&rig), -EACCES);
		strcpy(rig.text + length, "\n");
		CU_ASSERT_EQUAL(check(&rig), -EACCES);
		rig.text[length] = '\0';
		last = rig.text[length - 1];
		for (size_t j = 0; j < 64; j++) { /* some mean the same bytes */
			rig.text[length - 1] = digits[j];
			let_in_count += check(&rig) == 0;
		}
		CU_ASSERT_EQUAL(let_in_count, 1);
		rig.text[length - 1] = last;
		for (size_t cut = length - 1; rig.text[cut] != '.'; cut--) {
			rig.text[cut] = '\0';
			let_in_count += check(&rig) == 0;
		}
		CU_ASSERT_EQUAL(let_in_count, 1);
		CU_ASSERT_EQUAL(check(&rig), -EACCES); /* the dot is there, and nothing behind it */
	}
	rig_close(&rig);
}

static void every_flipped_bit_is_noticed(void)
{
	struct rig rig;

	rig_open(&rig);
	for (size_t i = 0; i < 3; i++) {
		uint32_t let_in_count = 0;

		good_token_make(&rig, kids[i]);
		for (size_t at = 0; rig.text[at] != '\0'; at++)
			for (int bit = 0; bit < 8; bit++) {
				rig.text[at] = (char)(rig.text[at] ^ (1 << bit));
				let_in_count += check(&rig) == 0;
				rig.text[at] = (char)(rig.text[at] ^ (1 << bit));
			}
		CU_ASSERT_EQUAL(let_in_count, 0);
		CU_ASSERT_EQUAL(check(&rig), 0);
	}
	rig_close(&rig);
}

/* Replaces the signature of the EC token that is there. */
static void resign(struct rig *rig, const uint8_t *signature, size_t length)
{
	base64url_write(strrchr(rig->text, '.') + 1, signature, length);
}

static void the_other_signature_of_an_es256_token_is_no_way_around_revocation(void)
{
	uint8_t raw[512] = {0};
	EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
	BIGNUM *s = BN_new();
	struct rig rig;

	rig_open(&rig);
	unsigned_make(&rig, HEADER("ES256", "ec"), good_claims(&rig));
	sign_by(made_keys.ec, rig.text, raw);
	strcat(rig.text, ".");
	BN_bin2bn(raw + 32, 32, s);
	BN_sub(s, EC_GROUP_get0_order(group), s);
	BN_bn2binpad(s, raw + 32, 32);
	resign(&rig, raw, 64);
	CU_ASSERT_EQUAL(check(&rig), 0);
	CU_ASSERT_EQUAL(tokens_revoke(rig.tokens, "id-1", NOW + 600, NOW, rig.error, ERROR_BYTES),
	                0);
	CU_ASSERT_EQUAL(check(&rig), -EKEYREVOKED);
	CU_ASSERT_STRING_EQUAL(rig.reason, "revoked by its jti");
	BN_free(s);
	EC_GROUP_free(group);
	rig_close(&rig);
}

static void es256_takes_no_signature_out_of_range_or_in_der(void)
{
	uint8_t raw[512] = {0};
	struct rig rig;

	rig_open(&rig);
	good_token_make(&rig, "ec");
	resign(&rig, raw, 64); /* CVE-2022-21449 */
	CU_ASSERT_TRUE(refused(&rig, "not signed by the key \"ec\", or its claims are not JSON"));
	memset(raw, 0xff, sizeof(raw));
	resign(&rig, raw, 64);
	CU_ASSERT_TRUE(refused(&rig, "not signed by the key \"ec\", or its claims are not JSON"));
	resign(&rig, raw, 512);
	CU_ASSERT_TRUE(refused(&rig, "not signed by the key \"ec\", or its claims are not JSON"));
	memcpy(raw, "\x30\x06\x02\x01\x01\x02\x01\x01", 8);
	resign(&rig, raw, 8);
	CU_ASSERT_TRUE(refused(&rig, "not signed by the key \"ec\", or its claims are not JSON"));
	rig_close(&rig);
}

static void what_is_no_token_is_refused(void)
{
	static const char *const texts[] = {"",      ".",           "..",         "...",
	                                    "a.b.c", "AA.AA",       "AAAA..",     "..AAAA",
	                                    ".AA.",  "AA.AA.AA.AA", "eyJ9 .AA.AA"};
	struct rig rig;

	rig_open(&rig);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		strcpy(rig.text, texts[i]);
		CU_ASSERT_TRUE(refused(&rig, "not a token: three parts in base64url without "
		                             "padding, with dots between them"));
	}
	good_token_make(&rig, "hs");
	memmove(rig.text + 1, rig.text, strlen(rig.text) + 1);
	rig.text[0] = ' ';
	CU_ASSERT_EQUAL(check(&rig), -EACCES);
	rig_close(&rig);
}

static void a_token_may_have_8192_bytes(void)
{
	static char padding[TOKENS_TEXT_BYTES_MAX];
	static char claims[TOKENS_TEXT_BYTES_MAX];
	uint32_t taken_count = 0;
	struct rig rig;

	rig_open(&rig);
	memset(padding, 'x', sizeof(padding));
	for (size_t length = 5800; length < 6000; length++) {
		size_t bytes;

		good_claims(&rig);
		snprintf(claims, sizeof(claims), "{\"x\":\"%.*s\",%s", (int)length, padding,
		         rig.claims + 1);
		token_make(&rig, HEADER("HS256", "hs"), claims, NULL);
		bytes = strlen(rig.text);
		taken_count += bytes <= TOKENS_TEXT_BYTES_MAX;
		if (bytes <= TOKENS_TEXT_BYTES_MAX)
			CU_ASSERT_EQUAL(check(&rig), 0);
		if (bytes > TOKENS_TEXT_BYTES_MAX)
			CU_ASSERT_TRUE(refused(&rig, "longer than 8192 bytes"));
	}
	CU_ASSERT_TRUE(taken_count > 10 && taken_count < 190);
	rig_close(&rig);
}

static void random_bytes_and_random_cuts_never_get_in(void)
{
	struct random random = random_seeded(seed_of_this_run());
	static char good[3][TOKEN_BYTES];
	uint32_t let_in_count = 0;
	struct rig rig;

	rig_open(&rig);
	for (size_t i = 0; i < 3; i++) {
		good_token_make(&rig, kids[i]);
		strcpy(good[i], rig.text);
	}
	for (uint32_t i = 0; i < 30000; i++) {
		const char *source = good[random_below(&random, 3)];
		size_t length = strlen(source);
		uint64_t change_count = random_below(&random, 6);

		strcpy(rig.text, source);
		for (uint64_t j = 0; j < change_count; j++) {
			size_t at = random_below(&random, length);

			if (random_below(&random, 3) == 0) /* a piece of another, or of itself */
				memcpy(rig.text + at, good[random_below(&random, 3)] + at / 2,
				       min_u64(length - at, random_below(&random, 40)));
			else
				rig.text[at] = random_below(&random, 2)
				                   ? (char)random_below(&random, 256)
				                   : "AQgw09-_.="[random_below(&random, 10)];
		}
		if (random_below(&random, 4) == 0)
			rig.text[random_below(&random, length)] = '\0';
		if (random_below(&random, 50) == 0)
			for (size_t at = 0; at < length; at++)
				rig.text[at] = (char)random_below(&random, 256);
		let_in_count += check(&rig) == 0 && strcmp(rig.text, source) != 0;
	}
	CU_ASSERT_EQUAL(let_in_count, 0);
	rig_close(&rig);
}

/* Headers and claims of random faults, with a good signature. */
static void random_json_that_is_signed_is_judged_without_a_crash(void)
{
	struct random random = random_seeded(seed_of_this_run());
	static const char header[] = HEADER("HS256", "hs");
	uint32_t let_in_count = 0, wrong_count = 0;
	struct rig rig;

	rig_open(&rig);
	for (uint32_t i = 0; i < 30000; i++) {
		char texts[2][CLAIMS_MAX];

		strcpy(texts[0], header);
		strcpy(texts[1], good_claims(&rig));
		for (uint64_t j = random_below(&random, 3); j > 0; j--) {
			char *text = texts[random_below(&random, 2)];

			text[random_below(&random, strlen(text))] =
			    random_below(&random, 2) ? (char)(1 + random_below(&random, 255))
			                             : "{}[]\",:0\\-.e"[random_below(&random, 12)];
		}
		token_make(&rig, texts[0], texts[1], NULL);
		let_in_count += check(&rig) == 0;
		for (const char *at = rig.reason; *at != '\0'; at++)
			wrong_count += *at < 0x20 || *at > 0x7e;
	}
	CU_ASSERT_EQUAL(wrong_count, 0);
	CU_ASSERT_TRUE(let_in_count >= 10000); /* a third has no fault */
	rig_close(&rig);
}

static void what_libjwt_cannot_look_at_is_not_let_in(void)
{
	struct rig rig;

	rig_open(&rig);
	good_token_make(&rig, "hs");
	for (int i = 0; i < 2; i++) {
		fault_set("jwt_decode", i == 0 ? ENOMEM : 0, 0, 1);
		CU_ASSERT_EQUAL(check(&rig), -ENOMEM);
		CU_ASSERT_STRING_EQUAL(rig.reason, "not enough memory to look at it");
	}
	fault_clear();
	CU_ASSERT_EQUAL(check(&rig), 0);
	rig_close(&rig);
}

static void openssl_has_no_error_left_for_tls_to_find(void)
{
	struct rig rig;

	rig_open(&rig);
	for (size_t i = 0; i < 3; i++) {
		good_token_make(&rig, kids[i]);
		strcpy(strrchr(rig.text, '.') + 1, "AAAA");
		CU_ASSERT_EQUAL(check(&rig), -EACCES);
		CU_ASSERT_EQUAL(ERR_peek_error(), 0);
	}
	rig_close(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"a good token of each algorithm lets in", a_good_token_of_each_algorithm_lets_in},
	    {"without a signature nobody gets in", without_a_signature_nobody_gets_in},
	    {"a public key is no secret", a_public_key_is_no_secret},
	    {"a token has no say in the algorithm", a_token_has_no_say_in_the_algorithm},
	    {"the signature has to be by the key that it names",
	     the_signature_has_to_be_by_the_key_that_it_names},
	    {"a signature is whole, and written in one way",
	     a_signature_is_whole_and_written_in_one_way},
	    {"every flipped bit is noticed", every_flipped_bit_is_noticed},
	    {"the other signature of an ES256 token is no way around revocation",
	     the_other_signature_of_an_es256_token_is_no_way_around_revocation},
	    {"ES256 takes no signature out of range or in DER",
	     es256_takes_no_signature_out_of_range_or_in_der},
	    {"what is no token is refused", what_is_no_token_is_refused},
	    {"a token may have 8192 bytes", a_token_may_have_8192_bytes},
	    {"random bytes and random cuts never get in",
	     random_bytes_and_random_cuts_never_get_in},
	    {"random JSON that is signed is judged without a crash",
	     random_json_that_is_signed_is_judged_without_a_crash},
	    {"what libjwt cannot look at is not let in", what_libjwt_cannot_look_at_is_not_let_in},
	    {"OpenSSL has no error left for TLS to find",
	     openssl_has_no_error_left_for_tls_to_find},
	};
	int r;

	made_keys_make();
	r = UNIT_RUN("tokens", cases);
	made_keys_free();
	return r;
}
