/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of src/net share: one net over a memory netif, a neighbour that builds frames by
 * src/load, and what was sent. Time is data. */
#pragma once

#include "load/frame.h"
#include "net/checksum.h"
#include "net/memory_netif.h"
#include "net/net.h"
#include "unit.h"

#include <stdlib.h>

#define FRAME_COUNT    256
#define SENT_MAX       16
#define SECOND         1000000ull
#define ETHERNET_BYTES 14
#define PROTOCOL_ICMP4 1
#define PROTOCOL_ICMP6 58
#define SERVED_PORT    11211

static const uint8_t our_mac[6] = {2, 0, 0, 0, 0, 1};
static const uint8_t peer_mac[6] = {2, 0, 0, 0, 0, 9};

struct rig {
	struct memory_netif netif;
	struct netif_ops
	    ops; /* the memory netif's, save that transmit() notes the packet's flags */
	const struct netif_ops *memory_ops;
	struct port_options port;
	struct net net;
	void *region;
	uint8_t sent[SENT_MAX][MEMORY_NETIF_FRAME_MAX];
	uint16_t sent_length[SENT_MAX];
	uint32_t sent_count;
	uint16_t sent_flags; /* of the newest */
	uint32_t segments;
	uint32_t datagrams;
	uint32_t errors;
	struct net_path path;   /* of the newest segment or datagram */
	struct net_error error; /* the newest; its l4 is gone */
	uint32_t payload_bytes; /* of the newest datagram */
	uint64_t now_us;
};

struct rig_options {
	enum port_kind kind; /* 0: pci, which for net is as good as any but xdp */
	bool probe;
	uint16_t mtu;      /* 0: 1,500 */
	uint16_t offloads; /* NETIF_… */
};

static inline void rig_sent(void *context, const uint8_t *frame, uint16_t length)
{
	struct rig *rig = context;

	CU_ASSERT_FATAL(rig->sent_count < SENT_MAX);
	memcpy(rig->sent[rig->sent_count], frame, length);
	rig->sent_length[rig->sent_count++] = length;
}

static inline void rig_transmit(struct netif *netif, struct packet *packet)
{
	/* netif, memory_netif and rig begin at the same place */
	struct rig *rig = (struct rig *)netif;

	rig->sent_flags = packet->flags;
	rig->memory_ops->transmit(netif, packet);
}

static inline void rig_segment(void *context, const struct net_input *input, uint64_t now_us)
{
	struct rig *rig = context;

	rig->segments++;
	rig->path = input->path;
}

static inline void rig_datagram(void *context, const struct net_input *input, uint16_t source_port,
                                struct slice payload, uint64_t now_us)
{
	struct rig *rig = context;

	rig->datagrams++;
	rig->path = input->path;
	rig->payload_bytes = (uint32_t)payload.length;
}

static inline void rig_error(void *context, const struct net_error *error, uint64_t now_us)
{
	struct rig *rig = context;

	rig->errors++;
	rig->error = *error;
	rig->error.l4 = NULL;
}

static inline struct rig *rig_new_with(const struct rig_options *options)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct memory memory = {.bytes = memory_netif_bytes(FRAME_COUNT)};
	struct net_user user = {
	    .segment = rig_segment, .datagram = rig_datagram, .error = rig_error, .context = rig};
	struct net_options net = {.port = &rig->port, .probe = options->probe, .random_seed = 1};

	_Static_assert(offsetof(struct rig, netif) == 0, "rig_transmit() needs it");
	rig->region = aligned_alloc(CACHE_LINE_BYTES, memory.bytes);
	memory.base = rig->region;
	rig->now_us = SECOND;
	rig->port = (struct port_options){.kind = options->kind,
	                                  .address_count = 2,
	                                  .tcp_port = SERVED_PORT,
	                                  .udp_port = SERVED_PORT,
	                                  .allow_any = true};
	ip_prefix_parse(&rig->port.addresses[0], "198.18.0.2/24");
	ip_prefix_parse(&rig->port.addresses[1], "fd00:198::2/64");
	memory_netif_create(&rig->netif, FRAME_COUNT, &memory, our_mac,
	                    options->mtu == 0 ? 1500 : options->mtu, rig_sent, rig);
	rig->netif.netif.offloads = options->offloads;
	rig->memory_ops = rig->netif.netif.ops;
	rig->ops = *rig->memory_ops;
	rig->ops.transmit = rig_transmit;
	rig->netif.netif.ops = &rig->ops;
	net_create(&rig->net, &rig->netif.netif, &net, &user, rig->now_us);
	return rig;
}

