/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor_rig.h"

#define ETH1 "sys/class/net/eth1/"

static void test_a_good_interface_is_good(void)
{
	static const char *const checks[] = {"interface",   "link",       "mtu",
	                                     "addresses",   "queues",     "native xdp",
	                                     "xdp program", "interrupts", "port"};
	struct rig rig;

	rig_open(&rig);
	rig_examine(&rig, "workers: [4]\n" RIG_XDP);
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		rig_expect(&rig, checks[i], DOCTOR_GOOD, "", "");
	rig_expect(&rig, "interface", DOCTOR_GOOD, "its driver is ixgbe", "");
	rig_expect(&rig, "link", DOCTOR_GOOD, "is up, at 10000 Mbit/s", "");
	rig_expect(&rig, "addresses", DOCTOR_GOOD, "198.18.0.1, 1 of IPv6", "");
	CU_ASSERT_EQUAL(doctor_exit_status(&rig.report), 0);
	rig_examine(&rig, RIG_SOCKET);
	CU_ASSERT_PTR_NULL(rig_finding(&rig, "link"));
	rig_close(&rig);
}

static void test_an_interface_that_is_not_there_is_a_fault(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_remove(&rig, "sys/class/net/eth1");
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "interface", DOCTOR_FAULT, "there is no such interface", "there is eth0");
	CU_ASSERT_PTR_NULL(rig_finding(&rig, "mtu"));
	rig_close(&rig);
}

static void test_fix_brings_a_link_up(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_file(&rig, ETH1 "flags", "0x1002\n");
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "link", DOCTOR_FAULT, "the interface is down", "ip link set dev eth1 up");
	rig_mend(&rig);
	rig_expect_deed(&rig, "link", 0, "brought eth1 up; after a reboot, too:");
	CU_ASSERT_STRING_EQUAL(rig.flags_name, "eth1");
	CU_ASSERT_EQUAL(rig.flags_set, IFF_BROADCAST | IFF_UP);
	rig.flags_result = -EPERM;
	rig_mend(&rig);
	rig_expect_deed(&rig, "link", -EPERM, "run it as root");
	rig_close(&rig);
}

static void test_fix_leaves_alone_what_a_machine_is_reached_by(void)
{
	static const char *const sessions[] = {"198.18.0.77 50000 198.18.0.1 2222", NULL};
	struct rig rig;

	for (int i = 0; i < 3; i++) {
		rig_open(&rig);
		rig_file(&rig, ETH1 "flags", "0x1002\n");
		if (i == 0) /* a second default route */
			rig_file(&rig, "proc/net/route",
			         "Iface\neth1\t00000000\t010200C0\t0003\t0\t0\t9\t00000000\n");
		else if (i == 1)
			rig.host.ssh_connection = sessions[0];
		else
			rig_file(&rig, "proc/net/tcp6",
			         "  sl\n   0: 000000000000000000000000000000FD:0016 "
			         "000000FD000000000000000009000000:C350 01 0:0 0:0 0 0 0 77\n");
		rig_examine(&rig, RIG_XDP);
		rig_expect(&rig, "link", DOCTOR_FAULT, "the interface is down", NULL);
		CU_ASSERT_PTR_NULL(rig_finding(&rig, "link")->fix);
		rig_close(&rig);
	}
	rig_open(&rig);
	rig_file(&rig, "sys/class/net/eth0/flags", "0x1002\n");
	rig_remove(&rig, "proc/net/route");
	rig_examine(&rig, "ports: [{kind: xdp, interface: eth0, tcp: 11211, allow: any}]\n");
	rig_expect(&rig, "link", DOCTOR_FAULT, "the interface is down", NULL);
	CU_ASSERT_PTR_NULL(rig_finding(&rig, "link")->fix);
	rig_close(&rig);
}

