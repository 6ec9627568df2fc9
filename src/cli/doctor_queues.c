/* SPDX-License-Identifier: Apache-2.0 */
/* The interfaces of xdp ports: their queues, and whether XDP runs in their driver. */
#include "cli/doctor_internal.h"
#include "xdp/layout.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>

#define NET               "/sys/class/net/"
#define DRIVER_BYTES      64
#define FEATURE_COUNT_MAX 256
#define FEATURE_BLOCKS    ((FEATURE_COUNT_MAX + 31) / 32)

static int ethtool(const struct doctor *doctor, const char *interface, void *command)
{
	struct ifreq ifreq = {.ifr_data = command};

	return doctor->host->interface_ioctl(doctor->host, interface, SIOCETHTOOL, &ifreq);
}

/* As kanted counts them (net/dpdk_check.c): every queue needs a worker. */
static void check_queues(struct doctor *doctor, const char *about, const struct port_options *port)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	uint32_t workers = (uint32_t)doctor->config->worker_count, queues = 1;
	struct doctor_finding *finding;
	int r = ethtool(doctor, port->name, &channels);

	if (r < 0 && r != -EOPNOTSUPP) {
		doctor_say(doctor, DOCTOR_SKIPPED, about, "its queues cannot be asked for: %s",
		           strerror(-r));
		return;
	}
	if (r == 0 && channels.max_combined > 0) {
		queues = channels.combined_count + channels.rx_count;
	} else if (r == 0 && channels.rx_count > 1) {
		finding = doctor_say(doctor, DOCTOR_FAULT, about,
		                     "has %u receive queues that are apart from the transmit "
		                     "queues, of which one can be used",
		                     channels.rx_count);
		doctor_advise(finding, "ethtool -L %s rx 1 tx 1", port->name);
		return;
	}
	if (queues > workers) {
		finding = doctor_say(doctor, DOCTOR_FAULT, about,
		                     "has %u receive queues for %u worker%s, and each queue needs "
		                     "one",
		                     queues, workers, workers == 1 ? "" : "s");
		doctor_advise(finding, "ethtool -L %s combined %u, or `workers: %u`", port->name,
		              workers, queues);
	} else if (queues < workers) {
		finding = doctor_say(doctor, DOCTOR_NOTE, about,
		                     "has %u receive queue%s for %u workers: the others only serve "
		                     "what these hand them",
		                     queues, queues == 1 ? "" : "s", workers);
		if (r == 0 && channels.max_combined > queues)
			doctor_advise(finding, "ethtool -L %s combined %u", port->name,
			              min_u32(channels.max_combined, workers));
		else
			doctor_advise(finding, "the device has no more of them: `workers: %u`",
			              queues);
	} else {
		doctor_say(doctor, DOCTOR_GOOD, about, "%u for %u worker%s", queues, workers,
		           workers == 1 ? "" : "s");
	}
}

void doctor_check_queues(struct doctor *doctor)
{
	doctor_each_interface(doctor, check_queues);
}

/* Directories such as "rx-0". */
static bool take_queue(void *context, const char *name)
{
	uint32_t *counts = context; /* rx, tx */

	counts[0] += strncmp(name, "rx-", 3) == 0;
	counts[1] += strncmp(name, "tx-", 3) == 0;
	return true;
}

static void count_queues(const struct doctor *doctor, const char *interface, uint32_t ret_counts[2])
{
	char path[DOCTOR_PATH_BYTES];

	ret_counts[0] = ret_counts[1] = 0;
	snprintf(path, sizeof(path), NET "%s/queues", interface);
	(void)doctor_read_directory(doctor, path, take_queue, ret_counts);
}

/* What the kernel writes behind the heads of its answers has room. */
union set_info {
	struct ethtool_sset_info head;
	uint8_t bytes[sizeof(struct ethtool_sset_info) + sizeof(uint32_t)];
};

