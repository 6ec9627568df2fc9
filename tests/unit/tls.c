/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets in: versions, ciphers, and certificates good and bad. */
#include "control/tls.h"

#include "tls_rig.h"

static const struct party_options client_options = {
    .name = "ops", .units = {"kante-role:operator"}, .purpose = "clientAuth"};

static void only_tls_1_2_and_1_3_are_taken(void)
{
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_TRUE(gets_in(&rig, (struct client){.version = TLS1_3_VERSION}));
	CU_ASSERT_TRUE(gets_in(&rig, (struct client){.version = TLS1_2_VERSION}));
	for (int version = TLS1_VERSION; version <= TLS1_1_VERSION; version++) {
		const struct client client = {.version = version};
		struct meeting meeting = meet(&rig, &client);

		CU_ASSERT_FALSE(meeting.ok);
		CU_ASSERT_STRING_EQUAL(meeting.reason,
		                       "the client speaks nothing newer than TLS 1.1");
		part(&meeting);
	}
	rig_close(&rig);
}

/* All ciphers that OpenSSL has, to a server with an EC key and to one with RSA. */
static void only_aead_with_forward_secrecy_is_taken(void)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	STACK_OF(SSL_CIPHER) * ciphers;
	uint32_t taken = 0, refused = 0;
	struct party rsa;
	struct rig rig;

	rig_open(&rig);
	rsa = party_make(&rig.ca, (struct party_options){.name = "server", .rsa = true});
	SSL_CTX_set_security_level(context, 0);
	SSL_CTX_set_cipher_list(context, "ALL:COMPLEMENTOFALL");
	ciphers = SSL_CTX_get_ciphers(context);
	for (int key = 0; key < 2; key++) {
		if (key == 1) {
			put_certificate(&rig.folder, "server.crt", &rsa);
			put_key(&rig.folder, "server.key", &rsa);
			rig_start(&rig);
		}
		for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++) {
			const char *name = SSL_CIPHER_get_name(sk_SSL_CIPHER_value(ciphers, i));
			bool good = strncmp(name, "ECDHE-", 6) == 0 &&
			            strstr(name, key == 0 ? "-ECDSA-" : "-RSA-") != NULL &&
			            strstr(name, "ARIA") == NULL &&
			            (strstr(name, "-GCM-") != NULL ||
			             strstr(name, "-CHACHA20-POLY1305") != NULL);

			if (strncmp(name, "TLS_", 4) == 0)
				continue;
			CU_ASSERT_EQUAL(gets_in(&rig, (struct client){.version = TLS1_2_VERSION,
			                                              .ciphers = name}),
			                good);
			taken += good;
			refused += !good;
		}
	}
	CU_ASSERT_EQUAL(taken, 6);
	CU_ASSERT_TRUE(refused > 200);
	SSL_CTX_free(context);
	party_free(&rsa);
	rig_close(&rig);
}

static void of_tls_1_3_three_ciphers_are_taken(void)
{
	static const struct {
		const char *suite;
		bool good;
	} suites[] = {{"TLS_AES_128_GCM_SHA256", true},
	              {"TLS_AES_256_GCM_SHA384", true},
	              {"TLS_CHACHA20_POLY1305_SHA256", true},
	              {"TLS_AES_128_CCM_SHA256", false},
	              {"TLS_AES_128_CCM_8_SHA256", false}};
	const struct client none = {.version = TLS1_3_VERSION, .suites = suites[3].suite};
	struct meeting meeting;
	struct rig rig;

	rig_open(&rig);
	for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
		CU_ASSERT_EQUAL(gets_in(&rig, (struct client){.version = TLS1_3_VERSION,
		                                              .suites = suites[i].suite}),
		                suites[i].good);
	meeting = meet(&rig, &none);
	CU_ASSERT_STRING_EQUAL(meeting.reason, "the client has no cipher that is taken here");
	part(&meeting);
	rig_close(&rig);
}

