/* SPDX-License-Identifier: Apache-2.0 */
/* What a fuzzer gives, read piece by piece; zeros once it is used up. And how a target says that a
 * rule was broken. Owner: the target. */
#pragma once

#include "base/bytes.h"

#include <stdio.h>
#include <stdlib.h>

struct input {
	const uint8_t *data;
	size_t length; /* bytes left */
};

static inline uint8_t input_u8(struct input *input)
{
	if (input->length == 0)
		return 0;
	input->length--;
	return *input->data++;
}

static inline uint16_t input_u16(struct input *input)
{
	uint16_t high = input_u8(input);

	return (uint16_t)(high << 8 | input_u8(input));
}

static inline uint32_t input_u32(struct input *input)
{
	uint32_t high = input_u16(input);

	return high << 16 | input_u16(input);
}

static inline int8_t input_s8(struct input *input)
{
	return (int8_t)input_u8(input);
}

/* For the fuzzer to see it, a broken rule ends the process. */
#define FUZZ_FAIL(...)                                                                             \
	do {                                                                                       \
		fprintf(stderr, "rule broken (%s:%d): ", __FILE__, __LINE__);                      \
		fprintf(stderr, __VA_ARGS__);                                                      \
		fputc('\n', stderr);                                                               \
		abort();                                                                           \
	} while (0)
