/* SPDX-License-Identifier: Apache-2.0 */
#include "control/authority.h"

#include "authority_rig.h"

static void a_new_ca_is_one_by_the_book(void)
{
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(run(&rig, "openssl x509 -in ca.crt -noout -text"), 0);
	CU_ASSERT_TRUE(says(&rig, "Version: 3 (0x2)"));
	CU_ASSERT_TRUE(says(&rig, "Signature Algorithm: ecdsa-with-SHA256"));
	CU_ASSERT_TRUE(says(&rig, "Subject: O = " NODE ", CN = Kante CA"));
	CU_ASSERT_TRUE(says(&rig, "ASN1 OID: prime256v1"));
	CU_ASSERT_TRUE(says(&rig, "X509v3 Basic Constraints: critical\n"
	                          "                CA:TRUE, pathlen:0"));
	CU_ASSERT_TRUE(says(&rig, "X509v3 Key Usage: critical\n"
	                          "                Certificate Sign, CRL Sign"));
	CU_ASSERT_TRUE(says(&rig, "X509v3 Subject Key Identifier"));
	CU_ASSERT_TRUE(says(&rig, "X509v3 Authority Key Identifier"));
	CU_ASSERT_EQUAL(run(&rig, "openssl verify -x509_strict -CAfile ca.crt ca.crt"), 0);
	rig_close(&rig);
}

static void a_server_certificate_is_good_for_its_names_and_for_no_client(void)
{
	static const char *const addresses[] = {"192.0.2.7", "2001:db8::7", "cache.example.org",
	                                        "127.0.0.1"};
	struct rig rig;
	uint32_t made;

	rig_prepare(&rig);
	CU_ASSERT_EQUAL(authority_make(rig.directory, NODE, addresses, 4, NOW, &made, rig.error,
	                               sizeof(rig.error)),
	                0);
	CU_ASSERT_EQUAL(run(&rig, "openssl x509 -in server.crt -noout -text"), 0);
	CU_ASSERT_TRUE(says(&rig, "Subject: CN = " NODE "\n"));
	CU_ASSERT_TRUE(says(&rig, "DNS:" NODE ", DNS:localhost, IP Address:127.0.0.1, "
	                          "IP Address:0:0:0:0:0:0:0:1, IP Address:192.0.2.7, "
	                          "IP Address:2001:DB8:0:0:0:0:0:7, DNS:cache.example.org\n"));
	CU_ASSERT_TRUE(says(&rig, "X509v3 Basic Constraints: critical\n                CA:FALSE"));
	CU_ASSERT_TRUE(says(&rig, "X509v3 Extended Key Usage: \n                TLS Web Server "
	                          "Authentication\n"));
	CU_ASSERT_TRUE(says(&rig, "X509v3 Authority Key Identifier"));
	CU_ASSERT_EQUAL(run(&rig, "openssl verify -x509_strict -purpose sslserver -verify_hostname "
	                          "localhost -CAfile ca.crt server.crt"),
	                0);
	CU_ASSERT_EQUAL(run(&rig, "openssl verify -verify_ip 2001:db8::7 -CAfile ca.crt "
	                          "server.crt"),
	                0);
	CU_ASSERT_NOT_EQUAL(run(&rig, "openssl verify -verify_hostname x.example.org -CAfile "
	                              "ca.crt server.crt"),
	                    0);
	CU_ASSERT_NOT_EQUAL(
	    run(&rig, "openssl verify -purpose sslclient -CAfile ca.crt server.crt"), 0);
	CU_ASSERT_EQUAL(run(&rig, "openssl x509 -in server.crt -noout -pubkey >a && openssl pkey "
	                          "-in server.key -pubout >b && cmp a b"),
	                0);
	rig_close(&rig);
}

static void a_client_certificate_says_its_role_and_is_good_for_no_server(void)
{
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(issue(&rig, "ops_1.b-c", ROLE_operator, 30, NOW), 0);
	CU_ASSERT_EQUAL(strlen(rig.serial), 32);
	CU_ASSERT_EQUAL(run(&rig, "openssl x509 -in clients/ops_1.b-c.crt -noout -text -serial"),
	                0);
	CU_ASSERT_TRUE(says(&rig, "Subject: OU = kante-role:operator, CN = ops_1.b-c\n"));
	CU_ASSERT_TRUE(says(&rig, "X509v3 Extended Key Usage: \n                TLS Web Client "
	                          "Authentication\n"));
	CU_ASSERT_TRUE(says(&rig, rig.serial));
	CU_ASSERT_EQUAL(run(&rig, "openssl verify -x509_strict -purpose sslclient -crl_check "
	                          "-CRLfile ca.crl -CAfile ca.crt clients/*.crt"),
	                0);
	CU_ASSERT_NOT_EQUAL(run(&rig, "openssl verify -purpose sslserver -CAfile ca.crt "
	                              "clients/ops_1.b-c.crt"),
	                    0);
	CU_ASSERT_EQUAL(run(&rig, "openssl x509 -in clients/admin.crt -noout -subject"), 0);
	CU_ASSERT_TRUE(says(&rig, "OU = kante-role:admin, CN = admin\n"));
	rig_close(&rig);
}

