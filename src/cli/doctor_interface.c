/* SPDX-License-Identifier: Apache-2.0 */
/* The interfaces of xdp ports: whether frames can come and go. */
#include "cli/doctor_internal.h"

#include "net/address.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define NET          "/sys/class/net/"
#define MTU_MAX      3498u /* as net/dpdk_check.c has it: a frame and all heads fit one page */
#define PEER_MTU_MAX 3506u /* of a veth's other end, likewise by the kernel (veth_xdp_set()) */
#define SPEED_SLOW   1000u /* megabits a second */
#define VALUE_BYTES  64

/* Runs `check` for each xdp port whose interface is there. */
void doctor_each_interface(struct doctor *doctor,
                           void (*check)(struct doctor *doctor, const char *about,
                                         const struct port_options *port))
{
	char about[DOCTOR_ABOUT_BYTES];

	for (uint32_t i = 0; doctor->config != NULL && i < doctor->config->port_count; i++) {
		const struct port_options *port = &doctor->config->ports[i];

		if (port->kind != PORT_XDP || !doctor_exists(doctor, NET "%s", port->name))
			continue;
		doctor_about_port(about, port);
		check(doctor, about, port);
	}
}

void doctor_driver_of(const struct doctor *doctor, const char *interface, char *ret_driver,
                      size_t driver_bytes)
{
	struct ethtool_drvinfo information = {.cmd = ETHTOOL_GDRVINFO};
	struct ifreq ifreq = {.ifr_data = (char *)&information};

	doctor_read_link(doctor, ret_driver, driver_bytes, NET "%s/device/driver", interface);
	if (ret_driver[0] != '\0' ||
	    doctor->host->interface_ioctl(doctor->host, interface, SIOCETHTOOL, &ifreq) < 0)
		return;
	information.driver[sizeof(information.driver) - 1] = '\0';
	snprintf(ret_driver, driver_bytes, "%s", information.driver);
}

/* Those that there are. */
static bool take_name(void *context, const char *name)
{
	char *text = context;
	size_t used = strlen(text);

	if (strcmp(name, "lo") != 0)
		snprintf(text + used, DOCTOR_LIST_BYTES - used, "%s%s", used == 0 ? "" : ", ",
		         name);
	return true;
}

void doctor_check_interfaces(struct doctor *doctor)
{
	for (uint32_t i = 0; doctor->config != NULL && i < doctor->config->port_count; i++) {
		const struct port_options *port = &doctor->config->ports[i];
		char about[DOCTOR_ABOUT_BYTES], driver[VALUE_BYTES], names[DOCTOR_LIST_BYTES] = "";
		struct doctor_finding *finding;

		if (port->kind != PORT_XDP)
			continue;
		doctor_about_port(about, port);
		if (doctor_exists(doctor, NET "%s", port->name)) {
			doctor_driver_of(doctor, port->name, driver, sizeof(driver));
			doctor_say(doctor, DOCTOR_GOOD, about, "is there, its driver is %s",
			           driver[0] == '\0' ? "not known" : driver);
			continue;
		}
		(void)doctor_read_directory(doctor, NET, take_name, names);
		finding = doctor_say(doctor, DOCTOR_FAULT, about, "there is no such interface");
		doctor_advise(finding, "name one in `interface`: there is %s",
		              names[0] == '\0' ? "none but lo" : names);
	}
}

/* fix_value: the port's place in the config. Only one that nothing goes through is touched: an
 * operator may have taken it down for a reason that his session depends on. */
static int fix_link(const struct doctor *doctor, const struct doctor_finding *finding, char *text,
                    size_t text_bytes)
{
	const char *name = doctor->config->ports[finding->fix_value].name;
	struct ifreq ifreq = {0};
	int r = doctor->host->interface_ioctl(doctor->host, name, SIOCGIFFLAGS, &ifreq);

	if (r == 0) {
		ifreq.ifr_flags |= IFF_UP;
		r = doctor->host->interface_ioctl(doctor->host, name, SIOCSIFFLAGS, &ifreq);
	}
	if (r < 0)
		return doctor_fix_failed(text, text_bytes, r, "cannot bring the interface up");
	snprintf(text, text_bytes,
	         "brought %s up; after a reboot, too: printf 'auto %s\\niface %s inet manual\\n' > "
	         "/etc/network/interfaces.d/%s",
	         name, name, name, name);
	return 0;
}

