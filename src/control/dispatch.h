/* SPDX-License-Identifier: Apache-2.0 */
/* A request on its way to its endpoint: what it is about, who asks, whether he may, and what it
 * says. Each login and each refusal is written to the audit log. Owner: the server. */
#pragma once

#include "base/siphash.h"
#include "control/exchange.h"

#define DISPATCH_VISITOR_COUNT 256

struct dispatch_visitor {
	uint64_t hash; /* of who came from where */
	uint64_t last_s;
};

struct dispatch {
	struct control *control;
	struct siphash_key key;
	struct dispatch_visitor visitors[DISPATCH_VISITOR_COUNT]; /* the newest of each place */
};

/* Whom a request came from. */
struct peer {
	const struct ip_address *source; /* NULL: by the Unix socket */
	uint16_t port;
	SSL *ssl; /* NULL likewise */
	int fd;
};

void dispatch_create(struct dispatch *dispatch, struct control *control);

/* Replies, or has it replied to later. */
void dispatch(struct dispatch *dispatch, struct evhttp_request *request, const struct peer *peer);
