/* SPDX-License-Identifier: Apache-2.0 */
/* What a store counts. Its own header, so that whoever shows counters need not see the store. */
#pragma once

#include "base/counter.h"

/* name, unit, kind, help. The names are memcached's where memcached has the counter.
 * An item that has expired or was flushed is never an eviction: it counts as reclaimed when its
 * memory was wanted or its key written again, and not at all when a reader finds it (the shard
 * counts that as get_expired or get_flushed). */
#define STORE_COUNTERS(X)                                                                          \
	X(curr_items, "items", COUNTER_LEVEL, "Items in the index")                                \
	X(total_items, "items", COUNTER_TOTAL, "Items stored since the start")                     \
	X(bytes, "bytes", COUNTER_LEVEL, "Keys, values and headers of the items in the index")     \
	X(evictions, "items", COUNTER_TOTAL, "Valid items removed to make room")                   \
	X(evicted_unfetched, "items", COUNTER_TOTAL, "Evicted items that were never read")         \
	X(reclaimed, "items", COUNTER_TOTAL, "Expired or flushed items whose room was taken back") \
	X(expired_unfetched, "items", COUNTER_TOTAL, "Reclaimed items that were never read")       \
	X(index_evictions, "items", COUNTER_TOTAL,                                                 \
	  "Items removed because their buckets were full")                                         \
	X(limit_maxbytes, "bytes", COUNTER_LEVEL, "Memory the store may take, all told")           \
	X(hash_bytes, "bytes", COUNTER_LEVEL, "Memory of the index")                               \
	X(ghost_bytes, "bytes", COUNTER_LEVEL, "Memory of what is known of the evicted")           \
	X(shadow_bytes, "bytes", COUNTER_LEVEL, "Memory of the caches that adaptive compares")     \
	X(copied_bytes, "bytes", COUNTER_TOTAL, "Items copied because they stay, in reclaiming")   \
	X(promotions, "items", COUNTER_TOTAL, "Items that have passed probation")                  \
	X(ghost_hits, "items", COUNTER_TOTAL, "Items stored anew soon after they left probation")  \
	X(probation_bytes, "bytes", COUNTER_LEVEL, "Memory that new items may take")               \
	X(glances_lost, "requests", COUNTER_TOTAL,                                                 \
	  "Requests of other workers that adaptive has not heard of: the owner was behind")        \
	X(policy, "policy", COUNTER_LEVEL,                                                         \
	  "Who goes first: 0 s3fifo, 1 lru, 2 lfu, 3 size, 4 ttl, 5 priority")                     \
	X(policy_changes, "changes", COUNTER_TOTAL, "Times that this has changed")                 \
	X(segment_bytes, "bytes", COUNTER_LEVEL, "Size of a segment")                              \
	X(segments, "segments", COUNTER_LEVEL, "Segments there are")                               \
	X(segments_free, "segments", COUNTER_LEVEL, "Segments that hold nothing")                  \
	X(segments_retired, "segments", COUNTER_LEVEL,                                             \
	  "Segments that hold nothing, but that somebody may be reading yet")                      \
	X(segments_evicted, "segments", COUNTER_TOTAL, "Segments emptied to make room")            \
	X(segments_deserted, "segments", COUNTER_TOTAL,                                            \
	  "Of these, those with items that were hot once, and that nobody asks for any more")      \
	X(segments_compacted, "segments", COUNTER_TOTAL, "Segments emptied for their dead room")   \
	X(segments_expired, "segments", COUNTER_TOTAL,                                             \
	  "Segments emptied because their items had expired or were flushed")                      \
	X(purges, "purges", COUNTER_LEVEL,                                                         \
	  "Purges under way: what is meant is gone, its memory not yet")                           \
	X(purge_segments_left, "segments", COUNTER_LEVEL,                                          \
	  "Segments that these have still to go through")                                          \
	X(purged, "items", COUNTER_TOTAL, "Items whose memory purges have taken back")             \
	X(writes_revoked, "items", COUNTER_TOTAL,                                                  \
	  "Values on their way in that lost their room: it was wanted, and their bytes did not "   \
	  "come")                                                                                  \
	X(reservations, "items", COUNTER_LEVEL, "Values on their way in")                          \
	X(segments_pinned, "segments", COUNTER_LEVEL, "Segments whose reuse references hold up")   \
	X(pins, "references", COUNTER_LEVEL, "References to segments that hold up their reuse")

/* What a class of keys (classes.h) has. */
#define CLASS_HOLDINGS(X)                                                                          \
	X(items, "items", COUNTER_LEVEL, "Items in the index")                                     \
	X(bytes, "bytes", COUNTER_LEVEL, "Keys, values and headers of these")                      \
	X(evictions, "items", COUNTER_TOTAL, "Valid items removed to make room")

struct class_holding {
	CLASS_HOLDINGS(COUNTER_FIELD)
};

struct store_counters {
	STORE_COUNTERS(COUNTER_FIELD)
};
