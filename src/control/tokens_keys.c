/* SPDX-License-Identifier: Apache-2.0 */
/* The keys that tokens are checked with. */
#include "control/tokens_internal.h"

#include "control/printable.h"
#include "control/private_file.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX   (64 * 1024)
#define SECRET_BYTES_MIN 32 /* RFC 7518 3.2: no less than what the hash has */
#define RSA_BITS_MIN     2048
#define HASH_BYTES       32

/* Without the end of its line, when it is text. */
static size_t secret_length(const char *text, size_t length)
{
	size_t end = length;

	if (end > 0 && text[end - 1] == '\n')
		end--;
	if (end > 0 && end < length && text[end - 1] == '\r')
		end--;
	for (size_t i = 0; i < end; i++)
		if (text[i] <= ' ' || text[i] >= 0x7f)
			return length;
	return end;
}

/* Takes the text over in any case. */
static int secret_take(struct held_key *key, char *text, size_t length, struct faults *faults)
{
	key->material = text;
	key->material_bytes = secret_length(text, length);
	key->bits = (uint32_t)key->material_bytes * 8;
	if (key->material_bytes < SECRET_BYTES_MIN) {
		faults_add(faults, 0, "",
		           "a secret of %zu bytes, and HS256 needs %d: make one with `openssl rand "
		           "-hex 32`",
		           key->material_bytes, SECRET_BYTES_MIN);
		return -EINVAL;
	}
	if (memmem(text, length, "-----BEGIN ", 11) != NULL) {
		faults_add(faults, 0, "",
		           "a key or certificate, and HS256 needs a secret: check the algorithm, "
		           "or the file");
		return -EINVAL;
	}
	return 0;
}

struct pem {
	char *label;
	char *header; /* of one that is encrypted, which no public key is */
	uint8_t *der;
	long length;
};

/* False: there is no further one. */
static bool pem_read(struct pem *ret_pem, BIO *input)
{
	return PEM_read_bio(input, &ret_pem->label, &ret_pem->header, &ret_pem->der,
	                    &ret_pem->length) == 1;
}

static void pem_release(struct pem *pem)
{
	OPENSSL_free(pem->label);
	OPENSSL_free(pem->header);
	OPENSSL_clear_free(pem->der, (size_t)pem->length); /* somebody may have put a private key */
}

/* NULL, which is then a fault, too. */
static EVP_PKEY *public_key_parse(const struct pem *pem, struct faults *faults)
{
	const uint8_t *at = pem->der;
	EVP_PKEY *public_key = NULL;
	char quoted[FAULTS_QUOTE_BYTES];

	faults_quote(quoted, pem->label);
	if (strcmp(pem->label, PEM_STRING_PUBLIC) == 0) {
		public_key = d2i_PUBKEY(NULL, &at, pem->length);
	} else if (strcmp(pem->label, PEM_STRING_X509) == 0) {
		X509 *certificate = d2i_X509(NULL, &at, pem->length);

		if (certificate != NULL)
			public_key = X509_get_pubkey(certificate);
		X509_free(certificate);
	} else {
		faults_add(faults, 0, "",
		           "%s: give a PUBLIC KEY (`openssl pkey -pubout`) or a CERTIFICATE",
		           quoted);
		return NULL;
	}
	if (public_key == NULL)
		faults_add(faults, 0, "", "a broken %s: copy it anew", quoted);
	return public_key;
}

/* The one public key in the text, or NULL, which is then a fault, too. */
static EVP_PKEY *public_key_find(const char *text, size_t length, struct faults *faults)
{
	BIO *input = BIO_new_mem_buf(text, (int)length);
	struct pem pem = {0}, other = {0};
	EVP_PKEY *public_key = NULL;

	if (input == NULL || !pem_read(&pem, input))
		faults_add(faults, 0, "", "no PEM: give a public key or a certificate");
	else if (pem_read(&other, input))
		faults_add(faults, 0, "", "more than one key or certificate: leave one of them");
	else
		public_key = public_key_parse(&pem, faults);
	pem_release(&pem);
	pem_release(&other);
	BIO_free(input);
	return public_key;
}

