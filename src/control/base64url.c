/* SPDX-License-Identifier: Apache-2.0 */
#include "control/base64url.h"

/* 0 … 63; 64: no digit. */
static uint32_t value_of(uint8_t digit)
{
	if (digit >= 'A' && digit <= 'Z')
		return digit - 'A';
	if (digit >= 'a' && digit <= 'z')
		return digit - 'a' + 26;
	if (digit >= '0' && digit <= '9')
		return digit - '0' + 52;
	if (digit == '-')
		return 62;
	return digit == '_' ? 63 : 64;
}

bool base64url_read(struct slice text, uint8_t *to, size_t *ret_length)
{
	size_t length = 0;
	uint32_t bits = 0; /* the last digits; the lowest `bit_count` are yet to be written */
	uint32_t bit_count = 0;

	if (text.length == 0 || text.length % 4 == 1)
		return false;
	for (size_t i = 0; i < text.length; i++) {
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
