/* SPDX-License-Identifier: Apache-2.0 */
#include "net/dpdk_port.h"
#include "net/socket_path.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define TAP_QUEUE_COUNT_MAX 16   /* net_tap's */
#define XDP_MTU_MAX         3498 /* bytes; a frame and all heads before it fit one page */
#define MTU_DEFAULT         1500

/* What kvargs, DPDK's syntax of device arguments, gives a meaning to. */
#define KVARGS_SPECIAL ",=[]\"' \t"

int dpdk_port_error(const struct dpdk_port *port, char *error, int r, const char *format, ...)
{
	va_list arguments;
	int used;

	used = snprintf(error, DPDK_ERROR_BYTES,
	                "port %s %s: ", port_kind_name(port->options->kind), port->options->name);
	if (used < 0 || used >= DPDK_ERROR_BYTES)
		return r;
	va_start(arguments, format);
	vsnprintf(error + used, (size_t)(DPDK_ERROR_BYTES - used), format, arguments);
	va_end(arguments);
	return r;
}

static bool has_capability(unsigned capability)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {0};

	if (syscall(SYS_capget, &header, sets) < 0)
		return false;
	return sets[capability / 32].effective >> (capability % 32) & 1;
}

int dpdk_interface_ioctl(const char *name, unsigned long request, struct ifreq *ifreq)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r = 0;

	if (fd < 0)
		return -errno;
	memcpy(ifreq->ifr_name, name, strnlen(name, IFNAMSIZ - 1) + 1);
	ifreq->ifr_name[IFNAMSIZ - 1] = '\0';
	if (ioctl(fd, request, ifreq) < 0)
		r = -errno;
	close(fd);
	return r;
}

static int check_tap(struct dpdk_port *port, char *error)
{
	const char *name = port->options->name;

	if (strlen(name) >= IFNAMSIZ)
		return dpdk_port_error(port, error, -EINVAL,
		                       "an interface's name has at most %d bytes: choose a shorter "
		                       "one",
		                       IFNAMSIZ - 1);
	if (!has_capability(CAP_NET_ADMIN))
		return dpdk_port_error(port, error, -EPERM,
		                       "needs CAP_NET_ADMIN: start kanted as root");
	if (access("/dev/net/tun", R_OK | W_OK) < 0)
		return dpdk_port_error(
		    port, error, -errno,
		    "needs /dev/net/tun (%s): load the module `tun`, or give the "
		    "container that device",
		    strerror(errno));
	if (if_nametoindex(name) != 0)
		return dpdk_port_error(port, error, -EEXIST,
		                       "an interface of that name exists: stop the kanted that has "
		                       "it, or choose another name");
	port->queue_count = RTE_MIN(port->queue_count, (uint32_t)TAP_QUEUE_COUNT_MAX);
	return 0;
}

/* 0, or a negative errno, and `error` says why. */
static int ask_channels(const struct dpdk_port *port, struct ethtool_channels *ret_channels,
                        char *error)
{
	struct ifreq ifreq = {.ifr_data = (char *)ret_channels};
	int r;

	*ret_channels = (struct ethtool_channels){.cmd = ETHTOOL_GCHANNELS};
	r = dpdk_interface_ioctl(port->options->name, SIOCETHTOOL, &ifreq);
	if (r < 0 && r != -EOPNOTSUPP)
		return dpdk_port_error(port, error, r, "cannot ask for its queues: %s",
		                       strerror(-r));
	if (r < 0) /* as is so where there is nothing to ask */
		*ret_channels = (struct ethtool_channels){.rx_count = 1, .tx_count = 1};
	return 0;
}

/* Every queue needs a worker: what arrives on others would go to the kernel, which refuses it. The
 * other way round, some workers have none. */
static int check_xdp_queues(struct dpdk_port *port, char *error)
{
	const char *name = port->options->name;
	struct ethtool_channels channels;
	uint32_t queues = 1;
	int r;

	r = ask_channels(port, &channels, error);
	if (r < 0)
		return r;
	if (channels.max_combined > 0)
		queues = channels.combined_count + channels.rx_count;
	else if (channels.rx_count > 1)
		return dpdk_port_error(
		    port, error, -ENOTSUP,
		    "has %u receive queues that are apart from the transmit "
		    "queues, of which one can be used: `ethtool -L %s rx 1 tx 1`",
		    channels.rx_count, name);
	if (queues > port->queue_count)
		return dpdk_port_error(
		    port, error, -EINVAL,
		    "needs more workers: %u workers, but the device has %u receive "
		    "queues: use more workers, or `ethtool -L %s combined %u`",
		    port->queue_count, queues, name, port->queue_count);
	port->queue_count = queues;
	return 0;
}

