/* SPDX-License-Identifier: Apache-2.0 */
/* Between the client_tcp files only. */
#pragma once

#include "load/client_tcp.h"

#define HEADER_BYTES           20
#define OPTION_MSS_BYTES       4
#define OPTION_SHIFT_BYTES     4  /* padding included */
#define OPTION_TIMESTAMP_BYTES 12 /* padding included */
#define OPTION_SACK_COUNT_MAX  3  /* blocks that fit beside a timestamp */
#define OPTION_END             0
#define OPTION_NOP             1
#define OPTION_MSS             2
#define OPTION_SHIFT           3
#define OPTION_SACK_PERMITTED  4
#define OPTION_SACK            5
#define OPTION_TIMESTAMP       8
#define SHIFT_MAX              14  /* RFC 7323 2.3 */
#define MSS_DEFAULT_IP4        536 /* RFC 9293 3.7.1 */
#define MSS_DEFAULT_IP6        1220
#define RTO_INITIAL_US         1000000 /* RFC 6298 2.1 */
#define RTO_MIN_US             200000
#define RTO_MAX_US             60000000
#define RETRANSMIT_COUNT_MAX   12 /* without progress, then the connection has failed */
#define SYN_COUNT_MAX          6

#define FLAG_FIN 0x01u
#define FLAG_SYN 0x02u
#define FLAG_RST 0x04u
#define FLAG_PSH 0x08u
#define FLAG_ACK 0x10u

/* A segment that was read. */
struct client_tcp_segment {
	uint32_t seq;
	uint32_t ack;
	uint32_t window; /* as in the header */
	uint8_t flags;
	bool has_mss;
	bool has_shift;
	bool has_timestamp;
	bool sack_permitted;
	uint8_t shift;
	uint16_t mss;
	uint32_t option_bytes;
	uint32_t ts_value;
	uint32_t ts_echo;
	const uint8_t *payload;
	uint32_t length;
};

/* Sequence numbers wrap (RFC 9293 3.4). */
static inline bool before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static inline uint32_t latest(uint32_t a, uint32_t b)
{
	return after(a, b) ? a : b;
}

static inline uint32_t earliest(uint32_t a, uint32_t b)
{
	return before(a, b) ? a : b;
}

/* RFC 7323 5.4: a millisecond a tick. */
static inline uint32_t timestamp_at(const struct client_tcp *tcp, uint64_t now_us)
{
	return tcp->options.initial_sequence + (uint32_t)(now_us / 1000);
}

/* The number that our ACKs say. */
static inline uint32_t ack_number(const struct client_tcp *tcp)
{
	return tcp->rcv_nxt + tcp->fin_taken;
}

/* Our half has ended. */
static inline bool fin_acknowledged(const struct client_tcp *tcp)
{
	return tcp->fin_wanted && tcp->snd_una == tcp->write_end + 1;
}

/* client_tcp.c */
void ring_write(const struct client_tcp_ring *ring, uint32_t sequence, const uint8_t *from,
                uint32_t length);
void ring_read(const struct client_tcp_ring *ring, uint32_t sequence, uint8_t *to, uint32_t length);
/* From `sequence` on, up to `length` bytes in one piece. */
struct slice ring_piece(const struct client_tcp_ring *ring, uint32_t sequence, uint32_t length);
void violation_add(struct client_tcp *tcp, enum client_tcp_violation violation, uint32_t got,
                   uint32_t limit, uint64_t now_us);
void rto_reset(struct client_tcp *tcp);
/* The right edge to advertise now. */
uint32_t receive_edge(const struct client_tcp *tcp);

/* client_tcp_receive.c */
/* Payload and FIN of a segment: checks, keeps, delivers. */
void receive_segment(struct client_tcp *tcp, struct client_tcp_segment *segment, uint64_t now_us);
/* Offers bytes in order that the caller has refused before. */
void receive_deliver(struct client_tcp *tcp);
/* Our half or the server's may have ended. */
void receive_state_update(struct client_tcp *tcp);