static void say_down(struct doctor *doctor, const char *about, const struct port_options *port)
{
	struct doctor_finding *finding =
	    doctor_say(doctor, DOCTOR_FAULT, about, "the interface is down");
	char why[DOCTOR_ABOUT_BYTES];

	doctor_advise(finding, "ip link set dev %s up", port->name);
	/* eth0 is by custom what a machine is reached by. */
	if (strcmp(port->name, "eth0") == 0 || doctor_is_lifeline(doctor, port->name, why))
		return;
	finding->fix = fix_link;
	finding->fix_value = (uint64_t)(port - doctor->config->ports);
}

static void check_speed(struct doctor *doctor, const char *about, const struct port_options *port)
{
	struct doctor_finding *finding;
	char duplex[VALUE_BYTES];
	uint64_t speed;

	if (doctor_read_number(doctor, &speed, NET "%s/speed", port->name) < 0 || speed == 0 ||
	    speed > INT32_MAX) {
		doctor_say(doctor, DOCTOR_GOOD, about, "is up; it does not tell its speed");
		return;
	}
	(void)doctor_read(doctor, duplex, sizeof(duplex), NET "%s/duplex", port->name);
	if (speed >= SPEED_SLOW && strcmp(duplex, "half") != 0) {
		doctor_say(doctor, DOCTOR_GOOD, about, "is up, at %llu Mbit/s",
		           (unsigned long long)speed);
		return;
	}
	finding = doctor_say(doctor, DOCTOR_NOTE, about, "is up, at %llu Mbit/s only, %s duplex",
	                     (unsigned long long)speed, duplex[0] == '\0' ? "unknown" : duplex);
	doctor_advise(finding, "look at cable and switch: `ethtool %s` shows what both sides offer",
	              port->name);
}

static void check_link(struct doctor *doctor, const char *about, const struct port_options *port)
{
	struct doctor_finding *finding;
	char text[VALUE_BYTES], driver[VALUE_BYTES];
	unsigned long flags;
	int r = doctor_read(doctor, text, sizeof(text), NET "%s/flags", port->name);

	if (r < 0) {
		doctor_say(doctor, DOCTOR_SKIPPED, about, NET "%s/flags cannot be read: %s",
		           port->name, strerror(-r));
		return;
	}
	flags = strtoul(text, NULL, 16);
	(void)doctor_read(doctor, text, sizeof(text), NET "%s/carrier", port->name);
	if (!(flags & IFF_UP)) {
		say_down(doctor, about, port);
		return;
	}
	if (strcmp(text, "0") != 0) {
		check_speed(doctor, about, port);
		return;
	}
	doctor_driver_of(doctor, port->name, driver, sizeof(driver));
	finding = doctor_say(doctor, DOCTOR_WARNING, about,
	                     strcmp(driver, "veth") == 0 ? "its peer is down: no frame comes"
	                                                 : "has no link: no frame comes");
	doctor_advise(finding,
	              strcmp(driver, "veth") == 0
	                  ? "ip link set dev PEER up, in its namespace (`ip -d link show %s` says "
	                    "which)"
	                  : "look at cable and switch: `ethtool %s` shows what is detected",
	              port->name);
}

void doctor_check_link(struct doctor *doctor)
{
	doctor_each_interface(doctor, check_link);
}

/* The other end of a veth, if it is in this namespace: each says the other's number. In another
 * namespace numbers are other interfaces'. */
struct peer {
	const struct doctor *doctor;
	uint64_t own, other;
	char name[IFNAMSIZ];
};

static bool take_peer(void *context, const char *name)
{
	struct peer *peer = context;
	uint64_t index, link;

	if (strlen(name) >= IFNAMSIZ ||
	    doctor_read_number(peer->doctor, &index, NET "%s/ifindex", name) < 0 ||
	    doctor_read_number(peer->doctor, &link, NET "%s/iflink", name) < 0 ||
	    index != peer->other || link != peer->own || index == link)
		return true;
	snprintf(peer->name, sizeof(peer->name), "%s", name);
	return false;
}

