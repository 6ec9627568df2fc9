/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of all parameters. */
#include "config/config_check.h"

#include <net/if.h>

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

#define PARAMETER(field, file_name, value_type, low, high, value, when, text)                      \
	{.name = file_name,                                                                        \
	 .type = value_type,                                                                       \
	 .minimum = low,                                                                           \
	 .maximum = high,                                                                          \
	 .default_value = value,                                                                   \
	 .effect = when,                                                                           \
	 .help = text,                                                                             \
	 .offset = offsetof(struct config, field)},

const struct config_parameter config_parameters[] = {CONFIG_PARAMETERS(PARAMETER)};

const uint32_t config_parameter_count = COUNT(config_parameters);

#define KIND(kind)   (1u << (kind))
#define KINDS_ALL    (KIND(PORT_SOCKET + 1) - 1)
#define KINDS_DEVICE (KINDS_ALL & ~KIND(PORT_SOCKET)) /* those that carry our own stack */
#define KINDS_OWN    (KINDS_DEVICE & ~KIND(PORT_XDP)) /* those whose addresses the kernel has not */

#define PCI_ADDRESS_BYTES   12
#define INTERFACE_PATTERN   "^[A-Za-z0-9_.-]+$"
#define SOCKET_PATH_PATTERN "^/[!#-&(-+\\--Z\\\\^-~]*$"

static const struct config_parameter port_fields[] = {
    {.name = "kind",
     .type = CONFIG_PORT_KIND,
     .maximum = PORT_SOCKET,
     .kinds = KINDS_ALL,
     .required_kinds = KINDS_ALL,
     .example = "socket",
     .help = "What the port is"},
    {.name = "device",
     .type = CONFIG_TEXT,
     .minimum = PCI_ADDRESS_BYTES,
     .maximum = PCI_ADDRESS_BYTES,
     .kinds = KIND(PORT_PCI),
     .required_kinds = KIND(PORT_PCI),
     .example = "\"0000:03:00.0\"",
     .pattern = "^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\\.[0-7]$",
     .help = "PCI address of the NIC, as lspci -D shows it"},
    {.name = "interface",
     .type = CONFIG_TEXT,
     .minimum = 1,
     .maximum = IFNAMSIZ - 1,
     .kinds = KIND(PORT_XDP),
     .required_kinds = KIND(PORT_XDP),
     .example = "eth1",
     .pattern = INTERFACE_PATTERN,
     .help = "The kernel's interface to take packets from"},
    {.name = "name",
     .type = CONFIG_TEXT,
     .minimum = 1,
     .maximum = IFNAMSIZ - 1,
     .kinds = KIND(PORT_TAP),
     .required_kinds = KIND(PORT_TAP),
     .example = "kante0",
     .pattern = INTERFACE_PATTERN,
     .help = "Name of the interface to make"},
    {.name = "socket",
     .type = CONFIG_PATH,
     .maximum = PORT_NAME_BYTES - 1,
     .kinds = KIND(PORT_MEMIF),
     .required_kinds = KIND(PORT_MEMIF),
     .example = "/run/kante/memif.sock",
     .pattern = SOCKET_PATH_PATTERN,
     .help = "Path of the memif socket"},
    {.name = "listen",
     .type = CONFIG_LISTEN,
     .maximum = PORT_NAME_BYTES - 1,
     .kinds = KIND(PORT_SOCKET),
     .required_kinds = KIND(PORT_SOCKET),
     .example = "\"127.0.0.1:11211\"",
     .pattern = SOCKET_PATH_PATTERN "|^[0-9.]+:[0-9]+$|^\\[[0-9A-Fa-f:.]+\\]:[0-9]+$",
     .help = "ADDRESS:PORT to listen on by TCP, or the path of a Unix socket"},
    {.name = "mode",
     .type = CONFIG_MODE,
     .maximum = 0777,
     .default_value = 0700, /* as memcached's */
     .kinds = KIND(PORT_SOCKET),
     .help = "Who may use the Unix socket, as chmod has it"},
    {.name = "backlog",
     .type = CONFIG_COUNT,
     .minimum = 1,
     .maximum = UINT16_MAX,
     .default_value = 4096, /* the kernel lowers it to net.core.somaxconn */
     .kinds = KIND(PORT_SOCKET),
     .help = "Connections that may wait to be accepted"},
    {.name = "addresses",
     .type = CONFIG_PREFIXES,
     .minimum = 1,
     .maximum = PORT_ADDRESS_COUNT_MAX,
     .kinds = KINDS_OWN,
     .required_kinds = KINDS_OWN,
     .example = "[198.18.0.2/24]",
     .help = "Our addresses, each with its network's length"},
    {.name = "tcp",
     .type = CONFIG_COUNT,
     .minimum = 1,
     .maximum = UINT16_MAX,
     .kinds = KINDS_DEVICE,
     .without = "no TCP",
     .example = "11211",
     .help = "Port number for TCP"},
    {.name = "udp",
     .type = CONFIG_COUNT,
     .minimum = 1,
     .maximum = UINT16_MAX,
     .kinds = KINDS_ALL,
     .without = "no UDP",
     .example = "11211",
     .help = "Port number for UDP"},
    {.name = "allow",
     .type = CONFIG_NETWORKS,
     .minimum = 1,
     .maximum = PORT_ALLOW_COUNT_MAX,
     .kinds = KINDS_ALL,
     .required_kinds = KINDS_DEVICE,
     .without = "any source on loopback, or with auth_file",
     .example = "[198.18.0.0/24]",
     .help = "Networks that clients may come from, or `any`; needed unless on loopback, or with "
             "auth_file"},
};

