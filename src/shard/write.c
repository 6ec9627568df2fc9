/* SPDX-License-Identifier: Apache-2.0 */
/* SET, ADD, REPLACE, APPEND, PREPEND, CAS: a value on its way in, and what becomes of it. */
#include "shard/internal.h"

_Static_assert(sizeof(struct write_state) <= sizeof(((struct shard_write *)NULL)->state),
               "the state fits the session's struct");
_Static_assert(_Alignof(struct write_state) <= _Alignof(struct shard_write), "and is aligned");

static struct write_state *state_of(struct shard_write *write)
{
	return (struct write_state *)(void *)write->state;
}

struct slice shard_write_key(const struct shard_write *write)
{
	const struct write_state *state = (const struct write_state *)(const void *)write->state;

	if (state->reservation.item != NULL)
		return item_key(state->reservation.item);
	return (struct slice){state->key, state->key_bytes};
}

bool shard_write_is_staged(const struct shard_write *write)
{
	return ((const struct write_state *)(const void *)write->state)->is_staged;
}

/* A set that is refused takes the old value with it, so that nobody goes on reading that. */
static void remove_stale(struct shard *shard, enum request_op op, uint64_t hash, struct slice key)
{
	struct store_place place;

	if (op == REQUEST_SET && shard_find(shard, hash, key, &place))
		store_remove(shard->store, &place);
}

static void tell_stored(const struct shard *shard, enum request_op op, struct slice key,
                        uint64_t value_bytes, int64_t ttl_s, enum reply_status status)
{
	if (shard->observer == NULL)
		return;
	shard_tell(shard, &(struct shard_event){
	                      .kind = SHARD_STORED,
	                      .op = op,
	                      .status = status,
	                      .key = key,
	                      .value_bytes = value_bytes,
	                      .ttl_s = ttl_s,
	                  });
}

/* A value that there is no room for. */
static void refuse(struct shard *shard, enum request_op op, uint64_t hash, struct slice key,
                   enum reply_status status)
{
	counter_add(status == REPLY_TOO_LARGE ? &shard->counters.store_too_large
	                                      : &shard->counters.store_no_memory,
	            1);
	remove_stale(shard, op, hash, key);
	tell_stored(shard, op, key, 0, TTL_NEVER, status);
}

static void keep_key(struct write_state *state, uint64_t hash, struct slice key)
{
	state->hash = hash;
	state->key_bytes = (uint8_t)key.length;
	memcpy(state->key, key.data, key.length);
}

void shard_write_revoked(void *context, struct store_reservation *reservation)
{
	_Static_assert(offsetof(struct write_state, reservation) == 0, "the one is the other");
	keep_key((struct write_state *)reservation, reservation->hash, item_key(reservation->item));
}

/* There is no room for it, or not any more: `item` is NULL, the key is kept. A staged one is
 * refused by its owner. */
static void refuse_write(struct shard *shard, struct write_state *state, enum reply_status status)
{
	struct slice key = {state->key, state->key_bytes};

	state->refusal = status;
	if (!state->is_staged)
		refuse(shard, state->op, state->hash, key, status);
}

/* Memory has run out in the middle of it. */
static void abandon_and_refuse(struct shard *shard, struct write_state *state)
{
	struct store_reservation *reservation = &state->reservation;

	keep_key(state, reservation->hash, item_key(reservation->item));
	store_abandon(shard->store, reservation);
	refuse_write(shard, state, REPLY_NO_MEMORY);
}

void shard_write_hand_over(struct shard *shard, struct shard_write *write, struct call_out *ret_out)
{
	struct write_state *state = state_of(write);
	struct store_reservation *reservation = &state->reservation;

	state->is_handed_over = true;
	if (state->refusal == REPLY_STORED && !store_resume(shard->store, reservation))
		state->refusal = REPLY_NO_MEMORY;
	if (reservation->item != NULL)
		ret_out->original = store_original(shard->store, reservation);
	else
		ret_out->original = (struct store_original){.hash = state->hash};
	ret_out->cas_unique = state->cas_unique;
	ret_out->modifiers = state->modifiers;
	ret_out->op = (uint8_t)state->op;
	ret_out->refusal = (uint8_t)state->refusal;
}

/* An append or prepend that may make the item. */
static bool is_vivified(const struct request *request)
{
	return (request->op == REQUEST_APPEND || request->op == REQUEST_PREPEND) &&
	       (request->modifiers & REQUEST_VIVIFY);
}

