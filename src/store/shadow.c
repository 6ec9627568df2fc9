/* SPDX-License-Identifier: Apache-2.0 */
#include "store/shadow.h"

#include "base/assert.h"
#include "base/bytes.h"

#include <stdlib.h>

#define NONE             UINT32_MAX
#define BUCKET_BYTES     sizeof(uint32_t)
#define GHOST_BYTES      sizeof(uint32_t) /* an entry of theirs */
#define ENTRIES_ROUNDING 4096u            /* so that no table's start is out of line */

/* A batch of the policies that rank: at least so many items, at most so many. */
#define BATCH_SMALL_MIN 8
#define BATCH_SMALL_MAX 256
#define BATCH_LARGE_MAX 64
#define CHANCES_LOOKED  64

/* An epoch is over when the chosen policy's shadow has missed so often, or a 32nd of its entries.
 * It counts 31/32 of the next one. A rival must be better by 1/128, and by 16 misses. */
#define EPOCH_MISSES_MIN 256u
#define EPOCH_SHIFT      5
#define MEMORY_SHIFT     5
#define MARGIN_SHIFT     7
#define MARGIN_LEAST     16u

struct entry {
	uint32_t fingerprint; /* 32 bits of the hash */
	uint32_t bytes;       /* of a large item, all of its segments */
	uint32_t chain;       /* the next of its bucket, or in the free list */
	uint32_t newer;       /* in its queue */
	uint32_t older;
	uint32_t sequence;
	uint16_t mark;
	uint8_t log;
	bool is_large;
	uint32_t unused;
};

_Static_assert(sizeof(struct entry) == 32, "entries do not straddle segments");

#define ENTRY_BYTES (sizeof(struct entry) + BUCKET_BYTES + GHOST_BYTES)

uint64_t shadows_bytes(uint64_t cache_bytes)
{
	uint64_t wanted = cache_bytes / SHADOW_PART / (SHADOW_COUNT * ENTRY_BYTES);
	uint32_t count =
	    min_u32(max_u32((uint32_t)min_u64(wanted, SHADOW_ENTRIES_MAX), SHADOW_ENTRIES_MIN),
	            SHADOW_ENTRIES_MAX);

	return (uint64_t)(count / ENTRIES_ROUNDING * ENTRIES_ROUNDING) * SHADOW_COUNT * ENTRY_BYTES;
}

static struct entry *entry_at(const struct shadows *shadows, const struct shadow *shadow,
                              uint32_t i)
{
	return pages_at(shadows->pages, shadow->offset + i * sizeof(struct entry));
}

static uint32_t *bucket_of(const struct shadows *shadows, const struct shadow *shadow,
                           uint32_t fingerprint)
{
	uint64_t number = (uint64_t)(fingerprint * 0x9e3779b1u) * shadows->entry_count >> 32;

	return pages_at(shadows->pages, shadow->offset +
	                                    shadows->entry_count * sizeof(struct entry) +
	                                    number * BUCKET_BYTES);
}

/* The ghosts know a key by other bits than there are in the fingerprint. */
static uint64_t ghost_hash(uint32_t fingerprint)
{
	uint64_t hash = fingerprint * 0x9e3779b97f4a7c15u;

	return hash ^ hash >> 32;
}

static void shadow_begin(struct shadows *shadows, uint32_t i)
{
	struct shadow *shadow = &shadows->shadows[i];
	uint64_t count = shadows->entry_count;

	*shadow = (struct shadow){
	    .policy = (enum policy)i,
	    .offset = i * count * ENTRY_BYTES,
	    .share = SHARE_START,
	    .clock.left_bytes = shadows->cache_bytes / TICKS_OF_A_CACHE,
	    .ghost = {.pages = shadows->pages},
	};
	shadow->ghost.offset = shadow->offset + count * (sizeof(struct entry) + BUCKET_BYTES);
	shadow->ghost.bucket_count = (uint32_t)(count / GHOST_BUCKET_ENTRIES);
	for (uint32_t n = 0; n < LOG_COUNT * 2; n++)
		shadow->queues[n / 2][n % 2] = (struct shadow_queue){NONE, NONE, 0};
	for (uint32_t n = 0; n < count; n++) {
		entry_at(shadows, shadow, n)->chain = n + 1 < count ? n + 1 : NONE;
		*(uint32_t *)pages_at(shadows->pages, shadow->offset +
		                                          count * sizeof(struct entry) +
		                                          n * BUCKET_BYTES) = NONE;
	}
}

