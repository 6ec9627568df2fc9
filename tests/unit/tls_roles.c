/* SPDX-License-Identifier: Apache-2.0 */
/* Who a certificate's holder is. */
#include "control/authority.h"
#include "tls_rig.h"

/* Opens it with such rules. */
static void rig_rule(struct rig *rig, const struct tls_rule *rules, uint32_t count)
{
	rig->options.rules = rules;
	rig->options.rule_count = count;
	rig_start(rig);
}

/* The role of one with such a certificate of the CA. */
static int role_with(struct rig *rig, struct party_options options)
{
	struct party party = party_make(&rig->ca, options);
	int role = role_of(rig, &party);

	party_free(&party);
	return role;
}

static void rules_compare_the_whole_of_a_name(void)
{
	static const struct tls_rule rules[] = {
	    {"CN=ops", ROLE_operator},
	    {"OU=readers", ROLE_viewer},
	    {"DNS:Backup.Example.org", ROLE_operator},
	    {"URI:spiffe://x/Admin", ROLE_admin},
	    {"email:Ann@Example.org", ROLE_admin},
	    {"CN=k\xc3\xa4the", ROLE_viewer},
	};
	static const struct {
		struct party_options options;
		enum role role;
	} cases[] = {
	    {{.name = "ops"}, ROLE_operator},
	    {{.name = "opsx"}, ROLE_none},
	    {{.name = "op"}, ROLE_none},
	    {{.name = "Ops"}, ROLE_none},
	    {{.name = " ops"}, ROLE_none},
	    {{.name = "CN=ops"}, ROLE_none},
	    {{.name = "x, CN=ops"}, ROLE_none},
	    {{.name = "x/CN=ops"}, ROLE_none},
	    {{.name = "x", .units = {"ops"}}, ROLE_none},
	    {{.units = {"readers"}}, ROLE_viewer},
	    {{.name = "x", .units = {"a", "readers"}}, ROLE_viewer},
	    {{.name = "readers"}, ROLE_none},
	    {{.name = "k\xc3\xa4the"}, ROLE_viewer},
	    {{.name = "x", .others = "DNS:backup.example.org"}, ROLE_operator},
	    {{.name = "x", .others = "DNS:a,DNS:BACKUP.EXAMPLE.ORG"}, ROLE_operator},
	    {{.name = "x", .others = "DNS:*.example.org"}, ROLE_none},
	    {{.name = "x", .others = "DNS:backup.example.org.x"}, ROLE_none},
	    {{.name = "backup.example.org"}, ROLE_none},
	    {{.name = "x", .others = "URI:spiffe://x/Admin"}, ROLE_admin},
	    {{.name = "x", .others = "URI:spiffe://x/admin"}, ROLE_none},
	    {{.name = "x", .others = "DNS:spiffe.x,email:spiffe@x"}, ROLE_none},
	    {{.name = "x", .others = "email:Ann@example.ORG"}, ROLE_admin},
	    {{.name = "x", .others = "email:ann@example.org"}, ROLE_none},
	    {{.name = "x", .others = "DNS:Ann@Example.org"}, ROLE_none},
	    {{.name = "x", .others = "IP:192.0.2.1"}, ROLE_none},
	    {{.others = "DNS:x"}, ROLE_none},
	    /* the first that fits, in the order of the rules */
	    {{.name = "ops", .units = {"readers"}, .others = "URI:spiffe://x/Admin"},
	     ROLE_operator},
	    {{.name = "x", .units = {"readers"}, .others = "URI:spiffe://x/Admin"}, ROLE_viewer},
	    /* with rules, no role is taken from what the own CA writes */
	    {{.name = "x", .units = {"kante-role:admin"}}, ROLE_none},
	};
	struct rig rig;

	rig_prepare(&rig);
	put_certificate(&rig.folder, "own.crt", &rig.ca);
	rig_rule(&rig, rules, sizeof(rules) / sizeof(rules[0]));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int role = role_with(&rig, cases[i].options);

		if (role != (int)cases[i].role)
			printf("\ncase %zu: want %d, got %d\n", i, (int)cases[i].role, role);
		CU_ASSERT_EQUAL(role, (int)cases[i].role);
	}
	rig_close(&rig);
}

