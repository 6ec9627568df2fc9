/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/binary.h"

#include "base/random.h"

#include "unit.h"

#include <stdlib.h>

#define OPAQUE "\xfe\x01\x02\xef"

/* What a head is made of. */
struct asked {
	uint8_t opcode;
	uint8_t extras_bytes;
	const char *extras; /* NULL: zeros */
	const char *key;    /* NULL: `key_bytes` times k */
	uint32_t key_bytes;
	uint32_t value_bytes;
	uint64_t cas_unique;
};

struct head {
	uint8_t bytes[BINARY_HEADER_BYTES + UINT8_MAX + UINT16_MAX];
	size_t length;
};

/* What was read. */
struct parsed {
	struct head head; /* that slices point into */
	struct binary_request binary;
	struct request request; /* of `binary` */
	struct refusal refusal;
	enum parse_verdict verdict;
};

/* What opcodes are by the protocol, not by the code. */
struct known {
	uint8_t opcode;
	uint8_t op; /* enum request_op */
	bool quiet;
	uint8_t extras_bytes;
	bool extras_optional;
	char key; /* 1 wanted, 0 forbidden, ? either */
	bool value;
};

static const struct known known_opcodes[] = {
    {0x00, REQUEST_GET, false, 0, false, '1', false},
    {0x01, REQUEST_SET, false, 8, false, '1', true},
    {0x02, REQUEST_ADD, false, 8, false, '1', true},
    {0x03, REQUEST_REPLACE, false, 8, false, '1', true},
    {0x04, REQUEST_DELETE, false, 0, false, '1', false},
    {0x05, REQUEST_INCR, false, 20, false, '1', false},
    {0x06, REQUEST_DECR, false, 20, false, '1', false},
    {0x07, REQUEST_QUIT, false, 0, false, '0', false},
    {0x08, REQUEST_FLUSH_ALL, false, 4, true, '0', false},
    {0x09, REQUEST_GET, true, 0, false, '1', false},
    {0x0a, REQUEST_NOOP, false, 0, false, '0', false},
    {0x0b, REQUEST_VERSION, false, 0, false, '0', false},
    {0x0c, REQUEST_GET, false, 0, false, '1', false},
    {0x0d, REQUEST_GET, true, 0, false, '1', false},
    {0x0e, REQUEST_APPEND, false, 0, false, '1', true},
    {0x0f, REQUEST_PREPEND, false, 0, false, '1', true},
    {0x10, REQUEST_STATS, false, 0, false, '?', false},
    {0x11, REQUEST_SET, true, 8, false, '1', true},
    {0x12, REQUEST_ADD, true, 8, false, '1', true},
    {0x13, REQUEST_REPLACE, true, 8, false, '1', true},
    {0x14, REQUEST_DELETE, true, 0, false, '1', false},
    {0x15, REQUEST_INCR, true, 20, false, '1', false},
    {0x16, REQUEST_DECR, true, 20, false, '1', false},
    {0x17, REQUEST_QUIT, true, 0, false, '0', false},
    {0x18, REQUEST_FLUSH_ALL, true, 4, true, '0', false},
    {0x19, REQUEST_APPEND, true, 0, false, '1', true},
    {0x1a, REQUEST_PREPEND, true, 0, false, '1', true},
    {0x1c, REQUEST_TOUCH, false, 4, false, '1', false},
    {0x1d, REQUEST_GAT, false, 4, false, '1', false},
    {0x1e, REQUEST_GAT, true, 4, false, '1', false},
    {0x20, REQUEST_SASL_LIST, false, 0, false, '0', false},
    {0x21, REQUEST_SASL_AUTH, false, 0, false, '1', true},
    {0x22, REQUEST_SASL_STEP, false, 0, false, '1', true},
    {0x23, REQUEST_GAT, false, 4, false, '1', false},
    {0x24, REQUEST_GAT, true, 4, false, '1', false},
};

#define KNOWN_COUNT (sizeof(known_opcodes) / sizeof(known_opcodes[0]))

