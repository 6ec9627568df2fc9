/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/uri.h"

#include <stdbool.h>

static bool is_plain(uint8_t byte)
{
	return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
	       (byte >= 'a' && byte <= 'z') || byte == '-' || byte == '.' || byte == '_' ||
	       byte == '~';
}

uint8_t *uri_write(uint8_t *to, struct slice key)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < key.length; i++) {
		uint8_t byte = key.data[i];

		if (is_plain(byte)) {
			*to++ = byte;
			continue;
		}
		*to++ = '%';
		*to++ = (uint8_t)digits[byte >> 4];
		*to++ = (uint8_t)digits[byte & 15];
	}
	return to;
}