static void a_client_without_a_certificate_gets_in_as_nobody(void)
{
	const struct client client = {0};
	struct identity identity = {.role = ROLE_admin, .name = "x"};
	struct meeting meeting;
	struct rig rig;

	rig_open(&rig);
	meeting = meet(&rig, &client);
	CU_ASSERT_TRUE(meeting.ok);
	CU_ASSERT_FALSE(tls_identity(rig.tls, meeting.server, &identity));
	CU_ASSERT_STRING_EQUAL(identity.name, "x");
	CU_ASSERT_TRUE(tls_still_good(rig.tls, meeting.server, NOW));
	part(&meeting);
	rig_close(&rig);
}

static void a_good_certificate_says_who_it_is(void)
{
	static const struct tls_rule rules[] = {{"CN=ops", ROLE_operator}};
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	struct rig rig;
	struct party ops;
	char *serial;
	BIGNUM *number;

	rig_prepare(&rig);
	rig.options.rules = rules;
	rig.options.rule_count = 1;
	rig_start(&rig);
	ops = party_make(&rig.ca, client_options);
	number = ASN1_INTEGER_to_BN(X509_get_serialNumber(ops.certificate), NULL);
	serial = BN_bn2hex(number);
	for (int i = 0; i < 2; i++) {
		const struct client client = {.party = &ops, .version = versions[i]};
		struct identity identity = {.from = "here"};
		struct meeting meeting = meet(&rig, &client);

		CU_ASSERT_TRUE(meeting.ok && talk(&meeting));
		CU_ASSERT_TRUE(tls_identity(rig.tls, meeting.server, &identity));
		CU_ASSERT_EQUAL(identity.role, ROLE_operator);
		CU_ASSERT_EQUAL(identity.credential, CREDENTIAL_certificate);
		CU_ASSERT_STRING_EQUAL(identity.name, "CN=ops,OU=kante-role:operator");
		CU_ASSERT_STRING_EQUAL(identity.credential_id, serial);
		CU_ASSERT_STRING_EQUAL(identity.from, "here");
		CU_ASSERT_TRUE(tls_still_good(rig.tls, meeting.server, NOW));
		part(&meeting);
	}
	OPENSSL_free(serial);
	BN_free(number);
	party_free(&ops);
	rig_close(&rig);
}

static void a_bad_certificate_fails_the_handshake(void)
{
	struct party other = party_make(NULL, (struct party_options){.name = "Other", .ca = true});
	/* of the same name, and with another key */
	struct party twin = party_make(NULL, (struct party_options){.name = "CA", .ca = true});
	struct party_options options;
	struct party party;
	struct rig rig;

	rig_open(&rig);
	options = client_options;
	options.from_s = -2 * DAY;
	options.to_s = -1;
	party = party_make(&rig.ca, options);
	CU_ASSERT_TRUE(stays_out(&rig, (struct client){.party = &party},
	                         "the client's certificate: it, or a CA above it, has expired"));
	party_free(&party);
	options.from_s = 3600;
	options.to_s = DAY;
	party = party_make(&rig.ca, options);
	CU_ASSERT_TRUE(stays_out(&rig, (struct client){.party = &party},
	                         "the client's certificate: it is not valid yet"));
	party_free(&party);
	party = party_make(&other, client_options);
	CU_ASSERT_TRUE(stays_out(&rig, (struct client){.party = &party},
	                         "the client's certificate: the CA that has signed it is not "
	                         "trusted here, or the CA between is missing"));
	CU_ASSERT_TRUE(stays_out(&rig, (struct client){.party = &party, .between = &other},
	                         "the client's certificate: the CA that has signed it is not "
	                         "trusted here, or the CA between is missing"));
	party_free(&party);
	party = party_make(&twin, client_options);
	CU_ASSERT_FALSE(gets_in(&rig, (struct client){.party = &party}));
	party_free(&party);
	party = party_make(NULL, client_options);
	CU_ASSERT_TRUE(stays_out(&rig, (struct client){.party = &party},
	                         "the client's certificate: it is signed by itself"));
	party_free(&party);
	CU_ASSERT_TRUE(stays_out(&rig, (struct client){.party = &rig.server},
	                         "the client's certificate: it is not meant for clients"));
	/* a client is no CA: it cannot sign others */
	party = party_make(&rig.ca, client_options);
	options = client_options;
	options.units[0] = "kante-role:admin";
	party_free(&twin);
	twin = party_make(&party, options);
	CU_ASSERT_FALSE(gets_in(&rig, (struct client){.party = &twin, .between = &party}));
	party_free(&party);
	party_free(&twin);
	party_free(&other);
	rig_close(&rig);
}

