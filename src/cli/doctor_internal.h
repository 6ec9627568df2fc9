/* SPDX-License-Identifier: Apache-2.0 */
/* What the checks of `kante doctor` share. Nobody else includes this but their tests. */
#pragma once

#include "cli/doctor.h"

#include <linux/capability.h>
#include <sched.h>
#include <sys/types.h>

#define DOCTOR_PATH_BYTES 4096
#define DOCTOR_SIZE_BYTES 24
#define DOCTOR_LIST_BYTES 256
#define DOCTOR_PAGE_BYTES (2 * CONFIG_MIB) /* the hugepages that kanted takes */

#define DOCTOR_LINUX(major, minor) ((uint32_t)(major) << 16 | (uint32_t)(minor))

/* What a config asks of the memory, in bytes. */
struct doctor_need {
	uint64_t items;   /* exactly */
	uint64_t common;  /* connections and what waits to be sent: about, and never too little */
	uint64_t packets; /* DPDK's, likewise; 0: no port needs it */
};

/* One look at a host. */
struct doctor {
	const struct doctor_host *host;
	const struct config *config; /* NULL: none */
	const struct doctor_options *options;
	struct doctor_report *report;
	const char *check; /* that is run */
	/* Known before the first check: */
	uint32_t linux_version; /* DOCTOR_LINUX(); 0: unknown */
	uint64_t capabilities;  /* of this process */
	uint32_t user;
	cpu_set_t allowed;     /* cores; empty: unknown */
	uint32_t worker_count; /* whose cores are known */
	uint16_t workers[CONFIG_WORKER_COUNT_MAX];
	cpu_set_t worker_cores;
	pid_t kanted;                   /* 0: none runs */
	uint64_t kanted_hugepage_bytes; /* of all that run */
	uint64_t kanted_resident_bytes;
	struct doctor_need need;
};

/* doctor_facts.c */
void doctor_gather(struct doctor *doctor);
static inline bool doctor_may(const struct doctor *doctor, unsigned capability)
{
	return doctor->capabilities >> capability & 1;
}
bool doctor_has_kind(const struct doctor *doctor, enum port_kind kind);
bool doctor_has_device(const struct doctor *doctor); /* any port that is not of kernel sockets */

/* doctor.c: adds a finding of the check that is run. `about` may be NULL. */
struct doctor_finding *doctor_say(struct doctor *doctor, enum doctor_level level, const char *about,
                                  const char *format, ...) __attribute__((format(printf, 4, 5)));
