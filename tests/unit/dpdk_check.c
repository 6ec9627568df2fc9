/* SPDX-License-Identifier: Apache-2.0 */
/* What is found out about a port before DPDK starts: each obstacle has its own sentence. */
#include "net/dpdk_port.h"

#include "dpdk_rig.h"

#include <sys/socket.h>
#include <sys/un.h>

FAULTY(int, -1, unlink, (const char *path), (path))

#define WITHOUT(capability) (~(1ull << (capability)))

static struct port_options options;
static char error[DPDK_ERROR_BYTES];

static struct sockaddr_in ip4_address = {.sin_family = AF_INET};
static struct sockaddr_in ip4_mask = {.sin_family = AF_INET};
static struct sockaddr_in6 ip6_address = {.sin6_family = AF_INET6};
static struct sockaddr_in6 ip6_mask = {.sin6_family = AF_INET6};

/* A machine on which a port of that kind can be opened; the test then takes something away. */
static struct dpdk_port *port_new(enum port_kind kind, const char *name)
{
	static struct dpdk_port port;

	rig_reset();
	options = (struct port_options){.kind = kind, .tcp_port = 11211};
	snprintf(options.name, sizeof(options.name), "%.*s", (int)sizeof(options.name) - 1, name);
	port = (struct dpdk_port){.options = &options, .queue_count = 1, .log = ""};
	error[0] = '\0';
	if (kind == PORT_XDP) {
		machine.has_interface = true;
		store_be32((uint8_t *)&ip4_address.sin_addr, 0xc6120002); /* 198.18.0.2 */
		store_be32((uint8_t *)&ip4_mask.sin_addr, 0xffffff00);
		memset(&ip6_mask.sin6_addr, 0xff, 8);
		machine_address(options.name, (struct sockaddr *)&ip4_address,
		                (struct sockaddr *)&ip4_mask);
	}
	return &port;
}

static void check(struct dpdk_port *port, int wanted, const char *said)
{
	CU_ASSERT_EQUAL(dpdk_port_check(port, error), wanted);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, said));
	fault_clear();
}

static void test_names_have_their_limits(void)
{
	static const char *const special[] = {"a b", "a,b", "a=b", "a[0]", "a\"", "it's", "a\tb"};

	check(port_new(PORT_TAP, ""), -EINVAL, "has no name");
	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		check(port_new(PORT_TAP, special[i]), -EINVAL, "cannot have blanks");
	check(port_new(PORT_TAP, "sixteen_and_more"), -EINVAL, "at most 15 bytes");
	check(port_new(PORT_TAP, "fifteen_or_less"), 0, "");
	/* an interface may have a longer name beside its own; that is none */
	check(port_new(PORT_XDP, "sixteen_and_more"), -ENODEV, "no such interface");
	CU_ASSERT_EQUAL(dpdk_port_check(port_new(PORT_SOCKET, "socket"), error), 0);
}

static void test_a_name_of_any_length_fits_the_message(void)
{
	char name[PORT_NAME_BYTES + DPDK_ERROR_BYTES];
	struct dpdk_port *port = port_new(PORT_TAP, "x");

	memset(name, 'x', PORT_NAME_BYTES);
	name[PORT_NAME_BYTES - 1] = '\0';
	port = port_new(PORT_TAP, name);
	check(port, -EINVAL, "at most 15 bytes");
	CU_ASSERT(strlen(error) < DPDK_ERROR_BYTES);
}

static void test_a_tap_needs_rights_and_the_module(void)
{
	struct dpdk_port *port = port_new(PORT_TAP, "kante0");

	machine.capabilities = WITHOUT(CAP_NET_ADMIN);
	check(port, -EPERM, "CAP_NET_ADMIN");
	machine.capabilities = ~0ull;
	fault_set("capget", EINVAL, 0, 1);
	check(port, -EPERM, "CAP_NET_ADMIN");
	fault_set("access", ENOENT, 0, 1);
	check(port, -ENOENT, "/dev/net/tun (No such file or directory)");
	machine.has_interface = true;
	check(port, -EEXIST, "an interface of that name exists");
	machine.has_interface = false;
	port->queue_count = 17;
	check(port, 0, "");
	CU_ASSERT_EQUAL(port->queue_count, 16);
}

static void test_xdp_needs_rights(void)
{
	static const uint64_t missing[] = {
	    WITHOUT(CAP_NET_ADMIN),
	    WITHOUT(CAP_NET_RAW),
	    WITHOUT(CAP_BPF) & WITHOUT(CAP_SYS_ADMIN),
	};
	struct dpdk_port *port = port_new(PORT_XDP, "veth0");

	for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
		machine.capabilities = missing[i];
		check(port, -EPERM, "CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF");
	}
	/* before Linux 5.8 there was no CAP_BPF */
	machine.capabilities = WITHOUT(CAP_BPF);
	check(port, 0, "");
}

