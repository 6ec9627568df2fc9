/* SPDX-License-Identifier: Apache-2.0 */
/* Where free segments come from. What decides which segment is emptied, and what of it stays, is
 * all here; what an item is worth is policy.c's. */
#include "store/internal.h"

/* Of the segments, one in so many is for large items being written; for those whose bytes have not
 * come for a while it is one in more. */
#define WRITING_SHARE       2
#define WRITING_SHARE_STALE 4
#define WRITING_STALE_S     2 /* whole seconds of the clock: at least one of time */

/* Of s3fifo: when so many segments' worth has stayed without one segment won, the chances of the
 * rest are one fewer. */
#define CHANCES_LOOKED 8

#define DESERTED_TICKS 2u /* without a hit in a segment, after which it may be taken for that */

#define PASSED_OVER_MAX 32 /* segments in a row, of which most is hot */

#define BATCH_LARGE 64 /* the most of policy_traits */

static uint32_t find_not_held(const struct store *store, uint32_t index)
{
	while (index != SEGMENT_NONE && store_is_held(store_segment(store, index)))
		index = store_segment(store, index)->next;
	return index;
}

/* The log's oldest segment of the kind that may go. */
static uint32_t oldest_of(const struct store *store, enum log_id log, enum list_id list)
{
	return find_not_held(store, store->logs[log].lists[list].oldest);
}

/* Of two of one log. */
static uint32_t older_of(const struct store *store, uint32_t a, uint32_t b)
{
	if (a == SEGMENT_NONE || b == SEGMENT_NONE)
		return a == SEGMENT_NONE ? b : a;
	return store_segment(store, a)->sequence < store_segment(store, b)->sequence ? a : b;
}

static uint32_t oldest_of_main(const struct store *store)
{
	return older_of(store, oldest_of(store, LOG_MAIN, LIST_SMALL),
	                oldest_of(store, LOG_MAIN, LIST_LARGE));
}

static uint32_t log_count(const struct store *store, enum log_id log)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < LIST_COUNT; i++)
		count += store->logs[log].lists[i].count;
	return count;
}

/* Segments that probation may have. */
static uint32_t share_count(const struct store *store)
{
	uint64_t count = store_cache_bytes(store) >> store->segments.shift;

	if (!policy_traits[store->eviction.policy].has_probation)
		return 0;
	return (uint32_t)(count * store->eviction.share >> 16);
}

static void count_share(struct store *store)
{
	counter_set(&store->counters.probation_bytes, (uint64_t)share_count(store)
	                                                  << store->segments.shift);
}

void store_begin_eviction(struct store *store, enum policy policy)
{
	store->eviction = (struct eviction){
	    .clock.left_bytes = store_cache_bytes(store) / TICKS_OF_A_CACHE,
	    .share = SHARE_START,
	    .emptied = SEGMENT_NONE,
	    .chances = 1,
	};
	store_set_policy(store, policy);
}

void store_set_policy(struct store *store, enum policy policy)
{
	store->eviction.is_adaptive = policy == POLICY_adaptive;
	if (policy != POLICY_adaptive)
		store_follow(store, policy);
	count_share(store);
}

void store_follow(struct store *store, enum policy policy)
{
	if (policy == store->eviction.policy)
		return;
	store->eviction.policy = policy;
	counter_set(&store->counters.policy, policy);
	counter_add(&store->counters.policy_changes, 1);
}

static uint64_t sequence_of(const struct store *store, uint32_t index)
{
	return index == SEGMENT_NONE ? 0 : store_segment(store, index)->sequence;
}

void store_count_written(struct store *store, uint64_t bytes)
{
	const struct segment_list *lists = store->logs[LOG_MAIN].lists;
	struct eviction *eviction = &store->eviction;

	if (!tick_clock_pass(&eviction->clock, bytes, store_cache_bytes(store)))
		return;
	count_share(store);
	desertion_tick(&eviction->desertion, sequence_of(store, oldest_of_main(store)),
	               max_u64(sequence_of(store, lists[LIST_SMALL].newest),
	                       sequence_of(store, lists[LIST_LARGE].newest)));
}

