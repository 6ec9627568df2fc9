/* SPDX-License-Identifier: Apache-2.0 */
/* DPDK's ports, over a device that does as it is told. */
#include "net/dpdk_port.h"

#include "dpdk_rig.h"

#include <signal.h>

static struct port_options options;
static char device_log[DPDK_LOG_BYTES];
static char error[DPDK_ERROR_BYTES];

static struct dpdk_port *port_new(enum port_kind kind, const char *name)
{
	struct dpdk_port *port = calloc(1, sizeof(*port));

	rig_reset();
	options = (struct port_options){.kind = kind, .tcp_port = 11211};
	snprintf(options.name, sizeof(options.name), "%s", name);
	device_log[0] = '\0';
	error[0] = '\0';
	*port = (struct dpdk_port){
	    .options = &options, .queue_count = 1, .log = device_log, .mtu = 1500};
	return port;
}

/* Whatever it was, nothing is left of it. */
static void port_free(struct dpdk_port *port)
{
	fault_clear();
	dpdk_port_close(port);
	CU_ASSERT_FALSE(device.started);
	CU_ASSERT_PTR_NULL(port->netifs[0]);
	CU_ASSERT_PTR_NULL(rte_mempool_lookup("port0_0"));
	CU_ASSERT_PTR_NULL(rte_mempool_lookup("pieces0_0"));
	free(port);
}

static void test_each_call_that_fails_is_told_and_leaves_nothing(void)
{
	static const struct {
		const char *call;
		int error_number;
		const char *said;
	} tries[] = {
	    {"rte_eth_dev_get_port_by_name", ENODEV, "DPDK has no driver for it"},
	    {"rte_eth_dev_info_get", EIO, "does not answer"},
	    {"rte_eth_dev_configure", EINVAL, "cannot configure"},
	    {"rte_eth_dev_adjust_nb_rx_tx_desc", EINVAL, "cannot size"},
	    {"rte_eth_macaddr_get", EIO, "MAC address"},
	    {"rte_zmalloc_socket", ENOMEM, "no memory for packets"},
	    {"rte_mempool_create_empty", ENOMEM, "no memory for packets"},
	    {"rte_mempool_populate_default", ENOMEM, "no memory for packets"},
	    {"rte_eth_rx_queue_setup", EINVAL, "receive queue"},
	    {"rte_eth_tx_queue_setup", EINVAL, "transmit queue"},
	    {"rte_eth_dev_start", EBUSY, "cannot start"},
	    {"rte_eth_allmulticast_enable", EIO, "multicast"},
	};

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		struct dpdk_port *port = port_new(PORT_PCI, "0000:03:00.0");

		fault_set(tries[i].call, tries[i].error_number, 0, 1);
		CU_ASSERT_EQUAL(dpdk_port_open(port, error), -tries[i].error_number);
		CU_ASSERT_TRUE(fault_over());
		CU_ASSERT_EQUAL(strncmp(error, "port pci 0000:03:00.0: ", 23), 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(error, tries[i].said));
		CU_ASSERT_EQUAL(device.closed, false);
		port_free(port);
		CU_ASSERT_EQUAL(device.closed, i > 0);
	}
}

static void test_the_first_complaint_of_dpdk_is_passed_on(void)
{
	struct dpdk_port *port = port_new(PORT_PCI, "0000:03:00.0");

	snprintf(device_log, sizeof(device_log), "firmware is too old");
	fault_set("rte_eth_dev_start", EIO, 0, 1);
	CU_ASSERT_EQUAL(dpdk_port_open(port, error), -EIO);
	CU_ASSERT_STRING_EQUAL(error, "port pci 0000:03:00.0: cannot start the device: "
	                              "Input/output error (DPDK: firmware is too old)");
	port_free(port);
}

