/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 with padding, to the letter of RFC 4648 section 4. */
#pragma once

#include "base/bytes.h"

#define BASE64_BYTES(bytes) (((bytes) + 2) / 3 * 4) /* that so many bytes take */

/* Writes BASE64_BYTES(bytes.length) bytes. Returns where they end. */
uint8_t *base64_write(uint8_t *to, struct slice bytes);

/* Reads `text` into `to`, which has room for `capacity` bytes. False: it is no base64 (other
 * characters, wrong padding, bits that are not 0 behind the last byte), is empty, or does not fit;
 * `to` may have been written to. */
bool base64_read(struct slice text, uint8_t *to, size_t capacity, size_t *ret_length);
