/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/text.h"

#include "proto/meta.h"

#include "base/random.h"
#include "proto/number.h"

#include "unit.h"

#include <stdlib.h>

static struct slice text(const char *string)
{
	return (struct slice){(const uint8_t *)string, strlen(string)};
}

static bool says(struct slice slice, const char *string)
{
	return slice_equal(slice, text(string));
}

static void test_numbers_are_parsed_whole(void)
{
	static const char *const bad[] = {
	    "",    "+",   "-",   "1x",  "x1", " 1",  "1 ",
	    "0x1", "1.0", "--1", "+-1", "-1", "1\t", "1234567890123456789x"};
	uint64_t number = 77;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_FALSE(number_parse_u64(text(bad[i]), UINT64_MAX, &number));
	CU_ASSERT_EQUAL(number, 77);
	CU_ASSERT_TRUE(number_parse_u64(text("+0042"), 42, &number));
	CU_ASSERT_EQUAL(number, 42);
}

static void test_numbers_over_their_range_are_refused(void)
{
	uint64_t number = 77;
	int64_t signed_number = 77;

	CU_ASSERT_FALSE(number_parse_u64(text("43"), 42, &number));
	CU_ASSERT_FALSE(number_parse_u64(text("18446744073709551616"), UINT64_MAX, &number));
	CU_ASSERT_FALSE(number_parse_u64(text("28446744073709551615"), UINT64_MAX, &number));
	CU_ASSERT_FALSE(number_parse_u64(text("184467440737095516150"), UINT64_MAX, &number));
	CU_ASSERT_EQUAL(number, 77);
	CU_ASSERT_TRUE(number_parse_u64(text("18446744073709551615"), UINT64_MAX, &number));
	CU_ASSERT_EQUAL(number, UINT64_MAX);
	CU_ASSERT_FALSE(number_parse_i64(text("-9223372036854775809"), &signed_number));
	CU_ASSERT_EQUAL(signed_number, 77);
	CU_ASSERT_TRUE(number_parse_i64(text("-9223372036854775808"), &signed_number));
	CU_ASSERT_EQUAL(signed_number, INT64_MIN);
	CU_ASSERT_TRUE(number_parse_i64(text("+9223372036854775807"), &signed_number));
	CU_ASSERT_EQUAL(signed_number, INT64_MAX);
}

static void test_written_numbers_read_back(void)
{
	uint8_t digits[NUMBER_TEXT_MAX];
	uint64_t number = UINT64_MAX;

	for (;;) {
		struct slice written = {digits, (size_t)(number_write(digits, number) - digits)};
		uint64_t read = 77;

		CU_ASSERT_TRUE(number_parse_u64(written, UINT64_MAX, &read));
		CU_ASSERT_EQUAL(read, number);
		if (number == 0)
			break;
		number /= 3;
	}
}

static void test_a_line_ends_at_its_first_feed(void)
{
	uint32_t bytes = 77;

	CU_ASSERT_EQUAL(line_find(text(""), text("get a\r\nget b\r\n"), &bytes), PARSE_DONE);
	CU_ASSERT_EQUAL(bytes, 7);
	CU_ASSERT_EQUAL(line_find(text("get"), text(" a\n"), &bytes), PARSE_DONE);
	CU_ASSERT_EQUAL(bytes, 3);
	CU_ASSERT_EQUAL(line_find(text("get a\r"), text("\n\n"), &bytes), PARSE_DONE);
	CU_ASSERT_EQUAL(bytes, 1);
	bytes = 77;
	CU_ASSERT_EQUAL(line_find(text("get"), text(" a\r"), &bytes), PARSE_MORE);
	CU_ASSERT_EQUAL(bytes, 77);
}

/* What line_find() says of `length` bytes without a line feed, of which `held_length` came
 * before. */
static enum parse_verdict verdict_of_run(const char *start, size_t held_length, size_t length)
{
	uint8_t *bytes = malloc(length + 1);
	struct slice held = {bytes, held_length};
	struct slice fresh = {bytes + held_length, length - held_length};
	enum parse_verdict verdict;
	uint32_t ignored;

	memset(bytes, 'x', length);
	memcpy(bytes, start, strlen(start));
	verdict = line_find(held, fresh, &ignored);
	free(bytes);
	return verdict;
}

static void test_lines_have_a_cap(void)
{
	for (size_t held = 0; held <= 2048; held++) {
		CU_ASSERT_EQUAL(verdict_of_run("set ", held, 2049), PARSE_CLOSE);
		CU_ASSERT_EQUAL(verdict_of_run("gat ", held, 3000), PARSE_CLOSE);
		CU_ASSERT_EQUAL(verdict_of_run("getsy", held, 3000), PARSE_CLOSE);
		if (held < 2048)
			CU_ASSERT_EQUAL(verdict_of_run("set ", held, 2048), PARSE_MORE);
	}
}

