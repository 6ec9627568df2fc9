/* SPDX-License-Identifier: Apache-2.0 */
/* What binary.h writes; tests/unit/binary.c is about what it reads. */
#include "proto/binary.h"

#include "unit.h"

#define OPAQUE "\xfe\x01\x02\xef"

#define CAS_UNIQUE 0xfe02030405060708u
#define CAS_BYTES  "\xfe\2\3\4\5\6\7\10"
#define NO_CAS     "\0\0\0\0\0\0\0\0"

/* All opcodes that a shard answers. */
static const uint8_t loud_opcodes[] = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06,
                                       0x08, 0x0c, 0x0e, 0x0f, 0x1c, 0x1d, 0x23};
static const uint8_t quiet_opcodes[] = {0x09, 0x0d, 0x11, 0x12, 0x13, 0x14, 0x15,
                                        0x16, 0x18, 0x19, 0x1a, 0x1e, 0x24};

/* What was written, to memory that is not zero before. */
struct written {
	uint8_t bytes[BINARY_REPLY_BYTES_MAX];
	size_t length;
};

static struct binary_echo echo_of(uint8_t opcode)
{
	struct binary_echo echo = {.opcode = opcode};

	memcpy(&echo.opaque, OPAQUE, 4);
	return echo;
}

static struct written write_reply(uint8_t opcode, struct slice key, const struct reply *reply)
{
	struct binary_echo echo = echo_of(opcode);
	struct written written;

	memset(written.bytes, 0xa5, sizeof(written.bytes));
	written.length =
	    (size_t)(binary_write_reply(written.bytes, &echo, key, reply) - written.bytes);
	return written;
}

/* With a key, as every request has that an item is looked up for. */
#define WRITE(opcode, ...) write_reply(opcode, SLICE_LITERAL("key"), &(struct reply){__VA_ARGS__})

static struct written write_refusal(uint8_t opcode, enum refusal_reason reason)
{
	struct binary_echo echo = echo_of(opcode);
	struct written written;

	memset(written.bytes, 0xa5, sizeof(written.bytes));
	written.length =
	    (size_t)(binary_write_refusal(written.bytes, &echo, reason) - written.bytes);
	return written;
}

static bool equals(const struct written *written, const char *bytes, size_t length)
{
	return written->length == length && memcmp(written->bytes, bytes, length) == 0;
}

#define SAYS(written, literal) equals(&(written), literal, sizeof(literal) - 1)

/* True when it is an error as memcached writes it: status and text, and nothing else. */
static bool is_error(const struct written *written, uint8_t opcode, uint8_t status,
                     const char *text)
{
	uint8_t header[] = "\x81?\0\0\0\0\0?\0\0\0?" OPAQUE NO_CAS;

	header[1] = opcode;
	header[7] = status;
	header[11] = (uint8_t)strlen(text);
	return written->length == 24 + strlen(text) && memcmp(written->bytes, header, 24) == 0 &&
	       memcmp(written->bytes + 24, text, strlen(text)) == 0;
}

static bool is_not_found(const struct written *written, uint8_t opcode)
{
	return is_error(written, opcode, 0x01, "Not found");
}

static void test_a_hit_carries_flags_and_cas_unique(void)
{
	struct written written = WRITE(0x00, .status = REPLY_HIT, .client_flags = 0xfe020304,
	                               .value_bytes = 0x010203, .cas_unique = CAS_UNIQUE);

	CU_ASSERT_TRUE(SAYS(written, "\x81\x00\0\0\4\0\0\0\0\1\2\7" OPAQUE CAS_BYTES "\xfe\2\3\4"));
}