static void times_begin_five_minutes_before_and_end_as_promised(void)
{
	struct rig rig;

	rig_prepare(&rig);
	make_at(&rig, 1800000000); /* 2027-01-15 08:00:00 */
	CU_ASSERT_EQUAL(issue(&rig, "a", ROLE_viewer, 1, 1800000000), 0);
	run(&rig, "for f in ca server clients/a clients/admin; do openssl x509 -in $f.crt -noout "
	          "-startdate -enddate; done; openssl crl -in ca.crl -noout -lastupdate "
	          "-nextupdate -crlnumber");
	CU_ASSERT_STRING_EQUAL(rig.output, "notBefore=Jan 15 07:55:00 2027 GMT\n"
	                                   "notAfter=Jan 12 08:00:00 2037 GMT\n"
	                                   "notBefore=Jan 15 07:55:00 2027 GMT\n"
	                                   "notAfter=Feb 16 08:00:00 2028 GMT\n"
	                                   "notBefore=Jan 15 07:55:00 2027 GMT\n"
	                                   "notAfter=Jan 16 08:00:00 2027 GMT\n"
	                                   "notBefore=Jan 15 07:55:00 2027 GMT\n"
	                                   "notAfter=Feb 16 08:00:00 2028 GMT\n"
	                                   "lastUpdate=Jan 15 07:55:00 2027 GMT\n"
	                                   "nextUpdate=Feb 14 08:00:00 2027 GMT\n"
	                                   "crlNumber=0x01\n");
	rig_close(&rig);
}

/* RFC 5280 4.1.2.5: from 2050 on times have four digits of the year. */
static void times_after_2049_are_right(void)
{
	struct rig rig;

	rig_prepare(&rig);
	make_at(&rig, 2500000000); /* 2049-03-22 */
	run(&rig, "openssl x509 -in ca.crt -noout -enddate");
	CU_ASSERT_STRING_EQUAL(rig.output, "notAfter=Mar 20 04:26:40 2059 GMT\n");
	run(&rig, "openssl asn1parse -in ca.crt");
	CU_ASSERT_TRUE(says(&rig, "UTCTIME           :490322042140Z"));
	CU_ASSERT_TRUE(says(&rig, "GENERALIZEDTIME   :20590320042640Z"));
	rig_close(&rig);
}

static void secrets_are_their_owners_alone(void)
{
	static const char *const secrets[] = {"tls/ca.key", "tls/server.key", "tls/issued.json",
	                                      "tls/clients/admin.key", "tls/clients/admin.crt"};
	struct stat status;
	struct rig rig;

	umask(0);
	rig_open(&rig);
	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
		CU_ASSERT_EQUAL(stat(path_in(&rig.folder, secrets[i]), &status), 0);
		CU_ASSERT_EQUAL(status.st_mode & 07777, 0600);
	}
	CU_ASSERT_EQUAL(stat(rig.directory, &status), 0);
	CU_ASSERT_EQUAL(status.st_mode & 07777, 0700);
	CU_ASSERT_EQUAL(stat(path_in(&rig.folder, "tls/clients"), &status), 0);
	CU_ASSERT_EQUAL(status.st_mode & 07777, 0700);
	run(&rig, "ls -A . clients");
	CU_ASSERT_STRING_EQUAL(rig.output, ".:\nca.crl\nca.crt\nca.key\nclients\nissued.json\n"
	                                   "server.crt\nserver.key\n\nclients:\nadmin.crt\n"
	                                   "admin.key\n");
	umask(022);
	rig_close(&rig);
}

