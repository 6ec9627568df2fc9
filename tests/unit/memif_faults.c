/* SPDX-License-Identifier: Apache-2.0 */
/* The memif server: every way to speak the protocol wrongly, and a kernel that fails. */
#include "net/memif.h"

#include "faults.h"
#include "memif_rig.h"

#include <dirent.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>

#define BUFFER_COUNT 512 /* the server's, a worker */
#define CLIENT_MAX   5   /* one a worker, and four that are connecting */

static _Atomic uint64_t clock_ahead_s;

FAULTY(int, -1, accept4, (int fd, struct sockaddr *address, socklen_t *length, int flags),
       (fd, address, length, flags))
FAULTY(ssize_t, -1, send, (int fd, const void *bytes, size_t length, int flags),
       (fd, bytes, length, flags))
FAULTY(ssize_t, -1, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))
FAULTY(int, -1, poll, (struct pollfd * fds, nfds_t count, int timeout_ms), (fds, count, timeout_ms))
FAULTY(int, -1, socket, (int domain, int type, int protocol), (domain, type, protocol))
FAULTY(int, -1, listen, (int fd, int backlog), (fd, backlog))
FAULTY(int, -1, eventfd, (unsigned start, int flags), (start, flags))
FAULTY(void *, MAP_FAILED, mmap,
       (void *at, size_t length, int protection, int flags, int fd, off_t offset),
       (at, length, protection, flags, fd, offset))
FAULTY(int, EAGAIN, pthread_create,
       (pthread_t * thread, const pthread_attr_t *attributes, void *(*start)(void *),
        void *argument),
       (thread, attributes, start, argument))

/* Time is data: nobody waits five seconds. */
int clock_gettime(clockid_t clock, struct timespec *ret_now)
{
	int r = (int)syscall(SYS_clock_gettime, clock, ret_now);

	ret_now->tv_sec += (time_t)atomic_load(&clock_ahead_s);
	return r;
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

static void test_each_message_that_is_wrong_is_told_why(void)
{
	static const struct {
		enum stage stage;
		struct memif_message message;
		bool with_memory;
		const char *reason;
	} tries[] = {
	    {STAGE_HELLO, {.type = MEMIF_INIT, .init = {.version = 0x0300}}, false, "version 2.0"},
	    {STAGE_HELLO,
	     {.type = MEMIF_INIT, .init = {.version = MEMIF_VERSION, .mode = 1}},
	     false,
	     "Ethernet"},
	    {STAGE_HELLO,
	     {.type = MEMIF_INIT, .init = {.version = MEMIF_VERSION, .id = 1}},
	     false,
	     "this id"},
	    {STAGE_INIT,
	     {.type = MEMIF_INIT, .init = {.version = MEMIF_VERSION}},
	     false,
	     "already"},
	    {STAGE_HELLO, {.type = MEMIF_ADD_REGION, .add_region = {0, 4096}}, true, "out of turn"},
	    {STAGE_ATTACHED,
	     {.type = MEMIF_ADD_REGION, .add_region = {1, 4096}},
	     true,
	     "out of turn"},
	    {STAGE_INIT, {.type = MEMIF_ADD_REGION, .add_region = {1, 4096}}, true, "region index"},
	    {STAGE_INIT,
	     {.type = MEMIF_ADD_REGION, .add_region = {0, 4096}},
	     false,
	     "F_SEAL_SHRINK"},
	    {STAGE_HELLO, {.type = MEMIF_ADD_RING}, false, "out of turn"},
	    {STAGE_ATTACHED, {.type = MEMIF_ADD_RING}, false, "out of turn"},
	    {STAGE_REGION, {.type = MEMIF_ADD_RING, .add_ring = {.index = 1}}, false, "one ring"},
	    {STAGE_RING, {.type = MEMIF_ADD_RING, .add_ring = {.flags = 1}}, false, "one ring"},
	    {STAGE_REGION, {.type = MEMIF_ADD_RING, .add_ring = {.log2 = 15}}, false, "too large"},
	    {STAGE_REGION,
	     {.type = MEMIF_ADD_RING, .add_ring = {.region = 1}},
	     false,
	     "not within"},
	    {STAGE_REGION,
	     {.type = MEMIF_ADD_RING, .add_ring = {.offset = 8}},
	     false,
	     "not within"},
	    {STAGE_REGION,
	     {.type = MEMIF_ADD_RING, .add_ring = {.offset = REGION_BYTES - 128}},
	     false,
	     "not within"},
	    {STAGE_REGION, {.type = MEMIF_CONNECT}, false, "out of turn"},
	    {STAGE_RING, {.type = MEMIF_CONNECT}, false, "out of turn"},
	    {STAGE_ATTACHED, {.type = MEMIF_CONNECT}, false, "out of turn"},
	    {STAGE_INIT, {.type = MEMIF_HELLO}, false, "unexpected"},
	    {STAGE_INIT, {.type = 77}, true, "unexpected"},
	    {STAGE_ATTACHED, {.type = MEMIF_DISCONNECT}, false, "good-bye"},
	};
	struct rig rig;
	int before;

	rig_open(&rig);
	before = open_descriptors();
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		struct memif_message message = tries[i].message;

		rig_attach(&rig, tries[i].stage);
		CU_ASSERT_EQUAL(ask(&rig, &message, tries[i].with_memory ? rig.memory : -1),
		                MEMIF_DISCONNECT);
		CU_ASSERT_PTR_NOT_NULL(strstr(rig.reason, tries[i].reason));
		CU_ASSERT_EQUAL(hear(&rig), 0);
		rig_hang_up(&rig);
	}
	CU_ASSERT_EQUAL(open_descriptors(), before);
	rig_close(&rig);
}