static void test_a_hit_carries_the_key_where_it_is_asked_for(void)
{
	static const uint8_t opcodes[] = {0x0c, 0x0d, 0x23, 0x24};

	for (size_t i = 0; i < sizeof(opcodes); i++) {
		struct written written = WRITE(opcodes[i], .status = REPLY_HIT, .client_flags = 9,
		                               .value_bytes = 10, .cas_unique = CAS_UNIQUE);

		CU_ASSERT_EQUAL(written.bytes[1], opcodes[i]);
		written.bytes[1] = '?';
		CU_ASSERT_TRUE(
		    SAYS(written, "\x81?\0\3\4\0\0\0\0\0\0\x11" OPAQUE CAS_BYTES "\0\0\0\x09key"));
	}
}

static void test_a_hit_is_told_to_quiet_gets_too(void)
{
	static const uint8_t opcodes[] = {0x00, 0x09, 0x1d, 0x1e};

	for (size_t i = 0; i < sizeof(opcodes); i++) {
		struct written written = WRITE(opcodes[i], .status = REPLY_HIT);

		CU_ASSERT_EQUAL(written.bytes[1], opcodes[i]);
		written.bytes[1] = '?';
		CU_ASSERT_TRUE(SAYS(written, "\x81?\0\0\4\0\0\0\0\0\0\4" OPAQUE NO_CAS "\0\0\0\0"));
	}
}

static void test_the_longest_key_fits_a_reply(void)
{
	uint8_t key[KEY_BYTES_MAX];
	struct written written;

	memset(key, 'k', sizeof(key));
	written = write_reply(
	    0x0c, (struct slice){key, sizeof(key)},
	    &(struct reply){.status = REPLY_HIT, .value_bytes = BINARY_BODY_BYTES_MAX - 254});
	CU_ASSERT_EQUAL(written.length, 24 + 4 + 250);
	CU_ASSERT_EQUAL(load_be16(written.bytes + 2), 250);
	CU_ASSERT_EQUAL(load_be32(written.bytes + 8), BINARY_BODY_BYTES_MAX);
	CU_ASSERT_EQUAL(memcmp(written.bytes + 28, key, sizeof(key)), 0);
}

static void test_a_miss_has_a_text(void)
{
	struct written get = WRITE(0x00, .status = REPLY_MISS);
	struct written gat = WRITE(0x1d, .status = REPLY_MISS);

	CU_ASSERT_TRUE(is_not_found(&get, 0x00));
	CU_ASSERT_TRUE(is_not_found(&gat, 0x1d));
}

static void test_a_miss_has_the_key_where_it_is_asked_for(void)
{
	struct written getk = WRITE(0x0c, .status = REPLY_MISS, .cas_unique = CAS_UNIQUE);
	struct written gatk = WRITE(0x23, .status = REPLY_MISS);

	CU_ASSERT_TRUE(SAYS(getk, "\x81\x0c\0\3\0\0\0\1\0\0\0\3" OPAQUE NO_CAS "key"));
	CU_ASSERT_TRUE(SAYS(gatk, "\x81\x23\0\3\0\0\0\1\0\0\0\3" OPAQUE NO_CAS "key"));
}

static void test_a_quiet_get_is_told_of_no_miss(void)
{
	static const uint8_t opcodes[] = {0x09, 0x0d, 0x1e, 0x24};

	for (size_t i = 0; i < sizeof(opcodes); i++)
		CU_ASSERT_EQUAL(WRITE(opcodes[i], .status = REPLY_MISS).length, 0);
}

static void test_what_is_stored_has_a_cas_unique(void)
{
	struct written written = WRITE(0x01, .status = REPLY_STORED, .client_flags = 7,
	                               .value_bytes = 100, .cas_unique = CAS_UNIQUE);

	CU_ASSERT_TRUE(SAYS(written, "\x81\x01\0\0\0\0\0\0\0\0\0\0" OPAQUE CAS_BYTES));
}

