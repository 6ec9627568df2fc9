/* SPDX-License-Identifier: Apache-2.0 */
#include "control/tls_internal.h"

#include "base/bytes.h"
#include "config/file.h"
#include "control/asn1_time.h"
#include "control/pem.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define FILE_BYTES_MAX (1024 * 1024)
#define CRL_BYTES_MAX  (16 * 1024 * 1024)

#define CIPHERS_1_3 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define CIPHERS_1_2                                                                                \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                               \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                               \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define GROUPS         "X25519:P-256:P-384"
#define SECURITY_LEVEL 2 /* 112 bits: RSA of 2048, no SHA-1 */

/* What a client's certificate may cost before it is known to be good. */
#define CHAIN_LENGTH_MAX 5
#define CHAIN_BYTES_MAX  (32 * 1024)

/* One reading of all files. */
struct reading {
	const struct tls_options *options;
	struct faults *faults;
	struct tls_material *material;
	EVP_MD_CTX *sum;
	STACK_OF(X509) * authorities; /* that may have signed clients' certificates */
	int r;                        /* of the last fault; no memory is worse than anything else */
};

const char *tls_file_path(const struct tls_options *options, enum tls_file file)
{
	switch (file) {
	case TLS_FILE_CERTIFICATE: return options->certificate_path;
	case TLS_FILE_KEY: return options->key_path;
	case TLS_FILE_CLIENT_CA: return options->client_ca_path;
	case TLS_FILE_CRL: return options->client_ca_path == NULL ? NULL : options->crl_path;
	default:
		return options->client_ca_path == NULL || options->rule_count > 0
		           ? NULL
		           : options->own_ca_path;
	}
}

static struct tls_version version_of(const char *path)
{
	struct stat status;

	if (path == NULL)
		return (struct tls_version){.error_number = ENOENT};
	if (stat(path, &status) < 0)
		return (struct tls_version){.error_number = errno};
	return (struct tls_version){
	    .device = status.st_dev,
	    .inode = status.st_ino,
	    .bytes = status.st_size,
	    .modified = status.st_mtim,
	    .changed = status.st_ctim,
	};
}

void tls_versions(struct tls_version ret_versions[TLS_FILE_COUNT],
                  const struct tls_options *options)
{
	for (int file = 0; file < TLS_FILE_COUNT; file++)
		ret_versions[file] = version_of(tls_file_path(options, (enum tls_file)file));
}

static bool time_equal(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool tls_version_equal(const struct tls_version *a, const struct tls_version *b)
{
	return a->error_number == b->error_number && a->device == b->device &&
	       a->inode == b->inode && a->bytes == b->bytes &&
	       time_equal(&a->modified, &b->modified) && time_equal(&a->changed, &b->changed);
}

static void note(struct reading *reading, int r)
{
	if (reading->r != -ENOMEM)
		reading->r = r;
}

/* Returns false. */
static bool refuse(struct reading *reading, int r, enum tls_file file, const char *reason)
{
	reading->faults->file = tls_file_path(reading->options, file);
	faults_add(reading->faults, 0, "", "%s", reason);
	note(reading, r);
	return false;
}

static bool refuse_openssl(struct reading *reading, enum tls_file file, const char *what_to_do)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	char text[256];

	snprintf(text, sizeof(text), "%s: %s", reason == NULL ? "OpenSSL refuses it" : reason,
	         what_to_do);
	refuse(reading, pem_no_memory() ? -ENOMEM : -EINVAL, file, text);
	ERR_clear_error();
	return false;
}

/* The text is the caller's to wipe and to free. */
static bool read_text(struct reading *reading, enum tls_file file, char **ret_text,
                      size_t *ret_length)
{
	const char *path = tls_file_path(reading->options, file);
	const size_t bytes_max = file == TLS_FILE_CRL ? CRL_BYTES_MAX : FILE_BYTES_MAX;
	uint64_t frame[2] = {file};
	int r;

	reading->faults->file = path;
	r = file_read(ret_text, ret_length, path, bytes_max, reading->faults);
	if (r < 0) {
		note(reading, r);
		return false;
	}
	frame[1] = *ret_length;
	if (EVP_DigestUpdate(reading->sum, frame, sizeof(frame)) == 1 &&
	    EVP_DigestUpdate(reading->sum, *ret_text, *ret_length) == 1)
		return true;
	OPENSSL_cleanse(*ret_text, *ret_length);
	free(*ret_text);
	return refuse_openssl(reading, file, "try again");
}

