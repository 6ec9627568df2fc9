/* SPDX-License-Identifier: Apache-2.0 */
/* Frames as a client builds and reads them: Ethernet, ARP, neighbour discovery, IPv4, IPv6, and the
 * outside of TCP and UDP. All checksums in software.
 *
 * Written apart from src/net on purpose: client and server check each other, so a mistake made
 * once must not be made by both. Nothing is kept: every function works on the caller's bytes. */
#pragma once

#include "net/address.h"

#define FRAME_NO_VLAN           0xffffu
#define FRAME_HEADERS_BYTES_MAX 58 /* Ethernet 14, tag 4, IPv6 40 */
#define FRAME_QUESTION_BYTES    90 /* at least this much room for ARP and neighbour discovery */

#define FRAME_PROTOCOL_TCP 6
#define FRAME_PROTOCOL_UDP 17

/* Between which two addresses, seen from us. Owner: the caller. */
struct frame_path {
	struct ip_address local;
	struct ip_address remote;
	uint8_t local_mac[6];
	uint8_t remote_mac[6];
	uint16_t vlan; /* VLAN identifier, or FRAME_NO_VLAN */
};

enum frame_kind {
	FRAME_TCP,
	FRAME_UDP,
	FRAME_ARP,
	FRAME_NEIGHBOUR, /* solicitation or advertisement */
};

/* A frame that was read. It points into the frame's bytes. */
struct frame {
	enum frame_kind kind;
	bool checksum_good; /* IPv4 header and transport; when false, trust nothing in here */
	uint16_t vlan;
	const uint8_t *destination_mac;
	const uint8_t *source_mac;
	struct ip_address source;
	struct ip_address destination;
	uint16_t source_port; /* TCP, UDP */
	uint16_t destination_port;
	struct slice l4;      /* transport header to the end of the packet; of ARP, the message */
	struct slice payload; /* UDP */
};

/* Reads a frame. False: malformed, a fragment, or of no kind above. */
bool frame_parse(struct frame *ret_frame, const uint8_t *data, size_t length);

/* Writes Ethernet and IP headers, save for lengths and checksums. Returns where the transport
 * header goes: at most FRAME_HEADERS_BYTES_MAX behind `to`. */
uint8_t *frame_begin(uint8_t *to, const struct frame_path *path, uint8_t protocol);

/* Fills in lengths and checksums for `l4_bytes` of transport header and payload. Returns the bytes
 * of the frame. */
uint32_t frame_finish(uint8_t *to, const struct frame_path *path, uint8_t protocol,
                      uint32_t l4_bytes);

/* A UDP datagram; returns the bytes of the frame. */
uint32_t frame_build_udp(uint8_t *to, const struct frame_path *path, uint16_t source_port,
                         uint16_t destination_port, struct slice payload);

/* Asks for the MAC address of path->remote, which need not be known yet: an ARP request (RFC 826),
 * or a neighbour solicitation (RFC 4861 7.2.2). Returns the bytes of the frame. */
uint32_t frame_build_question(uint8_t *to, const struct frame_path *path);

/* True when the frame says what MAC address path->remote has. */
bool frame_resolves(const struct frame *frame, const struct frame_path *path, uint8_t ret_mac[6]);

/* The answer when the frame asks for the MAC address of path->local; returns its bytes, or 0: it
 * asks nothing of us. path->remote is not looked at. */
uint32_t frame_build_answer(uint8_t *to, const struct frame *question,
                            const struct frame_path *path);
