/* SPDX-License-Identifier: Apache-2.0 */
#include "load/reply.h"

#include "unit.h"
#include "workload_rig.h"

#define KEY 12345

/* Checks a reply given in two pieces, each in memory of its own length, so that the sanitizer sees
 * a read beyond it. */
static enum reply_verdict check_split(struct reply *reply, const struct request *request,
                                      const uint8_t *bytes, size_t length, size_t split)
{
	enum reply_verdict verdict = REPLY_MORE;
	size_t starts[] = {0, split, length};

	reply_begin(reply);
	for (int i = 0; i < 2 && verdict == REPLY_MORE; i++) {
		size_t piece_bytes = starts[i + 1] - starts[i];
		uint8_t *copy = malloc(piece_bytes + 1);
		struct slice input = {copy + 1, piece_bytes};

		memcpy(copy + 1, bytes + starts[i], piece_bytes);
		verdict = reply_check(reply, request, &input);
		free(copy);
	}
	return verdict;
}

enum outcome {
	OUTCOME_RIGHT,
	OUTCOME_WRONG, /* a hit with a wrong value */
	OUTCOME_BROKEN,
	OUTCOME_MORE,
	OUTCOME_OTHER,
};

static enum outcome outcome_at(enum protocol protocol, const uint8_t *bytes, size_t length,
                               size_t split)
{
	struct request request = request_get(protocol, KEY, 0);
	struct reply reply;

	switch (check_split(&reply, &request, bytes, length, split)) {
	case REPLY_HIT: return reply.is_wrong ? OUTCOME_WRONG : OUTCOME_RIGHT;
	case REPLY_REFLECTED:
	case REPLY_BROKEN: return OUTCOME_BROKEN;
	case REPLY_MORE: return OUTCOME_MORE;
	default: return OUTCOME_OTHER;
	}
}

/* Whether the reply has this outcome at every split. */
static bool is_outcome(enum protocol protocol, const uint8_t *bytes, size_t length,
                       enum outcome outcome)
{
	for (size_t split = 0; split <= length; split++) {
		if (outcome_at(protocol, bytes, length, split) != outcome)
			return false;
	}
	return true;
}

static const uint32_t lengths[] = {0, 1, 2, 7, 8, 23, 24, 25, 31, 32, 33, 100, 1001};
#define LENGTH_COUNT (sizeof(lengths) / sizeof(lengths[0]))

/* Where the value of a whole reply starts. */
static uint8_t *value_in(uint8_t *reply, enum protocol protocol, uint32_t length)
{
	uint8_t line[REPLY_LINE_BYTES_MAX];

	return reply + put_value_line(line, protocol, KEY, length);
}

static void test_value_is_the_same_in_any_pieces(void)
{
	uint8_t whole[300], pieces[300];
	struct value value = value_of(KEY, VERSION, sizeof(whole));
	bool is_same = true;

	value_fill(&value, 0, whole, sizeof(whole));
	for (uint32_t step = 1; step < sizeof(whole); step++) {
		for (uint32_t at = 0; at < sizeof(whole); at += step)
			value_fill(&value, at, pieces + at, min_u32(step, sizeof(whole) - at));
		is_same &= memcmp(whole, pieces, sizeof(whole)) == 0;
		is_same &= value_wrong_bytes(&value, step, whole + step,
		                             (uint32_t)sizeof(whole) - step) == 0;
	}
	CU_ASSERT_TRUE(is_same);
}

static void test_right_reply_is_right_at_any_split(void)
{
	uint8_t bytes[REPLY_BYTES];

	for (enum protocol protocol = 0; protocol < PROTOCOL_COUNT; protocol++) {
		for (size_t i = 0; i < LENGTH_COUNT; i++) {
			size_t length = put_reply_of(bytes, protocol, KEY, VERSION, lengths[i]);

			CU_ASSERT_TRUE(is_outcome(protocol, bytes, length, OUTCOME_RIGHT));
		}
	}
}

static void test_any_version_is_right(void)
{
	uint8_t bytes[REPLY_BYTES];

	for (enum protocol protocol = 0; protocol < PROTOCOL_COUNT; protocol++) {
		for (uint32_t version = 1; version != 0; version <<= 1) {
			size_t length = put_reply_of(bytes, protocol, KEY, version, 64);

			CU_ASSERT_EQUAL(outcome_at(protocol, bytes, length, 10), OUTCOME_RIGHT);
		}
	}
}