static void test_a_device_without_multicast_serves_too(void)
{
	struct dpdk_port *port = port_new(PORT_PCI, "0000:03:00.0");

	fault_set("rte_eth_allmulticast_enable", ENOTSUP, 0, 1);
	CU_ASSERT_EQUAL(dpdk_port_open(port, error), 0);
	CU_ASSERT_TRUE(device.started);
	CU_ASSERT_PTR_NOT_NULL(port->netifs[0]);
	port_free(port);
}

static void test_checksums_are_left_to_hardware_that_has_them(void)
{
	static const struct {
		uint64_t receive, transmit;
		uint16_t offloads;
	} tries[] = {
	    {0, 0, 0},
	    {RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM |
	         RTE_ETH_RX_OFFLOAD_TCP_CKSUM,
	     0, NETIF_RX_CHECKSUM},
	    /* half of it is nothing */
	    {RTE_ETH_RX_OFFLOAD_IPV4_CKSUM, RTE_ETH_TX_OFFLOAD_TCP_CKSUM, 0},
	    {0, RTE_ETH_TX_OFFLOAD_IPV4_CKSUM, NETIF_TX_IP4_CHECKSUM},
	    {0, RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM, NETIF_TX_L4_CHECKSUM},
	};

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		for (int kind = PORT_PCI; kind <= PORT_TAP; kind += PORT_TAP - PORT_PCI) {
			struct dpdk_port *port = port_new((enum port_kind)kind, "name");
			uint16_t wanted = kind == PORT_PCI ? tries[i].offloads : 0;

			device.info.rx_offload_capa = tries[i].receive;
			device.info.tx_offload_capa = tries[i].transmit;
			CU_ASSERT_EQUAL(dpdk_port_open(port, error), 0);
			CU_ASSERT_EQUAL(port->offloads, wanted);
			CU_ASSERT_EQUAL(port->netifs[0]->netif.offloads, wanted);
			CU_ASSERT_EQUAL(device.conf.rxmode.offloads != 0,
			                (wanted & NETIF_RX_CHECKSUM) != 0);
			CU_ASSERT_EQUAL(device.conf.rxmode.mq_mode, RTE_ETH_MQ_RX_NONE);
			port_free(port);
		}
	}
}

/* A card as they are sold. */
static void device_set_good(void)
{
	device.info.tx_offload_capa = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM |
	                              RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_MULTI_SEGS |
	                              RTE_ETH_TX_OFFLOAD_TCP_TSO |
	                              RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	device.info.tx_desc_lim =
	    (struct rte_eth_desc_lim){.nb_seg_max = UINT16_MAX, .nb_mtu_seg_max = UINT16_MAX};
}

static void test_large_sends_are_left_to_hardware_that_can(void)
{
	static const struct {
		uint64_t lacks;
		uint16_t seg_max, mtu_seg_max;
		bool pieces;
		uint16_t large_bytes;
	} tries[] = {
	    {0, UINT16_MAX, UINT16_MAX, true, 32768},
	    {0, 37, 8, true, 32768},
	    {0, 24, 8, true, 18432},
	    {0, 8, 5, true, 2048},
	    {0, 4, 5, true, 0},
	    {0, UINT16_MAX, 4, false, 0},
	    {RTE_ETH_TX_OFFLOAD_TCP_TSO, UINT16_MAX, UINT16_MAX, true, 0},
	    {RTE_ETH_TX_OFFLOAD_MULTI_SEGS, UINT16_MAX, UINT16_MAX, false, 0},
	    {RTE_ETH_TX_OFFLOAD_TCP_CKSUM, UINT16_MAX, UINT16_MAX, false, 0},
	};

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		struct dpdk_port *port = port_new(PORT_PCI, "0000:03:00.0");

		device_set_good();
		device.info.tx_offload_capa &= ~tries[i].lacks;
		device.info.tx_desc_lim.nb_seg_max = tries[i].seg_max;
		device.info.tx_desc_lim.nb_mtu_seg_max = tries[i].mtu_seg_max;
		CU_ASSERT_EQUAL(dpdk_port_open(port, error), 0);
		CU_ASSERT_EQUAL((port->offloads & NETIF_TX_PIECES) != 0, tries[i].pieces);
		CU_ASSERT_EQUAL(port->netifs[0]->netif.large_bytes, tries[i].large_bytes);
		CU_ASSERT_EQUAL((device.conf.txmode.offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) != 0,
		                tries[i].pieces);
		/* with pieces, mbufs come from two pools */
		CU_ASSERT_EQUAL((device.conf.txmode.offloads & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE) ==
		                    0,
		                tries[i].pieces);
		CU_ASSERT_EQUAL((device.conf.txmode.offloads & RTE_ETH_TX_OFFLOAD_TCP_TSO) != 0,
		                tries[i].large_bytes > 0);
		port_free(port);
	}
}