static void a_name_that_can_be_read_two_ways_fits_no_rule(void)
{
	static const struct tls_rule rules[] = {
	    {"CN=ops", ROLE_operator}, {"OU=readers", ROLE_viewer}, {"DNS:ops.x", ROLE_admin}};
	struct rig rig;

	rig_prepare(&rig);
	rig_rule(&rig, rules, 3);
	CU_ASSERT_EQUAL(role_with(&rig, (struct party_options){.name = "ops"}), ROLE_operator);
	CU_ASSERT_EQUAL(
	    role_with(&rig, (struct party_options){.name = "ops", .second_name = "ops"}),
	    ROLE_none);
	CU_ASSERT_EQUAL(role_with(&rig, (struct party_options){.name = "a",
	                                                       .second_name = "b",
	                                                       .units = {"readers"},
	                                                       .others = "DNS:ops.x"}),
	                ROLE_none);
	CU_ASSERT_EQUAL(role_with(&rig, (struct party_options){.name = "ops\0x", .name_length = 5}),
	                ROLE_none);
	CU_ASSERT_EQUAL(role_with(&rig, (struct party_options){.name = "ops\0x",
	                                                       .name_length = 4,
	                                                       .units = {"readers"}}),
	                ROLE_none);
	/* {dNSName "ops.x\0"}; {dNSName "ops.x", uRI "\0"}; one that is cut off */
	CU_ASSERT_EQUAL(role_with(&rig, (struct party_options){.name = "ops",
	                                                       .others = "DER:3008820"
	                                                                 "66f70732e7800"}),
	                ROLE_none);
	CU_ASSERT_EQUAL(
	    role_with(&rig, (struct party_options){.name = "ops",
	                                           .others = "DER:300a82056f70732e78860100"}),
	    ROLE_none);
	CU_ASSERT_EQUAL(
	    role_with(&rig, (struct party_options){.name = "ops", .others = "DER:30088205"}), -1);
	CU_ASSERT_EQUAL(role_with(&rig, (struct party_options){.name = "x",
	                                                       .others = "DER:3007820"
	                                                                 "56f70732e78"}),
	                ROLE_admin);
	rig_close(&rig);
}

