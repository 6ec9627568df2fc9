/* SPDX-License-Identifier: Apache-2.0 */
/* The node's own certificate authority, for operators who have none: a private CA, the server's
 * certificate, clients' certificates and the list of those that are revoked (CRL). All keys are EC
 * P-256; all files lie in one directory: ca.crt, ca.key, ca.crl, server.crt, server.key,
 * clients/NAME.crt and .key, and issued.json: what was issued and revoked, forgotten a year after
 * it has expired. Owner: the control process's loop, or `kante` when it is run on the node without
 * one.
 *
 * Each call is whole: it has done all of it, or nothing. One that is killed in the middle leaves
 * nothing that authority_make() and authority_refresh_crl() do not mend, save a client's
 * certificate in the list that nobody has: revoke it. A directory that others can write to is
 * refused with -EPERM; -EBUSY: another process is changing it. Errors are "DIRECTORY/FILE: what is
 * wrong: what to do". */
#pragma once

#include "control/identity.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define AUTHORITY_CA_DAYS           3650
#define AUTHORITY_SERVER_DAYS       397
#define AUTHORITY_NAME_BYTES_MAX    64
#define AUTHORITY_ADDRESS_COUNT_MAX 64

enum authority_made {
	AUTHORITY_MADE_CA = 1,
	AUTHORITY_MADE_SERVER = 2,
	AUTHORITY_MADE_ADMIN = 4,
};

/* Makes what is not there: the directory, the CA and an empty CRL, and the server's certificate
 * (for the node's name, "localhost", 127.0.0.1, ::1 and the addresses given, or hosts' names); and
 * with a new CA the client certificate "admin" with the role admin, so that one that was taken away
 * or revoked does not come back. What is there is left alone. *ret_made: bits of enum
 * authority_made. 0; a negative errno with `error` filled in, and nothing half made is left behind.
 * `node`: UTF-8 without control bytes. */
int authority_make(const char *directory, const char *node, const char *const addresses[],
                   uint32_t address_count, uint64_t now_s, uint32_t *ret_made, char *error,
                   size_t error_bytes);

/* A new server certificate by the same CA, in the place of the one that is there (the key comes
 * first, for a moment without its certificate: see tls.h). -ENOENT: no CA, or its key is
 * elsewhere; -EPERM: another CA has signed the one that is there. */
int authority_renew_server(const char *directory, const char *node, const char *const addresses[],
                           uint32_t address_count, uint64_t now_s, char *error, size_t error_bytes);

/* A client certificate: CN=name, the role as an OU ("kante-role:operator"); clients/NAME.crt and
 * .key, mode 0600. ret_serial: in hex, of IDENTITY_CREDENTIAL_BYTES. -EEXIST: one of that name is
 * good still; -EINVAL: a name that is no file's name of letters, digits, '.', '-', '_', or more
 * days than the CA has; -ENOSPC: too many. */
int authority_issue(const char *directory, const char *name, enum role role, uint64_t days,
                    uint64_t now_s, char *ret_serial, char *error, size_t error_bytes);

/* By serial number (in hex, with or without colons); writes ca.crl anew. -ENOENT, -EALREADY. */
int authority_revoke(const char *directory, const char *serial, uint64_t now_s, char *error,
                     size_t error_bytes);

/* Signs ca.crl anew when half of its time is over, so that it never expires, and when it is not the
 * one that was signed last. True: it has. Else `error` says why not, or is empty: it is not due, or
 * the CA's key is elsewhere. */
bool authority_refresh_crl(const char *directory, uint64_t now_s, char *error, size_t error_bytes);

/* [{name, serial, role, issued, expires, revoked, state: good|expired|revoked}], times in RFC 3339
 * or null; a server's role is none. NULL: see `error`. */
json_t *authority_list(const char *directory, uint64_t now_s, char *error, size_t error_bytes);
