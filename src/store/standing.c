/* SPDX-License-Identifier: Apache-2.0 */
/* What of the memory each class of keys has, and who is spared for that when room is wanted. */
#include "store/internal.h"

#define SPARED_MAX   1024 /* segments in a row that go to the newest end as they are */
#define PRESENT_PART 64   /* of what is held: a class with less than that is as good as gone */

void store_count_class(struct store *store, const struct item *item, bool is_there)
{
	struct class_holding *holding;

	if (store->classes == NULL)
		return;
	holding = &store->holdings[classes_of(store->classes, item_key(item))];
	if (is_there) {
		counter_add(&holding->items, 1);
		counter_add(&holding->bytes, item_bytes(item));
	} else {
		counter_subtract(&holding->items, 1);
		counter_subtract(&holding->bytes, item_bytes(item));
	}
}

static enum class_standing standing_of(const struct store *store, uint32_t class)
{
	const struct class_rules *rules = &store->classes->rules[class];
	uint64_t bytes = counter_read(&store->holdings[class].bytes) * 100;
	uint64_t held = counter_read(&store->counters.bytes);

	if (bytes < held * rules->share_min)
		return CLASS_BELOW;
	return bytes > held * rules->share_max ? CLASS_ABOVE : CLASS_WITHIN;
}

enum class_standing store_standing(const struct store *store, const struct item *item)
{
	if (store->classes == NULL)
		return CLASS_WITHIN;
	return standing_of(store, classes_of(store->classes, item_key(item)));
}

uint32_t store_priority(const struct store *store, const struct item *item)
{
	if (store->classes == NULL)
		return CLASS_PRIORITY_DEFAULT;
	return store->classes->rules[classes_of(store->classes, item_key(item))].priority;
}

void store_settle_lowest(struct store *store)
{
	uint64_t held = counter_read(&store->counters.bytes);
	uint32_t lowest = CLASS_PRIORITY_MAX;

	for (uint32_t i = 0; store->classes != NULL && i < store->classes->count; i++)
		if (counter_read(&store->holdings[i].bytes) > held / PRESENT_PART)
			lowest = min_u32(lowest, store->classes->rules[i].priority);
	store->eviction.lowest_priority = lowest;
}

void store_class_segment(struct store *store, struct segment *segment, const struct item *item)
{
	uint32_t number;

	if (store->classes == NULL || segment->class == SEGMENT_CLASS_MIXED)
		return;
	number = classes_of(store->classes, item_key(item));
	if (segment->class == SEGMENT_CLASS_NONE)
		segment->class = (uint8_t)number;
	else if (segment->class != number)
		segment->class = SEGMENT_CLASS_MIXED;
}

/* Nothing in it may go, as all of it is one class's. */
static bool is_spared(const struct store *store, const struct segment *segment)
{
	if (segment->class >= SEGMENT_CLASS_MIXED)
		return false;
	if (standing_of(store, segment->class) == CLASS_BELOW)
		return true;
	return store->eviction.policy == POLICY_priority &&
	       store->classes->rules[segment->class].priority > store->eviction.lowest_priority;
}

void store_spare(struct store *store, enum log_id log)
{
	uint32_t count = 0;

	if (store->classes == NULL)
		return;
	for (uint32_t i = 0; i < 2 && count < SPARED_MAX; count++) {
		uint32_t index = store->logs[log].lists[i == 0 ? LIST_SMALL : LIST_LARGE].oldest;
		struct segment *segment;

		if (index == SEGMENT_NONE) {
			i++;
			continue;
		}
		segment = store_segment(store, index);
		if (segment->state != SEGMENT_SEALED || segment->is_claimed ||
		    store_is_condemned(store, segment) || !is_spared(store, segment)) {
			i++;
			continue;
		}
		store_unlist(store, index);
		store_list(store, index, LOG_MAIN, (enum list_id)segment->list, segment->due_s);
	}
}