static void test_what_is_deleted_or_flushed_has_none(void)
{
	struct written deleted = WRITE(0x04, .status = REPLY_DELETED, .cas_unique = CAS_UNIQUE);
	struct written flushed = WRITE(0x08, .status = REPLY_OK, .cas_unique = CAS_UNIQUE);

	CU_ASSERT_TRUE(SAYS(deleted, "\x81\x04\0\0\0\0\0\0\0\0\0\0" OPAQUE NO_CAS));
	CU_ASSERT_TRUE(SAYS(flushed, "\x81\x08\0\0\0\0\0\0\0\0\0\0" OPAQUE NO_CAS));
}

static void test_a_touch_has_flags_and_no_value(void)
{
	struct written written = WRITE(0x1c, .status = REPLY_TOUCHED, .client_flags = 0xfe020304,
	                               .value_bytes = 100, .cas_unique = CAS_UNIQUE);

	CU_ASSERT_TRUE(SAYS(written, "\x81\x1c\0\0\4\0\0\0\0\0\0\4" OPAQUE CAS_BYTES "\xfe\2\3\4"));
}

static void test_a_number_has_eight_bytes(void)
{
	struct written written = WRITE(0x05, .status = REPLY_NUMBER, .number = 0xfd02030405060708,
	                               .cas_unique = CAS_UNIQUE);

	CU_ASSERT_TRUE(
	    SAYS(written, "\x81\x05\0\0\0\0\0\0\0\0\0\x08" OPAQUE CAS_BYTES "\xfd\2\3\4\5\6\7\10"));
}

static void test_quiet_successes_are_silent(void)
{
	static const uint8_t statuses[] = {REPLY_STORED, REPLY_DELETED, REPLY_TOUCHED, REPLY_NUMBER,
	                                   REPLY_OK};

	for (size_t i = 0; i < sizeof(quiet_opcodes); i++)
		for (size_t j = 0; j < sizeof(statuses); j++)
			CU_ASSERT_EQUAL(WRITE(quiet_opcodes[i], .status = statuses[j]).length, 0);
}

/* Whether the client wants words or not, and whatever else is in the reply. */
static void check_error(enum reply_status reply_status, uint8_t status, const char *text)
{
	for (size_t i = 0; i < sizeof(loud_opcodes) + sizeof(quiet_opcodes); i++) {
		uint8_t opcode = i < sizeof(loud_opcodes) ? loud_opcodes[i]
		                                          : quiet_opcodes[i - sizeof(loud_opcodes)];
		struct written written = WRITE(opcode, .status = reply_status, .client_flags = 1,
		                               .value_bytes = 2, .cas_unique = 3, .number = 4);

		CU_ASSERT_TRUE(is_error(&written, opcode, status, text));
	}
}

static void test_errors_are_told_as_memcached_does(void)
{
	check_error(REPLY_NOT_FOUND, 0x01, "Not found");
	check_error(REPLY_EXISTS, 0x02, "Data exists for key.");
	check_error(REPLY_TOO_LARGE, 0x03, "Too large.");
	check_error(REPLY_NOT_NUMERIC, 0x06, "Non-numeric server-side value for incr or decr");
	check_error(REPLY_NO_MEMORY, 0x82, "Out of memory");
}

static void test_the_command_tells_why_nothing_was_stored(void)
{
	static const uint8_t others[] = {0x01, 0x05, 0x06, 0x0e, 0x0f,
	                                 0x11, 0x15, 0x16, 0x19, 0x1a};
	struct written add = WRITE(0x02, .status = REPLY_NOT_STORED);
	struct written quiet_add = WRITE(0x12, .status = REPLY_NOT_STORED);
	struct written replace = WRITE(0x03, .status = REPLY_NOT_STORED);
	struct written quiet_replace = WRITE(0x13, .status = REPLY_NOT_STORED);

	CU_ASSERT_TRUE(is_error(&add, 0x02, 0x02, "Data exists for key."));
	CU_ASSERT_TRUE(is_error(&quiet_add, 0x12, 0x02, "Data exists for key."));
	CU_ASSERT_TRUE(is_not_found(&replace, 0x03));
	CU_ASSERT_TRUE(is_not_found(&quiet_replace, 0x13));
	for (size_t i = 0; i < sizeof(others); i++) {
		struct written written = WRITE(others[i], .status = REPLY_NOT_STORED);

		CU_ASSERT_TRUE(is_error(&written, others[i], 0x05, "Not stored."));
	}
}

