/* SPDX-License-Identifier: Apache-2.0 */
#include "config/diff.h"

#include "config/settings.h"
#include "config_rig.h"
#include "faults.h"

#include <errno.h>
#include <stdlib.h>

FAULTY(char *, NULL, strdup, (const char *text), (text))
FAULTY(char *, NULL, strndup, (const char *text, size_t length), (text, length))
FAULTY(FILE *, NULL, open_memstream, (char **text, size_t *length), (text, length))
FAULTY(void *, NULL, reallocarray, (void *list, size_t count, size_t bytes), (list, count, bytes))

/* All that differs between two texts, a line each: "PATH: BEFORE -> AFTER", and how it counts. */
static char *differences(const char *before, const char *after)
{
	struct config *a = parsed(before), *b = parsed(after);
	struct config_diff *diff = NULL;
	char *text = NULL;
	size_t length;
	FILE *to = open_memstream(&text, &length);

	CU_ASSERT_EQUAL_FATAL(config_diff_create(&diff, a, b), 0);
	for (uint32_t i = 0; i < diff->count; i++) {
		const struct config_difference *difference = &diff->list[i];

		fprintf(to, "%s: %s -> %s%s\n", difference->path,
		        difference->before == NULL ? "none" : difference->before,
		        difference->after == NULL ? "none" : difference->after,
		        difference->restart ? "" : ", at once");
	}
	fclose(to);
	config_diff_destroy(diff);
	config_destroy(a);
	config_destroy(b);
	return text;
}

static void differ(const char *before, const char *after, const char *wanted)
{
	char *got = differences(before, after);

	if (strcmp(got, wanted) != 0)
		printf("\n--- before\n%s--- after\n%s--- want\n%s--- got\n%s", before, after,
		       wanted, got);
	CU_ASSERT_STRING_EQUAL(got, wanted);
	free(got);
}

static void test_what_means_the_same_does_not_differ(void)
{
	differ(PORTS, PORTS, "");
	differ(PORTS, "# another\nmemory: 65536KiB\nidle_timeout: 0s\n" PORTS, "");
	differ(PORTS "classes: [{name: b, prefix: b}, {name: a, prefix: a, priority: 5}]\n",
	       PORTS "classes: [{name: a, prefix: a}, {name: b, prefix: \"b\"}]\n", "");
	differ("ports: [{kind: socket, listen: /k}, {kind: socket, listen: /l, mode: 700}]\n",
	       "ports: [{kind: socket, listen: /l}, {kind: socket, listen: /k, backlog: 4096}]\n",
	       "");
	differ(PORTS "admin: {directory: /d, audit: {}}\n",
	       PORTS "admin: {port: 11280, directory: /d}\n", "");
}

static void test_each_parameter_says_when_it_counts(void)
{
	for (uint32_t i = 0; i < config_parameter_count; i++) {
		const struct config_parameter *parameter = &config_parameters[i];
		char before[CONFIG_QUANTITY_BYTES], after[CONFIG_QUANTITY_BYTES];
		char text[256], wanted[256];
		uint64_t other = parameter->default_value == parameter->minimum
		                     ? parameter->minimum + 1
		                     : parameter->minimum;

		/* each worker has to have room for the largest value twice */
		if (strcmp(parameter->name, "memory") == 0)
			other = 128 * CONFIG_MIB;
		config_format_quantity(before, parameter->type, parameter->default_value);
		config_format_quantity(after, parameter->type, other);
		snprintf(text, sizeof(text), "%s: %s\n" PORTS, parameter->name, after);
		snprintf(wanted, sizeof(wanted), "%s: %s -> %s%s\n", parameter->name, before, after,
		         parameter->effect == CONFIG_LIVE ? ", at once" : "");
		differ(PORTS, text, wanted);
	}
}

static void test_workers_differ_by_count_and_by_cores(void)
{
	differ("workers: 2\n" PORTS, "workers: [2, 3]\n" PORTS, "workers: 2 -> [2, 3]\n");
	differ("workers: [2, 3]\n" PORTS, "workers: [3, 2]\n" PORTS, "workers: [2, 3] -> [3, 2]\n");
	differ("workers: [2, 3]\n" PORTS, "workers: [2, 3]\nmemory: 1GiB\n" PORTS,
	       "memory: 64MiB -> 1GiB\n");
}

static void test_a_path_that_is_not_given_is_none(void)
{
	differ(PORTS, "auth_file: /a b\n" PORTS, "auth_file: none -> /a b\n");
	differ("memory_file: /m\n" PORTS, PORTS, "memory_file: /m -> none\n");
	differ("memory_file: /m\n" PORTS, "memory_file: /n\n" PORTS, "memory_file: /m -> /n\n");
}

#define TAP "- {kind: tap, name: k0, addresses: [198.18.0.2/24], tcp: 1, allow: any}\n"