void doctor_advise(struct doctor_finding *finding, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "port xdp eth1" */
void doctor_about_port(char ret_about[DOCTOR_ABOUT_BYTES], const struct port_options *port);

/* doctor_files.c: files below the root, whose names are made by a format. */

/* A name below the root: never cut, as then it is the name of nothing. */
void doctor_path(const struct doctor *doctor, char ret_path[DOCTOR_PATH_BYTES], const char *format,
                 ...) __attribute__((format(printf, 3, 4)));
bool doctor_exists(const struct doctor *doctor, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The first line, without its end. 0, or a negative errno, and then the text is "". */
int doctor_read(const struct doctor *doctor, char *ret_text, size_t text_bytes, const char *format,
                ...) __attribute__((format(printf, 4, 5)));
/* A whole number. -EINVAL: it is none. */
int doctor_read_number(const struct doctor *doctor, uint64_t *ret_number, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "MemFree:   123 kB": what follows the name, in bytes. -ENOENT: there is no such line. */
int doctor_read_field(const struct doctor *doctor, uint64_t *ret_bytes, const char *name,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The last part of where a symbolic link leads, or "". */
void doctor_read_link(const struct doctor *doctor, char *ret_name, size_t name_bytes,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Line by line, until `take` returns false. 0, or a negative errno. */
int doctor_read_lines(const struct doctor *doctor, const char *path,
                      bool (*take)(void *context, char *line), void *context);
/* Every entry of a directory but those that begin with a dot, until `take` returns false. */
int doctor_read_directory(const struct doctor *doctor, const char *path,
                          bool (*take)(void *context, const char *name), void *context);
/* For fixes. 0, or a negative errno. */
int doctor_write(const struct doctor *doctor, const char *text, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "172 MiB" */
void doctor_format_size(char ret_text[DOCTOR_SIZE_BYTES], uint64_t bytes);
/* "0-3,6", as the kernel writes lists of cores. False: it is none, and nothing was written. */
bool doctor_parse_cores(cpu_set_t *ret_cores, const char *text);
/* Such a list of a file. 0, or a negative errno, and then there are none. */
int doctor_read_cores(const struct doctor *doctor, cpu_set_t *ret_cores, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void doctor_format_cores(char ret_text[DOCTOR_LIST_BYTES], const cpu_set_t *cores);
/* Why a fix could not write: "… (Permission denied): run it as root". Returns r. */
int doctor_fix_failed(char *text, size_t text_bytes, int r, const char *what);

/* doctor_mounts.c */
struct doctor_mount {
	char point[DOCTOR_PATH_BYTES];
	char root[DOCTOR_PATH_BYTES]; /* of the file system, that is at `point` */
	char type[32];
};
/* Where the path lies, though it may not be there yet. 0, or a negative errno. */
int doctor_mount_of(const struct doctor *doctor, struct doctor_mount *ret_mount, const char *path);
/* One of a type, and with an option if that is not NULL. -ENODATA: there is none. */
int doctor_mount_with(const struct doctor *doctor, struct doctor_mount *ret_mount, const char *type,
                      const char *option);
/* The least of what the files of this name say in this process's cgroup and all above it, by
 * `parse`. UINT64_MAX: no limit. */
uint64_t doctor_cgroup_limit(const struct doctor *doctor, const char *controller,
                             uint64_t (*parse)(const struct doctor *doctor, const char *directory,
                                               bool is_version_2));

/* doctor_hugepages.c: whether there are enough for all that the config would have in them. */
bool doctor_hugepages_suffice(const struct doctor *doctor);

/* doctor_routes.c: whether without this interface the default route or an SSH session were lost,
 * or one that goes through a bridge or bond above it. `ret_why`: "carries the default route". */
bool doctor_is_lifeline(const struct doctor *doctor, const char *interface,
                        char ret_why[DOCTOR_ABOUT_BYTES]);

/* doctor_sockets.c: who has it, "memcached (pid 12)". */
void doctor_describe_holder(const struct doctor *doctor, uint64_t inode,
                            char ret_holder[DOCTOR_ABOUT_BYTES], bool *ret_is_kanted);

/* doctor_pci.c: whether DPDK gives this device physical addresses, so that it needs hugepages. */
bool doctor_pci_is_physical(const struct doctor *doctor, const struct port_options *port);

/* doctor_interface.c: the driver of an interface, or ""; the other end of a veth, if it is in this
 * namespace; and every xdp port whose interface is there. */
bool doctor_veth_peer(const struct doctor *doctor, const char *interface, char ret_peer[IFNAMSIZ]);
void doctor_each_interface(struct doctor *doctor,
                           void (*check)(struct doctor *doctor, const char *about,
                                         const struct port_options *port));
void doctor_driver_of(const struct doctor *doctor, const char *interface, char *ret_driver,
                      size_t driver_bytes);

/* The checks, by file. */
void doctor_check_kernel(struct doctor *doctor); /* doctor_system.c */
void doctor_check_capabilities(struct doctor *doctor);
void doctor_check_clock(struct doctor *doctor);
void doctor_check_clock_source(struct doctor *doctor);
void doctor_check_auth_file(struct doctor *doctor);
void doctor_check_memory_lock(struct doctor *doctor); /* doctor_limits.c */
void doctor_check_files(struct doctor *doctor);
void doctor_check_core_files(struct doctor *doctor);
void doctor_check_somaxconn(struct doctor *doctor);
void doctor_check_hugepages(struct doctor *doctor); /* doctor_hugepages.c */
void doctor_check_nodes(struct doctor *doctor);
void doctor_check_hugetlbfs(struct doctor *doctor);
void doctor_check_free_memory(struct doctor *doctor); /* doctor_memory.c */
void doctor_check_huge_by_itself(struct doctor *doctor);
void doctor_check_swap(struct doctor *doctor);
void doctor_check_overcommit(struct doctor *doctor);
void doctor_check_memory_limit(struct doctor *doctor);
void doctor_check_memory_file(struct doctor *doctor);
void doctor_check_cores(struct doctor *doctor); /* doctor_cpu.c */
void doctor_check_isolation(struct doctor *doctor);
void doctor_check_siblings(struct doctor *doctor);
void doctor_check_caches(struct doctor *doctor);
void doctor_check_governor(struct doctor *doctor);
void doctor_check_quota(struct doctor *doctor);
void doctor_check_vfio(struct doctor *doctor); /* doctor_pci.c */
void doctor_check_devices(struct doctor *doctor);
void doctor_check_iommu(struct doctor *doctor);
void doctor_check_interfaces(struct doctor *doctor); /* doctor_interface.c */
void doctor_check_link(struct doctor *doctor);
void doctor_check_mtu(struct doctor *doctor);
void doctor_check_addresses(struct doctor *doctor);
void doctor_check_queues(struct doctor *doctor); /* doctor_queues.c */
void doctor_check_native(struct doctor *doctor);
void doctor_check_interrupts(struct doctor *doctor);
void doctor_check_program(struct doctor *doctor);
void doctor_check_taken(struct doctor *doctor); /* doctor_sockets.c */
void doctor_check_paths(struct doctor *doctor);
void doctor_check_tap(struct doctor *doctor);
