/* SPDX-License-Identifier: Apache-2.0 */
/* A memif's three threads at once: its own that serves the socket, a worker that polls, and one
 * that reads the counters. ThreadSanitizer is meant to watch. The client is the test's main thread.
 */
#include "net/memif.h"

#include "net/memif_protocol.h"
#include "unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ROUND_COUNT   100
#define FRAME_COUNT   200 /* a round */
#define SLOT_COUNT    16u /* to the server: few, so that they are soon written again */
#define REPLY_COUNT   64u /* slots to the client */
#define UNDERWAY_MAX  48u /* of them at once, so that the worker gets memory for answers */
#define TO_SERVER_AT  0u
#define TO_CLIENT_AT  4096u
#define BUFFERS_AT    8192u
#define BUFFER_BYTES  2048u
#define REGION_BYTES  (1u << 18)
#define PATIENCE_S    5 /* for anything that the other threads have to do */
#define LENGTH_MIN    60u
#define LENGTH_SPREAD 1455u

struct rig {
	char folder[32];
	char path[64];
	struct memif *memif;
	struct netif *netif; /* the worker's */
	pthread_t worker, control;
	atomic_bool stop;
	bool drops_went_back; /* seen by the keeper: written before it is joined */
	/* The client: */
	int fd;
	uint8_t *region;
	uint32_t long_frames_taken; /* that the worker must have dropped */
};

static bool stopped(struct rig *rig)
{
	/* relaxed: the flag is all there is to see */
	return atomic_load_explicit(&rig->stop, memory_order_relaxed);
}

static uint8_t answer_to(uint8_t byte)
{
	return (uint8_t)(byte + 1);
}

/* Sends a frame back that can be told from what came. */
static void echo(struct netif *netif, const struct packet *packet)
{
	struct packet reply;

	if (!netif->ops->allocate(netif, &reply))
		return;
	for (uint32_t i = 0; i < packet->length; i++)
		reply.data[i] = answer_to(packet->data[i]);
	reply.length = packet->length;
	netif->ops->transmit(netif, &reply);
}

static void *worker_run(void *context)
{
	struct rig *rig = context;
	struct packet burst[NETIF_BURST_MAX];

	while (!stopped(rig)) {
		uint32_t count = rig->netif->ops->receive(rig->netif, burst, NETIF_BURST_MAX);

		for (uint32_t i = 0; i < count; i++)
			echo(rig->netif, &burst[i]);
		rig->netif->ops->release(rig->netif, burst, count);
		rig->netif->ops->flush(rig->netif);
		if (count == 0)
			sched_yield();
	}
	return NULL;
}

static void *control_run(void *context)
{
	struct rig *rig = context;
	uint64_t drops = 0;

	while (!stopped(rig)) {
		uint64_t now = memif_receive_drops(rig->memif);

		if (now < drops)
			rig->drops_went_back = true;
		drops = now;
		(void)memif_is_up(rig->memif);
		sched_yield();
	}
	return NULL;
}

static void rig_open(struct rig *rig)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};

	*rig = (struct rig){.folder = "/tmp/kante-memif-XXXXXX", .fd = -1};
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(rig->folder));
	snprintf(rig->path, sizeof(rig->path), "%s/memif.sock", rig->folder);
	CU_ASSERT_EQUAL_FATAL(memif_open(&rig->memif, rig->path, 1, 1500, mac), 0);
	rig->netif = memif_netif(rig->memif, 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&rig->worker, NULL, worker_run, rig), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&rig->control, NULL, control_run, rig), 0);
}

/* As a client that ends, however: its socket is closed and its memory unmapped. */
static void rig_hang_up(struct rig *rig)
{
	if (rig->fd >= 0)
		close(rig->fd);
	if (rig->region != NULL)
		munmap(rig->region, REGION_BYTES);
	rig->fd = -1;
	rig->region = NULL;
}

/* In kanted's order: the other threads end, then the memif, which may still have a client. */
static void rig_close(struct rig *rig)
{
	atomic_store_explicit(&rig->stop, true, memory_order_relaxed);
	pthread_join(rig->worker, NULL);
	pthread_join(rig->control, NULL);
	CU_ASSERT_FALSE(rig->drops_went_back);
	CU_ASSERT_EQUAL(memif_receive_drops(rig->memif), rig->long_frames_taken);
	memif_close(rig->memif);
	rig_hang_up(rig);
	rmdir(rig->folder);
}

static bool too_late(time_t start_s)
{
	sched_yield();
	return time(NULL) > start_s + PATIENCE_S;
}

