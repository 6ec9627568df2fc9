/* SPDX-License-Identifier: Apache-2.0 */
#include "control/pem.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#define NO_MEMORY "not enough memory to read it"

int pem_no_memory(void)
{
	return ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE;
}

static int signs_for(X509 *certificate, EVP_PKEY *key)
{
	static const unsigned char text[] = "whose key is this?";
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char signature[1024]; /* of RSA with 8192 bits; nothing is longer */
	size_t length = sizeof(signature);
	int ok =
	    context != NULL && EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
	    EVP_DigestSign(context, signature, &length, text, sizeof(text)) == 1 &&
	    EVP_MD_CTX_reset(context) == 1 &&
	    EVP_DigestVerifyInit(context, NULL, NULL, NULL, X509_get0_pubkey(certificate)) == 1 &&
	    EVP_DigestVerify(context, signature, length, text, sizeof(text)) == 1;

	EVP_MD_CTX_free(context);
	return ok;
}

int pem_fits(X509 *certificate, EVP_PKEY *key)
{
	int r = 0;

	ERR_clear_error();
	if (X509_check_private_key(certificate, key) != 1 || !signs_for(certificate, key))
		r = pem_no_memory() ? -ENOMEM : -EINVAL;
	ERR_clear_error();
	return r;
}

/* Nobody sits there who could type one in. */
static int no_passphrase(char *ret_passphrase, int bytes, int writing, void *context)
{
	int *asked = context;

	*asked = 1;
	return -1;
}

static BIO *bio_of(const char *text, size_t length)
{
	return length > INT_MAX ? NULL : BIO_new_mem_buf(text, (int)length);
}

int pem_key(EVP_PKEY **ret_key, const char *text, size_t length, const char **ret_refusal)
{
	BIO *bio = bio_of(text, length);
	EVP_PKEY *key = NULL;
	int asked = 0, r = 0;

	if (bio != NULL)
		key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &asked);
	if (key != NULL) {
		*ret_key = key;
	} else if (asked) {
		r = -EINVAL;
		*ret_refusal = "it needs a passphrase: take it off with `openssl pkey`";
	} else if (bio == NULL || pem_no_memory()) {
		r = -ENOMEM;
		*ret_refusal = NO_MEMORY;
	} else {
		r = -EINVAL;
		*ret_refusal = "no private key in PEM, or a damaged one: put one there";
	}
	BIO_free(bio);
	ERR_clear_error();
	return r;
}

static void *read_certificate(BIO *bio)
{
	return PEM_read_bio_X509(bio, NULL, NULL, NULL);
}

static void *read_list(BIO *bio)
{
	return PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL);
}

/* -EINVAL: something is damaged. */
static int read_all(OPENSSL_STACK *stack, void *(*read_next)(BIO *), void (*free_one)(void *),
                    const char *text, size_t length)
{
	BIO *bio = bio_of(text, length);
	void *one;
	int r = -ENOMEM;

	if (stack == NULL || bio == NULL)
		goto finish;
	ERR_clear_error();
	while ((one = read_next(bio)) != NULL) {
		if (OPENSSL_sk_push(stack, one) == 0) {
			free_one(one);
			goto finish;
		}
	}
	if (ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
		r = 0;
	else if (!pem_no_memory())
		r = -EINVAL;
finish:
	BIO_free(bio);
	ERR_clear_error();
	return r;
}

static void free_certificate(void *certificate)
{
	X509_free(certificate);
}

static void free_list(void *list)
{
	X509_CRL_free(list);
}

int pem_certificates(STACK_OF(X509) * *ret_certificates, const char *text, size_t length,
                     const char **ret_refusal)
{
	OPENSSL_STACK *stack = OPENSSL_sk_new_null();
	int r = read_all(stack, read_certificate, free_certificate, text, length);

	if (r == -ENOMEM) {
		*ret_refusal = NO_MEMORY;
	} else if (r < 0) {
		*ret_refusal = "a certificate in it is damaged: put a good one there";
	} else if (OPENSSL_sk_num(stack) == 0) {
		r = -EINVAL;
		*ret_refusal = "no certificate in PEM in it: put one there (`openssl x509 -inform "
		               "DER` converts)";
	}
	if (r == 0)
		*ret_certificates = (STACK_OF(X509) *)stack;
	else
		OPENSSL_sk_pop_free(stack, free_certificate);
	return r;
}

int pem_lists(STACK_OF(X509_CRL) * *ret_lists, const char *text, size_t length,
              const char **ret_refusal)
{
	OPENSSL_STACK *stack = OPENSSL_sk_new_null();
	int r = read_all(stack, read_list, free_list, text, length);

	if (r == -ENOMEM) {
		*ret_refusal = NO_MEMORY;
	} else if (r < 0) {
		*ret_refusal = "a list in it is damaged: put a good one there";
	} else if (OPENSSL_sk_num(stack) == 0) {
		r = -EINVAL;
		*ret_refusal = "no CRL in PEM in it: put one there (`openssl crl -inform DER` "
		               "converts)";
	}
	if (r == 0)
		*ret_lists = (STACK_OF(X509_CRL) *)stack;
	else
		OPENSSL_sk_pop_free(stack, free_list);
	return r;
}
