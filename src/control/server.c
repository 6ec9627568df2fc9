/* SPDX-License-Identifier: Apache-2.0 */
#include "control/server.h"

#include "base/assert.h"
#include "base/log.h"
#include "control/dispatch.h"
#include "control/who.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/bufferevent_ssl.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define HEADERS_BYTES_MAX 16384 /* a token is half of that at most */
#define BACKLOG           128
#define KEEP_ALIVE_S      60 /* until the next request is whole */
#define METHODS                                                                                    \
	(EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | EVHTTP_REQ_PATCH)

/* Over TLS: known from its SSL, and freed with it. */
struct connection {
	struct server *server;
	struct bufferevent *socket;
	SSL *ssl;
	struct ip_address source;
	uint16_t port;
	bool has_source;
	uint64_t deadline_s; /* 0: a request is at work */
	LIST_ENTRY(connection) others;
};

struct server {
	struct control *control;
	struct evhttp *https;
	struct evhttp *local;
	struct evconnlistener *listeners[ADMIN_LISTEN_COUNT_MAX];
	uint32_t listener_count;
	LIST_HEAD(, connection) connections;
	uint32_t connection_count;
	int ssl_index; /* where an SSL has its connection */
	bool is_full;
	struct dispatch dispatch;
};

/* Connections. */

static void listen_on(struct server *server, bool on)
{
	for (uint32_t i = 0; i < server->listener_count; i++) {
		if (on)
			evconnlistener_enable(server->listeners[i]);
		else
			evconnlistener_disable(server->listeners[i]);
	}
	server->is_full = !on;
}

/* OpenSSL calls it when an SSL is freed, and so when libevent is done with a connection. */
static void forget_connection(void *ssl, void *data, CRYPTO_EX_DATA *all, int index, long number,
                              void *context)
{
	struct connection *connection = data;
	struct server *server;

	if (connection == NULL)
		return;
	server = connection->server;
	LIST_REMOVE(connection, others);
	server->connection_count--;
	counter_set(&server->control->counters.connections, server->connection_count);
	free(connection);
	if (server->is_full &&
	    server->connection_count < server->control->config->admin.connection_count_max)
		listen_on(server, true);
}

static void find_source(struct connection *connection)
{
	struct sockaddr_storage peer;
	socklen_t bytes = sizeof(peer);

	if (connection->has_source || getpeername(bufferevent_getfd(connection->socket),
	                                          (struct sockaddr *)&peer, &bytes) < 0)
		return;
	if (peer.ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)&peer;

		connection->source = ip_address_from_ip4((const uint8_t *)&in->sin_addr);
		connection->port = ntohs(in->sin_port);
	} else {
		const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)&peer;

		connection->source = ip_address_from_ip6((const uint8_t *)&in->sin6_addr);
		connection->port = ntohs(in->sin6_port);
	}
	connection->has_source = true;
}

/* Whether nobody was refused, but has gone. */
static bool is_broken_off(unsigned long error)
{
	return ERR_SYSTEM_ERROR(error) ||
	       ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
}

/* OpenSSL calls it when it has gone on with a handshake: with an error in its queue when that has
 * failed, and without one when it waits. */
static void on_handshake(const SSL *ssl, int where, int result)
{
	struct audit_event event = {
	    .kind = AUDIT_login, .result = AUDIT_REFUSED, .action = "login"};
	struct identity who = {.credential = CREDENTIAL_certificate};
	struct connection *connection = SSL_get_app_data(ssl);
	unsigned long error = ERR_peek_error();
	char reason[WHO_REASON_BYTES];
	struct control *control;

	if (where != SSL_CB_ACCEPT_EXIT || result > 0 || error == 0 || is_broken_off(error) ||
	    connection == NULL)
		return;
	find_source(connection);
	if (!connection->has_source)
		return;
	control = connection->server->control;
	counter_add(&control->counters.refused_handshake, 1);
	who_came_from(&who, &connection->source, connection->port);
	tls_reason(connection->ssl, error, reason, sizeof(reason));
	event.who = &who;
	event.reason = reason;
	audit_append(control->audit, &event, control_now_us());
}

/* libevent would go on without TLS if it was given nothing. */
static struct bufferevent *take_connection(struct event_base *base, void *context)
{
	struct server *server = context;
	struct control *control = server->control;
	struct connection *connection = calloc(1, sizeof(*connection));
	SSL *ssl = tls_accept(control->tls);