void shadows_begin(struct shadows *shadows, const struct pages *pages, uint64_t cache_bytes,
                   enum policy chosen)
{
	*shadows = (struct shadows){
	    .pages = pages,
	    .entry_count = (uint32_t)(pages_bytes(pages) / (SHADOW_COUNT * ENTRY_BYTES)) /
	                   ENTRIES_ROUNDING * ENTRIES_ROUNDING,
	    .whole_bytes = cache_bytes,
	    .cache_bytes = cache_bytes,
	    .batch_bytes = (uint64_t)1 << pages->shift,
	    .segment_bytes = (uint32_t)1 << pages->shift,
	    .chosen = chosen < SHADOW_COUNT ? chosen : POLICY_s3fifo,
	};
	for (uint32_t i = 0; i < pages->count; i++)
		memset(pages_at(pages, (uint64_t)i << pages->shift), 0, shadows->segment_bytes);
	for (uint32_t i = 0; i < SHADOW_COUNT; i++)
		shadow_begin(shadows, i);
}

void shadows_end(struct shadows *shadows)
{
	shadows->entry_count = 0;
}

static void unlink_entry(const struct shadows *shadows, struct shadow *shadow, uint32_t i)
{
	struct entry *entry = entry_at(shadows, shadow, i);
	struct shadow_queue *queue = &shadow->queues[entry->log][entry->is_large];

	if (entry->older != NONE)
		entry_at(shadows, shadow, entry->older)->newer = entry->newer;
	else
		queue->oldest = entry->newer;
	if (entry->newer != NONE)
		entry_at(shadows, shadow, entry->newer)->older = entry->older;
	else
		queue->newest = entry->older;
	queue->bytes -= entry->bytes;
}

static void link_newest(const struct shadows *shadows, struct shadow *shadow, uint32_t i,
                        enum log_id log)
{
	struct entry *entry = entry_at(shadows, shadow, i);
	struct shadow_queue *queue = &shadow->queues[log][entry->is_large];

	entry->log = (uint8_t)log;
	entry->sequence = ++shadow->sequence;
	entry->newer = NONE;
	entry->older = queue->newest;
	if (queue->newest != NONE)
		entry_at(shadows, shadow, queue->newest)->newer = i;
	else
		queue->oldest = i;
	queue->newest = i;
	queue->bytes += entry->bytes;
}

static void forget(const struct shadows *shadows, struct shadow *shadow, uint32_t i)
{
	struct entry *entry = entry_at(shadows, shadow, i);
	uint32_t *link = bucket_of(shadows, shadow, entry->fingerprint);

	unlink_entry(shadows, shadow, i);
	while (*link != i)
		link = &entry_at(shadows, shadow, *link)->chain;
	*link = entry->chain;
	entry->chain = shadow->free_first;
	shadow->free_first = i;
	shadow->count--;
}

static void evict(const struct shadows *shadows, struct shadow *shadow, uint32_t i)
{
	const struct entry *entry = entry_at(shadows, shadow, i);

	ghost_put(&shadow->ghost, ghost_hash(entry->fingerprint), (enum ghost_kind)entry->log,
	          entry->bytes, shadows->cache_bytes);
	forget(shadows, shadow, i);
}

static void keep(const struct shadows *shadows, struct shadow *shadow, uint32_t i, enum log_id log,
                 uint32_t hits)
{
	struct entry *entry = entry_at(shadows, shadow, i);

	entry->mark = (uint16_t)mark_kept(entry->mark, shadow->clock.tick, hits);
	unlink_entry(shadows, shadow, i);
	link_newest(shadows, shadow, i, log);
}

