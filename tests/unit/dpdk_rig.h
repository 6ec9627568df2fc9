/* SPDX-License-Identifier: Apache-2.0 */
/* A machine and a DPDK as a test wants them. What src/net/dpdk*.c asks of the kernel and of DPDK's
 * devices is answered from here; pools of mbufs, logs and files are the real ones. Every call can
 * be made to fail (faults.h). */
#pragma once

#include "net/dpdk_port.h"

#include "faults.h"
#include "unit.h"

#include <bpf/libbpf.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_log.h>
#include <rte_malloc.h>
#include <rte_mempool.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ADDRESS_MAX   12
#define ARGUMENTS_MAX 48
#define DEVICE        7

/* What the machine has. */
static struct {
	bool is_fake;          /* else the real one is asked: until DPDK runs */
	uint64_t capabilities; /* by number */
	bool has_interface;
	short interface_flags;
	int mtu;
	struct ethtool_channels channels;
	struct ifaddrs addresses[ADDRESS_MAX]; /* linked by machine_address() */
	uint32_t address_count;
	uint32_t program_id; /* of XDP on the interface; 0: none */
	const char *driver;  /* of the PCI device; NULL: there is no device; "": none */
	bool has_iommu;
	const char *hugepages_free; /* of 2 MB, as /sys says it */
	cpu_set_t cpus;
} machine;

/* What the device is, and what was asked of it. */
static struct {
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf;
	uint16_t queue_count;
	uint32_t rx_queues, tx_queues; /* set up */
	bool started;
	bool allmulticast;
	bool closed;
	bool link_up;
	bool iova_pa;
	const void *mapped; /* for the device to read */
	size_t mapped_bytes;
	struct rte_eth_stats stats;
	char vdev[64];
	char vdev_arguments[256];
	char eal_arguments[2048]; /* each after a blank */
	bool eal_runs;
} device;

static inline void rig_reset(void)
{
	fault_clear();
	memset(&machine, 0, sizeof(machine));
	memset(&device, 0, sizeof(device));
	machine.is_fake = true;
	machine.capabilities = ~0ull;
	machine.interface_flags = IFF_UP | IFF_RUNNING;
	machine.mtu = 1500;
	machine.channels = (struct ethtool_channels){.max_combined = 1, .combined_count = 1};
	CPU_ZERO(&machine.cpus);
	for (int cpu = 0; cpu < 4; cpu++)
		CPU_SET(cpu, &machine.cpus);
	device.info = (struct rte_eth_dev_info){
	    .driver_name = "net_test", .max_rx_queues = 4, .max_tx_queues = 4};
}

static inline void machine_address(const char *interface, struct sockaddr *address,
                                   struct sockaddr *mask)
{
	struct ifaddrs *entry = &machine.addresses[machine.address_count];

	CU_ASSERT_FATAL(machine.address_count < ADDRESS_MAX);
	*entry = (struct ifaddrs){
	    .ifa_name = (char *)(uintptr_t)interface, .ifa_addr = address, .ifa_netmask = mask};
	if (machine.address_count++ > 0)
		entry[-1].ifa_next = entry;
}

/* The kernel. */

unsigned if_nametoindex(const char *name)
{
	return machine.has_interface ? 3 : 0;
}

/* capget alone is answered from here. How many arguments there are only the caller knows, so all
 * that there can be are passed on, which a sanitizer would not have. */
__attribute__((no_sanitize_address)) long syscall(long number, ...)
{
	long (*next)(long, ...), values[6];
	va_list arguments;

	va_start(arguments, number);
	for (int i = 0; i < 6; i++)
		values[i] = va_arg(arguments, long);
	va_end(arguments);
	if (machine.is_fake && number == SYS_capget) {
		struct __user_cap_data_struct *sets = (void *)(uintptr_t)values[1];

		if (fault_hits("capget"))
			return -1;
		sets[0].effective = (uint32_t)machine.capabilities;
		sets[1].effective = (uint32_t)(machine.capabilities >> 32);
		return 0;
	}
	*(void **)&next = dlsym(RTLD_NEXT, "syscall");
	return next(number, values[0], values[1], values[2], values[3], values[4], values[5]);
}