static void test_get_lines_have_a_cap_of_their_own(void)
{
	for (size_t held = 0; held <= 65535; held = held * 2 + 1) {
		CU_ASSERT_EQUAL(verdict_of_run("get ", held, 65536), PARSE_MORE);
		CU_ASSERT_EQUAL(verdict_of_run("  gets ", held, 65536), PARSE_MORE);
		CU_ASSERT_EQUAL(verdict_of_run("get ", held, 65537), PARSE_CLOSE);
		CU_ASSERT_EQUAL(verdict_of_run("get ", held, 100000), PARSE_CLOSE);
	}
}

static void test_the_line_feed_may_come_after_a_full_cap(void)
{
	uint8_t *bytes = malloc(LINE_GET_BYTES_MAX + 1);
	struct slice all = {bytes, LINE_GET_BYTES_MAX + 1};
	uint32_t found = 0;

	memset(bytes, 'x', all.length);
	memcpy(bytes, "get ", 4);
	bytes[all.length - 1] = '\n';
	CU_ASSERT_EQUAL(line_find(text(""), all, &found), PARSE_DONE);
	CU_ASSERT_EQUAL(found, all.length);
	all = (struct slice){bytes + all.length - 2049, 2049};
	CU_ASSERT_EQUAL(line_find(text(""), all, &found), PARSE_DONE);
	CU_ASSERT_EQUAL(found, 2049);
	free(bytes);
}

static void test_a_storage_line_is_read(void)
{
	struct text_request parsed;
	struct refusal refusal;

	CU_ASSERT_EQUAL(
	    text_parse_line(text("cas key 4294967295 -3 1048576 99 noreply\r"), &parsed, &refusal),
	    PARSE_DONE);
	CU_ASSERT_EQUAL(parsed.request.op, REQUEST_CAS);
	CU_ASSERT_TRUE(says(parsed.request.key, "key"));
	CU_ASSERT_EQUAL(parsed.request.client_flags, UINT32_MAX);
	CU_ASSERT_EQUAL(parsed.request.exptime, -3);
	CU_ASSERT_EQUAL(parsed.request.value_bytes, 1048576);
	CU_ASSERT_EQUAL(parsed.request.cas_unique, 99);
	CU_ASSERT_TRUE(parsed.request.noreply);
}

static void test_keys_are_slices_of_the_line(void)
{
	struct slice line = text("gets  one two   three ");
	struct text_request parsed;
	struct refusal refusal;

	CU_ASSERT_EQUAL(text_parse_line(line, &parsed, &refusal), PARSE_DONE);
	CU_ASSERT_TRUE(parsed.request.with_cas);
	CU_ASSERT_PTR_EQUAL(parsed.request.key.data, line.data + 6);
	CU_ASSERT_TRUE(says(parsed.request.key, "one"));
	CU_ASSERT_TRUE(says(line_next_word(&parsed.request.more_keys), "two"));
	CU_ASSERT_TRUE(says(line_next_word(&parsed.request.more_keys), "three"));
	CU_ASSERT_EQUAL(line_next_word(&parsed.request.more_keys).length, 0);
}

static void test_a_bad_line_with_a_good_length_is_swallowed(void)
{
	static const char *const lines[] = {
	    "set k -1 0 10", "set k 0 x 10",   "set k 0 0 10 a b",
	    "cas k 0 0 10",  "cas k 0 0 10 x", "append k 99999999999 0 10 noreply"};
	struct text_request parsed;
	struct refusal refusal;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		CU_ASSERT_EQUAL(text_parse_line(text(lines[i]), &parsed, &refusal), PARSE_BAD);
		CU_ASSERT_EQUAL(refusal.swallow_bytes, 12);
		CU_ASSERT_EQUAL(refusal.noreply, i == 5);
	}
	CU_ASSERT_EQUAL(text_parse_line(text("set k 0 0 2147483646"), &parsed, &refusal),
	                PARSE_BAD);
	CU_ASSERT_EQUAL(refusal.swallow_bytes, 0);
}

/* At every place in a key, so that no way of looking at several bytes at once misses one. */
static void test_control_bytes_are_seen_wherever_they_are(void)
{
	struct text_request parsed;
	struct refusal refusal;
	uint8_t line[40];

	for (size_t at = 4; at < sizeof(line); at++) {
		for (uint32_t byte = 0; byte < 256; byte++) {
			bool control = byte < 0x20 || byte == 0x7f;
			bool last_cr = byte == '\r' && at == sizeof(line) - 1;

			memset(line, at % 2 == 0 ? 'k' : 0xfe, sizeof(line));
			memcpy(line, "get ", 4);
			line[at] = (uint8_t)byte;
			if (byte == ' ')
				continue;
			CU_ASSERT_EQUAL(
			    text_parse_line((struct slice){line, sizeof(line)}, &parsed, &refusal),
			    control && !last_cr ? PARSE_BAD : PARSE_DONE);
		}
	}
}

