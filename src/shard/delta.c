/* SPDX-License-Identifier: Apache-2.0 */
/* INCR and DECR, to the letter of memcached 1.6. */
#include "shard/internal.h"

#define DIGITS_MAX 20 /* of 2^64 - 1 */

static bool is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* As strtoull() in memcached's hands: spaces, a sign, digits, then the end, a NUL or a space, and
 * whatever follows that. "-0" is a number and "-5" is none. */
static bool parse_number(struct slice text, uint64_t *ret_number)
{
	size_t i = 0;
	size_t first_digit;
	bool negative = false;
	uint64_t number = 0;

	while (i < text.length && is_space(text.data[i]))
		i++;
	if (i < text.length && (text.data[i] == '+' || text.data[i] == '-'))
		negative = text.data[i++] == '-';
	for (first_digit = i; i < text.length; i++) {
		uint64_t digit = (uint64_t)text.data[i] - '0';

		if (digit > 9)
			break;
		if (__builtin_mul_overflow(number, 10u, &number) ||
		    __builtin_add_overflow(number, digit, &number))
			return false;
	}
	if (i == first_digit || (i < text.length && text.data[i] != 0 && !is_space(text.data[i])))
		return false;
	if (negative) {
		number = 0 - number;
		if (number >> 63 != 0)
			return false;
	}
	*ret_number = number;
	return true;
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

/* The value is the number, padded with spaces to the length of the old one: memcached writes
 * shorter numbers in place. Like that, the item stays the same one in what is counted. NULL: no
 * memory, nothing has changed. */
static struct item *store_number(struct shard *shard, const struct request *request,
                                 const struct store_place *place, uint64_t hash, uint64_t number)
{
	struct item *old = place->item;
	uint8_t digits[DIGITS_MAX];
	uint32_t count = format_number(number, digits);
	struct store_item_options options = {
	    .key = item_key(old),
	    .hash = hash,
	    .value_bytes = max_u32(count, old->value_bytes),
	    .client_flags = old->client_flags,
	    .expiry_s = item_expiry_s(old),
	    .marks = item_marks(old),
	};
	struct segment *pinned = store_pin(shard->store, old);
	struct store_reservation reservation;
	struct item *item = NULL;

	if (store_reserve(shard->store, &options, &reservation)) {
		uint32_t left = options.value_bytes - count;

		item = reservation.item;
		store_write(shard->store, &reservation, digits + DIGITS_MAX - count, count);
		while (left > 0) {
			static const uint8_t spaces[64] =
			    "                                                               ";
			uint32_t part = min_u32(left, sizeof(spaces) - 1);

			store_write(shard->store, &reservation, spaces, part);
			left -= part;
		}
		shard_choose_cas(&reservation, request);
		reservation.is_update = options.value_bytes == old->value_bytes;
		store_publish(shard->store, &reservation, place);
	}
	store_unpin(shard->store, pinned);
	return item;
}

static void reply_number(const struct item *item, uint64_t number, int64_t ttl_s, uint32_t now_s,
                         struct reply *ret_reply)
{
	ret_reply->status = REPLY_NUMBER;
	ret_reply->number = number;
	ret_reply->cas_unique = item_cas_unique(item);
	ret_reply->marks = 0;
	ret_reply->ttl_s = ttl_s;
	ret_reply->renewed_s = shard_ttl_s(item, now_s);
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
	    .expiry_s = shard_expiry_s(
	        shard, renew_last ? request->exptime : request->vivify_exptime, now_s),
	};
	struct item *item =
	    shard_store_small(shard, &options, digits + DIGITS_MAX - count, request, NULL);

	if (item == NULL) {
		ret_reply->status = REPLY_NO_MEMORY;
		return;
	}
	reply_number(item, request->initial, TTL_NEVER, now_s, ret_reply);
	ret_reply->marks = REPLY_CREATED;
}

static void apply_delta(struct shard *shard, const struct request *request,
                        const struct store_place *place, uint64_t hash, uint32_t now_s,
                        struct reply *ret_reply)
{
	bool incr = request->op == REQUEST_INCR;
	struct store_piece piece = store_value(shard->store, place->item);
	int64_t ttl_s = shard_ttl_s(place->item, now_s);
	struct item *item;
	uint64_t number;

	/* As memcached: what is too large for one chunk is no number. */
	if (piece.left_bytes > 0 ||
	    !parse_number((struct slice){piece.data, piece.length}, &number)) {
		ret_reply->status = REPLY_NOT_NUMERIC;
		return;
	}
	if (incr)
		number += request->delta;
	else
		number -= min_u64(number, request->delta);
	item = store_number(shard, request, place, hash, number);
	if (item == NULL) {
		counter_add(&shard->counters.store_no_memory, 1);
		ret_reply->status = REPLY_NO_MEMORY;
		return;
	}
	counter_add(incr ? &shard->counters.incr_hits : &shard->counters.decr_hits, 1);
	if (request->modifiers & REQUEST_RENEW)
		store_set_expiry(shard->store, item,
		                 shard_expiry_s(shard, request->exptime, now_s));
	reply_number(item, number, ttl_s, now_s, ret_reply);
}

void shard_execute_delta(struct shard *shard, const struct request *request, uint32_t now_s,
                         struct reply *ret_reply)
{
	struct shard_counters *counters = &shard->counters;
	uint64_t hash = store_hash(shard->store, request->key);
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
	if (place.item->value_bytes > 0 && (request->modifiers & REQUEST_COMPARE) &&
	    item_cas_unique(place.item) != request->cas_unique) {
		ret_reply->status = REPLY_EXISTS;
		return;
	}
	apply_delta(shard, request, &place, hash, now_s, ret_reply);
}
