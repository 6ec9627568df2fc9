/* SPDX-License-Identifier: Apache-2.0 */
/* One request of the admin API and its reply. It lives until it was replied to, or until the client
 * has gone: whoever works on it meanwhile cancels what he has under way when he is told.
 * Owner: the server; while it runs, the endpoint. */
#pragma once

#include "control/ask.h"
#include "control/control.h"

#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#define EXCHANGE_ARGUMENT_BYTES 256
#define EXCHANGE_BODY_BYTES_MAX (1024 * 1024)

/* Of a reply that goes on: what waits for its client to read, at most, and for how long. */
#define EXCHANGE_BEHIND_BYTES_MAX (1024 * 1024)
#define EXCHANGE_BEHIND_S         30

struct endpoint;

struct exchange {
	struct control *control;
	struct evhttp_request *request; /* NULL: the client has gone */
	const struct endpoint *endpoint;
	struct identity who;
	struct evkeyvalq query;
	char argument[EXCHANGE_ARGUMENT_BYTES];
	json_t *body;               /* NULL: there is none */
	struct ask *ask;            /* under way; cancelled with the exchange */
	void *data;                 /* the endpoint's */
	void (*forget)(void *data); /* frees it */
};

/* NULL: no memory. `request` is the server's. */
struct exchange *exchange_create(struct control *control, struct evhttp_request *request);

/* The client has gone, or all is said. */
void exchange_destroy(struct exchange *exchange);

/* Replies, and destroys the exchange. `json` is taken; NULL: no memory was left for it. */
void exchange_reply(struct exchange *exchange, int status, json_t *json);
void exchange_reply_text(struct exchange *exchange, int status, const char *content_type,
                         struct evbuffer *text);

/* {"error": "what is wrong: what to do"} */
void exchange_refuse(struct exchange *exchange, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A reply that goes on, of pieces as they come; when the client goes, the exchange is forgotten.
 * exchange_stream_add() empties the piece; false: the client is too far behind, and the piece was
 * left out. The last piece, NULL: none, is added in any case; the exchange is destroyed. */
void exchange_stream_begin(struct exchange *exchange, const char *content_type);
bool exchange_stream_add(struct exchange *exchange, struct evbuffer *piece);
void exchange_stream_end(struct exchange *exchange, struct evbuffer *last);

/* The value of "name=value" in the query; NULL: it is not there. */
const char *exchange_query(const struct exchange *exchange, const char *name);
