/* SPDX-License-Identifier: Apache-2.0 */
/* Streams between a worker and one other thread of its process, the keeper, over rings: how the
 * control plane asks a worker things in memcached's own protocol. A carrier beside TCP and kernel
 * sockets, without a system call. Neither side ever waits for the other.
 *
 * Owner: each side of its own half; the keeper opens a stream and has it back when both are done
 * with it. */
#pragma once

#include "base/spsc.h"
#include "net/stream.h"

#define INNER_COUNT       8    /* streams a worker that can be open at once */
#define INNER_PIECE_BYTES 2040 /* at most, of an entry in a ring */

struct inner_piece {
	uint32_t length;
	uint8_t bytes[INNER_PIECE_BYTES];
};

/* Who may touch what: a free one is the keeper's, an open one both's (each its side of the rings),
 * an ended one the keeper's, who reads what is left. */
enum inner_state {
	INNER_FREE,
	INNER_OPEN,
	INNER_ENDED,
};

struct inner {
	struct stream stream; /* first: the worker's; the streams that users see are these */
	struct inners *owner;
	bool has_user;
	bool is_closing;
	bool is_aborted;
	bool is_refused;  /* the user takes no more until it calls resume() */
	bool is_finished; /* the user was told */
	uint32_t taken;   /* bytes of the oldest piece that the user has */
	/* Both's. */
	struct spsc in;
	struct spsc out;
	_Atomic uint32_t state;
	_Atomic bool ends;  /* the keeper writes no more */
	_Atomic bool hangs; /* the keeper wants it ended at once */
};

/* One worker's. */
struct inners {
	struct inner list[INNER_COUNT];
	struct block_pool *pool;
	const struct stream_user *user;
	/* The keeper's, written seldom: a worker looks at it in each of its turns. */
	_Alignas(CACHE_LINE_BYTES) _Atomic uint32_t open_count;
};

/* Bytes of memory that inners_create() takes. */
size_t inners_bytes(void);
/* Of one worker, before its first turn. `pool` and `user` outlive it. */
void inners_create(struct inners *inners, struct block_pool *pool, const struct stream_user *user,
                   struct memory *memory);

/* The worker's: once a turn. Returns how many streams had something. */
uint32_t inners_poll(struct inners *inners);

/* The keeper's. NULL: all are open. */
struct inner *inner_open(struct inners *inners);

/* Returns how many bytes there was room for. */
uint32_t inner_write(struct inner *inner, const uint8_t *bytes, uint32_t length);

/* Nothing more will be written: the worker sees the end once it has taken what was. */
void inner_end(struct inner *inner);

/* Bytes that the worker has sent: in one piece, until inner_read_drop(). Length 0: there are none
 * now, and *ret_ended says whether there will be any. */
struct slice inner_read(struct inner *inner, bool *ret_ended);
void inner_read_drop(struct inner *inner);

/* The keeper wants no more of it: it ends at once if it has not ended by itself. */
void inner_hang(struct inner *inner);

/* Gives it back. False: the worker still has it, after inner_hang(): to be tried again. */
bool inner_close(struct inner *inner);