static bool is_flipped_value_byte_caught(enum protocol protocol, uint32_t length)
{
	uint8_t bytes[REPLY_BYTES];
	uint8_t *value = value_in(bytes, protocol, length);
	size_t reply_bytes = put_reply_of(bytes, protocol, KEY, VERSION, length);
	bool is_caught = true;

	for (uint32_t i = 0; i < length; i++) {
		value[i] ^= (uint8_t)(1 << i % 8);
		is_caught &= is_outcome(protocol, bytes, reply_bytes, OUTCOME_WRONG);
		value[i] ^= (uint8_t)(1 << i % 8);
	}
	return is_caught;
}

static void test_flipped_value_byte_is_caught_at_any_split(void)
{
	for (uint32_t length = 1; length <= 70; length++) {
		CU_ASSERT_TRUE(is_flipped_value_byte_caught(PROTOCOL_MEMCACHED, length));
		CU_ASSERT_TRUE(is_flipped_value_byte_caught(PROTOCOL_REDIS, length));
	}
}

static void test_wrong_bytes_are_counted(void)
{
	struct request request = request_get(PROTOCOL_MEMCACHED, KEY, 0);
	uint8_t bytes[REPLY_BYTES];
	size_t length = put_reply(bytes, KEY, VERSION, 1000);
	struct reply reply;

	bytes[length - 8] ^= 1;
	bytes[length - 100] ^= 0x80;
	bytes[length - 500] ^= 0xff;
	for (size_t split = 0; split <= length; split++) {
		check_split(&reply, &request, bytes, length, split);
		if (reply.wrong_bytes != 3)
			break;
	}
	CU_ASSERT_EQUAL(reply.wrong_bytes, 3);
}

static bool is_any_flipped_bit_caught(enum protocol protocol, uint32_t value_bytes)
{
	uint8_t bytes[REPLY_BYTES];
	size_t length = put_reply_of(bytes, protocol, KEY, VERSION, value_bytes);
	bool is_caught = true;

	for (size_t bit = 0; bit < 8 * length; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		is_caught &= outcome_at(protocol, bytes, length, bit % length) != OUTCOME_RIGHT;
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	return is_caught;
}

static void test_any_flipped_bit_is_caught(void)
{
	for (size_t i = 0; i < LENGTH_COUNT; i++) {
		CU_ASSERT_TRUE(is_any_flipped_bit_caught(PROTOCOL_MEMCACHED, lengths[i]));
		CU_ASSERT_TRUE(is_any_flipped_bit_caught(PROTOCOL_REDIS, lengths[i]));
	}
}

static void test_wrong_key_is_caught_at_any_split(void)
{
	uint8_t bytes[REPLY_BYTES];
	bool is_caught = true;

	for (size_t i = 0; i < LENGTH_COUNT; i++) {
		/* The other key's whole reply, then its value under our key's line. */
		size_t length = put_reply(bytes, KEY + 1, VERSION, lengths[i]);
		struct value other = value_of(KEY + 1, VERSION, lengths[i]);

		is_caught &= is_outcome(PROTOCOL_MEMCACHED, bytes, length, OUTCOME_WRONG);
		if (lengths[i] <= 1)
			continue;
		for (enum protocol protocol = 0; protocol < PROTOCOL_COUNT; protocol++) {
			length = put_reply_of(bytes, protocol, KEY, VERSION, lengths[i]);
			value_fill(&other, 0, value_in(bytes, protocol, lengths[i]), lengths[i]);
			is_caught &= is_outcome(protocol, bytes, length, OUTCOME_WRONG);
		}
	}
	CU_ASSERT_TRUE(is_caught);
}

/* The outcome, at every split, of our key's reply with `content_bytes` of a value of `length`,
 * announced as `said_bytes`. */
static bool is_cut_outcome(enum protocol protocol, uint32_t length, uint32_t content_bytes,
                           uint32_t said_bytes, enum outcome outcome)
{
	struct value value = value_of(KEY, VERSION, length);
	uint8_t bytes[REPLY_BYTES];
	size_t used = put_value_line(bytes, protocol, KEY, said_bytes);

	memset(bytes + used, 'x', content_bytes);
	value_fill(&value, 0, bytes + used, min_u32(length, content_bytes));
	used += content_bytes;
	used += put_after_value(bytes + used, protocol);
	return is_outcome(protocol, bytes, used, outcome);
}

static void test_short_and_long_values_are_caught_at_any_split(void)
{
	for (enum protocol protocol = 0; protocol < PROTOCOL_COUNT; protocol++) {
		for (size_t i = 0; i < LENGTH_COUNT; i++) {
			uint32_t n = lengths[i];

			/* Not as long as said: the end comes early, or late. */
			CU_ASSERT_TRUE(is_cut_outcome(protocol, n, n + 1, n, OUTCOME_BROKEN));
			if (n > 0)
				CU_ASSERT_TRUE(
				    is_cut_outcome(protocol, n, n - 1, n, OUTCOME_BROKEN));
			/* As long as said, but not as long as stored. */
			if (n > 1)
				CU_ASSERT_TRUE(
				    is_cut_outcome(protocol, n, n + 1, n + 1, OUTCOME_WRONG));
			if (n > 2)
				CU_ASSERT_TRUE(
				    is_cut_outcome(protocol, n, n - 1, n - 1, OUTCOME_WRONG));
		}
	}
}

static void test_torn_value_is_caught(void)
{
	uint8_t bytes[REPLY_BYTES];
	struct value other = value_of(KEY, VERSION + 1, 1000);

	for (enum protocol protocol = 0; protocol < PROTOCOL_COUNT; protocol++) {
		size_t length = put_reply_of(bytes, protocol, KEY, VERSION, 1000);

		value_fill(&other, 500, value_in(bytes, protocol, 1000) + 500, 500);
		CU_ASSERT_EQUAL(outcome_at(protocol, bytes, length, 0), OUTCOME_WRONG);
	}
}

struct line_case {
	enum request_kind kind;
	const char *line;
	enum reply_verdict verdict;
};

static void check_lines(enum protocol protocol, const struct line_case *lines, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct request request = lines[i].kind == REQUEST_GET
		                             ? request_get(protocol, KEY, 0)
		                             : request_set(protocol, KEY, VERSION, 10, 0);
		size_t length = strlen(lines[i].line);

		for (size_t split = 0; split <= length; split++) {
			struct reply reply;

			CU_ASSERT_EQUAL(check_split(&reply, &request,
			                            (const uint8_t *)lines[i].line, length, split),
			                lines[i].verdict);
		}
	}
}