/* virtio_net, if it may have more queues than it has, gives itself one more a processor for XDP to
 * send on, and its device puts received frames on these as well. */
int dpdk_port_check_queues_added(const struct dpdk_port *port, char *error)
{
	struct ethtool_channels channels;
	int r = ask_channels(port, &channels, error);

	if (r < 0 || channels.combined_count + channels.rx_count <= port->queue_count)
		return r;
	return dpdk_port_error(
	    port, error, -ENOTSUP,
	    "its driver has added queues for XDP, and frames come by all %u, but "
	    "workers are there for %u: give the device no more queues than there "
	    "are workers (QEMU: queues=), or use all that it has (`ethtool -L %s "
	    "combined %u`, and so many workers)",
	    channels.combined_count + channels.rx_count, port->queue_count, port->options->name,
	    channels.max_combined);
}

static void fill_addresses(struct port_options *options)
{
	struct ifaddrs *list, *entry;

	options->address_count = 0;
	if (getifaddrs(&list) < 0)
		return;
	for (entry = list; entry != NULL; entry = entry->ifa_next) {
		struct ip_prefix *prefix = &options->addresses[options->address_count];
		const uint8_t *mask;

		if (entry->ifa_addr == NULL || entry->ifa_netmask == NULL ||
		    strcmp(entry->ifa_name, options->name) != 0)
			continue;
		if (options->address_count == PORT_ADDRESS_COUNT_MAX)
			break;
		if (entry->ifa_addr->sa_family == AF_INET) {
			prefix->address = ip_address_from_ip4(
			    (const uint8_t *)&((struct sockaddr_in *)entry->ifa_addr)->sin_addr);
			mask =
			    (const uint8_t *)&((struct sockaddr_in *)entry->ifa_netmask)->sin_addr;
			prefix->length = 96 + __builtin_popcount(load_be32(mask));
		} else if (entry->ifa_addr->sa_family == AF_INET6) {
			prefix->address = ip_address_from_ip6(
			    ((struct sockaddr_in6 *)entry->ifa_addr)->sin6_addr.s6_addr);
			mask = ((struct sockaddr_in6 *)entry->ifa_netmask)->sin6_addr.s6_addr;
			prefix->length = 0;
			for (int i = 0; i < 16; i++)
				prefix->length += __builtin_popcount(mask[i]);
		} else {
			continue;
		}
		options->address_count++;
	}
	freeifaddrs(list);
}

static int check_xdp(struct dpdk_port *port, char *error)
{
	const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	const char *name = port->options->name;
	char reason[XDP_ERROR_BYTES];
	struct ifreq ifreq = {0};
	int r;

	port->interface_index = if_nametoindex(name);
	if (port->interface_index == 0 || strlen(name) >= IFNAMSIZ)
		return dpdk_port_error(port, error, -ENODEV,
		                       "no such interface: check `interface:` in the config");
	if (!has_capability(CAP_NET_ADMIN) || !has_capability(CAP_NET_RAW) ||
	    !(has_capability(CAP_BPF) || has_capability(CAP_SYS_ADMIN)))
		return dpdk_port_error(port, error, -EPERM,
		                       "needs CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF: start kanted "
		                       "as root");
	r = dpdk_interface_ioctl(name, SIOCGIFFLAGS, &ifreq);
	if (r == 0 && !(ifreq.ifr_flags & IFF_UP))
		return dpdk_port_error(port, error, -ENETDOWN,
		                       "the interface is down: `ip link set dev %s up`", name);
	r = dpdk_interface_ioctl(name, SIOCGIFMTU, &ifreq);
	if (r < 0)
		return dpdk_port_error(port, error, r, "cannot ask for its MTU: %s", strerror(-r));
	if (ifreq.ifr_mtu > XDP_MTU_MAX)
		return dpdk_port_error(port, error, -EINVAL,
		                       "its MTU of %d is too large: `ip link set dev %s mtu %d`",
		                       ifreq.ifr_mtu, name, XDP_MTU_MAX);
	port->mtu = (uint16_t)ifreq.ifr_mtu;
	r = check_xdp_queues(port, error);
	if (r < 0)
		return r;
	fill_addresses(port->options);
	if (port->options->address_count == 0)
		return dpdk_port_error(port, error, -EADDRNOTAVAIL,
		                       "the interface has no address: `ip address add … dev %s`",
		                       name);
	r = xdp_interface_claim(port->interface_index, &port->leftover_program, reason);
	if (r < 0)
		return dpdk_port_error(port, error, r, "%s", reason);
	/* Kernels before 5.11 count socket memory here. If it cannot be had, the socket says so. */
	(void)setrlimit(RLIMIT_MEMLOCK, &unlimited);
	return 0;
}

