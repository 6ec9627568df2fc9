/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates, by RFC 5280. */
#include "control/authority_internal.h"

#include "base/assert.h"
#include "config/faults.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#define CA_FILE "ca.crt"

#define SERIAL_BITS 128

_Static_assert(AUTHORITY_SERIAL_BYTES > SERIAL_BITS / 4, "the serial in hex has its place");

int authority_key_make(struct authority *authority, EVP_PKEY **ret_key)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");

	if (key == NULL)
		return authority_refuse_openssl(authority, "");
	*ret_key = key;
	return 0;
}

/* The highest bit is set: so all are equally long, and none is 0. */
static bool set_serial(X509 *certificate, char ret_serial[AUTHORITY_SERIAL_BYTES])
{
	BIGNUM *number = BN_new();
	char *hex = NULL;
	bool ok = number != NULL &&
	          BN_rand(number, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
	          BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL &&
	          (hex = BN_bn2hex(number)) != NULL;

	if (ok)
		snprintf(ret_serial, AUTHORITY_SERIAL_BYTES, "%s", hex);
	OPENSSL_free(hex);
	BN_free(number);
	return ok;
}

static bool add_to_name(X509_NAME *name, int nid, const char *text)
{
	return X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, (const unsigned char *)text, -1,
	                                  -1, 0) == 1;
}

static bool add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX context;
	bool ok;

	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	ok = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return ok;
}

/* With what every certificate has. NULL: see OpenSSL's errors. */
static X509 *certificate_make(const struct authority *authority, EVP_PKEY *key, uint64_t expires_s,
                              char ret_serial[AUTHORITY_SERIAL_BYTES])
{
	time_t begins_s = (time_t)authority->now_s - AUTHORITY_BACKDATED_S;
	X509 *certificate = X509_new();

	if (certificate != NULL && X509_set_version(certificate, X509_VERSION_3) == 1 &&
	    set_serial(certificate, ret_serial) && X509_set_pubkey(certificate, key) == 1 &&
	    ASN1_TIME_set(X509_getm_notBefore(certificate), begins_s) != NULL &&
	    ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)expires_s) != NULL)
		return certificate;
	X509_free(certificate);
	return NULL;
}

int authority_sign_itself(struct authority *authority, const char *node)
{
	uint64_t expires_s = authority->now_s + AUTHORITY_CA_DAYS * UINT64_C(86400);
	char serial[AUTHORITY_SERIAL_BYTES];
	X509 *certificate = certificate_make(authority, authority->key, expires_s, serial);
	X509_NAME *name;

	if (certificate == NULL)
		return authority_refuse_openssl(authority, CA_FILE);
	name = X509_get_subject_name(certificate);
	/* nodes' CAs have different names, so that a file of several is searched by name */
	if (!add_to_name(name, NID_organizationName, node) ||
	    !add_to_name(name, NID_commonName, "Kante CA") ||
	    X509_set_issuer_name(certificate, name) != 1 ||
	    !add_extension(certificate, certificate, NID_basic_constraints,
	                   "critical,CA:TRUE,pathlen:0") ||
	    !add_extension(certificate, certificate, NID_key_usage,
	                   "critical,keyCertSign,cRLSign") ||
	    !add_extension(certificate, certificate, NID_subject_key_identifier, "hash") ||
	    !add_extension(certificate, certificate, NID_authority_key_identifier, "keyid") ||
	    X509_sign(certificate, authority->key, EVP_sha256()) == 0) {
		X509_free(certificate);
		return authority_refuse_openssl(authority, CA_FILE);
	}
	authority->certificate = certificate;
	return 0;
}

/* What may stand in a certificate as a DNS name. */
static bool is_host(const char *text)
{
	size_t length = strlen(text);

	if (length == 0 || length > 253 || !isalnum((unsigned char)text[0]))
		return false;
	for (size_t i = 0; i < length; i++)
		if (!isascii(text[i]) || (!isalnum((unsigned char)text[i]) && text[i] != '-' &&
		                          text[i] != '.' && text[i] != '_'))
			return false;
	return true;
}

/* An address as bytes, or 0. */
static int address_bytes(unsigned char ret_bytes[16], const char *text)
{
	if (inet_pton(AF_INET, text, ret_bytes) == 1)
		return 4;
	return inet_pton(AF_INET6, text, ret_bytes) == 1 ? 16 : 0;
}