const struct config_table config_port_fields = {port_fields, COUNT(port_fields)};

#define RULE(field) offsetof(struct class_rules, field)
#define TTL_US_MAX  (87600 * 3600 * 1000000ull) /* ten years */

static const struct config_parameter class_fields[] = {
    {.name = "name",
     .type = CONFIG_TEXT,
     .minimum = 1,
     .maximum = CLASS_NAME_BYTES,
     .is_required = true,
     .example = "sessions",
     .pattern = "^[A-Za-z0-9_.-]+$",
     .help = "What it is called: letters, digits, '_', '.' or '-'",
     .offset = RULE(name)},
    {.name = "prefix",
     .type = CONFIG_TEXT,
     .maximum = CLASS_PREFIX_BYTES,
     .is_required = true,
     .example = "\"sess:\"",
     .pattern = "^[^\\x00-\\x20\\x7f]*$",
     .help = "What its keys begin with; \"\": all keys that no other class has",
     .offset = RULE(prefix)},
    {.name = "priority",
     .type = CONFIG_COUNT,
     .maximum = CLASS_PRIORITY_MAX,
     .default_value = CLASS_PRIORITY_DEFAULT,
     .help = "With `eviction: priority` items of the lowest go first for want of memory",
     .offset = RULE(priority)},
    {.name = "share_min",
     .type = CONFIG_PERCENT,
     .maximum = CONFIG_SHARE_MIN_SUM_MAX,
     .help = "Of all that is held: below it none of the class goes for want of memory; 90% of all "
             "classes together at most",
     .offset = RULE(share_min)},
    {.name = "share_max",
     .type = CONFIG_PERCENT,
     .minimum = 1,
     .maximum = 100,
     .default_value = 100,
     .help = "Of all that is held: above it the class's items go first; not below share_min",
     .offset = RULE(share_max)},
    {.name = "ttl_default",
     .type = CONFIG_DURATION,
     .maximum = TTL_US_MAX,
     .help = "What is stored without an expiry expires after this long, in whole seconds; 0: "
             "never; not above ttl_max",
     .offset = RULE(ttl_default_s)},
    {.name = "ttl_max",
     .type = CONFIG_DURATION,
     .maximum = TTL_US_MAX,
     .help = "Nothing expires later than after this long, in whole seconds; 0: any time is good",
     .offset = RULE(ttl_max_s)},
    {.name = "rate_max",
     .type = CONFIG_COUNT,
     .maximum = 1000000000,
     .help = "Requests a second of all workers together; 0: any number",
     .offset = RULE(rate_max)},
};

const struct config_table config_class_fields = {class_fields, COUNT(class_fields)};

static const struct config_parameter others[] = {
    {.name = "auth_file",
     .type = CONFIG_PATH,
     .maximum = CONFIG_FILE_PATH_BYTES - 1,
     .without = "everybody is let in",
     .example = "/etc/kante/users",
     .help = "The users that may log in, a line NAME:HASH each",
     .offset = offsetof(struct config, auth_file)},
    {.name = "memory_file",
     .type = CONFIG_PATH,
     .maximum = CONFIG_FILE_PATH_BYTES - 1,
     .without = "items do not outlive the process",
     .example = "/dev/shm/kante",
     .help = "A file on a tmpfs or hugetlbfs in which the items lie, to outlive a restart",
     .offset = offsetof(struct config, memory_file)},
    {.name = "classes",
     .type = CONFIG_ENTRIES,
     .minimum = 1,
     .maximum = CLASS_COUNT_MAX,
     .without = "all keys are alike",
     .help = "Rules for keys that begin alike",
     .entries = &config_class_fields},
    {.name = "ports",
     .type = CONFIG_ENTRIES,
     .minimum = 1,
     .maximum = PORT_COUNT_MAX,
     .is_required = true,
     .help = "Where clients come in; several are one cache",
     .entries = &config_port_fields},
};

const struct config_table config_others = {others, COUNT(others)};

const struct config_parameter *config_table_find(const struct config_table *table, const char *name)
{
	for (uint32_t i = 0; i < table->count; i++)
		if (strcmp(table->parameters[i].name, name) == 0)
			return &table->parameters[i];
	return NULL;
}
