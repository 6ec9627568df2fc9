/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and times as people write and read them. Plain text; nobody's. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define HUMAN_BYTES 32

void human_size(char ret_text[HUMAN_BYTES], uint64_t bytes);       /* "1.2 GiB" */
void human_count(char ret_text[HUMAN_BYTES], uint64_t count);      /* "9999", "12.3 M" */
void human_rate(char ret_text[HUMAN_BYTES], double per_s);         /* "0.5", "812", "12.3 k" */
void human_latency(char ret_text[HUMAN_BYTES], uint64_t time_us);  /* "320 us", "1.3 ms" */
void human_duration(char ret_text[HUMAN_BYTES], uint64_t time_us); /* "3d 4h", "12 ms" */

/* By what it counts: "bytes", "microseconds", anything else. */
void human_quantity(char ret_text[HUMAN_BYTES], uint64_t value, const char *unit);

/* A part of 1: "93.1 %". */
void human_share(char ret_text[HUMAN_BYTES], double share);

/* "90s", "15min", "12h", "30d", "2w"; a number alone is seconds. False: none of these. */
bool human_parse_duration(uint64_t *ret_s, const char *text);

/* "2027-01-31", "2027-01-31T12:00:00Z" (UTC; with up to six digits of a second), as Unix time in
 * microseconds. False: none of these. */
bool human_parse_time(uint64_t *ret_us, const char *text);

/* RFC 3339 in UTC: "2027-01-31T12:00:00Z"; with microseconds if there are any. */
void human_time(char ret_text[HUMAN_BYTES], uint64_t time_us);
