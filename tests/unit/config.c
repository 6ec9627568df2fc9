/* SPDX-License-Identifier: Apache-2.0 */
#include "config_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The text's faults must be one line, which starts with "kante.yaml:LINE:" and has the fragment. */
static void refused(const char *text, unsigned line, const char *fragment)
{
	struct config *config = NULL;
	char error[CONFIG_ERROR_BYTES] = "", start[32];
	int r = config_parse(&config, "kante.yaml", text, strlen(text), error, sizeof(error));

	snprintf(start, sizeof(start), "kante.yaml:%u: ", line);
	if (r != -EINVAL || strncmp(error, start, strlen(start)) != 0 ||
	    strstr(error, fragment) == NULL || strchr(error, '\n') != NULL)
		printf("\n--- %s\nwant %u: %s\ngot %d: %s\n", text, line, fragment, r, error);
	CU_ASSERT_EQUAL(r, -EINVAL);
	CU_ASSERT_EQUAL(strncmp(error, start, strlen(start)), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, fragment));
	CU_ASSERT_PTR_NULL(strchr(error, '\n'));
	CU_ASSERT_PTR_NULL(config);
	config_destroy(config);
}

static struct ip_prefix prefix(const char *text)
{
	struct ip_prefix prefix = {0};

	CU_ASSERT_EQUAL(ip_prefix_parse(&prefix, text), 0);
	return prefix;
}

static bool prefix_is(const struct ip_prefix *got, const char *text)
{
	struct ip_prefix wanted = prefix(text);

	return ip_address_equal(&got->address, &wanted.address) && got->length == wanted.length;
}

static const char whole_example[] =
    "workers: [2, 3]\n"
    "memory: 1GiB\n"
    "item_size_max: 2MiB\n"
    "max_connections: 4096\n"
    "request_timeout: 500ms\n"
    "idle_timeout: 2min\n"
    "idle_sleep_max: 250us\n"
    "congestion: newreno\n"
    "eviction: adaptive\n"
    "udp_reply_bytes_max: 1000\n"
    "udp_amplification_max: 4\n"
    "ports:\n"
    "  - {kind: tap, name: kante0, addresses: [198.18.0.2/24, \"fd00:198::2/64\"],\n"
    "     tcp: 11211, udp: 11212, allow: [198.18.0.0/24, \"fd00:198::/64\"]}\n"
    "  - {kind: xdp, interface: veth0, tcp: 11211, udp: 11211, allow: any}\n"
    "  - kind: memif   # as a block\n"
    "    socket: /run/kante/memif.sock\n"
    "    addresses:\n"
    "      - 198.18.1.2/24\n"
    "    tcp: 11211\n"
    "    allow: any\n"
    "  - {kind: pci, device: \"0000:03:00.0\", addresses: [192.0.2.10/24], tcp: 11211,\n"
    "     allow: [192.0.2.0/24]}\n"
    "  - {kind: socket, listen: \"127.0.0.1:11211\"}\n"
    "  - {kind: socket, listen: \"[::]:11213\", udp: 11214, allow: [\"::1\", 10.0.0.0/8]}\n";

static void test_a_whole_example_fills_the_parameters(void)
{
	struct config *config = parsed(whole_example);

	CU_ASSERT_EQUAL(config->worker_count, 2);
	CU_ASSERT_TRUE(config->cores_given);
	CU_ASSERT_EQUAL(config->cores[0], 2);
	CU_ASSERT_EQUAL(config->cores[1], 3);
	CU_ASSERT_EQUAL(config->memory_bytes, CONFIG_GIB);
	CU_ASSERT_EQUAL(config->item_bytes_max, 2 * CONFIG_MIB);
	CU_ASSERT_EQUAL(config->connection_count_max, 4096);
	CU_ASSERT_EQUAL(config->request_timeout_us, 500000);
	CU_ASSERT_EQUAL(config->idle_timeout_us, 120000000);
	CU_ASSERT_EQUAL(config->idle_sleep_us, 250);
	CU_ASSERT_EQUAL(config->congestion, TCP_CONGESTION_newreno);
	CU_ASSERT_EQUAL(config->eviction, POLICY_adaptive);
	CU_ASSERT_EQUAL(config->udp_reply_bytes_max, 1000);
	CU_ASSERT_EQUAL(config->udp_amplification_max, 4);
	CU_ASSERT_EQUAL(config->port_count, 6);
	config_destroy(config);
}