static inline int machine_ioctl(unsigned long request, struct ifreq *ifreq)
{
	switch (request) {
	case SIOCGIFFLAGS: ifreq->ifr_flags = machine.interface_flags; return 0;
	case SIOCGIFMTU:
		if (fault_hits("SIOCGIFMTU"))
			return -1;
		ifreq->ifr_mtu = machine.mtu;
		return 0;
	case SIOCETHTOOL:
		if (fault_hits("SIOCETHTOOL"))
			return -1;
		memcpy(ifreq->ifr_data, &machine.channels, sizeof(machine.channels));
		return 0;
	default: return 0;
	}
}

int ioctl(int fd, unsigned long request, ...)
{
	int (*next)(int, unsigned long, void *);
	va_list arguments;
	void *argument;

	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	if (fault_hits("ioctl"))
		return -1;
	if (request == SIOCGIFFLAGS || request == SIOCGIFMTU || request == SIOCETHTOOL ||
	    request == SIOCSIFTXQLEN)
		return machine_ioctl(request, argument);
	*(void **)&next = dlsym(RTLD_NEXT, "ioctl");
	return next(fd, request, argument);
}

/* Packet sockets: to make one, a test would need privileges. */

int socket(int family, int type, int protocol)
{
	int (*next)(int, int, int);

	if (fault_hits("socket"))
		return -1;
	if (family == AF_PACKET)
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	*(void **)&next = dlsym(RTLD_NEXT, "socket");
	return next(family, type, protocol);
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t bytes)
{
	int (*next)(int, int, int, const void *, socklen_t);

	if (level == SOL_PACKET)
		return fault_hits("setsockopt") ? -1 : 0;
	*(void **)&next = dlsym(RTLD_NEXT, "setsockopt");
	return next(fd, level, option, value, bytes);
}

int bind(int fd, const struct sockaddr *address, socklen_t bytes)
{
	int (*next)(int, const struct sockaddr *, socklen_t);

	if (address->sa_family == AF_PACKET)
		return fault_hits("bind") ? -1 : 0;
	*(void **)&next = dlsym(RTLD_NEXT, "bind");
	return next(fd, address, bytes);
}

int getifaddrs(struct ifaddrs **ret_list)
{
	if (fault_hits("getifaddrs"))
		return -1;
	*ret_list = machine.address_count > 0 ? machine.addresses : NULL;
	return 0;
}

void freeifaddrs(struct ifaddrs *list)
{
}

int bpf_xdp_query(int index, int flags, struct bpf_xdp_query_opts *query)
{
	if (fault_hits("bpf_xdp_query"))
		return -fault.error_number;
	query->prog_id = machine.program_id;
	query->attach_mode = machine.program_id == 0 ? XDP_ATTACHED_NONE : XDP_ATTACHED_DRV;
	return 0;
}

int sched_getaffinity(pid_t pid, size_t bytes, cpu_set_t *ret_cpus)
{
	int (*next)(pid_t, size_t, cpu_set_t *);

	if (!machine.is_fake) {
		*(void **)&next = dlsym(RTLD_NEXT, "sched_getaffinity");
		return next(pid, bytes, ret_cpus);
	}
	memset(ret_cpus, 0, bytes);
	memcpy(ret_cpus, &machine.cpus,
	       bytes < sizeof(machine.cpus) ? bytes : sizeof(machine.cpus));
	return 0;
}

static inline bool is_pci_path(const char *path)
{
	return strncmp(path, "/sys/bus/pci/devices/", 21) == 0;
}

int access(const char *path, int mode)
{
	int (*next)(const char *, int);

	if (fault_hits("access"))
		return -1;
	if (is_pci_path(path))
		return machine.driver == NULL ? -1 : 0;
	*(void **)&next = dlsym(RTLD_NEXT, "access");
	return next(path, mode);
}

