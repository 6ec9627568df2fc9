/* SPDX-License-Identifier: Apache-2.0 */
#include "tokens_rig.h"

#include "memory_faults.h"

#include <openssl/core_names.h>
#include <openssl/x509.h>

/* The key files are wrong in one way: it must be one line, of that file. */
static bool open_refused(struct rig *rig, const char *path, const char *reason)
{
	char expected[512];
	bool is_so;
	int r = tokens_read(rig);

	snprintf(expected, sizeof(expected), "%s: %s", path, reason);
	is_so = r < 0 && strcmp(rig->error, expected) == 0 && rig->tokens == NULL;
	if (!is_so)
		printf("\nwant %s\ngot  %d %s\n", expected, r, rig->error);
	return is_so;
}

static bool key_refused(struct rig *rig, EVP_PKEY *key, enum token_algorithm algorithm,
                        const char *reason)
{
	bool is_so;

	CU_ASSERT_PTR_NOT_NULL_FATAL(key);
	public_key_put(rig->rsa_path, key);
	rig->keys[0].algorithm = algorithm;
	is_so = open_refused(rig, rig->rsa_path, reason);
	EVP_PKEY_free(key);
	return is_so;
}

static void a_key_is_of_its_algorithms_kind(void)
{
	static const char no_rsa[] =
	    "not an RSA key, and RS256 needs one: check the algorithm, or the file";
	static const char no_ec[] = "not an EC key on the curve P-256, and ES256 needs one: check "
	                            "the algorithm, or the file";
	struct rig rig;

	rig_prepare(&rig);
	CU_ASSERT_TRUE(key_refused(&rig, EVP_EC_gen("P-256"), TOKEN_RS256, no_rsa));
	CU_ASSERT_TRUE(
	    key_refused(&rig, EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), TOKEN_RS256, no_rsa));
	CU_ASSERT_TRUE(key_refused(&rig, EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024),
	                           TOKEN_RS256,
	                           "an RSA key of less than 2048 bits: make a longer one"));
	CU_ASSERT_TRUE(key_refused(&rig, EVP_EC_gen("P-384"), TOKEN_ES256, no_ec));
	CU_ASSERT_TRUE(key_refused(&rig, EVP_EC_gen("secp256k1"), TOKEN_ES256, no_ec));
	CU_ASSERT_TRUE(
	    key_refused(&rig, EVP_PKEY_Q_keygen(NULL, NULL, "X25519"), TOKEN_ES256, no_ec));
	CU_ASSERT_TRUE(key_refused(&rig, EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048),
	                           TOKEN_ES256, no_ec));
	rig_close(&rig);
}

static void a_key_for_rsa_pss_is_none_for_rs256(void)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
	EVP_PKEY *key = NULL;
	struct rig rig;

	rig_prepare(&rig);
	EVP_PKEY_keygen_init(context);
	EVP_PKEY_generate(context, &key);
	CU_ASSERT_TRUE(
	    key_refused(&rig, key, TOKEN_RS256,
	                "not an RSA key, and RS256 needs one: check the algorithm, or the file"));
	EVP_PKEY_CTX_free(context);
	rig_close(&rig);
}

/* With the exponent 1, any text is its own signature. */
static void an_rsa_key_that_signs_for_everybody_is_refused(void)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	BIGNUM *modulus = NULL;
	OSSL_PARAM parameters[3] = {OSSL_PARAM_END, OSSL_PARAM_END, OSSL_PARAM_END};
	EVP_PKEY *key = NULL;
	unsigned char bytes[256];
	unsigned exponent = 1;
	struct rig rig;

	rig_prepare(&rig);
	EVP_PKEY_get_bn_param(made_keys.rsa, OSSL_PKEY_PARAM_RSA_N, &modulus);
	BN_bn2lebinpad(modulus, bytes, sizeof(bytes));
	parameters[0] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, bytes, sizeof(bytes));
	parameters[1] = OSSL_PARAM_construct_uint(OSSL_PKEY_PARAM_RSA_E, &exponent);
	EVP_PKEY_fromdata_init(context);
	EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters);
	CU_ASSERT_TRUE(key_refused(&rig, key, TOKEN_RS256,
	                           "a key that is mathematically broken: make a new one"));
	BN_free(modulus);
	EVP_PKEY_CTX_free(context);
	rig_close(&rig);
}

