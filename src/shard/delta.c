/* SPDX-License-Identifier: Apache-2.0 */
/* INCR and DECR, to the letter of memcached 1.6. */
#include "shard/internal.h"

#define DIGITS_MAX             20 /* of 2^64 - 1 */
#define NUMBER_VALUE_BYTES_MAX (512u << 10)

static bool is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* A value's bytes one after another. */
struct text {
	const struct store *store;
	struct store_piece piece;
	uint32_t at;
};

/* -1: the value ends here. */
static int peek(struct text *text)
{
	if (text->at == text->piece.length) {
		if (!store_value_next(text->store, &text->piece))
			return -1;
		text->at = 0;
	}
	return text->piece.data[text->at];
}

/* As strtoull() in memcached's hands: spaces, a sign, digits, then the end, a NUL or a space, and
 * whatever follows that. "-0" is a number and "-5" is none. What is too large for one of its chunks
 * is none either. */
static bool parse_number(const struct store *store, const struct item *item, uint64_t *ret_number)
{
	struct text text = {store, store_value(store, item), 0};
	bool is_negative = false;
	bool has_digits = false;
	uint64_t number = 0;
	int c = peek(&text);

	if (item_value_bytes(item) > NUMBER_VALUE_BYTES_MAX)
		return false;
	for (; c >= 0 && is_space((uint8_t)c); c = peek(&text))
		text.at++;
	if (c == '+' || c == '-') {
		is_negative = c == '-';
		text.at++;
		c = peek(&text);
	}
	for (; c >= '0' && c <= '9'; c = peek(&text)) {
		if (__builtin_mul_overflow(number, 10u, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(c - '0'), &number))
			return false;
		has_digits = true;
		text.at++;
	}
	if (!has_digits || (c > 0 && !is_space((uint8_t)c)))
		return false;
	*ret_number = is_negative ? 0 - number : number;
	return !is_negative || *ret_number >> 63 == 0;
}

