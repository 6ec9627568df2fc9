/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/udp_frame.h"

#include "unit.h"

static enum udp_frame_verdict verdict_of(const char *bytes, size_t length)
{
	struct slice body = {0};
	uint16_t id = 0;

	return udp_frame_parse((struct slice){(const uint8_t *)bytes, length}, &id, &body);
}

static void test_a_request_is_one_whole_datagram(void)
{
	CU_ASSERT_EQUAL(verdict_of("\1\2\0\0\0\1\0\0x", 9), UDP_FRAME_GOOD);
	CU_ASSERT_EQUAL(verdict_of("\1\2\0\0\0\1\0\0", 8), UDP_FRAME_SHORT);
	CU_ASSERT_EQUAL(verdict_of("", 0), UDP_FRAME_SHORT);
	CU_ASSERT_EQUAL(verdict_of("\1\2\0\1\0\1\0\0x", 9), UDP_FRAME_BAD_SEQUENCE);
	CU_ASSERT_EQUAL(verdict_of("\1\2\1\0\0\1\0\0x", 9), UDP_FRAME_BAD_SEQUENCE);
	CU_ASSERT_EQUAL(verdict_of("\1\2\0\0\0\0\0\0x", 9), UDP_FRAME_BAD_TOTAL);
	CU_ASSERT_EQUAL(verdict_of("\1\2\0\0\1\1\0\0x", 9), UDP_FRAME_BAD_TOTAL);
	CU_ASSERT_EQUAL(verdict_of("\1\2\0\0\0\1\xff\xffx", 9), UDP_FRAME_GOOD);
}

static void test_id_and_body_are_given(void)
{
	static const uint8_t bytes[] = "\xfe\x02\0\0\0\1\0\0body";
	struct slice body;
	uint16_t id;

	CU_ASSERT_EQUAL(udp_frame_parse((struct slice){bytes, 12}, &id, &body), UDP_FRAME_GOOD);
	CU_ASSERT_EQUAL(id, 0xfe02);
	CU_ASSERT_PTR_EQUAL(body.data, bytes + 8);
	CU_ASSERT_EQUAL(body.length, 4);
}

static void test_headers_are_big_endian(void)
{
	uint8_t head[UDP_FRAME_BYTES];

	udp_frame_write(head, 0x1234, 0x5678, 0x9abc);
	CU_ASSERT_EQUAL(memcmp(head, "\x12\x34\x56\x78\x9a\xbc\0\0", 8), 0);
}

static const struct unit_case cases[] = {
    {"a request is one whole datagram", test_a_request_is_one_whole_datagram},
    {"id and body are given", test_id_and_body_are_given},
    {"headers are big-endian", test_headers_are_big_endian},
};

int main(void)
{
	return UNIT_RUN("udp_frame", cases);
}
