/* SPDX-License-Identifier: Apache-2.0 */
/* One whole worker on a netif in memory, and clients that are replayed: what is measured is the
 * worker's turn and nothing else. The netif is lean: frames lie in memory, as in the rings of a
 * device that takes over no checksums, and nobody copies them.
 *
 * Owner: the measuring program. Time is data; a fault ends the process with a sentence. */
#pragma once

#include "load/frame.h"
#include "worker/worker.h"

#define REPLAYED_FRAMES    512  /* in all */
#define REPLAYED_FRAME_MAX 2048 /* bytes */
#define REPLAYED_IN_MAX    64   /* frames that wait for the worker */
#define REPLAYED_OUT_MAX   256  /* that it sends in a turn */
#define REPLAYED_PORT      11211
#define REPLAYED_KEY_BYTES 16
#define REPLAYED_TURN_US   20

struct replayed_options {
	uint64_t memory_bytes; /* of the store */
	uint32_t peer_count;   /* TCP connections that can be made */
	uint32_t block_count;
	bool is_huge; /* in huge pages, as kanted has them */
};

/* One client's end of a TCP connection. */
struct replayed_peer {
	uint32_t snd_nxt;
	uint32_t rcv_nxt;
};

/* A frame that the worker has sent, seen from the client. */
struct replayed_reply {
	uint32_t peer; /* or, of a datagram, the number of the client that asked */
	bool is_datagram;
	struct slice payload; /* until the next turn */
};

struct replayed {
	struct netif netif;
	struct packet in[REPLAYED_IN_MAX];
	struct packet out[REPLAYED_OUT_MAX];
	uint32_t in_count;
	uint32_t in_taken;
	uint32_t out_count;
	uint8_t *free[REPLAYED_FRAMES]; /* the one given back last goes first */
	uint32_t free_count;
	uint8_t (*frames)[REPLAYED_FRAME_MAX];
	struct workers workers;
	struct worker *worker;
	struct port_options port;
	struct frame_path path;
	struct stats_worker published;
	struct replayed_peer *peers;
	uint32_t peer_count;
	uint64_t now_us;
	struct memory memory;
};

/* "PROGRAM: what", and that is the end. */
_Noreturn void replayed_fail(const char *what);

struct replayed *replayed_create(const struct replayed_options *options);
void replayed_free(struct replayed *replayed);

/* Bytes of a client's, in as few frames as they fit, for the next turn to receive. */
void replayed_say(struct replayed *replayed, uint32_t peer, struct slice payload);
void replayed_ask(struct replayed *replayed, uint32_t client, struct slice payload); /* by UDP */

/* The worker's turn, and nothing else. */
void replayed_turn(struct replayed *replayed);

/* After a turn: `heard` is told of each frame with payload that the worker has sent, in their
 * order. Then their memory is the worker's again. */
void replayed_hear(struct replayed *replayed,
                   void (*heard)(void *context, const struct replayed_reply *reply), void *context);

/* Makes the connections of these peers. */
void replayed_connect(struct replayed *replayed, uint32_t first, uint32_t behind);

/* These peers acknowledge all that they have got, which else goes with what they say next. */
void replayed_acknowledge(struct replayed *replayed, uint32_t first, uint32_t behind);