enum log_id store_choose_log(struct store *store, uint64_t hash, uint64_t bytes)
{
	bool has_probation = policy_traits[store->eviction.policy].has_probation;
	const _Atomic uint64_t *slot = index_find_tag(&store->index, hash);
	struct ghost_memory memory;

	if (slot != NULL) {
		const struct item *item = index_item(&store->index, slot_load(slot));

		return has_probation ? (enum log_id)store_segment_of(store, item)->log : LOG_MAIN;
	}
	memory = ghost_take(&store->ghost, hash, store_cache_bytes(store));
	if (memory.is_known && memory.is_near)
		store->eviction.share =
		    policy_move_share(store->eviction.share, memory.kind == GHOST_PROBATION, bytes,
		                      store_cache_bytes(store));
	if (memory.is_known && memory.kind == GHOST_DESERTED)
		desertion_returned(&store->eviction.desertion, bytes);
	if (!memory.is_known || memory.kind == GHOST_MAIN)
		return has_probation ? LOG_PROBATION : LOG_MAIN;
	counter_add(&store->counters.ghost_hits, 1);
	return LOG_MAIN;
}

/* A segment all of whose items have expired or were flushed. expiry_soonest_s keeps this from
 * looking when there is none: a search that finds nothing sets it to the next that will come. */
static uint32_t find_expired(struct store *store)
{
	uint32_t soonest_s = EXPIRY_NEVER;

	if (store->now_s < store->expiry_soonest_s)
		return SEGMENT_NONE;
	for (uint32_t n = 0; n < LOG_COUNT * LIST_COUNT; n++) {
		uint32_t i = store->logs[n / LIST_COUNT].lists[n % LIST_COUNT].oldest;

		for (; i != SEGMENT_NONE; i = store_segment(store, i)->next) {
			struct segment *segment = store_segment(store, i);
			bool expired = segment->expiry_max_s <= store->now_s ||
			               store_is_flushed(store, segment);

			if (expired && segment->open_count == 0 && segment->pin_count == 0)
				return i;
			soonest_s =
			    min_u32(soonest_s, expired ? store->now_s + 1 : segment->expiry_max_s);
		}
	}
	store->expiry_soonest_s = soonest_s;
	return SEGMENT_NONE;
}

static bool reclaim_expired(struct store *store)
{
	struct sieve none = {.rank_min = UINT32_MAX};
	uint32_t index = find_expired(store);

	if (index == SEGMENT_NONE)
		return false;
	counter_add(&store->counters.segments_expired, 1);
	store_empty(store, index, &none);
	return true;
}

static bool reclaim_sparse(struct store *store)
{
	for (uint32_t i = 0; i < LOG_COUNT; i++) {
		struct sieve all = {.to = (enum log_id)i};
		uint32_t index = oldest_of(store, (enum log_id)i, LIST_SPARSE);

		if (index == SEGMENT_NONE)
			continue;
		counter_add(&store->counters.segments_compacted, 1);
		store_empty(store, index, &all);
		return true;
	}
	return false;
}

/* What was asked for again goes to main. Large items have at most half of the share. */
static bool reclaim_probation(struct store *store)
{
	struct sieve sieve = {.rank_min = 1, .to = LOG_MAIN};
	uint32_t small = oldest_of(store, LOG_PROBATION, LIST_SMALL);
	uint32_t large = oldest_of(store, LOG_PROBATION, LIST_LARGE);
	uint32_t index = older_of(store, small, large);

	if (large != SEGMENT_NONE &&
	    store->logs[LOG_PROBATION].lists[LIST_LARGE].count > share_count(store) / 2)
		index = large;
	if (index == SEGMENT_NONE)
		return false;
	counter_add(&store->counters.segments_evicted, 1);
	store_empty(store, index, &sieve);
	return true;
}

