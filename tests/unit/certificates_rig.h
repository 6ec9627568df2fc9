/* SPDX-License-Identifier: Apache-2.0 */
/* A folder for keys and certificates, and certificates of anybody's making, good and bad. */
#pragma once

#include "unit.h"

#include <ftw.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DAY 86400

/* Somebody with a certificate. */
struct party {
	X509 *certificate;
	EVP_PKEY *key;
};

struct party_options {
	const char *name;   /* CN; NULL: none */
	size_t name_length; /* 0: up to NUL */
	const char *second_name;
	const char *units[2]; /* OU */
	bool ca;
	bool rsa;
	const char *purpose;  /* of the extended key usage; NULL: any */
	const char *others;   /* subjectAltName, as openssl.cnf has it */
	int64_t from_s, to_s; /* from now on; both 0: from an hour ago for a day */
	EVP_PKEY *key;        /* NULL: a new one */
};

static inline void party_free(struct party *party)
{
	X509_free(party->certificate);
	EVP_PKEY_free(party->key);
	*party = (struct party){0};
}

static inline void name_add(X509_NAME *name, int nid, const char *text, size_t length)
{
	if (text != NULL)
		CU_ASSERT_EQUAL_FATAL(X509_NAME_add_entry_by_NID(
		                          name, nid, MBSTRING_UTF8, (const unsigned char *)text,
		                          (int)(length == 0 ? strlen(text) : length), -1, 0),
		                      1);
}

static inline void extension_add(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX context;

	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	CU_ASSERT_PTR_NOT_NULL_FATAL(extension);
	X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
}

/* issuer NULL: signed by itself. */
static inline struct party party_make(const struct party *issuer, struct party_options options)
{
	struct party party = {X509_new(), options.key};
	X509 *certificate = party.certificate;
	BIGNUM *serial = BN_new();
	const int64_t now_s = time(NULL);

	if (options.from_s == 0 && options.to_s == 0) {
		options.from_s = -3600;
		options.to_s = DAY;
	}
	if (party.key == NULL)
		party.key = options.rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
	if (options.key != NULL)
		EVP_PKEY_up_ref(options.key);
	BN_rand(serial, 128, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY);
	BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(certificate));
	BN_free(serial);
	X509_set_version(certificate, X509_VERSION_3);
	X509_set_pubkey(certificate, party.key);
	ASN1_TIME_set(X509_getm_notBefore(certificate), now_s + options.from_s);
	ASN1_TIME_set(X509_getm_notAfter(certificate), now_s + options.to_s);
	for (int i = 0; i < 2; i++)
		name_add(X509_get_subject_name(certificate), NID_organizationalUnitName,
		         options.units[i], 0);
	name_add(X509_get_subject_name(certificate), NID_commonName, options.name,
	         options.name_length);
	name_add(X509_get_subject_name(certificate), NID_commonName, options.second_name, 0);
	if (issuer == NULL)
		issuer = &party;
	X509_set_issuer_name(certificate, X509_get_subject_name(issuer->certificate));
	extension_add(certificate, issuer->certificate, NID_basic_constraints,
	              options.ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
	extension_add(certificate, issuer->certificate, NID_subject_key_identifier, "hash");
	extension_add(certificate, issuer->certificate, NID_authority_key_identifier, "keyid");
	if (options.ca)
		extension_add(certificate, NULL, NID_key_usage, "critical,keyCertSign,cRLSign");
	if (options.purpose != NULL)
		extension_add(certificate, NULL, NID_ext_key_usage, options.purpose);
	if (options.others != NULL)
		extension_add(certificate, NULL, NID_subject_alt_name, options.others);
	CU_ASSERT_TRUE_FATAL(X509_sign(certificate, issuer->key, EVP_sha256()) > 0);
	return party;
}