static void what_is_there_is_left_alone(void)
{
	char *before, *after;
	struct rig rig;

	rig_open(&rig);
	run(&rig, "cat ca.* server.* issued.json clients/*");
	before = strdup(rig.output);
	CU_ASSERT_EQUAL(make_at(&rig, NOW), 0);
	run(&rig, "cat ca.* server.* issued.json clients/*");
	CU_ASSERT_STRING_EQUAL(rig.output, before);
	free(before);
	/* the server's alone is made anew, with the key that is there */
	before = get_text(&rig.folder, "tls/server.key");
	run(&rig, "rm server.crt");
	CU_ASSERT_EQUAL(make_at(&rig, NOW), AUTHORITY_MADE_SERVER);
	after = get_text(&rig.folder, "tls/server.key");
	CU_ASSERT_STRING_EQUAL(before, after);
	free(before);
	free(after);
	run(&rig, "rm server.*");
	CU_ASSERT_EQUAL(make_at(&rig, NOW), AUTHORITY_MADE_SERVER);
	CU_ASSERT_EQUAL(run(&rig, "openssl verify -purpose sslserver -CAfile ca.crt server.crt"),
	                0);
	rig_close(&rig);
}

static void an_admin_who_was_taken_away_does_not_come_back(void)
{
	struct rig rig;

	rig_open(&rig);
	run(&rig, "rm clients/*");
	CU_ASSERT_EQUAL(make_at(&rig, NOW), 0);
	CU_ASSERT_EQUAL(run(&rig, "ls clients | grep admin"), 1);
	rig_close(&rig);
}

static void a_lost_list_is_signed_again(void)
{
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(issue(&rig, "ops", ROLE_operator, 1, NOW), 0);
	CU_ASSERT_EQUAL(revoke_at(&rig, rig.serial, NOW), 0);
	run(&rig, "rm ca.crl");
	CU_ASSERT_EQUAL(make_at(&rig, NOW), 0);
	CU_ASSERT_EQUAL(run(&rig, "openssl crl -in ca.crl -noout -text -CAfile ca.crt"), 0);
	CU_ASSERT_TRUE(says(&rig, rig.serial));
	rig_close(&rig);
}

/* An operator's own files: nothing is missing, so nothing is asked. */
static void another_cas_files_are_left_alone(void)
{
	struct party ca = party_make(NULL, (struct party_options){.name = "Corp", .ca = true});
	struct party server = party_make(&ca, (struct party_options){.name = NODE});
	struct rig rig;

	rig_prepare(&rig);
	mkdir(rig.directory, 0700);
	put_certificate(&rig.folder, "tls/ca.crt", &ca);
	put_certificate(&rig.folder, "tls/server.crt", &server);
	put_key(&rig.folder, "tls/server.key", &server);
	CU_ASSERT_EQUAL(make_at(&rig, NOW), 0);
	CU_ASSERT_EQUAL(run(&rig, "ls"), 0);
	CU_ASSERT_STRING_EQUAL(rig.output, "ca.crt\nserver.crt\nserver.key\n");
	CU_ASSERT_FALSE(refresh(&rig, NOW));
	CU_ASSERT_STRING_EQUAL(rig.error, "");
	CU_ASSERT_EQUAL(issue(&rig, "ops", ROLE_viewer, 1, NOW), -ENOENT);
	CU_ASSERT_TRUE(error_says(&rig, "/tls/ca.key: the CA's key is not here, so nothing can be "
	                                "signed: bring it back, or "));
	/* a pair that does not fit, but is not ours to mend */
	put_key(&rig.folder, "tls/server.key", &ca);
	CU_ASSERT_EQUAL(make_at(&rig, NOW), 0);
	/* one whose key is here signs, too */
	put_key(&rig.folder, "tls/server.key", &server);
	put_key(&rig.folder, "tls/ca.key", &ca);
	CU_ASSERT_EQUAL(make_at(&rig, NOW), 0);
	CU_ASSERT_EQUAL(issue(&rig, "ops", ROLE_viewer, 2, NOW), -EINVAL); /* Corp has a day */
	CU_ASSERT_EQUAL(issue(&rig, "ops", ROLE_viewer, 1, NOW - 60), 0);
	CU_ASSERT_EQUAL(run(&rig, "openssl verify -purpose sslclient -crl_check -CRLfile ca.crl "
	                          "-CAfile ca.crt clients/ops.crt"),
	                0);
	party_free(&server);
	party_free(&ca);
	rig_close(&rig);
}

