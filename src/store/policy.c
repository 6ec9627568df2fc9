/* SPDX-License-Identifier: Apache-2.0 */
#include "store/policy.h"

#include "base/bytes.h"
#include "store/mark.h"

/* Of those that rank by time: quarters of a tick from now, the middle; from RANK_LINEAR on they get
 * coarser, 1/256 of their own length. */
#define RANK_OF_SCORE    6 /* log2: a score is in 1/256 of a tick */
#define RANK_LINEAR_BITS 9
#define RANK_LINEAR      (1u << RANK_LINEAR_BITS)
#define WEIGHT_MIN       256u
#define WEIGHT_MAX       ((uint64_t)1 << 44)
#define WEIGHT_START     ((uint64_t)16 << 8)
#define PRIORITY_BITS    8 /* ranks, log2, of one priority: an age in ticks */
#define TTL_OCTAVE_BITS  4 /* so many ranks, log2, for each doubling of the time left */

const struct policy_traits policy_traits[POLICY_COUNT] = {
    [POLICY_s3fifo] = {.has_probation = true, .gives_chances = true, .large_batch = 1},
    [POLICY_lru] = {.earns_time = true, .large_batch = 16},
    [POLICY_lfu] = {.has_probation = true, .earns_time = true, .large_batch = 16},
    [POLICY_size] = {.earns_time = true, .large_batch = 64, .looks_at_all_large = true},
    [POLICY_ttl] = {.large_batch = 64, .looks_at_all_large = true},
    [POLICY_priority] = {.large_batch = 64, .looks_at_all_large = true},
};

static uint32_t distance_of(uint64_t quarters)
{
	uint32_t octave;

	if (quarters < RANK_LINEAR)
		return (uint32_t)quarters;
	octave = 64 - RANK_LINEAR_BITS - (uint32_t)__builtin_clzll(quarters);
	return min_u32(octave * (RANK_LINEAR / 2) + (uint32_t)(quarters >> octave), RANK_NOW - 1);
}

static uint64_t quarters_of(uint32_t distance)
{
	uint32_t octave = distance / (RANK_LINEAR / 2);

	if (distance < RANK_LINEAR)
		return distance;
	octave--;
	return (uint64_t)(distance - octave * (RANK_LINEAR / 2)) << octave;
}

static uint32_t rank_of_score(int64_t score)
{
	if (score < 0)
		return RANK_NOW - distance_of((uint64_t)-score >> RANK_OF_SCORE);
	return RANK_NOW + distance_of((uint64_t)score >> RANK_OF_SCORE);
}

static int64_t score_of_rank(uint32_t rank)
{
	if (rank < RANK_NOW)
		return -(int64_t)(quarters_of(RANK_NOW - rank) << RANK_OF_SCORE);
	return (int64_t)(quarters_of(rank - RANK_NOW) << RANK_OF_SCORE);
}

/* What it has earned, less the time since its last hit. That its birth counts half a hit more than
 * nothing is GDSF's: it could not be told from what was never asked for. */
static uint32_t rank_of_earned(const struct policy_item *item, uint32_t tick, uint64_t weight,
                               uint32_t bytes)
{
	uint64_t earned = weight * (2 * mark_hits(item->mark) + 1) / bytes;

	return rank_of_score((int64_t)earned - ((int64_t)mark_age(item->mark, tick) << 8));
}

/* Logarithmic: a doubling of the time left is 16 ranks. */
static uint32_t rank_of_time_left(uint32_t left_s)
{
	uint32_t octave = 31 - (uint32_t)__builtin_clz(left_s | 1);
	uint32_t in_octave = (uint32_t)((uint64_t)left_s << TTL_OCTAVE_BITS >> octave) &
	                     ((1u << TTL_OCTAVE_BITS) - 1);

	return octave << TTL_OCTAVE_BITS | in_octave;
}

uint32_t policy_rank(enum policy policy, const struct policy_item *item, uint32_t tick,
                     uint64_t weight)
{
	switch (policy) {
	case POLICY_s3fifo: return mark_hits(item->mark);
	case POLICY_lru:
		return rank_of_score((int64_t)weight - ((int64_t)mark_age(item->mark, tick) << 8));
	case POLICY_lfu: return rank_of_earned(item, tick, weight, 1);
	case POLICY_size: return rank_of_earned(item, tick, weight, max_u32(item->item_bytes, 1));
	case POLICY_ttl: return rank_of_time_left(item->left_s);
	case POLICY_priority:
		return item->priority << PRIORITY_BITS | (UINT8_MAX - mark_age(item->mark, tick));
	default: return 0;
	}
}

uint64_t policy_weigh(uint64_t weight, uint32_t rank)
{
	int64_t most = (int64_t)TICKS_OF_A_CACHE << 8;
	int64_t error = -score_of_rank(rank);

	error = error > most ? most : error < -most ? -most : error;
	weight += (uint64_t)((int64_t)(weight >> 4) * error / most);
	return weight < WEIGHT_MIN ? WEIGHT_MIN : min_u64(weight, WEIGHT_MAX);
}

uint64_t policy_first_weight(enum policy policy, uint64_t mean_bytes)
{
	return policy == POLICY_size ? WEIGHT_START * mean_bytes : WEIGHT_START;
}

uint32_t policy_move_share(uint32_t share, bool to_probation, uint64_t bytes, uint64_t cache_bytes)
{
	uint64_t by = (bytes << 16) / cache_bytes;

	if (to_probation)
		return (uint32_t)min_u64(share + by, SHARE_MAX);
	return share > SHARE_MIN + by ? share - (uint32_t)by : SHARE_MIN;
}
