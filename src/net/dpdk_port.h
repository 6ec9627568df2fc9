/* SPDX-License-Identifier: Apache-2.0 */
/* One port of dpdk.c. Inside the DPDK part of net only. Owner: the keeper.
 *
 * A port is checked before DPDK starts, so that what can be known to fail is told in our words,
 * and opened after. */
#pragma once

#include "net/dpdk.h"
#include "net/dpdk_netif.h"
#include "net/memif.h"
#include "xdp/xdp.h"

#include <net/if.h>

#define DPDK_WORKER_COUNT_MAX (RTE_MAX_LCORE - 1)
#define DPDK_LOG_BYTES        200

struct dpdk_port {
	struct port_options *options;
	uint32_t index;
	uint32_t queue_count; /* one a worker, or as many as the device has */
	const char *log;      /* what DPDK complained about first, or "" */

	/* Known after the check: */
	uint16_t mtu;             /* bytes */
	unsigned interface_index; /* xdp: the kernel's */
	bool leftover_program;    /* xdp: one of a killed kanted was there */

	/* Known once open: */
	bool has_device; /* DPDK's; memif has none */
	uint16_t device; /* DPDK's port id */
	uint16_t rx_descriptor_count;
	uint16_t tx_descriptor_count;
	uint16_t offloads;    /* NETIF_… */
	uint16_t large_bytes; /* as in struct netif */
	/* pci: why the device does not send what lies in shared memory from there; NULL: it does */
	const char *copies_because;
	uint8_t mac[6];
	struct xdp *xdp;
	uint64_t xdp_detachments;
	char xdp_fault[XDP_ERROR_BYTES]; /* why the program is not attached; "": it is */
	struct memif *memif;
	struct dpdk_netif *netifs[DPDK_WORKER_COUNT_MAX]; /* not of a memif */
};

/* Writes "port KIND NAME: …" to `error` and returns r. */
int dpdk_port_error(const struct dpdk_port *port, char *error, int r, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* "pci", "xdp", … */

/* dpdk_check.c: whether the port can be opened, as far as that can be seen from outside of DPDK.
 * On xdp and memif it also clears away what a killed kanted has left. */
int dpdk_port_check(struct dpdk_port *port, char *error);

/* dpdk_check.c: whether each queue of an xdp port still has a worker, now that the program is
 * attached. */
int dpdk_port_check_queues_added(const struct dpdk_port *port, char *error);

/* dpdk_check.c: an ioctl about a network interface. 0, or a negative errno. */
int dpdk_interface_ioctl(const char *name, unsigned long request, struct ifreq *ifreq);

/* dpdk_port.c */
size_t dpdk_port_memory_bytes(const struct dpdk_port *port);
int dpdk_port_open(struct dpdk_port *port, char *error);
/* `known`: DPDK has been told of it. */
void dpdk_port_share_memory(struct dpdk_port *port, void *base, size_t bytes, bool known);
void dpdk_port_close(struct dpdk_port *port); /* takes half-open */
