/* SPDX-License-Identifier: Apache-2.0 */
/* DPDK's start and end, and what is said of it: over a machine and devices as a test wants them. */
#include "net/dpdk.h"

#include "dpdk_rig.h"

#include <dirent.h>

FAULTY(DIR *, NULL, opendir, (const char *path), (path))
FAULTY(FILE *, NULL, fopencookie, (void *cookie, const char *mode, cookie_io_functions_t functions),
       (cookie, mode, functions))

#define PORT_COUNT 4

struct rig {
	struct port_options ports[PORT_COUNT];
	uint32_t core;
	struct dpdk *dpdk;
	char folder[32];
	char error[DPDK_ERROR_BYTES];
	char text[DPDK_DESCRIBE_BYTES];
	struct dpdk_counters counters;
};

/* Ports of four kinds, and all that they need. */
static struct rig *rig_new(void)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	rig_reset();
	machine.driver = "vfio-pci";
	machine.has_iommu = true;
	rig->core = 3;
	snprintf(rig->folder, sizeof(rig->folder), "/tmp/kante-dpdk-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(rig->folder));
	rig->ports[0] = (struct port_options){.kind = PORT_PCI, .name = "0000:03:00.0"};
	rig->ports[1] = (struct port_options){.kind = PORT_SOCKET, .name = ""};
	rig->ports[2] = (struct port_options){.kind = PORT_MEMIF};
	snprintf(rig->ports[2].name, sizeof(rig->ports[2].name), "%s/memif.sock", rig->folder);
	rig->ports[3] = (struct port_options){.kind = PORT_TAP, .name = "kante0"};
	return rig;
}

static int rig_start(struct rig *rig, uint32_t port_from, uint32_t port_count)
{
	struct dpdk_options options = {.ports = rig->ports + port_from,
	                               .port_count = port_count,
	                               .worker_count = 1,
	                               .worker_cores = &rig->core};

	return dpdk_start(&rig->dpdk, &options, rig->error);
}

/* Nothing is left behind. */
static void rig_free(struct rig *rig)
{
	fault_clear();
	dpdk_stop(rig->dpdk);
	CU_ASSERT_FALSE(device.eal_runs);
	CU_ASSERT_FALSE(device.started);
	CU_ASSERT_EQUAL(rmdir(rig->folder), 0);
	free(rig);
}

static bool asked_for(const char *argument)
{
	return strstr(device.eal_arguments, argument) != NULL;
}

static void test_each_port_gives_its_queues(void)
{
	struct rig *rig = rig_new();

	CU_ASSERT_EQUAL_FATAL(rig_start(rig, 0, PORT_COUNT), 0);
	CU_ASSERT_PTR_NOT_NULL(dpdk_netif(rig->dpdk, 0, 0));
	CU_ASSERT_PTR_NULL(dpdk_netif(rig->dpdk, 1, 0)); /* kernel sockets have none */
	CU_ASSERT_PTR_NOT_NULL(dpdk_netif(rig->dpdk, 2, 0));
	CU_ASSERT_PTR_NOT_NULL(dpdk_netif(rig->dpdk, 3, 0));
	rig_free(rig);
}

static void test_only_devices_in_the_config_are_touched(void)
{
	struct rig *rig = rig_new();

	CU_ASSERT_EQUAL_FATAL(rig_start(rig, 0, PORT_COUNT), 0);
	CU_ASSERT_TRUE(asked_for(" --allow=0000:03:00.0"));
	CU_ASSERT_FALSE(asked_for(" --no-pci"));
	rig_free(rig);
	rig = rig_new();
	CU_ASSERT_EQUAL_FATAL(rig_start(rig, 1, PORT_COUNT - 1), 0);
	CU_ASSERT_TRUE(asked_for(" --no-pci"));
	CU_ASSERT_FALSE(asked_for(" --allow"));
	rig_free(rig);
}

static void test_hugepages_are_used_when_there_are_enough(void)
{
	static const struct {
		const char *free;
		bool used;
	} tries[] = {{"4096", true}, {"8", false}, {"none", false}};

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		struct rig *rig = rig_new();

		machine.hugepages_free = tries[i].free;
		CU_ASSERT_EQUAL_FATAL(rig_start(rig, 0, 1), 0);
		CU_ASSERT_EQUAL(asked_for(" --in-memory"), tries[i].used);
		CU_ASSERT_EQUAL(asked_for(" --no-huge"), !tries[i].used);
		dpdk_describe(rig->dpdk, 0, rig->text);
		CU_ASSERT_PTR_NOT_NULL(
		    strstr(rig->text, tries[i].used ? ", hugepages, MTU" : "no hugepages ("));
		rig_free(rig);
	}
}

