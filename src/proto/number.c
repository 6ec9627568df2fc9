/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/number.h"

#define SAFE_DIGITS 19 /* so many never overflow */

static bool parse_digits(const uint8_t *digits, size_t length, uint64_t max, uint64_t *ret_number)
{
	uint64_t number = 0;
	size_t i = 0;

	if (length == 0)
		return false;
	for (; i < length && i < SAFE_DIGITS; i++) {
		uint32_t digit = (uint32_t)digits[i] - '0';

		if (digit > 9)
			return false;
		number = number * 10 + digit;
	}
	for (; i < length; i++) {
		uint32_t digit = (uint32_t)digits[i] - '0';

		if (digit > 9 || __builtin_mul_overflow(number, 10u, &number) ||
		    __builtin_add_overflow(number, digit, &number))
			return false;
	}
	if (number > max)
		return false;
	*ret_number = number;
	return true;
}

bool number_parse_u64(struct slice text, uint64_t max, uint64_t *ret_number)
{
	size_t sign = text.length > 0 && text.data[0] == '+' ? 1 : 0;

	return parse_digits(text.data + sign, text.length - sign, max, ret_number);
}

bool number_parse_i64(struct slice text, int64_t *ret_number)
{
	uint64_t magnitude;

	if (text.length > 0 && text.data[0] == '-') {
		if (!parse_digits(text.data + 1, text.length - 1, 1ull << 63, &magnitude))
			return false;
		*ret_number = (int64_t)(0 - magnitude);
		return true;
	}
	if (!number_parse_u64(text, INT64_MAX, &magnitude))
		return false;
	*ret_number = (int64_t)magnitude;
	return true;
}

uint8_t *number_write(uint8_t *to, uint64_t number)
{
	uint32_t length = 1;

	if (number < 10) { /* client flags mostly are 0 */
		*to = (uint8_t)('0' + number);
		return to + 1;
	}
	for (uint64_t limit = 10; number >= limit && length < NUMBER_TEXT_MAX; limit *= 10)
		length++;
	for (uint32_t i = length; i > 0; number /= 10)
		to[--i] = (uint8_t)('0' + number % 10);
	return to + length;
}