static void test_lines_get_their_verdicts_at_any_split(void)
{
	static const struct line_case lines[] = {
	    {REQUEST_GET, "END\r\n", REPLY_MISS},
	    {REQUEST_SET, "STORED\r\n", REPLY_STORED},
	    {REQUEST_SET, "SERVER_ERROR out of memory storing object\r\n", REPLY_SERVER_ERROR},
	    {REQUEST_GET, "CLIENT_ERROR bad command line format\r\n", REPLY_CLIENT_ERROR},
	    {REQUEST_GET, "ERROR\r\n", REPLY_CLIENT_ERROR},
	    {REQUEST_GET, "STORED\r\n", REPLY_BROKEN},
	    {REQUEST_SET, "END\r\n", REPLY_BROKEN},
	    {REQUEST_SET, "NOT_STORED\r\n", REPLY_BROKEN},
	    {REQUEST_GET, "END\n", REPLY_BROKEN},
	    {REQUEST_GET, "\n", REPLY_BROKEN},
	    {REQUEST_GET, "VALUE load:000000000012345 0 1048577\r\n", REPLY_BROKEN},
	    {REQUEST_GET, "VALUE load:000000000012345 0 -1\r\n", REPLY_BROKEN},
	    {REQUEST_GET, "VALUE load:000000000012345 0 5 9\r\n", REPLY_BROKEN},
	    {REQUEST_GET, "VALUE load:000000000012345 4294967296 5\r\n", REPLY_BROKEN},
	    {REQUEST_GET, "VALUE short 0 5\r\n", REPLY_BROKEN},
	    {REQUEST_GET, "VALUE \r\n", REPLY_BROKEN},
	    {REQUEST_GET, "$-1\r\n", REPLY_BROKEN},
	    {REQUEST_GET, "$0\r\n\r\n", REPLY_BROKEN},
	    {REQUEST_SET, "+OK\r\n", REPLY_BROKEN},
	    {REQUEST_SET, "-ERR unknown command\r\n", REPLY_BROKEN},
	};

	check_lines(PROTOCOL_MEMCACHED, lines, sizeof(lines) / sizeof(lines[0]));
}

