/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base64.h"

uint8_t *base64_write(uint8_t *to, struct slice bytes)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *at = bytes.data;
	size_t left = bytes.length;

	while (left > 0) {
		uint32_t group = (uint32_t)at[0] << 16;

		if (left > 1)
			group |= (uint32_t)at[1] << 8;
		if (left > 2)
			group |= at[2];
		*to++ = (uint8_t)digits[group >> 18];
		*to++ = (uint8_t)digits[group >> 12 & 63];
		*to++ = left > 1 ? (uint8_t)digits[group >> 6 & 63] : '=';
		*to++ = left > 2 ? (uint8_t)digits[group & 63] : '=';
		at += 3;
		left -= left < 3 ? left : 3;
	}
	return to;
}

/* 0 … 63; 64: no digit. */
static uint32_t value_of(uint8_t digit)
{
	if (digit >= 'A' && digit <= 'Z')
		return digit - 'A';
	if (digit >= 'a' && digit <= 'z')
		return digit - 'a' + 26;
	if (digit >= '0' && digit <= '9')
		return digit - '0' + 52;
	if (digit == '+')
		return 62;
	return digit == '/' ? 63 : 64;
}

bool base64_read(struct slice text, uint8_t *to, size_t capacity, size_t *ret_length)
{
	size_t digit_count = text.length;
	size_t length = 0;
	uint32_t bits = 0; /* the last digits; the lowest `bit_count` are yet to be written */
	uint32_t bit_count = 0;

	if (text.length == 0 || text.length % 4 != 0)
		return false;
	while (digit_count > text.length - 2 && text.data[digit_count - 1] == '=')
		digit_count--;
	if (digit_count / 4 * 3 + digit_count % 4 * 3 / 4 > capacity)
		return false;
	for (size_t i = 0; i < digit_count; i++) {
		uint32_t value = value_of(text.data[i]);

		if (value == 64)
			return false;
		bits = bits << 6 | value;
		bit_count += 6;
		if (bit_count >= 8) {
			bit_count -= 8;
			to[length++] = (uint8_t)(bits >> bit_count);
		}
	}
	if ((bits & ((1u << bit_count) - 1)) != 0)
		return false;
	*ret_length = length;
	return true;
}