static X509 *certificate_make(EVP_PKEY *key)
{
	X509 *certificate = X509_new();

	/* long expired: only its key counts */
	ASN1_TIME_set(X509_getm_notBefore(certificate), 1);
	ASN1_TIME_set(X509_getm_notAfter(certificate), 2);
	X509_set_pubkey(certificate, key);
	CU_ASSERT_NOT_EQUAL(X509_sign(certificate, key, EVP_sha256()), 0);
	return certificate;
}

static void a_certificates_key_is_as_good_as_a_key(void)
{
	X509 *certificates[] = {certificate_make(made_keys.rsa), certificate_make(made_keys.ec)};
	struct rig rig;

	rig_prepare(&rig);
	for (size_t i = 0; i < 2; i++) {
		FILE *file = fopen(rig.keys[i].path, "w");

		fputs("issuer=CN = somebody\n", file); /* as openssl s_client prints it */
		PEM_write_X509(file, certificates[i]);
		fclose(file);
		X509_free(certificates[i]);
	}
	CU_ASSERT_EQUAL_FATAL(tokens_read(&rig), 0);
	for (size_t i = 0; i < 2; i++) {
		good_token_make(&rig, kids[i]);
		CU_ASSERT_EQUAL(check(&rig), 0);
	}
	rig_close(&rig);
}

/* By OpenSSL's command line, as an operator would. */
static void run(const char *format, const char *path)
{
	char command[512];

	snprintf(command, sizeof(command), format, path);
	CU_ASSERT_EQUAL(system(command), 0);
}

static void a_file_has_one_public_key(void)
{
	static const char give[] = ": give a PUBLIC KEY (`openssl pkey -pubout`) or a CERTIFICATE";
	static const struct {
		const char *command, *reason;
	} tries[] = {
	    {"openssl genpkey -quiet -algorithm RSA -out %s", "PRIVATE KEY"},
	    {"openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 | "
	     "openssl pkcs8 -topk8 -passout pass:x -out %s",
	     "ENCRYPTED PRIVATE KEY"},
	    {"openssl ecparam -name prime256v1 -out %s", "EC PARAMETERS"},
	    {"openssl genpkey -quiet -algorithm RSA | openssl rsa -RSAPublicKey_out -out %s "
	     "2>/dev/null",
	     "RSA PUBLIC KEY"},
	};
	struct rig rig;
	char reason[256], *text;
	size_t length;
	FILE *file;

	rig_prepare(&rig);
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		run(tries[i].command, rig.rsa_path);
		chmod(rig.rsa_path, 0600);
		snprintf(reason, sizeof(reason), "%s%s", tries[i].reason, give);
		CU_ASSERT_TRUE(open_refused(&rig, rig.rsa_path, reason));
	}
	file_put(rig.rsa_path, "", 0, 0600);
	CU_ASSERT_TRUE(
	    open_refused(&rig, rig.rsa_path, "no PEM: give a public key or a certificate"));
	public_key_put(rig.rsa_path, made_keys.rsa);
	text = file_get(rig.rsa_path, &length);
	file_put(rig.rsa_path, text, length - 5, 0600);
	CU_ASSERT_TRUE(
	    open_refused(&rig, rig.rsa_path, "no PEM: give a public key or a certificate"));
	memcpy(text + 40, "AAAA", 4);
	file_put(rig.rsa_path, text, length, 0600);
	CU_ASSERT_TRUE(open_refused(&rig, rig.rsa_path, "a broken PUBLIC KEY: copy it anew"));
	free(text);
	file = fopen(rig.rsa_path, "w");
	PEM_write_PUBKEY(file, made_keys.rsa);
	PEM_write_PUBKEY(file, made_keys.rsa);
	fclose(file);
	CU_ASSERT_TRUE(open_refused(&rig, rig.rsa_path,
	                            "more than one key or certificate: leave one of them"));
	CU_ASSERT_EQUAL(ERR_peek_error(), 0);
	rig_close(&rig);
}

