/* SPDX-License-Identifier: Apache-2.0 */
#include "load/workload.h"

#include "unit.h"
#include "workload_rig.h"

/* Asks and sends `count` requests. */
static void rig_ask(struct rig *rig, int count)
{
	uint8_t bytes[REPLY_BYTES];

	for (int i = 0; i < count; i++)
		conversation_ask(&rig->conversation, 1000);
	conversation_sent(&rig->conversation,
	                  conversation_peek(&rig->conversation, bytes, sizeof(bytes)));
}

static bool rig_receive_text(struct rig *rig, const char *text)
{
	return conversation_receive(&rig->conversation, (const uint8_t *)text, strlen(text), 3000);
}

static uint64_t rig_key(const struct rig *rig, uint32_t number)
{
	return rig->conversation.ring[number & rig->conversation.ring_mask].key;
}

static void check_replies_in_order(enum protocol protocol)
{
	for (size_t piece = 1; piece < 1000; piece += 7) {
		struct rig *rig = rig_with_sets(0);
		uint8_t bytes[REPLY_BYTES];
		size_t length = 0;

		rig->workload.options.protocol = protocol;
		rig_ask(rig, PIPELINE);
		for (uint32_t i = 0; i < PIPELINE; i++)
			length += put_reply_of(bytes + length, protocol, rig_key(rig, i), VERSION,
			                       100 * i);
		for (size_t at = 0; at < length; at += piece)
			conversation_receive(&rig->conversation, bytes + at,
			                     min_u64(piece, length - at), 3000);
		CU_ASSERT_EQUAL(rig->workload.counters.requests, PIPELINE);
		CU_ASSERT_EQUAL(rig->workload.counters.hits, PIPELINE);
		CU_ASSERT_EQUAL(rig->workload.counters.value_bytes_read, 1000);
		CU_ASSERT_EQUAL(histogram_percentile_ns(&rig->workload.latency, 1000), 2000);
		CU_ASSERT_FALSE(workload_counters_failed(&rig->workload.counters));
		rig_destroy(rig);
	}
}

static void test_replies_in_order_are_right_in_any_pieces(void)
{
	check_replies_in_order(PROTOCOL_MEMCACHED);
	check_replies_in_order(PROTOCOL_REDIS);
}

static void test_replies_out_of_order_are_caught_in_any_pieces(void)
{
	for (size_t piece = 1; piece < 300; piece++) {
		struct rig *rig = rig_with_sets(0);
		uint8_t bytes[REPLY_BYTES];
		size_t length;

		rig_ask(rig, 2);
		rig->conversation.ring[0].key = 500;
		rig->conversation.ring[1].key = 501;
		length = put_reply(bytes, 501, VERSION, 50);
		length += put_reply(bytes + length, 500, VERSION, 60);
		for (size_t at = 0; at < length; at += piece)
			conversation_receive(&rig->conversation, bytes + at,
			                     min_u64(piece, length - at), 3000);
		CU_ASSERT_EQUAL(rig->workload.counters.wrong_values, 2);
		CU_ASSERT_TRUE(workload_counters_failed(&rig->workload.counters));
		rig_destroy(rig);
	}
}

static void test_reply_of_another_kind_breaks_the_conversation(void)
{
	struct rig *rig = rig_with_sets(0);

	rig_ask(rig, 2);
	CU_ASSERT_TRUE(rig_receive_text(rig, "END\r\n"));
	CU_ASSERT_FALSE(rig_receive_text(rig, "STORED\r\n"));
	CU_ASSERT_EQUAL(rig->workload.counters.misses, 1);
	CU_ASSERT_EQUAL(rig->workload.counters.protocol_errors, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig->workload.first_fault, "\"STORED\""));
	rig_destroy(rig);
}

static void test_bytes_unasked_for_break_the_conversation(void)
{
	struct rig *rig = rig_with_sets(0);

	CU_ASSERT_FALSE(rig_receive_text(rig, "END\r\n"));
	conversation_ask(&rig->conversation, 0); /* but not sent */
	CU_ASSERT_FALSE(rig_receive_text(rig, "END\r\n"));
	rig_ask(rig, 1);
	CU_ASSERT_TRUE(rig_receive_text(rig, "END\r\nEND\r\n"));
	CU_ASSERT_FALSE(rig_receive_text(rig, "E"));
	CU_ASSERT_EQUAL(rig->workload.counters.protocol_errors, 3);
	rig_destroy(rig);
}

