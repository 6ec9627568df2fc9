/* SPDX-License-Identifier: Apache-2.0 */
#include "config/settings.h"

#include <errno.h>
#include <stdlib.h>

#define SECOND_US 1000000ull

/* A list under way. Once there was no memory for a piece of it, nothing more is added. */
struct collector {
	struct config_settings *settings;
	bool has_failed;
};

/* A text that is put together; without memory it has no stream. */
struct text {
	FILE *to;
	char *bytes;
	size_t length;
};

static void collect_table(struct collector *collector, const char *group,
                          const struct config_table *table, const void *base);

static const void *at(const void *base, size_t offset)
{
	return (const char *)base + offset;
}

static bool text_open(struct text *text)
{
	*text = (struct text){0};
	text->to = open_memstream(&text->bytes, &text->length);
	return text->to != NULL;
}

/* To be free()d. NULL: there was no memory. */
static char *text_close(struct text *text)
{
	if (fclose(text->to) == 0)
		return text->bytes;
	free(text->bytes);
	return NULL;
}

/* `value` is taken; NULL: there was no memory for it. */
static void collect(struct collector *collector, const char *group,
                    const struct config_parameter *parameter, char *value)
{
	struct config_settings *settings = collector->settings;
	struct config_setting *list = NULL;
	char *own_group = strdup(group);

	if (value != NULL && own_group != NULL && !collector->has_failed)
		list = reallocarray(settings->list, settings->count + 1, sizeof(*list));
	if (list == NULL) {
		collector->has_failed = true;
		free(own_group);
		free(value);
		return;
	}
	settings->list = list;
	list[settings->count++] = (struct config_setting){own_group, parameter, value};
}

static char *number_text(const struct config_parameter *parameter, uint64_t number)
{
	char text[CONFIG_QUANTITY_BYTES];

	config_format_quantity(text, parameter->type, number);
	return strdup(text);
}

/* In a list: what has colons is in quotes. */
static void write_address(FILE *to, const struct ip_address *address, unsigned length)
{
	bool is_ip4 = ip_address_is_ip4(address);
	char text[IP_ADDRESS_TEXT_MAX];

	ip_address_format(address, text);
	fprintf(to, "%s%s", is_ip4 ? "" : "\"", text);
	if (length > 0)
		fprintf(to, "/%u", length - (is_ip4 ? 96 : 0));
	fputs(is_ip4 ? "" : "\"", to);
}

static char *prefixes_text(const struct ip_prefix *prefixes, uint32_t count)
{
	struct text text;

	if (!text_open(&text))
		return NULL;
	for (uint32_t i = 0; i < count; i++) {
		fputs(i == 0 ? "[" : ", ", text.to);
		write_address(text.to, &prefixes[i].address, prefixes[i].length);
	}
	fputc(']', text.to);
	return text_close(&text);
}

static char *hosts_text(const struct ip_address *hosts, uint32_t count)
{
	struct text text;

	if (!text_open(&text))
		return NULL;
	for (uint32_t i = 0; i < count; i++) {
		fputs(i == 0 ? "[" : ", ", text.to);
		write_address(text.to, &hosts[i], 0);
	}
	fputc(']', text.to);
	return text_close(&text);
}

static char *workers_text(const struct config *config, const struct config_parameter *parameter)
{
	struct text text;

	if (!config->cores_given)
		return number_text(parameter, config->worker_count);
	if (!text_open(&text))
		return NULL;
	for (uint32_t i = 0; i < config->worker_count; i++)
		fprintf(text.to, "%s%u", i == 0 ? "[" : ", ", config->cores[i]);
	fputc(']', text.to);
	return text_close(&text);
}

static char *listen_text(const struct port_options *port)
{
	bool is_ip4 = ip_address_is_ip4(&port->addresses[0].address);
	char address[IP_ADDRESS_TEXT_MAX], *text;
	int length;

	if (port_is_unix(port))
		return strdup(port->name);
	ip_address_format(&port->addresses[0].address, address);
	length = asprintf(&text, is_ip4 ? "%s:%u" : "[%s]:%u", address, port->tcp_port);
	return length < 0 ? NULL : text;
}