static void a_secret_is_long_secret_and_no_key(void)
{
	struct rig rig;
	char *text;

	rig_prepare(&rig);
	file_put(rig.hs_path, SECRET, 31, 0600);
	CU_ASSERT_TRUE(open_refused(&rig, rig.hs_path,
	                            "a secret of 31 bytes, and HS256 needs 32: make one with "
	                            "`openssl rand -hex 32`"));
	text = strdup(SECRET);
	text[31] = '\n';
	file_put(rig.hs_path, text, 32, 0600);
	CU_ASSERT_EQUAL(tokens_read(&rig), -EINVAL);
	free(text);
	file_put(rig.hs_path, "", 0, 0600);
	CU_ASSERT_EQUAL(tokens_read(&rig), -EINVAL);
	file_put(rig.hs_path, SECRET, 32, 0644);
	CU_ASSERT_TRUE(
	    open_refused(&rig, rig.hs_path,
	                 "a secret that others may read: chmod o-rwx, and best make a new one"));
	public_key_put(rig.hs_path, made_keys.rsa);
	chmod(rig.hs_path, 0600);
	CU_ASSERT_TRUE(open_refused(&rig, rig.hs_path,
	                            "a key or certificate, and HS256 needs a secret: check the "
	                            "algorithm, or the file"));
	rig_close(&rig);
}

static void a_secret_of_text_ends_before_its_newline(void)
{
	static const char *const ends[] = {"", "\n", "\r\n"};
	char text[64];
	struct rig rig;

	rig_prepare(&rig);
	good_token_make(&rig, "hs");
	for (size_t i = 0; i < 3; i++) {
		snprintf(text, sizeof(text), "%s%s", SECRET, ends[i]);
		file_put(rig.hs_path, text, strlen(text), 0600);
		CU_ASSERT_EQUAL_FATAL(tokens_read(&rig), 0);
		CU_ASSERT_EQUAL(check(&rig), 0);
	}
	file_put(rig.hs_path, SECRET "\n\n", sizeof(SECRET) + 1, 0600); /* that is no line */
	CU_ASSERT_EQUAL_FATAL(tokens_read(&rig), 0);
	CU_ASSERT_EQUAL(check(&rig), -EACCES);
	rig_close(&rig);
}

static void a_secret_of_bytes_is_taken_as_it_is(void)
{
	static const char secret[33] = "\0\xff\x80 789abcdef0123456789abcdef0\r\n";
	uint8_t signature[512];
	struct rig rig;
	size_t length;
	char *end;

	rig_prepare(&rig);
	file_put(rig.hs_path, secret, 32, 0600);
	CU_ASSERT_EQUAL_FATAL(tokens_read(&rig), 0);
	end = unsigned_make(&rig, HEADER("HS256", "hs"), good_claims(&rig));
	length = sign_by_secret(secret, 32, rig.text, signature);
	*end++ = '.';
	base64url_write(end, signature, length);
	CU_ASSERT_EQUAL(check(&rig), 0);
	rig_close(&rig);
}

static void what_others_could_change_is_no_key(void)
{
	struct rig rig;

	rig_prepare(&rig);
	chmod(rig.ec_path, 0664);
	CU_ASSERT_TRUE(open_refused(&rig, rig.ec_path, "may be written by others: chmod go-w"));
	chmod(rig.ec_path, 0644);
	CU_ASSERT_EQUAL(tokens_read(&rig), 0);
	unlink(rig.ec_path);
	CU_ASSERT_TRUE(open_refused(&rig, rig.ec_path, "there is no such file: check the path"));
	rig_close(&rig);
}