/* A socket file without a listener is what a killed kanted leaves. */
static int check_memif(struct dpdk_port *port, char *error)
{
	char reason[DPDK_ERROR_BYTES / 2];
	int r = socket_path_free(port->options->name, SOCK_SEQPACKET, reason, sizeof(reason));

	return r < 0 ? dpdk_port_error(port, error, r, "%s", reason) : 0;
}

/* The last part of where a symbolic link points to, or "". */
static void link_name(const char *path, char *ret_name, size_t name_bytes)
{
	char target[PATH_MAX];
	ssize_t length = readlink(path, target, sizeof(target) - 1);
	const char *slash;

	ret_name[0] = '\0';
	if (length < 0)
		return;
	target[length] = '\0';
	slash = strrchr(target, '/');
	if (slash != NULL && strlen(slash + 1) < name_bytes)
		memcpy(ret_name, slash + 1, strlen(slash + 1) + 1);
}

/* DPDK drives a device through one of these, or (Mellanox) beside its kernel driver. A device of
 * any other driver is the kernel's, and must not be pulled away under it. */
static bool pci_driver_will_do(const char *driver)
{
	static const char *const drivers[] = {"vfio-pci", "uio_pci_generic", "igb_uio", "mlx5_core",
	                                      "mlx4_core"};

	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
		if (strcmp(driver, drivers[i]) == 0)
			return true;
	return false;
}

/* An IOMMU group goes to one process at a time. What else may be wrong with it DPDK will say. */
static int check_vfio_group(const struct dpdk_port *port, const char *group, char *error)
{
	char path[80];
	int fd;

	snprintf(path, sizeof(path), "/dev/vfio/%s", group);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	else if (errno == EBUSY)
		return dpdk_port_error(port, error, -EBUSY,
		                       "another process has it (%s): `fuser -v %s` says which",
		                       path, path);
	else if (errno == EACCES || errno == EPERM)
		return dpdk_port_error(port, error, -errno, "may not open %s: start as root", path);
	return 0;
}

static int check_pci(struct dpdk_port *port, char *error)
{
	const char *name = port->options->name;
	unsigned domain, bus, device, function;
	char path[PORT_NAME_BYTES + 64], driver[64], group[64];
	int end = 0;

	if (sscanf(name, "%4x:%2x:%2x.%1x%n", &domain, &bus, &device, &function, &end) != 4 ||
	    name[end] != '\0')
		return dpdk_port_error(port, error, -EINVAL,
		                       "a device is written like 0000:03:00.0: see "
		                       "`dpdk-devbind.py --status`");
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", name);
	if (access(path, F_OK) < 0)
		return dpdk_port_error(port, error, -ENODEV,
		                       "no such device: see `dpdk-devbind.py --status`");
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", name);
	link_name(path, driver, sizeof(driver));
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", name);
	link_name(path, group, sizeof(group));
	if (!pci_driver_will_do(driver))
		return dpdk_port_error(port, error, -EBUSY,
		                       "is bound to %s%s: `modprobe vfio-pci` and "
		                       "`dpdk-devbind.py --bind=vfio-pci %s` (the kernel loses it)",
		                       driver[0] ? "the kernel driver " : "no driver", driver,
		                       name);
	if (strcmp(driver, "vfio-pci") != 0)
		return 0;
	if (group[0] == '\0')
		return dpdk_port_error(port, error, -ENOTSUP,
		                       "the machine uses no IOMMU: turn it on in the firmware, and "
		                       "with `intel_iommu=on` or `amd_iommu=on` on the kernel's "
		                       "command line");
	return check_vfio_group(port, group, error);
}

int dpdk_port_check(struct dpdk_port *port, char *error)
{
	port->mtu = MTU_DEFAULT;
	if (port->options->name[0] == '\0')
		return dpdk_port_error(port, error, -EINVAL, "has no name: see the config");
	if (strpbrk(port->options->name, KVARGS_SPECIAL) != NULL)
		return dpdk_port_error(port, error, -EINVAL,
		                       "a name cannot have blanks or any of , = [ ] \" ': choose "
		                       "another");
	switch (port->options->kind) {
	case PORT_PCI: return check_pci(port, error);
	case PORT_XDP: return check_xdp(port, error);
	case PORT_TAP: return check_tap(port, error);
	case PORT_MEMIF: return check_memif(port, error);
	case PORT_SOCKET: return 0;
	}
	return -EINVAL;
}
