/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config_check.h"

#include "base/assert.h"

#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>

#define KIND(kind) (1u << (kind))

/* One entry of `ports:` while it is checked. */
struct entry {
	struct faults *faults;
	const struct node *node;
	uint32_t index;
	struct port_options *port;
};

static const char *kind_name(enum port_kind kind)
{
	return config_words(CONFIG_PORT_KIND)[kind];
}

static void entry_path(const struct entry *entry, const char *field, char path[CONFIG_PATH_BYTES])
{
	config_entry_path(path, "ports", entry->index, field);
}

static const struct node *entry_field(const struct entry *entry, const char *name)
{
	return node_child(entry->node, name);
}

static void refuse_text(const struct entry *entry, const struct node *node, const char *path,
                        const char *reason)
{
	config_refuse_text(entry->faults, node, path, "%s", reason);
}

static bool is_interface_name(const char *text)
{
	size_t length =
	    strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");

	return text[length] == '\0' && length > 0 && length < IFNAMSIZ && strcmp(text, ".") != 0 &&
	       strcmp(text, "..") != 0;
}

/* DPDK parses the path out of a list of arguments, so a comma would end it. */
static bool is_socket_path(const char *text)
{
	if (text[0] != '/' || strlen(text) >= PORT_NAME_BYTES)
		return false;
	for (const char *at = text; *at != '\0'; at++) {
		if (*at <= ' ' || *at > '~' || strchr(",[]\"'", *at) != NULL)
			return false;
	}
	return true;
}

/* "dddd:bb:dd.f" */
static bool is_pci_address(const char *text)
{
	static const char pattern[] = "xxxx:xx:xx.7";

	if (strlen(text) != sizeof(pattern) - 1)
		return false;
	for (size_t i = 0; i < sizeof(pattern) - 1; i++) {
		bool fits = text[i] == pattern[i];

		if (pattern[i] == 'x')
			fits = strchr("0123456789abcdef", text[i]) != NULL;
		else if (pattern[i] == '7')
			fits = text[i] >= '0' && text[i] <= '7';
		if (!fits)
			return false;
	}
	return true;
}

static void check_name(const struct entry *entry, const struct node *node, const char *path)
{
	const char *reason = NULL;

	if (!config_check_scalar(entry->faults, node, path))
		return;
	switch (entry->port->kind) {
	case PORT_PCI:
		if (!is_pci_address(node->text))
			reason = "not a PCI address: write it as lspci -D shows it, such as "
			         "\"0000:03:00.0\"";
		break;
	case PORT_SOCKET:
	case PORT_MEMIF:
		if (!is_socket_path(node->text))
			reason = "not a path for a socket: write an absolute one of at most 107 "
			         "plain characters, such as /run/kante/kante.sock";
		break;
	default:
		if (!is_interface_name(node->text))
			reason = "not a name for an interface: write at most 15 letters, digits, "
			         "'_', '.' or '-'";
		break;
	}
	if (reason != NULL)
		refuse_text(entry, node, path, reason);
	else
		snprintf(entry->port->name, sizeof(entry->port->name), "%s", node->text);
}

static bool is_loopback(const struct ip_address *address)
{
	static const uint8_t ip6_loopback[16] = {[15] = 1};

	if (ip_address_is_ip4(address))
		return address->bytes[12] == 127;
	return memcmp(address->bytes, ip6_loopback, 16) == 0;
}

bool config_is_multicast(const struct ip_address *address)
{
	return ip_address_is_ip4(address) ? address->bytes[12] >= 224 : address->bytes[0] == 0xff;
}

static bool is_unspecified(const struct ip_address *address)
{
	static const uint8_t zeros[16];
	size_t from = ip_address_is_ip4(address) ? 12 : 0;

	return memcmp(address->bytes + from, zeros, 16 - from) == 0;
}

/* The address of the prefix with all bits beyond its length set to one value. */
static struct ip_address prefix_end(const struct ip_prefix *prefix, bool ones)
{
	struct ip_address address = prefix->address;