static void a_revoked_certificate_fails_the_handshake(void)
{
	struct party good, bad;
	struct rig rig;

	rig_prepare(&rig);
	good = party_make(&rig.ca, client_options);
	bad = party_make(&rig.ca, client_options);
	put_lists(&rig.folder, "ca.crl", list_make(&rig.ca, &bad, -60, DAY), NULL);
	rig_start(&rig);
	CU_ASSERT_TRUE(gets_in(&rig, (struct client){.party = &good}));
	CU_ASSERT_TRUE(stays_out(&rig, (struct client){.party = &bad},
	                         "the client's certificate: it is revoked"));
	/* when nobody knows any more who is revoked, nobody gets in */
	put_lists(&rig.folder, "ca.crl", list_make(&rig.ca, &bad, -3600, -60), NULL);
	rig_start(&rig);
	CU_ASSERT_TRUE(stays_out(&rig, (struct client){.party = &good},
	                         "the client's certificate: the CRL of a CA above it has expired"));
	CU_ASSERT_TRUE(gets_in(&rig, (struct client){0}));
	put_lists(&rig.folder, "ca.crl", list_make(&rig.ca, &bad, 3600, DAY), NULL);
	rig_start(&rig);
	CU_ASSERT_TRUE(
	    stays_out(&rig, (struct client){.party = &good},
	              "the client's certificate: the CRL of a CA above it is not valid yet"));
	/* no list: nobody is revoked */
	unlink(rig.crl_path);
	rig_start(&rig);
	CU_ASSERT_TRUE(gets_in(&rig, (struct client){.party = &bad}));
	put_lists(&rig.folder, "ca.crl", list_make(&rig.ca, &bad, -60, DAY), NULL);
	rig.options.crl_path = NULL;
	rig_start(&rig);
	CU_ASSERT_TRUE(gets_in(&rig, (struct client){.party = &bad}));
	party_free(&good);
	party_free(&bad);
	rig_close(&rig);
}

static void a_chain_with_a_ca_between_is_followed(void)
{
	struct party between, good, bad;
	struct rig rig;

	rig_prepare(&rig);
	between = party_make(&rig.ca, (struct party_options){.name = "Between", .ca = true});
	good = party_make(&between, client_options);
	bad = party_make(&between, client_options);
	put_lists(&rig.folder, "ca.crl", list_make(&rig.ca, NULL, -60, DAY),
	          list_make(&between, &bad, -60, DAY));
	rig_start(&rig);
	CU_ASSERT_TRUE(gets_in(&rig, (struct client){.party = &good, .between = &between}));
	CU_ASSERT_TRUE(stays_out(&rig, (struct client){.party = &bad, .between = &between},
	                         "the client's certificate: it is revoked"));
	CU_ASSERT_TRUE(stays_out(&rig, (struct client){.party = &good},
	                         "the client's certificate: the CA that has signed it is not "
	                         "trusted here, or the CA between is missing"));
	/* trusted by name, and so not sent */
	put_certificates(&rig.folder, "ca.crt", &between, &rig.ca, NULL);
	rig_start(&rig);
	CU_ASSERT_TRUE(gets_in(&rig, (struct client){.party = &good}));
	CU_ASSERT_FALSE(gets_in(&rig, (struct client){.party = &bad}));
	/* the CA between is revoked itself */
	put_certificate(&rig.folder, "ca.crt", &rig.ca);
	put_lists(&rig.folder, "ca.crl", list_make(&rig.ca, &between, -60, DAY),
	          list_make(&between, NULL, -60, DAY));
	rig_start(&rig);
	CU_ASSERT_TRUE(stays_out(&rig, (struct client){.party = &good, .between = &between},
	                         "the client's certificate: it is revoked"));
	/* and no list of it is not the same as an empty one */
	put_lists(&rig.folder, "ca.crl", list_make(&rig.ca, NULL, -60, DAY), NULL);
	rig_start(&rig);
	CU_ASSERT_TRUE(stays_out(&rig, (struct client){.party = &good, .between = &between},
	                         "the client's certificate: there is no CRL of a CA above it"));
	party_free(&between);
	party_free(&good);
	party_free(&bad);
	rig_close(&rig);
}

