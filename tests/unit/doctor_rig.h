/* SPDX-License-Identifier: Apache-2.0 */
/* A machine of files for `kante doctor`: a good one, of which each test spoils something. */
#pragma once

#include "cli/doctor_internal.h"
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RIG_SOCKET "ports: [{kind: socket, listen: \"127.0.0.1:11211\"}]\n"
#define RIG_XDP    "ports: [{kind: xdp, interface: eth1, tcp: 11211, allow: any}]\n"
#define RIG_PCI                                                                                    \
	"ports: [{kind: pci, device: \"0000:03:00.0\", addresses: [198.18.0.2/24], tcp: 11211, "   \
	"allow: any}]\n"
#define RIG_TAP                                                                                    \
	"ports: [{kind: tap, name: kante0, addresses: [198.18.0.2/24], tcp: 11211, allow: any}]\n"

struct rig {
	struct doctor_host host;
	char root[64];
	struct config *config;
	struct doctor_options options;
	struct doctor_report report;
	/* what the machine answers */
	struct ethtool_channels channels;
	int channels_result;
	const char *driver;  /* of interfaces without a device */
	const char *feature; /* the one that is on; NULL: none */
	bool features_are_fixed;
	const char *program; /* NULL: none */
	int program_result;  /* negative */
	bool has_address;
	int flags_result; /* of changing them */
	short flags_set;  /* that were */
	char flags_name[IFNAMSIZ];
	int bind_tcp, bind_udp;
	struct timex clock;
	int clock_result;
	struct statvfs room;
	int room_result;
	int mount_result, module_result;
	char mounted[256], module[32];
};

static inline struct rig *rig_of(const struct doctor_host *host)
{
	return (struct rig *)(uintptr_t)host;
}

static const char *const rig_features[] = {"tx-tcp-segmentation", "rx-lro", "rx-gro", "rx-gro-hw"};

#define RIG_FEATURE_COUNT (sizeof(rig_features) / sizeof(rig_features[0]))

static inline int rig_ethtool(struct rig *rig, void *data)
{
	struct ethtool_sset_info *set = data;
	struct ethtool_gstrings *strings = data;
	struct ethtool_gfeatures *features = data;

	switch (*(uint32_t *)data) {
	case ETHTOOL_GDRVINFO:
		if (rig->driver == NULL)
			return -EOPNOTSUPP;
		snprintf(((struct ethtool_drvinfo *)data)->driver, 32, "%s", rig->driver);
		return 0;
	case ETHTOOL_GCHANNELS:
		if (rig->channels_result == 0)
			*(struct ethtool_channels *)data = rig->channels;
		return rig->channels_result;
	case ETHTOOL_GSSET_INFO: set->data[0] = RIG_FEATURE_COUNT; return 0;
	case ETHTOOL_GSTRINGS:
		for (size_t i = 0; i < RIG_FEATURE_COUNT; i++)
			snprintf((char *)strings->data + i * ETH_GSTRING_LEN, ETH_GSTRING_LEN, "%s",
			         rig_features[i]);
		return 0;
	case ETHTOOL_GFEATURES:
		for (size_t i = 0; i < RIG_FEATURE_COUNT; i++)
			if (rig->feature != NULL && strcmp(rig->feature, rig_features[i]) == 0)
				features->features[0].active |= 1u << i;
		features->features[0].available = rig->features_are_fixed ? 0 : ~0u;
		return 0;
	default: return -EOPNOTSUPP;
	}
}

static inline int rig_ioctl(const struct doctor_host *host, const char *name, unsigned long request,
                            struct ifreq *ifreq)
{
	struct rig *rig = rig_of(host);
	struct sockaddr_in *address = (struct sockaddr_in *)&ifreq->ifr_addr;