static void test_xdp_needs_an_interface_that_is_up_and_has_an_mtu_that_fits(void)
{
	struct dpdk_port *port = port_new(PORT_XDP, "veth0");

	machine.has_interface = false;
	check(port, -ENODEV, "check `interface:`");
	machine.has_interface = true;
	machine.interface_flags = IFF_BROADCAST;
	check(port, -ENETDOWN, "ip link set dev veth0 up");
	machine.interface_flags = IFF_UP;
	fault_set("SIOCGIFMTU", ENODEV, 0, 1);
	check(port, -ENODEV, "cannot ask for its MTU");
	fault_set("socket", EMFILE, 0, 2); /* the flags, then the MTU */
	check(port, -EMFILE, "cannot ask for its MTU: Too many open files");
	machine.mtu = 9000;
	check(port, -EINVAL, "ip link set dev veth0 mtu 3498");
	machine.mtu = 3498;
	check(port, 0, "");
	CU_ASSERT_EQUAL(port->mtu, 3498);
}

static void test_xdp_needs_a_worker_for_each_queue(void)
{
	static const struct {
		struct ethtool_channels channels;
		uint32_t worker_count;
		int wanted;
		const char *said;
		uint32_t queue_count; /* if it is good */
	} tries[] = {
	    {{.max_combined = 4, .combined_count = 4}, 4, 0, "", 4},
	    {{.max_combined = 4, .combined_count = 2, .rx_count = 2}, 4, 0, "", 4},
	    {{.max_combined = 4, .combined_count = 4},
	     2,
	     -EINVAL,
	     "needs more workers: 2 workers",
	     0},
	    {{.max_combined = 4, .combined_count = 4},
	     2,
	     -EINVAL,
	     "`ethtool -L veth0 combined 2`",
	     0},
	    {{.max_combined = 1, .combined_count = 1}, 2, 0, "", 1},
	    {{.rx_count = 1, .tx_count = 1}, 1, 0, "", 1},
	    {{.rx_count = 2, .tx_count = 2}, 1, -ENOTSUP, "`ethtool -L veth0 rx 1 tx 1`", 0},
	};

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		struct dpdk_port *port = port_new(PORT_XDP, "veth0");

		machine.channels = tries[i].channels;
		port->queue_count = tries[i].worker_count;
		check(port, tries[i].wanted, tries[i].said);
		if (tries[i].wanted == 0)
			CU_ASSERT_EQUAL(port->queue_count, tries[i].queue_count);
	}
	struct dpdk_port *port = port_new(PORT_XDP, "veth0");

	/* where there is nothing to ask, there is one queue */
	fault_set("SIOCETHTOOL", EOPNOTSUPP, 0, 1);
	check(port, 0, "");
	fault_set("SIOCETHTOOL", EIO, 0, 1);
	check(port, -EIO, "cannot ask for its queues: Input/output error");
}

static void test_xdp_takes_the_addresses_of_its_interface(void)
{
	static struct sockaddr link = {.sa_family = AF_PACKET};
	struct dpdk_port *port = port_new(PORT_XDP, "veth0");
	char text[IP_ADDRESS_TEXT_MAX];

	machine_address("veth1", (struct sockaddr *)&ip4_address, (struct sockaddr *)&ip4_mask);
	machine_address("veth0", &link, &link);
	machine_address("veth0", NULL, NULL);
	machine_address("veth0", (struct sockaddr *)&ip4_address, NULL);
	machine_address("veth0", (struct sockaddr *)&ip6_address, (struct sockaddr *)&ip6_mask);
	check(port, 0, "");
	CU_ASSERT_EQUAL_FATAL(options.address_count, 2);
	ip_address_format(&options.addresses[0].address, text);
	CU_ASSERT_STRING_EQUAL(text, "198.18.0.2");
	CU_ASSERT_EQUAL(options.addresses[0].length, 96 + 24);
	CU_ASSERT_EQUAL(options.addresses[1].length, 64);
	/* more than we can hold are passed over */
	port = port_new(PORT_XDP, "veth0");
	for (int i = 0; i < PORT_ADDRESS_COUNT_MAX; i++)
		machine_address("veth0", (struct sockaddr *)&ip6_address,
		                (struct sockaddr *)&ip6_mask);
	check(port, 0, "");
	CU_ASSERT_EQUAL(options.address_count, PORT_ADDRESS_COUNT_MAX);
	machine.address_count = 0;
	check(port, -EADDRNOTAVAIL, "the interface has no address");
	fault_set("getifaddrs", ENOMEM, 0, 1);
	check(port, -EADDRNOTAVAIL, "the interface has no address");
}

static void test_xdp_needs_an_interface_that_nobody_else_has(void)
{
	struct dpdk_port *port = port_new(PORT_XDP, "veth0");

	fault_set("bpf_xdp_query", ENOSYS, 0, 1);
	check(port, -ENOSYS, "cannot ask for its XDP program");
	machine.program_id = 0x7ffffff0; /* no such program: none of ours */
	check(port, -EBUSY, "another XDP program");
}

static int listener_open(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	CU_ASSERT_EQUAL_FATAL(listen(fd, 1), 0);
	return fd;
}

