/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor_rig.h"

#include <sys/socket.h>

#define HASH                                                                                       \
	"$6$saltsalt$8RWsOfwR6M6PpnoeQiEiWzNTPo1f0HjVYjDnLZhGx16aBFRk"                             \
	"eqiHAzfXP/LgrOWMBMXqiU2pLrXsSOHNUyUm91"
#define RIG_UNIX "ports: [{kind: socket, listen: /run/kante.sock}]\n"

static void test_a_good_host_is_good(void)
{
	static const char *const checks[] = {"kernel", "capabilities", "open files", "core files",
	                                     "clock",  "clock source", "port",       "somaxconn"};
	struct rig rig;

	rig_open(&rig);
	rig_examine(&rig, RIG_SOCKET);
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		rig_expect(&rig, checks[i], DOCTOR_GOOD, "", "");
	CU_ASSERT_PTR_NULL(rig_finding(&rig, "auth_file"));
	CU_ASSERT_PTR_NULL(rig_finding(&rig, "memory lock"));
	CU_ASSERT_EQUAL(doctor_exit_status(&rig.report), 0);
	rig_close(&rig);
}

static void test_the_faults_of_a_config_are_told_one_by_one(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_examine(&rig, RIG_SOCKET);
	rig.options.config = NULL;
	rig.options.config_faults = "kante.yaml:1: workers: no\nkante.yaml:2: memory: \x1b[no";
	doctor_examine(&rig.report, &rig.options);
	CU_ASSERT_STRING_EQUAL(rig.report.findings[0].found, "kante.yaml:1: workers: no");
	CU_ASSERT_STRING_EQUAL(rig.report.findings[1].found, "kante.yaml:2: memory: ?[no");
	CU_ASSERT_EQUAL(rig.report.findings[1].level, DOCTOR_FAULT);
	CU_ASSERT_EQUAL(doctor_exit_status(&rig.report), 2);
	rig_close(&rig);
}

static void test_an_xdp_port_needs_a_kernel_that_has_it(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "kernel", DOCTOR_GOOD, "Linux 6.1.0-18-amd64", "");
	rig_file(&rig, "proc/sys/kernel/osrelease", "5.4.0\n");
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "kernel", DOCTOR_FAULT, "Linux 5.4.0: an xdp port needs 5.18", "newer");
	rig_file(&rig, "proc/sys/kernel/osrelease", "5.18.0\n");
	rig_file(&rig, "proc/net/protocols", "protocol\nTCP 2304\n");
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "kernel", DOCTOR_FAULT, "no AF_XDP sockets", "CONFIG_XDP_SOCKETS");
	rig_examine(&rig, RIG_SOCKET); /* which does not need them */
	rig_expect(&rig, "kernel", DOCTOR_GOOD, "Linux 5.18.0", "");
	rig_file(&rig, "proc/net/protocols", "XDP 1088\n");
	rig_remove(&rig, "proc/sys/kernel/unprivileged_bpf_disabled");
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "kernel", DOCTOR_FAULT, "no BPF system call", "CONFIG_BPF_SYSCALL");
	rig_file(&rig, "proc/sys/kernel/unprivileged_bpf_disabled", "2\n");
	rig_file(&rig, "proc/sys/net/core/bpf_jit_enable", "0\n");
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "kernel", DOCTOR_NOTE, "is interpreted", "bpf_jit_enable=1");
	rig_file(&rig, "proc/sys/kernel/osrelease", "BSD\n");
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "kernel", DOCTOR_SKIPPED, "BSD", "");
	rig_close(&rig);
}

static void test_capabilities_are_asked_for_by_the_ports(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_be_nobody(&rig);
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "capabilities", DOCTOR_FAULT,
	           "user 65534 lacks CAP_NET_ADMIN CAP_NET_RAW CAP_BPF",
	           "AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW CAP_BPF");
	rig_examine(&rig, RIG_TAP);
	rig_expect(&rig, "capabilities", DOCTOR_FAULT, "lacks CAP_NET_ADMIN,", NULL);
	rig_examine(&rig, RIG_SOCKET);
	rig_expect(&rig, "capabilities", DOCTOR_NOTE, "lacks CAP_SYS_NICE", NULL);
	/* CAP_SYS_ADMIN stands for CAP_BPF */
	rig_file(&rig, "proc/self/status", "CapEff:\t%016llx\n",
	         1ull << CAP_NET_ADMIN | 1ull << CAP_NET_RAW | 1ull << CAP_SYS_ADMIN |
	             1ull << CAP_SYS_NICE);
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "capabilities", DOCTOR_GOOD, "has all", "");
	rig_close(&rig);
}

