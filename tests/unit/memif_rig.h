/* SPDX-License-Identifier: Apache-2.0 */
/* A memif server with one worker's link, and a client that a test leads through the protocol. */
#pragma once

#include "net/memif.h"

#include "net/memif_protocol.h"
#include "net/netif.h"
#include "unit.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define REGION_BYTES (1u << 20)
#define RING_LOG2    4
#define SLOT_COUNT   (1u << RING_LOG2)
#define TO_CLIENT_AT 4096u
#define BUFFERS_AT   8192u
#define BUFFER_BYTES 2048u
#define TRY_COUNT    400 /* times 5 ms */

struct rig {
	char folder[32];
	char path[64];
	struct memif *memif;
	struct netif *netif;
	int fd;
	int memory;
	uint8_t *region;
	char reason[97]; /* why the server hung up */
};

static inline void rig_folder(struct rig *rig)
{
	*rig = (struct rig){.folder = "/tmp/kante-memif-XXXXXX", .fd = -1, .memory = -1};
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(rig->folder));
	snprintf(rig->path, sizeof(rig->path), "%s/memif.sock", rig->folder);
}

static inline int rig_try_open(struct rig *rig)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	int r = memif_open(&rig->memif, rig->path, 1, 1500, mac);

	if (r == 0)
		rig->netif = memif_netif(rig->memif, 0);
	return r;
}

static inline void rig_open(struct rig *rig)
{
	rig_folder(rig);
	CU_ASSERT_EQUAL_FATAL(rig_try_open(rig), 0);
}

static inline void rig_hang_up(struct rig *rig)
{
	if (rig->fd >= 0)
		close(rig->fd);
	if (rig->memory >= 0)
		close(rig->memory);
	if (rig->region != NULL)
		munmap(rig->region, REGION_BYTES);
	rig->fd = -1;
	rig->memory = -1;
	rig->region = NULL;
}

static inline void rig_close(struct rig *rig)
{
	rig_hang_up(rig);
	memif_close(rig->memif);
	CU_ASSERT_EQUAL(access(rig->path, F_OK), -1);
	rmdir(rig->folder);
}

/* With a descriptor, or -1. */
static inline void say(struct rig *rig, struct memif_message *message, int fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec iovec = {message, sizeof(*message)};
	struct msghdr header = {.msg_iov = &iovec, .msg_iovlen = 1};

	if (fd >= 0) {
		header.msg_control = &control;
		header.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
	}
	(void)sendmsg(rig->fd, &header, MSG_NOSIGNAL);
}

/* The server's next message; 0: it has hung up. */
static inline uint16_t hear(struct rig *rig)
{
	struct memif_message message;
	ssize_t n = recv(rig->fd, &message, sizeof(message), 0);

	if (n != (ssize_t)sizeof(message))
		return 0;
	if (message.type == MEMIF_DISCONNECT)
		memcpy(rig->reason, message.disconnect.reason, sizeof(message.disconnect.reason));
	return message.type;
}

static inline uint16_t ask(struct rig *rig, struct memif_message *message, int fd)
{
	say(rig, message, fd);
	return hear(rig);
}

/* The server's first message. */
static inline uint16_t rig_connect(struct rig *rig)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memcpy(address.sun_path, rig->path, sizeof(rig->path));
	rig->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(connect(rig->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return hear(rig);
}

static inline uint16_t ask_init(struct rig *rig)
{
	return ask(rig,
	           &(struct memif_message){.type = MEMIF_INIT, .init = {.version = MEMIF_VERSION}},
	           -1);
}

static inline uint16_t ask_region(struct rig *rig, uint16_t index)
{
	return ask(
	    rig,
	    &(struct memif_message){.type = MEMIF_ADD_REGION, .add_region = {index, REGION_BYTES}},
	    rig->memory);
}

static inline uint16_t ask_ring(struct rig *rig, struct memif_add_ring add)
{
	return ask(rig, &(struct memif_message){.type = MEMIF_ADD_RING, .add_ring = add}, -1);
}

static inline uint16_t ask_connect(struct rig *rig)
{
	return ask(rig, &(struct memif_message){.type = MEMIF_CONNECT}, -1);
}

static inline struct memif_ring *ring_at(struct rig *rig, uint32_t offset)
{
	return (struct memif_ring *)(rig->region + offset);
}

static const struct memif_add_ring to_server = {.flags = MEMIF_RING_TO_SERVER, .log2 = RING_LOG2};
static const struct memif_add_ring to_client = {.offset = TO_CLIENT_AT, .log2 = RING_LOG2};

static inline void rig_poll(struct rig *rig)
{
	struct packet burst[NETIF_BURST_MAX];
	uint32_t count = rig->netif->ops->receive(rig->netif, burst, NETIF_BURST_MAX);

	rig->netif->ops->release(rig->netif, burst, count);
}

/* Init, region and rings, as far as a test wants; the client's memory is made in any case. */
enum stage {
	STAGE_HELLO,
	STAGE_INIT,
	STAGE_REGION,
	STAGE_RING, /* the one to the server */
	STAGE_RINGS,
	STAGE_ATTACHED,
};

static inline void rig_attach(struct rig *rig, enum stage stage)
{
	rig->memory = memfd_create("memif", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	CU_ASSERT_EQUAL_FATAL(ftruncate(rig->memory, REGION_BYTES), 0);
	CU_ASSERT_EQUAL_FATAL(fcntl(rig->memory, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	rig->region = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, rig->memory, 0);
	for (uint32_t at = 0; at <= TO_CLIENT_AT; at += TO_CLIENT_AT) {
		ring_at(rig, at)->cookie = MEMIF_RING_COOKIE;
		for (uint32_t i = 0; i < SLOT_COUNT; i++) {
			ring_at(rig, at)->slots[i].length = BUFFER_BYTES;
			ring_at(rig, at)->slots[i].offset = BUFFERS_AT + i * BUFFER_BYTES;
		}
	}
	CU_ASSERT_EQUAL_FATAL(rig_connect(rig), MEMIF_HELLO);
	/* while the worker has not left the last client's memory, the place is taken */
	for (int i = 0; stage >= STAGE_INIT && ask_init(rig) != MEMIF_ACK; i++) {
		CU_ASSERT_FATAL(i < TRY_COUNT);
		close(rig->fd);
		rig_poll(rig);
		usleep(5000);
		CU_ASSERT_EQUAL_FATAL(rig_connect(rig), MEMIF_HELLO);
	}
	if (stage >= STAGE_REGION)
		CU_ASSERT_EQUAL_FATAL(ask_region(rig, 0), MEMIF_ACK);
	if (stage >= STAGE_RING)
		CU_ASSERT_EQUAL_FATAL(ask_ring(rig, to_server), MEMIF_ACK);
	if (stage >= STAGE_RINGS)
		CU_ASSERT_EQUAL_FATAL(ask_ring(rig, to_client), MEMIF_ACK);
	if (stage >= STAGE_ATTACHED)
		CU_ASSERT_EQUAL_FATAL(ask_connect(rig), MEMIF_CONNECTED);
}

/* Polls as the worker does, until the server has hung up on the client. */
static inline bool hung_up(struct rig *rig)
{
	struct pollfd readable = {rig->fd, POLLIN, 0};

	for (int i = 0; i < TRY_COUNT; i++) {
		rig_poll(rig);
		if (syscall(SYS_poll, &readable, 1, 5) > 0)
			return hear(rig) != MEMIF_CONNECTED;
	}
	return false;
}
