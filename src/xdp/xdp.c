/* SPDX-License-Identifier: Apache-2.0 */
#include "xdp/xdp.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* kante.bpf.o, made a linkable object by `ld -r -b binary`. */
extern const uint8_t _binary_kante_bpf_o_start[];
extern const uint8_t _binary_kante_bpf_o_end[];

struct xdp {
	unsigned interface_index;
	int program_fd;
	int link_fd; /* holds the program on the interface */
	int listen_fd;
	int counters_fd;
	int allow_fd;
	struct xdp_settings *settings; /* these are mapped */
	struct xdp_slot *slots;
	struct xdp_hits *hits;
	struct xdp_blocked *blocked;
	bool native;
};

int xdp_object_open(void)
{
	size_t length = (size_t)(_binary_kante_bpf_o_end - _binary_kante_bpf_o_start);
	int fd = memfd_create("kante.bpf.o", MFD_CLOEXEC);
	ssize_t written;

	if (fd < 0)
		return -errno;
	written = write(fd, _binary_kante_bpf_o_start, length);
	if (written != (ssize_t)length) {
		int r = written < 0 ? -errno : -EIO;

		close(fd);
		return r;
	}
	return fd;
}

/* What is attached: its id (0: nothing) and how. */
static int interface_query(unsigned interface_index, struct bpf_xdp_query_opts *query)
{
	memset(query, 0, sizeof(*query));
	query->sz = sizeof(*query);
	return bpf_xdp_query((int)interface_index, 0, query);
}

int xdp_interface_claim(unsigned interface_index, bool *ret_leftover, char *error)
{
	struct bpf_xdp_query_opts query;
	struct bpf_prog_info info = {0};
	__u32 info_length = sizeof(info);
	int r, fd;

	r = interface_query(interface_index, &query);
	if (r < 0) {
		snprintf(error, XDP_ERROR_BYTES, "cannot ask for its XDP program: %s",
		         strerror(-r));
		return r;
	}
	if (query.attach_mode == XDP_ATTACHED_NONE) {
		*ret_leftover = false;
		return 0;
	}
	fd = bpf_prog_get_fd_by_id(query.prog_id); /* 0 with XDP_ATTACHED_MULTI: nobody's */
	if (fd >= 0) {
		if (bpf_obj_get_info_by_fd(fd, &info, &info_length) < 0)
			info.name[0] = '\0';
		close(fd);
	}
	if (strcmp(info.name, XDP_PROGRAM_NAME) != 0) {
		snprintf(error, XDP_ERROR_BYTES,
		         "another XDP program (\"%s\", id %u) is attached: stop what uses it, or "
		         "take it off with `ip link set dev … xdp off`",
		         info.name, query.prog_id);
		return -EBUSY;
	}
	/* A link, as a living kanted has it, cannot be detached this way. */
	r = bpf_xdp_detach((int)interface_index, 0, NULL);
	if (r < 0) {
		snprintf(error, XDP_ERROR_BYTES,
		         "already taken by another kanted: stop it, or use another interface");
		return -EBUSY;
	}
	*ret_leftover = true;
	return 0;
}

/* What a map of ours is for. */
struct use {
	const char *name;
	int *fd;       /* to be kept open … */
	void **memory; /* … or mapped */
	size_t bytes;
};

