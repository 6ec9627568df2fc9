/* SPDX-License-Identifier: Apache-2.0 */
/* The server's side of memif (protocol version 2.0): clients on the same host share memory with us
 * through a Unix socket, and frames go by memory alone. The memif's id is the worker's index; a
 * client that wants all workers connects to all ids.
 *
 * Why not DPDK's net_memif: it unmaps a client's memory under the worker that is reading it when
 * the client goes away, and believes all that the client writes there.
 *
 * Not supported: interrupts (a client must poll), chains on frames to the client (its buffers must
 * hold a whole frame), memory that the client could shrink.
 *
 * A thread of its own serves the socket. Owner: the keeper; a netif is its worker's. */
#pragma once

#include "net/netif.h"

struct memif;

/* Binds the socket, which must not exist, and listens. 0, or a negative errno. */
int memif_open(struct memif **ret_memif, const char *path, uint32_t link_count, uint16_t mtu,
               const uint8_t mac[6]);

struct netif *memif_netif(struct memif *memif, uint32_t link_index);

/* Whether there is a client on any link. */
bool memif_is_up(struct memif *memif);

/* Frames too long for us, of all links. */
uint64_t memif_receive_drops(struct memif *memif);

/* The workers must have returned. Takes NULL. */
void memif_close(struct memif *memif);
