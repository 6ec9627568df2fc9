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

#define PROBATION_MIN 3 /* segments: two that take items, and one that is full */

#define PASSED_OVER_MAX 32 /* segments in a row, of which most is hot */

/* Room that is kept free for those who write, so that they need not wait for it. */
#define AHEAD_PART      512 /* of the segments, one in so many, and one */
#define AHEAD_PART_READ 128 /* where it comes back only when others have passed */

#define RETIRED_ENOUGH 4 /* segments: better to wait for these than to empty more */

/* A turn's share of the work: items looked at, and so many more for each that was written. */
#define WORK_ITEMS          32
#define WORK_ITEMS_A_WRITE  6
#define WORK_ITEMS_A_BUCKET 8 /* moved in a resize of the index */

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
	return max_u32((uint32_t)(count * store->eviction.share >> 16), PROBATION_MIN);
}

uint32_t store_log_share(const struct store *store, enum log_id log)
{
	uint32_t count = (uint32_t)(store_cache_bytes(store) >> store->segments.shift);

	if (!store_is_full(store))
		return count;
	return log == LOG_PROBATION ? share_count(store) : count - share_count(store);
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
	    .chances = 1,
	};
	store_settle_lowest(store);
	store_publish_marking(store);
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
	store_settle_lowest(store);
	desertion_tick(&eviction->desertion, sequence_of(store, oldest_of_main(store)),
	               max_u64(sequence_of(store, lists[LIST_SMALL].newest),
	                       sequence_of(store, lists[LIST_LARGE].newest)));
	store_publish_marking(store);
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

/* Its items have expired, or were flushed, but for those whose expiry has been put off. What is
 * being written there is not in the way of anybody yet. */
static uint32_t find_due(const struct store *store)
{
	uint32_t index = store->expiry.due_first;

	for (; index != SEGMENT_NONE; index = store_segment(store, index)->expiry_next) {
		const struct segment *segment = store_segment(store, index);

		if (segment->open_count == 0 && segment->pin_count == 0)
			return index;
	}
	if (store->published.flush_sequence == 0)
		return SEGMENT_NONE;
	for (uint32_t i = 0; i < LOG_COUNT * LIST_COUNT; i++) {
		index =
		    oldest_of(store, (enum log_id)(i / LIST_COUNT), (enum list_id)(i % LIST_COUNT));
		if (index != SEGMENT_NONE && store_segment(store, index)->open_count == 0 &&
		    store_is_flushed(store, store_segment(store, index)))
			return index;
	}
	return SEGMENT_NONE;
}

/* Those that are to be emptied are claimed next. */
static void begin(struct store *store, enum reclaim_kind kind, struct sieve sieve)
{
	sieve.tick = store->eviction.clock.tick;
	store->eviction.reclaim = (struct reclaim){
	    .kind = kind,
	    .is_ranking = kind == RECLAIM_RANKED,
	    .sieve = sieve,
	};
}

static bool begin_due(struct store *store)
{
	uint32_t index = find_due(store);

	if (index == SEGMENT_NONE)
		return false;
	begin(store, RECLAIM_DUE, (struct sieve){.stays_in_log = true});
	counter_add(&store->counters.segments_expired, 1);
	store_claim(store, index);
	return true;
}

static bool begin_sparse(struct store *store)
{
	uint32_t index = oldest_of(store, LOG_PROBATION, LIST_SPARSE);

	if (index == SEGMENT_NONE)
		index = oldest_of(store, LOG_MAIN, LIST_SPARSE);
	if (index == SEGMENT_NONE)
		return false;
	begin(store, RECLAIM_SPARSE, (struct sieve){.stays_in_log = true});
	counter_add(&store->counters.segments_compacted, 1);
	store_claim(store, index);
	return true;
}

/* What was asked for again goes to main. Large items have at most half of the share. */
static bool begin_probation(struct store *store)
{
	uint32_t small = oldest_of(store, LOG_PROBATION, LIST_SMALL);
	uint32_t large = oldest_of(store, LOG_PROBATION, LIST_LARGE);
	uint32_t index = older_of(store, small, large);

	if (large != SEGMENT_NONE &&
	    store->logs[LOG_PROBATION].lists[LIST_LARGE].count > share_count(store) / 2)
		index = large;
	if (index == SEGMENT_NONE)
		return false;
	begin(store, RECLAIM_PROBATION, (struct sieve){.rank_min = 1});
	counter_add(&store->counters.segments_evicted, 1);
	store_claim(store, index);
	return true;
}

/* Segment by segment. */
static bool begin_by_chances(struct store *store)
{
	uint32_t index = oldest_of_main(store);

	if (index == SEGMENT_NONE)
		return false;
	begin(store, RECLAIM_CHANCES,
	      (struct sieve){.rank_min = store->eviction.chances, .takes_chance = true});
	counter_add(&store->counters.segments_evicted, 1);
	store_claim(store, index);
	return true;
}