static bool read_certificates(struct reading *reading, enum tls_file file,
                              STACK_OF(X509) * *ret_certificates)
{
	const char *refusal;
	char *text;
	size_t length;
	int r;

	if (!read_text(reading, file, &text, &length))
		return false;
	r = pem_certificates(ret_certificates, text, length, &refusal);
	free(text);
	return r == 0 || refuse(reading, r, file, refusal);
}

static bool read_key(struct reading *reading, EVP_PKEY **ret_key)
{
	const char *refusal;
	char *text;
	size_t length;
	int r;

	if (!read_text(reading, TLS_FILE_KEY, &text, &length))
		return false;
	r = pem_key(ret_key, text, length, &refusal);
	OPENSSL_cleanse(text, length);
	free(text);
	return r == 0 || refuse(reading, r, TLS_FILE_KEY, refusal);
}

/* Lowers *expires_s to the time given, if that is earlier. */
static bool note_expiry(struct reading *reading, enum tls_file file, const ASN1_TIME *time,
                        uint64_t *expires_s)
{
	uint64_t time_s;

	if (asn1_time_to_unix(&time_s, time) < 0)
		return refuse(reading, -EINVAL, file,
		              "a time in it is none: put another file there");
	if (*expires_s == 0 || time_s < *expires_s)
		*expires_s = time_s == 0 ? 1 : time_s; /* 0 is "none" */
	return true;
}

static bool note_fingerprint(struct reading *reading, const X509 *certificate)
{
	char *at = reading->material->lifetimes.certificate_fingerprint;
	unsigned char digest[SHA256_DIGEST_LENGTH];

	_Static_assert(sizeof(reading->material->lifetimes.certificate_fingerprint) >=
	                   3 * sizeof(digest),
	               "two digits and a colon or NUL each");
	if (X509_digest(certificate, EVP_sha256(), digest, NULL) != 1)
		return refuse_openssl(reading, TLS_FILE_CERTIFICATE, "put another file there");
	for (size_t i = 0; i < sizeof(digest); i++)
		at += snprintf(at, 4, i == 0 ? "%02X" : ":%02X", digest[i]);
	return true;
}

static bool check_chain(struct reading *reading, STACK_OF(X509) * chain)
{
	X509 *first = sk_X509_value(chain, 0);
	char text[160];

	if (X509_check_purpose(first, X509_PURPOSE_SSL_SERVER, 0) != 1)
		return refuse(reading, -EINVAL, TLS_FILE_CERTIFICATE,
		              "the first certificate in it is no server's: put the server's there, "
		              "before those of CAs");
	for (int i = 1; i < sk_X509_num(chain); i++) {
		X509 *certificate = sk_X509_value(chain, i);

		if (X509_check_issued(certificate, sk_X509_value(chain, i - 1)) == X509_V_OK)
			continue;
		snprintf(
		    text, sizeof(text),
		    "certificate %d in it is not of the CA that has signed the one before: put "
		    "them in order, the server's first",
		    i + 1);
		return refuse(reading, -EINVAL, TLS_FILE_CERTIFICATE, text);
	}
	return note_fingerprint(reading, first) &&
	       note_expiry(reading, TLS_FILE_CERTIFICATE, X509_get0_notAfter(first),
	                   &reading->material->lifetimes.certificate_expires_s);
}

/* The server's own certificate and key. */
static bool read_server(struct reading *reading)
{
	SSL_CTX *context = reading->material->context;
	STACK_OF(X509) *chain = NULL;
	X509 *certificate = NULL;
	EVP_PKEY *key = NULL;
	bool ok =
	    read_certificates(reading, TLS_FILE_CERTIFICATE, &chain) && check_chain(reading, chain);
	int r;

	ok = read_key(reading, &key) && ok;
	if (ok) {
		certificate = sk_X509_shift(chain);
		r = pem_fits(certificate, key);
		ok = r == 0 || refuse(reading, r, TLS_FILE_KEY,
		                      r == -ENOMEM ? "not enough memory to use it"
		                                   : "not the key of the certificate: put the two "
		                                     "there that belong together");
	}
	if (ok)
		ok = SSL_CTX_use_cert_and_key(context, certificate, key, chain, 1) == 1 ||
		     refuse_openssl(reading, TLS_FILE_CERTIFICATE,
		                    "use an EC P-256 key, or RSA of 2048 bits, and SHA-256");
	ERR_clear_error();
	X509_free(certificate);
	sk_X509_pop_free(chain, X509_free);
	EVP_PKEY_free(key);
	return ok;
}

