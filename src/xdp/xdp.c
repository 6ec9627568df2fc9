/* SPDX-License-Identifier: Apache-2.0 */
#include "xdp/xdp.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* kante.bpf.o, made a linkable object by `ld -r -b binary`. */
extern const uint8_t _binary_kante_bpf_o_start[];
extern const uint8_t _binary_kante_bpf_o_end[];

struct xdp {
	int link_fd; /* holds the program on the interface */
	int listen_fd;
	int counters_fd;
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

static int program_find_maps(struct xdp *xdp, int program_fd)
{
	__u32 ids[8];
	struct bpf_prog_info program = {.map_ids = (__u64)(uintptr_t)ids,
	                                .nr_map_ids = sizeof(ids) / sizeof(ids[0])};
	__u32 length = sizeof(program);
	int r;

	r = bpf_obj_get_info_by_fd(program_fd, &program, &length);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < program.nr_map_ids && i < 8; i++) {
		struct bpf_map_info map = {0};
		int fd = bpf_map_get_fd_by_id(ids[i]);

		if (fd < 0)
			return fd;
		length = sizeof(map);
		r = bpf_obj_get_info_by_fd(fd, &map, &length);
		if (r == 0 && strcmp(map.name, XDP_LISTEN_MAP) == 0 && xdp->listen_fd < 0)
			xdp->listen_fd = fd;
		else if (r == 0 && strcmp(map.name, XDP_COUNTERS_MAP) == 0 && xdp->counters_fd < 0)
			xdp->counters_fd = fd;
		else
			close(fd);
	}
	return xdp->listen_fd >= 0 && xdp->counters_fd >= 0 ? 0 : -ENOENT;
}

/* Puts a link in the place of the driver's attachment. In between frames go to the kernel. */
static int attachment_replace(struct xdp *xdp, unsigned interface_index, int program_fd)
{
	LIBBPF_OPTS(bpf_link_create_opts, options,
	            .flags = xdp->native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);
	int r;

	r = bpf_xdp_detach((int)interface_index, options.flags, NULL);
	if (r < 0)
		return r;
	xdp->link_fd = bpf_link_create(program_fd, (int)interface_index, BPF_XDP, &options);
	return xdp->link_fd < 0 ? xdp->link_fd : 0;
}

int xdp_attach(struct xdp **ret_xdp, unsigned interface_index, char *error)
{
	struct bpf_xdp_query_opts query;
	struct xdp *xdp;
	int program_fd = -1;
	int r;

	xdp = malloc(sizeof(*xdp));
	if (xdp == NULL)
		return -ENOMEM;
	*xdp = (struct xdp){.link_fd = -1, .listen_fd = -1, .counters_fd = -1};
	r = interface_query(interface_index, &query);
	if (r < 0)
		goto fail;
	xdp->native = query.attach_mode == XDP_ATTACHED_DRV;
	program_fd = bpf_prog_get_fd_by_id(query.prog_id);
	r = program_fd;
	if (r < 0)
		goto fail;
	r = program_find_maps(xdp, program_fd);
	if (r < 0)
		goto fail;
	r = attachment_replace(xdp, interface_index, program_fd);
	if (r < 0)
		goto fail;
	close(program_fd);
	*ret_xdp = xdp;
	return 0;
fail:
	snprintf(error, XDP_ERROR_BYTES,
	         "cannot attach the XDP program by a BPF link (Linux 5.9 or newer): %s",
	         strerror(-r));
	if (program_fd >= 0)
		close(program_fd);
	xdp_detach(xdp);
	return r;
}

int xdp_listen(struct xdp *xdp, const uint8_t address[16], uint8_t protocol, uint16_t port)
{
	struct xdp_listen_key key = {.protocol = protocol, .port = htons(port)};
	__u32 value = 0;

	memcpy(key.address, address, sizeof(key.address));
	return bpf_map_update_elem(xdp->listen_fd, &key, &value, BPF_ANY);
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
	if (xdp == NULL)
		return;
	if (xdp->link_fd >= 0)
		close(xdp->link_fd);
	if (xdp->listen_fd >= 0)
		close(xdp->listen_fd);
	if (xdp->counters_fd >= 0)
		close(xdp->counters_fd);
	free(xdp);
}
