/* SPDX-License-Identifier: Apache-2.0 */
#include "config_rig.h"

#include <errno.h>
#include <stdlib.h>

/* Lines 1 to 4; what follows starts in line 5. */
#define ADMIN PORTS "admin:\n  directory: /d\n"

/* Lines 5 to 8; what follows starts in line 9. */
#define TOKENS                                                                                     \
	ADMIN "  tokens:\n"                                                                        \
	      "    issuer: i\n"                                                                    \
	      "    audience: a\n"                                                                  \
	      "    keys: [{id: k, algorithm: ES256, file: /k.pem}]\n"

#define TEXT_BYTES 16384

/* The whole of what is said about the text. */
static void refused(const char *text, const char *faults)
{
	struct config *config = NULL;
	char error[CONFIG_ERROR_BYTES] = "";
	int r = config_parse(&config, "f", text, strlen(text), error, sizeof(error));

	if (r != -EINVAL || strcmp(error, faults) != 0)
		printf("\n--- %s\nwant %s\ngot %d: %s\n", text, faults, r, error);
	CU_ASSERT_EQUAL(r, -EINVAL);
	CU_ASSERT_STRING_EQUAL(error, faults);
	CU_ASSERT_PTR_NULL(config);
	config_destroy(config);
}

struct fault_case {
	const char *text;
	const char *faults;
};

static void run_faults(const struct fault_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++)
		refused(cases[i].text, cases[i].faults);
}

#define RUN_FAULTS(cases) run_faults(cases, sizeof(cases) / sizeof(cases[0]))

static bool host_is(const struct ip_address *got, const char *text)
{
	struct ip_address wanted;

	CU_ASSERT_EQUAL(ip_address_parse(&wanted, text), 0);
	return ip_address_equal(got, &wanted);
}

static void test_without_the_section_there_is_none(void)
{
	struct config *config = parsed(PORTS);

	CU_ASSERT_FALSE(admin_is_given(&config->admin));
	config_destroy(config);
}

static void test_a_directory_is_enough_and_all_else_has_its_default(void)
{
	struct config *config = parsed(ADMIN);
	const struct admin *admin = &config->admin;

	CU_ASSERT_TRUE(admin_is_given(admin));
	CU_ASSERT_STRING_EQUAL(admin->directory, "/d");
	CU_ASSERT_STRING_EQUAL(admin->socket, "/run/kante/admin.sock");
	CU_ASSERT_EQUAL(admin->listen_count, 0);
	CU_ASSERT_EQUAL(admin->port, 11280);
	CU_ASSERT_FALSE(admin->certificate_given);
	CU_ASSERT_FALSE(admin->client_ca_given);
	CU_ASSERT_STRING_EQUAL(admin->certificate, "/d/server.crt");
	CU_ASSERT_STRING_EQUAL(admin->key, "/d/server.key");
	CU_ASSERT_STRING_EQUAL(admin->client_ca, "/d/ca.crt");
	CU_ASSERT_STRING_EQUAL(admin->crl, "/d/ca.crl");
	CU_ASSERT_EQUAL(admin->client_count, 0);
	CU_ASSERT_STRING_EQUAL(admin->tokens.issuer, "");
	CU_ASSERT_EQUAL(admin->tokens.key_count, 0);
	CU_ASSERT_EQUAL(admin->audit.file_bytes_max, 64 * CONFIG_MIB);
	CU_ASSERT_EQUAL(admin->audit.files_kept_max, 0);
	CU_ASSERT_EQUAL(admin->audit.when_full, ADMIN_WHEN_FULL_refuse);
	CU_ASSERT_EQUAL(admin->connection_count_max, 64);
	CU_ASSERT_EQUAL(admin->request_timeout_us, 10000000);
	CU_ASSERT_EQUAL(admin->metrics, ADMIN_METRICS_viewer);
	config_destroy(config);
}