static void test_descriptors_are_counted(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_limits(&rig, "4096", "unlimited", "0");
	rig_examine(&rig, "max_connections: 100000\n" RIG_SOCKET);
	rig_expect(&rig, "open files", DOCTOR_GOOD, "may raise it, and kanted does", "");
	rig_be_nobody(&rig);
	rig_examine(&rig, "max_connections: 100000\n" RIG_SOCKET);
	rig_expect(&rig, "open files", DOCTOR_FAULT, "is 4096, max_connections 100000 needs 100256",
	           "LimitNOFILE=100256");
	rig_examine(&rig, "max_connections: 3840\n" RIG_SOCKET);
	rig_expect(&rig, "open files", DOCTOR_GOOD, "may be 4096", "");
	rig_file(&rig, "proc/sys/fs/nr_open", "50000\n");
	rig_examine(&rig, "max_connections: 100000\n" RIG_SOCKET);
	rig_expect(&rig, "open files", DOCTOR_FAULT, "fs.nr_open is 50000",
	           "sysctl -w fs.nr_open=100256");
	rig_examine(&rig, "max_connections: 100000\n" RIG_XDP); /* takes none for its clients */
	CU_ASSERT_PTR_NULL(rig_finding(&rig, "open files"));
	rig_remove(&rig, "proc/self/limits");
	rig_examine(&rig, RIG_SOCKET);
	rig_expect(&rig, "open files", DOCTOR_SKIPPED, "No such file", "");
	rig_file(&rig, "proc/self/limits", "Limit\n");
	rig_examine(&rig, RIG_SOCKET);
	rig_expect(&rig, "open files", DOCTOR_SKIPPED, "does not tell", "");
	rig_close(&rig);
}

static void test_devices_lock_memory(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_limits(&rig, "4096", "8388608", "0");
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "memory lock", DOCTOR_GOOD, "does not hold for user", "");
	rig_be_nobody(&rig);
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "memory lock", DOCTOR_FAULT, "is 8192 KiB, the config's ports need",
	           "LimitMEMLOCK=infinity");
	rig_limits(&rig, "4096", "unlimited", "0");
	rig_examine(&rig, RIG_PCI);
	rig_expect(&rig, "memory lock", DOCTOR_GOOD, "is high enough", "");
	/* kanted raises it for xdp ports, and not for others */
	rig_limits(&rig, "4096", "8388608", "0");
	rig_file(&rig, "proc/self/status", "CapEff:\t%016llx\n", 1ull << CAP_SYS_RESOURCE);
	rig_examine(&rig, RIG_XDP);
	rig_expect(&rig, "memory lock", DOCTOR_GOOD, "does not hold", "");
	rig_examine(&rig, RIG_PCI);
	rig_expect(&rig, "memory lock", DOCTOR_FAULT, "is 8192 KiB", NULL);
	rig_close(&rig);
}

static void test_a_crash_should_leave_something(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_limits(&rig, "4096", "unlimited", "0");
	rig_examine(&rig, RIG_SOCKET);
	rig_expect(&rig, "core files", DOCTOR_NOTE, "the limit is 0", "LimitCORE=infinity");
	rig_file(&rig, "proc/sys/kernel/core_pattern", "|/lib/systemd/systemd-coredump %%P\n");
	rig_examine(&rig, RIG_SOCKET);
	rig_expect(&rig, "core files", DOCTOR_GOOD, "given to /lib/systemd/systemd-coredump", "");
	rig_close(&rig);
}