	switch (request) {
	case SIOCETHTOOL: return rig_ethtool(rig, ifreq->ifr_data);
	case SIOCGIFADDR:
		address->sin_addr.s_addr = htonl(0xc6120001);
		return rig->has_address ? 0 : -EADDRNOTAVAIL;
	case SIOCGIFFLAGS: ifreq->ifr_flags = IFF_BROADCAST; return 0;
	case SIOCSIFFLAGS:
		if (rig->flags_result == 0) {
			rig->flags_set = ifreq->ifr_flags;
			snprintf(rig->flags_name, sizeof(rig->flags_name), "%s", name);
		}
		return rig->flags_result;
	default: return -EINVAL;
	}
}

static inline int rig_program(const struct doctor_host *host, const char *name,
                              char ret_program[DOCTOR_PROGRAM_BYTES])
{
	struct rig *rig = rig_of(host);

	if (rig->program_result < 0)
		return rig->program_result;
	if (rig->program != NULL)
		snprintf(ret_program, DOCTOR_PROGRAM_BYTES, "%s", rig->program);
	return rig->program != NULL;
}

static inline int rig_bind(const struct doctor_host *host, const struct sockaddr *address,
                           socklen_t length, int type)
{
	return type == SOCK_STREAM ? rig_of(host)->bind_tcp : rig_of(host)->bind_udp;
}

static inline int rig_clock(const struct doctor_host *host, struct timex *ret_clock)
{
	*ret_clock = rig_of(host)->clock;
	return rig_of(host)->clock_result;
}

static inline int rig_room(const struct doctor_host *host, const char *path,
                           struct statvfs *ret_room)
{
	*ret_room = rig_of(host)->room;
	return access(path, F_OK) < 0 ? -errno : rig_of(host)->room_result;
}

static inline int rig_mount(const struct doctor_host *host, const char *path)
{
	snprintf(rig_of(host)->mounted, sizeof(rig_of(host)->mounted), "%s", path);
	return rig_of(host)->mount_result;
}

static inline int rig_load(const struct doctor_host *host, const char *name)
{
	snprintf(rig_of(host)->module, sizeof(rig_of(host)->module), "%s", name);
	return rig_of(host)->module_result;
}

/* Makes the directories of a path below the root. */
static inline void rig_directories(const char *path)
{
	char part[512];

	for (const char *at = path + 1; (at = strchr(at, '/')) != NULL; at++) {
		snprintf(part, sizeof(part), "%.*s", (int)(at - path), path);
		(void)!mkdir(part, 0755);
	}
}

static inline void rig_path(const struct rig *rig, char ret_path[512], const char *name)
{
	snprintf(ret_path, 512, "%s/%s", rig->root, name);
	rig_directories(ret_path);
}

