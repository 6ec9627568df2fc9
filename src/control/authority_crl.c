/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of those that are revoked, by RFC 5280. */
#include "control/asn1_time.h"
#include "control/authority_internal.h"
#include "control/pem.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#define LIST_FILE "ca.crl"
#define LIST_DAYS 30

static bool add_revoked(X509_CRL *list, const json_t *record)
{
	const char *serial = json_string_value(json_object_get(record, "serial"));
	X509_REVOKED *revoked = X509_REVOKED_new();
	ASN1_TIME *time = ASN1_TIME_set(NULL, (time_t)authority_record_time(record, "revoked"));
	ASN1_INTEGER *number = NULL;
	BIGNUM *value = NULL;
	bool ok = revoked != NULL && time != NULL && BN_hex2bn(&value, serial) > 0 &&
	          (number = BN_to_ASN1_INTEGER(value, NULL)) != NULL &&
	          X509_REVOKED_set_serialNumber(revoked, number) == 1 &&
	          X509_REVOKED_set_revocationDate(revoked, time) == 1 &&
	          X509_CRL_add0_revoked(list, revoked) == 1;

	if (!ok)
		X509_REVOKED_free(revoked);
	ASN1_INTEGER_free(number);
	ASN1_TIME_free(time);
	BN_free(value);
	return ok;
}

static bool add_all_revoked(X509_CRL *list, const json_t *records)
{
	const json_t *record;
	size_t i;

	json_array_foreach(json_object_get(records, "issued"), i, record)
	{
		if (authority_record_time(record, "revoked") != 0 && !add_revoked(list, record))
			return false;
	}
	return X509_CRL_sort(list) == 1;
}

static bool add_extensions(X509_CRL *list, X509 *issuer, uint64_t number)
{
	ASN1_INTEGER *value = ASN1_INTEGER_new();
	X509_EXTENSION *extension = NULL;
	X509V3_CTX context;
	bool ok;

	X509V3_set_ctx(&context, issuer, NULL, NULL, list, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, NID_authority_key_identifier, "keyid");
	ok = extension != NULL && X509_CRL_add_ext(list, extension, -1) == 1 && value != NULL &&
	     ASN1_INTEGER_set_uint64(value, number) == 1 &&
	     X509_CRL_add1_ext_i2d(list, NID_crl_number, value, 0, 0) == 1;
	X509_EXTENSION_free(extension);
	ASN1_INTEGER_free(value);
	return ok;
}

static bool set_times(X509_CRL *list, uint64_t now_s)
{
	ASN1_TIME *from = ASN1_TIME_set(NULL, (time_t)now_s - AUTHORITY_BACKDATED_S);
	ASN1_TIME *to = ASN1_TIME_set(NULL, (time_t)now_s + LIST_DAYS * 86400);
	bool ok = from != NULL && to != NULL && X509_CRL_set1_lastUpdate(list, from) == 1 &&
	          X509_CRL_set1_nextUpdate(list, to) == 1;

	ASN1_TIME_free(from);
	ASN1_TIME_free(to);
	return ok;
}

static bool sign_list(struct authority *authority, X509_CRL *list, uint64_t number)
{
	X509 *issuer = authority->certificate;

	return X509_CRL_set_version(list, X509_CRL_VERSION_2) == 1 &&
	       X509_CRL_set_issuer_name(list, X509_get_subject_name(issuer)) == 1 &&
	       set_times(list, authority->now_s) && add_all_revoked(list, authority->records) &&
	       add_extensions(list, issuer, number) &&
	       X509_CRL_sign(list, authority->key, EVP_sha256()) != 0;
}

int authority_crl_stage(struct authority *authority)
{
	uint64_t number = authority_crl_number(authority) + 1;
	X509_CRL *list = X509_CRL_new();
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long length;
	int r;

	if (list == NULL || bio == NULL || !sign_list(authority, list, number) ||
	    PEM_write_bio_X509_CRL(bio, list) != 1) {
		r = authority_refuse_openssl(authority, LIST_FILE);
		goto finish;
	}
	if (json_object_set_new(authority->records, "crl_number",
	                        json_integer((json_int_t)number)) < 0) {
		r = authority_refuse(authority, ENOMEM, LIST_FILE, "not enough memory");
		goto finish;
	}
	length = BIO_get_mem_data(bio, &text);
	r = authority_stage(authority, LIST_FILE, AUTHORITY_PUBLIC_MODE, text, (size_t)length);
finish:
	X509_CRL_free(list);
	BIO_free(bio);
	return r;
}

/* -ENOENT: it has none. */
static int number_of(const X509_CRL *list, uint64_t *ret_number)
{
	ASN1_INTEGER *value = X509_CRL_get_ext_d2i(list, NID_crl_number, NULL, NULL);
	int r = value != NULL && ASN1_INTEGER_get_uint64(ret_number, value) == 1 ? 0 : -ENOENT;

	ASN1_INTEGER_free(value);
	return r;
}

/* A list that is not what we would have signed is due as well: who restored an old one from a
 * backup, or was cut off after issued.json, must not have let in anybody for long. */
static bool is_due(const struct authority *authority, X509_CRL *list)
{
	uint64_t from_s, to_s, number;

	return number_of(list, &number) < 0 || number != authority_crl_number(authority) ||
	       asn1_time_to_unix(&from_s, X509_CRL_get0_lastUpdate(list)) < 0 ||
	       asn1_time_to_unix(&to_s, X509_CRL_get0_nextUpdate(list)) < 0 ||
	       authority->now_s < from_s || authority->now_s >= from_s + (to_s - from_s) / 2 ||
	       X509_CRL_verify(list, X509_get0_pubkey(authority->certificate)) != 1;
}

int authority_crl_is_due(struct authority *authority, bool *ret_due)
{
	STACK_OF(X509_CRL) *lists = NULL;
	const char *refusal;
	char *text;
	size_t length;
	bool has;
	int r = authority_has(authority, LIST_FILE, &has);

	*ret_due = true;
	if (r < 0 || !has)
		return r;
	r = authority_read(authority, LIST_FILE, &text, &length);
	if (r < 0)
		return r;
	r = pem_lists(&lists, text, length, &refusal);
	free(text);
	if (r == -ENOMEM)
		return authority_refuse(authority, ENOMEM, LIST_FILE, "%s", refusal);
	if (r == 0)
		*ret_due = is_due(authority, sk_X509_CRL_value(lists, 0));
	ERR_clear_error();
	sk_X509_CRL_pop_free(lists, X509_CRL_free);
	return 0;
}