static void what_the_own_ca_writes_counts_for_its_own_certificates_only(void)
{
	struct party other = party_make(NULL, (struct party_options){.name = "Corp", .ca = true});
	struct party corp =
	    party_make(&other, (struct party_options){.name = "x", .units = {"kante-role:admin"}});
	struct party between, below;
	struct rig rig;

	rig_prepare(&rig);
	put_certificate(&rig.folder, "own.crt", &rig.ca);
	put_certificates(&rig.folder, "ca.crt", &other, &rig.ca, NULL);
	put_lists(&rig.folder, "ca.crl", list_make(&rig.ca, NULL, -60, DAY),
	          list_make(&other, NULL, -60, DAY));
	rig_start(&rig);
	for (int role = ROLE_viewer; role < ROLE_COUNT; role++) {
		char unit[64];

		snprintf(unit, sizeof(unit), "kante-role:%s", role_name((enum role)role));
		CU_ASSERT_EQUAL(
		    role_with(&rig, (struct party_options){.name = "x", .units = {unit}}), role);
		CU_ASSERT_EQUAL(role_with(&rig, (struct party_options){.name = unit}), ROLE_none);
	}
	CU_ASSERT_EQUAL(
	    role_with(&rig, (struct party_options){.name = "x", .units = {"kante-role:none"}}),
	    ROLE_none);
	CU_ASSERT_EQUAL(
	    role_with(&rig, (struct party_options){.name = "x", .units = {"kante-role:Admin"}}),
	    ROLE_none);
	/* the own CA writes one role; of two, the lesser counts */
	CU_ASSERT_EQUAL(role_with(&rig, (struct party_options){.name = "x",
	                                                       .units = {"kante-role:admin",
	                                                                 "kante-role:viewer"}}),
	                ROLE_viewer);
	CU_ASSERT_EQUAL(role_of(&rig, &corp), ROLE_none);
	/* without an own CA nobody's */
	unlink(rig.own_ca_path);
	rig_start(&rig);
	CU_ASSERT_EQUAL(
	    role_with(&rig, (struct party_options){.name = "x", .units = {"kante-role:admin"}}),
	    ROLE_none);
	/* an own CA that is not trusted lets nobody in */
	put_certificate(&rig.folder, "own.crt", &rig.ca);
	put_certificate(&rig.folder, "ca.crt", &other);
	rig_start(&rig);
	CU_ASSERT_EQUAL(
	    role_with(&rig, (struct party_options){.name = "x", .units = {"kante-role:admin"}}),
	    -1);
	between = party_make(&other, (struct party_options){.name = "CA", .ca = true});
	below = party_make(&between,
	                   (struct party_options){.name = "x", .units = {"kante-role:admin"}});
	rig.options.crl_path = NULL;
	rig_start(&rig);
	CU_ASSERT_EQUAL(role_of(&rig, &below), -1); /* its CA is not sent */
	put_certificates(&rig.folder, "ca.crt", &other, &between, NULL);
	rig_start(&rig);
	CU_ASSERT_EQUAL(role_of(&rig, &below), ROLE_none);
	party_free(&between);
	party_free(&below);
	party_free(&corp);
	party_free(&other);
	rig_close(&rig);
}

/* From the first start to a revoked operator, as a node does it. */
static void the_authority_and_tls_agree(void)
{
	static const char *const names[] = {"viewer", "operator", "boss"};
	char serials[3][IDENTITY_CREDENTIAL_BYTES], error[512];
	struct folder folder;
	struct party admin, ops;
	struct rig rig = {0};
	uint32_t made;

	folder_open(&folder);
	snprintf(rig.folder.path, sizeof(rig.folder.path), "%s", folder.path);
	CU_ASSERT_EQUAL(
	    authority_make(folder.path, "node-1", NULL, 0, NOW, &made, error, sizeof(error)), 0);
	path_make(&rig, rig.certificate_path, "server.crt");
	path_make(&rig, rig.key_path, "server.key");
	path_make(&rig, rig.ca_path, "ca.crt");
	path_make(&rig, rig.crl_path, "ca.crl");
	rig.options = (struct tls_options){
	    rig.certificate_path, rig.key_path, rig.ca_path, rig.crl_path, rig.ca_path, NULL, 0};
	rig_start(&rig);
	admin = get_party(&folder, "clients/admin.crt", "clients/admin.key");
	CU_ASSERT_EQUAL(role_of(&rig, &admin), ROLE_admin);
	for (int i = 0; i < 3; i++) {
		char certificate[64], key[64];

		CU_ASSERT_EQUAL(authority_issue(folder.path, names[i], ROLE_viewer + i, 1, NOW,
		                                serials[i], error, sizeof(error)),
		                0);
		snprintf(certificate, sizeof(certificate), "clients/%s.crt", names[i]);
		snprintf(key, sizeof(key), "clients/%s.key", names[i]);
		ops = get_party(&folder, certificate, key);
		CU_ASSERT_EQUAL(role_of(&rig, &ops), ROLE_viewer + i);
		CU_ASSERT_EQUAL(
		    authority_revoke(folder.path, serials[i], NOW, error, sizeof(error)), 0);
		CU_ASSERT_EQUAL(tls_look(rig.tls, false, NOW, rig.text, sizeof(rig.text)),
		                TLS_READ);
		CU_ASSERT_EQUAL(role_of(&rig, &ops), -1);
		party_free(&ops);
	}
	CU_ASSERT_EQUAL(
	    authority_renew_server(folder.path, "node-1", NULL, 0, NOW, error, sizeof(error)), 0);
	CU_ASSERT_EQUAL(tls_look(rig.tls, false, NOW, rig.text, sizeof(rig.text)), TLS_READ);
	CU_ASSERT_EQUAL(role_of(&rig, &admin), ROLE_admin);
	ops = get_party(&folder, "server.crt", "server.key");
	CU_ASSERT_EQUAL(role_of(&rig, &ops), -1);
	party_free(&ops);
	party_free(&admin);
	rig_close(&rig);
}