static void collect_port_field(struct collector *collector, const char *group,
                               const struct config_parameter *parameter,
                               const struct port_options *port)
{
	const char *name = parameter->name;
	char *value;

	if ((strcmp(name, "mode") == 0 && !port_is_unix(port)) ||
	    (strcmp(name, "allow") == 0 && port_is_unix(port)) ||
	    (strcmp(name, "tcp") == 0 && port->tcp_port == 0) ||
	    (strcmp(name, "udp") == 0 && port->udp_port == 0))
		return;
	if (strcmp(name, "kind") == 0)
		value = number_text(parameter, port->kind);
	else if (strcmp(name, "listen") == 0)
		value = listen_text(port);
	else if (strcmp(name, "mode") == 0)
		value = number_text(parameter, port->mode);
	else if (strcmp(name, "backlog") == 0)
		value = number_text(parameter, port->backlog);
	else if (strcmp(name, "busy_poll") == 0)
		value = number_text(parameter, port->busy_poll);
	else if (strcmp(name, "addresses") == 0)
		value = prefixes_text(port->addresses, port->address_count);
	else if (strcmp(name, "tcp") == 0)
		value = number_text(parameter, port->tcp_port);
	else if (strcmp(name, "udp") == 0)
		value = number_text(parameter, port->udp_port);
	else if (strcmp(name, "allow") == 0)
		value =
		    port->allow_any ? strdup("any") : prefixes_text(port->allow, port->allow_count);
	else
		value = strdup(port->name);
	collect(collector, group, parameter, value);
}

/* Known by its kind and its place. */
static char *port_group(const struct port_options *port)
{
	char *place = port->kind == PORT_SOCKET ? listen_text(port) : strdup(port->name);
	char *group = NULL;

	if (place != NULL &&
	    asprintf(&group, "ports[%s %s]", config_words(CONFIG_PORT_KIND)[port->kind], place) < 0)
		group = NULL;
	free(place);
	return group;
}

static void collect_port(struct collector *collector, const struct port_options *port)
{
	const struct config_table *table = &config_port_fields;
	char *group = port_group(port);

	collector->has_failed |= group == NULL;
	for (uint32_t i = 0; !collector->has_failed && i < table->count; i++)
		if ((table->parameters[i].kinds & (1u << port->kind)) != 0)
			collect_port_field(collector, group, &table->parameters[i], port);
	free(group);
}

static void collect_class(struct collector *collector, const struct class_rules *rules)
{
	const struct config_table *table = &config_class_fields;
	char group[CLASS_NAME_BYTES + 16];

	snprintf(group, sizeof(group), "classes[%s]", rules->name);
	for (uint32_t i = 0; i < table->count; i++) {
		const struct config_parameter *parameter = &table->parameters[i];
		uint32_t number;
		char *value;

		memcpy(&number, at(rules, parameter->offset), sizeof(number));
		if (strcmp(parameter->name, "name") == 0)
			value = strdup(rules->name);
		else if (strcmp(parameter->name, "prefix") == 0)
			value = strndup((const char *)rules->prefix, rules->prefix_bytes);
		else if (parameter->type == CONFIG_DURATION)
			value = number_text(parameter, number * SECOND_US);
		else
			value = number_text(parameter, number);
		collect(collector, group, parameter, value);
	}
}

