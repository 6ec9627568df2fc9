/* SPDX-License-Identifier: Apache-2.0 */
#include "net/memory_netif.h"

#include <string.h>

static struct memory_netif *memory_netif_from(struct netif *netif)
{
	return (struct memory_netif *)netif;
}

static uint32_t frame_index(const struct memory_netif *memory_netif, const struct packet *packet)
{
	return (uint32_t)((uint8_t(*)[MEMORY_NETIF_FRAME_MAX])packet->handle -
	                  memory_netif->frames);
}

static uint32_t memory_receive(struct netif *netif, struct packet *ret_burst, uint32_t count_max)
{
	struct memory_netif *memory_netif = memory_netif_from(netif);
	uint32_t count =
	    memory_netif->ring_count < count_max ? memory_netif->ring_count : count_max;

	ASSERT(count_max <= NETIF_BURST_MAX);
	memcpy(ret_burst, memory_netif->ring, count * sizeof(ret_burst[0]));
	memory_netif->ring_count -= count;
	memmove(memory_netif->ring, memory_netif->ring + count,
	        memory_netif->ring_count * sizeof(memory_netif->ring[0]));
	return count;
}

static void memory_release(struct netif *netif, struct packet *burst, uint32_t count)
{
	struct memory_netif *memory_netif = memory_netif_from(netif);

	for (uint32_t i = 0; i < count; i++) {
		/* who reads a frame that was given back shall find rubbish */
		memset(burst[i].handle, 0xa5, MEMORY_NETIF_FRAME_MAX);
		ASSERT(memory_netif->free_count < memory_netif->frame_count);
		memory_netif->free[memory_netif->free_count++] =
		    frame_index(memory_netif, &burst[i]);
	}
}

static bool memory_allocate(struct netif *netif, struct packet *ret_packet)
{
	struct memory_netif *memory_netif = memory_netif_from(netif);
	uint8_t *frame;

	if (memory_netif->free_count <= memory_netif->withheld_count)
		return false;
	frame = memory_netif->frames[memory_netif->free[--memory_netif->free_count]];
	*ret_packet = (struct packet){
	    .data = frame,
	    .capacity = MEMORY_NETIF_FRAME_MAX,
	    .handle = frame,
	};
	return true;
}

static void memory_transmit(struct netif *netif, struct packet *packet)
{
	struct memory_netif *memory_netif = memory_netif_from(netif);

	memory_netif->sent(memory_netif->context, packet->data, packet->length);
	memory_release(netif, packet, 1);
}

static void memory_flush(struct netif *netif)
{
}

static const struct netif_ops memory_ops = {
    .receive = memory_receive,
    .release = memory_release,
    .allocate = memory_allocate,
    .transmit = memory_transmit,
    .flush = memory_flush,
};

static const struct netif_ops memory_nic_ops = {
    .receive = memory_receive,
    .release = memory_release,
    .allocate = memory_allocate,
    .append = memory_nic_append,
    .transmit = memory_nic_transmit,
    .flush = memory_nic_flush,
};

size_t memory_netif_bytes(uint32_t frame_count)
{
	return memory_rounded((size_t)frame_count * MEMORY_NETIF_FRAME_MAX) +
	       memory_rounded(frame_count * sizeof(uint32_t));
}

void memory_netif_create(struct memory_netif *memory_netif, uint32_t frame_count,
                         struct memory *memory, const uint8_t mac[6], uint16_t mtu,
                         void (*sent)(void *context, const uint8_t *frame, uint16_t length),
                         void *context)
{
	*memory_netif = (struct memory_netif){
	    .netif = {.ops = &memory_ops, .mtu = mtu},
	    .frames = memory_take(memory, (size_t)frame_count * MEMORY_NETIF_FRAME_MAX),
	    .free = memory_take(memory, frame_count * sizeof(uint32_t)),
	    .frame_count = frame_count,
	    .free_count = frame_count,
	    .sent = sent,
	    .context = context,
	};
	memcpy(memory_netif->netif.mac, mac, 6);
	for (uint32_t i = 0; i < frame_count; i++)
		memory_netif->free[i] = i;
}

size_t memory_nic_bytes(void)
{
	return memory_rounded(sizeof(struct memory_nic));
}

void memory_netif_add_nic(struct memory_netif *memory_netif, uint16_t large_bytes, bool sums,
                          struct memory *memory)
{
	memory_netif->nic = memory_take(memory, sizeof(struct memory_nic));
	memset(memory_netif->nic, 0, offsetof(struct memory_nic, whole));
	memory_netif->netif.ops = &memory_nic_ops;
	memory_netif->netif.offloads =
	    NETIF_TX_PIECES | (sums ? NETIF_TX_IP4_CHECKSUM | NETIF_TX_L4_CHECKSUM : 0);
	memory_netif->netif.large_bytes = large_bytes;
}

bool memory_netif_inject(struct memory_netif *memory_netif, const uint8_t *frame, uint16_t length)
{
	struct packet packet;

	if (memory_netif->ring_count == MEMORY_NETIF_RING_MAX ||
	    !memory_allocate(&memory_netif->netif, &packet))
		return false;
	ASSERT(length <= MEMORY_NETIF_FRAME_MAX);
	memcpy(packet.data, frame, length);
	packet.length = length;
	memory_netif->ring[memory_netif->ring_count++] = packet;
	return true;
}
