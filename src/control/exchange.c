/* SPDX-License-Identifier: Apache-2.0 */
#include "control/exchange.h"

#include <event2/bufferevent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define REFUSAL_BYTES 8192 /* more than all faults of a config: CONFIG_ERROR_BYTES */

/* Of what a client says while its reply goes on: nothing of it is looked at. */
#define UNREAD_BYTES_MAX 4096

struct exchange *exchange_create(struct control *control, struct evhttp_request *request)
{
	struct exchange *exchange = calloc(1, sizeof(*exchange));

	if (exchange == NULL)
		return NULL;
	exchange->control = control;
	exchange->request = request;
	TAILQ_INIT(&exchange->query);
	return exchange;
}

void exchange_destroy(struct exchange *exchange)
{
	ask_cancel(exchange->ask);
	if (exchange->forget != NULL)
		exchange->forget(exchange->data);
	evhttp_clear_headers(&exchange->query);
	json_decref(exchange->body);
	free(exchange);
}

/* What comes now concerns the connection alone. */
static void detach(struct exchange *exchange)
{
	evhttp_connection_set_closecb(evhttp_request_get_connection(exchange->request), NULL, NULL);
}

static void header(struct exchange *exchange, const char *name, const char *value)
{
	evhttp_add_header(evhttp_request_get_output_headers(exchange->request), name, value);
}

static void headers(struct exchange *exchange, const char *content_type)
{
	header(exchange, "Content-Type", content_type);
	header(exchange, "Cache-Control", "no-store");
	header(exchange, "X-Content-Type-Options", "nosniff");
}

void exchange_reply_text(struct exchange *exchange, int status, const char *content_type,
                         struct evbuffer *text)
{
	headers(exchange, content_type);
	detach(exchange);
	evhttp_send_reply(exchange->request, status, NULL, text);
	exchange_destroy(exchange);
}

void exchange_reply(struct exchange *exchange, int status, json_t *json)
{
	char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER);
	struct evbuffer *buffer = evbuffer_new();

	json_decref(json);
	if (text == NULL || buffer == NULL) {
		status = HTTP_INTERNAL;
		if (buffer != NULL)
			evbuffer_add_printf(buffer,
			                    "{\"error\":\"no memory is left for a reply\"}\n");
	} else {
		evbuffer_add_printf(buffer, "%s\n", text);
	}
	free(text);
	exchange_reply_text(exchange, status, "application/json", buffer);
	if (buffer != NULL)
		evbuffer_free(buffer);
}

void exchange_refuse(struct exchange *exchange, int status, const char *format, ...)
{
	char text[REFUSAL_BYTES];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	exchange_reply(exchange, status, json_pack("{s:s+}", "error", text, ""));
}

static struct bufferevent *socket_of(const struct exchange *exchange)
{
	return evhttp_connection_get_bufferevent(evhttp_request_get_connection(exchange->request));
}

/* The connection ends with the reply: it is as the reply needs it. */
void exchange_stream_begin(struct exchange *exchange, const char *content_type)
{
	static const struct timeval patience = {.tv_sec = EXCHANGE_BEHIND_S};
	struct bufferevent *socket = socket_of(exchange);

	headers(exchange, content_type);
	header(exchange, "Connection", "close");
	/* it may be silent for long, but whoever is sent something has to take it */
	bufferevent_set_timeouts(socket, NULL, &patience);
	bufferevent_setwatermark(socket, EV_READ, 0, UNREAD_BYTES_MAX);
	evhttp_send_reply_start(exchange->request, HTTP_OK, NULL);
}

bool exchange_stream_add(struct exchange *exchange, struct evbuffer *piece)
{
	size_t behind = evbuffer_get_length(bufferevent_get_output(socket_of(exchange)));
	size_t length = evbuffer_get_length(piece);

	if (behind > 0 && behind + length > EXCHANGE_BEHIND_BYTES_MAX) {
		evbuffer_drain(piece, length);
		return false;
	}
	evhttp_send_reply_chunk(exchange->request, piece);
	return true;
}

void exchange_stream_end(struct exchange *exchange, struct evbuffer *last)
{
	if (last != NULL)
		evhttp_send_reply_chunk(exchange->request, last);
	detach(exchange);
	evhttp_send_reply_end(exchange->request);
	exchange_destroy(exchange);
}

const char *exchange_query(const struct exchange *exchange, const char *name)
{
	return evhttp_find_header(&exchange->query, name);
}
