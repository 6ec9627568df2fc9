/* SPDX-License-Identifier: Apache-2.0 */
#include "control/tls.h"

#include "base/assert.h"
#include "control/tls_internal.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tls {
	struct tls_options options; /* with rules and own_ca_path of its own: */
	struct tls_rule rules[TLS_RULE_COUNT_MAX];
	char *own_ca_path;
	struct tls_material material;                /* owned: what is in force */
	struct tls_version versions[TLS_FILE_COUNT]; /* at the last look */
	/* The next look reads, whatever the versions: what has just changed may have been read
	 * half, and may change twice within one tick of the file system's clock. */
	bool look_again;
	bool failed; /* a change was not good, at failed_s, and is looked at once more */
	uint64_t failed_s;
	bool told; /* it was refused, and is the same still */
};

/* False: no memory. */
static bool copy_options(struct tls *tls, const struct tls_options *options)
{
	tls->options = *options;
	if (options->rule_count > 0)
		memcpy(tls->rules, options->rules, options->rule_count * sizeof(tls->rules[0]));
	tls->options.rules = tls->rules;
	if (options->own_ca_path == NULL)
		return true;
	tls->own_ca_path = strdup(options->own_ca_path);
	tls->options.own_ca_path = tls->own_ca_path;
	return tls->own_ca_path != NULL;
}

int tls_open(struct tls **ret_tls, const struct tls_options *options, char *error,
             size_t error_bytes)
{
	struct tls *tls = calloc(1, sizeof(*tls));
	struct faults faults;
	int r;

	faults_create(&faults, options->certificate_path, error, error_bytes);
	r = tls_rules_check(options, &faults);
	if (r == 0 && (tls == NULL || !copy_options(tls, options))) {
		faults.file = options->certificate_path;
		faults_add(&faults, 0, "", "not enough memory to read it");
		r = -ENOMEM;
	}
	if (r == 0) {
		tls->look_again = true;
		tls_versions(tls->versions, options);
		r = tls_material_read(&tls->material, options, false, &faults);
	}
	if (r < 0) {
		faults_finish(&faults);
		tls_close(tls);
		return r;
	}
	*ret_tls = tls;
	return 0;
}

void tls_close(struct tls *tls)
{
	if (tls == NULL)
		return;
	tls_material_free(&tls->material);
	free(tls->own_ca_path);
	free(tls);
}

/* What is new in the files, and what has come of it. */
static void say_what_changed(const struct tls *tls, const struct tls_material *next, char *text,
                             size_t text_bytes)
{
	const struct tls_material *old = &tls->material;
	bool other = strcmp(next->lifetimes.certificate_fingerprint,
	                    old->lifetimes.certificate_fingerprint) != 0;

	if (memcmp(next->sum, old->sum, sizeof(next->sum)) == 0)
		snprintf(text, text_bytes, "%s: read again, and what belongs to it: nothing is new",
		         tls->options.certificate_path);
	else
		snprintf(text, text_bytes, "%s: read again, and what belongs to it: %s, SHA-256 %s",
		         tls->options.certificate_path,
		         other ? "a new certificate" : "the certificate is the same",
		         next->lifetimes.certificate_fingerprint);
}

/* 0; a negative errno with a fault. */
static int read_next(struct tls *tls, uint64_t now_s, struct tls_material *ret_next,
                     struct faults *faults)
{
	int r = tls_material_read(ret_next, &tls->options, tls->material.has_crl, faults);

	if (r < 0 || ret_next->lifetimes.certificate_expires_s > now_s ||
	    tls->material.lifetimes.certificate_expires_s <= now_s)
		return r;
	tls_material_free(ret_next);
	faults->file = tls->options.certificate_path;
	faults_add(faults, 0, "",
	           "it has expired, and the one before has not: put a newer one there");
	return -EINVAL;
}

static enum tls_look look_failed(struct tls *tls, int r, uint64_t now_s)
{
	if (tls->told) /* what the system refuses is tried on until it does not */
		return TLS_SAME;
	tls->look_again = true;
	if (!tls->failed) {
		tls->failed = true;
		tls->failed_s = now_s;
	}
	if (now_s == tls->failed_s)
		return TLS_SAME;
	tls->failed = false;
	tls->told = true;
	tls->look_again = r != -EINVAL;
	return TLS_REFUSED;
}

enum tls_look tls_look(struct tls *tls, bool now, uint64_t now_s, char *text, size_t text_bytes)
{
	struct tls_version versions[TLS_FILE_COUNT];
	struct tls_material next;
	struct faults faults;
	enum tls_look verdict;
	bool changed = false;
	int r;

	text[0] = '\0';
	tls_versions(versions, &tls->options);
	for (int i = 0; i < TLS_FILE_COUNT; i++)
		if (!tls_version_equal(&versions[i], &tls->versions[i]))
			changed = true;
	if (!now && !changed && !tls->look_again)
		return TLS_SAME;
	/* What is read from here on is at least as young as the versions noted. */
	memcpy(tls->versions, versions, sizeof(versions));
	if (now || changed)
		tls->told = false;
	faults_create(&faults, tls->options.certificate_path, text, text_bytes);
	r = read_next(tls, now_s, &next, &faults);
	faults_finish(&faults);
	if (r < 0) {
		verdict = look_failed(tls, r, now_s);
		if (verdict == TLS_SAME)
			text[0] = '\0';
		return verdict;
	}
	tls->look_again = changed;
	tls->failed = tls->told = false;
	if (!now && memcmp(next.sum, tls->material.sum, sizeof(next.sum)) == 0) {
		tls_material_free(&next);
		return TLS_SAME;
	}
	say_what_changed(tls, &next, text, text_bytes);
	tls_material_free(&tls->material);
	tls->material = next;
	return TLS_READ;
}