	if (connection == NULL || ssl == NULL)
		goto fail;
	connection->server = server;
	connection->ssl = ssl;
	connection->deadline_s =
	    control_monotonic_s() + control->config->admin.request_timeout_us / 1000000 + 1;
	connection->socket = bufferevent_openssl_socket_new(
	    base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	if (connection->socket == NULL ||
	    SSL_set_ex_data(ssl, server->ssl_index, connection) == 0 ||
	    SSL_set_app_data(ssl, connection) == 0)
		goto fail;
	SSL_set_info_callback(ssl, on_handshake);
	bufferevent_openssl_set_allow_dirty_shutdown(connection->socket, 1);
	LIST_INSERT_HEAD(&server->connections, connection, others);
	server->connection_count++;
	counter_set(&control->counters.connections, server->connection_count);
	counter_add(&control->counters.connections_total, 1);
	if (server->connection_count >= control->config->admin.connection_count_max)
		listen_on(server, false);
	return connection->socket;
fail:
	log_error("no memory is left for a connection: the control process ends");
	exit(EXIT_FAILURE);
}

/* As a timeout ends it. */
static void end_connection(struct connection *connection)
{
	bufferevent_trigger_event(connection->socket, BEV_EVENT_TIMEOUT | BEV_EVENT_READING, 0);
}

/* Whether others of the list, older ones, are so many of the same source that it is too many. */
static bool is_too_many(const struct connection *connection)
{
	const struct server *server = connection->server;
	struct ip_address source = ip_address_source(&connection->source);
	uint64_t most = server->control->config->admin.connection_count_max / SERVER_SOURCE_SHARE;
	const struct connection *other = connection;
	uint64_t count = 0;

	while ((other = LIST_NEXT(other, others)) != NULL) {
		struct ip_address its = ip_address_source(&other->source);

		count += other->has_source && memcmp(&its, &source, sizeof(source)) == 0;
	}
	return count >= max_u64(most, 1);
}

void server_tick(struct server *server)
{
	struct control_counters *counters = &server->control->counters;
	uint64_t now_s = control_monotonic_s();
	struct connection *connection, *next;

	for (connection = LIST_FIRST(&server->connections); connection != NULL;
	     connection = LIST_NEXT(connection, others))
		find_source(connection);
	for (connection = LIST_FIRST(&server->connections); connection != NULL; connection = next) {
		bool is_waiting = connection->deadline_s != 0;

		next = LIST_NEXT(connection, others);
		if (is_waiting && now_s >= connection->deadline_s) {
			counter_add(&counters->connections_expired, 1);
			end_connection(connection);
		} else if (is_waiting && connection->has_source && is_too_many(connection)) {
			counter_add(&counters->connections_refused, 1);
			end_connection(connection);
		}
	}
}

void server_look_at_certificates(struct server *server)
{
	uint64_t now_s = control_now_s();
	struct connection *connection, *next;

	for (connection = LIST_FIRST(&server->connections); connection != NULL; connection = next) {
		next = LIST_NEXT(connection, others);
		if (SSL_is_init_finished(connection->ssl) &&
		    !tls_still_good(server->control->tls, connection->ssl, now_s))
			end_connection(connection);
	}
}

/* Requests. */

/* The connection may rest until its next request. */
static void on_replied(struct evhttp_request *request, void *context)
{
	struct connection *connection = context;

	connection->deadline_s = control_monotonic_s() + KEEP_ALIVE_S;
}

static void on_request(struct evhttp_request *request, void *context)
{
	struct server *server = context;
	struct evhttp_connection *http = evhttp_request_get_connection(request);
	struct bufferevent *socket = evhttp_connection_get_bufferevent(http);
	SSL *ssl = bufferevent_openssl_get_ssl(socket);
	struct peer peer = {.fd = bufferevent_getfd(socket), .ssl = ssl};

	if (ssl != NULL) {
		struct connection *connection = SSL_get_ex_data(ssl, server->ssl_index);

		find_source(connection);
		connection->deadline_s = 0;
		evhttp_request_set_on_complete_cb(request, on_replied, connection);
		peer.source = &connection->source;
		peer.port = connection->port;
	}
	dispatch(&server->dispatch, request, &peer);
}

/* Listening. */

static struct evhttp *http_create(struct server *server, uint64_t timeout_s)
{
	struct evhttp *http = evhttp_new(server->control->base);