/* Why that algorithm cannot be done with it, or NULL. */
static const char *refusal(EVP_PKEY *public_key, enum token_algorithm algorithm)
{
	EVP_PKEY_CTX *context;
	char curve[32] = "";
	bool is_sound;

	if (algorithm == TOKEN_RS256) {
		if (!EVP_PKEY_is_a(public_key, "RSA"))
			return "not an RSA key, and RS256 needs one: check the algorithm, or the "
			       "file";
		if (EVP_PKEY_get_bits(public_key) < RSA_BITS_MIN)
			return "an RSA key of less than 2048 bits: make a longer one";
	} else {
		if (!EVP_PKEY_is_a(public_key, "EC") ||
		    EVP_PKEY_get_group_name(public_key, curve, sizeof(curve), NULL) != 1 ||
		    strcmp(curve, "prime256v1") != 0)
			return "not an EC key on the curve P-256, and ES256 needs one: check the "
			       "algorithm, or the file";
	}
	context = EVP_PKEY_CTX_new_from_pkey(NULL, public_key, NULL);
	is_sound = context != NULL && EVP_PKEY_public_check(context) == 1;
	EVP_PKEY_CTX_free(context);
	return is_sound ? NULL : "a key that is mathematically broken: make a new one";
}

/* False: no memory. */
static bool fingerprint_write(char ret_text[TOKENS_FINGERPRINT_BYTES], EVP_PKEY *public_key)
{
	uint8_t *der = NULL, hash[HASH_BYTES];
	int length = i2d_PUBKEY(public_key, &der);
	bool good =
	    length > 0 && EVP_Digest(der, (size_t)length, hash, NULL, EVP_sha256(), NULL) == 1;

	for (size_t i = 0; i < HASH_BYTES && good; i++)
		snprintf(ret_text + 3 * i, 4, "%02X%s", hash[i], i + 1 < HASH_BYTES ? ":" : "");
	OPENSSL_free(der);
	return good;
}

/* As PEM. False: no memory. */
static bool material_write(struct held_key *key, EVP_PKEY *public_key)
{
	BIO *output = BIO_new(BIO_s_mem());
	char *text;
	long length;

	if (output != NULL && PEM_write_bio_PUBKEY(output, public_key) == 1) {
		length = BIO_get_mem_data(output, &text);
		key->material = strndup(text, (size_t)length);
		key->material_bytes = (size_t)length;
	}
	BIO_free(output);
	return key->material != NULL;
}

static int public_key_take(struct held_key *key, const char *text, size_t length,
                           struct faults *faults)
{
	EVP_PKEY *public_key = public_key_find(text, length, faults);
	const char *reason;
	int r = -EINVAL;

	if (public_key == NULL)
		goto finish;
	reason = refusal(public_key, key->algorithm);
	if (reason != NULL) {
		faults_add(faults, 0, "", "%s", reason);
		goto finish;
	}
	key->bits = (uint32_t)EVP_PKEY_get_bits(public_key);
	if (!fingerprint_write(key->fingerprint, public_key) || !material_write(key, public_key)) {
		faults_add(faults, 0, "", "not enough memory: try again");
		r = -ENOMEM;
		goto finish;
	}
	r = 0;
finish:
	EVP_PKEY_free(public_key);
	ERR_clear_error();
	return r;
}

int held_key_read(struct held_key *key, const struct token_key *wanted, struct faults *faults)
{
	bool is_secret = wanted->algorithm == TOKEN_HS256;
	size_t length;
	char *text;
	int r;

	faults->file = wanted->path;
	if (!printable(wanted->id, TOKENS_KEY_ID_BYTES_MAX)) {
		faults_add(faults, 0, "",
		           "the id of this key is not 1 to %d printable bytes: "
		           "give it another",
		           TOKENS_KEY_ID_BYTES_MAX);
		return -EINVAL;
	}
	r = private_file_read(&text, &length, wanted->path, FILE_BYTES_MAX, is_secret, faults);
	if (r == -ENOENT)
		faults_add(faults, 0, "", "there is no such file: check the path");
	if (r < 0)
		return r;
	key->algorithm = wanted->algorithm;
	key->id = strdup(wanted->id);
	if (key->id == NULL) {
		faults_add(faults, 0, "", "not enough memory: try again");
		r = -ENOMEM;
	} else if (is_secret) {
		return secret_take(key, text, length, faults);
	} else {
		r = public_key_take(key, text, length, faults);
	}
	private_file_release(text, length);
	return r;
}

void held_key_release(struct held_key *key)
{
	free(key->id);
	private_file_release(key->material, key->material_bytes);
}
