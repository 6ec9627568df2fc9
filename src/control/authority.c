/* SPDX-License-Identifier: Apache-2.0 */
#include "control/authority.h"

#include "base/bytes.h"
#include "config/faults.h"
#include "control/asn1_time.h"
#include "control/authority_internal.h"
#include "control/pem.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#define DAY_S UINT64_C(86400)

/* Where a certificate and its key lie. */
struct pair {
	char certificate[AUTHORITY_FILE_NAME_BYTES];
	char key[AUTHORITY_FILE_NAME_BYTES];
	mode_t mode; /* the certificate's */
};

static const struct pair server_pair = {"server.crt", "server.key", AUTHORITY_PUBLIC_MODE};

static struct pair client_pair(const char *name)
{
	struct pair pair = {.mode = AUTHORITY_SECRET_MODE};

	snprintf(pair.certificate, sizeof(pair.certificate), "clients/%s.crt", name);
	snprintf(pair.key, sizeof(pair.key), "clients/%s.key", name);
	return pair;
}

/* UTF-8 without control bytes, so that it says the same wherever it is shown. */
static int check_node(struct authority *authority, const char *node)
{
	const unsigned char *at = (const unsigned char *)node;
	int length = (int)min_u64(strlen(node), AUTHORITY_NAME_BYTES_MAX + 1);
	char quoted[FAULTS_QUOTE_BYTES];
	bool ok = length > 0 && length <= AUTHORITY_NAME_BYTES_MAX;

	while (ok && length > 0) {
		unsigned long character;
		int used = UTF8_getc(at, length, &character);

		ok = used > 0 && character >= 0x20 && (character < 0x7f || character > 0x9f);
		at += used;
		length -= used;
	}
	if (ok)
		return 0;
	faults_quote(quoted, node);
	return authority_refuse(authority, EINVAL, "",
	                        "the node's name \"%s\" cannot be a certificate's: give one of 1 "
	                        "to %d bytes of UTF-8, without control bytes",
	                        quoted, AUTHORITY_NAME_BYTES_MAX);
}

/* A file's name, and the same on all file systems. */
static int check_name(struct authority *authority, const char *name)
{
	size_t length = strlen(name);
	char quoted[FAULTS_QUOTE_BYTES];

	if (length > 0 && length <= AUTHORITY_NAME_BYTES_MAX && name[0] != '.' &&
	    strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_") ==
	        length)
		return 0;
	faults_quote(quoted, name);
	return authority_refuse(authority, EINVAL, "",
	                        "the name \"%s\" cannot be a file's: give one of 1 to %d letters, "
	                        "digits, '.', '-' and '_', and no '.' in front",
	                        quoted, AUTHORITY_NAME_BYTES_MAX);
}

static int load_certificate(struct authority *authority)
{
	return authority->certificate != NULL
	           ? 0
	           : authority_read_certificate(authority, "ca.crt", &authority->certificate);
}

/* Whether the key, that was there, is what a certificate says. */
static int check_fits(struct authority *authority, const char *file, X509 *certificate,
                      EVP_PKEY *key)
{
	int r = pem_fits(certificate, key);

	if (r == -ENOMEM)
		return authority_refuse(authority, ENOMEM, file, "not enough memory to use it");
	if (r < 0)
		return authority_refuse(authority, EINVAL, file,
		                        "not the key of its certificate, or damaged: restore both "
		                        "from one backup");
	return 0;
}

/* All that it takes to sign. */
static int load_signer(struct authority *authority)
{
	bool has = true;
	int r = authority_records_load(authority);

	if (r < 0 || authority->key != NULL)
		return r;
	r = load_certificate(authority);
	if (r == 0)
		r = authority_has(authority, "ca.key", &has);
	if (r == 0 && !has)
		return authority_refuse(authority, ENOENT, "ca.key",
		                        "the CA's key is not here, so nothing can be signed: bring "
		                        "it back, or take ca.crt away as well to begin anew");
	if (r == 0)
		r = authority_read_key(authority, "ca.key", &authority->key);
	if (r < 0)
		return r;
	r = check_fits(authority, "ca.key", authority->certificate, authority->key);
	if (r < 0 || X509_check_ca(authority->certificate) > 0)
		return r;
	ERR_clear_error();
	return authority_refuse(authority, EINVAL, "ca.crt",
	                        "not a CA's certificate: restore it from a backup");
}