static const char whole[] = PORTS "admin:\n"
                                  "  directory: /var/lib/kante\n"
                                  "  socket: /run/k/a.sock\n"
                                  "  listen: [192.0.2.1, \"::\"]\n"
                                  "  port: 443\n"
                                  "  certificate: /etc/k/s.crt\n"
                                  "  key: /etc/k/s.key\n"
                                  "  client_ca: /etc/k/c.crt\n"
                                  "  crl: /etc/k/c.crl\n"
                                  "  clients:\n"
                                  "    - {match: \"CN=ops\", role: admin}\n"
                                  "    - match: \"DNS:a.example\"\n"
                                  "      role: viewer\n"
                                  "  tokens:\n"
                                  "    issuer: https://login.example\n"
                                  "    audience: kante\n"
                                  "    role_claim: kante/role\n"
                                  "    skew: 2min\n"
                                  "    lifetime_max: 1h\n"
                                  "    keys:\n"
                                  "      - {id: 1, algorithm: RS256, file: /etc/k/1.pem}\n"
                                  "      - {id: 2, algorithm: HS256, file: /etc/k/2.key}\n"
                                  "  audit:\n"
                                  "    file_size_max: 1MiB\n"
                                  "    files_kept: 10\n"
                                  "    when_full: allow\n"
                                  "  connections_max: 10\n"
                                  "  request_timeout: 500ms\n"
                                  "  metrics: open\n";

static void test_a_whole_section_fills_all_of_it(void)
{
	struct config *config = parsed(whole);
	const struct admin *admin = &config->admin;

	CU_ASSERT_STRING_EQUAL(admin->directory, "/var/lib/kante");
	CU_ASSERT_STRING_EQUAL(admin->socket, "/run/k/a.sock");
	CU_ASSERT_EQUAL_FATAL(admin->listen_count, 2);
	CU_ASSERT_TRUE(host_is(&admin->listen[0], "192.0.2.1"));
	CU_ASSERT_TRUE(host_is(&admin->listen[1], "::"));
	CU_ASSERT_EQUAL(admin->port, 443);
	CU_ASSERT_TRUE(admin->certificate_given);
	CU_ASSERT_TRUE(admin->client_ca_given);
	CU_ASSERT_STRING_EQUAL(admin->certificate, "/etc/k/s.crt");
	CU_ASSERT_STRING_EQUAL(admin->key, "/etc/k/s.key");
	CU_ASSERT_STRING_EQUAL(admin->client_ca, "/etc/k/c.crt");
	CU_ASSERT_STRING_EQUAL(admin->crl, "/etc/k/c.crl");
	CU_ASSERT_EQUAL_FATAL(admin->client_count, 2);
	CU_ASSERT_STRING_EQUAL(admin->clients[0].match, "CN=ops");
	CU_ASSERT_EQUAL(admin->clients[0].role, ROLE_admin);
	CU_ASSERT_STRING_EQUAL(admin->clients[1].match, "DNS:a.example");
	CU_ASSERT_EQUAL(admin->clients[1].role, ROLE_viewer);
	CU_ASSERT_EQUAL(admin->audit.file_bytes_max, CONFIG_MIB);
	CU_ASSERT_EQUAL(admin->audit.files_kept_max, 10);
	CU_ASSERT_EQUAL(admin->audit.when_full, ADMIN_WHEN_FULL_allow);
	CU_ASSERT_EQUAL(admin->connection_count_max, 10);
	CU_ASSERT_EQUAL(admin->request_timeout_us, 500000);
	CU_ASSERT_EQUAL(admin->metrics, ADMIN_METRICS_open);
	config_destroy(config);
}

static void test_tokens_have_an_issuer_an_audience_and_keys(void)
{
	struct config *config = parsed(whole);
	const struct admin_tokens *tokens = &config->admin.tokens;

	CU_ASSERT_STRING_EQUAL(tokens->issuer, "https://login.example");
	CU_ASSERT_STRING_EQUAL(tokens->audience, "kante");
	CU_ASSERT_STRING_EQUAL(tokens->role_claim, "kante/role");
	CU_ASSERT_EQUAL(tokens->skew_s, 120);
	CU_ASSERT_EQUAL(tokens->lifetime_s_max, 3600);
	CU_ASSERT_EQUAL_FATAL(tokens->key_count, 2);
	CU_ASSERT_STRING_EQUAL(tokens->keys[0].id, "1");
	CU_ASSERT_EQUAL(tokens->keys[0].algorithm, ADMIN_ALGORITHM_RS256);
	CU_ASSERT_STRING_EQUAL(tokens->keys[0].file, "/etc/k/1.pem");
	CU_ASSERT_EQUAL(tokens->keys[1].algorithm, ADMIN_ALGORITHM_HS256);
	config_destroy(config);
	config = parsed(TOKENS);
	tokens = &config->admin.tokens;
	CU_ASSERT_STRING_EQUAL(tokens->role_claim, "role");
	CU_ASSERT_EQUAL(tokens->skew_s, 60);
	CU_ASSERT_EQUAL(tokens->lifetime_s_max, 86400);
	CU_ASSERT_EQUAL(tokens->keys[0].algorithm, ADMIN_ALGORITHM_ES256);
	config_destroy(config);
}

