/* SPDX-License-Identifier: Apache-2.0 */
#include "control/tls_internal.h"

#include "base/assert.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <strings.h>

/* Where a rule looks. */
struct place {
	const char *prefix;
	int nid;          /* of the subject's parts, or NID_undef */
	int general_name; /* of the other names */
};

static const struct place places[] = {
    {"CN=", NID_commonName, 0},       {"OU=", NID_organizationalUnitName, 0},
    {"DNS:", NID_undef, GEN_DNS},     {"URI:", NID_undef, GEN_URI},
    {"email:", NID_undef, GEN_EMAIL},
};

/* NULL: a rule of no form that there is. */
static const struct place *place_of(const char *match)
{
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		size_t length = strlen(places[i].prefix);

		if (strncmp(match, places[i].prefix, length) == 0 && match[length] != '\0')
			return &places[i];
	}
	return NULL;
}

int tls_rules_check(const struct tls_options *options, struct faults *faults)
{
	char quoted[FAULTS_QUOTE_BYTES];
	int r = 0;

	faults->file = "client certificates' roles";
	if (options->rule_count > TLS_RULE_COUNT_MAX) {
		faults_add(faults, 0, "", "%u rules: %d are the most there can be",
		           options->rule_count, TLS_RULE_COUNT_MAX);
		return -EINVAL;
	}
	for (uint32_t i = 0; i < options->rule_count; i++) {
		if (place_of(options->rules[i].match) != NULL)
			continue;
		faults_quote(quoted, options->rules[i].match);
		faults_add(faults, 0, "",
		           "rule %u, \"%s\": write CN=…, OU=…, DNS:…, URI:… or email:…", i + 1,
		           quoted);
		r = -EINVAL;
	}
	return r;
}

/* What a name says, compared as the place asks for. */
static bool text_fits(const struct place *place, const char *data, size_t length,
                      const char *wanted)
{
	const char *at;
	size_t exact = length;

	if (length != strlen(wanted))
		return false;
	if (place->general_name == GEN_DNS)
		exact = 0;
	at = place->general_name == GEN_EMAIL ? strrchr(wanted, '@') : NULL;
	if (at != NULL)
		exact = (size_t)(at - wanted);
	return memcmp(data, wanted, exact) == 0 &&
	       strncasecmp(data + exact, wanted + exact, length - exact) == 0;
}

static bool subject_fits(const X509_NAME *subject, const struct place *place, const char *wanted)
{
	int index = -1;

	while ((index = X509_NAME_get_index_by_NID(subject, place->nid, index)) >= 0) {
		const X509_NAME_ENTRY *entry = X509_NAME_get_entry(subject, index);
		unsigned char *text;
		int length = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry));
		bool fits;

		if (length < 0)
			continue;
		fits = text_fits(place, (const char *)text, (size_t)length, wanted);
		OPENSSL_free(text);
		if (fits)
			return true;
	}
	return false;
}

/* The text of a DNS name, a URI or an email address. False: it is another kind of name. */
static bool general_name_text(GENERAL_NAME *name, int *ret_type, const char **ret_data,
                              size_t *ret_length)
{
	const ASN1_STRING *value = GENERAL_NAME_get0_value(name, ret_type);

	if (*ret_type != GEN_DNS && *ret_type != GEN_URI && *ret_type != GEN_EMAIL)
		return false;
	*ret_data = (const char *)ASN1_STRING_get0_data(value);
	*ret_length = (size_t)ASN1_STRING_length(value);
	return true;
}

static bool others_fit(const GENERAL_NAMES *others, const struct place *place, const char *wanted)
{
	for (int i = 0; i < sk_GENERAL_NAME_num(others); i++) {
		const char *data;
		size_t length;
		int type;

		if (general_name_text(sk_GENERAL_NAME_value(others, i), &type, &data, &length) &&
		    type == place->general_name && text_fits(place, data, length, wanted))
			return true;
	}
	return false;
}

