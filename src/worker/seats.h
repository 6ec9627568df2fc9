/* SPDX-License-Identifier: Apache-2.0 */
/* Where one worker's clients sit: the users of its streams, whatever carries them. A seat is a
 * session and when its last bytes came; who is idle for too long has to leave. Owner: the worker.
 */
#pragma once

#include "net/blocked.h"
#include "worker/session.h"

/* A client's place; free without a stream. */
struct seat {
	uint64_t last_us; /* when its last bytes came; of a free one, the slab's */
	struct session session;
};

struct seats {
	struct seat *list;
	struct slab free;
	uint32_t count;
	uint32_t free_count;
	struct sessions *sessions;
	const struct worker_time *time;
	/* Whether there may be one more, over all workers; counted if not. */
	bool (*admit)(void *context);
	void *admit_context;
	uint64_t idle_timeout_us; /* 0: idle clients stay */
	uint64_t next_sweep_us;
	uint32_t swept_index;
	struct stream_user user;       /* of the streams that clients come by */
	struct stream_user inner_user; /* of the keeper's: let in without a password, and also
	                                  when there are too many clients */
};

/* Bytes of memory that seats_create() takes, for so many. */
size_t seats_bytes(uint32_t count);
/* All but the lists and `user` is filled in by the caller. */
void seats_create(struct seats *seats, uint32_t count, struct memory *memory);

/* 0: idle clients stay. */
void seats_set_idle_timeout(struct seats *seats, uint64_t idle_timeout_us);

/* Ends those that are idle, a few seats at a time, so that a million of them stop nobody. Returns
 * how many. To be called when next_sweep_us is over. */
uint32_t seats_sweep(struct seats *seats);

/* Ends those of the next `count` seats whose client is blocked; `index` is where they are, and
 * moves on, round and round. Returns how many. */
uint32_t seats_end_blocked(struct seats *seats, const struct blocked *blocked, uint32_t count,
                           uint32_t *index);

/* Seats that were ever taken: the first ones of the list. */
static inline uint32_t seats_used(const struct seats *seats)
{
	return seats->count - seats->free.fresh_count;
}

/* Asserts what must hold, and that so many are taken (slow). */
void seats_check(const struct seats *seats, uint64_t taken_count);