static void what_is_too_long_ends_in_dots(void)
{
	char name[65], unit[65];
	struct identity identity = {0};
	struct meeting meeting;
	struct client client = {0};
	struct party party;
	struct rig rig;

	rig_open(&rig);
	memset(name, 'n', sizeof(name));
	for (size_t i = 0; i < sizeof(unit); i++)
		unit[i] = i % 2 == 0 ? '\xc3' : '\xa4';
	name[64] = unit[64] = '\0';
	party = party_make(&rig.ca, (struct party_options){.name = name, .units = {unit, unit}});
	for (int i = 0; i < 4; i++)
		name_add(X509_get_subject_name(party.certificate), NID_organizationName, unit, 0);
	ASN1_STRING_set(X509_get_serialNumber(party.certificate), name, 64);
	X509_sign(party.certificate, rig.ca.key, EVP_sha256());
	client.party = &party;
	meeting = meet(&rig, &client);
	CU_ASSERT_TRUE_FATAL(meeting.ok);
	CU_ASSERT_TRUE(tls_identity(rig.tls, meeting.server, &identity));
	CU_ASSERT_EQUAL(strlen(identity.credential_id), IDENTITY_CREDENTIAL_BYTES - 1);
	CU_ASSERT_STRING_EQUAL(identity.credential_id + IDENTITY_CREDENTIAL_BYTES - 4, "...");
	CU_ASSERT_EQUAL(strncmp(identity.name, "O=\xc3\xa4", 4), 0);
	CU_ASSERT_EQUAL(strlen(identity.name), IDENTITY_NAME_BYTES - 2);
	/* no half of a character before them */
	CU_ASSERT_STRING_EQUAL(identity.name + strlen(identity.name) - 5, "\xc3\xa4...");
	part(&meeting);
	party_free(&party);
	rig_close(&rig);
}

static void names_are_escaped(void)
{
	struct party party;
	struct identity identity = {0};
	struct client client = {0};
	struct meeting meeting;
	struct rig rig;

	rig_open(&rig);
	party = party_make(
	    &rig.ca,
	    (struct party_options){.name = "a,OU=x\n\x1b[2J\"+\0k\xc3\xa4",
	                           .name_length = sizeof("a,OU=x\n\x1b[2J\"+\0k\xc3\xa4") - 1});
	client.party = &party;
	meeting = meet(&rig, &client);
	CU_ASSERT_TRUE(tls_identity(rig.tls, meeting.server, &identity));
	CU_ASSERT_STRING_EQUAL(identity.name, "CN=a\\,OU=x\\0A\\1B[2J\\\"\\+\\00k\xc3\xa4");
	CU_ASSERT_EQUAL(identity.role, ROLE_none);
	part(&meeting);
	party_free(&party);
	rig_close(&rig);
}