static inline void rig_file(const struct rig *rig, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static inline void rig_file(const struct rig *rig, const char *name, const char *format, ...)
{
	char path[512];
	va_list arguments;
	FILE *file;

	rig_path(rig, path, name);
	(void)unlink(path);
	file = fopen(path, "we");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	va_start(arguments, format);
	vfprintf(file, format, arguments);
	va_end(arguments);
	fclose(file);
}

static inline void rig_link(const struct rig *rig, const char *name, const char *target)
{
	char path[512];

	rig_path(rig, path, name);
	(void)unlink(path);
	CU_ASSERT_EQUAL_FATAL(symlink(target, path), 0);
}

static inline void rig_directory(const struct rig *rig, const char *name)
{
	char path[512];

	rig_path(rig, path, name);
	(void)mkdir(path, 0755);
}

static inline void rig_remove(const struct rig *rig, const char *name)
{
	char command[600];

	snprintf(command, sizeof(command), "rm -rf %s/%s", rig->root, name);
	CU_ASSERT_EQUAL_FATAL(system(command), 0);
}

static inline void rig_expect_file(const struct rig *rig, const char *name, const char *text)
{
	char path[512], got[256] = "";
	FILE *file;

	rig_path(rig, path, name);
	file = fopen(path, "re");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	got[fread(got, 1, sizeof(got) - 1, file)] = '\0';
	fclose(file);
	CU_ASSERT_STRING_EQUAL(got, text);
}

/* Lines of /proc/self/status, /proc/self/limits, … as they are for root on a good machine. */
static inline void rig_be_root(const struct rig *rig)
{
	rig_file(rig, "proc/self/status",
	         "Name:\tkante\nUid:\t%u\t%u\t0\t0\nCapEff:\t000001ffffffffff\nCpus_allowed:\tff\n"
	         "Cpus_allowed_list:\t0-7\n",
	         geteuid(), geteuid());
}

static inline void rig_be_nobody(const struct rig *rig)
{
	rig_file(rig, "proc/self/status",
	         "Uid:\t0\t65534\t0\t0\nCapEff:\t0000000000000000\nCpus_allowed_list:\t0-7\n");
}

static inline void rig_limits(const struct rig *rig, const char *files, const char *locked,
                              const char *core)
{
	rig_file(rig, "proc/self/limits",
	         "Limit                     Soft Limit           Hard Limit           Units\n"
	         "Max core file size        %s            unlimited            bytes\n"
	         "Max open files            1024                 %s               files\n"
	         "Max locked memory         %s              %s              bytes\n",
	         core, files, locked, locked);
}

static inline void rig_pages(const struct rig *rig, unsigned total, unsigned free_count)
{
	rig_file(rig, "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "%u\n", total);
	rig_file(rig, "sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "%u\n",
	         free_count);
	rig_file(rig, "sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages", "0\n");
}

static inline void rig_memory(const struct rig *rig, unsigned available_mib, unsigned swap_mib)
{
	rig_file(rig, "proc/meminfo",
	         "MemTotal:       16777216 kB\nMemFree:        1024 kB\nMemAvailable:   %u kB\n"
	         "SwapTotal:      %u kB\nCommitLimit:    2097152 kB\nCommitted_AS:   1048576 kB\n"
	         "Hugepagesize:    2048 kB\n",
	         available_mib * 1024, swap_mib * 1024);
}

static inline void rig_mounts(const struct rig *rig, const char *more)
{
	rig_file(rig, "proc/self/mountinfo",
	         "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
	         "24 27 0:6 / /dev rw - devtmpfs devtmpfs rw\n"
	         "25 24 0:23 / /dev/shm rw shared:3 - tmpfs tmpfs rw\n"
	         "33 27 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n%s",
	         more);
}

static inline void rig_interface(const struct rig *rig, const char *name, const char *driver)
{
	char path[128];

#define RIG_NET(file, ...)                                                                         \
	snprintf(path, sizeof(path), "sys/class/net/%s/" file, name);                              \
	rig_file(rig, path, __VA_ARGS__)
	RIG_NET("flags", "0x1003\n");
	RIG_NET("carrier", "1\n");
	RIG_NET("mtu", "1500\n");
	RIG_NET("speed", "10000\n");
	RIG_NET("duplex", "full\n");
	RIG_NET("ifindex", "5\n");
	RIG_NET("iflink", "5\n");
#undef RIG_NET
	if (driver == NULL)
		return;
	snprintf(path, sizeof(path), "sys/class/net/%s/device/driver", name);
	rig_link(rig, path, driver);
}

/* eth1 on a card of its own, eth0 with the default route. */
static inline void rig_network(const struct rig *rig)
{
	rig_interface(rig, "eth0", "../../../bus/pci/drivers/ixgbe");
	rig_interface(rig, "eth1", "../../../bus/pci/drivers/ixgbe");
	rig_file(rig, "sys/class/net/eth1/ifindex", "6\n");
	rig_file(rig, "sys/class/net/eth1/device/msi_irqs/40", "msix\n");
	rig_file(rig, "proc/irq/40/smp_affinity_list", "0-7\n");
	rig_file(rig, "proc/irq/40/effective_affinity_list", "0\n");
	rig_file(rig, "proc/net/route",
	         "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n"
	         "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
	         "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
	         "eth1\t000012C6\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n");
	rig_file(rig, "proc/net/ipv6_route",
	         "fd000000000000000000000000000000 40 00000000000000000000000000000000 00 "
	         "00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth1\n");
	rig_file(rig, "proc/net/if_inet6",
	         "fd000000000000000000000000000002 06 40 00 82     eth1\n");
	rig_file(rig, "proc/net/protocols", "protocol  size sockets\nXDP 1088 0\nTCP 2304 1\n");
	rig_file(rig, "proc/net/tcp", "  sl  local_address rem_address   st\n");
	rig_file(rig, "proc/net/udp", "  sl  local_address rem_address   st\n");
	rig_file(rig, "proc/net/unix", "Num       RefCount Protocol Flags    Type St Inode Path\n");
}

/* 0000:03:00.0 alone in group 12, bound to vfio-pci. */
static inline void rig_card(const struct rig *rig)
{
	rig_directory(rig, "sys/bus/pci/drivers/vfio-pci");
	rig_link(rig, "sys/bus/pci/devices/0000:03:00.0/driver", "../../drivers/vfio-pci");
	rig_link(rig, "sys/bus/pci/devices/0000:03:00.0/iommu_group",
	         "../../../kernel/iommu_groups/12");
	rig_link(rig, "sys/kernel/iommu_groups/12/devices/0000:03:00.0", "../nowhere");
	rig_file(rig, "dev/vfio/12", "%s", "");
}

static inline void rig_cores(const struct rig *rig)
{
	char path[128];

	rig_file(rig, "sys/devices/system/cpu/online", "0-7\n");
	rig_file(rig, "sys/devices/system/cpu/isolated", "4-7\n");
	rig_file(rig, "sys/devices/system/cpu/nohz_full", "4-7\n");
	for (int core = 0; core < 8; core++) {
		snprintf(path, sizeof(path),
		         "sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", core);
		rig_file(rig, path, "%d\n", core);
		snprintf(path, sizeof(path),
		         "sys/devices/system/cpu/cpu%d/cache/index3/shared_cpu_list", core);
		rig_file(rig, path, "0-7\n");
		snprintf(path, sizeof(path),
		         "sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor", core);
		rig_file(rig, path, "performance\n");
	}
}

static inline void rig_open(struct rig *rig)
{
	*rig = (struct rig){.root = "/tmp/kante-doctor-XXXXXX",
	                    .has_address = true,
	                    .channels = {.max_combined = 8, .combined_count = 1}};
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(rig->root));
	rig->host = (struct doctor_host){.root = rig->root,
	                                 .interface_ioctl = rig_ioctl,
	                                 .xdp_program = rig_program,
	                                 .bind = rig_bind,
	                                 .clock = rig_clock,
	                                 .room = rig_room,
	                                 .mount_hugetlbfs = rig_mount,
	                                 .load_module = rig_load};
	rig->room = (struct statvfs){
	    .f_bsize = 4096, .f_frsize = 4096, .f_blocks = 1 << 18, .f_bavail = 1 << 18};
	rig_be_root(rig);
	rig_limits(rig, "524288", "unlimited", "unlimited");
	rig_pages(rig, 1024, 1024);
	rig_memory(rig, 8192, 0);
	rig_mounts(rig, "40 24 0:40 / /dev/hugepages rw - hugetlbfs hugetlbfs rw\n");
	rig_cores(rig);
	rig_network(rig);
	rig_card(rig);
	rig_directory(rig, "dev/shm");
	rig_directory(rig, "dev/hugepages");
	rig_directory(rig, "run");
	rig_file(rig, "dev/net/tun", "%s", "");
	rig_file(rig, "proc/self/cgroup", "0::/user.slice/kante\n");
	rig_directory(rig, "sys/fs/cgroup/user.slice/kante");
	rig_file(rig, "proc/sys/kernel/osrelease", "6.1.0-18-amd64\n");
	rig_file(rig, "proc/sys/kernel/core_pattern", "core\n");
	rig_file(rig, "proc/sys/kernel/unprivileged_bpf_disabled", "2\n");
	rig_file(rig, "proc/sys/net/core/bpf_jit_enable", "1\n");
	rig_file(rig, "proc/sys/net/core/somaxconn", "4096\n");
	rig_file(rig, "proc/sys/vm/overcommit_memory", "0\n");
	rig_file(rig, "proc/sys/fs/nr_open", "1048576\n");
	rig_file(rig, "sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
	rig_file(rig, "sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc \n");
	rig_file(rig, "sys/devices/system/clocksource/clocksource0/available_clocksource",
	         "tsc hpet acpi_pm \n");
}

static inline void rig_close(struct rig *rig)
{
	config_destroy(rig->config);
	rig_remove(rig, "");
}

/* The text of a config; NULL: none is given. */
static inline void rig_examine(struct rig *rig, const char *text)
{
	char error[CONFIG_ERROR_BYTES] = "";

	config_destroy(rig->config);
	rig->config = NULL;
	rig->options = (struct doctor_options){.host = &rig->host, .config_faults = ""};
	if (text != NULL) {
		int r = config_parse(&rig->config, "kante.yaml", text, strlen(text), error,
		                     sizeof(error));

		if (r < 0)
			printf("\n%s\n", error);
		CU_ASSERT_EQUAL_FATAL(r, 0);
		rig->options.config = rig->config;
		rig->options.config_path = "kante.yaml";
	}
	doctor_examine(&rig->report, &rig->options);
}

static inline void rig_mend(struct rig *rig)
{
	doctor_mend(&rig->report, &rig->options);
}

/* The worst of a check's findings; NULL: it had nothing to say. */
static const struct doctor_finding *rig_finding(const struct rig *rig, const char *check)
{
	const struct doctor_finding *worst = NULL;

	for (uint32_t i = 0; i < rig->report.finding_count; i++) {
		const struct doctor_finding *finding = &rig->report.findings[i];

		if (strcmp(finding->check, check) == 0 &&
		    (worst == NULL || finding->level > worst->level))
			worst = finding;
	}
	return worst;
}

/* The check says this; NULL: no matter what is to be done, "": nothing. */
static inline void rig_expect(const struct rig *rig, const char *check, enum doctor_level level,
                              const char *found, const char *mend)
{
	const struct doctor_finding *finding = rig_finding(rig, check);
	bool is_right =
	    finding != NULL && finding->level == level && strstr(finding->found, found) != NULL &&
	    (mend == NULL ||
	     (mend[0] == '\0' ? finding->mend[0] == '\0' : strstr(finding->mend, mend) != NULL));

	if (!is_right)
		printf("\nwant %s %s: %s -> %s\ngot  %s: %s -> %s\n", check,
		       doctor_level_name(level), found, mend == NULL ? "?" : mend,
		       finding == NULL ? "nothing" : doctor_level_name(finding->level),
		       finding == NULL ? "" : finding->found, finding == NULL ? "" : finding->mend);
	CU_ASSERT_TRUE(is_right);
}

/* It was mended, or not; and said so. */
static inline void rig_expect_deed(const struct rig *rig, const char *check, int result,
                                   const char *text)
{
	const struct doctor_deed *deed = NULL;

	for (uint32_t i = 0; i < rig->report.deed_count; i++)
		if (strcmp(rig->report.deeds[i].check, check) == 0)
			deed = &rig->report.deeds[i];
	if (deed == NULL || deed->result != result || strstr(deed->text, text) == NULL)
		printf("\nwant %s %d: %s\ngot %d: %s\n", check, result, text,
		       deed == NULL ? 1 : deed->result, deed == NULL ? "nothing" : deed->text);
	CU_ASSERT_TRUE(deed != NULL && deed->result == result && strstr(deed->text, text) != NULL);
}

/* A process of the machine, which may have a socket. */
static inline void rig_process(const struct rig *rig, int pid, const char *name, unsigned inode)
{
	char path[64], target[64];

	snprintf(path, sizeof(path), "proc/%d/comm", pid);
	rig_file(rig, path, "%s\n", name);
	snprintf(path, sizeof(path), "proc/%d/status", pid);
	rig_file(rig, path, "Name:\t%s\nVmRSS:\t  102400 kB\nHugetlbPages:\t  204800 kB\n", name);
	snprintf(path, sizeof(path), "proc/%d/fd/3", pid);
	snprintf(target, sizeof(target), "socket:[%u]", inode);
	rig_link(rig, path, target);
}