static void test_values_are_copied_unless_the_device_can_read_them(void)
{
	static const struct {
		const char *fault, *reason;
	} tries[] = {
	    {NULL, NULL},
	    {"rte_eth_dev_info_get", "the IOMMU does not map them for the device"},
	    {"rte_dev_dma_map", "the IOMMU does not map them for the device"},
	    {"rte_mempool_create_empty", "there is no memory for references to them"},
	};
	uint8_t memory[64];
	struct dpdk_port *port;

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		port = port_new(PORT_PCI, "0000:03:00.0");
		device_set_good();
		CU_ASSERT_EQUAL(dpdk_port_open(port, error), 0);
		CU_ASSERT_STRING_EQUAL(port->copies_because, "they are not in hugepages");
		if (tries[i].fault != NULL)
			fault_set(tries[i].fault, ENOMEM, 0, 1);
		dpdk_port_share_memory(port, memory, sizeof(memory), true);
		if (i == 0)
			CU_ASSERT_PTR_NULL(port->copies_because)
		else
			CU_ASSERT_STRING_EQUAL(port->copies_because, tries[i].reason);
		CU_ASSERT_EQUAL(port->netifs[0]->pieces != NULL, i == 0);
		CU_ASSERT_PTR_EQUAL(device.mapped, i == 0 || i == 3 ? memory : NULL);
		port_free(port);
	}
	/* without an IOMMU, addresses would have to be physical ones */
	port = port_new(PORT_PCI, "0000:03:00.0");
	device_set_good();
	device.iova_pa = true;
	CU_ASSERT_EQUAL(dpdk_port_open(port, error), 0);
	dpdk_port_share_memory(port, memory, sizeof(memory), true);
	CU_ASSERT_STRING_EQUAL(port->copies_because,
	                       "the IOMMU is off, or narrower than addresses are");
	port_free(port);
	port = port_new(PORT_PCI, "0000:03:00.0");
	CU_ASSERT_EQUAL(dpdk_port_open(port, error), 0);
	dpdk_port_share_memory(port, memory, sizeof(memory), true);
	CU_ASSERT_STRING_EQUAL(port->copies_because, "the device sends from one place only");
	port_free(port);
	port = port_new(PORT_TAP, "kante0");
	device_set_good();
	CU_ASSERT_EQUAL(dpdk_port_open(port, error), 0);
	dpdk_port_share_memory(port, memory, sizeof(memory), true);
	CU_ASSERT_PTR_NULL(port->netifs[0]->pieces);
	port_free(port);
}

