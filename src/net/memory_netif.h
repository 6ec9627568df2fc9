/* SPDX-License-Identifier: Apache-2.0 */
/* A netif without a device: what is sent goes to a callback, what is injected is received. For
 * tests and simulation; it can run out of packet memory on request.
 * Owner: the test. */
#pragma once

#include "base/memory.h"
#include "net/memory_nic.h"

#define MEMORY_NETIF_FRAME_MAX 2048                  /* bytes */
#define MEMORY_NETIF_RING_MAX  (4 * NETIF_BURST_MAX) /* frames that wait to be received */

struct memory_netif {
	struct netif netif;
	uint8_t (*frames)[MEMORY_NETIF_FRAME_MAX];
	uint32_t *free;
	uint32_t frame_count;
	uint32_t free_count;
	uint32_t withheld_count;                   /* of the free frames: not to be had now */
	struct packet ring[MEMORY_NETIF_RING_MAX]; /* the oldest first */
	uint32_t ring_count;
	void (*sent)(void *context, const uint8_t *frame, uint16_t length);
	void *context;
	struct memory_nic *nic; /* NULL: it only carries frames */
};

size_t memory_netif_bytes(uint32_t frame_count);

void memory_netif_create(struct memory_netif *memory_netif, uint32_t frame_count,
                         struct memory *memory, const uint8_t mac[6], uint16_t mtu,
                         void (*sent)(void *context, const uint8_t *frame, uint16_t length),
                         void *context);

size_t memory_nic_bytes(void);

/* From now on it takes over what a network card does. large_bytes: of TCP payload that it cuts up
 * at once; 0: it cannot. `sums`: it makes those of all packets. */
void memory_netif_add_nic(struct memory_netif *memory_netif, uint16_t large_bytes, bool sums,
                          struct memory *memory);

/* Puts a frame where the next receive() finds it. False: no memory, or the ring is full. */
bool memory_netif_inject(struct memory_netif *memory_netif, const uint8_t *frame, uint16_t length);
