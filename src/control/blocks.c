/* SPDX-License-Identifier: Apache-2.0 */
#include "control/blocks.h"

#include "base/assert.h"
#include "control/kept.h"
#include "control/printable.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define LIST "blocks"

#define ERROR_NO_MEMORY "not enough memory: try again"

struct blocks {
	char *path;
	uint32_t count;
	struct block_entry *list; /* NULL: none */
};

/* What a prefix is. */

/* With zeros beyond that length. */
static struct ip_prefix cut(const struct ip_prefix *prefix, uint8_t length)
{
	struct ip_prefix shorter = {.address = prefix->address, .length = length};

	for (unsigned bit = length; bit < 128; bit++)
		shorter.address.bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	return shorter;
}

_Static_assert(offsetof(struct block_entry, prefix) == 0, "compare() takes either");

/* Prefixes, or what is blocked. */
static int compare(const void *left, const void *right)
{
	const struct ip_prefix *a = left, *b = right;
	int r = memcmp(a->address.bytes, b->address.bytes, sizeof(a->address.bytes));

	return r != 0 ? r : (int)a->length - (int)b->length;
}

/* Whether every IPv4 address is in it: nobody who means that means it. */
static bool is_everybody(const struct ip_prefix *prefix)
{
	static const uint8_t zeros[4];
	struct ip_address any = ip_address_from_ip4(zeros);

	return prefix->length <= 96 && ip_prefix_contains(prefix, &any);
}

int blocks_parse(struct ip_prefix *ret_prefix, const char *text, char *error, size_t error_bytes)
{
	char quoted[FAULTS_QUOTE_BYTES], network[IP_PREFIX_TEXT_MAX];
	struct ip_prefix prefix, whole;

	faults_quote(quoted, text);
	if (ip_prefix_parse(&prefix, text) < 0) {
		snprintf(error, error_bytes,
		         "\"%s\" is no network or address: write one such as 198.18.0.0/24, "
		         "fd00::/64 or 198.18.0.2",
		         quoted);
		return -EINVAL;
	}
	whole = cut(&prefix, prefix.length);
	if (compare(&whole, &prefix) != 0) {
		ip_prefix_format(&whole, network);
		snprintf(error, error_bytes, "\"%s\" has bits beyond its length: did you mean %s?",
		         quoted, network);
		return -EINVAL;
	}
	*ret_prefix = prefix;
	return 0;
}

uint32_t blocks_sort(struct ip_prefix *prefixes, uint32_t count)
{
	uint32_t kept_count = 0;

	qsort(prefixes, count, sizeof(*prefixes), compare);
	for (uint32_t i = 0; i < count; i++)
		if (i == 0 || compare(&prefixes[kept_count - 1], &prefixes[i]) != 0)
			prefixes[kept_count++] = prefixes[i];
	return kept_count;
}