static const struct known *find_known(uint32_t opcode)
{
	for (size_t i = 0; i < KNOWN_COUNT; i++)
		if (known_opcodes[i].opcode == opcode)
			return &known_opcodes[i];
	return NULL;
}

static struct slice text(const char *string)
{
	return (struct slice){(const uint8_t *)string, strlen(string)};
}

static void make_header(uint8_t *to, uint32_t opcode, uint32_t extras_bytes, uint32_t key_bytes,
                        uint32_t body_bytes)
{
	memset(to, 0, BINARY_HEADER_BYTES);
	to[0] = BINARY_MAGIC_REQUEST;
	to[1] = (uint8_t)opcode;
	store_be16(to + 2, (uint16_t)key_bytes);
	to[4] = (uint8_t)extras_bytes;
	store_be32(to + 8, body_bytes);
	memcpy(to + 12, OPAQUE, 4);
}

static void make_head(struct head *head, const struct asked *asked)
{
	size_t key_bytes = asked->key == NULL ? asked->key_bytes : strlen(asked->key);
	uint8_t *to = head->bytes;

	make_header(to, asked->opcode, asked->extras_bytes, (uint32_t)key_bytes,
	            asked->extras_bytes + (uint32_t)key_bytes + asked->value_bytes);
	for (int i = 0; i < 8; i++)
		to[16 + i] = (uint8_t)(asked->cas_unique >> (56 - 8 * i));
	to += BINARY_HEADER_BYTES;
	memset(to, 0, asked->extras_bytes);
	if (asked->extras != NULL)
		memcpy(to, asked->extras, asked->extras_bytes);
	to += asked->extras_bytes;
	memset(to, 'k', key_bytes);
	if (asked->key != NULL)
		memcpy(to, asked->key, key_bytes);
	head->length = (size_t)(to + key_bytes - head->bytes);
}

/* The well-formed head of an opcode. */
static struct asked good(const struct known *known)
{
	return (struct asked){.opcode = known->opcode,
	                      .extras_bytes = known->extras_bytes,
	                      .key_bytes = known->key == '0' ? 0 : 3,
	                      .value_bytes = known->value ? 1000 : 0};
}

/* Finds the head in what was asked, and more after it, and reads it. */
static struct parsed *parse_asked(const struct asked *asked)
{
	static struct parsed parsed;
	struct head *head = &parsed.head;
	uint32_t found = 77;

	parsed = (struct parsed){0};
	make_head(head, asked);
	CU_ASSERT_EQUAL(
	    binary_find_head((struct slice){0}, (struct slice){head->bytes, head->length}, &found),
	    PARSE_DONE);
	parsed.verdict =
	    binary_parse_head((struct slice){head->bytes, found}, &parsed.binary, &parsed.refusal);
	parsed.request = parsed.binary.request;
	return &parsed;
}

#define PARSE(code, ...) parse_asked(&(struct asked){.opcode = (code), __VA_ARGS__})

#define EXTRAS(literal) .extras = (literal), .extras_bytes = sizeof(literal) - 1

/* Memory of its own and exact, so that a sanitizer sees a read beyond it. */
static struct slice copy(const uint8_t *bytes, size_t length)
{
	return (struct slice){memcpy(malloc(length), bytes, length), length};
}

/* Takes `head` in pieces: two that end before `first` and `second`, then byte by byte. Returns how
 * long it was found to be; 0: never whole. */
static size_t find_in_pieces(const struct head *head, size_t first, size_t second)
{
	size_t held_bytes = 0, end = first;

	for (;;) {
		struct slice held = copy(head->bytes, held_bytes);
		struct slice fresh = copy(head->bytes + held_bytes, end - held_bytes);
		uint32_t found = 0;
		enum parse_verdict verdict = binary_find_head(held, fresh, &found);

		free((void *)held.data);
		free((void *)fresh.data);
		if (verdict == PARSE_DONE)
			return held_bytes + found;
		if (verdict != PARSE_MORE || end == head->length)
			return 0;
		held_bytes = end;
		end = end < second ? second : end + 1;
	}
}