static void a_renewed_server_has_a_new_key_and_the_same_ca(void)
{
	char *key, *certificate, *next;
	struct rig rig;

	rig_open(&rig);
	key = get_text(&rig.folder, "tls/server.key");
	certificate = get_text(&rig.folder, "tls/server.crt");
	CU_ASSERT_EQUAL(renew(&rig), 0);
	next = get_text(&rig.folder, "tls/server.key");
	CU_ASSERT_STRING_NOT_EQUAL(next, key);
	free(next);
	next = get_text(&rig.folder, "tls/server.crt");
	CU_ASSERT_STRING_NOT_EQUAL(next, certificate);
	free(next);
	CU_ASSERT_EQUAL(run(&rig, "openssl verify -purpose sslserver -CAfile ca.crt server.crt"),
	                0);
	CU_ASSERT_EQUAL(run(&rig, "openssl x509 -in server.crt -noout -pubkey >a && openssl pkey "
	                          "-in server.key -pubout >b && cmp a b"),
	                0);
	free(key);
	free(certificate);
	rig_close(&rig);
}

static void a_server_certificate_ends_with_its_ca(void)
{
	const uint64_t later_s = NOW + UINT64_C(3600) * DAY;
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(authority_renew_server(rig.directory, NODE, NULL, 0, later_s, rig.error,
	                                       sizeof(rig.error)),
	                0);
	run(&rig, "openssl x509 -in ca.crt -noout -enddate >a; openssl x509 -in server.crt -noout "
	          "-enddate | cmp - a");
	CU_ASSERT_STRING_EQUAL(rig.output, "");
	CU_ASSERT_EQUAL(issue(&rig, "ops", ROLE_viewer, 51, later_s), -EINVAL);
	CU_ASSERT_TRUE(error_says(&rig, "a certificate for 51 days cannot be made: give at least "
	                                "one, and no more than the CA itself has, until 20"));
	CU_ASSERT_EQUAL(issue(&rig, "ops", ROLE_viewer, 50, later_s - 60), 0);
	CU_ASSERT_EQUAL(issue(&rig, "ops2", ROLE_viewer, 1, later_s + UINT64_C(51) * DAY),
	                -EKEYEXPIRED);
	CU_ASSERT_TRUE(error_says(&rig, "/ca.crt: the CA has expired at 20"));
	rig_close(&rig);
}

static void one_name_has_one_good_certificate(void)
{
	char first[IDENTITY_CREDENTIAL_BYTES];
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(issue(&rig, "ops", ROLE_operator, 1, NOW), 0);
	snprintf(first, sizeof(first), "%s", rig.serial);
	CU_ASSERT_EQUAL(issue(&rig, "ops", ROLE_viewer, 1, NOW), -EEXIST);
	CU_ASSERT_TRUE(error_says(&rig, "/clients/ops.crt: that one is good still: give another "
	                                "name, or revoke "));
	CU_ASSERT_TRUE(error_says(&rig, first));
	CU_ASSERT_EQUAL(issue(&rig, "admin", ROLE_viewer, 1, NOW), -EEXIST);
	CU_ASSERT_EQUAL(issue(&rig, NODE, ROLE_viewer, 1, NOW), 0); /* the server is no client */
	/* expired: by another in its place */
	CU_ASSERT_EQUAL(issue(&rig, "ops", ROLE_viewer, 2, NOW + DAY + 1), 0);
	CU_ASSERT_STRING_NOT_EQUAL(rig.serial, first);
	/* revoked: too */
	CU_ASSERT_EQUAL(revoke_at(&rig, rig.serial, NOW + DAY + 1), 0);
	CU_ASSERT_EQUAL(issue(&rig, "ops", ROLE_viewer, 2, NOW + DAY + 1), 0);
	run(&rig, "openssl x509 -in clients/ops.crt -noout -serial");
	CU_ASSERT_TRUE(says(&rig, rig.serial));
	rig_close(&rig);
}