static void test_a_ca_from_elsewhere_has_a_crl_only_if_one_is_given(void)
{
	struct config *config = parsed(ADMIN "  client_ca: /c.crt\n");

	CU_ASSERT_STRING_EQUAL(config->admin.client_ca, "/c.crt");
	CU_ASSERT_STRING_EQUAL(config->admin.crl, "");
	CU_ASSERT_STRING_EQUAL(config->admin.certificate, "/d/server.crt");
	config_destroy(config);
	config = parsed(ADMIN "  certificate: /s.crt\n  key: /s.key\n");
	CU_ASSERT_STRING_EQUAL(config->admin.client_ca, "/d/ca.crt");
	CU_ASSERT_STRING_EQUAL(config->admin.crl, "/d/ca.crl");
	config_destroy(config);
}

static void test_what_may_change_while_it_runs_is_taken_over_and_nothing_else(void)
{
	struct config *config = parsed(ADMIN);
	struct config *other = parsed(
	    "ports:\n" LISTEN "admin:\n  directory: /e\n  port: 1\n  socket: /s\n  metrics: open\n"
	    "  connections_max: 7\n  request_timeout: 3s\n"
	    "  audit: {file_size_max: 1MiB, files_kept: 5, when_full: allow}\n");
	struct admin *admin = &config->admin;

	admin_take_live(admin, &other->admin);
	CU_ASSERT_EQUAL(admin->metrics, ADMIN_METRICS_open);
	CU_ASSERT_EQUAL(admin->connection_count_max, 7);
	CU_ASSERT_EQUAL(admin->request_timeout_us, 3000000);
	CU_ASSERT_EQUAL(admin->audit.file_bytes_max, CONFIG_MIB);
	CU_ASSERT_EQUAL(admin->audit.files_kept_max, 5);
	CU_ASSERT_EQUAL(admin->audit.when_full, ADMIN_WHEN_FULL_allow);
	CU_ASSERT_STRING_EQUAL(admin->directory, "/d");
	CU_ASSERT_STRING_EQUAL(admin->socket, "/run/kante/admin.sock");
	CU_ASSERT_EQUAL(admin->port, 11280);
	config_destroy(config);
	config_destroy(other);
}

static void check_defaults(const struct config_table *table)
{
	for (uint32_t i = 0; i < table->count; i++) {
		const struct config_parameter *field = &table->parameters[i];

		/* only numbers can be taken over without a restart */
		CU_ASSERT_TRUE(field->effect == CONFIG_RESTART || field->type < CONFIG_TEXT);
		CU_ASSERT_TRUE(field->help[0] != '\0');
		if (field->table != NULL)
			check_defaults(field->table);
		if (field->type >= CONFIG_TEXT || field->is_required || field->without != NULL)
			continue;
		CU_ASSERT_TRUE(field->default_value >= field->minimum);
		CU_ASSERT_TRUE(field->default_value <= field->maximum);
	}
}

static void test_every_default_of_the_section_is_within_its_range(void)
{
	check_defaults(&config_admin_fields);
}

#define FIELDS                                                                                     \
	"directory, socket, listen, port, certificate, key, client_ca, crl, clients, tokens, "     \
	"audit, connections_max, request_timeout, metrics"
#define NO_LIST  "a list or mapping where one value belongs: write a single value"
#define NO_VALUE "no value given: give one or remove the line"
#define NO_HOST(text)                                                                              \
	"\"" text "\" is not an address to listen on: write one such as 127.0.0.1 or \"::1\", "    \
	"without a port"
#define NO_PATH(text, example) "\"" text "\" is not an absolute path: write one such as " example

static void test_what_is_no_section_is_refused(void)
{
	static const struct fault_case sections[] = {
	    {PORTS "admin:\n", "f:3: admin: not a mapping: write it as {directory: ..., ...}"},
	    {PORTS "admin: []\n", "f:3: admin: not a mapping: write it as {directory: ..., ...}"},
	    {PORTS "admin: {}\n",
	     "f:3: admin.directory: missing, the section needs it: Holds the audit log, API keys, "
	     "and the CA and certificates made here"},
	    {ADMIN "  colour: red\n", "f:5: admin.colour: no such field: the section has " FIELDS},
	    {ADMIN "  \"\\x01\\xff\": 1\n",
	     "f:5: admin.???: no such field: the section has " FIELDS},
	    {ADMIN "  directory: /e\n", "f:5: directory: given twice, first in line 4: remove one"},
	    {ADMIN "  audit: 5\n",
	     "f:5: admin.audit: not a mapping: write it as {file_size_max: ..., ...}"},
	    {ADMIN "  audit: {keep: 5}\n",
	     "f:5: admin.audit.keep: no such field: the section has file_size_max, files_kept, "
	     "when_full"},
	};

	RUN_FAULTS(sections);
}