union names {
	struct ethtool_gstrings head;
	uint8_t bytes[sizeof(struct ethtool_gstrings) + FEATURE_COUNT_MAX * ETH_GSTRING_LEN];
};

union features {
	struct ethtool_gfeatures head;
	uint8_t bytes[sizeof(struct ethtool_gfeatures) +
	              FEATURE_BLOCKS * sizeof(struct ethtool_get_features_block)];
};

enum feature {
	FEATURE_OFF,
	FEATURE_ON,
	FEATURE_FIXED, /* on, and cannot be turned off */
};

/* As `ethtool -k` tells. */
static enum feature feature_of(const struct doctor *doctor, const char *interface,
                               const char *feature)
{
	union features features;
	union set_info set;
	union names names;
	uint32_t count;

	memset(&set, 0, sizeof(set));
	memset(&names, 0, sizeof(names));
	memset(&features, 0, sizeof(features));
	set.head = (struct ethtool_sset_info){.cmd = ETHTOOL_GSSET_INFO,
	                                      .sset_mask = 1ull << ETH_SS_FEATURES};
	if (ethtool(doctor, interface, &set) < 0 || set.head.sset_mask == 0 ||
	    set.head.data[0] > FEATURE_COUNT_MAX) /* of names, all are written */
		return FEATURE_OFF;
	count = set.head.data[0];
	names.head = (struct ethtool_gstrings){
	    .cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_FEATURES, .len = count};
	features.head =
	    (struct ethtool_gfeatures){.cmd = ETHTOOL_GFEATURES, .size = (count + 31) / 32};
	if (ethtool(doctor, interface, &names) < 0 || ethtool(doctor, interface, &features) < 0)
		return FEATURE_OFF;
	for (uint32_t i = 0; i < count; i++) {
		const char *name = (const char *)names.head.data + (size_t)i * ETH_GSTRING_LEN;

		const struct ethtool_get_features_block *block = &features.head.features[i / 32];

		if (strncmp(name, feature, ETH_GSTRING_LEN) != 0)
			continue;
		if (!(block->active >> (i % 32) & 1))
			return FEATURE_OFF;
		return block->available >> (i % 32) & 1 ? FEATURE_ON : FEATURE_FIXED;
	}
	return FEATURE_OFF;
}

/* Drivers that run XDP themselves, with the first Linux that does, if Debian 12's 6.1 is older. */
static bool driver_has_xdp(const struct doctor *doctor, const char *driver)
{
	static const struct {
		const char *name;
		uint32_t since; /* DOCTOR_LINUX() */
	} drivers[] = {
	    {"atlantic", 0},
	    {"bnxt_en", 0},
	    {"ena", 0},
	    {"fsl_enetc", 0},
	    {"gve", DOCTOR_LINUX(6, 4)},
	    {"hv_netvsc", 0},
	    {"i40e", 0},
	    {"ice", 0},
	    {"igb", 0},
	    {"igc", 0},
	    {"ixgbe", 0},
	    {"ixgbevf", 0},
	    {"mana", 0},
	    {"mlx4_core", 0},
	    {"mlx5_core", 0},
	    {"mtk_soc_eth", 0},
	    {"mvneta", 0},
	    {"mvpp2", 0},
	    {"nfp", 0},
	    {"nicvf", 0},
	    {"qede", 0},
	    {"sfc", 0},
	    {"tun", 0},
	    {"veth", 0},
	    {"virtio_net", 0},
	    {"vmxnet3", DOCTOR_LINUX(6, 6)},
	};

	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
		if (strcmp(driver, drivers[i].name) == 0)
			return doctor->linux_version >= drivers[i].since;
	return false;
}

/* virtio_net gives its offloads up by itself, if the host lets it
 * (VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, bit 2). */
static bool gives_offloads_up(const struct doctor *doctor, const char *interface,
                              const char *driver)
{
	char bits[128];

	if (strcmp(driver, "virtio_net") != 0)
		return false;
	(void)doctor_read(doctor, bits, sizeof(bits), NET "%s/device/features", interface);
	return strlen(bits) > 2 && bits[2] == '1';
}