static void test_fix_raises_somaxconn(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_file(&rig, "proc/sys/net/core/somaxconn", "128\n");
	rig_examine(&rig, RIG_SOCKET);
	rig_expect(&rig, "somaxconn", DOCTOR_NOTE, "is 128, below the config's `backlog` of 4096",
	           "sysctl -w net.core.somaxconn=4096");
	rig_mend(&rig);
	rig_expect_deed(&rig, "somaxconn", 0, "to 4096 (was 128); after a reboot, too:");
	rig_expect_file(&rig, "proc/sys/net/core/somaxconn", "4096");
	rig_link(&rig, "proc/sys/net/core/somaxconn", "/dev/full");
	rig_mend(&rig);
	rig_expect_deed(&rig, "somaxconn", -ENOSPC, "cannot set net.core.somaxconn: No space");
	rig_remove(&rig, "proc/sys/net/core/somaxconn");
	rig_examine(&rig, RIG_SOCKET);
	rig_expect(&rig, "somaxconn", DOCTOR_SKIPPED, "cannot be read", "");
	rig_examine(&rig, RIG_XDP);
	CU_ASSERT_PTR_NULL(rig_finding(&rig, "somaxconn"));
	rig_close(&rig);
}

static void test_the_clock_should_be_right_and_cheap(void)
{
	struct rig rig;

	rig_open(&rig);
	rig.clock.esterror = 1500;
	rig_examine(&rig, RIG_SOCKET);
	rig_expect(&rig, "clock", DOCTOR_GOOD, "is synchronised, to about 1.5 ms", "");
	rig.clock.status = STA_UNSYNC;
	rig_examine(&rig, RIG_SOCKET);
	rig_expect(&rig, "clock", DOCTOR_WARNING, "is not synchronised", "chrony");
	CU_ASSERT_EQUAL(doctor_exit_status(&rig.report), 1);
	rig.clock_result = -EPERM;
	rig_examine(&rig, RIG_SOCKET);
	rig_expect(&rig, "clock", DOCTOR_SKIPPED, "Operation not permitted", "");
	rig_file(&rig, "sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n");
	rig_examine(&rig, RIG_SOCKET);
	rig_expect(&rig, "clock source", DOCTOR_NOTE, "hpet: every turn", "echo tsc >");
	rig_file(&rig, "sys/devices/system/clocksource/clocksource0/available_clocksource",
	         "hpet acpi_pm \n");
	rig_examine(&rig, RIG_SOCKET);
	rig_expect(&rig, "clock source", DOCTOR_NOTE, "hpet", "dmesg | grep -i tsc");
	rig_file(&rig, "sys/devices/system/clocksource/clocksource0/current_clocksource", "\n");
	rig_examine(&rig, RIG_SOCKET);
	rig_expect(&rig, "clock source", DOCTOR_SKIPPED, "it is empty", "");
	rig_remove(&rig, "sys/devices/system/clocksource");
	rig_examine(&rig, RIG_SOCKET);
	rig_expect(&rig, "clock source", DOCTOR_SKIPPED, "No such file", "");
	rig_close(&rig);
}

static void test_an_auth_file_is_read(void)
{
	static const char config[] = "auth_file: /etc/kante/users\n" RIG_SOCKET;
	char path[128];
	struct rig rig;

	rig_open(&rig);
	rig_examine(&rig, config);
	rig_expect(&rig, "auth_file", DOCTOR_FAULT, "/etc/kante/users: there is no such file",
	           "kanted --check -c kante.yaml");
	CU_ASSERT_EQUAL(rig_finding(&rig, "auth_file")->found[0], '/');
	CU_ASSERT_PTR_NULL(strstr(rig_finding(&rig, "auth_file")->found, rig.root));
	rig_file(&rig, "etc/kante/users", "alice:%s\n", HASH);
	snprintf(path, sizeof(path), "%s/etc/kante/users", rig.root);
	CU_ASSERT_EQUAL(chmod(path, 0640), 0);
	rig_examine(&rig, config);
	rig_expect(&rig, "auth_file", DOCTOR_GOOD, "/etc/kante/users is good", "");
	CU_ASSERT_EQUAL(chmod(path, 0644), 0);
	rig_examine(&rig, config);
	rig_expect(&rig, "auth_file", DOCTOR_NOTE, "mode 0644", "chmod o-r /etc/kante/users");
	CU_ASSERT_EQUAL(chmod(path, 0660), 0);
	rig_examine(&rig, config);
	rig_expect(&rig, "auth_file", DOCTOR_WARNING, "mode 0660", "chmod go-w");
	rig_file(&rig, "etc/kante/users", "alice:secret\nbob:secret\n");
	rig_examine(&rig, config);
	rig_expect(&rig, "auth_file", DOCTOR_FAULT, "users:1: a plain password", NULL);
	CU_ASSERT_PTR_NULL(strstr(rig_finding(&rig, "auth_file")->found, "bob"));
	rig_close(&rig);
}

