/* SPDX-License-Identifier: Apache-2.0 */
/* The section `admin:`, checked by its tables, and what they cannot say. */
#include "config/config_check.h"

#include "base/assert.h"

#include <stdio.h>

static void check_table(struct faults *faults, const struct node *node, const char *path,
                        const struct config_table *table, void *base);

static void *at(void *base, size_t offset)
{
	return (char *)base + offset;
}

static void set_defaults(const struct config_table *table, void *base)
{
	for (uint32_t i = 0; i < table->count; i++) {
		const struct config_parameter *parameter = &table->parameters[i];
		void *to = at(base, parameter->offset);

		if (parameter->type < CONFIG_TEXT)
			*(uint64_t *)to = parameter->default_value;
		else if (parameter->default_text != NULL)
			memcpy(to, parameter->default_text, strlen(parameter->default_text) + 1);
		else if (parameter->type == CONFIG_SECTION)
			set_defaults(parameter->table, to);
	}
}

static void take_live(const struct config_table *table, void *base, const void *from)
{
	for (uint32_t i = 0; i < table->count; i++) {
		const struct config_parameter *parameter = &table->parameters[i];
		const void *other = (const char *)from + parameter->offset;

		if (parameter->type == CONFIG_SECTION)
			take_live(parameter->table, at(base, parameter->offset), other);
		if (parameter->effect != CONFIG_LIVE)
			continue;
		ASSERT(parameter->type < CONFIG_TEXT);
		memcpy(at(base, parameter->offset), other, sizeof(uint64_t));
	}
}

void admin_take_live(struct admin *admin, const struct admin *from)
{
	take_live(&config_admin_fields, admin, from);
}

static void check_text(struct faults *faults, const struct node *node, const char *path,
                       const struct config_parameter *parameter, char *to)
{
	size_t length;

	if (!config_check_scalar(faults, node, path))
		return;
	length = strlen(node->text);
	for (const char *c = node->text; *c != '\0'; c++) {
		if ((uint8_t)*c < ' ' || *c == 0x7f) {
			config_refuse_text(faults, node, path,
			                   "a text with control characters: remove them");
			return;
		}
	}
	ASSERT(length <= parameter->maximum); /* as a scalar has DOCUMENT_SCALAR_BYTES_MAX */
	memcpy(to, node->text, length + 1);
}

static void check_hosts(struct faults *faults, const struct node *list, const char *path,
                        const struct config_parameter *parameter, struct ip_address *hosts,
                        uint32_t *count)
{
	if (list->kind != NODE_SEQUENCE || list->first == NULL) {
		faults_add(faults, list->key_line, path,
		           "not a list of addresses: write one such as %s", parameter->example);
		return;
	}
	for (const struct node *node = list->first; node != NULL; node = node->next) {
		struct ip_address host;
		bool is_there = false;

		if (!config_check_scalar(faults, node, path))
			continue;
		if (*count == parameter->maximum) {
			faults_add(faults, node->line, path, "more than %u addresses: list fewer",
			           (unsigned)parameter->maximum);
			return;
		}
		if (ip_address_parse(&host, node->text) < 0 || config_is_multicast(&host)) {
			config_refuse_text(faults, node, path,
			                   "not an address to listen on: write one such as "
			                   "127.0.0.1 or \"::1\", without a port");
			continue;
		}
		for (uint32_t i = 0; i < *count; i++)
			is_there |= ip_address_equal(&hosts[i], &host);
		if (is_there)
			config_refuse_text(faults, node, path, "listed twice: remove one");
		else
			hosts[(*count)++] = host;
	}
}

static void check_entries(struct faults *faults, const struct node *list, const char *path,
                          const struct config_parameter *parameter, void *entries, uint32_t *count)
{
	const struct config_table *table = parameter->table;
	char entry_path[CONFIG_PATH_BYTES];

	if (list->kind != NODE_SEQUENCE || list->first == NULL) {
		faults_add(faults, list->key_line, path,
		           "not a list: write lines such as `- {%s: ..., ...}`",
		           table->parameters[0].name);
		return;
	}
	for (const struct node *node = list->first; node != NULL; node = node->next) {
		if (*count == parameter->maximum) {
			faults_add(faults, node->line, path, "more than %u: list fewer",
			           (unsigned)parameter->maximum);
			return;
		}
		config_entry_path(entry_path, path, *count, "");
		check_table(faults, node, entry_path, table,
		            at(entries, (*count)++ * table->entry_bytes));
	}
}

