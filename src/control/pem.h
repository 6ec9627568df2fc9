/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, certificates and lists of revoked ones out of PEM text (RFC 7468). Each returns 0, -EINVAL
 * or -ENOMEM; the latter two with *ret_refusal: what is wrong, and what to do. What is between the
 * blocks, and blocks of other kinds, are passed over. Nothing is left in OpenSSL's error queue. */
#pragma once

#include <openssl/x509.h>
#include <stddef.h>

/* The first private key. One that needs a passphrase is refused. */
int pem_key(EVP_PKEY **ret_key, const char *text, size_t length, const char **ret_refusal);

/* All of them, at least one. */
int pem_certificates(STACK_OF(X509) * *ret_certificates, const char *text, size_t length,
                     const char **ret_refusal);
int pem_lists(STACK_OF(X509_CRL) * *ret_lists, const char *text, size_t length,
              const char **ret_refusal);

/* Whether the key is the certificate's: not only by its public half, which stands in both, but so
 * that what it signs is good. 0, -EINVAL, -ENOMEM. */
int pem_fits(X509 *certificate, EVP_PKEY *key);

/* Whether OpenSSL's last error was that there is no memory. */
int pem_no_memory(void);
