/* SPDX-License-Identifier: Apache-2.0 */
/* kante-load's command line. */
#pragma once

#include "load/client.h"
#include "net/address.h"

#define OPTIONS_HOST_BYTES 256 /* with the final NUL */

enum way {
	WAY_NONE,
	WAY_SOCKET, /* kernel sockets */
	WAY_MEMIF,
	WAY_DEVICE, /* any virtual device of DPDK's */
};

struct options {
	enum way way;
	const char *way_text;    /* HOST:PORT, the memif's socket, or DPDK's arguments */
	const char *local_text;  /* as given, or NULL */
	const char *remote_text; /* likewise */
	/* Not of WAY_SOCKET: */
	struct ip_address local;
	struct ip_address remote;
	uint16_t remote_port;
	bool is_reflected;
	struct workload_options workload;
	struct client_options client;
	uint64_t request_count; /* 0: not given */
	double seconds;         /* 0: not given */
	double rate;
	double set_percent; /* negative: not given */
	bool has_value_size;
	bool is_populating;
	bool is_json;
	bool are_misses_errors;
};

/* "kante-load: …" on stderr. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "host:port" or "[host]:port" cut in two. False: it is not that. */
bool options_cut_host_port(const char *text, char host[OPTIONS_HOST_BYTES], uint16_t *ret_port);

/* 0, 1 when help was asked for and given, or -EINVAL after a complaint. */
int options_parse(struct options *options, int argc, char **argv);