SSL *tls_accept(struct tls *tls)
{
	SSL *ssl = SSL_new(tls->material.context);

	if (ssl != NULL)
		SSL_set_accept_state(ssl);
	else
		ERR_clear_error();
	return ssl;
}

/* Whether the chain that was found at the handshake ends in the node's own CA. */
static bool is_of_own_ca(const struct tls *tls, SSL *ssl)
{
	STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
	int count = sk_X509_num(chain); /* -1: there is none */

	return count > 0 && tls->material.own_ca != NULL &&
	       X509_cmp(sk_X509_value(chain, count - 1), tls->material.own_ca) == 0;
}

bool tls_identity(const struct tls *tls, SSL *ssl, struct identity *ret_identity)
{
	X509 *certificate = SSL_get0_peer_certificate(ssl);
	bool shown;

	if (certificate == NULL || SSL_get_verify_result(ssl) != X509_V_OK)
		return false;
	shown = tls_format_name(ret_identity->name, X509_get_subject_name(certificate));
	shown = tls_format_serial(ret_identity->credential_id, certificate) && shown;
	ret_identity->credential = CREDENTIAL_certificate;
	/* whose name the audit log could not tell does nothing that would be in it */
	ret_identity->role =
	    shown ? tls_rules_role(&tls->options, certificate, is_of_own_ca(tls, ssl)) : ROLE_none;
	return true;
}

bool tls_still_good(const struct tls *tls, SSL *ssl, uint64_t now_s)
{
	X509_STORE *store = SSL_CTX_get_cert_store(tls->material.context);
	X509 *certificate = SSL_get0_peer_certificate(ssl);
	X509_STORE_CTX *verification;
	bool good;

	if (certificate == NULL)
		return true;
	verification = X509_STORE_CTX_new();
	good = verification != NULL &&
	       X509_STORE_CTX_init(verification, store, certificate,
	                           SSL_get_peer_cert_chain(ssl)) == 1 &&
	       X509_STORE_CTX_set_default(verification, "ssl_client") == 1;
	if (good) {
		X509_STORE_CTX_set_time(verification, 0, (time_t)now_s);
		good = X509_verify_cert(verification) == 1;
	}
	X509_STORE_CTX_free(verification);
	ERR_clear_error();
	return good;
}

static const char *certificate_reason(long result)
{
	switch (result) {
	case X509_V_ERR_CERT_HAS_EXPIRED: return "it, or a CA above it, has expired";
	case X509_V_ERR_CERT_NOT_YET_VALID: return "it is not valid yet";
	case X509_V_ERR_CERT_REVOKED: return "it is revoked";
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		return "the CA that has signed it is not trusted here, or the CA between is "
		       "missing";
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT: return "it is signed by itself";
	case X509_V_ERR_CERT_SIGNATURE_FAILURE: return "its signature is forged";
	case X509_V_ERR_INVALID_PURPOSE: return "it is not meant for clients";
	case X509_V_ERR_UNABLE_TO_GET_CRL: return "there is no CRL of a CA above it";
	case X509_V_ERR_CRL_HAS_EXPIRED: return "the CRL of a CA above it has expired";
	case X509_V_ERR_CRL_NOT_YET_VALID: return "the CRL of a CA above it is not valid yet";
	default: return X509_verify_cert_error_string(result);
	}
}

void tls_reason(SSL *ssl, unsigned long openssl_error, char *ret_reason, size_t reason_bytes)
{
	long result = SSL_get_verify_result(ssl);
	const char *reason = ERR_reason_error_string(openssl_error);

	if (result != X509_V_OK) {
		snprintf(ret_reason, reason_bytes, "the client's certificate: %s",
		         certificate_reason(result));
		return;
	}
	switch (openssl_error == 0 ? 0 : ERR_GET_REASON(openssl_error)) {
	case 0:
	case SSL_R_UNEXPECTED_EOF_WHILE_READING:
		reason = "the connection broke in the handshake";
		break;
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_VERSION_TOO_LOW: reason = "the client speaks nothing newer than TLS 1.1"; break;
	case SSL_R_HTTP_REQUEST:
	case SSL_R_HTTPS_PROXY_REQUEST: reason = "the client speaks HTTP without TLS"; break;
	case SSL_R_WRONG_VERSION_NUMBER: reason = "the client does not speak TLS"; break;
	case SSL_R_NO_SHARED_CIPHER: reason = "the client has no cipher that is taken here"; break;
	case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
	case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
	case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
		reason = "the client does not trust our certificate";
		break;
	case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
		reason = "our certificate has expired for the client";
		break;
	}
	snprintf(ret_reason, reason_bytes, "%s", reason == NULL ? "TLS failed" : reason);
}

void tls_lifetimes(const struct tls *tls, struct tls_lifetimes *ret_lifetimes)
{
	*ret_lifetimes = tls->material.lifetimes;
}
