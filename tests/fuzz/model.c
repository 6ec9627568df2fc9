/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"

#include "base/assert.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define DAYS_30_S              (60 * 60 * 24 * 30)
#define NUMBER_VALUE_BYTES_MAX (512 << 10)

void model_remove(struct model_item *item)
{
	free(item->value);
	*item = (struct model_item){0};
}

static void remove_all(struct model *model)
{
	for (uint32_t i = 0; i < MODEL_ITEM_COUNT; i++)
		model_remove(&model->items[i]);
}

void model_destroy(struct model *model)
{
	remove_all(model);
}

void model_set_time(struct model *model, uint64_t now_s)
{
	ASSERT(now_s >= model->now_s);
	model->now_s = now_s;
	for (uint32_t i = 0; i < MODEL_ITEM_COUNT; i++) {
		struct model_item *item = &model->items[i];

		if (item->expiry_s != 0 && item->expiry_s <= now_s)
			model_remove(item);
	}
	/* Kante: in the second that was said; memcached does it one second earlier. */
	if (model->flush_due_s != 0 && model->flush_due_s <= now_s) {
		model->flush_due_s = 0;
		remove_all(model);
	}
}

uint64_t model_expiry_s(const struct model *model, int64_t exptime)
{
	const uint64_t past_s = 1;

	if (exptime == 0)
		return 0;
	if (exptime < 0)
		return past_s;
	if (exptime <= DAYS_30_S)
		return model->now_s + (uint64_t)exptime;
	if ((uint64_t)exptime <= model->unix_start_s)
		return past_s;
	/* Kante: exptimes of 64 bits are taken, and end after 136 years. */
	return min_u64((uint64_t)exptime - model->unix_start_s, UINT32_MAX - 1);
}

int64_t model_ttl_s(const struct model *model, const struct model_item *item)
{
	if (item->expiry_s == 0)
		return MODEL_NEVER;
	/* Kante: memcached tells of 2^32 and fewer seconds when a T has just ended it. */
	return item->expiry_s > model->now_s ? (int64_t)(item->expiry_s - model->now_s) : 0;
}

uint64_t model_idle_s(const struct model *model, const struct model_item *item)
{
	/* Kante: counts 97 days. */
	return (model->now_s - item->read_s) % (1 << 23);
}

struct model_item *model_find(struct model *model, struct slice key)
{
	for (uint32_t i = 0; i < MODEL_ITEM_COUNT; i++) {
		struct model_item *item = &model->items[i];

		if (item->key_bytes != key.length || memcmp(item->key, key.data, key.length) != 0)
			continue;
		if (item->expiry_s == 0 || item->expiry_s > model->now_s)
			return item;
		model_remove(item);
		return NULL;
	}
	return NULL;
}

void model_mark_read(const struct model *model, struct model_item *item)
{
	item->is_fetched = true;
	/* Kante: memcached lets this be for some of the reads. */
	item->read_s = model->now_s;
}

struct model_item *model_make(struct model *model, struct slice key, struct slice value,
                              uint32_t client_flags, uint64_t expiry_s, const struct model_cas *cas,
                              bool in_base64)
{
	struct model_item *item = model_find(model, key);
	uint8_t *copy = malloc(value.length + 1);

	ASSERT(copy != NULL);
	if (value.length > 0)
		memcpy(copy, value.data, value.length);
	for (uint32_t i = 0; item == NULL; i++) {
		ASSERT(i < MODEL_ITEM_COUNT);
		if (model->items[i].key_bytes == 0)
			item = &model->items[i];
	}
	free(item->value);
	*item = (struct model_item){
	    .key_bytes = (uint32_t)key.length,
	    .value = copy,
	    .value_bytes = (uint32_t)value.length,
	    .client_flags = client_flags,
	    .expiry_s = expiry_s,
	    .cas_unique = cas->is_given ? cas->unique : ++model->cas_newest,
	    .read_s = model->now_s,
	    .in_base64 = in_base64,
	};
	memcpy(item->key, key.data, key.length);
	return item;
}