/* Refuses one of the client CAs, with its name. */
static bool refuse_authority(struct reading *reading, enum tls_file file, const char *before,
                             const X509 *authority, const char *after)
{
	char name[IDENTITY_NAME_BYTES], quoted[FAULTS_QUOTE_BYTES], text[256];

	tls_format_name(name, X509_get_subject_name(authority));
	faults_quote(quoted, name);
	snprintf(text, sizeof(text), "%s\"%s\"%s", before, quoted, after);
	return refuse(reading, -EINVAL, file, text);
}

static bool has_issuer(STACK_OF(X509) * authorities, X509 *certificate)
{
	for (int i = 0; i < sk_X509_num(authorities); i++)
		if (X509_check_issued(sk_X509_value(authorities, i), certificate) == X509_V_OK)
			return true;
	return false;
}

/* Those who may have signed a client's certificate. */
static bool read_authorities(struct reading *reading)
{
	SSL_CTX *context = reading->material->context;
	X509_STORE *store = SSL_CTX_get_cert_store(context);
	STACK_OF(X509) * authorities;
	bool ok = true;

	if (!read_certificates(reading, TLS_FILE_CLIENT_CA, &reading->authorities))
		return false;
	authorities = reading->authorities;
	for (int i = 0; i < sk_X509_num(authorities); i++) {
		X509 *authority = sk_X509_value(authorities, i);

		if (X509_check_ca(authority) == 0)
			ok = refuse_authority(reading, TLS_FILE_CLIENT_CA, "", authority,
			                      " is no CA: leave only CAs in it");
		else if (!has_issuer(authorities, authority))
			ok = refuse_authority(reading, TLS_FILE_CLIENT_CA, "who signed ", authority,
			                      " is not in it: add all CAs up to the root");
		else if (!note_expiry(reading, TLS_FILE_CLIENT_CA, X509_get0_notAfter(authority),
		                      &reading->material->lifetimes.client_ca_expires_s))
			ok = false;
		else if (X509_STORE_add_cert(store, authority) != 1 ||
		         SSL_CTX_add_client_CA(context, authority) != 1)
			ok = refuse_openssl(reading, TLS_FILE_CLIENT_CA, "put another file there");
	}
	return ok;
}

static bool has_list(STACK_OF(X509_CRL) * lists, const X509 *authority)
{
	for (int i = 0; i < sk_X509_CRL_num(lists); i++) {
		X509_CRL *list = sk_X509_CRL_value(lists, i);

		if (X509_NAME_cmp(X509_CRL_get_issuer(list), X509_get_subject_name(authority)) ==
		        0 &&
		    X509_CRL_verify(list, X509_get0_pubkey(authority)) == 1)
			return true;
	}
	return false;
}

/* Each CA must have one: else a forgotten list would let in who is on it, or a CA's clients could
 * not get in and nobody would know why. */
static bool use_lists(struct reading *reading, STACK_OF(X509_CRL) * lists)
{
	X509_STORE *store = SSL_CTX_get_cert_store(reading->material->context);
	bool ok = true;

	for (int i = 0; i < sk_X509_CRL_num(lists); i++) {
		X509_CRL *list = sk_X509_CRL_value(lists, i);
		const ASN1_TIME *next = X509_CRL_get0_nextUpdate(list);

		if (next != NULL && !note_expiry(reading, TLS_FILE_CRL, next,
		                                 &reading->material->lifetimes.crl_expires_s))
			return false;
		if (X509_STORE_add_crl(store, list) != 1)
			return refuse_openssl(reading, TLS_FILE_CRL, "put another file there");
	}
	for (int i = 0; i < sk_X509_num(reading->authorities); i++) {
		const X509 *authority = sk_X509_value(reading->authorities, i);

		if (!has_list(lists, authority))
			ok = refuse_authority(reading, TLS_FILE_CRL, "no list in it is signed by ",
			                      authority, ": add the CRL of each client CA");
	}
	ERR_clear_error();
	X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	return ok;
}