static void test_a_whole_example_fills_the_ports(void)
{
	struct config *config = parsed(whole_example);
	const struct port_options *port = config->ports;

	CU_ASSERT_EQUAL(port[0].kind, PORT_TAP);
	CU_ASSERT_STRING_EQUAL(port[0].name, "kante0");
	CU_ASSERT_EQUAL(port[0].address_count, 2);
	CU_ASSERT_TRUE(prefix_is(&port[0].addresses[0], "198.18.0.2/24"));
	CU_ASSERT_TRUE(prefix_is(&port[0].addresses[1], "fd00:198::2/64"));
	CU_ASSERT_EQUAL(port[0].tcp_port, 11211);
	CU_ASSERT_EQUAL(port[0].udp_port, 11212);
	CU_ASSERT_FALSE(port[0].allow_any);
	CU_ASSERT_EQUAL(port[0].allow_count, 2);
	CU_ASSERT_TRUE(prefix_is(&port[0].allow[0], "198.18.0.0/24"));
	CU_ASSERT_TRUE(prefix_is(&port[0].allow[1], "fd00:198::/64"));
	CU_ASSERT_EQUAL(port[1].kind, PORT_XDP);
	CU_ASSERT_STRING_EQUAL(port[1].name, "veth0");
	CU_ASSERT_EQUAL(port[1].address_count, 0);
	CU_ASSERT_TRUE(port[1].allow_any);
	CU_ASSERT_EQUAL(port[2].kind, PORT_MEMIF);
	CU_ASSERT_STRING_EQUAL(port[2].name, "/run/kante/memif.sock");
	CU_ASSERT_EQUAL(port[2].address_count, 1);
	CU_ASSERT_EQUAL(port[2].udp_port, 0);
	CU_ASSERT_EQUAL(port[3].kind, PORT_PCI);
	CU_ASSERT_STRING_EQUAL(port[3].name, "0000:03:00.0");
	CU_ASSERT_EQUAL(port[4].kind, PORT_SOCKET);
	CU_ASSERT_TRUE(prefix_is(&port[4].addresses[0], "127.0.0.1"));
	CU_ASSERT_EQUAL(port[4].tcp_port, 11211);
	CU_ASSERT_TRUE(port[4].allow_any);
	CU_ASSERT_TRUE(prefix_is(&port[5].addresses[0], "::"));
	CU_ASSERT_EQUAL(port[5].udp_port, 11214);
	CU_ASSERT_FALSE(port[5].allow_any);
	CU_ASSERT_EQUAL(port[5].allow_count, 2);
	config_destroy(config);
}

static void test_what_is_not_said_has_its_default(void)
{
	struct config *config = parsed("ports:\n" LISTEN);

	CU_ASSERT_EQUAL(config->worker_count, 1);
	CU_ASSERT_FALSE(config->cores_given);
	CU_ASSERT_EQUAL(config->memory_bytes, 64 * CONFIG_MIB);
	CU_ASSERT_EQUAL(config->item_bytes_max, CONFIG_MIB);
	CU_ASSERT_EQUAL(config->connection_count_max, 1024);
	CU_ASSERT_EQUAL(config->request_timeout_us, 10000000);
	CU_ASSERT_EQUAL(config->idle_timeout_us, 0);
	CU_ASSERT_EQUAL(config->congestion, TCP_CONGESTION_cubic);
	CU_ASSERT_EQUAL(config->eviction, POLICY_s3fifo);
	CU_ASSERT_EQUAL(config->keepalive_us, 7200000000);
	CU_ASSERT_EQUAL(config->idle_sleep_us, 1000);
	CU_ASSERT_EQUAL(config->udp_reply_bytes_max, 1400);
	CU_ASSERT_EQUAL(config->udp_amplification_max, 10);
	config_destroy(config);
}

static void test_every_default_is_within_its_range(void)
{
	for (uint32_t i = 0; i < config_parameter_count; i++) {
		const struct config_parameter *parameter = &config_parameters[i];

		CU_ASSERT_TRUE(parameter->default_value >= parameter->minimum);
		CU_ASSERT_TRUE(parameter->default_value <= parameter->maximum);
	}
}

