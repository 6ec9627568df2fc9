/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of the frames of a port that somebody looks at, one worker's: from the worker to the
 * keeper over a ring. A full ring loses copies, which are counted, and never frames.
 *
 * While a port is looked at, its netif has other functions, which copy and then call its own: so
 * those that are not cost nothing.
 *
 * Owner: the worker; the keeper has the functions that say so. */
#pragma once

#include "base/counter.h"
#include "base/spsc.h"
#include "net/captured.h"
#include "net/netif.h"
#include "net/port.h"

#define CAPTURE_SLOT_BYTES 248 /* with what the ring adds: four cache lines */
#define CAPTURE_SLOT_COUNT 1024

/* name, unit, kind, help */
#define CAPTURE_COUNTERS(X)                                                                        \
	X(frames, "frames", COUNTER_TOTAL, "Copied for `kante capture`, before its filter")        \
	X(missed, "frames", COUNTER_TOTAL, "Not copied: nobody took the copies away in time")

struct capture_counters {
	CAPTURE_COUNTERS(COUNTER_FIELD)
};

struct capture {
	struct netif *netifs[PORT_COUNT_MAX]; /* by the port's place in the config; NULL: none */
	struct netif *netif;                  /* that is looked at; NULL: none is */
	const struct netif_ops *ops;          /* its own */
	struct netif_ops copying_ops;
	uint64_t heeded; /* what `wanted` was when it was looked at last */
	uint64_t now_us;
	/* What the last append() has added. */
	const struct chain *chain;
	struct chain_cursor appended;
	uint32_t appended_bytes;
	struct capture_counters counters;
	struct spsc ring;
	/* The keeper's, seldom written: the worker looks at it in each of its turns. */
	_Alignas(CACHE_LINE_BYTES) _Atomic uint64_t wanted;
};

size_t capture_bytes(void);
/* Before the worker's first turn. */
void capture_create(struct capture *capture, struct memory *memory);
void capture_add_netif(struct capture *capture, struct netif *netif, uint32_t port_index);

void capture_heed(struct capture *capture, uint64_t wanted);

/* At the beginning of a turn. */
static inline void capture_turn(struct capture *capture, uint64_t now_us)
{
	/* relaxed: the number is all there is to see */
	uint64_t wanted = atomic_load_explicit(&capture->wanted, memory_order_relaxed);

	if (wanted != capture->heeded)
		capture_heed(capture, wanted);
	capture->now_us = now_us;
}

/* The keeper's: from the worker's next turn on, up to `snap` bytes of each frame of the port are
 * copied, with the capture's number. */
void capture_begin(struct capture *capture, uint32_t port_index, uint32_t snap, uint16_t number);
void capture_end(struct capture *capture);

/* The keeper's: the oldest copy of that capture. NULL: there is none. Copies of others before it
 * are dropped. */
const struct captured *capture_peek(struct capture *capture, uint16_t number);
/* Its bytes, in pieces from 0 on; of no length behind the last. */
struct slice capture_piece(struct capture *capture, const struct captured *captured,
                           uint32_t index);
/* Gives back what capture_peek() has returned. */
void capture_drop(struct capture *capture);
