/* SPDX-License-Identifier: Apache-2.0 */
/* Hot keys of a shard that the XDP programs answer (xdp/layout.h): which these are the keeper says,
 * what their slots say the shard. A slot is out before anything about its item changes, so before
 * any client is told of it; it is back some time later, if the item still is what may be told.
 * Owner: the shard. */
#pragma once

#include "shard/slot.h"
#include "store/store.h"

#define SHOW_PROGRAMS_MAX 8   /* interfaces */
#define SHOW_KEYS_MAX     512 /* so that nearly each finds one of its two slots free */
#define SHOW_INTERVAL_US  10000
#define SHOW_KEYS_A_TURN  16

/* Of one program, mapped. */
struct show_program {
	struct xdp_slot *slots; /* XDP_SLOT_COUNT of them */
	const struct xdp_hits *hits;
};

struct show_options {
	struct show_program programs[SHOW_PROGRAMS_MAX]; /* the same keys in all */
	uint32_t program_count;
	uint32_t hits_count;      /* structs of each program's `hits` that may count answers */
	uint32_t value_bytes_max; /* of what is shown */
	uint64_t hash_seed;       /* of xdp_hash_byte() */
};

struct show_key {
	uint64_t hash;           /* the store's */
	const struct item *item; /* NULL: it is not shown now */
	uint64_t hits;           /* that were counted */
	uint16_t slot;
	uint8_t length;
	uint8_t bytes[XDP_KEY_BYTES_MAX];
};

struct show {
	struct show_options options;
	uint64_t clock_start_us; /* CLOCK_MONOTONIC of the shard's second 0; 0: it stands still */
	uint64_t next_us;        /* when they are to be looked at, …  */
	uint32_t next;           /* … a few at a time, from this one on */
	uint32_t count;
	struct show_key keys[SHOW_KEYS_MAX];
};
