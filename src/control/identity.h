/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks, how that is known, and what he may. Plain data; owner: the request. */
#pragma once

#include "base/bytes.h"
#include "base/role.h"

#define IDENTITY_NAME_BYTES       256
#define IDENTITY_CREDENTIAL_BYTES 128
#define IDENTITY_FROM_BYTES       64

/* How it is known who asks: none; the node's own Unix socket, where the kernel says which user it
 * is; the client's certificate; an API key; a JWT. name */
#define CREDENTIALS(X) X(none) X(socket) X(certificate) X(key) X(token)

#define CREDENTIAL_ENUM(name) CREDENTIAL_##name,
#define CREDENTIAL_NAME(name) #name,

enum credential {
	CREDENTIALS(CREDENTIAL_ENUM) CREDENTIAL_COUNT
};

/* All texts are UTF-8 and end in NUL; "" is none. */
struct identity {
	enum role role;
	enum credential credential;
	char name[IDENTITY_NAME_BYTES]; /* "CN=ops", a key's name, a token's sub, "uid 0 (root)" */
	/* a certificate's serial number in hex, a key's id, a token's jti */
	char credential_id[IDENTITY_CREDENTIAL_BYTES];
	char from[IDENTITY_FROM_BYTES]; /* "192.0.2.1:4711", "[2001:db8::1]:4711", "pid 123" */
};

static inline const char *credential_name(enum credential credential)
{
	static const char *const names[] = {CREDENTIALS(CREDENTIAL_NAME)};

	return names[credential];
}
