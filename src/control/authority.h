/* SPDX-License-Identifier: Apache-2.0 */
/* The node's own certificate authority, for operators who have none: a private CA, the server's
 * certificate, clients' certificates and the list of those that are revoked (CRL). All keys are EC
 * P-256; all files lie in one directory: ca.crt, ca.key, ca.crl, server.crt, server.key,
 * clients/NAME.crt and .key, and issued.json: what was issued and revoked. Owner: the control
 * process's loop, or `kante` when it is run on the node without one. */
#pragma once

#include "control/identity.h"

#include <jansson.h>

#define AUTHORITY_CA_DAYS        3650
#define AUTHORITY_SERVER_DAYS    397
#define AUTHORITY_NAME_BYTES_MAX 64

/* Makes what is not there: the CA and an empty CRL, the server's certificate (for the node's
 * name, "localhost", 127.0.0.1, ::1 and the addresses given), and the client certificate "admin"
 * with the role admin. What is there is left alone. *ret_made: bits of enum authority_made.
 * 0; a negative errno with `error` filled in, and nothing half made is left behind. */
enum authority_made {
	AUTHORITY_MADE_CA = 1,
	AUTHORITY_MADE_SERVER = 2,
	AUTHORITY_MADE_ADMIN = 4,
};

int authority_make(const char *directory, const char *node, const char *const addresses[],
                   uint32_t address_count, uint64_t now_s, uint32_t *ret_made, char *error,
                   size_t error_bytes);

/* A new server certificate by the same CA, in the place of the one that is there (key first is
 * never seen without its certificate: see tls.h). */
int authority_renew_server(const char *directory, const char *node, const char *const addresses[],
                           uint32_t address_count, uint64_t now_s, char *error, size_t error_bytes);

/* A client certificate: CN=name, the role as an OU ("kante-role:operator"); clients/NAME.crt and
 * .key, mode 0600. ret_serial: in hex, of IDENTITY_CREDENTIAL_BYTES. -EEXIST: one of that name is
 * good still; -EINVAL: a name that is no file's name of letters, digits, '.', '-', '_'. */
int authority_issue(const char *directory, const char *name, enum role role, uint64_t days,
                    uint64_t now_s, char *ret_serial, char *error, size_t error_bytes);

/* By serial number; writes ca.crl anew. -ENOENT, -EALREADY. */
int authority_revoke(const char *directory, const char *serial, uint64_t now_s, char *error,
                     size_t error_bytes);

/* Signs ca.crl anew when half of its time is over, so that it never expires. True: it has. */
bool authority_refresh_crl(const char *directory, uint64_t now_s, char *error, size_t error_bytes);

/* [{name, serial, role, issued, expires, revoked, state: good|expired|revoked}]. */
json_t *authority_list(const char *directory, uint64_t now_s, char *error, size_t error_bytes);