/* Where it is in the list, or would be. */
static uint32_t place_of(const struct blocks *blocks, const struct ip_prefix *prefix)
{
	uint32_t low = 0, high = blocks->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (compare(&blocks->list[middle], prefix) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct block_entry *blocks_find(const struct blocks *blocks, const struct ip_prefix *prefix)
{
	uint32_t place = place_of(blocks, prefix);

	return place < blocks->count && compare(&blocks->list[place], prefix) == 0
	           ? &blocks->list[place]
	           : NULL;
}

const struct block_entry *blocks_list(const struct blocks *blocks, uint32_t *ret_count)
{
	*ret_count = blocks->count;
	return blocks->list;
}

static bool is_expired(const struct block_entry *entry, uint64_t now_s)
{
	return entry->expires_s != 0 && now_s >= entry->expires_s;
}

/* The file. */

static bool is_time(json_int_t value)
{
	return value >= 0 && value <= KEPT_TIME_S_MAX;
}

/* What is wrong with the record, or NULL. */
static const char *record_read(struct block_entry *ret_entry, json_t *record)
{
	const char *prefix, *by, *reason;
	json_int_t created, expires;
	char error[256];

	if (json_unpack_ex(record, NULL, JSON_STRICT, "{s:s,s:I,s:I,s:s,s:s}", "prefix", &prefix,
	                   "created", &created, "expires", &expires, "by", &by, "reason",
	                   &reason) < 0)
		return "has not exactly prefix, created, expires, by and reason";
	if (blocks_parse(&ret_entry->prefix, prefix, error, sizeof(error)) < 0)
		return "its prefix is no network or address";
	if (is_everybody(&ret_entry->prefix))
		return "its prefix is that of everybody";
	if (!printable(by, IDENTITY_NAME_BYTES - 1))
		return "its by is not 1 to 255 printable bytes";
	if (reason[0] != '\0' && !printable(reason, BLOCKS_REASON_BYTES_MAX))
		return "its reason is not 0 to 127 printable bytes";
	if (!is_time(created) || !is_time(expires))
		return "one of its times is before 1970 or after 9999";
	strcpy(ret_entry->by, by);
	strcpy(ret_entry->reason, reason);
	ret_entry->created_s = (uint64_t)created;
	ret_entry->expires_s = (uint64_t)expires;
	return NULL;
}

static json_t *record_make(const struct block_entry *entry)
{
	char prefix[IP_PREFIX_TEXT_MAX];

	ip_prefix_format(&entry->prefix, prefix);
	return json_pack("{s:s,s:I,s:I,s:s,s:s}", "prefix", prefix, "created",
	                 (json_int_t)entry->created_s, "expires", (json_int_t)entry->expires_s,
	                 "by", entry->by, "reason", entry->reason);
}

static int records_read(struct blocks *blocks, const struct kept *kept, struct faults *faults)
{
	json_t *seen = json_object(), *record; /* prefixes, however they are written */
	size_t count = json_array_size(kept->records), index;
	int r = seen == NULL ? -ENOMEM : 0;

	blocks->list = calloc(count + 1, sizeof(blocks->list[0]));
	if (blocks->list == NULL)
		r = -ENOMEM;
	for (index = 0; index < count && r == 0; index++) {
		struct block_entry *entry = &blocks->list[index];
		char prefix[IP_PREFIX_TEXT_MAX];
		const char *reason;

		record = json_array_get(kept->records, index);
		reason = record_read(entry, record);
		if (reason == NULL) {
			ip_prefix_format(&entry->prefix, prefix);
			if (json_object_get(seen, prefix) != NULL)
				reason = "its prefix is given twice";
			else
				r = json_object_set(seen, prefix, json_true()) < 0 ? -ENOMEM : 0;
		}
		if (reason != NULL)
			faults_add(faults, kept_line(kept, index), "", "%s: put a copy back",
			           reason);
	}
	json_decref(seen);
	if (r < 0) {
		faults_add(faults, 0, "", ERROR_NO_MEMORY);
		return r;
	}
	if (faults->count > 0)
		return -EINVAL;
	blocks->count = (uint32_t)count;
	qsort(blocks->list, count, sizeof(blocks->list[0]), compare);
	return 0;
}

int blocks_open(struct blocks **ret_blocks, const char *path, char *error, size_t error_bytes)
{
	struct blocks *blocks = calloc(1, sizeof(*blocks));
	struct kept kept = {0};
	struct faults faults;
	int r = 0;

	faults_create(&faults, path, error, error_bytes);
	if (blocks != NULL)
		blocks->path = strdup(path);
	if (blocks == NULL || blocks->path == NULL) {
		faults_add(&faults, 0, "", ERROR_NO_MEMORY);
		r = -ENOMEM;
	}
	if (r == 0)
		r = kept_read(&kept, path, LIST, BLOCKED_COUNT_MAX, &faults);
	if (r == 0)
		r = records_read(blocks, &kept, &faults);
	kept_release(&kept);
	faults_finish(&faults);
	if (r < 0)
		blocks_close(blocks);
	else
		*ret_blocks = blocks;
	return r;
}

void blocks_close(struct blocks *blocks)
{
	if (blocks == NULL)
		return;
	free(blocks->path);
	free(blocks->list);
	free(blocks);
}

/* Writes these, save the one at that index. 0; a negative errno with `error` filled in. */
static int save(const struct blocks *blocks, const struct block_entry *list, uint32_t count,
                uint32_t left_out, char *error, size_t error_bytes)
{
	json_t *records = json_array();
	struct faults faults;
	bool good = records != NULL;
	int r;

	faults_create(&faults, blocks->path, error, error_bytes);
	for (uint32_t i = 0; i < count && good; i++)
		if (i != left_out)
			good = json_array_append_new(records, record_make(&list[i])) == 0;
	if (good) {
		r = kept_write(blocks->path, LIST, records, &faults);
	} else {
		faults_add(&faults, 0, "", ERROR_NO_MEMORY);
		r = -ENOMEM;
	}
	json_decref(records);
	return r;
}

/* Changes. */

static int refusal_of(const struct blocks_wanted *wanted, uint64_t now_s, char *error,
                      size_t error_bytes)
{
	char prefix[IP_PREFIX_TEXT_MAX];

	if (!printable(wanted->by, IDENTITY_NAME_BYTES - 1)) {
		snprintf(error, error_bytes,
		         "who asks has a name with control characters: use another credential");
		return -EINVAL;
	}
	if (wanted->reason[0] != '\0' && !printable(wanted->reason, BLOCKS_REASON_BYTES_MAX)) {
		snprintf(error, error_bytes,
		         "a reason is up to %d bytes of UTF-8 without control characters: give "
		         "such a one, or none",
		         BLOCKS_REASON_BYTES_MAX);
		return -EINVAL;
	}
	if (wanted->expires_s != 0 &&
	    (wanted->expires_s <= now_s || wanted->expires_s > KEPT_TIME_S_MAX)) {
		snprintf(error, error_bytes,
		         "it would expire in the past, or after the year 9999: give another time");
		return -EINVAL;
	}
	for (uint32_t i = 0; i < wanted->count; i++)
		if (is_everybody(&wanted->prefixes[i])) {
			ip_prefix_format(&wanted->prefixes[i], prefix);
			snprintf(error, error_bytes,
			         "%s has every IPv4 address in it, and would block everybody: give "
			         "longer prefixes",
			         prefix);
			return -EINVAL;
		}
	return 0;
}

/* Both in one list, in `ret_list`, which has room for all of them. Returns how many these are. */
static uint32_t merge(const struct blocks *blocks, const struct blocks_wanted *wanted,
                      const struct block_entry *like, struct block_entry *ret_list)
{
	uint32_t at = 0, merged_count = 0;

	for (uint32_t i = 0; i < wanted->count; i++) {
		const struct ip_prefix *prefix = &wanted->prefixes[i];

		ASSERT(i == 0 || compare(prefix - 1, prefix) < 0);
		while (at < blocks->count && compare(&blocks->list[at], prefix) < 0)
			ret_list[merged_count++] = blocks->list[at++];
		if (at < blocks->count && compare(&blocks->list[at], prefix) == 0)
			at++; /* it is replaced */
		ret_list[merged_count] = *like;
		ret_list[merged_count++].prefix = *prefix;
	}
	while (at < blocks->count)
		ret_list[merged_count++] = blocks->list[at++];
	return merged_count;
}

int blocks_add(struct blocks *blocks, const struct blocks_wanted *wanted, uint64_t now_s,
               struct blocks_added *ret_added, char *error, size_t error_bytes)
{
	struct block_entry like = {.created_s = now_s, .expires_s = wanted->expires_s};
	uint32_t count, fresh_count;
	struct block_entry *list;
	int r = refusal_of(wanted, now_s, error, error_bytes);

	if (r < 0)
		return r;
	strcpy(like.by, wanted->by);
	strcpy(like.reason, wanted->reason);
	list = calloc((size_t)blocks->count + wanted->count + 1, sizeof(*list));
	if (list == NULL) {
		snprintf(error, error_bytes, ERROR_NO_MEMORY);
		return -ENOMEM;
	}
	count = merge(blocks, wanted, &like, list);
	if (count > BLOCKED_COUNT_MAX) {
		snprintf(error, error_bytes,
		         "that would be %u prefixes, and %d can be blocked: remove some, or block "
		         "wider ones",
		         count, BLOCKED_COUNT_MAX);
		r = -ENOSPC;
	} else {
		r = save(blocks, list, count, UINT32_MAX, error, error_bytes);
	}
	if (r < 0) {
		free(list);
		return r;
	}
	fresh_count = count - blocks->count;
	*ret_added = (struct blocks_added){fresh_count, wanted->count - fresh_count};
	free(blocks->list);
	blocks->list = list;
	blocks->count = count;
	return 0;
}

/* Says what of the list has to do with a prefix that is not on it. */
static void explain_absence(const struct blocks *blocks, const struct ip_prefix *prefix,
                            char *error, size_t error_bytes)
{
	char text[IP_PREFIX_TEXT_MAX], other[IP_PREFIX_TEXT_MAX];
	uint32_t place = place_of(blocks, prefix), count = 0;

	ip_prefix_format(prefix, text);
	for (int length = prefix->length - 1; length >= 0; length--) {
		struct ip_prefix wider = cut(prefix, (uint8_t)length);

		if (blocks_find(blocks, &wider) == NULL)
			continue;
		ip_prefix_format(&wider, other);
		snprintf(error, error_bytes,
		         "%s is not on the list, but it is in %s, which is: remove that", text,
		         other);
		return;
	}
	while (place + count < blocks->count &&
	       ip_prefix_contains(prefix, &blocks->list[place + count].prefix.address))
		count++;
	if (count == 0) {
		snprintf(error, error_bytes, "%s is not on the list: see the list of blocks", text);
		return;
	}
	ip_prefix_format(&blocks->list[place].prefix, other);
	if (count == 1)
		snprintf(error, error_bytes, "%s is not on the list, but %s in it is: remove that",
		         text, other);
	else
		snprintf(error, error_bytes,
		         "%s is not on the list, but %s and %u more in it are: remove those", text,
		         other, count - 1);
}

/* What is gone is overwritten by what is behind it. */
static void take_out(struct blocks *blocks, uint32_t index)
{
	memmove(&blocks->list[index], &blocks->list[index + 1],
	        (blocks->count - index - 1) * sizeof(blocks->list[0]));
	blocks->count--;
}

int blocks_remove(struct blocks *blocks, const struct ip_prefix *prefix, char *error,
                  size_t error_bytes)
{
	uint32_t index = place_of(blocks, prefix);
	int r;

	if (blocks_find(blocks, prefix) == NULL) {
		explain_absence(blocks, prefix, error, error_bytes);
		return -ENOENT;
	}
	r = save(blocks, blocks->list, blocks->count, index, error, error_bytes);
	if (r == 0)
		take_out(blocks, index);
	return r;
}

int blocks_expire(struct blocks *blocks, uint64_t now_s,
                  void (*each)(void *context, const struct block_entry *entry), void *context,
                  uint32_t *ret_count, char *error, size_t error_bytes)
{
	uint32_t kept_count = 0, count = blocks->count;

	for (uint32_t i = 0; i < count; i++) {
		if (is_expired(&blocks->list[i], now_s))
			each(context, &blocks->list[i]);
		else if (kept_count++ != i)
			blocks->list[kept_count - 1] = blocks->list[i];
	}
	blocks->count = kept_count;
	*ret_count = count - kept_count;
	return *ret_count == 0
	           ? 0
	           : save(blocks, blocks->list, kept_count, UINT32_MAX, error, error_bytes);
}
