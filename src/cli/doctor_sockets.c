/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor_sockets.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define STATE_TCP_ESTABLISHED 1
#define STATE_CLOSED          7 /* of UDP: not connected */
#define STATE_TCP_LISTEN      10

bool sockets_parse_hex(struct ip_address *ret_address, const char *digits)
{
	struct ip_address address;

	if (strlen(digits) != 32)
		return false;
	for (int i = 0; i < 16; i++) {
		unsigned byte;

		if (!isxdigit((unsigned char)digits[i * 2]) ||
		    !isxdigit((unsigned char)digits[i * 2 + 1]) ||
		    sscanf(digits + (ptrdiff_t)i * 2, "%2x", &byte) != 1)
			return false;
		address.bytes[i] = (uint8_t)byte;
	}
	*ret_address = address;
	return true;
}

/* Words of 32 bits, each as it lies in memory. */
static bool parse_words(struct ip_address *ret_address, const char *digits)
{
	struct ip_address whole;
	uint8_t words[16];

	if (strlen(digits) == 8) {
		unsigned word;

		if (sscanf(digits, "%8x", &word) != 1)
			return false;
		memcpy(words, &word, sizeof(word));
		*ret_address = ip_address_from_ip4(words);
		return true;
	}
	if (!sockets_parse_hex(&whole, digits))
		return false;
	for (size_t i = 0; i < 16; i += 4) {
		uint32_t word = load_be32(whole.bytes + i);

		memcpy(words + i, &word, sizeof(word));
	}
	*ret_address = ip_address_from_ip6(words);
	return true;
}

struct table {
	bool (*take)(void *context, const struct socket_line *socket);
	void *context;
	bool is_ip6, is_over;
};

/* "0: 0100007F:2BCB 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 12345 …" */
static bool take_line(void *context, char *line)
{
	char local[33], remote[33];
	struct table *table = context;
	struct socket_line socket = {.is_ip6 = table->is_ip6};
	unsigned local_port, state;
	unsigned long long inode;

	if (sscanf(line,
	           " %*[0-9]: %32[0-9A-Fa-f]:%4x %32[0-9A-Fa-f]:%*x %2x %*s %*s %*s %*s %*s "
	           "%llu",
	           local, &local_port, remote, &state, &inode) != 5 ||
	    !parse_words(&socket.local, local) || !parse_words(&socket.remote, remote) ||
	    (state != STATE_TCP_LISTEN && state != STATE_CLOSED && state != STATE_TCP_ESTABLISHED))
		return true;
	socket.local_port = (uint16_t)local_port;
	socket.is_listening = state != STATE_TCP_ESTABLISHED;
	socket.inode = inode;
	table->is_over = !table->take(table->context, &socket);
	return !table->is_over;
}

void sockets_read(const struct doctor *doctor, const char *protocol,
                  bool (*take)(void *context, const struct socket_line *socket), void *context)
{
	struct table table = {.take = take, .context = context};
	char path[32];

	snprintf(path, sizeof(path), "/proc/net/%s", protocol);
	(void)doctor_read_lines(doctor, path, take_line, &table);
	if (table.is_over)
		return;
	table.is_ip6 = true;
	snprintf(path, sizeof(path), "/proc/net/%s6", protocol);
	(void)doctor_read_lines(doctor, path, take_line, &table);
}

/* Who has a socket. */
struct owner {
	const struct doctor *doctor;
	char link[32]; /* "socket:[12345]" */
	char process[32];
	bool is_found;
};

static bool take_descriptor(void *context, const char *name)
{
	struct owner *owner = context;
	char link[64];

	doctor_read_link(owner->doctor, link, sizeof(link), "/proc/%s/fd/%s", owner->process, name);
	owner->is_found = strcmp(link, owner->link) == 0;
	return !owner->is_found;
}

static bool take_process(void *context, const char *name)
{
	struct owner *owner = context;
	char directory[64];

	if (strspn(name, "0123456789") != strlen(name) || strlen(name) >= sizeof(owner->process))
		return true;
	memcpy(owner->process, name, strlen(name) + 1);
	snprintf(directory, sizeof(directory), "/proc/%s/fd", name);
	(void)doctor_read_directory(owner->doctor, directory, take_descriptor, owner);
	return !owner->is_found;
}

void doctor_describe_holder(const struct doctor *doctor, uint64_t inode,
                            char ret_holder[DOCTOR_ABOUT_BYTES], bool *ret_is_kanted)
{
	struct owner owner = {.doctor = doctor};
	char name[32];

	snprintf(owner.link, sizeof(owner.link), "socket:[%llu]", (unsigned long long)inode);
	(void)doctor_read_directory(doctor, "/proc", take_process, &owner);
	*ret_is_kanted = false;
	if (!owner.is_found) {
		snprintf(ret_holder, DOCTOR_ABOUT_BYTES, "another process");
		return;
	}
	(void)doctor_read(doctor, name, sizeof(name), "/proc/%s/comm", owner.process);
	*ret_is_kanted = strcmp(name, "kanted") == 0;
	snprintf(ret_holder, DOCTOR_ABOUT_BYTES, "%s (pid %s)",
	         name[0] == '\0' ? "a process" : name, owner.process);
}

/* Ports that are taken. */
struct taken {
	const struct port_options *port;
	uint16_t number;
	uint64_t inode;
	bool is_found;
};

static bool is_any(const struct ip_address *address)
{
	static const uint8_t zeros[16];
	size_t from = ip_address_is_ip4(address) ? 12 : 0;

	return memcmp(address->bytes + from, zeros, 16 - from) == 0;
}