static void test_ports_are_known_by_kind_and_place(void)
{
	differ(PORTS TAP,
	       PORTS "- {kind: tap, name: k0, addresses: [198.18.0.2/24, \"fd00::2/64\"], udp: 2,\n"
	             "   allow: [10.0.0.0/8, \"fd00::/8\"]}\n",
	       "ports[tap k0].addresses: [198.18.0.2/24] -> [198.18.0.2/24, \"fd00::2/64\"]\n"
	       "ports[tap k0].tcp: 1 -> none\n"
	       "ports[tap k0].allow: any -> [10.0.0.0/8, \"fd00::/8\"]\n"
	       "ports[tap k0].udp: none -> 2\n");
	differ(
	    "ports:\n" TAP LISTEN, "ports:\n" TAP "- {kind: socket, listen: \"[::1]:1\"}\n",
	    "ports[socket 127.0.0.1:11211]: {kind: socket, listen: \"127.0.0.1:11211\", backlog: "
	    "4096, allow: any} -> none\n"
	    "ports[socket [::1]:1]: none -> {kind: socket, listen: \"[::1]:1\", backlog: 4096, "
	    "allow: any}\n");
	differ("ports: [{kind: socket, listen: /k}]\n",
	       "ports: [{kind: socket, listen: /k, mode: 0770}]\n",
	       "ports[socket /k].mode: 0700 -> 0770\n");
}

static void test_ports_of_all_kinds_are_told_as_they_are_written(void)
{
	differ(
	    PORTS,
	    PORTS TAP
	    "- {kind: xdp, interface: e.5, udp: 1, allow: [10.0.0.0/8]}\n"
	    "- {kind: memif, socket: /m, addresses: [10.0.0.1], tcp: 1, allow: any}\n"
	    "- {kind: pci, device: \"0000:03:00.0\", addresses: [\"fd00::1\"], tcp: 1, allow: "
	    "any}\n",
	    "ports[tap k0]: none -> {kind: tap, name: k0, addresses: [198.18.0.2/24], tcp: 1, "
	    "allow: any}\n"
	    "ports[xdp e.5]: none -> {kind: xdp, interface: e.5, busy_poll: 0, udp: 1, allow: "
	    "[10.0.0.0/8]}\n"
	    "ports[memif /m]: none -> {kind: memif, socket: /m, addresses: [10.0.0.1/32], tcp: 1, "
	    "allow: any}\n"
	    "ports[pci 0000:03:00.0]: none -> {kind: pci, device: \"0000:03:00.0\", addresses: "
	    "[\"fd00::1/128\"], tcp: 1, allow: any}\n");
}

static void test_classes_are_known_by_their_names(void)
{
	differ(
	    PORTS "classes: [{name: a, prefix: \"a:\"}, {name: b, prefix: b}]\n",
	    PORTS "classes: [{name: a, prefix: a, ttl_max: 1h}, {name: c, prefix: b}]\n",
	    "classes[a].prefix: a: -> a\n"
	    "classes[a].ttl_max: 0 -> 1h\n"
	    "classes[b]: {name: b, prefix: b, priority: 5, share_min: 0, share_max: 100%, "
	    "ttl_default: 0, ttl_max: 0, rate_max: 0} -> none\n"
	    "classes[c]: none -> {name: c, prefix: b, priority: 5, share_min: 0, share_max: 100%, "
	    "ttl_default: 0, ttl_max: 0, rate_max: 0}\n");
}

static void test_the_class_of_all_other_keys_is_known_as_default(void)
{
	differ(PORTS, PORTS "classes: [{name: default, prefix: \"\", rate_max: 5}]\n",
	       "classes[default].rate_max: 0 -> 5\n");
}

static void test_a_section_that_is_new_or_gone_is_told_as_a_whole(void)
{
#define ADMIN PORTS "admin:\n  directory: /d\n"
	differ(PORTS, ADMIN,
	       "admin: none -> {directory: /d, socket: /run/kante/admin.sock, port: 11280, "
	       "connections_max: 64, request_timeout: 10s, metrics: viewer}\n"
	       "admin.audit: none -> {file_size_max: 64MiB, files_kept: 0, when_full: refuse}\n");
	differ(ADMIN
	       "  tokens: {issuer: \"https://a\", audience: a, keys: [{id: k, algorithm: ES256, "
	       "file: /k}]}\n",
	       ADMIN,
	       "admin.tokens: {issuer: \"https://a\", audience: a, role_claim: role, skew: 1min, "
	       "lifetime_max: 24h, keys: [{id: k, algorithm: ES256, file: /k}]} -> none\n");
}