bool doctor_veth_peer(const struct doctor *doctor, const char *interface, char ret_peer[IFNAMSIZ])
{
	struct peer peer = {.doctor = doctor};
	char driver[VALUE_BYTES];

	doctor_driver_of(doctor, interface, driver, sizeof(driver));
	if (strcmp(driver, "veth") != 0 ||
	    doctor_read_number(doctor, &peer.own, NET "%s/ifindex", interface) < 0 ||
	    doctor_read_number(doctor, &peer.other, NET "%s/iflink", interface) < 0)
		return false;
	(void)doctor_read_directory(doctor, NET, take_peer, &peer);
	memcpy(ret_peer, peer.name, IFNAMSIZ);
	return peer.name[0] != '\0';
}

static void check_mtu(struct doctor *doctor, const char *about, const struct port_options *port)
{
	struct doctor_finding *finding;
	const char *name = port->name;
	char peer[IFNAMSIZ];
	uint64_t mtu, peer_mtu = 0;
	int r = doctor_read_number(doctor, &mtu, NET "%s/mtu", name);

	if (r < 0) {
		doctor_say(doctor, DOCTOR_SKIPPED, about, NET "%s/mtu cannot be read: %s", name,
		           strerror(-r));
		return;
	}
	if (doctor_veth_peer(doctor, name, peer))
		(void)doctor_read_number(doctor, &peer_mtu, NET "%s/mtu", peer);
	if (mtu > MTU_MAX) {
		finding = doctor_say(doctor, DOCTOR_FAULT, about,
		                     "%llu, but a frame has to fit one page with XDP: at most %u",
		                     (unsigned long long)mtu, MTU_MAX);
		doctor_advise(finding, "ip link set dev %s mtu %u", name, MTU_MAX);
	} else if (peer_mtu > PEER_MTU_MAX) {
		finding = doctor_say(doctor, DOCTOR_FAULT, about,
		                     "its peer %s has %llu, and the kernel refuses XDP above %u",
		                     peer, (unsigned long long)peer_mtu, PEER_MTU_MAX);
		doctor_advise(finding, "ip link set dev %s mtu %llu", peer,
		              (unsigned long long)mtu);
	} else {
		doctor_say(doctor, DOCTOR_GOOD, about, "%llu, XDP takes up to %u",
		           (unsigned long long)mtu, MTU_MAX);
	}
}

void doctor_check_mtu(struct doctor *doctor)
{
	doctor_each_interface(doctor, check_mtu);
}

/* Lines of /proc/net/if_inet6: "fd00…02 04 40 00 82 eth0" */
struct addresses {
	const char *interface;
	uint32_t count;
};

static bool take_address(void *context, char *line)
{
	struct addresses *addresses = context;
	char name[IFNAMSIZ];

	if (sscanf(line, "%*s %*s %*s %*s %*s %15s", name) == 1 &&
	    strcmp(name, addresses->interface) == 0)
		addresses->count++;
	return true;
}

static void check_addresses(struct doctor *doctor, const char *about,
                            const struct port_options *port)
{
	struct addresses addresses = {.interface = port->name};
	char text[IP_ADDRESS_TEXT_MAX] = "none of IPv4";
	struct doctor_finding *finding;
	struct ip_address address;
	struct ifreq ifreq = {0};

	(void)doctor_read_lines(doctor, "/proc/net/if_inet6", take_address, &addresses);
	ifreq.ifr_addr.sa_family = AF_INET;
	if (doctor->host->interface_ioctl(doctor->host, port->name, SIOCGIFADDR, &ifreq) == 0) {
		address = ip_address_from_ip4(
		    (const uint8_t *)&((struct sockaddr_in *)&ifreq.ifr_addr)->sin_addr);
		ip_address_format(&address, text);
	} else if (addresses.count == 0) {
		finding = doctor_say(doctor, DOCTOR_FAULT, about, "the interface has no address");
		doctor_advise(finding, "ip address add ADDRESS/LENGTH dev %s", port->name);
		return;
	}
	doctor_say(doctor, DOCTOR_GOOD, about, "%s, %u of IPv6", text, addresses.count);
}

void doctor_check_addresses(struct doctor *doctor)
{
	doctor_each_interface(doctor, check_addresses);
}
