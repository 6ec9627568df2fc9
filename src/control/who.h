/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks, by what he shows: an API key or a token in `Authorization: Bearer`, which goes first,
 * else the certificate, else, on the Unix socket, what the kernel says. Owner: the request. */
#pragma once

#include "control/exchange.h"

#define WHO_REASON_BYTES 256

enum who_verdict {
	WHO_KNOWN,
	WHO_NOBODY, /* no credential was shown */
	WHO_REFUSED,
	WHO_LOCKED, /* the source is not listened to for a while */
};

/* Fills in exchange->who, `from` in any case. `source`: NULL on the Unix socket. `ssl`: NULL
 * likewise. ret_reason: of any but WHO_KNOWN, for the client and the audit log. */
enum who_verdict who_find(struct exchange *exchange, const struct ip_address *source, uint16_t port,
                          SSL *ssl, int fd, char ret_reason[WHO_REASON_BYTES]);

/* Fills in `from`. */
void who_came_from(struct identity *who, const struct ip_address *source, uint16_t port);