/* "[{match: ..., role: ...}, ...]" */
static char *entries_text(const struct config_parameter *parameter, const void *entries,
                          uint32_t count)
{
	struct text text;
	bool has_failed = false;

	if (!text_open(&text))
		return NULL;
	for (uint32_t i = 0; i < count; i++) {
		struct config_settings *settings = calloc(1, sizeof(*settings));
		struct collector collector = {settings, settings == NULL};

		if (settings != NULL)
			collect_table(&collector, "", parameter->table,
			              at(entries, i * parameter->table->entry_bytes));
		fputs(i == 0 ? "[" : ", ", text.to);
		if (!collector.has_failed)
			config_settings_write(text.to, settings, 0, settings->count);
		has_failed |= collector.has_failed;
		config_settings_destroy(settings);
	}
	fputc(']', text.to);
	if (!has_failed)
		return text_close(&text);
	free(text_close(&text));
	return NULL;
}

/* Paths of files that Kante makes are there without having been given. */
static bool is_own_path(const struct config_table *table, const struct config_parameter *parameter,
                        const void *base)
{
	const struct admin *admin = base;

	if (table != &config_admin_fields)
		return false;
	if (strcmp(parameter->name, "certificate") == 0 || strcmp(parameter->name, "key") == 0)
		return !admin->certificate_given;
	if (strcmp(parameter->name, "client_ca") == 0 || strcmp(parameter->name, "crl") == 0)
		return !admin->client_ca_given;
	return false;
}

static void collect_field(struct collector *collector, const char *group,
                          const struct config_table *table,
                          const struct config_parameter *parameter, const void *base)
{
	const void *held = at(base, parameter->offset);
	uint32_t count;
	char *value;

	switch (parameter->type) {
	case CONFIG_TEXT:
	case CONFIG_PATH:
		if (*(const char *)held == '\0' || is_own_path(table, parameter, base))
			return;
		value = strdup(held);
		break;
	case CONFIG_HOSTS:
	case CONFIG_ENTRIES:
		memcpy(&count, at(base, parameter->count_offset), sizeof(count));
		if (count == 0)
			return;
		value = parameter->type == CONFIG_HOSTS ? hosts_text(held, count)
		                                        : entries_text(parameter, held, count);
		break;
	case CONFIG_SECTION: return; /* after the others */
	default: value = number_text(parameter, *(const uint64_t *)held); break;
	}
	collect(collector, group, parameter, value);
}

/* A section that lacks what it needs was not given. */
static bool is_given(const struct config_table *table, const void *base)
{
	for (uint32_t i = 0; i < table->count; i++) {
		const struct config_parameter *parameter = &table->parameters[i];

		if (parameter->is_required &&
		    (parameter->type == CONFIG_TEXT || parameter->type == CONFIG_PATH) &&
		    *(const char *)at(base, parameter->offset) == '\0')
			return false;
	}
	return true;
}

static void collect_section(struct collector *collector, const char *group,
                            const struct config_parameter *section, const void *base)
{
	const void *held = at(base, section->offset);
	char *path;

	if (!is_given(section->table, held))
		return;
	if (asprintf(&path, "%s%s%s", group, group[0] == '\0' ? "" : ".", section->name) < 0) {
		collector->has_failed = true;
		return;
	}
	collect_table(collector, path, section->table, held);
	free(path);
}

static void collect_table(struct collector *collector, const char *group,
                          const struct config_table *table, const void *base)
{
	for (uint32_t i = 0; i < table->count; i++)
		collect_field(collector, group, table, &table->parameters[i], base);
	for (uint32_t i = 0; i < table->count; i++)
		if (table->parameters[i].type == CONFIG_SECTION)
			collect_section(collector, group, &table->parameters[i], base);
}

static bool is_single_text(enum config_type type)
{
	return type >= CONFIG_TEXT && type < CONFIG_HOSTS;
}

static void collect_top(struct collector *collector, const struct config *config)
{
	for (uint32_t i = 0; i < config_parameter_count; i++) {
		const struct config_parameter *parameter = &config_parameters[i];

		if (parameter->type == CONFIG_WORKERS)
			collect(collector, "", parameter, workers_text(config, parameter));
		else
			collect_field(collector, "", NULL, parameter, config);
	}
	for (uint32_t i = 0; i < config_others.count; i++)
		if (is_single_text(config_others.parameters[i].type))
			collect_field(collector, "", NULL, &config_others.parameters[i], config);
}