#define rig_new(...) rig_new_with(&(struct rig_options){__VA_ARGS__})

/* No frame is lost or kept. */
static inline void rig_free(struct rig *rig)
{
	CU_ASSERT_EQUAL(rig->netif.free_count, FRAME_COUNT);
	free(rig->region);
	free(rig);
}

/* `flags`: what the device says about the frame. */
static inline void rig_receive_flagged(struct rig *rig, const uint8_t *frame, uint32_t length,
                                       uint16_t flags)
{
	CU_ASSERT_TRUE_FATAL(memory_netif_inject(&rig->netif, frame, (uint16_t)length));
	rig->netif.ring[rig->netif.ring_count - 1].flags = flags;
	net_poll(&rig->net, rig->now_us);
}

static inline void rig_receive(struct rig *rig, const uint8_t *frame, uint32_t length)
{
	rig_receive_flagged(rig, frame, length, 0);
}

static inline void rig_advance(struct rig *rig, uint64_t us)
{
	uint64_t end_us = rig->now_us + us;

	for (; rig->now_us < end_us; rig->now_us += 10000)
		net_advance(&rig->net, rig->now_us);
}

/* No memory for frames to send, while frames still come in. */
static inline void rig_receive_without_memory(struct rig *rig, const uint8_t *frame,
                                              uint32_t length)
{
	CU_ASSERT_TRUE_FATAL(memory_netif_inject(&rig->netif, frame, (uint16_t)length));
	rig->netif.withheld_count = FRAME_COUNT;
	net_poll(&rig->net, rig->now_us);
	rig->netif.withheld_count = 0;
}

#define COUNT(rig, name) counter_read(&(rig)->net.counters.name)

/* Seen from the neighbour. */
static inline struct frame_path path_from(const char *local, const char *remote)
{
	struct frame_path path = {.vlan = FRAME_NO_VLAN};

	ip_address_parse(&path.local, local);
	ip_address_parse(&path.remote, remote);
	memcpy(path.local_mac, peer_mac, 6);
	memcpy(path.remote_mac, our_mac, 6);
	return path;
}

static inline struct frame_path path4(void)
{
	return path_from("198.18.0.9", "198.18.0.2");
}

static inline struct frame_path path6(void)
{
	return path_from("fd00:198::9", "fd00:198::2");
}

static inline uint32_t build_datagram(uint8_t *frame, const struct frame_path *path, uint16_t port)
{
	return frame_build_udp(frame, path, 5000, port, SLICE_LITERAL("0123456789"));
}

/* Where the IP header's payload is in a frame without options or extensions. */
static inline uint8_t *l4_of(uint8_t *frame, const struct frame_path *path)
{
	return frame + ETHERNET_BYTES + (path->vlan == FRAME_NO_VLAN ? 0 : 4) +
	       (ip_address_is_ip4(&path->local) ? 20 : 40);
}

/* Sets the IPv4 header's checksum anew. */
static inline void ip4_seal(uint8_t *ip)
{
	store_be16(ip + 10, 0);
	checksum_store(ip + 10, (uint16_t)~checksum_fold(checksum_add(0, ip, (ip[0] & 15) * 4u)));
}

/* An ICMP message of `l4_bytes`, whose bytes from the fifth on are the caller's. */
static inline uint32_t build_icmp(uint8_t *frame, const struct frame_path *path, uint8_t type,
                                  uint8_t code, uint32_t l4_bytes)
{
	bool ip4 = ip_address_is_ip4(&path->local);
	uint8_t protocol = ip4 ? PROTOCOL_ICMP4 : PROTOCOL_ICMP6;
	uint8_t *icmp = frame_begin(frame, path, protocol);
	uint32_t length;
	uint64_t sum = 0;

	icmp[0] = type;
	icmp[1] = code;
	length = frame_finish(frame, path, protocol, l4_bytes);
	store_be16(icmp + 2, 0);
	if (!ip4)
		sum = checksum_add_pseudo(checksum_addresses(&path->local, &path->remote), protocol,
		                          l4_bytes);
	checksum_store(icmp + 2, (uint16_t)~checksum_fold(checksum_add(sum, icmp, l4_bytes)));
	return length;
}