static void test_links_are_told_of(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_file(&rig, ETH1 "carrier", "0\n");
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "link", DOCTOR_WARNING, "has no link", "`ethtool eth1`");
	rig_file(&rig, ETH1 "carrier", "1\n");
	rig_file(&rig, ETH1 "speed", "100\n");
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "link", DOCTOR_NOTE, "is up, at 100 Mbit/s only, full duplex", "cable");
	rig_file(&rig, ETH1 "speed", "-1\n");
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "link", DOCTOR_GOOD, "it does not tell its speed", "");
	rig_remove(&rig, ETH1 "flags");
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "link", DOCTOR_SKIPPED, "eth1/flags cannot be read: No such file", "");
	rig_close(&rig);
}

/* eth1 becomes a veth; `peer` of this namespace, with so many queues to send by. */
static void make_veth(struct rig *rig, unsigned peer_queues)
{
	char path[64];

	rig_remove(rig, ETH1 "device");
	rig->driver = "veth";
	rig->channels_result = -EOPNOTSUPP;
	rig_interface(rig, "peer", NULL);
	rig_file(rig, ETH1 "iflink", "7\n");
	rig_file(rig, "sys/class/net/peer/ifindex", "7\n");
	rig_file(rig, "sys/class/net/peer/iflink", "6\n");
	rig_directory(rig, ETH1 "queues");
	rig_directory(rig, ETH1 "queues/rx-0");
	rig_directory(rig, ETH1 "queues/tx-0");
	for (unsigned i = 0; i < peer_queues; i++) {
		snprintf(path, sizeof(path), "sys/class/net/peer/queues/tx-%u", i);
		rig_directory(rig, path);
	}
}

static void test_a_veth_depends_on_its_peer(void)
{
	struct rig rig;

	rig_open(&rig);
	make_veth(&rig, 1);
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "native xdp", DOCTOR_GOOD, "veth runs XDP itself", "");
	rig_expect(&rig, "mtu", DOCTOR_GOOD, "1500, XDP takes up to 3498", "");
	CU_ASSERT_PTR_NULL(rig_finding(&rig, "interrupts"));
	rig_file(&rig, "sys/class/net/peer/mtu", "9000\n");
	rig_file(&rig, ETH1 "carrier", "0\n");
	make_veth(&rig, 2);
	rig_file(&rig, "sys/class/net/peer/mtu", "9000\n");
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "mtu", DOCTOR_FAULT, "its peer peer has 9000",
	           "ip link set dev peer mtu 1500");
	rig_expect(&rig, "native xdp", DOCTOR_FAULT, "fewer than the 2 that its peer peer sends by",
	           "ethtool -L peer tx 1");
	rig_expect(&rig, "link", DOCTOR_WARNING, "its peer is down", "ip link set dev PEER up");
	/* in another namespace numbers mean others */
	rig_file(&rig, "sys/class/net/peer/iflink", "9\n");
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "mtu", DOCTOR_GOOD, "1500", "");
	rig_expect(&rig, "native xdp", DOCTOR_GOOD, "", "");
	rig_close(&rig);
}

static void test_a_large_mtu_is_a_fault(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_file(&rig, ETH1 "mtu", "9000\n");
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "mtu", DOCTOR_FAULT, "9000, but a frame has to fit one page",
	           "ip link set dev eth1 mtu 3498");
	rig_file(&rig, ETH1 "mtu", "many\n");
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "mtu", DOCTOR_SKIPPED, "eth1/mtu cannot be read", "");
	rig_close(&rig);
}

static void test_an_interface_needs_an_address(void)
{
	struct rig rig;

	rig_open(&rig);
	rig.has_address = false;
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "addresses", DOCTOR_GOOD, "none of IPv4, 1 of IPv6", "");
	rig_remove(&rig, "proc/net/if_inet6");
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "addresses", DOCTOR_FAULT, "has no address", "ip address add");
	rig_close(&rig);
}

