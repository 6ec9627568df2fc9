/* SPDX-License-Identifier: Apache-2.0 */
/* The XDP program in the running kernel, given frames one by one (BPF_PROG_TEST_RUN), its maps as
 * kanted has them, and a worker's server beside it, which knows what the reply has to be. */
#pragma once

#include "load/frame.h"
#include "rig.h"
#include "shard/slot.h"
#include "unit.h"
#include "xdp/xdp.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define XDP_RIG_SEED        0x243f6a8885a308d3
#define XDP_RIG_FRAME_BYTES 2048
#define XDP_RIG_LOG_LEVEL   4 /* BPF_LOG_STATS of the kernel's own headers */

struct xdp_rig {
	struct bpf_object *object;
	char log[4096]; /* the verifier's: statistics, and what it complains of */
	int program_fd;
	int counters_fd, listen_fd, allow_fd;
	int socket_fd;
	struct xdp_settings *settings;
	struct xdp_slot *slots;
	struct xdp_hits *hits;
	struct xdp_blocked *blocked;
	struct rig *worker;
	struct frame_path path; /* the client's */
	uint64_t clock_start_ns;
	uint8_t sent[XDP_RIG_FRAME_BYTES]; /* the frame */
	uint32_t sent_bytes;
	uint8_t frame[XDP_RIG_FRAME_BYTES]; /* what became of it */
	uint32_t frame_bytes;
	uint64_t before[XDP_COUNTER_COUNT];
};

static inline int xdp_rig_map(const struct xdp_rig *rig, const char *name)
{
	int fd = bpf_object__find_map_fd_by_name(rig->object, name);

	ASSERT(fd >= 0);
	return fd;
}

static inline void *xdp_rig_mapped(const struct xdp_rig *rig, const char *name, size_t bytes)
{
	void *memory =
	    mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, xdp_rig_map(rig, name), 0);

	ASSERT(memory != MAP_FAILED);
	return memory;
}

static inline void xdp_rig_listen(const struct xdp_rig *rig, const struct ip_address *address,
                                  uint8_t protocol)
{
	struct xdp_listen_key key = {.protocol = protocol, .port = htons(11211)};
	uint32_t broadcast = ip_address_is_ip4(address) ? htonl(0xc0000200 | 255) : 0;

	memcpy(key.address, address, 16);
	ASSERT(bpf_map_update_elem(rig->listen_fd, &key, &broadcast, BPF_ANY) == 0);
}

static inline uint64_t xdp_rig_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The server's second is half over, in the kernel too. */
static inline void xdp_rig_set_clock(struct xdp_rig *rig)
{
	rig->clock_start_ns =
	    xdp_rig_now_ns() - rig->worker->time.now_s * 1000000000ull - 500000000;
}

static inline void xdp_rig_counters(const struct xdp_rig *rig, uint64_t ret[XDP_COUNTER_COUNT])
{
	uint64_t values[1024];

	ASSERT(libbpf_num_possible_cpus() <= 1024);
	for (uint32_t i = 0; i < XDP_COUNTER_COUNT; i++) {
		ret[i] = 0;
		ASSERT(bpf_map_lookup_elem(rig->counters_fd, &i, values) == 0);
		for (int cpu = 0; cpu < libbpf_num_possible_cpus(); cpu++)
			ret[i] += values[cpu];
	}
}

/* Between these two addresses of one family. */
static inline void xdp_rig_path(struct xdp_rig *rig, const char *client, const char *server)
{
	ASSERT(ip_address_parse(&rig->path.local, client) == 0);
	ASSERT(ip_address_parse(&rig->path.remote, server) == 0);
}

