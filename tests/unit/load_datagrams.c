/* SPDX-License-Identifier: Apache-2.0 */
#include "load/datagrams.h"

#include "unit.h"
#include "workload_rig.h"

#define PAYLOAD_BYTES 100

/* Asks one request by UDP and keeps the header of the reply's datagrams. */
static uint64_t rig_ask_datagram(struct rig *rig, uint16_t *ret_id)
{
	uint8_t bytes[DATAGRAM_REQUEST_BYTES_MAX];
	size_t length = datagrams_ask(&rig->datagrams, 1000, 1000, bytes);
	char key[16];

	CU_ASSERT_EQUAL(length, 8 + 26);
	CU_ASSERT_EQUAL(memcmp(bytes + 2, "\0\0\0\1\0\0", 6), 0);
	memcpy(key, bytes + 8 + 9, 15);
	key[15] = '\0';
	*ret_id = load_be16(bytes);
	return strtoull(key, NULL, 10);
}

/* Delivers datagram `sequence` of a reply cut into pieces of PAYLOAD_BYTES. */
static void rig_deliver(struct rig *rig, uint16_t id, const uint8_t *reply, size_t length,
                        uint16_t sequence)
{
	size_t start = (size_t)sequence * PAYLOAD_BYTES;
	size_t payload_bytes = min_u64(PAYLOAD_BYTES, length - start);
	uint8_t *datagram = malloc(8 + payload_bytes);

	store_be16(datagram, id);
	store_be16(datagram + 2, sequence);
	store_be16(datagram + 4, (uint16_t)((length + PAYLOAD_BYTES - 1) / PAYLOAD_BYTES));
	store_be16(datagram + 6, 0);
	memcpy(datagram + 8, reply + start, payload_bytes);
	datagrams_receive(&rig->datagrams, datagram, 8 + payload_bytes, 3000);
	free(datagram);
}

static void test_datagrams_are_right_in_any_order(void)
{
	struct rig *rig = rig_with_sets(0);
	struct random random = random_seeded(6);
	uint8_t reply[REPLY_BYTES];

	for (int round = 0; round < 500; round++) {
		uint16_t id, order[20];
		uint64_t key = rig_ask_datagram(rig, &id);
		size_t length = put_reply(reply, key, VERSION, 1500);
		uint16_t count = (uint16_t)((length + PAYLOAD_BYTES - 1) / PAYLOAD_BYTES);

		for (uint16_t i = 0; i < count; i++) {
			uint16_t j = (uint16_t)random_below(&random, i + 1u);

			order[i] = order[j];
			order[j] = i;
		}
		for (uint16_t i = 0; i < count; i++)
			rig_deliver(rig, id, reply, length, order[i]);
		CU_ASSERT_EQUAL(rig->workload.counters.hits, (uint64_t)round + 1);
	}
	CU_ASSERT_EQUAL(rig->workload.counters.datagrams_unstored, 0);
	CU_ASSERT_FALSE(workload_counters_failed(&rig->workload.counters));
	rig_destroy(rig);
}

static void test_repeated_datagrams_do_no_harm(void)
{
	struct rig *rig = rig_with_sets(0);
	static const uint16_t order[] = {0, 0, 2, 2, 1, 0, 3, 3};
	uint8_t reply[REPLY_BYTES];
	uint16_t id;
	uint64_t key = rig_ask_datagram(rig, &id);
	size_t length = put_reply(reply, key, VERSION, 300);

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		rig_deliver(rig, id, reply, length, order[i]);
	CU_ASSERT_EQUAL(rig->workload.counters.hits, 1);
	CU_ASSERT_EQUAL(rig->workload.counters.datagrams_late, 4);
	CU_ASSERT_FALSE(workload_counters_failed(&rig->workload.counters));
	rig_destroy(rig);
}

static void test_interleaved_replies_go_to_their_requests(void)
{
	struct rig *rig = rig_with_sets(0);
	uint8_t replies[PIPELINE][REPLY_BYTES];
	size_t lengths_of[PIPELINE];
	uint16_t ids[PIPELINE];

	for (int i = 0; i < PIPELINE; i++) {
		uint64_t key = rig_ask_datagram(rig, &ids[i]);

		lengths_of[i] = put_reply(replies[i], key, VERSION, 300);
	}
	CU_ASSERT_FALSE(datagrams_have_room(&rig->datagrams));
	for (uint16_t sequence = 0; sequence < 4; sequence++) {
		for (int i = PIPELINE - 1; i >= 0; i--)
			rig_deliver(rig, ids[i], replies[i], lengths_of[i], sequence);
	}
	CU_ASSERT_EQUAL(rig->workload.counters.hits, PIPELINE);
	CU_ASSERT_EQUAL(rig->workload.counters.wrong_values, 0);
	rig_destroy(rig);
}

