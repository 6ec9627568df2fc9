/* SPDX-License-Identifier: Apache-2.0 */
/* A histogram as a node tells it: how many were below an end, and not below the end before. What is
 * read off it, and how it looks on a terminal. Plain data; nobody's. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define BUCKETS_MAX 192

struct bucket {
	uint64_t end;
	uint64_t count;
};

/* By their ends, the smallest first. */
struct buckets {
	uint32_t count;
	struct bucket list[BUCKETS_MAX];
};

/* When there are too many of them, it goes into the next larger one. */
void buckets_add(struct buckets *buckets, uint64_t end, uint64_t count);
void buckets_add_all(struct buckets *buckets, const struct buckets *more);

/* A list of objects, whose ends are called that: "end", "below". */
void buckets_add_json(struct buckets *buckets, const json_t *list, const char *end_name);

/* What has come since `before`. What counts less than then has begun anew: it is taken as it is. */
void buckets_subtract(struct buckets *buckets, const struct buckets *before);

uint64_t buckets_total(const struct buckets *buckets);

/* Below it is at least that share of all, from 0 to 1: the end of a bucket. False: there are none.
 */
bool buckets_quantile(const struct buckets *buckets, double share, uint64_t *ret_end);

/* How a number of what was measured is written. */
typedef void buckets_form(char *ret_text, uint64_t number);

struct buckets_look {
	buckets_form *form; /* takes HUMAN_BYTES of text */
	const char *apart;  /* what was counted, and has no number: "never"; NULL: nothing is */
	uint64_t apart_count;
	uint32_t width; /* in columns */
	bool is_utf8;   /* bars are of block characters, else of # */
	bool with_bold; /* headings are */
};

/* A line for each power of two, from the first that has any to the last, with a bar. */
void buckets_print(const struct buckets *buckets, const struct buckets_look *look, FILE *to);

#define BAR_BYTES(columns) (3 * (size_t)(columns) + 1)

/* A bar of at most so many columns: `part` of `whole` of them. Something is never nothing. */
void bar_write(char *ret_text, uint32_t columns, double part, double whole, bool is_utf8);