static void test_bad_places_are_refused(void)
{
	static const struct fault_case places[] = {
	    {PORTS "admin: {directory: d}\n",
	     "f:3: admin.directory: " NO_PATH("d", "/var/lib/kante")},
	    {PORTS "admin: {directory: }\n", "f:3: admin.directory: " NO_VALUE},
	    {PORTS "admin: {directory: []}\n", "f:3: admin.directory: " NO_LIST},
	    {ADMIN "  socket: a.sock\n",
	     "f:5: admin.socket: \"a.sock\" is not an absolute path: write one such as "
	     "/run/kante/admin.sock"},
	    {ADMIN "  listen: 127.0.0.1\n",
	     "f:5: admin.listen: not a list of addresses: write one such as [127.0.0.1, \"::1\"]"},
	    {ADMIN "  listen: []\n",
	     "f:5: admin.listen: not a list of addresses: write one such as [127.0.0.1, \"::1\"]"},
	    {ADMIN "  listen: [localhost]\n", "f:5: admin.listen: " NO_HOST("localhost")},
	    {ADMIN "  listen: [127.0.0.1:1]\n", "f:5: admin.listen: " NO_HOST("127.0.0.1:1")},
	    {ADMIN "  listen: [10.0.0.0/8]\n", "f:5: admin.listen: " NO_HOST("10.0.0.0/8")},
	    {ADMIN "  listen: [224.0.0.1]\n", "f:5: admin.listen: " NO_HOST("224.0.0.1")},
	    {ADMIN "  listen: [[a]]\n", "f:5: admin.listen: " NO_LIST},
	    {ADMIN "  listen:\n  - 10.0.0.1\n  - 10.0.0.1\n",
	     "f:7: admin.listen: \"10.0.0.1\" is listed twice: remove one"},
	    {ADMIN "  port: 0\n",
	     "f:5: admin.port: 0 is out of range: choose a value from 1 to 65535"},
	    {ADMIN "  port: 65536\n",
	     "f:5: admin.port: 65536 is out of range: choose a value from 1 to 65535"},
	    {ADMIN "  port: https\n",
	     "f:5: admin.port: \"https\" is not a whole number: write digits only"},
	    {ADMIN "  listen: [127.0.0.1]\n  port: 11211\n",
	     "f:5: admin.listen: the same place as ports[0]: choose another port"},
	    {"ports:\n- {kind: socket, listen: /run/kante/admin.sock}\nadmin:\n  directory: /d\n",
	     "f:3: admin.socket: the same place as ports[0]: choose another"},
	    {"ports:\n- {kind: socket, listen: /k.sock}\nadmin:\n  directory: /d\n"
	     "  socket: /k.sock\n",
	     "f:5: admin.socket: the same place as ports[0]: choose another"},
	};

	RUN_FAULTS(places);
}

static void test_files_that_need_each_other_come_together(void)
{
	static const struct fault_case pairs[] = {
	    {ADMIN "  certificate: /c\n",
	     "f:5: admin.certificate: a certificate without its key: write the path of that as "
	     "`key`, or remove it"},
	    {ADMIN "  key: /k\n", "f:5: admin.key: a key without its certificate: write the path "
	                          "of that as `certificate`, or remove it"},
	    {ADMIN "  crl: /c\n",
	     "f:5: admin.crl: without client_ca, and the CA that is made here has a CRL of its "
	     "own: write client_ca, or remove it"},
	    {ADMIN "  certificate: c\n  key: /k\n",
	     "f:5: admin.certificate: " NO_PATH("c", "/etc/kante/server.crt")},
	};

	RUN_FAULTS(pairs);
}

