/* SPDX-License-Identifier: Apache-2.0 */
/* What the clients' items are like, which are asked for most, and having some of them go. */
#include "control/api.h"
#include "control/gather.h"
#include "control/inquiry.h"

#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOT_COUNT_MAX 1000 /* keys told of, at most, by the query `limit` */
#define HOT_COUNT     20

static void refuse(struct exchange *exchange, const struct inquired *inquired)
{
	exchange_refuse(exchange, inquired->status, "%s", inquired->error);
}

/* Somebody has seen clients' keys. */
static void audit_read(struct exchange *exchange, const char *action)
{
	struct audit_event event = {.kind = AUDIT_read, .action = action, .who = &exchange->who};

	audit_append(exchange->control->audit, &event, control_now_us());
}

/* {"key": "…"}, or, when that is no text, {"key_escaped": "%00…"}. `text` is as in a URI. */
static json_t *key_json(const char *text, size_t length)
{
	char escaped[3 * API_KEY_BYTES_MAX + 1];
	size_t key_bytes;
	json_t *json = json_object(), *key = NULL;
	char *decoded;

	snprintf(escaped, sizeof(escaped), "%.*s", (int)length, text);
	decoded = evhttp_uridecode(escaped, 0, &key_bytes);
	if (decoded != NULL)
		key = json_stringn(decoded, key_bytes);
	free(decoded);
	if (key != NULL)
		json_object_set_new(json, "key", key);
	else
		json_object_set_new(json, "key_escaped", json_string(escaped));
	return json;
}

/* The next "STAT name value" of the replies: false: there is none. Names have no blanks. */
struct stat_line {
	const char *name;
	size_t name_bytes;
	const char *value; /* up to the line's end */
};

static bool stat_next(const char **at, struct stat_line *ret_line)
{
	static const char stat[] = "STAT ";
	const char *line = *at, *end = strchr(line, '\n'), *blank;

	if (end == NULL || strncmp(line, stat, strlen(stat)) != 0)
		return false;
	*at = end + 1;
	ret_line->name = line + strlen(stat);
	blank = memchr(ret_line->name, ' ', (size_t)(end - ret_line->name));
	if (blank == NULL)
		return false;
	ret_line->name_bytes = (size_t)(blank - ret_line->name);
	ret_line->value = blank + 1;
	return true;
}

/* Whether the line's name begins like that: *ret_rest is what comes then. */
static bool stat_is(const struct stat_line *line, const char *prefix, const char **ret_rest)
{
	size_t length = strlen(prefix);

	*ret_rest = line->name + length;
	return line->name_bytes >= length && strncmp(line->name, prefix, length) == 0;
}

static size_t rest_bytes(const struct stat_line *line, const char *rest)
{
	return line->name_bytes - (size_t)(rest - line->name);
}

/* How many, from the query; 0: it was refused. */
static uint32_t limit_of(struct exchange *exchange)
{
	const char *text = exchange_query(exchange, "limit");
	unsigned long limit;
	char *end;

	if (text == NULL)
		return HOT_COUNT;
	limit = strtoul(text, &end, 10);
	if (*end == '\0' && text[0] >= '0' && text[0] <= '9' && limit >= 1 &&
	    limit <= HOT_COUNT_MAX)
		return (uint32_t)limit;
	exchange_refuse(exchange, 400, "limit is a number from 1 to %u", HOT_COUNT_MAX);
	return 0;
}

/* The hottest keys. */

struct hot_keys {
	json_t *by_key;  /* escaped key → {rate, rate_error, xdp_rate} */
	double requests; /* a second, of all keys */
	double second;   /* the window's length, of the worker at hand */
};

static void add_to(json_t *object, const char *name, double more)
{
	json_object_set_new(object, name,
	                    json_real(json_number_value(json_object_get(object, name)) + more));
}

/* The window is told first, then the requests, then the keys: "COUNT ERROR XDP". */
static void hot_add(struct hot_keys *hot, const struct stat_line *line)
{
	char *end;
	double number = (double)strtoull(line->value, &end, 10);
	const char *key;
	json_t *entry;

	if (stat_is(line, "window_us", &key))
		hot->second = number > 0 ? number / 1e6 : 1;
	else if (stat_is(line, "requests", &key))
		hot->requests += number / hot->second;
	if (!stat_is(line, "key:", &key))
		return;
	entry = json_object_getn(hot->by_key, key, rest_bytes(line, key));
	if (entry == NULL) {
		entry = key_json(key, rest_bytes(line, key));
		json_object_setn_new(hot->by_key, key, rest_bytes(line, key), entry);
	}
	add_to(entry, "rate", number / hot->second);
	add_to(entry, "rate_error", (double)strtoull(end, &end, 10) / hot->second);
	add_to(entry, "xdp_rate", (double)strtoull(end, NULL, 10) / hot->second);
}