/* What the card puts together is no frame any more. True: that is so, and was said. */
static bool is_refused_for_offloads(struct doctor *doctor, const char *about,
                                    const struct port_options *port, const char *driver)
{
	static const struct {
		const char *feature, *name; /* as `ethtool -K` wants it */
	} forbidden[] = {{"rx-lro", "lro"}, {"rx-gro-hw", "rx-gro-hw"}};
	struct doctor_finding *finding;

	if (gives_offloads_up(doctor, port->name, driver))
		return false;
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
		enum feature state = feature_of(doctor, port->name, forbidden[i].feature);

		if (state == FEATURE_OFF)
			continue;
		finding = doctor_say(doctor, DOCTOR_WARNING, about,
		                     "%s is on: drivers such as %s may refuse XDP, which then runs "
		                     "behind them, at a fraction of the speed",
		                     forbidden[i].feature, driver);
		if (state == FEATURE_ON)
			doctor_advise(finding, "ethtool -K %s %s off", port->name,
			              forbidden[i].name);
		else
			doctor_advise(finding,
			              "it is fixed: of a virtual machine the host decides (QEMU: "
			              "ctrl_guest_offloads=on, or guest_tso4=off, guest_tso6=off "
			              "and guest_csum=off)");
		return true;
	}
	return false;
}

/* The kernel refuses XDP on a veth that has fewer queues than its peer sends by. */
static bool is_refused_for_queues(struct doctor *doctor, const char *about,
                                  const struct port_options *port)
{
	struct doctor_finding *finding;
	uint32_t own[2], others[2];
	char peer[IFNAMSIZ];

	if (!doctor_veth_peer(doctor, port->name, peer))
		return false;
	count_queues(doctor, port->name, own);
	count_queues(doctor, peer, others);
	if (own[0] >= others[1])
		return false;
	finding = doctor_say(doctor, DOCTOR_FAULT, about,
	                     "has %u receive queues, fewer than the %u that its peer %s sends by: "
	                     "the kernel refuses XDP",
	                     own[0], others[1], peer);
	doctor_advise(finding, "ethtool -L %s tx %u", peer, max_u32(own[0], 1));
	return true;
}

static void check_native(struct doctor *doctor, const char *about, const struct port_options *port)
{
	struct doctor_finding *finding;
	char driver[DRIVER_BYTES];

	doctor_driver_of(doctor, port->name, driver, sizeof(driver));
	if (!driver_has_xdp(doctor, driver)) {
		finding = doctor_say(
		    doctor, DOCTOR_NOTE, about,
		    "%s is not known to run XDP in this Linux: it would run behind the driver, at "
		    "a fraction of the speed",
		    driver[0] == '\0' ? "its driver" : driver);
		doctor_advise(finding, "use a card whose driver has it (kanted says at its start "
		                       "whether it is native)");
		return;
	}
	if (!is_refused_for_offloads(doctor, about, port, driver) &&
	    !is_refused_for_queues(doctor, about, port))
		doctor_say(doctor, DOCTOR_GOOD, about, "%s runs XDP itself", driver);
}

void doctor_check_native(struct doctor *doctor)
{
	doctor_each_interface(doctor, check_native);
}

/* Interrupts of a card, by the numbers in its msi_irqs/. */
struct interrupts {
	const struct doctor *doctor;
	uint32_t count;
	uint32_t on_workers_count;
	unsigned long first; /* of those */
	cpu_set_t cores;     /* theirs that are workers', too */
};