static void test_heads_are_written_as_memcached_does(void)
{
	struct reply reply = {
	    .client_flags = UINT32_MAX, .value_bytes = UINT64_MAX, .cas_unique = UINT64_MAX};
	uint8_t head[TEXT_VALUE_HEAD_BYTES_MAX];
	uint8_t key[KEY_BYTES_MAX];
	uint8_t *end;

	memset(key, 'k', sizeof(key));
	end = text_write_value_head(head, (struct slice){key, sizeof(key)}, &reply, true);
	CU_ASSERT_EQUAL(end - head, TEXT_VALUE_HEAD_BYTES_MAX);
	reply = (struct reply){.value_bytes = 10};
	end = text_write_value_head(head, text("a"), &reply, false);
	CU_ASSERT_TRUE(says((struct slice){head, (size_t)(end - head)}, "VALUE a 0 10\r\n"));
}

/* An mg with N that found no memory for the item is a miss, and has no flags to tell of. */
static void test_a_miss_tells_nothing_of_what_could_not_be_made(void)
{
	static const char line[] = "mg a N10 t";
	struct reply reply = {.status = REPLY_MISS};
	uint8_t to[META_REPLY_BYTES_MAX];
	struct text_request request;
	struct refusal refusal;
	uint8_t *end;

	CU_ASSERT_EQUAL(text_parse_line(text(line), &request, &refusal), PARSE_DONE);
	end = meta_write_reply(to, &request.echo, request.request.key, false, &reply);
	CU_ASSERT_TRUE(says((struct slice){to, (size_t)(end - to)}, "EN\r\n"));
}

/* Nothing is half written when there is no block left. */
static void test_without_memory_nothing_is_appended(void)
{
	struct reply reply = {.value_bytes = 3};
	struct block_pool pool = {0};
	struct chain chain;

	chain_create(&chain, &pool);
	CU_ASSERT_FALSE(text_append_value_head(&chain, text("a"), &reply, false));
	CU_ASSERT_FALSE(text_append_number(&chain, 42));
	CU_ASSERT_EQUAL(chain.length, 0);
}

/* Of random lines, with the bytes behind them such that whoever reads too far sees more words. */
static void test_lines_are_split_at_their_spaces(void)
{
	static const char letters[] = "a\tb\x7f\xff  noreply";
	struct random random = random_seeded(7);
	char line[160];

	for (int i = 0; i < 20000; i++) {
		size_t length = random_below(&random, 80), offset = random_below(&random, 16);
		struct slice whole = {(uint8_t *)line + offset, length}, rest = whole, last = {0};
		struct words words;
		uint32_t count = 0;

		for (size_t j = 0; j < sizeof(line); j++)
			line[j] = letters[random_below(&random, random_below(&random, 2) == 0
			                                            ? sizeof(letters) - 8
			                                            : sizeof(letters) - 1)];
		if (length > 8 && random_below(&random, 2) == 0)
			memcpy(line + offset + length - 8, " noreply", 8);
		line_split(whole, &words);
		for (struct slice word = line_next_word(&rest); word.length > 0;
		     word = line_next_word(&rest)) {
			if (count < LINE_WORD_COUNT_MAX) {
				CU_ASSERT_PTR_EQUAL(words.word[count].data, word.data);
				CU_ASSERT_EQUAL(words.word[count].length, word.length);
				count++;
			}
			last = word;
		}
		CU_ASSERT_EQUAL(words.count, count);
		CU_ASSERT_EQUAL(words.noreply, says(last, "noreply"));
	}
}

static const struct unit_case cases[] = {
    {"lines are split at their spaces", test_lines_are_split_at_their_spaces},
    {"numbers are parsed whole", test_numbers_are_parsed_whole},
    {"numbers over their range are refused", test_numbers_over_their_range_are_refused},
    {"written numbers read back", test_written_numbers_read_back},
    {"a line ends at its first line feed", test_a_line_ends_at_its_first_feed},
    {"lines have a cap, however they come", test_lines_have_a_cap},
    {"get lines have a cap of their own", test_get_lines_have_a_cap_of_their_own},
    {"the line feed may come after a full cap", test_the_line_feed_may_come_after_a_full_cap},
    {"a storage line is read", test_a_storage_line_is_read},
    {"keys are slices of the line", test_keys_are_slices_of_the_line},
    {"a bad line with a good length is swallowed", test_a_bad_line_with_a_good_length_is_swallowed},
    {"control bytes are seen wherever they are", test_control_bytes_are_seen_wherever_they_are},
    {"value heads are written as memcached does", test_heads_are_written_as_memcached_does},
    {"a miss tells nothing of what could not be made",
     test_a_miss_tells_nothing_of_what_could_not_be_made},
    {"without memory nothing is appended", test_without_memory_nothing_is_appended},
};

int main(void)
{
	return UNIT_RUN("text", cases);
}