static void test_the_table_says_what_counts_at_once_and_what_from_the_next_start(void)
{
	static const char *const live[] = {
	    "eviction",       "request_timeout",     "idle_timeout",
	    "idle_sleep_max", "udp_reply_bytes_max", "udp_amplification_max",
	    "udp_rate_max",   "shutdown_command",    "hot_keys",
	    "hot_rate_min",
	};
	const size_t live_count = sizeof(live) / sizeof(live[0]);
	size_t found = 0;

	for (uint32_t i = 0; i < config_parameter_count; i++) {
		bool is_live = false;

		for (size_t j = 0; j < live_count; j++)
			is_live |= strcmp(config_parameters[i].name, live[j]) == 0;
		CU_ASSERT_EQUAL(config_parameters[i].effect,
		                is_live ? CONFIG_LIVE : CONFIG_RESTART);
		found += is_live;
	}
	CU_ASSERT_EQUAL(found, live_count);
}

static void test_quantities_are_written_as_they_are_read(void)
{
	char text[CONFIG_QUANTITY_BYTES];

	config_format_quantity(text, CONFIG_SIZE, 64 * CONFIG_MIB);
	CU_ASSERT_STRING_EQUAL(text, "64MiB");
	config_format_quantity(text, CONFIG_SIZE, 1025);
	CU_ASSERT_STRING_EQUAL(text, "1025");
	config_format_quantity(text, CONFIG_DURATION, 90000000);
	CU_ASSERT_STRING_EQUAL(text, "90s");
	config_format_quantity(text, CONFIG_DURATION, 0);
	CU_ASSERT_STRING_EQUAL(text, "0");
	config_format_quantity(text, CONFIG_COUNT, 10);
	CU_ASSERT_STRING_EQUAL(text, "10");
}

struct fault_case {
	const char *text;
	unsigned line;
	const char *fragment;
};

#define UNIX_PORT(fields)   "ports:\n- kind: socket\n  listen: /run/k.sock\n" fields
#define SOCKET_PORT(fields) "ports:\n- kind: socket\n  listen: \"127.0.0.1:1\"\n" fields
#define TAP(fields)         "ports:\n- kind: tap\n  name: kante0\n  tcp: 11211\n" fields
#define TAP_ADDRESS         "  addresses: [198.18.0.2/24]\n"

static void run_faults(const struct fault_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++)
		refused(cases[i].text, cases[i].line, cases[i].fragment);
}

#define RUN_FAULTS(cases) run_faults(cases, sizeof(cases) / sizeof(cases[0]))

static void test_bad_documents_are_refused_with_line_and_reason(void)
{
	static const struct fault_case documents[] = {
	    {"", 1, "the file is empty"},
	    {"\n# only a comment\n", 1, "the file is empty"},
	    {"---\n", 1, "the file is empty"},
	    {"hello", 1, "not a list of parameters"},
	    {"- a\n", 1, "not a list of parameters"},
	    {"memory: 64MiB\n", 1, "ports: missing"},
	    {"memroy: 64MiB\n" PORTS, 1, "memroy: no such parameter: there are workers, memory"},
	    {PORTS "clases: []\n", 3, "auth_file, memory_file, classes, ports"},
	    {PORTS "\"\\x01\\xff\": 1\n", 3, "??: no such parameter"},
	    {"memory: 64MiB\nmemory: 64MiB\n" PORTS, 2, "memory: given twice, first in line 1"},
	    {PORTS "memory: [\n", 4, "not YAML"},
	    {PORTS "memory: \"64MiB\n", 4, "not YAML"},
	    {"ports:\n\t- a\n", 2, "not YAML"},
	    {"ports: &a\n" LISTEN "memory: *a\n", 1, "an anchor (&)"},
	    {PORTS "memory: *a\n", 3, "an alias (*)"},
	    {"memory: !!int 5\n" PORTS, 1, "a tag (!)"},
	    {PORTS "---\nmemory: 1\n", 3, "a second document"},
	    {PORTS "? [a]\n: b\n", 3, "where the name of a parameter should"},
	    {"a: [[[[[[[[[[1]]]]]]]]]]\n", 1, "nested more than 8 deep"},
	    {PORTS "\xff\xfe\n", 3, "not a text file in UTF-8"},
	    {PORTS "memory: \"6\\0\"\n", 3, "zero byte"},
	    {PORTS "<<: {}\n", 3, "<<: no such parameter"},
	};

	RUN_FAULTS(documents);
}