/* revoked NULL: nobody. Times from now on. */
static inline X509_CRL *list_make(const struct party *ca, const struct party *revoked,
                                  int64_t from_s, int64_t to_s)
{
	X509_CRL *list = X509_CRL_new();
	ASN1_TIME *from = ASN1_TIME_set(NULL, time(NULL) + from_s);
	ASN1_TIME *to = ASN1_TIME_set(NULL, time(NULL) + to_s);

	X509_CRL_set_version(list, X509_CRL_VERSION_2);
	X509_CRL_set_issuer_name(list, X509_get_subject_name(ca->certificate));
	X509_CRL_set1_lastUpdate(list, from);
	X509_CRL_set1_nextUpdate(list, to);
	if (revoked != NULL) {
		X509_REVOKED *entry = X509_REVOKED_new();

		X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked->certificate));
		X509_REVOKED_set_revocationDate(entry, from);
		X509_CRL_add0_revoked(list, entry);
	}
	X509_CRL_sign(list, ca->key, EVP_sha256());
	ASN1_TIME_free(from);
	ASN1_TIME_free(to);
	return list;
}

struct folder {
	char path[64];
};

static inline void folder_open(struct folder *folder)
{
	snprintf(folder->path, sizeof(folder->path), "/tmp/kante-certificates-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder->path));
}

static inline int remove_one(const char *path, const struct stat *status, int kind,
                             struct FTW *place)
{
	return remove(path);
}

static inline void folder_close(struct folder *folder)
{
	CU_ASSERT_EQUAL(nftw(folder->path, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* Until the next but seven. */
static inline const char *path_in(const struct folder *folder, const char *name)
{
	static char paths[8][600];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder->path, name);
	return path;
}

static inline FILE *file_begin(const struct folder *folder, const char *name)
{
	FILE *file = fopen(path_in(folder, name), "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	return file;
}

static inline void put_text(const struct folder *folder, const char *name, const char *text)
{
	FILE *file = file_begin(folder, name);

	fputs(text, file);
	fclose(file);
}

static inline void put_key(const struct folder *folder, const char *name, const struct party *party)
{
	FILE *file = file_begin(folder, name);

	CU_ASSERT_EQUAL(PEM_write_PrivateKey(file, party->key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(file);
	chmod(path_in(folder, name), 0600);
}

/* `second`, `third`: NULL or what stands behind it. */
static inline void put_certificates(const struct folder *folder, const char *name,
                                    const struct party *first, const struct party *second,
                                    const struct party *third)
{
	FILE *file = file_begin(folder, name);

	CU_ASSERT_EQUAL(PEM_write_X509(file, first->certificate), 1);
	if (second != NULL)
		CU_ASSERT_EQUAL(PEM_write_X509(file, second->certificate), 1);
	if (third != NULL)
		CU_ASSERT_EQUAL(PEM_write_X509(file, third->certificate), 1);
	fclose(file);
}

static inline void put_certificate(const struct folder *folder, const char *name,
                                   const struct party *party)
{
	put_certificates(folder, name, party, NULL, NULL);
}

/* Takes the lists over; `second` may be NULL. */
static inline void put_lists(const struct folder *folder, const char *name, X509_CRL *first,
                             X509_CRL *second)
{
	FILE *file = file_begin(folder, name);

	CU_ASSERT_EQUAL(PEM_write_X509_CRL(file, first), 1);
	if (second != NULL)
		CU_ASSERT_EQUAL(PEM_write_X509_CRL(file, second), 1);
	fclose(file);
	X509_CRL_free(first);
	X509_CRL_free(second);
}

static inline char *get_text(const struct folder *folder, const char *name)
{
	char *text = calloc(1, 1 << 20);
	FILE *file = fopen(path_in(folder, name), "r");

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	text[fread(text, 1, (1 << 20) - 1, file)] = '\0';
	fclose(file);
	return text;
}

static inline struct party get_party(const struct folder *folder, const char *certificate,
                                     const char *key)
{
	struct party party = {0};
	FILE *file = fopen(path_in(folder, certificate), "r");

	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	party.certificate = PEM_read_X509(file, NULL, NULL, NULL);
	fclose(file);
	file = fopen(path_in(folder, key), "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	party.key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	fclose(file);
	CU_ASSERT_PTR_NOT_NULL_FATAL(party.certificate);
	CU_ASSERT_PTR_NOT_NULL_FATAL(party.key);
	return party;
}

/* A sequence that a seed gives (splitmix64). */
static inline uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}
