/* SPDX-License-Identifier: Apache-2.0 */
/* One receive and one transmit queue of a port, as one worker uses them: frames in, frames out.
 *
 * Implementations: dpdk_netif.c (pci, xdp, tap), memif_link.c (memif), memory_netif.c (tests,
 * simulation).
 * Owner: the worker; nobody else calls. */
#pragma once

#include "base/chain.h"
#include "base/counter.h"

#define NETIF_BURST_MAX 32 /* frames a receive() returns at most */

/* What the device does for us. */
#define NETIF_RX_CHECKSUM     0x01u /* wrong IPv4, TCP and UDP checksums are flagged */
#define NETIF_TX_IP4_CHECKSUM 0x02u
#define NETIF_TX_L4_CHECKSUM  0x04u /* the core fills in the pseudo-header's sum */
#define NETIF_TX_PIECES       0x08u /* there is append() */

/* Of a received packet: */
#define PACKET_CHECKSUM_GOOD 0x01u /* the device has verified IP and transport checksums */
#define PACKET_CHECKSUM_BAD  0x02u /* the device found one wrong */
/* Of a packet to send: */
#define PACKET_SUM_IP4 0x04u /* device: fill in the IPv4 header's checksum */
#define PACKET_SUM_TCP 0x08u /* device: finish the TCP checksum */
#define PACKET_SUM_UDP 0x10u /* device: finish the UDP checksum */

/* A frame in memory of the netif. A value: it is copied about, its memory is not. */
struct packet {
	uint8_t *data;     /* the Ethernet header */
	uint16_t length;   /* bytes of the frame, without FCS */
	uint16_t capacity; /* bytes that may be written from data on */
	uint16_t flags;    /* PACKET_… */
	uint8_t l2_length; /* to send with PACKET_SUM_…: bytes of the Ethernet header and tag */
	uint8_t l3_length; /* likewise: bytes of the IP header */
	uint16_t appended; /* bytes behind `length`, in pieces elsewhere: see append() */
	uint16_t segment_bytes; /* the device cuts the TCP payload into these; 0: it fits */
	void *handle;           /* the netif's own */
};

struct netif;
struct capture;

struct netif_ops {
	/* Takes what has arrived, up to count_max (at most NETIF_BURST_MAX) frames. */
	uint32_t (*receive)(struct netif *netif, struct packet *ret_burst, uint32_t count_max);
	/* Gives received frames, or allocated ones that will not be sent, back. */
	void (*release)(struct netif *netif, struct packet *burst, uint32_t count);
	/* Memory for one frame of up to mtu + 18 bytes. False: there is none now, or the device is
	 * behind with what it was given, and a frame would only be lost. */
	bool (*allocate)(struct netif *netif, struct packet *ret_packet);
	/* Adds `length` bytes of a chain, from the cursor on, behind the packet's `length`, which
	 * ends in its own memory: once a packet. Moves the cursor. Small pieces are copied; large
	 * ones that the chain refers to are retained until the device has sent them. Where the core
	 * makes the sums, all of a packet that fits the MTU is copied. False: there is no memory
	 * for it now, and the packet is good for release() only. */
	bool (*append)(struct netif *netif, struct packet *packet, const struct chain *chain,
	               struct chain_cursor *cursor, uint32_t length);
	/* Queues a frame; its memory is the netif's again. When the link is down, or more were
	 * allocated ahead than there was room for, it is dropped and counted. */
	void (*transmit)(struct netif *netif, struct packet *packet);
	/* Rings the doorbell for all that transmit() has queued. */
	void (*flush)(struct netif *netif);
};

/* Implementations embed this as their first field. */
struct netif {
	const struct netif_ops *ops;
	uint16_t mtu;      /* bytes of an IP packet */
	uint16_t offloads; /* NETIF_… */
	/* TCP payload of a packet that the device cuts up and sums: of these, the core fills in the
	 * pseudo-header's sum without the length, and PACKET_SUM_TCP is set. 0: it does not */
	uint16_t large_bytes;
	uint8_t mac[6];
	_Atomic uint64_t transmit_drops; /* frames the device did not take; the worker writes */
	struct capture *capture;         /* capture.c's, while somebody looks at it */
};