static void test_bad_values_are_refused_with_line_and_reason(void)
{
	static const struct fault_case values[] = {
	    {PORTS "memory:\n", 3, "memory: no value given"},
	    {PORTS "memory: {a: b}\n", 3, "memory: a list or mapping"},
	    {PORTS "memory: 64MB\n", 3, "\"64MB\" is not a size"},
	    {PORTS "memory: 64 MiB\n", 3, "\"64 MiB\" is not a size"},
	    {PORTS "memory: -1\n", 3, "\"-1\" is not a size"},
	    {PORTS "memory: 0x4000000\n", 3, "is not a size"},
	    {PORTS "memory: 010000000\n", 3, "is not a size"},
	    {PORTS "memory: 1.5GiB\n", 3, "is not a size"},
	    {PORTS "memory: 18446744073709551616\n", 3, "is not a size"},
	    {PORTS "memory: 17179869184GiB\n", 3, "is not a size"},
	    {PORTS "memory: 1MiB\n", 3, "out of range: choose a value from 4MiB to 4096GiB"},
	    {PORTS "memory: 0\n", 3, "out of range"},
	    {PORTS "item_size_max: 1023\n", 3, "from 1KiB to 1GiB"},
	    {PORTS "item_size_max: 2GiB\n", 3, "from 1KiB to 1GiB"},
	    {PORTS "item_size_max: 33MiB\n", 3, "half of a worker's share of memory is 32MiB"},
	    {PORTS "workers: 64\n", 3, "workers: a value may have 1MiB"},
	    {PORTS "workers: 0\n", 3, "from 1 to 64"},
	    {PORTS "workers: two\n", 3, "\"two\" is not a whole number"},
	    {PORTS "workers: []\n", 3, "an empty list"},
	    {PORTS "workers:\n- 2\n- 3\n- 2\n", 6, "core 2 is listed twice"},
	    {PORTS "workers: [2, x]\n", 3, "\"x\" is not a whole number"},
	    {PORTS "workers: [2, [3]]\n", 3, "workers: a list or mapping"},
	    {PORTS "workers: [1024]\n", 3, "from 0 to 1023"},
	    {PORTS "max_connections: 1000001\n", 3, "from 1 to 1000000"},
	    {PORTS "max_connections: 1k\n", 3, "\"1k\" is not a whole number"},
	    {PORTS "request_timeout: 10\n", 3, "\"10\" is not a duration"},
	    {PORTS "request_timeout: 0\n", 3, "from 100ms to 1h"},
	    {PORTS "congestion: reno\n", 3, "\"reno\" is not known: write cubic or newreno"},
	    {PORTS "eviction: arc\n", 3,
	     "\"arc\" is not known: write s3fifo or lru or lfu or size or ttl"},
	    {PORTS "workers: 2\nmemory: 512GiB\n", 4, "below 256GiB"},
	    {PORTS "shutdown_command: yes\n", 3, "\"yes\" is not known: write false or true"},
	    {PORTS "congestion: [cubic]\n", 3, "write a single value"},
	    {PORTS "user:\n", 3, "user: no value given"},
	    {PORTS "user: 998\n", 3, "user: \"998\" is no user's name: write one such as kante"},
	    {PORTS "user: -kante\n", 3, "\"-kante\" is no user's name"},
	    {PORTS "user: k/../e\n", 3, "\"k/../e\" is no user's name"},
	    {PORTS "user: a23456789012345678901234567890123\n", 3, "longer than 32 bytes"},
	    {PORTS "auth_file: users\n", 3, "\"users\" is not an absolute path"},
	    {PORTS "auth_file:\n", 3, "auth_file: no value given"},
	    {PORTS "auth_file: [/etc/kante/users]\n", 3, "write a single value"},
	    {SOCKET_PORT("  udp: 1\n") "auth_file: /etc/kante/users\n", 4,
	     "ports[0].udp: clients cannot log in by UDP"},
	    {PORTS "idle_timeout: off\n", 3, "\"off\" is not a duration"},
	    {PORTS "idle_timeout: 8d\n", 3, "is not a duration"},
	    {PORTS "idle_sleep_max: 101ms\n", 3, "from 0 to 100ms"},
	    {PORTS "udp_reply_bytes_max: 1401\n", 3, "from 64 to 1400"},
	    {PORTS "udp_amplification_max: 0\n", 3, "from 1 to 1000"},
	    {PORTS "udp_rate_max: -1\n", 3, "not a whole number"},
	};

	RUN_FAULTS(values);
}