/* When the CA's own certificate expires. */
static int last_day(struct authority *authority, uint64_t *ret_expires_s)
{
	char text[AUTHORITY_TIME_BYTES];
	uint64_t expires_s;

	if (asn1_time_to_unix(&expires_s, X509_get0_notAfter(authority->certificate)) < 0)
		return authority_refuse(authority, EINVAL, "ca.crt",
		                        "its time is none: restore it from a backup");
	if (expires_s <= authority->now_s) {
		authority_format_time(text, expires_s);
		return authority_refuse(authority, EKEYEXPIRED, "ca.crt",
		                        "the CA has expired at %s: take the directory away to "
		                        "begin anew",
		                        text);
	}
	*ret_expires_s = expires_s;
	return 0;
}

/* Signs and stages. keep_key: a key that is there already is the one. */
static int make_pair(struct authority *authority, const struct pair *pair,
                     const struct authority_leaf *leaf, bool keep_key,
                     char ret_serial[AUTHORITY_SERIAL_BYTES])
{
	X509 *certificate = NULL;
	EVP_PKEY *key = NULL;
	bool has_key = false;
	int r = keep_key ? authority_has(authority, pair->key, &has_key) : 0;

	if (r == 0)
		r = has_key ? authority_read_key(authority, pair->key, &key)
		            : authority_key_make(authority, &key);
	if (r == 0)
		r = authority_sign(authority, leaf, key, &certificate, ret_serial);
	if (r == 0 && has_key)
		r = check_fits(authority, pair->key, certificate, key);
	if (r == 0)
		r = authority_stage_certificate(authority, pair->certificate, pair->mode,
		                                certificate);
	if (r == 0 && !has_key)
		r = authority_stage_key(authority, pair->key, key);
	if (r == 0)
		r = authority_record_add(authority, leaf->name, leaf->role, ret_serial,
		                         leaf->expires_s);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return r;
}

/* A key without its certificate is of somebody who was cut off before he was done: it is used.
 * *ret_new_key: it is to be staged after all that is signed with it, so that it appears before. */
static int make_ca(struct authority *authority, const char *node, uint32_t *made, bool *ret_new_key)
{
	bool has;
	int r = authority_has(authority, "ca.crt", &has);

	*ret_new_key = false;
	if (r < 0 || has)
		return r;
	r = authority_records_load(authority);
	if (r == 0)
		r = authority_has(authority, "ca.key", &has);
	*ret_new_key = !has;
	if (r == 0)
		r = has ? authority_read_key(authority, "ca.key", &authority->key)
		        : authority_key_make(authority, &authority->key);
	if (r == 0)
		r = authority_sign_itself(authority, node);
	if (r == 0 && has)
		r = check_fits(authority, "ca.key", authority->certificate, authority->key);
	if (r == 0)
		r = authority_stage_certificate(authority, "ca.crt", AUTHORITY_PUBLIC_MODE,
		                                authority->certificate);
	if (r == 0)
		*made |= AUTHORITY_MADE_CA;
	return r;
}

/* Of somebody who was cut off while he renewed it: a certificate of ours, and another key. What
 * cannot be read, or is of another CA, is the operator's matter: tls_open() tells him. */
static int server_is_torn(struct authority *authority, bool *ret_torn)
{
	X509 *certificate = NULL;
	EVP_PKEY *key = NULL;
	bool can_sign;
	int r = authority_has(authority, "ca.key", &can_sign);

	*ret_torn = false;
	if (r < 0 || !can_sign)
		return r;
	r = authority_read_certificate(authority, "server.crt", &certificate);
	if (r == 0)
		r = authority_read_key(authority, "server.key", &key);
	if (r == 0)
		r = load_certificate(authority);
	*ret_torn = r == 0 && X509_check_private_key(certificate, key) != 1 &&
	            X509_verify(certificate, X509_get0_pubkey(authority->certificate)) == 1;
	ERR_clear_error();
	X509_free(certificate);
	EVP_PKEY_free(key);
	if (r == -ENOMEM)
		return r;
	authority->error[0] = '\0';
	return 0;
}

static int make_server_pair(struct authority *authority, const char *node,
                            const char *const addresses[], uint32_t address_count, bool keep_key)
{
	struct authority_leaf leaf = {
	    .name = node,
	    .role = ROLE_none,
	    .addresses = addresses,
	    .address_count = address_count,
	};
	char serial[AUTHORITY_SERIAL_BYTES];
	uint64_t ca_expires_s;
	int r = load_signer(authority);

	if (r == 0)
		r = last_day(authority, &ca_expires_s);
	if (r < 0)
		return r;
	leaf.expires_s = min_u64(authority->now_s + AUTHORITY_SERVER_DAYS * DAY_S, ca_expires_s);
	return make_pair(authority, &server_pair, &leaf, keep_key, serial);
}