static void test_bad_clients_are_refused(void)
{
	static const struct fault_case clients[] = {
	    {ADMIN "  clients: []\n",
	     "f:5: admin.clients: not a list: write lines such as `- {match: ..., ...}`"},
	    {ADMIN "  clients: {match: \"CN=a\", role: admin}\n",
	     "f:5: admin.clients: not a list: write lines such as `- {match: ..., ...}`"},
	    {ADMIN "  clients: [ops]\n",
	     "f:5: admin.clients[0]: not a mapping: write it as {match: ..., ...}"},
	    {ADMIN "  clients: [{match: \"CN=a\"}]\n",
	     "f:5: admin.clients[0].role: missing, a client needs it: What its holder may do"},
	    {ADMIN "  clients: [{role: admin}]\n",
	     "f:5: admin.clients[0].match: missing, a client needs it: What the certificate has: "
	     "CN=, OU=, DNS:, URI: or email: and the whole of it"},
	    {ADMIN "  clients:\n  - {match: \"CN=a\", role: root}\n",
	     "f:6: admin.clients[0].role: \"root\" is not known: write none or viewer or operator "
	     "or admin"},
	    {ADMIN "  clients:\n  - {match: ops, role: admin}\n",
	     "f:6: admin.clients[0].match: \"ops\" is nothing that a certificate has: write CN=, "
	     "OU=, DNS:, URI: or email: and what follows, such as \"CN=ops\""},
	    {ADMIN "  clients:\n  - {match: CN=, role: admin}\n",
	     "f:6: admin.clients[0].match: \"CN=\" is nothing that a certificate has: write CN=, "
	     "OU=, DNS:, URI: or email: and what follows, such as \"CN=ops\""},
	    {ADMIN "  clients:\n  - {match: \"CN=a\\n\", role: admin}\n",
	     "f:6: admin.clients[0].match: \"CN=a?\" is a text with control characters: remove "
	     "them"},
	    {ADMIN "  clients:\n  - {match: CN=a, role: admin}\n  - {match: CN=a, role: viewer}\n",
	     "f:7: admin.clients[1].match: \"CN=a\" is that of admin.clients[0]: remove one of "
	     "them"},
	};

	RUN_FAULTS(clients);
}

static void test_bad_tokens_are_refused(void)
{
	static const struct fault_case tokens[] = {
	    {ADMIN "  tokens: {}\n",
	     "f:5: admin.tokens.issuer: missing, the section needs it: What a token's `iss` has to "
	     "be\n"
	     "f:5: admin.tokens.audience: missing, the section needs it: What a token's `aud` has "
	     "to be, or to have in it\n"
	     "f:5: admin.tokens.keys: missing, the section needs it: What the issuer signs with"},
	    {ADMIN "  tokens: {issuer: i, audience: a, keys: []}\n",
	     "f:5: admin.tokens.keys: not a list: write lines such as `- {id: ..., ...}`"},
	    {ADMIN "  tokens: {issuer: i, audience: a, keys: [{id: k, file: /k}]}\n",
	     "f:5: admin.tokens.keys[0].algorithm: missing, a key needs it: The one algorithm that "
	     "is taken with this key"},
	    {ADMIN "  tokens: {issuer: i, audience: a,\n"
	           "    keys: [{id: k, file: /k, algorithm: none}]}\n",
	     "f:6: admin.tokens.keys[0].algorithm: \"none\" is not known: write RS256 or ES256 or "
	     "HS256"},
	    {ADMIN "  tokens: {issuer: i, audience: a, keys: [\n"
	           "    {id: k, file: /k, algorithm: RS256},\n"
	           "    {id: k, file: k, algorithm: RS256}]}\n",
	     "f:7: admin.tokens.keys[1].file: " NO_PATH(
	         "k", "/etc/kante/issuer.pem") "\n"
	                                       "f:7: admin.tokens.keys[1].id: \"k\" is that of "
	                                       "admin.tokens.keys[0]: remove one of "
	                                       "them"},
	    {TOKENS "    skew: 500ms\n",
	     "f:9: admin.tokens.skew: \"500ms\" is not a duration in whole seconds: write a number "
	     "with s, min or h, such as 60s"},
	    {TOKENS "    skew: 11min\n",
	     "f:9: admin.tokens.skew: 11min is out of range: choose a value from 0 to 10min"},
	    {TOKENS "    lifetime_max: 0\n", "f:9: admin.tokens.lifetime_max: 0 is out of range: "
	                                     "choose a value from 1min to 8760h"},
	    {TOKENS "    issuer: j\n", "f:9: issuer: given twice, first in line 6: remove one"},
	};

	RUN_FAULTS(tokens);
}

