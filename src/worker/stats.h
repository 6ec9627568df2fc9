/* SPDX-License-Identifier: Apache-2.0 */
/* memcached's `stats` replies, from the counters of all workers and a few facts about the process.
 *
 * Owner: one worker. What it reads of other workers are counters that each has one writer. */
#pragma once

#include "store/counters.h"
#include "worker/prefixes.h"
#include "worker/session.h"

/* What a session cannot know without asking the system: the worker's owner keeps it. */
struct stats_facts {
	uint64_t pid;
	uint64_t uptime_s;
	uint64_t unix_time_s;
	uint64_t rusage_user_us;
	uint64_t rusage_system_us;
	uint64_t connection_count_max;
	uint64_t rejected_connections;
	uint64_t value_bytes_max;
	uint64_t idle_timeout_s;
	uint64_t tcp_port;
	uint64_t udp_port;
	const char *version;
	uint64_t backlog;
	const char *interface; /* the address listened on */
	const char *unix_path; /* the Unix socket listened on, "NULL" when there is none */
	const char *unix_mode; /* its mode, as "700" */
	/* Of these, NULL is shown as "no". */
	const char *auth_file; /* of the users */
	const char *auth_sasl;
	const char *shutdown_command;
};

/* What one worker publishes. */
struct stats_worker {
	const struct shard_counters *shard;
	const struct store_counters *store;
	const struct session_counters *sessions;
	const struct counter_group *groups; /* for `stats kante` */
	uint32_t group_count;
	struct prefixes *prefixes; /* for `stats detail` */
	const struct latency *latency;
};

/* Sums over the workers. */
struct stats_totals {
	struct shard_counters shard;
	struct store_counters store;
	struct session_counters sessions;
};

/* What is asked of one worker and concerns all. */
struct stats_shared {
	_Atomic uint32_t changes; /* so many times were the next two changed; stored last */
	_Atomic bool detail_is_on;
	_Atomic uint32_t resets;
	struct stats_totals baseline; /* what the totals were at the last `stats reset` */
};

struct stats_options {
	const struct stats_worker *workers; /* stays where it is */
	uint32_t worker_count;
	struct stats_shared *shared;
	/* Fills in the facts; makes no system call. */
	void (*read_facts)(void *context, struct stats_facts *ret_facts);
	void *context;
	struct siphash_key key; /* secret and random */
};

/* Where figures go, one after the other: a protocol's reply. */
struct stats_sink {
	/* False: there is no memory for it. */
	bool (*add)(void *context, struct slice name, struct slice value);
	void *context;
};

struct stats {
	struct stats_options options;
	/* `stats conns`: the figures of all connections. False: no memory. NULL: there are none. */
	bool (*add_conns)(void *context, const struct stats_sink *sink);
	void *conns_context;
	const struct hot *hot;    /* `stats hot` */
	struct prefixes prefixes; /* `stats detail` */
	uint32_t changes_seen;    /* of the shared ones */
	uint32_t resets_seen;
};

/* Bytes of memory that stats_create() takes. */
size_t stats_bytes(void);
void stats_create(struct stats *stats, const struct stats_options *options, struct memory *memory);

enum stats_verdict {
	STATS_LISTED,
	STATS_RESET,
	STATS_SET,       /* `detail on`, `detail off`: done, once stats_follow() was called */
	STATS_DETAIL,    /* `detail dump`: the caller calls stats_list_prefixes() */
	STATS_NO_DETAIL, /* `detail`: neither on, off nor dump */
	STATS_UNKNOWN,   /* no such figures */
	STATS_NO_MEMORY, /* the sink has taken only some */
};

/* Does what was asked of any worker: once a turn. True: whether `detail` is on has changed. */
bool stats_follow(struct stats *stats);

/* The lines of `stats detail dump`. False: `line` has returned false. */
bool stats_list_prefixes(struct stats *stats, bool (*line)(void *context, struct slice line),
                         void *context);

/* What "stats <argument>" asks for: hands all figures to the sink. */
enum stats_verdict stats_list(struct stats *stats, struct slice argument,
                              const struct stats_sink *sink);
