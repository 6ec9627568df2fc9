/* SPDX-License-Identifier: Apache-2.0 */
#include "net/inner.h"

#define IN_PIECES  4  /* 8 KiB: commands */
#define OUT_PIECES 32 /* 64 KiB: replies */

static struct inner *inner_of(struct stream *stream)
{
	return (struct inner *)stream;
}

/* The worker's side. */

/* What is in `out` is looked at in each poll. */
static void stream_push(struct stream *stream)
{
}

static void stream_close(struct stream *stream)
{
	inner_of(stream)->is_closing = true;
}

static void stream_abort(struct stream *stream)
{
	inner_of(stream)->is_aborted = true;
}

static void stream_resume(struct stream *stream)
{
	inner_of(stream)->is_refused = false;
}

static void stream_describe(const struct stream *stream, struct stream_ends *ret_ends)
{
	*ret_ends = (struct stream_ends){.is_unix = true};
}

static const struct stream_ops stream_ops = {
    .push = stream_push,
    .close = stream_close,
    .abort = stream_abort,
    .resume = stream_resume,
    .describe = stream_describe,
};

static void begin(struct inner *inner)
{
	struct inners *owner = inner->owner;

	inner->stream.ops = &stream_ops;
	inner->stream.user = NULL;
	chain_create(&inner->stream.out, owner->pool);
	inner->is_closing = false;
	inner->is_aborted = false;
	inner->is_refused = false;
	inner->is_finished = false;
	inner->taken = 0;
	inner->has_user = owner->user->opened(owner->user->context, &inner->stream);
	inner->is_aborted = inner->is_aborted || !inner->has_user;
}

static void end(struct inner *inner)
{
	const struct stream_user *user = inner->owner->user;

	if (inner->has_user)
		user->closed(user->context, &inner->stream);
	inner->has_user = false;
	inner->stream.ops = NULL;
	chain_clear(&inner->stream.out);
	while (spsc_peek(&inner->in) != NULL)
		spsc_drop(&inner->in);
	/* Release: pairs with the acquire in inner_read() and inner_close(); the worker is done. */
	atomic_store_explicit(&inner->state, INNER_ENDED, memory_order_release);
}

static bool take_in(struct inner *inner)
{
	const struct stream_user *user = inner->owner->user;
	const struct inner_piece *piece;
	bool some = false, ends;

	while (!inner->is_closing && !inner->is_aborted && !inner->is_refused &&
	       (piece = spsc_peek(&inner->in)) != NULL) {
		uint32_t left = piece->length - inner->taken;
		uint32_t count;

		/* before the call, as it may call resume() itself */
		inner->is_refused = true;
		count = user->received(user->context, &inner->stream, piece->bytes + inner->taken,
		                       left);
		some = true;
		if (count < left) {
			inner->taken += count;
			break;
		}
		inner->is_refused = false;
		inner->taken = 0;
		spsc_drop(&inner->in);
	}
	if (inner->is_closing) /* what still comes is not looked at */
		while (spsc_peek(&inner->in) != NULL)
			spsc_drop(&inner->in);
	/* Acquire: pairs with the release in inner_end(); what was written before is seen. */
	ends = atomic_load_explicit(&inner->ends, memory_order_acquire);
	if (ends && !inner->is_finished && !inner->is_closing && !inner->is_aborted &&
	    spsc_peek(&inner->in) == NULL) {
		inner->is_finished = true;
		some = true;
		user->finished(user->context, &inner->stream);
	}
	return some;
}

static bool give_out(struct inner *inner)
{
	const struct stream_user *user = inner->owner->user;
	struct chain *out = &inner->stream.out;
	struct inner_piece *piece;
	uint64_t before = out->length;

	while (out->length > 0 && (piece = spsc_reserve(&inner->out)) != NULL) {
		struct chain_cursor front = {0};

		piece->length = chain_read(out, &front, piece->bytes, INNER_PIECE_BYTES);
		chain_drop_front(out, piece->length);
		spsc_commit(&inner->out);
	}
	if (out->length == before)
		return false;
	if (!inner->is_closing)
		user->drained(user->context, &inner->stream);
	return true;
}