static void test_a_taken_port_is_told_with_who_has_it(void)
{
	struct rig rig;

	rig_open(&rig);
	rig.bind_tcp = -EADDRINUSE;
	rig_file(&rig, "proc/net/tcp",
	         "  sl\n   0: 0100007F:1234 00000000:0000 0A 0:0 0:0 0 0 0 54\n"
	         "   1: 0100007F:2BCB 0100007F:9999 01 0:0 0:0 0 0 0 53\n"
	         "   2: 0100007F:2BCB 00000000:0000 0A 0:0 0:0 0 0 0 55\n");
	rig_examine(&rig, RIG_SOCKET);
	rig_expect(&rig, "port", DOCTOR_FAULT, "tcp port 11211 is taken by another process",
	           "`ss -lnpt sport = :11211`");
	rig_process(&rig, 77, "memcached", 55);
	rig_examine(&rig, RIG_SOCKET);
	rig_expect(&rig, "port", DOCTOR_FAULT, "is taken by memcached (pid 77)", "stop it");
	rig_remove(&rig, "proc/77");
	rig_process(&rig, 78, "kanted", 55);
	rig_examine(&rig, RIG_SOCKET);
	rig_expect(&rig, "port", DOCTOR_NOTE, "is taken by kanted (pid 78)",
	           "if that is not the kanted of this config");
	rig_close(&rig);
}

static void test_who_has_a_port_may_have_it_by_another_address(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_process(&rig, 77, "memcached", 55);
	rig.bind_udp = -EADDRINUSE;
	rig_file(&rig, "proc/net/udp6",
	         "  sl\n   0: 00000000000000000000000000000000:2BCB "
	         "00000000000000000000000000000000:0000 07 0:0 0:0 0 0 0 55\n");
	rig_examine(&rig, "ports: [{kind: socket, listen: \"127.0.0.1:11211\", udp: 11211}]\n");
	rig_expect(&rig, "port", DOCTOR_FAULT, "udp port 11211 is taken by memcached (pid 77)",
	           "`ss -lnpu sport = :11211`");
	rig_remove(&rig, "proc/net/udp6");
	rig_file(&rig, "proc/net/udp",
	         "  sl\n   0: 0200000A:2BCB 00000000:0000 07 0:0 0:0 0 0 0 55\n");
	rig_examine(&rig, "ports: [{kind: socket, listen: \"0.0.0.0:11211\", udp: 11211, allow: "
	                  "any}]\n");
	rig_expect(&rig, "port", DOCTOR_FAULT, "taken by memcached (pid 77)", NULL);
	rig_examine(&rig, "ports: [{kind: socket, listen: \"[::1]:11211\", udp: 11211}]\n");
	rig_expect(&rig, "port", DOCTOR_FAULT, "taken by another process", NULL);
	rig_close(&rig);
}

static void test_addresses_that_cannot_be_had_are_faults(void)
{
	struct rig rig;

	rig_open(&rig);
	rig.bind_tcp = -EADDRNOTAVAIL;
	rig_examine(&rig, RIG_SOCKET);
	rig_expect(&rig, "port", DOCTOR_FAULT, "Cannot assign requested address", "ip address add");
	rig.bind_tcp = -EACCES;
	rig_examine(&rig, RIG_SOCKET);
	rig_expect(&rig, "port", DOCTOR_FAULT, "Permission denied", "CAP_NET_BIND_SERVICE");
	rig.bind_tcp = -EAFNOSUPPORT;
	rig_examine(&rig, RIG_SOCKET);
	rig_expect(&rig, "port", DOCTOR_FAULT, "not supported", "IPv4");
	rig.bind_tcp = -ENOMEM;
	rig_examine(&rig, RIG_SOCKET);
	rig_expect(&rig, "port", DOCTOR_FAULT, "Cannot allocate memory", "another address");
	rig_close(&rig);
}