static void test_who_cannot_say_how_many_hugepages_has_none(void)
{
	static const char *const calls[] = {"opendir", "fopen"};

	for (size_t i = 0; i < 2; i++) {
		struct rig *rig = rig_new();

		machine.hugepages_free = "4096";
		fault_set(calls[i], EACCES, 0, 1);
		CU_ASSERT_EQUAL_FATAL(rig_start(rig, 2, 1), 0);
		CU_ASSERT_TRUE(fault_over());
		rig_free(rig);
	}
}

static void test_the_control_thread_leaves_the_workers_cores_alone(void)
{
	struct rig *rig = rig_new();

	CU_ASSERT_EQUAL_FATAL(rig_start(rig, 2, 1), 0);
	CU_ASSERT_TRUE(asked_for(" --lcores=0@3,1@(0-2) --main-lcore=1 "));
	rig_free(rig);
	rig = rig_new();
	rig->core = 1;
	CPU_CLR(2, &machine.cpus);
	CPU_SET(CPU_SETSIZE - 1, &machine.cpus);
	CU_ASSERT_EQUAL_FATAL(rig_start(rig, 2, 1), 0);
	CU_ASSERT_TRUE(asked_for(" --lcores=0@1,1@(0-0,3-3,1023-1023) "));
	rig_free(rig);
	/* the only core there is has to be shared */
	rig = rig_new();
	rig->core = 0;
	for (int cpu = 1; cpu < 4; cpu++)
		CPU_CLR(cpu, &machine.cpus);
	CU_ASSERT_EQUAL_FATAL(rig_start(rig, 2, 1), 0);
	CU_ASSERT_TRUE(asked_for(" --lcores=0@0,1@(0-0) "));
	rig_free(rig);
}

static void test_a_start_that_fails_says_what_dpdk_said_first(void)
{
	struct rig *rig = rig_new();

	fault_set("rte_eal_init", ENOMEM, 0, 1);
	CU_ASSERT_EQUAL(rig_start(rig, 2, 1), -ENOMEM);
	CU_ASSERT_EQUAL(strncmp(rig->error, "DPDK cannot start with 48 MB of memory: ", 40), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error, " (DPDK: rte_eal_init: no luck)"));
	rig_free(rig);
	rig = rig_new();
	machine.hugepages_free = "4096";
	rte_errno = 0;
	fault_set("rte_eal_init without a reason", 0, 0, 1);
	CU_ASSERT_EQUAL(rig_start(rig, 2, 1), -EIO);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->error, " MB of hugepages: "));
	rig_free(rig);
}

static void test_one_port_that_fails_takes_all_down(void)
{
	struct rig *rig = rig_new();

	/* before DPDK runs */
	machine.has_iommu = false;
	CU_ASSERT_EQUAL(rig_start(rig, 0, PORT_COUNT), -ENOTSUP);
	CU_ASSERT_FALSE(device.eal_runs);
	/* the tap, when the device is open already */
	machine.has_iommu = true;
	fault_set("rte_eal_hotplug_add", EPERM, 0, 1);
	CU_ASSERT_EQUAL(rig_start(rig, 0, PORT_COUNT), -EPERM);
	CU_ASSERT_STRING_EQUAL(rig->error, "port tap kante0: cannot make the device: Operation not "
	                                   "permitted (DPDK: rte_eal_hotplug_add: no luck)");
	CU_ASSERT_TRUE(device.closed);
	CU_ASSERT_EQUAL(access(rig->ports[2].name, F_OK), -1);
	fault_set("fopencookie", ENOMEM, 0, 1);
	CU_ASSERT_EQUAL(rig_start(rig, 0, PORT_COUNT), -ENOMEM);
	CU_ASSERT_STRING_EQUAL(rig->error, "no memory");
	rig_free(rig);
}