static uint32_t count_wrong_splits(const struct head *head, size_t wanted)
{
	uint32_t wrong = 0;

	for (size_t first = 0; first <= head->length; first++)
		for (size_t second = first; second <= head->length; second++)
			wrong += find_in_pieces(head, first, second) != wanted;
	return wrong;
}

static void test_heads_end_the_same_however_they_come(void)
{
	static struct head head;

	for (size_t i = 0; i < KNOWN_COUNT; i++) {
		struct asked asked = good(&known_opcodes[i]);

		make_head(&head, &asked);
		CU_ASSERT_EQUAL(count_wrong_splits(&head, head.length), 0);
	}
}

static void test_wrong_heads_end_the_same_however_they_come(void)
{
	static struct head head;
	static const struct asked wrong[] = {
	    {.opcode = 0x1b, .extras_bytes = 8, .key = "key"}, /* no such opcode */
	    {.opcode = 0xff, .key = "key", .value_bytes = 7},
	    {.opcode = 0x00, .extras_bytes = 4, .key = "key"},
	    {.opcode = 0x0a, .key = "key"},
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		make_head(&head, &wrong[i]);
		CU_ASSERT_EQUAL(count_wrong_splits(&head, BINARY_HEADER_BYTES), 0);
	}
	make_head(&head, &(struct asked){.key = "key"});
	head.bytes[0] = BINARY_MAGIC_RESPONSE;
	CU_ASSERT_EQUAL(count_wrong_splits(&head, BINARY_HEADER_BYTES), 0);
}

static void test_a_head_ends_before_its_value(void)
{
	static struct head head;
	struct slice fresh = {head.bytes, sizeof(head.bytes)};
	uint32_t found = 77;

	make_head(&head, &(struct asked){
	                     .opcode = 0x01, .extras_bytes = 8, .key = "key", .value_bytes = 1000});
	CU_ASSERT_EQUAL(binary_find_head((struct slice){0}, fresh, &found), PARSE_DONE);
	CU_ASSERT_EQUAL(found, 24 + 8 + 3);
}

static void test_an_unfinished_head_is_waited_for(void)
{
	static struct head head;
	uint32_t found = 77;

	make_head(&head, &(struct asked){
	                     .opcode = 0x01, .extras_bytes = 8, .key = "key", .value_bytes = 1000});
	for (size_t bytes = 0; bytes < head.length; bytes++)
		CU_ASSERT_EQUAL(
		    binary_find_head((struct slice){0}, (struct slice){head.bytes, bytes}, &found),
		    PARSE_MORE);
	CU_ASSERT_EQUAL(found, 77);
}

static void test_no_head_is_over_its_cap(void)
{
	struct random random = random_seeded(1);
	uint8_t bytes[BINARY_HEAD_BYTES_MAX] = {0};
	uint32_t over = 0;

	for (uint32_t i = 0; i < 1000000; i++) {
		uint64_t v = random_u64(&random);
		uint32_t found = 0;

		make_header(bytes, (uint32_t)v % 64, (v >> 8) % 32, (v >> 16) % 320,
		            (v >> 32) % 512);
		over += binary_find_head((struct slice){0}, (struct slice){bytes, sizeof(bytes)},
		                         &found) != PARSE_DONE;
		over += found > sizeof(bytes);
	}
	CU_ASSERT_EQUAL(over, 0);
	CU_ASSERT_EQUAL(PARSE(0x05, .extras_bytes = 20, .key_bytes = 250)->head.length,
	                BINARY_HEAD_BYTES_MAX);
}

static void test_every_opcode_is_what_memcached_takes_it_for(void)
{
	for (size_t i = 0; i < KNOWN_COUNT; i++) {
		const struct known *known = &known_opcodes[i];
		struct asked asked = good(known);
		struct parsed *parsed = parse_asked(&asked);

		CU_ASSERT_EQUAL(parsed->verdict, PARSE_DONE);
		CU_ASSERT_EQUAL(parsed->request.op, known->op);
		CU_ASSERT_EQUAL(parsed->request.noreply, known->quiet);
		CU_ASSERT_EQUAL(parsed->request.key.length, asked.key_bytes);
		CU_ASSERT_EQUAL(parsed->request.value_bytes, asked.value_bytes);
		CU_ASSERT_EQUAL(parsed->binary.echo.opcode, known->opcode);
	}
}