/* Segment by segment. */
static bool reclaim_by_chances(struct store *store)
{
	struct eviction *eviction = &store->eviction;
	uint64_t one_bytes = segment_bytes(&store->segments);
	struct sieve sieve = {
	    .rank_min = eviction->chances,
	    .to = LOG_MAIN,
	    .takes_chance = true,
	};
	uint32_t index = oldest_of_main(store);

	if (index == SEGMENT_NONE)
		return false;
	counter_add(&store->counters.segments_evicted, 1);
	store_empty(store, index, &sieve);
	eviction->won_bytes += sieve.won_bytes;
	eviction->kept_bytes += sieve.kept_bytes;
	if (eviction->won_bytes >= one_bytes) {
		eviction->won_bytes = 0;
		eviction->kept_bytes = 0;
		eviction->chances = 1;
	} else if (eviction->kept_bytes >= CHANCES_LOOKED * one_bytes) {
		eviction->kept_bytes = 0;
		eviction->chances++;
	}
	return true;
}

static uint32_t next_not_held(const struct store *store, uint32_t index)
{
	return find_not_held(store, store_segment(store, index)->next);
}

/* The oldest segments of main, in their order: so neither kind gets older than the other. */
static uint32_t choose_batch(const struct store *store, uint32_t *ret_batch)
{
	const struct policy_traits *traits = &policy_traits[store->eviction.policy];
	uint32_t small = oldest_of(store, LOG_MAIN, LIST_SMALL);
	uint32_t large = oldest_of(store, LOG_MAIN, LIST_LARGE);
	uint32_t small_count = 0;
	uint32_t count = 0;

	for (;;) {
		uint32_t next = older_of(store, small, large);
		bool is_over;

		if (traits->looks_at_all_large && next != SEGMENT_NONE)
			next =
			    small_count < BATCH_SEGMENTS && small != SEGMENT_NONE ? small : large;
		is_over = next == small ? small_count == BATCH_SEGMENTS
		                        : count - small_count == traits->large_batch;
		if (next == SEGMENT_NONE || is_over)
			return count;
		ret_batch[count++] = next;
		if (next == small) {
			small_count++;
			small = next_not_held(store, small);
		} else {
			large = next_not_held(store, large);
		}
	}
}

/* The lowest ranks go, until so many bytes have. Returns the highest that goes. */
static uint32_t choose_rank(const struct store *store, uint64_t bytes, struct sieve *sieve)
{
	for (uint32_t rank = 0; rank < POLICY_RANKS; rank++) {
		uint64_t rank_bytes = store->eviction.rank_bytes[rank];

		sieve->rank_min = rank;
		sieve->bytes = bytes;
		if (rank_bytes >= bytes)
			return rank;
		bytes -= rank_bytes;
	}
	return POLICY_RANKS - 1;
}

static void weigh_first(struct store *store)
{
	enum policy policy = store->eviction.policy;
	uint64_t items = counter_read(&store->counters.curr_items);
	uint64_t mean_bytes = counter_read(&store->counters.bytes) / max_u64(items, 1);

	if (store->eviction.weights[policy] == 0)
		store->eviction.weights[policy] = policy_first_weight(policy, mean_bytes);
}

/* What is hot comes to lie together, as it is copied together. A batch of nothing else would have
 * to do without a third of that, so such segments go to the newest end as they are. */
static void pass_over_hot(struct store *store)
{
	if (!policy_traits[store->eviction.policy].earns_time)
		return;
	for (uint32_t i = 0; i < PASSED_OVER_MAX; i++) {
		uint32_t index = oldest_of(store, LOG_MAIN, LIST_SMALL);
		const struct segment *segment;

		if (index == SEGMENT_NONE)
			return;
		segment = store_segment(store, index);
		if (segment->state == SEGMENT_ACTIVE || store_is_flushed(store, segment) ||
		    store_hot_bytes(store, index) < segment->live_bytes / 8 * 7)
			return;
		store_unlist(store, index);
		store_list(store, index, LOG_MAIN, LIST_SMALL);
	}
}

/* A segment's worth goes. Half of that may be dead already: not all, as room cannot always be put
 * together. */
