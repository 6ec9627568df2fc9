/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/buckets.h"

#include "base/bytes.h"
#include "cli/human.h"

#include <string.h>

#define EIGHTHS    8
#define BAR_INDENT 44 /* where a histogram's bars begin */
#define BAR_MIN    10

void buckets_add(struct buckets *buckets, uint64_t end, uint64_t count)
{
	struct bucket *list = buckets->list;
	uint32_t i = 0;

	while (i < buckets->count && list[i].end < end)
		i++;
	if (i < buckets->count && list[i].end == end) {
		list[i].count += count;
	} else if (buckets->count == BUCKETS_MAX) {
		list[min_u32(i, BUCKETS_MAX - 1)].count += count;
	} else {
		memmove(&list[i + 1], &list[i], (buckets->count - i) * sizeof(list[0]));
		list[i] = (struct bucket){end, count};
		buckets->count++;
	}
}

void buckets_add_all(struct buckets *buckets, const struct buckets *more)
{
	for (uint32_t i = 0; i < more->count; i++)
		buckets_add(buckets, more->list[i].end, more->list[i].count);
}

void buckets_add_json(struct buckets *buckets, const json_t *list, const char *end_name)
{
	const json_t *bucket;
	size_t index;

	json_array_foreach(list, index, bucket)
	    buckets_add(buckets, (uint64_t)json_integer_value(json_object_get(bucket, end_name)),
	                (uint64_t)json_integer_value(json_object_get(bucket, "count")));
}

static bool is_below(const struct buckets *buckets, const struct buckets *before)
{
	uint32_t i = 0;

	for (uint32_t j = 0; j < before->count; j++) {
		while (i < buckets->count && buckets->list[i].end < before->list[j].end)
			i++;
		if (i == buckets->count || buckets->list[i].end != before->list[j].end ||
		    buckets->list[i].count < before->list[j].count)
			return true;
	}
	return false;
}

void buckets_subtract(struct buckets *buckets, const struct buckets *before)
{
	uint32_t i = 0;

	if (is_below(buckets, before))
		return;
	for (uint32_t j = 0; j < before->count; j++) {
		while (buckets->list[i].end != before->list[j].end)
			i++;
		buckets->list[i].count -= before->list[j].count;
	}
}

uint64_t buckets_total(const struct buckets *buckets)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < buckets->count; i++)
		total += buckets->list[i].count;
	return total;
}

bool buckets_quantile(const struct buckets *buckets, double share, uint64_t *ret_end)
{
	uint64_t total = buckets_total(buckets), seen = 0;

	if (total == 0)
		return false;
	for (uint32_t i = 0; i < buckets->count; i++) {
		seen += buckets->list[i].count;
		if (seen > 0 && (double)seen >= share * (double)total) {
			*ret_end = buckets->list[i].end;
			return true;
		}
	}
	*ret_end = buckets->list[buckets->count - 1].end;
	return true;
}

/* Of powers of two: end is 2^n, or less and above half of it. */
static uint32_t octave_of(uint64_t end)
{
	return end <= 1 ? 0 : 64 - (uint32_t)__builtin_clzll(end - 1);
}

static uint64_t octave_end(uint32_t octave)
{
	return octave > 63 ? UINT64_MAX : (uint64_t)1 << octave;
}

void bar_write(char *ret_text, uint32_t columns, double part, double whole, bool is_utf8)
{
	static const char *const last[EIGHTHS] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
	uint32_t steps = is_utf8 ? EIGHTHS : 1;
	double share = whole > 0 ? part / whole : 0;
	uint32_t length = (uint32_t)(columns * steps * (share > 1 ? 1 : share) + 0.5);
	char *at = ret_text;

	if (length == 0 && part > 0 && columns > 0)
		length = 1;
	for (uint32_t i = 0; i < length / steps; i++)
		at = stpcpy(at, is_utf8 ? "█" : "#");
	strcpy(at, is_utf8 ? last[length % steps] : "");
}

struct line {
	const char *from, *below;
	uint64_t count, total, largest;
};

static void print_line(const struct line *line, const struct buckets_look *look, FILE *to)
{
	uint32_t columns = look->width < BAR_INDENT + BAR_MIN ? BAR_MIN : look->width - BAR_INDENT;
	char bar[BAR_BYTES(columns)], count[HUMAN_BYTES], share[HUMAN_BYTES];

	human_count(count, line->count);
	human_share(share, line->total == 0 ? 0 : (double)line->count / (double)line->total);
	bar_write(bar, columns, (double)line->count, (double)line->largest, look->is_utf8);
	fprintf(to, "%10s  %10s  %8s  %8s%s%s\n", line->from, line->below, count, share,
	        bar[0] == '\0' ? "" : "  ", bar);
}

void buckets_print(const struct buckets *buckets, const struct buckets_look *look, FILE *to)
{
	uint64_t octaves[65] = {0};
	struct line line = {.total = buckets_total(buckets) + look->apart_count,
	                    .largest = look->apart_count};
	uint32_t first = 64, last = 0;

	for (uint32_t i = 0; i < buckets->count; i++) {
		uint32_t octave = octave_of(buckets->list[i].end);

		if (buckets->list[i].count == 0)
			continue;
		octaves[octave] += buckets->list[i].count;
		line.largest = max_u64(line.largest, octaves[octave]);
		first = min_u32(first, octave);
		last = max_u32(last, octave);
	}
	fprintf(to, "%s%10s  %10s  %8s  %8s%s\n", look->with_bold ? "\033[1m" : "", "FROM", "BELOW",
	        "COUNT", "SHARE", look->with_bold ? "\033[0m" : "");
	for (uint32_t i = first; i <= last; i++) {
		char from[HUMAN_BYTES], below[HUMAN_BYTES];

		look->form(from, i == 0 ? 0 : octave_end(i - 1));
		look->form(below, octave_end(i));
		line.from = from;
		line.below = below;
		line.count = octaves[i];
		print_line(&line, look, to);
	}
	line.from = look->apart;
	line.below = "";
	line.count = look->apart_count;
	if (look->apart != NULL && look->apart_count > 0)
		print_line(&line, look, to);
}