static void test_redis_lines_get_their_verdicts_at_any_split(void)
{
	static const struct line_case lines[] = {
	    {REQUEST_GET, "$-1\r\n", REPLY_MISS},
	    {REQUEST_GET, "$0\r\n\r\n", REPLY_HIT},
	    {REQUEST_GET, "$1048576\r\n", REPLY_MORE},
	    {REQUEST_SET, "+OK\r\n", REPLY_STORED},
	    {REQUEST_SET, "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
	     REPLY_SERVER_ERROR},
	    {REQUEST_GET, "-BUSY Redis is busy running a script.\r\n", REPLY_SERVER_ERROR},
	    {REQUEST_GET, "-LOADING Redis is loading the dataset in memory\r\n",
	     REPLY_SERVER_ERROR},
	    {REQUEST_SET,
	     "-MISCONF Redis is configured to save RDB snapshots, but it's currently unable to"
	     " persist to disk. Commands that may modify the data set are disabled, because "
	     "this instance is configured to report errors during writes if RDB snapshotting "
	     "fails (stop-writes-on-bgsave-error option). Please check the Redis logs for "
	     "details about the RDB error.\r\n",
	     REPLY_SERVER_ERROR},
	    {REQUEST_GET, "-ERR unknown command 'VALUE'\r\n", REPLY_CLIENT_ERROR},
	    {REQUEST_GET, "-NOAUTH Authentication required.\r\n", REPLY_CLIENT_ERROR},
	    {REQUEST_GET, "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
	     REPLY_CLIENT_ERROR},
	    {REQUEST_GET, "-ERR\n", REPLY_BROKEN},
	    {REQUEST_GET, "+OK\r\n", REPLY_BROKEN},
	    {REQUEST_SET, "$-1\r\n", REPLY_BROKEN},
	    {REQUEST_SET, "$2\r\nOK\r\n", REPLY_BROKEN},
	    {REQUEST_SET, "+QUEUED\r\n", REPLY_BROKEN},
	    {REQUEST_SET, "+OK\n", REPLY_BROKEN},
	    {REQUEST_SET, "+OK \r\n", REPLY_BROKEN},
	    {REQUEST_GET, "$-1\n", REPLY_BROKEN},
	    {REQUEST_GET, "$-2\r\n", REPLY_BROKEN},
	    {REQUEST_GET, "$-0\r\n", REPLY_BROKEN},
	    {REQUEST_GET, "$+5\r\n", REPLY_BROKEN},
	    {REQUEST_GET, "$05\r\n", REPLY_BROKEN},
	    {REQUEST_GET, "$5 \r\n", REPLY_BROKEN},
	    {REQUEST_GET, "$5\n", REPLY_BROKEN},
	    {REQUEST_GET, "$\r\n", REPLY_BROKEN},
	    {REQUEST_GET, "$1048577\r\n", REPLY_BROKEN},
	    {REQUEST_GET, "$4294967296\r\n", REPLY_BROKEN},
	    {REQUEST_GET, "$18446744073709551616\r\n", REPLY_BROKEN},
	    {REQUEST_GET, ":5\r\n", REPLY_BROKEN},
	    {REQUEST_GET, "*1\r\n", REPLY_BROKEN},
	    {REQUEST_GET, "_\r\n", REPLY_BROKEN},
	    {REQUEST_GET, "END\r\n", REPLY_BROKEN},
	    {REQUEST_GET, "SERVER_ERROR out of memory\r\n", REPLY_BROKEN},
	    {REQUEST_GET, "\r\n", REPLY_BROKEN},
	};

	check_lines(PROTOCOL_REDIS, lines, sizeof(lines) / sizeof(lines[0]));
}

static void test_endless_line_is_broken(void)
{
	uint8_t bytes[2 * REPLY_LINE_BYTES_MAX];

	memset(bytes, 'a', sizeof(bytes));
	CU_ASSERT_TRUE(is_outcome(PROTOCOL_MEMCACHED, bytes, sizeof(bytes), OUTCOME_BROKEN));
	bytes[0] = '-';
	CU_ASSERT_TRUE(is_outcome(PROTOCOL_REDIS, bytes, sizeof(bytes), OUTCOME_BROKEN));
}

static const struct unit_case cases[] = {
    {"a value is the same in any pieces", test_value_is_the_same_in_any_pieces},
    {"a right reply is right at any split", test_right_reply_is_right_at_any_split},
    {"any version is right", test_any_version_is_right},
    {"a flipped value byte is caught at any split", test_flipped_value_byte_is_caught_at_any_split},
    {"wrong bytes are counted one by one", test_wrong_bytes_are_counted},
    {"any flipped bit of a reply is caught", test_any_flipped_bit_is_caught},
    {"a wrong key is caught at any split", test_wrong_key_is_caught_at_any_split},
    {"short and long values are caught at any split",
     test_short_and_long_values_are_caught_at_any_split},
    {"a value torn between two versions is caught", test_torn_value_is_caught},
    {"lines get their verdicts at any split", test_lines_get_their_verdicts_at_any_split},
    {"Redis's lines get their verdicts at any split",
     test_redis_lines_get_their_verdicts_at_any_split},
    {"an endless line is broken", test_endless_line_is_broken},
};

int main(void)
{
	return UNIT_RUN("load_reply", cases);
}