/* NULL: there is no right to load programs here. */
static inline struct xdp_rig *xdp_rig_create(void)
{
	struct xdp_rig *rig = calloc(1, sizeof(*rig));
	struct rig_options options = {0};
	struct ip_address address;
	struct bpf_program *program;
	char path[64];
	int fd = xdp_object_open();
	uint32_t zero = 0;
	int r;

	libbpf_set_print(NULL);
	ASSERT(fd >= 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	rig->object = bpf_object__open_file(path, NULL);
	ASSERT(rig->object != NULL);
	close(fd);
	program = bpf_object__find_program_by_name(rig->object, XDP_PROGRAM_NAME);
	bpf_program__set_log_level(program, XDP_RIG_LOG_LEVEL);
	bpf_program__set_log_buf(program, rig->log, sizeof(rig->log));
	r = bpf_object__load(rig->object);
	if (r < 0) {
		fputs(rig->log, stderr);
		ASSERT(r == -EPERM);
		bpf_object__close(rig->object);
		free(rig);
		return NULL;
	}
	rig->program_fd = bpf_program__fd(program);
	rig->counters_fd = xdp_rig_map(rig, XDP_COUNTERS_MAP);
	rig->listen_fd = xdp_rig_map(rig, XDP_LISTEN_MAP);
	rig->allow_fd = xdp_rig_map(rig, XDP_ALLOW_MAP);
	rig->settings = xdp_rig_mapped(rig, XDP_SETTINGS_MAP, sizeof(struct xdp_settings));
	rig->slots = xdp_rig_mapped(rig, XDP_SLOTS_MAP, XDP_SLOT_COUNT * sizeof(struct xdp_slot));
	rig->hits = xdp_rig_mapped(rig, XDP_HITS_MAP, XDP_HITS_COUNT * sizeof(struct xdp_hits));
	rig->blocked = xdp_rig_mapped(rig, XDP_BLOCKED_MAP, sizeof(struct xdp_blocked));
	rig->socket_fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	ASSERT(rig->socket_fd >= 0);
	ASSERT(bpf_map_update_elem(xdp_rig_map(rig, XDP_SOCKETS_MAP), &zero, &rig->socket_fd, 0) ==
	       0);
	rig->path = (struct frame_path){.local_mac = {2, 0, 0, 0, 0, 1},
	                                .remote_mac = {2, 0, 0, 0, 0, 2},
	                                .vlan = FRAME_NO_VLAN};
	*rig->settings = (struct xdp_settings){.hash_seed = XDP_RIG_SEED,
	                                       .mac = {2, 0, 0, 0, 0, 2},
	                                       .allow_any = 1,
	                                       .reply_bytes_max = 1400,
	                                       .amplification_max = 1000};
	ip_address_parse(&address, "192.0.2.2");
	xdp_rig_listen(rig, &address, IPPROTO_TCP);
	xdp_rig_listen(rig, &address, IPPROTO_UDP);
	ip_address_parse(&address, "2001:db8::2");
	xdp_rig_listen(rig, &address, IPPROTO_TCP);
	xdp_rig_listen(rig, &address, IPPROTO_UDP);
	xdp_rig_path(rig, "192.0.2.1", "192.0.2.2");
	rig->worker = rig_create(&options);
	rig->worker->datagrams.options.amplification_max = 1000;
	xdp_rig_set_clock(rig);
	xdp_rig_counters(rig, rig->before);
	return rig;
}

static inline void xdp_rig_destroy(struct xdp_rig *rig)
{
	rig_destroy(rig->worker);
	munmap(rig->settings, sizeof(struct xdp_settings));
	munmap(rig->slots, XDP_SLOT_COUNT * sizeof(struct xdp_slot));
	munmap(rig->hits, XDP_HITS_COUNT * sizeof(struct xdp_hits));
	munmap(rig->blocked, sizeof(struct xdp_blocked));
	close(rig->socket_fd);
	bpf_object__close(rig->object);
	free(rig);
}

/* main() of a test: 77 tells meson that it could not be run. `prepare` may be NULL. */
static inline int xdp_rig_main(struct xdp_rig **ret_rig, void (*prepare)(void), const char *name,
                               const struct unit_case *cases, size_t case_count)
{
	int r;

	*ret_rig = xdp_rig_create();
	if (*ret_rig == NULL) {
		puts("no right to load BPF programs");
		return 77;
	}
	if (prepare != NULL)
		prepare();
	r = unit_run(name, cases, case_count);
	xdp_rig_destroy(*ret_rig);
	return r;
}

/* Stores an item in the server, and shows it to the program. ttl_s 0: it does not expire. */
static inline struct xdp_slot *xdp_rig_store(struct xdp_rig *rig, struct slice key,
                                             struct slice value, uint32_t client_flags,
                                             uint32_t ttl_s)
{
	struct rig_client *client = rig_connect(rig->worker);
	uint64_t hash = slot_hash(XDP_RIG_SEED, key);
	struct xdp_slot *slot = &rig->slots[xdp_slot_number(hash, 0)];
	struct slot_item item = {.key = key,
	                         .value = value,
	                         .client_flags = client_flags,
	                         .expiry_s = ttl_s == 0 ? 0 : rig->worker->time.now_s + ttl_s,
	                         .clock_start_ns = rig->clock_start_ns};
	uint8_t head[64];

	/* by the binary protocol, so that any key may come; its reply has the cas unique */
	memset(head, 0, sizeof(head));
	head[0] = 0x80;
	head[1] = 1;
	store_be16(head + 2, (uint16_t)key.length);
	head[4] = 8;
	store_be32(head + 8, (uint32_t)(8 + key.length + value.length));
	store_be32(head + 24, client_flags);
	store_be32(head + 28, ttl_s);
	rig_send(client, head, 32);
	rig_send(client, key.data, key.length);
	rig_send(client, value.data, value.length);
	ASSERT(client->replies.length == 24 && load_be16(client->replies.data + 6) == 0);
	item.cas_unique = load_be64(client->replies.data + 16);
	rig_disconnect(client);
	/* where another has it, in its other one */
	if (slot->key_bytes != 0 && slot->hash != hash)
		slot = &rig->slots[xdp_slot_number(hash, 1)];
	slot_show(slot, XDP_RIG_SEED, &item);
	return slot;
}

/* Puts a datagram into the frame: the client's UDP header, memcached's, and the body. */
static inline void xdp_rig_write(struct xdp_rig *rig, struct slice payload)
{
	rig->sent_bytes = frame_build_udp(rig->sent, &rig->path, 40000, 11211, payload);
}

/* Gives the frame to the program; what it does with it. */
static inline int xdp_rig_run(struct xdp_rig *rig)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = rig->sent,
	            .data_size_in = rig->sent_bytes, .data_out = rig->frame,
	            .data_size_out = sizeof(rig->frame));

	xdp_rig_counters(rig, rig->before);
	ASSERT(bpf_prog_test_run_opts(rig->program_fd, &options) == 0);
	rig->frame_bytes = options.data_size_out;
	return (int)options.retval;
}

