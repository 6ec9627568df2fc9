/* SPDX-License-Identifier: Apache-2.0 */
/* What is to be gone at once though it lies all over memory: all items of a prefix or of a class
 * that were published before. A purge is noted down, and from then on whoever finds such an item
 * knows that it is dead; then all segments are looked through, some items in each turn, and it is
 * forgotten.
 * Owner: the store. Readers of other workers look at it, too. */
#pragma once

#include "store/classes.h"

#include <stdatomic.h>

#define PURGES_MAX      16 /* under way at a time */
#define PURGE_ANY_CLASS UINT32_MAX

/* An item is meant that begins with the prefix and is of the class. */
struct purge_target {
	struct slice prefix; /* at most CLASS_PREFIX_BYTES */
	uint32_t class;      /* or PURGE_ANY_CLASS */
};

enum purge_state {
	PURGE_FREE,
	PURGE_SWEEPING, /* there may be such items in the index */
	PURGE_SWEPT,    /* there are none, but a reader may have found one before: he has to pass */
	PURGE_CLEARED,  /* readers do not look at it any more, but one may have begun to */
};

struct purge {
	/* What is in segments up to this sequence; 0: nobody is to look at the rest. */
	_Atomic uint64_t sequence;
	uint32_t class;
	uint32_t prefix_bytes;
	uint8_t prefix[CLASS_PREFIX_BYTES];
	/* the owner's: */
	uint8_t state;    /* enum purge_state */
	uint32_t pass;    /* of the sweep: it is over with that */
	uint64_t retired; /* when it has come to its state (base/epoch.h) */
};

struct purges {
	struct purge list[PURGES_MAX];
	/* the sweep: */
	uint32_t sweeping_count;   /* purges; 0: it rests */
	uint32_t pass;             /* so many times has it gone through all segments */
	uint32_t segment;          /* that it looks at, */
	uint64_t segment_sequence; /* when it came to it; 0: it has not */
	uint32_t offset;           /* of the next item in there */
};