	if (http == NULL)
		return NULL;
	evhttp_set_allowed_methods(http, METHODS);
	evhttp_set_max_headers_size(http, HEADERS_BYTES_MAX);
	evhttp_set_max_body_size(http, EXCHANGE_BODY_BYTES_MAX);
	evhttp_set_timeout(http, (int)timeout_s);
	evhttp_set_default_content_type(http, "application/json");
	evhttp_set_gencb(http, on_request, server);
	return http;
}

static int listen_at(struct server *server, const struct ip_address *address)
{
	const struct admin *admin = &server->control->config->admin;
	const int on = 1;
	struct evconnlistener *listener;
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
	                           .sin6_port = htons((uint16_t)admin->port)};
	struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)admin->port)};
	bool is_ip4 = ip_address_is_ip4(address);
	char text[IP_ADDRESS_TEXT_MAX];

	memcpy(&in4.sin_addr, address->bytes + 12, 4);
	memcpy(&in6.sin6_addr, address->bytes, 16);
	listener = evconnlistener_new_bind(
	    server->control->base, NULL, NULL,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE |
	        (is_ip4 ? 0u : LEV_OPT_BIND_IPV6ONLY),
	    BACKLOG, is_ip4 ? (struct sockaddr *)&in4 : (struct sockaddr *)&in6,
	    is_ip4 ? sizeof(in4) : sizeof(in6));
	if (listener == NULL) {
		int r = -errno;

		ip_address_format(address, text);
		log_error("admin.listen: %s, port %llu cannot be listened on: %s: choose another%s",
		          text, (unsigned long long)admin->port, strerror(-r),
		          r == -EACCES ? ", from 1024 on" : ", or end who has it (ss -ltnp)");
		return r;
	}
	/* connections have it from the listener: what is written in pieces, as replies are, would
	 * wait for an acknowledgement in between, which takes 40 ms */
	setsockopt(evconnlistener_get_fd(listener), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	server->listeners[server->listener_count++] = listener;
	return evhttp_bind_listener(server->https, listener) == NULL ? -ENOMEM : 0;
}

static int https_create(struct server *server)
{
	const struct admin *admin = &server->control->config->admin;
	int r;

	server->ssl_index =
	    CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL, 0, server, NULL, NULL, forget_connection);
	server->https = http_create(server, KEEP_ALIVE_S);
	if (server->https == NULL || server->ssl_index < 0)
		return -ENOMEM;
	evhttp_set_bevcb(server->https, take_connection, server);
	for (uint32_t i = 0; i < admin->listen_count; i++) {
		r = listen_at(server, &admin->listen[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A file that nobody listens on any more is taken out of the way; the new one is made under another
 * name and put in its place, with its mode from the first moment on. */
static int local_bind(const char *path, int *ret_fd)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	mode_t mask;
	int r;

	if (fd < 0)
		return -errno;
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0 || errno == EAGAIN) {
		close(fd);
		return -EADDRINUSE;
	}
	unlink(path);
	mask = umask(0117); /* owner and group */
	r = bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ? -errno : 0;
	umask(mask);
	if (r == 0 && listen(fd, BACKLOG) < 0)
		r = -errno;
	if (r < 0)
		close(fd);
	else
		*ret_fd = fd;
	return r;
}

static uint64_t local_timeout_s(const struct admin *admin)
{
	return admin->request_timeout_us / 1000000 + 1;
}

static int local_create(struct server *server)
{
	const struct admin *admin = &server->control->config->admin;
	int fd = -1, r;

	server->local = http_create(server, local_timeout_s(admin));
	if (server->local == NULL)
		return -ENOMEM;
	r = local_bind(admin->socket, &fd);
	if (r < 0) {
		log_error("admin.socket: %s cannot be listened on: %s: %s", admin->socket,
		          strerror(-r),
		          r == -EADDRINUSE ? "another kanted has it, choose another"
		                           : "its directory has to be there, and be ours");
		return r;
	}
	if (evhttp_accept_socket(server->local, fd) < 0) {
		close(fd);
		return -ENOMEM;
	}
	return 0;
}

void server_limit(struct server *server)
{
	const struct admin *admin = &server->control->config->admin;

	evhttp_set_timeout(server->local, (int)local_timeout_s(admin));
	listen_on(server, server->connection_count < admin->connection_count_max);
}

int server_create(struct server **ret_server, struct control *control)
{
	struct server *server = calloc(1, sizeof(*server));
	int r = -ENOMEM;

	if (server == NULL)
		goto fail;
	server->control = control;
	server->ssl_index = -1;
	LIST_INIT(&server->connections);
	dispatch_create(&server->dispatch, control);
	r = local_create(server);
	if (r < 0)
		goto fail;
	if (control->tls != NULL) {
		r = https_create(server);
		if (r < 0)
			goto fail;
	}
	*ret_server = server;
	return 0;
fail:
	if (r == -ENOMEM)
		log_error("not enough memory for the admin server");
	server_destroy(server);
	return r;
}

void server_destroy(struct server *server)
{
	if (server == NULL)
		return;
	server->is_full = false;
	server->listener_count = 0; /* libevent frees them */
	if (server->https != NULL)
		evhttp_free(server->https);
	if (server->local != NULL) {
		unlink(server->control->config->admin.socket);
		evhttp_free(server->local);
	}
	free(server);
}