static void a_revoked_certificate_is_on_the_list(void)
{
	char serial[IDENTITY_CREDENTIAL_BYTES], colons[IDENTITY_CREDENTIAL_BYTES] = "";
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_EQUAL(issue(&rig, "ops", ROLE_operator, 1, NOW), 0);
	memcpy(serial, rig.serial, sizeof(serial));
	CU_ASSERT_EQUAL(issue(&rig, "other", ROLE_operator, 1, NOW), 0);
	for (size_t i = 0; serial[i] != '\0'; i += 2) /* as openssl x509 -text prints it */
		snprintf(colons + strlen(colons), sizeof(colons) - strlen(colons), "%s%c%c",
		         i > 0 ? ":" : "", serial[i] >= 'A' ? serial[i] + 32 : serial[i],
		         serial[i + 1] >= 'A' ? serial[i + 1] + 32 : serial[i + 1]);
	CU_ASSERT_EQUAL(revoke_at(&rig, colons, NOW), 0);
	CU_ASSERT_EQUAL(run(&rig, "openssl crl -in ca.crl -noout -text -CAfile ca.crt"), 0);
	CU_ASSERT_TRUE(says(&rig, "verify OK"));
	CU_ASSERT_TRUE(says(&rig, "Version 2 (0x1)"));
	CU_ASSERT_TRUE(says(&rig, "X509v3 Authority Key Identifier"));
	CU_ASSERT_TRUE(says(&rig, "X509v3 CRL Number: \n                2\n"));
	CU_ASSERT_TRUE(says(&rig, serial));
	CU_ASSERT_NOT_EQUAL(run(&rig, "openssl verify -crl_check -CRLfile ca.crl -CAfile ca.crt "
	                              "clients/ops.crt"),
	                    0);
	CU_ASSERT_TRUE(says(&rig, "certificate revoked"));
	CU_ASSERT_EQUAL(run(&rig, "openssl verify -crl_check -CRLfile ca.crl -CAfile ca.crt "
	                          "clients/other.crt"),
	                0);
	CU_ASSERT_EQUAL(revoke_at(&rig, serial, NOW), -EALREADY);
	CU_ASSERT_TRUE(error_says(&rig, "is revoked already: nothing needs to be done"));
	rig_close(&rig);
}

static void a_serial_that_was_not_issued_is_not_revoked(void)
{
	static const char *const serials[] = {
	    "", "0", "00112233445566778899AABBCCDDEEFF", "\"\\\x1b[2J",
	    "001122334455667788990011223344556677889900112233445566778899001122334455"};
	struct rig rig;

	rig_open(&rig);
	for (size_t i = 0; i < sizeof(serials) / sizeof(serials[0]); i++) {
		CU_ASSERT_EQUAL(revoke_at(&rig, serials[i], NOW), -ENOENT);
		CU_ASSERT_TRUE(error_says(&rig, "was issued here: see the list"));
		CU_ASSERT_PTR_NULL(strchr(rig.error, '\x1b'));
	}
	rig_close(&rig);
}

static void a_list_is_signed_anew_when_half_its_time_is_over(void)
{
	const uint64_t start_s = NOW;
	struct rig rig;

	rig_prepare(&rig);
	make_at(&rig, start_s);
	CU_ASSERT_FALSE(refresh(&rig, start_s));
	CU_ASSERT_STRING_EQUAL(rig.error, "");
	CU_ASSERT_FALSE(refresh(&rig, start_s + 15 * DAY - 600));
	CU_ASSERT_TRUE(refresh(&rig, start_s + 15 * DAY));
	CU_ASSERT_FALSE(refresh(&rig, start_s + 15 * DAY + SECONDS));
	CU_ASSERT_TRUE(refresh(&rig, start_s + 300 * DAY)); /* the node was away */
	/* and when a clock that ran ahead was set right: else nobody could get in */
	CU_ASSERT_TRUE(refresh(&rig, start_s));
	run(&rig, "openssl crl -in ca.crl -noout -crlnumber");
	CU_ASSERT_STRING_EQUAL(rig.output, "crlNumber=0x04\n");
	rig_close(&rig);
}

static void a_list_that_is_not_the_last_one_is_signed_anew(void)
{
	struct rig rig;

	rig_open(&rig);
	run(&rig, "cp ca.crl old");
	CU_ASSERT_EQUAL(issue(&rig, "ops", ROLE_operator, 1, NOW), 0);
	CU_ASSERT_EQUAL(revoke_at(&rig, rig.serial, NOW), 0);
	CU_ASSERT_FALSE(refresh(&rig, NOW));
	run(&rig, "cp old ca.crl"); /* from a backup */
	CU_ASSERT_TRUE(refresh(&rig, NOW));
	CU_ASSERT_EQUAL(run(&rig, "openssl crl -in ca.crl -noout -text -CAfile ca.crt"), 0);
	CU_ASSERT_TRUE(says(&rig, rig.serial));
	run(&rig, "echo damaged >ca.crl");
	CU_ASSERT_TRUE(refresh(&rig, NOW));
	run(&rig, "rm ca.crl");
	CU_ASSERT_TRUE(refresh(&rig, NOW));
	CU_ASSERT_EQUAL(run(&rig, "openssl verify -crl_check -CRLfile ca.crl -CAfile ca.crt "
	                          "clients/admin.crt"),
	                0);
	rig_close(&rig);
}

