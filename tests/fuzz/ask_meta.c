/* SPDX-License-Identifier: Apache-2.0 */
/* The meta commands. Flags are taken one after the other, as they stand in the line: a `t` tells of
 * the expiry as the flags before it have left it. */
#include "ask_meta.h"

#include "store/item.h"

#include <inttypes.h>

const struct ask_flag *ask_flag_of(const struct ask *ask, char letter)
{
	for (uint32_t i = 0; i < ask->meta.flag_count; i++)
		if (ask->meta.flags[i].letter == letter)
			return &ask->meta.flags[i];
	return NULL;
}

static uint64_t number_of(const struct ask *ask, char letter, uint64_t otherwise)
{
	const struct ask_flag *flag = ask_flag_of(ask, letter);

	return flag == NULL ? otherwise : flag->number;
}

static uint64_t expiry_of(const struct ask *ask, const struct model *model, char letter)
{
	const struct ask_flag *flag = ask_flag_of(ask, letter);

	return flag == NULL ? 0 : model_expiry_s(model, flag->exptime);
}

static struct model_cas cas_of(const struct ask *ask)
{
	return (struct model_cas){ask_flag_of(ask, 'E') != NULL, number_of(ask, 'E', 0)};
}

void ask_add_base64(struct bytes *bytes, struct slice text)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < text.length; i += 3) {
		size_t left = text.length - i;
		uint32_t group = (uint32_t)text.data[i] << 16;
		char four[4];

		group |= left > 1 ? (uint32_t)text.data[i + 1] << 8 : 0;
		group |= left > 2 ? text.data[i + 2] : 0;
		for (int j = 0; j < 4; j++)
			four[j] = digits[group >> (18 - 6 * j) & 63];
		if (left < 3)
			four[3] = '=';
		if (left < 2)
			four[2] = '=';
		bytes_append(bytes, four, 4);
	}
}

static void tell_key(struct bytes *reply, struct slice key, bool in_base64)
{
	ask_print(reply, " k");
	if (in_base64) {
		ask_add_base64(reply, key);
		ask_print(reply, " b");
	} else {
		ask_add(reply, key);
	}
}

/* What a client gets back as it came: opaque and key. */
static void tell_own(const struct ask *ask, const struct ask_flag *flag, struct bytes *reply)
{
	if (flag->letter == 'O')
		ask_print(reply, " O%s", flag->token);
	if (flag->letter == 'k')
		tell_key(reply, ask->keys[0], ask->meta.in_base64);
}

static void tell_ttl(const struct model *model, const struct model_item *item, struct bytes *reply)
{
	ask_print(reply, " t%" PRId64, model_ttl_s(model, item));
}

static void tell_code(const struct ask *ask, struct bytes *reply, const char *code)
{
	ask_print(reply, "%s", code);
	for (uint32_t i = 0; i < ask->meta.flag_count; i++)
		tell_own(ask, &ask->meta.flags[i], reply);
	ask_print(reply, "\r\n");
}

static void tell_item_flag(const struct model *model, const struct model_item *item, uint8_t letter,
                           struct bytes *reply)
{
	switch (letter) {
	case 'c': ask_print(reply, " c%" PRIu64, item->cas_unique); return;
	case 'f': ask_print(reply, " f%u", item->client_flags); return;
	case 'h': ask_print(reply, " h%d", item->is_fetched); return;
	case 'l': ask_print(reply, " l%" PRIu64, model_idle_s(model, item)); return;
	case 's': ask_print(reply, " s%u", item->value_bytes); return;
	case 't': tell_ttl(model, item, reply); return;
	case 'k':
		tell_key(reply, (struct slice){item->key, item->key_bytes}, item->in_base64);
		return;
	default: return;
	}
}

static void answer_get_flags(const struct ask *ask, const struct model *model,
                             struct model_item *item, bool is_made, struct bytes *reply)
{
	bool wins = is_made;

