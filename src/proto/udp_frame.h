/* SPDX-License-Identifier: Apache-2.0 */
/* The 8-byte header of memcached over UDP, big-endian:
 *
 *      0       2          4       6
 *     +-------+----------+-------+----------+
 *     |  id   | sequence | total | reserved |
 *     +-------+----------+-------+----------+ */
#pragma once

#include "base/bytes.h"

#define UDP_FRAME_BYTES       8
#define UDP_FRAME_TOTAL_BYTES 1400 /* of one datagram, header and payload */
#define UDP_FRAME_BODY_BYTES  (UDP_FRAME_TOTAL_BYTES - UDP_FRAME_BYTES)

enum udp_frame_verdict {
	UDP_FRAME_GOOD,
	UDP_FRAME_SHORT,        /* no payload after the header, or not even a whole header */
	UDP_FRAME_BAD_SEQUENCE, /* not the first of its request */
	UDP_FRAME_BAD_TOTAL,    /* a request of several datagrams, or of none */
};

/* Reads a request's header. UDP_FRAME_GOOD: the id, and what follows the header. */
enum udp_frame_verdict udp_frame_parse(struct slice datagram, uint16_t *ret_id,
                                       struct slice *ret_body);

/* Writes the header of one datagram of a reply. */
void udp_frame_write(uint8_t to[UDP_FRAME_BYTES], uint16_t id, uint16_t sequence, uint16_t total);
