/* SPDX-License-Identifier: Apache-2.0 */
/* SET, ADD, REPLACE, APPEND, PREPEND, CAS: a value on its way in, and what becomes of it. */
#include "shard/internal.h"

/* What struct shard_write's `state` is. */
struct write_state {
	struct store_reservation reservation; /* item NULL: over, nothing is reserved */
	uint64_t cas_unique;
	enum request_op op;
};

_Static_assert(sizeof(struct write_state) <= sizeof(((struct shard_write *)NULL)->state),
               "the state fits the session's struct");
_Static_assert(_Alignof(struct write_state) <= _Alignof(struct shard_write), "and is aligned");

static struct write_state *state_of(struct shard_write *write)
{
	return (struct write_state *)(void *)write->state;
}

/* A set that is refused takes the old value with it, so that nobody goes on reading that. */
static void remove_stale(struct shard *shard, enum request_op op, uint64_t hash, struct slice key)
{
	struct store_place place;

	if (op == REQUEST_SET && shard_find(shard, hash, key, &place))
		store_remove(shard->store, &place);
}

enum reply_status shard_write_begin(struct shard *shard, struct shard_write *write,
                                    const struct request *request, uint32_t now_s)
{
	struct write_state *state = state_of(write);
	struct store_item_options options = {
	    .key = request->key,
	    .hash = store_hash(shard->store, request->key),
	    .value_bytes = (uint32_t)request->value_bytes,
	    .client_flags = request->client_flags,
	    .expiry_s = shard_expiry_s(shard, request->exptime, now_s),
	};

	ASSERT(request_has_value(request->op));
	store_prefetch(shard->store, options.hash);
	store_tick(shard->store, now_s);
	state->op = request->op;
	state->cas_unique = request->cas_unique;
	state->reservation.item = NULL;
	write->left_bytes = 0;
	if (request->value_bytes > shard->value_bytes_max) {
		counter_add(&shard->counters.store_too_large, 1);
		remove_stale(shard, request->op, options.hash, request->key);
		return REPLY_TOO_LARGE;
	}
	if (!store_reserve(shard->store, &options, &state->reservation)) {
		counter_add(&shard->counters.store_no_memory, 1);
		remove_stale(shard, request->op, options.hash, request->key);
		return REPLY_NO_MEMORY;
	}
	write->left_bytes = request->value_bytes;
	return REPLY_STORED;
}

bool shard_write_bytes(struct shard *shard, struct shard_write *write, const uint8_t *bytes,
                       uint64_t length)
{
	struct write_state *state = state_of(write);
	struct store_reservation *reservation = &state->reservation;

	if (store_write(shard->store, reservation, bytes, length)) {
		write->left_bytes = reservation->left_bytes;
		return true;
	}
	counter_add(&shard->counters.store_no_memory, 1);
	remove_stale(shard, state->op, reservation->hash, item_key(reservation->item));
	store_abandon(shard->store, reservation);
	write->left_bytes = 0;
	return false;
}

static bool write_value_of(struct shard *shard, struct store_reservation *to,
                           const struct item *from)
{
	struct store_piece piece = store_value(shard->store, from);

	do {
		if (!store_write(shard->store, to, piece.data, piece.length))
			return false;
	} while (store_value_next(shard->store, &piece));
	return true;
}

/* Old and added bytes go into a new item that has the old one's flags and expiry. Too long a
 * result is NOT_STORED with memcached, not TOO_LARGE, and the old item stays. */
static enum reply_status join(struct shard *shard, const struct write_state *state,
                              const struct store_place *place)
{
	struct item *old = place->item;
	struct item *added = state->reservation.item;
	bool append = state->op == REQUEST_APPEND;
	uint64_t value_bytes = (uint64_t)old->value_bytes + added->value_bytes;
	struct store_item_options options = {
	    .key = item_key(added),
	    .hash = state->reservation.hash,
	    .value_bytes = (uint32_t)value_bytes,
	    .client_flags = old->client_flags,
	    .expiry_s = item_expiry_s(old),
	};
	enum reply_status status = REPLY_STORED;
	struct store_reservation joined;
	struct segment *pinned;

	if (value_bytes > shard->value_bytes_max)
		return REPLY_NOT_STORED;
	pinned = store_pin(shard->store, old);
	if (!store_reserve(shard->store, &options, &joined)) {
		status = REPLY_NO_MEMORY;
	} else if (!write_value_of(shard, &joined, append ? old : added) ||
	           !write_value_of(shard, &joined, append ? added : old)) {
		store_abandon(shard->store, &joined);
		status = REPLY_NO_MEMORY;
	} else {
		store_publish(shard->store, &joined, place);
	}
	store_unpin(shard->store, pinned);
	if (status == REPLY_NO_MEMORY)
		counter_add(&shard->counters.store_no_memory, 1);
	return status;
}

/* The key has a live item. */
static enum reply_status commit_over(struct shard *shard, struct write_state *state,
                                     const struct store_place *place)
{
	switch (state->op) {
	case REQUEST_ADD: return REPLY_NOT_STORED;
	case REQUEST_APPEND:
	case REQUEST_PREPEND: return join(shard, state, place);
	case REQUEST_CAS:
		if (place->item->cas_unique != state->cas_unique) {
			counter_add(&shard->counters.cas_badval, 1);
			return REPLY_EXISTS;
		}
		counter_add(&shard->counters.cas_hits, 1);
		break;
	default: break;
	}
	store_publish(shard->store, &state->reservation, place);
	return REPLY_STORED;
}

/* The key has no live item. */
static enum reply_status commit_new(struct shard *shard, struct write_state *state)
{
	switch (state->op) {
	case REQUEST_SET:
	case REQUEST_ADD:
		store_publish(shard->store, &state->reservation, NULL);
		return REPLY_STORED;
	case REQUEST_CAS: counter_add(&shard->counters.cas_misses, 1); return REPLY_NOT_FOUND;
	default: return REPLY_NOT_STORED;
	}
}

void shard_write_commit(struct shard *shard, struct shard_write *write, uint32_t now_s,
                        struct reply *ret_reply)
{
	struct write_state *state = state_of(write);
	struct slice key = item_key(state->reservation.item);
	struct store_place place;
	enum store_verdict verdict;

	store_tick(shard->store, now_s);
	counter_add(&shard->counters.cmd_set, 1);
	verdict = store_find(shard->store, state->reservation.hash, key, &place);
	if (verdict == STORE_LIVE) {
		ret_reply->status = commit_over(shard, state, &place);
	} else {
		if (verdict != STORE_MISSING)
			store_reclaim(shard->store, &place);
		ret_reply->status = commit_new(shard, state);
	}
	if (state->reservation.item != NULL)
		store_abandon(shard->store, &state->reservation);
}

void shard_write_abandon(struct shard *shard, struct shard_write *write)
{
	struct store_reservation *reservation = &state_of(write)->reservation;

	if (reservation->item == NULL)
		return;
	/* memcached counts the command when its value has come, even with a bad end. */
	if (reservation->left_bytes == 0)
		counter_add(&shard->counters.cmd_set, 1);
	store_abandon(shard->store, reservation);
}