static void check_field(struct faults *faults, const struct node *node, const char *path,
                        const struct config_parameter *parameter, void *base)
{
	void *to = at(base, parameter->offset);
	uint32_t *count = at(base, parameter->count_offset);

	switch (parameter->type) {
	case CONFIG_TEXT: check_text(faults, node, path, parameter, to); break;
	case CONFIG_PATH: config_check_path(faults, node, path, parameter, to); break;
	case CONFIG_HOSTS: check_hosts(faults, node, path, parameter, to, count); break;
	case CONFIG_ENTRIES: check_entries(faults, node, path, parameter, to, count); break;
	case CONFIG_SECTION: check_table(faults, node, path, parameter->table, to); break;
	default:
		if (config_words(parameter->type) != NULL)
			config_check_word(faults, node, path, parameter->type, to);
		else
			config_check_quantity(faults, node, path, parameter->type,
			                      parameter->minimum, parameter->maximum, to);
	}
}

static void field_path(char ret_path[CONFIG_PATH_BYTES], const char *path, const char *field)
{
	char quoted[FAULTS_QUOTE_BYTES];

	faults_quote(quoted, field);
	snprintf(ret_path, CONFIG_PATH_BYTES, "%s.%s", path, quoted);
}

static void refuse_unknown(struct faults *faults, const struct node *node, const char *path,
                           const struct config_table *table)
{
	char known[256] = "";
	size_t used = 0;

	for (uint32_t i = 0; i < table->count; i++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
		                         i == 0 ? "" : ", ", table->parameters[i].name);
	ASSERT(used < sizeof(known));
	faults_add(faults, node->key_line, path, "no such field: %s has %s", table->noun, known);
}

static void check_table(struct faults *faults, const struct node *mapping, const char *path,
                        const struct config_table *table, void *base)
{
	char child_path[CONFIG_PATH_BYTES];

	if (mapping->kind != NODE_MAPPING) {
		faults_add(faults, mapping->key_line, path,
		           "not a mapping: write it as {%s: ..., ...}", table->parameters[0].name);
		return;
	}
	for (const struct node *node = mapping->first; node != NULL; node = node->next) {
		const struct config_parameter *parameter = config_table_find(table, node->key);

		field_path(child_path, path, node->key);
		if (parameter != NULL)
			check_field(faults, node, child_path, parameter, base);
		else
			refuse_unknown(faults, node, child_path, table);
	}
	for (uint32_t i = 0; i < table->count; i++) {
		const struct config_parameter *parameter = &table->parameters[i];

		if (!parameter->is_required || node_child(mapping, parameter->name) != NULL)
			continue;
		field_path(child_path, path, parameter->name);
		faults_add(faults, mapping->key_line, child_path, "missing, %s needs it: %s",
		           table->noun, parameter->help);
	}
}

static void check_matches(struct faults *faults, const struct node *list)
{
	static const char *const kinds[] = {"CN=", "OU=", "DNS:", "URI:", "email:"};
	char path[CONFIG_PATH_BYTES];
	uint32_t index = 0;

	for (const struct node *node = list->first; node != NULL; node = node->next) {
		const struct node *match = node_child(node, "match");
		bool fits = false;

		config_entry_path(path, "admin.clients", index++, "match");
		if (match == NULL || match->kind != NODE_SCALAR || match->text[0] == '\0')
			continue; /* has its fault */
		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
			size_t length = strlen(kinds[i]);

			fits |= strncmp(match->text, kinds[i], length) == 0 &&
			        match->text[length] != '\0';
		}
		if (!fits)
			config_refuse_text(faults, match, path,
			                   "nothing that a certificate has: write CN=, OU=, DNS:, "
			                   "URI: or email: and what follows, such as \"CN=ops\"");
	}
}

