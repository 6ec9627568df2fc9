/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/line.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* A get line may begin with this many spaces and still have the cap of its own (as memcached). */
#define LEADING_SPACES_MAX 100

static uint8_t byte_at(struct slice held, struct slice fresh, size_t index)
{
	return index < held.length ? held.data[index] : fresh.data[index - held.length];
}

/* True when a line of more than LINE_BYTES_MAX bytes begins as a get. */
static bool line_is_get(struct slice held, struct slice fresh)
{
	size_t start = 0;

	while (start <= LEADING_SPACES_MAX && byte_at(held, fresh, start) == ' ')
		start++;
	if (start > LEADING_SPACES_MAX)
		return false;
	for (size_t i = 0; i < 3; i++)
		if (byte_at(held, fresh, start + i) != (uint8_t) "get"[i])
			return false;
	if (byte_at(held, fresh, start + 3) == 's')
		start++;
	return byte_at(held, fresh, start + 3) == ' ';
}

enum parse_verdict line_find(struct slice held, struct slice fresh, uint32_t *ret_fresh_bytes)
{
	/* What was held beyond the common cap has been seen to be a get. */
	size_t line_max = held.length > LINE_BYTES_MAX ? LINE_GET_BYTES_MAX : LINE_BYTES_MAX;
	size_t total = held.length + fresh.length;
	size_t searched = min_u64(fresh.length, line_max + 1 - held.length);
	const uint8_t *feed = memchr(fresh.data, '\n', searched);

	if (feed == NULL && total > line_max && line_max == LINE_BYTES_MAX &&
	    line_is_get(held, fresh)) {
		line_max = LINE_GET_BYTES_MAX;
		feed = memchr(fresh.data + searched, '\n',
		              min_u64(fresh.length, line_max + 1 - held.length) - searched);
	}
	if (feed == NULL)
		return total > line_max ? PARSE_CLOSE : PARSE_MORE;
	*ret_fresh_bytes = (uint32_t)(feed - fresh.data) + 1;
	return PARSE_DONE;
}

struct slice line_next_word(struct slice *rest)
{
	const uint8_t *at = rest->data;
	const uint8_t *end;
	struct slice word;

	if (rest->length == 0)
		return *rest;
	end = at + rest->length;
	while (at < end && *at == ' ')
		at++;
	word.data = at;
	at += bytes_before_blank(at, (size_t)(end - at));
	/* control characters are nothing but wrong */
	while (at < end && *at != ' ')
		at++;
	word.length = (size_t)(at - word.data);
	rest->data = at;
	rest->length = (size_t)(end - at);
	return word;
}

static bool is_control(uint8_t byte)
{
	return byte < 0x20 || byte == 0x7f;
}

bool line_has_control(struct slice slice)
{
	const uint64_t ones = 0x0101010101010101u;
	size_t i = 0;

	for (; i + 8 <= slice.length; i += 8) {
		uint64_t v, deletes;

		memcpy(&v, slice.data + i, 8);
		deletes = v ^ (ones * 0x7f);
		/* A high bit comes up for every byte below 0x20, and for every 0x7f. */
		if ((((v - ones * 0x20) & ~v) | ((deletes - ones) & ~deletes)) & (ones * 0x80))
			return true;
	}
	for (; i < slice.length; i++)
		if (is_control(slice.data[i]))
			return true;
	return false;
}

static void add_word(struct words *words, struct slice word)
{
	words->noreply = slice_equal(word, SLICE_LITERAL("noreply"));
	if (words->count < LINE_WORD_COUNT_MAX)
		words->word[words->count++] = word;
}

/* Lines of fewer bytes, which nearly all are, are split by a mask of their spaces. */
#define MASKED_BYTES_MAX 63

/* Bit i says that byte i is a space. */
static uint64_t space_mask(struct slice line)
{
	uint64_t mask = 0;
	size_t i = 0;

#ifdef __SSE2__
	const __m128i spaces = _mm_set1_epi8(' ');

	while (line.length >= 16 && i < line.length) {
		/* the last ones with some of those before them */
		size_t at = min_u64(i, line.length - 16);
		__m128i bytes = _mm_loadu_si128((const __m128i *)(line.data + at));

		mask |= (uint64_t)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, spaces)) << at;
		i = at + 16;
	}
#endif
	for (; i < line.length; i++)
		mask |= (uint64_t)(line.data[i] == ' ') << i;
	return mask;
}

static void split_by_mask(struct slice line, struct words *words)
{
	/* a bit for each byte of a word, and none behind the line */
	uint64_t left = ~space_mask(line) & (((uint64_t)1 << line.length) - 1);

	while (left != 0) {
		uint32_t start = (uint32_t)__builtin_ctzll(left);
		uint32_t length = (uint32_t)__builtin_ctzll(~(left >> start));

		add_word(words, (struct slice){line.data + start, length});
		left &= left + ((uint64_t)1 << start); /* the carry runs to the word's end */
	}
}

void line_split(struct slice rest, struct words *words)
{
	struct slice word;

	words->count = 0;
	words->noreply = false;
	if (rest.length <= MASKED_BYTES_MAX) {
		split_by_mask(rest, words);
		return;
	}
	for (word = line_next_word(&rest); word.length > 0; word = line_next_word(&rest))
		add_word(words, word);
}
