/* SPDX-License-Identifier: Apache-2.0 */
/* What the workers of one process share, made before them: everything else is one worker's own. */
#pragma once

#include "net/blocked.h"
#include "net/net.h"
#include "shard/shard.h"
#include "worker/stats.h"

#define WORKER_COUNT_MAX EPOCH_READERS_MAX

/* Calls (shard/call.h) that one worker may have under way; a power of two. */
#define WORKER_CALL_COUNT 1024

struct board;
struct worker;

/* What may change while they run, each a number in a struct worker_settings. */
#define WORKER_SETTINGS(X)                                                                         \
	X(policy)                /* enum policy: who has to go for want of memory */               \
	X(request_timeout_us)    /* of struct sessions_options */                                  \
	X(can_shut_down)         /* whether the command shutdown is enabled */                     \
	X(idle_timeout_us)       /* of struct worker_options */                                    \
	X(udp_reply_bytes_max)   /* these of struct datagram_options; up to what that was at */    \
	X(udp_amplification_max) /* the creation, or DATAGRAM_REPLY_BYTES */                       \
	X(udp_rate_max)

#define WORKER_SETTING_FIELD(name) uint64_t name;

struct worker_settings {
	WORKER_SETTINGS(WORKER_SETTING_FIELD)
};

#define WORKER_SETTING_COUNT (sizeof(struct worker_settings) / sizeof(uint64_t))

/* As the keeper has published them. */
struct workers_settings {
	/* Even; odd while they are written; 0: nothing has changed since the creation. */
	_Atomic uint32_t version;
	_Atomic uint64_t values[WORKER_SETTING_COUNT];
};

/* The block list, as the keeper has published it. */
struct workers_blocked {
	const struct blocked *_Atomic current; /* NULL: nobody is blocked */
	const struct blocked *before;          /* the keeper's: the one before it */
	/* Of each worker, the one that it looks at. */
	const struct blocked *_Atomic taken[WORKER_COUNT_MAX];
};

struct worker_bell {
	/* Seldom written: the others look at it in each of their turns. */
	_Alignas(CACHE_LINE_BYTES) _Atomic bool sleeps;
};

struct workers {
	uint32_t count;
	struct worker *list[WORKER_COUNT_MAX]; /* each from its creation on */
	struct shards shards;
	struct worker_bell bells[WORKER_COUNT_MAX];
	struct stats_shared stats;
	struct spsc *errors; /* struct workers_error, from each to each */
	struct watch_exchange watch;
	/* The clock that items expire by. Relaxed: nothing else hangs on it. */
	_Atomic uint64_t start_us; /* when it would have begun */
	_Atomic uint32_t paused_s; /* debugtime: where it stands still; 0: it goes on */
	struct workers_settings settings;
	struct workers_blocked blocked;
	struct board *board; /* NULL: there is no XDP program that could answer hot keys */
};

/* Bytes of memory that workers_create() takes. */
size_t workers_bytes(uint32_t count);
void workers_create(struct workers *workers, uint32_t count, struct memory *memory,
                    uint64_t now_us);

/* All of them count from each worker's next turn on: the keeper's, and nobody else's. */
void workers_change(struct workers *workers, const struct worker_settings *settings);

/* False: nothing has changed since *version, or is being changed just now. */
bool workers_take_settings(const struct workers *workers, uint32_t *version,
                           struct worker_settings *ret_settings);

/* Another block list counts from each worker's next turn on; NULL: nobody is blocked. The keeper's,
 * and nobody else's. *ret_unused: one that nobody looks at any more, or NULL. False: a worker does
 * not look at the last one yet, so the one before that is still in use: try again soon. */
bool workers_block(struct workers *workers, const struct blocked *blocked,
                   const struct blocked **ret_unused);

/* The one that counts, which the worker looks at from now on. */
const struct blocked *workers_take_blocked(struct workers *workers, uint32_t number);

/* Whether that is still this one. */
static inline bool workers_blocked_is(const struct workers *workers, const struct blocked *blocked)
{
	/* relaxed: it is hardly ever another, and then it is looked at properly */
	return atomic_load_explicit(&workers->blocked.current, memory_order_relaxed) == blocked;
}

/* The worker holds on to nothing of the others' any more: once a turn. */
void workers_pass(struct workers *workers, uint32_t number);

/* It will not pass for long, and holds on to nothing: the others do not wait for it. */
void workers_leave(struct workers *workers, uint32_t number);

/* Whether the others have calls or replies for it. */
bool workers_call(const struct workers *workers, uint32_t number);

/* Wakes those that sleep and have calls or replies of this one's to look at: after it may have sent
 * some. Returns how many. */
uint32_t workers_wake(struct workers *workers, uint32_t number);

/* It leaves, to sleep in the kernel. False: it must not, as there is something for it. Whether it
 * has slept or not, workers_wake_up() comes next. */
bool workers_fall_asleep(struct workers *workers, uint32_t number);
void workers_wake_up(struct workers *workers, uint32_t number);

/* An ICMP error on its way to the worker whose connection it is about. */
struct workers_error {
	struct net_error error; /* its path's net is the other worker's: only the port counts */
	uint8_t l4[8];
};

/* To all others, as nobody knows whose it is. Returns how many had no room. */
uint32_t workers_pass_error(struct workers *workers, uint32_t number,
                            const struct net_error *error);
bool workers_take_error(struct workers *workers, uint32_t number, struct workers_error *ret_passed);

/* What the clock says, at least 1. */
static inline uint64_t workers_now_s(const struct workers *workers, uint64_t now_us)
{
	uint32_t paused_s = atomic_load_explicit(&workers->paused_s, memory_order_relaxed);
	uint64_t start_us = atomic_load_explicit(&workers->start_us, memory_order_relaxed);

	return paused_s != 0 ? paused_s : (now_us - start_us) / 1000000 + 1;
}

/* For sessions_options. */
bool workers_debug_time(struct workers *workers, uint64_t now_us, enum debug_time change,
                        uint32_t seconds);
