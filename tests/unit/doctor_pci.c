/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor_rig.h"

#define CARD  "sys/bus/pci/devices/0000:03:00.0/"
#define GROUP "sys/kernel/iommu_groups/12/"

/* Bound to a driver of the kernel, with this interface. */
static void give_to_kernel(struct rig *rig, const char *interface)
{
	char path[128];

	rig_link(rig, CARD "driver", "../../drivers/ixgbe");
	snprintf(path, sizeof(path), CARD "net/%s/flags", interface);
	rig_file(rig, path, "0x1003\n");
}

static void test_a_good_device_is_good(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_examine(&rig, RIG_PCI);
	rig_expect(&rig, "vfio-pci", DOCTOR_GOOD, "is loaded", "");
	rig_expect(&rig, "device", DOCTOR_GOOD, "is bound to vfio-pci, and free", "");
	rig_expect(&rig, "iommu", DOCTOR_GOOD, "is in group 12, which has 1 device", "");
	CU_ASSERT_PTR_NULL(rig_finding(&rig, "link"));
	CU_ASSERT_EQUAL(doctor_exit_status(&rig.report), 0);
	rig_examine(&rig, RIG_SOCKET);
	CU_ASSERT_PTR_NULL(rig_finding(&rig, "vfio-pci"));
	CU_ASSERT_PTR_NULL(rig_finding(&rig, "device"));
	rig_close(&rig);
}

static void test_a_device_that_is_not_there_is_a_fault(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_remove(&rig, "sys/bus/pci/devices");
	rig_pages(&rig, 0, 0);
	rig_examine(&rig, RIG_PCI);
	rig_expect(&rig, "device", DOCTOR_FAULT, "there is no such device", "lspci -D");
	rig_expect(&rig, "hugepages", DOCTOR_NOTE, "", NULL); /* it may do without */
	CU_ASSERT_PTR_NULL(rig_finding(&rig, "iommu"));
	CU_ASSERT_PTR_NULL(rig_finding(&rig, "vfio-pci"));
	rig_close(&rig);
}

static void test_fix_loads_vfio(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_remove(&rig, "sys/bus/pci/drivers/vfio-pci");
	rig_examine(&rig, RIG_PCI);
	rig_expect(&rig, "vfio-pci", DOCTOR_FAULT, "is not loaded", "modprobe vfio-pci");
	rig_mend(&rig);
	rig_expect_deed(&rig, "vfio-pci", 0, "/etc/modules-load.d/kante.conf");
	CU_ASSERT_STRING_EQUAL(rig.module, "vfio-pci");
	rig.module_result = -ENOENT;
	rig_mend(&rig);
	rig_expect_deed(&rig, "vfio-pci", -ENOENT, "cannot run modprobe vfio-pci: No such file");
	rig.module_result = -ECANCELED;
	rig_mend(&rig);
	rig_expect_deed(&rig, "vfio-pci", -ECANCELED, "has failed, and said why");
	rig_close(&rig);
}

static void test_a_device_of_the_kernel_is_a_fault(void)
{
	struct rig rig;

	rig_open(&rig);
	give_to_kernel(&rig, "eth1");
	rig_examine(&rig, RIG_PCI);
	rig_expect(&rig, "device", DOCTOR_FAULT, "is bound to ixgbe (interface eth1)",
	           "dpdk-devbind.py --bind=vfio-pci 0000:03:00.0 (the kernel loses it)");
	CU_ASSERT_PTR_NULL(rig_finding(&rig, "device")->fix);
	rig_remove(&rig, CARD "driver");
	rig_remove(&rig, CARD "net");
	rig_examine(&rig, RIG_PCI);
	rig_expect(&rig, "device", DOCTOR_FAULT, "is bound to no driver",
	           "dpdk-devbind.py --bind=vfio-pci 0000:03:00.0");
	CU_ASSERT_PTR_NULL(rig_finding(&rig, "device")->fix);
	rig_close(&rig);
}