/* The older of the two kinds' oldest ones; NONE: there are none. */
static uint32_t oldest_of(const struct shadows *shadows, const struct shadow *shadow,
                          uint32_t small, uint32_t large)
{
	if (small == NONE || large == NONE)
		return small == NONE ? large : small;
	return entry_at(shadows, shadow, large)->sequence <
	               entry_at(shadows, shadow, small)->sequence
	           ? large
	           : small;
}

static uint64_t share_bytes(const struct shadows *shadows, const struct shadow *shadow)
{
	if (!policy_traits[shadow->policy].has_probation)
		return 0;
	return shadows->cache_bytes * shadow->share >> 16;
}

static void reclaim_probation(const struct shadows *shadows, struct shadow *shadow)
{
	const struct shadow_queue *queues = shadow->queues[LOG_PROBATION];
	uint32_t i = oldest_of(shadows, shadow, queues[0].oldest, queues[1].oldest);

	if (queues[1].oldest != NONE && queues[1].bytes > share_bytes(shadows, shadow) / 2)
		i = queues[1].oldest;
	if (mark_hits(entry_at(shadows, shadow, i)->mark) > 0)
		keep(shadows, shadow, i, LOG_MAIN, 0);
	else
		evict(shadows, shadow, i);
}

static void reclaim_by_chances(const struct shadows *shadows, struct shadow *shadow)
{
	const struct shadow_queue *queues = shadow->queues[LOG_MAIN];

	for (uint32_t tries = 0; tries < CHANCES_LOOKED; tries++) {
		uint32_t i = oldest_of(shadows, shadow, queues[0].oldest, queues[1].oldest);
		uint32_t hits = mark_hits(entry_at(shadows, shadow, i)->mark);

		if (hits == 0 || tries == CHANCES_LOOKED - 1) {
			evict(shadows, shadow, i);
			return;
		}
		keep(shadows, shadow, i, LOG_MAIN, min_u32(hits, CHANCES_MAX) - 1);
	}
}

struct candidate {
	uint32_t rank;
	uint32_t entry;
	uint32_t order;
};