static int make_server(struct authority *authority, const char *node, const char *const addresses[],
                       uint32_t address_count, uint32_t *made)
{
	bool has, torn = false;
	int r = authority_has(authority, server_pair.certificate, &has);

	if (r == 0 && has)
		r = server_is_torn(authority, &torn);
	if (r < 0 || (has && !torn))
		return r;
	r = make_server_pair(authority, node, addresses, address_count, true);
	if (r == 0)
		*made |= AUTHORITY_MADE_SERVER;
	return r;
}

static int make_admin(struct authority *authority, uint32_t *made)
{
	const struct authority_leaf leaf = {
	    .name = "admin",
	    .role = ROLE_admin,
	    .expires_s = authority->now_s + AUTHORITY_SERVER_DAYS * DAY_S,
	};
	const struct pair pair = client_pair(leaf.name);
	char serial[AUTHORITY_SERIAL_BYTES];
	bool has;
	int r = authority_has(authority, pair.certificate, &has);

	if (r < 0 || has)
		return r;
	r = make_pair(authority, &pair, &leaf, true, serial);
	if (r == 0)
		*made |= AUTHORITY_MADE_ADMIN;
	return r;
}

/* A list is made for a new CA, and when there is none and it can be signed. */
static int make_list(struct authority *authority, bool ca_made)
{
	bool has_key, has_list;
	int r = authority_has(authority, "ca.key", &has_key);

	if (r == 0)
		r = authority_has(authority, "ca.crl", &has_list);
	if (r < 0 || (!ca_made && (has_list || !has_key)))
		return r;
	r = load_signer(authority);
	return r == 0 ? authority_crl_stage(authority) : r;
}

static int finish(struct authority *authority)
{
	int r = authority_records_stage(authority);

	return r == 0 ? authority_commit(authority) : r;
}

int authority_make(const char *directory, const char *node, const char *const addresses[],
                   uint32_t address_count, uint64_t now_s, uint32_t *ret_made, char *error,
                   size_t error_bytes)
{
	struct authority authority;
	uint32_t made = 0;
	bool new_key = false;
	int r = authority_open(&authority, directory, AUTHORITY_BEGIN, now_s, error, error_bytes);

	if (r == 0)
		r = check_node(&authority, node);
	if (r == 0)
		r = make_ca(&authority, node, &made, &new_key);
	if (r == 0)
		r = make_server(&authority, node, addresses, address_count, &made);
	if (r == 0 && (made & AUTHORITY_MADE_CA) != 0)
		r = make_admin(&authority, &made);
	if (r == 0)
		r = make_list(&authority, (made & AUTHORITY_MADE_CA) != 0);
	if (r == 0 && new_key)
		r = authority_stage_key(&authority, "ca.key", authority.key);
	if (r == 0 && authority.staged_count > 0)
		r = finish(&authority);
	authority_close(&authority);
	if (r == 0)
		*ret_made = made;
	return r;
}

/* A certificate that an operator has put there, and will not have us replace. A damaged one is
 * nobody's. */
static int refuse_foreign_server(struct authority *authority)
{
	X509 *certificate = NULL;
	bool foreign;
	int r = load_certificate(authority);

	if (r < 0)
		return r;
	r = authority_read_certificate(authority, "server.crt", &certificate);
	if (r < 0 && r != -EINVAL && r != -ENOENT)
		return r;
	authority->error[0] = '\0';
	foreign = r == 0 && X509_verify(certificate, X509_get0_pubkey(authority->certificate)) != 1;
	ERR_clear_error();
	X509_free(certificate);
	return foreign ? authority_refuse(authority, EPERM, "server.crt",
	                                  "another CA has signed it: renew it there, or take it "
	                                  "away")
	               : 0;
}

int authority_renew_server(const char *directory, const char *node, const char *const addresses[],
                           uint32_t address_count, uint64_t now_s, char *error, size_t error_bytes)
{
	struct authority authority;
	int r = authority_open(&authority, directory, AUTHORITY_CHANGE, now_s, error, error_bytes);

	if (r == 0)
		r = check_node(&authority, node);
	if (r == 0)
		r = refuse_foreign_server(&authority);
	if (r == 0)
		r = make_server_pair(&authority, node, addresses, address_count, false);
	if (r == 0)
		r = finish(&authority);
	authority_close(&authority);
	return r;
}

