/* SPDX-License-Identifier: Apache-2.0 */
/* The client's carrier on kernel sockets, with one edge-triggered epoll. */
#pragma once

#include "load/client.h"

#include <sys/socket.h>

struct socket_carrier;

/* To one server's address, which is copied. 0, or a negative errno. */
int socket_carrier_create(struct carrier **ret_carrier, const struct sockaddr *address,
                          socklen_t address_bytes);

/* The client must be destroyed. Takes NULL. */
void socket_carrier_destroy(struct carrier *carrier);
