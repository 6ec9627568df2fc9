/* SPDX-License-Identifier: Apache-2.0 */
#include "net/memif_link.h"

#include "base/assert.h"
#include "base/bytes.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How often to look whether a client has made room, before the sender has to wait. */
#define TRANSMIT_ATTEMPTS 64

/* One read of memory that somebody else may be writing. */
#define READ_ONCE(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)

static struct memif_link *link_of(struct netif *netif)
{
	return (struct memif_link *)netif;
}

static void link_break(struct memif_link *link)
{
	atomic_store_explicit(&link->broken, true, memory_order_relaxed);
}

/* The slot's memory, and how much of it there is; NULL when it is not within the region. */
static uint8_t *slot_memory(const struct memif_peer *peer, const struct memif_slot *slot,
                            uint32_t *ret_length)
{
	uint16_t region = READ_ONCE(slot->region);
	uint32_t offset = READ_ONCE(slot->offset);
	uint32_t length = READ_ONCE(slot->length);

	if (region >= peer->region_count || (uint64_t)offset + length > peer->regions[region].bytes)
		return NULL;
	*ret_length = length;
	return peer->regions[region].base + offset;
}

enum frame_verdict {
	FRAME_TAKEN,
	FRAME_TOO_LONG, /* to be passed over */
	FRAME_PARTIAL,  /* its last slots are yet to come */
	FRAME_BROKEN,
};

/* Copies the frame that begins at the next slot; says how many slots it has. */
static enum frame_verdict frame_copy(const struct memif_peer *peer, uint16_t available, uint8_t *to,
                                     uint16_t *ret_length, uint16_t *ret_slots)
{
	uint16_t mask = peer->to_server_slots - 1;
	uint32_t total = 0;

	for (uint16_t slots = 0; slots < available;) {
		const struct memif_slot *slot =
		    &peer->to_server->slots[(peer->receive_next + slots) & mask];
		uint32_t length;
		const uint8_t *from = slot_memory(peer, slot, &length);

		if (from == NULL)
			return FRAME_BROKEN;
		slots++;
		if (total + length <= MEMIF_BUFFER_BYTES)
			memcpy(to + total, from, length);
		total = min_u32(total + min_u32(length, MEMIF_BUFFER_BYTES + 1),
		                MEMIF_BUFFER_BYTES + 1);
		if (READ_ONCE(slot->flags) & MEMIF_SLOT_NEXT)
			continue;
		*ret_length = (uint16_t)total;
		*ret_slots = slots;
		return total <= MEMIF_BUFFER_BYTES ? FRAME_TAKEN : FRAME_TOO_LONG;
	}
	return available < peer->to_server_slots ? FRAME_PARTIAL : FRAME_BROKEN;
}

static void packet_fill(struct packet *packet, uint8_t *buffer, uint16_t length)
{
	*packet = (struct packet){
	    .data = buffer,
	    .length = length,
	    .capacity = MEMIF_BUFFER_BYTES,
	    .handle = buffer,
	};
}

static uint32_t receive(struct netif *netif, struct packet *ret_burst, uint32_t count_max)
{
	struct memif_link *link = link_of(netif);
	uint64_t polls = atomic_load_explicit(&link->polls, memory_order_relaxed);
	struct memif_peer *peer;
	uint32_t count = 0;
	uint16_t available;

	/* Release: whoever sees it (memif_link_left()) knows all use of older peers to be over. */
	atomic_store_explicit(&link->polls, polls + 1, memory_order_release);
	/* Compiler only: the count is stored before the peer is loaded. Pairs with the barrier that
	 * memif_link_detach() puts on this thread, which keeps the processor to that order. */
	atomic_signal_fence(memory_order_seq_cst);
	peer = atomic_load_explicit(&link->peer, memory_order_acquire);
	if (peer == NULL)
		return 0;
	/* Acquire: pairs with the client's release of head, after it has filled the slots. */
	available = (uint16_t)(__atomic_load_n(&peer->to_server->head, __ATOMIC_ACQUIRE) -
	                       peer->receive_next);
	if (available > peer->to_server_slots) {
		link_break(link);
		return 0;
	}
	if (available == 0)
		return 0;
	while (available > 0 && count < count_max && link->free_count > 0) {
		uint8_t *buffer = link->free[link->free_count - 1];
		uint16_t length, slots;
		enum frame_verdict verdict = frame_copy(peer, available, buffer, &length, &slots);

		if (verdict == FRAME_BROKEN)
			link_break(link);
		if (verdict == FRAME_BROKEN || verdict == FRAME_PARTIAL)
			break;
		peer->receive_next += slots;
		available -= slots;
		if (verdict == FRAME_TOO_LONG) {
			counter_add(&link->receive_drops, 1);
			continue;
		}
		link->free_count--;
		packet_fill(&ret_burst[count++], buffer, length);
	}
	/* Release: the copies are made before the client may write these slots again. */
	__atomic_store_n(&peer->to_server->tail, peer->receive_next, __ATOMIC_RELEASE);
	return count;
}

