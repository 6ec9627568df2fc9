/* SPDX-License-Identifier: Apache-2.0 */
/* Layouts of the memif protocol, version 2.0: messages on the Unix socket (SOCK_SEQPACKET, host
 * byte order, 128 bytes each) and rings in the memory that the client shares. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define MEMIF_VERSION           0x0200
#define MEMIF_RING_COOKIE       0x03e31f20u
#define MEMIF_MODE_ETHERNET     0
#define MEMIF_RING_LOG2_MAX     14
#define MEMIF_REGION_MAX        4 /* of one client; net_memif and libmemif use one or two */
#define MEMIF_REGION_BYTES_MAX  (256ull << 20) /* sums of lengths within one stay below 2^32 */
#define MEMIF_RING_TO_SERVER    1 /* flag of add_ring: frames go from client to server */
#define MEMIF_RING_NO_INTERRUPT 1 /* flag of a ring: its consumer polls */
#define MEMIF_SLOT_NEXT         1 /* flag of a slot: the frame goes on in the next */

enum memif_message_type {
	MEMIF_ACK = 1,
	MEMIF_HELLO,
	MEMIF_INIT,
	MEMIF_ADD_REGION,
	MEMIF_ADD_RING,
	MEMIF_CONNECT,
	MEMIF_CONNECTED,
	MEMIF_DISCONNECT,
};

struct memif_hello {
	char name[32];
	uint16_t version_min;
	uint16_t version_max;
	uint16_t region_index_max;
	uint16_t to_client_ring_index_max;
	uint16_t to_server_ring_index_max;
	uint8_t ring_log2_max;
} __attribute__((packed));

struct memif_init {
	uint16_t version;
	uint32_t id;
	uint8_t mode;
	char secret[24];
	char name[32];
} __attribute__((packed));

/* With the file descriptor of the memory. */
struct memif_add_region {
	uint16_t index;
	uint64_t bytes;
} __attribute__((packed));

/* With the file descriptor for interrupts. */
struct memif_add_ring {
	uint16_t flags;
	uint16_t index;
	uint16_t region;
	uint32_t offset;
	uint8_t log2;
	uint16_t private_header_bytes;
} __attribute__((packed));

struct memif_connect {
	char name[32];
} __attribute__((packed));

struct memif_disconnect {
	uint32_t code;
	char reason[96];
} __attribute__((packed));

struct memif_message {
	uint16_t type;
	union {
		struct memif_hello hello;
		struct memif_init init;
		struct memif_add_region add_region;
		struct memif_add_ring add_ring;
		struct memif_connect connect; /* and connected */
		struct memif_disconnect disconnect;
		uint8_t bytes[126];
	};
} __attribute__((packed));

_Static_assert(sizeof(struct memif_message) == 128, "the protocol's");
_Static_assert(offsetof(struct memif_message, hello.ring_log2_max) == 44, "the protocol's");
_Static_assert(offsetof(struct memif_message, init.secret) == 9, "the protocol's");
_Static_assert(offsetof(struct memif_message, add_ring.log2) == 12, "the protocol's");

/* A buffer. On a ring to the client, `length` is the room there is until a frame is in it. */
struct memif_slot {
	uint16_t flags;
	uint16_t region;
	uint32_t length;
	uint32_t offset;
	uint32_t metadata;
};

/* To the server, the client advances head when it has sent, the server tail when it has taken. To
 * the client, the client advances head when it gives room, the server tail when it has sent. */
struct memif_ring {
	uint32_t cookie;
	uint16_t flags;
	uint16_t head __attribute__((aligned(2)));
	uint8_t unused_0[56];
	uint16_t tail;
	uint8_t unused_1[62];
	struct memif_slot slots[];
};

_Static_assert(sizeof(struct memif_slot) == 16, "the protocol's");
_Static_assert(offsetof(struct memif_ring, head) == 6, "the protocol's");
_Static_assert(offsetof(struct memif_ring, tail) == 64, "the protocol's");
_Static_assert(offsetof(struct memif_ring, slots) == 128, "the protocol's");