static bool take_interrupt(void *context, const char *name)
{
	struct interrupts *interrupts = context;
	const struct doctor *doctor = interrupts->doctor;
	cpu_set_t cores;

	/* Where it really goes, if the kernel says so, else where it may. */
	if ((doctor_read_cores(doctor, &cores, "/proc/irq/%s/effective_affinity_list", name) < 0 ||
	     CPU_COUNT(&cores) == 0) &&
	    doctor_read_cores(doctor, &cores, "/proc/irq/%s/smp_affinity_list", name) < 0)
		return true;
	interrupts->count++;
	CPU_AND(&cores, &cores, &doctor->worker_cores);
	if (CPU_COUNT(&cores) == 0)
		return true;
	CPU_OR(&interrupts->cores, &interrupts->cores, &cores);
	if (interrupts->on_workers_count++ == 0)
		interrupts->first = strtoul(name, NULL, 10);
	return true;
}

static void check_interrupts(struct doctor *doctor, const char *about,
                             const struct port_options *port)
{
	struct interrupts interrupts = {.doctor = doctor};
	char path[DOCTOR_PATH_BYTES], list[DOCTOR_LIST_BYTES], left_list[DOCTOR_LIST_BYTES];
	struct doctor_finding *finding;
	cpu_set_t left;

	/* A virtio device has none of its own: its PCI device has. */
	snprintf(path, sizeof(path), NET "%s/device/msi_irqs", port->name);
	if (doctor_read_directory(doctor, path, take_interrupt, &interrupts) < 0) {
		snprintf(path, sizeof(path), NET "%s/device/../msi_irqs", port->name);
		(void)doctor_read_directory(doctor, path, take_interrupt, &interrupts);
	}
	if (interrupts.count == 0)
		return; /* a virtual interface */
	if (interrupts.on_workers_count == 0) {
		doctor_say(doctor, DOCTOR_GOOD, about,
		           "none of %u interrupts goes to a worker's core", interrupts.count);
		return;
	}
	CPU_XOR(&left, &doctor->allowed, &doctor->worker_cores);
	CPU_AND(&left, &left, &doctor->allowed);
	doctor_format_cores(list, &interrupts.cores);
	doctor_format_cores(left_list, &left);
	finding =
	    doctor_say(doctor, DOCTOR_NOTE, about,
	               "%u of %u interrupts go to workers' cores (%s), and take time from them",
	               interrupts.on_workers_count, interrupts.count, list);
	if (left_list[0] == '\0')
		doctor_advise(finding, "leave a core without a worker, for them");
	else
		doctor_advise(finding,
		              "systemctl stop irqbalance, and for each of them (from %lu on, see "
		              "/proc/interrupts): echo %s > /proc/irq/%lu/smp_affinity_list",
		              interrupts.first, left_list, interrupts.first);
}

void doctor_check_interrupts(struct doctor *doctor)
{
	if (doctor->worker_count > 0)
		doctor_each_interface(doctor, check_interrupts);
}

static void check_program(struct doctor *doctor, const char *about, const struct port_options *port)
{
	struct doctor_finding *finding;
	char program[DOCTOR_PROGRAM_BYTES] = "";
	int r = doctor->host->xdp_program(doctor->host, port->name, program);

	if (r < 0) {
		doctor_say(doctor, DOCTOR_SKIPPED, about, "cannot be asked for: %s", strerror(-r));
		return;
	}
	if (r == 0) {
		doctor_say(doctor, DOCTOR_GOOD, about, "the interface has none");
		return;
	}
	if (strcmp(program, XDP_PROGRAM_NAME) == 0) {
		if (doctor->kanted != 0)
			doctor_say(doctor, DOCTOR_NOTE, about, "is that of a kanted (pid %d runs)",
			           (int)doctor->kanted);
		else
			doctor_say(doctor, DOCTOR_GOOD, about,
			           "is that of a kanted that was killed: the next one replaces it");
		return;
	}
	finding = doctor_say(doctor, DOCTOR_FAULT, about, "another program (%s) is attached",
	                     program[0] == '\0' ? "its name cannot be seen" : program);
	doctor_advise(finding, "stop what uses it, or take it off: ip link set dev %s xdp off",
	              port->name);
}

void doctor_check_program(struct doctor *doctor)
{
	doctor_each_interface(doctor, check_program);
}
