/* SPDX-License-Identifier: Apache-2.0 */
/* A hostile network: frames that are lost, doubled, delayed past each other and damaged, all from
 * one seed. Owner: the simulation. */
#pragma once

#include "base/random.h"

#include <stdbool.h>
#include <stdint.h>

#define WIRE_FRAME_MAX 2048

struct wire_options {
	uint32_t loss_ppm; /* of frames */
	uint32_t duplicate_ppm;
	uint32_t damage_ppm;
	uint32_t delay_us;  /* of every frame */
	uint32_t jitter_us; /* added at random: frames overtake each other */
};

struct wire_frame {
	uint64_t due_us;
	uint64_t order; /* frames due together arrive as they were sent */
	uint32_t to;
	uint16_t length;
	uint8_t data[WIRE_FRAME_MAX];
};

struct wire {
	struct wire_options options;
	struct random random;
	struct wire_frame **heap;
	uint32_t count;
	uint32_t capacity;
	uint64_t sent_count;
	bool healed; /* nothing is harmed any more */
};

void wire_create(struct wire *wire, const struct wire_options *options, uint64_t seed);
void wire_destroy(struct wire *wire);
void wire_send(struct wire *wire, uint32_t to, const uint8_t *data, uint16_t length,
               uint64_t now_us);
/* When the next frame arrives; UINT64_MAX: none is under way. */
uint64_t wire_next_us(const struct wire *wire);
/* Takes the next frame that has arrived by now_us, or NULL. The caller frees it. */
struct wire_frame *wire_receive(struct wire *wire, uint64_t now_us);

/* What a capture at the server's port shows of one connection: the third duplicate ACK is answered
 * by a retransmission at once (RFC 5681 3.2); with SACK the server may have seen the order change
 * where an ACK was lost, and then waits for a round trip at most (RFC 8985 6.2 step 4). It counts
 * no more of them than the server, on a wire that keeps the order. Owner: the client. */
struct loss_watch {
	uint16_t client_port;
	bool sack;         /* agreed on: a duplicate ACK without one tells of no loss */
	uint32_t expected; /* by the server, as it has last said */
	bool taken;        /* since then, perhaps: what begins there again may be old to it */
	uint32_t acked;    /* by the client */
	uint32_t window;
	uint32_t sent_end; /* behind all that the server has sent */
	uint32_t recover;  /* an ACK up to here tells of a loss that is known */
	uint32_t duplicates;
	bool owes; /* a segment at owed_sequence */
	uint32_t owed_sequence;
	uint64_t owed_since_us; /* 0: since just now */
};

/* A frame that the server has sent, or has received. */
void watch_sent(struct loss_watch *watch, const uint8_t *data, uint16_t length);
void watch_received(struct loss_watch *watch, const uint8_t *data, uint16_t length);