static void rules_of_no_form_are_told(void)
{
	static const struct tls_rule bad[] = {{"CN=", ROLE_admin},   {"cn=x", ROLE_admin},
	                                      {"CN=x", ROLE_admin},  {"", ROLE_admin},
	                                      {"DNS=x", ROLE_admin}, {"O=x\n", ROLE_admin}};
	struct tls_rule many[TLS_RULE_COUNT_MAX + 1];
	struct rig rig;

	rig_prepare(&rig);
	rig.options.rules = bad;
	rig.options.rule_count = 6;
	CU_ASSERT_EQUAL(rig_try(&rig), -EINVAL);
	CU_ASSERT_STRING_EQUAL(
	    rig.text,
	    "client certificates' roles: rule 1, \"CN=\": write CN=…, OU=…, DNS:…, URI:… or "
	    "email:…\n"
	    "client certificates' roles: rule 2, \"cn=x\": write CN=…, OU=…, DNS:…, URI:… or "
	    "email:…\n"
	    "client certificates' roles: rule 4, \"\": write CN=…, OU=…, DNS:…, URI:… or "
	    "email:…\n"
	    "client certificates' roles: rule 5, \"DNS=x\": write CN=…, OU=…, DNS:…, URI:… or "
	    "email:…\n"
	    "client certificates' roles: rule 6, \"O=x?\": write CN=…, OU=…, DNS:…, URI:… or "
	    "email:…");
	for (int i = 0; i <= TLS_RULE_COUNT_MAX; i++)
		many[i] = bad[2];
	rig.options.rules = many;
	rig.options.rule_count = TLS_RULE_COUNT_MAX + 1;
	CU_ASSERT_EQUAL(rig_try(&rig), -EINVAL);
	CU_ASSERT_TRUE(text_says(&rig, "65 rules: 64 are the most there can be"));
	rig.options.rule_count = TLS_RULE_COUNT_MAX;
	CU_ASSERT_EQUAL(rig_try(&rig), 0);
	rig_close(&rig);
}

/* Random names, of the bytes that the rule's name has, and of those that could confuse. */
static void only_the_very_name_ever_fits(void)
{
	static const struct tls_rule rules[] = {{"CN=abc", ROLE_admin}};
	static const char bytes[] = "abcABC =,+\\\"\0/";
	const uint64_t seed = (uint64_t)time(NULL);
	EVP_PKEY *key = EVP_EC_gen("P-256");
	uint64_t state = seed;
	uint32_t fits = 0;
	struct rig rig;

	printf(" (seed %llu) ", (unsigned long long)seed);
	rig_prepare(&rig);
	rig_rule(&rig, rules, 1);
	for (int i = 0; i < 500; i++) {
		struct party_options options = {.key = key};
		size_t length = 1 + draw(&state) % 4;
		char name[5] = "";
		int want;

		for (size_t j = 0; j < length; j++)
			name[j] = draw(&state) % 4 < 3 ? bytes[j]
			                               : bytes[draw(&state) % (sizeof(bytes) - 1)];
		options.name = name;
		options.name_length = length;
		want = length == 3 && memcmp(name, "abc", 3) == 0 ? ROLE_admin : ROLE_none;
		CU_ASSERT_EQUAL(role_with(&rig, options), want);
		fits += want == ROLE_admin;
	}
	CU_ASSERT_TRUE(fits > 5 && fits < 250);
	EVP_PKEY_free(key);
	rig_close(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"rules compare the whole of a name", rules_compare_the_whole_of_a_name},
	    {"a name that can be read two ways fits no rule",
	     a_name_that_can_be_read_two_ways_fits_no_rule},
	    {"what the own CA writes counts for its own certificates only",
	     what_the_own_ca_writes_counts_for_its_own_certificates_only},
	    {"the authority and TLS agree", the_authority_and_tls_agree},
	    {"what is too long ends in dots", what_is_too_long_ends_in_dots},
	    {"names are escaped", names_are_escaped},
	    {"rules of no form are told", rules_of_no_form_are_told},
	    {"only the very name ever fits", only_the_very_name_ever_fits},
	};

	return UNIT_RUN("tls_roles", cases);
}