ssize_t readlink(const char *path, char *ret_target, size_t bytes)
{
	ssize_t (*next)(const char *, char *, size_t);
	const char *last = strrchr(path, '/');

	if (is_pci_path(path) && strcmp(last, "/driver") == 0)
		return machine.driver[0] == '\0'
		           ? -1
		           : snprintf(ret_target, bytes, "../../bus/pci/drivers/%s",
		                      machine.driver);
	if (is_pci_path(path) && strcmp(last, "/iommu_group") == 0)
		return machine.has_iommu ? snprintf(ret_target, bytes, "../../iommu_groups/12")
		                         : -1;
	*(void **)&next = dlsym(RTLD_NEXT, "readlink");
	return next(path, ret_target, bytes);
}

int open(const char *path, int flags, ...)
{
	int (*next)(const char *, int, mode_t);
	bool is_group = strncmp(path, "/dev/vfio/", 10) == 0;
	mode_t mode = 0;
	va_list arguments;

	if (is_group && fault_hits("open of the group"))
		return -1;
	if (flags & (O_CREAT | O_TMPFILE)) {
		va_start(arguments, flags);
		mode = va_arg(arguments, mode_t);
		va_end(arguments);
	}
	*(void **)&next = dlsym(RTLD_NEXT, "open");
	return next(is_group ? "/dev/null" : path, flags, mode);
}

FILE *fopen(const char *path, const char *mode)
{
	FILE *(*next)(const char *, const char *);

	if (fault_hits("fopen"))
		return NULL;
	if (machine.hugepages_free != NULL &&
	    strcmp(path, "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages") == 0)
		return fmemopen((void *)(uintptr_t)machine.hugepages_free,
		                strlen(machine.hugepages_free), "r");
	*(void **)&next = dlsym(RTLD_NEXT, "fopen");
	return next(path, mode);
}

/* DPDK's devices. A call that fails leaves its complaint in the log. */

static inline int device_call(const char *call)
{
	if (!fault_hits(call))
		return 0;
	rte_log(RTE_LOG_ERR, RTE_LOGTYPE_USER1, "%s: no luck\n\n", call);
	rte_log(RTE_LOG_ERR, RTE_LOGTYPE_USER1, "and more\n");
	rte_errno = fault.error_number;
	return -fault.error_number;
}