	for (uint32_t i = 0; i < ask->meta.flag_count; i++) {
		const struct ask_flag *flag = &ask->meta.flags[i];

		if (flag->letter == 'T' || (flag->letter == 'N' && is_made))
			item->expiry_s = model_expiry_s(model, flag->exptime);
		if (flag->letter == 'R' && !item->is_won && !is_made && item->expiry_s != 0 &&
		    item->expiry_s < model_expiry_s(model, flag->exptime))
			wins = true;
		if (flag->letter == 'O')
			tell_own(ask, flag, reply);
		tell_item_flag(model, item, flag->letter, reply);
	}
	if (item->is_won)
		ask_print(reply, " Z");
	if (item->is_stale) {
		ask_print(reply, " X");
		wins = wins || !item->is_won;
	}
	if (wins) {
		ask_print(reply, " W");
		item->is_won = true;
	}
}

void ask_meta_answer_get(struct ask *ask, struct model *model, struct bytes *reply)
{
	struct model_item *item = model_find(model, ask->keys[0]);
	bool is_made = item == NULL && ask_flag_of(ask, 'N') != NULL;
	bool with_value = ask_flag_of(ask, 'v') != NULL;
	struct model_cas cas = cas_of(ask);

	if (item == NULL && !is_made) {
		if (!ask->meta.is_quiet)
			tell_code(ask, reply, "EN");
		return;
	}
	if (is_made)
		item = model_make(model, ask->keys[0], (struct slice){0}, 0, 0, &cas,
		                  ask->meta.in_base64);
	/* who has it already need not be sent it */
	if (ask_flag_of(ask, 'C') != NULL && number_of(ask, 'C', 0) == item->cas_unique)
		with_value = false;
	if (with_value)
		ask_print(reply, "VA %u", item->value_bytes);
	else
		ask_print(reply, "HD");
	answer_get_flags(ask, model, item, is_made, reply);
	ask_print(reply, "\r\n");
	if (with_value) {
		ask_add(reply, ask_item_value(item));
		ask_print(reply, "\r\n");
	}
	if (ask_flag_of(ask, 'u') == NULL)
		model_mark_read(model, item);
}

void ask_meta_answer_error(struct ask *ask, struct model *model, struct bytes *reply)
{
	ask_add(reply, ask_slice(ask->text));
}

void ask_meta_answer_store_begin(struct ask *ask, struct model *model, struct bytes *reply)
{
	struct model_store *store = &ask->store;
	bool joins = store->mode == MODEL_APPEND || store->mode == MODEL_PREPEND;

	store->makes = joins && ask_flag_of(ask, 'N') != NULL;
	store->expiry_s = expiry_of(ask, model, store->makes ? 'N' : 'T');
	ask->begun = model_store_begin(model, store, ask->value_bytes);
	if (ask->begun != MODEL_STORED)
		ask_print(reply, "SERVER_ERROR object too large for cache\r\n");
}

static void tell_stored(const struct ask *ask, const struct model_item *item, struct bytes *reply)
{
	for (uint32_t i = 0; i < ask->meta.flag_count; i++) {
		const struct ask_flag *flag = &ask->meta.flags[i];

		tell_own(ask, flag, reply);
		if (flag->letter == 'c')
			ask_print(reply, " c%" PRIu64, item == NULL ? 0 : item->cas_unique);
		if (flag->letter == 's')
			ask_print(reply, " s%" PRIu64,
			          item == NULL ? ask->value_bytes : item->value_bytes);
	}
	ask_print(reply, "\r\n");
}

void ask_meta_answer_store(struct ask *ask, struct model *model, struct bytes *reply)
{
	static const char *const codes[] = {
	    [MODEL_STORED] = "HD",
	    [MODEL_NOT_STORED] = "NS",
	    [MODEL_EXISTS] = "EX",
	    [MODEL_NOT_FOUND] = "NF",
	};
	enum model_verdict verdict;
	struct model_item *item;

	if (ask->begun != MODEL_STORED)
		return;
	if (ask->bad_value) {
		ask_print(reply, "CLIENT_ERROR bad data chunk\r\n");
		return;
	}
	verdict = model_store(model, &ask->store, ask_own_value(ask), &item);
	if (verdict == MODEL_STORED && ask->meta.is_quiet)
		return;
	ask_print(reply, "%s", codes[verdict]);
	tell_stored(ask, item, reply);
}