static void test_refused_half_sent_set_goes_on_being_sent(void)
{
	struct rig *rig = rig_with_sets(100);
	struct conversation *conversation = &rig->conversation;
	uint8_t bytes[REPLY_BYTES];
	size_t length;

	rig->workload.options.value_bytes_min = 200;
	for (int i = 0; i < 2; i++)
		conversation_ask(conversation, 0);
	length = conversation_peek(conversation, bytes, sizeof(bytes));
	conversation_sent(conversation, 100);
	CU_ASSERT_TRUE(rig_receive_text(rig, "SERVER_ERROR object too large for cache\r\n"));
	CU_ASSERT_EQUAL(rig->workload.counters.server_errors, 1);
	CU_ASSERT_EQUAL(conversation_unanswered(conversation), 1);
	CU_ASSERT_EQUAL(conversation_peek(conversation, bytes, sizeof(bytes)), length - 100);
	conversation_sent(conversation, length - 100);
	CU_ASSERT_TRUE(rig_receive_text(rig, "STORED\r\n"));
	CU_ASSERT_EQUAL(rig->workload.counters.stored, 1);
	CU_ASSERT_EQUAL(rig->workload.counters.value_bytes_written, 200);
	CU_ASSERT_FALSE(workload_counters_failed(&rig->workload.counters));
	rig_destroy(rig);
}

static void test_room_is_what_is_not_in_flight(void)
{
	struct rig *rig = rig_with_sets(0);

	rig_ask(rig, PIPELINE);
	CU_ASSERT_FALSE(conversation_has_room(&rig->conversation));
	rig_receive_text(rig, "END\r\nEN");
	CU_ASSERT_TRUE(conversation_has_room(&rig->conversation));
	rig_ask(rig, 1);
	CU_ASSERT_FALSE(conversation_has_room(&rig->conversation));
	rig_receive_text(rig, "D\r\nEND\r\nEND\r\nEND\r\nEND\r\n");
	CU_ASSERT_EQUAL(conversation_unanswered(&rig->conversation), 0);
	CU_ASSERT_EQUAL(rig->workload.counters.misses, 6);
	rig_destroy(rig);
}

static void check_requests_in_pieces(enum protocol protocol, const char *get, const char *set)
{
	uint8_t whole[REPLY_BYTES], piece_bytes[64];
	struct rig *once = rig_with_sets(50);
	size_t length;

	once->workload.options.protocol = protocol;
	for (int i = 0; i < PIPELINE; i++)
		conversation_ask(&once->conversation, 0);
	length = conversation_peek(&once->conversation, whole, sizeof(whole));
	CU_ASSERT_TRUE(memcmp(whole, get, strlen(get)) == 0 ||
	               memcmp(whole, set, strlen(set)) == 0);
	for (size_t step = 1; step <= sizeof(piece_bytes); step++) {
		struct rig *rig = rig_with_sets(50);
		size_t at = 0, piece;
		bool is_same = true;

		rig->workload.options.protocol = protocol;
		for (int i = 0; i < PIPELINE; i++)
			conversation_ask(&rig->conversation, 0);
		while ((piece = conversation_peek(&rig->conversation, piece_bytes, step)) > 0) {
			is_same &= memcmp(whole + at, piece_bytes, piece) == 0;
			/* The kernel may take less than it was given. */
			piece = (piece + 1) / 2;
			conversation_sent(&rig->conversation, piece);
			at += piece;
		}
		CU_ASSERT_TRUE(is_same);
		CU_ASSERT_EQUAL(at, length);
		rig_destroy(rig);
	}
	rig_destroy(once);
}

static void test_requests_are_the_same_in_any_pieces(void)
{
	check_requests_in_pieces(PROTOCOL_MEMCACHED, "get load:", "set load:");
	check_requests_in_pieces(
	    PROTOCOL_REDIS, "*2\r\n$3\r\nGET\r\n$20\r\nload:", "*3\r\n$3\r\nSET\r\n$20\r\nload:");
}

static void test_set_and_get_are_the_text_protocol(void)
{
	struct request get = request_get(PROTOCOL_MEMCACHED, 7, 0);
	struct request set = request_set(PROTOCOL_MEMCACHED, REQUEST_KEY_NUMBER_MAX, VERSION, 3, 0);
	char bytes[128] = {0}, expected[128];

	request_fill(&get, 0, (uint8_t *)bytes, get.bytes);
	CU_ASSERT_STRING_EQUAL(bytes, "get load:000000000000007\r\n");
	request_fill(&set, 0, (uint8_t *)bytes, set.bytes);
	sprintf(expected, "set load:999999999999999 %u 0 3\r\n",
	        value_flags(REQUEST_KEY_NUMBER_MAX, 3));
	CU_ASSERT_EQUAL(set.bytes, strlen(expected) + 5);
	CU_ASSERT_EQUAL(memcmp(bytes, expected, strlen(expected)), 0);
	CU_ASSERT_EQUAL(memcmp(bytes + set.bytes - 2, "\r\n", 2), 0);
}