static bool rule_fits(const char *match, X509 *certificate, const GENERAL_NAMES *others)
{
	const struct place *place = place_of(match);
	const char *wanted;

	ASSERT(place != NULL);
	wanted = match + strlen(place->prefix);
	return place->nid != NID_undef
	           ? subject_fits(X509_get_subject_name(certificate), place, wanted)
	           : others_fit(others, place, wanted);
}

/* Whether all who read the name read the same: one CN, and no NUL that would end it for some. */
static bool is_plain(const X509_NAME *subject, const GENERAL_NAMES *others)
{
	int cn = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	if (cn >= 0 && X509_NAME_get_index_by_NID(subject, NID_commonName, cn) >= 0)
		return false;
	for (int i = 0; i < X509_NAME_entry_count(subject); i++) {
		unsigned char *text;
		int length = ASN1_STRING_to_UTF8(
		    &text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i)));
		bool whole;

		if (length < 0)
			return false;
		whole = memchr(text, '\0', (size_t)length) == NULL;
		OPENSSL_free(text);
		if (!whole)
			return false;
	}
	for (int i = 0; i < sk_GENERAL_NAME_num(others); i++) {
		const char *data;
		size_t length;
		int type;

		if (general_name_text(sk_GENERAL_NAME_value(others, i), &type, &data, &length) &&
		    length > 0 && memchr(data, '\0', length) != NULL)
			return false;
	}
	return true;
}

/* What the node's own CA has written into its certificates: one role. */
static enum role own_role(X509 *certificate)
{
	char match[32];

	for (int role = ROLE_none + 1; role < ROLE_COUNT; role++) {
		snprintf(match, sizeof(match), "OU=kante-role:%s", role_name((enum role)role));
		if (rule_fits(match, certificate, NULL))
			return (enum role)role;
	}
	return ROLE_none;
}

enum role tls_rules_role(const struct tls_options *options, X509 *certificate, bool own_ca)
{
	GENERAL_NAMES *others;
	enum role role = ROLE_none;
	int critical;

	others = X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, NULL);
	/* -1: there are none; else there are, but damaged, or more than once */
	if (others == NULL && critical != -1)
		goto finish;
	if (!is_plain(X509_get_subject_name(certificate), others))
		goto finish;
	if (options->rule_count == 0 && own_ca)
		role = own_role(certificate);
	for (uint32_t i = 0; i < options->rule_count; i++) {
		if (rule_fits(options->rules[i].match, certificate, others)) {
			role = options->rules[i].role;
			break;
		}
	}
finish:
	GENERAL_NAMES_free(others);
	ERR_clear_error();
	return role;
}

/* Cut where it is too long, but not within a character. */
static void copy_cut(char *ret_text, size_t text_bytes, const char *text, size_t length)
{
	const size_t room = text_bytes - 1;

	if (length <= room) {
		memcpy(ret_text, text, length);
		ret_text[length] = '\0';
		return;
	}
	length = room - 3;
	while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
		length--;
	memcpy(ret_text, text, length);
	memcpy(ret_text + length, "...", 4);
}

bool tls_format_name(char ret_text[IDENTITY_NAME_BYTES], const X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	bool ok = bio != NULL &&
	          X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0;

	if (ok) {
		long length = BIO_get_mem_data(bio, &text);

		/* of an empty name there is no text */
		copy_cut(ret_text, IDENTITY_NAME_BYTES, length > 0 ? text : "", (size_t)length);
	} else {
		snprintf(ret_text, IDENTITY_NAME_BYTES, "(a name that cannot be shown)");
	}
	BIO_free(bio);
	ERR_clear_error();
	return ok;
}

bool tls_format_serial(char ret_text[IDENTITY_CREDENTIAL_BYTES], const X509 *certificate)
{
	BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
	char *hex = number != NULL ? BN_bn2hex(number) : NULL;
	bool ok = hex != NULL;

	if (ok)
		copy_cut(ret_text, IDENTITY_CREDENTIAL_BYTES, hex, strlen(hex));
	else
		ret_text[0] = '\0';
	OPENSSL_free(hex);
	BN_free(number);
	ERR_clear_error();
	return ok;
}