static void test_a_socket_port_may_be_a_unix_socket(void)
{
	struct config *config =
	    parsed("ports:\n- {kind: socket, listen: /run/k.sock}\n"
	           "- {kind: socket, listen: /run/l.sock, mode: 770, backlog: 7}\n" LISTEN);

	CU_ASSERT_TRUE(port_is_unix(&config->ports[0]));
	CU_ASSERT_STRING_EQUAL(config->ports[0].name, "/run/k.sock");
	CU_ASSERT_EQUAL(config->ports[0].mode, 0700);
	CU_ASSERT_EQUAL(config->ports[0].backlog, 4096);
	CU_ASSERT_EQUAL(config->ports[0].address_count, 0);
	CU_ASSERT_TRUE(config->ports[0].allow_any);
	CU_ASSERT_EQUAL(config->ports[1].mode, 0770);
	CU_ASSERT_EQUAL(config->ports[1].backlog, 7);
	CU_ASSERT_FALSE(port_is_unix(&config->ports[2]));
	config_destroy(config);
}

/* HARDENING.md: the allow list is what stands in for a password. */
static void test_where_clients_log_in_no_port_needs_an_allow_list(void)
{
	struct config *config = parsed("ports:\n- {kind: socket, listen: \"10.0.0.1:11211\"}\n"
	                               "auth_file: /etc/kante/users\n"
	                               "user: a2345678901234567890123456789.1-\n");

	CU_ASSERT_STRING_EQUAL(config->auth_file, "/etc/kante/users");
	CU_ASSERT_STRING_EQUAL(config->user, "a2345678901234567890123456789.1-");
	CU_ASSERT_TRUE(config->ports[0].allow_any);
	config_destroy(config);
}

static void test_bad_ports_are_refused_with_line_and_reason(void)
{
	static const struct fault_case ports[] = {
	    {"ports:\n", 1, "ports: not a list of ports"},
	    {"ports: []\n", 1, "ports: not a list of ports"},
	    {"ports: {kind: tap}\n", 1, "ports: not a list of ports"},
	    {"ports:\n- tap\n", 2, "ports[0]: not a port"},
	    {"ports:\n- name: x\n", 2, "ports[0].kind: missing"},
	    {"ports:\n- kind: tun\n", 2, "\"tun\" is no kind of port"},
	    {"ports:\n- kind: [tap]\n", 2, "ports[0].kind: a list or mapping"},
	    {"ports:\n- kind: tap\n  kind: tap\n", 3, "kind: given twice, first in line 2"},
	    {"ports:\n- kind: socket\n", 2, "ports[0].listen: missing, a socket port needs it"},
	    {SOCKET_PORT("  mode: 0700\n"), 4, "ports[0].mode: only for a Unix socket"},
	    {SOCKET_PORT("  backlog: 0\n"), 4, "from 1 to 65535"},
	    {UNIX_PORT("  mode: 700x\n"), 4, "\"700x\" is not the mode of a file"},
	    {UNIX_PORT("  mode: 0778\n"), 4, "not the mode of a file"},
	    {UNIX_PORT("  mode: 77\n"), 4, "not the mode of a file"},
	    {UNIX_PORT("  mode: [0700]\n"), 4, "write a single value"},
	    {UNIX_PORT("  allow: any\n"), 4, "ports[0].allow: not for a Unix socket"},
	    {UNIX_PORT("  udp: 1\n"), 4, "ports[0].udp: not for a Unix socket"},
	    {UNIX_PORT("- kind: socket\n  listen: /run/k.sock\n"), 4, "the same place as ports[0]"},
	    {"ports:\n- kind: socket\n  listen: /run/a b\n", 3, "not a path for a socket"},
	    {SOCKET_PORT("  nmae: x\n"), 4, "ports[0].nmae: no such field: a socket port has kind"},
	    {SOCKET_PORT("  tcp: 1\n"), 4, "ports[0].tcp: not for a socket port"},
	    {SOCKET_PORT("  addresses: [10.0.0.1/8]\n"), 4, "addresses: not for a socket port"},
	    {SOCKET_PORT("  udp: 0\n"), 4, "ports[0].udp: 0 is out of range"},
	    {SOCKET_PORT("  udp: 65536\n"), 4, "from 1 to 65535"},
	    {SOCKET_PORT("  udp: 1x\n"), 4, "not a whole number"},
	    {SOCKET_PORT("  allow: all\n"), 4, "ports[0].allow: not a list of networks"},
	    {SOCKET_PORT("  allow:\n"), 4, "ports[0].allow: not a list of networks"},
	    {SOCKET_PORT("  allow: []\n"), 4, "ports[0].allow: not a list of networks"},
	    {SOCKET_PORT("  allow: 10.0.0.0/8\n"), 4, "not a list of networks"},
	    {SOCKET_PORT("  allow: [any]\n"), 4, "\"any\" is not a network"},
	    {SOCKET_PORT("  allow:\n  - 10.0.0.0/8\n  - 300.1.2.3/24\n"), 6,
	     "ports[0].allow: \"300.1.2.3/24\" is not a network"},
	    {SOCKET_PORT("  allow: [10.0.0.0/33]\n"), 4, "is not a network"},
	    {SOCKET_PORT("  allow: [10.1.2.3/8]\n"), 4, "write 10.0.0.0/8 for the network"},
	    {SOCKET_PORT("  allow: [\"fd00::1/64\"]\n"), 4, "write fd00::/64 for the network"},
	};

	RUN_FAULTS(ports);
}