	for (unsigned i = prefix->length; i < 128; i++) {
		uint8_t bit = (uint8_t)(0x80u >> (i % 8));

		if (ones)
			address.bytes[i / 8] |= bit;
		else
			address.bytes[i / 8] &= (uint8_t)~bit;
	}
	return address;
}

static const char *address_reason(const struct ip_prefix *prefix)
{
	struct ip_address low = prefix_end(prefix, false), high = prefix_end(prefix, true);

	if (is_unspecified(&prefix->address) || config_is_multicast(&prefix->address) ||
	    is_loopback(&prefix->address))
		return "not an address that one host can have: write a unicast one";
	if (ip_address_is_ip4(&prefix->address) && prefix->length < 127 &&
	    (ip_address_equal(&prefix->address, &low) || ip_address_equal(&prefix->address, &high)))
		return "the address of the network itself or its broadcast address: write a host's";
	return NULL;
}

static void check_addresses(const struct entry *entry, const struct node *list, const char *path)
{
	struct port_options *port = entry->port;

	if (list->kind != NODE_SEQUENCE || list->first == NULL) {
		faults_add(entry->faults, list->key_line, path,
		           "not a list of addresses: write one such as [198.18.0.2/24]");
		return;
	}
	for (const struct node *node = list->first; node != NULL; node = node->next) {
		const char *reason = NULL;
		struct ip_prefix prefix;

		if (!config_check_scalar(entry->faults, node, path))
			continue;
		if (port->address_count == PORT_ADDRESS_COUNT_MAX) {
			faults_add(entry->faults, node->line, path,
			           "more than %d addresses: list fewer", PORT_ADDRESS_COUNT_MAX);
			return;
		}
		if (ip_prefix_parse(&prefix, node->text) < 0)
			reason = "not an address: write one such as 198.18.0.2/24 or "
			         "\"fd00:198::2/64\"";
		else
			reason = address_reason(&prefix);
		for (uint32_t i = 0; reason == NULL && i < port->address_count; i++) {
			if (ip_address_equal(&port->addresses[i].address, &prefix.address))
				reason = "listed twice: remove one";
		}
		if (reason != NULL)
			refuse_text(entry, node, path, reason);
		else
			port->addresses[port->address_count++] = prefix;
	}
}

static void check_allow_entry(const struct entry *entry, const struct node *node, const char *path)
{
	struct port_options *port = entry->port;
	struct ip_prefix prefix;
	struct ip_address low;

	if (!config_check_scalar(entry->faults, node, path))
		return;
	if (ip_prefix_parse(&prefix, node->text) < 0) {
		refuse_text(entry, node, path,
		            "not a network: write one such as 198.18.0.0/24 or \"fd00::/64\"");
		return;
	}
	low = prefix_end(&prefix, false);
	if (!ip_address_equal(&low, &prefix.address)) {
		char quoted[FAULTS_QUOTE_BYTES], text[IP_ADDRESS_TEXT_MAX];

		/* A host with a length is more likely a slip than a network. */
		faults_quote(quoted, node->text);
		ip_address_format(&low, text);
		faults_add(entry->faults, node->line, path,
		           "\"%s\" has bits beyond its length: write %s/%u for the network, or the "
		           "address alone",
		           quoted, text,
		           prefix.length - (ip_address_is_ip4(&prefix.address) ? 96u : 0u));
		return;
	}
	port->allow[port->allow_count++] = prefix;
}

static void check_allow(const struct entry *entry, const struct node *allow, const char *path)
{
	if (allow->kind == NODE_SCALAR && strcmp(allow->text, "any") == 0) {
		entry->port->allow_any = true;
		return;
	}
	if (allow->kind != NODE_SEQUENCE || allow->first == NULL) {
		faults_add(entry->faults, allow->key_line, path,
		           "not a list of networks: write one such as [198.18.0.0/24], or `any`");
		return;
	}
	for (const struct node *node = allow->first; node != NULL; node = node->next) {
		if (entry->port->allow_count == PORT_ALLOW_COUNT_MAX) {
			faults_add(entry->faults, node->line, path,
			           "more than %d networks: merge some", PORT_ALLOW_COUNT_MAX);
			return;
		}
		check_allow_entry(entry, node, path);
	}
}

