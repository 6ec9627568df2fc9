/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of one kanted: read from a YAML file, whole or not at all.
 *
 * Every parameter is declared once, here: struct, reading, range, default, help and manual come
 * from these tables. Owner: whoever loaded it; plain data, not changed afterwards. */
#pragma once

#include "config/admin.h"
#include "net/port.h"
#include "store/classes.h"
#include "store/policy.h"
#include "tcp/congestion.h"

#include <stdio.h>

#define CONFIG_WORKER_COUNT_MAX    64
#define CONFIG_HOT_KEY_COUNT_MAX   512
#define CONFIG_HOT_VALUE_BYTES_MAX 1391
#define CONFIG_CORE_MAX            1023
#define CONFIG_FILE_BYTES_MAX      (1024 * 1024)
#define CONFIG_FILE_PATH_BYTES     1024
#define CONFIG_USER_BYTES          33   /* as useradd has it, and NUL */
#define CONFIG_ERROR_BYTES         4096 /* holds the faults of all but the worst files */

#define CONFIG_KIB 1024ull
#define CONFIG_MIB (1024 * CONFIG_KIB)
#define CONFIG_GIB (1024 * CONFIG_MIB)

/* What a value is, and how it is written. Those before CONFIG_TEXT are held as numbers, in the
 * unit that the field's name ends with. */
enum config_type {
	CONFIG_COUNT,
	CONFIG_SIZE,       /* bytes; KiB, MiB, GiB */
	CONFIG_DURATION,   /* us, ms, s, min, h; 0 needs no unit */
	CONFIG_SECONDS,    /* s, min, h; 0 needs no unit */
	CONFIG_PERCENT,    /* %; 0 needs no unit */
	CONFIG_MODE,       /* of a file, in octal */
	CONFIG_WORKERS,    /* a count, or a list of cores */
	CONFIG_SWITCH,     /* false, true */
	CONFIG_CONGESTION, /* enum tcp_congestion, by name, and so on */
	CONFIG_POLICY,
	CONFIG_PORT_KIND,
	CONFIG_ROLE,
	CONFIG_ALGORITHM,
	CONFIG_WHEN_FULL,
	CONFIG_METRICS,
	CONFIG_TEXT,     /* its range is that of its length in bytes */
	CONFIG_PATH,     /* absolute; its maximum is that of its length in bytes */
	CONFIG_LISTEN,   /* an address with a port number, or an absolute path */
	CONFIG_HOSTS,    /* a list of addresses; its range is that of their number */
	CONFIG_PREFIXES, /* likewise, each with the length of its network */
	CONFIG_NETWORKS, /* a list of networks, or `any` */
	CONFIG_ENTRIES,  /* a list of mappings, each with the parameters of a table */
	CONFIG_SECTION,  /* a mapping with the parameters of a table */
};

/* When a changed value counts. */
enum config_effect {
	CONFIG_RESTART, /* from the next start */
	CONFIG_LIVE,    /* while kanted runs: at once */
};

