/* SPDX-License-Identifier: Apache-2.0 */
/* What happens in the cache, as it happens: a worker's `watch`, to which the others' lines come,
 * too, on its way to a client of the admin API. Owner: the exchange. */
#include "control/api.h"
#include "control/link.h"

#include <event2/bufferevent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define LINE_BYTES_MAX  4096
#define WATCH_COUNT_MAX 4 /* at once: each takes one of the few streams to a worker */
#define COMMAND_BYTES   128

static const char *const kinds[] = {"fetchers", "mutations", "deletions", "evictions",
                                    "connevents"};

#define KIND_COUNT    (sizeof(kinds) / sizeof(kinds[0]))
#define DEFAULT_KINDS 4 /* the first ones */

struct watch {
	struct exchange *exchange;
	struct bufferevent *socket; /* kanted's */
	struct evbuffer *piece;     /* lines that are wanted */
	uint64_t skipped_count;     /* that the client was too slow for */
	bool has_begun;             /* kanted has said OK */
	char
	    key[3 * API_KEY_BYTES_MAX + 8]; /* " key=" and how it is to begin, as in a URI; or "" */
};

static void forget(void *data)
{
	struct watch *watch = data;

	if (watch == NULL)
		return;
	watch->exchange->control->watch_count--;
	if (watch->socket != NULL)
		bufferevent_free(watch->socket); /* closes it: kanted sees that */
	if (watch->piece != NULL)
		evbuffer_free(watch->piece);
	free(watch);
}

/* kanted has ended it, or never begun. */
static void end(struct watch *watch)
{
	struct exchange *exchange = watch->exchange;

	if (watch->has_begun)
		exchange_stream_end(exchange, NULL);
	else
		exchange_refuse(exchange, HTTP_SERVUNAVAIL,
		                "kanted does not let one watch: see its log, and try again");
}

static void add_line(struct watch *watch, const char *line)
{
	if (watch->key[0] != '\0' && strstr(line, watch->key) == NULL)
		return;
	if (watch->skipped_count > 0)
		evbuffer_add_printf(watch->piece, "skipped=%llu\n",
		                    (unsigned long long)watch->skipped_count);
	evbuffer_add_printf(watch->piece, "%s\n", line);
	if (exchange_stream_add(watch->exchange, watch->piece))
		watch->skipped_count = 0;
	else
		watch->skipped_count++;
}

static void on_bytes(struct bufferevent *socket, void *context)
{
	struct watch *watch = context;
	struct evbuffer *input = bufferevent_get_input(socket);
	char *line;

	while ((line = evbuffer_readln(input, NULL, EVBUFFER_EOL_CRLF)) != NULL) {
		bool is_good = watch->has_begun || strcmp(line, "OK") == 0;

		if (watch->has_begun) {
			add_line(watch, line);
		} else if (is_good) {
			watch->has_begun = true;
			exchange_stream_begin(watch->exchange, "text/plain; charset=utf-8");
		}
		free(line);
		if (!is_good) {
			end(watch);
			return;
		}
	}
	if (evbuffer_get_length(input) > LINE_BYTES_MAX)
		end(watch);
}

static void on_event(struct bufferevent *socket, short events, void *context)
{
	end(context);
}

/* "watch fetchers mutations\r\n", of the query's `kinds`. False: it has something else. */
static bool command_of(const char *text, char command[COMMAND_BYTES])
{
	size_t used = (size_t)snprintf(command, COMMAND_BYTES, "watch");
	uint32_t asked = 0;

	if (text == NULL)
		asked = (1u << DEFAULT_KINDS) - 1;
	while (text != NULL) {
		size_t length = strcspn(text, ","), i = 0;

		while (i < KIND_COUNT &&
		       (strlen(kinds[i]) != length || strncmp(kinds[i], text, length) != 0))
			i++;
		if (i == KIND_COUNT)
			return false;
		asked |= 1u << i;
		text = text[length] == ',' ? text + length + 1 : NULL;
	}
	for (size_t i = 0; i < KIND_COUNT; i++)
		if (asked & (1u << i))
			used +=
			    (size_t)snprintf(command + used, COMMAND_BYTES - used, " %s", kinds[i]);
	snprintf(command + used, COMMAND_BYTES - used, "\r\n");
	return true;
}

/* False: it is no beginning of a key. */
static bool key_filter(const char *prefix, char *key, size_t key_bytes)
{
	char *encoded;

	key[0] = '\0';
	if (prefix == NULL)
		return true;
	if (strlen(prefix) > API_KEY_BYTES_MAX)
		return false;
	encoded = evhttp_encode_uri(prefix);
	if (encoded != NULL)
		snprintf(key, key_bytes, " key=%s", encoded);
	free(encoded);
	return encoded != NULL;
}

static int start(struct watch *watch, const char *command)
{
	const struct control *control = watch->exchange->control;
	int fd, r = link_ask(control->link_fd, "worker 0", &fd);

	if (r < 0)
		return r;
	watch->socket = bufferevent_socket_new(control->base, fd, BEV_OPT_CLOSE_ON_FREE);
	watch->piece = evbuffer_new();
	if (watch->socket == NULL)
		evutil_closesocket(fd);
	if (watch->socket == NULL || watch->piece == NULL ||
	    bufferevent_write(watch->socket, command, strlen(command)) < 0)
		return -1;
	bufferevent_setcb(watch->socket, on_bytes, NULL, on_event, watch);
	bufferevent_enable(watch->socket, EV_READ | EV_WRITE);
	return 0;
}

static void audit_watch(struct exchange *exchange, const char *command, const char *prefix)
{
	json_t *after = json_pack("{s:s%, s:s?}", "kinds", command + strlen("watch "),
	                          strlen(command) - strlen("watch \r\n"), "prefix", prefix);
	struct audit_event event = {
	    .kind = AUDIT_read, .action = "watch", .who = &exchange->who, .after = after};

	audit_append(exchange->control->audit, &event, control_now_us());
	json_decref(after);
}

void api_watch(struct exchange *exchange)
{
	const char *prefix = exchange_query(exchange, "prefix");
	char command[COMMAND_BYTES];
	struct watch *watch;

	if (!command_of(exchange_query(exchange, "kinds"), command)) {
		exchange_refuse(exchange, 400,
		                "kinds are fetchers, mutations, deletions, evictions and "
		                "connevents, with commas between them");
		return;
	}
	if (exchange->control->watch_count == WATCH_COUNT_MAX) {
		exchange_refuse(exchange, 429, "%u are watching already: end one of them",
		                WATCH_COUNT_MAX);
		return;
	}
	watch = calloc(1, sizeof(*watch));
	if (watch == NULL || !key_filter(prefix, watch->key, sizeof(watch->key))) {
		free(watch);
		exchange_refuse(exchange, 400, "prefix has %u bytes at most, as keys have",
		                API_KEY_BYTES_MAX);
		return;
	}
	watch->exchange = exchange;
	exchange->control->watch_count++;
	exchange->data = watch;
	exchange->forget = forget;
	audit_watch(exchange, command, prefix);
	if (start(watch, command) < 0)
		end(watch);
}
