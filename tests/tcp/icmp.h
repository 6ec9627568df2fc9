/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP errors as a router sends them about a segment of the server's. */
#pragma once

#include "load/frame.h"

struct icmp_error {
	uint8_t type;
	uint8_t code;
	uint32_t rest; /* the header's second word: an MTU */
	uint16_t server_port;
	uint16_t client_port;
	uint32_t seq;          /* of the quoted segment */
	uint32_t packet_bytes; /* how long the quoted packet says it was; 0: 1500 */
	uint32_t quoted_bytes; /* of it, 28 of IPv4 or 48 of IPv6 when 0 */
	uint8_t protocol;      /* of the quoted packet */
};

/* Returns the bytes of the frame: at most 200. `path` goes from the client to the server. */
uint32_t icmp_error_write(uint8_t *to, const struct frame_path *path,
                          const struct icmp_error *error);
