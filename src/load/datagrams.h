/* SPDX-License-Identifier: Apache-2.0 */
/* The requests of one UDP socket in flight: datagrams with memcached's frame header (protocol.txt,
 * "UDP protocol": request id, sequence number, datagram count, reserved; 16 bits each).
 *
 * A reply of several datagrams may arrive in any order: the next one in order is checked where it
 * is, one that is early is held in memory shared by all sockets of the workload. Requests are GETs
 * only: Kante takes no writes over UDP. Pure, like workload.h. */
#pragma once

#include "load/workload.h"

#define DATAGRAM_PADDING_BYTES_MAX 1400 /* so that one frame holds it all, over IPv6 too */
#define DATAGRAM_REQUEST_BYTES_MAX (8 + REQUEST_LINE_BYTES_MAX + DATAGRAM_PADDING_BYTES_MAX)
#define DATAGRAM_HELD_BYTES_MAX    1472 /* payload of the longest datagram held when early */

struct datagram_held {
	struct datagram_held *next;
	uint16_t sequence;
	uint16_t length;
	uint8_t bytes[DATAGRAM_HELD_BYTES_MAX];
};

/* Where early datagrams wait. Shared by all sockets of one thread. */
struct datagram_shelf {
	struct datagram_held *free;
};

struct datagram_slot {
	struct request request;
	struct reply reply;
	struct datagram_slot *next; /* free slots */
	struct datagram_held *held;
	uint64_t sent_ns;
	uint16_t id;
	uint16_t generation;
	uint16_t sequence_next;
	uint16_t datagram_count; /* 0 before the first has come */
	bool is_busy;
};

struct datagrams {
	struct workload *workload;
	struct datagram_shelf *shelf;
	struct datagram_slot *slots;
	struct datagram_slot *free;
	uint32_t slot_count;
	uint32_t busy_count;
};

size_t datagram_shelf_bytes(uint32_t held_count);
void datagram_shelf_create(struct datagram_shelf *shelf, uint32_t held_count,
                           struct memory *memory);

size_t datagrams_bytes(uint32_t pipeline);

/* pipeline: 1 … CONVERSATION_PIPELINE_MAX requests in flight at most. */
void datagrams_create(struct datagrams *datagrams, struct workload *workload,
                      struct datagram_shelf *shelf, uint32_t pipeline, struct memory *memory);

static inline bool datagrams_have_room(const struct datagrams *datagrams)
{
	return datagrams->free != NULL;
}

/* Takes the workload's next request (a GET) and writes its datagram, to be sent now, with the
 * workload's padding behind it. Returns its length. One that cannot be sent is a loss like any
 * other. */
size_t datagrams_ask(struct datagrams *datagrams, uint64_t intended_ns, uint64_t now_ns,
                     uint8_t to[DATAGRAM_REQUEST_BYTES_MAX]);

/* Checks and counts one datagram received. */
void datagrams_receive(struct datagrams *datagrams, const uint8_t *bytes, size_t length,
                       uint64_t now_ns);

/* The same where a reflector answers, which sends every datagram back as it was. */
void datagrams_reflected(struct datagrams *datagrams, const uint8_t *bytes, size_t length,
                         uint64_t now_ns);

/* Gives up on, and counts as unanswered, what was sent timeout_ns ago or before. */
void datagrams_expire(struct datagrams *datagrams, uint64_t now_ns, uint64_t timeout_ns);
