/* SPDX-License-Identifier: Apache-2.0 */
/* The memif server against clients that do not mean well. */
#include "net/memif.h"

#include "net/memif_protocol.h"
#include "net/netif.h"
#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define REGION_BYTES (1u << 20)
#define RING_LOG2    4
#define RING_BYTES   (sizeof(struct memif_ring) + (sizeof(struct memif_slot) << RING_LOG2))
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
	uint8_t *region;
};

static void rig_open(struct rig *rig)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};

	*rig = (struct rig){.folder = "/tmp/kante-memif-XXXXXX", .fd = -1};
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(rig->folder));
	snprintf(rig->path, sizeof(rig->path), "%s/memif.sock", rig->folder);
	CU_ASSERT_EQUAL_FATAL(memif_open(&rig->memif, rig->path, 1, 1500, mac), 0);
	rig->netif = memif_netif(rig->memif, 0);
}

static void rig_hang_up(struct rig *rig)
{
	if (rig->fd >= 0)
		close(rig->fd);
	if (rig->region != NULL)
		munmap(rig->region, REGION_BYTES);
	rig->fd = -1;
	rig->region = NULL;
}

static void rig_close(struct rig *rig)
{
	rig_hang_up(rig);
	memif_close(rig->memif);
	CU_ASSERT_EQUAL(access(rig->path, F_OK), -1);
	rmdir(rig->folder);
}

/* Sends `bytes` of a message with `count` copies of a descriptor. */
static void say(struct rig *rig, const struct memif_message *message, size_t bytes, int fd,
                uint32_t count)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(8 * sizeof(int))];
	} control = {0};
	struct iovec iovec = {(void *)(uintptr_t)message, bytes};
	struct msghdr header = {.msg_iov = &iovec, .msg_iovlen = 1};

	if (count > 0) {
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(count * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
		for (uint32_t i = 0; i < count; i++)
			memcpy(CMSG_DATA(&control.header) + i * sizeof(int), &fd, sizeof(int));
	}
	(void)sendmsg(rig->fd, &header, MSG_NOSIGNAL);
}

/* The server's next message; 0: it has hung up. */
static uint16_t hear(struct rig *rig)
{
	struct memif_message message;
	ssize_t n = recv(rig->fd, &message, sizeof(message), 0);

	return n == (ssize_t)sizeof(message) ? message.type : 0;
}

static uint16_t ask(struct rig *rig, const struct memif_message *message, int fd)
{
	say(rig, message, sizeof(*message), fd, fd >= 0);
	return hear(rig);
}

