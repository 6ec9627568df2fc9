/* SPDX-License-Identifier: Apache-2.0 */
#include "store/segment.h"

void segments_create(struct segments *segments)
{
	segments->free_first = SEGMENT_NONE;
	segments->free_count = 0;
	/* Lowest first, so that memory that is never needed is never touched. */
	for (uint32_t i = segments->count; i > 0; i--) {
		segments->headers[i - 1].extent_next = SEGMENT_NONE;
		segments_free(segments, i - 1);
	}
}

uint32_t segments_take(struct segments *segments, enum segment_state state)
{
	uint32_t index = segments->free_first;
	struct segment *segment;

	if (index == SEGMENT_NONE)
		return SEGMENT_NONE;
	segment = &segments->headers[index];
	segments->free_first = segment->next;
	segments->free_count--;
	*segment = (struct segment){
	    .state = (uint8_t)state,
	    .next = SEGMENT_NONE,
	    .previous = SEGMENT_NONE,
	    .extent_next = SEGMENT_NONE,
	    .chain_count = 1,
	    .due_s = EXPIRY_NEVER,
	    .window = EXPIRY_WINDOW_NONE,
	    .class = SEGMENT_CLASS_NONE,
	};
	return index;
}

void segments_free(struct segments *segments, uint32_t index)
{
	while (index != SEGMENT_NONE) {
		struct segment *segment = &segments->headers[index];
		uint32_t extent_next = segment->extent_next;

		segment->state = SEGMENT_FREE;
		segment->next = segments->free_first;
		segment->extent_next = SEGMENT_NONE;
		segments->free_first = index;
		segments->free_count++;
		index = extent_next;
	}
}

void segment_list_append(struct segments *segments, struct segment_list *list, uint32_t index)
{
	struct segment *segment = &segments->headers[index];

	segment->next = SEGMENT_NONE;
	segment->previous = list->newest;
	if (list->newest == SEGMENT_NONE)
		list->oldest = index;
	else
		segments->headers[list->newest].next = index;
	list->newest = index;
	list->count += segment->chain_count;
}

void segment_list_remove(struct segments *segments, struct segment_list *list, uint32_t index)
{
	struct segment *segment = &segments->headers[index];

	if (segment->previous == SEGMENT_NONE)
		list->oldest = segment->next;
	else
		segments->headers[segment->previous].next = segment->next;
	if (segment->next == SEGMENT_NONE)
		list->newest = segment->previous;
	else
		segments->headers[segment->next].previous = segment->previous;
	list->count -= segment->chain_count;
}