static bool is_loopback(const struct ip_address *address)
{
	static const uint8_t ip6[16] = {[15] = 1};

	return ip_address_is_ip4(address) ? address->bytes[12] == 127
	                                  : memcmp(address->bytes, ip6, sizeof(ip6)) == 0;
}

/* Whether it may be that socket that is in the way. One of IPv6 without an address may have IPv4's
 * port, too. */
static bool may_be_in_the_way(const struct socket_line *socket, const struct port_options *port)
{
	const struct ip_address *wanted = &port->addresses[0].address;

	/* What a kernel's socket hears on an xdp port's interface goes to Kante from then on. */
	if (port->kind == PORT_XDP)
		return !is_loopback(&socket->local);
	if (is_any(&socket->local))
		return socket->is_ip6 || ip_address_is_ip4(wanted);
	if (is_any(wanted))
		return ip_address_is_ip4(wanted) == ip_address_is_ip4(&socket->local);
	return ip_address_equal(&socket->local, wanted);
}

static bool take_taken(void *context, const struct socket_line *socket)
{
	struct taken *taken = context;

	if (!socket->is_listening || socket->local_port != taken->number ||
	    !may_be_in_the_way(socket, taken->port))
		return true;
	taken->is_found = true;
	taken->inode = socket->inode;
	return false;
}

static int try_to_bind(const struct doctor *doctor, const struct port_options *port, int type,
                       uint16_t number)
{
	const struct ip_address *address = &port->addresses[0].address;
	struct sockaddr_in ip4 = {.sin_family = AF_INET, .sin_port = htons(number)};
	struct sockaddr_in6 ip6 = {.sin6_family = AF_INET6, .sin6_port = htons(number)};

	if (!ip_address_is_ip4(address)) {
		memcpy(&ip6.sin6_addr, address->bytes, 16);
		return doctor->host->bind(doctor->host, (struct sockaddr *)&ip6, sizeof(ip6), type);
	}
	memcpy(&ip4.sin_addr, address->bytes + 12, 4);
	return doctor->host->bind(doctor->host, (struct sockaddr *)&ip4, sizeof(ip4), type);
}

static void say_taken(struct doctor *doctor, const struct port_options *port, const char *about,
                      const char *protocol, const struct taken *taken)
{
	char holder[DOCTOR_ABOUT_BYTES];
	struct doctor_finding *finding;
	bool is_kanted = false;

	doctor_describe_holder(doctor, taken->inode, holder, &is_kanted);
	if (port->kind == PORT_XDP) {
		finding = doctor_say(doctor, is_kanted ? DOCTOR_NOTE : DOCTOR_WARNING, about,
		                     "%s port %u is also that of %s, which will hear nothing on "
		                     "this interface any more",
		                     protocol, taken->number, holder);
		doctor_advise(finding, "stop it, or choose another port for one of the two");
		return;
	}
	finding = doctor_say(doctor, is_kanted ? DOCTOR_NOTE : DOCTOR_FAULT, about,
	                     "%s port %u is taken by %s", protocol, taken->number, holder);
	doctor_advise(finding,
	              "%sstop it, or choose another port; `ss -lnp%c sport = :%u` shows it",
	              is_kanted ? "if that is not the kanted of this config: " : "", protocol[0],
	              taken->number);
}

static void say_refused(struct doctor *doctor, const char *about, const char *protocol,
                        uint16_t number, int r)
{
	struct doctor_finding *finding =
	    doctor_say(doctor, DOCTOR_FAULT, about, "%s port %u cannot be had: %s", protocol,
	               number, strerror(-r));

	switch (r) {
	case -EADDRNOTAVAIL:
		doctor_advise(finding, "choose an address of this machine (`ip address`), or add "
		                       "it: `ip address add ADDRESS/LENGTH dev INTERFACE`");
		break;
	case -EACCES:
	case -EPERM:
		doctor_advise(finding, "choose a port from 1024 on, or give kanted "
		                       "CAP_NET_BIND_SERVICE (AmbientCapabilities= in its unit)");
		break;
	case -EAFNOSUPPORT:
		doctor_advise(finding, "choose an IPv4 address: this kernel has no IPv6");
		break;
	default: doctor_advise(finding, "choose another address or port");
	}
}

static void check_number(struct doctor *doctor, const struct port_options *port,
                         const char *protocol, uint16_t number)
{
	struct taken taken = {.port = port, .number = number};
	char about[DOCTOR_ABOUT_BYTES];
	int r = 0;

	if (number == 0)
		return;
	doctor_about_port(about, port);
	if (port->kind == PORT_SOCKET)
		r = try_to_bind(doctor, port, protocol[0] == 't' ? SOCK_STREAM : SOCK_DGRAM,
		                number);
	if (r < 0 && r != -EADDRINUSE) {
		say_refused(doctor, about, protocol, number, r);
		return;
	}
	if (r < 0 || port->kind == PORT_XDP)
		sockets_read(doctor, protocol, take_taken, &taken);
	if (r < 0 || taken.is_found)
		say_taken(doctor, port, about, protocol, &taken);
	else
		doctor_say(doctor, DOCTOR_GOOD, about, "%s port %u is free", protocol, number);
}

void doctor_check_taken(struct doctor *doctor)
{
	for (uint32_t i = 0; doctor->config != NULL && i < doctor->config->port_count; i++) {
		const struct port_options *port = &doctor->config->ports[i];

		if (port_is_unix(port) || (port->kind != PORT_SOCKET && port->kind != PORT_XDP))
			continue;
		check_number(doctor, port, "tcp", port->tcp_port);
		check_number(doctor, port, "udp", port->udp_port);
	}
}
