/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the text protocol: where one ends, and its words. Finding the end and reading are apart,
 * so that a line which comes in pieces is scanned once. */
#pragma once

#include "proto/parse.h"
#include "proto/request.h"

/* Bytes that may come without a line feed. Over the cap the client is closed. */
#define LINE_BYTES_MAX     2048
#define LINE_GET_BYTES_MAX 65536 /* lines that begin with "get " or "gets " */

/* Looks for the end of the line that is `held` (bytes seen before, known to hold no line feed)
 * followed by `fresh`. PARSE_DONE: *ret_fresh_bytes is how many of `fresh` belong to the line, with
 * its line feed. PARSE_MORE: all of `fresh` belongs to it. PARSE_CLOSE: it is over its cap. */
enum parse_verdict line_find(struct slice held, struct slice fresh, uint32_t *ret_fresh_bytes);

/* Takes the next word off the front of `rest`, words being set apart by spaces. Empty: there is
 * none. Walks request->more_keys and request->argument. */
struct slice line_next_word(struct slice *rest);

/* True when there is a byte below 0x20, or 0x7f. */
bool line_has_control(struct slice text);

/* Writes a string, without its NUL. Returns where it ends. */
static inline uint8_t *line_write(uint8_t *to, const char *text)
{
	size_t length = strlen(text);

	memcpy(to, text, length);
	return to + length;
}

/* What is left of a line, word after word. */
struct line {
	struct slice rest; /* after the command's name */
	bool has_control;  /* somewhere in the line; then keys are looked at one by one */
};

static inline bool line_key_is_good(const struct line *line, struct slice key)
{
	return key.length <= KEY_BYTES_MAX && !(line->has_control && line_has_control(key));
}

/* cas, the longest command but get, has 7 words; what is over is only counted. */
#define LINE_WORD_COUNT_MAX 8

struct words {
	struct slice word[LINE_WORD_COUNT_MAX]; /* the command's name not counted */
	uint32_t count;
	bool noreply; /* the last one is "noreply" */
};

void line_split(struct slice rest, struct words *words);