static void test_keys_are_slices_of_the_head(void)
{
	struct parsed *parsed = PARSE(0x01, .extras_bytes = 8, .key = "a\r\n \t", .value_bytes = 5);

	CU_ASSERT_PTR_EQUAL(parsed->request.key.data, parsed->head.bytes + 24 + 8);
	CU_ASSERT_TRUE(slice_equal(parsed->request.key, text("a\r\n \t")));
}

static void test_a_storage_head_is_read(void)
{
	struct parsed *parsed =
	    PARSE(0x01, EXTRAS("\xfe\2\3\4\xff\xff\xff\xfe"), .key = "key", .value_bytes = 1 << 20);

	CU_ASSERT_EQUAL(parsed->request.op, REQUEST_SET);
	CU_ASSERT_EQUAL(parsed->request.client_flags, 0xfe020304);
	CU_ASSERT_EQUAL(parsed->request.exptime, 0xfffffffe);
	CU_ASSERT_EQUAL(parsed->request.value_bytes, 1 << 20);
	CU_ASSERT_EQUAL(parsed->request.cas_unique, 0);
	CU_ASSERT_EQUAL(parsed->request.modifiers, 0);
}

static void test_what_is_stored_may_be_empty(void)
{
	CU_ASSERT_EQUAL(PARSE(0x01, .extras_bytes = 8, .key = "key")->verdict, PARSE_DONE);
	CU_ASSERT_EQUAL(PARSE(0x0e, .key = "key")->verdict, PARSE_DONE);
	CU_ASSERT_EQUAL(PARSE(0x22, .key = "PLAIN")->verdict, PARSE_DONE);
}

static void test_a_cas_unique_means_by_opcode(void)
{
	for (size_t i = 0; i < KNOWN_COUNT; i++) {
		uint8_t op = known_opcodes[i].op;
		bool sets = op == REQUEST_SET || op == REQUEST_ADD || op == REQUEST_REPLACE;
		bool guards = op == REQUEST_APPEND || op == REQUEST_PREPEND ||
		              op == REQUEST_DELETE || op == REQUEST_INCR || op == REQUEST_DECR;
		struct asked asked = good(&known_opcodes[i]);
		struct request *request;

		asked.cas_unique = 0xfe02030405060708;
		request = &parse_asked(&asked)->request;
		CU_ASSERT_EQUAL(request->op, sets ? REQUEST_CAS : op);
		CU_ASSERT_EQUAL(request->modifiers & REQUEST_COMPARE, guards ? REQUEST_COMPARE : 0);
		CU_ASSERT_EQUAL(request->cas_unique, sets || guards ? asked.cas_unique : 0);
		asked.cas_unique = 0;
		request = &parse_asked(&asked)->request;
		CU_ASSERT_EQUAL(request->op, op);
		CU_ASSERT_FALSE(request->modifiers & REQUEST_COMPARE);
	}
}

static void test_a_counter_is_made_with_its_expiration(void)
{
	struct parsed *parsed = PARSE(
	    0x15, EXTRAS("\xfe\2\3\4\5\6\7\10\xfd\2\3\4\5\6\7\10\xff\xff\xff\xfe"), .key = "key");

	CU_ASSERT_EQUAL(parsed->request.delta, 0xfe02030405060708);
	CU_ASSERT_EQUAL(parsed->request.initial, 0xfd02030405060708);
	CU_ASSERT_EQUAL(parsed->request.modifiers, REQUEST_VIVIFY);
	CU_ASSERT_EQUAL(parsed->request.vivify_exptime, 0xfffffffe);
	CU_ASSERT_EQUAL(PARSE(0x06, .extras_bytes = 20, .key = "key")->request.modifiers,
	                REQUEST_VIVIFY);
}

