/* SPDX-License-Identifier: Apache-2.0 */
/* Makes TLS handshakes with a server on this host, one after the other, and says how many:
 *
 *     handshake_client PORT SECONDS
 *
 * It does no more than it must, so that the server can be asked for as many as a machine of few
 * cores allows: it does not look at the server's certificate, and says good-bye as soon as it may.
 * TLS 1.2 with ECDHE and ECDSA has the same public-key operations as 1.3; what OpenSSL 3.0 does
 * around them (deriving keys) is less.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "handshake_client: %s\n", what);
	exit(1);
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void handshake(SSL_CTX *context, const struct sockaddr_in *address)
{
	const int on = 1; /* the good-bye does not wait for the Finished to be acknowledged */
	/* no state of TIME_WAIT here: tens of thousands would use up the ports */
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	SSL *ssl = SSL_new(context);
	uint8_t byte;

	if (fd < 0 || ssl == NULL)
		die("no socket, or no memory");
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) < 0)
		die("setsockopt");
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		die("cannot connect");
	if (SSL_set_fd(ssl, fd) != 1 || SSL_connect(ssl) != 1)
		die("the server refuses the handshake");
	/* it answers, or hangs up, when it has taken our Finished and our good-bye */
	if (SSL_shutdown(ssl) < 0 || recv(fd, &byte, 1, 0) < 0)
		die("the server ends the connection");
	SSL_free(ssl);
	close(fd);
}

int main(int argc, char **argv)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	unsigned long count = 0;
	double until_s;

	if (argc != 3)
		die("usage: handshake_client PORT SECONDS");
	if (context == NULL || SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set1_groups_list(context, "X25519:P-256") != 1)
		die("OpenSSL knows no TLS 1.2");
	address.sin_port = htons((uint16_t)atoi(argv[1]));
	until_s = now_s() + atof(argv[2]);
	for (; now_s() < until_s; count++)
		handshake(context, &address);
	printf("%lu handshakes\n", count);
	SSL_CTX_free(context);
	return 0;
}