static void without_client_cas_no_certificate_is_asked_for(void)
{
	struct party ops;
	struct rig rig;

	rig_prepare(&rig);
	rig.options.client_ca_path = NULL;
	rig_start(&rig);
	ops = party_make(&rig.ca, client_options);
	CU_ASSERT_TRUE(gets_in(&rig, (struct client){.party = &ops}));
	CU_ASSERT_EQUAL(role_of(&rig, &ops), -1);
	party_free(&ops);
	rig_close(&rig);
}

static void the_server_shows_its_chain_and_no_more(void)
{
	const struct client client = {0};
	struct party between, server;
	struct meeting meeting;
	struct rig rig;

	rig_open(&rig);
	meeting = meet(&rig, &client);
	CU_ASSERT_EQUAL(sk_X509_num(SSL_get_peer_cert_chain(meeting.client)), 1);
	part(&meeting);
	between = party_make(&rig.ca, (struct party_options){.name = "Between", .ca = true});
	server = party_make(&between, (struct party_options){.name = "x"});
	put_certificates(&rig.folder, "server.crt", &server, &between, NULL);
	put_key(&rig.folder, "server.key", &server);
	rig_start(&rig);
	meeting = meet(&rig, &client);
	CU_ASSERT_EQUAL(sk_X509_num(SSL_get_peer_cert_chain(meeting.client)), 2);
	part(&meeting);
	party_free(&between);
	party_free(&server);
	rig_close(&rig);
}

static void renegotiation_is_refused(void)
{
	const struct client client = {.version = TLS1_2_VERSION};
	struct meeting meeting;
	struct rig rig;

	rig_open(&rig);
	meeting = meet(&rig, &client);
	CU_ASSERT_TRUE(meeting.ok && talk(&meeting));
	CU_ASSERT_EQUAL(SSL_renegotiate(meeting.client), 1);
	meeting.ok = false;
	for (int i = 0; i < 4; i++) {
		char bytes[8];

		(void)SSL_do_handshake(meeting.client);
		(void)SSL_read(meeting.server, bytes, sizeof(bytes));
	}
	CU_ASSERT_EQUAL(SSL_num_renegotiations(meeting.server), 0);
	CU_ASSERT_FALSE(SSL_do_handshake(meeting.client) == 1 && talk(&meeting));
	ERR_clear_error();
	part(&meeting);
	rig_close(&rig);
}