static void test_no_client_has_more_than_four_regions(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_attach(&rig, STAGE_REGION);
	for (uint16_t i = 1; i < MEMIF_REGION_MAX; i++)
		CU_ASSERT_EQUAL(ask_region(&rig, i), MEMIF_ACK);
	CU_ASSERT_EQUAL(ask_region(&rig, MEMIF_REGION_MAX), MEMIF_DISCONNECT);
	CU_ASSERT_STRING_EQUAL(rig.reason, "bad region index");
	rig_close(&rig);
}

static void test_a_ring_has_to_be_one(void)
{
	struct rig rig;

	rig_open(&rig);
	for (uint32_t at = 0; at <= TO_CLIENT_AT; at += TO_CLIENT_AT) {
		rig_attach(&rig, STAGE_RINGS);
		ring_at(&rig, at)->cookie = 0;
		CU_ASSERT_EQUAL(ask_connect(&rig), MEMIF_DISCONNECT);
		CU_ASSERT_STRING_EQUAL(rig.reason, "no ring where one should be");
		rig_hang_up(&rig);
	}
	CU_ASSERT_FALSE(memif_is_up(rig.memif));
	rig_close(&rig);
}

static void test_who_is_slow_to_connect_is_hung_up_on(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_attach(&rig, STAGE_RINGS);
	atomic_store(&clock_ahead_s, 6);
	CU_ASSERT_EQUAL(hear(&rig), MEMIF_DISCONNECT);
	CU_ASSERT_STRING_EQUAL(rig.reason, "too slow");
	rig_hang_up(&rig);
	/* one that is served has all the time there is */
	rig_attach(&rig, STAGE_ATTACHED);
	atomic_store(&clock_ahead_s, 1000);
	CU_ASSERT_EQUAL(ask(&rig, &(struct memif_message){.type = MEMIF_DISCONNECT}, -1),
	                MEMIF_DISCONNECT);
	CU_ASSERT_STRING_EQUAL(rig.reason, "good-bye");
	atomic_store(&clock_ahead_s, 0);
	rig_close(&rig);
}

static void test_only_so_many_may_connect_at_once(void)
{
	struct rig rig;
	int fds[CLIENT_MAX];

	rig_open(&rig);
	for (int i = 0; i < CLIENT_MAX; i++) {
		CU_ASSERT_EQUAL(rig_connect(&rig), MEMIF_HELLO);
		fds[i] = rig.fd;
	}
	CU_ASSERT_EQUAL(rig_connect(&rig), 0);
	close(rig.fd);
	for (int i = 0; i < CLIENT_MAX; i++)
		close(fds[i]);
	rig.fd = -1;
	rig_close(&rig);
}

/* The one that it concerns is lost; the next is served. */
static void test_a_kernel_that_fails_once_costs_one_client(void)
{
	static const struct {
		const char *call;
		enum stage stage; /* that still succeeds */
	} tries[] = {{"send", STAGE_INIT}, {"recvmsg", STAGE_INIT}, {"mmap", STAGE_INIT}};
	struct rig rig;

	rig_open(&rig);
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		rig_attach(&rig, tries[i].stage);
		fault_set(tries[i].call, ENOMEM, 0, 1);
		CU_ASSERT_NOT_EQUAL(ask_region(&rig, 0), MEMIF_ACK);
		CU_ASSERT_TRUE(fault_over());
		rig_hang_up(&rig);
	}
	CU_ASSERT_STRING_EQUAL(rig.reason, "region cannot be mapped");
	fault_set("send", ENOBUFS, 0, 1); /* the hello */
	CU_ASSERT_EQUAL(rig_connect(&rig), 0);
	rig_hang_up(&rig);
	rig_attach(&rig, STAGE_ATTACHED);
	rig_close(&rig);
}

