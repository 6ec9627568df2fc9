/* SPDX-License-Identifier: Apache-2.0 */
#include "net/memif.h"

#include "base/assert.h"
#include "net/memif_link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* Clients that are connecting, besides those that have a link. */
#define CLIENT_SPARE_COUNT 4
#define ACCEPT_PAUSE_NS    100000000 /* without a descriptor to be had */
#define CONNECT_TIMEOUT_US 5000000
#define TICK_MS            20
#define DESCRIPTOR_MAX     (CMSG_SPACE(sizeof(int)) / sizeof(int)) /* with one message */
#define NO_LINK            UINT32_MAX

/* One on the other end of the socket. */
struct client {
	int fd; /* -1: this struct is free */
	uint32_t link_index;
	struct memif_peer *peer;
	bool attached;        /* the link has the peer */
	uint64_t deadline_us; /* until it has to be attached */
};

struct link_slot {
	struct memif_link link;
	bool taken;
	/* A peer whose client is gone, until the worker has left it. */
	struct memif_peer *leaving;
	uint64_t leaving_polls;
} __attribute__((aligned(64)));

struct memif {
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int listen_fd;
	int stop_fd; /* readable: the thread has to end */
	bool thread_runs;
	pthread_t thread;
	uint32_t client_count;
	struct client *clients;
	struct pollfd *polls; /* the stop, the listener, then the clients */
	uint32_t link_count;
	struct link_slot *links;
	atomic_uint attached_count; /* written by the thread */
};

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void peer_destroy(struct memif_peer *peer)
{
	if (peer == NULL)
		return;
	for (uint32_t i = 0; i < peer->region_count; i++)
		munmap(peer->regions[i].base, peer->regions[i].bytes);
	free(peer);
}

static bool message_send(int fd, struct memif_message *message)
{
	return send(fd, message, sizeof(*message), MSG_DONTWAIT | MSG_NOSIGNAL) ==
	       (ssize_t)sizeof(*message);
}

static void client_close(struct memif *memif, struct client *client)
{
	struct link_slot *slot;

	close(client->fd);
	client->fd = -1;
	if (client->link_index == NO_LINK) {
		peer_destroy(client->peer);
		return;
	}
	slot = &memif->links[client->link_index];
	if (client->attached) {
		slot->leaving = memif_link_detach(&slot->link, &slot->leaving_polls);
		atomic_fetch_sub_explicit(&memif->attached_count, 1, memory_order_relaxed);
	} else {
		peer_destroy(client->peer);
		slot->taken = false;
	}
}

/* Unmaps what the worker no longer uses. True: there is some that it may still use. */
static bool links_clear(struct memif *memif)
{
	bool more = false;

	for (uint32_t i = 0; i < memif->link_count; i++) {
		struct link_slot *slot = &memif->links[i];

		if (slot->leaving == NULL)
			continue;
		if (!memif_link_left(&slot->link, slot->leaving_polls)) {
			more = true;
			continue;
		}
		peer_destroy(slot->leaving);
		slot->leaving = NULL;
		slot->taken = false;
	}
	return more;
}

static void client_refuse(struct memif *memif, struct client *client, const char *reason)
{
	struct memif_message message = {.type = MEMIF_DISCONNECT};

	snprintf(message.disconnect.reason, sizeof(message.disconnect.reason), "%s", reason);
	(void)message_send(client->fd, &message);
	client_close(memif, client);
}