/* What was good at the first handshake need not be at the next. */
static void no_session_is_resumed(void)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	struct party ops;
	struct rig rig;

	rig_open(&rig);
	ops = party_make(&rig.ca, client_options);
	for (int i = 0; i < 2; i++) {
		for (int shown = 0; shown < 2; shown++) {
			SSL_SESSION *session = NULL;
			struct client client = {
			    .party = shown ? &ops : NULL,
			    .version = versions[i],
			    .ret_session = &session,
			};
			struct meeting meeting = meet(&rig, &client);

			CU_ASSERT_TRUE(meeting.ok && talk(&meeting));
			CU_ASSERT_PTR_NULL(session); /* no ticket, no id */
			/* nor when the client makes one up */
			client.session = SSL_get1_session(meeting.client);
			part(&meeting);
			meeting = meet(&rig, &client);
			CU_ASSERT_TRUE(meeting.ok && talk(&meeting));
			CU_ASSERT_EQUAL(SSL_session_reused(meeting.server), 0);
			CU_ASSERT_EQUAL(SSL_get0_peer_certificate(meeting.server) != NULL, shown);
			part(&meeting);
			SSL_SESSION_free(client.session);
			SSL_SESSION_free(session);
		}
	}
	party_free(&ops);
	rig_close(&rig);
}

static void an_open_connection_ends_with_its_certificate(void)
{
	const uint64_t now_s = NOW;
	struct client client = {0};
	struct party ops, other, next_ca;
	struct meeting meeting, second;
	struct rig rig;

	rig_open(&rig);
	ops = party_make(&rig.ca, client_options);
	other = party_make(&rig.ca, client_options);
	client.party = &ops;
	meeting = meet(&rig, &client);
	client.party = &other;
	second = meet(&rig, &client);
	CU_ASSERT_TRUE(meeting.ok && second.ok);
	CU_ASSERT_TRUE(tls_still_good(rig.tls, meeting.server, now_s));
	CU_ASSERT_TRUE(tls_still_good(rig.tls, meeting.server, now_s + DAY - 60));
	CU_ASSERT_FALSE(tls_still_good(rig.tls, meeting.server, now_s + DAY + 60));
	CU_ASSERT_FALSE(tls_still_good(rig.tls, meeting.server, 0)); /* a clock gone wrong */
	put_lists(&rig.folder, "ca.crl", list_make(&rig.ca, &ops, -60, 2 * DAY), NULL);
	CU_ASSERT_TRUE(tls_still_good(rig.tls, meeting.server, now_s)); /* not read yet */
	CU_ASSERT_EQUAL(tls_look(rig.tls, false, now_s, rig.text, sizeof(rig.text)), TLS_READ);
	CU_ASSERT_FALSE(tls_still_good(rig.tls, meeting.server, now_s));
	CU_ASSERT_TRUE(tls_still_good(rig.tls, second.server, now_s));
	CU_ASSERT_TRUE(talk(&meeting)); /* it is the loop that closes it */
	/* another CA */
	next_ca = party_make(NULL, (struct party_options){.name = "Next", .ca = true});
	put_certificate(&rig.folder, "ca.crt", &next_ca);
	put_lists(&rig.folder, "ca.crl", list_make(&next_ca, NULL, -60, 2 * DAY), NULL);
	CU_ASSERT_EQUAL(tls_look(rig.tls, false, now_s, rig.text, sizeof(rig.text)), TLS_READ);
	CU_ASSERT_FALSE(tls_still_good(rig.tls, second.server, now_s));
	part(&meeting);
	part(&second);
	party_free(&ops);
	party_free(&other);
	party_free(&next_ca);
	rig_close(&rig);
}

static void connections_outlive_the_tls(void)
{
	const struct client client = {0};
	struct meeting meeting;
	struct rig rig;

	rig_open(&rig);
	meeting = meet(&rig, &client);
	tls_close(rig.tls);
	rig.tls = NULL;
	tls_close(NULL);
	CU_ASSERT_TRUE(talk(&meeting));
	part(&meeting);
	rig_close(&rig);
}

/* The server's reason to what such bytes are answered with. */
static void is_told(struct rig *rig, const char *bytes, size_t length, const char *reason)
{
	SSL *ssl = tls_accept(rig->tls);
	BIO *in = BIO_new_mem_buf(bytes, (int)length);
	char text[REASON_BYTES];

	SSL_set_bio(ssl, in, BIO_new(BIO_s_mem()));
	CU_ASSERT_TRUE(SSL_do_handshake(ssl) <= 0);
	tls_reason(ssl, ERR_get_error(), text, sizeof(text));
	ERR_clear_error();
	if (strcmp(text, reason) != 0)
		printf("\nwant: %s\ngot: %s\n", reason, text);
	CU_ASSERT_STRING_EQUAL(text, reason);
	SSL_free(ssl);
}