static void test_a_kernel_that_fails_for_a_while_costs_none(void)
{
	struct rig rig;

	rig_open(&rig);
	fault_set("accept4", EMFILE, 0, 3);
	CU_ASSERT_EQUAL(rig_connect(&rig), MEMIF_HELLO);
	CU_ASSERT_TRUE(fault_over());
	rig_hang_up(&rig);
	fault_set("poll", EINTR, 0, 3);
	rig_attach(&rig, STAGE_ATTACHED);
	CU_ASSERT_TRUE(fault_over());
	rig_close(&rig);
}

static void test_what_cannot_be_opened_leaves_nothing(void)
{
	static const struct {
		const char *call;
		int error_number;
	} tries[] = {{"socket", EMFILE},
	             {"listen", EADDRINUSE},
	             {"eventfd", ENFILE},
	             {"pthread_create", EAGAIN}};
	struct rig rig;
	char path[300];
	int before;

	rig_folder(&rig);
	before = open_descriptors();
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		fault_set(tries[i].call, tries[i].error_number, 0, 1);
		CU_ASSERT_EQUAL(rig_try_open(&rig), -tries[i].error_number);
		CU_ASSERT_TRUE(fault_over());
		CU_ASSERT_EQUAL(access(rig.path, F_OK), -1);
		CU_ASSERT_EQUAL(open_descriptors(), before);
	}
	memset(path, 'p', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	CU_ASSERT_EQUAL(memif_open(&rig.memif, path, 1, 1500, (uint8_t[6]){2}), -ENAMETOOLONG);
	/* a file of that name is somebody else's, and stays */
	CU_ASSERT_EQUAL(memif_open(&rig.memif, rig.folder, 1, 1500, (uint8_t[6]){2}), -EADDRINUSE);
	CU_ASSERT_EQUAL(access(rig.folder, F_OK), 0);
	CU_ASSERT_EQUAL(open_descriptors(), before);
	memif_close(NULL);
	rmdir(rig.folder);
}

static void post(struct rig *rig, uint16_t head)
{
	__atomic_store_n(&ring_at(rig, 0)->head, head, __ATOMIC_RELEASE);
}

static void give_room(struct rig *rig, uint16_t head)
{
	__atomic_store_n(&ring_at(rig, TO_CLIENT_AT)->head, head, __ATOMIC_RELEASE);
}

static void test_a_frame_waits_for_its_last_slot(void)
{
	struct packet burst[NETIF_BURST_MAX];
	struct rig rig;

	rig_open(&rig);
	rig_attach(&rig, STAGE_ATTACHED);
	ring_at(&rig, 0)->slots[0].length = 100;
	ring_at(&rig, 0)->slots[0].flags = MEMIF_SLOT_NEXT;
	ring_at(&rig, 0)->slots[1].length = 50;
	post(&rig, 1);
	CU_ASSERT_EQUAL(rig.netif->ops->receive(rig.netif, burst, NETIF_BURST_MAX), 0);
	CU_ASSERT_EQUAL(ring_at(&rig, 0)->tail, 0);
	post(&rig, 2);
	CU_ASSERT_EQUAL_FATAL(rig.netif->ops->receive(rig.netif, burst, NETIF_BURST_MAX), 1);
	CU_ASSERT_EQUAL(burst[0].length, 150);
	CU_ASSERT_EQUAL(ring_at(&rig, 0)->tail, 2);
	rig.netif->ops->release(rig.netif, burst, 1);
	rig_close(&rig);
}