enum reply_status shard_write_begin(struct shard *shard, struct shard_write *write,
                                    const struct request *request, uint32_t now_s)
{
	struct write_state *state = state_of(write);
	struct store_item_options options = {
	    .key = request->key,
	    .hash = shard_request_hash(shard, request),
	    .value_bytes = (uint32_t)request->value_bytes,
	    .client_flags = request->client_flags,
	    .expiry_s = shard_item_expiry_s(
	        shard, request->key,
	        is_vivified(request) ? request->vivify_exptime : request->exptime, now_s),
	    .marks = shard_key_mark(request),
	    .may_expire_else = (request->modifiers & REQUEST_INVALIDATE) != 0,
	};

	ASSERT(request_has_value(request->op));
	options.is_staged =
	    shard->shards != NULL && shards_number(shard->shards, options.hash) != shard->number;
	if (!options.is_staged)
		store_prefetch_to_write(shard->store, options.hash);
	store_tick(shard->store, now_s);
	state->op = request->op;
	state->modifiers = request->modifiers;
	state->cas_unique = request->cas_unique;
	state->reservation.item = NULL;
	state->refusal = REPLY_STORED;
	state->is_staged = options.is_staged;
	state->is_handed_over = false;
	write->left_bytes = 0;
	if (!shard_admit(shard, request->key, now_s)) {
		state->is_staged = false;
		return REPLY_RATE_LIMITED;
	}
	if (request->value_bytes > shard->value_bytes_max) {
		keep_key(state, options.hash, request->key);
		refuse_write(shard, state, REPLY_TOO_LARGE);
		return REPLY_TOO_LARGE;
	}
	shard_choose_cas(&options, request);
	if (!store_reserve(shard->store, &options, &state->reservation)) {
		keep_key(state, options.hash, request->key);
		refuse_write(shard, state, REPLY_NO_MEMORY);
		return REPLY_NO_MEMORY;
	}
	write->left_bytes = request->value_bytes;
	store_wait(shard->store, &state->reservation);
	return REPLY_STORED;
}

bool shard_write_bytes(struct shard *shard, struct shard_write *write, const uint8_t *bytes,
                       uint64_t length)
{
	struct write_state *state = state_of(write);
	struct store_reservation *reservation = &state->reservation;

	if (!store_resume(shard->store, reservation)) {
		refuse_write(shard, state, REPLY_NO_MEMORY);
		write->left_bytes = 0;
		return false;
	}
	if (store_write(shard->store, reservation, bytes, length)) {
		write->left_bytes = reservation->left_bytes;
		store_wait(shard->store, reservation);
		return true;
	}
	abandon_and_refuse(shard, state);
	write->left_bytes = 0;
	return false;
}

static void reply_stored(const struct shard *shard, const struct item *item,
                         struct reply *ret_reply)
{
	ret_reply->status = REPLY_STORED;
	ret_reply->cas_unique = store_cas_unique(shard->store, item);
	ret_reply->value_bytes = item_value_bytes(item);
}

/* Old and added bytes go into a new item that has the old one's flags and expiry. Too long a
 * result is NOT_STORED with memcached, not TOO_LARGE, and the old item stays. */
static void join(struct shard *shard, struct write_state *state, const struct store_place *place,
                 struct reply *ret_reply)
{
	struct item *old = place->item;
	struct item *added = state->reservation.item;
	bool append = state->op == REQUEST_APPEND;
	uint64_t value_bytes = (uint64_t)item_value_bytes(old) + item_value_bytes(added);
	struct store_item_options options = {
	    .key = item_key(added),
	    .hash = state->reservation.hash,
	    .value_bytes = (uint32_t)value_bytes,
	    .client_flags = item_client_flags(old),
	    .expiry_s = store_expiry_s(shard->store, old),
	    .marks = item_marks(old) & ITEM_KEY_IS_BINARY,
	    .cas_is_given = state->reservation.cas_is_given,
	    .cas_unique = store_cas_unique(shard->store, added), /* if it is */
	};
	struct store_reservation joined;
	struct segment *pinned;

