/* SPDX-License-Identifier: Apache-2.0 */
/* What is left of a connection once the peer has acknowledged our FIN: 32 bytes.
 *
 * A linger waits for the peer's FIN (FIN_WAIT_2), discards what data comes before it, and then
 * answers what comes late (TIME_WAIT). Nobody is told of anything any more. */
#pragma once

#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>

struct tcp;
struct tcp_connection;
struct tcp_segment;
struct tuple;

struct linger {
	uint64_t hash; /* the tuple's: 64 keyed bits stand for addresses and ports */
	uint32_t due_ms;
	uint32_t snd_nxt;
	uint32_t rcv_nxt;
	uint32_t ts_recent;
	uint32_t ts_offset;
	uint32_t next : 28; /* in the bucket: index + 1 */
	uint32_t live : 1;
	uint32_t timestamps : 1;   /* RFC 7323, agreed on */
	uint32_t fin_received : 1; /* TIME_WAIT; without: FIN_WAIT_2 */
	uint32_t put_off : 1;      /* due_ms is later than its place in the ring says */
};

_Static_assert(sizeof(struct linger) == 32, "a busy server has many");

/* A ring by age: all wait equally long. Who comes when it is full takes the oldest one's place. */
struct lingers {
	struct linger *ring;
	uint32_t *buckets; /* index + 1 of the first */
	uint32_t bucket_mask;
	uint32_t count_max;
	uint32_t oldest;
	uint32_t count; /* from oldest on, dead ones included */
};

size_t lingers_bytes(uint32_t count_max);
void lingers_create(struct tcp *tcp, struct memory *memory);

/* `fin_received`: TIME_WAIT, else FIN_WAIT_2. */
void linger_add(struct tcp_connection *connection, const struct tuple *tuple, uint64_t now_us);

struct linger *linger_find(struct tcp *tcp, const struct tuple *tuple);

/* True: the linger is gone, and the segment is for a listener. */
bool linger_input(struct tcp *tcp, struct linger *linger, const struct tuple *tuple,
                  const struct tcp_segment *segment, uint64_t now_us);

/* Ends those that are due. */
void lingers_advance(struct tcp *tcp, uint64_t now_us);

/* When the next one may be due. False: there is none. */
bool lingers_next_ms(const struct tcp *tcp, uint32_t *ret_ms);

void lingers_check(const struct tcp *tcp);