static void test_a_counter_with_all_ones_for_expiration_is_not_made(void)
{
	struct parsed *parsed =
	    PARSE(0x05, EXTRAS("\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\6\xff\xff\xff\xff"), .key = "key");

	CU_ASSERT_EQUAL(parsed->request.delta, 5);
	CU_ASSERT_EQUAL(parsed->request.modifiers, 0);
}

static void test_touching_takes_an_exptime(void)
{
	static const uint8_t opcodes[] = {0x1c, 0x1d, 0x1e, 0x23, 0x24};

	for (size_t i = 0; i < sizeof(opcodes); i++) {
		struct parsed *parsed = PARSE(opcodes[i], EXTRAS("\xfe\2\3\4"), .key = "key");

		CU_ASSERT_EQUAL(parsed->request.exptime, 0xfe020304);
	}
}

static void test_flush_may_say_when(void)
{
	CU_ASSERT_EQUAL(PARSE(0x08, EXTRAS("\xfe\2\3\4"))->request.exptime, 0xfe020304);
	CU_ASSERT_EQUAL(PARSE(0x18)->verdict, PARSE_DONE);
	CU_ASSERT_EQUAL(PARSE(0x18)->request.exptime, 0);
}

static void test_stat_may_say_of_what(void)
{
	CU_ASSERT_TRUE(slice_equal(PARSE(0x10, .key = "items")->request.argument, text("items")));
	CU_ASSERT_EQUAL(PARSE(0x10)->verdict, PARSE_DONE);
	CU_ASSERT_EQUAL(PARSE(0x10)->request.argument.length, 0);
}

static void test_sasl_mechanisms_are_keys(void)
{
	struct parsed *parsed = PARSE(0x21, .key = "PLAIN", .value_bytes = 14);

	CU_ASSERT_EQUAL(parsed->request.op, REQUEST_SASL_AUTH);
	CU_ASSERT_TRUE(slice_equal(parsed->request.key, text("PLAIN")));
	CU_ASSERT_EQUAL(parsed->request.value_bytes, 14);
}

/* What becomes of a header by memcached's rules, and by those of binary.h that are stricter. */
static enum refusal_reason reason_for(uint32_t opcode, uint32_t extras, uint32_t key, uint32_t body)
{
	const struct known *known = find_known(opcode);
	bool good_extras, good_key;

	if (key > 250 || extras + key > body || body > 1u << 31)
		return REFUSAL_BAD_FORMAT;
	if (known == NULL)
		return REFUSAL_UNKNOWN_COMMAND;
	good_extras = extras == known->extras_bytes || (known->extras_optional && extras == 0);
	good_key = known->key == '?' || (known->key == '1') == (key > 0);
	if (good_extras && good_key && (known->value || extras + key == body))
		return REFUSAL_LINE_TOO_LONG; /* stands for none */
	return REFUSAL_BAD_FORMAT;
}

static bool is_judged_right(uint32_t opcode, uint32_t extras, uint32_t key, uint32_t body)
{
	enum refusal_reason reason = reason_for(opcode, extras, key, body);
	uint8_t bytes[BINARY_HEAD_BYTES_MAX] = {0};
	struct binary_request request;
	struct refusal refusal;
	enum parse_verdict verdict;
	uint32_t found = 0;

	make_header(bytes, opcode, extras, key, body);
	if (binary_find_head((struct slice){0}, (struct slice){bytes, sizeof(bytes)}, &found) !=
	    PARSE_DONE)
		return false;
	verdict = binary_parse_head((struct slice){bytes, found}, &request, &refusal);
	if (reason == REFUSAL_LINE_TOO_LONG)
		return verdict == PARSE_DONE && found == 24 + extras + key;
	return verdict == (reason == REFUSAL_BAD_FORMAT ? PARSE_CLOSE : PARSE_BAD) &&
	       refusal.reason == reason && !refusal.noreply && found == BINARY_HEADER_BYTES &&
	       refusal.swallow_bytes == (reason == REFUSAL_BAD_FORMAT ? 0 : body) &&
	       request.echo.opcode == opcode && memcmp(&request.echo.opaque, OPAQUE, 4) == 0;
}