static void client_accept(struct memif *memif)
{
	struct memif_message hello = {.type = MEMIF_HELLO};
	int fd = accept4(memif->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *client = NULL;

	if (fd < 0) {
		/* the client goes on waiting, so poll() would return at once again and again */
		if (errno == EMFILE || errno == ENFILE)
			nanosleep(&(struct timespec){.tv_nsec = ACCEPT_PAUSE_NS}, NULL);
		return;
	}
	for (uint32_t i = 0; i < memif->client_count && client == NULL; i++)
		if (memif->clients[i].fd < 0)
			client = &memif->clients[i];
	if (client == NULL) {
		close(fd);
		return;
	}
	*client = (struct client){.fd = fd,
	                          .link_index = NO_LINK,
	                          .deadline_us = now_us() + CONNECT_TIMEOUT_US,
	                          .peer = calloc(1, sizeof(*client->peer))};
	snprintf(hello.hello.name, sizeof(hello.hello.name), "kanted");
	hello.hello.version_min = MEMIF_VERSION;
	hello.hello.version_max = MEMIF_VERSION;
	hello.hello.region_index_max = MEMIF_REGION_MAX - 1;
	hello.hello.ring_log2_max = MEMIF_RING_LOG2_MAX;
	if (client->peer == NULL || !message_send(fd, &hello))
		client_close(memif, client);
}

/* These take a message and return why it is refused, or NULL. */

static const char *take_init(struct memif *memif, struct client *client,
                             const struct memif_init *init)
{
	if (client->link_index != NO_LINK)
		return "init was there already";
	if (init->version != MEMIF_VERSION)
		return "version 2.0 is spoken here";
	if (init->mode != MEMIF_MODE_ETHERNET)
		return "only Ethernet is spoken here";
	if (init->id >= memif->link_count)
		return "no worker has this id";
	if (memif->links[init->id].taken)
		return "the id has a client already";
	client->link_index = init->id;
	memif->links[init->id].taken = true;
	return NULL;
}

/* Only memory that cannot shrink: reading behind its end would end the process. */
static const char *take_region(struct client *client, const struct memif_add_region *region, int fd)
{
	struct memif_peer *peer = client->peer;
	struct stat status;
	int seals;
	void *base;

	if (client->link_index == NO_LINK || client->attached)
		return "region out of turn";
	if (region->index != peer->region_count || region->index >= MEMIF_REGION_MAX)
		return "bad region index";
	seals = fd < 0 ? -1 : fcntl(fd, F_GET_SEALS);
	if (seals < 0 || !(seals & F_SEAL_SHRINK))
		return "region is no memory with F_SEAL_SHRINK (zero-copy is not supported)";
	if (region->bytes > MEMIF_REGION_BYTES_MAX)
		return "region is larger than 256 MiB";
	if (fstat(fd, &status) < 0 || region->bytes == 0 ||
	    region->bytes > (uint64_t)status.st_size)
		return "region is larger than its memory";
	base = mmap(NULL, region->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (base == MAP_FAILED)
		return "region cannot be mapped";
	peer->regions[peer->region_count++] = (struct memif_region){base, region->bytes};
	return NULL;
}

static const char *take_ring(struct client *client, const struct memif_add_ring *add)
{
	bool to_server = add->flags & MEMIF_RING_TO_SERVER;
	struct memif_peer *peer = client->peer;
	struct memif_ring **ring = to_server ? &peer->to_server : &peer->to_client;
	uint64_t bytes;

	if (client->link_index == NO_LINK || client->attached)
		return "ring out of turn";
	if (add->index != 0 || *ring != NULL)
		return "one ring each way: connect to more ids for more";
	if (add->log2 > MEMIF_RING_LOG2_MAX)
		return "ring too large";
	bytes = sizeof(struct memif_ring) + (sizeof(struct memif_slot) << add->log2);
	if (add->region >= peer->region_count || add->offset % sizeof(struct memif_slot) != 0 ||
	    add->offset + bytes > peer->regions[add->region].bytes)
		return "ring is not within a region";
	*ring = (struct memif_ring *)(peer->regions[add->region].base + add->offset);
	if (to_server)
		peer->to_server_slots = (uint16_t)(1u << add->log2);
	else
		peer->to_client_slots = (uint16_t)(1u << add->log2);
	return NULL;
}

static const char *take_connect(struct memif *memif, struct client *client)
{
	struct memif_peer *peer = client->peer;

	if (client->attached || peer->to_server == NULL || peer->to_client == NULL)
		return "connect out of turn";
	if (__atomic_load_n(&peer->to_server->cookie, __ATOMIC_RELAXED) != MEMIF_RING_COOKIE ||
	    __atomic_load_n(&peer->to_client->cookie, __ATOMIC_RELAXED) != MEMIF_RING_COOKIE)
		return "no ring where one should be";
	__atomic_store_n(&peer->to_server->flags, MEMIF_RING_NO_INTERRUPT, __ATOMIC_RELAXED);
	__atomic_store_n(&peer->to_server->head, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&peer->to_server->tail, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&peer->to_client->head, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&peer->to_client->tail, 0, __ATOMIC_RELAXED);
	memif_link_attach(&memif->links[client->link_index].link, peer);
	client->attached = true;
	atomic_fetch_add_explicit(&memif->attached_count, 1, memory_order_relaxed);
	return NULL;
}

/* The one descriptor that may come with a message, or -1. Whatever else was sent is closed: what is
 * not wanted must not be kept. */
static int descriptor_take(struct msghdr *header)
{
	struct cmsghdr *part = CMSG_FIRSTHDR(header);
	size_t count = 0;
	int fds[DESCRIPTOR_MAX];

	if (part == NULL || part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
		return -1;
	count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	ASSERT(count <= DESCRIPTOR_MAX);
	memcpy(fds, CMSG_DATA(part), count * sizeof(int));
	if (count == 1)
		return fds[0];
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
	return -1;
}

/* False: there was no whole one, and the client is gone or might as well be. */
static bool message_receive(int fd, struct memif_message *ret_message, int *ret_fd)
{
	/* room for as many as the alignment makes of one; the kernel closes what is over that */
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iovec = {ret_message, sizeof(*ret_message)};
	struct msghdr header = {.msg_iov = &iovec,
	                        .msg_iovlen = 1,
	                        .msg_control = &control,
	                        .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int taken = n < 0 ? -1 : descriptor_take(&header);

	if (n == (ssize_t)sizeof(*ret_message)) {
		*ret_fd = taken;
		return true;
	}
	if (taken >= 0)
		close(taken);
	return false;
}

static void client_serve(struct memif *memif, struct client *client)
{
	struct memif_message message;
	struct memif_message reply = {.type = MEMIF_ACK};
	const char *refusal = NULL;
	int fd;

	if (!message_receive(client->fd, &message, &fd)) {
		client_close(memif, client);
		return;
	}
	switch (message.type) {
	case MEMIF_INIT: refusal = take_init(memif, client, &message.init); break;
	case MEMIF_ADD_REGION: refusal = take_region(client, &message.add_region, fd); break;
	case MEMIF_ADD_RING: refusal = take_ring(client, &message.add_ring); break;
	case MEMIF_CONNECT:
		refusal = take_connect(memif, client);
		reply.type = MEMIF_CONNECTED;
		snprintf(reply.connect.name, sizeof(reply.connect.name), "worker%u",
		         client->link_index);
		break;
	case MEMIF_DISCONNECT: refusal = "good-bye"; break;
	default: refusal = "unexpected message"; break;
	}
	/* Memory stays mapped without it; interrupts are never sent. */
	if (fd >= 0)
		close(fd);
	if (refusal != NULL)
		client_refuse(memif, client, refusal);
	else if (!message_send(client->fd, &reply))
		client_close(memif, client);
}

static void client_check(struct memif *memif, struct client *client, uint64_t now)
{
	if (client->attached) {
		if (atomic_load_explicit(&memif->links[client->link_index].link.broken,
		                         memory_order_relaxed))
			client_refuse(memif, client, "broken ring");
	} else if (now > client->deadline_us) {
		client_refuse(memif, client, "too slow");
	}
}

static void *serve(void *argument)
{
	struct memif *memif = argument;
	bool busy = false;

	for (;;) {
		uint64_t now;

		for (uint32_t i = 0; i < memif->client_count; i++) {
			memif->polls[2 + i] = (struct pollfd){memif->clients[i].fd, POLLIN, 0};
			busy = busy || memif->clients[i].fd >= 0;
		}
		if (poll(memif->polls, 2 + memif->client_count, busy ? TICK_MS : -1) < 0)
			continue;
		if (memif->polls[0].revents != 0)
			return NULL;
		now = now_us();
		for (uint32_t i = 0; i < memif->client_count; i++) {
			struct client *client = &memif->clients[i];

			if (client->fd >= 0 && memif->polls[2 + i].revents != 0)
				client_serve(memif, client);
			if (client->fd >= 0)
				client_check(memif, client, now);
		}
		if (memif->polls[1].revents != 0)
			client_accept(memif);
		busy = links_clear(memif);
	}
}

static int listener_open(struct memif *memif, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	mode_t mask;
	int r;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	memif->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (memif->listen_fd < 0)
		return -errno;
	mask = umask(0117); /* for our user and group */
	r = bind(memif->listen_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	umask(mask);
	if (r < 0)
		return r;
	memcpy(memif->path, path, strlen(path) + 1);
	return listen(memif->listen_fd, (int)memif->client_count) < 0 ? -errno : 0;
}

/* With all signals blocked: they are the keeper's. */
static int thread_start(struct memif *memif)
{
	sigset_t all, saved;
	int r;

	memif->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (memif->stop_fd < 0)
		return -errno;
	memif->polls[0] = (struct pollfd){memif->stop_fd, POLLIN, 0};
	memif->polls[1] = (struct pollfd){memif->listen_fd, POLLIN, 0};
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &saved);
	r = -pthread_create(&memif->thread, NULL, serve, memif);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	if (r < 0)
		return r;
	(void)pthread_setname_np(memif->thread, "kante-memif");
	memif->thread_runs = true;
	return 0;
}

int memif_open(struct memif **ret_memif, const char *path, uint32_t link_count, uint16_t mtu,
               const uint8_t mac[6])
{
	struct memif *memif;
	int r = -ENOMEM;

	memif = calloc(1, sizeof(*memif));
	if (memif == NULL)
		return -ENOMEM;
	memif->listen_fd = -1;
	memif->stop_fd = -1;
	memif->client_count = link_count + CLIENT_SPARE_COUNT;
	memif->clients = calloc(memif->client_count, sizeof(memif->clients[0]));
	memif->polls = calloc(2 + memif->client_count, sizeof(memif->polls[0]));
	memif->links = aligned_alloc(64, link_count * sizeof(memif->links[0]));
	if (memif->clients == NULL || memif->polls == NULL || memif->links == NULL)
		goto fail;
	for (uint32_t i = 0; i < memif->client_count; i++)
		memif->clients[i].fd = -1;
	memset(memif->links, 0, link_count * sizeof(memif->links[0]));
	for (; memif->link_count < link_count; memif->link_count++) {
		r = memif_link_create(&memif->links[memif->link_count].link, mtu, mac);
		if (r < 0)
			goto fail;
	}
	r = listener_open(memif, path);
	if (r < 0)
		goto fail;
	r = thread_start(memif);
	if (r < 0)
		goto fail;
	*ret_memif = memif;
	return 0;
fail:
	memif_close(memif);
	return r;
}

struct netif *memif_netif(struct memif *memif, uint32_t link_index)
{
	ASSERT(link_index < memif->link_count);
	return &memif->links[link_index].link.netif;
}

bool memif_is_up(struct memif *memif)
{
	return atomic_load_explicit(&memif->attached_count, memory_order_relaxed) > 0;
}

uint64_t memif_receive_drops(struct memif *memif)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < memif->link_count; i++)
		sum += counter_read(&memif->links[i].link.receive_drops);
	return sum;
}

void memif_close(struct memif *memif)
{
	if (memif == NULL)
		return;
	if (memif->thread_runs) {
		const uint64_t one = 1;
		ssize_t written = write(memif->stop_fd, &one, sizeof(one));

		ASSERT(written == (ssize_t)sizeof(one));
		pthread_join(memif->thread, NULL);
		for (uint32_t i = 0; i < memif->client_count; i++)
			if (memif->clients[i].fd >= 0)
				client_refuse(memif, &memif->clients[i], "kanted stops");
	}
	for (uint32_t i = 0; i < memif->link_count; i++) {
		peer_destroy(memif->links[i].leaving);
		memif_link_destroy(&memif->links[i].link);
	}
	if (memif->listen_fd >= 0)
		close(memif->listen_fd);
	if (memif->path[0] != '\0')
		(void)unlink(memif->path);
	if (memif->stop_fd >= 0)
		close(memif->stop_fd);
	free(memif->links);
	free(memif->polls);
	free(memif->clients);
	free(memif);
}