static void test_set_and_get_are_redis_protocol(void)
{
	static const char empty_set[] =
	    "*3\r\n$3\r\nSET\r\n$20\r\nload:999999999999999\r\n$0\r\n\r\n";
	static const char lines[] =
	    "*3\r\n$3\r\nSET\r\n$20\r\nload:000000000000007\r\n$1048576\r\n";
	static uint8_t bytes[VALUE_BYTES_MAX + 64], value_bytes[VALUE_BYTES_MAX];
	struct request get = request_get(PROTOCOL_REDIS, 123, 0);
	struct request set = request_set(PROTOCOL_REDIS, REQUEST_KEY_NUMBER_MAX, VERSION, 0, 0);
	struct value value = value_of(7, VERSION, VALUE_BYTES_MAX);

	request_fill(&get, 0, bytes, get.bytes);
	CU_ASSERT_TRUE(
	    slice_equal((struct slice){bytes, get.bytes},
	                SLICE_LITERAL("*2\r\n$3\r\nGET\r\n$20\r\nload:000000000000123\r\n")));
	request_fill(&set, 0, bytes, set.bytes);
	CU_ASSERT_TRUE(slice_equal((struct slice){bytes, set.bytes}, SLICE_LITERAL(empty_set)));
	set = request_set(PROTOCOL_REDIS, 7, VERSION, VALUE_BYTES_MAX, 0);
	CU_ASSERT_EQUAL_FATAL(set.bytes, sizeof(lines) - 1 + VALUE_BYTES_MAX + 2);
	request_fill(&set, 0, bytes, set.bytes);
	value_fill(&value, 0, value_bytes, VALUE_BYTES_MAX);
	CU_ASSERT_EQUAL(memcmp(bytes, lines, sizeof(lines) - 1), 0);
	CU_ASSERT_EQUAL(memcmp(bytes + sizeof(lines) - 1, value_bytes, VALUE_BYTES_MAX), 0);
	CU_ASSERT_EQUAL(memcmp(bytes + set.bytes - 2, "\r\n", 2), 0);
}

static void test_mix_and_sizes_are_as_asked(void)
{
	struct workload_options options = {.key_count = 100,
	                                   .value_bytes_min = 0,
	                                   .value_bytes_max = VALUE_BYTES_MAX,
	                                   .set_percent = 25,
	                                   .seed = 4};
	struct rig *rig = rig_create(&options);
	uint32_t set_count = 0, small_count = 0, empty_count = 0;

	for (int i = 0; i < 40000; i++) {
		struct request request = workload_next(&rig->workload, 0);

		if (request.kind == REQUEST_SET) {
			set_count++;
			small_count += request.value.length < 1023;
			empty_count += request.value.length == 0;
		}
	}
	CU_ASSERT_TRUE(set_count > 9600 && set_count < 10400);
	/* Half of the orders of magnitude, and one in twenty (a doubling of 20). */
	CU_ASSERT_TRUE(small_count > 4700 && small_count < 5300);
	CU_ASSERT_TRUE(empty_count > 400 && empty_count < 600);
	rig_destroy(rig);
}

static void test_populate_sets_each_key_once(void)
{
	struct rig *rig = rig_with_sets(0);

	workload_populate(&rig->workload);
	for (uint64_t key = 0; key < 1000; key++) {
		struct request request = workload_next(&rig->workload, 0);

		if (request.kind != REQUEST_SET || request.key != key)
			CU_FAIL("not the next key's set");
	}
	workload_measure(&rig->workload);
	CU_ASSERT_EQUAL(workload_next(&rig->workload, 0).kind, REQUEST_GET);
	rig_destroy(rig);
}

static void test_arrivals_have_the_rate(void)
{
	struct rig *rig = rig_with_sets(0);
	double total_ns = 0;

	for (int i = 0; i < 100000; i++)
		total_ns += workload_gap_ns(&rig->workload, 1e5);
	CU_ASSERT_TRUE(total_ns > 0.98e9 && total_ns < 1.02e9);
	rig_destroy(rig);
}

static const struct unit_case cases[] = {
    {"replies in order are right in any pieces", test_replies_in_order_are_right_in_any_pieces},
    {"replies out of order are caught in any pieces",
     test_replies_out_of_order_are_caught_in_any_pieces},
    {"a reply of another kind breaks the conversation",
     test_reply_of_another_kind_breaks_the_conversation},
    {"bytes unasked for break the conversation", test_bytes_unasked_for_break_the_conversation},
    {"a refused half-sent set goes on being sent", test_refused_half_sent_set_goes_on_being_sent},
    {"room is what is not in flight", test_room_is_what_is_not_in_flight},
    {"requests are the same in any pieces", test_requests_are_the_same_in_any_pieces},
    {"set and get are the text protocol", test_set_and_get_are_the_text_protocol},
    {"set and get are Redis's protocol", test_set_and_get_are_redis_protocol},
    {"mix and sizes are as asked", test_mix_and_sizes_are_as_asked},
    {"populating sets each key once", test_populate_sets_each_key_once},
    {"arrivals have the rate", test_arrivals_have_the_rate},
};

int main(void)
{
	return UNIT_RUN("workload", cases);
}
