/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include "unit.h"

#include <stdio.h>

/* The next datagram sent, or one of no bytes. Valid until the next one is asked for. */
static struct slice next_datagram(struct rig *rig, size_t *at)
{
	struct slice datagram = {0};

	if (*at + 2 <= rig->datagrams_sent.length) {
		datagram.length = load_be16(rig->datagrams_sent.data + *at);
		datagram.data = rig->datagrams_sent.data + *at + 2;
		*at += 2 + datagram.length;
	}
	return datagram;
}

static struct rig *rig_with_value(const struct rig_options *options, uint32_t value_bytes)
{
	struct rig *rig = rig_create(options);
	struct rig_client *client = rig_connect(rig);
	struct bytes value = {0};
	char line[64];

	rig_send(client, line, (size_t)sprintf(line, "set k 0 0 %u\r\n", value_bytes));
	for (uint32_t i = 0; i < value_bytes; i++)
		bytes_append(&value, &(uint8_t){(uint8_t)(i * 131 >> 3)}, 1);
	bytes_append(&value, "\r\n", 2);
	rig_send(client, value.data, value.length);
	free(value.data);
	rig_disconnect(client);
	return rig;
}

static const struct slice get_k = {(const uint8_t *)"\x12\x34\0\0\0\1\0\0get k\r\n", 15};

static void test_a_long_reply_is_numbered_datagrams(void)
{
	struct rig_options options = {.datagram_reply_bytes_max = 8000};
	struct rig *rig = rig_with_value(&options, 3000);
	static const char head[] = "VALUE k 0 3000\r\n";
	struct bytes text = {0};
	size_t at = 0;

	rig_send_datagram(rig, get_k, true);
	for (uint16_t i = 0; i < 3; i++) {
		struct slice datagram = next_datagram(rig, &at);

		CU_ASSERT_EQUAL_FATAL(datagram.length, i < 2 ? 1400 : 3023 - 2 * 1392 + 8);
		CU_ASSERT_EQUAL(load_be16(datagram.data), 0x1234);
		CU_ASSERT_EQUAL(load_be16(datagram.data + 2), i);
		CU_ASSERT_EQUAL(load_be16(datagram.data + 4), 3);
		bytes_append(&text, datagram.data + 8, datagram.length - 8);
	}
	CU_ASSERT_EQUAL(next_datagram(rig, &at).length, 0);
	CU_ASSERT_EQUAL(text.length, 3023);
	CU_ASSERT_EQUAL(memcmp(text.data, head, 16), 0);
	for (uint32_t i = 0; i < 3000; i++)
		CU_ASSERT_EQUAL(text.data[16 + i], (uint8_t)(i * 131 >> 3));
	CU_ASSERT_EQUAL(memcmp(text.data + 3016, "\r\nEND\r\n", 7), 0);
	CU_ASSERT_EQUAL(counter_read(&rig->datagrams.counters.udp_reply_bytes), 3023 + 3 * 8);
	free(text.data);
	rig_destroy(rig);
}

static void test_without_packets_nothing_is_sent_and_nothing_lost_but_that(void)
{
	struct rig_options options = {.datagram_reply_bytes_max = 8000};
	struct rig *rig = rig_with_value(&options, 3000);
	struct slice bad = {(const uint8_t *)"\x12\x34\0\0\0\1\0\0set k\r\n", 15};
	size_t at = 0;

	rig->has_no_packets = true;
	rig_send_datagram(rig, get_k, true);
	rig_send_datagram(rig, bad, true);
	CU_ASSERT_EQUAL(next_datagram(rig, &at).length, 0);
	CU_ASSERT_EQUAL(counter_read(&rig->datagrams.counters.udp_requests), 2);
	rig->has_no_packets = false;
	rig_send_datagram(rig, get_k, true);
	CU_ASSERT_EQUAL(next_datagram(rig, &at).length, 1400);
	rig_destroy(rig);
}

/* "VALUE k 0 n\r\n" … "\r\nEND\r\n" of a three- or four-digit n, with the header. */
static void test_the_limit_counts_every_byte(void)
{
	struct rig_options options = {0};
	uint32_t fitting = 1400 - 8 - (uint32_t)(sizeof("VALUE k 0 1361\r\n\r\nEND\r\n") - 1);

	for (uint32_t over = 0; over < 2; over++) {
		struct rig *rig = rig_with_value(&options, fitting + over);
		size_t at = 0;

		rig_send_datagram(rig, get_k, true);
		CU_ASSERT_EQUAL(next_datagram(rig, &at).length == 1400, over == 0);
		CU_ASSERT_EQUAL(counter_read(&rig->datagrams.counters.udp_over_reply_max), over);
		rig_destroy(rig);
	}
}