static void test_every_queue_needs_a_worker(void)
{
	struct rig rig;

	rig_open(&rig);
	rig.channels.combined_count = 4;
	rig_examine(&rig, "workers: 2\n" RIG_XDP);
	rig_expect(&rig, "queues", DOCTOR_FAULT, "has 4 receive queues for 2 workers",
	           "ethtool -L eth1 combined 2, or `workers: 4`");
	rig.channels.combined_count = 1;
	rig_examine(&rig, "workers: 2\n" RIG_XDP);
	rig_expect(&rig, "queues", DOCTOR_NOTE, "has 1 receive queue for 2 workers",
	           "ethtool -L eth1 combined 2");
	rig.channels.max_combined = 1;
	rig_examine(&rig, "workers: 2\n" RIG_XDP);
	rig_expect(&rig, "queues", DOCTOR_NOTE, "has 1 receive queue for 2 workers",
	           "`workers: 1`");
	rig.channels = (struct ethtool_channels){.rx_count = 4, .max_rx = 8};
	rig_examine(&rig, "workers: 4\n" RIG_XDP);
	rig_expect(&rig, "queues", DOCTOR_FAULT, "has 4 receive queues that are apart",
	           "ethtool -L eth1 rx 1 tx 1");
	rig.channels_result = -EOPNOTSUPP; /* then it has one */
	rig_examine(&rig, "workers: 1\n" RIG_XDP);
	rig_expect(&rig, "queues", DOCTOR_GOOD, "1 for 1 worker", "");
	rig.channels_result = -EPERM;
	rig_examine(&rig, "workers: 1\n" RIG_XDP);
	rig_expect(&rig, "queues", DOCTOR_SKIPPED, "Operation not permitted", "");
	rig_close(&rig);
}

static void test_what_keeps_xdp_out_of_the_driver_is_told(void)
{
	struct rig rig;

	rig_open(&rig);
	rig.feature = "rx-lro";
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "native xdp", DOCTOR_WARNING, "rx-lro is on", "ethtool -K eth1 lro off");
	rig.feature = "rx-gro-hw";
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "native xdp", DOCTOR_WARNING, "rx-gro-hw is on",
	           "ethtool -K eth1 rx-gro-hw off");
	rig.features_are_fixed = true;
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "native xdp", DOCTOR_WARNING, "rx-gro-hw is on", "it is fixed");
	rig.features_are_fixed = false;
	rig_link(&rig, ETH1 "device/driver", "../drivers/virtio_net");
	rig_file(&rig, ETH1 "device/features", "1101000100\n");
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "native xdp", DOCTOR_WARNING, "rx-gro-hw is on", NULL);
	rig_file(&rig, ETH1 "device/features", "1111000100\n"); /* the driver turns it off itself */
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "native xdp", DOCTOR_GOOD, "virtio_net runs XDP itself", "");
	rig.feature = "rx-gro"; /* that of the kernel is no matter */
	rig_link(&rig, ETH1 "device/driver", "../drivers/ice");
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "native xdp", DOCTOR_GOOD, "ice runs XDP itself", "");
	rig_link(&rig, ETH1 "device/driver", "../drivers/e1000e");
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "native xdp", DOCTOR_NOTE, "e1000e is not known to run XDP", "card");
	rig_link(&rig, ETH1 "device/driver", "../drivers/vmxnet3");
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "native xdp", DOCTOR_NOTE, "vmxnet3 is not known to run XDP", "card");
	rig_file(&rig, "proc/sys/kernel/osrelease", "6.12.0\n");
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "native xdp", DOCTOR_GOOD, "vmxnet3 runs XDP itself", "");
	rig_remove(&rig, ETH1 "device/driver");
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "native xdp", DOCTOR_NOTE, "its driver is not known", "card");
	rig_close(&rig);
}