static void test_crossed_ids_are_caught(void)
{
	struct rig *rig = rig_with_sets(0);
	uint8_t reply[REPLY_BYTES];
	uint16_t ids[2];

	for (int i = 0; i < 2; i++) {
		rig_ask_datagram(rig, &ids[i]);
		rig->datagrams.slots[i].request.key = 500 + (uint64_t)i;
	}
	for (int i = 0; i < 2; i++) {
		size_t length = put_reply(reply, 501 - (uint64_t)i, VERSION, 40);

		rig_deliver(rig, ids[i], reply, length, 0);
	}
	CU_ASSERT_EQUAL(rig->workload.counters.wrong_values, 2);
	rig_destroy(rig);
}

static void test_loss_is_counted_and_its_late_reply_not_mistaken(void)
{
	struct rig *rig = rig_with_sets(0);
	uint8_t reply[REPLY_BYTES];
	uint16_t lost_id, id;
	uint64_t key = rig_ask_datagram(rig, &lost_id);
	size_t length = put_reply(reply, key, VERSION, 300);

	rig_deliver(rig, lost_id, reply, length, 0);
	rig_deliver(rig, lost_id, reply, length, 2); /* held, and to be given back */
	datagrams_expire(&rig->datagrams, 1999, 1000);
	CU_ASSERT_EQUAL(rig->workload.counters.unanswered, 0);
	datagrams_expire(&rig->datagrams, 2000, 1000);
	CU_ASSERT_EQUAL(rig->workload.counters.unanswered, 1);
	CU_ASSERT_EQUAL(rig->datagrams.busy_count, 0);
	key = rig_ask_datagram(rig, &id);
	CU_ASSERT_NOT_EQUAL(id, lost_id);
	rig_deliver(rig, lost_id, reply, length, 1);
	CU_ASSERT_EQUAL(rig->workload.counters.datagrams_late, 1);
	length = put_reply(reply, key, VERSION, 50);
	rig_deliver(rig, id, reply, length, 0);
	CU_ASSERT_EQUAL(rig->workload.counters.hits, 1);
	CU_ASSERT_FALSE(workload_counters_failed(&rig->workload.counters));
	rig_destroy(rig);
}

static void test_malformed_datagrams_are_protocol_errors(void)
{
	struct rig *rig = rig_with_sets(0);
	uint8_t bytes[] = {0, 0, 0, 0, 0, 1, 0, 0, 'E', 'N', 'D', '\r', '\n', 'E'};
	uint16_t id;

	datagrams_receive(&rig->datagrams, bytes, 8, 3000); /* no payload */
	CU_ASSERT_EQUAL(rig->workload.counters.protocol_errors, 1);
	rig_ask_datagram(rig, &id);
	store_be16(bytes, id);
	bytes[3] = 1; /* number 1 of 1 */
	datagrams_receive(&rig->datagrams, bytes, sizeof(bytes) - 1, 3000);
	CU_ASSERT_EQUAL(rig->workload.counters.protocol_errors, 2);
	rig_ask_datagram(rig, &id);
	store_be16(bytes, id);
	bytes[3] = 0;
	datagrams_receive(&rig->datagrams, bytes, sizeof(bytes), 3000); /* more after the end */
	CU_ASSERT_EQUAL(rig->workload.counters.protocol_errors, 3);
	rig_ask_datagram(rig, &id);
	store_be16(bytes, id);
	datagrams_receive(&rig->datagrams, bytes, sizeof(bytes) - 2, 3000); /* not over */
	CU_ASSERT_EQUAL(rig->workload.counters.protocol_errors, 4);
	rig_ask_datagram(rig, &id);
	store_be16(bytes, id);
	bytes[5] = 2; /* the end comes in number 0 of 2 */
	datagrams_receive(&rig->datagrams, bytes, sizeof(bytes) - 1, 3000);
	CU_ASSERT_EQUAL(rig->workload.counters.protocol_errors, 5);
	CU_ASSERT_EQUAL(rig->datagrams.busy_count, 0);
	CU_ASSERT_EQUAL(rig->workload.counters.misses, 0);
	rig_destroy(rig);
}

