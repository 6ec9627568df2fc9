/* SPDX-License-Identifier: Apache-2.0 */
/* Clients' keys as a terminal may show them: they are any bytes, so what is no text is escaped, as
 * terminal_bytes() does. All that is returned is to be free()d; NULL: no memory. */
#pragma once

#include <jansson.h>

/* Of an object of the admin API: its member "key", or "key_escaped". */
char *key_text_of(const json_t *object);

/* Of a key in which "%41" is A. */
char *key_text_decode(const char *escaped, size_t length);

/* Sets "key" of such an object, or "key_escaped" when the bytes are no text. */
void key_json_set(json_t *object, const char *escaped, size_t length);
