/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator says about one port: plain data, filled by the config and read by whoever brings
 * the port up. */
#pragma once

#include "net/address.h"

#define PORT_COUNT_MAX         8
#define PORT_ADDRESS_COUNT_MAX 8
#define PORT_ALLOW_COUNT_MAX   64
#define PORT_NAME_BYTES        108 /* as sun_path, with the final NUL */

/* value, name in the config */
#define PORT_KINDS(X) X(PCI, pci) X(XDP, xdp) X(TAP, tap) X(MEMIF, memif) X(SOCKET, socket)

#define PORT_KIND_ENUM(value, name) PORT_##value,
#define PORT_KIND_NAME(value, name) #name,

enum port_kind {
	PORT_KINDS(PORT_KIND_ENUM)
};

struct port_options {
	enum port_kind kind;
	/* pci: device ("0000:03:00.0"); xdp: interface; tap: name of the interface to make;
	 * memif: path of its Unix socket; socket: path of one to listen on, or empty */
	char name[PORT_NAME_BYTES];
	/* pci, tap, memif: ours, each with its network's length. xdp: filled from the interface.
	 * socket: the one address to listen on (length 128); none with a path. */
	struct ip_prefix addresses[PORT_ADDRESS_COUNT_MAX];
	uint32_t address_count;
	uint16_t tcp_port; /* 0: none */
	uint16_t udp_port; /* 0: none */
	bool allow_any;    /* `allow: any` */
	struct ip_prefix allow[PORT_ALLOW_COUNT_MAX];
	uint32_t allow_count;
	uint32_t mode;      /* socket, with a path: of the file, such as 0700 */
	uint16_t busy_poll; /* xdp: SO_BUSY_POLL_BUDGET, frames; 0: without */
	uint16_t backlog;   /* socket: connections that wait to be accepted, at most */
};

static inline const char *port_kind_name(enum port_kind kind)
{
	static const char *const names[] = {PORT_KINDS(PORT_KIND_NAME)};

	return names[kind];
}

static inline bool port_is_unix(const struct port_options *port)
{
	return port->kind == PORT_SOCKET && port->name[0] != '\0';
}