static void test_each_worker_has_its_queues(void)
{
	struct dpdk_port *port = port_new(PORT_PCI, "0000:03:00.0");

	port->queue_count = 3;
	device.info.flow_type_rss_offloads = RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_ESP;
	CU_ASSERT_EQUAL(dpdk_port_open(port, error), 0);
	CU_ASSERT_EQUAL(device.queue_count, 3);
	CU_ASSERT_EQUAL(device.rx_queues, 3);
	CU_ASSERT_EQUAL(device.tx_queues, 3);
	CU_ASSERT_EQUAL(device.conf.rxmode.mq_mode, RTE_ETH_MQ_RX_RSS);
	CU_ASSERT_EQUAL(device.conf.rx_adv_conf.rss_conf.rss_hf, RTE_ETH_RSS_IPV4);
	CU_ASSERT_PTR_NOT_EQUAL(port->netifs[0]->pool, port->netifs[2]->pool);
	port_free(port);
	/* the second of them fails: the first goes too */
	port = port_new(PORT_PCI, "0000:03:00.0");
	port->queue_count = 3;
	fault_set("rte_eth_rx_queue_setup", ENOMEM, 1, 1);
	CU_ASSERT_EQUAL(dpdk_port_open(port, error), -ENOMEM);
	CU_ASSERT_EQUAL(device.rx_queues, 1);
	port_free(port);
}

static void test_workers_beyond_the_queues_have_none(void)
{
	for (int transmit = 0; transmit < 2; transmit++) {
		struct dpdk_port *port = port_new(PORT_PCI, "0000:03:00.0");

		port->queue_count = 4;
		if (transmit)
			device.info.max_tx_queues = 2;
		else
			device.info.max_rx_queues = 2;
		CU_ASSERT_EQUAL(dpdk_port_open(port, error), 0);
		CU_ASSERT_EQUAL(device.queue_count, 2);
		CU_ASSERT_PTR_NOT_NULL(port->netifs[1]);
		CU_ASSERT_PTR_NULL(port->netifs[2]);
		port_free(port);
	}
}

/* The kernel's end of a tap has the address that DPDK knows: ours is another. */
static void test_a_tap_is_made_with_a_mac_of_its_own(void)
{
	struct dpdk_port *port = port_new(PORT_TAP, "kante0");

	CU_ASSERT_EQUAL(dpdk_port_open(port, error), 0);
	CU_ASSERT_STRING_EQUAL(device.vdev, "net_tap0");
	CU_ASSERT_STRING_EQUAL(device.vdev_arguments, "iface=kante0");
	CU_ASSERT_EQUAL(port->mac[0], 2 ^ 4);
	CU_ASSERT_FALSE(device.allmulticast);
	port_free(port);
}

static void on_signal(int number)
{
}

static void test_signals_are_as_before_after_a_tap_is_made(void)
{
	struct sigaction mine = {.sa_handler = on_signal}, now;
	struct dpdk_port *port = port_new(PORT_TAP, "kante0");

	sigaction(SIGRTMIN + 1, &mine, NULL);
	CU_ASSERT_EQUAL(dpdk_port_open(port, error), 0);
	sigaction(SIGRTMIN + 1, NULL, &now);
	CU_ASSERT_TRUE(now.sa_handler == on_signal);
	sigaction(SIGRTMIN + 2, NULL, &now);
	CU_ASSERT_TRUE(now.sa_handler == SIG_DFL);
	port_free(port);
	port = port_new(PORT_TAP, "kante0");
	fault_set("rte_eal_hotplug_add", EPERM, 0, 1);
	CU_ASSERT_EQUAL(dpdk_port_open(port, error), -EPERM);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "cannot make the device"));
	sigaction(SIGRTMIN + 2, NULL, &now);
	CU_ASSERT_TRUE(now.sa_handler == SIG_DFL);
	port_free(port);
	signal(SIGRTMIN + 1, SIG_DFL);
}