static double rate_of(const json_t *entry)
{
	return json_number_value(json_object_get(entry, "rate"));
}

static int hotter_first(const void *a, const void *b)
{
	double one = rate_of(*(json_t *const *)a), other = rate_of(*(json_t *const *)b);

	return one < other ? 1 : -(one > other);
}

/* Else most of what it is told to have may be others': where many keys are asked for alike, the
 * coldest that are counted are like that. */
static bool is_sure(const json_t *entry)
{
	return rate_of(entry) > 2 * json_number_value(json_object_get(entry, "rate_error"));
}

/* At most so many of them. */
static json_t *hot_list(const struct hot_keys *hot, uint32_t limit)
{
	size_t count = json_object_size(hot->by_key);
	json_t **entries = calloc(count + 1, sizeof(entries[0]));
	json_t *list = json_array(), *entry;
	const char *key;
	size_t i = 0;

	if (entries == NULL) {
		json_decref(list);
		return NULL;
	}
	json_object_foreach(hot->by_key, key, entry) entries[i++] = entry;
	qsort(entries, count, sizeof(entries[0]), hotter_first);
	for (i = 0; i < count && json_array_size(list) < limit; i++) {
		if (!is_sure(entries[i]))
			continue;
		json_object_set_new(
		    entries[i], "share",
		    json_real(hot->requests > 0 ? rate_of(entries[i]) / hot->requests : 0));
		json_array_append(list, entries[i]);
	}
	free(entries);
	return list;
}

static void tell_hot(struct exchange *exchange, const struct inquired *inquired)
{
	struct hot_keys hot = {.second = 1};
	struct stat_line line;
	const char *at = inquired->replies;

	if (at == NULL) {
		refuse(exchange, inquired);
		return;
	}
	hot.by_key = json_object();
	while (stat_next(&at, &line))
		hot_add(&hot, &line);
	exchange_reply(exchange, HTTP_OK,
	               json_pack("{s:f, s:o}", "requests", hot.requests, "keys",
	                         hot_list(&hot, limit_of(exchange))));
	json_decref(hot.by_key);
}

void api_hot(struct exchange *exchange)
{
	if (limit_of(exchange) == 0)
		return;
	audit_read(exchange, "hot");
	inquire(exchange, (uint32_t)exchange->control->config->worker_count, "stats hot", tell_hot);
}

/* The survey. */

/* "size:4096 7" → {"below": 4096, "count": 7}; those that have none are left out. */
static void add_octave(json_t *list, const char *end, const char *count)
{
	json_int_t number = (json_int_t)strtoull(count, NULL, 10);

	if (number > 0)
		json_array_append_new(list, json_pack("{s:I, s:I}", "below",
		                                      (json_int_t)strtoull(end, NULL, 10), "count",
		                                      number));
}

/* "big:KEY BYTES TTL IDLE" */
static json_t *big_json(const struct stat_line *line, const char *key)
{
	json_t *json = key_json(key, rest_bytes(line, key));
	char *end;
	long long bytes = strtoll(line->value, &end, 10), ttl_s = strtoll(end, &end, 10);

	json_object_set_new(json, "bytes", json_integer(bytes));
	json_object_set_new(json, "ttl_s", ttl_s < 0 ? json_null() : json_integer(ttl_s));
	json_object_set_new(json, "idle_s", json_integer(strtoll(end, NULL, 10)));
	return json;
}

