/* SPDX-License-Identifier: Apache-2.0 */
#include "store/expiry.h"

void expiry_create(struct expiry *expiry)
{
	*expiry = (struct expiry){.due_first = SEGMENT_NONE};
	memset(expiry->first, 0xff, sizeof(expiry->first)); /* SEGMENT_NONE */
}

static uint32_t *first_of(struct expiry *expiry, uint32_t window)
{
	if (window == EXPIRY_WINDOW_DUE)
		return &expiry->due_first;
	return &expiry->first[window / EXPIRY_PLACES][window % EXPIRY_PLACES];
}

static void put(struct expiry *expiry, struct segments *segments, uint32_t index, uint32_t window)
{
	struct segment *segment = &segments->headers[index];
	uint32_t *first = first_of(expiry, window);

	segment->window = (uint16_t)window;
	segment->expiry_previous = SEGMENT_NONE;
	segment->expiry_next = *first;
	if (*first != SEGMENT_NONE)
		segments->headers[*first].expiry_previous = index;
	*first = index;
	if (window != EXPIRY_WINDOW_DUE)
		expiry->counts[segment->log][window / EXPIRY_PLACES]++;
}

void expiry_add(struct expiry *expiry, struct segments *segments, uint32_t index)
{
	struct segment *segment = &segments->headers[index];
	uint32_t left_s = segment->due_s - min_u32(segment->due_s, expiry->now_s);
	uint32_t octave = expiry_octave(left_s);
	uint32_t shift = expiry_shift(octave);

	ASSERT(segment->window == EXPIRY_WINDOW_NONE);
	if (segment->due_s == EXPIRY_NEVER)
		return;
	if (left_s == 0)
		put(expiry, segments, index, EXPIRY_WINDOW_DUE);
	else if (octave >= EXPIRY_OCTAVES)
		segment->due_s = EXPIRY_NEVER;
	else
		put(expiry, segments, index,
		    octave * EXPIRY_PLACES +
		        (expiry_end(segment->due_s, shift) >> shift) % EXPIRY_PLACES);
}

void expiry_remove(struct expiry *expiry, struct segments *segments, uint32_t index)
{
	struct segment *segment = &segments->headers[index];
	uint32_t window = segment->window;

	if (window == EXPIRY_WINDOW_NONE)
		return;
	if (segment->expiry_previous == SEGMENT_NONE)
		*first_of(expiry, window) = segment->expiry_next;
	else
		segments->headers[segment->expiry_previous].expiry_next = segment->expiry_next;
	if (segment->expiry_next != SEGMENT_NONE)
		segments->headers[segment->expiry_next].expiry_previous = segment->expiry_previous;
	if (window != EXPIRY_WINDOW_DUE)
		expiry->counts[segment->log][window / EXPIRY_PLACES]--;
	segment->window = EXPIRY_WINDOW_NONE;
}

static void end_window(struct expiry *expiry, struct segments *segments, uint32_t window)
{
	uint32_t index = *first_of(expiry, window);

	while (index != SEGMENT_NONE) {
		uint32_t next = segments->headers[index].expiry_next;

		expiry_remove(expiry, segments, index);
		put(expiry, segments, index, EXPIRY_WINDOW_DUE);
		index = next;
	}
}

void expiry_tick(struct expiry *expiry, struct segments *segments, uint32_t now_s)
{
	uint32_t before_s = expiry->now_s;

	expiry->now_s = now_s;
	for (uint32_t octave = 0; octave < EXPIRY_OCTAVES; octave++) {
		uint32_t shift = expiry_shift(octave);
		uint32_t count = min_u32((now_s >> shift) - (before_s >> shift), EXPIRY_PLACES);

		for (uint32_t i = 0; i < count; i++)
			end_window(expiry, segments,
			           octave * EXPIRY_PLACES + ((now_s >> shift) - i) % EXPIRY_PLACES);
	}
}