static void end_by_chances(struct store *store)
{
	struct eviction *eviction = &store->eviction;
	uint64_t one_bytes = segment_bytes(&store->segments);

	eviction->won_bytes += eviction->reclaim.sieve.won_bytes;
	eviction->kept_bytes += eviction->reclaim.sieve.kept_bytes;
	if (eviction->won_bytes >= one_bytes) {
		eviction->won_bytes = 0;
		eviction->kept_bytes = 0;
		eviction->chances = 1;
	} else if (eviction->kept_bytes >= CHANCES_LOOKED * one_bytes) {
		eviction->kept_bytes = 0;
		eviction->chances++;
	}
}

static uint32_t next_not_held(const struct store *store, uint32_t index)
{
	return find_not_held(store, store_segment(store, index)->next);
}

/* The oldest segments of main, in their order: so neither kind gets older than the other. One of
 * them may be claimed already. */
static void claim_batch(struct store *store)
{
	const struct policy_traits *traits = &policy_traits[store->eviction.reclaim.sieve.policy];
	uint32_t small = oldest_of(store, LOG_MAIN, LIST_SMALL);
	uint32_t large = oldest_of(store, LOG_MAIN, LIST_LARGE);
	uint32_t small_count = 0;
	uint32_t large_count = 0;

	for (;;) {
		uint32_t next = older_of(store, small, large);
		bool is_over;

		if (traits->looks_at_all_large && next != SEGMENT_NONE)
			next =
			    small_count < BATCH_SEGMENTS && small != SEGMENT_NONE ? small : large;
		is_over = next == small ? small_count == BATCH_SEGMENTS
		                        : large_count == traits->large_batch;
		if (next == SEGMENT_NONE || is_over)
			return;
		if (next == small) {
			small_count++;
			small = next_not_held(store, small);
		} else {
			large_count++;
			large = next_not_held(store, large);
		}
		if (!store_segment(store, next)->is_claimed)
			store_claim(store, next);
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

/* A segment's worth goes of a batch: all of it is ranked, then emptied. The first is ranked alone,
 * as it may be passed over. */
static bool begin_ranked(struct store *store)
{
	uint32_t index = oldest_of(store, LOG_MAIN, LIST_SMALL);

	weigh_first(store);
	begin(store, RECLAIM_RANKED, (struct sieve){.policy = store->eviction.policy});
	memset(store->eviction.rank_bytes, 0, sizeof(store->eviction.rank_bytes));
	if (index == SEGMENT_NONE)
		claim_batch(store);
	else
		store_claim(store, index);
	if (store->eviction.reclaim.count == 0)
		store->eviction.reclaim.kind = RECLAIM_NONE;
	return store->eviction.reclaim.count > 0;
}

/* What is hot comes to lie together, as it is copied together. A batch of nothing else would have
 * to do without a third of that, so such a segment goes to the newest end as it is. */
static bool pass_over_hot(struct store *store)
{
	struct reclaim *reclaim = &store->eviction.reclaim;
	uint32_t index = reclaim->batch[0];
	const struct segment *segment = store_segment(store, index);

	if (reclaim->count != 1 || segment->list != LIST_SMALL ||
	    !policy_traits[reclaim->sieve.policy].earns_time ||
	    store_is_condemned(store, segment) ||
	    store->eviction.passed_over_count >= PASSED_OVER_MAX ||
	    reclaim->sieve.hot_bytes < segment->live_bytes / 8 * 7)
		return false;
	store->eviction.passed_over_count++;
	store_unlist(store, index);
	store_list(store, index, LOG_MAIN, LIST_SMALL, segment->due_s);
	store_unclaim(store, index);
	return true;
}

/* Half of what goes may be dead already: not all, as room cannot always be put together. */
static void end_ranking(struct store *store)
{
	struct reclaim *reclaim = &store->eviction.reclaim;
	uint64_t one_bytes = segment_bytes(&store->segments);
	uint64_t dead_bytes = 0;

	for (uint32_t i = 0; i < reclaim->count; i++) {
		const struct segment *segment = store_segment(store, reclaim->batch[i]);

		dead_bytes += segment->used_bytes - segment->live_bytes;
	}
	reclaim->highest_rank =
	    choose_rank(store, one_bytes - min_u64(dead_bytes, one_bytes / 2), &reclaim->sieve);
	counter_add(&store->counters.segments_evicted, reclaim->count);
	reclaim->is_ranking = false;
	reclaim->next = 0;
	store->eviction.passed_over_count = 0;
}

static void end_ranked(struct store *store)
{
	struct eviction *eviction = &store->eviction;
	enum policy policy = eviction->reclaim.sieve.policy;

	if (policy_traits[policy].earns_time)
		eviction->weights[policy] =
		    policy_weigh(eviction->weights[policy], eviction->reclaim.highest_rank);
}

static bool begin_main(struct store *store)
{
	if (policy_traits[store->eviction.policy].gives_chances)
		return begin_by_chances(store);
	return begin_ranked(store);
}

/* What clients have turned away from goes before what they may ask for. */
static bool begin_deserted(struct store *store)
{
	uint32_t index = oldest_of_main(store);
	uint32_t age;

	if (!policy_traits[store->eviction.policy].has_probation ||
	    !store->eviction.desertion.has_happened || index == SEGMENT_NONE)
		return false;
	age = (store->eviction.clock.tick - store_segment(store, index)->hit_tick) & UINT8_MAX;
	if (age < DESERTED_TICKS)
		return false;
	begin(store, RECLAIM_DESERTED, (struct sieve){.rank_min = UINT32_MAX, .is_deserted = true});
	counter_add(&store->counters.segments_evicted, 1);
	counter_add(&store->counters.segments_deserted, 1);
	store_claim(store, index);
	return true;
}

static bool begin_log(struct store *store)
{
	uint32_t probation = log_count(store, LOG_PROBATION);
	bool is_over = probation > share_count(store) || log_count(store, LOG_MAIN) < 2;

	if (probation > 0 && is_over && begin_probation(store))
		return true;
	return begin_main(store) || begin_probation(store);
}

static bool begin_any(struct store *store)
{
	if (begin_due(store))
		return true;
	store_shrink_index(store);
	store_spare(store, LOG_PROBATION);
	store_spare(store, LOG_MAIN);
	return begin_sparse(store) || begin_deserted(store) || begin_log(store);
}

/* Goes on with what was begun. False: it is not over. */
static bool go_on(struct store *store, uint32_t item_count)
{
	struct reclaim *reclaim = &store->eviction.reclaim;

	if (!store_sift_some(store, item_count))
		return false;
	if (reclaim->is_ranking && pass_over_hot(store))
		return !begin_ranked(store);
	if (reclaim->is_ranking && reclaim->count == 1)
		claim_batch(store);
	if (reclaim->is_ranking) {
		if (reclaim->next == reclaim->count)
			end_ranking(store);
		return false;
	}
	switch (reclaim->kind) {
	case RECLAIM_DESERTED:
		desertion_dropped(&store->eviction.desertion, reclaim->sieve.won_bytes);
		break;
	case RECLAIM_CHANCES: end_by_chances(store); break;
	case RECLAIM_RANKED: end_ranked(store); break;
	default: break;
	}
	reclaim->kind = RECLAIM_NONE;
	return true;
}

bool store_make_room(struct store *store)
{
	if (store->eviction.reclaim.kind != RECLAIM_NONE || begin_any(store)) {
		while (!go_on(store, UINT32_MAX))
			;
		return true;
	}
	if (store->large_first == NULL)
		return store_shrink_index_now(store);
	store_revoke(store, store->large_first);
	return true;
}

void store_end_reclaim(struct store *store)
{
	while (store->eviction.reclaim.kind != RECLAIM_NONE && !go_on(store, UINT32_MAX))
		;
}

/* Nobody waits for it yet. */
static bool is_room_wanted(const struct store *store)
{
	uint32_t part = store->epoch != NULL ? AHEAD_PART_READ : AHEAD_PART;
	uint32_t ahead = store->segment_count_max / part + 1;
	uint32_t used = store_used_count(store) - store->retired.count;

	return used + SEGMENTS_RESERVED + ahead >= store->segment_count_max;
}

bool store_work(struct store *store)
{
	uint32_t item_count = WORK_ITEMS + WORK_ITEMS_A_WRITE * store->written_count;

	store->written_count = 0;
	store_hear_readers(store);
	if (store->retired.count + store->retired_pinned_count > 0)
		store_collect(store);
	if (index_is_resizing(&store->index))
		store_move_buckets(store, item_count / WORK_ITEMS_A_BUCKET);
	if (counter_read(&store->counters.purges) > 0) {
		store_sweep_some(store, item_count);
		store_forget_purges(store);
	}
	if (store->eviction.reclaim.kind == RECLAIM_NONE && !begin_due(store) &&
	    !(is_room_wanted(store) && begin_any(store)))
		return index_is_resizing(&store->index) ||
		       counter_read(&store->counters.purges) > 0;
	go_on(store, item_count);
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
		if (!store_collect(store) &&
		    (store->retired.count >= RETIRED_ENOUGH || !store_make_room(store)))
			return false;
	return true;
}

uint32_t store_take_segment(struct store *store, enum segment_state state)
{
	if (state == SEGMENT_OPEN || state == SEGMENT_EXTENT)
		limit_writing(store);
	return store_free_one(store) ? store_take_free(store, state) : SEGMENT_NONE;
}
