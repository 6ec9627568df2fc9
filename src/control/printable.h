/* SPDX-License-Identifier: Apache-2.0 */
/* What may stand in a line that is shown to people. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the first character of a text, when it is UTF-8 (RFC 3629) and no control character
 * (C0, DEL, C1); else 0. */
static inline size_t printable_character(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t length = at[0] < 0x80 ? 1 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
	/* what the second byte may be, where a character has one */
	unsigned char low = 0x80, high = 0xbf;

	if (length == 1)
		return at[0] >= 0x20 && at[0] != 0x7f ? 1 : 0;
	if (at[0] < 0xc2 || at[0] > 0xf4)
		return 0;
	switch (at[0]) {
	case 0xc2: low = 0xa0; break;  /* C1 is below */
	case 0xe0: low = 0xa0; break;  /* could be shorter */
	case 0xed: high = 0x9f; break; /* surrogates */
	case 0xf0: low = 0x90; break;
	case 0xf4: high = 0x8f; break; /* U+10FFFF */
	}
	if (at[1] < low || at[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if (at[i] < 0x80 || at[i] > 0xbf)
			return 0;
	return length;
}

/* True: from 1 to bytes_max bytes, all of it printable. */
static inline bool printable(const char *text, size_t bytes_max)
{
	size_t at = 0, length = 1;

	while (text[at] != '\0' && at <= bytes_max && length > 0) {
		length = printable_character(text + at);
		at += length;
	}
	return length > 0 && at > 0 && at <= bytes_max;
}