/* What the last run was counted as; XDP_COUNTER_COUNT: as nothing, or as more than one. */
static inline uint32_t xdp_rig_counted(const struct xdp_rig *rig)
{
	uint64_t now[XDP_COUNTER_COUNT];
	uint32_t found = XDP_COUNTER_COUNT;

	xdp_rig_counters(rig, now);
	for (uint32_t i = 0; i < XDP_COUNTER_COUNT; i++) {
		if (now[i] == rig->before[i])
			continue;
		if (found != XDP_COUNTER_COUNT || now[i] != rig->before[i] + 1)
			return XDP_COUNTER_COUNT;
		found = i;
	}
	return found;
}

/* Whether the frame that came back is the reply that the worker would have given to this payload,
 * to whoever has sent it, with the right outside. */
static inline bool xdp_rig_is_answer(struct xdp_rig *rig, struct slice payload)
{
	struct slice wanted = {0};
	struct frame frame;

	rig->worker->datagrams_sent.length = 0;
	rig_send_datagram(rig->worker, payload, false);
	if (rig->worker->datagrams_sent.length >= 2) {
		wanted.length = load_be16(rig->worker->datagrams_sent.data);
		wanted.data = rig->worker->datagrams_sent.data + 2;
	}
	return frame_parse(&frame, rig->frame, rig->frame_bytes) && frame.kind == FRAME_UDP &&
	       frame.checksum_good && frame.vlan == rig->path.vlan &&
	       memcmp(frame.destination_mac, rig->path.local_mac, 6) == 0 &&
	       memcmp(frame.source_mac, rig->path.remote_mac, 6) == 0 &&
	       ip_address_equal(&frame.source, &rig->path.remote) &&
	       ip_address_equal(&frame.destination, &rig->path.local) &&
	       frame.source_port == 11211 && frame.destination_port == 40000 &&
	       slice_equal(frame.payload, wanted) && wanted.length > 0 &&
	       rig->worker->datagrams_sent.length == 2 + wanted.length &&
	       frame.l4.data + frame.l4.length == rig->frame + rig->frame_bytes;
}