static void what_is_wrong_with_each_key_is_told(void)
{
	char long_id[TOKENS_KEY_ID_BYTES_MAX + 2], expected[1024];
	struct rig rig;

	rig_prepare(&rig);
	memset(long_id, 'x', sizeof(long_id) - 1);
	long_id[sizeof(long_id) - 1] = '\0';
	rig.keys[0].id = long_id;
	unlink(rig.ec_path);
	file_put(rig.hs_path, "short", 5, 0600);
	file_put(rig.revoked_path, "[]", 2, 0600);
	CU_ASSERT_EQUAL(tokens_read(&rig), -EINVAL);
	snprintf(expected, sizeof(expected),
	         "%s: the id of this key is not 1 to 128 printable bytes: give it another\n"
	         "%s: there is no such file: check the path\n"
	         "%s: a secret of 5 bytes, and HS256 needs 32: make one with `openssl rand -hex "
	         "32`\n"
	         "%s: not {\"version\": 1, \"revoked\": [...]}: put a copy back",
	         rig.rsa_path, rig.ec_path, rig.hs_path, rig.revoked_path);
	CU_ASSERT_STRING_EQUAL(rig.error, expected);
	rig.keys[0].id = long_id + 1;
	CU_ASSERT_EQUAL(tokens_read(&rig), -ENOENT);
	CU_ASSERT_PTR_NULL(strstr(rig.error, "128"));
	rig_close(&rig);
}

static void an_id_is_one_keys(void)
{
	struct rig rig;

	rig_prepare(&rig);
	rig.keys[2].id = "rsa";
	CU_ASSERT_TRUE(open_refused(&rig, rig.hs_path,
	                            "another key has the id \"rsa\", too: give it another"));
	rig.keys[2].id = "";
	CU_ASSERT_TRUE(
	    open_refused(&rig, rig.hs_path,
	                 "the id of this key is not 1 to 128 printable bytes: give it another"));
	rig_close(&rig);
}

static void there_are_one_to_sixteen_keys_and_what_a_token_must_say(void)
{
	char ids[TOKENS_KEY_COUNT_MAX + 1][8];
	struct rig rig;

	rig_prepare(&rig);
	for (uint32_t i = 0; i <= TOKENS_KEY_COUNT_MAX; i++) {
		snprintf(ids[i], sizeof(ids[i]), "%u", i);
		rig.keys[i] = (struct token_key){ids[i], TOKEN_ES256, rig.ec_path};
	}
	rig.options.key_count = TOKENS_KEY_COUNT_MAX;
	CU_ASSERT_EQUAL(tokens_read(&rig), 0);
	token_make(&rig, HEADER("ES256", "15"), good_claims(&rig), made_keys.ec);
	CU_ASSERT_EQUAL(check(&rig), 0);
	rig.options.key_count++;
	CU_ASSERT_TRUE(open_refused(&rig, "tokens", "17 keys: give 1 to 16"));
	rig.options.key_count = 0;
	CU_ASSERT_TRUE(open_refused(&rig, "tokens", "0 keys: give 1 to 16"));
	rig.options.key_count = 1;
	rig.options.audience = "";
	CU_ASSERT_TRUE(open_refused(
	    &rig, "tokens", "issuer, audience or role_claim is empty: say what it must be"));
	rig_close(&rig);
}

