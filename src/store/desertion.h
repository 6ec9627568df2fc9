/* SPDX-License-Identifier: Apache-2.0 */
/* Whether clients have turned away from what is in main. It would stay for as many rounds as it has
 * hits, and rounds come slowly while all that is new has to make do with probation; so when they
 * ask for other keys than before, what they have turned away from is to go first.
 *
 * The sign is that the older half of main has hardly had a hit, where many were usual, and others
 * have. Whoever goes through his keys in order makes that look so, too, and comes back; so patience
 * is longer than any such time that has ended by itself, and when what was taken for deserted comes
 * back, it was a false alarm, and patience is longer from then on.
 * Owner: the store. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct desertion {
	uint64_t middle;    /* main's halves part at this sequence */
	uint64_t hits;      /* of the older half, in this tick (mark.h) */
	uint64_t last_hits; /* and in the last */
	uint64_t elsewhere; /* of all other items */
	uint64_t last_elsewhere;
	uint64_t usual;          /* in a tick, times 256 */
	uint32_t silence;        /* ticks without */
	uint32_t patience;       /* and how many of them are nothing special, times 256 */
	uint64_t dropped_bytes;  /* in this silence, or in the last that had an alarm */
	uint64_t returned_bytes; /* of that */
	bool has_happened;
};

/* An item has got its first hit in this tick. */
static inline void desertion_hit(struct desertion *desertion, bool is_older_half)
{
	if (is_older_half)
		desertion->hits++;
	else
		desertion->elsewhere++;
}

/* A tick is over; main goes from one sequence to the other now. */
void desertion_tick(struct desertion *desertion, uint64_t oldest, uint64_t newest);

/* So much was dropped because of it, so much of what was comes back. */
void desertion_dropped(struct desertion *desertion, uint64_t bytes);
void desertion_returned(struct desertion *desertion, uint64_t bytes);
