/* SPDX-License-Identifier: Apache-2.0 */
#include "store/desertion.h"

#include "base/bytes.h"

#define HITS_LEAST      32u /* expected in two ticks, at least, to tell anything */
#define HITS_PART       32u /* silence: not even one in so many has come */
#define ELSEWHERE_LEAST 8u  /* have come: who only writes has turned away from nothing */
#define USUAL_TICKS     16  /* what is usual is an average over about so many */
#define PATIENCE_FACTOR 2u  /* of a silence that has ended by itself */
#define PATIENCE_MAX    255u
#define PATIENCE_TICKS  256u /* it wears off in about so many */
#define RETURNED_PART   16u  /* when one in so many bytes comes back, it was a false alarm */

static void learn(struct desertion *desertion, uint32_t silence)
{
	desertion->patience =
	    max_u32(desertion->patience, min_u32(PATIENCE_FACTOR * silence, PATIENCE_MAX) << 8);
}

static void count_silence(struct desertion *desertion)
{
	uint64_t recent = desertion->hits + desertion->last_hits;

	if (desertion->elsewhere + desertion->last_elsewhere < ELSEWHERE_LEAST)
		return;
	if ((recent << 8) * HITS_PART < desertion->usual * 2) {
		if (desertion->silence++ == 0) {
			desertion->dropped_bytes = 0;
			desertion->returned_bytes = 0;
		}
		return;
	}
	if (desertion->dropped_bytes == 0)
		learn(desertion, desertion->silence);
	desertion->silence = 0;
}

void desertion_tick(struct desertion *desertion, uint64_t oldest, uint64_t newest)
{
	bool is_heard = desertion->elsewhere + desertion->last_elsewhere >= ELSEWHERE_LEAST;

	count_silence(desertion);
	desertion->has_happened = is_heard && desertion->usual * 2 >= HITS_LEAST << 8 &&
	                          desertion->silence << 8 > desertion->patience;
	desertion->patience -= desertion->patience / PATIENCE_TICKS;
	desertion->usual += (desertion->hits << 8) / USUAL_TICKS;
	desertion->usual -= desertion->usual / USUAL_TICKS;
	desertion->last_hits = desertion->hits;
	desertion->last_elsewhere = desertion->elsewhere;
	desertion->elsewhere = 0;
	desertion->hits = 0;
	desertion->middle = oldest + (newest - oldest) / 2;
}

void desertion_dropped(struct desertion *desertion, uint64_t bytes)
{
	desertion->dropped_bytes += bytes;
}

void desertion_returned(struct desertion *desertion, uint64_t bytes)
{
	desertion->returned_bytes += bytes;
	if (desertion->dropped_bytes == 0 ||
	    desertion->returned_bytes < desertion->dropped_bytes / RETURNED_PART)
		return;
	learn(desertion, max_u32(desertion->silence, desertion->patience >> 8));
	desertion->has_happened = false;
	desertion->silence = 0;
	desertion->dropped_bytes = 0;
	desertion->returned_bytes = 0;
}