/* From the end of `to` towards its front; returns the digits' count. */
static uint32_t format_number(uint64_t number, uint8_t to[DIGITS_MAX])
{
	uint32_t count = 0;

	do {
		to[DIGITS_MAX - ++count] = (uint8_t)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	return count;
}

/* And spaces, to the end of the value. */
static bool write_digits(struct store *store, struct store_reservation *reservation,
                         const uint8_t *digits, uint32_t count)
{
	static const uint8_t spaces[64] =
	    "                                                               ";

	if (!store_write(store, reservation, digits, count))
		return false;
	while (reservation->left_bytes > 0)
		if (!store_write(store, reservation, spaces,
		                 min_u32(reservation->left_bytes, sizeof(spaces) - 1)))
			return false;
	return true;
}

/* The value is the number, padded with spaces to the length of the old one: memcached writes
 * shorter numbers in place. Like that, the item stays the same one in what is counted. NULL: no
 * memory, nothing has changed. */
static struct item *store_number(struct shard *shard, const struct request *request,
                                 const struct store_place *place, uint64_t hash, uint64_t number,
                                 uint32_t now_s)
{
	struct item *old = place->item;
	uint8_t digits[DIGITS_MAX];
	uint32_t count = format_number(number, digits);
	struct store_item_options options = {
	    .key = item_key(old),
	    .hash = hash,
	    .value_bytes = max_u32(count, item_value_bytes(old)),
	    .client_flags = item_client_flags(old),
	    .expiry_s = request->modifiers & REQUEST_RENEW
	                    ? shard_item_expiry_s(shard, request->key, request->exptime, now_s)
	                    : store_expiry_s(shard->store, old),
	    .marks = item_marks(old),
	};
	struct segment *pinned = store_pin(shard->store, old);
	struct store_reservation reservation;
	struct item *item = NULL;

	shard_choose_cas(&options, request);
	if (store_reserve(shard->store, &options, &reservation)) {
		item = reservation.item;
		if (write_digits(shard->store, &reservation, digits + DIGITS_MAX - count, count)) {
			reservation.is_update = options.value_bytes == item_value_bytes(old);
			store_publish(shard->store, &reservation, place);
		} else {
			store_abandon(shard->store, &reservation);
			item = NULL;
		}
	}
	store_unpin(shard->store, pinned);
	return item;
}

static void reply_number(const struct shard *shard, const struct item *item, uint64_t number,
                         int64_t ttl_s, uint32_t now_s, struct reply *ret_reply)
{
	ret_reply->status = REPLY_NUMBER;
	ret_reply->number = number;
	ret_reply->cas_unique = store_cas_unique(shard->store, item);
	ret_reply->marks = 0;
	ret_reply->ttl_s = ttl_s;
	ret_reply->renewed_s = shard_ttl_s(shard->store, item, now_s);
}

static void vivify_number(struct shard *shard, const struct request *request, uint64_t hash,
                          uint32_t now_s, struct reply *ret_reply)
{
	bool renew_last = (request->modifiers & REQUEST_RENEW) != 0 &&
	                  !(request->modifiers & REQUEST_RENEW_BEFORE_VIVIFY);
	uint8_t digits[DIGITS_MAX];
	uint32_t count = format_number(request->initial, digits);
	struct store_item_options options = {
	    .key = request->key,
	    .hash = hash,
	    .value_bytes = count,
	    .expiry_s =
	        shard_item_expiry_s(shard, request->key,
	                            renew_last ? request->exptime : request->vivify_exptime, now_s),
	    .marks = shard_key_mark(request),
	};
	struct item *item;

	shard_choose_cas(&options, request);
	item = shard_store_small(shard, &options, digits + DIGITS_MAX - count, NULL);
	if (item == NULL) {
		ret_reply->status = REPLY_NO_MEMORY;
		return;
	}
	reply_number(shard, item, request->initial, TTL_NEVER, now_s, ret_reply);
	ret_reply->marks = REPLY_CREATED;
}

static void apply_delta(struct shard *shard, const struct request *request,
                        const struct store_place *place, uint64_t hash, uint32_t now_s,
                        struct reply *ret_reply)
{
	bool incr = request->op == REQUEST_INCR;
	int64_t ttl_s = shard_ttl_s(shard->store, place->item, now_s);
	struct item *item;
	uint64_t number;

	if (!parse_number(shard->store, place->item, &number)) {
		ret_reply->status = REPLY_NOT_NUMERIC;
		return;
	}
	if (incr)
		number += request->delta;
	else
		number -= min_u64(number, request->delta);
	item = store_number(shard, request, place, hash, number, now_s);
	if (item == NULL) {
		counter_add(&shard->counters.store_no_memory, 1);
		ret_reply->status = REPLY_NO_MEMORY;
		return;
	}
	counter_add(incr ? &shard->counters.incr_hits : &shard->counters.decr_hits, 1);
	reply_number(shard, item, number, ttl_s, now_s, ret_reply);
}

void shard_execute_delta(struct shard *shard, const struct request *request, uint32_t now_s,
                         struct reply *ret_reply)
{
	struct shard_counters *counters = &shard->counters;
	uint64_t hash = shard_request_hash(shard, request);
	struct store_place place;

	if (!shard_find(shard, hash, request->key, &place)) {
		if (request->modifiers & REQUEST_VIVIFY) {
			vivify_number(shard, request, hash, now_s, ret_reply);
			return;
		}
		counter_add(request->op == REQUEST_INCR ? &counters->incr_misses
		                                        : &counters->decr_misses,
		            1);
		ret_reply->status = REPLY_NOT_FOUND;
		return;
	}
	if (item_value_bytes(place.item) > 0 && (request->modifiers & REQUEST_COMPARE) &&
	    store_cas_unique(shard->store, place.item) != request->cas_unique) {
		ret_reply->status = REPLY_EXISTS;
		return;
	}
	apply_delta(shard, request, &place, hash, now_s, ret_reply);
}
