/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/survey.h"

#include "proto/line.h"
#include "proto/number.h"
#include "proto/uri.h"

#include <stdlib.h>

_Static_assert(SURVEY_LINE_BYTES_MAX >= URI_BYTES_MAX(KEY_BYTES_MAX) + 100, "the longest line");

void survey_begin(struct survey *survey)
{
	memset(survey, 0, offsetof(struct survey, big));
}

static uint32_t octave_of(uint64_t number)
{
	uint32_t octave = number == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(number);

	return min_u32(octave, SURVEY_OCTAVE_COUNT - 1);
}

static struct survey_item *find_smallest(struct survey *survey)
{
	struct survey_item *smallest = &survey->big[0];

	for (uint32_t i = 1; i < survey->big_count; i++)
		if (survey->big[i].bytes < smallest->bytes)
			smallest = &survey->big[i];
	return smallest;
}

static void add_big(struct survey *survey, const struct reply *reply)
{
	struct survey_item *item;

	if (survey->big_count < SURVEY_BIG_COUNT)
		item = &survey->big[survey->big_count++];
	else
		item = find_smallest(survey);
	item->bytes = reply->item_bytes;
	item->ttl_s = reply->ttl_s;
	item->idle_s = reply->idle_s;
	item->length = (uint8_t)reply->key.length;
	memcpy(item->key, reply->key.data, reply->key.length);
	survey->big_bytes_min =
	    survey->big_count < SURVEY_BIG_COUNT ? 0 : find_smallest(survey)->bytes;
}

void survey_add(struct survey *survey, const struct reply *reply)
{
	survey->item_count++;
	survey->byte_count += reply->item_bytes;
	survey->fetched_count += (reply->marks & REPLY_FETCHED) != 0;
	survey->sizes[octave_of(reply->item_bytes)]++;
	survey->idles[octave_of(reply->idle_s)]++;
	if (reply->ttl_s == TTL_NEVER)
		survey->never_count++;
	else
		survey->ttls[octave_of((uint64_t)reply->ttl_s)]++;
	if (reply->item_bytes > survey->big_bytes_min)
		add_big(survey, reply);
}

static int larger_first(const void *a, const void *b)
{
	const struct survey_item *one = a, *other = b;

	return one->bytes < other->bytes ? 1 : -(one->bytes > other->bytes);
}

void survey_finish(struct survey *survey)
{
	qsort(survey->big, survey->big_count, sizeof(survey->big[0]), larger_first);
}

static uint8_t *write_number(uint8_t *to, const char *name, uint64_t number)
{
	to = line_write(line_write(line_write(to, "STAT "), name), " ");
	return line_write(number_write(to, number), "\r\n");
}

static uint8_t *write_octave(uint8_t *to, const char *name, uint32_t octave, uint64_t count)
{
	to = line_write(line_write(line_write(to, "STAT "), name), ":");
	to = line_write(number_write(to, UINT64_C(1) << octave), " ");
	return line_write(number_write(to, count), "\r\n");
}

/* big:KEY BYTES TTL IDLE, the key as in a URI, TTL in seconds or -1, IDLE in seconds. */
static uint8_t *write_big(uint8_t *to, const struct survey_item *item)
{
	to = line_write(to, "STAT big:");
	to = line_write(uri_write(to, (struct slice){item->key, item->length}), " ");
	to = line_write(number_write(to, item->bytes), " ");
	to = item->ttl_s == TTL_NEVER ? line_write(to, "-1")
	                              : number_write(to, (uint64_t)item->ttl_s);
	return line_write(number_write(line_write(to, " "), item->idle_s), "\r\n");
}

uint8_t *survey_tell(struct survey *survey, uint8_t *to)
{
	const struct {
		const char *name;
		const uint64_t *counts;
	} lists[] = {{"size", survey->sizes}, {"ttl", survey->ttls}, {"idle", survey->idles}};
	uint32_t at = survey->told_count++;

	switch (at) {
	case 0: return write_number(to, "items", survey->item_count);
	case 1: return write_number(to, "bytes", survey->byte_count);
	case 2: return write_number(to, "fetched", survey->fetched_count);
	case 3: return write_number(to, "never_expire", survey->never_count);
	default: at -= 4;
	}
	for (uint32_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		if (at < SURVEY_OCTAVE_COUNT)
			return write_octave(to, lists[i].name, at, lists[i].counts[at]);
		at -= SURVEY_OCTAVE_COUNT;
	}
	return at < survey->big_count ? write_big(to, &survey->big[at]) : NULL;
}