/* Takes over the descriptor. */
static int use_map(const struct use *use, int fd)
{
	void *memory;
	int r;

	if (use->fd != NULL) {
		*use->fd = fd;
		return 0;
	}
	memory = mmap(NULL, use->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	r = memory == MAP_FAILED ? -errno : 0;
	close(fd);
	if (r == 0)
		*use->memory = memory;
	return r;
}

static bool is_used(const struct use *use)
{
	return use->fd != NULL ? *use->fd >= 0 : *use->memory != NULL;
}

#define USE_COUNT 7

static void uses_of(struct xdp *xdp, struct use ret_uses[USE_COUNT])
{
	const struct use uses[USE_COUNT] = {
	    {XDP_LISTEN_MAP, .fd = &xdp->listen_fd},
	    {XDP_COUNTERS_MAP, .fd = &xdp->counters_fd},
	    {XDP_ALLOW_MAP, .fd = &xdp->allow_fd},
	    {XDP_SETTINGS_MAP, .memory = (void **)&xdp->settings,
	     .bytes = sizeof(struct xdp_settings)},
	    {XDP_SLOTS_MAP, .memory = (void **)&xdp->slots,
	     .bytes = XDP_SLOT_COUNT * sizeof(struct xdp_slot)},
	    {XDP_HITS_MAP, .memory = (void **)&xdp->hits,
	     .bytes = XDP_HITS_COUNT * sizeof(struct xdp_hits)},
	    {XDP_BLOCKED_MAP, .memory = (void **)&xdp->blocked,
	     .bytes = sizeof(struct xdp_blocked)},
	};

	memcpy(ret_uses, uses, sizeof(uses));
}

/* Whatever comes of it, what is held is xdp_detach()'s to give back. */
static int program_find_maps(struct xdp *xdp)
{
	__u32 ids[32];
	struct bpf_prog_info program = {.map_ids = (__u64)(uintptr_t)ids,
	                                .nr_map_ids = sizeof(ids) / sizeof(ids[0])};
	__u32 length = sizeof(program);
	struct use uses[USE_COUNT];
	int r;

	uses_of(xdp, uses);
	r = bpf_obj_get_info_by_fd(xdp->program_fd, &program, &length);
	for (uint32_t i = 0; r == 0 && i < program.nr_map_ids && i < 32; i++) {
		struct bpf_map_info map = {0};
		int fd = bpf_map_get_fd_by_id(ids[i]);
		uint32_t use = 0;

		if (fd < 0)
			return fd;
		length = sizeof(map);
		r = bpf_obj_get_info_by_fd(fd, &map, &length);
		while (use < USE_COUNT && (r < 0 || strcmp(map.name, uses[use].name) != 0))
			use++;
		if (use < USE_COUNT && !is_used(&uses[use]))
			r = use_map(&uses[use], fd);
		else
			close(fd);
	}
	for (uint32_t i = 0; r == 0 && i < USE_COUNT; i++)
		if (!is_used(&uses[i]))
			r = -ENOENT;
	return r;
}

static int link_create(struct xdp *xdp)
{
	LIBBPF_OPTS(bpf_link_create_opts, options,
	            .flags = xdp->native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);

	xdp->link_fd =
	    bpf_link_create(xdp->program_fd, (int)xdp->interface_index, BPF_XDP, &options);
	return xdp->link_fd < 0 ? xdp->link_fd : 0;
}

/* Puts a link in the place of the driver's attachment. In between frames go to the kernel. */
static int attachment_replace(struct xdp *xdp)
{
	int r = bpf_xdp_detach((int)xdp->interface_index,
	                       xdp->native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE, NULL);

	return r < 0 ? r : link_create(xdp);
}

static bool link_holds(const struct xdp *xdp)
{
	struct bpf_link_info info = {0};
	__u32 length = sizeof(info);

	return xdp->link_fd >= 0 && bpf_obj_get_info_by_fd(xdp->link_fd, &info, &length) == 0 &&
	       info.xdp.ifindex == xdp->interface_index;
}

int xdp_watch(struct xdp *xdp, char *error)
{
	int r;

	if (link_holds(xdp))
		return 0;
	if (xdp->link_fd >= 0)
		close(xdp->link_fd);
	r = link_create(xdp);
	if (r == 0)
		return 1;
	if (r == -EBUSY || r == -EEXIST) {
		snprintf(error, XDP_ERROR_BYTES,
		         "another XDP program is in its place: take that off (`ip link set dev … "
		         "xdp off`)");
		return -EBUSY;
	}
	snprintf(error, XDP_ERROR_BYTES, "%s", strerror(-r));
	return r;
}

int xdp_attach(struct xdp **ret_xdp, unsigned interface_index, char *error)
{
	struct bpf_xdp_query_opts query;
	struct xdp *xdp;
	int r;

	xdp = malloc(sizeof(*xdp));
	if (xdp == NULL)
		return -ENOMEM;
	*xdp = (struct xdp){.interface_index = interface_index,
	                    .program_fd = -1,
	                    .link_fd = -1,
	                    .listen_fd = -1,
	                    .counters_fd = -1,
	                    .allow_fd = -1};
	r = interface_query(interface_index, &query);
	if (r < 0)
		goto fail;
	xdp->native = query.attach_mode == XDP_ATTACHED_DRV;
	xdp->program_fd = bpf_prog_get_fd_by_id(query.prog_id);
	r = xdp->program_fd;
	if (r < 0)
		goto fail;
	r = program_find_maps(xdp);
	if (r < 0)
		goto fail;
	r = attachment_replace(xdp);
	if (r < 0)
		goto fail;
	*ret_xdp = xdp;
	return 0;
fail:
	snprintf(error, XDP_ERROR_BYTES,
	         "cannot attach the XDP program by a BPF link (Linux 5.18 or newer): %s",
	         strerror(-r));
	xdp_detach(xdp);
	return r;
}

int xdp_listen(struct xdp *xdp, const struct ip_prefix *address, uint8_t protocol, uint16_t port)
{
	struct xdp_listen_key key = {.protocol = protocol, .port = htons(port)};
	uint32_t host_bits = 128u - address->length;
	__be32 broadcast = 0;

	memcpy(key.address, address->address.bytes, sizeof(key.address));
	if (ip_address_is_ip4(&address->address) && host_bits >= 2)
		broadcast = htonl(load_be32(address->address.bytes + 12) |
		                  (uint32_t)((1ull << host_bits) - 1));
	return bpf_map_update_elem(xdp->listen_fd, &key, &broadcast, BPF_ANY);
}

_Static_assert(PORT_ALLOW_COUNT_MAX <= XDP_ALLOW_COUNT_MAX, "each network has its place");

int xdp_allow(struct xdp *xdp, const struct ip_prefix *sources)
{
	struct xdp_prefix key = {.length = sources->length};
	__u32 value = 0;

	memcpy(key.address, sources->address.bytes, sizeof(key.address));
	return bpf_map_update_elem(xdp->allow_fd, &key, &value, BPF_ANY);
}

struct xdp_settings *xdp_settings(struct xdp *xdp)
{
	return xdp->settings;
}

struct xdp_slot *xdp_slots(struct xdp *xdp)
{
	return xdp->slots;
}

const struct xdp_hits *xdp_hits(const struct xdp *xdp)
{
	return xdp->hits;
}

uint32_t xdp_hits_count(void)
{
	int processors = libbpf_num_possible_cpus();

	return processors < 1 || processors > XDP_HITS_COUNT ? XDP_HITS_COUNT
	                                                     : (uint32_t)processors;
}

/* What of the filter a range is in; all of it, if that is so much. */
static void filter_add(struct xdp_blocked *list, const struct blocked_range *range)
{
	/* as xdp_blocked_bit() takes addresses together */
	bool is_ip4 = range->first >> 32 == 0xffff && range->last >> 32 == 0xffff;
	uint32_t shift = is_ip4 ? 16 : 96;
	uint64_t first = (uint64_t)(range->first >> shift);
	uint64_t last = (uint64_t)(range->last >> shift);

	if (last - first >= XDP_BLOCKED_FILTER) {
		memset(list->filter, 0xff, sizeof(list->filter));
		return;
	}
	for (uint64_t i = first; i <= last; i++) {
		blocked_address address = (blocked_address)i << shift;
		uint32_t bit = xdp_blocked_bit((uint64_t)(address >> 64), (uint64_t)address);

		list->filter[bit / 8] |= (uint8_t)(1 << bit % 8);
	}
	/* an IPv6 range that IPv4 lies in */
	if (!is_ip4 && first == 0)
		memset(list->filter, 0xff, sizeof(list->filter));
}

_Static_assert(BLOCKED_COUNT_MAX == XDP_BLOCKED_RANGES, "the program has room for the list");

void xdp_block(struct xdp *xdp, const struct blocked *blocked)
{
	xdp_blocked_write(xdp->blocked, blocked);
}

void xdp_blocked_write(struct xdp_blocked *list, const struct blocked *blocked)
{
	_Atomic uint32_t *sequence = (_Atomic uint32_t *)&list->sequence;
	/* relaxed: nobody else writes it */
	uint32_t before = atomic_load_explicit(sequence, memory_order_relaxed);

	/* Relaxed, and the fence: pairs with read_sequence() of the program, as the release does
	 * at the end. */
	atomic_store_explicit(sequence, before + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	list->count = blocked == NULL ? 0 : blocked->count;
	memset(list->filter, 0, sizeof(list->filter));
	for (uint32_t i = 0; i < list->count; i++) {
		const struct blocked_range *range = &blocked->ranges[i];

		list->ranges[i] = (struct xdp_blocked_range){
		    {(uint64_t)(range->first >> 64), (uint64_t)range->first},
		    {(uint64_t)(range->last >> 64), (uint64_t)range->last}};
		filter_add(list, range);
	}
	atomic_store_explicit(sequence, before + 2, memory_order_release);
}

bool xdp_is_native(const struct xdp *xdp)
{
	return xdp->native;
}

void xdp_counters_read(const struct xdp *xdp, uint64_t ret_counters[XDP_COUNTER_COUNT])
{
	int cpu_count = libbpf_num_possible_cpus();
	uint64_t *values = NULL;

	memset(ret_counters, 0, XDP_COUNTER_COUNT * sizeof(ret_counters[0]));
	if (cpu_count > 0)
		values = calloc((size_t)cpu_count, sizeof(values[0]));
	if (values == NULL)
		return;
	for (uint32_t counter = 0; counter < XDP_COUNTER_COUNT; counter++) {
		if (bpf_map_lookup_elem(xdp->counters_fd, &counter, values) < 0)
			continue;
		for (int cpu = 0; cpu < cpu_count; cpu++)
			ret_counters[counter] += values[cpu];
	}
	free(values);
}

void xdp_detach(struct xdp *xdp)
{
	struct use uses[USE_COUNT];

	if (xdp == NULL)
		return;
	if (xdp->link_fd >= 0)
		close(xdp->link_fd);
	if (xdp->program_fd >= 0)
		close(xdp->program_fd);
	uses_of(xdp, uses);
	for (uint32_t i = 0; i < USE_COUNT; i++)
		if (!is_used(&uses[i]))
			continue;
		else if (uses[i].fd != NULL)
			close(*uses[i].fd);
		else
			munmap(*uses[i].memory, uses[i].bytes);
	free(xdp);
}
