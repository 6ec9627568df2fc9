/* SPDX-License-Identifier: Apache-2.0 */
/* The block list: who is on it, who is put there, who is taken off it. */
#include "control/api.h"

#include "control/blocking.h"
#include "control/kept.h"

#include <errno.h>
#include <stdlib.h>

#define ERROR_BYTES     4096
#define SHOWN_COUNT_MAX 16 /* of those that were replaced, in a line of the audit log */

static json_t *shown(const struct block_entry *entry)
{
	char prefix[IP_PREFIX_TEXT_MAX];

	ip_prefix_format(&entry->prefix, prefix);
	return json_pack("{s:s, s:o, s:o, s:s, s:s}", "prefix", prefix, "created",
	                 kept_time(entry->created_s), "expires", kept_time(entry->expires_s), "by",
	                 entry->by, "reason", entry->reason);
}

void api_blocks_list(struct exchange *exchange)
{
	uint32_t count;
	const struct block_entry *list = blocks_list(exchange->control->blocks, &count);
	json_t *json = json_array();
	bool good = json != NULL;

	for (uint32_t i = 0; i < count && good; i++)
		good = json_array_append_new(json, shown(&list[i])) == 0;
	if (!good) {
		json_decref(json);
		json = NULL;
	}
	exchange_reply(exchange, HTTP_OK, json_pack("{s:o}", "blocks", json));
}

static int status_of(int error)
{
	switch (error) {
	case -EINVAL: return 400;
	case -ENOENT: return 404;
	case -ENOSPC: return 409;
	default: return HTTP_SERVUNAVAIL;
	}
}

/* Writes down what comes of it. */
static void note(struct exchange *exchange, struct audit_event *event, int r, const char *error)
{
	event->kind = AUDIT_change;
	event->who = &exchange->who;
	event->result = r < 0 ? AUDIT_FAILED : AUDIT_OK;
	event->reason = r < 0 ? error : NULL;
	audit_append(exchange->control->audit, event, control_now_us());
}

/* False: one of them is none: the exchange was refused, and is gone. */
static bool read_prefixes(struct exchange *exchange, const json_t *texts,
                          struct ip_prefix *ret_prefixes)
{
	char error[ERROR_BYTES];
	size_t index;
	json_t *text;

	json_array_foreach(texts, index, text)
	{
		if (!json_is_string(text)) {
			exchange_refuse(exchange, 400,
			                "prefixes[%zu] is no text: write \"198.18.0.0/24\"", index);
			return false;
		}
		if (blocks_parse(&ret_prefixes[index], json_string_value(text), error,
		                 sizeof(error)) < 0) {
			exchange_refuse(exchange, 400, "prefixes[%zu]: %s", index, error);
			return false;
		}
	}
	return true;
}

/* What was there of them, for the audit log. NULL: nothing. */
static json_t *before_of(const struct blocks *blocks, const struct blocks_wanted *wanted)
{
	json_t *list = json_array();
	json_int_t count = 0;

	for (uint32_t i = 0; i < wanted->count; i++) {
		const struct block_entry *entry = blocks_find(blocks, &wanted->prefixes[i]);

		if (entry == NULL)
			continue;
		if (count++ < SHOWN_COUNT_MAX)
			json_array_append_new(list, shown(entry));
	}
	if (count > 0)
		return json_pack("{s:I, s:o}", "count", count, "blocks", list);
	json_decref(list);
	return NULL;
}

static json_t *after_of(const struct blocks_wanted *wanted)
{
	json_t *names = json_array();

	for (uint32_t i = 0; i < wanted->count; i++)
		blocking_name(names, &wanted->prefixes[i]);
	return json_pack("{s:I, s:o, s:o, s:s}", "count", (json_int_t)wanted->count, "prefixes",
	                 names, "expires", kept_time(wanted->expires_s), "reason", wanted->reason);
}

static void add(struct exchange *exchange, const struct blocks_wanted *wanted)
{
	struct blocks *blocks = exchange->control->blocks;
	json_t *before = before_of(blocks, wanted), *after;
	struct audit_event event = {.action = "block.add", .before = before};
	struct blocks_added added;
	char error[ERROR_BYTES], name[IP_PREFIX_TEXT_MAX];
	int r = blocks_add(blocks, wanted, control_now_s(), &added, error, sizeof(error));

	after = after_of(wanted);
	event.after = after;
	if (wanted->count == 1) {
		ip_prefix_format(&wanted->prefixes[0], name);
		event.target = name;
	}
	note(exchange, &event, r, error);
	json_decref(before);
	json_decref(after);
	if (r < 0)
		exchange_refuse(exchange, status_of(r), "%s", error);
	else
		blocking_reply(exchange, json_pack("{s:I, s:I}", "added", (json_int_t)added.fresh,
		                                   "changed", (json_int_t)added.changed));
}

void api_blocks_add(struct exchange *exchange)
{
	struct blocks_wanted wanted = {.by = exchange->who.name, .reason = ""};
	struct ip_prefix *prefixes;
	json_int_t expires_s = 0;
	json_error_t wrong;
	json_t *texts = NULL;

	if (json_unpack_ex(exchange->body, &wrong, JSON_STRICT, "{s:o, s?:I, s?:s}", "prefixes",
	                   &texts, "expires", &expires_s, "reason", &wanted.reason) < 0) {
		exchange_refuse(exchange, 400,
		                "nothing to be blocked: %s: give \"prefixes\", a list, and perhaps "
		                "\"expires\" (Unix time) and \"reason\"",
		                exchange->body == NULL ? "there is no body" : wrong.text);
		return;
	}
	if (expires_s < 0 || expires_s > KEPT_TIME_S_MAX) {
		exchange_refuse(exchange, 400,
		                "`expires` is below 0 or after the year 9999: give a Unix time to "
		                "come");
		return;
	}
	if (json_array_size(texts) == 0) {
		exchange_refuse(exchange, 400,
		                "`prefixes` is no list that has any: write [\"198.18.0.0/24\"]");
		return;
	}
	prefixes = calloc(json_array_size(texts), sizeof(*prefixes));
	if (prefixes == NULL) {
		exchange_refuse(exchange, HTTP_SERVUNAVAIL, "no memory is left: try again");
		return;
	}
	wanted.prefixes = prefixes;
	wanted.expires_s = (uint64_t)expires_s;
	if (read_prefixes(exchange, texts, prefixes)) {
		wanted.count = blocks_sort(prefixes, (uint32_t)json_array_size(texts));
		add(exchange, &wanted);
	}
	free(prefixes);
}

void api_blocks_remove(struct exchange *exchange)
{
	struct blocks *blocks = exchange->control->blocks;
	struct audit_event event = {.action = "block.remove"};
	char error[ERROR_BYTES], name[IP_PREFIX_TEXT_MAX];
	const struct block_entry *entry;
	struct ip_prefix prefix;
	json_t *before;
	int r = blocks_parse(&prefix, exchange->argument, error, sizeof(error));

	if (r < 0) {
		exchange_refuse(exchange, status_of(r), "%s", error);
		return;
	}
	entry = blocks_find(blocks, &prefix);
	before = entry == NULL ? NULL : shown(entry);
	ip_prefix_format(&prefix, name);
	event.target = name;
	event.before = before;
	r = blocks_remove(blocks, &prefix, error, sizeof(error));
	note(exchange, &event, r, error);
	json_decref(before);
	if (r < 0)
		exchange_refuse(exchange, status_of(r), "%s", error);
	else
		blocking_reply(exchange,
		               json_pack("{s:s, s:s}", "prefix", name, "state", "removed"));
}