static void rig_connect(struct rig *rig)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	memcpy(address.sun_path, rig->path, sizeof(rig->path));
	rig->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(connect(rig->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	CU_ASSERT_EQUAL_FATAL(hear(rig), MEMIF_HELLO);
}

static uint16_t ask_init(struct rig *rig)
{
	struct memif_message init = {.type = MEMIF_INIT,
	                             .init = {.version = MEMIF_VERSION, .id = 0}};

	return ask(rig, &init, -1);
}

static uint16_t ask_region(struct rig *rig, int memory, uint64_t bytes)
{
	struct memif_message region = {.type = MEMIF_ADD_REGION, .add_region = {.bytes = bytes}};

	return ask(rig, &region, memory);
}

static int memory_open(uint64_t bytes, int seals)
{
	int fd = memfd_create("memif", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	CU_ASSERT_EQUAL_FATAL(ftruncate(fd, (off_t)bytes), 0);
	CU_ASSERT_EQUAL_FATAL(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static struct memif_ring *ring_at(struct rig *rig, uint32_t offset)
{
	return (struct memif_ring *)(rig->region + offset);
}

/* A turn of the worker. */
static void rig_poll(struct rig *rig)
{
	struct packet burst[NETIF_BURST_MAX];
	uint32_t count = rig->netif->ops->receive(rig->netif, burst, NETIF_BURST_MAX);

	rig->netif->ops->release(rig->netif, burst, count);
}

/* A client with a region, both rings and buffers. */
static void rig_attach(struct rig *rig)
{
	int memory = memory_open(REGION_BYTES, F_SEAL_SHRINK);
	struct memif_message connect_message = {.type = MEMIF_CONNECT};

	/* while the worker has not left the last client's memory, the place is taken */
	for (int i = 0; i < TRY_COUNT; i++) {
		rig_connect(rig);
		if (ask_init(rig) == MEMIF_ACK)
			break;
		rig_hang_up(rig);
		rig_poll(rig);
		usleep(5000);
	}
	CU_ASSERT_TRUE_FATAL(rig->fd >= 0);
	rig->region = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	CU_ASSERT_EQUAL_FATAL(ask_region(rig, memory, REGION_BYTES), MEMIF_ACK);
	close(memory);
	for (int to_server = 0; to_server < 2; to_server++) {
		uint32_t at = to_server ? 0 : TO_CLIENT_AT;
		struct memif_message add = {.type = MEMIF_ADD_RING};

		add.add_ring.flags = to_server ? MEMIF_RING_TO_SERVER : 0;
		add.add_ring.offset = at;
		add.add_ring.log2 = RING_LOG2;
		ring_at(rig, at)->cookie = MEMIF_RING_COOKIE;
		for (uint32_t i = 0; i < 1u << RING_LOG2; i++) {
			struct memif_slot *slot = &ring_at(rig, at)->slots[i];

			slot->length = BUFFER_BYTES;
			slot->offset = BUFFERS_AT + (i * 2 + (uint32_t)to_server) * BUFFER_BYTES;
		}
		CU_ASSERT_EQUAL_FATAL(ask(rig, &add, -1), MEMIF_ACK);
	}
	CU_ASSERT_EQUAL_FATAL(ask(rig, &connect_message, -1), MEMIF_CONNECTED);
}

static void post(struct rig *rig, uint16_t head)
{
	__atomic_store_n(&ring_at(rig, 0)->head, head, __ATOMIC_RELEASE);
}

/* Polls as the worker does, until the server has hung up on the client. */
static bool hung_up(struct rig *rig)
{
	struct memif_message message;

	for (int i = 0; i < TRY_COUNT; i++) {
		ssize_t n = recv(rig->fd, &message, sizeof(message), MSG_DONTWAIT);

		rig_poll(rig);
		if (n == 0 || (n > 0 && message.type == MEMIF_DISCONNECT))
			return true;
		usleep(5000);
	}
	return false;
}

static int open_descriptors(void)
{
	DIR *list = opendir("/proc/self/fd");
	int count = 0;

	while (readdir(list) != NULL)
		count++;
	closedir(list);
	return count;
}

static void test_frames_go_both_ways(void)
{
	struct packet burst[NETIF_BURST_MAX], reply;
	struct memif_slot *slot;
	struct rig rig;

	rig_open(&rig);
	rig_attach(&rig);
	slot = &ring_at(&rig, 0)->slots[0];
	memcpy(rig.region + slot->offset, "a frame from the client", 23);
	slot->length = 23;
	post(&rig, 1);
	CU_ASSERT_EQUAL_FATAL(rig.netif->ops->receive(rig.netif, burst, NETIF_BURST_MAX), 1);
	CU_ASSERT_EQUAL(burst[0].length, 23);
	CU_ASSERT_EQUAL(memcmp(burst[0].data, "a frame from the client", 23), 0);
	rig.netif->ops->release(rig.netif, burst, 1);
	__atomic_store_n(&ring_at(&rig, TO_CLIENT_AT)->head, 4, __ATOMIC_RELEASE);
	CU_ASSERT_TRUE_FATAL(rig.netif->ops->allocate(rig.netif, &reply));
	memcpy(reply.data, "and one back", 12);
	reply.length = 12;
	rig.netif->ops->transmit(rig.netif, &reply);
	rig.netif->ops->flush(rig.netif);
	CU_ASSERT_EQUAL(ring_at(&rig, TO_CLIENT_AT)->tail, 1);
	slot = &ring_at(&rig, TO_CLIENT_AT)->slots[0];
	CU_ASSERT_EQUAL(slot->length, 12);
	CU_ASSERT_EQUAL(memcmp(rig.region + slot->offset, "and one back", 12), 0);
	rig_close(&rig);
}

/* Nothing is lost to a client that is slow: the sender has to wait, and knows. */
static void test_a_full_ring_gives_no_frames(void)
{
	struct packet packet;
	struct rig rig;
	int sent = 0;

	rig_open(&rig);
	rig_attach(&rig);
	rig_poll(&rig);
	CU_ASSERT_FALSE(rig.netif->ops->allocate(rig.netif, &packet));
	__atomic_store_n(&ring_at(&rig, TO_CLIENT_AT)->head, 1u << RING_LOG2, __ATOMIC_RELEASE);
	while (sent < 100 && rig.netif->ops->allocate(rig.netif, &packet)) {
		packet.length = 60;
		rig.netif->ops->transmit(rig.netif, &packet);
		sent++;
	}
	CU_ASSERT_EQUAL(sent, 1 << RING_LOG2);
	CU_ASSERT_EQUAL(rig.netif->transmit_drops, 0);
	/* seen although nothing was flushed: else both would wait for each other */
	CU_ASSERT_EQUAL(ring_at(&rig, TO_CLIENT_AT)->tail, sent);
	__atomic_store_n(&ring_at(&rig, TO_CLIENT_AT)->head, 2u << RING_LOG2, __ATOMIC_RELEASE);
	CU_ASSERT_TRUE_FATAL(rig.netif->ops->allocate(rig.netif, &packet));
	rig.netif->ops->release(rig.netif, &packet, 1);
	rig_close(&rig);
}

static void test_broken_rings_are_hung_up_on(void)
{
	static const struct {
		uint32_t offset, length;
		uint16_t region, flags, head;
	} tries[] = {
	    {REGION_BYTES, 64, 0, 0, 1},              /* behind the region */
	    {REGION_BYTES - 10, 64, 0, 0, 1},         /* across its end */
	    {0xffffffff, 0xffffffff, 0, 0, 1},        /* sums that wrap */
	    {BUFFERS_AT, 64, 3, 0, 1},                /* no such region */
	    {BUFFERS_AT, 64, 0, 0, 999},              /* more frames than slots */
	    {BUFFERS_AT, 64, 0, MEMIF_SLOT_NEXT, 16}, /* a frame without end */
	};

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		struct rig rig;

		rig_open(&rig);
		rig_attach(&rig);
		for (uint32_t s = 0; s < 1u << RING_LOG2; s++) {
			struct memif_slot *slot = &ring_at(&rig, 0)->slots[s];

			slot->offset = tries[i].offset;
			slot->length = tries[i].length;
			slot->region = tries[i].region;
			slot->flags = tries[i].flags;
		}
		post(&rig, tries[i].head);
		CU_ASSERT_TRUE(hung_up(&rig));
		rig_close(&rig);
	}
}

static void test_a_frame_of_many_slots_is_not_copied_past_its_buffer(void)
{
	struct packet burst[NETIF_BURST_MAX];
	struct rig rig;

	rig_open(&rig);
	rig_attach(&rig);
	for (uint32_t s = 0; s < 8; s++) { /* 16 KiB in all: passed over, and counted */
		ring_at(&rig, 0)->slots[s].length = BUFFER_BYTES;
		ring_at(&rig, 0)->slots[s].flags = s < 7 ? MEMIF_SLOT_NEXT : 0;
	}
	post(&rig, 8);
	CU_ASSERT_EQUAL(rig.netif->ops->receive(rig.netif, burst, NETIF_BURST_MAX), 0);
	CU_ASSERT_EQUAL(memif_receive_drops(rig.memif), 1);
	CU_ASSERT_EQUAL(ring_at(&rig, 0)->tail, 8);
	rig_close(&rig);
}

static void test_bad_regions_are_refused(void)
{
	/* over 4 GiB, a slot's length added to what came before it would wrap in 32 bits */
	static const struct {
		uint64_t memory_bytes, said_bytes;
		int seals;
	} tries[] = {
	    {REGION_BYTES, REGION_BYTES, 0},
	    {REGION_BYTES, 2 * REGION_BYTES, F_SEAL_SHRINK},
	    {REGION_BYTES, 0, F_SEAL_SHRINK},
	    {(5ull << 30), (5ull << 30), F_SEAL_SHRINK},
	};

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		int memory = memory_open(tries[i].memory_bytes, tries[i].seals);
		struct rig rig;

		rig_open(&rig);
		rig_connect(&rig);
		CU_ASSERT_EQUAL(ask_init(&rig), MEMIF_ACK);
		CU_ASSERT_EQUAL(ask_region(&rig, memory, tries[i].said_bytes), MEMIF_DISCONNECT);
		close(memory);
		rig_close(&rig);
	}
}

static void test_descriptors_that_clients_send_are_not_kept(void)
{
	struct memif_message init = {.type = MEMIF_INIT};
	struct rig rig;
	int before;

	rig_open(&rig);
	before = open_descriptors();
	for (int i = 0; i < 50; i++) {
		rig_connect(&rig);
		/* too short, or too many descriptors for any message */
		if (i % 2 == 0)
			say(&rig, &init, 10, rig.fd, 1);
		else
			say(&rig, &init, sizeof(init), rig.fd, 2 + (uint32_t)i % 6);
		while (hear(&rig) != 0)
			;
		rig_hang_up(&rig);
	}
	CU_ASSERT_EQUAL(open_descriptors(), before);
	rig_close(&rig);
}

static void test_a_client_that_dies_makes_room_for_the_next(void)
{
	struct rig rig;

	rig_open(&rig);
	for (int i = 0; i < 20; i++) {
		rig_attach(&rig);
		post(&rig, 3);
		rig_hang_up(&rig);
	}
	rig_close(&rig);
}

static const struct unit_case cases[] = {
    {"frames go both ways", test_frames_go_both_ways},
    {"a full ring gives no frames", test_a_full_ring_gives_no_frames},
    {"clients with broken rings are hung up on", test_broken_rings_are_hung_up_on},
    {"a frame of many slots is not copied past its buffer",
     test_a_frame_of_many_slots_is_not_copied_past_its_buffer},
    {"bad regions are refused", test_bad_regions_are_refused},
    {"descriptors that clients send are not kept", test_descriptors_that_clients_send_are_not_kept},
    {"a client that dies makes room for the next", test_a_client_that_dies_makes_room_for_the_next},
};

int main(void)
{
	return UNIT_RUN("memif", cases);
}