static bool poll(struct inner *inner)
{
	bool some;

	/* Acquire: pairs with the release in inner_open(); the rings are empty. */
	if (atomic_load_explicit(&inner->state, memory_order_acquire) != INNER_OPEN)
		return false;
	if (inner->stream.ops == NULL)
		begin(inner);
	some = take_in(inner);
	some |= give_out(inner);
	/* relaxed: the flag is all there is to see */
	if (inner->is_aborted || (inner->is_closing && inner->stream.out.length == 0) ||
	    atomic_load_explicit(&inner->hangs, memory_order_relaxed)) {
		end(inner);
		some = true;
	}
	return some;
}

uint32_t inners_poll(struct inners *inners)
{
	uint32_t busy = 0;

	/* relaxed: what is seen late is served late */
	if (atomic_load_explicit(&inners->open_count, memory_order_relaxed) == 0)
		return 0;
	for (uint32_t i = 0; i < INNER_COUNT; i++)
		busy += poll(&inners->list[i]);
	return busy;
}

size_t inners_bytes(void)
{
	return INNER_COUNT * (spsc_bytes(sizeof(struct inner_piece), IN_PIECES) +
	                      spsc_bytes(sizeof(struct inner_piece), OUT_PIECES));
}

void inners_create(struct inners *inners, struct block_pool *pool, const struct stream_user *user,
                   struct memory *memory)
{
	inners->pool = pool;
	inners->user = user;
	atomic_store_explicit(&inners->open_count, 0, memory_order_relaxed);
	for (uint32_t i = 0; i < INNER_COUNT; i++) {
		struct inner *inner = &inners->list[i];

		*inner = (struct inner){.owner = inners};
		spsc_create(&inner->in, sizeof(struct inner_piece), IN_PIECES, memory);
		spsc_create(&inner->out, sizeof(struct inner_piece), OUT_PIECES, memory);
	}
}

/* The keeper's side. */

struct inner *inner_open(struct inners *inners)
{
	for (uint32_t i = 0; i < INNER_COUNT; i++) {
		struct inner *inner = &inners->list[i];

		/* relaxed: only the keeper makes it free, and not free */
		if (atomic_load_explicit(&inner->state, memory_order_relaxed) != INNER_FREE)
			continue;
		atomic_store_explicit(&inner->ends, false, memory_order_relaxed);
		atomic_store_explicit(&inner->hangs, false, memory_order_relaxed);
		/* Release: pairs with the acquire in poll(). */
		atomic_store_explicit(&inner->state, INNER_OPEN, memory_order_release);
		/* relaxed: only the keeper writes it */
		atomic_fetch_add_explicit(&inners->open_count, 1, memory_order_relaxed);
		return inner;
	}
	return NULL;
}

uint32_t inner_write(struct inner *inner, const uint8_t *bytes, uint32_t length)
{
	uint32_t written = 0;

	while (written < length) {
		struct inner_piece *piece = spsc_reserve(&inner->in);

		if (piece == NULL)
			break;
		piece->length = min_u32(length - written, INNER_PIECE_BYTES);
		memcpy(piece->bytes, bytes + written, piece->length);
		written += piece->length;
		spsc_commit(&inner->in);
	}
	return written;
}

void inner_end(struct inner *inner)
{
	/* Release: pairs with the acquire in take_in(); what was written is seen before. */
	atomic_store_explicit(&inner->ends, true, memory_order_release);
}

struct slice inner_read(struct inner *inner, bool *ret_ended)
{
	/* Acquire: pairs with the release in end(). First, so that nothing is pushed after the ring
	 * was seen to be empty. */
	bool ended = atomic_load_explicit(&inner->state, memory_order_acquire) == INNER_ENDED;
	const struct inner_piece *piece = spsc_peek(&inner->out);

	*ret_ended = ended && piece == NULL;
	if (piece == NULL)
		return (struct slice){0};
	return (struct slice){piece->bytes, piece->length};
}

void inner_read_drop(struct inner *inner)
{
	spsc_drop(&inner->out);
}

void inner_hang(struct inner *inner)
{
	/* relaxed: the flag is all there is to see */
	atomic_store_explicit(&inner->hangs, true, memory_order_relaxed);
}

bool inner_close(struct inner *inner)
{
	/* Acquire: pairs with the release in end(). */
	if (atomic_load_explicit(&inner->state, memory_order_acquire) != INNER_ENDED)
		return false;
	while (spsc_peek(&inner->out) != NULL)
		spsc_drop(&inner->out);
	/* relaxed: only the keeper opens it again */
	atomic_store_explicit(&inner->state, INNER_FREE, memory_order_relaxed);
	atomic_fetch_sub_explicit(&inner->owner->open_count, 1, memory_order_relaxed);
	return true;
}
