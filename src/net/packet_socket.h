/* SPDX-License-Identifier: Apache-2.0 */
/* Long TCP packets out of a kernel's interface: the kernel, or the card behind it, cuts them into
 * frames and sums these. AF_XDP takes neither from us, and a copy and a buffer for each frame.
 * Inside the DPDK part of net only. */
#pragma once

#include <rte_mbuf.h>

/* Of the interface with that index of the kernel's; it receives nothing. A file descriptor, or a
 * negative errno. */
int packet_socket_open(unsigned interface_index);

/* Once before it is sent: a card adds each segment's length to the sum in the header, but the
 * kernel takes the whole packet's to be there. */
void packet_socket_prepare(struct rte_mbuf *mbuf);

/* Sends packets, each with RTE_MBUF_F_TX_TCP_SEG and prepared, from the front on, and frees those
 * that the kernel took or will never take; returns how many these are. *ret_lost is how many it
 * refused. */
uint16_t packet_socket_send(int fd, struct rte_mbuf **packets, uint16_t count, uint16_t *ret_lost);