static void test_ports_are_described_in_a_line(void)
{
	struct rig *rig = rig_new();

	device.info.rx_offload_capa = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM |
	                              RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
	device.info.tx_offload_capa = RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
	machine.hugepages_free = "4096";
	CU_ASSERT_EQUAL_FATAL(rig_start(rig, 0, PORT_COUNT), 0);
	dpdk_describe(rig->dpdk, 0, rig->text);
	CU_ASSERT_STRING_EQUAL(rig->text,
	                       "pci 0000:03:00.0: net_test, 1 queue, hugepages, MTU 1500, "
	                       "MAC 02:00:00:00:00:07, checksums received by device, "
	                       "sent by device, segments cut by software, "
	                       "large values copied (the device sends from one place only)");
	dpdk_describe(rig->dpdk, 2, rig->text);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->text, ": memif server, ids 0 to 0, MTU 1500, MAC "));
	device.info.driver_name = NULL;
	dpdk_describe(rig->dpdk, 3, rig->text);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->text, "tap kante0: no driver, 1 queue, hugepages"));
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(rig->text, "checksums received by software, sent by software"));
	rig_free(rig);
	/* memory that no device can read, and some that one can */
	rig = rig_new();
	device.info.tx_offload_capa = RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
	                              RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_TCP_TSO;
	device.info.tx_desc_lim = (struct rte_eth_desc_lim){.nb_seg_max = 40, .nb_mtu_seg_max = 40};
	CU_ASSERT_EQUAL_FATAL(rig_start(rig, 0, PORT_COUNT), 0);
	fault_set("rte_extmem_register", EINVAL, 0, 1);
	dpdk_share_memory(rig->dpdk, rig, sizeof(*rig), 4096);
	CU_ASSERT_PTR_NULL(device.mapped);
	dpdk_describe(rig->dpdk, 0, rig->text);
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(rig->text, "large values copied (DPDK does not take their memory)"));
	dpdk_share_memory(rig->dpdk, rig, sizeof(*rig), 4096);
	CU_ASSERT_PTR_EQUAL(device.mapped, rig);
	dpdk_describe(rig->dpdk, 0, rig->text);
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(rig->text, "segments cut by device, large values sent from the store"));
	rig_free(rig);
}

static uint64_t link_up(struct rig *rig, uint32_t port_index)
{
	dpdk_counters_read(rig->dpdk, port_index, &rig->counters);
	return counter_read(&rig->counters.link_up);
}

static void test_a_link_is_up_when_frames_can_go(void)
{
	struct rig *rig = rig_new();

	CU_ASSERT_EQUAL_FATAL(rig_start(rig, 0, PORT_COUNT), 0);
	CU_ASSERT_EQUAL(link_up(rig, 0), 0);
	device.link_up = true;
	CU_ASSERT_EQUAL(link_up(rig, 0), 1);
	fault_set("rte_eth_link_get_nowait", EIO, 0, 1);
	CU_ASSERT_EQUAL(link_up(rig, 0), 0);
	CU_ASSERT_EQUAL(link_up(rig, 2), 0); /* no client */
	/* of a tap it is the kernel's interface that counts */
	CU_ASSERT_EQUAL(link_up(rig, 3), 1);
	machine.interface_flags = IFF_UP;
	CU_ASSERT_EQUAL(link_up(rig, 3), 0);
	machine.interface_flags = 0;
	CU_ASSERT_EQUAL(link_up(rig, 3), 0);
	fault_set("ioctl", ENODEV, 0, 1);
	CU_ASSERT_EQUAL(link_up(rig, 3), 0);
	rig_free(rig);
}

static void test_what_devices_lose_is_counted(void)
{
	struct rig *rig = rig_new();
	struct netif *netif;

	device.stats = (struct rte_eth_stats){.imissed = 5, .rx_nombuf = 2, .ierrors = 3};
	CU_ASSERT_EQUAL_FATAL(rig_start(rig, 0, PORT_COUNT), 0);
	netif = dpdk_netif(rig->dpdk, 0, 0);
	counter_add(&netif->transmit_drops, 11);
	counter_add(&((struct dpdk_netif *)netif)->chained_drops, 4);
	dpdk_counters_read(rig->dpdk, 0, &rig->counters);
	CU_ASSERT_EQUAL(counter_read(&rig->counters.receive_missed), 7);
	CU_ASSERT_EQUAL(counter_read(&rig->counters.receive_errors), 7);
	CU_ASSERT_EQUAL(counter_read(&rig->counters.transmit_drops), 11);
	/* kernel sockets have no such figures */
	memset(&rig->counters, 0, sizeof(rig->counters));
	dpdk_counters_read(rig->dpdk, 1, &rig->counters);
	CU_ASSERT_EQUAL(counter_read(&rig->counters.receive_missed), 0);
	rig_free(rig);
}

static const struct unit_case cases[] = {
    {"each port gives its queues", test_each_port_gives_its_queues},
    {"only devices in the config are touched", test_only_devices_in_the_config_are_touched},
    {"hugepages are used when there are enough", test_hugepages_are_used_when_there_are_enough},
    {"who cannot say how many hugepages has none", test_who_cannot_say_how_many_hugepages_has_none},
    {"the keeper leaves the workers' cores alone",
     test_the_control_thread_leaves_the_workers_cores_alone},
    {"a start that fails says what DPDK said first",
     test_a_start_that_fails_says_what_dpdk_said_first},
    {"one port that fails takes all down", test_one_port_that_fails_takes_all_down},
    {"ports are described in a line", test_ports_are_described_in_a_line},
    {"a link is up when frames can go", test_a_link_is_up_when_frames_can_go},
    {"what devices lose is counted", test_what_devices_lose_is_counted},
};

static int run(void)
{
	return UNIT_RUN("dpdk_start", cases);
}

int main(void)
{
	return rig_main(run);
}