/* `field` of the entries is to be different in each. */
static void check_different(struct faults *faults, const struct node *list, const char *list_path,
                            const char *field)
{
	char path[CONFIG_PATH_BYTES];
	uint32_t index = 0;

	for (const struct node *node = list->first; node != NULL; node = node->next, index++) {
		const struct node *value = node_child(node, field);
		uint32_t before = 0;

		if (value == NULL || value->kind != NODE_SCALAR)
			continue;
		for (const struct node *other = list->first; other != node; other = other->next) {
			const struct node *same = node_child(other, field);

			if (same != NULL && same->kind == NODE_SCALAR &&
			    strcmp(same->text, value->text) == 0) {
				config_entry_path(path, list_path, index, field);
				config_refuse_text(faults, value, path,
				                   "that of %s[%u]: remove one of them", list_path,
				                   before);
				break;
			}
			before++;
		}
	}
}

static void check_pairs(struct faults *faults, const struct node *section)
{
	static const struct {
		const char *name;
		const char *needs;
		const char *reason;
	} pairs[] = {
	    {"certificate", "key",
	     "a certificate without its key: write the path of that as `key`, or remove it"},
	    {"key", "certificate",
	     "a key without its certificate: write the path of that as `certificate`, or remove "
	     "it"},
	    {"crl", "client_ca",
	     "without client_ca, and the CA that is made here has a CRL of its own: write "
	     "client_ca, or remove it"},
	};
	char path[CONFIG_PATH_BYTES];

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		const struct node *node = node_child(section, pairs[i].name);

		if (node == NULL || node_child(section, pairs[i].needs) != NULL)
			continue;
		field_path(path, "admin", pairs[i].name);
		faults_add(faults, node->key_line, path, "%s", pairs[i].reason);
	}
}

static void set_path(char to[ADMIN_PATH_BYTES], const char *directory, const char *name)
{
	int length = snprintf(to, ADMIN_PATH_BYTES, "%s/%s", directory, name);

	ASSERT(length < ADMIN_PATH_BYTES); /* DOCUMENT_SCALAR_BYTES_MAX sees to it */
}

/* The names are those of control/authority.h. */
static void set_own_paths(struct admin *admin)
{
	admin->certificate_given = admin->certificate[0] != '\0';
	admin->client_ca_given = admin->client_ca[0] != '\0';
	if (!admin->certificate_given) {
		set_path(admin->certificate, admin->directory, "server.crt");
		set_path(admin->key, admin->directory, "server.key");
	}
	if (!admin->client_ca_given) {
		set_path(admin->client_ca, admin->directory, "ca.crt");
		set_path(admin->crl, admin->directory, "ca.crl");
	}
}

void config_check_admin(struct config *config, const struct node *section, struct faults *faults)
{
	struct admin *admin = &config->admin;
	const struct node *clients = node_child(section, "clients");
	const struct node *tokens = node_child(section, "tokens");
	const struct node *keys = tokens == NULL ? NULL : node_child(tokens, "keys");
	uint32_t fault_count = faults->count;

	set_defaults(&config_admin_fields, admin);
	check_table(faults, section, "admin", &config_admin_fields, admin);
	check_pairs(faults, section);
	if (clients != NULL) {
		check_matches(faults, clients);
		check_different(faults, clients, "admin.clients", "match");
	}
	if (keys != NULL)
		check_different(faults, keys, "admin.tokens.keys", "id");
	if (faults->count == fault_count)
		set_own_paths(admin);
}

void config_check_admin_places(const struct config *config, const struct node *section,
                               struct faults *faults)
{
	const struct admin *admin = &config->admin;

	for (uint32_t i = 0; i < config->port_count; i++) {
		const struct port_options *port = &config->ports[i];
		const struct node *listen = node_child(section, "listen");

		if ((port->kind == PORT_MEMIF || port_is_unix(port)) &&
		    strcmp(port->name, admin->socket) == 0) {
			const struct node *node = node_child(section, "socket");

			faults_add(faults, node == NULL ? section->key_line : node->line,
			           "admin.socket", "the same place as ports[%u]: choose another",
			           i);
		}
		if (port->kind != PORT_SOCKET || port->tcp_port != admin->port)
			continue;
		for (uint32_t j = 0; j < admin->listen_count; j++) {
			if (ip_address_equal(&admin->listen[j], &port->addresses[0].address))
				faults_add(faults, listen->line, "admin.listen",
				           "the same place as ports[%u]: choose another port", i);
		}
	}
}