static void test_an_xdp_port_that_cannot_be_opened_says_so(void)
{
	static const struct {
		const char *call;
		uint32_t skip_count;
		int error_number;
		const char *said;
	} tries[] = {
	    {"rte_eal_hotplug_add", 0, EINVAL, "cannot make the device"},
	    {"rte_eth_rx_queue_setup", 0, EINVAL, "a smaller MTU (of a veth, its peer's) may help"},
	    {"socket", 0, EPERM, "cannot open a packet socket: Operation not permitted"},
	    {"setsockopt", 0, ENOPROTOOPT, "cannot open a packet socket"},
	    {"bind", 0, ENODEV, "cannot open a packet socket: No such device"},
	    {"rte_mempool_create_empty", 1, ENOMEM, "no memory for packets"},
	    {"bpf_xdp_query", 0, EINVAL, "cannot attach the XDP program"},
	};

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		struct dpdk_port *port = port_new(PORT_XDP, "veth0");
		int fd = dup(0); /* the next one that is opened */

		close(fd);
		fault_set(tries[i].call, tries[i].error_number, tries[i].skip_count, 1);
		CU_ASSERT_EQUAL(dpdk_port_open(port, error), -tries[i].error_number);
		CU_ASSERT_TRUE(fault_over());
		CU_ASSERT_PTR_NOT_NULL(strstr(error, tries[i].said));
		CU_ASSERT_EQUAL(strncmp(device.vdev_arguments, "iface=veth0,", 12) == 0, i > 0);
		port_free(port);
		/* nothing is left open */
		CU_ASSERT_EQUAL(dup(0), fd);
		close(fd);
	}
}

/* Each worker has a socket of its own. */
static void test_what_is_long_leaves_an_xdp_port_by_packet_sockets(void)
{
	struct dpdk_port *port = port_new(PORT_XDP, "veth0");

	port->queue_count = 2;
	/* the last that is done: all before it has been */
	fault_set("bpf_xdp_query", EINVAL, 0, 1);
	CU_ASSERT_EQUAL(dpdk_port_open(port, error), -EINVAL);
	for (int worker = 0; worker < 2; worker++) {
		CU_ASSERT(port->netifs[worker]->packet_socket >= 0);
		CU_ASSERT_PTR_NOT_NULL(port->netifs[worker]->pieces);
		CU_ASSERT_EQUAL(port->netifs[worker]->netif.large_bytes, 32768);
		CU_ASSERT_EQUAL(port->netifs[worker]->netif.offloads, NETIF_TX_PIECES);
	}
	CU_ASSERT_NOT_EQUAL(port->netifs[0]->packet_socket, port->netifs[1]->packet_socket);
	CU_ASSERT_PTR_NOT_EQUAL(port->netifs[0]->pieces, port->netifs[1]->pieces);
	port_free(port);
}

static void test_a_memif_that_cannot_listen_says_so(void)
{
	struct dpdk_port *port = port_new(PORT_MEMIF, "/dev/null");

	CU_ASSERT_EQUAL(dpdk_port_open(port, error), -EADDRINUSE);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "port memif /dev/null: cannot listen: "));
	port_free(port);
}

static const struct unit_case cases[] = {
    {"each call that fails is told, and leaves nothing",
     test_each_call_that_fails_is_told_and_leaves_nothing},
    {"the first complaint of DPDK is passed on", test_the_first_complaint_of_dpdk_is_passed_on},
    {"a device without multicast serves too", test_a_device_without_multicast_serves_too},
    {"checksums are left to hardware that has them",
     test_checksums_are_left_to_hardware_that_has_them},
    {"large sends are left to hardware that can", test_large_sends_are_left_to_hardware_that_can},
    {"values are copied unless the device can read them",
     test_values_are_copied_unless_the_device_can_read_them},
    {"each worker has its queues", test_each_worker_has_its_queues},
    {"workers beyond the queues have none", test_workers_beyond_the_queues_have_none},
    {"a tap is made with a MAC of its own", test_a_tap_is_made_with_a_mac_of_its_own},
    {"signals are as before after a tap is made", test_signals_are_as_before_after_a_tap_is_made},
    {"an xdp port that cannot be opened says so", test_an_xdp_port_that_cannot_be_opened_says_so},
    {"what is long leaves an xdp port by packet sockets",
     test_what_is_long_leaves_an_xdp_port_by_packet_sockets},
    {"a memif that cannot listen says so", test_a_memif_that_cannot_listen_says_so},
};

static int run(void)
{
	return UNIT_RUN("dpdk_port", cases);
}

int main(void)
{
	return rig_main(run);
}