	ret_reply->status = REPLY_NOT_STORED;
	if (value_bytes > shard->value_bytes_max)
		return;
	ret_reply->status = REPLY_NO_MEMORY;
	pinned = store_pin(shard->store, old);
	if (store_reserve(shard->store, &options, &joined)) {
		struct item *item = joined.item;

		if (store_write_value(shard->store, &joined, append ? old : added) &&
		    store_write_value(shard->store, &joined, append ? added : old)) {
			store_publish(shard->store, &joined, place);
			reply_stored(shard, item, ret_reply);
		} else {
			store_abandon(shard->store, &joined);
		}
	}
	store_unpin(shard->store, pinned);
	if (ret_reply->status == REPLY_NO_MEMORY)
		counter_add(&shard->counters.store_no_memory, 1);
}

static void publish(struct shard *shard, struct write_state *state,
                    const struct store_place *replaced, struct reply *ret_reply)
{
	struct item *item = state->reservation.item;

	store_publish(shard->store, &state->reservation, replaced);
	reply_stored(shard, item, ret_reply);
}

/* CAS with INVALIDATE: what is based on an older item than there is stores too, as something stale
 * that lives no longer than that one. */
static bool accept_stale(const struct shard *shard, struct write_state *state,
                         const struct item *old)
{
	struct item *item = state->reservation.item;

	if (!(state->modifiers & REQUEST_INVALIDATE) || state->cas_unique == 0 ||
	    state->cas_unique > store_cas_unique(shard->store, old))
		return false;
	store_expire_else(&state->reservation, store_expiry_s(shard->store, old));
	item_set_marks(item, item_marks(item) | ITEM_STALE | (item_marks(old) & ITEM_WON));
	return true;
}

static void compare_and_set(struct shard *shard, struct write_state *state,
                            const struct store_place *place, struct reply *ret_reply)
{
	/* a client can have given an item the cas unique 0, but none compares equal to it */
	bool equal = state->cas_unique != 0 &&
	             store_cas_unique(shard->store, place->item) == state->cas_unique;

	if (!equal && !accept_stale(shard, state, place->item)) {
		counter_add(&shard->counters.cas_badval, 1);
		ret_reply->status = REPLY_EXISTS;
		return;
	}
	counter_add(&shard->counters.cas_hits, 1);
	publish(shard, state, place, ret_reply);
}

/* The key has a live item. */
static void commit_over(struct shard *shard, struct write_state *state,
                        const struct store_place *place, struct reply *ret_reply)
{
	switch (state->op) {
	case REQUEST_ADD: ret_reply->status = REPLY_NOT_STORED; return;
	case REQUEST_APPEND:
	case REQUEST_PREPEND:
		if ((state->modifiers & REQUEST_COMPARE) &&
		    store_cas_unique(shard->store, place->item) != state->cas_unique)
			ret_reply->status = REPLY_EXISTS;
		else
			join(shard, state, place, ret_reply);
		return;
	case REQUEST_CAS: compare_and_set(shard, state, place, ret_reply); return;
	default: publish(shard, state, place, ret_reply); return;
	}
}

/* The key has no live item. */
static void commit_new(struct shard *shard, struct write_state *state, struct reply *ret_reply)
{
	switch (state->op) {
	case REQUEST_CAS:
		counter_add(&shard->counters.cas_misses, 1);
		ret_reply->status = REPLY_NOT_FOUND;
		return;
	case REQUEST_APPEND:
	case REQUEST_PREPEND:
		if (state->modifiers & REQUEST_VIVIFY)
			break;
		/* fall through */
	case REQUEST_REPLACE: ret_reply->status = REPLY_NOT_STORED; return;
	default: break;
	}
	publish(shard, state, NULL, ret_reply);
}

/* All is there, and the reservation does not wait. */
static void commit(struct shard *shard, struct write_state *state, uint32_t now_s,
                   struct reply *ret_reply)
{
	struct store_reservation *reservation = &state->reservation;
	struct store_place place;
	enum store_verdict verdict;
	int64_t ttl_s;

	if (!store_settle(shard->store, reservation)) {
		abandon_and_refuse(shard, state);
		ret_reply->key = (struct slice){state->key, state->key_bytes};
		ret_reply->status = REPLY_NO_MEMORY;
		return;
	}
	/* it stays where it is until the next call, whatever becomes of the item */
	ret_reply->key = item_key(reservation->item);
	ret_reply->value_bytes = item_value_bytes(reservation->item);
	ttl_s = shard_ttl_s(shard->store, reservation->item, now_s);
	shard_count_class(shard, ret_reply->key, CLASS_COUNTER(cmd_set));
	verdict = store_find(shard->store, reservation->hash, ret_reply->key, &place);
	if (verdict == STORE_LIVE) {
		commit_over(shard, state, &place, ret_reply);
	} else {
		if (verdict != STORE_MISSING)
			store_reclaim(shard->store, &place);
		commit_new(shard, state, ret_reply);
	}
	if (reservation->item != NULL)
		store_abandon(shard->store, reservation);
	tell_stored(shard, state->op, ret_reply->key, ret_reply->value_bytes, ttl_s,
	            ret_reply->status);
}

