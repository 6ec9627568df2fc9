/* SPDX-License-Identifier: Apache-2.0 */
/* What a TLS handshake costs the server: handshakes [COUNT]. Certificates by the node's own CA (EC
 * P-256), in memory, by one thread; of it the processor time that the server's side has taken. */
#include "control/authority.h"
#include "control/tls.h"

#include <ftw.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define PATH_BYTES 96

struct rig {
	char folder[32];
	char certificate[PATH_BYTES], key[PATH_BYTES], ca[PATH_BYTES], crl[PATH_BYTES];
	char client_certificate[PATH_BYTES], client_key[PATH_BYTES];
	struct tls *tls;
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "handshakes: %s\n", what);
	exit(1);
}

static void path_make(struct rig *rig, char ret_path[PATH_BYTES], const char *name)
{
	snprintf(ret_path, PATH_BYTES, "%s/%s", rig->folder, name);
}

static void rig_open(struct rig *rig)
{
	struct tls_options options = {
	    .certificate_path = rig->certificate,
	    .key_path = rig->key,
	    .client_ca_path = rig->ca,
	    .crl_path = rig->crl,
	    .own_ca_path = rig->ca,
	};
	char error[1024];
	uint32_t made;

	snprintf(rig->folder, sizeof(rig->folder), "/tmp/kante-handshakes-XXXXXX");
	if (mkdtemp(rig->folder) == NULL)
		die("no folder");
	path_make(rig, rig->certificate, "server.crt");
	path_make(rig, rig->key, "server.key");
	path_make(rig, rig->ca, "ca.crt");
	path_make(rig, rig->crl, "ca.crl");
	path_make(rig, rig->client_certificate, "clients/admin.crt");
	path_make(rig, rig->client_key, "clients/admin.key");
	if (authority_make(rig->folder, "node", NULL, 0, (uint64_t)time(NULL), &made, error,
	                   sizeof(error)) < 0 ||
	    tls_open(&rig->tls, &options, error, sizeof(error)) < 0)
		die(error);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	return remove(path);
}

static void rig_close(struct rig *rig)
{
	tls_close(rig->tls);
	nftw(rig->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The nanoseconds that the server has taken. */
static uint64_t handshake(struct rig *rig, SSL_CTX *context)
{
	uint64_t start_ns = now_ns(), used_ns;
	SSL *server = tls_accept(rig->tls), *client = SSL_new(context);
	BIO *server_end, *client_end;
	int done = 0;

	if (server == NULL || client == NULL ||
	    BIO_new_bio_pair(&server_end, 0, &client_end, 0) != 1)
		die("no memory");
	SSL_set_bio(server, server_end, server_end);
	SSL_set_bio(client, client_end, client_end);
	SSL_set_connect_state(client);
	used_ns = now_ns() - start_ns;
	for (int i = 0; i < 8 && done != 1; i++) {
		(void)SSL_do_handshake(client);
		start_ns = now_ns();
		done = SSL_do_handshake(server);
		used_ns += now_ns() - start_ns;
	}
	if (done != 1)
		die(ERR_reason_error_string(ERR_peek_last_error()));
	start_ns = now_ns();
	SSL_free(server);
	used_ns += now_ns() - start_ns;
	SSL_free(client);
	return used_ns;
}

static void measure(struct rig *rig, int version, bool certificate, int count)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	uint64_t used_ns = 0;

	SSL_CTX_set_min_proto_version(context, version);
	SSL_CTX_set_max_proto_version(context, version);
	if (certificate &&
	    (SSL_CTX_use_certificate_file(context, rig->client_certificate, SSL_FILETYPE_PEM) !=
	         1 ||
	     SSL_CTX_use_PrivateKey_file(context, rig->client_key, SSL_FILETYPE_PEM) != 1))
		die("no client certificate");
	for (int i = 0; i < count / 10; i++)
		(void)handshake(rig, context);
	for (int i = 0; i < count; i++)
		used_ns += handshake(rig, context);
	printf("TLS %s, %s: %.0f us, %.0f a second\n", version == TLS1_2_VERSION ? "1.2" : "1.3",
	       certificate ? "with a client certificate" : "without", (double)used_ns / count / 1e3,
	       count * 1e9 / (double)used_ns);
	SSL_CTX_free(context);
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 5000;
	struct rig rig;

	if (count <= 0)
		die("COUNT is a number from 1 on");
	rig_open(&rig);
	for (int certificate = 0; certificate < 2; certificate++) {
		measure(&rig, TLS1_2_VERSION, certificate, count);
		measure(&rig, TLS1_3_VERSION, certificate, count);
	}
	rig_close(&rig);
	return 0;
}