static void make_socket(const struct rig *rig, const char *name)
{
	struct sockaddr_un {
		sa_family_t family;
		char path[108];
	} address = {.family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.path, sizeof(address.path), "%s/%s", rig->root, name);
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
}

static void test_the_path_of_a_socket_must_be_free(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_examine(&rig, RIG_UNIX);
	rig_expect(&rig, "path", DOCTOR_GOOD, "the path is free", "");
	make_socket(&rig, "run/kante.sock");
	rig_examine(&rig, RIG_UNIX);
	rig_expect(&rig, "path", DOCTOR_GOOD, "nobody listens on the socket", "");
	rig_file(&rig, "proc/net/unix",
	         "Num\n0000000000000000: 00000002 00000000 00010000 0001 01 55 /run/kante.sock\n");
	rig_process(&rig, 77, "memcached", 55);
	rig_examine(&rig, RIG_UNIX);
	rig_expect(&rig, "path", DOCTOR_FAULT, "memcached (pid 77) listens there", "stop it");
	rig_remove(&rig, "run/kante.sock");
	rig_file(&rig, "run/kante.sock", "text");
	rig_examine(&rig, RIG_UNIX);
	rig_expect(&rig, "path", DOCTOR_FAULT, "no socket", "rm /run/kante.sock");
	rig_examine(&rig, "ports: [{kind: memif, socket: /var/run/kante/m.sock, addresses: "
	                  "[198.18.0.2/24], tcp: 11211, allow: any}]\n");
	rig_expect(&rig, "path", DOCTOR_FAULT, "no socket can be made in /var/run/kante",
	           "mkdir -p /var/run/kante");
	rig_file(&rig, "var/run/kante", "%s", "");
	rig_examine(&rig, "ports: [{kind: memif, socket: /var/run/kante/m.sock, addresses: "
	                  "[198.18.0.2/24], tcp: 11211, allow: any}]\n");
	rig_expect(&rig, "path", DOCTOR_FAULT, "no socket can be made", NULL);
	rig_close(&rig);
}

static void test_a_tap_needs_its_device_and_its_name(void)
{
	struct rig rig;

	rig_open(&rig);
	rig_examine(&rig, RIG_TAP);
	rig_expect(&rig, "tun", DOCTOR_GOOD, "no interface has the name", "");
	rig_interface(&rig, "kante0", NULL);
	rig_examine(&rig, RIG_TAP);
	rig_expect(&rig, "tun", DOCTOR_FAULT, "an interface of that name", "choose another name");
	rig_process(&rig, 321, "kanted", 1);
	rig_examine(&rig, RIG_TAP);
	rig_expect(&rig, "tun", DOCTOR_NOTE, "an interface of that name", "kanted (pid 321)");
	rig_remove(&rig, "dev/net/tun");
	rig_examine(&rig, RIG_TAP);
	rig_expect(&rig, "tun", DOCTOR_FAULT, "/dev/net/tun cannot be used: No such file",
	           "modprobe tun");
	rig_close(&rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"a good host is good", test_a_good_host_is_good},
	    {"the faults of a config are told one by one",
	     test_the_faults_of_a_config_are_told_one_by_one},
	    {"an xdp port needs a kernel that has it", test_an_xdp_port_needs_a_kernel_that_has_it},
	    {"capabilities are asked for by the ports",
	     test_capabilities_are_asked_for_by_the_ports},
	    {"descriptors are counted", test_descriptors_are_counted},
	    {"devices lock memory", test_devices_lock_memory},
	    {"a crash should leave something", test_a_crash_should_leave_something},
	    {"--fix raises somaxconn", test_fix_raises_somaxconn},
	    {"the clock should be right and cheap", test_the_clock_should_be_right_and_cheap},
	    {"an auth_file is read", test_an_auth_file_is_read},
	    {"a taken port is told with who has it", test_a_taken_port_is_told_with_who_has_it},
	    {"who has a port may have it by another address",
	     test_who_has_a_port_may_have_it_by_another_address},
	    {"addresses that cannot be had are faults",
	     test_addresses_that_cannot_be_had_are_faults},
	    {"the path of a socket must be free", test_the_path_of_a_socket_must_be_free},
	    {"a tap needs its device and its name", test_a_tap_needs_its_device_and_its_name},
	};

	return UNIT_RUN("doctor_system", cases);
}
