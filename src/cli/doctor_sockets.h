/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's tables of sockets, as /proc/net shows them. Owner: the check that reads them. */
#pragma once

#include "cli/doctor_internal.h"
#include "net/address.h"

struct socket_line {
	struct ip_address local, remote;
	uint16_t local_port;
	bool is_ip6;
	bool is_listening; /* TCP: waits for connections; UDP: is bound, and connected to nobody */
	uint64_t inode;
};

/* All sockets of a protocol ("tcp", "udp"), IPv4 and IPv6, until `take` returns false. */
void sockets_read(const struct doctor *doctor, const char *protocol,
                  bool (*take)(void *context, const struct socket_line *socket), void *context);

/* 32 digits, first byte first. False: it is no address. */
bool sockets_parse_hex(struct ip_address *ret_address, const char *digits);
