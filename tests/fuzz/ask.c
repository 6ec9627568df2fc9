/* SPDX-License-Identifier: Apache-2.0 */
#include "ask.h"

#include <stdarg.h>

#define K50 "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"

/* The last two are for base64 and the binary protocol only. */
static const struct slice keys[ASK_KEY_COUNT] = {
    {(const uint8_t *)"a", 1},
    {(const uint8_t *)"b", 1},
    {(const uint8_t *)"n", 1},
    {(const uint8_t *)"foo", 3},
    {(const uint8_t *)"\xc3\xa4\xff:\x80", 5},
    {(const uint8_t *)K50 K50 K50 K50 K50, 250},
    {(const uint8_t *)"\0\r\n \x7f", 5},
    {(const uint8_t *)K50 K50 K50 K50 "\0", 201},
};

#define PLAIN_KEY_COUNT 6
#define NUMBER_KEY      2 /* mostly holds numbers */

struct slice ask_key_at(uint32_t index)
{
	return keys[index];
}

struct slice ask_key(struct input *input, bool any)
{
	/* half of them are the first three */
	static const uint8_t order[] = {0, 1, 2, 0, 1, 2, 3, 4, 0, 1, 2, 5, 6, 7};
	uint8_t index = order[input_u8(input) % COUNT_OF(order)];

	return keys[any || index < PLAIN_KEY_COUNT ? index : index - PLAIN_KEY_COUNT];
}

uint64_t ask_number(struct input *input)
{
	static const uint64_t numbers[] = {0, 1, 2, 9, 10, 90, 99, 100, UINT32_MAX,
	                                   (uint64_t)UINT32_MAX + 1, INT64_MAX,
	                                   (uint64_t)INT64_MAX + 1, UINT64_MAX - 1, UINT64_MAX,
	                                   /* one more digit, and one fewer */
	                                   9999999999999999999ull, 10000000000000000000ull};
	uint8_t kind = input_u8(input);

	return kind < 8 * COUNT_OF(numbers) ? numbers[kind / 8] : kind;
}

uint32_t ask_client_flags(struct input *input)
{
	static const uint32_t flags[] = {0,         1, 9, 10, 0xffff, INT32_MAX, UINT32_MAX - 1,
	                                 UINT32_MAX};
	uint8_t kind = input_u8(input);

	return kind < 64 ? flags[kind % COUNT_OF(flags)] : kind;
}

int64_t ask_exptime(struct input *input, const struct model *model)
{
	static const int64_t exptimes[] = {0, 0, 0, 1, 2, 3, 5, 60, 100, -1, 2592000, 2592001};
	static const int64_t far[] = {INT32_MIN, INT32_MAX, UINT32_MAX, INT64_MAX, -INT64_MAX};
	uint8_t kind = input_u8(input);
	int64_t unix_now_s = (int64_t)(model->unix_start_s + model->now_s);

	if (kind < 192)
		return exptimes[kind % COUNT_OF(exptimes)];
	if (kind < 224)
		return unix_now_s + kind - 200;
	if (kind < 230)
		return (int64_t)model->unix_start_s + kind - 227;
	return far[kind % COUNT_OF(far)];
}

uint64_t ask_cas_of(const struct model *model, struct slice key)
{
	for (uint32_t i = 0; i < MODEL_ITEM_COUNT; i++) {
		const struct model_item *item = &model->items[i];

		if (slice_equal((struct slice){item->key, item->key_bytes}, key))
			return item->cas_unique;
	}
	return 0;
}

uint64_t ask_cas(struct input *input, const struct model *model, struct slice key)
{
	uint64_t right = ask_cas_of(model, key);
	uint8_t kind = input_u8(input);

	switch (kind % 16) {
	case 0: return 0;
	case 1: return 1;
	case 2: return UINT64_MAX;
	case 3: return right + 1;
	case 4:
	case 5: return right - 1;
	case 6: return model->cas_newest;
	case 7: return model->cas_newest + 1;
	default: return right;
	}
}

