/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 for URLs, without padding: RFC 4648 section 5, as RFC 7515 section 2 has it. */
#pragma once

#include "base/bytes.h"

#define BASE64URL_DECODED_BYTES(digits) ((digits) / 4 * 3 + 3) /* at least what so many mean */

/* Reads `text` into `to`, which has room for BASE64URL_DECODED_BYTES(text.length). There is one way
 * to write any bytes: false for all others (another character, padding, bits that are not 0 behind
 * the last byte), and for no bytes; `to` may have been written to. */
bool base64url_read(struct slice text, uint8_t *to, size_t *ret_length);