enum model_verdict model_store_begin(struct model *model, const struct model_store *store,
                                     uint64_t value_bytes)
{
	struct model_item *old;

	if (value_bytes <= model->value_bytes_max)
		return MODEL_STORED;
	/* Nobody is to go on reading what was to be replaced. Kante: memcached also does it for
	 * every ms, and for a set of the binary protocol with a cas unique. */
	old = store->mode == MODEL_SET ? model_find(model, store->key) : NULL;
	if (old != NULL)
		model_remove(old);
	return MODEL_TOO_LARGE;
}

static struct model_item *store_as_said(struct model *model, const struct model_store *store,
                                        struct slice value)
{
	return model_make(model, store->key, value, store->client_flags, store->expiry_s,
	                  &store->cas, store->in_base64);
}

/* A new item with the old one's flags and expiry, and none of its marks. */
static enum model_verdict join(struct model *model, const struct model_store *store,
                               struct model_item *old, struct slice value,
                               struct model_item **ret_item)
{
	uint64_t length = old->value_bytes + (uint64_t)value.length;
	struct slice first = {old->value, old->value_bytes}, second = value;
	uint8_t *joined;

	if (store->expected_cas != 0 && store->expected_cas != old->cas_unique)
		return MODEL_EXISTS;
	if (length > model->value_bytes_max)
		return MODEL_NOT_STORED;
	if (store->mode == MODEL_PREPEND) {
		second = first;
		first = value;
	}
	joined = malloc(length + 1);
	ASSERT(joined != NULL);
	if (first.length > 0)
		memcpy(joined, first.data, first.length);
	if (second.length > 0)
		memcpy(joined + first.length, second.data, second.length);
	/* Kante: that the key came in base64 is not forgotten. */
	*ret_item = model_make(model, store->key, (struct slice){joined, length}, old->client_flags,
	                       old->expiry_s, &store->cas, old->in_base64);
	free(joined);
	return MODEL_STORED;
}

static enum model_verdict compare_and_store(struct model *model, const struct model_store *store,
                                            struct model_item *old, struct slice value,
                                            struct model_item **ret_item)
{
	bool is_older = store->expected_cas < old->cas_unique;
	uint64_t expiry_s = old->expiry_s;
	bool was_won = old->is_won;

	if (store->expected_cas != 0 && store->expected_cas == old->cas_unique) {
		*ret_item = store_as_said(model, store, value);
		return MODEL_STORED;
	}
	if (store->expected_cas == 0 || !store->takes_older || !is_older)
		return MODEL_EXISTS;
	*ret_item = store_as_said(model, store, value);
	(*ret_item)->expiry_s = expiry_s;
	(*ret_item)->is_stale = true;
	(*ret_item)->is_won = was_won;
	return MODEL_STORED;
}

enum model_verdict model_store(struct model *model, const struct model_store *store,
                               struct slice value, struct model_item **ret_item)
{
	struct model_item *old = model_find(model, store->key);

	*ret_item = NULL;
	switch (store->mode) {
	case MODEL_SET: break;
	case MODEL_ADD:
		/* Kante: memcached notes the time, as if it had been read. */
		if (old != NULL)
			return MODEL_NOT_STORED;
		break;
	case MODEL_REPLACE:
		if (old == NULL)
			return MODEL_NOT_STORED;
		break;
	case MODEL_APPEND:
	case MODEL_PREPEND:
		if (old != NULL)
			return join(model, store, old, value, ret_item);
		if (!store->makes)
			return MODEL_NOT_STORED;
		break;
	case MODEL_CAS:
		if (old == NULL)
			return MODEL_NOT_FOUND;
		return compare_and_store(model, store, old, value, ret_item);
	}
	*ret_item = store_as_said(model, store, value);
	return MODEL_STORED;
}

/* strtoull() with what memcached makes of it: white space, a sign, digits, and behind them white
 * space, a NUL or the end. What has a sign is a number only below 2^63. */
static bool is_number(const struct model_item *item, uint64_t *ret_number)
{
	char *text, *end;
	bool good;

	if (item->value_bytes == 0 || item->value_bytes > NUMBER_VALUE_BYTES_MAX)
		return false;
	text = strndup((const char *)item->value, item->value_bytes);
	errno = 0;
	*ret_number = strtoull(text, &end, 10);
	good = errno == 0 && end != text && (*end == '\0' || isspace((unsigned char)*end)) &&
	       (*ret_number >> 63 == 0 || memchr(text, '-', (size_t)(end - text)) == NULL);
	free(text);
	return good;
}