static void test_frames_wait_while_there_are_no_buffers(void)
{
	struct packet held[BUFFER_COUNT], packet;
	struct rig rig;

	rig_open(&rig);
	rig_attach(&rig, STAGE_ATTACHED);
	give_room(&rig, 1);
	for (int i = 0; i < BUFFER_COUNT; i++)
		CU_ASSERT_TRUE(rig.netif->ops->allocate(rig.netif, &held[i]));
	CU_ASSERT_FALSE(rig.netif->ops->allocate(rig.netif, &packet));
	post(&rig, 1);
	CU_ASSERT_EQUAL(rig.netif->ops->receive(rig.netif, &packet, 1), 0);
	rig.netif->ops->release(rig.netif, held, BUFFER_COUNT);
	CU_ASSERT_EQUAL(rig.netif->ops->receive(rig.netif, &packet, 1), 1);
	rig.netif->ops->release(rig.netif, &packet, 1);
	rig_close(&rig);
}

static void test_a_client_with_small_buffers_loses_what_does_not_fit(void)
{
	struct packet packet;
	struct rig rig;

	rig_open(&rig);
	rig_attach(&rig, STAGE_ATTACHED);
	ring_at(&rig, TO_CLIENT_AT)->slots[0].length = 99;
	give_room(&rig, 1);
	CU_ASSERT_TRUE_FATAL(rig.netif->ops->allocate(rig.netif, &packet));
	packet.length = 100;
	rig.netif->ops->transmit(rig.netif, &packet);
	rig.netif->ops->flush(rig.netif);
	CU_ASSERT_EQUAL(counter_read(&rig.netif->transmit_drops), 1);
	CU_ASSERT_EQUAL(ring_at(&rig, TO_CLIENT_AT)->tail, 0);
	CU_ASSERT_TRUE(memif_is_up(rig.memif));
	rig_close(&rig);
}

static void test_without_a_client_what_is_sent_is_dropped(void)
{
	struct packet packet;
	struct rig rig;

	rig_open(&rig);
	CU_ASSERT_TRUE_FATAL(rig.netif->ops->allocate(rig.netif, &packet));
	packet.length = 100;
	rig.netif->ops->transmit(rig.netif, &packet);
	rig.netif->ops->flush(rig.netif);
	CU_ASSERT_EQUAL(counter_read(&rig.netif->transmit_drops), 1);
	rig_close(&rig);
}

/* Rings to the client are checked like those from it. */
static void test_a_broken_ring_to_the_client_ends_it(void)
{
	struct packet packets[2];
	struct rig rig;

	rig_open(&rig);
	for (int broken = 0; broken < 3; broken++) {
		rig_attach(&rig, STAGE_ATTACHED);
		if (broken == 0)
			ring_at(&rig, TO_CLIENT_AT)->slots[0].offset = REGION_BYTES;
		give_room(&rig, broken == 1 ? SLOT_COUNT + 1 : 1);
		CU_ASSERT_TRUE_FATAL(rig.netif->ops->allocate(rig.netif, &packets[0]));
		CU_ASSERT_TRUE_FATAL(rig.netif->ops->allocate(rig.netif, &packets[1]));
		packets[0].length = packets[1].length = 100;
		rig.netif->ops->transmit(rig.netif, &packets[0]);
		/* one more than there is room for is dropped, and nobody's fault */
		rig.netif->ops->transmit(rig.netif, &packets[1]);
		CU_ASSERT(counter_read(&rig.netif->transmit_drops) > 0);
		if (broken < 2)
			CU_ASSERT_TRUE(hung_up(&rig));
		rig_hang_up(&rig);
	}
	rig_close(&rig);
}

static const struct unit_case cases[] = {
    {"each message that is wrong is told why", test_each_message_that_is_wrong_is_told_why},
    {"no client has more than four regions", test_no_client_has_more_than_four_regions},
    {"a ring has to be one", test_a_ring_has_to_be_one},
    {"who is slow to connect is hung up on", test_who_is_slow_to_connect_is_hung_up_on},
    {"only so many may connect at once", test_only_so_many_may_connect_at_once},
    {"a kernel that fails once costs one client", test_a_kernel_that_fails_once_costs_one_client},
    {"a kernel that fails for a while costs none", test_a_kernel_that_fails_for_a_while_costs_none},
    {"what cannot be opened leaves nothing", test_what_cannot_be_opened_leaves_nothing},
    {"a frame waits for its last slot", test_a_frame_waits_for_its_last_slot},
    {"frames wait while there are no buffers", test_frames_wait_while_there_are_no_buffers},
    {"a client with small buffers loses what does not fit",
     test_a_client_with_small_buffers_loses_what_does_not_fit},
    {"without a client what is sent is dropped", test_without_a_client_what_is_sent_is_dropped},
    {"a broken ring to the client ends it", test_a_broken_ring_to_the_client_ends_it},
};

int main(void)
{
	return UNIT_RUN("memif_faults", cases);
}