static int compare_candidates(const void *a, const void *b)
{
	const struct candidate *x = a;
	const struct candidate *y = b;

	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static uint32_t choose_batch(const struct shadows *shadows, const struct shadow *shadow,
                             struct candidate *batch)
{
	const struct policy_traits *traits = &policy_traits[shadow->policy];
	uint32_t at[2] = {shadow->queues[LOG_MAIN][0].oldest, shadow->queues[LOG_MAIN][1].oldest};
	uint32_t taken[2] = {0, 0};
	uint64_t bytes = 0;
	uint32_t count = 0;

	for (;;) {
		bool is_enough =
		    taken[0] == BATCH_SMALL_MAX ||
		    (taken[0] >= BATCH_SMALL_MIN && bytes >= BATCH_SEGMENTS * shadows->batch_bytes);
		uint32_t i = oldest_of(shadows, shadow, at[0], at[1]);
		const struct entry *entry;
		struct policy_item item;

		if (traits->looks_at_all_large)
			i = at[0] != NONE && !is_enough ? at[0] : at[1];
		if (i == NONE || (i == at[0] ? is_enough : taken[1] == traits->large_batch))
			return count;
		entry = entry_at(shadows, shadow, i);
		item = (struct policy_item){
		    .mark = entry->mark, .item_bytes = entry->bytes, .left_s = UINT32_MAX};
		batch[count] = (struct candidate){
		    policy_rank(shadow->policy, &item, shadow->clock.tick, shadow->weight), i,
		    count};
		count++;
		at[entry->is_large] = entry->newer;
		taken[entry->is_large]++;
		bytes += entry->is_large ? 0 : entry->bytes;
	}
}

static void reclaim_by_rank(const struct shadows *shadows, struct shadow *shadow)
{
	struct candidate batch[BATCH_SMALL_MAX + BATCH_LARGE_MAX];
	uint64_t won_bytes = 0;
	uint32_t highest = 0;
	uint32_t count;

	if (shadow->weight == 0)
		shadow->weight =
		    policy_first_weight(shadow->policy, shadows->cache_bytes / shadow->count);
	count = choose_batch(shadows, shadow, batch);

	qsort(batch, count, sizeof(batch[0]), compare_candidates);
	for (uint32_t n = 0; n < count; n++) {
		const struct entry *entry = entry_at(shadows, shadow, batch[n].entry);

		if (n > 0 && won_bytes >= shadows->batch_bytes) {
			keep(shadows, shadow, batch[n].entry, LOG_MAIN, mark_hits(entry->mark));
			continue;
		}
		won_bytes += entry->bytes;
		highest = batch[n].rank;
		evict(shadows, shadow, batch[n].entry);
	}
	if (policy_traits[shadow->policy].earns_time)
		shadow->weight = policy_weigh(shadow->weight, highest);
}

static uint64_t log_bytes(const struct shadow *shadow, enum log_id log)
{
	return shadow->queues[log][0].bytes + shadow->queues[log][1].bytes;
}

static void reclaim(const struct shadows *shadows, struct shadow *shadow)
{
	uint64_t probation = log_bytes(shadow, LOG_PROBATION);
	uint64_t main = log_bytes(shadow, LOG_MAIN);

	if (probation > 0 && (main == 0 || probation > share_bytes(shadows, shadow)))
		reclaim_probation(shadows, shadow);
	else if (policy_traits[shadow->policy].gives_chances)
		reclaim_by_chances(shadows, shadow);
	else
		reclaim_by_rank(shadows, shadow);
}

static uint32_t fingerprint_of(uint64_t hash)
{
	return (uint32_t)(hash >> 16);
}

/* Half as many keys in a cache half as large. */
static void halve(struct shadows *shadows)
{
	shadows->halvings++;
	shadows->cache_bytes /= 2;
	shadows->batch_bytes /= 2;
	for (uint32_t n = 0; n < SHADOW_COUNT * LOG_COUNT * 2; n++) {
		struct shadow *shadow = &shadows->shadows[n / (LOG_COUNT * 2)];
		uint32_t i = shadow->queues[n / 2 % LOG_COUNT][n % 2].oldest;

		while (i != NONE) {
			const struct entry *entry = entry_at(shadows, shadow, i);
			uint32_t newer = entry->newer;

			if (!shadows_see(shadows, (uint64_t)entry->fingerprint << 16))
				forget(shadows, shadow, i);
			i = newer;
		}
	}
	for (uint32_t n = 0; n < SHADOW_COUNT; n++) {
		shadows->shadows[n].clock.left_bytes /= 2;
		for (uint32_t i = 0; i < LOG_COUNT; i++)
			shadows->shadows[n].ghost.evicted_bytes[i] /= 2;
	}
}

static uint32_t find(const struct shadows *shadows, const struct shadow *shadow,
                     uint32_t fingerprint)
{
	uint32_t i = *bucket_of(shadows, shadow, fingerprint);

	while (i != NONE && entry_at(shadows, shadow, i)->fingerprint != fingerprint)
		i = entry_at(shadows, shadow, i)->chain;
	return i;
}

/* False: no entry is free. */
static bool insert(struct shadows *shadows, struct shadow *shadow, uint32_t fingerprint,
                   uint64_t bytes)
{
	bool is_large = bytes > shadows->segment_bytes / 2;
	enum log_id log = policy_traits[shadow->policy].has_probation ? LOG_PROBATION : LOG_MAIN;
	uint32_t *bucket = bucket_of(shadows, shadow, fingerprint);
	struct ghost_memory memory;
	struct entry *entry;
	uint32_t i;

	if (is_large)
		bytes = (bytes + shadows->segment_bytes - 1) / shadows->segment_bytes *
		        shadows->segment_bytes;
	/* of a size that only some shadows could hold nothing can be learned */
	if (bytes > shadows->cache_bytes / 20 * 19)
		return true;
	while (log_bytes(shadow, LOG_PROBATION) + log_bytes(shadow, LOG_MAIN) + bytes >
	       shadows->cache_bytes) {
		shadows->is_full = true;
		reclaim(shadows, shadow);
	}
	i = shadow->free_first;
	if (i == NONE)
		return false;
	memory = ghost_take(&shadow->ghost, ghost_hash(fingerprint), shadows->cache_bytes);
	if (memory.is_known && memory.is_near)
		shadow->share = policy_move_share(shadow->share, memory.kind == GHOST_PROBATION,
		                                  bytes, shadows->cache_bytes);
	if (memory.is_known && memory.kind == GHOST_PROBATION)
		log = LOG_MAIN;
	tick_clock_pass(&shadow->clock, bytes, shadows->cache_bytes);
	entry = entry_at(shadows, shadow, i);
	shadow->free_first = entry->chain;
	shadow->count++;
	*entry = (struct entry){
	    .fingerprint = fingerprint,
	    .bytes = (uint32_t)bytes,
	    .chain = *bucket,
	    .mark = (uint16_t)mark_of(shadow->clock.tick, 0),
	    .is_large = is_large,
	};
	*bucket = i;
	link_newest(shadows, shadow, i, log);
	return true;
}

/* Into all that do not have it. */
static void insert_everywhere(struct shadows *shadows, uint64_t hash, uint64_t bytes)
{
	uint32_t fingerprint = fingerprint_of(hash);

	for (uint32_t i = 0; i < SHADOW_COUNT; i++) {
		struct shadow *shadow = &shadows->shadows[i];

		if (find(shadows, shadow, fingerprint) != NONE)
			continue;
		while (!insert(shadows, shadow, fingerprint, bytes)) {
			halve(shadows);
			if (!shadows_see(shadows, hash))
				return;
		}
	}
}

static void choose(struct shadows *shadows)
{
	const struct shadow *chosen = &shadows->shadows[shadows->chosen];
	enum policy best = shadows->chosen;
	uint64_t limit;

	if (chosen->epoch_misses < max_u32(EPOCH_MISSES_MIN, chosen->count >> EPOCH_SHIFT))
		return;
	for (uint32_t i = 0; i < SHADOW_COUNT; i++) {
		struct shadow *shadow = &shadows->shadows[i];

		shadow->misses += (uint64_t)shadow->epoch_misses << 8;
		shadow->misses -= shadow->misses >> MEMORY_SHIFT;
		shadow->epoch_misses = 0;
		if (shadow->misses < shadows->shadows[best].misses)
			best = (enum policy)i;
	}
	limit = chosen->misses - (chosen->misses >> MARGIN_SHIFT);
	if (shadows->shadows[best].misses + (MARGIN_LEAST << 8) < limit)
		shadows->chosen = best;
}

enum policy shadows_read(struct shadows *shadows, uint64_t hash, uint64_t bytes)
{
	uint32_t fingerprint = fingerprint_of(hash);

	for (uint32_t i = 0; i < SHADOW_COUNT; i++) {
		struct shadow *shadow = &shadows->shadows[i];
		uint32_t found = find(shadows, shadow, fingerprint);
		struct entry *entry;

		if (found == NONE) {
			/* until they are full all miss alike */
			shadow->epoch_misses += shadows->is_full ? 1 : 0;
			continue;
		}
		entry = entry_at(shadows, shadow, found);
		entry->mark = (uint16_t)mark_hit(entry->mark, shadow->clock.tick);
	}
	if (bytes > 0)
		insert_everywhere(shadows, hash, bytes);
	choose(shadows);
	return shadows->chosen;
}

void shadows_write(struct shadows *shadows, uint64_t hash, uint64_t bytes)
{
	insert_everywhere(shadows, hash, bytes);
}
