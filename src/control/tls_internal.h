/* SPDX-License-Identifier: Apache-2.0 */
/* What tls.c has of its files, read and checked (tls_files.c), and what is said of a certificate
 * (tls_identity.c). Owner: struct tls. */
#pragma once

#include "config/faults.h"
#include "control/tls.h"

#include <openssl/sha.h>
#include <sys/types.h>
#include <time.h>

enum tls_file {
	TLS_FILE_CERTIFICATE,
	TLS_FILE_KEY,
	TLS_FILE_CLIENT_CA,
	TLS_FILE_CRL,
	TLS_FILE_OWN_CA,
	TLS_FILE_COUNT
};

/* What tells one version of a file from another. */
struct tls_version {
	int error_number; /* 0: it is there */
	dev_t device;
	ino_t inode;
	off_t bytes;
	struct timespec modified;
	struct timespec changed;
};

/* NULL: there is none. */
const char *tls_file_path(const struct tls_options *options, enum tls_file file);
void tls_versions(struct tls_version ret_versions[TLS_FILE_COUNT],
                  const struct tls_options *options);
bool tls_version_equal(const struct tls_version *a, const struct tls_version *b);

/* All that the files say. Zeroed: nothing. */
struct tls_material {
	SSL_CTX *context;
	X509 *own_ca; /* NULL: none */
	bool has_crl;
	struct tls_lifetimes lifetimes;
	uint8_t sum[SHA256_DIGEST_LENGTH]; /* of all files' bytes */
};

/* need_crl: the list of the revoked must be there. 0; a negative errno and at least a fault. */
int tls_material_read(struct tls_material *ret_material, const struct tls_options *options,
                      bool need_crl, struct faults *faults);
void tls_material_free(struct tls_material *material);

/* RFC 2253, but UTF-8. False: it cannot be shown, and ret_text says so. */
bool tls_format_name(char ret_text[IDENTITY_NAME_BYTES], const X509_NAME *name);
/* In hex. False: no memory, and ret_text is empty. */
bool tls_format_serial(char ret_text[IDENTITY_CREDENTIAL_BYTES], const X509 *certificate);

/* -EINVAL and a fault for each rule that none could fit. */
int tls_rules_check(const struct tls_options *options, struct faults *faults);

/* own_ca: the certificate is one of the node's own CA. */
enum role tls_rules_role(const struct tls_options *options, X509 *certificate, bool own_ca);