static void the_list_tells_who_is_good_expired_or_revoked(void)
{
	struct rig rig;
	json_t *list;

	rig_prepare(&rig);
	make_at(&rig, 1800000000);
	CU_ASSERT_EQUAL(issue(&rig, "short", ROLE_viewer, 1, 1800000000), 0);
	CU_ASSERT_EQUAL(issue(&rig, "bad", ROLE_operator, 100, 1800000000), 0);
	CU_ASSERT_EQUAL(revoke_at(&rig, rig.serial, 1800000060), 0);
	list = authority_list(rig.directory, 1800000000 + 2 * DAY, rig.error, sizeof(rig.error));
	CU_ASSERT_EQUAL_FATAL(json_array_size(list), 4);
	CU_ASSERT_STRING_EQUAL(field(list, 0, "name"), NODE);
	CU_ASSERT_STRING_EQUAL(field(list, 0, "role"), "none");
	CU_ASSERT_STRING_EQUAL(field(list, 0, "state"), "good");
	CU_ASSERT_STRING_EQUAL(field(list, 1, "name"), "admin");
	CU_ASSERT_STRING_EQUAL(field(list, 1, "role"), "admin");
	CU_ASSERT_STRING_EQUAL(field(list, 1, "issued"), "2027-01-15T08:00:00Z");
	CU_ASSERT_STRING_EQUAL(field(list, 1, "expires"), "2028-02-16T08:00:00Z");
	CU_ASSERT_TRUE(json_is_null(json_object_get(json_array_get(list, 1), "revoked")));
	CU_ASSERT_STRING_EQUAL(field(list, 2, "state"), "expired");
	CU_ASSERT_STRING_EQUAL(field(list, 3, "state"), "revoked");
	CU_ASSERT_STRING_EQUAL(field(list, 3, "serial"), rig.serial);
	CU_ASSERT_STRING_EQUAL(field(list, 3, "revoked"), "2027-01-15T08:01:00Z");
	CU_ASSERT_EQUAL(json_object_size(json_array_get(list, 3)), 7);
	json_decref(list);
	/* a day later than a year after it has expired, the next one that is issued drops it */
	CU_ASSERT_EQUAL(issue(&rig, "next", ROLE_viewer, 1, 1800000000 + UINT64_C(367) * DAY), 0);
	list = authority_list(rig.directory, 1800000000, rig.error, sizeof(rig.error));
	CU_ASSERT_EQUAL(json_array_size(list), 4);
	CU_ASSERT_STRING_EQUAL(field(list, 2, "name"), "bad");
	json_decref(list);
	rig_close(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"a new CA is one by the book", a_new_ca_is_one_by_the_book},
	    {"a server certificate is good for its names, and for no client",
	     a_server_certificate_is_good_for_its_names_and_for_no_client},
	    {"a client certificate says its role, and is good for no server",
	     a_client_certificate_says_its_role_and_is_good_for_no_server},
	    {"times begin five minutes before, and end as promised",
	     times_begin_five_minutes_before_and_end_as_promised},
	    {"times after 2049 are right", times_after_2049_are_right},
	    {"secrets are their owner's alone", secrets_are_their_owners_alone},
	    {"what is there is left alone", what_is_there_is_left_alone},
	    {"an admin who was taken away does not come back",
	     an_admin_who_was_taken_away_does_not_come_back},
	    {"a lost list is signed again", a_lost_list_is_signed_again},
	    {"another CA's files are left alone", another_cas_files_are_left_alone},
	    {"a renewed server has a new key and the same CA",
	     a_renewed_server_has_a_new_key_and_the_same_ca},
	    {"a server certificate ends with its CA", a_server_certificate_ends_with_its_ca},
	    {"one name has one good certificate", one_name_has_one_good_certificate},
	    {"a revoked certificate is on the list", a_revoked_certificate_is_on_the_list},
	    {"a serial number that was not issued is not revoked",
	     a_serial_that_was_not_issued_is_not_revoked},
	    {"a list is signed anew when half its time is over",
	     a_list_is_signed_anew_when_half_its_time_is_over},
	    {"a list that is not the last one is signed anew",
	     a_list_that_is_not_the_last_one_is_signed_anew},
	    {"the list tells who is good, expired or revoked",
	     the_list_tells_who_is_good_expired_or_revoked},
	};

	return UNIT_RUN("authority", cases);
}