int config_settings_create(struct config_settings **ret_settings, const struct config *config)
{
	struct config_settings *settings = calloc(1, sizeof(*settings));
	struct collector collector = {settings, false};

	if (settings == NULL)
		return -ENOMEM;
	collect_top(&collector, config);
	/* class 0 is there in any case, but for it nothing may have been said */
	for (uint32_t i = 0; i < config->classes.count; i++)
		collect_class(&collector, &config->classes.rules[i]);
	for (uint32_t i = 0; i < config->port_count; i++)
		collect_port(&collector, &config->ports[i]);
	collect_section(&collector, "", config_table_find(&config_others, "admin"), config);
	if (collector.has_failed) {
		config_settings_destroy(settings);
		return -ENOMEM;
	}
	*ret_settings = settings;
	return 0;
}

void config_settings_destroy(struct config_settings *settings)
{
	if (settings == NULL)
		return;
	for (uint32_t i = 0; i < settings->count; i++) {
		free(settings->list[i].group);
		free(settings->list[i].value);
	}
	free(settings->list);
	free(settings);
}

static void write_setting(FILE *to, const struct config_setting *setting)
{
	fprintf(to, "%s: ", setting->parameter->name);
	if (is_single_text(setting->parameter->type))
		config_write_text(to, setting->value);
	else
		fputs(setting->value, to);
}

void config_settings_write(FILE *to, const struct config_settings *settings, uint32_t first,
                           uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++) {
		fputs(i == first ? "{" : ", ", to);
		write_setting(to, &settings->list[i]);
	}
	fputs(count == 0 ? "{}" : "}", to);
}

const struct config_setting *config_settings_find(const struct config_settings *settings,
                                                  const char *name)
{
	for (uint32_t i = 0; i < settings->count; i++) {
		const struct config_setting *setting = &settings->list[i];
		size_t length = strlen(setting->group);

		if (strncmp(name, setting->group, length) == 0 &&
		    (length == 0 || name[length] == '.') &&
		    strcmp(name + length + (length > 0), setting->parameter->name) == 0)
			return setting;
	}
	return NULL;
}

uint32_t config_settings_group(const struct config_settings *settings, uint32_t first)
{
	uint32_t end = first;

	while (end < settings->count &&
	       strcmp(settings->list[end].group, settings->list[first].group) == 0)
		end++;
	return end - first;
}

/* "admin", "admin.audit": each field in a line. */
static void write_section(FILE *to, const struct config_settings *settings, uint32_t first,
                          uint32_t count)
{
	const char *group = settings->list[first].group;
	const char *name = strrchr(group, '.');
	int indent = group[0] == '\0' ? 0 : 2;

	if (name != NULL) {
		fprintf(to, "%*s%s:\n", indent, "", name + 1);
		indent += 2;
	} else if (group[0] != '\0') {
		fprintf(to, "%s:\n", group);
	}
	for (uint32_t i = first; i < first + count; i++) {
		fprintf(to, "%*s", indent, "");
		write_setting(to, &settings->list[i]);
		fputc('\n', to);
	}
}

void config_settings_write_file(FILE *to, const struct config_settings *settings)
{
	const char *list = "";
	uint32_t count;

	for (uint32_t first = 0; first < settings->count; first += count) {
		const char *group = settings->list[first].group;
		const char *bracket = strchr(group, '[');
		int name_length = bracket == NULL ? 0 : (int)(bracket - group) + 1;

		count = config_settings_group(settings, first);
		if (bracket == NULL) {
			write_section(to, settings, first, count);
			continue;
		}
		/* the entries of a list are next to each other */
		if (strncmp(list, group, (size_t)name_length) != 0)
			fprintf(to, "%.*s:\n", name_length - 1, group);
		list = group;
		fputs("  - ", to);
		config_settings_write(to, settings, first, count);
		fputc('\n', to);
	}
}
