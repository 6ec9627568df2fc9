/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/key_text.h"

#include "cli/terminal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* "%41" begins there: false: it does not. */
static bool take_escape(const char *text, size_t length, char *ret_byte)
{
	char digits[3] = "";

	if (length < 3 || text[0] != '%' || !isxdigit((unsigned char)text[1]) ||
	    !isxdigit((unsigned char)text[2]))
		return false;
	memcpy(digits, text + 1, 2);
	*ret_byte = (char)strtoul(digits, NULL, 16);
	return true;
}

/* To be free()d; NULL: no memory. */
static char *decode(const char *escaped, size_t length, size_t *ret_bytes)
{
	char *bytes = malloc(length + 1);
	size_t used = 0;

	if (bytes == NULL)
		return NULL;
	for (size_t i = 0; i < length; i++) {
		if (take_escape(escaped + i, length - i, &bytes[used]))
			i += 2;
		else
			bytes[used] = escaped[i];
		used++;
	}
	*ret_bytes = used;
	return bytes;
}

char *key_text_decode(const char *escaped, size_t length)
{
	size_t count;
	char *bytes = decode(escaped, length, &count), *text;

	if (bytes == NULL)
		return NULL;
	text = terminal_bytes(bytes, count, false);
	free(bytes);
	return text;
}

void key_json_set(json_t *object, const char *escaped, size_t length)
{
	size_t count;
	char *bytes = decode(escaped, length, &count);
	json_t *key = bytes == NULL ? NULL : json_stringn(bytes, count);

	if (key != NULL)
		json_object_set_new(object, "key", key);
	else
		json_object_set_new(object, "key_escaped", json_stringn(escaped, length));
	free(bytes);
}

char *key_text_of(const json_t *object)
{
	const json_t *key = json_object_get(object, "key");
	const json_t *escaped = json_object_get(object, "key_escaped");

	if (json_is_string(key))
		return terminal_bytes(json_string_value(key), json_string_length(key), false);
	if (json_is_string(escaped))
		return key_text_decode(json_string_value(escaped), json_string_length(escaped));
	return strdup("-");
}