static bool read_lists(struct reading *reading)
{
	STACK_OF(X509_CRL) *lists = NULL;
	const char *refusal;
	char *text;
	size_t length;
	bool ok;
	int r;

	if (!read_text(reading, TLS_FILE_CRL, &text, &length))
		return false;
	r = pem_lists(&lists, text, length, &refusal);
	free(text);
	if (r < 0)
		return refuse(reading, r, TLS_FILE_CRL, refusal);
	ok = use_lists(reading, lists);
	reading->material->has_crl = true;
	sk_X509_CRL_pop_free(lists, X509_CRL_free);
	return ok;
}

static bool read_own_ca(struct reading *reading)
{
	STACK_OF(X509) *certificates = NULL;

	if (!read_certificates(reading, TLS_FILE_OWN_CA, &certificates))
		return false;
	reading->material->own_ca = sk_X509_shift(certificates);
	sk_X509_pop_free(certificates, X509_free);
	return true;
}

static bool make_context(struct tls_material *material)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	material->context = context;
	if (context == NULL)
		return false;
	SSL_CTX_set_security_level(context, SECURITY_LEVEL);
	SSL_CTX_set_options(context,
	                    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
	/* A session that is resumed has no chain of certificates, and nobody has looked whether
	 * its certificate is still good; a whole handshake costs less than such doubts. */
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	/* what is known of clients' CAs must not get into the chain that we show */
	SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_verify_depth(context, CHAIN_LENGTH_MAX);
	SSL_CTX_set_max_cert_list(context, CHAIN_BYTES_MAX);
	return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_num_tickets(context, 0) == 1 &&
	       SSL_CTX_set_cipher_list(context, CIPHERS_1_2) == 1 &&
	       SSL_CTX_set_ciphersuites(context, CIPHERS_1_3) == 1 &&
	       SSL_CTX_set1_groups_list(context, GROUPS) == 1;
}

static bool read_all(struct reading *reading, bool need_crl)
{
	const struct tls_options *options = reading->options;
	struct tls_material *material = reading->material;
	bool ok = read_server(reading), clients;

	if (options->client_ca_path == NULL)
		return ok;
	SSL_CTX_set_verify(material->context, SSL_VERIFY_PEER, NULL);
	clients = read_authorities(reading);
	if (version_of(tls_file_path(options, TLS_FILE_CRL)).error_number != ENOENT)
		ok = clients && read_lists(reading) && ok;
	else if (need_crl)
		ok = refuse(reading, -ENOENT, TLS_FILE_CRL,
		            "the list of the revoked is gone: put it back, or an empty one");
	if (version_of(tls_file_path(options, TLS_FILE_OWN_CA)).error_number != ENOENT)
		ok = read_own_ca(reading) && ok;
	return clients && ok;
}

int tls_material_read(struct tls_material *ret_material, const struct tls_options *options,
                      bool need_crl, struct faults *faults)
{
	struct tls_material material = {0};
	struct reading reading = {
	    .options = options,
	    .faults = faults,
	    .material = &material,
	    .sum = EVP_MD_CTX_new(),
	};
	bool ok = false;

	if (reading.sum == NULL || EVP_DigestInit_ex(reading.sum, EVP_sha256(), NULL) != 1 ||
	    !make_context(&material))
		refuse(&reading, -ENOMEM, TLS_FILE_CERTIFICATE, "not enough memory to read it");
	else
		ok = read_all(&reading, need_crl);
	if (ok && EVP_DigestFinal_ex(reading.sum, material.sum, NULL) != 1)
		ok =
		    refuse(&reading, -ENOMEM, TLS_FILE_CERTIFICATE, "not enough memory to read it");
	ERR_clear_error();
	sk_X509_pop_free(reading.authorities, X509_free);
	EVP_MD_CTX_free(reading.sum);
	if (ok)
		*ret_material = material;
	else
		tls_material_free(&material);
	return ok ? 0 : reading.r;
}

void tls_material_free(struct tls_material *material)
{
	SSL_CTX_free(material->context);
	X509_free(material->own_ca);
	*material = (struct tls_material){0};
}
