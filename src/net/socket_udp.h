/* SPDX-License-Identifier: Apache-2.0 */
/* UDP by recvmmsg and sendmmsg: one batch of datagrams in, their replies out.
 * Owner: the struct sockets that it was made for. */
#pragma once

#include "net/socket.h"

struct socket_udp;

size_t socket_udp_bytes(void);
struct socket_udp *socket_udp_create(struct memory *memory);

/* Handles one batch; a socket with more is reported again by epoll. */
void socket_udp_poll(struct socket_udp *udp, int fd, const struct port_options *port,
                     const struct blocked *blocked, struct sockets *sockets,
                     const struct socket_options *options, struct socket_counters *counters);

uint8_t *socket_udp_reserve(struct socket_udp *udp);
void socket_udp_reply(struct socket_udp *udp, uint32_t length);
