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

const struct config_table config_port_fields = {port_fields, COUNT(port_fields), "a port", 0};

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

const struct config_table config_class_fields = {class_fields, COUNT(class_fields), "a class", 0};

#define CLIENT(field) offsetof(struct admin_client, field)
#define KEY(field)    offsetof(struct admin_key, field)
#define TOKENS(field) offsetof(struct admin_tokens, field)
#define AUDIT(field)  offsetof(struct admin_audit, field)
#define ADMIN(field)  offsetof(struct admin, field)

static const struct config_parameter client_fields[] = {
    {.name = "match",
     .type = CONFIG_TEXT,
     .minimum = 4,
     .maximum = ADMIN_TEXT_BYTES - 1,
     .is_required = true,
     .example = "\"CN=ops\"",
     .pattern = "^(CN=|OU=|DNS:|URI:|email:).",
     .help = "What the certificate has: CN=, OU=, DNS:, URI: or email: and the whole of it",
     .offset = CLIENT(match)},
    {.name = "role",
     .type = CONFIG_ROLE,
     .maximum = ROLE_COUNT - 1,
     .is_required = true,
     .example = "operator",
     .help = "What its holder may do",
     .offset = CLIENT(role)},
};

static const struct config_table clients = {client_fields, COUNT(client_fields), "a client",
                                            sizeof(struct admin_client)};

static const struct config_parameter key_fields[] = {
    {.name = "id",
     .type = CONFIG_TEXT,
     .minimum = 1,
     .maximum = ADMIN_TEXT_BYTES - 1,
     .is_required = true,
     .example = "2026-1",
     .help = "The `kid` of the tokens that it signs",
     .offset = KEY(id)},
    {.name = "algorithm",
     .type = CONFIG_ALGORITHM,
     .maximum = ADMIN_ALGORITHM_HS256,
     .is_required = true,
     .example = "ES256",
     .help = "The one algorithm that is taken with this key",
     .offset = KEY(algorithm)},
    {.name = "file",
     .type = CONFIG_PATH,
     .maximum = ADMIN_PATH_BYTES - 1,
     .is_required = true,
     .example = "/etc/kante/issuer.pem",
     .help = "PEM of the public key or of a certificate; for HS256 the secret, of 32 bytes at "
             "least",
     .offset = KEY(file)},
};

static const struct config_table keys = {key_fields, COUNT(key_fields), "a key",
                                         sizeof(struct admin_key)};

static const struct config_parameter token_fields[] = {
    {.name = "issuer",
     .type = CONFIG_TEXT,
     .minimum = 1,
     .maximum = ADMIN_TEXT_BYTES - 1,
     .is_required = true,
     .example = "https://login.example.com",
     .help = "What a token's `iss` has to be",
     .offset = TOKENS(issuer)},
    {.name = "audience",
     .type = CONFIG_TEXT,
     .minimum = 1,
     .maximum = ADMIN_TEXT_BYTES - 1,
     .is_required = true,
     .example = "kante",
     .help = "What a token's `aud` has to be, or to have in it",
     .offset = TOKENS(audience)},
    {.name = "role_claim",
     .type = CONFIG_TEXT,
     .minimum = 1,
     .maximum = ADMIN_TEXT_BYTES - 1,
     .default_text = "role",
     .help = "The claim that says viewer, operator or admin",
     .offset = TOKENS(role_claim)},
    {.name = "skew",
     .type = CONFIG_SECONDS,
     .maximum = 600,
     .default_value = 60,
     .help = "The clocks of the issuer and of this node may differ by so much",
     .offset = TOKENS(skew_s)},
    {.name = "lifetime_max",
     .type = CONFIG_SECONDS,
     .minimum = 60,
     .maximum = 8760 * 3600,
     .default_value = 24 * 3600,
     .help = "A token that expires later than so long after it was issued is refused",
     .offset = TOKENS(lifetime_s_max)},
    {.name = "keys",
     .type = CONFIG_ENTRIES,
     .minimum = 1,
     .maximum = ADMIN_KEY_COUNT_MAX,
     .is_required = true,
     .help = "What the issuer signs with",
     .offset = TOKENS(keys),
     .table = &keys,
     .count_offset = TOKENS(key_count)},
};

static const struct config_table tokens = {token_fields, COUNT(token_fields), "the section", 0};

static const struct config_parameter audit_fields[] = {
    {.name = "file_size_max",
     .type = CONFIG_SIZE,
     .minimum = 64 * CONFIG_KIB,
     .maximum = CONFIG_GIB,
     .default_value = 64 * CONFIG_MIB,
     .help = "A longer file of the audit log is closed, and the next one begun",
     .offset = AUDIT(file_bytes_max)},
    {.name = "files_kept",
     .type = CONFIG_COUNT,
     .maximum = 1000000,
     .help = "Of closed files, the older ones are deleted; 0: none are",
     .offset = AUDIT(files_kept_max)},
    {.name = "when_full",
     .type = CONFIG_WHEN_FULL,
     .maximum = ADMIN_WHEN_FULL_allow,
     .default_value = ADMIN_WHEN_FULL_refuse,
     .help = "What becomes of changes while the audit log cannot be written",
     .offset = AUDIT(when_full)},
};

static const struct config_table audit = {audit_fields, COUNT(audit_fields), "the section", 0};

