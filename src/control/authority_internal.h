/* SPDX-License-Identifier: Apache-2.0 */
/* What the authority's parts share: an authority, opened for one call. Owner: that call. */
#pragma once

#include "control/authority.h"

#include <openssl/x509.h>
#include <sys/types.h>

#define AUTHORITY_STAGED_COUNT_MAX 8
#define AUTHORITY_FILE_NAME_BYTES  (sizeof("clients/.key") + AUTHORITY_NAME_BYTES_MAX)
#define AUTHORITY_FILE_BYTES_MAX   (8 * 1024 * 1024)
#define AUTHORITY_BACKDATED_S      300 /* other hosts' clocks may be late by so much */

#define AUTHORITY_SECRET_MODE 0600
#define AUTHORITY_PUBLIC_MODE 0644

struct authority {
	const char *directory;
	int fd; /* of the directory; holds its lock unless only read from */
	uid_t owner;
	gid_t group;
	bool gives_away; /* we are root and the directory is somebody else's: files are his, too */
	bool made_directory;
	bool made_clients;
	uint64_t now_s;
	char *error;
	size_t error_bytes;
	/* Written under names that nobody reads: put in place with authority_commit(), or gone with
	 * authority_close(). */
	char staged[AUTHORITY_STAGED_COUNT_MAX][AUTHORITY_FILE_NAME_BYTES];
	uint32_t staged_count;
	/* Owned, NULL until they are loaded or made: */
	json_t *records;
	X509 *certificate;
	EVP_PKEY *key;
};

/* authority_files.c */

enum authority_use {
	AUTHORITY_READ, /* what is read is whole at any time: files are replaced, not written to */
	AUTHORITY_CHANGE,
	AUTHORITY_BEGIN, /* and make the directory, if it is not there */
};

/* -EBUSY: another process is changing it. Pairs with authority_close() in any case. */
int authority_open(struct authority *authority, const char *directory, enum authority_use use,
                   uint64_t now_s, char *error, size_t error_bytes);
void authority_close(struct authority *authority);

/* Fills in the error: "DIRECTORY/FILE: what is wrong: what to do". Returns -error_number. */
int authority_refuse(struct authority *authority, int error_number, const char *file,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Says what OpenSSL has to say. -ENOMEM or -EIO. */
int authority_refuse_openssl(struct authority *authority, const char *file);

int authority_has(struct authority *authority, const char *file, bool *ret_has);
/* The text is the caller's to wipe and to free. */
int authority_read(struct authority *authority, const char *file, char **ret_text,
                   size_t *ret_length);
int authority_read_certificate(struct authority *authority, const char *file,
                               X509 **ret_certificate);
/* Refuses a key that others can read. */
int authority_read_key(struct authority *authority, const char *file, EVP_PKEY **ret_key);

int authority_stage(struct authority *authority, const char *file, mode_t mode, const void *bytes,
                    size_t length);
int authority_stage_key(struct authority *authority, const char *file, EVP_PKEY *key);
int authority_stage_certificate(struct authority *authority, const char *file, mode_t mode,
                                X509 *certificate);

/* What was staged first appears last. All or nothing, if the system lets us live. */
int authority_commit(struct authority *authority);

/* authority_records.c */

/* Loads issued.json, or begins it. */
int authority_records_load(struct authority *authority);
int authority_records_stage(struct authority *authority);

int authority_record_add(struct authority *authority, const char *name, enum role role,
                         const char *serial, uint64_t expires_s);
json_t *authority_record_by_serial(const struct authority *authority, const char *serial);
/* A client's, neither revoked nor expired. */
json_t *authority_record_good(const struct authority *authority, const char *name);
uint64_t authority_record_time(const json_t *record, const char *key); /* 0: none */
uint64_t authority_crl_number(const struct authority *authority);

/* RFC 3339, without fractions. */
#define AUTHORITY_TIME_BYTES 40
void authority_format_time(char ret_text[AUTHORITY_TIME_BYTES], uint64_t time_s);

/* authority_sign.c */

#define AUTHORITY_SERIAL_BYTES 40

struct authority_leaf {
	const char *name; /* CN */
	enum role role;   /* none: a server's */
	const char *const *addresses;
	uint32_t address_count;
	uint64_t expires_s;
};

int authority_key_make(struct authority *authority, EVP_PKEY **ret_key);
/* Makes the certificate of the authority itself, for its key. */
int authority_sign_itself(struct authority *authority, const char *node);
/* By the authority's key. */
int authority_sign(struct authority *authority, const struct authority_leaf *leaf, EVP_PKEY *key,
                   X509 **ret_certificate, char ret_serial[AUTHORITY_SERIAL_BYTES]);

/* authority_crl.c */

/* Signs the list of those that are revoked, with the next number, and stages it. */
int authority_crl_stage(struct authority *authority);
/* True: there is none, or another has to take its place by now. */
int authority_crl_is_due(struct authority *authority, bool *ret_due);