/* In place, with spaces behind it; or, when it has more digits, as a new item with the old one's
 * flags and expiry. Kante: that one keeps the marks too. */
static void rewrite(const struct model *model, struct model_item *item, uint64_t number)
{
	char digits[24];
	uint32_t count = (uint32_t)sprintf(digits, "%llu", (unsigned long long)number);

	if (count > item->value_bytes) {
		item->value = realloc(item->value, count);
		ASSERT(item->value != NULL);
		item->value_bytes = count;
		item->is_fetched = false;
	}
	memset(item->value, ' ', item->value_bytes);
	memcpy(item->value, digits, count);
	item->read_s = model->now_s;
}

enum model_verdict model_delta(struct model *model, const struct model_delta *delta,
                               struct model_item **ret_item, uint64_t *ret_number,
                               bool *ret_is_made)
{
	struct model_item *item = model_find(model, delta->key);
	uint64_t number;
	char digits[24];

	*ret_is_made = item == NULL;
	if (item == NULL && !delta->makes)
		return MODEL_NOT_FOUND;
	if (item == NULL) {
		sprintf(digits, "%llu", (unsigned long long)delta->initial);
		*ret_item = model_make(model, delta->key,
		                       (struct slice){(const uint8_t *)digits, strlen(digits)}, 0,
		                       delta->expiry_s, &delta->cas, delta->in_base64);
		*ret_number = delta->initial;
		return MODEL_DONE;
	}
	/* an empty value is no number, whatever its cas unique; of all others that counts first */
	if (item->value_bytes > 0 && delta->expected_cas != 0 &&
	    delta->expected_cas != item->cas_unique)
		return MODEL_EXISTS;
	if (!is_number(item, &number))
		return MODEL_NOT_NUMERIC;
	if (!delta->is_decrement)
		number += delta->delta; /* wraps at 2^64 */
	else
		number = number > delta->delta ? number - delta->delta : 0;
	rewrite(model, item, number);
	item->cas_unique = delta->cas.is_given ? delta->cas.unique : ++model->cas_newest;
	*ret_item = item;
	*ret_number = number;
	return MODEL_DONE;
}

enum model_verdict model_delete(struct model *model, const struct model_delete *delete)
{
	struct model_item *item = model_find(model, delete->key);
	struct model_cas cas = delete->cas;

	if (item == NULL)
		return MODEL_NOT_FOUND;
	if (delete->compares && delete->expected_cas != item->cas_unique)
		return MODEL_EXISTS;
	if (!delete->empties && !delete->invalidates) {
		model_remove(item);
		return MODEL_DONE;
	}
	if (delete->empties) {
		if (!cas.is_given)
			cas = (struct model_cas){true, item->cas_unique};
		item = model_make(model, delete->key, (struct slice){0}, delete->client_flags,
		                  delete->expiry_s, &cas, delete->in_base64);
	}
	if (delete->invalidates) {
		if (delete->renews)
			item->expiry_s = delete->expiry_s;
		item->is_stale = true;
		item->is_won = false;
		item->cas_unique = delete->cas.is_given ? delete->cas.unique : ++model->cas_newest;
	}
	return MODEL_DONE;
}

enum model_verdict model_touch(struct model *model, struct slice key, uint64_t expiry_s,
                               struct model_item **ret_item)
{
	struct model_item *item = model_find(model, key);

	*ret_item = item;
	if (item == NULL)
		return MODEL_NOT_FOUND;
	item->expiry_s = expiry_s;
	model_mark_read(model, item);
	return MODEL_DONE;
}

/* The newest replaces one that is still to come. */
void model_flush(struct model *model, int64_t delay)
{
	uint64_t due_s = model_expiry_s(model, delay);

	model->flush_due_s = due_s;
	model_set_time(model, model->now_s);
	if (due_s == 0)
		remove_all(model);
}