static void test_what_differs_in_a_section_is_told_by_its_field(void)
{
	differ(ADMIN, PORTS "admin: {directory: /e}\n", "admin.directory: /d -> /e\n");
	differ(ADMIN,
	       ADMIN
	       "  listen: [127.0.0.1, \"::1\"]\n  metrics: open\n"
	       "  certificate: /c\n  key: /k\n  client_ca: /a\n"
	       "  audit: {when_full: allow}\n"
	       "  clients: [{match: \"CN=a b\", role: admin}, {match: \"OU=x\", role: none}]\n",
	       "admin.metrics: viewer -> open, at once\n"
	       "admin.audit.when_full: refuse -> allow, at once\n"
	       "admin.listen: none -> [127.0.0.1, \"::1\"]\n"
	       "admin.certificate: none -> /c\n"
	       "admin.key: none -> /k\n"
	       "admin.client_ca: none -> /a\n"
	       "admin.clients: none -> [{match: \"CN=a b\", role: admin}, {match: \"OU=x\", role: "
	       "none}]\n");
}

static const char rich[] =
    "workers: [2, 5]\nmemory: 1GiB\neviction: lfu\nidle_timeout: 90s\nauth_file: \"/a b\"\n"
    "classes:\n"
    "- {name: a, prefix: \"a:\", share_min: 5%, ttl_max: 2h, rate_max: 7}\n"
    "- {name: rest, prefix: \"\", ttl_default: 5min}\n"
    "ports:\n"
    "- {kind: socket, listen: /k, mode: 0770, backlog: 5}\n"
    "- {kind: socket, listen: \"[::]:1\", allow: [10.0.0.0/8, \"fd00::/8\"]}\n" TAP
    "- {kind: xdp, interface: e, busy_poll: 64, tcp: 2, allow: any}\n"
    "- {kind: pci, device: \"0000:03:00.0\", addresses: [10.0.0.1/8], tcp: 1, allow: any}\n"
    "admin:\n"
    "  directory: /d\n"
    "  listen: [192.0.2.1, \"::\"]\n"
    "  certificate: /c\n"
    "  key: /k\n"
    "  client_ca: /ca\n"
    "  crl: /crl\n"
    "  clients: [{match: \"CN=\\\"a\\\\, b\", role: operator}]\n"
    "  tokens: {issuer: i, audience: \"a b\", keys: [{id: \"1\", algorithm: HS256, file: /s}]}\n"
    "  audit: {files_kept: 3}\n";

static void test_what_the_settings_say_is_a_config_that_says_the_same(void)
{
	struct config *config = parsed(rich), *again;
	struct config_settings *settings = NULL;
	char *text = NULL;
	size_t length;
	FILE *to = open_memstream(&text, &length);

	CU_ASSERT_EQUAL_FATAL(config_settings_create(&settings, config), 0);
	config_settings_write_file(to, settings);
	fclose(to);
	again = parsed(text);
	if (memcmp(config, again, sizeof(*config)) != 0)
		printf("\n%s\n", text);
	CU_ASSERT_EQUAL(memcmp(config, again, sizeof(*config)), 0);
	config_destroy(again);
	config_destroy(config);
	config_settings_destroy(settings);
	free(text);
}

static void test_without_memory_nothing_is_said(void)
{
	static const char *const calls[] = {"strdup", "strndup", "open_memstream", "reallocarray"};
	struct config *before = parsed(PORTS), *after = parsed(rich);

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		uint32_t tries = 0;
		int r = -ENOMEM;

		/* each time it gets a little further */
		for (; r == -ENOMEM && tries < 10000; tries++) {
			struct config_diff *diff = NULL;

			fault_set(calls[i], ENOMEM, tries, 1);
			r = config_diff_create(&diff, before, after);
			fault_clear();
			CU_ASSERT_EQUAL(r == 0, diff != NULL);
			config_diff_destroy(diff);
		}
		CU_ASSERT_EQUAL(r, 0);
		CU_ASSERT_TRUE(tries > 2);
	}
	config_destroy(before);
	config_destroy(after);
}

static const struct unit_case cases[] = {
    {"what means the same does not differ", test_what_means_the_same_does_not_differ},
    {"each parameter says when it counts", test_each_parameter_says_when_it_counts},
    {"workers differ by count and by cores", test_workers_differ_by_count_and_by_cores},
    {"a path that is not given is none", test_a_path_that_is_not_given_is_none},
    {"ports are known by kind and place", test_ports_are_known_by_kind_and_place},
    {"ports of all kinds are told as they are written",
     test_ports_of_all_kinds_are_told_as_they_are_written},
    {"classes are known by their names", test_classes_are_known_by_their_names},
    {"the class of all other keys is known as default",
     test_the_class_of_all_other_keys_is_known_as_default},
    {"a section that is new or gone is told as a whole",
     test_a_section_that_is_new_or_gone_is_told_as_a_whole},
    {"what differs in a section is told by its field",
     test_what_differs_in_a_section_is_told_by_its_field},
    {"what the settings say is a config that says the same",
     test_what_the_settings_say_is_a_config_that_says_the_same},
    {"without memory nothing is said", test_without_memory_nothing_is_said},
};

int main(void)
{
	return UNIT_RUN("diff", cases);
}