static void test_bad_places_are_refused_with_line_and_reason(void)
{
	static const struct fault_case places[] = {
	    {"ports:\n- {kind: socket, listen: \"127.0.0.1\"}\n", 2, "not an address with a port"},
	    {"ports:\n- {kind: socket, listen: \"::1:11211\"}\n", 2, "not an address with a port"},
	    {"ports:\n- {kind: socket, listen: \"[127.0.0.1]:1\"}\n", 2, "not an address with"},
	    {"ports:\n- {kind: socket, listen: \"localhost:11211\"}\n", 2, "not an address with"},
	    {"ports:\n- {kind: socket, listen: \"127.0.0.1:0\"}\n", 2, "not an address with"},
	    {"ports:\n- {kind: socket, listen: \"127.0.0.1:65536\"}\n", 2, "not an address with"},
	    {"ports:\n- {kind: socket, listen: \"224.0.0.1:1\"}\n", 2, "a multicast address"},
	    {"ports:\n- {kind: socket, listen: \"0.0.0.0:11211\"}\n", 2, "allow: missing"},
	    {"ports:\n- {kind: socket, listen: \"[::ffff:10.0.0.1]:1\"}\n", 2, "allow: missing"},
	    {PORTS LISTEN, 3, "ports[1]: the same place as ports[0]"},
	    {TAP("  allow: any\n"), 2, "ports[0].addresses: missing, a tap port needs it"},
	    {TAP(TAP_ADDRESS), 2, "ports[0].allow: missing: without it everybody"},
	    {TAP("  allow: any\n  addresses: 10.0.0.1/8\n"), 6, "not a list of addresses"},
	    {TAP("  allow: any\n  addresses: [x]\n"), 6, "\"x\" is not an address"},
	    {TAP("  allow: any\n  addresses: [0.0.0.0/8]\n"), 6, "not an address that one host"},
	    {TAP("  allow: any\n  addresses: [127.0.0.1/8]\n"), 6, "not an address that one host"},
	    {TAP("  allow: any\n  addresses: [\"ff02::1\"]\n"), 6, "not an address that one host"},
	    {TAP("  allow: any\n  addresses: [10.0.0.0/24]\n"), 6, "the address of the network"},
	    {TAP("  allow: any\n  addresses: [10.0.0.255/24]\n"), 6, "the address of the network"},
	    {TAP("  allow: any\n  addresses: [10.0.0.1/24, 10.0.0.1/8]\n"), 6, "listed twice"},
	    {"ports:\n- {kind: tap, name: sixteen-letters-, tcp: 1, allow: any,\n"
	     "   addresses: [10.0.0.1/8]}\n",
	     2, "\"sixteen-letters-\" is not a name for an interface"},
	    {"ports:\n- {kind: xdp, interface: \"a b\", tcp: 1, allow: any}\n", 2,
	     "not a name for"},
	    {"ports:\n- {kind: xdp, interface: veth0, allow: any}\n", 2, "neither tcp nor udp"},
	    {"ports:\n- {kind: xdp, interface: veth0, busy_poll: 65, tcp: 1, allow: any}\n", 2,
	     "from 0 to 64"},
	    {"ports:\n- {kind: xdp, interface: e, tcp: 1, allow: any, addresses: [10.0.0.1]}\n", 2,
	     "ports[0].addresses: not for a xdp port"},
	    {"ports:\n- {kind: xdp, interface: e, tcp: 1, allow: any}\n"
	     "- {kind: tap, name: e, tcp: 1, allow: any, addresses: [10.0.0.1]}\n",
	     3, "ports[1]: the same place as ports[0]"},
	    {"ports:\n- {kind: memif, socket: a.sock, tcp: 1, allow: any, addresses: [10.0.0.1]}\n",
	     2, "not a path for a socket"},
	    {"ports:\n- {kind: memif, socket: \"/a,b\", tcp: 1, allow: any, addresses: "
	     "[1.1.1.1]}\n",
	     2, "not a path for a socket"},
	    {"ports:\n- {kind: pci, device: \"03:00.0\", tcp: 1, allow: any, addresses: "
	     "[1.1.1.1]}\n",
	     2, "not a PCI address"},
	};

	RUN_FAULTS(places);
}

