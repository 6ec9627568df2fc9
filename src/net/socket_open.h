/* SPDX-License-Identifier: Apache-2.0 */
/* Making the kernel's sockets for a port, and saying in one sentence why that did not work. */
#pragma once

#include "net/port.h"

#include <sys/socket.h>

/* A bound, non-blocking socket for the port's address, listening if it is TCP's. type: SOCK_STREAM
 * or SOCK_DGRAM. shared: with the other workers, by SO_REUSEPORT. 0; a negative errno with `error`
 * filled in. */
int socket_open(int *ret_fd, const struct port_options *port, int type, bool shared, char *error,
                size_t error_bytes);

/* Whether the path of a Unix socket is free; see socket_path_free(). */
int socket_check_path(const struct port_options *port, char *error, size_t error_bytes);

struct ip_address socket_source(const struct sockaddr_storage *address, uint16_t *ret_port);

/* `allow: any`, or in the allow list. */
bool socket_source_listed(const struct port_options *port, const struct ip_address *source);
