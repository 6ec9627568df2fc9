/* SPDX-License-Identifier: Apache-2.0 */
/* A hot key's slot (xdp/layout.h) as its owner writes it: the XDP program answers from there. Plain
 * stores under a sequence number; who reads sees all of a write, or that there was one. */
#pragma once

#include "base/bytes.h"
#include "xdp/layout.h"

#define SLOT_VALUE_BYTES_MAX (XDP_BODY_BYTES - XDP_BODY_VALUE - XDP_BODY_END_BYTES)

/* What clients are told of an item. */
struct slot_item {
	struct slice key;   /* 1 … XDP_KEY_BYTES_MAX */
	struct slice value; /* at most SLOT_VALUE_BYTES_MAX */
	uint32_t client_flags;
	uint32_t expiry_s; /* by the owner's clock; 0: never */
	uint64_t cas_unique;
	uint64_t clock_start_ns; /* CLOCK_MONOTONIC of that clock's second 0 */
};

/* Of a key, as the program has it: where it may be is xdp_slot_number() of this. */
uint64_t slot_hash(uint64_t seed, struct slice key);

/* Makes the slot the item's. */
void slot_show(struct xdp_slot *slot, uint64_t hash_seed, const struct slot_item *item);

/* From now on nobody is told what it holds: whoever is acknowledged after this has seen it. What
 * the slot holds stays, and slot_show() may follow. */
void slot_retract(struct xdp_slot *slot);
