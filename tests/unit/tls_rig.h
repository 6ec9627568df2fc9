/* SPDX-License-Identifier: Apache-2.0 */
/* A server's TLS with its files in a folder, and clients of plain OpenSSL that meet it in memory.
 */
#pragma once

#include "certificates_rig.h"
#include "control/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#define NOW ((uint64_t)time(NULL))

#define REASON_BYTES 160

struct rig {
	struct folder folder;
	char certificate_path[96], key_path[96], ca_path[96], crl_path[96], own_ca_path[96];
	struct tls_options options;
	struct tls *tls;
	struct party ca; /* who has signed the server's certificate, and clients' */
	struct party server;
	char text[4096]; /* errors, and what a look tells */
};

/* What a client is like. Zeroed: any version, any cipher, no certificate. */
struct client {
	const struct party *party;
	const struct party *between; /* a CA below the root */
	int version;                 /* 0: any */
	const char *ciphers;         /* of TLS 1.2 and before */
	const char *suites;          /* of TLS 1.3 */
	bool distrusts;              /* it knows no CA */
	SSL_SESSION *session;        /* to be resumed */
	SSL_SESSION **ret_session;   /* that the server has offered, if any: to be freed */
};

/* A client and the server, and how far they have come. */
struct meeting {
	SSL *server, *client;
	bool ok;
	char reason[REASON_BYTES]; /* of the server, when it failed */
};

static inline void path_make(struct rig *rig, char ret_path[96], const char *name)
{
	snprintf(ret_path, 96, "%s/%s", rig->folder.path, name);
}

/* Files of a CA and of a server, with a CRL of nobody; nothing is opened. */
static inline void rig_prepare(struct rig *rig)
{
	*rig = (struct rig){0};
	folder_open(&rig->folder);
	path_make(rig, rig->certificate_path, "server.crt");
	path_make(rig, rig->key_path, "server.key");
	path_make(rig, rig->ca_path, "ca.crt");
	path_make(rig, rig->crl_path, "ca.crl");
	path_make(rig, rig->own_ca_path, "own.crt");
	rig->options = (struct tls_options){
	    .certificate_path = rig->certificate_path,
	    .key_path = rig->key_path,
	    .client_ca_path = rig->ca_path,
	    .crl_path = rig->crl_path,
	    .own_ca_path = rig->own_ca_path,
	};
	rig->ca = party_make(NULL, (struct party_options){.name = "CA", .ca = true});
	rig->server =
	    party_make(&rig->ca, (struct party_options){.name = "server", .purpose = "serverAuth"});
	put_certificate(&rig->folder, "ca.crt", &rig->ca);
	put_certificate(&rig->folder, "server.crt", &rig->server);
	put_key(&rig->folder, "server.key", &rig->server);
	put_lists(&rig->folder, "ca.crl", list_make(&rig->ca, NULL, -60, DAY), NULL);
}

/* What need not outlive the call does not. */
static inline int rig_try(struct rig *rig)
{
	struct tls_options options = rig->options;
	size_t rules_bytes = options.rule_count * sizeof(options.rules[0]);
	struct tls_rule *rules = malloc(rules_bytes + 1);
	char *own_ca_path = strdup(options.own_ca_path == NULL ? "" : options.own_ca_path);
	int r;

	if (rules_bytes > 0)
		memcpy(rules, options.rules, rules_bytes);
	options.rules = rules;
	if (options.own_ca_path != NULL)
		options.own_ca_path = own_ca_path;
	tls_close(rig->tls);
	rig->tls = NULL;
	r = tls_open(&rig->tls, &options, rig->text, sizeof(rig->text));
	memset(rules, 0, rules_bytes);
	own_ca_path[0] = '\0';
	free(rules);
	free(own_ca_path);
	return r;
}

static inline void rig_start(struct rig *rig)
{
	int r = rig_try(rig);

	if (r < 0)
		printf("\n%d: %s\n", r, rig->text);
	CU_ASSERT_EQUAL_FATAL(r, 0);
}

static inline void rig_open(struct rig *rig)
{
	rig_prepare(rig);
	rig_start(rig);
}

static inline void rig_close(struct rig *rig)
{
	CU_ASSERT_EQUAL(ERR_peek_error(), 0); /* nothing is left to confuse the next one */
	ERR_clear_error();
	tls_close(rig->tls);
	party_free(&rig->ca);
	party_free(&rig->server);
	folder_close(&rig->folder);
}

static inline int keep_session(SSL *ssl, SSL_SESSION *session)
{
	SSL_SESSION **ret_session = SSL_get_app_data(ssl);

	if (ret_session == NULL)
		return 0;
	SSL_SESSION_free(*ret_session);
	*ret_session = session;
	return 1;
}