static void test_more_than_the_limits_are_refused(void)
{
	char text[8192];
	int used = snprintf(text, sizeof(text), "ports:\n");

	for (int i = 0; i < PORT_COUNT_MAX + 1; i++)
		used += snprintf(text + used, sizeof(text) - (size_t)used,
		                 "- {kind: socket, listen: \"127.0.0.1:%d\"}\n", i + 1);
	refused(text, PORT_COUNT_MAX + 2, "more than 8 ports");
	used = snprintf(text, sizeof(text), TAP("  addresses:\n"));
	for (int i = 0; i < PORT_ADDRESS_COUNT_MAX + 1; i++)
		used +=
		    snprintf(text + used, sizeof(text) - (size_t)used, "  - 10.0.0.%d\n", i + 1);
	snprintf(text + used, sizeof(text) - (size_t)used, "  allow: any\n");
	refused(text, 5 + PORT_ADDRESS_COUNT_MAX + 1, "more than 8 addresses");
	used = snprintf(text, sizeof(text), SOCKET_PORT("  allow:\n"));
	for (int i = 0; i < PORT_ALLOW_COUNT_MAX + 1; i++)
		used +=
		    snprintf(text + used, sizeof(text) - (size_t)used, "  - 10.0.0.%d\n", i + 1);
	refused(text, 4 + PORT_ALLOW_COUNT_MAX + 1, "more than 64 networks");
	used = snprintf(text, sizeof(text), "memory: ");
	memset(text + used, '1', 300);
	text[used + 300] = '\0';
	refused(text, 1, "more than 255 bytes");
}

static void test_all_faults_are_told_at_once(void)
{
	static const char text[] =
	    "memory: 1\nitem_size_max: x\nports:\n- kind: tun\n- kind: tap\n";
	struct config *config = NULL;
	char error[CONFIG_ERROR_BYTES];
	const char *at = error;
	unsigned lines = 1;

	CU_ASSERT_EQUAL(config_parse(&config, "f", text, strlen(text), error, sizeof(error)),
	                -EINVAL);
	while ((at = strchr(at, '\n')) != NULL) {
		at++;
		lines++;
		CU_ASSERT_EQUAL(strncmp(at, "f:", 2), 0);
	}
	/* memory, item_size_max, kind; of the tap: name, addresses, tcp or udp, allow */
	CU_ASSERT_EQUAL(lines, 7);
}

static void test_a_small_error_buffer_holds_whole_lines_and_says_what_it_left_out(void)
{
	static const char text[] = "a: 1\nb: 1\nc: 1\nd: 1\n" PORTS;
	struct config *config = NULL;
	char error[1024];

	for (size_t bytes = 1; bytes <= sizeof(error); bytes++) {
		memset(error, 'x', sizeof(error));
		CU_ASSERT_EQUAL(config_parse(&config, "f", text, strlen(text), error, bytes),
		                -EINVAL);
		CU_ASSERT_PTR_NOT_NULL_FATAL(memchr(error, '\0', bytes));
	}
	config_parse(&config, "f", text, strlen(text), error, 810);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "f:1: a: no such"));
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "\nand 2 more"));
}