static void the_list_shows_keys_and_no_secrets(void)
{
	uint8_t hash[32], *der = NULL;
	char fingerprint[96];
	struct rig rig;
	json_t *list, *expected;
	int length;

	rig_open(&rig);
	length = i2d_PUBKEY(made_keys.ec, &der);
	EVP_Digest(der, (size_t)length, hash, NULL, EVP_sha256(), NULL);
	for (int i = 0; i < 32; i++)
		sprintf(fingerprint + 3 * i, "%02X%s", hash[i], i < 31 ? ":" : "");
	CU_ASSERT_EQUAL(tokens_revoke(rig.tokens, "a", NOW + 60, NOW, rig.error, ERROR_BYTES), 0);
	list = tokens_list(rig.tokens);
	CU_ASSERT_EQUAL(json_array_remove(json_object_get(list, "keys"), 0), 0);
	expected =
	    json_pack("{s:[{s:s,s:s,s:i,s:s},{s:s,s:s,s:i,s:n}],s:[{s:s,s:s,s:s}]}", "keys", "id",
	              "ec", "algorithm", "ES256", "bits", 256, "fingerprint", fingerprint, "id",
	              "hs", "algorithm", "HS256", "bits", 256, "fingerprint", "revoked", "jti", "a",
	              "revoked", "2025-11-27T21:00:00Z", "expires", "2025-11-27T21:01:00Z");
	CU_ASSERT_TRUE(json_equal(list, expected));
	json_decref(list);
	json_decref(expected);
	list = tokens_list(rig.tokens);
	expected = json_array_get(json_object_get(list, "keys"), 0);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(expected, "algorithm")), "RS256");
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(expected, "bits")), 2048);
	CU_ASSERT_EQUAL(json_string_length(json_object_get(expected, "fingerprint")), 95);
	json_decref(list);
	OPENSSL_free(der);
	rig_close(&rig);
}

/* Fails each allocation in turn: nothing may crash or let somebody in that should not be. */
static void without_memory_nobody_gets_in(void)
{
	struct rig rig;
	int r = -1;

	rig_open(&rig);
	for (uint32_t skip = 0; MEMORY_CAN_FAIL && r < 0; skip++) {
		fault_set("memory", ENOMEM, skip, 1);
		r = tokens_read(&rig);
		fault_clear();
		CU_ASSERT_TRUE((r < 0) == (rig.error[0] != '\0' && rig.tokens == NULL));
		ERR_clear_error();
	}
	for (size_t i = 0; i < 3; i++)
		for (int is_good = 0; is_good < 2; is_good++) {
			good_token_make(&rig, kids[i]);
			if (!is_good) /* one without a signature of its own */
				token_make(&rig,
				           i == 0   ? HEADER("RS256", "rsa")
				           : i == 1 ? HEADER("ES256", "ec")
				                    : HEADER("HS256", "hs"),
				           good_claims(&rig), made_keys.other_rsa);
			for (uint32_t skip = 0; MEMORY_CAN_FAIL && skip < 400; skip++) {
				fault_set("memory", ENOMEM, skip, 1);
				r = check(&rig);
				fault_clear();
				CU_ASSERT_TRUE(r < 0 || is_good);
			}
			CU_ASSERT_EQUAL(check(&rig), is_good ? 0 : -EACCES);
		}
	for (uint32_t skip = 0; MEMORY_CAN_FAIL && skip < 100; skip++) {
		fault_set("memory", ENOMEM, skip, 1);
		json_decref(tokens_list(rig.tokens));
		fault_clear();
	}
	rig_close(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"a key is of its algorithm's kind", a_key_is_of_its_algorithms_kind},
	    {"a key for RSA-PSS is none for RS256", a_key_for_rsa_pss_is_none_for_rs256},
	    {"an RSA key that signs for everybody is refused",
	     an_rsa_key_that_signs_for_everybody_is_refused},
	    {"a certificate's key is as good as a key", a_certificates_key_is_as_good_as_a_key},
	    {"a file has one public key", a_file_has_one_public_key},
	    {"a secret is long, secret, and no key", a_secret_is_long_secret_and_no_key},
	    {"a secret of text ends before its newline", a_secret_of_text_ends_before_its_newline},
	    {"a secret of bytes is taken as it is", a_secret_of_bytes_is_taken_as_it_is},
	    {"what others could change is no key", what_others_could_change_is_no_key},
	    {"what is wrong with each key is told", what_is_wrong_with_each_key_is_told},
	    {"an id is one key's", an_id_is_one_keys},
	    {"there are one to sixteen keys, and what a token must say",
	     there_are_one_to_sixteen_keys_and_what_a_token_must_say},
	    {"the list shows keys and no secrets", the_list_shows_keys_and_no_secrets},
	    {"without memory nobody gets in", without_memory_nobody_gets_in},
	};
	int r;

	made_keys_make();
	r = UNIT_RUN("tokens_keys", cases);
	made_keys_free();
	return r;
}