static void tell_survey(struct exchange *exchange, const struct inquired *inquired)
{
	static const struct {
		const char *prefix, *name;
	} lists[] = {{"size:", "sizes"}, {"ttl:", "ttls"}, {"idle:", "idles"}};
	const char *at = inquired->replies, *rest;
	struct stat_line line;
	json_t *json;

	if (at == NULL) {
		refuse(exchange, inquired);
		return;
	}
	json = json_pack("{s:[], s:[], s:[], s:[]}", "sizes", "ttls", "idles", "big");
	while (stat_next(&at, &line)) {
		bool is_known = false;

		for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
			if (!stat_is(&line, lists[i].prefix, &rest))
				continue;
			add_octave(json_object_get(json, lists[i].name), rest, line.value);
			is_known = true;
		}
		if (stat_is(&line, "big:", &rest))
			json_array_append_new(json_object_get(json, "big"), big_json(&line, rest));
		else if (!is_known)
			json_object_setn_new(json, line.name, line.name_bytes,
			                     json_integer(strtoll(line.value, NULL, 10)));
	}
	exchange_reply(exchange, HTTP_OK, json);
}

/* One worker goes through the items of all. */
void api_survey(struct exchange *exchange)
{
	audit_read(exchange, "survey");
	inquire(exchange, 1, "lru_crawler survey all", tell_survey);
}

/* Purges. */

static void tell_purged(struct exchange *exchange, const struct inquired *inquired)
{
	const bool is_good = inquired->error == NULL;
	struct audit_event event = {.kind = AUDIT_erasure,
	                            .action = "purge",
	                            .result = is_good ? AUDIT_OK : AUDIT_FAILED,
	                            .who = &exchange->who,
	                            .reason = inquired->error,
	                            .after = exchange->body};

	audit_append(exchange->control->audit, &event, control_now_us());
	if (is_good)
		exchange_reply(exchange, HTTP_OK, json_pack("{s:O}", "purged", exchange->body));
	else
		refuse(exchange, inquired);
}

/* A word of the text protocol. */
static bool is_word(const char *text)
{
	size_t length = strlen(text);

	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f)
			return false;
	return length > 0 && length <= API_KEY_BYTES_MAX;
}

void api_purge(struct exchange *exchange)
{
	const char *prefix = NULL, *class_name = NULL;
	char command[INQUIRY_COMMAND_BYTES];
	json_error_t wrong;
	int all = 0;

	if (json_unpack_ex(exchange->body, &wrong, JSON_STRICT, "{s?:s, s?:s, s?:b}", "prefix",
	                   &prefix, "class", &class_name, "all", &all) < 0 ||
	    (prefix != NULL) + (class_name != NULL) + all != 1) {
		exchange_refuse(exchange, 400,
		                "say what is to go, one of {\"prefix\": \"…\"}, {\"class\": \"…\"} "
		                "and {\"all\": true}");
		return;
	}
	if ((prefix != NULL && !is_word(prefix)) || (class_name != NULL && !is_word(class_name))) {
		exchange_refuse(exchange, 400,
		                "a prefix is 1 to %u bytes without blanks and control bytes, as "
		                "keys are",
		                API_KEY_BYTES_MAX);
		return;
	}
	if (all)
		snprintf(command, sizeof(command), "flush_all");
	else
		snprintf(command, sizeof(command), "purge %s %s",
		         prefix != NULL ? "prefix" : "class", prefix != NULL ? prefix : class_name);
	inquire(exchange, 1, command, tell_purged);
}

/* Classes. */

static json_t *class_of(json_t *list, const char *name)
{
	json_t *entry;
	size_t i;

	json_array_foreach(list, i,
	                   entry) if (strcmp(json_string_value(json_object_get(entry, "name")),
	                                     name) == 0) return json_object_get(entry, "counters");
	entry = json_pack("{s:s, s:{}}", "name", name, "counters");
	json_array_append_new(list, entry);
	return json_object_get(entry, "counters");
}

static void tell_classes(struct exchange *exchange, struct gathered *gathered)
{
	json_t *list;

	if (!gathered_check(exchange, gathered))
		return;
	list = json_array();
	for (uint32_t i = 0; i < gathered->figures.count; i++) {
		const struct figure *figure = &gathered->figures.list[i];
		json_t *counters, *sum;

		if (figure->class_name[0] == '\0')
			continue;
		counters = class_of(list, figure->class_name);
		sum = json_object_get(counters, figure->name);
		json_object_set_new(
		    counters, figure->name,
		    json_integer(json_integer_value(sum) + (json_int_t)figure->value));
	}
	exchange_reply(exchange, HTTP_OK, json_pack("{s:o}", "classes", list));
}

void api_classes(struct exchange *exchange)
{
	gather(exchange, tell_classes);
}