static void release(struct netif *netif, struct packet *burst, uint32_t count)
{
	struct memif_link *link = link_of(netif);

	ASSERT_SLOW(link->free_count + count <= MEMIF_BUFFER_COUNT);
	for (uint32_t i = 0; i < count; i++)
		link->free[link->free_count++] = burst[i].handle;
}

static void post(struct memif_peer *peer)
{
	if (peer->transmit_posted == peer->transmit_next)
		return;
	/* Release: pairs with the client's acquire of tail, before it reads the slots. */
	__atomic_store_n(&peer->to_client->tail, peer->transmit_next, __ATOMIC_RELEASE);
	peer->transmit_posted = peer->transmit_next;
}

/* Whether a frame can be sent; looks again for a while when it cannot. */
static bool has_room(struct memif_peer *peer)
{
	for (int attempt = 0; attempt < TRANSMIT_ATTEMPTS; attempt++) {
		if (peer->transmit_end != peer->transmit_next)
			return true;
		post(peer);
		/* Acquire: pairs with the client's release of head, after it has read the slots. */
		peer->transmit_end = __atomic_load_n(&peer->to_client->head, __ATOMIC_ACQUIRE);
	}
	return peer->transmit_end != peer->transmit_next;
}

static bool allocate(struct netif *netif, struct packet *ret_packet)
{
	struct memif_link *link = link_of(netif);
	struct memif_peer *peer = atomic_load_explicit(&link->peer, memory_order_acquire);

	if (link->free_count == 0 || (peer != NULL && !has_room(peer)))
		return false;
	packet_fill(ret_packet, link->free[--link->free_count], 0);
	return true;
}

static bool frame_send(struct memif_link *link, const struct packet *packet)
{
	struct memif_peer *peer = atomic_load_explicit(&link->peer, memory_order_acquire);
	struct memif_slot *slot;
	uint32_t room;
	uint8_t *to;

	if (peer == NULL || !has_room(peer))
		return false;
	slot = &peer->to_client->slots[peer->transmit_next & (peer->to_client_slots - 1)];
	to = slot_memory(peer, slot, &room);
	if ((uint16_t)(peer->transmit_end - peer->transmit_next) > peer->to_client_slots ||
	    to == NULL) {
		link_break(link);
		return false;
	}
	if (room < packet->length)
		return false;
	memcpy(to, packet->data, packet->length);
	__atomic_store_n(&slot->length, packet->length, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->flags, 0, __ATOMIC_RELAXED);
	peer->transmit_next++;
	return true;
}

static void transmit(struct netif *netif, struct packet *packet)
{
	if (!frame_send(link_of(netif), packet))
		counter_add(&netif->transmit_drops, 1);
	release(netif, packet, 1);
}

static void flush(struct netif *netif)
{
	struct memif_peer *peer = atomic_load_explicit(&link_of(netif)->peer, memory_order_acquire);

	if (peer != NULL)
		post(peer);
}

static const struct netif_ops ops = {
    .receive = receive,
    .release = release,
    .allocate = allocate,
    .transmit = transmit,
    .flush = flush,
};

int memif_link_create(struct memif_link *link, uint16_t mtu, const uint8_t mac[6])
{
	link->memory = aligned_alloc(4096, (size_t)MEMIF_BUFFER_COUNT * MEMIF_BUFFER_BYTES);
	if (link->memory == NULL)
		return -ENOMEM;
	/* No page is to be touched for the first time by the worker. */
	memset(link->memory, 0, (size_t)MEMIF_BUFFER_COUNT * MEMIF_BUFFER_BYTES);
	for (uint32_t i = 0; i < MEMIF_BUFFER_COUNT; i++)
		link->free[i] = link->memory + (size_t)i * MEMIF_BUFFER_BYTES;
	link->free_count = MEMIF_BUFFER_COUNT;
	link->netif.ops = &ops;
	link->netif.mtu = mtu;
	memcpy(link->netif.mac, mac, sizeof(link->netif.mac));
	/* For memif_link_detach(). */
	(void)syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
	return 0;
}

void memif_link_destroy(struct memif_link *link)
{
	free(link->memory);
	link->memory = NULL;
}

void memif_link_attach(struct memif_link *link, struct memif_peer *peer)
{
	ASSERT(atomic_load_explicit(&link->peer, memory_order_relaxed) == NULL);
	atomic_store_explicit(&link->broken, false, memory_order_relaxed);
	/* Release: pairs with the worker's acquire; all of the peer is filled in. */
	atomic_store_explicit(&link->peer, peer, memory_order_release);
}

struct memif_peer *memif_link_detach(struct memif_link *link, uint64_t *ret_polls)
{
	struct memif_peer *peer = atomic_load_explicit(&link->peer, memory_order_relaxed);

	atomic_store_explicit(&link->peer, NULL, memory_order_relaxed);
	/* A full barrier on every thread, so that the worker needs none: after it, no receive()
	 * loads the old peer, and one that has done so has shown its count. */
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) < 0)
		usleep(1000);
	*ret_polls = atomic_load_explicit(&link->polls, memory_order_relaxed);
	return peer;
}

bool memif_link_left(struct memif_link *link, uint64_t polls)
{
	/* Acquire: pairs with the release in receive(). */
	return atomic_load_explicit(&link->polls, memory_order_acquire) != polls;
}