static bool reclaim_by_rank(struct store *store)
{
	struct eviction *eviction = &store->eviction;
	struct sieve sieve = {.policy = eviction->policy, .to = LOG_MAIN};
	uint64_t one_bytes = segment_bytes(&store->segments);
	uint32_t batch[BATCH_SEGMENTS + BATCH_LARGE];
	uint64_t dead_bytes = 0;
	uint32_t highest;
	uint32_t count;

	weigh_first(store);
	pass_over_hot(store);
	count = choose_batch(store, batch);
	if (count == 0)
		return false;
	memset(eviction->rank_bytes, 0, sizeof(eviction->rank_bytes));
	for (uint32_t i = 0; i < count; i++) {
		const struct segment *segment = store_segment(store, batch[i]);

		dead_bytes += segment->used_bytes - segment->live_bytes;
		store_rank_items(store, batch[i]);
	}
	highest = choose_rank(store, one_bytes - min_u64(dead_bytes, one_bytes / 2), &sieve);
	for (uint32_t i = 0; i < count; i++) {
		counter_add(&store->counters.segments_evicted, 1);
		store_empty(store, batch[i], &sieve);
	}
	/* what the batch was ranked by stays the same to its end */
	if (policy_traits[eviction->policy].earns_time)
		eviction->weights[eviction->policy] =
		    policy_weigh(eviction->weights[eviction->policy], highest);
	return true;
}

static bool reclaim_main(struct store *store)
{
	if (policy_traits[store->eviction.policy].gives_chances)
		return reclaim_by_chances(store);
	return reclaim_by_rank(store);
}

/* What clients have turned away from goes before what they may ask for. */
static bool reclaim_deserted(struct store *store)
{
	struct sieve none = {.rank_min = UINT32_MAX, .is_deserted = true};
	uint32_t index = oldest_of_main(store);
	uint32_t age;

	if (!policy_traits[store->eviction.policy].has_probation ||
	    !store->eviction.desertion.has_happened || index == SEGMENT_NONE)
		return false;
	age = (store->eviction.clock.tick - store_segment(store, index)->hit_tick) & UINT8_MAX;
	if (age < DESERTED_TICKS)
		return false;
	counter_add(&store->counters.segments_evicted, 1);
	counter_add(&store->counters.segments_deserted, 1);
	store_empty(store, index, &none);
	desertion_dropped(&store->eviction.desertion, none.won_bytes);
	return true;
}

static bool reclaim_log(struct store *store)
{
	uint32_t probation = log_count(store, LOG_PROBATION);
	bool is_over = probation > share_count(store) || log_count(store, LOG_MAIN) < 2;

	if (probation > 0 && is_over && reclaim_probation(store))
		return true;
	return reclaim_main(store) || reclaim_probation(store);
}

bool store_make_room(struct store *store)
{
	if (reclaim_expired(store))
		return true;
	store_shrink_index(store);
	if (reclaim_sparse(store) || reclaim_deserted(store) || reclaim_log(store))
		return true;
	if (store->large_first == NULL)
		return store_shrink_index_now(store);
	store_revoke(store, store->large_first);
	return true;
}

/* Large items that wait for bytes do not drive out what is there. */
static void limit_writing(struct store *store)
{
	struct store_reservation *first = store->large_first;
	uint32_t share = WRITING_SHARE;

	if (first == NULL)
		return;
	if (store->now_s - first->waits_since_s >= WRITING_STALE_S)
		share = WRITING_SHARE_STALE;
	if (store->writing_segment_count >= store->segment_count_max / share)
		store_revoke(store, first);
}

bool store_free_one(struct store *store)
{
	store_move_many(store);
	while (store_is_full(store))
		if (!store_make_room(store))
			return false;
	return true;
}

uint32_t store_take_segment(struct store *store, enum segment_state state)
{
	if (state == SEGMENT_OPEN || state == SEGMENT_EXTENT)
		limit_writing(store);
	return store_free_one(store) ? store_take_free(store, state) : SEGMENT_NONE;
}