/* "127.0.0.1:11211" or "[::1]:11211". */
static bool parse_listen(const char *text, struct ip_address *ret_address, uint16_t *ret_port)
{
	char host[IP_ADDRESS_TEXT_MAX];
	const char *colon = strrchr(text, ':');
	bool bracketed = text[0] == '[';
	struct ip_address address;
	const char *end;
	uint64_t number;
	size_t length;

	if (colon == NULL)
		return false;
	length = (size_t)(colon - text);
	if (bracketed) {
		if (length < 2 || text[length - 1] != ']')
			return false;
		text++;
		length -= 2;
	}
	if (length >= sizeof(host))
		return false;
	memcpy(host, text, length);
	host[length] = '\0';
	if (bracketed != (strchr(host, ':') != NULL) || ip_address_parse(&address, host) < 0)
		return false;
	if (!config_parse_number(&number, &end, colon + 1) || *end != '\0' || number < 1 ||
	    number > 65535)
		return false;
	*ret_address = address;
	*ret_port = (uint16_t)number;
	return true;
}

static void check_listen(const struct entry *entry, const struct node *node, const char *path)
{
	struct port_options *port = entry->port;

	if (!config_check_scalar(entry->faults, node, path))
		return;
	if (node->text[0] == '/') {
		check_name(entry, node, path);
		return;
	}
	if (!parse_listen(node->text, &port->addresses[0].address, &port->tcp_port)) {
		refuse_text(entry, node, path,
		            "not an address with a port: write \"127.0.0.1:11211\" or "
		            "\"[::1]:11211\", or the path of a Unix socket");
		return;
	}
	if (config_is_multicast(&port->addresses[0].address)) {
		refuse_text(entry, node, path, "a multicast address: write a unicast one");
		return;
	}
	port->addresses[0].length = 128;
	port->address_count = 1;
}

static void check_u16(const struct entry *entry, const struct config_parameter *field,
                      const struct node *node, const char *path, uint16_t *ret_number)
{
	uint64_t number;

	if (config_check_count(entry->faults, node, path, field->minimum, field->maximum, &number))
		*ret_number = (uint16_t)number;
}

/* Three octal digits, with or without a zero in front. */
static void check_mode(const struct entry *entry, const struct node *node, const char *path)
{
	const char *digits;

	if (!config_check_scalar(entry->faults, node, path))
		return;
	digits = node->text[0] == '0' ? node->text + 1 : node->text;
	if (strlen(digits) != 3 || strspn(digits, "01234567") != 3) {
		refuse_text(entry, node, path, "not the mode of a file: write one such as 0700");
		return;
	}
	entry->port->mode = (uint32_t)strtoul(digits, NULL, 8);
}

static void check_field(const struct entry *entry, const struct config_parameter *field,
                        const struct node *node, const char *path)
{
	if (strcmp(node->key, "kind") == 0)
		return; /* checked first */
	if (strcmp(node->key, "listen") == 0)
		check_listen(entry, node, path);
	else if (strcmp(node->key, "mode") == 0)
		check_mode(entry, node, path);
	else if (strcmp(node->key, "backlog") == 0)
		check_u16(entry, field, node, path, &entry->port->backlog);
	else if (strcmp(node->key, "busy_poll") == 0)
		check_u16(entry, field, node, path, &entry->port->busy_poll);
	else if (strcmp(node->key, "addresses") == 0)
		check_addresses(entry, node, path);
	else if (strcmp(node->key, "allow") == 0)
		check_allow(entry, node, path);
	else if (strcmp(node->key, "tcp") == 0)
		check_u16(entry, field, node, path, &entry->port->tcp_port);
	else if (strcmp(node->key, "udp") == 0)
		check_u16(entry, field, node, path, &entry->port->udp_port);
	else
		check_name(entry, node, path);
}