static void test_a_memif_socket_needs_a_place_of_its_own(void)
{
	char folder[] = "/tmp/kante-check-XXXXXX", path[64], below[80];
	int fd;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/memif.sock", folder);
	snprintf(below, sizeof(below), "%s/more", path);
	check(port_new(PORT_MEMIF, "memif.sock"), -EINVAL, "by its whole path");
	check(port_new(PORT_MEMIF, "run/memif.sock"), -EINVAL, "by its whole path");
	check(port_new(PORT_MEMIF, "/nowhere/memif.sock"), -ENOENT, "cannot be made in /nowhere/");
	check(port_new(PORT_MEMIF, path), 0, "");
	/* a living server's */
	fd = listener_open(path);
	check(port_new(PORT_MEMIF, path), -EADDRINUSE, "another process listens");
	CU_ASSERT_EQUAL(access(path, F_OK), 0);
	check(port_new(PORT_MEMIF, below), -ENOTDIR, "cannot be made in");
	close(fd);
	/* a dead one's */
	struct dpdk_port *port = port_new(PORT_MEMIF, path);

	fault_set("socket", EMFILE, 0, 1);
	check(port, -EMFILE, "Too many open files");
	fault_set("unlink", EACCES, 0, 1);
	check(port, -EACCES, "remove it by hand");
	check(port, 0, "");
	CU_ASSERT_EQUAL(access(path, F_OK), -1);
	/* what is no socket is somebody's */
	fclose(fopen(path, "w"));
	check(port_new(PORT_MEMIF, path), -EEXIST, "is no socket");
	CU_ASSERT_EQUAL(unlink(path), 0);
	CU_ASSERT_EQUAL(rmdir(folder), 0);
}

static void test_a_pci_device_has_to_be_there_and_free(void)
{
	static const struct {
		const char *name, *driver;
		bool has_iommu;
		int wanted;
		const char *said;
	} tries[] = {
	    {"03:00.0", "vfio-pci", true, -EINVAL, "written like 0000:03:00.0"},
	    {"0000:03:00.00", "vfio-pci", true, -EINVAL, "written like 0000:03:00.0"},
	    {"0000:03:00.0", NULL, true, -ENODEV, "no such device"},
	    {"0000:03:00.0", "", true, -EBUSY, "is bound to no driver"},
	    {"0000:03:00.0", "e1000e", true, -EBUSY, "is bound to the kernel driver e1000e"},
	    {"0000:03:00.0", "vfio-pci", false, -ENOTSUP, "uses no IOMMU"},
	    {"0000:03:00.0", "vfio-pci", true, 0, ""},
	    {"0000:03:00.0", "uio_pci_generic", false, 0, ""},
	    {"0000:03:00.0", "mlx5_core", false, 0, ""},
	    /* no driver has a name that long: it is taken for none */
	    {"0000:03:00.0",
	     "a_driver_with_a_name_of_more_than_sixty_four_bytes_is_hard_to_imagine", true, -EBUSY,
	     "is bound to no driver"},
	};

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		struct dpdk_port *port = port_new(PORT_PCI, tries[i].name);

		machine.driver = tries[i].driver;
		machine.has_iommu = tries[i].has_iommu;
		check(port, tries[i].wanted, tries[i].said);
	}
}

static void test_a_pci_device_has_to_be_ours_alone(void)
{
	static const struct {
		int error_number, wanted;
		const char *said;
	} tries[] = {
	    {EBUSY, -EBUSY, "another process has it (/dev/vfio/12): `fuser -v /dev/vfio/12`"},
	    {EACCES, -EACCES, "may not open /dev/vfio/12: start as root"},
	    {EPERM, -EPERM, "start as root"},
	    {ENOENT, 0, ""},
	};

	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		struct dpdk_port *port = port_new(PORT_PCI, "0000:03:00.0");

		machine.driver = "vfio-pci";
		machine.has_iommu = true;
		fault_set("open of the group", tries[i].error_number, 0, 1);
		check(port, tries[i].wanted, tries[i].said);
	}
}

static const struct unit_case cases[] = {
    {"names have their limits", test_names_have_their_limits},
    {"a name of any length fits the message", test_a_name_of_any_length_fits_the_message},
    {"a tap needs rights and the module", test_a_tap_needs_rights_and_the_module},
    {"XDP needs rights", test_xdp_needs_rights},
    {"XDP needs an interface that is up, with an MTU that fits",
     test_xdp_needs_an_interface_that_is_up_and_has_an_mtu_that_fits},
    {"XDP needs a worker for each queue", test_xdp_needs_a_worker_for_each_queue},
    {"XDP takes the addresses of its interface", test_xdp_takes_the_addresses_of_its_interface},
    {"XDP needs an interface that nobody else has",
     test_xdp_needs_an_interface_that_nobody_else_has},
    {"a memif socket needs a place of its own", test_a_memif_socket_needs_a_place_of_its_own},
    {"a PCI device has to be there and free", test_a_pci_device_has_to_be_there_and_free},
    {"a PCI device has to be ours alone", test_a_pci_device_has_to_be_ours_alone},
};

int main(void)
{
	return UNIT_RUN("dpdk_check", cases);
}