static void test_interrupts_on_workers_cores_are_told_of(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_file(&rig, ETH1 "device/msi_irqs/41", "msix\n");
	rig_file(&rig, "proc/irq/41/smp_affinity_list", "3-4\n"); /* and says no more */
	rig_examine(&rig, "workers: [4]\n" RIG_XDP);
	rig_expect(&rig, "interrupts", DOCTOR_NOTE, "1 of 2 interrupts go to workers' cores (4)",
	           "echo 0-3,5-7 > /proc/irq/41/smp_affinity_list");
	rig_examine(&rig, "workers: [5]\n" RIG_XDP);
	rig_expect(&rig, "interrupts", DOCTOR_GOOD, "none of 2 interrupts", "");
	rig_examine(&rig, "workers: 8\n" RIG_XDP);
	rig_expect(&rig, "interrupts", DOCTOR_NOTE, "2 of 2 interrupts", "leave a core");
	/* a virtio device has them at its PCI device */
	rig_remove(&rig, ETH1 "device");
	rig_file(&rig, "sys/devices/pci/msi_irqs/41", "msix\n");
	rig_directory(&rig, "sys/devices/pci/virtio2");
	rig_link(&rig, ETH1 "device", "../../../devices/pci/virtio2");
	rig_examine(&rig, "workers: [4]\n" RIG_XDP);
	rig_expect(&rig, "interrupts", DOCTOR_NOTE, "1 of 1 interrupts", NULL);
	rig_close(&rig);
}

static void test_another_xdp_program_is_in_the_way(void)
{
	struct rig rig;

	rig_open(&rig);
	rig.program = "xdp_dispatcher";
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "xdp program", DOCTOR_FAULT, "another program (xdp_dispatcher)",
	           "ip link set dev eth1 xdp off");
	rig.program = "";
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "xdp program", DOCTOR_FAULT, "its name cannot be seen", NULL);
	rig.program = "kante_xdp";
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "xdp program", DOCTOR_GOOD, "a kanted that was killed", "");
	rig_process(&rig, 321, "kanted", 1);
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "xdp program", DOCTOR_NOTE, "(pid 321 runs)", "");
	rig.program_result = -EPERM;
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "xdp program", DOCTOR_SKIPPED, "Operation not permitted", "");
	rig_close(&rig);
}

static void test_a_listener_behind_an_xdp_port_is_told_of(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_file(&rig, "proc/net/tcp",
	         "  sl\n   0: 0100007F:2BCB 00000000:0000 0A 0:0 0:0 0 0 0 55\n");
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "port", DOCTOR_GOOD, "tcp port 11211 is free", "");
	rig_file(&rig, "proc/net/tcp",
	         "  sl\n   0: 00000000:2BCB 00000000:0000 0A 0:0 0:0 0 0 0 55\n");
	rig_process(&rig, 77, "memcached", 55);
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "port", DOCTOR_WARNING, "is also that of memcached (pid 77)", "stop it");
	rig_close(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"a good interface is good", test_a_good_interface_is_good},
	    {"an interface that is not there is a fault",
	     test_an_interface_that_is_not_there_is_a_fault},
	    {"--fix brings a link up", test_fix_brings_a_link_up},
	    {"--fix leaves alone what a machine is reached by",
	     test_fix_leaves_alone_what_a_machine_is_reached_by},
	    {"links are told of", test_links_are_told_of},
	    {"a veth depends on its peer", test_a_veth_depends_on_its_peer},
	    {"a large MTU is a fault", test_a_large_mtu_is_a_fault},
	    {"an interface needs an address", test_an_interface_needs_an_address},
	    {"every queue needs a worker", test_every_queue_needs_a_worker},
	    {"what keeps XDP out of the driver is told",
	     test_what_keeps_xdp_out_of_the_driver_is_told},
	    {"interrupts on workers' cores are told of",
	     test_interrupts_on_workers_cores_are_told_of},
	    {"another XDP program is in the way", test_another_xdp_program_is_in_the_way},
	    {"a listener behind an xdp port is told of",
	     test_a_listener_behind_an_xdp_port_is_told_of},
	};

	return UNIT_RUN("doctor_network", cases);
}
