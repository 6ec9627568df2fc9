/* SPDX-License-Identifier: Apache-2.0 */
/* What the admin server's TLS is: certificate and key, who is trusted, who is revoked; and who a
 * client is by its certificate. TLS 1.2 and 1.3, forward secrecy and AEAD ciphers only (Mozilla's
 * "intermediate"), no renegotiation, no compression, tickets with keys of the process's own.
 *
 * Files are looked at once a second and on SIGHUP; what has changed is read whole (key,
 * certificate, CA, CRL must fit together) and counts for the next handshake. If it does not fit,
 * that is told, and what was there goes on. Open connections go on in any case, save those of a
 * client whose certificate is on a new CRL or has expired (tls_still_good()). Owner: the control
 * process's loop. */
#pragma once

#include "control/identity.h"

#include <openssl/ssl.h>

#define TLS_RULE_COUNT_MAX 64

/* Who a certificate's holder is. The first rule that fits says the role; without any, the role is
 * none. `match` is "CN=…", "DNS:…", "URI:…", "email:…" or "OU=…", compared whole, and case counts
 * (save DNS and the host of an email address). */
struct tls_rule {
	const char *match;
	enum role role;
};

struct tls_options {
	const char *certificate_path; /* PEM, with what lies between it and a root behind it */
	const char *key_path;
	const char *client_ca_path; /* PEM, one or more; NULL: no certificate lets a client in */
	const char *crl_path;       /* NULL or a file that is not there: nobody is revoked */
	const struct tls_rule *rules;
	uint32_t rule_count;
};

struct tls;

/* 0; a negative errno with `error` filled in: a line a fault, what is wrong, and what to do. The
 * options' texts must outlive it. */
int tls_open(struct tls **ret_tls, const struct tls_options *options, uint64_t now_s, char *error,
             size_t error_bytes);
void tls_close(struct tls *tls); /* takes NULL; SSLs made go on */

enum tls_look {
	TLS_SAME,
	TLS_READ,    /* something has changed and counts from now on: `text` says what */
	TLS_REFUSED, /* something has changed and is wrong: `text` says what, and what to do */
};

/* now: also when nothing seems to have changed (SIGHUP). A change that is not complete is looked at
 * once more a second later before it is refused. */
enum tls_look tls_look(struct tls *tls, bool now, uint64_t now_s, char *text, size_t text_bytes);

/* For the next connection. Asks for a certificate and takes a client that has none; one that shows
 * a certificate that is not good fails the handshake. NULL: no memory. */
SSL *tls_accept(struct tls *tls);

/* After the handshake: fills in role, credential, name (the subject, RFC 2253) and credential_id
 * (the serial number in hex). False: the client has shown no certificate. */
bool tls_identity(const struct tls *tls, SSL *ssl, struct identity *ret_identity);

/* Whether a certificate shown earlier is good still. */
bool tls_still_good(const struct tls *tls, SSL *ssl, uint64_t now_s);

/* Of a handshake that has failed: why, in words for the audit log. */
void tls_reason(SSL *ssl, unsigned long openssl_error, char *ret_reason, size_t reason_bytes);

struct tls_lifetimes {
	uint64_t certificate_expires_s;   /* Unix time */
	uint64_t client_ca_expires_s;     /* of the first that does; 0: none */
	uint64_t crl_expires_s;           /* 0: none */
	char certificate_fingerprint[96]; /* SHA-256, hex with colons */
};

void tls_lifetimes(const struct tls *tls, struct tls_lifetimes *ret_lifetimes);
