/* SPDX-License-Identifier: Apache-2.0 */
/* What the admin server's TLS is: certificate and key, who is trusted, who is revoked; and who a
 * client is by its certificate. TLS 1.2 and 1.3, forward secrecy and AEAD ciphers only (Mozilla's
 * "intermediate", without its DHE), no renegotiation, no compression, and no resumption: every
 * handshake is a whole one, in which the client's certificate is looked at.
 *
 * Files are looked at once a second and on SIGHUP; what has changed is read whole (key,
 * certificate, CA, CRL must fit together) and counts for the next handshake. If it does not fit,
 * that is told, and what was there goes on. Open connections go on in any case, save those of a
 * client whose certificate is on a new CRL, has expired or is of a CA that is not trusted any more
 * (tls_still_good()). Owner: the control process's loop. */
#pragma once

#include "control/identity.h"

#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_RULE_COUNT_MAX 64

/* Who a certificate's holder is. The first rule that fits says the role; without any, the role is
 * none. `match` is "CN=…", "DNS:…", "URI:…", "email:…" or "OU=…", compared whole, and case counts
 * (save DNS and the host of an email address). A subject of several CNs, or with a NUL anywhere in
 * it or its other names, fits no rule. */
struct tls_rule {
	const char *match;
	enum role role;
};

struct tls_options {
	const char *certificate_path; /* PEM, with what lies between it and a root behind it */
	const char *key_path;         /* its owner and mode are not looked at: see login/users.h */
	const char *client_ca_path;   /* PEM, one or more, with their roots; NULL: no certificate
	                                 lets a client in */
	/* PEM, one of each CA. NULL or a file that is not there: nobody is revoked. One that was
	 * there must stay. Once it has expired, no certificate is good. */
	const char *crl_path;
	/* The node's own CA (authority.h); NULL or a file that is not there: none. Without rules,
	 * who has a certificate of that CA has the role that its "OU=kante-role:…" says. Nobody
	 * else: what another CA lets people call themselves is not known. */
	const char *own_ca_path;
	const struct tls_rule *rules;
	uint32_t rule_count;
};

struct tls;

/* 0; a negative errno with `error` filled in: a line a fault, what is wrong, and what to do. A
 * certificate that has expired is none: see tls_lifetimes(). The options' texts must outlive it,
 * save own_ca_path; rules and all else is copied. */
int tls_open(struct tls **ret_tls, const struct tls_options *options, char *error,
             size_t error_bytes);
void tls_close(struct tls *tls); /* takes NULL; SSLs made go on */

enum tls_look {
	TLS_SAME,
	TLS_READ,    /* something has changed and counts from now on: `text` says what */
	TLS_REFUSED, /* something has changed and is wrong: `text` says what, and what to do */
};

/* now: also when nothing seems to have changed (SIGHUP). A change that is not complete is looked at
 * once more a second later before it is refused; so is a certificate that has expired, when the one
 * in force has not. */
enum tls_look tls_look(struct tls *tls, bool now, uint64_t now_s, char *text, size_t text_bytes);

/* For the next connection. Asks for a certificate and takes a client that has none; one that shows
 * a certificate that is not good fails the handshake. NULL: no memory. */
SSL *tls_accept(struct tls *tls);

/* After the handshake: fills in role, credential, name (the subject, RFC 2253, but UTF-8) and
 * credential_id (the serial number in hex); what is too long ends in "...". False: the client has
 * shown no certificate. */
bool tls_identity(const struct tls *tls, SSL *ssl, struct identity *ret_identity);

/* Whether a certificate shown earlier is good still. True: also when none was shown. */
bool tls_still_good(const struct tls *tls, SSL *ssl, uint64_t now_s);

/* Of a handshake that has failed: why, in words for the audit log. openssl_error: of
 * ERR_get_error() or bufferevent_get_openssl_error(); 0: the connection broke. */
void tls_reason(SSL *ssl, unsigned long openssl_error, char *ret_reason, size_t reason_bytes);

struct tls_lifetimes {
	uint64_t certificate_expires_s;   /* Unix time */
	uint64_t client_ca_expires_s;     /* of the first that does; 0: none */
	uint64_t crl_expires_s;           /* of the first that does; 0: none */
	char certificate_fingerprint[96]; /* SHA-256, hex with colons */
};

void tls_lifetimes(const struct tls *tls, struct tls_lifetimes *ret_lifetimes);