static void what_is_no_tls_is_told(void)
{
	struct rig rig;

	rig_open(&rig);
	is_told(&rig, "GET / HTTP/1.0\r\n\r\n", 18, "the client speaks HTTP without TLS");
	is_told(&rig, "stats\r\n\r\n\r\n\r\n", 13, "the client does not speak TLS");
	is_told(&rig, "", 0, "the connection broke in the handshake");
	CU_ASSERT_TRUE(stays_out(&rig, (struct client){.distrusts = true},
	                         "the client does not trust our certificate"));
	rig_close(&rig);
}

/* A client that sends what it likes: nothing breaks, and the next one gets in. */
static void random_bytes_do_no_harm(void)
{
	const uint64_t seed = (uint64_t)time(NULL);
	uint64_t state = seed;
	struct rig rig;

	printf(" (seed %llu) ", (unsigned long long)seed);
	rig_open(&rig);
	for (int i = 0; i < 2000; i++) {
		struct client client = {0};
		SSL *server = tls_accept(rig.tls), *ssl = client_make(&client);
		BIO *hello = BIO_new(BIO_s_mem()), *in;
		char text[REASON_BYTES], *bytes;
		long length;

		/* a hello, with some of it changed, or cut off */
		SSL_set_bio(ssl, BIO_new(BIO_s_mem()), hello);
		(void)SSL_do_handshake(ssl);
		length = BIO_get_mem_data(hello, &bytes);
		for (uint64_t j = draw(&state) % 8; j > 0; j--)
			bytes[draw(&state) % (uint64_t)length] = (char)draw(&state);
		if (draw(&state) % 4 == 0)
			length = (long)(draw(&state) % (uint64_t)length);
		in = BIO_new_mem_buf(bytes, (int)length);
		SSL_set_bio(server, in, BIO_new(BIO_s_mem()));
		if (SSL_do_handshake(server) <= 0) {
			tls_reason(server, ERR_get_error(), text, sizeof(text));
			CU_ASSERT_TRUE(text[0] != '\0');
		}
		ERR_clear_error();
		SSL_free(server);
		SSL_free(ssl);
	}
	CU_ASSERT_TRUE(gets_in(&rig, (struct client){0}));
	rig_close(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"only TLS 1.2 and 1.3 are taken", only_tls_1_2_and_1_3_are_taken},
	    {"only AEAD with forward secrecy is taken", only_aead_with_forward_secrecy_is_taken},
	    {"of TLS 1.3 three ciphers are taken", of_tls_1_3_three_ciphers_are_taken},
	    {"a client without a certificate gets in as nobody",
	     a_client_without_a_certificate_gets_in_as_nobody},
	    {"a good certificate says who it is", a_good_certificate_says_who_it_is},
	    {"a bad certificate fails the handshake", a_bad_certificate_fails_the_handshake},
	    {"a revoked certificate fails the handshake",
	     a_revoked_certificate_fails_the_handshake},
	    {"a chain with a CA between is followed", a_chain_with_a_ca_between_is_followed},
	    {"without client CAs no certificate is asked for",
	     without_client_cas_no_certificate_is_asked_for},
	    {"the server shows its chain and no more", the_server_shows_its_chain_and_no_more},
	    {"renegotiation is refused", renegotiation_is_refused},
	    {"no session is resumed", no_session_is_resumed},
	    {"an open connection ends with its certificate",
	     an_open_connection_ends_with_its_certificate},
	    {"connections outlive the TLS", connections_outlive_the_tls},
	    {"what is no TLS is told", what_is_no_tls_is_told},
	    {"random bytes do no harm", random_bytes_do_no_harm},
	};

	return UNIT_RUN("tls", cases);
}