static inline SSL *client_make(const struct client *client)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl;

	/* it takes anything, so that it is the server who refuses */
	SSL_CTX_set_security_level(context, 0);
	SSL_CTX_set_min_proto_version(context, client->version);
	SSL_CTX_set_max_proto_version(context, client->version);
	SSL_CTX_set_verify(context, client->distrusts ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT);
	SSL_CTX_sess_set_new_cb(context, keep_session);
	if (client->ciphers != NULL)
		CU_ASSERT_EQUAL(SSL_CTX_set_cipher_list(context, client->ciphers), 1);
	if (client->suites != NULL)
		CU_ASSERT_EQUAL(SSL_CTX_set_ciphersuites(context, client->suites), 1);
	ssl = SSL_new(context);
	SSL_CTX_free(context);
	SSL_set_app_data(ssl, client->ret_session);
	if (client->party != NULL) {
		SSL_use_certificate(ssl, client->party->certificate);
		SSL_use_PrivateKey(ssl, client->party->key);
	}
	if (client->between != NULL)
		SSL_add1_chain_cert(ssl, client->between->certificate);
	if (client->session != NULL)
		SSL_set_session(ssl, client->session);
	SSL_set_connect_state(ssl);
	return ssl;
}

/* Goes on until the server has finished or failed, and the client has nothing to say. */
static inline void shake_hands(struct meeting *meeting)
{
	for (int i = 0; i < 20 && !meeting->ok; i++) {
		int client = SSL_do_handshake(meeting->client), server;

		ERR_clear_error();
		server = SSL_do_handshake(meeting->server);
		if (server != 1 && SSL_get_error(meeting->server, server) != SSL_ERROR_WANT_READ) {
			tls_reason(meeting->server, ERR_get_error(), meeting->reason, REASON_BYTES);
			break;
		}
		meeting->ok = client == 1 && server == 1;
	}
	ERR_clear_error();
}

static inline struct meeting meet(struct rig *rig, const struct client *client)
{
	struct meeting meeting = {tls_accept(rig->tls), client_make(client), false, ""};
	BIO *server_end, *client_end;

	CU_ASSERT_PTR_NOT_NULL_FATAL(meeting.server);
	CU_ASSERT_EQUAL(BIO_new_bio_pair(&server_end, 0, &client_end, 0), 1);
	SSL_set_bio(meeting.server, server_end, server_end);
	SSL_set_bio(meeting.client, client_end, client_end);
	ERR_clear_error();
	shake_hands(&meeting);
	return meeting;
}

/* True: both ends can talk to each other. */
static inline bool talk(struct meeting *meeting)
{
	char bytes[8];
	bool ok = SSL_write(meeting->client, "ping", 4) == 4 &&
	          SSL_read(meeting->server, bytes, sizeof(bytes)) == 4 &&
	          SSL_write(meeting->server, "pong", 4) == 4 &&
	          SSL_read(meeting->client, bytes, sizeof(bytes)) == 4;

	ERR_clear_error();
	return ok;
}

static inline void part(struct meeting *meeting)
{
	SSL_free(meeting->server);
	SSL_free(meeting->client);
	*meeting = (struct meeting){0};
}

/* Whether such a client gets in, and is heard. */
static inline bool gets_in(struct rig *rig, struct client client)
{
	struct meeting meeting = meet(rig, &client);
	bool ok = meeting.ok && talk(&meeting);

	part(&meeting);
	return ok;
}

/* With TLS 1.2 and 1.3; the reason must be said. */
static inline bool stays_out(struct rig *rig, struct client client, const char *reason)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	bool ok = true;

	for (int i = 0; i < 2; i++) {
		struct meeting meeting;

		client.version = versions[i];
		meeting = meet(rig, &client);
		if (meeting.ok || strcmp(meeting.reason, reason) != 0) {
			printf("\nwant: %s\ngot %d: %s\n", reason, meeting.ok, meeting.reason);
			ok = false;
		}
		part(&meeting);
	}
	return ok;
}

/* The role that a client's certificate gives; -1: he does not get in. */
static inline int role_of(struct rig *rig, const struct party *party)
{
	const struct client client = {.party = party};
	struct meeting meeting = meet(rig, &client);
	struct identity identity = {.role = ROLE_COUNT};
	int role = -1;

	if (meeting.ok && tls_identity(rig->tls, meeting.server, &identity))
		role = (int)identity.role;
	part(&meeting);
	return role;
}

static inline bool text_says(struct rig *rig, const char *text)
{
	if (strstr(rig->text, text) != NULL)
		return true;
	printf("\nwant: %s\ngot: %s\n", text, rig->text);
	return false;
}

static inline enum tls_look look(struct rig *rig, uint64_t now_s)
{
	return tls_look(rig->tls, false, now_s, rig->text, sizeof(rig->text));
}

static inline enum tls_look look_now(struct rig *rig, uint64_t now_s)
{
	return tls_look(rig->tls, true, now_s, rig->text, sizeof(rig->text));
}

/* Settled: nothing has changed, and nothing is to be looked at once more. */
static inline void rig_open_settled(struct rig *rig)
{
	rig_open(rig);
	CU_ASSERT_EQUAL(look(rig, 1), TLS_SAME);
}

/* A new certificate of the same CA and its key: not written yet. */
static inline struct party next_server(struct rig *rig)
{
	return party_make(&rig->ca,
	                  (struct party_options){.name = "server", .purpose = "serverAuth"});
}

/* Whether a new connection sees that server. */
static inline bool shows(struct rig *rig, const struct party *server)
{
	const struct client client = {0};
	struct meeting meeting = meet(rig, &client);
	X509 *shown = SSL_get0_peer_certificate(meeting.client);
	bool ok = meeting.ok && talk(&meeting) && X509_cmp(shown, server->certificate) == 0;

	part(&meeting);
	return ok;
}