/* Adds one that is not there yet. Must be a host's name or an address. */
static bool add_alternative(GENERAL_NAMES *names, const char *text)
{
	unsigned char bytes[16];
	int byte_count = address_bytes(bytes, text);
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_STRING *value = byte_count > 0 ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
	bool ok;

	if (name == NULL || value == NULL)
		goto fail;
	ok = byte_count > 0 ? ASN1_STRING_set(value, bytes, byte_count) == 1
	                    : ASN1_STRING_set(value, text, -1) == 1;
	if (!ok)
		goto fail;
	GENERAL_NAME_set0_value(name, byte_count > 0 ? GEN_IPADD : GEN_DNS, value);
	value = NULL; /* the name's now */
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		if (GENERAL_NAME_cmp(sk_GENERAL_NAME_value(names, i), name) == 0) {
			GENERAL_NAME_free(name);
			return true;
		}
	}
	if (sk_GENERAL_NAME_push(names, name) > 0)
		return true;
fail:
	ASN1_STRING_free(value);
	GENERAL_NAME_free(name);
	return false;
}

static bool add_alternatives(X509 *certificate, const struct authority_leaf *leaf)
{
	static const char *const always[] = {"localhost", "127.0.0.1", "::1"};
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	bool ok = names != NULL;

	if (ok && is_host(leaf->name))
		ok = add_alternative(names, leaf->name);
	for (size_t i = 0; ok && i < sizeof(always) / sizeof(always[0]); i++)
		ok = add_alternative(names, always[i]);
	for (uint32_t i = 0; ok && i < leaf->address_count; i++)
		ok = add_alternative(names, leaf->addresses[i]);
	ok = ok && X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, 0) == 1;
	GENERAL_NAMES_free(names);
	return ok;
}

/* What it is for, and for whom. */
static bool describe(X509 *certificate, const struct authority_leaf *leaf)
{
	X509_NAME *name = X509_get_subject_name(certificate);
	bool server = leaf->role == ROLE_none;
	char unit[32];

	snprintf(unit, sizeof(unit), "kante-role:%s", role_name(leaf->role));
	if (!server && !add_to_name(name, NID_organizationalUnitName, unit))
		return false;
	return add_to_name(name, NID_commonName, leaf->name) &&
	       add_extension(certificate, NULL, NID_ext_key_usage,
	                     server ? "serverAuth" : "clientAuth") &&
	       (!server || add_alternatives(certificate, leaf));
}

static int check_addresses(struct authority *authority, const struct authority_leaf *leaf)
{
	unsigned char bytes[16];
	char quoted[FAULTS_QUOTE_BYTES];

	if (leaf->address_count > AUTHORITY_ADDRESS_COUNT_MAX)
		return authority_refuse(authority, EINVAL, "server.crt",
		                        "%u addresses: %d are the most it can have",
		                        leaf->address_count, AUTHORITY_ADDRESS_COUNT_MAX);
	for (uint32_t i = 0; i < leaf->address_count; i++) {
		const char *address = leaf->addresses[i];

		if (is_host(address) || address_bytes(bytes, address) > 0)
			continue;
		faults_quote(quoted, address);
		return authority_refuse(authority, EINVAL, "server.crt",
		                        "\"%s\" is neither an IP address nor a host's name: give "
		                        "one of these",
		                        quoted);
	}
	return 0;
}

int authority_sign(struct authority *authority, const struct authority_leaf *leaf, EVP_PKEY *key,
                   X509 **ret_certificate, char ret_serial[AUTHORITY_SERIAL_BYTES])
{
	X509 *issuer = authority->certificate, *certificate;
	int r = check_addresses(authority, leaf);

	if (r < 0)
		return r;
	certificate = certificate_make(authority, key, leaf->expires_s, ret_serial);
	if (certificate == NULL ||
	    X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) != 1 ||
	    !add_extension(certificate, issuer, NID_basic_constraints, "critical,CA:FALSE") ||
	    !add_extension(certificate, issuer, NID_key_usage, "critical,digitalSignature") ||
	    !add_extension(certificate, issuer, NID_subject_key_identifier, "hash") ||
	    !add_extension(certificate, issuer, NID_authority_key_identifier, "keyid") ||
	    !describe(certificate, leaf) ||
	    X509_sign(certificate, authority->key, EVP_sha256()) == 0) {
		X509_free(certificate);
		return authority_refuse_openssl(authority, "");
	}
	*ret_certificate = certificate;
	return 0;
}