static void test_the_amplification_counts_every_byte(void)
{
	struct rig_options options = {0};
	uint32_t fitting = 150 - 8 - (uint32_t)(sizeof("VALUE k 0 119\r\n\r\nEND\r\n") - 1);

	for (uint32_t over = 0; over < 2; over++) {
		struct rig *rig = rig_with_value(&options, fitting + over);
		size_t at = 0;

		rig_send_datagram(rig, get_k, false);
		CU_ASSERT_EQUAL(next_datagram(rig, &at).length == 150, over == 0);
		CU_ASSERT_EQUAL(counter_read(&rig->datagrams.counters.udp_over_amplification),
		                over);
		rig_destroy(rig);
	}
}

static void test_an_error_over_the_limits_is_not_sent(void)
{
	struct rig_options options = {0};
	struct rig *rig = rig_with_value(&options, 1000);

	rig->datagrams.options.amplification_max = 1;
	rig_send_datagram(rig, get_k, false);
	CU_ASSERT_EQUAL(rig->datagrams_sent.length, 0);
	CU_ASSERT_EQUAL(counter_read(&rig->datagrams.counters.udp_dropped_reply), 1);
	rig_destroy(rig);
}

static void serve_from(struct rig *rig, const char *source, uint32_t count)
{
	ip_address_parse(&rig->datagram_source, source);
	while (count-- > 0)
		rig_send_datagram(rig, get_k, false);
}

static uint64_t dropped(const struct rig *rig)
{
	return counter_read(&rig->datagrams.counters.udp_dropped_rate);
}

static void test_a_source_is_answered_so_often_a_second(void)
{
	struct rig_options options = {0};
	struct rig *rig = rig_with_value(&options, 10);

	rig->datagrams.options.rate_max = 3;
	serve_from(rig, "192.0.2.1", 5);
	CU_ASSERT_EQUAL(dropped(rig), 2);
	serve_from(rig, "192.0.2.2", 3);
	CU_ASSERT_EQUAL(dropped(rig), 2);
	rig_advance_s(rig, 1);
	serve_from(rig, "192.0.2.1", 3);
	CU_ASSERT_EQUAL(dropped(rig), 2);
	/* a host has a /64 of its own */
	serve_from(rig, "2001:db8::1", 2);
	serve_from(rig, "2001:db8::2", 2);
	CU_ASSERT_EQUAL(dropped(rig), 3);
	for (uint32_t i = 0; i < 5; i++)
		rig_send_datagram(rig, get_k, true);
	rig->datagrams.options.rate_max = 0;
	serve_from(rig, "2001:db8::1", 5);
	CU_ASSERT_EQUAL(dropped(rig), 3);
	rig_destroy(rig);
}

/* As many as there are places cannot fill all of them up to the limit. */
static void test_a_flood_of_forged_sources_leaves_room_for_others(void)
{
	struct rig_options options = {0};
	struct rig *rig = rig_with_value(&options, 10);
	char source[32];

	rig->datagrams.options.rate_max = 3;
	for (uint32_t i = 0; i < DATAGRAM_RATE_COUNT; i++) {
		snprintf(source, sizeof(source), "10.0.%u.%u", i / 256, i % 256);
		serve_from(rig, source, 1);
	}
	CU_ASSERT_TRUE(dropped(rig) < DATAGRAM_RATE_COUNT / 50);
	rig_destroy(rig);
}

static const struct unit_case cases[] = {
    {"a long reply is numbered datagrams", test_a_long_reply_is_numbered_datagrams},
    {"without packets nothing is sent, and nothing lost but that",
     test_without_packets_nothing_is_sent_and_nothing_lost_but_that},
    {"the limit counts every byte", test_the_limit_counts_every_byte},
    {"the amplification counts every byte", test_the_amplification_counts_every_byte},
    {"a source is answered so often a second", test_a_source_is_answered_so_often_a_second},
    {"a flood of forged sources leaves room for others",
     test_a_flood_of_forged_sources_leaves_room_for_others},
    {"an error over the limits is not sent", test_an_error_over_the_limits_is_not_sent},
};

int main(void)
{
	return UNIT_RUN("datagram", cases);
}
