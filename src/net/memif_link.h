/* SPDX-License-Identifier: Apache-2.0 */
/* One worker's memif, as a netif: it copies frames out of and into memory that a client shares.
 *
 * The client can write all of that memory at any time, so what is read there is read once, checked,
 * and copied; a client that breaks the rules is hung up on, by memif.c.
 *
 * Owner: the worker, but for `peer`, which memif.c sets and takes away. */
#pragma once

#include "net/memif_protocol.h"
#include "net/netif.h"

#include <stdatomic.h>

#define MEMIF_BUFFER_BYTES 2048
#define MEMIF_BUFFER_COUNT 512 /* few, so that they stay in the core's cache */

struct memif_region {
	uint8_t *base;
	uint64_t bytes;
};

/* What one client has shared. memif.c fills it in before a link gets it. */
struct memif_peer {
	struct memif_region regions[MEMIF_REGION_MAX];
	uint32_t region_count;
	struct memif_ring *to_server; /* within a region, all slots too */
	struct memif_ring *to_client;
	uint16_t to_server_slots; /* a power of two */
	uint16_t to_client_slots;
	/* The worker's: */
	uint16_t receive_next;    /* slot, counted on without wrapping to the ring */
	uint16_t transmit_next;   /* likewise */
	uint16_t transmit_posted; /* what the client knows */
	uint16_t transmit_end;    /* behind the last slot that is ours to fill, when last seen */
};

struct memif_link {
	struct netif netif;
	/* NULL: no client. Stored with release by memif_link_attach(), loaded with acquire by the
	 * worker. */
	_Atomic(struct memif_peer *) peer;
	/* Grows with each receive(), when the worker uses no peer that it loaded before. */
	_Atomic uint64_t polls;
	atomic_bool broken;             /* the worker has seen the client break the rules */
	_Atomic uint64_t receive_drops; /* frames that were too long */
	uint8_t *memory;
	uint32_t free_count;
	uint8_t *free[MEMIF_BUFFER_COUNT];
};

/* `link` is zeroed. 0, or -ENOMEM. */
int memif_link_create(struct memif_link *link, uint16_t mtu, const uint8_t mac[6]);
void memif_link_destroy(struct memif_link *link);

/* From now on the worker uses the peer. There must be none. */
void memif_link_attach(struct memif_link *link, struct memif_peer *peer);

/* The worker will stop using its peer, which is returned. It has done so when memif_link_left()
 * says so for what is written to *ret_polls. */
struct memif_peer *memif_link_detach(struct memif_link *link, uint64_t *ret_polls);
bool memif_link_left(struct memif_link *link, uint64_t polls);