static void test_refusals_are_told_whatever_the_opcode(void)
{
	for (uint32_t opcode = 0; opcode < 256; opcode++) {
		struct written format = write_refusal((uint8_t)opcode, REFUSAL_BAD_FORMAT);
		struct written command = write_refusal((uint8_t)opcode, REFUSAL_UNKNOWN_COMMAND);

		CU_ASSERT_TRUE(is_error(&format, (uint8_t)opcode, 0x04, "Invalid arguments"));
		CU_ASSERT_TRUE(is_error(&command, (uint8_t)opcode, 0x81, "Unknown command"));
	}
}

static void test_other_protocols_are_told_nothing(void)
{
	CU_ASSERT_EQUAL(write_refusal(0x00, REFUSAL_BAD_MAGIC).length, 0);
	CU_ASSERT_EQUAL(write_refusal('T', REFUSAL_HTTP).length, 0);
}

static void test_the_opaque_comes_back_as_it_came(void)
{
	static const uint8_t head[] = "\x80\x0a\0\0\0\0\0\0\0\0\0\0" OPAQUE NO_CAS;
	struct binary_request request;
	struct refusal refusal;
	struct written written;

	CU_ASSERT_EQUAL(binary_parse_head((struct slice){head, 24}, &request, &refusal),
	                PARSE_DONE);
	written.length =
	    (size_t)(binary_write_header(written.bytes, &request.echo, 0, 0) - written.bytes);
	CU_ASSERT_TRUE(SAYS(written, "\x81\x0a\0\0\0\0\0\0\0\0\0\0" OPAQUE NO_CAS));
}

static void test_a_header_counts_what_follows(void)
{
	struct binary_echo echo = echo_of(0x10);
	struct written written;

	written.length =
	    (size_t)(binary_write_header(written.bytes, &echo, 0x0102, 0x030405) - written.bytes);
	CU_ASSERT_TRUE(SAYS(written, "\x81\x10\1\2\0\0\0\0\0\3\5\7" OPAQUE NO_CAS));
}

static const struct unit_case cases[] = {
    {"a hit carries flags and cas unique", test_a_hit_carries_flags_and_cas_unique},
    {"a hit carries the key where it is asked for",
     test_a_hit_carries_the_key_where_it_is_asked_for},
    {"a hit is told to quiet gets too", test_a_hit_is_told_to_quiet_gets_too},
    {"the longest key fits a reply", test_the_longest_key_fits_a_reply},
    {"a miss has a text", test_a_miss_has_a_text},
    {"a miss has the key where it is asked for", test_a_miss_has_the_key_where_it_is_asked_for},
    {"a quiet get is told of no miss", test_a_quiet_get_is_told_of_no_miss},
    {"what is stored has a cas unique", test_what_is_stored_has_a_cas_unique},
    {"what is deleted or flushed has no cas unique", test_what_is_deleted_or_flushed_has_none},
    {"a touch has flags and no value", test_a_touch_has_flags_and_no_value},
    {"a number has eight bytes", test_a_number_has_eight_bytes},
    {"quiet successes are silent", test_quiet_successes_are_silent},
    {"errors are told as memcached does", test_errors_are_told_as_memcached_does},
    {"the command tells why nothing was stored", test_the_command_tells_why_nothing_was_stored},
    {"refusals are told whatever the opcode", test_refusals_are_told_whatever_the_opcode},
    {"other protocols are told nothing", test_other_protocols_are_told_nothing},
    {"the opaque comes back as it came", test_the_opaque_comes_back_as_it_came},
    {"a header counts what follows", test_a_header_counts_what_follows},
};

int main(void)
{
	return UNIT_RUN("binary_reply", cases);
}