static void test_a_device_that_the_machine_is_reached_by_is_not_to_be_taken(void)
{
	struct rig rig;

	rig_open(&rig);
	give_to_kernel(&rig, "eth0");
	rig_examine(&rig, RIG_PCI);
	rig_expect(&rig, "device", DOCTOR_FAULT,
	           "its interface eth0 carries the default route: taking it would cut this "
	           "machine off",
	           "(interface: eth0)");
	rig_remove(&rig, CARD "net"); /* a virtio device */
	rig_file(&rig, CARD "virtio2/net/eth0/flags", "0x1003\n");
	rig_examine(&rig, RIG_PCI);
	rig_expect(&rig, "device", DOCTOR_FAULT, "eth0 carries the default route", NULL);
	rig_remove(&rig, CARD "virtio2");
	give_to_kernel(&rig, "eth1"); /* below a bond below a bridge */
	rig_file(&rig, "sys/class/net/eth1/upper_bond0", "%s", "");
	rig_file(&rig, "sys/class/net/bond0/upper_br0", "%s", "");
	rig_file(&rig, "proc/net/route",
	         "Iface\nbr0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\n");
	rig_examine(&rig, RIG_PCI);
	rig_expect(&rig, "device", DOCTOR_FAULT, "eth1 carries the default route", NULL);
	rig_close(&rig);
}

static void test_an_ssh_session_is_not_cut_off(void)
{
	struct rig rig;

	rig_open(&rig);
	give_to_kernel(&rig, "eth1");
	rig_file(&rig, "proc/net/tcp",
	         "  sl\n   0: 010012C6:0016 4D0012C6:C350 01 0:0 0:0 0 0 0 77\n");
	rig_examine(&rig, RIG_PCI);
	rig_expect(&rig, "device", DOCTOR_FAULT, "eth1 carries the SSH session from 198.18.0.77",
	           NULL);
	/* sshd listens elsewhere, but we are in a session of it */
	rig_file(&rig, "proc/net/tcp", "  sl\n");
	rig.host.ssh_connection = "fd00::9 50000 fd00::1 2222";
	rig_examine(&rig, RIG_PCI);
	rig_expect(&rig, "device", DOCTOR_FAULT, "eth1 carries the SSH session from fd00::9", NULL);
	rig.host.ssh_connection = "192.0.2.9 50000 192.0.2.2 22"; /* by eth0 */
	rig_examine(&rig, RIG_PCI);
	rig_expect(&rig, "device", DOCTOR_FAULT, "is bound to ixgbe (interface eth1)", NULL);
	rig.host.ssh_connection = "nonsense";
	rig_examine(&rig, RIG_PCI);
	rig_expect(&rig, "device", DOCTOR_FAULT, "is bound to ixgbe (interface eth1)", NULL);
	rig_close(&rig);
}

static void test_a_ring_of_interfaces_ends(void)
{
	struct rig rig;

	rig_open(&rig);
	give_to_kernel(&rig, "eth1");
	rig_file(&rig, "sys/class/net/eth1/upper_a", "%s", "");
	rig_file(&rig, "sys/class/net/a/upper_eth1", "%s", "");
	rig_examine(&rig, RIG_PCI);
	rig_expect(&rig, "device", DOCTOR_FAULT, "is bound to ixgbe (interface eth1)", NULL);
	rig_close(&rig);
}

static void test_a_group_that_cannot_be_opened_is_a_fault(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_remove(&rig, "dev/vfio");
	rig_examine(&rig, RIG_PCI);
	rig_expect(&rig, "device", DOCTOR_FAULT, "/dev/vfio/12 cannot be opened: No such file",
	           "chown USER /dev/vfio/12");
	rig_close(&rig);
}

static void test_a_group_goes_away_only_whole(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_link(&rig, GROUP "devices/0000:03:00.1", "../nowhere");
	rig_link(&rig, GROUP "devices/0000:02:00.0", "../nowhere");
	rig_link(&rig, "sys/bus/pci/devices/0000:02:00.0/driver", "../../drivers/pcieport");
	rig_examine(&rig, RIG_PCI);
	rig_expect(&rig, "iommu", DOCTOR_GOOD, "is in group 12, which has 3 devices", "");
	rig_link(&rig, "sys/bus/pci/devices/0000:03:00.1/driver", "../../drivers/ixgbe");
	rig_examine(&rig, RIG_PCI);
	rig_expect(&rig, "iommu", DOCTOR_FAULT,
	           "group 12 also has 1 device of other drivers: 0000:03:00.1 (ixgbe)",
	           "another slot");
	for (int i = 2; i < 8; i++) {
		char path[96];

		snprintf(path, sizeof(path), GROUP "devices/0000:03:00.%d", i);
		rig_link(&rig, path, "../nowhere");
		snprintf(path, sizeof(path), "sys/bus/pci/devices/0000:03:00.%d/driver", i);
		rig_link(&rig, path, "../../drivers/ixgbe");
	}
	rig_examine(&rig, RIG_PCI);
	rig_expect(&rig, "iommu", DOCTOR_FAULT, "group 12 also has 7 devices", NULL);
	rig_close(&rig);
}