static int check_days(struct authority *authority, uint64_t days, uint64_t *ret_expires_s)
{
	char text[AUTHORITY_TIME_BYTES];
	uint64_t ca_expires_s;
	int r = last_day(authority, &ca_expires_s);

	if (r < 0)
		return r;
	if (days > 0 && days <= AUTHORITY_CA_DAYS &&
	    authority->now_s + days * DAY_S <= ca_expires_s) {
		*ret_expires_s = authority->now_s + days * DAY_S;
		return 0;
	}
	authority_format_time(text, ca_expires_s);
	return authority_refuse(authority, EINVAL, "",
	                        "a certificate for %llu days cannot be made: give at least one, "
	                        "and no more than the CA itself has, until %s",
	                        (unsigned long long)days, text);
}

static int issue(struct authority *authority, const char *name, enum role role, uint64_t days,
                 char ret_serial[AUTHORITY_SERIAL_BYTES])
{
	const struct pair pair = client_pair(name);
	struct authority_leaf leaf = {.name = name, .role = role};
	const json_t *good;
	int r = load_signer(authority);

	if (r == 0)
		r = check_days(authority, days, &leaf.expires_s);
	if (r < 0)
		return r;
	good = authority_record_good(authority, name);
	if (good != NULL)
		return authority_refuse(authority, EEXIST, pair.certificate,
		                        "that one is good still: give another name, or revoke %s",
		                        json_string_value(json_object_get(good, "serial")));
	r = make_pair(authority, &pair, &leaf, false, ret_serial);
	return r == 0 ? finish(authority) : r;
}

int authority_issue(const char *directory, const char *name, enum role role, uint64_t days,
                    uint64_t now_s, char *ret_serial, char *error, size_t error_bytes)
{
	char serial[AUTHORITY_SERIAL_BYTES];
	struct authority authority;
	int r = authority_open(&authority, directory, AUTHORITY_CHANGE, now_s, error, error_bytes);

	if (r == 0)
		r = check_name(&authority, name);
	if (r == 0 && role == ROLE_none)
		r = authority_refuse(&authority, EINVAL, "",
		                     "the role none is no client's: give another");
	if (r == 0)
		r = issue(&authority, name, role, days, serial);
	authority_close(&authority);
	if (r == 0)
		snprintf(ret_serial, IDENTITY_CREDENTIAL_BYTES, "%s", serial);
	return r;
}

static int revoke_serial(struct authority *authority, const char *serial)
{
	char quoted[FAULTS_QUOTE_BYTES];
	json_t *record;
	int r = load_signer(authority);

	if (r < 0)
		return r;
	faults_quote(quoted, serial);
	record = authority_record_by_serial(authority, serial);
	if (record == NULL)
		return authority_refuse(authority, ENOENT, "",
		                        "no certificate with the serial number \"%s\" was issued "
		                        "here: see the list",
		                        quoted);
	if (authority_record_time(record, "revoked") != 0)
		return authority_refuse(authority, EALREADY, "",
		                        "%s is revoked already: nothing needs to be done", quoted);
	if (json_object_set_new(record, "revoked", json_integer((json_int_t)authority->now_s)) < 0)
		return authority_refuse(authority, ENOMEM, "", "not enough memory");
	r = authority_crl_stage(authority);
	return r == 0 ? finish(authority) : r;
}

int authority_revoke(const char *directory, const char *serial, uint64_t now_s, char *error,
                     size_t error_bytes)
{
	struct authority authority;
	int r = authority_open(&authority, directory, AUTHORITY_CHANGE, now_s, error, error_bytes);

	if (r == 0)
		r = revoke_serial(&authority, serial);
	authority_close(&authority);
	return r;
}

static int refresh(struct authority *authority, bool *ret_done)
{
	bool has, due = false;
	int r = authority_has(authority, "ca.key", &has);

	*ret_done = false;
	if (r < 0 || !has) /* another CA's list is another's to sign */
		return r;
	r = load_signer(authority);
	if (r == 0)
		r = authority_crl_is_due(authority, &due);
	if (r < 0 || !due)
		return r;
	r = authority_crl_stage(authority);
	if (r == 0)
		r = finish(authority);
	*ret_done = r == 0;
	return r;
}

bool authority_refresh_crl(const char *directory, uint64_t now_s, char *error, size_t error_bytes)
{
	struct authority authority;
	bool done = false;
	int r = authority_open(&authority, directory, AUTHORITY_CHANGE, now_s, error, error_bytes);

	if (r == 0)
		r = refresh(&authority, &done);
	authority_close(&authority);
	return r == 0 && done;
}
