/* SPDX-License-Identifier: Apache-2.0 */
/* A TCP segment as a client writes and reads it. What is read is judged strictly: whatever the
 * server sends must be well-formed. What is written may be wrong in every way that a test asks for.
 * Nothing is kept: every function works on the caller's bytes. */
#pragma once

#include "load/frame.h"

#define SEGMENT_FRAME_MAX    2048
#define SEGMENT_PAYLOAD_MAX  1900
#define SEGMENT_ERROR_MAX    200
#define SEGMENT_TEXT_MAX     400
#define SEGMENT_OPTIONS_MAX  40
#define SEGMENT_SACK_MAX     4
#define SEGMENT_HEADER_BYTES 20

#define FLAG_FIN 0x01u
#define FLAG_SYN 0x02u
#define FLAG_RST 0x04u
#define FLAG_PSH 0x08u
#define FLAG_ACK 0x10u
#define FLAG_URG 0x20u
#define FLAG_ECE 0x40u
#define FLAG_CWR 0x80u

/* Numbers are absolute, as in the header. */
struct segment {
	uint16_t source_port;
	uint16_t destination_port;
	uint32_t seq;
	uint32_t ack;
	uint16_t window;
	uint16_t urgent;
	uint8_t flags;
	bool has_mss;
	bool has_wscale;
	bool has_ts;
	bool sack_permitted;
	bool has_sack;
	uint16_t mss;
	uint8_t wscale;
	uint8_t sack_count;
	uint32_t ts_value;
	uint32_t ts_echo;
	uint32_t sack[SEGMENT_SACK_MAX][2];
	const uint8_t *payload;
	uint32_t length; /* bytes of payload */

	/* of a read one */
	uint8_t destination_mac[6];
	bool dont_fragment; /* always over IPv6 */

	/* of one to be written: on purpose */
	uint8_t raw_options[SEGMENT_OPTIONS_MAX]; /* behind the others */
	uint32_t raw_option_bytes;
	int32_t data_offset; /* what the header says, in words; -1: the truth */
	int32_t cut;         /* bytes of header and payload that are sent; -1: all */
	bool bad_checksum;
};

/* What sequence numbers and timestamps are counted from when they are shown to people. */
struct segment_base {
	uint32_t seq;
	uint32_t ack;
	uint32_t ts_value;
	uint32_t ts_echo;
};

/* Reads a frame that came from the server, to path->local. False: says in ret_error what is wrong
 * with it. */
bool segment_read(struct segment *ret_segment, const struct frame_path *path, const uint8_t *frame,
                  size_t length, char ret_error[SEGMENT_ERROR_MAX]);

/* Writes a frame of the client; returns its bytes, or 0: it does not fit. */
uint32_t segment_write(uint8_t frame[SEGMENT_FRAME_MAX], const struct frame_path *path,
                       const struct segment *segment);

/* Sequence numbers that the segment takes. */
uint32_t segment_sequence_length(const struct segment *segment);

/* For people: in the words of the scenario language. */
void segment_format(char text[SEGMENT_TEXT_MAX], const struct segment *segment,
                    const struct segment_base *base);
