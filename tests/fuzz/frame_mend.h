/* SPDX-License-Identifier: Apache-2.0 */
/* Finds its way through a frame of any bytes, and mends what a fuzzer does not guess: lengths,
 * addresses, checksums. Written apart from src/net. Owner: the target frame. */
#pragma once

#include "net/address.h"

/* Where things stand in a frame; offsets in bytes. */
struct mend_view {
	bool ip4;
	uint32_t ip;
	uint32_t l4;
	uint32_t packet_end;
	uint8_t protocol;
};

/* False: there is no IP packet with room for a transport. */
bool mend_find(struct mend_view *ret_view, const uint8_t *frame, uint32_t length);

/* The IP packet ends with the frame; a UDP datagram with the packet. */
void mend_lengths(uint8_t *frame, uint32_t length);

/* It is for this MAC address, and for one of these IP addresses. */
void mend_addresses(uint8_t *frame, uint32_t length, const uint8_t mac[6],
                    const struct ip_address *ip4, const struct ip_address *ip6);

void mend_checksums(const struct mend_view *view, uint8_t *frame);
bool mend_checksums_good(const struct mend_view *view, const uint8_t *frame);