static bool check_kind(const struct entry *entry)
{
	const struct node *node = entry_field(entry, "kind");
	char path[CONFIG_PATH_BYTES];
	uint32_t kind = 0;

	entry_path(entry, "kind", path);
	if (node == NULL) {
		faults_add(entry->faults, entry->node->line, path,
		           "missing: write one of pci, xdp, tap, memif, socket");
		return false;
	}
	if (!config_check_scalar(entry->faults, node, path))
		return false;
	while (kind <= PORT_SOCKET && strcmp(kind_name(kind), node->text) != 0)
		kind++;
	if (kind > PORT_SOCKET) {
		refuse_text(entry, node, path,
		            "no kind of port: write one of pci, xdp, tap, memif, socket");
		return false;
	}
	entry->port->kind = (enum port_kind)kind;
	return true;
}

static const struct config_parameter *field_of(const char *name)
{
	return config_table_find(&config_port_fields, name);
}

static void check_known(const struct entry *entry, const struct node *node)
{
	char path[CONFIG_PATH_BYTES], known[128] = "";
	size_t used = 0;
	const struct config_parameter *field = field_of(node->key);

	entry_path(entry, node->key, path);
	if (field != NULL && (field->kinds & KIND(entry->port->kind)) != 0) {
		check_field(entry, field, node, path);
		return;
	}
	for (uint32_t j = 0; j < config_port_fields.count; j++) {
		if ((config_port_fields.parameters[j].kinds & KIND(entry->port->kind)) != 0)
			used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
			                         used == 0 ? "" : ", ",
			                         config_port_fields.parameters[j].name);
	}
	ASSERT(used < sizeof(known));
	faults_add(entry->faults, node->key_line, path,
	           field == NULL ? "no such field: a %s port has %s"
	                         : "not for a %s port, which has %s",
	           kind_name(entry->port->kind), known);
}

static void check_required(const struct entry *entry)
{
	uint32_t kind_bit = KIND(entry->port->kind);
	char path[CONFIG_PATH_BYTES];

	for (uint32_t i = 0; i < config_port_fields.count; i++) {
		const struct config_parameter *field = &config_port_fields.parameters[i];

		if ((field->required_kinds & kind_bit) == 0 ||
		    entry_field(entry, field->name) != NULL || strcmp(field->name, "allow") == 0)
			continue;
		entry_path(entry, field->name, path);
		faults_add(entry->faults, entry->node->line, path,
		           "missing, a %s port needs it: %s", kind_name(entry->port->kind),
		           field->help);
	}
	if (entry->port->kind != PORT_SOCKET && entry_field(entry, "tcp") == NULL &&
	    entry_field(entry, "udp") == NULL) {
		entry_path(entry, "", path);
		faults_add(entry->faults, entry->node->line, path,
		           "neither tcp nor udp: give at least one, such as tcp: 11211");
	}
}

/* HARDENING.md: without authentication only the node itself may come in unasked. */
static void check_exposure(const struct entry *entry, bool is_authenticated)
{
	struct port_options *port = entry->port;
	char path[CONFIG_PATH_BYTES];

	if (entry_field(entry, "allow") != NULL || port_is_unix(port))
		return;
	if (is_authenticated) {
		port->allow_any = true;
		return;
	}
	if (port->kind == PORT_SOCKET) {
		if (port->address_count == 0)
			return; /* `listen` has its fault already */
		if (is_loopback(&port->addresses[0].address)) {
			port->allow_any = true;
			return;
		}
	}
	entry_path(entry, "allow", path);
	faults_add(entry->faults, entry->node->line, path,
	           "missing: without it everybody could come in: list networks such as "
	           "[198.18.0.0/24], or write `any` on purpose");
}

