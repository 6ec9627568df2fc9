/* SPDX-License-Identifier: Apache-2.0 */
#include "control/pcapng.h"

#include "unit.h"

#include <stdlib.h>
#include <string.h>

#define FILE_BYTES 65536

/* A file that was written, and where it is read. */
struct rig {
	struct evbuffer *buffer;
	uint8_t bytes[FILE_BYTES];
	uint32_t length, at;
	uint32_t type;       /* of the block that was read last */
	const uint8_t *body; /* its, */
	uint32_t body_bytes; /* … without the head and the length at the end */
};

static struct rig *rig_new(void)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	rig->buffer = evbuffer_new();
	return rig;
}

static void rig_free(struct rig *rig)
{
	evbuffer_free(rig->buffer);
	free(rig);
}

static uint32_t u32(const uint8_t *at)
{
	uint32_t number;

	memcpy(&number, at, sizeof(number));
	return number;
}

static uint64_t u64(const uint8_t *at)
{
	uint64_t number;

	memcpy(&number, at, sizeof(number));
	return number;
}

static uint64_t time_at(const uint8_t *at)
{
	return (uint64_t)u32(at) << 32 | u32(at + 4);
}

/* The next block. Its length stands at both its ends, and is a multiple of four. */
static bool read_block(struct rig *rig)
{
	uint32_t length;

	if (rig->length == 0)
		rig->length =
		    (uint32_t)evbuffer_copyout(rig->buffer, rig->bytes, sizeof(rig->bytes));
	if (rig->at + 12 > rig->length)
		return false;
	rig->type = u32(rig->bytes + rig->at);
	length = u32(rig->bytes + rig->at + 4);
	CU_ASSERT_EQUAL(length % 4, 0);
	CU_ASSERT_FATAL(length >= 12 && rig->at + length <= rig->length);
	CU_ASSERT_EQUAL(u32(rig->bytes + rig->at + length - 4), length);
	rig->body = rig->bytes + rig->at + 8;
	rig->body_bytes = length - 12;
	rig->at += length;
	return true;
}

/* The value of an option among those from `at` on in the block; NULL: it is not there. All of them
 * are well-formed, and the last one is the end. */
static const uint8_t *option(const struct rig *rig, uint32_t at, uint16_t wanted,
                             uint32_t *ret_length)
{
	const uint8_t *found = NULL;
	uint16_t code, length;

	do {
		CU_ASSERT_FATAL(at + 4 <= rig->body_bytes);
		memcpy(&code, rig->body + at, 2);
		memcpy(&length, rig->body + at + 2, 2);
		if (code == wanted) {
			found = rig->body + at + 4;
			*ret_length = length;
		}
		at += 4 + ((length + 3u) & ~3u);
	} while (code != 0);
	CU_ASSERT_EQUAL(at, rig->body_bytes);
	return found;
}

static bool option_is(const struct rig *rig, uint32_t at, uint16_t wanted, const void *value,
                      uint32_t length)
{
	uint32_t found_length = 0;
	const uint8_t *found = option(rig, at, wanted, &found_length);

	return found != NULL && found_length == length && memcmp(found, value, length) == 0;
}

static bool option_is_u64(const struct rig *rig, uint32_t at, uint16_t wanted, uint64_t value)
{
	return option_is(rig, at, wanted, &value, sizeof(value));
}

static void test_a_file_begins_with_its_section_and_interface(void)
{
	struct pcapng_interface interface = {"kante0", "tap port 0", "tcp port 11211", 1518};
	struct rig *rig = rig_new();
	uint32_t length;

	CU_ASSERT_EQUAL(pcapng_begin(rig->buffer, &interface), 0);
	CU_ASSERT_TRUE_FATAL(read_block(rig));
	CU_ASSERT_EQUAL(rig->type, 0x0a0d0d0a);
	CU_ASSERT_EQUAL(u32(rig->body), 0x1a2b3c4d);
	CU_ASSERT_EQUAL(memcmp(rig->body + 4, "\1\0\0\0", 4), 0);
	CU_ASSERT_EQUAL(u64(rig->body + 8), UINT64_MAX);
	CU_ASSERT_PTR_NOT_NULL(option(rig, 16, 4, &length));
	CU_ASSERT_TRUE_FATAL(read_block(rig));
	CU_ASSERT_EQUAL(rig->type, 1);
	CU_ASSERT_EQUAL(u32(rig->body), 1); /* Ethernet */
	CU_ASSERT_EQUAL(u32(rig->body + 4), 1518);
	CU_ASSERT_TRUE(option_is(rig, 8, 2, "kante0", 6));
	CU_ASSERT_TRUE(option_is(rig, 8, 3, "tap port 0", 10));
	CU_ASSERT_TRUE(option_is(rig, 8, 9, "\6", 1));
	CU_ASSERT_TRUE(option_is(rig, 8, 11, "\0tcp port 11211", 15));
	CU_ASSERT_FALSE(read_block(rig));
	rig_free(rig);
}