void ask_meta_answer_delete(struct ask *ask, struct model *model, struct bytes *reply)
{
	struct model_delete delete = {
	    .key = ask->keys[0],
	    .compares = ask_flag_of(ask, 'C') != NULL,
	    .expected_cas = number_of(ask, 'C', 0),
	    .empties = ask_flag_of(ask, 'x') != NULL,
	    .client_flags = (uint32_t)number_of(ask, 'F', 0),
	    .expiry_s = expiry_of(ask, model, 'T'),
	    .invalidates = ask_flag_of(ask, 'I') != NULL,
	    .renews = ask_flag_of(ask, 'T') != NULL,
	    .in_base64 = ask->meta.in_base64,
	    .cas = cas_of(ask),
	};

	switch (model_delete(model, &delete)) {
	case MODEL_DONE:
		if (!ask->meta.is_quiet)
			tell_code(ask, reply, "HD");
		return;
	case MODEL_EXISTS: tell_code(ask, reply, "EX"); return;
	default: tell_code(ask, reply, "NF"); return;
	}
}

static void answer_number(const struct ask *ask, const struct model *model, struct model_item *item,
                          uint64_t number, bool is_made, struct bytes *reply)
{
	bool with_value = ask_flag_of(ask, 'v') != NULL;
	char digits[ASK_NUMBER_MAX];
	int count = sprintf(digits, "%" PRIu64, number);

	if (with_value)
		ask_print(reply, "VA %d", count);
	else
		ask_print(reply, "HD");
	for (uint32_t i = 0; i < ask->meta.flag_count; i++) {
		const struct ask_flag *flag = &ask->meta.flags[i];

		if (flag->letter == 'T' || (flag->letter == 'N' && is_made))
			item->expiry_s = model_expiry_s(model, flag->exptime);
		if (flag->letter == 'c' || flag->letter == 't')
			tell_item_flag(model, item, flag->letter, reply);
		tell_own(ask, flag, reply);
	}
	ask_print(reply, "\r\n");
	if (with_value)
		ask_print(reply, "%s\r\n", digits);
}

void ask_meta_answer_delta(struct ask *ask, struct model *model, struct bytes *reply)
{
	struct model_delta delta = {
	    .key = ask->keys[0],
	    .delta = number_of(ask, 'D', 1),
	    .expected_cas = number_of(ask, 'C', 0),
	    .is_decrement = ask->delta.is_decrement,
	    .makes = ask_flag_of(ask, 'N') != NULL,
	    .initial = number_of(ask, 'J', 0),
	    .in_base64 = ask->meta.in_base64,
	    .cas = cas_of(ask),
	};
	struct model_item *item;
	struct bytes unsaid = {0};
	uint64_t number;
	bool is_made;

	switch (model_delta(model, &delta, &item, &number, &is_made)) {
	case MODEL_DONE:
		answer_number(ask, model, item, number, is_made,
		              ask->meta.is_quiet ? &unsaid : reply);
		free(unsaid.data);
		return;
	case MODEL_EXISTS: tell_code(ask, reply, "EX"); return;
	case MODEL_NOT_FOUND: tell_code(ask, reply, "NF"); return;
	default:
		ask_print(reply, "CLIENT_ERROR cannot increment or decrement "
		                 "non-numeric value\r\n");
	}
}

/* Kante: the size is its own figure, as it is memcached's there. */
void ask_meta_answer_inspect(struct ask *ask, struct model *model, struct bytes *reply)
{
	const struct model_item *item = model_find(model, ask->keys[0]);
	struct slice key;

	if (item == NULL) {
		ask_print(reply, "EN\r\n");
		return;
	}
	key = (struct slice){item->key, item->key_bytes};
	ask_print(reply, "ME ");
	if (item->in_base64)
		ask_add_base64(reply, key);
	else
		ask_add(reply, key);
	ask_print(reply, " exp=%" PRId64 " la=%" PRIu64 " cas=%" PRIu64 " fetch=%s",
	          model_ttl_s(model, item), model_idle_s(model, item), item->cas_unique,
	          item->is_fetched ? "yes" : "no");
	ask_print(reply, " cls=1 size=%" PRIu64 "\r\n",
	          item_bytes_of(item->key_bytes, item->value_bytes));
}