void shard_write_commit(struct shard *shard, struct shard_write *write, uint32_t now_s,
                        struct reply *ret_reply)
{
	struct write_state *state = state_of(write);

	ASSERT(!state->is_staged);
	store_tick(shard->store, now_s);
	counter_add(&shard->counters.cmd_set, 1);
	ret_reply->cas_unique = 0;
	if (store_resume(shard->store, &state->reservation)) {
		commit(shard, state, now_s, ret_reply);
		return;
	}
	refuse_write(shard, state, REPLY_NO_MEMORY);
	ret_reply->key = (struct slice){state->key, state->key_bytes};
	ret_reply->status = REPLY_NO_MEMORY;
}

bool shard_write_take_over(struct shard *shard, uint32_t from, const struct call_out *out,
                           uint32_t now_s, struct call_back *ret_back)
{
	struct serving *serving = &shard->serving[from];
	struct write_state *state = &serving->state;
	enum reply_status refusal = (enum reply_status)out->refusal;

	store_tick(shard->store, now_s);
	state->op = (enum request_op)out->op;
	state->modifiers = out->modifiers;
	state->cas_unique = out->cas_unique;
	state->refusal = refusal;
	state->is_staged = false;
	if (refusal == REPLY_STORED &&
	    store_reserve_like(shard->store, &out->original, &state->reservation)) {
		serving->is_under_way = true;
		serving->piece = store_value(shard->shards->stores[from], out->original.item);
		serving->piece_bytes = 0;
		return true;
	}
	keep_key(state, out->original.hash, shard_write_key(out->call->write));
	state->reservation.item = NULL;
	ret_back->status = refusal == REPLY_STORED ? REPLY_NO_MEMORY : refusal;
	refuse_write(shard, state, ret_back->status);
	return false;
}

/* The next bytes. False: no room. */
static bool copy_some(struct shard *shard, const struct store *from, struct serving *serving,
                      uint64_t bytes)
{
	struct store_reservation *reservation = &serving->state.reservation;

	while (bytes > 0 && reservation->left_bytes > 0) {
		struct store_piece *piece = &serving->piece;
		uint64_t part = min_u64(bytes, piece->length - serving->piece_bytes);

		if (!store_write(shard->store, reservation, piece->data + serving->piece_bytes,
		                 part))
			return false;
		bytes -= part;
		serving->piece_bytes += (uint32_t)part;
		if (serving->piece_bytes == piece->length && store_value_next(from, piece))
			serving->piece_bytes = 0;
	}
	return true;
}

bool shard_write_go_on(struct shard *shard, uint32_t from, uint64_t bytes, uint32_t now_s,
                       struct call_back *ret_back)
{
	struct serving *serving = &shard->serving[from];
	struct write_state *state = &serving->state;
	struct reply reply = {.cas_unique = 0};

	store_tick(shard->store, now_s);
	if (!copy_some(shard, shard->shards->stores[from], serving, bytes)) {
		abandon_and_refuse(shard, state);
		reply.status = REPLY_NO_MEMORY;
	} else if (state->reservation.left_bytes > 0) {
		return false;
	} else {
		counter_add(&shard->counters.cmd_set, 1);
		commit(shard, state, now_s, &reply);
	}
	serving->is_under_way = false;
	ret_back->status = reply.status;
	ret_back->value_bytes = reply.value_bytes;
	ret_back->cas_unique = reply.cas_unique;
	return true;
}

void shard_write_abandon(struct shard *shard, struct shard_write *write)
{
	struct store_reservation *reservation = &state_of(write)->reservation;

	if (reservation->item == NULL)
		return;
	if (reservation->is_waiting)
		store_resume(shard->store, reservation);
	/* memcached counts the command when its value has come, even with a bad end. */
	if (reservation->left_bytes == 0 && !state_of(write)->is_handed_over)
		counter_add(&shard->counters.cmd_set, 1);
	store_abandon(shard->store, reservation);
}