#define DEVICE_CALL(call, parameters, done)                                                        \
	int call parameters                                                                        \
	{                                                                                          \
		int r = device_call(#call);                                                        \
                                                                                                   \
		if (r < 0)                                                                         \
			return r;                                                                  \
		done;                                                                              \
		return 0;                                                                          \
	}

DEVICE_CALL(rte_eal_hotplug_add, (const char *bus, const char *name, const char *arguments),
            (snprintf(device.vdev, sizeof(device.vdev), "%s", name),
             snprintf(device.vdev_arguments, sizeof(device.vdev_arguments), "%s", arguments)))
DEVICE_CALL(rte_eth_dev_get_port_by_name, (const char *name, uint16_t *ret_port),
            *ret_port = DEVICE)
DEVICE_CALL(rte_eth_dev_info_get, (uint16_t port, struct rte_eth_dev_info *ret_info),
            *ret_info = device.info)
DEVICE_CALL(rte_eth_dev_configure,
            (uint16_t port, uint16_t rx_count, uint16_t tx_count, const struct rte_eth_conf *conf),
            (device.conf = *conf, device.queue_count = rx_count))
DEVICE_CALL(rte_eth_dev_adjust_nb_rx_tx_desc, (uint16_t port, uint16_t *rx, uint16_t *tx), (void)0)
DEVICE_CALL(rte_eth_macaddr_get, (uint16_t port, struct rte_ether_addr *ret_mac),
            *ret_mac = ((struct rte_ether_addr){{2, 0, 0, 0, 0, 7}}))
DEVICE_CALL(rte_eth_rx_queue_setup,
            (uint16_t port, uint16_t queue, uint16_t descriptors, unsigned node,
             const struct rte_eth_rxconf *conf, struct rte_mempool *pool),
            device.rx_queues++)
DEVICE_CALL(rte_eth_tx_queue_setup,
            (uint16_t port, uint16_t queue, uint16_t descriptors, unsigned node,
             const struct rte_eth_txconf *conf),
            device.tx_queues++)
DEVICE_CALL(rte_eth_dev_start, (uint16_t port), device.started = true)
DEVICE_CALL(rte_eth_dev_stop, (uint16_t port), device.started = false)
DEVICE_CALL(rte_eth_dev_close, (uint16_t port), device.closed = true)
DEVICE_CALL(rte_eth_allmulticast_enable, (uint16_t port), device.allmulticast = true)
DEVICE_CALL(rte_dev_dma_map,
            (struct rte_device * bus_device, void *base, uint64_t iova, size_t bytes),
            (device.mapped = iova == (uintptr_t)base ? base : NULL, device.mapped_bytes = bytes))
DEVICE_CALL(rte_extmem_register,
            (void *base, size_t bytes, rte_iova_t *addresses, unsigned count, size_t page_bytes),
            (void)0)
DEVICE_CALL(rte_eth_dev_socket_id, (uint16_t port), (void)0)
DEVICE_CALL(rte_eth_link_get_nowait, (uint16_t port, struct rte_eth_link *ret_link),
            ret_link->link_status = device.link_up ? RTE_ETH_LINK_UP : RTE_ETH_LINK_DOWN)
DEVICE_CALL(rte_eth_stats_get, (uint16_t port, struct rte_eth_stats *ret_stats),
            *ret_stats = device.stats)

enum rte_iova_mode rte_eal_iova_mode(void)
{
	return device.iova_pa ? RTE_IOVA_PA : RTE_IOVA_VA;
}

/* The environment itself runs once, for the pools: see rig_main(). */
int rte_eal_init(int count, char **arguments)
{
	bool fails = device_call("rte_eal_init") < 0 || fault_hits("rte_eal_init without a reason");
	size_t used = 0;

	if (fails)
		return -1;
	for (int i = 0; i < count && used < sizeof(device.eal_arguments); i++)
		used += (size_t)snprintf(device.eal_arguments + used,
		                         sizeof(device.eal_arguments) - used, " %s", arguments[i]);
	device.eal_runs = true;
	return 0;
}

int rte_eal_cleanup(void)
{
	device.eal_runs = false;
	return 0;
}

FAULTY(void *, NULL, rte_zmalloc_socket,
       (const char *type, size_t bytes, unsigned alignment, int node),
       (type, bytes, alignment, node))
FAULTY(struct rte_mempool *, NULL, rte_mempool_create_empty,
       (const char *name, unsigned count, unsigned bytes, unsigned cache_count,
        unsigned private_bytes, int node, unsigned flags),
       (name, count, bytes, cache_count, private_bytes, node, flags))
FAULTY(int, -ENOMEM, rte_mempool_populate_default, (struct rte_mempool * pool), (pool))

static inline int rig_main(int (*run)(void))
{
	char prefix[40];
	const char *arguments[] = {"unit",         "--no-huge",
	                           "-m",           "128",
	                           "--no-pci",     "--no-shconf",
	                           "--lcores=0@0", "--no-telemetry",
	                           prefix,         "--log-level=lib.eal:1"};
	int count = sizeof(arguments) / sizeof(arguments[0]);
	int (*init)(int, char **);
	int (*cleanup)(void);
	int r;

	snprintf(prefix, sizeof(prefix), "--file-prefix=unit-%d", getpid());
	*(void **)&init = dlsym(RTLD_NEXT, "rte_eal_init");
	*(void **)&cleanup = dlsym(RTLD_NEXT, "rte_eal_cleanup");
	if (init(count, (char **)(uintptr_t)arguments) < 0) {
		fprintf(stderr, "DPDK cannot start\n");
		return 2;
	}
	dpdk_runtime_directory_remove();
	r = run();
	cleanup();
	return r;
}
