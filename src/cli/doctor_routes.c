/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor_internal.h"

#include "cli/doctor_sockets.h"

#include <linux/route.h>
#include <stdlib.h>
#include <string.h>

#define SSH_PORT        22
#define SESSION_MAX     64
#define UPPER_DEPTH_MAX 8

/* The best route to an address, and the best of those that go through one interface. */
struct search {
	const struct ip_address *to;
	const char *interface;
	int length;     /* -1: there is none */
	int own_length; /* likewise */
};

static void consider(struct search *search, const struct ip_prefix *prefix, const char *interface)
{
	if (!ip_prefix_contains(prefix, search->to))
		return;
	if (prefix->length > search->length)
		search->length = prefix->length;
	if (strcmp(interface, search->interface) == 0 && prefix->length > search->own_length)
		search->own_length = prefix->length;
}

/* "eth0 000200C0 00000000 0001 0 0 0 00FFFFFF …": numbers as they lie in memory. */
static bool take_ip4(void *context, char *line)
{
	unsigned destination, gateway, flags, mask;
	struct ip_prefix prefix;
	char name[IFNAMSIZ];
	uint8_t bytes[4];

	if (sscanf(line, "%15s %8x %8x %4x %*s %*s %*s %8x", name, &destination, &gateway, &flags,
	           &mask) != 5 ||
	    !(flags & RTF_UP) || (flags & RTF_REJECT))
		return true;
	memcpy(bytes, &destination, sizeof(bytes));
	prefix.address = ip_address_from_ip4(bytes);
	prefix.length = (uint8_t)(96 + __builtin_popcount(mask));
	consider(context, &prefix, name);
	return true;
}

/* "fd00…00 40 00…00 00 00…00 00000100 00000001 00000000 00000001 eth0" */
static bool take_ip6(void *context, char *line)
{
	char destination[33], name[IFNAMSIZ];
	unsigned length, flags;
	struct ip_prefix prefix;

	if (sscanf(line, "%32s %2x %*s %*s %*s %*s %*s %*s %8x %15s", destination, &length, &flags,
	           name) != 4 ||
	    !(flags & RTF_UP) || (flags & RTF_REJECT) || length > 128 ||
	    !sockets_parse_hex(&prefix.address, destination))
		return true;
	prefix.length = (uint8_t)length;
	consider(context, &prefix, name);
	return true;
}

/* True: packets to this address go, or may go, through this interface. */
static bool carries(const struct doctor *doctor, const char *interface, const struct ip_address *to)
{
	struct search search = {.to = to, .interface = interface, .length = -1, .own_length = -1};

	if (ip_address_is_ip4(to))
		(void)doctor_read_lines(doctor, "/proc/net/route", take_ip4, &search);
	else
		(void)doctor_read_lines(doctor, "/proc/net/ipv6_route", take_ip6, &search);
	return search.own_length >= 0 && search.own_length == search.length;
}

/* Any default route counts, whatever its metric: it may be the one in reserve. */
static bool carries_default(const struct doctor *doctor, const char *interface)
{
	static const struct ip_address any_ip6;
	const struct ip_address any_ip4 = ip_address_from_ip4(any_ip6.bytes);

	return carries(doctor, interface, &any_ip4) || carries(doctor, interface, &any_ip6);
}

struct sessions {
	uint16_t port; /* of the one that this command runs in; 0: unknown */
	struct ip_address peers[SESSION_MAX];
	uint32_t count;
};

static bool take_session(void *context, const struct socket_line *socket)
{
	struct sessions *sessions = context;

	if (socket->is_listening ||
	    (socket->local_port != SSH_PORT && socket->local_port != sessions->port))
		return true;
	sessions->peers[sessions->count++] = socket->remote;
	return sessions->count < SESSION_MAX;
}

/* "CLIENT-ADDRESS CLIENT-PORT SERVER-ADDRESS SERVER-PORT" */
static void sessions_find(const struct doctor *doctor, struct sessions *sessions)
{
	const char *own = doctor->host->ssh_connection;
	char client[IP_ADDRESS_TEXT_MAX];
	unsigned port;

	*sessions = (struct sessions){0};
	if (own != NULL && sscanf(own, "%45s %*s %*s %u", client, &port) == 2 && port <= 65535 &&
	    ip_address_parse(&sessions->peers[0], client) == 0) {
		sessions->port = (uint16_t)port;
		sessions->count = 1;
	}
	sockets_read(doctor, "tcp", take_session, sessions);
}

/* What is above it: "upper_br0" in its directory. */
struct uppers {
	const struct doctor *doctor;
	char *ret_why;
	unsigned depth;
	bool is_found;
};

static bool look(struct uppers *uppers, const char *interface);

static bool take_upper(void *context, const char *name)
{
	static const char prefix[] = "upper_";
	struct uppers *uppers = context;

	if (strncmp(name, prefix, sizeof(prefix) - 1) == 0)
		uppers->is_found = look(uppers, name + sizeof(prefix) - 1);
	return !uppers->is_found;
}

static bool look(struct uppers *uppers, const char *interface)
{
	char directory[DOCTOR_PATH_BYTES], text[IP_ADDRESS_TEXT_MAX];
	struct sessions sessions;

	if (carries_default(uppers->doctor, interface)) {
		snprintf(uppers->ret_why, DOCTOR_ABOUT_BYTES, "carries the default route");
		return true;
	}
	sessions_find(uppers->doctor, &sessions);
	for (uint32_t i = 0; i < sessions.count; i++) {
		if (!carries(uppers->doctor, interface, &sessions.peers[i]))
			continue;
		ip_address_format(&sessions.peers[i], text);
		snprintf(uppers->ret_why, DOCTOR_ABOUT_BYTES, "carries the SSH session from %s",
		         text);
		return true;
	}
	if (uppers->depth == UPPER_DEPTH_MAX) /* a ring that was made of them: no kernel's */
		return false;
	uppers->depth++;
	snprintf(directory, sizeof(directory), "/sys/class/net/%s", interface);
	(void)doctor_read_directory(uppers->doctor, directory, take_upper, uppers);
	uppers->depth--;
	return uppers->is_found;
}

bool doctor_is_lifeline(const struct doctor *doctor, const char *interface,
                        char ret_why[DOCTOR_ABOUT_BYTES])
{
	struct uppers uppers = {.doctor = doctor, .ret_why = ret_why};

	return look(&uppers, interface);
}
