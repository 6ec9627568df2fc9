/* SPDX-License-Identifier: Apache-2.0 */
/* The section `admin:` of the config: who may manage this node, from where and how it is written
 * down. Plain data; owner: the config. */
#pragma once

#include "base/role.h"
#include "net/address.h"

#define ADMIN_PATH_BYTES       1024
#define ADMIN_SOCKET_BYTES     108 /* as sun_path, with the final NUL */
#define ADMIN_TEXT_BYTES       256
#define ADMIN_LISTEN_COUNT_MAX 8
#define ADMIN_CLIENT_COUNT_MAX 64
#define ADMIN_KEY_COUNT_MAX    16

/* Which signatures of tokens are taken: RFC 7518 section 3.1. */
#define ADMIN_ALGORITHMS(X) X(RS256) X(ES256) X(HS256)

/* What becomes of changes while the audit log cannot be written. */
#define ADMIN_WHEN_FULL(X) X(refuse) X(allow)

/* Who may read /metrics: whoever has the role viewer, or anybody. */
#define ADMIN_METRICS(X) X(viewer) X(open)

#define ADMIN_ALGORITHM_VALUE(name) ADMIN_ALGORITHM_##name,
#define ADMIN_WHEN_FULL_VALUE(name) ADMIN_WHEN_FULL_##name,
#define ADMIN_METRICS_VALUE(name)   ADMIN_METRICS_##name,

enum admin_algorithm {
	ADMIN_ALGORITHMS(ADMIN_ALGORITHM_VALUE)
};

enum admin_when_full {
	ADMIN_WHEN_FULL(ADMIN_WHEN_FULL_VALUE)
};

enum admin_metrics {
	ADMIN_METRICS(ADMIN_METRICS_VALUE)
};

/* Numbers are 64 bits wide, as all parameters of the config are. */
struct admin_client {
	char match[ADMIN_TEXT_BYTES]; /* "CN=ops", "DNS:…", "URI:…", "email:…", "OU=…" */
	uint64_t role;                /* enum role */
};

struct admin_key {
	char id[ADMIN_TEXT_BYTES]; /* kid */
	uint64_t algorithm;        /* enum admin_algorithm */
	char file[ADMIN_PATH_BYTES];
};

struct admin_tokens {
	char issuer[ADMIN_TEXT_BYTES]; /* empty: no tokens are taken */
	char audience[ADMIN_TEXT_BYTES];
	char role_claim[ADMIN_TEXT_BYTES];
	uint64_t skew_s;
	uint64_t lifetime_s_max;
	struct admin_key keys[ADMIN_KEY_COUNT_MAX];
	uint32_t key_count; /* at least 1 where there is an issuer */
};

struct admin_audit {
	uint64_t file_bytes_max;
	uint64_t files_kept_max; /* 0: all */
	uint64_t when_full;      /* enum admin_when_full */
};

struct admin {
	char directory[ADMIN_PATH_BYTES]; /* empty: there is no section, so no control process */
	char socket[ADMIN_SOCKET_BYTES];
	struct ip_address listen[ADMIN_LISTEN_COUNT_MAX];
	uint32_t listen_count; /* 0: no HTTPS */
	uint64_t port;
	/* What was not given is in the directory, and there made by Kante itself; but with a
	 * client_ca that was given, the CRL is the given one or none (empty). */
	bool certificate_given; /* and the key */
	bool client_ca_given;
	char certificate[ADMIN_PATH_BYTES];
	char key[ADMIN_PATH_BYTES];
	char client_ca[ADMIN_PATH_BYTES];
	char crl[ADMIN_PATH_BYTES];
	struct admin_client clients[ADMIN_CLIENT_COUNT_MAX];
	uint32_t client_count;
	struct admin_tokens tokens;
	struct admin_audit audit;
	uint64_t connection_count_max;
	uint64_t request_timeout_us;
	uint64_t metrics; /* enum admin_metrics */
};

/* Takes over what may change while the node runs (CONFIG_LIVE). Both are given. */
void admin_take_live(struct admin *admin, const struct admin *from);

static inline bool admin_is_given(const struct admin *admin)
{
	return admin->directory[0] != '\0';
}