static bool say(struct rig *rig, const struct memif_message *message, int fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	struct iovec iovec = {(void *)(uintptr_t)message, sizeof(*message)};
	struct msghdr header = {.msg_iov = &iovec, .msg_iovlen = 1};

	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
		header.msg_control = &control;
		header.msg_controllen = sizeof(control.bytes);
	}
	return sendmsg(rig->fd, &header, MSG_NOSIGNAL) == (ssize_t)sizeof(*message);
}

/* The type of the server's next message; 0: it has hung up, or says nothing. */
static uint16_t hear(struct rig *rig)
{
	struct memif_message message;

	if (recv(rig->fd, &message, sizeof(message), 0) != (ssize_t)sizeof(message))
		return 0;
	return message.type;
}

static bool ask(struct rig *rig, const struct memif_message *message, int fd, uint16_t answer)
{
	return say(rig, message, fd) && hear(rig) == answer;
}

/* The one id may still have the last client's memory: until the worker has left it. */
static bool init(struct rig *rig)
{
	struct memif_message message = {.type = MEMIF_INIT, .init = {.version = MEMIF_VERSION}};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const struct timeval patience = {.tv_sec = PATIENCE_S};
	const time_t start_s = time(NULL);

	memcpy(address.sun_path, rig->path, sizeof(rig->path));
	while (!too_late(start_s)) {
		rig->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		setsockopt(rig->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		if (connect(rig->fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		    hear(rig) == MEMIF_HELLO && ask(rig, &message, -1, MEMIF_ACK))
			return true;
		rig_hang_up(rig);
	}
	return false;
}

static struct memif_ring *ring_at(struct rig *rig, uint32_t offset)
{
	return (struct memif_ring *)(rig->region + offset);
}

static uint16_t tail_of(const struct memif_ring *ring)
{
	/* Acquire: pairs with the server's release, after it is done with the slots. */
	return __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
}

static void post(struct memif_ring *ring, uint16_t head)
{
	/* Release: pairs with the server's acquire, before it looks at the slots. */
	__atomic_store_n(&ring->head, head, __ATOMIC_RELEASE);
}

static bool share_region(struct rig *rig)
{
	struct memif_message message = {.type = MEMIF_ADD_REGION,
	                                .add_region = {.bytes = REGION_BYTES}};
	int memory = memfd_create("memif", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	bool good =
	    ftruncate(memory, REGION_BYTES) == 0 && fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK) == 0;

	rig->region = mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	good = good && rig->region != MAP_FAILED && ask(rig, &message, memory, MEMIF_ACK);
	close(memory);
	return good;
}

static bool share_ring(struct rig *rig, uint32_t at, uint32_t slot_count, uint32_t buffers_at)
{
	struct memif_message message = {.type = MEMIF_ADD_RING};
	struct memif_ring *ring = ring_at(rig, at);

	message.add_ring.flags = at == TO_SERVER_AT ? MEMIF_RING_TO_SERVER : 0;
	message.add_ring.offset = at;
	message.add_ring.log2 = (uint8_t)__builtin_ctz(slot_count);
	ring->cookie = MEMIF_RING_COOKIE;
	for (uint32_t i = 0; i < slot_count; i++)
		ring->slots[i] = (struct memif_slot){.length = BUFFER_BYTES,
		                                     .offset = buffers_at + i * BUFFER_BYTES};
	return ask(rig, &message, -1, MEMIF_ACK);
}

/* A client with memory, both rings, and room in all slots of the one to it. */
static bool rig_connect(struct rig *rig)
{
	struct memif_message message = {.type = MEMIF_CONNECT};

	if (!init(rig) || !share_region(rig) ||
	    !share_ring(rig, TO_SERVER_AT, SLOT_COUNT, BUFFERS_AT) ||
	    !share_ring(rig, TO_CLIENT_AT, REPLY_COUNT, BUFFERS_AT + SLOT_COUNT * BUFFER_BYTES) ||
	    !ask(rig, &message, -1, MEMIF_CONNECTED))
		return false;
	post(ring_at(rig, TO_CLIENT_AT), REPLY_COUNT);
	return memif_is_up(rig->memif);
}

static uint32_t frame_length(uint32_t round, uint32_t frame)
{
	return LENGTH_MIN + (round * 131 + frame * 977) % LENGTH_SPREAD;
}

static uint8_t frame_byte(uint32_t round, uint32_t frame, uint32_t i)
{
	return (uint8_t)(round * 31 + frame * 7 + i);
}

static void frame_put(struct rig *rig, uint16_t head, uint32_t round, uint32_t frame)
{
	struct memif_slot *slot = &ring_at(rig, TO_SERVER_AT)->slots[head % SLOT_COUNT];

	slot->flags = 0;
	slot->length = frame_length(round, frame);
	for (uint32_t i = 0; i < slot->length; i++)
		rig->region[slot->offset + i] = frame_byte(round, frame, i);
}

/* Checks what has come back, and gives the slot's room again. */
static bool frame_take(struct rig *rig, uint16_t tail, uint32_t round, uint32_t frame)
{
	struct memif_slot *slot = &ring_at(rig, TO_CLIENT_AT)->slots[tail % REPLY_COUNT];
	bool good = slot->length == frame_length(round, frame);

	for (uint32_t i = 0; good && i < slot->length; i++)
		good = rig->region[slot->offset + i] == answer_to(frame_byte(round, frame, i));
	slot->length = BUFFER_BYTES;
	return good;
}

/* Two whole slots: more than the server takes. As the first frame of a client. */
static void long_frame_put(struct rig *rig)
{
	ring_at(rig, TO_SERVER_AT)->slots[0].flags = MEMIF_SLOT_NEXT;
	rig->long_frames_taken++;
}

/* Sends a frame too long, and then frames that all have to come back, in order. */
static bool exchange(struct rig *rig, uint32_t round)
{
	struct memif_ring *to_server = ring_at(rig, TO_SERVER_AT);
	struct memif_ring *to_client = ring_at(rig, TO_CLIENT_AT);
	const time_t start_s = time(NULL);
	uint16_t head = 2, taken = 0;
	uint32_t put = 0;

	long_frame_put(rig);
	while (taken < FRAME_COUNT) {
		bool room = (uint16_t)(head - tail_of(to_server)) < SLOT_COUNT;

		if (room && put < FRAME_COUNT && put - taken < UNDERWAY_MAX)
			frame_put(rig, head++, round, put++);
		post(to_server, head);
		if (taken == tail_of(to_client)) {
			if (too_late(start_s))
				return false;
			continue;
		}
		if (!frame_take(rig, taken, round, taken))
			return false;
		taken++;
		post(to_client, (uint16_t)(taken + REPLY_COUNT));
	}
	return true;
}

/* As many frames as there are slots, and none waited for. */
static void flood(struct rig *rig, uint32_t round)
{
	for (uint16_t i = 0; i < SLOT_COUNT; i++)
		frame_put(rig, i, round, i);
	post(ring_at(rig, TO_SERVER_AT), SLOT_COUNT);
}

static void test_frames_come_back_intact_while_clients_come_and_go(void)
{
	struct memif_message good_bye = {.type = MEMIF_DISCONNECT};
	struct rig rig;
	bool good = true;

	rig_open(&rig);
	for (uint32_t round = 0; good && round < ROUND_COUNT; round++) {
		good = rig_connect(&rig) && exchange(&rig, round) &&
		       ask(&rig, &good_bye, -1, MEMIF_DISCONNECT);
		rig_hang_up(&rig);
	}
	CU_ASSERT_TRUE(good);
	rig_close(&rig);
}

static void test_clients_may_die_while_the_worker_is_in_their_memory(void)
{
	struct rig rig;
	bool good = true;

	rig_open(&rig);
	for (uint32_t round = 0; good && round < ROUND_COUNT; round++) {
		good = rig_connect(&rig);
		if (good)
			flood(&rig, round);
		rig_hang_up(&rig);
	}
	good = good && rig_connect(&rig) && exchange(&rig, ROUND_COUNT);
	CU_ASSERT_TRUE(good);
	rig_close(&rig);
}

static void test_a_broken_ring_does_not_harm_the_next_client(void)
{
	struct rig rig;
	bool good = true;

	rig_open(&rig);
	for (uint32_t round = 0; good && round < 20; round++) {
		good = rig_connect(&rig);
		if (good)
			post(ring_at(&rig, TO_SERVER_AT), SLOT_COUNT + 1);
		good = good && hear(&rig) == MEMIF_DISCONNECT;
		rig_hang_up(&rig);
		good = good && rig_connect(&rig) && exchange(&rig, round);
		rig_hang_up(&rig);
	}
	CU_ASSERT_TRUE(good);
	rig_close(&rig);
}

static void test_it_ends_under_a_client_that_sends(void)
{
	for (uint32_t round = 0; round < 20; round++) {
		struct rig rig;
		bool good;

		rig_open(&rig);
		good = rig_connect(&rig);
		if (good)
			flood(&rig, round);
		CU_ASSERT_TRUE(good);
		rig_close(&rig);
	}
}

static const struct unit_case cases[] = {
    {"frames come back intact while clients come and go",
     test_frames_come_back_intact_while_clients_come_and_go},
    {"clients may die while the worker is in their memory",
     test_clients_may_die_while_the_worker_is_in_their_memory},
    {"a broken ring does not harm the next client",
     test_a_broken_ring_does_not_harm_the_next_client},
    {"it ends under a client that sends", test_it_ends_under_a_client_that_sends},
};

int main(void)
{
	return UNIT_RUN("memif_threads", cases);
}
