/* SPDX-License-Identifier: Apache-2.0 */
/* A line of `watch`: "ts=1764291600.012345 gid=7 type=item_get key=s%3Aa status=found …". As people
 * read it, and as an object. Plain data; nobody's. */
#pragma once

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

/* How many lines were left out, if that is what it says ("skipped=7"); else 0. */
uint64_t watch_line_skipped(const char *line);

/* What stands above the columns. */
void watch_line_print_heading(FILE *to);

/* The time of day is the user's. What comes from clients is escaped as terminal_bytes() does. */
void watch_line_print(const char *line, FILE *to);

/* {"time": "…Z", "gid": 7, "type": "item_get", "key": "s:a", …}; a key that is no text is
 * "key_escaped", as it came. NULL: no memory. */
json_t *watch_line_json(const char *line);