static void test_bad_values_are_refused(void)
{
	static const struct fault_case values[] = {
	    {ADMIN "  audit: {file_size_max: 1}\n",
	     "f:5: admin.audit.file_size_max: 1 is out of range: choose a value from 64KiB to "
	     "1GiB"},
	    {ADMIN "  audit: {files_kept: 1000001}\n",
	     "f:5: admin.audit.files_kept: 1000001 is out of range: choose a value from 0 to "
	     "1000000"},
	    {ADMIN "  audit: {when_full: stop}\n",
	     "f:5: admin.audit.when_full: \"stop\" is not known: write refuse or allow"},
	    {ADMIN "  connections_max: 0\n",
	     "f:5: admin.connections_max: 0 is out of range: choose a value from 1 to 4096"},
	    {ADMIN "  request_timeout: 0\n",
	     "f:5: admin.request_timeout: 0 is out of range: choose a value from 100ms to 1h"},
	    {ADMIN "  metrics: none\n",
	     "f:5: admin.metrics: \"none\" is not known: write viewer or open"},
	};

	RUN_FAULTS(values);
}

/* `count` lines of that format, each with its number, behind `start`. */
static char *many(const char *start, const char *format, uint32_t count)
{
	char *text = malloc(TEXT_BYTES);
	size_t used = (size_t)snprintf(text, TEXT_BYTES, "%s", start);

	for (uint32_t i = 0; i < count; i++) {
		char line[128];

		snprintf(line, sizeof(line), format, i + 1);
		used += (size_t)snprintf(text + used, TEXT_BYTES - used, "%s", line);
	}
	CU_ASSERT_TRUE_FATAL(used < TEXT_BYTES);
	return text;
}

static void limit_holds(const char *start, const char *format, uint32_t limit, const char *fault)
{
	char *text = many(start, format, limit);

	config_destroy(parsed(text));
	free(text);
	text = many(start, format, limit + 1);
	refused(text, fault);
	free(text);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void test_more_than_the_limits_are_refused(void)
{
	char path[160], text[512];

	limit_holds(ADMIN "  listen:\n", "  - 10.0.0.%u\n", ADMIN_LISTEN_COUNT_MAX,
	            "f:14: admin.listen: more than 8 addresses: list fewer");
	limit_holds(ADMIN "  clients:\n", "  - {match: CN=%u, role: admin}\n",
	            ADMIN_CLIENT_COUNT_MAX, "f:70: admin.clients: more than 64: list fewer");
	limit_holds(ADMIN "  tokens:\n    issuer: i\n    audience: a\n    keys:\n",
	            "    - {id: %u, algorithm: ES256, file: /k}\n", ADMIN_KEY_COUNT_MAX,
	            "f:25: admin.tokens.keys: more than 16: list fewer");
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[ADMIN_SOCKET_BYTES - 1] = '\0';
	snprintf(text, sizeof(text), ADMIN "  socket: %s\n", path);
	config_destroy(parsed(text));
	path[ADMIN_SOCKET_BYTES - 1] = 'x';
	path[ADMIN_SOCKET_BYTES] = '\0';
	snprintf(text, sizeof(text), ADMIN "  socket: %s\n", path);
	refused(text, "f:5: admin.socket: \"/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\" is "
	              "longer than 107 bytes: choose a shorter one");
}
#pragma GCC diagnostic pop

static const struct unit_case cases[] = {
    {"without the section there is none", test_without_the_section_there_is_none},
    {"a directory is enough, and all else has its default",
     test_a_directory_is_enough_and_all_else_has_its_default},
    {"a whole section fills all of it", test_a_whole_section_fills_all_of_it},
    {"tokens have an issuer, an audience and keys",
     test_tokens_have_an_issuer_an_audience_and_keys},
    {"a CA from elsewhere has a CRL only if one is given",
     test_a_ca_from_elsewhere_has_a_crl_only_if_one_is_given},
    {"what may change while it runs is taken over, and nothing else",
     test_what_may_change_while_it_runs_is_taken_over_and_nothing_else},
    {"every default of the section is within its range",
     test_every_default_of_the_section_is_within_its_range},
    {"what is no section is refused", test_what_is_no_section_is_refused},
    {"bad places are refused", test_bad_places_are_refused},
    {"files that need each other come together", test_files_that_need_each_other_come_together},
    {"bad clients are refused", test_bad_clients_are_refused},
    {"bad tokens are refused", test_bad_tokens_are_refused},
    {"bad values are refused", test_bad_values_are_refused},
    {"more than the limits are refused", test_more_than_the_limits_are_refused},
};

int main(void)
{
	return UNIT_RUN("config_admin", cases);
}