/* A Unix socket has no source addresses; files' modes are for who may come in. */
static void check_unix(const struct entry *entry)
{
	static const char *const fields[] = {"allow", "udp"};
	const struct node *mode = entry_field(entry, "mode");
	char path[CONFIG_PATH_BYTES];

	if (!port_is_unix(entry->port)) {
		entry_path(entry, "mode", path);
		if (mode != NULL)
			faults_add(entry->faults, mode->line, path,
			           "only for a Unix socket: remove it, or listen on a path");
		return;
	}
	entry->port->allow_any = true;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const struct node *node = entry_field(entry, fields[i]);

		entry_path(entry, fields[i], path);
		if (node != NULL)
			faults_add(entry->faults, node->line, path,
			           "not for a Unix socket, where `mode` says who may come in: "
			           "remove it");
	}
}

static void check_udp(const struct entry *entry, bool is_authenticated)
{
	char path[CONFIG_PATH_BYTES];

	if (!is_authenticated || entry->port->udp_port == 0)
		return;
	entry_path(entry, "udp", path);
	faults_add(entry->faults, entry_field(entry, "udp")->line, path,
	           "clients cannot log in by UDP: remove it, or auth_file");
}

static bool same_place(const struct port_options *a, const struct port_options *b)
{
	bool a_is_interface = a->kind == PORT_TAP || a->kind == PORT_XDP;
	bool b_is_interface = b->kind == PORT_TAP || b->kind == PORT_XDP;

	if (a->kind == PORT_SOCKET && b->kind == PORT_SOCKET && !port_is_unix(a))
		return a->address_count > 0 && b->address_count > 0 &&
		       ip_address_equal(&a->addresses[0].address, &b->addresses[0].address) &&
		       (a->tcp_port == b->tcp_port ||
		        (a->udp_port != 0 && a->udp_port == b->udp_port));
	return (a->kind == b->kind || (a_is_interface && b_is_interface)) && a->name[0] != '\0' &&
	       strcmp(a->name, b->name) == 0;
}

static void check_entry(struct config *config, const struct entry *entry)
{
	char path[CONFIG_PATH_BYTES];

	entry_path(entry, "", path);
	if (entry->node->kind != NODE_MAPPING) {
		faults_add(entry->faults, entry->node->line, path,
		           "not a port: write {kind: ..., ...}");
		return;
	}
	if (!check_kind(entry))
		return;
	for (const struct node *node = entry->node->first; node != NULL; node = node->next)
		check_known(entry, node);
	check_required(entry);
	check_exposure(entry, config->auth_file[0] != '\0');
	check_unix(entry);
	check_udp(entry, config->auth_file[0] != '\0');
	for (uint32_t i = 0; i < entry->index; i++) {
		if (same_place(&config->ports[i], entry->port))
			faults_add(entry->faults, entry->node->line, path,
			           "the same place as ports[%u]: remove one of them", i);
	}
}

void config_check_ports(struct config *config, const struct node *ports, struct faults *faults)
{
	if (ports->kind != NODE_SEQUENCE || ports->first == NULL) {
		faults_add(faults, ports->key_line, "ports",
		           "not a list of ports: write one such as "
		           "`- {kind: socket, listen: \"127.0.0.1:11211\"}`");
		return;
	}
	for (const struct node *node = ports->first; node != NULL; node = node->next) {
		struct entry entry = {.faults = faults, .node = node, .index = config->port_count};

		if (config->port_count == PORT_COUNT_MAX) {
			faults_add(faults, node->line, "ports", "more than %d ports: list fewer",
			           PORT_COUNT_MAX);
			return;
		}
		entry.port = &config->ports[config->port_count++];
		entry.port->mode = (uint32_t)field_of("mode")->default_value;
		entry.port->backlog = (uint16_t)field_of("backlog")->default_value;
		check_entry(config, &entry);
	}
}