static void test_a_reflector_must_send_back_what_it_got(void)
{
	struct rig *rig = rig_with_sets(0);
	uint8_t bytes[DATAGRAM_REQUEST_BYTES_MAX];
	size_t length = datagrams_ask(&rig->datagrams, 1000, 1000, bytes);

	datagrams_reflected(&rig->datagrams, bytes, length, 3000);
	CU_ASSERT_EQUAL(rig->workload.counters.requests, 1);
	CU_ASSERT_EQUAL(rig->workload.counters.hits + rig->workload.counters.misses, 0);
	datagrams_reflected(&rig->datagrams, bytes, length, 3000);
	CU_ASSERT_EQUAL(rig->workload.counters.datagrams_late, 1);
	CU_ASSERT_FALSE(workload_counters_failed(&rig->workload.counters));
	length = datagrams_ask(&rig->datagrams, 1000, 1000, bytes);
	bytes[length - 3]++;
	datagrams_reflected(&rig->datagrams, bytes, length, 3000);
	CU_ASSERT_EQUAL(rig->workload.counters.protocol_errors, 1);
	length = datagrams_ask(&rig->datagrams, 1000, 1000, bytes);
	datagrams_reflected(&rig->datagrams, bytes, length - 1, 3000);
	datagrams_reflected(&rig->datagrams, bytes, 3, 3000);
	CU_ASSERT_EQUAL(rig->workload.counters.protocol_errors, 3);
	CU_ASSERT_EQUAL(rig->datagrams.busy_count, 0);
	rig_destroy(rig);
}

static bool is_refused(struct rig *rig, const uint8_t *bytes, size_t length)
{
	uint64_t before = rig->workload.counters.protocol_errors;

	datagrams_reflected(&rig->datagrams, bytes, length, 3000);
	return rig->workload.counters.protocol_errors == before + 1;
}

static void check_padding(uint32_t padding_bytes)
{
	struct workload_options options = {.key_count = 1, .padding_bytes = padding_bytes};
	struct rig *rig = rig_create(&options);
	uint8_t bytes[DATAGRAM_REQUEST_BYTES_MAX + 1];
	size_t length = datagrams_ask(&rig->datagrams, 1000, 1000, bytes);

	CU_ASSERT_EQUAL(length, 8 + 26 + padding_bytes);
	CU_ASSERT_EQUAL(memcmp(bytes + 8, "get load:000000000000000\r\n", 26), 0);
	datagrams_reflected(&rig->datagrams, bytes, length, 3000);
	CU_ASSERT_EQUAL(rig->workload.counters.requests, 1);
	CU_ASSERT_FALSE(workload_counters_failed(&rig->workload.counters));
	for (size_t at = 8; at < length; at++) {
		datagrams_ask(&rig->datagrams, 1000, 1000, bytes);
		bytes[at] ^= (uint8_t)(1 << at % 8);
		CU_ASSERT_TRUE(is_refused(rig, bytes, length));
	}
	datagrams_ask(&rig->datagrams, 1000, 1000, bytes);
	CU_ASSERT_TRUE(is_refused(rig, bytes, length - 1));
	datagrams_ask(&rig->datagrams, 1000, 1000, bytes);
	bytes[length] = 0;
	CU_ASSERT_TRUE(is_refused(rig, bytes, length + 1));
	rig_destroy(rig);
}

static void test_padding_must_come_back_too(void)
{
	static const uint32_t sizes[] = {0, 1, 8, 23, 24, 100, DATAGRAM_PADDING_BYTES_MAX};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		check_padding(sizes[i]);
}

static void test_padding_of_another_datagram_is_caught(void)
{
	struct workload_options options = {.key_count = 1, .padding_bytes = 1000};
	struct rig *rig = rig_create(&options);
	uint8_t bytes[2][DATAGRAM_REQUEST_BYTES_MAX];
	size_t length = datagrams_ask(&rig->datagrams, 1000, 1000, bytes[0]);

	datagrams_ask(&rig->datagrams, 1000, 1000, bytes[1]);
	memcpy(bytes[1] + 8, bytes[0] + 8, length - 8); /* the same key's GET */
	CU_ASSERT_TRUE(is_refused(rig, bytes[1], length));
	rig_destroy(rig);
}

static const struct unit_case cases[] = {
    {"datagrams are right in any order", test_datagrams_are_right_in_any_order},
    {"repeated datagrams do no harm", test_repeated_datagrams_do_no_harm},
    {"interleaved replies go to their requests", test_interleaved_replies_go_to_their_requests},
    {"crossed ids are caught", test_crossed_ids_are_caught},
    {"loss is counted, and its late reply not mistaken",
     test_loss_is_counted_and_its_late_reply_not_mistaken},
    {"malformed datagrams are protocol errors", test_malformed_datagrams_are_protocol_errors},
    {"a reflector must send back what it got", test_a_reflector_must_send_back_what_it_got},
    {"padding must come back too", test_padding_must_come_back_too},
    {"padding of another datagram is caught", test_padding_of_another_datagram_is_caught},
};

int main(void)
{
	return UNIT_RUN("load_datagrams", cases);
}