static void test_without_an_iommu_hugepages_are_needed(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_remove(&rig, CARD "iommu_group");
	rig_examine(&rig, RIG_PCI);
	rig_expect(&rig, "iommu", DOCTOR_FAULT, "this machine uses no IOMMU",
	           "intel_iommu=on iommu=pt");
	rig_file(&rig, "sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
	rig_examine(&rig, RIG_PCI);
	rig_expect(&rig, "iommu", DOCTOR_WARNING, "is used without an IOMMU", NULL);
	rig_expect(&rig, "device", DOCTOR_GOOD, "is bound to vfio-pci", "");
	rig_expect(&rig, "hugepages", DOCTOR_GOOD, "", "");
	/* as it is once the device is bound */
	rig_link(&rig, CARD "iommu_group", "../../../kernel/iommu_groups/12");
	rig_file(&rig, GROUP "name", "vfio-noiommu\n");
	rig_file(&rig, "dev/vfio/noiommu-12", "%s", "");
	rig_pages(&rig, 0, 0);
	rig_examine(&rig, RIG_PCI);
	rig_expect(&rig, "iommu", DOCTOR_WARNING, "is used without an IOMMU", NULL);
	rig_expect(&rig, "device", DOCTOR_GOOD, "is bound to vfio-pci, and free", "");
	rig_expect(&rig, "hugepages", DOCTOR_FAULT, "a device without an IOMMU", NULL);
	rig_close(&rig);
}

static void test_other_drivers_of_dpdks_will_do(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_remove(&rig, "sys/bus/pci/drivers/vfio-pci");
	rig_link(&rig, CARD "driver", "../../drivers/mlx5_core");
	rig_examine(&rig, RIG_PCI);
	rig_expect(&rig, "device", DOCTOR_GOOD, "is bound to mlx5_core", "");
	CU_ASSERT_PTR_NULL(rig_finding(&rig, "vfio-pci"));
	CU_ASSERT_PTR_NULL(rig_finding(&rig, "iommu"));
	rig_link(&rig, CARD "driver", "../../drivers/uio_pci_generic");
	rig_pages(&rig, 0, 0);
	rig_examine(&rig, RIG_PCI);
	rig_expect(&rig, "device", DOCTOR_GOOD, "is bound to uio_pci_generic", "");
	rig_expect(&rig, "iommu", DOCTOR_WARNING, "uio_pci_generic uses no IOMMU",
	           "--bind=vfio-pci");
	rig_expect(&rig, "hugepages", DOCTOR_FAULT, "", NULL);
	CU_ASSERT_PTR_NULL(rig_finding(&rig, "vfio-pci"));
	rig_close(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"a good device is good", test_a_good_device_is_good},
	    {"a device that is not there is a fault", test_a_device_that_is_not_there_is_a_fault},
	    {"--fix loads vfio-pci", test_fix_loads_vfio},
	    {"a device of the kernel is a fault", test_a_device_of_the_kernel_is_a_fault},
	    {"a device that the machine is reached by is not to be taken",
	     test_a_device_that_the_machine_is_reached_by_is_not_to_be_taken},
	    {"an SSH session is not cut off", test_an_ssh_session_is_not_cut_off},
	    {"a ring of interfaces ends", test_a_ring_of_interfaces_ends},
	    {"a group that cannot be opened is a fault",
	     test_a_group_that_cannot_be_opened_is_a_fault},
	    {"a group goes away only whole", test_a_group_goes_away_only_whole},
	    {"without an IOMMU hugepages are needed", test_without_an_iommu_hugepages_are_needed},
	    {"other drivers of DPDK's will do", test_other_drivers_of_dpdks_will_do},
	};

	return UNIT_RUN("doctor_pci", cases);
}