static void test_files_that_cannot_be_read_say_why(void)
{
	char directory[] = "/tmp/kante-config-XXXXXX", path[64], error[CONFIG_ERROR_BYTES];
	struct config *config = NULL;
	FILE *file;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
	CU_ASSERT_EQUAL(config_load(&config, directory, error, sizeof(error)), -EISDIR);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, ": a directory"));
	snprintf(path, sizeof(path), "%s/kante.yaml", directory);
	CU_ASSERT_EQUAL(config_load(&config, path, error, sizeof(error)), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "kante.yaml: there is no such file"));
	CU_ASSERT_EQUAL(mkfifo(path, 0600), 0);
	CU_ASSERT_EQUAL(config_load(&config, path, error, sizeof(error)), -ENXIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "not a regular file"));
	unlink(path);
	file = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	fputs(PORTS, file);
	fflush(file);
	CU_ASSERT_EQUAL(config_load(&config, path, error, sizeof(error)), 0);
	config_destroy(config);
	config = NULL;
	if (geteuid() != 0) {
		chmod(path, 0);
		CU_ASSERT_EQUAL(config_load(&config, path, error, sizeof(error)), -EACCES);
		CU_ASSERT_PTR_NOT_NULL(strstr(error, "no permission"));
		chmod(path, 0600);
	}
	CU_ASSERT_EQUAL(ftruncate(fileno(file), 10 * 1024 * 1024), 0);
	CU_ASSERT_EQUAL(config_load(&config, path, error, sizeof(error)), -EFBIG);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "larger than 1 MiB"));
	CU_ASSERT_PTR_NULL(strchr(error, '\n'));
	fclose(file);
	unlink(path);
	rmdir(directory);
}

static void test_a_megabyte_of_anything_is_refused_in_one_line(void)
{
	static const char *const patterns[] = {"[",  "{",  "a: ", "- ",  "\xe9",
	                                       "? ", "\"", "*a ", "x\n", "[1],"};
	size_t length = CONFIG_FILE_BYTES_MAX;
	char *text = malloc(length);
	char error[CONFIG_ERROR_BYTES];
	struct config *config = NULL;

	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		for (size_t j = 0; j < length; j++)
			text[j] = patterns[i][j % strlen(patterns[i])];
		CU_ASSERT_EQUAL(config_parse(&config, "f", text, length, error, sizeof(error)),
		                -EINVAL);
		CU_ASSERT_PTR_NULL(strchr(error, '\n'));
		CU_ASSERT_PTR_NULL(config);
	}
	free(text);
}

static const struct unit_case cases[] = {
    {"a whole example fills the parameters", test_a_whole_example_fills_the_parameters},
    {"a whole example fills the ports", test_a_whole_example_fills_the_ports},
    {"what is not said has its default", test_what_is_not_said_has_its_default},
    {"every default is within its range", test_every_default_is_within_its_range},
    {"the table says what counts at once and what from the next start",
     test_the_table_says_what_counts_at_once_and_what_from_the_next_start},
    {"quantities are written as they are read", test_quantities_are_written_as_they_are_read},
    {"bad documents are refused with line and reason",
     test_bad_documents_are_refused_with_line_and_reason},
    {"bad values are refused with line and reason",
     test_bad_values_are_refused_with_line_and_reason},
    {"a socket port may be a Unix socket", test_a_socket_port_may_be_a_unix_socket},
    {"where clients log in no port needs an allow list",
     test_where_clients_log_in_no_port_needs_an_allow_list},
    {"bad ports are refused with line and reason", test_bad_ports_are_refused_with_line_and_reason},
    {"bad places are refused with line and reason",
     test_bad_places_are_refused_with_line_and_reason},
    {"more than the limits are refused", test_more_than_the_limits_are_refused},
    {"all faults are told at once", test_all_faults_are_told_at_once},
    {"a small error buffer holds whole lines and says what it left out",
     test_a_small_error_buffer_holds_whole_lines_and_says_what_it_left_out},
    {"files that cannot be read say why", test_files_that_cannot_be_read_say_why},
    {"a megabyte of anything is refused in one line",
     test_a_megabyte_of_anything_is_refused_in_one_line},
};

int main(void)
{
	return UNIT_RUN("config", cases);
}
