/* SPDX-License-Identifier: Apache-2.0 */
#include "net/socket_open.h"

#include "net/socket_path.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_REASON_BYTES 256

static const char *open_hint(int error_number)
{
	switch (error_number) {
	case EADDRINUSE:
		return "the address is taken by another process: stop it or choose another port";
	case EACCES:
	case EPERM:
		return "no permission: choose a port from 1024 on, or give the process "
		       "CAP_NET_BIND_SERVICE";
	case EADDRNOTAVAIL:
		return "this machine has no such address: choose one that `ip address` shows";
	case EAFNOSUPPORT: return "the kernel has no IPv6: choose an IPv4 address";
	case EMFILE:
	case ENFILE: return "too many open files: raise LimitNOFILE= (ulimit -n)";
	default: return strerror(error_number);
	}
}

static void open_error_unix(const struct port_options *port, const char *reason, char *error,
                            size_t error_bytes)
{
	snprintf(error, error_bytes, "port socket %s: %s", port->name, reason);
}

static void open_error(const struct port_options *port, int type, int error_number, char *error,
                       size_t error_bytes)
{
	const struct ip_address *address = &port->addresses[0].address;
	bool ip6 = !ip_address_is_ip4(address);
	char text[IP_ADDRESS_TEXT_MAX];

	if (port_is_unix(port)) {
		open_error_unix(port, strerror(error_number), error, error_bytes);
		return;
	}
	ip_address_format(address, text);
	snprintf(error, error_bytes, "port socket %s%s%s:%u%s: %s", ip6 ? "[" : "", text,
	         ip6 ? "]" : "", type == SOCK_STREAM ? port->tcp_port : port->udp_port,
	         type == SOCK_STREAM ? "" : " (udp)", open_hint(error_number));
}

static socklen_t socket_address(const struct port_options *port, int type,
                                struct sockaddr_storage *ret_address)
{
	const struct ip_address *address = &port->addresses[0].address;
	uint16_t number = htons(type == SOCK_STREAM ? port->tcp_port : port->udp_port);

	memset(ret_address, 0, sizeof(*ret_address));
	if (port_is_unix(port)) {
		struct sockaddr_un *path = (struct sockaddr_un *)ret_address;

		path->sun_family = AF_UNIX;
		snprintf(path->sun_path, sizeof(path->sun_path), "%s", port->name);
		return sizeof(*path);
	}
	if (ip_address_is_ip4(address)) {
		struct sockaddr_in *ip4 = (struct sockaddr_in *)ret_address;

		ip4->sin_family = AF_INET;
		ip4->sin_port = number;
		memcpy(&ip4->sin_addr, address->bytes + 12, 4);
		return sizeof(*ip4);
	}
	struct sockaddr_in6 *ip6 = (struct sockaddr_in6 *)ret_address;

	ip6->sin6_family = AF_INET6;
	ip6->sin6_port = number;
	memcpy(&ip6->sin6_addr, address->bytes, 16);
	return sizeof(*ip6);
}

static int set_option(int fd, int level, int option)
{
	int on = 1;

	return setsockopt(fd, level, option, &on, sizeof(on)) < 0 ? -errno : 0;
}

/* TCP_NODELAY and SO_KEEPALIVE are inherited by what is accepted (tcp(7), socket(7)), which saves
 * two calls a connection. No SO_REUSEADDR for UDP: there it would mean sharing. */
static int set_options(int fd, int family, int type, bool shared)
{
	int r = 0;

	if (family == AF_UNIX)
		return 0;
	if (type == SOCK_STREAM)
		r = set_option(fd, SOL_SOCKET, SO_REUSEADDR);
	if (r == 0 && shared)
		r = set_option(fd, SOL_SOCKET, SO_REUSEPORT);
	if (r == 0 && family == AF_INET6)
		r = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	if (r == 0 && type == SOCK_STREAM)
		r = set_option(fd, IPPROTO_TCP, TCP_NODELAY);
	if (r == 0 && type == SOCK_STREAM)
		r = set_option(fd, SOL_SOCKET, SO_KEEPALIVE);
	return r;
}

/* The file of a Unix socket has its mode from the start. */
static int bind_to(int fd, const struct port_options *port, const struct sockaddr_storage *address,
                   socklen_t length)
{
	mode_t mask = port_is_unix(port) ? umask(~port->mode & 0777) : 0;
	int r = bind(fd, (const struct sockaddr *)address, length) < 0 ? -errno : 0;

	if (port_is_unix(port))
		umask(mask);
	return r;
}

int socket_check_path(const struct port_options *port, char *error, size_t error_bytes)
{
	char reason[SOCKET_REASON_BYTES];
	int r = socket_path_free(port->name, SOCK_STREAM, reason, sizeof(reason));

	if (r < 0)
		open_error_unix(port, reason, error, error_bytes);
	return r;
}

int socket_open(int *ret_fd, const struct port_options *port, int type, bool shared, char *error,
                size_t error_bytes)
{
	struct sockaddr_storage address;
	socklen_t length = socket_address(port, type, &address);
	int r;
	int fd;

	fd = socket(address.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		r = -errno;
		goto fail;
	}
	r = set_options(fd, address.ss_family, type, shared);
	if (r < 0)
		goto fail;
	r = bind_to(fd, port, &address, length);
	if (r == 0 && type == SOCK_STREAM && listen(fd, (int)port->backlog) < 0)
		r = -errno;
	if (r < 0)
		goto fail;
	*ret_fd = fd;
	return 0;
fail:
	open_error(port, type, -r, error, error_bytes);
	if (fd >= 0)
		close(fd);
	return r;
}

struct ip_address socket_source(const struct sockaddr_storage *address, uint16_t *ret_port)
{
	const struct sockaddr_in6 *ip6 = (const struct sockaddr_in6 *)address;
	const struct sockaddr_in *ip4 = (const struct sockaddr_in *)address;

	if (address->ss_family == AF_INET) {
		*ret_port = ntohs(ip4->sin_port);
		return ip_address_from_ip4((const uint8_t *)&ip4->sin_addr);
	}
	*ret_port = ntohs(ip6->sin6_port);
	return ip_address_from_ip6(ip6->sin6_addr.s6_addr);
}

bool socket_source_listed(const struct port_options *port, const struct ip_address *source)
{
	for (uint32_t i = 0; i < port->allow_count; i++) {
		if (ip_prefix_contains(&port->allow[i], source))
			return true;
	}
	return false;
}