/* field, name in the file, type, minimum, maximum, default, effect, help */
#define CONFIG_PARAMETERS(X)                                                                       \
	X(worker_count, "workers", CONFIG_WORKERS, 1, CONFIG_WORKER_COUNT_MAX, 1, CONFIG_RESTART,  \
	  "How many workers, or the list of cores they are pinned to")                             \
	X(memory_bytes, "memory", CONFIG_SIZE, 4 * CONFIG_MIB, 4096 * CONFIG_GIB, 64 * CONFIG_MIB, \
	  CONFIG_RESTART, "Memory for items and their index, of all workers together")             \
	X(item_bytes_max, "item_size_max", CONFIG_SIZE, CONFIG_KIB, CONFIG_GIB, CONFIG_MIB,        \
	  CONFIG_RESTART, "The largest value; at most half of a worker's share of memory")         \
	X(eviction, "eviction", CONFIG_POLICY, 0, POLICY_COUNT - 1, POLICY_s3fifo, CONFIG_LIVE,    \
	  "Who has to go for want of memory")                                                      \
	X(connection_count_max, "max_connections", CONFIG_COUNT, 1, 1000000, 1024, CONFIG_RESTART, \
	  "Connections of all workers together; one more is refused")                              \
	X(request_timeout_us, "request_timeout", CONFIG_DURATION, 100000, 3600000000, 10000000,    \
	  CONFIG_LIVE, "A request that is not whole after this long closes its connection")        \
	X(idle_timeout_us, "idle_timeout", CONFIG_DURATION, 0, 604800000000, 0, CONFIG_LIVE,       \
	  "A connection without a request for this long is closed; 0: never")                      \
	X(keepalive_us, "keepalive", CONFIG_DURATION, 0, 604800000000, 7200000000, CONFIG_RESTART, \
	  "An idle client is asked whether it is there after this long, nine times in 12 "         \
	  "minutes; 0: never. For kernel sockets the kernel's own setting holds")                  \
	X(user_timeout_us, "user_timeout", CONFIG_DURATION, 1000000, 3600000000, 120000000,        \
	  CONFIG_RESTART, "A client that acknowledges nothing for this long is given up")          \
	X(source_connection_count_max, "connections_per_source", CONFIG_COUNT, 0, 1000000, 0,      \
	  CONFIG_RESTART,                                                                          \
	  "Connections of one IPv4 address, or one IPv6 /64, through our own TCP; 0: any number")  \
	X(congestion, "congestion", CONFIG_CONGESTION, 0, TCP_CONGESTION_COUNT - 1,                \
	  TCP_CONGESTION_cubic, CONFIG_RESTART, "Congestion control of our own TCP")               \
	X(shutdown_command, "shutdown_command", CONFIG_SWITCH, 0, 1, 0, CONFIG_LIVE,               \
	  "Whether clients may end the process by the command shutdown")                           \
	X(idle_sleep_us, "idle_sleep_max", CONFIG_DURATION, 0, 100000, 1000, CONFIG_LIVE,          \
	  "A worker that finds nothing to do polls its ports after this long at the latest; 0: "   \
	  "all the time")                                                                          \
	X(udp_reply_bytes_max, "udp_reply_bytes_max", CONFIG_COUNT, 64, 1400, 1400, CONFIG_LIVE,   \
	  "Bytes of a reply by UDP, at most")                                                      \
	X(udp_amplification_max, "udp_amplification_max", CONFIG_COUNT, 1, 1000, 10, CONFIG_LIVE,  \
	  "A reply by UDP is at most this many times its request, save to sources that `allow` "   \
	  "lists")                                                                                 \
	X(udp_rate_max, "udp_rate_max", CONFIG_COUNT, 0, 1000000000, 1000, CONFIG_LIVE,            \
	  "Requests by UDP a second from one source that are answered, save from those that "      \
	  "`allow` lists; 0: all")                                                                 \
	X(hot_key_count_max, "hot_keys", CONFIG_COUNT, 0, CONFIG_HOT_KEY_COUNT_MAX, 128,           \
	  CONFIG_LIVE,                                                                             \
	  "Keys whose GETs by UDP are answered by the XDP program of an xdp port, at most; 0: "    \
	  "none are")                                                                              \
	X(hot_rate_min, "hot_rate_min", CONFIG_COUNT, 1, 1000000000, 1000, CONFIG_LIVE,            \
	  "Requests a second that make a key one of them; it is one until there are less than "    \
	  "half as many for some seconds")                                                         \
	X(hot_value_bytes_max, "hot_value_size_max", CONFIG_SIZE, 0, CONFIG_HOT_VALUE_BYTES_MAX,   \
	  CONFIG_KIB, CONFIG_RESTART, "The largest value of such a key")

#define CONFIG_FIELD(field, name, type, minimum, maximum, default_value, effect, help)             \
	uint64_t field;