static const struct config_parameter admin_fields[] = {
    {.name = "directory",
     .type = CONFIG_PATH,
     .maximum = ADMIN_PATH_BYTES - 1,
     .is_required = true,
     .example = "/var/lib/kante",
     .help = "Holds the audit log, API keys, and the CA and certificates made here",
     .offset = ADMIN(directory)},
    {.name = "socket",
     .type = CONFIG_PATH,
     .maximum = ADMIN_SOCKET_BYTES - 1,
     .default_text = "/run/kante/admin.sock",
     .help = "Path of the Unix socket that `kante` uses on the node itself",
     .offset = ADMIN(socket)},
    {.name = "listen",
     .type = CONFIG_HOSTS,
     .minimum = 1,
     .maximum = ADMIN_LISTEN_COUNT_MAX,
     .without = "no HTTPS",
     .example = "[127.0.0.1, \"::1\"]",
     .help = "Addresses to listen on for HTTPS",
     .offset = ADMIN(listen),
     .count_offset = ADMIN(listen_count)},
    {.name = "port",
     .type = CONFIG_COUNT,
     .minimum = 1,
     .maximum = UINT16_MAX,
     .default_value = 11280,
     .help = "Port number for HTTPS",
     .offset = ADMIN(port)},
    {.name = "certificate",
     .type = CONFIG_PATH,
     .maximum = ADMIN_PATH_BYTES - 1,
     .without = "one that is made here",
     .example = "/etc/kante/server.crt",
     .help = "The server's certificate, PEM, with what lies between it and a root behind it; read "
             "again when it changes",
     .offset = ADMIN(certificate)},
    {.name = "key",
     .type = CONFIG_PATH,
     .maximum = ADMIN_PATH_BYTES - 1,
     .without = "one that is made here",
     .example = "/etc/kante/server.key",
     .help = "The key of the certificate, PEM",
     .offset = ADMIN(key)},
    {.name = "client_ca",
     .type = CONFIG_PATH,
     .maximum = ADMIN_PATH_BYTES - 1,
     .without = "one that is made here",
     .example = "/etc/kante/clients.crt",
     .help = "Who signs the certificates of clients, PEM, one or more; read again when it changes",
     .offset = ADMIN(client_ca)},
    {.name = "crl",
     .type = CONFIG_PATH,
     .maximum = ADMIN_PATH_BYTES - 1,
     .without = "that of the CA that is made here, or none",
     .example = "/etc/kante/clients.crl",
     .help = "Which certificates of client_ca are revoked, PEM; read again when it changes",
     .offset = ADMIN(crl)},
    {.name = "clients",
     .type = CONFIG_ENTRIES,
     .minimum = 1,
     .maximum = ADMIN_CLIENT_COUNT_MAX,
     .without = "certificates that were issued here have the role they were issued with",
     .help = "What the holders of certificates may do; the first that fits counts",
     .offset = ADMIN(clients),
     .table = &clients,
     .count_offset = ADMIN(client_count)},
    {.name = "tokens",
     .type = CONFIG_SECTION,
     .without = "no tokens are taken",
     .help = "JSON Web Tokens that somebody else issues",
     .offset = ADMIN(tokens),
     .table = &tokens},
    {.name = "audit",
     .type = CONFIG_SECTION,
     .without = "each as by default",
     .help = "The audit log: all changes, and all that was refused",
     .offset = ADMIN(audit),
     .table = &audit},
    {.name = "connections_max",
     .type = CONFIG_COUNT,
     .minimum = 1,
     .maximum = 4096,
     .default_value = 64,
     .help = "Connections of the admin server; one more is refused",
     .offset = ADMIN(connection_count_max)},
    {.name = "request_timeout",
     .type = CONFIG_DURATION,
     .minimum = 100000,
     .maximum = 3600000000,
     .default_value = 10000000,
     .help = "A TLS handshake or request to the admin server that is not whole after this long "
             "closes its connection",
     .offset = ADMIN(request_timeout_us)},
    {.name = "metrics",
     .type = CONFIG_METRICS,
     .maximum = ADMIN_METRICS_open,
     .default_value = ADMIN_METRICS_viewer,
     .help = "Who may read /metrics: those with the role viewer, or, if it is open, anybody",
     .offset = ADMIN(metrics)},
};

const struct config_table config_admin_fields = {admin_fields, COUNT(admin_fields), "the section",
                                                 0};

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
     .table = &config_class_fields},
    {.name = "ports",
     .type = CONFIG_ENTRIES,
     .minimum = 1,
     .maximum = PORT_COUNT_MAX,
     .is_required = true,
     .help = "Where clients come in; several are one cache",
     .table = &config_port_fields},
    {.name = "admin",
     .type = CONFIG_SECTION,
     .without = "no control process, so nobody can manage the node",
     .help = "Who may manage the node, from where, and how it is written down: starts the control "
             "process",
     .offset = offsetof(struct config, admin),
     .table = &config_admin_fields},
};

const struct config_table config_others = {others, COUNT(others), NULL, 0};

const struct config_parameter *config_table_find(const struct config_table *table, const char *name)
{
	for (uint32_t i = 0; i < table->count; i++)
		if (strcmp(table->parameters[i].name, name) == 0)
			return &table->parameters[i];
	return NULL;
}