static void test_wrong_lengths_are_refused_with_every_opcode(void)
{
	static const uint32_t keys[] = {0, 1, 249, 250, 251, 256, UINT16_MAX};
	uint32_t wrong = 0;

	for (uint32_t opcode = 0; opcode < 256; opcode++)
		for (uint32_t extras = 0; extras < 256; extras++)
			for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
				uint32_t sum = extras + keys[i];
				uint32_t bodies[] = {
				    0,       keys[i],  sum - (sum > 0), sum,
				    sum + 1, 1u << 31, (1u << 31) + 1,  UINT32_MAX};

				for (size_t j = 0; j < sizeof(bodies) / sizeof(bodies[0]); j++)
					wrong +=
					    !is_judged_right(opcode, extras, keys[i], bodies[j]);
			}
	CU_ASSERT_EQUAL(wrong, 0);
}

static void test_unknown_opcodes_are_swallowed_with_their_body(void)
{
	struct parsed *parsed = PARSE(0x1b, .extras_bytes = 8, .key = "key", .value_bytes = 100);

	CU_ASSERT_EQUAL(parsed->verdict, PARSE_BAD);
	CU_ASSERT_EQUAL(parsed->refusal.reason, REFUSAL_UNKNOWN_COMMAND);
	CU_ASSERT_EQUAL(parsed->refusal.swallow_bytes, 8 + 3 + 100);
}

static void test_other_protocols_are_closed(void)
{
	static struct head head;
	struct binary_request request;
	struct refusal refusal;

	make_head(&head, &(struct asked){.key = "key"});
	for (uint32_t magic = 0; magic < 256; magic++) {
		if (magic == BINARY_MAGIC_REQUEST)
			continue;
		head.bytes[0] = (uint8_t)magic;
		CU_ASSERT_EQUAL(binary_parse_head((struct slice){head.bytes, BINARY_HEADER_BYTES},
		                                  &request, &refusal),
		                PARSE_CLOSE);
		CU_ASSERT_EQUAL(refusal.reason, REFUSAL_BAD_MAGIC);
		CU_ASSERT_EQUAL(refusal.swallow_bytes, 0);
	}
}

static const struct unit_case cases[] = {
    {"heads end the same however they come", test_heads_end_the_same_however_they_come},
    {"wrong heads end the same however they come", test_wrong_heads_end_the_same_however_they_come},
    {"a head ends before its value", test_a_head_ends_before_its_value},
    {"an unfinished head is waited for", test_an_unfinished_head_is_waited_for},
    {"no head is over its cap", test_no_head_is_over_its_cap},
    {"every opcode is what memcached takes it for",
     test_every_opcode_is_what_memcached_takes_it_for},
    {"keys are slices of the head", test_keys_are_slices_of_the_head},
    {"a storage head is read", test_a_storage_head_is_read},
    {"what is stored may be empty", test_what_is_stored_may_be_empty},
    {"what a cas unique means depends on the opcode", test_a_cas_unique_means_by_opcode},
    {"a counter is made with its expiration", test_a_counter_is_made_with_its_expiration},
    {"a counter with all ones for expiration is not made",
     test_a_counter_with_all_ones_for_expiration_is_not_made},
    {"touching takes an exptime", test_touching_takes_an_exptime},
    {"flush may say when", test_flush_may_say_when},
    {"stat may say of what", test_stat_may_say_of_what},
    {"the mechanisms of SASL are keys", test_sasl_mechanisms_are_keys},
    {"wrong lengths are refused with every opcode",
     test_wrong_lengths_are_refused_with_every_opcode},
    {"unknown opcodes are swallowed with their body",
     test_unknown_opcodes_are_swallowed_with_their_body},
    {"other protocols are closed", test_other_protocols_are_closed},
};

int main(void)
{
	return UNIT_RUN("binary", cases);
}