/* What incr and decr may meet. */
static const char *const number_texts[] = {
    "0",
    "1",
    "9",
    "10",
    "99",
    "100",
    "18446744073709551615",
    "18446744073709551614",
    "18446744073709551616",
    "9999999999999999999",
    "9223372036854775807",
    "-1",
    "-0",
    "-9223372036854775808",
    "+7",
    " 8",
    "\t\n\v\f\r 8",
    "5 ",
    "5  ",
    "5 x",
    "5x",
    "",
    "x",
    " ",
    "+",
    "-",
    "00007",
    "0x10",
    "007 7",
    "99   ",
    "000000000000000000000000000000000001",
};

/* Filler whose ends are told apart; what looks like a reply or a command must be taken for neither.
 */
static void add_filler(struct bytes *bytes, uint8_t pattern, size_t length)
{
	static const char *const texts[] = {"END\r\n", "\r\n", "9", " ", "get a\r\n"};
	const char *text = texts[pattern % COUNT_OF(texts)];
	size_t text_bytes = strlen(text);
	uint8_t part[420]; /* of which all the texts' lengths are divisors */

	for (size_t i = 0; i < sizeof(part); i++)
		part[i] = pattern < 128 ? (uint8_t)(pattern + i * 7 + i / 251)
		                        : (uint8_t)text[i % text_bytes];
	for (size_t i = 0; i < length; i += sizeof(part))
		bytes_append(bytes, part, min_u64(sizeof(part), length - i));
	if (length > 1 && pattern >= 192) {
		bytes->data[bytes->length - 1] = 'z';
		bytes->data[bytes->length - length] = 'a';
	}
}

static uint64_t value_length(uint8_t kind, struct input *input, uint64_t max)
{
	static const uint32_t lengths[] = {0,    1,    2,    3,    20,    21,    64,    100,
	                                   498,  511,  512,  513,  1000,  2046,  2047,  2048,
	                                   2049, 4096, 4097, 8192, 65000, 65536, 65600, 69000};

	if (kind < 160)
		return input_u8(input);
	if (kind < 176) /* with a head, about as much as a datagram holds */
		return 1360 + input_u8(input) % 24;
	if (kind < 232)
		return lengths[kind % COUNT_OF(lengths)] % (max + 2);
	switch (kind / 4 % 6) {
	case 0: return max;
	case 1: return max - 1;
	case 2: return max / 2;
	case 3: return max / 2 + 1;
	default: return max + 1;
	}
}

void ask_value(struct ask *ask, struct slice key, struct input *input, const struct model *model)
{
	uint8_t kind = input_u8(input);

	ask->value_at = ask->bytes.length;
	if (kind < 120 || (kind < 240 && slice_equal(key, ask_key_at(NUMBER_KEY)))) {
		const char *text = number_texts[kind % COUNT_OF(number_texts)];

		bytes_append(&ask->bytes, text, strlen(text));
	} else if (kind < 124) {
		bytes_append(&ask->bytes, "8\0x", 3); /* a NUL ends a number too */
	} else {
		uint64_t length = value_length(kind, input, model->value_bytes_max);

		add_filler(&ask->bytes, input_u8(input), length);
	}
	ask->value_bytes = ask->bytes.length - ask->value_at;
}

void ask_print(struct bytes *bytes, const char *format, ...)
{
	char text[512];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	ASSERT(length >= 0 && (size_t)length < sizeof(text));
	bytes_append(bytes, text, (size_t)length);
}

void ask_add(struct bytes *bytes, struct slice slice)
{
	bytes_append(bytes, slice.data, slice.length);
}

void ask_reset(struct ask *ask)
{
	struct bytes bytes = ask->bytes;

	bytes.length = 0;
	*ask = (struct ask){.bytes = bytes};
}

void ask_destroy(struct ask *ask)
{
	free(ask->bytes.data);
}