static void test_without_a_filter_there_is_none(void)
{
	struct pcapng_interface interface = {"a", "b", NULL, 64};
	struct rig *rig = rig_new();
	uint32_t length;

	CU_ASSERT_EQUAL(pcapng_begin(rig->buffer, &interface), 0);
	CU_ASSERT_TRUE_FATAL(read_block(rig) && read_block(rig));
	CU_ASSERT_PTR_NULL(option(rig, 8, 11, &length));
	rig_free(rig);
}

static void test_packets_of_any_length_are_padded(void)
{
	static const uint8_t bytes[] = "0123456789abcdef";
	struct rig *rig = rig_new();

	for (uint32_t kept = 0; kept <= 16; kept++) {
		struct pcapng_packet packet = {.time_us = 1700000000123456ull + kept,
		                               .length = kept + 100,
		                               .kept = kept,
		                               .bytes = bytes,
		                               .is_sent = kept % 2 != 0,
		                               .missed = kept == 5 ? 77 : 0};

		CU_ASSERT_EQUAL(pcapng_packet(rig->buffer, &packet), 0);
	}
	for (uint32_t kept = 0; kept <= 16; kept++) {
		uint32_t options = 20 + ((kept + 3) & ~3u), length;
		uint32_t flags = kept % 2 != 0 ? 2 : 1;

		CU_ASSERT_TRUE_FATAL(read_block(rig));
		CU_ASSERT_EQUAL(rig->type, 6);
		CU_ASSERT_EQUAL(u32(rig->body), 0);
		CU_ASSERT_EQUAL(time_at(rig->body + 4), 1700000000123456ull + kept);
		CU_ASSERT_EQUAL(u32(rig->body + 12), kept);
		CU_ASSERT_EQUAL(u32(rig->body + 16), kept + 100);
		CU_ASSERT_EQUAL(memcmp(rig->body + 20, bytes, kept), 0);
		CU_ASSERT_TRUE(option_is(rig, options, 2, &flags, 4));
		CU_ASSERT_EQUAL(option(rig, options, 4, &length) != NULL, kept == 5);
		CU_ASSERT_EQUAL(option_is_u64(rig, options, 4, 77), kept == 5);
	}
	CU_ASSERT_FALSE(read_block(rig));
	rig_free(rig);
}

static void test_statistics_say_what_was_lost_where(void)
{
	struct pcapng_statistics statistics = {.begin_us = 1700000000000001ull,
	                                       .end_us = 1700000009000002ull,
	                                       .received = 100,
	                                       .missed = 10,
	                                       .accepted = 80,
	                                       .behind = 5,
	                                       .written = 75};
	struct rig *rig = rig_new();
	uint32_t length;

	CU_ASSERT_EQUAL(pcapng_statistics(rig->buffer, &statistics), 0);
	CU_ASSERT_TRUE_FATAL(read_block(rig));
	CU_ASSERT_EQUAL(rig->type, 5);
	CU_ASSERT_EQUAL(u32(rig->body), 0);
	CU_ASSERT_EQUAL(time_at(rig->body + 4), statistics.end_us);
	CU_ASSERT_EQUAL(time_at(option(rig, 12, 2, &length)), statistics.begin_us);
	CU_ASSERT_EQUAL(time_at(option(rig, 12, 3, &length)), statistics.end_us);
	CU_ASSERT_TRUE(option_is_u64(rig, 12, 4, 100));
	CU_ASSERT_TRUE(option_is_u64(rig, 12, 5, 10));
	CU_ASSERT_TRUE(option_is_u64(rig, 12, 6, 80));
	CU_ASSERT_TRUE(option_is_u64(rig, 12, 7, 5));
	CU_ASSERT_TRUE(option_is_u64(rig, 12, 8, 75));
	rig_free(rig);
}

int main(void)
{
	static const struct unit_case cases[] = {
	    {"a file begins with its section and interface",
	     test_a_file_begins_with_its_section_and_interface},
	    {"without a filter there is none", test_without_a_filter_there_is_none},
	    {"packets of any length are padded", test_packets_of_any_length_are_padded},
	    {"statistics say what was lost where", test_statistics_say_what_was_lost_where},
	};

	return UNIT_RUN("pcapng", cases);
}