struct config {
	CONFIG_PARAMETERS(CONFIG_FIELD)
	bool cores_given; /* `workers` was a list */
	uint16_t cores[CONFIG_WORKER_COUNT_MAX];
	struct port_options ports[PORT_COUNT_MAX];
	uint32_t port_count;    /* at least 1 */
	struct classes classes; /* without `classes`: class 0 alone */
	/* "user": whom kanted becomes when all is set up; empty: it stays who it is */
	char user[CONFIG_USER_BYTES];
	/* "auth_file": of the users that may log in (login/users.h); empty: everybody is let in
	 */
	char auth_file[CONFIG_FILE_PATH_BYTES];
	/* "memory_file": the items lie there, and outlive the process; empty: they do not */
	char memory_file[CONFIG_FILE_PATH_BYTES];
	struct admin admin; /* without `admin`: !admin_is_given() */
};

/* A parameter, wherever in the file it may stand. What does not apply is 0 or NULL. */
struct config_parameter {
	const char *name;
	enum config_type type;
	uint64_t minimum;
	uint64_t maximum;
	uint64_t default_value; /* of a number that neither has `without` nor is needed */
	enum config_effect effect;
	const char *help;
	size_t offset; /* of what holds it, in the struct that the table is for */
	bool is_required;
	const char *default_text; /* of a text that has a default */
	const char *without;      /* what holds without it, in words, where no value says that */
	const char *example;      /* as it is written, where there is no default */
	const char *pattern; /* what a text has to look like, as a regular expression (ECMA-262) */
	uint32_t kinds;      /* of a port's: bits 1 << enum port_kind that take it */
	uint32_t required_kinds;          /* of those, the ones that cannot be without */
	const struct config_table *table; /* of a section, or of each entry */
	size_t
	    count_offset; /* of the uint32_t that says how many; where offset is that of a list */
};

struct config_table {
	const struct config_parameter *parameters;
	uint32_t count;
	const char *noun;   /* "a class" */
	size_t entry_bytes; /* from one entry to the next */
};

/* Those of the top level: as in CONFIG_PARAMETERS, each a uint64_t; and all others. */
extern const struct config_parameter config_parameters[];
extern const uint32_t config_parameter_count;
extern const struct config_table config_others;

/* What may stand in an entry of `ports:`; offset is not used. */
extern const struct config_table config_port_fields;

/* What may stand in an entry of `classes:`. A duration's range is in microseconds, and what is held
 * in seconds: uint32_t, or text, in struct class_rules. */
extern const struct config_table config_class_fields;

/* What may stand in `admin:`, held in struct admin. */
extern const struct config_table config_admin_fields;

/* NULL: it has none of that name. */
const struct config_parameter *config_table_find(const struct config_table *table,
                                                 const char *name);

/* Reads and checks a file. 0; a negative errno with `error` filled in: one line a fault,
 * "kante.yaml:4: ports[0].allow: what is wrong: what to do". -EINVAL: it is read, but wrong. */
int config_load(struct config **ret_config, const char *path, char *error, size_t error_bytes);

/* The same for text that is already there; `name` stands for the file in the faults. */
int config_parse(struct config **ret_config, const char *name, const char *text, size_t length,
                 char *error, size_t error_bytes);

void config_destroy(struct config *config); /* takes NULL */

/* Takes over what may change while kanted runs, of the top level and of `admin:`. */
void config_take_live(struct config *config, const struct config *from);

#define CONFIG_QUANTITY_BYTES 32

/* A value of a parameter as it is written in the file: "64MiB", "10s", "cubic". */
void config_format_quantity(char ret_text[CONFIG_QUANTITY_BYTES], enum config_type type,
                            uint64_t value);

/* The words that stand for 0, 1 … in a value of that type, ended by NULL. NULL: it has none. */
const char *const *config_words(enum config_type type);

struct config_unit {
	const char *suffix;
	uint64_t factor;
};

/* The units of a number that is not a word, largest first, ended by a suffix of NULL. */
const struct config_unit *config_units(enum config_type type);

/* A text as it is written in the file: in quotes if it needs them. */
void config_write_text(FILE *to, const char *text);
